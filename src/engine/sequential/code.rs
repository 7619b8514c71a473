//! Programs of the flow's author in its nodes.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::state::{Channels, Reducer, StateChannel};
use super::visit::Visit;
use crate::engine::compile::inputs::Inputs;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::run::Run;
use crate::engine::scripts::{Returned, Script, ScriptValues};

/// See the module.
#[derive(Debug)]
pub(super) struct AgentCode(Script);

impl AgentCode {
    /// Of an input; `None`: there is none, or it cannot run, which is told to the inputs.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Self> {
        Script::read(inputs, name).map(Self)
    }

    /// Runs it; `output`: what its node has said, `named`: globals, with the dollar before their names.
    pub(super) async fn run(
        &self,
        visit: &Visit<'_>,
        output: Option<&Value>,
        named: Vec<(String, Value)>,
    ) -> Result<Returned, Failure> {
        let flow = match visit.flow(output) {
            Value::Object(flow) => flow,
            _ => Map::new(),
        };
        let values = ScriptValues { input: visit.question.into(), flow, named, tools: &[] };
        self.0.run(values, visit.run).await
    }

    /// The same, of code that gives a text.
    pub(super) async fn text(
        &self,
        visit: &Visit<'_>,
        output: Option<&Value>,
        otherwise: &str,
    ) -> Result<String, Failure> {
        match self.run(visit, output, Vec::new()).await? {
            Returned::Text(text) => Ok(text),
            _ => Err(Failure::flow(otherwise)),
        }
    }

    /// The same, of code that gives an object.
    pub(super) async fn object(
        &self,
        visit: &Visit<'_>,
        output: Option<&Value>,
        otherwise: &str,
    ) -> Result<Map<String, Value>, Failure> {
        match self.run(visit, output, Vec::new()).await? {
            Returned::Value(Value::Object(fields)) => Ok(fields),
            _ => Err(Failure::flow(otherwise)),
        }
    }
}

/// What the values of a state are, and how they are put together, as a program says it.
#[derive(Debug)]
pub(super) struct StateCode {
    define: Script,
    reducers: Arc<Reducers>,
}

/// The program's part that puts values together.
#[derive(Debug)]
pub(super) struct Reducers(Script);

/// Around what the author wrote, an object of keys and functions.
const BEFORE: &str = "const channels = (";
const DEFINE: &str = "\n);
const told = {};
for (const [name, channel] of Object.entries(channels)) {
  const reducer = channel && (channel.reducer || channel.value);
  told[name] = { reduces: typeof reducer === 'function', value: reducer && channel.default ? channel.default() : undefined };
}
return JSON.stringify(told);";
const REDUCE: &str = "\n);
const channel = channels[$name];
return JSON.stringify({ value: (channel.reducer || channel.value)($before, $more) });";

impl StateCode {
    /// Of an input; `None`: it cannot run, which is told to the inputs.
    pub(super) fn read(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Self> {
        let code = Script::read(inputs, name)?;
        let reducers = Arc::new(Reducers(code.clone().within(BEFORE, REDUCE)));
        Some(Self { define: code.within(BEFORE, DEFINE), reducers })
    }

    /// What a run begins with.
    pub(super) async fn channels(&self, run: &Run<'_>) -> Result<Channels, Failure> {
        let defined = fields(self.define.run(ScriptValues::default(), run).await?);
        let defined = defined.ok_or_else(|| Failure::flow("State must be an object"))?;
        let channel = |(name, mut channel): (String, Value)| {
            let is_reduced = channel.get("reduces") == Some(&Value::Bool(true));
            let reducer = if is_reduced { Reducer::Code(Arc::clone(&self.reducers)) } else { Reducer::Replace };
            StateChannel { name, reducer, default: channel.get_mut("value").map(Value::take) }
        };
        Ok(defined.into_iter().filter(|(name, _)| name != "messages").map(channel).collect())
    }
}

impl Reducers {
    /// A value and another, put together.
    pub(super) async fn reduced(
        &self,
        name: &str,
        before: &Value,
        more: Option<&Value>,
        run: &Run<'_>,
    ) -> Result<Value, Failure> {
        let named = [("$name", name.into()), ("$before", before.clone()), ("$more", more.cloned().unwrap_or_default())];
        let named = named.map(|(name, value): (&str, Value)| (name.to_owned(), value)).into();
        let reduced = self.0.run(ScriptValues { named, ..ScriptValues::default() }, run).await?;
        Ok(fields(reduced).and_then(|mut fields| fields.shift_remove("value")).unwrap_or_default())
    }
}

fn fields(returned: Returned) -> Option<Map<String, Value>> {
    if let Returned::Value(Value::Object(fields)) = returned { Some(fields) } else { None }
}
