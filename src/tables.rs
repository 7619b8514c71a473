//! The gateway's own tables, for tests that hold its pages against them. No part of what the library promises.

use crate::policy::Callers;
use crate::stack::routes::{Methods, ROUTES};
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

/// A route of the public listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRow {
    pub method: &'static str,
    pub path: &'static str,
    /// As metrics and log show it.
    pub label: &'static str,
    pub callers: &'static str,
}

/// Every route, in the order in which paths are compared.
pub fn routes() -> impl Iterator<Item = RouteRow> {
    ROUTES.iter().map(|route| RouteRow {
        method: match route.methods {
            Methods::Get => "GET",
            Methods::Post => "POST",
            Methods::Put => "PUT",
        },
        path: route.path.pattern,
        label: route.label,
        callers: match route.callers {
            Callers::Anyone => "anyone",
            Callers::Permitted => "a caller",
            Callers::Backends => "a secret key",
            Callers::Upserters => "a key with `upsert: true`",
            Callers::Known => "any key or session token",
        },
    })
}
