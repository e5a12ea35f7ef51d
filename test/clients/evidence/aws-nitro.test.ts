import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { appraise, parseAppraisalPolicy, parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, fromHex, sha256, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { type CborValue, encodeCbor, publicJwkOf } from '../../../statement/index.ts'
import { ES256_JWK, OTHER_ES256_JWK } from '../../statement/fixtures.ts'
import {
  authorityExtensions,
  basicConstraints,
  type CertificateContent,
  certificate,
  type Extension,
  ecKeys,
  keyUsage,
  sha256Hex,
} from './forge.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const HOUR = 3600
const workloadKey = publicJwkOf(ES256_JWK)
const format = evidenceFormat('aws-nitro')

const keys = { root: ecKeys('P-384'), zone: ecKeys('P-384'), instance: ecKeys('P-384'), leaf: ecKeys('P-384') }
type Party = keyof typeof keys

/** A certificate of `subject` by `issuer`, as Nitro's are. */
function issued(subject: Party, issuer: Party, change: Partial<CertificateContent> = {}): Uint8Array {
  return certificate({
    subject,
    issuer,
    notBefore: NOW - HOUR,
    notAfter: NOW + 2 * HOUR,
    publicKey: keys[subject].publicKey,
    extensions: subject === 'leaf' ? [basicConstraints(false), keyUsage(0x80)] : authorityExtensions,
    signer: { key: keys[issuer].privateKey, algorithm: 'ES384' },
    ...change,
  })
}

const chain = {
  root: issued('root', 'root'),
  zone: issued('zone', 'root'),
  instance: issued('instance', 'zone'),
  leaf: issued('leaf', 'instance'),
}
const roots = [sha256Hex(chain.root)]
const PCR = (byte: number) => new Uint8Array(48).fill(byte)

interface Change {
  readonly payload?: Readonly<Record<string, CborValue | undefined>>
  readonly protectedHeader?: Uint8Array
  readonly unprotected?: ReadonlyMap<number, CborValue>
  readonly signer?: Party
  /** As newer modules write the payload. */
  readonly indefinite?: true
  /** After all members. */
  readonly trailing?: Uint8Array
}

/** In the order in which the Nitro Secure Module writes them, which is not the canonical one. */
function unsortedMap(
  members: Readonly<Record<string, CborValue | undefined>>,
  { indefinite, trailing = new Uint8Array() }: Change,
): Uint8Array {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  const parts = entries.map(([name, value]) => concatBytes(encodeCbor(name), encodeCbor(value!)))
  if (indefinite) return concatBytes(Uint8Array.of(0xbf), ...parts, trailing, Uint8Array.of(0xff))
  return concatBytes(Uint8Array.of(0xa0 | entries.length), ...parts, trailing)
}

function document(change: Change = {}): Uint8Array {
  const { payload = {}, unprotected = new Map(), signer = 'leaf', ...rest } = change
  const { protectedHeader = encodeCbor(new Map([[1, -35]])) } = rest
  const members = {
    module_id: 'i-0123456789abcdef0-enc0123456789abcdef0',
    digest: 'SHA384',
    timestamp: NOW * 1000 + 250,
    pcrs: new Map(Array.from({ length: 16 }, (_, i) => [i, i < 5 ? PCR(i + 1) : PCR(0)])),
    certificate: chain.leaf,
    cabundle: [chain.root, chain.zone, chain.instance],
    public_key: spkiOfJwk(workloadKey),
    user_data: null,
    nonce: utf8('challenge'),
    ...payload,
  }
  const content = unsortedMap(members, change)
  const signed = encodeCbor(['Signature1', protectedHeader, new Uint8Array(), content])
  const signature = sign('sha384', signed, { key: keys[signer].privateKey, dsaEncoding: 'ieee-p1363' })
  return encodeCbor([protectedHeader, unprotected, content, new Uint8Array(signature)])
}

const honest = document()
const examination: Examination = { references: [], now: NOW + 10, collateral: [], roots }
const examined = (evidence: Uint8Array, change: Partial<Examination> = {}) =>
  format.examine(evidence, { ...examination, ...change })

const hex = (byte: number) => Buffer.alloc(48, byte).toString('hex')
const policyOf = (change: object = {}) =>
  parseAppraisalPolicy(
    utf8(
      JSON.stringify({
        format: 'aws-nitro',
        maxEvidenceAgeSeconds: 300,
        resultLifetimeSeconds: 3600,
        roots,
        claims: {
          match: { 'instance-identity': 2, configuration: 2, executables: 3, hardware: 2, 'runtime-opaque': 2 },
          mismatch: { executables: 33 },
        },
        ...change,
      }),
    ),
  )
const referencesOf = (values: object) =>
  parseReferenceValues(
    utf8(JSON.stringify({ format: 'aws-nitro', measurements: [{ name: 'payments', version: '7', values }] })),
  )
const references = referencesOf({ PCR0: hex(1), PCR1: hex(2), PCR2: hex(3) })
const appraised = (evidence = honest, change: Partial<Parameters<typeof appraise>[0]> = {}) =>
  appraise({
    evidence,
    policyId: 'nitro',
    policy: policyOf(),
    referenceValues: [references],
    now: NOW + 10,
    nonce: 'challenge',
    ...change,
  })

const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('aws-nitro evidence', () => {
  it('affirms the reference image, the challenge and the workload’s key', async () => {
    const { tier, claims, measurement } = await appraised(honest, { workloadKey })
    const appraisal = claims.appraisals.get('aws-nitro')!
    assert.equal(tier, 'affirming')
    assert.deepEqual(claims.nonces, ['challenge'])
    assert.deepEqual(appraisal.attestedKey, spkiOfJwk(workloadKey))
    assert.equal(appraisal.annotatedEvidence?.['matched'], 'payments 7')
    assert.equal(appraisal.annotatedEvidence?.['keyBinding'], 'public_key=spki')
    assert.deepEqual(Buffer.from(measurement).toString('hex'), references.measurements[0]!.root)
  })

  it('is read alike where the length of its payload is not said beforehand', async () => {
    assert.deepEqual((await examined(document({ indefinite: true }))).detail, (await examined(honest)).detail)
  })

  it('is read alike with the tag that says what it is', async () => {
    const tagged = concatBytes(Uint8Array.of(0xd2), honest)
    assert.deepEqual((await examined(tagged)).detail, (await examined(honest)).detail)
    await assert.rejects(examined(concatBytes(Uint8Array.of(0xd2), tagged)), refused('malformed_evidence'))
  })

  it('gives every PCR, who measured and when', async () => {
    const { detail, issuedAt, cases } = await examined(honest)
    const measurements = detail['measurements'] as Record<string, string>
    assert.equal(Object.keys(measurements).length, 16)
    assert.equal(measurements['PCR4'], hex(5))
    assert.deepEqual(detail['platform'], { model: 'Nitro', id: 'i-0123456789abcdef0-enc0123456789abcdef0' })
    assert.equal(issuedAt, NOW)
    assert.deepEqual(cases, ['mismatch'])
  })

  it('is as bad as its image', async () => {
    const { tier, claims } = await appraised(honest, {
      referenceValues: [referencesOf({ PCR0: hex(1), PCR2: hex(9) })],
    })
    assert.equal(tier, 'warning')
    assert.deepEqual(claims.appraisals.get('aws-nitro')!.annotatedEvidence?.['different'], ['PCR2'])
  })

  it('contraindicates debug mode, which has PCRs of zeros, even where zeros are the reference', async () => {
    const zeros = new Map(Array.from({ length: 16 }, (_, i) => [i, PCR(0)]))
    const { tier, claims } = await appraised(document({ payload: { pcrs: zeros } }), {
      referenceValues: [referencesOf({ PCR0: hex(0) })],
    })
    assert.equal(tier, 'contraindicated')
    assert.deepEqual(claims.appraisals.get('aws-nitro')!.vector?.['runtime-opaque'], 96)
  })

  it('leaves it to the policy what debug mode is', async () => {
    const zeros = new Map([0, 1, 2].map((i) => [i, PCR(0)]))
    const policy = policyOf({
      claims: { match: { executables: 3 }, mismatch: { executables: 33 }, debug: { 'runtime-opaque': 32 } },
    })
    const { tier } = await appraised(document({ payload: { pcrs: zeros } }), {
      policy,
      referenceValues: [referencesOf({ PCR0: hex(0) })],
    })
    assert.equal(tier, 'warning')
  })

  it('warns of a certificate that is not valid any more, or not yet', async () => {
    for (const now of [NOW + 2 * HOUR + 1, NOW - HOUR - 1]) {
      const { cases } = await examined(honest, { now })
      assert.deepEqual(cases, ['mismatch', 'expiredCollateral'])
    }
  })

  it('refuses old evidence, evidence of the future and the answer to another challenge', async () => {
    await assert.rejects(appraised(honest, { now: NOW + 301 }), refused('stale_evidence'))
    await assert.rejects(appraised(honest, { now: NOW - 61 }), refused('evidence_from_future'))
    await assert.rejects(appraised(honest, { nonce: 'another!' }), refused('wrong_nonce'))
    await assert.rejects(appraised(document({ payload: { nonce: null } })), refused('wrong_nonce'))
  })

  const wrong: [what: string, code: string, evidence: () => Uint8Array][] = [
    ['a document signed by another key', 'bad_evidence_signature', () => document({ signer: 'instance' })],
    [
      'certificates in another order',
      'bad_certificate_chain',
      () => document({ payload: { cabundle: [chain.root, chain.instance, chain.zone] } }),
    ],
    [
      'a chain with a gap',
      'bad_certificate_chain',
      () => document({ payload: { cabundle: [chain.root, chain.instance] } }),
    ],
    [
      'a chain to another root',
      'untrusted_root',
      () => document({ payload: { cabundle: [issued('root', 'root', { serial: 2 }), chain.zone, chain.instance] } }),
    ],
    [
      'a chain without its root',
      'untrusted_root',
      () => document({ payload: { cabundle: [chain.zone, chain.instance] } }),
    ],
    [
      'an issuer without CA:TRUE',
      'bad_certificate_chain',
      () => withInstance([basicConstraints(false), keyUsage(0x06)]),
    ],
    ['an issuer without basicConstraints', 'bad_certificate_chain', () => withInstance([keyUsage(0x06)])],
    [
      'an issuer without keyCertSign',
      'bad_certificate_chain',
      () => withInstance([basicConstraints(true), keyUsage(0x82)]),
    ],
    [
      'an issuer with a critical extension that nobody knows',
      'bad_certificate_chain',
      () => withInstance([...authorityExtensions, { id: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }]),
    ],
    [
      'name constraints',
      'bad_certificate_chain',
      () => withInstance([...authorityExtensions, { id: '2.5.29.30', value: Uint8Array.of(0x30, 0) }]),
    ],
    [
      'more intermediates than one of them allows',
      'bad_certificate_chain',
      () => {
        const zone = issued('zone', 'root', { extensions: [basicConstraints(true, 0), keyUsage(0x06)] })
        return document({ payload: { cabundle: [chain.root, zone, chain.instance] } })
      },
    ],
    [
      'a leaf that is a CA',
      'bad_certificate_chain',
      () => document({ payload: { certificate: issued('leaf', 'instance', { extensions: authorityExtensions }) } }),
    ],
    [
      'a certificate by another key of the issuer’s name',
      'bad_certificate_chain',
      () =>
        document({
          payload: {
            certificate: issued('leaf', 'instance', { signer: { key: keys.zone.privateKey, algorithm: 'ES384' } }),
          },
        }),
    ],
    [
      'the same extension twice',
      'malformed_evidence',
      () => withInstance([...authorityExtensions, basicConstraints(true)]),
    ],
    [
      'another algorithm in the header',
      'malformed_evidence',
      () => document({ protectedHeader: encodeCbor(new Map([[1, -7]])) }),
    ],
    ['an unprotected header', 'malformed_evidence', () => document({ unprotected: new Map([[4, new Uint8Array(1)]]) })],
    [
      'no PCR 2',
      'malformed_evidence',
      () =>
        document({
          payload: {
            pcrs: new Map([
              [0, PCR(1)],
              [1, PCR(1)],
            ]),
          },
        }),
    ],
    [
      'PCRs of 32 bytes',
      'malformed_evidence',
      () => document({ payload: { pcrs: new Map([0, 1, 2].map((i) => [i, new Uint8Array(32)])) } }),
    ],
    ['another digest', 'malformed_evidence', () => document({ payload: { digest: 'SHA256' } })],
    [
      'a second nonce in a payload of indefinite length',
      'malformed_evidence',
      () => document({ indefinite: true, trailing: concatBytes(encodeCbor('nonce'), encodeCbor(utf8('another!'))) }),
    ],
    [
      'a time that is no integer',
      'malformed_evidence',
      () =>
        document({
          payload: { timestamp: undefined },
          indefinite: true,
          trailing: concatBytes(encodeCbor('timestamp'), fromHex('fb4279f9a3e0800000')),
        }),
    ],
    ['an unknown member', 'malformed_evidence', () => document({ payload: { more: 1 } })],
    ['no timestamp', 'malformed_evidence', () => document({ payload: { timestamp: undefined } })],
    ['no certificates', 'malformed_evidence', () => document({ payload: { cabundle: [] } })],
    [
      'user data past its bound',
      'malformed_evidence',
      () => document({ payload: { user_data: new Uint8Array(1025) } }),
    ],
  ]
  function withInstance(extensions: readonly Extension[]): Uint8Array {
    return document({ payload: { cabundle: [chain.root, chain.zone, issued('instance', 'zone', { extensions })] } })
  }
  for (const [what, code, evidence] of wrong) {
    it(`refuses ${what}`, () => assert.rejects(examined(evidence()), refused(code)))
  }

  it('trusts the vendor’s root where no policy names others, and so refuses ours', async () => {
    const { roots: _roots, ...without } = examination
    await assert.rejects(format.examine(honest, without), refused('untrusted_root'))
  })

  refusesWhatIsHostile(() => ({ format, evidence: honest, examination }))
})

describe('the workload’s key in aws-nitro evidence', () => {
  const spki = spkiOfJwk(workloadKey)
  const other = publicJwkOf(OTHER_ES256_JWK)

  it('is the public_key, unless the policy says where else it is', async () => {
    assert.deepEqual((await examined(honest)).workloadKey, workloadKey)
    await assert.rejects(examined(honest, { workloadKey: other }), refused('key_not_bound'))
    const elsewhere = document({ payload: { public_key: null, user_data: spki } })
    assert.equal((await examined(elsewhere)).workloadKey, undefined)
    assert.deepEqual((await examined(elsewhere, { keyBinding: 'user_data=spki' })).workloadKey, workloadKey)
  })

  it('may be there as a digest, and is then vouched for when it was given', async () => {
    const keyBinding = 'user_data=sha256(spki)'
    const evidence = document({ payload: { user_data: sha256(spki) } })
    assert.deepEqual((await examined(evidence, { keyBinding, workloadKey })).workloadKey, workloadKey)
    assert.equal((await examined(evidence, { keyBinding })).workloadKey, undefined)
    await assert.rejects(examined(evidence, { keyBinding, workloadKey: other }), refused('key_not_bound'))
    const longer = document({ payload: { user_data: concatBytes(sha256(spki), Uint8Array.of(0)) } })
    await assert.rejects(examined(longer, { keyBinding, workloadKey }), refused('key_not_bound'))
  })

  it('is not taken from a public_key that is something else', async () => {
    const evidence = document({ payload: { public_key: utf8('my super secret key') } })
    assert.equal((await examined(evidence)).workloadKey, undefined)
    await assert.rejects(appraised(evidence, { workloadKey }), refused('key_not_bound'))
  })
})

describe('appraisal policies for aws-nitro', () => {
  const wrong: [what: string, code: string, change: object][] = [
    [
      'a case that it never shows',
      'malformed_policy',
      { claims: { match: { executables: 3 }, mismatch: { executables: 33 }, unknownFile: { executables: 33 } } },
    ],
    ['nothing to say about a mismatch', 'malformed_policy', { claims: { match: { executables: 3 } } }],
    [
      'a lenient word on debug mode',
      'lenient_policy',
      { claims: { match: { executables: 3 }, mismatch: { executables: 33 }, debug: { hardware: 2 } } },
    ],
    [
      'a claim about files',
      'unsupported_claim',
      { claims: { match: { 'file-system': 2 }, mismatch: { executables: 33 } } },
    ],
    ['a binding of another format', 'malformed_policy', { keyBinding: 'report_data=sha512(nonce|spki)' }],
    ['ignorance of what it always knows', 'malformed_policy', { accept: ['unknownTcb'] }],
    ['nothing to say about a match', 'malformed_policy', { claims: { match: {}, mismatch: { executables: 33 } } }],
    [
      'a word on what it accepts not to know',
      'malformed_policy',
      {
        accept: ['undated'],
        claims: { match: { executables: 3 }, mismatch: { executables: 33 }, undated: { executables: 33 } },
      },
    ],
    ['a root that is no fingerprint', 'malformed_policy', { roots: ['root'] }],
  ]
  for (const [what, code, change] of wrong) {
    it(`are refused with ${what}`, () => assert.throws(() => policyOf(change), refused(code)))
  }
})

describe('reference values for aws-nitro', () => {
  const wrong: [what: string, values: object][] = [
    ['a name that is none', { PCR0: hex(1), PCR32: hex(1) }],
    ['a value that is too short', { PCR0: '00' }],
    ['nothing about the image', { PCR4: hex(1) }],
    ['capital hex', { PCR0: hex(0xab).toUpperCase() }],
  ]
  for (const [what, values] of wrong) {
    it(`are refused with ${what}`, () =>
      assert.throws(() => referencesOf(values), refused('malformed_reference_values')))
  }

  it('have the digest of their values as their root', () => {
    const [measurement] = references.measurements
    const document = (root: string) =>
      utf8(JSON.stringify({ format: 'aws-nitro', measurements: [{ ...measurement, root }] }))
    assert.equal(parseReferenceValues(document(measurement!.root)).measurements[0]!.root, measurement!.root)
    assert.throws(() => parseReferenceValues(document('00'.repeat(32))), refused('malformed_reference_values'))
  })
})
