//! The shape of the larger modules within: who may use whom, and how far files may be tied to each other.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::imports::{Graph, Module, circles, graph, name};
use super::{files, source};

/// Files that use each other, by way of others or not, are read and changed together: there are to be no more of them
/// than somebody can hold in his head.
const LARGEST_CIRCLE: usize = 8;

/// Parts of a module, with what each may use of the others.
type Table = &'static [(&'static str, &'static [&'static str])];

/// What each part of the engine may use of the others, `part` or `part::file`; a part lies below whatever may use it.
/// What `mod.rs` takes out of them is for those outside.
const ENGINE: Table = &[
    // A prediction on its thread. Which nodes its flow has, it does not know.
    ("threads", &["flow", "mcp", "contract", "sandbox"]),
    // A flow that is loaded. It knows every kind of node, and hands them to the compiler.
    (
        "flow",
        &[
            "agentflow",
            "sequential",
            "nodes",
            "models",
            "demo",
            "compile",
            "documents",
            "provider",
            "scripts::post_processor",
            "contract",
            "text::overrides",
        ],
    ),
    // Flows of the second generation. They search what nodes of the first can search.
    ("agentflow", &["nodes::retrieval", "scripts", "compile", "provider", "contract", "text"]),
    // Flows of agents of the first. They share with its nodes what looks at a question, and what tidies an answer.
    ("sequential", &["nodes::moderation", "nodes::agents", "scripts", "compile", "contract", "text"]),
    // Embeddings are reached as the models of their providers are.
    (
        "nodes",
        &["models", "scripts", "mcp", "compile", "documents", "mongo", "postgres", "provider", "contract", "text"],
    ),
    // What they send has a place in addresses and forms.
    ("models", &["compile", "provider", "contract", "text::header", "text::percent"]),
    // Code of authors, as nodes run it: its box knows nothing of flows.
    ("scripts", &["compile", "postgres", "provider", "contract", "sandbox", "text"]),
    // From an export to parts. It is given the kinds of nodes, and knows none.
    ("compile", &["documents", "provider", "contract", "text"]),
    ("documents", &["contract", "text"]),
    // Databases that speak no HTTP.
    ("mongo", &["provider", "contract", "text::size"]),
    // Servers of tools, which know nothing of nodes.
    ("mcp", &["provider", "contract", "text"]),
    ("postgres", &["provider", "contract", "text::javascript"]),
    ("provider", &["contract", "text"]),
    ("demo", &["contract"]),
    ("memory", &["contract"]),
    // What all of them know of each other. Boxes for code are among what a thread has.
    ("contract", &["sandbox", "text"]),
    ("sandbox", &[]),
    ("text", &[]),
];

/// What each part of the engine may use of the other modules: the less, the sooner it stands by itself.
const OUTSIDE_ENGINE: Table = &[
    (
        "threads",
        &["state::chats", "predict", "redact", "config::ResponseShape", "telemetry::metrics", "telemetry::traces"],
    ),
    ("flow", &["state::endpoints", "exported", "wire::json", "config", "telemetry::metrics", "uuid"]),
    // Who asks, in HTTP nodes.
    ("agentflow", &["predict::answer", "predict::chat_id", "wire::json", "config::Secret"]),
    ("sequential", &["predict::answer", "predict::chat_id", "wire::json"]),
    // Keys of services, and servers that the configuration names.
    (
        "nodes",
        &[
            "predict::answer",
            "predict::chat_id",
            "wire::json",
            "config::content",
            "config::Secret",
            "config::McpServer",
            "percent",
        ],
    ),
    ("models", &["predict::chat_id", "wire::json", "config::Secret"]),
    ("compile", &["wire::json", "config", "unprintable"]),
    ("documents", &["wire::json"]),
    ("mongo", &["config::Secret", "percent"]),
    ("mcp", &["wire::json", "redact", "client::Response", "telemetry::metrics"]),
    ("postgres", &["config::Secret", "wire::json", "percent"]),
    // Servers that an operator has asked for elsewhere.
    ("provider", &["state::endpoints", "wire::hop", "wire::json", "client", "config::HttpUrl", "config::UpstreamUrl"]),
    ("demo", &[]),
    ("scripts", &["wire::json", "config::ScriptSettings", "config::Secret"]),
    ("sandbox", &["telemetry::metrics"]),
    ("memory", &["state::valkey", "frames", "telemetry::metrics"]),
    // Events are written as they are told, and a run has its thread's connections.
    (
        "contract",
        &[
            "predict::answer",
            "predict::chat_id",
            "predict::report",
            "predict::request",
            "predict::session",
            "wire::json",
            "wire::hop",
            "redact",
            "client::Client",
            "config::EngineLimits",
            // What programs of servers are started with.
            "config::Secret",
            "telemetry",
        ],
    ),
    ("text", &["wire::json"]),
];

/// The same of the configuration; `mod` is its `mod.rs`, the settings.
const CONFIG: Table = &[
    ("load", &["resolve", "file", "mod", "expand", "yaml", "content", "error"]),
    ("resolve", &["file", "units", "mod", "override_rules", "upstream", "expand", "yaml", "content", "error"]),
    ("file", &["yaml"]),
    ("units", &["mod"]),
    (
        "mod",
        &[
            "chatflow", "limits", "identity", "http_url", "upstream", "valkey", "otlp", "origin", "part", "secret",
            "yaml", "error",
        ],
    ),
    ("otlp", &["http_url", "secret"]),
    ("chatflow", &["origin", "secret"]),
    ("identity", &["http_url"]),
    ("upstream", &["http_url", "secret"]),
    ("http_url", &[]),
    ("valkey", &["secret"]),
    ("yaml", &["content", "error"]),
    // Files as they are, whatever is in them.
    ("content", &[]),
];

#[test]
fn no_circle_of_files_is_too_large_to_know() {
    let graph = graph(&source(), &files(&source()));
    assert!(graph.len() > 200, "the reader has read something");
    let circles = circles(&graph);
    let Some(circle) = circles.first().filter(|circle| circle.len() > LARGEST_CIRCLE) else { return };
    let members: BTreeSet<&Module> = circle.iter().collect();
    let mut told = String::new();
    for module in circle {
        for (used, paths) in graph[module].iter().filter(|(used, _)| members.contains(used)) {
            let _ = write!(told, "\n{} uses {}: {paths:?}", name(module), name(used));
        }
    }
    panic!("{} files use each other, {LARGEST_CIRCLE} at most:{told}", circle.len());
}

#[test]
fn parts_of_a_module_use_only_what_they_may() {
    let graph = graph(&source(), &files(&source()));
    check("engine", ENGINE, &graph);
    check("config", CONFIG, &graph);
}

/// What a file is to its table: its part, and the path within the module.
fn within<'m>(room: &str, module: &'m [String]) -> Option<(&'m str, String)> {
    let (first, rest) = module.split_first().filter(|(first, _)| *first == room)?;
    let _ = first;
    let part = rest.first().map_or("mod", String::as_str);
    Some((part, if rest.is_empty() { "mod".to_owned() } else { rest.join("::") }))
}

fn is_entry(entry: &str, used: &str) -> bool {
    used == entry || used.strip_prefix(entry).is_some_and(|rest| rest.starts_with("::"))
}

fn check(room: &str, table: Table, graph: &Graph) {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, uses) in graph {
        let Some((part, _)) = within(room, module) else { continue };
        for (used, paths) in uses {
            let Some((other, path)) = within(room, used).filter(|(other, _)| *other != part) else { continue };
            let allowed = table.iter().find(|(name, _)| *name == part).map_or(&[][..], |(_, allowed)| allowed);
            // The list at its top is drawn from everything, for those outside.
            let is_list = part == "mod" && !table.iter().any(|(name, _)| *name == "mod");
            match allowed.iter().find(|entry| is_entry(entry, &path)) {
                Some(entry) => drop(seen.insert((part, *entry))),
                None if is_list => {}
                None => wrong.push(format!("{} may not use {other}: {paths:?}", name(module))),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // Unused permissions are taken back, and every one leads down.
    let place = |name: &str| table.iter().position(|(part, _)| *part == name).unwrap_or(usize::MAX);
    for (part, allowed) in table {
        for entry in *allowed {
            assert!(seen.contains(&(*part, *entry)), "{room}: {part} no longer uses {entry}");
            assert!(place(entry.split("::").next().unwrap()) > place(part), "{room}: {part} above {entry}");
        }
    }
}

#[test]
fn the_engine_uses_little_of_what_is_outside() {
    let graph = graph(&source(), &files(&source()));
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, uses) in &graph {
        let Some((part, _)) = within("engine", module).filter(|(part, _)| *part != "mod") else { continue };
        let (_, allowed) = OUTSIDE_ENGINE.iter().find(|(name, _)| *name == part).expect("a part of the table");
        let outside = uses.iter().filter(|(used, _)| used.first().is_none_or(|first| first != "engine"));
        for path in outside.flat_map(|(_, paths)| paths) {
            let path = path.strip_prefix("crate::").unwrap_or(path);
            match allowed.iter().find(|entry| is_entry(entry, path)) {
                Some(entry) => drop(seen.insert((part, *entry))),
                None => wrong.push(format!("{} may not use {path}", name(module))),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for (part, allowed) in OUTSIDE_ENGINE {
        for entry in *allowed {
            assert!(seen.contains(&(*part, *entry)), "{part} no longer uses {entry}");
        }
    }
}
