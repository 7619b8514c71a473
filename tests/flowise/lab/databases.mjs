// Vector databases: each finds the same passages, in its own words.
const PASSAGES = [
  { id: 'p1', score: 0.9, text: 'The Aurora gateway listens on port 4711.', metadata: { source: 'manual', page: 1 } },
  { id: 'p2', score: 0.7, text: 'The Borealis kettle has a warranty of two years, "quoted" & Zażółć.', metadata: { source: 'leaflet', page: 2 } },
  { id: 'p3', score: 0.4, text: 'Nothing of this is about kettles.', metadata: { source: 'other', page: 3 } }
]
const most = (n) => PASSAGES.slice(0, Number(n) || 4)
const near = ({ score }) => Number((1 - score).toFixed(2))

const pinecone = ({ method, path, query, body }) => {
  if (path.endsWith('/query')) return { body: { matches: most(body.topK).map(({ id, score, text, metadata }) => ({ id, score, values: body.includeValues ? [1, 0] : [], metadata: { ...metadata, text } })), namespace: body.namespace ?? '' } }
  if (path.endsWith('/vectors/fetch')) return { body: { namespace: '', usage: { readUnits: 1 }, vectors: Object.fromEntries(PASSAGES.filter(({ id }) => query.getAll('ids').includes(id)).map(({ id, text, metadata }) => [id, { id, values: [1, 0], metadata: { ...metadata, text } }])) } }
  if (path.endsWith('/vectors/upsert')) return { body: { upsertedCount: body.vectors.length } }
  if (path.endsWith('/vectors/delete')) return { body: {} }
  const name = path.split('/').at(-1)
  if (method === 'GET') return { body: { name, dimension: 64, metric: 'cosine', host: 'stub-index.svc.pinecone.io', spec: { serverless: { cloud: 'aws', region: 'x' } }, status: { ready: true, state: 'Ready' }, vectorType: 'dense', vector_type: 'dense', deletion_protection: 'disabled' } }
  return { status: 404, body: { error: { code: 'NOT_FOUND', message: 'no such index' } } }
}

const hits = (body) => {
  const size = body?.size ?? 4
  return { body: { took: 1, timed_out: false, hits: { total: { value: 3 }, max_score: 0.9, hits: most(size).map(({ id, score, text, metadata }) => ({ _index: 'idx', _id: id, _score: score, _source: { text, metadata } })) } }, headers: { 'x-elastic-product': 'Elasticsearch' } }
}
const elastic = ({ method, path, body }) => {
  if (path.endsWith('/_search')) return hits(body)
  if (method === 'HEAD') return { status: 200, body: '', headers: { 'x-elastic-product': 'Elasticsearch' } }
  return { body: { name: 'stub', version: { number: '8.12.0', build_flavor: 'default' }, tagline: 'You Know, for Search', acknowledged: true, errors: false, items: [] }, headers: { 'x-elastic-product': 'Elasticsearch' } }
}

const chroma = ({ method, path, body }) => {
  if (path.endsWith('/query'))
    return { body: { ids: [most(body.n_results).map((p) => p.id)], distances: [most(body.n_results).map(near)], documents: [most(body.n_results).map((p) => p.text)], metadatas: [most(body.n_results).map((p) => p.metadata)], embeddings: null, uris: null, include: body.include } }
  if (path.endsWith('/collections') || /\/collections\/[^/]+$/.test(path)) return { body: { id: '0a0a0a0a-0000-4000-8000-000000000001', name: body?.name ?? path.split('/').at(-1), metadata: null, dimension: 64, tenant: 'tenant', database: 'base', configuration_json: {}, log_position: 0, version: 0 } }
  if (path.endsWith('/auth/identity')) return { body: { user_id: 'u', tenant: 'tenant', databases: ['base'] } }
  if (path.endsWith('/pre-flight-checks')) return { body: { max_batch_size: 1000 } }
  return method === 'GET' ? { body: { 'nanosecond heartbeat': 1 } } : { body: {} }
}

const qdrant = ({ method, path, body }) => {
  const point = ({ id, score, text, metadata }) => ({ id, version: 1, score, payload: { content: text, metadata } })
  const result = (result) => ({ body: { result, status: 'ok', time: 0.001 } })
  if (path.endsWith('/points/query')) return result({ points: most(body.limit).map(point) })
  if (path.endsWith('/points/search')) return result(most(body.limit).map(point))
  if (path.endsWith('/collections')) return result({ collections: [{ name: 'idx' }] })
  if (path.endsWith('/exists')) return result({ exists: true })
  if (method === 'GET') return path === '/' ? { body: { title: 'qdrant', version: '1.13.0' } } : result({ status: 'green', config: { params: { vectors: { size: 64, distance: 'Cosine' } } } })
  return result(true)
}

const supabase = ({ query, body }) => ({ body: most(query.get('limit') ?? body?.match_count).map(({ score, text, metadata }, at) => ({ id: at + 1, content: text, metadata, similarity: score })) })
const upstash = ({ path, body }) => ({ body: path.endsWith('/info') ? { result: { vectorCount: 3, dimension: 64 } } : { result: most((Array.isArray(body) ? body[0] : body)?.topK).map(({ id, score, text, metadata }) => ({ id, score, metadata: { ...metadata, _pageContentLC: text } })) } })
const astra = ({ body }) => {
  const [command, { options = {} }] = Object.entries(body)[0]
  if (command === 'createCollection' || command === 'createNamespace') return { body: { status: { ok: 1 } } }
  if (command === 'insertMany') return { body: { status: { insertedIds: body.insertMany.documents.map((d) => d._id), documentResponses: body.insertMany.documents.map((d) => ({ _id: d._id, status: 'OK' })) } } }
  if (command === 'findCollections') return { body: { status: { collections: [] } } }
  return { body: { data: { documents: most(options.limit).map(({ id, score, text, metadata }) => ({ _id: id, text, ...metadata, $similarity: score })), nextPageState: null } } }
}
// Finds as many as it is asked for, and sums up what it found by the second and the first.
const vectara = ({ path, body }) => {
  if (path.endsWith('/index')) return { body: { status: { code: 'OK', statusDetail: '' }, quotaConsumed: {} } }
  const [{ query, numResults, summary }] = body.query
  const found = most(numResults)
  const named = (fields) => Object.entries(fields).map(([name, value]) => ({ name, value: String(value) }))
  const said = (code, statusDetail) => ({ text: '', status: [{ code, statusDetail }] })
  const told = query.includes('forbidden') ? said('NOT_FOUND', 'Failed to retrieve summarizer.') : query.includes('too much') ? said('BAD_REQUEST', '') : { text: 'It is the port [2], says the manual [1] (see [2]).', lang: 'eng', status: [] }
  return { body: { responseSet: [{ response: found.map(({ text, score }, documentIndex) => ({ text, score, documentIndex, corpusKey: {}, metadata: named({ lang: 'eng' }) })), document: found.map(({ id, metadata }) => ({ id, metadata: named(metadata) })), summary: summary ? [told] : [], status: [] }], status: [] } }
}
export const DATABASES = {
  'api.pinecone.io': pinecone, 'stub-index.svc.pinecone.io': pinecone,
  'elastic.example': elastic, 'opensearch.example': elastic,
  'chroma.example': chroma, 'qdrant.example': qdrant, 'stub.supabase.co': supabase, 'stub-vector.upstash.io': upstash,
  'stub.astra.datastax.com': astra, 'api.vectara.io': vectara
}
