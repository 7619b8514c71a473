//! For tests: a database on the loopback that answers in turn, and embeddings that need no provider.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{
    Document, DocumentSource, Embeddings, PutDocuments, Summary, SummaryWish, VectorStore,
};
use crate::engine::contract::records::PassageRecord;
use crate::engine::contract::run::Run;
use crate::engine::models::lab::{self, Received};
use crate::engine::nodes::retrieval::records::{Cleanup, at_port, kept_here};

/// The question is embedded as `[1, 0.5]`, and passages as `[1, 0.5]`, `[2, 0.5]`, ...
#[derive(Debug)]
struct Fixed;

impl Embeddings for Fixed {
    fn embed_all<'a>(&'a self, texts: &'a [String], _run: &'a Run<'a>) -> Task<'a, Vec<Vec<f32>>> {
        Box::pin(async move { Ok((1_u8..).take(texts.len()).map(|number| vec![f32::from(number), 0.5]).collect()) })
    }

    fn embed_question<'a>(&'a self, _: &'a str, _: &'a Run<'a>) -> Task<'a, Vec<f32>> {
        Box::pin(async { Ok(vec![1.0, 0.5]) })
    }
}

/// Two passages, with metadata of all kinds.
#[derive(Debug)]
struct Two;

pub(super) fn documents() -> Vec<Document> {
    let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
    let first = fields(json!({ "a": 1, "loc": { "lines": { "from": 1, "to": 2 } }, "none": null }));
    vec![
        Document { text: "one".to_owned(), metadata: first },
        Document { text: "two".to_owned(), metadata: fields(json!({ "tags": ["x"] })) },
        Document { text: String::new(), metadata: Map::new() },
    ]
}

impl DocumentSource for Two {
    fn documents<'a>(&'a self, _run: &'a Run<'a>) -> Task<'a, Arc<[Document]>> {
        Box::pin(async { Ok(documents().into()) })
    }
}

/// A kind with those parts in the place of its references.
struct Wired<'k>(&'k dyn NodeKind);

impl NodeKind for Wired<'_> {
    fn names(&self) -> &'static [&'static str] {
        self.0.names()
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let config = inputs.value("config").and_then(|config| config.as_object().cloned()).unwrap_or_default();
        let name = self.0.names().first().copied().unwrap_or_default();
        let mut given =
            vec![("embeddings", Part::Embeddings(Arc::new(Fixed))), ("document", Part::Documents(Arc::new(Two)))];
        match inputs.value(RECORDS) {
            Some(Value::String(_)) => given.push(("recordManager", Part::Own(kept_here(Cleanup::Full)))),
            Some(port) => {
                let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
                given.push(("recordManager", Part::Own(at_port(inputs, port, Cleanup::Full))));
            }
            None => {}
        }
        inputs.part_inside_with(self.0, name, config, given)
    }
}

/// Among inputs: the port of a record manager's database, which keeps no record that is not put in again; or a text: the
/// engine keeps them.
pub(super) const RECORDS: &str = "__records";

fn built(kind: &dyn NodeKind, mut config: Value) -> Result<Part, Vec<String>> {
    let mut taken = |name: &str| config.as_object_mut().and_then(|config| config.shift_remove(name));
    let (credentials, records) = (taken(lab::CREDENTIALS), taken(RECORDS));
    lab::built(&Wired(kind), json!({ "config": config, lab::CREDENTIALS: credentials, RECORDS: records }), true)
}

fn store(kind: &dyn NodeKind, config: Value) -> Arc<dyn VectorStore> {
    built(kind, config).unwrap().into_retriever().unwrap().store().unwrap()
}

/// What is wrong with a node of such inputs.
pub(super) fn problems(kind: &dyn NodeKind, config: &Value) -> Vec<String> {
    built(kind, config.clone()).expect_err("it is refused")
}

/// What a node of such inputs asks for.
pub(super) fn needs(kind: &dyn NodeKind, config: &Value) -> Vec<String> {
    lab::needs(&Wired(kind), json!({ "config": config }))
}

/// Searches with the question `q`; the database answers in turn.
pub(super) async fn searched(
    kind: &dyn NodeKind,
    config: Value,
    answers: &[Value],
) -> (Vec<Received>, Result<Vec<(Document, f32)>, Failure>) {
    lab::at_provider(config, answers, async |config, run| store(kind, config).nearest("q", run).await).await
}

/// Puts the passages in.
pub(super) async fn put(
    kind: &dyn NodeKind,
    config: Value,
    answers: &[Value],
) -> (Vec<Received>, Result<PutDocuments, Failure>) {
    lab::at_provider(config, answers, async |config, run| store(kind, config).upsert(run).await).await
}

/// Has it sum up what it finds to `q`.
pub(super) async fn summed_up(
    kind: &dyn NodeKind,
    config: Value,
    wish: &SummaryWish,
    answers: &[Value],
) -> (Vec<Received>, Result<Summary, Failure>) {
    lab::at_provider(config, answers, async |config, run| store(kind, config).summary("q", wish, run).await).await
}

/// Puts the passages in twice, where the engine keeps records in `namespace`, of which one is of before: `gone`.
pub(super) async fn put_twice(
    kind: &dyn NodeKind,
    mut config: Value,
    namespace: &str,
    answers: &[Value],
) -> (Vec<Received>, [PutDocuments; 2]) {
    config[RECORDS] = "here".into();
    lab::at_provider(config, answers, async |config, run| {
        let gone = PassageRecord { key: "gone".to_owned(), group: None, loader: None };
        run.services.memory.records().unwrap().note(("records", namespace), &[gone], 1).unwrap();
        let store = store(kind, config);
        [store.upsert(run).await.unwrap(), store.upsert(run).await.unwrap()]
    })
    .await
}
