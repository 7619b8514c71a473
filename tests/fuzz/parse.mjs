// Reads texts as Node's body parsers do, and writes what came of them: a list of texts in base64 in, a list of JSON
// texts or nulls out. Names of fields are sorted as they are written, since only their values matter.
import { readFileSync } from 'node:fs'

// A lone surrogate may go on as one or as U+FFFD; of bytes that are no text Node makes several, we one.
const mended = (text) => text.replace(/\\ud[89a-f][0-9a-f]{2}/g, '\ufffd').replace(/\ufffd+/g, '\ufffd')
const written = (value) => mended(JSON.stringify(value))

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  const names = Object.keys(value).map((name) => [written(name), name])
  return names.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => [name, sorted(value[name])])
}

const readings = JSON.parse(readFileSync(process.argv[2], 'utf8')).map((text) => {
  try {
    // As raw-body does it, a byte order mark included.
    const value = JSON.parse(new TextDecoder().decode(Buffer.from(text, 'base64')))
    const isObject = value !== null && typeof value === 'object' && !Array.isArray(value)
    return (isObject ? '{' : '') + written(sorted(value))
  } catch {
    return null
  }
})
process.stdout.write(JSON.stringify(readings))
