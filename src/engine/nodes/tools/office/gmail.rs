//! The node `gmail`.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::action::ActionOutput::Words;
use super::action::Verb::{Delete, Get, Post, Put};
use super::action::{QueryParam, RequiredParams, ServiceAction, renamed, set};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, GOOGLE, OfficeService, ServiceAddress};
use crate::engine::text::percent::component;

pub(super) static GMAIL: OfficeService = OfficeService {
    names: &["gmail"],
    place: ServiceAddress::Fixed {
        credential: "gmailOAuth2",
        origin: "https://gmail.googleapis.com",
        base: "/gmail/v1/users/me",
        issuer: GOOGLE,
    },
    specs: include_str!("specs/gmail.json"),
    choice: ActionChoice::By(
        "gmailType",
        &[
            ("drafts", "draftActions"),
            ("messages", "messageActions"),
            ("labels", "labelActions"),
            ("threads", "threadActions"),
        ],
    ),
    defaults: "draftMaxResults draftTo draftSubject draftBody draftCc draftBcc draftId draftUpdateTo draftUpdateSubject \
               draftUpdateBody messageMaxResults messageQuery messageTo messageSubject messageBody messageCc messageBcc \
               messageId messageAddLabelIds messageRemoveLabelIds labelName labelColor labelId threadMaxResults \
               threadQuery threadId threadAddLabelIds threadRemoveLabelIds",
    ids: component,
    speech: ErrorStyle::Plain("Gmail"),
    actions: &[ACTIONS],
};

const LIST: &[QueryParam] = &[set("maxResults"), renamed("q", "query")];
const DRAFT: RequiredParams = (&["draftId|id"], "Error: Draft ID is required");
const MESSAGE: RequiredParams = (&["messageId|id"], "Error: Message ID is required");
const LABEL: RequiredParams = (&["labelId|id"], "Error: Label ID is required");
const THREAD: RequiredParams = (&["threadId|id"], "Error: Thread ID is required");

const ACTIONS: &[ServiceAction] = &[
    ServiceAction::new("listDrafts", "listing drafts", Get, "/drafts").query(LIST),
    ServiceAction::new("createDraft", "creating draft", Post, "/drafts").body(draft),
    ServiceAction::new("getDraft", "getting draft", Get, "/drafts/{draftId|id}").needs(DRAFT),
    ServiceAction::new("updateDraft", "updating draft", Put, "/drafts/{draftId|id}").needs(DRAFT).body(draft),
    ServiceAction::new("sendDraft", "sending draft", Post, "/drafts/send")
        .needs(DRAFT)
        .body(|params| fields([("id", params.first("draftId|id"))])),
    ServiceAction::new("deleteDraft", "deleting draft", Delete, "/drafts/{draftId|id}")
        .needs(DRAFT)
        .told(Words("Draft {draftId|id} deleted successfully")),
    ServiceAction::new("listMessages", "listing messages", Get, "/messages").query(LIST),
    ServiceAction::new("getMessage", "getting message", Get, "/messages/{messageId|id}").needs(MESSAGE),
    ServiceAction::new("sendMessage", "sending message", Post, "/messages/send").body(message),
    ServiceAction::new("modifyMessage", "modifying message", Post, "/messages/{messageId|id}/modify")
        .needs(MESSAGE)
        .body(labels),
    ServiceAction::new("trashMessage", "moving message to trash", Post, "/messages/{messageId|id}/trash")
        .needs(MESSAGE),
    ServiceAction::new("untrashMessage", "removing message from trash", Post, "/messages/{messageId|id}/untrash")
        .needs(MESSAGE),
    ServiceAction::new("deleteMessage", "deleting message", Delete, "/messages/{messageId|id}")
        .needs(MESSAGE)
        .told(Words("Message {messageId|id} deleted successfully")),
    ServiceAction::new("listLabels", "listing labels", Get, "/labels"),
    ServiceAction::new("getLabel", "getting label", Get, "/labels/{labelId|id}").needs(LABEL),
    ServiceAction::new("createLabel", "creating label", Post, "/labels")
        .needs((&["labelName"], "Error: Label name is required"))
        .body(new_label),
    ServiceAction::new("updateLabel", "updating label", Put, "/labels/{labelId|id}")
        .needs(LABEL)
        .body(|params| fields([("name", params.set("labelName")), ("color", color(params))])),
    ServiceAction::new("deleteLabel", "deleting label", Delete, "/labels/{labelId|id}")
        .needs(LABEL)
        .told(Words("Label {labelId|id} deleted successfully")),
    ServiceAction::new("listThreads", "listing threads", Get, "/threads").query(LIST),
    ServiceAction::new("getThread", "getting thread", Get, "/threads/{threadId|id}").needs(THREAD),
    ServiceAction::new("modifyThread", "modifying thread", Post, "/threads/{threadId|id}/modify")
        .needs(THREAD)
        .body(labels),
    ServiceAction::new("trashThread", "moving thread to trash", Post, "/threads/{threadId|id}/trash").needs(THREAD),
    ServiceAction::new("untrashThread", "removing thread from trash", Post, "/threads/{threadId|id}/untrash")
        .needs(THREAD),
    ServiceAction::new("deleteThread", "deleting thread", Delete, "/threads/{threadId|id}")
        .needs(THREAD)
        .told(Words("Thread {threadId|id} deleted successfully")),
];

fn message(params: &Params) -> Value {
    json!({ "raw": mime(params) })
}

fn draft(params: &Params) -> Value {
    json!({ "message": message(params) })
}

/// A mail, as Gmail takes one.
fn mime(params: &Params) -> String {
    // A line's end would begin another field.
    let line = |text: String| text.replace(['\r', '\n'], " ");
    let mut mail = format!("To: {}\r\n", line(params.text("to")));
    for (field, param) in [("Cc", "cc"), ("Bcc", "bcc"), ("Subject", "subject")] {
        if params.is_set(param) {
            let _ = write!(mail, "{field}: {}\r\n", line(params.text(param)));
        }
    }
    mail.push_str("MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n");
    mail.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
    if params.is_set("body") {
        mail.push_str(&BASE64_STANDARD.encode(params.text("body")));
    }
    BASE64_URL_SAFE_NO_PAD.encode(mail)
}

fn labels(params: &Params) -> Value {
    let some = |name: &str| params.given(name).filter(|value| value.as_array().is_some_and(|list| !list.is_empty()));
    fields([("addLabelIds", some("addLabelIds")), ("removeLabelIds", some("removeLabelIds"))])
}

fn color(params: &Params) -> Option<Value> {
    params.set("labelColor").map(|color| json!({ "backgroundColor": color }))
}

fn new_label(params: &Params) -> Value {
    fields([
        ("name", params.given("labelName")),
        ("labelListVisibility", Some("labelShow".into())),
        ("messageListVisibility", Some("show".into())),
        ("color", color(params)),
    ])
}
