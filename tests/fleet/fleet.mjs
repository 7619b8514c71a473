// See `run`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHATS } from './chats.mjs'
import { FAULTS } from './faults.mjs'
import { BURST, Gateway, QUOTA, RATE, load, makeKeys, upstream } from './gateways.mjs'
import { cluster, pause, sentinel, single, until } from './stores.mjs'

const WANTED = Number(process.env.FAULTS ?? 201)
const ONLY = process.env.ONLY
const NAMED = new RegExp(process.env.NAMED ?? '')
const SECONDS = Number(process.env.SECONDS_EACH ?? 4)
const IS_SHORT = WANTED < 50
// The short form runs beside other work: a gateway or a store that waits for a core answers later than `timeout`, so that gateways
// are alone for no fault of theirs. It finds what is broken, the whole says how exact it is.
const [LEAST, MOST] = IS_SHORT ? [0.8, 1.2] : [0.98, 1.02]
const GATEWAYS = 3
const CHAT_TIMES = IS_SHORT ? 1 : 5

// A generator with a seed, so that an order can be had again.
let seed = Number(process.env.SEED ?? 1)
const random = () => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed / 2147483648 }

const root = mkdtempSync(join(tmpdir(), 'fleet-'))
const flowise = await upstream()
const rows = []
let failed = 0

function tell(row) {
  const isWrong = row.wrong.length > 0
  failed += Number(isWrong)
  rows.push(row)
  console.log(`${isWrong ? 'FAILED ' : 'ok     '} ${row.store.padEnd(8)} ${row.fault.padEnd(36)} ${row.figures}${isWrong ? `   ${row.wrong.join('; ')}` : ''}`)
}

// All of the store is there for all of them.
const isShared = async it => (await Promise.all(it.gateways.map(gateway => gateway.ready()))).every(({ text }) => !text.includes('lost'))

// What one gateway alone with these limits would have had to say: a bucket that fills at the rate. A load that is held up
// loses what runs over; what runs over though somebody was refused is the fleet's fault.
class Bucket {
  constructor() { Object.assign(this, { level: 0, at: performance.now(), begun: performance.now(), unasked: 0, admitted: 0, over: 0 }) }

  see(status) {
    const now = performance.now()
    this.level += RATE * (now - this.at) / 1000
    this.at = now
    if (status === 200) {
      if (this.level > BURST) { this.unasked += this.level - BURST; this.level = BURST }
      this.admitted++
      this.level--
      this.over = Math.max(this.over, -this.level)
    }
  }

  // Of what there was for those who asked.
  ratio() { return this.admitted / (RATE * (this.at - this.begun) / 1000 - this.unasked) }
}

// Asks until the bucket is empty, and as much is admitted as drips in.
async function drain(it, count) {
  for (let tries = 0; tries < 40; tries++) {
    let [admitted, refused] = [0, 0]
    await load(it.gateways, it.keys.rated, 0.3, (status, took) => { admitted += Number(status === 200); refused += Number(status === 429); count(status, took) })
    if (refused >= 20 && admitted >= 0.8 * RATE * 0.3) return
  }
}

// One fault under load: what was admitted, against what the limit is.
async function befall(fault, it) {
  const seen = { refused: 0, unavailable: 0, broken: 0, hung: 0, longest: 0 }
  const running = [...it.gateways, it.extra]
  await drain(it, () => {})
  const bucket = new Bucket()
  const count = it.count = (status, took) => {
    seen.longest = Math.max(seen.longest, took)
    bucket.see(status)
    if (status === 429) seen.refused++
    else if (status === 503) seen.unavailable++
    else if (status === -1) seen.hung++
    else if (status !== 200) seen.broken++
  }
  const loading = load(running, it.keys.rated, SECONDS, count)
  await pause(500 + random() * 500)
  await fault.begin(it)
  await pause(1000 + random() * 500)
  // It is said, and it is no reason to take the gateway out of service.
  const ready = await Promise.all(it.gateways.filter(gateway => gateway.process && fault.name !== 'gateway paused').map(gateway => gateway.ready().catch(() => ({ status: 0 }))))
  await fault.end(it)
  await loading
  // What a gateway owes is told and paid by then.
  for (let tries = 0; tries < 40 && !await isShared(it); tries++) await load(it.gateways, it.keys.rated, 0.3, count)
  await drain(it, count)
  const ratio = bucket.ratio()
  const wrong = []
  if (ratio > MOST) wrong.push(`admitted ${ratio.toFixed(3)} of the limit`)
  if (ratio < LEAST) wrong.push(`admitted only ${ratio.toFixed(3)} of the limit`)
  if (seen.hung) wrong.push(`${seen.hung} requests hung`)
  if (seen.unavailable) wrong.push(`${seen.unavailable} times 503`)
  if (ready.some(({ status }) => status !== 200)) wrong.push(`/readyz said ${ready.map(({ status }) => status)}`)
  // Only those that a gateway had when it ended.
  if (seen.broken > (fault.name.includes('gateway') ? 8 : 0)) wrong.push(`${seen.broken} broken answers`)
  tell({ store: it.store.name, fault: fault.name, wrong, ratio, over: bucket.over / RATE, longest: seen.longest,
    figures: `admitted ${ratio.toFixed(3)}  ahead by ${(bucket.over / RATE).toFixed(2)} s  refused ${seen.refused}  longest ${Math.round(seen.longest)} ms` })
}

// A quota that is spent while something goes wrong: everything is admitted that it has, once.
async function spend(fault, key, it) {
  let admitted = 0
  const count = status => { admitted += Number(status === 200) }
  const loading = load(it.gateways, key, 3, count)
  await pause(300)
  await fault.begin(it)
  await pause(1000)
  await fault.end(it)
  await loading
  await until('the store to be there for all', () => isShared(it))
  // The rest, until everybody is told that there is none.
  for (let tries = 0; tries < 200; tries++) {
    let [got, refused, unavailable] = [0, 0, 0]
    await load(it.gateways, key, 0.5, status => { count(status); got += Number(status === 200); refused += Number(status === 429); unavailable += Number(status === 503) })
    if (!got && !unavailable && refused) break
  }
  const ratio = admitted / QUOTA
  const wrong = ratio > MOST ? [`the quota was spent ${ratio.toFixed(3)} times`] : ratio < LEAST ? [`only ${ratio.toFixed(3)} of the quota could be had`] : []
  tell({ store: it.store.name, fault: fault.name, wrong, figures: `quota spent ${ratio.toFixed(3)}` })
}

// What is begun on one gateway, and gone on with on another; each pair in turn.
async function chat(kind, time, it) {
  const [first, second] = [time, time + 1].map(number => it.gateways[number % GATEWAYS])
  const row = { store: it.store.name, fault: kind.name, wrong: [], figures: '' }
  try {
    await until('the store to be there for all', () => isShared(it))
    Object.assign(row, await kind.run(first, second, it.keys.chats, `${kind.name} ${time}`, IS_SHORT))
  } catch (error) {
    row.wrong.push(error.message)
  }
  if (!first.process) await first.start()
  tell(row)
}

const makers = { single, sentinel, cluster }
const shares = { single: 0.6, sentinel: 0.2, cluster: 0.2 }
for (const [name, make] of Object.entries(makers)) {
  if (ONLY && ONLY !== name) continue
  const folder = join(root, name)
  const store = await make(folder, GATEWAYS)
  const keys = makeKeys(folder)
  const port = flowise.address().port
  const gateways = Array.from({ length: GATEWAYS }, (_, number) => new Gateway(folder, number, store, keys, port))
  const it = { store, keys, gateways, extra: new Gateway(folder, GATEWAYS, store, keys, port) }
  try {
    for (const gateway of gateways) await gateway.start()
    const able = FAULTS.filter(fault => (fault.needs ?? [name]).includes(name) && NAMED.test(fault.name))
    const quotas = able.filter(fault => ['store killed, back with its data', 'store killed, back empty', 'gateway killed, and started again', 'primary killed: failover', 'a node killed, back with its data', 'keys evicted'].includes(fault.name))
    for (const [number, fault] of quotas.slice(0, IS_SHORT ? 1 : keys.bounded.length).entries()) await spend(fault, keys.bounded[number], it)
    for (const kind of CHATS.filter(kind => NAMED.test(kind.name))) for (let time = 0; time < CHAT_TIMES; time++) await chat(kind, time, it)
    const count = able.length && Math.max(1, Math.round(WANTED * (ONLY ? 1 : shares[name])))
    const from = Math.floor(random() * able.length)
    for (let number = 0; number < count; number++) await befall(able[IS_SHORT ? (from + Math.floor(number * able.length / count)) % able.length : number % able.length], it)
  } catch (error) {
    tell({ store: name, fault: 'the test itself', wrong: [error.message], figures: '' })
  } finally {
    for (const gateway of [...gateways, it.extra]) await gateway.kill()
    await store.stop()
  }
}
// By fault: how often, the least and the most that was admitted, how far it was ahead of the limit meanwhile.
console.log('\n| store | fault | times | admitted | ahead by | longest answer |\n|---|---|---|---|---|---|')
const kinds = new Map()
for (const row of rows.filter(row => row.ratio)) {
  const kind = `| ${row.store} | ${row.fault} |`
  kinds.set(kind, [...kinds.get(kind) ?? [], row])
}
for (const [kind, of] of kinds) {
  const all = what => of.map(row => row[what])
  const ratios = [Math.min(...all('ratio')), Math.max(...all('ratio'))].map(ratio => ratio.toFixed(3))
  console.log(`${kind} ${of.length} | ${[...new Set(ratios)].join('–')} | ${Math.max(...all('over')).toFixed(2)} s | ${Math.round(Math.max(...all('longest')))} ms |`)
}
console.log('\n| store | chat | times | took at most |\n|---|---|---|---|')
for (const store of Object.keys(makers)) {
  for (const { name } of CHATS) {
    const of = rows.filter(row => row.store === store && row.fault === name && row.took)
    if (of.length) console.log(`| ${store} | ${name.replace('chat: ', '')} | ${of.length} | ${Math.round(Math.max(...of.map(row => row.took)))} ms |`)
  }
}
flowise.closeAllConnections()
flowise.close()
console.log(`\n${rows.length - failed} passed, ${failed} failed`)
if (failed) console.log(`files are in ${root}`)
else rmSync(root, { recursive: true, force: true })
process.exit(failed ? 1 : 0)
