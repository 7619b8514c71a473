// Chats of several gateways: a stream that one has, its end when that one dies, an abort, an approval and a memory, each begun
// on one gateway and gone on with on another.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pause, until } from './stores.mjs'

const EXPORT = new URL('../flowise/flows/conversation-chain.json', import.meta.url)
// Without a word of its gateway a chat is free after a second; as long again as an attempt takes.
const FREE_AFTER = 1100

// An agentflow that asks before it goes on.
function asking() {
  const node = (id, name, inputs) => ({ id, data: { id, name, label: id, inputs, inputParams: [] } })
  const edge = (source, output, target) => ({ source, target, sourceHandle: `${source}-output-${output}`, targetHandle: target })
  const nodes = [
    node('start', 'startAgentflow', { startInputType: 'chatInput' }),
    node('ok', 'humanInputAgentflow', { humanInputDescriptionType: 'fixed', humanInputDescription: 'Sure?', humanInputEnableFeedback: true }),
    node('done', 'directReplyAgentflow', { directReplyMessage: 'Done' }),
  ]
  return JSON.stringify({ nodes, edges: [edge('start', 'start', 'ok'), edge('ok', '0', 'done')] })
}

// Flows for a gateway whose configuration lies in that folder, and what it says of them.
export function flows(folder, model) {
  mkdirSync(join(folder, 'flows'), { recursive: true })
  writeFileSync(join(folder, 'flows', 'talk.json'), readFileSync(EXPORT, 'utf8').replaceAll('LLM_BASE_PATH_PLACEHOLDER', `127.0.0.1:${model}`))
  writeFileSync(join(folder, 'flows', 'approval.json'), asking())
  return { upstream: 'engine: { engine: { credentials: { openAIApi: { openAIApiKey: none } } } }', chatflows: 'talk: { upstream: engine }, approval: { upstream: engine }' }
}

// The model: it says all that users have asked in the chat, and streams for ever when it is told to hold.
export function speak(body, response) {
  const { messages, stream } = JSON.parse(body)
  const text = messages.filter(({ role }) => role === 'user').map(({ content }) => content).join(', ')
  const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
  const whole = { id: 'c', created: 1, model: 'stub-model' }
  if (!stream) {
    response.setHeader('content-type', 'application/json')
    return response.end(JSON.stringify({ ...whole, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }], usage }))
  }
  response.setHeader('content-type', 'text/event-stream')
  const say = (delta, finish_reason) => response.write(`data: ${JSON.stringify({ ...whole, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] })}\n\n`)
  say({ content: text }, null)
  if (text.endsWith('hold')) {
    const saying = setInterval(() => say({ content: '.' }, null), 100)
    return response.on('close', () => clearInterval(saying))
  }
  say({}, 'stop')
  response.end('data: [DONE]\n\n')
}

const send = (gateway, key, method, path, body, patience = 5000) => fetch(`http://127.0.0.1:${gateway.port}/api/v1/${path}`, {
  method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body), signal: AbortSignal.timeout(patience),
})

async function ask(gateway, key, flow, body) {
  const answer = await send(gateway, key, 'POST', `prediction/${flow}`, { question: '', ...body })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${flow} on gateway ${gateway.number}: ${answer.status} ${text.slice(0, 200)}`)
  return JSON.parse(text)
}

// A stream that has said something; its status if there is none.
async function stream(gateway, key, flow, chatId) {
  const answer = await send(gateway, key, 'POST', `prediction/${flow}`, { question: 'hold', chatId, streaming: true }, 20000)
  if (answer.status !== 200) { await answer.body.cancel(); return { status: answer.status } }
  const reader = answer.body.getReader()
  await reader.read()
  return { status: 200, reader, end: () => reader.cancel().catch(() => {}) }
}

async function rest({ reader }) {
  let text = ''
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value)
  return text
}

const expect = (is, what) => { if (!is) throw new Error(what) }

async function isHeld(first, second, key, flow, chat) {
  const held = await stream(first, key, flow, chat)
  expect(held.status === 200, `no stream: ${held.status}`)
  // Longer than it is held without a word.
  for (let tries = 0; tries < 15; tries++) {
    const other = await stream(second, key, flow, chat)
    await other.end?.()
    expect(other.status === 409, `a second stream got ${other.status}`)
    await pause(100)
  }
  return held
}

// Each is told two gateways and a chat, and says what there is to say.
export const CHATS = [
  { name: 'chat: its gateway killed in mid-stream', async run(first, second, key, chat, isShort) {
    const held = await isHeld(first, second, key, 'support', chat)
    rest(held).catch(() => {})
    await first.kill()
    const begun = performance.now()
    const free = await until('the chat', async () => { const taken = await stream(second, key, 'support', chat); return taken.status === 200 && taken })
    const took = performance.now() - begun
    await free.end()
    await first.start()
    expect(isShort || took <= FREE_AFTER, `free after ${Math.round(took)} ms`)
    return { took, figures: `free after ${Math.round(took)} ms` }
  } },
  { name: 'chat: aborted by another gateway', async run(first, second, key, chat) {
    const held = await isHeld(first, second, key, 'talk', chat)
    const begun = performance.now()
    const aborted = await send(second, key, 'PUT', `chatmessage/abort/talk/${chat}`)
    expect(aborted.status === 200, `the abort got ${aborted.status}`)
    expect((await rest(held)).includes('"abort"'), 'it ended without its abort')
    const took = performance.now() - begun
    return { took, figures: `ended after ${Math.round(took)} ms` }
  } },
  { name: 'chat: approval given to another gateway', async run(first, second, key, chatId) {
    const begun = performance.now()
    const asked = await ask(first, key, 'approval', { question: 'go', chatId })
    expect(asked.action?.data?.nodeId === 'ok', 'it asks for no approval')
    const humanInput = { type: 'proceed', startNodeId: 'ok', feedback: 'yes' }
    const given = await ask(second, key, 'approval', { chatId, humanInput })
    const took = performance.now() - begun
    expect(given.text === 'Done' && given.executionId === asked.executionId, `it went on to ${given.text}`)
    // Once.
    for (const gateway of [first, second]) {
      const again = await send(gateway, key, 'POST', 'prediction/approval', { question: '', chatId, humanInput })
      await again.text()
      expect(again.status === 500, `given again: ${again.status}`)
    }
    return { took, figures: `both in ${Math.round(took)} ms` }
  } },
  { name: 'chat: gone on with on another gateway', async run(first, second, key, chatId) {
    const begun = performance.now()
    await ask(first, key, 'talk', { question: 'one', chatId })
    const { text } = await ask(second, key, 'talk', { question: 'two', chatId })
    const took = performance.now() - begun
    expect(text === 'one, two', `it remembers ${text}`)
    return { took, figures: `both in ${Math.round(took)} ms` }
  } },
]
