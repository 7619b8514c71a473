//! Chats on stores of several servers: a Cluster, and a primary that Sentinels may replace.

use super::chats::{free_chats_of_the_dead, hold_chats};
use super::memory::{ask, give_approvals, remembering, told_last};
use super::*;
use crate::engine::abort;
use crate::harness::store_fleet::{ClusterStore, SentinelStore};
use crate::harness::{KEY, model};

/// Chats of two replicas on a store of several servers; how many of all replicas listen to it.
fn keep_chats(section: &str, listening: impl Fn() -> usize) {
    let model = Upstream::start(|seen, reply| {
        if seen.json().to_string().contains("hold") {
            reply.stream_head();
            model::token(reply, "word");
            reply.wait_for_close();
        } else {
            model::answer(seen, reply, "fine");
        }
    });
    let section = format!("state: {{ valkey: {{ {section} }} }}");
    let replicas = remembering(&model, &section);
    ask(&replicas[0], "c1", "one");
    ask(&replicas[1], "c1", "two");
    assert_eq!(told_last(&model), ["one", "fine", "two"]);
    let hold = r#"{"question":"hold","chatId":"c3","streaming":true}"#;
    let mut stream = replicas[0].begin(hold);
    assert_eq!(stream.read_head().unwrap().status, 200);
    assert!(stream.read_chunk().unwrap().is_some());
    replicas[1].begin(hold).read_response().unwrap().assert_refused(409, "chat_busy");
    wait_for("two that listen", || (listening() == 2).then_some(()));
    assert_eq!(abort(&replicas[1], KEY, "c3").status, 200);
    assert!(stream.read_rest().contains("\"abort\""));
    // Two in one piece, a stream, its abort, and one that was refused.
    for replica in &replicas {
        usage::wait_counted(replica, &serde_json::json!({ "app": [5, 1] }));
        assert_eq!(told(replica, "refuses"), 0, "{:?}", replica.log());
    }
}

#[test]
fn a_cluster_keeps_chats_as_one_server_does() {
    let Some(store) = ClusterStore::start() else { return };
    keep_chats(&store.section(), || store.nodes.iter().map(chats::listening).sum());
}

#[test]
fn behind_sentinels_chats_are_kept_as_by_one_server() {
    let Some(store) = SentinelStore::start(1) else { return };
    keep_chats(&store.section(), || chats::listening(&store.primary));
}

fn of(section: &str) -> String {
    format!("state: {{ valkey: {{ {section} }} }}")
}

#[test]
fn a_cluster_frees_the_chats_of_a_replica_that_has_died() {
    let Some(store) = ClusterStore::start() else { return };
    free_chats_of_the_dead(&of(&store.section()));
}

#[test]
fn behind_sentinels_the_chats_of_a_replica_that_has_died_are_free() {
    let Some(store) = SentinelStore::start(1) else { return };
    free_chats_of_the_dead(&of(&store.section()));
}

#[test]
fn an_approval_is_given_on_whichever_replica_of_a_cluster() {
    let Some(store) = ClusterStore::start() else { return };
    give_approvals(&of(&store.section()));
}

#[test]
fn behind_sentinels_an_approval_is_given_on_whichever_replica() {
    let Some(store) = SentinelStore::start(1) else { return };
    give_approvals(&of(&store.section()));
}

#[test]
fn a_chat_has_one_stream_though_another_node_is_silent() {
    let Some(store) = ClusterStore::start() else { return };
    let section = of(&store.section());
    hold_chats(&section, || {
        store.other_than(&["flowgate:v1:{chats}:replicas", "flowgate:v1:replicas"]).signal("STOP");
    });
}
