//! Session tokens: what an application's backend hands to one of its pages, so that the page needs no key.

use serde_json::{Map, Value};

/// What a valid token says. The key that it descends from is the caller's key.
#[derive(Clone, PartialEq)]
pub struct Claims {
    /// The chatflow's public name, the only one it may call.
    pub chatflow: String,
    /// The origin of the page it was made for; `None`: any that the chatflow lists.
    pub origin: Option<String>,
    /// The user; chats of two subjects are kept apart.
    pub subject: String,
    /// Forced into `overrideConfig.sessionId`, and the only chat there is.
    pub session_id: Option<String>,
    /// Forced into `overrideConfig.vars`.
    pub vars: Map<String, Value>,
}

impl std::fmt::Debug for Claims {
    /// Without what the application says of its user.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claims").field("chatflow", &self.chatflow).finish_non_exhaustive()
    }
}
