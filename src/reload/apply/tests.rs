use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};

use super::*;
use crate::config::Config;

const CONFIG: &str = "upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:1'] } } }\nchatflows: { '*': { upstream: flowise } }\n";

fn write_keys(folder: &Path, ids: &[&str]) {
    let hex = |id: &str| {
        digest(&SHA256, id.as_bytes()).as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    let items = ids.iter().map(|id| format!("  - {{ id: {id}, sha256: '{}' }}\n", hex(id)));
    let text: String = ["keys:\n".to_owned()].into_iter().chain(items).collect();
    replace(&folder.join("keys.yaml"), &text);
}

/// By a new file, so that its stamp is another one whatever the clock says.
fn replace(path: &Path, text: &str) {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, text).unwrap();
    std::fs::rename(temporary, path).unwrap();
}

fn reloader(folder: &Path) -> Reloader {
    std::fs::write(folder.join("flowgate.yaml"), CONFIG).unwrap();
    let config = Config::load(&folder.join("flowgate.yaml")).unwrap();
    let (files, metrics) = (Files::of(&config), Arc::new(Metrics::new().unwrap()));
    let state = Arc::new(SharedState::new(&metrics));
    let (policy, _) = Sources::new(&Arc::new(config), &state.endpoints).read().unwrap();
    let snapshot = Snapshot::bind(policy, &state);
    Reloader::new(files, crate::snapshot::SnapshotInForce::new(snapshot), state, metrics, None, Arc::default())
}

fn ids(reloader: &Reloader) -> Vec<String> {
    reloader.snapshots.load().keys.keys().iter().map(|key| key.id.to_string()).collect()
}

#[test]
fn keys_wait_for_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    write_keys(folder.path(), &["a", "b"]);
    let mut reloader = reloader(folder.path());
    // A look that does not end.
    let looking = reloader.job(true);
    write_keys(folder.path(), &["b", "c"]);
    reloader.look_at_keys();
    assert_eq!(ids(&reloader), ["b", "c"]);
    drop(looking);
}

#[test]
fn a_look_that_began_before_brings_no_key_back() {
    let folder = tempfile::tempdir().unwrap();
    for broken in [false, true] {
        write_keys(folder.path(), &["a", "b"]);
        let mut reloader = reloader(folder.path());
        let looked = reloader.job(true).run();
        write_keys(folder.path(), &["b"]);
        reloader.look_at_keys();
        if broken {
            // What was revoked stays revoked.
            replace(&folder.path().join("keys.yaml"), "keys: [");
        }
        reloader.settle(looked);
        assert_eq!(ids(&reloader), ["b"], "{broken}");
    }
}

#[test]
fn keys_that_came_meanwhile_stay() {
    let folder = tempfile::tempdir().unwrap();
    write_keys(folder.path(), &["a"]);
    let mut reloader = reloader(folder.path());
    let looked = reloader.job(true).run();
    write_keys(folder.path(), &["a", "b"]);
    reloader.look_at_keys();
    assert!(reloader.settle(looked));
    assert_eq!(ids(&reloader), ["a", "b"]);
    // And are told of by the look that follows.
    let looked = reloader.job(false).run();
    assert!(looked.outcome.as_ref().is_some_and(|outcome| outcome.changed == BTreeSet::from([ConfigPart::Keys])));
    assert!(reloader.settle(looked));
    assert_eq!(ids(&reloader), ["a", "b"]);
}
