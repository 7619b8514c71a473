//! A chatflow as it is configured.

use std::sync::Arc;

use super::origin::Origins;
use super::secret::Secret;

/// Where the plan `anonymous` stands among all, behind `default`.
const ANONYMOUS: usize = 1;

/// A public name, what answers it, and its policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Chatflow {
    pub name: Arc<str>,
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Flowise's own id, a lower-case UUID; `None` for the wildcard, whose id is the name that was asked for.
    pub id: Option<Arc<str>>,
    /// Clients may call it by that id as well as by its name.
    pub by_id: bool,
    /// This flow's own Flowise key; `None`: the upstream's.
    pub api_key: Option<Secret>,
    pub access: Access,
    /// Origins whose pages may call it: its own, else those of [`Config::cors`](super::Config::cors).
    pub allowed_origins: Origins,
    pub body: BodyMode,
    pub response: ResponseShape,
    pub events: Events,
    /// Chat and session ids are namespaced by caller; never with [`BodyMode::Passthrough`].
    pub isolate_sessions: bool,
    /// Index into [`Config::plans`](super::Config::plans) for callers without a key.
    pub plan: usize,
    /// Paths inside `overrideConfig` that a client may set, e.g. `["vars", "userId"]`.
    pub override_config: Vec<Vec<String>>,
    /// Characters (Unicode scalar values) of `question`.
    pub max_question_chars: usize,
    /// Longest run of letters in `question`.
    pub max_word_chars: usize,
    /// Forced into `overrideConfig.vars`.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// Forced into `overrideConfig`.
    pub force_override: serde_json::Map<String, serde_json::Value>,
}

impl Chatflow {
    /// Of which nothing is written but its name.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            upstream: 0,
            id: None,
            by_id: false,
            api_key: None,
            access: Access::Key,
            allowed_origins: Origins::default(),
            body: BodyMode::Checked,
            response: ResponseShape::Flowise,
            events: Events::All,
            isolate_sessions: true,
            plan: ANONYMOUS,
            override_config: vec![vec!["sessionId".to_owned()]],
            max_question_chars: 8000,
            max_word_chars: 1000,
            vars: serde_json::Map::new(),
            force_override: serde_json::Map::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A key or a token is needed.
    Key,
    /// Anyone from a listed origin, within the limits of an address.
    Public,
}

/// The shape of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseShape {
    /// As Flowise gives it.
    Flowise,
    /// `{id, role, content, sources}`, so that a page does not depend on Flowise's fields.
    Message,
}

impl ResponseShape {
    /// Those that a chatflow's `response` may name.
    pub(super) const NAMED: [(&str, Self); 2] = [("flowise", Self::Flowise), ("message", Self::Message)];
}

/// Stream events, and the JSON fields that match them, which a client may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Events {
    All,
    /// What Flowise's widget shows its visitor; of an agentflow's steps their names and states.
    Widget,
    Only(Arc<[Box<str>]>),
}

/// Every event that Flowise 3.1.4 streams, and whether [`Events::Widget`] has it: no traces, no system prompts, no usage.
pub(crate) static FLOWISE_EVENTS: [(&str, bool); 25] = [
    ("start", true),
    ("token", true),
    ("thinking", false),
    ("agentFlowEvent", true),
    ("nextAgentFlow", true),
    ("agentFlowExecutedData", true),
    ("agentReasoning", false),
    ("nextAgent", false),
    ("agent_trace", false),
    ("calledTools", false),
    ("usedTools", true),
    ("usageMetadata", false),
    ("sourceDocuments", true),
    ("artifacts", true),
    ("fileAnnotations", true),
    ("tool", false),
    ("action", true),
    ("metadata", true),
    ("abort", true),
    ("tts_start", true),
    ("tts_data", true),
    ("tts_end", true),
    ("tts_abort", true),
    ("error", true),
    ("end", true),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyMode {
    /// Read within the bound, checked field by field and re-serialised.
    Checked,
    /// Forwarded unread and untouched.
    Passthrough,
}
