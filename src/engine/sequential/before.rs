//! Messages that a node's author has put before those of the chat, by a program.

use super::code::AgentCode;
use super::visit::Visit;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::Message;

const INPUT: &str = "messageHistory";

/// See the module.
#[derive(Debug)]
pub(super) struct EarlierMessages(AgentCode);

impl EarlierMessages {
    /// Of a node that may have some.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        AgentCode::read(inputs, INPUT).map(Self)
    }

    pub(super) async fn made(&self, visit: &Visit<'_>) -> Result<Vec<Message>, Failure> {
        self.0.run(visit, None, Vec::new()).await?.into_messages()
    }
}
