//! What is wrong is told in its place, and never with a secret.

use super::*;

/// Each text has one problem, which has a place and contains the other text.
pub(super) fn assert_single(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let problems = problems(text);
        assert_eq!(problems.len(), 1, "{text}\n{problems:?}");
        assert!(problems[0].contains(expected), "{text}\n is:       {problems:?}\n expected: {expected}");
        assert!(!problems[0].starts_with("0:0"), "{problems:?}");
    }
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
        (
            with_section("plans: { p: { requests: 1/s, tokens: 9/min } }"),
            "6:38 plans.p.tokens: expected a quota such as",
        ),
        (with_section("plans: { p: { requests: 1/s, wait: 61s } }"), "6:36 plans.p.wait: expected at most 60s"),
        (with_section("plans: { p: { requests: 1/s, queue: -1 } }"), "plans.p.queue: expected a whole number from 0"),
        (
            with_section("auth_failures: { free: many }"),
            "auth_failures.free: expected a whole number from 0 to 1000000",
        ),
        (with_section("auth_failures: { then: 0/min }"), "auth_failures.then: expected a rate of at least one"),
        (with_section("auth_failures: { free: 1000, then: 1/day }"), "auth_failures.then: at this rate"),
        (with_section("auth_failures: { delay: 2m }"), "auth_failures.delay: expected at most 60s"),
        (with_section("cors: { allowed_headers: ['*'] }"), "cors.allowed_headers[0]: \"*\" is no name"),
        (with_section("cors: { allowed_headers: ['x a'] }"), "cors.allowed_headers[0]: expected the name of a header"),
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
        (
            with_flowise("urls: [http://a]\nhealth: true"),
            "5:15 upstreams.f.flowise.health: expected a map of path, interval",
        ),
        (
            with_flowise("urls: [http://a]\nhealth: { path: ping }"),
            "5:23 upstreams.f.flowise.health.path: expected a path such as /api/v1/ping",
        ),
        (
            with_flowise("urls: [http://a]\nhealth: { intervall: 5s }"),
            "5:17 upstreams.f.flowise.health.intervall: unknown field, did you mean `interval`?",
        ),
        (
            with_flowise("urls: [http://a]\nhealth: { interval: 99ms }"),
            "5:27 upstreams.f.flowise.health.interval: expected at least 100ms",
        ),
        (
            with_flowise("urls: [http://a]\nhealth: { healthy_threshold: 0 }"),
            "5:36 upstreams.f.flowise.health.healthy_threshold: expected a whole number from 1 to 100",
        ),
        (
            with_flowise("urls: [http://a]\ndns_refresh: 10ms"),
            "5:20 upstreams.f.flowise.dns_refresh: expected at least 1s",
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
    let expected = "1:1 : expected a map of server, admin, log, upstreams, keys_file, state_dir, state, session_secret, session_secret_file, telemetry, plans, cors, auth_failures, chatflows, identity, found a list";
    assert_eq!(problems("- upstreams\n"), [expected]);
    assert_eq!(problems("chatflows: 5\nupstreams: [a]\n").len(), 2);
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
    let missing = Config::load(&folder.path("none.yaml")).unwrap_err();
    assert!(missing.to_string().contains("none.yaml: no such file"), "{missing}");
    let empty = folder.load().unwrap_err();
    assert!(empty.to_string().ends_with("flowgate.yaml: the file is empty"), "{empty}");
    let directory = Config::load(folder.0.path()).unwrap_err();
    assert!(directory.to_string().ends_with("expected a file, found a folder"), "{directory}");
    fs::write(folder.path("flowgate.yaml"), b"\xff\xfe\xfd").unwrap();
    let binary = folder.load().unwrap_err();
    assert!(binary.to_string().ends_with("the file is not valid UTF-8"), "{binary}");
}

#[test]
fn a_default_certificate_that_is_not_there_is_missed_at_its_section() {
    let folder = Folder::new(&with_section("server:\n  tls:\n    listen: :8443"));
    fs::remove_file(folder.path("tls.key")).unwrap();
    let problems = folder.load().unwrap_err().to_string();
    let expected = ":8:5: server.tls.key_file: missing, and there is no tls.key in the folder of this file";
    assert!(problems.ends_with(expected), "{problems}");
}

fn with_store(lines: &str) -> String {
    with_section(&format!("state: {{ valkey: {{ {lines} }} }}"))
}

#[test]
fn mistakes_about_the_store() {
    const URL: &str = "urls: ['redis://a']";
    assert_single(&[
        (with_store(""), "6:18 state.valkey.urls: missing: expected a list of at least one URL"),
        (with_store("urls: []"), "expected a list of at least one URL"),
        (with_store("urls: 'redis://a'"), "expected a list, found a string"),
        (with_store("urls: ['http://hunter2@a']"), "state.valkey.urls[0]: only redis, rediss"),
        (with_store("urls: ['redis://a', 'redis://a:6379']"), "urls[1]: this server stands in the list twice"),
        (with_store("urls: ['redis://a', 'redis://b']"), "say which, by `mode: sentinel` or `mode: cluster`"),
        (with_store("mode: cluster, urls: ['redis://a', 'rediss://b']"), "urls[1]: all URLs must agree"),
        (with_store("mode: cluster, urls: ['redis://a/1']"), "a Cluster has no database but 0"),
        (with_store("mode: cluster, urls: ['unix:///a']"), "over TCP, not over a Unix socket"),
        (with_store(&format!("mode: many, {URL}")), "mode: expected single or sentinel or cluster"),
        (with_store(&format!("mode: sentinel, {URL}")), "state.valkey.master_name: missing"),
        (with_store(&format!("master_name: main, {URL}")), "master_name: only with `mode: sentinel`"),
        (with_store(&format!("password: hunter2, password_file: key, {URL}")), "exclude each other"),
        (with_store("urls: ['redis://:hunter2@a'], password: hunter2"), "password: it stands in the URL already"),
        (with_store(&format!("username: ann, {URL}")), "username: a user without a password"),
        (with_store("urls: ['redis://ann@a']"), "urls: a user without a password"),
        (with_store(&format!("password_file: empty, {URL}")), "password_file: the file is empty"),
        (with_store(&format!("ca_file: ca.pem, {URL}")), "ca_file: without TLS there is no certificate"),
        (with_store(&format!("prefix: '{{a}}', {URL}")), "prefix: expected 1 to 64 letters"),
        (with_store(&format!("timeout: 2s, {URL}")), "timeout: expected a time of at most 1s"),
        (with_store(&format!("on_loss: {{ rates: wait }}, {URL}")), "expected share or allow or refuse"),
        (with_store(&format!("on_loss: {{ quotas: share }}, {URL}")), "expected refuse or allow"),
        (with_section("state_dir: a\nstate: { dir: b }"), "7:15 state.dir: `state.dir` and `state_dir` are one"),
    ]);
}
