/**
 * Other people's COSE, SCITT and receipt vectors. What we do not accept is here by name, with the reason and the code of the refusal.
 *
 * @module
 */
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { impliedRoots } from '../../merkle/consistency.ts'
import { sha256 } from '../../merkle/hash.ts'
import { impliedRoot } from '../../merkle/inclusion.ts'
import { checkForeign, readForeignPolicy } from '../../provenance/index.ts'
import { type CborValue, decodeCbor } from '../../statement/cbor.ts'
import {
  coseKeyThumbprint,
  decodeCoseSign1,
  importSigningKey,
  importVerificationKey,
  JOSE_ALGORITHMS,
  jwkOfCoseKey,
  parsePrivateJwk,
  parsePublicJwk,
  parseReceipt,
  parseSignedStatement,
  parseTransparentStatement,
  parseVerificationJwk,
  registeredBytes,
  sigStructure,
  statementIdentity,
  type VerificationKey,
  verifyGenericReceipt,
  verifyReceipt,
  verifySign1,
  verifySignedStatement,
} from '../../statement/index.ts'
import { policyWith } from '../provenance/signers.ts'
import { readTextVector, readVector, vectorPath, vectorsMissing } from './shared-vectors.ts'

const skip = vectorsMissing
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const json = <T>(path: string): T => JSON.parse(readTextVector(`scitt/${path}`)) as T
const list = (path: string) => (skip ? [] : readdirSync(vectorPath(`scitt/${path}`)).sort())
const code = async (attempt: () => unknown): Promise<string | undefined> => {
  try {
    await attempt()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

async function pemKey(path: string): Promise<VerificationKey> {
  const jwk = createPublicKey(readTextVector(`scitt/${path}`)).export({ format: 'jwk' })
  return importVerificationKey(parsePublicJwk(jwk))
}

interface ScittCoseVector {
  readonly result: 'VALID' | 'INVALID'
  readonly statement_signature_valid: boolean
  readonly receipt_valid: boolean
  readonly leaf_entry: string
  readonly reconstructed_root: string | null
  readonly failure_code?: string
}

describe('scitt-cose v1', { skip }, () => {
  const manifest = skip
    ? []
    : json<{ vectors: { id: string; dir: string; expected_result: string }[] }>('scitt-cose/test-vectors/manifest.json')
        .vectors

  /** Where our verdict on a receipt is another than theirs, or has a code of its own. */
  const receiptCodes: Record<string, string> = {
    'fail-tampered-path': 'bad_signature',
    'fail-unsupported-vds': 'unsupported_vds',
    // A valid receipt of a CCF ledger. We do not verify that kind of tree, and say so rather than no.
    'valid-ccf-vds2': 'unsupported_vds',
  }

  for (const { id, dir } of manifest) {
    const folder = `scitt-cose/test-vectors/${dir}`
    it(`${id}: statement, entry and receipt`, async () => {
      const expected = json<ScittCoseVector>(`${folder}/expected.json`)
      const bytes = readVector(`scitt/${folder}/statement.cose`)
      const sign1 = decodeCoseSign1(bytes)
      const issuer = await pemKey(`${folder}/issuer-key.pub`)
      const verdict = await code(() => verifySign1(sign1, issuer))
      assert.equal(verdict, expected.statement_signature_valid ? undefined : 'bad_signature')
      assert.deepEqual(sign1.payload, readVector(`scitt/${folder}/payload.bin`))

      const entry = sha256(registeredBytes(sign1))
      // The CCF vector's own "leaf_entry" is of its tree, not ours.
      if (id !== 'valid-ccf-vds2') assert.equal(toHex(entry), expected.leaf_entry)

      const receipt = () => parseReceipt(readVector(`scitt/${folder}/receipt.cose`))
      const check = async () => verifyGenericReceipt(receipt(), entry, await pemKey(`${folder}/log-key.pub`))
      assert.equal(await code(check), receiptCodes[id])
      if (receiptCodes[id]) return
      assert.equal(expected.receipt_valid, true)
      assert.equal(toHex((await check()).root), expected.reconstructed_root)
      // It signs neither its log nor its size, so our own profile does not take it.
      const log = await pemKey(`${folder}/log-key.pub`)
      assert.equal(await code(() => verifyReceipt(receipt(), entry, log, { origin: 'any' })), 'unbound_receipt')
    })

    it(`${id}: is refused as a Signed Statement, because RFC 9943 §6 wants a kid and a subject`, async () => {
      const bytes = readVector(`scitt/${folder}/statement.cose`)
      assert.equal(await code(() => parseSignedStatement(bytes)), 'malformed_statement')
    })
  }

  it('were all found', () => assert.equal(manifest.length, 6))

  it('give the entry and the four claimable tree sizes of expected-roots.json', async () => {
    const { 'scitt-cose valid-es256': expected } = json<Record<string, { entry: string }>>('expected-roots.json')
    const sign1 = decodeCoseSign1(readVector('scitt/scitt-cose/test-vectors/v1/valid-es256/statement.cose'))
    assert.equal(toHex(sha256(registeredBytes(sign1))), expected!.entry)
  })
})

describe('scitt-cose interop', { skip }, () => {
  it('vcp: the statement verifies; it has no kid, and so is no Signed Statement', async () => {
    const bytes = readVector('scitt/scitt-cose/interop/vcp/vcp-statement.cose')
    const sign1 = decodeCoseSign1(bytes)
    await verifySign1(sign1, await pemKey('scitt-cose/interop/vcp/vcp-issuer-pub.pem'))
    assert.equal(await code(() => parseSignedStatement(bytes)), 'malformed_statement')
  })

  it('ccf: every statement and receipt in the file is read, or refused for what it is', async () => {
    const counts: Record<string, number> = {}
    for (const [path, bytes] of hexStrings(json('scitt-cose/interop/ccf/shared-vector.json'), '')) {
      if (bytes[0] !== 0xd2) continue
      const sign1 = decodeCoseSign1(bytes)
      const verdict = sign1.payload
        ? await code(() => parseSignedStatement(bytes))
        : await code(() => parseReceipt(bytes))
      assert.ok([undefined, 'malformed_statement', 'unsupported_vds'].includes(verdict), `${path}: ${verdict}`)
      const kind = `${sign1.payload ? 'statement' : 'receipt'} ${verdict ?? 'ok'}`
      counts[kind] = (counts[kind] ?? 0) + 1
    }
    assert.ok(Object.keys(counts).length > 0, 'nothing found')
  })
})

function hexStrings(value: unknown, path: string): [string, Uint8Array][] {
  if (typeof value === 'string') return /^d284([0-9a-f]{2})+$/.test(value) ? [[path, hex(value)]] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => hexStrings(inner, `${path}/${key}`))
}

interface GoCoseVector {
  readonly title: string
  readonly key: Record<string, unknown>
  readonly alg: string
  readonly 'sign1::sign'?: {
    readonly payload: string
    readonly external?: string
    readonly protectedHeaders: { readonly cborHex: string }
    readonly tbsHex: { readonly cborHex: string }
    readonly expectedOutput: { readonly cborHex: string }
  }
  readonly 'sign1::verify'?: {
    readonly taggedCOSESign1: { readonly cborHex: string }
    readonly external?: string
    readonly shouldVerify: boolean
  }
}

describe('go-cose (gluecose)', { skip }, () => {
  const seen = new Set<string>()
  for (const file of list('go-cose/testdata')) {
    const vector = json<GoCoseVector>(`go-cose/testdata/${file}`)
    const algorithm = JOSE_ALGORITHMS.get(vector.alg)!
    seen.add(algorithm)

    it(`${file}: ${vector.title}`, async () => {
      const { 'sign1::verify': verify, 'sign1::sign': sign } = vector
      const { kty, crv, x, y, n, e } = vector.key
      const key = await importVerificationKey(parseVerificationJwk({ kty, crv, x, y, n, e }), algorithm)
      if (verify) {
        const external = verify.external === undefined ? undefined : hex(verify.external)
        const check = async () =>
          verifySign1(decodeCoseSign1(hex(verify.taggedCOSESign1.cborHex)), key, { externalAad: external })
        assert.equal(await code(check), verify.shouldVerify ? undefined : 'malformed_cbor')
      }
      if (sign) {
        // ECDSA has no one signature, so the bytes are compared as far as they are determined, and ours must verify.
        const external = hex(sign.external ?? '')
        const toSign = sigStructure(hex(sign.protectedHeaders.cborHex), hex(sign.payload), external)
        assert.equal(toHex(toSign), sign.tbsHex.cborHex)
        const expected = decodeCoseSign1(hex(sign.expectedOutput.cborHex))
        if (algorithm !== 'ES256') {
          // What others sign with we verify alone.
          await verifySign1(expected, key, { externalAad: external })
          return
        }
        const signer = await importSigningKey(parsePrivateJwk(vector.key))
        const made = { ...expected, signature: await signer.sign(toSign) }
        await verifySign1(made, key, { externalAad: external })
      }
    })
  }
  it('has vectors of each algorithm', () => {
    assert.deepEqual([...seen].toSorted(), ['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'])
  })
})

interface CoseWgVector {
  readonly title: string
  readonly fail?: boolean
  readonly input: {
    readonly plaintext: string
    readonly sign0?: { readonly key: Record<string, string>; readonly external?: string; readonly alg: string }
    readonly sign?: object
  }
  readonly intermediates: { readonly ToBeSign_hex: string }
  readonly output: { readonly cbor: string }
}

describe('cose-wg/Examples', { skip }, () => {
  /** Vectors on which our answer is a refusal, and why. Where theirs is a refusal too, the code says which. */
  const refusals: Record<string, [code: string, why: string]> = {
    'sign-fail-01.json': ['malformed_cbor', 'tag 998'],
    'sign-fail-02.json': ['bad_signature', 'the signature was changed'],
    'sign-fail-03.json': ['unsupported_algorithm', 'algorithm −999'],
    'sign-fail-04.json': ['unsupported_algorithm', 'algorithm "unknown"'],
    'sign-fail-06.json': ['bad_signature', 'a protected header was added'],
    'sign-fail-07.json': ['bad_signature', 'a protected header was removed'],
    'ecdsa-sig-04.json': ['algorithm_mismatch', 'SHA-512 with P-256: only the pairs that have a name of their own'],
    'sign-pass-01.json': ['malformed_cose', 'alg is unprotected: RFC 9052 allows it, and nothing in SCITT may do it'],
    'sign-pass-03.json': ['malformed_cose', 'no tag 18: RFC 9052 allows it, RFC 9942 and 9943 do not'],
  }
  const folders = ['sign1-tests', 'ecdsa-examples', 'eddsa-examples']
  for (const path of folders.flatMap((folder) =>
    list(`cose-wg-examples/${folder}`).map((file) => `${folder}/${file}`),
  )) {
    const file = path.split('/')[1]!
    const vector = json<CoseWgVector>(`cose-wg-examples/${path}`)
    const { sign0 } = vector.input
    const foreign = sign0?.key['crv'] === 'Ed448'
    const reason = !sign0
      ? 'COSE_Sign with several signers: out of scope'
      : foreign && `${sign0.alg} on ${sign0.key['crv']} is no algorithm of ours`
    const [expected, why] = refusals[file] ?? []

    it(`${path}: ${vector.title}${why ? ` (refused: ${why})` : ''}`, { skip: reason }, async () => {
      const { kid: _kid, x_hex, d_hex: _dHex, d: _d, ...rest } = sign0!.key
      const x = x_hex === undefined ? {} : { x: Buffer.from(x_hex, 'hex').toString('base64url') }
      const key = await importVerificationKey(parseVerificationJwk({ ...rest, ...x }))
      const external = sign0!.external === undefined ? undefined : hex(sign0!.external)
      const message = hex(vector.output.cbor)
      assert.equal(
        await code(async () => verifySign1(decodeCoseSign1(message), key, { externalAad: external })),
        expected,
      )

      if (!expected || file.startsWith('sign-pass')) {
        // What we refuse for its form, we would still sign and verify alike.
        const [protectedBytes, , payload, signature] = untagged(message)
        const toSign = sigStructure(protectedBytes, payload, external)
        assert.equal(toHex(toSign), vector.intermediates.ToBeSign_hex.toLowerCase())
        assert.ok(await key.verify(toSign, signature))
      }
    })
  }
})

function untagged(message: Uint8Array): [Uint8Array, CborValue, Uint8Array, Uint8Array] {
  const bytes = message[0] === 0xd2 ? message.slice(1) : message
  return decodeCbor(bytes, { sortedKeys: false }) as unknown as [Uint8Array, CborValue, Uint8Array, Uint8Array]
}

describe('cose-wg receipts (RFC 9942)', { skip }, () => {
  // No key is published for these, so their signatures cannot be checked: structure and roots only.
  const expected = skip ? {} : json<Record<string, Record<string, string>>>('expected-roots.json')['cose-wg-receipts']!
  const read = (name: string) => parseReceipt(readVector(`scitt/cose-wg-receipts/examples/${name}.cbor`))

  it('the inclusion receipt leads to the root of 5', () => {
    const { inclusion, profile, consistency } = read('inclusion-receipt')
    assert.equal(profile, 'generic')
    assert.equal(consistency.length, 0)
    const [{ size, index, proof }] = inclusion as [(typeof inclusion)[0]]
    assert.deepEqual([size, index], [5, 3])
    const leafHash = hex(expected['leaf_hash_index3']!)
    assert.equal(toHex(impliedRoot({ size, index, proof, leafHash })), expected['root_size5'])
  })

  it('the consistency receipt leads from the root of 3 to the root of 5', () => {
    const { consistency, origin } = read('consistency-receipt')
    assert.equal(origin, 'https://transparency-service.example.com')
    const [{ size1, size2, proof }] = consistency as [(typeof consistency)[0]]
    assert.deepEqual([size1, size2], [3, 5])
    const roots = impliedRoots({ size1, size2, proof, root1: hex(expected['root_size3']!) })
    assert.deepEqual([toHex(roots.root1), toHex(roots.root2)], [expected['root_size3'], expected['root_size5']])
  })
})

describe('scitt-ccf-ledger statements', { skip }, () => {
  /** Those that cannot be read as Signed Statements, and why. */
  const refused: Record<string, [code: string, why: string]> = {
    'css-attested-cosesign1-20250925.cose': ['malformed_statement', 'no subject, which RFC 9943 §6 requires'],
  }
  for (const file of list('scitt-ccf-ledger/test/payloads')) {
    const [expected, why] = refused[file] ?? []
    it(`${file} ${why ? `is refused: ${why}` : 'reads, and has one registered form'}`, async () => {
      const bytes = readVector(`scitt/scitt-ccf-ledger/test/payloads/${file}`)
      assert.equal(await code(() => parseSignedStatement(bytes)), expected)
      if (expected) return
      const statement = parseSignedStatement(bytes)
      assert.match(statement.header.issuer, /^did:/)
      assert.ok(statement.header.kid || statement.header.x5chain)
      assert.deepEqual(parseSignedStatement(statement.bytes).entry, statement.entry)
      assert.equal(statementIdentity(statement).length, 32)
    })
  }

  it('the ES256 one verifies under the leaf of its own chain', async () => {
    const statement = parseSignedStatement(
      readVector('scitt/scitt-ccf-ledger/test/payloads/cosesign1tool-scitt-a3be7e5.cose'),
    )
    const { X509Certificate } = await import('node:crypto')
    const jwk = new X509Certificate(statement.header.x5chain![0]!).publicKey.export({ format: 'jwk' })
    await verifySignedStatement(statement, await importVerificationKey(parsePublicJwk(jwk)))
  })

  /** Whether a log would register it whose policy names the last certificate of its chain as anchor, when the statement was made. */
  const registered = async (path: string) => {
    const statement = parseSignedStatement(readVector(`scitt/scitt-ccf-ledger/test/${path}`))
    const { x5chain = [], issuedAt = 0 } = statement.header
    const foreign = { keys: [], anchors: x5chain.slice(-1) }
    const policy = { ...policyWith(undefined), foreign: readForeignPolicy(foreign) }
    return checkForeign(statement, { policy, now: issuedAt, maxClockSkew: 0 })
  }

  it('the ES256 one would be registered by a log that has its root as anchor', async () => {
    const { path, signer } = await registered('payloads/cosesign1tool-scitt-a3be7e5.cose')
    assert.deepEqual([path.length, signer.length], [2, 43])
  })

  for (const [path, algorithm] of [
    ['payloads/cts-hashv-cwtclaims-b64url.cose', 'PS256'],
    ['payloads/manifest.spdx.json.sha384.digest.cose', 'PS384'],
    ['transparent_statements/uvm_0.2.10.cose', 'PS384, a hash envelope'],
  ] as const) {
    it(`${path} would be, by its own root (${algorithm})`, async () => {
      assert.ok((await registered(path)).path.length >= 2)
    })
  }

  // ES384, under a key that an attestation vouches for: there is no certificate to lead to an anchor.
  for (const date of ['20250617', '20250812', '20260302']) {
    it(`css-attested-cosesign1-${date}.cose would not be registered by any policy (unknown_key)`, async () => {
      assert.equal(await code(() => registered(`payloads/css-attested-cosesign1-${date}.cose`)), 'unknown_key')
    })
  }

  it('a production Transparent Statement reads; its receipts are of CCF ledgers (unsupported_vds)', async () => {
    const bytes = readVector('scitt/scitt-ccf-ledger/test/transparent_statements/uvm_0.2.10.cose')
    const { statement, receipts } = parseTransparentStatement(bytes)
    assert.match(statement.header.issuer, /^did:x509:/)
    assert.ok(receipts.length > 0)
    for (const receipt of receipts) assert.equal(await code(() => parseReceipt(receipt)), 'unsupported_vds')
  })
})

describe('RFC 9679', { skip }, () => {
  it('the thumbprint of the example key', () => {
    const { rfc9679 } = json<{ rfc9679: { key: Record<string, string | number>; thumbprint_sha256: string } }>(
      'expected-roots.json',
    )
    const key = new Map<number, CborValue>(
      Object.entries(rfc9679.key).map(([label, value]) => [
        Number(label),
        typeof value === 'string' ? hex(value) : value,
      ]),
    )
    assert.equal(toHex(coseKeyThumbprint(jwkOfCoseKey(key))), rfc9679.thumbprint_sha256)
  })
})
