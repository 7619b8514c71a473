//! Documents of a flow: files beside it, and pages that it reads.

use serde_json::{Value, json};

use super::{ASK, WIDE};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::Upstream;

/// Answers as a model, makes embeddings of as many numbers as texts, and has a page.
fn outside() -> Upstream {
    Upstream::start(|seen, reply| {
        if seen.path == "/page" {
            return reply.json("200 OK", "<title>Kettles</title><h1>Borealis</h1><p>boils in a minute</p>");
        }
        let input = seen.json()["input"].clone();
        if input.is_null() {
            return model::answer(seen, reply, "said");
        }
        let texts = input.as_array().cloned().unwrap_or_else(|| vec![input]);
        let vectors: Vec<Value> = texts.iter().map(|_| json!({ "embedding": [1, 2] })).collect();
        reply.json("200 OK", &json!({ "data": vectors }).to_string());
    })
}

/// The retrieval flow with another loader in the place of its text.
fn flow(outside: &Upstream, kind: &str, inputs: &Value) -> String {
    let mut flow: Value = serde_json::from_str(&model::export("retrieval-qa", outside.address)).unwrap();
    for node in flow["nodes"].as_array_mut().unwrap() {
        if node["data"]["name"] == "plainText" {
            node["data"]["name"] = kind.into();
            node["data"]["label"] = "Loader".into();
            node["data"]["inputs"] = inputs.clone();
        }
    }
    flow.to_string()
}

fn gateway(outside: &Upstream, kind: &str, inputs: &Value, file: Option<(&str, &[u8])>) -> Gateway {
    let config = model::config("", "", WIDE).replace("{ engine: {", "{ engine: { allow_networks: [127.0.0.0/8],");
    Gateway::start_with(&config, &keys(""), |dir| {
        model::write(dir, "support", &flow(outside, kind, inputs));
        if let Some((name, bytes)) = file {
            std::fs::create_dir_all(dir.join("flows/support")).unwrap();
            std::fs::write(dir.join("flows/support").join(name), bytes).unwrap();
        }
    })
}

/// The passages that embeddings were made of.
fn passages(outside: &Upstream) -> Vec<Value> {
    let seen = outside.seen();
    let asked = seen.iter().filter(|seen| !seen.body.is_empty()).map(|seen| seen.json()["input"].clone());
    asked.filter(Value::is_array).collect()
}

pub(super) fn pdf(text: &str) -> Vec<u8> {
    let content = format!("BT /F 12 Tf 50 700 Td ({text}) Tj 0 -14 Td (next line) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let numbered = |(number, object): (usize, &String)| format!("{number} 0 obj\n{object}\nendobj\n");
    let body = (1..).zip(&objects).map(numbered).collect::<Vec<_>>().concat();
    format!("%PDF-1.4\n{body}trailer << /Root 1 0 R >>").into_bytes()
}

#[test]
fn a_pdf_file_beside_the_flow_is_searched() {
    let outside = outside();
    let inputs = json!({ "pdfFile": "FILE-STORAGE::manual.pdf", "usage": "perPage", "metadata": "{\"k\":1}" });
    let gateway = gateway(&outside, "pdfFile", &inputs, Some(("manual.pdf", &pdf("Owls sleep by day"))));
    let answer = gateway.predict(ASK);
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Lines end in spaces where they are embedded, as in Flowise.
    assert_eq!(passages(&outside), [json!(["Owls sleep by day next line"])]);
    let source = &answer.json()["sourceDocuments"][0];
    assert_eq!(source["pageContent"], "Owls sleep by day\nnext line");
    let metadata = &source["metadata"];
    assert_eq!(
        (&metadata["pdf"]["totalPages"], &metadata["loc"]["pageNumber"], &metadata["k"]),
        (&json!(1), &json!(1), &json!(1))
    );
    // Read once, whoever asks.
    assert_eq!(gateway.predict(ASK).status, 200);
    assert_eq!(passages(&outside).len(), 1);
}

#[test]
fn a_scanned_file_says_that_it_has_no_text() {
    let outside = outside();
    let scan = String::from_utf8(pdf("x")).unwrap().replace("Tj", "n ");
    let inputs = json!({ "pdfFile": "FILE-STORAGE::scan.pdf" });
    let gateway = gateway(&outside, "pdfFile", &inputs, Some(("scan.pdf", scan.as_bytes())));
    let answer = gateway.predict(ASK);
    assert_eq!(answer.status, 500);
    let told = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("Loader: there is no text in the file (scan.pdf)"), "{told}");
    assert!(passages(&outside).is_empty());
}

#[test]
fn a_page_of_the_web_is_read_once() {
    let outside = outside();
    let inputs = json!({ "url": format!("http://{}/page", outside.address), "limit": "10" });
    let gateway = gateway(&outside, "cheerioWebScraper", &inputs, None);
    for _ in 0..2 {
        let answer = gateway.predict(ASK);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let metadata = &answer.json()["sourceDocuments"][0]["metadata"];
        assert_eq!(metadata["title"], "Kettles");
    }
    assert_eq!(passages(&outside), [json!(["Borealisboils in a minute"])]);
    assert_eq!(outside.seen().iter().filter(|seen| seen.path == "/page").count(), 1);
}
