//! What a service is: where, with which actions, and how its node says which of them are meant.

use serde_json::Value;

use super::action::ServiceAction;
use crate::engine::compile::inputs::Inputs;
use crate::wire::json;

/// A service.
pub(super) struct OfficeService {
    /// The node's name in Flowise.
    pub(super) names: &'static [&'static str],
    pub(super) place: ServiceAddress,
    /// What models are told of each action, in Flowise's order and words.
    pub(super) specs: &'static str,
    pub(super) choice: ActionChoice,
    /// Inputs that go before what a model says, by the argument's name or as `input>argument`; with `!`: even if they are
    /// empty or `false`.
    pub(super) defaults: &'static str,
    /// How a value stands in a path.
    pub(super) ids: fn(&str) -> String,
    pub(super) speech: ErrorStyle,
    pub(super) actions: &'static [&'static [ServiceAction]],
}

/// How a node says which actions its model has.
pub(super) enum ActionChoice {
    /// In one input; none at all are all of them.
    All(&'static str),
    /// In the input that belongs to what another one says.
    By(&'static str, &'static [(&'static str, &'static str)]),
}

/// How a service's failures are told.
#[derive(Debug, Clone, Copy)]
pub(super) enum ErrorStyle {
    /// With the name of its API.
    Plain(&'static str),
    /// As JSON, by the name of Microsoft's.
    Graph,
}

/// Where a service is.
pub(super) enum ServiceAddress {
    /// The same for everybody.
    Fixed {
        credential: &'static str,
        origin: &'static str,
        /// Before every path.
        base: &'static str,
        /// Where new tokens are had; `None`: only the credential knows.
        issuer: Option<&'static str>,
    },
    /// The node's author says it.
    Jira,
}

/// Where Google gives tokens.
pub(in crate::engine::nodes) const GOOGLE: Option<&str> = Some("https://oauth2.googleapis.com/token");

impl ActionChoice {
    /// Names of actions; `None`: all.
    pub(super) fn actions(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<String>> {
        match self {
            Self::All(input) => listed(input, inputs).filter(|actions| !actions.is_empty()),
            Self::By(input, ways) => {
                // Those of other ways are left where somebody has changed his mind.
                inputs.ignore(&ways.iter().map(|(_, input)| *input).collect::<Vec<_>>());
                let way = inputs.text(input).unwrap_or_default();
                let way = ways.iter().find(|(name, _)| *name == way);
                Some(way.and_then(|(_, input)| listed(input, inputs)).unwrap_or_default())
            }
        }
    }
}

/// A list in JSON, as Flowise's editor writes it.
fn listed(input: &str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Vec<String>> {
    match inputs.value(input)? {
        Value::String(text) => json::read_str(&text).ok(),
        value => serde_json::from_value(value).ok(),
    }
}
