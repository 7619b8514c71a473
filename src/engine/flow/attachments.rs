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
mod tests {
    use super::*;

    fn rules(upload: &Value) -> Option<AttachmentRules> {
        AttachmentRules::of(json!({ "fullFileUpload": upload }).as_object())
    }

    fn file(name: &str, bytes: &[u8]) -> Attachment {
        Attachment { name: name.to_owned(), media_type: "text/plain", bytes: bytes.to_vec() }
    }

    #[test]
    fn an_author_switches_files_on() {
        let on = json!({ "status": true, "allowedUploadFileTypes": "text/plain, application/pdf", "pdfFile": { "usage": "perFile" } });
        let found = rules(&on).unwrap();
        assert_eq!(found.usage, PdfUsage::File);
        assert_eq!(found.shown(), json!({ "status": true, "allowedUploadFileTypes": "text/plain,application/pdf" }));
        assert!(found.check("application/pdf").is_ok());
        assert!(found.check("text/html").unwrap_err().contains("text/plain, application/pdf"));
        for off in [json!({ "status": false }), json!({}), json!(null), json!({ "status": "yes" })] {
            assert_eq!(rules(&off), None, "{off}");
        }
        assert_eq!(AttachmentRules::of(None), None);
    }

    #[test]
    fn files_are_told_as_flowise_tells_them() {
        let rules = rules(&json!({ "status": true })).unwrap();
        let told = |name: &str, bytes: &[u8]| {
            let answer = rules.read(vec![file(name, bytes)], false, 1000).unwrap();
            serde_json::from_str::<Value>(&answer).unwrap()[0]["content"].as_str().unwrap().to_owned()
        };
        // wire/19
        let answer = rules.read(vec![file("note.txt", b"hello attachment")], false, 1000).unwrap();
        let recorded = r#"[{"name":"note.txt","mimeType":"text/plain","size":16,"content":"hello attachment"}]"#;
        assert_eq!(answer, recorded);
        assert_eq!(told("a.csv", b"a,b\n1,2\n3,4"), "a: 1\nb: 2\na: 3\nb: 4");
        assert_eq!(told("a.JSON", br#"{"a":["x",{"b":"y"}],"n":1}"#), "x\ny");
        assert_eq!(told("a.jsonl", b"{\"a\":1}\n{}"), "{\"a\":1}\n{}");
        assert_eq!(told("a.yaml", b"a: 1"), "a: 1");
        assert_eq!(told("a.txt", b"\xff\xfeh\0\xfc\0"), "h\u{fc}");
        let bytes = rules.read(vec![file("a.txt", b"hi")], true, 1000).unwrap();
        assert!(bytes.contains(r#""size":2,"content":"aGk=""#), "{bytes}");
    }

    #[test]
    fn files_of_a_form_take_the_place_of_a_loaders_own() {
        let set = loader_overrides(vec![file("a.txt", b"a"), file("b.PDF", b"b"), file("c.md", b"c")]);
        let uri = |name: &str, data: &str| format!("data:text/plain;base64,{data},filename:{name}");
        let (a, b, c) = (uri("a.txt", "YQ=="), uri("b.PDF", "Yg=="), uri("c.md", "Yw=="));
        assert_eq!(set["txtFile"], json!([a, c]).to_string());
        assert_eq!(set["pdfFile"], json!([b]).to_string());
        assert_eq!(set["file"], json!([a, b, c]).to_string());
    }

    #[test]
    fn what_cannot_be_read_or_is_too_much_is_told() {
        let rules = rules(&json!({ "status": true })).unwrap();
        let refused = |name: &str, bytes: &[u8]| rules.read(vec![file(name, bytes)], false, 10).unwrap_err();
        assert!(refused("a.docx", b"PK\x03\x04").contains("a.docx"));
        assert!(refused("a.pdf", b"%PDF-1.4 nothing").contains("a.pdf"));
        assert!(refused("a.txt", b"hello there, world").contains("engine.limits.text"));
    }
}
