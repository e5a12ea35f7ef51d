// Encryption in both builds, judged by jose and by the RFCs' own examples.
import assert from 'node:assert/strict'
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { describe, it, mock } from 'node:test'
import * as jose from 'jose'
import { fromBase64url } from '../../merkle/index.ts'
import { kidOf, parsePrivateJwk, publicJwkOf } from '../../statement/cose-key.ts'
import * as native from '../../statement/jwe.node.ts'
import * as portable from '../../statement/jwe.ts'
import { ED25519_JWK, ES256_JWK, hex, OTHER_X25519_JWK, utf8, X25519_JWK } from './fixtures.ts'

const BUILDS = { native, portable }
const names = { typ: 'provlog-wrap+jwe', kid: 'k' }

for (const [build, { encryptJwe }] of Object.entries(BUILDS)) {
  describe(`encryptJwe, ${build}`, () => {
    for (const jwk of [X25519_JWK, ES256_JWK]) {
      it(`is opened with ${jwk.crv} by jose and by us, whatever its length`, async () => {
        const key = await jose.importJWK(jwk as jose.JWK, 'ECDH-ES+A256KW')
        for (const length of [0, 1, 15, 16, 17, 300]) {
          const plaintext = new Uint8Array(length).fill(length)
          const jwe = await encryptJwe(plaintext, publicJwkOf(jwk), names)
          const opened = await jose.generalDecrypt(jwe, key)
          assert.deepEqual(opened.plaintext, plaintext)
          assert.deepEqual(await portable.decryptJwe(jwe, jwk), { plaintext, typ: names.typ })
        }
      })

      it(`has the same members with ${jwk.crv} as the other build’s, and nothing private`, async () => {
        const shapes = await Promise.all(
          Object.values(BUILDS).map(async (each) => {
            const jwe = await each.encryptJwe(utf8('secret'), publicJwkOf(jwk), names)
            const header = JSON.parse(Buffer.from(jwe.protected!, 'base64url').toString()) as { epk: object }
            const [recipient] = jwe.recipients
            return {
              members: Object.keys(jwe).sort(),
              recipient: [Object.keys(recipient).sort(), recipient.header],
              header: Object.keys(header).sort(),
              epk: Object.keys(header.epk).sort(),
              lengths: [jwe.iv, jwe.ciphertext, jwe.tag, recipient.encrypted_key].map((each) => each!.length),
            }
          }),
        )
        assert.deepEqual(shapes[0], shapes[1])
      })
    }

    it('makes a key of its own for each, and another ciphertext', async () => {
      const made = await Promise.all(
        Array.from({ length: 20 }, () => encryptJwe(utf8('secret'), publicJwkOf(X25519_JWK), names)),
      )
      for (const member of ['protected', 'iv', 'ciphertext', 'tag'] as const) {
        assert.equal(new Set(made.map((jwe) => jwe[member])).size, made.length)
      }
    })

    it('is for one recipient, and no bit of it can be changed', async () => {
      const jwe = await encryptJwe(utf8('secret'), publicJwkOf(X25519_JWK), names)
      await assert.rejects(portable.decryptJwe(jwe, OTHER_X25519_JWK), { code: 'wrong_recipient' })
      const flip = (text: string) => `${text[0] === 'A' ? 'B' : 'A'}${text.slice(1)}`
      for (const member of ['iv', 'ciphertext', 'tag'] as const) {
        const changed = { ...jwe, [member]: flip(jwe[member]!) }
        await assert.rejects(portable.decryptJwe(changed, X25519_JWK), { code: 'wrong_recipient' })
      }
    })

    it('is for no key that signs (unsupported_key), and none of small order', async () => {
      for (const jwk of [ED25519_JWK, { ...ES256_JWK, alg: 'ES256' }]) {
        await assert.rejects(encryptJwe(utf8('secret'), publicJwkOf(parsePrivateJwk(jwk)), names), {
          code: 'unsupported_key',
        })
      }
      const zero = { kty: 'OKP', crv: 'X25519', x: Buffer.alloc(32).toString('base64url') } as const
      await assert.rejects(encryptJwe(utf8('secret'), zero, names))
    })
  })
}

describe('the steps of the native build', () => {
  it('derive the key of RFC 7518, Appendix C', () => {
    const z = Uint8Array.of(
      ...[158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156],
      ...[251, 49, 110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196],
    )
    const parties = [utf8('Alice'), utf8('Bob')] as const
    const key = native.deriveKey(z, { algorithm: 'A128GCM', bits: 128, parties })
    assert.deepEqual(key, fromBase64url('VqqN6vgjbSBcIijNcacQGg'))
  })

  it('wrap the key of RFC 3394 §4.6', () => {
    const kek = Uint8Array.from({ length: 32 }, (_, i) => i)
    const key = hex('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f')
    const wrapped = '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21'
    assert.deepEqual(native.wrapKey(kek, key), hex(wrapped))
  })
})

describe('kidOf', () => {
  it('is of the key and not of the object', () => {
    const [one, same] = [publicJwkOf(X25519_JWK), publicJwkOf(X25519_JWK)]
    assert.equal(kidOf(one), kidOf(same))
    assert.equal(kidOf(one), kidOf(one))
    assert.notEqual(kidOf(publicJwkOf(OTHER_X25519_JWK)), kidOf(one))
  })
})

describe('a wrap, native build', () => {
  it('exports no key that it made: in that Node 20 stops for good when the collector comes by', async () => {
    const recipient = publicJwkOf(parsePrivateJwk({ ...X25519_JWK }))
    const exporting = Object.getPrototypeOf(createPublicKey({ key: recipient as JsonWebKey, format: 'jwk' })) as object
    const exported = mock.method(exporting as { export(): unknown }, 'export')
    for (const jwk of [recipient, publicJwkOf(ES256_JWK)]) await native.encryptJwe(utf8('secret'), jwk, names)
    exported.mock.restore()
    assert.equal(exported.mock.callCount(), 0)
  })
})
