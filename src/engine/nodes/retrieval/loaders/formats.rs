//! What the files of a loader are, and the documents that are in one.

use serde_json::{Map, Value, json};

use super::super::csv;
use super::super::json::{self, JsonSelection, JsonText};
use super::super::split::may_have;
use crate::engine::contract::node::Document;
use crate::engine::documents::html::{PlainStyle, plain};
use crate::engine::documents::{office, pdf};
use crate::engine::nodes::files::FlowFile;
use crate::engine::text::javascript::{entries, shown};

#[derive(Debug)]
pub(super) enum Format {
    Text,
    Json(JsonSelection),
    /// A JSON value in each line.
    JsonLines(LinePointer),
    /// Only that column.
    Csv(Option<String>),
    Pdf(PdfUsage),
    Docx,
    /// Each section of a Word file, as they are guessed.
    Word,
    /// Each slide, as they are guessed.
    Slides,
    /// Each chapter of a book; `true`: all of it.
    Epub(bool),
    /// Each row of each sheet.
    Sheet,
    /// Each file by what it is.
    Any(PdfUsage, LinePointer),
    /// The same of a folder, whose files are told by their places.
    Folder(PdfUsage, LinePointer),
}

/// What of a PDF file is a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PdfUsage {
    Page,
    File,
}

/// What of a line of JSON is told.
#[derive(Debug, Default)]
pub(super) struct LinePointer {
    /// `/text`.
    pub(super) text: String,
    /// Names of metadata and the pointers to their values.
    pub(super) metadata: Vec<(String, String)>,
}

impl Format {
    /// Whether its files are read only when they are needed.
    pub(super) fn is_costly(&self) -> bool {
        !matches!(self, Self::Text | Self::Json(_) | Self::JsonLines(_) | Self::Csv(_))
    }

    /// # Errors
    /// It begins as no such file does.
    pub(super) fn looks_right(&self, file: &FlowFile) -> Result<(), String> {
        let named = file.told();
        match self.of(file) {
            LoaderFileKind::Pdf if !pdf::is_one(&file.bytes) => Err(format!("the file{named} is no PDF file")),
            LoaderFileKind::Sheet if !file.bytes.starts_with(b"PK") => {
                Err(format!("the file{named} is no Excel file (XLSX); the engine cannot read its older kind"))
            }
            LoaderFileKind::Slides if !file.bytes.starts_with(b"PK") => {
                Err(format!("the file{named} is no PowerPoint file (PPTX); the engine cannot read its older kind"))
            }
            LoaderFileKind::Other("EPUB") if !file.bytes.starts_with(b"PK") => {
                Err(format!("the file{named} is no EPUB book"))
            }
            LoaderFileKind::Docx if !file.bytes.starts_with(b"PK") => {
                Err(format!("the file{named} is no Word file (DOCX)"))
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// What is wrong with the file.
    pub(super) fn documents(&self, file: &FlowFile) -> Result<Vec<Document>, String> {
        let mut documents = self.read(file)?;
        if matches!(self, Self::Folder(..)) {
            for document in &mut documents {
                document.metadata.shift_remove("blobType");
                document.metadata.insert("source".to_owned(), file.name.clone().into());
            }
        }
        Ok(documents)
    }

    fn read(&self, file: &FlowFile) -> Result<Vec<Document>, String> {
        let plain = |texts: Vec<String>| texts.into_iter().map(|text| (text, Map::new())).collect();
        let told = |problem: String| format!("{problem}{}", file.told());
        let found: Vec<JsonText> = match (self, self.of(file)) {
            (Self::Json(wanted), _) => wanted.read(&file.text())?,
            (
                Self::JsonLines(pointer) | Self::Any(_, pointer) | Self::Folder(_, pointer),
                LoaderFileKind::JsonLines,
            ) => pointer.read(&file.text())?,
            (Self::Csv(column), _) => plain(csv::texts(&file.text(), column.as_deref())?),
            (_, LoaderFileKind::Pdf) => return of_pdf(file, self.usage()).map_err(told),
            (Self::Epub(is_whole), _) => return of_book(file, *is_whole).map_err(told),
            (Self::Word, _) => return of_word(file).map_err(told),
            (_, LoaderFileKind::Slides) => return of_slides(file).map_err(told),
            (_, LoaderFileKind::Docx) => {
                let text = office::docx::read(&file.bytes).map_err(told)?;
                return Ok(if text.is_empty() { Vec::new() } else { vec![Document { text, metadata: blob() }] });
            }
            (_, LoaderFileKind::Sheet) => return of_sheets(file).map_err(told),
            (_, LoaderFileKind::Json) => JsonSelection::default().read(&file.text())?,
            (_, LoaderFileKind::Csv) => plain(csv::commas::texts(&file.text())?),
            (_, LoaderFileKind::Text | LoaderFileKind::JsonLines) => plain(vec![file.text()]),
            (_, LoaderFileKind::Other(kind)) => return Err(told(format!("the engine cannot read {kind} files"))),
        };
        Ok(numbered(found))
    }

    fn usage(&self) -> PdfUsage {
        match self {
            Self::Pdf(usage) | Self::Any(usage, _) | Self::Folder(usage, _) => *usage,
            _ => PdfUsage::Page,
        }
    }

    fn of(&self, file: &FlowFile) -> LoaderFileKind {
        match self {
            Self::Text => LoaderFileKind::Text,
            Self::Json(_) => LoaderFileKind::Json,
            Self::JsonLines(_) => LoaderFileKind::JsonLines,
            Self::Csv(_) => LoaderFileKind::Csv,
            Self::Pdf(_) => LoaderFileKind::Pdf,
            Self::Docx | Self::Word => LoaderFileKind::Docx,
            Self::Slides => LoaderFileKind::Slides,
            Self::Epub(_) => LoaderFileKind::Other("EPUB"),
            Self::Sheet => LoaderFileKind::Sheet,
            Self::Any(..) | Self::Folder(..) => LoaderFileKind::by_name(file),
        }
    }
}

/// What a file is by its name or its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoaderFileKind {
    Text,
    Json,
    JsonLines,
    Csv,
    Pdf,
    Docx,
    Slides,
    Sheet,
    /// One that is no text, and that the engine does not know.
    Other(&'static str),
}

impl LoaderFileKind {
    /// The type counts where Flowise knows it, else the end of the name.
    fn by_name(file: &FlowFile) -> Self {
        let of_type = match file.media_type.as_str() {
            "application/pdf" => Some("pdf"),
            "application/json" => Some("json"),
            "application/json-lines" | "application/jsonl" | "text/jsonl" => Some("jsonl"),
            "text/csv" => Some("csv"),
            "application/msword" => Some("doc"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => Some("docx"),
            "application/vnd.ms-excel" => Some("xls"),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Some("xlsx"),
            "application/vnd.ms-powerpoint" => Some("ppt"),
            "application/vnd.openxmlformats-officedocument.presentationml.presentation" => Some("pptx"),
            kind if kind.starts_with("text/") => Some("txt"),
            _ => None,
        };
        let of_name = file.name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
        match of_type.unwrap_or(&of_name) {
            "json" => Self::Json,
            "jsonl" => Self::JsonLines,
            "csv" => Self::Csv,
            "pdf" => Self::Pdf,
            // Flowise reads both alike.
            "docx" | "doc" => Self::Docx,
            "xlsx" | "xlsm" | "xls" => Self::Sheet,
            "xlsb" => Self::Other("binary Excel"),
            "ppt" | "pptx" => Self::Slides,
            _ => Self::Text,
        }
    }
}

/// As Flowise names what it did not read from a disk.
fn blob() -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("source".to_owned(), "blob".into());
    metadata.insert("blobType".to_owned(), "".into());
    metadata
}

/// Several texts of one file are numbered.
fn numbered(found: Vec<JsonText>) -> Vec<Document> {
    let is_one = found.len() == 1;
    let document = |(number, (text, more)): (usize, JsonText)| {
        let mut metadata = blob();
        if !is_one {
            metadata.insert("line".to_owned(), number.into());
        }
        metadata.extend(more);
        Document { text, metadata }
    };
    (1..).zip(found).map(document).collect()
}

fn of_pdf(file: &FlowFile, usage: PdfUsage) -> Result<Vec<Document>, String> {
    let read = pdf::read(&file.bytes)?;
    let about = json!({
        "version": "1.10.100",
        "info": read.info,
        "metadata": null,
        "totalPages": read.page_count,
    });
    let mut metadata = blob();
    metadata.insert("pdf".to_owned(), about);
    let described = || metadata.clone();
    if usage == PdfUsage::File {
        let texts: Vec<String> = read.pages.into_iter().map(|(_, text)| text).collect();
        let whole = (!texts.is_empty()).then(|| Document { text: texts.join("\n\n"), metadata: described() });
        return Ok(whole.into_iter().collect());
    }
    may_have(&metadata, read.pages.len())?;
    let page = |(number, text)| {
        let mut metadata = described();
        metadata.insert("loc".to_owned(), json!({ "pageNumber": number }));
        Document { text, metadata }
    };
    Ok(read.pages.into_iter().map(page).collect())
}

fn of_book(file: &FlowFile, is_whole: bool) -> Result<Vec<Document>, String> {
    let style = PlainStyle { wrapped_at: Some(80), keeps_lines: false };
    let mut documents = Vec::new();
    for office::epub::EpubChapter { title, html } in office::epub::chapters(&file.bytes)? {
        let mut metadata = Map::new();
        metadata.insert("source".to_owned(), file.name.clone().into());
        if !is_whole && !title.is_empty() {
            metadata.insert("chapter".to_owned(), title.into());
        }
        documents.push(Document { text: plain(&html, style)?, metadata });
    }
    let about = documents.first().map(|first| first.metadata.clone());
    let Some(metadata) = about.filter(|_| is_whole) else { return Ok(documents) };
    let texts: Vec<String> = documents.into_iter().map(|document| document.text).collect();
    Ok(vec![Document { text: texts.join("\n\n"), metadata }])
}

fn of_word(file: &FlowFile) -> Result<Vec<Document>, String> {
    let text = office::paragraphs::of_word(&file.bytes)?;
    Ok(guessed(office::sections::sections(&text), |number| json!({ "documentType": "word", "pageNumber": number })))
}

fn of_slides(file: &FlowFile) -> Result<Vec<Document>, String> {
    let text = office::paragraphs::of_slides(&file.bytes)?;
    Ok(guessed(
        office::sections::slides(&text),
        |number| json!({ "slideNumber": number, "documentType": "powerpoint" }),
    ))
}

fn guessed(parts: Vec<String>, about: impl Fn(usize) -> Value) -> Vec<Document> {
    let document = |(number, text)| {
        let mut metadata = match about(number) {
            Value::Object(metadata) => metadata,
            _ => Map::new(),
        };
        metadata.extend(blob());
        Document { text, metadata }
    };
    (1..).zip(parts).map(document).collect()
}

/// As Flowise writes rows: a line a field.
fn of_sheets(file: &FlowFile) -> Result<Vec<Document>, String> {
    let row = |row: office::xlsx::SheetRow| {
        let lines: Vec<String> =
            entries(&row.fields).into_iter().map(|(name, value)| format!("- {name}: {}", shown(value))).collect();
        let mut metadata = Map::new();
        metadata.insert("worksheet".to_owned(), row.sheet.into());
        metadata.insert("rowNum".to_owned(), row.number.into());
        metadata.extend(blob());
        metadata.extend(row.fields);
        Document { text: lines.join("\n") + "\n", metadata }
    };
    Ok(office::xlsx::rows(&file.bytes)?.into_iter().map(row).collect())
}

/// Tells of files that have nothing to say.
///
/// # Errors
/// All are such: whoever asks would be answered from nothing.
pub(super) fn told_of_all(label: &str, format: &Format, silent: &[&FlowFile], count: usize) -> Result<(), String> {
    if !format.is_costly() || silent.is_empty() {
        return Ok(());
    }
    let listed: Vec<&str> = silent.iter().map(|file| file.name.as_str()).filter(|name| !name.is_empty()).collect();
    let files = listed.join(", ");
    if silent.len() < count {
        tracing::warn!(loader = label, files, "files of a loader have no text: pictures of text, perhaps");
        return Ok(());
    }
    let told = if files.is_empty() { String::new() } else { format!(" ({files})") };
    Err(format!("{label}: there is no text in the file{told}; pages that were scanned are pictures of text"))
}

impl LinePointer {
    fn read(&self, text: &str) -> Result<Vec<JsonText>, String> {
        json::read_lines(text, &self.text, &self.metadata)
    }
}
