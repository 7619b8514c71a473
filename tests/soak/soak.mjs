#!/usr/bin/env node
// Mixed load on one flowgate, with a scripted Flowise and a scripted model behind it, while its files change: answers,
// streams, the engine with and without a memory, uploads, clients that leave, wrong keys, preflights. Prints a line a
// minute and a verdict: answers that should not be, growth of memory and of descriptors after the first fifth.
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { spawn } from 'node:child_process'

import { freePort } from '../harness/ports.mjs'

const seconds = Number(process.env.SECONDS_LONG ?? 3600)
const lanes = Number(process.env.LANES ?? 4)
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'flowgate-soak-'))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const listening = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))
const record = (event, data) => `message:\ndata:${JSON.stringify({ event, data })}\n\n`
const read = async (message) => {
  const pieces = []
  for await (const piece of message) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

// Flowise, as far as it is asked.
const flowise = http.createServer(async (request, response) => {
  const text = await read(request).catch(() => null)
  if (text === null) return
  if (request.url.startsWith('/api/v1/chatmessage/abort')) return response.end('{"status":200,"message":"Chat message aborted"}')
  if (request.url.startsWith('/api/v1/attachments')) {
    response.setHeader('content-type', 'application/json')
    return response.end(JSON.stringify([{ name: 'a.txt', mimeType: 'text/plain', size: 5, content: 'hello' }]))
  }
  const body = JSON.parse(text || '{}')
  if (!body.streaming) {
    response.setHeader('content-type', 'application/json')
    return response.end(JSON.stringify({ text: `You said ${body.question}`, question: body.question, chatId: body.chatId, chatMessageId: crypto.randomUUID(), sessionId: body.chatId }))
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(record('start', ''))
  for (let i = 0; i < 10 && !response.destroyed; i++) {
    response.write(record('token', `word${i} `))
    await sleep(20)
  }
  response.end(record('metadata', { chatId: body.chatId, chatMessageId: crypto.randomUUID() }) + record('end', '[DONE]'))
})

// A model that speaks OpenAI's protocol.
const model = http.createServer(async (request, response) => {
  const body = JSON.parse((await read(request).catch(() => '')) || '{}')
  const usage = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 }
  if (!body.stream) {
    response.setHeader('content-type', 'application/json')
    return response.end(JSON.stringify({ id: 'x', object: 'chat.completion', model: body.model, choices: [{ index: 0, message: { role: 'assistant', content: 'An answer.' }, finish_reason: 'stop' }], usage }))
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const piece = (delta, finish_reason = null) => `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', model: body.model, choices: [{ index: 0, delta, finish_reason }] })}\n\n`
  for (const word of ['An ', 'answer ', 'in ', 'pieces.']) {
    if (response.destroyed) return
    response.write(piece({ content: word }))
    await sleep(10)
  }
  response.end(`${piece({}, 'stop')}data: [DONE]\n\n`)
})

const [flowisePort, modelPort] = [await listening(flowise), await listening(model)]
const port = await freePort()
const admin = await freePort()

// A conversation chain, as Flowise exports it.
const node = (id, name, category, inputs) => ({ id, position: { x: 0, y: 0 }, type: 'customNode', data: { id, name, category, label: name, inputs } })
const flow = (prompt) => JSON.stringify({
  nodes: [
    node('chatOpenAI_0', 'chatOpenAI', 'Chat Models', { modelName: 'm', streaming: true, basepath: `http://127.0.0.1:${modelPort}/v1` }),
    node('bufferMemory_0', 'bufferMemory', 'Memory', { memoryKey: 'chat_history' }),
    node('conversationChain_0', 'conversationChain', 'Chains', { model: '{{chatOpenAI_0.data.instance}}', memory: '{{bufferMemory_0.data.instance}}', systemMessagePrompt: prompt }),
  ],
  edges: [
    { source: 'chatOpenAI_0', target: 'conversationChain_0' },
    { source: 'bufferMemory_0', target: 'conversationChain_0' },
  ],
})
const secrets = { app: `soak-${crypto.randomBytes(24).toString('hex')}`, spare: `soak-${crypto.randomBytes(24).toString('hex')}` }
const write = (name, text) => {
  fs.writeFileSync(path.join(dir, `.${name}`), text)
  fs.renameSync(path.join(dir, `.${name}`), path.join(dir, name))
}
const keys = (spare) => Object.entries(secrets).map(([id, secret]) =>
  `  - { id: ${id}, sha256: ${crypto.createHash('sha256').update(secret).digest('hex')}, enabled: ${id === 'app' || spare} }\n`).join('')
const config = (words) => `
server: { listen: "127.0.0.1:${port}", workers: 2 }
admin: { listen: "127.0.0.1:${admin}" }
log: { level: error, access: true }
plans: { default: { requests: 1000000/s, burst: 1000000, concurrent: 10000, quota: 4000000000/day } }
upstreams:
  flowise: { flowise: { urls: ["http://127.0.0.1:${flowisePort}"], api_key: upstream-key-of-soak } }
  local: { engine: { flows_dir: flows } }
chatflows:
  chat: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000, max_word_chars: ${words} }
  page: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000001, access: public, allowed_origins: ["https://www.example.com"], plan: default }
  flow: { upstream: local }
`
fs.mkdirSync(path.join(dir, 'flows'))
fs.writeFileSync(path.join(dir, 'flow.json.new'), flow('Be kind.'))
fs.renameSync(path.join(dir, 'flow.json.new'), path.join(dir, 'flows/flow.json'))
write('keys.yaml', `keys:\n${keys(true)}`)
write('flowgate.yaml', config(1000))

const gateway = spawn(process.env.FLOWGATE_BIN, ['serve', '--config', path.join(dir, 'flowgate.yaml')], { stdio: ['ignore', 'ignore', 'pipe'] })
let complaints = ''
gateway.stderr.on('data', (piece) => { complaints = (complaints + piece).slice(-4000) })
const isReady = () => new Promise((resolve) => http.get(`http://127.0.0.1:${admin}/readyz`, (r) => resolve(r.resume().statusCode === 200)).on('error', () => resolve(false)))
for (let i = 0; !(await isReady()); i++) {
  if (i > 200 || gateway.exitCode !== null) throw new Error(`flowgate does not start: ${complaints}`)
  await sleep(50)
}

const agent = new http.Agent({ keepAlive: true, maxSockets: lanes * 8 })
const wrong = new Map()
const done = new Map()
const count = (map, name) => map.set(name, (map.get(name) ?? 0) + 1)

function call(name, { method = 'POST', url, headers = {}, body, expect = 200, leave = null, check = () => true }) {
  return new Promise((resolve) => {
    const finish = (problem) => {
      count(done, name)
      if (problem) count(wrong, `${name}: ${problem}`)
      resolve()
    }
    const request = http.request({ agent: leave ? undefined : agent, host: '127.0.0.1', port, method, path: url, headers }, async (response) => {
      if (leave) {
        response.once('data', () => { request.destroy(); finish() })
        response.once('end', () => finish())
        response.on('error', () => {})
        return
      }
      try {
        const text = await read(response)
        if (response.statusCode !== expect) return finish(`${response.statusCode} ${text.slice(0, 200)}`)
        finish(check(text) ? null : `unexpected ${text.slice(0, 60)}`)
      } catch (error) {
        finish(String(error))
      }
    })
    request.on('error', (error) => leave || finish(String(error)))
    request.end(body)
  })
}

const key = { authorization: `Bearer ${secrets.app}` }
// Sessions go on, but none is asked twice at once.
let turn = 0
const json = { 'content-type': 'application/json' }
const ask = (fields) => JSON.stringify({ question: `Hello ${crypto.randomUUID()}`, ...fields })
const form = '--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n'
const kinds = [
  () => call('json', { url: '/api/v1/prediction/chat', headers: { ...key, ...json }, body: ask(), check: (t) => JSON.parse(t).text.startsWith('You said Hello') }),
  () => call('stream', { url: '/api/v1/prediction/chat', headers: { ...key, ...json }, body: ask({ streaming: true }), check: (t) => t.includes('word9') && t.includes('[DONE]') }),
  () => call('engine', { url: '/api/v1/prediction/flow', headers: { ...key, ...json }, body: ask(), check: (t) => JSON.parse(t).text === 'An answer in pieces.' || JSON.parse(t).text === 'An answer.' }),
  () => call('engine stream', { url: '/api/v1/prediction/flow', headers: { ...key, ...json }, body: ask({ streaming: true, overrideConfig: { sessionId: `s${(turn += 1) % 500}` } }), check: (t) => t.includes('pieces.') && t.includes('[DONE]') }),
  () => call('leaves', { url: '/api/v1/prediction/chat', headers: { ...key, ...json }, body: ask({ streaming: true }), leave: true }),
  () => call('leaves the engine', { url: '/api/v1/prediction/flow', headers: { ...key, ...json }, body: ask({ streaming: true }), leave: true }),
  () => call('page', { url: '/api/v1/prediction/page', headers: { ...json, origin: 'https://www.example.com' }, body: ask() }),
  () => call('preflight', { method: 'OPTIONS', url: '/api/v1/prediction/page', headers: { origin: 'https://www.example.com', 'access-control-request-method': 'POST' }, expect: 204 }),
  () => call('other origin', { url: '/api/v1/prediction/page', headers: { ...json, origin: 'https://evil.example' }, body: ask(), expect: 403 }),
  () => call('not routed', { method: 'GET', url: '/api/v1/chatflows', headers: key, expect: 404 }),
  () => call('bad body', { url: '/api/v1/prediction/chat', headers: { ...key, ...json }, body: '{"question":', expect: 400 }),
  () => call('attachment', { url: `/api/v1/attachments/chat/${crypto.randomUUID()}`, headers: { ...key, 'content-type': 'multipart/form-data; boundary=b' }, body: form }),
  () => call('ping', { method: 'GET', url: '/api/v1/ping' }),
]

const begun = Date.now()
const isOver = () => Date.now() - begun > seconds * 1000
const lane = async () => {
  while (!isOver()) await kinds[Math.floor(Math.random() * kinds.length)]()
}
const reloads = async () => {
  for (let i = 0; !isOver(); i++) {
    await sleep(700)
    if (i % 3 === 0) write('keys.yaml', `keys:\n${keys(i % 2 === 0)}`)
    if (i % 3 === 1) write('flowgate.yaml', config(1000 + (i % 50)))
    if (i % 3 === 2) {
      // One in four is half a file: what was in force stays.
      const text = flow(`Be kind. ${i}`)
      fs.writeFileSync(path.join(dir, 'flow.json.new'), i % 4 === 0 ? text.slice(0, 100) : text)
      fs.renameSync(path.join(dir, 'flow.json.new'), path.join(dir, 'flows/flow.json'))
    }
  }
}
const samples = []
const sample = () => {
  const status = fs.readFileSync(`/proc/${gateway.pid}/status`, 'utf8')
  const number = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1])
  samples.push({ mib: number('VmRSS') / 1024, threads: number('Threads'), descriptors: fs.readdirSync(`/proc/${gateway.pid}/fd`).length })
}
const sampling = setInterval(sample, Math.max(250, seconds * 2))
const telling = setInterval(() => {
  const { mib, descriptors } = samples.at(-1) ?? {}
  console.log(`${Math.round((Date.now() - begun) / 1000)} s: ${[...done.values()].reduce((a, b) => a + b, 0)} calls, ${[...wrong.values()].reduce((a, b) => a + b, 0)} wrong, ${mib?.toFixed(1)} MiB, ${descriptors} descriptors`)
}, 60000)

await Promise.all([reloads(), ...Array.from({ length: lanes * 3 }, lane)])
clearInterval(telling)
clearInterval(sampling)
sample()
const isUp = gateway.exitCode === null
gateway.kill('SIGTERM')
const code = await new Promise((resolve) => gateway.once('exit', resolve))

// After the first fifth everything that grows at first has grown.
const settled = samples.slice(Math.ceil(samples.length / 5))
const half = Math.floor(settled.length / 2)
const mean = (list, field) => list.reduce((sum, it) => sum + it[field], 0) / list.length
const [early, late] = [settled.slice(0, half), settled.slice(half)]
const rows = ['mib', 'descriptors', 'threads'].map((field) => ({ field, early: mean(early, field), late: mean(late, field), most: Math.max(...samples.map((it) => it[field])) }))
console.log(`\n${seconds} s, ${[...done.values()].reduce((a, b) => a + b, 0)} calls: ${[...done].map(([name, n]) => `${name} ${n}`).join(', ')}`)
for (const { field, early, late, most } of rows) console.log(`${field}: ${early.toFixed(1)} in the first half, ${late.toFixed(1)} in the second, at most ${most.toFixed(1)}`)
for (const [what, n] of [...wrong].slice(0, 20)) console.log(`WRONG ${n} x ${what}`)
const problems = []
if (!isUp) problems.push(`flowgate ended by itself: ${complaints}`)
if (code !== 0) problems.push(`exit code ${code}: ${complaints}`)
if (wrong.size > 0) problems.push('some answers were not what they should be')
for (const { field, early, late } of rows) if (late > early * 1.1 + 4) problems.push(`${field} grows`)
console.log(problems.length ? `FAILED: ${problems.join('; ')}` : 'passed')
fs.rmSync(dir, { recursive: true, force: true })
process.exit(problems.length ? 1 : 0)
