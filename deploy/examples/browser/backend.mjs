// The backend of both pages. The secret key stays here; whoever is signed in gets a token for one chatflow.
import fs from 'node:fs'
import http from 'node:http'
const { FLOWGATE = 'http://127.0.0.1:8080', FLOWGATE_KEY, PORT = 8000 } = process.env
const pages = { '/': 'token.html', '/widget.html': 'widget.html' }
http.createServer(async (request, response) => {
  if (request.method === 'GET' && pages[request.url]) return response.setHeader('Content-Type', 'text/html').end(fs.readFileSync(new URL(pages[request.url], import.meta.url)))
  if (request.method !== 'POST' || request.url !== '/token') return response.writeHead(404).end()
  const userId = 'ann' // whoever your own session says it is; never what the page says
  const body = JSON.stringify({ chatflow: 'account', ttl: '5m', sub: userId, vars: { userId } })
  const answer = await fetch(`${FLOWGATE}/api/v1/tokens`, { method: 'POST', headers: { Authorization: `Bearer ${FLOWGATE_KEY}`, 'Content-Type': 'application/json' }, body })
  response.writeHead(answer.status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(await answer.text())
}).listen(PORT, 'localhost')
