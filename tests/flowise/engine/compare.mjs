// Two answers to one request, and what two models were sent: the same, but for ids and times?

// Ids and times become words; what one side calls its model's address becomes `<base>`.
export function normal(value, base, mark) {
  if (typeof value === 'string')
    return value
      .split(base).join('<base>')
      .split(new URL(base).pathname).join('<base>')
      .replace(/(http:\/\/127\.0\.0\.1:\d+)?\/[fe]\/@(?=\/)/g, '<outside>')
      .split(mark).join('<run>')
      .replace(/--(----formdata-undici|----flowgate)-[0-9a-z]+/g, '--<boundary>')
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
      .replace(/\b(call_stub|chatcmpl-stub|call|msg|toolu|chatcmpl|run)[-_][A-Za-z0-9-]+/g, '<id>')
      // A vector database's own id of a passage; the engine has none.
      .replace(/,\n {4}"id": "<uuid>"/g, '')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?/g, '<time>')
  if (Array.isArray(value)) return value.map((v) => normal(v, base, mark))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [normal(k, base, mark), k === 'timeMetadata' ? '<times>' : normal(v, base, mark)]))
}

const short = (v) => {
  const text = v === undefined ? 'nothing' : JSON.stringify(v)
  return text.length > 160 ? `${text.slice(0, 110)} … ${text.slice(-40)}` : text
}

// [{at, text}]: every place where they differ.
export function differences(flowise, engine, at = '') {
  if (Object.is(flowise, engine)) return []
  const both = [flowise, engine]
  if (both.every(Array.isArray)) {
    const found = flowise.length === engine.length ? [] : [{ at, text: `${flowise.length} items ≠ ${engine.length}` }]
    for (let i = 0; i < Math.min(flowise.length, engine.length); i++) found.push(...differences(flowise[i], engine[i], `${at}[${i}]`))
    return found
  }
  if (both.every((v) => v && typeof v === 'object' && !Array.isArray(v)))
    return [...new Set([...Object.keys(flowise), ...Object.keys(engine)])].flatMap((k) => differences(flowise[k], engine[k], at ? `${at}.${k}` : k))
  if (both.every((v) => typeof v === 'string')) {
    // Long texts: from where they part.
    let i = 0
    while (i < flowise.length && flowise[i] === engine[i]) i++
    const from = i > 60 ? i - 20 : 0
    return [{ at, text: `${from ? '…' : ''}${short(flowise.slice(from))} ≠ ${from ? '…' : ''}${short(engine.slice(from))}` }]
  }
  // Numbers of a vector are halves as long for some.
  if (/\[\d+\]$/.test(at) && both.every((v) => typeof v === 'number') && Math.fround(flowise) === Math.fround(engine)) return []
  return [{ at, text: `${short(flowise)} ≠ ${short(engine)}` }]
}

const names = (events) => {
  const out = []
  for (const { event } of events) {
    if (out.at(-1)?.event === event) out.at(-1).n++
    else out.push({ event, n: 1 })
  }
  return out.map(({ event, n }) => (n > 1 ? `${event}×${n}` : event)).join(' ')
}

// Streams: first the names in order, then the data of each event.
export function streamDifferences(flowise, engine) {
  const [a, b] = [names(flowise), names(engine)]
  if (a !== b) return [{ at: 'events', text: `${a} ≠ ${b}` }]
  return flowise.flatMap((event, i) => differences(event.data, engine[i].data, `events.${event.event}`))
}
