//! Flows that compute for long: nobody else waits for them.

use serde_json::{Value, json};

use super::{PATH, WIDE};
use crate::harness::client::{self, Connection, request};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::upstream::{ANSWER, Gate, Upstream, record};
use crate::harness::{FLOW, KEY, model, wait_for};

/// Runs that compute at once, on one thread.
const BURNERS: usize = 3;

/// Two agentflows: one runs the other a thousand times, which goes round nearly a thousand nodes. That takes many seconds
/// of computing.
fn burner() -> (String, String) {
    let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs } });
    let edge = |source: &str, target: &str| json!({ "source": source, "target": target, "sourceHandle": format!("{source}-output-{source}"), "targetHandle": target });
    let start = node("start", "startAgentflow", json!({ "startInputType": "chatInput" }));
    let say = node("say", "directReplyAgentflow", json!({ "directReplyMessage": "And so on." }));
    let again = node("again", "loopAgentflow", json!({ "loopBackToNode": "say-say", "maxLoopCount": 480 }));
    let round = json!({ "nodes": [start, say, again], "edges": [edge("start", "say"), edge("say", "again")] });
    let each = node("each", "iterationAgentflow", json!({ "iterationInput": json!(vec![1; 1000]).to_string() }));
    let inputs = json!({ "executeFlowSelectedFlow": "round", "executeFlowInput": "go" });
    let mut runs = node("runs", "executeFlowAgentflow", inputs);
    runs["parentNode"] = "each".into();
    let rounds = json!({ "nodes": [start, each, runs], "edges": [edge("start", "each")] });
    (rounds.to_string(), round.to_string())
}

/// A gateway with one worker and one engine thread: `support` computes, `talk` asks the model, `proxied` is Flowise's.
fn gateway(server: &str, model: &Upstream, flowise: &Upstream) -> Gateway {
    let config = model::config(server, ", events: [token]", WIDE)
        .replace("engine: { ", "engine: { threads: 1, limits: { steps: 10000000, text: 4GiB }, ")
        .replace(
            "upstreams:\n",
            &format!("upstreams:\n  flowise: {{ flowise: {{ urls: ['http://{}'] }} }}\n", flowise.address),
        )
        .replace(
            "chatflows:\n",
            &format!("chatflows:\n  talk: {{ upstream: local }}\n  proxied: {{ upstream: flowise, id: {FLOW} }}\n"),
        );
    Gateway::start_with(&config, &keys(""), |dir| {
        let (rounds, round) = burner();
        model::write(dir, "support", &rounds);
        model::write(dir, "round", &round);
        model::write(dir, "talk", &model::export("llm-chain", model.address));
    })
}

/// Streams of the flow that computes, begun.
fn burn(gateway: &Gateway) -> Vec<Connection> {
    let begin = |number: usize| {
        let mut stream = gateway.begin(&format!(r#"{{"question":"hi","chatId":"b{number}","streaming":true}}"#));
        assert_eq!(stream.read_head().unwrap().status, 200);
        stream
    };
    (0..BURNERS).map(begin).collect()
}

#[test]
fn a_flow_that_computes_keeps_nobody_waiting() {
    let (go_on, gate) = Gate::new();
    let model = Upstream::start(move |_, reply| {
        reply.stream_head();
        for word in ["one", " two", " three"] {
            model::token(reply, word);
            gate.pass();
        }
        model::end(reply, 1, 2);
    });
    let flowise = Upstream::answering();
    let gateway = gateway("", &model, &flowise);
    let mut talk = Connection::open(gateway.http);
    let body = r#"{"question":"hi","chatId":"t","streaming":true}"#;
    talk.write(request("POST", &PATH.replace("support", "talk"), &[("x-api-key", KEY)], body));
    assert_eq!(talk.read_head().unwrap().status, 200);
    let mut hear = |word: &str| {
        let mut read = String::new();
        while !read.ends_with(&record("token", word)) {
            read += &String::from_utf8(talk.read_chunk().unwrap().expect("more")).unwrap();
        }
    };
    hear("one");
    let burners = burn(&gateway);
    let health = client::get(gateway.http, "/api/v1/health", &[]);
    let proxied =
        client::post(gateway.http, &PATH.replace("support", "proxied"), &[("x-api-key", KEY)], r#"{"question":"hi"}"#);
    for word in [" two", " three"] {
        go_on.send(()).unwrap();
        hear(word);
    }
    // All of that while the others still computed.
    let open = gateway.metric("flowgate_streams_open");
    assert_eq!((health.status, proxied.status, open.to_string()), (200, 200, (BURNERS + 1).to_string()));
    assert_eq!(proxied.json()["text"], serde_json::from_str::<Value>(ANSWER).unwrap()["text"]);
    go_on.send(()).unwrap();
    assert!(talk.read_rest().ends_with(super::END));
    // Whoever leaves ends what was computed for them.
    drop(burners);
    gateway.wait_metric("flowgate_engine_runs", 0.0);
    gateway.wait_metric("flowgate_streams_open", 0.0);
}

#[test]
fn a_gateway_ends_while_flows_compute() {
    let (model, flowise) = (model::saying("fine"), Upstream::answering());
    // At once, with the last words of a stream.
    let mut running = gateway(", shutdown_grace: 0s", &model, &flowise);
    let mut burners = burn(&running);
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(0));
    for stream in &mut burners {
        assert!(stream.read_rest().contains("The gateway is shutting down."));
    }
    // In the middle of the grace, by a second signal.
    let mut running = gateway(", shutdown_grace: 1h", &model, &flowise);
    let _burners = burn(&running);
    running.signal("TERM");
    wait_for("readyz 503", || (client::get(running.admin, "/readyz", &[]).status == 503).then_some(()));
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(1));
}
