// What goes wrong: each fault begins, and later ends. `needs`: stores that it can befall. `empties`: what the store had is
// gone. `loses`: while it lasts, callers of some gateway cannot reach it.
import { command, pause } from './stores.mjs'

const any = list => list[Math.floor(Math.random() * list.length)]
// The node that has a key that ends like that.
const nodeOf = async ({ servers }, end) => {
  for (const server of servers) if ((await server.ask('KEYS', `*${end}`)).includes(end)) return server
  throw new Error(`no node has ${end}`)
}
const killNode = async (it, node) => { it.gone = node; await node.kill() }

export const FAULTS = [
  { name: 'nothing', begin: async () => {}, end: async () => {} },

  // A store that stands alone, behind a proxy for each gateway.
  { name: 'store killed, back with its data', needs: ['single'], begin: ({ store }) => store.server.kill(), end: ({ store }) => store.server.start() },
  { name: 'store killed, back empty', needs: ['single'], empties: true, begin: async ({ store }) => { await store.server.kill(); store.server.forget() }, end: ({ store }) => store.server.start() },
  { name: 'store paused', needs: ['single'], begin: ({ store }) => store.server.signal('SIGSTOP'), end: ({ store }) => store.server.signal('SIGCONT') },
  { name: 'store asleep in a command', needs: ['single'], begin: ({ store }) => { store.server.ask('DEBUG', 'SLEEP', '1').catch(() => {}) }, end: async () => {} },
  { name: 'store slow: 20 ms each way', needs: ['single'], begin: ({ store }) => store.proxies.forEach(proxy => proxy.set('open', 20)), end: ({ store }) => store.proxies.forEach(proxy => proxy.set('open')) },
  { name: 'store slow: 200 ms each way', needs: ['single'], begin: ({ store }) => store.proxies.forEach(proxy => proxy.set('open', 200)), end: ({ store }) => store.proxies.forEach(proxy => proxy.set('open')) },
  { name: 'all connections reset', needs: ['single'], begin: ({ store }) => store.proxies.forEach(proxy => proxy.cut()), end: async () => {} },
  { name: 'connections killed by the store', needs: ['single'], begin: ({ store }) => store.server.ask('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => {}), end: async () => {} },
  { name: 'one gateway cut off, refused', needs: ['single'], begin: ({ store }) => store.proxies[0].set('refuse'), end: ({ store }) => store.proxies[0].set('open') },
  { name: 'one gateway cut off, silent', needs: ['single'], begin: ({ store }) => store.proxies[1].set('silent'), end: ({ store }) => { store.proxies[1].set('open'); store.proxies[1].cut() } },
  { name: 'two gateways cut off, silent', needs: ['single'], begin: ({ store }) => [0, 1].forEach(one => store.proxies[one].set('silent')), end: ({ store }) => [0, 1].forEach(one => { store.proxies[one].set('open'); store.proxies[one].cut() }) },
  { name: 'all gateways cut off, silent', needs: ['single'], begin: ({ store }) => store.proxies.forEach(proxy => proxy.set('silent')), end: ({ store }) => store.proxies.forEach(proxy => { proxy.set('open'); proxy.cut() }) },
  { name: 'one gateway far away: 15 ms', needs: ['single'], begin: ({ store }) => store.proxies[2].set('open', 15), end: ({ store }) => store.proxies[2].set('open') },
  { name: 'store full', needs: ['single'], begin: ({ store }) => store.server.ask('CONFIG', 'SET', 'maxmemory', '1'), end: ({ store }) => store.server.ask('CONFIG', 'SET', 'maxmemory', '0') },
  { name: 'keys evicted', needs: ['single'], empties: true, begin: ({ store }) => store.server.ask('FLUSHALL'), end: async () => {} },
  { name: 'scripts forgotten', needs: ['single'], begin: ({ store }) => store.server.ask('SCRIPT', 'FLUSH'), end: async () => {} },
  { name: 'store read-only', needs: ['single'], begin: ({ store }) => store.server.ask('REPLICAOF', '127.0.0.1', '1'), end: ({ store }) => store.server.ask('REPLICAOF', 'NO', 'ONE') },

  { name: 'clock set forward an hour, and back', needs: ['single'], begin: ({ store }) => store.server.clock && store.server.setClock(3600), end: ({ store }) => store.server.clock && store.server.setClock(0) },
  { name: 'clock set back an hour, and forward', needs: ['single'], begin: ({ store }) => store.server.clock && store.server.setClock(-3600), end: ({ store }) => store.server.clock && store.server.setClock(0) },

  // Gateways.
  { name: 'gateway killed, and started again', begin: ({ gateways }) => gateways[0].kill(), end: ({ gateways }) => gateways[0].start() },
  { name: 'gateway killed in mid-stream', begin: async it => { await it.gateways[2].streams(it.keys.rated, 4, it.count); await it.gateways[2].kill() }, end: ({ gateways }) => gateways[2].start() },
  { name: 'gateway stopped, and started again', begin: ({ gateways }) => gateways[1].kill('SIGTERM'), end: ({ gateways }) => gateways[1].start() },
  { name: 'gateway paused', begin: ({ gateways }) => gateways[2].signal('SIGSTOP'), end: ({ gateways }) => gateways[2].signal('SIGCONT') },
  { name: 'a fourth gateway comes and goes', begin: ({ extra }) => extra.start(), end: ({ extra }) => extra.kill('SIGTERM') },

  // A primary with a replica and Sentinel.
  { name: 'primary killed: failover', needs: ['sentinel'], async begin(it) { it.gone = await it.store.primary(); await it.gone.kill() },
    async end(it) { await pause(1500); it.gone.settings = []; await it.gone.start(); await it.store.follow(it.gone) } },
  { name: 'failover on request', needs: ['sentinel'], begin: ({ store }) => command(store.port, 'SENTINEL', 'FAILOVER', 'flowgate').catch(() => {}), end: () => pause(1500) },
  { name: 'primary paused', needs: ['sentinel'], async begin(it) { it.gone = await it.store.primary(); it.gone.signal('SIGSTOP') }, async end(it) { it.gone.signal('SIGCONT'); await pause(1000); await it.store.follow(it.gone) } },
  { name: 'replica killed', needs: ['sentinel'], async begin(it) { const primary = await it.store.primary(); it.gone = it.store.servers.find(one => one !== primary); await it.gone.kill() }, end: it => it.gone.start() },

  // A Cluster of three.
  { name: 'a node killed, back with its data', needs: ['cluster'], begin: it => killNode(it, any(it.store.servers)), end: it => it.gone.start() },
  { name: 'the node of the caller killed', needs: ['cluster'], begin: async it => killNode(it, await nodeOf(it.store, ':rate')), end: it => it.gone.start() },
  { name: 'the node that counts gateways killed', needs: ['cluster'], begin: async it => killNode(it, await nodeOf(it.store, 'v1:replicas')), end: it => it.gone.start() },
  { name: 'a node paused', needs: ['cluster'], begin: it => { it.gone = any(it.store.servers); it.gone.signal('SIGSTOP') }, end: it => it.gone.signal('SIGCONT') },
  { name: 'connections of a node killed', needs: ['cluster'], begin: ({ store }) => any(store.servers).ask('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => {}), end: async () => {} },
  { name: 'scripts of all nodes forgotten', needs: ['cluster'], begin: ({ store }) => Promise.all(store.servers.map(one => one.ask('SCRIPT', 'FLUSH'))), end: async () => {} },
]
