// Flows that are tools of others, tools of one's own, and code with what it requires.
import { acting, calling } from './acting.mjs'
import { chat, drawn, joined, llm } from './drawn.mjs'
import { ask, both, load } from './flows.mjs'
import { PLACEHOLDER } from './sides.mjs'

const CHILDREN = [
  { name: 'flow-of-a-tool', flow: load('llm-chain'), steps: [ask('a question', { question: 'x' })] },
  { name: 'agentflow-of-a-tool', flow: drawn([chat(), llm()], ['start_0 -> llm_0']), steps: [ask('a question', { question: 'x' })] }
]
const given = (more) => ({ name: 'expert', description: 'Knows it.', returnDirect: '', overrideConfig: '', baseURL: '', startNewSession: false, useQuestionFromChat: '', customInput: '', ...more })
const FLOWS = {
  ChatflowTool: [given({ selectedChatflow: 'FLOWID:flow-of-a-tool' })],
  'ChatflowTool-question': [given({ selectedChatflow: 'FLOWID:flow-of-a-tool', useQuestionFromChat: true })],
  'ChatflowTool-own-words': [given({ selectedChatflow: 'FLOWID:flow-of-a-tool', customInput: 'What is {it}?', startNewSession: true })],
  'ChatflowTool-directly': [given({ selectedChatflow: 'FLOWID:flow-of-a-tool', returnDirect: true })],
  agentAsTool: [given({ selectedAgentflow: 'FLOWID:agentflow-of-a-tool' })]
}
const CALL = 'Ask [[tool=expert:{"input":"a \\"quoted\\" thing"}]]'

const tooled = (kind, inputs) => joined(load('tool-agent'), { name: kind, category: 'Tools', inputs, to: 'toolAgent_0', as: 'tools', isList: true })
const OWN = { selectedTool: 'TOOL weather', returnDirect: '' }
const WEATHER = 'Tell me [[tool=weather:{"city":"Zażółć","days":2,"metric":true}]]'
const CODE = {
  'require-axios': `const axios = require('axios'); const r = await axios.post('${PLACEHOLDER}/api/echo?x=1', { a: 1 }, { headers: { 'X-Key': 'k' } }); return r.status + JSON.stringify(r.data)`,
  'require-node-fetch': `const fetch = require('node-fetch'); const r = await fetch('${PLACEHOLDER}/api/echo', { method: 'POST', body: JSON.stringify({ a: [1] }), headers: { 'Content-Type': 'application/json' } }); return { ok: r.ok, body: await r.json() }`,
  'require-moment': "const moment = require('moment'); return moment.utc('2024-02-29T12:30:00Z').add(1, 'month').format('dddd, MMMM Do YYYY, HH:mm') + ' ' + moment.utc('2024-03-31').diff(moment.utc('2024-01-01'), 'days')",
  'require-lodash': "const _ = require('lodash'); return JSON.stringify([_.chunk([1,2,3], 2), _.get({ a: [{ b: 1 }] }, 'a[0].b'), _.groupBy(['one', 'two', 'three'], 'length'), _.camelCase('some words here'), _.uniqBy([{ x: 1 }, { x: 1 }], 'x')])",
  'axios-404': `const axios = require('axios'); try { await axios.get('${PLACEHOLDER}/status/404') } catch (e) { return [e.message, e.response.status, e.response.data] }`
}
const coded = (code) => calling('customTool', OWN, 'city', code)

// What the flow behind them asks a model is the other flow's: one at a time.
export const FLOWTOOLS = [
  ...CHILDREN.map((one) => ({ ...one, outside: true })),
  ...Object.entries(FLOWS).map(([name, [inputs]]) => ({ name: `tool-${name}`, outside: true, flow: tooled(name.split('-')[0], inputs), steps: both('a call', { question: CALL, chatId: '$a' }) })),
  { name: 'tool-of-ones-own', flow: tooled('customTool', OWN), steps: [...both('a call', { question: WEATHER }), ask('one that throws', { question: 'Tell me [[tool=weather:{"city":"nowhere"}]]' }), ask('a wrong call', { question: 'Tell me [[tool=weather:{"days":"x"}]]' })] },
  { name: 'tool-of-ones-own-agent', flow: acting(['customTool', OWN]), steps: both('a call', { question: WEATHER }) },
  { name: 'tool-of-ones-own-node', flow: coded('{{ question }}'), steps: [ask('a call', { question: 'Ada' })] },
  ...Object.entries(CODE).map(([name, code]) => ({
    name: `code-${name}`, steps: [ask('a question', { question: 'x' })],
    flow: drawn([chat(), ['customFunction', { customFunctionInputVariables: '', customFunctionJavascriptFunction: code, customFunctionUpdateState: '' }]], ['start_0 -> customFunction_0'])
  }))
]

// What Flowise's database has of them.
export const TOOLS_OF_ONES_OWN = [{
  name: 'weather', description: 'Tells the weather of a city.', color: 'linear-gradient(rgb(1,1,1), rgb(2,2,2))', iconSrc: '',
  schema: JSON.stringify([{ property: 'city', type: 'string', description: 'A "city"', required: true }, { property: 'days', type: 'number', description: '', required: false }, { property: 'metric', type: 'boolean', description: 'In metres', required: false }]),
  func: "if ($city === 'nowhere') throw new Error('no such city')\nreturn `${$city}: ${typeof $days} ${$days ?? 1} ${typeof $metric} ${$flow.chatflowId ? 'in a flow' : ''}`"
}]
