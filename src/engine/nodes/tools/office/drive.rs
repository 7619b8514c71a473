//! The node `googleDriveTool`.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::action::ActionOutput::Words;
use super::action::Verb::{Delete, Get, Patch, Post};
use super::action::{
    JSON, QueryParam, ServiceAction, ServiceRequest, always, fixed, given, made, query_of, renamed, set,
};
use super::call::{ActionCall, ActionError, ActionFuture};
use super::params::{Params, fields};
use super::service::{ActionChoice, ErrorStyle, GOOGLE, OfficeService, ServiceAddress};
use crate::engine::text::javascript;
use crate::engine::text::percent::component;

pub(super) static DRIVE: OfficeService = OfficeService {
    names: &["googleDriveTool"],
    place: ServiceAddress::Fixed {
        credential: "googleDriveOAuth2",
        origin: "https://www.googleapis.com",
        base: "",
        issuer: GOOGLE,
    },
    specs: include_str!("specs/drive.json"),
    choice: ActionChoice::By(
        "driveType",
        &[("file", "fileActions"), ("folder", "folderActions"), ("search", "searchActions"), ("share", "shareActions")],
    ),
    defaults: "fileId folderId permissionId fileName>name fileContent>content mimeType parentFolderId>parents description \
               searchQuery>query maxResults>pageSize orderBy shareRole>role shareType>type emailAddress domainName>domain \
               sendNotificationEmail! emailMessage includeItemsFromAllDrives! supportsAllDrives! fields acknowledgeAbuse!",
    ids: component,
    speech: ErrorStyle::Plain("Google Drive"),
    actions: &[ACTIONS],
};

const FILES: &str = "/drive/v3/files";
const FILE: &str = "/drive/v3/files/{fileId}";
const FOLDER: &str = "/drive/v3/files/{folderId}";
const PERMISSIONS: &str = "/drive/v3/files/{fileId}/permissions";
const SHARED: QueryParam = set("supportsAllDrives");
const ANYWHERE: &[QueryParam] = &[SHARED];
const LIST: &[QueryParam] = &[
    set("pageSize"),
    set("pageToken"),
    set("orderBy"),
    renamed("q", "query"),
    set("spaces"),
    set("fields"),
    set("includeItemsFromAllDrives"),
    SHARED,
];

const ACTIONS: &[ServiceAction] = &[
    ServiceAction::new("listFiles", "listing files", Get, FILES).query(LIST),
    ServiceAction::new("getFile", "getting file", Get, FILE).query(&[set("fields"), SHARED, set("acknowledgeAbuse")]),
    ServiceAction::works("createFile", "creating file", created),
    ServiceAction::new("updateFile", "updating file", Patch, FILE).query(ANYWHERE).body(|params| {
        fields([
            ("name", params.set("name")),
            ("description", params.set("description")),
            ("starred", params.given("starred")),
            ("trashed", params.given("trashed")),
        ])
    }),
    ServiceAction::new("deleteFile", "deleting file", Delete, FILE)
        .query(ANYWHERE)
        .told(Words("File deleted successfully")),
    ServiceAction::new("copyFile", "copying file", Post, "/drive/v3/files/{fileId}/copy")
        .query(ANYWHERE)
        .body(|params| fields([("name", params.given("name")), ("parents", parents(params))])),
    ServiceAction::new("downloadFile", "downloading file", Get, FILE).query(&[
        fixed("alt", "media"),
        set("acknowledgeAbuse"),
        SHARED,
    ]),
    ServiceAction::new("createFolder", "creating folder", Post, FILES).query(ANYWHERE).body(|params| {
        fields([
            ("name", params.given("name")),
            ("mimeType", Some("application/vnd.google-apps.folder".into())),
            ("parents", parents(params)),
            ("description", params.set("description")),
        ])
    }),
    ServiceAction::new("listFolderContents", "listing folder contents", Get, FILES).query(&[
        made("q", |params| Some(format!("'{}' in parents", quoted(&params.text("folderId"))))),
        set("pageSize"),
        set("orderBy"),
        set("includeItemsFromAllDrives"),
        SHARED,
    ]),
    ServiceAction::new("deleteFolder", "deleting folder", Delete, FOLDER)
        .query(ANYWHERE)
        .told(Words("Folder deleted successfully")),
    ServiceAction::new("searchFiles", "searching files", Get, FILES).query(&[
        always("q", "query"),
        set("pageSize"),
        set("orderBy"),
        set("includeItemsFromAllDrives"),
        SHARED,
    ]),
    ServiceAction::new("shareFile", "sharing file", Post, PERMISSIONS)
        .query(&[given("sendNotificationEmail"), set("emailMessage"), SHARED])
        .body(|params| {
            fields([
                ("role", params.given("role")),
                ("type", params.given("type")),
                ("emailAddress", params.set("emailAddress")),
                ("domain", params.set("domain")),
                ("allowFileDiscovery", params.given("allowFileDiscovery")),
            ])
        }),
    ServiceAction::new("getPermissions", "getting permissions", Get, PERMISSIONS).query(ANYWHERE),
    ServiceAction::new(
        "removePermission",
        "removing permission",
        Delete,
        "/drive/v3/files/{fileId}/permissions/{permissionId}",
    )
    .query(ANYWHERE)
    .told(Words("Permission removed successfully")),
];

/// A text in one of Drive's searches.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn parents(params: &Params) -> Option<Value> {
    params.is_set("parents").then(|| json!(params.list("parents")))
}

fn metadata(params: &Params) -> Value {
    let parents: Vec<String> = if params.is_set("parents") { params.list("parents") } else { Vec::new() };
    let parents: Vec<String> = parents.into_iter().filter(|id| !id.is_empty()).collect();
    fields([
        ("name", params.given("name")),
        ("parents", (!parents.is_empty()).then(|| json!(parents))),
        ("mimeType", params.set("mimeType")),
        ("description", params.set("description")),
    ])
}

/// A file with what is in it, where that is said.
fn created<'a>(call: &'a ActionCall<'a>) -> ActionFuture<'a> {
    Box::pin(async move {
        let params = call.params;
        if !params.is_set("name") {
            return Err(ActionError::error("File name is required"));
        }
        let metadata = javascript::json(&metadata(params));
        if !params.is_set("content") {
            let path = with_query(FILES, &query_of(ANYWHERE, params));
            return call.text(ServiceRequest { verb: Post, path, body: Some((JSON.into(), metadata)) }).await;
        }
        let content = params.text("content");
        let has_more = ["parents", "description", "mimeType"].iter().any(|name| params.is_set(name));
        let (way, kind, body) = if has_more {
            let kind = params.or("mimeType", "application/octet-stream");
            let (boundary, body) = parts(&metadata, &javascript::shown(&kind), &content).map_err(ActionError::error)?;
            ("multipart", format!("multipart/related; boundary=\"{boundary}\""), body)
        } else {
            ("media", "application/octet-stream".to_owned(), content)
        };
        let mut query = query_of(ANYWHERE, params);
        let separator = if query.is_empty() { "" } else { "&" };
        let _ = write!(query, "{separator}uploadType={way}");
        let path = with_query("/upload/drive/v3/files", &query);
        let answer = call.text(ServiceRequest { verb: Post, path, body: Some((kind.into(), body)) }).await;
        answer.map_err(|trouble| match trouble {
            ActionError::Told(words) if has_more => ActionError::error(format!("Multipart upload failed: {words}")),
            trouble => trouble,
        })
    })
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// A body of two parts, and what stands between them, which is in neither.
///
/// # Errors
/// The type of the second cannot stand in a header.
fn parts(metadata: &str, kind: &str, content: &str) -> Result<(String, String), String> {
    if kind.contains(['\r', '\n']) {
        return Err("a type of a file has no line breaks".to_owned());
    }
    let mut boundary = "-------314159265358979323846".to_owned();
    if content.contains(&boundary) || metadata.contains(&boundary) {
        // No text holds a digest of itself.
        let whole = digest(&SHA256, format!("{metadata}{content}").as_bytes());
        boundary.extend(whole.as_ref().iter().map(|byte| format!("{byte:02x}")));
    }
    let body = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n\
         --{boundary}\r\nContent-Type: {kind}\r\n\r\n{content}\r\n--{boundary}--"
    );
    Ok((boundary, body))
}
