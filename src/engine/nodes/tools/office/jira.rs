//! The node `jiraTool`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::account::ServiceProof;
use super::action::Verb::{Delete, Get, Post, Put};
use super::action::{QueryParam, ServiceAction, always, made, set};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, OfficeService, ServiceAddress};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::text::header::secret_header;
use crate::engine::text::percent::component;

pub(super) static JIRA: OfficeService = OfficeService {
    names: &["jiraTool"],
    place: ServiceAddress::Jira,
    specs: include_str!("specs/jira.json"),
    choice: ActionChoice::By(
        "jiraType",
        &[("issues", "issueActions"), ("comments", "commentActions"), ("users", "userActions")],
    ),
    defaults: "projectKey issueType issueSummary issueDescription issuePriority issueKey assigneeAccountId transitionId \
               jqlQuery issueMaxResults commentIssueKey commentText commentId userQuery userAccountId userEmail \
               userDisplayName userMaxResults",
    ids: component,
    speech: ErrorStyle::Plain("Jira"),
    actions: &[ACTIONS],
};

const ISSUE: &str = "/issue/{issueKey}";
const COMMENT: &str = "/issue/{issueKey}/comment/{commentId}";
const PAGE: &[QueryParam] = &[set("maxResults"), set("startAt")];
const OF_USER: &[QueryParam] = &[always("accountId", "accountId")];

const ACTIONS: &[ServiceAction] = &[
    ServiceAction::new("listIssues", "listing issues", Get, "/search").query(&[
        made("jql", jql),
        set("maxResults"),
        set("startAt"),
    ]),
    ServiceAction::new("createIssue", "creating issue", Post, "/issue").body(new_issue),
    ServiceAction::new("getIssue", "getting issue", Get, ISSUE),
    ServiceAction::new("updateIssue", "updating issue", Put, ISSUE).body(|params| {
        json!({ "fields": fields([
            ("summary", params.set("summary")),
            ("description", params.set("description").map(paragraph)),
            ("priority", params.set("priority").map(|name| json!({ "name": name }))),
            ("assignee", params.set("assigneeAccountId").map(|id| json!({ "accountId": id }))),
        ]) })
    }),
    ServiceAction::new("deleteIssue", "deleting issue", Delete, ISSUE),
    ServiceAction::new("assignIssue", "assigning issue", Put, "/issue/{issueKey}/assignee")
        .body(|params| fields([("accountId", params.given("assigneeAccountId"))])),
    ServiceAction::new("transitionIssue", "transitioning issue", Post, "/issue/{issueKey}/transitions")
        .body(|params| json!({ "transition": fields([("id", params.given("transitionId"))]) })),
    ServiceAction::new("listComments", "listing comments", Get, "/issue/{issueKey}/comment").query(PAGE),
    ServiceAction::new("createComment", "creating comment", Post, "/issue/{issueKey}/comment")
        .body(|params| fields([("body", Some(comment(params))), ("visibility", params.set("visibility"))])),
    ServiceAction::new("getComment", "getting comment", Get, COMMENT),
    ServiceAction::new("updateComment", "updating comment", Put, COMMENT)
        .body(|params| json!({ "body": comment(params) })),
    ServiceAction::new("deleteComment", "deleting comment", Delete, COMMENT),
    ServiceAction::new("searchUsers", "searching users", Get, "/user/search").query(&[
        set("query"),
        set("maxResults"),
        set("startAt"),
    ]),
    ServiceAction::new("getUser", "getting user", Get, "/user").query(OF_USER),
    ServiceAction::new("createUser", "creating user", Post, "/user").body(|params| {
        fields([
            ("emailAddress", params.given("emailAddress")),
            ("displayName", params.given("displayName")),
            ("username", params.set("username")),
        ])
    }),
    ServiceAction::new("updateUser", "updating user", Put, "/user").query(OF_USER).body(|params| {
        fields([("emailAddress", params.set("emailAddress")), ("displayName", params.set("displayName"))])
    }),
    ServiceAction::new("deleteUser", "deleting user", Delete, "/user").query(OF_USER),
];

/// What it is proved with, and what of the API it is asked by: a name and a key belong to Jira in the cloud, a token to one
/// of somebody's own.
pub(super) fn proof(inputs: &mut Inputs<'_, '_, '_>) -> (ServiceProof, &'static str) {
    // The credential that was chosen may be of either kind.
    let bearer = if inputs.chosen_field("username").is_some() {
        None
    } else {
        inputs.optional_credential("jiraApiBearerToken", "bearerToken")
    };
    let sent = |text: String| secret_header(&text).map_or(ServiceProof::Missing, ServiceProof::Fixed);
    if let Some(token) = bearer {
        return (sent(format!("Bearer {}", token.expose())), "/rest/api/2");
    }
    let [name, key] = ["username", "accessToken"].map(|field| inputs.credential("jiraApi", field));
    let pair = |name: &Secret, key: &Secret| BASE64_STANDARD.encode(format!("{}:{}", name.expose(), key.expose()));
    let proof = match (name, key) {
        (Some(name), Some(key)) => sent(format!("Basic {}", pair(&name, &key))),
        _ => ServiceProof::Missing,
    };
    (proof, "/rest/api/3")
}

/// Which issues are meant, in Jira's language.
fn jql(params: &Params) -> Option<String> {
    let own = params.set("jql").map(|_| params.text("jql"));
    let key = params.set("projectKey").map(|_| project(&params.text("projectKey")));
    let (Some(key), Some(own)) = (&key, &own) else { return key.map(|key| format!("project = {key}")).or(own) };
    Some(match parts(own) {
        Some(("", order)) => format!("project = {key} {order}"),
        Some((conditions, order)) => format!("project = {key} AND ({conditions}) {order}").trim_end().to_owned(),
        // Jira says what is wrong with it, and finds nothing in other projects.
        None => format!("project = {key} AND ({})", quoted(own)),
    })
}

/// Conditions, and the order of what is found; `None`: something in it does not end, or ends what is around it.
fn parts(own: &str) -> Option<(&str, &str)> {
    let (mut quote, mut depth, mut order) = (None, 0_u32, None);
    let mut letters = own.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (_, '\\') => _ = letters.next(),
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1)?,
            (None, 'o' | 'O') if depth == 0 && order.is_none() && is_order(own, at) => order = Some(at),
            _ => {}
        }
    }
    let (conditions, order) = own.split_at(order.unwrap_or(own.len()));
    (quote.is_none() && depth == 0).then_some((conditions.trim(), order))
}

/// Whether it says there how what is found is ordered.
fn is_order(own: &str, at: usize) -> bool {
    let mut words = own.get(at..).unwrap_or_default().split_whitespace();
    let is_first =
        own.get(..at).is_none_or(|before| before.is_empty() || before.ends_with([' ', '\t', '\n', ')', '"', '\'']));
    let mut is_next = |wanted: &str| words.next().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
    is_first && is_next("order") && is_next("by")
}

/// A project's key, in quotation marks where it could be more than that.
fn project(key: &str) -> String {
    let is_plain = key.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    if is_plain { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text as Jira's documents have it.
fn paragraph(text: Value) -> Value {
    document(Some(text))
}

fn document(text: Option<Value>) -> Value {
    let text = fields([("type", Some("text".into())), ("text", text)]);
    json!({ "type": "doc", "version": 1, "content": [{ "type": "paragraph", "content": [text] }] })
}

fn comment(params: &Params) -> Value {
    document(params.given("text"))
}

fn new_issue(params: &Params) -> Value {
    json!({ "fields": fields([
        ("project", Some(fields([("key", params.given("projectKey"))]))),
        ("issuetype", Some(fields([("name", params.given("issueType"))]))),
        ("summary", params.given("summary")),
        ("description", params.set("description").map(paragraph)),
        ("priority", params.set("priority").map(|name| json!({ "name": name }))),
        ("assignee", params.set("assigneeAccountId").map(|id| json!({ "accountId": id }))),
        ("labels", params.set("labels")),
    ]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_stays_in_its_authors_project() {
        let asked = |own: &str| {
            let Value::Object(fields) = json!({ "projectKey": "KEY", "jql": own }) else { panic!() };
            jql(&Params(fields)).unwrap()
        };
        for (own, expected) in [
            ("status = Open", "project = KEY AND (status = Open)"),
            ("a = 1 OR b = 2 order BY created", "project = KEY AND (a = 1 OR b = 2) order BY created"),
            ("ORDER BY created DESC", "project = KEY ORDER BY created DESC"),
            ("project = OTHER", "project = KEY AND (project = OTHER)"),
            ("text ~ \"(order by :-) \\\" x\"", "project = KEY AND (text ~ \"(order by :-) \\\" x\")"),
            ("a = 1) OR (project = OTHER", "project = KEY AND (\"a = 1) OR (project = OTHER\")"),
            ("a = \"b", "project = KEY AND (\"a = \\\"b\")"),
            ("border by = 1", "project = KEY AND (border by = 1)"),
        ] {
            assert_eq!(asked(own), expected);
        }
    }
}
