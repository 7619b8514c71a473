//! A memory in a table of `DynamoDB`, one item a session.

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::kept;
use super::stored::{MOST_READ, message};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::models::aws::{self, AwsAccess, AwsHost, AwsRequest};
use crate::engine::models::connection::no_credential;
use crate::wire::json;

const CREDENTIAL: &str = "dynamodbMemoryApi";
const GET: &str = "DynamoDB_20120810.GetItem";
const UPDATE: &str = "DynamoDB_20120810.UpdateItem";

/// The node `DynamoDBChatMemory`.
pub(super) struct DynamoMemory;

impl NodeKind for DynamoMemory {
    fn names(&self) -> &'static [&'static str] {
        &["DynamoDBChatMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::passed_over(inputs);
        let [table, key] = ["tableName", "partitionKey"].map(|input| inputs.required_text(input));
        let access = AwsAccess::of_keys(inputs, CREDENTIAL, ("accessKey", "secretAccessKey"));
        let region = aws::region(inputs)?;
        let host = AwsHost::read(inputs, "region", ("dynamodb", "dynamodb"), &region, None);
        Some(kept::kept_by(inputs, InDynamo { access, host: host?, table: table?, key: key? }))
    }
}

#[derive(Debug)]
struct InDynamo {
    /// `None`: the credential is not configured.
    access: Option<AwsAccess>,
    host: AwsHost,
    table: String,
    /// The name of what a session is found by.
    key: String,
}

impl InDynamo {
    fn of_session(&self, session: &str) -> Map<String, Value> {
        let key = Map::from_iter([(self.key.clone(), json!({ "S": session }))]);
        Map::from_iter([("TableName".to_owned(), self.table.as_str().into()), ("Key".to_owned(), key.into())])
    }
}

impl InDynamo {
    async fn ask(&self, target: &'static str, body: &Value, run: &Run<'_>) -> Result<Value, Failure> {
        let access = self.access.as_ref().ok_or_else(|| no_credential(CREDENTIAL))?;
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0")),
            (HeaderName::from_static(aws::TARGET), HeaderValue::from_static(target)),
        ];
        let body = Bytes::from(body.to_string());
        let request = AwsRequest { method: Method::POST, path: "/", query: &[], headers, body };
        let answer = access.send(&self.host, request, run).await?.whole().await?;
        json::read_answer(&answer).map_err(|_| Failure::Unreachable("The table's answer cannot be read.".to_owned()))
    }
}

/// What adds an exchange to a session, the first as well.
fn adding(question: &str, answer: &str) -> Value {
    let turn = |kind: &str, text: &str| json!({ "M": { "type": { "S": kind }, "text": { "S": text } } });
    json!({
        "ExpressionAttributeNames": { "#m": "messages" },
        "ExpressionAttributeValues": {
            ":empty_list": { "L": [] }, ":m": { "L": [turn("human", question), turn("ai", answer)] },
        },
        "UpdateExpression": "SET #m = list_append(if_not_exists(#m, :empty_list), :m)",
    })
}

/// Its turns, as they are stored elsewhere too.
fn turns(item: &Value) -> Vec<Message> {
    let kept = item.pointer("/Item/messages/L").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let kept = kept.get(kept.len().saturating_sub(MOST_READ)..).unwrap_or_default();
    let text = |turn: &Value, field: &str| turn.get("M")?.get(field)?.get("S").cloned();
    let plain = |turn: &Value| Some(json!({ "type": text(turn, "type")?, "text": text(turn, "text")? }));
    kept.iter().filter_map(plain).filter_map(|turn| message(&turn)).collect()
}

impl HistoryStrategy for InDynamo {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let wanted = Value::Object(self.of_session(&run.request.session_id));
            let item = self.ask(GET, &wanted, run).await?;
            let mut all = messages_of(run, &[]);
            all.extend(turns(&item));
            Ok(all)
        })
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let mut change = self.of_session(&run.request.session_id);
            if let Value::Object(fields) = adding(question, answer) {
                change.extend(fields);
            }
            self.ask(UPDATE, &Value::Object(change), run).await.map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_the_item_that_flowise_keeps() {
        let turn = |kind: &str, text: &str| json!({ "M": { "type": { "S": kind }, "text": { "S": text } } });
        let item = json!({ "Item": { "messages": { "L": [turn("human", "q"), turn("ai", "a"), turn("x", "y"), 7] } } });
        assert_eq!(turns(&item), [Message::user("q"), Message::assistant("a")]);
        assert_eq!(turns(&json!({})), []);
        let added = adding("q", "a");
        let list = json!([turn("human", "q"), turn("ai", "a")]);
        assert_eq!(added.pointer("/ExpressionAttributeValues/:m/L"), Some(&list));
    }
}
