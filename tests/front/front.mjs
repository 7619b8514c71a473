// Each program of deploy/front in front of one gateway.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { freePort, until } from '../fleet/stores.mjs'
import { BIN, CLIENT, NAME, ORIGIN, PATH, TMP, call, callByHttp2, check, equal, open, requests, say, start, startFront, tally } from './lab.mjs'

const RECIPES = new URL('../../deploy/front/', import.meta.url).pathname
const FRONTS_TCP = !process.env.ONLY || process.env.ONLY.includes('haproxy') ? ['send-proxy', 'send-proxy-v2'] : []
const FRONTS = ['nginx', 'haproxy', 'caddy', 'traefik', 'envoy']

// Streams that wait for the word to go on.
const waiting = []
const upstream = http.createServer((request, response) => {
  let body = ''
  request.on('data', data => { body += data }).on('end', () => {
    if (!body.includes('"streaming":true')) {
      response.setHeader('content-type', 'application/json')
      return response.end(JSON.stringify({ text: 'fine', bytes: body.length, from: request.headers['x-forwarded-for'], proto: request.headers['x-forwarded-proto'] }))
    }
    response.setHeader('content-type', 'text/event-stream')
    response.flushHeaders()
    waiting.push(response)
  })
})

async function streams(port, headers) {
  const request = open(port, 'POST', PATH, headers)
  let text = ''
  let ended = false
  request.on('response', response => response.on('data', data => { text += data }).on('end', () => { ended = true }))
  request.end('{"question":"hi","streaming":true}')
  const source = await until('the upstream', () => waiting.shift())
  // Only when one has arrived is the next one said.
  for (const word of ['one', 'two', 'three']) {
    say(source, 'token', word)
    await until(`event ${word}`, () => text.includes(`"${word}"`))
  }
  say(source, 'end', '[DONE]')
  source.end()
  await until('the end', () => ended)
}

async function tries(name, gateway, key, log) {
  const front = await startFront(name, RECIPES, text => text
    .replaceAll(/127\.0\.0\.1:8080(?!,)/g, `127.0.0.1:${gateway}`)
    .replaceAll('port_value: 8080', `port_value: ${gateway}`))
  const { port } = front
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const line = async (what, wanted) => until(what, () => log().find(wanted))

  await check(`${name}: JSON over HTTP/1.1, and what the client says of its address is not believed`, async () => {
    const answer = await call(port, 'POST', PATH, { ...headers, 'x-request-id': `${name}-json-1`, 'x-forwarded-for': '203.0.113.9' }, '{"question":"hi"}')
    equal('status', answer.status, 200)
    const { text, from, proto } = JSON.parse(answer.text)
    equal('answer', text, 'fine')
    equal('what Flowise is told', from, CLIENT)
    equal('scheme', proto, 'https')
    const id = answer.headers['x-request-id']
    const entry = await line('a line of the log', entry => entry.request_id === id)
    equal('client in the access log', entry.client, CLIENT)
  })
  await check(`${name}: JSON over HTTP/2`, async () => {
    const answer = await callByHttp2(port, headers, '{"question":"hi"}')
    equal('status', answer.status, 200)
    equal('answer', JSON.parse(answer.text).text, 'fine')
  })
  await check(`${name}: a stream's events arrive one by one`, () => streams(port, headers))
  await check(`${name}: a client that leaves ends its stream`, async () => {
    const request = open(port, 'POST', PATH, headers)
    request.on('error', () => {})
    request.end('{"question":"hi","streaming":true}')
    const source = await until('the upstream', () => waiting.shift())
    let seen = false
    request.on('response', response => response.on('data', () => { seen = true }).on('error', () => {}))
    say(source, 'token', 'one')
    await until('the event', () => seen)
    const left = log().filter(entry => entry.end === 'client_gone').length
    request.destroy()
    await until('client_gone in the log', () => {
      // HAProxy sees that a client has left when it writes to it.
      if (name === 'haproxy') say(source, 'token', 'more')
      return log().filter(entry => entry.end === 'client_gone').length > left
    })
    await until('the end of the upstream call', () => source.destroyed || source.socket?.destroyed)
  })
  await check(`${name}: a preflight`, async () => {
    const answer = await call(port, 'OPTIONS', PATH, { origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type,x-api-key' })
    equal('status', answer.status, 204)
    equal('origin', answer.headers['access-control-allow-origin'], ORIGIN)
    const other = await call(port, 'OPTIONS', PATH, { origin: 'https://other.example', 'access-control-request-method': 'POST' })
    equal('another origin', other.headers['access-control-allow-origin'], undefined)
  })
  await check(`${name}: an upload of 3 MiB passes`, async () => {
    const part = `--cut\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n${'words '.repeat(512 * 1024)}\r\n--cut--\r\n`
    const answer = await call(port, 'POST', '/api/v1/prediction/raw', { ...headers, 'content-type': 'multipart/form-data; boundary=cut' }, part)
    equal('status', answer.status, 200)
    equal('bytes', JSON.parse(answer.text).bytes, part.length)
  })
  await check(`${name}: what is not routed is the gateway's 404`, async () => {
    const answer = await call(port, 'GET', '/api/v1/chatflows')
    equal('status', answer.status, 404)
    equal('code', JSON.parse(answer.text).code, 'not_found')
  })
  front.child.kill('SIGKILL')
}

// TCP passed on by HAProxy, which says for whom by the PROXY protocol; TLS ends at the gateway.
async function triesTcp(send, gateway, key, log) {
  const front = await startFront('haproxy-tcp', RECIPES, text => text.replaceAll('127.0.0.1:8443', `127.0.0.1:${gateway}`).replaceAll('send-proxy-v2 ', `${send} `))
  const headers = { 'x-api-key': key, 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.9' }
  await check(`haproxy, ${send}: the client's address over HTTP/1.1 and HTTP/2`, async () => {
    const answer = await call(front.port, 'POST', PATH, headers, '{"question":"hi"}')
    equal('status', answer.status, 200)
    equal('what Flowise is told', JSON.parse(answer.text).from, CLIENT)
    const entry = await until('a line of the log', () => log().find(entry => entry.request_id === answer.headers['x-request-id']))
    equal('client in the access log', entry.client, CLIENT)
    const second = await callByHttp2(front.port, headers, '{"question":"hi"}')
    equal('what Flowise is told', JSON.parse(second.text).from, CLIENT)
  })
  await check(`haproxy, ${send}: a stream's events arrive one by one`, () => streams(front.port, headers))
  front.child.kill('SIGKILL')
}

await new Promise(done => upstream.listen(0, '127.0.0.1', done))
const [gateway, tcp] = [await freePort(), await freePort()]
const folder = join(TMP, 'gateway')
mkdirSync(folder)
const key = execFileSync(BIN, ['keys', 'create', '--file', join(folder, 'keys.yaml'), '--id', 'app'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim()
writeFileSync(join(folder, 'flowgate.yaml'), `
server: { listen: '127.0.0.1:${gateway}', trusted_proxies: [127.0.0.1] }
admin: { listen: '127.0.0.1:${await freePort()}' }
upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:${upstream.address().port}'], health: false } } }
plans: { default: { requests: 1000/s, burst: 1000 } }
chatflows:
  support: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000, allowed_origins: ['${ORIGIN}'] }
  raw: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000001, body: passthrough }
`)
const settings = readFileSync(join(folder, 'flowgate.yaml'), 'utf8')
// Another one, of which TLS is the only listener.
writeFileSync(join(folder, 'tcp.yaml'), settings
  .replace(/listen: '[^']*', trusted/, `listen: null, tls: { listen: '127.0.0.1:${tcp}', cert_file: ${TMP}/fullchain.pem, key_file: ${TMP}/key.pem }, proxy_protocol: any, trusted`)
  .replace(/admin: .*/, `admin: { listen: '127.0.0.1:${await freePort()}' }`))
start(folder, BIN, 'serve', '--config', join(folder, 'flowgate.yaml'))
start(folder, BIN, 'serve', '--config', join(folder, 'tcp.yaml'))
await until('the gateway', () => fetch(`http://127.0.0.1:${gateway}/api/v1/ping`).then(answer => answer.ok))
const log = () => requests(folder)

for (const name of (process.env.ONLY ?? FRONTS.join(' ')).split(' ')) {
  await tries(name, gateway, key, log).catch(error => { tally.failed++; console.log(`FAILED  ${name}: ${error.message}`) })
}
for (const send of FRONTS_TCP) {
  await triesTcp(send, tcp, key, log).catch(error => { tally.failed++; console.log(`FAILED  haproxy, ${send}: ${error.message}`) })
}
console.log(`front: ${tally.passed} passed, ${tally.failed} failed`)
process.exit(tally.failed ? 1 : 0)
