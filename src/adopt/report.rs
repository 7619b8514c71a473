//! What came of it: for people, and for programs.

mod text;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use self::text::ReportTime;
use super::chats::ChatPlan;
use super::credentials::CredentialPlan;
use super::folder::{FolderReport, PlannedFile};
use super::keys::KeyPlan;
use super::plan::{AdoptionPlan, Placement, PlannedFlow};
use super::texts::{CONFIG_FILE, flowise_key_file, key_variable, shares_chats};
use super::yaml_text::one_line;
use crate::engine::{Inspection, Missing, Want, wants};
use crate::unprintable::escaped;

const REPORT_FILE: &str = "report.txt";
/// Characters of a label, and of a message.
const LABEL: usize = 60;
const MESSAGE: usize = 300;

/// See the module.
#[derive(Debug, Serialize)]
pub(crate) struct AdoptReport {
    into: String,
    flows: Vec<FlowReport>,
    keys: KeysReport,
    credentials: CredentialsReport,
    chats: ChatsReport,
    /// Records of what was put into databases.
    records: usize,
    document_stores: Vec<String>,
    tools: usize,
    variables: usize,
    /// What is not taken along.
    left: BTreeMap<String, usize>,
    notes: Vec<String>,
    /// `None`: nothing was to be written, since no flow is answered.
    pub(super) placed: Option<FolderReport>,
}

#[derive(Debug, Serialize)]
struct FlowReport {
    id: Option<String>,
    name: String,
    chatflow: String,
    verdict: FlowVerdict,
    access: &'static str,
    problems: Vec<NodeFinding>,
    needs: Vec<FlowNeed>,
    notes: Vec<String>,
    /// Kinds of nodes that Flowise does not run either, as their author calls them.
    lost: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum FlowVerdict {
    RunsHere,
    StaysOnFlowise,
    NotPlaced,
}

/// What is wrong with a node, or with several that are called the same.
#[derive(Debug, PartialEq, Serialize)]
struct NodeFinding {
    node: String,
    #[serde(rename = "type")]
    kind: String,
    message: String,
    /// How many nodes.
    nodes: usize,
}

/// What a flow lacks.
#[derive(Debug, PartialEq, Serialize)]
struct FlowNeed {
    /// The nodes, as their author calls them.
    nodes: String,
    message: String,
    advice: String,
    /// The flow fails without it; a credential may be wanted by nobody.
    is_needed: bool,
}

#[derive(Debug, Default, Serialize)]
struct KeysReport {
    brought: Vec<String>,
    made: Vec<String>,
    /// Those that a run before has made.
    kept: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct CredentialsReport {
    brought: usize,
    to_fill_in: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct ChatsReport {
    chats: usize,
    exchanges: usize,
}

impl AdoptReport {
    /// Of flows alone.
    pub(super) fn of(plan: &AdoptionPlan, into: &Path) -> Self {
        let (keys, credentials, chats) = Default::default();
        Self {
            into: into.display().to_string(),
            flows: plan.flows.iter().map(FlowReport::of).collect(),
            keys,
            credentials,
            chats,
            records: plan.records.values().map(Vec::len).sum(),
            document_stores: plan.store_names.clone(),
            tools: plan.tools.len(),
            variables: plan.variables.len(),
            left: plan.others.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect(),
            notes: plan.notes.iter().map(|note| one_line(note, MESSAGE)).collect(),
            placed: None,
        }
    }

    /// With who may call, and what nodes and chats have.
    pub(super) fn with(mut self, keys: &KeyPlan, credentials: &CredentialPlan, chats: &ChatPlan) -> Self {
        let to_fill_in = credentials.to_fill_in.iter().map(|(name, field)| format!("{name}.{field}")).collect();
        let KeyPlan { brought, made, kept, .. } = keys;
        self.keys = KeysReport { brought: brought.clone(), made: made.clone(), kept: kept.clone() };
        self.credentials = CredentialsReport { brought: credentials.brought, to_fill_in };
        self.chats = ChatsReport { chats: chats.chats.len(), exchanges: chats.exchanges };
        self.notes.extend(keys.notes.iter().map(|note| one_line(note, MESSAGE)));
        self
    }

    /// Whether every flow is answered, and lacks nothing but values of credentials.
    pub(crate) fn is_whole(&self) -> bool {
        let is_whole =
            |flow: &FlowReport| flow.verdict != FlowVerdict::NotPlaced && flow.needs.iter().all(|need| !need.is_needed);
        self.flows.iter().all(is_whole)
    }

    pub(crate) fn json(&self) -> String {
        escaped(serde_json::to_string_pretty(self).unwrap_or_default()) + "\n"
    }

    /// Without what became of files and keys this time: that is another one each time.
    pub(super) fn file(&self) -> PlannedFile {
        PlannedFile::open(REPORT_FILE, self.summary(ReportTime::Ever)).merged()
    }
}

impl FlowReport {
    fn of(flow: &PlannedFlow) -> Self {
        let (problems, needs) = (findings(&flow.inspection), needs(flow));
        let mut notes = flow.settings.notes.clone();
        if flow.placement == Placement::Here && !flow.settings.widget.is_empty() {
            notes.push(format!("its widget no longer has {}", flow.settings.widget.join(", ")));
        }
        let is_placed = flow.placement != Placement::Nowhere;
        if is_placed && flow.settings.origins.iter().any(|origin| origin == "*") {
            notes.push("every page may call it, as in Flowise: list yours in allowed_origins".to_owned());
        }
        if is_placed && flow.settings.rate.is_some() && !flow.settings.is_public {
            notes.push("its rate limit is that of the key's plan now".to_owned());
        }
        if is_placed && shares_chats(flow) {
            notes.push("whoever knows a chat's id goes on with it, as in Flowise (isolate_sessions)".to_owned());
        }
        if !is_placed && flow.inspection.as_ref().is_ok_and(Inspection::runs) {
            let kept = format!("kept/{}.json", flow.chatflow);
            notes.push(format!("once it is, move {kept} to flows/, and add the flow to chatflows in {CONFIG_FILE}"));
        }
        if flow.placement == Placement::Flowise && flow.key_id.is_some() {
            notes.push(format!(
                "Flowise takes its own key for it alone: {}, or {}",
                flowise_key_file(flow),
                key_variable(flow)
            ));
        }
        Self {
            id: flow.id.clone(),
            name: flow.title.clone(),
            chatflow: flow.chatflow.clone(),
            verdict: match flow.placement {
                Placement::Here => FlowVerdict::RunsHere,
                Placement::Flowise => FlowVerdict::StaysOnFlowise,
                Placement::Nowhere => FlowVerdict::NotPlaced,
            },
            access: if flow.settings.is_public { "public" } else { "key" },
            problems,
            needs,
            lost: lost(flow),
            notes: notes.iter().map(|note| one_line(note, MESSAGE)).collect(),
        }
    }
}

/// What is wrong with nodes, and with the flow as a whole.
fn findings(inspection: &Result<Inspection, String>) -> Vec<NodeFinding> {
    let of_flow = |message: &str| NodeFinding {
        node: String::new(),
        kind: String::new(),
        message: one_line(message, MESSAGE),
        nodes: 0,
    };
    let inspection = match inspection {
        Ok(inspection) => inspection,
        Err(message) => return vec![of_flow(message)],
    };
    let mut found: Vec<NodeFinding> = Vec::new();
    for node in &inspection.nodes {
        let (label, kind) = (one_line(&node.label, LABEL), one_line(&node.kind, LABEL));
        for problem in &node.problems {
            let message = one_line(&problem.at_node().to_string(), MESSAGE);
            let is_same =
                |known: &&mut NodeFinding| (&known.node, &known.kind, &known.message) == (&label, &kind, &message);
            match found.iter_mut().find(is_same) {
                Some(same) => same.nodes += 1,
                None => found.push(NodeFinding { node: label.clone(), kind: kind.clone(), message, nodes: 1 }),
            }
        }
    }
    found.extend(inspection.problems.iter().map(|problem| of_flow(&problem.to_string())));
    found
}

/// What a flow asks for that runs here, and what keeps another from it.
fn needs(flow: &PlannedFlow) -> Vec<FlowNeed> {
    let Ok(inspection) = &flow.inspection else { return Vec::new() };
    let counts = |missing: &&Missing| flow.placement == Placement::Here || missing.need.refusal().is_some();
    let missing = inspection.nodes.iter().flat_map(|node| &node.missing).filter(counts);
    let need = |want: &Want| FlowNeed {
        nodes: one_line(&want.labels(), MESSAGE),
        message: one_line(&format!("needs {want}"), MESSAGE),
        advice: one_line(&want.advice(Some("local")), MESSAGE),
        is_needed: !want.is_optional(),
    };
    wants(missing.map(|missing| ("", missing))).iter().map(need).collect()
}

/// What of a flow Flowise does not run either.
fn lost(flow: &PlannedFlow) -> Vec<String> {
    let nodes = flow.inspection.iter().flat_map(|inspection| &inspection.nodes);
    let mut lost: Vec<String> = Vec::new();
    for node in nodes.filter(|node| node.is_lost) {
        let label = one_line(if node.label.trim().is_empty() { &node.kind } else { &node.label }, LABEL);
        if !lost.contains(&label) {
            lost.push(label);
        }
    }
    lost
}
