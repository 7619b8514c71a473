//! A memory in a `MongoDB`, as Flowise keeps it: a document for each session, with its turns in order.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::kept;
use super::stored::{MOST_READ, exchange, message};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::history::{HistoryStrategy, messages_of};
use crate::engine::contract::message::Message;
use crate::engine::contract::run::Run;
use crate::engine::mongo::Mongo;

const CREDENTIAL: &str = "mongoDBUrlApi";

/// The node `MongoDBAtlasChatMemory`.
pub(super) struct MongoChatMemory;

impl NodeKind for MongoChatMemory {
    fn names(&self) -> &'static [&'static str] {
        &["MongoDBAtlasChatMemory"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        kept::passed_over(inputs);
        let (database, collection) = (inputs.required_text("databaseName"), inputs.required_text("collectionName"));
        let mongo = match inputs.credential(CREDENTIAL, "mongoDBConnectUrl") {
            Some(url) => {
                let mongo = Mongo::new(url.expose(), &inputs.compiler.context.targets);
                Some(mongo.map_err(|problem| inputs.refuse("credential", problem)).ok()?)
            }
            None => None,
        };
        Some(kept::kept_by(inputs, InMongo { mongo, database: database?, collection: collection? }))
    }
}

#[derive(Debug)]
struct InMongo {
    /// `None`: the credential is not configured.
    mongo: Option<Mongo>,
    database: String,
    collection: String,
}

impl InMongo {
    async fn command(&self, command: Value, run: &Run<'_>) -> Result<Value, Failure> {
        let mongo = self.mongo.as_ref();
        let mongo = mongo.ok_or_else(|| Failure::flow(format!("The credential {CREDENTIAL} is not configured.")))?;
        mongo.command(&self.database, command, run).await
    }
}

/// What finds a session's last turns.
fn finding(collection: &str, session: &str) -> Value {
    let newest = json!({ "messages": { "$slice": -i64::try_from(MOST_READ).unwrap_or(i64::MAX) } });
    json!({
        "find": collection, "filter": { "sessionId": session }, "projection": newest, "limit": 1, "singleBatch": true,
    })
}

/// What adds an exchange to a session, the first as well.
fn adding(collection: &str, session: &str, turns: [Value; 2], now: i64) -> Value {
    let stamped = turns.map(|mut turn| {
        if let Value::Object(fields) = &mut turn {
            fields.insert("timestamp".to_owned(), json!({ "$date": now }));
        }
        turn
    });
    let change = json!({ "$push": { "messages": { "$each": stamped } } });
    json!({ "update": collection, "updates": [{ "q": { "sessionId": session }, "u": change, "upsert": true }] })
}

impl HistoryStrategy for InMongo {
    fn recall<'a>(&'a self, run: &'a Run<'a>) -> Task<'a, Vec<Message>> {
        Box::pin(async move {
            let found = self.command(finding(&self.collection, &run.request.session_id), run).await?;
            let kept = found.pointer("/cursor/firstBatch/0/messages").and_then(Value::as_array);
            let mut turns = messages_of(run, &[]);
            turns.extend(kept.into_iter().flatten().filter_map(message));
            Ok(turns)
        })
    }

    fn is_elsewhere(&self) -> bool {
        true
    }

    fn keep<'a>(&'a self, question: &'a str, answer: &'a str, run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis());
            let now = i64::try_from(now).unwrap_or_default();
            let turns = exchange(question, answer);
            self.command(adding(&self.collection, &run.request.session_id, turns, now), run).await.map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_the_document_that_flowise_keeps() {
        let newest = json!({ "messages": { "$slice": -200 } });
        let find = json!({
            "find": "c", "filter": { "sessionId": "s" }, "projection": newest, "limit": 1, "singleBatch": true,
        });
        assert_eq!(finding("c", "s"), find);
        let added = adding("c", "s", exchange("q", "a"), 7);
        let pushed = added.pointer("/updates/0/u/$push/messages/$each").unwrap();
        assert_eq!(pushed.pointer("/0/data/content"), Some(&json!("q")));
        assert_eq!(pushed.pointer("/1/timestamp"), Some(&json!({ "$date": 7 })));
        assert_eq!(added["updates"][0]["q"], json!({ "sessionId": "s" }));
        assert_eq!(added["updates"][0]["upsert"], true);
    }
}
