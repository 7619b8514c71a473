#!/usr/bin/env node
// CPU of the built-in engine for a prediction of an LLM chain, its model call included, of one program or of two in turn.
//   FLOWGATE_BIN=target/release/flowgate node prediction.mjs      ROUNDS=5 SECONDS=4 CONNECTIONS=64 STREAMING=1
//   BASE_BIN=another   a second side: each round measures both, and the ratio is of neighbours in time
//   PIN=1              gateways on core 0, all else on core 1
// Needs wrk and the lab's stub (setup.sh build; STUB_BIN). CPU is the scheduler's run time of all threads of the process, so that
// other load disturbs it little.
import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Gateway, freePort, secret } from '../flowise/gateway.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache')
const stubBin = process.env.STUB_BIN ?? path.join(process.env.PERF_LAB_DIR ?? path.join(cache, 'perf-lab'), 'bin/stub')
const [rounds, seconds] = [Number(process.env.ROUNDS ?? 5), Number(process.env.SECONDS ?? 4)]
const connections = Number(process.env.CONNECTIONS ?? 64)
const bins = [process.env.FLOWGATE_BIN ?? path.join(HERE, '../../target/release/flowgate'), process.env.BASE_BIN].filter(Boolean)
const body = JSON.stringify({ question: 'What is a gateway?', ...(process.env.STREAMING ? { streaming: true } : {}) })
if (process.env.PIN) execFileSync('taskset', ['-acp', '1', `${process.pid}`], { stdio: 'ignore' })

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'engine-prediction-'))
const port = await freePort()
const stub = spawn(stubBin, ['--port', `${port}`], { stdio: ['ignore', 'pipe', 'inherit'] })
await new Promise((resolve) => stub.stdout.once('data', resolve))
const flow = fs.readFileSync(path.join(HERE, '../flowise/flows/llm-chain.json'), 'utf8').replaceAll('LLM_BASE_PATH_PLACEHOLDER', `127.0.0.1:${port}`)

// Nanoseconds that its threads have run: its engine's, and all others.
function ran(pid) {
  const [tasks, ran] = [`/proc/${pid}/task`, { engine: 0, others: 0 }]
  for (const task of fs.readdirSync(tasks)) {
    const name = fs.readFileSync(`${tasks}/${task}/comm`, 'utf8').trim()
    ran[name.startsWith('engine') ? 'engine' : 'others'] += Number(fs.readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0])
  }
  return ran
}

class Side {
  constructor(bin, number) { Object.assign(this, { bin, dir: path.join(scratch, `${number}`), key: secret(), engine: [], all: [] }) }

  async start() {
    fs.mkdirSync(path.join(this.dir, 'flows'), { recursive: true })
    fs.writeFileSync(path.join(this.dir, 'flows/speed.json'), flow)
    const plenty = { requests: '100000000/min', burst: 1000000, concurrent: 100000 }
    this.gateway = await Gateway.start({
      bin: this.bin, dir: this.dir, secrets: { app: [this.key] }, pids: path.join(scratch, 'pids'), server: { workers: 1, connections_per_address: null },
      config: {
        upstreams: { local: { engine: { flows_dir: 'flows', threads: 1, credentials: { openAIApi: { openAIApiKey: 'sk-0123456789abcdef' } } } } },
        chatflows: { speed: { upstream: 'local' } }, plans: { default: plenty }, log: { level: 'warn', access: false, format: 'text' }
      }
    })
    this.pid = this.gateway.child.pid
    if (process.env.PIN) execFileSync('taskset', ['-acp', '0', `${this.pid}`], { stdio: 'ignore' })
    this.script = path.join(this.dir, 'post.lua')
    fs.writeFileSync(this.script, `wrk.method = "POST"
wrk.body = '${body}'
wrk.headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer ${this.key}" }
function done(s) io.write(string.format('PERF %d %d\\n', s.requests, s.errors.status + s.errors.read + s.errors.connect + s.errors.timeout)) end\n`)
    await this.load(seconds / 2)
  }

  load(secs) {
    const child = spawn('wrk', ['-t1', `-c${connections}`, `-d${Math.ceil(secs)}s`, '-s', this.script, `${this.gateway.url}/api/v1/prediction/speed`], { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (piece) => { out += piece })
    return new Promise((resolve, reject) => child.on('error', reject).on('exit', () => {
      const [, requests, bad] = /^PERF (\d+) (\d+)$/m.exec(out) ?? []
      return Number(requests) && !Number(bad) ? resolve(Number(requests)) : reject(new Error(`${bad} of ${requests} failed`))
    }))
  }

  async measure() {
    const before = ran(this.pid)
    const requests = await this.load(seconds)
    const now = ran(this.pid)
    this.engine.push((now.engine - before.engine) / 1e3 / requests)
    this.all.push((now.engine + now.others - before.engine - before.others) / 1e3 / requests)
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)]
const sides = bins.map((bin, number) => new Side(bin, number))
try {
  for (const side of sides) await side.start()
  for (let round = 0; round < rounds; round++) for (let number = 0; number < sides.length; number++) await sides[(round + number) % sides.length].measure()
  for (const side of sides) {
    const ratios = side.all.map((cpu, round) => cpu / sides.at(-1).all[round])
    console.log(`${side.bin}: ${median(side.all).toFixed(1)} us CPU a prediction (${Math.min(...side.all).toFixed(1)} to ${Math.max(...side.all).toFixed(1)}), ` +
      `of which the engine's thread ${median(side.engine).toFixed(1)}; ${median(ratios).toFixed(3)} x the last (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`)
  }
} finally {
  for (const side of sides) await side.gateway?.stop()
  stub.kill()
  fs.rmSync(scratch, { recursive: true, force: true })
}
