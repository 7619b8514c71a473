//! What is wrong with a provider is told before anything runs on it.

use serde_json::{Value, json};

use super::text;
use crate::harness::gateway::{BINARY, keys};
use crate::harness::issuer::{SigningKey, key_set};
use crate::harness::upstream::Upstream;

/// What `flowgate check` says of a list of providers, beside a file with those keys.
fn check(providers: &str, jwks: &str) -> Result<(), String> {
    let upstream = Upstream::answering();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flowgate.yaml"), text(&upstream, "", providers)).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    std::fs::write(folder.path().join("jwks.json"), jwks).unwrap();
    let config = folder.path().join("flowgate.yaml");
    let checked = std::process::Command::new(BINARY).arg("check").arg("--config").arg(config).output().unwrap();
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    if checked.status.success() { Ok(()) } else { Err(told) }
}

const GOOD: &str = "name: staff, issuer: 'https://login.example.com', audience: [flowgate], chatflows: [support]";

#[test]
fn mistakes_are_told_in_their_place() {
    assert_eq!(check(&format!("[{{ {GOOD} }}]"), ""), Ok(()));
    let without = |field: &str| {
        let fields = GOOD.split(", ").filter(|part| !part.starts_with(field));
        format!("[{{ {} }}]", fields.collect::<Vec<_>>().join(", "))
    };
    let with = |more: &str| format!("[{{ {GOOD}, {more} }}]");
    let instead = |from: &str, to: &str| format!("[{{ {} }}]", GOOD.replace(from, to));
    for (providers, field, message) in [
        (without("name"), "identity[0].name", "missing"),
        (without("issuer"), "identity[0].issuer", "missing"),
        (without("audience"), "identity[0].audience", "missing"),
        (without("chatflows"), "identity[0].chatflows", "missing"),
        (with("algorithms: [RS256, none]"), "identity[0].algorithms[1]", "anybody's"),
        (with("algorithms: [HS256]"), "identity[0].algorithms[0]", "private key"),
        (with("algorithms: [RS265]"), "identity[0].algorithms[0]", "expected one of RS256,"),
        (with("algorithms: []"), "identity[0].algorithms", "allows nothing"),
        (with("plan: smal"), "identity[0].plan", "did you mean `small`"),
        (with("chatflows_claim: roles"), "identity[0].chatflows_claim", "exclude each other"),
        (with("jwks_file: nothing.json"), "identity[0].jwks_file", "no such file"),
        (with("jwks_file: jwks.json"), "identity[0].jwks_file", "JSON Web Key Set"),
        (with("jwks_url: 'ftp://login.example.com/keys'"), "identity[0].jwks_url", "only http and https"),
        (with("jwks_url: 'https://a/keys', jwks_file: jwks.json"), "identity[0].jwks_file", "exclude each other"),
        (with("require: { groups: staff }"), "identity[0].require.groups", "list"),
        (with("require: { groups: [] }"), "identity[0].require.groups", "at least one"),
        (with("require: { groups: [[a]] }"), "identity[0].require.groups[0]", "expected"),
        (with("vars: { __proto__: sub }"), "identity[0].vars.__proto__", "cannot be used"),
        (with("vars: { a: [sub] }"), "identity[0].vars.a", "expected a string"),
        (with("subjct: sub"), "identity[0].subjct", "did you mean `subject`"),
        (instead("staff", "anonymous"), "identity[0].name", "reserved"),
        (instead("staff", "a b"), "identity[0].name", "1 to 64"),
        (instead("staff", "app"), "keys[0].id", "an identity provider is called `app`"),
        (instead("[support]", "[suport]"), "identity[0].chatflows[0]", "did you mean `support`"),
        (instead("[support]", "['*']"), "identity[0].chatflows[0]", "list the chatflows"),
        (instead("[flowgate]", "[]"), "identity[0].audience", "at least one"),
        (instead("https://login.example.com", "login.example.com"), "identity[0].issuer", "expected a URL"),
        (instead("https://login.example.com", "https://a/?b=c"), "identity[0].issuer", "without a query"),
        (format!("[{{ {GOOD} }}, {{ {GOOD} }}]"), "identity[1].name", "another identity provider"),
        (format!("{{ staff: {{ {GOOD} }} }}"), "identity", "expected a list"),
    ] {
        let told = check(&providers, "{}").expect_err(&providers);
        let line = told
            .lines()
            .find(|line| line.contains(&format!(" {field}: ")))
            .unwrap_or_else(|| panic!("{providers}: {told}"));
        assert!(line.contains(message), "{providers}: {told}");
    }
}

#[test]
fn keys_that_are_no_good_are_not_taken() {
    let provider = "[{ name: staff, jwks_file: jwks.json, audience: [flowgate], chatflows: [support] }]";
    let key = SigningKey::p256();
    let changed = |name: &str, value: Value| {
        let mut jwk = key.jwk("one");
        jwk[name] = value;
        jwk
    };
    let rsa = SigningKey::rsa().jwk("rsa");
    let modulus = rsa["n"].as_str().unwrap();
    let short = json!({"kty": "RSA", "n": &modulus[..170], "e": "AQAB", "kid": "short"});
    assert_eq!(check(provider, &key_set(&[rsa])), Ok(()));
    assert_eq!(
        check(provider, &key_set(&[key.jwk("one"), short.clone(), json!("odd"), json!({"kty": "new"})])),
        Ok(())
    );
    for (what, jwk) in [
        ("RSA of 1020 bits", short),
        ("for encryption", changed("use", json!("enc"))),
        ("not to verify with", changed("key_ops", json!(["deriveKey"]))),
        ("private", changed("d", json!("AAAA"))),
        ("for another kind of key", changed("alg", json!("RS256"))),
        ("for a secret", changed("alg", json!("HS256"))),
        ("another curve", changed("crv", json!("secp256k1"))),
        ("half a point", changed("y", json!("AAAA"))),
        ("a secret", json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"})),
    ] {
        let told = check(provider, &key_set(&[jwk])).expect_err(what);
        assert!(told.contains("no key to check signatures with"), "{what}: {told}");
    }
    let many: Vec<_> = (0..101).map(|number| key.jwk(&number.to_string())).collect();
    assert!(check(provider, &key_set(&many)).unwrap_err().contains("more than 100 keys"));
    for text in ["", "[]", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}"] {
        assert!(check(provider, text).unwrap_err().contains("expected a JSON Web Key Set"), "{text}");
    }
}
