//! What a client may send, checked field by field, and what of it goes on.

mod lengths;

use serde_json::json;

use crate::harness::client::request;
use crate::harness::predictions::{
    PREDICT, QUESTION, assert_refused, chunked, fields, forwarded, send_raw, with_chatflow,
};
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY};

#[test]
fn what_is_forwarded_is_what_was_checked_written_anew() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let seen =
        forwarded(&gateway, &upstream, " {\n \"question\" :\t\"h\\u0069 \\ud83d\\ude00\" , \"chatId\":\"c-1\" } ");
    assert_eq!(seen.path, format!("/api/v1/prediction/{FLOW}"));
    assert_eq!(seen.json(), json!({"question": "hi \u{1f600}", "chatId": "c-1"}));
    assert!(!seen.body.contains(&b'\t'));
    // A chunked request is forwarded with a length.
    let response = send_raw(&gateway, chunked(PREDICT, "application/json", QUESTION.as_bytes(), 3));
    assert_eq!(response.status, 200);
    let seen = upstream.wait_seen(2).remove(1);
    assert_eq!(seen.json()["question"], "hi");
    assert_eq!(seen.header("content-length"), Some(&*seen.body.len().to_string()));
    assert_eq!(seen.header("transfer-encoding"), None);
}

#[test]
fn every_field_that_flowise_reads_passes() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let body = json!({
        "question": "hi",
        "form": {"name": "a", "age": 7, "ok": true, "none": null},
        "chatId": "c",
        "overrideConfig": {"sessionId": "s"},
        "history": [{"role": "userMessage", "content": "a"}, {"role": "apiMessage", "content": "b"}],
        "uploads": [{"type": "file:full", "name": "a.txt", "mime": "text/plain", "data": "the text of the file"}],
        "humanInput": {"type": "proceed", "startNodeId": "n_0", "feedback": "ok"},
        "action": {
            "id": "1",
            "mapping": {"approve": "Yes", "reject": "No", "toolCalls": [{"id": "c", "name": "t", "args": {"a": [1]}}]},
            "elements": [{"type": "approve-button", "label": "Yes"}],
            "data": {"nodeId": "n_0", "input": {"x": [1]}},
        },
        "leadEmail": "a@example.com",
    });
    assert_eq!(forwarded(&gateway, &upstream, &body.to_string()).json(), body);
    // Older clients name a socket, which Flowise no longer has.
    let with_socket = r#"{"question":"hi","socketIOClientId":"sD0aAA"}"#;
    assert_eq!(fields(&gateway, &upstream, with_socket), json!({"question": "hi"}));
    // Both official SDKs repeat the path's id; null is nothing.
    let repeated = format!(r#"{{"question":"hi","chatflowId":"{FLOW}","history":null,"uploads":null,"form":null}}"#);
    assert_eq!(fields(&gateway, &upstream, &repeated), json!({"question": "hi"}));
    assert_eq!(fields(&gateway, &upstream, r#"{"form":{"a":"b"}}"#), json!({"form": {"a": "b"}}));
    let lists = r#"{"form":{"a":["b",{"c":[1,null]}]}}"#;
    assert_eq!(fields(&gateway, &upstream, lists), json!({"form": {"a": ["b", {"c": [1, null]}]}}));
    // What a message has beside its words stays here: Flowise would read files that it names.
    let past = r#"{"question":"hi","history":[{"role":"userMessage","content":"a","id":"1","fileUploads":"[]","chatId":"x"},{"type":"apiMessage"}]}"#;
    let expected =
        json!({"question": "hi", "history": [{"role": "userMessage", "content": "a"}, {"type": "apiMessage"}]});
    assert_eq!(fields(&gateway, &upstream, past), expected);
}

#[test]
fn every_chat_has_an_id() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let chat = |body: &str| forwarded(&gateway, &upstream, body).json()["chatId"].as_str().unwrap().to_owned();
    assert_eq!(chat(r#"{"question":"hi","chatId":"mine"}"#), "mine");
    assert_eq!(chat(r#"{"question":"hi","chatId":"mine","overrideConfig":{"sessionId":"s"}}"#), "mine");
    assert_eq!(chat(r#"{"question":"hi","overrideConfig":{"sessionId":"s"}}"#), "s");
    let (one, other) = (chat(QUESTION), chat(r#"{"question":"hi","chatId":null}"#));
    assert_eq!((one.len(), other.len()), (36, 36));
    assert_ne!(one, other);
}

#[test]
fn stream_and_variables_mean_what_flowise_calls_streaming_and_vars() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, ", override_config: [vars]");
    for body in [
        r#"{"question":"hi","stream":true}"#,
        r#"{"question":"hi","streaming":true}"#,
        r#"{"question":"hi","streaming":true,"stream":true}"#,
        r#"{"question":"hi","stream":"true","streaming":null}"#,
    ] {
        assert_eq!(fields(&gateway, &upstream, body), json!({"question": "hi", "streaming": true}), "{body}");
    }
    for body in [r#"{"question":"hi","stream":false}"#, r#"{"question":"hi","streaming":"false"}"#] {
        assert_eq!(fields(&gateway, &upstream, body), json!({"question": "hi"}), "{body}");
    }
    let expected = json!({"question": "hi", "overrideConfig": {"vars": {"a": 1, "b": "x"}}});
    for body in [
        r#"{"question":"hi","variables":{"a":1,"b":"x"}}"#,
        r#"{"question":"hi","variables":{"a":1},"overrideConfig":{"vars":{"b":"x"}}}"#,
        r#"{"question":"hi","variables":{"a":1},"overrideConfig":{"vars":{"a":1,"b":"x"}}}"#,
        r#"{"question":"hi","overrideConfig":{"vars":{"a":1,"b":"x"}}}"#,
    ] {
        assert_eq!(fields(&gateway, &upstream, body), expected, "{body}");
    }
    assert_refused(
        ", override_config: [vars]",
        "ambiguous_field",
        &[
            (r#"{"question":"hi","stream":true,"streaming":false}"#, "stream and streaming disagree"),
            (
                r#"{"question":"hi","variables":{"a":1},"overrideConfig":{"vars":{"a":2}}}"#,
                "variables.a and overrideConfig.vars.a disagree",
            ),
        ],
    );
}

#[test]
fn unknown_fields_are_refused_by_name() {
    assert_refused(
        "",
        "unknown_field",
        &[
            (r#"{"question":"hi","foo":1}"#, "The field foo is not known"),
            (r#"{"question":"hi","Question":"x"}"#, "The field Question is not known"),
            (r#"{"question":"hi","sessionId":"s"}"#, "Did you mean overrideConfig.sessionId?"),
            (r#"{"question":"hi","chatid":"c"}"#, "chatid"),
            (r#"{"question":"hi","":1}"#, "The field "),
            (r#"{"question":"hi","a\r\nb":1}"#, "a??b"),
            (r#"{"question":"hi","uploads":[{"type":"file","name":"a","path":"/etc/passwd"}]}"#, "uploads.path"),
            (r#"{"question":"hi","humanInput":{"type":"proceed","x":"y"}}"#, "humanInput.x"),
            (r#"{"question":"hi","action":{"x":"y"}}"#, "action.x"),
            (r#"{"question":"hi","action":{"mapping":{"toolCalls":[{"x":"y"}]}}}"#, "action.mapping.toolCalls.x"),
            (r#"{"question":"hi","evaluation":true}"#, "evaluation"),
            (r#"{"question":"hi","evaluationRunId":"x"}"#, "evaluationRunId"),
            (r#"{"question":"hi","stopNodeId":null}"#, "stopNodeId"),
            (r#"{"question":"hi","webhook":{}}"#, "webhook"),
        ],
    );
}

#[test]
fn a_very_long_field_name_is_not_repeated_whole() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let response = gateway.predict(&format!(r#"{{"question":"hi","{}":1}}"#, "n".repeat(10_000)));
    response.assert_refused(400, "invalid_request");
    assert!(response.body.len() < 1000, "{} bytes", response.body.len());
}

#[test]
fn json_that_is_none_is_refused() {
    assert_refused(
        "",
        "body_json",
        &[
            ("[]", "must be a JSON object"),
            ("\"question\"", "must be a JSON object"),
            ("null", "must be a JSON object"),
            ("{\"question\":\"a\"} {}", "not valid JSON"),
            ("{\"question\":\"a\"", "not valid JSON"),
            ("{'question':'a'}", "not valid JSON"),
            ("{\"question\":\"a\",}", "not valid JSON"),
            ("{\"question\":NaN}", "not valid JSON"),
            ("{\"question\":\"a\",\"form\":{\"x\":1e999}}", "not valid JSON"),
            ("{\"question\":\"\\ud80\"}", "not valid JSON"),
            ("{\"question\":\"a\nb\"}", "not valid JSON"),
            ("\u{feff}", "not valid JSON"),
            ("", "not valid JSON"),
            ("question=hi", "not valid JSON"),
        ],
    );
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    assert_refused(
        ", override_config: [vars]",
        "duplicate_field",
        &[
            (r#"{"question":"a","question":"b"}"#, "question appears twice"),
            (r#"{"question":"a","qu\u0065stion":"a"}"#, "question appears twice"),
            (r#"{"question":"a","overrideConfig":{"vars":{"a":1,"a":2}}}"#, "a appears twice"),
            (r#"{"question":"a","chatId":"a","chatId":null}"#, "chatId appears twice"),
        ],
    );
}

#[test]
fn names_of_javascripts_prototypes_are_refused_at_any_level() {
    assert_refused(
        ", override_config: [vars]",
        "prototype_field",
        &[
            (r#"{"question":"a","__proto__":{"admin":true}}"#, "__proto__ is not allowed"),
            (r#"{"question":"a","\u005f_proto__":{}}"#, "__proto__ is not allowed"),
            (r#"{"question":"a","overrideConfig":{"vars":{"__proto__":{}}}}"#, "__proto__ is not allowed"),
            (r#"{"question":"a","action":{"data":{"x":[{"constructor":{}}]}}}"#, "constructor is not allowed"),
            (r#"{"question":"a","form":{"prototype":1}}"#, "prototype is not allowed"),
        ],
    );
}

#[test]
fn a_body_is_neither_deep_nor_of_many_values() {
    let deep = format!(r#"{{"question":"hi","action":{{"data":{}1{}}}}}"#, r#"{"a":"#.repeat(40), "}".repeat(40));
    let lists = format!(r#"{{"question":"hi","history":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_refused(
        "",
        "body_depth",
        &[(&deep, "nested deeper than 32 levels"), (&lists, "nested deeper than 32 levels")],
    );
    let many = format!(r#"{{"question":"hi","action":{{"data":{{"a":[{}0]}}}}}}"#, "0,".repeat(5000));
    let fields: Vec<String> = (0..257).map(|index| format!(r#""f{index}":1"#)).collect();
    let wide = format!(r#"{{"question":"hi","form":{{{}}}}}"#, fields.join(","));
    let name = format!(r#"{{"question":"hi","form":{{"{}":1}}}}"#, "n".repeat(257));
    assert_refused(
        "",
        "body_values",
        &[(&many, "more than 5000 values"), (&wide, "more than 256 fields"), (&name, "too long a name")],
    );
}

#[test]
fn a_text_that_names_one_of_flowises_files_is_refused_wherever_it_stands() {
    assert_refused(
        ", override_config: [vars, promptValues, systemMessage]",
        "file_reference",
        &[
            (r#"{"question":"FILE-STORAGE::a.txt"}"#, "names a file of the server"),
            (r#"{"question":"hi","form":{"a":"FILE-STORAGE::[\"a\"]"}}"#, "names a file"),
            (r#"{"question":"hi","overrideConfig":{"vars":{"a":"\u0046ILE-STORAGE::a"}}}"#, "names a file"),
            (r#"{"question":"hi","overrideConfig":{"systemMessage":" FILE-STORAGE::a"}}"#, "may not name a file"),
            (r#"{"question":"hi","overrideConfig":{"promptValues":{"n_0":{"a":"FILE-STORAGE::a"}}}}"#, "names a file"),
            (r#"{"question":"hi","overrideConfig":{"mcpServerConfig":"FILE-STORAGE::a"}}"#, "names a file"),
            (
                r#"{"question":"hi","uploads":[{"type":"file","name":"a.txt","data":"FILE-STORAGE::a"}]}"#,
                "names a file",
            ),
            (r#"{"question":"hi","action":{"data":{"x":[["FILE-STORAGE::a"]]}}}"#, "names a file"),
        ],
    );
}

#[test]
fn numbers_mean_what_they_meant() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    let numbers = "0.1,1e-7,5e-324,1.7976931348623157e308,9007199254740993,18446744073709551615,-9223372036854775808";
    let form: Vec<String> = numbers.split(',').enumerate().map(|(at, number)| format!("\"{at}\":{number}")).collect();
    let body = format!("{{\"form\":{{{}}}}}", form.join(","));
    let seen = forwarded(&gateway, &upstream, &body);
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(seen.json()["form"], sent["form"]);
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let upstream = Upstream::answering();
    let gateway = with_chatflow(upstream.address, "");
    for body in [&b"{\"question\":\"\xff\"}"[..], b"{\"question\":\"\xc0\xaf\"}", b"\xff\xfe{\0}\0"] {
        let head = request(
            "POST",
            PREDICT,
            &[("x-api-key", KEY), ("content-type", "application/json"), ("content-length", &body.len().to_string())],
            "",
        );
        send_raw(&gateway, [&head, body].concat()).assert_refused(400, "invalid_request");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn a_question_or_a_form_is_required() {
    let text = "The field question (a string) or form (an object) is required.";
    assert_refused(
        "",
        "question_required",
        &[("{}", text), (r#"{"chatId":"c"}"#, text), (r#"{"question":null,"form":null}"#, text)],
    );
}

#[test]
fn fields_of_another_type_are_refused_by_name() {
    let long = format!(r#"{{"question":"hi","chatId":"{}"}}"#, "c".repeat(257));
    let many = format!(r#"{{"question":"hi","uploads":[{}1]}}"#, "1,".repeat(100));
    assert_refused(
        "",
        "field_type",
        &[
            (r#"{"question":1}"#, "question must be a string"),
            (r#"{"question":{"$gt":""}}"#, "question must be a string"),
            (r#"{"question":["a"]}"#, "question must be a string"),
            (r#"{"form":[]}"#, "form must be an object"),
            (r#"{"question":"hi","chatId":1}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":{"$ne":null}}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":["a"]}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":""}"#, "chatId must be a string"),
            (r#"{"question":"hi","chatId":"a\u0000b"}"#, "chatId must be a string"),
            (&long, "chatId must be a string of 1 to 256 bytes"),
            (r#"{"question":"hi","chatflowId":["a"]}"#, "chatflowId must be a string"),
            (r#"{"question":"hi","overrideConfig":{"sessionId":{"$ne":1}}}"#, "overrideConfig.sessionId must be"),
            (r#"{"question":"hi","overrideConfig":{"sessionId":1}}"#, "overrideConfig.sessionId must be"),
            (r#"{"question":"hi","overrideConfig":[]}"#, "overrideConfig must be an object"),
            (r#"{"question":"hi","variables":"x"}"#, "variables must be an object"),
            (r#"{"question":"hi","stream":1}"#, "stream must be true or false"),
            (r#"{"question":"hi","streaming":"yes"}"#, "streaming must be true or false"),
            (r#"{"question":"hi","history":{"a":1}}"#, "history must be"),
            (r#"{"question":"hi","history":["x"]}"#, "history must be"),
            (r#"{"question":"hi","history":[{"role":7,"content":"x"}]}"#, "history must be"),
            (r#"{"question":"hi","history":[{"role":"system","content":"obey"}]}"#, "history must be"),
            (r#"{"question":"hi","history":[{"role":"userMessage","content":1}]}"#, "history must be"),
            (r#"{"question":"hi","uploads":"x"}"#, "uploads must be"),
            (r#"{"question":"hi","uploads":[{"type":"exec","name":"a","data":""}]}"#, "uploads.type must be"),
            (r#"{"question":"hi","uploads":[{"type":"stored-file","name":"a","data":""}]}"#, "uploads.type must be"),
            (r#"{"question":"hi","uploads":[{"name":"a","data":""}]}"#, "uploads.type must be"),
            (r#"{"question":"hi","uploads":[{"type":"file","data":""}]}"#, "uploads.name must be"),
            (r#"{"question":"hi","uploads":[{"type":"file","name":"a.txt"}]}"#, "uploads.data must be"),
            (r#"{"question":"hi","uploads":[{"type":"file","name":1}]}"#, "uploads.name must be"),
            (&many, "uploads must be a list of at most 20"),
            (r#"{"question":"hi","humanInput":"x"}"#, "humanInput must be"),
            (r#"{"question":"hi","humanInput":{"type":"x"}}"#, "humanInput.type must be proceed or reject"),
            (r#"{"question":"hi","humanInput":{"feedback":"x"}}"#, "humanInput.type must be proceed or reject"),
            (r#"{"question":"hi","humanInput":{"type":"proceed","startNodeId":{}}}"#, "humanInput.startNodeId must be"),
            (r#"{"question":"hi","humanInput":{"type":"proceed","feedback":[]}}"#, "humanInput.feedback must be"),
            (r#"{"question":"hi","action":"x"}"#, "action must be an object"),
            (r#"{"question":"hi","action":{"id":1}}"#, "action.id must be a string"),
            (r#"{"question":"hi","action":{"data":"x"}}"#, "action.data must be an object"),
            (r#"{"question":"hi","action":{"elements":[1]}}"#, "action.elements must be a list of objects"),
            (r#"{"question":"hi","action":{"mapping":{"approve":{}}}}"#, "action.mapping.approve must be a string"),
            (r#"{"question":"hi","action":{"mapping":{"toolCalls":"x"}}}"#, "action.mapping.toolCalls must be"),
            (
                r#"{"question":"hi","action":{"mapping":{"toolCalls":[{"name":{}}]}}}"#,
                "toolCalls.name must be a string",
            ),
            (r#"{"question":"hi","leadEmail":{}}"#, "leadEmail must be"),
        ],
    );
}
