// A gateway in front of an upstream, a Prometheus that scrapes it: are all rules good, is every metric that rules and
// dashboard name one of the gateway's, does each panel have an answer, do alerts fire?
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { freePort, until } from '../fleet/stores.mjs'

const TMP = process.argv[2]
const DEPLOY = new URL('../../deploy', import.meta.url).pathname
const BIN = process.env.FLOWGATE_BIN
const processes = []
process.on('exit', () => processes.forEach(child => child.kill('SIGKILL')))

let failed = 0
function check(what, wrong) {
  const list = [wrong].flat().filter(Boolean)
  if (list.length) failed++
  console.log(`${list.length ? 'FAILED ' : 'ok     '} ${what}${list.map(line => `\n        ${line}`).join('')}`)
}

function start(program, ...args) {
  const log = join(TMP, `${program.split('/').pop()}.log`)
  const child = spawn('sh', ['-c', 'exec "$@" >>"$0" 2>&1', log, program, ...args], { stdio: 'ignore' })
  processes.push(child)
  return child
}

// An upstream that pings and answers, as JSON or as a stream.
const upstream = http.createServer((request, response) => {
  let body = ''
  request.on('data', data => { body += data }).on('end', () => {
    if (!body.includes('"streaming":true')) {
      response.setHeader('content-type', 'application/json')
      return response.end('{"text":"fine"}')
    }
    response.setHeader('content-type', 'text/event-stream')
    response.end('message:\ndata:{"event":"token","data":"fine"}\n\nmessage:\ndata:{"event":"end","data":"[DONE]"}\n\n')
  })
})
await new Promise(done => upstream.listen(0, '127.0.0.1', done))

const [port, admin, prometheus] = [await freePort(), await freePort(), await freePort()]
const keys = join(TMP, 'keys.yaml')
const key = execFileSync(BIN, ['keys', 'create', '--file', keys, '--id', 'app'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim()
writeFileSync(join(TMP, 'flowgate.yaml'), `
server: { listen: '127.0.0.1:${port}' }
admin: { listen: '127.0.0.1:${admin}' }
upstreams: { flowise: { flowise: { urls: ['http://127.0.0.1:${upstream.address().port}'] } } }
plans: { default: { requests: 100000/s, burst: 100000 } }
chatflows: { support: { upstream: flowise, id: 9d2b4ae3-1f5e-4c00-9000-000000000000 } }
`)
start(BIN, 'serve', '--config', join(TMP, 'flowgate.yaml'))
const config = readFileSync(join(TMP, 'prometheus.yaml'), 'utf8')
writeFileSync(join(TMP, 'fast.yaml'), config.replaceAll('15s', '1s').replace('127.0.0.1:9090', `127.0.0.1:${admin}`))
start('prometheus', `--config.file=${join(TMP, 'fast.yaml')}`, `--storage.tsdb.path=${join(TMP, 'data')}`, `--web.listen-address=127.0.0.1:${prometheus}`)

const api = async path => (await fetch(`http://127.0.0.1:${prometheus}/api/v1/${path}`)).json()
const query = async expr => (await api(`query?query=${encodeURIComponent(expr)}`))
const value = async expr => Number((await query(expr)).data.result[0]?.value[1])
const rules = async () => (await api('rules')).data.groups.flatMap(group => group.rules)
const ask = (body, bearer = key) => fetch(`http://127.0.0.1:${port}/api/v1/prediction/support`, {
  method: 'POST', headers: { 'content-type': 'application/json', 'x-api-key': bearer }, body: JSON.stringify(body),
}).then(answer => answer.text())

try {
  await until('the gateway', () => fetch(`http://127.0.0.1:${admin}/readyz`).then(answer => answer.ok))
  await until('a first scrape', () => value('up{job="flowgate"}').then(up => up === 1), 60000)
  // Calls of every kind until the recorded rates have seen them.
  await Promise.all([ask({ question: 'hi', overrideConfig: { x: 1 } }), ask({}, 'wrong')])
  await until('recorded rates', async () => {
    await Promise.all([ask({ question: 'hi' }), ask({ question: 'hi', streaming: true })])
    return await value('job_chatflow:flowgate_predictions:rate5m{chatflow="support"}') > 0
      && await value('job_upstream:flowgate_time_to_first_byte_seconds:p95_5m') > 0
  }, 60000)
  check('Prometheus loads all rules, and none fails', (await rules()).filter(rule => rule.health !== 'ok').map(rule => `${rule.name}: ${rule.health} ${rule.lastError ?? ''}`))
  check('nothing fires while all is well', (await api('alerts')).data.alerts.filter(alert => alert.state === 'firing').map(alert => alert.labels.alertname))

  const page = readFileSync(join(DEPLOY, 'METRICS.md'), 'utf8')
  const known = new Set([...page.matchAll(/^\| `(flowgate_\w+)`/gm)].map(([, name]) => name))
  const shown = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text()
  for (const [, name] of shown.matchAll(/^# TYPE (\w+)/gm)) known.add(name)
  const dashboard = JSON.parse(readFileSync(join(DEPLOY, 'monitoring/grafana.json')))
  const panels = dashboard.panels.filter(panel => panel.type !== 'row')
  const expressions = [
    ...(await rules()).map(rule => [rule.name, rule.query]),
    ...panels.flatMap(panel => panel.targets.map(target => [panel.title, target.expr])),
    ...dashboard.annotations.list.map(annotation => [annotation.name, annotation.expr]),
  ]
  const recorded = new Set((await rules()).filter(rule => rule.type === 'recording').map(rule => rule.name))
  check('rules and dashboard name only metrics that there are', expressions.flatMap(([title, expr]) =>
    [...expr.matchAll(/[\w:]*\b(?:flowgate|process)_[\w:]+/g)].map(([name]) => name)
      .filter(name => !recorded.has(name) && !known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, '')))
      .map(name => `${title}: ${name}`)))
  const used = expressions.map(([, expr]) => expr).join('\n')
  // What others say as well.
  const unused = ['state_mode', 'connections_limit', 'connections_left_total', 'config_last_reload_successful', 'config_last_reload_success_timestamp_seconds']
  check('every metric of the page stands in a rule or a panel', [...known].filter(name =>
    name.startsWith('flowgate_') && !used.includes(name) && !unused.includes(name.replace('flowgate_', ''))))

  // As Grafana would ask, with everything chosen.
  const filled = expr => expr.replaceAll('$__rate_interval', '1m').replaceAll(/"\$(job|instance|chatflow)"/g, '".*"')
  const empty = []
  const wrong = []
  for (const panel of panels) {
    for (const target of panel.targets) {
      const answer = await query(filled(target.expr))
      if (answer.status !== 'success') wrong.push(`${panel.title}: ${answer.error}`)
      else if (!answer.data.result.length) empty.push(panel.title)
    }
  }
  check(`Prometheus answers all ${panels.length} panels`, wrong)
  const traffic = ['Gateways up', 'Alerts', 'Upstreams down', 'Files held back', 'Predictions a second', 'Predictions that fail', 'Streams open',
    'Predictions by chatflow', 'Answers by status', 'By key', 'Until the answer begins (upstreams)', 'Whole predictions', 'How they end', 'Events', 'By a rule',
    'For a key that is not good', 'Keys', 'Healthy', 'CPU', 'Memory', 'Connections', 'File descriptors in use']
  check('panels of what happened here are not empty', traffic.filter(title => empty.includes(title)
    && panels.find(panel => panel.title === title).targets.length === 1))
  check('ids and titles are unique, no panel lies on another', overlaps(dashboard.panels))

  writeFileSync(keys, 'keys: [')
  upstream.close()
  upstream.closeAllConnections()
  const alerts = ['FlowgateFileHeldBack', 'FlowgateUpstreamDown']
  await until('alerts', async () => {
    const seen = (await api('alerts')).data.alerts.map(alert => alert.labels.alertname)
    return alerts.every(name => seen.includes(name))
  }, 60000)
  check(`broken keys and a dead upstream raise ${alerts.join(', ')}`)
  const silent = (await rules()).filter(rule => rule.type === 'alerting' && !(rule.annotations.summary && rule.annotations.action))
  check('every alert says what to do', silent.map(rule => rule.name))
} catch (error) {
  check('monitoring', error.stack)
}
process.exit(failed ? 1 : 0)

function overlaps(panels) {
  const cells = new Map()
  const wrong = []
  const ids = new Set(panels.map(panel => panel.id))
  if (ids.size !== panels.length) wrong.push('an id is there twice')
  if (new Set(panels.map(panel => panel.title)).size !== panels.length) wrong.push('a title is there twice')
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    if (x + w > 24) wrong.push(`${title} is too wide`)
    for (let at = y; at < y + h; at++) {
      for (let column = x; column < x + w; column++) {
        const cell = `${column},${at}`
        if (cells.has(cell)) { wrong.push(`${title} lies on ${cells.get(cell)}`); at = y + h; break }
        cells.set(cell, title)
      }
    }
  }
  return wrong
}
