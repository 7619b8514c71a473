//! As Flowise's libraries were seen to ask.

use serde_json::json;

use super::{BEDROCK, CloudKind, VERTEX, WATSONX};
use crate::engine::models::lab::{CREDENTIALS, HERE, built, embedded, problems};
use crate::engine::models::vertex::access::account;

fn here(kind: CloudKind) -> CloudKind {
    CloudKind { address_input: "here", ..kind }
}

#[tokio::test]
async fn titan_takes_one_text_and_cohere_all() {
    let inputs = json!({ "here": HERE, "region": "eu-west-1", "batchSize": 50, "maxRetries": 5 });
    let answers = [json!({ "embedding": [1, 2] }), json!({ "embedding": [1, 2] })];
    let (mut received, vectors) = embedded(&here(BEDROCK), inputs, &["a\nb", "c"], &answers).await;
    assert_eq!(vectors.unwrap(), [[1.0, 2.0], [1.0, 2.0]]);
    received.sort_by_key(|one| one.body.to_string());
    assert_eq!(received[0].line, "POST /model/amazon.titan-embed-text-v1/invoke HTTP/1.1");
    assert_eq!((&received[0].body, &received[1].body), (&json!({ "inputText": "a b" }), &json!({ "inputText": "c" })));
    assert!(received[0].headers["authorization"].contains("/eu-west-1/bedrock/aws4_request"));

    let inputs = json!({ "here": HERE, "model": "cohere.embed-english-v3", "inputType": "search_document" });
    let answers = [json!({ "embeddings": [[1, 2], [3, 4]] })];
    let (received, vectors) = embedded(&here(BEDROCK), inputs, &["a\nb", "c"], &answers).await;
    assert_eq!(vectors.unwrap().len(), 2);
    let body = json!({ "texts": ["a b", "c"], "input_type": "search_document", "truncate": "END" });
    assert_eq!(received[0].body, body);
    assert!(problems(&BEDROCK, json!({ "model": "cohere.x" }))[0].contains("input inputType"));
}

#[tokio::test]
async fn vertex_wants_a_token_first() {
    let account = account(&format!("{HERE}/token"));
    let credential = json!({ "googleVertexAuth": { "googleApplicationCredential": account, "projectID": "own" } });
    let inputs =
        json!({ "here": HERE, "modelName": "text-embedding-004", "stripNewLines": true, CREDENTIALS: credential });
    let token = json!({ "access_token": "tok", "expires_in": 3600 });
    let answers = [token, json!({ "predictions": [{ "embeddings": { "values": [1, 2] } }] })];
    let (received, vectors) = embedded(&here(VERTEX), inputs, &["q\nr"], &answers).await;
    assert_eq!(vectors.unwrap(), [[1.0, 2.0]]);
    let place = "/v1/projects/own/locations/us-central1/publishers/google/models/text-embedding-004:predict";
    assert_eq!(received[1].line, format!("POST {place} HTTP/1.1"));
    let body = json!({ "instances": [{ "content": "q r" }], "parameters": { "streaming": false } });
    assert_eq!(received[1].body, body);
}

#[tokio::test]
async fn watsonx_takes_many() {
    let credential = json!({ "version": "v", "serviceUrl": HERE, "projectId": "pid",
        "watsonxAIAuthType": "bearertoken", "watsonxAIBearerToken": "bt" });
    let inputs =
        json!({ "modelName": "ibm/slate", "truncateInputTokens": "5", CREDENTIALS: { "ibmWatsonx": credential } });
    let answers = [json!({ "results": [{ "embedding": [1] }, { "embedding": [2] }] })];
    let (received, vectors) = embedded(&WATSONX, inputs, &["a\nb", "c"], &answers).await;
    assert_eq!(vectors.unwrap(), [[1.0], [2.0]]);
    assert_eq!(received[0].line, "POST /ml/v1/text/embeddings?version=v HTTP/1.1");
    let body = json!({ "model_id": "ibm/slate", "inputs": ["a\nb", "c"], "project_id": "pid",
        "parameters": { "truncate_input_tokens": 5 } });
    assert_eq!(received[0].body, body);
}

#[test]
fn without_a_credential_nothing_is_sent() {
    for kind in [BEDROCK, VERTEX, WATSONX] {
        let part = built(&kind, json!({ "modelName": "m" }), false);
        let part = part.unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(format!("{:?}", part.into_embeddings().unwrap()), "WithoutCredential");
    }
    assert!(problems(&VERTEX, json!({ "modelName": "a/b" }))[0].contains("input modelName"));
}
