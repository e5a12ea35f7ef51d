import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import {
  type AppraisalInput,
  appraise,
  formatReferenceValues,
  parseAppraisalPolicy,
  parseReferenceValues,
} from '../../../clients/verifier/index.ts'
import { sha256, toBase64url, utf8 } from '../../../merkle/index.ts'
import {
  buildEarClaims,
  signCompactJws,
  spkiOfJwk,
  type Tier,
  type TrustVector,
  VERAISON_PROFILE,
} from '../../../provenance/index.ts'
import { jwkThumbprint, publicJwkOf } from '../../../statement/index.ts'
import { ED25519_JWK, ES256_JWK, OTHER_ES256_JWK } from '../../statement/fixtures.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const workloadKey = publicJwkOf(ES256_JWK)
const theirs = publicJwkOf(OTHER_ES256_JWK)
const ear = evidenceFormat('ear')
const json = (value: unknown) => utf8(JSON.stringify(value))

interface Part {
  readonly status?: Tier
  readonly vector?: TrustVector
  readonly policy?: string
  readonly key?: Uint8Array
}

const GOOD: TrustVector = { 'instance-identity': 2, hardware: 2, executables: 3 }

/** A result as Veraison makes it. */
function claims(parts: Readonly<Record<string, Part>> = { PSA_IOT: {} }, change: object = {}): string {
  const submods = Object.entries(parts).map(
    ([label, { status = 'affirming', vector = GOOD, policy = 'policy:PSA_IOT', key }]) => [
      label,
      {
        'ear.status': status,
        ...(Object.keys(vector).length > 0 ? { 'ear.trustworthiness-vector': vector } : {}),
        'ear.appraisal-policy-id': policy,
        ...(key ? { 'ear.veraison.key-attestation': { akpub: toBase64url(key) } } : {}),
      },
    ],
  )
  return JSON.stringify({
    eat_profile: VERAISON_PROFILE,
    iat: NOW - 10,
    exp: NOW + 300,
    eat_nonce: 'challenge',
    'ear.verifier-id': { developer: 'https://veraison-project.org', build: 'vts 1' },
    submods: Object.fromEntries(submods),
    ...change,
  })
}
const signed = async (text = claims(), key = OTHER_ES256_JWK) => utf8(await signCompactJws({ typ: 'JWT' }, text, key))

const references = parseReferenceValues(json({ format: 'ear', attesters: [theirs] }))
const policyJson = {
  format: 'ear',
  maxEvidenceAgeSeconds: 300,
  resultLifetimeSeconds: 3600,
  claims: { match: GOOD, mismatch: { executables: 33 } },
}
const policy = (change: object = {}) => parseAppraisalPolicy(json({ ...policyJson, ...change }))

const appraised = async (evidence: Uint8Array, change: Partial<AppraisalInput> = {}) =>
  appraise({ evidence, policyId: 'veraison', policy: policy(), referenceValues: [references], now: NOW, ...change })
const only = ({ claims: { appraisals } }: Awaited<ReturnType<typeof appraised>>) => [...appraisals.values()][0]!

describe('a result of another Verifier', () => {
  it('is vouched for: part by part, with its claims, its Verifier and policies on record', async () => {
    const evidence = await signed(claims({ cpu: {}, gpu: { status: 'warning', vector: { hardware: 32 } } }))
    const result = await appraised(evidence, { nonce: 'challenge' })
    assert.equal(result.tier, 'warning')
    assert.deepEqual(
      [...result.claims.appraisals].map(([label, { status, vector }]) => [label, status, vector]),
      [
        ['cpu', 'affirming', GOOD],
        ['gpu', 'warning', { hardware: 32 }],
      ],
    )
    const { annotatedEvidence, policyIds } = result.claims.appraisals.get('cpu')!
    assert.deepEqual(policyIds, ['veraison'])
    assert.deepEqual(annotatedEvidence?.['policies'], ['policy:PSA_IOT'])
    assert.equal(annotatedEvidence?.['profile'], VERAISON_PROFILE)
    assert.equal(annotatedEvidence?.['key'], jwkThumbprint(theirs))
    assert.deepEqual(result.claims.nonces, ['challenge'])
    assert.ok(buildEarClaims(result.claims))
  })

  it('attests the key that it attests', async () => {
    const evidence = await signed(claims({ cpu: { key: spkiOfJwk(workloadKey) }, gpu: {} }))
    const result = await appraised(evidence, { workloadKey })
    assert.equal(result.keyThumbprint, jwkThumbprint(workloadKey))
    await assert.rejects(appraised(evidence, { workloadKey: theirs }), { code: 'key_not_bound' })
    await assert.rejects(appraised(await signed(), { workloadKey }), { code: 'key_not_bound' })
  })

  it('is known by what was measured, where its Verifier says so by one digest', async () => {
    const measurement = 'ab'.repeat(32)
    const own = {
      issuedAt: NOW,
      expiresAt: NOW + 60,
      verifier: { developer: 'd', build: 'b' },
      appraisals: new Map([['payments', { status: 'affirming' as const, annotatedEvidence: { measurement } }]]),
    }
    const evidence = await signed(buildEarClaims(own))
    const result = await appraised(evidence)
    assert.equal(Buffer.from(result.measurement).toString('hex'), measurement)
    // A status without claims is passed on as it is.
    assert.equal(only(result).status, 'affirming')
    assert.equal(only(result).vector, undefined)
    const unnamed = await signed()
    assert.deepEqual((await appraised(unnamed)).measurement, sha256(unnamed))
  })

  const better: [what: string, part: Part, match: TrustVector, tier: Tier, vector: TrustVector | undefined][] = [
    ['caps it', {}, { hardware: 33, executables: 3 }, 'warning', { hardware: 33, executables: 3 }],
    ['passes on what it names', {}, { hardware: 2 }, 'affirming', { hardware: 2 }],
    ['may pass on nothing', {}, { 'file-system': 2 }, 'none', undefined],
    ['cannot raise a claim', { status: 'contraindicated', vector: { hardware: 96 } }, { hardware: 2 }, 'contraindicated', { hardware: 96 }],
    ['cannot leave a bad claim out', { status: 'contraindicated', vector: { hardware: 96, executables: 2 } }, { executables: 2 }, 'contraindicated', { hardware: 96, executables: 2 }],
    ['cannot raise a status that is worse than its claims', { status: 'warning' }, GOOD, 'warning', GOOD],
    ['cannot affirm what was not claimed', { status: 'none', vector: { hardware: 0 } }, { hardware: 2 }, 'none', { hardware: 0 }],
  ] // biome-ignore format: a table
  for (const [what, part, match, tier, vector] of better) {
    it(`the policy ${what}`, async () => {
      const change = { policy: policy({ claims: { ...policyJson.claims, match } }) }
      const result = await appraised(await signed(claims({ cpu: part })), change)
      assert.equal(result.tier, tier)
      assert.deepEqual(only(result).vector, vector)
    })
  }

  it('whose overall status is worse than its parts is as bad as that', async () => {
    const evidence = await signed(claims({ cpu: {} }, { 'ear.status': 'affirming' }))
    assert.equal((await appraised(evidence)).tier, 'affirming')
  })

  it('of a Verifier that is not in the reference values is of an unknown attester, and nothing of it is passed on', async () => {
    const evidence = await signed(claims({ cpu: { key: spkiOfJwk(workloadKey) } }), ED25519_JWK)
    const jwks = json({ keys: [{ kty: 'RSA' }, { ...publicJwkOf(ED25519_JWK), kid: 'x', use: 'sig' }] })
    const result = await appraised(evidence, { collateral: [jwks], workloadKey })
    assert.equal(result.tier, 'contraindicated')
    assert.deepEqual(only(result).vector, { 'instance-identity': 97 })
    assert.equal(only(result).attestedKey, undefined)
    assert.equal(result.keyThumbprint, undefined)
  })

  const mismatch: [what: string, change: object][] = [
    ['another dialect than the policy names', { profiles: ['tag:ietf.org,2026:rats/ear#03'] }],
    ['another policy than ours names', { policyIds: ['policy:TPM'] }],
  ]
  for (const [what, change] of mismatch) {
    it(`by ${what} is a mismatch`, async () => {
      const result = await appraised(await signed(), { policy: policy(change) })
      assert.equal(result.tier, 'warning')
      assert.deepEqual(only(result).annotatedEvidence?.['cases'], ['mismatch'])
    })
  }

  it('in the dialect and by the policy that ours names matches', async () => {
    const named = policy({ profiles: [VERAISON_PROFILE], policyIds: ['policy:PSA_IOT'] })
    assert.equal((await appraised(await signed(), { policy: named })).tier, 'affirming')
  })

  it('that has expired, is old or answers another challenge is refused, or what the policy makes of it', async () => {
    const late = { now: NOW + 300 }
    await assert.rejects(appraised(await signed(), late), { code: 'stale_evidence' })
    await assert.rejects(appraised(await signed(claims(undefined, { exp: undefined })), { now: NOW + 291 }), {
      code: 'stale_evidence',
    })
    await assert.rejects(appraised(await signed(), { nonce: 'another!' }), { code: 'wrong_nonce' })
    const lenient = policy({ claims: { ...policyJson.claims, stale: { hardware: 32 } } })
    const result = await appraised(await signed(), { ...late, policy: lenient })
    assert.equal(result.tier, 'warning')
    assert.deepEqual(only(result).annotatedEvidence?.['cases'], ['match', 'stale'])
  })

  const refused: [what: string, code: string, evidence: () => Promise<Uint8Array>, change?: Partial<AppraisalInput>][] = [
    ['a key that is nowhere', 'bad_evidence_signature', () => signed(claims(), ED25519_JWK)],
    ['no key', 'missing_collateral', () => signed(), { referenceValues: [] }],
    ['a key that is none', 'malformed_collateral', () => signed(), { collateral: [json({ kty: 'EC' })] }],
    ['keys by the hundred', 'malformed_collateral', () => signed(), { collateral: [json({ keys: Array.from({ length: 70 }, (_, i) => i) })] }],
    ['a time to come', 'evidence_from_future', () => signed(claims(undefined, { iat: NOW + 100 }))],
    ['a beginning to come', 'evidence_from_future', () => signed(claims(undefined, { nbf: NOW + 100 }))],
    ['a float for a time', 'malformed_evidence', () => signed(claims().replace(`"iat":${NOW - 10}`, '"iat":1.6e9'))],
    ['a member twice', 'malformed_evidence', () => signed(claims().replace('{', '{"iat":1,'))],
    ['a status better than its claims', 'malformed_evidence', () => signed(claims({ cpu: { vector: { hardware: 96 } } }))],
    ['a profile that nobody speaks', 'malformed_evidence', () => signed(claims(undefined, { eat_profile: 'x' }))],
    ['claims that are none', 'malformed_evidence', () => signed('{}')],
    ['a MAC', 'malformed_evidence', async () => utf8('eyJhbGciOiJIUzI1NiJ9.e30.AA')],
    ['nothing signed', 'malformed_evidence', async () => utf8('eyJhbGciOiJub25lIn0.e30.')],
    ['nothing', 'malformed_evidence', async () => new Uint8Array()],
    ['more than is logged', 'malformed_evidence', async () => new Uint8Array(200_000).fill(65)],
  ] // biome-ignore format: a table
  for (const [what, code, evidence, change] of refused) {
    it(`with ${what} is refused (${code})`, async () => {
      await assert.rejects(appraised(await evidence(), change), { name: 'EvidenceError', code })
    })
  }
})

describe('a policy and reference values for results of other Verifiers', () => {
  it('are written and read again', () => {
    assert.deepEqual(parseReferenceValues(utf8(formatReferenceValues(references))), references)
  })

  for (const [what, code, make] of [
    ['a dialect that does not exist', 'malformed_policy', () => policy({ profiles: ['x'] })],
    ['roots', 'malformed_policy', () => policy({ roots: ['00'.repeat(32)] })],
    [
      'a case that results never show',
      'malformed_policy',
      () => policy({ claims: { ...policyJson.claims, debug: { hardware: 96 } } }),
    ],
    ['a lenient case', 'lenient_policy', () => policy({ claims: { ...policyJson.claims, mismatch: { hardware: 2 } } })],
    [
      'measurements',
      'malformed_reference_values',
      () => parseReferenceValues(json({ format: 'ear', attesters: [theirs], measurements: [] })),
    ],
    ['no keys', 'malformed_reference_values', () => parseReferenceValues(json({ format: 'ear', attesters: [] }))],
    [
      'a private key',
      'malformed_reference_values',
      () => parseReferenceValues(json({ format: 'ear', attesters: [ES256_JWK] })),
    ],
    [
      'the keys of others for hardware',
      'malformed_reference_values',
      () =>
        parseReferenceValues(
          json({
            format: 'sev-snp',
            attesters: [theirs],
            measurements: [{ name: 'x', values: { MEASUREMENT: '00'.repeat(48) } }],
          }),
        ),
    ],
  ] as const) {
    // biome-ignore format: a table
    it(`with ${what} are refused (${code})`, () => assert.throws(make, { code }))
  }

  it('are not for hardware: a dialect there is refused', () => {
    const hardware = { format: 'aws-nitro', claims: { match: { hardware: 2 }, mismatch: { executables: 96 } } }
    assert.throws(() => policy({ ...hardware, profiles: [VERAISON_PROFILE] }), { code: 'malformed_policy' })
  })
})

describe('hostile results', async () => {
  const evidence = await signed(claims())
  const examination: Examination = { references: [references], now: NOW, collateral: [] }
  refusesWhatIsHostile(() => ({
    format: ear,
    evidence,
    examination,
  }))
})
