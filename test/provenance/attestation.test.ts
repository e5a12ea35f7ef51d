import assert from 'node:assert/strict'
import { type KeyObject, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import { sha256, toBase64, utf8 } from '../../merkle/index.ts'
import { readAttestations } from '../../provenance/workload/attestation.ts'
import { readAttestedSbom } from '../../provenance/workload/attested-sbom.ts'
import { readBuild } from '../../provenance/workload/build.ts'
import { signedBytes } from '../../provenance/workload/dsse.ts'
import { kidOf, parseVerificationJwk, type VerificationJwk } from '../../statement/index.ts'
import { newKeyPair } from '../key-pairs.ts'

const DIGEST = 'ab'.repeat(32)
const PAYLOAD_TYPE = 'application/vnd.in-toto+json'

interface Signer {
  readonly jwk: VerificationJwk
  readonly sign: (data: Uint8Array) => Uint8Array
}

function signerOf(pair: { privateKey: KeyObject; publicKey: KeyObject }, hash?: string, raw = false): Signer {
  return {
    jwk: parseVerificationJwk(pair.publicKey.export({ format: 'jwk' })),
    sign: (data) =>
      new Uint8Array(
        sign(hash ?? null, data, {
          key: pair.privateKey,
          dsaEncoding: raw ? ('ieee-p1363' as const) : ('der' as const),
        }),
      ),
  }
}

const p256 = newKeyPair('ec', { namedCurve: 'P-256' })
const signers: Record<string, Signer> = {
  'P-256 in DER': signerOf(p256, 'sha256'),
  'P-256 as r ‖ s': signerOf(p256, 'sha256', true),
  'P-384 in DER': signerOf(newKeyPair('ec', { namedCurve: 'P-384' }), 'sha384'),
  Ed25519: signerOf(newKeyPair('ed25519')),
}
const builder = signers['P-256 in DER']!
const stranger = signerOf(newKeyPair('ec', { namedCurve: 'P-256' }), 'sha256')

const v1 = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [
    { name: 'payments', digest: { sha256: DIGEST, sha512: 'cd'.repeat(64) } },
    { name: 'git', digest: { gitCommit: 'ef'.repeat(20) } },
  ],
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {
    buildDefinition: {
      buildType: 'https://type.example/v1',
      externalParameters: {},
      resolvedDependencies: [
        { uri: 'git+https://src.example', digest: { gitCommit: 'ef' } },
        { digest: { sha256: DIGEST } },
      ],
    },
    runDetails: { builder: { id: 'https://builder.example' } },
  },
}

const text = (value: object) => utf8(JSON.stringify(value))

function envelope(statement: object, signer: Signer, change: object = {}): object {
  const payload = text(statement)
  const sig = toBase64(signer.sign(signedBytes({ payloadType: PAYLOAD_TYPE, payload })))
  return { payloadType: PAYLOAD_TYPE, payload: toBase64(payload), signatures: [{ keyid: 'hint', sig }], ...change }
}

describe('readAttestations', () => {
  it('takes a statement by itself, as nobody’s word', async () => {
    const [found] = await readAttestations(text(v1), [])
    assert.deepEqual(found!.statement.subjects, [DIGEST])
    assert.equal(found!.signer, undefined)
    assert.deepEqual(found!.digest, sha256(text(v1)))
  })

  for (const [what, signer] of Object.entries(signers)) {
    it(`checks a signature by ${what}, and names the key`, async () => {
      const [found] = await readAttestations(text(envelope(v1, signer)), [stranger.jwk, signer.jwk])
      assert.equal(found!.signer, kidOf(signer.jwk))
    })
  }

  it('takes Sigstore bundles of all versions out of their wrapping', async () => {
    for (const version of ['+json;version=0.1', '+json;version=0.2', '+json;version=0.3', '.v0.3+json']) {
      const bundle = { mediaType: `application/vnd.dev.sigstore.bundle${version}`, dsseEnvelope: envelope(v1, builder) }
      assert.equal((await readAttestations(text(bundle), [builder.jwk]))[0]!.signer, kidOf(builder.jwk))
      assert.equal((await readAttestations(text(bundle), []))[0]!.signer, undefined)
    }
  })

  it('reads one a line, each with a digest of its own', async () => {
    const lines = [envelope(v1, builder), envelope({ ...v1, predicateType: 'https://other.example' }, builder)]
    const file = utf8(`${lines.map((line) => JSON.stringify(line)).join('\n')}\n`)
    const found = await readAttestations(file, [builder.jwk])
    assert.deepEqual(
      found.map(({ digest }) => digest),
      lines.map((line) => sha256(text(line))),
    )
  })

  it('reads base64 of either alphabet', async () => {
    const honest = envelope(v1, builder) as { payload: string; signatures: { sig: string }[] }
    const url = (base64: string) => base64.replaceAll('+', '-').replaceAll('/', '_')
    for (const strip of [false, true]) {
      const form = (base64: string) => (strip ? url(base64).replaceAll('=', '') : url(base64))
      const other = { ...honest, payload: form(honest.payload), signatures: [{ sig: form(honest.signatures[0]!.sig) }] }
      assert.equal((await readAttestations(text(other), [builder.jwk]))[0]!.signer, kidOf(builder.jwk))
    }
  })

  const other = toBase64(text({ ...v1, predicateType: 'https://other.example' }))
  const unsigned: [what: string, file: object][] = [
    ['signed by a stranger', envelope(v1, stranger)],
    ['with another payload than was signed', envelope(v1, builder, { payload: other })],
    ['without a signature', v1],
    ['with a signature of no bytes', envelope(v1, builder, { signatures: [{ sig: '' }] })],
  ]
  for (const [what, file] of unsigned) {
    it(`refuses one ${what}, where keys are given (bad_signature)`, async () => {
      await assert.rejects(readAttestations(text(file), [builder.jwk]), { code: 'bad_signature' })
    })
  }

  const bundle = { mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json' }
  const malformed: [what: string, file: object][] = [
    ['a statement of another version', { ...v1, _type: 'https://in-toto.io/Statement/v2' }],
    ['a statement about nothing', { ...v1, subject: [] }],
    ['a subject without a digest', { ...v1, subject: [{ name: 'payments', digest: {} }] }],
    ['a SHA-256 value in upper case', { ...v1, subject: [{ digest: { sha256: 'AB'.repeat(32) } }] }],
    ['a digest that is too short', { ...v1, subject: [{ digest: { sha256: DIGEST, sha512: 'ab' } }] }],
    [
      'a digest of a Git object that is no hexadecimal',
      { ...v1, subject: [{ digest: { gitCommit: 'x'.repeat(40) } }] },
    ],
    ['a digest that is a number', { ...v1, subject: [{ digest: { other: 1 } }] }],
    ['a subject whose name is a number', { ...v1, subject: [{ name: 1, digest: { sha256: DIGEST } }] }],
    ['a predicate that is a list', { ...v1, predicate: [] }],
    ['a predicate without a type', { ...v1, predicateType: '' }],
    ['an envelope around something else', envelope(v1, builder, { payloadType: 'text/plain' })],
    ['an envelope without signatures', envelope(v1, builder, { signatures: [] })],
    ['an envelope with a hundred signatures', envelope(v1, builder, { signatures: Array(100).fill({ sig: 'AA==' }) })],
    ['a payload that is not base64', envelope(v1, builder, { payload: '*' })],
    ['a payload that is not UTF-8', envelope(v1, builder, { payload: '/w==' })],
    ['an envelope in an envelope', envelope(envelope(v1, builder), builder)],
    [
      'a bundle of a version to come',
      { mediaType: `${bundle.mediaType.replace('0.3', '0.4')}`, dsseEnvelope: envelope(v1, builder) },
    ],
    ['a bundle that signs bytes', { ...bundle, messageSignature: {} }],
    ['something else', { hello: 'world' }],
  ]
  for (const [what, file] of malformed) {
    it(`refuses ${what} (malformed_attestation)`, async () => {
      await assert.rejects(readAttestations(text(file), []), { code: 'malformed_attestation' })
    })
  }

  it('refuses duplicate members, and what is not JSON', async () => {
    for (const file of ['', '{', '[1]', '{"_type":"a","_type":"b"}', '\xff']) {
      await assert.rejects(readAttestations(utf8(file), []), { code: 'malformed_attestation' })
    }
  })
})

describe('readBuild', () => {
  const build = async (statement: object, keys: VerificationJwk[] = []) =>
    readBuild((await readAttestations(text(keys.length > 0 ? envelope(statement, builder) : statement), keys))[0]!)

  it('reads SLSA provenance v1', async () => {
    const found = await build(v1, [builder.jwk])
    assert.deepEqual(
      { ...found, digest: undefined },
      {
        digest: undefined,
        predicateType: 'https://slsa.dev/provenance/v1',
        verified: true,
        signer: kidOf(builder.jwk),
        builderId: 'https://builder.example',
        buildType: 'https://type.example/v1',
        materials: [
          { uri: 'git+https://src.example', digests: new Map([['gitCommit', 'ef']]) },
          { digests: new Map([['sha256', DIGEST]]) },
        ],
      },
    )
  })

  it('reads SLSA provenance v0.2', async () => {
    const found = await build({
      ...v1,
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: 'https://slsa.dev/provenance/v0.2',
      predicate: { builder: { id: 'b' }, buildType: 't', materials: [{ uri: 'u', digest: { sha1: 'aa' } }] },
    })
    assert.deepEqual([found.verified, found.builderId, found.buildType, found.materials.length], [false, 'b', 't', 1])
  })

  it('reads verification summaries v1 and v0.2', async () => {
    const summary = { verifier: { id: 'v' }, verificationResult: 'PASSED' }
    const one = {
      ...v1,
      predicateType: 'https://slsa.dev/verification_summary/v1',
      predicate: { ...summary, verifiedLevels: ['SLSA_BUILD_LEVEL_2'] },
    }
    const old = {
      ...v1,
      predicateType: 'https://slsa.dev/verification_summary/v0.2',
      predicate: { ...summary, policy_level: 'SLSA_LEVEL_3' },
    }
    assert.deepEqual((await build(one)).verification, { result: 'PASSED', levels: ['SLSA_BUILD_LEVEL_2'] })
    assert.deepEqual((await build(old)).verification, { result: 'PASSED', levels: ['SLSA_LEVEL_3'] })
  })

  it('knows other predicates by type and digest', async () => {
    const found = await build({
      ...v1,
      predicateType: 'https://in-toto.io/attestation/link/v0.3',
      predicate: { name: 'x' },
    })
    assert.deepEqual(
      [found.predicateType, found.builderId, found.materials],
      ['https://in-toto.io/attestation/link/v0.3', undefined, []],
    )
  })

  const refused: [what: string, predicateType: string, predicate: object][] = [
    ['provenance without a builder', 'provenance/v1', { ...v1.predicate, runDetails: {} }],
    ['provenance v0.2 without a builder', 'provenance/v0.2', { buildType: 't' }],
    ['a verdict of another word', 'verification_summary/v1', { verifier: { id: 'v' }, verificationResult: 'passed' }],
    [
      'more materials than a record has room for',
      'provenance/v0.2',
      { builder: { id: 'b' }, materials: Array(1025).fill({ uri: 'u' }) },
    ],
    ['a digest that is no text', 'provenance/v0.2', { builder: { id: 'b' }, materials: [{ digest: { sha1: 1 } }] }],
  ]
  for (const [what, type, predicate] of refused) {
    it(`refuses ${what}`, async () => {
      const statement = { ...v1, predicateType: `https://slsa.dev/${type}`, predicate }
      await assert.rejects(build(statement), { code: 'malformed_attestation' })
    })
  }
})

describe('readAttestedSbom', () => {
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    components: [{ type: 'library', name: 'a', purl: 'pkg:npm/a@1' }],
    metadata: { component: { type: 'application', name: 'p', hashes: [{ alg: 'SHA-256', content: 'cd'.repeat(32) }] } },
  }
  const statement = { ...v1, predicateType: 'https://cyclonedx.org/bom', predicate: bom }

  it('takes the subjects of the statement, which alone are signed for', async () => {
    const file = text(envelope(statement, builder))
    const found = await readAttestedSbom(file, [builder.jwk])
    assert.deepEqual(
      [found.components, found.signer, found.digest],
      [['pkg:npm/a@1'], kidOf(builder.jwk), sha256(file)],
    )
    assert.deepEqual(
      found.subjects.map((each) => Buffer.from(each).toString('hex')),
      [DIGEST],
    )
    await assert.rejects(readAttestedSbom(file, [stranger.jwk]), { code: 'bad_signature' })
  })

  it('takes the document out of what cosign put around it', async () => {
    const within = (predicate: object) => text(envelope({ ...statement, predicate }, builder))
    const found = await readAttestedSbom(within({ Data: bom, Timestamp: '2026-01-01T00:00:00Z' }), [builder.jwk])
    assert.deepEqual(found.components, ['pkg:npm/a@1'])
    const both = await readAttestedSbom(within({ ...bom, components: [], Data: bom }), [builder.jwk])
    assert.deepEqual(both.components, [])
    for (const predicate of [{ Data: [bom] }, { Data: { Data: bom } }, { Data: bom, more: 1 }]) {
      await assert.rejects(readAttestedSbom(within(predicate), [builder.jwk]), { code: 'unsupported_sbom' })
    }
  })

  it('takes a document by itself, which needs no signature', async () => {
    const found = await readAttestedSbom(text(bom), [builder.jwk])
    assert.equal(found.signer, undefined)
    assert.deepEqual(found.subjects.length, 1)
  })

  it('refuses an attestation about something else', async () => {
    await assert.rejects(readAttestedSbom(text(v1), []), { code: 'unsupported_sbom' })
  })
})
