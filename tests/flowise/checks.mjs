#!/usr/bin/env node
// flowgate in front of a real Flowise: official clients and raw requests, each first directly where that tells
// something, then through the gateway. One line a check; exits non-zero if one failed. Started by ./run.
//   LAB_JSON       what up.sh wrote         FLOWGATE_BIN   the program
//   SCRATCH        a folder for configurations and logs; `pids` in it names every process started
//   ONLY           a regular expression: run only checks whose names match
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Gateway, secret, Tap } from './gateway.mjs'
import { events, exchange } from './lab/wire.mjs'
import { cannotStart, check, finish } from './tally.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const { LAB_JSON, FLOWGATE_BIN, SCRATCH } = process.env
const lab = JSON.parse(fs.readFileSync(LAB_JSON, 'utf8'))
const stub = lab.llmBase.replace(/\/v1$/, '')
const pids = path.join(SCRATCH, 'pids')
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))
const nonce = () => 'nonce' + Math.random().toString(36).slice(2, 10)

const WRONG_KEY = 'not-a-key-that-Flowise-knows-0123456789'
const PLENTY = { requests: '60000/min', burst: 1000, concurrent: 64 }
// With a chatflow for each flow of the lab.
async function start(dir, url, flowiseKey) {
  const chatflows = Object.fromEntries(Object.entries(lab.chatflows).map(([name, id]) => [name, { upstream: 'lab', id, override_config: ['sessionId', 'vars.userId', 'promptValues'] }]))
  const key = secret()
  const config = { upstreams: { lab: { flowise: { urls: [url], api_key: flowiseKey, health: false } } }, plans: { default: PLENTY, anonymous: PLENTY }, chatflows }
  const started = await Gateway.start({ bin: FLOWGATE_BIN, dir: path.join(SCRATCH, dir), config, secrets: { client: [key, {}] }, pids })
  return Object.assign(started, { key })
}
let tap, gateway, mistaken
try {
  tap = await Tap.start(lab.baseUrl)
  gateway = await start('gateway', tap.url, lab.apiKey)
  mistaken = await start('wrong-key', lab.baseUrl, WRONG_KEY)
} catch (e) {
  gateway?.child.kill('SIGKILL')
  cannotStart(e)
}

const bearer = (key) => ({ Authorization: `Bearer ${key}` })
const OURS = bearer(gateway.key)
const DIRECT = { url: lab.baseUrl, headers: bearer(lab.apiKey), id: (flow) => lab.chatflows[flow] ?? flow }
const THROUGH = { url: gateway.url, headers: OURS, id: (flow) => flow }
const predict = (way, flow, body, opts) =>
  exchange(way.url, { method: 'POST', path: `/api/v1/prediction/${way.id(flow)}`, headers: { 'Content-Type': 'application/json', ...way.headers }, body }, { timeout: 20000, ...opts })
const isStream = (r) => (r.headers['content-type'] ?? '').startsWith('text/event-stream')
const kinds = (r) => events(r.text).map((e) => e.event)
const said = (r) => events(r.text).filter((e) => e.event === 'token').map((e) => e.data).join('')

// The one shape of a refusal.
function assertRefusal(r, status, code) {
  assert.equal(r.status, status, r.text)
  assert.equal(r.headers['content-type'], 'application/json')
  const body = JSON.parse(r.text)
  assert.equal(body.code, code)
  assert.equal(body.statusCode, status)
  assert.equal(body.success, false)
  assert.equal(typeof body.error, 'string')
  assert.equal(body.message, body.error)
  assert.equal(body.requestId, r.headers['x-request-id'])
  for (const secret of [lab.baseUrl.slice(7), lab.apiKey, WRONG_KEY, gateway.key, 'node_modules']) assert(!r.text.includes(secret), r.text)
  return body
}

// As assertRefusal, and Flowise is not even asked.
async function refusedUnseen(send, status, code) {
  const { value, text } = await tap.seen(send)
  assert.equal(text, '', `Flowise was sent ${text.slice(0, 300)}`)
  return assertRefusal(value, status, code)
}

// --- official clients ---------------------------------------------------------------------------

function client(name, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(HERE, 'clients/run.sh'), [name], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    fs.appendFileSync(pids, `${child.pid}\n`)
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (b) => { output += b })
    const late = setTimeout(() => child.kill('SIGKILL'), 300000)
    child.on('exit', (code) => {
      clearTimeout(late)
      if (code === 0) resolve()
      else reject(new Error(`${name} ended with ${code}:\n${output}`))
    })
  })
}

for (const name of ['sdk-node', 'sdk-python']) {
  for (const flow of ['llm-chain', 'conversation-chain', 'tool-agent', 'retrieval-qa', 'agentflow-llm', 'key-protected', 'key-protected-agentflow']) {
    const env = { TURNS: flow === 'conversation-chain' ? '2' : '1' }
    await check(`${name}, ${flow}: directly`, () => client(name, { ...env, BASE_URL: lab.baseUrl, CHATFLOW_ID: lab.chatflows[flow], API_KEY: lab.apiKey }))
    await check(`${name}, ${flow}: through the gateway`, () => client(name, { ...env, BASE_URL: gateway.url, CHATFLOW_ID: flow, API_KEY: gateway.key }))
  }
  for (const [what, key] of [['no key', ''], ["Flowise's own key", lab.apiKey]])
    for (const flow of ['llm-chain', 'key-protected'])
      await check(`${name}, ${flow}: refused with ${what}`, async () => {
        const { text } = await tap.seen(() => client(name, { EXPECT_DENIED: '1', BASE_URL: gateway.url, CHATFLOW_ID: flow, API_KEY: key }))
        // Both ask, without a key, whether the flow streams; no prediction may pass.
        assert(!text.includes('/prediction/'), text.slice(0, 300))
      })
}

// --- answers ------------------------------------------------------------------------------------

await check('a JSON answer has the fields that Flowise gives, and a request id', async () => {
  const [a, b] = [await predict(DIRECT, 'llm-chain', { question: 'hello' }), await predict(THROUGH, 'llm-chain', { question: 'hello' })]
  assert.equal(b.status, 200, b.text)
  assert.equal(b.headers['content-type'], a.headers['content-type'])
  assert.deepEqual(Object.keys(JSON.parse(b.text)), Object.keys(JSON.parse(a.text)))
  assert.equal(JSON.parse(b.text).text, JSON.parse(a.text).text)
  assert.match(b.headers['x-request-id'] ?? '', /\S/)
  for (const name of ['x-powered-by', 'server', 'access-control-allow-origin']) assert.equal(b.headers[name], undefined)
})

await check('X-API-KEY is as good as a bearer token', async () => {
  const r = await predict({ ...THROUGH, headers: { 'X-API-KEY': gateway.key } }, 'llm-chain', { question: 'hello' })
  assert.equal(r.status, 200, r.text)
})

await check("Flowise gets its own key, and nothing of the caller's credentials or proxy headers", async () => {
  const headers = { ...OURS, Cookie: 'connect.sid=stolen', 'x-request-from': 'internal', 'flowise-tool': 'true', 'X-Forwarded-For': '203.0.113.9', 'X-Real-IP': '203.0.113.9', 'X-Flowise-Evaluation': '1' }
  const { value, text } = await tap.seen(() => predict({ ...THROUGH, headers }, 'key-protected', { question: 'hello' }))
  assert.equal(value.status, 200, value.text)
  const head = text.slice(0, text.indexOf('\r\n\r\n'))
  assert.match(head, new RegExp(`^POST /api/v1/prediction/${lab.chatflows['key-protected']} HTTP/1.1\r\n`))
  assert.match(head, new RegExp(`^authorization: Bearer ${lab.apiKey}\r?$`, 'im'))
  assert.match(head, new RegExp(`^x-api-key: ${lab.apiKey}\r?$`, 'im'))
  for (const gone of [gateway.key, 'stolen', 'x-request-from', 'flowise-tool', '203.0.113.9', 'evaluation']) assert(!head.toLowerCase().includes(gone.toLowerCase()), head)
})

await check('a stream has the events of Flowise in its framing, and its tokens come one by one', async () => {
  const body = { question: '[[words=8]] [[delay=80]]', streaming: true }
  const [a, b] = [await predict(DIRECT, 'llm-chain', body), await predict(THROUGH, 'llm-chain', body)]
  assert.equal(b.status, 200)
  assert.equal(b.headers['content-type'], 'text/event-stream')
  assert.equal(b.headers['content-length'], undefined)
  const stable = (r) => r.text.split('\n\n').filter((record) => record && !record.startsWith(':') && !record.includes('"event":"metadata"'))
  assert.deepEqual(stable(b), stable(a))
  assert.deepEqual(kinds(b).filter(Boolean), kinds(a).filter(Boolean))
  const times = b.chunks.filter((c) => c.data.includes('"token"')).map((c) => c.at)
  assert(times.length >= 7, `${times.length} reads for 8 tokens`)
  assert(times.at(-1) - times[0] > 400, `all tokens within ${times.at(-1) - times[0]} ms`)
})

await check('an agentflow streams its events', async () => {
  const want = nonce()
  const r = await predict(THROUGH, 'agentflow-llm', { question: want, streaming: true })
  assert(isStream(r), r.text)
  assert(said(r).includes(want), r.text)
  const seen = kinds(r).filter(Boolean)
  assert.deepEqual([seen[0], ...seen.slice(-2)], ['agentFlowEvent', 'metadata', 'end'])
})

await check('"stream": true streams', async () => {
  const want = nonce()
  const r = await predict(THROUGH, 'llm-chain', { question: want, stream: true })
  assert(isStream(r), r.text)
  assert(said(r).includes(want))
})

await check('a flow that cannot stream answers a streaming request in JSON', async () => {
  const r = await predict(THROUGH, 'no-streaming-model', { question: 'hello', streaming: true })
  assert.equal(r.status, 200, r.text)
  assert.equal(typeof JSON.parse(r.text).text, 'string')
})

await check('"variables" reach the flow', async () => {
  const r = await predict(THROUGH, 'agentflow-code', { question: 'hello', variables: { userId: 'user-77' } })
  assert.equal(r.status, 200, r.text)
  assert.match(JSON.parse(r.text).text, /user=user-77/)
})

await check('overrideConfig passes where it is allowed', async () => {
  const r = await predict(THROUGH, 'agentflow-code', { question: 'hello', overrideConfig: { sessionId: 'session-5', vars: { userId: 'user-78' } } })
  assert.equal(r.status, 200, r.text)
  assert.match(JSON.parse(r.text).text, /user=user-78/)
})

await check('overrideConfig is refused where it is not allowed, by name', async () => {
  const body = await refusedUnseen(() => predict(THROUGH, 'llm-chain', { question: 'hello', overrideConfig: { temperature: 2 } }), 400, 'invalid_request')
  assert.match(body.error, /temperature/)
})

await check('an unknown field is refused by name', async () => {
  const body = await refusedUnseen(() => predict(THROUGH, 'llm-chain', { question: 'hello', chatid: 'x' }), 400, 'invalid_request')
  assert.match(body.error, /chatid/)
})

await check("a form answers", async () => {
  const r = await predict(THROUGH, 'agentflow-form', { form: { name: 'Bob', plan: 'paid' } })
  assert.equal(r.status, 200, r.text)
  assert.deepEqual(JSON.parse(r.text).form, { name: 'Bob', plan: 'paid' })
})

for (const flow of Object.keys(lab.chatflows).filter((name) => name !== 'rate-limited'))
  await check(`${flow}: the same status and fields as directly`, async () => {
    const body = { question: 'The same question' }
    const [a, b] = [await predict(DIRECT, flow, body), await predict(THROUGH, flow, body)]
    assert.equal(b.status, a.status, b.text)
    const [x, y] = [JSON.parse(a.text), JSON.parse(b.text)]
    if (a.status === 200) assert.deepEqual(Object.keys(y).sort(), Object.keys(x).sort())
    else assert.equal(y.message, x.message)
  })

await check('an error of the flow passes, without a stack', async () => {
  const r = await predict(THROUGH, 'llm-chain', { question: '[[error=400]] hello' })
  assert.equal(r.status, 500, r.text)
  assert.match(JSON.parse(r.text).message, /stub error 400/)
  assert(!/node_modules|\bat .*\.js/.test(r.text), r.text)
  assert.equal(Object.keys(JSON.parse(r.text).stack ?? {}).length, 0)
})

await check('chatflows-streaming says whether, and no more, without a key', async () => {
  const r = await exchange(gateway.url, { path: '/api/v1/chatflows-streaming/llm-chain' })
  assert.equal(r.status, 200, r.text)
  assert.deepEqual(JSON.parse(r.text), { isStreaming: true })
  const none = await exchange(gateway.url, { path: '/api/v1/chatflows-streaming/no-streaming-model' })
  assert.deepEqual(JSON.parse(none.text), { isStreaming: false })
})

await check('health and ping are answered by the gateway itself', async () => {
  const { value, text } = await tap.seen(async () => [await exchange(gateway.url, { path: '/api/v1/health' }), await exchange(gateway.url, { path: '/api/v1/ping' })])
  assert.equal(text, '')
  assert.deepEqual(JSON.parse(value[0].text), { status: 'ok' })
  assert.equal(value[1].text.trim(), 'pong')
})

// --- refusals -----------------------------------------------------------------------------------

const asks = [['JSON', { question: 'hello' }], ['streaming', { question: 'hello', streaming: true }]]

for (const [what, body] of asks) {
  await check(`${what}: no key is 401, unseen by Flowise`, async () => {
    const send = () => predict({ ...THROUGH, headers: {} }, 'llm-chain', body)
    await refusedUnseen(send, 401, 'missing_api_key')
    assert.match((await send()).headers['www-authenticate'] ?? '', /^Bearer/)
  })
  for (const [whose, key] of [['a wrong key', 'fg_sk_' + 'A'.repeat(49)], ["Flowise's own key", lab.apiKey]])
    await check(`${what}: ${whose} is 401, unseen by Flowise`, () => refusedUnseen(() => predict({ ...THROUGH, headers: bearer(key) }, 'key-protected', body), 401, 'invalid_api_key'))
  for (const [whose, flow] of [['an unknown name', 'no-such-flow'], ['an unknown id', '11111111-2222-4333-8444-555555555555'], ["Flowise's own id", lab.chatflows['llm-chain']]])
    await check(`${what}: ${whose} is 404 at once, unseen by Flowise`, async () => {
      const started = performance.now()
      await refusedUnseen(() => predict(THROUGH, flow, body), 404, 'not_found')
      assert(performance.now() - started < 3000)
    })
  await check(`${what}: a Flowise key that Flowise refuses is 502`, async () => {
    for (const flow of ['key-protected', 'key-protected-agentflow'])
      assertRefusal(await predict({ url: mistaken.url, headers: bearer(mistaken.key), id: (f) => f }, flow, body), 502, 'upstream_error')
  })
}

await check('the log never shows a key', () => {
  for (const g of [gateway, mistaken])
    for (const secret of [lab.apiKey, WRONG_KEY, gateway.key, mistaken.key]) assert(!g.output.includes(secret), `a key of ${secret.length} characters is in the output`)
})

const id = lab.chatflows['llm-chain']
for (const [method, target] of [
  ['GET', '/'],
  ['GET', '/api/v1/chatflows'],
  ['GET', `/api/v1/chatflows/${id}`],
  ['GET', `/api/v1/chatflows/apikey/${lab.apiKey}`],
  ['GET', '/api/v1/credentials'],
  ['GET', '/api/v1/apikey'],
  ['GET', '/api/v1/variables'],
  ['GET', `/api/v1/verify/apikey/${lab.apiKey}`],
  ['GET', '/api/v1/version'],
  ['GET', '/api/v1/ip'],
  ['POST', '/api/v1/account/register'],
  ['POST', '/api/v1/auth/login'],
  ['POST', '/API/v1/prediction/llm-chain'],
  ['POST', '/api/v1/Prediction/llm-chain'],
  ['POST', '/api/v1/%70rediction/llm-chain'],
  ['POST', `/api/v1/%70rediction/${id}`],
  ['POST', '/api/v1/prediction/%6clm-chain'],
  ['POST', '/api/v1//prediction/llm-chain'],
  ['POST', '//api/v1/prediction/llm-chain'],
  ['POST', '/api/v1/prediction/llm-chain/'],
  ['POST', '/api/v1/prediction/llm-chain;x=1'],
  ['POST', '/api/v1/prediction/./llm-chain'],
  ['POST', '/api/v1/chatflows/../prediction/llm-chain'],
  ['GET', '/api/v1/prediction/../chatflows'],
  ['GET', '/api/v1/prediction/%2e%2e/chatflows'],
  ['GET', '/api/v1/prediction/..%2fchatflows'],
  ['GET', '/api/v1/prediction/%252e%252e%252fchatflows']
])
  await check(`${method} ${target.split(lab.apiKey).join('KEY').split(id).join('ID')}: 404, unseen by Flowise`, () =>
    refusedUnseen(() => exchange(gateway.url, { method, path: target, headers: OURS, body: method === 'POST' ? { question: 'hello' } : undefined }, { timeout: 5000 }), 404, 'not_found'))

await check('GET on a prediction is 405, unseen by Flowise', () => refusedUnseen(() => exchange(gateway.url, { path: '/api/v1/prediction/llm-chain', headers: OURS }), 405, 'method_not_allowed'))

// --- clients that go away -----------------------------------------------------------------------

const WORDS = 60
// How the model's answer to the question with this mark ended.
async function stopped(mark) {
  for (const end = Date.now() + 4000; Date.now() < end; await sleep(50)) {
    const log = await (await fetch(`${stub}/__log`)).json()
    const request = log.find((l) => l.kind === 'request' && JSON.stringify(l.body).includes(mark))
    const closed = request && log.find((l) => l.kind === 'closed' && l.id === request.id)
    if (closed) return closed
  }
  throw new Error('the model was not stopped: Flowise still reads from it')
}
async function gone(body, opts) {
  const mark = nonce()
  const { text } = await tap.seen(async () => {
    const r = await predict(THROUGH, 'agentflow-llm', { question: `${mark} [[words=${WORDS}]] [[delay=100]]`, ...body }, opts)
    assert(!r.raw.includes('"end"'), 'the answer was complete before the client left')
    const closed = await stopped(mark)
    assert(closed.client_aborted && closed.tokens_sent < WORDS / 2, JSON.stringify(closed))
  })
  assert.match(text, new RegExp(`PUT /api/v1/chatmessage/abort/${lab.chatflows['agentflow-llm']}/`))
}

const afterThree = { stopAfter: (text) => (text.match(/"event":"token"/g) ?? []).length >= 3 }
await check('a client that leaves a stream stops the agentflow', () => gone({ streaming: true, chatId: nonce() }, afterThree))
await check('a client that leaves a stream stops the agentflow, also without a chat id of its own', () => gone({ streaming: true }, afterThree))
await check('a client that leaves while it waits for JSON stops the agentflow', () => gone({ chatId: nonce() }, { timeout: 1200 }))

// --- the end ------------------------------------------------------------------------------------

await check('SIGTERM ends the gateway with 0', async () => {
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null })
  assert.deepEqual(await mistaken.stop(), { code: 0, signal: null })
})
await gateway.stop()
await mistaken.stop()
finish()
