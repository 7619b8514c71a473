//! The gateway's own tables, for tests that hold its pages against them. No part of what the library promises.

use crate::wire::refusal;

/// A rule by which requests are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleRow {
    pub name: &'static str,
    pub status: u16,
    pub code: &'static str,
    /// What it closes, in a few words.
    pub refuses: &'static str,
}

/// Every rule, in the order of its page.
pub fn rules() -> impl Iterator<Item = RuleRow> {
    refusal::Rule::ALL.iter().map(|rule| RuleRow {
        name: rule.name(),
        status: rule.code().status().as_u16(),
        code: rule.code().name(),
        refuses: rule.refuses(),
    })
}

/// Status and code of every refusal.
pub fn codes() -> impl Iterator<Item = (u16, &'static str)> {
    refusal::Code::ALL.iter().map(|code| (code.status().as_u16(), code.name()))
}
