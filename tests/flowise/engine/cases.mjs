// The example exports with the requests of the transcripts (wire/), as far as a client of flowgate may send them.
import { CALCULATE, ask, both, changed, document, EARLIER, image, inputs, load } from './flows.mjs'
import { BEFORE } from './before.mjs'
import { CODE } from './code.mjs'
import { AGENTS } from './agents.mjs'
import { DATABASES } from './databases.mjs'
import { DOCUMENTS } from './documents.mjs'
import { FLOWTOOLS } from './flowtools.mjs'
import { FOLLOWUPS } from './followups.mjs'
import { KINDS } from './kinds.mjs'
import { LLAMA } from './llama.mjs'
import { MEMORIES } from './memories.mjs'
import { NATIVE } from './native.mjs'
import { OUTSIDE } from './outside.mjs'
import { PARTS } from './parts.mjs'
import { PROMPTS } from './prompts.mjs'
import { RECORDS } from './records.mjs'
import { RETRIEVERS } from './retrievers.mjs'
import { SEARCH } from './search.mjs'
import { TOOLS } from './tools.mjs'

const CHAIN = { overridable: { 'Prompt Template': ['promptValues', 'template'], OpenAI: ['temperature', 'modelName'] }, allow: ['promptValues', 'template', 'temperature', 'modelName'] }

// Nodes that search the document stores which engine/stores.mjs makes; `STORE name` becomes a store's id.
const SPEAKS = 'What do diffusion models learn?'
const searching = (inputs, isLast) => changed(load('agentflow-llm'), (flow) => {
  const llm = flow.nodes.find((n) => n.data.name === 'llmAgentflow')
  const [edge] = flow.edges
  const id = 'retrieverAgentflow_0'
  const params = ['retrieverQuery', 'retrieverUpdateState'].map((name) => ({ name, label: name, type: 'string', acceptVariable: true }))
  flow.nodes.push({ ...llm, id, data: { ...llm.data, id, label: 'Retriever 0', name: 'retrieverAgentflow', type: 'Retriever', inputParams: params, inputs: { outputFormat: 'text', retrieverQuery: '', retrieverUpdateState: '', ...inputs }, outputAnchors: [{ id: `${id}-output-retrieverAgentflow`, name: 'retrieverAgentflow', label: 'Retriever' }] } })
  flow.edges = [{ ...edge, id: `${edge.id}-r`, target: id, targetHandle: id }]
  if (isLast) flow.nodes = flow.nodes.filter((n) => n !== llm)
  else flow.edges.push({ ...edge, source: id, sourceHandle: `${id}-output-retrieverAgentflow` })
})
const PAPER = [{ documentStore: 'STORE ai paper:ai paper' }]
const inStore = (id, name, output) => (flow) => {
  const { data } = flow.nodes.find((n) => n.id === id)
  Object.assign(data, { name, label: name, inputs: { selectedStore: 'STORE ai paper' }, inputParams: [{ name: 'selectedStore', label: 'Select Store', type: 'asyncOptions' }], inputAnchors: [], outputs: { output } })
}
const STORES = [
  { name: 'retriever-two-stores', flow: searching({ retrieverKnowledgeDocumentStores: [...PAPER, { documentStore: 'STORE AI-Paper:AI-Paper' }] }, true), steps: both('the question', { question: SPEAKS }) },
  { name: 'retriever-last', flow: searching({ retrieverKnowledgeDocumentStores: PAPER }, true), steps: both('the question', { question: SPEAKS, chatId: '$a' }) },
  {
    name: 'retriever-then-model',
    flow: changed(searching({ retrieverKnowledgeDocumentStores: PAPER, retrieverQuery: '<p>Who attends to {{ question }}?</p>', outputFormat: 'textWithMetadata', retrieverUpdateState: [{ key: 'found', value: '<p>{{ output }}</p>' }] }), (f) => {
      inputs(f, 'startAgentflow').startState = [{ key: 'found', value: '' }]
      inputs(f, 'llmAgentflow').llmMessages = [{ role: 'system', content: '<p>State: {{ $flow.state.found }} Node: {{ retrieverAgentflow_0 }}</p>' }]
    }),
    steps: both('the words of a text', { question: 'all words of a text', chatId: '$a' })
  },
  {
    name: 'agent-knowledge',
    flow: changed(load('agentflow-agent-tool'), (f) => {
      inputs(f, 'agentAgentflow').agentKnowledgeDocumentStores = [{ ...PAPER[0], docStoreDescription: 'What the paper says', returnSourceDocuments: true }, { documentStore: 'STORE AI-Paper:AI-Paper', docStoreDescription: '', returnSourceDocuments: '' }]
    }),
    steps: [
      ...both('a store with its sources', { question: `Look it up [[tool=ai_paper:{"input":"${SPEAKS}"}]]`, chatId: '$a' }),
      ...both('a store without', { question: 'Look it up [[tool=ai-paper:{"input":"the price of electricity"}]]', chatId: '$b' }),
      ask('the other tool', { question: CALCULATE }),
      ask('no tool, stream', { question: 'Just talk', streaming: true })
    ]
  },
  {
    name: 'qa-of-a-store', flow: changed(load('retrieval-qa'), inStore('memoryVectorStore_0', 'documentStoreVS', 'retriever')),
    steps: [ask('JSON', { question: SPEAKS, chatId: '$a' }), ask('a follow-up, stream', { question: 'And transformers?', chatId: '$a', streaming: true })]
  },
  {
    name: 'qa-of-a-stores-passages', flow: changed(load('retrieval-qa'), inStore('plainText_0', 'documentStore', 'document')),
    steps: both('a question', { question: SPEAKS, chatId: '$a' })
  }
]

export const CASES = [
  ...NATIVE,
  ...BEFORE,
  ...KINDS,
  ...CODE,
  ...AGENTS,
  ...DOCUMENTS,
  ...TOOLS,
  ...SEARCH,
  ...DATABASES,
  ...RECORDS,
  ...MEMORIES,
  ...RETRIEVERS,
  ...LLAMA,
  ...PROMPTS,
  ...PARTS,
  ...FLOWTOOLS,
  ...FOLLOWUPS,
  ...OUTSIDE,
  ...STORES,
  {
    name: 'llm-chain', flow: load('llm-chain'), ...CHAIN,
    steps: [
      ...both('question only', { question: 'What is a gateway?' }),
      ask('with chatId', { question: 'And a proxy?', chatId: '$mine' }),
      ask('sessionId and no chatId', { question: 'Hi', overrideConfig: { sessionId: '$session' } }),
      ask('both ids', { question: 'Hi', chatId: '$mine', overrideConfig: { sessionId: '$session' } }),
      ask('streaming, both ids', { question: 'Hi', chatId: '$mine', overrideConfig: { sessionId: '$session' }, streaming: true }),
      ask('"streaming": "true"', { question: 'A', streaming: 'true' }),
      ask('unicode', { question: 'Zażółć 😀 \u2028 end', streaming: true }),
      ask('newlines, tabs, quotes', { question: 'line one\n\tline two "quoted" \\ {x} {{y}}' }),
      ask('many tokens', { question: '[[words=300]]', streaming: true }),
      ask('an empty answer', { question: '[[say=]]', streaming: true }),
      ask('history, which a flow without memory does not read', { question: 'A', history: EARLIER })
    ]
  },
  {
    name: 'llm-chain-overrides', flow: load('llm-chain'), ...CHAIN,
    steps: [
      ...both('promptValues', { question: 'Q1', overrideConfig: { promptValues: { userId: 'alice' } } }),
      ask('promptValues keyed by node id', { question: 'Q1', overrideConfig: { promptValues: { promptTemplate_0: { userId: 'bynode' } } } }),
      ask('template', { question: 'Q1', overrideConfig: { template: 'T {question}' } }),
      ask('temperature and modelName', { question: 'Q1', overrideConfig: { temperature: 0.7, modelName: 'other-model' } }),
      ask('a value with braces and quotes', { question: 'say {userId} "q" \\ back', overrideConfig: { promptValues: { userId: '{question} "x"' } } }),
      ask('all values given', { question: 'unused', overrideConfig: { promptValues: { userId: 'a', question: 'given' } } })
    ]
  },
  ...[
    ['doubled-braces', 'json {{"a": "{question}"}} for {userId}'],
    ['a-name-twice', '{question} {question} {userId}'],
    ['only-the-question', '{anything}'],
    ['no-variable', 'fixed text'],
    ['a-JSON-object', '{"a": 1} {question}'],
    ['nested-JSON', '{{"a": {{"b": "{question}"}}}} {userId}'],
    ['spaces-inside', '{ question } {userId}'],
    ['a-number', '{question} {userId}', { userId: 5 }],
    ['null', '{question} {userId}', { userId: null }],
    ['an-object', '{question} {userId}', { userId: { id: 7, list: [1] } }],
    ['three-braces', 'hi {{{question}}} {userId}'],
    ['variables', '{question} {userId}', { userId: 'u {{question}} {{$flow.sessionId}} {{$flow.chatId}} {{$flow.chatflowId}} {{chat_history}} {{unknown}}' }],
    // Flowise finds out when it is asked, and answers 500.
    ['a-brace-left-open', 'open { brace {question}', undefined, true],
    ['a-closing-brace', 'close } brace {question}', undefined, true]
  ].map(([name, template, promptValues, mayBeRefused]) => ({
    name: `prompt-${name}`, mayBeRefused,
    flow: changed(load('llm-chain'), (f) => Object.assign(inputs(f, 'promptTemplate'), { template, ...(promptValues ? { promptValues: JSON.stringify(promptValues) } : {}) })),
    steps: [ask('a question', { question: 'Q', chatId: '$c' })]
  })),
  {
    name: 'llm-chain-two-missing', flow: changed(load('llm-chain'), (f) => (inputs(f, 'promptTemplate').promptValues = '')),
    steps: both('two prompt values missing', { question: 'x' })
  },
  {
    name: 'llm-chain-no-streaming-model', flow: changed(load('llm-chain'), (f) => (inputs(f, 'chatOpenAI').streaming = false)),
    steps: both('a model with streaming off', { question: 'A b c' })
  },
  {
    name: 'llm-chain-options', flow: changed(load('llm-chain'), (f) => Object.assign(inputs(f, 'chatOpenAI'), { maxTokens: '50', topP: '0.5', frequencyPenalty: '0.25', presencePenalty: '0.75', timeout: '5000', stopSequence: 'END,STOP', temperature: '0.3' })),
    steps: both('every option of the model', { question: 'A' })
  },
  {
    name: 'llm-chain-vars', flow: load('llm-chain-vars'), overridable: { 'Prompt Template': ['promptValues'] }, vars: { userId: 'default-user' },
    steps: [
      ...both('vars', { question: 'line one\n\tline two "quoted"' }),
      ask('sessionId feeds $flow.sessionId', { question: 'Q1', overrideConfig: { sessionId: '$s1' } })
    ]
  },
  {
    name: 'llm-chain-chat-prompt', flow: load('llm-chain-chat-prompt'),
    steps: [
      ...both('chat prompt template', { question: 'Good morning' }),
      ...both('an image', { question: 'See this', chatId: '$img', uploads: image }),
      ask('a file whose {{question}} sits in promptValues', { question: 'Summarise', uploads: document })
    ]
  },
  {
    name: 'llm-chain-uploads', flow: load('llm-chain'),
    steps: [
      ask('a file whose question the chain fills in', { question: 'Summarise', uploads: document }),
      ask('an image that the flow does not want', { question: 'See this', chatId: '$img', uploads: image })
    ]
  },
  {
    name: 'llm-chain-errors', flow: load('llm-chain'),
    steps: [400, 401, 403, 404, 429].flatMap((status) => both(`the model says ${status}`, { question: `[[error=${status}]]` }))
  },
  { name: 'llm-chain-error-500', flow: load('llm-chain'), timeout: 250000, steps: [ask('the model says 500, stream', { question: '[[error=500]]', streaming: true })] },
  { name: 'llm-chain-error-503', flow: load('llm-chain'), timeout: 250000, steps: [ask('the model says 503, JSON', { question: '[[error=503]]' })] },
  { name: 'llm-chain-cut', flow: load('llm-chain'), timeout: 250000, steps: [ask('the model breaks off, stream', { question: '[[words=10]] [[cut=3]]', streaming: true })] },
  { name: 'agentflow-llm-cut', flow: load('agentflow-llm'), timeout: 250000, steps: [ask('the model breaks off, JSON', { question: '[[words=10]] [[cut=3]]' })] },
  {
    name: 'conversation-chain', flow: load('conversation-chain'), overridable: { 'Conversation Chain': ['systemMessagePrompt'], 'Buffer Memory': ['sessionId'] }, allow: ['systemMessagePrompt'],
    steps: [
      ask('turn 1', { question: 'My name is Ada.', chatId: '$conv' }),
      ask('turn 2, streaming', { question: 'What is my name?', chatId: '$conv', streaming: true }),
      ask('turn 3 with history', { question: 'Third', chatId: '$conv', history: EARLIER }),
      ask('another session of the chat', { question: 'Other session', chatId: '$conv', overrideConfig: { sessionId: '$other' } }),
      ask('that session again, without its chat', { question: 'Again', overrideConfig: { sessionId: '$other' } }),
      ask('systemMessagePrompt', { question: 'Who?', chatId: '$conv', overrideConfig: { systemMessagePrompt: 'You are a pirate. {"a": 1}' } }),
      ask('a turn that fails', { question: 'lost [[error=400]]', chatId: '$fail' }),
      ask('the next turn of that chat', { question: 'still there?', chatId: '$fail' }),
      ask('a stream that fails', { question: 'lost [[error=400]]', chatId: '$fail', streaming: true }),
      ask('braces in the question', { question: 'Say {name} and {{question}} and {{chat_history}}', chatId: '$braces' }),
      ask('and after it', { question: 'Again {x}', chatId: '$braces' }),
      ask('an image where none are wanted', { question: 'See', chatId: '$img', uploads: image }),
      ask('a file', { question: 'Summarise', chatId: '$file', uploads: document }),
      ask('after the file', { question: 'And now?', chatId: '$file' })
    ]
  },
  {
    name: 'conversation-chain-images', flow: changed(load('conversation-chain'), (f) => (inputs(f, 'chatOpenAI').allowImageUploads = true)),
    steps: [ask('an image', { question: 'See', chatId: '$img', uploads: image }), ask('after it', { question: 'And now?', chatId: '$img', streaming: true })]
  },
  {
    name: 'retrieval-qa', flow: load('retrieval-qa'),
    steps: [
      ask('JSON', { question: 'On which port does the Aurora gateway listen?', chatId: '$rag' }),
      ask('a follow-up, stream', { question: 'And the warranty of the Borealis kettle?', chatId: '$rag', streaming: true }),
      ask('stream first', { question: 'Tell me about Aurora', chatId: '$rag2', streaming: true }),
      ask('history', { question: 'And then?', chatId: '$rag3', history: EARLIER }),
      ask('the model says 400', { question: 'x [[error=400]]', chatId: '$rag4', streaming: true })
    ]
  },
  ...[['gpt2', '20', '4'], ['p50k_base', 9, '0'], ['cl100k_base', '13', '12']].map(([encodingName, chunkSize, chunkOverlap]) => ({
    name: `retrieval-qa-tokens-${encodingName}`,
    flow: changed(load('retrieval-qa'), (f) => {
      const splitter = f.nodes.find((n) => n.data.name === 'recursiveCharacterTextSplitter').data
      Object.assign(splitter, { name: 'tokenTextSplitter', type: 'TokenTextSplitter', label: 'Token Text Splitter', inputs: { encodingName, chunkSize, chunkOverlap } })
    }),
    steps: [ask('passages of tokens', { question: 'On which port does the Aurora gateway listen?', chatId: '$rag' })]
  })),
  {
    name: 'tool-agent', flow: load('tool-agent'),
    steps: [
      ask('a tool, JSON', { question: CALCULATE, chatId: '$tool' }),
      ask('the next turn', { question: 'And now?', chatId: '$tool' }),
      ask('a tool, stream', { question: CALCULATE, chatId: '$tool2', streaming: true }),
      ...both('no tool', { question: 'Just talk' }),
      ask('history', { question: 'x', history: EARLIER }),
      ask('a tool that fails', { question: 'Compute [[tool=calculator:{"input":"6*"}]]', chatId: '$bad' }),
      ask('the model says 400', { question: '[[error=400]]', streaming: true })
    ]
  },
  {
    name: 'agentflow-llm', flow: load('agentflow-llm'),
    steps: [
      ask('turn 1, JSON', { question: 'First', chatId: '$af' }),
      ask('turn 2, stream', { question: 'Second', chatId: '$af', streaming: true }),
      ask('with history', { question: 'Third', chatId: '$af2', history: EARLIER }),
      ask('a file', { question: 'Summarise', uploads: document }),
      ask('an image', { question: 'See', uploads: image, chatId: '$img' }),
      ...both('the model says 400', { question: '[[error=400]]' }),
      ...both('the model says 429', { question: '[[error=429]]' })
    ]
  },
  ...[['all', { llmMemoryMaxTokenLimit: '6' }], ['some', { llmMemoryMaxTokenLimit: 34 }], ['with-a-system-message', { llmMemoryMaxTokenLimit: '34', llmMessages: [{ role: 'system', content: '<p>Be brief.</p>' }] }], ['none', { llmMemoryMaxTokenLimit: '' }]].map(([name, more]) => ({
    name: `agentflow-llm-summary-buffer-${name}`,
    flow: changed(load('agentflow-llm'), (f) => Object.assign(inputs(f, 'llmAgentflow'), { llmEnableMemory: true, llmMemoryType: 'conversationSummaryBuffer' }, more)),
    steps: [
      ask('turn 1, JSON', { question: 'My name is Ada, and what I ask has some tokens.', chatId: '$sum' }),
      ask('turn 2, stream', { question: 'Zażółć 😀?', chatId: '$sum', streaming: true }),
      ask('turn 3, JSON', { question: 'It\'s <|endoftext|>', chatId: '$sum' }),
      ask('turn 4, JSON', { question: 'Fourth', chatId: '$sum' })
    ]
  })),
  {
    name: 'agentflow-llm-reply', flow: load('agentflow-llm-reply'), vars: { userId: 'default-user' },
    steps: both('state, variables and a reply', { question: 'Hello', chatId: '$afr' })
  },
  {
    name: 'agentflow-form', flow: load('agentflow-form'), vars: { userId: 'default-user' },
    steps: [...both('a form', { form: { name: 'Bob', plan: 'paid' } }), ask('a question where a form is wanted', { question: 'no form here' })]
  },
  { name: 'agentflow-code', flow: load('agentflow-code'), vars: { userId: 'default-user' }, steps: both('a custom function', { question: 'Q1' }) },
  {
    name: 'agentflow-agent-tool', flow: load('agentflow-agent-tool'),
    steps: [
      ...both('a tool', { question: CALCULATE, chatId: '$at' }),
      ask('no tool, stream', { question: 'Just talk', streaming: true }),
      ask('the model says 400, stream', { question: '[[error=400]]', streaming: true })
    ]
  }
]
