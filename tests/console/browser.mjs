// A headless Chromium that is spoken to over a pipe (the DevTools protocol, a zero byte after each message).
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { spawn } from 'node:child_process'

const PATIENCE = 20000
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export async function until(what, condition) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(50)) {
    const value = await condition()
    if (value) return value
  }
  throw new Error(`waited in vain for ${what}`)
}

export function browse(program) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'flowgate-console-'))
  const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1', 'about:blank']
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true })
  const waiting = new Map()
  const listeners = []
  let next = 1
  let held = ''
  child.stdio[4].setEncoding('utf8').on('data', (piece) => {
    const messages = (held + piece).split('\0')
    held = messages.pop()
    for (const text of messages) {
      const message = JSON.parse(text)
      const answer = waiting.get(message.id)
      waiting.delete(message.id)
      if (answer) message.error ? answer.reject(new Error(JSON.stringify(message.error))) : answer.resolve(message.result)
      else for (const listener of listeners) listener(message)
    }
  })
  const call = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    const id = next++
    waiting.set(id, { resolve, reject })
    child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0')
  })
  const close = async () => {
    await Promise.race([call('Browser.close').catch(() => {}), sleep(3000)])
    // Its other processes, which would write on in the folder, are of one group with it.
    try { process.kill(-child.pid, 'SIGKILL') } catch { /* all have ended */ }
    await new Promise((resolve) => (child.exitCode ?? child.signalCode) === null ? child.once('exit', resolve) : resolve())
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
  return { call, close, listen: (listener) => listeners.push(listener) }
}

// A page of its own. `wrong` fills with whatever the browser complains of.
export async function open(browser, url, { width, height, dark = false }) {
  const { targetId } = await browser.call('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await browser.call('Target.attachToTarget', { targetId, flatten: true })
  const call = (method, params) => browser.call(method, params, sessionId)
  const wrong = []
  browser.listen((message) => {
    if (message.sessionId !== sessionId) return
    const { method, params } = message
    if (method === 'Runtime.exceptionThrown') wrong.push(params.exceptionDetails.exception?.description || params.exceptionDetails.text)
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning'].includes(params.type)) wrong.push(params.args.map((arg) => arg.value).join(' '))
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) wrong.push(`${params.entry.text} ${params.entry.url || ''}`)
    if (method === 'Audits.issueAdded' && params.issue.code === 'ContentSecurityPolicyIssue') wrong.push(JSON.stringify(params.issue.details))
  })
  for (const domain of ['Page', 'Runtime', 'Log', 'Audits']) await call(`${domain}.enable`)
  await call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 500 })
  await call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] })
  const loaded = new Promise((resolve) => browser.listen((message) => { if (message.sessionId === sessionId && message.method === 'Page.loadEventFired') resolve() }))
  await call('Page.navigate', { url })
  await loaded
  const run = async (expression) => {
    const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description || exceptionDetails.text)
    return result.value
  }
  const press = async (key, code, windowsVirtualKeyCode) => {
    for (const type of ['keyDown', 'keyUp']) await call('Input.dispatchKeyEvent', { type, key, code, windowsVirtualKeyCode, text: type === 'keyDown' && key === 'Enter' ? '\r' : undefined })
  }
  const picture = async (file) => {
    const { cssContentSize } = await call('Page.getLayoutMetrics')
    const clip = { x: 0, y: 0, width, height: Math.min(cssContentSize.height, 6000), scale: 1 }
    const { data } = await call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip })
    fs.writeFileSync(file, Buffer.from(data, 'base64'))
  }
  const tree = async () => (await call('Accessibility.getFullAXTree')).nodes.filter((node) => !node.ignored)
  return { run, press, picture, tree, wrong, close: () => browser.call('Target.closeTarget', { targetId }) }
}
