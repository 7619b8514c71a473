// What the attacks and the browsers share: the lab, a tap before its Flowise, and flowgate with two applications' keys
// and public chatflows.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { Gateway, secret, Tap } from './gateway.mjs'
import { events, exchange } from './lab/wire.mjs'
import { cannotStart } from './tally.mjs'

const { LAB_JSON, FLOWGATE_BIN, SCRATCH } = process.env
export const lab = JSON.parse(fs.readFileSync(LAB_JSON, 'utf8'))
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms))
export const nonce = () => 'nonce' + Math.random().toString(36).slice(2, 10)
export const bearer = (key) => ({ Authorization: `Bearer ${key}` })

// The origin of the page that may call the public chatflows.
export const PAGE = 'http://app.example:8000'
export const PLENTY = { requests: '60000/min', burst: 1000, concurrent: 64 }

// chatflows: public name -> [flow of the lab, further fields]
export async function start(name, chatflows, more = {}) {
  let gateway
  try {
    const tap = await Tap.start(lab.baseUrl)
    const keys = { alice: secret(), bob: secret() }
    const config = {
      upstreams: { lab: { flowise: { urls: [tap.url], api_key: lab.apiKey, health: false } }, ...more.upstreams },
      plans: { default: PLENTY, anonymous: PLENTY },
      chatflows: Object.fromEntries(Object.entries(chatflows).map(([flow, [of, fields]]) => [flow, { upstream: 'lab', id: lab.chatflows[of], ...fields }])),
      ...more.config
    }
    const secrets = { alice: [keys.alice, {}], bob: [keys.bob, {}], ...more.secrets }
    gateway = await Gateway.start({ bin: FLOWGATE_BIN, dir: path.join(SCRATCH, name), config, secrets, server: more.server, pids: path.join(SCRATCH, 'pids') })
    return { gateway, tap, keys }
  } catch (e) {
    gateway?.child.kill('SIGKILL')
    cannotStart(e)
  }
}

// Sends to Flowise itself, as whoever reaches its port can.
export const directly = (request, opts) => exchange(lab.baseUrl, request, { timeout: 20000, ...opts })
export const id = (flow) => lab.chatflows[flow]

export const json = (r) => JSON.parse(r.text)
export const tokens = (r) => events(r.text).filter((e) => e.event === 'token').map((e) => e.data).join('')
export const kinds = (r) => events(r.text).map((e) => e.event)

// What the model was sent that holds this mark.
export async function modelSaw(mark) {
  const log = await (await fetch(lab.llmBase.replace(/\/v1$/, '/__log'))).json()
  return log.filter((l) => l.kind === 'request' && JSON.stringify(l.body).includes(mark)).map((l) => JSON.stringify(l.body))
}

// The one shape of a refusal.
export function assertRefusal(r, status, code) {
  assert.equal(r.status, status, r.text)
  assert.match(r.headers['content-type'], /^application\/json/)
  const body = json(r)
  assert.equal(body.statusCode, status)
  assert.equal(body.success, false)
  assert.equal(body.message, body.error)
  if (code) assert.equal(body.code, code)
  return body
}

// Refused, and nothing at all reaches Flowise.
export async function refusedUnseen(tap, send, status, code) {
  const { value, text } = await tap.seen(send)
  assert.equal(text, '', `Flowise was sent ${text.slice(0, 300)}`)
  return assertRefusal(value, status, code)
}

export function multipart(files, fields = {}) {
  const boundary = 'lab-boundary'
  const parts = [
    ...files.map(([name, type, content]) => [`form-data; name="files"; filename="${name}"`, content, type]),
    ...Object.entries(fields).map(([name, value]) => [`form-data; name="${name}"`, value])
  ]
  const text = parts.map(([disposition, content, type]) => `--${boundary}\r\nContent-Disposition: ${disposition}\r\n${type ? `Content-Type: ${type}\r\n` : ''}\r\n${content}\r\n`)
  return { headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` }, body: `${text.join('')}--${boundary}--\r\n` }
}
