//! `flowgate keys revoke` where something else is wrong, and what it says.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::client;
use crate::harness::gateway::{BINARY, Gateway, keys, simple};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, sha256, wait_for};

fn run(config: Option<&Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.env_remove("FLOWGATE_CONFIG").args(["keys"]).args(arguments);
    config.map(|config| command.env("FLOWGATE_CONFIG", config));
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn two_keys() -> String {
    keys("") + &format!("  - {{ id: partner, sha256: {} }}\n", sha256("other-key-0123456789abcdef"))
}

fn is_disabled(file: &Path) -> bool {
    fs::read_to_string(file).unwrap().contains("enabled: false")
}

#[test]
fn a_typo_in_the_configuration_keeps_no_key_alive() {
    let upstream = Upstream::answering();
    let text = simple(upstream.address) + "keys_file: 'other keys.yaml'\n";
    for broken in [
        format!("{text}chatflows: [\n"),
        text.replace("upstream: flowise", "upstream: flowize"),
        text.replace("upstreams:", "upstreamz:"),
        text.replace("  support:", "\t support:"),
    ] {
        let gateway = Gateway::start_with(&text, "", |dir| fs::write(dir.join("other keys.yaml"), two_keys()).unwrap());
        let status = || {
            client::post(gateway.http, "/api/v1/prediction/support", &[("x-api-key", KEY)], r#"{"question":"hi"}"#)
                .status
        };
        assert_eq!(status(), 200);
        let config = gateway.file("flowgate.yaml");
        fs::write(&config, &broken).unwrap();
        let output = run(Some(&config), &["revoke", "app"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let file = gateway.file("other keys.yaml");
        assert!(said(&output).contains(&format!("the keys file is {}", file.display())), "{}", said(&output));
        assert!(said(&output).contains("flowgate.yaml:"), "it says what is wrong: {}", said(&output));
        wait_for("the refusal", || (status() == 401).then_some(()));
    }
}

#[test]
fn the_command_says_what_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let (config, file) = (folder.path().join("flowgate.yaml"), folder.path().join("keys.yaml"));
    fs::write(&config, simple("127.0.0.1:3000".parse().unwrap())).unwrap();
    let shown = |path: &Path| path.display().to_string();
    fs::write(&file, two_keys()).unwrap();
    let by_config = said(&run(Some(&config), &["revoke", "app"]));
    let expected = format!(
        "key `app` is disabled in {0}; a gateway that runs with {1}, if one runs, refuses it within 2 seconds\n",
        shown(&file),
        shown(&config)
    );
    assert_eq!(by_config, expected);
    let by_file = said(&run(None, &["revoke", "partner", "--delete", "--file", &shown(&file)]));
    let expected = format!(
        "key `partner` is deleted in {0}; a gateway whose keys_file is {0}, if one runs, refuses it within 2 seconds\n",
        shown(&file)
    );
    assert_eq!(by_file, expected);
}

#[test]
fn a_key_is_revoked_in_a_file_that_names_what_there_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (config, file) = (folder.path().join("flowgate.yaml"), folder.path().join("keys.yaml"));
    fs::write(&config, simple("127.0.0.1:3000".parse().unwrap())).unwrap();
    fs::write(&file, two_keys().replace(" }\n", ", plan: nowhere }\n")).unwrap();
    let output = run(Some(&config), &["revoke", "app"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(is_disabled(&file) && said(&output).contains("only what it revokes"), "{}", said(&output));
    // To make one, everything must be right.
    assert_eq!(run(Some(&config), &["create", "--id", "new"]).status.code(), Some(2));
}

#[test]
fn a_keys_file_that_cannot_be_known_must_be_named() {
    for text in [
        "{ keys_file: a.yaml, chatflows: [",
        "keys_file: a.yaml\nkeys_file: b.yaml\nx: [",
        "keys_file: ${NOT_SET_HERE}\n",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("flowgate.yaml");
        fs::write(&config, text).unwrap();
        for name in ["keys.yaml", "a.yaml", "b.yaml"] {
            fs::write(folder.path().join(name), two_keys()).unwrap();
        }
        let output = run(Some(&config), &["revoke", "app"]);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", said(&output));
        assert!(said(&output).contains("--file"), "{}", said(&output));
        for name in ["keys.yaml", "a.yaml", "b.yaml"] {
            assert!(!is_disabled(&folder.path().join(name)), "{text}");
        }
    }
}

#[test]
fn a_mistake_in_another_entry_keeps_no_key_alive() {
    let upstream = Upstream::answering();
    let other = "other-key-0123456789abcdef";
    let digest = sha256("third-key-0123456789abcdef");
    for flawed in [
        format!("{{ id: third, sha256: {digest}, plann: x }}"),
        "{ id: third, sha256: abc }".to_owned(),
        format!("{{ id: third, sha256: {digest}, expires_at: tomorrow }}"),
        format!("{{ id: third, sha256: {} }}", sha256(KEY)),
        format!("{{ id: app, sha256: {digest} }}"),
    ] {
        for (delete, enabled) in [(false, ""), (true, ""), (false, ", enabled: true")] {
            let gateway = Gateway::start_with(&simple(upstream.address), &two_keys(), |_| {});
            let status = |key| {
                let ask = r#"{"question":"hi"}"#;
                client::post(gateway.http, "/api/v1/prediction/support", &[("x-api-key", key)], ask).status
            };
            assert_eq!([status(KEY), status(other)], [200, 200]);
            let file = gateway.file("keys.yaml");
            let partner = format!("{{ id: partner, sha256: {}{enabled} }}", sha256(other));
            fs::write(&file, format!("{}  # ours\n  - {partner}\n  - {flawed} # sic\n", keys(""))).unwrap();
            let mut arguments = vec!["revoke", "partner"];
            arguments.extend(delete.then_some("--delete"));
            let output = run(Some(&gateway.file("flowgate.yaml")), &arguments);
            assert_eq!(output.status.code(), Some(0), "{flawed}: {}", said(&output));
            assert!(said(&output).contains("keys.yaml:5:") || delete, "it says what is wrong: {}", said(&output));
            wait_for("the refusal", || (status(other) == 401).then_some(()));
            assert_eq!(status(KEY), 200, "{flawed}");
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with(&format!("{}  # ours\n", keys(""))), "{text}");
            assert!(text.ends_with(&format!("  - {flawed} # sic\n")), "{text}");
        }
    }
}
