// oidc-provider behind TLS, with the keys in a file: node provider.mjs FOLDER PORT KEYS. Clients get access tokens that are JWTs
// by client credentials; which key signs them, and for whom they are, is said by `resource`.
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [folder, port, keys] = process.argv.slice(2)
const { default: Provider } = await import(createRequire(join(process.env.OIDC_DIR, 'x.js')).resolve('oidc-provider'))
const issuer = `https://localhost:${port}`
const groups = { ann: ['support-users', 'staff'], bob: ['support-users'], eve: ['guests'] }
const client = id => ({ client_id: id, client_secret: 'secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] })

const provider = new Provider(issuer, {
  clients: Object.keys(groups).map(client),
  jwks: JSON.parse(readFileSync(keys, 'utf8')),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      // urn:NAME:ALGORITHM
      getResourceServerInfo: (_, resource) => {
        const [, audience, alg] = resource.split(':')
        return { scope: 'chat', audience, accessTokenTTL: 300, accessTokenFormat: 'jwt', jwt: { sign: { alg } } }
      },
    },
  },
  extraTokenClaims: (_, token) => ({ groups: groups[token.clientId], tier: token.clientId === 'ann' ? 'large' : 'small' }),
})
https.createServer({ key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) }, provider.callback())
  .listen(Number(port), '127.0.0.1', () => console.log('listening'))
