//! What the nodes of a flow share: the messages so far, and the values that its author named.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::code::Reducers;
use super::message::AgentMessage;
use crate::engine::contract::budget::Budget;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::text::javascript::is_falsy;
use crate::engine::text::size::bytes_of;

/// What becomes of a value when a node gives another.
#[derive(Debug, Clone)]
pub(super) enum Reducer {
    /// The other one stands for it, if it is one.
    Replace,
    /// It is a list, which the other one is put behind.
    Append,
    /// As a program says.
    Code(Arc<Reducers>),
}

/// A value with a name.
#[derive(Debug, Clone)]
pub(super) struct StateChannel {
    pub(super) name: String,
    pub(super) reducer: Reducer,
    pub(super) default: Option<Value>,
}

/// All that a flow names, in the order in which its author did.
pub(super) type Channels = Vec<StateChannel>;

/// What a node gives; `None` in place of a value: it is not there.
#[derive(Debug, Default)]
pub(super) struct Update {
    pub(super) values: Vec<(String, Option<Value>)>,
    /// `None`: it says nothing.
    pub(super) messages: Option<Vec<AgentMessage>>,
}

impl Update {
    pub(super) fn saying(message: AgentMessage) -> Self {
        Self { values: Vec::new(), messages: Some(vec![message]) }
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().rev().find(|(known, _)| known == name)?.1.as_ref()
    }
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct AgentState {
    pub(super) values: Map<String, Value>,
    pub(super) messages: Vec<Rc<AgentMessage>>,
}

impl AgentState {
    /// With what was kept of it, where that is something.
    pub(super) fn begun(channels: &Channels, kept: &Map<String, Value>) -> Self {
        let value = |channel: &StateChannel| {
            let kept = kept.get(&channel.name).filter(|value| !is_falsy(value));
            Some((channel.name.clone(), kept.or(channel.default.as_ref())?.clone()))
        };
        Self { values: channels.iter().filter_map(value).collect(), messages: Vec::new() }
    }

    /// Takes what a node gave; what the flow does not name is left out of it.
    pub(super) async fn apply(&mut self, channels: &Channels, update: &Update, run: &Run<'_>) -> Result<(), Failure> {
        for (name, value) in &update.values {
            let Some(channel) = channels.iter().find(|channel| channel.name == *name) else { continue };
            match (&channel.reducer, self.values.get(name)) {
                (Reducer::Code(reducers), Some(before)) => {
                    let reduced = reducers.reduced(name, before, value.as_ref(), run).await?;
                    self.values.insert(name.clone(), reduced);
                }
                _ => self.put(channel, value.as_ref()),
            }
        }
        self.messages.extend(update.messages.iter().flatten().cloned().map(Rc::new));
        Ok(())
    }

    fn put(&mut self, channel: &StateChannel, value: Option<&Value>) {
        match (&channel.reducer, self.values.get_mut(&channel.name), value) {
            (Reducer::Append, Some(Value::Array(list)), Some(Value::Array(more))) => list.extend(more.iter().cloned()),
            (Reducer::Append, Some(Value::Array(list)), value) => list.push(value.cloned().unwrap_or_default()),
            (Reducer::Replace, Some(_), None | Some(Value::Null)) => {}
            (_, _, value) => {
                self.values.insert(channel.name.clone(), value.cloned().unwrap_or_default());
            }
        }
    }

    /// As the flow's author looks into it.
    pub(super) fn view(&self, channels: &Channels) -> Value {
        let value = |channel: &StateChannel| {
            (channel.name.clone(), self.values.get(&channel.name).cloned().unwrap_or_default())
        };
        let mut view: Map<String, Value> = channels.iter().map(value).collect();
        view.insert("messages".to_owned(), self.messages.iter().map(|message| message.view()).collect());
        Value::Object(view)
    }

    /// The last message that a node has said.
    pub(super) fn said_by(&self, node: &str) -> Option<&AgentMessage> {
        self.messages.iter().rev().find(|message| message.node.as_deref() == Some(node)).map(|message| &**message)
    }

    pub(super) fn last(&self) -> Option<&AgentMessage> {
        self.messages.last().map(|message| &**message)
    }
}

/// Holds what a node gave.
pub(super) fn hold(update: &Update, budget: &Budget) -> Result<(), Failure> {
    let values: usize = update.values.iter().filter_map(|(_, value)| value.as_ref()).map(bytes_of).sum();
    let messages: usize = update.messages.iter().flatten().map(AgentMessage::bytes).sum();
    budget.hold(values + messages)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_put_together_as_their_author_says() {
        let channel =
            |name: &str, reducer, default: Option<Value>| StateChannel { name: name.into(), reducer, default };
        let channels = vec![
            channel("a", Reducer::Append, Some(json!([]))),
            channel("r", Reducer::Replace, Some(json!("x"))),
            channel("u", Reducer::Replace, None),
        ];
        let mut state = AgentState::begun(&channels, &Map::new());
        assert_eq!(state.view(&channels), json!({ "a": [], "r": "x", "u": null, "messages": [] }));
        let put = |state: &mut AgentState, name: &str, value: Option<Value>| {
            let channel = channels.iter().find(|channel| channel.name == name).unwrap();
            state.put(channel, value.as_ref());
        };
        for (name, value) in [
            ("a", Some(json!(1))),
            ("a", Some(json!([2, 3]))),
            ("r", None),
            ("r", Some(Value::Null)),
            ("u", Some(json!({}))),
        ] {
            put(&mut state, name, value);
        }
        assert_eq!(state.view(&channels), json!({ "a": [1, 2, 3], "r": "x", "u": {}, "messages": [] }));
        put(&mut state, "r", Some(json!("y")));
        let kept = json!({ "a": [1], "r": "", "gone": 5 });
        let next = AgentState::begun(&channels, kept.as_object().unwrap());
        assert_eq!(
            (state.values["r"].clone(), next.view(&channels)),
            (json!("y"), json!({ "a": [1], "r": "x", "u": null, "messages": [] }))
        );
    }
}
