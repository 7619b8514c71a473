use super::*;

#[track_caller]
fn assert_all(expected: Protected, names: &str) {
    for name in names.split_whitespace() {
        assert_eq!(protected(&[name]), Some(expected), "{name}");
    }
}

#[test]
fn names_of_flowises_nodes_are_refused_for_what_they_hold() {
    assert_all(
        Protected::Credentials,
        "credential FLOWISE_CREDENTIAL_ID openAIApiKey openai_api_key anthropicApiKey unstructuredAPIKey awsKey \
             awsSecret awsSession secretAccessKey googleMakerSuiteKey langFusePublicKey githubToken bearertoken \
             applicationToken UPSTASH_VECTOR_REST_TOKEN milvusUser milvusPassword redisCachePwd tdUsername key token \
             user",
    );
    assert_all(
        Protected::Addresses,
        "basepath basePath baseUrl baseURL baseOptions apiBase endpoint endpointHost overrideEndpoint proxyUrl \
             url urls requestsGetUrl chromaURL supabaseProjUrl mongoDBConnectUrl openApiLink yamlLink repoLink webPath \
             host port weaviateHost headers requestsPostHeaders serverName database databaseFilePath \
             connectionString azureOpenAIApiInstanceName additionalConfig executeFlowBaseURL",
    );
    assert_all(
        Protected::Code,
        "javascriptFunction customFunctionJavascriptFunction conditionFunction customCode stateMemoryCode \
             updateStateMemoryCode jsonSchema requestsGetQueryParamsSchema supabaseRPCFilter sqlQuery tableName command \
             args",
    );
    assert_all(
        Protected::Tools,
        "mcpServerConfig mcpActions mcpServerId tools agentTools customToolFunc selectedChatflow documentStore \
             vectorStore llmModelConfig agentModelConfig",
    );
    assert_all(Protected::Files, "txtFile csvFile pdfFile caFile file folderPath caPemPath fileObject notionFolder");
    assert_all(Protected::Analytics, "analytics analytic evaluation evaluationRunId callbackManager");
    assert_all(
        Protected::History,
        "chatHistory chat_history history chatId chatflowid $flow flow sessionID session_id messageHistoryCode",
    );
}

#[test]
fn what_an_application_may_want_to_set_is_left_to_the_operator() {
    for path in [
        "sessionId",
        "vars",
        "vars.apiKey",
        "promptValues",
        "promptValues.url",
        "promptValues.promptTemplate_0.token",
        "temperature",
        "temperature.chatOpenAI_0",
        "systemMessage.toolAgent_0",
        "modelName",
        "maxTokens",
        "topP",
        "topK",
        "systemMessage",
        "systemMessagePrompt",
        "humanMessagePrompt",
        "template",
        "pineconeNamespace",
        "pineconeMetadataFilter",
        "returnSourceDocuments",
        "startState",
        "timeout",
    ] {
        let path: Vec<&str> = path.split('.').collect();
        assert_eq!(protected(&path), None, "{path:?}");
    }
}

#[test]
fn no_way_leads_around_by_depth() {
    assert!(protected(&["x", "basepath"]).is_some());
    assert!(protected(&["openAIApiKey", "chatOpenAI_0"]).is_some());
    assert!(protected(&["sessionId", "x"]).is_some());
    assert!(protected(&["mcpServerConfig_0"]).is_some());
    assert!(protected(&["x", "base_path"]).is_some());
}
