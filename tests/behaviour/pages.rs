//! The pages: every link leads somewhere, no page is too long or cannot be found, and the demo reads them all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

mod examples;
mod homes;

/// Lines of the page that everybody reads first, and of any other.
const LONGEST_FIRST: usize = 250;
const LONGEST: usize = 400;

/// Folders without pages of ours.
const OTHERS: [&str; 4] = [".git", "target", "node_modules", "out"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, by its path from the root, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_other = path.file_name().is_some_and(|name| OTHERS.iter().any(|other| name == *other));
            if path.is_dir() && !is_other {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// Lines outside of blocks of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Where the links of a page lead, each with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for part in line.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap();
            found.push((number, target.to_owned()));
        }
    }
    found
}

/// What a link to a heading has behind the `#`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let letters = title.trim().to_lowercase();
        let anchor: String = letters
            .chars()
            .filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect();
        assert!(found.insert(anchor), "two headings of one page: {line}");
    }
    found
}

/// A path without `.` and `..`; `None` if it leaves the repository.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => plain.pop().then_some(())?,
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Some(plain)
}

/// What is wrong with a link.
fn broken(page: &Path, text: &str, target: &str) -> Option<&'static str> {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let linked = if file.is_empty() { Some(page.to_owned()) } else { plain(&page.with_file_name("").join(file)) };
    let Some(linked) = linked.filter(|linked| root().join(linked).exists()) else {
        return Some("there is no such file");
    };
    let anchor = anchor?;
    let text = if file.is_empty() { text.to_owned() } else { fs::read_to_string(root().join(linked)).unwrap() };
    (!anchors(&text).contains(anchor)).then_some("there is no such heading")
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        for (line, target) in links(&text) {
            let is_elsewhere = target.split_once(':').is_some_and(|(scheme, _)| !scheme.contains(['/', '#', '.']));
            if let Some(reason) = broken(&page, &text, &target).filter(|_| !is_elsewhere) {
                wrong.push(format!("{}:{line}: {target}: {reason}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Files of ours that a page names without a link, each with its line: Rust files, wherever below `src/` they stand, and
/// whatever begins with a folder of the repository.
fn named_files(text: &str) -> Vec<(usize, String)> {
    let is_ours = |name: &&str| {
        let is_path = !name.contains([' ', '<', '>', '*', '{', '$', '#']) && name.contains('/');
        let begins =
            ["config/", "deploy/", "src/", "tests/", ".ci/", ".github/"].iter().any(|folder| name.starts_with(folder));
        is_path && (begins || Path::new(name).extension().is_some_and(|extension| extension == "rs"))
    };
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let names = line.split('`').skip(1).step_by(2).filter(is_ours);
        found.extend(names.map(|name| (number, name.to_owned())));
    }
    found
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut wrong = Vec::new();
    let mut all = 0;
    for (page, text) in pages().into_iter().filter(|(page, _)| !page.ends_with("CHANGELOG.md")) {
        for (line, name) in named_files(&text) {
            all += 1;
            let places = [
                root().to_owned(),
                root().join("src"),
                root().join("src/engine"),
                root().join("tests/behaviour"),
                root().join(page.with_file_name("")),
            ];
            if !places.iter().any(|place| place.join(&name).exists()) {
                wrong.push(format!("{}:{line}: there is no {name}", page.display()));
            }
        }
    }
    assert!(all > 50 && wrong.is_empty(), "{all} files\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_found_from_another() {
    let pages = pages();
    let mut linked = BTreeSet::new();
    for (page, text) in &pages {
        for (_, target) in links(text) {
            let file = target.split('#').next().unwrap();
            // A forge shows a folder by its page.
            let linked_here = plain(&page.with_file_name("").join(file)).filter(|linked| linked != page);
            linked.extend(linked_here.iter().map(|path| path.join("README.md")));
            linked.extend(linked_here);
        }
    }
    for (page, _) in pages {
        // Where the forge looks by itself, and what belongs to one file beside it.
        let is_known = page.starts_with(".github") || page.ends_with("ORIGIN.md") || page == Path::new("README.md");
        assert!(is_known || linked.contains(&page), "no page leads to {}", page.display());
    }
}

#[test]
fn no_page_is_too_long_for_people_in_a_hurry() {
    for (page, text) in pages() {
        let most = if page == Path::new("README.md") { LONGEST_FIRST } else { LONGEST };
        let lines = text.lines().count();
        // A changelog only grows.
        assert!(lines <= most || page.ends_with("CHANGELOG.md"), "{}: {lines} lines, {most} at most", page.display());
    }
}

#[test]
fn the_demo_reads_every_page() {
    let demo = fs::read_to_string(root().join("src/engine/demo/pages.rs")).unwrap();
    for (page, _) in pages() {
        let is_about_the_project = page.starts_with(".github") || page.ends_with("ORIGIN.md");
        assert!(is_about_the_project || demo.contains(&format!("(\"{}\", ", page.display())), "{}", page.display());
    }
}

#[test]
fn the_reader_of_pages_sees_links_and_headings() {
    let text = "# A `b`: c\n[x](y.md#z) and [w](#v)\n```\n# no heading, [no](link)\n```\n## D & e\n";
    assert_eq!(links(text), [(2, "y.md#z".to_owned()), (2, "#v".to_owned())]);
    assert_eq!(anchors(text), ["a-b-c", "d--e"].map(str::to_owned).into());
    assert_eq!(plain(Path::new("a/../b/./c")), Some(PathBuf::from("b/c")));
    assert_eq!(plain(Path::new("a/../../b")), None);
}
