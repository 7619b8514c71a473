#!/usr/bin/env node
// The engine's peak memory while questions of 1 MB are answered at once: eight, the default `concurrent`, by a chain and
// by an agentflow, whole and as streams, all of them under way at the same moment.
//   FLOWGATE_BIN=target/release/flowgate node memory.mjs      QUESTIONS=8 CHARS=1000000 ROUNDS=3 BY=chain,agentflow
// Needs nothing beside Node. Linux only: the figure is the kernel's, VmHWM and VmRSS of the process.
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Gateway, secret } from '../flowise/gateway.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const BIN = process.env.FLOWGATE_BIN ?? path.join(HERE, '../../target/release/flowgate')
const count = Number(process.env.QUESTIONS ?? 8)
const rounds = Number(process.env.ROUNDS ?? 3)
const question = 'What is a gateway, and who goes through? '.repeat(1e6).slice(0, Number(process.env.CHARS ?? 1e6))
const wanted = (process.env.BY ?? 'chain,agentflow').split(',')
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'engine-memory-'))

// A model that answers when all of them have asked.
const waiting = []
const model = http.createServer((request, response) => {
  const body = []
  request.on('data', (piece) => body.push(piece)).on('end', () => {
    const { stream } = JSON.parse(Buffer.concat(body))
    waiting.push(() => {
      const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
      const told = (choice, more) => ({ id: 'c', object: stream ? 'chat.completion.chunk' : 'chat.completion', created: 1, model: 'm', choices: choice, ...more })
      response.setHeader('content-type', stream ? 'text/event-stream' : 'application/json')
      if (!stream) return response.end(JSON.stringify(told([{ index: 0, message: { role: 'assistant', content: 'A door.' }, finish_reason: 'stop' }], { usage })))
      for (const word of ['A ', 'door.']) response.write(`data: ${JSON.stringify(told([{ index: 0, delta: { content: word }, finish_reason: null }]))}\n\n`)
      response.end(`data: ${JSON.stringify(told([], { usage }))}\n\ndata: [DONE]\n\n`)
    })
    if (waiting.length === count) waiting.splice(0).forEach((answer) => answer())
  })
})
await new Promise((resolve) => model.listen(0, '127.0.0.1', resolve))

const flows = { chain: 'conversation-chain', agentflow: 'agentflow-llm-reply' }
const dir = path.join(scratch, 'flows')
fs.mkdirSync(dir, { recursive: true })
for (const [name, file] of Object.entries(flows)) {
  const text = fs.readFileSync(path.join(HERE, `../flowise/flows/${file}.json`), 'utf8')
  fs.writeFileSync(path.join(dir, `${name}.json`), text.replaceAll('LLM_BASE_PATH_PLACEHOLDER', `127.0.0.1:${model.address().port}`))
}

const kilobytes = (pid, field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1])

async function ask(gateway, key, chatflow, streaming, number) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
  const body = JSON.stringify({ question: `${number} ${question}`, chatId: `${chatflow}-${number}`, streaming })
  const response = await fetch(`${gateway.url}/api/v1/prediction/${chatflow}`, { method: 'POST', headers, body })
  const text = await response.text()
  if (response.status !== 200 || !text.includes('door.')) throw new Error(`${chatflow}: ${response.status} ${text.slice(0, 300)}`)
}

try {
  for (const chatflow of wanted) {
    for (const streaming of [false, true]) {
      const chatflows = Object.fromEntries(Object.keys(flows).map((name) => [name, { upstream: 'local', max_question_chars: 2e6 }]))
      const plan = { requests: '100000/min', burst: 1000, concurrent: count }
      const key = secret()
      const gateway = await Gateway.start({
        bin: BIN, dir: path.join(scratch, `${chatflow}-${streaming}`), secrets: { app: [key] }, server: { max_body: '2MiB' }, pids: path.join(scratch, 'pids'),
        config: { upstreams: { local: { engine: { flows_dir: dir, credentials: { openAIApi: { openAIApiKey: 'sk-0123456789abcdef' } } } } }, chatflows, plans: { default: plan }, log: { level: 'warn', access: false } }
      })
      const { pid } = gateway.child
      const started = kilobytes(pid, 'VmRSS')
      for (let round = 0; round < rounds; round++) {
        await Promise.all(Array.from({ length: count }, (_, number) => ask(gateway, key, chatflow, streaming, number)))
      }
      const row = [started, kilobytes(pid, 'VmHWM'), kilobytes(pid, 'VmRSS')].map((figure) => (figure / 1024).toFixed(1))
      const size = spawnSync('du', ['-sk', path.join(scratch, `${chatflow}-${streaming}`, 'state')], { encoding: 'utf8' }).stdout.split('\t')[0]
      console.log(`${chatflow}, ${streaming ? 'streams' : 'whole'}: ${row[0]} MiB at the start, peak ${row[1]} MiB, ${row[2]} MiB after it; ${size || 0} KiB on disk`)
      await gateway.stop()
    }
  }
} finally {
  model.close()
  model.closeAllConnections()
  fs.rmSync(scratch, { recursive: true, force: true })
}
