//! A program that changes the answers of a flow, where its author has switched it on (*Post Processing*).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Returned, Script, ScriptValues};
use crate::engine::compile::Compiler;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::wire::json::read_str;

/// See the module.
#[derive(Debug)]
pub(crate) struct PostProcessor(Script);

/// What the program is told of an answer.
#[derive(Debug, Default)]
pub(crate) struct Answered<'a> {
    pub(crate) text: &'a str,
    /// What was asked: a text, or a form.
    pub(crate) input: Value,
    /// What was said before, in the form of the flow's generation.
    pub(crate) history: Vec<Value>,
    /// What the answer comes with: `sourceDocuments`, `usedTools` ...
    pub(crate) fields: Option<&'a Map<String, Value>>,
}

/// Fields of an answer that the program is told.
const TOLD: &[&str] = &["sourceDocuments", "usedTools", "artifacts", "fileAnnotations"];

/// What Flowise's settings of a flow say of it, if it is switched on.
fn section(settings: Option<&Map<String, Value>>) -> Option<&Value> {
    settings?.get("postProcessing").filter(|section| section.get("enabled") == Some(&Value::Bool(true)))
}

/// Whether answers are changed, so that none can be told as it comes.
pub(crate) fn is_on(settings: Option<&Map<String, Value>>) -> bool {
    section(settings).is_some()
}

/// The code: a text in JSON, within a text.
fn code(settings: Option<&Map<String, Value>>) -> Option<String> {
    read_str(section(settings)?.get("customFunction")?.as_str()?).ok()
}

impl PostProcessor {
    /// Of a flow that is compiled; what cannot run is told of it.
    pub(crate) fn read(compiler: &mut Compiler<'_>) -> Option<Arc<Self>> {
        let code = code(compiler.export.chatbot_config.as_ref())?;
        match Script::of_operator(code, compiler.context) {
            Ok(script) => Some(Arc::new(Self(script))),
            Err(error) => {
                compiler.of_flow(format!("the program that changes its answers (post-processing): {error}"));
                None
            }
        }
    }

    /// The answer as the program makes it. Where the program fails, the answer stays as it is, as in Flowise.
    pub(crate) async fn changed(&self, answered: Answered<'_>, run: &Run<'_>) -> Result<Option<String>, Failure> {
        let Answered { text, input, history, fields } = answered;
        if text.is_empty() {
            return Ok(None);
        }
        let request = run.request;
        let known = json!({
            "input": input,
            "chatflowId": run.flow,
            "sessionId": request.session_id,
            "chatId": request.chat_id,
            "rawOutput": text,
            "chatHistory": history,
        });
        let mut flow = if let Value::Object(known) = known { known } else { Map::new() };
        for name in TOLD {
            if let Some(value) = fields.and_then(|fields| fields.get(*name)) {
                flow.insert((*name).to_owned(), value.clone());
            }
        }
        match self.0.run(ScriptValues { input, flow, ..ScriptValues::default() }, run).await {
            Ok(Returned::Text(text)) => Ok(Some(text)),
            Ok(Returned::Value(value @ (Value::Object(_) | Value::Array(_)))) => {
                Ok(Some(format!("```json\n{value:#}\n```")))
            }
            Ok(Returned::Value(value)) => Ok(Some(value.to_string())),
            Ok(Returned::Nothing) => Ok(None),
            Err(failure) if failure.ends_run() => Err(failure),
            Err(failure) => {
                let words = failure.told(&run.watch.redactor);
                tracing::warn!(flow = run.flow, error = %words, "the program that changes answers failed");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::contract::node::ReplyContent;
    use crate::engine::flow::CompiledFlow;
    use crate::engine::testing::{load, predict, predictions};

    fn flow(code: &str) -> Result<CompiledFlow, String> {
        let node = |id: &str, kind: &str, inputs: Value| json!({ "id": id, "data": { "name": kind, "label": id, "inputs": inputs } });
        let chain = json!({ "model": "{{m.data.instance}}", "memory": "{{h.data.instance}}" });
        let nodes = [
            node("m", "testModel", json!({})),
            node("h", "bufferMemory", json!({})),
            node("c", "conversationChain", chain),
        ];
        let edges = json!([{ "source": "m", "target": "c" }, { "source": "h", "target": "c" }]);
        let after = json!({ "enabled": true, "customFunction": json!(code).to_string() });
        let settings = json!({ "postProcessing": after });
        load(
            &json!({ "chatbotConfig": settings.to_string(), "flowData": json!({ "nodes": nodes, "edges": edges }).to_string() }),
        )
    }

    fn answered(code: &str) -> String {
        let predicted = predict(&flow(code).unwrap(), &json!({ "question": "q" }), &["said".into()]);
        let ReplyContent::Text(text) = predicted.reply.unwrap().said else { panic!("it is a text") };
        text
    }

    #[test]
    fn a_program_changes_answers_and_what_is_remembered() {
        assert_eq!(
            answered("return `${$flow.rawOutput} ${$input} ${$flow.chatId} ${$flow.chatHistory.length}`"),
            "said q chat 0"
        );
        assert_eq!(answered("return { a: 1 }"), "```json\n{\n  \"a\": 1\n}\n```");
        // One that fails changes nothing, and neither does one that gives nothing.
        assert_eq!(answered("throw new Error('x')"), "said");
        assert_eq!(answered("return"), "said");
        let flow = flow("return $flow.rawOutput + '!'").unwrap();
        assert!(!flow.info.streams);
        let ask = |question: &str, answer: &str| (json!({ "question": question }), vec![answer.into()]);
        let asked = predictions(&flow, &[ask("one", "1"), ask("two", "2")]).pop().unwrap().asked;
        assert_eq!(asked[0][2], json!({ "role": "assistant", "content": "1!" }));
    }

    #[test]
    fn one_that_cannot_run_is_told_when_the_flow_is_loaded() {
        let told = flow("require('fs')").unwrap_err();
        assert!(told.contains("post-processing") && told.contains("it requires fs"), "{told}");
        for off in [json!({}), json!({ "postProcessing": { "enabled": false } })] {
            assert!(!is_on(off.as_object()), "{off}");
        }
    }
}
