//! Sources and folders that somebody has made to do harm, or by mistake.

use super::*;

fn flow() -> String {
    model::export("llm-chain", "127.0.0.1:1".parse().unwrap())
}

/// A folder with a source, and the folder `out` that was made of it.
fn prepared() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.json", &json!({ "ChatFlow": [record(SHOP, "Shop", &flow(), None)] }));
    adopted(0, folder.path(), &["all.json", "--into", "out"]);
    let out = folder.path().join("out");
    (folder, out)
}

#[test]
fn what_a_run_before_is_said_to_have_written_elsewhere_stays() {
    let (folder, out) = prepared();
    let elsewhere = folder.path().join("precious.txt");
    std::fs::write(&elsewhere, "mine").unwrap();
    let notes = out.join(".adopted.json");
    let mut said: Value = serde_json::from_slice(&std::fs::read(&notes).unwrap()).unwrap();
    let digest = crate::harness::sha256("mine");
    for path in ["../precious.txt", elsewhere.to_str().unwrap(), "flows/../../precious.txt", "./../precious.txt"] {
        said["files"][path] = json!(digest);
    }
    std::fs::write(&notes, said.to_string()).unwrap();
    let told = adopted(0, folder.path(), &["all.json", "--into", "out"]);
    assert!(!told.contains("removed"), "{told}");
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "mine");
}

#[test]
fn credentials_that_somebody_filled_in_are_never_lost() {
    let (folder, out) = prepared();
    let file = out.join("credentials.yaml");
    let mine = "# From the vault, renewed in May.\nopenAIApi:\n  openAIApiKey: sk-mine\n";
    std::fs::write(&file, mine).unwrap();
    adopted(0, folder.path(), &["all.json", "--into", "out"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), mine, "nothing was to be added");
    let broken = mine.replace("sk-mine", "'sk-mine");
    std::fs::write(&file, &broken).unwrap();
    for more in [&["all.json", "--into", "out"][..], &["all.json", "--into", "out", "--force"]] {
        let told = adopted(2, folder.path(), more);
        assert!(told.contains("credentials.yaml is there and cannot be read"), "{told}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), broken);
    }
}

#[test]
fn a_folder_in_the_place_of_a_file_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.json", &json!({ "ChatFlow": [record(SHOP, "Shop", &flow(), None)] }));
    let inside = folder.path().join("out/flowgate.yaml");
    std::fs::create_dir_all(&inside).unwrap();
    std::fs::write(inside.join("mine"), "mine").unwrap();
    for more in [&["all.json", "--into", "out"][..], &["all.json", "--into", "out", "--force"]] {
        assert!(adopted(2, folder.path(), more).contains("flowgate.yaml"));
        assert_eq!(std::fs::read_to_string(inside.join("mine")).unwrap(), "mine");
    }
}

/// Whoever runs Flowise may not read all that those may who move it.
#[test]
fn links_in_flowises_storage_lead_nowhere_else() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour/adopt");
    let text = flow().replace("You are", "FILE-STORAGE::notes.txt and FILE-STORAGE::secret.txt. You are");
    for is_folder_linked in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(fixtures.join("flowise.sqlite"), folder.path().join("flowise.sqlite")).unwrap();
        write(folder.path(), "all.json", &json!({ "ChatFlow": [record(SHOP, "Shop", &text, None)] }));
        let (storage, elsewhere) = (folder.path().join("storage"), folder.path().join("elsewhere"));
        for made in [&storage, &elsewhere] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(elsewhere.join("secret.txt"), "secret").unwrap();
        if is_folder_linked {
            std::os::unix::fs::symlink(&elsewhere, storage.join(SHOP)).unwrap();
        } else {
            std::fs::create_dir(storage.join(SHOP)).unwrap();
            std::fs::write(storage.join(SHOP).join("notes.txt"), "notes").unwrap();
            std::os::unix::fs::symlink(elsewhere.join("secret.txt"), storage.join(SHOP).join("secret.txt")).unwrap();
        }
        adopted(0, folder.path(), &["all.json", "flowise.sqlite", "--into", "out"]);
        let files = folder.path().join("out/flows/shop");
        assert_eq!(files.join("notes.txt").exists(), !is_folder_linked);
        assert!(!files.join("secret.txt").exists());
    }
}

#[test]
fn two_runs_do_not_write_into_one_folder() {
    let (folder, out) = prepared();
    let other = std::fs::File::open(&out).unwrap();
    other.lock().unwrap();
    let told = adopted(2, folder.path(), &["all.json", "--into", "out"]);
    assert!(told.contains("another run is at work"), "{told}");
    drop(other);
    adopted(0, folder.path(), &["all.json", "--into", "out"]);
}

#[test]
fn what_is_no_record_loses_no_flow() {
    let folder = tempfile::tempdir().unwrap();
    let flows = json!([record(SHOP, "Shop", &flow(), None), null, 7]);
    write(folder.path(), "all.json", &json!({ "ChatFlow": flows, "ChatMessage": [null], "Variable": "x", "Tool": {} }));
    let told = adopted(0, folder.path(), &["all.json", "--into", "out"]);
    assert!(told.contains("not taken along: 5 records that are none"), "{told}");
    check(&folder.path().join("out"));
}

#[test]
fn a_variables_name_cannot_break_the_configuration() {
    let long = "x".repeat(3000);
    for name in ["a: b", "\"", "a\nb", "${HOME}", "é", &long] {
        let folder = tempfile::tempdir().unwrap();
        let text = flow()
            .replace("You are", &format!("{{{{$vars.{name}}}}} You are").replace('"', "\\\"").replace('\n', "\\n"));
        let variable = json!({ "name": name, "value": "v\n  evil: true", "type": "static" });
        write(
            folder.path(),
            "all.json",
            &json!({ "ChatFlow": [record(SHOP, "Shop", &text, None)], "Variable": [variable] }),
        );
        let output = adopt(folder.path(), &["all.json", "--into", "out"]);
        // Some of these are no text that a prompt could have; what is written is whole in any case.
        if output.status.code() == Some(0) {
            check(&folder.path().join("out"));
        }
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "all.json", &json!({ "ChatFlow": [record(SHOP, "Shop", &flow(), None)] }));
    for url in ["http://127.0.0.1:99999", "http://a b", "http://x/y", "ftp://x", "http://"] {
        let told = adopted(2, folder.path(), &["all.json", "--into", "out", "--flowise", url]);
        assert!(told.contains("--flowise: expected Flowise's address"), "{told}");
    }
    assert!(!folder.path().join("out").exists());
}
