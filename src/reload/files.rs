//! The files that a configuration is made of, and whether they changed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::config::{Config, Part, SecretFile, UpstreamKind};
use crate::engine;

/// What was last seen of each file.
#[derive(Debug, Clone)]
pub(crate) struct Files(Vec<File>);

#[derive(Debug, Clone)]
struct File {
    part: Part,
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
    /// The files behind a configuration that was just read, as they are now.
    pub(crate) fn of(config: &Config) -> Self {
        let mut files = Self(Vec::new());
        files.follow([config], &[]);
        files
    }

    /// From now on these are the files: those behind the configurations, and those that are `named` by one that cannot be
    /// taken over. To be called before they are read: what changes in between is then seen as a change.
    pub(super) fn follow<'a>(&mut self, configs: impl IntoIterator<Item = &'a Config>, named: &[PathBuf]) {
        let mut before = std::mem::take(&mut self.0);
        let mut add = |part: Part, path: &Path, read: Option<&SecretFile>| {
            if self.0.iter().any(|file| file.path == *path && (file.part == part || read.is_none())) {
                return;
            }
            let known = before.iter().position(|file| file.part == part && file.path == *path);
            self.0.push(known.map_or_else(|| File::new(part, path, read), |known| before.swap_remove(known)));
        };
        for config in configs {
            add(Part::Config, &config.path, Some(&config.source));
            for file in &config.secret_files {
                add(Part::Secrets, &file.path, Some(file));
            }
            add(Part::Keys, &config.keys_file, None);
            for path in config.server.tls.iter().flat_map(|tls| {
                [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()].into_iter().flatten()
            }) {
                add(Part::Certificates, path, None);
            }
            for upstream in &config.upstreams {
                if let UpstreamKind::Engine(settings) = &upstream.kind {
                    // The folder as well: a file may come or go.
                    add(Part::Flows, &settings.flows_dir, None);
                    let files = engine::watched(&settings.flows_dir).unwrap_or_default();
                    for path in &files {
                        add(Part::Flows, path, None);
                    }
                }
            }
        }
        for path in named {
            add(Part::Config, path, None);
        }
    }

    /// Looks again; the parts whose files have another content.
    pub(crate) fn changed(&mut self) -> BTreeSet<Part> {
        let mut parts = BTreeSet::new();
        for file in &mut self.0 {
            let now = stamp(&file.path);
            // One that was read before it was first looked at has no stamp either; it may be gone since.
            if now == file.stamp && (now.is_some() || file.digest.is_none()) {
                continue;
            }
            file.stamp = now;
            let content = contents(&file.path);
            if content != file.digest {
                file.digest = content;
                parts.insert(file.part);
            }
        }
        parts
    }

    /// The folders whose events tell of a change: of each file and of what it links to. A watch on the file itself
    /// would die with the first rename over it, and never see a Kubernetes `..data` swap.
    pub(crate) fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        for file in &self.0 {
            let target = fs::canonicalize(&file.path).ok();
            if file.part == Part::Flows && file.path.is_dir() {
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

impl File {
    /// As it is now; one that was read before, as it was then.
    fn new(part: Part, path: &Path, read: Option<&SecretFile>) -> Self {
        let (stamp, digest) = match read {
            Some(file) => (None, digest(&SHA256, file.content()).as_ref().try_into().ok()),
            None => (stamp(path), contents(path)),
        };
        Self { part, path: path.to_owned(), stamp, digest }
    }
}

/// Of a folder: what is in it.
fn contents(path: &Path) -> Option<[u8; 32]> {
    let mut content = Context::new(&SHA256);
    if fs::metadata(path).ok()?.is_dir() {
        content.update(format!("{:?}", engine::listed(path).ok()?).as_bytes());
    } else {
        let mut file = BufReader::with_capacity(64 * 1024, fs::File::open(path).ok()?);
        loop {
            let read = file.fill_buf().ok()?;
            if read.is_empty() {
                break;
            }
            content.update(read);
            let length = read.len();
            file.consume(length);
        }
    }
    content.finish().as_ref().try_into().ok()
}
