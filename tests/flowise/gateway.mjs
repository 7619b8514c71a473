// Starts flowgate processes with a configuration made for the lab, and a TCP tap that shows what Flowise is sent.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'

import { freePort } from '../harness/ports.mjs'

export { freePort }

const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

// Passes bytes both ways untouched and keeps what went to the target.
export class Tap {
  static async start(target) {
    const { hostname, port } = new URL(target)
    const tap = new Tap()
    tap.text = ''
    tap.server = net.createServer((client) => {
      const upstream = net.connect({ host: hostname, port: Number(port) })
      client.on('data', (b) => { tap.text += b.toString('utf8') })
      client.pipe(upstream)
      upstream.pipe(client)
      for (const [a, b] of [[client, upstream], [upstream, client]]) a.on('close', () => b.destroy()).on('error', () => b.destroy())
    })
    await new Promise((resolve, reject) => tap.server.on('error', reject).listen(0, '127.0.0.1', resolve))
    tap.server.unref()
    tap.url = `http://127.0.0.1:${tap.server.address().port}`
    return tap
  }

  // What Flowise is sent while `during` runs, and a little later. Waits first until nothing of an earlier call is on
  // its way, such as the abort of a chat whose client has gone.
  async seen(during) {
    for (let before = null; before !== this.text; ) {
      before = this.text
      await sleep(100)
    }
    this.text = ''
    const value = await during()
    await sleep(100)
    return { value, text: this.text }
  }
}

export class Gateway {
  // config: what stands beside `server`, `admin` and `log` in the configuration file; secrets: key id -> [the secret,
  // fields of its entry in the keys file].
  static async start({ bin, dir, config, secrets, server = {}, pids }) {
    const gateway = new Gateway()
    fs.mkdirSync(dir, { recursive: true })
    const [port, admin] = [await freePort(), await freePort()]
    gateway.url = `http://127.0.0.1:${port}`
    gateway.admin = `http://127.0.0.1:${admin}`
    gateway.config = path.join(dir, 'flowgate.yaml')
    gateway.output = ''
    const settings = {
      server: { listen: `127.0.0.1:${port}`, shutdown_grace: '5s', ...server },
      admin: { listen: `127.0.0.1:${admin}` },
      log: { level: 'debug', format: 'json', access: true },
      keys_file: 'keys.yaml',
      ...config
    }
    // JSON is YAML.
    fs.writeFileSync(gateway.config, JSON.stringify(settings, null, 2))
    const keys = Object.entries(secrets).map(([id, [secret, fields]]) => ({ id, sha256: sha256(secret), ...fields }))
    fs.writeFileSync(path.join(dir, 'keys.yaml'), JSON.stringify({ keys }, null, 2))
    return gateway.run({ bin, dir, port, pids })
  }

  // A folder as `adopt` has written it, on free ports.
  static async adopted({ bin, dir, pids }) {
    const gateway = new Gateway()
    const [port, admin] = [await freePort(), await freePort()]
    gateway.url = `http://127.0.0.1:${port}`
    gateway.admin = `http://127.0.0.1:${admin}`
    gateway.config = path.join(dir, 'flowgate.yaml')
    gateway.output = ''
    const settings = { server: { listen: `127.0.0.1:${port}`, shutdown_grace: '5s' }, admin: { listen: `127.0.0.1:${admin}` } }
    const own = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    // One visitor asks as much as a crowd.
    const plenty = 'plans:\n  anonymous: { requests: 60000/min, burst: 1000 }\n  default: { requests: 60000/min, burst: 1000 }\n'
    const text = fs.readFileSync(gateway.config, 'utf8')
    const opened = /^plans:\n/m.test(text) ? text.replace(/^plans:\n/m, plenty) : plenty + text
    fs.writeFileSync(gateway.config, own.join('') + opened)
    return gateway.run({ bin, dir, port, pids })
  }

  async run({ bin, dir, port, pids }) {
    const gateway = this
    gateway.child = spawn(bin, ['serve', '--config', gateway.config], { stdio: ['ignore', 'pipe', 'pipe'] })
    fs.appendFileSync(pids, `${gateway.child.pid}\n`)
    const log = fs.createWriteStream(path.join(dir, 'output.log'))
    for (const stream of [gateway.child.stdout, gateway.child.stderr])
      stream.on('data', (b) => {
        gateway.output += b
        log.write(b)
      })
    gateway.ended = new Promise((resolve) => gateway.child.on('exit', (code, signal) => resolve({ code, signal })))
    gateway.ended.then(() => { gateway.over = true })
    await gateway.listening(port)
    return gateway
  }

  // What the rules have refused so far: rule -> count.
  async refused() {
    const text = await (await fetch(`${this.admin}/metrics`)).text()
    return Object.fromEntries([...text.matchAll(/^flowgate_rejected_total\{rule="([^"]+)"\} (\d+)/gm)].map(([, rule, n]) => [rule, Number(n)]))
  }

  async listening(port) {
    for (const end = Date.now() + 15000; Date.now() < end; await sleep(20)) {
      if (this.over) break
      if (this.output.split('\n').slice(0, -1).some((line) => line.includes(`127.0.0.1:${port}`))) return
    }
    this.child.kill('SIGKILL')
    throw new Error(`the gateway named no listener on port ${port}:\n${this.output}`)
  }

  // SIGTERM, and SIGKILL for one that does not end.
  async stop() {
    if (this.over) return this.ended
    this.child.kill('SIGTERM')
    const late = setTimeout(() => this.child.kill('SIGKILL'), 10000)
    const end = await this.ended
    clearTimeout(late)
    return end
  }
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex')

export const secret = () => `test-secret-${randomBytes(24).toString('base64url')}`
