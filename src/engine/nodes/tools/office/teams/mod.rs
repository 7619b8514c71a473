//! The node `microsoftTeams`.

mod messages;

use serde_json::{Map, Value, json};

use super::action::ActionOutput::Shaped;
use super::action::Verb::{Delete, Get, Patch, Post};
use super::action::{RequiredParams, ServiceAction, ServiceRequest};
use super::call::{ActionCall, ActionError, ActionFuture, failed_graph};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, OfficeService, ServiceAddress};
use crate::engine::text::percent::{STEP, segment, steps};
use crate::engine::text::variables::{at, text_of};

pub(super) static TEAMS: OfficeService = OfficeService {
    names: &["microsoftTeams"],
    place: ServiceAddress::Fixed {
        credential: "microsoftTeamsOAuth2",
        origin: "https://graph.microsoft.com",
        base: "/v1.0",
        // It has its tenant's name in it.
        issuer: None,
    },
    specs: include_str!("../specs/teams.json"),
    choice: ActionChoice::By(
        "teamsType",
        &[("channel", "channelActions"), ("chat", "chatActions"), ("chatMessage", "chatMessageActions")],
    ),
    defaults: "teamIdListChannels maxResultsListChannels teamIdGetChannel channelIdGetChannel teamIdCreateChannel \
               displayNameCreateChannel descriptionCreateChannel membershipTypeCreateChannel teamIdUpdateChannel \
               channelIdUpdateChannel displayNameUpdateChannel teamIdDeleteChannel channelIdDeleteChannel \
               teamIdChannelMembers channelIdChannelMembers userIdChannelMember maxResultsListChats chatIdGetChat \
               chatTypeCreateChat topicCreateChat membersCreateChat chatIdUpdateChat topicUpdateChat chatIdDeleteChat \
               chatIdChatMembers userIdChatMember chatIdPinMessage messageIdPinMessage chatChannelIdListMessages \
               teamIdListMessages maxResultsListMessages chatChannelIdGetMessage teamIdGetMessage messageIdGetMessage \
               chatChannelIdSendMessage teamIdSendMessage messageBodySendMessage contentTypeSendMessage \
               chatChannelIdUpdateMessage teamIdUpdateMessage messageIdUpdateMessage chatChannelIdDeleteMessage \
               teamIdDeleteMessage messageIdDeleteMessage chatChannelIdReplyMessage teamIdReplyMessage \
               messageIdReplyMessage replyBodyReplyMessage chatChannelIdReaction teamIdReaction messageIdReaction \
               reactionTypeSetReaction",
    ids: segment,
    speech: ErrorStyle::Graph,
    actions: &[CHANNELS, CHATS, messages::MESSAGES],
};

const GRAPH: &str = "https://graph.microsoft.com/v1.0";
const CHANNEL: &str = "/teams/{teamId}/channels/{channelId}";
const CHANNEL_MEMBERS: &str = "/teams/{teamId}/channels/{channelId}/members";
const CHAT: &str = "/chats/{chatId}";
const CHAT_MEMBERS: &str = "/chats/{chatId}/members";

const OF_TEAM: RequiredParams = (&["teamId"], "Team ID is required to list channels");
const OF_CHANNEL: RequiredParams = (&["teamId", "channelId"], "Both Team ID and Channel ID are required");
const OF_MEMBER: RequiredParams =
    (&["teamId", "channelId", "userId"], "Team ID, Channel ID, and User ID are all required");
const OF_CHAT: RequiredParams = (&["chatId"], "Chat ID is required");
const OF_CHATTER: RequiredParams = (&["chatId", "userId"], "Both Chat ID and User ID are required");
const OF_PIN: RequiredParams = (&["chatId", "messageId"], "Both Chat ID and Message ID are required");

const CHANNELS: &[ServiceAction] = &[
    ServiceAction::new("listChannels", "listing channels", Get, "/teams/{teamId}/channels")
        .needs(OF_TEAM)
        .told(Shaped(channels)),
    ServiceAction::new("getChannel", "getting channel", Get, CHANNEL)
        .needs(OF_CHANNEL)
        .told(Shaped(|answer, _| json!({ "success": true, "channel": answer }))),
    ServiceAction::new("createChannel", "creating channel", Post, "/teams/{teamId}/channels")
        .needs((&["teamId", "displayName"], "Team ID and Display Name are required to create a channel"))
        .body(new_channel)
        .told(Shaped(|answer, params| {
            let words = format!("Channel \"{}\" created successfully", params.text("displayName"));
            json!({ "success": true, "channel": answer, "message": words })
        })),
    ServiceAction::new("updateChannel", "updating channel", Patch, CHANNEL)
        .needs(OF_CHANNEL)
        .tried(changed_channel)
        .told(Shaped(|_, _| done("Channel updated successfully"))),
    ServiceAction::new("deleteChannel", "deleting channel", Delete, CHANNEL)
        .needs(OF_CHANNEL)
        .told(Shaped(|_, _| done("Channel deleted successfully"))),
    ServiceAction::new("archiveChannel", "archiving channel", Post, "/teams/{teamId}/channels/{channelId}/archive")
        .needs(OF_CHANNEL)
        .body(nothing)
        .told(Shaped(|_, _| done("Channel archived successfully"))),
    ServiceAction::new(
        "unarchiveChannel",
        "unarchiving channel",
        Post,
        "/teams/{teamId}/channels/{channelId}/unarchive",
    )
    .needs(OF_CHANNEL)
    .body(nothing)
    .told(Shaped(|_, _| done("Channel unarchived successfully"))),
    ServiceAction::new("listChannelMembers", "listing channel members", Get, CHANNEL_MEMBERS)
        .needs(OF_CHANNEL)
        .told(Shaped(|answer, _| list("members", answer))),
    ServiceAction::new("addChannelMember", "adding channel member", Post, CHANNEL_MEMBERS)
        .needs(OF_MEMBER)
        .body(|params| member(&params.text("userId")))
        .told(Shaped(|_, _| done("Member added to channel successfully"))),
    ServiceAction::works("removeChannelMember", "removing channel member", leaves_channel).needs(OF_MEMBER),
];

const CHATS: &[ServiceAction] = &[
    ServiceAction::new("listChats", "listing chats", Get, "/me/chats?$top={maxResults}")
        .told(Shaped(|answer, _| list("chats", answer))),
    ServiceAction::new("getChat", "getting chat", Get, CHAT)
        .needs(OF_CHAT)
        .told(Shaped(|answer, _| json!({ "success": true, "chat": answer }))),
    ServiceAction::new("createChat", "creating chat", Post, "/chats")
        .needs((&["members"], "Members list is required to create a chat"))
        .body(new_chat)
        .told(Shaped(|answer, _| json!({ "success": true, "chat": answer, "message": "Chat created successfully" }))),
    ServiceAction::new("updateChat", "updating chat", Patch, CHAT)
        .needs(OF_CHAT)
        .tried(new_topic)
        .told(Shaped(|_, _| done("Chat updated successfully"))),
    ServiceAction::new("deleteChat", "deleting chat", Delete, CHAT)
        .needs(OF_CHAT)
        .told(Shaped(|_, _| done("Chat deleted successfully"))),
    ServiceAction::new("listChatMembers", "listing chat members", Get, CHAT_MEMBERS)
        .needs(OF_CHAT)
        .told(Shaped(|answer, _| list("members", answer))),
    ServiceAction::new("addChatMember", "adding chat member", Post, CHAT_MEMBERS)
        .needs(OF_CHATTER)
        .body(|params| member(&params.text("userId")))
        .told(Shaped(|_, _| done("Member added to chat successfully"))),
    ServiceAction::works("removeChatMember", "removing chat member", leaves_chat).needs(OF_CHATTER),
    ServiceAction::new("pinMessage", "pinning message", Post, "/chats/{chatId}/pinnedMessages")
        .needs(OF_PIN)
        .body(pin)
        .told(Shaped(|_, _| done("Message pinned successfully"))),
    ServiceAction::works("unpinMessage", "unpinning message", unpins).needs(OF_PIN),
];

fn done(words: &str) -> Value {
    json!({ "success": true, "message": words })
}

/// What a list has, and how much that is.
fn list(name: &str, answer: Value) -> Value {
    let items = items(answer);
    let count = items.len();
    json!({ "success": true, name: items, "count": count })
}

fn items(mut answer: Value) -> Vec<Value> {
    match answer.get_mut("value").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn channels(answer: Value, params: &Params) -> Value {
    let mut channels = items(answer);
    let total = channels.len();
    let most = params.given("maxResults").and_then(|most| most.as_u64().or_else(|| most.as_str()?.parse().ok()));
    channels.truncate(usize::try_from(most.unwrap_or(50)).unwrap_or(usize::MAX));
    let count = channels.len();
    json!({ "success": true, "channels": channels, "count": count, "total": total })
}

fn nothing(_: &Params) -> Value {
    json!({})
}

fn new_channel(params: &Params) -> Value {
    fields([
        ("displayName", params.given("displayName")),
        ("membershipType", Some(params.given("membershipType").unwrap_or_else(|| "standard".into()))),
        ("description", params.set("description")),
    ])
}

fn changed_channel(params: &Params) -> Result<Value, String> {
    let body = fields([("displayName", params.set("displayName")), ("description", params.set("description"))]);
    if body.as_object().is_some_and(Map::is_empty) {
        return Err("At least one field to update must be provided".to_owned());
    }
    Ok(body)
}

/// Somebody, as a member of something.
fn member(user: &str) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.aadUserConversationMember",
        "user@odata.bind": format!("{GRAPH}/users('{}')", key(user)),
    })
}

/// A key within parentheses.
fn key(text: &str) -> String {
    text.replace('\'', "''")
}

fn new_chat(params: &Params) -> Value {
    let kind = params.given("chatType").unwrap_or_else(|| "group".into());
    let members: Vec<Value> = params.list("members").iter().map(|user| member(user)).collect();
    let topic = params.set("topic").filter(|_| kind == "group");
    fields([("chatType", Some(kind)), ("members", Some(members.into())), ("topic", topic)])
}

fn new_topic(params: &Params) -> Result<Value, String> {
    let topic = params.set("topic").ok_or("Topic is required to update a chat")?;
    Ok(json!({ "topic": topic }))
}

fn pin(params: &Params) -> Value {
    let (chat, message) = (key(&params.text("chatId")), key(&params.text("messageId")));
    json!({ "message": { "@odata.bind": format!("{GRAPH}/chats('{chat}')/messages('{message}')") } })
}

/// An id in a path.
fn placed(call: &ActionCall<'_>, name: &str) -> Result<String, ActionError> {
    let id = segment(&call.params.text(name));
    if steps(&id) { Err(failed_graph(STEP)) } else { Ok(id) }
}

/// What has to be found in a list before it can be taken out of it.
struct ListRemoval<'a> {
    list: String,
    is_meant: &'a dyn Fn(&Value) -> bool,
    absent: &'static str,
    done: &'static str,
}

async fn removed(call: &ActionCall<'_>, removal: ListRemoval<'_>) -> Result<String, ActionError> {
    let ListRemoval { list, is_meant, absent, done: words } = removal;
    let all = items(call.json(ServiceRequest { verb: Get, path: list.clone(), body: None }).await?);
    let found = all.iter().find(|item| is_meant(item)).ok_or_else(|| ActionError::error(absent))?;
    let id = segment(&found.get("id").map(text_of).unwrap_or_default());
    if steps(&id) {
        return Err(failed_graph(STEP));
    }
    call.json(ServiceRequest { verb: Delete, path: format!("{list}/{id}"), body: None }).await?;
    Ok(done(words).to_string())
}

fn is_user(call: &ActionCall<'_>, item: &Value) -> bool {
    item.get("userId").is_some_and(|user| call.params.given("userId").as_ref() == Some(user))
}

fn leaves_channel<'a>(call: &'a ActionCall<'a>) -> ActionFuture<'a> {
    Box::pin(async move {
        let list = format!("/teams/{}/channels/{}/members", placed(call, "teamId")?, placed(call, "channelId")?);
        let absent = "User is not a member of this channel";
        let done = "Member removed from channel successfully";
        removed(call, ListRemoval { list, is_meant: &|item| is_user(call, item), absent, done }).await
    })
}

fn leaves_chat<'a>(call: &'a ActionCall<'a>) -> ActionFuture<'a> {
    Box::pin(async move {
        let list = format!("/chats/{}/members", placed(call, "chatId")?);
        let absent = "User is not a member of this chat";
        let done = "Member removed from chat successfully";
        removed(call, ListRemoval { list, is_meant: &|item| is_user(call, item), absent, done }).await
    })
}

fn unpins<'a>(call: &'a ActionCall<'a>) -> ActionFuture<'a> {
    Box::pin(async move {
        let list = format!("/chats/{}/pinnedMessages", placed(call, "chatId")?);
        let message = call.params.given("messageId");
        let is_meant = |item: &Value| at(item, "message.id").is_some_and(|id| message.as_ref() == Some(id));
        let absent = "Message is not pinned in this chat";
        removed(call, ListRemoval { list, is_meant: &is_meant, absent, done: "Message unpinned successfully" }).await
    })
}
