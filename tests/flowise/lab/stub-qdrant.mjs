// A vector database that speaks as much of Qdrant's HTTP API as Flowise's node asks for: collections in memory, points put
// in and the nearest found again by the cosine of the angle.
import http from 'node:http'

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0)
const cosine = (a, b) => dot(a, b) / (Math.hypot(...a) * Math.hypot(...b) || 1)

// Resolves to its address and how to stop it.
export async function startQdrant() {
  const collections = new Map()
  const answer = (method, [, name, points, query], body) => {
    if (!name) return { collections: [...collections.keys()].map((name) => ({ name })) }
    if (method === 'PUT' && !points) return Boolean(collections.set(name, new Map()))
    const all = collections.get(name)
    if (!all) return undefined
    if (method === 'PUT') body.points.forEach((point) => all.set(point.id, point))
    if (query !== 'query') return { status: 'completed', operation_id: 1 }
    const near = (point) => ({ id: point.id, version: 1, score: cosine(body.query, point.vector), payload: point.payload })
    return { points: [...all.values()].map(near).sort((a, b) => b.score - a.score).slice(0, body.limit) }
  }
  const server = http.createServer(async (req, res) => {
    const chunks = []
    for await (const chunk of req) chunks.push(chunk)
    const { pathname } = new URL(req.url, 'http://stub')
    const body = chunks.length ? JSON.parse(Buffer.concat(chunks).toString('utf8')) : null
    const parts = pathname.split('/').filter(Boolean)
    const result = parts[0] === 'collections' ? answer(req.method, parts.map(decodeURIComponent), body) : undefined
    const told = parts.length === 0 ? { title: 'qdrant - vector search engine', version: '1.15.0' } : { result, status: 'ok', time: 0 }
    res.writeHead(parts.length && result === undefined ? 404 : 200, { 'content-type': 'application/json' })
    res.end(JSON.stringify(told))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() }
}
