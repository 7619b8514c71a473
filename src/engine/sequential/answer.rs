//! One prediction of a flow of agents, from the request to what is kept of it.

use serde_json::{Value, json};

use super::checkpoint::{self, Checkpoint, Waiting};
use super::flow::{FlowForm, SequentialFlow, StateDefinition};
use super::graph::GraphNode;
use super::message::{AgentMessage, Speaker};
use super::nodes::approval::wanted;
use super::state::{AgentState, Channels};
use super::walk::AgentWalk;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{remember, tell_history};
use crate::engine::contract::message::ToolCall;
use crate::engine::contract::node::{AgentsReport, Reply};
use crate::engine::contract::run::Run;
use crate::predict::answer::EventName;
use crate::predict::chat_id;

/// An answer to what nobody asks any more.
const ANSWERED: &str = "This question was answered already, or another one is open.";
const NOBODY_TO_ASK: &str = "this node waits for its user, who cannot be asked in a flow that another one runs";

/// Where a run begins.
enum Entry {
    Start,
    At(Vec<usize>),
}

impl SequentialFlow {
    /// `shows_history`: texts of it may show what was said before.
    pub(crate) async fn answer(&self, run: &Run<'_>, shows_history: bool) -> Result<Reply, Failure> {
        if let Some(unready) = &self.unready {
            return Err(Failure::flow(format!("Error: {unready}")));
        }
        if shows_history {
            tell_history(&self.history, run).await;
        }
        let question = match self.moderations.pass(run.request.question(), run, false).await? {
            Ok(question) => question,
            Err(sentence) => {
                let kind = if self.form == FlowForm::Team { "supervisor" } else { "agent" };
                let words = format!("Error buildAgentGraph - Error initialize {kind} nodes - {sentence}");
                return Err(Failure::flow(words));
            }
        };
        let channels = match &self.state {
            StateDefinition::Table(channels) => channels.clone(),
            StateDefinition::Code(code) => code.channels(run).await?,
        };
        let (entry, state) = self.begun(run, &question, &channels).await?;
        run.budget().hold(state.messages.iter().map(|said| said.bytes()).sum())?;
        let has_kept = matches!(entry, Entry::At(_));
        let mut walk = AgentWalk::new(self, run, &question, (channels, state));
        let waiting = match entry {
            Entry::Start => walk.begin().await?,
            Entry::At(nodes) => walk.resume(nodes).await?,
        };
        let node = |at: &usize| self.graph.nodes.get(*at);
        let asks = waiting.iter().filter_map(node).find(|node| node.waits);
        walk.told.tell_rest(run);
        let (text, action) = match asks {
            Some(asks) => self.ask_user(asks, &mut walk).await?,
            None => (self.said(&mut walk), None),
        };
        let next = waiting.iter().filter_map(node).map(|node| node.id.clone()).collect();
        let waits = action.as_ref().map(|action| waiting_for(next, action));
        self.keep(&walk, waits, has_kept).await?;
        if self.keeps_state && self.form == FlowForm::Sequence {
            remember(run, run.request.question(), &text).await?;
        }
        for (name, list) in [
            (EventName::UsedTools, &walk.told.used),
            (EventName::SourceDocuments, &walk.told.sources),
            (EventName::Artifacts, &walk.told.artifacts),
        ] {
            run.sink.event(name, Value::from(list.clone()));
        }
        let memory = self.keeps_state.then(|| self.history.label.clone());
        let agents = Some(AgentsReport { reasoning: walk.told.reasoning, action });
        Ok(Reply { memory, agents, ..Reply::text(text) })
    }

    /// The state that the request finds, its own words in it, and where it begins.
    async fn begun(&self, run: &Run<'_>, question: &str, channels: &Channels) -> Result<(Entry, AgentState), Failure> {
        let (request, session) = (run.request, run.session());
        let mut kept = None;
        if let Some(action) = request.action.as_deref().filter(|_| self.may_wait()) {
            let (state, waits) = checkpoint::take(session, action).await?.ok_or_else(|| Failure::flow(ANSWERED))?;
            if question == waits.approve {
                let at = |id: &String| self.graph.nodes.iter().position(|node| node.id == *id);
                let nodes: Option<Vec<usize>> = waits.next.iter().map(at).collect();
                let nodes = nodes.ok_or_else(|| Failure::flow("The flow has changed since the user was asked."))?;
                return Ok((Entry::At(nodes), state_of(&state, channels)));
            }
            if question == waits.reject {
                let mut begun = state_of(&state, channels);
                begun.messages.extend(denied(&state).into_iter().map(Into::into));
                return Ok((Entry::Start, begun));
            }
            kept = Some(state);
        } else if self.keeps_state {
            kept = checkpoint::get(session).await?;
        }
        let kept = kept.map(Checkpoint::without_open_calls);
        let mut state = state_of(&kept.clone().unwrap_or_default(), channels);
        let mut is_first = kept.is_none();
        if is_first && self.keeps_state {
            // Chats that were brought along, and whose state was not.
            let turns = session.turns().await?;
            is_first = turns.is_empty();
            state.messages.extend(turns.into_iter().map(AgentMessage::of_turn).map(Into::into));
        }
        if is_first || self.form == FlowForm::Team {
            let said = request.history.iter().filter_map(|past| {
                let text = past.text.as_str();
                past.by_user.map(|by_user| if by_user { AgentMessage::human(text) } else { AgentMessage::model(text) })
            });
            state.messages.extend(said.map(Into::into));
        }
        let files = request.files();
        let asked = if files.is_empty() { question.to_owned() } else { format!("{files}\n\n{question}") };
        state.messages.push(AgentMessage::human(asked).into());
        Ok((Entry::Start, state))
    }

    /// What was said in the end.
    fn said(&self, walk: &mut AgentWalk<'_>) -> String {
        let told = &walk.told;
        let text = match self.form {
            FlowForm::Sequence => {
                let last = told.reasoning.last().and_then(|entry| entry.get("messages")?.as_array()?.last()?.as_str());
                last.unwrap_or_default().to_owned()
            }
            FlowForm::Team => {
                let worker = told.last_worker.clone().filter(|said| !said.is_empty());
                // Where nobody has worked, what the supervisor says stands for it.
                let own = || told.reasoning.last()?.get("instructions")?.as_str().map(str::to_owned);
                worker.or_else(|| told.summary.clone()).or_else(own).unwrap_or_default()
            }
        };
        if !text.is_empty() || self.form == FlowForm::Team {
            walk.run().sink.bare_token(&text);
        }
        text
    }

    /// Asks the user whether tools may be called: the question, and the buttons below it.
    async fn ask_user(&self, asks: &GraphNode, walk: &mut AgentWalk<'_>) -> Result<(String, Option<Value>), Failure> {
        let run = walk.run();
        if run.request.is_inner {
            return Err(Failure::flow(format!("{}: {NOBODY_TO_ASK}", asks.label)));
        }
        let Some(approval) = &asks.approval else { return Ok((String::new(), None)) };
        let said = walk.state.last().filter(|said| said.speaker == Speaker::Model).cloned().unwrap_or_default();
        let used = wanted(&said.calls);
        let text = approval.question(&*self.model, &used, run).await?;
        let action = json!({
            "id": chat_id::random().unwrap_or_default(),
            "mapping": { "approve": approval.approve, "reject": approval.reject, "toolCalls": said.calls_view() },
            "elements": [
                { "type": "approve-button", "label": approval.approve },
                { "type": "reject-button", "label": approval.reject },
            ],
        });
        walk.told.used.extend(used);
        run.sink.bare_token(&text);
        run.sink.event(EventName::Action, &action);
        Ok((text, Some(action)))
    }

    /// Keeps what the chat's next question goes on with.
    async fn keep(&self, walk: &AgentWalk<'_>, waits: Option<Waiting>, has_kept: bool) -> Result<(), Failure> {
        let session = walk.run().session();
        if !self.keeps_state && waits.is_none() {
            return if has_kept { session.keep_run(None).await } else { Ok(()) };
        }
        let messages = walk.state.messages.iter().map(|said| (**said).clone()).collect();
        let kept = Checkpoint::new(walk.state.values.clone(), messages, waits);
        session.keep_run(Some(kept.write()?.into())).await
    }
}

/// The state as it was kept.
fn state_of(kept: &Checkpoint, channels: &Channels) -> AgentState {
    let messages = kept.messages.iter().cloned().map(Into::into).collect();
    AgentState { messages, ..AgentState::begun(channels, &kept.values) }
}

fn waiting_for(next: Vec<String>, action: &Value) -> Waiting {
    let text = |at: &str| action.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    Waiting { next, action: text("/id"), approve: text("/mapping/approve"), reject: text("/mapping/reject") }
}

/// What the model is told of calls that its user did not want.
fn denied(kept: &Checkpoint) -> Vec<AgentMessage> {
    let calls = kept.messages.last().map(|said| said.calls.as_slice()).unwrap_or_default();
    let denied = |call: &ToolCall| AgentMessage {
        speaker: Speaker::Tool,
        name: Some(call.name.clone()),
        answers: Some(call.id.clone()),
        is_denied: true,
        ..AgentMessage::human(format!(
            "Tool {} call denied by user. Acknowledge that, and DONT perform further actions. Only ask if user have other \
             questions",
            call.name
        ))
    };
    calls.iter().map(denied).collect()
}
