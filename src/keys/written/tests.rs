use super::*;
use crate::keys::{Denied, KeyStore, secret};

fn key(id: &str) -> Key {
    Key::new(id, secret::digest(id))
}

fn hex(secret: &str) -> String {
    secret::digest(secret).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// Which of the keys `a`, `b` and `c` still work under that file, in which `$a` is the digest of the secret `a`.
fn left(text: &str) -> String {
    let text =
        ["a", "b", "c", "x"].iter().fold(text.to_owned(), |text, name| text.replace(&format!("${name}"), &hex(name)));
    let before: KeyStore = ["a", "b", "c"].map(key).into_iter().collect();
    let after = match read(Path::new("keys.yaml"), &text) {
        Some(written) => before.without_revoked(&written),
        None => before,
    };
    let works = |id: &&str| after.find(&secret::digest(id), now).is_ok();
    ["a", "b", "c"].into_iter().filter(works).collect()
}

#[test]
fn a_mistake_in_one_item_keeps_no_other_key_alive() {
    for flawed in [
        "{ id: a, sha256: $a, plann: x }",
        "{ id: a, sha256: $a, plan: [x] }",
        "{ id: a, sha256: $a, upsert: maybe }",
        "{ id: a, sha256: $a, expires_at: tomorrow }",
        "{ id: a, sha256: $a, chatflows: [] }",
        "{ id: a, sha256: abc }",
        "{ id: a, sha256: 12 }",
        "{ id: a }",
        "{ id: 'not an id', sha256: $a }",
        "{ idd: a, sha256: $a }",
        "{ id: b, sha256: $a }",
        "{ id: a, sha256: $a, id: a }",
        "{ id: a, sha256: $a, previous: { sha256: abc } }",
    ] {
        let list = |more: &str| format!("keys:\n  - {{ id: b, sha256: $b }}\n  - {flawed}\n{more}");
        assert_eq!(left(&list("")), "ab", "{flawed}");
        assert_eq!(left(&list("  - { id: c, sha256: $c, enabled: false }\n")), "ab", "{flawed}");
        assert_eq!(left(&list("  - { id: c, sha256: $c }\n")), "abc", "{flawed}");
        assert_eq!(left(&list("  - { id: c, sha256: $x }\n")), "ab", "{flawed}");
        assert_eq!(left(&format!("foo: 1\n{}bar: 2\n", list(""))), "ab", "{flawed}");
    }
}

#[test]
fn a_key_is_revoked_in_an_item_that_has_other_mistakes() {
    let list = |item: &str| format!("keys:\n  - {{ id: b, sha256: $b }}\n  - {{ id: c, sha256: $c }}\n  - {item}\n");
    for item in [
        "{ id: a, sha256: $a, plann: x, enabled: false }",
        "{ id: a, sha256: abc, enabled: false }",
        "{ id: a, sha256: $a, enabled: no }",
        "{ id: a, sha256: $a, enabled: 'False' }",
        "{ id: a, sha256: $x, plann: x }",
        "{ id: a, sha256: $a, plann: x, expires_at: 1969-01-01T00:00:00Z }",
        "{ id: new, sha256: $a, plann: x }",
        "app",
        "[]",
    ] {
        assert_eq!(left(&list(item)), "bc", "{item}");
    }
}

#[test]
fn a_file_that_says_nothing_of_any_key_revokes_none() {
    for text in [
        "",
        "# nothing\n",
        "[]",
        "keys: []\n",
        "keys:\n",
        "keys: { id: a }\n",
        "kyes:\n  - { id: a, sha256: $a }\n",
        "keys:\n  - { id: a, sha256: 12 }\n",
        "keys:\n  - { id: a, secret: 12 }\n",
        "keys:\n  - { id: a, sha256: $a }\n  - { id: b",
        "keys:\n  - { id: a, sha256: $a }\n\t- b\n",
        "keys: [{ id: a, sha256: $a }]\nkeys: [{ id: b, sha256: $b }]\n",
    ] {
        assert_eq!(left(text), "abc", "{text}");
    }
}

#[test]
fn a_rotation_with_a_mistake_ends_as_it_says() {
    let text = |until: &str| {
        format!(
            "keys:\n  - {{ id: b, sha256: $b }}\n  - {{ id: a, sha256: $x, x: 1, previous: {{ sha256: $a, until: {until} }} }}\n"
        )
    };
    assert_eq!(left(&text("2999-01-01T00:00:00Z")), "ab");
    assert_eq!(left(&text("1969-01-01T00:00:00Z")), "b");
    assert_eq!(left(&text("tomorrow")), "ab");
}

#[test]
fn the_whole_list_counts_however_many_mistakes_are_in_it() {
    let mistakes = (0..300)
        .fold("keys:\n".to_owned(), |text, number| text + &format!("  - {{ id: k{number}, sha256: {number} }}\n"));
    assert_eq!(left(&format!("{mistakes}  - {{ id: c, sha256: $c }}\n")), "c");
}

#[test]
fn what_is_left_is_denied_as_what_it_became() {
    let before: KeyStore = [key("a")].into_iter().collect();
    let text = format!("keys:\n  - {{ id: a, sha256: {}, x: 1, enabled: false }}\n", hex("a"));
    let after = before.without_revoked(&read(Path::new("k"), &text).unwrap());
    assert_eq!(after.find(&secret::digest("a"), now), Err(Denied::Disabled));
}
