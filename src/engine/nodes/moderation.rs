//! Moderations: they look at a question before a model does.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;
use crate::engine::contract::model::{ChatModel, ModelRequest};
use crate::engine::contract::names::OfSettings;
use crate::engine::contract::node::{Chain, Moderation, Reply};
use crate::engine::contract::run::Run;
use crate::engine::provider::ProviderEndpoint;
use crate::engine::text::header::secret_header;
use crate::engine::text::mustache::Mustache;

pub(super) const KINDS: &[&dyn NodeKind] = &[&SimpleModeration, &OpenAiModeration];

/// Lines of a deny list times bytes of a question: about a second.
const MOST_COMPARED: usize = 1 << 32;

/// Of one chain, in order.
#[derive(Debug, Default)]
pub(crate) struct Moderations(Vec<Arc<dyn Moderation>>);

/// Those of a node's input.
pub(crate) fn moderations(inputs: &mut Inputs<'_, '_, '_>) -> Moderations {
    let parts = inputs.parts("inputModeration");
    let count = parts.len();
    let moderations: Vec<_> = parts.into_iter().filter_map(Part::into_moderation).collect();
    if moderations.len() < count {
        inputs.refuse("inputModeration", "expected moderations");
    }
    Moderations(moderations)
}

impl Moderations {
    /// The question as they leave it, or, in [`Err`], the sentence that stands for the answer and has been told.
    pub(crate) async fn pass(
        &self,
        question: &str,
        run: &Run<'_>,
        is_last: bool,
    ) -> Result<Result<String, String>, Failure> {
        let mut question = question.to_owned();
        for moderation in &self.0 {
            match moderation.check(&question, run).await? {
                Ok(passed) => question = passed,
                Err(sentence) => {
                    run.tell_whole(&sentence, is_last);
                    return Ok(Err(sentence));
                }
            }
        }
        Ok(Ok(question))
    }
}

/// A chain that is asked what passes.
#[derive(Debug)]
struct Moderated<C> {
    moderations: Moderations,
    chain: C,
}

impl Moderations {
    /// Stands before a node's chain.
    pub(super) fn before(self, chain: impl Chain + 'static) -> Part {
        Part::Chain(if self.0.is_empty() { Arc::new(chain) } else { Arc::new(Moderated { moderations: self, chain }) })
    }
}

impl<C: Chain> Chain for Moderated<C> {
    fn answer<'a>(&'a self, question: &'a str, run: &'a Run<'a>, is_last: bool) -> Task<'a, Reply> {
        Box::pin(async move {
            match self.moderations.pass(question, run, is_last).await? {
                Ok(question) => self.chain.answer(&question, run, is_last).await,
                Err(sentence) => Ok(Reply::text(sentence)),
            }
        })
    }
}

/// The node `inputModerationSimple`: a list of what is denied, compared by a model if there is one.
struct SimpleModeration;

impl NodeKind for SimpleModeration {
    fn names(&self) -> &'static [&'static str] {
        &["inputModerationSimple"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let denied = inputs.text("denyList").unwrap_or_default();
        let denied = denied.split('\n').map(|line| inputs.mustache_in("denyList", line)).collect();
        let model = inputs.part_as("model", Part::into_model, "a chat model");
        let sentence = inputs.mustache("moderationErrorMessage");
        let sentence =
            sentence.unwrap_or_else(|| Mustache::plain("Cannot Process! Input violates content moderation policies."));
        Some(Part::Moderation(Arc::new(Simple { denied, model, sentence })))
    }
}

#[derive(Debug)]
struct Simple {
    /// Line by line.
    denied: Vec<Mustache>,
    model: Option<Arc<dyn ChatModel>>,
    sentence: Mustache,
}

impl Moderation for Simple {
    fn check<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Result<String, String>> {
        Box::pin(async move {
            let lower = text.to_lowercase();
            let names = OfSettings(run);
            // A variable may be the list, or a part of it.
            let lines = self.denied.iter().flat_map(|line| {
                let text = line.text(&names);
                if line.alone().is_some() { text.split('\n').map(str::to_owned).collect() } else { vec![text] }
            });
            let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
            if self.model.is_none() && lines.len().saturating_mul(lower.len()) > MOST_COMPARED {
                return Err(Failure::flow("the deny list is too long for a question of that length"));
            }
            for denied in &lines {
                let is_denied = match &self.model {
                    Some(model) => is_similar(&**model, text, denied, run).await?,
                    None => lower.contains(&denied.to_lowercase()),
                };
                if is_denied {
                    return Ok(Err(self.sentence.text(&OfSettings(run))));
                }
            }
            Ok(Ok(text.to_owned()))
        })
    }
}

async fn is_similar(model: &dyn ChatModel, text: &str, denied: &str, run: &Run<'_>) -> Result<bool, Failure> {
    let question = format!(
        "Are these two sentences similar to each other? Only return Yes or No.\nFirst sentence: {text}\nSecond \
         sentence: {denied}"
    );
    let answered = run.ask(model, ModelRequest::of(&[Message::user(question)])).await?;
    Ok(answered.text.to_lowercase().contains("yes"))
}

/// The node `inputModerationOpenAI`.
struct OpenAiModeration;

impl NodeKind for OpenAiModeration {
    fn names(&self) -> &'static [&'static str] {
        &["inputModerationOpenAI"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let mut headers = Vec::new();
        if let Some(key) = inputs.credential("openAIApi", "openAIApiKey") {
            headers.push((AUTHORIZATION, secret_header(&format!("Bearer {}", key.expose())).ok()?));
        }
        let sentence = inputs.mustache("moderationErrorMessage");
        let sentence =
            sentence.unwrap_or_else(|| Mustache::plain("Text was found that violates OpenAI's content policy."));
        inputs.ignore(&["credential", "FLOWISE_CREDENTIAL_ID"]);
        let endpoint = inputs.compiler.context.targets.endpoint("https://api.openai.com/v1", None).ok()?;
        Some(Part::Moderation(Arc::new(OpenAiModerator { endpoint, headers, sentence })))
    }
}

#[derive(Debug)]
struct OpenAiModerator {
    endpoint: ProviderEndpoint,
    headers: Vec<(HeaderName, HeaderValue)>,
    sentence: Mustache,
}

impl Moderation for OpenAiModerator {
    fn check<'a>(&'a self, text: &'a str, run: &'a Run<'a>) -> Task<'a, Result<String, String>> {
        Box::pin(async move {
            run.budget().model_call()?;
            let incoming = self.endpoint.post("/moderations", &self.headers, json!({ "input": text }), run).await?;
            let verdict = incoming.json().await?;
            match verdict.pointer("/results/0/flagged").and_then(Value::as_bool) {
                Some(false) => Ok(Ok(text.to_owned())),
                Some(true) => Ok(Err(self.sentence.text(&OfSettings(run)))),
                None => Err(Failure::Unreachable("The moderation's answer cannot be read.".to_owned())),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::provider::Targets;
    use crate::engine::testing::{answer, server, within};
    use crate::telemetry::metrics::Metrics;

    fn check(verdict: &str) -> (Result<Result<String, String>, Failure>, String) {
        let (origin, heard) = server(&[&answer("200 OK", "", verdict)]);
        let targets = Targets::alone("local", &Metrics::new().unwrap());
        let endpoint = targets.endpoint(&format!("{origin}/v1"), None).unwrap();
        let headers = vec![(AUTHORIZATION, secret_header("Bearer sk-test").unwrap())];
        let moderation = OpenAiModerator { endpoint, headers, sentence: Mustache::plain("Not that.") };
        let checked = within(&json!({ "question": "Q" }), async |run| moderation.check("Q", run).await);
        (checked, heard.recv().unwrap())
    }

    #[test]
    fn a_provider_s_verdict_decides_and_none_is_no_consent() {
        let (checked, heard) = check("{\"results\":[{\"flagged\":false}]}");
        assert_eq!(checked, Ok(Ok("Q".to_owned())));
        assert!(heard.starts_with("POST /v1/moderations HTTP/1.1\r\n"), "{heard}");
        assert!(heard.to_lowercase().contains("\r\nauthorization: bearer sk-test\r\n"), "{heard}");
        assert!(heard.ends_with("\r\n\r\n{\"input\":\"Q\"}"), "{heard}");
        assert_eq!(check("{\"results\":[{\"flagged\":true}]}").0, Ok(Err("Not that.".to_owned())));
        assert!(check("{\"results\":[]}").0.is_err());
    }
}
