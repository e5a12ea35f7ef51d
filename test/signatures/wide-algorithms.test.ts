// What others sign with and we do not: ECDSA on P-384 and P-521, RSA with both paddings. Keys and signatures are made by OpenSSL through
// Node; both builds must come to one verdict of each, and so must the two forms that carry them.
import assert from 'node:assert/strict'
import { constants, type KeyObject, sign } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { p384, p521 } from '@noble/curves/nist.js'
import * as jose from 'jose'
import { concatBytes, fromBase64url, toBase64url, utf8 } from '../../merkle/bytes.ts'
import { jwkOfSpki, spkiOfJwk } from '../../provenance/certificates/certificate-key.ts'
import { verifyCompactJws } from '../../provenance/jws.ts'
import {
  algorithmsOf,
  encodeCbor,
  encodeCoseSign1,
  JOSE_ALGORITHMS,
  jwkThumbprint,
  kidOf,
  parseSignedStatement,
  parseVerificationJwk,
  schemeOf,
  sigStructure,
  type VerificationAlgorithm,
  type VerificationJwk,
  verifySignedStatement,
} from '../../statement/index.ts'
import * as native from '../../statement/signature.node.ts'
import * as portable from '../../statement/signature.ts'
import { newKeyPair } from '../key-pairs.ts'
import { rocaModulus } from '../roca-modulus.ts'

interface Pair {
  readonly jwk: VerificationJwk
  readonly privateKey: KeyObject
}

const KINDS = ['P-256', 'P-384', 'P-521', 'RSA-2048', 'RSA-3072', 'Ed25519'] as const
type Kind = (typeof KINDS)[number]
const pairs = {} as Record<Kind, Pair>

before(() => {
  for (const kind of KINDS) {
    const { publicKey, privateKey } = kind.startsWith('P')
      ? newKeyPair('ec', { namedCurve: kind })
      : kind === 'Ed25519'
        ? newKeyPair('ed25519')
        : newKeyPair('rsa', { modulusLength: Number(kind.slice(4)) })
    pairs[kind] = { jwk: parseVerificationJwk(publicKey.export({ format: 'jwk' })), privateKey }
  }
})

const ALGORITHMS = [...new Set(JOSE_ALGORITHMS.values())]
const KIND_OF: Record<VerificationAlgorithm, Kind> = {
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
  RS256: 'RSA-2048',
  RS384: 'RSA-3072',
  RS512: 'RSA-2048',
  PS256: 'RSA-3072',
  PS384: 'RSA-2048',
  PS512: 'RSA-3072',
  Ed25519: 'Ed25519',
}

function signWith(algorithm: VerificationAlgorithm, privateKey: KeyObject, data: Uint8Array, saltLength?: number) {
  const digest = algorithm === 'Ed25519' ? null : `sha${algorithm.slice(2)}`
  const padding = algorithm.startsWith('PS') ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  const salt = saltLength ?? Number(algorithm.slice(2)) / 8
  const rsa = /^[RP]S/.test(algorithm) ? { padding, ...(algorithm.startsWith('PS') && { saltLength: salt }) } : {}
  return new Uint8Array(sign(digest, data, { key: privateKey, dsaEncoding: 'ieee-p1363', ...rsa }))
}

const data = utf8('what is signed')

for (const [build, { importVerificationKey, importVerifier }] of [
  ['native', native],
  ['portable', portable],
] as const) {
  describe(`#signature, ${build} build`, () => {
    for (const algorithm of ALGORITHMS) {
      it(`verifies ${algorithm}, and nothing that differs from it in one place`, async () => {
        const { jwk, privateKey } = pairs[KIND_OF[algorithm]]
        const key = await importVerificationKey(jwk, algorithm)
        assert.deepEqual([key.algorithm, key.kid], [algorithm, kidOf(jwk)])
        for (const message of [new Uint8Array(), data, new Uint8Array(100_000)]) {
          const signature = signWith(algorithm, privateKey, message)
          assert.equal(await key.verify(message, signature), true)
          assert.equal(await key.verify(concatBytes(message, Uint8Array.of(0)), signature), false)
        }
        const signature = signWith(algorithm, privateKey, data)
        for (const at of [0, 1, signature.length >> 1, signature.length - 1]) {
          const flipped = signature.slice()
          flipped[at]! ^= 1
          assert.equal(await key.verify(data, flipped), false, `byte ${at}`)
        }
        const lengths = [
          new Uint8Array(),
          signature.subarray(1),
          signature.subarray(0, -1),
          concatBytes(Uint8Array.of(0), signature),
          concatBytes(signature, Uint8Array.of(0)),
          new Uint8Array(signature.length),
          new Uint8Array(signature.length).fill(0xff),
        ]
        for (const other of lengths) assert.equal(await key.verify(data, other), false, `${other.length} bytes`)
      })

      it(`takes no signature of another algorithm for ${algorithm}`, async () => {
        const { jwk } = pairs[KIND_OF[algorithm]]
        const key = await importVerificationKey(jwk, algorithm)
        for (const other of ALGORITHMS) {
          if (other === algorithm) continue
          const { privateKey } = pairs[KIND_OF[other]]
          assert.equal(await key.verify(data, signWith(other, privateKey, data)), false, other)
          // By the very key, where it can do both.
          if (algorithmsOf(jwk).includes(other)) {
            const { privateKey: own } = pairs[KIND_OF[algorithm]]
            assert.equal(await key.verify(data, signWith(other, own, data)), false, `${other} by the same key`)
          } else {
            await assert.rejects(importVerificationKey(jwk, other), { code: 'algorithm_mismatch' })
          }
        }
      })
    }

    it('takes ECDSA with any hash under any curve where X.509 does, and by name only the one', async () => {
      for (const kind of ['P-256', 'P-384', 'P-521'] as const) {
        for (const hash of [256, 384, 512] as const) {
          const { jwk, privateKey } = pairs[kind]
          const signature = new Uint8Array(sign(`sha${hash}`, data, { key: privateKey, dsaEncoding: 'ieee-p1363' }))
          const verify = await importVerifier(jwk, { kind: 'ECDSA', hash: `SHA-${hash}` })
          assert.equal(await verify(data, signature), true)
          const named = await importVerificationKey(jwk)
          const natural = { 'P-256': 256, 'P-384': 384, 'P-521': 512 }[kind] === hash
          assert.equal(await named.verify(data, signature), natural, `${kind} ${hash}`)
        }
      }
    })

    it('gives either value of s of P-384 and P-521 its verdict, and none that is past the order', async () => {
      for (const [kind, curve, hash] of [
        ['P-384', p384, 'ES384'],
        ['P-521', p521, 'ES512'],
      ] as const) {
        const { jwk, privateKey } = pairs[kind]
        const { length } = fromBase64url((jwk as { x: string }).x)
        const key = await importVerificationKey(jwk)
        const honest = signWith(hash, privateKey, data)
        const [r, s] = [honest.slice(0, length), honest.slice(length)]
        const number = BigInt(`0x${Buffer.from(s).toString('hex')}`)
        const big = (value: bigint) => new Uint8Array(Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex'))
        const order = curve.Point.Fn.ORDER
        assert.equal(await key.verify(data, concatBytes(r, big(order - number))), true)
        for (const bad of [0n, order, number + order, order + 1n].filter((value) => value < 2n ** BigInt(8 * length))) {
          assert.equal(await key.verify(data, concatBytes(r, big(bad))), false)
          assert.equal(await key.verify(data, concatBytes(big(bad), s)), false)
        }
      }
    })

    it('wants the salt of PSS as long as its hash, unless told another length', async () => {
      const { jwk, privateKey } = pairs['RSA-2048']
      const key = await importVerificationKey(jwk, 'PS256')
      for (const salt of [0, 20, 31, 33, 64, 222]) {
        assert.equal(await key.verify(data, signWith('PS256', privateKey, data, salt)), false, `${salt} bytes`)
      }
      const verify = await importVerifier(jwk, { kind: 'RSA-PSS', hash: 'SHA-256', saltLength: 222 })
      assert.equal(await verify(data, signWith('PS256', privateKey, data, 222)), true)
    })

    it('refuses an RSA key that does not say for which algorithm, unless the caller does (unsupported_key)', async () => {
      const { jwk } = pairs['RSA-2048']
      await assert.rejects(importVerificationKey(jwk), { code: 'unsupported_key' })
      const named = parseVerificationJwk({ ...jwk, alg: 'PS384' })
      assert.equal((await importVerificationKey(named)).algorithm, 'PS384')
      await assert.rejects(importVerificationKey(named, 'RS384'), { code: 'algorithm_mismatch' })
    })
  })
}

describe('parseVerificationJwk', () => {
  it('reads each kind, and ignores members that mean nothing to it', () => {
    for (const kind of KINDS) {
      const { jwk } = pairs[kind]
      assert.deepEqual(parseVerificationJwk({ ...jwk, kid: 'x', use: 'sig', x5c: [], x5t: 'y', 'x-own': 1 }), jwk)
    }
  })

  it('names it as jose does, and in DER as OpenSSL does', async () => {
    const { createPublicKey } = await import('node:crypto')
    for (const kind of KINDS) {
      const { jwk } = pairs[kind]
      assert.equal(jwkThumbprint(jwk), await jose.calculateJwkThumbprint(jwk as jose.JWK))
      const spki = spkiOfJwk(jwk)
      assert.deepEqual(
        spki,
        new Uint8Array(createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'spki', format: 'der' })),
      )
      assert.deepEqual(jwkOfSpki(spki), jwk)
    }
  })

  const rsa = (change: object = {}) => ({ ...pairs['RSA-2048'].jwk, ...change })
  const p384Key = (change: object = {}) => ({ ...pairs['P-384'].jwk, ...change })
  const number = (bytes: number, last = 1) => {
    const n = new Uint8Array(bytes).fill(0xa5)
    n[bytes - 1] = last
    return toBase64url(n)
  }
  const refused: [what: string, code: string, value: () => unknown][] = [
    ['text', 'malformed_key', () => 'key'],
    ['a list', 'malformed_key', () => [rsa()]],
    ['null', 'malformed_key', () => null],
    ['a symmetric key', 'malformed_key', () => ({ kty: 'oct', k: 'AA' })],
    ['a private RSA key', 'malformed_key', () => rsa({ d: 'AQ' })],
    ['one prime of an RSA key', 'malformed_key', () => rsa({ p: 'AQ' })],
    ['a private P-384 key', 'malformed_key', () => p384Key({ d: 'AQ' })],
    ['RSA of 1024 bits', 'weak_key', () => rsa({ n: number(128) })],
    ['RSA of 2040 bits', 'weak_key', () => rsa({ n: number(255) })],
    ['RSA of 2047 bits', 'weak_key', () => rsa({ n: toBase64url(new Uint8Array(256).fill(0x7f)) })],
    ['RSA of 8200 bits', 'weak_key', () => rsa({ n: number(1025) })],
    ['RSA of a megabit', 'malformed_key', () => rsa({ n: number(131_072) })],
    ['RSA whose private key can be worked out', 'weak_key', () => rsa({ n: toBase64url(rocaModulus()) })],
    ['an even modulus', 'weak_key', () => rsa({ n: number(256, 2) })],
    ['an exponent of 1', 'weak_key', () => rsa({ e: 'AQ' })],
    ['an exponent of 3', 'weak_key', () => rsa({ e: 'Aw' })],
    ['an even exponent', 'weak_key', () => rsa({ e: 'AQAC' })],
    ['an exponent of 40 bits', 'weak_key', () => rsa({ e: 'AQAAAAE' })],
    ['an exponent with a zero in front', 'malformed_key', () => rsa({ e: 'AAEAAQ' })],
    ['a modulus with a zero in front', 'malformed_key', () => rsa({ n: toBase64url(new Uint8Array(257)) })],
    ['no modulus', 'malformed_key', () => rsa({ n: undefined })],
    ['a modulus in a list', 'malformed_key', () => rsa({ n: [pairs['RSA-2048'].jwk] })],
    ['an empty exponent', 'malformed_key', () => rsa({ e: '' })],
    ['RSA for a MAC', 'unsupported_key', () => rsa({ alg: 'HS256' })],
    ['RSA for encryption', 'unsupported_key', () => rsa({ alg: 'RSA-OAEP' })],
    ['RSA with SHA-1', 'unsupported_key', () => rsa({ alg: 'RS1' })],
    ['a key that says it encrypts', 'unsupported_key', () => rsa({ use: 'enc' })],
    ['a key that does not say it verifies', 'unsupported_key', () => p384Key({ key_ops: ['encrypt', 'deriveKey'] })],
    ['a key whose operations are no list', 'unsupported_key', () => rsa({ key_ops: 'verify' })],
    ['P-384 for ES256', 'unsupported_key', () => p384Key({ alg: 'ES256' })],
    ['secp256k1', 'unsupported_key', () => ({ ...pairs['P-256'].jwk, crv: 'secp256k1' })],
    ['a P-256 point as P-384', 'malformed_key', () => ({ ...pairs['P-256'].jwk, crv: 'P-384' })],
    ['a point off P-384', 'weak_key', () => p384Key({ y: (pairs['P-384'].jwk as { x: string }).x })],
    ['the origin of P-521', 'weak_key', () => ({ kty: 'EC', crv: 'P-521', x: zeros(66), y: zeros(66) })],
    ['an X25519 key', 'unsupported_key', () => ({ kty: 'OKP', crv: 'X25519', x: 'CQ'.padEnd(43, 'A') })],
  ]
  const zeros = (length: number) => toBase64url(new Uint8Array(length))
  for (const [what, code, value] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => parseVerificationJwk(value()), { code }))
  }
})

describe('what carries them', () => {
  const JWS = (alg: string) =>
    [{ alg, typ: 'x' }, { sub: 'y' }].map((part) => toBase64url(utf8(JSON.stringify(part)))).join('.')

  it('a JWS is taken under the algorithm of its header, when the key is for it, as jose does', async () => {
    for (const algorithm of ALGORITHMS) {
      for (const kind of KINDS) {
        const { jwk, privateKey } = pairs[kind]
        const input = JWS(algorithm === 'Ed25519' ? 'EdDSA' : algorithm)
        const fits = algorithmsOf(jwk).includes(algorithm)
        const by = fits ? privateKey : pairs[KIND_OF[algorithm]].privateKey
        const compact = `${input}.${toBase64url(signWith(algorithm, by, utf8(input)))}`
        const ours = verifyCompactJws(compact, jwk, { typ: ['x'] })
        const theirs = jose.importJWK({ ...jwk } as jose.JWK, algorithm).then((key) => jose.compactVerify(compact, key))
        if (fits) await Promise.all([ours, theirs])
        else await Promise.all([assert.rejects(ours, { code: 'bad_signature' }), assert.rejects(theirs)])
      }
    }
  })

  it('a public key never serves as the secret of a MAC, whatever the header says (unsupported_algorithm)', async () => {
    const { createHmac } = await import('node:crypto')
    const { jwk } = pairs['RSA-2048']
    for (const secret of [spkiOfJwk(jwk), utf8(JSON.stringify(jwk))]) {
      const input = JWS('HS256')
      const mac = createHmac('sha256', secret).update(input).digest('base64url')
      await assert.rejects(verifyCompactJws(`${input}.${mac}`, jwk, { typ: ['x'] }), { code: 'unsupported_algorithm' })
    }
    await assert.rejects(verifyCompactJws(`${JWS('none')}.`, jwk, { typ: ['x'] }), { code: 'unsupported_algorithm' })
  })

  it('a Signed Statement is taken by ES and PS, by both names where there are two, and not by PKCS #1', async () => {
    const names: readonly (readonly [number, VerificationAlgorithm])[] = [
      [-35, 'ES384'],
      [-51, 'ES384'],
      [-36, 'ES512'],
      [-52, 'ES512'],
      [-37, 'PS256'],
      [-38, 'PS384'],
      [-39, 'PS512'],
      [-257, 'RS256'],
    ]
    for (const [alg, algorithm] of names) {
      const { jwk, privateKey } = pairs[KIND_OF[algorithm]]
      const claims = new Map([
        [1, 'iss'],
        [2, 'sub'],
      ] as [number, string][])
      const protectedBytes = encodeCbor(
        new Map([[1, alg] as const, [4, utf8('kid')] as const, [15, claims] as const] as never),
      )
      const signature = signWith(algorithm, privateKey, sigStructure(protectedBytes, data))
      const bytes = encodeCoseSign1({
        protectedBytes,
        protectedHeader: new Map(),
        unprotected: new Map(),
        payload: data,
        signature,
      })
      const verify = async () =>
        verifySignedStatement(parseSignedStatement(bytes), await native.importVerificationKey(jwk, algorithm))
      if (algorithm === 'RS256') await assert.rejects(verify, { code: 'unsupported_algorithm' })
      else await verify()
    }
  })

  it('every name has one scheme', () => {
    const schemes = ALGORITHMS.map((algorithm) => JSON.stringify(schemeOf(algorithm)))
    assert.equal(new Set(schemes).size, 10)
  })
})
