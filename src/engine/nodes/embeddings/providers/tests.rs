//! As Flowise's libraries were seen to ask.

use serde_json::{Value, json};

use super::*;
use crate::engine::models::lab::{HERE, Received, built, embedded, problems};

/// At the test's provider, with the node's inputs.
async fn asked(
    provider: Provider,
    mut inputs: Value,
    texts: &[&str],
    answers: &[Value],
) -> (Vec<Received>, Vec<Vec<f32>>) {
    let provider = Provider { address_input: "here", ..provider };
    inputs["here"] = HERE.into();
    let (received, vectors) = embedded(&provider, inputs, texts, answers).await;
    (received, vectors.unwrap())
}

fn listed(vectors: &[Value]) -> Value {
    json!({ "data": vectors.iter().map(|vector| json!({ "embedding": vector })).collect::<Vec<_>>() })
}

#[tokio::test]
async fn cohere_tells_passages_from_questions() {
    let answer = json!({ "embeddings": { "float": [[1, 2], [3, 4]] } });
    let inputs = json!({ "modelName": "embed-v3", "inputType": "search_document" });
    let (received, vectors) = asked(COHERE, inputs.clone(), &["a\nb", "c"], &[answer]).await;
    assert_eq!(received[0].line, "POST /v1/embed HTTP/1.1");
    assert_eq!(received[0].headers["authorization"], "Bearer a-cohereApiKey");
    let body = json!({ "model": "embed-v3", "texts": ["a\nb", "c"], "input_type": "search_document",
        "embedding_types": ["float"] });
    assert_eq!((&received[0].body, vectors), (&body, vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
    let (received, _) = asked(COHERE, inputs, &["q"], &[json!({ "embeddings": [[1, 2]] })]).await;
    assert_eq!(received[0].body["input_type"], "search_query");
    assert!(matches!(built(&COHERE, json!({}), true), Ok(Part::Unset(_))));
}

#[tokio::test]
async fn google_is_asked_for_many_or_one() {
    let answer = json!({ "embeddings": [{ "values": [1] }, { "values": [2] }] });
    let inputs = json!({ "modelName": "models/gemini-embedding-001", "tasktype": "RETRIEVAL_DOCUMENT" });
    let (received, vectors) = asked(GOOGLE, inputs, &["a\nb", "c"], &[answer]).await;
    assert_eq!(received[0].line, "POST /v1beta/models/gemini-embedding-001:batchEmbedContents HTTP/1.1");
    assert_eq!(received[0].headers["x-goog-api-key"], "a-googleGenerativeAPIKey");
    let request = |text: &str| {
        json!({ "content": { "role": "user", "parts": [{ "text": text }] }, "taskType": "RETRIEVAL_DOCUMENT",
            "model": "models/gemini-embedding-001" })
    };
    assert_eq!(received[0].body, json!({ "requests": [request("a\nb"), request("c")] }));
    assert_eq!(vectors, [[1.0], [2.0]]);
    let answer = json!({ "embedding": { "values": [1] } });
    let (received, _) = asked(GOOGLE, json!({ "stripNewLines": true }), &["q\nr"], &[answer]).await;
    assert_eq!(received[0].line, "POST /v1beta/models/embedding-001:embedContent HTTP/1.1");
    let content = json!({ "role": "user", "parts": [{ "text": "q r" }] });
    assert_eq!(received[0].body, json!({ "content": content, "taskType": "TASK_TYPE_UNSPECIFIED" }));
    assert!(problems(&GOOGLE, json!({ "modelName": "../x?" }))[0].contains("cannot stand in an address"));
}

#[tokio::test]
async fn hugging_face_is_asked_by_model_or_endpoint() {
    let answer = json!([[1, 2], [3, 4]]);
    let inputs = json!({ "endpoint": HERE, "modelName": "BAAI/bge" });
    let (received, vectors) = embedded(&HUGGING_FACE, inputs, &["a\nb", "c"], std::slice::from_ref(&answer)).await;
    assert_eq!((received[0].line.as_str(), vectors.unwrap().len()), ("POST / HTTP/1.1", 2));
    assert_eq!(received[0].body, json!({ "inputs": ["a b", "c"] }));
    let inputs = json!({ "endpoint": format!("{HERE}/models/x") });
    let (received, _) = embedded(&HUGGING_FACE, inputs, &["a"], &[json!([[1]])]).await;
    assert_eq!(received[0].line, "POST /models/x HTTP/1.1");
    let embeddings = built(&HUGGING_FACE, json!({ "modelName": "BAAI/bge" }), true).unwrap();
    let shown = format!("{:?}", embeddings.into_embeddings().unwrap());
    assert!(shown.contains("/hf-inference/models/BAAI/bge/pipeline/feature-extraction"), "{shown}");
}

#[tokio::test]
async fn others_speak_nearly_as_openai() {
    let two = listed(&[json!([1, 2]), json!([3, 4])]);
    let inputs = json!({ "modelName": "jina-embeddings-v3", "modelDimensions": 512 });
    let (received, _) = asked(JINA, inputs, &["a\nb", "c"], std::slice::from_ref(&two)).await;
    let body = json!({ "model": "jina-embeddings-v3", "input": ["a b", "c"], "dimensions": 512,
        "task": "retrieval.passage", "normalized": true });
    assert_eq!(received[0].body, body);

    let one = listed(&[json!([1, 2])]);
    let inputs = json!({ "batchSize": "1", "stripNewLines": true, "overrideEndpoint": format!("{HERE}/v1") });
    let (received, _) = embedded(&MISTRAL, inputs, &["a\nb", "c"], &[one.clone(), one.clone()]).await;
    assert_eq!(received[1].line, "POST /v1/embeddings HTTP/1.1");
    assert_eq!(received[0].body, json!({ "model": "mistral-embed", "input": ["a b"], "encoding_format": "float" }));
    let (received, _) = asked(MISTRAL, json!({}), &["q\nr"], std::slice::from_ref(&one)).await;
    assert_eq!(received[0].body["input"], "q r");

    let answers = [one.clone(), one];
    let (received, vectors) = asked(TOGETHER, json!({ "modelName": "m2" }), &["a\nb", "c"], &answers).await;
    assert_eq!((&received[0].body, vectors.len()), (&json!({ "model": "m2", "input": "a\nb" }), 2));

    let (received, _) = asked(VOYAGE, json!({ "modelName": "voyage-2" }), &["a\nb", "c"], &[two]).await;
    assert_eq!(received[0].body, json!({ "model": "voyage-2", "input": ["a\nb", "c"] }));
}

#[tokio::test]
async fn answers_that_do_not_fit_are_failures() {
    for answer in [json!({}), json!({ "data": [] }), listed(&[json!("x"), json!([1])])] {
        let provider = Provider { address_input: "here", ..JINA };
        let (_, vectors) = embedded(&provider, json!({ "here": HERE }), &["a", "b"], &[answer]).await;
        assert!(vectors.is_err());
    }
}

#[test]
fn without_a_credential_nothing_is_sent() {
    for kind in [&COHERE, &GOOGLE, &HUGGING_FACE, &JINA, &MISTRAL, &TOGETHER, &VOYAGE] {
        let part = built(kind, json!({ "modelName": "m" }), false).unwrap();
        assert_eq!(format!("{:?}", part.into_embeddings().unwrap()), "WithoutCredential");
    }
}
