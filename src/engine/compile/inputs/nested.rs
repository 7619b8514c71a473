//! Nodes that stand in another node's inputs, as in flows of the second generation: a kind's name and its inputs.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Inputs;
use crate::engine::compile::export::ExportNode;
use crate::engine::compile::flowise;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::model::ChatModel;

impl Inputs<'_, '_, '_> {
    /// The model of that kind with those inputs; what is wrong is told to the compiler, under the label of the node whose
    /// inputs they stand in.
    pub(crate) fn model_inside(&mut self, name: &str, mut config: Map<String, Value>) -> Option<Arc<dyn ChatModel>> {
        let Some(kind) = self.compiler.kinds.model(name) else {
            let why = flowise::why_unknown(name, "Chat Models");
            self.compiler.of_node(self.node, None, format!("{name}: {why}"));
            return None;
        };
        // Editors repeat the kind's name in it, such as `llmModel`.
        config.retain(|key, value| !(key.ends_with("Model") && value == name));
        self.part_inside(kind, name, config).and_then(Part::into_model)
    }

    /// As [`model_inside`](Self::model_inside), of any kind.
    pub(crate) fn part_inside(&mut self, kind: &dyn NodeKind, name: &str, config: Map<String, Value>) -> Option<Part> {
        let node = ExportNode::inside(self.node, name);
        let part = Inputs::new(&node, config, self.compiler).build(kind);
        self.made(part)
    }

    /// As [`part_inside`](Self::part_inside), with parts in the place of inputs.
    pub(crate) fn part_inside_with(
        &mut self,
        kind: &dyn NodeKind,
        name: &str,
        config: Map<String, Value>,
        given: Vec<(&'static str, Part)>,
    ) -> Option<Part> {
        let node = ExportNode::inside(self.node, name);
        let part = Inputs::new(&node, config, self.compiler).with_parts(given).build(kind);
        self.made(part)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::flow::kinds::KINDS;
    use crate::engine::models::lab::built;

    /// A node with a model in its inputs.
    struct Outer;

    impl NodeKind for Outer {
        fn names(&self) -> &'static [&'static str] {
            &["llmAgentflow"]
        }

        fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
            let name = inputs.text("llmModel")?;
            let Some(Value::Object(config)) = inputs.value("llmModelConfig") else { return None };
            inputs.model_inside(&name, config).map(Part::Model)
        }
    }

    fn of(name: &str, config: &Value) -> Result<Arc<dyn ChatModel>, Vec<String>> {
        let inputs = json!({ "llmModel": name, "llmModelConfig": config });
        built(&Outer, inputs, true).map(|part| part.into_model().unwrap())
    }

    #[test]
    fn models_stand_in_other_nodes() {
        // As agentflows are exported.
        let config = json!({ "credential": "4e1eafd2", "FLOWISE_CREDENTIAL_ID": "4e1eafd2", "cache": "",
            "modelName": "stub-model", "temperature": 0.1, "streaming": true, "allowImageUploads": false,
            "reasoning": false, "reasoningEffort": "", "reasoningSummary": "", "maxTokens": "", "topP": "",
            "frequencyPenalty": "", "presencePenalty": "", "timeout": "", "strictToolCalling": "",
            "stopSequence": "", "basepath": "http://127.0.0.1:13999/v1", "baseOptions": "",
            "llmModel": "chatOpenAI" });
        assert_eq!(of("chatOpenAI", &config).unwrap().name(), "stub-model");
    }

    #[test]
    fn problems_name_the_node_and_the_input_inside() {
        let wrong = of("chatOpenAI", &json!({ "modelName": "m", "temperature": "hot" })).unwrap_err();
        assert_eq!(wrong, ["node \"The model\" (chatOpenAI), input temperature: expected a number"]);
        let unknown = of("chatUnknown", &json!({})).unwrap_err();
        assert_eq!(
            unknown,
            ["node \"The model\" (llmAgentflow): chatUnknown: Flowise 3.1.4 has no such node any more"]
        );
        assert!(of("llmChain", &json!({})).is_err());
    }

    #[test]
    fn every_kind_is_found() {
        for name in [
            "chatAnthropic",
            "chatGoogleGenerativeAI",
            "chatMistralAI",
            "chatOllama",
            "azureChatOpenAI",
            "chatLocalAI",
            "chatOpenAI",
            "chatOpenAICustom",
            "groqChat",
            "chatDeepseek",
            "chatLitellm",
            "chatOpenRouter",
            "openAIEmbeddings",
            "ollamaEmbedding",
        ] {
            assert!(KINDS.find(name).is_some(), "{name}");
        }
    }
}
