//! Each service held against a stub.

mod google;
mod kept;

use std::sync::Arc;

use serde_json::{Value, json};

use super::asked::{FetchBudget, bearer, document};
use super::*;
use crate::config::Secret;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::models::lab::{self, CREDENTIALS, HERE, Received};
use crate::engine::provider::Targets;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::testing::{answer, server, within};
use crate::telemetry::metrics::Metrics;

#[test]
fn answers_that_are_no_success_are_told() {
    let (origin, _) = server(&[&answer("500 Internal Server Error", "", "out of order")]);
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let reader = WebReader::new(&Arc::new(targets));
    let url = web_address(&origin).unwrap();
    let failure =
        within(&json!({}), async |run| FetchBudget::new().ask(&reader, &url, WebRequest::default(), run).await);
    let told = failure.map(|answer| answer.status).unwrap_err().to_string();
    assert!(told.ends_with("answered 500: out of order"), "{told}");
}

#[test]
fn documents_have_their_fields_in_order() {
    let made = document("t".to_owned(), [("source", "s".into()), ("branch", "b".into())]);
    assert_eq!(serde_json::to_string(&made.metadata).unwrap(), r#"{"source":"s","branch":"b"}"#);
    assert!(bearer(&Secret::new("k".to_owned())).is_some_and(|(_, value)| value.is_sensitive()));
}

/// What a loader asks a service on the loopback that answers in turn, and the documents that it makes of it.
async fn fetched(
    kind: &dyn NodeKind,
    inputs: Value,
    answers: &[Value],
) -> (Vec<Received>, Result<Vec<Value>, Failure>) {
    let read = async |inputs: Value, run: &Run<'_>| {
        let source = lab::built(kind, inputs, true).unwrap().into_documents().unwrap();
        source.documents(run).await.map(|documents| documents.iter().map(Document::to_json).collect())
    };
    lab::at_provider(inputs, answers, read).await
}

fn lines(received: &[Received]) -> Vec<&str> {
    received.iter().map(|received| received.line.trim_end_matches(" HTTP/1.1")).collect()
}

fn told(documents: Result<Vec<Value>, Failure>) -> Value {
    documents.map_err(|failure| failure.to_string()).unwrap().into()
}

#[tokio::test]
async fn records_of_airtable_are_documents() {
    let inputs = json!({ "__service": HERE, "baseId": "b/1", "tableId": "t", "returnAll": true, "fields": "Name, Age",
        CREDENTIALS: { "airtableApi": { "accessToken": "a-token" } } });
    let answers = [
        json!({ "records": [{ "id": "r1", "fields": { "Name": "Ann" } }], "offset": "next" }),
        json!({ "records": [{ "id": "r2", "fields": {} }] }),
    ];
    let (received, documents) = fetched(&airtable::Airtable, inputs, &answers).await;
    assert_eq!(lines(&received), ["POST /v0/b%2F1/t/listRecords"; 2]);
    assert_eq!(received[0].headers["authorization"], "Bearer a-token");
    assert_eq!(received[0].body, json!({ "fields": ["Name", "Age"] }));
    assert_eq!(received[1].body, json!({ "fields": ["Name", "Age"], "offset": "next" }));
    let documents = told(documents);
    assert_eq!(documents[0]["pageContent"], "{\n  \"Name\": \"Ann\"\n}");
    assert!(documents[0]["metadata"]["url"].as_str().unwrap().ends_with("/v0/b%2F1/t/r1"));
    assert_eq!(documents[1]["pageContent"], "{}");
}

#[tokio::test]
async fn pages_of_spider_are_documents() {
    let inputs = json!({ "__service": HERE, "url": "https://a.example", "mode": "crawl", "limit": 5,
        "additional_metadata": { "k": 1 }, "params": { "request": "http" },
        CREDENTIALS: { "spiderApi": { "spiderApiKey": "a-key" } } });
    let answer = json!([{ "url": "https://a.example/1", "content": "# One" }, { "content": "two" }]);
    let (received, documents) = fetched(&spider::Spider, inputs, &[answer]).await;
    assert_eq!(lines(&received), ["POST /v1/crawl"]);
    assert_eq!(received[0].headers["authorization"], "Bearer a-key");
    let asked = json!({ "url": "https://a.example", "request": "http", "return_format": "markdown", "limit": 5 });
    assert_eq!(received[0].body, asked);
    let expected = json!([
        { "pageContent": "# One", "metadata": { "source": "https://a.example/1", "k": 1 } },
        { "pageContent": "two", "metadata": { "source": null, "k": 1 } },
    ]);
    assert_eq!(told(documents), expected);
}

#[tokio::test]
async fn elements_of_unstructured_are_documents() {
    let inputs = json!({ "unstructuredAPIUrl": format!("{HERE}/general"), "strategy": "fast", "coordinates": true,
        "fileObject": "data:text/plain;base64,aGVsbG8=,filename:a\"b.txt",
        CREDENTIALS: { "unstructuredApi": { "unstructuredAPIKey": "a-key" } } });
    let answer = json!([
        { "type": "Title", "text": "Hello", "metadata": { "filename": "a.txt" } },
        { "type": "PageBreak", "metadata": {} },
    ]);
    let (received, documents) = fetched(&unstructured::Unstructured, inputs, &[answer]).await;
    assert_eq!(lines(&received), ["POST /general"]);
    assert_eq!(received[0].headers["unstructured-api-key"], "a-key");
    let form = received[0].body.as_str().unwrap();
    assert!(form.contains("filename=\"a_b.txt\"") && form.contains("\r\n\r\nhello\r\n"), "{form}");
    assert!(
        form.contains("name=\"strategy\"\r\n\r\nfast") && form.contains("name=\"coordinates\"\r\n\r\ntrue"),
        "{form}"
    );
    let metadata = json!({ "filename": "a.txt", "category": "Title", "source": "source" });
    assert_eq!(told(documents), json!([{ "pageContent": "Hello", "metadata": metadata }]));
}

#[tokio::test]
async fn files_of_a_repository_are_documents() {
    let inputs = json!({ "repoLink": "https://github.com/o/r/tree/main/docs", "githubInstanceApi": HERE,
        "branch": "dev", "recursive": true, "ignorePath": "[\"*.lock\",\"out\"]", CREDENTIALS: { "githubApi": { "accessToken": "a-token" } } });
    let answers = [
        json!([
            { "type": "file", "path": "docs/a.md", "size": 3, "download_url": format!("{HERE}/raw/a.md") },
            { "type": "file", "path": "docs/pic.png", "size": 9, "download_url": format!("{HERE}/raw/pic.png") },
            { "type": "file", "path": "docs/a.lock", "size": 9, "download_url": format!("{HERE}/raw/a.lock") },
            { "type": "dir", "path": "docs/out" },
            { "type": "dir", "path": "docs/more" },
        ]),
        json!({ "not": "text" }),
        json!([]),
    ];
    let (received, documents) = fetched(&github::Github, inputs, &answers).await;
    let asked =
        ["GET /repos/o/r/contents/docs?ref=dev", "GET /raw/a.md", "GET /repos/o/r/contents/docs%2Fmore?ref=dev"];
    assert_eq!(lines(&received), asked);
    assert_eq!(received[0].headers["authorization"], "Bearer a-token");
    let metadata = json!({ "source": "docs/a.md", "repository": "https://github.com/o/r", "branch": "dev" });
    assert_eq!(told(documents), json!([{ "pageContent": "{\"not\":\"text\"}", "metadata": metadata }]));
}

#[tokio::test]
async fn pages_of_gitbook_are_told_line_by_line() {
    let page = "<html><main><h1>Owls</h1><p>sleep</p></main><p>not told</p></html>";
    let (received, documents) =
        fetched(&gitbook::Gitbook, json!({ "webPath": format!("{HERE}/docs") }), &[page.into()]).await;
    assert_eq!(lines(&received), ["GET /docs"]);
    let documents = told(documents);
    assert_eq!(documents[0]["metadata"]["title"], "Owls");
    assert_eq!(documents[0]["pageContent"], "Owls\nsleep");
}

#[tokio::test]
async fn an_apis_answer_is_a_document() {
    let inputs =
        json!({ "url": format!("{HERE}/x?a=b"), "method": "POST", "body": { "q": 1 }, "headers": { "x-key": "k" } });
    let (received, documents) = fetched(&api::ApiLoader, inputs, &[json!({ "a": [1] })]).await;
    assert_eq!(lines(&received), ["POST /x?a=b"]);
    assert_eq!((received[0].headers["x-key"].as_str(), &received[0].body), ("k", &json!({ "q": 1 })));
    assert_eq!(told(documents)[0]["pageContent"], "{\n  \"a\": [\n    1\n  ]\n}");
}

/// What lies deep is written with as many spaces before each line.
#[tokio::test]
async fn answers_that_lie_deep_do_not_become_a_hundred_times_as_long() {
    let deep = (0..100).fold(json!(vec![1; 6_000]), |inner, _| json!([inner]));
    let too_long = "what was answered is longer than 1 MiB as a text";
    let inputs = json!({ "url": HERE, "method": "GET" });
    let (_, documents) = fetched(&api::ApiLoader, inputs, std::slice::from_ref(&deep)).await;
    assert_eq!(documents.unwrap_err().to_string(), too_long);
    // A record alone would not be too long.
    let inputs = json!({ "__service": HERE, "baseId": "b", "tableId": "t", "returnAll": true,
        CREDENTIALS: { "airtableApi": { "accessToken": "k" } } });
    let records: Vec<Value> = (0..8).map(|_| (0..100).fold(json!(vec![1; 1_000]), |inner, _| json!([inner]))).collect();
    let records: Vec<Value> = records.into_iter().map(|fields| json!({ "fields": fields })).collect();
    let (_, documents) = fetched(&airtable::Airtable, inputs, &[json!({ "records": records })]).await;
    assert_eq!(documents.unwrap_err().to_string(), too_long);
}

#[tokio::test]
async fn searches_are_documents() {
    let inputs =
        json!({ "__service": HERE, "query": "owls & mice", CREDENTIALS: { "serpApi": { "serpApiKey": "k/1" } } });
    let answer = json!({ "organic_results": [{ "title": "t" }], "answer_box": { "a": 1 }, "other": [] });
    let (received, documents) = fetched(&simple::SerpApi, inputs, &[answer]).await;
    assert_eq!(lines(&received), ["GET /search?api_key=k%2F1&q=owls+%26+mice"]);
    let found = |text: &str, kind: &str, of: &str| json!({ "pageContent": text, "metadata": { "source": of, "responseType": kind } });
    let expected =
        [found("{\"a\":1}", "answer_box", "SerpAPI"), found("{\"title\":\"t\"}", "organic_results", "SerpAPI")];
    assert_eq!(told(documents), json!(expected));

    let inputs = json!({ "__service": HERE, "query": "q", "customParameters": "{\"engine\":\"bing\",\"num\":2}",
        CREDENTIALS: { "searchApi": { "searchApiKey": "k" } } });
    let answer = json!({ "transcripts": [{ "text": "a" }, { "text": "b" }] });
    let (received, documents) = fetched(&simple::SearchApi, inputs.clone(), &[answer]).await;
    assert_eq!(lines(&received), ["GET /api/v1/search?engine=bing&api_key=k&q=q&num=2"]);
    assert_eq!(told(documents), json!([found("a\nb", "transcripts", "SearchApi")]));
    let (_, refused) = fetched(&simple::SearchApi, inputs, &[json!({ "error": "no credit" })]).await;
    assert!(refused.unwrap_err().to_string().contains("SearchApi due to: no credit"));

    let inputs =
        json!({ "__service": HERE, "query": "q r", CREDENTIALS: { "braveSearchApi": { "braveApiKey": "k" } } });
    let answer = json!({ "web": { "results": [{ "title": "t", "url": "u", "description": "d" }] } });
    let (received, documents) = fetched(&simple::BraveSearch, inputs, &[answer]).await;
    assert_eq!(lines(&received), ["GET /res/v1/web/search?q=q%20r"]);
    assert_eq!(received[0].headers["x-subscription-token"], "k");
    assert_eq!(told(documents), json!([{ "pageContent": "d", "metadata": { "title": "t", "link": "u" } }]));
}

#[tokio::test]
async fn what_figma_and_oxylabs_answer_is_told() {
    let inputs = json!({ "__service": HERE, "fileKey": "f", "nodeIds": "1:2,3", "recursive": true, CREDENTIALS: { "figmaApi": { "accessToken": "k" } } });
    let (received, documents) = fetched(&simple::Figma, inputs, &[json!({ "name": "n" })]).await;
    assert_eq!(lines(&received), ["GET /v1/files/f/nodes?ids=1%3A2,3"]);
    assert_eq!(received[0].headers["x-figma-token"], "k");
    assert_eq!(told(documents)[0]["pageContent"], "{\"name\":\"n\"}");

    let inputs = json!({ "__service": HERE, "query": "https://a.example", "source": "universal", "render": true,
        CREDENTIALS: { "oxylabsApi": { "username": "u", "password": "p" } } });
    let answer = json!({ "results": [{ "content": "# a" }, { "content": { "b": 1 } }], "job": { "id": 1 } });
    let (received, documents) = fetched(&simple::Oxylabs, inputs, &[answer]).await;
    assert_eq!(lines(&received), ["POST /v1/queries"]);
    assert_eq!(received[0].headers["authorization"], "Basic dTpw");
    let asked = json!({ "source": "universal", "render": "html", "markdown": true, "url": "https://a.example" });
    assert_eq!(received[0].body, asked);
    let of = |text: &str| json!({ "pageContent": text, "metadata": {} });
    assert_eq!(told(documents), json!([of("# a"), of("{\"b\":1}")]));
}

#[tokio::test]
async fn firecrawl_is_asked_as_flowise_asks_it() {
    let inputs = |mode: &str, more: Value| {
        let mut inputs = json!({ "__service": HERE, "crawlerType": mode, "url": "https://a.example", "limit": "7",
            "includeTags": "main,article", CREDENTIALS: { "fireCrawlApi": { "firecrawlApiToken": "k" } } });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        inputs
    };
    let about = json!({ "title": "T", "sourceURL": "https://a.example/1", "statusCode": 200 });
    let page = json!({ "markdown": "# T", "metadata": about });
    let expected = json!([{ "pageContent": "# T", "metadata": { "title": "T", "sourceURL": "https://a.example/1",
        "statusCode": 200, "source": "https://a.example/1" } }]);
    let scraped = json!({ "success": true, "data": page });
    let (received, documents) = fetched(&firecrawl::FireCrawl, inputs("scrape", json!({})), &[scraped]).await;
    assert_eq!(lines(&received), ["POST /v1/scrape"]);
    assert_eq!(received[0].headers["authorization"], "Bearer k");
    let asked = json!({ "url": "https://a.example", "formats": ["markdown"], "onlyMainContent": true,
        "includeTags": ["main", "article"], "integration": "flowise" });
    assert_eq!(received[0].body, asked);
    assert_eq!(told(documents), expected);

    let answers = [
        json!({ "success": true, "id": "j/1" }),
        json!({ "status": "scraping", "data": [] }),
        json!({ "status": "completed", "data": [page] }),
    ];
    let (received, documents) =
        fetched(&firecrawl::FireCrawl, inputs("crawl", json!({ "excludePaths": "/a,/b" })), &answers).await;
    assert_eq!(lines(&received), ["POST /v1/crawl", "GET /v1/crawl/j%2F1", "GET /v1/crawl/j%2F1"]);
    let reading = json!({ "formats": ["markdown"], "onlyMainContent": true, "includeTags": ["main", "article"] });
    let asked = json!({ "url": "https://a.example", "excludePaths": ["/a", "/b"], "limit": 7, "scrapeOptions": reading,
        "integration": "flowise" });
    assert_eq!(received[0].body, asked);
    assert_eq!(told(documents), expected);

    let found = json!({ "success": true, "data": [{ "title": "T", "url": "u", "description": "d" }] });
    let more = json!({ "searchQuery": "owls", "searchLimit": "3" });
    let (received, documents) = fetched(&firecrawl::FireCrawl, inputs("search", more), &[found]).await;
    assert_eq!(received[0].body, json!({ "query": "owls", "limit": 3, "integration": "flowise" }));
    let metadata = json!({ "title": "T", "sourceURL": "u", "source": "u" });
    assert_eq!(told(documents), json!([{ "pageContent": "d", "metadata": metadata }]));

    let answers = [json!({ "success": true, "id": "x" }), json!({ "status": "completed", "data": { "a": 1 } })];
    let (received, documents) =
        fetched(&firecrawl::FireCrawl, inputs("extract", json!({ "extractPrompt": "p" })), &answers).await;
    assert_eq!(received[0].body["urls"], json!(["https://a.example"]));
    assert_eq!(told(documents)[0]["pageContent"], "{\n  \"a\": 1\n}");

    let refused = [json!({ "success": false, "error": "no credit" })];
    let (_, refused) = fetched(&firecrawl::FireCrawl, inputs("scrape", json!({})), &refused).await;
    assert!(refused.unwrap_err().to_string().contains("no credit"));
}

#[tokio::test]
async fn apify_is_waited_for() {
    let inputs = json!({ "__service": HERE, "urls": "https://a.example, https://b.example", "crawlerType": "cheerio",
        "maxCrawlDepth": "1", "maxCrawlPages": 3, CREDENTIALS: { "apifyApi": { "apifyApiToken": "k" } } });
    let answers = [
        json!({ "data": { "id": "r1", "status": "READY", "defaultDatasetId": "d1" } }),
        json!({ "data": { "id": "r1", "status": "RUNNING", "defaultDatasetId": "d1" } }),
        json!({ "data": { "id": "r1", "status": "SUCCEEDED", "defaultDatasetId": "d1" } }),
        json!([{ "url": "https://a.example/1", "text": "one" }]),
    ];
    let (received, documents) = fetched(&apify::Apify, inputs, &answers).await;
    let waiting = "GET /v2/actor-runs/r1?waitForFinish=60";
    let asked =
        ["POST /v2/acts/apify~website-content-crawler/runs", waiting, waiting, "GET /v2/datasets/d1/items?clean=1"];
    assert_eq!(lines(&received), asked);
    let body = json!({ "startUrls": [{ "url": "https://a.example" }, { "url": "https://b.example" }],
        "crawlerType": "cheerio", "maxCrawlDepth": 1, "maxCrawlPages": 3 });
    assert_eq!((&received[0].body, received[0].headers["authorization"].as_str()), (&body, "Bearer k"));
    assert_eq!(told(documents), json!([{ "pageContent": "one", "metadata": { "source": "https://a.example/1" } }]));
}
