//! Which files of the source use which: the graph of its imports, drawn from the text. Tests, and files that only tests
//! have, are left out. A file uses whichever file a path in it leads to, so a name that a `mod.rs` takes from a child and
//! another child takes from there makes a circle of the two.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file as a module, such as `["engine", "flow"]`; the crate root is empty.
pub(super) type Module = Vec<String>;

/// Files by what they use, with the paths that say so.
pub(super) type Graph = BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>;

/// What a program is made of: every file without comments, texts and tests. Files that only tests have are left out.
pub(super) fn code(source: &Path, files: &[PathBuf]) -> BTreeMap<Module, String> {
    let mut code: BTreeMap<Module, String> = BTreeMap::new();
    let mut of_tests = BTreeSet::new();
    for file in files.iter().filter(|file| !file.ends_with("src/main.rs")) {
        let module = module_of(file.strip_prefix(source).unwrap());
        let (text, tests) = without_tests(&bare(&fs::read_to_string(file).unwrap()));
        of_tests.extend(tests.into_iter().map(|name| [&*module, &[name]].concat()));
        code.insert(module, text);
    }
    code.retain(|module, _| !of_tests.iter().any(|tests: &Module| module.starts_with(tests)));
    code
}

pub(super) fn graph(source: &Path, files: &[PathBuf]) -> Graph {
    let code = code(source, files);
    let modules: BTreeSet<Module> = code.keys().cloned().collect();
    let used = |module: &Module, text: &str| {
        let mut used: BTreeMap<Module, BTreeSet<String>> = BTreeMap::new();
        for path in paths(text) {
            if let Some(target) = target(module, &path, &modules).filter(|target| target != module) {
                used.entry(target).or_default().insert(path);
            }
        }
        used
    };
    code.iter().map(|(module, text)| (module.clone(), used(module, text))).collect()
}

/// As it is told to people.
pub(super) fn name(module: &[String]) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("::") }
}

fn module_of(file: &Path) -> Module {
    let mut steps: Module =
        file.with_extension("").components().map(|step| step.as_os_str().to_str().unwrap().to_owned()).collect();
    if steps.last().is_some_and(|last| last == "mod") || steps == ["lib"] {
        steps.pop();
    }
    steps
}

/// Without comments, and without what stands in texts and letters.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((plain, begun)) = rest.find(['/', '"', '\'', 'b', 'r']).and_then(|at| rest.split_at_checked(at)) {
        out.push_str(plain);
        rest = begun;
        let Some(next) = rest.chars().next() else { break };
        let is_word = out.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let raw = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r').filter(|_| !is_word);
        let raw = raw.map(|raw| (raw.len() - raw.trim_start_matches('#').len(), raw.trim_start_matches('#')));
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").unwrap() + 2
        } else if let Some((marks, raw)) = raw.filter(|(_, raw)| raw.starts_with('"')) {
            let end = format!("\"{}", "#".repeat(marks));
            let begin = rest.len() - raw.len() + 1;
            begin + rest[begin..].find(&end).unwrap() + end.len()
        } else if next == '"' {
            quoted(rest, '"')
        } else if next == '\'' && (rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'')) {
            quoted(rest, '\'')
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[skipped..];
    }
    out + rest
}

/// Where a text ends that begins here.
fn quoted(text: &str, mark: char) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            letter if letter == mark => return at + letter.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The code before the tests at its end, and the names of files that only tests have.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut kept = String::new();
    let mut files = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if !line.trim_start().starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test") {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let item = lines.next().unwrap_or_default();
        match item.split_once("mod ") {
            Some((_, name)) if name.ends_with(';') => files.push(name.trim_end_matches(';').to_owned()),
            Some((_, name)) if name.ends_with('{') => break,
            _ if item.ends_with([',', ';']) => {}
            _ => kept.extend([item, "\n"]),
        }
    }
    (kept, files)
}

/// All paths in code, those of groups each by itself.
fn paths(code: &str) -> BTreeSet<String> {
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut found = BTreeSet::new();
    let mut rest = code;
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        let scope = &code[..code.len() - rest.len() + at];
        let path = &rest[at..];
        let path = &path[..path.find(|c| !is_of_path(c)).unwrap_or(path.len())];
        rest = &rest[at + path.len()..];
        if scope.ends_with('$') || scope.ends_with("pub(in ") {
            continue;
        }
        if path.ends_with("::") && rest.starts_with('{') {
            let (group, after) = rest.split_at(closing(rest));
            found.extend(spread(path, group));
            rest = after;
        } else if path.contains("::") {
            found.insert(path.trim_end_matches(':').to_owned());
        } else if path == "use" {
            // A name by itself: `use super as x`, or a child without its `self::`.
            let item: String = rest.trim_start().chars().take_while(|&c| is_of_path(c)).collect();
            if !item.contains("::") {
                found.insert(item);
            }
        }
    }
    found
}

/// Behind the brace that closes the first.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// `a::` and `{b, c::{d, self}}` as `a::b`, `a::c::d`, `a::c`.
fn spread(path: &str, group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = group[1..group.len() - 1].trim_start();
    while !rest.is_empty() {
        let end = rest.find([',', '{']).unwrap_or(rest.len());
        let (item, after) = rest.split_at(end);
        if after.starts_with('{') {
            let (inner, after) = after.split_at(closing(after));
            found.extend(spread(&format!("{path}{}", item.trim()), inner));
            rest = after;
        } else {
            let item = item.split_whitespace().next().unwrap_or_default();
            let whole = format!("{path}{item}");
            found.push(whole.strip_suffix("::self").unwrap_or(&whole).to_owned());
            rest = after;
        }
        rest = rest.trim_start_matches([',', ' ', '\n']);
    }
    found
}

/// The file that a path in a file leads to.
fn target(module: &Module, path: &str, modules: &BTreeSet<Module>) -> Option<Module> {
    let mut steps = path.split("::").peekable();
    let mut at = module.clone();
    match *steps.peek()? {
        "crate" => at.clear(),
        "self" | "super" => {}
        child => {
            modules.contains(&[&**module, &[child.to_owned()]].concat()).then_some(())?;
        }
    }
    for step in steps {
        match step {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            step => {
                at.push(step.to_owned());
                if !modules.contains(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    modules.contains(&at).then_some(at)
}

/// Sets of files that use each other, by way of others or not; the largest first.
pub(super) fn circles(graph: &Graph) -> Vec<Vec<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        graph.keys().map(|module| (module, reached(graph, module))).collect();
    let mut circles = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, forth) in &reached {
        let is_with = |other: &&&Module| reached.get(**other).is_some_and(|back| back.contains(*module));
        let circle: Vec<Module> = forth.iter().filter(is_with).map(|other| (*other).clone()).collect();
        if circle.len() > 1 && !seen.contains(*module) {
            seen.extend(circle.iter().cloned());
            circles.push(circle);
        }
    }
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// All that a file uses, by way of others or not.
fn reached<'g>(graph: &'g Graph, from: &Module) -> BTreeSet<&'g Module> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&Module> = graph.get(from).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(module) = waiting.pop() {
        if reached.insert(module) {
            waiting.extend(graph.get(module).into_iter().flat_map(BTreeMap::keys));
        }
    }
    reached
}

#[test]
fn the_reader_of_paths_sees_all_spellings() {
    let code = "use a::{b, c::{D, self}};\nfn f() -> super::g::H { let x = crate::e::f::<T>(1, 'x', \"use q::r\"); }\n\
                // [x](crate::g)\nuse crate::{\n    h::I,\n    j as k,\n};\n$crate::k; use super::super::l as m;\n\
                pub(in crate::n) fn o() {}\nuse p;\n    #[cfg(test)]\n    v::W,\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod s {\n use t::u; }";
    let (code, tests) = without_tests(&bare(code));
    let expected =
        ["a::b", "a::c", "a::c::D", "crate::e::f", "crate::h::I", "crate::j", "p", "super::g::H", "super::super::l"];
    assert_eq!(paths(&code), expected.map(str::to_owned).into());
    assert_eq!(tests, ["tests"]);
}

#[test]
fn circles_are_found_whatever_the_way_round() {
    let module = |name: &str| vec![name.to_owned()];
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", "d"), ("f", "a")];
    let mut graph = Graph::new();
    for (from, to) in edges {
        graph.entry(module(to)).or_default();
        graph.entry(module(from)).or_default().entry(module(to)).or_default();
    }
    let names: Vec<String> = circles(&graph).iter().map(|circle| circle.concat().concat()).collect();
    assert_eq!(names, ["abc", "de"]);
}
