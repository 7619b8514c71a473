//! `flowgate flows check`: says of exported flows, node by node, whether the built-in engine can run them.

mod table;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use self::table::{stores_table, table};
use super::found::{self, BAD_CONFIG};
use super::print::{print, tell};
use crate::config::{self, Config, McpServer, UpstreamKind};
use crate::engine::{self, ContainedFlow, Credentials, DocumentStores, Missing, Need};

#[derive(Debug, Subcommand)]
pub(super) enum FlowsCommand {
    /// Say whether the built-in engine can run an exported chatflow, node by node
    Check(CheckFlows),
}

#[derive(Debug, Args)]
pub(super) struct CheckFlows {
    /// Files as Flowise exports them, or folders of them: "Export Chatflow", "Export Agentflow", or "Settings, Export" with
    /// every flow in it, whose document stores are taken into account
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
        for file in spread(self.files, &mut mistakes) {
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
        let (mut all_run, mut runs, mut wanting) = (true, 0, 0);
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
                    runs += usize::from(inspection.runs());
                    wanting += usize::from(inspection.runs() && inspection.lacks());
                    tables.push(table(title, &inspection, config.is_some()));
                }
                Err(problem) => mistakes.push(format!("{title}: {problem}")),
            }
        }
        if flows.len() > 1 {
            let once =
                if wanting > 0 { format!(", {wanting} of them once what they lack is there") } else { String::new() };
            tables.push(format!("the engine runs {runs} of {} flows{once}\n", flows.len()));
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

/// With the exports of a folder in its place, as an engine would find them there.
fn spread(named: Vec<PathBuf>, mistakes: &mut Vec<String>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let found: Vec<PathBuf> = match engine::listed(&path) {
            Ok(inside) => inside.into_iter().filter(|file| is_export(file)).collect(),
            Err(error) => {
                mistakes.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        if found.is_empty() {
            mistakes.push(format!("{}: no FILE.json in this folder", path.display()));
        }
        files.extend(found);
    }
    files
}

fn is_export(file: &Path) -> bool {
    file.is_file() && file.extension().is_some_and(|extension| extension == "json")
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
