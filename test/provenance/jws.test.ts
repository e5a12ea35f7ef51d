import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromBase64url, toBase64url, utf8 } from '../../merkle/bytes.ts'
import { decodeCompactJws, signCompactJws, verifyCompactJws } from '../../provenance/jws.ts'
import { publicJwkOf } from '../../statement/cose-key.ts'
import { newKey } from './world.ts'

const key = newKey()
const expect = { typ: ['test+jwt'] }
const compact = await signCompactJws({ typ: 'test+jwt' }, '{"a":1}', key)
const [header, payload, signature] = compact.split('.') as [string, string, string]
const withHeader = (value: object | string) =>
  `${toBase64url(utf8(typeof value === 'string' ? value : JSON.stringify(value)))}.${payload}.${signature}`

describe('verifyCompactJws', () => {
  it('returns exactly what was signed', async () => {
    const jws = await verifyCompactJws(compact, publicJwkOf(key), expect)
    assert.equal(jws.payload, '{"a":1}')
  })

  it('allows a missing typ only where the caller does', async () => {
    const untyped = await signCompactJws({}, '{}', key)
    await verifyCompactJws(untyped, publicJwkOf(key), { typ: ['x', undefined] })
    await assert.rejects(verifyCompactJws(untyped, publicJwkOf(key), expect), { code: 'malformed_jws' })
  })

  const last = fromBase64url(signature)
  last[63]! ^= 1
  const refused: [what: string, code: string, token: string][] = [
    ['a changed payload', 'bad_signature', `${header}.${toBase64url(utf8('{"a":2}'))}.${signature}`],
    ['a changed signature', 'bad_signature', `${header}.${payload}.${toBase64url(last)}`],
    ['an algorithm of another kind of key', 'bad_signature', withHeader({ alg: 'EdDSA', typ: 'test+jwt' })],
    ['alg none', 'unsupported_algorithm', `${toBase64url(utf8('{"alg":"none"}'))}.${payload}.`],
    ['a MAC', 'unsupported_algorithm', withHeader({ alg: 'HS256', typ: 'test+jwt' })],
    ['a signature too short for RSA', 'malformed_jws', withHeader({ alg: 'RS256', typ: 'test+jwt' })],
    ['ECDSA of another curve', 'malformed_jws', withHeader({ alg: 'ES384', typ: 'test+jwt' })],
    ['an algorithm by another case', 'unsupported_algorithm', withHeader({ alg: 'es256', typ: 'test+jwt' })],
    ['no algorithm', 'unsupported_algorithm', withHeader({ typ: 'test+jwt' })],
    ['two algorithms', 'malformed_json', withHeader('{"alg":"none","alg":"ES256","typ":"test+jwt"}')],
    [
      'a critical header',
      'unknown_critical_extension',
      withHeader({ alg: 'ES256', typ: 'test+jwt', crit: ['b64'], b64: false }),
    ],
    ['a header that is a list', 'malformed_jws', withHeader('[]')],
    ['two parts', 'malformed_jws', `${header}.${payload}`],
    ['four parts', 'malformed_jws', `${compact}.`],
    ['padding', 'malformed_jws', `${compact}==`],
    ['stray bits in the signature', 'malformed_jws', `${compact.slice(0, -1)}${compact.endsWith('B') ? 'C' : 'B'}`],
    ['a line break', 'malformed_jws', `${compact}\n`],
    ['a short signature', 'malformed_jws', `${header}.${payload}.${toBase64url(last.subarray(1))}`],
    ['a payload that is not UTF-8', 'malformed_jws', `${header}._w.${signature}`],
    ['two megabytes', 'malformed_jws', 'a'.repeat(2 << 20)],
  ]
  for (const [what, code, token] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      await assert.rejects(verifyCompactJws(token, publicJwkOf(key), expect), { code })
    })
  }

  it('never takes the key from the token', async () => {
    const stranger = newKey()
    const own = await signCompactJws({ typ: 'test+jwt', jwk: { ...publicJwkOf(stranger) } }, '{}', stranger)
    assert.ok(decodeCompactJws(own).header['jwk'])
    await assert.rejects(verifyCompactJws(own, publicJwkOf(key), expect), { code: 'bad_signature' })
  })
})
