// Code of authors in both generations: what it is given, and what becomes of its value.
import { chat, drawn, joined, reply } from './drawn.mjs'
import { ask, both, changed, inputs, load } from './flows.mjs'

const coded = (code, more = {}) => drawn(
  [chat({ startState: [{ key: 'k', value: 'old' }] }), ['customFunction', { customFunctionInputVariables: '', customFunctionJavascriptFunction: code, customFunctionUpdateState: '', ...more }], reply('{{ customFunctionAgentflow_0 }} {{ $flow.state.k }}')],
  ['start_0 -> customFunction_0', 'customFunction_0 -> directReply_0']
)

const AGENTFLOWS = Object.entries({
  'code-text': 'return $input + $flow.state.k + typeof $flow.chatId',
  'code-object': 'return { a: [1, "ä"], b: null }',
  'code-json-text': 'return "{\\"a\\": 1}"',
  'code-lenient-json': "return \"{a: 1, 'b': [2,],}\"",
  'code-number': 'return 7.5',
  'code-empty': 'return ""',
  'code-nothing': 'const x = 1',
  'code-await': 'return await new Promise((done) => setTimeout(() => done("later"), 20))',
  'code-throws': 'throw new TypeError("mine")',
  'code-date': 'return new Date(0)',
  'code-modules': 'const axios = require("axios"); const fetch = require("node-fetch"); const c = require("crypto"); return [typeof axios.get, typeof fetch, c.createHash("sha256").update("a").digest("hex"), Buffer.from("ä").toString("base64")]'
}).map(([name, code]) => [name, { flow: coded(code), steps: both('a question', { question: 'hello' }) }])

const STATE = [['code-state', {
  flow: coded('return { n: $q.length, q: $q }', { customFunctionInputVariables: [{ variableName: 'q', variableValue: '{{ question }}' }], customFunctionUpdateState: [{ key: 'k', value: '{{ output.n }}' }] }),
  steps: both('a question', { question: '"quoted" {{ question }}' })
}]]

// Code whose value goes into a prompt.
const valued = (code, given) => changed(load('llm-chain'), (flow) => {
  joined(flow, { name: 'customFunction', category: 'Utilities', inputs: { javascriptFunction: code, functionInputVariables: given }, outputs: { output: 'output' } })
  const prompt = inputs(flow, 'promptTemplate')
  Object.assign(prompt, { template: '{x} {question}', promptValues: JSON.stringify({ x: '{{customFunction_9.data.instance}}' }) })
  const target = flow.nodes.find((node) => node.data.name === 'promptTemplate').id
  flow.edges.push({ id: 'e-code', source: 'customFunction_9', sourceHandle: 'customFunction_9-output-output-string', target, targetHandle: `${target}-input-promptValues-json`, type: 'buttonedge', data: {} })
})
const CHATFLOWS = Object.entries({
  'value-text': ['return `${$input}/${$a}`', { a: 'given' }],
  'value-json': ['return $a.b[0] + typeof $flow.sessionId', { a: '{"b":[1]}' }],
  'value-object': ['return { a: "x\\ny", b: [1] }', {}]
}).map(([name, [code, given]]) => [name, { flow: valued(code, JSON.stringify(given)), steps: [ask('a question', { question: 'hello' })] }])

export const CODE = [...AGENTFLOWS, ...STATE, ...CHATFLOWS].map(([name, one]) => ({ name, ...one }))
