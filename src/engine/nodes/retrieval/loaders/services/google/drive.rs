//! Files of a Google Drive: those that are chosen, or those of a folder.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::asked::{FetchBudget, LoaderInput, RemoteDocuments, loader, service};
use super::{GoogleReader, chosen};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::nodes::files::FlowFile;
use crate::engine::nodes::retrieval::loaders::formats::{Format, PdfUsage};
use crate::engine::nodes::retrieval::split::may_have;
use crate::engine::text::percent::{component, pairs};

const SERVICE: &str = "https://www.googleapis.com/drive/v3/files";
const FIELDS: &str = "id, name, mimeType, size, createdTime, modifiedTime, parents, webViewLink, driveId";
const FOLDER: &str = "application/vnd.google-apps.folder";
const USUAL_MOST: usize = 50;
const MOST_FILES: usize = 1000;
const MOST_FOLDERS: usize = 200;
/// Of one page of a list.
const MOST_LISTED: usize = 1000;

/// Files that are told as they are.
const TEXTS: &[&str] = &[
    "text/plain",
    "text/html",
    "text/css",
    "text/javascript",
    "text/csv",
    "text/xml",
    "application/json",
    "application/xml",
    "text/markdown",
    "text/x-markdown",
];
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const SLIDES: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const PDF: &str = "application/pdf";
/// What Google's own kinds of files are exported as.
const EXPORTED: [(&str, &str); 4] = [
    ("application/vnd.google-apps.document", WORD),
    ("application/vnd.google-apps.spreadsheet", SHEET),
    ("application/vnd.google-apps.presentation", SLIDES),
    ("application/vnd.google-apps.drawing", PDF),
];

/// The node `googleDrive`.
pub(in super::super) struct GoogleDriveLoader;

impl NodeKind for GoogleDriveLoader {
    fn names(&self) -> &'static [&'static str] {
        &["googleDrive"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let selected = chosen(inputs, "selectedFiles");
        let folder = inputs.text("folderId");
        let types = chosen(inputs, "fileTypes");
        let is_deep = inputs.flag("includeSubfolders").unwrap_or(false);
        let shared = inputs.flag("includeSharedDrives").unwrap_or(false);
        let most = inputs.integer("maxFiles").and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0);
        if selected.is_empty() && folder.is_none() {
            inputs.lacks("folderId");
        }
        let google = GoogleReader::read("googleDriveOAuth2", inputs);
        let files = DriveFiles {
            google: google?,
            place: service(inputs, SERVICE),
            selected,
            folder: folder.unwrap_or_default(),
            types,
            is_deep,
            shared,
            most: most.unwrap_or(USUAL_MOST).min(MOST_FILES),
        };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(files))))
    }
}

#[derive(Debug)]
struct DriveFiles {
    google: GoogleReader,
    place: String,
    /// Empty: those of the folder.
    selected: Vec<String>,
    folder: String,
    /// Media types; empty: any.
    types: Vec<String>,
    is_deep: bool,
    /// Whether drives of others are looked into.
    shared: bool,
    most: usize,
}

impl RemoteDocuments for DriveFiles {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::of_files();
            let files = if self.selected.is_empty() {
                self.of_folder(&mut room, run).await?
            } else {
                self.of_choice(&mut room, run).await?
            };
            let mut documents = Vec::new();
            for file in files {
                documents.extend(self.documents(&file, &mut room, run).await?);
            }
            Ok(documents)
        })
    }
}

impl DriveFiles {
    async fn of_choice(&self, room: &mut FetchBudget, run: &Run<'_>) -> Result<Vec<Value>, Failure> {
        let mut files = Vec::new();
        for id in self.selected.iter().take(MOST_FILES) {
            let mut asked = vec![("fields", FIELDS)];
            asked.extend(self.shared.then_some(("supportsAllDrives", "true")));
            let url = format!("{}/{}?{}", self.place, component(id), pairs(&asked));
            let file = self.google.json(&url, room, run).await?;
            if self.types.is_empty() || self.types.iter().any(|kind| *kind == text(&file, "mimeType")) {
                files.push(file);
            }
        }
        Ok(files)
    }

    async fn of_folder(&self, room: &mut FetchBudget, run: &Run<'_>) -> Result<Vec<Value>, Failure> {
        let (mut files, mut left, mut seen) = (Vec::new(), vec![self.folder.clone()], HashSet::new());
        while let Some(folder) = left.pop().filter(|_| files.len() < self.most) {
            if !seen.insert(folder.clone()) {
                continue;
            }
            if seen.len() > MOST_FOLDERS {
                return Err(Failure::flow(format!("the Drive's folder has more than {MOST_FOLDERS} folders in it")));
            }
            let mut inner = Vec::new();
            let mut page = None;
            loop {
                let listed = self.list(&folder, self.most - files.len(), page.as_deref(), room, run).await?;
                for file in listed.get("files").and_then(Value::as_array).into_iter().flatten() {
                    if text(file, "mimeType") == FOLDER {
                        inner.extend(self.is_deep.then(|| text(file, "id").to_owned()));
                    } else if files.len() < self.most {
                        files.push(file.clone());
                    }
                }
                let next = listed.get("nextPageToken").and_then(Value::as_str).map(str::to_owned);
                page = next.filter(|next| files.len() < self.most && page.as_ref() != Some(next));
                if page.is_none() {
                    break;
                }
            }
            left.extend(inner.into_iter().rev());
        }
        Ok(files)
    }

    async fn list(
        &self,
        folder: &str,
        most: usize,
        page: Option<&str>,
        room: &mut FetchBudget,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let mut query = format!("'{}' in parents and trashed = false", quoted(folder));
        if !self.types.is_empty() {
            let folders = self.is_deep.then_some(FOLDER);
            let kinds = self.types.iter().map(String::as_str).chain(folders);
            let kinds: Vec<String> = kinds.map(|kind| format!("mimeType='{}'", quoted(kind))).collect();
            query = format!("{query} and ({})", kinds.join(" or "));
        }
        let fields = format!("nextPageToken, files({FIELDS})");
        let most = most.min(MOST_LISTED).to_string();
        let mut asked = vec![("q", query.as_str()), ("pageSize", &most), ("fields", &fields)];
        if self.shared {
            asked.extend([("supportsAllDrives", "true"), ("includeItemsFromAllDrives", "true")]);
        }
        asked.extend(page.map(|page| ("pageToken", page)));
        self.google.json(&format!("{}?{}", self.place, pairs(&asked)), room, run).await
    }

    /// What can be read of a file; of other kinds nothing.
    async fn documents(&self, file: &Value, room: &mut FetchBudget, run: &Run<'_>) -> Result<Vec<Document>, Failure> {
        let (kind, id) = (text(file, "mimeType"), component(text(file, "id")));
        let exported = EXPORTED.iter().find(|(own, _)| *own == kind).map(|(_, kind)| *kind);
        let url = match exported {
            Some(kind) => format!("{}/{id}/export?mimeType={}", self.place, component(kind)),
            None => format!("{}/{id}?alt=media", self.place),
        };
        let Some(format) = format_of(exported.unwrap_or(kind)) else { return Ok(Vec::new()) };
        let bytes = self.google.ask(&url, room, run).await?.body.to_vec();
        let found = FlowFile { name: text(file, "name").to_owned(), bytes, ..FlowFile::default() };
        let (about, drive) = (about(file), drive(file));
        let told = tokio::task::spawn_blocking(move || read(&format, &found, &about, &drive)).await;
        told.map_err(|_| Failure::flow("a file cannot be read"))?.map_err(Failure::flow)
    }
}

fn text<'v>(file: &'v Value, field: &str) -> &'v str {
    file.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Within the marks of a query.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn format_of(kind: &str) -> Option<Format> {
    Some(match kind {
        _ if TEXTS.contains(&kind) => Format::Text,
        PDF => Format::Pdf(PdfUsage::Page),
        WORD | "application/msword" => Format::Docx,
        SHEET | "application/vnd.ms-excel" => Format::Sheet,
        SLIDES => Format::Slides,
        _ => return None,
    })
}

fn read(
    format: &Format,
    file: &FlowFile,
    about: &Map<String, Value>,
    drive: &Map<String, Value>,
) -> Result<Vec<Document>, String> {
    if matches!(format, Format::Text) {
        let metadata = about.clone().into_iter().chain(drive.clone()).collect();
        return Ok(vec![Document { text: file.text(), metadata }]);
    }
    format.looks_right(file)?;
    let mut documents = format.documents(file)?;
    let count = documents.len();
    may_have(about, count)?;
    for (number, document) in documents.iter_mut().enumerate() {
        document.metadata.shift_remove("blobType");
        document.metadata.extend(about.clone());
        document.metadata.insert("totalPages".to_owned(), count.into());
        document.metadata.insert("pageIndex".to_owned(), number.into());
        document.metadata.extend(drive.clone());
    }
    Ok(documents)
}

fn about(file: &Value) -> Map<String, Value> {
    let id = text(file, "id");
    let link = Some(text(file, "webViewLink")).filter(|link| !link.is_empty()).map(str::to_owned);
    let size = file.get("size").and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()));
    let field = |name: &str| file.get(name).filter(|value| !value.is_null()).cloned();
    let about = [
        ("source", Some(link.unwrap_or_else(|| format!("https://drive.google.com/file/d/{id}/view")).into())),
        ("fileId", Some(id.into())),
        ("fileName", field("name")),
        ("mimeType", field("mimeType")),
        ("size", size.map(Value::from)),
        ("createdTime", field("createdTime")),
        ("modifiedTime", field("modifiedTime")),
        ("parents", field("parents")),
    ];
    about.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Whose drive it lies in.
fn drive(file: &Value) -> Map<String, Value> {
    let id = file.get("driveId").filter(|id| id.is_string());
    let context = if id.is_some() { " (Shared Drive)" } else { " (My Drive)" };
    let id = id.map(|id| ("driveId".to_owned(), id.clone()));
    id.into_iter().chain([("driveContext".to_owned(), context.into())]).collect()
}
