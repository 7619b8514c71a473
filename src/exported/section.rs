//! Containers: what is in them, section by section.

use std::collections::HashMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::record::{FlowRecord, MessageRecord, VariableRecord};
use crate::wire::json;

/// All of a container.
#[derive(Debug, Default)]
pub(crate) struct Container {
    pub(crate) flows: Vec<FlowRecord>,
    pub(crate) tools: Vec<Value>,
    pub(crate) variables: Vec<VariableRecord>,
    pub(crate) stores: Vec<Value>,
    /// Passages of stores.
    pub(crate) chunks: Vec<Value>,
    pub(crate) messages: Vec<MessageRecord>,
    /// How many of what nothing else knows.
    pub(crate) others: Vec<(&'static str, usize)>,
}

/// Sections of an export of everything, of 2.x and of 3.x.
const SECTIONS: [&str; 16] = [
    "AgentFlow",
    "AgentFlowV2",
    "Assistant",
    "AssistantAzure",
    "AssistantCustom",
    "AssistantFlow",
    "AssistantOpenAI",
    "ChatFlow",
    "ChatMessage",
    "ChatMessageFeedback",
    "CustomTemplate",
    "DocumentStore",
    "DocumentStoreFileChunk",
    "Execution",
    "Tool",
    "Variable",
];

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct FlowSections {
    #[serde(deserialize_with = "list")]
    chat_flow: Vec<FlowRecord>,
    #[serde(deserialize_with = "list")]
    agent_flow: Vec<FlowRecord>,
    #[serde(rename = "AgentFlowV2", deserialize_with = "list")]
    agent_flow_v2: Vec<FlowRecord>,
    #[serde(deserialize_with = "list")]
    assistant_flow: Vec<FlowRecord>,
}

impl FlowSections {
    fn all(self) -> Vec<FlowRecord> {
        let Self { chat_flow, agent_flow, agent_flow_v2, assistant_flow } = self;
        chat_flow.into_iter().chain(agent_flow).chain(agent_flow_v2).chain(assistant_flow).collect()
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct OtherSections {
    #[serde(deserialize_with = "list")]
    tool: Vec<Value>,
    #[serde(deserialize_with = "list")]
    variable: Vec<VariableRecord>,
    #[serde(deserialize_with = "list")]
    document_store: Vec<Value>,
    #[serde(deserialize_with = "list")]
    document_store_file_chunk: Vec<Value>,
    #[serde(deserialize_with = "list")]
    chat_message: Vec<MessageRecord>,
    #[serde(deserialize_with = "list")]
    assistant: Vec<IgnoredAny>,
    #[serde(deserialize_with = "list")]
    assistant_custom: Vec<IgnoredAny>,
    #[serde(rename = "AssistantOpenAI", deserialize_with = "list")]
    assistant_open_ai: Vec<IgnoredAny>,
    #[serde(deserialize_with = "list")]
    assistant_azure: Vec<IgnoredAny>,
    #[serde(deserialize_with = "list")]
    custom_template: Vec<IgnoredAny>,
    #[serde(deserialize_with = "list")]
    execution: Vec<IgnoredAny>,
    #[serde(deserialize_with = "list")]
    chat_message_feedback: Vec<IgnoredAny>,
}

/// `null` where there is nothing.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What stands in the place of a flow, as far as it decides what a text is.
#[derive(Deserialize)]
struct RecordProbe {
    nodes: Option<IgnoredAny>,
    #[serde(rename = "flowData")]
    flow_data: Option<IgnoredAny>,
}

/// What the API answers where a page of a list is asked for.
#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
}

enum Shape {
    /// Of *Settings ▸ Export*.
    Sections,
    /// Of the API, in a list.
    Records,
    /// Of the API, by itself.
    Record,
    /// Of the API, a page of a list.
    Page,
}

fn shape(text: &str) -> Option<Shape> {
    if text.trim_start().starts_with('[') {
        let records: Vec<RecordProbe> = json::read_str(text).ok()?;
        let is_record = |probe: &RecordProbe| probe.nodes.is_some() || probe.flow_data.is_some();
        return (!records.is_empty() && records.iter().all(is_record)).then_some(Shape::Records);
    }
    let probe: RecordProbe = json::read_str(text).ok()?;
    if probe.nodes.is_some() {
        return None;
    }
    if probe.flow_data.is_some() {
        return Some(Shape::Record);
    }
    #[allow(clippy::zero_sized_map_values, reason = "what the names stand for is read over")]
    let names: HashMap<String, IgnoredAny> = json::read_str(text).ok()?;
    if names.contains_key("data") {
        let page: Page<RecordProbe> = json::read_str(text).ok()?;
        return page.data.iter().any(|probe| probe.flow_data.is_some()).then_some(Shape::Page);
    }
    names.keys().any(|name| SECTIONS.contains(&&**name)).then_some(Shape::Sections)
}

/// Whether a text holds several records, and is no flow by itself.
pub(crate) fn is_container(text: &str) -> bool {
    matches!(shape(text), Some(Shape::Sections | Shape::Records | Shape::Page))
}

/// Whether a text is the record of one flow.
pub(crate) fn is_single(text: &str) -> bool {
    matches!(shape(text), Some(Shape::Record))
}

/// The export in the record of one flow; `None`: the text is no such record.
pub(crate) fn unwrapped(text: &str) -> Option<String> {
    if !is_single(text) {
        return None;
    }
    json::read_str::<FlowRecord>(text).ok()?.flow_data
}

/// The flows of a container, or of a record by itself.
///
/// # Errors
/// It cannot be read, or is none.
pub(crate) fn flows_in(text: &str) -> Result<Vec<FlowRecord>, String> {
    match shape(text) {
        Some(Shape::Sections) => parsed::<FlowSections>(text).map(FlowSections::all),
        Some(Shape::Records) => parsed::<Vec<Value>>(text)?.into_iter().map(record).collect(),
        Some(Shape::Page) => parsed::<Page<FlowRecord>>(text).map(|page| page.data),
        Some(Shape::Record) => Ok(vec![parsed::<FlowRecord>(text)?]),
        None => Err("no export of Flowise's: it has neither flows nor nodes".to_owned()),
    }
}

/// A flow in a list: a record, or an export by itself.
fn record(value: Value) -> Result<FlowRecord, String> {
    if value.get("flowData").is_none() {
        return Ok(FlowRecord { flow_data: Some(value.to_string()), ..FlowRecord::default() });
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// All that is in a container, or in a record by itself.
///
/// # Errors
/// As [`flows_in`].
pub(crate) fn read(text: &str) -> Result<Container, String> {
    let flows = flows_in(text)?;
    if !matches!(shape(text), Some(Shape::Sections)) {
        return Ok(Container { flows, ..Container::default() });
    }
    let sections: OtherSections = parsed(text)?;
    let others = [
        ("assistants of 2.x", sections.assistant.len()),
        // Their flows are among the flows.
        ("custom assistants", sections.assistant_custom.len()),
        ("OpenAI assistants", sections.assistant_open_ai.len()),
        ("Azure assistants", sections.assistant_azure.len()),
        ("templates", sections.custom_template.len()),
        ("executions", sections.execution.len()),
        ("ratings", sections.chat_message_feedback.len()),
    ];
    Ok(Container {
        flows,
        tools: sections.tool,
        variables: sections.variable,
        stores: sections.document_store,
        chunks: sections.document_store_file_chunk,
        messages: sections.chat_message,
        others: others.into_iter().filter(|(_, count)| *count > 0).collect(),
    })
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    json::read_str(text).map_err(|error| format!("it is no export of Flowise's: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(text: &Value) -> Vec<String> {
        let flows = flows_in(&text.to_string()).unwrap();
        flows.into_iter().map(|flow| flow.name.unwrap_or_default()).collect()
    }

    #[test]
    fn every_shape_gives_its_flows() {
        let flow = |name: &str| json!({ "id": "1", "name": name, "flowData": "{\"nodes\":[],\"edges\":[]}" });
        let older = json!({ "ChatFlow": [flow("a")], "AgentFlow": [flow("b")], "Tool": [{}], "Variable": [], "Assistant": [{}] });
        assert_eq!(names(&older), ["a", "b"]);
        let newer = json!({ "FileDefaultName": "ExportData.json", "AgentFlowV2": [flow("c")], "AssistantFlow": [flow("d")],
            "ChatFlow": null, "Execution": [{}, {}] });
        assert_eq!(names(&newer), ["c", "d"]);
        assert_eq!(read(&newer.to_string()).unwrap().others, [("executions", 2)]);
        assert_eq!(names(&json!([flow("e"), { "nodes": [] }])), ["e", ""]);
        assert_eq!(names(&json!({ "data": [flow("g")], "total": 1 })), ["g"]);
        assert_eq!(names(&flow("f")), ["f"]);
        assert!(is_container(&older.to_string()) && is_container(&newer.to_string()));
        assert!(is_single(&flow("f").to_string()) && !is_container(&flow("f").to_string()));
        for other in
            [json!({ "nodes": [], "Tool": [] }), json!({}), json!([]), json!([1]), json!("x"), json!({ "a": 1 })]
        {
            assert!(!is_container(&other.to_string()), "{other}");
        }
    }

    #[test]
    fn what_is_written_as_json_itself_is_read_as_well() {
        let text =
            json!({ "name": 7, "flowData": { "nodes": [] }, "apiConfig": { "rateLimit": {} }, "chatbotConfig": null });
        let [flow] = &flows_in(&text.to_string()).unwrap()[..] else { panic!("one flow") };
        assert_eq!(flow.flow_data.as_deref(), Some("{\"nodes\":[]}"));
        assert_eq!((flow.name.as_deref(), flow.chatbot_config.as_deref()), (Some("7"), None));
    }
}
