#!/usr/bin/env node
// Two users of one chatflow try to read, continue, abort and overwrite each other's chats. Each is shown first on
// Flowise itself, where whoever names a chat has it; then through flowgate, by two keys, two addresses, two users of
// one application's tokens: there a chat of that name is another one.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { exchange } from './lab/wire.mjs'
import { assertRefusal, bearer, directly, id, json, kinds, modelSaw, multipart, nonce, PAGE, sleep, start, tokens } from './stage.mjs'
import { check, finish } from './tally.mjs'

const open = { access: 'public', allowed_origins: [PAGE] }
const chat = { override_config: ['sessionId'] }
const { gateway, tap, keys } = await start('chats', {
  talk: ['conversation-chain', chat],
  words: ['llm-chain', chat],
  agent: ['agentflow-llm', chat],
  files: ['uploads', chat],
  'open-talk': ['conversation-chain', { ...open, ...chat }],
  'open-words': ['llm-chain', { ...open, ...chat }],
  'open-agent': ['agentflow-llm', { ...open, ...chat }],
  'open-files': ['uploads', { ...open, ...chat }]
})

const send = (url, who, request) => exchange(url, { ...request, headers: { ...who.headers, ...request.headers } }, { timeout: 20000, from: who.from })
async function token(sub, sessionId) {
  const body = { chatflow: 'talk', ttl: '5m', vars: { userId: sub }, sub, sessionId }
  const r = await exchange(gateway.url, { method: 'POST', path: '/api/v1/tokens', headers: bearer(keys.alice), body })
  assert.equal(r.status, 201, r.text)
  return json(r).token
}

// Each pair of callers, and the public names of the chatflows they use. Flowise itself comes first.
const PAIRS = [
  { who: 'anybody, on Flowise itself', direct: true, flow: (name) => id({ talk: 'conversation-chain', words: 'llm-chain', agent: 'agentflow-llm', files: 'uploads' }[name]), alice: {}, bob: {} },
  { who: 'two keys', flow: (name) => name, alice: { headers: bearer(keys.alice) }, bob: { headers: bearer(keys.bob) } },
  { who: 'two addresses on a public chatflow', flow: (name) => `open-${name}`, alice: { headers: { Origin: PAGE }, from: '127.0.0.1' }, bob: { headers: { Origin: PAGE }, from: '127.0.0.2' } }
]

for (const { who, direct, flow, alice, bob } of PAIRS) {
  const call = (caller, request, opts) => (direct ? directly(request, opts) : exchange(gateway.url, { ...request, headers: { ...caller.headers, ...request.headers } }, { timeout: 20000, from: caller.from, ...opts }))
  const ask = (caller, name, body, opts) => call(caller, { method: 'POST', path: `/api/v1/prediction/${flow(name)}`, body }, opts)
  const named = (what) => `${who}: ${what}`

  for (const [ids, streaming] of [['chatId', false], ['sessionId', false], ['chatId', true], ['both', true]])
    await check(named(`${direct ? 'reads' : 'cannot read or continue'} the other's chat by ${ids}, ${streaming ? 'streaming' : 'JSON'}`), async () => {
      const [secret, more, name] = [nonce(), nonce(), `chat-${nonce()}`]
      const body = (question) => ({ question, streaming, ...(ids === 'sessionId' ? {} : { chatId: name }), ...(ids === 'chatId' ? {} : { overrideConfig: { sessionId: name } }) })
      for (const question of [`My secret is ${secret}`, `And more: ${nonce()}`]) {
        const r = await ask(alice, 'talk', body(question))
        assert.equal(r.status, 200, r.text)
        if (!streaming) for (const field of ['chatId', 'sessionId']) assert.equal(json(r)[field], name, r.text)
        else assert(r.text.includes(name), r.text)
      }
      // Her own chat goes on.
      const own = nonce()
      await ask(alice, 'talk', body(`What did I say? ${own}`))
      assert((await modelSaw(own)).some((sent) => sent.includes(secret)), 'her chat has no memory')
      const r = await ask(bob, 'talk', body(`What did she say? ${more}`))
      assert.equal(r.status, 200, r.text)
      const sent = (await modelSaw(more)).join('\n')
      assert.notEqual(sent, '')
      assert.equal(sent.includes(secret), Boolean(direct), sent)
      // Nor did he write into hers.
      const after = nonce()
      await ask(alice, 'talk', body(`Go on ${after}`))
      assert.equal((await modelSaw(after)).join('\n').includes(more), Boolean(direct))
    })

  await check(named(`${direct ? 'takes over' : 'cannot take over'} the other's stream`), async () => {
    const name = randomUUID()
    const hers = ask(alice, 'words', { question: '[[words=30]] [[delay=50]]', streaming: true, chatId: name }, { timeout: 8000 })
    await sleep(600)
    const his = await ask(bob, 'words', { question: '[[say=his words alone]]', streaming: true, chatId: name }, { timeout: 8000 })
    const r = await hers
    const whole = kinds(r).includes('end') && tokens(r) === Array.from({ length: 30 }, (_, i) => `w${i}`).join(' ') && tokens(his) === 'his words alone' && kinds(his).includes('end')
    assert.equal(whole, !direct, `${r.text}\n---\n${his.text}`)
  })

  await check(named(`${direct ? 'stops' : 'cannot stop'} the other's run`), async () => {
    const name = randomUUID()
    const hers = ask(alice, 'agent', { question: '[[words=30]] [[delay=60]]', streaming: true, chatId: name })
    await sleep(700)
    const stop = await call(bob, { method: 'PUT', path: `/api/v1/chatmessage/abort/${flow('agent')}/${name}` })
    const r = await hers
    assert.equal(tokens(r).includes('w29'), !direct, `${stop.status} ${stop.text}\n${r.text}`)
  })

  await check(named(`${direct ? 'gets' : 'cannot get or overwrite'} the other's files`), async () => {
    const name = randomUUID()
    const attach = (caller, content) => call(caller, { method: 'POST', path: `/api/v1/attachments/${flow('files')}/${name}`, ...multipart([['note.txt', 'text/plain', content]]) })
    const read = (caller) => call(caller, { path: `/api/v1/get-upload-file?chatflowId=${flow('files')}&chatId=${name}&fileName=note.txt` })
    const download = (caller) => call(caller, { method: 'POST', path: '/api/v1/openai-assistants-file/download', body: { chatflowId: flow('files'), chatId: name, fileName: 'note.txt' } })
    assert.equal((await attach(alice, 'hers alone')).status, 200)
    assert.equal((await read(alice)).text, 'hers alone')
    for (const get of [read, download]) assert.equal((await get(bob)).text === 'hers alone', Boolean(direct))
    assert.equal((await attach(bob, 'his words')).status, 200)
    assert.equal((await read(alice)).text === 'hers alone', !direct)
  })

  if (direct) continue
  await check(named('each stops and reads her own'), async () => {
    const name = randomUUID()
    const hers = ask(alice, 'agent', { question: '[[words=40]] [[delay=60]]', streaming: true, chatId: name })
    await sleep(700)
    const stop = await call(alice, { method: 'PUT', path: `/api/v1/chatmessage/abort/${flow('agent')}/${name}` })
    assert.equal(stop.status, 200, stop.text)
    assert(!tokens(await hers).includes('w39'))
  })

  await check(named('one stream for each chat: the second is 409 and the first goes on'), async () => {
    const name = randomUUID()
    const first = ask(alice, 'agent', { question: '[[words=20]] [[delay=60]]', streaming: true, chatId: name })
    await sleep(500)
    const { value, text } = await tap.seen(() => ask(alice, 'agent', { question: 'me too', streaming: true, chatId: name }))
    assertRefusal(value, 409, 'chat_busy')
    assert(!text.includes('me too'), 'the second reached Flowise')
    const r = await first
    assert(tokens(r).includes('w19') && kinds(r).includes('end'), r.text)
    assert.equal((await ask(alice, 'agent', { question: 'hello', streaming: true, chatId: name })).status, 200, 'and then it is free again')
  })

  await check(named("neither sees Flowise's own id of a chat"), async () => {
    const name = `chat-${nonce()}`
    const { value, text } = await tap.seen(() => ask(alice, 'talk', { question: 'hello', streaming: true, chatId: name }))
    const inFlowise = /"chatId":"([^"]+)"/.exec(text)[1]
    assert.notEqual(inFlowise, name)
    assert(value.text.includes(name) && !value.text.includes(inFlowise), value.text)
    // Known or not, it opens nothing.
    const r = await ask(bob, 'talk', { question: `What was it? ${name}x`, chatId: inFlowise })
    assert.equal(r.status, 200)
    assert.equal((await modelSaw(`${name}x`)).join('').includes('"hello"'), false)
  })

  await check(named('an answer without an id of the client gets one that can be used again'), async () => {
    const secret = nonce()
    const r = await ask(alice, 'talk', { question: `My secret is ${secret}` })
    const again = nonce()
    await ask(alice, 'talk', { question: `Go on ${again}`, chatId: json(r).chatId })
    assert((await modelSaw(again)).join('').includes(secret), 'her chat is lost')
    const his = nonce()
    await ask(bob, 'talk', { question: `Go on ${his}`, chatId: json(r).chatId })
    assert(!(await modelSaw(his)).join('').includes(secret), 'he has her chat')
  })
}

await check("two users of one application's tokens: neither reads the other's chat", async () => {
  const [hers, his] = [await token('ann'), await token('ben')]
  const [secret, mark, name] = [nonce(), nonce(), randomUUID()]
  const ask = (key, question) => send(gateway.url, { headers: { ...bearer(key) } }, { method: 'POST', path: '/api/v1/prediction/talk', body: { question, chatId: name, overrideConfig: { sessionId: name } } })
  assert.equal((await ask(hers, `My secret is ${secret}`)).status, 200)
  assert.equal((await ask(his, `What is it? ${mark}`)).status, 200)
  assert(!(await modelSaw(mark)).join('').includes(secret))
})

await check("a token's session is the only one it has", async () => {
  const [secret, mark, mine] = [nonce(), nonce(), `session-${nonce()}`]
  const [first, second] = [await token('ann', mine), await token('ann', `session-${nonce()}`)]
  const ask = (key, question) => send(gateway.url, { headers: bearer(key) }, { method: 'POST', path: '/api/v1/prediction/talk', body: { question } })
  assert.equal((await ask(first, `My secret is ${secret}`)).status, 200)
  const again = nonce()
  await ask(first, `Go on ${again}`)
  assert((await modelSaw(again)).join('').includes(secret), 'its own session is lost')
  assert.equal((await ask(second, `What is it? ${mark}`)).status, 200)
  assert(!(await modelSaw(mark)).join('').includes(secret))
  // Asking for another one gives the same: what a token says is forced.
  const third = nonce()
  const r = await send(gateway.url, { headers: bearer(second) }, { method: 'POST', path: '/api/v1/prediction/talk', body: { question: `And now? ${third}`, chatId: mine, overrideConfig: { sessionId: mine } } })
  assert(!r.text.includes(mine), r.text)
  assert(!(await modelSaw(third)).join('').includes(secret))
})

await check('SIGTERM ends the gateway with 0', async () => assert.deepEqual(await gateway.stop(), { code: 0, signal: null }))
await gateway.stop()
finish()
