// The stub's other tongues: Ollama's chat and Google's generateContent, in the words that stub-llm.mjs chooses.
// A tongue: does it speak at this path, the request as OpenAI's would be, and the answer.
const words = (s) => s.match(/\s*\S+/g) ?? (s ? [s] : [])
const textOf = (parts) => (parts ?? []).map((p) => p.text ?? '').join('')

const ollama = {
  speaks: (path) => path.endsWith('/api/chat'),
  asked: (body) => ({ messages: body.messages, tools: body.tools, stream: body.stream !== false, ...(typeof body.format === 'object' ? { response_format: { json_schema: { schema: body.format } } } : {}) }),
  error: (status) => ({ error: `stub error ${status}` }),
  type: 'application/x-ndjson',
  pieces(body, p, usage) {
    const base = { model: body.model, created_at: '2026-01-01T00:00:00.000Z' }
    const done = { done: true, done_reason: 'stop', total_duration: 1, load_duration: 1, prompt_eval_count: usage.in, prompt_eval_duration: 1, eval_count: usage.out, eval_duration: 1 }
    const call = p.tool && [{ function: { name: p.tool.name, arguments: JSON.parse(p.tool.args) } }]
    if (body.stream === false) return [JSON.stringify({ ...base, message: { role: 'assistant', content: p.text ?? '', ...(call ? { tool_calls: call } : {}) }, ...done })]
    const thought = (p.thoughts ?? []).map((thinking) => ({ role: 'assistant', content: '', thinking }))
    const said = [...thought, ...(call ? [{ role: 'assistant', content: '', tool_calls: call }] : words(p.text).map((content) => ({ role: 'assistant', content })))]
    return [...said.map((message) => ({ ...base, message, done: false })), { ...base, message: { role: 'assistant', content: '' }, ...done }].map((o) => `${JSON.stringify(o)}\n`)
  }
}

const thoughts = (p) => (p.thoughts ?? []).map((text) => ({ text, thought: true }))
const gemini = {
  speaks: (path) => /:(streamG|g)enerateContent$/.test(path),
  asked: (body, path) => ({
    messages: (body.contents ?? []).map(({ role, parts }) => {
      const answer = parts.find((p) => p.functionResponse)?.functionResponse.response
      if (answer) return { role: 'tool', content: typeof answer === 'string' ? answer : answer.result ?? answer.content ?? JSON.stringify(answer) }
      return { role: role === 'model' ? 'assistant' : 'user', content: textOf(parts) }
    }),
    tools: (body.tools ?? []).flatMap((t) => t.functionDeclarations ?? []).map((f) => ({ function: f })),
    stream: path.endsWith(':streamGenerateContent'),
    ...(body.generationConfig?.responseSchema ? { response_format: { json_schema: { schema: body.generationConfig.responseSchema } } } : {})
  }),
  error: (status) => ({ error: { code: status, message: `stub error ${status}`, status: 'UNAVAILABLE' } }),
  type: 'text/event-stream',
  pieces(body, p, usage, path) {
    const piece = (parts, more = {}) => ({ candidates: [{ content: { role: 'model', parts }, index: 0, ...more }], usageMetadata: { promptTokenCount: usage.in, candidatesTokenCount: usage.out, totalTokenCount: usage.in + usage.out }, modelVersion: 'stub-model' })
    const call = p.tool && [{ functionCall: { name: p.tool.name, args: JSON.parse(p.tool.args) } }]
    if (!path.endsWith(':streamGenerateContent')) return [JSON.stringify(piece([...thoughts(p), ...(call ?? [{ text: p.text }])], { finishReason: 'STOP' }))]
    const said = [...thoughts(p).map((part) => [part]), ...(call ? [call] : (p.text ? words(p.text) : ['']).map((text) => [{ text }]))]
    return said.map((parts, i) => `data: ${JSON.stringify(piece(parts, i === said.length - 1 ? { finishReason: 'STOP' } : {}))}\r\n\r\n`)
  }
}

export const TONGUES = [ollama, gemini]

// Answers in a tongue, with its delays and its breaks.
export async function speak(tongue, res, body, p, usage, path, { json, sleep }) {
  if (p.first) await sleep(p.first)
  if (p.error) return json(p.error, tongue.error(p.error))
  const pieces = tongue.pieces(body, p, usage, path)
  res.writeHead(200, { 'content-type': tongue.asked(body, path).stream ? tongue.type : 'application/json' })
  for (const [i, piece] of pieces.entries()) {
    if (p.delay) await sleep(p.delay)
    if (res.destroyed) return
    if (p.cut != null && i >= p.cut) return res.destroy()
    res.write(piece)
  }
  res.end()
}
