//! Every trick that is known of tokens, and what is none.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{LOGIN, PLANS, STAFF, ask, reason, text, token};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::issuer::{SigningKey, claims, key_set};
use crate::harness::tokens::{now, signed, signed_by};
use crate::harness::upstream::Upstream;

struct Keys {
    rsa: SigningKey,
    p256: SigningKey,
    p384: SigningKey,
    p521: SigningKey,
    ed25519: SigningKey,
}

impl Keys {
    fn new() -> Self {
        let (rsa, p256) = (SigningKey::rsa(), SigningKey::p256());
        Self { rsa, p256, p384: SigningKey::p384(), p521: SigningKey::p521(), ed25519: SigningKey::ed25519() }
    }

    fn published(&self) -> Vec<Value> {
        let [one, p384, p521] =
            [("one", &self.p256), ("p384", &self.p384), ("p521", &self.p521)].map(|(id, key)| key.jwk(id));
        vec![self.rsa.jwk("rsa"), one, p384, p521, self.ed25519.jwk("ed")]
    }
}

fn start(upstream: &Upstream, keys_: &Keys) -> Gateway {
    assert!(PLANS.contains("auth_failures: null"));
    let text = text(upstream, "", &format!("[{{ {STAFF}, chatflows: [support] }}]"));
    Gateway::start_with(&text, &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&keys_.published())).unwrap();
    })
}

#[test]
fn every_algorithm_can_be_allowed() {
    let (upstream, keys_) = (Upstream::answering(), Keys::new());
    let provider = format!("[{{ {STAFF}, chatflows: [support], algorithms: [RS256, ES256, ES384, ES512, EdDSA] }}]");
    let gateway = Gateway::start_with(&text(&upstream, "", &provider), &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&keys_.published())).unwrap();
    });
    let good = claims(LOGIN, &json!({}));
    for (id, key) in [
        ("rsa", &keys_.rsa),
        ("one", &keys_.p256),
        ("p384", &keys_.p384),
        ("p521", &keys_.p521),
        ("ed", &keys_.ed25519),
    ] {
        let token = key.token(id, &good);
        assert_eq!(ask(&gateway, &token).status, 200, "{id}");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let changed = format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(reason(&gateway, &ask(&gateway, &changed)), "signature", "{id}");
    }
    let curves = keys_.p256.token_with("p521", &json!({"alg": "ES512"}), &good);
    assert_eq!(reason(&gateway, &ask(&gateway, &curves)), "signature");
}

fn part(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// Header and claims as they are written, signed as they should be.
fn raw(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

#[test]
fn good_tokens_come_in_many_shapes() {
    let (upstream, keys) = (Upstream::answering(), Keys::new());
    let gateway = start(&upstream, &keys);
    let good = claims(LOGIN, &json!({}));
    let by = |header: Value| keys.p256.token_with("one", &header, &good);
    let says = |more: Value| token(&keys.p256, &more);
    let attacker = SigningKey::p256();
    for (what, token) in [
        ("RS256", keys.rsa.token("rsa", &good)),
        ("ES256", keys.p256.token("one", &good)),
        ("EdDSA", keys.ed25519.token("ed", &good)),
        ("EdDSA by its newer name", keys.ed25519.token_with("ed", &json!({"alg": "Ed25519"}), &good)),
        ("no kid", by(json!({"kid": null}))),
        ("no typ", by(json!({"typ": null}))),
        ("an access token", by(json!({"typ": "at+jwt"}))),
        ("the same, whole", by(json!({"typ": "application/AT+JWT"}))),
        (
            "somebody else's keys in the header",
            by(
                json!({"jwk": attacker.jwk("one"), "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "x5c": ["AAAA"]}),
            ),
        ),
        ("several audiences", says(json!({"aud": ["other", "flowgate"]}))),
        ("times with fractions", says(json!({"exp": 4_000_000_000.5, "nbf": 0.5}))),
        ("a slow clock", says(json!({"exp": now() - 20}))),
        ("a fast clock", says(json!({"nbf": now() + 20}))),
        ("claims of the provider's own", says(json!({"a": {"b": [1, null, {"c": "😀"}]}, "groups": vec!["g"; 500]}))),
    ] {
        let response = ask(&gateway, &token);
        assert_eq!(response.status, 200, "{what}: {}", response.text());
    }
}

#[test]
fn no_trick_with_the_header_or_the_signature_works() {
    let (upstream, keys) = (Upstream::answering(), Keys::new());
    let gateway = start(&upstream, &keys);
    let good = claims(LOGIN, &json!({}));
    let by = |header: Value| keys.p256.token_with("one", &header, &good);
    let whole = keys.p256.token("one", &good);
    let (message, signature) = whole.rsplit_once('.').unwrap();
    let admin = part(&claims(LOGIN, &json!({"sub": "admin"})).to_string());
    let header = message.split('.').next().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let attacker = SigningKey::p256();
    let jwk = keys.rsa.jwk("rsa");
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let shared = json!({"alg": "HS256", "typ": "JWT", "kid": "rsa"});
    let hs512 = |message: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &modulus), message).as_ref().to_vec();
    let mut cases = vec![
        ("signed with the public key as a secret", signed(&shared, &good, &modulus), "alg"),
        ("with the published text as a secret", signed(&shared, &good, jwk.to_string().as_bytes()), "alg"),
        ("with an empty secret", signed(&shared, &good, b""), "alg"),
        ("another HMAC", signed_by(&json!({"alg": "HS512", "kid": "rsa"}), &good, hs512), "alg"),
        ("an RSA key for an elliptic curve", keys.rsa.token_with("rsa", &json!({"alg": "ES256"}), &good), "alg"),
        ("an elliptic curve's key for RSA", keys.p256.token_with("one", &json!({"alg": "RS256"}), &good), "alg"),
        ("an algorithm that is not allowed", keys.p384.token("p384", &good), "alg"),
        ("another padding", keys.rsa.token_with("rsa", &json!({"alg": "PS256"}), &good), "alg"),
        ("no such algorithm", by(json!({"alg": "ES256K"})), "alg"),
        ("no algorithm at all", by(json!({"alg": null})), "alg"),
        ("an algorithm that is no text", by(json!({"alg": ["ES256"]})), "alg"),
        ("an unknown key", keys.p256.token("two", &good), "kid"),
        ("a key's name that is a path", keys.p256.token("../../../../dev/null", &good), "kid"),
        ("a key's name that is a query", keys.p256.token("' UNION SELECT 'key", &good), "kid"),
        ("another key of the set", keys.p256.token("ed", &good), "alg"),
        ("a key's name that is none", by(json!({"kid": 1})), "malformed"),
        ("a key's name that is a list", by(json!({"kid": ["one"]})), "malformed"),
        ("somebody else's key by that name", attacker.token("one", &good), "signature"),
        (
            "somebody else's key that comes along",
            attacker.token_with("one", &json!({"jwk": attacker.jwk("one")}), &good),
            "signature",
        ),
        (
            "the same without a name",
            attacker.token_with("one", &json!({"kid": null, "jwk": attacker.jwk("one")}), &good),
            "signature",
        ),
        ("keys elsewhere", attacker.token_with("one", &json!({"jku": "http://127.0.0.1:1/keys"}), &good), "signature"),
        ("what must be understood", by(json!({"crit": ["exp"], "exp": 1})), "crit"),
        ("an empty list of that", by(json!({"crit": []})), "crit"),
        ("a payload that is not encoded", by(json!({"crit": ["b64"], "b64": false})), "crit"),
        ("the same, unsaid", by(json!({"b64": false})), "crit"),
        ("a token that ends a session", by(json!({"typ": "logout+jwt"})), "typ"),
        ("a proof of a key", by(json!({"typ": "dpop+jwt"})), "typ"),
        ("a kind that is none", by(json!({"typ": 1})), "typ"),
        ("other claims under the same signature", format!("{header}.{admin}.{signature}"), "signature"),
        ("a signature that was cut", whole[..whole.len() - 8].to_owned(), "signature"),
        ("no signature", format!("{message}."), "signature"),
        ("a signature of zeros", format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 64])), "signature"),
        ("a signature in DER", format!("{message}.{}", URL_SAFE_NO_PAD.encode(der(&bytes))), "signature"),
        (
            "a signature and more",
            format!("{message}.{}", URL_SAFE_NO_PAD.encode([&*bytes, b"x"].concat())),
            "signature",
        ),
        ("a signature that is no base64", format!("{message}.!!!!"), "signature"),
    ];
    for name in ["none", "None", "NONE", "nOnE", ""] {
        let header = part(&json!({"alg": name, "typ": "JWT"}).to_string());
        cases.push(("no signature wanted", format!("{header}.{}.", part(&good.to_string())), "alg"));
        cases.push(("no signature wanted, but one there", by(json!({"alg": name})), "alg"));
    }
    for (what, token, expected) in cases {
        assert_eq!(reason(&gateway, &ask(&gateway, &token)), expected, "{what}");
    }
    assert_eq!(upstream.seen().len(), 0, "nothing of it went on");
}

/// An ECDSA signature as ASN.1 writes it.
fn der(fixed: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
    let (r, s) = fixed.split_at(32);
    let numbers = [number(r), number(s)].concat();
    [&[0x30, u8::try_from(numbers.len()).unwrap()], &*numbers].concat()
}

#[test]
fn no_trick_with_the_claims_works() {
    let (upstream, keys) = (Upstream::answering(), Keys::new());
    let gateway = start(&upstream, &keys);
    for (claims, expected) in [
        (json!({"exp": now() - 31}), "expired"),
        (json!({"exp": 0}), "expired"),
        (json!({"exp": -1}), "expired"),
        (json!({"exp": null}), "times"),
        (json!({"exp": (now() + 300).to_string()}), "times"),
        (json!({"exp": true}), "times"),
        (json!({"exp": 1e300}), "times"),
        (json!({"nbf": now() + 60}), "nbf"),
        (json!({"nbf": "0"}), "times"),
        (json!({"iss": "https://login.example.com/"}), "issuer"),
        (json!({"iss": "https://LOGIN.example.com"}), "issuer"),
        (json!({"iss": "https://login.example.com.evil.example"}), "issuer"),
        (json!({"iss": ["https://login.example.com"]}), "issuer"),
        (json!({"iss": null}), "issuer"),
        (json!({"aud": "other"}), "audience"),
        (json!({"aud": "Flowgate"}), "audience"),
        (json!({"aud": "flowgate2"}), "audience"),
        (json!({"aud": ["other"]}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": ["flowgate", 1]}), "audience"),
        (json!({"aud": {"flowgate": 1}}), "audience"),
        (json!({"aud": null}), "audience"),
        (json!({"sub": ""}), "subject"),
        (json!({"sub": 7}), "subject"),
        (json!({"sub": ["ann"]}), "subject"),
        (json!({"sub": "a\nb"}), "subject"),
        (json!({"sub": "x".repeat(257)}), "subject"),
        (json!({"sub": null}), "subject"),
        (json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), "cnf"),
    ] {
        let refused = ask(&gateway, &token(&keys.p256, &claims));
        assert_eq!(reason(&gateway, &refused), expected, "{claims}");
    }
}

#[test]
fn what_is_written_oddly_is_no_token() {
    let (upstream, keys) = (Upstream::answering(), Keys::new());
    let gateway = start(&upstream, &keys);
    let good = claims(LOGIN, &json!({})).to_string();
    let head = r#"{"alg":"ES256","kid":"one"}"#;
    let by = |header: &str, claims: &str| raw(&keys.p256, header, claims);
    let whole = by(head, &good);
    let parts: Vec<_> = whole.split('.').collect();
    let with = |more: &str| by(head, &good.replacen('{', &format!("{{{more},"), 1));
    let padded = format!("{}.{}.{}", STANDARD.encode(head), STANDARD.encode(&good), parts[2]);
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(ask(&gateway, &whole).status, 200);
    for (what, token) in [
        ("two subjects", with(r#""sub":"admin""#)),
        ("two subjects, one in escapes", with(r#""s\u0075b":"admin""#)),
        ("two names further in", with(r#""a":{"b":1,"b":2}"#)),
        ("half a character", with(r#""a":"\ud83d""#)),
        ("a number out of range", with(r#""a":1e999"#)),
        ("very deep claims", with(&format!("\"a\":{deep}"))),
        ("two algorithms", by(r#"{"alg":"none","alg":"ES256","kid":"one"}"#, &good)),
        ("claims that are a list", by(head, "[]")),
        ("claims and more", by(head, &format!("{good} {{}}"))),
        ("claims that are no JSON", by(head, &good.replace('"', "'"))),
        ("a header that is a text", by("\"ES256\"", &good)),
        ("a very long one", with(&format!("\"a\":\"{}\"", "x".repeat(16 << 10)))),
        ("padding", padded),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("one part", parts[0].to_owned()),
        ("four parts", format!("{whole}.")),
        ("five parts", format!("{whole}.{}.{}", parts[1], parts[2])),
        ("an empty part", format!("{}..{}", parts[0], parts[2])),
        ("a space in it", format!("{} .{}.{}", parts[0], parts[1], parts[2])),
        ("not encoded", format!("{head}.{{}}.x")),
        ("signs of another base64", whole.replacen(parts[1], &format!("{}+/", parts[1]), 1)),
    ] {
        assert_eq!(reason(&gateway, &ask(&gateway, &token)), "malformed", "{what}");
    }
    let refused = r#"flowgate_identity_refused_total{identity="-",reason="malformed"}"#;
    gateway.wait_metric(refused, 21.0);
    gateway.wait_metric(r#"flowgate_auth_failures_total{reason="token"}"#, 21.0);
}
