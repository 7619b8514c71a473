// Vector databases that are searched where they are: a chain that asks one, an agent's tool that does, and what is put in.
import { ask, changed, load, upsert } from './flows.mjs'
import { knowing } from './acting.mjs'
import { joined } from './drawn.mjs'
import { PLACEHOLDER } from './sides.mjs'
import { MODEL, QA, of, wired } from './wired.mjs'

// The retrieval flow on another store, without its documents or with them.
export const stored = (name, given, keepsDocuments) => changed(load('retrieval-qa'), (flow) => {
  if (!keepsDocuments) {
    flow.nodes = flow.nodes.filter((n) => !/^(plainText|recursive)/.test(n.id))
    flow.edges = flow.edges.filter((e) => flow.nodes.some((n) => n.id === e.source))
  }
  const { data } = flow.nodes.find((n) => n.id === 'memoryVectorStore_0')
  Object.assign(data, { name, label: name, type: name, inputs: { document: keepsDocuments ? data.inputs.document : '', embeddings: data.inputs.embeddings, recordManager: '', topK: '', ...given }, outputs: { output: 'retriever' } })
})
// The same behind an agent's tool.
const behindTool = (name, given, filter = '') => changed(joined(load('tool-agent'), { name: 'retrieverTool', category: 'Tools', inputs: { name: 'manual', description: 'Knows the manual.', returnSourceDocuments: true, retrieverToolMetadataFilter: filter, retriever: '{{store_0.data.instance}}' }, to: 'toolAgent_0', as: 'tools', isList: true }), (flow) => {
  const from = stored(name, given)
  const take = (id) => JSON.parse(JSON.stringify(from.nodes.find((n) => n.id === id)).split('memoryVectorStore_0').join('store_0'))
  flow.nodes.push(take('memoryVectorStore_0'), take('openAIEmbeddings_0'))
  const edge = (source, target, input) => flow.edges.push({ id: `e-${source}-${input}`, source, sourceHandle: `${source}-output-x-x`, target, targetHandle: `${target}-input-${input}-x`, type: 'buttonedge', data: {} })
  edge('openAIEmbeddings_0', 'store_0', 'embeddings')
  edge('store_0', 'retrieverTool_9', 'retriever')
})

const FILTER = '{"page":{"$gte":1}}'
export const KINDS = {
  pinecone: { pineconeIndex: 'idx', pineconeNamespace: 'space', fileUpload: '', pineconeTextKey: '', pineconeMetadataFilter: FILTER, topK: '3' },
  qdrant: { qdrantServerUrl: 'http://qdrant.example:6333', qdrantCollection: 'idx', fileUpload: '', qdrantVectorDimension: '64', contentPayloadKey: 'content', metadataPayloadKey: 'metadata', batchSize: '', qdrantSimilarity: 'Cosine', qdrantCollectionConfiguration: '', topK: '3', qdrantFilter: '{"must":[{"key":"metadata.page","match":{"value":1}}]}' },
  chroma: { collectionName: 'idx', chromaURL: 'http://chroma.example:8000', chromaMetadataFilter: '{"page":1}', topK: '3' },
  supabase: { supabaseProjUrl: 'https://stub.supabase.co', tableName: 'documents', queryName: 'match_documents', supabaseMetadataFilter: '{"page":1}', supabaseRPCFilter: '', topK: '3' },
  elasticsearch: { indexName: 'idx', topK: '3', similarity: 'cosine' },
  openSearch: { indexName: 'idx', topK: '3', engine: 'lucene', spaceType: 'l2' },
  upstash: { fileUpload: '', upstashMetadataFilter: '', topK: '3' },
  Astra: { astraCollection: 'idx', vectorDimension: '64', similarityMetric: 'cosine', topK: '3' }
}
const MORE = {
  'pinecone-plain': ['pinecone', { pineconeIndex: 'idx' }],
  'pinecone-files': ['pinecone', { ...KINDS.pinecone, pineconeMetadataFilter: '', fileUpload: true }],
  'qdrant-plain': ['qdrant', { ...KINDS.qdrant, qdrantFilter: '', topK: '' }],
  'qdrant-files': ['qdrant', { ...KINDS.qdrant, qdrantFilter: '', fileUpload: true }],
  'chroma-plain': ['chroma', { ...KINDS.chroma, chromaMetadataFilter: '', topK: '' }],
  'supabase-plain': ['supabase', { ...KINDS.supabase, supabaseMetadataFilter: '', topK: '' }],
  'supabase-calls': ['supabase', { ...KINDS.supabase, supabaseMetadataFilter: '', supabaseRPCFilter: 'filter("metadata->page", "gt", 0).filter("metadata->source", "eq", "manual")' }]
}

const QUESTIONS = [ask('JSON', { question: 'On which port does the Aurora gateway listen?', chatId: '$a' }), ask('a follow-up, stream', { question: 'And the kettle?', chatId: '$a', streaming: true })]
const BY_TOOL = [ask('a call', { question: 'Look it up [[tool=manual:{"input":"the port of Aurora"}]]' }), ask('a call, stream', { question: 'Look it up [[tool=manual:{"input":"the kettle"}]]', streaming: true })]

// A tool's own filter, beside that of its store or alone.
const NARROWED = {
  'pinecone-narrowed': ['pinecone', KINDS.pinecone, '{"chat":{"$eq":"$flow.chatId"}}'],
  'pinecone-narrowed-alone': ['pinecone', MORE['pinecone-plain'][1], { source: 'manual' }],
  'qdrant-narrowed': ['qdrant', KINDS.qdrant, '{"must":[{"key":"metadata.source","match":{"value":"$flow.sessionId"}}]}'],
  'qdrant-narrowed-alone': ['qdrant', { ...KINDS.qdrant, qdrantFilter: '' }, '{"must":[{"key":"metadata.source","match":{"value":"manual"}}]}'],
  'chroma-narrowed': ['chroma', KINDS.chroma, '{"source":"manual"}']
}
const CHAT = BY_TOOL.map(({ title, body }) => ask(title, { ...body, chatId: '$a' }))

// Vectara makes its own vectors, and answers itself.
const vectara = (output, more = {}) => ['vectara_0', 'Vector Stores', { document: '', file: '', filter: '', sentencesBefore: 2, sentencesAfter: 2, lambda: '', topK: '3', mmrK: '', mmrDiversityBias: '', ...more }, { output }]
const summing = wired([vectara('vectorStore'), ['vectaraQAChain_0', 'Chains', { vectaraStore: of('vectara_0'), summarizerPromptName: 'vectara-summary-ext-v1.2.0', responseLang: 'eng', maxSummarizedResults: '7', inputModeration: '' }]])
const VECTARA = {
  vectara: [wired([MODEL, vectara('retriever', { filter: 'doc.page = 1', lambda: 0.1 }), QA(of('vectara_0'))]), QUESTIONS],
  'vectara-chain': [summing, [...QUESTIONS, ask('no such prompt', { question: 'forbidden' }), ask('more than it sums up', { question: 'too much' })]]
}

// What a client may say instead.
const OVERRIDES = ['pineconeNamespace', 'topK', 'pineconeMetadataFilter']
const overridden = {
  name: 'database-pinecone-overridden', outside: true, flow: stored('pinecone', KINDS.pinecone), overridable: { pinecone: OVERRIDES }, allow: OVERRIDES,
  steps: [
    ask('a namespace', { question: 'The port?', overrideConfig: { pineconeNamespace: 'another' } }), ask('a number', { question: 'The port?', overrideConfig: { topK: 1 } }),
    ask('a filter', { question: 'The port?', overrideConfig: { pineconeMetadataFilter: '{"source":{"$eq":"manual"}}' } })
  ]
}

export const DATABASES = [
  overridden,
  ...Object.entries(KINDS).flatMap(([kind, given]) => [
    { name: `database-${kind}`, outside: true, flow: stored(kind, given), steps: QUESTIONS },
    { name: `database-${kind}-upsert`, outside: true, flow: stored(kind, given, true), steps: [upsert(), QUESTIONS[0]] },
    { name: `database-${kind}-agent`, outside: true, flow: knowing(kind, given, 'openAIEmbeddings', { modelName: 'stub-embedding', basepath: `${PLACEHOLDER}/v1` }), steps: [ask('a call, stream', { question: 'Look it up [[tool=the_manual:{"input":"the port of Aurora"}]]', streaming: true })] },
    { name: `database-${kind}-tool`, outside: true, flow: behindTool(kind, given), steps: BY_TOOL }
  ]),
  ...Object.entries(VECTARA).map(([name, [flow, steps]]) => ({ name: `database-${name}`, outside: true, flow, steps })),
  ...Object.entries(NARROWED).map(([name, one]) => ({ name: `database-${name}`, outside: true, flow: behindTool(...one), steps: CHAT })),
  ...Object.entries(MORE).map(([name, [kind, given]]) => ({ name: `database-${name}`, outside: true, flow: stored(kind, given), steps: QUESTIONS }))
]
