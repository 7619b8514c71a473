use super::*;

fn passed(fields: &[(&'static str, &'static str)]) -> Vec<String> {
    let mut from = HeaderMap::new();
    for (name, value) in fields {
        from.append(*name, HeaderValue::from_static(value));
    }
    let mut passed = Vec::new();
    let more = [HeaderName::from_static("x-tenant")];
    for_each_passing(&from, &more, |name, value| passed.push(format!("{name}: {}", value.to_str().unwrap())));
    passed
}

#[test]
fn only_what_is_listed_passes() {
    let passed = passed(&[
        ("accept", "*/*"),
        ("accept-language", "de"),
        ("user-agent", "app"),
        ("traceparent", "00-1-2-01"),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
        ("x-tenant", "t"),
        ("x-tenants", "t"),
        ("x-request-from", "internal"),
        ("authorization", "Bearer x"),
        ("x-anything", "1"),
    ]);
    let expected = [
        "accept: */*",
        "accept-language: de",
        "user-agent: app",
        "traceparent: 00-1-2-01",
        "tracestate: a=1",
        "tracestate: b=2",
        "x-tenant: t",
    ];
    assert_eq!(passed, expected);
}

#[test]
fn nominated_fields_of_every_connection_line_are_dropped() {
    let passed = passed(&[
        ("connection", "close, X-Tenant"),
        ("connection", "user-agent"),
        ("x-tenant", "1"),
        ("user-agent", "2"),
        ("accept", "3"),
    ]);
    assert_eq!(passed, ["accept: 3"]);
}

#[test]
fn what_names_the_software_behind_does_not_come_back() {
    for name in ["server", "x-powered-by", "access-control-allow-origin", "set-cookie", "keep-alive"] {
        assert!(!passes_downstream(&HeaderName::from_static(name)), "{name}");
    }
    assert!(passes_downstream(&HeaderName::from_static("content-type")));
}
