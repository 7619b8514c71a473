//! The text of a file that a visitor has sent.

use super::formats::{Format, LinePointer, PdfUsage};
use crate::engine::nodes::files::FlowFile;

/// All that the File Loader finds in it, in one text; nothing where it has no text. Lines of JSON, which it reads only with
/// a pointer, are told as they are.
///
/// # Errors
/// It cannot be read.
pub(crate) fn text_of(file: &FlowFile, usage: PdfUsage) -> Result<String, String> {
    let is_lines = file.name.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("jsonl"));
    let format = if is_lines { Format::Text } else { Format::Any(usage, LinePointer::default()) };
    format.looks_right(file)?;
    let named =
        |problem: String| if problem.contains(&file.name) { problem } else { format!("{problem}{}", file.told()) };
    let documents = format.documents(file).map_err(named)?;
    let texts: Vec<String> = documents.into_iter().map(|document| document.text).collect();
    Ok(texts.join("\n"))
}
