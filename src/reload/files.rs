//! The files that a configuration is made of, and whether they changed.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::config::{Config, UpstreamKind};
use crate::engine;

/// The label of `flowgate_config_reloads_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Config,
    Keys,
    Certificates,
    Secrets,
    Flows,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Keys => "keys",
            Self::Certificates => "certificates",
            Self::Secrets => "secrets",
            Self::Flows => "flows",
        }
    }
}

/// What was last seen of each file.
#[derive(Debug, Clone)]
pub(crate) struct Files(Vec<File>);

#[derive(Debug, Clone)]
struct File {
    kind: Kind,
    path: PathBuf,
    stamp: Option<Stamp>,
    digest: Option<[u8; 32]>,
}

/// Changes whenever a file is written or replaced, in every way files get replaced; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Files {
    /// The files behind a configuration, as they are now. To be called before they are read: what changes in
    /// between is then seen as a change.
    pub(crate) fn of(config: &Config) -> Self {
        let mut paths = vec![(Kind::Config, config.path.clone()), (Kind::Keys, config.keys_file.clone())];
        if let Some(tls) = &config.server.tls {
            paths.extend([(Kind::Certificates, tls.cert_file.clone()), (Kind::Certificates, tls.key_file.clone())]);
            paths.extend(tls.client_ca_file.clone().map(|path| (Kind::Certificates, path)));
        }
        paths.extend(config.secret_files.iter().map(|path| (Kind::Secrets, path.clone())));
        for upstream in &config.upstreams {
            if let UpstreamKind::Engine(settings) = &upstream.kind {
                // The folder as well: a file may come or go.
                paths.push((Kind::Flows, settings.flows_dir.clone()));
                let files = engine::watched(&settings.flows_dir).unwrap_or_default();
                paths.extend(files.into_iter().map(|path| (Kind::Flows, path)));
            }
        }
        Self(
            paths
                .into_iter()
                .map(|(kind, path)| File { kind, stamp: stamp(&path), digest: contents(&path), path })
                .collect(),
        )
    }

    /// Looks again; the kinds of files whose content is another.
    pub(crate) fn changed(&mut self) -> BTreeSet<Kind> {
        let mut kinds = BTreeSet::new();
        for file in &mut self.0 {
            let now = stamp(&file.path);
            if now == file.stamp {
                continue;
            }
            file.stamp = now;
            let content = contents(&file.path);
            if content != file.digest {
                file.digest = content;
                kinds.insert(file.kind);
            }
        }
        kinds
    }

    /// The folders whose events tell of a change: of each file and of what it links to. A watch on the file itself
    /// would die with the first rename over it, and never see a Kubernetes `..data` swap.
    pub(crate) fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for file in &self.0 {
            let target = fs::canonicalize(&file.path).ok();
            if file.kind == Kind::Flows && file.path.is_dir() {
                folders.insert(file.path.clone());
            }
            for path in [Some(file.path.as_path()), target.as_deref()].into_iter().flatten() {
                if let Some(folder) = path.parent() {
                    folders.insert(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() });
                }
            }
        }
        folders
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

/// Of a folder: what is in it.
fn contents(path: &Path) -> Option<[u8; 32]> {
    let content = if fs::metadata(path).ok()?.is_dir() {
        format!("{:?}", engine::listed(path).ok()?).into_bytes()
    } else {
        fs::read(path).ok()?
    };
    digest(&SHA256, &content).as_ref().try_into().ok()
}
