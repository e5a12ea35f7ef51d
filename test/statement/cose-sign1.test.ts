import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concatBytes, toHex } from '../../merkle/bytes.ts'
import { type CborValue, encodeCbor, tagged } from '../../statement/cbor.ts'
import { publicJwkOf } from '../../statement/cose-key.ts'
import {
  type CoseSign1,
  decodeCoseSign1,
  encodeCoseSign1,
  kidText,
  signSign1,
  sigStructure,
  verifySign1,
} from '../../statement/cose-sign1.ts'
import { importVerificationKey } from '../../statement/signature.node.ts'
import { ED25519_JWK, ES256_JWK, flipped, hex, keysOf, OTHER_ES256_JWK, utf8 } from './fixtures.ts'

const es256 = await keysOf(ES256_JWK)
const ed25519 = await keysOf(ED25519_JWK)
const payload = utf8('payload')
const honest = await signSign1({ protectedHeader: new Map([[3, 'text/plain']]), payload }, es256.signing)

/** A message with any protected header at all, signed over just those bytes. */
async function signedOver(protectedBytes: Uint8Array, unprotected = new Map<number, CborValue>()): Promise<Uint8Array> {
  const signature = await es256.signing.sign(sigStructure(protectedBytes, payload))
  return encodeCbor(tagged(18, [protectedBytes, unprotected, payload, signature]))
}

const map = (...entries: [number | string, CborValue][]) => encodeCbor(new Map(entries))

describe('signSign1 and verifySign1', () => {
  for (const keys of [es256, ed25519]) {
    it(`sign and verify with ${keys.signing.algorithm}, through the encoding`, async () => {
      const made = await signSign1({ protectedHeader: new Map([[3, 'text/plain']]), payload }, keys.signing)
      const read = decodeCoseSign1(encodeCoseSign1(made))
      assert.deepEqual(read, made)
      assert.equal(read.protectedHeader.get(1), keys.signing.algorithm === 'ES256' ? -7 : -8)
      assert.equal(kidText(read.protectedHeader.get(4) as Uint8Array), keys.signing.kid)
      await verifySign1(read, keys.verification)
    })
  }

  it('accept a detached payload that is supplied, and refuse when it is not or is another', async () => {
    const detached = await signSign1({ protectedHeader: new Map(), payload, detached: true }, es256.signing)
    assert.equal(detached.payload, null)
    await verifySign1(decodeCoseSign1(encodeCoseSign1(detached)), es256.verification, { payload })
    await assert.rejects(verifySign1(detached, es256.verification), { code: 'missing_payload' })
    await assert.rejects(verifySign1(detached, es256.verification, { payload: utf8('other') }), {
      code: 'bad_signature',
    })
  })

  it('hold an attached payload against the one expected', async () => {
    await verifySign1(honest, es256.verification, { payload })
    await assert.rejects(verifySign1(honest, es256.verification, { payload: utf8('other') }), { code: 'bad_signature' })
  })

  it('accept the fully-specified algorithm identifiers of RFC 9864', async () => {
    await verifySign1(decodeCoseSign1(await signedOver(map([1, -9]))), es256.verification)
    const protectedBytes = map([1, -19])
    const signature = await ed25519.signing.sign(sigStructure(protectedBytes, payload))
    const bytes = encodeCbor(tagged(18, [protectedBytes, new Map(), payload, signature]))
    await verifySign1(decodeCoseSign1(bytes), ed25519.verification)
  })

  it('accept a protected header with unsorted keys and tag 1, as most of the field writes it', async () => {
    const bytes = await signedOver(hex('a2 0f a1 06 c1 1a 65000000 01 26'))
    const read = decodeCoseSign1(bytes)
    assert.equal(toHex(encodeCoseSign1(read)), toHex(bytes))
    await verifySign1(read, es256.verification)
  })

  const lies: [what: string, code: string, lie: Partial<CoseSign1>][] = [
    ['another payload', 'bad_signature', { payload: utf8('Payload') }],
    ['another protected header', 'bad_signature', { protectedBytes: map([1, -7]) }],
    ['a signature with a bit turned', 'bad_signature', { signature: flipped(honest.signature, 9) }],
    ['a signature cut short', 'bad_signature', { signature: honest.signature.slice(1) }],
    ['no signature', 'bad_signature', { signature: new Uint8Array() }],
  ]
  for (const [what, code, lie] of lies) {
    it(`refuse ${what} (${code})`, async () => {
      await assert.rejects(verifySign1({ ...honest, ...lie }, es256.verification), { code })
    })
  }

  it('refuse another key (bad_signature), and a key of another algorithm (algorithm_mismatch)', async () => {
    const other = await importVerificationKey(publicJwkOf(OTHER_ES256_JWK))
    await assert.rejects(verifySign1(honest, other), { code: 'bad_signature' })
    await assert.rejects(verifySign1(honest, ed25519.verification), { code: 'algorithm_mismatch' })
  })

  const headers: [what: string, code: string, protectedBytes: Uint8Array, unprotected?: Map<number, CborValue>][] = [
    ['an algorithm that we do not have (ES256K)', 'unsupported_algorithm', map([1, -47])],
    ['RSA with PKCS #1 padding', 'unsupported_algorithm', map([1, -257])],
    ['an algorithm of another curve', 'algorithm_mismatch', map([1, -35])],
    ['an algorithm that is text', 'unsupported_algorithm', map([1, 'ES256'])],
    ['an HMAC as the algorithm', 'unsupported_algorithm', map([1, 5])],
    ['no algorithm', 'malformed_cose', map([3, 0])],
    ['no header at all', 'malformed_cose', new Uint8Array()],
    ['an algorithm in the unprotected header alone', 'malformed_cose', map(), new Map([[1, -7]])],
    ['a critical header that we do not know', 'unknown_critical_header', map([1, -7], [2, [999]], [999, 0])],
    [
      'a critical certificate chain, which nothing here validates',
      'unknown_critical_header',
      map([1, -7], [2, [33]], [33, hex('30')]),
    ],
  ]
  for (const [what, code, protectedBytes, unprotected] of headers) {
    it(`refuse ${what} (${code})`, async () => {
      const read = decodeCoseSign1(await signedOver(protectedBytes, unprotected))
      await assert.rejects(verifySign1(read, es256.verification), { code })
    })
  }

  it('accept critical headers that we process', async () => {
    const bytes = await signedOver(map([1, -7], [2, [15]], [15, new Map([[1, 'a']])]))
    await verifySign1(decodeCoseSign1(bytes), es256.verification)
  })
})

describe('decodeCoseSign1', () => {
  const parts = [map([1, -7]), new Map(), payload, new Uint8Array(64)] as const
  const message = (...changed: CborValue[]) => encodeCbor(tagged(18, changed))
  const valid = message(...parts)
  decodeCoseSign1(valid)

  const refused: [what: string, code: string, bytes: Uint8Array][] = [
    ['no tag', 'malformed_cose', encodeCbor([...parts])],
    ['another tag', 'malformed_cbor', encodeCbor(tagged(98, [...parts]))],
    ['tag 18 twice', 'malformed_cbor', encodeCbor(tagged(18, tagged(18, [...parts])))],
    ['three elements', 'malformed_cbor', message(...parts.slice(0, 3))],
    ['five elements', 'malformed_cbor', message(...parts, null)],
    ['a protected header that is no byte string', 'malformed_cbor', message(new Map([[1, -7]]), ...parts.slice(1))],
    ['a protected header that is no map', 'malformed_cbor', message(encodeCbor([1]), ...parts.slice(1))],
    [
      'bytes after the protected header',
      'malformed_cbor',
      message(concatBytes(parts[0], hex('00')), ...parts.slice(1)),
    ],
    ['a protected header with a duplicate label', 'malformed_cbor', message(hex('a201260126'), ...parts.slice(1))],
    ['a protected header of indefinite length', 'malformed_cbor', message(hex('bf0126ff'), ...parts.slice(1))],
    ['a byte-string label', 'malformed_cbor', message(hex('a1410126'), ...parts.slice(1))],
    ['an unprotected header that is no map', 'malformed_cbor', message(parts[0], [], ...parts.slice(2))],
    ['a payload that is text', 'malformed_cbor', message(parts[0], parts[1], 'payload', parts[3])],
    ['a payload that is false', 'malformed_cbor', message(parts[0], parts[1], false, parts[3])],
    ['an undefined payload', 'malformed_cbor', hex('d2 84 43a10126 a0 f7 4101')],
    ['a signature that is null', 'malformed_cbor', message(parts[0], parts[1], payload, null)],
    ['a label in both headers', 'malformed_cose', message(parts[0], new Map([[1, -7]]), payload, parts[3])],
    ['crit in the unprotected header', 'malformed_cose', message(parts[0], new Map([[2, [1]]]), payload, parts[3])],
    ['crit that is empty', 'malformed_cose', message(map([1, -7], [2, []]), ...parts.slice(1))],
    ['crit that is no array', 'malformed_cbor', message(map([1, -7], [2, 1]), ...parts.slice(1))],
    ['crit of something that is no label', 'malformed_cose', message(map([1, -7], [2, [null]]), ...parts.slice(1))],
    ['crit of a label that is not there', 'malformed_cose', message(map([1, -7], [2, [15]]), ...parts.slice(1))],
    ['an envelope of indefinite length', 'malformed_cbor', hex('d2 9f 43a10126 a0 4100 4101 ff')],
    ['a payload length in more bytes than it needs', 'malformed_cbor', hex('d2 84 43a10126 a0 580100 4101')],
    ['a tag in more bytes than it needs', 'malformed_cbor', hex('d812 84 43a10126 a0 4100 4101')],
    ['bytes after the end', 'malformed_cbor', concatBytes(valid, hex('00'))],
    ['a message cut short', 'malformed_cbor', valid.slice(0, -1)],
    ['nothing', 'malformed_cbor', new Uint8Array()],
  ]
  for (const [what, code, bytes] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => decodeCoseSign1(bytes), { code }))
  }

  it('refuses more bytes than the caller wants (too_large)', () => {
    decodeCoseSign1(valid, { maxBytes: valid.length })
    assert.throws(() => decodeCoseSign1(valid, { maxBytes: valid.length - 1 }), { code: 'too_large' })
  })
})

describe('sigStructure', () => {
  it('is the ToBeSigned of cose-wg sign-pass-02, with external data', () => {
    assert.equal(
      toHex(sigStructure(hex('a10126'), utf8('This is the content.'), hex('11aa22bb33cc44dd55006699'))),
      '846a5369676e61747572653143a101264c11aa22bb33cc44dd5500669954546869732069732074686520636f6e74656e742e',
    )
  })

  it('treats an empty header as no bytes, however it was sent', () => {
    assert.deepEqual(sigStructure(hex('a0'), payload), sigStructure(new Uint8Array(), payload))
  })
})

describe('kidText', () => {
  it('is the text of a printable kid, and base64url of any other', () => {
    assert.equal(kidText(utf8('test-key-1')), 'test-key-1')
    assert.equal(kidText(hex('00ff')), 'AP8')
    assert.equal(kidText(utf8('a b')), 'YSBi')
  })
})
