// Document stores, made in a real Flowise through its API and upserted into a stub of Qdrant, and what its
// *Settings > Export* writes of them.
import { TOOLS_OF_ONES_OWN } from './flowtools.mjs'
import { startQdrant } from '../lab/stub-qdrant.mjs'

const PARAGRAPHS = {
  'ai paper': ['The paper surveys generative models: adversarial networks, diffusion models and transformers.', 'Diffusion models learn to take noise away, step by step. [[say={"output": "Relevant"}]]', 'Transformers attend to all words of a text at once. [[say={"output": "Irrelevant"}]]', 'Future work asks who owns what a model has made. [[say={"output": "Irrelevant"}]]', 'An appendix lists the data sets, "quoted" & Zażółć.'],
  'AI-Paper': ['AIGC means content that a machine has generated.', 'Its challenges are truth, copyright and the price of electricity.', 'Its applications are drafts, pictures and code.']
}
// Where the names stand in a flow: as templates have them with another Flowise's id, and as cases here have them.
const NAMED = new RegExp(`[0-9a-f-]{36}:(${Object.keys(PARAGRAPHS).join('|')})`, 'g')
const MARKED = new RegExp(`STORE (${Object.keys(PARAGRAPHS).join('|')})`, 'g')

export class Stores {
  constructor(lab) {
    this.lab = lab
    this.stub = lab.llmBase.replace(/\/v1$/, '')
    this.cookies = {}
    this.ids = {}
    this.tools = {}
  }

  // As the admin in a browser: API keys cannot export.
  async api(method, path, body) {
    const cookie = Object.entries(this.cookies).map(([k, v]) => `${k}=${v}`).join('; ')
    const r = await fetch(`${this.lab.baseUrl}/api/v1/${path}`, { method, headers: { 'content-type': 'application/json', 'x-request-from': 'internal', cookie }, body: body && JSON.stringify(body) })
    for (const c of r.headers.getSetCookie()) {
      const [k, v] = c.split(';')[0].split(/=(.*)/s)
      this.cookies[k] = v
    }
    const text = await r.text()
    if (!r.ok) throw new Error(`${method} ${path} -> ${r.status} ${text.slice(0, 300)}`)
    return text ? JSON.parse(text) : null
  }

  async prepare() {
    this.qdrant = await startQdrant()
    await this.api('POST', 'auth/login', { email: this.lab.adminEmail, password: this.lab.adminPassword })
    const existing = await this.api('GET', 'document-store/store')
    for (const { id, name } of existing.data ?? existing) if (name in PARAGRAPHS) await this.api('DELETE', `document-store/store/${id}`)
    for (const [name, paragraphs] of Object.entries(PARAGRAPHS)) this.ids[name] = await this.make(name, paragraphs.join('\n\n'))
    const tools = await this.api('GET', 'tools')
    for (const tool of TOOLS_OF_ONES_OWN) {
      const have = (tools.data ?? tools).find(({ name }) => name === tool.name)
      this.tools[tool.name] = (have ? await this.api('PUT', `tools/${have.id}`, tool) : await this.api('POST', 'tools', tool)).id
    }
    this.before = (await this.log('f')).at(-1)?.id ?? 0
  }

  async make(name, text) {
    const { id: storeId } = await this.api('POST', 'document-store/store', { name, description: `About ${name}` })
    const loader = {
      storeId, loaderId: 'plainText', loaderName: 'Plain Text', loaderConfig: { text, textSplitter: '', metadata: '{"topic":"ai"}', omitMetadataKeys: '' },
      splitterId: 'recursiveCharacterTextSplitter', splitterName: 'Recursive Character Text Splitter', splitterConfig: { chunkSize: 100, chunkOverlap: 10, separators: '' }
    }
    const { id } = await this.api('POST', 'document-store/loader/save', loader)
    await this.api('POST', `document-store/loader/process/${id}`, { ...loader, id })
    const credential = this.lab.credentials.openAIApi.id
    await this.api('POST', 'document-store/vectorstore/insert', {
      storeId, embeddingName: 'openAIEmbeddings', embeddingConfig: { credential, modelName: 'stub-embedding', stripNewLines: '', batchSize: '', timeout: '', basepath: `${this.stub}/f/stores/v1`, dimensions: '' },
      vectorStoreName: 'qdrant', vectorStoreConfig: { credential: '', qdrantServerUrl: this.qdrant.url, qdrantCollection: storeId, fileUpload: '', qdrantVectorDimension: 64, contentPayloadKey: 'content', metadataPayloadKey: 'metadata', batchSize: '', qdrantSimilarity: 'Cosine', qdrantCollectionConfiguration: '', topK: 2, qdrantFilter: '' },
      recordManagerName: '', recordManagerConfig: {}
    })
    return storeId
  }

  // The file that goes beside the engine's flows, its embeddings at the engine's own address.
  async exported() {
    const all = await this.api('POST', 'export-import/export', { document_store: true, variable: true, tool: true })
    const { FileDefaultName, ...arrays } = all
    return JSON.stringify(arrays, null, 2).split('/f/stores/v1').join('/e/stores/v1')
  }

  // A flow with this Flowise's stores; templates go to the engine as they are.
  chosen(flow, isFlowise) {
    const text = JSON.stringify(flow).replace(MARKED, (_, name) => this.ids[name]).replace(/TOOL (\w+)/g, (whole, name) => this.tools[name] ?? whole)
    return JSON.parse(isFlowise ? text.replace(NAMED, (_, name) => `${this.ids[name]}:${name}`) : text)
  }

  async log(side) {
    const log = await (await fetch(`${this.stub}/__log?prefix=/${side}/stores/&after=${this.before ?? 0}`)).json()
    return log.filter((l) => l.kind === 'request')
  }

  // What was asked of the stores, by side: the same questions, whatever their order.
  async questions() {
    const of = async (side) => (await this.log(side)).map((l) => l.body.input).filter((input) => typeof input === 'string').sort()
    return [await of('f'), await of('e')]
  }
}
