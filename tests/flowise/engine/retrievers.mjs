// Retrievers of every kind behind one chain, and the chains that ask them.
import { ask, both } from './flows.mjs'
import { EMBEDDINGS, MODEL, QA, STORED, of, wired } from './wired.mjs'

const store = of('memoryVectorStore_0')
const behind = (id, inputs, output = 'retriever', outputs = { output: 'retriever' }, topK) => wired([MODEL, ...STORED(output, topK), [id, 'Retrievers', inputs, outputs], QA(of(id))])
const PORT = ask('a question', { question: 'On which port does the Aurora gateway listen?' })
const asked = [PORT, ask('as a stream', { question: 'The warranty of the Borealis kettle?', streaming: true })]

// Those that ask nobody else than the model.
const OWN = {
  'multi-query': [behind('multiQueryRetriever_0', { vectorStore: store, model: of('chatOpenAI_0'), modelPrompt: 'Ask {question} in other ways, each in its own line.' }, 'vectorStore', {}), [ask('a question', { question: 'Aurora? [[say=the port of Aurora\nthe spring of otters]]' })]],
  hyde: [behind('HydeRetriever_0', { vectorStore: store, model: of('chatOpenAI_0'), query: '', promptKey: 'websearch', customPrompt: '', topK: '2' }, 'vectorStore')],
  'hyde-own-prompt': [behind('HydeRetriever_0', { vectorStore: store, model: of('chatOpenAI_0'), query: '', promptKey: 'scifact', customPrompt: 'Write of {question}', topK: '' }, 'vectorStore')],
  'similarity-threshold': [behind('similarityThresholdRetriever_0', { vectorStore: store, query: '', minSimilarityScore: '30', maxK: '2', kIncrement: '2' }, 'vectorStore')],
  'similarity-threshold-none': [behind('similarityThresholdRetriever_0', { vectorStore: store, query: '', minSimilarityScore: '99', maxK: '20', kIncrement: '2' }, 'vectorStore')],
  'embeddings-filter': [behind('embeddingsFilterRetriever_0', { baseRetriever: store, embeddings: of('openAIEmbeddings_0'), query: '', similarityThreshold: '0.3', k: '' })],
  'embeddings-filter-few': [behind('embeddingsFilterRetriever_0', { baseRetriever: store, embeddings: of('openAIEmbeddings_0'), query: 'otters sleep', similarityThreshold: '', k: '1' })],
  'llm-filter': [behind('llmFilterRetriever_0', { baseRetriever: store, model: of('chatOpenAI_0'), query: '' }), [...asked, ask('nothing is kept', { question: 'Aurora [[say=NO_OUTPUT]]' })]],
  custom: [behind('customRetriever_0', { vectorStore: store, query: 'the {{question}}', resultFormat: '{{context}}\nFrom: {{metadata.source}}', topK: '2' }, 'vectorStore')],
  rrf: [behind('RRFRetriever_0', { baseRetriever: store, model: of('chatOpenAI_0'), query: '', queryCount: '2', topK: '2', c: '60' }), [ask('a question', { question: 'Aurora? [[say=the port of Aurora\nthe gateway]]' })]]
}
// Those that ask a service.
const RERANKERS = {
  cohere: ['cohereRerankRetriever_0', { model: 'rerank-v3.5', query: '', topK: '2', maxChunksPerDoc: '5' }],
  'cohere-plain': ['cohereRerankRetriever_0', { model: 'rerank-v3.5', query: '', topK: '', maxChunksPerDoc: '' }],
  jina: ['JinaRerankRetriever_0', { model: 'jina-reranker-v2-base-multilingual', query: '', topN: '2' }],
  voyage: ['voyageAIRerankRetriever_0', { model: 'rerank-2', query: 'the kettle', topK: '2' }]
}
const prompted = (id, vectorStore, name, description) => [id, 'Retrievers', { vectorStore, name, description }]
const route = (destination, input) => `[[say={"destination":"${destination}","next_inputs":{"query":"${input}"}}]]`
// Over a store in memory, whose client Flowise breaks when it copies the chain, and over Pinecone, where it works.
const PINECONE = [EMBEDDINGS, ['pinecone_0', 'Vector Stores', { document: '', embeddings: of('openAIEmbeddings_0'), pineconeIndex: 'idx', pineconeNamespace: '', fileUpload: '', pineconeTextKey: '', pineconeMetadataFilter: '', topK: '2' }, { output: 'vectorStore' }]]
const chains = (nodes, found, asRetriever) => ({
  'retrieval-qa': [wired([MODEL, ...asRetriever(nodes), ['retrievalQAChain_0', 'Chains', { model: of('chatOpenAI_0'), vectorStoreRetriever: found, inputModeration: '' }]]), both('a question', PORT.body)],
  'vector-db-qa': [wired([MODEL, ...nodes, ['vectorDBQAChain_0', 'Chains', { model: of('chatOpenAI_0'), vectorStore: found, inputModeration: '' }]]), both('a question', PORT.body)],
  'multi-retrieval-qa': [
    wired([MODEL, ...nodes, prompted('vectorStoreRetriever_0', found, 'manual', 'On gateways'), prompted('vectorStoreRetriever_1', found, 'animals', 'On otters'), ['multiRetrievalQAChain_0', 'Chains', { model: of('chatOpenAI_0'), vectorStoreRetriever: [of('vectorStoreRetriever_0'), of('vectorStoreRetriever_1')], returnSourceDocuments: true, inputModeration: '' }]]),
    [ask('one of them', { question: `Aurora? ${route('manual', 'the port')}` }), ask('the other, stream', { question: `Otters? ${route('animals', 'how they sleep')}`, streaming: true }), ask('none of them', { question: `Else? ${route('DEFAULT', 'else')}` })]
  ]
})
const told = (nodes) => nodes.map(([id, category, inputs, outputs]) => [id, category, inputs, outputs?.output === 'vectorStore' ? { output: 'retriever' } : outputs])
const CHAINS = {
  ...chains(STORED('vectorStore', '2'), store, told),
  'qa-with-a-system-message': [wired([MODEL, ...STORED(), QA(store, { returnSourceDocuments: false, systemMessagePrompt: 'Be nice.' })]), asked],
  'qa-with-cleared-prompts': [wired([MODEL, ...STORED(), QA(store, { rephrasePrompt: '', responsePrompt: '' })]), [PORT]]
}

export const RETRIEVERS = [
  ...Object.entries(OWN).map(([name, [flow, steps = asked]]) => ({ name: `retriever-${name}`, flow, steps })),
  ...Object.entries(RERANKERS).map(([name, [id, inputs]]) => ({ name: `rerank-${name}`, outside: true, flow: behind(id, { baseRetriever: store, ...inputs }), steps: asked })),
  ...Object.entries(CHAINS).map(([name, [flow, steps]]) => ({ name: `chain-${name}`, flow, steps })),
  ...Object.entries(chains(PINECONE, of('pinecone_0'), told)).map(([name, [flow, steps]]) => ({ name: `chain-${name}-pinecone`, outside: true, flow, steps }))
]
