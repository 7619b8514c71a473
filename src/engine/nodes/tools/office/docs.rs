//! The node `googleDocsTool`.

use serde_json::{Value, json};

use super::action::ActionOutput::Read;
use super::action::Verb::{Get, Post};
use super::action::{JSON, QueryParam, ServiceAction, ServiceRequest, made};
use super::call::{ActionCall, ActionError, ActionFuture};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, GOOGLE, OfficeService, ServiceAddress};
use crate::engine::text::javascript;
use crate::engine::text::percent::{STEP, component, steps};
use crate::engine::text::variables::at;
use crate::wire::json;

/// Tabs within tabs.
const DEEPEST: usize = 32;
const UNREADABLE: &str = "SyntaxError: the answer is not valid JSON";

pub(super) static DOCS: OfficeService = OfficeService {
    names: &["googleDocsTool"],
    place: ServiceAddress::Fixed {
        credential: "googleDocsOAuth2",
        origin: "https://docs.googleapis.com",
        base: "/v1",
        issuer: GOOGLE,
    },
    specs: include_str!("specs/docs.json"),
    choice: ActionChoice::All("actions"),
    defaults: "documentId title text index replaceText newText matchCase! includeTabsContent! imageUrl rows columns",
    ids: component,
    speech: ErrorStyle::Plain("Google Docs"),
    actions: &[ACTIONS],
};

const DOCUMENT: &str = "/documents/{documentId}";
const UPDATE: &str = "/documents/{documentId}:batchUpdate";
const TABS: &[QueryParam] =
    &[made("includeTabsContent", |params| params.is_set("includeTabsContent").then(|| "true".to_owned()))];

const ACTIONS: &[ServiceAction] = &[
    ServiceAction::works("createDocument", "creating document", created),
    ServiceAction::new("getDocument", "getting document", Get, DOCUMENT).query(TABS),
    ServiceAction::works("updateDocument", "updating document", updated),
    ServiceAction::new("insertText", "inserting text", Post, UPDATE)
        .body(|params| only(json!({ "insertText": { "location": place(params), "text": params.given("text") } }))),
    ServiceAction::new("replaceText", "replacing text", Post, UPDATE).body(|params| only(replacing(params))),
    ServiceAction::works("appendText", "appending text", appended),
    ServiceAction::new("getTextContent", "getting text content", Get, DOCUMENT).query(TABS).told(Read(text_content)),
    ServiceAction::new("insertImage", "inserting image", Post, UPDATE).body(|params| {
        only(json!({ "insertInlineImage": { "location": place(params), "uri": params.given("imageUrl") } }))
    }),
    ServiceAction::new("createTable", "creating table", Post, UPDATE).body(|params| {
        let (rows, columns) = (params.given("rows"), params.given("columns"));
        only(json!({ "insertTable": { "location": place(params), "rows": rows, "columns": columns } }))
    }),
];

fn only(request: Value) -> Value {
    fields([("requests", Some(Value::Array(vec![request])))])
}

fn place(params: &Params) -> Value {
    json!({ "index": params.given("index") })
}

fn replacing(params: &Params) -> Value {
    let (text, new) = (params.given("replaceText"), params.given("newText"));
    let case = params.or("matchCase", false);
    json!({ "replaceAllText": { "containsText": { "text": text, "matchCase": case }, "replaceText": new } })
}

/// What is put into a document, by what is said.
fn changes(params: &Params, replaces: bool) -> Vec<Value> {
    let location = json!({ "index": params.or("index", 1) });
    let mut requests = Vec::new();
    if let Some(text) = params.set("text") {
        requests.push(json!({ "insertText": { "location": location, "text": text } }));
    }
    if replaces && params.is_set("replaceText") && params.is_set("newText") {
        requests.push(replacing(params));
    }
    if let Some(url) = params.set("imageUrl") {
        requests.push(json!({ "insertInlineImage": { "location": location, "uri": url } }));
    }
    if let (Some(rows), Some(columns)) = (params.set("rows"), params.set("columns")) {
        requests.push(json!({ "insertTable": { "location": location, "rows": rows, "columns": columns } }));
    }
    requests
}

fn document(id: &str) -> Result<String, ActionError> {
    let id = component(id);
    if steps(&id) { Err(ActionError::error(STEP)) } else { Ok(format!("/documents/{id}")) }
}

fn update(id: &str, requests: &[Value]) -> Result<ServiceRequest, ActionError> {
    let body = javascript::json(&json!({ "requests": requests }));
    Ok(ServiceRequest { verb: Post, path: format!("{}:batchUpdate", document(id)?), body: Some((JSON.into(), body)) })
}

fn created<'a>(call: &'a ActionCall<'a>) -> ActionFuture<'a> {
    Box::pin(async move {
        let title = json!({ "title": call.params.given("title") });
        let body = Some((JSON.into(), javascript::json(&title)));
        let answer = call.text(ServiceRequest { verb: Post, path: "/documents".to_owned(), body }).await?;
        let made: Value = json::read_answer(answer.as_bytes()).map_err(|_| ActionError::Told(UNREADABLE.to_owned()))?;
        let requests = changes(call.params, false);
        if !requests.is_empty() {
            let id = made.get("documentId").map_or_else(|| "undefined".to_owned(), javascript::shown);
            call.text(update(&id, &requests)?).await?;
        }
        Ok(answer)
    })
}

fn updated<'a>(call: &'a ActionCall<'a>) -> ActionFuture<'a> {
    Box::pin(async move {
        let requests = changes(call.params, true);
        if requests.is_empty() {
            return Ok("No updates specified".to_owned());
        }
        call.text(update(&call.params.text("documentId"), &requests)?).await
    })
}

fn appended<'a>(call: &'a ActionCall<'a>) -> ActionFuture<'a> {
    Box::pin(async move {
        let id = call.params.text("documentId");
        let whole = call.text(ServiceRequest { verb: Get, path: document(&id)?, body: None }).await?;
        let whole: Value = json::read_answer(whole.as_bytes()).map_err(|_| ActionError::Told(UNREADABLE.to_owned()))?;
        let content = at(&whole, "body.content").and_then(Value::as_array);
        let end = content.and_then(|content| content.last()?.get("endIndex")?.as_i64());
        let Some(end) = end else {
            return Err(ActionError::Told("TypeError: the document has no end".to_owned()));
        };
        let location = json!({ "index": end - 1 });
        let request = json!({ "insertText": { "location": location, "text": call.params.given("text") } });
        call.text(update(&id, &[request])?).await
    })
}

/// The text of a document, tab by tab.
fn text_content(answer: &str) -> Result<Value, String> {
    let document: Value = json::read_answer(answer.as_bytes()).map_err(|_| UNREADABLE.to_owned())?;
    let mut text = String::new();
    match document.get("tabs").and_then(Value::as_array).filter(|tabs| !tabs.is_empty()) {
        Some(tabs) => add_tabs(tabs, DEEPEST, &mut text),
        None => add_content(at(&document, "body.content"), &mut text),
    }
    Ok(json!({ "textContent": text }))
}

fn add_tabs(tabs: &[Value], depth: usize, text: &mut String) {
    let Some(inner) = depth.checked_sub(1) else { return };
    for tab in tabs {
        add_content(at(tab, "documentTab.body.content"), text);
        if let Some(tabs) = tab.get("childTabs").and_then(Value::as_array) {
            add_tabs(tabs, inner, text);
        }
    }
}

fn add_content(content: Option<&Value>, text: &mut String) {
    let elements = content.and_then(Value::as_array).into_iter().flatten();
    let runs = elements.filter_map(|element| at(element, "paragraph.elements")?.as_array()).flatten();
    for run in runs.filter_map(|run| run.get("textRun")) {
        text.push_str(run.get("content").and_then(Value::as_str).unwrap_or("undefined"));
    }
}
