//! What is wrong with the store, or with how it is reached, is named: by a gateway, and by commands that ask it once.

use super::*;
use crate::harness::store_fleet::{ClusterStore, SentinelStore};

const PLANS: &str = "default: { requests: 1000/min, quota: 100/month }";
/// What a gateway does.
const RIGHTS: &str = "~flowgate:* &flowgate:* -@all +@read +@write +@scripting +@connection +@pubsub +time";

/// A server that lets the user `gate` in, with these rights.
fn with_rights(rights: &str) -> Option<StoreServer> {
    StoreServer::start_with(|_| options(rights, "right"))
}

fn options(rights: &str, password: &str) -> Vec<String> {
    let words = format!("--user default on nopass ~* &* +@all --user gate on >{password} {rights}");
    words.split(' ').map(str::to_owned).collect()
}

fn section(store: &StoreServer) -> String {
    format!("urls: ['{}'], timeout: 1s, username: gate, password: right", store.url())
}

/// Code, and what a command said: on stdout and on stderr.
fn run(section: &str, arguments: &[&str]) -> (i32, String, String) {
    let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::answering());
    let file = folder.path().join("flowgate.yaml");
    fs::write(&file, stored(&upstream, section, PLANS)).unwrap();
    fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
    let output = Command::new(BINARY).env("FLOWGATE_CONFIG", &file).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn check_online(section: &str) -> (i32, String, String) {
    run(section, &["check", "--online"])
}

#[track_caller]
fn assert_named(section: &str, mistake: &str) {
    let (code, _, said) = check_online(section);
    assert!(
        code == 1 && said.starts_with("state.valkey: ") && said.ends_with(&format!(": {mistake}\n")),
        "{code}: {said}"
    );
}

#[test]
fn check_online_asks_the_store_and_leaves_nothing_there() {
    let Some(store) = with_rights(RIGHTS) else { return };
    let (code, said, wrong) = check_online(&section(&store));
    assert_eq!((code, &*wrong), (0, ""));
    assert!(said.contains(&format!("state.valkey: {}: ok, version ", store.socket().display())), "{said}");
    assert!(store.keys().is_empty(), "{:?}", store.keys());
    assert_named(&section(&store).replace("right", "wrong"), "authentication failed");
    assert_named("urls: ['unix:///nowhere/store']", "connections are refused");
    assert_eq!(store.command("CONFIG SET maxmemory 1"), "+OK");
    assert_named(&section(&store), "it answers with OOM");
}

#[test]
fn rights_that_are_missing_are_named() {
    let Some(store) = with_rights(&RIGHTS.replace(" +time", "")) else { return };
    assert_named(&section(&store), "its ACL does not let scripts do what they have to");
    let Some(store) = with_rights(&RIGHTS.replace("~flowgate:", "~other:")) else { return };
    assert_named(&section(&store), "it answers with NOPERM");
    let (code, _, said) = run(&section(&store), &["keys", "usage"]);
    assert!(code == 1 && said.ends_with(": it answers with NOPERM\n"), "{said}");
    // Aborts alone need these.
    let Some(store) = with_rights(&RIGHTS.replace(" +@pubsub", "")) else { return };
    let (code, said, warning) = check_online(&section(&store));
    assert!(code == 0 && said.contains(": ok, version "), "{said}");
    assert!(warning.ends_with(": aborts would not reach other replicas: it answers with NOPERM\n"), "{warning}");
}

#[test]
fn servers_that_are_something_else_are_named() {
    let Some(store) = SentinelStore::start(1) else { return };
    let url = |store: &StoreServer| format!("urls: ['{}']", store.url());
    assert_named(&url(&store.replica), "it is a replica of another server, and takes no writes");
    assert_eq!(check_online(&store.section()).0, 0);
    let Some(store) = ClusterStore::start() else { return };
    assert_named(&url(&store.nodes[0]), "it is a member of a Cluster: `mode: cluster` is needed");
    assert_eq!(check_online(&store.section()).0, 0);
}

#[test]
fn why_it_is_lost_is_told_as_of_now() {
    let Some(mut store) = with_rights(RIGHTS) else { return };
    let upstream = Upstream::answering();
    let gateway = Gateway::start(&stored(&upstream, &section(&store), "default: { requests: 1000/min }"));
    wait_shared_by(&[&gateway], 1);
    store.kill();
    let wait_reason =
        |reason: &str| wait_for(reason, || ready(&gateway).ends_with(&format!("Z: {reason}\n")).then_some(()));
    wait_reason("connections are refused");
    *store.options_mut() = options(RIGHTS, "another");
    store.launch();
    wait_reason("authentication failed");
    assert_eq!(told(&gateway, "the store is lost"), 1);
}
