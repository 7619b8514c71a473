use std::fs;
use std::path::Path;

use super::*;
use crate::config::ConfigPart;
use crate::state::endpoints::Endpoints;

const CONFIG: &str = "server: { listen: '127.0.0.1:0' }
admin: { listen: '127.0.0.1:0' }
upstreams:
  flowise: { flowise: { urls: ['http://127.0.0.1:3000'] } }
  local: { engine: {} }
plans: { default: { requests: 60/min } }
chatflows:
  support: { upstream: flowise, id: 5f3a1c52-7a47-4d3c-9f38-6f2f3c1f8a10 }
  local: { upstream: local }
";
const KEYS: &str = "keys:
  - { id: app, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 }
";

fn write(folder: &Path, config: &str, keys: &str) {
    fs::write(folder.join("flowgate.yaml"), config).unwrap();
    fs::write(folder.join("keys.yaml"), keys).unwrap();
    let flow = format!("{}/tests/flowise/flows/llm-chain.json", env!("CARGO_MANIFEST_DIR"));
    let flow = fs::read_to_string(flow).unwrap().replace("LLM_BASE_PATH_PLACEHOLDER", "127.0.0.1:1");
    fs::create_dir_all(folder.join("flows")).unwrap();
    fs::write(folder.join("flows/local.json"), flow).unwrap();
}

fn config(folder: &Path) -> Arc<Config> {
    Arc::new(Config::load(&folder.join("flowgate.yaml")).unwrap())
}

fn read(folder: &Path) -> Policy {
    let (policy, held) = Sources::new(&config(folder), &Arc::new(Endpoints::default())).read().unwrap();
    assert_eq!(held, []);
    policy
}

#[test]
fn the_same_files_make_the_same_policy_and_others_another() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CONFIG, KEYS);
    let first = read(folder.path());
    assert!(first == read(folder.path()), "whatever has happened meanwhile");
    for (config, keys) in [
        (CONFIG.replace("60/min", "61/min").as_str(), KEYS),
        (CONFIG, KEYS.replace("app", "second").as_str()),
        (CONFIG.replace("engine: {}", "engine: { limits: { model_calls: 7 } }").as_str(), KEYS),
    ] {
        write(folder.path(), config, keys);
        assert!(first != read(folder.path()), "{config}{keys}");
    }
    write(folder.path(), CONFIG, KEYS);
    fs::write(folder.path().join("flows/more.json"), "{}").unwrap();
    let sources = config(folder.path());
    let endpoints = Arc::new(Endpoints::default());
    let parts = first.parts();
    let all = ConfigPart::ALL.into();
    let (with_another_file, _) = Sources::new(&sources, &endpoints).again(&parts, &all).read().unwrap();
    assert!(first != with_another_file);
}

#[test]
fn what_keeps_chats_apart_is_made_beforehand_with_and_without_an_id() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CONFIG, KEYS);
    let policy = read(folder.path());
    for name in ["support", "local"] {
        let NamedChatflow { index, id } = policy.chatflow(name).unwrap();
        let sessions = &policy.flow(index).unwrap().sessions;
        assert!(Arc::ptr_eq(&sessions.of(&id), &sessions.of(&id)), "{name}");
    }
}

#[test]
fn a_policy_is_its_parts_and_needs_no_file_and_no_other_policy() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CONFIG, KEYS);
    let parts = read(folder.path()).parts();
    folder.close().unwrap();
    let policy = Policy::new(parts.clone()).unwrap();
    assert!(policy.parts() == parts);
    assert_eq!(policy.chatflow("support").map(|chatflow| chatflow.index), Some(0));
    assert!(policy.chatflow("other").is_none());
    // A key of a plan that is not there, and a chatflow without an answer, do not fit.
    let mut config = (*parts.config).clone();
    config.plans.clear();
    assert!(Policy::new(PolicyParts { config: Arc::new(config), ..parts.clone() }).is_err());
    assert!(Policy::new(PolicyParts { engines: Arc::default(), ..parts.clone() }).is_err());
    assert!(Policy::new(PolicyParts { upstreams: Arc::default(), ..parts }).is_err());
}
