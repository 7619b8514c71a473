//! The folder that is written: whole, and nothing in it that somebody else wrote is lost.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A source with two flows, and the folder that was made of it.
fn prepared() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path(), "You are");
    adopted(0, folder.path(), &["all.json", "--into", "out"]);
    let out = folder.path().join("out");
    (folder, out)
}

fn source(folder: &Path, beginning: &str) {
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    let changed = flow.replace("You are", beginning);
    let flows = [record(SHOP, "Shop", &changed, None), record(OFFICE, "shop", &flow, Some("the-key"))];
    write(folder, "all.json", &json!({ "ChatFlow": flows }));
}

#[test]
fn a_second_run_changes_only_what_changed() {
    let (folder, out) = prepared();
    let before = files(&out);
    let told_of = adopted(0, folder.path(), &["all.json", "--into", "out"]);
    assert!(told_of.contains("nothing has changed"), "{told_of}");
    assert!(told_of.contains("keys that a run before has made: flowise-the-key"), "{told_of}");
    assert!(!told_of.contains("keys that were made"), "{told_of}");
    assert_eq!(files(&out), before);
    source(folder.path(), "You will be");
    let report: Value =
        serde_json::from_str(&adopted(0, folder.path(), &["all.json", "--into", "out", "--json"])).unwrap();
    assert_eq!(report["placed"]["written"], json!(["flows/shop.json"]));
    let after = files(&out);
    let changed: Vec<&String> =
        after.iter().filter(|(path, content)| before.get(*path) != Some(content)).map(|(path, _)| path).collect();
    assert_eq!(changed, [".adopted.json", "flows/shop.json"]);
    // A flow that has gone goes here, and the other keeps its name.
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    write(folder.path(), "all.json", &json!([record(OFFICE, "shop", &flow, Some("the-key"))]));
    adopted(0, folder.path(), &["all.json", "--into", "out"]);
    let after = files(&out);
    assert!(after.contains_key("flows/shop-2.json") && !after.contains_key("flows/shop.json"));
    check(&out);
}

#[test]
fn a_keys_file_that_somebody_changed_is_told_what_does_not_fit_any_more() {
    let (folder, out) = prepared();
    let keys = std::fs::read_to_string(out.join("keys.yaml")).unwrap();
    std::fs::write(out.join("keys.yaml"), keys.replace("chatflows:", "upsert: true\n    chatflows:")).unwrap();
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    let third = OFFICE.replace('2', "3");
    let flows = [record(OFFICE, "shop", &flow, Some("the-key")), record(&third, "Sales", &flow, Some("the-key"))];
    write(folder.path(), "all.json", &json!({ "ChatFlow": flows }));
    let told_of = adopted(0, folder.path(), &["all.json", "--into", "out"]);
    for part in
        ["in the key flowise-the-key: take out shop,", "for the key flowise-the-key to call what is new, add sales "]
    {
        assert!(told_of.contains(part), "{part:?} in\n{told_of}");
    }
    // Done so, nothing is told any more.
    let keys = std::fs::read_to_string(out.join("keys.yaml")).unwrap();
    std::fs::write(out.join("keys.yaml"), keys.replace("[\"shop\", ", "[\"sales\", ")).unwrap();
    let told_of = adopted(0, folder.path(), &["all.json", "--into", "out"]);
    assert!(!told_of.contains("somebody changed"), "{told_of}");
    check(&out);
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten() {
    let (folder, out) = prepared();
    let config = std::fs::read_to_string(out.join("flowgate.yaml")).unwrap();
    let own = format!("{config}# mine\n");
    std::fs::write(out.join("flowgate.yaml"), &own).unwrap();
    let credentials = std::fs::read_to_string(out.join("credentials.yaml")).unwrap();
    std::fs::write(out.join("credentials.yaml"), credentials.replace("\"\"   # fill in", "sk-mine")).unwrap();
    let keys = std::fs::read_to_string(out.join("keys.yaml")).unwrap();
    std::fs::write(out.join("keys.yaml"), format!("{keys}  - {{ id: mine, sha256: {} }}\n", "ab".repeat(32))).unwrap();
    // Flowise has changed nothing that would have to be written there.
    let before = files(&out);
    source(folder.path(), "You will be");
    adopted(0, folder.path(), &["all.json", "--into", "out"]);
    let after = files(&out);
    assert_ne!(after["flows/shop.json"], before["flows/shop.json"]);
    assert_eq!(after["flowgate.yaml"], own.as_bytes());
    assert!(String::from_utf8_lossy(&after["credentials.yaml"]).contains("sk-mine"));
    assert!(String::from_utf8_lossy(&after["keys.yaml"]).contains("id: mine"));
    check(&out);
    // Now it has: the configuration would lose what is in it, so all stays as it was.
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    write(folder.path(), "all.json", &json!([record(SHOP, "Shop", &flow, None)]));
    let before = files(&out);
    let told_of = adopted(2, folder.path(), &["all.json", "--into", "out"]);
    assert!(told_of.contains("nothing was written: flowgate.yaml would be overwritten"), "{told_of}");
    assert!(told_of.contains("adopt into another folder (--into) and take over what is new in it"), "{told_of}");
    assert_eq!(files(&out), before);
    let told_of = adopted(0, folder.path(), &["all.json", "--into", "out", "--force"]);
    let after = files(&out);
    assert_ne!(after["flowgate.yaml"], own.as_bytes());
    assert!(String::from_utf8_lossy(&after["credentials.yaml"]).contains("sk-mine"));
    // Keys are nobody's to drop, whatever is forced; what does not fit any more is told.
    let keys = String::from_utf8_lossy(&after["keys.yaml"]);
    assert!(keys.contains("id: mine"), "{keys}");
    assert!(
        told_of.contains("in the key flowise-the-key: take out shop-2, or the gateway does not take it"),
        "{told_of}"
    );
    std::fs::write(out.join("keys.yaml"), keys.replace(", \"shop-2\"", "")).unwrap();
    check(&out);
    // A folder of somebody else's.
    std::fs::create_dir(folder.path().join("other")).unwrap();
    std::fs::write(folder.path().join("other/keys.yaml"), "keys:\n").unwrap();
    std::fs::write(folder.path().join("other/flowgate.yaml"), "theirs\n").unwrap();
    adopted(2, folder.path(), &["all.json", "--into", "other"]);
    assert_eq!(files(&folder.path().join("other")).len(), 2);
}

#[test]
fn a_key_that_was_revoked_stays_revoked() {
    let (folder, out) = prepared();
    let keys = std::fs::read_to_string(out.join("keys.yaml")).unwrap();
    assert!(keys.contains("flowise-the-key"), "{keys}");
    std::fs::write(out.join("keys.yaml"), format!("keys:\n  - {{ id: mine, sha256: {} }}\n", "ab".repeat(32))).unwrap();
    let told_of = adopted(0, folder.path(), &["all.json", "--into", "out"]);
    assert!(
        told_of.contains("note: the key flowise-the-key was taken out of keys.yaml since, and stays out"),
        "{told_of}"
    );
    assert!(!std::fs::read_to_string(out.join("keys.yaml")).unwrap().contains("flowise-the-key"));
}

/// Runs after the one that met the change know of it as well.
#[test]
fn what_was_written_into_keys_and_credentials_outlasts_all_later_runs() {
    let (folder, out) = prepared();
    let keys = std::fs::read_to_string(out.join("keys.yaml")).unwrap();
    let own = "  - { id: mine, sha256: ";
    let revoked = "  - id: \"flowise-the-key\"\n    enabled: false\n";
    let changed = keys.replacen("  - id: \"flowise-the-key\"\n", revoked, 1);
    assert_ne!(changed, keys, "{keys}");
    std::fs::write(out.join("keys.yaml"), format!("{changed}{own}{} }}\n", "ab".repeat(32))).unwrap();
    let credentials = std::fs::read_to_string(out.join("credentials.yaml")).unwrap();
    let filled_in = credentials.replacen("\"\"   # fill in", "sk-0123456789", 1);
    assert_ne!(filled_in, credentials, "{credentials}");
    std::fs::write(out.join("credentials.yaml"), &filled_in).unwrap();
    for beginning in ["You are", "You will be", "You will be", "You were", "You were"] {
        source(folder.path(), beginning);
        adopted(0, folder.path(), &["all.json", "--into", "out"]);
        let keys = std::fs::read_to_string(out.join("keys.yaml")).unwrap();
        assert!(keys.contains(own) && keys.contains(revoked), "{beginning}: {keys}");
        assert_eq!(std::fs::read_to_string(out.join("credentials.yaml")).unwrap(), filled_in, "{beginning}");
        check(&out);
    }
}

#[test]
fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path(), "You are");
    let told_of = adopted(0, folder.path(), &["all.json", "--into", "out", "--dry-run"]);
    assert!(told_of.contains("out: would write 7 files"), "{told_of}");
    assert!(told_of.contains("keys that would be made: flowise-the-key"), "{told_of}");
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn secrets_are_for_their_owner_alone() {
    let (_folder, out) = prepared();
    for (name, expected) in [
        ("credentials.yaml", 0o600),
        ("keys.yaml", 0o600),
        ("new-keys.txt", 0o600),
        (".adopted.json", 0o600),
        ("flows/shop.json", 0o644),
    ] {
        let mode = std::fs::metadata(out.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected, "{name}");
    }
}

#[test]
fn names_stay_in_the_folder_whatever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let flow = model::export("llm-chain", "127.0.0.1:1".parse().unwrap());
    let names = [
        "../../etc/passwd",
        "..",
        "con",
        "Shop",
        "SHOP",
        "tools",
        "客服",
        "a: \"b\"\n# ${HOME} {{x}}",
        "- x",
        &"long ".repeat(200),
    ];
    let flows: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(number, name)| record(&SHOP.replace("-4111-", &format!("-4{number:03}-")), name, &flow, None))
        .collect();
    write(folder.path(), "all.json", &json!({ "ChatFlow": flows }));
    adopted(0, folder.path(), &["all.json", "--into", "out"]);
    let out = folder.path().join("out");
    check(&out);
    let found: Vec<String> = files(&out.join("flows")).into_keys().collect();
    let expected =
        ["a-b-home-x.json", "etc-passwd.json", "flow-11111111-2.json", "flow-11111111.json", "flow-con.json"];
    assert_eq!(found[..5], expected);
    assert!(found.contains(&"shop-2.json".to_owned()) && found.contains(&"tools-2.json".to_owned()), "{found:?}");
    assert!(found.iter().all(|name| name.len() < 80 && name.is_ascii()), "{found:?}");
    let config = std::fs::read_to_string(out.join("flowgate.yaml")).unwrap();
    assert_eq!(config.matches("    id: ").count(), names.len(), "{config}");
}

#[test]
fn a_record_of_the_api_is_a_flow_by_its_file() {
    let model = model::saying("fine");
    let flow = model::export("llm-chain", model.address);
    let text = model::config("", "", "");
    let gateway = Gateway::start_with(&text, &crate::harness::gateway::keys(""), |dir| {
        std::fs::create_dir(dir.join("flows")).unwrap();
        write(&dir.join("flows"), "support.json", &record(SHOP, "Shop", &flow, None));
    });
    assert_eq!(gateway.predict(r#"{"question":"hi"}"#).json()["text"], "fine");
    let check = ["flows", "check", "flows/support.json"];
    let output = Command::new(BINARY).args(check).current_dir(gateway.dir()).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && out.starts_with("flows/support.json (chatflow)\n"), "{out}");
}

#[test]
fn flows_are_found_where_the_whole_export_lies() {
    let model = model::saying("fine");
    let flow = model::export("llm-chain", model.address);
    let all = json!({ "ChatFlow": [record(SHOP, "Shop", &flow, None), record(OFFICE, "odd", &odd(&flow), None)] });
    let text = model::config("", &format!(", id: {SHOP}, by_id: true"), "");
    let gateway = Gateway::start_with(&text, &crate::harness::gateway::keys(""), |dir| {
        std::fs::create_dir(dir.join("flows")).unwrap();
        write(&dir.join("flows"), "ExportData.json", &all);
    });
    assert_eq!(gateway.predict(r#"{"question":"hi"}"#).json()["text"], "fine");
    let key = ("X-API-KEY", crate::harness::KEY);
    assert_eq!(ask(&gateway, SHOP, key, r#"{"question":"hi"}"#).json()["text"], "fine");
    let line =
        gateway.log_line(|line| line["problem"].as_str().is_some_and(|text| text.contains("flow \"odd\": node")));
    assert_eq!(line["level"], "WARN");
    // It changes, and is broken, and what is in force goes on.
    let other = flow.replace("You are an assistant", "Changed");
    write(
        &gateway.dir().join("flows"),
        "ExportData.json",
        &json!({ "ChatFlow": [record(SHOP, "Shop", &other, None)] }),
    );
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="flows",result="accepted"}"#, 1.0);
    gateway.predict(r#"{"question":"hi"}"#);
    assert!(told(&model)[0].starts_with("Changed"), "{:?}", told(&model));
    std::fs::write(gateway.dir().join("flows/ExportData.json"), "{\"ChatFlow\":[").unwrap();
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="flows",result="rejected"}"#, 1.0);
    assert_eq!(gateway.predict(r#"{"question":"hi"}"#).status, 200);

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.json", &all);
    let output = Command::new(BINARY).args(["flows", "check", "all.json"]).current_dir(folder.path()).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{out}");
    for part in ["all.json: \"Shop\" (chatflow)\n", "the engine runs this flow", "\nall.json: \"odd\" (chatflow)\n"] {
        assert!(out.contains(part), "{part:?} in\n{out}");
    }
}
