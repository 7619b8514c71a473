// A Redis for memories, with a database for each side (lab/credentials.mjs).
import { spawn } from 'node:child_process'
import net from 'node:net'

const PORT = 13998
const answers = () => new Promise((resolve) => {
  const socket = net.connect(PORT, '127.0.0.1', () => socket.write('FLUSHALL\r\n'))
  socket.on('data', () => { socket.destroy(); resolve(true) })
  socket.on('error', () => resolve(false))
})

// Started empty; `null` where there is none to start, and what needs it is left out.
export async function startRedis() {
  const child = spawn('redis-server', ['--port', String(PORT), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' })
  const isAbsent = new Promise((resolve) => child.on('error', () => resolve(true)))
  for (let i = 0; i < 100; i++) {
    if (await answers()) return child
    if (await Promise.race([isAbsent, new Promise((r) => setTimeout(r, 50))])) return null
  }
  return null
}
