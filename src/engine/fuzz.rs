//! What authors write and what models answer, whatever it is: read or refused, never a panic and never without end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::compile::context::Credentials;
use crate::engine::documents::stores::DocumentStores;
use crate::engine::flow::flows::{contained, is_whole_export};
use crate::engine::flow::inspect::inspect;
use crate::engine::text::mustache::{Dialect, JsonTemplate, Mustache};
use crate::engine::text::template::{Template, counted};
use crate::fuzzing::fuzz;
use crate::telemetry::metrics::Metrics;

#[test]
fn fuzz_template() {
    let words = ["{{", "}}", "{", "}", "{question}", "{{$vars.a}}", "{\"a\": ", "\\{", "{{{"];
    fuzz("template", &words, |input| {
        let text = String::from_utf8_lossy(input);
        counted(&text);
        let _ = Template::parse(&text);
        let _ = Template::parse_plain(&text);
        for dialect in [Dialect::Agentflow, Dialect::Chatflow] {
            let _ = Mustache::parse(&text, dialect).names().count();
            let _ = JsonTemplate::parse(&text, dialect);
        }
    });
}

#[test]
fn fuzz_export() {
    let words = [
        "\"nodes\":[",
        "\"edges\":[",
        "\"data\":{",
        "\"inputs\":{",
        "\"name\":\"llmChain\"",
        "\"name\":\"chatOpenAI\"",
        "\"name\":\"agentAgentflow\"",
        "\"name\":\"conditionAgentflow\"",
        "{{start_0.data.instance}}",
        "{{ $flow.state.x }}",
        "\"sourceHandle\":\"\"",
        "null",
        "[]",
        "{}",
        "\"DocumentStore\":[{",
    ];
    let metrics = Arc::new(Metrics::new().unwrap());
    fuzz("export", &words, |input| {
        let text = String::from_utf8_lossy(input).into_owned();
        let stores: Arc<DocumentStores> = Arc::default();
        let _ = inspect(
            &text,
            PathBuf::from("/nowhere"),
            &Credentials::default(),
            &[],
            &BTreeMap::new(),
            &stores,
            &metrics,
        );
        is_whole_export(&text);
        let _ = contained(&text);
        let _ = DocumentStores::read(&[(PathBuf::from("/nowhere/export.json"), text)]);
    });
}
