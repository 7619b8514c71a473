#!/usr/bin/env node
// Real pages in headless Chromium, each of another origin than flowgate, in front of the real Flowise: the stock widget
// (deploy/examples/browser/widget.html) and the page with a session token (token.html) with both of its backends.
// Pictures of what a visitor sees are left in out/. Without Chromium everything here is skipped, aloud.
//   CHROMIUM         the browser             CLIENT_MODULES   where flowise-embed and playwright-core are installed
import assert from 'node:assert/strict'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { execFileSync, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { freePort, secret } from './gateway.mjs'
import { exchange } from './lab/wire.mjs'
import { bearer, directly, id, json, lab, nonce, PLENTY, sleep, start } from './stage.mjs'
import { check, finish, skip } from './tally.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const EXAMPLES = path.join(HERE, '../../deploy/examples/browser')
const OUT = path.join(HERE, 'out')
const { CHROMIUM, CLIENT_MODULES, SCRATCH } = process.env
if (!CHROMIUM) {
  skip('all pages in a browser', 'there is no Chromium, and none could be installed')
  finish()
}
const { chromium } = createRequire(`${CLIENT_MODULES}/`)('playwright-core')
fs.rmSync(OUT, { recursive: true, force: true })
fs.mkdirSync(OUT, { recursive: true })

// --- the pages' servers and the gateway ---------------------------------------------------------------

const webjs = fs.readFileSync(path.join(CLIENT_MODULES, 'flowise-embed/dist/web.js'))
// A text of the examples that a test replaces must be there.
function replaced(text, from, to) {
  assert(text.includes(from), `${from} is not in the page`)
  return text.replaceAll(from, to)
}
// /{chatflow}?key=…: the example with that chatflow, and with a key as its maker would add one.
function widget(request, response) {
  const url = new URL(request.url, 'http://page')
  if (url.pathname === '/web.js') return response.writeHead(200, { 'content-type': 'text/javascript' }).end(webjs)
  let page = fs.readFileSync(path.join(EXAMPLES, 'widget.html'), 'utf8')
  page = replaced(page, /'(https:\/\/[^']+web\.js)'/.exec(page)[1], '/web.js')
  page = replaced(page, 'http://127.0.0.1:8080', gateway.url)
  const key = url.searchParams.get('key')
  const onRequest = key ? `, onRequest: async (r) => { r.headers = { ...r.headers, Authorization: 'Bearer ${key}' } }` : ''
  page = replaced(page, "chatflowid: 'support'", `chatflowid: '${url.pathname.slice(1)}'${onRequest}`)
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
}
// The token page as its backend serves it, with the gateway's address in it. `token`: given instead of the backend's.
const account = (backend) => async (request, response) => {
  if (request.url === '/token' && account.token) return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token: account.token }))
  const answer = await fetch(`${backend}${request.url}`, { method: request.method })
  let text = await answer.text()
  if (request.url === '/') text = replaced(text, 'http://127.0.0.1:8080', gateway.url)
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') }).end(text)
}
async function pages(serve = widget) {
  const server = http.createServer(serve)
  await new Promise((resolve, reject) => server.on('error', reject).listen(0, 'localhost', resolve))
  server.unref()
  return `http://localhost:${server.address().port}`
}

const [LISTED, FOREIGN] = [await pages(), await pages()]
const ports = { Node: await freePort(), Python: await freePort() }
const APPS = {}
for (const [name, port] of Object.entries(ports)) APPS[name] = await pages(account(`http://localhost:${port}`))
const open = { access: 'public', allowed_origins: [LISTED] }
const publishable = secret()
const { gateway, tap, keys } = await start('browser', {
  support: ['llm-chain', open],
  agent: ['agentflow-llm', open],
  form: ['agentflow-form', open],
  uploads: ['uploads', open],
  leads: ['leads', open],
  scarce: ['llm-chain', { ...open, plan: 'scarce' }],
  dead: ['llm-chain', { ...open, upstream: 'nowhere' }],
  account: ['llm-chain', { allowed_origins: [LISTED, ...Object.values(APPS)] }],
  other: ['llm-chain', { allowed_origins: [LISTED, ...Object.values(APPS)] }]
}, {
  secrets: { page: [publishable, { kind: 'publishable', chatflows: ['account'], allowed_origins: [LISTED] }] },
  upstreams: { nowhere: { flowise: { urls: [`http://127.0.0.1:${await freePort()}`] } } },
  config: { plans: { default: PLENTY, anonymous: PLENTY, scarce: { requests: '6/hour', burst: 6, concurrent: 1 } } }
})

const backends = []
function backend(command, file, port) {
  const child = spawn(command, [path.join(EXAMPLES, file)], { env: { ...process.env, FLOWGATE: gateway.url, FLOWGATE_KEY: keys.alice, PORT: port }, stdio: 'ignore' })
  backends.push(child)
  fs.appendFileSync(path.join(SCRATCH, 'pids'), `${child.pid}\n`)
}

const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'flowgate-browser-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: CHROMIUM,
  headless: true,
  viewport: { width: 900, height: 800 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1']
})

// A fresh page; a picture of its end, good or bad.
async function onPage(name, what) {
  await check(`browser: ${name}`, async () => {
    const page = await browser.newPage()
    const lines = []
    page.on('console', (m) => lines.push(m.text()))
    page.on('requestfailed', (r) => lines.push(`${r.method()} ${r.url()} ${r.failure()?.errorText}`))
    page.on('response', (r) => { if (r.url().startsWith(gateway.url)) lines.push(`${r.request().method()} ${r.url()} ${r.status()}`) })
    try {
      await what(page)
    } catch (e) {
      e.stack += `\n${lines.slice(-12).join('\n')}`
      throw e
    } finally {
      await page.screenshot({ path: path.join(OUT, `${name.replaceAll(/[^a-z0-9]+/gi, '-')}.png`) }).catch(() => {})
      await page.close()
    }
  })
}

// --- the stock widget ---------------------------------------------------------------------------------

async function visit(page, origin, flow, key) {
  await page.goto(`${origin}/${flow}${key ? `?key=${key}` : ''}`)
  await page.evaluate(() => localStorage.clear())
  await page.locator('flowise-chatbot button').first().click()
}
const bubble = (page, text) => page.locator('.chatbot-host-bubble').filter({ hasText: text }).last()
async function ask(page, question) {
  const box = page.locator('textarea').first()
  await box.waitFor({ timeout: 15000 })
  await box.fill(question)
  await box.press('Enter')
}
// The lengths that the last answer of the bot had, as they were seen.
async function watched(page, until) {
  const seen = new Set()
  for (const end = Date.now() + 15000; Date.now() < end; await sleep(40)) {
    const text = await page.locator('.chatbot-host-bubble').last().innerText().catch(() => '')
    if (text.includes('w')) seen.add(text.length)
    if (text.includes(until)) return seen
  }
  throw new Error(`${until} did not come; lengths seen: ${[...seen]}`)
}
async function modelStopped(mark) {
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(50)) {
    const log = await (await fetch(lab.llmBase.replace(/\/v1$/, '/__log'))).json()
    const request = log.find((l) => l.kind === 'request' && JSON.stringify(l.body).includes(mark))
    const closed = request && log.find((l) => l.kind === 'closed' && l.id === request.id)
    if (closed) return closed.client_aborted && closed.tokens_sent < 50
  }
  return false
}

for (const flow of ['support', 'agent'])
  await onPage(`the widget chats and streams on ${flow}`, async (page) => {
    await visit(page, LISTED, flow)
    await ask(page, '[[words=25]] [[delay=200]]')
    const seen = await watched(page, 'w24')
    assert(seen.size >= 4, `the answer came in ${seen.size} steps`)
    const again = nonce()
    await ask(page, `Please repeat ${again}`)
    await bubble(page, again).waitFor({ timeout: 15000 })
  })

await onPage('the widget fills in a form', async (page) => {
  await visit(page, LISTED, 'form')
  await page.locator('input[name="name"]').first().fill('Bob', { timeout: 15000 })
  await page.locator('form select').selectOption({ index: 1 })
  await page.locator('form button').last().click()
  await page.locator('.chatbot-host-bubble').filter({ hasText: 'Bob' }).last().waitFor({ timeout: 15000 })
})

await onPage('the widget uploads a file', async (page) => {
  await visit(page, LISTED, 'uploads')
  await page.locator('textarea').first().waitFor()
  const mark = nonce()
  fs.writeFileSync(path.join(profile, 'note.txt'), `attached words ${mark}`)
  await page.locator('input[type="file"]').last().setInputFiles(path.join(profile, 'note.txt'))
  await page.getByText('note.txt').first().waitFor()
  const { text } = await tap.seen(async () => {
    await ask(page, `Please repeat ${mark}x`)
    await bubble(page, `${mark}x`).waitFor({ timeout: 15000 })
  })
  assert.match(text, /POST \/api\/v1\/attachments\//)
  assert(text.includes(`attached words ${mark}`), 'the file did not reach Flowise')
})

await onPage('the widget captures a lead and gives feedback', async (page) => {
  await visit(page, LISTED, 'leads')
  const mail = `${nonce()}@example.com`
  await page.locator('input[name="name"], input[placeholder*="ame"]').first().fill('Ann', { timeout: 15000 })
  await page.locator('input[name="email"], input[type="email"]').first().fill(mail)
  const { text } = await tap.seen(async () => {
    await page.locator('.chatbot-host-bubble button, form button').first().click()
    await page.getByText('Thanks').waitFor({ timeout: 10000 })
  })
  assert(text.includes(mail) && text.includes(id('leads')), 'the lead did not reach Flowise')
  const again = nonce()
  await ask(page, `Please repeat ${again}`)
  await bubble(page, again).waitFor({ timeout: 15000 })
  const before = json(await directly({ path: `/api/v1/feedback/${id('leads')}` })).length
  await page.locator('button[title="Thumbs Up"]').last().click({ timeout: 10000 })
  for (const end = Date.now() + 5000; Date.now() < end; await sleep(100)) if (json(await directly({ path: `/api/v1/feedback/${id('leads')}` })).length > before) return
  throw new Error('Flowise has no feedback')
})

await onPage("the widget's stop button stops the run", async (page) => {
  await visit(page, LISTED, 'agent')
  const mark = nonce()
  await ask(page, `${mark} [[words=80]] [[delay=80]]`)
  await page.getByText('w5').first().waitFor({ timeout: 15000 })
  await page.screenshot({ path: path.join(OUT, 'stop-button.png') })
  await page.locator('button[title="Stop"]').first().click({ timeout: 10000 })
  assert(await modelStopped(mark), 'the model went on')
})

await onPage('a page that clears its chat stops the run', async (page) => {
  await visit(page, LISTED, 'agent')
  const mark = nonce()
  await ask(page, `${mark} [[words=80]] [[delay=80]]`)
  await page.getByText('w5').first().waitFor({ timeout: 15000 })
  await page.evaluate(() => window.Chatbot.clearChat())
  assert(await modelStopped(mark), 'the model went on')
})

await onPage('from an origin that is not listed the widget says so', async (page) => {
  await visit(page, FOREIGN, 'support')
  const { text } = await tap.seen(async () => {
    await ask(page, 'hello')
    await page.locator('.chatbot-host-bubble').nth(1).waitFor({ timeout: 10000 })
  })
  assert(!text.includes('/prediction/'), text.slice(0, 300))
  const said = await page.locator('.chatbot-host-bubble').last().innerText()
  assert.match(said, /^[A-Z][^{}<>]+\.$/, said)
  assert(!/failed to fetch/i.test(said) && /origin|site|page/i.test(said), said)
  console.log(`        the visitor reads: ${said}`)
})

await onPage('a visitor who asks too much is told so', async (page) => {
  await visit(page, LISTED, 'scarce')
  const sentence = page.locator('.chatbot-host-bubble').filter({ hasText: /too many|wait|later/i }).last()
  for (let n = 1; n <= 7 && !(await sentence.count()); n++) {
    await ask(page, `question ${n}`)
    await page.locator('.chatbot-host-bubble').filter({ hasText: new RegExp(`Stub answer.*question ${n}|too many`, 'is') }).last().waitFor({ timeout: 15000 })
    assert(n > 1 || !(await sentence.count()), 'not even one question was answered')
  }
  assert(!(await sentence.innerText()).includes('{'))
})

await onPage('a visitor is told when the server behind is gone', async (page) => {
  await visit(page, LISTED, 'dead')
  await ask(page, 'hello')
  const sentence = page.locator('.chatbot-host-bubble').filter({ hasText: /not available|later|again|reach/i }).last()
  await sentence.waitFor({ timeout: 15000 })
  assert(!(await sentence.innerText()).includes('{'))
})

await onPage('a publishable key works from its origin', async (page) => {
  await visit(page, LISTED, 'account', publishable)
  const again = nonce()
  await ask(page, `Please repeat ${again}`)
  await bubble(page, again).waitFor({ timeout: 15000 })
})

await onPage('a publishable key is refused from another origin', async (page) => {
  await visit(page, FOREIGN, 'account', publishable)
  const { text } = await tap.seen(async () => {
    await ask(page, 'hello')
    await page.locator('.chatbot-host-bubble').nth(1).waitFor({ timeout: 10000 })
  })
  assert(!text.includes('/prediction/'), text.slice(0, 300))
})

// --- the page with a session token -----------------------------------------------------------------------

async function visitAccount(page, name, token) {
  account.token = token
  for (const end = Date.now() + 10000; ; await sleep(100)) if (await fetch(`http://localhost:${ports[name]}/`).then(() => true, () => Date.now() > end)) break
  await page.goto(`${APPS[name]}/`)
}
async function askAccount(page, question) {
  await page.locator('#question').fill(question)
  await page.locator('#question').press('Enter')
}
const mint = async (body, key = keys.alice) => exchange(gateway.url, { method: 'POST', path: '/api/v1/tokens', headers: bearer(key), body })
async function minted(body, key) {
  const r = await mint({ chatflow: 'account', ttl: '5m', ...body }, key)
  assert.equal(r.status, 201, r.text)
  return json(r).token
}

backend(process.execPath, 'backend.mjs', ports.Node)
backend('python3', 'backend.py', ports.Python)

for (const name of ['Node', 'Python'])
  await onPage(`the token page streams, with the backend in ${name}`, async (page) => {
    await visitAccount(page, name)
    const seen = new Set()
    await askAccount(page, '[[words=25]] [[delay=200]]')
    for (const end = Date.now() + 15000; Date.now() < end; await sleep(40)) {
      const text = await page.locator('.answer').last().innerText({ timeout: 200 }).catch(() => '')
      if (text) seen.add(text.length)
      if (text.includes('w24')) break
    }
    assert(seen.size >= 4, `the answer came in ${seen.size} steps`)
    // The last word is not yet the end, and a chat has one stream at a time.
    await page.locator('#stop').waitFor({ state: 'hidden' })
    const again = nonce()
    await askAccount(page, `Please repeat ${again}`)
    await page.locator('.answer').filter({ hasText: again }).waitFor({ timeout: 15000 })
    assert.equal(await page.locator('.error').count(), 0)
  })

await onPage('the token page stops', async (page) => {
  await visitAccount(page, 'Node')
  await askAccount(page, '[[words=200]] [[delay=80]]')
  await page.locator('.answer').filter({ hasText: 'w3' }).waitFor({ timeout: 15000 })
  await page.locator('#stop').click()
  await page.locator('#stop').waitFor({ state: 'hidden' })
  assert.equal(await page.locator('.error').count(), 0)
})

// As mint.mjs and mint.py say it: without a request to the gateway.
const offline = {
  Node: async (claims) => (await import(path.join(EXAMPLES, 'mint.mjs'))).mint('alice', keys.alice, claims),
  Python: async (claims) => execFileSync('python3', ['-c', 'import sys, json; sys.path.insert(0, sys.argv[1]); import mint; print(mint.mint("alice", sys.argv[2], json.loads(sys.argv[3])), end="")', EXAMPLES, keys.alice, JSON.stringify(claims)], { encoding: 'utf8', env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } })
}
for (const name of ['Node', 'Python'])
  await onPage(`a token that a backend in ${name} signed itself is as good`, async (page) => {
    await visitAccount(page, 'Node', await offline[name]({ chatflow: 'account', sub: 'ann', vars: { userId: 'ann' } }))
    const again = nonce()
    await askAccount(page, `Please repeat ${again}`)
    await page.locator('.answer').filter({ hasText: again }).waitFor({ timeout: 15000 })
  })

const part = (token, n) => JSON.parse(Buffer.from(token.split('.')[n], 'base64url'))
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const refusals = {
  tampered: async () => {
    const token = await minted({ vars: { userId: 'ann' } })
    const claims = JSON.stringify(part(token, 1))
    assert(claims.includes('ann'), claims)
    return [token.split('.')[0], Buffer.from(claims.replaceAll('ann', 'eve')).toString('base64url'), token.split('.')[2]].join('.')
  },
  'signed with another key': async () => {
    const [hers, his] = [await minted({}), await minted({}, keys.bob)]
    return [his.split('.')[0], ...hers.split('.').slice(1)].join('.')
  },
  'signed by nobody': async () => {
    const token = await minted({})
    return `${encoded({ ...part(token, 0), alg: 'none' })}.${token.split('.')[1]}.`
  },
  expired: async () => {
    const token = await minted({ ttl: '1s' })
    while (part(token, 1).exp * 1000 + 500 > Date.now()) await sleep(100)
    return token
  },
  'of another chatflow': () => minted({ chatflow: 'other' }),
  "of another page's origin": () => minted({ origin: 'https://elsewhere.example' })
}
for (const [what, made] of Object.entries(refusals))
  await onPage(`a token ${what} is refused, visibly`, async (page) => {
    await visitAccount(page, 'Node', await made())
    const { text } = await tap.seen(async () => {
      await askAccount(page, 'hello')
      await page.locator('.error').waitFor({ timeout: 10000 })
    })
    assert(!text.includes('/prediction/'), text.slice(0, 300))
    const said = await page.locator('.error').innerText()
    assert.match(said, /^[A-Z][^{}<>]+\.$/, said)
    console.log(`        the visitor reads: ${said}`)
  })

await check('browser: a token of more than 15 minutes is not made', async () => assert.equal((await mint({ chatflow: 'account', ttl: '16m' })).status, 400))

await browser.close()
for (const child of backends) child.kill()
fs.rmSync(profile, { recursive: true, force: true })
await check('browser: SIGTERM ends the gateway with 0', async () => assert.deepEqual(await gateway.stop(), { code: 0, signal: null }))
await gateway.stop()
finish()
