//! Attachments as HTTP libraries write them, and files as browsers name them.

use crate::harness::KEY;
use crate::harness::client::{Connection, Response};
use crate::harness::gateway::{Gateway, config};
use crate::harness::predictions::PLENTY;
use crate::harness::upstream::{Seen, Upstream};

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start(|_: &Seen, reply| reply.json("200 OK", "[]"));
    let gateway = Gateway::start(&config(upstream.address, "", "", "", PLENTY));
    (upstream, gateway)
}

/// One part with that head and content.
fn attach(gateway: &Gateway, head: &str, content: &[u8]) -> Response {
    let body = [format!("--theirs\r\n{head}\r\n\r\n").as_bytes(), content, b"\r\n--theirs--\r\n"].concat();
    let mut connection = Connection::open(gateway.http);
    connection.write(format!(
        "POST /api/v1/attachments/support/mine HTTP/1.1\r\nHost: gateway.test\r\nX-API-KEY: {KEY}\r\n\
         Content-Type: multipart/form-data; boundary=theirs\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    connection.write(body);
    connection.read_response().expect("an answer")
}

#[test]
fn ordinary_http_libraries_attach_files() {
    let (upstream, gateway) = start();
    for (client, head, name, media_type) in [
        (
            "OkHttp",
            "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\nContent-Length: 5",
            "a.txt",
            "text/plain",
        ),
        (
            ".NET",
            "Content-Type: text/plain\r\nContent-Disposition: form-data; name=files; filename=\"=?utf-8?B?w7wudHh0?=\"; filename*=utf-8''%C3%BC.txt",
            "ü.txt",
            "text/plain",
        ),
        (
            "Apache HttpClient",
            "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary",
            "a.txt",
            "text/plain",
        ),
        (
            "urllib3 1",
            "Content-Disposition: form-data; name=\"files\"; filename*=utf-8''%C3%BC%20%281%29.txt\r\nContent-Type: text/plain",
            "ü (1).txt",
            "text/plain",
        ),
        (
            "requests",
            "Content-Disposition: form-data; name=\"files\"; filename=\"a.json\"",
            "a.json",
            "application/json",
        ),
        (
            "a browser on Windows with Excel",
            "Content-Disposition: form-data; name=\"files\"; filename=\"a.csv\"\r\nContent-Type: application/vnd.ms-excel",
            "a.csv",
            "text/csv",
        ),
        (
            "curl",
            "Content-Disposition: form-data; name=\"files\"; filename=\"a.md\"\r\nContent-Type: application/octet-stream",
            "a.md",
            "text/markdown",
        ),
    ] {
        let before = upstream.seen().len();
        let response = attach(&gateway, head, b"hello");
        assert_eq!(response.status, 200, "{client}: {}", response.text());
        let sent = String::from_utf8(upstream.seen().remove(before).body).unwrap();
        // One name, and the type by which Flowise knows it.
        let (_, part) = sent.split_once("\r\n").unwrap();
        let expected = format!(
            "Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\nContent-Type: {media_type}\r\n\r\nhello\r\n"
        );
        assert!(part.starts_with(&expected), "{client}: {sent}");
    }
}

#[test]
fn what_windows_calls_unicode_is_text() {
    let (upstream, gateway) = start();
    let head = "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\nContent-Type: text/plain";
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    assert_eq!(attach(&gateway, head, &wide("\u{feff}Grüße 😀\r\n")).status, 200);
    for content in [wide("\u{feff}a\u{1}"), wide("without a mark"), b"\xff\xfe\x00\xdca\x00b\x00".to_vec()] {
        attach(&gateway, head, &content).assert_refused(400, "invalid_request");
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_second_name_hides_no_other_kind() {
    let (upstream, gateway) = start();
    for more in [
        "; filename*=utf-8''a.html",
        "; filename*=utf-8''..%2F..%2Fa.txt",
        "; filename*=utf-8''a%00.txt",
        "; filename*=utf-8''a%22%0D%0Ax.txt",
        "; filename*=x",
        "\r\nContent-Transfer-Encoding: base64",
        "\r\nContent-Transfer-Encoding: quoted-printable",
        "\r\nContent-Type: text/html",
    ] {
        let head = format!("Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"{more}");
        attach(&gateway, &head, b"hello").assert_refused(400, "invalid_request");
    }
    assert!(upstream.seen().is_empty());
}

#[test]
fn files_may_be_called_as_people_call_them() {
    let (upstream, gateway) = start();
    for (name, stored) in [
        ("What?.txt", "What.txt"),
        // By curl, and by browsers.
        ("Say \\\"hi\\\".txt", "Say hi.txt"),
        ("Say %22hi%22.txt", "Say %22hi%22.txt"),
        ("10:30 * | notes.txt", "1030   notes.txt"),
        ("a..b.txt", "a.b.txt"),
        (".notes.txt ", "notes.txt"),
        ("a%20b.txt", "a%20b.txt"),
    ] {
        let before = upstream.seen().len();
        let head = format!("Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"");
        let response = attach(&gateway, &head, b"hello");
        assert_eq!(response.status, 200, "{name}: {}", response.text());
        let sent = String::from_utf8(upstream.seen().remove(before).body).unwrap();
        assert!(sent.contains(&format!("; filename=\"{stored}\"\r\n")), "{name}: {sent}");
    }
    let before = upstream.seen().len();
    for (name, part) in
        [("a/b.txt", "holds a /"), ("a%2Fb.txt", "holds %2F"), (&*"x".repeat(300), "longer than 255 bytes")]
    {
        let head = format!("Content-Disposition: form-data; name=\"files\"; filename=\"{name}\"");
        let response = attach(&gateway, &head, b"hello");
        let told = response.assert_refused(400, "invalid_request").json()["message"].to_string();
        assert!(told.contains(part) && told.contains("please rename the file"), "{told}");
    }
    assert_eq!(upstream.seen().len(), before);
}
