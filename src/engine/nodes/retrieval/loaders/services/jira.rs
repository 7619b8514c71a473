//! Tickets of a project in Jira, a document each.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::Value;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, document, loader, secret_header};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::nodes::retrieval::loaders::web::address;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};
use crate::engine::text::javascript::{is_falsy, shown, trim};
use crate::engine::text::percent::pairs;

const MOST_TICKETS: usize = 20_000;
/// Parts of a description within each other.
const DEEPEST: usize = 100;

pub(super) struct Jira;

impl NodeKind for Jira {
    fn names(&self) -> &'static [&'static str] {
        &["jira"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        address(inputs, "host");
        let host = inputs.text("host").unwrap_or_default();
        let project = inputs.required_text("projectKey").unwrap_or_default();
        let page = inputs.integer("limitPerRequest").filter(|most| *most > 0).unwrap_or(100);
        let after = inputs.text("createdAfter");
        let day = after.as_deref().map(|after| after.get(..10).filter(|day| is_day(day)).map(str::to_owned));
        if day == Some(None) {
            inputs.refuse("createdAfter", "expected a date such as 2024-01-31");
        }
        let (user, token) = (inputs.credential("jiraApi", "username"), inputs.credential("jiraApi", "accessToken"));
        let exposed = |secret: &Option<Secret>| secret.as_ref().map(Secret::expose).unwrap_or_default().to_owned();
        let caller = STANDARD.encode(format!("{}:{}", exposed(&user), exposed(&token)));
        let caller = secret_header(AUTHORIZATION, &format!("Basic {caller}"));
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
        headers.extend(caller);
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let tickets = ProjectTickets { reader, host, project, page, after: day.flatten(), headers };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(tickets))))
    }
}

/// `2024-01-31`.
fn is_day(text: &str) -> bool {
    text.bytes()
        .enumerate()
        .all(|(place, byte)| if matches!(place, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

#[derive(Debug)]
struct ProjectTickets {
    reader: WebReader,
    host: String,
    project: String,
    /// Tickets that are asked for at once.
    page: u64,
    after: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl RemoteDocuments for ProjectTickets {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let mut documents = Vec::new();
            let mut next: Option<String> = None;
            loop {
                let url = web_address(&self.address(next.as_deref())).map_err(Failure::flow)?;
                let request = WebRequest { headers: self.headers.clone(), ..WebRequest::default() };
                let answer = room.json(&self.reader, &url, request, run).await?;
                let found = answer.get("issues").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                documents.extend(found.iter().map(|ticket| self.document(ticket)));
                if answer.get("isLast") == Some(&Value::Bool(true)) || documents.len() >= MOST_TICKETS {
                    break;
                }
                let token = answer.get("nextPageToken").and_then(Value::as_str).filter(|_| !found.is_empty());
                next = Some(token.ok_or_else(|| Failure::flow("Jira names no next page"))?.to_owned());
            }
            documents.truncate(MOST_TICKETS);
            Ok(documents)
        })
    }
}

impl ProjectTickets {
    fn address(&self, next: Option<&str>) -> String {
        let after = self.after.as_ref().map(|day| format!(" AND created >= \"{day}\"")).unwrap_or_default();
        let wanted = format!("project = {}{after} ORDER BY created ASC, key ASC", self.project);
        let page = self.page.to_string();
        let mut fields = vec![("jql", wanted.as_str()), ("maxResults", &page), ("fields", "*all")];
        fields.extend(next.map(|token| ("nextPageToken", token)));
        format!("{}/rest/api/3/search/jql?{}", self.host, pairs(&fields))
    }

    fn document(&self, ticket: &Value) -> Document {
        let metadata = [
            ("id", ticket.get("id").cloned().unwrap_or_default()),
            ("host", self.host.as_str().into()),
            ("projectKey", self.project.as_str().into()),
            ("created", ticket.pointer("/fields/created").cloned().unwrap_or_default()),
        ];
        document(self.text(ticket), metadata)
    }

    /// A line of a ticket: its key, what it is about, and where it is.
    fn line(&self, ticket: &Value) -> String {
        let (key, id) = (at(ticket, "/key"), at(ticket, "/id"));
        format!("{key} (ID {id}) - {} ({}/browse/{key})", at(ticket, "/fields/summary"), self.host)
    }

    fn text(&self, ticket: &Value) -> String {
        let is_there = |path: &str| ticket.pointer(path).is_some_and(|value| !is_falsy(value));
        let mut text = format!("Issue: {}\n", self.line(ticket));
        let mut add = |name: &str, value: String| _ = writeln!(text, "{name}: {value}");
        let of = |path: &str| at(ticket, path);
        let project = "/fields/project";
        add(
            "Project",
            format!(
                "{} ({}, ID {})",
                of(&format!("{project}/name")),
                of(&format!("{project}/key")),
                of(&format!("{project}/id"))
            ),
        );
        add("Status", of("/fields/status/name"));
        add("Priority", of("/fields/priority/name"));
        add("Type", of("/fields/issuetype/name"));
        add("Creator", of("/fields/creator/displayName"));
        let labels = ticket.pointer("/fields/labels").and_then(Value::as_array).filter(|labels| !labels.is_empty());
        if let Some(labels) = labels {
            add("Labels", labels.iter().map(shown).collect::<Vec<_>>().join(", "));
        }
        add("Created", of("/fields/created"));
        add("Updated", of("/fields/updated"));
        if is_there("/fields/reporter") {
            add("Reporter", of("/fields/reporter/displayName"));
        }
        let assignee = ticket.pointer("/fields/assignee/displayName").filter(|name| !name.is_null());
        add("Assignee", assignee.map_or_else(|| "Unassigned".to_owned(), shown));
        let more = [
            ("Due Date", "/fields/duedate"),
            ("Time Estimate", "/fields/timeestimate"),
            ("Time Spent", "/fields/timespent"),
            ("Resolution Date", "/fields/resolutiondate"),
        ];
        for (name, path) in more.into_iter().filter(|(_, path)| is_there(path)) {
            add(name, of(path));
        }
        if let Some(description) = ticket.pointer("/fields/description").filter(|value| !is_falsy(value)) {
            let mut words = String::new();
            words_of(description, &mut words, 0);
            add("Description", trim(&words).to_owned());
        }
        if is_there("/fields/progress/percent") {
            add("Progress", format!("{}%", of("/fields/progress/percent")));
        }
        if let Some(parent) = ticket.pointer("/fields/parent").filter(|parent| !is_falsy(parent)) {
            add("Parent Issue", self.line(parent));
        }
        self.tell_relatives(ticket, &mut text);
        text
    }

    fn tell_relatives(&self, ticket: &Value, text: &mut String) {
        let list = |path: &str| ticket.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (number, inner) in list("/fields/subtasks").iter().enumerate() {
            let head = if number == 0 { "Subtasks:\n" } else { "" };
            let _ = writeln!(text, "{head}  - {}", self.line(inner));
        }
        for (number, link) in list("/fields/issuelinks").iter().enumerate() {
            let head = if number == 0 { "Issue Links:\n" } else { "" };
            let _ = writeln!(text, "{head}  - {}", at(link, "/type/name"));
            for other in ["inwardIssue", "outwardIssue"].iter().filter_map(|name| link.get(*name)) {
                let _ = writeln!(text, "    - {}", self.line(other));
            }
        }
    }
}

/// A field as a text of JavaScript shows it.
fn at(value: &Value, path: &str) -> String {
    value.pointer(path).map_or_else(|| "undefined".to_owned(), shown)
}

/// The texts of a description, whatever stands around them.
fn words_of(node: &Value, words: &mut String, depth: usize) {
    if let Some(text) = node.get("text").and_then(Value::as_str).filter(|text| !text.is_empty()) {
        words.push_str(text);
    } else if depth < DEEPEST {
        let inner = node.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for node in inner {
            words_of(node, words, depth + 1);
        }
    }
}
