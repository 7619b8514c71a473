// See `run`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FAULTS } from './faults.mjs'
import { BURST, Gateway, QUOTA, RATE, load, makeKeys, upstream } from './gateways.mjs'
import { cluster, pause, sentinel, single, until } from './stores.mjs'

const WANTED = Number(process.env.FAULTS ?? 201)
const ONLY = process.env.ONLY
const SECONDS = Number(process.env.SECONDS_EACH ?? 6)
const [LEAST, MOST] = [0.98, 1.02]
const GATEWAYS = 3

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

// One fault under load: what was admitted, against what the limit is.
async function befall(fault, it) {
  const seen = { admitted: 0, refused: 0, unavailable: 0, broken: 0, hung: 0, longest: 0 }
  const running = [...it.gateways, it.extra]
  // From a bucket that is empty but for what drips in.
  await load(it.gateways, it.keys.rated, 0.5, () => {})
  const begun = performance.now()
  const loading = load(running, it.keys.rated, SECONDS, (status, took) => {
    seen.longest = Math.max(seen.longest, took)
    if (status === 200) seen.admitted++
    else if (status === 429) seen.refused++
    else if (status === 503) seen.unavailable++
    else if (status === -1) seen.hung++
    else seen.broken++
  })
  await pause(500 + random() * 500)
  await fault.begin(it)
  await pause(1000 + random() * 500)
  // It is said, and it is no reason to take the gateway out of service.
  const ready = await Promise.all(it.gateways.filter(gateway => gateway.process && fault.name !== 'gateway paused').map(gateway => gateway.ready().catch(() => ({ status: 0 }))))
  await fault.end(it)
  await loading
  const seconds = (performance.now() - begun) / 1000
  const ratio = seen.admitted / (RATE * seconds)
  const wrong = []
  // What the bucket holds comes on top once.
  const most = MOST * (RATE * seconds + BURST) / (RATE * seconds)
  if (ratio > most) wrong.push(`admitted ${ratio.toFixed(3)} of the limit`)
  if (ratio < LEAST) wrong.push(`admitted only ${ratio.toFixed(3)} of the limit`)
  if (seen.hung) wrong.push(`${seen.hung} requests hung`)
  if (seen.unavailable) wrong.push(`${seen.unavailable} times 503`)
  if (ready.some(({ status }) => status !== 200)) wrong.push(`/readyz said ${ready.map(({ status }) => status)}`)
  if (seen.broken > 40) wrong.push(`${seen.broken} broken answers`)
  tell({ store: it.store.name, fault: fault.name, wrong, figures: `admitted ${ratio.toFixed(3)}  refused ${seen.refused}  longest ${Math.round(seen.longest)} ms` })
  await until('the store to be there for all', async () => (await Promise.all(it.gateways.map(gateway => gateway.metrics()))).every(text => /flowgate_state_up 1/.test(text)))
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
  await until('the store to be there for all', async () => (await Promise.all(it.gateways.map(gateway => gateway.metrics()))).every(text => /flowgate_state_up 1/.test(text)))
  // The rest, until nobody gets anything any more.
  for (let before = -1; admitted !== before;) { before = admitted; await load(it.gateways, key, 1.5, count) }
  const ratio = admitted / QUOTA
  const wrong = ratio > MOST ? [`the quota was spent ${ratio.toFixed(3)} times`] : ratio < LEAST ? [`only ${ratio.toFixed(3)} of the quota could be had`] : []
  tell({ store: it.store.name, fault: fault.name, wrong, figures: `quota spent ${ratio.toFixed(3)}` })
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
    const able = FAULTS.filter(fault => (fault.needs ?? [name]).includes(name))
    const quotas = able.filter(fault => ['store killed, back with its data', 'store killed, back empty', 'gateway killed, and started again', 'primary killed: failover', 'a node killed, back with its data', 'keys evicted'].includes(fault.name))
    for (const [number, fault] of quotas.slice(0, WANTED < 50 ? 1 : keys.bounded.length).entries()) await spend(fault, keys.bounded[number], it)
    const count = Math.max(1, Math.round(WANTED * (ONLY ? 1 : shares[name])))
    const from = Math.floor(random() * able.length)
    for (let number = 0; number < count; number++) await befall(able[WANTED < 50 ? (from + number * 5) % able.length : number % able.length], it)
  } catch (error) {
    tell({ store: name, fault: 'the test itself', wrong: [error.message], figures: '' })
  } finally {
    for (const gateway of [...gateways, it.extra]) await gateway.kill()
    await store.stop()
  }
}
flowise.closeAllConnections()
flowise.close()
console.log(`\n${rows.length - failed} passed, ${failed} failed`)
if (failed) console.log(`files are in ${root}`)
else rmSync(root, { recursive: true, force: true })
process.exit(failed ? 1 : 0)
