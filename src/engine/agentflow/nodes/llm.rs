//! The node that asks a model.

use serde_json::{Map, Value, json};

use super::super::structured;
use super::speaker::{
    AnswerHandling, ModelCaller, Stopwatch, add_thoughts, add_usage, formed, tell_end, tell_thoughts,
};
use crate::engine::agentflow::step::{Step, StepContext, StepKind, StepOutcome};
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::model::ModelRequest;

/// The node `llmAgentflow`.
pub(super) struct LlmNode;

impl StepKind for LlmNode {
    fn name(&self) -> &'static str {
        "llmAgentflow"
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Box<dyn Step>> {
        let speaker = ModelCaller::read("llm", inputs);
        let said = ModelCaller::read_rest("llm", inputs);
        Some(Box::new(Asks { speaker: speaker?, said }))
    }
}

#[derive(Debug)]
struct Asks {
    speaker: ModelCaller,
    said: AnswerHandling,
}

impl Step for Asks {
    fn run<'a>(&'a self, visit: &'a StepContext<'a>) -> Task<'a, StepOutcome> {
        Box::pin(async move { self.ask(visit).await.map_err(|failure| failure.within("Error in LLM node")) })
    }
}

impl Asks {
    async fn ask(&self, visit: &StepContext<'_>) -> Result<StepOutcome, Failure> {
        let Self { speaker, said } = self;
        let (run, sink) = (visit.run, visit.run.sink);
        let talk = speaker.talk(visit, false).await?;
        let schema = said.schema(visit)?;
        let streams = visit.is_last && speaker.streams && schema.is_none();
        let clock = Stopwatch::start();
        let form = schema.as_ref().map(|schema| (structured::NAME, schema));
        let ask =
            ModelRequest { schema: form, ..ModelRequest::of(&talk.messages).telling_bare(streams.then_some(sink)) };
        let answered = run.ask(&*speaker.model, ask).await?;
        let (fields, text) = match schema {
            Some(_) => formed(&answered)?,
            None => (Map::new(), answered.text.clone()),
        };
        if visit.is_last && !streams {
            sink.bare_token(&text);
            if schema.is_none() {
                tell_thoughts(visit, &answered);
            }
        }
        let mut output = Map::new();
        output.insert("content".to_owned(), text.as_str().into());
        output.insert("timeMetadata".to_owned(), clock.stop());
        if schema.is_none() {
            output.insert("calledTools".to_owned(), json!([]));
            add_usage(&mut output, &answered);
            // As Flowise, which looks for them in the last node only where they are pieces of the answer.
            let is_shown = visit.is_last || !answered.thinks_in_pieces;
            let thoughts = Some(&*answered.thinking).filter(|_| is_shown).unwrap_or_default();
            add_thoughts(&mut output, thoughts, sink.take_thought());
        }
        output.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        if streams {
            tell_end(visit, &answered);
        }
        let state = said.changes.applied(visit, &text);
        let mut turns = speaker.remembered(visit);
        turns.push(visit.turn("llmReturnResponseAs", &text));
        let input = speaker.given(visit, talk.shown);
        Ok(StepOutcome::new(input, Value::Object(output)).with_state(state).saying(turns))
    }
}
