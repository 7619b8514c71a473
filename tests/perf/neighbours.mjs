#!/usr/bin/env node
// What others feel of a flow that computes: the p50 and p99 of health, of a proxied prediction, of an LLM chain on the
// built-in engine and of the pauses in one of its streams, without and with flows that compute on every engine thread.
//   FLOWGATE_BIN=target/release/flowgate node neighbours.mjs      SECONDS=10 BURNERS=4
// Needs nothing beside Node. On a machine with few cores the load itself, the model and the computing flows share them,
// so the ratios are an upper bound.
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Gateway, secret } from '../flowise/gateway.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const BIN = process.env.FLOWGATE_BIN ?? path.join(HERE, '../../target/release/flowgate')
const seconds = Number(process.env.SECONDS ?? 10)
const burners = Number(process.env.BURNERS ?? 2 * os.availableParallelism())
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'engine-neighbours-'))
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

// The model and, at other paths, Flowise. A stream that is asked to go on for ever has a word every 20 ms, for as long as somebody reads.
const upstream = http.createServer((request, response) => {
  const body = []
  request.on('data', (piece) => body.push(piece)).on('end', async () => {
    if (!request.url.startsWith('/v1/')) return response.setHeader('content-type', 'application/json').end('{"text":"hello"}')
    const isEndless = Buffer.concat(body).includes('for ever')
    response.setHeader('content-type', 'text/event-stream')
    do {
      response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: 'word ' }, finish_reason: null }] })}\n\n`)
      if (isEndless) await sleep(20)
    } while (isEndless && !response.destroyed)
    response.end('data: [DONE]\n\n')
  })
})
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve))
const address = `127.0.0.1:${upstream.address().port}`

// One goes round nearly a thousand nodes, the other runs that one a hundred times.
const node = (id, name, inputs, more) => ({ id, data: { id, name, label: id, inputs }, ...more })
const edge = (source, target) => ({ source, target, sourceHandle: `${source}-output-${source}`, targetHandle: target })
const start = node('start', 'startAgentflow', { startInputType: 'chatInput' })
const round = {
  nodes: [
    start,
    node('say', 'directReplyAgentflow', { directReplyMessage: 'And so on. '.repeat(50) }),
    node('again', 'loopAgentflow', { loopBackToNode: 'say-say', maxLoopCount: 480 })
  ],
  edges: [edge('start', 'say'), edge('say', 'again')]
}
const burner = {
  nodes: [
    start,
    node('each', 'iterationAgentflow', { iterationInput: JSON.stringify(Array(100).fill(1)) }),
    node('runs', 'executeFlowAgentflow', { executeFlowSelectedFlow: 'round', executeFlowInput: 'go' }, { parentNode: 'each' })
  ],
  edges: [edge('start', 'each')]
}
const dir = path.join(scratch, 'flows')
fs.mkdirSync(dir, { recursive: true })
fs.writeFileSync(path.join(dir, 'burner.json'), JSON.stringify(burner))
fs.writeFileSync(path.join(dir, 'round.json'), JSON.stringify(round))
const chain = fs.readFileSync(path.join(HERE, '../flowise/flows/llm-chain.json'), 'utf8')
fs.writeFileSync(path.join(dir, 'chain.json'), chain.replaceAll('LLM_BASE_PATH_PLACEHOLDER', address))

const plan = { requests: '100000000/min', burst: 1000000, concurrent: 100000 }
const key = secret()
const gateway = await Gateway.start({
  bin: BIN, dir: scratch, secrets: { app: [key] }, pids: path.join(scratch, 'pids'),
  config: {
    upstreams: { flowise: { flowise: { urls: [`http://${address}`] } }, local: { engine: { flows_dir: dir, limits: { steps: 10000000, text: '4GiB' }, credentials: { openAIApi: { openAIApiKey: 'sk-0123456789abcdef' } } } } },
    chatflows: { burner: { upstream: 'local', events: ['token'] }, chain: { upstream: 'local' }, proxied: { upstream: 'flowise', id: '9d2b4ae3-1f5e-4c00-9000-000000000000' } },
    plans: { default: plan }, log: { level: 'warn', access: false }
  }
})

const agent = new http.Agent({ keepAlive: true })
const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }

// Streams under way.
const under = new Set()

function ask(method, where, body, hear) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${gateway.url}${where}`, { method, headers: body ? headers : {}, agent }, (response) => {
      let text = ''
      response.on('data', (piece) => (hear ? hear(piece, request) : (text += piece))).on('end', () => resolve({ status: response.statusCode, text })).on('close', () => resolve({}))
    })
    if (hear) under.add(request)
    request.on('error', (error) => (hear ? resolve({}) : reject(error)))
    request.end(body && JSON.stringify(body))
  })
}
const predict = (chatflow, more, hear) => ask('POST', `/api/v1/prediction/${chatflow}`, { question: 'hi', ...more }, hear)

const figure = (times, share) => times.sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))]

async function measured() {
  const end = performance.now() + seconds * 1000
  const timed = async (work) => {
    const times = []
    while (performance.now() < end) {
      const at = performance.now()
      const { status } = await work()
      if (status !== 200) throw new Error(`answered ${status}`)
      times.push(performance.now() - at)
      await sleep(5)
    }
    return times
  }
  const pauses = []
  let before
  const streaming = predict('chain', { question: 'for ever', streaming: true, chatId: 'paused' }, (_, request) => {
    const now = performance.now()
    if (before) pauses.push(now - before)
    before = now
    if (now > end) request.destroy()
  })
  const [health, proxied, predictions] = await Promise.all([timed(() => ask('GET', '/api/v1/health')), timed(() => predict('proxied')), timed(() => predict('chain')), streaming])
  return { health, proxied, 'LLM chain': predictions, 'pause in a stream': pauses }
}

try {
  await Promise.all(Array.from({ length: 50 }, () => predict('chain')))
  const alone = await measured()
  let going = true
  let rounds = 0
  const burning = Array.from({ length: burners }, async (_, number) => {
    while (going) {
      await predict('burner', { streaming: true, chatId: `burner-${number}` }, () => {})
      rounds++
    }
  })
  await sleep(500)
  const beside = await measured()
  going = false
  under.forEach((request) => request.destroy())
  await Promise.all(burning)
  console.log(`${burners} flows compute at once, ${rounds} done; milliseconds alone, beside them, and the ratio:`)
  for (const name of Object.keys(alone)) {
    const told = [0.5, 0.99].map((share) => {
      const [a, b] = [figure(alone[name], share), figure(beside[name], share)]
      return `p${share * 100} ${a.toFixed(2)}, ${b.toFixed(2)}, ${(b / a).toFixed(1)} x`
    })
    console.log(`${name.padEnd(18)} ${told.join('   ')}`)
  }
} finally {
  agent.destroy()
  await gateway.stop()
  upstream.close()
  upstream.closeAllConnections()
  fs.rmSync(scratch, { recursive: true, force: true })
}
