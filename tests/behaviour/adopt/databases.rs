//! Flowise's own database, with keys, credentials and chats. `adopt/fixture.py` says what is in it.

use super::*;

const KEY: &str = "eAmGV-J2xcGP7xUOaSjjNRuf-opCCAFlLcDCXoboSqc";
const CREDENTIAL: &str = "a-key-of-the-tests";

/// A folder with the database and its key.
fn source() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour/adopt");
    for name in ["flowise.sqlite", "encryption.key"] {
        std::fs::copy(fixtures.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn a_database_comes_with_keys_credentials_and_chats() {
    let folder = source();
    let arguments = ["flowise.sqlite", "--encryption-key", "encryption.key", "--into", "out"];
    let told_of = adopted(0, folder.path(), &arguments);
    for part in [
        "Shop: chat   shop-chat    public  runs here\n",
        "Back office  back-office  key     runs here\n",
        "Shop chat!   shop-chat-2  public  runs here\n",
        "keys that go on working: web-shop\n",
        "credentials: 1 with their values, in credentials.yaml\n",
        "chats that go on: 2, with 4 exchanges\n",
        "records of what databases hold: 3\n",
        "not taken along: 1 execution\n",
    ] {
        assert!(told_of.contains(part), "{part:?} in\n{told_of}");
    }
    let out = folder.path().join("out");
    check(&out);
    let written = files(&out);
    assert!(String::from_utf8_lossy(&written["credentials.yaml"]).contains(CREDENTIAL));
    let others = written.iter().filter(|(path, _)| *path != "credentials.yaml");
    for (path, content) in
        others.map(|(path, content)| (path.as_str(), content)).chain([("stdout", &told_of.into_bytes())])
    {
        let text = String::from_utf8_lossy(content);
        assert!(!text.contains(CREDENTIAL) && !text.contains(KEY), "{path}");
    }
    let config = String::from_utf8_lossy(&written["flowgate.yaml"]);
    for part in [
        "allowed_origins: [\"https://shop.example.com\"]",
        "plan: flowise-20-in-60s",
        "requests: 20/min, burst: 20",
        "\"userId\": \"default-user\"",
    ] {
        assert!(config.contains(part), "{part:?} in\n{config}");
    }

    let model = model::saying("fine");
    let gateway = serve(&out, model.address);
    let body = r#"{"question":"Who am I?","chatId":"ann-1"}"#;
    let remembered = ["My name is Ann.", "Hello Ann.", "And I like tea.", "Noted.", "Who am I?"];
    // A visitor of a page that Flowise let call, and the key that it knew.
    let shop = ("Origin", "https://shop.example.com");
    assert_eq!(ask(&gateway, SHOP, shop, body).json()["text"], "fine");
    assert_eq!(told(&model), remembered);
    let bearer = format!("Bearer {KEY}");
    assert_eq!(ask(&gateway, OFFICE, ("Authorization", &bearer), body).json()["text"], "fine");
    assert_eq!(told(&model), remembered);
    assert_eq!(model.seen().pop().unwrap().header("authorization"), Some(&*format!("Bearer {CREDENTIAL}")));
    assert_eq!(ask(&gateway, SHOP, ("Origin", "https://other.example"), body).status, 403);
    // Variables are filled in as in Flowise.
    ask(&gateway, "shop-chat-2", ("Origin", "https://any.example"), r#"{"question":"hi"}"#);
    assert!(told(&model)[0].contains("default-user"), "{:?}", told(&model));
}

#[test]
fn a_second_run_brings_no_chat_twice() {
    let folder = source();
    let arguments = ["flowise.sqlite", "--encryption-key", "encryption.key", "--into", "out"];
    adopted(0, folder.path(), &arguments);
    let before = files(&folder.path().join("out"));
    let told_of = adopted(0, folder.path(), &arguments);
    assert!(told_of.contains("nothing has changed"), "{told_of}");
    assert_eq!(files(&folder.path().join("out")), before);
}

#[test]
fn without_the_key_credentials_are_to_be_filled_in() {
    let folder = source();
    std::fs::write(folder.path().join("wrong.key"), "another").unwrap();
    for arguments in
        [&["flowise.sqlite", "--into", "a"][..], &["flowise.sqlite", "--encryption-key", "wrong.key", "--into", "b"]]
    {
        let told_of = adopted(0, folder.path(), arguments);
        assert!(told_of.contains("unless the model asks for none: openAIApi.openAIApiKey\n"), "{told_of}");
        assert_eq!(told_of.contains("cannot be decrypted with that key"), arguments.contains(&"wrong.key"));
    }
    let text = std::fs::read_to_string(folder.path().join("a/credentials.yaml")).unwrap();
    assert!(text.ends_with("\"openAIApi\":\n  \"openAIApiKey\": \"\"   # fill in\n"), "{text}");
}

#[test]
fn what_has_not_reached_the_database_is_told() {
    let folder = source();
    std::fs::write(folder.path().join("flowise.sqlite-wal"), [1; 64]).unwrap();
    let told_of = adopted(2, folder.path(), &["flowise.sqlite"]);
    assert!(told_of.contains("stop Flowise") && told_of.contains("wal_checkpoint"), "{told_of}");
}

#[test]
fn chats_are_not_brought_under_a_gateway_that_runs() {
    let folder = source();
    let out = folder.path().join("out");
    adopted(0, folder.path(), &["flowise.sqlite", "--into", "out"]);
    let model = model::saying("fine");
    let gateway = serve(&out, model.address);
    ask(&gateway, SHOP, ("Origin", "https://shop.example.com"), r#"{"question":"hi","chatId":"ann-1"}"#);
    // As if this folder were the gateway's own.
    std::fs::remove_dir_all(out.join("state")).unwrap();
    std::os::unix::fs::symlink(gateway.dir().join("state"), out.join("state")).unwrap();
    let told_of = adopted(2, folder.path(), &["flowise.sqlite", "--into", "out"]);
    assert!(told_of.contains("a gateway has out/state/chats.redb open"), "{told_of}");
}
