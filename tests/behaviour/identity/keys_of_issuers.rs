//! Keys of a provider that is asked: found, changed, bounded, and kept while it is down.

use serde_json::json;

use super::{Gateway, PREDICT, QUESTION, ask, reason, text};
use crate::harness::client::{self, Connection, get};
use crate::harness::gateway::{BINARY, keys};
use crate::harness::issuer::{Issuer, SigningKey, claims, key_set};
use crate::harness::upstream::Upstream;
use crate::harness::wait_for;

fn provider(issuer: &Issuer, more: &str) -> String {
    provider_at(&issuer.url(), more)
}

fn provider_at(url: &str, more: &str) -> String {
    format!("[{{ name: staff, issuer: '{url}', audience: [flowgate], chatflows: [support]{more} }}]")
}

fn start(upstream: &Upstream, issuer: &Issuer) -> Gateway {
    Gateway::start(&text(upstream, "", &provider(issuer, "")))
}

fn signed(issuer: &Issuer, key: &SigningKey, id: &str) -> String {
    key.token(id, &claims(&issuer.url(), &json!({})))
}

#[test]
fn a_key_that_is_published_later_is_found_and_nobody_makes_the_gateway_ask_on_and_on() {
    let (upstream, old, new) = (Upstream::answering(), SigningKey::p256(), SigningKey::p256());
    let issuer = Issuer::start(&[old.jwk("old")]);
    let gateway = start(&upstream, &issuer);
    assert_eq!(ask(&gateway, &signed(&issuer, &old, "old")).status, 200);
    assert_eq!(issuer.readings(), 1);
    issuer.publish(&[old.jwk("old"), new.jwk("new")]);
    // All that come at once wait for the one reading.
    let token = signed(&issuer, &new, "new");
    let mut connections: Vec<_> = (0..8)
        .map(|_| {
            let mut connection = Connection::open(gateway.http);
            let bearer = format!("Bearer {token}");
            connection.write(client::request("POST", PREDICT, &[("authorization", &bearer)], QUESTION));
            connection
        })
        .collect();
    for connection in &mut connections {
        assert_eq!(connection.read_response().unwrap().status, 200);
    }
    assert_eq!(issuer.readings(), 2);
    for number in 0..50 {
        let forged = signed(&issuer, &new, &format!("key-{number}"));
        assert_eq!(reason(&gateway, &ask(&gateway, &forged)), "kid");
    }
    assert_eq!(issuer.readings(), 2, "the next one is due in ten seconds");
    assert_eq!(ask(&gateway, &signed(&issuer, &old, "old")).status, 200);
    assert_eq!(gateway.metric(r#"flowgate_identity_keys{identity="staff"}"#).to_string(), "2");
    assert!(gateway.metric(r#"flowgate_identity_last_read_timestamp_seconds{identity="staff"}"#) > 1e9);
}

#[test]
fn a_key_without_a_name_is_found_as_well_and_one_that_is_gone_counts_no_more() {
    let (upstream, old, new) = (Upstream::answering(), SigningKey::p256(), SigningKey::p256());
    let issuer = Issuer::start(&[old.jwk("old")]);
    let gateway = start(&upstream, &issuer);
    let nameless = |key: &SigningKey| key.token_with("", &json!({"kid": null}), &claims(&issuer.url(), &json!({})));
    let token = nameless(&old);
    assert_eq!(ask(&gateway, &token).status, 200);
    issuer.publish(&[new.jwk("new")]);
    assert_eq!(ask(&gateway, &token).status, 200, "until the next reading");
    assert_eq!(ask(&gateway, &nameless(&new)).status, 200);
    assert_eq!(reason(&gateway, &ask(&gateway, &token)), "signature");
}

#[test]
fn an_outage_of_the_provider_changes_nothing_for_keys_that_are_known() {
    let (upstream, old, new) = (Upstream::answering(), SigningKey::p256(), SigningKey::p256());
    let issuer = Issuer::start(&[old.jwk("old")]);
    let gateway = start(&upstream, &issuer);
    let token = signed(&issuer, &old, "old");
    assert_eq!(ask(&gateway, &token).status, 200);
    issuer.set_down(true);
    assert_eq!(reason(&gateway, &ask(&gateway, &signed(&issuer, &new, "new"))), "kid");
    assert_eq!(ask(&gateway, &token).status, 200);
    gateway.wait_metric(r#"flowgate_identity_readings_total{identity="staff",result="failed"}"#, 1.0);
    let line = gateway.log_line(|line| line["message"] == "the keys of an identity provider cannot be read");
    assert_eq!((&line["identity"], &line["kept"]), (&json!("staff"), &json!(true)), "{line}");
    assert!(line["error"].as_str().unwrap().contains("503"), "{line}");
    // What is read then is no key set, and what was there stays.
    issuer.publish_text("<html>");
    issuer.set_down(false);
    wait_for("another reading", || (issuer.readings() > 1).then_some(()));
    assert_eq!(ask(&gateway, &token).status, 200);
    issuer.publish(&[new.jwk("new")]);
    wait_for("the new key", || (ask(&gateway, &signed(&issuer, &new, "new")).status == 200).then_some(()));
    gateway.log_line(|line| line["message"] == "the keys of an identity provider can be read again");
}

#[test]
fn a_gateway_that_starts_in_an_outage_says_so_and_gets_well_by_itself() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let issuer = Issuer::start(&[key.jwk("one")]);
    issuer.set_down(true);
    let gateway = start(&upstream, &issuer);
    let token = signed(&issuer, &key, "one");
    let refused = ask(&gateway, &token);
    refused.assert_refused(503, "identity_unavailable");
    assert_eq!(refused.header("retry-after"), Some("5"));
    let line = gateway.access_line(refused.header("x-request-id").unwrap());
    assert_eq!((&line["reason"], &line["rule"]), (&json!("no_keys"), &json!("identity_unavailable")));
    // Who has no token of it is not touched, and what cannot count in any case is told so.
    assert_eq!(gateway.predict(QUESTION).status, 200);
    assert_eq!(get(gateway.admin, "/readyz", &[]).status, 200);
    let unsigned = key.token_with("one", &json!({"alg": "none"}), &claims(&issuer.url(), &json!({})));
    assert_eq!(reason(&gateway, &ask(&gateway, &unsigned)), "alg");
    issuer.set_down(false);
    wait_for("the keys", || (ask(&gateway, &token).status == 200).then_some(()));
}

#[test]
fn the_document_of_another_issuer_is_not_taken() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let issuer = Issuer::start(&[key.jwk("one")]);
    issuer.call_itself("https://login.example.com");
    let gateway = start(&upstream, &issuer);
    ask(&gateway, &signed(&issuer, &key, "one")).assert_refused(503, "identity_unavailable");
    let line = gateway.log_line(|line| line["message"] == "the keys of an identity provider cannot be read");
    assert!(line["error"].as_str().unwrap().contains("another issuer"), "{line}");
    assert_eq!(issuer.readings(), 0);
}

/// With a mark before it, and half an emoji in what nobody needs.
#[test]
fn documents_and_keys_are_read_as_node_reads_json() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let set = key_set(&[key.jwk("one")]).replacen('{', r#"{"title":"a\ud83d","#, 1);
    let server = Upstream::start(move |seen, reply| {
        let url = format!("http://{}", seen.header("host").expect("a host"));
        let document = format!(r#"{{"issuer":"{url}","op_policy_uri":"\ud83d","jwks_uri":"{url}/keys"}}"#);
        reply.json("200 OK", &format!("\u{feff}{}", if seen.path == "/keys" { &set } else { &document }));
    });
    let url = format!("http://{}", server.address);
    let gateway = Gateway::start(&text(&upstream, "", &provider_at(&url, "")));
    assert_eq!(ask(&gateway, &key.token("one", &claims(&url, &json!({})))).status, 200);
}

#[test]
fn keys_may_be_asked_for_without_a_document() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let issuer = Issuer::start(&[key.jwk("one")]);
    let keys_only =
        format!("[{{ name: staff, jwks_url: '{}/keys', audience: [flowgate], chatflows: [support] }}]", issuer.url());
    let gateway = Gateway::start(&text(&upstream, "", &keys_only));
    let any = key.token("one", &claims("https://anybody.example", &json!({})));
    assert_eq!(ask(&gateway, &any).status, 200, "without an issuer the key alone says it");
    let with_issuer = keys_only.replace("jwks_url", "issuer: 'https://login.example.com', jwks_url");
    let gateway = Gateway::start(&text(&upstream, "", &with_issuer));
    assert_eq!(reason(&gateway, &ask(&gateway, &any)), "issuer");
    assert_eq!(ask(&gateway, &key.token("one", &claims("https://login.example.com", &json!({})))).status, 200);
}

#[test]
fn keys_that_were_read_stay_over_a_reload() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let issuer = Issuer::start(&[key.jwk("one")]);
    let gateway = start(&upstream, &issuer);
    let token = signed(&issuer, &key, "one");
    assert_eq!(ask(&gateway, &token).status, 200);
    issuer.set_down(true);
    let changed = text(&upstream, "", &provider(&issuer, ", plan: small"));
    gateway.write("new", changed);
    std::fs::rename(gateway.file("new"), gateway.file("flowgate.yaml")).unwrap();
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="config",result="accepted"}"#, 1.0);
    assert!(ask(&gateway, &token).header("ratelimit-policy").unwrap().starts_with("\"small\";"));
    assert_eq!(issuer.readings(), 1);
}

#[test]
fn check_asks_the_provider() {
    let (upstream, key) = (Upstream::answering(), SigningKey::p256());
    let issuer = Issuer::start(&[key.jwk("one"), json!({"kty": "oct", "k": "AAAA"})]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flowgate.yaml"), text(&upstream, "", &provider(&issuer, ""))).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    let check = || {
        let mut command = std::process::Command::new(BINARY);
        command.args(["check", "--online", "--config"]).arg(folder.path().join("flowgate.yaml")).output().unwrap()
    };
    let good = check();
    assert!(String::from_utf8_lossy(&good.stdout).contains("identity.staff: 1 key: ok"), "{good:?}");
    assert_eq!(good.status.code(), Some(0));
    issuer.publish_text(r#"{"keys":[]}"#);
    let bad = check();
    assert!(String::from_utf8_lossy(&bad.stderr).contains("identity.staff: http://"), "{bad:?}");
    assert_eq!(bad.status.code(), Some(1));
}
