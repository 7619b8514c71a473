//! People with tokens of an identity provider.

use serde_json::{Value, json};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::issuer::{LOGIN, SigningKey, claims, key_set};
use crate::harness::predictions::{PREDICT, QUESTION};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY};

mod configuration;
mod grants;
mod keys_of_issuers;
mod limits;
mod tricks;

const SALES: &str = "/api/v1/prediction/sales";
/// With a plan for each test that needs one; wrong tokens are not counted, since tests send many.
const PLANS: &str = "plans: { default: { requests: 100000/min, burst: 10000, concurrent: 1000 }, \
    anonymous: { requests: 100000/min, burst: 10000 }, small: { requests: 1/hour, burst: 2 }, \
    large: { requests: 1/hour, burst: 5 } }\nauth_failures: null";
/// A provider whose keys are in a file.
const STAFF: &str = "name: staff, issuer: 'https://login.example.com', jwks_file: jwks.json, audience: [flowgate]";

/// The text of a configuration with the chatflows `support` and `sales` and that list of providers.
fn text(upstream: &Upstream, chatflow: &str, providers: &str) -> String {
    let sales = FLOW.replace("9d2b", "9d2c");
    let more = format!("  sales: {{ upstream: flowise, id: {sales} }}\n{PLANS}\nidentity: {providers}");
    config(upstream.address, "", "", chatflow, &more)
}

/// A gateway with the provider [`STAFF`] and the key `one`.
fn start(upstream: &Upstream, key: &SigningKey, more: &str) -> Gateway {
    let text = text(upstream, "", &format!("[{{ {STAFF}{more} }}]"));
    Gateway::start_with(&text, &keys(""), |folder| {
        std::fs::write(folder.join("jwks.json"), key_set(&[key.jwk("one")])).unwrap();
    })
}

fn ask_with(gateway: &Gateway, path: &str, token: &str, more: &[(&str, &str)], body: &str) -> Response {
    let bearer = format!("Bearer {token}");
    client::post(gateway.http, path, &[&[("authorization", &*bearer)], more].concat(), body)
}

fn ask(gateway: &Gateway, token: &str) -> Response {
    ask_with(gateway, PREDICT, token, &[], QUESTION)
}

/// A token of [`STAFF`] with those claims over the usual ones.
fn token(key: &SigningKey, more: &Value) -> String {
    key.token("one", &claims(LOGIN, more))
}

/// The reason that the log has for a refused token; the client is told the same whatever it is.
#[track_caller]
fn reason(gateway: &Gateway, refused: &Response) -> String {
    refused.assert_refused(401, "invalid_token");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    assert_eq!(refused.json()["message"], "The token is not valid.");
    let line = gateway.access_line(refused.header("x-request-id").unwrap());
    assert_eq!((&line["status"], &line["key"]), (&json!(401), &json!("-")), "{line}");
    line["reason"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn a_person_is_known_by_name_and_the_token_goes_no_further() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let gateway = start(&upstream, &key, ", chatflows: [support]");
    let token = token(&key, &json!({}));
    for _ in 0..2 {
        let response = ask(&gateway, &token);
        assert_eq!(response.status, 200, "{}", response.text());
        let line = gateway.access_line(response.header("x-request-id").unwrap());
        assert_eq!((&line["key"], &line["subject"]), (&json!("staff"), &json!("ann")));
    }
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.header("authorization"), Some("Bearer upstream-key"));
    assert!(!seen.headers.iter().any(|(_, value)| value.contains(&token)));
    let series = r#"flowgate_requests_total{chatflow="support",code="200",key="staff",route="prediction"}"#;
    gateway.wait_metric(series, 2.0);
    assert!(!gateway.log().concat().contains(&token));
    // Keys count beside it, and a token is no key.
    assert_eq!(gateway.predict(QUESTION).status, 200);
    client::post(gateway.http, PREDICT, &[("x-api-key", &token)], QUESTION).assert_refused(401, "invalid_api_key");
    let bearer = format!("Bearer {token}");
    let both = [("authorization", &*bearer), ("x-api-key", KEY)];
    client::post(gateway.http, PREDICT, &both, QUESTION).assert_refused(400, "invalid_request");
}
