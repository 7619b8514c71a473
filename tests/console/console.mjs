#!/usr/bin/env node
// The console, as somebody sees it who has a bad night: see `run`.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { browse, open, sleep, until } from './browser.mjs'

const OUT = path.join(path.dirname(fileURLToPath(import.meta.url)), 'out')
const { CHROMIUM, FLOWGATE_BIN } = process.env
const KEY = 'console-test-key-0123456789'
const ID = '9d2b4ae3-1f5e-4c00-9000-00000000000'
fs.rmSync(OUT, { recursive: true, force: true })
fs.mkdirSync(OUT, { recursive: true })

// Texts whose contrast with what is behind them is below WCAG's 4.5.
const CONTRAST = `(() => {
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number)
  const behind = (node) => { for (; node; node = node.parentElement) { const c = parts(getComputedStyle(node).backgroundColor); if (c.length < 4 || c[3] > 0) return c } return [255, 255, 255] }
  const low = []
  for (const node of document.querySelectorAll('body *')) {
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()) || ['SCRIPT', 'STYLE', 'OPTION'].includes(node.tagName) || !node.checkVisibility()) continue
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(behind(node))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio < 4.5) low.push(node.tagName + ' ' + node.className + ' ' + ratio.toFixed(2) + ' ' + node.textContent.slice(0, 30))
  }
  return low
})()`

// --- a Flowise that answers, and a gateway in front of it ------------------------------------------------

const flowise = http.createServer(async (request, response) => {
  let body = ''
  for await (const piece of request) body += piece
  if (!request.url.includes('prediction')) return response.end('pong')
  if (request.url.endsWith('4')) return response.writeHead(500, { 'content-type': 'application/json' }).end('{"message":"The model is gone."}')
  if (!body.includes('"streaming":true')) return response.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"hello"}')
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const word of ['<b>Streams</b>', ' word', ' by', ' word.']) {
    response.write(`message:\ndata:${JSON.stringify({ event: 'token', data: word })}\n\n`)
    await sleep(60)
  }
  response.end(`message:\ndata:${JSON.stringify({ event: 'end', data: '[DONE]' })}\n\n`)
})
await new Promise((resolve) => flowise.listen(0, '127.0.0.1', resolve))
const upstream = `http://127.0.0.1:${flowise.address().port}`
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'flowgate-console-'))
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex')
fs.writeFileSync(path.join(folder, 'flowgate.yaml'), `server: { listen: '127.0.0.1:0', workers: 1 }
admin: { listen: '127.0.0.1:0' }
upstreams:
  flowise: { flowise: { urls: ['${upstream}'], api_key: upstream-key } }
plans:
  default: { requests: 600/min, burst: 100 }
  tight: { requests: 1/hour, burst: 1, quota: 1000/month }
chatflows:
  support: { upstream: flowise, id: ${ID}1, max_question_chars: 200 }
  sales: { upstream: flowise, id: ${ID}2, access: public, allowed_origins: ['https://www.example.com'] }
  internal-knowledge-base: { upstream: flowise, id: ${ID}3 }
  broken: { upstream: flowise, id: ${ID}4 }
`)
const soon = new Date(Date.now() + 4.5 * 86400e3).toISOString()
fs.writeFileSync(path.join(folder, 'keys.yaml'), `keys:
  - { id: web-app, sha256: ${sha256(KEY)} }
  - { id: partner, sha256: ${sha256(`${KEY}-2`)}, plan: tight, chatflows: [support, sales], expires_at: ${soon} }
  - { id: retired, sha256: ${sha256(`${KEY}-3`)}, enabled: false }
`)
const gateway = spawn(FLOWGATE_BIN, ['serve', '--config', path.join(folder, 'flowgate.yaml')], { stdio: ['ignore', 'pipe', 'inherit'] })
const listeners = {}
let lines = ''
gateway.stdout.setEncoding('utf8').on('data', (piece) => {
  lines += piece
  for (const line of lines.split('\n')) {
    try { const told = JSON.parse(line); if (told.message === 'listening') listeners[told.listener] = told.address } catch { /* half a line */ }
  }
})
const browser = browse(CHROMIUM)
let code = 0
const check = async (name, what) => {
  try { await what(); console.log(`ok      console: ${name}`) } catch (error) { code = 1; console.log(`FAILED  console: ${name}\n${error.stack}`) }
}
const predict = (chatflow, headers, body = { question: 'hi' }) => fetch(`http://${listeners.http}/api/v1/prediction/${chatflow}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }).then(async (response) => [response.status, await response.text()])

try {
  await until('the listeners', () => listeners.admin && listeners.http)
  const admin = `http://${listeners.admin}/`
  const page = await open(browser, admin, { width: 1280, height: 900 })
  const text = (id) => page.run(`document.getElementById('${id}').textContent`)

  await check('the sentence says that a key ends soon', async () => {
    await until('the sentence', async () => (await text('sentence')) === 'The key partner ends in 4 days.')
    assert.equal(await page.run("document.getElementById('now').className"), 'warning')
  })

  await check('a refusal appears with its id, its line and what helps', async () => {
    assert.equal((await predict('support', { 'x-api-key': KEY }))[0], 200)
    assert.equal((await predict('support', { 'x-api-key': KEY }, { question: 'hi', streaming: true }))[0], 200)
    for (const id of ['limit-first', 'limit-second', 'limit-third']) await predict('support', { 'x-api-key': `${KEY}-2`, 'x-request-id': id })
    await predict('support', { 'x-request-id': 'without-a-key', origin: 'https://elsewhere.example' })
    await predict('sales', { 'x-request-id': 'other-page', origin: 'https://shop.example' })
    await predict('support', { 'x-api-key': KEY, 'x-request-id': 'odd-field' }, { question: 'hi', '<img src=x onerror=alert(1)>': 1 })
    await until('the refusal', () => page.run("[...document.querySelectorAll('details.no')].some((no) => no.textContent.includes('limit-third'))"))
    await page.run("document.getElementById('filter').value = 'limit-second'; document.getElementById('filter').dispatchEvent(new Event('input'))")
    const seen = await page.run("[...document.querySelectorAll('details.no')].filter((no) => !no.hidden).map((no) => [no.open, no.innerText])")
    assert.equal(seen.length, 1)
    assert(seen[0][0], 'the only one with that id is open')
    for (const wanted of ['429', 'plans.tight.requests', 'flowgate.yaml:7', 'partner', 'What helps', 'limit-second']) assert(seen[0][1].includes(wanted), `${wanted}: ${seen[0][1]}`)
    await page.run("document.getElementById('filter').value = ''; document.getElementById('filter').dispatchEvent(new Event('input'))")
    assert.equal(await page.run("document.querySelectorAll('main img').length"), 0, 'texts stay texts')
  })

  await check('chatflows, keys, upstreams and the configuration are told', async () => {
    for (const [id, wanted] of [['chatflow-rows', 'partner ×2'], ['key-rows', 'retired'], ['upstream-list', '✓ reachable'], ['config-state', 'All that is on disk is in force'], ['certificate-list', 'no TLS listener']]) {
      await until(wanted, async () => (await text(id)).includes(wanted))
    }
  })

  await check('a request is explained', async () => {
    await page.run("document.getElementById('x-path').value = '/api/v1/prediction/support'; document.getElementById('x-key').value = 'web-app'; document.getElementById('x-body').value = JSON.stringify({ question: 'x'.repeat(300) }); document.getElementById('explain-form').requestSubmit()")
    await until('the verdict', async () => (await text('explained')).includes('chatflows.support.max_question_chars'))
    assert((await text('explained')).includes('flowgate.yaml:9'))
    await page.run("document.getElementById('x-body').value = JSON.stringify({ question: 'hi' }); document.getElementById('explain-form').requestSubmit()")
    await until('another verdict', async () => (await text('explained')).includes('It passes, and goes to flowise.'))
  })

  await check('a chatflow is tried with the keyboard, and its answer grows', async () => {
    await page.run("document.getElementById('t-chatflow').value = 'support'; document.getElementById('t-question').value = 'hi'; document.getElementById('t-question').focus(); window.lengths = new Set(); new MutationObserver(() => lengths.add(document.getElementById('answer').textContent.length)).observe(document.getElementById('answer'), { childList: true, characterData: true, subtree: true })")
    await page.press('Enter', 'Enter', 13)
    await until('the answer', async () => (await text('t-note')).includes('First token after'))
    assert.equal(await text('answer'), '<b>Streams</b> word by word.')
    assert((await page.run('[...lengths].filter((length) => length > 0).length')) > 2, 'piece by piece')
    assert((await text('t-note')).includes('With the key web-app'))
  })

  await check('a failing chatflow becomes the sentence', async () => {
    for (let number = 0; number < 4; number++) await predict('broken', { 'x-api-key': KEY })
    await until('the sentence', async () => (await text('sentence')).startsWith('The chatflow broken fails: 4 of 4 requests'))
    assert.equal(await page.run("document.getElementById('now').className"), 'critical')
    assert.equal(await page.run("document.getElementById('problems').hidden"), false)
  })

  await check('a reload that is rejected is told', async () => {
    const good = fs.readFileSync(path.join(folder, 'flowgate.yaml'), 'utf8')
    fs.writeFileSync(path.join(folder, 'flowgate.yaml'), good.replace('burst: 100', 'burst: many'))
    await until('the reload', async () => (await text('config-state')).includes('not in force') && (await text('reload-list')).includes('flowgate.yaml:6'))
    await page.picture(path.join(OUT, 'wrong-1280-light.png'))
    fs.writeFileSync(path.join(folder, 'flowgate.yaml'), good)
    await until('the reload', async () => (await text('config-state')).includes('All that is on disk is in force'))
  })

  await check('everything has a name for who cannot see it', async () => {
    const nodes = await page.tree()
    const roles = nodes.map((node) => node.role?.value)
    for (const role of ['banner', 'main', 'navigation', 'contentinfo', 'status', 'log']) assert(roles.includes(role), role)
    const nameless = nodes.filter((node) => ['textbox', 'searchbox', 'combobox', 'button', 'link', 'region', 'columnheader'].includes(node.role?.value) && !node.name?.value)
    assert.deepEqual(nameless.map((node) => node.role.value), [])
  })

  await check('nothing was complained of', async () => assert.deepEqual(page.wrong, []))

  for (const dark of [false, true]) {
    for (const [width, height] of [[375, 812], [1280, 900]]) {
      await check(`${width} wide, ${dark ? 'dark' : 'light'}`, async () => {
        const sized = await open(browser, admin, { width, height, dark })
        await until('the page', async () => (await sized.run("document.getElementById('chatflow-rows').rows.length")) === 4 && (await sized.run("document.getElementById('config-state').textContent")))
        await sized.run("document.querySelector('details.no').open = true; document.getElementById('x-path').value = '/api/v1/prediction/support'; document.getElementById('explain-form').requestSubmit()")
        await until('the verdict', () => sized.run("document.querySelectorAll('#explained tbody tr').length"))
        assert((await sized.run('document.documentElement.scrollWidth')) <= width, 'nothing is wider than the screen')
        const contrast = await sized.run(CONTRAST)
        assert.deepEqual(contrast, [], 'texts can be read')
        await sized.picture(path.join(OUT, `${width}-${dark ? 'dark' : 'light'}.png`))
        assert.deepEqual(sized.wrong, [])
        await sized.close()
      })
    }
  }

  await check('a gateway that ends is told', async () => {
    gateway.kill('SIGKILL')
    await until('the sentence', async () => (await text('sentence')).includes('does not answer'))
  })
} finally {
  gateway.kill('SIGKILL')
  await browser.close()
  flowise.closeAllConnections()
  flowise.close()
  fs.rmSync(folder, { recursive: true, force: true })
}
process.exit(code)
