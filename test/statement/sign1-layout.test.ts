/**
 * The places of a statement's parts, against the reader that everything is put to afterwards.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { concatBytes, equalBytes, fromHex } from '../../merkle/index.ts'
import {
  decodeCoseSign1,
  encodeCbor,
  encodeCoseSign1,
  layoutOf,
  parseSignedStatement,
  SIGNATURE1,
  signStatement,
  sigStructure,
} from '../../statement/index.ts'
import { ED25519_JWK, ES256_JWK, keysOf } from './fixtures.ts'

const signers = () => Promise.all([ES256_JWK, ED25519_JWK].map(async (jwk) => (await keysOf(jwk)).signing))

describe('the layout of a statement', () => {
  it('is where the reader finds its parts, and says of the header what the reader says', async () => {
    for (const signer of await signers()) {
      for (const length of [0, 1, 23, 24, 255, 256, 70_000]) {
        const { bytes, header, payload, sign1 } = await signStatement(
          {
            issuer: 'spiffe://example.org/issuer',
            subject: 'urn:example:subject',
            issuedAt: 1_700_000_000 + length,
            contentType: 'application/octet-stream',
            typ: 'application/vnd.provlog.log-policy+cose',
            payload: new Uint8Array(length).fill(7),
          },
          signer,
        )
        const layout = layoutOf(bytes)!
        assert.deepEqual(
          [layout.kid, layout.typ, layout.issuer, layout.issuedAt],
          [header.kid, header.typ, header.issuer, header.issuedAt],
        )
        assert.deepEqual(bytes.subarray(layout.signature), sign1.signature)
        const content = concatBytes(
          SIGNATURE1,
          bytes.subarray(layout.start, layout.unprotected),
          Uint8Array.of(0x40),
          bytes.subarray(layout.unprotected + 1, layout.end),
        )
        assert.deepEqual(content, sigStructure(sign1.protectedBytes, payload))
      }
    }
  })

  it('is of no statement that has another form than the registered one', async () => {
    const protectedBytes = encodeCbor(new Map([[1, -8]]))
    const sign1 = { protectedBytes, unprotected: new Map(), payload: fromHex('01'), signature: fromHex('02') }
    const bytes = encodeCoseSign1({ ...sign1, protectedHeader: new Map() })
    assert.ok(layoutOf(bytes))
    const headed = encodeCoseSign1({ ...sign1, protectedHeader: new Map(), unprotected: new Map([[4, fromHex('01')]]) })
    const detached = encodeCoseSign1({ ...sign1, protectedHeader: new Map(), payload: null })
    const without = encodeCoseSign1({ ...sign1, protectedHeader: new Map(), protectedBytes: new Uint8Array() })
    const emptied = encodeCoseSign1({ ...sign1, protectedHeader: new Map(), protectedBytes: fromHex('a0') })
    const longer = concatBytes(bytes, fromHex('00'))
    for (const other of [headed, detached, without, emptied, longer, bytes.subarray(1), bytes.subarray(0, -1)]) {
      assert.equal(layoutOf(other), undefined)
    }
  })

  it('survives any bytes, and never differs from the reader about what the reader takes', async () => {
    const [signer] = await signers()
    const content = { issuer: 'a', subject: 'b', issuedAt: 1, contentType: 'text/plain', payload: fromHex('010203') }
    const { bytes } = await signStatement(content, signer!)
    const changed = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([at, value]) => {
      const copy = bytes.slice()
      copy[at] = value
      return copy
    })
    fc.assert(
      fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 64 })), (input) => {
        const layout = layoutOf(input)
        let read: ReturnType<typeof parseSignedStatement>
        try {
          read = parseSignedStatement(input)
        } catch {
          return
        }
        if (layout === undefined) return
        const { sign1 } = read
        assert.ok(equalBytes(input.subarray(layout.signature), decodeCoseSign1(input).signature))
        assert.deepEqual(sign1.unprotected.size, 0)
        assert.equal(layout.kid, read.header.kid)
      }),
      { numRuns: 5000 },
    )
  })

  it('takes no time for lengths that are only claimed', () => {
    const claims = fromHex('d2845818a4041b00ffffffffffffff0f9b00ffffffffffffff10bb00ffffffffffffffa04101')
    const started = performance.now()
    for (let i = 0; i < 1000; i++) layoutOf(concatBytes(claims, new Uint8Array(64)))
    assert.ok(performance.now() - started < 1000)
  })
})
