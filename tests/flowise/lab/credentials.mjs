// What the lab's flows are given in confidence: by the credential's name and its fields, as Flowise's editor asks for them. Of a
// Redis Flowise has one database and the engine another, of what lies below the stub the engine /e/.
export const credentials = (redis, stub) => ({
  openAIApi: { openAIApiKey: 'sk-stub-throwaway' },
  azureOpenAIApi: { azureOpenAIApiKey: 'stub-throwaway', azureOpenAIApiInstanceName: 'stub', azureOpenAIApiDeploymentName: 'stub', azureOpenAIApiVersion: '2024-06-01' },
  anthropicApi: { anthropicApiKey: 'sk-stub-throwaway' },
  mistralAIApi: { mistralAIAPIKey: 'sk-stub-throwaway' },
  googleGenerativeAI: { googleGenerativeAPIKey: 'sk-stub-throwaway' },
  deepseekApi: { deepseekApiKey: 'sk-stub-throwaway' },
  openRouterApi: { openRouterApiKey: 'sk-stub-throwaway' },
  litellmApi: { litellmApiKey: 'sk-stub-throwaway' },
  // search
  braveSearchApi: { braveApiKey: 'k-brave' },
  googleCustomSearchApi: { googleCustomSearchApiKey: 'k-google', googleCustomSearchApiId: 'cx-google' },
  serpApi: { serpApiKey: 'k-serp' },
  serperApi: { serperApiKey: 'k-serper' },
  searchApi: { searchApiKey: 'k-search' },
  tavilyApi: { tavilyApiKey: 'k-tavily' },
  exaSearchApi: { exaSearchApiKey: 'k-exa' },
  wolframAlphaAppId: { wolframAlphaAppId: 'k-wolfram' },
  // vector databases
  pineconeApi: { pineconeApiKey: 'k-pinecone' },
  qdrantApi: { qdrantApiKey: 'k-qdrant' },
  chromaApi: { chromaApiKey: '', chromaTenant: 'tenant', chromaDatabase: 'base' },
  supabaseApi: { supabaseApiKey: 'k-supabase' },
  weaviateApi: { weaviateApiKey: 'k-weaviate' },
  milvusAuth: { milvusUser: 'user', milvusPassword: 'password' },
  elasticsearchApi: { endpoint: `${stub}/f/@/elastic.example`, apiKey: 'k-elastic' },
  openSearchUrl: { openSearchUrl: 'http://opensearch.example:9200', user: 'user', password: 'password' },
  upstashVectorApi: { UPSTASH_VECTOR_REST_URL: 'https://stub-vector.upstash.io', UPSTASH_VECTOR_REST_TOKEN: 'k-upstash' },
  AstraDBApi: { applicationToken: 'k-astra', dbEndPoint: `${stub}/f/@/stub.astra.datastax.com` },
  vectaraApi: { apiKey: 'k-vectara', customerID: '9', corpusID: '1,2' },
  // memories
  redisCacheUrlApi: { redisUrl: `${redis}/1` },
  upstashRedisMemoryApi: { upstashRestToken: 'k-upstash-redis' },
  zepMemoryApi: { apiKey: 'k-zep' },
  mem0MemoryApi: { apiKey: 'k-mem0' },
  // rerankers and embeddings
  cohereApi: { cohereApiKey: 'k-cohere' },
  jinaAIApi: { jinaAIAPIKey: 'k-jina' },
  voyageAIApi: { endpoint: 'https://api.voyageai.com/v1/embeddings', apiKey: 'k-voyage' },
  huggingFaceApi: { huggingFaceApiKey: 'hf_stub' },
  togetherAIApi: { togetherAIApiKey: 'k-together' },
  groqApi: { groqApiKey: 'k-groq' },
  fireworksApi: { fireworksApiKey: 'k-fireworks' },
  xaiApi: { xaiApiKey: 'k-xai' },
  cerebrasAIApi: { cerebrasApiKey: 'k-cerebras' },
  perplexityApi: { perplexityApiKey: 'k-perplexity' },
  cometApi: { cometApiKey: 'k-comet' },
  sambanovaApi: { sambanovaApiKey: 'k-sambanova' },
  // documents
  airtableApi: { accessToken: 'k-airtable' },
  githubApi: { accessToken: 'k-github' },
  browserlessApi: { browserlessApiToken: 'k-browserless' },
  teradataBearerToken: { token: 'k-teradata' },
  httpBasicAuth: { basicAuthUsername: 'user', basicAuthPassword: 'pass word' },
  httpBearerToken: { token: 'k-bearer' },
  httpApiKey: { key: 'X-Api-Key', value: 'k-value' },
  spiderApi: { spiderApiKey: 'k-spider' },
  unstructuredApi: { unstructuredAPIKey: 'k-unstructured' },
  // prompts
  langfuseApi: { langFuseSecretKey: 'sk-langfuse', langFusePublicKey: 'pk-langfuse', langFuseEndpoint: `${stub}/f/@/langfuse.example` }
})

// Which of them a node is given.
export const OF_NODES = {
  chatOpenAI: 'openAIApi', openAIEmbeddings: 'openAIApi', openAIModeration: 'openAIApi', inputModerationOpenAI: 'openAIApi', azureChatOpenAI: 'azureOpenAIApi', chatAnthropic: 'anthropicApi',
  chatMistralAI: 'mistralAIApi', chatGoogleGenerativeAI: 'googleGenerativeAI', chatOpenAICustom: 'openAIApi', chatDeepseek: 'deepseekApi', chatOpenRouter: 'openRouterApi', chatLitellm: 'litellmApi',
  braveSearchAPI: 'braveSearchApi', googleCustomSearch: 'googleCustomSearchApi', serpAPI: 'serpApi', serper: 'serperApi', searchAPI: 'searchApi', tavilyAPI: 'tavilyApi',
  exaSearch: 'exaSearchApi', wolframAlpha: 'wolframAlphaAppId',
  pinecone: 'pineconeApi', pineconeLlamaIndex: 'pineconeApi', qdrant: 'qdrantApi', chroma: 'chromaApi', supabase: 'supabaseApi', elasticsearch: 'elasticsearchApi', openSearch: 'openSearchUrl',
  upstash: 'upstashVectorApi', Astra: 'AstraDBApi', vectara: 'vectaraApi',
  RedisBackedChatMemory: 'redisCacheUrlApi', upstashRedisBackedChatMemory: 'upstashRedisMemoryApi', ZepMemory: 'zepMemoryApi', ZepMemoryCloud: 'zepMemoryApi', redisCache: 'redisCacheUrlApi', redisEmbeddingsCache: 'redisCacheUrlApi', mem0: 'mem0MemoryApi',
  cohereRerankRetriever: 'cohereApi', JinaRerankRetriever: 'jinaAIApi', voyageAIRerankRetriever: 'voyageAIApi', cohereEmbeddings: 'cohereApi', jinaEmbeddings: 'jinaAIApi', voyageAIEmbeddings: 'voyageAIApi',
  mistralAIEmbeddings: 'mistralAIApi', togetherAIEmbedding: 'togetherAIApi', googleGenerativeAiEmbeddings: 'googleGenerativeAI', huggingFaceInferenceEmbeddings: 'huggingFaceApi',
  chatOpenAI_LlamaIndex: 'openAIApi', openAIEmbedding_LlamaIndex: 'openAIApi', chatAnthropic_LlamaIndex: 'anthropicApi',
  openAI: 'openAIApi', azureOpenAI: 'azureOpenAIApi', cohere: 'cohereApi', huggingFaceInference_LLMs: 'huggingFaceApi', sambanova: 'sambanovaApi', togetherAI: 'togetherAIApi', fireworks: 'fireworksApi',
  groqChat: 'groqApi', chatFireworks: 'fireworksApi', chatXAI: 'xaiApi', chatCerebras: 'cerebrasAIApi', chatPerplexity: 'perplexityApi', chatCometAPI: 'cometApi', chatSambanova: 'sambanovaApi', chatTogetherAI: 'togetherAIApi',
  githubMCP: 'githubApi', browserlessMCP: 'browserlessApi', teradataMCP: 'teradataBearerToken',
  airtable: 'airtableApi', github: 'githubApi', spiderDocumentLoaders: 'spiderApi', unstructuredFileLoader: 'unstructuredApi', promptLangFuse: 'langfuseApi'
}
