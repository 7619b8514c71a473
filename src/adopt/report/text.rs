//! The report as people read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{AdoptReport, FlowNeed, FlowReport, FlowVerdict, NodeFinding};
use crate::adopt::credentials::CREDENTIALS_FILE;
use crate::adopt::keys::NEW_KEYS_FILE;
use crate::adopt::texts::CONFIG_FILE;
use crate::adopt::yaml_text::one_line;
use crate::counted::counted;

/// Flows of which the same is noted once, at the end.
const MANY: usize = 4;

/// When something was made of which it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportTime {
    /// By this run.
    Now,
    /// It would be, by a run that writes.
    Would,
    /// By this run or one before.
    Ever,
}

impl AdoptReport {
    pub(crate) fn text(&self, dry_run: bool) -> String {
        let mut text = self.summary(if dry_run { ReportTime::Would } else { ReportTime::Now });
        match &self.placed {
            None => text.push_str("\nnothing was written: no flow would be answered\n"),
            Some(placed) if placed.written.is_empty() && placed.removed.is_empty() => {
                let _ = writeln!(text, "\n{}: nothing has changed", self.into);
            }
            Some(placed) => {
                let does = if dry_run { "would write" } else { "wrote" };
                let removed = one_line(&placed.removed.join(", "), 400);
                let also = if removed.is_empty() { removed } else { format!(", removed {removed}") };
                let _ = writeln!(
                    text,
                    "\n{}: {does} {}{also}, {} as before; `flowgate check --config {0}/{CONFIG_FILE}` next",
                    self.into,
                    counted(placed.written.len(), "file"),
                    placed.unchanged
                );
            }
        }
        text
    }

    pub(super) fn summary(&self, time: ReportTime) -> String {
        let mut text = String::new();
        let width = |cell: fn(&FlowReport) -> &str, least: usize| {
            self.flows.iter().map(|flow| cell(flow).chars().count()).fold(least, usize::max)
        };
        let (flow, name) = (width(|flow| &flow.name, 4), width(|flow| &flow.chatflow, 8));
        let _ = writeln!(text, "{:flow$}  {:name$}  ACCESS  VERDICT", "FLOW", "CHATFLOW");
        let noted = self.noted();
        for found in &self.flows {
            let (name_of, chatflow, access) = (&found.name, &found.chatflow, found.access);
            let _ = writeln!(text, "{name_of:flow$}  {chatflow:name$}  {access:6}  {}", found.verdict());
            for NodeFinding { node, kind, message, nodes } in &found.problems {
                let _ = match nodes {
                    0 => writeln!(text, "    {message}"),
                    1 => writeln!(text, "    node \"{node}\" ({kind}): {message}"),
                    nodes => writeln!(text, "    node \"{node}\" ({kind}, {nodes} nodes): {message}"),
                };
            }
            for FlowNeed { nodes, message, advice, is_needed } in &found.needs {
                // Where credentials are filled in is said once, below.
                let advice = if *is_needed { format!(": {advice}") } else { String::new() };
                let _ = writeln!(text, "    {message} for {nodes}{advice}");
            }
            let is_own = |note: &&String| noted.get(note.as_str()).is_none_or(|flows| flows.len() < MANY);
            let own = found.notes.iter().filter(is_own);
            own.for_each(|note| _ = writeln!(text, "    note: {note}"));
        }
        text.push('\n');
        for (note, flows) in noted.iter().filter(|(_, flows)| flows.len() >= MANY) {
            let some = flows.iter().take(2).copied().collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "note on {} flows ({some}, ...): {note}", flows.len());
        }
        self.unanswered(&mut text);
        self.belongings(&mut text, time);
        text
    }

    /// What is noted, with the flows that it is about.
    fn noted(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut noted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for flow in &self.flows {
            flow.notes.iter().for_each(|note| noted.entry(note).or_default().push(&flow.name));
        }
        noted
    }

    /// What helps flows that nobody would answer.
    fn unanswered(&self, text: &mut String) {
        let left: Vec<&FlowReport> = self.flows.iter().filter(|flow| flow.verdict == FlowVerdict::NotPlaced).collect();
        if left.is_empty() {
            return;
        }
        let mend = "change what is said above in Flowise, export again and adopt again";
        let stays = if left.iter().all(|flow| flow.id.is_none()) {
            "; for Flowise to go on answering, adopt what has its ids: Settings, Export, or its database"
        } else {
            ", or let Flowise go on answering: --flowise http://127.0.0.1:3000"
        };
        let _ = writeln!(text, "not answered: {}: {mend}{stays}", counted(left.len(), "flow"));
    }

    /// What comes along beside flows.
    fn belongings(&self, text: &mut String, time: ReportTime) {
        let mut line = |what: &str, told: String| _ = writeln!(text, "{what}: {told}");
        let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        if !self.keys.brought.is_empty() {
            line("keys that go on working", listed(&self.keys.brought));
        }
        let (made, before) = match time {
            ReportTime::Ever => ([&*self.keys.made, &*self.keys.kept].concat(), Vec::new()),
            ReportTime::Now | ReportTime::Would => (self.keys.made.clone(), self.keys.kept.clone()),
        };
        if !made.is_empty() {
            let (when, are) = match time {
                ReportTime::Would => ("would be", "would be"),
                ReportTime::Now | ReportTime::Ever => ("were", "are"),
            };
            let told = format!("{} (their secrets {are} in {NEW_KEYS_FILE}, once)", listed(&made));
            line(&format!("keys that {when} made"), told);
        }
        if !before.is_empty() {
            line("keys that a run before has made", listed(&before));
        }
        if self.credentials.brought > 0 {
            line("credentials", format!("{} with their values, in {CREDENTIALS_FILE}", self.credentials.brought));
        }
        if !self.credentials.to_fill_in.is_empty() {
            let told = listed(&self.credentials.to_fill_in);
            line(&format!("credentials to fill in, in {CREDENTIALS_FILE}, unless the model asks for none"), told);
        }
        if self.chats.chats > 0 {
            let exchanges = counted(self.chats.exchanges, "exchange");
            line("chats that go on", format!("{}, with {exchanges}", self.chats.chats));
        }
        if self.records > 0 {
            line("records of what databases hold", self.records.to_string());
        }
        if self.placed.is_some() && !self.document_stores.is_empty() {
            line("document stores", listed(&self.document_stores));
        }
        if self.tools + self.variables > 0 {
            line("tools, variables", format!("{}, {}", self.tools, self.variables));
        }
        if !self.left.is_empty() {
            let one = |what: &str| what.strip_suffix('s').unwrap_or(what).to_owned();
            let left: Vec<String> = self.left.iter().map(|(what, count)| counted(*count, &one(what))).collect();
            line("not taken along", left.join(", "));
        }
        self.notes.iter().for_each(|note| line("note", note.clone()));
    }
}

impl FlowReport {
    fn verdict(&self) -> String {
        match self.verdict {
            FlowVerdict::RunsHere => "runs here".to_owned(),
            FlowVerdict::StaysOnFlowise if self.lost.is_empty() => "stays on Flowise".to_owned(),
            FlowVerdict::StaysOnFlowise => format!("stays on Flowise, if yours still runs {}", self.lost.join(", ")),
            FlowVerdict::NotPlaced => "not answered".to_owned(),
        }
    }
}
