//! Flows that come, change and go while the gateway runs, and chatflows that leave Flowise.

use super::{ASK, PATH, STREAM, WIDE, events};
use crate::harness::client;
use crate::harness::gateway::{Gateway, config, keys};
use crate::harness::mounted::{EVERY_WAY, How, Mounted};
use crate::harness::upstream::{Gate, Upstream};
use crate::harness::{FLOW, KEY, model, wait_for};

const ACCEPTED: &str = r#"flowgate_config_reloads_total{file="flows",result="accepted"}"#;
const REJECTED: &str = r#"flowgate_config_reloads_total{file="flows",result="rejected"}"#;

/// The LLM chain with another beginning of its prompt.
fn chain(model: &Upstream, beginning: &str) -> String {
    model::export("llm-chain", model.address).replace("You are an assistant", beginning)
}

fn beginning(model: &Upstream) -> String {
    let told = model::told(&model.seen().pop().expect("a request")).remove(0).1;
    told.split(" for user").next().unwrap_or_default().to_owned()
}

#[test]
fn flows_are_taken_up_as_they_come_change_and_go() {
    for how in EVERY_WAY {
        let model = model::saying("fine");
        let text = model::config("", "", WIDE);
        let mut mount = None;
        let gateway = Gateway::start_with(&text, &keys(""), |dir| {
            let mounted = Mounted::new(&dir.join("flows"), how);
            mounted.put(&[("support.json", &chain(&model, "First"))]);
            mount = Some(mounted);
        });
        let mount = mount.unwrap();
        assert_eq!(gateway.predict(ASK).status, 200);
        assert_eq!(beginning(&model), "First");

        mount.put(&[("support.json", &chain(&model, "Second"))]);
        gateway.wait_metric(ACCEPTED, 1.0);
        assert_eq!(gateway.predict(ASK).status, 200);
        assert_eq!(beginning(&model), "Second", "{how:?}");
        gateway.log_line(|line| line["message"] == "reloaded" && line["files"] == "flows");

        // One that nobody needs may be wrong, and it is said where.
        let odd = chain(&model, "Third").replace("\"promptTemplate\"", "\"oddTemplate\"");
        mount.put(&[("support.json", &chain(&model, "Third")), ("sales.json", &odd)]);
        let place = "flows/sales.json: node \"Prompt Template\" (oddTemplate): Flowise 3.1.4 has no such node any more";
        let line = gateway.log_line(|line| line["problem"].as_str().is_some_and(|problem| problem.ends_with(place)));
        assert_eq!(line["level"], "WARN");
        wait_for("the good file", || {
            assert_eq!(gateway.predict(ASK).status, 200);
            (beginning(&model) == "Third").then_some(())
        });
        // One that is needed keeps what it was.
        mount.put(&[("support.json", "{\"nodes\":["), ("sales.json", &chain(&model, "Sales"))]);
        wait_for("the count", || (gateway.metric(REJECTED) >= 1.0).then_some(()));
        assert_eq!(gateway.predict(ASK).status, 200);
        assert_eq!(beginning(&model), "Third", "{how:?}");

        // A good set afterwards is taken; a new file answers once the configuration names it.
        let before = gateway.metric(ACCEPTED);
        mount.put(&[("support.json", &chain(&model, "Fourth")), ("sales.json", &chain(&model, "Sales"))]);
        wait_for("the good files", || (gateway.metric(ACCEPTED) > before).then_some(()));
        assert_eq!(gateway.predict(ASK).status, 200);
        assert_eq!(beginning(&model), "Fourth", "{how:?}");
        let wider = text.replace("chatflows:\n", "chatflows:\n  sales: { upstream: local }\n");
        gateway.write("flowgate.yaml", wider);
        wait_for("the new chatflow", || {
            let answer = client::post(gateway.http, "/api/v1/prediction/sales", &[("x-api-key", KEY)], ASK);
            (answer.status == 200).then_some(())
        });
        assert_eq!(beginning(&model), "Sales");

        // One that a chatflow needs cannot go.
        std::fs::remove_file(gateway.file("flows/sales.json")).unwrap();
        gateway.log_line(|line| {
            line["problem"]
                .as_str()
                .is_some_and(|problem| problem.contains("chatflows.sales: there is no sales.json in "))
        });
        assert_eq!(gateway.predict(ASK).status, 200);
    }
}

#[test]
fn a_running_stream_keeps_the_flow_it_began_with() {
    let (go_on, gate) = Gate::new();
    let model = Upstream::start(move |_, reply| {
        reply.stream_head();
        model::token(reply, "first");
        gate.pass();
        model::end(reply, 1, 2);
    });
    let gateway = Gateway::start_with(&model::config("", "", WIDE), &keys(""), |dir| {
        model::write(dir, "support", &chain(&model, "First"));
    });
    let mut stream = gateway.begin(STREAM);
    assert!(stream.read_head().is_ok() && stream.read_chunk().unwrap().is_some());
    model::write(gateway.dir(), "support", &model::export("conversation-chain", model.address));
    gateway.wait_metric(ACCEPTED, 1.0);
    go_on.send(()).unwrap();
    assert_eq!(events(&stream.read_rest()).last().map(String::as_str), Some("end"));
}

#[test]
fn a_new_credential_is_used() {
    let model = model::saying("fine");
    let text = model::config("", "", WIDE).replace(model::MODEL_KEY, "{ file: mount/key }");
    let mut mount = None;
    let gateway = Gateway::start_with(&text, &keys(""), |dir| {
        let mounted = Mounted::new(&dir.join("mount"), How::Swap);
        mounted.put(&[("key", "first-model-key\n")]);
        mount = Some(mounted);
        model::write(dir, "support", &chain(&model, "First"));
    });
    assert_eq!(gateway.predict(ASK).status, 200);
    assert_eq!(model.wait_seen(1)[0].header("authorization"), Some("Bearer first-model-key"));
    mount.unwrap().put(&[("key", "second-model-key\n")]);
    gateway.log_line(|line| line["message"] == "reloaded" && line["files"] == "secrets");
    assert_eq!(gateway.predict(ASK).status, 200);
    let seen = model.seen().pop().unwrap();
    assert_eq!(seen.header("authorization"), Some("Bearer second-model-key"));
    assert_eq!(seen.connection, 0, "connections go on");
}

#[test]
fn a_chatflow_leaves_flowise_by_one_line() {
    // The file may bear the public name or Flowise's id.
    for name in ["support", FLOW] {
        let (flowise, model) = (Upstream::answering(), model::saying("from the engine"));
        let ids = ", isolate_sessions: true, override_config: [sessionId]";
        let engine = format!(
            "  local: {{ engine: {{ credentials: {{ openAIApi: {{ openAIApiKey: {} }} }} }} }}\n",
            model::MODEL_KEY
        );
        let before =
            config(flowise.address, "", "", ids, WIDE).replace("chatflows:\n", &format!("{engine}chatflows:\n"));
        let after = before.replace("support: { upstream: flowise", "support: { upstream: local");
        let gateway = Gateway::start_with(&before, &keys(""), |dir| {
            model::write(dir, name, &model::export("conversation-chain", model.address));
        });
        let ask = || client::post(gateway.http, PATH, &[("x-api-key", KEY)], ASK);
        assert_eq!(ask().json()["text"], "hello");
        let at_flowise = flowise.wait_seen(1).remove(0);
        assert_eq!(at_flowise.path, format!("/api/v1/prediction/{FLOW}"));

        gateway.write("flowgate.yaml", after);
        let answer = wait_for("the engine's answer", || {
            let answer = ask();
            assert_eq!(answer.status, 200, "{}", answer.text());
            (answer.json()["text"] == "from the engine").then_some(answer.json())
        });
        // The client's ids, whatever stands behind them.
        assert_eq!((&answer["chatId"], &answer["sessionId"]), (&"c1".into(), &"c1".into()));
        assert!(!answer.to_string().contains(FLOW), "{answer}");
        let streaming = client::get(gateway.http, "/api/v1/chatflows-streaming/support", &[]);
        assert_eq!(streaming.text(), r#"{"isStreaming":true}"#);
        // The id itself is nobody's name.
        let path = format!("/api/v1/prediction/{FLOW}");
        client::post(gateway.http, &path, &[("x-api-key", KEY)], ASK).assert_refused(404, "not_found");
    }
}
