//! Tools whose work is code of their author. A flow names such a tool by its id; what it does stands in Flowise's export of
//! everything.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::arguments::{parameters, with};
use crate::engine::compile::context::Need;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::nodes::parsers::schema::Schema;
use crate::engine::nodes::parsers::zod;
use crate::engine::scripts::{Returned, Script, ScriptValues};
use crate::engine::text::javascript::parse_float;
use crate::engine::text::mustache::Names as _;
use crate::wire::json::read_str;

const MISFIT: &str = "Received tool input did not match expected schema";

/// The node `customTool`.
pub(super) struct CustomTool;

impl NodeKind for CustomTool {
    fn names(&self) -> &'static [&'static str] {
        &["customTool"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let id = inputs.required_text("selectedTool");
        let returns_directly = inputs.flag("returnDirect").unwrap_or(false);
        let [name, description, schema, code] =
            ["customToolName", "customToolDesc", "customToolSchema", "customToolFunc"].map(|name| inputs.text(name));
        let id = id?;
        let stores = Arc::clone(&inputs.compiler.context.stores);
        let Some(record) = stores.tool(&id) else {
            inputs.compiler.miss(inputs.node, Need::Tool { id: id.clone() });
            return Some(Part::tool(AbsentTool::new(&id)));
        };
        let arguments = match &schema {
            Some(schema) => zod::parse(schema).map(|(schema, _)| Arguments::Zod(schema)),
            None => rows(&record.schema)
                .map(Arguments::Rows)
                .ok_or_else(|| format!("the schema of the tool \"{}\" cannot be read", record.name)),
        };
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(error) => {
                inputs.refuse(if schema.is_some() { "customToolSchema" } else { "selectedTool" }, error);
                return None;
            }
        };
        let script = match code {
            Some(code) => Script::of(code, "customToolFunc", inputs),
            None => Script::of_record(record.code.clone(), "selectedTool", inputs),
        };
        let spec = ToolSpec {
            name: name.unwrap_or_else(|| record.name.clone()),
            description: description.unwrap_or_else(|| record.description.clone()),
            parameters: arguments.json(),
        };
        Some(Part::tool(Coded { spec, arguments, script: script?, returns_directly }))
    }
}

#[derive(Debug)]
struct Coded {
    spec: ToolSpec,
    arguments: Arguments,
    script: Script,
    returns_directly: bool,
}

impl Tool for Coded {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let arguments = self.arguments.accepted(arguments).ok_or_else(|| Failure::flow(MISFIT))?;
            let values = ScriptValues {
                input: "".into(),
                flow: flow_of(run),
                named: arguments.into_iter().map(|(name, value)| (format!("${name}"), value)).collect(),
                tools: &[],
            };
            let text = match self.script.run(values, run).await? {
                Returned::Value(Value::String(date)) => Value::from(date).to_string(),
                returned => returned.into_text(false),
            };
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }

    fn returns_directly(&self) -> bool {
        self.returns_directly
    }
}

/// `$flow`: of an agentflow with its state.
pub(super) fn flow_of(run: &Run<'_>) -> Map<String, Value> {
    let request = run.request;
    let mut known = Map::new();
    known.insert("chatflowId".to_owned(), run.flow.into());
    known.insert("sessionId".to_owned(), request.session_id.as_str().into());
    known.insert("chatId".to_owned(), request.chat_id.as_str().into());
    known.insert("input".to_owned(), request.question().into());
    if let Some(state) = run.find("$flow.state") {
        known.insert("state".to_owned(), state);
    }
    known
}

/// What a tool takes.
#[derive(Debug)]
enum Arguments {
    Rows(Vec<ToolRow>),
    Zod(Schema),
}

/// A row of Flowise's editor.
#[derive(Debug)]
struct ToolRow {
    name: String,
    kind: RowKind,
    description: String,
    is_required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowKind {
    Text,
    Number,
    Flag,
    Date,
}

/// Rows of other kinds Flowise passes over. `None`: it is no list of rows.
fn rows(schema: &str) -> Option<Vec<ToolRow>> {
    if schema.trim().is_empty() {
        return Some(Vec::new());
    }
    let listed: Value = read_str(schema).ok()?;
    let row = |row: &Value| {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let kind = match text("type")? {
            "string" => RowKind::Text,
            "number" => RowKind::Number,
            "boolean" => RowKind::Flag,
            "date" => RowKind::Date,
            _ => return None,
        };
        let is_required = row.get("required").is_some_and(|required| *required == true || *required == "true");
        let description = text("description").unwrap_or_default().to_owned();
        Some(ToolRow { name: text("property")?.to_owned(), kind, description, is_required })
    };
    Some(listed.as_array()?.iter().filter_map(row).collect())
}

impl Arguments {
    /// As a model is told.
    fn json(&self) -> Value {
        let rows = match self {
            Self::Zod(schema) => {
                return with(schema.json(), "$schema", "http://json-schema.org/draft-07/schema#".into());
            }
            Self::Rows(rows) => rows,
        };
        let property = |row: &ToolRow| {
            let kind = match row.kind {
                RowKind::Text => json!({ "type": "string" }),
                RowKind::Number => json!({ "type": "number" }),
                RowKind::Flag => json!({ "type": "boolean" }),
                RowKind::Date => json!({ "type": "string", "format": "date-time" }),
            };
            // One that says nothing is not told.
            let is_described = !row.description.is_empty();
            let described = is_described.then(|| with(kind.clone(), "description", row.description.as_str().into()));
            (row.name.clone(), described.unwrap_or(kind))
        };
        let required: Vec<&str> = rows.iter().filter(|row| row.is_required).map(|row| &*row.name).collect();
        parameters(&Value::Object(rows.iter().map(property).collect()), &required)
    }

    /// With what Flowise makes of values of other types; `None`: they do not fit.
    fn accepted(&self, given: &Value) -> Option<Map<String, Value>> {
        match self {
            Self::Zod(schema) => match schema.check(given).ok()? {
                Value::Object(fields) => Some(fields),
                _ => None,
            },
            Self::Rows(rows) => {
                let given = given.as_object()?;
                let mut accepted = Map::new();
                for row in rows {
                    match given.get(&row.name) {
                        Some(value) => {
                            accepted.insert(row.name.clone(), row.kind.read(value)?);
                        }
                        None if row.is_required => return None,
                        None => {}
                    }
                }
                Some(accepted)
            }
        }
    }
}

impl RowKind {
    fn read(self, value: &Value) -> Option<Value> {
        let as_said = |is_it: bool| is_it.then(|| value.clone());
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Number, Value::Number(_)) | (Self::Flag, Value::Bool(_)) => {
                as_said(true)
            }
            (Self::Text, Value::Null) => None,
            (Self::Text, value) => Some(value.to_string().into()),
            (Self::Number, Value::String(text)) => serde_json::Number::from_f64(parse_float(text)).map(Value::Number),
            (Self::Number, Value::Bool(is)) => Some(u8::from(*is).into()),
            (Self::Flag, Value::String(text)) => match &*text.trim().to_lowercase() {
                "true" | "1" | "yes" => Some(true.into()),
                "false" | "0" | "no" => Some(false.into()),
                _ => None,
            },
            (Self::Flag, Value::Number(number)) => Some((number.as_f64() != Some(0.0)).into()),
            // Flowise takes none that a model can write; a text in the form that it is told is one.
            (Self::Date, Value::String(text)) => as_said(text.parse::<jiff::Timestamp>().is_ok()),
            _ => None,
        }
    }
}

/// A tool that no file brings along.
#[derive(Debug)]
struct AbsentTool {
    id: String,
    spec: ToolSpec,
}

impl AbsentTool {
    fn new(id: &str) -> Self {
        let (name, description) = ("custom_tool".to_owned(), "This tool is not there.".to_owned());
        Self { id: id.to_owned(), spec: ToolSpec { name, description, parameters: parameters(&json!({}), &[]) } }
    }
}

impl Tool for AbsentTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, _arguments: &'a Value, _run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async { Err(Failure::flow(format!("Tool {} not found", self.id))) })
    }
}

#[cfg(test)]
mod tests;
