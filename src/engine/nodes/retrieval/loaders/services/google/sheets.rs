//! Tables of Google Sheets, a document each.

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
use crate::engine::text::percent::{component, pairs};
use crate::engine::text::variables::text_of;

const SERVICE: &str = "https://sheets.googleapis.com/v4/spreadsheets";
/// Spreadsheets, and tables of one.
const MOST: usize = 200;
/// Bytes of the Markdown of all. Each row is filled up to the longest, so a short answer may become very much.
const LONGEST: usize = 64 << 20;

/// The node `googleSheets`.
pub(in super::super) struct GoogleSheetsLoader;

impl NodeKind for GoogleSheetsLoader {
    fn names(&self) -> &'static [&'static str] {
        &["googleSheets"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let ids = chosen(inputs, "spreadsheetIds");
        if ids.is_empty() {
            inputs.lacks("spreadsheetIds");
        }
        let names = inputs.text("sheetNames");
        let names = names.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect());
        let range = inputs.text("range").unwrap_or_default();
        let has_headers = inputs.flag("includeHeaders").unwrap_or(false);
        let rendering = inputs.text("valueRenderOption").unwrap_or_else(|| "FORMATTED_VALUE".to_owned());
        let google = GoogleReader::read("googleSheetsOAuth2", inputs);
        let place = service(inputs, SERVICE);
        let tables = SheetTables { google: google?, place, ids, names, range, has_headers, rendering };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(tables))))
    }
}

#[derive(Debug)]
struct SheetTables {
    google: GoogleReader,
    place: String,
    ids: Vec<String>,
    /// `None`: all that a spreadsheet has.
    names: Option<Vec<String>>,
    range: String,
    /// Whether the first row says what the columns are.
    has_headers: bool,
    rendering: String,
}

impl RemoteDocuments for SheetTables {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let mut documents = Vec::new();
            let mut left = LONGEST;
            for id in self.ids.iter().take(MOST) {
                let about = self.google.json(&format!("{}/{}", self.place, component(id)), &mut room, run).await?;
                for name in self.tables_of(&about).iter().take(MOST) {
                    let values = self.values(id, name, &mut room, run).await?;
                    let document = self.document(id, name, &about, &values, left)?;
                    left -= document.as_ref().map_or(0, |document| document.text.len().min(left));
                    documents.extend(document);
                }
            }
            Ok(documents)
        })
    }
}

impl SheetTables {
    fn tables_of(&self, about: &Value) -> Vec<String> {
        if let Some(names) = &self.names {
            return names.clone();
        }
        let sheets = about.get("sheets").and_then(Value::as_array).into_iter().flatten();
        sheets.filter_map(|sheet| Some(sheet.pointer("/properties/title")?.as_str()?.to_owned())).collect()
    }

    async fn values(&self, id: &str, name: &str, room: &mut FetchBudget, run: &Run<'_>) -> Result<Value, Failure> {
        let range = if self.range.is_empty() { name.to_owned() } else { format!("{name}!{}", self.range) };
        let asked = [
            ("valueRenderOption", self.rendering.as_str()),
            ("dateTimeRenderOption", "FORMATTED_STRING"),
            ("majorDimension", "ROWS"),
        ];
        let (id, range) = (component(id), component(&range));
        self.google.json(&format!("{}/{id}/values/{range}?{}", self.place, pairs(&asked)), room, run).await
    }

    /// A table in Markdown of so many bytes at most; `None`: nothing stands in it.
    fn document(
        &self,
        id: &str,
        name: &str,
        about: &Value,
        values: &Value,
        most: usize,
    ) -> Result<Option<Document>, Failure> {
        let rows = values.get("values").and_then(Value::as_array).filter(|rows| !rows.is_empty());
        let Some(rows) = rows else { return Ok(None) };
        let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
        let (headers, data) = match rows.split_first() {
            Some((headers, data)) if self.has_headers => (headers.clone(), data),
            _ => (letters(rows.iter().map(Vec::len).max().unwrap_or_default()), rows.as_slice()),
        };
        let longest = data.iter().map(Vec::len).max().unwrap_or_default().max(headers.len());
        let cells: usize = rows.iter().flatten().map(String::len).sum();
        if longest.saturating_mul(rows.len() + 2).saturating_mul(" | ".len()).saturating_add(cells) > most {
            return Err(Failure::flow(format!("Google Sheets: the table {name} is too large")));
        }
        let mut text = String::new();
        if !headers.is_empty() {
            line(&mut text, &headers);
            line(&mut text, &vec!["---".to_owned(); headers.len()]);
            for row in data {
                let mut row = row.clone();
                row.resize(row.len().max(headers.len()), String::new());
                line(&mut text, &row);
            }
        }
        let title = about.pointer("/properties/title").and_then(Value::as_str);
        let metadata = [
            ("source", Some(format!("Google Sheets: {} - {name}", title.unwrap_or("Unknown")).into())),
            ("spreadsheetId", Some(id.into())),
            ("sheetName", Some(name.into())),
            ("spreadsheetTitle", title.map(Value::from)),
            ("spreadsheetUrl", Some(format!("https://docs.google.com/spreadsheets/d/{id}").into())),
            ("range", values.get("range").cloned()),
            ("rowCount", Some(rows.len().into())),
            ("columnCount", Some(headers.len().into())),
            ("headers", self.has_headers.then(|| headers.clone().into())),
            ("totalDataRows", Some(data.len().into())),
        ];
        let metadata: Map<String, Value> =
            metadata.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Ok(Some(Document { text, metadata }))
    }
}

fn cells(row: &Value) -> Vec<String> {
    let cell = |cell: &Value| if cell.is_null() { String::new() } else { text_of(cell) };
    row.as_array().into_iter().flatten().map(cell).collect()
}

/// Names of columns that have none: `A`, `B` and so on, by their codes.
fn letters(count: usize) -> Vec<String> {
    let letter = |number: usize| {
        let code = u32::try_from(number).ok().and_then(|number| number.checked_add(65));
        code.and_then(char::from_u32).map(String::from).unwrap_or_default()
    };
    (0..count).map(letter).collect()
}

fn line(text: &mut String, cells: &[String]) {
    text.push_str("| ");
    text.push_str(&cells.join(" | "));
    text.push_str(" |\n");
}
