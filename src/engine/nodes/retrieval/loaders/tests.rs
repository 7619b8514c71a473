use serde::Deserialize;

use super::super::json::JsonSelection;
use super::*;

/// What the loaders of Flowise 3.1.4 made of some files; `None`: an error.
#[derive(Deserialize)]
struct Recorded {
    kind: String,
    file: Value,
    inputs: Map<String, Value>,
    documents: Option<Vec<(String, Map<String, Value>)>>,
}

fn loader(recorded: &Recorded) -> Loader {
    let text = |name: &str| recorded.inputs.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let metadata = match recorded.inputs.get("metadata") {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap(),
        Some(Value::Object(fields)) => fields.clone(),
        _ => Map::new(),
    };
    let pointers = metadata.iter().filter_map(|(name, value)| Some((name.clone(), pointer(value)?.to_owned())));
    let format = match recorded.kind.as_str() {
        "json" => Format::Json(JsonSelection {
            pointers: text("pointersName").map(JsonSelection::pointers_of).unwrap_or_default(),
            by_object: recorded.inputs.contains_key("separateByObject"),
            metadata: pointers.collect(),
        }),
        "csv" => Format::Csv(text("columnName").map(|name| name.trim().to_owned())),
        _ => Format::Text,
    };
    let omit = match text("omitMetadataKeys") {
        Some("*") => Omit::All,
        keys => Omit::Keys(keys.unwrap_or_default().split(',').map(|key| key.trim().to_owned()).collect()),
    };
    // As a file is decoded.
    let file = |file: &Value| {
        let bytes = file.as_str().unwrap().trim_start_matches('\u{feff}').as_bytes().to_vec();
        FlowFile { bytes, ..FlowFile::default() }
    };
    let given = match &recorded.file {
        Value::String(text) if recorded.kind == "plain" => LoaderInput::Text(text.clone()),
        Value::Array(files) => LoaderInput::Files(files.iter().map(file).collect(), format),
        one => LoaderInput::Files(vec![file(one)], format),
    };
    Loader { given: Some(given), metadata, omit, ..Loader::default() }
}

#[test]
fn documents_are_flowises() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("flowise.json")).unwrap();
    assert!(recorded.len() > 30);
    for recorded in recorded {
        let read = loader(&recorded).read(Vec::new());
        let documents = read.as_ref().ok().map(|documents| {
            documents.iter().map(|document| (document.text.clone(), document.metadata.clone())).collect::<Vec<_>>()
        });
        let case = format!("{} {} {:?}", recorded.kind, recorded.file, recorded.inputs);
        assert_eq!(documents, recorded.documents, "{case}: {:?}", read.err());
        let order = |documents: Option<Vec<(String, Map<String, Value>)>>| serde_json::to_string(&documents).unwrap();
        assert_eq!(order(documents), order(recorded.documents), "{case}");
    }
}

/// Each takes thirty times as much memory as its two letters.
#[test]
fn a_file_of_very_many_values_is_not_read() {
    let read = |count: usize| {
        let bytes = format!("[{}\"a\"]", "[],".repeat(count)).into_bytes();
        Format::Json(JsonSelection::default()).documents(&FlowFile { bytes, ..FlowFile::default() })
    };
    assert_eq!(read(1000).unwrap().len(), 1);
    assert_eq!(read(1 << 20).unwrap_err(), "no valid JSON: too many values");
}

/// A file of so many pages whose title has so many letters.
pub(super) fn pdf(pages: usize, title: usize) -> FlowFile {
    let page = "<< /Contents 3 0 R /Resources << /Font << /F 4 0 R >> >> >> ".repeat(pages);
    let objects = [
        "<< /Pages 2 0 R >>",
        &format!("<< /Kids [{page}] >>"),
        "<< /Length 19 >>\nstream\nBT /F 1 Tf (x) Tj ET\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        &format!("<< /Title ({}) >>", "t".repeat(title)),
    ];
    let numbered = |(number, object): (usize, &&str)| format!("{number} 0 obj\n{object}\nendobj\n");
    let body: String = (1..).zip(&objects).map(numbered).collect();
    let bytes = format!("%PDF-1.4\n{body}trailer << /Root 1 0 R /Info 5 0 R >>").into_bytes();
    FlowFile { bytes, ..FlowFile::default() }
}

/// Each page has what the file says of itself.
#[test]
fn a_file_of_very_many_pages_does_not_say_very_much_of_itself() {
    let read = |title: usize| Format::Pdf(PdfUsage::Page).documents(&pdf(1000, title));
    assert_eq!(read(10).unwrap().len(), 1000);
    assert_eq!(read(1 << 20).unwrap_err(), "The metadata of a document is too large for so many parts.");
}
