//! A model at work: it is asked, its calls are made or not, and it is told what came of them.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::super::tools::Ready;
use super::super::super::transcript::{self, ChatTranscript};
use super::super::speaker::pretty;
use super::approval::{Decision, ModelTurn, Pending, Verdict, tools_of};
use super::{AgentRun, Waits, total};
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolCall;
use crate::engine::contract::model::{ModelAnswer, ModelRequest};
use crate::engine::contract::node::Tool;
use crate::predict::answer::EventName;

impl AgentRun<'_> {
    pub(super) async fn ask(&mut self) -> Result<ModelAnswer, Failure> {
        let tokens = self.streams.then_some(self.visit.run.sink);
        let ask = ModelRequest { tools: &self.specs, ..ModelRequest::of(&self.talk.messages).telling_bare(tokens) };
        let answered = self.visit.run.ask(&*self.agent.speaker.model, ask).await?;
        if !answered.thinking.is_empty() {
            self.thoughts.push(answered.thinking.clone());
        }
        Ok(answered)
    }

    /// Calls what a model wants to be called, and tells it the results, until it answers.
    pub(super) async fn call_all(&mut self, mut answered: ModelAnswer) -> Result<ModelAnswer, Failure> {
        loop {
            self.visit.run.budget().has_tool_calls(answered.calls.len())?;
            self.tokens += total(&answered);
            self.visit.run.sink.event(EventName::CalledTools, transcript::called(&answered.calls));
            self.turn = ModelTurn { at: self.talk.messages.len(), ..ModelTurn::default() };
            self.talk.answer(&answered);
            if let Some(last) = self.call_turn(&answered, None).await? {
                return Ok(last);
            }
            answered = self.go_on().await?;
            if answered.calls.is_empty() {
                return Ok(answered);
            }
        }
    }

    /// Answers the calls of a turn one after the other, from where it stands; what the node says if it stops there, to ask
    /// its user or with a result that is the answer.
    async fn call_turn(
        &mut self,
        answered: &ModelAnswer,
        decision: Option<&Decision>,
    ) -> Result<Option<ModelAnswer>, Failure> {
        let mut was_called = false;
        for (place, call) in answered.calls.iter().enumerate().skip(self.turn.done) {
            let verdict = self.verdict(place, call, decision);
            was_called = verdict == Verdict::Call;
            match verdict {
                Verdict::Call => self.call(call).await?,
                Verdict::Refuse(why) => self.talk.result(call, &why, &[]),
                Verdict::Ask => return Ok(Some(self.wait(answered, place))),
            }
            self.turn.done = place + 1;
        }
        Ok(if was_called { self.direct(&answered.calls) } else { None })
    }

    /// What becomes of the call at that place of the turn. A decision is about the calls that the user was shown, and
    /// about no other.
    fn verdict(&self, place: usize, call: &ToolCall, decision: Option<&Decision>) -> Verdict {
        if self.find(&call.name).is_none() {
            // The model is told that there is none.
            return Verdict::Call;
        }
        match decision.filter(|_| self.turn.asked.contains(&place)) {
            Some(decision) if !decision.proceeds => Verdict::Refuse(decision.rejection()),
            Some(decision) if decision.is_of_these_tools => Verdict::Call,
            None if !self.asks_first(&call.name) => Verdict::Call,
            // Never asked, or about other tools.
            Some(_) | None => Verdict::Ask,
        }
    }

    /// What the model says to the results.
    async fn go_on(&mut self) -> Result<ModelAnswer, Failure> {
        let answered = self.ask().await?;
        if !self.streams && self.visit.is_last && !self.is_formed {
            self.visit.run.sink.bare_token(&answered.text);
        }
        self.tokens += total(&answered);
        Ok(answered)
    }

    fn find(&self, name: &str) -> Option<&Ready> {
        self.tools.iter().find(|ready| ready.tool.spec().name == name)
    }

    /// Whether that tool is called with the user's leave only.
    fn asks_first(&self, name: &str) -> bool {
        self.tools.iter().any(|ready| ready.tool.spec().name == name && ready.asks_first)
    }

    async fn call(&mut self, call: &ToolCall) -> Result<(), Failure> {
        let Some(ready) = self.find(&call.name) else {
            // Providers want an answer to every call.
            self.talk.result(call, &format!("There is no tool {}.", call.name), &[]);
            return Ok(());
        };
        let tool: Arc<dyn Tool> = Arc::clone(&ready.tool);
        match self.visit.run.call(&*tool, &call.arguments).await {
            Ok(result) => {
                self.talk.result(call, &result.text, &result.sources);
                let input = result.called_with(&call.arguments);
                self.used.push(json!({ "tool": call.name, "toolInput": input, "toolOutput": result.text }));
                self.sources.extend(result.sources);
                Ok(())
            }
            Err(failure) => {
                self.used.push(json!({
                    "tool": call.name, "toolInput": call.arguments, "toolOutput": "",
                    "error": self.visit.run.told(&failure),
                }));
                self.visit.run.sink.event(EventName::UsedTools, Value::from(self.used.clone()));
                Err(failure)
            }
        }
    }

    /// The result of a tool that is the answer.
    fn direct(&self, calls: &[ToolCall]) -> Option<ModelAnswer> {
        let [call] = calls else { return None };
        self.find(&call.name).filter(|ready| ready.tool.returns_directly())?;
        let text = self.used.last()?.get("toolOutput")?.as_str()?.to_owned();
        if !self.is_formed {
            self.visit.run.sink.bare_token(&text);
        }
        Some(ModelAnswer { text, ..ModelAnswer::default() })
    }

    /// Asks the user before the call at that place, and all further ones of the turn that need his leave.
    fn wait(&mut self, answered: &ModelAnswer, place: usize) -> ModelAnswer {
        let needs_leave = |(place, call): &(usize, &ToolCall)| {
            self.find(&call.name).is_some() && (self.asks_first(&call.name) || self.turn.asked.contains(place))
        };
        let asked: Vec<_> = answered.calls.iter().enumerate().skip(place).filter(needs_leave).collect();
        let mut text = answered.text.clone();
        for (_, call) in &asked {
            let details = pretty(&transcript::shown_call(call));
            let _ = write!(text, "\nAttempting to use tool:\n```json\n{details}\n```");
        }
        let shown = asked.iter().map(|(_, call)| transcript::shown_call(call)).collect();
        self.turn.asked = asked.iter().map(|(place, _)| *place).collect();
        self.visit.run.sink.bare_token(&text);
        self.waits = Some(Waits { pending: self.pending(), calls: shown });
        // As Flowise, whose model has said it itself.
        if let Some(said) = self.talk.shown.get_mut(self.turn.at).and_then(Value::as_object_mut) {
            said.insert("content".to_owned(), text.as_str().into());
        }
        ModelAnswer { text, ..answered.clone() }
    }

    /// What it takes to go on from here.
    fn pending(&self) -> Value {
        let pending = Pending {
            turn: self.turn.clone(),
            talk: self.talk.shown.clone(),
            tools: tools_of(self.visit),
            used: self.used.clone(),
            sources: self.sources.clone(),
            tokens: self.tokens,
            thoughts: self.thoughts.clone(),
        };
        pending.written()
    }

    /// Goes on where the user was asked, with the calls that he was shown or without them.
    pub(super) async fn resume(&mut self, answer: &Value) -> Result<ModelAnswer, Failure> {
        let (visit, unknown) = (self.visit, || Failure::flow("What this node waits for is not known any more."));
        let pending = visit.runtime.pending(&visit.node.id).and_then(Pending::read).ok_or_else(unknown)?;
        let decision = Decision::new(answer, pending.tools == tools_of(visit));
        self.talk = ChatTranscript::default();
        self.talk.recall(&pending.talk, visit.run.request);
        let asked = self.talk.messages.get(pending.turn.at).ok_or_else(unknown)?;
        let counted = pending.talk.get(pending.turn.at).and_then(|said| said.get("usage_metadata")?.as_object());
        let answered = ModelAnswer {
            text: asked.content.plain(),
            calls: asked.calls.clone(),
            usage_metadata: counted.cloned().unwrap_or_default(),
            ..ModelAnswer::default()
        };
        (self.turn, self.used, self.sources) = (pending.turn, pending.used, pending.sources);
        (self.tokens, self.thoughts) = (pending.tokens, pending.thoughts);
        visit.run.sink.event(EventName::CalledTools, transcript::called(&answered.calls));
        let ended = self.resumed(&answered, &decision).await;
        if ended.is_err() {
            // What was called is called once, should the user answer again.
            visit.progress.set(Some(self.pending()));
        }
        ended
    }

    async fn resumed(&mut self, answered: &ModelAnswer, decision: &Decision) -> Result<ModelAnswer, Failure> {
        if let Some(last) = self.call_turn(answered, Some(decision)).await? {
            return Ok(last);
        }
        let answered = self.go_on().await?;
        if answered.calls.is_empty() { Ok(answered) } else { self.call_all(answered).await }
    }
}
