// Each program of deploy/front in front of one gateway, before an upstream that says its next event when it is told to.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { join } from 'node:path'
import { freePort, until } from '../fleet/stores.mjs'

const TMP = process.argv[2]
const RECIPES = new URL('../../deploy/front/', import.meta.url).pathname
const BIN = process.env.FLOWGATE_BIN
const NAME = 'chat.example.com'
const ORIGIN = 'https://app.example.com'
// Fronts reach the gateway from 127.0.0.1, which it trusts; clients come from another address.
const CLIENT = '127.0.0.2'
const PATH = '/api/v1/prediction/support'
const ca = readFileSync(join(TMP, 'fullchain.pem'))
const processes = []
process.on('exit', () => processes.forEach(child => child.kill('SIGKILL')))

let failed = 0
let passed = 0
async function check(what, work) {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error('nothing within 20 s')), 20000).unref())
  try {
    await Promise.race([work(), late])
    passed++
    console.log(`ok      ${what}`)
  } catch (error) {
    failed++
    console.log(`FAILED  ${what}\n        ${error.message.replaceAll('\n', '\n        ')}`)
  }
}
function equal(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: ${JSON.stringify(found)} in place of ${JSON.stringify(wanted)}`)
}

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
const say = (response, event, data) => response.write(`message:\ndata:${JSON.stringify({ event, data })}\n\n`)

function start(folder, program, ...args) {
  const log = join(folder, 'log')
  const child = spawn('sh', ['-c', 'exec "$@" >>"$0" 2>&1', log, program, ...args], { stdio: 'ignore', cwd: folder, env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder } })
  processes.push(child)
  return child
}

// Where each file goes, and how the program is started with it. What else is changed: where programs without root may write.
const FRONTS = {
  nginx: {
    files: { 'nginx.conf': text => `daemon off; pid nginx.pid; error_log stderr; events {}\nhttp { access_log off;
      client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n${text}\n}` },
    command: folder => ['nginx', '-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'],
  },
  haproxy: { files: { 'haproxy.cfg': text => text }, command: folder => ['haproxy', '-db', '-f', join(folder, 'haproxy.cfg')] },
  caddy: { files: { Caddyfile: text => `{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n${text}` }, command: folder => ['caddy', 'run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'] },
  traefik: { files: { 'traefik.yaml': text => text, 'traefik-routes.yaml': text => text }, command: folder => ['traefik', `--configFile=${join(folder, 'traefik.yaml')}`] },
  envoy: { files: { 'envoy.yaml': text => text }, command: folder => ['envoy', '-c', join(folder, 'envoy.yaml'), '--disable-hot-restart', '--concurrency', '1', '-l', 'error'] },
}

async function startFront(name, gateway) {
  const folder = join(TMP, name)
  mkdirSync(folder)
  const port = await freePort()
  for (const [file, wrap] of Object.entries(FRONTS[name].files)) {
    const text = readFileSync(join(RECIPES, file), 'utf8')
    const placed = text
      .replaceAll('/etc/ssl/chat/', `${TMP}/`)
      .replaceAll('/etc/traefik/', `${folder}/`)
      .replaceAll(/127\.0\.0\.1:8080(?!,)/g, `127.0.0.1:${gateway}`)
      .replaceAll('port_value: 8080', `port_value: ${gateway}`)
      .replaceAll('port_value: 443', `port_value: ${port}`)
      .replaceAll('listen 443', `listen ${port}`)
      .replaceAll('bind :443', `bind :${port}`)
      .replaceAll('":443"', `":${port}"`)
      .replaceAll(/^chat\.example\.com \{/gm, `${NAME}:${port} {`)
    writeFileSync(join(folder, file), wrap(placed))
  }
  const child = start(folder, ...FRONTS[name].command(folder))
  await until(`${name}: ${readFileSync(join(folder, 'log'), { encoding: 'utf8', flag: 'a+' })}`, async () => {
    if (child.exitCode !== null) throw new Error('it ended')
    return (await call(port, 'GET', '/api/v1/ping')).text === 'pong'
  }).catch(error => { throw new Error(`${error.message}\n${readFileSync(join(folder, 'log'), 'utf8')}`) })
  return { port, child }
}

const agentless = { ca, servername: NAME, localAddress: CLIENT, agent: false }
function open(port, method, path, headers = {}) {
  return https.request({ ...agentless, host: '127.0.0.1', port, method, path, headers: { host: `${NAME}:${port}`, ...headers } })
}
function call(port, method, path, headers = {}, body = undefined) {
  return new Promise((done, fail) => {
    const request = open(port, method, path, headers)
    request.on('error', fail).on('response', response => {
      let text = ''
      response.on('data', data => { text += data }).on('error', fail)
        .on('end', () => done({ status: response.statusCode, headers: response.headers, text }))
    })
    request.end(body)
  })
}
function callByHttp2(port, headers, body) {
  return new Promise((done, fail) => {
    const session = http2.connect(`https://${NAME}:${port}`, { ca, localAddress: CLIENT, host: '127.0.0.1', lookup: (_, options, found) => found(null, options.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4) })
    session.on('error', fail)
    const stream = session.request({ ':method': 'POST', ':path': PATH, ...headers })
    let status
    let text = ''
    stream.on('response', head => { status = head[':status'] }).on('data', data => { text += data }).on('error', fail)
      .on('end', () => { session.close(); done({ status, text }) })
    stream.end(body)
  })
}

async function tries(name, gateway, key, log) {
  const front = await startFront(name, gateway)
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
  await check(`${name}: a stream's events arrive one by one`, async () => {
    const request = open(port, 'POST', PATH, headers)
    request.end('{"question":"hi","streaming":true}')
    const source = await until('the upstream', () => waiting.shift())
    let text = ''
    let ended = false
    request.on('response', response => response.on('data', data => { text += data }).on('end', () => { ended = true }))
    // Only when one has arrived is the next one said.
    for (const word of ['one', 'two', 'three']) {
      say(source, 'token', word)
      await until(`event ${word}`, () => text.includes(`"${word}"`))
    }
    say(source, 'end', '[DONE]')
    source.end()
    await until('the end', () => ended)
  })
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

await new Promise(done => upstream.listen(0, '127.0.0.1', done))
const gateway = await freePort()
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
start(folder, BIN, 'serve', '--config', join(folder, 'flowgate.yaml'))
await until('the gateway', () => fetch(`http://127.0.0.1:${gateway}/api/v1/ping`).then(answer => answer.ok))
const log = () => readFileSync(join(folder, 'log'), 'utf8').split('\n').filter(text => text.endsWith('}')).map(text => JSON.parse(text)).filter(entry => entry.message === 'request')

for (const name of (process.env.ONLY ?? Object.keys(FRONTS).join(' ')).split(' ')) {
  await tries(name, gateway, key, log).catch(error => { failed++; console.log(`FAILED  ${name}: ${error.message}`) })
}
console.log(`front: ${passed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
