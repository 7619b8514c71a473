//! The node `googleCalendarTool`.

use serde_json::{Value, json};

use super::action::Verb::{Delete, Get, Post, Put};
use super::action::{QueryParam, ServiceAction, always, given, renamed, set};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, GOOGLE, OfficeService, ServiceAddress};
use crate::engine::text::percent::component;

pub(super) static CALENDAR: OfficeService = OfficeService {
    names: &["googleCalendarTool"],
    place: ServiceAddress::Fixed {
        credential: "googleCalendarOAuth2",
        origin: "https://www.googleapis.com",
        base: "/calendar/v3",
        issuer: GOOGLE,
    },
    specs: include_str!("specs/calendar.json"),
    choice: ActionChoice::By(
        "calendarType",
        &[("event", "eventActions"), ("calendar", "calendarActions"), ("freebusy", "freebusyActions")],
    ),
    defaults: "calendarId eventId summary description location startDateTime endDateTime timeZone allDay! startDate endDate \
               attendees sendUpdates recurrence reminderMinutes visibility quickAddText timeMin timeMax maxResults \
               singleEvents! orderBy query calendarIdForCalendar calendarSummary calendarDescription calendarLocation \
               calendarTimeZone showHidden! minAccessRole freebusyTimeMin freebusyTimeMax calendarIds groupExpansionMax \
               calendarExpansionMax",
    ids: component,
    speech: ErrorStyle::Plain("Google Calendar"),
    actions: &[ACTIONS],
};

const EVENTS: &str = "/calendars/{calendarId}/events";
const EVENT: &str = "/calendars/{calendarId}/events/{eventId}";
const CALENDAR_OF: &str = "/calendars/{calendarId}";
const LIST: &[QueryParam] =
    &[set("timeMin"), set("timeMax"), set("maxResults"), given("singleEvents"), set("orderBy"), renamed("q", "query")];
const UPDATES: &[QueryParam] = &[set("sendUpdates")];

const ACTIONS: &[ServiceAction] = &[
    ServiceAction::new("listEvents", "listing events", Get, EVENTS).query(LIST),
    ServiceAction::new("createEvent", "creating event", Post, EVENTS)
        .query(UPDATES)
        .body(|params| event(params, params.given("summary"))),
    ServiceAction::new("getEvent", "getting event", Get, EVENT),
    ServiceAction::new("updateEvent", "updating event", Put, EVENT)
        .query(UPDATES)
        .body(|params| event(params, params.set("summary"))),
    ServiceAction::new("deleteEvent", "deleting event", Delete, EVENT),
    ServiceAction::new("quickAddEvent", "quick adding event", Post, "/calendars/{calendarId}/events/quickAdd")
        .query(&[always("text", "quickAddText")]),
    ServiceAction::new("listCalendars", "listing calendars", Get, "/users/me/calendarList")
        .query(&[given("showHidden"), set("minAccessRole")]),
    ServiceAction::new("createCalendar", "creating calendar", Post, "/calendars")
        .body(|params| calendar(params, params.given("summary"))),
    ServiceAction::new("getCalendar", "getting calendar", Get, CALENDAR_OF),
    ServiceAction::new("updateCalendar", "updating calendar", Put, CALENDAR_OF)
        .body(|params| calendar(params, params.set("summary"))),
    ServiceAction::new("deleteCalendar", "deleting calendar", Delete, CALENDAR_OF),
    ServiceAction::new("clearCalendar", "clearing calendar", Post, "/calendars/{calendarId}/clear"),
    ServiceAction::new("queryFreebusy", "querying freebusy", Post, "/freeBusy").body(freebusy),
];

fn event(params: &Params, summary: Option<Value>) -> Value {
    let days = (params.set("startDate"), params.set("endDate"));
    let times = (params.set("startDateTime"), params.set("endDateTime"));
    let at = |time: Value| Some(json!({ "dateTime": time, "timeZone": params.or("timeZone", "UTC") }));
    let (start, end) = match (days, times) {
        ((Some(start), Some(end)), _) => (Some(json!({ "date": start })), Some(json!({ "date": end }))),
        (_, (Some(start), Some(end))) => (at(start), at(end)),
        _ => (None, None),
    };
    let attendees = params.is_set("attendees").then(|| {
        let emails = params.list("attendees");
        emails.into_iter().map(|email| json!({ "email": email })).collect()
    });
    let reminders = params
        .given("reminderMinutes")
        .map(|minutes| json!({ "useDefault": false, "overrides": [{ "method": "popup", "minutes": minutes }] }));
    fields([
        ("summary", summary),
        ("description", params.set("description")),
        ("location", params.set("location")),
        ("start", start),
        ("end", end),
        ("attendees", attendees),
        ("recurrence", params.set("recurrence").map(|rule| json!([rule]))),
        ("reminders", reminders),
        ("visibility", params.set("visibility")),
    ])
}

fn calendar(params: &Params, summary: Option<Value>) -> Value {
    fields([
        ("summary", summary),
        ("description", params.set("description")),
        ("location", params.set("location")),
        ("timeZone", params.set("timeZone")),
    ])
}

fn freebusy(params: &Params) -> Value {
    let items = params.list("calendarIds").into_iter().map(|id| json!({ "id": id })).collect();
    fields([
        ("timeMin", params.given("timeMin")),
        ("timeMax", params.given("timeMax")),
        ("items", Some(items)),
        ("groupExpansionMax", params.given("groupExpansionMax")),
        ("calendarExpansionMax", params.given("calendarExpansionMax")),
    ])
}
