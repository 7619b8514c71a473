//! Everything that is no model: databases, search engines, servers of tools, APIs, pages.

use serde_json::{Value, json};

use super::StubResponse;
use super::heard::StubRequest;

/// A paper of three words.
const PAPER: &[u8] = include_bytes!("../../../tests/fuzz/corpus/pdf/h1.pdf");
const PASSAGE: &str = "A passage of the stage.";

pub(super) fn answer(heard: &StubRequest) -> StubResponse {
    if let Some(told) = kept(heard).or_else(|| tools(heard)).or_else(|| database(heard)).or_else(|| documents(heard)) {
        return StubResponse::json(&told);
    }
    let (host, path) = (heard.host.as_str(), heard.path.as_str());
    match host {
        "export.arxiv.org" => StubResponse::text("application/atom+xml", FEED),
        "arxiv.org" => StubResponse::text("application/pdf", PAPER),
        "api.wolframalpha.com" | "www.wolframalpha.com" => StubResponse::text("text/plain", "42"),
        // Whoever signs in.
        _ if path.ends_with("/token") => {
            StubResponse::json(&json!({ "access_token": "of-the-stage", "expires_in": 3600 }))
        }
        _ if is_search(host) || path.ends_with("/search") => StubResponse::json(&found()),
        _ if heard.query.starts_with("list-type=2") => StubResponse::text("application/xml", BUCKET),
        _ if path.ends_with("sitemap.xml") => StubResponse::text("application/xml", SITEMAP),
        _ if path.rsplit_once('.').is_some_and(|(_, kind)| kind == "yaml") => StubResponse::text("text/yaml", OPEN_API),
        _ if path.rsplit_once('.').is_some_and(|(_, kind)| kind == "pdf") => {
            StubResponse::text("application/pdf", PAPER)
        }
        _ if heard.method == "GET" && !heard.accept.contains("json") => {
            StubResponse::text("text/html; charset=utf-8", PAGE)
        }
        // Any other API.
        _ => {
            StubResponse::json(&json!({ "method": heard.method, "path": path, "query": heard.query, "text": PASSAGE }))
        }
    }
}

const FEED: &str = "<feed><entry><id>http://arxiv.org/abs/2301.00001v1</id><published>2023-01-01T00:00:00Z</published>\
    <title>A paper</title><summary>Its summary</summary><author><name>Ada</name></author></entry></feed>";
const OPEN_API: &str = "openapi: 3.0.0\ninfo: { title: t, version: '1' }\nservers: [{ url: https://api.example.com }]\n\
                        paths: { /a: { get: { operationId: a, summary: Gets a } } }\n";
const SITEMAP: &str = "<urlset><url><loc>https://page.example/one</loc></url></urlset>";
const BUCKET: &str = "<ListBucketResult><Contents><Key>docs/a.md</Key></Contents></ListBucketResult>";
const PAGE: &str = "<!doctype html><html><head><title>A page</title></head><body><h1>Heading</h1><main>\
    <p>The page of the stage.</p></main><a href=\"/two\">two</a></body></html>";

fn is_search(host: &str) -> bool {
    ["serpapi", "serper", "searchapi", "brave", "tavily", "exa.ai", "customsearch", "googleapis"]
        .iter()
        .any(|name| host.contains(name))
}

/// What each of them finds, under the name that it has there.
fn found() -> Value {
    let one = json!({ "title": "t", "url": "https://page.example", "link": "https://page.example", "snippet": PASSAGE,
        "content": PASSAGE, "description": PASSAGE, "text": PASSAGE });
    json!({ "items": [one], "organic": [one], "organic_results": [one], "results": [one], "web": { "results": [one] },
        "answers": [], "infoboxes": [], "suggestions": [] })
}

/// A server of tools, and applications' actions.
fn tools(heard: &StubRequest) -> Option<Value> {
    if let Some(method) = heard.body.get("jsonrpc").and_then(|_| heard.body.get("method")?.as_str()) {
        let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
        let result = match method {
            "initialize" => json!({ "protocolVersion": "2025-03-26", "capabilities": {}, "serverInfo": {} }),
            "tools/list" => json!({ "tools": [{ "name": "echo", "description": "d", "inputSchema": schema }] }),
            _ => json!({ "content": [{ "type": "text", "text": "echoed" }] }),
        };
        return Some(json!({ "jsonrpc": "2.0", "id": heard.body.get("id"), "result": result }));
    }
    let is_composio = heard.host.contains("composio");
    is_composio.then(|| {
        let names = heard.query.strip_prefix("actions=").unwrap_or_default().split("%2C");
        let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
        let items =
            names.map(|name| json!({ "name": name, "description": "d", "appName": "app", "parameters": schema }));
        json!({ "no_auth": true, "items": items.collect::<Vec<_>>(), "status": "ACTIVE", "successful": true })
    })
}

/// Databases of passages, memories and rerankers.
fn database(heard: &StubRequest) -> Option<Value> {
    let path = heard.path.as_str();
    let is_post = heard.method == "POST";
    let payload = json!({ "text": PASSAGE, "content": PASSAGE, "pageContent": PASSAGE, "_pageContentLC": PASSAGE,
        "metadata": { "source": "stage" } });
    let scored = json!({ "id": "1", "score": 0.9, "metadata": payload, "payload": payload });
    Some(match path {
        // Pinecone says where an index is, and every other database of that path is Pinecone's or Upstash's.
        _ if path.starts_with("/indexes/") => json!({ "host": "index.pinecone.example", "dimension": 8 }),
        _ if path.ends_with("/points/query") => json!({ "result": { "points": [scored] } }),
        _ if path.starts_with("/collections") => json!({ "result": { "collections": [] }, "status": "ok" }),
        _ if path.contains("/api/v2/tenants/") && path.ends_with("/query") => json!({ "ids": [["1"]],
            "distances": [[0.1]], "documents": [[PASSAGE]], "metadatas": [[{ "source": "stage" }]] }),
        _ if path.contains("/api/v2/tenants/") => json!({ "id": "7", "name": "c" }),
        _ if path.contains("/rest/v1/rpc/") => {
            json!([{ "id": 1, "content": PASSAGE, "metadata": { "source": "stage" }, "similarity": 0.9 }])
        }
        _ if path.starts_with("/rest/v1/") => json!([]),
        _ if path.ends_with("/v1/graphql") => {
            let query = heard.body.get("query").and_then(Value::as_str).unwrap_or_default();
            let class = query.split("{ Get { ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or("C");
            json!({ "data": { "Get": { class: [{ "text": PASSAGE, "_additional": { "distance": 0.1 } }] } } })
        }
        _ if path.ends_with("/v1/batch/objects") => json!([]),
        _ if path.starts_with("/v1/schema/") => json!({ "properties": [{ "name": "text", "dataType": ["text"] }] }),
        _ if path.contains("/v2/vectordb/") => milvus(path),
        _ if path.ends_with("/_search") => {
            json!({ "hits": { "hits": [{ "_id": "1", "_score": 0.9, "_source": payload }] } })
        }
        _ if path.ends_with("/_bulk") => json!({ "errors": false, "items": [] }),
        _ if path.starts_with("/api/json/v1/") => json!({ "data": { "documents": [{ "_id": "1", "text": PASSAGE,
            "content": PASSAGE, "$similarity": 0.9 }] }, "status": { "insertedIds": ["1"] } }),
        _ if path.starts_with("/api/bucket/") => json!({ "hits": [{ "score": 0.9, "fields": { "text": PASSAGE } }] }),
        "/query/service" => json!({ "status": "success" }),
        "/api/v2/query/rows" => {
            json!({ "results": [{ "rows": [{ "content": PASSAGE, "metadata": { "source": "stage" }, "__score": 0.9 }] }] })
        }
        // Vectara's, which also sums up.
        "/v1/query" => json!({ "responseSet": [{ "response": [{ "text": PASSAGE, "score": 0.9, "documentIndex": 0 }],
            "document": [{}], "summary": [{ "text": "It says so [1].", "status": [] }] }] }),
        _ if path.ends_with("/query") && is_post => json!({ "matches": [scored], "result": [scored] }),
        _ if path.ends_with("/upsert") => json!({ "upsertedCount": 1, "result": "Success" }),
        _ if heard.body.get("documents").is_some() && heard.body.get("query").is_some() => {
            let rank = json!([{ "index": 0, "relevance_score": 0.9 }]);
            json!({ "results": rank, "data": rank })
        }
        _ if path.contains("/sessions/") && path.ends_with("/memory") => {
            json!({ "messages": [{ "role": "human", "content": "earlier" }], "summary": null })
        }
        "/v1/ping/" => json!({ "status": "ok", "org_id": "o", "project_id": "p" }),
        _ if path.contains("/memories/") => json!([{ "id": "1", "memory": "likes tea" }]),
        // A list of Redis over HTTP.
        "/" if is_post && heard.body.is_array() => json!({ "result": [] }),
        _ => return None,
    })
}

fn milvus(path: &str) -> Value {
    if path.ends_with("/search") {
        return json!({ "code": 0, "data": [{ "distance": 0.1, "langchain_text": PASSAGE }] });
    }
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let fields = [
        field("langchain_primaryid", "Int64"),
        field("langchain_text", "VarChar"),
        field("langchain_vector", "FloatVector"),
    ];
    json!({ "code": 0, "data": { "has": true, "fields": fields, "indexes": [{ "metricType": "L2" }], "insertCount": 1 } })
}

/// What services with documents have.
fn documents(heard: &StubRequest) -> Option<Value> {
    let path = heard.path.as_str();
    // A model of Bedrock.
    if path.ends_with("/converse") {
        let said = json!({ "role": "assistant", "content": [{ "text": "The stage answers." }] });
        return Some(json!({ "output": { "message": said }, "stopReason": "end_turn", "usage": {} }));
    }
    // A model of Replicate, which is asked for as a document is.
    if path.contains("/predictions") {
        return Some(json!({ "id": "p", "status": "succeeded", "output": ["The stage ", "answers."] }));
    }
    if path.ends_with("/listRecords") {
        return Some(json!({ "records": [{ "id": "r", "fields": { "Name": PASSAGE } }] }));
    }
    if path.contains("/contents/") {
        let file =
            json!({ "type": "file", "path": "readme.md", "size": 3, "download_url": "https://raw.example/readme.md" });
        return Some(json!([file]));
    }
    if path.ends_with("/crawl") {
        return Some(json!([{ "content": PASSAGE, "url": "https://page.example", "metadata": {} }]));
    }
    // Parts of a file.
    let is_form = heard.body.as_str().is_some_and(|body| body.contains("form-data;"));
    is_form.then(|| json!([{ "type": "NarrativeText", "text": PASSAGE, "metadata": {} }]))
}

/// What people keep elsewhere, and pages that somebody else looks at.
fn kept(heard: &StubRequest) -> Option<Value> {
    let path = heard.path.as_str();
    let page = json!({ "id": "p", "url": "https://page.example", "properties": {} });
    let seen = json!({ "markdown": PASSAGE, "metadata": { "sourceURL": "https://page.example" } });
    Some(match heard.host.as_str() {
        "cloud.langfuse.com" => json!({ "type": "text", "prompt": "Of {{topic}} in one sentence." }),
        "api.notion.com" if path.ends_with("/children") => {
            let words = json!({ "rich_text": [{ "type": "text", "plain_text": PASSAGE, "annotations": {} }] });
            json!({ "results": [{ "id": "b", "type": "paragraph", "paragraph": words }], "next_cursor": null })
        }
        "api.notion.com" if path.ends_with("/query") => json!({ "results": [page], "next_cursor": null }),
        "api.notion.com" => page,
        // A file of a Drive, and what is in it; a table.
        "www.googleapis.com" if heard.query == "alt=media" => PASSAGE.into(),
        "www.googleapis.com" if path.starts_with("/drive/v3/files/") => {
            json!({ "id": "d", "name": "a.txt", "mimeType": "text/plain" })
        }
        "sheets.googleapis.com" if path.contains("/values/") && heard.method == "GET" => {
            json!({ "range": "A!A1", "values": [["Text"], [PASSAGE]] })
        }
        "sheets.googleapis.com" if heard.method == "GET" => json!({ "sheets": [{ "properties": { "title": "A" } }] }),
        "api.figma.com" => json!({ "name": PASSAGE }),
        "api.firecrawl.dev" if path.ends_with("/scrape") => json!({ "success": true, "data": seen }),
        // A flow of another Flowise.
        "flowise.example" => json!({ "text": PASSAGE }),
        "api.firecrawl.dev" => json!({ "success": true, "id": "j", "status": "completed", "data": [seen] }),
        "api.apify.com" if path.ends_with("/items") => json!([{ "text": PASSAGE, "url": "https://page.example" }]),
        "api.apify.com" => json!({ "data": { "id": "r", "status": "SUCCEEDED", "defaultDatasetId": "d" } }),
        "realtime.oxylabs.io" => json!({ "results": [{ "content": PASSAGE }] }),
        _ if path.ends_with("/search/jql") => {
            json!({ "issues": [{ "key": "OWL-1", "id": "1", "fields": { "summary": PASSAGE } }], "isLast": true })
        }
        _ if path.ends_with("/rest/api/content") && heard.query.contains("start=0") => {
            let body = json!({ "storage": { "value": format!("<p>{PASSAGE}</p>") } });
            json!({ "size": 1, "results": [{ "id": "7", "title": "t", "type": "page", "body": body }] })
        }
        _ if path.ends_with("/rest/api/content") => json!({ "size": 0, "results": [] }),
        _ => return None,
    })
}
