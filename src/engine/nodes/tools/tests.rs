//! Tools as a model is told of them; expected is what Flowise 3.1.4 sends.

use serde_json::{Value, json};

use crate::engine::contract::node::ReplyContent;
use crate::engine::testing::{flow, predict};

/// The tool as it is sent, in an agent.
fn sent(kind: &str, inputs: &Value) -> Result<Value, String> {
    let flow = flow(&[
        ("m_0", "testModel", json!({})),
        ("mem_0", "bufferMemory", json!({})),
        ("t_0", kind, inputs.clone()),
        (
            "agent_0",
            "toolAgent",
            json!({
                "model": "{{m_0.data.instance}}",
                "memory": "{{mem_0.data.instance}}",
                "tools": ["{{t_0.data.instance}}"],
            }),
        ),
    ])?;
    let mut predicted = predict(&flow, &json!({ "question": "Q" }), &["A".into()]);
    Ok(predicted.asked[0]["tools"][0].take())
}

#[test]
fn tools_are_told_as_flowise_tells_them() {
    let words = |kind: &str, inputs: Value| sent(kind, &inputs).unwrap().to_string();
    let schema = "\"$schema\":\"http://json-schema.org/draft-07/schema#\"";
    assert_eq!(
        words("currentDateTime", json!({})),
        format!(
            "{{\"name\":\"current_date_time\",\"description\":\"Useful to get current day, date and time.\",\
             \"parameters\":{{\"type\":\"object\",\"properties\":{{}},\"additionalProperties\":false,{schema}}}}}"
        )
    );
    assert_eq!(
        words("requestsGet", json!({ "requestsGetUrl": "https://x.example/y" })),
        format!(
            "{{\"name\":\"requests_get\",\"description\":\"Use this when you need to execute a GET request to get data \
             from a website.\",\"parameters\":{{\"type\":\"object\",\"properties\":{{\"queryParams\":{{\"type\":\
             \"object\",\"additionalProperties\":{{\"type\":\"string\"}},\"description\":\"Optional query parameters to \
             include in the request\"}}}},\"additionalProperties\":false,{schema}}}}}"
        )
    );
    let params = "{\"id\":{\"type\":\"string\",\"required\":true,\"in\":\"path\",\"description\":\"ID\"},\"limit\":\
                  {\"type\":\"number\",\"in\":\"query\"},'b':{type:\"boolean\",\"in\":\"query\",\"required\":true,\
                  \"description\":\"B\"},}";
    let inputs = json!({
        "requestsGetUrl": "<p>https://x.example/y_z</p>",
        "requestsGetName": "My Tool!",
        "requestsGetDescription": "D",
        "requestsGetQueryParamsSchema": params,
    });
    assert_eq!(
        words("requestsGet", inputs),
        format!(
            "{{\"name\":\"my_tool\",\"description\":\"D\",\"parameters\":{{\"type\":\"object\",\"properties\":\
             {{\"queryParams\":{{\"type\":\"object\",\"properties\":{{\"id\":{{\"type\":\"string\",\"description\":\
             \"ID\"}},\"limit\":{{\"type\":\"string\"}},\"b\":{{\"type\":\"string\",\"description\":\"B\"}}}},\
             \"required\":[\"id\",\"b\"],\"additionalProperties\":false,\"description\":\"Query parameters for the \
             request\"}}}},\"additionalProperties\":false,{schema}}}}}"
        )
    );
    assert_eq!(
        words("requestsPost", json!({ "requestsPostUrl": "https://x.example/y" })),
        format!(
            "{{\"name\":\"requests_post\",\"description\":\"Use this when you want to execute a POST request to create \
             or update a resource.\",\"parameters\":{{\"type\":\"object\",\"properties\":{{\"body\":{{\"type\":\
             \"object\",\"additionalProperties\":{{}},\"description\":\"Optional body data to include in the request\"}}\
             }},\"additionalProperties\":false,{schema}}}}}"
        )
    );
    let body = "{\"n\":{\"type\":\"string\",\"required\":true,\"description\":\"N\"},\"x\":{\"type\":\"number\"},\"o\":\
                {\"type\":\"object\",\"description\":\"oo\"},\"a\":{\"type\":\"array\"},\"b\":{\"type\":\"boolean\",\
                \"required\":true}}";
    assert_eq!(
        words("requestsPost", json!({ "requestsPostUrl": "https://x.example/y", "requestsPostBodySchema": body })),
        format!(
            "{{\"name\":\"requests_post\",\"description\":\"Use this when you want to execute a POST request to create \
             or update a resource.\",\"parameters\":{{\"type\":\"object\",\"properties\":{{\"body\":{{\"type\":\
             \"object\",\"properties\":{{\"n\":{{\"type\":\"string\",\"description\":\"N\"}},\"x\":{{\"type\":\"number\"\
             }},\"o\":{{\"type\":\"object\",\"additionalProperties\":{{}},\"description\":\"oo\"}},\"a\":{{\"type\":\
             \"array\"}},\"b\":{{\"type\":\"boolean\"}}}},\"required\":[\"n\",\"b\"],\"additionalProperties\":false,\
             \"description\":\"Request body parameters\"}}}},\"required\":[\"body\"],\"additionalProperties\":false,\
             {schema}}}}}"
        )
    );
}

#[test]
fn requests_that_change_things_are_told_like_those_that_do_not() {
    for (kind, like, name, description) in [
        (
            "requestsPut",
            "requestsPost",
            "requests_put",
            "want to execute a PUT request to update or replace a resource.",
        ),
        (
            "requestsDelete",
            "requestsGet",
            "requests_delete",
            "need to execute a DELETE request to remove data from a website.",
        ),
    ] {
        let told = |kind: &str| sent(kind, &json!({ format!("{kind}Url"): "https://x.example/y" })).unwrap();
        let (tool, like) = (told(kind), told(like));
        assert_eq!((&tool["name"], &tool["parameters"]), (&name.into(), &like["parameters"]));
        assert_eq!(tool["description"], format!("Use this when you {description}"));
    }
}

#[test]
fn addresses_that_lead_who_knows_where_are_refused_at_load() {
    for (url, words) in [
        ("https://{{$vars.host}}/x", "the scheme and the host must be written out; {{...}} may stand behind them"),
        ("ftp://x.example/", "expected an address such as http://127.0.0.1:11434/v1"),
    ] {
        let error = sent("requestsGet", &json!({ "requestsGetUrl": url })).unwrap_err();
        let expected = format!("node \"t_0\" (requestsGet), input requestsGetUrl: {words}");
        assert_eq!(error.lines().next().unwrap(), expected, "{url}");
    }
}

#[test]
fn a_chain_is_a_tool_and_tells_the_client_nothing_by_itself() {
    let agent = |prompt: Value, direct: bool| {
        flow(&[
            ("m_0", "testModel", json!({})),
            ("mem_0", "bufferMemory", json!({})),
            ("p_0", "promptTemplate", prompt),
            ("llm_0", "llmChain", json!({ "model": "{{m_0.data.instance}}", "prompt": "{{p_0.data.instance}}" })),
            (
                "t_0",
                "chainTool",
                json!({
                    "name": "chef", "description": "Cooks.", "returnDirect": direct, "baseChain": "{{llm_0.data.instance}}",
                }),
            ),
            (
                "agent_0",
                "openAIToolAgent",
                json!({
                    "model": "{{m_0.data.instance}}", "memory": "{{mem_0.data.instance}}",
                    "tools": ["{{t_0.data.instance}}"],
                }),
            ),
        ])
        .unwrap()
    };
    let call = || json!([{ "id": "c", "name": "chef", "arguments": { "input": "eggs" } }]);
    let body = json!({ "question": "Q" });
    let answers = [call(), "boil them".into(), "Boil them.".into()];
    let predicted = predict(&agent(json!({ "template": "Cook {what}" }), false), &body, &answers);
    let parameters = json!({
        "type": "object", "properties": { "input": { "type": "string" } }, "additionalProperties": false,
        "$schema": "http://json-schema.org/draft-07/schema#",
    });
    let tool = json!({ "name": "chef", "description": "Cooks.", "parameters": parameters });
    assert_eq!(predicted.asked[0]["tools"], json!([tool]));
    let system = json!({ "role": "system", "content": "You are a helpful AI assistant." });
    assert_eq!(predicted.asked[0]["messages"][0], system);
    assert_eq!(predicted.asked[1], json!([{ "role": "user", "content": "Cook eggs" }]));
    assert_eq!(predicted.asked[2]["messages"][3]["content"], "boil them");
    let told = |name: &str| predicted.events.iter().filter(|(event, _)| event == name).count();
    assert_eq!((told("start"), told("token")), (1, 2));

    // What its author fixed is all that it is asked.
    let fixed = json!({ "template": "Cook {what}", "promptValues": { "what": "rice" } });
    let predicted = predict(&agent(fixed, true), &body, &[call(), "steam it".into()]);
    assert_eq!(predicted.asked[1], json!([{ "role": "user", "content": "Cook rice" }]));
    assert_eq!(predicted.reply.unwrap().said, ReplyContent::Text("steam it".into()));
}
