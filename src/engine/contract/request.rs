//! A checked prediction as the engine reads it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::flows::FlowIndex;
use super::memory::Turn;
use super::message::ContentPart;
use super::outcomes::Outcomes;
use crate::engine::text::overrides::Overrides;
use crate::engine::text::size::bytes_of;
use crate::predict::request::{PastMessage, Question, Upload};
use crate::predict::session::Namespace;

/// See the module. What stands in it has passed the gateway's checks.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunRequest {
    /// `None`: it was not sent.
    pub(crate) question: Option<String>,
    pub(crate) form: Option<Map<String, Value>>,
    pub(crate) chat_id: String,
    pub(crate) session_id: String,
    /// `overrideConfig.vars`: the gateway's, the key's, the token's and, where policy lets them, the client's.
    pub(crate) vars: Map<String, Value>,
    /// `overrideConfig` without `vars` and `sessionId`.
    pub(crate) overrides: Overrides,
    pub(crate) history: Vec<PastMessage>,
    pub(crate) uploads: Vec<Upload>,
    pub(crate) human_input: Option<Value>,
    /// The id of the question that it answers, if the client says it.
    pub(crate) action: Option<String>,
    /// Turns of the session before it, once they are read.
    pub(crate) recalled: OnceCell<Rc<[Turn]>>,
    /// What `{{chat_history}}` stands for, in a flow with a memory.
    pub(crate) told_history: OnceCell<String>,
    /// What nodes have made of it so far.
    pub(crate) outcomes: Outcomes,
    /// Whether another flow asks, whose user is not there to be asked anything.
    pub(crate) is_inner: bool,
    /// The flows that its flow may run: those that were in force when it came.
    pub(crate) flows: Arc<FlowIndex>,
    pub(crate) sessions: SessionNames,
}

/// What flows call sessions are names in the caller's namespace: no two callers mean the same session by one.
#[derive(Clone, Default)]
pub(crate) struct SessionNames(Option<Rc<Namespace>>);

impl fmt::Debug for SessionNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

impl SessionNames {
    /// `None`: the chatflow keeps nobody apart, and a name is the session itself.
    pub(crate) fn within(namespace: Option<Namespace>) -> Self {
        Self(namespace.map(Rc::new))
    }

    /// The session that is meant.
    pub(crate) fn named(&self, name: &str) -> String {
        self.0.as_ref().map_or_else(|| name.to_owned(), |namespace| namespace.upstream_id(name))
    }
}

impl From<Question> for RunRequest {
    fn from(question: Question) -> Self {
        Self {
            question: question.text,
            form: question.form,
            chat_id: question.chat_id,
            session_id: question.session_id,
            vars: question.vars,
            overrides: question.overrides.into(),
            history: question.history,
            uploads: question.uploads,
            human_input: question.human_input,
            action: question.action,
            ..Self::default()
        }
    }
}

impl RunRequest {
    /// Of its texts.
    pub(crate) fn bytes(&self) -> usize {
        let history: usize = self.history.iter().map(|turn| turn.text.len()).sum();
        let uploads: usize = self.uploads.iter().map(|upload| upload.data.len()).sum();
        let maps = [Some(&self.vars), Some(&self.overrides.values), self.form.as_ref()].into_iter().flatten();
        let values: usize = maps.flat_map(Map::values).chain(&self.human_input).map(bytes_of).sum();
        self.question().len() + history + uploads + values
    }

    /// Whether nothing was asked but by voice.
    pub(crate) fn is_spoken(&self) -> bool {
        self.question.is_none() && self.form.is_none() && self.human_input.is_none()
    }

    /// The question, or nothing.
    pub(crate) fn question(&self) -> &str {
        self.question.as_deref().unwrap_or_default()
    }

    /// The texts of files that came with the question; empty if there are none.
    pub(crate) fn files(&self) -> String {
        let mut files = String::new();
        for upload in self.uploads.iter().filter(|upload| upload.kind == "file:full" && !upload.data.is_empty()) {
            files.extend(["<doc name='", &upload.name, "'>", &upload.data, "</doc>\n\n"]);
        }
        files
    }

    /// The question, behind the files that came with it.
    pub(crate) fn question_with_files(&self) -> Cow<'_, str> {
        match self.files() {
            files if files.is_empty() => self.question().into(),
            files => format!("{files}\n\n{}", self.question()).into(),
        }
    }

    /// Images among the uploads, as a model takes them.
    pub(crate) fn images(&self) -> Vec<ContentPart> {
        let is_image = |upload: &&Upload| upload.mime.starts_with("image/") && upload.data.starts_with("data:");
        self.uploads.iter().filter(is_image).map(|upload| ContentPart::Image(upload.data.clone())).collect()
    }
}
