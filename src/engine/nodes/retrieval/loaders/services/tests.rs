use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::engine::provider::Targets;
use crate::engine::provider::web::web_address;
use crate::engine::testing::{answer, server, within};
use crate::telemetry::metrics::Metrics;

#[test]
fn answers_that_are_no_success_are_told() {
    let (origin, _) = server(&[&answer("500 Internal Server Error", "", "out of order")]);
    let targets = Targets::alone("local", &Metrics::new().unwrap()).allowing(&["127.0.0.0/8".parse().unwrap()]);
    let reader = WebReader::new(&Arc::new(targets));
    let url = web_address(&origin).unwrap();
    let failure = within(&json!({}), async |run| FetchRoom::new().ask(&reader, &url, WebRequest::default(), run).await);
    let told = failure.map(|answer| answer.status).unwrap_err().to_string();
    assert!(told.ends_with("answered 500: out of order"), "{told}");
}

#[test]
fn documents_have_their_fields_in_order() {
    let made = document("t".to_owned(), [("source", "s".into()), ("branch", "b".into())]);
    assert_eq!(serde_json::to_string(&made.metadata).unwrap(), r#"{"source":"s","branch":"b"}"#);
    assert!(bearer(&Secret::new("k".to_owned())).is_some_and(|(_, value)| value.is_sensitive()));
}
