// Stores to break: a server alone, a primary with a replica and Sentinel, a Cluster of three. Each server has a port and a
// folder of its own; the gateways reach a server that stands alone through a proxy each, which can be slow or closed.
import { spawn, execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { freePort } from '../harness/ports.mjs'

export { freePort }

export const pause = ms => new Promise(done => setTimeout(done, ms))
const SERVER = process.env.FLEET_STORE ?? ['redis-server', 'valkey-server'].find(name => {
  try { execFileSync('sh', ['-c', `command -v ${name}`]); return true } catch { return false }
})

export async function until(what, condition, patience = 20000) {
  const end = Date.now() + patience
  for (;;) {
    const found = await Promise.resolve().then(condition).catch(() => undefined)
    if (found) return found
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await pause(20)
  }
}

// One command, by RESP; the answer as text, an error as one.
export function command(port, ...words) {
  return new Promise((done, fail) => {
    const socket = net.connect(port, '127.0.0.1')
    let text = ''
    socket.setTimeout(3000, () => socket.destroy(new Error('no answer')))
    socket.on('connect', () => socket.write(`*${words.length}\r\n` + words.map(word => `$${Buffer.byteLength(`${word}`)}\r\n${word}\r\n`).join('')))
    socket.on('data', data => {
      text += data
      const whole = text[0] !== '$' ? text.includes('\r\n') : (() => {
        const [head, ...rest] = text.split('\r\n')
        return head === '$-1' || Buffer.byteLength(rest.join('\r\n')) >= Number(head.slice(1)) + 2
      })()
      if (!whole) return
      socket.end()
      text[0] === '-' ? fail(new Error(text.slice(1).trim())) : done(text[0] === '$' ? text.split('\r\n').slice(1).join('\r\n').trim() : text.slice(1).trim())
    })
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('closed')))
  })
}

export class Server {
  constructor(folder, port, settings = []) {
    Object.assign(this, { folder, port, settings, env: process.env })
    mkdirSync(folder, { recursive: true })
  }

  // From now on its clock can be set; without a C compiler it cannot.
  giveClock() {
    const [clock, library] = [join(this.folder, 'clock'), join(this.folder, 'clock.so')]
    try {
      execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', library, join(dirname(fileURLToPath(import.meta.url)), 'clock.c')], { stdio: 'ignore' })
    } catch { return }
    this.clock = clock
    this.setClock(0)
    this.env = { ...process.env, LD_PRELOAD: library, FLEET_CLOCK: clock }
  }

  setClock(secondsAhead) {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(secondsAhead))
    writeFileSync(this.clock, bytes, { flag: this.process ? 'r+' : 'w' })
  }

  async start() {
    this.process = spawn(SERVER, ['--port', this.port, '--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--appendonly', 'yes',
      '--appendfsync', 'always', '--daemonize', 'no', '--logfile', join(this.folder, 'log'), ...this.settings].map(String), { stdio: 'ignore', env: this.env })
    this.process.on('exit', () => { this.process = undefined })
    await until(`a server on ${this.port}`, async () => (await command(this.port, 'PING')) === 'PONG')
  }

  signal(name) { this.process?.kill(name) }

  async kill() {
    const { process: gone } = this
    if (!gone) return
    gone.kill('SIGKILL')
    await until('its end', () => !this.process)
  }

  forget() { rmSync(join(this.folder, 'appendonlydir'), { recursive: true, force: true }) }
  ask(...words) { return command(this.port, ...words) }
}

// What stands between a gateway and the store.
export class Proxy {
  constructor(target) { Object.assign(this, { target, mode: 'open', delay: 0, sockets: new Set() }) }

  async start() {
    this.server = net.createServer(client => {
      if (this.mode === 'refuse') return client.destroy()
      const upstream = net.connect(this.target, '127.0.0.1')
      const pass = (from, to) => from.on('data', data => {
        if (this.mode === 'silent') return
        this.delay ? setTimeout(() => to.writable && to.write(data), this.delay) : to.write(data)
      })
      pass(client, upstream)
      pass(upstream, client)
      for (const [one, other] of [[client, upstream], [upstream, client]]) {
        this.sockets.add(one)
        one.setNoDelay(true)
        // What closes on one side of a network that is silent, the other does not hear of.
        one.on('error', () => {}).on('close', () => { this.sockets.delete(one); if (this.mode !== 'silent') other.destroy() })
      }
    })
    await new Promise(done => this.server.listen(0, '127.0.0.1', done))
    this.port = this.server.address().port
    return this
  }

  cut() { for (const socket of this.sockets) socket.destroy() }
  set(mode, delay = 0) { Object.assign(this, { mode, delay }); if (mode === 'refuse') this.cut() }
  stop() { this.cut(); this.server.close() }
}

export async function single(root, replicas) {
  const server = new Server(join(root, 'single'), await freePort())
  server.giveClock()
  await server.start()
  const proxies = await Promise.all(Array.from({ length: replicas + 1 }, () => new Proxy(server.port).start()))
  return {
    name: 'single', server, servers: [server], proxies,
    settings: number => `{ urls: ['redis://127.0.0.1:${proxies[number].port}/0'] }`,
    async stop() { proxies.forEach(proxy => proxy.stop()); await server.kill() },
  }
}

export async function sentinel(root) {
  const [primary, replica] = [new Server(join(root, 'primary'), await freePort()), new Server(join(root, 'replica'), await freePort())]
  await primary.start()
  replica.settings = ['--replicaof', '127.0.0.1', primary.port]
  await replica.start()
  const port = await freePort()
  const folder = join(root, 'sentinel')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'sentinel.conf'), `port ${port}\nbind 127.0.0.1\ndir ${folder}\nsentinel monitor flowgate 127.0.0.1 ${primary.port} 1\n` +
    'sentinel down-after-milliseconds flowgate 500\nsentinel failover-timeout flowgate 3000\n')
  const watcher = spawn(SERVER, [join(folder, 'sentinel.conf'), '--sentinel', '--logfile', join(folder, 'log')], { stdio: 'ignore' })
  await until('a sentinel that knows both', async () => {
    const known = await command(port, 'INFO', 'sentinel')
    return /status=ok,address=[^,]*,slaves=1/.test(known)
  })
  const servers = [primary, replica]
  return {
    name: 'sentinel', servers, port,
    // One that comes back after it was replaced believes for seconds that it still is.
    async primary() { const at = (await command(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'flowgate')).split('\r\n').at(-1); return servers.find(one => one.port === Number(at)) },
    // Whoever has been replaced follows the new one.
    async follow(server) { const now = await this.primary(); if (now !== server) await server.ask('REPLICAOF', '127.0.0.1', now.port) },
    settings: () => `{ urls: ['redis://127.0.0.1:${port}'], mode: sentinel, master_name: flowgate }`,
    async stop() { watcher.kill('SIGKILL'); for (const one of servers) await one.kill() },
  }
}

export async function cluster(root) {
  const servers = []
  for (let number = 0; number < 3; number++) {
    // Its bus is 10,000 above.
    servers.push(new Server(join(root, `cluster${number}`), await freePort(), ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000', '--cluster-require-full-coverage', 'no']))
  }
  for (const server of servers) await server.start()
  const share = Math.ceil(16384 / servers.length)
  for (const [number, server] of servers.entries()) {
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', number * share, Math.min(16383, (number + 1) * share - 1))
    await servers[0].ask('CLUSTER', 'MEET', '127.0.0.1', server.port)
  }
  await until('a cluster', async () => (await Promise.all(servers.map(server => server.ask('CLUSTER', 'INFO')))).every(info => /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info)))
  return {
    name: 'cluster', servers,
    settings: () => `{ urls: [${servers.map(server => `'redis://127.0.0.1:${server.port}'`)}], mode: cluster }`,
    async stop() { for (const server of servers) await server.kill() },
  }
}
