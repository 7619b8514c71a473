// Tools of servers and services: what a model is told of them, and what it is told of their answers.
import { acting, calling } from './acting.mjs'
import { chat, drawn, http, joined } from './drawn.mjs'
import { ask, both, changed, load } from './flows.mjs'
import { PLACEHOLDER } from './sides.mjs'

const SERVER = JSON.stringify({ url: `${PLACEHOLDER}/mcp`, headers: { 'X-Key': 'of the author' } })

const echo = { mcpServerConfig: SERVER, mcpActions: '["echo"]' }
const searxng = { apiBase: PLACEHOLDER, toolName: 'searxng-search', toolDescription: '', headers: '{"X-Key":"k"}', format: 'json', categories: 'general', pageno: 2 }

export const TOOLS = [
  ['mcp-agent', { flow: acting(['customMCP', echo]), steps: [
    ...both('a call', { question: 'Say it [[tool=echo:{"text":"hello"}]]' }),
    ...both('a result that is an error', { question: 'Say it [[tool=echo:{"text":"bad"}]]' }),
    ask('no call', { question: 'Hello' })
  ] }],
  ['mcp-node', { flow: calling('customMCP', echo, 'text', '{{ question }}'), steps: both('a call', { question: 'hello' }) }],
  ['mcp-chatflow', { flow: joined(load('tool-agent'), { name: 'customMCP', category: 'Tools (MCP)', inputs: { mcpServerConfig: SERVER, mcpActions: ['echo'] }, to: 'toolAgent_0', as: 'tools', isList: true }), steps: [
    ask('a call', { question: 'Say it [[tool=echo:{"text":"hello"}]]' }),
    ask('an error', { question: 'Say it [[tool=echo:{"text":"fail"}]]' })
  ] }],
  ...['mcp-events', 'mcp-before'].map((way) => [way, { flow: acting(['customMCP', { ...echo, mcpServerConfig: SERVER.replace(/mcp"/, `${way}"`) }]), steps: [ask('a call', { question: 'Say it [[tool=echo:{"text":"hello"}]]' }), ask('an error, stream', { question: 'Say it [[tool=echo:{"text":"fail"}]]', streaming: true })] }]),
  ...[['githubMCP', { githubEnterpriseUrl: '' }], ['browserlessMCP', {}], ['teradataMCP', { mcpUrl: `${PLACEHOLDER}/mcp`, bearerToken: '' }]].map(([kind, config]) => [`mcp-${kind}`, { flow: acting([kind, { ...config, mcpActions: '["echo"]' }]), steps: [ask('who asks', { question: 'Say it [[tool=echo:{"text":"who"}]]' })] }]),
  ['searxng-node', { flow: calling('searXNG', searxng, 'input', '{{ question }}'), steps: both('a search', { question: 'cats & dogs' }) }],
  ['searxng-agent', { flow: acting(['searXNG', searxng]), steps: both('a search', { question: 'Find [[tool=searxng-search:{"input":"cats"}]]' }) }],
  ...['httpBasicAuth', 'httpBearerToken', 'httpApiKey'].map((kind) => [`http-as-${kind}`, {
    flow: changed(drawn([chat(), http('/api/things', { headers: [{ key: kind === 'httpApiKey' ? 'X-Other' : 'Authorization', value: 'of the headers' }] })], ['start_0 -> http_0']), ({ nodes: [, { data }] }) => (data.credential = `CREDENTIAL ${kind}`)), steps: [ask('a request', { question: 'x' })]
  }]),
  ['json-path-node', { flow: calling('jsonPathExtractor', { path: 'a[0].b' }, 'json', '{"a":[{"b":{"c":1}}]}'), steps: [ask('a value', { question: 'x' })] }]
].map(([name, one]) => ({ name, ...one }))
