import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as jose from 'jose'
import { type CborValue, encodeCbor } from '../../statement/cbor.ts'
import { kidOf, type PrivateJwk, type PublicJwk, publicJwkOf } from '../../statement/cose-key.ts'
import { encodeCoseSign1 } from '../../statement/cose-sign1.ts'
import { openSection, sealSections } from '../../statement/seal.ts'
import { parseSignedStatement, signStatement } from '../../statement/signed-statement.ts'
import { attachWraps, unwrapKeys, WRAPS_LABEL, wrapKeys, wrapRecipientKid, wrapsIn } from '../../statement/wrap.ts'
import { ED25519_JWK, ES256_JWK, hex, keysOf, OTHER_ES256_JWK, OTHER_X25519_JWK, utf8, X25519_JWK } from './fixtures.ts'

const recordId = new Uint8Array(16).fill(9)
const keys = new Map([
  ['policy', new Uint8Array(32).fill(1)],
  ['workload', new Uint8Array(32).fill(2)],
])
const plaintext = encodeCbor(
  new Map<string, CborValue>([
    ['id', recordId],
    ['keys', keys],
  ]),
)

/** A JWE that another program might send: any headers, any plaintext. */
async function foreignWrap(
  change: { protected?: object; header?: object; plaintext?: Uint8Array; key?: PublicJwk } = {},
): Promise<Uint8Array> {
  const recipient = change.key ?? publicJwkOf(X25519_JWK)
  const header = { alg: 'ECDH-ES+A256KW', kid: kidOf(publicJwkOf(X25519_JWK)), ...change.header }
  const jwe = await new jose.GeneralEncrypt(change.plaintext ?? plaintext)
    .setProtectedHeader({ enc: 'A256GCM', typ: 'provlog-wrap+jwe', ...change.protected })
    .addRecipient(await jose.importJWK({ ...recipient, alg: header.alg } as jose.JWK, header.alg))
    .setUnprotectedHeader(header)
    .encrypt()
  return utf8(JSON.stringify(jwe))
}

describe('wrapKeys and unwrapKeys', () => {
  for (const recipient of [X25519_JWK, ES256_JWK]) {
    it(`carry keys to a holder of ${recipient.crv}`, async () => {
      const wrap = await wrapKeys(recordId, keys, publicJwkOf(recipient))
      assert.deepEqual(await unwrapKeys(wrap, recipient), { recordId, keys })
      assert.equal(wrapRecipientKid(wrap), kidOf(publicJwkOf(recipient)))
    })
  }

  it('make a JWE that any JOSE library opens', async () => {
    const wrap = await wrapKeys(recordId, keys, publicJwkOf(X25519_JWK))
    const jwe = JSON.parse(new TextDecoder().decode(wrap)) as jose.GeneralJWE
    const key = await jose.importJWK(X25519_JWK as jose.JWK, 'ECDH-ES+A256KW')
    assert.deepEqual((await jose.generalDecrypt(jwe, key)).plaintext, plaintext)
    assert.deepEqual(await unwrapKeys(await foreignWrap(), X25519_JWK), { recordId, keys })
  })

  it('make another wrap each time', async () => {
    const [a, b] = [await wrapKeys(recordId, keys, X25519_JWK), await wrapKeys(recordId, keys, X25519_JWK)]
    assert.notDeepEqual(a, b)
  })

  const text = (value: unknown) => utf8(JSON.stringify(value))
  const content = (id: CborValue, inner: CborValue) =>
    encodeCbor(
      new Map<string, CborValue>([
        ['id', id],
        ['keys', inner],
      ]),
    )
  const altered = async (change: (jwe: Record<string, string>) => object) => {
    const jwe = JSON.parse(new TextDecoder().decode(await foreignWrap())) as Record<string, string>
    return text({ ...jwe, ...change(jwe) })
  }
  const turned = (base64url: string) => `${base64url.startsWith('A') ? 'B' : 'A'}${base64url.slice(1)}`
  const refused: [what: string, code: string, wrap: Promise<Uint8Array>, recipient?: PrivateJwk][] = [
    ['the wrap of somebody else', 'wrong_recipient', foreignWrap(), OTHER_X25519_JWK],
    ['the wrap of a key on another curve', 'wrong_recipient', foreignWrap(), ES256_JWK],
    ['somebody else’s wrap under my name', 'wrong_recipient', foreignWrap({ key: publicJwkOf(OTHER_X25519_JWK) })],
    [
      'a P-256 wrap under the name of an X25519 key',
      'wrong_recipient',
      foreignWrap({ key: publicJwkOf(OTHER_ES256_JWK) }),
    ],
    [
      'a ciphertext with a bit turned',
      'wrong_recipient',
      altered(({ ciphertext }) => ({ ciphertext: turned(ciphertext!) })),
    ],
    ['a tag with a bit turned', 'wrong_recipient', altered(({ tag }) => ({ tag: turned(tag!) }))],
    ['no tag', 'malformed_wrap', altered(() => ({ tag: undefined }))],
    // CEK = MAC key ‖ ENC key, and the tag binds the first half alone: a second key in 2⁸ tries.
    [
      'A256CBC-HS512, which does not commit either',
      'malformed_wrap',
      foreignWrap({ protected: { enc: 'A256CBC-HS512' } }),
    ],
    ['a weaker key wrap', 'malformed_wrap', foreignWrap({ header: { alg: 'ECDH-ES+A128KW' } })],
    ['a key agreed directly', 'malformed_wrap', foreignWrap({ header: { alg: 'ECDH-ES' } })],
    ['compressed keys', 'malformed_wrap', foreignWrap({ protected: { zip: 'DEF' } })],
    ['another typ', 'malformed_wrap', foreignWrap({ protected: { typ: 'JWT' } })],
    ['a plaintext that is no CBOR', 'malformed_wrap', foreignWrap({ plaintext: utf8('{}') })],
    ['no keys', 'malformed_wrap', foreignWrap({ plaintext: encodeCbor(new Map([['id', recordId]])) })],
    [
      'a key of 16 bytes',
      'malformed_wrap',
      foreignWrap({ plaintext: content(recordId, new Map([['x', new Uint8Array(16)]])) }),
    ],
    [
      'a label that is a number',
      'malformed_wrap',
      foreignWrap({ plaintext: content(recordId, new Map([[1, new Uint8Array(32)]])) }),
    ],
    ['a record id of 15 bytes', 'malformed_wrap', foreignWrap({ plaintext: content(new Uint8Array(15), keys) })],
    ['no JSON', 'malformed_wrap', Promise.resolve(hex('a0'))],
    ['null', 'malformed_wrap', Promise.resolve(text(null))],
    ['no recipients', 'malformed_wrap', Promise.resolve(text({ recipients: [] }))],
    [
      'two recipients',
      'malformed_wrap',
      Promise.resolve(text({ recipients: [{ header: { kid: 'a' } }, { header: { kid: 'b' } }] })),
    ],
    ['a recipient that is null', 'malformed_wrap', Promise.resolve(text({ recipients: [null] }))],
    ['a recipient without a kid', 'malformed_wrap', Promise.resolve(text({ recipients: [{ header: {} }] }))],
    ['more than 16 KiB', 'too_large', Promise.resolve(new Uint8Array(16_385))],
  ]
  for (const [what, code, wrap, recipient = X25519_JWK] of refused) {
    it(`refuse ${what} (${code})`, async () => {
      await assert.rejects(unwrapKeys(await wrap, recipient), { code })
    })
  }

  it('refuse recipients that only sign (unsupported_key)', async () => {
    const signer = { ...publicJwkOf(ES256_JWK), alg: 'ES256' } as PublicJwk
    for (const recipient of [publicJwkOf(ED25519_JWK), signer]) {
      await assert.rejects(wrapKeys(recordId, keys, recipient), { code: 'unsupported_key' })
    }
  })

  it('deliver a wrong key as it is, which the commitment of the section then refuses (wrong_key)', async () => {
    const context = { issuer: 'a', recordId }
    const { sealed } = await sealSections(context, new Map([['policy', utf8('why')]]), (n) => new Uint8Array(n).fill(5))
    const { keys: delivered } = await unwrapKeys(await wrapKeys(recordId, keys, X25519_JWK), X25519_JWK)
    await assert.rejects(openSection(context, sealed.sections[0]!, delivered.get('policy')!), { code: 'wrong_key' })
  })
})

describe('wrapRecipientKid', () => {
  it('is undefined for what is no wrap', () => {
    for (const bytes of [new Uint8Array(), utf8('{}'), utf8('null'), hex('ff'), new Uint8Array(20_000)]) {
      assert.equal(wrapRecipientKid(bytes), undefined)
    }
  })
})

describe('wraps on a statement', async () => {
  const { signing } = await keysOf(ES256_JWK)
  const content = { issuer: 'a', subject: 'b', issuedAt: 0, contentType: 'text/plain', payload: utf8('x') }
  const statement = await signStatement(content, signing)
  const many = (count: number) => Array.from({ length: count }, (_, i) => utf8(`wrap ${i}`))

  it('travel in the unprotected header, each once, and are no part of the entry', () => {
    const [a, b] = [utf8('a'), utf8('b')]
    const read = parseSignedStatement(attachWraps(attachWraps(statement.bytes, [a]), [a, b]))
    assert.deepEqual(wrapsIn(read.unprotected), [a, b])
    assert.deepEqual(read.entry, statement.entry)
    assert.deepEqual(wrapsIn(statement.unprotected), [])
    assert.deepEqual(attachWraps(statement.bytes, []), statement.bytes)
  })

  it('are 64 and no more, of 16 KiB and no more (too_large)', () => {
    assert.equal(wrapsIn(parseSignedStatement(attachWraps(statement.bytes, many(64))).unprotected).length, 64)
    assert.throws(() => attachWraps(statement.bytes, many(65)), { code: 'too_large' })
    assert.throws(() => attachWraps(statement.bytes, [new Uint8Array(16_385)]), { code: 'too_large' })
    const bytes = encodeCoseSign1({ ...statement.sign1, unprotected: new Map([[WRAPS_LABEL, many(65)]]) })
    assert.throws(() => wrapsIn(parseSignedStatement(bytes).unprotected), { code: 'too_large' })
  })

  it('must be byte strings in an array (malformed_wrap)', () => {
    for (const value of [utf8('a'), ['a'], new Map()] as CborValue[]) {
      assert.throws(() => wrapsIn(new Map([[WRAPS_LABEL, value]])), { code: 'malformed_wrap' })
    }
  })
})
