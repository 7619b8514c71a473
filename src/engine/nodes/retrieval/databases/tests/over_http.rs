//! Databases that Flowise asks in their own protocols, and the engine over HTTP.

use super::*;

#[tokio::test]
async fn singlestore() {
    let config = json!({ "host": HERE, "database": "d", "tableName": "teas", "topK": 3,
        CREDENTIALS: { "singleStoreApi": { "user": "u", "password": "p" } } });
    let rows = json!({ "results": [{ "rows": [{ "content": "one", "metadata": "{\"a\":1}", "__score": 0.9 }] }] });
    let (received, answer) = searched(&singlestore::SingleStoreNode, config.clone(), &[rows]).await;
    assert_eq!(received[0].line, "POST /api/v2/query/rows HTTP/1.1");
    assert_eq!(received[0].headers["authorization"], "Basic dTpw");
    let sql = "SELECT content, metadata, DOT_PRODUCT(vector, JSON_ARRAY_PACK(?)) as __score FROM teas ORDER BY __score DESC \
               LIMIT 3";
    let body = json!({ "sql": sql, "args": ["[1.0,0.5]"], "database": "d" });
    assert_eq!((&received[0].body, found(answer)), (&body, one(0.9)));
    let (received, answer) = put(&singlestore::SingleStoreNode, config, &[json!({}), json!({})]).await;
    answer.unwrap();
    assert!(received[0].body["sql"].as_str().unwrap().starts_with("CREATE TABLE IF NOT EXISTS teas (content TEXT"));
    let sql =
        "INSERT INTO teas (content, vector, metadata) VALUES (?, JSON_ARRAY_PACK(?), ?), (?, JSON_ARRAY_PACK(?), ?)";
    assert_eq!((&received[1].line[..20], &received[1].body["sql"]), ("POST /api/v2/exec HT", &json!(sql)));
    let args = &received[1].body["args"];
    assert_eq!((&args[3], &args[4], &args[5]), (&json!("two"), &json!("[2.0,0.5]"), &json!("{\"tags\":[\"x\"]}")));
    let wrong = json!({ "host": "h", "database": "d", "tableName": "x; DROP" });
    assert_eq!(problems(&singlestore::SingleStoreNode, &wrong).len(), 1);
    assert!(needs(&singlestore::SingleStoreNode, &json!({ "database": "d" })).contains(&"host".to_owned()));
}

#[tokio::test]
async fn couchbase() {
    let kind = couchbase::CouchbaseNode { address_input: "here" };
    let secrets = json!({ "connectionString": "couchbase://db", "username": "u", "password": "p" });
    let config = json!({ "here": HERE, "bucketName": "b", "scopeName": "s", "collectionName": "c", "indexName": "i/x",
        "topK": 3, "couchbaseMetadataFilter": { "fields": ["metadata.a"], "searchOptions": { "ctl": { "timeout": 9 } } },
        CREDENTIALS: { "couchbaseApi": secrets } });
    let hits = json!({ "hits": [{ "score": 0.9, "fields": { "text": "one", "metadata.a": 1, "embedding": [1] } }] });
    let (received, answer) = searched(&kind, config.clone(), &[hits]).await;
    assert_eq!(received[0].line, "POST /api/bucket/b/scope/s/index/i%2Fx/query HTTP/1.1");
    let body = json!({ "query": { "match_none": {} }, "size": 3, "fields": ["metadata.a", "text"], "ctl": { "timeout": 9 },
        "knn": [{ "field": "embedding", "vector": [1.0, 0.5], "k": 3 }] });
    assert_eq!((&received[0].body, found(answer)), (&body, one(0.9)));
    let (received, answer) = put(&kind, config.clone(), &[json!({ "status": "success" })]).await;
    answer.unwrap();
    assert_eq!(received[0].line, "POST /query/service HTTP/1.1");
    assert_eq!(received[0].body["statement"], "UPSERT INTO `b`.`s`.`c` (KEY, VALUE) VALUES ($1, $2), ($3, $4)");
    let kept = json!({ "text": "two", "embedding": [2.0, 0.5], "metadata": { "tags": ["x"] } });
    assert_eq!(received[0].body["args"][3], kept);
    let refused = json!({ "status": "errors", "errors": [{ "msg": "no such keyspace" }] });
    let (_, answer) = put(&kind, config, &[refused]).await;
    assert!(answer.unwrap_err().to_string().contains("no such keyspace"));
    assert!(needs(&kind, &json!({})).contains(&"bucketName".to_owned()));
}
