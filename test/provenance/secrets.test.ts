/**
 * Secrets that stand in binary data, wherever in it: it is not decoded before something in it looks like one.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { concatBytes, utf8 } from '../../merkle/index.ts'
import { bytesHaveSecret, bytesMayHaveSecret, hasSecret, textMayHaveSecret } from '../../provenance/secrets.ts'
import { refuseTokens, refuseTokensIn } from '../../provenance/token-in-clear.ts'
import { type CborValue, decodeCbor, encodeCbor } from '../../statement/index.ts'

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

it('finds one that was wrapped or escaped between its second letter and its third', () => {
  for (const between of ['\n', '\r\n  ', '\\\n', '\u00ad', '\u200b']) {
    const [secret] = SECRETS
    const wrapped = `${secret!.slice(0, 2)}${between}${secret!.slice(2)}`
    const bytes = concatBytes(new Uint8Array(64).fill(1), utf8(wrapped))
    assert.equal(bytesHaveSecret(bytes), true, JSON.stringify(between))
  }
})

it('suspects no two letters that stand together in ciphertext, as they do in one section of twenty', () => {
  for (const chance of ['eyK', 'ey.', 'ewA', 'ew ', 'ey\u0001Q']) {
    const bytes = concatBytes(new Uint8Array(64).fill(1), utf8(chance), new Uint8Array(64).fill(2))
    assert.equal(bytesMayHaveSecret(bytes, 0, bytes.length), false, chance)
  }
})

it('takes no letters that look like a beginning for a secret', () => {
  const bytes = concatBytes(new Uint8Array(64).fill(1), utf8('ey ew PRIV SECR "kty'), new Uint8Array(3))
  assert.equal(bytesHaveSecret(bytes), false)
})

// Pieces of what is looked for, and of what is not: together they are now a secret and now nearly one.
const piece = fc.oneof(
  fc.constantFrom(...SECRETS),
  fc.constantFrom(
    'e',
    'y',
    'ey',
    'ew',
    'eyJ',
    'PRIV',
    'PR',
    'SECR',
    '-----BEGIN',
    'kty',
    '"kty":"EC"',
    '"d":"',
    '.',
    '\n',
    ' ',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
)
const texts = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))

it('takes for no suspect only what is none when it is decoded', () => {
  fc.assert(
    fc.property(texts, fc.nat({ max: 3 }), (text, before) => {
      const encoded = concatBytes(new Uint8Array(before).fill(0x65), utf8(text), utf8('y'))
      const [from, to] = [before, encoded.length - 1]
      if (!textMayHaveSecret(encoded, from, to)) assert.equal(hasSecret(text), false)
      if (!bytesMayHaveSecret(encoded, from, to)) assert.equal(bytesHaveSecret(encoded.slice(from, to)), false)
    }),
    { numRuns: 2000 },
  )
})

it('refuses the same values by a glance at their bytes as by all that is in them', () => {
  const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'medium' },
      texts,
      texts.map(utf8),
      fc.uint8Array({ maxLength: 80 }),
      fc.maxSafeInteger(),
      fc.constantFrom(null, true, false),
      fc.array(tie('value'), { maxLength: 30 }),
      fc.array(fc.tuple(texts, tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    ),
  }))
  const thrown = (work: () => void): string | undefined => {
    try {
      work()
    } catch (error) {
      return (error as Error).message
    }
    return undefined
  }
  fc.assert(
    fc.property(value, (value) => {
      const encoded = encodeCbor(value)
      const decoded = decodeCbor(encoded)
      assert.equal(
        thrown(() => refuseTokensIn(encoded, decoded, 'here')),
        thrown(() => refuseTokens(decoded, 'here')),
      )
    }),
    { numRuns: 1000 },
  )
})
