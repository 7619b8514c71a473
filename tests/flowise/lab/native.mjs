// The stub's other tongues: Ollama's chat, Google's generateContent, Anthropic's messages and OpenAI's completions of before, in the words that stub-llm.mjs chooses.
// A tongue: does it speak at this path, the request as OpenAI's would be, and the answer.
const words = (s) => s.match(/\s*\S+/g) ?? (s ? [s] : [])
const textOf = (parts) => (parts ?? []).map((p) => p.text ?? '').join('')

const ollama = {
  speaks: (path) => /\/api\/(chat|generate)$/.test(path),
  asked: (body) => ({ messages: body.messages ?? [{ role: 'user', content: body.prompt }], tools: body.tools, stream: body.stream !== false, ...(typeof body.format === 'object' ? { response_format: { json_schema: { schema: body.format } } } : {}) }),
  error: (status) => ({ error: `stub error ${status}` }),
  type: 'application/x-ndjson',
  pieces(body, p, usage) {
    const base = { model: body.model, created_at: '2026-01-01T00:00:00.000Z' }
    const is = (message) => (body.messages ? { message } : { response: message.content })
    const done = { done: true, done_reason: 'stop', total_duration: 1, load_duration: 1, prompt_eval_count: usage.in, prompt_eval_duration: 1, eval_count: usage.out, eval_duration: 1 }
    const call = p.tool && [{ function: { name: p.tool.name, arguments: JSON.parse(p.tool.args) } }]
    if (body.stream === false) return [JSON.stringify({ ...base, ...is({ role: 'assistant', content: p.text ?? '', ...(call ? { tool_calls: call } : {}) }), ...done })]
    const thought = (p.thoughts ?? []).map((thinking) => ({ role: 'assistant', content: '', thinking }))
    const said = [...thought, ...(call ? [{ role: 'assistant', content: '', tool_calls: call }] : words(p.text).map((content) => ({ role: 'assistant', content })))]
    return [...said.map((message) => ({ ...base, ...is(message), done: false })), { ...base, ...is({ role: 'assistant', content: '' }), ...done }].map((o) => `${JSON.stringify(o)}\n`)
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
    ...(body.toolConfig?.functionCallingConfig?.allowedFunctionNames ? { tool_choice: { function: { name: body.toolConfig.functionCallingConfig.allowedFunctionNames[0] } } } : {}),
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

// Texts of a message, and a result of a tool in its own role, as OpenAI has it.
const spoken = ({ role, content }) => {
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  const result = parts.find((p) => p.type === 'tool_result')
  if (result) return { role: 'tool', content: typeof result.content === 'string' ? result.content : textOf(result.content) }
  return { role, content: textOf(parts) }
}
const anthropic = {
  speaks: (path) => path.endsWith('/v1/messages'),
  asked: (body) => ({
    messages: body.messages.map(spoken),
    tools: (body.tools ?? []).map(({ name, input_schema }) => ({ function: { name, parameters: input_schema } })),
    ...(body.tool_choice?.type === 'tool' ? { tool_choice: { function: { name: body.tool_choice.name } } } : {}),
    stream: body.stream === true
  }),
  error: (status) => ({ type: 'error', error: { type: 'api_error', message: `stub error ${status}` } }),
  type: 'text/event-stream',
  pieces(body, p, usage) {
    const id = `toolu_stub${body.messages.length}`
    const thinking = (p.thoughts ?? []).join('')
    const before = thinking ? [{ type: 'thinking', thinking, signature: 'sig' }] : []
    const block = p.tool ? { type: 'tool_use', id, name: p.tool.name, input: JSON.parse(p.tool.args) } : { type: 'text', text: p.text ?? '' }
    const stop = p.tool ? 'tool_use' : 'end_turn'
    const message = { id: 'msg_stub', type: 'message', role: 'assistant', model: body.model, content: [...before, block], stop_reason: stop, stop_sequence: null, usage: { input_tokens: usage.in, output_tokens: usage.out } }
    if (!body.stream) return [JSON.stringify(message)]
    const index = before.length
    const delta = (delta, at = index) => ({ type: 'content_block_delta', index: at, delta })
    return [
      { type: 'message_start', message: { ...message, content: [], stop_reason: null, usage: { input_tokens: usage.in, output_tokens: 1 } } },
      ...before.flatMap(() => [
        { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
        ...p.thoughts.map((thinking) => delta({ type: 'thinking_delta', thinking }, 0)), delta({ type: 'signature_delta', signature: 'sig' }, 0), { type: 'content_block_stop', index: 0 }
      ]),
      { type: 'content_block_start', index, content_block: p.tool ? { ...block, input: {} } : { type: 'text', text: '' } },
      ...(p.tool ? [delta({ type: 'input_json_delta', partial_json: p.tool.args })] : words(p.text).map((text) => delta({ type: 'text_delta', text }))),
      { type: 'content_block_stop', index },
      { type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: usage.out } },
      { type: 'message_stop' }
    ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  }
}

const completions = {
  // Together's has an address of its own.
  speaks: (path) => path.endsWith('/inference') || (path.endsWith('/completions') && !path.endsWith('/chat/completions')),
  asked: (body) => ({ messages: [{ role: 'user', content: [body.prompt].flat().join('') }], stream: body.stream === true }),
  error: (status) => ({ error: { message: `stub error ${status}`, type: 'stub_error', param: null, code: null } }),
  type: 'text/event-stream',
  pieces(body, p, usage) {
    const whole = (text, finish_reason, more = {}) => ({ id: 'cmpl-stub', object: 'text_completion', created: 1700000000, model: body.model, choices: [{ index: 0, text, logprobs: null, finish_reason }], output: { choices: [{ text }] }, ...more })
    const counted = { usage: { prompt_tokens: usage.in, completion_tokens: usage.out, total_tokens: usage.in + usage.out } }
    if (!body.stream) return [JSON.stringify(whole(p.text, 'stop', counted))]
    return [...words(p.text).map((text) => whole(text, null)), whole('', 'stop', counted)].map((o) => `data: ${JSON.stringify(o)}\n\n`).concat('data: [DONE]\n\n')
  }
}

// One text for another, of Hugging Face and of Cohere.
const texts = {
  speaks: (path) => path.endsWith('/v1/generate') || /\/hf-inference\/models\/[\w.-]+$/.test(path),
  asked: (body) => ({ messages: [{ role: 'user', content: body.prompt ?? body.inputs }], stream: false }),
  error: (status) => ({ message: `stub error ${status}`, error: `stub error ${status}` }),
  type: 'application/json',
  pieces: (body, p, usage, path) => [JSON.stringify(path.endsWith('/v1/generate') ? { id: 'g', prompt: body.prompt, generations: [{ id: 'g1', text: p.text }], meta: { api_version: { version: '1' } } } : [{ generated_text: p.text }])]
}

export const TONGUES = [ollama, gemini, anthropic, completions, texts]

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
