//! Every configuration and keys file that a page shows is one that the gateway takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{pages, root};

const UPSTREAMS: &str = "upstreams:\n  flowise:\n    flowise: { urls: [http://127.0.0.1:3000] }\n";
const KEYS: &str = "keys:\n  - id: app\n    sha256: 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8\n";

/// Blocks of YAML, each with the line it begins at, without what all of its lines are indented by.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut block: Option<(usize, usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let start = line.trim_start();
        match &mut block {
            None if start == "```yaml" => block = Some((number, line.len() - start.len(), String::new())),
            Some((first, _, text)) if start == "```" => {
                found.push((*first, std::mem::take(text)));
                block = None;
            }
            Some((_, indent, text)) => {
                text.push_str(line.get(*indent..).unwrap_or_default());
                text.push('\n');
            }
            None => {}
        }
    }
    found
}

/// What `flowgate check` says of a block, if it is wrong. Parts that it leaves out are put in.
fn wrong(block: &str, folder: &Path) -> Option<String> {
    let has = |part: &str| block.starts_with(part) || block.contains(&format!("\n{part}"));
    let (mut config, keys) = if has("keys:") { (String::new(), block) } else { (block.to_owned(), KEYS) };
    if !has("upstreams:") {
        config.push_str(UPSTREAMS);
    }
    if !has("chatflows:") {
        let upstream = if config.contains("\n  flowise:") { "flowise" } else { "local" };
        let chatflow = "chatflows:\n  support: { upstream: UPSTREAM, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 }\n";
        config.push_str(&chatflow.replace("UPSTREAM", upstream));
    }
    fs::write(folder.join("flowgate.yaml"), &config).unwrap();
    fs::write(folder.join("keys.yaml"), keys).unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_flowgate"))
        .arg("check")
        .current_dir(folder)
        .env("FLOWGATE_CONFIG", "flowgate.yaml")
        .output()
        .unwrap();
    (!check.status.success()).then(|| format!("{}\n{config}", String::from_utf8_lossy(&check.stderr)))
}

#[test]
fn every_example_is_one_that_the_gateway_takes() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("flows")).unwrap();
    fs::copy(root().join("config/flows/assistant.json"), folder.path().join("flows/support.json")).unwrap();
    fs::write(folder.path().join("openai-key"), "sk-test").unwrap();
    fs::write(folder.path().join("admin-token"), "0123456789abcdef").unwrap();
    let mut seen = 0;
    let mut all_wrong = Vec::new();
    for (page, text) in pages().into_iter().filter(|(page, _)| !page.starts_with(".github")) {
        for (line, block) in blocks(&text) {
            seen += 1;
            all_wrong.extend(wrong(&block, folder.path()).map(|why| format!("{}:{line}: {why}", page.display())));
        }
    }
    assert!(seen > 8 && all_wrong.is_empty(), "{seen} examples\n{}", all_wrong.join("\n"));
}
