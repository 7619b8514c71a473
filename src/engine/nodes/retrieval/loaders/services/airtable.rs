//! Records of an Airtable table, a document each.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, bearer, document, loader, posted, service};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::provider::web::{WebReader, web_address};
use crate::engine::text::percent::component;

const SERVICE: &str = "https://api.airtable.com/v0";
const USUAL_LIMIT: usize = 100;
const MOST_RECORDS: usize = 20_000;

pub(super) struct Airtable;

impl NodeKind for Airtable {
    fn names(&self) -> &'static [&'static str] {
        &["airtable"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let (base, table) = (inputs.required_text("baseId"), inputs.required_text("tableId"));
        let is_whole = inputs.flag("returnAll").unwrap_or(false);
        let limit = inputs.integer("limit").and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let limit = if is_whole { MOST_RECORDS } else { limit.unwrap_or(USUAL_LIMIT).min(MOST_RECORDS) };
        let mut asked = Map::new();
        if !is_whole {
            asked.insert("maxRecords".to_owned(), limit.into());
        }
        asked.extend(inputs.text("viewId").map(|view| ("view".to_owned(), view.into())));
        if let Some(fields) = inputs.text("fields") {
            let fields: Vec<Value> = fields.split(',').map(|field| field.trim().into()).collect();
            asked.insert("fields".to_owned(), fields.into());
        }
        asked.extend(inputs.text("filterByFormula").map(|formula| ("filterByFormula".to_owned(), formula.into())));
        let token = inputs.credential("airtableApi", "accessToken");
        let reader = WebReader::new(&inputs.compiler.context.targets);
        let (base, table) = (component(&base?), component(&table?));
        let records = AirtableRecords {
            reader,
            place: format!("{}/{base}/{table}", service(inputs, SERVICE)),
            token,
            asked,
            limit,
        };
        loader(inputs, Some(LoaderInput::Remote(Arc::new(records))))
    }
}

#[derive(Debug)]
struct AirtableRecords {
    reader: WebReader,
    /// The table's address.
    place: String,
    token: Option<Secret>,
    asked: Map<String, Value>,
    limit: usize,
}

impl RemoteDocuments for AirtableRecords {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let url = web_address(&format!("{}/listRecords", self.place)).map_err(Failure::flow)?;
            let mut room = FetchBudget::new();
            let mut asked = self.asked.clone();
            let mut documents = Vec::new();
            loop {
                let mut request = posted(&Value::Object(asked.clone()));
                request.headers.extend(self.token.as_ref().and_then(bearer));
                let answer = room.json(&self.reader, &url, request, run).await?;
                let records = answer.get("records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                for record in records {
                    documents.push(self.document(record, &mut room)?);
                }
                let next = answer.get("offset").filter(|offset| offset.is_string() && !records.is_empty());
                let Some(next) = next.filter(|_| documents.len() < self.limit) else { break };
                asked.insert("offset".to_owned(), next.clone());
            }
            documents.truncate(self.limit);
            Ok(documents)
        })
    }
}

impl AirtableRecords {
    fn document(&self, record: &Value, room: &mut FetchBudget) -> Result<Document, Failure> {
        let fields = record.get("fields").unwrap_or(&Value::Null);
        let id = record.get("id").and_then(Value::as_str).unwrap_or_default();
        Ok(document(room.spread(fields)?, [("url", format!("{}/{id}", self.place).into())]))
    }
}
