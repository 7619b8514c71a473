//! Prompt templates.

mod few_shot;
pub(super) mod given;

use std::sync::Arc;

use serde_json::{Map, Value};

use self::given::Given;
use super::Kind;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::{Content, Message, Piece, Role};
use crate::engine::contract::part::Part;
use crate::engine::contract::run::Run;
use crate::engine::text::template::{Template, counted};

pub(super) const KINDS: &[&dyn Kind] = &[&PromptTemplate, &ChatPromptTemplate, &few_shot::FewShotPromptTemplate];

/// What a model is told, with places for values.
#[derive(Debug)]
pub(crate) struct Prompt {
    pub(crate) turns: Vec<(Role, Template)>,
    /// Places that want a value, as often as Flowise counts them.
    names: Vec<String>,
    given: Given,
    form: Form,
}

/// Which node it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Chat,
    FewShot,
}

impl Prompt {
    pub(crate) fn form(&self) -> Form {
        self.form
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
    pub(crate) fn messages(
        &self,
        values: &Map<String, Value>,
        images: &[Piece],
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
        }
        if let Some(last) = messages.iter_mut().rfind(|turn| turn.role == Role::User) {
            last.content = with_images(std::mem::replace(&mut last.content, Content::Text(String::new())), images);
        }
        Ok(messages)
    }
}

/// Images, and the text behind them; the text alone if there are none.
pub(super) fn with_images(content: Content, images: &[Piece]) -> Content {
    if images.is_empty() {
        return content;
    }
    let mut pieces = images.to_vec();
    pieces.push(Piece::Text(content.plain()));
    Content::Pieces(pieces)
}

struct PromptTemplate;

impl Kind for PromptTemplate {
    fn names(&self) -> &'static [&'static str] {
        &["promptTemplate"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let given = Given::read(inputs, "promptValues");
        let text = inputs.text("template").unwrap_or_default();
        let template = template(inputs, "template")?;
        let counted = if inputs.is_settled("template") { Vec::new() } else { counted(&text) };
        let names: Vec<String> = counted.into_iter().filter(|name| !is_known(name)).collect();
        if let Some(stray) = template.names().find(|name| !names.iter().any(|counted| counted == name)) {
            let message = format!("Invalid prompt schema: (f-string) Missing value for input {stray}");
            inputs.refuse("template", message);
            return None;
        }
        let turns = vec![(Role::User, template)];
        Some(Part::Prompt(Arc::new(Prompt { turns, names, given, form: Form::Plain })))
    }
}

/// Within `{{$vars.x}}`, which is filled in before names are counted.
fn is_known(name: &str) -> bool {
    let name = name.trim_start_matches('{');
    name.starts_with("$vars.") || name.starts_with("$flow.")
}

struct ChatPromptTemplate;

impl Kind for ChatPromptTemplate {
    fn names(&self) -> &'static [&'static str] {
        &["chatPromptTemplate"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let system = template(inputs, "systemMessagePrompt");
        let human = template(inputs, "humanMessagePrompt");
        let given = Given::read(inputs, "promptValues");
        let own_tab = format!("selectedMessagesTab_{}", inputs.node.id);
        inputs.ignore(&["selectedMessagesTab", "tabIdentifier", "messageHistory", &own_tab]);
        if inputs.has("messageHistoryCode") {
            inputs.refuse("messageHistoryCode", "the engine runs no code");
        }
        let turns = vec![(Role::System, system?), (Role::User, human?)];
        let mut names: Vec<String> = Vec::new();
        for name in turns.iter().flat_map(|(_, template)| template.names()) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Some(Part::Prompt(Arc::new(Prompt { turns, names, given, form: Form::Chat })))
    }
}

pub(super) fn template(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Template> {
    let text = inputs.text(name).unwrap_or_default();
    inputs.prompt(name, &text)
}
