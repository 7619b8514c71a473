// flowgate in front of a stub of Flowise, with people of a real provider: node identity.mjs FOLDER, see run.
import { spawn } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { openSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'
import { freePort, until } from '../fleet/stores.mjs'

const [folder] = process.argv.slice(2)
const { FLOWGATE_BIN } = process.env
const here = import.meta.dirname
const ca = readFileSync(join(folder, 'cert.pem'))
const children = new Set()
process.on('exit', () => children.forEach(child => child.kill('SIGKILL')))

let passed = 0
const failed = []
function equal(what, found, wanted) {
  if (JSON.stringify(found) === JSON.stringify(wanted)) return passed++
  failed.push(what)
  console.log(`FAILED  ${what}: ${JSON.stringify(found)} in place of ${JSON.stringify(wanted)}`)
}

function start(name, program, ...args) {
  const log = openSync(join(folder, `${name}.log`), 'a')
  const child = spawn(program, args, { stdio: ['ignore', log, log] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}
const stop = child => new Promise(done => { child.once('exit', done); child.kill('SIGTERM') })

function request(client, options, body) {
  return new Promise((answer, fail) => {
    const sent = client.request({ host: '127.0.0.1', ...options }, response => {
      const parts = []
      response.on('data', part => parts.push(part))
      response.on('end', () => answer({ status: response.statusCode, headers: response.headers, text: Buffer.concat(parts).toString() }))
      response.on('error', fail)
    })
    sent.on('error', fail)
    sent.end(body)
  })
}

// The upstream: what it was asked.
const seen = []
const flowise = http.createServer((request, response) => {
  const parts = []
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    seen.push({ headers: request.headers, body: JSON.parse(Buffer.concat(parts).toString() || 'null') })
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ text: 'hello', chatId: 'c', chatMessageId: 'm' }))
  })
})
await new Promise(done => flowise.listen(0, '127.0.0.1', done))

// Three keys of three kinds for each generation.
function generation(name) {
  const jwk = (alg, pair) => ({ ...pair.privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${name}-${alg}` })
  return [
    jwk('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })),
    jwk('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })),
    jwk('Ed25519', generateKeyPairSync('ed25519')),
  ]
}
const port = await freePort()
const issuer = `https://localhost:${port}`
async function provide(...generations) {
  const keys = join(folder, 'keys.json')
  writeFileSync(keys, JSON.stringify({ keys: generations.flat() }))
  const child = start('provider', process.execPath, join(here, 'provider.mjs'), folder, String(port), keys)
  await until('the provider', async () => {
    if (child.exitCode !== null) throw new Error(readFileSync(join(folder, 'provider.log'), 'utf8'))
    return (await request(https, { port, path: '/.well-known/openid-configuration', ca, servername: 'localhost' })).status === 200
  })
  return child
}

async function token(id, { audience = 'flowgate', alg = 'RS256', ...more } = {}) {
  const form = new URLSearchParams({ grant_type: 'client_credentials', resource: `urn:${audience}:${alg}`, scope: 'chat', ...more })
  if (more.resource === '') form.delete('resource')
  const headers = { authorization: `Basic ${Buffer.from(`${id}:secret`).toString('base64')}`, 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await request(https, { port, path: '/token', method: 'POST', headers, ca, servername: 'localhost' }, form.toString())
  if (answer.status !== 200) throw new Error(`no token: ${answer.text}`)
  return JSON.parse(answer.text).access_token
}

function configure(http, admin) {
  const file = join(folder, `flowgate-${http}.yaml`)
  const hash = createHash('sha256').update('a-key-of-an-application').digest('hex')
  writeFileSync(join(folder, 'keys.yaml'), `keys:\n  - { id: app, sha256: ${hash} }\n`)
  writeFileSync(file, `
server: { listen: '127.0.0.1:${http}', workers: 1 }
admin: { listen: '127.0.0.1:${admin}' }
upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:${flowise.address().port}'], health: false } } }
plans: { large: { requests: 600/min, burst: 100 }, small: { requests: 1/hour, burst: 2 } }
auth_failures: null
chatflows: { support: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 } }
identity:
  - name: staff
    issuer: ${issuer}
    ca_file: cert.pem
    audience: [flowgate]
    chatflows: [support]
    plan_claim: tier
    vars: { userId: sub }
    require: { groups: [support-users], scope: [chat] }
`)
  return file
}

async function gateway() {
  const [http, admin] = [await freePort(), await freePort()]
  const config = configure(http, admin)
  const log = `flowgate-${http}`
  const child = start(log, FLOWGATE_BIN, 'serve', '--config', config)
  await until(`flowgate: ${log}`, async () => (await request(globalThis.plain, { port: admin, path: '/readyz' })).status === 200)
  const ask = async (bearer, question = 'hi') => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
    const answer = await request(plain, { port: http, path: '/api/v1/prediction/support', method: 'POST', headers }, JSON.stringify({ question }))
    return { ...answer, code: answer.status === 200 ? null : JSON.parse(answer.text).code }
  }
  const line = id => until(`the line of ${id}`, () => readFileSync(join(folder, `${log}.log`), 'utf8').split('\n').filter(line => line.startsWith('{')).map(JSON.parse).find(line => line.message === 'request' && line.request_id === id))
  const reason = async answer => (await line(answer.headers['x-request-id'])).reason
  return { child, config, ask, line, reason, admin }
}
globalThis.plain = http

const [first, second, third] = ['first', 'second', 'third'].map(generation)
let provider = await provide(first)
const one = await gateway()

// Every kind of key that the provider signs with.
for (const alg of ['RS256', 'ES256', 'Ed25519']) {
  const answer = await one.ask(await token('ann', { alg }))
  equal(`a token by ${alg}`, answer.status, 200)
  const line = await one.line(answer.headers['x-request-id'])
  equal(`who it is, by ${alg}`, [line.key, line.subject], ['staff', 'ann'])
}
equal('variables', seen.at(-1).body.overrideConfig.vars, { userId: 'ann' })
equal('the token stays here', seen.some(({ headers }) => JSON.stringify(headers).includes('Bearer')), false)

// Plans by claim, for each subject.
const ofBob = await token('bob')
const statuses = []
for (let count = 0; count < 3; count++) statuses.push((await one.ask(ofBob)).status)
equal('a plan by claim', statuses, [200, 200, 429])
equal('and somebody else', (await one.ask(await token('ann'))).status, 200)

// Who is not let in, and why.
for (const [what, bearer, reason] of [
  ['a token for another service', await token('ann', { audience: 'elsewhere' }), 'audience'],
  ['somebody of another group', await token('eve'), 'require'],
  ['a token that was changed', (await token('ann')).replace(/\.([^.]+)\./, (_, claims) => `.${Buffer.from(Buffer.from(claims, 'base64url').toString().replace('ann', 'eve')).toString('base64url')}.`), 'signature'],
]) {
  const answer = await one.ask(bearer)
  equal(what, [answer.status, answer.code, await one.reason(answer)], [401, 'invalid_token', reason])
}
equal('an opaque token', (await one.ask(await token('ann', { resource: '' }))).code, 'invalid_api_key')

// The provider changes its keys: it signs with new ones, and the old ones are there for a while.
const before = await token('ann')
await stop(provider)
provider = await provide(second, first)
equal('a token by a new key', (await one.ask(await token('ann'))).status, 200)
equal('a token by the old key', (await one.ask(before)).status, 200)

// The provider is down.
const during = await token('ann')
await stop(provider)
equal('a token in an outage', (await one.ask(during)).status, 200)
equal('its first sight in an outage', (await one.ask(before)).status, 200)
const two = await gateway()
const early = await two.ask(during)
equal('a gateway that starts in an outage', [early.status, early.code, early.headers['retry-after']], [503, 'identity_unavailable', '5'])

// It is back, with keys of which nobody knows. Readings are at least ten seconds apart.
provider = await provide(third)
const after = await token('ann')
await until('the gateway that began in the outage', async () => (await two.ask(after)).status === 200)
await until('the other one', async () => (await one.ask(after)).status === 200)
equal('a key that is gone', await one.reason(await one.ask(before)), 'kid')
passed += 2

const check = start('check', FLOWGATE_BIN, 'check', '--online', '--config', one.config)
await new Promise(done => check.once('exit', done))
equal('flowgate check --online', /identity\.staff: 3 keys: ok/.test(readFileSync(join(folder, 'check.log'), 'utf8')), true)
const metrics = (await request(http, { port: one.admin, path: '/metrics' })).text
equal('readings', Number(/flowgate_identity_readings_total\{identity="staff",result="read"\} (\d+)/.exec(metrics)?.[1]) <= 4, true)

for (const child of [one.child, two.child, provider]) await stop(child)
flowise.close()
console.log(`${passed} checks passed, ${failed.length} failed`)
process.exit(failed.length === 0 ? 0 : 1)
