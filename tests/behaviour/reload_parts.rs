//! Keys, each flow, certificates, secret files and configuration: each is taken up by itself, whatever the others are.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::client::{self, Response};
use crate::harness::gateway::{BINARY, Gateway, config, simple};
use crate::harness::tls::Authority;
use crate::harness::upstream::Upstream;
use crate::harness::{FLOW, KEY, model, pause, sha256, wait_for};

const PATH: &str = "/api/v1/prediction/support";
const LOCAL: &str = "/api/v1/prediction/local";
const ASK: &str = r#"{"question":"hi","chatId":"c1"}"#;
const OTHER: &str = "other-key-0123456789abcdef";
const PLANS: &str = "plans:\n  default: { requests: 1000000/min, burst: 100000, concurrent: 1000 }\n  \
                     gold: { requests: 1000000/min, burst: 100000, concurrent: 1000 }\n";

/// A gateway with a part of every kind, and what it needs.
struct Everything {
    gateway: Gateway,
    flowise: Upstream,
    model: Upstream,
    text: String,
}

impl Everything {
    fn start() -> Self {
        let (flowise, model, authority) = (Upstream::answering(), model::saying("fine"), Authority::new());
        let engine = format!(
            "  local: {{ engine: {{ credentials: {{ openAIApi: {{ openAIApiKey: {} }} }} }} }}\n",
            model::MODEL_KEY
        );
        let chatflows = "chatflows:\n  local: { upstream: local, isolate_sessions: false }\n";
        let text = config(flowise.address, ", tls: { listen: '127.0.0.1:0' }", "", "", PLANS)
            .replace("api_key: upstream-key", "api_key_file: upstream.key")
            .replace("chatflows:\n", &format!("{engine}{chatflows}"));
        let gateway = Gateway::start_with(&text, &keys_of("", &[("app", KEY), ("partner", OTHER)]), |dir| {
            authority.write_into(dir);
            fs::write(dir.join("upstream.key"), "first-upstream-key\n").unwrap();
            model::write(dir, "local", &chain(&model, "First"));
        });
        Self { gateway, flowise, model, text }
    }

    fn write(&self, name: &str, text: &str) {
        self.gateway.write(name, text);
    }

    fn rejected(&self, part: &str) -> f64 {
        self.gateway.metric(&format!("flowgate_config_reloads_total{{file=\"{part}\",result=\"rejected\"}}"))
    }

    #[track_caller]
    fn wait_rejected(&self, part: &str) {
        wait_for(&format!("rejected {part}"), || (self.rejected(part) >= 1.0).then_some(()));
    }

    #[track_caller]
    fn wait_refused(&self, key: &str) {
        wait_for("the refusal", || (self.ask(PATH, key).status == 401).then_some(()));
    }

    fn ask(&self, path: &str, key: &str) -> Response {
        client::post(self.gateway.http, path, &[("x-api-key", key)], ASK)
    }

    /// The beginning of the prompt of the flow that answers.
    fn beginning(&self) -> String {
        let answer = self.ask(LOCAL, KEY);
        assert_eq!(answer.status, 200, "{}", answer.text());
        model::told(&self.model.seen().pop().unwrap()).remove(0).1.split(' ').next().unwrap().to_owned()
    }
}

/// A keys file with these keys by id; `more` goes into each.
fn keys_of(more: &str, entries: &[(&str, &str)]) -> String {
    entries.iter().fold("keys:\n".to_owned(), |mut text, (id, key)| {
        writeln!(text, "  - {{ id: {id}, sha256: {}{more} }}", sha256(key)).unwrap();
        text
    })
}

/// The LLM chain with another beginning of its prompt.
fn chain(model: &Upstream, beginning: &str) -> String {
    model::export("llm-chain", model.address).replace("You are an assistant", &format!("{beginning} one"))
}

#[test]
fn a_revoked_key_is_refused_whatever_else_is_wrong() {
    let wrong: [(&str, &str, Option<&str>); 7] = [
        ("flows/local.json", "{\"nodes\":[", Some("flows")),
        ("flows/idle.json", "{\"nodes\":[", None),
        ("flows/local.json", "", Some("flows")),
        ("flowgate.yaml", "chatflows: [", Some("config")),
        ("upstream.key", "", Some("secrets")),
        ("tls.crt", "-----BEGIN", Some("certificates")),
        ("tls.key", "", Some("certificates")),
    ];
    for (file, text, part) in wrong {
        let all = Everything::start();
        assert_eq!(all.ask(PATH, OTHER).status, 200);
        all.write(file, text);
        match part {
            Some(part) => all.wait_rejected(part),
            None => {
                all.gateway.log_line(|line| {
                    line["level"] == "WARN"
                        && line["message"].as_str().is_some_and(|said| said.contains("no chatflow needs"))
                });
            }
        }
        all.write("keys.yaml", &keys_of("", &[("app", KEY)]));
        all.wait_refused(OTHER);
        assert_eq!([all.ask(PATH, KEY).status, all.ask(LOCAL, KEY).status], [200, 200], "{file}");
        assert_eq!(all.flowise.seen().pop().unwrap().header("x-api-key"), Some("first-upstream-key"), "{file}");
    }
}

#[test]
fn files_that_go_take_nothing_with_them() {
    let all = Everything::start();
    for file in ["flows/local.json", "upstream.key", "tls.crt"] {
        fs::remove_file(all.gateway.file(file)).unwrap();
    }
    fs::remove_dir_all(all.gateway.file("flows")).unwrap();
    for part in ["flows", "secrets", "certificates"] {
        all.wait_rejected(part);
    }
    all.write("keys.yaml", &keys_of("", &[("app", KEY)]));
    all.wait_refused(OTHER);
    // Nor do they hold back the configuration.
    let wider = all.text.replace("  support:", &format!("  sales: {{ upstream: flowise, id: {FLOW} }}\n  support:"));
    all.write("flowgate.yaml", &wider);
    wait_for("the new chatflow", || (all.ask("/api/v1/prediction/sales", KEY).status == 200).then_some(()));
    assert_eq!(all.beginning(), "First");
    // And they come back.
    model::write(all.gateway.dir(), "local", &chain(&all.model, "Second"));
    wait_for("the flow", || (all.beginning() == "Second").then_some(()));
    all.write("upstream.key", "second-upstream-key");
    Authority::new().write_into(all.gateway.dir());
    all.gateway.wait_metric("flowgate_config_last_reload_successful", 1.0);
    assert_eq!(all.ask(PATH, KEY).status, 200);
    assert_eq!(all.flowise.seen().pop().unwrap().header("x-api-key"), Some("second-upstream-key"));
}

#[test]
fn broken_keys_hold_back_nothing_else() {
    let all = Everything::start();
    all.write("keys.yaml", "keys:\n  - { id: app");
    all.wait_rejected("keys");
    model::write(all.gateway.dir(), "local", &chain(&all.model, "Second"));
    wait_for("the new flow", || (all.beginning() == "Second").then_some(()));
    all.write("upstream.key", "second-upstream-key");
    wait_for("the new key at the upstream", || {
        assert_eq!(all.ask(PATH, OTHER).status, 200);
        (all.flowise.seen().pop()?.header("x-api-key") == Some("second-upstream-key")).then_some(())
    });
    let wider = all.text.replace("  support:", &format!("  sales: {{ upstream: flowise, id: {FLOW} }}\n  support:"));
    all.write("flowgate.yaml", &wider);
    wait_for("the new chatflow", || (all.ask("/api/v1/prediction/sales", OTHER).status == 200).then_some(()));
}

#[test]
fn a_broken_configuration_holds_back_no_secret_and_no_flow() {
    let all = Everything::start();
    all.write("flowgate.yaml", "chatflows: [");
    all.wait_rejected("config");
    all.write("upstream.key", "second-upstream-key");
    model::write(all.gateway.dir(), "local", &chain(&all.model, "Second"));
    wait_for("the new key at the upstream", || {
        assert_eq!(all.ask(PATH, KEY).status, 200);
        (all.flowise.seen().pop()?.header("x-api-key") == Some("second-upstream-key")).then_some(())
    });
    wait_for("the new flow", || (all.beginning() == "Second").then_some(()));
}

#[test]
fn one_flow_that_breaks_holds_back_no_other() {
    let model = model::saying("fine");
    let text = model::config("", "", PLANS)
        .replace("chatflows:\n", "chatflows:\n  local: { upstream: local, isolate_sessions: false }\n");
    let gateway = Gateway::start_with(&text, &keys_of("", &[("app", KEY)]), |dir| {
        for name in ["support", "local"] {
            model::write(dir, name, &chain(&model, "First"));
        }
    });
    let beginning = |path| {
        let answer = client::post(gateway.http, path, &[("x-api-key", KEY)], ASK);
        assert_eq!(answer.status, 200, "{}", answer.text());
        model::told(&model.seen().pop().unwrap()).remove(0).1.split(' ').next().unwrap().to_owned()
    };
    model::write(gateway.dir(), "support", "{\"nodes\":[");
    model::write(gateway.dir(), "local", &chain(&model, "Second"));
    wait_for("the good one", || (beginning(LOCAL) == "Second").then_some(()));
    gateway.wait_metric(r#"flowgate_config_held_back{file="flows"}"#, 1.0);
    assert_eq!(beginning(PATH), "First");
    gateway.log_line(|line| {
        line["file"] == "flows" && line["problem"].as_str().is_some_and(|problem| problem.contains("support.json"))
    });
    model::write(gateway.dir(), "support", &chain(&model, "Third"));
    wait_for("the other one", || (beginning(PATH) == "Third").then_some(()));
    gateway.wait_metric(r#"flowgate_config_held_back{file="flows"}"#, 0.0);
}

#[test]
fn a_flow_that_nobody_needs_may_be_broken() {
    let model = model::saying("fine");
    let prepare = |dir: &Path| {
        model::write(dir, "support", &chain(&model, "First"));
        model::write(dir, "idle", "{\"nodes\":[");
    };
    let gateway = Gateway::start_with(&model::config("", "", PLANS), &keys_of("", &[("app", KEY)]), prepare);
    let is_told = |line: &serde_json::Value| line["problem"].as_str().is_some_and(|told| told.contains("idle.json"));
    assert_eq!(gateway.log_line(is_told)["level"], "WARN");
    assert_eq!(client::post(gateway.http, PATH, &[("x-api-key", KEY)], ASK).status, 200);
    let check = || {
        let output =
            Command::new(BINARY).args(["check", "--config"]).arg(gateway.file("flowgate.yaml")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = check();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("warning: ") && told.contains("idle.json"), "{told}");
    // Once a chatflow names it, it must be right.
    let named = model::config("", "", PLANS).replace("chatflows:\n", "chatflows:\n  idle: { upstream: local }\n");
    gateway.write("flowgate.yaml", named);
    gateway.wait_metric(r#"flowgate_config_reloads_total{file="config",result="rejected"}"#, 1.0);
    gateway.log_line(|line| is_told(line) && line["level"] == "ERROR");
    let (code, told) = check();
    assert!(code == Some(2) && !told.contains("warning"), "{told}");
}

#[test]
fn a_problem_is_told_once_until_it_changes() {
    let all = Everything::start();
    // A node that lacks something is warned of with each set that is put together.
    model::write(all.gateway.dir(), "idle", &chain(&all.model, "Idle").replace("openAIApi", "mistralAIApi"));
    all.write("keys.yaml", "keys:\n  - { id: app");
    all.wait_rejected("keys");
    for number in 0..40 {
        all.write("notes.txt", &format!("{number}"));
        all.write("upstream.key", &format!("upstream-key-{}", number / 10));
        pause();
        let _ = all.ask(PATH, KEY);
    }
    all.write("keys.yaml", "keys:\n  - { id: app, sha256: 12 }\n");
    all.gateway.log_line(|line| line["problem"].as_str().is_some_and(|told| told.contains("keys.yaml:2:")));
    all.write("keys.yaml", &keys_of("", &[("app", KEY)]));
    all.wait_refused(OTHER);
    let log = all.gateway.log();
    let told: Vec<_> = log.iter().filter(|line| line.contains("\"ERROR\"") && line.contains("keys.yaml")).collect();
    assert!((1..=2).contains(&told.len()), "{told:?}");
    let warned = log.iter().filter(|line| line.contains("will fail for want of something")).count();
    assert!(warned <= 1, "{log:?}");
}

#[test]
fn the_outcome_of_a_reload_is_a_metric() {
    const SUCCESSFUL: &str = "flowgate_config_last_reload_successful";
    const TIME: &str = "flowgate_config_last_reload_success_timestamp_seconds";
    let all = Everything::start();
    let begun = all.gateway.metric(TIME);
    assert!(begun > 1.7e9, "{begun}");
    all.gateway.wait_metric(SUCCESSFUL, 1.0);
    let held = |part: &str| all.gateway.metric(&format!("flowgate_config_held_back{{file=\"{part}\"}}")) > 0.0;
    assert!(!held("keys") && !held("config"));
    all.write("keys.yaml", "keys: [");
    all.gateway.wait_metric(SUCCESSFUL, 0.0);
    assert!(held("keys") && !held("config") && !held("flows"));
    all.write("keys.yaml", &keys_of("", &[("app", KEY)]));
    all.gateway.wait_metric(SUCCESSFUL, 1.0);
    assert!(!held("keys") && all.gateway.metric(TIME) >= begun);
}

#[test]
fn a_keys_file_that_does_not_fit_the_configuration_revokes_all_the_same() {
    let all = Everything::start();
    // The plan is in a configuration that nobody can read yet.
    all.write("flowgate.yaml", "plans: [");
    all.wait_rejected("config");
    let with_plan = keys_of("", &[("app", KEY)])
        + &format!("  - {{ id: new, sha256: {}, plan: silver }}\n", sha256("new-key-0123456789abcdef"));
    all.write("keys.yaml", &with_plan);
    all.wait_refused(OTHER);
    all.wait_rejected("keys");
    assert_eq!(all.ask(PATH, KEY).status, 200);
    assert_eq!(all.ask(PATH, "new-key-0123456789abcdef").status, 401, "nothing is granted by halves");
    all.write("flowgate.yaml", &all.text.replace("  gold:", "  silver:"));
    wait_for("the new key", || (all.ask(PATH, "new-key-0123456789abcdef").status == 200).then_some(()));
    all.gateway.wait_metric("flowgate_config_last_reload_successful", 1.0);
}

#[test]
fn a_configuration_that_good_keys_do_not_fit_waits_for_them() {
    let all = Everything::start();
    let both = [("app", KEY), ("partner", OTHER)];
    all.write("keys.yaml", &keys_of(", plan: gold", &both));
    all.gateway.wait_metric(r#"flowgate_config_reloads_total{file="keys",result="accepted"}"#, 1.0);
    all.write("flowgate.yaml", &all.text.replace("  gold:", "  silver:"));
    all.wait_rejected("config");
    all.gateway.log_line(|line| {
        line["file"] == "config"
            && line["problem"].as_str().is_some_and(|told| told.contains("no plan is called `gold`"))
    });
    // Keys go on by the configuration in force.
    all.write("keys.yaml", &keys_of(", plan: gold", &both[..1]));
    all.wait_refused(OTHER);
    assert_eq!(all.ask(PATH, KEY).status, 200);
    all.write("keys.yaml", &keys_of(", plan: silver", &both[..1]));
    all.gateway.wait_metric("flowgate_config_last_reload_successful", 1.0);
    assert_eq!(all.ask(PATH, KEY).status, 200);
}

#[test]
fn what_needs_a_restart_says_so_until_it_is_as_it_runs_again() {
    let upstream = Upstream::answering();
    let as_started = simple(upstream.address);
    let gateway = Gateway::start(&as_started);
    let of = |message: &'static str| {
        move |line: &serde_json::Value| line["message"] == message && line["field"] == "server.max_connections"
    };
    let file = gateway.file("flowgate.yaml");
    fs::write(&file, as_started.replace("workers: 1", "workers: 1, max_connections: 77")).unwrap();
    assert_eq!(gateway.log_line(of("this change takes effect after a restart"))["level"], "WARN");
    fs::write(&file, &as_started).unwrap();
    assert_eq!(gateway.log_line(of("this is as it runs again and needs no restart"))["level"], "INFO");
    let warned = |line: &String| line.contains("takes effect after a restart");
    assert_eq!(gateway.log().iter().filter(|line| warned(line)).count(), 1);
}
