// Each program of deploy/ext-auth, which asks a gateway about every call and sends it to a stub of Flowise itself.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { freePort, until } from '../fleet/stores.mjs'
import { BIN, CLIENT, ORIGIN, PATH, TMP, call, callByHttp2, check, equal, open, requests, say, start, startFront, tally } from '../front/lab.mjs'

const RECIPES = new URL('../../deploy/ext-auth/', import.meta.url).pathname
const FRONTS = ['nginx', 'caddy', 'traefik', 'envoy']
const ID = '9d2b4ae3-1f5e-4c00-9000-000000000000'
const UPSTREAM_KEY = 'key-of-flowise-0123456789'
const OTHER = '/api/v1/prediction/other'

// What came to Flowise, and its streams, which wait for the word to go on.
const seen = []
const waiting = []
const flowise = http.createServer((request, response) => {
  let body = ''
  request.on('data', data => { body += data }).on('end', () => {
    seen.push({ method: request.method, url: request.url, headers: request.headers, raw: request.rawHeaders, body })
    // As Flowise does: every page is let in.
    response.setHeader('access-control-allow-origin', '*')
    if (!body.includes('"streaming":true')) {
      response.setHeader('content-type', 'application/json')
      return response.end(JSON.stringify({ text: 'fine', bytes: body.length }))
    }
    response.setHeader('content-type', 'text/event-stream')
    response.flushHeaders()
    waiting.push(response)
  })
})

// One header, which must have come once.
function values(entry, name) {
  return entry.raw.filter((_, at) => at % 2 === 1 && entry.raw[at - 1].toLowerCase() === name)
}

async function tries(name, gateway) {
  const { keys, ports, log } = gateway
  const front = await startFront(name, RECIPES, text => [3000, 8080, 8081].reduce((placed, port) => placed
    .replaceAll(new RegExp(`127\\.0\\.0\\.1:${port}`, 'g'), `127.0.0.1:${ports[port]}`)
    .replaceAll(`port_value: ${port}`, `port_value: ${ports[port]}`), text))
  const { port } = front
  const json = { 'content-type': 'application/json' }
  const ask = (path, headers, body = '{"question":"hi"}') => call(port, 'POST', path, { ...json, ...headers }, body)
  // What Flowise sees of a call that passes.
  const passes = async (path, headers, body) => {
    const before = seen.length
    const answer = await ask(path, headers, body)
    equal('status', answer.status, 200)
    equal('calls of Flowise', seen.length - before, 1)
    return { answer, came: seen[before] }
  }
  const isWhole = (came, key) => {
    equal('path', came.url, `/api/v1/prediction/${ID}`)
    equal('method', came.method, 'POST')
    equal('Authorization', values(came, 'authorization').join(), `Bearer ${UPSTREAM_KEY}`)
    equal('X-API-KEY', values(came, 'x-api-key').join(), UPSTREAM_KEY)
    equal('X-Flowgate-Key', values(came, 'x-flowgate-key').join(), key)
    equal('X-Flowgate-Chatflow', values(came, 'x-flowgate-chatflow').join(), 'support')
    equal('X-Flowgate-Subject', values(came, 'x-flowgate-subject').join(), '')
    for (const secret of Object.values(keys)) if (JSON.stringify(came.raw).includes(secret)) throw new Error("a client's key went on to Flowise")
  }
  const refuses = async (what, answering, status, code) => {
    const before = seen.length
    const answer = await answering()
    equal(`status of ${what}`, answer.status, status)
    equal(`body of ${what}`, JSON.parse(answer.text).code, code)
    equal(`type of ${what}`, answer.headers['content-type'], 'application/json')
    equal(`requestId of ${what}`, JSON.parse(answer.text).requestId, answer.headers['x-request-id'])
    equal(`calls of Flowise by ${what}`, seen.length - before, 0)
    return answer
  }

  await check(`${name}: a good key passes, and Flowise sees its own key and the client's address`, async () => {
    const { answer, came } = await passes(PATH, { 'x-api-key': keys.app, 'x-forwarded-for': '203.0.113.9' })
    isWhole(came, 'app')
    equal('answer', JSON.parse(answer.text).text, 'fine')
    equal('body', came.body, '{"question":"hi"}')
    isWhole((await passes(PATH, { authorization: `Bearer ${keys.app}` })).came, 'app')
    const entry = await until('a line of the log', () => log().findLast(entry => entry.route === 'ext-auth' && entry.status === 200))
    equal('client in the log', entry.client, CLIENT)
    equal('path in the log', entry.path, PATH)
    equal('request id', came.headers['x-request-id'] !== undefined, true)
  })
  await check(`${name}: HTTP/2, a query, and an upload of 3 MiB`, async () => {
    const before = seen.length
    const answer = await callByHttp2(port, { ...json, 'x-api-key': keys.app }, '{"question":"hi"}')
    equal('status', answer.status, 200)
    isWhole(seen[before], 'app')
    const part = `--cut\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n${'words '.repeat(512 * 1024)}\r\n--cut--\r\n`
    const upload = await passes(PATH, { 'x-api-key': keys.app, 'content-type': 'multipart/form-data; boundary=cut' }, part)
    equal('bytes', upload.came.body.length, part.length)
    equal('type', upload.came.headers['content-type'], 'multipart/form-data; boundary=cut')
  })
  await check(`${name}: a stream's events arrive one by one`, async () => {
    const request = open(port, 'POST', PATH, { ...json, 'x-api-key': keys.app })
    let text = ''
    let ended = false
    request.on('response', response => response.on('data', data => { text += data }).on('end', () => { ended = true }))
    request.end('{"question":"hi","streaming":true}')
    const source = await until('Flowise', () => waiting.shift())
    // Only when one has arrived is the next one said.
    for (const word of ['one', 'two', 'three']) {
      say(source, 'token', word)
      await until(`event ${word}`, () => text.includes(`"${word}"`))
    }
    source.end()
    await until('the end', () => ended)
  })
  await check(`${name}: refusals are flowgate's own, with their headers`, async () => {
    const wrong = await refuses('a wrong key', () => ask(PATH, { 'x-api-key': 'wrong-key-0123456789' }), 401, 'invalid_api_key')
    equal('WWW-Authenticate', wrong.headers['www-authenticate'], 'Bearer')
    await refuses('no key', () => ask(PATH, {}), 401, 'missing_api_key')
    await refuses('another chatflow', () => ask(OTHER, { 'x-api-key': keys.app }), 403, 'chatflow_not_allowed')
    await refuses('a chatflow that is none', () => ask('/api/v1/prediction/none', { 'x-api-key': keys.app }), 404, 'not_found')
    await refuses('another method', () => call(port, 'DELETE', PATH, { 'x-api-key': keys.app }), 405, 'method_not_allowed')
    await refuses("the editor's API", () => call(port, 'GET', '/api/v1/chatflows', { 'x-api-key': keys.app }), 404, 'not_found')
    const spelt = '/api/v1/%70rediction/support'
    // Traefik takes such encodings off before it asks, and forwards what it asked about.
    if (name === 'traefik') isWhole((await passes(spelt, { 'x-api-key': keys.app })).came, 'app')
    else await refuses('another spelling', () => ask(spelt, { 'x-api-key': keys.app }), 404, 'not_found')
    for (const path of ['/api/v1/prediction/other/../support', '/api/v1/prediction//support', '/api/v1/prediction/support/', '/api/v1/prediction/support;a', '/api/v1/prediction/support%2f..%2fother']) {
      const before = seen.length
      const answer = await ask(path, { 'x-api-key': keys.app })
      if (answer.status === 200) isWhole(seen[before], 'app')
      else equal(`calls of Flowise by ${path}`, seen.length - before, 0)
    }
    await refuses('an upsert without the right', () => ask('/api/v1/vector/upsert/support', { 'x-api-key': keys.app }), 403, 'chatflow_not_allowed')
    // Each proxy has a key of its own, since one request an hour is soon used up.
    await passes(PATH, { 'x-api-key': keys[`slow-${name}`] })
    const limited = await refuses('one too many', () => ask(PATH, { 'x-api-key': keys[`slow-${name}`] }), 429, 'rate_limited')
    equal('Retry-After', Number(limited.headers['retry-after']) > 3000, true)
    equal('RateLimit', limited.headers.ratelimit.startsWith('"slow";r=0'), true)
  })
  await check(`${name}: what a client says in the proxy's or in flowgate's name has no effect`, async () => {
    for (const path of ['x-original-uri', 'x-forwarded-uri', 'x-original-url', 'x-rewrite-url', 'x-envoy-original-path']) {
      for (const said of [{ [path]: PATH }, { [path]: PATH, 'x-original-method': 'POST' }, { [path]: PATH, 'x-forwarded-method': 'POST' }]) {
        await refuses(`${JSON.stringify(said)}`, () => ask(OTHER, { 'x-api-key': keys.app, ...said }), 403, 'chatflow_not_allowed')
        await refuses(`${JSON.stringify(said)} without a key`, () => ask(PATH, said), 401, 'missing_api_key')
      }
      isWhole((await passes(PATH, { 'x-api-key': keys.app, [path]: OTHER })).came, 'app')
    }
    const names = { 'x-flowgate-key': 'root', 'x-flowgate-chatflow': 'other', 'x-flowgate-subject': 'ann', 'x-flowgate-path': '/api/v1/chatflows', 'x-flowgate-refusal': 'e30' }
    const { answer, came } = await passes(PATH, { 'x-api-key': keys.app, ...names })
    isWhole(came, 'app')
    equal('answer', JSON.parse(answer.text).text, 'fine')
    await refuses('names without a key', () => ask(PATH, names), 401, 'missing_api_key')
    // Whoever nominates a header for this connection alone (RFC 9110, section 7.6.1) takes nothing out that was decided.
    for (const nominated of ['x-flowgate-key', 'x-flowgate-path', 'x-forwarded-uri', 'x-original-uri', 'authorization', 'x-api-key']) {
      const before = seen.length
      const answer = await ask(PATH, { 'x-api-key': keys.app, connection: `close, ${nominated}` })
      if (answer.status === 200) isWhole(seen[before], 'app')
      else equal(`calls of Flowise, ${nominated}`, seen.length - before, 0)
    }
    for (const path of ['/authorize', `/authorize${PATH}`, '/refused', '/flowgate-decides', '/flowgate-refused']) {
      const answer = await ask(path, { 'x-api-key': keys.app, 'x-original-method': 'POST', 'x-original-uri': PATH })
      equal(`status of ${path}`, answer.status, 404)
    }
  })
  await check(`${name}: nothing that Flowise could believe passes`, async () => {
    const { came } = await passes(PATH, { 'x-api-key': keys.app, cookie: 'token=1', 'x-request-from': 'internal', 'flowise-tool': 'true' })
    for (const header of ['cookie', 'x-request-from', 'flowise-tool', 'x-original-uri', 'x-original-method']) {
      equal(header, values(came, header).join(), '')
    }
  })
  await check(`${name}: pages`, async () => {
    const preflight = await call(port, 'OPTIONS', PATH, { origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,x-api-key' })
    equal('status', preflight.status, 204)
    equal('origin', preflight.headers['access-control-allow-origin'], ORIGIN)
    const { answer } = await passes(PATH, { 'x-api-key': keys.app, origin: ORIGIN })
    equal('origin of an answer', answer.headers['access-control-allow-origin'], ORIGIN)
    const other = await passes(PATH, { 'x-api-key': keys.app, origin: 'https://evil.example' })
    equal('another origin', other.answer.headers['access-control-allow-origin'] || undefined, undefined)
    const refused = await refuses('a page with a wrong key', () => ask(PATH, { 'x-api-key': 'wrong-key-0123456789', origin: ORIGIN }), 401, 'invalid_api_key')
    equal('origin of a refusal', refused.headers['access-control-allow-origin'], ORIGIN)
  })
  await check(`${name}: what flowgate answers itself goes to flowgate`, async () => {
    const token = await ask('/api/v1/tokens', { 'x-api-key': keys.app }, '{"chatflow":"support","sub":"ann"}')
    equal('status', token.status, 201)
    const { came } = await passes(PATH, { authorization: `Bearer ${JSON.parse(token.text).token}` })
    equal('X-Flowgate-Subject', values(came, 'x-flowgate-subject').join(), 'ann')
    equal('X-Flowgate-Key', values(came, 'x-flowgate-key').join(), 'app')
    equal('usage', (await call(port, 'GET', '/api/v1/usage', { 'x-api-key': keys.app })).status, 200)
  })
  return front
}

await new Promise(done => flowise.listen(0, '127.0.0.1', done))
const folder = join(TMP, 'gateway')
mkdirSync(folder)
const ports = { 3000: flowise.address().port, 8080: await freePort(), 8081: await freePort() }
const file = join(folder, 'keys.yaml')
const create = (id, ...more) => execFileSync(BIN, ['keys', 'create', '--file', file, '--id', id, '--chatflow', 'support', ...more], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim()
const keys = { app: create('app') }
for (const name of FRONTS) keys[`slow-${name}`] = create(`slow-${name}`, '--plan', 'slow')
writeFileSync(join(folder, 'flowgate.yaml'), `
server:
  listen: 127.0.0.1:${ports[8080]}
  trusted_proxies: [127.0.0.1]
  ext_auth: { listen: '127.0.0.1:${ports[8081]}', headers: { pass_upstream_key: true } }
admin: { listen: '127.0.0.1:${await freePort()}' }
upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:${ports[3000]}'], api_key: ${UPSTREAM_KEY}, health: false } } }
plans: { default: { requests: 1000/s, burst: 1000 }, slow: { requests: 1/hour, burst: 1 }, anonymous: { requests: 1000/s, burst: 1000 } }
auth_failures: null
chatflows:
  support: { upstream: flowise, id: ${ID}, allowed_origins: ['${ORIGIN}'] }
  other: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000001 }
`)
const gateway = start(folder, BIN, 'serve', '--config', join(folder, 'flowgate.yaml'))
await until('the gateway', () => fetch(`http://127.0.0.1:${ports[8080]}/api/v1/ping`).then(answer => answer.ok))

const fronts = []
for (const name of (process.env.ONLY ?? FRONTS.join(' ')).split(' ')) {
  await tries(name, { keys, ports, log: () => requests(folder) })
    .then(front => fronts.push([name, front]), error => { tally.failed++; console.log(`FAILED  ${name}: ${error.message}`) })
}
gateway.kill('SIGKILL')
await until('the end of the gateway', () => gateway.exitCode !== null || gateway.signalCode !== null)
for (const [name, { port }] of fronts) {
  await check(`${name}: without flowgate nothing passes`, async () => {
    const before = seen.length
    const answer = await call(port, 'POST', PATH, { 'x-api-key': keys.app, 'content-type': 'application/json' }, '{"question":"hi"}')
    equal('refused', answer.status === 403 || answer.status >= 500, true)
    equal('calls of Flowise', seen.length - before, 0)
  })
}
console.log(`ext-auth: ${tally.passed} passed, ${tally.failed} failed`)
process.exit(tally.failed ? 1 : 0)
