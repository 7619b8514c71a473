use super::*;

fn rules(upload: &Value) -> Option<AttachmentRules> {
    AttachmentRules::of(json!({ "fullFileUpload": upload }).as_object())
}

fn file(name: &str, bytes: &[u8]) -> Attachment {
    Attachment { name: name.to_owned(), media_type: "text/plain", bytes: bytes.to_vec() }
}

#[test]
fn an_author_switches_files_on() {
    let on = json!({ "status": true, "allowedUploadFileTypes": "text/plain, application/pdf", "pdfFile": { "usage": "perFile" } });
    let found = rules(&on).unwrap();
    assert_eq!(found.usage, PdfUsage::File);
    assert_eq!(found.shown(), json!({ "status": true, "allowedUploadFileTypes": "text/plain,application/pdf" }));
    assert!(found.check("application/pdf").is_ok());
    assert!(found.check("text/html").unwrap_err().contains("text/plain, application/pdf"));
    for off in [json!({ "status": false }), json!({}), json!(null), json!({ "status": "yes" })] {
        assert_eq!(rules(&off), None, "{off}");
    }
    assert_eq!(AttachmentRules::of(None), None);
}

#[test]
fn files_are_told_as_flowise_tells_them() {
    let rules = rules(&json!({ "status": true })).unwrap();
    let told = |name: &str, bytes: &[u8]| {
        let answer = rules.read(vec![file(name, bytes)], false, 1000).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()[0]["content"].as_str().unwrap().to_owned()
    };
    // wire/19
    let answer = rules.read(vec![file("note.txt", b"hello attachment")], false, 1000).unwrap();
    let recorded = r#"[{"name":"note.txt","mimeType":"text/plain","size":16,"content":"hello attachment"}]"#;
    assert_eq!(answer, recorded);
    assert_eq!(told("a.csv", b"a,b\n1,2\n3,4"), "a: 1\nb: 2\na: 3\nb: 4");
    assert_eq!(told("a.JSON", br#"{"a":["x",{"b":"y"}],"n":1}"#), "x\ny");
    assert_eq!(told("a.jsonl", b"{\"a\":1}\n{}"), "{\"a\":1}\n{}");
    assert_eq!(told("a.yaml", b"a: 1"), "a: 1");
    assert_eq!(told("a.txt", b"\xff\xfeh\0\xfc\0"), "h\u{fc}");
    let bytes = rules.read(vec![file("a.txt", b"hi")], true, 1000).unwrap();
    assert!(bytes.contains(r#""size":2,"content":"aGk=""#), "{bytes}");
}

#[test]
fn files_of_a_form_take_the_place_of_a_loaders_own() {
    let set = loader_overrides(vec![file("a.txt", b"a"), file("b.PDF", b"b"), file("c.md", b"c")]);
    let uri = |name: &str, data: &str| format!("data:text/plain;base64,{data},filename:{name}");
    let (a, b, c) = (uri("a.txt", "YQ=="), uri("b.PDF", "Yg=="), uri("c.md", "Yw=="));
    assert_eq!(set["txtFile"], json!([a, c]).to_string());
    assert_eq!(set["pdfFile"], json!([b]).to_string());
    assert_eq!(set["file"], json!([a, b, c]).to_string());
}

#[test]
fn what_cannot_be_read_or_is_too_much_is_told() {
    let rules = rules(&json!({ "status": true })).unwrap();
    let refused = |name: &str, bytes: &[u8]| rules.read(vec![file(name, bytes)], false, 10).unwrap_err();
    assert!(refused("a.docx", b"PK\x03\x04").contains("a.docx"));
    assert!(refused("a.pdf", b"%PDF-1.4 nothing").contains("a.pdf"));
    assert!(refused("a.txt", b"hello there, world").contains("engine.limits.text"));
}
