//! Who changed which key, when, and from where: a line of JSON for each change that `flowgate keys` makes, in a file
//! beside the keys file.
//!
//! The line is written before the change is, under the lock of the keys file, and holds the digest of the file that it
//! makes: so a gateway that takes the file over can tell whose change it was, and a change by other means is seen to be
//! one. It holds no secret. The file is bounded: a full one is kept as `.1`, and begins anew.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use super::disk;
use crate::config::content;

/// Bytes of a full file: some 10,000 changes.
const MOST_BYTES: u64 = 4 << 20;
/// How far back a gateway looks.
const TAIL: u64 = 64 << 10;
/// Of what the environment says: longer values are cut.
const LONGEST: usize = 256;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct AuditEntry {
    /// In RFC 3339.
    time: String,
    /// `create`, `rotate`, `revoke`.
    command: String,
    key: String,
    /// What it did, in words.
    change: String,
    #[serde(flatten)]
    by: ChangeAuthor,
    /// SHA-256 of the keys file as the change made it.
    file_sha256: String,
    /// The change was not made after all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
}

/// Who runs a command, as far as the system and the environment tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ChangeAuthor {
    /// Who logged in, if the kernel knows, else who called sudo, else the user that runs the command.
    by: String,
    uid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sudo_user: Option<String>,
    host: String,
    /// The address from which they came over SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tty: Option<String>,
}

impl ChangeAuthor {
    /// Of this process.
    fn here() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(short);
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let uid = rustix::process::getuid().as_raw();
        let name = |uid: u32| name_of(&passwd, uid).unwrap_or_else(|| uid.to_string());
        // Set at log-in, and the same after sudo; all ones where nobody has logged in.
        let login = fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
        let login = login.filter(|login| *login != u32::MAX).map(name);
        let sudo_user = variable("SUDO_USER");
        let tty = fs::read_link("/proc/self/fd/2")
            .ok()
            .filter(|path| path.starts_with("/dev/pts") || path.starts_with("/dev/tty"));
        Self {
            by: login.or_else(|| sudo_user.clone()).unwrap_or_else(|| name(uid)),
            uid,
            sudo_user,
            host: fs::read_to_string("/proc/sys/kernel/hostname")
                .map(|name| short(name.trim().into()))
                .unwrap_or_default(),
            from: variable("SSH_CONNECTION").and_then(|value| value.split(' ').next().map(str::to_owned)),
            tty: tty.map(|path| path.to_string_lossy().into_owned()),
        }
    }

    /// For the gateway's log.
    fn told(&self) -> String {
        match &self.from {
            Some(from) => format!("{} on {} from {from}", self.by, self.host),
            None => format!("{} on {}", self.by, self.host),
        }
    }
}

fn short(mut value: String) -> String {
    let end = (0..=LONGEST).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    value.truncate(end);
    value
}

/// The user's name in the text of `/etc/passwd`.
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let found =
        passwd.lines().map(fields).find(|fields| fields.get(2).is_some_and(|field| *field == uid.to_string()))?;
    found.into_iter().next()
}

/// Where changes of that keys file are told: `keys.yaml` has `keys.audit.jsonl`.
pub(crate) fn path(keys_file: &Path) -> PathBuf {
    // A link is kept, and what it points to is replaced.
    fs::canonicalize(keys_file).unwrap_or_else(|_| keys_file.to_owned()).with_extension("audit.jsonl")
}

/// A change that is about to be made.
pub(crate) struct PlannedChange<'a> {
    command: &'static str,
    key: &'a str,
    change: String,
    by: ChangeAuthor,
    now: Timestamp,
}

impl<'a> PlannedChange<'a> {
    /// By whoever runs this process.
    pub(crate) fn here(command: &'static str, key: &'a str, change: String, now: Timestamp) -> Self {
        Self { command, key, change, by: ChangeAuthor::here(), now }
    }

    /// The line, for a keys file that will have that text.
    pub(crate) fn entry(self, text: &str) -> AuditEntry {
        let Self { command, key, change, by, now } = self;
        AuditEntry {
            time: now.to_string(),
            command: command.to_owned(),
            key: key.to_owned(),
            change,
            by,
            file_sha256: hex(text.as_bytes()),
            failed: false,
        }
    }
}

impl AuditEntry {
    /// The same, of a change that failed.
    pub(crate) fn failed(self) -> Self {
        Self { failed: true, ..self }
    }

    /// Adds it to the file beside that keys file. Who may read the one may read the other.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn append(&self, keys_file: &Path) -> io::Result<()> {
        let path = path(keys_file);
        if fs::metadata(&path).is_ok_and(|file| file.len() >= MOST_BYTES) {
            fs::rename(&path, path.with_extension("jsonl.1"))?;
        }
        let mut file =
            OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(disk::in_place()).open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        if let (Ok(keys), Ok(this)) = (fs::metadata(keys_file), file.metadata())
            && this.len() == 0
        {
            // Run by root, the gateway's user must be able to read it.
            if (keys.uid(), keys.gid()) != (this.uid(), this.gid()) {
                fchown(&file, Some(keys.uid()), Some(keys.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(keys.mode() & 0o640 | 0o600))?;
        }
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        // In one piece: a crash leaves a whole line or none.
        file.write_all(&line)?;
        file.sync_all()
    }
}

/// Who made the changes of those keys that led to the keys file as it is; `None`: it was changed by other means.
pub(crate) fn authors<'a>(keys_file: &Path, ids: impl Iterator<Item = &'a str>) -> Option<String> {
    let now = hex(&fs::read(keys_file).ok()?);
    let mut ids: BTreeSet<&str> = ids.collect();
    let entries = tail(&path(keys_file)).ok()?;
    let mut told: Vec<String> = Vec::new();
    let since = entries.iter().rposition(|entry| entry.file_sha256 == now && !entry.failed)?;
    for entry in entries.get(..=since)?.iter().rev().filter(|entry| !entry.failed) {
        // The newest of each key.
        if ids.remove(entry.key.as_str()) && !told.contains(&entry.by.told()) {
            told.push(entry.by.told());
        }
    }
    (!told.is_empty()).then(|| told.join(", "))
}

/// The last lines of the file; those that cannot be read are left out.
fn tail(path: &Path) -> io::Result<Vec<AuditEntry>> {
    content::check(path, usize::MAX)?;
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn hex(text: &[u8]) -> String {
    digest(&SHA256, text).as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned<'a>(key: &'a str, by: &str) -> PlannedChange<'a> {
        let by = ChangeAuthor {
            by: by.into(),
            host: "gw".into(),
            from: Some("192.0.2.7".into()),
            ..ChangeAuthor::default()
        };
        PlannedChange { command: "revoke", key, change: "disabled".into(), by, now: Timestamp::UNIX_EPOCH }
    }

    fn made(file: &Path, key: &str, by: &str, text: &str) {
        planned(key, by).entry(text).append(file).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn whose_change_it_was_is_told_only_of_the_file_that_it_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.yaml");
        fs::write(&file, "zero").unwrap();
        assert_eq!(authors(&file, ["a"].into_iter()), None);
        made(&file, "a", "alice", "one");
        made(&file, "b", "bob", "two");
        assert_eq!(authors(&file, ["b"].into_iter()).unwrap(), "bob on gw from 192.0.2.7");
        assert_eq!(
            authors(&file, ["a", "b", "c"].into_iter()).unwrap(),
            "bob on gw from 192.0.2.7, alice on gw from 192.0.2.7"
        );
        fs::write(&file, "by hand").unwrap();
        assert_eq!(authors(&file, ["a"].into_iter()), None);
        planned("a", "eve").entry("by hand").failed().append(&file).unwrap();
        assert_eq!(authors(&file, ["a"].into_iter()), None, "a change that was not made");
        assert_eq!(fs::metadata(path(&file)).unwrap().mode() & 0o137, 0);
    }

    #[test]
    fn a_link_in_its_place_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (folder.path().join("keys.yaml"), folder.path().join("elsewhere"));
        fs::write(&file, "zero").unwrap();
        for there in [Some("precious"), None] {
            let _ = fs::remove_file(&elsewhere);
            there.inspect(|text| fs::write(&elsewhere, text).unwrap());
            std::os::unix::fs::symlink(&elsewhere, path(&file)).unwrap();
            assert!(planned("a", "alice").entry("one").append(&file).is_err());
            assert_eq!(fs::read_to_string(&elsewhere).ok().as_deref(), there);
            fs::remove_file(path(&file)).unwrap();
        }
    }

    #[test]
    fn the_file_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.yaml");
        fs::write(path(&file), vec![b'x'; usize::try_from(MOST_BYTES).unwrap()]).unwrap();
        made(&file, "a", "alice", "one");
        assert_eq!(fs::metadata(folder.path().join("keys.audit.jsonl.1")).unwrap().len(), MOST_BYTES);
        assert_eq!(fs::read_to_string(path(&file)).unwrap().lines().count(), 1);
        assert!(authors(&file, ["a"].into_iter()).is_some());
    }

    #[test]
    fn names_come_from_the_systems_list() {
        let passwd = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(name_of(passwd, 1001), None);
        let here = ChangeAuthor::here();
        assert!(!here.by.is_empty() && here.uid == rustix::process::getuid().as_raw());
        assert_eq!(short("é".repeat(200)).len(), LONGEST);
    }
}
