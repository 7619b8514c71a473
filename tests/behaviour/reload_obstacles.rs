//! Files that are none, or that are far too large or too many: they hold up nothing, a revocation least of all.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::harness::client;
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::tls::Authority;
use crate::harness::{KEY, model, sha256, wait_for};

const ASK: &str = r#"{"question":"hi"}"#;
const OTHER: &str = "other-key-0123456789abcdef";

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn two_keys() -> String {
    format!("{}  - {{ id: partner, sha256: {} }}\n", keys(""), sha256(OTHER))
}

fn status(gateway: &Gateway, key: &str) -> u16 {
    client::post(gateway.http, "/api/v1/prediction/support", &[("x-api-key", key)], ASK).status
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn start(prepare: impl FnOnce(&Path)) -> Gateway {
    let model = model::saying("fine");
    let flow = model::export("llm-chain", model.address);
    let gateway = Gateway::start_with(&model::config("", "", ""), &two_keys(), |dir| {
        model::write(dir, "support", &flow);
        prepare(dir);
    });
    // One that cannot be reached answers as well: what counts is who is let in.
    assert_ne!(status(&gateway, OTHER), 401);
    gateway
}

/// The key `partner` is revoked, `app` is not, and the gateway ends when it is asked to.
fn revokes_and_ends(mut gateway: Gateway, what: &str) {
    gateway.write("keys.yaml", keys(""));
    wait_for(&format!("the refusal beside {what}"), || (status(&gateway, OTHER) == 401).then_some(()));
    assert_ne!(status(&gateway, KEY), 401, "{what}");
    // One that waits must not keep a later signal from being heard.
    gateway.signal("HUP");
    gateway.signal("TERM");
    assert!(gateway.wait().success(), "{what}");
}

#[test]
fn what_is_no_file_holds_up_nothing() {
    type Obstacle = (&'static str, fn(&Path), &'static str, &'static str);
    let obstacles: [Obstacle; 6] = [
        ("a pipe that no chatflow needs", |dir| pipe(&dir.join("flows/idle.json")), "idle.json", "found a pipe"),
        (
            "a device that no chatflow needs",
            |dir| symlink("/dev/zero", dir.join("flows/idle.json")).unwrap(),
            "idle.json",
            "found a device",
        ),
        (
            "a file with holes",
            |dir| File::create(dir.join("flows/idle.json")).unwrap().set_len(20 << 30).unwrap(),
            "idle.json",
            "larger than 256 MiB",
        ),
        (
            "a flow that becomes a pipe",
            |dir| {
                pipe(&dir.join("pipe"));
                fs::rename(dir.join("pipe"), dir.join("flows/support.json")).unwrap();
            },
            "support.json",
            "found a pipe",
        ),
        (
            "a credential that is a pipe",
            |dir| {
                pipe(&dir.join("secret"));
                replace(&dir.join("flowgate.yaml"), model::MODEL_KEY, "{ file: secret }");
            },
            "openAIApiKey",
            "found a pipe",
        ),
        (
            "a certificate that is a pipe",
            |dir| {
                Authority::new().write_into(dir);
                fs::remove_file(dir.join("tls.crt")).unwrap();
                pipe(&dir.join("tls.crt"));
                let listen = "server: { tls: { listen: '127.0.0.1:0', cert_file: tls.crt },";
                replace(&dir.join("flowgate.yaml"), "server: {", listen);
            },
            "cert_file",
            "found a pipe",
        ),
    ];
    for (what, put, place, reason) in obstacles {
        let gateway = start(|_| {});
        put(gateway.dir());
        gateway.log_line(|line| {
            line["problem"].as_str().is_some_and(|told| told.contains(place) && told.contains(reason))
        });
        revokes_and_ends(gateway, what);
    }
}

#[test]
fn a_pipe_beside_a_flow_holds_up_nothing() {
    let gateway = start(|_| {});
    fs::create_dir(gateway.file("flows/support")).unwrap();
    pipe(&gateway.file("flows/support/data.csv"));
    revokes_and_ends(gateway, "a pipe in a flow's folder");
}

#[test]
fn many_files_beside_a_flow_hold_up_nothing() {
    let gateway = start(|dir| {
        fs::create_dir(dir.join("flows/support")).unwrap();
        for number in 0..10_000 {
            fs::write(dir.join(format!("flows/support/{number}.txt")), "x").unwrap();
        }
    });
    revokes_and_ends(gateway, "many files");
}

#[test]
fn commands_say_what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    pipe(&folder.path().join("pipe"));
    File::create(folder.path().join("large")).unwrap().set_len(20 << 30).unwrap();
    for (arguments, said) in [
        (["check", "--config", "pipe"].as_slice(), "pipe: expected a file, found a pipe"),
        (&["check", "--config", "large"], "large: the file is larger than 16 MiB"),
        (&["flows", "check", "pipe"], "pipe: expected a file, found a pipe"),
        (&["flows", "check", "large"], "large: the file is larger than 256 MiB"),
        (&["keys", "list", "--file", "pipe"], "pipe cannot be read: expected a file, found a pipe"),
        (&["keys", "revoke", "app", "--file", "large"], "large cannot be read: the file is larger than 128 MiB"),
    ] {
        let mut command = Command::new(BINARY);
        let output = command.env_remove("FLOWGATE_CONFIG").current_dir(folder.path()).args(arguments).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(said), "{arguments:?}: {told}");
    }
}
