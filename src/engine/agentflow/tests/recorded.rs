//! The transcripts in `tests/flowise/wire`.

use std::path::Path;

use serde_json::{Value, json};

use super::lab::{Answer, Lab, export, run};

/// One exchange of a transcript.
struct Exchange {
    asked: Value,
    /// The JSON answer.
    json: Option<Value>,
    events: Vec<Value>,
    /// What the model was sent.
    sent: Vec<Value>,
}

/// The exchanges of a transcript whose headings start so.
fn exchanges(file: &str, heading: &str) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/flowise/wire/{file}.txt"));
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n=== ").skip(1).filter(|part| part.starts_with(heading)).map(exchange).collect()
}

fn exchange(part: &str) -> Exchange {
    let (asked, answer) = part.split_once("\n<<< response").unwrap();
    let asked = asked.lines().rfind(|line| line.starts_with('{')).unwrap();
    let parsed = |line: &str| serde_json::from_str(line).unwrap();
    let (answer, sent) = answer.split_once("\n#").map_or((answer, ""), |(answer, sent)| (answer, sent));
    let sent = sent.split("authorization:").skip(1).filter_map(|part| {
        let body = part.split_once("\n{")?.1.split_once("\n}")?.0;
        serde_json::from_str(&format!("{{{body}}}")).ok()
    });
    Exchange {
        asked: parsed(asked),
        json: answer.lines().find(|line| line.starts_with('{')).map(parsed),
        events: answer.lines().filter_map(|line| line.strip_prefix("data:")).map(parsed).collect(),
        sent: sent.collect(),
    }
}

/// Without ids, times, and what is the installation's: its credentials, its address, estimates.
fn neutral(value: &Value) -> Value {
    const OWN: &[&str] = &[
        "chatId",
        "chatMessageId",
        "executionId",
        "sessionId",
        "timeMetadata",
        "credential",
        "FLOWISE_CREDENTIAL_ID",
        "basepath",
        "baseOptions",
        "vars",
        "responseMetadata",
        "id",
        "tool_call_id",
    ];
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| match OWN.contains(&name.as_str()) {
                // That they are there counts.
                true if matches!(
                    name.as_str(),
                    "timeMetadata" | "chatId" | "chatMessageId" | "executionId" | "sessionId"
                ) =>
                {
                    (name.clone(), Value::Null)
                }
                true => (String::new(), Value::Null),
                false => (name.clone(), neutral(value)),
            });
            Value::Object(fields.filter(|(name, _)| !name.is_empty()).collect())
        }
        Value::Array(items) => items.iter().map(neutral).collect(),
        Value::String(text) => match text.split_once("Session: ") {
            Some((before, _)) => before.into(),
            None => text.as_str().into(),
        },
        value => value.clone(),
    }
}

/// In order, so that differences in the order of fields are seen.
#[track_caller]
fn assert_same(ours: &Value, theirs: &Value, what: &str) {
    let [ours, theirs] = [ours, theirs].map(|value| serde_json::to_string_pretty(&neutral(value)).unwrap());
    assert_eq!(ours, theirs, "{what}");
}

#[track_caller]
fn check(exchange: &Exchange, answer: &Answer, sent: &[Value]) {
    if let Some(json) = &exchange.json {
        assert_same(&answer.json, json, "the answer");
    }
    if !exchange.events.is_empty() {
        let names: Vec<_> = exchange.events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(answer.names(), names);
        for (ours, theirs) in answer.events.iter().zip(&exchange.events) {
            assert_same(ours, theirs, "an event");
        }
    }
    if !exchange.sent.is_empty() {
        assert_eq!(sent.len(), exchange.sent.len());
        for (ours, theirs) in sent.iter().zip(&exchange.sent) {
            // Objects are the same in any order.
            assert_eq!(neutral(ours), neutral(theirs), "what the model was sent");
        }
    }
}

/// Asks the same, one after the other, with those variables.
fn replay(flow: &str, file: &str, headings: &[&str], vars: &Value) {
    run(async {
        let lab = Lab::new(&export(flow)).await;
        for exchange in headings.iter().flat_map(|heading| exchanges(file, heading)) {
            let mut asked = exchange.asked.clone();
            if asked.get("chatId").is_none() {
                asked["chatId"] = format!("chat-{}", lab.chat()).into();
            }
            asked["overrideConfig"] = json!({ "vars": vars });
            let answer = lab.ask(asked).await;
            check(&exchange, &answer, &lab.sent());
        }
    });
}

#[test]
fn a_model_is_asked_with_what_was_said_before() {
    replay("agentflow-llm", "12-agentflow-llm", &["JSON", "stream", "with history"], &json!({}));
}

#[test]
fn a_reply_uses_state_variables_and_the_models_answer() {
    let vars = json!({ "userId": "default-user" });
    replay("agentflow-llm-reply", "13-agentflow-llm-reply", &["JSON", "stream"], &vars);
}

#[test]
fn a_form_is_told_and_stays_open_where_it_is_not_filled_in() {
    replay("agentflow-form", "14-agentflow-form", &["JSON"], &json!({}));
    replay("agentflow-form", "14-agentflow-form", &["stream"], &json!({}));
    replay("agentflow-form", "14-agentflow-form", &["a question where"], &json!({}));
}

#[test]
fn an_agent_calls_a_tool() {
    replay("agentflow-agent-tool", "15-agentflow-agent-tool", &["JSON", "stream"], &json!({}));
}

#[test]
fn nothing_asked_is_nothing_told() {
    replay("agentflow-llm", "07-bad-requests", &["agentflow without a question"], &json!({}));
}

#[test]
fn failures_are_told_as_they_happen() {
    replay("agentflow-llm", "28-llm-errors", &["400, agentflow stream"], &json!({}));
    run(async {
        let lab = Lab::new(&export("agentflow-llm")).await;
        let answer = lab.ask(json!({ "question": "[[error=400]]" })).await;
        let sentence = "Error: predictionsServices.buildChatflow - Error in LLM node: 400 stub error 400";
        assert_eq!(answer.json, sentence);
    });
}
