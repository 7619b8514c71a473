use super::*;
use crate::keys::KeyKind;

const A: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
const B: &str = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";

fn parsed(text: &str, wildcard: bool) -> Result<Vec<Key>, Problems> {
    let plans = ["default".into(), "anonymous".into(), "partner".into()];
    let (chatflows, providers) = (["support".into(), "sales".into()], ["staff".into()]);
    let names = AllowedNamesRef { plans: &plans, chatflows: &chatflows, providers: &providers, wildcard };
    parse(Path::new("keys.yaml"), text, Some(&names)).map(KeyStore::into_keys)
}

fn problems(text: &str) -> Vec<String> {
    let text = text.replace("$A", A).replace("$B", B);
    let Err(problems) = parsed(&text, false) else { panic!("accepted: {text}") };
    let lines: Vec<_> = problems.0.iter().map(ToString::to_string).collect();
    for line in &lines {
        assert!(!line.contains(A) && !line.contains(B) && !line.ends_with('.'), "{line}");
    }
    lines
}

#[test]
fn every_field_means_what_it_says() {
    let text = format!(
        r#"
keys:
  - id: mobile-app
    sha256: {A}
    previous: {{ sha256: {B}, until: 2026-12-01T00:00:00Z }}
    kind: secret
    plan: partner
    chatflows: [support]
    allowed_origins: []
    allowed_ips: [10.0.0.0/8, "::1"]
    upsert: true
    vars: {{ userId: "12345", level: 3 }}
    expires_at: 2027-01-31T00:00:00+01:00
    enabled: false
  - id: plain
    sha256: "{}"
"#,
        "0123456789".repeat(6) + "0123"
    );
    let keys = parsed(&text, false).unwrap();
    let key = &keys[0];
    assert_eq!((&*key.id, key.plan, key.upsert, key.enabled), ("mobile-app", 2, true, false));
    assert_eq!(key.digest, crate::keys::secret::digest("password"));
    assert_eq!(key.previous().unwrap().1, "2026-12-01T00:00:00Z".parse().unwrap());
    assert!(key.may_call("support") && !key.may_call("sales"));
    assert!(key.allows("10.1.2.3".parse().unwrap()) && key.allows("::1".parse().unwrap()));
    assert!(!key.allows("11.1.2.3".parse().unwrap()) && !key.allows("::2".parse().unwrap()));
    let vars = [("userId".into(), "12345".into()), ("level".into(), 3.into())];
    assert_eq!(*key.vars, vars);
    assert_eq!(key.expires_at.unwrap(), "2027-01-30T23:00:00Z".parse().unwrap());
    let plain = &keys[1];
    assert_eq!((plain.plan, plain.upsert, plain.enabled, plain.expires_at), (0, false, true, None));
    assert!(plain.may_call("anything") && plain.allows("192.0.2.1".parse().unwrap()) && plain.vars.is_empty());
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let found = problems(
        "\
keys:
  - id: two words
    sha256: fg_sk_0123456789
    previous: { sha256: abc, until: soon }
    kind: other
    plan: gold
  - id: a
    sha256: $A
    previous: { sha256: $B }
    kind: publishable
    chatflows: [support, nope, '*', 9d2b4ae3-1f5e-4c00-9000-000000000000]
    allowed_origins: ['*']
    allowed_ips: [10.0.0.1, 10.0.0.0/33, localhost]
    expires_at: tomorrow
  - id: a
    sha256: $A
  - plan: default
    chatflows: []
  - id: anonymous
    sha256: $B
",
    );
    let expected = [
        "keys.yaml:2:9: keys[0].id: an id is 1 to 64 characters of A-Z a-z 0-9 . _ -",
        "keys.yaml:3:13: keys[0].sha256: this looks like a key; 64 hex digits, the SHA-256 of the whole key, are needed",
        "keys.yaml:4:25: keys[0].previous.sha256: 64 hex digits, the SHA-256 of the whole key, are needed",
        "keys.yaml:4:37: keys[0].previous.until: a time with its offset as in RFC 3339 (`2027-01-31T00:00:00Z`) is needed",
        "keys.yaml:5:11: keys[0].kind: must be `secret` or `publishable`",
        "keys.yaml:6:11: keys[0].plan: no plan is called `gold`; there are: default, anonymous, partner",
        "keys.yaml:9:15: keys[1].previous.until: needed: the time from which the old secret no longer counts",
        "keys.yaml:11:26: keys[1].chatflows[1]: no chatflow is called `nope`",
        "keys.yaml:11:32: keys[1].chatflows[2]: `*` is no name here; leave `chatflows` out to allow all",
        "keys.yaml:11:37: keys[1].chatflows[3]: no chatflow is called `9d2b4ae3-1f5e-4c00-9000-000000000000`",
        "keys.yaml:12:22: keys[1].allowed_origins: a publishable key needs the origins of the pages it sits in; `*` is no list",
        "keys.yaml:13:29: keys[1].allowed_ips[1]: an address (`192.0.2.7`) or a CIDR (`192.0.2.0/24`) is needed",
        "keys.yaml:13:42: keys[1].allowed_ips[2]: an address (`192.0.2.7`) or a CIDR (`192.0.2.0/24`) is needed",
        "keys.yaml:14:17: keys[1].expires_at: a time with its offset as in RFC 3339 (`2027-01-31T00:00:00Z`) is needed",
        "keys.yaml:15:9: keys[2].id: keys[1] has the id `a` already",
        "keys.yaml:16:13: keys[2].sha256: the same digest as keys[1].sha256",
        "keys.yaml:17:5: keys[3].id: an id is needed",
        "keys.yaml:17:5: keys[3].sha256: 64 hex digits, the SHA-256 of the whole key, are needed",
        "keys.yaml:18:16: keys[3].chatflows: an empty list allows nothing; leave the field out to allow all",
        "keys.yaml:19:9: keys[4].id: this id is reserved",
        "keys.yaml:20:13: keys[4].sha256: the same digest as keys[1].previous.sha256",
    ];
    assert_eq!(found, expected);
}

#[test]
fn javascripts_own_names_are_none_of_variables() {
    for name in ["__proto__", "constructor", "prototype"] {
        let found = problems(&format!("keys:\n  - id: a\n    sha256: $A\n    vars: {{ plan: x, {name}: 1 }}\n"));
        assert_eq!(found, [format!("keys.yaml:2:5: keys[0].vars.{name}: this name cannot be used")]);
    }
}

#[test]
fn a_digest_counts_once_whatever_its_case_and_slot() {
    let upper = A.to_uppercase();
    let text =
        format!("keys:\n  - id: a\n    sha256: $A\n    previous: {{ sha256: {upper}, until: 2026-12-01T00:00:00Z }}\n");
    assert_eq!(problems(&text), ["keys.yaml:4:25: keys[0].previous.sha256: the same digest as keys[0].sha256"]);
}

#[test]
fn a_commented_out_list_of_chatflows_does_not_mean_all() {
    let found = problems("keys:\n  - id: a\n    sha256: $A\n    chatflows:\n    #  - support\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("keys[0].chatflows: an empty list allows nothing"), "{found:?}");
}

#[test]
fn any_uuid_is_a_chatflow_if_there_is_a_wildcard() {
    let uuid = "9D2B4AE3-1f5e-4c00-9000-000000000000";
    let text = format!("keys:\n  - id: a\n    sha256: {A}\n    chatflows: [{uuid}]\n");
    assert!(parsed(&text, true).unwrap()[0].may_call(&uuid.to_lowercase()));
    assert!(parsed(&text.replace(uuid, "not-a-uuid"), true).is_err());
}

#[test]
fn a_file_without_keys_is_refused() {
    for text in ["", "# nothing\n\n", "keys: []\n", "keys:\n"] {
        let found = problems(text);
        assert_eq!(found, ["keys.yaml: keys: the file holds no key; the keys that were loaded before stay in force"]);
    }
}

#[test]
fn half_a_file_is_refused() {
    let whole = format!("keys:\n  - id: a\n    sha256: {A}\n    vars: {{ n: \"1\" }}\n");
    // Cut anywhere before the second field's end, it is no key.
    for end in 1..whole.find(A).unwrap() + 64 {
        assert!(parsed(&whole[..end], false).is_err(), "{}", &whole[..end]);
    }
    assert!(parsed(whole.trim_end().trim_end_matches('}'), false).is_err());
    assert!(parsed(&whole, false).is_ok());
}

#[test]
fn what_the_types_refuse_is_refused_with_its_line() {
    for (line, text) in [
        (4, "keys:\n  - id: a\n    sha256: $A\n    unknown: 1\n"),
        (4, "keys:\n  - id: a\n    sha256: $A\n    upsert: maybe\n"),
        (4, "keys:\n  - id: a\n    sha256: $A\n    id: b\n"),
        (1, "key: []\n"),
    ] {
        let found = problems(text);
        assert!(found[0].starts_with(&format!("keys.yaml:{line}:")), "{found:?}");
    }
}

#[test]
fn what_is_written_in_the_wrong_place_is_not_repeated() {
    let key = crate::keys::secret::generate(KeyKind::Secret).unwrap();
    for field in ["id", "sha256", "expires_at", "kind"] {
        let mut text = format!("keys:\n  - {field}: {}!\n", key.expose());
        if field != "sha256" {
            text.push_str("    sha256: $A\n");
        }
        assert!(problems(&text).iter().all(|line| !line.contains(&key.expose()[6..])));
    }
}

#[test]
fn a_publishable_key_names_its_pages() {
    let text = format!("keys:\n  - {{ id: page, sha256: {A}, kind: publishable, allowed_origins: [https://a.org] }}\n");
    let keys = parsed(&text, false).unwrap();
    assert_eq!(keys[0].kind, KeyKind::Publishable);
    assert!(keys[0].allowed_origins().unwrap().allows("https://a.org"));
    for (fields, part) in [
        ("kind: publishable", "keys[0].allowed_origins: a publishable key needs the origins"),
        ("allowed_origins: [https://a.org]", "keys[0].allowed_origins: only a publishable key has origins"),
        ("kind: publishable, allowed_origins: [a.org]", "keys[0].allowed_origins: expected an origin"),
        (
            "kind: publishable, allowed_origins: [https://a.org], upsert: true",
            "keys[0].upsert: a publishable key may not",
        ),
    ] {
        let found = problems(&format!("keys:\n  - {{ id: page, sha256: $A, {fields} }}\n"));
        assert!(found.len() == 1 && found[0].contains(part), "{fields}: {found:?}");
    }
}

#[test]
fn keys_with_the_same_chatflows_share_the_list() {
    let text = format!(
        "keys:\n  - {{ id: a, sha256: {A}, chatflows: [support] }}\n  - {{ id: b, sha256: {B}, chatflows: [support] }}\n"
    );
    let keys = parsed(&text, false).unwrap();
    assert!(Arc::ptr_eq(keys[0].chatflows.as_ref().unwrap(), keys[1].chatflows.as_ref().unwrap()));
}

#[test]
fn of_very_many_problems_the_first_are_told() {
    let text = (0..5000).fold("keys:\n".to_owned(), |text, _| text + "  - { id: a b }\n");
    let found = problems(&text);
    assert_eq!(found.len(), 101);
    assert_eq!(found[100], "keys.yaml: keys: there are further problems");
    assert!(found[0].starts_with("keys.yaml:2:"));
}

#[test]
fn another_document_than_a_list_of_keys_is_named_as_what_it_is() {
    for (text, expected) in [
        ("keys: 5\n", "keys.yaml:1:7: keys: expected a list, found a number"),
        ("keys: { a: 1 }\n", "keys.yaml:1:7: keys: expected a list, found a map"),
        ("- a\n", "keys.yaml:1:1: expected a map of keys, found a list"),
        ("keys: []\nkeys: []\n", "keys.yaml:2:1: keys: duplicate field, first written in line 1"),
        ("keys: [a]\nkey: []\n", "keys.yaml:2:1: key: unknown field, did you mean `keys`?"),
        ("~\n", "keys.yaml: the file is empty"),
        ("keys: [\n", "a bracket or brace is not closed"),
    ] {
        let found = problems(text);
        assert!(found.iter().any(|line| line.contains(expected)), "{text}: {found:?}");
    }
}
