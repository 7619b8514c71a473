//! Against a server on the loopback that answers in turn.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::engine::models::lab;

/// Takes one connection, and what is asked over it.
async fn serve(listener: &TcpListener, answers: &[Value]) -> Vec<Value> {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut asked = Vec::new();
    for answer in answers {
        let length = stream.read_u32_le().await.unwrap();
        let mut rest = vec![0; length as usize - 4];
        stream.read_exact(&mut rest).await.unwrap();
        asked.push(bson::decoded(&rest[17..]).unwrap());
        let document = bson::encoded(answer.as_object().unwrap()).unwrap();
        let mut message = Vec::new();
        for number in [u32::try_from(document.len()).unwrap() + 21, 1, 1, 2013, 0] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(&document);
        stream.write_all(&message).await.unwrap();
    }
    asked
}

async fn asked<T>(user: &str, answers: &[Value], work: impl AsyncFnOnce(Mongo, &Run<'_>) -> T) -> (Vec<Value>, T) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let targets = Arc::new(Targets::alone("test", &crate::telemetry::metrics::Metrics::new().unwrap()));
    let mongo = Mongo::new(&format!("mongodb://{user}{address}/db"), &targets).unwrap();
    let work = Box::pin(lab::at_provider(json!({}), &[], async |_, run: &Run<'_>| {
        tokio::join!(serve(&listener, answers), work(mongo, run))
    }));
    work.await.1
}

fn primary() -> Value {
    json!({ "ok": 1, "isWritablePrimary": true, "saslSupportedMechs": ["SCRAM-SHA-256"] })
}

#[tokio::test]
async fn what_is_found_is_read_to_its_end() {
    let batch = |name: &str, id: i64, item: i64| json!({ "ok": 1, "cursor": { "id": { "$numberLong": id.to_string() }, name: [{ "a": item }] } });
    let answers = [primary(), batch("firstBatch", 7, 1), batch("nextBatch", 0, 2)];
    let command = json!({ "find": "c", "filter": { "a": { "$gt": 0 } } });
    let (asked, found) = asked("", &answers, async |mongo, run| mongo.find("db", "c", command, run).await).await;
    assert_eq!(found.unwrap(), [json!({ "a": 1 }), json!({ "a": 2 })]);
    assert_eq!(asked[1], json!({ "find": "c", "filter": { "a": { "$gt": 0 } }, "$db": "db" }));
    assert_eq!(asked[2], json!({ "getMore": 7, "collection": "c", "$db": "db" }));
}

#[tokio::test]
async fn a_server_that_has_no_end_is_left() {
    let text = "x".repeat(MOST_BYTES / 4);
    let batch = |name: &str| json!({ "ok": 1, "cursor": { "id": { "$numberLong": "7" }, name: [{ "a": text }] } });
    let answers = [primary(), batch("firstBatch"), batch("nextBatch"), batch("nextBatch"), batch("nextBatch")];
    let command = json!({ "find": "c" });
    let (_, found) = asked("", &answers, async |mongo, run| mongo.find("db", "c", command, run).await).await;
    assert!(format!("{:?}", found.unwrap_err()).contains("too long"));
}

#[tokio::test]
async fn errors_are_told_in_the_servers_words() {
    let answers = [primary(), json!({ "ok": 0, "errmsg": "no such index" })];
    let (_, found) = asked("", &answers, async |mongo, run| mongo.command("db", json!({ "ping": 1 }), run).await).await;
    assert!(format!("{:?}", found.unwrap_err()).contains("no such index"));
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_not_believed() {
    let challenge = bson::binary(b"r=somebody-else,s=AAAA,i=4096");
    let answers = [primary(), json!({ "ok": 1, "conversationId": 1, "payload": challenge })];
    let (asked, answer) =
        asked("u:p@", &answers, async |mongo, run| mongo.command("db", json!({ "ping": 1 }), run).await).await;
    assert!(format!("{:?}", answer.unwrap_err()).contains("does not accept"));
    assert_eq!(asked[1]["mechanism"], "SCRAM-SHA-256");
    assert_eq!(asked[1]["$db"], "db");
}

#[tokio::test]
async fn writes_go_to_the_primary() {
    let answers = [json!({ "ok": 1, "isWritablePrimary": false })];
    let (_, answer) =
        asked("", &answers, async |mongo, run| mongo.command("db", json!({ "ping": 1 }), run).await).await;
    assert!(format!("{:?}", answer.unwrap_err()).contains("takes writes"));
}
