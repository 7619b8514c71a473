use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use clap::Parser;

use super::*;
use crate::keys::{Denied, KeyStore, SecretSlot, secret};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: KeysCommand,
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("keys.yaml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn run(&self, line: &str) -> Result<Output, CommandError> {
        self.run_at(line, now())
    }

    fn run_at(&self, line: &str, now: Timestamp) -> Result<Output, CommandError> {
        let file = self.file();
        let place = CommandContext { file: &file, gateway: None, names: None };
        command(line).unwrap().run(&place, now)
    }

    fn store(&self) -> KeyStore {
        let names = AllowedNamesRef {
            plans: &["default".into(), "partner".into()],
            chatflows: &["support".into()],
            providers: &[],
            wildcard: false,
        };
        file::parse(&self.file(), &self.text(), Some(&names)).unwrap()
    }
}

fn command(line: &str) -> Result<KeysCommand, clap::Error> {
    Cli::try_parse_from(["keys"].into_iter().chain(line.split_whitespace())).map(|cli| cli.command)
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn key_of(output: &Output) -> &str {
    output.stdout.expose().strip_suffix('\n').unwrap()
}

#[test]
fn create_makes_the_file_and_prints_the_key_alone() {
    let folder = Folder::new();
    let output = folder
        .run("create --id app --plan partner --chatflow support --allowed-ip 10.0.0.0/8 --expires-in 90d --upsert")
        .unwrap();
    assert!(secret::has_valid_checksum(key_of(&output)));
    assert!(output.stderr.contains("`app`") && !output.stderr.contains("fg_"));
    assert!(!format!("{output:?}").contains("fg_sk"));
    assert!(folder.text().starts_with(HEADER) && !folder.text().contains("fg_sk"));
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
    let store = folder.store();
    let found = store.find(&secret::digest(key_of(&output)), now).unwrap();
    let key = store.key(found.index).unwrap();
    assert_eq!((key.plan, key.upsert, key.may_call("sales")), (1, true, false));
    assert_eq!(key.expires_at.unwrap(), "2026-08-30T12:00:00Z".parse().unwrap());
}

#[test]
fn an_id_is_given_once() {
    let folder = Folder::new();
    folder.run("create --id app").unwrap();
    let before = folder.text();
    assert!(matches!(folder.run("create --id app"), Err(CommandError::IdTaken(_))));
    assert_eq!(folder.text(), before);
}

#[test]
fn both_secrets_work_during_a_rotation() {
    let folder = Folder::new();
    let old = folder.run("create --id app").unwrap();
    fs::write(folder.file(), folder.text().replace("id: app", "id: app # of the shop")).unwrap();
    let new = folder.run("rotate app --grace 72h").unwrap();
    assert!(folder.text().contains("id: app # of the shop\n") && folder.text().starts_with(HEADER));
    let (store, hour) = (folder.store(), SignedDuration::from_hours(1));
    let old = secret::digest(key_of(&old));
    assert_eq!(store.find(&old, || now() + hour * 71).unwrap().slot, SecretSlot::Previous);
    assert_eq!(store.find(&old, || now() + hour * 72), Err(Denied::Expired));
    assert_eq!(store.find(&secret::digest(key_of(&new)), now).unwrap().slot, SecretSlot::Current);
    let newest = folder.run("rotate app --grace 0").unwrap();
    let store = folder.store();
    assert_eq!(store.find(&secret::digest(key_of(&new)), now), Err(Denied::Unknown));
    assert!(store.find(&secret::digest(key_of(&newest)), now).is_ok());
    assert!(!folder.text().contains("previous"));
}

#[test]
fn a_revoked_key_is_denied_and_the_last_one_is_not_deleted() {
    let folder = Folder::new();
    let output = folder.run("create --id app").unwrap();
    let digest = secret::digest(key_of(&output));
    assert!(matches!(folder.run("revoke app --delete"), Err(CommandError::LastKey(_))));
    folder.run("revoke app").unwrap();
    folder.run("revoke app").unwrap();
    assert_eq!(folder.store().find(&digest, now), Err(Denied::Disabled));
    folder.run("create --id other-app").unwrap();
    folder.run("revoke app --delete").unwrap();
    assert_eq!(folder.store().find(&digest, now), Err(Denied::Unknown));
    assert_eq!(folder.store().keys().len(), 1);
    assert!(matches!(folder.run("revoke app"), Err(CommandError::NoSuchKey(_))));
}

#[test]
fn list_shows_states_and_no_digests() {
    let folder = Folder::new();
    folder.run("create --id app --chatflow support --chatflow sales").unwrap();
    folder.run("create --id short --expires-at 2026-06-02T00:00:00Z").unwrap();
    folder.run("create --id gone --publishable --origin https://app.example.com").unwrap();
    folder.run("rotate app").unwrap();
    folder.run("revoke gone").unwrap();
    let later = now() + SignedDuration::from_hours(24);
    let table = folder.run_at("list", later).unwrap();
    let expected = "\
ID     STATE     KIND         PLAN     CHATFLOWS      EXPIRES               OLD SECRET UNTIL
app    active    secret       default  support,sales  never                 2026-06-04T12:00:00Z
short  expired   secret       default  all            2026-06-02T00:00:00Z  -
gone   disabled  publishable  default  all            never                 -
";
    assert_eq!(table.stdout.expose(), expected);
    let json = folder.run_at("list --json", later).unwrap();
    let rows: serde_json::Value = serde_json::from_str(json.stdout.expose()).unwrap();
    assert_eq!(rows[0]["chatflows"], serde_json::json!(["support", "sales"]));
    assert_eq!((&rows[1]["state"], &rows[1]["chatflows"]), (&"expired".into(), &serde_json::Value::Null));
}

#[test]
fn writers_at_once_lose_nothing() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for thread in ["a", "b"] {
            let folder = &folder;
            scope.spawn(move || {
                for number in 0..50 {
                    folder.run(&format!("create --id {thread}{number}")).unwrap();
                }
            });
        }
    });
    assert_eq!(folder.store().keys().len(), 100);
}

#[test]
fn a_broken_file_is_not_written_to() {
    let folder = Folder::new();
    for broken in ["keys:\n  - id: a\n    sha2", "keys:\n  - id: a\n    sha256: 12\n", "[]"] {
        fs::write(folder.file(), broken).unwrap();
        for line in ["create --id new", "rotate a", "revoke a", "list"] {
            assert!(matches!(folder.run(line), Err(CommandError::Invalid(_))), "{line}");
        }
        assert_eq!(folder.text(), broken);
    }
}

#[test]
fn an_empty_file_gets_its_first_key() {
    let folder = Folder::new();
    fs::write(folder.file(), "").unwrap();
    folder.run("create --id app").unwrap();
    assert_eq!(folder.store().keys().len(), 1);
}

#[test]
fn unknown_names_are_refused_where_names_are_known() {
    let folder = Folder::new();
    let names = AllowedNamesRef { plans: &["default".into()], chatflows: &[], providers: &[], wildcard: false };
    let file = folder.file();
    let place = CommandContext { file: &file, gateway: None, names: Some(names) };
    let result = command("create --id app --plan gold").unwrap().run(&place, now());
    assert!(matches!(result, Err(CommandError::Invalid(_))));
    assert!(!folder.file().exists());
}

#[test]
fn a_missing_file_is_named() {
    let folder = Folder::new();
    for line in ["list", "rotate a", "revoke a"] {
        assert!(matches!(folder.run(line), Err(CommandError::NoFile(_))), "{line}");
    }
}

#[test]
fn arguments_are_checked() {
    for bad in [
        "create",
        "create --id a/b",
        "create --id other",
        "create --id a --allowed-ip 10.0.0.0/99",
        "create --id a --expires-in 90",
        "create --id a --expires-in -1d",
        "create --id a --expires-in 9999999999999999999d",
        "create --id a --expires-at tomorrow",
        "create --id a --expires-in 1d --expires-at 2027-01-31T00:00:00Z",
        "rotate a --grace never",
        "revoke",
    ] {
        assert!(command(bad).is_err(), "{bad}");
    }
    let folder = Folder::new();
    for (line, expected) in [
        ("create --id a --expires-in 0", "the key would have expired already"),
        ("create --id a --expires-at 2020-01-31T00:00:00Z", "the key would have expired already"),
        ("create --id a --expires-in 99999999d", "the time is too far in the future"),
    ] {
        assert_eq!(folder.run(line).unwrap_err().to_string(), expected);
    }
    assert_eq!(command("list --file x.yaml").unwrap().file(), Some(Path::new("x.yaml")));
}

#[test]
fn times_are_whole_seconds() {
    let now: Timestamp = "2026-06-01T12:00:00.5Z".parse().unwrap();
    assert_eq!(after(now, SignedDuration::from_secs(1)).unwrap(), "2026-06-01T12:00:02Z".parse().unwrap());
    assert_eq!(duration("2w").unwrap(), SignedDuration::from_hours(336));
}

/// What becomes of a file with a mistake in another entry, `$A` and `$B` being digests.
fn revoked(text: &str, line: &str) -> Result<String, CommandError> {
    let folder = Folder::new();
    let text = text.replace("$A", &"ab".repeat(32)).replace("$B", &"cd".repeat(32));
    fs::write(folder.file(), text).unwrap();
    folder.run(line).map(|_| folder.text().replace(&"ab".repeat(32), "$A").replace(&"cd".repeat(32), "$B"))
}

#[test]
fn a_key_is_revoked_beside_mistakes_however_it_is_written() {
    let flawed = "  - { id: b, sha256: $B, plann: x }\n";
    for (before, after) in [
        ("  - id: a # x\n    sha256: $A # y\n", "  - id: a # x\n    sha256: $A # y\n    enabled: false\n"),
        ("  - id: a\n    enabled: true # y\n    sha256: $A\n", "  - id: a\n    enabled: false # y\n    sha256: $A\n"),
        ("  - id: a\n    \"sha256\": $A\n", "  - enabled: false\n    id: a\n    \"sha256\": $A\n"),
        ("  - { id: a, sha256: $A }\n", "  - { enabled: false, id: a, sha256: $A }\n"),
        ("  - { id: a, enabled: true, sha256: $A }\n", "  - { id: a, enabled: false, sha256: $A }\n"),
        ("  -\n    id: a\n    sha256: $A\n", "  -\n    enabled: false\n    id: a\n    sha256: $A\n"),
        // Its own mistakes as well.
        ("  - id: a\n    sha256: $A\n    plann: x\n", "  - id: a\n    sha256: $A\n    enabled: false\n    plann: x\n"),
        (
            "  - { id: a, sha256: $A }\n  - { id: a, sha256: 12 }\n",
            "  - { enabled: false, id: a, sha256: $A }\n  - { enabled: false, id: a, sha256: 12 }\n",
        ),
    ] {
        for (text, expected) in [
            (format!("keys:\n{before}{flawed}"), format!("keys:\n{after}{flawed}")),
            (format!("foo: 1\nkeys:\n{flawed}{before}"), format!("foo: 1\nkeys:\n{flawed}{after}")),
        ] {
            assert_eq!(revoked(&text, "revoke a").unwrap(), expected);
        }
    }
    let json =
        "{ \"keys\": [{ \"id\": \"a\", \"sha256\": \"$A\" }, { \"id\": \"b\", \"sha256\": \"$B\", \"x\": 1 }] }\n";
    assert_eq!(
        revoked(json, "revoke a").unwrap(),
        json.replacen("[{ ", "[{ enabled: false, ", 1).replacen("{  ", "{ ", 1)
    );
}

#[test]
fn of_a_file_with_mistakes_something_must_be_left() {
    let text = "keys:\n  - { id: a, sha256: $A }\n  - { id: b, sha256: 12 }\n";
    assert!(matches!(revoked(text, "revoke a --delete"), Err(CommandError::LastKey(_))));
    assert_eq!(revoked(text, "revoke b --delete").unwrap(), "keys:\n  - { id: a, sha256: $A }\n");
    assert!(matches!(revoked(text, "revoke c"), Err(CommandError::Invalid(_))));
    assert!(matches!(revoked(text, "rotate a"), Err(CommandError::Invalid(_))));
}
