// Engines of LlamaIndex, with its own models and embeddings, whose addresses cannot be chosen, over Pinecone.
import { ask, both } from './flows.mjs'
import { of, wired } from './wired.mjs'

const MODELS = {
  openai: ['chatOpenAI_LlamaIndex_0', 'Chat Models', { modelName: 'gpt-4o-mini', temperature: 0.2, maxTokens: '', topP: '', timeout: '', basepath: '' }],
  anthropic: ['chatAnthropic_LlamaIndex_0', 'Chat Models', { modelName: 'claude-3-haiku', temperature: 0.2, maxTokensToSample: '256', topP: '' }]
}
const EMBEDDINGS = ['openAIEmbedding_LlamaIndex_0', 'Embeddings', { modelName: 'text-embedding-ada-002', timeout: '', basepath: '' }]
const model = of(MODELS.openai[0])
const index = (more = {}) => ['pineconeLlamaIndex_0', 'Vector Stores', { document: '', model, embeddings: of(EMBEDDINGS[0]), pineconeIndex: 'idx', pineconeNamespace: '', pineconeMetadataFilter: '', topK: '2', ...more }, { output: 'retriever' }]
const MEMORY = ['bufferMemory_0', 'Memory', { sessionId: '', memoryKey: 'chat_history' }]
const TURNS = [ask('one', { question: 'My name is Ada.', chatId: '$a' }), ask('two, stream', { question: 'What is my name?', chatId: '$a', streaming: true })]
const base = [MODELS.openai, EMBEDDINGS]
const SYNTHESIZERS = {
  none: null,
  refine: ['refineLlamaIndex_0', 'Response Synthesizer', { refinePrompt: 'Of {query}: {existingAnswer}. With {context}', textQAPrompt: 'Given {context} answer {query}' }],
  'compact-refine': ['compactrefineLlamaIndex_0', 'Response Synthesizer', { refinePrompt: 'Of {query}: {existingAnswer}. With {context}', textQAPrompt: 'Given {context} answer {query}' }],
  simple: ['simpleResponseBuilderLlamaIndex_0', 'Response Synthesizer', {}],
  tree: ['treeSummarizeLlamaIndex_0', 'Response Synthesizer', { prompt: 'From {context} answer {query}' }]
}
const synthesized = (one) => [...(one ? [one] : []), ['queryEngine_0', 'Engine', { vectorStoreRetriever: of('pineconeLlamaIndex_0'), responseSynthesizer: one ? of(one[0]) : '', returnSourceDocuments: true }]]
const tool = (n, name) => [`queryEngineToolLlamaIndex_${n}`, 'Tools', { baseQueryEngine: of('queryEngine_0'), toolName: name, toolDesc: `Knows ${name}` }]
const SUBS = JSON.stringify([{ subQuestion: 'the port of Aurora', toolName: 'manual' }]).replace(/]/g, '\\u005d')
const agent = (kind, of_, more = {}) => [`${kind}_0`, 'Agents', { tools: [of('queryEngineToolLlamaIndex_0')], memory: of('bufferMemory_0'), model: of_, systemMessage: 'Be brief.', ...more }]
const CALLED = '[[tool=manual:{"query":"the port of Aurora"}]]'

const FLOWS = {
  'simple-chat': [wired([MODELS.openai, MEMORY, ['simpleChatEngine_0', 'Engine', { model, memory: of('bufferMemory_0'), systemMessagePrompt: 'Be brief.' }]]), TURNS],
  'simple-chat-anthropic': [wired([MODELS.anthropic, MEMORY, ['simpleChatEngine_0', 'Engine', { model: of(MODELS.anthropic[0]), memory: of('bufferMemory_0'), systemMessagePrompt: '' }]]), TURNS],
  'context-chat': [wired([...base, MEMORY, index(), ['contextChatEngine_0', 'Engine', { model, vectorStoreRetriever: of('pineconeLlamaIndex_0'), memory: of('bufferMemory_0'), returnSourceDocuments: true, systemMessagePrompt: '' }]]), TURNS],
  'context-chat-told': [wired([...base, MEMORY, index({ pineconeNamespace: 'space', pineconeMetadataFilter: '{"page":1}' }), ['contextChatEngine_0', 'Engine', { model, vectorStoreRetriever: of('pineconeLlamaIndex_0'), memory: of('bufferMemory_0'), returnSourceDocuments: '', systemMessagePrompt: 'Be brief.' }]]), TURNS],
  ...Object.fromEntries(Object.entries(SYNTHESIZERS).map(([name, one]) => [`query-${name}`, [wired([...base, index(), ...synthesized(one)]), both('a question', { question: 'On which port does Aurora listen?' })]])),
  'sub-questions': [
    wired([...base, index(), ...synthesized(null), tool(0, 'manual'), ['subQuestionQueryEngine_0', 'Engine', { queryEngineTools: [of('queryEngineToolLlamaIndex_0')], model, embeddings: of(EMBEDDINGS[0]), responseSynthesizer: '', returnSourceDocuments: true }]]),
    [ask('a question', { question: `Which port? [[say=${SUBS}]]` }), ask('a stream', { question: `Which port? [[say=${SUBS}]]`, streaming: true })]
  ],
  'openai-agent': [
    wired([...base, MEMORY, index(), ...synthesized(null), tool(0, 'manual'), agent('openAIToolAgentLlamaIndex', model)]),
    [...TURNS, ...both('a call', { question: `Which port? ${CALLED}` })]
  ],
  'anthropic-agent': [
    wired([...base, MODELS.anthropic, MEMORY, index(), ...synthesized(null), tool(0, 'manual'), agent('anthropicAgentLlamaIndex', of(MODELS.anthropic[0]))]),
    [...TURNS, ...both('a call', { question: `Which port? ${CALLED}` })]
  ]
}

export const LLAMA = Object.entries(FLOWS).map(([name, [flow, steps]]) => ({ name: `llama-${name}`, outside: true, flow, steps }))
