use serde_json::json;

use super::*;
use crate::engine::nodes::redis::testing::{bulk, stub, words};
use crate::engine::provider::Targets;
use crate::engine::testing::{answer, server, within};
use crate::telemetry::metrics::Metrics;

fn said() -> ModelAnswer {
    let calls = vec![ToolCall::new("1", "f", json!({ "a": 1 }))];
    ModelAnswer { text: "Hi".to_owned(), calls, id: Some("r".to_owned()), ..ModelAnswer::default() }
}

#[test]
fn an_answer_is_found_again() {
    let kept = written(&said()).unwrap();
    let (redis, heard) = stub("", &["$-1\r\n", "+OK\r\n", &bulk(&kept), &bulk("{\"no\":1}"), "-NOAUTH no\r\n"]);
    let cache = RedisAnswers { redis, milliseconds: Some(500) };
    let asked = [0xab; 32];
    within(&json!({ "question": "x" }), async |run| {
        assert_eq!(cache.find(&asked, run).await, Ok(None));
        cache.put(&asked, &said(), run).await.unwrap();
        assert_eq!(cache.find(&asked, run).await, Ok(Some(said())));
        assert_eq!(cache.find(&asked, run).await, Ok(None));
        assert!(cache.find(&asked, run).await.is_err());
    });
    let name = format!("flowgate:answer:{}", "ab".repeat(32));
    assert_eq!(words(&heard.recv().unwrap()), ["GET", &name]);
    assert_eq!(words(&heard.recv().unwrap()), ["SET", &name, &kept, "PX", "500"]);
}

#[test]
fn upstash_is_asked_by_http() {
    let kept = json!({ "result": written(&said()).unwrap() }).to_string();
    let answers = ["{\"result\":\"OK\"}", &kept, "{\"result\":null}"].map(|body| answer("200 OK", "", body));
    let (origin, heard) = server(&answers.each_ref().map(String::as_str));
    let endpoint = Targets::alone("local", &Metrics::new().unwrap()).endpoint(&origin, None).unwrap();
    let cache = UpstashAnswers { endpoint, headers: Headers::new() };
    let asked = [1; 32];
    within(&json!({ "question": "x" }), async |run| {
        cache.put(&asked, &said(), run).await.unwrap();
        assert_eq!(cache.find(&asked, run).await, Ok(Some(said())));
        assert_eq!(cache.find(&asked, run).await, Ok(None));
    });
    let first = heard.iter().next().unwrap();
    assert!(first.contains("[\"set\",\"flowgate:answer:0101"), "{first}");
}

/// The text's length, twice.
#[derive(Debug)]
struct Lengths;

impl Embeddings for Lengths {
    fn embed_all<'a>(&'a self, texts: &'a [String], _: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(
            async move { Ok(texts.iter().map(|text| vec![f32::from(u8::try_from(text.len()).unwrap()); 2]).collect()) },
        )
    }

    fn embed_question<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async { Ok(vec![0.5]) })
    }
}

#[test]
fn vectors_are_those_that_flowise_keeps() {
    let (redis, heard) =
        stub("", &[&format!("*2\r\n{}$-1\r\n", bulk("[0.25,1]")), "+OK\r\n", "-NOAUTH no\r\n", "-NOAUTH no\r\n"]);
    let cache = RedisVectors { embeddings: Arc::new(Lengths), redis, seconds: 60, namespace: "n".to_owned() };
    let texts = ["abc".to_owned(), "ab".to_owned()];
    within(&json!({ "question": "x" }), async |run| {
        assert_eq!(cache.embed_all(&texts, run).await.unwrap(), [[0.25, 1.0], [2.0, 2.0]]);
        // Without it, all are made anew.
        assert_eq!(cache.embed_all(&texts, run).await.unwrap(), [[3.0, 3.0], [2.0, 2.0]]);
        assert_eq!(cache.embed_question("q", run).await.unwrap(), [0.5]);
    });
    let abc = "nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let ab = "nfb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603";
    assert_eq!(words(&heard.recv().unwrap()), ["MGET", abc, ab]);
    assert_eq!(words(&heard.recv().unwrap()), ["SET", ab, "[2.0,2.0]", "EX", "60"]);
}
