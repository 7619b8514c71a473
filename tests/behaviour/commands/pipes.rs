//! Commands whose words nobody reads, or that cannot be written.

use std::fs::{self, File};
use std::process::Stdio;

use super::{err, flowgate, folder, text_of};
use crate::harness::model;

/// A pipe whose reader has gone.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_goes_ends_a_command_quietly_and_changes_no_exit_code() {
    let folder = folder();
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    fs::write(folder.path().join("odd.json"), flow.replace("\"promptTemplate\"", "\"oddTemplate\"")).unwrap();
    fs::write(folder.path().join("flow.json"), flow).unwrap();
    for (arguments, code) in [
        (&["check"][..], 0),
        (&["flows", "check", "flow.json", "flow.json"], 0),
        (&["flows", "check", "odd.json"], 2),
        (&["flows", "check", "nowhere.json"], 2),
        (&["keys", "list"], 0),
        (&["keys", "list", "--json"], 0),
        (&["keys", "create", "--id", "new"], 0),
        (&["keys", "revoke", "nobody"], 2),
    ] {
        let file = folder.path().join("flowgate.yaml");
        let run = || {
            let mut command = flowgate();
            command.current_dir(folder.path()).env("FLOWGATE_CONFIG", text_of(&file)).args(arguments).stdout(unread());
            command
        };
        let output = run().output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
        let said = err(&output);
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{arguments:?}: {said}");
        if !arguments.contains(&"create") {
            assert_eq!(run().stderr(unread()).status().unwrap().code(), Some(code), "{arguments:?} 2>&1");
        }
    }
}

#[test]
fn what_cannot_be_written_is_told_with_code_1() {
    let folder = folder();
    let file = folder.path().join("flowgate.yaml");
    for arguments in [&["check"][..], &["keys", "list"], &["keys", "create", "--id", "new"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = flowgate();
        let output = command.env("FLOWGATE_CONFIG", text_of(&file)).args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", err(&output));
        assert!(err(&output).starts_with("stdout cannot be written: No space left"), "{arguments:?}: {}", err(&output));
    }
}
