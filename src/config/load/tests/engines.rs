//! The section `engine` of an upstream.

use super::*;

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
    assert_eq!(watched(&config), [folder.path("key")]);
    assert!(!format!("{config:?}").contains("hunter2"));
    let networked = load_text(&with_engine("flows_dir: flows\nallow_networks: [10.1.2.3/8, '::1']"));
    let networks: Vec<String> = engine(&networked).allow_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
    let led = load_text(&with_engine(
        "flows_dir: flows\naddresses:\n  https://api.a.com: http://10.0.0.1:8080/a\n  'http://b:81': https://c",
    ));
    let shown = |(server, url): &(UpstreamUrl, HttpUrl)| format!("{} {} {url}", server.host, server.port);
    let led: Vec<_> = engine(&led).addresses.iter().map(shown).collect();
    assert_eq!(led, ["api.a.com 443 http://10.0.0.1:8080/a", "b 81 https://c/"]);
    let limited = load_text(&with_engine("limits: { time: 90s, steps: 5, tool_calls: 7, text: 1MiB }"));
    let (time, text) = (Duration::from_secs(90), 1 << 20);
    let limits = crate::config::EngineLimits { time, steps: 5, model_calls: 200, tool_calls: 7, text };
    assert_eq!((engine(&limited).limits, engine(&config).limits), (limits, crate::config::EngineLimits::default()));
    let served = load_text(&with_engine(
        "mcp:\n  servers:\n    a: { command: sh, args: [-c, 7], env: { KEY: '${HUNTER}' } }\n    b: { url: 'http://c/d', headers: { x-key: e } }",
    ));
    let servers = &engine(&served).mcp_servers;
    let secret = |text: &str| Secret::new(text.to_owned());
    let (args, env) = (vec!["-c".to_owned(), "7".to_owned()], vec![("KEY".to_owned(), secret("hunter2"))]);
    assert_eq!(servers["a"], McpServer::Program { command: "sh".to_owned(), args, env });
    let headers = vec![(http::HeaderName::from_static("x-key"), secret("e"))];
    assert_eq!(servers["b"], McpServer::Remote { url: "http://c/d".to_owned(), headers });
    assert!(!format!("{served:?}").contains("hunter2") && engine(&config).mcp_servers.is_empty());
    // One pool for all, as large as the largest that one wants.
    assert_eq!(networked.engine_threads(), networked.server.workers);
    let threads = load_text(
        &with_engine("flows_dir: flows\nthreads: 3").replace("chatflows", "  f: { engine: { threads: 5 } }\nchatflows"),
    );
    assert_eq!((engine(&threads).threads.get(), threads.engine_threads().get()), (3, 5));
    // A name of its own needs no id, and none is made up.
    let named = with_engine("flows_dir: flows").replace(UUID, "support");
    assert_eq!(load_text(&named).chatflows[0].id, None);
}

#[test]
fn code_has_bounds_or_is_off() {
    let read = |lines: &str| engine(&load_text(&with_engine(&format!("flows_dir: flows\n{lines}")))).scripts.clone();
    let usual = crate::config::ScriptSettings::default();
    assert_eq!(read("threads: 1").as_deref(), Some(&usual));
    assert_eq!(
        (usual.memory, usual.compute, usual.time),
        (16 << 20, Duration::from_millis(250), Duration::from_secs(30))
    );
    let set = read("scripts: { memory: 32MiB, compute: 1s, time: 5s, modules: [axios], sql: write }");
    let (memory, modules) = (32 << 20, vec![Box::from("axios")].into());
    let (compute, time) = (Duration::from_secs(1), Duration::from_secs(5));
    assert_eq!(set.as_deref(), Some(&crate::config::ScriptSettings { memory, compute, time, modules, writes: true }));
    assert_eq!(read("scripts: { modules: [] }").map(|set| set.modules.len()), Some(0));
    assert_eq!(read("scripts: false"), None);
}

#[test]
fn credentials_may_stand_in_a_file_of_their_own() {
    let folder = Folder::new(&with_engine(
        "credentials_file: credentials.yaml\ncredentials: { openAIApi: { openAIApiKey: own } }",
    ));
    let file = "openAIApi: { openAIApiKey: theirs, more: \"${HUNTER}\" }\ncd7344ad-e830: { number: 7, none: }\n";
    fs::write(folder.path("credentials.yaml"), file).unwrap();
    let config = folder.load().unwrap();
    let secret = |credential: &str, field: &str| engine(&config).credentials[credential][field].expose().to_owned();
    // Nothing in it is expanded, and what the configuration says counts.
    assert_eq!(["openAIApiKey", "more"].map(|field| secret("openAIApi", field)), ["own", "${HUNTER}"]);
    assert_eq!(["number", "none"].map(|field| secret("cd7344ad-e830", field)), ["7", ""]);
    assert_eq!(watched(&config), [folder.path("credentials.yaml")]);
    assert!(!format!("{config:?}").contains("theirs"));
}

#[test]
fn mistakes_of_an_engine_are_told_in_their_place() {
    for (lines, expected) in [
        ("flows_dir: nowhere", "4:18 upstreams.e.engine.flows_dir: no such folder"),
        ("flows_dir: key", "4:18 upstreams.e.engine.flows_dir: expected a folder, found a file"),
        ("threads: 0", "4:16 upstreams.e.engine.threads: expected a whole number from 1 to 1024"),
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
        (
            "addresses: { 'https://a/b': 'http://c' }",
            "4:20 upstreams.e.engine.addresses.https://a/b: expected a server, such as https://api.example.com",
        ),
        ("addresses: { 'https://a': 'c' }", "4:33 upstreams.e.engine.addresses.https://a: expected a URL such as"),
        (
            "addresses: { 'https://a': 'http://c?d' }",
            "4:33 upstreams.e.engine.addresses.https://a: expected a URL without",
        ),
        ("limits: { time: 0s }", "4:23 upstreams.e.engine.limits.time: a duration of zero makes no sense here"),
        ("limits: { steps: 0 }", "4:24 upstreams.e.engine.limits.steps: expected a whole number from 1 to 10000000"),
        ("limits: { model_calls: x }", "4:30 upstreams.e.engine.limits.model_calls: expected a whole number"),
        ("limits: { tool_calls: -1 }", "4:29 upstreams.e.engine.limits.tool_calls: expected a whole number"),
        ("limits: { text: 1KiB }", "4:23 upstreams.e.engine.limits.text: expected a size from 64KiB to 4GiB"),
        ("limits: { calls: 1 }", "4:17 upstreams.e.engine.limits.calls: unknown field"),
        ("scripts: { memory: 1MiB }", "4:26 upstreams.e.engine.scripts.memory: expected a size from 2MiB to 1GiB"),
        ("scripts: { compute: 2m }", "4:27 upstreams.e.engine.scripts.compute: expected at most 1m"),
        ("scripts: { time: 0s }", "4:24 upstreams.e.engine.scripts.time: a duration of zero makes no sense here"),
        ("scripts: { modules: [fs] }", "4:28 upstreams.e.engine.scripts.modules[0]: no such module; there are axios,"),
        ("scripts: { sql: all }", "4:23 upstreams.e.engine.scripts.sql: expected read or write"),
        ("scripts: { cpu: 1s }", "4:18 upstreams.e.engine.scripts.cpu: unknown field"),
        ("mcp: { servers: { a: {} } }", "4:25 upstreams.e.engine.mcp.servers.a.command: missing: expected `command:`"),
        (
            "mcp: { servers: { a: { command: no-such-program } } }",
            "4:39 upstreams.e.engine.mcp.servers.a.command: no program of",
        ),
        (
            "mcp: { servers: { a: { command: ./nowhere } } }",
            "4:39 upstreams.e.engine.mcp.servers.a.command: no such program",
        ),
        (
            "mcp: { servers: { a: { command: sh, url: http://b } } }",
            "4:48 upstreams.e.engine.mcp.servers.a.url: `command` and",
        ),
        (
            "mcp: { servers: { a: { command: sh, args: x } } }",
            "4:49 upstreams.e.engine.mcp.servers.a.args: expected a list",
        ),
        (
            "mcp: { servers: { a: { command: sh, env: { \"a=b\": c } } } }",
            "4:50 upstreams.e.engine.mcp.servers.a.env.a=b: expected a",
        ),
        (
            "mcp: { servers: { a: { command: sh, headers: { b: c } } } }",
            "4:54 upstreams.e.engine.mcp.servers.a.headers.b: headers are",
        ),
        ("mcp: { servers: { a: { url: b } } }", "4:35 upstreams.e.engine.mcp.servers.a.url: expected a URL"),
        (
            "mcp: { servers: { a: { url: http://b, args: [c] } } }",
            "4:51 upstreams.e.engine.mcp.servers.a.args: args are for",
        ),
        (
            "mcp: { servers: { a: { url: http://b, headers: { \"b c\": d } } } }",
            "4:56 upstreams.e.engine.mcp.servers.a.headers.b c: expected",
        ),
        ("mcp: { server: {} }", "4:14 upstreams.e.engine.mcp.server: unknown field"),
        ("credentials_file: nowhere", "4:25 upstreams.e.engine.credentials_file: no such file"),
        ("credentials_file: key", "4:25 upstreams.e.engine.credentials_file: expected a YAML file of credentials"),
        ("credentials: text", "4:20 upstreams.e.engine.credentials: expected a map"),
    ] {
        let found = problems(&with_engine(lines));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{lines}: {found:?}");
    }
}

#[test]
fn mistakes_of_an_engines_chatflow_are_told_in_their_place() {
    let chatflow = |text: &str| format!("upstreams:\n  e: {{ engine: {{}} }}\nchatflows:\n  {text}\n");
    for (text, expected) in [
        ("\"*\": { upstream: e }", "4:3 chatflows.*: the engine answers flows by their files"),
        ("a: { upstream: e, by_id: true }", "4:28 chatflows.a.by_id: needs the chatflow's `id`"),
        ("a: { upstream: e, body: passthrough }", "4:27 chatflows.a.body: the engine reads what it answers"),
    ] {
        let found = problems(&chatflow(text));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
    }
    let twice = |other: &str| {
        let first = format!("a: {{ upstream: e, id: {UUID}, by_id: true }}");
        problems(&chatflow(&format!("{first}\n  {other}")))
    };
    let of_same_id = format!("b: {{ upstream: e, id: {UUID}, by_id: true }}");
    let of_that_name = format!("{UUID}: {{ upstream: e }}");
    for (other, name) in [(of_same_id, "5:3 chatflows.b"), (of_that_name, "4:3 chatflows.a")] {
        let expected = format!("{name}.by_id: another chatflow is called {UUID} already");
        assert_eq!(twice(&other), [expected]);
    }
    let both = format!(
        "upstreams:\n  e: {{ engine: {{}}, flowise: {{ urls: [http://a] }} }}\nchatflows:\n  {UUID}: {{ upstream: e }}\n"
    );
    assert!(problems(&both)[0].contains("exclude each other"));
}
