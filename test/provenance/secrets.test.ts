/**
 * Secrets that stand in binary data, wherever in it: it is not decoded before something in it looks like one.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { concatBytes, utf8 } from '../../merkle/index.ts'
import { bytesHaveSecret } from '../../provenance/secrets.ts'

const SECRETS = [
  `eyJhbGciOiJFUzI1NiJ9.${'A'.repeat(40)}.${'B'.repeat(40)}`,
  `ewogICJhbGciOiJFUzI1NiJ9.${'A'.repeat(40)}.${'B'.repeat(40)}`,
  '-----BEGIN PRIVATE KEY-----',
  `AGE-SECRET-KEY-1${'Q'.repeat(40)}`,
  `PRIVATE+KEY+log.example+0123abcd+${'A'.repeat(40)}`,
  `{"kty":"EC","d":"${'A'.repeat(43)}"}`,
]

it('finds a secret in binary data at every place, and at its end', () => {
  for (const secret of SECRETS) {
    for (let before = 64; before < 68; before++) {
      for (const after of [0, 1, 2]) {
        const bytes = concatBytes(new Uint8Array(before).fill(1), utf8(secret), new Uint8Array(after).fill(2))
        assert.equal(bytesHaveSecret(bytes), true, `${secret.slice(0, 12)} after ${before}, before ${after}`)
      }
    }
  }
})

it('takes no letters that look like a beginning for a secret', () => {
  const bytes = concatBytes(new Uint8Array(64).fill(1), utf8('ey ew PRIV SECR "kty'), new Uint8Array(3))
  assert.equal(bytesHaveSecret(bytes), false)
})
