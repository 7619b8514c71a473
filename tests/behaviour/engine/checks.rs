//! `flowgate flows check`, and what `flowgate check` says of flows.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::harness::gateway::{BINARY, keys};
use crate::harness::model::{self, MODEL_KEY};

fn flowgate(arguments: &[&str], folder: &Path) -> Output {
    Command::new(BINARY).env_remove("FLOWGATE_CONFIG").current_dir(folder).args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with exports and a configuration that has a key for them.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    let chain = model::export("llm-chain", address);
    model::write(folder.path(), "support", &chain);
    let odd = chain
        .replace("\"promptTemplate\"", "\"oddTemplate\"")
        .replace("\"cache\": \"\"", "\"cache\": \"{{redisCache_0.data.instance}}\"")
        .replace("\"baseOptions\": \"\"", "\"baseOptions\": \"no json\"");
    std::fs::write(folder.path().join("odd.json"), odd).unwrap();
    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    std::fs::write(folder.path().join("flowgate.yaml"), model::config("", "", "")).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    folder
}

#[test]
fn a_flow_is_told_node_by_node() {
    let folder = folder();
    let output = flowgate(&["flows", "check", "flows/support.json"], folder.path());
    let expected = "flows/support.json (chatflow)\n  \
          NODE             TYPE            ENGINE\n  \
          OpenAI           chatOpenAI      runs, needs credential openAIApi\n  \
          Prompt Template  promptTemplate  runs\n  \
          LLM Chain        llmChain        runs\n\
        the engine runs this flow once this is there:\n  \
          credential openAIApi (openAIApiKey): put `openAIApi: { openAIApiKey: ... }` under `credentials` of the engine, \
          unless its server asks for none\n";
    assert_eq!((output.status.code(), &*out(&output), &*err(&output)), (Some(0), expected, ""));
}

#[test]
fn all_that_is_wrong_is_told_with_code_2() {
    let folder = folder();
    let output = flowgate(&["flows", "check", "odd.json", "flows/support.json"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    let text = out(&output);
    for part in [
        "chatOpenAI   not supported: input baseOptions: expected JSON\n",
        " not supported: refers to a node redisCache_0 that is not in the flow\n",
        "oddTemplate  not supported: Flowise 3.1.4 has no such node any more\n",
        "LLM Chain        llmChain     runs\n",
        "the engine cannot run this flow: 2 of 3 nodes not supported\nit also needs:\n  credential openAIApi (",
        "\nflows/support.json (chatflow)\n",
        "the engine runs this flow",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
    for (file, message) in [("broken.json", "not an exported Flowise flow: "), ("nowhere.json", "No such file")] {
        let output = flowgate(&["flows", "check", "flows/support.json", file], folder.path());
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).starts_with(&format!("{file}: {message}")), "{}", err(&output));
        assert!(out(&output).contains("the engine runs this flow"), "the others are told");
    }
    assert_eq!(flowgate(&["flows", "check"], folder.path()).status.code(), Some(2));
}

/// An export with a node for each finding.
fn findings() -> String {
    let node = |id: &str, label: &str, kind: &str, category: &str, inputs: serde_json::Value| {
        let data = serde_json::json!({ "name": kind, "label": label, "category": category, "inputs": inputs });
        serde_json::json!({ "id": id, "data": data })
    };
    let model = serde_json::json!({ "modelName": "m", "basepath": "http://127.0.0.1:1/v1" });
    let memory = serde_json::json!({ "inputKey": "input", "memoryKey": "chat_history" });
    let chain = serde_json::json!({ "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}" });
    let nodes = [
        node("m_0", "a\n\u{1b}[31mb\tc\u{202e}", "chatOpenAI", "Chat Models", model),
        node("mem_0", "", "bufferMemory", "Memory", memory),
        node("c_0", &"x".repeat(500), "conversationChain", "Chains", chain),
        node("old_0", "Old store", "pinecone", "Vector Stores", serde_json::json!({ "topK": "4" })),
    ];
    let edge = |from: &str| serde_json::json!({ "source": from, "target": "c_0", "sourceHandle": "" });
    serde_json::json!({ "nodes": nodes, "edges": [edge("m_0"), edge("mem_0")] }).to_string()
}

#[test]
fn what_changes_nothing_refuses_nothing_and_no_label_breaks_the_table() {
    let folder = folder();
    let checked = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).unwrap();
        let output = flowgate(&["flows", "check", name], folder.path());
        assert_eq!((output.status.code(), &*err(&output)), (Some(0), ""), "{name}: {}", out(&output));
        out(&output)
    };
    let table = checked("plain.json", findings().as_bytes());
    assert!(!table.contains(['\u{1b}', '\t', '\u{202e}']), "{table}");
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[2].starts_with("  a [31mb c "), "{table}");
    assert!(rows[3].starts_with("  (no name) ") && rows[3].ends_with("  runs"), "{table}");
    assert!(
        rows[4].ends_with("ignored: input inputKey: Flowise 3.1.4 does not look at this, and neither does the engine"),
        "{table}"
    );
    assert!(rows[5].contains("xxx…  conversationChain  runs"), "{table}");
    assert!(rows[6].ends_with("not connected, nothing to run"), "{table}");
    // However it is written, and in whatever it is wrapped.
    let same = |name: &str, content: &[u8]| {
        assert_eq!(checked(name, content).split_once('\n').unwrap().1, table.split_once('\n').unwrap().1, "{name}");
    };
    let wide = |little: bool| -> Vec<u8> {
        findings()
            .encode_utf16()
            .flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
            .collect()
    };
    same("mark.json", format!("\u{feff}{}", findings()).as_bytes());
    same("little.json", &[&[0xFF, 0xFE], &*wide(true)].concat());
    same("big.json", &[&[0xFE, 0xFF], &*wide(false)].concat());
    same("unmarked.json", &wide(true));
    let record = serde_json::json!({ "id": "x", "name": "Support", "flowData": findings() });
    same("record.json", record.to_string().as_bytes());
    same("list.json", serde_json::json!([record]).to_string().as_bytes());
    let inner: serde_json::Value = serde_json::from_str(&findings()).unwrap();
    same("object.json", serde_json::json!({ "name": "Support", "flowData": inner }).to_string().as_bytes());
}

#[test]
fn flows_that_cannot_run_are_called_what_they_are() {
    let folder = folder();
    let node = |name: &str, category: &str| serde_json::json!({ "id": name, "data": { "name": name, "label": name, "category": category } });
    let nodes = [
        node("seqStart", "Sequential Agents"),
        node("zapierNLA", "Tools"),
        node("lunary", "Analytic"),
        node("codeInterpreterE2B", "Tools"),
    ];
    std::fs::write(folder.path().join("old.json"), serde_json::json!({ "nodes": nodes, "edges": [] }).to_string())
        .unwrap();
    let text = out(&flowgate(&["flows", "check", "old.json"], folder.path()));
    for part in [
        "old.json (agentflow V1)\n",
        "seqStart            runs\n",
        "zapierNLA           not supported: Flowise 3.1.4 has no such node any more; Zapier has shut this interface \
         down: Custom MCP with Zapier's own server has the same actions\n",
        "lunary              not supported: the engine does not know this kind of node\n",
        "codeInterpreterE2B  not supported: the engine runs no code but JavaScript: Custom MCP with a \
         server that runs Python does\n",
    ] {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

#[test]
fn a_folder_stands_for_the_exports_in_it() {
    let folder = folder();
    let whole = flowgate(&["flows", "check", "flows/support.json"], folder.path());
    let inside = flowgate(&["flows", "check", "flows"], folder.path());
    assert_eq!((inside.status.code(), out(&inside)), (Some(0), out(&whole)));
    model::write(folder.path(), "sales", &findings());
    let both = out(&flowgate(&["flows", "check", "flows/"], folder.path()));
    assert!(both.starts_with("flows/sales.json (chatflow)\n") && both.contains("\nflows/support.json ("), "{both}");
    assert!(both.ends_with("\nthe engine runs 2 of 2 flows, 2 of them once what they lack is there\n"), "{both}");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let empty = flowgate(&["flows", "check", "empty"], folder.path());
    assert_eq!((empty.status.code(), err(&empty).as_str()), (Some(2), "empty: no FILE.json in this folder\n"));
}

#[test]
fn what_is_no_export_is_told_in_plain_words() {
    let folder = folder();
    for (text, told) in [
        ("[]", "it is an empty list: nothing was exported"),
        ("[[], []]", "it is a list, not an object with a list `nodes`"),
        ("null\n", "it is null, not an object with a list `nodes`"),
        ("7", "it is a number, not "),
        (" \n", "the file is empty"),
        ("{}", "it has no list `nodes`"),
        ("<html>", "it is no JSON: "),
    ] {
        std::fs::write(folder.path().join("none.json"), text).unwrap();
        let output = flowgate(&["flows", "check", "none.json"], folder.path());
        assert_eq!(output.status.code(), Some(2), "{text}");
        let said = err(&output);
        assert!(said.starts_with(&format!("none.json: not an exported Flowise flow: {told}")), "{said}");
        assert!(said.contains("\"Export Chatflow\"") && !said.contains("struct"), "{said}");
    }
}

#[test]
fn a_configuration_says_which_credentials_there_are() {
    let folder = folder();
    let check = |more: &[&str]| flowgate(&[&["flows", "check", "flows/support.json"], more].concat(), folder.path());
    let with_key = check(&["--config", "flowgate.yaml"]);
    assert_eq!(with_key.status.code(), Some(0));
    assert!(out(&with_key).ends_with("the engine runs this flow\n"), "{}", out(&with_key));
    let without = model::config("", "", "").replace(MODEL_KEY, "''");
    std::fs::write(folder.path().join("without.yaml"), without).unwrap();
    let missing = check(&["--config", "without.yaml"]);
    assert_eq!(missing.status.code(), Some(0));
    let line = "runs, needs credential openAIApi, which the configuration does not have";
    assert!(out(&missing).contains(line), "{}", out(&missing));
    // One that is named must be right; one that lies about need not.
    let wrong = check(&["--config", "nowhere.yaml"]);
    assert_eq!((wrong.status.code(), out(&wrong).as_str()), (Some(2), ""));
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/flowgate.yaml"), "nonsense").unwrap();
    let beside = check(&[]);
    assert_eq!(beside.status.code(), Some(0));
    assert!(err(&beside).starts_with("config/flowgate.yaml: has mistakes"), "{}", err(&beside));
}

#[test]
fn check_looks_at_flows_as_well() {
    let folder = folder();
    let check = || flowgate(&["check", "--config", "flowgate.yaml"], folder.path());
    assert_eq!((check().status.code(), err(&check()).as_str()), (Some(0), ""));
    let text = model::config("", "", "").replace(MODEL_KEY, "''");
    std::fs::write(folder.path().join("flowgate.yaml"), &text).unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(0));
    let note = "note: what flows of upstreams.local lack:\n  \
                credential openAIApi (openAIApiKey): 1 flow, 1 node: support: OpenAI\n    \
                put `openAIApi: { openAIApiKey: ... }` under upstreams.local.engine.credentials, or into its credentials_file\n\
                1 of 1 flow will fail until then, but for models that ask for no key\n";
    assert_eq!(err(&output), note);

    // However many want the same, it is said once.
    let twins = text.replace("chatflows:\n", "chatflows:\n  sales: { upstream: local }\n");
    let chain = std::fs::read_to_string(folder.path().join("flows/support.json")).unwrap();
    std::fs::write(folder.path().join("flows/sales.json"), chain).unwrap();
    std::fs::write(folder.path().join("flowgate.yaml"), twins).unwrap();
    let told = err(&check());
    assert!(told.contains("2 flows, 2 nodes: sales: OpenAI; support: OpenAI\n") && told.lines().count() == 4, "{told}");
    assert!(told.ends_with("2 of 2 flows will fail until then, but for models that ask for no key\n"), "{told}");
    std::fs::remove_file(folder.path().join("flows/sales.json")).unwrap();
    std::fs::write(folder.path().join("flowgate.yaml"), &text).unwrap();

    std::fs::rename(folder.path().join("odd.json"), folder.path().join("flows/odd.json")).unwrap();
    let unused = check();
    assert_eq!(unused.status.code(), Some(0));
    assert!(err(&unused).starts_with("warning: "), "{}", err(&unused));
    let named = text.replace("chatflows:\n", "chatflows:\n  odd: { upstream: local }\n");
    std::fs::write(folder.path().join("flowgate.yaml"), &named).unwrap();
    let output = check();
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""));
    let shown = err(&output);
    assert!(!shown.contains("warning"), "{shown}");
    let file = PathBuf::from("flows/odd.json");
    let places = ["node \"OpenAI\" (chatOpenAI), input baseOptions: ", "node \"Prompt Template\" (oddTemplate): "];
    for place in places {
        let told = format!("{}: {place}", file.display());
        assert!(shown.contains(&told), "{place} in\n{shown}");
        assert!(err(&unused).contains(&told), "{}", err(&unused));
    }
    std::fs::remove_file(folder.path().join("flows/odd.json")).unwrap();
    std::fs::write(folder.path().join("flowgate.yaml"), &text).unwrap();
    std::fs::rename(folder.path().join("flows/support.json"), folder.path().join("flows/sales.json")).unwrap();
    assert!(err(&check()).contains("chatflows.support: there is no support.json in "), "{}", err(&check()));
}
