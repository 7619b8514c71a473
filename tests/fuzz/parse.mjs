// Reads texts as Node's body parsers do, and writes what came of them: a list of texts in base64 in, a list of JSON
// texts or nulls out. Names of fields are sorted, since only their values matter.
import { readFileSync } from 'node:fs'

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.keys(value).sort().map((name) => [name, sorted(value[name])])
}

const readings = JSON.parse(readFileSync(process.argv[2], 'utf8')).map((text) => {
  try {
    // As raw-body does it, a byte order mark included.
    const value = JSON.parse(new TextDecoder().decode(Buffer.from(text, 'base64')))
    const isObject = value !== null && typeof value === 'object' && !Array.isArray(value)
    // A lone surrogate may go on as one or as U+FFFD; of bytes that are no text Node makes several, we one.
    return (isObject ? '{' : '') + JSON.stringify(sorted(value)).replace(/\\ud[89a-f][0-9a-f]{2}/g, '\ufffd').replace(/\ufffd+/g, '\ufffd')
  } catch {
    return null
  }
})
process.stdout.write(JSON.stringify(readings))
