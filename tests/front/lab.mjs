// What tests/front and tests/ext-auth share: the real proxies with their files, an upstream that says its next event when it is
// told to, and clients from an address that nobody trusts.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import https from 'node:https'
import { join } from 'node:path'
import { freePort, until } from '../fleet/stores.mjs'

export const TMP = process.argv[2]
export const BIN = process.env.FLOWGATE_BIN
export const NAME = 'chat.example.com'
export const ORIGIN = 'https://app.example.com'
// Fronts reach the gateway from 127.0.0.1, which it trusts; clients come from another address.
export const CLIENT = '127.0.0.2'
export const PATH = '/api/v1/prediction/support'
const ca = readFileSync(join(TMP, 'fullchain.pem'))
const processes = []
process.on('exit', () => processes.forEach(child => child.kill('SIGKILL')))

export const tally = { passed: 0, failed: 0 }
export async function check(what, work) {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error('nothing within 20 s')), 20000).unref())
  try {
    await Promise.race([work(), late])
    tally.passed++
    console.log(`ok      ${what}`)
  } catch (error) {
    tally.failed++
    console.log(`FAILED  ${what}\n        ${error.message.replaceAll('\n', '\n        ')}`)
  }
}
export function equal(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: ${JSON.stringify(found)} in place of ${JSON.stringify(wanted)}`)
}

export const say = (response, event, data) => response.write(`message:\ndata:${JSON.stringify({ event, data })}\n\n`)

export function start(folder, program, ...args) {
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
  'haproxy-tcp': { files: { 'haproxy-tcp.cfg': text => text }, command: folder => ['haproxy', '-db', '-f', join(folder, 'haproxy-tcp.cfg')] },
  caddy: { files: { Caddyfile: text => `{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n${text}` }, command: folder => ['caddy', 'run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'] },
  traefik: { files: { 'traefik.yaml': text => text, 'traefik-routes.yaml': text => text }, command: folder => ['traefik', `--configFile=${join(folder, 'traefik.yaml')}`] },
  envoy: { files: { 'envoy.yaml': text => text }, command: folder => ['envoy', '-c', join(folder, 'envoy.yaml'), '--disable-hot-restart', '--concurrency', '1', '-l', 'error'] },
}

// Starts a proxy with its files, in which `place` puts the ports of whatever is behind it.
export async function startFront(name, files, place) {
  const folder = mkdtempSync(join(TMP, `${name}-`))
  const port = await freePort()
  for (const [file, wrap] of Object.entries(FRONTS[name].files)) {
    const placed = place(readFileSync(join(files, file), 'utf8'))
      .replaceAll('/etc/ssl/chat/', `${TMP}/`)
      .replaceAll('/etc/traefik/', `${folder}/`)
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
  // Envoy takes its time on a busy machine.
  }, 60000).catch(error => { throw new Error(`${error.message}\n${readFileSync(join(folder, 'log'), 'utf8')}`) })
  return { port, child }
}

const agentless = { ca, servername: NAME, localAddress: CLIENT, agent: false }
export function open(port, method, path, headers = {}) {
  return https.request({ ...agentless, host: '127.0.0.1', port, method, path, headers: { host: `${NAME}:${port}`, ...headers } })
}
export function call(port, method, path, headers = {}, body = undefined) {
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
export function callByHttp2(port, headers, body) {
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

// The lines of a gateway's access log.
export function requests(folder) {
  const lines = readFileSync(join(folder, 'log'), 'utf8').split('\n').filter(text => text.endsWith('}'))
  return lines.map(text => JSON.parse(text)).filter(entry => entry.message === 'request')
}
