// Services that keep what was said, each side's by itself: a Redis of Upstash, Zep, Mem0.
const lists = new Map()
const listOf = (side, key) => {
  const whole = `${side} ${key}`
  if (!lists.has(whole)) lists.set(whole, [])
  return lists.get(whole)
}

const command = (side, [name, key, ...more]) => {
  const list = listOf(side, key)
  switch (String(name).toLowerCase()) {
    case 'lrange': return list.slice(more[0], Number(more[1]) === -1 ? undefined : Number(more[1]) + 1)
    case 'lpush': return list.unshift(...more)
    case 'expire': return 1
    default: return null
  }
}
// Upstash tells texts in Base64 to whoever asks for it.
const told = (value, encode) => (!encode ? value : Array.isArray(value) ? value.map((v) => told(v, true)) : typeof value === 'string' ? Buffer.from(value).toString('base64') : value)
const upstash = ({ side, path, body, headers }) => {
  const encode = headers['upstash-encoding'] === 'base64'
  if (path.endsWith('/pipeline')) return { body: body.map((one) => ({ result: told(command(side, one), encode) })) }
  return { body: { result: told(command(side, body), encode) } }
}

const zep = ({ side, method, path, query, body }) => {
  const [, session] = path.match(/^\/api\/v1\/sessions\/([^/]+)\/memory$/) ?? []
  if (!session) return path === '/healthz' ? { type: 'text/plain', body: '.' } : { status: 404, body: { message: 'not found' } }
  const list = listOf(side, `zep ${session}`)
  if (method === 'POST') {
    list.push(...body.messages)
    return { type: 'text/plain', body: 'OK' }
  }
  if (!list.length) return { status: 404, body: { code: 404, message: 'not found' } }
  const summary = list.length > 4 ? { uuid: 's', content: 'They spoke before.', created_at: '2024-01-01T00:00:00Z', token_count: 4 } : null
  return { body: { messages: list.slice(-(Number(query.get('lastn')) || 100)).map((m, at) => ({ uuid: `m${at}`, created_at: '2024-01-01T00:00:00Z', token_count: 1, ...m })), summary, metadata: {} } }
}

const cloud = ({ side, method, path, body }) => {
  const [, session] = path.match(/\/sessions\/([^/]+)\/memory$/) ?? []
  if (!session) return { status: 404, body: { message: 'not found' } }
  const list = listOf(side, `cloud ${session}`)
  if (method === 'POST') {
    list.push(...body.messages)
    return { body: { message: 'ok' } }
  }
  if (!list.length) return { status: 404, body: { message: 'not found' } }
  return { body: { messages: list.map((m, at) => ({ uuid: `m${at}`, created_at: '2024-01-01T00:00:00Z', ...m })), facts: ['Ada is here.'], summary: { content: 'They spoke.' } } }
}

const mem0 = ({ path, body }) => {
  if (path.startsWith('/v1/ping')) return { body: { status: 'ok', org_id: 'O', project_id: 'P', user_email: 'e@example.com' } }
  if (path.includes('/search')) return { body: [{ id: '1', memory: 'likes tea', user_id: body.user_id, score: 0.9 }, { id: '2', memory: 'is "old"', user_id: body.user_id, score: 0.5 }] }
  return { body: [] }
}

export const MEMORIES = { 'stub-redis.upstash.io': upstash, 'zep.example': zep, 'api.mem0.ai': mem0, 'api.getzep.com': cloud }
