#!/usr/bin/env node
// The built-in engine against a real Flowise: the same export and the same requests on both, with one and the same stub
// model behind them. What the model is sent, the answer's fields and the stream's events must be equal; ids and times
// aside. Every difference is a line, and a failure unless engine/accepted.mjs has the reason. Started by ./run.
//   LAB_JSON, FLOWGATE_BIN, SCRATCH, ONLY   as for checks.mjs; ONLY picks flows
//   SHOW=1   prints what both sides did as well
//   FLOWS=folder   compares these instead: NAME.json, an export, and NAME.requests.json, what to send (engine/own.mjs)
import fs from 'node:fs'
import path from 'node:path'
import { ACCEPTED } from './engine/accepted.mjs'
import { CASES } from './engine/cases.mjs'
import { differences, normal, streamDifferences } from './engine/compare.mjs'
import { own } from './engine/own.mjs'
import { Engine, Flowise } from './engine/sides.mjs'
import { startRedis } from './engine/redis.mjs'
import { Stores } from './engine/stores.mjs'
import { score, templates } from './engine/templates.mjs'

const { LAB_JSON, FLOWGATE_BIN, SCRATCH, SHOW } = process.env
const lab = JSON.parse(fs.readFileSync(LAB_JSON, 'utf8'))
const only = new RegExp(process.env.ONLY ?? '')
const MARK = `run${Date.now().toString(36)}`

const all = process.env.FLOWS ? own(process.env.FLOWS) : [...CASES, ...templates(lab)]
const redis = await startRedis()
if (!redis) console.log('SKIPPED  memories and caches in a Redis: no redis-server here')
const cases = all.filter(({ name }) => only.test(name) && (redis || !/^(memory|cache)-redis/.test(name)))
const stores = new Stores(lab)
const flowise = new Flowise(lab, stores)
const engine = new Engine(lab, stores, FLOWGATE_BIN, path.join(SCRATCH, 'engine'), path.join(SCRATCH, 'pids'))
// Some depend on who is faster, and may not be seen.
const unused = new Set(ACCEPTED.filter(rule => !rule.isChance))
const count = { same: 0, accepted: 0, differ: 0 }

// `$name` of a case becomes an id of this run.
const named = (value, name) =>
  typeof value === 'string' && value.startsWith('$') && !value.startsWith('$flow') ? `${MARK}-${name}-${value.slice(1)}`
  : Array.isArray(value) ? value.map((v) => named(v, name))
  : value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, ['chatId', 'sessionId', 'overrideConfig', 'humanInput'].includes(k) ? named(v, name) : v]))
  : value

// The same whatever the order of its fields.
const canonical = (value) => JSON.stringify(value, (_, v) => (v && typeof v === 'object' && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort()) : v))
const isLookup = (call) => call.path.startsWith('@/') && (['GET', 'HEAD'].includes(call.method) || call.body?.[0] === 'lrange' || call.body?.get_or_create || call.body?.createCollection || call.path.endsWith('/memories/search/'))

function compare(one, a, b) {
  const found = []
  const add = (under, more) => found.push(...more.map(({ at, text }) => ({ at: [under, at].filter(Boolean).join(' '), text })))
  add('status', differences(a.status, b.status))
  if (a.events && b.events) add('', streamDifferences(a.events, b.events))
  else add('answer', differences(a.events ? 'a stream' : a.body, b.events ? 'a stream' : b.body))
  // Flowise embeds all documents anew for each question, before anything else and in any order.
  const listed = ({ body }) => [body?.input, body?.texts, body?.requests, body?.inputs].find((list) => Array.isArray(list) && (list === body.input || list.length > 1))
  const items = (call) => [...listed(call)].map(canonical).sort()
  const same = (call) => one.indexed && listed(call) && differences(items(call), one.indexed).length === 0
  const first = !one.indexed && a.model.find(listed)
  if (first) one.indexed = items(first)
  const [indexing, indexed] = [a.model.find(same), one.isIndexed ? undefined : b.model.find(same)]
  if (indexing && !indexed && one.isIndexed) add('model', [{ at: 'documents', text: 'embedded anew ≠ kept' }])
  if (indexing && (indexed || one.isIndexed)) for (const side of [a, b]) side.model = side.model.filter((call) => call !== indexing && call !== indexed)
  if (indexing && indexed) add('model', differences(indexing, indexed).map(({ at, text }) => ({ at: `documents ${at}`, text })))
  one.isIndexed ||= Boolean(indexed)
  // And reads each page that it finds twice.
  const isPage = (call) => call.method === 'GET' && call.path.startsWith('/site')
  const [read, reread] = [b, a].map((side) => side.model.filter(isPage).map((call) => call.path))
  if (reread.length !== read.length) {
    add('model', [{ at: 'pages', text: `${reread} ≠ ${read}` }])
    for (const side of [a, b]) side.model = side.model.filter((call) => !isPage(call))
  }
  // What a service only tells, such as where an index is, may be known from before, and when it is asked changes nothing.
  const has = (calls, call) => calls.some((known) => !differences(known, call).length)
  one.told ??= [[], []]
  const lookups = [a, b].map((side, i) => {
    const asked = side.model.filter(isLookup)
    for (const call of asked) if (!has(one.told[i], call)) one.told[i].push(call)
    side.model = side.model.filter((call) => !isLookup(call))
    return asked
  })
  if (lookups[0].length !== lookups[1].length) add('model', [{ at: 'lookups', text: lookups[0].length > lookups[1].length ? 'asked anew ≠ known' : 'known ≠ asked anew' }])
  for (const call of lookups[0]) if (!has(one.told[1], call)) add('model', [{ at: 'lookups', text: `${call.path} ≠ nothing` }])
  for (const call of lookups[1]) if (!has(one.told[0], call)) add('model', [{ at: 'lookups', text: `nothing ≠ ${call.path}` }])
  if (a.model.length !== b.model.length) {
    add('model', [{ at: 'calls', text: `${a.model.map((m) => m.path)} ≠ ${b.model.map((m) => m.path)}` }])
    // What parted first tells more than all that follows.
    const first = a.model.findIndex((call, i) => !b.model[i] || differences(call, b.model[i]).length)
    if (first >= 0 && b.model[first]) add(`model#${first + 1}`, differences(a.model[first], b.model[first]))
    return found.filter(({ at }) => /^(status|model)/.test(at))
  }
  for (let i = 0; i < Math.min(a.model.length, b.model.length); i++) add(`model#${i + 1}`, differences(a.model[i], b.model[i]))
  return found
}

async function run(one) {
  let differ = 0
  const lines = []
  for (const [at, { title, body }] of one.steps.entries()) {
    if (at && one.pause) await new Promise((resolve) => setTimeout(resolve, one.pause))
    const asked = named(body, one.name)
    const [a, b] = await Promise.all([flowise, engine].map(async (side) => normal(await side.answer(one, asked), side.base(one.name), MARK)))
    if (SHOW) lines.push(`--- ${one.name}: ${title}`, `flowise ${JSON.stringify(a, null, 1)}`, `engine  ${JSON.stringify(b, null, 1)}`)
    const found = compare(one, a, b)
    if (!found.length) count.same++
    for (const { at, text } of found) {
      const reason = ACCEPTED.find((r) => r.flow.test(one.name) && (!r.request || r.request.test(title)) && r.at.test(at) && (!r.text || r.text.test(text)))
      unused.delete(reason)
      if (reason) count.accepted++
      else {
        count.differ++
        differ++
        lines.push(`DIFFERS  ${one.name}: ${title}: ${at}: ${text}`)
      }
    }
  }
  lines.push(`${differ ? 'FAILED ' : 'ok     '} ${one.name} (${one.steps.length} requests)`)
  console.log(lines.join('\n'))
  return differ === 0
}

// What takes Flowise minutes runs beside the others.
async function compareAll(cases) {
  const slow = cases.filter((one) => one.timeout)
  const quick = cases.filter((one) => !one.timeout && !one.alone && !one.outside)
  const beside = slow.map(run)
  const results = {}
  const worker = async () => {
    for (let one; (one = quick.shift()); ) results[one.name] = await run(one)
  }
  // Of services outside all flows ask the same ones: one flow at a time.
  const oneByOne = async () => {
    for (const one of cases.filter(({ outside }) => outside)) results[one.name] = await run(one)
  }
  await Promise.all([oneByOne(), worker(), worker(), worker()])
  for (const one of cases.filter(({ alone }) => alone)) results[one.name] = await run(one)
  const late = await Promise.all(beside)
  slow.forEach((one, i) => { results[one.name] = late[i] })
  return results
}

let good = true
try {
  await stores.prepare()
  await engine.take(cases, await flowise.take(cases))
  for (const [name, why] of Object.entries(engine.refused)) console.log(`refused  ${name}: ${why}`)
  if (SHOW)
    for (const one of cases.filter(({ name }) => engine.refused[name]))
      for (const { title, body } of one.steps)
        console.log(`--- ${one.name}: ${title}\nflowise ${JSON.stringify(normal(await flowise.answer(one, named(body, one.name)), flowise.base(one.name), MARK), null, 1)}`)
  const results = await compareAll(cases.filter(({ name }) => !engine.refused[name]))
  const must = cases.filter((one) => !one.mayBeRefused)
  const passed = Object.values(results).filter(Boolean).length
  console.log(`flows: ${passed} equal, ${Object.keys(results).length - passed} differ, ${Object.keys(engine.refused).length} refused, of ${cases.length}`)
  console.log(`requests: ${count.same} equal; differences: ${count.accepted} accepted, ${count.differ} not`)
  const [a, b] = await stores.questions()
  const asked = differences(a, b, 'questions')
  for (const { at, text } of asked) console.log(`DIFFERS  document stores: ${at}: ${text}`)
  console.log(`document stores: ${a.length} questions${asked.length ? '' : ', the same on both'}`)
  good = !asked.length && must.every(({ name }) => results[name]) && Object.values(results).every(Boolean)
  if (process.env.ONLY === undefined && !process.env.FLOWS) {
    for (const rule of unused) console.log(`FAILED   accepted and not seen: ${rule.flow} ${rule.at}`)
    good &&= unused.size === 0
    score(lab, FLOWGATE_BIN, SCRATCH)
  }
} finally {
  await engine.gateway?.stop()
  stores.qdrant?.stop()
  redis?.kill()
}
process.exit(good ? 0 : 1)
