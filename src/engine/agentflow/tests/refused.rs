//! What is refused when a flow is loaded, and how that is said.

use std::sync::Arc;

use serde_json::{Value, json};

use super::draw::{Drawing, model};
use crate::engine::compile::context::CompileContext;
use crate::engine::flow::CompiledFlow;
use crate::engine::models::lab;
use crate::engine::provider::Targets;
use crate::engine::testing::predict;
use crate::telemetry::metrics::Metrics;

fn loaded(flow: &Drawing) -> Result<CompiledFlow, Vec<String>> {
    let metrics = Arc::new(Metrics::new().unwrap());
    let context = Arc::new(CompileContext::new(lab::credentials(), Targets::alone("test", &metrics)));
    let export = flow.export().replace("LLM_BASE_PATH_PLACEHOLDER", "127.0.0.1:1");
    CompiledFlow::load(None, "flow", &export, &context)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn problems(flow: &Drawing) -> Vec<String> {
    loaded(flow).err().unwrap_or_default()
}

fn with(kind: &str, inputs: &Value) -> Drawing {
    Drawing::new(&json!({})).node("it", kind, inputs).line(&["start", "it"])
}

#[test]
fn what_cannot_be_run_says_where_and_why() {
    let refused = [
        (with("newAgentflow", &json!({})), "node \"it\" (newAgentflow): Flowise 3.1.4 has no such node any more"),
        (
            with("llmAgentflow", &model("llm", json!({ "llmEnableMemory": true, "llmMemoryMaxTokenLimit": "few" }))),
            "node \"it\" (llmAgentflow), input llmMemoryMaxTokenLimit: expected a number, not few",
        ),
        (
            with("agentAgentflow", &model("agent", json!({ "agentToolsBuiltInAnthropic": "[\"web_fetch\"]" }))),
            "node \"it\" (agentAgentflow), input agentToolsBuiltInAnthropic: the engine does not know tools that are built into a model",
        ),
        (
            with(
                "agentAgentflow",
                &model("agent", json!({ "agentTools": [{ "agentSelectedTool": "codeInterpreterE2B" }] })),
            ),
            "node \"it\" (agentAgentflow), input agentTools: codeInterpreterE2B: the engine runs no code but JavaScript: Custom MCP with \
             a server that runs Python does",
        ),
        (
            with("agentAgentflow", &model("agent", json!({ "agentToolsBuiltInOpenAI": "[\"web_search_preview\"]" }))),
            "node \"it\" (agentAgentflow), input agentToolsBuiltInOpenAI: the engine does not know tools that are built into a model",
        ),
        (
            with("httpAgentflow", &json!({ "url": "https://{{ $form.host }}/x" })),
            "node \"it\" (httpAgentflow), input url: where the address leads must not depend on the request",
        ),
        (
            with("loopAgentflow", &json!({ "loopBackToNode": "gone-Gone" })),
            "node \"it\" (loopAgentflow), input loopBackToNode: there is no such node in the flow",
        ),
        (
            with("executeFlowAgentflow", &json!({ "executeFlowSelectedFlow": "x", "executeFlowBaseURL": "x" })),
            "node \"it\" (executeFlowAgentflow), input executeFlowBaseURL: expected a URL such as https://api.example.com/items",
        ),
        (
            Drawing::new(&json!({ "startInputType": "webhookTrigger" })),
            "node \"start\" (startAgentflow), input startInputType: the engine has no webhooks; flows start with a question or a form",
        ),
        (
            with("iterationAgentflow", &json!({ "iterationInput": "[1]" }))
                .node("ask", "humanInputAgentflow", &json!({ "humanInputDescriptionType": "fixed" }))
                .inside("it"),
            "node \"ask\" (humanInputAgentflow): it is inside an iteration, where nobody can be asked",
        ),
    ];
    for (flow, problem) in refused {
        assert_eq!(problems(&flow), [problem]);
    }
}

#[test]
fn what_its_author_left_empty_is_told_when_somebody_comes_to_it() {
    let tool = |name: &str, config: Value| json!([{ "agentSelectedTool": name, "agentSelectedToolConfig": config }]);
    let agent = |more: Value| with("agentAgentflow", &model("agent", more));
    let empty = [
        (with("retrieverAgentflow", &json!({})), "retrieverKnowledgeDocumentStores"),
        (with("customFunctionAgentflow", &json!({})), "customFunctionJavascriptFunction"),
        (with("llmAgentflow", &json!({ "llmModel": "" })), "llmModel"),
        (with("llmAgentflow", &json!({ "llmModel": "chatOpenAI" })), "modelName of chatOpenAI"),
        (with("httpAgentflow", &json!({ "method": "GET", "url": "" })), "url"),
        (with("httpAgentflow", &json!({ "method": "GET", "url": "your address" })), "url"),
        (with("conditionAgentflow", &json!({ "conditions": "" })), "conditions"),
        (with("toolAgentflow", &json!({ "toolAgentflowSelectedTool": "" })), "toolAgentflowSelectedTool"),
        (with("loopAgentflow", &json!({ "loopBackToNode": "" })), "loopBackToNode"),
        (with("iterationAgentflow", &json!({})), "iterationInput"),
        (with("executeFlowAgentflow", &json!({})), "executeFlowSelectedFlow"),
        (with("conditionAgentAgentflow", &model("conditionAgent", json!({}))), "conditionAgentScenarios"),
        (agent(json!({ "agentTools": tool("", json!("")) })), "agentTools"),
        (agent(json!({ "agentTools": tool("requestsGet", json!({})) })), "requestsGetUrl of requestsGet"),
        (agent(json!({ "agentTools": tool("openAPIToolkit", json!({})) })), "openApiFile of openAPIToolkit"),
        (
            agent(json!({ "agentKnowledgeDocumentStores": [{ "docStoreDescription": "x" }] })),
            "agentKnowledgeDocumentStores",
        ),
        (agent(json!({ "agentKnowledgeVSEmbeddings": [{ "vectorStore": "qdrant" }] })), "agentKnowledgeVSEmbeddings"),
    ];
    for (flow, field) in empty {
        let flow = loaded(&flow).unwrap();
        let needs: Vec<String> = flow.missing.iter().map(|missing| missing.need.to_string()).collect();
        assert_eq!(needs, [field]);
        let failed = predict(&flow, &json!({ "question": "q" }), &[]).reply.unwrap_err().to_string();
        assert_eq!(failed, format!("Nothing is set in {field} of the node \"it\"."));
    }
}

#[test]
fn what_flowise_passes_over_and_what_nothing_leads_to_is_no_matter() {
    let stray = model("llm", json!({ "llmNew": "x" }));
    let flow = with("llmAgentflow", &stray).node("loose", "customFunctionAgentflow", &json!({}));
    assert_eq!(problems(&flow.line(&["loose", "loose2"]).node("loose2", "oddAgentflow", &json!({}))), [""; 0]);
    assert_eq!(problems(&Drawing::new(&json!({ "startInputType": null }))), [""; 0]);
}

#[test]
fn all_that_is_wrong_with_a_node_is_told() {
    let start = json!({ "startInputType": "webhookTrigger", "startState": "no list" });
    assert_eq!(problems(&Drawing::new(&start)).len(), 2);
    let http = json!({ "method": "HEAD", "url": "https://{{ $form.host }}/x", "headers": "x", "responseType": "xml" });
    assert_eq!(problems(&with("httpAgentflow", &http)).len(), 4);
}

#[test]
fn what_is_set_and_empty_is_no_matter() {
    let inputs =
        model("agent", json!({ "agentTools": "", "agentToolsBuiltInGemini": "[]", "agentKnowledgeVSEmbeddings": [] }));
    assert_eq!(problems(&with("agentAgentflow", &inputs)), [""; 0]);
    assert_eq!(problems(&with("humanInputAgentflow", &json!({ "humanInputDescription": "Well?" }))), [""; 0]);
    assert_eq!(problems(&with("conditionAgentflow", &json!({ "conditions": [] }))), [""; 0]);
    // Rows that nobody has filled in.
    let rows = json!({ "llmUpdateState": [{ "value": "x" }], "llmStructuredOutput": [{ "key": "a" }, { "key": "b", "type": "" }] });
    assert_eq!(problems(&with("llmAgentflow", &model("llm", rows))), [""; 0]);
}

#[test]
fn iterations_that_never_end_are_refused() {
    let each = json!({ "iterationInput": "[1]" });
    let mut around = Drawing::new(&json!({})).node("i0", "iterationAgentflow", &each).line(&["start", "i0"]);
    for depth in 1..4 {
        around = around.node(&format!("i{depth}"), "iterationAgentflow", &each).inside(&format!("i{}", depth - 1));
    }
    assert_eq!(problems(&around), Vec::<String>::new());
    let one = Drawing::new(&json!({})).node("it", "iterationAgentflow", &each).inside("it").line(&["start", "it"]);
    let two = Drawing::new(&json!({})).node("a", "iterationAgentflow", &each).inside("b");
    let two = two.node("b", "iterationAgentflow", &each).inside("a").line(&["start", "a"]);
    for endless in [one, two] {
        let found = problems(&endless).join("\n");
        assert!(found.contains("iterations lie too deep within each other, or one in itself"), "{found}");
    }
}
