//! What people keep with services: tickets, pages, files.

use super::*;

#[tokio::test]
async fn tickets_of_jira_are_told_line_by_line() {
    let inputs = json!({ "host": HERE, "projectKey": "OWL", "limitPerRequest": "2", "createdAfter": "2024-01-31T00:00:00Z",
        CREDENTIALS: { "jiraApi": { "username": "u", "accessToken": "t" } } });
    let named = |name: &str| json!({ "name": name });
    let inner = json!({ "key": "OWL-2", "id": "11", "fields": { "summary": "Inner" } });
    let words = json!({ "type": "doc", "content": [{ "content": [{ "text": "It " }, { "text": "sleeps" }] }] });
    let ticket = json!({ "key": "OWL-1", "id": "10", "fields": {
        "summary": "Sleep", "project": { "name": "Owls", "key": "OWL", "id": "1" }, "status": named("Open"),
        "priority": named("High"), "issuetype": named("Bug"), "creator": { "displayName": "Ann" }, "labels": ["a", "b"],
        "created": "c", "updated": "u", "assignee": null, "description": words, "subtasks": [inner],
        "issuelinks": [{ "type": named("Blocks"), "outwardIssue": inner }] } });
    let answers = [json!({ "issues": [ticket], "nextPageToken": "n" }), json!({ "issues": [], "isLast": true })];
    let (received, documents) = fetched(&jira::Jira, inputs, &answers).await;
    let jql = "jql=project+%3D+OWL+AND+created+%3E%3D+%222024-01-31%22+ORDER+BY+created+ASC%2C+key+ASC";
    let first = format!("GET /rest/api/3/search/jql?{jql}&maxResults=2&fields=*all");
    assert_eq!(lines(&received), [first.clone(), format!("{first}&nextPageToken=n")]);
    assert_eq!(received[0].headers["authorization"], "Basic dTp0");
    let documents = told(documents);
    let text = documents[0]["pageContent"].as_str().unwrap().replace("http://127.0.0.1", "HOST");
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("Issue: OWL-1 (ID 10) - Sleep (HOST:") && lines[0].ends_with("/browse/OWL-1)"),
        "{text}"
    );
    assert_eq!(
        lines[1..11],
        [
            "Project: Owls (OWL, ID 1)",
            "Status: Open",
            "Priority: High",
            "Type: Bug",
            "Creator: Ann",
            "Labels: a, b",
            "Created: c",
            "Updated: u",
            "Assignee: Unassigned",
            "Description: It sleeps"
        ]
    );
    assert_eq!((lines[11], lines[13], lines[14]), ("Subtasks:", "Issue Links:", "  - Blocks"));
    assert!(lines[12].starts_with("  - OWL-2") && lines[15].starts_with("    - OWL-2"), "{text}");
    assert_eq!(
        (&documents[0]["metadata"]["id"], &documents[0]["metadata"]["projectKey"]),
        (&json!("10"), &json!("OWL"))
    );
}

#[tokio::test]
async fn files_of_a_bucket_are_asked_for_with_a_signature() {
    let keys = json!({ "awsApi": { "awsKey": "AKID", "awsSecret": "a-secret" } });
    let inputs = json!({ "__service": HERE, "bucketName": "owls", "keyName": "a b/note.txt", "fileProcessingMethod": "builtIn",
        "region": "eu-west-1", CREDENTIALS: keys });
    let (received, documents) = fetched(&s3::S3File, inputs, &["hello".into()]).await;
    assert_eq!(lines(&received), ["GET /a%20b/note.txt"]);
    let proof = &received[0].headers["authorization"];
    assert!(
        proof.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && proof.contains("/eu-west-1/s3/aws4_request"),
        "{proof}"
    );
    let documents = told(documents);
    assert_eq!(documents[0]["pageContent"], "hello");
    let metadata = &documents[0]["metadata"];
    assert_eq!(
        (&metadata["source"], &metadata["size"], &metadata["mimeType"]),
        (&json!("s3://owls/a b/note.txt"), &json!(5), &json!("text/plain"))
    );

    let list = "<ListBucketResult><Contents><Key>docs/a.md</Key><ETag>1</ETag></Contents><Contents><Key>docs/b.png</Key>\
                <ETag>2</ETag></Contents><Contents><Key>docs/../c.md</Key><ETag>3</ETag></Contents></ListBucketResult>";
    let inputs = json!({ "serverUrl": format!("{HERE}/store"), "bucketName": "My_Owls", "prefix": "docs/",
        CREDENTIALS: { "awsApi": {} } });
    let (received, documents) = fetched(&s3::S3Directory, inputs, &[list.into(), "# a".into()]).await;
    assert_eq!(lines(&received), ["GET /store/My_Owls/?list-type=2&prefix=docs%2F", "GET /store/My_Owls/docs/a.md"]);
    assert!(!received[0].headers.contains_key("authorization"));
    assert_eq!(told(documents), json!([{ "pageContent": "# a", "metadata": { "source": "docs/a.md" } }]));
}

#[tokio::test]
async fn pages_of_a_space_are_asked_for_until_there_are_no_more() {
    let inputs = json!({ "baseUrl": format!("{HERE}/wiki"), "spaceKey": "OWL", "limit": 1,
        CREDENTIALS: { "confluenceCloudApi": { "username": "u", "accessToken": "t" } } });
    let page = json!({ "id": "7", "status": "current", "title": "Owls", "type": "page",
        "body": { "storage": { "value": "<p>They <b>sleep</b></p>" } }, "version": { "number": 2 } });
    let answers = [json!({ "size": 1, "results": [page] }), json!({ "size": 0, "results": [] })];
    let (received, documents) = fetched(&confluence::Confluence, inputs, &answers).await;
    let asked = |start: u8| {
        format!("GET /wiki/rest/api/content?spaceKey=OWL&limit=1&start={start}&expand=body.storage,version")
    };
    assert_eq!(lines(&received), [asked(0), asked(1)]);
    assert_eq!(received[0].headers["authorization"], "Basic dTp0");
    let documents = told(documents);
    assert_eq!(documents[0]["pageContent"], "They sleep");
    let metadata = &documents[0]["metadata"];
    assert!(metadata["url"].as_str().unwrap().ends_with("/wiki/spaces/OWL/pages/7"));
    assert_eq!(
        (&metadata["title"], &metadata["version"], metadata.get("updated_by")),
        (&json!("Owls"), &json!(2), None)
    );
}

#[tokio::test]
async fn pages_of_notion_are_documents() {
    let credential = json!({ "notionApi": { "notionIntegrationToken": "k" } });
    let text = |text: &str| json!({ "rich_text": [{ "type": "text", "plain_text": text, "annotations": {} }] });
    let paragraph =
        |words: &str| json!({ "id": "b", "type": "paragraph", "paragraph": text(words), "has_children": false });
    let title = json!({ "Name": { "type": "title", "title": [{ "plain_text": "Owls" }] } });
    let page = json!({ "object": "page", "id": "p/1", "url": "u", "properties": title });
    let children = |blocks: Value| json!({ "results": blocks, "has_more": false, "next_cursor": null });
    // Neither a database nor a page may be there; lab answers are all a success, so one without pages stands for none.
    let inputs = json!({ "__service": HERE, "pageId": "p/1", CREDENTIALS: credential });
    let inside = json!({ "id": "c", "type": "child_page", "child_page": { "title": "Mice" }, "has_children": true });
    let more = json!({ "results": [paragraph("They")], "next_cursor": "n" });
    let answers = [
        page.clone(),
        json!({}),
        json!({}),
        page.clone(),
        more,
        children(json!([paragraph("sleep"), inside])),
        json!({ "id": "c", "url": "u", "properties": {} }),
        children(json!([paragraph("squeak")])),
    ];
    let (received, documents) = fetched(&notion::PAGE, inputs, &answers).await;
    let asked = [
        "GET /v1/pages/p%2F1",
        "GET /v1/databases/p%2F1",
        "POST /v1/databases/p%2F1/query",
        "GET /v1/pages/p%2F1",
        "GET /v1/blocks/p%2F1/children",
        "GET /v1/blocks/p%2F1/children?start_cursor=n",
        "GET /v1/pages/c",
        "GET /v1/blocks/c/children",
    ];
    assert_eq!(lines(&received), asked);
    assert_eq!(received[0].headers["authorization"], "Bearer k");
    assert_eq!(received[0].headers["notion-version"], "2022-06-28");
    let properties = json!({ "Name": "Owls", "_title": "Owls" });
    let metadata = json!({ "object": "page", "url": "u", "properties": properties, "notionId": "p/1" });
    assert_eq!(
        told(documents),
        json!([
            { "pageContent": "\nThey\n\n\nsleep\n\n", "metadata": metadata },
            { "pageContent": "\nsqueak\n\n", "metadata": { "url": "u", "properties": {}, "notionId": "c" } },
        ])
    );

    let inputs = json!({ "__service": HERE, "databaseId": "d", CREDENTIALS: credential });
    let rows = json!({ "results": [{ "id": "p/1" }], "next_cursor": null });
    let answers = [json!({}), json!({}), rows, json!({ "id": "d" }), children(json!([])), page, children(json!([]))];
    let (received, documents) = fetched(&notion::DATABASE, inputs, &answers).await;
    assert_eq!(received[2].body, json!({ "page_size": 50 }));
    assert_eq!(told(documents)[0]["pageContent"], "---\nName: Owls\n_title: Owls\n---\n\n");
}
