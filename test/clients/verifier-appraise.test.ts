import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  type AppraisalInput,
  appraise,
  decodeEvidence,
  formatReferenceValues,
  MEASURED_FILES_FORMAT,
  type MeasuredFile,
  measurementsOf,
  parseAppraisalPolicy,
  parseReferenceValues,
  type ReferenceValues,
  signEvidence,
} from '../../clients/verifier/index.ts'
import { sha256, toHex, utf8 } from '../../merkle/index.ts'
import { attestedJwk, canonicalJson, type Json, signCompactJws, type Tier } from '../../provenance/index.ts'
import { jwkThumbprint, kidOf, publicJwkOf } from '../../statement/index.ts'
import {
  ED25519_JWK as attester,
  OTHER_ES256_JWK as otherAttester,
  ES256_JWK as workload,
} from '../statement/fixtures.ts'

const NOW = 1_760_000_000
const workloadKey = publicJwkOf(workload)
const file = (path: string, content: string): MeasuredFile => ({
  path,
  size: utf8(content).length,
  sha256: toHex(sha256(utf8(content))),
})

const BIN = file('bin/payments', 'payments 1.4.2\n')
const CONF = file('etc/payments.conf', 'limit = 1000\n')
const good = measurementsOf([BIN, CONF])
const example = (name: string) => readFileSync(new URL(`../../docs/examples/${name}`, import.meta.url))
const policyJson: PolicyJson = JSON.parse(example('appraisal-policy.json').toString())
const referenceValues = parseReferenceValues(example('reference-values.example.json'))

interface PolicyJson {
  readonly claims: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly [member: string]: unknown
}

const policyOf = (json: unknown) => parseAppraisalPolicy(utf8(JSON.stringify(json)))
const evidenceOf = async (
  files: readonly MeasuredFile[],
  change: { now?: number; nonce?: string } = {},
  key = attester,
) => utf8(await signEvidence({ measurements: measurementsOf(files), workloadKey, now: NOW, ...change }, key))
const honest = await evidenceOf([BIN, CONF])

const appraised = (change: Partial<AppraisalInput> = {}) =>
  appraise({
    evidence: honest,
    policyId: 'bank',
    policy: policyOf(policyJson),
    referenceValues: [referenceValues],
    now: NOW + 10,
    ...change,
  })

const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('appraise', () => {
  it('affirms the reference software, and says by which policy, for how long and about which key', async () => {
    const { claims, tier, measurement, keyThumbprint } = await appraised()
    const appraisal = claims.appraisals.get(MEASURED_FILES_FORMAT)
    assert.ok(appraisal)
    assert.equal(tier, 'affirming')
    assert.equal(toHex(measurement), good.root)
    assert.equal(keyThumbprint, jwkThumbprint(workloadKey))
    assert.deepEqual(attestedJwk(appraisal), {
      kty: 'EC',
      crv: 'P-256',
      x: workload.x,
      y: (workload as { y: string }).y,
    })
    assert.deepEqual(appraisal.vector, { 'instance-identity': 2, executables: 2, 'file-system': 2 })
    assert.deepEqual(appraisal.policyIds, ['bank'])
    assert.deepEqual([claims.issuedAt, claims.expiresAt], [NOW + 10, NOW + 10 + 3600])
    assert.deepEqual(appraisal.annotatedEvidence, {
      attester: kidOf(attester),
      matched: 'payments 1.4.2',
      measurement: good.root,
      cases: ['match'],
    })
  })

  it('never says anything about hardware', async () => {
    const { claims } = await appraised()
    assert.ok(!Object.hasOwn(claims.appraisals.get(MEASURED_FILES_FORMAT)?.vector ?? {}, 'hardware'))
  })

  const changed = file('bin/payments', 'payments 1.4.2, and a backdoor\n')
  const extra = file('bin/miner', '')
  const software: [what: string, tier: Tier, files: readonly MeasuredFile[], detail: object][] = [
    ['a changed file', 'contraindicated', [changed, CONF], { changed: ['bin/payments'], cases: ['mismatch'] }],
    ['a missing file', 'contraindicated', [BIN], { missing: ['etc/payments.conf'], cases: ['mismatch'] }],
    ['an unknown file', 'warning', [BIN, CONF, extra], { unknown: ['bin/miner'], cases: ['unknownFile'] }],
    [
      'both, as the worse of the two',
      'contraindicated',
      [changed, CONF, extra],
      { changed: ['bin/payments'], unknown: ['bin/miner'], cases: ['mismatch', 'unknownFile'] },
    ],
    ['a lie about a size alone', 'contraindicated', [{ ...BIN, size: 1 }, CONF], { cases: ['mismatch'] }],
  ]
  for (const [what, expected, files, detail] of software) {
    it(`calls ${what} ${expected}`, async () => {
      const { claims, tier } = await appraised({ evidence: await evidenceOf(files) })
      const { vector, annotatedEvidence } = claims.appraisals.get(MEASURED_FILES_FORMAT)!
      assert.equal(tier, expected)
      assert.equal(vector?.['instance-identity'], 2)
      const found = Object.fromEntries(Object.keys(detail).map((name) => [name, annotatedEvidence?.[name]]))
      assert.deepEqual(found, detail)
    })
  }

  it('says that software differs where the reference values do not list its files', async () => {
    const [measurement] = referenceValues.measurements
    const { files: _files, ...rootOnly } = measurement!
    const { tier } = await appraised({
      evidence: await evidenceOf([changed, CONF]),
      referenceValues: [{ ...referenceValues, measurements: [rootOnly] }],
    })
    assert.equal(tier, 'contraindicated')
  })

  it('contraindicates an unknown attester, and passes on neither its key nor any good word', async () => {
    const { claims, tier, keyThumbprint } = await appraised({
      evidence: await evidenceOf([BIN, CONF], {}, otherAttester),
    })
    const appraisal = claims.appraisals.get(MEASURED_FILES_FORMAT)
    assert.equal(tier, 'contraindicated')
    assert.deepEqual(appraisal?.vector, { 'instance-identity': 97 })
    assert.equal(appraisal?.attestedKey, undefined)
    assert.equal(keyThumbprint, undefined)
  })

  it('believes an attester only about the software of its own reference values', async () => {
    const others: ReferenceValues = {
      format: MEASURED_FILES_FORMAT,
      attesters: [publicJwkOf(otherAttester)],
      measurements: [{ name: 'something else', root: '00'.repeat(32) }],
    }
    const evidence = await evidenceOf([BIN, CONF], {}, otherAttester)
    const { tier } = await appraised({ evidence, referenceValues: [referenceValues, others] })
    assert.equal(tier, 'contraindicated')
  })

  it('accepts an answer to the challenge, and repeats the challenge in the result', async () => {
    const nonce = 'challenge 1'
    const { claims, tier } = await appraised({ evidence: await evidenceOf([BIN, CONF], { nonce }), nonce })
    assert.equal(tier, 'affirming')
    assert.deepEqual(claims.nonces, [nonce])
  })

  const lenient = (more: object) => ({ ...policyJson, claims: { ...policyJson.claims, ...more } })
  const freshness: [what: string, code: string, more: object, change: () => Promise<Partial<AppraisalInput>>][] = [
    ['stale evidence', 'stale_evidence', { stale: { 'instance-identity': 32 } }, async () => ({ now: NOW + 301 })],
    [
      'an answer to another challenge',
      'wrong_nonce',
      { wrongNonce: { 'instance-identity': 32 } },
      async () => ({ evidence: await evidenceOf([BIN, CONF], { nonce: 'challenge 1' }), nonce: 'challenge 2' }),
    ],
    [
      'no answer to a challenge',
      'wrong_nonce',
      { wrongNonce: { 'instance-identity': 32 } },
      async () => ({ nonce: 'challenge 1' }),
    ],
  ]
  for (const [what, code, more, change] of freshness) {
    it(`refuses ${what} (${code}), or warns if the policy says so`, async () => {
      const input = await change()
      await assert.rejects(appraised(input), refused(code))
      const { claims, tier } = await appraised({ ...input, policy: policyOf(lenient(more)) })
      assert.equal(tier, 'warning')
      assert.equal(claims.nonces, undefined)
    })
  }

  it('takes evidence of the oldest age and of a clock a minute ahead, and none older or newer', async () => {
    await appraised({ now: NOW + 300 })
    await appraised({ now: NOW - 60 })
    await assert.rejects(appraised({ now: NOW - 61 }), refused('evidence_from_future'))
  })

  it('is a function: the same input gives the same result', async () => {
    assert.deepEqual(await appraised(), await appraised())
  })
})

describe('evidence that supports no result', () => {
  const [header, payload, signature] = new TextDecoder().decode(honest).split('.') as [string, string, string]
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const typed = { typ: 'eat+jwt', kid: kidOf(attester) }
  const signed = (json: unknown, head: { [name: string]: Json } = typed) =>
    signCompactJws(head, canonicalJson(json as Json), attester)
  const measured = (text: string) => ({ ...claims, measurements: [[50, text]] })
  const inner: string = claims.measurements[0][1]

  const cases: [what: string, code: string, evidence: () => string | Promise<string>][] = [
    ['evidence signed by somebody else', 'bad_evidence_signature', () => forgedBy(otherAttester)],
    [
      'a turned bit',
      'bad_evidence_signature',
      () => `${header}.${payload}.${signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))}`,
    ],
    ['nothing', 'malformed_evidence', () => ''],
    ['two tokens', 'malformed_evidence', () => `${header}.${payload}.${signature}.${signature}`],
    ['another type of token', 'malformed_evidence', () => signed(claims, { ...typed, typ: 'JWT' })],
    ['a token without a kid', 'malformed_evidence', () => signed(claims, { typ: 'eat+jwt' })],
    [
      'another profile',
      'malformed_evidence',
      () => signed({ ...claims, eat_profile: 'tag:provlog.example,2026:other' }),
    ],
    ['a time in text', 'malformed_evidence', () => signed({ ...claims, iat: String(NOW) })],
    [
      'a time as a float',
      'malformed_evidence',
      () => signCompactJws(typed, canonicalJson(claims).replace(String(NOW), '1.76e9'), attester),
    ],
    [
      'a claim twice',
      'malformed_evidence',
      () => signCompactJws(typed, canonicalJson(claims).replace('{', `{"iat":${NOW},`), attester),
    ],
    ['a claim that it does not know', 'malformed_evidence', () => signed({ ...claims, debug: true })],
    ['no key of the workload', 'malformed_evidence', () => signed({ ...claims, cnf: {} })],
    ['a private key of the workload', 'malformed_evidence', () => signed({ ...claims, cnf: { jwk: { ...workload } } })],
    [
      'two measurements',
      'malformed_evidence',
      () =>
        signed({
          ...claims,
          measurements: [
            [50, inner],
            [50, inner],
          ],
        }),
    ],
    ['measurements with white space', 'malformed_evidence', () => signed(measured(inner.replace(',', ', ')))],
    [
      'measurements in another order',
      'malformed_evidence',
      () => signed(measured(inner.replace(/"path":("[^"]*"),"sha256":("[^"]*")/, '"sha256":$2,"path":$1'))),
    ],
    [
      'a root of other files',
      'measurement_mismatch',
      () => signed(measured(inner.replace(good.root, '00'.repeat(32)))),
    ],
    ['a nonce of 7 bytes', 'malformed_evidence', () => signed({ ...claims, eat_nonce: '1234567' })],
  ]
  for (const [what, code, evidence] of cases) {
    it(`refuses ${what} (${code})`, async () => {
      await assert.rejects(appraised({ evidence: utf8(await evidence()) }), refused(code))
    })
  }

  /** Names the attester, and is signed by somebody else. */
  const forgedBy = async (key: typeof otherAttester) => signCompactJws(typed, canonicalJson(claims), key)

  it('is not made by signEvidence: nonces have 8 to 88 bytes (wrong_nonce)', async () => {
    for (const length of [8, 88]) await evidenceOf([BIN], { nonce: 'n'.repeat(length) })
    for (const length of [7, 89])
      await assert.rejects(evidenceOf([BIN], { nonce: 'n'.repeat(length) }), refused('wrong_nonce'))
  })

  it('is not made by signEvidence: a token lists only so many files (too_many_files)', async () => {
    const files = Array.from({ length: 10_000 }, (_, i) => ({ ...BIN, path: `bin/${i}` }))
    await assert.rejects(evidenceOf(files), refused('too_many_files'))
  })

  it('is read as it was signed', () => {
    assert.deepEqual(decodeEvidence(honest), {
      attester: kidOf(attester),
      issuedAt: NOW,
      measurements: good,
      workloadKey,
    })
  })
})

describe('parseAppraisalPolicy', () => {
  const withClaims = (title: string, vector: object) => ({
    ...policyJson,
    claims: { ...policyJson.claims, [title]: vector },
  })
  const bad: [what: string, code: string, json: unknown][] = [
    ['no object', 'malformed_policy', []],
    ['a member that it does not know', 'malformed_policy', { ...policyJson, maxAge: 1 }],
    ['no case for a changed file', 'malformed_policy', { ...policyJson, claims: { match: {} } }],
    ['an unknown claim', 'malformed_policy', withClaims('match', { hardwear: 2 })],
    ['a code past a byte', 'malformed_policy', withClaims('mismatch', { executables: 128 })],
    ['no lifetime', 'malformed_policy', { ...policyJson, resultLifetimeSeconds: 0 }],
    ['an unknown format', 'unknown_evidence_format', { ...policyJson, format: 'tea-leaves' }],
    ['a claim about hardware from measured files', 'unsupported_claim', withClaims('match', { hardware: 2 })],
    ['a claim about memory from measured files', 'unsupported_claim', withClaims('match', { 'runtime-opaque': 2 })],
    ['a changed file that is fine', 'lenient_policy', withClaims('mismatch', { executables: 2 })],
    ['a changed file about which nothing is said', 'lenient_policy', withClaims('mismatch', {})],
    [
      'a good word about an unknown attester',
      'lenient_policy',
      withClaims('unknownAttester', { 'instance-identity': 97, executables: 2 }),
    ],
    ['a shrug about stale evidence', 'lenient_policy', withClaims('stale', { 'instance-identity': 0 })],
  ]
  for (const [what, code, json] of bad) {
    it(`refuses ${what} (${code})`, () => {
      assert.throws(() => policyOf(json), refused(code))
    })
  }

  it('refuses one member twice, of which readers would take different ones (malformed_policy)', () => {
    const text = JSON.stringify(policyJson).replace('{', '{"maxEvidenceAgeSeconds":99999999,')
    assert.throws(() => parseAppraisalPolicy(utf8(text)), refused('malformed_policy'))
  })
})

describe('parseReferenceValues', () => {
  const json = JSON.parse(example('reference-values.example.json').toString())
  const [measurement] = json.measurements
  const bad: [what: string, change: object][] = [
    ['another format', { format: 'tea-leaves' }],
    ['no attesters', { attesters: [] }],
    ['a private key', { attesters: [attester] }],
    ['a key that cannot sign', { attesters: [{ kty: 'OKP', crv: 'X25519', x: attester.x }] }],
    ['no measurements', { measurements: [] }],
    ['a root in capitals', { measurements: [{ ...measurement, root: measurement.root.toUpperCase() }] }],
    ['a root of other files', { measurements: [{ ...measurement, root: '00'.repeat(32) }] }],
    ['files twice', { measurements: [{ ...measurement, files: [...measurement.files, ...measurement.files] }] }],
    ['a member that it does not know', { expires: 0 }],
  ]
  for (const [what, change] of bad) {
    it(`refuses ${what} (malformed_reference_values)`, () => {
      const content = utf8(JSON.stringify({ ...json, ...change }))
      assert.throws(() => parseReferenceValues(content), refused('malformed_reference_values'))
    })
  }

  it('reads what formatReferenceValues writes, to the byte', () => {
    const text = example('reference-values.example.json').toString()
    assert.equal(formatReferenceValues(parseReferenceValues(utf8(text))), text)
  })
})
