//! The files that a configuration is made of, and whether they changed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::config::content::{self, MOST_DOCUMENT, MOST_EXPORT, MOST_KEYS, MOST_SETTINGS};
use crate::config::{Config, ConfigPart, SecretFile, UpstreamKind};
use crate::engine;

/// What was last seen of each file.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    all: BTreeMap<(ConfigPart, PathBuf), WatchedFile>,
    /// Where they lie; `None`: that may have changed.
    folders: Option<BTreeSet<PathBuf>>,
}

#[derive(Debug, Clone)]
struct WatchedFile {
    stamp: Option<Stamp>,
    digest: Option<[u8; 32]>,
}

/// Changes whenever a file is written or replaced, in every way files get replaced; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Files {
    /// The files behind a configuration that was just read, as they are now.
    pub(crate) fn of(config: &Config) -> Self {
        let mut files = Self { all: BTreeMap::new(), folders: None };
        files.follow([config], &[]);
        files
    }

    /// From now on these are the files: those behind the configurations, and those that are `named` by one that cannot be
    /// taken over. To be called before they are read: what changes in between is then seen as a change.
    pub(super) fn follow<'a>(&mut self, configs: impl IntoIterator<Item = &'a Config>, named: &[PathBuf]) {
        let mut before = std::mem::take(&mut self.all);
        let mut paths = HashSet::new();
        let mut add = |part: ConfigPart, path: &Path, read: Option<&SecretFile>| {
            // One that was read as part of the configuration is looked at as that, too.
            if !paths.insert(path.to_owned()) && read.is_none() {
                return;
            }
            let (key, file) = before
                .remove_entry(&(part, path.to_owned()))
                .unwrap_or_else(|| ((part, path.to_owned()), WatchedFile::new(part, path, read)));
            self.all.entry(key).or_insert(file);
        };
        for config in configs {
            add(ConfigPart::Config, &config.path, Some(&config.source));
            for file in &config.secret_files {
                add(ConfigPart::Secrets, &file.path, Some(file));
            }
            add(ConfigPart::Keys, &config.keys_file, None);
            for path in config.server.tls.iter().flat_map(|tls| {
                [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()].into_iter().flatten()
            }) {
                add(ConfigPart::Certificates, path, None);
            }
            for upstream in &config.upstreams {
                if let UpstreamKind::Engine(settings) = &upstream.kind {
                    // The folder as well: a file may come or go.
                    add(ConfigPart::Flows, &settings.flows_dir, None);
                    let files = engine::watched(&settings.flows_dir).unwrap_or_default();
                    for path in &files {
                        add(ConfigPart::Flows, path, None);
                    }
                }
            }
        }
        for path in named {
            add(ConfigPart::Config, path, None);
        }
        self.folders = None;
    }

    /// Each file, and what it is part of.
    pub(super) fn places(&self) -> impl Iterator<Item = &(ConfigPart, PathBuf)> {
        self.all.keys()
    }

    /// What tells whether that file has changed, as it was last seen.
    pub(super) fn stamp(&self, part: ConfigPart, path: &Path) -> Option<Stamp> {
        self.all.get(&(part, path.to_owned()))?.stamp
    }

    /// Looks again; the parts whose files have another content.
    pub(crate) fn changed(&mut self) -> BTreeSet<ConfigPart> {
        let mut parts = BTreeSet::new();
        for ((part, path), file) in &mut self.all {
            let now = stamp(path);
            // One that was read before it was first looked at has no stamp either; it may be gone since.
            if now == file.stamp && (now.is_some() || file.digest.is_none()) {
                continue;
            }
            self.folders = None;
            file.stamp = now;
            let content = contents(*part, path);
            if content != file.digest {
                file.digest = content;
                parts.insert(*part);
            }
        }
        parts
    }

    /// The folders whose events tell of a change: of each file and of what it links to. A watch on the file itself
    /// would die with the first rename over it, and never see a Kubernetes `..data` swap.
    pub(crate) fn folders(&mut self) -> &BTreeSet<PathBuf> {
        let all = &self.all;
        self.folders.get_or_insert_with(|| folders(all.keys()))
    }
}

fn folders<'a>(files: impl Iterator<Item = &'a (ConfigPart, PathBuf)>) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for (part, path) in files {
        let target = fs::canonicalize(path).ok();
        if *part == ConfigPart::Flows && path.is_dir() {
            folders.insert(path.clone());
        }
        for path in [Some(path.as_path()), target.as_deref()].into_iter().flatten() {
            if let Some(folder) = path.parent() {
                folders.insert(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() });
            }
        }
    }
    folders
}

pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

impl WatchedFile {
    /// As it is now; one that was read before, as it was then.
    fn new(part: ConfigPart, path: &Path, read: Option<&SecretFile>) -> Self {
        let (stamp, digest) = match read {
            Some(file) => (None, sha256(file.content())),
            None => (stamp(path), contents(part, path)),
        };
        Self { stamp, digest }
    }
}

/// Of a folder: what is in it; of what is not read: why.
fn contents(part: ConfigPart, path: &Path) -> Option<[u8; 32]> {
    if path.is_dir() {
        return sha256(format!("{:?}", engine::listed(path).ok()?).as_bytes());
    }
    match content::digest(path, most(part, path)) {
        Ok(digest) => Some(digest),
        Err(error) if content::is_refused(&error) => sha256(error.to_string().as_bytes()),
        Err(_) => None,
    }
}

/// As many bytes as are read of it.
fn most(part: ConfigPart, path: &Path) -> usize {
    match part {
        ConfigPart::Config | ConfigPart::Certificates | ConfigPart::Secrets => MOST_SETTINGS,
        ConfigPart::Keys => MOST_KEYS,
        ConfigPart::Flows if path.extension().is_some_and(|extension| extension == "json") => MOST_EXPORT,
        ConfigPart::Flows => MOST_DOCUMENT,
    }
}

fn sha256(content: &[u8]) -> Option<[u8; 32]> {
    digest(&SHA256, content).as_ref().try_into().ok()
}
