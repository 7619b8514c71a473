// Exports of one's own, with the requests to send: NAME.json beside NAME.requests.json, which is
//   { "steps": [{ "title": "...", "body": { "question": "...", "chatId": "$a" } }], "vars": {}, "overridable": {}, "override_config": [] }
// `FLOWID:NAME` in an export is the id of another of them.
import fs from 'node:fs'
import path from 'node:path'

export function own(folder) {
  const names = fs.readdirSync(folder).filter((file) => file.endsWith('.requests.json')).map((file) => file.replace('.requests.json', ''))
  const read = (file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8'))
  return names.map((name) => {
    const { steps, vars, overridable, override_config: allow } = read(`${name}.requests.json`)
    return { name, flow: read(`${name}.json`), steps, vars, overridable, allow }
  })
}
