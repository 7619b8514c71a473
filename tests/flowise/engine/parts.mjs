// What chains and agents are made of: prompts, parsers, caches, variables and ways, models of before, agents that think in words.
import { ask, both } from './flows.mjs'
import { PLACEHOLDER } from './sides.mjs'
import { EMBEDDINGS, MODEL, QA, SPLITTER, STORED, TEXT, of, store, wired } from './wired.mjs'

const model = of('chatOpenAI_0')
// Of its own for each chain: Flowise breaks one that was asked while a flow is built.
const OTHER = ['chatOpenAI_1', ...MODEL.slice(1)]
const other = of('chatOpenAI_1')
const CALCULATOR = ['calculator_0', 'Tools', {}]
const MEMORY = ['bufferMemory_0', 'Memory', { sessionId: '', memoryKey: 'chat_history' }]
const say = (text) => `Hi [[say=${text}]]`
const prompt = (template, promptValues = '') => ['promptTemplate_0', 'Prompts', { template, promptValues }]
const chain = (more = {}) => ['llmChain_0', 'Chains', { model, prompt: of('promptTemplate_0'), outputParser: '', chainName: '', inputModeration: '', ...more }, { output: 'llmChain' }]
const parser = (kind, inputs) => [`${kind}_0`, 'Output Parsers', { autofixParser: false, ...inputs }]
const parsed = (kind, inputs) => wired([MODEL, prompt('Of {question}: {format_instructions}', '{"question":"{{question}}"}'), parser(kind, inputs), chain({ outputParser: of(`${kind}_0`) })])
const STRUCTURE = JSON.stringify([{ property: 'answer', type: 'string', description: 'the "answer"' }, { property: 'n', type: 'number', description: 'a number' }, { property: 'is', type: 'boolean', description: '' }])

const PROMPTS = {
  'few-shot': [wired([MODEL, ['promptTemplate_1', 'Prompts', { template: 'Word: {word}\nOpposite: {opposite}', promptValues: '' }], ['fewShotPromptTemplate_0', 'Prompts', { examples: '[{"word":"happy","opposite":"sad"},{"word":"tall","opposite":"short"}]', examplePrompt: of('promptTemplate_1'), prefix: 'Give the opposite.', suffix: 'Word: {input}\nOpposite:', exampleSeparator: '\n--\n', templateFormat: 'f-string' }], chain({ prompt: of('fewShotPromptTemplate_0') })]), both('a word', { question: 'big' })],
  'chain-of-chains': [wired([MODEL, OTHER, ['promptTemplate_1', 'Prompts', { template: 'First {question}', promptValues: '' }], ['llmChain_1', 'Chains', { model: other, prompt: of('promptTemplate_1'), outputParser: '', chainName: 'First', inputModeration: '' }, { output: 'outputPrediction' }], prompt('Then {first} of {question}', `{"first":"${of('llmChain_1')}","question":"{{question}}"}`), chain({ chainName: 'Second' })]), both('a question', { question: 'tea "q"' })]
}
const PARSERS = {
  csv: [parsed('csvOutputParser', {}), [ask('a list', { question: say('red, green,blue') }), ask('a stream', { question: say('red, green'), streaming: true })]],
  'custom-list': [parsed('customListOutputParser', { length: '3', separator: ';' }), [ask('a list', { question: say('red; green;blue') })]],
  structured: [parsed('structuredOutputParser', { jsonStructure: STRUCTURE }), [ask('an object', { question: say('```json\n{"answer":"a","n":1,"is":true}\n```') }), ask('no object', { question: say('nothing') }), ask('one that lacks a field', { question: say('{"answer":"a"}') })]],
  'structured-rows': [parsed('structuredOutputParser', { jsonStructure: JSON.parse(STRUCTURE) }), [ask('an object', { question: say('{"answer":"a","n":1.5,"is":false}') })]]
}
const cached = (kind, inputs = {}) => wired([[`${kind}_0`, 'Cache', inputs], [MODEL[0], MODEL[1], { ...MODEL[2], cache: of(`${kind}_0`) }], prompt('Say {question}'), chain()])
// Flowise keeps what it has cached for as long as it runs.
const NEW = Date.now().toString(36)
const ASKED_AGAIN = [ask('first', { question: NEW }), ask('again', { question: NEW }), ask('again, stream', { question: NEW, streaming: true }), ask('another', { question: `${NEW} two` })]
const VECTORS = [ask('first', { question: 'the port of Aurora' }), ask('again', { question: 'the port of Aurora' })]
const kept = (kind, inputs) => wired([MODEL, EMBEDDINGS, [`${kind}_0`, 'Cache', { embeddings: of('openAIEmbeddings_0'), ...inputs }], SPLITTER, TEXT, ['memoryVectorStore_0', 'Vector Stores', { ...store()[2], embeddings: of(`${kind}_0`) }, { output: 'retriever' }], QA(of('memoryVectorStore_0'))])
const CACHES = {
  'in-memory': [cached('inMemoryCache'), ASKED_AGAIN],
  redis: [cached('redisCache', { ttl: '60000' }), ASKED_AGAIN],
  'redis-embeddings': [kept('redisEmbeddingsCache', { namespace: '', ttl: '3600' }), VECTORS],
  embeddings: [kept('inMemoryEmbeddingCache', { namespace: NEW }), VECTORS]
}
const UTILITIES = {
  'set-and-get': [wired([MODEL, OTHER, ['promptTemplate_1', 'Prompts', { template: 'First {question}', promptValues: '' }], ['llmChain_1', 'Chains', { model: other, prompt: of('promptTemplate_1'), outputParser: '', chainName: '', inputModeration: '' }, { output: 'outputPrediction' }], ['setVariable_0', 'Utilities', { input: [of('llmChain_1')], variableName: 'kept' }, { output: 'output' }], ['getVariable_0', 'Utilities', { variableName: 'kept' }, { output: 'output' }], prompt('Then {kept} {set}', `{"kept":"${of('getVariable_0')}","set":"${of('setVariable_0')}"}`), chain()]), [ask('a question', { question: 'tea' })]],
  'an-ending-function': [wired([MODEL, ['promptTemplate_1', 'Prompts', { template: 'First {question}', promptValues: '' }], ['llmChain_1', 'Chains', { model, prompt: of('promptTemplate_1'), outputParser: '', chainName: '', inputModeration: '' }, { output: 'outputPrediction' }], ['customFunction_0', 'Utilities', { functionInputVariables: `{"said":"${of('llmChain_1')}"}`, functionName: '', tools: '', javascriptFunction: 'return `${$said.length}: ${$input} ${typeof $vars} ${$flow.chatId ? 1 : 0}`' }, { output: 'EndingNode' }]]), both('a question', { question: 'tea' })]
}
const agent = (id, more = {}, memory = true) => wired([MODEL, CALCULATOR, ...(memory ? [MEMORY] : []), [`${id}_0`, 'Agents', { tools: [of('calculator_0')], model, ...(memory ? { memory: of('bufferMemory_0') } : {}), inputModeration: '', maxIterations: '', ...more }]])
const AGENTS = {
  'retrieval-tool': [wired([MODEL, CALCULATOR, MEMORY, ...STORED(), ['conversationalRetrievalToolAgent_0', 'Agents', { tools: [of('calculator_0')], memory: of('bufferMemory_0'), model, systemMessage: 'Use this: {context}', rephrasePrompt: 'Rephrase {chat_history} {question}', rephraseModel: '', inputModeration: '', maxIterations: '', vectorStoreRetriever: of('memoryVectorStore_0') }]]), [ask('one', { question: 'On which port does Aurora listen?', chatId: '$a' }), ask('two, stream', { question: 'And the kettle?', chatId: '$a', streaming: true })]],
  'tool-agent-in-detail': [agent('toolAgent', { systemMessage: 'Help.', enableDetailedStreaming: true }), [ask('a tool, stream', { question: 'Compute [[tool=calculator:{"input":"6*7"}]]', streaming: true })]]
}
const COMMON = { cache: '', modelName: 'stub-model', temperature: 0.3 }
const LLMS = {
  openai: ['openAI', { ...COMMON, maxTokens: '50', topP: '', bestOf: '', frequencyPenalty: '', presencePenalty: '', batchSize: '', timeout: '', basepath: `${PLACEHOLDER}/v1`, baseOptions: '' }],
  fireworks: ['fireworks', { cache: '', modelName: 'stub-model' }],
  together: ['togetherAI', { ...COMMON, topK: 50, topP: 0.7, repeatPenalty: 1, streaming: false, maxTokens: '50', stop: 'END' }],
  azure: ['azureOpenAI', { ...COMMON, maxTokens: '50', topP: '', bestOf: '', frequencyPenalty: '', presencePenalty: '', timeout: '', basepath: '' }],
  sambanova: ['sambanova', { cache: '', modelName: 'stub-model' }],
  cohere: ['cohere', { ...COMMON, maxTokens: '50' }],
  'hugging-face': ['huggingFaceInference_LLMs', { cache: '', model: 'stub-model', endpoint: '', temperature: '0.3', maxTokens: '50', topP: '0.9', hfTopK: '', frequencyPenalty: '' }],
  ollama: ['ollama', { ...COMMON, baseUrl: PLACEHOLDER, topP: '0.9', topK: '', numCtx: '2048', stop: 'END' }]
}
const llm = ([kind, inputs]) => wired([[`${kind}_0`, 'LLMs', inputs], prompt('Say {question}'), chain({ model: of(`${kind}_0`) })])

const all = (prefix, cases) => Object.entries(cases).map(([name, [flow, steps, outside]]) => ({ name: `${prefix}-${name}`, flow, steps, ...(outside ? { outside } : {}) }))
export const PARTS = [
  ...all('prompt', PROMPTS), ...all('parser', PARSERS), ...all('cache', CACHES), ...all('utility', UTILITIES), ...all('agent', AGENTS),
  ...Object.entries(LLMS).map(([name, one]) => ({ name: `llm-${name}`, outside: true, flow: llm(one), steps: both('a question', { question: 'Good morning' }) }))
]
