#!/usr/bin/env node
// One LLM chain on a real Flowise and on the built-in engine, in one run, with the fast stub model behind both:
// predictions per second, CPU a prediction in the process, resident memory; and the engine's memory with many streams.
//   FLOWISE_LAB_DIR, FLOWISE_PORT, STUB_PORT   a lab that ../flowise/up.sh has started
//   FLOWGATE_BIN   a release build       PERF_LAB_DIR   where setup.sh put the stub (or STUB_BIN)
//   SECONDS=10     of each measurement   STREAMS=2000
// Needs wrk. Linux only. CPU is what the scheduler counted for the process, so other load disturbs it little; rates
// are only good on a machine that is quiet.
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { freePort } from '../flowise/gateway.mjs'
import { Engine, Flowise } from '../flowise/engine/sides.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache')
const labDir = process.env.FLOWISE_LAB_DIR ?? path.join(cache, '.flowise-lab')
const stubBin = process.env.STUB_BIN ?? path.join(process.env.PERF_LAB_DIR ?? path.join(cache, 'perf-lab'), 'bin/stub')
const seconds = Number(process.env.SECONDS ?? 10)
const streams = Number(process.env.STREAMS ?? 2000)
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'engine-speed-'))
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))

const lab = JSON.parse(fs.readFileSync(path.join(labDir, 'state/lab.json'), 'utf8'))
const stubPort = await freePort()
const stub = spawn(stubBin, ['--port', String(stubPort)], { stdio: ['ignore', 'pipe', 'inherit'] })
await new Promise((resolve) => stub.stdout.once('data', resolve))
lab.llmBase = `http://127.0.0.1:${stubPort}/v1`

// Nanoseconds on a core, of every thread.
const cpu = (pid) => fs.readdirSync(`/proc/${pid}/task`).reduce((sum, t) => {
  try { return sum + Number(fs.readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]) } catch { return sum }
}, 0)
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024

const BODY = { question: 'What is a gateway?' }

function wrk(url, key, connections, secs) {
  const script = path.join(scratch, 'post.lua')
  fs.writeFileSync(script, `wrk.method = "POST"
wrk.body = '${JSON.stringify(BODY)}'
wrk.headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer ${key}" }
function done(s, l) io.write(string.format('PERF {"requests":%d,"us":%d,"bad":%d,"p50":%d,"p99":%d}\\n', s.requests, s.duration,
  s.errors.status + s.errors.read + s.errors.connect + s.errors.timeout, l:percentile(50), l:percentile(99))) end\n`)
  return new Promise((resolve, reject) => {
    const child = spawn('wrk', ['-t1', `-c${connections}`, `-d${secs}s`, '--timeout', '30s', '-s', script, url], { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (b) => { out += b })
    child.on('error', reject)
    child.on('exit', () => resolve(JSON.parse(/^PERF (.*)$/m.exec(out)[1])))
  })
}

async function measured(name, pid, url, key, connections) {
  await wrk(url, key, connections, seconds / 2)
  const [before, idle] = [cpu(pid), resident(pid)]
  const r = await wrk(url, key, connections, seconds)
  const used = cpu(pid) - before
  const row = { name, predictions: r.requests, bad: r.bad, perSecond: r.requests / (r.us / 1e6), cpuMicros: used / 1e3 / r.requests, cores: used / 1e3 / r.us, p50ms: r.p50 / 1e3, p99ms: r.p99 / 1e3, residentMiB: Math.max(idle, resident(pid)) }
  row.perCore = 1e6 / row.cpuMicros
  console.log(`${name}: ${row.perSecond.toFixed(0)} predictions/s on ${row.cores.toFixed(2)} cores, ${row.cpuMicros.toFixed(1)} us CPU each (${row.perCore.toFixed(0)}/s a core), p50 ${row.p50ms} ms, p99 ${row.p99ms} ms, ${row.residentMiB.toFixed(1)} MiB resident, ${row.bad} failed`)
  return row
}

// All at once, each with a token every quarter of a second.
async function streaming(pid, port, key, name) {
  const body = JSON.stringify({ question: 'tokens=60 interval_ms=250', streaming: true })
  const head = `POST /api/v1/prediction/${name} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${body.length}\r\n\r\n`
  const state = { tokens: 0, open: 0, ended: 0, bad: 0 }
  const sockets = []
  for (let i = 0; i < streams; i++) {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(head + body))
    socket.setEncoding('latin1')
    let first = true
    socket.on('data', (text) => {
      if (first) {
        first = false
        if (text.startsWith('HTTP/1.1 200')) state.open++
        else state.bad++
      }
      state.tokens += text.split('"event":"token"').length - 1
      if (text.includes('"event":"end"')) state.ended++
    })
    socket.on('error', () => { state.bad++ })
    sockets.push(socket)
    if (i % 50 === 49) await sleep(10)
  }
  for (let i = 0; i < 200 && state.open + state.bad < streams; i++) await sleep(50)
  await sleep(3000)
  const [before, tokens, at] = [cpu(pid), state.tokens, performance.now()]
  await sleep(4000)
  const live = state.open - state.ended
  const perToken = (cpu(pid) - before) / 1e3 / (state.tokens - tokens)
  const rate = (state.tokens - tokens) / ((performance.now() - at) / 1e3)
  const row = { streams: live, bad: state.bad, residentMiB: resident(pid), tokensPerSecond: rate, cpuMicrosPerToken: perToken }
  console.log(`${live} streams at once: ${row.residentMiB.toFixed(1)} MiB resident, ${rate.toFixed(0)} tokens/s, ${perToken.toFixed(1)} us CPU a token, ${state.bad} failed`)
  sockets.forEach((s) => s.destroy())
  return row
}

const flow = JSON.parse(fs.readFileSync(path.join(HERE, '../flowise/flows/llm-chain.json'), 'utf8'))
const cases = [{ name: 'speed', flow }]
const flowise = new Flowise(lab)
const engine = new Engine(lab, undefined, process.env.FLOWGATE_BIN, path.join(scratch, 'engine'), path.join(scratch, 'pids'))
try {
  const limits = { requests: '100000000/min', burst: 1000000, concurrent: 100000 }
  const ids = await flowise.take(cases)
  await engine.take(cases, ids, { server: { workers: 1, connections_per_address: null }, config: { log: { level: 'warn', access: false, format: 'text' }, plans: { default: limits, anonymous: limits } } })
  const { pid } = engine.gateway.child
  const started = resident(pid)
  const theirs = await measured('Flowise', lab.flowisePid, `${lab.baseUrl}/api/v1/prediction/${ids.speed}`, lab.apiKey, 4)
  const ours = await measured('engine', pid, `${engine.gateway.url}/api/v1/prediction/speed`, engine.key, 64)
  const many = await streaming(pid, Number(new URL(engine.gateway.url).port), engine.key, 'speed')
  const result = { flowise: theirs, engine: ours, startedMiB: started, streams: many, perCoreRatio: ours.perCore / theirs.perCore, perSecondRatio: ours.perSecond / theirs.perSecond, memoryRatio: theirs.residentMiB / ours.residentMiB }
  console.log(`per core ${result.perCoreRatio.toFixed(0)} x Flowise, predictions/s ${result.perSecondRatio.toFixed(0)} x, memory 1/${result.memoryRatio.toFixed(0)}`)
  const targets = [
    ['at most 100 us CPU a prediction', ours.cpuMicros <= 100], ['at least 100 x Flowise per core', result.perCoreRatio >= 100],
    ['at most 1/50 of its memory', result.memoryRatio >= 50], [`${streams} streams in 100 MiB`, many.streams >= streams && many.residentMiB <= 100],
    ['nothing failed', ours.bad + theirs.bad + many.bad === 0]
  ]
  for (const [what, reached] of targets) console.log(`${reached ? 'ok     ' : 'MISSED '} ${what}`)
  if (process.env.JSON_OUT) fs.writeFileSync(process.env.JSON_OUT, JSON.stringify(result, null, 2))
  process.exitCode = targets.every(([, reached]) => reached) ? 0 : 1
} finally {
  await engine.gateway?.stop()
  stub.kill()
  fs.rmSync(scratch, { recursive: true, force: true })
}
