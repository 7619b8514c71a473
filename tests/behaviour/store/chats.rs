//! Chats that are being answered, on whichever replica.

use super::*;
use crate::engine::{ASK, STREAM, abort, events};
use crate::harness::KEY;
use crate::harness::client::{Connection, Response, request};
use crate::harness::model;
use crate::harness::predictions::{PLENTY, PREDICT};
use crate::harness::upstream::{ANSWER, Gate, Reply, Seen};

const ABORTED: &str = r#"{"status":200,"message":"Chat message aborted"}"#;

/// Streams an event and then waits for the gate; aborts and answers in one piece are answered.
fn streaming(gate: Gate) -> Upstream {
    Upstream::start(move |seen: &Seen, reply: &mut Reply| {
        if seen.method == "PUT" {
            return reply.json("200 OK", ABORTED);
        }
        if seen.json()["streaming"] != true {
            return reply.json("200 OK", ANSWER);
        }
        reply.stream_head();
        reply.event("token", "a");
        gate.pass();
        reply.event("end", "[DONE]");
        reply.finish();
    })
}

pub(super) fn section(store: &StoreServer) -> String {
    format!("state: {{ valkey: {{ urls: ['{}'], timeout: 1s }} }}", store.url())
}

/// Two replicas before a Flowise, on that store.
fn fleet(upstream: &Upstream, section: &str) -> [Gateway; 2] {
    let text = config(upstream.address, "", "", "", &format!("{section}\n{PLENTY}"));
    let replicas = [Gateway::start(&text), Gateway::start(&text)];
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas
}

/// Two replicas whose engine runs that flow, with that section.
pub(super) fn fleet_of(section: &str, flow: &str) -> [Gateway; 2] {
    let long = ", max_question_chars: 1000000, max_word_chars: 1000000";
    let text = model::config("", long, &format!("{section}\n{PLENTY}"));
    let start = || Gateway::start_with(&text, &keys(""), |dir| model::write(dir, "support", flow));
    let replicas = [start(), start()];
    wait_shared_by(&[&replicas[0], &replicas[1]], 2);
    replicas
}

fn engines(model: &Upstream, store: &StoreServer) -> [Gateway; 2] {
    fleet_of(&section(store), &model::export("llm-chain", model.address))
}

fn body(chat: &str, streaming: bool) -> String {
    serde_json::json!({"question": "hi", "chatId": chat, "streaming": streaming}).to_string()
}

fn ask(gateway: &Gateway, body: &str) -> Response {
    client::post(gateway.http, PREDICT, &[("x-api-key", KEY)], body)
}

/// A stream that has begun; `None`: the chat is busy.
fn try_begin(gateway: &Gateway, chat: &str) -> Option<Connection> {
    let mut connection = Connection::open(gateway.http);
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY)], &body(chat, true)));
    let head = connection.read_head().expect("a head");
    assert!(matches!(head.status, 200 | 409), "{}", head.status);
    (head.status == 200).then(|| {
        assert!(connection.read_chunk().expect("an event").is_some());
        connection
    })
}

#[track_caller]
fn begin(gateway: &Gateway, chat: &str) -> Connection {
    try_begin(gateway, chat).expect("a stream")
}

/// Chats of which the store knows a stream.
fn held(store: &StoreServer) -> usize {
    store.keys().iter().filter(|key| key.contains(":{chats}:") && !key.ends_with(":replicas")).count()
}

#[test]
fn a_second_stream_of_a_chat_is_refused_by_every_replica() {
    let Some(store) = StoreServer::start() else { return };
    let (open, gate) = Gate::new();
    let upstream = streaming(gate);
    let replicas = fleet(&upstream, &section(&store));
    let mut first = begin(&replicas[0], "one");
    for replica in &replicas {
        ask(replica, &body("one", true)).assert_refused(409, "chat_busy");
    }
    assert_eq!(ask(&replicas[1], &body("one", false)).status, 200, "an answer in one piece takes no stream over");
    let mut other = begin(&replicas[1], "two");
    assert_eq!(held(&store), 2);
    assert!(store.keys().iter().all(|key| !key.contains("one")), "{:?}", store.keys());
    (0..2).for_each(|_| open.send(()).expect("the upstream waits"));
    first.read_rest();
    other.read_rest();
    // Free for all of them, and forgotten.
    let mut again = wait_for("the chat", || try_begin(&replicas[1], "one"));
    ask(&replicas[0], &body("one", true)).assert_refused(409, "chat_busy");
    open.send(()).expect("the upstream waits");
    again.read_rest();
    wait_for("no chats in the store", || (held(&store) == 0).then_some(()));
    assert!(replicas[0].metric("flowgate_state_seconds_count{call=\"chat\"}") > 0.5);
}

#[test]
fn a_chat_is_free_when_the_replica_that_had_it_has_died() {
    let Some(store) = StoreServer::start() else { return };
    free_chats_of_the_dead(&section(&store));
}

/// On a store of whatever kind.
pub(super) fn free_chats_of_the_dead(section: &str) {
    let (open, gate) = Gate::new();
    let upstream = streaming(gate);
    let [mut first, second] = fleet(&upstream, section);
    let _stream = begin(&first, "one");
    ask(&second, &body("one", true)).assert_refused(409, "chat_busy");
    first.signal("KILL");
    first.wait();
    let mut taken = wait_for("the chat", || try_begin(&second, "one"));
    (0..2).for_each(|_| open.send(()).expect("the upstream waits"));
    taken.read_rest();
}

#[test]
fn a_chat_is_held_for_as_long_as_its_stream_runs() {
    let Some(store) = StoreServer::start() else { return };
    let (open, gate) = Gate::new();
    let upstream = streaming(gate);
    let replicas = fleet(&upstream, &section(&store));
    let mut stream = begin(&replicas[0], "one");
    // Several lives of a lease.
    let renewed = || replicas[0].metric("flowgate_state_seconds_count{call=\"chats\"}");
    wait_for("eight words of it", || (renewed() > 7.5).then_some(()));
    ask(&replicas[1], &body("one", true)).assert_refused(409, "chat_busy");
    open.send(()).expect("the upstream waits");
    stream.read_rest();
}

#[test]
fn while_the_store_is_lost_each_replica_knows_its_own_chats_and_says_them_again() {
    let Some(mut store) = StoreServer::start() else { return };
    let (open, gate) = Gate::new();
    let upstream = streaming(gate);
    let replicas = fleet(&upstream, &section(&store));
    let mut before = begin(&replicas[0], "one");
    store.kill();
    wait_all(&replicas, LOST);
    ask(&replicas[0], &body("one", true)).assert_refused(409, "chat_busy");
    let mut beside = begin(&replicas[1], "one");
    let mut meanwhile = begin(&replicas[0], "two");
    store.launch();
    wait_all(&replicas, UP);
    wait_for("all chats in the store again", || (held(&store) == 2).then_some(()));
    ask(&replicas[1], &body("two", true)).assert_refused(409, "chat_busy");
    (0..3).for_each(|_| open.send(()).expect("the upstream waits"));
    for stream in [&mut before, &mut beside, &mut meanwhile] {
        stream.read_rest();
    }
    wait_for("no chats in the store", || (held(&store) == 0).then_some(()));
}

#[test]
fn an_abort_reaches_the_replica_that_has_the_stream() {
    let Some(store) = StoreServer::start() else { return };
    let (open, gate) = Gate::new();
    let upstream = streaming(gate);
    let replicas = fleet(&upstream, &section(&store));
    let mut stream = begin(&replicas[0], "one");
    let answer = abort(&replicas[1], KEY, "one");
    assert_eq!((answer.status, &*answer.text()), (200, ABORTED));
    // The one that was asked tells Flowise, and so does the other: it knows which server has the chat.
    let aborts = || upstream.seen().iter().filter(|seen| seen.method == "PUT").count();
    wait_for("two aborts", || (aborts() == 2).then_some(()));
    assert!(upstream.seen().iter().filter(|seen| seen.method == "PUT").all(|seen| seen.path.ends_with("/one")));
    replicas[0].wait_metric("flowgate_upstream_aborts_total{result=\"ok\"}", 1.0);
    open.send(()).expect("the upstream waits");
    stream.read_rest();
    // Of what nobody has, only Flowise is told.
    assert_eq!(abort(&replicas[1], KEY, "nothing").status, 200);
    assert_eq!(aborts(), 3);
}

#[test]
fn an_abort_ends_what_the_engine_of_another_replica_runs() {
    let Some(store) = StoreServer::start() else { return };
    let model = Upstream::start(|seen, reply| {
        if seen.json()["stream"] == true {
            reply.stream_head();
            model::token(reply, "word");
        }
        reply.wait_for_close();
    });
    let replicas = engines(&model, &store);
    let mut stream = replicas[0].begin(STREAM);
    assert_eq!(stream.read_head().unwrap().status, 200);
    let mut read = String::from_utf8(stream.read_chunk().unwrap().unwrap()).unwrap();
    replicas[1].begin(STREAM).read_response().unwrap().assert_refused(409, "chat_busy");
    let answer = abort(&replicas[1], KEY, "c1");
    assert_eq!((answer.status, &*answer.text()), (200, ABORTED));
    read += &stream.read_rest();
    assert_eq!(events(&read), ["start", "token", "abort", "end"]);
    let asked = model.seen().len();
    let mut whole = replicas[0].begin(ASK);
    model.wait_seen(asked + 1);
    assert_eq!(abort(&replicas[1], KEY, "c1").status, 200);
    let message = "Error: predictionsServices.buildChatflow - This operation was aborted";
    let answer = whole.read_response().unwrap();
    assert_eq!((answer.status, answer.json()["message"].as_str()), (500, Some(message)));
}

/// A chat has one stream, whatever else of the store is lost.
pub(super) fn hold_chats(section: &str, lose: impl FnOnce()) {
    let (open, gate) = Gate::new();
    let upstream = streaming(gate);
    let replicas = fleet(&upstream, section);
    lose();
    let mut stream = begin(&replicas[0], "one");
    ask(&replicas[1], &body("one", true)).assert_refused(409, "chat_busy");
    open.send(()).expect("the upstream waits");
    stream.read_rest();
}

/// How many listen to the channels of replicas.
pub(super) fn listening(store: &StoreServer) -> usize {
    let channels = store.list("PUBSUB SHARDCHANNELS flowgate:v1:*:replica:*");
    channels
        .iter()
        .filter(|channel| store.list(&format!("PUBSUB SHARDNUMSUB {channel}")).contains(&"1".to_owned()))
        .count()
}

#[test]
fn the_store_can_say_which_replicas_it_has_connections_of() {
    let Some(mut store) = StoreServer::start() else { return };
    let model = Upstream::start(|_, reply| {
        reply.stream_head();
        model::token(reply, "word");
        reply.wait_for_close();
    });
    let [mut first, second] = engines(&model, &store);
    wait_for("two that listen", || (listening(&store) == 2).then_some(()));
    // A connection that broke is made again, and so is one to a server that was started anew.
    assert_eq!(store.command("CLIENT KILL TYPE pubsub"), ":2");
    wait_for("two that listen", || (listening(&store) == 2).then_some(()));
    store.kill();
    store.launch();
    wait_for("two that listen", || (listening(&store) == 2).then_some(()));
    wait_all([&first, &second], UP);
    let mut stream = first.begin(STREAM);
    assert_eq!(stream.read_head().unwrap().status, 200);
    assert!(stream.read_chunk().unwrap().is_some());
    assert_eq!(abort(&second, KEY, "c1").status, 200);
    assert!(stream.read_rest().contains("\"abort\""));
    first.signal("KILL");
    first.wait();
    wait_for("one that listens", || (listening(&store) == 1).then_some(()));
    assert_eq!(told(&second, "what other replicas tell"), 0);
}
