use std::sync::mpsc;

use serde_json::{Map, json};

use super::*;
use crate::engine::nodes::redis::testing::{bulk, stub, words};
use crate::engine::testing::within;

/// Gives each connection a reply, and tells what it heard.
fn index_of(replies: &[&str]) -> (RedisIndex, mpsc::Receiver<Vec<u8>>) {
    let (redis, hearing) = stub("", replies);
    let [content, metadata, vector] = ["content", "metadata", "content_vector"].map(str::to_owned);
    (RedisIndex { redis, index: "idx".to_owned(), content, metadata, vector }, hearing)
}

#[test]
fn passages_are_found_as_flowise_keeps_them() {
    let fields = ["vector_score", "0.25", "metadata", r#"{"a":"x\-y"}"#, "content", "one"].map(bulk).concat();
    let found =
        format!("*5\r\n:2\r\n{}*6\r\n{fields}{}*2\r\n{}{}", bulk("doc:idx:0"), bulk("k"), bulk("content"), bulk("no"));
    let (index, heard) = index_of(&[&found, "-Unknown Index name\r\n", "+OK\r\n", ":3\r\n"]);
    within(&json!({ "question": "x" }), async |run| {
        let query = Query {
            text: "q".to_owned(),
            vector: vec![1.0, 0.5],
            most: 4,
            filter: None,
            chat: None,
            with_vectors: false,
        };
        let hits = index.search(&query, run).await.unwrap();
        let metadata = Map::from_iter([("a".to_owned(), "x-y".into())]);
        assert_eq!(hits.len(), 1);
        assert_eq!((&hits[0].document.text, &hits[0].document.metadata), (&"one".to_owned(), &metadata));
        assert!((hits[0].nearness - 0.25).abs() < 1e-6);
        let document = Document { text: "two".to_owned(), metadata };
        let passage = NewPassage { id: "7".to_owned(), is_recorded: false, document, vector: vec![1.0, 0.5] };
        index.add(&[passage], run).await.unwrap();
    });
    let asked = words(&heard.recv().unwrap()).join(" ");
    let query = "FT.SEARCH idx * => [KNN 4 @content_vector $vector AS vector_score] RETURN 3 metadata content vector_score \
                 SORTBY vector_score LIMIT 0 4 PARAMS 2 vector";
    assert!(asked.starts_with(query) && asked.trim_end().ends_with("DIALECT 2"), "{asked}");
    assert_eq!(words(&heard.recv().unwrap()).join(" ").trim(), "FT.INFO idx");
    let made = words(&heard.recv().unwrap()).join(" ");
    let schema = "FT.CREATE idx ON HASH PREFIX 1 doc:idx: SCHEMA content_vector VECTOR HNSW 6 TYPE FLOAT32 DIM 2 \
                  DISTANCE_METRIC COSINE content TEXT metadata TEXT";
    assert_eq!(made.trim(), schema);
    let put = words(&heard.recv().unwrap()).join(" ");
    assert!(
        put.starts_with("HSET doc:idx:7 content_vector") && put.contains(r#"content two metadata {"a":"x\-y"}"#),
        "{put}"
    );
}

#[test]
fn vectors_are_bytes() {
    assert_eq!(bytes_of(&[1.0, -0.5]), [0, 0, 128, 63, 0, 0, 0, 191]);
}
