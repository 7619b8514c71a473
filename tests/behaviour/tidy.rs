//! The shape of the source: who may use whom, and how long a file may be.

mod imports;
mod names;
mod reading;
mod rooms;
mod sizes;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of the others, `module` or `module::part`. Whatever is not here is refused: a new edge is
/// a decision, written down with its reason. A module lies below whatever may use it, and nothing goes up.
const MAY_USE: &[(&str, &[&str])] = &[
    // Arguments in, exit code out.
    ("main", &["cli"]),
    // Commands may read and check everything that they show or write; what runs, runs by way of `app`. `check` builds
    // the policy that `serve` would run on, and asks its upstreams and the store whether they work.
    (
        "cli",
        &[
            "app",
            "adopt",
            "upstream::checks",
            "identity",
            "policy",
            "engine",
            "state::endpoints",
            "state::usage",
            "state::valkey",
            "keys",
            "service",
            "config",
            "telemetry",
            "counted",
            "unprintable",
        ],
    ),
    // One state for the process, to which policies are bound. The control thread checks upstreams, and reads the keys of
    // identity providers.
    (
        "app",
        &[
            "server",
            "admin",
            "reload",
            "snapshot",
            "policy",
            "engine",
            "upstream::checks",
            "identity",
            "state",
            "keys",
            "service",
            "config",
            "telemetry",
        ],
    ),
    // Writes what the gateway reads: it asks the engine what runs, and gives chats the ids that their callers will have.
    (
        "adopt",
        &[
            "engine",
            "keys",
            "predict::session",
            "exported",
            "wire::json",
            "config",
            "telemetry::metrics",
            "counted",
            "unprintable",
            "uuid",
        ],
    ),
    // What tests hold the pages against.
    ("tables", &["stack::routes", "policy::Callers", "wire::refusal"]),
    // Peers that know nothing of each other. The worker makes what its stack works with: pool and queue of aborts.
    // What hyper refuses by itself, before there is a request, is given the shape of a refusal and an id here.
    (
        "server",
        &[
            "stack",
            "engine",
            "upstream",
            "snapshot",
            "predict::chat_id",
            "wire::body",
            // Whose connections are counted, and whose are not.
            "state::limits::Visitor",
            "state::chats::Chats",
            "state::ended_keys",
            "state::recent",
            "wire::forwarded",
            "wire::proxy_protocol",
            "wire::client_body",
            "wire::refusal",
            "config",
            "telemetry",
        ],
    ),
    // Readiness is what the workers do: the phase, and whether there is a place, are all that it sees of them. The console
    // shows what is in force, counted and remembered, and changes nothing of it.
    (
        "admin",
        &[
            "server::Phase",
            "server::Admission",
            "server::InsideCall",
            "reload",
            "stack::explain",
            "snapshot",
            "state",
            "keys",
            "tls",
            "config",
            "telemetry",
            "unprintable",
        ],
    ),
    // Which files are flows, the engine knows.
    (
        "reload",
        &["snapshot", "policy", "engine", "state::SharedState", "keys::audit", "keys::changes", "config", "telemetry"],
    ),
    (
        "stack",
        &[
            "engine",
            "upstream",
            "widget",
            "snapshot",
            "policy",
            "predict",
            "state",
            "keys",
            "jwt",
            "wire",
            // Heads of what goes to Flowise.
            "client::RequestHead",
            "config",
            "telemetry",
            "unprintable",
        ],
    ),
    ("widget", &["predict", "wire::json", "wire::refusal", "percent", "uuid"]),
    // A policy and the state that its requests need: the only place that knows both.
    ("snapshot", &["policy", "upstream::target", "state", "jwt", "config", "telemetry"]),
    // Made of files, and of nothing that is counted or running: of the state it knows where flows find connections, and
    // whether there is a folder for it. The key that keeps a chatflow's callers apart is made once, not with every request.
    // Whom it does not let through is told why.
    (
        "policy",
        &[
            "engine",
            "upstream::target",
            "predict::session",
            // What Flowise would take for a file is no variable of a person.
            "predict::json",
            "redact",
            "state::endpoints",
            "state::folder",
            "keys",
            "jwt",
            "tls",
            "wire::refusal",
            "config",
            "uuid",
        ],
    ),
    // Backends, which know nothing of each other. The engine answers with values, which are written as its client
    // sees them, and knows nothing of HTTP. What both share is state: which chats are being answered, and how servers are.
    (
        "engine",
        &[
            "predict",
            "state::chats",
            "state::endpoints",
            // What chats remember, where replicas share it.
            "state::valkey",
            "exported",
            "uuid",
            "percent",
            "wire::json",
            "wire::hop",
            "redact",
            "client",
            // What chats remember is asked of the process that has taken over.
            "frames",
            "config",
            "telemetry",
            "unprintable",
        ],
    ),
    // `upstream` reads event streams and aborts chats, whose rules are those of the prediction call.
    (
        "upstream",
        &[
            "predict::answer",
            "predict::events",
            "predict::report",
            "predict::stream",
            "predict::multipart",
            "state::chats",
            "state::endpoints",
            "wire",
            "redact",
            "client",
            "config",
            "telemetry",
        ],
    ),
    // Asks issuers for their keys, and keeps these where requests find them.
    ("identity", &["state::issuer_keys", "wire::json", "jwt", "client", "config", "telemetry"]),
    ("predict", &["wire::json", "wire::refusal", "wire::body", "wire::offload", "config", "unprintable", "uuid"]),
    // What is counted has the ids of keys, and servers are those of the client. Rate-limit fields are written on every
    // request.
    ("state", &["keys", "jwt", "wire::decimal", "client", "config", "telemetry::metrics"]),
    ("keys", &["config", "unprintable", "uuid"]),
    ("tls", &["config"]),
    ("exported", &["wire::json", "unprintable"]),
    // The log is set up as it is configured, and tells of calls to upstreams what came of them.
    ("telemetry", &["wire::decimal", "client", "config"]),
    // What somebody else says becomes a refusal only as a sentence that was cleaned.
    ("wire", &["redact"]),
    // Knows every secret of the configuration.
    ("redact", &["config", "uuid"]),
    // A key set may lie in a file.
    ("config", &["jwt", "percent", "uuid"]),
    // Whoever runs this process, and who takes its place.
    ("service", &["frames"]),
    // Between two processes of this program.
    ("frames", &[]),
    // Stands by itself, for whoever calls somebody over HTTP.
    ("client", &[]),
    // Tokens that others have signed, whoever asks.
    ("jwt", &[]),
    // How many there are, in words.
    ("counted", &[]),
    // What an id looks like.
    ("percent", &[]),
    // What shows as something else than itself.
    ("unprintable", &[]),
    ("uuid", &[]),
];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "misc", "manager", "helper", "helpers", "common", "types"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All Rust files under a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The top-level module that a file belongs to; `None` for the crate root, which only lists the modules.
fn module_of(file: &Path) -> Option<String> {
    let relative = file.strip_prefix(source()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib").then(|| module.to_owned())
}

/// Paths after `crate::` in code, each with the number of its line; groups are spread over all of their lines.
fn uses(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let code: Vec<&str> =
        text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect();
    for (index, line) in code.iter().enumerate() {
        for (at, start) in line.match_indices("crate::") {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '$') {
                continue;
            }
            let mut rest = line[at + start.len()..].to_owned();
            let mut next = index + 1;
            while rest.matches('{').count() > rest.matches('}').count() && line.trim_start().starts_with("use ") {
                rest.push_str(code[next].trim());
                next += 1;
            }
            found.extend(spread(&rest).into_iter().map(|path| (index + 1, path)));
        }
    }
    found
}

/// `a::{b, c::D}` as `a::b`, `a::c::D`; one level is all that the source uses.
fn spread(path: &str) -> Vec<String> {
    let end = path.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
    let (plain, rest) = path.split_at(end.unwrap_or(path.len()));
    let Some(group) = rest.strip_prefix('{').filter(|_| plain.is_empty() || plain.ends_with("::")) else {
        return vec![plain.trim_end_matches(':').to_owned()];
    };
    let group = group.rsplit_once('}').map_or(group, |(inside, _)| inside);
    assert!(!group.contains('{'), "a group in a group: {path}");
    group.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| format!("{plain}{item}")).collect()
}

fn is_allowed(module: &str, used: &str) -> bool {
    let target = used.split("::").next().unwrap();
    let (_, allowed) = MAY_USE.iter().find(|(name, _)| *name == module).expect("checked before");
    target == module || allowed.iter().any(|&entry| used == entry || used.starts_with(&format!("{entry}::")))
}

#[test]
fn every_module_uses_only_what_it_may() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files(&source()) {
        // Fuzzing is for tests, wherever it stands.
        let is_fuzzing = file.ends_with("fuzz.rs") || file.ends_with("fuzzing.rs");
        let Some(module) = module_of(&file).filter(|_| !is_fuzzing) else { continue };
        if !MAY_USE.iter().any(|(name, _)| *name == module) {
            wrong.push(format!("{}: a module without a place in the table", file.display()));
            continue;
        }
        for (line, used) in uses(&fs::read_to_string(&file).unwrap()) {
            seen.insert((module.clone(), used.clone()));
            if !is_allowed(&module, &used) {
                wrong.push(format!("{}:{line}: {module} may not use {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // Unused permissions are taken back, and the reader has read something.
    for (module, allowed) in MAY_USE.iter().filter(|(module, _)| *module != "main") {
        for entry in *allowed {
            let is_used = seen
                .iter()
                .any(|(user, used)| user == module && (used == entry || used.starts_with(&format!("{entry}::"))));
            assert!(is_used, "{module} no longer uses {entry}");
        }
    }
}

#[test]
fn the_table_has_no_way_up() {
    // Every permission points to a module that comes later, but for one that sees two parts of a module above.
    let place = |name: &str| MAY_USE.iter().position(|(module, _)| *module == name).expect("a module of the table");
    for (module, allowed) in MAY_USE {
        for entry in *allowed {
            let target = entry.split("::").next().unwrap();
            let is_exception =
                *module == "admin" && matches!(*entry, "server::Phase" | "server::Admission" | "server::InsideCall");
            assert!(is_exception || place(target) > place(module), "{module} above {entry}");
        }
    }
}

#[test]
fn the_reader_of_uses_sees_all_spellings() {
    let text = "use crate::a::{b, c::D};\nlet x = crate::e::f(1);\n/// [x](crate::g)\nuse crate::{\n    h::I,\n    j,\n};\n\
                $crate::k; use crate::l as m;\n    pub(in crate::n) fn o() {}";
    let expected = [(1, "a::b"), (1, "a::c::D"), (2, "e::f"), (4, "h::I"), (4, "j"), (8, "l"), (9, "n")];
    assert_eq!(uses(text), expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn every_name_says_something() {
    for file in files(&source()) {
        let relative = file.strip_prefix(source()).unwrap().with_extension("");
        for part in relative.components() {
            let name = part.as_os_str().to_str().unwrap();
            assert!(!EMPTY_NAMES.contains(&name), "{}", file.display());
        }
    }
}
