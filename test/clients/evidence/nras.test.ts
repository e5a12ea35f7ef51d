import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import {
  type AppraisalInput,
  appraise,
  parseAppraisalPolicy,
  parseReferenceValues,
} from '../../../clients/verifier/index.ts'
import { concatBytes, toHex, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { newKeyPair } from '../../key-pairs.ts'
import { ES256_JWK } from '../../statement/fixtures.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const NONCE = '931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb'
const ISSUER = 'https://nras.attestation.nvidia.com'
const nras = evidenceFormat('nvidia-nras')
const json = (value: unknown) => utf8(JSON.stringify(value))

const keys = newKeyPair('ec', { namedCurve: 'P-384' })
const strangers = newKeyPair('ec', { namedCurve: 'P-384' })
const jwk = keys.publicKey.export({ format: 'jwk' })
const workloadKey = publicJwkOf(ES256_JWK)

type Claims = Readonly<Record<string, unknown>>
const base64url = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** ES384, and no `typ`, as NRAS signs. */
function token(claims: unknown, key = keys.privateKey): string {
  const input = `${base64url({ kid: 'nv-eat-kid-prod-1', alg: 'ES384' })}.${base64url(claims)}`
  return `${input}.${sign('sha384', utf8(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const common = { iss: ISSUER, eat_nonce: NONCE, iat: NOW - 10, nbf: NOW - 10, exp: NOW + 3600 }
const chain = {
  'x-nvidia-cert-status': 'valid',
  'x-nvidia-cert-ocsp-status': 'good',
  'x-nvidia-cert-revocation-reason': null,
}

/** Some of the claims of version 3 about a GPU. */
const gpu = (change: Claims = {}): Claims => ({
  ...common,
  'x-nvidia-gpu-attestation-report-nonce-match': true,
  'x-nvidia-gpu-attestation-report-signature-verified': true,
  'x-nvidia-gpu-attestation-report-cert-chain': chain,
  'x-nvidia-gpu-driver-rim-cert-chain': chain,
  'x-nvidia-gpu-driver-version': '550.90.07',
  'x-nvidia-gpu-vbios-version': '96.00.9F.00.01',
  'x-nvidia-attestation-warning': null,
  hwmodel: 'GH100 A01 GSP BROM',
  ueid: '478176379286082186618948445787393647364802107249',
  dbgstat: 'disabled',
  secboot: true,
  measres: 'success',
  ...change,
})

interface Change {
  readonly overall?: Claims
  readonly parts?: Readonly<Record<string, Claims>>
  readonly key?: typeof keys.privateKey
  /** Of the tokens, once they are made. */
  readonly detached?: (parts: Readonly<Record<string, string>>) => unknown
}

function bundle({ overall = {}, parts = { 'GPU-0': gpu() }, key, detached = (all) => all }: Change = {}): Uint8Array {
  const tokens = Object.fromEntries(Object.entries(parts).map(([label, claims]) => [label, token(claims, key)]))
  const digest = (text: string) => ['DIGEST', ['SHA-256', createHash('sha256').update(text).digest('hex')]]
  const main = token(
    {
      ...common,
      sub: 'NVIDIA-PLATFORM-ATTESTATION',
      'x-nvidia-ver': '3.0',
      'x-nvidia-overall-att-result': true,
      submods: Object.fromEntries(Object.entries(tokens).map(([label, text]) => [label, digest(text)])),
      ...overall,
    },
    key,
  )
  return json([['JWT', main], detached(tokens)])
}

const references = parseReferenceValues(
  json({
    format: 'nvidia-nras',
    attesters: [{ ...jwk, kid: 'nv-eat-kid-prod-1', use: 'sig', x5c: ['AAAA'] }],
    measurements: [{ name: 'driver', version: '550.90.07', values: { DRIVER_VERSION: toHex(utf8('550.90.07')) } }],
    platforms: [{ model: 'GH100 A01 GSP BROM' }],
  }),
)
const examination: Examination = {
  references: [references],
  now: NOW,
  collateral: [],
  nonce: NONCE,
  keyBinding: 'eat_nonce=hex(nonce)',
}
const examined = (evidence: Uint8Array, change: Partial<Examination> = {}) =>
  nras.examine(evidence, { ...examination, ...change })
const policyJson = {
  format: 'nvidia-nras',
  keyBinding: 'eat_nonce=hex(nonce)',
  maxEvidenceAgeSeconds: 300,
  resultLifetimeSeconds: 3600,
  claims: { match: { 'instance-identity': 2, executables: 3, hardware: 2 }, mismatch: { executables: 96 } },
}
const appraised = (evidence: Uint8Array, change: Partial<AppraisalInput> = {}) =>
  appraise({
    evidence,
    policyId: 'gpus',
    policy: parseAppraisalPolicy(json(policyJson)),
    referenceValues: [references],
    now: NOW,
    nonce: NONCE,
    ...change,
  })

describe('a detached EAT bundle of NVIDIA’s service', () => {
  it('is affirmed, a submodule for each device', async () => {
    const { claims, tier } = await appraised(bundle({ parts: { 'GPU-0': gpu(), 'GPU-1': gpu() } }))
    assert.equal(tier, 'affirming')
    assert.deepEqual([...claims.appraisals.keys()], ['GPU-0', 'GPU-1'])
    assert.deepEqual(claims.nonces, [NONCE])
    const { annotatedEvidence } = claims.appraisals.get('GPU-0')!
    assert.equal(annotatedEvidence?.['matched'], 'driver 550.90.07')
  })

  it('names a workload’s key by its nonce', async () => {
    const digest = createHash('sha256')
      .update(concatBytes(utf8('challenge'), spkiOfJwk(workloadKey)))
      .digest('hex')
    const evidence = bundle({ overall: { eat_nonce: digest }, parts: { 'GPU-0': gpu({ eat_nonce: digest }) } })
    const change = { nonce: 'challenge', workloadKey, keyBinding: 'eat_nonce=sha256(nonce|spki)' }
    assert.deepEqual((await examined(evidence, change)).workloadKey, workloadKey)
    await assert.rejects(examined(bundle(), change), { code: 'key_not_bound' })
  })

  it('as bad as its worst device', async () => {
    const { claims, tier } = await appraised(bundle({ parts: { 'GPU-0': gpu(), 'GPU-1': gpu({ measres: 'fail' }) } }))
    assert.equal(tier, 'contraindicated')
    assert.equal(claims.appraisals.get('GPU-0')?.status, 'affirming')
  })

  const found: [what: string, cases: readonly string[], change: Change][] = [
    ['measurements that NVIDIA does not know', ['mismatch'], { parts: { 'GPU-0': gpu({ measres: 'fail' }) } }],
    [
      'a check that failed',
      ['mismatch'],
      { parts: { 'GPU-0': gpu({ 'x-nvidia-gpu-attestation-report-signature-verified': false }) } },
    ],
    ['an overall verdict against it', ['mismatch'], { overall: { 'x-nvidia-overall-att-result': false } }],
    ['another driver', ['mismatch'], { parts: { 'GPU-0': gpu({ 'x-nvidia-gpu-driver-version': '550.54' }) } }],
    ['another model', ['mismatch', 'unknownPlatform'], { parts: { 'GPU-0': gpu({ hwmodel: 'GB100' }) } }],
    ['debugging', ['match', 'debug'], { parts: { 'GPU-0': gpu({ dbgstat: 'enabled' }) } }],
    ['no word of debugging', ['match', 'debug'], { parts: { 'GPU-0': gpu({ dbgstat: undefined }) } }],
    ['secure boot off', ['match', 'debug'], { parts: { 'GPU-0': gpu({ secboot: false }) } }],
    [
      'a warning',
      ['match', 'unhardened'],
      { parts: { 'GPU-0': gpu({ 'x-nvidia-attestation-warning': 'old driver' }) } },
    ],
    [
      'a device on hold',
      ['match', 'revoked'],
      {
        parts: {
          'GPU-0': gpu({
            'x-nvidia-gpu-attestation-report-cert-chain': {
              ...chain,
              'x-nvidia-cert-ocsp-status': 'revoked',
              'x-nvidia-cert-revocation-reason': 'certificateHold',
            },
          }),
        },
      },
    ],
    [
      'an expired chain',
      ['match', 'expiredCollateral'],
      {
        parts: {
          'GPU-0': gpu({ 'x-nvidia-gpu-driver-rim-cert-chain': { ...chain, 'x-nvidia-cert-status': 'expired' } }),
        },
      },
    ],
    [
      'a status that is not known',
      ['match', 'uncheckedRevocation'],
      {
        parts: {
          'GPU-0': gpu({ 'x-nvidia-gpu-driver-rim-cert-chain': { ...chain, 'x-nvidia-cert-ocsp-status': 'unknown' } }),
        },
      },
    ],
    ['an end that is past', ['match', 'stale'], { overall: { exp: NOW } }],
    ['a part whose end is past', ['match', 'stale'], { parts: { 'GPU-0': gpu({ exp: NOW }) } }],
  ]
  for (const [what, cases, change] of found) {
    it(`with ${what} is ${cases.join(', ')}`, async () =>
      assert.deepEqual((await examined(bundle(change))).cases, cases))
  }

  it('by a service that is not in the reference values is of an unknown attester', async () => {
    const { publicKey, privateKey } = strangers
    const collateral = [json({ keys: [publicKey.export({ format: 'jwk' })] })]
    const { claims, tier } = await appraised(bundle({ key: privateKey }), { collateral })
    assert.equal(tier, 'contraindicated')
    assert.deepEqual(claims.appraisals.get('GPU-0')?.vector, { 'instance-identity': 97 })
  })

  const bad = (value: unknown) => () => json(value)
  const refused: [what: string, code: string, evidence: () => Uint8Array, change?: Partial<Examination>][] = [
    ['a signature of somebody else', 'bad_evidence_signature', () => bundle({ key: strangers.privateKey })],
    ['no keys', 'missing_collateral', () => bundle(), { references: [] }],
    [
      'a part in the place of another',
      'measurement_mismatch',
      () =>
        bundle({
          parts: { 'GPU-0': gpu(), 'GPU-1': gpu({ ueid: '1' }) },
          detached: (all) => ({ 'GPU-0': all['GPU-1'], 'GPU-1': all['GPU-0'] }),
        }),
    ],
    [
      'a part of another bundle',
      'measurement_mismatch',
      () => bundle({ detached: () => ({ 'GPU-0': token(gpu({ ueid: '1' })) }) }),
    ],
    ['a part that is signed by somebody else', 'bad_evidence_signature', () => byTwo()],
    [
      'a part left out',
      'malformed_evidence',
      () => bundle({ parts: { 'GPU-0': gpu(), 'GPU-1': gpu() }, detached: (all) => ({ 'GPU-0': all['GPU-0'] }) }),
    ],
    ['a part added', 'malformed_evidence', () => bundle({ detached: (all) => ({ ...all, 'GPU-1': all['GPU-0'] }) })],
    [
      'a part named __proto__',
      'malformed_evidence',
      () => utf8(Buffer.from(bundle()).toString().replace('"GPU-0":', '"__proto__":')),
    ],
    [
      'a part twice',
      'malformed_evidence',
      () => utf8(Buffer.from(bundle()).toString().replace('"GPU-0":', '"GPU-0":"","GPU-0":')),
    ],
    ['no parts', 'malformed_evidence', () => bundle({ parts: {} })],
    [
      'more parts than there are devices',
      'malformed_evidence',
      () =>
        bundle({ overall: { submods: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`GPU-${i}`, []])) } }),
    ],
    [
      'a submodule without a digest',
      'malformed_evidence',
      () => bundle({ overall: { submods: { 'GPU-0': token(gpu()) } } }),
    ],
    [
      'a digest by another name',
      'malformed_evidence',
      () => bundle({ overall: { submods: { 'GPU-0': ['DIGEST', ['MD5', '00']] } } }),
    ],
    ['no verdict', 'malformed_evidence', () => bundle({ overall: { 'x-nvidia-overall-att-result': 'true' } })],
    [
      'a part about another request',
      'malformed_evidence',
      () => bundle({ parts: { 'GPU-0': gpu({ eat_nonce: '00' }) } }),
    ],
    [
      'a part by another service',
      'malformed_evidence',
      () => bundle({ parts: { 'GPU-0': gpu({ iss: 'https://nras.example' }) } }),
    ],
    ['no end', 'malformed_evidence', () => bundle({ overall: { exp: undefined } })],
    ['a time to come', 'evidence_from_future', () => bundle({ overall: { iat: NOW + 100 } })],
    ['a token alone', 'malformed_evidence', () => utf8(token(gpu()))],
    ['three elements', 'malformed_evidence', bad([['JWT', token({})], {}, {}])],
    ['a nested bundle', 'malformed_evidence', bad([[['JWT', 'x'], {}], {}])],
    ['a MAC', 'malformed_evidence', bad([['JWT', `${base64url({ alg: 'HS256' })}.${base64url({})}.AA`], {}])],
    ['nothing signed', 'malformed_evidence', bad([['JWT', `${base64url({ alg: 'none' })}.${base64url({})}.`], {}])],
  ]
  for (const [what, code, evidence, change] of refused) {
    it(`with ${what} is refused (${code})`, async () => {
      await assert.rejects(examined(evidence(), change), { name: 'EvidenceError', code })
    })
  }
})

/** The overall token is NVIDIA’s, and names a part that is not. */
function byTwo(): Uint8Array {
  const part = token(gpu(), strangers.privateKey)
  const digest = createHash('sha256').update(part).digest('hex')
  return bundle({
    overall: { submods: { 'GPU-0': ['DIGEST', ['SHA-256', digest]] } },
    detached: () => ({ 'GPU-0': part }),
  })
}

describe('hostile bundles of NVIDIA’s service', () => {
  const evidence = bundle()
  // JSON has white space that means nothing, and a bundle has labels beside its tokens: a bit flipped in it is another label, and refused.
  refusesWhatIsHostile(() => ({ format: nras, evidence, examination }))
})
