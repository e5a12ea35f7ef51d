/**
 * The places of a statement's parts, against the reader that everything is put to afterwards.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { concatBytes, equalBytes, fromHex } from '../../merkle/index.ts'
import {
  algorithmOf,
  type CborKey,
  CborTag,
  type CborValue,
  encodeCbor,
  encodeCoseSign1,
  LABEL,
  layoutOf,
  parseSignedStatement,
  SIGNATURE1,
  signStatement,
  sigStructure,
} from '../../statement/index.ts'
import { ED25519_JWK, ES256_JWK, keysOf } from './fixtures.ts'

const signers = () => Promise.all([ES256_JWK, ED25519_JWK].map(async (jwk) => (await keysOf(jwk)).signing))

const CONTENT = {
  issuer: 'spiffe://example.org/issuer',
  subject: 'urn:example:subject',
  issuedAt: 1_700_000_000,
  contentType: 'text/plain',
  typ: 'application/vnd.provlog.log-policy+cose',
  payload: fromHex('010203'),
}

function claims(issuedAt: CborValue, issuer = 'a'): Map<CborKey, CborValue> {
  const all: [CborKey, CborValue][] = [
    [1, issuer],
    [2, 'b'],
    [6, issuedAt],
  ]
  return new Map(all)
}

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
          [layout.algorithm, layout.contentType, layout.kid, layout.typ, layout.issuer, layout.issuedAt],
          [signer.algorithm, header.contentType, header.kid, header.typ, header.issuer, header.issuedAt],
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

  it('is of no statement that has another form than the usual one', async () => {
    const [signer] = await signers()
    const { bytes, sign1 } = await signStatement(CONTENT, signer!)
    assert.ok(layoutOf(bytes))
    const header = (change: (header: Map<CborKey, CborValue>) => void) => {
      const changed = new Map(sign1.protectedHeader)
      change(changed)
      return { ...sign1, protectedHeader: new Map(), protectedBytes: encodeCbor(changed) }
    }
    const others = {
      'with an unprotected header': { ...sign1, unprotected: new Map([[4, fromHex('01')]]) },
      detached: { ...sign1, payload: null },
      'without a header': { ...sign1, protectedBytes: new Uint8Array() },
      'without a type': header((each) => each.delete(LABEL.typ)),
      'with another label': header((each) => each.set(17, 1)),
      'with a critical label': header((each) => each.delete(LABEL.kid) && each.set(LABEL.crit, [1])),
      'about a hash': header((each) => each.delete(LABEL.contentType) && each.set(LABEL.payloadHashAlg, -16)),
      'by an algorithm that nobody knows': header((each) => each.set(LABEL.alg, -1000)),
      'with a date that has a tag': header((each) => each.set(LABEL.cwtClaims, claims(new CborTag(1, 5)))),
      'without an issuer': header((each) => each.set(LABEL.cwtClaims, claims(5, ''))),
    }
    for (const [what, other] of Object.entries(others)) assert.equal(layoutOf(encodeCoseSign1(other)), undefined, what)
    const longer = concatBytes(bytes, fromHex('00'))
    const tagged = concatBytes(fromHex('d8'), Uint8Array.of(18), bytes.subarray(1))
    for (const other of [longer, tagged, bytes.subarray(1), bytes.subarray(0, -1), new Uint8Array()]) {
      assert.equal(layoutOf(other), undefined)
    }
  })

  it('survives any bytes, and the reader takes all that it takes and says the same', async () => {
    const [signer] = await signers()
    const { bytes } = await signStatement(CONTENT, signer!)
    const changed = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)).map(([at, value]) => bytes.with(at, value))
    const longer = fc.tuple(fc.nat(bytes.length), fc.nat(255)).map(([at, value]) => {
      return concatBytes(bytes.subarray(0, at), Uint8Array.of(value), bytes.subarray(at))
    })
    let taken = 0
    fc.assert(
      fc.property(fc.oneof(changed, longer, fc.uint8Array({ maxLength: 64 })), (input) => {
        const layout = layoutOf(input)
        if (layout === undefined) return
        taken++
        const { sign1, header, unprotected } = parseSignedStatement(input)
        assert.equal(unprotected.size, 0)
        assert.ok(equalBytes(input.subarray(layout.signature), sign1.signature))
        assert.equal(layout.algorithm, algorithmOf(sign1.protectedHeader))
        assert.deepEqual(
          [layout.contentType, layout.kid, layout.typ, layout.issuer, layout.issuedAt],
          [header.contentType, header.kid, header.typ, header.issuer, header.issuedAt],
        )
      }),
      { numRuns: 10_000 },
    )
    assert.ok(taken > 1000)
  })

  it('takes no time for lengths that are only claimed', () => {
    const claims = fromHex('d2845818a4041b00ffffffffffffff0f9b00ffffffffffffff10bb00ffffffffffffffa04101')
    const started = performance.now()
    for (let i = 0; i < 1000; i++) layoutOf(concatBytes(claims, new Uint8Array(64)))
    assert.ok(performance.now() - started < 1000)
  })
})
