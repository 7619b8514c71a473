//! Secrets in files of their own, which are read again when they change.

use std::fs;

use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::predictions::PLENTY;
use crate::harness::upstream::Upstream;

const QUESTION: &str = r#"{"question":"hi","chatId":"chat-1"}"#;
const ACCEPTED: &str = "flowgate_config_reloads_total{file=\"secrets\",result=\"accepted\"}";
const HELD_BACK: &str = "flowgate_config_held_back{file=\"secrets\"}";

fn start(upstream: &Upstream) -> Gateway {
    let more = format!("session_secret_file: session-secret\n{PLENTY}");
    let chatflow = ", api_key_file: support-key, isolate_sessions: true";
    Gateway::start_with(&config(upstream.address, "", "", chatflow, &more), &keys(""), |dir| {
        fs::write(dir.join("session-secret"), "first-secret-0123456789\n").unwrap();
        fs::write(dir.join("support-key"), "first-key\n").unwrap();
    })
}

#[test]
fn secrets_in_files_are_those_that_count_and_are_read_again() {
    let upstream = Upstream::answering();
    let gateway = start(&upstream);
    let asked = |count: usize| {
        assert_eq!(gateway.predict(QUESTION).status, 200);
        let seen = upstream.wait_seen(count).remove(count - 1);
        (seen.header("x-api-key").unwrap().to_owned(), seen.json()["chatId"].clone())
    };
    let (key, chat) = asked(1);
    assert_eq!(key, "first-key", "the chatflow's own, and not the upstream's");
    gateway.write("support-key", "second-key\n");
    gateway.wait_metric(ACCEPTED, 1.0);
    assert_eq!(asked(2), ("second-key".to_owned(), chat.clone()));
    gateway.write("session-secret", "second-secret-0123456789\n");
    gateway.wait_metric(ACCEPTED, 2.0);
    let (_, other) = asked(3);
    assert_ne!(other, chat, "another secret parts callers from their chats");
    // One that is broken keeps what it held.
    gateway.write("session-secret", "short");
    gateway.wait_metric(HELD_BACK, 1.0);
    assert_eq!(asked(4).1, other);
    assert!(!gateway.log().concat().contains("secret-0123456789"), "no secret is told");
}
