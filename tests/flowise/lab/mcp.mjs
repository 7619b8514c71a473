// A server of tools: over streamable HTTP with answers in JSON (.../mcp) or in a stream of events (.../mcp-events), and over the stream
// of the protocol's first version (.../mcp-before).
import { createHash, randomUUID } from 'node:crypto'

const SCHEMA = { $schema: 'http://json-schema.org/draft-07/schema#', required: ['text'], additionalProperties: false, properties: { text: { type: 'string', description: 'What to say' } }, type: 'object' }
const TOOLS = [{ inputSchema: SCHEMA, name: 'echo', description: 'Says it again\u200b.' }, { name: 'other.tool', inputSchema: { type: 'object' } }]

// The text `who` is answered with whom the request says it is of, by a digest: the engine takes keys out of answers.
const digest = (text) => createHash('sha256').update(String(text)).digest('hex').slice(0, 12)
function answer({ id, method, params }, who) {
  const whole = (more) => ({ jsonrpc: '2.0', id, ...more })
  if (method === 'initialize') return whole({ result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'stub', version: '1' } } })
  if (method === 'tools/list') return whole({ result: { tools: TOOLS } })
  const { text } = params.arguments
  if (text === 'fail') return whole({ error: { code: -32602, message: 'no such text' } })
  return whole({ result: { content: [{ text: text === 'who' ? digest(who) : text, type: 'text', extra: 1 }, { mimeType: 'image/png', data: 'aGk=', type: 'image' }], isError: text === 'bad' } })
}

export const isMcp = (path) => /\/mcp(-events|-before(\/messages)?)?\/?$/.test(path)
const streams = new Map()

export function mcp(url, req, asked, res) {
  const events = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
  const json = (code, body) => {
    res.writeHead(code, { 'content-type': 'application/json' })
    res.end(JSON.stringify(body))
  }
  const path = url.pathname
  if (path.endsWith('/mcp-before')) {
    if (req.method !== 'GET') return json(405, {})
    const session = randomUUID()
    streams.set(session, res)
    res.on('close', () => streams.delete(session))
    res.writeHead(200, events)
    return res.write(`event: endpoint\ndata: ${path}/messages?session=${session}\n\n`)
  }
  if (req.method !== 'POST') return json(405, {})
  if (path.endsWith('/messages')) {
    const stream = streams.get(url.searchParams.get('session'))
    if (!stream) return json(404, {})
    res.writeHead(202).end('Accepted')
    if (asked.id !== undefined) stream.write(`event: message\ndata: ${JSON.stringify(answer(asked, req.headers.authorization))}\n\n`)
    return
  }
  if (asked.id === undefined) return res.writeHead(202).end()
  if (!path.endsWith('-events')) return json(200, answer(asked, req.headers.authorization))
  res.writeHead(200, events)
  res.write(': a comment\n\n')
  res.end(`event: message\nid: 1\ndata: ${JSON.stringify(answer(asked, req.headers.authorization))}\n\n`)
}
