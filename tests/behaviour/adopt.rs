//! `flowgate adopt`: what a Flowise has becomes a folder that runs.

mod databases;
mod folders;
mod hostile;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::client::{self, Response};
use crate::harness::gateway::{BINARY, Gateway};
use crate::harness::model;
use crate::harness::upstream::Upstream;

const SHOP: &str = "11111111-1111-4111-8111-111111111111";
const OFFICE: &str = "22222222-2222-4222-8222-222222222222";
/// Where models of tests/behaviour/adopt/flowise.sqlite are.
const PLACE: &str = "127.0.0.1:13999";
const LISTEN: &str = "server: { listen: '127.0.0.1:0', workers: 1 }\nadmin: { listen: '127.0.0.1:0' }\n";

fn adopt(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.env_remove("FLOWGATE_CONFIG").current_dir(folder).arg("adopt").args(arguments).output().unwrap()
}

/// What it printed, once it has ended with that code.
#[track_caller]
fn adopted(code: i32, folder: &Path, arguments: &[&str]) -> String {
    let output = adopt(folder, arguments);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    if code == 2 { err } else { out }
}

#[track_caller]
fn check(folder: &Path) {
    let checked = Command::new(BINARY).args(["check", "--config"]).arg(folder.join("flowgate.yaml")).output().unwrap();
    let [out, err] = [checked.stdout, checked.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(checked.status.code(), Some(0), "{out}{err}");
    assert!(!err.contains("warning"), "{err}");
}

/// A gateway on a copy of an adopted folder, its models at that address.
fn serve(folder: &Path, model: SocketAddr) -> Gateway {
    let config = std::fs::read_to_string(folder.join("flowgate.yaml")).unwrap();
    let keys = std::fs::read_to_string(folder.join("keys.yaml")).unwrap();
    Gateway::start_with(&format!("{LISTEN}{config}"), &keys, |dir| {
        for (path, content) in files(folder) {
            if path != "flowgate.yaml" && path != "keys.yaml" {
                let place = dir.join(&path);
                std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                let text = String::from_utf8(content.clone()).map(|text| text.replace(PLACE, &model.to_string()));
                std::fs::write(place, text.map_or(content, String::into_bytes)).unwrap();
            }
        }
    })
}

/// All files below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inside, content)| (format!("{name}/{inside}"), content)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

fn ask(gateway: &Gateway, chatflow: &str, header: (&str, &str), body: &str) -> Response {
    client::post(gateway.http, &format!("/api/v1/prediction/{chatflow}"), &[header], body)
}

/// What the model was told last, without the system's message.
fn told(model: &Upstream) -> Vec<String> {
    let last = model.seen().pop().expect("a request");
    model::told(&last).into_iter().filter(|(role, _)| role != "system").map(|(_, text)| text).collect()
}

/// A record as Flowise's API and its exports have it.
fn record(id: &str, name: &str, flow: &str, key: Option<&str>) -> Value {
    json!({ "id": id, "name": name, "flowData": flow, "deployed": false, "isPublic": false, "apikeyid": key,
        "chatbotConfig": null, "apiConfig": null, "type": "CHATFLOW", "workspaceId": null })
}

fn odd(flow: &str) -> String {
    flow.replace("\"promptTemplate\"", "\"oddTemplate\"")
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

#[test]
fn exports_of_every_shape_become_a_folder_that_runs() {
    let model = model::saying("fine");
    let [chain, chat] = ["llm-chain", "conversation-chain"].map(|name| model::export(name, model.address));
    let shop = record(SHOP, "Shop: chat", &chain, None);
    let office = record(OFFICE, "Back Office", &chat, Some("f594b7ef-5541-4d26-95a4-d7fddbcd2bdb"));
    let older = json!({ "Tool": [{ "id": "t", "name": "weather" }], "Variable": [], "Assistant": [],
        "ChatFlow": [shop, office], "AgentFlow": [] });
    let mut newer = json!({ "FileDefaultName": "ExportData.json", "AgentFlow": [], "AgentFlowV2": [], "AssistantFlow": [],
        "CustomTemplate": [], "DocumentStore": [], "DocumentStoreFileChunk": [], "Execution": [{ "id": "e" }], "Tool": [],
        "Variable": [{ "id": "v", "name": "x", "value": "", "type": "static" }], "ChatFlow": [shop], "ChatMessage": [] });
    newer["AgentFlowV2"] = json!([office]);
    let wide =
        |text: &Value| -> Vec<u8> { format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let list = json!([shop, office]).to_string();
    let sources =
        [older.to_string().into_bytes(), format!("\u{feff}{newer}").into_bytes(), wide(&newer), list.into_bytes()];
    for source in sources {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ExportData.json"), source).unwrap();
        let told_of = adopted(0, folder.path(), &["ExportData.json", "--into", "way/out"]);
        for part in [
            "Shop: chat   shop-chat    public  runs here\n",
            "Back Office  back-office  key     runs here\n",
            "keys that were made: flowise-f594b7ef",
            "openAIApi.openAIApiKey",
        ] {
            assert!(told_of.contains(part), "{part:?} in\n{told_of}");
        }
        let out = folder.path().join("way/out");
        check(&out);
        let made = std::fs::read_to_string(out.join("new-keys.txt")).unwrap();
        let key = made.lines().find_map(|line| line.strip_prefix("flowise-f594b7ef ")).unwrap().to_owned();
        assert!(!told_of.contains(&key), "{told_of}");

        let gateway = serve(&out, model.address);
        let page = ("Origin", "https://any.example");
        for name in ["shop-chat", SHOP] {
            assert_eq!(ask(&gateway, name, page, r#"{"question":"hi"}"#).json()["text"], "fine");
        }
        // With a key as in Flowise, and no other.
        assert_eq!(ask(&gateway, OFFICE, page, r#"{"question":"hi"}"#).status, 401);
        assert_eq!(ask(&gateway, OFFICE, ("X-API-KEY", &key), r#"{"question":"hi"}"#).json()["text"], "fine");
        assert_eq!(ask(&gateway, &OFFICE.replace('2', "4"), ("X-API-KEY", &key), r#"{"question":"hi"}"#).status, 404);
    }
}

#[test]
fn single_exports_are_named_after_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let exports = folder.path().join("exports");
    std::fs::create_dir(&exports).unwrap();
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    for name in ["Sales Bot Chatflow.json", "sales bot.json", "notes.json", "readme.txt"] {
        let text = if name == "notes.json" { "{\"a\":1}" } else { &flow };
        std::fs::write(exports.join(name), text).unwrap();
    }
    std::fs::write(exports.join("wrapped.json"), json!({ "name": "../../Wrapped", "flowData": flow }).to_string())
        .unwrap();
    let report: Value = serde_json::from_str(&adopted(0, folder.path(), &["exports", "--json"])).unwrap();
    let names: Vec<&str> =
        report["flows"].as_array().unwrap().iter().map(|flow| flow["chatflow"].as_str().unwrap()).collect();
    assert_eq!(names, ["sales-bot", "sales-bot-2", "wrapped"]);
    // Nobody knows who may call them, so a key may.
    assert!(report["flows"].as_array().unwrap().iter().all(|flow| flow["access"] == "key"));
    assert!(report["notes"][0].as_str().unwrap().starts_with("exports/notes.json is left out: "), "{report}");
    check(&folder.path().join("flowgate"));
}

#[test]
fn variables_that_the_source_does_not_have_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    std::fs::write(folder.path().join("shop.json"), flow.replace("You are", "{{$vars.tone}} You are")).unwrap();
    let told = adopted(0, folder.path(), &["shop.json"]);
    assert!(told.contains("variables that the sources do not have (tone): fill them in"), "{told}");
    check(&folder.path().join("flowgate"));
}

#[test]
fn what_the_engine_does_not_run_stays_on_flowise_or_is_told_by_node() {
    let folder = tempfile::tempdir().unwrap();
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    let broken = odd(&flow).replace("Prompt Template", "Odd\\n\\u001b[31mone");
    let key = "f594b7ef-5541-4d26-95a4-d7fddbcd2bdb";
    write(
        folder.path(),
        "all.json",
        &json!({ "ChatFlow": [record(SHOP, "good", &flow, None), record(OFFICE, "odd", &broken, Some(key))] }),
    );
    let told_of = adopted(3, folder.path(), &["all.json"]);
    for part in [
        "odd   odd       key     not answered\n",
        "    node \"Odd  [31mone\" (oddTemplate): Flowise 3.1.4 has no such node any more\n",
    ] {
        assert!(told_of.contains(part), "{part:?} in\n{told_of}");
    }
    let out = folder.path().join("flowgate");
    check(&out);
    assert!(files(&out).contains_key("kept/odd.json") && !files(&out).contains_key("flows/odd.json"));

    let flowise = Upstream::start(|_, reply| reply.json("200 OK", r#"{"text":"from Flowise"}"#));
    let url = format!("http://{}", flowise.address);
    let told_of = adopted(0, folder.path(), &["all.json", "--flowise", &url, "--force"]);
    let verdict = "odd   odd       key     stays on Flowise, if yours still runs Odd  [31mone\n";
    assert!(told_of.contains(verdict), "{told_of}");
    check(&out);
    let made = std::fs::read_to_string(out.join("new-keys.txt")).unwrap();
    let key = made.lines().find_map(|line| line.strip_prefix("flowise-f594b7ef ")).unwrap().to_owned();
    let gateway = serve(&out, flowise.address);
    assert_eq!(ask(&gateway, "odd", ("X-API-KEY", &key), r#"{"question":"hi"}"#).json()["text"], "from Flowise");
    assert!(flowise.seen().iter().any(|seen| seen.path.contains(OFFICE)));
    // With nothing that would answer, nothing is written.
    write(folder.path(), "odd.json", &json!([record(OFFICE, "odd", &broken, None)]));
    let told_of = adopted(3, folder.path(), &["odd.json", "--into", "nothing"]);
    assert!(told_of.contains("nothing was written") && !folder.path().join("nothing").exists(), "{told_of}");
    assert!(!told_of.contains("keys that"), "{told_of}");
    assert!(told_of.contains("not answered: 1 flow: change what is said above"), "{told_of}");
}

#[test]
fn what_is_no_source_is_code_2_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("broken.json"), "{\"ChatFlow\":[").unwrap();
    std::fs::write(folder.path().join("cut.sqlite"), b"SQLite format 3\0").unwrap();
    write(folder.path(), "none.json", &json!({ "ChatFlow": [], "Tool": [] }));
    for (arguments, message) in [
        (&["nowhere.json"][..], "nowhere.json: No such file"),
        (&["broken.json"], "broken.json: "),
        (&["cut.sqlite"], "cut.sqlite: it is no SQLite database"),
        (&["empty"], "empty: there is no export of Flowise's in it"),
        (&["none.json"], "there is no flow in what was named"),
        (&["none.json", "--flowise", "ftp://x"], "--flowise: expected Flowise's address"),
        (&["none.json", "--encryption-key", "nokey"], "--encryption-key nokey: "),
    ] {
        let told_of = adopted(2, folder.path(), arguments);
        assert!(told_of.contains(message), "{told_of}");
        assert!(!folder.path().join("flowgate").exists());
    }
}
