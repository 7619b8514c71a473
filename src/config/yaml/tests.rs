use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: At<String>,
    secret: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    upsert: bool,
    plan: Option<At<String>>,
    #[serde(default)]
    vars: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Secret,
    Publishable,
}

fn keys(text: &str) -> Result<Keys, Vec<String>> {
    match read(Path::new("k.yaml"), text) {
        (Some(keys), problems) if problems.is_empty() => Ok(keys),
        (_, problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn mistake(text: &str) -> String {
    let problems = keys(text).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.concat()
}

#[test]
fn plain_and_located_fields_are_read() {
    let text = "keys:\n  - id: a\n    secret: \"1\"\n    kind: publishable\n    upsert: true\n    plan: b\n    vars: { n: -1, l: [x, null, 1.5] }\n";
    let Key { id, secret, kind, upsert, plan, vars } = keys(text).unwrap().keys.remove(0);
    assert_eq!((id.value.as_str(), id.at(), id.field.as_str()), ("a", (2, 9), "keys[0].id"));
    assert_eq!((secret.as_str(), kind, upsert), ("1", Kind::Publishable, true));
    assert_eq!(plan.map(|plan| plan.at()), Some((6, 11)));
    assert_eq!(serde_json::to_string(&vars).unwrap(), r#"{"l":["x",null,1.5],"n":-1}"#);
}

#[test]
fn null_is_no_value_and_an_empty_section_is_empty() {
    assert_eq!(keys("keys:\n  - { id: a, secret: b, plan: null, vars: }\n").unwrap().keys[0].plan, None);
}

#[test]
fn an_empty_document_is_said_to_be_empty() {
    for text in ["", "\n", "# nothing\n", "---\n", "null\n", "~"] {
        assert_eq!(mistake(text), "k.yaml: the file is empty", "{text:?}");
    }
}

#[test]
fn mistakes_have_a_place_a_field_and_our_words() {
    for (text, expected) in [
        ("keys: 5\n", "k.yaml:1:7: keys: expected a list, found a number"),
        ("- a\n", "k.yaml:1:1: expected a map of keys, found a list"),
        ("keys:\n  - { id: a }\n", "k.yaml:2:5: keys[0]: the field `secret` is missing"),
        (
            "keys:\n  - { id: 5, secret: a }\n",
            "k.yaml:2:11: keys[0].id: expected a string, found a number: put it in quotes",
        ),
        (
            "keys:\n  - { id: a, secret: true }\n",
            "k.yaml:2:22: keys[0].secret: expected a string, found true or false: put it in quotes",
        ),
        (
            "keys:\n  - { id: a, secret: b, upsert: yes }\n",
            "k.yaml:2:33: keys[0].upsert: expected a boolean, found a string",
        ),
        (
            "keys:\n  - { id: a, secret: b, kind: hidden }\n",
            "k.yaml:2:31: keys[0].kind: expected secret or publishable",
        ),
        (
            "keys:\n  - { id: a, secret: b, kind: [x] }\n",
            "k.yaml:2:31: keys[0].kind: expected secret or publishable, found a list",
        ),
        (
            "keys:\n  - { id: a, secret: b, seCret: c, plam: x }\n",
            "k.yaml:2:25: keys[0].seCret: unknown field, did you mean `secret`?|k.yaml:2:36: keys[0].plam: unknown field, did you mean `plan`?",
        ),
        (
            "keys:\n  - { id: a, secret: b, colour: c }\n",
            "k.yaml:2:25: keys[0].colour: unknown field, expected one of id, secret, kind, upsert, plan, vars",
        ),
        ("keys: []\nkeys: []\n", "k.yaml:2:1: keys: duplicate field, first written in line 1"),
        (
            "keys:\n  - id: a\n    secret: b\n    vars:\n      x: 1\n      \"x\": 2\n",
            "k.yaml:6:7: keys[0].vars.x: duplicate field, first written in line 5",
        ),
        ("keys: []\n---\nkeys: []\n", "only one document is expected"),
        ("keys: *all\n", "k.yaml:1:7: this alias (`*name`) has no anchor"),
        ("keys: !secret x\n", "k.yaml:1:15: tags (`!name`) are not supported"),
        ("keys:\n\t- a\n", "indent with spaces, not with tabs"),
        ("keys: \"\\q\"\n", "k.yaml:1:7: not valid YAML here: in double quotes a backslash is written twice"),
        ("keys: @a\n", "k.yaml:1:7: a text that starts with a character such as @ or % must be put in quotes"),
        ("keys: a: b\n", "a text with a colon and a space must be put in quotes"),
        ("keys:\n  a: [::]:80\n", "a text that starts with a bracket must be put in quotes"),
        ("keys: { a: [::]:80 }\n", "a text with brackets must be put in quotes"),
        ("keys: [a\n", "a bracket or brace is not closed"),
        ("keys: \"a\n", "a quoted text does not end"),
        ("keys:\n - a\n b: c\n", "not valid YAML here"),
        ("a: b: c\n", "not valid YAML here"),
        ("keys: 1e999\n", "a number out of range"),
    ] {
        let problems = keys(text).unwrap_err().join("|");
        assert!(problems.contains(expected), "{text:?}\n  is:       {problems}\n  expected: {expected}");
    }
}

#[test]
fn no_message_contains_a_value_or_names_the_library() {
    let secret = "hunter2";
    for text in [
        format!("keys: {secret}\n"),
        format!("keys: [{secret}]\n"),
        format!("keys: [{{ id: [{secret}], secret: a }}]\n"),
        format!("keys: [{{ id: a, secret: {{ {secret}: 1 }} }}]\n"),
        format!("keys: [{{ id: a, secret: b, upsert: {secret} }}]\n"),
        format!("keys: [{{ id: a, secret: b, kind: {secret} }}]\n"),
        format!("keys: [{{ id: a, secret: *{secret} }}]\n"),
        format!("keys: [{{ id: a, secret: !{secret} b }}]\n"),
        format!("keys: [{{ id: a, secret: \"{secret}\n"),
        format!("keys:\n  secret: {secret}: {secret}\n"),
        format!("keys: \"\\q{secret}\"\n"),
        format!("%YAML {secret}\n---\nkeys: []\n"),
        format!("keys: @{secret}\n"),
    ] {
        let problems = keys(&text).unwrap_err().join("\n");
        assert!(!problems.contains(secret), "{text}{problems}");
        let lower = problems.to_lowercase();
        for word in ["saphyr", "policy", "options", "serde", "budget", "struct", "deserial"] {
            assert!(!lower.contains(word), "{word}: {problems}");
        }
    }
}

#[test]
fn names_with_control_characters_are_escaped_and_cut() {
    let text = format!("\"a\\n{}\": 1\nkeys: []\n", "x".repeat(500));
    let problem = mistake(&text);
    assert!(!problem.contains('\n'), "{problem}");
    assert!(problem.len() < 200, "{problem}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_content() {
    let keys = keys("\u{feff}keys:\r\n  - id: a\r\n    secret: b\r\n").unwrap().keys;
    assert_eq!((keys[0].id.value.as_str(), keys[0].id.at(), keys[0].secret.as_str()), ("a", (2, 9), "b"));
}

#[test]
fn anchors_and_merges_work() {
    let text = "keys:\n  - &base { id: a, secret: s }\n  - { <<: *base, id: b }\n";
    let ids: Vec<String> = keys(text).unwrap().keys.into_iter().map(|key| key.id.value).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn documents_that_grow_without_bounds_meet_one() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let previous = format!("*a{}, ", level - 1).repeat(10);
        writeln!(laughs, "a{level}: &a{level} [{}]", previous.trim_end_matches(", ")).unwrap();
    }
    let flow = format!("keys: {}", "[".repeat(100_000));
    let block = (0..5_000).fold(String::new(), |text, level| text + &" ".repeat(level % 1_000) + "a:\n");
    let dashes = format!("keys: \n{}a", "- ".repeat(100_000));
    let maps = "{a: ".repeat(100_000);
    let own = String::from("keys: &a [*a]\n");
    for text in [laughs, flow, block, dashes, maps, own] {
        // The bounds count what is read, so that one of them ends the reading whatever the machine.
        let problem = mistake(&text);
        let by_bound = ["nested too deeply or too large", "inside its own anchor"];
        assert!(by_bound.iter().any(|bound| problem.contains(bound)), "{problem}");
    }
}

#[test]
fn a_file_above_the_bound_is_refused_unread() {
    let text = " ".repeat(MAX_BYTES + 1);
    assert_eq!(mistake(&text), "k.yaml: the file is larger than 16 MiB");
}

#[test]
fn a_keys_file_of_ordinary_size_meets_no_bound() {
    let text = (0..10_000).fold(String::from("keys:\n"), |text, n| {
        text + &format!("  - id: key-{n}\n    secret: {n:064x}x\n    vars: {{ userId: \"{n}\" }}\n")
    });
    assert_eq!(keys(&text).unwrap().keys.len(), 10_000);
}
