//! What came of it: for people, and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::chats::ChatPlan;
use super::credentials::{CREDENTIALS_FILE, CredentialPlan};
use super::folder::{Placed, PlannedFile};
use super::keys::{KeyPlan, NEW_KEYS_FILE};
use super::plan::{AdoptionPlan, Placement, PlannedFlow};
use super::texts::{CONFIG_FILE, flowise_key_file, key_variable, shares_chats};
use super::yaml_text::one_line;
use crate::engine::{Missing, Need};
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
    document_stores: Vec<String>,
    tools: usize,
    variables: usize,
    /// What is not taken along.
    left: BTreeMap<String, usize>,
    notes: Vec<String>,
    /// `None`: nothing was to be written, since no flow is answered.
    pub(super) placed: Option<Placed>,
}

#[derive(Debug, Serialize)]
struct FlowReport {
    id: Option<String>,
    name: String,
    chatflow: String,
    verdict: FlowVerdict,
    access: &'static str,
    problems: Vec<NodeFinding>,
    needs: Vec<NodeFinding>,
    notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum FlowVerdict {
    RunsHere,
    StaysOnFlowise,
    NotPlaced,
}

/// What a node lacks, or what is wrong with it.
#[derive(Debug, PartialEq, Serialize)]
struct NodeFinding {
    node: String,
    #[serde(rename = "type")]
    kind: String,
    message: String,
    /// The flow fails without it; a credential may be wanted by nobody.
    is_needed: bool,
}

#[derive(Debug, Serialize)]
struct KeysReport {
    brought: Vec<String>,
    made: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CredentialsReport {
    brought: usize,
    to_fill_in: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChatsReport {
    chats: usize,
    exchanges: usize,
}

impl AdoptReport {
    pub(super) fn of(
        plan: &AdoptionPlan,
        keys: &KeyPlan,
        credentials: &CredentialPlan,
        chats: &ChatPlan,
        into: &Path,
    ) -> Self {
        let to_fill_in = credentials.to_fill_in.iter().map(|(name, field)| format!("{name}.{field}")).collect();
        let notes = plan.notes.iter().chain(&keys.notes).map(|note| one_line(note, MESSAGE)).collect();
        Self {
            into: into.display().to_string(),
            flows: plan.flows.iter().map(FlowReport::of).collect(),
            keys: KeysReport { brought: keys.brought.clone(), made: keys.made.clone() },
            credentials: CredentialsReport { brought: credentials.brought, to_fill_in },
            chats: ChatsReport { chats: chats.chats.len(), exchanges: chats.exchanges },
            document_stores: plan.store_names.clone(),
            tools: plan.tools.len(),
            variables: plan.variables.len(),
            left: plan.others.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect(),
            notes,
            placed: None,
        }
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

    /// Without what became of files: that is another one each time.
    pub(super) fn file(&self) -> PlannedFile {
        PlannedFile::open(REPORT_FILE, self.summary()).merged()
    }

    pub(crate) fn text(&self, dry_run: bool) -> String {
        let mut text = self.summary();
        match &self.placed {
            None => text.push_str("\nnothing was written: no flow would be answered\n"),
            Some(placed) if placed.written.is_empty() && placed.removed.is_empty() => {
                let _ = writeln!(text, "\n{}: nothing has changed", self.into);
            }
            Some(placed) => {
                let does = if dry_run { "would write" } else { "wrote" };
                let removed = placed.removed.len();
                let also = if removed > 0 { format!(", {removed} removed") } else { String::new() };
                let _ = writeln!(
                    text,
                    "\n{}: {does} {} files{also}, {} as they were; `flowgate check --config {0}/{CONFIG_FILE}` next",
                    self.into,
                    placed.written.len(),
                    placed.unchanged
                );
            }
        }
        text
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        let width = |cell: fn(&FlowReport) -> &str, least: usize| {
            self.flows.iter().map(|flow| cell(flow).chars().count()).fold(least, usize::max)
        };
        let (flow, name) = (width(|flow| &flow.name, 4), width(|flow| &flow.chatflow, 8));
        let _ = writeln!(text, "{:flow$}  {:name$}  ACCESS  VERDICT", "FLOW", "CHATFLOW");
        for found in &self.flows {
            let verdict = match found.verdict {
                FlowVerdict::RunsHere => "runs here",
                FlowVerdict::StaysOnFlowise => "stays on Flowise",
                FlowVerdict::NotPlaced => "not answered: name a Flowise with --flowise, or mend it",
            };
            let _ = writeln!(text, "{:flow$}  {:name$}  {:6}  {verdict}", found.name, found.chatflow, found.access);
            for NodeFinding { node, kind, message, .. } in found.problems.iter().chain(&found.needs) {
                let at = if kind.is_empty() { String::new() } else { format!("node \"{node}\" ({kind}): ") };
                let _ = writeln!(text, "    {at}{message}");
            }
            found.notes.iter().for_each(|note| _ = writeln!(text, "    note: {note}"));
        }
        text.push('\n');
        self.belongings(&mut text);
        text
    }

    /// What comes along beside flows.
    fn belongings(&self, text: &mut String) {
        let mut line = |what: &str, told: String| _ = writeln!(text, "{what}: {told}");
        let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        if !self.keys.brought.is_empty() {
            line("keys that go on working", listed(&self.keys.brought));
        }
        if !self.keys.made.is_empty() {
            line(
                "keys that were made",
                format!("{} (their secrets are in {NEW_KEYS_FILE}, once)", listed(&self.keys.made)),
            );
        }
        if self.credentials.brought > 0 {
            line("credentials", format!("{} with their values, in {CREDENTIALS_FILE}", self.credentials.brought));
        }
        if !self.credentials.to_fill_in.is_empty() {
            let told = listed(&self.credentials.to_fill_in);
            line(&format!("credentials to fill in, in {CREDENTIALS_FILE}, unless the model asks for none"), told);
        }
        if self.chats.chats > 0 {
            line("chats that go on", format!("{}, with {} exchanges", self.chats.chats, self.chats.exchanges));
        }
        if !self.document_stores.is_empty() {
            line("document stores", listed(&self.document_stores));
        }
        if self.tools + self.variables > 0 {
            line("tools, variables", format!("{}, {}", self.tools, self.variables));
        }
        if !self.left.is_empty() {
            let left: Vec<String> = self.left.iter().map(|(what, count)| format!("{count} {what}")).collect();
            line("not taken along", left.join(", "));
        }
        self.notes.iter().for_each(|note| line("note", note.clone()));
    }
}

impl FlowReport {
    fn of(flow: &PlannedFlow) -> Self {
        let (problems, needs) = findings(flow);
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
            notes: notes.iter().map(|note| one_line(note, MESSAGE)).collect(),
        }
    }
}

/// What is wrong with nodes, and what they ask for; the latter of flows that run here.
fn findings(flow: &PlannedFlow) -> (Vec<NodeFinding>, Vec<NodeFinding>) {
    let of_flow = |message: &str| NodeFinding {
        node: String::new(),
        kind: String::new(),
        message: one_line(message, MESSAGE),
        is_needed: true,
    };
    let inspection = match &flow.inspection {
        Ok(inspection) => inspection,
        Err(message) => return (vec![of_flow(message)], Vec::new()),
    };
    let (mut problems, mut needs) = (Vec::new(), Vec::new());
    for node in &inspection.nodes {
        let finding = |message: String, is_needed| NodeFinding {
            node: one_line(&node.label, LABEL),
            kind: one_line(&node.kind, LABEL),
            message: one_line(&message, MESSAGE),
            is_needed,
        };
        problems.extend(node.problems.iter().map(|problem| finding(problem.at_node().to_string(), true)));
        let counts = |missing: &&Missing| flow.placement == Placement::Here || missing.need.refusal().is_some();
        for missing in node.missing.iter().filter(counts) {
            let is_needed = !matches!(missing.need, Need::Credential { .. });
            let found = finding(format!("needs {}", missing.need), is_needed);
            if !needs.contains(&found) {
                needs.push(found);
            }
        }
    }
    problems.extend(inspection.problems.iter().map(|problem| of_flow(&problem.to_string())));
    (problems, needs)
}
