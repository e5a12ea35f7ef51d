// One set of signatures, made to be disagreed about, and every place where a signature is checked: the two builds of each primitive, and
// the notes, cosignatures, statements, receipts and tokens above them. Node and @noble/curves say what they think.
import assert from 'node:assert/strict'
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { describe, it } from 'node:test'
import { ed25519 as nobleEd25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import * as nativeEd25519 from '../../merkle/ed25519.node.ts'
import * as portableEd25519 from '../../merkle/ed25519.ts'
import {
  concatBytes,
  cosignatureMessage,
  createCosignatureVerifier,
  EvidenceError,
  formatSignatureLine,
  formatVkey,
  NoteKeyType,
  openNote,
  parseVkey,
  toBase64url,
  utf8,
} from '../../merkle/index.ts'
import { libsodium } from '../../merkle/libsodium.node.ts'
import { verifyCompactJws } from '../../provenance/index.ts'
import {
  type CborValue,
  encodeCbor,
  encodeCoseSign1,
  jwkOfCoseKey,
  type PublicJwk,
  parsePublicJwk,
  parseReceipt,
  parseSignedStatement,
  sigStructure,
  verifyGenericReceipt,
  verifySignedStatement,
} from '../../statement/index.ts'
import * as native from '../../statement/signature.node.ts'
import * as portable from '../../statement/signature.ts'
import { someEntries, treeOf } from '../statement/fixtures.ts'
import { ed25519Cases, publicKey as edPublicKey, type SignatureCase, seed } from './ed25519-cases.ts'
import { publicKey as ecPublicKey, es256Cases, NO_KEYS } from './es256-cases.ts'

const MESSAGES = [new Uint8Array(), utf8('what is signed\n'), new Uint8Array(1023).fill(7)]

const okp = (key: Uint8Array): PublicJwk => ({ kty: 'OKP', crv: 'Ed25519', x: toBase64url(key) })
const ec = (key: Uint8Array): PublicJwk => ({
  kty: 'EC',
  crv: 'P-256',
  x: toBase64url(key.slice(0, 32)),
  y: toBase64url(key.slice(32)),
})

/** Whether OpenSSL takes it, by the shortest way there is. */
function nodeAccepts(jwk: PublicJwk, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    return verify(jwk.kty === 'EC' ? 'sha256' : null, message, { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}

function nobleAccepts(jwk: PublicJwk, key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    if (jwk.kty === 'EC') return p256.verify(signature, message, concatBytes(Uint8Array.of(4), key), { lowS: false })
    return nobleEd25519.verify(signature, message, key, { zip215: false })
  } catch {
    return false
  }
}

/** The oracles agree with what we should say, or take what we are too strict for on purpose; never the other way round. */
function holdAgainstOracles(
  jwk: PublicJwk,
  message: Uint8Array,
  { what, key, signature, valid, lenient }: SignatureCase,
): void {
  for (const theirs of [nodeAccepts(jwk, message, signature), nobleAccepts(jwk, key, message, signature)]) {
    assert.ok(theirs === valid || (lenient && !valid), `an oracle says ${theirs} of ${what}`)
  }
}

for (const [name, { ed25519Verify }] of [
  ['native', nativeEd25519],
  ['portable', portableEd25519],
] as const) {
  describe(`Ed25519, ${name} build`, () => {
    for (const message of MESSAGES) {
      it(`gives each signature over ${message.length} bytes its verdict`, () => {
        const cases = ed25519Cases(message)
        assert.ok(cases.length > 90)
        for (const each of cases) {
          assert.equal(ed25519Verify(each.key, message, each.signature), each.valid, each.what)
          holdAgainstOracles(okp(each.key), message, each)
        }
      })
    }
  })
}

type Import = (typeof native)['importVerificationKey']
const atOnce: Import = async (jwk) => {
  const key = await native.importVerificationKey(jwk)
  // Whoever has checked many of them has the next ones checked by libsodium.
  for (let i = 0; i < 300 && libsodium(); i++) key.holds!(new Uint8Array(), new Uint8Array(64))
  return { ...key, verify: async (data, signature) => key.holds!(data, signature) }
}
const shared: Import = async (jwk) => {
  const key = await native.importVerificationKey(jwk)
  const inShared = (bytes: Uint8Array) => {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
    copy.set(bytes)
    return copy
  }
  return { ...key, verify: async (data, signature) => key.holds!(inShared(data), inShared(signature)) }
}

for (const [name, importVerificationKey] of [
  ['native build', native.importVerificationKey],
  [`native build, at once, Ed25519 by ${libsodium() ? 'libsodium' : 'OpenSSL'}`, atOnce],
  ['native build, at once, in memory that threads share', shared],
  ['portable build', portable.importVerificationKey],
] as const) {
  const accepts = async (jwk: PublicJwk, message: Uint8Array, signature: Uint8Array) =>
    (await importVerificationKey(parsePublicJwk(jwk))).verify(message, signature)

  describe(`#signature, ${name}`, () => {
    for (const message of MESSAGES) {
      it(`gives each Ed25519 signature over ${message.length} bytes its verdict`, async () => {
        for (const { what, key, signature, valid } of ed25519Cases(message)) {
          assert.equal(await verdictOf(() => accepts(okp(key), message, signature)), valid, what)
        }
      })

      it(`gives each ES256 signature over ${message.length} bytes its verdict`, async () => {
        const cases = es256Cases(message)
        assert.ok(cases.length > 110)
        for (const each of cases) {
          const { what, key, signature, valid } = each
          assert.equal(await accepts(ec(key), message, signature), valid, what)
          holdAgainstOracles(ec(key), message, each)
        }
      })
    }

    it('never takes a signature of one algorithm under a key of the other', async () => {
      const [message = new Uint8Array()] = MESSAGES
      const [edHonest, ecHonest] = [ed25519Cases(message)[0]!, es256Cases(message)[0]!]
      assert.equal(await accepts(okp(edPublicKey), message, ecHonest.signature), false)
      assert.equal(await accepts(ec(ecPublicKey), message, edHonest.signature), false)
    })
  })
}

describe('what is no P-256 key', () => {
  for (const [what, key] of NO_KEYS) {
    it(`${what} is refused as a JWK and as a COSE_Key, and no oracle would use it but for its form`, () => {
      const codes = { code: /^(weak_key|malformed_key|malformed_cbor)$/ }
      assert.throws(() => parsePublicJwk(ec(key)), codes)
      const cose = new Map<number, CborValue>([
        [1, 2],
        [-1, 1],
        [-2, key.slice(0, 32)],
        [-3, key.slice(32)],
      ])
      assert.throws(() => jwkOfCoseKey(cose), codes)
      if (key.length === 64 && what !== 'x that is not reduced')
        assert.throws(() => p256.Point.fromBytes(concatBytes(Uint8Array.of(4), key)).assertValidity())
    })
  }

  it('other curves and a compressed y are refused (unsupported_key, malformed_cbor)', () => {
    for (const crv of ['P-384', 'P-521', 'secp256k1', 'Ed448', 'X448', 'p-256', 'BP-256']) {
      for (const kty of ['EC', 'OKP', 'RSA', 'oct']) {
        assert.throws(() => parsePublicJwk({ ...ec(ecPublicKey), kty, crv }), { code: 'unsupported_key' })
      }
    }
    const cose = (crv: CborValue, y: CborValue) =>
      new Map<number, CborValue>([
        [1, 2],
        [-1, crv],
        [-2, ecPublicKey.slice(0, 32)],
        [-3, y],
      ] as [number, CborValue][])
    for (const crv of [2, 3, 8, 6, 4, 0, -1, 'P-256']) {
      assert.throws(() => jwkOfCoseKey(cose(crv, ecPublicKey.slice(32))), { code: 'unsupported_key' })
    }
    assert.throws(() => jwkOfCoseKey(cose(1, true)), { code: 'malformed_cbor' })
  })
})

/** Whether it is accepted; a refusal is one of evidence, and nothing else is thrown. */
async function verdictOf(check: () => unknown): Promise<boolean> {
  try {
    return (await check()) !== false
  } catch (error) {
    assert.ok(error instanceof EvidenceError, String(error))
    return false
  }
}

/** A place where signatures are checked: over which bytes, and by what. */
interface Layer {
  readonly name: string
  readonly message: Uint8Array
  readonly accepts: (key: Uint8Array, signature: Uint8Array) => unknown
}

const NOTE_TEXT = 'log.example\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n'
const entries = someEntries(5)
const tree = treeOf(entries)
const { importVerificationKey } = native

function sign1Layers(alg: number | string, jwkOf: (key: Uint8Array) => PublicJwk): readonly Layer[] {
  const protectedBytes = encodeCbor(
    new Map<number, CborValue>([
      [1, alg],
      [3, 'text/plain'],
      [4, utf8('kid')],
      [
        15,
        new Map([
          [1, 'iss'],
          [2, 'sub'],
        ] as [number, string][]),
      ],
      [395, 1],
    ]),
  )
  const payload = utf8('payload')
  const shared = { protectedBytes, protectedHeader: new Map() }
  const proof = encodeCbor([5, 2, tree.inclusion(2, 5)])
  return [
    {
      name: `signed statement, alg ${alg}`,
      message: sigStructure(protectedBytes, payload),
      async accepts(key, signature) {
        const bytes = encodeCoseSign1({ ...shared, unprotected: new Map(), payload, signature })
        await verifySignedStatement(
          parseSignedStatement(bytes),
          await importVerificationKey(parsePublicJwk(jwkOf(key))),
        )
      },
    },
    {
      name: `receipt, alg ${alg}`,
      message: sigStructure(protectedBytes, tree.root(5)),
      async accepts(key, signature) {
        const unprotected = new Map([[396, new Map([[-1, [proof]]])]])
        const bytes = encodeCoseSign1({ ...shared, unprotected, payload: null, signature })
        await verifyGenericReceipt(
          parseReceipt(bytes),
          entries[2]!,
          await importVerificationKey(parsePublicJwk(jwkOf(key))),
        )
      },
    },
  ]
}

function jwsLayer(alg: string, jwkOf: (key: Uint8Array) => PublicJwk): Layer {
  const input = [{ alg, typ: 'x' }, { sub: 'y' }].map((part) => toBase64url(utf8(JSON.stringify(part)))).join('.')
  return {
    name: `JWS, alg ${alg}`,
    message: utf8(input),
    accepts: (key, signature) =>
      verifyCompactJws(`${input}.${toBase64url(signature)}`, parsePublicJwk(jwkOf(key)), { typ: ['x'] }),
  }
}

const noteLayers: readonly Layer[] = [
  {
    name: 'note',
    message: utf8(NOTE_TEXT),
    accepts(key, signature) {
      const verifier = parseVkey(formatVkey('log.example', NoteKeyType.ed25519, key))
      const line = formatSignatureLine({ name: verifier.name, keyId: verifier.keyId, signature })
      return openNote(`${NOTE_TEXT}\n${line}`, [verifier])
    },
  },
  {
    name: 'cosignature',
    message: cosignatureMessage(utf8(NOTE_TEXT), 1_800_000_000),
    accepts(key, signature) {
      const verifier = createCosignatureVerifier('w.example', key)
      const time = new Uint8Array(8)
      new DataView(time.buffer).setBigUint64(0, 1_800_000_000n)
      const line = formatSignatureLine({
        name: verifier.name,
        keyId: verifier.keyId,
        signature: concatBytes(time, signature),
      })
      return openNote(`${NOTE_TEXT}\n${line}`, [verifier])
    },
  },
]

describe('the layers above', () => {
  const edLayers = [
    ...noteLayers,
    ...[-8, -19].flatMap((alg) => sign1Layers(alg, okp)),
    ...['EdDSA', 'Ed25519'].map((alg) => jwsLayer(alg, okp)),
  ]
  const ecLayers = [...[-7, -9].flatMap((alg) => sign1Layers(alg, ec)), jwsLayer('ES256', ec)]
  for (const [layers, casesOf] of [
    [edLayers, ed25519Cases],
    [ecLayers, es256Cases],
  ] as const) {
    for (const { name, message, accepts } of layers) {
      it(`${name}: each signature gets its verdict`, async () => {
        let accepted = 0
        for (const { what, key, signature, valid } of casesOf(message)) {
          assert.equal(await verdictOf(() => accepts(key, signature)), valid, what)
          if (valid) accepted++
        }
        assert.ok(accepted >= 2)
      })
    }
  }

  it('an honest signature under the name of another algorithm is refused', async () => {
    const wrong: readonly (readonly [Layer, SignatureCase[] | readonly SignatureCase[]])[] = [
      ...[-7, -9, -35, -36, -47, -5, -257, 0, 'EdDSA', 'ES256'].flatMap((alg) =>
        sign1Layers(alg, okp).map((layer) => [layer, ed25519Cases(layer.message)] as const),
      ),
      ...[-8, -19, -35, -36, -47, -5, -257, 0, 'ES256'].flatMap((alg) =>
        sign1Layers(alg, ec).map((layer) => [layer, es256Cases(layer.message)] as const),
      ),
      ...['ES256', 'none', 'None', '', 'HS256', 'ES384', 'ES256K', 'Ed448', 'eddsa'].map((alg) => {
        const layer = jwsLayer(alg, okp)
        return [layer, ed25519Cases(layer.message)] as const
      }),
      ...['EdDSA', 'Ed25519', 'none', 'HS256', 'ES384', 'ES256K', 'es256', 'ESP256'].map((alg) => {
        const layer = jwsLayer(alg, ec)
        return [layer, es256Cases(layer.message)] as const
      }),
    ]
    for (const [{ name, accepts }, [honest]] of wrong) {
      assert.ok(honest?.valid)
      assert.equal(await verdictOf(() => accepts(honest.key, honest.signature)), false, name)
    }
  })

  it('what we sign ourselves is among the honest', () => {
    for (const message of MESSAGES) {
      assert.deepEqual(nativeEd25519.ed25519Sign(seed, message), ed25519Cases(message)[0]!.signature)
    }
  })
})
