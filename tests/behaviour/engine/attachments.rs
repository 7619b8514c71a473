//! Files that visitors give to a chat which the engine answers.

use serde_json::{Value, json};

use super::documents::pdf;
use super::{WIDE, get};
use crate::harness::client::{self, Connection, Response};
use crate::harness::gateway::{Gateway, keys};
use crate::harness::model;
use crate::harness::upstream::Upstream;
use crate::harness::{KEY, wait_for};

/// A gateway whose flow takes files of these types.
fn taking(model: &Upstream, server: &str, types: &str) -> Gateway {
    let settings = json!({ "fullFileUpload": { "status": true, "allowedUploadFileTypes": types, "pdfFile": {} } });
    running(model, server, &settings)
}

/// The flow as Flowise's API answers it.
fn running(model: &Upstream, server: &str, settings: &Value) -> Gateway {
    Gateway::start_with(&model::config(server, "", WIDE), &keys(""), |dir| {
        let flow = model::export("llm-chain", model.address);
        let record = json!({ "name": "Support", "flowData": flow, "chatbotConfig": settings.to_string() });
        model::write(dir, "support", &record.to_string());
    })
}

fn attach(gateway: &Gateway, files: &[(&str, &[u8])], more: &str) -> Response {
    let mut body = Vec::new();
    for (name, content) in files {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("{more}--b--\r\n").as_bytes());
    let mut connection = Connection::open(gateway.http);
    connection.write(format!(
        "POST /api/v1/attachments/support/c1 HTTP/1.1\r\nHost: gateway.test\r\nX-API-KEY: {KEY}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    connection.write(body);
    connection.read_response().expect("an answer")
}

#[test]
fn a_file_is_told_and_goes_with_the_next_question() {
    let model = model::saying("said");
    let gateway = taking(&model, "", "application/pdf,text/csv,text/plain");
    let answer = attach(&gateway, &[("owls.pdf", &pdf("Owls sleep by day")), ("a.csv", b"name,age\nAnn,7")], "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let size = pdf("Owls sleep by day").len();
    let told = json!([
        { "name": "owls.pdf", "mimeType": "application/pdf", "size": size, "content": "Owls sleep by day\nnext line" },
        { "name": "a.csv", "mimeType": "text/csv", "size": 14, "content": "name: Ann\nage: 7" },
    ]);
    assert_eq!(answer.json(), told);
    assert!(model.seen().is_empty());
    let uploads: Vec<Value> = told.as_array().unwrap().iter().map(|file| {
        json!({ "type": "file:full", "name": file["name"], "mime": file["mimeType"], "data": file["content"] })
    }).collect();
    let asked = gateway.predict(&json!({ "question": "When?", "chatId": "c1", "uploads": uploads }).to_string());
    assert_eq!(asked.status, 200, "{}", asked.text());
    let prompt = model::told(&model.seen()[0])[0].1.clone();
    let files =
        "<doc name='owls.pdf'>Owls sleep by day\nnext line</doc>\n\n<doc name='a.csv'>name: Ann\nage: 7</doc>\n\n";
    assert!(prompt.contains(&format!("{files}\n\nWhen?")), "{prompt}");
}

#[test]
fn the_widget_is_told_what_files_are_taken() {
    let model = model::saying("said");
    let gateway = taking(&model, "", "application/pdf");
    let told = get(&gateway, "/api/v1/public-chatbotConfig/support").json();
    assert_eq!(told["fullFileUpload"], json!({ "status": true, "allowedUploadFileTypes": "application/pdf" }));
    let answer = attach(&gateway, &[("a.txt", b"hello")], "");
    let told = answer.assert_refused(400, "invalid_request").json()["message"].to_string();
    assert!(told.contains("text/plain") && told.contains("application/pdf"), "{told}");
    for (name, content) in [("a.pdf", b"MZ".as_slice()), ("../a.pdf", b"%PDF-1.4"), ("a.pdf", b"%PDF-1.4 nothing")] {
        attach(&gateway, &[(name, content)], "").assert_refused(400, "invalid_request");
    }
    let other = "--b\r\nContent-Disposition: form-data; name=\"chatId\"\r\n\r\nother\r\n";
    attach(&gateway, &[("a.pdf", &pdf("x"))], other).assert_refused(400, "invalid_request");
}

#[test]
fn files_are_kept_nowhere_and_bounded() {
    let model = model::saying("said");
    let gateway = taking(&model, ", max_upload: 64KiB", "text/plain");
    assert_eq!(attach(&gateway, &[("a.txt", b"hello")], "").status, 200);
    // Neither who sent it nor anybody else.
    let path = "/api/v1/get-upload-file?chatflowId=support&chatId=c1&fileName=a.txt";
    get(&gateway, path).assert_refused(404, "not_found");
    let bytes = "--b\r\nContent-Disposition: form-data; name=\"base64\"\r\n\r\ntrue\r\n";
    assert_eq!(attach(&gateway, &[("a.txt", b"hello")], bytes).json()[0]["content"], "aGVsbG8=");
    let large = "word ".repeat(20_000);
    attach(&gateway, &[("a.txt", large.as_bytes())], "").assert_refused(413, "body_too_large");
    let long = "x".repeat(20_000);
    attach(&gateway, &[("a.txt", long.as_bytes())], "").assert_refused(400, "invalid_request");
    let many: Vec<(&str, &[u8])> = (0..11).map(|_| ("a.txt", b"x".as_slice())).collect();
    attach(&gateway, &many, "").assert_refused(400, "invalid_request");
}

#[test]
fn who_sends_files_slowly_keeps_nobody_waiting() {
    let model = model::saying("said");
    let gateway = taking(&model, "", "text/plain");
    let slow = |_| {
        let mut connection = Connection::open(gateway.http);
        connection.write(format!(
            "POST /api/v1/attachments/support/c1 HTTP/1.1\r\nHost: gateway.test\r\nX-API-KEY: {KEY}\r\n\
             Expect: 100-continue\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n"
        ));
        assert_eq!(connection.read_head().expect("its body is waited for").status, 100);
        connection
    };
    let waiting: Vec<Connection> = (0..17).map(slow).collect();
    assert_eq!(attach(&gateway, &[("a.txt", b"hello")], "").status, 200);
    drop(waiting);
}

#[test]
fn a_flow_that_takes_no_files_says_so() {
    let model = model::saying("said");
    let gateway = running(&model, "", &json!({ "fullFileUpload": { "status": false } }));
    attach(&gateway, &[("a.txt", b"hello")], "").assert_refused(404, "not_found");
    // What its author switches on is in force as soon as the file says so.
    let flow = model::export("llm-chain", model.address);
    let mut flow: Value = serde_json::from_str(&flow).unwrap();
    flow["chatbotConfig"] = json!({ "fullFileUpload": { "status": true, "allowedUploadFileTypes": "text/plain" } });
    model::write(gateway.dir(), "support", &flow.to_string());
    wait_for("files are taken", || (attach(&gateway, &[("a.txt", b"hello")], "").status == 200).then_some(()));
}

/// A database of passages, and what makes vectors of them.
fn outside() -> Upstream {
    Upstream::start(|seen, reply| {
        let body = match seen.path.as_str() {
            "/collections" => json!({ "result": { "collections": [{ "name": "owls" }] } }),
            path if path.starts_with("/collections/") => json!({ "result": {} }),
            _ => {
                let texts = seen.json()["input"].as_array().map_or(1, Vec::len);
                json!({ "data": vec![json!({ "embedding": [1, 2] }); texts] })
            }
        };
        reply.json("200 OK", &body.to_string());
    })
}

/// The retrieval flow with that database, which keeps files of chats apart.
fn filing(outside: &Upstream) -> String {
    let mut flow: Value = serde_json::from_str(&model::export("retrieval-qa", outside.address)).unwrap();
    for node in flow["nodes"].as_array_mut().unwrap() {
        let data = &mut node["data"];
        if data["name"] == "memoryVectorStore" {
            data["name"] = "qdrant".into();
            let url = format!("http://{}", outside.address);
            let more = json!({ "qdrantServerUrl": url, "qdrantCollection": "owls", "fileUpload": true });
            data["inputs"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        if data["name"] == "plainText" {
            data["name"] = "textFile".into();
            data["inputs"] = json!({ "txtFile": "data:text/plain;base64,b3du,filename:own.txt" });
        }
    }
    flow.to_string()
}

#[test]
fn a_file_in_a_form_is_put_into_a_database_for_its_chat() {
    let outside = outside();
    let config = model::config("", "", WIDE).replace("{ engine: {", "{ engine: { allow_networks: [127.0.0.0/8],");
    let gateway = Gateway::start_with(&config, &keys(", upsert: true"), |dir| {
        model::write(dir, "support", &filing(&outside));
    });
    let send = |body: &str| {
        let headers = [("x-api-key", KEY), ("content-type", "multipart/form-data; boundary=b")];
        client::send(gateway.http, "POST", "/api/v1/vector/upsert/support", &headers, body)
    };
    let part = |name: &str, content: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
    };
    let file = part("files\"; filename=\"a.txt", "hello owls");
    let answer = send(&format!("{file}{}--b--\r\n", part("chatId", "c1")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["numAdded"], 1);
    let seen = outside.seen();
    let put = seen.iter().find(|seen| seen.path.starts_with("/collections/owls/points")).unwrap().json();
    let payload = &put["points"][0]["payload"];
    assert_eq!((&payload["content"], &payload["metadata"]["flowise_chatId"]), (&json!("hello owls"), &json!("c1")));
    // The flow's own file has stayed where it is.
    assert_eq!(put["points"].as_array().unwrap().len(), 1);
    send(&format!("{file}{}--b--\r\n", part("stopNodeId", "none"))).assert_refused(500, "upstream_error");
    send(&format!("{file}{}--b--\r\n", part("other", "x"))).assert_refused(400, "invalid_request");
}
