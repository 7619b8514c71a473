// Signs a session token in the backend, without asking flowgate. The secret key never leaves it.
import { createHash, createHmac } from 'node:crypto'

export function mint(keyId, secretKey, claims, now = Math.floor(Date.now() / 1000), life = 300) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = { alg: 'HS256', typ: 'JWT', kid: keyId }
  const signed = `${part(header)}.${part({ aud: 'flowgate', iat: now, exp: now + life, ...claims })}`
  const digest = createHash('sha256').update(secretKey).digest()
  const signing = createHmac('sha256', digest).update('flowgate session token v1').digest()
  return `${signed}.${createHmac('sha256', signing).update(signed).digest('base64url')}`
}
