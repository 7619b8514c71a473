// The two that are compared: a real Flowise, and flowgate with its built-in engine. Each asks the stub model below an
// address of its own, so that what the model is sent can be told apart by flow and side.
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { Gateway, secret } from '../gateway.mjs'
import { OF_NODES } from '../lab/credentials.mjs'
import { events, exchange } from '../lab/wire.mjs'

export const PLACEHOLDER = 'http://LLM_BASE_PATH_PLACEHOLDER'
const OUTSIDE = JSON.parse(fs.readFileSync(new URL('../lab/outside.json', import.meta.url), 'utf8'))
// An HTTP node has one of any kind, which only its id tells: `CREDENTIAL name` in a case.
const BY_ID = ['httpBasicAuth', 'httpBearerToken', 'httpApiKey']
const PLENTY = { requests: '60000/min', burst: 1000, concurrent: 64 }

// What one request led to.
async function told(url, target, headers, { at = 'prediction', ...body }, timeout) {
  const r = await exchange(url, { method: 'POST', path: `/api/v1/${at}/${target}`, headers: { 'Content-Type': 'application/json', ...headers }, body }, { timeout })
  const isStream = (r.headers['content-type'] ?? '').startsWith('text/event-stream')
  const answer = { status: r.status, ended: r.why === 'complete' ? 'complete' : r.why }
  if (isStream) answer.events = events(r.text).filter((e) => e.event)
  else {
    try { answer.body = JSON.parse(r.text) } catch { answer.body = r.text }
    // A refusal: its sentence is what counts, the gateway's shape is its own.
    if (r.status !== 200) answer.body = { message: answer.body?.message ?? answer.body }
  }
  return answer
}

// The last request that the model was sent so far.
async function lastOf(stub) {
  const log = await (await fetch(`${stub}/__log`)).json()
  return log.at?.(-1)?.id ?? 0
}

// `stores`: the document stores that flows may search; none in benchmarks.
class Side {
  constructor(lab, stores, letter) {
    this.stub = lab.llmBase.replace(/\/v1$/, '')
    Object.assign(this, { lab, stores, letter })
    this.seen = {}
    this.asked = {}
  }

  base(name) {
    return `${this.stub}/${this.letter}/${name}`
  }

  // The flow with this side's model in it, in the files that it holds as well, the document stores, and the flows that it runs.
  rewired({ name, flow }, ids) {
    const rewired = (text) => text.split(PLACEHOLDER).join(this.base(name)).replace(/CREDENTIAL (\w+)/g, (whole, kind) => this.lab.credentials[kind]?.id ?? whole).replace(/FLOWID:([\w-]+)/g, (whole, other) => ids[other] ?? whole)
    const file = (whole, data) => {
      const text = Buffer.from(data, 'base64').toString()
      return text.includes(PLACEHOLDER) ? `;base64,${Buffer.from(rewired(text)).toString('base64')}` : whole
    }
    const mine = JSON.parse(rewired(JSON.stringify(flow)).replace(/;base64,([A-Za-z0-9+/=]+)/g, file))
    return this.stores ? this.stores.chosen(mine, this.letter === 'f') : mine
  }

  async log(under, after) {
    return (await fetch(`${this.stub}/__log?prefix=${under}&after=${after}`)).json()
  }

  async answer({ name, timeout, outside }, asked) {
    // What this side's user was asked last.
    const mine = JSON.parse(JSON.stringify(asked).split(PLACEHOLDER).join(this.base(name)))
    const body = asked.action === '$action' ? { ...mine, action: this.asked[name] } : mine
    const [own, others] = [`/${this.letter}/${name}/`, `/${this.letter}/@/`]
    const before = outside ? (await this.log(others, this.before)).at(-1)?.id ?? this.before : null
    const answer = await this.send(name, body, timeout ?? 60000)
    this.asked[name] = answer.body?.action ?? answer.events?.find((e) => e.event === 'action')?.data ?? this.asked[name]
    const log = await this.log(own, this.seen[name] ?? this.before)
    if (log.length) this.seen[name] = log.at(-1).id
    const more = outside ? await this.log(others, before) : []
    const requests = [...log, ...more].filter((l) => l.kind === 'request').sort((a, b) => a.id - b.id)
    answer.model = requests.map((l) => ({ path: this.told(l.path, name), method: l.method, key: keyOf(l.headers), body: read(l.body) }))
    return answer
  }

  // A path below the flow's own address, or a service outside and what it is asked, its query in a fixed order.
  told(path, name) {
    const own = `/${this.letter}/${name}`
    const [at, query] = path.slice(path.startsWith(`${own}/`) ? own.length : this.letter.length + 2).split(/\?(.*)/s)
    if (!query) return at
    return `${at}?${[...new URLSearchParams(query)].map((pair) => pair.map(encodeURIComponent).join('=')).sort().join('&')}`
  }
}

// Lines of JSON as what they say.
const read = (body) => (typeof body === 'string' && body.startsWith('{') && body.endsWith('}\n') ? body.trim().split('\n').map((line) => JSON.parse(line)) : body)
const KEYS = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'x-subscription-token', 'x-chroma-token', 'apikey', 'token']
const keyOf = (headers) => KEYS.map((name) => headers[name]).find((value) => value != null) ?? null

export class Flowise extends Side {
  constructor(lab, stores) {
    super(lab, stores, 'f')
    this.ids = {}
  }

  async api(method, where, body) {
    const r = await fetch(`${this.lab.baseUrl}/api/v1/${where}`, { method, headers: { 'content-type': 'application/json', authorization: `Bearer ${this.lab.apiKey}` }, body: body && JSON.stringify(body) })
    const text = await r.text()
    if (!r.ok) throw new Error(`${method} ${where} -> ${r.status} ${text.slice(0, 300)}`)
    return JSON.parse(text)
  }

  // Imports the cases' flows; what is there by name is updated.
  async take(cases) {
    const existing = await this.api('GET', 'chatflows')
    this.before = await lastOf(this.stub)
    // A flow that runs another comes after it.
    const runsOthers = (one) => JSON.stringify(one.flow).includes('FLOWID:')
    for (const one of [...cases].sort((a, b) => runsOthers(a) - runsOthers(b))) {
      const flow = this.rewired(one, this.ids)
      one.forFlowise?.(flow)
      for (const node of flow.nodes) this.giveCredentials(node.data)
      const body = {
        name: `engine: ${one.name}`, type: flow.nodes.some((n) => n.data.name === 'startAgentflow') ? 'AGENTFLOW' : 'CHATFLOW', deployed: false, isPublic: false, category: '',
        flowData: JSON.stringify({ ...flow, viewport: { x: 0, y: 0, zoom: 1 } }),
        apiConfig: one.overridable ? JSON.stringify(overridable(one.overridable)) : null,
        chatbotConfig: one.chatbotConfig ? JSON.stringify(one.chatbotConfig) : null, apikeyid: null, followUpPrompts: flow.followUpPrompts ? JSON.stringify(flow.followUpPrompts) : null
      }
      const have = existing.find((e) => e.name === body.name)
      this.ids[one.name] = (have ? await this.api('PUT', `chatflows/${have.id}`, body) : await this.api('POST', 'chatflows', body)).id
    }
    return this.ids
  }

  // What choosing the credential in the editor does.
  giveCredentials(data) {
    const give = (kind, inputs, to) => {
      const { id } = this.lab.credentials[OF_NODES[kind]] ?? {}
      if (!id || !inputs) return
      to.credential = id
      inputs.FLOWISE_CREDENTIAL_ID = id
    }
    give(data.name, data.inputs, data)
    for (const inputs of [data.inputs ?? {}, ...Object.values(data.inputs ?? {}).filter(Array.isArray).flat()])
      for (const [key, config] of Object.entries(inputs ?? {})) if (/Config$/.test(key) && config && typeof config === 'object') give(inputs[key.replace(/Config$/, '')], config, config)
  }

  send(name, body, timeout) {
    return told(this.lab.baseUrl, this.ids[name], { Authorization: `Bearer ${this.lab.apiKey}` }, body, timeout)
  }
}

const overridable = (nodes) => ({
  overrideConfig: {
    status: true,
    nodes: Object.fromEntries(Object.entries(nodes).map(([label, names]) => [label, names.map((name) => ({ label: name, name, type: 'string', enabled: true }))])),
    variables: ['userId', 'notInDb'].map((name) => ({ id: name, name, type: 'static', enabled: true }))
  }
})

export class Engine extends Side {
  constructor(lab, stores, bin, dir, pids) {
    super(lab, stores, 'e')
    Object.assign(this, { bin, dir, pids, key: secret(), refused: {} })
  }

  // Starts flowgate with the cases that the engine takes; the others are in `refused`, name -> why. A flow has Flowise's
  // own id, which some prompts show.
  async take(cases, ids, more = {}) {
    this.before = await lastOf(this.stub)
    const flows = path.join(this.dir, 'flows')
    fs.rmSync(this.dir, { recursive: true, force: true })
    fs.mkdirSync(flows, { recursive: true })
    if (this.stores) {
      this.brought = await this.stores.exported()
      fs.writeFileSync(path.join(flows, 'ExportData.json'), this.brought)
    }
    const config = {
      upstreams: { local: { engine: { flows_dir: 'flows', allow_networks: ['127.0.0.1'], addresses: this.addresses(), credentials: this.credentials() } } },
      plans: { default: PLENTY, anonymous: PLENTY },
      ...more.config,
      chatflows: {}
    }
    const at = (one) => path.join(flows, `${ids[one.name]}.json`)
    for (const one of cases) fs.writeFileSync(at(one), JSON.stringify(this.rewired(one, ids)))
    const problems = this.problems(this.dir, cases.map(({ name }) => ids[name]))
    for (const one of cases) {
      const why = problems.includes(path.basename(at(one))) && this.obstacles(at(one))
      if (why) {
        this.refused[one.name] = why
        fs.rmSync(at(one))
        continue
      }
      config.chatflows[one.name] = { upstream: 'local', id: ids[one.name], isolate_sessions: false, override_config: ['sessionId', ...(one.allow ?? [])], vars: one.vars ?? {}, ...one.policy }
    }
    this.gateway = await Gateway.start({ bin: this.bin, dir: this.dir, config, secrets: { tester: [this.key, { upsert: true }] }, server: { max_body: '4MiB', ...more.server }, pids: this.pids })
  }

  // The services outside are the stub, as lab/offline-shim.cjs has it for Flowise.
  addresses() {
    return Object.fromEntries(OUTSIDE.map((origin) => [origin, `${this.stub}/e/@/${new URL(origin).hostname}`]))
  }

  credentials() {
    const own = (value) => value.replace(/^(redis:.*)\/1$/, '$1/2').replace('/f/@/', '/e/@/')
    const fields = (given) => Object.fromEntries(Object.entries(given).map(([field, value]) => [field, own(value)]))
    return Object.fromEntries(Object.entries(this.lab.credentials).flatMap(([name, { id, fields: given }]) => [[BY_ID.includes(name) ? id : name, fields(given)]]))
  }

  // Why the engine does not take a flow, by a configuration that has no other.
  obstacles(file) {
    const alone = path.join(this.dir, 'alone')
    fs.rmSync(alone, { recursive: true, force: true })
    fs.mkdirSync(path.join(alone, 'flows'), { recursive: true })
    fs.copyFileSync(file, path.join(alone, 'flows', 'flow.json'))
    if (this.brought) fs.writeFileSync(path.join(alone, 'flows', 'ExportData.json'), this.brought)
    return this.problems(alone, ['flow']).split('\n').filter(Boolean).map((line) => line.replace(/^.*?flow\.json:\s*/, '')).join('; ') || null
  }

  // What a configuration with these chatflows says of the folder's flows; empty: nothing.
  problems(dir, names) {
    fs.writeFileSync(path.join(dir, 'keys.yaml'), JSON.stringify({ keys: [{ id: 'any', sha256: '0'.repeat(64) }] }))
    const config = { upstreams: { local: { engine: { flows_dir: 'flows' } } }, keys_file: 'keys.yaml', chatflows: Object.fromEntries(names.map((name) => [name, { upstream: 'local' }])) }
    fs.writeFileSync(path.join(dir, 'check.yaml'), JSON.stringify(config))
    const r = spawnSync(this.bin, ['check', '--config', path.join(dir, 'check.yaml')], { encoding: 'utf8', maxBuffer: 1 << 26 })
    return r.status === 0 ? '' : r.stdout + r.stderr
  }

  send(name, body, timeout) {
    return told(this.gateway.url, name, { Authorization: `Bearer ${this.key}` }, body, timeout)
  }
}
