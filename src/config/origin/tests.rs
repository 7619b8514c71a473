use proptest::prelude::*;

use super::*;

fn origins(patterns: &[&str]) -> Origins {
    let mut origins = Origins::default();
    for pattern in patterns {
        origins.add(pattern).unwrap();
    }
    origins
}

#[test]
fn scheme_host_and_port_are_compared_exactly() {
    let listed = origins(&["https://app.example.com", "http://localhost:5173", "https://[::1]:8443"]);
    for origin in ["https://app.example.com", "http://localhost:5173", "https://[::1]:8443"] {
        assert!(listed.allows(origin), "{origin}");
    }
    for origin in [
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.org",
        "https://evil-app.example.com",
        "https://example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        "http://localhost",
        "null",
        "",
    ] {
        assert!(!listed.allows(origin), "{origin}");
    }
}

#[test]
fn a_star_stands_for_whole_names() {
    let listed = origins(&["https://*.example.com", "https://*.example.org:8443"]);
    for origin in ["https://a.example.com", "https://a.b.example.com", "https://a.example.org:8443"] {
        assert!(listed.allows(origin), "{origin}");
    }
    for origin in [
        "https://example.com",
        "https://.example.com",
        "https://evilexample.com",
        "https://evil.com#.example.com",
        "https://evil.com/.example.com",
        "https://user@a.example.com",
        "https://a..example.com",
        "http://a.example.com",
        "https://a.example.com:8443",
        "https://a.example.org",
    ] {
        assert!(!listed.allows(origin), "{origin}");
    }
}

#[test]
fn apps_and_extensions_are_compared_exactly() {
    let apps = [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "http://tauri.localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        "safari-web-extension://E3449EA7-EC25-4696-8E6C-A10B53F59F66",
        "vscode-webview://0a1b2c",
        "app://obsidian.md",
        "app://.",
        "app://",
    ];
    let listed = origins(&apps);
    for app in apps {
        assert!(listed.allows(app), "{app}");
    }
    for other in ["capacitor://localhost:80", "capacitor://localhos", "capacitor://LOCALHOST", "Capacitor://localhost"]
    {
        assert!(!listed.allows(other), "{other}");
    }
    let any = origins(&["moz-extension://*"]);
    assert!(any.allows("moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc"));
    for other in ["moz-extension://", "moz-extension://a.b", "chrome-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc"]
    {
        assert!(!any.allows(other), "{other}");
    }
}

#[test]
fn what_no_browser_would_send_is_refused_with_a_reason() {
    for (text, error) in [
        ("app.example.com", OriginError::NotAnOrigin),
        ("ftp://a.b", OriginError::NotAnOrigin),
        ("file://", OriginError::NotAnOrigin),
        ("https://", OriginError::NotAnOrigin),
        ("htps://a.b", OriginError::Scheme),
        ("htttps://a.b", OriginError::Scheme),
        ("Capacitor://localhost", OriginError::Case),
        ("capacitor://localhost/", OriginError::Path),
        ("capacitor://*", OriginError::Star),
        ("chrome-extension://*", OriginError::Star),
        ("chrome-extension://", OriginError::Extension),
        ("app://user@host", OriginError::NotAnOrigin),
        ("my app://host", OriginError::NotAnOrigin),
        ("https://a.b:0", OriginError::NotAnOrigin),
        ("https://a.b:08", OriginError::NotAnOrigin),
        ("https://u@a.b", OriginError::NotAnOrigin),
        ("https://a.b/", OriginError::Path),
        ("https://a.b/x", OriginError::Path),
        ("https://A.b", OriginError::Case),
        ("HTTPS://a.b", OriginError::Case),
        ("https://a.b:443", OriginError::UsualPort),
        ("http://a.b:80", OriginError::UsualPort),
        ("https://*", OriginError::Star),
        ("https://*.com", OriginError::Star),
        ("https://a*.example.com", OriginError::Star),
        ("https://a.*.com", OriginError::Star),
        ("null", OriginError::Null),
    ] {
        assert_eq!(Origins::default().add(text), Err(error), "{text}");
    }
}

proptest! {
    #[test]
    fn only_names_below_the_domain_match(origin in "https?://[a-z.*@:/#-]{0,12}(example\\.com)?(:[0-9]{1,4})?") {
        if origins(&["https://*.example.com"]).allows(&origin) {
            let names = origin.strip_prefix("https://").and_then(|rest| rest.strip_suffix(".example.com"));
            prop_assert!(names.is_some_and(|names| names.split('.').all(is_label)));
        }
    }

    #[test]
    fn what_is_listed_is_allowed(host in "[a-z][a-z0-9-]{0,9}(\\.[a-z]{1,5}){1,3}", port in 1024..u16::MAX) {
        let text = format!("https://{host}:{port}");
        prop_assert!(origins(&[&text]).allows(&text));
        let other = format!("https://{}:{}", host, port - 1);
        prop_assert!(!origins(&[&text]).allows(&other));
    }
}
