import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { importSigningKey } from '#signature'
import { type EcPublicJwk, publicJwkOf, type VerificationJwk } from '../../statement/cose-key.ts'
import { signingKeyOf, verificationKeyOf } from '../../statement/key-ring.ts'
import { ED25519_JWK, ES256_JWK, flipped, OTHER_ES256_JWK, utf8, X25519_JWK } from './fixtures.ts'

const data = utf8('what is signed')

describe('verificationKeyOf', () => {
  for (const jwk of [ES256_JWK, ED25519_JWK]) {
    it(`gives one ${jwk.crv} key however often it is asked, and its verdict never changes`, async () => {
      const key = await verificationKeyOf(publicJwkOf(jwk))
      assert.equal(await verificationKeyOf({ ...publicJwkOf(jwk) }), key)
      const signature = await (await importSigningKey(jwk)).sign(data)
      for (const _ of [1, 2, 3]) {
        assert.equal(await key.verify(data, signature), true)
        assert.equal(await key.verify(data, flipped(signature, 5)), false)
        assert.equal(await key.verify(flipped(data, 0), signature), false)
        // The same bytes in a row, cut elsewhere.
        assert.equal(await key.verify(Buffer.concat([data, signature.subarray(0, 1)]), signature.subarray(1)), false)
      }
    })
  }

  it('answers the same question of many at once, yes and no', async () => {
    const [signer, key] = [await signingKeyOf(ES256_JWK), await verificationKeyOf(publicJwkOf(ES256_JWK))]
    const data = utf8('asked by many')
    const signature = await signer.sign(data)
    const ask = (about: Uint8Array) => Promise.all(Array.from({ length: 8 }, () => key.verify(about, signature)))
    assert.deepEqual(await ask(data), Array(8).fill(true))
    assert.deepEqual(await ask(utf8('something else')), Array(8).fill(false))
    assert.deepEqual(await ask(data), Array(8).fill(true))
  })

  it('signs and verifies before anybody else has a turn, where that takes no time', async () => {
    let turns = 0
    setImmediate(() => turns++)
    for (const jwk of [ES256_JWK, ED25519_JWK]) {
      const [signer, key] = [await signingKeyOf(jwk), await verificationKeyOf(publicJwkOf(jwk))]
      const data = utf8('asked in one turn')
      assert.equal(await key.verify(data, await signer.sign(data)), true)
      assert.equal(await key.verify(data, flipped(await signer.sign(data), 5)), false)
    }
    assert.equal(turns, 0)
  })

  it('what one key signed, no other is believed to have', async () => {
    const [mine, other] = [
      await verificationKeyOf(publicJwkOf(ES256_JWK)),
      await verificationKeyOf(publicJwkOf(OTHER_ES256_JWK)),
    ]
    const signature = await (await importSigningKey(ES256_JWK)).sign(data)
    assert.equal(await mine.verify(data, signature), true)
    assert.equal(await other.verify(data, signature), false)
  })

  it('still answers when more was verified than is remembered', async () => {
    const key = await verificationKeyOf(publicJwkOf(ES256_JWK))
    const signer = await importSigningKey(ES256_JWK)
    const signatures = await Promise.all(Array.from({ length: 600 }, (_, i) => signer.sign(utf8(`message ${i}`))))
    for (const [i, signature] of signatures.entries())
      assert.equal(await key.verify(utf8(`message ${i}`), signature), true)
    assert.equal(await key.verify(utf8('message 0'), signatures[0]!), true)
    assert.equal(await key.verify(utf8('message 1'), signatures[0]!), false)
  })

  it('gives no key for members that only look the same when they stand in a row', async () => {
    const { crv, x, y } = publicJwkOf(ES256_JWK) as EcPublicJwk
    await verificationKeyOf({ kty: 'EC', crv, x, y })
    const forged = [
      { kty: 'RSA', n: `${crv} ${x}`, e: y },
      { kty: 'EC', crv, x: `${x} ${y}`, y: '' },
    ]
    for (const jwk of forged) {
      const asked = verificationKeyOf(jwk as VerificationJwk, jwk.kty === 'RSA' ? undefined : 'ES256')
      await assert.rejects(asked, { name: 'EvidenceError' })
    }
  })

  it('refuses an unsound key each time (unsupported_key)', async () => {
    for (const _ of [1, 2])
      await assert.rejects(verificationKeyOf(publicJwkOf(X25519_JWK)), { code: 'unsupported_key' })
  })
})

describe('signingKeyOf', () => {
  it('gives one key for one object, and refuses halves that do not belong together (weak_key)', async () => {
    assert.equal(await signingKeyOf(ES256_JWK), await signingKeyOf(ES256_JWK))
    const { x, y } = OTHER_ES256_JWK as { x: string; y: string }
    const mixed = { ...ES256_JWK, x, y }
    for (const _ of [1, 2]) await assert.rejects(signingKeyOf(mixed), { code: 'weak_key' })
  })
})
