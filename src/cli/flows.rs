//! `flowgate flows check`: says of exported flows, node by node, whether the built-in engine can run them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::found::{self, BAD_CONFIG};
use super::print::{print, tell};
use crate::config::{self, Config, McpServer, UpstreamKind};
use crate::engine::{
    self, ContainedFlow, Credentials, DocumentStores, Generation, Inspected, Inspection, Missing, Need,
};

#[derive(Debug, Subcommand)]
pub(super) enum FlowsCommand {
    /// Say whether the built-in engine can run an exported chatflow, node by node
    Check(CheckFlows),
}

#[derive(Debug, Args)]
pub(super) struct CheckFlows {
    /// Files as Flowise exports them: "Export Chatflow", "Export Agentflow", or "Settings, Export" with every flow in it,
    /// whose document stores are taken into account
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Configuration whose credentials, and document stores if no FILE has any, are taken into account [default: the one
    /// that `serve` finds, if there is one]
    #[arg(long, value_name = "FILE", env = "FLOWGATE_CONFIG")]
    config: Option<PathBuf>,
}

impl FlowsCommand {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Check(check) => check.run(),
        }
    }
}

impl CheckFlows {
    fn run(self) -> ExitCode {
        let (config, metrics) = match configuration(self.config).and_then(|config| Ok((config, found::metrics()?))) {
            Ok(both) => both,
            Err(code) => return code,
        };
        let mut mistakes = Vec::new();
        let mut texts = Vec::new();
        for file in self.files {
            match engine::export_text(&file) {
                Ok(text) => texts.push((file, text)),
                Err(error) => mistakes.push(format!("{}: {error}", file.display())),
            }
        }
        let (whole, flows): (Vec<_>, Vec<_>) = texts.into_iter().partition(|(_, text)| engine::is_whole_export(text));
        let stores = stores(&whole, &flows, config.as_ref()).unwrap_or_else(|found| {
            mistakes.extend(found);
            Arc::default()
        });
        let mut tables: Vec<String> = whole.iter().filter_map(|(file, _)| stores_table(file, &stores)).collect();
        let mut flows: Vec<CheckedFlow> = flows.into_iter().map(CheckedFlow::of).collect();
        for (file, text) in &whole {
            match engine::contained(text) {
                Ok(inside) => flows.extend(inside.into_iter().map(|flow| CheckedFlow::inside(file, flow))),
                Err(error) => mistakes.push(format!("{}: {error}", file.display())),
            }
        }
        let known = known(&flows, config.as_ref());
        let mut all_run = true;
        for CheckedFlow { file, title, folder, text, .. } in &flows {
            let ProvidedInputs { credentials, networks, mcp_servers } =
                config.as_ref().map(|config| ProvidedInputs::by(config, file)).unwrap_or_default();
            match engine::inspect(text, folder.clone(), &credentials, &networks, &mcp_servers, &stores, &metrics) {
                Ok(mut inspection) => {
                    let is_here =
                        |missing: &Missing| matches!(&missing.need, Need::Flow { name } if known.contains(name));
                    inspection.nodes.iter_mut().for_each(|node| node.missing.retain(|missing| !is_here(missing)));
                    // What only a configuration can give is missing only where there is one.
                    all_run &= if config.is_some() { inspection.is_taken() } else { inspection.runs() };
                    tables.push(table(title, &inspection, config.is_some()));
                }
                Err(problem) => mistakes.push(format!("{title}: {problem}")),
            }
        }
        for mistake in &mistakes {
            tell(format_args!("{mistake}"));
        }
        match print(format_args!("{}", tables.join("\n"))) {
            Err(code) => code,
            Ok(()) if all_run && mistakes.is_empty() => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(BAD_CONFIG),
        }
    }
}

/// A flow that is looked at.
struct CheckedFlow {
    file: PathBuf,
    /// What it is called by those who found it.
    name: Option<String>,
    /// What it is called here.
    title: String,
    /// Where its own files would lie.
    folder: PathBuf,
    text: String,
}

impl CheckedFlow {
    /// All of a file.
    fn of((file, text): (PathBuf, String)) -> Self {
        let name = file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        Self { title: file.display().to_string(), folder: file.with_extension(""), name, file, text }
    }

    /// One of several in a file.
    fn inside(file: &Path, ContainedFlow { name, title, text }: ContainedFlow) -> Self {
        let title = format!("{}: \"{title}\"", file.display());
        let folder = file.parent().unwrap_or(Path::new("")).join(&name);
        Self { file: file.to_owned(), title, folder, name: Some(name), text }
    }
}

/// The one that is named must be right. Without one a flow can be checked as well, so what lies about is used if it can
/// be.
fn configuration(named: Option<PathBuf>) -> Result<Option<Config>, ExitCode> {
    if let Some(path) = named {
        return found::load(&path).map(Some);
    }
    let Some(path) = found::find_config() else { return Ok(None) };
    let config = Config::load(&path);
    if config.is_err() {
        tell(format_args!(
            "{}: has mistakes, which `flowgate check` tells: checking without its credentials",
            path.display()
        ));
    }
    Ok(config.ok())
}

fn engines(config: &Config) -> impl Iterator<Item = &config::Engine> + Clone {
    config.upstreams.iter().filter_map(|upstream| match &upstream.kind {
        UpstreamKind::Engine(engine) => Some(engine),
        _ => None,
    })
}

/// Those of the exports that are named, else of the first engine that has any, else those that lie beside a flow that
/// names one, as they would in its engine's folder.
fn stores(
    whole: &[(PathBuf, String)],
    flows: &[(PathBuf, String)],
    config: Option<&Config>,
) -> Result<Arc<DocumentStores>, Vec<String>> {
    if !whole.is_empty() {
        let told = |(file, problem): (PathBuf, String)| format!("{}: {problem}", file.display());
        return DocumentStores::read(whole).map_err(|found| found.into_iter().map(told).collect());
    }
    for engine in config.into_iter().flat_map(engines) {
        let stores = engine::stores_in(&engine.flows_dir);
        let stores = stores.map_err(|found| found.0.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if stores.iter().next().is_some() {
            return Ok(stores);
        }
    }
    let naming = flows.iter().filter(|(_, text)| text.contains("ocumentStore"));
    let folders: BTreeSet<&Path> = naming.filter_map(|(file, _)| file.parent()).collect();
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // What else lies there is nobody's mistake.
        let Ok(stores) = engine::stores_in(folder) else { continue };
        if stores.iter().next().is_some() {
            return Ok(stores);
        }
    }
    Ok(Arc::default())
}

/// Flows that flows may run: those that are named, and those of the configuration.
fn known(flows: &[CheckedFlow], config: Option<&Config>) -> HashSet<String> {
    let stem = |file: &Path| Some(file.file_stem()?.to_str()?.to_owned());
    let of_engine = |engine: &config::Engine| engine::listed(&engine.flows_dir).unwrap_or_default();
    let lying_there = config.into_iter().flat_map(engines).flat_map(of_engine);
    let ids = config.into_iter().flat_map(|config| &config.chatflows).filter_map(|chatflow| chatflow.id.as_deref());
    let named = flows.iter().filter_map(|flow| flow.name.clone());
    lying_there.filter_map(|file| stem(&file)).chain(named).chain(ids.map(str::to_owned)).collect()
}

/// What the configuration has for a flow.
#[derive(Debug, Default)]
struct ProvidedInputs {
    credentials: Credentials,
    networks: Vec<IpNet>,
    mcp_servers: BTreeMap<String, McpServer>,
}

impl ProvidedInputs {
    /// By the engine that the file belongs to, or by all engines.
    fn by(config: &Config, file: &Path) -> Self {
        let folder = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
        let is_home = |engine: &&config::Engine| folder.is_some() && engine.flows_dir.canonicalize().ok() == folder;
        let home = engines(config).find(is_home);
        let mut given = Self::default();
        for engine in engines(config).filter(|engine| home.is_none_or(|home| std::ptr::eq(home, *engine))) {
            for (name, fields) in engine.credentials.clone() {
                given.credentials.entry(name).or_default().extend(fields);
            }
            given.networks.extend(&engine.allow_networks);
            given.mcp_servers.extend(engine.mcp_servers.clone());
        }
        given
    }
}

/// What an export of everything brings along, a line for each store, if it has any.
fn stores_table(file: &Path, stores: &DocumentStores) -> Option<String> {
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
fn table(title: &str, inspection: &Inspection, knows_credentials: bool) -> String {
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
    text.push_str(&verdict(inspection, knows_credentials));
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
        Need::Credential { name, .. } => format!("needs credential {name}{which}"),
        need => format!("needs {}", engine::printable(&need.to_string())),
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

/// What is to be filled in, by the nodes that want it.
fn settings(inspection: &Inspection) -> String {
    let mut lines = BTreeSet::new();
    for Missing { label, need, .. } in inspection.nodes.iter().flat_map(|node| &node.missing) {
        if let Need::Setting(field) = need {
            lines.insert(format!("\n  {}: {field}", named(label)));
        }
    }
    let text: String = lines.into_iter().collect();
    if text.is_empty() { text } else { format!("; to be filled in in Flowise, and exported again:{text}") }
}

fn verdict(inspection: &Inspection, knows_credentials: bool) -> String {
    let broken = inspection.nodes.iter().filter(|node| !node.problems.is_empty()).count();
    if broken > 0 {
        let all = inspection.nodes.iter().filter(|node| !node.is_note).count();
        return format!("the engine cannot run this flow: {broken} of {all} nodes not supported\n");
    }
    if !inspection.runs() {
        return "the engine cannot run this flow\n".to_owned();
    }
    let needs: BTreeSet<&Need> =
        inspection.nodes.iter().flat_map(|node| &node.missing).map(|missing| &missing.need).collect();
    let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut todo = BTreeSet::new();
    let (mut hosts, mut servers) = (Vec::new(), Vec::new());
    for need in needs {
        match need {
            Need::Credential { name, field } => wanted.entry(name).or_default().push(format!("{field}: ...")),
            Need::File { .. } => _ = todo.insert("; choose its files in Flowise and export it again"),
            Need::Network { host } => hosts.push(host.as_str()),
            Need::Flow { .. } => _ = todo.insert("; put the flows that it runs beside it, each under its id"),
            Need::Store { name: Some(_) } => {
                todo.insert("; put Flowise's export of its document stores (Settings, Export) beside it");
            }
            Need::Tool { .. } => {
                todo.insert("; put Flowise's export of its custom tools (Settings, Export) beside it");
            }
            Need::Setting(_) => {}
            Need::Store { name: None } => _ = todo.insert("; choose its document store in Flowise and export it again"),
            Need::McpServer { name, example } => servers.push((name, example)),
        }
    }
    let mut text = format!("the engine runs this flow{}", todo.into_iter().collect::<String>());
    text.push_str(&settings(inspection));
    if !wanted.is_empty() {
        let still = if knows_credentials { "still missing" } else { "to be put" };
        let mark = if text.contains('\n') { "\n" } else { "; " };
        let _ = write!(text, "{mark}{still} under `credentials` of the engine, unless the model asks for none:");
        for (name, fields) in wanted {
            let _ = write!(text, "\n  {name}: {{ {} }}", fields.join(", "));
        }
    }
    if !servers.is_empty() {
        text.push_str("\nto be put under `mcp: servers:` of the engine, which refuses the flow without, since a program on this machine is its operator's decision:");
        for (name, example) in servers {
            let _ = write!(text, "\n  {}: {}", engine::printable(name), engine::printable(example));
        }
    }
    if !hosts.is_empty() {
        let _ = write!(text, "\nto be allowed by `allow_networks` of the engine: {}", hosts.join(", "));
    }
    text + "\n"
}
