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
        the engine runs this flow; to be put under `credentials` of the engine, unless the model asks for none:\n  \
          openAIApi: { openAIApiKey: ... }\n";
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
        "               not supported: input cache: ",
        "oddTemplate  not supported: the engine does not know this kind of node\n",
        "LLM Chain        llmChain     runs\n",
        "the engine cannot run this flow: 2 of 3 nodes not supported\n",
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

#[test]
fn what_is_no_export_is_told_in_plain_words() {
    let folder = folder();
    for (text, told) in [
        ("[]", "it is a list, not an object with a list `nodes`"),
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
    let note = "flows/support.json: note: node \"OpenAI\" gets no openAIApi.openAIApiKey, which is not in \
                upstreams.local.engine.credentials\n";
    assert!(err(&output).ends_with(note), "{}", err(&output));

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
