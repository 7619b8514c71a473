//! As Flowise 3.1.4 and its libraries were seen to ask.

mod over_http;

use serde_json::{Value, json};

use super::database::*;
use super::*;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::models::lab::{CREDENTIALS, HERE, Received};
use testing::{needs, problems, put, searched};

fn found(answer: Result<Vec<(Document, f32)>, Failure>) -> Value {
    let rounded = |nearness: f32| (f64::from(nearness) * 100.0).round() / 100.0;
    let shown = |(document, nearness): (Document, f32)| json!([document.to_json(), rounded(nearness)]);
    answer.unwrap().into_iter().map(shown).collect()
}

fn one(nearness: f64) -> Value {
    json!([[{ "pageContent": "one", "metadata": { "a": 1 } }, nearness]])
}

/// Passages' ids are made up.
fn without_ids(mut received: Received) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.shift_remove("id");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut received.body);
    received.body
}

const PINECONE: pinecone::PineconeNode = pinecone::PineconeNode { api_input: "here" };

#[tokio::test]
async fn pinecone_says_where_an_index_is() {
    let place = json!({ "host": HERE });
    let config = json!({ "pineconeIndex": "idx", "pineconeNamespace": "ns", "topK": "3", "searchType": "similarity",
        "pineconeMetadataFilter": "{\"a\":{\"$eq\":1}}", "pineconeEnv": "gcp", "here": HERE });
    let matches = json!({ "matches": [{ "id": "1", "score": 0.9, "metadata": { "text": "one", "a": 1 } }] });
    let (received, answer) = searched(&PINECONE, config.clone(), &[place.clone(), matches]).await;
    assert_eq!(received[0].line, "GET /indexes/idx HTTP/1.1");
    assert_eq!(received[0].headers["x-pinecone-api-version"], "2024-10");
    assert_eq!(received[1].headers["api-key"], "a-pineconeApiKey");
    assert_eq!(received[1].line, "POST /query HTTP/1.1");
    let body = json!({ "namespace": "ns", "topK": 3, "filter": { "a": { "$eq": 1 } }, "includeMetadata": true,
        "vector": [1.0, 0.5] });
    assert_eq!((&received[1].body, found(answer)), (&body, one(0.9)));

    let (received, answer) = put(&PINECONE, config, &[place, json!({ "upsertedCount": 2 })]).await;
    answer.unwrap();
    assert_eq!(received[1].line, "POST /vectors/upsert HTTP/1.1");
    let vectors = json!([
        { "values": [1.0, 0.5], "metadata": { "a": 1, "loc.lines.from": 1, "loc.lines.to": 2, "text": "one" } },
        { "values": [2.0, 0.5], "metadata": { "tags": ["x"], "text": "two" } },
    ]);
    assert_eq!(without_ids(received[1].clone()), json!({ "vectors": vectors, "namespace": "ns" }));
}

#[tokio::test]
async fn diversity_is_looked_for_among_more_than_are_wanted() {
    let config = json!({ "pineconeIndex": "idx", "topK": 2, "searchType": "mmr", "fetchK": "3", "lambda": "0.1",
        "here": HERE });
    let a = |text: &str, values: Value| json!({ "score": 0.5, "values": values, "metadata": { "text": text } });
    // The last was not asked for: how many there are to choose from, no database says.
    let matches = [
        a("first", json!([1, 0.5])),
        a("alike", json!([1, 0.49])),
        a("other", json!([-1, 2])),
        a("surplus", json!([-1, -1])),
    ];
    let (received, answer) =
        searched(&PINECONE, config, &[json!({ "host": HERE }), json!({ "matches": matches })]).await;
    assert_eq!((&received[1].body["topK"], &received[1].body["includeValues"]), (&json!(3), &json!(true)));
    assert_eq!(received[1].body["namespace"], "");
    let texts: Vec<String> = answer.unwrap().into_iter().map(|(document, _)| document.text).collect();
    assert_eq!(texts, ["first", "other"]);
}

#[tokio::test]
async fn files_of_other_chats_are_not_found() {
    let config = json!({ "pineconeIndex": "idx", "fileUpload": true, "pineconeMetadataFilter": { "$or": [{ "a": 1 }] },
        "here": HERE });
    let (received, _) = searched(&PINECONE, config, &[json!({ "host": HERE }), json!({ "matches": [] })]).await;
    let of_chat = json!({ "$or": [{ CHAT: { "$eq": "" } }, { CHAT: { "$exists": false } }] });
    assert_eq!(received[1].body["filter"], json!({ "$and": [{ "$or": [{ "a": 1 }] }, of_chat] }));
}

#[tokio::test]
async fn qdrant() {
    let config = json!({ "qdrantServerUrl": format!("{HERE}/sub"), "qdrantCollection": "c", "topK": "3",
        "qdrantFilter": "{\"must\":[{\"key\":\"metadata.a\",\"match\":{\"value\":1}}]}", "qdrantVectorDimension": 2 });
    let points = json!([{ "id": "1", "score": 0.9, "payload": { "content": "one", "metadata": { "a": 1 } } }]);
    let (received, answer) =
        searched(&qdrant::QdrantNode, config.clone(), &[json!({ "result": { "points": points } })]).await;
    assert_eq!(received[0].line, "POST /collections/c/points/query HTTP/1.1");
    let filter = json!({ "must": [{ "key": "metadata.a", "match": { "value": 1 } }] });
    let body = json!({ "query": [1.0, 0.5], "filter": filter, "limit": 3, "with_vector": false,
        "with_payload": ["metadata", "content"] });
    assert_eq!((&received[0].body, found(answer)), (&body, one(0.9)));

    let answers = [json!({ "result": { "collections": [] } }), json!({ "result": true }), json!({ "result": {} })];
    let (received, answer) = put(&qdrant::QdrantNode, config, &answers).await;
    answer.unwrap();
    assert_eq!(received[1].body, json!({ "vectors": { "size": 2, "distance": "Cosine" } }));
    assert_eq!(received[2].line, "PUT /collections/c/points?wait=true HTTP/1.1");
    let first = json!({ "vector": [1.0, 0.5], "payload": { "content": "one",
        "metadata": { "a": 1, "loc": { "lines": { "from": 1, "to": 2 } }, "none": null } } });
    assert_eq!(without_ids(received[2].clone())["points"][0], first);
}

#[tokio::test]
async fn chroma() {
    let config = json!({ "chromaURL": HERE, "collectionName": "c", "chromaMetadataFilter": { "a": 1 }, "topK": "3" });
    let id = json!({ "id": "7" });
    let answer = json!({ "ids": [["1"]], "distances": [[0.2]], "documents": [["one"]],
        "metadatas": [[{ "locFrom": 1, "locTo": 2 }]] });
    let (received, answer) = searched(&chroma::ChromaNode, config.clone(), &[id.clone(), answer]).await;
    let base = "/api/v2/tenants/default_tenant/databases/default_database/collections";
    assert_eq!(received[0].line, format!("POST {base} HTTP/1.1"));
    assert_eq!(received[0].body, json!({ "name": "c", "configuration": {}, "get_or_create": true }));
    assert_eq!(received[1].line, format!("POST {base}/7/query HTTP/1.1"));
    let body = json!({ "include": ["metadatas", "documents", "distances"], "n_results": 3,
        "query_embeddings": [[1.0, 0.5]], "where": { "a": 1 } });
    assert_eq!(received[1].body, body);
    let metadata = json!({ "loc": { "lines": { "from": 1, "to": 2 } } });
    assert_eq!(found(answer), json!([[{ "pageContent": "one", "metadata": metadata }, 0.2]]));

    let (received, answer) = put(&chroma::ChromaNode, config, &[id, json!({})]).await;
    answer.unwrap();
    assert_eq!(received[1].body["metadatas"], json!([{ "a": 1, "locFrom": 1, "locTo": 2 }, { "tags": "[\"x\"]" }]));
}

#[tokio::test]
async fn supabase() {
    let config = json!({ "supabaseProjUrl": HERE, "tableName": "documents", "queryName": "match_documents", "topK": "3",
        "supabaseMetadataFilter": { "a": 1 } });
    let rows = json!([{ "id": 1, "content": "one", "metadata": { "a": 1 }, "similarity": 0.9 }]);
    let (received, answer) = searched(&supabase::SupabaseNode, config.clone(), std::slice::from_ref(&rows)).await;
    assert_eq!(received[0].line, "POST /rest/v1/rpc/match_documents HTTP/1.1");
    assert_eq!(received[0].headers["apikey"], "a-supabaseApiKey");
    let body = json!({ "query_embedding": [1.0, 0.5], "filter": { "a": 1 }, "match_count": 3 });
    assert_eq!((&received[0].body, found(answer)), (&body, one(0.9)));
    let mut by_calls = config;
    by_calls["supabaseMetadataFilter"] = "".into();
    by_calls["supabaseRPCFilter"] = "filter(\"metadata->b\", \"eq\", \"x\")".into();
    let (received, _) = searched(&supabase::SupabaseNode, by_calls, &[rows]).await;
    assert_eq!(received[0].line, "POST /rest/v1/rpc/match_documents?metadata-%3Eb=eq.x&limit=3 HTTP/1.1");
    assert_eq!(received[0].body, json!({ "query_embedding": [1.0, 0.5] }));
}

#[tokio::test]
async fn upstash() {
    let credential = json!({ "UPSTASH_VECTOR_REST_URL": HERE, "UPSTASH_VECTOR_REST_TOKEN": "K" });
    let config =
        json!({ "topK": "3", "upstashMetadataFilter": "a = 1", CREDENTIALS: { "upstashVectorApi": credential } });
    let answer = json!({ "result": [{ "id": "1", "score": 0.9, "metadata": { "_pageContentLC": "one", "a": 1 } }] });
    let (received, answer) = searched(&upstash::UpstashNode, config.clone(), &[answer]).await;
    let body = json!({ "vector": [1.0, 0.5], "topK": 3, "includeMetadata": true, "filter": "a = 1" });
    assert_eq!((&received[0].body, found(answer)), (&body, one(0.9)));
    let (received, answer) = put(&upstash::UpstashNode, config, &[json!({ "result": "Success" })]).await;
    answer.unwrap();
    assert_eq!(received[0].line, "POST /upsert HTTP/1.1");
    assert_eq!(received[0].body[1]["metadata"], json!({ "tags": ["x"], "_pageContentLC": "two" }));
}

#[tokio::test]
async fn elasticsearch_and_opensearch() {
    let hits = json!({ "hits": { "hits": [{ "_score": 0.9, "_source": { "text": "one", "metadata": { "a": 1 } } }] } });
    let credential = json!({ "elasticsearchApi": { "endpoint": HERE, "apiKey": "K" } });
    let config = json!({ "indexName": "i", "topK": "3", "similarity": "cosine", CREDENTIALS: credential });
    let (received, answer) = searched(&elastic::ELASTICSEARCH, config.clone(), std::slice::from_ref(&hits)).await;
    assert_eq!((&*received[0].line, &*received[0].headers["authorization"]), ("POST /i/_search HTTP/1.1", "ApiKey K"));
    let knn = json!({ "field": "embedding", "query_vector": [1.0, 0.5], "k": 3, "num_candidates": 200,
        "filter": { "bool": { "must": [], "must_not": [] } } });
    assert_eq!((&received[0].body, found(answer)), (&json!({ "size": 3, "knn": knn }), one(0.9)));
    let (received, answer) = put(&elastic::ELASTICSEARCH, config, &[json!({}), json!({ "errors": false })]).await;
    answer.unwrap();
    assert_eq!(received[1].line, "POST /_bulk?refresh=true HTTP/1.1");
    assert_eq!(received[1].body.as_str().unwrap().lines().count(), 4);

    let credential = json!({ "openSearchUrl": { "openSearchUrl": HERE, "user": "u", "password": "p" } });
    let config = json!({ "indexName": "i", "topK": "3", CREDENTIALS: credential });
    let (received, _) = searched(&elastic::OPEN_SEARCH, config, &[hits]).await;
    assert_eq!(received[0].headers["authorization"], "Basic dTpw");
    let knn = json!({ "knn": { "embedding": { "vector": [1.0, 0.5], "k": 3 } } });
    assert_eq!(
        received[0].body,
        json!({ "query": { "bool": { "filter": { "bool": {} }, "must": [knn] } }, "size": 3 })
    );
}

#[tokio::test]
async fn milvus() {
    let config = json!({ "milvusServerUrl": HERE, "milvusCollection": "c", "milvusFilter": "a > 1", "topK": 3 });
    let fields = json!([{ "name": "id", "type": "Int64", "autoId": true }, { "name": "langchain_text", "type": "VarChar" },
        { "name": "a", "type": "Int64" }, { "name": "v", "type": "FloatVector" }]);
    let told = json!({ "code": 0, "data": { "fields": fields, "indexes": [{ "metricType": "L2" }] } });
    let data = json!([{ "distance": 1.0, "langchain_text": "one", "a": "1" }]);
    let (received, answer) =
        searched(&milvus::MilvusNode, config.clone(), &[told.clone(), json!({ "code": 0, "data": data })]).await;
    let body = json!({ "collectionName": "c", "data": [[1.0, 0.5]], "annsField": "v", "limit": 3, "outputFields": ["*"],
        "filter": "a > 1" });
    assert_eq!((&received[1].body, found(answer)), (&body, one(0.5)));
    // What a question says is a text in the author's condition, and never one of its own.
    let mut own = config.clone();
    own["milvusFilter"] = "a == \"{{question}}\"".into();
    let (received, _) = searched(&milvus::MilvusNode, own, &[told.clone(), json!({ "code": 0, "data": [] })]).await;
    let filter = received[1].body["filter"].as_str().unwrap();
    assert!(filter.starts_with("a == \"") && filter.ends_with('"') && !filter.contains("{{"), "{filter}");
    let told_of = |kind: &dyn NodeKind, filter: &str| problems(kind, &json!({ filter: "{{question}}" })).join("\n");
    for told in [
        told_of(&milvus::MilvusNode, "milvusFilter"),
        told_of(&upstash::UpstashNode, "upstashMetadataFilter"),
        told_of(&VECTARA, "filter"),
    ] {
        assert!(told.contains("the conditions must be written out"), "{told}");
    }
    let wrong = json!({ "code": 1100, "message": "no such field" });
    let (_, answer) = searched(&milvus::MilvusNode, config, &[told, wrong]).await;
    assert!(format!("{:?}", answer.unwrap_err()).contains("no such field"));
}

#[tokio::test]
async fn weaviate() {
    let config = json!({ "weaviateHost": HERE, "weaviateIndex": "Test", "topK": 3, "weaviateConnectionType": "local",
        "weaviateMetadataKeys": "[\"a\"]",
        "weaviateFilter": { "path": ["a"], "operator": "Equal", "valueText": "x\"} Drop" } });
    let rows = json!([{ "text": "one", "a": 1, "_additional": { "distance": 0.2 } }]);
    let (received, answer) =
        searched(&weaviate::WeaviateNode, config, &[json!({ "data": { "Get": { "Test": rows } } })]).await;
    let asked = "{ Get { Test(nearVector: { vector: [1.0,0.5] } limit: 3 \
                 where: { path: [\"a\"], operator: Equal, valueText: \"x\\\"} Drop\" }) { text a _additional { distance } } } }";
    assert_eq!((received[0].body["query"].as_str().unwrap(), found(answer)), (asked, one(0.2)));
    let config = json!({ "weaviateHost": "h", "weaviateIndex": "T { x }", "weaviateTextKey": "a b" });
    assert_eq!(problems(&weaviate::WeaviateNode, &config).len(), 2);
}

#[tokio::test]
async fn astra() {
    let credential = json!({ "AstraDBApi": { "applicationToken": "K", "dbEndPoint": HERE } });
    let config = json!({ "astraCollection": "c", "topK": 3, CREDENTIALS: credential });
    let documents = json!([{ "_id": "1", "text": "one", "a": 1, "$similarity": 0.9 }]);
    let (received, answer) =
        searched(&astra::AstraNode, config, &[json!({ "data": { "documents": documents } })]).await;
    assert_eq!(received[0].line, "POST /api/json/v1/default_keyspace/c HTTP/1.1");
    assert_eq!((&received[0].body["find"]["sort"], found(answer)), (&json!({ "$vector": [1.0, 0.5] }), one(0.9)));
    // Vectors are long, and told only where they are wanted.
    assert_eq!(received[0].body["find"].get("projection"), None);
}

#[tokio::test]
async fn databases_that_say_something_else_are_failures() {
    for answer in [json!({}), json!({ "matches": 1 }), json!([])] {
        let config = json!({ "pineconeIndex": "idx", "here": HERE });
        assert!(searched(&PINECONE, config, &[json!({ "host": HERE }), answer]).await.1.is_err());
    }
}

#[test]
fn what_is_missing_is_told_by_input() {
    for (kind, inputs) in [
        (kind("pinecone"), &["pineconeIndex"] as &[&str]),
        (kind("qdrant"), &["qdrantCollection", "qdrantServerUrl"]),
        (kind("supabase"), &["queryName", "tableName", "supabaseProjUrl"]),
        (kind("milvusUpsert"), &["milvusCollection", "milvusServerUrl"]),
    ] {
        assert_eq!(needs(kind.unwrap(), &json!({})), inputs);
    }
}

const VECTARA: vectara::VectaraNode = vectara::VectaraNode { address_input: "here" };

#[tokio::test]
async fn vectara_reads_words() {
    let credential = json!({ "apiKey": "key", "customerID": "9", "corpusID": "1,2" });
    let config = json!({ "here": HERE, "filter": "doc.a = 1", "sentencesBefore": 2, "lambda": 0.1,
        CREDENTIALS: { "vectaraApi": credential } });
    let response =
        json!({ "text": "one", "score": 0.5, "documentIndex": 0, "metadata": [{ "name": "b", "value": "x" }] });
    let document = json!({ "metadata": [{ "name": "a", "value": 1 }] });
    let found_one = json!({ "responseSet": [{ "response": [response], "document": [document] }] });
    let (received, answer) = searched(&VECTARA, config.clone(), &[found_one]).await;
    assert_eq!(received[0].line, "POST /v1/query HTTP/1.1");
    assert_eq!((received[0].headers["x-api-key"].as_str(), received[0].headers["customer-id"].as_str()), ("key", "9"));
    let corpus = |id: &str| {
        json!({ "customerId": "9", "corpusId": id, "metadataFilter": "doc.a = 1",
            "lexicalInterpolationConfig": { "lambda": 0.1 } })
    };
    let asked = json!({ "query": "q", "numResults": 5, "contextConfig": { "sentencesBefore": 2 },
        "corpusKey": [corpus("1"), corpus("2")] });
    assert_eq!(received[0].body, json!({ "query": [asked] }));
    assert_eq!(found(answer), json!([[{ "pageContent": "one", "metadata": { "b": "x", "a": 1 } }, 0.5]]));
    assert!(put(&VECTARA, config, &[]).await.1.is_err());

    let credential = json!({ "apiKey": "key", "customerID": "9", "corpusID": "1" });
    let config =
        json!({ "here": HERE, "mmrK": "50", "mmrDiversityBias": "0.3", CREDENTIALS: { "vectaraApi": credential } });
    let nothing = json!({ "responseSet": [{ "response": [], "document": [] }] });
    let (received, _) = searched(&VECTARA, config.clone(), &[nothing]).await;
    let asked = &received[0].body["query"][0];
    assert_eq!(
        (&asked["numResults"], &asked["rerankingConfig"]["mmrConfig"]),
        (&json!(50), &json!({ "diversityBias": 0.3 }))
    );
    let done = json!({ "status": { "code": "OK" } });
    let (received, answer) = put(&VECTARA, config, &[done.clone(), done]).await;
    answer.unwrap();
    let document = &received[1].body["document"];
    assert_eq!(
        (&document["section"], &document["metadata_json"]),
        (&json!([{ "text": "two" }]), &json!("{\"tags\":[\"x\"]}"))
    );
}

const KENDRA: kendra::KendraNode = kendra::KendraNode { address_input: "here" };

#[tokio::test]
async fn kendra_is_asked_twice_where_it_has_no_passages() {
    let config = json!({ "here": HERE, "indexId": "idx", "region": "eu-west-1", "topK": "3", "fileUpload": true,
        "attributeFilter": "{\"EqualsTo\":{\"Key\":\"a\",\"Value\":{\"LongValue\":1}}}" });
    let attribute = json!({ "Key": "k", "Value": { "StringValue": "v" } });
    let item = json!({ "DocumentTitle": { "Text": "T" }, "DocumentURI": "https://x", "DocumentAttributes": [attribute],
        "DocumentExcerpt": { "Text": "...one\n  two..." } });
    let (received, answer) =
        searched(&KENDRA, config.clone(), &[json!({ "ResultItems": [] }), json!({ "ResultItems": [item] })]).await;
    assert_eq!(received[0].headers["x-amz-target"], "AWSKendraFrontendService.Retrieve");
    assert_eq!(received[1].headers["x-amz-target"], "AWSKendraFrontendService.Query");
    assert!(received[0].headers["authorization"].contains("/eu-west-1/kendra/aws4_request"));
    let own = json!({ "EqualsTo": { "Key": "a", "Value": { "LongValue": 1 } } });
    let body = &received[0].body;
    assert_eq!((&body["PageSize"], &body["AttributeFilter"]["AndAllFilters"][0]), (&json!(3), &own));
    let metadata =
        json!({ "source": "https://x", "title": "T", "excerpt": "one two", "document_attributes": { "k": "v" } });
    let text = "Document Title: T\nDocument Excerpt: \none two\n";
    assert_eq!(found(answer), json!([[{ "pageContent": text, "metadata": metadata }, 0.0]]));

    let (received, answer) = put(&KENDRA, config, &[json!({})]).await;
    answer.unwrap();
    assert_eq!(received[0].body["Documents"][0]["Blob"], "b25l");
    assert!(needs(&KENDRA, &json!({ "here": HERE })).contains(&"indexId".to_owned()));
}

#[tokio::test]
async fn meilisearch_looks_for_words_and_vectors() {
    let credential = json!({ "meilisearchSearchApiKey": "s", "meilisearchAdminApiKey": "a" });
    let config = json!({ "host": format!("{HERE}/"), "indexUid": "idx", "K": "3", "semanticRatio": "2",
        "searchFilter": "metadata.a = 1", CREDENTIALS: { "meilisearchApi": credential } });
    let hits =
        json!({ "hits": [{ "objectID": "7", "pageContent": "one", "metadata": { "a": 1 }, "_rankingScore": 0.9 }] });
    let (received, answer) = searched(&meilisearch::MeilisearchNode, config.clone(), &[hits]).await;
    assert_eq!(received[0].line, "POST /indexes/idx/search HTTP/1.1");
    assert_eq!(received[0].headers["authorization"], "Bearer s");
    let body = json!({ "q": "q", "vector": [1.0, 0.5], "limit": 3, "attributesToRetrieve": ["*"],
        "showRankingScore": true, "hybrid": { "semanticRatio": 1.0, "embedder": "ollama" }, "filter": "metadata.a = 1" });
    assert_eq!(received[0].body, body);
    assert_eq!(found(answer), json!([[{ "pageContent": "one", "metadata": { "objectID": "7", "a": 1 } }, 0.9]]));

    let task = |id: u64| json!({ "taskUid": id });
    let done = |status: &str| json!({ "status": status });
    let answers = [task(1), done("failed"), task(2), done("succeeded"), task(3), done("succeeded")];
    let (received, answer) = put(&meilisearch::MeilisearchNode, config, &answers).await;
    answer.unwrap();
    let lines: Vec<&str> = received.iter().map(|one| one.line.trim_end_matches(" HTTP/1.1")).collect();
    let settings = "PATCH /indexes/idx/settings";
    assert_eq!(
        lines,
        ["POST /indexes", "GET /tasks/1", settings, "GET /tasks/2", "POST /indexes/idx/documents", "GET /tasks/3"]
    );
    assert_eq!(received[2].body["embedders"], json!({ "ollama": { "source": "userProvided", "dimensions": 2 } }));
    assert_eq!(received[4].body[0]["_vectors"]["ollama"]["embeddings"], json!([1.0, 0.5]));
    assert_eq!(received[4].headers["authorization"], "Bearer a");
}

#[tokio::test]
async fn zep_compares_metadata() {
    let config = json!({ "baseURL": HERE, "zepCollection": "docs", "topK": 2,
        "zepMetadataFilter": "{\"a\":1,\"b\":\"x\",\"c) || (1\":1}", CREDENTIALS: { "zepMemoryApi": { "apiKey": "k" } } });
    let results = json!({ "results": [{ "content": "one", "metadata": { "a": 1 }, "score": 0.9 }] });
    let (received, answer) = searched(&zep::ZepNode, config.clone(), &[results]).await;
    assert_eq!(received[0].line, "POST /api/v1/collection/docs/search?limit=2 HTTP/1.1");
    assert_eq!(received[0].headers["authorization"], "Bearer k");
    let and = json!([{ "jsonpath": "$[*] ? (@.a == 1)" }, { "jsonpath": "$[*] ? (@.b == \"x\")" }]);
    assert_eq!(received[0].body, json!({ "embedding": [1.0, 0.5], "metadata": { "where": { "and": and } } }));
    assert_eq!(found(answer), one(0.9));
    let (received, answer) = put(&zep::ZepNode, config, &[json!({ "name": "docs" }), json!(["1", "2"])]).await;
    answer.unwrap();
    assert_eq!(received[1].line, "POST /api/v1/collection/docs/document HTTP/1.1");
    assert_eq!(
        (&received[1].body[0]["content"], &received[1].body[1]["embedding"]),
        (&json!("one"), &json!([2.0, 0.5]))
    );
}
