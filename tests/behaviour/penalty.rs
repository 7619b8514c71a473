//! Guessing keys is slow, and asks nothing of Flowise.

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, config};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, wait_for};
use crate::rate_limits::{PREDICT, QUESTION};

fn start(upstream: &Upstream) -> Gateway {
    start_with(upstream, "{ delay: 0s }")
}

fn start_with(upstream: &Upstream, settings: &str) -> Gateway {
    let more = format!("auth_failures: {settings}");
    Gateway::start(&config(upstream.address, ", trusted_proxies: [127.0.0.1]", "", "", &more))
}

fn guess(gateway: &Gateway, address: &str, number: usize) -> Response {
    let key = format!("guess-0123456789-{number}");
    client::post(gateway.http, PREDICT, &[("x-forwarded-for", address), ("x-api-key", &key)], QUESTION)
}

/// Guesses until the address has to wait; how many were answered.
fn guess_on(gateway: &Gateway, address: &str) -> usize {
    let mut answered = 0;
    let refused = wait_for("the penalty", || {
        let answer = guess(gateway, address, answered);
        if answer.status == 429 {
            return Some(answer);
        }
        answer.assert_refused(401, "invalid_api_key");
        answered += 1;
        None
    });
    refused.assert_refused(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("whole seconds");
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    answered
}

#[test]
fn an_address_that_guesses_must_wait() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    // A few more, if the machine is so slow that time has passed.
    let answered = guess_on(&gateway, "2001:db8::1");
    assert!((20..30).contains(&answered), "{answered}");
    // The whole network of a subscriber, and whatever is wrong with the credential.
    for headers in [("x-api-key", "short"), ("authorization", "Basic dXNlcjpwYXNz")] {
        let headers = [("x-forwarded-for", "2001:db8::2"), headers];
        let refused = client::post(gateway.http, PREDICT, &headers, QUESTION);
        refused.assert_refused(429, "rate_limited");
    }
    guess(&gateway, "2001:db8:0:1::1", 0).assert_refused(401, "invalid_api_key");
    gateway.wait_metric("flowgate_limited_total{key=\"anonymous\",limit=\"auth_failures\"}", 3.0);
    gateway.wait_metric("flowgate_auth_failures_total{reason=\"throttled\"}", 3.0);
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_good_key_passes_from_an_address_that_others_guess_from() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    guess_on(&gateway, "192.0.2.7");
    let headers = [("x-forwarded-for", "192.0.2.7"), ("x-api-key", KEY)];
    let response = client::post(gateway.http, PREDICT, &headers, QUESTION);
    assert_eq!(response.status, 200);
    // And it absolves nobody.
    let wrong = [("x-forwarded-for", "192.0.2.7"), ("x-api-key", "guess-0123456789-x")];
    client::post(gateway.http, PREDICT, &wrong, QUESTION).assert_refused(429, "rate_limited");
}

#[test]
fn a_client_with_one_wrong_key_goes_on_being_told() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    for _ in 0..60 {
        guess(&gateway, "192.0.2.7", 1).assert_refused(401, "invalid_api_key");
    }
    assert!(guess_on(&gateway, "192.0.2.7") >= 19, "it was one guess");
}

#[test]
fn no_key_at_all_is_no_guess() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    let address = ("x-forwarded-for", "192.0.2.7");
    for _ in 0..40 {
        client::post(gateway.http, PREDICT, &[address], QUESTION).assert_refused(401, "missing_api_key");
    }
    guess(&gateway, "192.0.2.7", 0).assert_refused(401, "invalid_api_key");
}

#[test]
fn a_penalty_outlives_a_reload() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    guess_on(&gateway, "192.0.2.7");
    gateway.signal("HUP");
    gateway.wait_metric("flowgate_config_reloads_total{file=\"config\",result=\"accepted\"}", 1.0);
    guess(&gateway, "192.0.2.7", 0).assert_refused(429, "rate_limited");
}

#[test]
fn answers_to_wrong_keys_are_held_back_and_those_to_good_ones_are_not() {
    let upstream = Upstream::answering();
    let gateway = start_with(&upstream, "{ free: 1, then: 1/day, delay: 60s }");
    let delayed = "flowgate_auth_answers_delayed_total";
    let begin = |number: usize| {
        let key = format!("guess-0123456789-{number}");
        let mut connection = Connection::open(gateway.http);
        let headers = [("x-forwarded-for", "192.0.2.7"), ("x-api-key", &key)];
        connection.write(request("POST", PREDICT, &headers, QUESTION));
        connection
    };
    guess(&gateway, "192.0.2.7", 0).assert_refused(401, "invalid_api_key");
    let mut held: Vec<_> = (1..=16).map(begin).collect();
    gateway.wait_metric(delayed, 16.0);
    // Not so many that they could be collected.
    guess(&gateway, "192.0.2.7", 17).assert_refused(429, "rate_limited");
    guess(&gateway, "192.0.2.8", 0).assert_refused(401, "invalid_api_key");
    let headers = [("x-forwarded-for", "192.0.2.7"), ("x-api-key", KEY)];
    assert_eq!(client::post(gateway.http, PREDICT, &headers, QUESTION).status, 200);
    // Who leaves gives its place back.
    held.pop();
    let held_again = wait_for("another that is held", || {
        let connection = begin(18);
        (gateway.metric(delayed) > 16.0).then_some(connection)
    });
    drop(held_again);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn an_answer_that_was_held_back_comes() {
    let upstream = Upstream::answering();
    let gateway = start_with(&upstream, "{ free: 0, then: 1/day, delay: 10ms }");
    guess(&gateway, "192.0.2.7", 0).assert_refused(401, "invalid_api_key");
    guess(&gateway, "192.0.2.7", 1).assert_refused(429, "rate_limited");
    gateway.wait_metric("flowgate_auth_answers_delayed_total", 2.0);
}

#[test]
fn wrong_keys_are_not_counted_where_that_is_turned_off() {
    let upstream = Upstream::answering();
    let gateway = start_with(&upstream, "null");
    for number in 0..60 {
        guess(&gateway, "192.0.2.7", number).assert_refused(401, "invalid_api_key");
    }
}
