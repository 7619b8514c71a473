//! Loaders of texts and of files that the flow brings along.

use super::super::json::JsonSelection;
use super::formats::{Format, LinePointer, PdfUsage};
use super::{LoaderInput, loader, object, pointer};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::nodes::files;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &PlainText,
    &TextFile,
    &JsonFile,
    &JsonLinesFile,
    &CsvFile,
    &PdfLoader,
    &DocxFile,
    &WordFile,
    &SlidesFile,
    &EpubFile,
    &ExcelFile,
    &AnyFile,
];

fn loader_of(inputs: &mut Inputs<'_, '_, '_>, input: &str, format: Format) -> Option<Part> {
    let files = files::all(inputs, input);
    loader(inputs, files.map(|files| LoaderInput::Files(files, format)))
}

struct PlainText;

impl NodeKind for PlainText {
    fn names(&self) -> &'static [&'static str] {
        &["plainText"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let text = inputs.text("text").unwrap_or_default();
        loader(inputs, Some(LoaderInput::Text(text)))
    }
}

struct TextFile;

impl NodeKind for TextFile {
    fn names(&self) -> &'static [&'static str] {
        &["textFile"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        loader_of(inputs, "txtFile", Format::Text)
    }
}

struct JsonFile;

impl NodeKind for JsonFile {
    fn names(&self) -> &'static [&'static str] {
        &["jsonFile"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let by_object = inputs.flag("separateByObject").unwrap_or(false);
        let pointers = inputs.text("pointersName").map(|names| JsonSelection::pointers_of(&names)).unwrap_or_default();
        let metadata = pointers_of_metadata(inputs);
        loader_of(inputs, "jsonFile", Format::Json(JsonSelection { pointers, by_object, metadata }))
    }
}

struct JsonLinesFile;

impl NodeKind for JsonLinesFile {
    fn names(&self) -> &'static [&'static str] {
        &["jsonlinesFile"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let pointer = line_pointer(inputs);
        if pointer.text.is_empty() {
            inputs.lacks("pointerName");
        }
        let metadata = pointers_of_metadata(inputs);
        loader_of(inputs, "jsonlinesFile", Format::JsonLines(LinePointer { metadata, ..pointer }))
    }
}

/// Names of metadata and the pointers to their values in the file.
fn pointers_of_metadata(inputs: &mut Inputs<'_, '_, '_>) -> Vec<(String, String)> {
    let metadata = object(inputs, "metadata").unwrap_or_default();
    metadata.into_iter().filter_map(|(name, value)| Some((name, pointer(&value)?.to_owned()))).collect()
}

pub(super) fn line_pointer(inputs: &mut Inputs<'_, '_, '_>) -> LinePointer {
    let text = inputs.text("pointerName").map(|name| format!("/{}", name.trim())).unwrap_or_default();
    LinePointer { text, metadata: Vec::new() }
}

struct CsvFile;

impl NodeKind for CsvFile {
    fn names(&self) -> &'static [&'static str] {
        &["csvFile"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let column = inputs.text("columnName").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        loader_of(inputs, "csvFile", Format::Csv(column))
    }
}

struct PdfLoader;

impl NodeKind for PdfLoader {
    fn names(&self) -> &'static [&'static str] {
        &["pdfFile"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let usage = usage(inputs, &["usage"]);
        loader_of(inputs, "pdfFile", Format::Pdf(usage))
    }
}

/// The first of these inputs that says it. Which build of pdf.js reads a file is of no matter here.
pub(super) fn usage(inputs: &mut Inputs<'_, '_, '_>, names: &[&str]) -> PdfUsage {
    inputs.ignore(&["legacyBuild"]);
    let chosen: Vec<String> = names.iter().filter_map(|name| inputs.text(name)).collect();
    if chosen.first().is_some_and(|usage| usage == "perFile") { PdfUsage::File } else { PdfUsage::Page }
}

struct DocxFile;

impl NodeKind for DocxFile {
    fn names(&self) -> &'static [&'static str] {
        &["docxFile"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        loader_of(inputs, "docxFile", Format::Docx)
    }
}

struct WordFile;

impl NodeKind for WordFile {
    fn names(&self) -> &'static [&'static str] {
        &["microsoftWord"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        loader_of(inputs, "docxFile", Format::Word)
    }
}

struct SlidesFile;

impl NodeKind for SlidesFile {
    fn names(&self) -> &'static [&'static str] {
        &["microsoftPowerpoint"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        loader_of(inputs, "powerpointFile", Format::Slides)
    }
}

struct EpubFile;

impl NodeKind for EpubFile {
    fn names(&self) -> &'static [&'static str] {
        &["epubFile"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let is_whole = inputs.text("usage").is_none_or(|usage| usage != "perChapter");
        loader_of(inputs, "epubFile", Format::Epub(is_whole))
    }
}

struct ExcelFile;

impl NodeKind for ExcelFile {
    fn names(&self) -> &'static [&'static str] {
        &["microsoftExcel"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        loader_of(inputs, "excelFile", Format::Sheet)
    }
}

struct AnyFile;

impl NodeKind for AnyFile {
    fn names(&self) -> &'static [&'static str] {
        &["fileLoader"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let usage = usage(inputs, &["pdfUsage", "usage"]);
        let pointer = line_pointer(inputs);
        loader_of(inputs, "file", Format::Any(usage, pointer))
    }
}
