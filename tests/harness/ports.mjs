// Ports for whoever must know one before anybody listens there.
import { randomInt } from 'node:crypto'
import net from 'node:net'

// Below the ports that the kernel gives to anybody who asks (from 32768 on), and those of a Cluster's nodes among each
// other (10,000 above) too: nobody comes to have it before the server does, or while that is started again.
export async function freePort() {
  const free = port => new Promise(done => {
    const probe = net.createServer().once('error', () => done(false)).listen(port, '127.0.0.1', () => probe.close(() => done(true)))
  })
  for (;;) {
    const port = 12_000 + randomInt(10_000)
    if (await free(port) && await free(port + 10_000)) return port
  }
}
