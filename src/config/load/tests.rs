mod engines;
mod mistakes;
mod proxies;

use std::fs;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::{
    Access, AuthFailures, BodyMode, Events, Flowise, HealthCheck, HttpUrl, LogFormat, LogLevel, McpServer, OnLoss,
    Quota, QuotaPeriod, QuotasOnLoss, RatesOnLoss, ResponseShape, Secret, UpstreamKind, UpstreamUrl, ValkeyMode,
};

const UUID: &str = "9d2b4ae3-1f5e-4c00-9000-000000000000";
const CA: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const MINIMAL: &str = include_str!("../../../config/minimal.yaml");
const FULL: &str = include_str!("../../../config/full.yaml");
const KUBERNETES: &str = include_str!("../../../config/kubernetes.yaml");

/// A folder with a configuration and the files that it may name.
struct Folder(TempDir);

impl Folder {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("flowgate.yaml", text),
            ("tls.crt", CA),
            ("tls.key", "key"),
            ("ca.pem", CA),
            ("no-ca.pem", "-----BEGIN CERTIFICATE-----\n"),
            ("key", "sk-from-file\r\n"),
            ("two-lines", "hunter2\nhunter2\n"),
            ("empty", "\n"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        fs::create_dir(folder.path().join("flows")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Config, Problems> {
        load_with(&self.path("flowgate.yaml"), &|name| match name {
            "FLOWISE_API_KEY" => Some(String::from("sk-hunter2")),
            "SPACED" => Some(String::from("hunter2 hunter2")),
            "HUNTER" => Some(String::from("hunter2")),
            "NUMBER" => Some(String::from("3")),
            "EMPTY" => Some(String::new()),
            "FLOWGATE_TLS_DIR" | "FLOWISE_KEY_DIR" => Some(self.0.path().display().to_string()),
            _ => None,
        })
    }
}

/// The files beside it that it was read from.
fn watched(config: &Config) -> Vec<&Path> {
    config.secret_files.iter().map(|file| &*file.path).collect()
}

fn load_text(text: &str) -> Config {
    Folder::new(text).load().unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems as `line:column field: message`.
fn problems(text: &str) -> Vec<String> {
    let problems = Folder::new(text).load().expect_err(text);
    problems
        .0
        .into_iter()
        .map(|Problem { at, field, message, .. }| {
            let (line, column) = at.unwrap_or_default();
            format!("{line}:{column} {field}: {message}")
        })
        .collect()
}

/// A configuration with these lines under its one chatflow, which start at line 6.
fn with_chatflow(lines: &str) -> String {
    let lines = lines.replace('\n', "\n    ");
    format!("upstreams:\n  f:\n    flowise: {{ urls: [http://a] }}\nchatflows:\n  {UUID}:\n    {lines}\n")
}

/// A configuration with these lines under `flowise:`, which start at line 4.
fn with_flowise(lines: &str) -> String {
    let lines = lines.replace('\n', "\n      ");
    format!("upstreams:\n  f:\n    flowise:\n      {lines}\nchatflows:\n  {UUID}: {{ upstream: f }}\n")
}

/// The minimal configuration and these sections, which start at line 6.
fn with_section(lines: &str) -> String {
    format!("{MINIMAL}{lines}\n")
}

fn flowise(config: &Config) -> &Flowise {
    match &config.upstreams[0].kind {
        UpstreamKind::Flowise(flowise) => flowise,
        UpstreamKind::Engine(_) | UpstreamKind::Demo => panic!("another kind of upstream"),
    }
}

#[test]
fn health_checks_are_set_or_turned_off() {
    let health = |lines: &str| {
        let config = load_text(&with_flowise(&format!("urls: [http://a]\n{lines}")));
        let Flowise { health, slow_start, dns_refresh, .. } = flowise(&config).clone();
        (health.map(|check| HealthCheck::clone(&check)), slow_start, dns_refresh)
    };
    let (seconds, otherwise) = (Duration::from_secs, HealthCheck::default());
    assert_eq!(health("health: false\nslow_start: null\ndns_refresh: 1s"), (None, Duration::ZERO, seconds(1)));
    for lines in ["health:", "health: {}", "health: { path: /api/v1/ping }"] {
        assert_eq!(health(lines), (Some(otherwise.clone()), seconds(10), seconds(10)), "{lines}");
    }
    let some = HealthCheck {
        path: "/up?a=b".into(),
        interval: seconds(60),
        timeout: Duration::from_millis(50),
        healthy_threshold: 1,
        unhealthy_threshold: 100,
    };
    let lines =
        "health: { path: '/up?a=b', interval: 1m, timeout: 50ms, healthy_threshold: 1, unhealthy_threshold: 100 }";
    assert_eq!(health(lines).0, Some(some));
}

#[test]
fn five_lines_give_every_default() {
    assert_eq!(MINIMAL.lines().count(), 5);
    let folder = Folder::new(MINIMAL);
    let config = folder.load().unwrap();
    let server = &config.server;
    assert_eq!(server.listen.unwrap().to_string(), "127.0.0.1:8080");
    assert_eq!((&server.tls, server.ext_auth), (&None, None));
    assert_eq!(server.workers, std::thread::available_parallelism().unwrap());
    assert!(server.trusted_proxies.is_empty());
    assert_eq!((server.max_connections, server.max_body, server.max_upload), (10_000, 1 << 20, 20 << 20));
    assert_eq!(server.connections_per_address, NonZeroUsize::new(1000));
    assert_eq!((server.body_time, server.min_body_rate), (Duration::from_mins(5), NonZeroU64::new(1024)));
    assert_eq!(server.max_header_bytes, 32 << 10);
    let times =
        [server.header_timeout, server.body_timeout, server.send_timeout, server.idle_timeout, server.shutdown_grace];
    assert_eq!(times.map(|time| time.as_secs()), [10, 30, 60, 75, 30]);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!((config.log.level, config.log.format, config.log.access), (LogLevel::Info, LogFormat::Json, true));
    assert_eq!(config.keys_file, folder.path("keys.yaml"));
    assert_eq!(config.path, folder.path("flowgate.yaml"));

    let upstream = flowise(&config);
    assert_eq!(
        (upstream.urls[0].https, upstream.urls[0].host.as_str(), upstream.urls[0].port),
        (false, "127.0.0.1", 3000)
    );
    assert_eq!((&upstream.api_key, &upstream.ca), (&None, &None));
    let times = [upstream.connect_timeout, upstream.response_timeout, upstream.stream_idle_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [2, 120, 120]);
    let times = [upstream.slow_start, upstream.dns_refresh];
    assert_eq!((times.map(|time| time.as_secs()), &upstream.health), ([10, 10], &Some(Arc::default())));

    let plans: Vec<_> = config
        .plans
        .iter()
        .map(|plan| {
            (&*plan.name, plan.requests.count.get(), plan.requests.per, plan.burst.get(), plan.concurrent.get())
        })
        .collect();
    let minute = Duration::from_mins(1);
    assert!(config.plans.iter().all(|plan| (plan.wait.as_secs(), plan.queue) == (5, 32)));
    assert_eq!(config.auth_failures, Some(AuthFailures::default()));
    assert_eq!(plans, [("default", 60, minute, 10, 8), ("anonymous", 10, minute, 5, 2)]);

    assert!(config.chatflows.is_empty());
    let wildcard = config.wildcard.unwrap();
    assert_eq!((&*wildcard.name, wildcard.upstream, &wildcard.id, wildcard.body), ("*", 0, &None, BodyMode::Checked));
    assert_eq!(wildcard.override_config, [["sessionId"]]);
    assert_eq!((wildcard.max_question_chars, wildcard.max_word_chars), (8000, 1000));
    assert!(wildcard.vars.is_empty() && wildcard.force_override.is_empty() && wildcard.api_key.is_none());
}

#[test]
fn the_full_sample_says_the_defaults() {
    let full = load_text(FULL);
    let minimal = load_text(MINIMAL);
    let mut server = full.server.clone();
    assert_eq!(server.tls.take().unwrap().listen.to_string(), "0.0.0.0:8443");
    assert!(!server.ext_auth.take().unwrap().pass_upstream_key);
    assert_eq!(server, minimal.server);
    assert_eq!((&full.admin, full.log), (&minimal.admin, minimal.log));
    assert_eq!(full.plans[..2], minimal.plans[..]);
    assert_eq!(full.wildcard.as_deref(), minimal.wildcard.as_deref());
    let mut support = (*full.chatflows[0]).clone();
    assert_eq!(support.id.take().as_deref(), Some(UUID));
    support.name = "*".into();
    assert_eq!(Some(&support), minimal.wildcard.as_deref());
    let (mut full, minimal) = (flowise(&full).clone(), flowise(&minimal));
    assert_eq!(full.api_key.take().unwrap().expose(), "sk-hunter2");
    assert_eq!(&full, minimal);
}

#[test]
fn the_kubernetes_sample_reads_its_mounted_files() {
    let folder = Folder::new(KUBERNETES);
    let config = folder.load().unwrap();
    assert_eq!(config.server.listen, None);
    assert_eq!(config.server.tls.as_ref().unwrap().cert_file, folder.path("tls.crt"));
    assert_eq!(config.keys_file, PathBuf::from("/etc/flowgate/keys/keys.yaml"));
    assert_eq!(flowise(&config).api_key.as_ref().unwrap().expose(), "sk-from-file");
    assert_eq!(watched(&config), [folder.path("key")]);
}

#[test]
fn every_field_is_read() {
    let text = format!(
        "server: {{ listen: ':8081', tls: {{ listen: 'localhost:8444', client_ca_file: ca.pem }}, workers: '${{NUMBER}}',
           trusted_proxies: [10.0.0.0/8, '::1'], max_connections: 5, connections_per_address: null, max_body: 100, max_upload: 1GiB,
           max_header_bytes: 8KiB, header_timeout: 1ms, body_timeout: 2s, body_time: 9m, min_body_rate: null, send_timeout: 3m, idle_timeout: 4h,
           shutdown_grace: 0s }}
admin: {{ listen: '[::1]:9091' }}
log: {{ level: debug, format: text, access: false }}
keys_file: sub/keys.yaml
state_dir: sub/state
plans: {{ small: {{ requests: 3/s, quota: 9/month, tokens: 5000/day, wait: 0s, queue: null }},
  default: {{ requests: 100/hour, burst: 20, concurrent: 4, wait: 250ms, queue: 7 }} }}
auth_failures: {{ free: 3, then: 1/s, delay: null }}
upstreams:
  a: {{ flowise: {{ urls: ['https://A.example', 'http://b:3000/'], api_key_file: key, ca_file: ca.pem, connect_timeout: 1s,
               pass_headers: [X-Tenant, accept, baggage] }} }}
  b: {{ flowise: {{ urls: [http://c], api_key: '${{NONE:-}}' }} }}
chatflows:
  Sales.v1: {{ upstream: b, id: {}, api_key: \"${{HUNTER}}\", body: passthrough }}
  {UUID}:
    upstream: a
    override_config: [vars.userId, sessionId, sessionId]
    vars: {{ user: '${{HUNTER}}', n: 5, list: [1.5, null, {{ a: '$${{x}}' }}] }}
    force_override: {{ promptValues: {{ a: true }} }}
    max_question_chars: 1
    max_word_chars: 2
    plan: small
",
        UUID.to_uppercase()
    );
    let folder = Folder::new(&text);
    let config = folder.load().unwrap_or_else(|problems| panic!("{problems}"));
    let server = &config.server;
    assert_eq!((server.listen.unwrap().to_string().as_str(), server.workers.get()), ("[::]:8081", 3));
    assert_eq!(server.tls.as_ref().unwrap().client_ca_file, Some(folder.path("ca.pem")));
    assert_eq!(server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
    assert_eq!((server.max_body, server.max_upload, server.shutdown_grace), (100, 1 << 30, Duration::ZERO));
    assert_eq!((server.connections_per_address, server.min_body_rate), (None, None));
    assert_eq!(server.body_time, Duration::from_mins(9));
    assert_eq!(flowise(&config).pass_headers, ["x-tenant", "baggage"]);
    assert_eq!(config.keys_file, folder.path("sub/keys.yaml"));
    assert_eq!(config.state_dir, folder.path("sub/state"));
    assert_eq!((config.log.level, config.log.format, config.log.access), (LogLevel::Debug, LogFormat::Text, false));

    assert_eq!(config.plans.iter().map(|plan| &*plan.name).collect::<Vec<_>>(), ["default", "anonymous", "small"]);
    assert_eq!(
        (config.plans[2].burst, config.plans[2].concurrent),
        (NonZeroU32::new(3).unwrap(), NonZeroU32::new(4).unwrap())
    );
    let waits: Vec<_> = config.plans.iter().map(|plan| (plan.wait.as_millis(), plan.queue)).collect();
    assert_eq!(waits, [(250, 7), (5000, 32), (0, 0)]);
    let failures = config.auth_failures.unwrap();
    assert_eq!((failures.free, failures.then.count.get(), failures.delay), (3, 1, Duration::ZERO));
    let quota = Quota { count: NonZeroU32::new(9).unwrap(), per: QuotaPeriod::Month };
    assert_eq!(config.plans.iter().map(|plan| plan.quota).collect::<Vec<_>>(), [None, None, Some(quota)]);
    let tokens = Quota { count: NonZeroU32::new(5000).unwrap(), per: QuotaPeriod::Day };
    assert_eq!(config.plans.iter().map(|plan| plan.tokens).collect::<Vec<_>>(), [None, None, Some(tokens)]);

    let upstream = flowise(&config);
    assert_eq!(
        upstream.urls.iter().map(|url| (url.host.as_str(), url.port)).collect::<Vec<_>>(),
        [("a.example", 443), ("b", 3000)]
    );
    assert_eq!(&*upstream.ca.as_ref().unwrap().1, CA.as_bytes());
    assert_eq!(watched(&config), [folder.path("key"), folder.path("ca.pem")]);

    let [sales, uuid] = &config.chatflows[..] else { panic!("two chatflows") };
    assert_eq!(
        (&*sales.name, sales.upstream, sales.id.as_deref(), sales.body),
        ("Sales.v1", 1, Some(UUID), BodyMode::Passthrough)
    );
    assert_eq!(sales.api_key.as_ref().unwrap().expose(), "hunter2");
    assert_eq!((&*uuid.name, uuid.upstream, uuid.id.as_deref(), uuid.body), (UUID, 0, Some(UUID), BodyMode::Checked));
    assert_eq!(uuid.override_config, [vec!["vars", "userId"], vec!["sessionId"]]);
    assert_eq!(
        serde_json::to_string(&uuid.vars).unwrap(),
        r#"{"user":"hunter2","n":5,"list":[1.5,null,{"a":"${x}"}]}"#
    );
    assert_eq!(serde_json::to_string(&uuid.force_override).unwrap(), r#"{"promptValues":{"a":true}}"#);
    assert_eq!((uuid.max_question_chars, uuid.max_word_chars, uuid.plan), (1, 2, 2));
    assert!(!format!("{config:?}").contains("sk-from-file"));
}

#[test]
fn what_browsers_may_do_is_read() {
    let config = load_text(
        "upstreams: { f: { flowise: { urls: [http://a] } } }
session_secret: '${SPACED} hunter2'
cors: { allowed_origins: ['https://*.example.com'], allow_credentials: true, max_age: 1h, allowed_headers: [X-B, x-a, x-b] }
chatflows:
  9d2b4ae3-1f5e-4c00-9000-000000000000: { upstream: f, access: public }
  9d2b4ae3-1f5e-4c00-9000-000000000001: { upstream: f, access: public, allowed_origins: [https://a.org], events: all, response: message }
  9d2b4ae3-1f5e-4c00-9000-000000000002: { upstream: f, events: [token], isolate_sessions: false }
  9d2b4ae3-1f5e-4c00-9000-000000000003: { upstream: f, body: passthrough }
",
    );
    assert_eq!(config.session_secret.as_ref().map(Secret::expose), Some("hunter2 hunter2 hunter2"));
    assert_eq!((config.cors.allow_credentials, config.cors.max_age), (true, Duration::from_hours(1)));
    assert_eq!(config.cors.allowed_headers, "x-a, x-b");
    let [public, own, listed, unread] = config.chatflows.as_slice() else { panic!("{:?}", config.chatflows) };
    assert_eq!((public.access, own.access, listed.access), (Access::Public, Access::Public, Access::Key));
    assert!(public.allowed_origins.allows("https://x.example.com") && !public.allowed_origins.allows("https://a.org"));
    assert!(own.allowed_origins.allows("https://a.org") && !own.allowed_origins.allows("https://x.example.com"));
    assert_eq!(public.events, Events::Widget);
    assert_eq!((&own.events, own.response), (&Events::All, ResponseShape::Message));
    assert_eq!(listed.events, Events::Only(["token".into(), "error".into(), "end".into()].into()));
    assert!(public.isolate_sessions && !listed.isolate_sessions && !unread.isolate_sessions);
}

#[test]
fn two_listeners_may_both_leave_their_port_to_the_system() {
    let config = load_text(&with_section("server: { listen: 127.0.0.1:0 }\nadmin: { listen: 127.0.0.1:0 }"));
    assert_eq!(config.server.listen, Some(config.admin.listen));
}

#[test]
fn the_store_is_read() {
    let store = |lines: &str| load_text(&with_section(&format!("state: {{ dir: sub, valkey: {{ {lines} }} }}")));
    let config = store("urls: ['redis://a']");
    let valkey = config.valkey.unwrap();
    assert!(config.names_state_dir && config.state_dir.ends_with("sub"));
    assert_eq!(
        (&valkey.mode, valkey.tls, valkey.database, valkey.prefix.as_str()),
        (&ValkeyMode::Single, false, 0, "flowgate:")
    );
    assert_eq!((valkey.connect_timeout.as_millis(), valkey.timeout.as_millis()), (500, 50));
    assert_eq!(valkey.on_loss, OnLoss { rates: RatesOnLoss::Share, quotas: QuotasOnLoss::Refuse });
    let text =
        "mode: sentinel, master_name: main, urls: ['rediss://ann@a:1/2', 'rediss://ann@b/2'], password_file: key,
      ca_file: ca.pem, prefix: 'x:', connect_timeout: 1s, timeout: 20ms, on_loss: { rates: allow, quotas: allow }";
    let config = store(text);
    assert_eq!(watched(&config).len(), 2);
    let valkey = config.valkey.clone().unwrap();
    assert_eq!(valkey.servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:1", "b:6379"]);
    assert_eq!(valkey.mode, ValkeyMode::Sentinel { master_name: "main".into() });
    assert_eq!((valkey.tls, valkey.database, valkey.username.as_deref()), (true, 2, Some("ann")));
    assert_eq!(valkey.password.as_ref().map(Secret::expose), Some("sk-from-file"));
    assert!(valkey.ca.is_some() && !format!("{config:?}").contains("sk-from-file"));
    let other = crate::config::Valkey { password: None, ..valkey.clone() };
    assert!(valkey.is_same_store(&other));
    assert!(!valkey.is_same_store(&crate::config::Valkey { database: 3, ..other }));
}
