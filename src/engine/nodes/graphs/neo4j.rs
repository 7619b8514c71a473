//! Neo4j, over its HTTP interface (the Query API).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::models::connection::{self, Headers, no_credential};
use crate::engine::provider::{ProviderCall, ProviderEndpoint};
use crate::engine::text::percent::component;
use crate::wire::json;

const CREDENTIAL: &str = "neo4jApi";
/// For an answer, where the node says nothing.
const PATIENCE: u64 = 5000;
/// What its own tools keep in a graph.
const LEFT_OUT: &[&str] = &["Bloom_Perspective", "Bloom_Scene", "Bloom_HAS_SCENE", "__Entity__"];
/// What stands in a graph: labels or types, each with its properties.
const PROPERTIES: &str = "CALL apoc.meta.data() YIELD label, elementType, type, property WITH * WHERE type <> \
                          'RELATIONSHIP' AND elementType = $element AND NOT label IN $left_out RETURN label, \
                          collect({property: property, type: type}) AS properties";
/// Which label leads to which.
const RELATIONSHIPS: &str = "CALL apoc.meta.data() YIELD label, other, elementType, type, property WITH * WHERE type = \
                             'RELATIONSHIP' AND elementType = 'node' UNWIND other AS end WITH * WHERE NOT label IN \
                             $left_out AND NOT end IN $left_out RETURN label, property, toString(end) AS end";

/// The node `Neo4j`.
pub(super) struct Neo4jNode;

impl NodeKind for Neo4jNode {
    fn names(&self) -> &'static [&'static str] {
        &["Neo4j"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let database = inputs.text("database").unwrap_or_else(|| "neo4j".to_owned());
        let patience = inputs.integer("timeoutMs").filter(|time| *time > 0).unwrap_or(PATIENCE);
        if inputs.flag("enhancedSchema") == Some(true) {
            inputs.refuse("enhancedSchema", "the engine does not look at values for the schema");
        }
        let [url, user, password] =
            ["url", "username", "password"].map(|field| connection::wanted(inputs, CREDENTIAL, field));
        let (Some(url), Some(user), Some(password)) = (url, user, password) else {
            return Some(Part::Own(Arc::new(Neo4j { reached: None, database })));
        };
        let Some(address) = address(url.expose()) else {
            inputs.refuse("credential", "expected an address such as neo4j+s://host or http://host:7474");
            return None;
        };
        let basic = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
        let mut headers = connection::header(inputs, AUTHORIZATION, &format!("Basic {basic}"));
        headers.push((ACCEPT, HeaderValue::from_static("application/json")));
        headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        // Who keeps the credential chose the address.
        let endpoint = inputs.compiler.context.targets.endpoint(&address, Some(Duration::from_millis(patience)));
        let endpoint = endpoint.map_err(|error| inputs.refuse("credential", error)).ok()?;
        Some(Part::Own(Arc::new(Neo4j { reached: Some((endpoint, headers)), database })))
    }
}

/// Where the HTTP interface is of a server whose address is written for another protocol.
fn address(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim().trim_end_matches('/').split_once("://")?;
    let host = rest.split('/').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|digit| digit.is_ascii_digit()) => host,
        _ => host,
    };
    match scheme {
        "http" | "https" => Some(url.trim().trim_end_matches('/').to_owned()),
        _ if host.is_empty() => None,
        "neo4j" | "bolt" => Some(format!("http://{host}:7474")),
        "neo4j+s" | "bolt+s" | "neo4j+ssc" | "bolt+ssc" if host.ends_with(".databases.neo4j.io") => {
            Some(format!("https://{host}"))
        }
        "neo4j+s" | "bolt+s" | "neo4j+ssc" | "bolt+ssc" => Some(format!("https://{host}:7473")),
        _ => None,
    }
}

/// A graph, for nodes that ask one.
#[derive(Debug)]
pub(in crate::engine::nodes) struct Neo4j {
    /// `None`: its credential is not configured.
    reached: Option<(ProviderEndpoint, Headers)>,
    database: String,
}

impl Neo4j {
    /// Rows of a query that changes nothing.
    pub(in crate::engine::nodes) async fn query(
        &self,
        statement: &str,
        parameters: Value,
        run: &Run<'_>,
    ) -> Result<Vec<Map<String, Value>>, Failure> {
        let (endpoint, headers) = self.reached.as_ref().ok_or_else(|| no_credential(CREDENTIAL))?;
        run.budget().step()?;
        let body = json!({ "statement": statement, "parameters": parameters, "accessMode": "READ" }).to_string();
        let path = format!("/db/{}/query/v2", component(&self.database));
        let call = ProviderCall { method: Method::POST, path: &path, headers, body: body.into() };
        let answer = endpoint.fetch(call, run).await?;
        let told: Value = json::read_answer(&answer.body).unwrap_or_default();
        let error = told.pointer("/errors/0/message").and_then(Value::as_str);
        if let (true, Some(error)) = (!answer.status.is_success() || error.is_some(), error) {
            return Err(Failure::flow(error));
        }
        if !answer.status.is_success() {
            return Err(Failure::flow(format!("Neo4j answered {}", answer.status.as_u16())));
        }
        run.budget().hold(answer.body.len())?;
        rows(&told).ok_or_else(|| Failure::Unreachable("The database's answer cannot be read.".to_owned()))
    }

    /// What a model is told of it, in the form of `LangChain`.
    pub(in crate::engine::nodes) async fn schema(&self, run: &Run<'_>) -> Result<String, Failure> {
        let of = |element: &str| json!({ "element": element, "left_out": LEFT_OUT });
        let nodes = self.query(PROPERTIES, of("node"), run).await?;
        let types = self.query(PROPERTIES, of("relationship"), run).await?;
        let ways = self.query(RELATIONSHIPS, json!({ "left_out": LEFT_OUT }), run).await?;
        let nodes: Vec<String> =
            nodes.iter().map(|row| format!("{} {{{}}}", text(row, "label"), properties(row, ""))).collect();
        let types: Vec<String> =
            types.iter().map(|row| format!("{} {{{} }} ", text(row, "label"), properties(row, " "))).collect();
        let way = |row: &Map<String, Value>| {
            format!("(: {}) - [: {}] -> (:{})", text(row, "label"), text(row, "property"), text(row, "end"))
        };
        let ways: Vec<String> = ways.iter().map(way).collect();
        Ok(format!(
            "Node properties are the following:\n{}\nRelationship properties are the following:\n{}\nThe relationships \
             are the following:\n{}",
            nodes.join(", "),
            types.join(", "),
            ways.join(", ")
        ))
    }
}

fn text<'r>(row: &'r Map<String, Value>, name: &str) -> &'r str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn properties(row: &Map<String, Value>, end: &str) -> String {
    let properties = row.get("properties").and_then(Value::as_array).into_iter().flatten();
    let told = properties.filter_map(Value::as_object);
    let told = told.map(|property| format!("{}: {}{end}", text(property, "property"), text(property, "type")));
    told.collect::<Vec<_>>().join(", ")
}

fn rows(told: &Value) -> Option<Vec<Map<String, Value>>> {
    let fields = told.pointer("/data/fields")?.as_array()?;
    let values = told.pointer("/data/values")?.as_array()?;
    let row = |row: &Value| {
        let cells = fields.iter().zip(row.as_array()?);
        cells.map(|(name, value)| Some((name.as_str()?.to_owned(), plain(value)))).collect()
    };
    values.iter().map(row).collect()
}

/// As the library gives it: whole numbers are texts, and of nodes and relationships there are the properties.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) if !number.is_f64() => number.to_string().into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => {
            let is_element = fields.contains_key("elementId") && fields.contains_key("properties");
            let fields = fields.get("properties").filter(|_| is_element).and_then(Value::as_object).unwrap_or(fields);
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_protocols_lead_to_http() {
        for (url, expected) in [
            ("neo4j+s://x.databases.neo4j.io", Some("https://x.databases.neo4j.io")),
            ("neo4j+s://x.databases.neo4j.io:7687", Some("https://x.databases.neo4j.io")),
            ("bolt://localhost:7687", Some("http://localhost:7474")),
            ("neo4j+ssc://db.example", Some("https://db.example:7473")),
            ("http://127.0.0.1:1/", Some("http://127.0.0.1:1")),
            ("bolt://", None),
            ("ftp://x", None),
            ("x", None),
        ] {
            assert_eq!(address(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn values_are_those_of_the_library() {
        let told = json!({ "data": { "fields": ["n", "c"], "values": [[
            { "elementId": "4:1", "labels": ["A"], "properties": { "age": 7, "f": 1.5 } }, [1, null, "x"],
        ]] } });
        let rows = rows(&told).unwrap();
        assert_eq!(json!(rows), json!([{ "n": { "age": "7", "f": 1.5 }, "c": ["1", null, "x"] }]));
        assert_eq!(super::rows(&json!({ "data": 1 })), None);
    }
}
