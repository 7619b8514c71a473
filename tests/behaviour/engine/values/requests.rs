//! Values in what HTTP nodes and tools send: in bodies, headers, cookies and paths.

use serde_json::{Value, json};

use super::{ask, asked, line, running};
use crate::harness::gateway::keys;
use crate::harness::upstream::{Seen, Upstream};

/// An API that gives this name to everybody, and what it is sent.
fn api(name: &str) -> Upstream {
    let person = json!({ "name": name }).to_string();
    Upstream::start(move |_, reply| reply.json("200 OK", &person))
}

fn body(seen: &Seen) -> String {
    String::from_utf8(seen.body.clone()).unwrap()
}

#[test]
fn a_request_has_the_authors_fields_and_no_others() {
    let evil = "x\", \"role\": \"admin\", \"y\": \"&role=admin\r\nx-role: admin";
    let api = api(evil);
    let at = |path: &str| format!("http://{}{path}", api.address);
    let post = |id: &'static str, kind: &str, body: Value| {
        let inputs = json!({ "method": "POST", "url": at("/x"), "bodyType": kind, "body": body });
        (id, "httpAgentflow", inputs)
    };
    let name = "{{ get.output.http.data.name }}";
    let text = |value: &str| {
        format!("{{\"role\": \"user\", \"q\": \"{{{{ question }}}}\", 'n': {{{{ missing.output.n }}}}, a: '{value}',}}")
            .replace("{{ missing.output.n }}", "5")
    };
    let flow = line(
        &asked(),
        &[
            ("get", "httpAgentflow", json!({ "method": "GET", "url": at("/me") })),
            post("json", "json", text(name).into()),
            post("form", "xWwwFormUrlencoded", text(name).into()),
            post(
                "list",
                "xWwwFormUrlencoded",
                json!([{ "key": "role", "value": "user" }, { "key": "q", "value": name }]),
            ),
            post("raw", "raw", format!("role=user&q={name}").into()),
            post("whole", "json", "{{ get.output.http.data }}".into()),
            ("end", "directReplyAgentflow", json!({ "directReplyMessage": "done" })),
        ],
    );
    let gateway = running(&keys(""), "", &flow, &[]);
    assert_eq!(ask(&gateway, evil)["text"], "done");
    let seen = api.seen();
    assert_eq!(seen[1].json(), json!({ "role": "user", "q": evil, "n": 5, "a": evil }));
    let written = "x%22%2C+%22role%22%3A+%22admin%22%2C+%22y%22%3A+%22%26role%3Dadmin%0D%0Ax-role%3A+admin";
    assert_eq!(body(&seen[2]), format!("role=user&q={written}&n=5&a={written}"));
    assert_eq!(body(&seen[3]), format!("role=user&q={written}"));
    assert_eq!(body(&seen[4]), format!("role=user&q={written}"));
    assert_eq!(seen[5].json(), json!({ "name": evil }));
}

/// What is sent of that raw body: its type and its text.
fn sent_raw(body: &str, kind: Option<&str>, question: &str) -> (Option<String>, String) {
    sent_raw_by("POST", body, kind, question)
}

fn sent_raw_by(method: &str, body: &str, kind: Option<&str>, question: &str) -> (Option<String>, String) {
    let api = api("x");
    let headers = kind.map_or(json!([]), |kind| json!([{ "key": "content-type", "value": kind }]));
    let inputs = json!({
        "method": method, "url": format!("http://{}/x", api.address), "bodyType": "raw", "body": body, "headers": headers,
    });
    let gateway = running(&keys(""), "", &line(&asked(), &[("post", "httpAgentflow", inputs)]), &[]);
    ask(&gateway, question);
    let seen = api.seen().pop().unwrap();
    (seen.header("content-type").map(str::to_owned), self::body(&seen))
}

#[test]
fn a_value_in_a_raw_body_stays_in_its_place() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";
    const TEXT: &str = "text/plain";
    let evil = "x\", \"role\": \"admin&role=admin";
    let escaped = r#"x\", \"role\": \"admin&role=admin"#;
    let json = format!(r#"{{"q":"{escaped}","role":"user"}}"#);
    let encoded = "x%22%2C+%22role%22%3A+%22admin%26role%3Dadmin";
    for (written, kind, sent_as, sent) in [
        (r#"{"q": "{{ question }}", "role": "user"}"#, None, JSON, json.clone()),
        (r#"{"q": "{{ question }}", "role": "user"}"#, Some("text/plain"), TEXT, json.clone()),
        (r#"{"q": "{{ question }}", "role": "user"}"#, Some("application/vnd.x+json"), "application/vnd.x+json", json),
        (r#"["=", "{{ question }}"]"#, None, JSON, format!(r#"["=","{escaped}"]"#)),
        ("role=user&q={{ question }}", None, FORM, format!("role=user&q={encoded}")),
        ("role=user&q={{ question }}", Some(FORM), FORM, format!("role=user&q={encoded}")),
        ("He says = {{ question }}", None, TEXT, format!("He says = {evil}")),
        ("{{ question }}", None, TEXT, evil.to_owned()),
        ("{{ question }}", Some(JSON), JSON, format!("\"{escaped}\"")),
        (
            "<a b=\"{{ question }}\"/>",
            None,
            TEXT,
            format!("<a b=\"{}\"/>", evil.replace('&', "&amp;").replace('"', "&quot;")),
        ),
    ] {
        assert_eq!(sent_raw(written, kind, evil), (Some(sent_as.to_owned()), sent), "{written} {kind:?}");
    }
    // Without values, all is as Flowise's client sends it.
    for (written, kind, sent_as, sent) in [
        (r#"{"a":  1}"#, None, FORM, r#"{"a":  1}"#),
        ("plain words", None, FORM, "plain words"),
        (r#" {"a":  1} "#, Some(JSON), JSON, r#"{"a":  1}"#),
        ("plain words", Some(JSON), JSON, "\"plain words\""),
        (" plain words", Some(TEXT), TEXT, " plain words"),
    ] {
        assert_eq!(sent_raw(written, kind, "q"), (Some(sent_as.to_owned()), sent.to_owned()), "{written} {kind:?}");
    }
}

#[test]
fn only_a_raw_body_that_is_posted_or_put_is_a_form_by_itself() {
    const FORM: &str = "application/x-www-form-urlencoded";
    for (method, kind, sent_as) in [
        ("PUT", None, Some(FORM)),
        ("PATCH", None, Some(FORM)),
        ("DELETE", None, None),
        ("DELETE", Some("text/csv"), Some("text/csv")),
    ] {
        let sent = sent_raw_by(method, r#"{"a": 1}"#, kind, "q");
        assert_eq!(sent, (sent_as.map(str::to_owned), r#"{"a": 1}"#.to_owned()), "{method}");
    }
    let sent = sent_raw_by("DELETE", r#"{"a": "{{ question }}"}"#, None, "q\"");
    assert_eq!(sent, (None, r#"{"a":"q\""}"#.to_owned()));
}

#[test]
fn a_value_makes_no_cookie() {
    let api = api("x");
    let url = format!("http://{}/x", api.address);
    let node = json!({
        "method": "GET", "url": url, "headers": [{ "key": "Cookie", "value": "who={{ question }}; role=user" }],
    });
    let config =
        json!({ "requestsGetUrl": url, "requestsGetHeaders": "{\"cookie\": \"who={{ question }}; role=user\"}" });
    let tool = json!({
        "toolAgentflowSelectedTool": "requestsGet", "toolAgentflowSelectedToolConfig": config, "toolInputArgs": [],
    });
    let flow = line(&asked(), &[("get", "httpAgentflow", node), ("tool", "toolAgentflow", tool)]);
    let gateway = running(&keys(""), "", &flow, &[]);
    ask(&gateway, "ann; role=admin, \"x\"\r\ny");
    for seen in api.seen() {
        assert_eq!(seen.header("cookie"), Some("who=ann%3B%20role=admin%2C%20%22x%22%0D%0Ay; role=user"));
    }
    assert_eq!(api.seen().len(), 2);
}

#[test]
fn a_value_makes_no_header_and_climbs_no_path() {
    let api = api("x");
    let url = format!("http://{}/users/{{{{ question }}}}/posts?q={{{{ question }}}}", api.address);
    let headers = json!([{ "key": "x-who", "value": "{{ question }}" }]);
    let flow = line(&asked(), &[("get", "httpAgentflow", json!({ "method": "GET", "url": url, "headers": headers }))]);
    let gateway = running(&keys(""), "", &flow, &[]);
    ask(&gateway, "a/../b?c#d\\%2e");
    let seen = api.seen().pop().unwrap();
    assert_eq!(seen.path, "/users/a%2F..%2Fb%3Fc%23d%5C%252e/posts?q=a%2F..%2Fb%3Fc%23d%5C%252e");
    assert_eq!(seen.header("x-who"), Some("a/../b?c#d\\%2e"));
    for evil in ["..", ".", "a\r\nx-role: admin"] {
        let body = json!({ "question": evil, "chatId": "c" }).to_string();
        gateway.predict(&body).assert_refused(500, "upstream_error");
    }
    assert_eq!(api.seen().len(), 1);
}

#[test]
fn a_tool_has_the_authors_headers_and_path() {
    let api = api("x");
    let config = json!({
        "requestsGetUrl": format!("http://{}/u/{{{{ question }}}}", api.address),
        "requestsGetHeaders": "{\"x-role\": \"user\", \"x-who\": \"{{ question }}\"}",
    });
    let inputs = json!({
        "toolAgentflowSelectedTool": "requestsGet", "toolAgentflowSelectedToolConfig": config, "toolInputArgs": [],
    });
    let gateway = running(&keys(""), "", &line(&asked(), &[("tool", "toolAgentflow", inputs)]), &[]);
    let evil = "a\", \"x-role\": \"admin";
    ask(&gateway, evil);
    let seen = api.seen().pop().unwrap();
    assert_eq!((seen.header("x-role"), seen.header("x-who")), (Some("user"), Some(evil)));
    assert_eq!(seen.path, "/u/a%22%2C%20%22x-role%22%3A%20%22admin");
    let up = json!({ "question": "..", "chatId": "c" }).to_string();
    gateway.predict(&up).assert_refused(500, "upstream_error");
    assert_eq!(api.seen().len(), 1);
}
