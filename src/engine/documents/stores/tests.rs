use serde_json::json;

use super::*;

fn chunk(store: &str, number: u32, text: &str) -> Value {
    json!({
        "id": format!("chunk-{number}"), "docId": "loader", "storeId": store, "chunkNo": number, "pageContent": text,
        "metadata": "{\"source\":\"blob\"}",
    })
}

fn entity(id: &str, name: &str) -> Value {
    let embeddings = json!({ "name": "openAIEmbeddings", "config": { "modelName": "m" } });
    json!({ "id": id, "name": name, "status": "UPSERTED", "embeddingConfig": embeddings.to_string(),
        "vectorStoreConfig": null, "recordManagerConfig": null })
}

fn file(name: &str, stores: &[Value], chunks: &[Value]) -> (PathBuf, String) {
    let text =
        json!({ "ChatFlow": [{ "name": "not read" }], "DocumentStore": stores, "DocumentStoreFileChunk": chunks });
    (name.into(), text.to_string())
}

fn texts(store: &DocumentStore) -> Vec<&str> {
    store.documents.iter().map(|document| &*document.text).collect()
}

fn problem(files: &[(PathBuf, String)]) -> String {
    let problems = DocumentStores::read(files).unwrap_err();
    problems.iter().map(|(file, problem)| format!("{}: {problem}", file.display())).collect::<Vec<_>>().join("\n")
}

#[test]
fn passages_are_in_their_order() {
    let chunks = [chunk("1", 2, "b"), chunk("2", 1, "other"), chunk("1", 1, "a")];
    let stores = DocumentStores::read(&[file("f", &[entity("1", "A"), entity("2", "B")], &chunks)]).unwrap();
    let first = stores.find("1").unwrap().unwrap();
    assert_eq!(texts(first), ["a", "b"]);
    assert_eq!(Value::Object(first.documents[0].metadata.clone()), json!({ "source": "blob", "docId": "loader" }));
    assert_eq!(first.embeddings.as_ref().unwrap().name, "openAIEmbeddings");
}

#[test]
fn a_store_is_found_by_its_id_or_else_by_its_name() {
    let stores = [entity("1", "A"), entity("2", "B"), entity("3", "B")];
    let stores = DocumentStores::read(&[file("f", &stores, &[])]).unwrap();
    let id = |chosen: &str| stores.find(chosen).map(|found| found.map(|store| store.id.clone()));
    assert_eq!(id("2:A"), Ok(Some("2".to_owned())));
    assert_eq!(id("elsewhere:A"), Ok(Some("1".to_owned())));
    assert_eq!((id("elsewhere:C"), id("A"), id("elsewhere:")), (Ok(None), Ok(None), Ok(None)));
    assert_eq!(id("9:B"), Err("there are several document stores \"B\", none with the id 9".to_owned()));
}

#[test]
fn mistakes_name_the_file_and_the_store() {
    let a = || entity("1", "A");
    let mut no_json = chunk("1", 7, "a");
    no_json["metadata"] = "{".into();
    assert_eq!(
        problem(&[file("f", &[a()], &[no_json])]),
        "f: document store \"A\": metadata of passage 7 is no JSON object"
    );
    let mut odd = a();
    odd["vectorStoreConfig"] = "[]".into();
    assert_eq!(problem(&[file("f", &[odd], &[])]), "f: document store \"A\": vectorStoreConfig has no name and config");
    let many: Vec<Value> = (0..=20_000).map(|number| chunk("1", number, "a")).collect();
    assert_eq!(problem(&[file("f", &[a()], &many)]), "f: document store \"A\": it has 20001 passages, more than 20000");
    let stray = file("f", &[a()], &[chunk("9", 1, "a")]);
    assert_eq!(problem(&[stray]), "f: it has passages of a document store 9, but not the store");
    let twice = [file("f", &[a()], &[]), file("g", &[a()], &[])];
    assert_eq!(problem(&twice), "g: the document store \"A\" is in f as well");
    // Exports may be without stores, and are no objects if they are lists of records.
    for text in [file("f", &[], &[]).1, r#"{"Tool":[],"DocumentStore":null}"#.to_owned(), "[{}]".to_owned()] {
        assert!(DocumentStores::read(&[("f".into(), text)]).is_ok_and(|stores| stores.iter().next().is_none()));
    }
    let broken = ("f".into(), r#"{"DocumentStore":[{"id":1}]}"#.to_owned());
    assert!(problem(&[broken]).starts_with("f: its document stores cannot be read: "));
}

#[test]
fn what_has_not_changed_is_taken_over() {
    let read = |text: &str, previous| {
        let chunks = [chunk("1", 1, "a"), chunk("2", 1, text)];
        let (path, text) = file("f", &[entity("1", "A"), entity("2", "B")], &chunks);
        DocumentStores::read_again(&[(path, Ok(text))], previous)
    };
    let first = read("b", None);
    assert!(Arc::ptr_eq(&first, &read("b", Some(&first))));
    let second = read("c", Some(&first));
    let same = |id| Arc::ptr_eq(&first.find(id).unwrap().unwrap().index, &second.find(id).unwrap().unwrap().index);
    assert!(same("1") && !same("2"));
}

#[test]
fn a_file_that_breaks_keeps_the_stores_that_it_had() {
    let good = |name: &str, id: &str, text: &str| {
        let (path, text) = file(name, &[entity(id, name)], &[chunk(id, 1, text)]);
        (path, Ok(text))
    };
    let first = DocumentStores::read_again(&[good("f", "1", "one"), good("g", "2", "two")], None);
    let broken = [(PathBuf::from("f"), Ok("{".to_owned())), good("g", "2", "other")];
    let second = DocumentStores::read_again(&broken, Some(&first));
    let held: Vec<_> = second.problems().map(|(file, _)| file.to_owned()).collect();
    assert_eq!(held, [PathBuf::from("f")]);
    assert!(Arc::ptr_eq(first.find("1").unwrap().unwrap(), second.find("1").unwrap().unwrap()));
    assert_eq!(texts(second.find("2").unwrap().unwrap()), ["other"]);
    assert!(
        Arc::ptr_eq(&second, &DocumentStores::read_again(&broken, Some(&second))),
        "what is known is not read again"
    );
    let right = [good("f", "1", "right"), good("g", "2", "other")];
    let third = DocumentStores::read_again(&right, Some(&second));
    assert_eq!((third.problems().count(), texts(third.find("1").unwrap().unwrap())), (0, vec!["right"]));
}
