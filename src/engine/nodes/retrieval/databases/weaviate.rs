//! Weaviate, by GraphQL.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::database::{Database, Hit, NewPassage, Query, document_of, nearness_of, numbers, vector_of};
use super::http::{HttpApi, endpoint, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection;

const HOST: &str = "weaviateHost";
const CREDENTIAL: &str = "weaviateApi";

/// The node `weaviate`, and those of Flowise's first versions.
pub(super) struct WeaviateNode;

impl NodeKind for WeaviateNode {
    fn names(&self) -> &'static [&'static str] {
        &["weaviate", "weaviateUpsert", "weaviateExistingIndex"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let filter = "weaviateFilter";
        let common = node::read(
            inputs,
            DatabaseFeatures {
                filter,
                diversity: true,
                recorded_as: &["weaviateIndex", "weaviateTextKey"],
                ..DatabaseFeatures::default()
            },
        );
        // Of the interface that is not used here, and of questions that are also looked for word by word, which
        // Flowise's library passes over.
        inputs.ignore(&["weaviateConnectionType", "weaviateGrpcHost", "weaviateGrpcSecure", "alpha"]);
        let class = inputs.required_text("weaviateIndex");
        if class.as_deref().is_some_and(|class| !is_name(class)) {
            inputs.refuse("weaviateIndex", "expected the name of an index");
        }
        let text_key = inputs.text("weaviateTextKey").unwrap_or_else(|| "text".to_owned());
        let keys = inputs.json("weaviateMetadataKeys").map(serde_json::from_value::<Vec<String>>);
        let keys = match keys {
            Some(Ok(keys)) if keys.iter().all(|key| is_name(key)) => Some(keys),
            None => None,
            Some(_) => {
                inputs.refuse("weaviateMetadataKeys", "expected a list of names");
                None
            }
        };
        if !is_name(&text_key) {
            inputs.refuse("weaviateTextKey", "expected a name");
        }
        let scheme = inputs.text("weaviateScheme");
        let secure = inputs.flag("weaviateHttpSecure").unwrap_or(scheme.as_deref() == Some("https"));
        let host = inputs.required_text(HOST);
        let key = connection::optional(inputs, CREDENTIAL, "weaviateApiKey");
        let host = host?;
        let scheme = if secure || host.ends_with(".weaviate.cloud") { "https" } else { "http" };
        let address = if host.contains("://") { host } else { format!("{scheme}://{host}") };
        let endpoint = endpoint(inputs, HOST, &address);
        let headers = connection::bearer(inputs, key.as_ref());
        let api = HttpApi { endpoint: endpoint?, headers };
        let database = Weaviate { api, class: class?, text_key, keys, known: OnceCell::new() };
        let common = common?;
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

/// What GraphQL takes for a name.
fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[derive(Debug)]
struct Weaviate {
    api: HttpApi,
    class: String,
    text_key: String,
    /// Fields of metadata that are wanted; `None`: all.
    keys: Option<Vec<String>>,
    known: OnceCell<Vec<String>>,
}

impl Weaviate {
    /// The fields that are asked for.
    async fn fields(&self, run: &Run<'_>) -> Result<Vec<String>, Failure> {
        if let Some(keys) = &self.keys {
            return Ok([vec![self.text_key.clone()], keys.clone()].concat());
        }
        let known = self.known.get_or_try_init(|| async {
            let told = self.api.get(&format!("/v1/schema/{}", self.class), run).await?;
            let listed = told.get("properties").and_then(Value::as_array).ok_or_else(unreadable)?;
            // Objects would have to be asked for field by field.
            let is_plain = |property: &&Value| {
                let kind = property.get("dataType").and_then(|kinds| kinds.get(0)?.as_str()).unwrap_or_default();
                !kind.starts_with("object") && kind.chars().next().is_some_and(char::is_lowercase)
            };
            let names = listed.iter().filter(is_plain).filter_map(|property| property.get("name")?.as_str());
            Ok::<_, Failure>(names.filter(|name| is_name(name)).map(str::to_owned).collect())
        });
        known.await.cloned()
    }
}

impl Database for Weaviate {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let fields = self.fields(run).await?.join(" ");
            let vector = numbers(&query.vector);
            let filter = match &query.filter {
                Some(filter) => format!(" where: {}", literal(filter, None)?),
                None => String::new(),
            };
            let more = if query.with_vectors { " vector" } else { "" };
            let (class, most) = (&self.class, query.most);
            let wanted = format!("{fields} _additional {{ distance{more} }}");
            let asked = format!(
                "{{ Get {{ {class}(nearVector: {{ vector: {vector} }} limit: {most}{filter}) {{ {wanted} }} }} }}"
            );
            let mut answer = self.api.post("/v1/graphql", &json!({ "query": asked }), run).await?;
            if let Some(words) = answer.get("errors").and_then(|errors| errors.get(0)?.get("message")?.as_str()) {
                return Err(Failure::flow(format!("Error in similaritySearch {words}")));
            }
            let found = answer.get_mut("data").and_then(|data| data.get_mut("Get")?.get_mut(class)).map(Value::take);
            let Some(Value::Array(found)) = found else { return Err(unreadable()) };
            let hit = |mut found: Value| {
                let additional = found.get_mut("_additional").map(Value::take).unwrap_or_default();
                let mut document = document_of(Some(found), &self.text_key);
                document.metadata.shift_remove("_additional");
                Hit {
                    document,
                    nearness: nearness_of(additional.get("distance")),
                    vector: vector_of(additional.get("vector")),
                }
            };
            Ok(found.into_iter().map(hit).collect())
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let object = |passage: &NewPassage| {
                let mut properties = Map::new();
                flatten("", &passage.document.metadata, &mut properties);
                properties.insert(self.text_key.clone(), passage.document.text.as_str().into());
                json!({ "class": self.class, "id": passage.id, "vector": numbers(&passage.vector), "properties": properties })
            };
            let body = json!({ "objects": passages.iter().map(object).collect::<Value>() });
            self.api.post("/v1/batch/objects", &body, run).await.map(drop)
        })
    }

    fn known_by(&self, metadata: &Map<String, Value>) -> Option<Map<String, Value>> {
        Some(normalized(metadata))
    }

    fn deletes(&self) -> bool {
        true
    }

    fn delete<'a>(&'a self, ids: &'a [String], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let of_ids = json!({ "operator": "ContainsAny", "path": ["id"], "valueTextArray": ids });
            let body = json!({ "match": { "class": self.class, "where": of_ids } });
            let answer = self.api.ask(Method::DELETE, "/v1/batch/objects", Some(body.to_string()), run).await?;
            if answer.get("results").and_then(|results| results.get("failed")?.as_u64()).unwrap_or(0) > 0 {
                return Err(Failure::flow("The database did not let go of all passages."));
            }
            Ok(())
        })
    }
}

/// With names that it takes, as Flowise makes them; fields of fields likewise.
pub(super) fn normalized(fields: &Map<String, Value>) -> Map<String, Value> {
    fn of(value: &Value) -> Value {
        match value {
            Value::Object(fields) => normalized(fields).into(),
            Value::Array(items) => items.iter().map(of).collect(),
            value => value.clone(),
        }
    }
    fields.iter().map(|(name, value)| (taken(name), of(value))).collect()
}

fn taken(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

/// Fields of fields under names that it takes.
fn flatten(path: &str, fields: &Map<String, Value>, into: &mut Map<String, Value>) {
    for (name, value) in fields {
        let name = if path.is_empty() { name.clone() } else { format!("{path}_{name}") };
        let name = taken(&name);
        match value {
            Value::Null => {}
            Value::Object(fields) => flatten(&name, fields, into),
            value => drop(into.insert(name, value.clone())),
        }
    }
}

/// A filter as GraphQL writes it: names without quotation marks, and operators as words.
fn literal(value: &Value, name: Option<&str>) -> Result<String, Failure> {
    let refused = || Failure::flow("The filter cannot be written in GraphQL.");
    Ok(match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                if !is_name(name) {
                    return Err(refused());
                }
                Ok(format!("{name}: {}", literal(value, Some(name))?))
            };
            format!("{{ {} }}", fields.iter().map(field).collect::<Result<Vec<_>, Failure>>()?.join(", "))
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| literal(item, None)).collect::<Result<Vec<_>, Failure>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::String(word) if name == Some("operator") => {
            if !is_name(word) {
                return Err(refused());
            }
            word.clone()
        }
        value => value.to_string(),
    })
}
