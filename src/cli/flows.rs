//! `flowgate flows check`: says of exported flows, node by node, whether the built-in engine can run them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::BAD_CONFIG;
use crate::config::{self, Config, UpstreamKind};
use crate::engine::{self, Credentials, Inspected, Inspection, Missing, Need};
use crate::telemetry::metrics::Metrics;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether the built-in engine can run an exported chatflow, node by node
    Check(Check),
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Files as Flowise exports them ("Export Chatflow", "Export Agentflow")
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Configuration whose credentials are taken into account [default: the one that `serve` finds, if there is one]
    #[arg(long, value_name = "FILE", env = "FLOWGATE_CONFIG")]
    config: Option<PathBuf>,
}

impl Command {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Check(check) => check.run(),
        }
    }
}

impl Check {
    fn run(self) -> ExitCode {
        let config = match configuration(self.config) {
            Ok(config) => config,
            Err(code) => return code,
        };
        let metrics = match Metrics::new() {
            Ok(metrics) => Arc::new(metrics),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
        let mut all_run = true;
        let mut shown = String::new();
        for (index, file) in self.files.iter().enumerate() {
            let given = config.as_ref().map(|config| Given::by(config, file)).unwrap_or_default();
            match inspect(file, &given, &metrics) {
                Ok(inspection) => {
                    all_run &= inspection.runs();
                    shown.push_str(if index > 0 { "\n" } else { "" });
                    shown.push_str(&table(file, &inspection, config.is_some()));
                }
                Err(message) => {
                    all_run = false;
                    eprintln!("{}: {message}", file.display());
                }
            }
        }
        print!("{shown}");
        if all_run { ExitCode::SUCCESS } else { ExitCode::from(BAD_CONFIG) }
    }
}

/// The one that is named must be right. Without one a flow can be checked as well, so what lies about is used if it can
/// be.
fn configuration(named: Option<PathBuf>) -> Result<Option<Config>, ExitCode> {
    if let Some(path) = named {
        return super::load(&path).map(Some);
    }
    let Some(path) = super::find_config() else { return Ok(None) };
    let config = config::load(&path);
    if config.is_err() {
        eprintln!("{}: has mistakes, which `flowgate check` tells: checking without its credentials", path.display());
    }
    Ok(config.ok())
}

/// What the configuration has for a flow.
#[derive(Debug, Default)]
struct Given {
    credentials: Credentials,
    networks: Vec<IpNet>,
}

impl Given {
    /// By the engine that the file belongs to, or by all engines.
    fn by(config: &Config, file: &Path) -> Self {
        let engines = config.upstreams.iter().filter_map(|upstream| match &upstream.kind {
            UpstreamKind::Engine(engine) => Some(engine),
            _ => None,
        });
        let folder = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
        let is_home = |engine: &&config::Engine| folder.is_some() && engine.flows_dir.canonicalize().ok() == folder;
        let home = engines.clone().find(is_home);
        let mut given = Self::default();
        for engine in engines.filter(|engine| home.is_none_or(|home| std::ptr::eq(home, *engine))) {
            for (name, fields) in engine.credentials.clone() {
                given.credentials.entry(name).or_default().extend(fields);
            }
            given.networks.extend(&engine.allow_networks);
        }
        given
    }
}

fn inspect(file: &Path, given: &Given, metrics: &Arc<Metrics>) -> Result<Inspection, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    engine::inspect(&text, file.with_extension(""), &given.credentials, &given.networks, metrics)
        .map_err(|problem| problem.to_string())
}

/// One flow: a line for each node, further ones for what else is wrong with it, and the verdict.
fn table(file: &Path, inspection: &Inspection, knows_credentials: bool) -> String {
    let generation = if inspection.is_agentflow { "agentflow" } else { "chatflow" };
    let mut text = format!("{} ({generation})\n", file.display());
    let rows: Vec<[&str; 2]> = inspection.nodes.iter().map(|node| [&*node.label, &*node.kind]).collect();
    let width = |column: usize, least: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).fold(least, usize::max)
    };
    let (label, kind) = (width(0, 4), width(1, 4));
    let mut row = |first: &str, second: &str, third: &str| {
        let _ = writeln!(text, "  {first:label$}  {second:kind$}  {third}");
    };
    row("NODE", "TYPE", "ENGINE");
    for node in &inspection.nodes {
        let mut lines = findings(node, knows_credentials).into_iter();
        row(&node.label, &node.kind, &lines.next().unwrap_or_default());
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
    let mut lines: Vec<String> =
        node.problems.iter().map(|problem| format!("not supported: {}", problem.at_node())).collect();
    let which = if knows_credentials { ", which the configuration does not have" } else { "" };
    let need = |missing: &Missing| match &missing.need {
        Need::Credential { name, .. } => format!("needs credential {name}{which}"),
        need => format!("needs {need}"),
    };
    let needs: BTreeSet<String> = node.missing.iter().map(need).collect();
    let needs: Vec<String> = needs.into_iter().collect();
    match (lines.is_empty(), needs.is_empty()) {
        (true, true) => lines.push("runs".to_owned()),
        (true, false) => lines.push(format!("runs, {}", needs.join(", "))),
        (false, _) => lines.extend(needs),
    }
    lines
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
    let (mut lacks_file, mut hosts) = (false, Vec::new());
    for need in needs {
        match need {
            Need::Credential { name, field } => wanted.entry(name).or_default().push(format!("{field}: ...")),
            Need::File { .. } => lacks_file = true,
            Need::Network { host } => hosts.push(host.as_str()),
        }
    }
    let file = if lacks_file { "; choose its files in Flowise and export it again" } else { "" };
    let mut text = format!("the engine runs this flow{file}");
    if !wanted.is_empty() {
        let still = if knows_credentials { "still missing" } else { "to be put" };
        let _ = write!(text, "; {still} under `credentials` of the engine, unless the model asks for none:");
        for (name, fields) in wanted {
            let _ = write!(text, "\n  {name}: {{ {} }}", fields.join(", "));
        }
    }
    if !hosts.is_empty() {
        let _ = write!(text, "\nto be allowed by `allow_networks` of the engine: {}", hosts.join(", "));
    }
    text + "\n"
}
