// Memories that are kept elsewhere: what is asked of them, and what a model is told of what they kept.
import { changed, ask, load } from './flows.mjs'

const kept = (name, given, file = 'conversation-chain') => changed(load(file), (flow) => {
  const { data } = flow.nodes.find((n) => n.data.name === 'bufferMemory')
  Object.assign(data, { name, label: name, type: name, inputs: { sessionId: '', memoryKey: 'chat_history', ...given } })
})
const CHAT = [
  ask('one', { question: 'My name is Ada.', chatId: '$a' }), ask('two, stream', { question: 'Zażółć "quoted"?', chatId: '$a', streaming: true }), ask('three', { question: 'What is my name?', chatId: '$a' }),
  ask('another chat', { question: 'And mine?', chatId: '$b' }), ask('a turn that fails', { question: 'lost [[error=400]]', chatId: '$b' }), ask('after it', { question: 'Still there?', chatId: '$b' })
]
const AGENT = [ask('one', { question: 'Compute [[tool=calculator:{"input":"6*7"}]]', chatId: '$a' }), ask('two, stream', { question: 'And before?', chatId: '$a', streaming: true })]
const KINDS = {
  redis: ['RedisBackedChatMemory', { sessionTTL: '', windowSize: '' }],
  'redis-forgetful': ['RedisBackedChatMemory', { sessionTTL: '60', windowSize: '' }],
  'upstash-redis': ['upstashRedisBackedChatMemory', { baseURL: 'https://stub-redis.upstash.io', sessionTTL: '' }],
  'upstash-redis-forgetful': ['upstashRedisBackedChatMemory', { baseURL: 'https://stub-redis.upstash.io', sessionTTL: '60' }],
  zep: ['ZepMemory', { baseURL: 'http://zep.example:8000', k: '10', aiPrefix: 'ai', humanPrefix: 'human', inputKey: 'input', outputKey: 'text' }],
  'zep-cloud': ['ZepMemoryCloud', { memoryType: 'perpetual', aiPrefix: 'ai', humanPrefix: 'human', inputKey: 'input', outputKey: 'text' }],
  mem0: ['mem0', { user_id: 'ada', useFlowiseChatId: false, searchOnly: false, run_id: '', agent_id: '', app_id: 'app', project_id: '', org_id: '', api_version: '', enable_graph: false, metadata: '', filters: '', inputKey: 'input', outputKey: 'text' }]
}

export const MEMORIES = Object.entries(KINDS).flatMap(([kind, [name, given]]) => [
  { name: `memory-${kind}`, outside: true, flow: kept(name, given), steps: CHAT },
  { name: `memory-${kind}-agent`, outside: true, flow: kept(name, given, 'tool-agent'), steps: AGENT }
])
