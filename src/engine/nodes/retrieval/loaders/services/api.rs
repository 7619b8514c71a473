//! What an API answers, as one document of JSON.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{ACCEPT, HeaderName};
use serde_json::Value;
use url::Url;

use super::asked::{FetchBudget, LoaderInput, RemoteDocuments, document, loader, posted};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::node::Document;
use crate::engine::contract::run::Run;
use crate::engine::nodes::retrieval::loaders::web::address;
use crate::engine::provider::web::{WebReader, WebRequest};
use crate::wire::json;

pub(super) struct ApiLoader;

impl NodeKind for ApiLoader {
    fn names(&self) -> &'static [&'static str] {
        &["apiLoader"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let url = address(inputs, "url");
        let body = inputs.json("body");
        let mut request = match inputs.text("method").as_deref() {
            Some("POST") => posted(&body.unwrap_or_else(|| Value::Object(serde_json::Map::new()))),
            _ => WebRequest::default(),
        };
        request.headers.push((ACCEPT, HeaderValue::from_static("application/json, text/plain, */*")));
        request.headers.extend(headers(inputs));
        let reader = WebReader::new(&inputs.compiler.context.targets);
        loader(inputs, Some(LoaderInput::Remote(Arc::new(ApiAnswer { reader, url: url?, request }))))
    }
}

fn headers(inputs: &mut Inputs<'_, '_, '_>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(Value::Object(fields)) = inputs.json("headers") else { return Vec::new() };
    let mut headers = Vec::new();
    for (name, value) in fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.push((name, value));
            }
            _ => inputs.refuse("headers", format!("{name} is no header")),
        }
    }
    headers
}

#[derive(Debug)]
struct ApiAnswer {
    reader: WebReader,
    url: Url,
    request: WebRequest,
}

impl RemoteDocuments for ApiAnswer {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Document>> {
        Box::pin(async move {
            let mut room = FetchBudget::new();
            let answer = room.ask(&self.reader, &self.url, self.request.clone(), run).await?;
            run.budget().has_room(answer.body.len())?;
            let data: Value = json::read_answer(&answer.body).unwrap_or_else(|_| answer.text().into());
            Ok(vec![document(room.spread(&data)?, [("url", self.url.as_str().into())])])
        })
    }
}
