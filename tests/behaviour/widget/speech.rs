//! Answers that are read out.

use serde_json::Value;
use serde_json::json;

use super::{MESSAGE, PUBLIC, ROW, flowise, gateway, visit};
use crate::harness::FLOW;
use crate::harness::upstream::Upstream;

#[test]
fn speech_uses_the_chatflows_own_voice() {
    let upstream = flowise();
    let gateway = gateway(&upstream, PUBLIC);
    let speech = json!({"chatflowId": "support", "chatId": "mine", "chatMessageId": MESSAGE, "text": "hello"});
    assert_eq!(visit(&gateway, "POST", "text-to-speech/generate", &speech.to_string()).status, 200);
    let sent = upstream.seen()[0].json();
    assert_eq!((&sent["chatflowId"], &sent["text"]), (&json!(FLOW), &json!("hello")));
    assert_ne!(sent["chatId"], "mine");
    let stop = json!({"chatflowId": "support", "chatId": "mine", "chatMessageId": MESSAGE});
    assert_eq!(visit(&gateway, "POST", "text-to-speech/abort", &stop.to_string()).status, 200);
    for more in [
        json!({"credentialId": ROW}),
        json!({"provider": "openai"}),
        json!({"voice": "alloy"}),
        json!({"model": "tts-1"}),
        json!({"chatflowId": FLOW}),
        json!({"chatflowId": null}),
        json!({"text": {"a": 1}}),
        json!({"text": "x ".repeat(5000)}),
    ] {
        let mut asked = speech.clone();
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let status = visit(&gateway, "POST", "text-to-speech/generate", &asked.to_string()).status;
        assert!(matches!(status, 400 | 404), "{status}");
    }
    assert_eq!(upstream.seen().len(), 2);
}

/// Flowise's records of speech, which have a name of their own and no `end`.
fn spoken(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {{\"event\":\"{name}\",\"data\":{data}}}\n\n")
}

#[test]
fn speech_streams_and_ends_with_its_own_event() {
    let start = spoken("tts_start", &json!({"format": "mp3"})) + &spoken("tts_data", &json!({"audioChunk": "QUJD"}));
    let whole = start.clone() + &spoken("tts_end", &json!({}));
    let failed = |words: &str| spoken("tts_error", &json!({"error": words}));
    for (ending, sent, expected, is_cut) in [
        ("done", whole.clone(), whole, false),
        ("error_event", failed("connect ECONNREFUSED 10.1.2.3:8080"), failed("connect ECONNREFUSED [address]"), false),
        ("truncated", start.clone(), start + &failed("The answer broke off."), true),
    ] {
        let upstream = Upstream::start(move |_, reply| {
            reply.stream_head();
            reply.chunk(&sent);
            if is_cut {
                reply.cut();
            } else {
                reply.finish();
            }
        });
        let gateway = gateway(&upstream, PUBLIC);
        let speech = json!({"chatflowId": "support", "chatId": "mine", "chatMessageId": MESSAGE, "text": "hello"});
        let answer = visit(&gateway, "POST", "text-to-speech/generate", &speech.to_string());
        assert_eq!((answer.status, answer.text()), (200, expected));
        assert_eq!(gateway.log_line(|line| line["route"] == "text-to-speech")["end"], ending);
    }
}
