//! Which variables a flow is given: those that its texts name, the code of its tools and the flows that it runs.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::yaml_text::is_key;
use crate::config::is_reserved;
use crate::exported::{FlowRecord, VariableRecord};
use crate::uuid::is_uuid;

/// How texts and code of flows begin to name one.
const MARK: &str = "$vars";

/// A variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VarValue {
    Static(String),
    /// Of the environment's variable of that name.
    Environment,
    /// The sources do not say.
    Unknown,
}

/// See the module.
pub(super) struct Variables<'a> {
    all: &'a [VariableRecord],
    /// Flows and code of tools, by Flowise's ids.
    texts: HashMap<String, String>,
}

impl<'a> Variables<'a> {
    pub(super) fn of(all: &'a [VariableRecord], tools: &[Value], flows: &[FlowRecord]) -> Self {
        let text = |tool: &Value, field: &str| tool.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
        let code = tools.iter().filter_map(|tool| Some((text(tool, "id")?, text(tool, "func")?)));
        let data = flows.iter().filter_map(|flow| Some((flow.id.clone()?, flow.flow_data.clone()?)));
        Self { all, texts: code.chain(data).map(|(id, text)| (id.to_ascii_lowercase(), text)).collect() }
    }

    /// Those that a flow of that text reads. Flowise gives each flow all of them.
    pub(super) fn read_by(&self, text: &str) -> Vec<(String, VarValue)> {
        let texts: Vec<&str> = self.reached_from(text).into_iter().filter(|text| text.contains(MARK)).collect();
        let words: HashSet<&str> = texts.iter().flat_map(|text| text.split(|c: char| !is_of_word(c))).collect();
        let is_named = |name: &str| {
            let is_word = name.chars().all(is_of_word);
            if is_word { words.contains(name) } else { texts.iter().any(|text| text.contains(name)) }
        };
        let named = self.all.iter().filter_map(|variable| {
            let name = variable.name.clone().filter(|name| !name.is_empty() && !is_reserved(name) && is_key(name))?;
            is_named(&name).then(|| (name.clone(), value_of(variable, &name)))
        });
        named.collect()
    }

    /// Those that a flow of that text reads by their names, and that the sources do not have.
    pub(super) fn missing_from(&self, text: &str) -> BTreeSet<String> {
        let reached = self.reached_from(text);
        let after = reached.iter().flat_map(|text| text.split(MARK).skip(1)).filter_map(|rest| rest.strip_prefix('.'));
        let names =
            after.filter_map(|rest| rest.split(|c: char| !is_of_word(c)).next()).filter(|name| is_variable(name));
        let is_here = |name: &str| self.all.iter().any(|variable| variable.name.as_deref() == Some(name));
        names.filter(|name| !is_here(name)).map(str::to_owned).collect()
    }

    /// The text, and all that it names by an id, and what those name.
    fn reached_from<'b>(&'b self, text: &'b str) -> Vec<&'b str> {
        let mut reached = vec![text];
        let mut known = HashSet::new();
        let mut at = 0;
        while let Some(text) = reached.get(at).copied() {
            at += 1;
            let ids = text.split(|c: char| !(c.is_ascii_hexdigit() || c == '-')).filter(|word| is_uuid(word));
            for id in ids.map(str::to_ascii_lowercase) {
                if let Some(other) = self.texts.get(&id)
                    && known.insert(id)
                {
                    reached.push(other);
                }
            }
        }
        reached
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn value_of(variable: &VariableRecord, name: &str) -> VarValue {
    match &variable.value {
        _ if variable.kind.as_deref() == Some("runtime") && is_variable(name) => VarValue::Environment,
        Some(value) => VarValue::Static(value.clone()),
        None => VarValue::Unknown,
    }
}

/// Whether an environment can have a variable of that name.
fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOOL: &str = "6f1b2b60-0000-4000-8000-000000000001";
    const FLOW: &str = "6f1b2b60-0000-4000-8000-000000000002";

    fn variable(name: &str) -> VariableRecord {
        VariableRecord { name: Some(name.to_owned()), value: Some(name.to_uppercase()), kind: None }
    }

    #[test]
    fn a_flow_is_given_what_its_tools_and_inner_flows_read() {
        let all = ["own", "tools", "inner", "word", "nobody"].map(variable);
        let tools = [json!({ "id": TOOL, "func": "const { tools } = $vars; return tools" })];
        let inner = format!("{{\"tool\":\"{FLOW}\",\"code\":\"$vars[\\\"inner\\\"]\"}}");
        let flow = FlowRecord { id: Some(FLOW.to_uppercase()), flow_data: Some(inner), ..FlowRecord::default() };
        let variables = Variables::of(&all, &tools, std::slice::from_ref(&flow));
        let names = |text: &str| variables.read_by(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&format!("$vars.own {TOOL}")), ["own", "tools"]);
        assert_eq!(names(&format!("no own word, but {FLOW}")), ["inner"], "it runs itself, which ends");
        assert_eq!(names("keyword own"), Vec::<String>::new());
        assert_eq!(variables.read_by("$vars.word")[0].1, VarValue::Static("WORD".to_owned()));
        let missing = |text: &str| variables.missing_from(text).into_iter().collect::<Vec<_>>();
        assert_eq!(missing("{{$vars.own}} {{$vars.userId}}\\n $vars.userId, $vars[0] $vars.5 $vars"), ["userId"]);
        let alone = Variables::of(&[], &tools, std::slice::from_ref(&flow));
        assert_eq!(alone.missing_from(&format!("$vars.own {TOOL} {FLOW}")).len(), 1, "brackets are not read");
    }
}
