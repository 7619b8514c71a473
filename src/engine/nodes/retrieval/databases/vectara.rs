//! Vectara, which reads words and makes its own vectors.

mod chain;

use std::sync::Arc;

use http::header::HeaderName;
use serde_json::{Map, Value, json};

use super::database::{Database, Hit, NewPassage, Query, nearness_of};
use super::http::{HttpApi, unreadable};
use super::node::{self, DatabaseFeatures};
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::Task;
use crate::engine::contract::failure::Failure;
use crate::engine::contract::node::{Document, Summary, SummaryWish};
use crate::engine::contract::run::Run;
use crate::engine::models::connection;

pub(super) use chain::VectaraChain;

const ADDRESS: &str = "https://api.vectara.io";
const CREDENTIAL: &str = "vectaraApi";
/// What is found where nothing is said.
const FOUND: usize = 5;
/// Vectara's own number of the one that puts results in an order of diversity.
const RERANKER: u64 = 272_725_718;

/// The node `vectara`, and those of Flowise's first versions.
pub(super) struct VectaraNode {
    /// For tests, the input with an address.
    pub(super) address_input: &'static str,
}

impl NodeKind for VectaraNode {
    fn names(&self) -> &'static [&'static str] {
        &["vectara", "vectaraExisting", "vectaraExistingIndex", "vectaraUpload", "vectaraUpsert"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let has_most = inputs.has("topK");
        let features = DatabaseFeatures { text_filter: "filter", wordless: true, ..DatabaseFeatures::default() };
        let mut common = node::read(inputs, features)?;
        if !has_most {
            common.options.most = FOUND;
        }
        if inputs.has("file") {
            inputs.pass_over("file", "what Flowise sent to Vectara is there already");
            inputs.ignore(&["file"]);
        }
        let mut context = Map::new();
        for name in ["sentencesBefore", "sentencesAfter"] {
            let count = inputs.number(name).filter(|count| *count != 0.0);
            context.extend(count.map(|count| (name.to_owned(), connection::number(count))));
        }
        let lambda = inputs.number("lambda").filter(|lambda| *lambda != 0.0);
        let bias = inputs.number("mmrDiversityBias").filter(|bias| *bias > 0.0);
        let fetched = inputs.integer("mmrK");
        let key = connection::wanted(inputs, CREDENTIAL, "apiKey");
        let customer = connection::wanted(inputs, CREDENTIAL, "customerID");
        let corpora = connection::wanted(inputs, CREDENTIAL, "corpusID");
        let own = if self.address_input.is_empty() { None } else { inputs.text(self.address_input) };
        let endpoint = connection::endpoint_at(inputs, "credential", own.as_deref().unwrap_or(ADDRESS));
        let (Some(key), Some(customer), Some(corpora)) = (key, customer, corpora) else {
            return Some(node::part(inputs, common, Err(CREDENTIAL)));
        };
        let mut headers = connection::header(inputs, HeaderName::from_static("x-api-key"), key.expose());
        headers.extend(connection::header(inputs, HeaderName::from_static("customer-id"), customer.expose()));
        let corpora = corpora.expose().split(',').map(|corpus| corpus.trim().to_owned()).collect();
        let api = HttpApi { endpoint: endpoint?, headers };
        let customer = customer.expose().to_owned();
        let diversity = bias.map(|bias| (fetched, bias));
        let database = Vectara { api, customer, corpora, context, lambda, diversity };
        Some(node::part(inputs, common, Ok(Arc::new(database))))
    }
}

#[derive(Debug)]
struct Vectara {
    api: HttpApi,
    customer: String,
    corpora: Vec<String>,
    /// Sentences around what is found.
    context: Map<String, Value>,
    /// How much words count against meaning.
    lambda: Option<f64>,
    /// Among how many, and how much, results are to differ.
    diversity: Option<(Option<u64>, f64)>,
}

impl Vectara {
    fn body(&self, query: &Query) -> Value {
        let filter = query.filter.as_ref().and_then(Value::as_str).filter(|filter| !filter.trim().is_empty());
        let lexical = self.lambda.map_or_else(|| json!({}), |lambda| json!({ "lambda": lambda }));
        let corpus = |corpus: &String| {
            let mut key =
                json!({ "customerId": self.customer, "corpusId": corpus, "lexicalInterpolationConfig": lexical });
            if let Value::Object(fields) = &mut key {
                fields.extend(filter.map(|filter| ("metadataFilter".to_owned(), filter.into())));
            }
            key
        };
        let corpora: Value = self.corpora.iter().map(corpus).collect();
        let mut asked = json!({ "query": query.text, "numResults": query.most, "contextConfig": self.context,
            "corpusKey": corpora });
        if let (Some((fetched, bias)), Value::Object(fields)) = (self.diversity, &mut asked) {
            fields.extend(fetched.map(|fetched| ("numResults".to_owned(), fetched.into())));
            let config = json!({ "rerankerId": RERANKER, "mmrConfig": { "diversityBias": bias } });
            fields.insert("rerankingConfig".to_owned(), config);
        }
        json!({ "query": [asked] })
    }
}

/// What was found, and of it the set of a query's answer.
fn hits(answer: &Value) -> Result<(&Value, Vec<Hit>), Failure> {
    let set = answer.pointer("/responseSet/0").ok_or_else(unreadable)?;
    let documents = set.get("document").and_then(Value::as_array);
    let hit = |found: &Value| {
        let place = found.get("documentIndex").and_then(Value::as_u64).unwrap_or_default();
        let document = documents.and_then(|all| all.get(usize::try_from(place).ok()?));
        let mut metadata = named(found.get("metadata"));
        metadata.extend(named(document.and_then(|document| document.get("metadata"))));
        let text = found.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        let document = Document { text, metadata };
        Hit { document, nearness: nearness_of(found.get("score")), vector: Vec::new() }
    };
    Ok((set, set.get("response").and_then(Value::as_array).into_iter().flatten().map(hit).collect()))
}

/// Names and values, as fields.
fn named(listed: Option<&Value>) -> Map<String, Value> {
    let fields = listed.and_then(Value::as_array).into_iter().flatten();
    fields.filter_map(|field| Some((field.get("name")?.as_str()?.to_owned(), field.get("value")?.clone()))).collect()
}

impl Database for Vectara {
    fn search<'a>(&'a self, query: &'a Query, run: &'a Run<'a>) -> Task<'a, Vec<Hit>> {
        Box::pin(async move {
            let answer = self.api.post("/v1/query", &self.body(query), run).await?;
            Ok(hits(&answer)?.1)
        })
    }

    fn sums_up(&self) -> bool {
        true
    }

    fn summary<'a>(&'a self, query: &'a Query, wish: &'a SummaryWish, run: &'a Run<'a>) -> Task<'a, Summary> {
        Box::pin(async move {
            let mut body = self.body(query);
            chain::ask_for_summary(&mut body, wish);
            chain::summary(&self.api.post("/v1/query", &body, run).await?, wish)
        })
    }

    fn add<'a>(&'a self, passages: &'a [NewPassage], run: &'a Run<'a>) -> Task<'a, ()> {
        Box::pin(async move {
            let [corpus] = self.corpora.as_slice() else {
                return Err(Failure::flow("addDocuments does not support multiple corpus ids"));
            };
            for NewPassage { id, document: Document { text, metadata }, .. } in passages {
                let title = metadata.get("title").and_then(Value::as_str).unwrap_or_default();
                let id = metadata.get("document_id").cloned().unwrap_or_else(|| id.as_str().into());
                let told = Value::Object(metadata.clone()).to_string();
                let document =
                    json!({ "document_id": id, "title": title, "metadata_json": told, "section": [{ "text": text }] });
                let body = json!({ "customer_id": self.customer, "corpus_id": corpus, "document": document });
                let answer = self.api.post("/v1/index", &body, run).await?;
                let code = answer.pointer("/status/code").and_then(Value::as_str).unwrap_or_default();
                if !matches!(code, "OK" | "ALREADY_EXISTS") {
                    return Err(Failure::Refused(format!("Vectara API returned status code {code}")));
                }
            }
            Ok(())
        })
    }
}
