//! Who may look.

use std::fs;
use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::{READ, get};
use crate::harness::client::{self, send};
use crate::harness::gateway::{Gateway, keys, simple};
use crate::harness::wait_for;
use crate::telemetry::talking;

const TOKEN: &str = "0123456789abcdef-admin";

fn with_admin(more: &str) -> Gateway {
    let upstream = talking();
    let config = simple(upstream.address).replace("admin: { ", &format!("admin: {{ {more}, "));
    Gateway::start_with(&config, &keys(""), |folder| fs::write(folder.join("token"), format!("{TOKEN}\n")).unwrap())
}

#[test]
fn with_a_token_all_but_probes_want_it() {
    let gateway = with_admin("token_file: token");
    let bearer = format!("Bearer {TOKEN}");
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("anybody:{TOKEN}")));
    let wrong = format!("Bearer {}", TOKEN.replace('0', "1"));
    for path in READ.into_iter().chain(["/metrics", "/nothing"]) {
        let expected = if path == "/nothing" { 404 } else { 200 };
        for shown in [&bearer, &basic] {
            assert_eq!(get(gateway.admin, path, &[("authorization", shown)]).status, expected, "{path}");
        }
        for headers in [&[][..], &[("authorization", &*wrong)], &[("authorization", TOKEN)], &[("x-api-key", TOKEN)]] {
            let refused = get(gateway.admin, path, headers);
            assert_eq!(refused.status, 401, "{path}");
            assert!(refused.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));
            assert!(!refused.text().contains("flowgate_"));
        }
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(get(gateway.admin, path, &[]).text(), "ok\n");
    }
    // A browser that opens the page asks for it itself; one that a script sends does not.
    let schemes = |headers: &[(&str, &str)]| {
        let response = get(gateway.admin, "/api/status", headers);
        response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate")).count()
    };
    assert_eq!((schemes(&[("accept", "text/html,*/*")]), schemes(&[("accept", "application/json")])), (2, 1));
}

#[test]
fn a_token_that_changes_counts_from_then_on() {
    let gateway = with_admin("token_file: token");
    let other = "fedcba9876543210-admin";
    let status =
        |token: &str| get(gateway.admin, "/api/status", &[("authorization", &format!("Bearer {token}"))]).status;
    assert_eq!((status(TOKEN), status(other)), (200, 401));
    gateway.write("token", other);
    wait_for("the other token", || (status(other) == 200).then_some(()));
    assert_eq!(status(TOKEN), 401);
    // One that can be guessed is not taken over.
    gateway.write("token", "short");
    wait_for("the reload", || {
        gateway.log().iter().any(|line| line.contains("reload rejected") && line.contains("token_file")).then_some(())
    });
    assert_eq!(status(other), 200);
    assert!(!gateway.log().join("\n").contains(other));
}

#[test]
fn a_console_that_is_off_is_not_there() {
    let gateway = with_admin("console: false");
    for path in READ.into_iter().chain(["/"]) {
        assert_eq!(get(gateway.admin, path, &[]).status, 404, "{path}");
    }
    assert_eq!(get(gateway.admin, "/metrics", &[]).status, 200);
}

#[test]
fn it_goes_by_no_name_that_somebody_else_may_have() {
    let gateway = with_admin("hosts: [gateway.internal]");
    for host in ["localhost", "localhost:9090", "127.0.0.1", "[::1]:9090", "gateway.internal", "Gateway.Internal:80"] {
        assert_eq!(get(gateway.admin, "/api/status", &[("host", host)]).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:9090", "internal"] {
        let refused = get(gateway.admin, "/api/status", &[("host", host)]);
        assert_eq!(refused.status, 403, "{host}");
        assert!(refused.text().contains("admin.hosts"));
        // Scrapers know it by all sorts of names.
        assert_eq!(get(gateway.admin, "/metrics", &[("host", host)]).status, 200, "{host}");
    }
}

#[test]
fn no_page_of_another_origin_may_ask() {
    let gateway = with_admin("console: true");
    let own = format!("http://{}", gateway.admin);
    let host = gateway.admin.to_string();
    for (headers, expected) in [
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("sec-fetch-site", "same-origin")], 200),
        (vec![("sec-fetch-site", "none")], 200),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("origin", &own), ("sec-fetch-site", "same-origin")], 200),
    ] {
        let headers: Vec<_> = headers.into_iter().chain([("host", &*host)]).collect();
        assert_eq!(get(gateway.admin, "/api/status", &headers).status, expected, "{headers:?}");
    }
}

#[test]
fn answers_are_kept_by_nobody_and_shown_in_no_frame() {
    let gateway = with_admin("console: true");
    for path in READ.into_iter().chain(["/livez", "/nothing"]) {
        let response = get(gateway.admin, path, &[]);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(response.header(name), Some(value), "{path}");
        }
        assert!(response.header("content-security-policy").is_some_and(|csp| csp.contains("default-src 'none'")));
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
    for method in ["PUT", "DELETE", "OPTIONS"] {
        let response = send(gateway.admin, method, "/api/status", &[("host", "localhost")], "");
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[test]
fn what_can_be_no_token_or_no_name_is_refused_with_its_line() {
    let upstream = talking();
    for (more, expected) in [
        ("token_file: token", "expected a file with a token of 16 to 512"),
        ("token_file: missing", "no such file"),
        ("hosts: ['http://a']", "expected a name without scheme and port"),
        ("console: maybe", "expected true or false"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = simple(upstream.address).replace("admin: { ", &format!("admin: {{ {more}, "));
        fs::write(folder.path().join("flowgate.yaml"), config).unwrap();
        fs::write(folder.path().join("keys.yaml"), keys("")).unwrap();
        fs::write(folder.path().join("token"), "short").unwrap();
        let check = std::process::Command::new(crate::harness::gateway::BINARY)
            .args(["check", "--config"])
            .arg(folder.path().join("flowgate.yaml"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&check.stderr).into_owned();
        assert!(!check.status.success() && said.contains("flowgate.yaml:2:") && said.contains(expected), "{said}");
    }
}

#[test]
fn connections_that_ask_nothing_take_no_probes_place() {
    let gateway = Gateway::start(&simple(talking().address));
    let mut idle: Vec<_> = (0..80).map(|_| std::net::TcpStream::connect(gateway.admin).unwrap()).collect();
    for (number, connection) in idle.iter_mut().enumerate().take(40) {
        // Half a head, or half a body.
        let half = if number % 2 == 0 {
            "GET /api/keys HT"
        } else {
            "POST /api/explain HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        };
        let _ = connection.write_all(half.as_bytes());
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(client::get(gateway.admin, path, &[]).status, 200, "{path}");
    }
    assert_eq!(get(gateway.admin, "/api/status", &[]).status, 200);
}
