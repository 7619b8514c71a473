//! Prompt templates.

mod few_shot;
mod langfuse;
pub(super) mod prompt_values;

use std::sync::Arc;

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::message::{Message, Role};
use crate::engine::contract::prompt::{EarlierTurns, Form, Prompt};
use crate::engine::contract::run::Run;
use crate::engine::scripts::{Script, ScriptValues};
use crate::engine::text::template::{Template, counted};

pub(super) const KINDS: &[&dyn NodeKind] = &[
    &PromptTemplate,
    &ChatPromptTemplate,
    &few_shot::FewShotPromptTemplate,
    &langfuse::LangFusePrompt { address_input: "" },
];

struct PromptTemplate;

impl NodeKind for PromptTemplate {
    fn names(&self) -> &'static [&'static str] {
        &["promptTemplate"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let given = prompt_values::read(inputs, "promptValues");
        let text = inputs.text("template").unwrap_or_default();
        let template = template(inputs, "template")?;
        let counted = if inputs.is_settled("template") { Vec::new() } else { counted(&text) };
        let names: Vec<String> = counted.into_iter().filter(|name| !is_known(name)).collect();
        if let Err(message) = without_strays(&template, &names) {
            inputs.refuse("template", message);
            return None;
        }
        let turns = vec![(Role::User, template)];
        let prompt = Prompt { turns, names, given, form: Form::Plain, earlier: None, elsewhere: None };
        Some(Part::Prompt(Arc::new(prompt)))
    }
}

/// # Errors
/// It has a place that is not counted among the names; the sentence is Flowise's.
fn without_strays(template: &Template, names: &[String]) -> Result<(), String> {
    match template.names().find(|name| !names.iter().any(|counted| counted == name)) {
        Some(stray) => Err(format!("Invalid prompt schema: (f-string) Missing value for input {stray}")),
        None => Ok(()),
    }
}

/// Within `{{$vars.x}}`, which is filled in before names are counted.
fn is_known(name: &str) -> bool {
    let name = name.trim_start_matches('{');
    name.starts_with("$vars.") || name.starts_with("$flow.")
}

struct ChatPromptTemplate;

impl NodeKind for ChatPromptTemplate {
    fn names(&self) -> &'static [&'static str] {
        &["chatPromptTemplate"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let system = template(inputs, "systemMessagePrompt");
        let human = template(inputs, "humanMessagePrompt");
        let given = prompt_values::read(inputs, "promptValues");
        let own_tab = format!("selectedMessagesTab_{}", inputs.node.id);
        let chosen = ["messageHistory", "selectedMessagesTab", &own_tab].map(|name| inputs.text(name));
        let mut tabs = chosen.iter().flatten().peekable();
        // Of the editor's tabs it is the first.
        let is_chosen = tabs.peek().is_none() || tabs.any(|tab| tab.contains("messageHistoryCode"));
        inputs.ignore(&["selectedMessagesTab", "tabIdentifier", "messageHistory", &own_tab]);
        let earlier = if is_chosen { Script::read(inputs, "messageHistoryCode") } else { None };
        if !is_chosen {
            inputs.ignore(&["messageHistoryCode"]);
        }
        let earlier = earlier.map(|script| Arc::new(CodedTurns(script)) as _);
        let turns = vec![(Role::System, system?), (Role::User, human?)];
        let mut names: Vec<String> = Vec::new();
        for name in turns.iter().flat_map(|(_, template)| template.names()) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Some(Part::Prompt(Arc::new(Prompt { turns, names, given, form: Form::Chat, earlier, elsewhere: None })))
    }
}

/// Messages that a program of the author's gives.
#[derive(Debug)]
struct CodedTurns(Script);

impl EarlierTurns for CodedTurns {
    fn made<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let request = run.request;
            let known = [("chatflowId", run.flow), ("sessionId", &request.session_id), ("chatId", &request.chat_id)];
            let flow = known.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
            let values = ScriptValues { input: "".into(), flow, ..ScriptValues::default() };
            self.0.run(values, run).await.map_err(|failure| failure.within("Error"))?.into_messages()
        })
    }
}

/// The prompt of a node that takes one for chats alone, if it has one.
pub(super) fn of_chat(inputs: &mut Inputs<'_, '_, '_>) -> Option<Arc<Prompt>> {
    let prompt = inputs.part_as("chatPromptTemplate", Part::into_prompt, "a chat prompt template");
    if prompt.as_ref().is_some_and(|prompt| prompt.form != Form::Chat) {
        inputs.refuse("chatPromptTemplate", "expected a chat prompt template");
    }
    prompt
}

/// The system's words of such a node, which count where it has no prompt.
pub(super) fn system_words(
    inputs: &mut Inputs<'_, '_, '_>,
    (name, otherwise): (&str, &str),
    prompt: Option<&Arc<Prompt>>,
) -> Option<Template> {
    let words = inputs.text(name).unwrap_or_else(|| otherwise.to_owned());
    let words = inputs.prompt(name, &words)?;
    if let (None, Some(stray)) = (prompt, words.names().find(|name| *name != "input")) {
        inputs.refuse(name, format!("there is no value for {{{stray}}}"));
    }
    Some(words)
}

pub(super) fn template(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Template> {
    let text = inputs.text(name).unwrap_or_default();
    inputs.prompt(name, &text)
}

/// A template whose places are all known.
pub(super) fn known_places(
    inputs: &mut Inputs<'_, '_, '_>,
    input: &str,
    text: &str,
    known: &[&str],
) -> Option<Template> {
    let template = inputs.prompt(input, text)?;
    let unknown = template.names().find(|name| !known.contains(name)).map(str::to_owned);
    if let Some(name) = unknown {
        inputs.refuse(input, format!("there is no value for {{{name}}}, only for {{{}}}", known.join("} and {")));
        return None;
    }
    Some(template)
}
