use serde_json::json;

use super::*;
use crate::engine::nodes::redis::testing::{bulk, stub, words};
use crate::engine::testing::within;

#[test]
fn a_session_is_the_list_that_flowise_keeps() {
    let stored = exchange("q", "a").map(|turn| turn.to_string());
    let listed = format!("+OK\r\n*3\r\n{}{}{}", bulk(&stored[1]), bulk(&stored[0]), bulk("no json"));
    let (redis, heard) = stub(":s3cret@", &[&listed, "+OK\r\n:1\r\n:1\r\n:2\r\n:1\r\n", "-WRONGPASS no\r\n"]);
    let memory = RedisMemory { redis, seconds: Some(60), window: 6 };
    let body = json!({ "question": "x", "overrideConfig": { "sessionId": "sess" } });
    let (turns, refused) = within(&body, async |run| {
        let turns = memory.recall(run).await.unwrap();
        memory.keep("q", "a", run).await.unwrap();
        (turns, memory.recall(run).await.unwrap_err().to_string())
    });
    assert_eq!(turns, [Message::user("q"), Message::assistant("a")]);
    assert_eq!(refused, "Redis: WRONGPASS no");
    assert_eq!(words(&heard.recv().unwrap()), ["AUTH", "s3cret", "LRANGE", "sess", "0", "5"]);
    let kept = words(&heard.recv().unwrap());
    let pushed =
        ["LPUSH", "sess", &stored[0], "EXPIRE", "sess", "60", "LPUSH", "sess", &stored[1], "EXPIRE", "sess", "60"];
    assert_eq!(kept[2..], pushed);
}
