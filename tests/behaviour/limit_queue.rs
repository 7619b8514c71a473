//! A caller over `concurrent` waits a while before it is refused.

use crate::harness::client::{self, Connection, Response, request};
use crate::harness::gateway::{Gateway, config};
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, wait_for};
use crate::rate_limits::{PREDICT, QUESTION, SECOND, STREAMING, ask, holding, start};

const WAITING: &str = "flowgate_limit_waiting";

fn waits(result: &str) -> String {
    format!("flowgate_limit_wait_seconds_count{{result=\"{result}\"}}")
}

/// A request that the upstream answers when told to, or that waits for its turn.
fn begin(gateway: &Gateway, question: &str) -> Connection {
    let mut connection = Connection::open(gateway.http);
    let body = format!(r#"{{"question":"hold {question}"}}"#);
    connection.write(request("POST", PREDICT, &[("x-api-key", KEY), ("x-request-id", question)], &body));
    connection
}

fn predictions(upstream: &Upstream) -> Vec<String> {
    let seen = upstream.seen();
    let questions = seen.iter().filter(|seen| seen.method == "POST");
    questions.map(|seen| seen.json()["question"].as_str().expect("a question").to_owned()).collect()
}

#[track_caller]
fn wait_asked(upstream: &Upstream, count: usize) {
    wait_for("predictions", || (predictions(upstream).len() == count).then_some(()));
}

#[test]
fn twelve_callers_at_once_are_all_answered() {
    let (upstream, go) = holding();
    let plans = "plans: { default: { requests: 60/min, burst: 20 } }";
    let config = config(upstream.address, "", "", "", plans).replace("workers: 1", "workers: 2");
    let gateway = Gateway::start(&config);
    let mut callers: Vec<_> = (0..12).map(|number| begin(&gateway, &format!("number-{number}"))).collect();
    wait_asked(&upstream, 8);
    gateway.wait_metric(WAITING, 4.0);
    assert_eq!(client::get(gateway.http, "/api/v1/health", &[]).status, 200);
    for _ in 0..12 {
        go.send(()).unwrap();
    }
    for caller in &mut callers {
        let response = caller.read_response().expect("an answer");
        assert_eq!(response.status, 200, "{}", response.text());
    }
    gateway.wait_metric(&waits("admitted"), 4.0);
    gateway.wait_metric(WAITING, 0.0);
    gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"concurrent\"}", 0.0);
}

#[test]
fn who_waits_is_served_in_order_and_charged_once() {
    let (upstream, go) = holding();
    let gateway = start(upstream.address, "default: { requests: 4/day, burst: 4, concurrent: 1, wait: 60s }");
    let mut callers = Vec::new();
    for (number, question) in ["question-1", "question-2", "question-3"].into_iter().enumerate() {
        callers.push(begin(&gateway, question));
        wait_asked(&upstream, 1);
        gateway.wait_metric(WAITING, f64::from(u32::try_from(number).unwrap()));
    }
    // Others are not concerned.
    assert_eq!(ask(&gateway, SECOND).status, 200);
    for (caller, left) in callers.iter_mut().zip([3, 1, 1]) {
        go.send(()).unwrap();
        let response = caller.read_response().expect("an answer");
        assert_eq!(response.status, 200);
        // Where the caller stands now, and not when the request came.
        let state = response.header("ratelimit").expect("a state");
        assert!(state.starts_with(&format!("\"default\";r={left};t=")), "{state}");
    }
    assert_eq!(predictions(&upstream), ["hold question-1", "hi", "hold question-2", "hold question-3"]);
    assert!(gateway.access_line("question-3")["waited_ms"].is_number());
    assert!(gateway.access_line("question-1")["waited_ms"].is_null());
    assert_eq!((ask(&gateway, KEY).status, ask(&gateway, KEY).status), (200, 429));
}

#[track_caller]
fn assert_busy(response: &Response) {
    response.assert_refused(429, "too_many_concurrent");
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!(response.header("ratelimit").is_some());
}

#[test]
fn who_has_waited_in_vain_is_refused() {
    let (upstream, go) = holding();
    let plans = "default: { requests: 100000/min, burst: 100, concurrent: 1, wait: 10ms }";
    let gateway = start(upstream.address, plans);
    let mut first = begin(&gateway, "question-1");
    wait_asked(&upstream, 1);
    assert_busy(&ask(&gateway, KEY));
    gateway.wait_metric(&waits("refused"), 1.0);
    gateway.wait_metric("flowgate_limited_total{key=\"app\",limit=\"concurrent\"}", 1.0);
    go.send(()).unwrap();
    assert_eq!(first.read_response().expect("an answer").status, 200);
    assert_eq!(ask(&gateway, KEY).status, 200, "no place was lost");
}

#[test]
fn a_queue_has_an_end_and_who_leaves_it_makes_room() {
    let (upstream, go) = holding();
    let plans = "default: { requests: 100000/min, burst: 100, concurrent: 1, wait: 60s, queue: 1 }";
    let gateway = start(upstream.address, plans);
    let mut first = begin(&gateway, "question-1");
    wait_asked(&upstream, 1);
    let second = begin(&gateway, "question-2");
    gateway.wait_metric(WAITING, 1.0);
    assert_busy(&ask(&gateway, KEY));
    drop(second);
    gateway.wait_metric(&waits("left"), 1.0);
    assert_eq!(gateway.access_line("question-2")["status"], 499);
    let mut third = begin(&gateway, "question-3");
    gateway.wait_metric(WAITING, 1.0);
    go.send(()).unwrap();
    go.send(()).unwrap();
    for caller in [&mut first, &mut third] {
        assert_eq!(caller.read_response().expect("an answer").status, 200);
    }
    assert_eq!(predictions(&upstream), ["hold question-1", "hold question-3"]);
}

#[test]
fn nobody_waits_where_the_plan_says_so() {
    for plan in ["wait: 0s", "wait: null", "queue: 0", "queue: null"] {
        let (upstream, _go) = holding();
        let plans = format!("default: {{ requests: 100000/min, burst: 100, concurrent: 1, {plan} }}");
        let gateway = start(upstream.address, &plans);
        let _first = begin(&gateway, "question-1");
        wait_asked(&upstream, 1);
        assert_busy(&ask(&gateway, KEY));
        gateway.wait_metric(&waits("refused"), 0.0);
    }
}

#[test]
fn an_address_waits_as_a_key_does() {
    let (go, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let upstream = Upstream::start(move |_, reply| {
        let _ = told.lock().unwrap().recv();
        reply.json("200 OK", r#"{"isStreaming":true}"#);
    });
    let plans = "anonymous: { requests: 100000/min, burst: 100, concurrent: 1, wait: 60s }";
    let gateway = start(upstream.address, plans);
    let begin = || {
        let mut connection = Connection::open(gateway.http);
        connection.write(request("GET", STREAMING, &[], ""));
        connection
    };
    let mut callers = [begin(), begin()];
    gateway.wait_metric(WAITING, 1.0);
    assert_eq!(upstream.wait_seen(1).len(), 1);
    go.send(()).unwrap();
    go.send(()).unwrap();
    for caller in &mut callers {
        let response = caller.read_response().expect("an answer");
        assert_eq!((response.status, response.header("ratelimit-policy").is_some()), (200, true));
    }
}

#[test]
fn a_changed_plan_reaches_those_who_wait() {
    let (upstream, go) = holding();
    let plans = "default: { requests: 100000/min, burst: 100, concurrent: 1, wait: 60s }";
    let gateway = start(upstream.address, plans);
    let mut callers = vec![begin(&gateway, "question-1")];
    wait_asked(&upstream, 1);
    callers.push(begin(&gateway, "question-2"));
    gateway.wait_metric(WAITING, 1.0);
    let file = gateway.file("flowgate.yaml");
    let text = std::fs::read_to_string(&file).unwrap().replace("concurrent: 1", "concurrent: 3");
    std::fs::write(&file, text).unwrap();
    gateway.signal("HUP");
    gateway.log_line(|line| line.to_string().contains("reload"));
    wait_for("the new plan", || (ask(&gateway, KEY).status == 200).then_some(()));
    gateway.wait_metric(WAITING, 0.0);
    go.send(()).unwrap();
    go.send(()).unwrap();
    for caller in &mut callers {
        assert_eq!(caller.read_response().expect("an answer").status, 200);
    }
    let quiet = QUESTION;
    assert_eq!(gateway.predict(quiet).status, 200);
}
