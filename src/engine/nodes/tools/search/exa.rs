//! The node `exaSearch`.

use serde_json::{Map, Value, json};

use super::answers::{at, json_of};
use super::{Asked, Service, ServiceTool, endpoint, exposed, input, of_text};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::provider::ProviderResponse;
use crate::engine::text::variables::text_of;

const DESCRIPTION: &str = "A wrapper around Exa Search. Input should be an Exa-optimized query. Output is a JSON array of \
                           the query results";
const DATES: [&str; 4] = ["startCrawlDate", "endCrawlDate", "startPublishedDate", "endPublishedDate"];

/// See the module.
pub(super) struct ExaSearch;

impl NodeKind for ExaSearch {
    fn names(&self) -> &'static [&'static str] {
        &["exaSearch"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.fills(&["description"]);
        let description = inputs.text("description").unwrap_or_else(|| DESCRIPTION.to_owned());
        let mut set = Map::new();
        let mut put = |name: &str, value: Option<Value>| set.extend(value.map(|value| (name.to_owned(), value)));
        // A number as JavaScript writes it.
        put("numResults", inputs.integer("numResults").filter(|number| *number > 0).map(Value::from));
        put("type", inputs.text("type").map(Value::from));
        put("useAutoprompt", inputs.flag("useAutoprompt").filter(|is_on| *is_on).map(Value::from));
        put("category", inputs.text("category").map(Value::from));
        for name in ["includeDomains", "excludeDomains"] {
            put(name, inputs.text(name).map(|domains| domains.split(',').map(Value::from).collect()));
        }
        for name in DATES {
            put(name, inputs.text(name).map(Value::from));
        }
        let key = inputs.credential("exaSearchApi", "exaSearchApiKey");
        let endpoint = endpoint("https://api.exa.ai", inputs)?;
        let spec = of_text("exa_search_results_json", &description);
        Some(Part::tool(ServiceTool { spec, endpoint, service: Exa { key, set } }))
    }
}

/// With what its author set.
#[derive(Debug)]
pub(super) struct Exa {
    pub(super) key: Option<Secret>,
    pub(super) set: Map<String, Value>,
}

impl Service for Exa {
    fn asked(&self, arguments: &Value) -> Result<Asked, Failure> {
        let mut body = json!({ "query": input(arguments), "contents": { "text": true } });
        if let Some(fields) = body.as_object_mut() {
            fields.extend(self.set.clone());
        }
        Asked::post("/search", &body).with_key("x-api-key", exposed(self.key.as_ref()))
    }

    fn told(&self, answer: &ProviderResponse, _: &Value) -> Result<String, String> {
        let body = json_of(answer)?;
        if answer.status.is_success() {
            return Ok(body.to_string());
        }
        let error = at(&body, &["error"]).map_or_else(|| "Unknown error".to_owned(), text_of);
        Err(match at(&body, &["message"]) {
            Some(message) => format!("{error}. {}", text_of(message)),
            None => error,
        })
    }
}
