//! Google, Microsoft and Jira: nodes that give a model actions of a service as tools. Each service is a table of its
//! actions: what is asked for each, and what is told of the answer.

mod account;
mod action;
mod calendar;
mod call;
mod docs;
mod drive;
mod gmail;
mod jira;
#[cfg(test)]
mod node_tests;
pub(in crate::engine::nodes) mod oauth;
mod outlook;
mod params;
pub(in crate::engine::nodes) mod service;
mod sheets;
mod teams;
#[cfg(test)]
mod tests;
mod tool;

use std::sync::Arc;

use self::account::Account;
use self::service::OfficeService;
use self::tool::{DefaultParam, tools};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &ServiceNode(&gmail::GMAIL),
    &ServiceNode(&calendar::CALENDAR),
    &ServiceNode(&docs::DOCS),
    &ServiceNode(&drive::DRIVE),
    &ServiceNode(&sheets::SHEETS),
    &ServiceNode(&outlook::OUTLOOK),
    &ServiceNode(&teams::TEAMS),
    &ServiceNode(&jira::JIRA),
];

/// The node of a service.
struct ServiceNode(&'static OfficeService);

impl NodeKind for ServiceNode {
    fn names(&self) -> &'static [&'static str] {
        self.0.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let service = self.0;
        let chosen = service.choice.actions(inputs);
        let defaults = service.defaults.split_whitespace().filter_map(|written| DefaultParam::read(written, inputs));
        let defaults: Arc<[DefaultParam]> = defaults.collect();
        let account = Arc::new(Account::read(service, inputs)?);
        Some(Part::tools(tools(chosen.as_deref(), &account, &defaults)))
    }
}
