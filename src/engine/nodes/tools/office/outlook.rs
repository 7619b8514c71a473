//! The node `microsoftOutlook`.

use serde_json::{Value, json};

use super::action::ActionOutput::Words;
use super::action::Verb::{Delete, Get, Patch, Post};
use super::action::{ServiceAction, made, renamed};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, OfficeService, ServiceAddress};
use crate::engine::nodes::tools::arguments::with;
use crate::engine::text::percent::segment;

pub(super) static OUTLOOK: OfficeService = OfficeService {
    names: &["microsoftOutlook"],
    place: ServiceAddress::Fixed {
        credential: "microsoftOutlookOAuth2",
        origin: "https://graph.microsoft.com",
        base: "/v1.0/me",
        // It has its tenant's name in it.
        issuer: None,
    },
    specs: include_str!("specs/outlook.json"),
    choice: ActionChoice::By("outlookType", &[("calendar", "calendarActions"), ("message", "messageActions")]),
    defaults: "maxResultsListCalendars calendarIdGetCalendar calendarNameCreateCalendar calendarIdUpdateCalendar \
               calendarNameUpdateCalendar calendarIdDeleteCalendar calendarIdListEvents maxResultsListEvents \
               startDateTimeListEvents endDateTimeListEvents eventIdGetEvent subjectCreateEvent bodyCreateEvent \
               startDateTimeCreateEvent endDateTimeCreateEvent timeZoneCreateEvent locationCreateEvent \
               attendeesCreateEvent eventIdUpdateEvent subjectUpdateEvent eventIdDeleteEvent maxResultsListMessages \
               filterListMessages messageIdGetMessage toCreateDraftMessage subjectCreateDraftMessage \
               bodyCreateDraftMessage ccCreateDraftMessage bccCreateDraftMessage toSendMessage subjectSendMessage \
               bodySendMessage messageIdUpdateMessage isReadUpdateMessage! messageIdDeleteMessage messageIdCopyMessage \
               destinationFolderIdCopyMessage messageIdMoveMessage destinationFolderIdMoveMessage \
               messageIdReplyMessage replyBodyReplyMessage messageIdForwardMessage forwardToForwardMessage \
               forwardCommentForwardMessage",
    ids: segment,
    speech: ErrorStyle::Plain("Graph"),
    actions: &[ACTIONS],
};

const CALENDAR: &str = "/calendars/{calendarId}";
const EVENT: &str = "/events/{eventId}";
const MESSAGE: &str = "/messages/{messageId}";

const ACTIONS: &[ServiceAction] = &[
    ServiceAction::new("listCalendars", "listing calendars", Get, "/calendars").query(&[renamed("$top", "maxResults")]),
    ServiceAction::new("getCalendar", "getting calendar", Get, CALENDAR),
    ServiceAction::new("createCalendar", "creating calendar", Post, "/calendars").body(calendar),
    ServiceAction::new("updateCalendar", "updating calendar", Patch, CALENDAR).body(calendar),
    ServiceAction::new("deleteCalendar", "deleting calendar", Delete, CALENDAR)
        .told(Words("Calendar {calendarId} deleted successfully")),
    ServiceAction::new("listEvents", "listing events", Get, "/calendars/{calendarId}/events")
        .unless("calendarId", "/events")
        .query(&[renamed("$top", "maxResults"), made("$filter", within)]),
    ServiceAction::new("getEvent", "getting event", Get, EVENT),
    ServiceAction::new("createEvent", "creating event", Post, "/events").body(event),
    ServiceAction::new("updateEvent", "updating event", Patch, EVENT)
        .body(|params| fields([("subject", params.set("subject"))])),
    ServiceAction::new("deleteEvent", "deleting event", Delete, EVENT)
        .told(Words("Event {eventId} deleted successfully")),
    ServiceAction::new("listMessages", "listing messages", Get, "/messages")
        .query(&[renamed("$top", "maxResults"), renamed("$filter", "filter")]),
    ServiceAction::new("getMessage", "getting message", Get, MESSAGE),
    ServiceAction::new("createDraftMessage", "creating draft message", Post, "/messages").body(draft),
    ServiceAction::new("sendMessage", "sending message", Post, "/sendMail")
        .body(|params| json!({ "message": mail(params), "saveToSentItems": true }))
        .told(Words("Message sent successfully")),
    ServiceAction::new("updateMessage", "updating message", Patch, MESSAGE)
        .body(|params| fields([("isRead", params.given("isRead"))])),
    ServiceAction::new("deleteMessage", "deleting message", Delete, MESSAGE)
        .told(Words("Message {messageId} deleted successfully")),
    ServiceAction::new("copyMessage", "copying message", Post, "/messages/{messageId}/copy").body(destination),
    ServiceAction::new("moveMessage", "moving message", Post, "/messages/{messageId}/move").body(destination),
    ServiceAction::new("replyMessage", "replying to message", Post, "/messages/{messageId}/reply")
        .body(|params| fields([("comment", params.given("replyBody"))]))
        .told(Words("Reply sent successfully")),
    ServiceAction::new("forwardMessage", "forwarding message", Post, "/messages/{messageId}/forward")
        .body(
            |params| json!({ "toRecipients": people(params, "forwardTo"), "comment": params.or("forwardComment", "") }),
        )
        .told(Words("Message forwarded successfully")),
];

fn calendar(params: &Params) -> Value {
    fields([("name", params.given("calendarName"))])
}

fn destination(params: &Params) -> Value {
    fields([("destinationId", params.given("destinationFolderId"))])
}

/// Addresses as Microsoft's API has them.
fn people(params: &Params, name: &str) -> Value {
    if !params.is_set(name) {
        return json!([]);
    }
    let person = |address: String| json!({ "emailAddress": { "address": address, "name": address } });
    params.list(name).into_iter().map(person).collect()
}

/// Which events are meant, as a filter of theirs.
fn within(params: &Params) -> Option<String> {
    let bound = |name: &str, field: &str, sign: &str| {
        let time = params.set(name).map(|_| params.text(name))?;
        Some(format!("{field}/dateTime {sign} '{}'", time.replace('\'', "''")))
    };
    let bounds = [bound("startDateTime", "start", "ge"), bound("endDateTime", "end", "le")];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    (!bounds.is_empty()).then(|| bounds.join(" and "))
}

fn html(params: &Params) -> Value {
    json!({ "contentType": "HTML", "content": params.or("body", "") })
}

fn event(params: &Params) -> Value {
    let at =
        |name: &str| Some(fields([("dateTime", params.given(name)), ("timeZone", Some(params.or("timeZone", "UTC")))]));
    fields([
        ("subject", params.given("subject")),
        ("body", Some(html(params))),
        ("start", at("startDateTime")),
        ("end", at("endDateTime")),
        ("location", params.set("location").map(|place| json!({ "displayName": place }))),
        ("attendees", Some(people(params, "attendees"))),
    ])
}

fn mail(params: &Params) -> Value {
    json!({ "subject": params.or("subject", ""), "body": html(params), "toRecipients": people(params, "to") })
}

fn draft(params: &Params) -> Value {
    let mail = with(mail(params), "ccRecipients", people(params, "cc"));
    with(mail, "bccRecipients", people(params, "bcc"))
}
