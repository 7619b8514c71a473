//! Flows that were not recorded, by what Flowise's source says of them.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::draw::{Drawing, model, reply};
use super::lab::{Lab, export, run};

fn messages(sent: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = sent["messages"].as_array().cloned().unwrap_or_default();
    all.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_later_node_hears_what_an_earlier_one_said_and_who_it_was() {
    let flow = Drawing::new(&json!({}))
        .node(
            "First Voice",
            "llmAgentflow",
            &model(
                "llm",
                json!({ "llmMessages": [{ "role": "developer", "content": "<p>Be <strong>brief</strong>.</p>" }] }),
            ),
        )
        .node(
            "Second",
            "llmAgentflow",
            &model(
                "llm",
                json!({
                    "llmEnableMemory": true, "llmMemoryType": "allMessages", "llmUserMessage": "<p>Go on.</p>",
                    "llmReturnResponseAs": "assistantMessage",
                }),
            ),
        )
        .line(&["start", "First Voice", "Second"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "Hi", "chatId": "c", "streaming": true })).await;
        let sent = lab.sent();
        assert_eq!(messages(&sent[0]), pairs(&[("system", "Be **brief**."), ("user", "Hi")]));
        assert_eq!(messages(&sent[1]), pairs(&[("user", "Hi"), ("user", "Stub answer to: Hi"), ("user", "Go on.")]));
        assert_eq!(sent[1]["messages"][1]["name"], "first_voice");
        // Only the last node's words are the client's.
        let tokens: String = answer
            .events
            .iter()
            .filter(|event| event["event"] == "token")
            .filter_map(|event| event["data"].as_str())
            .collect();
        assert_eq!(tokens, "Stub answer to: Go on.");
        assert_eq!(answer.data("Second")["chatHistory"][0]["role"], "assistant");
    });
}

#[test]
fn a_described_answer_changes_the_state_that_decides() {
    let fields = json!([{ "key": "next", "type": "enum", "enumValues": "A, B", "description": "who" }]);
    let flow = Drawing::new(&json!({ "startState": [{ "key": "next", "value": "" }] }))
        .node("ask", "llmAgentflow", &model("llm", json!({
            "llmStructuredOutput": fields, "llmUpdateState": [{ "key": "next", "value": "<p>{{ output.next }} </p>" }],
        })))
        .node("choose", "conditionAgentflow", &json!({ "conditions": [
            { "type": "string", "value1": "<p>{{ $flow.state.next }}</p>", "operation": "equal", "value2": "<p>A</p>" },
            { "type": "string", "value1": "<p>{{ $flow.state.next }}</p>", "operation": "equal", "value2": "<p>B</p>" },
        ] }))
        .node("a", "directReplyAgentflow", &reply("a"))
        .node("b", "directReplyAgentflow", &reply("to {{ ask.output.next }}: {{ ask }}"))
        .node("c", "directReplyAgentflow", &reply("c"))
        .line(&["start", "ask", "choose:0", "a"])
        .line(&["choose:1", "b"])
        .line(&["choose:2", "c"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "x [[form={\"next\":\"B\"}]]", "chatId": "c" })).await;
        let sent = lab.sent();
        assert_eq!(sent[0]["tool_choice"]["function"]["name"], "extract");
        let schema = &sent[0]["tools"][0]["function"]["parameters"];
        assert_eq!(schema["properties"]["next"], json!({ "type": "string", "enum": ["A", "B"], "description": "who" }));
        assert_eq!(answer.text(), "to B: {\n  \"next\": \"B\"\n}");
        assert_eq!(answer.path(), ["start", "ask", "choose", "b"]);
        assert_eq!(answer.data("choose")["state"], json!({ "next": "B" }));
        let other = lab.ask(json!({ "question": "x [[form={\"next\":\"?\"}]]", "chatId": "c" })).await;
        assert_eq!(other.text(), "c");
    });
}

#[test]
fn a_model_chooses_a_scenario() {
    let inputs = json!({
        "conditionAgentInstructions": "<p>Sort it.</p>", "conditionAgentInput": "<p>{{ question }} </p>",
        "conditionAgentScenarios": [{ "scenario": "AI Related" }, { "scenario": "General" }],
    });
    let flow = Drawing::new(&json!({}))
        .node("sort", "conditionAgentAgentflow", &model("conditionAgent", inputs))
        .node("ai", "directReplyAgentflow", &reply("ai"))
        .node("general", "directReplyAgentflow", &reply("general"))
        .line(&["start", "sort:0", "ai"])
        .line(&["sort:1", "general"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let question = "[[say={\"output\": \"general\"}]]";
        let answer = lab.ask(json!({ "question": question, "chatId": "c" })).await;
        assert_eq!(answer.text(), "general");
        let told = messages(&lab.sent()[0]);
        assert_eq!(told.len(), 4);
        assert!(told[0].1.starts_with("You are part of a multi-agent system"));
        assert_eq!(told[2].1, "```json\n{\"output\": \"user is not asking about AI\"}\n```");
        let asked =
            format!(r#"{{"input": {question}, "scenarios": ["AI Related","General"], "instruction": Sort it.}}"#);
        assert_eq!(told[3], ("user".to_owned(), asked));
        let failed = lab.ask(json!({ "question": "no JSON", "chatId": "c" })).await;
        let sentence = failed.json.as_str().unwrap();
        assert!(sentence.contains("Error in Condition Agent node: Failed to parse a valid scenario"), "{sentence}");
    });
}

#[test]
fn a_loop_goes_back_so_often_and_then_says_so() {
    let flow = Drawing::new(&json!({}))
        .node("say", "llmAgentflow", &model("llm", json!({})))
        .node("again", "loopAgentflow", &json!({ "loopBackToNode": "say-Say", "maxLoopCount": 3, "fallbackMessage": "Enough after {{ loop_count }}" }))
        .line(&["start", "say", "again"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "Hi", "chatId": "c", "streaming": true })).await;
        assert_eq!(answer.path(), ["start", "say", "again", "say", "again", "say", "again"]);
        assert_eq!(answer.text(), "Enough after 2");
        assert_eq!(answer.events.iter().filter(|event| event["event"] == "token").count(), 1);
        // Without memory a node that is run again is told nothing.
        assert_eq!(messages(&lab.sent()[2]), pairs(&[]));
    });
}

#[test]
fn an_iteration_runs_what_is_inside_for_each() {
    let flow = Drawing::new(&json!({ "startState": [{ "key": "last", "value": "none" }] }))
        .node("each", "iterationAgentflow", &json!({ "iterationInput": "<p>[{\"item\": \"one\"}, {\"item\": \"[[error=400]]\"}, {\"item\": \"two\"}]</p>" }))
        .node("inner", "llmAgentflow", &model("llm", json!({
            "llmMessages": [{ "role": "user", "content": "<p>Do {{$iteration.item}} after {{ $flow.state.last }}</p>" }],
            "llmUpdateState": [{ "key": "last", "value": "{{ $iteration.item }}" }],
        })))
        .inside("each")
        .node("wrap", "directReplyAgentflow", &reply("[{{ inner }}]"))
        .inside("each")
        .node("end", "directReplyAgentflow", &reply("{{ each }} ({{ $flow.state.last }})"))
        .line(&["start", "each", "end"])
        .line(&["inner", "wrap"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "Hi", "chatId": "c", "streaming": true })).await;
        assert_eq!(
            answer.text(),
            "[Stub answer to: Do one after none]\nError in iteration 2: Error in LLM node: 400 stub error 400\n\
             [Stub answer to: Do two after one] (two)"
        );
        assert_eq!(answer.path(), ["start", "inner", "wrap", "inner", "wrap", "each", "end"]);
        let inner = answer.data("inner");
        assert_eq!(inner["iterationIndex"], 2);
        assert_eq!(inner["parentNodeId"], "each");
        let context =
            json!({ "index": 2, "value": { "item": "two" }, "isFirst": false, "isLast": true, "sessionId": "c" });
        assert_eq!(inner["iterationContext"], context);
        // What was run is told where it ends, and for nodes of the flow itself.
        assert_eq!(answer.names().iter().filter(|name| *name == "agentFlowExecutedData").count(), 3);
    });
}

#[test]
fn branches_that_meet_are_waited_for() {
    let flow = Drawing::new(&json!({}))
        .node("a", "directReplyAgentflow", &reply("A"))
        .node("b", "directReplyAgentflow", &reply("B"))
        .node("both", "directReplyAgentflow", &reply("{{ a }}{{ b }}"))
        .line(&["start", "a", "both"])
        .line(&["start", "b", "both"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "Hi", "chatId": "c" })).await;
        assert_eq!((answer.text(), answer.path()), ("AB", vec!["start", "a", "b", "both"]));
        assert_eq!(answer.json["agentFlowExecutedData"][3]["previousNodeIds"], json!(["a", "b"]));
    });
}

#[test]
fn what_a_user_says_is_no_template() {
    let flow = Drawing::new(&json!({ "startState": [{ "key": "secret", "value": "hidden" }] }))
        .node("echo", "directReplyAgentflow", &reply("{{ question }} / {{ $flow.state.secret }} / {{ unknown }}"))
        .line(&["start", "echo"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "{{ $flow.state.secret }} $&", "chatId": "c" })).await;
        assert_eq!(answer.text(), "{{ $flow.state.secret }} $& / hidden / {{ unknown }}");
    });
}

#[test]
fn a_state_is_kept_and_a_memory_forgotten_where_the_start_says_so() {
    let flow = Drawing::new(&json!({
        "startState": [{ "key": "seen", "value": "nobody" }], "startPersistState": true, "startEphemeralMemory": true,
    }))
    .node("say", "llmAgentflow", &model("llm", json!({
        "llmEnableMemory": true, "llmMessages": [{ "role": "system", "content": "Seen: {{ $flow.state.seen }}" }],
        "llmUpdateState": [{ "key": "seen", "value": "{{ question }}" }],
    })))
    .line(&["start", "say"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        for question in ["Ann", "Bob"] {
            lab.ask(json!({ "question": question, "chatId": "c" })).await;
        }
        lab.ask(json!({ "question": "Cid", "chatId": "other" })).await;
        let sent = lab.sent();
        assert_eq!(messages(&sent[1]), pairs(&[("system", "Seen: Ann"), ("user", "Bob")]));
        assert_eq!(messages(&sent[2]), pairs(&[("system", "Seen: nobody"), ("user", "Cid")]));
    });
}

#[test]
fn a_window_shows_the_last_exchanges() {
    let inputs = json!({ "llmEnableMemory": true, "llmMemoryType": "windowSize", "llmMemoryWindowSize": "1" });
    let flow = Drawing::new(&json!({})).node("say", "llmAgentflow", &model("llm", inputs)).line(&["start", "say"]);
    run(async {
        let lab = Lab::new(&flow.export()).await;
        for question in ["1", "2", "3"] {
            lab.ask(json!({ "question": question, "chatId": "c" })).await;
        }
        assert_eq!(messages(&lab.sent()[2]), pairs(&[("assistant", "Stub answer to: 2"), ("user", "3")]));
    });
}

#[test]
fn what_has_too_many_tokens_is_summed_up() {
    for (system, role) in [(json!([]), "system"), (json!([{ "role": "system", "content": "Be brief." }]), "user")] {
        let inputs = json!({
            "llmEnableMemory": true, "llmMemoryType": "conversationSummaryBuffer", "llmMemoryMaxTokenLimit": "16",
            "llmMessages": system,
        });
        let flow = Drawing::new(&json!({})).node("say", "llmAgentflow", &model("llm", inputs)).line(&["start", "say"]);
        run(async {
            let lab = Lab::new(&flow.export()).await;
            for question in ["1", "2", "3"] {
                lab.ask(json!({ "question": question, "chatId": "c" })).await;
            }
            let sent = lab.sent();
            let own = system.as_array().unwrap().len();
            // `user: 1`, `assistant: Stub answer to: 1` and `user: 2` are 3 + 1 + 7 + 1 + 3 tokens.
            assert_eq!(
                messages(&sent[1])[own..],
                pairs(&[("user", "1"), ("assistant", "Stub answer to: 1"), ("user", "2")])
            );
            let asked = messages(&sent[2])[0].1.clone();
            assert!(asked.contains("user: 1\nassistant: Stub answer to: 1\n"), "{asked}");
            assert!(!asked.contains("user: 3"), "{asked}");
            let told = messages(&sent[3]);
            assert_eq!(told[own].0, role);
            assert!(told[own].1.starts_with("Previous conversation summary: Stub answer to: "), "{told:?}");
            assert_eq!(told.last().unwrap(), &pairs(&[("user", "3")])[0]);
        });
    }
}

#[test]
fn requests_are_sent_and_their_answers_read() {
    let at = |path: &str| format!("<p>http://LLM_BASE_PATH_PLACEHOLDER{path}</p>");
    let flow = Drawing::new(&json!({}))
        .node("get", "httpAgentflow", &json!({ "method": "GET", "url": at("/things/{{ question }}"), "queryParams": [{ "key": "q", "value": "{{ question }}" }] }))
        .node("post", "httpAgentflow", &json!({ "method": "POST", "url": at("/new?x=1"), "bodyType": "json", "body": "<p>{a: '{{ question }}',}</p>" }))
        .node("end", "directReplyAgentflow", &reply("{{ get }} {{ get.output.http.status }} {{ post.output.http.data.events[0].id }}"))
        .line(&["start", "get", "post", "end"]);
    run(async {
        // An address stands in the texts of the flow, so it is filled in before they are read.
        let lab = Lab::new(&flow.export()).await;
        let answer = lab.ask(json!({ "question": "../a b", "chatId": "c" })).await;
        assert_eq!(answer.text(), r#"{"events":[{"id":1}]} 200 1"#);
        let sent = lab.sent();
        assert_eq!(sent[0]["line"], "get /things/..%2fa%20b?q=..%2fa+b http/1.1");
        assert_eq!(sent[1], json!({ "line": "post /new?x=1 http/1.1", "body": { "a": "../a b" } }));
        // Whatever the status is, it goes on.
        let other = lab.ask(json!({ "question": "missing", "chatId": "c" })).await;
        assert_eq!(other.text(), r#"{"error":"no such thing"} 404 1"#);
        assert_eq!(other.data("get")["output"]["http"], json!({ "status": 404, "statusText": "Not Found" }));
    });
}

#[test]
fn a_tool_is_called_and_another_flow_is_run() {
    let flow = Drawing::new(&json!({}))
        .node("tool", "toolAgentflow", &json!({
            "toolAgentflowSelectedTool": "calculator", "toolAgentflowSelectedToolConfig": { "toolAgentflowSelectedTool": "calculator" },
            "toolInputArgs": [{ "inputArgName": "input", "inputArgValue": "<p>6*{{ question }}</p>" }],
        }))
        .node("flow", "executeFlowAgentflow", &json!({
            "executeFlowSelectedFlow": "other", "executeFlowInput": "<p>Say {{ tool }}</p>",
            "executeFlowOverrideConfig": "{\"sessionId\": \"its-own\"}",
        }))
        .line(&["start", "tool", "flow"]);
    run(async {
        let lab = Lab::with_others(&flow.export(), &[("other", &export("llm-chain"))]).await;
        let answer = lab.ask(json!({ "question": "7", "chatId": "c", "streaming": true })).await;
        assert_eq!(answer.data("tool")["output"], json!({ "content": "42" }));
        assert!(answer.text().starts_with("Stub answer to:") && answer.text().contains("Say 42"), "{}", answer.text());
        assert_eq!(answer.events.iter().filter(|event| event["event"] == "token").count(), 1);
    });
}

#[test]
fn flows_that_run_each_other_come_to_an_end() {
    let calls = |name: &str| {
        Drawing::new(&json!({}))
            .node("flow", "executeFlowAgentflow", &json!({ "executeFlowSelectedFlow": name, "executeFlowInput": "x" }))
            .line(&["start", "flow"])
            .export()
    };
    run(async {
        let lab = Lab::with_others(&calls("a"), &[("a", &calls("b")), ("b", &calls("a"))]).await;
        let answer = lab.ask(json!({ "question": "x", "chatId": "c" })).await;
        // The last of them failed, and whoever ran it was told.
        assert!(answer.text().contains("\"statusCode\": 500"), "{}", answer.json);
        assert!(answer.text().contains("too many flows run each other"), "{}", answer.json);
        let lab = Lab::new(&calls("nowhere")).await;
        let answer = lab.ask(json!({ "question": "x", "chatId": "c" })).await;
        assert!(answer.json.as_str().unwrap().ends_with("Chatflow nowhere not found"), "{}", answer.json);
    });
}

#[test]
fn a_history_of_another_shape_is_refused_and_lists_in_forms_are_told() {
    run(async {
        let lab = Lab::new(&export("agentflow-llm")).await;
        for past in [
            json!({ "type": "userMessage", "content": "x" }),
            json!({ "role": "user", "content": "x" }),
            json!({ "role": "userMessage" }),
        ] {
            let answer = lab.ask(json!({ "question": "q", "chatId": "c", "history": [past] })).await;
            assert!(answer.json.as_str().unwrap().contains("Invalid history format."), "{}", answer.json);
        }
        let lab = Lab::new(&export("agentflow-form")).await;
        lab.ask(json!({ "form": { "name": ["a", [1, null]], "plan": { "x": true } }, "chatId": "c" })).await;
        let told = messages(&lab.sent()[0]);
        assert!(told.contains(&("user".to_owned(), "name: a,1,\nplan: {\"x\":true}".to_owned())), "{told:?}");
    });
}

#[test]
fn an_end_that_is_asked_for_is_told_as_recorded() {
    run(async {
        let lab = Lab::new(&export("agentflow-llm")).await;
        let abort = CancellationToken::new();
        let asked = lab.ask_until(json!({ "question": "x", "chatId": "c", "streaming": true }), abort.clone());
        let end = async {
            tokio::task::yield_now().await;
            abort.cancel();
        };
        let (answer, ()) = tokio::join!(asked, end);
        let names = ["nextAgentFlow", "agentFlowExecutedData", "agentFlowEvent", "error", "end"];
        assert!(answer.names().ends_with(&names.map(str::to_owned)), "{:?}", answer.names());
        let sentence = "Error: predictionsServices.buildChatflow - Error in LLM node: This operation was aborted";
        assert_eq!(answer.json, sentence);
        // A failed turn leaves nothing.
        lab.sent();
        lab.ask(json!({ "question": "y", "chatId": "c" })).await;
        assert_eq!(messages(&lab.sent()[0]), pairs(&[("system", "You are a brief assistant."), ("user", "y")]));
    });
}

#[test]
fn addresses_and_keys_of_models_are_not_shown() {
    run(async {
        let lab = Lab::new(&export("agentflow-agent-tool")).await;
        let answer = lab.ask(json!({ "question": "x", "chatId": "c", "streaming": true })).await;
        let seen = format!("{}{:?}", answer.json, answer.events);
        assert!(!seen.contains("127.0.0.1") && !seen.contains("a-openAIApiKey"), "{seen}");
    });
}
