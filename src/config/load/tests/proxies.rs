//! How proxies ask, and how they say who the client is; secrets in files.

use super::mistakes::assert_single;
use super::*;
use crate::config::{ExtAuth, ProxyProtocol};

#[test]
fn external_authorisation_is_there_where_it_is_written() {
    let ext_auth = |lines: &str| load_text(&with_section(&format!("server: {{ {lines} }}"))).server.ext_auth;
    let usual = ExtAuth { listen: "127.0.0.1:8081".parse().unwrap(), pass_upstream_key: false };
    assert_eq!(ext_auth("ext_auth: {}"), Some(usual));
    let written = ext_auth("ext_auth: { listen: '[::1]:81', headers: { pass_upstream_key: true } }");
    assert_eq!(written, Some(ExtAuth { listen: "[::1]:81".parse().unwrap(), pass_upstream_key: true }));
}

#[test]
fn how_proxies_say_who_the_client_is() {
    let said = |lines: &str| {
        let server = load_text(&with_section(&format!("server: {{ trusted_proxies: ['::1'], {lines} }}"))).server;
        (server.proxy_protocol, server.client_address_header.map(|name| name.to_string()))
    };
    assert_eq!(said(""), (None, None));
    assert_eq!(said("proxy_protocol: null, client_address_header: null"), (None, None));
    assert_eq!(said("client_address_header: X-Forwarded-For"), (None, None));
    let header = Some("cf-connecting-ip".to_owned());
    assert_eq!(said("proxy_protocol: v1, client_address_header: CF-Connecting-IP"), (Some(ProxyProtocol::V1), header));
    assert_eq!(said("proxy_protocol: v2").0, Some(ProxyProtocol::V2));
    assert_eq!(said("proxy_protocol: any").0, Some(ProxyProtocol::Any));
}

#[test]
fn secrets_come_from_files_that_are_watched() {
    let folder = Folder::new(&with_section("session_secret_file: secret"));
    fs::write(folder.path("secret"), "0123456789abcdef\r\n").unwrap();
    let config = folder.load().unwrap();
    assert_eq!(config.session_secret, Some(Secret::new("0123456789abcdef".to_owned())));
    assert_eq!(watched(&config), [folder.path("secret")]);
    let folder = Folder::new(&with_chatflow("upstream: f\napi_key_file: key"));
    let config = folder.load().unwrap();
    assert_eq!(config.chatflows[0].api_key, Some(Secret::new("sk-from-file".to_owned())));
    assert_eq!(watched(&config), [folder.path("key")]);
}

#[test]
fn mistakes_about_proxies_and_secret_files() {
    assert_single(&[
        (
            with_section("server: { ext_auth: { listen: '127.0.0.1:8080' } }"),
            "6:31 server.ext_auth.listen: the same address as `server.listen`",
        ),
        (
            with_section("server: { ext_auth: { headers: { pass_key: true } } }"),
            "server.ext_auth.headers.pass_key: unknown field",
        ),
        (with_section("server: { ext_auth: { headers: { pass_upstream_key: 1 } } }"), "expected true or false"),
        (with_section("server: { proxy_protocol: v2 }"), "6:27 server.proxy_protocol: needs `trusted_proxies`"),
        (with_section("server: { proxy_protocol: v3, trusted_proxies: [::1] }"), "expected v1 or v2 or any"),
        (
            with_section("server: { client_address_header: 'a b' }"),
            "6:34 server.client_address_header: expected the name",
        ),
        (with_section("server: { client_address_header: Forwarded }"), "read where there is no X-Forwarded-For"),
        (with_section("session_secret_file: key"), "6:22 session_secret_file: expected at least 16 characters"),
        (with_section("session_secret_file: none"), "6:22 session_secret_file: no such file"),
        (
            with_section("session_secret: 0123456789abcdef\nsession_secret_file: key"),
            "7:22 session_secret_file: `session_secret` and `session_secret_file` exclude each other",
        ),
        (
            with_chatflow("upstream: f\napi_key_file: two-lines"),
            "api_key_file: expected a Flowise API key: visible ASCII",
        ),
        (with_chatflow("upstream: f\napi_key_file: empty"), "api_key_file: the file is empty"),
        (
            with_chatflow("upstream: f\napi_key: a\napi_key_file: key"),
            "api_key_file: `api_key` and `api_key_file` exclude each other",
        ),
    ]);
}
