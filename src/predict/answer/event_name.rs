//! Names of events.

/// What an event tells. Names are Flowise's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventName {
    Start,
    /// A piece of the answer.
    Token,
    /// A piece of what the model thinks.
    Thinking,
    /// It has thought, for so many seconds.
    Thought,
    AgentTrace,
    CalledTools,
    UsedTools,
    UsageMetadata,
    AgentFlowEvent,
    /// The step that an agentflow has come to.
    NextAgentFlow,
    /// Its steps so far.
    AgentFlowExecutedData,
    /// What agents have done so far.
    AgentReasoning,
    /// Who is next of them.
    NextAgent,
    /// What a flow that waits asks its user.
    Action,
    SourceDocuments,
    Artifacts,
    FileAnnotations,
    Metadata,
    Abort,
    Error,
    End,
}

impl EventName {
    pub(super) const ALL: [Self; 21] = [
        Self::Token,
        Self::Start,
        Self::Thinking,
        Self::Thought,
        Self::AgentTrace,
        Self::CalledTools,
        Self::UsedTools,
        Self::UsageMetadata,
        Self::AgentFlowEvent,
        Self::NextAgentFlow,
        Self::AgentFlowExecutedData,
        Self::AgentReasoning,
        Self::NextAgent,
        Self::Action,
        Self::SourceDocuments,
        Self::Artifacts,
        Self::FileAnnotations,
        Self::Metadata,
        Self::Abort,
        Self::Error,
        Self::End,
    ];

    /// `None`: there is none that the gateway knows.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Token => "token",
            Self::Thinking | Self::Thought => "thinking",
            Self::AgentTrace => "agent_trace",
            Self::CalledTools => "calledTools",
            Self::UsedTools => "usedTools",
            Self::UsageMetadata => "usageMetadata",
            Self::AgentFlowEvent => "agentFlowEvent",
            Self::NextAgentFlow => "nextAgentFlow",
            Self::AgentFlowExecutedData => "agentFlowExecutedData",
            Self::AgentReasoning => "agentReasoning",
            Self::NextAgent => "nextAgent",
            Self::Action => "action",
            Self::SourceDocuments => "sourceDocuments",
            Self::Artifacts => "artifacts",
            Self::FileAnnotations => "fileAnnotations",
            Self::Metadata => "metadata",
            Self::Abort => "abort",
            Self::Error => "error",
            Self::End => "end",
        }
    }
}
