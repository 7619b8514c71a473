//! The node `googleSheetsTool`.

use serde_json::{Value, json};

use super::action::Verb::{Get, Post, Put};
use super::action::{QueryParam, ServiceAction, each, made, or, set};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, GOOGLE, OfficeService, ServiceAddress};
use crate::engine::text::percent::component;

/// Sheets that one request makes.
const MOST_SHEETS: u64 = 10_000;

pub(super) static SHEETS: OfficeService = OfficeService {
    names: &["googleSheetsTool"],
    place: ServiceAddress::Fixed {
        credential: "googleSheetsOAuth2",
        origin: "https://sheets.googleapis.com",
        base: "/v4",
        issuer: GOOGLE,
    },
    specs: include_str!("specs/sheets.json"),
    choice: ActionChoice::By("sheetsType", &[("spreadsheet", "spreadsheetActions"), ("values", "valuesActions")]),
    defaults: "spreadsheetId title sheetCount includeGridData! range ranges values valueInputOption valueRenderOption \
               dateTimeRenderOption insertDataOption majorDimension",
    ids: component,
    speech: ErrorStyle::Plain("Google Sheets"),
    actions: &[ACTIONS],
};

const VALUES: &str = "/spreadsheets/{spreadsheetId}/values/{range}";
const RENDERED: &[QueryParam] = &[set("valueRenderOption"), set("dateTimeRenderOption"), set("majorDimension")];
const ALL_RENDERED: &[QueryParam] =
    &[each("ranges"), set("valueRenderOption"), set("dateTimeRenderOption"), set("majorDimension")];
const GRID: QueryParam = made("includeGridData", |params| params.is_set("includeGridData").then(|| "true".to_owned()));
const ENTERED: QueryParam = or("valueInputOption", "USER_ENTERED");

const ACTIONS: &[ServiceAction] = &[
    ServiceAction::new("createSpreadsheet", "creating spreadsheet", Post, "/spreadsheets").tried(new_spreadsheet),
    ServiceAction::new("getSpreadsheet", "getting spreadsheet", Get, "/spreadsheets/{spreadsheetId}")
        .query(&[each("ranges"), GRID]),
    ServiceAction::new("updateSpreadsheet", "updating spreadsheet", Post, "/spreadsheets/{spreadsheetId}:batchUpdate")
        .body(changed),
    ServiceAction::new("getValues", "getting values", Get, VALUES).query(RENDERED),
    ServiceAction::new("updateValues", "updating values", Put, VALUES).query(&[ENTERED]).tried(values),
    ServiceAction::new("appendValues", "appending values", Post, "/spreadsheets/{spreadsheetId}/values/{range}:append")
        .query(&[ENTERED, or("insertDataOption", "OVERWRITE")])
        .tried(values),
    ServiceAction::new("clearValues", "clearing values", Post, "/spreadsheets/{spreadsheetId}/values/{range}:clear")
        .body(|_| json!({})),
    ServiceAction::new("batchGetValues", "batch getting values", Get, "/spreadsheets/{spreadsheetId}/values:batchGet")
        .query(ALL_RENDERED),
    ServiceAction::new(
        "batchUpdateValues",
        "batch updating values",
        Post,
        "/spreadsheets/{spreadsheetId}/values:batchUpdate",
    )
    .tried(all_values),
    ServiceAction::new(
        "batchClearValues",
        "batch clearing values",
        Post,
        "/spreadsheets/{spreadsheetId}/values:batchClear",
    )
    .body(|params| json!({ "ranges": params.list("ranges") })),
];

fn properties(params: &Params, title: Option<Value>) -> Value {
    fields([("title", title), ("locale", params.set("locale")), ("timeZone", params.set("timeZone"))])
}

fn new_spreadsheet(params: &Params) -> Result<Value, String> {
    let count = params.given("sheetCount");
    let count = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.trim().parse().ok())).unwrap_or(0);
    if count > MOST_SHEETS {
        return Err(format!("a spreadsheet has at most {MOST_SHEETS} sheets"));
    }
    let sheet = |number: u64| json!({ "properties": { "title": format!("Sheet{number}") } });
    let sheets = (count > 1).then(|| (1..=count).map(sheet).collect());
    Ok(fields([("properties", Some(properties(params, params.given("title")))), ("sheets", sheets)]))
}

fn changed(params: &Params) -> Value {
    let properties = properties(params, params.set("title"));
    let names: Vec<&str> = properties.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return json!({ "requests": [] });
    }
    let change = json!({ "properties": properties, "fields": names.join(",") });
    json!({ "requests": [{ "updateSpreadsheetProperties": change }] })
}

fn values(params: &Params) -> Result<Value, String> {
    let values = params.json("values", "Values must be a valid JSON array")?;
    Ok(json!({ "values": values, "majorDimension": params.or("majorDimension", "ROWS") }))
}

fn all_values(params: &Params) -> Result<Value, String> {
    let data = params.json("values", "Values must be a valid JSON array of value ranges")?;
    Ok(json!({
        "valueInputOption": params.or("valueInputOption", "USER_ENTERED"),
        "data": data,
        "includeValuesInResponse": params.or("includeValuesInResponse", false),
    }))
}
