//! As Replicate's library was seen to ask for Flowise's node.

use serde_json::json;

use super::{ModelPlace, REPLICATE, ReplicateNode, output};
use crate::engine::contract::message::Message;
use crate::engine::contract::model::ModelRequest;
use crate::engine::contract::sink::Sink;
use crate::engine::models::lab::{HERE, at_provider, built, model, problems};

const HERE_NODE: ReplicateNode = ReplicateNode { address: None };

#[tokio::test]
async fn a_prediction_is_looked_at_until_it_is_done() {
    let inputs = json!({ "here": HERE, "model": "a/b:v1", "temperature": "0.7", "maxTokens": "5",
        "additionalInputs": "{\"top_k\":3}" });
    let properties = json!({ "seed": { "x-order": 2 }, "text": { "x-order": 0 } });
    let answers = [
        json!({ "openapi_schema": { "components": { "schemas": { "Input": { "properties": properties } } } } }),
        json!({ "id": "p1", "status": "starting", "output": null }),
        json!({ "id": "p1", "status": "succeeded", "output": ["He", "llo"] }),
        json!({ "id": "p2", "status": "succeeded", "output": "https://x/y.png" }),
    ];
    let (received, texts) = at_provider(inputs, &answers, async |inputs, run| {
        let model = model(&HERE_NODE, inputs);
        let turns = [Message::user("Hi")];
        let first = model.chat(ModelRequest::of(&turns), run).await.unwrap().text;
        (first, model.chat(ModelRequest::of(&turns), run).await.unwrap().text)
    })
    .await;
    assert_eq!(texts, ("Hello".to_owned(), "https://x/y.png".to_owned()));
    let lines: Vec<&str> = received.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /v1/models/a/b/versions/v1 HTTP/1.1",
            "POST /v1/predictions HTTP/1.1",
            "GET /v1/predictions/p1 HTTP/1.1",
            "POST /v1/predictions HTTP/1.1",
        ]
    );
    let body = json!({ "input": { "text": "Hi", "max_length": 5, "temperature": 0.7, "top_k": 3 }, "version": "v1" });
    assert_eq!((&received[1].body, &received[3].body), (&body, &body));
    assert_eq!(received[2].headers["authorization"], "Bearer a-replicateApiKey");
}

#[tokio::test]
async fn a_stream_is_read_where_the_provider_says() {
    let inputs = json!({ "here": HERE, "model": "a/b" });
    let begun = json!({ "id": "p1", "status": "starting", "urls": { "stream": format!("{HERE}/told/p1?x=1") } });
    let events = "event: output\nid: 1\ndata: He\n\nevent: output\ndata: llo\ndata: x\n\nevent: done\ndata: {}\n\n";
    let (received, (text, events)) = at_provider(inputs, &[begun, events.into()], async |inputs, run| {
        let (model, sink) = (model(&HERE_NODE, inputs), Sink::flowise());
        let turns = [Message::user("Hi")];
        let answered = model.chat(ModelRequest::of(&turns).telling(Some(&sink)), run).await.unwrap();
        (answered.text, sink.told())
    })
    .await;
    assert_eq!(text, "Hello\nx");
    assert!(events.contains("\"He\"") && events.contains("\"llo\\nx\""), "{events}");
    assert_eq!(received[0].line, "POST /v1/models/a/b/predictions HTTP/1.1");
    assert_eq!(received[0].body, json!({ "input": { "prompt": "Hi" }, "stream": true }));
    assert_eq!(received[1].line, "GET /told/p1?x=1 HTTP/1.1");
    assert!(!received[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn what_fails_says_why() {
    for (status, told) in [("failed", "Prediction failed: no room"), ("canceled", "Prediction was canceled")] {
        let answer = json!({ "id": "p1", "status": status, "error": "no room" });
        let inputs = json!({ "here": HERE, "model": "a/b" });
        let (_, said) = at_provider(inputs, &[answer], async |inputs, run| {
            model(&HERE_NODE, inputs).chat(ModelRequest::of(&[]), run).await.unwrap_err().to_string()
        })
        .await;
        assert_eq!(said, told);
    }
}

#[test]
fn models_are_an_owners() {
    let read = ModelPlace::read("stability-ai/sdxl:af1a").unwrap();
    assert_eq!((read.owner.as_str(), read.version.as_deref()), ("stability-ai", Some("af1a")));
    for model in ["gpt2", "a/b/c", "../b", "a/b:", "a/b:c?d", "a b/c"] {
        assert_eq!(ModelPlace::read(model), None, "{model}");
        assert!(problems(&REPLICATE, json!({ "model": model }))[0].contains("input model"), "{model}");
    }
    let model = built(&REPLICATE, json!({ "model": "a/b" }), false).unwrap().into_model().unwrap();
    assert!(format!("{model:?}").starts_with("ModelWithoutCredential"));
    assert_eq!(output(&json!(["a", ["b"], 1])), "ab1");
}
