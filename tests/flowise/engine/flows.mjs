// The example exports, and what requests of them are made of.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const FLOWS = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'flows')
export const load = (file) => JSON.parse(fs.readFileSync(path.join(FLOWS, `${file}.json`), 'utf8'))
export const changed = (flow, change) => {
  change(flow)
  return flow
}
export const inputs = (flow, kind) => flow.nodes.find((n) => n.data.name === kind).data.inputs

const PNG = 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
export const image = [{ type: 'file', name: 'dot.png', data: PNG, mime: 'image/png' }]
export const document = [{ type: 'file:full', name: 'a.txt', data: 'text of the file', mime: 'text/plain' }]
export const EARLIER = [{ role: 'userMessage', content: 'earlier question' }, { role: 'apiMessage', content: 'earlier answer' }]
export const CALCULATE = 'Compute [[tool=calculator:{"input":"6*7"}]]'

// A request; `$name` as a chatId stands for a chat of this run.
export const ask = (title, body) => ({ title, body })
// Puts into a vector store what is connected to it.
export const upsert = (more = {}) => ask('upsert', { at: 'vector/upsert', ...more })
// As JSON and as a stream.
export const both = (title, body) => [ask(`${title}, JSON`, body), ask(`${title}, stream`, { ...body, streaming: true })]
