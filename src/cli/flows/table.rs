//! What is said of a flow: a line for each node, and the verdict.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::engine::{self, DocumentStores, Generation, Inspected, Inspection, Missing, Need, wants};

/// What an export of everything brings along, a line for each store, if it has any.
pub(super) fn stores_table(file: &Path, stores: &DocumentStores) -> Option<String> {
    let mut text = format!("{} (document stores)\n", shown_path(file));
    let own = stores.iter().filter(|store| store.file == file);
    own.clone().next()?;
    let width = own.clone().map(|store| named(&store.name).chars().count()).fold(5, usize::max);
    let _ = writeln!(text, "  {:width$}  PASSAGES  EMBEDDINGS", "STORE");
    for store in own {
        let embeddings = match &store.embeddings {
            None => "none, so nothing can search it".to_owned(),
            Some(kind) => match engine::why_not_embedded(&kind.name) {
                None => named(&kind.name),
                Some(why) => format!("{}, not supported: {why}", named(&kind.name)),
            },
        };
        let _ = writeln!(text, "  {:width$}  {:<8}  {embeddings}", named(&store.name), store.documents.len());
    }
    Some(text)
}

/// One flow: a line for each node, further ones for what else is wrong with it, and the verdict.
pub(super) fn table(title: &str, inspection: &Inspection, knows_credentials: bool) -> String {
    let generation = match inspection.generation {
        Generation::Chatflow => "chatflow",
        Generation::AgentflowV1 => "agentflow V1",
        Generation::AgentflowV2 => "agentflow",
    };
    let mut text = format!("{} ({generation})\n", engine::printable(title));
    let rows: Vec<[String; 2]> = inspection.nodes.iter().map(|node| [named(&node.label), named(&node.kind)]).collect();
    let width = |column: usize, least: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).fold(least, usize::max)
    };
    let (label, kind) = (width(0, 4), width(1, 4));
    let mut row = |first: &str, second: &str, third: &str| {
        let _ = writeln!(text, "  {first:label$}  {second:kind$}  {third}");
    };
    row("NODE", "TYPE", "ENGINE");
    for (node, [label, kind]) in inspection.nodes.iter().zip(&rows) {
        let mut lines = findings(node, knows_credentials).into_iter();
        row(label, kind, &lines.next().unwrap_or_default());
        lines.for_each(|line| row("", "", &line));
    }
    for problem in &inspection.problems {
        let _ = writeln!(text, "  not supported: {problem}");
    }
    text.push_str(&verdict(inspection));
    text
}

fn findings(node: &Inspected, knows_credentials: bool) -> Vec<String> {
    if node.is_note {
        return vec!["a note, nothing to run".to_owned()];
    }
    if node.is_loose {
        return vec!["not connected, nothing to run".to_owned()];
    }
    let mut lines: Vec<String> =
        node.problems.iter().map(|problem| format!("not supported: {}", problem.at_node())).collect();
    let which = if knows_credentials { ", which the configuration does not have" } else { "" };
    let need = |missing: &Missing| match &missing.need {
        Need::Credential { name, .. } => format!("needs credential {}{which}", engine::printable(name)),
        need => format!("needs {need}"),
    };
    let needs: BTreeSet<String> = node.missing.iter().map(need).collect();
    let needs: Vec<String> = needs.into_iter().collect();
    match (lines.is_empty(), needs.is_empty()) {
        (true, true) => lines.push("runs".to_owned()),
        (true, false) => lines.push(format!("runs, {}", needs.join(", "))),
        (false, _) => lines.extend(needs),
    }
    lines.extend(node.passed_over.iter().map(|note| format!("ignored: {}", note.at_node())));
    lines
}

/// Letters of a label in the table.
const WIDEST: usize = 48;

/// What an author called something, as a cell of the table.
fn named(text: &str) -> String {
    let text = engine::printable(text);
    match text.trim() {
        "" => "(no name)".to_owned(),
        text if text.chars().count() > WIDEST => text.chars().take(WIDEST - 1).chain(['…']).collect(),
        text => text.to_owned(),
    }
}

fn shown_path(file: &Path) -> String {
    engine::printable(&file.display().to_string()).into_owned()
}

/// Whether it runs, and a line for each thing that it needs for that.
fn verdict(inspection: &Inspection) -> String {
    let missing = inspection.nodes.iter().filter(|node| !node.is_loose).flat_map(|node| &node.missing);
    let wants = wants(missing.map(|missing| ("", missing)));
    let broken = inspection.nodes.iter().filter(|node| !node.problems.is_empty()).count();
    let all = inspection.nodes.iter().filter(|node| !node.is_note).count();
    let (told, also) = match (inspection.runs(), broken) {
        (true, _) if wants.is_empty() => ("the engine runs this flow".to_owned(), ""),
        (true, _) => ("the engine runs this flow once this is there:".to_owned(), ""),
        (false, 0) => ("the engine cannot run this flow".to_owned(), "\nit also needs:"),
        (false, _) => {
            (format!("the engine cannot run this flow: {broken} of {all} nodes not supported"), "\nit also needs:")
        }
    };
    let mut text = told;
    if !wants.is_empty() {
        text.push_str(also);
    }
    for want in &wants {
        let unless = if want.is_optional() { ", unless its server asks for none" } else { "" };
        let _ = write!(text, "\n  {}: {}{unless}", want.in_its_nodes(), want.advice(None));
    }
    text + "\n"
}
