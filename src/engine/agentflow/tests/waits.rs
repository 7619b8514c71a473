//! Flows that wait for their user.

use serde_json::{Value, json};

use super::draw::{Drawing, model, reply};
use super::lab::{Lab, run};

fn asks_user() -> String {
    Drawing::new(&json!({ "startState": [{ "key": "rounds", "value": "one" }] }))
        .node("draft", "llmAgentflow", &model("llm", json!({ "llmEnableMemory": true })))
        .node("ok", "humanInputAgentflow", &json!({
            "humanInputDescriptionType": "fixed", "humanInputDescription": "<p>Sure?</p>", "humanInputEnableFeedback": true,
            "humanInputModelConfig": { "modelName": "left over" },
        }))
        .node("done", "directReplyAgentflow", &reply("Done: {{ draft }} in {{ $flow.state.rounds }}"))
        .node("again", "loopAgentflow", &json!({ "loopBackToNode": "draft-draft", "maxLoopCount": 5 }))
        .line(&["start", "draft", "ok:0", "done"])
        .line(&["ok:1", "again"])
        .export()
}

fn answering(kind: &str, feedback: Option<&str>) -> Value {
    json!({ "chatId": "c", "streaming": true, "humanInput": { "type": kind, "feedback": feedback } })
}

#[test]
fn a_flow_stops_for_its_user_and_goes_on_with_the_answer() {
    run(async {
        let lab = Lab::new(&asks_user()).await;
        let asked = lab.ask(json!({ "question": "Write", "chatId": "c", "streaming": true })).await;
        assert_eq!(asked.text(), "Stub answer to: Write\n\nSure?");
        let end = [
            "token",
            "nextAgentFlow",
            "agentFlowExecutedData",
            "agentFlowEvent",
            "action",
            "agentFlowEvent",
            "metadata",
            "end",
        ];
        assert!(asked.names().ends_with(&end.map(str::to_owned)), "{:?}", asked.names());
        let action = &asked.json["action"];
        assert_eq!(action["mapping"], json!({ "approve": "Proceed", "reject": "Reject" }));
        assert_eq!(action["data"]["nodeId"], "ok");
        let keys: Vec<_> = asked.json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "text",
                "question",
                "chatId",
                "chatMessageId",
                "executionId",
                "agentFlowExecutedData",
                "action",
                "sessionId"
            ]
        );

        let proceeded = lab.ask(answering("proceed", None)).await;
        assert_eq!(proceeded.text(), "Done: Stub answer to: Write in one");
        assert_eq!(proceeded.path(), ["start", "draft", "ok", "done"]);
        assert_eq!(proceeded.json["executionId"], asked.json["executionId"]);
        assert_eq!(proceeded.json.get("question"), None);

        let again = lab.ask(answering("proceed", None)).await;
        assert_eq!(again.json, "Error: predictionsServices.buildChatflow - No previous execution found for session c");
    });
}

#[test]
fn what_the_user_said_is_stored_without_files_and_words_only() {
    run(async {
        let lab = Lab::new(&asks_user()).await;
        let stored = || {
            let turns = lab.services.memory.turns("flow", "c").unwrap();
            turns.into_iter().filter(|turn| turn.by_user).map(|turn| turn.text).collect::<Vec<_>>()
        };
        let file = json!({ "type": "file:full", "name": "a.txt", "mime": "text/plain", "data": "words" });
        lab.ask(json!({ "question": "Write", "chatId": "c", "uploads": [file] })).await;
        assert!(lab.sent()[0].to_string().contains("<doc name='a.txt'>words</doc>"));
        lab.ask(answering("reject", Some("Shorter"))).await;
        lab.ask(answering("proceed", None)).await;
        // A form is told where a flow starts with one, and nowhere else.
        lab.ask(json!({ "form": { "a": "b" }, "chatId": "c" })).await;
        assert_eq!(stored(), ["Write", "Shorter", " ", " "]);
    });
}

#[test]
fn a_rejection_goes_back_with_what_the_user_said() {
    run(async {
        let lab = Lab::new(&asks_user()).await;
        lab.ask(json!({ "question": "Write", "chatId": "c" })).await;
        lab.sent();
        let rejected = lab.ask(answering("reject", Some("Shorter"))).await;
        assert_eq!(rejected.path(), ["start", "draft", "ok", "again", "draft", "ok"]);
        let told = lab.sent()[0]["messages"].clone();
        assert_eq!(told[told.as_array().unwrap().len() - 1], json!({ "role": "user", "content": "Shorter" }));
        assert!(rejected.text().ends_with("Sure?"));
        let done = lab.ask(answering("proceed", None)).await;
        assert!(done.text().starts_with("Done: "), "{}", done.text());
    });
}

#[test]
fn only_where_it_waits_and_only_in_its_own_session() {
    run(async {
        let lab = Lab::new(&asks_user()).await;
        lab.ask(json!({ "question": "Write", "chatId": "c" })).await;
        let mut elsewhere = answering("proceed", None);
        elsewhere["chatId"] = "other".into();
        let answer = lab.ask(elsewhere).await;
        assert_eq!(
            answer.json,
            "Error: predictionsServices.buildChatflow - No previous execution found for session other"
        );
        // A new question is a new run; what waited is forgotten.
        lab.ask(json!({ "question": "Write", "chatId": "c" })).await;
        let mut before = answering("proceed", None);
        before["humanInput"]["startNodeId"] = "draft".into();
        let answer = lab.ask(before).await;
        assert!(answer.json.as_str().unwrap().contains("Node draft not found"), "{}", answer.json);
    });
}

fn careful_agent() -> String {
    let tool = json!({ "agentSelectedTool": "calculator", "agentSelectedToolRequiresHumanInput": true, "agentSelectedToolConfig": {} });
    Drawing::new(&json!({}))
        .node("agent", "agentAgentflow", &model("agent", json!({ "agentTools": [tool], "agentEnableMemory": true })))
        .line(&["start", "agent"])
        .export()
}

const SUM: &str = "Compute [[tool=calculator:{\"input\":\"6*7\"}]]";

#[test]
fn an_agent_asks_before_it_calls_a_tool() {
    run(async {
        let lab = Lab::new(&careful_agent()).await;
        let asked = lab.ask(json!({ "question": SUM, "chatId": "c", "streaming": true })).await;
        assert!(
            asked.text().starts_with("\nAttempting to use tool:\n```json\n{\n  \"name\": \"calculator\""),
            "{}",
            asked.text()
        );
        assert_eq!(asked.data("agent")["output"]["isWaitingForHumanInput"], true);
        assert_eq!(lab.sent().len(), 1);
        let done = lab.ask(answering("proceed", None)).await;
        assert_eq!(done.text(), "Tool said: 42");
        let sent = lab.sent();
        let told = sent[0]["messages"].as_array().unwrap();
        let last: Vec<_> = told.iter().rev().take(2).map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(last, ["tool", "assistant"]);
        assert_eq!(told[told.len() - 2]["tool_calls"][0]["function"]["name"], "calculator");
        assert_eq!(
            done.data("agent")["output"]["usedTools"],
            json!([{ "tool": "calculator", "toolInput": { "input": "6*7" }, "toolOutput": "42" }])
        );
    });
}

#[test]
fn a_model_is_told_of_a_call_that_is_rejected() {
    run(async {
        let lab = Lab::new(&careful_agent()).await;
        for (feedback, told) in [
            (None, "The user rejected this call: it was not made."),
            (Some("Ask me tomorrow"), "The user rejected this call: it was not made. The user says: Ask me tomorrow"),
        ] {
            lab.ask(json!({ "question": SUM, "chatId": "c" })).await;
            lab.sent();
            let done = lab.ask(answering("reject", feedback)).await;
            assert_eq!(done.text(), format!("Tool said: {told}"));
            let sent = lab.sent();
            let last = sent[0]["messages"].as_array().unwrap().last().unwrap().clone();
            assert_eq!((&last["role"], &last["content"]), (&"tool".into(), &told.into()));
            assert_eq!(done.data("agent")["output"].get("usedTools"), None);
        }
    });
}

/// An agent that asks before it calculates, for each of two items; iterations within each other if `deep`.
fn careful_agent_for_each(deep: bool) -> String {
    let tool = json!({ "agentSelectedTool": "calculator", "agentSelectedToolRequiresHumanInput": "true", "agentSelectedToolConfig": {} });
    let said = json!([{ "role": "user", "content": format!("{SUM} {{{{ $iteration }}}}") }]);
    let inputs = model("agent", json!({ "agentTools": [tool], "agentMessages": said }));
    let items = json!({ "iterationInput": "[\"first\", \"second\"]" });
    let drawing = Drawing::new(&json!({}));
    let drawing = if deep {
        let one = json!({ "iterationInput": "[1]" });
        drawing.node("around", "iterationAgentflow", &one).node("each", "iterationAgentflow", &items).inside("around")
    } else {
        drawing.node("each", "iterationAgentflow", &items)
    };
    let first = if deep { "around" } else { "each" };
    drawing.node("agent", "agentAgentflow", &inputs).inside("each").line(&["start", first]).export()
}

#[test]
fn an_iteration_goes_on_at_the_item_for_which_its_user_was_asked() {
    run(async {
        for (deep, asks) in [(false, "each"), (true, "around")] {
            let lab = Lab::new(&careful_agent_for_each(deep)).await;
            let asked = lab.ask(json!({ "question": "x", "chatId": "c", "streaming": true })).await;
            assert!(asked.names().contains(&"action".to_owned()), "{:?}", asked.names());
            assert!(asked.text().contains("Attempting to use tool:"), "{}", asked.text());
            let action = &asked.json["action"]["data"];
            assert_eq!(
                (&action["nodeId"], &action["toolCalls"][0]["args"]),
                (&asks.into(), &json!({ "input": "6*7" }))
            );
            assert_eq!(asked.path(), ["start", asks]);
            assert_eq!(lab.sent().len(), 1, "the second item is not asked about yet");

            let second = lab.ask(answering("proceed", None)).await;
            assert!(second.text().contains("Attempting to use tool:"), "{}", second.text());
            assert_eq!(second.json["action"]["data"]["nodeId"], asks);
            let sent = lab.sent();
            // The first item's model is told what the tool gave, and then the second's is asked.
            assert_eq!(sent.len(), 2);
            let last = sent[0]["messages"].as_array().unwrap().last().unwrap();
            assert_eq!((&last["role"], &last["content"]), (&"tool".into(), &"42".into()));
            assert!(sent[1]["messages"].to_string().contains("second"), "{}", sent[1]);

            let done = lab.ask(answering("reject", None)).await;
            let rejected = "The user rejected this call: it was not made.";
            assert_eq!(done.text(), format!("Tool said: 42\nTool said: {rejected}"));
            assert_eq!(lab.sent().len(), 1);
            let rounds: Vec<_> = done.json["agentFlowExecutedData"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|step| step["nodeId"] == "agent")
                .map(|step| (step["status"].clone(), step["data"]["output"]["usedTools"].clone()))
                .collect();
            let used = json!([{ "tool": "calculator", "toolInput": { "input": "6*7" }, "toolOutput": "42" }]);
            assert_eq!(rounds, [("FINISHED".into(), used), ("FINISHED".into(), Value::Null)]);
            let again = lab.ask(answering("proceed", None)).await;
            assert!(again.json.as_str().unwrap().contains("No previous execution found"), "{}", again.json);
        }
    });
}

#[test]
fn a_run_that_is_too_large_to_be_kept_asks_nobody() {
    run(async {
        let lab = Lab::new(&asks_user()).await;
        // The question, and the model's answer that repeats it.
        let question = "What-is-a-gateway?".repeat(40_000);
        let refused = lab.ask(json!({ "question": question, "chatId": "c", "streaming": true })).await;
        let reason =
            "Error: predictionsServices.buildChatflow - The run cannot be kept: what it holds is larger than 1 MiB";
        assert_eq!(refused.json, reason);
        assert!(!refused.names().contains(&"action".to_owned()), "{:?}", refused.names());
        assert_eq!(lab.services.memory.run("flow", "c"), Ok(None));
        let again = lab.ask(answering("proceed", None)).await;
        assert!(again.json.as_str().unwrap().contains("No previous execution found"), "{}", again.json);
        // Repeated, a long text is kept once.
        let asked = lab.ask(json!({ "question": &question[..250_000], "chatId": "d", "streaming": true })).await;
        assert!(asked.names().contains(&"action".to_owned()));
        let kept = lab.services.memory.run("flow", "d").unwrap().unwrap().len();
        assert!(kept < 900_000, "{kept}");
        let proceeded = lab.ask(json!({ "chatId": "d", "humanInput": { "type": "proceed" } })).await;
        assert!(proceeded.text().starts_with("Done: Stub answer to: What-is-a-gateway?"));
    });
}
