//! What the engine's chats remember, on whichever replica they go on.

use super::chats::{fleet_of, section};
use super::*;
use crate::engine::waiting::{QUESTION, YES, asks};
use crate::engine::{ASK, WIDE};
use crate::harness::model;

const LOST_STORE: &str = "What the chat remembers is in a store that cannot be reached at the moment (state.valkey).";

pub(super) fn ask(gateway: &Gateway, chat: &str, question: &str) {
    let body = serde_json::json!({ "question": question, "chatId": chat }).to_string();
    let answer = gateway.predict(&body);
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What the model was told last, without the system's message.
pub(super) fn told_last(model: &Upstream) -> Vec<String> {
    let last = model.seen().pop().expect("a request");
    model::told(&last).into_iter().filter(|(role, _)| role != "system").map(|(_, text)| text).collect()
}

pub(super) fn remembering(model: &Upstream, section: &str) -> [Gateway; 2] {
    fleet_of(section, &model::export("conversation-chain", model.address))
}

#[test]
fn a_chat_goes_on_on_any_replica() {
    let Some(store) = StoreServer::start() else { return };
    let model = model::saying("fine");
    let mut replicas = remembering(&model, &section(&store));
    ask(&replicas[0], "chat-1", "one");
    ask(&replicas[1], "chat-1", "two");
    assert_eq!(told_last(&model), ["one", "fine", "two"]);
    ask(&replicas[0], "chat-2", "other");
    assert_eq!(told_last(&model), ["other"]);
    // What was answered is kept, however its replica ends.
    replicas[1].signal("KILL");
    replicas[1].wait();
    ask(&replicas[0], "chat-1", "three");
    assert_eq!(told_last(&model), ["one", "fine", "two", "fine", "three"]);
    assert!(
        store.keys().iter().all(|key| key.starts_with("flowgate:v1:") && !key.contains("chat-")),
        "{:?}",
        store.keys()
    );
    assert!(!replicas[0].file("state").exists(), "no folder is needed");
}

#[test]
fn a_session_in_the_store_is_bounded() {
    let Some(store) = StoreServer::start() else { return };
    let model = model::saying("fine");
    let [replica, _] = remembering(&model, &section(&store));
    for number in 0..105 {
        ask(&replica, "c1", &number.to_string());
    }
    assert_eq!(told_last(&model).len(), 201);
    assert_eq!(told_last(&model)[0], "4");
    let key = store.keys().into_iter().find(|key| key.contains(":turns:")).expect("a session");
    assert_eq!(store.number(&format!("LLEN {key}")), Some(100));
    let left = store.number(&format!("TTL {key}")).expect("a number");
    assert!((1..=30 * 86_400).contains(&left), "{left}");
    // By size as well: of three long questions two are kept with what was said beside them.
    for letter in ["a", "b", "c"] {
        ask(&replica, "c2", &letter.repeat(500_000));
    }
    ask(&replica, "c2", "last");
    let starts: Vec<_> = told_last(&model).iter().step_by(2).map(|text| text[..1].to_owned()).collect();
    assert_eq!(starts, ["b", "c", "l"]);
}

#[test]
fn an_approval_is_given_once_on_whichever_replica() {
    let Some(store) = StoreServer::start() else { return };
    give_approvals(&section(&store));
}

/// On a store of whatever kind.
pub(super) fn give_approvals(section: &str) {
    let replicas = fleet_of(section, &asks());
    let asked = replicas[0].predict(QUESTION).json();
    assert_eq!(asked["action"]["data"]["nodeId"], "ok");
    let done = replicas[1].predict(YES);
    assert_eq!((done.status, &done.json()["text"]), (200, &"Done, asked long ago".into()), "{}", done.text());
    assert_eq!(done.json()["executionId"], asked["executionId"]);
    let alone =
        Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| model::write(dir, "support", &asks()));
    assert_eq!((alone.predict(QUESTION).status, alone.predict(YES).status), (200, 200));
    let shape = |gateway: &Gateway| {
        let answer = gateway.predict(YES);
        answer.assert_refused(500, "upstream_error");
        answer.json()["message"].as_str().unwrap().split("session").next().unwrap().to_owned()
    };
    assert_eq!(shape(&replicas[0]), shape(&alone));
    assert_eq!(shape(&replicas[1]), shape(&alone));
    // Of many who give it at once, one goes on.
    replicas[0].predict(QUESTION);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let given: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let replica = &replicas[n % 2];
                    move || replica.predict(YES).status
                })
            })
            .collect();
        given.into_iter().map(|answer| answer.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 500).count(), 7, "{answers:?}");
}

#[test]
fn no_chat_begins_anew_because_the_store_is_lost() {
    let Some(mut store) = StoreServer::start() else { return };
    let model = model::saying("fine");
    let replicas = remembering(&model, &section(&store));
    ask(&replicas[0], "c1", "one");
    store.kill();
    wait_all(&replicas, LOST);
    let answer = replicas[1].predict(ASK);
    answer.assert_refused(500, "upstream_error");
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with(LOST_STORE), "{message}");
    assert!(ready(&replicas[1]).starts_with("ok\nstore: lost"));
    assert_eq!(model.seen().len(), 1, "no model was asked");
    // Who remembers nothing is answered.
    let text = model::config("", "", &format!("{}\n{WIDE}", section(&store)));
    let forgetful = Gateway::start_with(&text, &keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    });
    assert_eq!(forgetful.predict(ASK).status, 200);
    store.launch();
    wait_all(&replicas, UP);
    ask(&replicas[1], "c1", "two");
    assert_eq!(told_last(&model), ["two"], "it was started anew, and is empty");
}
