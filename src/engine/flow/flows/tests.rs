use std::collections::BTreeMap;
use std::fs;

use super::files::files;
use super::*;
use crate::config::Secret;

fn export(name: &str) -> String {
    let text = fs::read_to_string(format!("{}/tests/flowise/flows/{name}.json", env!("CARGO_MANIFEST_DIR")));
    text.unwrap().replace("LLM_BASE_PATH_PLACEHOLDER", "127.0.0.1:1")
}

fn settings(folder: &Path, key: &str) -> config::Engine {
    let fields = HashMap::from([("openAIApiKey".to_owned(), Secret::new(key.to_owned()))]);
    let credentials = HashMap::from([("openAIApi".to_owned(), fields)]);
    let (threads, limits) = (std::num::NonZeroUsize::MIN, config::EngineLimits::default());
    let (allow_networks, scripts, mcp_servers) = (Vec::new(), Some(Arc::default()), BTreeMap::new());
    let (flows_dir, addresses) = (folder.to_owned(), Vec::new());
    config::Engine { flows_dir, threads, credentials, allow_networks, addresses, limits, scripts, mcp_servers }
}

#[test]
fn what_has_not_changed_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let endpoints = Arc::new(Endpoints::default());
    let load = |key: &str, previous: Option<&Flows>| {
        Flows::load(&"local".into(), &settings(folder.path(), key), &[], previous, &endpoints).unwrap()
    };
    fs::write(folder.path().join("a.json"), export("llm-chain")).unwrap();
    fs::write(folder.path().join("b.json"), export("llm-chain")).unwrap();
    let first = load("key", None);
    fs::write(folder.path().join("b.json"), export("conversation-chain")).unwrap();
    let second = load("key", Some(&first));
    let same = |one: &Flows, other: &Flows, name| Arc::ptr_eq(one.get(name).unwrap(), other.get(name).unwrap());
    assert!(same(&first, &second, "a") && !same(&first, &second, "b"));
    // Files that a flow reads are part of it.
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::write(folder.path().join("a/handbook.txt"), "one").unwrap();
    let with_file = load("key", Some(&second));
    assert!(!same(&second, &with_file, "a") && same(&second, &with_file, "b"));
    assert!(same(&with_file, &load("key", Some(&with_file)), "a"));
    fs::write(folder.path().join("a/handbook.txt"), "two").unwrap();
    assert!(!same(&with_file, &load("key", Some(&with_file)), "a"));
    // A flow holds its key.
    let third = load("other key", Some(&second));
    assert!(!same(&second, &third, "a"));
}

#[test]
fn flows_are_found_by_name_and_by_id_and_a_later_set_changes_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let endpoints = Arc::new(Endpoints::default());
    let load = |previous: Option<&Flows>| {
        let flows = Flows::load(&"local".into(), &settings(folder.path(), "key"), &[], previous, &endpoints).unwrap();
        let a = Arc::clone(flows.get("a").unwrap());
        flows.with_ids(vec![("id-of-a".to_owned(), a)])
    };
    fs::write(folder.path().join("a.json"), export("llm-chain")).unwrap();
    let first = load(None);
    fs::write(folder.path().join("a.json"), export("conversation-chain")).unwrap();
    let second = load(Some(&first));
    for flows in [&first, &second] {
        for name in ["a", "id-of-a"] {
            let (found, own) = (flows.index().get(name).unwrap(), flows.get("a").unwrap());
            assert!(std::ptr::addr_eq(Arc::as_ptr(found), Arc::as_ptr(own)));
        }
    }
    assert!(!Arc::ptr_eq(first.get("a").unwrap(), second.get("a").unwrap()));
}

#[test]
fn every_mistake_is_told_with_its_file_and_node() {
    let folder = tempfile::tempdir().unwrap();
    let endpoints = Arc::new(Endpoints::default());
    let odd = export("llm-chain").replace("\"promptTemplate\"", "\"oddTemplate\"");
    fs::write(folder.path().join("odd.json"), odd).unwrap();
    fs::write(folder.path().join("broken.json"), "{").unwrap();
    fs::write(folder.path().join("notes.txt"), "no flow").unwrap();
    let wanted = [WantedFlow { name: "odd".into(), id: Some("broken".into()) }];
    let flows = Flows::load(&"local".into(), &settings(folder.path(), "key"), &wanted, None, &endpoints).unwrap();
    let shown = |problem: &Problem| problem.to_string();
    let told: Vec<String> = flows.broken().flat_map(|(_, problems)| problems).map(shown).collect();
    let unused: Vec<String> = flows.unused().iter().map(shown).collect();
    let folder = folder.path().display();
    assert!(unused[0].starts_with(&format!("{folder}/broken.json: not an exported Flowise flow: ")), "{unused:?}");
    let expected =
        format!("{folder}/odd.json: node \"Prompt Template\" (oddTemplate): Flowise 3.1.4 has no such node any more");
    assert!(told.contains(&expected), "{told:?}");
}

#[test]
fn a_credential_that_is_missing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), export("llm-chain")).unwrap();
    let endpoints = Arc::new(Endpoints::default());
    let flows = Flows::load(&"local".into(), &settings(folder.path(), ""), &[], None, &endpoints).unwrap();
    let missing: Vec<_> = flows.missing().map(|(_, missing)| (&*missing.node, missing.need.to_string())).collect();
    assert_eq!(missing, [("chatOpenAI_0", "credential openAIApi.openAIApiKey".to_owned())]);
}

#[test]
fn a_flows_own_folder_is_watched_and_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["a", "other", "a/deep"] {
        fs::create_dir(path(name)).unwrap();
    }
    for name in ["a.json", "b.json", ".hidden.json", "notes.txt", "a/x.txt", "a/.y", "other/z.txt"] {
        fs::write(path(name), "").unwrap();
    }
    assert_eq!(files(folder.path()).unwrap(), [path("a.json"), path("b.json")]);
    let expected = ["a.json", "b.json", "a/x.txt", "a"].map(path);
    assert_eq!(watched(folder.path()).unwrap(), expected);
}

/// An agentflow that runs another one.
fn runs(other: &str) -> String {
    let inputs = serde_json::json!({ "executeFlowSelectedFlow": other, "executeFlowInput": "x" });
    let node = |id: &str, kind: &str, inputs| serde_json::json!({ "id": id, "data": { "id": id, "name": kind, "label": id, "inputs": inputs } });
    let start = node("start", "startAgentflow", serde_json::json!({ "startInputType": "chatInput" }));
    let edge = serde_json::json!({ "source": "start", "target": "runs", "sourceHandle": "start-output-start", "targetHandle": "runs" });
    serde_json::json!({ "nodes": [start, node("runs", "executeFlowAgentflow", inputs)], "edges": [edge] }).to_string()
}

#[test]
fn each_file_stands_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let endpoints = Arc::new(Endpoints::default());
    let write = |name: &str, text: &str| fs::write(folder.path().join(format!("{name}.json")), text).unwrap();
    let wanted =
        [WantedFlow { name: "a".into(), id: None }, WantedFlow { name: "b".into(), id: Some("id-of-b".into()) }];
    let load = |key: &str, previous: Option<&Flows>| {
        Flows::load(&"local".into(), &settings(folder.path(), key), &wanted, previous, &endpoints).unwrap()
    };
    let counts = |flows: &Flows| (flows.held().len(), flows.broken().count(), flows.unused().len());
    write("a", &runs("id-of-b"));
    write("id-of-b", &runs("deep"));
    write("deep", &export("llm-chain"));
    write("idle", "{");
    let first = load("key", None);
    assert_eq!(counts(&first), (0, 0, 1));
    // Needed by a flow that a flow runs that a chatflow needs.
    write("deep", "{");
    write("a", &export("llm-chain"));
    let second = load("key", Some(&first));
    assert_eq!(counts(&second), (1, 0, 1));
    let same = |one: &Flows, other: &Flows, name| Arc::ptr_eq(one.get(name).unwrap(), other.get(name).unwrap());
    assert!(same(&first, &second, "deep") && !same(&first, &second, "a"));
    // What is kept gets new credentials all the same.
    let third = load("other key", Some(&second));
    assert_eq!(counts(&third), (1, 0, 1));
    assert!(!same(&second, &third, "deep"));
    // From the start, there is nothing to keep.
    assert_eq!(counts(&load("key", None)), (0, 1, 1));
    write("id-of-b", &export("llm-chain"));
    assert_eq!(counts(&load("key", Some(&third))), (0, 0, 2), "nobody needs it any more");
}
