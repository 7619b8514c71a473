//! An action as a model calls it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::account::Account;
use super::action::ServiceAction;
use super::call::{ActionCall, ActionError};
use super::params::Params;
use super::service::ErrorStyle;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::nodes::tools::arguments::parameters;
use crate::engine::nodes::tools::fitted::{MissingWords, fitted};
use crate::engine::text::javascript::is_falsy;
use crate::engine::text::mustache::JsonTemplate;

/// The tools of an account. `chosen`: names of actions; `None`: all.
pub(super) fn tools(
    chosen: Option<&[String]>,
    account: &Arc<Account>,
    defaults: &Arc<[DefaultParam]>,
) -> Vec<Arc<dyn Tool>> {
    let service = account.service;
    let specs: Map<String, Value> = serde_json::from_str(service.specs).unwrap_or_default();
    let is_chosen = |action: &&ServiceAction| chosen.is_none_or(|chosen| chosen.iter().any(|name| name == action.name));
    let tool = |action: &'static ServiceAction| {
        let spec = spec_of(action.name, specs.get(action.name)?);
        let (account, defaults) = (Arc::clone(account), Arc::clone(defaults));
        Some(Arc::new(ActionTool { spec, action, account, defaults }) as Arc<dyn Tool>)
    };
    service.actions.iter().copied().flatten().filter(is_chosen).filter_map(tool).collect()
}

/// `listDrafts` as models call it.
fn spec_of(action: &str, told: &Value) -> ToolSpec {
    let mut name = String::new();
    for letter in action.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    let text = |field: &str| told.get(field).and_then(Value::as_str).unwrap_or_default();
    let required = told.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let parameters = parameters(told.get("properties").unwrap_or(&Value::Null), &required);
    ToolSpec { name, description: text("description").to_owned(), parameters }
}

/// What the node's author says of an argument.
#[derive(Debug)]
pub(super) struct DefaultParam {
    pub(super) name: &'static str,
    pub(super) value: JsonTemplate,
    /// Even if it is nothing.
    pub(super) always: bool,
}

impl DefaultParam {
    pub(super) fn read(written: &'static str, inputs: &mut Inputs<'_, '_, '_>) -> Option<Self> {
        let (written, always) = written.strip_suffix('!').map_or((written, false), |written| (written, true));
        let (input, name) = written.split_once('>').unwrap_or((written, written));
        let value = inputs.written(input)?;
        let value = inputs.template_of(&[input], &value);
        Some(Self { name, value, always })
    }
}

/// An action as a model calls it.
#[derive(Debug)]
struct ActionTool {
    spec: ToolSpec,
    action: &'static ServiceAction,
    account: Arc<Account>,
    defaults: Arc<[DefaultParam]>,
}

impl Tool for ActionTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let params = self.params(arguments, run).map_err(Failure::flow)?;
            let speech = self.account.service.speech;
            if let Some(words) = self.action.missing(&params) {
                return match speech {
                    ErrorStyle::Graph => Err(Failure::flow(words)),
                    ErrorStyle::Plain(_) => Ok(ToolResult { text: words.to_owned(), ..ToolResult::default() }),
                };
            }
            let (base, proof) = (self.account.base(run)?, self.account.proof(run).await?);
            let call = ActionCall { account: &self.account, params: &params, run, base, proof };
            let text = match call.done(self.action).await {
                Ok(text) => text,
                Err(ActionError::Ends(failure)) => return Err(failure),
                Err(ActionError::Told(error)) => {
                    let words = format!("Error {}: {error}", self.action.doing);
                    if matches!(speech, ErrorStyle::Graph) { Value::from(words).to_string() } else { words }
                }
            };
            Ok(ToolResult { text, arguments: Some(params.0.into()), ..ToolResult::default() })
        })
    }
}

impl ActionTool {
    /// What the action is called with.
    fn params(&self, arguments: &Value, run: &Run<'_>) -> Result<Params, String> {
        let arguments = if arguments.is_null() { Value::Object(Map::new()) } else { arguments.clone() };
        let Value::Object(mut params) = fitted(&arguments, &self.spec.parameters, MissingWords::Plainly)? else {
            return Ok(Params::default());
        };
        // Models say so of what they leave out.
        params.retain(|_, value| !value.is_null());
        for default in self.defaults.iter() {
            let value = default.value.value(run)?;
            if default.always || !is_falsy(&value) {
                params.insert(default.name.to_owned(), value);
            }
        }
        Ok(Params(params))
    }
}
