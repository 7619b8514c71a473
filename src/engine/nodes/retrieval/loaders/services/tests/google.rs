//! What people keep with Google.

use super::super::google::{drive, sheets};
use super::*;
use crate::engine::nodes::retrieval::loaders::tests::pdf;

fn google(name: &str) -> Value {
    json!({ name: { "access_token": "g-token" } })
}

#[tokio::test]
async fn chosen_files_of_a_drive_are_told_with_what_is_known_of_them() {
    let inputs = json!({ "__service": HERE, "selectedFiles": "[\"a/1\",\"b\",\"c\"]", "includeSharedDrives": true,
        "fileTypes": ["text/plain", "image/png"], CREDENTIALS: google("googleDriveOAuth2") });
    let file = |id: &str, kind: &str| {
        json!({ "id": id, "name": format!("{id}.txt"), "mimeType": kind, "size": "5", "webViewLink": "https://d/1",
            "driveId": "D", "parents": ["P"] })
    };
    let answers = [file("a/1", "text/plain"), file("b", "application/pdf"), file("c", "image/png"), "hello".into()];
    let (received, documents) = fetched(&drive::GoogleDriveLoader, inputs, &answers).await;
    let asked = "?fields=id%2C+name%2C+mimeType%2C+size%2C+createdTime%2C+modifiedTime%2C+parents%2C+webViewLink%2C+\
                 driveId&supportsAllDrives=true";
    let place = "GET /drive/v3/files";
    assert_eq!(
        lines(&received),
        [
            format!("{place}/a%2F1{asked}"),
            format!("{place}/b{asked}"),
            format!("{place}/c{asked}"),
            format!("{place}/a%2F1?alt=media"),
        ]
    );
    assert!(received.iter().all(|received| received.headers["authorization"] == "Bearer g-token"));
    let metadata = json!({ "source": "https://d/1", "fileId": "a/1", "fileName": "a/1.txt", "mimeType": "text/plain", "size": 5,
        "parents": ["P"], "driveId": "D", "driveContext": " (Shared Drive)" });
    assert_eq!(told(documents), json!([{ "pageContent": "hello", "metadata": metadata }]));
}

#[tokio::test]
async fn a_folder_of_a_drive_is_walked_with_the_folders_in_it() {
    let file = |id: &str, kind: &str| json!({ "id": id, "name": id, "mimeType": kind });
    let folder = "application/vnd.google-apps.folder";
    let inputs = json!({ "__service": HERE, "folderId": "it's", "includeSubfolders": true, "maxFiles": "3",
        "fileTypes": "[\"text/plain\"]", CREDENTIALS: google("googleDriveOAuth2") });
    let answers = [
        json!({ "files": [file("one", "text/plain"), file("inner", folder)], "nextPageToken": "n" }),
        json!({ "files": [file("two", "image/png")] }),
        json!({ "files": [file("three", "text/csv"), file("four", "text/csv"), file("inner", folder)] }),
        "1".into(),
        "3".into(),
    ];
    let (received, documents) = fetched(&drive::GoogleDriveLoader, inputs, &answers).await;
    let lines = lines(&received);
    let query = "q=%27it%5C%27s%27+in+parents+and+trashed+%3D+false+and+%28mimeType%3D%27text%2Fplain%27+or+mimeType%3D%27\
                 application%2Fvnd.google-apps.folder%27%29&pageSize=3&fields=nextPageToken%2C+files%28id";
    assert!(lines[0].starts_with(&format!("GET /drive/v3/files?{query}")), "{}", lines[0]);
    assert!(lines[1].contains("&pageSize=2&") && lines[1].ends_with("&pageToken=n"), "{}", lines[1]);
    assert!(lines[2].contains("q=%27inner%27+in+parents") && lines[2].contains("&pageSize=1&"), "{}", lines[2]);
    assert_eq!(lines[3..], ["GET /drive/v3/files/one?alt=media", "GET /drive/v3/files/three?alt=media"]);
    let documents = told(documents);
    let texts: Vec<_> = documents.as_array().unwrap().iter().map(|document| &document["pageContent"]).collect();
    assert_eq!(texts, ["1", "3"]);
    assert_eq!(documents[0]["metadata"]["source"], "https://drive.google.com/file/d/one/view");
}

#[tokio::test]
async fn documents_of_google_come_as_files_of_word() {
    let inputs = json!({ "__service": HERE, "selectedFiles": "d", CREDENTIALS: google("googleDriveOAuth2") });
    let file = json!({ "id": "d", "name": "Notes", "mimeType": "application/vnd.google-apps.document" });
    // What is no such file fails by its name.
    let (received, documents) = fetched(&drive::GoogleDriveLoader, inputs, &[file, "no zip".into()]).await;
    let kind = "application%2Fvnd.openxmlformats-officedocument.wordprocessingml.document";
    assert_eq!(received[1].line, format!("GET /drive/v3/files/d/export?mimeType={kind} HTTP/1.1"));
    let failure = documents.unwrap_err().to_string();
    assert!(failure.contains("\"Notes\" is no Word file"), "{failure}");
    let none = json!({ CREDENTIALS: google("googleDriveOAuth2") });
    assert_eq!(lab::needs(&drive::GoogleDriveLoader, none), ["folderId"]);
}

#[tokio::test]
async fn tables_of_google_are_told_in_markdown() {
    let inputs = |more: Value| {
        let mut inputs = json!({ "__service": HERE, "spreadsheetIds": "[\"s 1\"]", "includeHeaders": true,
            CREDENTIALS: google("googleSheetsOAuth2") });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        inputs
    };
    let about = json!({ "properties": { "title": "Teas" }, "sheets": [{ "properties": { "title": "Green" } },
        { "properties": { "title": "Empty" } }] });
    let values = json!({ "range": "Green!A1:B3", "values": [["Name", "Grams"], ["Sencha", 3], ["Matcha"]] });
    let answers = [about.clone(), values.clone(), json!({ "range": "Empty!A1" })];
    let (received, documents) = fetched(&sheets::GoogleSheetsLoader, inputs(json!({})), &answers).await;
    let options = "?valueRenderOption=FORMATTED_VALUE&dateTimeRenderOption=FORMATTED_STRING&majorDimension=ROWS";
    let place = "GET /v4/spreadsheets/s%201";
    assert_eq!(
        lines(&received),
        [place.to_owned(), format!("{place}/values/Green{options}"), format!("{place}/values/Empty{options}")]
    );
    let metadata = json!({ "source": "Google Sheets: Teas - Green", "spreadsheetId": "s 1", "sheetName": "Green",
        "spreadsheetTitle": "Teas", "spreadsheetUrl": "https://docs.google.com/spreadsheets/d/s 1", "range": "Green!A1:B3",
        "rowCount": 3, "columnCount": 2, "headers": ["Name", "Grams"], "totalDataRows": 2 });
    let text = "| Name | Grams |\n| --- | --- |\n| Sencha | 3 |\n| Matcha |  |\n";
    assert_eq!(told(documents), json!([{ "pageContent": text, "metadata": metadata }]));

    let more = json!({ "sheetNames": "Black", "range": "A:C", "includeHeaders": false });
    let (received, documents) = fetched(&sheets::GoogleSheetsLoader, inputs(more), &[about, values]).await;
    assert_eq!(received[1].line, format!("{place}/values/Black!A%3AC{options} HTTP/1.1"));
    let text = told(documents)[0]["pageContent"].as_str().unwrap().to_owned();
    assert!(text.starts_with("| A | B |\n| --- | --- |\n| Name | Grams |\n"), "{text}");
    let none = json!({ CREDENTIALS: google("googleSheetsOAuth2") });
    assert_eq!(lab::needs(&sheets::GoogleSheetsLoader, none), ["spreadsheetIds"]);
}

/// Each page has what is known of its file.
#[tokio::test]
async fn a_drive_does_not_say_very_much_of_a_file_of_very_many_pages() {
    let pdf = String::from_utf8(pdf(1000, 1).bytes).unwrap();
    let read = async |parent: usize| {
        let inputs = json!({ "__service": HERE, "selectedFiles": "f", CREDENTIALS: google("googleDriveOAuth2") });
        let file =
            json!({ "id": "f", "name": "f.pdf", "mimeType": "application/pdf", "parents": ["p".repeat(parent)] });
        fetched(&drive::GoogleDriveLoader, inputs, &[file, pdf.as_str().into()]).await.1
    };
    assert_eq!(read(10).await.unwrap().len(), 1000);
    let refused = read(1 << 20).await.unwrap_err().to_string();
    assert_eq!(refused, "The metadata of a document is too large for so many parts.");
}

/// Each row is filled up to the longest.
#[tokio::test]
async fn a_table_of_google_with_one_long_row_is_not_written_as_long_in_all_rows() {
    let inputs = json!({ "__service": HERE, "spreadsheetIds": "s", CREDENTIALS: google("googleSheetsOAuth2") });
    let about = json!({ "sheets": [{ "properties": { "title": "Wide" } }] });
    let mut rows = vec![json!([]); 20_000];
    rows.push(vec![Value::from("x"); 20_000].into());
    let (_, documents) = fetched(&sheets::GoogleSheetsLoader, inputs, &[about, json!({ "values": rows })]).await;
    assert_eq!(documents.unwrap_err().to_string(), "Google Sheets: the table Wide is too large");
}
