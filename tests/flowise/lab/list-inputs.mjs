#!/usr/bin/env node
// Writes src/engine/compile/flowise.txt: every kind of node that Flowise 3.1.4 has, its category, and the inputs that it
// declares or reads. Only needed for another release of Flowise.
//
//   node list-inputs.mjs $FLOWISE_LAB_DIR/flowise-3.1.4
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'

const components = path.join(process.argv[2], 'node_modules/flowise-components')
const OUT = path.join(path.dirname(new URL(import.meta.url).pathname), '../../../src/engine/compile/flowise.txt')
const files = (folder) => fs.readdirSync(folder, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? files(path.join(folder, e.name)) : e.name.endsWith('.js') ? [path.join(folder, e.name)] : []))

const require = createRequire(path.join(components, 'package.json'))
const lines = []
for (const file of files(path.join(components, 'dist/nodes'))) {
  const source = fs.readFileSync(file, 'utf8')
  if (!/\bmodule\.exports\s*=\s*\{[^}]*nodeClass/.test(source)) continue
  const read = [...source.matchAll(/\binputs\??\.([A-Za-z_]\w*)/g), ...source.matchAll(/\binputs\??\.?\[['"]([A-Za-z_]\w*)['"]\]/g)].map(([, name]) => name)
  const declared = (list) => (list ?? []).flatMap((input) => [input.name, ...declared(input.array)])
  let name = source.match(/this\.name = '([^']+)'/)?.[1]
  let category = source.match(/this\.category = '([^']+)'/)?.[1] ?? ''
  let inputs = [...source.matchAll(/\bname: '([^']+)'/g)].map(([, name]) => name)
  try {
    const node = new (require(file).nodeClass)()
    ;({ name, category } = node)
    inputs = declared(node.inputs)
  } catch { /* what cannot be loaded here is read as a text */ }
  const all = [...new Set([...inputs, ...read])].filter((i) => /^[A-Za-z_]\w*$/.test(i)).sort()
  lines.push([name, category.replaceAll(' ', '_'), ...all].join(' '))
}
fs.writeFileSync(OUT, `${lines.sort().join('\n')}\n`)
console.log(`${lines.length} kinds of nodes`)
process.exit(0)
