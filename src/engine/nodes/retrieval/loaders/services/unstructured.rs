//! Elements that Unstructured makes of files.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, loader, secret_header, service};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::nodes::files::{self, FlowFile};
use crate::engine::nodes::retrieval::loaders::web::address;
use crate::engine::provider::web::{WebReader, WebRequest, web_address};

const SERVICE: &str = "https://api.unstructuredapp.io/general/v0/general";

pub(super) struct Unstructured;

impl NodeKind for Unstructured {
    fn names(&self) -> &'static [&'static str] {
        &["unstructuredFileLoader"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let partitioner = Partitioner::read(inputs, |inputs| {
            let key = inputs.optional_credential("unstructuredApi", "unstructuredAPIKey");
            key.as_ref().map(|key| key.expose().to_owned())
        });
        let files = files::all(inputs, "fileObject");
        let partitioner = partitioner?;
        let found = files.map(|files| LoaderInput::Remote(Arc::new(Partitioned { partitioner, files })));
        loader(inputs, found)
    }
}

/// The service, with what it is asked for.
#[derive(Debug)]
pub(super) struct Partitioner {
    reader: WebReader,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    fields: Vec<(&'static str, String)>,
    /// The field of the metadata that says where an element comes from.
    source: String,
}

impl Partitioner {
    /// `key`: what the service knows its callers by.
    pub(super) fn read(
        inputs: &mut Inputs<'_, '_, '_>,
        key: impl FnOnce(&mut Inputs<'_, '_, '_>) -> Option<String>,
    ) -> Option<Self> {
        let url = if inputs.has("unstructuredAPIUrl") {
            address(inputs, "unstructuredAPIUrl")
        } else {
            web_address(&service(inputs, SERVICE)).ok()
        };
        let fields = fields(inputs);
        let source = inputs.text("sourceIdKey").unwrap_or_else(|| "source".to_owned());
        let key = key(inputs).unwrap_or_default();
        let headers = secret_header(HeaderName::from_static("unstructured-api-key"), &key).into_iter().collect();
        let reader = WebReader::new(&inputs.compiler.context.targets);
        Some(Self { reader, url: url?, headers, fields, source })
    }

    /// The elements of a file.
    pub(super) async fn documents(
        &self,
        file: &FlowFile,
        room: &mut FetchBudget,
        run: &Run<'_>,
    ) -> Result<Vec<Document>, Failure> {
        let mut headers = self.headers.clone();
        headers.push((CONTENT_TYPE, form_type()?));
        let request = WebRequest { method: Method::POST, headers, body: self.form(file) };
        let Value::Array(elements) = room.json(&self.reader, &self.url, request, run).await? else {
            return Err(Failure::flow("Expected partitioning request to return an array"));
        };
        Ok(elements.into_iter().filter_map(|element| self.document(element)).collect())
    }
}

/// What is asked beside the file, in the order in which Flowise writes it.
fn fields(inputs: &mut Inputs<'_, '_, '_>) -> Vec<(&'static str, String)> {
    let mut fields = vec![("strategy", inputs.text("strategy").unwrap_or_else(|| "hi_res".to_owned()))];
    if let Some(Value::Array(languages)) = inputs.json("ocrLanguages") {
        fields.extend(languages.iter().filter_map(|language| Some(("ocr_languages", language.as_str()?.to_owned()))));
    }
    fields.extend(inputs.text("encoding").map(|encoding| ("encoding", encoding)));
    let mut switch = |input: &str, name: &'static str, fields: &mut Vec<_>| {
        if inputs.flag(input) == Some(true) {
            fields.push((name, "true".to_owned()));
        }
    };
    switch("coordinates", "coordinates", &mut fields);
    switch("xmlKeepTags", "xml_keep_tags", &mut fields);
    let tables = inputs.json("skipInferTableTypes").unwrap_or_else(|| Value::Array(Vec::new()));
    fields.push(("skip_infer_table_types", tables.to_string()));
    fields.extend(inputs.text("hiResModelName").map(|model| ("hi_res_model_name", model)));
    if inputs.flag("includePageBreaks") == Some(true) {
        fields.push(("include_page_breaks", "true".to_owned()));
    }
    fields.extend(inputs.text("chunkingStrategy").map(|strategy| ("chunking_strategy", strategy)));
    if inputs.node.data.inputs.contains_key("multiPageSections") {
        fields.push(("multipage_sections", inputs.flag("multiPageSections").unwrap_or(false).to_string()));
    }
    let numbers = [
        ("combineUnderNChars", "combine_under_n_chars"),
        ("newAfterNChars", "new_after_n_chars"),
        ("maxCharacters", "max_characters"),
    ];
    for (input, name) in numbers {
        fields.extend(inputs.integer(input).map(|number| (name, number.to_string())));
    }
    fields
}

#[derive(Debug)]
struct Partitioned {
    partitioner: Partitioner,
    files: Vec<FlowFile>,
}

const BOUNDARY: &str = "----flowgate-7d1f0c5be2a94d0c8f3a";

impl RemoteDocuments for Partitioned {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let mut documents = Vec::new();
            for file in &self.files {
                documents.extend(self.partitioner.documents(file, &mut room, run).await?);
            }
            Ok(documents)
        })
    }
}

fn form_type() -> Result<HeaderValue, Failure> {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    HeaderValue::from_str(&kind).map_err(|_| Failure::flow("the form has no type"))
}

impl Partitioner {
    fn form(&self, file: &FlowFile) -> Bytes {
        let name = file.name.replace(['"', '\r', '\n'], "_");
        let mut form = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        form.extend_from_slice(&file.bytes);
        for (name, value) in &self.fields {
            let field = format!("\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
            form.extend_from_slice(field.as_bytes());
        }
        form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        form.into()
    }

    /// Of an element that has a text.
    fn document(&self, element: Value) -> Option<Document> {
        let Value::Object(mut element) = element else { return None };
        let text = element.get("text")?.as_str()?.to_owned();
        let mut metadata = match element.remove("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        metadata.insert("category".to_owned(), element.remove("type").unwrap_or_default());
        if metadata.get(&self.source).is_none_or(|source| source.as_str() == Some("")) {
            metadata.insert(self.source.clone(), self.source.clone().into());
        }
        Some(Document { text, metadata })
    }
}
