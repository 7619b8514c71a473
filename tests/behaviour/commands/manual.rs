//! Manual pages and completions.

use std::fs;

use super::{err, out, run, text_of};

#[test]
fn there_is_a_page_for_each_command() {
    let page = out(&run(&["man"]));
    assert!(page.contains(".TH flowgate 1") && page.contains("flowgate\\-serve(1)"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let made = run(&["man", "--out", text_of(&pages)]);
    assert_eq!((made.status.code(), out(&made)), (Some(0), String::new()), "{}", err(&made));
    for name in ["flowgate", "flowgate-serve", "flowgate-check", "flowgate-keys", "flowgate-keys-revoke"] {
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let folder = fs::File::create(folder.path().join("file")).map(|_| folder.path().join("file/man")).unwrap();
    let failed = run(&["man", "--out", text_of(&folder)]);
    assert_eq!(failed.status.code(), Some(1), "{}", err(&failed));
}

#[test]
fn completions_know_every_command() {
    for (shell, words) in [
        ("bash", ["complete -F _flowgate", "keys", "revoke", "--config"]),
        ("zsh", ["#compdef flowgate", "keys", "revoke", "--config"]),
        ("fish", ["complete -c flowgate", "keys", "revoke", "-l config"]),
    ] {
        let script = out(&run(&["completions", shell]));
        for word in words {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "cmd"]).status.code(), Some(2));
}
