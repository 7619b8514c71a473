use proptest::prelude::*;

use super::super::events::{END, record};
use super::super::session::Pair;
use super::*;

const UPSTREAM: &str = "ab12cd34-0000-8000-8000-ab12cd34ab12";

fn ids() -> ChatIds {
    ChatIds { chat: Pair { client: "my \"chat\"".into(), upstream: UPSTREAM.into() }, is_new: false, session: None }
}

fn view(names: Option<&[&str]>, shape: ResponseShape) -> View {
    let allowed = names.map(|names| Allowed::Only(names.iter().map(|name| (*name).into()).collect()));
    View { renames: Rename::of(&ids()), allowed, shape }
}

fn metadata() -> String {
    record("metadata", &serde_json::json!({ "chatId": UPSTREAM, "chatMessageId": "m1", "memoryType": "secret" }))
}

fn stream() -> String {
    let mut text = String::from(":heartbeat\n\n");
    text.push_str(&record("token", &"größer".into()));
    text.push_str(&record("agentFlowExecutedData", &serde_json::json!([{ "prompt": "secret", "id": UPSTREAM }])));
    text.push_str(&record("usedTools", &"secret".repeat(20_000).into()));
    text.push_str(&record("token", &UPSTREAM[..20].into()));
    text.push_str("message:\ndata:{\"data\":\"secret\",\"event\":\"nextAgent\"}\n\n");
    text.push_str("event: token\ndata: secret\n\nid: secret\n\n");
    text.push_str(&record(
        "sourceDocuments",
        &serde_json::json!([
            { "pageContent": "x", "metadata": { "source": "/root/.flowise/a.pdf" } },
            { "pageContent": "y", "metadata": { "title": "Home", "url": "https://example.com/" } },
            { "pageContent": "z", "metadata": { "source": "/root/.flowise/a.pdf" } },
        ]),
    ));
    text.push_str(&metadata());
    text.push_str(END);
    text
}

fn shown(view: View, text: &str, cuts: &[usize]) -> String {
    let mut view = view.into_stream();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    let mut shown = Vec::new();
    for pair in cuts.windows(2) {
        shown.extend_from_slice(&view.take(Bytes::copy_from_slice(&text.as_bytes()[pair[0]..pair[1]])));
    }
    shown.extend_from_slice(&view.end());
    String::from_utf8(shown).unwrap()
}

#[test]
fn only_listed_events_pass_and_these_byte_for_byte() {
    let expected = [
        ":heartbeat\n\n",
        &record("token", &"größer".into()),
        &record("token", &UPSTREAM[..20].into()),
        &record("metadata", &serde_json::json!({ "chatId": "my \"chat\"", "chatMessageId": "m1" })),
        END,
    ];
    let shown = shown(view(Some(&["token", "metadata"]), ResponseShape::Flowise), &stream(), &[]);
    assert_eq!(shown, expected.concat());
    assert!(!shown.contains("secret"));
}

#[test]
fn the_widget_sees_which_steps_there_were_and_nothing_in_them() {
    let step = |more: serde_json::Value| {
        let mut step = serde_json::json!({
            "nodeId": "llm_0", "nodeLabel": "Answer", "previousNodeIds": ["start_0"], "status": "FINISHED",
            "data": { "id": "llm_0", "name": "llmAgentflow", "parentNodeId": "it_0", "iterationIndex": 1 },
        });
        step["data"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::json!([step, { "nodeId": "x" }])
    };
    let full = step(serde_json::json!({ "input": { "prompt": "secret".repeat(20_000) }, "output": "secret" }));
    let mut seen = step(serde_json::json!({}));
    seen[1]["data"] = serde_json::json!({});
    let widget = || View { renames: Rename::of(&ids()), allowed: Some(Allowed::Widget), shape: ResponseShape::Flowise };
    let text = record("agentFlowExecutedData", &full) + &record("usageMetadata", &"secret".into()) + END;
    for cuts in [&[][..], &[100, 70_000]] {
        let shown = shown(widget(), &text, cuts);
        assert_eq!(data(&shown, "agentFlowExecutedData"), seen);
        assert!(!shown.contains("secret") && shown.ends_with(END));
    }
    let odd = record("agentFlowExecutedData", &"secret".into()) + END;
    assert_eq!(shown(widget(), &odd, &[]), END);
    let json = serde_json::json!({ "text": "a", "agentFlowExecutedData": full, "executionId": "secret" });
    let json = widget().json(json.to_string().into()).unwrap();
    let expected = serde_json::json!({ "text": "a", "agentFlowExecutedData": seen });
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).unwrap(), expected);
}

#[test]
fn the_widget_sees_the_buttons_of_a_flow_that_waits_and_nothing_that_its_node_was_given() {
    let seen = serde_json::json!({
        "id": "a1",
        "mapping": { "approve": "Proceed", "reject": "Reject" },
        "elements": [{ "type": "agentflowv2-approve-button", "label": "Proceed" }],
        "data": { "nodeId": "agent_0", "nodeLabel": "Agent" },
    });
    let mut full = seen.clone();
    full["data"]["input"] = serde_json::json!({ "messages": [{ "role": "system", "content": "secret" }] });
    full["secret"] = "secret".into();
    let view = || View { renames: Rename::of(&ids()), allowed: Some(Allowed::Widget), shape: ResponseShape::Flowise };
    for sent in [full.clone(), full.to_string().into()] {
        let text = record("action", &sent) + &record("metadata", &serde_json::json!({ "action": sent })) + END;
        let shown = shown(view(), &text, &[]);
        assert_eq!(data(&shown, "action"), seen);
        assert_eq!(data(&shown, "metadata"), serde_json::json!({ "action": seen }));
        let json = serde_json::json!({ "text": "Sure?", "action": sent }).to_string();
        let json: serde_json::Value = serde_json::from_slice(&view().json(json.into()).unwrap()).unwrap();
        assert_eq!(json, serde_json::json!({ "text": "Sure?", "action": seen }));
        assert!(!shown.contains("secret"));
    }
    assert_eq!(shown(view(), &(record("action", &"secret".into()) + END), &[]), END);
}

fn data(stream: &str, event: &str) -> serde_json::Value {
    let mut records = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    records
        .find_map(|line| {
            let mut record: serde_json::Value = serde_json::from_str(line).ok()?;
            (record["event"] == event).then(|| record["data"].take())
        })
        .unwrap_or_default()
}

#[test]
fn a_whole_passing_piece_is_not_copied() {
    let piece = Bytes::from(record("token", &"a".into()));
    let mut view = view(Some(&["token"]), ResponseShape::Flowise).into_stream();
    assert_eq!(view.take(piece.clone()).as_ptr(), piece.as_ptr());
}

#[test]
fn a_passing_record_does_not_wait_for_the_next() {
    let mut view = view(Some(&["token"]), ResponseShape::Flowise).into_stream();
    let (token, hidden) = (record("token", &"a".into()), record("usedTools", &"b".into()));
    let piece = format!("{hidden}{token}{}", &hidden[..20]);
    assert_eq!(view.take(piece.into()), token);
    assert_eq!(view.take(hidden[20..].to_owned().into()), "");
}

#[test]
fn fields_of_json_answers_follow_the_list() {
    let body = format!(
        r#"{{"text":"a","usedTools":[1.0],"chatId":"{UPSTREAM}","agentFlowExecutedData":["secret"],"new":"secret"}}"#
    );
    let shown = view(Some(&["usedTools"]), ResponseShape::Flowise).json(body.into()).unwrap();
    assert_eq!(shown, r#"{"text":"a","usedTools":[1.0],"chatId":"my \"chat\""}"#);
    assert!(view(Some(&[]), ResponseShape::Flowise).json("secret".into()).is_none());
}

#[test]
fn streams_tell_a_message() {
    let shown = shown(view(None, ResponseShape::Message), &stream(), &[]);
    let expected = concat!(
        ": keep-alive\n\n",
        "event: delta\ndata: {\"content\":\"größer\"}\n\n",
        "event: delta\ndata: {\"content\":\"ab12cd34-0000-8000-8\"}\n\n",
        "event: message\ndata: {\"id\":\"m1\",\"role\":\"assistant\",\"content\":\"größerab12cd34-0000-8000-8\",",
        "\"sources\":[{\"title\":\"a.pdf\",\"url\":null},{\"title\":\"Home\",\"url\":\"https://example.com/\"}]}\n\n",
    );
    assert_eq!(shown, expected);
}

#[test]
fn an_error_is_the_end_of_a_message() {
    let text = record("token", &"a".into()) + &record("error", &"no".into()) + END;
    let shown = shown(view(None, ResponseShape::Message), &text, &[]);
    assert!(shown.ends_with("event: error\ndata: {\"error\":\"no\",\"code\":\"upstream_error\"}\n\n"), "{shown}");
}

#[test]
fn sources_are_shown_only_if_they_are_listed() {
    let body = r#"{"json":{"a":1},"chatMessageId":"m","sourceDocuments":[{"metadata":{"title":"t"}}]}"#;
    let message = |names| {
        let shown = view(names, ResponseShape::Message).json(body.into()).unwrap();
        String::from_utf8(shown.to_vec()).unwrap()
    };
    let start = r#"{"id":"m","role":"assistant","content":"{\"a\":1}","sources":"#;
    assert_eq!(message(None), format!("{start}[{{\"title\":\"t\",\"url\":null}}]}}"));
    assert_eq!(message(Some(&["token"])), format!("{start}[]}}"));
}

#[test]
fn ids_are_found_among_dashes_and_beginnings_of_ids() {
    let text = |id: &str| format!("{{\"text\":\"-----{0}{id}{0}-{id}\"}}", &UPSTREAM[..20]);
    let shown = view(None, ResponseShape::Flowise).json(text(UPSTREAM).into()).unwrap();
    assert_eq!(shown, text("my \\\"chat\\\""));
}

/// Looking for an id that is not there behind each one that is would take hours.
#[test]
fn many_ids_are_renamed_in_one_go() {
    let session = "cd34ab12-0000-8000-8000-ab12cd34ab12";
    let pair = Pair { client: "mine".into(), upstream: session.into() };
    let renames = Rename::of(&ChatIds { session: Some(pair), ..ids() });
    let view = View { renames, allowed: Some(Allowed::Only(Arc::default())), shape: ResponseShape::Flowise };
    let text = |chat: &str, session: &str| format!("{{\"text\":\"{}{session} \"}}", format!("{chat} ").repeat(200_000));
    let shown = view.json(text(UPSTREAM, session).into()).unwrap();
    assert!(shown == text("my \\\"chat\\\"", "mine"));
}

#[test]
fn halves_of_characters_and_deep_values_lose_nothing() {
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let body = format!(
        r#"{{"text":"a\ud83d","sourceDocuments":[{{"metadata":{{"title":"t\ud83d","\ud83d":1,"pdf":{deep}}}}}],"n":1e999}}"#
    );
    let told = view(None, ResponseShape::Message).json(body.clone().into()).unwrap();
    let expected = "{\"id\":\"\",\"role\":\"assistant\",\"content\":\"a\u{fffd}\",\"sources\":[{\"title\":\"t\u{fffd}\",\"url\":null}]}";
    assert_eq!(told, expected);
    let listed = view(Some(&["sourceDocuments"]), ResponseShape::Flowise).json(body.clone().into()).unwrap();
    assert_eq!(listed, body.replace(",\"n\":1e999", ""));
    let named = view(Some(&[]), ResponseShape::Flowise).json(r#"{"text":"a","\ud83d":1}"#.into()).unwrap();
    assert_eq!(named, r#"{"text":"a"}"#);

    let text = format!("message:\ndata:{{\"event\":\"token\",\"data\":\"a\\ud83d\"}}\n\n{END}");
    let told = shown(view(None, ResponseShape::Message), &text, &[]);
    assert!(told.contains("\"content\":\"a\u{fffd}\",\"sources\""), "{told}");
    assert_eq!(shown(view(Some(&["token"]), ResponseShape::Flowise), &text, &[]), text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn splits_change_nothing(cuts in prop::collection::vec(any::<usize>(), 0..40)) {
        let text = stream();
        // Where the pieces are small and ids are, as well.
        let near: Vec<usize> = cuts.iter().map(|cut| text.len() - 1 - cut % 700).chain(cuts.iter().copied()).collect();
        for (names, shape) in [
            (None, ResponseShape::Flowise),
            (Some(&["token", "metadata"][..]), ResponseShape::Flowise),
            (Some(&["token", "usedTools", "agentFlowExecutedData"][..]), ResponseShape::Flowise),
            (None, ResponseShape::Message),
        ] {
            let whole = shown(view(names, shape), &text, &[]);
            prop_assert!(!whole.contains(UPSTREAM));
            // Lines may end as HTTP's do.
            let returns = text.replace('\n', "\r\n");
            let far: Vec<usize> = cuts.iter().map(|cut| returns.len() - 1 - cut % 700).chain(cuts.iter().copied()).collect();
            let again = shown(view(names, shape), &returns, &far);
            prop_assert_eq!(again.replace("\r\n", "\n"), whole.clone());
            prop_assert_eq!(&shown(view(names, shape), &text, &near), &whole);
        }
    }
}

#[test]
fn every_event_that_is_told_is_one_of_flowises() {
    for name in EventName::ALL {
        let name = name.as_str();
        assert!(crate::config::FLOWISE_EVENTS.iter().any(|(known, _)| *known == name), "{name}");
    }
}
