// Ports for whoever must know one before anybody listens there.
import net from 'node:net'

let given = 0

// Below the ports that the kernel gives to anybody who asks (from 32768 on), and those of a Cluster's nodes among each
// other (10,000 above) too: nobody comes to have it before the server does, or while that is started again. Each is given
// but once in a process, and sixteen before those of the next.
export async function freePort() {
  const free = port => new Promise(done => {
    const probe = net.createServer().once('error', () => done(false)).listen(port, '127.0.0.1', () => probe.close(() => done(true)))
  })
  for (;;) {
    const port = 12_000 + (process.pid * 16 + given++) % 10_000
    if (await free(port) && await free(port + 10_000)) return port
  }
}
