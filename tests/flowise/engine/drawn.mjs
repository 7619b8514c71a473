// Draws small agentflows, and adds nodes to chatflows, as Flowise's editors save them.
import { PLACEHOLDER } from './sides.mjs'

const MODEL = { modelName: 'stub-model', temperature: 0.1, streaming: true, basepath: `${PLACEHOLDER}/v1` }
// Inputs in which `{{...}}` is filled in; all others are taken as they are.
const FILLED = [
  'conditions', 'directReplyMessage', 'url', 'headers', 'queryParams', 'body', 'iterationInput', 'executeFlowInput', 'llmMessages', 'llmUserMessage', 'llmUpdateState',
  'agentMessages', 'agentUserMessage', 'conditionAgentInput', 'conditionAgentInstructions', 'executeFlowUpdateState',
  'customFunctionInputVariables', 'customFunctionUpdateState', 'toolInputArgs', 'retrieverQuery'
]

// [kind, inputs, more]: the first of a kind is kind_0, and so on. `from -> to`, `from#output -> to`.
export function drawn(nodes, arrows) {
  const counts = {}
  const drawn = nodes.map(([kind, inputs = {}, more = {}]) => {
    const name = `${kind}Agentflow`
    const id = `${name}_${(counts[kind] = (counts[kind] ?? -1) + 1)}`
    const inputParams = Object.keys(inputs).map((key) => ({ name: key, label: key, type: 'string', ...(FILLED.includes(key) ? { acceptVariable: true } : {}) }))
    const outputAnchors = [{ id: `${id}-output-${name}`, label: kind, name }]
    return { id, type: 'agentFlow', position: { x: 0, y: 0 }, data: { id, label: `${kind} ${counts[kind]}`, name, type: kind, category: 'Agent Flows', version: 1, inputs, inputParams, inputAnchors: [], outputs: {}, outputAnchors }, ...more }
  })
  const edges = arrows.map((arrow, i) => {
    const [, from, output, to] = arrow.match(/^(\w+)(?:#(\w+))? -> (\w+)$/)
    const [source, target] = [from, to].map((short) => short.replace('_', 'Agentflow_'))
    return { id: `e${i}`, type: 'agentFlow', source, sourceHandle: `${source}-output-${output ?? source.replace(/_\d+$/, '')}`, target, targetHandle: target, data: { isHumanInput: false } }
  })
  return { nodes: drawn, edges }
}

export const chat = (more = {}) => ['start', { startInputType: 'chatInput', startState: '', ...more }]
export const form = (...names) => ['start', { startInputType: 'formInput', formTitle: 'F', formInputTypes: names.map((name) => ({ type: 'string', label: name, name })), startState: '' }]
export const reply = (text, more) => ['directReply', { directReplyMessage: text }, more]
export const llm = (more = {}, model = {}, kind = 'chatOpenAI') => [
  'llm',
  {
    llmModel: kind, llmMessages: '', llmEnableMemory: true, llmMemoryType: 'allMessages', llmUserMessage: '', llmReturnResponseAs: 'userMessage', llmStructuredOutput: '', llmUpdateState: '',
    ...more, llmModelConfig: { ...(kind === 'chatOpenAI' ? MODEL : {}), ...model, llmModel: kind }
  }
]
export const when = (...conditions) => ['condition', { conditions: conditions.map(([type, value1, operation, value2]) => ({ type, value1, operation, value2 })) }]
export const http = (url, more = {}) => ['http', { method: 'GET', url: `${PLACEHOLDER}${url}`, headers: '', queryParams: '', bodyType: '', body: '', responseType: 'json', ...more }]

// A flow that says whether a condition holds of what the form holds under `a` and `b`.
export const judging = (condition) => drawn([form('a', 'b'), when(condition), reply('yes'), reply('no')], ['start_0 -> condition_0', 'condition_0#0 -> directReply_0', 'condition_0#1 -> directReply_1'])

// A chatflow with one more node; `to` is the node whose input `as` it is.
export function joined(flow, { name, category, inputs = {}, outputs = {}, label = name, to, as, isList }) {
  const id = `${name}_9`
  const anchor = `${id}-output-${name}-${name}`
  flow.nodes.push({ id, type: 'customNode', position: { x: 0, y: 0 }, data: { id, label, name, type: name, version: 1, category, baseClasses: [name], inputs, outputs, inputParams: Object.keys(inputs).map((key) => ({ name: key, label: key, type: 'string', ...(key === 'promptValues' ? { acceptVariable: true } : {}) })), inputAnchors: [], outputAnchors: [{ id: anchor, name, label: name, type: name }] } })
  if (to) {
    const node = flow.nodes.find((n) => n.id === to)
    const reference = `{{${id}.data.instance}}`
    node.data.inputs[as] = isList ? [...(node.data.inputs[as] || []), reference] : reference
    flow.edges.push({ id: `e-${id}`, source: id, sourceHandle: anchor, target: to, targetHandle: `${to}-input-${as}-x`, type: 'buttonedge', data: {} })
  }
  return flow
}
