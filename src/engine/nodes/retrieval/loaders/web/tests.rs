use serde_json::json;

use super::*;
use crate::engine::provider::Targets;
use crate::engine::testing::{answer, server, within};
use crate::telemetry::metrics::Metrics;

fn html(body: &str) -> String {
    answer("200 OK", "content-type: text/html\r\n", body)
}

/// Documents of pages that begin at that path of a server on the loopback, which the configuration allows or not.
fn scraped(
    path: &str,
    scope: impl FnOnce(&str) -> CrawlScope,
    limit: usize,
    answers: &[&str],
    is_allowed: bool,
) -> (Result<Vec<Document>, String>, Vec<String>) {
    let (origin, heard) = server(answers);
    let targets = Targets::alone("local", &Metrics::new().unwrap());
    let targets = if is_allowed { targets.allowing(&["127.0.0.0/8".parse().unwrap()]) } else { targets };
    let reader = WebReader::new(&Arc::new(targets));
    let url = web_address(&format!("{origin}{path}")).unwrap();
    let pages = PageCrawl { reader, scope: scope(&origin), limit, url };
    let selector = Arc::new(Selector::parse("body").unwrap());
    let scraped = Scraped { label: "Pages".to_owned(), pages, selector };
    let documents = within(&json!({ "question": "q" }), async |run| scraped.fetched(run).await);
    let heard = heard.try_iter().map(|text| text.lines().next().unwrap_or_default().to_owned()).collect();
    (documents.map_err(|failure| failure.to_string()), heard)
}

fn told(documents: &[Document]) -> Vec<(&str, &str)> {
    documents.iter().map(|document| (document.text.as_str(), document.metadata["title"].as_str().unwrap())).collect()
}

#[test]
fn one_page_is_its_text_and_title() {
    let page = html("<title>T</title><h1>Hi</h1><p>there</p>");
    let moved = answer("302 Found", "location: /new\r\n", "");
    let (documents, heard) = scraped("/old", |_| CrawlScope::One, 10, &[&moved, &page], true);
    let documents = documents.unwrap();
    assert_eq!(told(&documents), [("Hithere", "T")]);
    assert!(documents[0].metadata["source"].as_str().unwrap().ends_with("/old"));
    assert_eq!(heard, ["GET /old HTTP/1.1", "GET /new HTTP/1.1"]);
}

#[test]
fn a_crawl_stays_on_its_host_and_within_its_limit() {
    let pages = [
        html("<a href='/a/'>a</a><a href='/b'>b</a><a href='http://127.0.0.2/'>else</a>one"),
        html("<a href='/'>back</a><a href='/c'>c</a>two"),
        html("three"),
        answer("404 Not Found", "content-type: text/html\r\n", "gone"),
    ];
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let (documents, heard) = scraped("/", |_| CrawlScope::Crawl, 4, &pages, true);
    let documents = documents.unwrap();
    let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    assert_eq!(texts, ["abelseone", "backctwo", "three"]);
    assert_eq!(heard, ["GET / HTTP/1.1", "GET /a/ HTTP/1.1", "GET /c HTTP/1.1", "GET /b HTTP/1.1"]);
    assert!(documents[1].metadata["source"].as_str().unwrap().ends_with("/a"));
    let (documents, heard) = scraped("/", |_| CrawlScope::Crawl, 1, &pages, true);
    assert_eq!((documents.unwrap().len(), heard.len()), (1, 1));
}

#[test]
fn a_sitemap_and_a_list_name_their_pages() {
    let map = |_: &str| CrawlScope::Sitemap;
    let none = answer("200 OK", "content-type: text/xml\r\n", "<urlset></urlset>");
    let (documents, _) = scraped("/sitemap.xml", map, 10, &[&none], true);
    assert_eq!(documents.unwrap_err(), "Pages: no page could be read: No relative links found");
    let pages = [html("x"), html("y")];
    let listed = |origin: &str| {
        CrawlScope::Listed(["/1", "/2.pdf", "/3"].map(|path| web_address(&format!("{origin}{path}")).unwrap()).into())
    };
    let (documents, heard) = scraped("/", listed, 10, &[&pages[0], &pages[1]], true);
    assert_eq!(told(&documents.unwrap()), [("x", ""), ("y", "")]);
    assert_eq!(heard, ["GET /1 HTTP/1.1", "GET /3 HTTP/1.1"]);
}

#[test]
fn nothing_of_this_network_is_read_unless_it_is_allowed() {
    let page = html("secret");
    let (documents, heard) = scraped("/", |_| CrawlScope::One, 10, &[&page], false);
    assert!(documents.unwrap_err().contains("denied by policy") && heard.is_empty());
    let away = answer("302 Found", "location: http://169.254.169.254/latest\r\n", "");
    let (documents, _) = scraped("/", |_| CrawlScope::One, 10, &[&away], true);
    assert!(documents.unwrap_err().contains("denied by policy"));
    let file = answer("302 Found", "location: file:///etc/passwd\r\n", "");
    let (documents, _) = scraped("/", |_| CrawlScope::One, 10, &[&file], true);
    assert!(documents.unwrap_err().contains("no page of the web"));
}
