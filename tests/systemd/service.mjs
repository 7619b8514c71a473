// Runs inside the container, as root: the package as its pages say, on a systemd that has booted. See `run`.
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { promisify } from 'node:util'

const pause = ms => new Promise(done => setTimeout(done, ms))
const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 }).trim()
// While others are served in this process.
const runs = (program, ...args) => promisify(execFile)(program, args)
const systemctl = (...args) => run('systemctl', ...args)
const property = (name, unit = 'flowgate.service') => systemctl('show', '--value', '--property', name, unit)
// What flowgate has said, and what systemd said of it.
const journal = () => run('journalctl', '--unit', 'flowgate.service', '--output', 'cat', '--no-pager')
const CONFIG = '/etc/flowgate/flowgate.yaml'

let [passed, failed] = [0, 0]
async function check(name, test) {
  try {
    await test()
    passed++
    console.log(`ok      ${name}`)
  } catch (error) {
    failed++
    console.log(`FAILED  ${name}\n        ${error.message}\n        ${(error.stderr ?? '').trim()}`)
    console.log(spawnSync('sh', ['-c', 'systemctl status flowgate --no-pager; journalctl -u flowgate -n 15 --no-pager -o cat'], { encoding: 'utf8' }).stdout)
  }
}
function equal(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: ${found} in place of ${wanted}`)
}
async function until(what, condition, seconds = 20) {
  for (const end = Date.now() + seconds * 1000; ;) {
    const found = await Promise.resolve().then(condition).catch(() => undefined)
    if (found) return found
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await pause(50)
  }
}

// A stub of Flowise. Streams go on until they are told to end.
const streams = []
http.createServer((request, response) => {
  let body = ''
  request.on('data', data => { body += data }).on('end', () => {
    if (!body.includes('"streaming":true')) {
      response.setHeader('content-type', 'application/json')
      return response.end('{"text":"fine"}')
    }
    response.setHeader('content-type', 'text/event-stream')
    response.flushHeaders()
    streams.push(response)
  })
}).listen(3000, '127.0.0.1')
const say = (stream, event, data) => stream.write(`message:\ndata:${JSON.stringify({ event, data })}\n\n`)

let key
function ask(body = { question: 'hi' }, agent = false) {
  return new Promise((answer, fail) => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json' }
    const sent = http.request({ host: '127.0.0.1', port: 8080, path: '/api/v1/prediction/support', method: 'POST', headers, agent }, response => {
      const got = { status: response.statusCode, id: response.headers['x-request-id'], text: '', ended: false }
      if (body.streaming) answer(got)
      response.on('data', data => { got.text += data }).on('error', fail)
      response.on('end', () => { got.ended = true; answer(got) })
    })
    sent.on('error', fail)
    sent.end(JSON.stringify(body))
  })
}

// Requests without a pause while something is done, each on a connection of its own; how many, and what failed.
async function under(deed) {
  let [going, answered, wrong] = [true, 0, []]
  const loops = Array.from({ length: 4 }, async () => {
    while (going) await ask().then(({ status }) => { answered++; if (status !== 200) wrong.push(status) }, error => wrong.push(error.code))
  })
  await pause(200)
  await deed()
  await pause(300)
  going = false
  await Promise.all(loops)
  if (wrong.length || answered < 20) throw new Error(`${answered} answered, ${wrong.length} failed: ${[...new Set(wrong)]}`)
}

async function stream() {
  const got = await ask({ question: 'hi', streaming: true })
  const source = await until('Flowise', () => streams.shift())
  say(source, 'token', 'first')
  await until('its first word', () => got.text.includes('first'))
  return { got, async end() { say(source, 'token', 'last'); say(source, 'end', '[DONE]'); source.end(); await until('its end', () => got.ended && got.text.includes('last') && got.text.includes('[DONE]')) } }
}

function override(text) {
  mkdirSync('/etc/systemd/system/flowgate.service.d', { recursive: true })
  writeFileSync('/etc/systemd/system/flowgate.service.d/try.conf', `[Service]\n${text}\n`)
  systemctl('daemon-reload')
}

await check('dpkg -i: the units are known, and nothing is started', () => {
  run('dpkg', '-i', '/opt/try/flowgate.deb')
  equal('the service', property('ActiveState'), 'inactive')
  equal('the socket', property('LoadState', 'flowgate.socket'), 'loaded')
  // Machines that throw their files away have no more descriptors to give.
  override('LimitNOFILE=16384')
})
await check('as the head of flowgate.yaml says: systemctl enable --now', async () => {
  key = run('flowgate', 'keys', 'create', '--file', '/etc/flowgate/keys.yaml', '--id', 'my-app')
  run('chgrp', 'flowgate', '/etc/flowgate/keys.yaml')
  run('chmod', '0640', '/etc/flowgate/keys.yaml')
  appendFileSync(CONFIG, '\nplans:\n  default: { requests: 100000/s, burst: 100000, concurrent: 1000, quota: 1000000/day }\n')
  run('flowgate', 'check', '--config', CONFIG)
  systemctl('enable', '--now', 'flowgate')
  // It is ready when `systemctl start` returns.
  equal('an answer', (await ask()).status, 200)
  equal('the status', property('StatusText'), 'http 127.0.0.1:8080, admin 127.0.0.1:9090')
  equal('the user', run('ps', '-o', 'user=', '-p', property('MainPID')), 'flowgate')
})
await check('a request is found in the journal by its id', async () => {
  const { id } = await ask()
  await until('its line', () => journal().split('\n').some(line => line.includes(id) && JSON.parse(line).key === 'my-app'))
})
await check('systemctl reload: what is on disk is in force; what is wrong is told, and is not', async () => {
  const text = readFileSync(CONFIG, 'utf8')
  writeFileSync(CONFIG, text.replace('support:', 'other:'))
  systemctl('reload', 'flowgate')
  await until('the new name', async () => (await ask()).status !== 200)
  writeFileSync(CONFIG, 'nonsense: 1\n')
  systemctl('reload', 'flowgate')
  await until('the status', () => /reject|wrong|not in force/i.test(property('StatusText')))
  writeFileSync(CONFIG, text)
  systemctl('reload', 'flowgate')
  await until('the old name', async () => (await ask()).status === 200)
  equal('the state', property('ActiveState'), 'active')
})
await check('engine threads may yield to those that serve', () => {
  const filters = readFileSync('/lib/systemd/system/flowgate.service', 'utf8').split('\n')
    .filter(line => line.startsWith('SystemCall')).map(line => `--property=${line}`)
  const niceness = (...command) => Number(run('systemd-run', '--quiet', '--pipe', '--wait', '--collect', '--uid=flowgate',
    '--property=NoNewPrivileges=yes', ...filters, ...command, 'nice'))
  // The one who began the test may have been nice already.
  equal('niceness', niceness('nice', '-n', '5') - niceness(), 5)
})
await check('its watchdog is fed, and a process that stands still is replaced', async () => {
  override('LimitNOFILE=16384\nWatchdogSec=2s')
  systemctl('restart', 'flowgate')
  const pid = property('MainPID')
  await pause(5000)
  equal('the process', property('MainPID'), pid)
  process.kill(Number(pid), 'SIGSTOP')
  await until('another process', async () => property('MainPID') !== pid && property('ActiveState') === 'active' && (await ask()).status === 200)
})
await check('an upgrade by dpkg under load: no request fails, an open stream ends whole, the watchdog is fed', async () => {
  const before = property('MainPID')
  const open = await stream()
  await under(async () => {
    await runs('dpkg', '-i', '/opt/try/flowgate.deb')
    await until('the new process', () => property('MainPID') !== before && property('ActiveState') === 'active')
  })
  await open.end()
  await until('the end of the old process', () => spawnSync('kill', ['-0', before]).status !== 0)
  const after = property('MainPID')
  await pause(5000)
  equal('the process', property('MainPID'), after)
  equal('restarts', property('NRestarts'), '1')
  systemctl('reload', 'flowgate')
  equal('an answer', (await ask()).status, 200)
})
await check('one that crashes is started again; one whose configuration is wrong is not', async () => {
  const before = property('MainPID')
  process.kill(Number(before), 'SIGKILL')
  await until('another process', async () => property('MainPID') !== before && property('ActiveState') === 'active' && (await ask()).status === 200)
  const text = readFileSync(CONFIG, 'utf8')
  writeFileSync(CONFIG, 'nonsense: 1\n')
  equal('systemctl restart', spawnSync('systemctl', ['restart', 'flowgate']).status, 1)
  await pause(2500)
  equal('the state', property('ActiveState'), 'failed')
  if (!journal().includes('nonsense')) throw new Error('the journal does not say what is wrong')
  writeFileSync(CONFIG, text)
  systemctl('start', 'flowgate')
  equal('an answer', (await ask()).status, 200)
})
await check('systemctl stop: streams may end, counts are kept', async () => {
  const open = await stream()
  const stopping = systemctl('stop', '--no-block', 'flowgate')
  equal('nothing is said', stopping, '')
  await until('the drain', () => property('ActiveState') === 'deactivating')
  await open.end()
  await until('the end', () => property('ActiveState') === 'inactive')
  equal('how it ended', property('Result'), 'success')
  if (!/"my-app"/.test(readFileSync('/var/lib/flowgate/usage.json', 'utf8') + readFileSync('/var/lib/flowgate/quota.json', 'utf8'))) throw new Error('nothing is kept')
})
await check('flowgate.socket: a restart under load refuses nobody, and the service has no right to low ports', async () => {
  override('LimitNOFILE=16384\nAmbientCapabilities=\nCapabilityBoundingSet=')
  systemctl('enable', '--now', 'flowgate.socket')
  // The first connection starts it.
  equal('the service', property('ActiveState'), 'inactive')
  equal('an answer', (await ask()).status, 200)
  equal('capabilities', /CapEff:\s*(\w+)/.exec(readFileSync(`/proc/${property('MainPID')}/status`, 'utf8'))[1], '0000000000000000')
  await under(() => runs('systemctl', 'restart', 'flowgate.service'))
})
await check('an upgrade with that socket under load: no request fails, an open stream ends whole', async () => {
  const before = property('MainPID')
  const open = await stream()
  await under(async () => {
    await runs('systemctl', 'kill', '-s', 'USR2', '--kill-who=main', 'flowgate')
    await until('the new process', () => property('MainPID') !== before && property('ActiveState') === 'active')
  })
  await open.end()
})
await check('systemd-analyze security: 2.0 at most', () => {
  override('LimitNOFILE=16384')
  console.log(`        ${run('systemd-analyze', 'security', '--no-pager', '--threshold=20', 'flowgate.service').split('\n').at(-1)}`)
})
await check('apt remove: stopped and gone; purge: the user, keys and counts as well', () => {
  run('dpkg', '--remove', 'flowgate')
  equal('the state', property('ActiveState'), 'inactive')
  equal('the socket', property('ActiveState', 'flowgate.socket'), 'inactive')
  run('dpkg', '--purge', 'flowgate')
  equal('files', spawnSync('sh', ['-c', 'ls -d /etc/flowgate /var/lib/flowgate /usr/bin/flowgate 2>/dev/null'], { encoding: 'utf8' }).stdout, '')
})
console.log(`systemd ${/\d+/.exec(run('systemctl', '--version'))[0]}: ${passed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
