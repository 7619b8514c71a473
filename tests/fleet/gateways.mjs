// Gateways on one store, and a load with known limits on them.
import { spawn, execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { flows, speak } from './chats.mjs'
import { freePort, pause, until } from './stores.mjs'

const BIN = process.env.FLOWGATE_BIN
const FLOW = '9d2b4ae3-1f5e-4c00-9000-000000000000'
export const RATE = 200
// As much as half a second gives: a load that is held up for a moment loses nothing.
export const BURST = 100
export const QUOTA = 3000

export async function upstream() {
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', data => { body += data }).on('end', () => {
      if (request.url.endsWith('/chat/completions')) return speak(body, response)
      if (body.includes('"streaming"')) {
        // One that says something now and then, and never ends.
        response.setHeader('content-type', 'text/event-stream')
        const say = () => response.write('message:\ndata:{"event":"token","data":"a"}\n\n')
        say()
        const saying = setInterval(say, 100)
        return response.on('close', () => clearInterval(saying))
      }
      response.setHeader('content-type', 'application/json')
      response.end('{"text":"fine"}')
    })
  })
  await new Promise(done => server.listen(0, '127.0.0.1', done))
  return server
}

export function makeKeys(folder) {
  const file = join(folder, 'keys.yaml')
  const make = (id, plan) => execFileSync(BIN, ['keys', 'create', '--file', file, '--id', id, '--plan', plan], { stdio: ['ignore', 'pipe', 'ignore'] })
    .toString().trim().split(/\s+/).pop()
  const rated = make('rated', 'rated')
  const bounded = Array.from({ length: 4 }, (_, number) => make(`bounded${number}`, 'bounded'))
  return { file, rated, bounded, chats: make('chats', 'chats') }
}

export class Gateway {
  constructor(root, number, store, keys, flowise) {
    Object.assign(this, { number, folder: join(root, `gateway${number}`), store, keys, flowise, agent: new http.Agent({ keepAlive: true, maxSockets: 16 }) })
    mkdirSync(this.folder, { recursive: true })
  }

  async start() {
    this.port ??= await freePort()
    this.admin ??= await freePort()
    const engine = flows(this.folder, this.flowise)
    writeFileSync(join(this.folder, 'flowgate.yaml'), `
server: { listen: '127.0.0.1:${this.port}', workers: 1, shutdown_grace: 1s }
admin: { listen: '127.0.0.1:${this.admin}' }
log: { access: false }
upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:${this.flowise}'] } }, ${engine.upstream} }
keys_file: ${this.keys.file}
state: { dir: '${join(this.folder, 'state')}', valkey: ${this.store.settings(this.number)} }
plans:
  default: { requests: 60/min, burst: 10 }
  rated: { requests: ${RATE}/s, burst: ${BURST}, concurrent: 64, wait: 0s }
  chats: { requests: 100000/s, burst: 100000, concurrent: 64, wait: 0s }
  bounded: { requests: 100000/s, burst: 100000, concurrent: 64, wait: 0s, quota: ${QUOTA}/day }
chatflows: { support: { upstream: flowise, id: ${FLOW} }, ${engine.chatflows} }
`)
    const log = join(this.folder, 'log')
    this.process = spawn('sh', ['-c', `exec "${BIN}" serve --config "${join(this.folder, 'flowgate.yaml')}" >>"${log}" 2>&1`], { stdio: 'ignore' })
    this.process.on('exit', () => { this.process = undefined })
    await until(`gateway ${this.number}: ${log}`, () => fetch(`http://127.0.0.1:${this.admin}/readyz`).then(answer => answer.ok))
    this.isServing = true
  }

  signal(name) { this.process?.kill(name) }
  async kill(signal = 'SIGKILL') {
    if (!this.process) return
    this.isServing = false
    this.process.kill(signal)
    await until('its end', () => !this.process)
  }

  ready() { return fetch(`http://127.0.0.1:${this.admin}/readyz`).then(async answer => ({ status: answer.status, text: await answer.text() })) }
  metrics() { return fetch(`http://127.0.0.1:${this.admin}/metrics`).then(answer => answer.text()) }
  log() { return readFileSync(join(this.folder, 'log'), 'utf8') }

  // Begins streams that end only with the gateway, once each has said something.
  streams(key, many, counted) {
    const begin = () => new Promise(done => {
      const body = '{"question":"hi","streaming":true}'
      const request = http.request({
        port: this.port, host: '127.0.0.1', path: '/api/v1/prediction/support', method: 'POST', agent: false,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': body.length },
      }, answer => {
        answer.on('error', () => {}).once('data', () => { counted(answer.statusCode, 0); done(answer.statusCode) }).on('end', () => done(0))
      })
      request.on('error', () => done(0))
      request.end(body)
    })
    const until200 = async () => { for (let tries = 0; tries < 100 && await begin() !== 200; tries++) await pause(10) }
    return Promise.all(Array.from({ length: many }, until200))
  }

  // The answer's status, and how long it took in ms; 0: nobody answered.
  ask(key) {
    const begun = performance.now()
    return new Promise(done => {
      const end = status => done({ status, took: performance.now() - begun })
      const request = http.request({
        port: this.port, host: '127.0.0.1', path: '/api/v1/prediction/support', method: 'POST', agent: this.agent, timeout: 5000,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': 17 },
      }, answer => answer.resume().on('end', () => end(answer.statusCode)).on('error', () => end(0)))
      request.on('error', () => end(0)).on('timeout', () => { request.destroy(); end(-1) })
      request.end('{"question":"hi"}')
    })
  }
}

// Offers more than the limit to all gateways for so long; each caller asks again as soon as it is answered, a refused one
// after a moment.
export async function load(gateways, key, seconds, counted) {
  const end = performance.now() + seconds * 1000
  const caller = async gateway => {
    while (performance.now() < end) {
      if (!gateway.isServing) { await new Promise(done => setTimeout(done, 20)); continue }
      const { status, took } = await gateway.ask(key)
      counted(status, took, gateway)
      if (status !== 200) await new Promise(done => setTimeout(done, 5 + Math.random() * 10))
    }
  }
  await Promise.all(gateways.flatMap(gateway => Array.from({ length: 4 }, () => caller(gateway))))
}
