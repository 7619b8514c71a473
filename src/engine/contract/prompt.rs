//! What a model is told, with places for values.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Task;
use super::failure::Failure;
use super::message::{Content, ContentPart, Message, Role};
use super::prompt_values::PromptValues;
use super::run::Run;
use crate::engine::text::template::Template;

/// What a model is told, with places for values.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) turns: Vec<(Role, Template)>,
    /// Places that want a value, as often as Flowise counts them.
    pub(crate) names: Vec<String>,
    pub(crate) given: PromptValues,
    pub(crate) form: Form,
    /// What stands behind the system's words.
    pub(crate) earlier: Option<Arc<dyn EarlierTurns>>,
    /// Where its words lie, if that is not in the flow.
    pub(crate) elsewhere: Option<Arc<dyn PromptSource>>,
}

/// Words of a prompt that are fetched for each run: its template, and the names in it.
pub(crate) trait PromptSource: fmt::Debug + Send + Sync {
    fn fetched<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, (Template, Vec<String>)>;
}

/// Messages that are made for each run.
pub(crate) trait EarlierTurns: fmt::Debug + Send + Sync {
    fn made<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>>;
}

/// Which node it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Chat,
    FewShot,
}

impl Prompt {
    /// With its words, wherever they lie.
    pub(crate) async fn read(self: &Arc<Self>, run: &Run<'_>) -> Result<Arc<Self>, Failure> {
        let Some(elsewhere) = &self.elsewhere else { return Ok(Arc::clone(self)) };
        let (template, names) = elsewhere.fetched(run).await?;
        let turns = vec![(Role::User, template)];
        let (given, form) = (self.given.clone(), self.form);
        Ok(Arc::new(Self { turns, names, given, form, earlier: None, elsewhere: None }))
    }

    /// The author's values, with what stands for the request in them.
    pub(crate) async fn given(&self, question: &str, run: &Run<'_>) -> Result<Map<String, Value>, Failure> {
        self.given.fill(question, run).await
    }

    /// Values by name: the author's, and the question for the one place that is left.
    ///
    /// # Errors
    /// More than one place has no value; the sentence is Flowise's.
    pub(crate) async fn bound(
        &self,
        question: &str,
        more: &[String],
        run: &Run<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut values = self.given(question, run).await?;
        let is_open =
            |name: &&String| values.get(*name).is_none_or(Value::is_null) && !more.iter().any(|known| known == *name);
        let open: Vec<&String> = self.names.iter().filter(is_open).collect();
        match open.as_slice() {
            [] => {}
            [only] => {
                values.insert((*only).clone(), question.into());
            }
            several => {
                let names = several.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(Failure::flow(format!("Please provide Prompt Values for: {names}")));
            }
        }
        Ok(values)
    }

    /// Turns with everything filled in; images go into the last of the user's. A parser's instructions follow the
    /// system's words, or the user's where there is no system.
    pub(crate) async fn messages(
        &self,
        values: &Map<String, Value>,
        images: &[ContentPart],
        instructions: Option<&str>,
        run: &Run<'_>,
    ) -> Result<Vec<Message>, Failure> {
        let instructed = if self.form == Form::Chat { Role::System } else { Role::User };
        let mut messages = Vec::with_capacity(self.turns.len());
        for (role, template) in &self.turns {
            let mut text = template.render_for(values, run).map_err(Failure::flow)?;
            if let Some(instructions) = instructions.filter(|_| *role == instructed) {
                text.push('\n');
                text.push_str(instructions);
            }
            messages.push(Message::text(*role, text));
            if let Some(earlier) = self.earlier.as_ref().filter(|_| *role == Role::System) {
                messages.extend(earlier.made(run).await?);
            }
        }
        if let Some(last) = messages.iter_mut().rfind(|turn| turn.role == Role::User) {
            last.content = with_images(std::mem::replace(&mut last.content, Content::Text(String::new())), images);
        }
        Ok(messages)
    }
}

/// Images, and the text behind them; the text alone if there are none.
pub(crate) fn with_images(content: Content, images: &[ContentPart]) -> Content {
    if images.is_empty() {
        return content;
    }
    let mut pieces = images.to_vec();
    pieces.push(ContentPart::Text(content.plain()));
    Content::Pieces(pieces)
}
