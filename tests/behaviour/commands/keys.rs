//! `flowgate keys`, beside a gateway that runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use super::{ASK, PATH, err, flowgate, out, run, text_of};
use crate::harness::gateway::{Gateway, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, client, wait_for};

/// `flowgate keys` beside a running gateway.
struct Keys<'a>(&'a Gateway);

impl Keys<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let file = self.0.file("flowgate.yaml");
        flowgate().env("FLOWGATE_CONFIG", file).arg("keys").args(arguments).output().unwrap()
    }

    /// Runs a command that prints a secret: that, and nothing else, on one line.
    #[track_caller]
    fn secret(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let text = out(&output);
        let secret = text.strip_suffix('\n').expect("one line");
        assert!(secret.starts_with("fg_sk_") && secret.bytes().all(|byte| byte.is_ascii_graphic()), "{secret}");
        assert!(!err(&output).contains(secret));
        secret.to_owned()
    }

    fn status(&self, key: &str) -> u16 {
        client::post(self.0.http, PATH, &[("x-api-key", key)], ASK).status
    }

    #[track_caller]
    fn wait_status(&self, key: &str, status: u16) {
        wait_for(&format!("status {status}"), || (self.status(key) == status).then_some(()));
    }

    /// Whether any file beside the configuration holds that text.
    fn is_in_a_file(&self, text: &str) -> bool {
        let files = fs::read_dir(self.0.dir()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.is_file()).any(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).contains(text))
    }

    fn list(&self) -> serde_json::Value {
        serde_json::from_str(&out(&self.run(&["list", "--json"]))).expect("JSON")
    }
}

#[test]
fn keys_are_created_rotated_and_revoked_beside_a_running_gateway() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let keys = Keys(&gateway);
    let first = keys.secret(&["create", "--id", "mobile-app", "--chatflow", "support", "--expires-in", "90d"]);
    keys.wait_status(&first, 200);
    assert!(!keys.is_in_a_file(&first), "only the digest is kept");
    let mode = fs::metadata(gateway.file("keys.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "nobody else may read it: {mode:o}");
    let listed = keys.list();
    assert_eq!(listed[1]["id"], "mobile-app", "{listed}");
    assert_eq!((&listed[1]["state"], &listed[1]["plan"]), (&"active".into(), &"default".into()));
    assert_eq!(listed[1]["chatflows"], serde_json::json!(["support"]));
    assert!(!listed.to_string().contains(&first));

    let second = keys.secret(&["rotate", "mobile-app", "--grace", "1h"]);
    keys.wait_status(&second, 200);
    assert_eq!(keys.status(&first), 200, "the old secret works within the grace");
    assert!(keys.list()[1]["previous_until"].is_string());
    let third = keys.secret(&["rotate", "mobile-app", "--grace", "0"]);
    keys.wait_status(&third, 200);
    assert_eq!([keys.status(&first), keys.status(&second)], [401, 401]);

    let revoked = keys.run(&["revoke", "mobile-app"]);
    assert_eq!((revoked.status.code(), out(&revoked).as_str()), (Some(0), ""));
    keys.wait_status(&third, 401);
    assert_eq!(keys.status(KEY), 200);
    assert_eq!(keys.list()[1]["state"], "disabled");
    gateway.wait_metric(r#"flowgate_keys{state="disabled"}"#, 1.0);
    assert_eq!(keys.run(&["revoke", "mobile-app", "--delete"]).status.code(), Some(0));
    assert_eq!(keys.list().as_array().unwrap().len(), 1);
    let table = out(&keys.run(&["list"]));
    assert!(table.starts_with("ID ") && table.lines().nth(1).unwrap().starts_with("app "), "{table}");
}

#[test]
fn a_new_keys_file_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.yaml");
    let output = run(&["keys", "create", "--id", "app", "--file", text_of(&file)]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains(out(&output).trim()));
}

#[test]
fn the_command_that_makes_a_missing_keys_file_is_told() {
    let folder = super::folder();
    fs::remove_file(folder.path().join("keys.yaml")).unwrap();
    let config = folder.path().join("flowgate.yaml");
    let check = || run(&["check", "--config", text_of(&config)]);
    let told = err(&check());
    let command = told.split('`').nth(1).expect("a command");
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    assert_eq!(run(&arguments).status.code(), Some(0), "{told}");
    assert_eq!(check().status.code(), Some(0));
}

#[test]
fn what_cannot_be_done_to_a_key_is_said_and_changes_nothing() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let keys = Keys(&gateway);
    let before = fs::read_to_string(gateway.file("keys.yaml")).unwrap();
    for (arguments, said) in [
        (&["create", "--id", "app"][..], "there is a key `app` already"),
        (&["create", "--id", "a b"], "an id is"),
        (&["create", "--id", "new", "--plan", "golden"], "golden"),
        (&["create", "--id", "new", "--chatflow", "nowhere"], "nowhere"),
        (&["create", "--id", "new", "--expires-at", "2020-01-01T00:00:00Z"], "expired already"),
        (&["rotate", "nobody"], "there is no key `nobody`"),
        (&["revoke", "nobody"], "there is no key `nobody`"),
        (&["revoke", "app", "--delete"], "the last key"),
    ] {
        let output = keys.run(arguments);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
        assert_eq!(fs::read_to_string(gateway.file("keys.yaml")).unwrap(), before, "{arguments:?}");
    }
    assert_eq!(keys.status(KEY), 200);
}

#[test]
fn keys_created_at_the_same_time_are_all_there() {
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&simple(upstream.address));
    let keys = Keys(&gateway);
    let secrets: Vec<_> = std::thread::scope(|scope| {
        let creating: Vec<_> = (0..12)
            .map(|number| {
                let keys = &keys;
                scope.spawn(move || keys.secret(&["create", "--id", &format!("key-{number}")]))
            })
            .collect();
        creating.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(secrets.iter().collect::<BTreeSet<_>>().len(), 12);
    assert_eq!(keys.list().as_array().unwrap().len(), 13);
    for secret in &secrets {
        keys.wait_status(secret, 200);
    }
}
