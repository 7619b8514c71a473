//! What Flowise's clients ask of a flow before they talk to it: whether it streams, what may be uploaded, and the form
//! that it starts with. Read from the export as Flowise 3.1.4 reads it.

use serde_json::{Map, Value, json};

use super::attachments::AttachmentRules;
use super::follow_ups;
use crate::engine::compile::export::{Export, ExportNode, Generation};
use crate::engine::scripts::post_processor;

/// Answers in which images of a request count.
const SEES_IMAGES: &[&str] =
    &["llmChain", "conversationChain", "reactAgentChat", "conversationalAgent", "toolAgent", "supervisor", "seqStart"];
/// Agents that tell their answer as it comes, and chains that do not.
const STREAMING_AGENTS: &[&str] = &[
    "csvAgent",
    "airtableAgent",
    "toolAgent",
    "conversationalRetrievalToolAgent",
    "openAIToolAgentLlamaIndex",
    "openAIAssistant",
    // Of earlier versions.
    "openAIToolAgent",
    "openAIFunctionAgent",
    "mistralAIToolAgent",
    "conversationalRetrievalAgent",
];
/// Engines that do as well.
const STREAMING_ENGINES: &[&str] = &["contextChatEngine", "simpleChatEngine", "queryEngine", "subQuestionQueryEngine"];
const WHOLE_CHAINS: &[&str] = &["openApiChain", "vectaraQAChain"];
/// Models of before there was a switch for it.
const STREAMING_MODELS: &[&str] = &[
    "azureChatOpenAI",
    "chatOpenAI",
    "chatOpenAI_LlamaIndex",
    "chatAnthropic_LlamaIndex",
    "chatOpenAICustom",
    "chatAnthropic",
    "chatOllama",
    "awsChatBedrock",
    "chatMistralAI",
    "chatAlibabaTongyi",
    "groqChat",
    "chatCohere",
    "chatGoogleGenerativeAI",
    "chatTogetherAI",
    "chatFireworks",
    "ChatSambanova",
    "chatBaiduWenxin",
    "chatCometAPI",
    "azureOpenAI",
    "openAI",
    "ollama",
];
/// Inputs of an agentflow's nodes that hold a model's settings.
const MODEL_SETTINGS: &[&str] = &["agentModelConfig", "llmModelConfig", "conditionAgentModelConfig"];

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct FlowInfo {
    /// `false`: a prediction that asks for a stream is answered in one piece.
    pub(crate) streams: bool,
    /// As Flowise answers `chatflows-uploads`.
    pub(crate) uploads: Value,
    /// As Flowise answers `public-chatbotConfig`, as far as an export knows it.
    pub(crate) chatbot: Value,
    /// What becomes of files that are given to a chat; `None`: none are taken.
    pub(crate) attachments: Option<AttachmentRules>,
}

impl FlowInfo {
    pub(crate) fn of(export: &Export) -> Self {
        let uploads = uploads(export);
        let mut chatbot = json!({ "uploads": uploads, "isTTSEnabled": false });
        let start = export.nodes.iter().find(|node| node.data.name == "startAgentflow");
        if let (Some(start), Some(fields)) = (start, chatbot.as_object_mut()) {
            let data = json!({ "name": start.data.name, "inputs": start.data.inputs });
            fields.insert("flowData".to_owned(), json!({ "nodes": [{ "data": data }] }).to_string().into());
        }
        let attachments = AttachmentRules::of(export.chatbot_config.as_ref());
        if let (Some(rules), Some(fields)) = (&attachments, chatbot.as_object_mut()) {
            fields.insert("fullFileUpload".to_owned(), rules.shown());
        }
        if let (Some(prompts), Some(fields)) = (starter_prompts(export), chatbot.as_object_mut()) {
            fields.insert("starterPrompts".to_owned(), prompts);
        }
        if follow_ups::settings(export).is_some()
            && let Some(fields) = chatbot.as_object_mut()
        {
            fields.insert("followUpPrompts".to_owned(), json!({ "status": true }));
        }
        let is_whole = post_processor::is_on(export.chatbot_config.as_ref());
        Self { streams: streams(export) && !is_whole, uploads, chatbot, attachments }
    }
}

/// What the widget offers to ask first.
fn starter_prompts(export: &Export) -> Option<Value> {
    let settings = export.chatbot_config.as_ref()?;
    settings.get("starterPrompts").filter(|prompts| prompts.is_object()).cloned()
}

fn uploads(export: &Export) -> Value {
    let is_allowed = if export.is_agentflow() {
        export.nodes.iter().any(|node| {
            let mut settings = MODEL_SETTINGS.iter().filter_map(|name| node.data.inputs.get(*name)?.as_object());
            settings.any(allows_images)
        })
    } else {
        let has_answer = export.nodes.iter().any(|node| SEES_IMAGES.contains(&&*node.data.name));
        has_answer && models(export).any(|model| allows_images(&model.data.inputs))
    };
    let types = ["image/gif", "image/jpeg", "image/png", "image/webp", ""];
    let images = if is_allowed { json!([{ "fileTypes": types, "maxUploadSize": 5 }]) } else { json!([]) };
    json!({
        "isSpeechToTextEnabled": false,
        "isImageUploadAllowed": is_allowed,
        "isRAGFileUploadAllowed": false,
        "imgUploadSizeAndTypes": images,
        "fileUploadSizeAndTypes": [],
    })
}

fn models(export: &Export) -> impl Iterator<Item = &ExportNode> {
    export.nodes.iter().filter(|node| matches!(&*node.data.category, "Chat Models" | "LLMs"))
}

fn allows_images(inputs: &Map<String, Value>) -> bool {
    inputs.get("allowImageUploads").is_some_and(|value| is(value, true))
}

fn streams(export: &Export) -> bool {
    if export.generation() != Generation::Chatflow {
        return true;
    }
    // On, off, or with a switch that says neither.
    let says = |model: &ExportNode| match model.data.inputs.get("streaming") {
        None => Some(STREAMING_MODELS.contains(&&*model.data.name)),
        Some(value) if is(value, true) => Some(true),
        Some(value) => is(value, false).then_some(false),
    };
    let said: Vec<bool> = models(export).filter_map(says).collect();
    let has_parser = export.nodes.iter().any(|node| node.data.category.contains("Output Parser"));
    // An answer that code makes is there at once.
    let is_code = |end: &&ExportNode| end.data.outputs.get("output").is_some_and(|output| output == "EndingNode");
    let is_coded = export.ends().iter().any(is_code);
    !is_coded && !has_parser && !said.contains(&false) && said.contains(&true) && export.ends().pop().is_some_and(tells)
}

fn tells(end: &ExportNode) -> bool {
    match &*end.data.category {
        "Agents" => STREAMING_AGENTS.contains(&&*end.data.name),
        "Engine" => STREAMING_ENGINES.contains(&&*end.data.name),
        category => category == "Chains" && !WHOLE_CHAINS.contains(&&*end.data.name),
    }
}

/// A switch, as Flowise's editors write it.
fn is(value: &Value, wanted: bool) -> bool {
    *value == wanted || value.as_str() == Some(if wanted { "true" } else { "false" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(name: &str, change: impl FnOnce(&mut Value)) -> Export {
        let path = format!("{}/tests/flowise/flows/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let mut flow: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        change(&mut flow);
        serde_json::from_value(flow).unwrap()
    }

    #[test]
    fn a_flow_streams_as_in_flowise() {
        assert!(FlowInfo::of(&export("llm-chain", |_| {})).streams);
        assert!(FlowInfo::of(&export("agentflow-llm", |_| {})).streams);
        assert!(FlowInfo::of(&export("tool-agent", |_| {})).streams);
        let off = export("llm-chain", |flow| flow["nodes"][0]["data"]["inputs"]["streaming"] = false.into());
        assert!(!FlowInfo::of(&off).streams);
        let parsed = export("llm-chain", |flow| {
            let parser = json!({ "id": "csv_0", "data": { "name": "csvOutputParser", "category": "Output Parsers" } });
            flow["nodes"].as_array_mut().unwrap().push(parser);
        });
        assert!(!FlowInfo::of(&parsed).streams);
    }

    #[test]
    fn the_ends_of_a_flow_say_whether_it_streams() {
        let loose = |flow: &mut Value| {
            let store = json!({ "id": "s_0", "data": { "name": "memoryVectorStore", "category": "Vector Stores" } });
            let embeddings = json!({ "id": "e_0", "data": { "name": "openAIEmbeddings", "category": "Embeddings" } });
            flow["nodes"].as_array_mut().unwrap().extend([store, embeddings]);
            flow["edges"].as_array_mut().unwrap().push(json!({ "source": "e_0", "target": "s_0" }));
        };
        assert!(FlowInfo::of(&export("conversation-chain", loose)).streams);
        for (streaming, streams) in
            [(json!(""), false), (json!("true"), true), (Value::Null, false), (json!("false"), false)]
        {
            let set = |flow: &mut Value| flow["nodes"][0]["data"]["inputs"]["streaming"] = streaming.clone();
            assert_eq!(FlowInfo::of(&export("llm-chain", set)).streams, streams, "{streaming}");
        }
        let unset =
            |flow: &mut Value| _ = flow["nodes"][0]["data"]["inputs"].as_object_mut().unwrap().remove("streaming");
        assert!(FlowInfo::of(&export("llm-chain", unset)).streams);
    }

    #[test]
    fn images_may_come_where_a_model_sees_them() {
        // wire/21: this flow, the same answer.
        let info = FlowInfo::of(&export("llm-chain-chat-prompt", |_| {}));
        let expected = r#"{"isSpeechToTextEnabled":false,"isImageUploadAllowed":true,"isRAGFileUploadAllowed":false,"imgUploadSizeAndTypes":[{"fileTypes":["image/gif","image/jpeg","image/png","image/webp",""],"maxUploadSize":5}],"fileUploadSizeAndTypes":[]}"#;
        assert_eq!(info.uploads.to_string(), expected);
        assert_eq!(FlowInfo::of(&export("llm-chain", |_| {})).uploads["isImageUploadAllowed"], false);
        let seeing = |flow: &mut Value| {
            let nodes = flow["nodes"].as_array_mut().unwrap();
            let node = nodes.iter_mut().find(|node| node["data"]["name"] == "llmAgentflow").unwrap();
            node["data"]["inputs"]["llmModelConfig"]["allowImageUploads"] = true.into();
        };
        assert_eq!(FlowInfo::of(&export("agentflow-llm", |_| {})).uploads["isImageUploadAllowed"], false);
        assert_eq!(FlowInfo::of(&export("agentflow-llm", seeing)).uploads["isImageUploadAllowed"], true);
    }

    #[test]
    fn a_form_is_told_to_the_widget() {
        let form = FlowInfo::of(&export("agentflow-form", |_| {})).chatbot;
        let form: Value = serde_json::from_str(form["flowData"].as_str().unwrap()).unwrap();
        assert_eq!(form["nodes"][0]["data"]["inputs"]["startInputType"], "formInput");
        assert_eq!(FlowInfo::of(&export("llm-chain", |_| {})).chatbot.get("flowData"), None);
    }
}
