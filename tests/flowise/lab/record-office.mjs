#!/usr/bin/env node
// Writes what a real Flowise has for the nodes of Google, Microsoft and Jira, into src/engine/nodes/tools/office/: specs/, what models are
// told of each action, and recorded.jsonl, what each action asks of its service and tells of the answer, one case a line. Nothing is sent:
// every request is answered here. Only needed for another release of Flowise.
//
//   node record-office.mjs $FLOWISE_LAB_DIR/flowise-3.1.4
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'

const components = path.join(path.resolve(process.argv[2]), 'node_modules/flowise-components')
const OUT = path.join(path.dirname(new URL(import.meta.url).pathname), '../../../src/engine/nodes/tools/office')
const require = createRequire(path.join(components, 'package.json'))
const { zodToJsonSchema } = require('zod-to-json-schema')

const ANSWER = {
  id: 'a1',
  documentId: 'd 1',
  value: [{ id: 'm1', userId: 'userId-1', message: { id: 'messageId-1' } }, { id: 'm2' }],
  body: { content: [{ endIndex: 5 }, { endIndex: 9, paragraph: { elements: [{ textRun: { content: 'Hi ü\n' } }, {}] } }] },
}
const PREFIX = '\n\n----FLOWISE_TOOL_ARGS----\n\n'

let status = 200
let requests = []
const answered = async (url, { method = 'GET', headers = {}, body } = {}) => {
  const { origin } = new URL(url)
  requests.push({ line: `${method} ${url.slice(origin.length).replace(/\?$/, '')}`, origin, kind: headers['Content-Type'], body: body ?? '' })
  const text = status === 200 ? JSON.stringify(ANSWER) : '{"error":"no"}'
  return { ok: status === 200, status, statusText: status === 200 ? 'OK' : 'Not Found', text: async () => text, json: async () => JSON.parse(text) }
}
for (const name of ['node-fetch']) {
  const file = require.resolve(name)
  require(file)
  require.cache[file].exports = Object.assign(answered, { default: answered, __esModule: true })
}
require(path.join(components, 'dist/src/httpSecurity.js')).secureFetch = answered
globalThis.fetch = answered

const SERVICES = {
  gmail: ['Gmail', 'createGmailTools'],
  calendar: ['GoogleCalendar', 'createGoogleCalendarTools'],
  docs: ['GoogleDocs', 'createGoogleDocsTools'],
  drive: ['GoogleDrive', 'createGoogleDriveTools'],
  sheets: ['GoogleSheets', 'createGoogleSheetsTools'],
  outlook: ['MicrosoftOutlook', 'createOutlookTools'],
  teams: ['MicrosoftTeams', 'createTeamsTools'],
  jira: ['Jira', 'createJiraTools'],
}

// Arguments of each kind; ids are such that they need no encoding, which Flowise forgets in most places.
const sample = (name, schema) => {
  if (schema.enum) return schema.enum.at(-1)
  if (schema.type === 'number') return 3
  if (schema.type === 'boolean') return true
  if (schema.type === 'array') return ['a', 'b c']
  if (schema.type === 'object') return { type: 'role', value: 'v' }
  if (name === 'values') return '[[1,"a"],["ü"]]'
  if (name === 'range' || name === 'ranges') return 'Sheet 1!A1:B2, C3'
  if (/^(to|cc|bcc|attendees|forwardTo|members|parents|calendarIds)$/.test(name)) return 'ann@x.example, bo@x.example'
  if (/(id|key)$/i.test(name)) return `${name}-1`
  if (/time|date/i.test(name)) return '2026-01-02T03:04:05+01:00'
  return `${name} é&=+"x"`
}

const lines = []
for (const [file, [folder, create]] of Object.entries(SERVICES)) {
  const core = path.join(components, `dist/nodes/tools/${folder}/core.js`)
  const source = fs.readFileSync(core, 'utf8')
  const named = [...source.matchAll(/actions\.includes\('(\w+)'\)/g)].map(([, name]) => name)
  const actions = named.length > 0 ? named : [...source.matchAll(/^ +(\w+): \w+Tool,?$/gm)].map(([, name]) => name)
  const tool = (action, defaultParams = {}) => {
    const args = { actions: [action], accessToken: 'T', defaultParams, jiraHost: 'https://jira.example', apiVersion: '3', authConfig: { authType: 'basic', username: 'u', accessToken: 'k' } }
    return require(core)[create](args)[0]
  }
  const specs = actions.map((action) => {
    const { name, description, schema } = tool(action)
    if (name !== action.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) throw new Error(`${action} is called ${name}`)
    const { properties, required } = zodToJsonSchema(schema)
    const fields = Object.entries(properties).map(([key, value]) => `\n      ${JSON.stringify(key)}: ${JSON.stringify(value)}`)
    const needed = required ? `,\n    "required": ${JSON.stringify(required)}` : ''
    return `  ${JSON.stringify(action)}: {\n    "description": ${JSON.stringify(description)},\n    "properties": {${fields.join(',')}${fields.length > 0 ? '\n    ' : ''}}${needed}\n  }`
  })
  fs.writeFileSync(path.join(OUT, `specs/${file}.json`), `{\n${specs.join(',\n')}\n}\n`)

  const record = async (action, args, defaults, code) => {
    status = code
    requests = []
    let text
    let failed
    try {
      text = await tool(action, defaults).call(args)
    } catch (error) {
      failed = String(error.message ?? error)
    }
    const [words, called] = text?.split(PREFIX) ?? []
    lines.push(
      JSON.stringify({
        service: file, action, args, defaults, status: code, requests,
        text: words === JSON.stringify(ANSWER) ? '=' : words, called: called && JSON.parse(called), failed,
      })
    )
  }
  for (const [at, action] of actions.entries()) {
    const { properties, required = [] } = zodToJsonSchema(tool(action).schema)
    const all = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, sample(name, schema)]))
    const least = Object.fromEntries(Object.entries(all).filter(([name]) => required.includes(name)))
    await record(action, all, {}, 200)
    if (Object.keys(least).length < Object.keys(all).length) await record(action, least, {}, 200)
    if (at % 5 === 1) await record(action, all, {}, 404)
    if (at % 5 === 2) {
      const first = Object.keys(properties)[0]
      await record(action, all, first ? { [first]: `${sample(first, properties[first])}` + 2, other: '' } : {}, 200)
    }
  }
}
fs.writeFileSync(path.join(OUT, 'recorded.jsonl'), `${lines.join('\n')}\n`)
console.log(`${lines.length} cases`)
process.exit(0)
