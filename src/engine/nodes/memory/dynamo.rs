//! A memory in a table of DynamoDB's, one item a session.

use serde_json::{Map, Value, json};

use super::kept;
use super::stored::{MOST_READ, message};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::history::{Recollection, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::nodes::amazon::{AmazonService, KeyFields};

const KEYS: KeyFields =
    KeyFields { credential: "dynamodbMemoryApi", id: "accessKey", secret: "secretAccessKey", token: "" };
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
        let [table, key] = ["tableName", "partitionKey"].map(|input| {
            let name = inputs.text(input);
            if name.is_none() {
                inputs.refuse(input, "a name is required");
            }
            name
        });
        let service = AmazonService::read(inputs, ("dynamodb", "dynamodb"), &KEYS);
        Some(kept::kept_by(inputs, InDynamo { service: service?, table: table?, key: key? }))
    }
}

#[derive(Debug)]
struct InDynamo {
    service: AmazonService,
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

impl Recollection for InDynamo {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let wanted = Value::Object(self.of_session(&run.request.session_id));
            let item = self.service.ask("/", Some(GET), &wanted, run).await?;
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
            self.service.ask("/", Some(UPDATE), &Value::Object(change), run).await.map(drop)
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
