//! What services are asked, and what models are told. Expected: what Flowise 3.1.4 sent and told with the same answers.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::arxiv::ArxivSearch;
use super::exa::Exa;
use super::simple::{BRAVE, GOOGLE, SEARCH_API, SERP_API, SERPER, SimpleService, WOLFRAM};
use super::tavily::Tavily;
use super::{Asked, Service, searxng};
use crate::config::Secret;
use crate::engine::provider::ProviderResponse;

const QUERY: &str = "it's a b&c/ü (x)*";

fn answer(status: u16, body: &str) -> ProviderResponse {
    let status = StatusCode::from_u16(status).unwrap();
    ProviderResponse { status, headers: HeaderMap::new(), body: Bytes::from(body.to_owned()) }
}

fn asked(service: &SimpleService) -> String {
    let Asked { method, path, headers, body } = service.keyed(&["k", "c"]).asked(&json!({ "input": QUERY })).unwrap();
    let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
        format!(" {name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let headers: String = headers.iter().map(header).collect();
    format!("{method} {path}{headers} {}", String::from_utf8(body).unwrap()).trim().to_owned()
}

fn told(service: &SimpleService, status: u16, body: &Value) -> Result<String, String> {
    service.keyed(&["k", "c"]).told(&answer(status, &body.to_string()), &json!({}))
}

#[test]
fn each_service_is_asked_as_flowise_asks_it() {
    assert_eq!(
        asked(&BRAVE),
        "GET /res/v1/web/search?q=it%27s%20a%20b%26c%2F%C3%BC%20(x)* x-subscription-token: k accept: application/json"
    );
    assert_eq!(asked(&GOOGLE), "GET /customsearch/v1?key=k&cx=c&q=it%27s%20a%20b%26c%2F%C3%BC%20(x)*");
    assert_eq!(
        asked(&SERPER),
        "POST /search content-type: application/json x-api-key: k {\"q\":\"it's a b&c/ü (x)*\"}"
    );
    let form = "it%27s+a+b%26c%2F%C3%BC+%28x%29*";
    assert_eq!(asked(&SEARCH_API), format!("GET /api/v1/search?engine=google&api_key=k&q={form}"));
    assert_eq!(asked(&SERP_API), format!("GET /search?api_key=k&q={form}"));
    assert_eq!(asked(&WOLFRAM), "GET /api/v1/llm-api?appid=k&input=it%27s%20a%20b%26c%2F%C3%BC%20(x)*");
    // Nobody sees a key that a header holds.
    let Asked { headers, .. } = SERPER.keyed(&["k"]).asked(&json!({ "input": "x" })).unwrap();
    assert!(!format!("{headers:?}").contains("\"k\""), "{headers:?}");
}

#[test]
fn lists_of_results_are_told_as_json() {
    let found = json!({ "web": { "results": [{ "title": "t", "url": "u", "description": "d" }, { "title": "x" }] } });
    let list = "[{\"title\":\"t\",\"link\":\"u\",\"snippet\":\"d\"},{\"title\":\"x\"}]";
    assert_eq!(told(&BRAVE, 200, &found).unwrap(), list);
    assert_eq!(told(&BRAVE, 200, &json!({})).unwrap(), "[]");
    assert_eq!(told(&BRAVE, 429, &json!({})).unwrap_err(), "HTTP error 429");
    let found = json!({ "items": [{ "title": "t", "link": "l", "snippet": "s", "z": 1 }] });
    let list = "[{\"title\":\"t\",\"link\":\"l\",\"snippet\":\"s\"}]";
    assert_eq!(told(&GOOGLE, 200, &found).unwrap(), list);
    assert_eq!(told(&GOOGLE, 200, &json!({})).unwrap(), "[]");
    let error = told(&GOOGLE, 403, &json!({})).unwrap_err();
    assert_eq!(error, "Got 403 error from Google custom search: Forbidden");
    assert_eq!(WOLFRAM.keyed(&["k"]).told(&answer(501, "some text"), &json!({})).unwrap(), "some text");
}

#[test]
fn the_best_answer_is_told() {
    let nothing = "No good search result found";
    for (service, body, expected) in [
        (&SERPER, json!({ "organic": [{ "snippet": "s" }] }), "s"),
        (&SERPER, json!({ "answerBox": { "snippet_highlighted_words": ["w"] } }), "w"),
        (&SERPER, json!({ "answerBox": { "answer": "a" }, "organic": [{ "snippet": "s" }] }), "a"),
        (&SERPER, json!({}), nothing),
        (&SEARCH_API, json!({ "organic_results": [{ "snippet": "a" }, {}, { "snippet": "b" }] }), "a\nb"),
        (&SEARCH_API, json!({ "images": [{ "title": "t", "original": { "link": "l" } }] }), "Title: \"t\" Link: l"),
        (&SEARCH_API, json!({}), nothing),
        (
            &SERP_API,
            json!({ "answer_box": { "type": "x", "n": 1, "link": "https://x", "arr": [1] } }),
            "{\"type\":\"x\",\"n\":1}",
        ),
        (
            &SERP_API,
            json!({ "knowledge_graph": { "title": "T", "type": "city", "description": "D", "x_link": "l", "n": 1 },
                "organic_results": [{ "snippet_highlighted_words": ["a", "b"] }],
                "local_results": { "places": [{ "t": 1 }] } }),
            "[\"D\",\"T type: city\",[\"a\",\"b\"],[{\"t\":1}]]",
        ),
        (
            &SERP_API,
            json!({ "shopping_results": [{ "title": 1 }, { "title": 2 }, { "title": 3 }, { "title": 4 }] }),
            "[{\"title\":1},{\"title\":2},{\"title\":3}]",
        ),
        (&SERP_API, json!({ "images_results": [{ "thumbnail": "a" }, { "thumbnail": "b" }] }), "a,b"),
        (
            &SERP_API,
            json!({ "top_sights": { "sights": [{ "title": "a", "price": 1 }, { "title": "b", "description": "d", "z": 2 }] } }),
            "[{\"title\":\"a\",\"price\":1},{\"title\":\"b\",\"description\":\"d\"}]",
        ),
        (&SERP_API, json!({}), nothing),
    ] {
        assert_eq!(told(service, 200, &body).unwrap(), expected, "{body}");
    }
    let error = told(&SEARCH_API, 200, &json!({ "error": "no" })).unwrap_err();
    assert_eq!(error, "Failed to load search results from SearchApi due to: no");
    assert_eq!(told(&SERP_API, 401, &json!({ "error": "bad" })).unwrap_err(), "Got error from serpAPI: bad");
    assert_eq!(told(&SERPER, 429, &json!({})).unwrap_err(), "Got 429 error from serper: Too Many Requests");
}

#[test]
fn tavily_is_asked_what_its_author_and_the_model_say() {
    let set = json!({ "topic": "general", "search_depth": "basic", "max_results": 5, "chunks_per_source": 3 });
    let Value::Object(set) = set else { panic!() };
    let tavily = Tavily { key: Some(Secret::new("k".to_owned())), set };
    let arguments = json!({ "query": QUERY, "includeImages": true, "topic": "news" });
    let asked = tavily.asked(&arguments).unwrap();
    assert_eq!(
        String::from_utf8(asked.body).unwrap(),
        "{\"query\":\"it's a b&c/ü (x)*\",\"search_depth\":\"basic\",\"include_images\":true,\"topic\":\"general\",\
         \"max_results\":5,\"chunks_per_source\":3,\"client_source\":\"langchain-js\"}"
    );
    let told = |status: u16, body: &Value| tavily.told(&answer(status, &body.to_string()), &arguments).unwrap();
    assert_eq!(
        told(200, &json!({ "results": [{ "title": "t" }] })),
        "{\n  \"results\": [\n    {\n      \"title\": \"t\"\n    }\n  ]\n}"
    );
    let advice = "No search results found for 'it's a b&c/ü (x)*'. Suggestions: Try a more detailed search using \
                  'advanced' search_depth. Try modifying your search parameters with one of these approaches.";
    assert_eq!(told(200, &json!({ "results": [] })), format!("{:#}", json!({ "error": advice })));
    let refused = told(401, &json!({ "detail": { "error": "bad key" } }));
    assert_eq!(refused, "{\n  \"error\": \"Error 401: bad key\"\n}");
}

#[test]
fn exa_is_asked_for_contents() {
    let exa = Exa { key: None, set: Map::from_iter([("numResults".to_owned(), 3.into())]) };
    let asked = exa.asked(&json!({ "input": "q" })).unwrap();
    assert_eq!(asked.body, br#"{"query":"q","contents":{"text":true},"numResults":3}"#);
    let error = exa.told(&answer(400, "{\"error\":\"Bad\",\"message\":\"no\"}"), &json!({})).unwrap_err();
    assert_eq!(error, "Bad. no");
}

#[test]
fn searxng_tells_results_answers_and_suggestions() {
    let told = |body: &Value| searxng::told(&answer(200, &body.to_string())).unwrap();
    let lists = |name: &str, value: Value| {
        let mut body = json!({ "results": [], "answers": [], "infoboxes": [], "suggestions": [] });
        body[name] = value;
        body
    };
    let results = json!([{ "title": "t", "url": "u", "content": "c" }, { "title": "x" }]);
    let list = "{\"title\":\"t\",\"link\":\"u\",\"snippet\":\"c\"},{\"title\":\"x\",\"link\":\"\",\"snippet\":\"\"}";
    assert_eq!(told(&lists("results", results)), list);
    assert_eq!(told(&lists("answers", json!(["a"]))), "a");
    assert_eq!(told(&lists("infoboxes", json!([{ "content": "i" }]))), "i");
    assert_eq!(told(&lists("suggestions", json!(["a", "b"]))), "Suggestions: a, b, ");
    assert_eq!(told(&lists("x", json!(1))), "No good results found.");
    assert_eq!(searxng::told(&answer(403, "")).unwrap_err(), "Forbidden");
}

#[test]
fn arxiv_finds_papers_by_words_and_by_numbers() {
    let search = ArxivSearch { results: 3, query: 300, text: 4000 };
    let path = |query: &str| search.asked(&json!({ "query": query })).unwrap().path;
    let words = "search_query=all%3Aselfattention+is&max_results=3&sortBy=relevance&sortOrder=descending";
    assert_eq!(path("self-attention: is"), format!("/api/query?{words}"));
    assert_eq!(path("2301.12345v2 1234567"), "/api/query?id_list=2301.12345v2%2C1234567&max_results=3");
    assert!(search.asked(&json!({})).is_err());
    let feed = "<feed><entry>\n<id>http://arxiv.org/abs/1</id><updated>2020-01-02T00:00:00Z</updated>\
                <published>2019-12-31T23:00:00Z</published><title>A\n  title</title><summary> One\n two </summary>\
                <author>\n<name>Ann</name></author><author><name>Bo</name></author></entry><entry><id>2</id></entry></feed>";
    let told = search.told(&answer(200, feed), &json!({})).unwrap();
    assert_eq!(told, "Published: 2019-12-31\nTitle: A title\nAuthors: Ann, Bo\nSummary: One two");
    assert_eq!(search.told(&answer(200, "<feed/>"), &json!({})).unwrap(), "No good Arxiv Result was found");
    let error = search.told(&answer(503, ""), &json!({})).unwrap_err();
    assert_eq!(error, "Failed to search Arxiv: Arxiv API error: 503 Service Unavailable");
    let short = ArxivSearch { text: 9, ..search };
    assert_eq!(short.told(&answer(200, feed), &json!({})).unwrap(), "Published");
}
