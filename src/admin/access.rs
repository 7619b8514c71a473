//! Who may look at the admin listener.
//!
//! With `admin.token_file` whoever shows the token, as a Bearer or as the password of Basic, which is what a browser
//! asks its user for. Without one, who has reached the listener may read `/metrics` as ever, and the console answers
//! this machine alone: what it tells and does is more than a scraper may have.
//!
//! A browser on this machine may be made to ask as well: by a page whose name an attacker has let point here (DNS
//! rebinding), which `Host` betrays; and by a page of another origin, which the browser tells (`Origin`,
//! `Sec-Fetch-Site`), and which can send no JSON without asking first.

use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use super::respond::{AdminAnswer, no, unauthorized};
use crate::config::{Admin, Secret};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether probes ask for it, of whom nothing is asked.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

/// Whether the request may be answered.
pub(super) fn check(head: &Parts, peer: IpAddr, admin: &Admin) -> Result<(), Box<AdminAnswer>> {
    let path = head.uri.path();
    if is_probe(path) {
        return Ok(());
    }
    let refuse = |status, message: &str| Err(Box::new(no(path, status, message)));
    if admin.token.as_ref().is_some_and(|token| !shows(&head.headers, token)) {
        let accepts_page = one(&head.headers, &ACCEPT).is_some_and(|accepted| accepted.contains("text/html"));
        return Err(Box::new(unauthorized(path, accepts_page)));
    }
    if path == "/metrics" {
        return Ok(());
    }
    if admin.token.is_none() && !peer.is_loopback() {
        return refuse(
            StatusCode::FORBIDDEN,
            "without admin.token_file the console answers this machine alone: set it, or come by way of loopback",
        );
    }
    if !one(&head.headers, &HOST).is_some_and(|host| is_known(host, admin)) {
        return refuse(
            StatusCode::FORBIDDEN,
            "the console does not go by this name: use localhost or an address, or list the name in admin.hosts",
        );
    }
    if !is_own_page(&head.headers) {
        return refuse(StatusCode::FORBIDDEN, "pages of other origins may not ask");
    }
    let is_json = || {
        let kind = one(&head.headers, &CONTENT_TYPE).unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    };
    if head.method == Method::POST && !is_json() {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be application/json");
    }
    Ok(())
}

/// The only value of a field, as text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Compared in constant time, whatever is shown.
fn shows(headers: &HeaderMap, token: &Secret) -> bool {
    let Some((scheme, rest)) = one(headers, &AUTHORIZATION).and_then(|value| value.split_once(' ')) else {
        return false;
    };
    let shown = if scheme.eq_ignore_ascii_case("bearer") {
        Some(rest.trim().to_owned())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = BASE64_STANDARD.decode(rest.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
        pair.and_then(|pair| pair.split_once(':').map(|(_, password)| password.to_owned()))
    } else {
        None
    };
    shown.is_some_and(|shown| Secret::new(shown) == *token)
}

/// Nobody else's name leads here: an address is no name, and those of loopback nobody can let point elsewhere.
fn is_known(host: &str, admin: &Admin) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    bare.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost") || admin.hosts.contains(&name)
}

/// Whether the listener's own page asks, or no page.
fn is_own_page(headers: &HeaderMap) -> bool {
    let site_is_own = match headers.get(SEC_FETCH_SITE) {
        None => true,
        Some(site) => site == "same-origin" || site == "none",
    };
    let origin_is_own = match headers.get(ORIGIN) {
        None => true,
        Some(_) => one(headers, &ORIGIN).zip(one(headers, &HOST)).is_some_and(|(origin, host)| {
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }),
    };
    site_is_own && origin_is_own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_lead_nowhere_else_are_known() {
        let hosts = vec!["gateway.internal".to_owned()];
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let admin = Admin { listen, console: true, token: None, hosts };
        for host in [
            "localhost",
            "LOCALHOST:9090",
            "a.localhost:1",
            "127.0.0.1:9090",
            "10.0.0.7",
            "[::1]:9090",
            "[::1]",
            "gateway.internal:9090",
        ] {
            assert!(is_known(host, &admin), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9090", "localhost:9090:1", "a:b"]
        {
            assert!(!is_known(host, &admin), "{host}");
        }
    }
}
