// What the shared store costs: CPU of the gateway per request of a busy key, without a store and with one, and how often it
// asks the store. Needs FLOWGATE_BIN (a release build), Node 20 and redis-server (or valkey-server).
//   FLOWGATE_BIN=target/release/flowgate node tests/perf/store.mjs [ROUNDS [REQUESTS]]
//   BASE_BIN=another   a third side, without a store: did anything change for those who have none?
//   PIN=1   gateways on core 0, all else on core 1: rounds then differ by a µs in place of seven
// Rounds are interleaved, each side in turn and in a rotated order; CPU is the scheduler's run time of all threads.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server, freePort, until } from '../fleet/stores.mjs'

const [ROUNDS, REQUESTS] = [Number(process.argv[2] ?? 9), Number(process.argv[3] ?? 20000)]
const CONNECTIONS = 32
// All threads of this process, and what it starts but for gateways.
if (process.env.PIN) execFileSync('taskset', ['-acp', '1', `${process.pid}`])
const root = mkdtempSync(join(tmpdir(), 'store-perf-'))
const upstream = http.createServer((request, response) => {
  request.resume().on('end', () => { response.setHeader('content-type', 'application/json'); response.end('{"text":"fine"}') })
})
await new Promise(done => upstream.listen(0, '127.0.0.1', done))
const store = new Server(join(root, 'store'), await freePort())
await store.start()

class Side {
  constructor(name, program, state) { Object.assign(this, { name, program, state, cpu: [], store: [], asked: [] }) }

  async start() {
    const folder = join(root, this.name.replaceAll(' ', '-'))
    mkdirSync(folder)
    const keys = join(folder, 'keys.yaml')
    this.key = execFileSync(this.program, ['keys', 'create', '--file', keys, '--id', 'busy'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim().split(/\s+/).pop()
    Object.assign(this, { port: await freePort(), admin: await freePort() })
    writeFileSync(join(folder, 'flowgate.yaml'), `
server: { listen: '127.0.0.1:${this.port}', workers: 1 }
admin: { listen: '127.0.0.1:${this.admin}' }
log: { access: false }
upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:${upstream.address().port}'] } } }
keys_file: ${keys}
${this.state}
plans: { default: { requests: 1000000/s, burst: 1000000, concurrent: 10000 } }
chatflows: { support: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 } }
`)
    const line = [...process.env.PIN ? ['taskset', '-c', '0'] : [], this.program, 'serve', '--config', join(folder, 'flowgate.yaml')]
    this.process = spawn(line[0], line.slice(1), { stdio: 'ignore' })
    await until(this.name, () => fetch(`http://127.0.0.1:${this.admin}/readyz`).then(answer => answer.ok))
    await this.load(REQUESTS / 4)
  }

  // Nanoseconds that its threads have run: the store's, and all others.
  ran() {
    const tasks = `/proc/${this.process.pid}/task`
    const ran = { store: 0, others: 0 }
    for (const task of readdirSync(tasks)) {
      const name = readFileSync(`${tasks}/${task}/comm`, 'utf8').trim()
      ran[name === 'store' ? 'store' : 'others'] += Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0])
    }
    return ran
  }

  async trips() {
    const text = await fetch(`http://127.0.0.1:${this.admin}/metrics`).then(answer => answer.text())
    return [...text.matchAll(/^flowgate_state_seconds_count\{.*\} (\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  // So many requests, over connections that each ask again once they are answered.
  load(requests) {
    const body = '{"question":"hi"}'
    const request = `POST /api/v1/prediction/support HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${this.key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    let left = requests
    const one = () => new Promise((done, fail) => {
      const socket = net.connect(this.port, '127.0.0.1')
      let text = ''
      const ask = () => { if (left-- > 0) socket.write(request); else { socket.destroy(); done() } }
      socket.setNoDelay(true).on('connect', ask).on('error', fail)
      socket.on('data', data => {
        text += data
        if (!text.endsWith('{"text":"fine"}')) return
        if (!text.startsWith('HTTP/1.1 200')) return fail(new Error(text))
        text = ''
        ask()
      })
    })
    return Promise.all(Array.from({ length: CONNECTIONS }, one))
  }

  async measure() {
    const [ran, trips] = [this.ran(), await this.trips()]
    await this.load(REQUESTS)
    const now = this.ran()
    this.store.push((now.store - ran.store) / REQUESTS / 1000)
    this.cpu.push((now.store + now.others - ran.store - ran.others) / REQUESTS / 1000)
    this.asked.push((await this.trips() - trips) / REQUESTS)
  }
}

const shared = `state: { valkey: { urls: ['redis://127.0.0.1:${store.port}/0'] } }`
const sides = [new Side('without', process.env.FLOWGATE_BIN, ''), new Side('with', process.env.FLOWGATE_BIN, shared)]
if (process.env.BASE_BIN) sides.push(new Side('base', process.env.BASE_BIN, ''))
for (const side of sides) await side.start()
for (let round = 0; round < ROUNDS; round++) {
  for (let number = 0; number < sides.length; number++) await sides[(round + number) % sides.length].measure()
}
const part = (list, share) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) * share)]
const median = list => part(list, 0.5)
const [plain] = sides
for (const side of sides) {
  const each = side.cpu.map((cpu, round) => cpu - plain.cpu[round])
  const [low, more, high] = [0.25, 0.5, 0.75].map(share => part(each, share))
  const trips = median(side.asked)
  console.log(`${side.name.padEnd(8)} ${median(side.cpu).toFixed(2)} µs CPU a request, ${more >= 0 ? '+' : ''}${more.toFixed(2)} µs (half of the rounds: ${low.toFixed(2)} to ${high.toFixed(2)})` +
    (trips ? `, of which the store's thread ${median(side.store).toFixed(2)} µs; asks the store once in ${Math.round(1 / trips)} requests` : ''))
}
for (const side of sides) side.process.kill('SIGKILL')
await store.kill()
upstream.close()
upstream.closeAllConnections()
rmSync(root, { recursive: true, force: true })
process.exit(0)
