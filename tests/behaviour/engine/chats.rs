//! What chats remember, and for how long.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::{WIDE, stream};
use crate::harness::gateway::{BINARY, Gateway, keys};
use crate::harness::upstream::Upstream;
use crate::harness::{model, wait_for};

fn start(model: &Upstream, state: &Path) -> Gateway {
    let more = format!("state_dir: {}\n{WIDE}", state.display());
    Gateway::start_with(&model::config("", "", &more), &keys(""), |dir| {
        model::write(dir, "support", &model::export("conversation-chain", model.address));
    })
}

fn ask(gateway: &Gateway, chat: &str, question: &str) {
    let body = format!(r#"{{"question":"{question}","chatId":"{chat}"}}"#);
    assert_eq!(gateway.predict(&body).status, 200);
}

/// What the model was told last, without the system's message.
fn told(model: &Upstream) -> Vec<String> {
    let last = model.seen().pop().expect("a request");
    model::told(&last).into_iter().filter(|(role, _)| role != "system").map(|(_, text)| text).collect()
}

#[test]
fn a_chat_is_remembered_over_a_restart() {
    let model = model::saying("fine");
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("a/state");
    let mut gateway = start(&model, &folder);
    ask(&gateway, "c1", "one");
    // At once, without waiting for the disk, and by chat.
    ask(&gateway, "c1", "two");
    assert_eq!(told(&model), ["one", "fine", "two"]);
    ask(&gateway, "c2", "other");
    assert_eq!(told(&model), ["other"]);
    let text = stream(&gateway, r#"{"question":"three","chatId":"c1","streaming":true}"#);
    assert!(text.contains("\"memoryType\":\"Buffer Memory\""), "{text}");
    // A clean stop loses nothing, not even what was said a moment ago.
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    let mode = std::fs::metadata(folder.join("chats.redb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let gateway = start(&model, &folder);
    ask(&gateway, "c1", "four");
    assert_eq!(told(&model), ["one", "fine", "two", "fine", "three", "fine", "four"]);
}

#[test]
fn a_crash_loses_no_more_than_the_last_moment() {
    let model = model::saying("fine");
    let state = tempfile::tempdir().unwrap();
    let mut gateway = start(&model, state.path());
    for number in 0..50 {
        ask(&gateway, "c1", &number.to_string());
    }
    let file = || std::fs::read(state.path().join("chats.redb")).unwrap();
    // What is on disk by now is a beginning of what was said; after a pause in the talk it is all of it.
    let has_last = || file().windows(30).any(|part| part.starts_with(br#"[{"by_user":true,"text":"49"}"#));
    wait_for("the last exchange on disk", || has_last().then_some(()));
    wait_for("a pause", || {
        let written = std::fs::metadata(state.path().join("chats.redb")).unwrap().modified().unwrap();
        (written.elapsed().unwrap_or_default().as_millis() > 400).then_some(())
    });
    gateway.signal("KILL");
    gateway.wait();
    let gateway = start(&model, state.path());
    ask(&gateway, "c1", "next");
    assert_eq!(told(&model).len(), 101);
    // In the middle of the talk: whole exchanges, from the first on, nothing torn.
    drop(gateway);
    let mut gateway = start(&model, state.path());
    for number in 0..30 {
        ask(&gateway, "c3", &number.to_string());
    }
    gateway.signal("KILL");
    gateway.wait();
    let gateway = start(&model, state.path());
    ask(&gateway, "c3", "next");
    let told = told(&model);
    let questions: Vec<_> = told.iter().step_by(2).cloned().collect();
    let expected: Vec<_> = (0..questions.len() - 1).map(|n| n.to_string()).chain(["next".to_owned()]).collect();
    assert_eq!(questions, expected);
}

#[test]
fn a_failed_turn_leaves_nothing() {
    let model = Upstream::start(|seen, reply| {
        if seen.json()["messages"].to_string().contains("fail now") {
            reply.json("400 Bad Request", r#"{"error":{"message":"no"}}"#);
        } else {
            model::answer(seen, reply, "fine");
        }
    });
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&model, state.path());
    ask(&gateway, "c1", "one");
    assert_eq!(gateway.predict(r#"{"question":"fail now","chatId":"c1"}"#).status, 500);
    ask(&gateway, "c1", "two");
    assert_eq!(told(&model), ["one", "fine", "two"]);
}

fn serve(folder: &Path) -> Output {
    Command::new(BINARY).args(["serve", "--config"]).arg(folder.join("flowgate.yaml")).output().unwrap()
}

#[test]
fn a_state_dir_has_one_gateway() {
    let model = model::saying("fine");
    let state = tempfile::tempdir().unwrap();
    let gateway = start(&model, state.path());
    ask(&gateway, "c1", "one");
    let output = serve(gateway.dir());
    assert_eq!(output.status.code(), Some(2));
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(shown.contains("state_dir: what chats remember is kept in the folder"), "{shown}");
    assert!(shown.contains("another process has chats.redb open"), "{shown}");
    // Looking at the configuration needs no hold of it.
    let check = Command::new(BINARY).args(["check", "--config"]).arg(gateway.file("flowgate.yaml")).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn flows_without_a_memory_need_no_state() {
    let model = model::saying("fine");
    let gateway = Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    });
    ask(&gateway, "c1", "one");
    assert!(!gateway.file("state").exists());
    // One that comes later makes it.
    model::write(gateway.dir(), "support", &model::export("conversation-chain", model.address));
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="flows",result="accepted"}"#, 1.0);
    ask(&gateway, "c1", "two");
    ask(&gateway, "c1", "three");
    assert_eq!(told(&model), ["two", "fine", "three"]);
    assert!(gateway.file("state/chats.redb").exists());
}
