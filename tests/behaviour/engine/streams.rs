//! Streams: what a client reads, and what ends the call of the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ASK, END, PATH, STREAM, WIDE, abort, begin, events, running, stream, with};
use crate::harness::client::{Connection, request};
use crate::harness::gateway::Gateway;
use crate::harness::upstream::{Gate, Upstream, record};
use crate::harness::{KEY, model, sha256, wait_for};

const OTHER: &str = "other-key-0123456789abcdef";

#[test]
fn a_prediction_is_answered_as_flowise_answers() {
    let model = model::saying("hello there you");
    let gateway = running(&model, "llm-chain");
    let json = gateway.predict(ASK).json();
    assert_eq!((&json["text"], &json["question"]), (&"hello there you".into(), &"hi".into()));
    assert_eq!((&json["chatId"], &json["sessionId"]), (&"c1".into(), &"c1".into()));
    let text = stream(&gateway, STREAM);
    assert_eq!(events(&text), ["start", "token", "token", "token", "metadata", "end"]);
    assert!(text.starts_with(&record("start", "")) && text.ends_with(END), "{text}");
    let seen = model.wait_seen(2);
    assert_eq!(seen[0].header("authorization"), Some(&*format!("Bearer {}", model::MODEL_KEY)));
    assert_eq!(seen[0].path, "/v1/chat/completions");
    let expected = "You are an assistant for user: anonymous. Be brief.\n\nQuestion: hi";
    assert_eq!(model::told(&seen[1]), [("user".to_owned(), expected.to_owned())]);
}

#[test]
fn a_token_is_passed_on_when_it_comes() {
    let (go_on, gate) = Gate::new();
    let model = Upstream::start(move |_, reply| {
        reply.stream_head();
        for word in ["one", " two"] {
            model::token(reply, word);
            gate.pass();
        }
        model::end(reply, 1, 2);
    });
    let gateway = running(&model, "llm-chain");
    let mut stream = gateway.begin(STREAM);
    assert_eq!(stream.read_head().unwrap().status, 200);
    let mut read = String::new();
    for word in ["one", " two"] {
        while !read.ends_with(&record("token", word)) {
            read += &String::from_utf8(stream.read_chunk().unwrap().expect("more")).unwrap();
        }
        go_on.send(()).unwrap();
    }
    assert!(stream.read_rest().ends_with(END));
}

/// A model that says a word and then waits for its caller to go; counts those that went.
fn endless() -> (Upstream, Arc<AtomicUsize>) {
    let gone = Arc::new(AtomicUsize::new(0));
    let model = Upstream::start({
        let gone = Arc::clone(&gone);
        move |seen, reply| {
            if seen.json()["stream"] == true {
                reply.stream_head();
                model::token(reply, "word");
            }
            if reply.wait_for_close() {
                gone.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (model, gone)
}

#[track_caller]
fn wait_gone(gone: &AtomicUsize, count: usize) {
    wait_for("cancelled calls of the model", || (gone.load(Ordering::SeqCst) >= count).then_some(()));
}

#[test]
fn a_client_that_goes_cancels_the_call_of_the_model() {
    let (model, gone) = endless();
    let gateway = running(&model, "llm-chain");
    // Mid-stream, before the answer in one piece, and before anything came.
    let mut stream = gateway.begin(STREAM);
    assert!(stream.read_head().is_ok() && stream.read_chunk().unwrap().is_some());
    drop(stream);
    wait_gone(&gone, 1);
    let waiting = gateway.begin(ASK);
    model.wait_seen(2);
    drop(waiting);
    wait_gone(&gone, 2);
    gateway.wait_metric(r#"flowgate_streams_ended_total{reason="client_gone"}"#, 1.0);
    let cancelled = r#"flowgate_engine_model_errors_total{chatflow="support",kind="cancelled",model="stub-model"}"#;
    gateway.wait_metric(cancelled, 2.0);
    // The chat is free again.
    let mut again = gateway.begin(STREAM);
    assert_eq!(again.read_head().unwrap().status, 200);
}

#[test]
fn an_abort_ends_what_runs_in_the_chat_on_any_worker() {
    let (model, gone) = endless();
    let config = model::config("", "", WIDE).replace("workers: 1", "workers: 2");
    let gateway = Gateway::start_with(&config, &crate::harness::gateway::keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    });
    for round in 1..=6 {
        let mut stream = gateway.begin(STREAM);
        assert_eq!(stream.read_head().unwrap().status, 200);
        let mut read = String::from_utf8(stream.read_chunk().unwrap().unwrap()).unwrap();
        let response = abort(&gateway, KEY, "c1");
        assert_eq!((response.status, &*response.text()), (200, r#"{"status":200,"message":"Chat message aborted"}"#));
        read += &stream.read_rest();
        assert_eq!(events(&read), ["start", "token", "abort", "end"]);
        wait_gone(&gone, round);
    }
    let before = model.seen().len();
    let mut whole = gateway.begin(ASK);
    model.wait_seen(before + 1);
    assert_eq!(abort(&gateway, KEY, "c1").status, 200);
    let response = whole.read_response().unwrap();
    assert_eq!(response.status, 500);
    let message = "Error: predictionsServices.buildChatflow - This operation was aborted";
    assert_eq!(response.json()["message"], message);
    // Nothing runs: the same answer, as Flowise's.
    assert_eq!(abort(&gateway, KEY, "nothing").status, 200);
}

#[test]
fn an_agentflow_tells_its_abort_as_in_flowise() {
    let (model, gone) = endless();
    let gateway = running(&model, "agentflow-llm");
    let mut stream = gateway.begin(STREAM);
    assert_eq!(stream.read_head().unwrap().status, 200);
    let mut read = String::new();
    while !read.ends_with(&record("token", "word")) {
        read += &String::from_utf8(stream.read_chunk().unwrap().expect("more")).unwrap();
    }
    assert_eq!(abort(&gateway, KEY, "c1").status, 200);
    let told = stream.read_rest();
    // wire/24.
    assert_eq!(events(&told), ["nextAgentFlow", "agentFlowExecutedData", "agentFlowEvent", "error", "end"], "{told}");
    let message = "Error: predictionsServices.buildChatflow - Error in LLM node: This operation was aborted";
    assert!(told.contains(&record("error", message)), "{told}");
    wait_gone(&gone, 1);
}

#[test]
fn nobody_ends_the_chat_of_another() {
    let (model, gone) = endless();
    let keys = format!("{}  - {{ id: partner, sha256: {} }}\n", crate::harness::gateway::keys(""), sha256(OTHER));
    let gateway = Gateway::start_with(&model::config("", ", isolate_sessions: true", WIDE), &keys, |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    });
    let open = |key: &str| {
        let mut stream = begin(&gateway, &[("x-api-key", key)], STREAM);
        assert_eq!(stream.read_head().unwrap().status, 200);
        assert!(stream.read_chunk().unwrap().is_some());
        stream
    };
    // The same name is another chat.
    let (mut mine, _other) = (open(KEY), open(OTHER));
    assert_eq!(abort(&gateway, OTHER, "c1").status, 200);
    wait_gone(&gone, 1);
    assert_eq!(abort(&gateway, KEY, "c1").status, 200);
    assert_eq!(events(&mine.read_rest()), ["abort", "end"]);
    wait_gone(&gone, 2);
    assert_eq!(abort(&gateway, "wrong-key-0123456789abcdef", "c1").status, 401);
}

#[test]
fn a_chat_has_one_stream_at_a_time() {
    let (model, _gone) = endless();
    let gateway = running(&model, "llm-chain");
    let mut stream = gateway.begin(STREAM);
    assert!(stream.read_head().is_ok() && stream.read_chunk().unwrap().is_some());
    gateway.predict(STREAM).assert_refused(409, "chat_busy");
    let mut other = gateway.begin(&STREAM.replace("c1", "c2"));
    assert_eq!(other.read_head().unwrap().status, 200);
}

#[test]
fn limits_hold_as_for_flowise() {
    let model = model::saying("hello");
    let more = "plans: { default: { requests: 2/min, burst: 2, concurrent: 1, quota: 3/month } }";
    let gateway = Gateway::start_with(&model::config("", "", more), &crate::harness::gateway::keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    });
    assert_eq!([gateway.predict(ASK).status, gateway.predict(ASK).status], [200, 200]);
    gateway.predict(ASK).assert_refused(429, "rate_limited");
    assert_eq!(model.seen().len(), 2);

    let (model, gone) = endless();
    let more = "plans: { default: { requests: 1000/min, burst: 100, concurrent: 1, wait: 0s } }";
    let gateway = Gateway::start_with(&model::config("", "", more), &crate::harness::gateway::keys(""), |dir| {
        model::write(dir, "support", &model::export("llm-chain", model.address));
    });
    let mut stream = gateway.begin(STREAM);
    assert!(stream.read_head().is_ok() && stream.read_chunk().unwrap().is_some());
    gateway.predict(ASK).assert_refused(429, "too_many_concurrent");
    drop(stream);
    wait_gone(&gone, 1);
    // The place is free again.
    wait_for("a free place", || {
        let mut stream = gateway.begin(STREAM);
        (stream.read_head().unwrap().status == 200).then_some(())
    });
}

#[test]
fn a_running_stream_finishes_while_the_gateway_drains() {
    let (go_on, gate) = Gate::new();
    let model = Upstream::start(move |_, reply| {
        reply.stream_head();
        model::token(reply, "first");
        gate.pass();
        model::token(reply, " last");
        model::end(reply, 1, 2);
    });
    let mut gateway = running(&model, "llm-chain");
    let mut stream = gateway.begin(STREAM);
    assert!(stream.read_head().is_ok() && stream.read_chunk().unwrap().is_some());
    gateway.signal("TERM");
    gateway.log_line(|line| line["message"] == "draining");
    go_on.send(()).unwrap();
    let text = stream.read_rest();
    assert!(text.contains(&record("token", " last")) && text.ends_with(END), "{text}");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_stream_beyond_the_grace_ends_with_an_error_and_cancels_the_call() {
    let (model, gone) = endless();
    let mut gateway = with(&model, "llm-chain", ", shutdown_grace: 200ms", "");
    let mut stream = Connection::open(gateway.http);
    stream.write(request("POST", PATH, &[("x-api-key", KEY), ("x-request-id", "beyond-the-grace")], STREAM));
    assert!(stream.read_head().is_ok() && stream.read_chunk().unwrap().is_some());
    let waiting = gateway.begin(&ASK.replace("c1", "c2"));
    model.wait_seen(2);
    gateway.signal("TERM");
    assert_eq!(stream.read_rest(), record("error", "The gateway is shutting down.") + END);
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(gateway.access_line("beyond-the-grace")["end"], "drained");
    wait_gone(&gone, 2);
    drop(waiting);
}
