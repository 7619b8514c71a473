// Record managers: what is put in twice, and what is not there any more, in every database that gives it up.
import { ask, changed, upsert } from './flows.mjs'
import { KINDS, stored } from './databases.mjs'

// Flowise keeps records from one run of these to the next, and tells their times in seconds.
const RUN = Date.now().toString(36)
const recorded = (kind, cleanup, sourceIdKey = '') => changed(stored(kind, KINDS[kind], true), (flow) => {
  const id = 'SQLiteRecordManager_0'
  const { data } = flow.nodes.find((n) => n.id === 'memoryVectorStore_0')
  data.inputs.recordManager = `{{${id}.data.instance}}`
  const inputs = { additionalConfig: '', tableName: '', namespace: `${kind}-${cleanup}-${RUN}`, cleanup, sourceIdKey }
  flow.nodes.push({ id, type: 'customNode', position: { x: 0, y: 0 }, data: { id, label: id, name: 'SQLiteRecordManager', type: 'SQLiteRecordManager', version: 1, category: 'Record Manager', baseClasses: ['RecordManager'], inputs, outputs: {}, inputParams: Object.keys(inputs).map((name) => ({ name, label: name, type: 'string' })), inputAnchors: [], outputAnchors: [{ id: `${id}-output`, name: id, label: id, type: id }] } })
  flow.edges.push({ id: 'e-records', source: id, sourceHandle: `${id}-output`, target: 'memoryVectorStore_0', targetHandle: 'memoryVectorStore_0-input-recordManager-x', type: 'buttonedge', data: {} })
})
const other = (title, text) => ask(title, { ...upsert().body, overrideConfig: { text } })
const STEPS = [upsert(), ask('again', upsert().body), other('another text', 'The Aurora gateway was retired in the autumn.'), other('that text again', 'The Aurora gateway was retired in the autumn.')]

export const RECORDS = ['pinecone', 'qdrant', 'chroma', 'supabase', 'elasticsearch', 'upstash'].flatMap((kind) => ['none', 'full', 'incremental'].map((cleanup) => (
  { name: `records-${kind}-${cleanup}`, outside: true, flow: recorded(kind, cleanup, 'source'), overridable: { 'Plain Text': ['text'] }, allow: ['text'], pause: 1100, steps: STEPS }
)))
