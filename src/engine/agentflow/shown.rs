//! What clients see of the steps of a run: one list of fields for each kind of node. What is not listed is not shown,
//! so addresses, headers, credentials and whatever a node keeps for itself stay inside.

use std::borrow::Borrow;

use serde_json::{Map, Value};

/// What of a value is shown.
enum ShownFields {
    All,
    /// Of an object these, of a list the same of each item, of anything else nothing.
    Only(&'static [(&'static str, ShownFields)]),
}

use ShownFields::{All, Only};

/// A kind of node.
struct ShownNode {
    name: &'static str,
    input: ShownFields,
    output: ShownFields,
    /// The input that lists further fields of the output, by their `key`.
    named_by: Option<&'static str>,
}

/// An executed step.
const STEP: [&str; 4] = ["nodeId", "nodeLabel", "previousNodeIds", "status"];
/// Of its data, beside `input` and `output`.
const DATA: [&str; 8] =
    ["id", "name", "state", "chatHistory", "error", "iterationIndex", "iterationContext", "parentNodeId"];

const CALL: ShownFields = Only(&[("name", All), ("args", All), ("id", All), ("type", All)]);

const MESSAGES: ShownFields = Only(&[
    ("role", All),
    ("content", All),
    ("tool_calls", CALL),
    ("additional_kwargs", All),
    ("usage_metadata", All),
    ("id", All),
    ("tool_call_id", All),
    ("name", All),
]);

/// Of a model's configuration.
const MODEL: ShownFields = Only(&[
    ("llmModel", All),
    ("agentModel", All),
    ("conditionAgentModel", All),
    ("humanInputModel", All),
    ("modelName", All),
    ("customModelName", All),
    ("temperature", All),
    ("streaming", All),
    ("cache", All),
    ("allowImageUploads", All),
    ("imageResolution", All),
    ("maxTokens", All),
    ("maxTokensToSample", All),
    ("maxOutputTokens", All),
    ("topP", All),
    ("topK", All),
    ("minP", All),
    ("frequencyPenalty", All),
    ("presencePenalty", All),
    ("repeatPenalty", All),
    ("repeatLastN", All),
    ("timeout", All),
    ("stop", All),
    ("stopSequence", All),
    ("strictToolCalling", All),
    ("reasoning", All),
    ("reasoningEffort", All),
    ("reasoningSummary", All),
    ("think", All),
    ("thinking", All),
    ("thinkingBudget", All),
    ("thinkingEffort", All),
    ("thinkingLevel", All),
    ("adaptiveThinking", All),
    ("extendedThinking", All),
    ("budgetTokens", All),
    ("jsonMode", All),
    ("keepAlive", All),
    ("numCtx", All),
    ("numGpu", All),
    ("numThread", All),
    ("mirostat", All),
    ("mirostatEta", All),
    ("mirostatTau", All),
    ("tfsZ", All),
    ("randomSeed", All),
    ("safeMode", All),
    ("safetySettings", All),
]);

const TOOLS: ShownFields = Only(&[
    ("agentSelectedTool", All),
    ("agentSelectedToolRequiresHumanInput", All),
    ("agentSelectedToolConfig", Only(&[("agentSelectedTool", All)])),
]);

const STORES: ShownFields =
    Only(&[("documentStore", All), ("docStoreDescription", All), ("returnSourceDocuments", All)]);

const KINDS: [ShownNode; 14] = [
    ShownNode {
        name: "startAgentflow",
        input: Only(&[("question", All), ("form", All)]),
        output: Only(&[("question", All), ("form", All), ("ephemeralMemory", All), ("persistState", All)]),
        named_by: None,
    },
    // Code may hold a key.
    ShownNode {
        name: "customFunctionAgentflow",
        input: Only(&[("inputVariables", All)]),
        output: Only(&[("content", All)]),
        named_by: None,
    },
    ShownNode {
        name: "llmAgentflow",
        input: Only(&[
            ("messages", MESSAGES),
            ("llmModel", All),
            ("llmModelConfig", MODEL),
            ("llmEnableMemory", All),
            ("llmMemoryType", All),
            ("llmMemoryWindowSize", All),
            ("llmMemoryMaxTokenLimit", All),
            ("llmUserMessage", All),
            ("llmReturnResponseAs", All),
            ("llmStructuredOutput", All),
            ("llmUpdateState", All),
        ]),
        output: Only(&[
            ("content", All),
            ("timeMetadata", All),
            ("calledTools", CALL),
            ("usageMetadata", All),
            ("responseMetadata", All),
            ("reasonContent", All),
        ]),
        named_by: Some("llmStructuredOutput"),
    },
    ShownNode {
        name: "agentAgentflow",
        input: Only(&[
            ("messages", MESSAGES),
            ("agentModel", All),
            ("agentModelConfig", MODEL),
            ("agentTools", TOOLS),
            ("agentKnowledgeDocumentStores", STORES),
            ("agentEnableMemory", All),
            ("agentMemoryType", All),
            ("agentMemoryWindowSize", All),
            ("agentMemoryMaxTokenLimit", All),
            ("agentUserMessage", All),
            ("agentReturnResponseAs", All),
            ("agentStructuredOutput", All),
            ("agentUpdateState", All),
        ]),
        output: Only(&[
            ("content", All),
            ("timeMetadata", All),
            ("calledTools", CALL),
            ("usageMetadata", All),
            ("responseMetadata", All),
            ("reasonContent", All),
            ("usedTools", All),
            ("sourceDocuments", All),
            ("availableTools", All),
            ("isWaitingForHumanInput", All),
            ("humanInputAction", All),
        ]),
        named_by: Some("agentStructuredOutput"),
    },
    ShownNode {
        name: "conditionAgentflow",
        input: Only(&[("conditions", All)]),
        output: Only(&[("conditions", All)]),
        named_by: None,
    },
    ShownNode {
        name: "conditionAgentAgentflow",
        input: Only(&[("messages", MESSAGES)]),
        output: Only(&[
            ("conditions", All),
            ("content", All),
            ("timeMetadata", All),
            ("usageMetadata", All),
            ("responseMetadata", All),
        ]),
        named_by: None,
    },
    ShownNode {
        name: "loopAgentflow",
        input: Only(&[("nodeID", All), ("maxLoopCount", All)]),
        output: Only(&[("content", All), ("nodeID", All), ("maxLoopCount", All), ("fallbackMessage", All)]),
        named_by: None,
    },
    ShownNode {
        name: "iterationAgentflow",
        input: Only(&[("iterationInput", All)]),
        output: Only(&[("iterationResults", All), ("content", All), ("humanInputAction", All)]),
        named_by: None,
    },
    ShownNode { name: "directReplyAgentflow", input: Only(&[]), output: Only(&[("content", All)]), named_by: None },
    ShownNode {
        name: "humanInputAgentflow",
        input: Only(&[
            ("messages", MESSAGES),
            ("humanInputEnableFeedback", All),
            ("type", All),
            ("startNodeId", All),
            ("feedback", All),
        ]),
        output: Only(&[("content", All), ("conditions", All), ("humanInputAction", All)]),
        named_by: None,
    },
    ShownNode {
        name: "httpAgentflow",
        // Neither where it goes nor what goes there, which may hold a key anywhere.
        input: Only(&[("http", Only(&[("method", All), ("bodyType", All), ("responseType", All)]))]),
        output: Only(&[("http", Only(&[("data", All), ("status", All), ("statusText", All)]))]),
        named_by: None,
    },
    ShownNode {
        name: "toolAgentflow",
        input: Only(&[
            ("toolInputArgs", Only(&[("inputArgName", All), ("inputArgValue", All)])),
            ("selectedTool", All),
        ]),
        output: Only(&[("content", All)]),
        named_by: None,
    },
    ShownNode {
        name: "executeFlowAgentflow",
        input: Only(&[("messages", MESSAGES)]),
        output: Only(&[("content", All), ("sourceDocuments", All), ("usedTools", All)]),
        named_by: None,
    },
    ShownNode {
        name: "retrieverAgentflow",
        input: Only(&[("question", All)]),
        output: Only(&[("content", All)]),
        named_by: None,
    },
];

/// Steps as clients see them.
pub(super) fn steps<V: Borrow<Value>>(executed: impl IntoIterator<Item = V>) -> Vec<Value> {
    executed.into_iter().map(|executed| step(executed.borrow())).collect()
}

/// What of a node's input is shown.
pub(super) fn input(kind: &str, input: &Value) -> Value {
    let known = KINDS.iter().find(|known| known.name == kind);
    known.and_then(|known| known.input.of(input)).unwrap_or_else(|| Map::new().into())
}

fn step(executed: &Value) -> Value {
    let fields = executed.as_object().into_iter().flatten();
    let shown = fields.filter_map(|(name, value)| match name.as_str() {
        "data" => Some((name.clone(), data(value))),
        known => STEP.contains(&known).then(|| (name.clone(), value.clone())),
    });
    Value::Object(shown.collect())
}

fn data(data: &Value) -> Value {
    let name = data.get("name").and_then(Value::as_str);
    let kind = KINDS.iter().find(|kind| Some(kind.name) == name);
    let fields = data.as_object().into_iter().flatten();
    let shown = fields.filter_map(|(name, value)| {
        let shown = match name.as_str() {
            "input" => kind?.input.of(value)?,
            "output" => without_refusal(kind?.output(value, data.get("input"))?),
            known => DATA.contains(&known).then(|| value.clone())?,
        };
        Some((name.clone(), shown))
    });
    Value::Object(shown.collect())
}

/// What an API says where it fails may tell of its inside: the flow is given it, and visitors see the status.
fn without_refusal(mut output: Value) -> Value {
    if let Some(http) = output.get_mut("http").and_then(Value::as_object_mut)
        && http.get("status").and_then(Value::as_u64).is_some_and(|status| !(200..300).contains(&status))
    {
        http.shift_remove("data");
    }
    output
}

impl ShownNode {
    fn output(&self, output: &Value, input: Option<&Value>) -> Option<Value> {
        let named = self.named_by.and_then(|list| input?.get(list)?.as_array());
        let is_named = |name: &str| {
            named.into_iter().flatten().any(|field| field.get("key").and_then(Value::as_str) == Some(name))
        };
        let Only(listed) = &self.output else { return Some(output.clone()) };
        let shown = output.as_object()?.iter().filter_map(|(name, value)| {
            let fields = listed.iter().find(|(known, _)| known == name).map(|(_, fields)| fields);
            let shown = match fields {
                Some(fields) => fields.of(value),
                None => is_named(name).then(|| value.clone()),
            };
            Some((name.clone(), shown?))
        });
        Some(Value::Object(shown.collect()))
    }
}

impl ShownFields {
    fn of(&self, value: &Value) -> Option<Value> {
        let Self::Only(listed) = self else { return Some(value.clone()) };
        match value {
            Value::Array(items) => Some(items.iter().filter_map(|item| self.of(item)).collect()),
            Value::Object(fields) => {
                let shown = fields.iter().filter_map(|(name, value)| {
                    let (_, fields) = listed.iter().find(|(known, _)| known == name)?;
                    Some((name.clone(), fields.of(value)?))
                });
                Some(Value::Object(shown.collect()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_node_has_a_list() {
        for kind in &KINDS {
            assert!(super::super::nodes::find(kind.name).is_some(), "{}", kind.name);
        }
        assert_eq!(KINDS.len(), super::super::nodes::names().count());
    }

    #[test]
    fn what_is_not_listed_is_not_shown() {
        let executed = json!([
            {
                "nodeId": "a", "nodeLabel": "A", "previousNodeIds": [], "status": "FINISHED", "more": 1,
                "data": {
                    "id": "a", "name": "httpAgentflow", "state": {}, "pending": { "x": 1 },
                    "input": { "http": { "method": "GET", "url": "http://x", "headers": [1], "body": "b", "queryParams": [] } },
                    "output": { "http": { "data": 1, "status": 200, "headers": { "location": "/x" } } },
                },
            },
            { "nodeId": "b", "data": { "name": "unknown", "input": { "a": 1 }, "output": { "b": 2 } } },
            {
                "nodeId": "c",
                "data": { "name": "httpAgentflow", "output": { "http": { "data": { "path": "/srv" }, "status": 500 } } },
            },
        ]);
        let shown = Value::from(steps(executed.as_array().unwrap()));
        let expected = json!([
            {
                "nodeId": "a", "nodeLabel": "A", "previousNodeIds": [], "status": "FINISHED",
                "data": {
                    "id": "a", "name": "httpAgentflow", "state": {},
                    "input": { "http": { "method": "GET" } }, "output": { "http": { "data": 1, "status": 200 } },
                },
            },
            { "nodeId": "b", "data": { "name": "unknown" } },
            { "nodeId": "c", "data": { "name": "httpAgentflow", "output": { "http": { "status": 500 } } } },
        ]);
        assert_eq!(shown, expected);
    }

    #[test]
    fn fields_that_an_author_names_are_part_of_the_answer() {
        let input = json!({
            "llmModelConfig": { "modelName": "m", "credential": "c", "basepath": "http://x", "baseOptions": {} },
            "llmStructuredOutput": [{ "key": "city", "type": "string" }],
        });
        let data =
            json!({ "name": "llmAgentflow", "input": input, "output": { "content": "{}", "city": "Bern", "more": 1 } });
        let shown = super::data(&data);
        assert_eq!(shown["output"], json!({ "content": "{}", "city": "Bern" }));
        assert_eq!(shown["input"]["llmModelConfig"], json!({ "modelName": "m" }));
    }
}
