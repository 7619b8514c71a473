//! Containers: what is in them, section by section.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::record::{FlowRecord, MessageRecord, VariableRecord};
use super::stray::LenientRecords;
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
    chat_flow: LenientRecords<FlowRecord>,
    agent_flow: LenientRecords<FlowRecord>,
    #[serde(rename = "AgentFlowV2")]
    agent_flow_v2: LenientRecords<FlowRecord>,
    assistant_flow: LenientRecords<FlowRecord>,
}

impl FlowSections {
    fn all(self) -> LenientRecords<FlowRecord> {
        let Self { chat_flow, agent_flow, agent_flow_v2, assistant_flow } = self;
        let mut flows = LenientRecords::default();
        for section in [chat_flow, agent_flow, agent_flow_v2, assistant_flow] {
            flows.all.extend(section.all);
            flows.strays += section.strays;
        }
        flows
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct OtherSections {
    tool: LenientRecords<Value>,
    variable: LenientRecords<VariableRecord>,
    document_store: LenientRecords<Value>,
    document_store_file_chunk: LenientRecords<Value>,
    chat_message: LenientRecords<MessageRecord>,
    assistant: LenientRecords<IgnoredAny>,
    assistant_custom: LenientRecords<IgnoredAny>,
    #[serde(rename = "AssistantOpenAI")]
    assistant_open_ai: LenientRecords<IgnoredAny>,
    assistant_azure: LenientRecords<IgnoredAny>,
    custom_template: LenientRecords<IgnoredAny>,
    execution: LenientRecords<IgnoredAny>,
    chat_message_feedback: LenientRecords<IgnoredAny>,
}

impl OtherSections {
    fn strays(&self) -> usize {
        let of_values =
            [&self.tool, &self.document_store, &self.document_store_file_chunk].map(|section| section.strays);
        of_values.iter().sum::<usize>() + self.variable.strays + self.chat_message.strays
    }
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

/// The export in the record of one flow, see [`FlowRecord::into_export`]; `None`: the text is no such record.
pub(crate) fn unwrapped(text: &str) -> Option<String> {
    if !is_single(text) {
        return None;
    }
    json::read_str::<FlowRecord>(text).ok()?.into_export()
}

/// The flows of a container, or of a record by itself.
///
/// # Errors
/// It cannot be read, or is none.
pub(crate) fn flows_in(text: &str) -> Result<Vec<FlowRecord>, String> {
    match shape(text) {
        Some(Shape::Sections) => parsed::<FlowSections>(text).map(|sections| sections.all().all),
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
    if !matches!(shape(text), Some(Shape::Sections)) {
        return Ok(Container { flows: flows_in(text)?, ..Container::default() });
    }
    let flows = parsed::<FlowSections>(text)?.all();
    let sections: OtherSections = parsed(text)?;
    let others = [
        ("assistants of 2.x", sections.assistant.all.len()),
        // Their flows are among the flows.
        ("custom assistants", sections.assistant_custom.all.len()),
        ("OpenAI assistants", sections.assistant_open_ai.all.len()),
        ("Azure assistants", sections.assistant_azure.all.len()),
        ("templates", sections.custom_template.all.len()),
        ("executions", sections.execution.all.len()),
        ("ratings", sections.chat_message_feedback.all.len()),
        ("records that are none", flows.strays + sections.strays()),
    ];
    Ok(Container {
        flows: flows.all,
        tools: sections.tool.all,
        variables: sections.variable.all,
        stores: sections.document_store.all,
        chunks: sections.document_store_file_chunk.all,
        messages: sections.chat_message.all,
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
    fn what_is_no_record_loses_none() {
        let flow = json!({ "id": "1", "name": "a", "flowData": "{}" });
        for (section, stray, strays) in [
            ("ChatFlow", json!([flow, null, 1, [flow], "x"]), 4),
            ("ChatMessage", json!([null, { "role": [] }, [{}]]), 2),
            ("Variable", json!({ "name": "x" }), 1),
            ("Tool", json!("x"), 1),
            ("DocumentStore", json!([1.5, true]), 2),
            ("Execution", json!(7), 0),
        ] {
            let mut text = json!({ "ChatFlow": [flow] });
            text[section] = stray;
            let read = read(&text.to_string()).unwrap();
            assert_eq!(read.flows.len(), 1, "{text}");
            let expected: &[_] = if strays > 0 { &[("records that are none", strays)] } else { &[] };
            assert_eq!(read.others, expected, "{text}");
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
