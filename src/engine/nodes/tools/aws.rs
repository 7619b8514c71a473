//! Tools that AWS answers: a topic of SNS, and texts in a table of `DynamoDB`.

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::arguments::parameters;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::message::ToolSpec;
use crate::engine::contract::node::{Tool, ToolResult};
use crate::engine::contract::run::Run;
use crate::engine::models::aws::{self, AwsAccess, AwsHost, AwsRequest};
use crate::engine::models::connection::no_credential;
use crate::engine::text::percent::pairs;
use crate::wire::json;

const MISFIT: &str = "Received tool input did not match expected schema";
const PUT: &str = "DynamoDB_20120810.PutItem";
const QUERY: &str = "DynamoDB_20120810.Query";
/// Between what its author puts before all keys and a key.
const SEPARATOR: &str = "#";
const LONGEST_KEY: usize = 2048;
/// Versions that may be looked back.
const MOST_VERSIONS: u64 = 1000;

/// A service in a node's region, and who asks it.
#[derive(Debug)]
struct AwsService {
    /// `None`: the credential is not configured.
    access: Option<AwsAccess>,
    host: AwsHost,
}

impl AwsService {
    fn read(inputs: &mut Inputs<'_, '_, '_>, service: &'static str) -> Option<Self> {
        let region = aws::region(inputs)?;
        let access = AwsAccess::read(inputs, &region);
        let host = AwsHost::read(inputs, "region", (service, service), &region, None)?;
        Some(Self { access, host })
    }

    async fn ask(
        &self,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: String,
        run: &Run<'_>,
    ) -> Result<Bytes, Failure> {
        let access = self.access.as_ref().ok_or_else(|| no_credential(aws::CREDENTIAL))?;
        let request = AwsRequest { method: Method::POST, path: "/", query: &[], headers, body: Bytes::from(body) };
        access.send(&self.host, request, run).await?.whole().await
    }
}

/// The node `awsSNS`.
pub(super) struct AwsSns;

impl NodeKind for AwsSns {
    fn names(&self) -> &'static [&'static str] {
        &["awsSNS"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let service = AwsService::read(inputs, "sns");
        let topic = chosen(inputs, "topicArn", "placeholder");
        let spec = ToolSpec {
            name: "aws_sns_publish".to_owned(),
            description: "Publishes a message to an AWS SNS topic".to_owned(),
            parameters: parameters(&json!({ "input": { "type": "string" } }), &[]),
        };
        Some(Part::tool(Publishing { spec, service: service?, topic: topic? }))
    }
}

/// What its author chose of a list; the list's own words for nothing are none.
fn chosen(inputs: &mut Inputs<'_, '_, '_>, input: &str, nothing: &str) -> Option<String> {
    let chosen = inputs.text(input).filter(|chosen| chosen != nothing);
    if chosen.is_none() {
        inputs.lacks(input);
    }
    chosen
}

#[derive(Debug)]
struct Publishing {
    spec: ToolSpec,
    service: AwsService,
    topic: String,
}

impl Tool for Publishing {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let message = arguments.get("input").and_then(Value::as_str).unwrap_or_default();
            let form =
                [("Action", "Publish"), ("Version", "2010-03-31"), ("TopicArn", &self.topic), ("Message", message)];
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            let text = match self.service.ask(vec![(CONTENT_TYPE, kind)], pairs(&form), run).await {
                Ok(answer) => {
                    let answer = String::from_utf8_lossy(&answer);
                    let id = answer.split_once("<MessageId>").and_then(|(_, rest)| rest.split_once('<'));
                    let id = id.map_or("undefined", |(id, _)| id.trim());
                    format!("Successfully published message to SNS topic. MessageId: {id}")
                }
                Err(failure) if failure.ends_run() => return Err(failure),
                Err(failure) => format!("Failed to publish message to SNS: {}", run.told(&failure)),
            };
            Ok(ToolResult { text, ..ToolResult::default() })
        })
    }
}

/// The node `awsDynamoDBKVStorage`: each text is kept with all that stood there before it.
pub(super) struct AwsDynamoTexts;

impl NodeKind for AwsDynamoTexts {
    fn names(&self) -> &'static [&'static str] {
        &["awsDynamoDBKVStorage"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let service = AwsService::read(inputs, "dynamodb");
        let table = chosen(inputs, "tableName", "error");
        let prefix = inputs.text("keyPrefix").unwrap_or_default();
        if prefix.contains(SEPARATOR) {
            inputs.refuse("keyPrefix", format!("Key prefix cannot contain \"{SEPARATOR}\" character"));
        }
        let stores = inputs.text("operation").is_none_or(|operation| operation == "store");
        let spec = if stores { storing() } else { retrieving() };
        Some(Part::tool(KeptTexts { spec, service: service?, table: table?, prefix, stores }))
    }
}

fn storing() -> ToolSpec {
    let key = json!({ "type": "string", "minLength": 1, "description": "The key to store the value under" });
    let value = json!({ "type": "string", "description": "The text value to store" });
    ToolSpec {
        name: "dynamodb_kv_store".to_owned(),
        description: "Store a text value with a key in DynamoDB. Input must be an object with \"key\" and \"value\" \
                      properties."
            .to_owned(),
        parameters: parameters(&json!({ "key": key, "value": value }), &["key", "value"]),
    }
}

fn retrieving() -> ToolSpec {
    let key = json!({ "type": "string", "minLength": 1, "description": "The key to retrieve the value for" });
    let version = json!({ "type": "string", "pattern": "^\\d+$", "default": "1",
        "description": "Which version to retrieve: \"1\" for latest, \"2\" for 2nd latest, \"3\" for 3rd latest, etc. \
                        Use \"1\" to get the most recent value." });
    ToolSpec {
        name: "dynamodb_kv_retrieve".to_owned(),
        description: "Retrieve a value by key from DynamoDB. Returns JSON with value and timestamp. Specify which \
                      version to get (1=latest, 2=2nd latest, etc)."
            .to_owned(),
        parameters: parameters(&json!({ "key": key, "nthLatest": version }), &["key"]),
    }
}

#[derive(Debug)]
struct KeptTexts {
    spec: ToolSpec,
    service: AwsService,
    table: String,
    /// Before every key; empty: nothing.
    prefix: String,
    /// `false`: it reads.
    stores: bool,
}

impl Tool for KeptTexts {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(&'a self, arguments: &'a Value, run: &'a Run<'a>) -> Task<'a, ToolResult> {
        Box::pin(async move {
            let text = |name: &str| arguments.get(name).and_then(Value::as_str);
            let key = text("key").filter(|key| !key.is_empty()).ok_or_else(|| Failure::flow(MISFIT))?;
            let (done, what) = if self.stores {
                let value = text("value").ok_or_else(|| Failure::flow(MISFIT))?;
                (self.stored(key, value, run).await, "store")
            } else {
                let number = text("nthLatest").unwrap_or("1").parse::<u64>().map_err(|_| Failure::flow(MISFIT))?;
                (self.retrieved(key, number, run).await, "retrieve")
            };
            match done {
                Ok(text) => Ok(ToolResult { text, ..ToolResult::default() }),
                Err(failure) if failure.ends_run() => Err(failure),
                Err(failure) => Err(Failure::flow(format!("Failed to {what} value: {}", run.told(&failure)))),
            }
        })
    }
}

impl KeptTexts {
    fn key(&self, key: &str) -> Result<String, Failure> {
        if key.trim().is_empty() {
            return Err(Failure::flow("Key must be a non-empty string"));
        }
        let separator = if self.prefix.is_empty() { "" } else { SEPARATOR };
        let key = [&self.prefix, separator, key].concat();
        let length = key.encode_utf16().count();
        if length > LONGEST_KEY {
            return Err(Failure::flow(format!(
                "Key too long. Maximum length is {LONGEST_KEY} characters, got {length}"
            )));
        }
        Ok(key)
    }

    async fn stored(&self, key: &str, value: &str, run: &Run<'_>) -> Result<String, Failure> {
        let now = Timestamp::now();
        let time = now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let text = |text: &str| json!({ "S": text });
        let item = json!({ "pk": text(&self.key(key)?), "sk": text(&now.as_millisecond().to_string()),
            "value": text(value), "timestamp": text(&time) });
        self.ask(PUT, &json!({ "TableName": self.table, "Item": item }), run).await?;
        Ok(format!("Successfully stored value with key \"{key}\" at {time}"))
    }

    async fn retrieved(&self, key: &str, number: u64, run: &Run<'_>) -> Result<String, Failure> {
        if number == 0 {
            return Err(Failure::flow("nthLatest must be a positive number (1 or greater)"));
        }
        let number = number.min(MOST_VERSIONS);
        let wanted = json!({
            "TableName": self.table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": { ":pk": { "S": self.key(key)? } },
            "ScanIndexForward": false,
            "Limit": number,
        });
        let answer = self.ask(QUERY, &wanted, run).await?;
        let items = answer.get("Items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let item = usize::try_from(number - 1).ok().and_then(|place| items.get(place));
        let text = |field: &str| {
            item?.get(field)?.get("S").filter(|text| text.as_str().is_some_and(|text| !text.is_empty())).cloned()
        };
        let time = text("timestamp").or_else(|| text("sk"));
        Ok(json!({ "value": text("value"), "timestamp": time }).to_string())
    }

    async fn ask(&self, target: &'static str, body: &Value, run: &Run<'_>) -> Result<Value, Failure> {
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0")),
            (HeaderName::from_static(aws::TARGET), HeaderValue::from_static(target)),
        ];
        let answer = self.service.ask(headers, body.to_string(), run).await?;
        json::read_answer(&answer).map_err(|_| Failure::Unreachable("The table's answer cannot be read.".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::mcp::lab::{Heard, response, server};
    use crate::engine::testing::{exported, flow_at, predict};

    /// What AWS heard of a call, and what the model was told of its result.
    fn called(kind: &str, inputs: &Value, call: &Value, status: &'static str, told: &str) -> (Option<Heard>, String) {
        let told = told.to_owned();
        let (origin, hearing) = server(move |_| response(status, "", &told));
        let nodes = [
            ("m", "testModel", json!({})),
            ("b", "bufferMemory", json!({})),
            ("t", kind, inputs.clone()),
            (
                "a",
                "toolAgent",
                json!({ "model": "{{m.data.instance}}", "memory": "{{b.data.instance}}",
                "tools": ["{{t.data.instance}}"] }),
            ),
        ];
        let secrets = [("awsApi", "awsKey", "AKID"), ("awsApi", "awsSecret", "a-secret")];
        let address = origin.strip_prefix("http://").unwrap().parse().unwrap();
        let flow = flow_at(address, &secrets, &exported(&nodes)).unwrap();
        let predicted = predict(&flow, &json!({ "question": "Q" }), &[json!([call]), "done".into()]);
        let result = predicted.asked[1]["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        (hearing.try_iter().next(), result.as_str().unwrap().to_owned())
    }

    #[test]
    fn a_message_is_published_with_a_signature() {
        let inputs = json!({ "region": "eu-west-1", "topicArn": "arn:aws:sns:eu-west-1:1:teas" });
        let call = json!({ "name": "aws_sns_publish", "arguments": { "input": "tea & cake" } });
        let answer = "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>";
        let (heard, told) = called("awsSNS", &inputs, &call, "200 OK", answer);
        let heard = heard.unwrap();
        assert_eq!(heard.line, "POST /");
        let form =
            "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A1%3Ateas&Message=tea+%26+cake";
        assert_eq!(heard.text, form);
        assert!(heard.head.contains("/eu-west-1/sns/aws4_request"), "{}", heard.head);
        assert_eq!(told, "Successfully published message to SNS topic. MessageId: m-1");
        let (_, told) = called("awsSNS", &inputs, &call, "403 Forbidden", "<Error>no</Error>");
        assert!(told.starts_with("Failed to publish message to SNS: 403"), "{told}");
    }

    #[test]
    fn texts_are_kept_with_all_that_stood_there_before() {
        let inputs = |operation: &str| json!({ "tableName": "teas", "keyPrefix": "app", "operation": operation });
        let call = json!({ "name": "dynamodb_kv_store", "arguments": { "key": "k", "value": "v" } });
        let (heard, told) = called("awsDynamoDBKVStorage", &inputs("store"), &call, "200 OK", "{}");
        let heard = heard.unwrap();
        assert!(heard.head.contains("x-amz-target: dynamodb_20120810.putitem"), "{}", heard.head);
        let item = &heard.body["Item"];
        assert_eq!((&heard.body["TableName"], &item["pk"]), (&json!("teas"), &json!({ "S": "app#k" })));
        assert_eq!(item["value"], json!({ "S": "v" }));
        assert!(told.starts_with("Successfully stored value with key \"k\" at 20"), "{told}");

        let call = json!({ "name": "dynamodb_kv_retrieve", "arguments": { "key": "k", "nthLatest": "2" } });
        let items = json!({ "Items": [{ "value": { "S": "new" } }, { "value": { "S": "old" }, "sk": { "S": "7" } }] });
        let (heard, told) = called("awsDynamoDBKVStorage", &inputs("retrieve"), &call, "200 OK", &items.to_string());
        let expected = json!({ "TableName": "teas", "KeyConditionExpression": "pk = :pk", "Limit": 2,
            "ExpressionAttributeValues": { ":pk": { "S": "app#k" } }, "ScanIndexForward": false });
        assert_eq!(heard.unwrap().body, expected);
        assert_eq!(told, r#"{"value":"old","timestamp":"7"}"#);
        let none = called("awsDynamoDBKVStorage", &inputs("retrieve"), &call, "200 OK", "{\"Items\":[]}");
        assert_eq!(none.1, r#"{"value":null,"timestamp":null}"#);
        let call = json!({ "name": "dynamodb_kv_retrieve", "arguments": { "key": " ", "nthLatest": "1" } });
        let (heard, told) = called("awsDynamoDBKVStorage", &inputs("retrieve"), &call, "200 OK", "{}");
        assert!(heard.is_none() && told.contains("Key must be a non-empty string"), "{told}");
    }
}
