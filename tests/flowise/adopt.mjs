#!/usr/bin/env node
// The way out, walked: a Flowise with flows, keys, a variable, credentials, a tool, a document store and chats becomes a
// folder, and the folder's gateway answers what Flowise answered and remembers what was said, with no Flowise where it
// could ask. From its database, and from what its *Export* writes. Started by ./run.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { chat as begin, drawn, llm } from './engine/drawn.mjs'
import { PLACEHOLDER } from './engine/sides.mjs'
import { Gateway, freePort } from './gateway.mjs'
import { startQdrant } from './lab/stub-qdrant.mjs'
import { exchange } from './lab/wire.mjs'
import { cannotStart, check, finish } from './tally.mjs'

const { LAB_JSON, FLOWGATE_BIN, SCRATCH, FLOWISE_LAB_DIR } = process.env
const lab = JSON.parse(fs.readFileSync(LAB_JSON, 'utf8'))
const state = path.join(FLOWISE_LAB_DIR, 'state/data')
const nonce = () => 'nonce' + Math.random().toString(36).slice(2, 10)
const ORIGIN = 'http://allowed.example:8080'

const cookies = {}
async function api(method, target, body) {
  const headers = { 'content-type': 'application/json', 'x-request-from': 'internal', cookie: Object.entries(cookies).map(([k, v]) => `${k}=${v}`).join('; ') }
  const r = await fetch(lab.baseUrl + target, { method, headers, body: body && JSON.stringify(body) })
  for (const cookie of r.headers.getSetCookie()) {
    const [k, v] = cookie.split(';')[0].split(/=(.*)/s)
    cookies[k] = v
  }
  const text = await r.text()
  assert(r.ok, `${method} ${target}: ${r.status} ${text.slice(0, 300)}`)
  return JSON.parse(text)
}

// What the lab does not have yet: a tool, a document store that is searched, flows that use them, and a flow with memory
// for one key alone.
async function furnish(qdrant) {
  await api('POST', '/api/v1/auth/resolve', {})
  await api('POST', '/api/v1/auth/login', { email: lab.adminEmail, password: lab.adminPassword })
  const tool = await forecast()
  const store = await handbook(qdrant)
  const flows = await api('GET', '/api/v1/chatflows')
  const made = async (flow) => {
    const have = flows.find(({ name }) => name === flow.name)
    const body = { deployed: false, isPublic: false, category: '', ...flow }
    return (have ? await api('PUT', `/api/v1/chatflows/${have.id}`, body) : await api('POST', '/api/v1/chatflows', body)).id
  }
  const talk = flows.find((flow) => flow.name === 'conversation-chain')
  const office = await made({ name: 'Back Office: größer', type: 'CHATFLOW', flowData: talk.flowData, apikeyid: lab.apiKeyId })
  const reader = await made({ name: 'Reader', type: 'AGENTFLOW', flowData: JSON.stringify(wired(reading(store))) })
  const forecaster = await made({ name: 'Forecaster', type: 'AGENTFLOW', flowData: JSON.stringify(wired(forecasting(tool))) })
  return { talk: talk.id, office, reader, forecaster }
}

async function forecast() {
  const tools = await api('GET', '/api/v1/tools')
  const have = (tools.data ?? tools).find((tool) => tool.name === 'forecast')
  if (have) await api('DELETE', `/api/v1/tools/${have.id}`)
  const schema = JSON.stringify([{ id: 0, property: 'town', description: 'Where', type: 'string', required: true }])
  const func = "return `${$town.toUpperCase()}: fine, says ${$vars.userId}`"
  return (await api('POST', '/api/v1/tools', { name: 'forecast', description: 'The weather', color: '#fff', schema, func })).id
}

async function handbook(qdrant) {
  const stores = await api('GET', '/api/v1/document-store/store')
  const old = (stores.data ?? stores).find((store) => store.name === 'handbook')
  if (old) await api('DELETE', `/api/v1/document-store/store/${old.id}`)
  const { id: storeId } = await api('POST', '/api/v1/document-store/store', { name: 'handbook', description: 'Of the house' })
  const loader = {
    storeId, loaderId: 'plainText', loaderName: 'Plain Text', loaderConfig: { text: 'Tea is at four.\n\nThe key hangs behind the door.', textSplitter: '', metadata: '', omitMetadataKeys: '' },
    splitterId: 'recursiveCharacterTextSplitter', splitterName: 'Recursive Character Text Splitter', splitterConfig: { chunkSize: 20, chunkOverlap: 1, separators: '' }
  }
  const { id } = await api('POST', '/api/v1/document-store/loader/save', loader)
  await api('POST', `/api/v1/document-store/loader/process/${id}`, { ...loader, id })
  await api('POST', '/api/v1/document-store/vectorstore/insert', {
    storeId, embeddingName: 'openAIEmbeddings', embeddingConfig: { credential: lab.credentials.openAIApi.id, modelName: 'stub-embedding', stripNewLines: '', batchSize: '', timeout: '', basepath: lab.llmBase, dimensions: '' },
    vectorStoreName: 'qdrant', vectorStoreConfig: { credential: lab.credentials.qdrantApi.id, qdrantServerUrl: qdrant, qdrantCollection: storeId, fileUpload: '', qdrantVectorDimension: 64, contentPayloadKey: 'content', metadataPayloadKey: 'metadata', batchSize: '', qdrantSimilarity: 'Cosine', qdrantCollectionConfiguration: '', topK: 2, qdrantFilter: '' },
    recordManagerName: '', recordManagerConfig: {}
  })
  return storeId
}

const reading = (store) => drawn(
  [begin(), ['retriever', { retrieverKnowledgeDocumentStores: [{ documentStore: `${store}:handbook` }], retrieverQuery: '{{ question }}', outputFormat: 'text', retrieverUpdateState: '' }, {}], llm({ llmMessages: [{ role: 'system', content: 'It says: {{ retrieverAgentflow_0 }}. You serve {{ $vars.userId }}.' }] })],
  ['start_0 -> retriever_0', 'retriever_0 -> llm_0']
)
const forecasting = (tool) => drawn(
  [begin(), ['agent', {
    agentModel: 'chatOpenAI', agentMessages: [], agentEnableMemory: true, agentMemoryType: 'allMessages', agentUserMessage: '', agentReturnResponseAs: 'userMessage', agentStructuredOutput: '', agentUpdateState: '',
    agentTools: [{ agentSelectedTool: 'customTool', agentSelectedToolRequiresHumanInput: '', agentSelectedToolConfig: { selectedTool: tool, agentSelectedTool: 'customTool' } }],
    agentModelConfig: { modelName: 'stub-model', temperature: 0.1, streaming: true, basepath: `${PLACEHOLDER}/v1`, agentModel: 'chatOpenAI' }
  }]],
  ['start_0 -> agent_0']
)

// At the lab's model, with its credential.
function wired(flow) {
  const { id } = lab.credentials.openAIApi
  for (const { data } of flow.nodes) for (const name of ['llmModelConfig', 'agentModelConfig']) if (data.inputs[name]) Object.assign(data.inputs[name], { credential: id, FLOWISE_CREDENTIAL_ID: id })
  return JSON.parse(JSON.stringify(flow).split(`${PLACEHOLDER}/v1`).join(lab.llmBase))
}

// Of a gateway or of Flowise. Pages have an origin, programs a key.
async function ask(url, flow, body, key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : { Origin: ORIGIN }
  const r = await exchange(url, { method: 'POST', path: `/api/v1/prediction/${flow}`, headers, body }, { timeout: 30000 })
  return { status: r.status, json: JSON.parse(r.text) }
}

async function modelSaw(mark) {
  const log = await (await fetch(lab.llmBase.replace(/\/v1$/, '/__log'))).json()
  return log.filter((l) => l.kind === 'request' && l.body?.messages && JSON.stringify(l.body).includes(mark)).map((l) => l.body.messages.map((m) => m.content))
}

const BODIES = {
  'agentflow-form': { form: { name: 'Bob', plan: 'paid' } },
  Reader: { question: 'When is tea?' },
  Forecaster: { question: 'How is it in Oslo? [[tool=forecast:{"town":"oslo"}]]' }
}

const flowgate = (...args) => spawnSync(FLOWGATE_BIN, args, { encoding: 'utf8' })

// Starts what was written, as it is, on free ports.
async function serve(name, folder, keys) {
  const dir = path.join(SCRATCH, name)
  fs.cpSync(folder, dir, { recursive: true })
  const gateway = await Gateway.adopted({ bin: FLOWGATE_BIN, dir, pids: path.join(SCRATCH, 'pids') })
  return { url: gateway.url, keys, gateway }
}

const qdrant = await startQdrant()
let ids
try {
  ids = await furnish(qdrant.url)
} catch (e) {
  cannotStart(e)
}
// A flow of either generation, and one for a key alone.
const CHATS = ['talk', 'office', 'forecaster']
const said = Object.fromEntries(CHATS.map((who) => [who, nonce()]))
const chat = Object.fromEntries(CHATS.map((who) => [who, `chat-${nonce()}`]))
for (const who of CHATS) {
  const r = await ask(lab.baseUrl, ids[who], { question: `My word is ${said[who]}`, chatId: chat[who] }, who === 'office' && lab.apiKey)
  assert.equal(r.status, 200, JSON.stringify(r.json))
}

// As whoever leaves would: a copy of the database at rest, and the file that *Export* writes.
const copy = path.join(SCRATCH, 'leaving')
fs.mkdirSync(copy)
for (const file of ['db/database.sqlite', 'secrets/encryption.key']) fs.copyFileSync(path.join(state, file), path.join(copy, path.basename(file)))
const ticked = ['agentflow', 'agentflowv2', 'assistantCustom', 'assistantOpenAI', 'assistantAzure', 'chatflow', 'chat_message', 'chat_feedback', 'custom_template', 'document_store', 'execution', 'tool', 'variable']
const everything = await api('POST', '/api/v1/export-import/export', Object.fromEntries(ticked.map((name) => [name, true])))
// Without the flows of other checks: their credentials hold more than the one value that is filled in below.
for (const [kind, records] of Object.entries(everything)) if (Array.isArray(records)) everything[kind] = records.filter((record) => !record.name?.startsWith('engine: '))
fs.writeFileSync(path.join(copy, 'ExportData.json'), JSON.stringify(everything))

// Where no Flowise is: whatever runs here may not need one.
const nowhere = `http://127.0.0.1:${await freePort()}`
const SIDES = [
  { name: 'database', args: [path.join(copy, 'database.sqlite'), '--encryption-key', path.join(copy, 'encryption.key')] },
  { name: 'export', args: [path.join(copy, 'ExportData.json')] }
]
for (const { name, args } of SIDES) {
  const into = path.join(SCRATCH, `from-${name}`)
  let report
  await check(`${name}: adopt places every flow, what does not run here on Flowise`, () => {
    const r = flowgate('adopt', ...args, '--into', into, '--flowise', nowhere, '--json')
    report = JSON.parse(r.stdout)
    // The lab may hold flows of other checks, which call addresses that only their own settings allow.
    const isMissing = report.flows.some((flow) => flow.needs.some((need) => need.is_needed))
    assert.equal(r.status, isMissing ? 3 : 0, r.stdout + r.stderr)
    assert(report.flows.filter((flow) => flow.verdict === 'runs_here').length >= 15, r.stdout)
    assert.equal(report.flows.filter((flow) => flow.verdict === 'not_placed').length, 0, r.stdout)
    for (const secret of [lab.apiKey, 'sk-stub-throwaway']) assert(!r.stdout.includes(secret))
  })
  await check(`${name}: stores, tools and variables come along`, () => {
    assert.deepEqual([report.document_stores.includes('handbook'), report.tools > 0, report.variables > 0], [true, true, true])
    const { DocumentStore, DocumentStoreFileChunk } = JSON.parse(fs.readFileSync(path.join(into, 'flows/document-stores.json'), 'utf8'))
    const { id } = DocumentStore.find((store) => store.name === 'handbook')
    assert(DocumentStoreFileChunk.filter((chunk) => chunk.storeId === id).length > 1)
  })
  await check(`${name}: check is clean`, () => {
    const r = flowgate('check', '--config', path.join(into, 'flowgate.yaml'))
    assert.equal(r.status, 0, r.stdout + r.stderr)
    assert(!r.stderr.includes('warning'), r.stderr)
  })
  await check(`${name}: a second run changes nothing`, () => {
    const r = flowgate('adopt', ...args, '--into', into, '--flowise', nowhere, '--json')
    const { placed } = JSON.parse(r.stdout)
    assert.deepEqual([placed.written, placed.removed], [[], []])
  })
  // An export has neither keys nor values of credentials and variables: keys are made, the others filled in.
  let key = lab.apiKey
  if (name === 'export') {
    key = fs.readFileSync(path.join(into, 'new-keys.txt'), 'utf8').match(/^flowise-\S+ (\S+)$/m)[1]
    for (const [file, value] of [['credentials.yaml', 'sk-stub-throwaway'], ['flowgate.yaml', 'default-user']])
      fs.writeFileSync(path.join(into, file), fs.readFileSync(path.join(into, file), 'utf8').replaceAll('""   # fill in', `"${value}"`))
  }
  // The database knows the credential of the store's Qdrant, so that is searched: on this machine, which only its operator can allow to be called. The
  // export does not, and its passages are searched in memory.
  const config = path.join(into, 'flowgate.yaml')
  const needs = report.flows.find((flow) => flow.name === 'Reader').needs.map((need) => need.message)
  if (name === 'database') {
    assert.deepEqual(needs, ['needs allow_networks for 127.0.0.1'])
    fs.writeFileSync(config, fs.readFileSync(config, 'utf8').replace(/^( +)flows_dir: .*$/m, '$&\n$1allow_networks: [127.0.0.0/8]'))
  }
  const { url, gateway } = await serve(`serve-${name}`, into)
  try {
    await check(`${name}: a store is searched, and a tool's code runs with a variable`, async () => {
      const [read, told] = [nonce(), nonce()]
      for (const [who, question] of [['reader', `Where hangs the key? ${read}`], ['forecaster', `How is it? ${told} [[tool=forecast:{"town":"oslo"}]]`]]) {
        const r = await ask(url, ids[who], { question })
        assert.equal(r.status, 200, JSON.stringify(r.json))
      }
      const [knew] = await modelSaw(read)
      assert(knew.some((text) => text.includes('The key hangs') && text.includes('You serve default-user')), JSON.stringify(knew))
      const heard = (await modelSaw(told)).flat()
      assert(heard.some((text) => text?.includes('OSLO: fine, says default-user')), JSON.stringify(heard))
    })
    for (const who of CHATS)
      await check(`${name}: a chat of ${who} goes on`, async () => {
        const mark = nonce()
        const r = await ask(url, ids[who], { question: `What was it? ${mark}`, chatId: chat[who] }, who === 'office' && key)
        assert.equal(r.status, 200, JSON.stringify(r.json))
        const [sent] = await modelSaw(mark)
        assert(sent.some((text) => text.includes(said[who])), JSON.stringify(sent))
      })
    await check(`${name}: what wants a key wants it here`, async () => {
      assert.equal((await ask(url, ids.office, { question: 'hi' })).status, 401)
    })
    for (const flow of report.flows.filter((flow) => flow.verdict === 'runs_here' && !flow.name.startsWith('engine: ')))
      await check(`${name}: ${flow.name} answers as Flowise does`, async () => {
        const body = BODIES[flow.name] ?? { question: 'the same question' }
        const both = []
        for (const [at, with_] of [[lab.baseUrl, lab.apiKey], [url, key]])
          both.push(await ask(at, flow.id, body, flow.access === 'key' && with_))
        const [there, here] = both
        assert.equal(here.status, there.status, JSON.stringify(both))
        // Some say the session, which nobody has named.
        const plain = ({ json }) => json.text?.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
        assert.equal(plain(here), plain(there))
      })
  } finally {
    await gateway.stop()
  }
}
qdrant.stop()
finish()
