use super::*;
use crate::engine::testing::{answer, server, within};
use crate::telemetry::metrics::Metrics;

#[test]
fn addresses_are_split_and_joined() {
    assert_eq!(split("https://a.b:1/x?y#z"), Some(("https://a.b:1", "/x?y".to_owned())));
    assert_eq!(split("nothing"), None);
    let joined = |location: &str| joined("https://a.b", "/x/y?z", location);
    assert_eq!(joined("https://c/"), "https://c/");
    assert_eq!(joined("//c/d"), "https://c/d");
    assert_eq!(joined("/d"), "https://a.b/d");
    assert_eq!(joined("d"), "https://a.b/x/d");
    assert_eq!(joined("/d?back=https://c/"), "https://a.b/d?back=https://c/");
}

#[test]
fn no_key_goes_to_another_server() {
    let (other, received) = server(&[&answer("200 OK", "", "{}")]);
    let (asked, _) = server(&[&answer("302 Found", &format!("location: {other}/x\r\n"), "")]);
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let fields = json!([["X-API-Key", "K"], ["Authorization", "K"], ["x-goog-api-key", "K"], ["Accept", "a/b"]]);
    let head = json!({ "url": format!("{asked}/"), "method": "GET", "headers": fields }).to_string();
    let fetched = within(&json!({ "question": "q" }), async |run| {
        fetched(&targets, &head, Vec::new(), 1000, run).await.map(|(head, _)| head)
    });
    assert!(fetched.unwrap().contains("\"redirected\":true"));
    let told = received.recv().unwrap().to_lowercase();
    assert!(told.starts_with("get /x ") && told.contains("accept: a/b") && !told.contains(": k\r\n"), "{told}");
}

/// Two lengths, or two hosts, and two servers on the way may see two requests.
#[test]
fn nobody_who_says_what_is_sent_says_how_it_is_framed() {
    let (origin, received) = server(&[&answer("200 OK", "", "{}")]);
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let fields = json!([
        ["Host", "x"],
        ["X-A", "1"],
        ["Transfer-Encoding", "chunked"],
        ["accept-encoding", "gzip"],
        ["Content-Length", "0"],
        ["Connection", "x-a"],
        ["Expect", "100-continue"],
        ["TE", "trailers"]
    ]);
    let head = json!({ "url": format!("{origin}/"), "method": "POST", "headers": fields }).to_string();
    let fetched = within(&json!({ "question": "q" }), async |run| {
        fetched(&targets, &head, b"{}".to_vec(), 1000, run).await.map(|(head, _)| head)
    });
    assert!(fetched.is_ok());
    let told = received.recv().unwrap().to_lowercase();
    let mut lines: Vec<&str> = told.split("\r\n\r\n").next().unwrap().split("\r\n").skip(1).collect();
    lines.retain(|line| !line.starts_with("user-agent: "));
    let host = format!("host: {}", origin.strip_prefix("http://").unwrap());
    lines.sort_unstable();
    assert_eq!(lines, ["accept-encoding: identity", "content-length: 2", &host, "x-a: 1"], "{told}");
}

#[test]
fn what_is_no_field_is_refused() {
    assert!(read(vec![("x\r\ny".to_owned(), "1".to_owned())]).is_err());
    assert!(read(vec![("x".to_owned(), "1\r\ny: 2".to_owned())]).is_err());
}
