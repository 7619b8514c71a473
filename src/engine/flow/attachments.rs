//! Files that are given to a chat: their texts are answered, and come back with the next question. Nothing of them is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::engine::nodes::files::FlowFile;
use crate::engine::nodes::retrieval::{PdfUsage, text_of};

/// A file as it was sent, looked at and named anew.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// What files of a form set in the inputs of the flow's loaders: those of a loader's kind take the place of its own.
pub(crate) fn loader_overrides(files: Vec<Attachment>) -> Map<String, Value> {
    let mut lists: Vec<(&str, Vec<Value>)> = vec![("file", Vec::new())];
    for Attachment { name, media_type, bytes } in files {
        let input = input_of(&name);
        let uri = Value::from(format!("data:{media_type};base64,{},filename:{name}", STANDARD.encode(&bytes)));
        match lists.iter_mut().find(|(known, _)| *known == input) {
            Some((_, list)) => list.push(uri.clone()),
            None => lists.push((input, vec![uri.clone()])),
        }
        // File Loader takes files of every kind.
        if let Some((_, all)) = lists.first_mut() {
            all.push(uri);
        }
    }
    lists.into_iter().map(|(input, list)| (input.to_owned(), Value::Array(list).to_string().into())).collect()
}

/// The input of the loader that reads files of such a name.
fn input_of(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    match end.as_str() {
        "pdf" => "pdfFile",
        "json" => "jsonFile",
        "csv" => "csvFile",
        "jsonl" => "jsonlinesFile",
        "docx" | "doc" => "docxFile",
        "xlsx" | "xls" => "excelFile",
        "pptx" | "ppt" => "powerpointFile",
        "yaml" => "yamlFile",
        _ => "txtFile",
    }
}

/// What the flow's author has switched on as *File Upload*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttachmentRules {
    /// Media types that are taken.
    types: Vec<String>,
    usage: PdfUsage,
}

impl AttachmentRules {
    /// Of Flowise's settings of the widget.
    pub(crate) fn of(settings: Option<&Map<String, Value>>) -> Option<Self> {
        let upload = settings?.get("fullFileUpload")?;
        let is_on = upload.get("status").is_some_and(|status| *status == true || *status == "true");
        let types = upload.get("allowedUploadFileTypes").and_then(Value::as_str).unwrap_or_default();
        let types = types.split(',').map(|kind| kind.trim().to_owned()).filter(|kind| !kind.is_empty());
        let usage = upload.get("pdfFile").and_then(|pdf| pdf.get("usage"));
        let usage = if usage.is_some_and(|usage| usage == "perFile") { PdfUsage::File } else { PdfUsage::Page };
        is_on.then(|| Self { types: types.collect(), usage })
    }

    /// As the widget is told.
    pub(crate) fn shown(&self) -> Value {
        json!({ "status": true, "allowedUploadFileTypes": self.types.join(",") })
    }

    /// Whether files of that type are taken.
    ///
    /// # Errors
    /// What is, for people.
    pub(crate) fn check(&self, media_type: &str) -> Result<(), String> {
        if self.types.iter().any(|kind| kind == media_type) {
            return Ok(());
        }
        Err(format!("Files of type {media_type} are not taken here, but {}.", self.types.join(", ")))
    }

    /// What is answered: name, type, size and text of each file, or its bytes. Takes a while.
    ///
    /// # Errors
    /// A file that cannot be read, or more than `most` bytes of text.
    pub(crate) fn read(&self, files: Vec<Attachment>, wants_bytes: bool, most: usize) -> Result<String, String> {
        let mut left = most;
        let mut answers = Vec::with_capacity(files.len());
        for Attachment { name, media_type, bytes } in files {
            let size = bytes.len();
            let file = FlowFile { name, bytes, ..FlowFile::default() };
            let content = if wants_bytes { STANDARD.encode(&file.bytes) } else { text_of(&file, self.usage)? };
            left = left
                .checked_sub(content.len())
                .ok_or_else(|| format!("The files hold more than {most} bytes of text (engine.limits.text)."))?;
            answers.push(json!({ "name": file.name, "mimeType": media_type, "size": size, "content": content }));
        }
        Ok(Value::Array(answers).to_string())
    }
}

#[cfg(test)]
mod tests;
