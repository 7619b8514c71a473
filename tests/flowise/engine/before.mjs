// Chains, agents and memories of before: what the model is told, word by word, and what comes of its answers.
import { joined } from './drawn.mjs'
import { CALCULATE, EARLIER, ask, both, changed, load } from './flows.mjs'

const kind = (flow, from, name, inputs, more = {}) => changed(flow, (f) => {
  const { data } = f.nodes.find((n) => n.data.name === from)
  Object.assign(data, { name, type: name, ...more })
  data.inputs = typeof inputs === 'function' ? inputs(data.inputs) : { ...data.inputs, ...inputs }
})
const model = '{{chatOpenAI_0.data.instance}}'
const agent = (name, inputs = {}) => kind(load('tool-agent'), 'toolAgent', name, ({ tools, memory, model }) => ({ tools, memory, model, systemMessage: '', inputModeration: '', maxIterations: '', ...inputs }))
const say = (text) => `Hi [[say=${text}]]`

const AGENTS = [
  ['agent-conversational', agent('conversationalAgent'), [
    ask('an answer', { question: say('{"action":"Final Answer","action_input":"so it is"}'), chatId: '$a' }),
    ask('and one after it', { question: say('```json\n{"action":"Final Answer","action_input":"again"}\n```'), chatId: '$a', history: EARLIER })
  ]],
  ['agent-xml', agent('xmlAgent'), [
    ask('a tool', { question: say('<tool>calculator</tool><tool_input>6*7'), chatId: '$a' }),
    ask('no tool', { question: 'Just talk', chatId: '$a' })
  ]]
]

const summing = (name, more) => changed(load('conversation-chain'), (f) => {
  const { data, id } = f.nodes.find((n) => n.data.name === 'bufferMemory')
  Object.assign(data, { name, type: name, inputs: { model, sessionId: '', memoryKey: 'chat_history', ...more } })
  f.edges.push({ id: 'e-summary', source: 'chatOpenAI_0', sourceHandle: 'chatOpenAI_0-output-chatOpenAI-ChatOpenAI', target: id, targetHandle: `${id}-input-model-BaseChatModel`, type: 'buttonedge', data: {} })
})
const three = ['one', 'two and a few words more', 'three'].map((question) => ask(question, { question, chatId: '$s' }))
const MEMORIES = [
  ['memory-summary', summing('conversationSummaryMemory', {}), [...three, ask('as a stream', { question: 'four', chatId: '$s', streaming: true })]],
  ['memory-summary-buffer', summing('conversationSummaryBufferMemory', { maxTokenLimit: '12' }), [...three, ask('with history', { question: 'four', chatId: '$s', history: EARLIER })]],
  ['memory-summary-buffer-unset', summing('conversationSummaryBufferMemory', { maxTokenLimit: '' }), three]
]

// A chain with its model, and nodes that it is joined with.
const chain = (name, inputs, nodes = []) => {
  const flow = kind(load('llm-chain'), 'llmChain', name, () => ({ model, inputModeration: '', ...inputs }), { outputs: {} })
  flow.nodes = flow.nodes.filter((n) => n.data.name !== 'promptTemplate')
  flow.edges = flow.edges.filter((e) => flow.nodes.some((n) => n.id === e.source))
  return nodes.reduce((f, node) => joined(f, { ...node, to: 'llmChain_0' }), flow)
}
const prompts = { name: 'promptRetriever', category: 'Retrievers', inputs: { name: 'physics', description: 'On physics', systemMessage: 'You know physics.' }, as: 'promptRetriever', isList: true }
const route = (destination) => say(`{"destination":"${destination}","next_inputs":{"input":"better"}}`)
const CHAINS = [
  ['chain-multi-prompt', chain('multiPromptChain', {}, [prompts]), [...both('a way', { question: route('physics') }), ask('none', { question: route('DEFAULT') }), ask('no such way', { question: route('chemistry') })]]
]

const tooled = changed(load('tool-agent'), (f) => {
  joined(f, { name: 'chainTool', category: 'Tools', inputs: { name: 'chef', description: 'Cooks.', returnDirect: '', baseChain: '{{llmChain_9.data.instance}}' }, to: 'toolAgent_0', as: 'tools', isList: true })
  joined(f, { name: 'llmChain', category: 'Chains', inputs: { model, prompt: '{{promptTemplate_9.data.instance}}', inputModeration: '', chainName: '' }, outputs: { output: 'llmChain' }, to: 'chainTool_9', as: 'baseChain' })
  joined(f, { name: 'promptTemplate', category: 'Prompts', inputs: { template: 'Cook {what}', promptValues: '{"what":"rice"}' }, to: 'llmChain_9', as: 'prompt' })
  f.edges.push({ id: 'e-chef', source: 'chatOpenAI_0', sourceHandle: 'chatOpenAI_0-output-chatOpenAI-ChatOpenAI', target: 'llmChain_9', targetHandle: 'llmChain_9-input-model-x', type: 'buttonedge', data: {} })
})
const TOOLS = [['tool-chain', tooled, both('a chain is called', { question: CALCULATE.replace('calculator', 'chef').replace('6*7', 'eggs') })]]

export const BEFORE = [...AGENTS, ...MEMORIES, ...CHAINS, ...TOOLS].map(([name, flow, steps]) => ({ name, flow, steps }))
