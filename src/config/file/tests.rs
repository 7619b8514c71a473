use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::config::{
    Access, BodyMode, Events, LogFormat, LogLevel, Quota, QuotaPeriod, ResponseShape, Secret, UpstreamKind,
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

fn flowise(config: &Config) -> &crate::config::Flowise {
    match &config.upstreams[0].kind {
        UpstreamKind::Flowise(flowise) => flowise,
        UpstreamKind::Engine(_) | UpstreamKind::Demo => panic!("another kind of upstream"),
    }
}

#[test]
fn five_lines_give_every_default() {
    assert_eq!(MINIMAL.lines().count(), 5);
    let folder = Folder::new(MINIMAL);
    let config = folder.load().unwrap();
    let server = &config.server;
    assert_eq!(server.listen.unwrap().to_string(), "127.0.0.1:8080");
    assert_eq!(server.tls, None);
    assert_eq!(server.workers, std::thread::available_parallelism().unwrap());
    assert!(server.trusted_proxies.is_empty());
    assert_eq!((server.max_connections, server.max_body, server.max_upload), (10_000, 1 << 20, 20 << 20));
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

    let plans: Vec<_> = config
        .plans
        .iter()
        .map(|plan| {
            (&*plan.name, plan.requests.count.get(), plan.requests.per, plan.burst.get(), plan.concurrent.get())
        })
        .collect();
    let minute = Duration::from_mins(1);
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
    assert_eq!(config.secret_files, [folder.path("key")]);
}

#[test]
fn every_field_is_read() {
    let text = format!(
        "server: {{ listen: ':8081', tls: {{ listen: 'localhost:8444', client_ca_file: ca.pem }}, workers: '${{NUMBER}}',
           trusted_proxies: [10.0.0.0/8, '::1'], max_connections: 5, max_body: 100, max_upload: 1GiB,
           max_header_bytes: 8KiB, header_timeout: 1ms, body_timeout: 2s, send_timeout: 3m, idle_timeout: 4h,
           shutdown_grace: 0s }}
admin: {{ listen: '[::1]:9091' }}
log: {{ level: debug, format: text, access: false }}
keys_file: sub/keys.yaml
state_dir: sub/state
plans: {{ small: {{ requests: 3/s, quota: 9/month }}, default: {{ requests: 100/hour, burst: 20, concurrent: 4 }} }}
upstreams:
  a: {{ flowise: {{ urls: ['https://A.example', 'http://b:3000/'], api_key_file: key, ca_file: ca.pem, connect_timeout: 1s }} }}
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
    assert_eq!(config.keys_file, folder.path("sub/keys.yaml"));
    assert_eq!(config.state_dir, folder.path("sub/state"));
    assert_eq!((config.log.level, config.log.format, config.log.access), (LogLevel::Debug, LogFormat::Text, false));

    assert_eq!(config.plans.iter().map(|plan| &*plan.name).collect::<Vec<_>>(), ["default", "anonymous", "small"]);
    assert_eq!(
        (config.plans[2].burst, config.plans[2].concurrent),
        (NonZeroU32::new(3).unwrap(), NonZeroU32::new(4).unwrap())
    );
    let quota = Quota { count: NonZeroU32::new(9).unwrap(), per: QuotaPeriod::Month };
    assert_eq!(config.plans.iter().map(|plan| plan.quota).collect::<Vec<_>>(), [None, None, Some(quota)]);

    let upstream = flowise(&config);
    assert_eq!(
        upstream.urls.iter().map(|url| (url.host.as_str(), url.port)).collect::<Vec<_>>(),
        [("a.example", 443), ("b", 3000)]
    );
    assert_eq!(&*upstream.ca.as_ref().unwrap().1, CA.as_bytes());
    assert_eq!(config.secret_files, [folder.path("key"), folder.path("ca.pem")]);

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
fn ten_mistakes_are_reported_at_once_each_in_its_line() {
    let text = format!(
        "server:
  lisen: 127.0.0.1:8080
  max_body: 1MB
  header_timeout: 30
  trusted_proxies: [10.0.0.0/8, banana]
  workers: many
upstreams:
  flowise:
    flowise: {{ urls: [http://a/b], api_key: '${{UNSET_KEY}}' }}
plans:
  slow: {{ requests: 60 }}
  slow: {{ requests: 60/min }}
chatflows:
  {UUID}: {{ upstream: flowize, override_config: [__proto__] }}
  support: {{ upstream: flowise }}
log: loud
"
    );
    assert_eq!(
        problems(&text),
        [
            "2:3 server.lisen: unknown field, did you mean `listen`?",
            "3:13 server.max_body: expected a size such as 64KiB, 10MiB or a plain number of bytes",
            "4:19 server.header_timeout: expected a duration such as 250ms, 30s or 5m",
            "5:33 server.trusted_proxies[1]: expected an address or a network such as 10.0.0.0/8 or fd00::/8",
            "6:12 server.workers: expected a whole number from 1 to 1024",
            "9:23 upstreams.flowise.flowise.urls[0]: expected a URL without path, query or fragment; the gateway adds the path",
            "9:45 upstreams.flowise.flowise.api_key: the environment variable UNSET_KEY is not set; `${UNSET_KEY:-}` would stand for nothing",
            "11:21 plans.slow.requests: expected a rate such as 60/min; units are s, min, hour and day",
            "12:3 plans.slow: duplicate field, first written in line 11",
            &format!("14:53 chatflows.{UUID}.upstream: no upstream has this name, did you mean `flowise`?"),
            &format!("14:80 chatflows.{UUID}.override_config[0]: this name cannot be used"),
            "15:3 chatflows.support.id: missing: expected Flowise's id of this chatflow, unless its name is a UUID",
            "16:6 log: expected a map of level, format, access, found a string",
        ]
    );
}

/// A configuration with these lines under `engine:`, which start at line 4.
fn with_engine(lines: &str) -> String {
    let lines = lines.replace('\n', "\n      ");
    format!("upstreams:\n  e:\n    engine:\n      {lines}\nchatflows:\n  {UUID}: {{ upstream: e }}\n")
}

fn engine(config: &Config) -> &crate::config::Engine {
    match &config.upstreams[0].kind {
        UpstreamKind::Engine(engine) => engine,
        UpstreamKind::Flowise(_) | UpstreamKind::Demo => panic!("another kind"),
    }
}

#[test]
fn an_engine_is_read() {
    let folder = Folder::new(&with_engine(
        "credentials:\n  openAIApi: { openAIApiKey: \"${HUNTER}\" }\n  azure: { key: { file: key }, name: inst, none: '${EMPTY}' }",
    ));
    let config = folder.load().unwrap();
    assert_eq!(engine(&config).flows_dir, folder.path("flows"));
    let secret = |credential: &str, field: &str| engine(&config).credentials[credential][field].expose().to_owned();
    assert_eq!(secret("openAIApi", "openAIApiKey"), "hunter2");
    assert_eq!(["key", "name", "none"].map(|field| secret("azure", field)), ["sk-from-file", "inst", ""]);
    assert_eq!(config.secret_files, [folder.path("key")], "it is watched");
    assert!(!format!("{config:?}").contains("hunter2"));
    let networked = load_text(&with_engine("flows_dir: flows\nallow_networks: [10.1.2.3/8, '::1']"));
    let networks: Vec<String> = engine(&networked).allow_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    // A name of its own needs no id, and none is made up.
    let named = with_engine("flows_dir: flows").replace(UUID, "support");
    assert_eq!(load_text(&named).chatflows[0].id, None);
}

#[test]
fn mistakes_of_an_engine_are_told_in_their_place() {
    for (lines, expected) in [
        ("flows_dir: nowhere", "4:18 upstreams.e.engine.flows_dir: no such folder"),
        ("flows_dir: key", "4:18 upstreams.e.engine.flows_dir: expected a folder, found a file"),
        ("flow_dir: flows", "4:7 upstreams.e.engine.flow_dir: unknown field"),
        ("credentials: { openAIApi: {} }", "4:22 upstreams.e.engine.credentials.openAIApi: expected the credential's"),
        ("credentials: { a: { b: 7 } }", "4:30 upstreams.e.engine.credentials.a.b: expected a string, found a number"),
        ("credentials: { a: { b: { path: x } } }", "4:32 upstreams.e.engine.credentials.a.b.path: expected a text"),
        (
            "credentials: { a: { b: {} } }",
            "4:30 upstreams.e.engine.credentials.a.b: expected a text, or { file: PATH }",
        ),
        ("credentials: { a: { b: { file: x } } }", "4:38 upstreams.e.engine.credentials.a.b.file: no such file"),
        ("credentials: { a: { b: '${NONE}' } }", "4:30 upstreams.e.engine.credentials.a.b: "),
        ("allow_networks: [localhost]", "4:24 upstreams.e.engine.allow_networks[0]: expected an address or a network"),
        ("allow_networks: 10.0.0.0/8", "4:23 upstreams.e.engine.allow_networks: expected a list, found a string"),
        ("credentials: text", "4:20 upstreams.e.engine.credentials: expected a map"),
    ] {
        let found = problems(&with_engine(lines));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{lines}: {found:?}");
    }
    let chatflow = |text: &str| format!("upstreams:\n  e: {{ engine: {{}} }}\nchatflows:\n  {text}\n");
    for (text, expected) in [
        ("\"*\": { upstream: e }", "4:3 chatflows.*: the engine answers flows by their files"),
        ("a: { upstream: e, body: passthrough }", "4:27 chatflows.a.body: the engine reads what it answers"),
    ] {
        let found = problems(&chatflow(text));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
    }
    let both = format!(
        "upstreams:\n  e: {{ engine: {{}}, flowise: {{ urls: [http://a] }} }}\nchatflows:\n  {UUID}: {{ upstream: e }}\n"
    );
    assert!(problems(&both)[0].contains("exclude each other"));
}

#[test]
fn what_browsers_may_do_is_read() {
    let config = load_text(
        "upstreams: { f: { flowise: { urls: [http://a] } } }
session_secret: '${SPACED} hunter2'
cors: { allowed_origins: ['https://*.example.com'], allow_credentials: true, max_age: 1h }
chatflows:
  9d2b4ae3-1f5e-4c00-9000-000000000000: { upstream: f, access: public }
  9d2b4ae3-1f5e-4c00-9000-000000000001: { upstream: f, access: public, allowed_origins: [https://a.org], events: all, response: message }
  9d2b4ae3-1f5e-4c00-9000-000000000002: { upstream: f, events: [token], isolate_sessions: false }
  9d2b4ae3-1f5e-4c00-9000-000000000003: { upstream: f, body: passthrough }
",
    );
    assert_eq!(config.session_secret.as_ref().map(Secret::expose), Some("hunter2 hunter2 hunter2"));
    assert_eq!((config.cors.allow_credentials, config.cors.max_age), (true, Duration::from_hours(1)));
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
fn mistakes_about_browsers() {
    assert_single(&[
        (
            with_section("cors: { allowed_origins: [https://a.example/] }"),
            "6:27 cors.allowed_origins[0]: an origin ends",
        ),
        (
            with_section("cors: { allowed_origins: ['*'], allow_credentials: true }"),
            "6:52 cors.allow_credentials: with",
        ),
        (with_section("session_secret: short"), "6:17 session_secret: expected at least 16 characters"),
        (with_chatflow("upstream: f\naccess: public"), "7:13 chatflows."),
        (with_chatflow("upstream: f\naccess: open"), "expected key or public"),
        (with_chatflow("upstream: f\nallowed_origins: [app.example.com]"), "expected an origin such as"),
        (with_chatflow("upstream: f\nresponse: other"), "expected flowise or message"),
        (
            with_chatflow("upstream: f\nevents: [tokens]"),
            "events[0]: Flowise has no event of this name, did you mean `token`?",
        ),
        (with_chatflow("upstream: f\nevents: some"), "expected all, widget or a list of events"),
        (with_chatflow("upstream: f\nbody: passthrough\nisolate_sessions: true"), "needs `body: checked`: ids"),
        (with_chatflow("upstream: f\nbody: passthrough\nevents: [token]"), "events: needs `body: checked`"),
        (with_chatflow("upstream: f\nbody: passthrough\nresponse: message"), "response: needs `body: checked`"),
        (
            with_chatflow("upstream: f\nbody: passthrough\naccess: public\nallowed_origins: [https://a.org]"),
            "a public chatflow needs `body: checked`",
        ),
        (
            "upstreams: { f: { flowise: { urls: [http://a] } } }\nchatflows:\n  '*': { upstream: f, access: public, \
             allowed_origins: [https://a.org] }\n"
                .to_owned(),
            "would open every chatflow",
        ),
    ]);
}

#[test]
fn mistakes_in_the_sections_of_the_gateway_itself() {
    assert_single(&[
        (with_section("server: { listen: null }"), "6:19 server.listen: without `server.tls`"),
        (with_section("server: { listen: 127.0.0.1:9090 }"), "6:19 server.listen: the same address as `admin.listen`"),
        (with_section("admin: { listen: 127.0.0.1:8080 }"), "6:18 admin.listen: the same address as `server.listen`"),
        (with_section("server: { listen: 8080 }"), "6:19 server.listen: expected an address and a port"),
        (with_section("server: { listen: [::]:80 }"), "6:"),
        (with_section("server: { header_timeout: 0s }"), "6:27 server.header_timeout: a duration of zero"),
        (
            with_section("server: { header_timeout: null }"),
            "expected a duration such as 250ms, 30s or 5m; found nothing",
        ),
        (
            with_section("server: { max_header_bytes: 4KiB }"),
            "6:29 server.max_header_bytes: expected a size from 8KiB to 16MiB",
        ),
        (with_section("server: { max_body: 0 }"), "6:21 server.max_body: a size of zero"),
        (with_section("server: { max_connections: 0 }"), "6:28 server.max_connections: expected a whole number from 1"),
        (
            with_section("server: { trusted_proxies: null }"),
            "expected a list, found nothing; an empty one is written []",
        ),
        (with_section("server: { tls: { cert_file: none.crt } }"), "6:29 server.tls.cert_file: no such file"),
        (
            with_section("server: { tls: { cert_file: . } }"),
            "6:29 server.tls.cert_file: expected a file, found a folder",
        ),
        (with_section("log: { access: yes }"), "6:16 log.access: expected true or false"),
        (with_section("log: { level: loud }"), "6:15 log.level: expected error or warn or info or debug"),
        (with_section("keys_file: ''"), "6:12 keys_file: expected a path"),
        (with_section("plans: { p: { burst: 5 } }"), "6:10 plans.p.requests: missing: expected a rate such as 60/min"),
        (with_section("plans: { 'a b': { requests: 1/s } }"), "6:10 plans.a b: expected a name of at most"),
        (with_section("plans: { p: { requests: 1/day, burst: 1000 } }"), "6:39 plans.p.burst: at this rate"),
        (
            with_section("plans: { p: { requests: 1/s, quota: 5/hour } }"),
            "6:37 plans.p.quota: expected a quota such as",
        ),
        (with_section("plans: { p: { requests: 1/s, quota: 0/day } }"), "6:37 plans.p.quota: expected a quota between"),
        (with_chatflow("upstream: f\nplan: partner"), "plan: no plan has this name, "),
        (with_section("state_dir: ''"), "6:12 state_dir: expected a path"),
        (with_section("plans: { p: { requests: 0/s } }"), "6:25 plans.p.requests: expected a rate of at least one"),
        (
            MINIMAL.replace("upstreams:", "chatflow: 1\nupstreams:"),
            "1:1 chatflow: unknown field, did you mean `chatflows`?",
        ),
    ]);
}

#[test]
fn mistakes_in_an_upstream() {
    assert_single(&[
        (with_flowise("urls: []"), "4:13 upstreams.f.flowise.urls: expected a list of at least one URL"),
        (with_flowise("urls: http://a"), "4:13 upstreams.f.flowise.urls: expected a list, found a string"),
        (
            with_flowise("urls: [http://a, 'http://A:80/']"),
            "4:24 upstreams.f.flowise.urls[1]: this URL stands in the list twice",
        ),
        (with_flowise("connect_timeout: 1s"), "2:3 upstreams.f.flowise.urls: missing: expected a list"),
        (
            with_flowise("urls: [http://a]\napi_key: a\napi_key_file: key"),
            "6:21 upstreams.f.flowise.api_key_file: `api_key` and",
        ),
        (
            with_flowise("urls: [http://a]\napi_key: 12345"),
            "5:16 upstreams.f.flowise.api_key: expected a string, found a number: put it in quotes",
        ),
        (
            with_flowise("urls: [http://a]\napi_key: ${SPACED}"),
            "5:16 upstreams.f.flowise.api_key: expected a Flowise API key: visible",
        ),
        (
            with_flowise("urls: [http://a]\napi_key_file: two-lines"),
            "5:21 upstreams.f.flowise.api_key_file: expected a Flowise API key: visible",
        ),
        (
            with_flowise("urls: [http://a]\napi_key_file: empty"),
            "5:21 upstreams.f.flowise.api_key_file: the file is empty",
        ),
        (with_flowise("urls: [http://a]\napi_key_file: none"), "5:21 upstreams.f.flowise.api_key_file: no such file"),
        (with_flowise("urls: [http://a]\nca_file: no-ca.pem"), "5:16 upstreams.f.flowise.ca_file: expected a PEM file"),
        (MINIMAL.replace("flowise: {", "flowise: [] #"), "3:14 upstreams.flowise.flowise: expected a map of urls"),
        (MINIMAL.replace("    flowise: {", "    {} #"), "2:3 upstreams.flowise.flowise: missing: expected `flowise:`"),
    ]);
}

#[test]
fn mistakes_in_a_chatflow() {
    assert_single(&[
        (
            with_chatflow("upstream: f\nid: support"),
            "7:9 chatflows.9d2b4ae3-1f5e-4c00-9000-000000000000.id: expected a UUID",
        ),
        (
            with_chatflow("upstream: f\noverride_config: [vars..x]"),
            "7:23 chatflows.9d2b4ae3-1f5e-4c00-9000-000000000000.override_config[0]: expected a path",
        ),
        (
            with_chatflow("upstream: f\noverride_config: [temperature, openAIApiKey.chatOpenAI_0]"),
            "7:36 chatflows.9d2b4ae3-1f5e-4c00-9000-000000000000.override_config[1]: no client may set this: it holds \
             credentials; `force_override` can set it",
        ),
        (
            with_chatflow("upstream: f\nforce_override: { sessionId: { a: 1 } }"),
            "7:21 chatflows.9d2b4ae3-1f5e-4c00-9000-000000000000.force_override: the session is a text",
        ),
        (
            with_chatflow("upstream: f\nvars: { a: { __proto__: 1 } }"),
            "7:18 chatflows.9d2b4ae3-1f5e-4c00-9000-000000000000.vars.a.__proto__: this name cannot be used",
        ),
        (with_chatflow("upstream: f\nvars: [a]"), "expected a map, found a list; an empty one is written {}"),
        (
            with_chatflow("upstream: f\nbody: passthrough\nvars: { a: b }"),
            "8:11 chatflows.9d2b4ae3-1f5e-4c00-9000-000000000000.vars: has no effect",
        ),
        (with_chatflow("upstream: f\naccess: private"), "access: expected key or public"),
        (with_chatflow("upstream: f\nevents: none"), "events: expected all, widget or a list of events"),
        (with_chatflow("upstream: f\nmax_word_chars: -1"), "max_word_chars: expected a whole number from 1 to"),
        (with_chatflow("id: null"), "5:3 chatflows.9d2b4ae3-1f5e-4c00-9000-000000000000.upstream: missing"),
        (
            with_section("  a/b: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 }"),
            "6:3 chatflows.a/b: expected a name",
        ),
        (
            with_section("  '..': { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 }"),
            "6:3 chatflows...: expected a name",
        ),
        (
            MINIMAL.replace("upstream: flowise", &format!("upstream: flowise, id: {UUID}")),
            "the chatflow \"*\" has no id",
        ),
        (MINIMAL.replace("\"*\"", "*"), "5:"),
    ]);
}

#[test]
fn what_must_be_there_is_missed() {
    assert_eq!(
        problems("{}"),
        [
            "0:0 upstreams: missing: expected at least one upstream",
            "0:0 chatflows: missing: expected at least one chatflow, or \"*\" for every UUID",
        ]
    );
}

#[test]
fn a_document_of_the_wrong_shape_is_one_problem() {
    let expected = "1:1 : expected a map of server, admin, log, upstreams, keys_file, state_dir, session_secret, plans, cors, chatflows, found a list";
    assert_eq!(problems("- upstreams\n"), [expected]);
    assert_eq!(problems("chatflows: 5\nupstreams: [a]\n").len(), 2);
}

/// Each text has one problem, which has a place and contains the other text.
fn assert_single(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{text}\n{problems:?}");
        assert!(problems[0].contains(expected), "{text}\n is:       {problems:?}\n expected: {expected}");
        assert!(!problems[0].starts_with("0:0"), "{problems:?}");
    }
}

#[test]
fn no_message_contains_what_a_variable_or_a_secret_file_holds() {
    for value in [
        "${HUNTER}",
        "hunter2",
        "x${HUNTER}y",
        "[hunter2]",
        "{ hunter2: 1 }",
        "${SPACED}",
        "${HUNTER",
        "${NONE}hunter2",
    ] {
        let text = format!(
            "server: {{ listen: '{value}', max_body: '{value}', header_timeout: '{value}', workers: '{value}',
  trusted_proxies: ['{value}'], tls: {{ cert_file: '{value}', client_ca_file: '{value}', key_file: {value} }} }}
log: {{ level: '{value}', access: '{value}' }}
keys_file: {value}
plans: {{ p: {{ requests: '{value}', burst: '{value}' }} }}
upstreams:
  a: {{ flowise: {{ urls: ['{value}', 'http://u:{value}@h', 'http://h/{value}'], api_key: ['{value}'], ca_file: '{value}' }} }}
  b: {{ flowise: {{ urls: {value}, api_key_file: two-lines }} }}
chatflows:
  {UUID}: {{ upstream: '{value}', id: '{value}', access: '{value}', events: '{value}', override_config: ['{value}.'],
    api_key: {value}, vars: {value}, max_word_chars: '{value}' }}
"
        );
        let Err(problems) = Folder::new(&text).load() else { panic!("{text}") };
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_missing_or_empty_file_is_a_problem_of_the_file() {
    let folder = Folder::new("");
    let missing = load(&folder.path("none.yaml")).unwrap_err();
    assert!(missing.to_string().contains("none.yaml: no such file"), "{missing}");
    let empty = folder.load().unwrap_err();
    assert!(empty.to_string().ends_with("flowgate.yaml: the file is empty"), "{empty}");
    let directory = load(folder.0.path()).unwrap_err();
    assert!(directory.to_string().ends_with("expected a file, found a folder"), "{directory}");
    fs::write(folder.path("flowgate.yaml"), b"\xff\xfe\xfd").unwrap();
    let binary = folder.load().unwrap_err();
    assert!(binary.to_string().ends_with("the file is not valid UTF-8"), "{binary}");
}

#[test]
fn two_listeners_may_both_leave_their_port_to_the_system() {
    let config = load_text(&with_section("server: { listen: 127.0.0.1:0 }\nadmin: { listen: 127.0.0.1:0 }"));
    assert_eq!(config.server.listen, Some(config.admin.listen));
}

#[test]
fn a_default_certificate_that_is_not_there_is_missed_at_its_section() {
    let folder = Folder::new(&with_section("server:\n  tls:\n    listen: :8443"));
    fs::remove_file(folder.path("tls.key")).unwrap();
    let problems = folder.load().unwrap_err().to_string();
    let expected = ":8:5: server.tls.key_file: missing, and there is no tls.key in the folder of this file";
    assert!(problems.ends_with(expected), "{problems}");
}
