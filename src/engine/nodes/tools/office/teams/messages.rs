//! Messages of chats and channels: those of a channel where its team is said, else of a chat.

use serde_json::{Value, json};

use super::super::action::ActionOutput::Shaped;
use super::super::action::Verb::{Get, Patch, Post};
use super::super::action::{RequiredParams, ServiceAction};
use super::super::params::{Params, fields};
use super::{items, list};
use crate::engine::nodes::tools::arguments::with;

const OF_PLACE: RequiredParams = (&["chatChannelId"], "Chat or Channel ID is required");
const OF_MESSAGE: RequiredParams = (&["chatChannelId", "messageId"], "Chat/Channel ID and Message ID are required");

const SENT: &str = "/teams/{teamId}/channels/{chatChannelId}/messages";
const SENT_IN_CHAT: &str = "/chats/{chatChannelId}/messages";
const ONE: &str = "/teams/{teamId}/channels/{chatChannelId}/messages/{messageId}";
const ONE_IN_CHAT: &str = "/chats/{chatChannelId}/messages/{messageId}";

pub(super) const MESSAGES: &[ServiceAction] = &[
    ServiceAction::new(
        "listMessages",
        "listing messages",
        Get,
        "/teams/{teamId}/channels/{chatChannelId}/messages?$top={maxResults}",
    )
    .unless("teamId", "/chats/{chatChannelId}/messages?$top={maxResults}")
    .needs(OF_PLACE)
    .told(Shaped(|answer, params| in_place(list("messages", answer), params))),
    ServiceAction::new("getMessage", "getting message", Get, ONE)
        .unless("teamId", ONE_IN_CHAT)
        .needs(OF_MESSAGE)
        .told(Shaped(|answer, params| in_place(json!({ "success": true, "message": answer }), params))),
    ServiceAction::new("sendMessage", "sending message", Post, SENT)
        .unless("teamId", SENT_IN_CHAT)
        .needs((&["chatChannelId", "messageBody"], "Chat/Channel ID and Message BodyMaker are required"))
        .body(|params| content(params, "messageBody"))
        .told(Shaped(|answer, params| {
            let told = in_place(json!({ "success": true, "message": answer }), params);
            with(told, "messageText", "Message sent successfully".into())
        })),
    ServiceAction::new("updateMessage", "updating message", Patch, ONE)
        .unless("teamId", ONE_IN_CHAT)
        .needs(OF_MESSAGE)
        .body(|_| json!({ "policyViolation": null }))
        .told(Shaped(|_, params| done("Message updated successfully", params))),
    ServiceAction::new(
        "deleteMessage",
        "deleting message",
        Post,
        "/teams/{teamId}/channels/{chatChannelId}/messages/{messageId}/softDelete",
    )
    .unless("teamId", "/chats/{chatChannelId}/messages/{messageId}/softDelete")
    .needs(OF_MESSAGE)
    .body(|_| json!({}))
    .told(Shaped(|_, params| done("Message deleted successfully", params))),
    ServiceAction::new(
        "replyToMessage",
        "replying to message",
        Post,
        "/teams/{teamId}/channels/{chatChannelId}/messages/{messageId}/replies",
    )
    .unless("teamId", SENT_IN_CHAT)
    .needs((
        &["chatChannelId", "messageId", "replyBody"],
        "Chat/Channel ID, Message ID, and Reply BodyMaker are required",
    ))
    .body(|params| content(params, "replyBody"))
    .told(Shaped(|answer, params| {
        in_place(json!({ "success": true, "reply": answer, "message": "Reply sent successfully" }), params)
    })),
    ServiceAction::new(
        "setReaction",
        "setting reaction",
        Post,
        "/teams/{teamId}/channels/{chatChannelId}/messages/{messageId}/setReaction",
    )
    .unless("teamId", "/chats/{chatChannelId}/messages/{messageId}/setReaction")
    .needs(OF_MESSAGE)
    .body(reaction)
    .told(Shaped(|_, params| done(&format!("Reaction \"{}\" set successfully", params.text("reactionType")), params))),
    ServiceAction::new(
        "unsetReaction",
        "unsetting reaction",
        Post,
        "/teams/{teamId}/channels/{chatChannelId}/messages/{messageId}/unsetReaction",
    )
    .unless("teamId", "/chats/{chatChannelId}/messages/{messageId}/unsetReaction")
    .needs(OF_MESSAGE)
    .body(reaction)
    .told(Shaped(|_, params| {
        done(&format!("Reaction \"{}\" removed successfully", params.text("reactionType")), params)
    })),
    ServiceAction::new("getAllMessages", "getting all messages", Get, "/me/chats/getAllMessages?$top={maxResults}")
        .told(Shaped(|answer, _| {
            let messages = items(answer);
            let count = messages.len();
            json!({ "success": true, "messages": messages, "count": count, "source": "all_chats_and_channels" })
        })),
];

/// Says where it was.
fn in_place(told: Value, params: &Params) -> Value {
    with(told, "context", if params.is_set("teamId") { "channel" } else { "chat" }.into())
}

fn done(words: &str, params: &Params) -> Value {
    in_place(super::done(words), params)
}

fn content(params: &Params, name: &str) -> Value {
    let kind = params.given("contentType").unwrap_or_else(|| "text".into());
    json!({ "body": fields([("contentType", Some(kind)), ("content", params.given(name))]) })
}

fn reaction(params: &Params) -> Value {
    fields([("reactionType", params.given("reactionType"))])
}
