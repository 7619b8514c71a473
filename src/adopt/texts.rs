//! The files that say what runs: the configuration, and the flows with what they name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::credentials::CREDENTIALS_FILE;
use super::folder::{PlannedFile, lies_in};
use super::plan::{AdoptionPlan, Placement, PlannedFlow, STORES, TOOLS, VARIABLES};
use super::settings::FlowRate;
use super::variables::VarValue;
use super::yaml_text::{list, plain, quoted};
use crate::config::content::{self, MOST_DOCUMENT};

pub(super) const CONFIG_FILE: &str = "flowgate.yaml";
const FLOWS: &str = "flows";
/// Exports of flows that the engine does not run; nothing reads it.
const KEPT: &str = "kept";
/// How files in Flowise's storage are named.
const STORED: &str = "FILE-STORAGE::";

/// All but keys and credentials.
pub(super) fn of(plan: &AdoptionPlan) -> Vec<PlannedFile> {
    let mut files = vec![configuration(plan)];
    for flow in &plan.flows {
        let is_here = flow.placement == Placement::Here;
        let folder = if is_here { FLOWS } else { KEPT };
        files.push(PlannedFile::open(format!("{folder}/{}.json", flow.chatflow), flow.text.clone()));
        if is_here {
            stored(flow, &mut files);
        }
    }
    for flow in plan.placed() {
        if let Some(key) = flowise_key(plan, flow) {
            files.push(PlannedFile::secret(flowise_key_file(flow), format!("{key}\n")));
        }
    }
    if let Some(stores) = &plan.stores {
        files.push(PlannedFile::open(format!("{FLOWS}/{STORES}.json"), stores.clone()));
    }
    if !plan.tools.is_empty() {
        files.push(PlannedFile::open(format!("{FLOWS}/{TOOLS}.json"), json!({ "Tool": plan.tools }).to_string()));
    }
    if !plan.variables.is_empty() {
        let variable = |variable: &crate::exported::VariableRecord| json!({ "name": variable.name, "value": variable.value.as_deref().unwrap_or_default(), "type": variable.kind });
        let variables: Vec<Value> = plan.variables.iter().map(variable).collect();
        files.push(PlannedFile::secret(
            format!("{FLOWS}/{VARIABLES}.json"),
            json!({ "Variable": variables }).to_string(),
        ));
    }
    files
}

/// Files in Flowise's storage that a flow names.
fn stored(flow: &PlannedFlow, files: &mut Vec<PlannedFile>) {
    let Some(storage) = &flow.storage else { return };
    for path in crate::engine::listed(storage).unwrap_or_default().into_iter().filter(|path| path.is_file()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        // Flowise has cleaned it; it is one part of a path, as it was found in a folder.
        let is_named = flow.text.contains(STORED) && flow.text.contains(name);
        // Links that lead elsewhere are none of Flowise's, and whoever runs this may read what a flow may not.
        if is_named && lies_in(&path, storage) && content::check(&path, MOST_DOCUMENT).is_ok() {
            let place = Path::new(FLOWS).join(&flow.chatflow).join(name);
            if let (Some(place), Ok(bytes)) = (place.to_str(), content::read(&path, MOST_DOCUMENT)) {
                files.push(PlannedFile::bytes(place, bytes));
            }
        }
    }
}

fn configuration(plan: &AdoptionPlan) -> PlannedFile {
    let mut text = String::from(
        "# Written by `flowgate adopt`. It is yours: a later run changes what nobody else has changed, and nothing without saying so.\n\
         # Every field: flowgate's config/full.yaml.\nupstreams:\n",
    );
    if plan.here().next().is_some() {
        let _ = writeln!(
            text,
            "  local:\n    engine:\n      flows_dir: {FLOWS}\n      credentials_file: {CREDENTIALS_FILE}"
        );
    }
    if let Some(url) = &plan.flowise {
        let _ = writeln!(text, "  flowise:\n    flowise: {{ urls: [{}] }}", quoted(url));
    }
    let rates: BTreeSet<FlowRate> = plan.placed().filter_map(rate).collect();
    if !rates.is_empty() {
        text.push_str("plans:\n");
    }
    for rate in rates {
        let (name, requests) = (plan_of(rate), rate.per_unit());
        let _ = writeln!(text, "  {name}: {{ requests: {requests}, burst: {} }}", rate.requests);
    }
    text.push_str("chatflows:\n");
    for flow in plan.placed() {
        chatflow(&mut text, flow);
        if flow.placement == Placement::Flowise && flow.key_id.is_some() {
            // Flowise takes this one key for it, and no other.
            let _ = match flowise_key(plan, flow) {
                Some(_) => writeln!(text, "    api_key_file: {}", flowise_key_file(flow)),
                None => writeln!(text, "    api_key: \"${{{}:-}}\"", key_variable(flow)),
            };
        }
    }
    // Values of variables are what their owner keeps out of flows.
    let is_secret = plan.here().any(|flow| !flow.vars.is_empty());
    if is_secret { PlannedFile::secret(CONFIG_FILE, text) } else { PlannedFile::open(CONFIG_FILE, text) }
}

/// Flowise's own key of a flow that stays there, if the source has it.
fn flowise_key<'a>(plan: &'a AdoptionPlan, flow: &PlannedFlow) -> Option<&'a str> {
    let id = flow.key_id.as_deref().filter(|_| flow.placement == Placement::Flowise)?;
    plan.keys.iter().find(|key| key.id == id).map(|key| key.secret.expose())
}

/// Where that key is.
pub(super) fn flowise_key_file(flow: &PlannedFlow) -> String {
    format!("flowise-keys/{}", flow.chatflow)
}

/// The variable of the environment in which Flowise's own key of a flow is looked for.
pub(super) fn key_variable(flow: &PlannedFlow) -> String {
    format!("FLOWISE_KEY_{}", flow.chatflow.to_ascii_uppercase().replace('-', "_"))
}

fn chatflow(text: &mut String, flow: &PlannedFlow) {
    let upstream = if flow.placement == Placement::Here { "local" } else { "flowise" };
    let _ = writeln!(text, "  {}:   # {}\n    upstream: {upstream}", plain(&flow.chatflow), flow.title);
    if let Some(id) = &flow.id {
        let _ = writeln!(text, "    id: {}\n    by_id: true", plain(id));
    }
    let settings = &flow.settings;
    if settings.is_public {
        text.push_str("    access: public\n");
    }
    if !settings.origins.is_empty() {
        let _ = writeln!(text, "    allowed_origins: {}", list(settings.origins.iter().map(String::as_str)));
    }
    if let Some(rate) = rate(flow) {
        let _ = writeln!(text, "    plan: {}", plan_of(rate));
    }
    if !settings.overrides.is_empty() {
        let paths = ["sessionId"].into_iter().chain(settings.overrides.iter().map(String::as_str));
        let _ = writeln!(text, "    override_config: {}", list(paths));
    }
    if shares_chats(flow) {
        text.push_str("    isolate_sessions: false   # chats go on by their ids, as in Flowise\n");
    }
    if !flow.vars.is_empty() {
        text.push_str("    vars:\n");
    }
    for (name, value) in &flow.vars {
        let value = match value {
            VarValue::Static(value) => quoted(value),
            VarValue::Environment => format!("\"${{{name}:-}}\""),
            VarValue::Unknown => "\"\"   # fill in".to_owned(),
        };
        let _ = writeln!(text, "      {}: {value}", plain(name));
    }
}

/// Whether whoever knows a chat's id may go on with it, since nobody knows whose it is.
pub(super) fn shares_chats(flow: &PlannedFlow) -> bool {
    let is_one_callers = flow.placement == Placement::Here && !flow.settings.is_public && flow.key_id.is_some();
    flow.has_chats && !is_one_callers
}

/// Of visitors: a key has its own plan.
fn rate(flow: &PlannedFlow) -> Option<FlowRate> {
    flow.settings.rate.filter(|_| flow.settings.is_public)
}

fn plan_of(rate: FlowRate) -> String {
    format!("flowise-{}-in-{}s", rate.requests, rate.seconds)
}
