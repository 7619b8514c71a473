//! Which of a node's inputs are filled in for each request: by the node itself, or by making it anew.

use serde_json::Value;

use super::{Accepts, Inputs};
use crate::config::override_rules::protected;
use crate::engine::compile::varied::VariedInput;
use crate::engine::text::variables;

impl Inputs<'_, '_, '_> {
    /// Reports what Flowise fills in for each request, and this node would not.
    pub(crate) fn refuse_unfilled(&mut self) {
        let every = self.accepts == Accepts::All;
        let first = |name: &str, value: &Value| {
            if every { variables::first_where(value, &|_| true) } else { variables::first(value, self.declares(name)) }
        };
        let left = self.values.iter().filter(|(name, _)| self.read.contains(*name) && !self.filled.contains(*name));
        let found = left.filter_map(|(name, value)| Some((name.clone(), first(name, value)?)));
        for (name, variable) in found.collect::<Vec<_>>() {
            if self.varies(&name) {
                let varied = VariedInput { node: self.node.id.clone(), input: name };
                self.compiler.varied.push(varied);
                continue;
            }
            self.refuse(&name, format!("the engine does not fill in {{{{{variable}}}}} here"));
        }
    }

    /// Whether the node can be made anew for each request, with what the variables in an input stand for then: a setting
    /// of a node of a chatflow, which a client might override.
    fn varies(&self, name: &str) -> bool {
        let is_of_run = |variable: &str| {
            let known = ["$flow.sessionId", "$flow.chatId", "$flow.chatflowId"];
            variable.starts_with("$flow.") && !known.contains(&variable)
        };
        let is_said = |variable: &str| !variable.starts_with('$') && self.declares(name);
        let has = |is_meant: &dyn Fn(&str) -> bool| {
            self.values.get(name).is_some_and(|value| variables::first_where(value, is_meant).is_some())
        };
        let own = self.compiler.export.node(&self.node.id).is_some_and(|own| own.data.name == self.node.data.name);
        let is_setting = self.accepts == Accepts::Filled && own && protected(&[name]).is_none();
        is_setting && !has(&is_of_run) && !has(&is_said)
    }

    /// In these inputs the node fills in `{{...}}` for each request.
    pub(crate) fn fills(&mut self, names: &[&str]) {
        self.filled.extend(names.iter().map(|name| (*name).to_owned()));
    }
}
