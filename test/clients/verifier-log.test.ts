import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import {
  type AppraiseAndLogInput,
  appraiseAndLog,
  MEASURED_FILES_FORMAT,
  MEASURED_FILES_PROFILE,
  publishPolicy,
  publishReferenceValues,
} from '../../clients/verifier/index.ts'
import { concatBytes, type Hash, sha256, toHex, UnavailableError, utf8 } from '../../merkle/index.ts'
import {
  decodeCompactJws,
  EAR_PROFILE,
  encodePublicKey,
  openSections,
  type RecordStatement,
  signEar,
  spkiOfJwk,
  verifyEar,
} from '../../provenance/index.ts'
import type { LoggedRecord } from '../../provenance/verification/log-evidence.ts'
import { checkSealedResult } from '../../provenance/verification/sealed-evidence.ts'
import { kidOf, publicJwkOf, unwrapKeys } from '../../statement/index.ts'
import {
  attester,
  auditor,
  createWorld,
  example,
  issuer,
  START,
  stranger,
  verifier,
  type World,
  workload,
} from './issuer-world.ts'

let world: World
before(async () => {
  world = await createWorld({ published: false })
})
after(() => world.close())

/** As long as a nonce may be. */
const NONCE = 'challenge'.padEnd(88, '!')
const policy = example('appraisal-policy.json')
const referenceValues = example('reference-values.example.json')
const policyWith = (change: object) =>
  utf8(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(policy)), ...change }))
const size = async () => (await world.client.checkpoint()).size
const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('publishPolicy', () => {
  it('numbers the versions of an id and links each to the one before', async () => {
    const first = await publishPolicy({ ...world.as(verifier), id: 'p', content: policy })
    const second = await publishPolicy({
      ...world.as(verifier),
      id: 'p',
      content: policyWith({ maxEvidenceAgeSeconds: 1 }),
    })
    const other = await publishPolicy({ ...world.as(verifier), id: 'q', content: policy })
    assert.deepEqual([first.version, second.version, other.version], [1, 2, 1])

    const latest = await world.client.latest('appraisal-policy', kidOf(verifier), 'p')
    assert.deepEqual(latest?.entry, second.entry)
    assert.deepEqual(latest?.record.links, [{ rel: 'previous', entry: first.entry }])
    assert.equal(latest?.record.fields.notBefore, START)
  })

  it('adds nothing when the latest version says the same already', async () => {
    const content = policyWith({ maxEvidenceAgeSeconds: 2 })
    const first = await publishPolicy({ ...world.as(verifier), id: 'p', content })
    const before = await size()
    const again = await publishPolicy({ ...world.as(verifier), id: 'p', content })
    assert.deepEqual(again, { ...first, unchanged: true })
    assert.equal(await size(), before)
    // To end it is to say something new.
    assert.equal(
      (await publishPolicy({ ...world.as(verifier), id: 'p', content, notAfter: START + 9 })).unchanged,
      false,
    )
  })

  it('publishes no policy that could not be applied (malformed_policy)', async () => {
    const before = await size()
    const content = utf8('allow all')
    await assert.rejects(publishPolicy({ ...world.as(verifier), id: 'p', content }), refused('malformed_policy'))
    await assert.rejects(
      publishReferenceValues({ ...world.as(verifier), id: 'r', content }),
      refused('malformed_reference_values'),
    )
    assert.equal(await size(), before)
  })

  it('publishes policies of other engines as they are', async () => {
    const content = utf8('package policy\nexecutables := 33')
    const { version } = await publishPolicy({ ...world.as(verifier), id: 'rego', mediaType: 'text/x-rego', content })
    assert.equal(version, 1)
  })

  for (const [who, key] of [
    ['a stranger', stranger],
    ['an issuer', issuer],
  ] as const) {
    it(`is not for ${who} (not_authorized)`, async () => {
      await assert.rejects(publishPolicy({ ...world.as(key), id: 'p', content: policy }), refused('not_authorized'))
    })
  }
})

describe('appraiseAndLog', () => {
  let world: World
  beforeEach(async () => {
    world = await createWorld()
  })
  afterEach(() => world.close())

  const appraise = async (change: Partial<AppraiseAndLogInput> = {}) =>
    appraiseAndLog({
      ...world.as(verifier),
      format: MEASURED_FILES_FORMAT,
      evidence: change.evidence ?? (await world.evidence()),
      ...change,
    })

  it('gives a result that its record, its policy and its reference values vouch for', async () => {
    const evidence = await world.evidence({ nonce: NONCE })
    const recipients = [publicJwkOf(auditor)]
    const { ear, entry, index, tier } = await appraise({ evidence, nonce: NONCE, recipients })
    const { claims, header } = {
      claims: await verifyEar(ear, publicJwkOf(verifier)),
      header: decodeCompactJws(ear).header,
    }
    assert.equal(tier, 'affirming')
    assert.equal(header['kid'], kidOf(verifier))
    assert.deepEqual(claims.nonces, [NONCE])

    const found = await world.client.latest('attestation-result', kidOf(verifier), toHex(sha256(utf8(ear))))
    assert.deepEqual([found?.entry, found?.index], [entry, index])
    const { fields, links } = found!.record
    assert.deepEqual(fields, {
      resultDigest: sha256(utf8(ear)),
      evidenceDigest: sha256(evidence),
      format: MEASURED_FILES_FORMAT,
      tier: 'affirming',
      issuedAt: START,
      expiresAt: START + 3600,
    })
    assert.deepEqual(links.map(({ rel }) => rel).sort(), ['appraisal-policy', 'key-authorization', 'reference-values'])

    const [wrap] = await world.client.wraps(entry)
    const { keys } = await unwrapKeys(wrap!, auditor)
    const { attestation } = await openSections(found as RecordStatement<'attestation-result'>, keys)
    assert.equal(attestation?.result, ear)
    assert.deepEqual(attestation?.nonce, utf8(NONCE))
  })

  it('vouches for the result of another Verifier, which is sealed with ours for auditors to verify again', async () => {
    const json = (value: unknown) => utf8(JSON.stringify(value))
    const theirs = await signEar(
      {
        issuedAt: START - 5,
        verifier: { developer: 'https://verifier.example', build: '1' },
        appraisals: new Map([['cpu', { status: 'warning', vector: { hardware: 32, executables: 2 } }]]),
      },
      stranger,
    )
    await publishReferenceValues({
      ...world.as(verifier),
      id: 'theirs',
      content: json({ format: 'ear', attesters: [publicJwkOf(stranger)] }),
    })
    await publishPolicy({
      ...world.as(verifier),
      id: 'theirs',
      content: json({
        format: 'ear',
        maxEvidenceAgeSeconds: 60,
        resultLifetimeSeconds: 60,
        claims: { match: { executables: 2 }, mismatch: { executables: 96 } },
      }),
    })
    const recipients = [publicJwkOf(auditor)]
    const { entry, tier, ear } = await appraise({ format: 'ear', evidence: utf8(`${theirs}\n`), recipients })
    assert.equal(tier, 'warning')
    const found = await world.client.latest('attestation-result', kidOf(verifier), toHex(sha256(utf8(ear))))
    assert.deepEqual(found?.record.fields.evidenceDigest, sha256(utf8(theirs)))

    const [wrap] = await world.client.wraps(entry)
    const { keys } = await unwrapKeys(wrap!, auditor)
    const { attestation } = await openSections(found as RecordStatement<'attestation-result'>, keys)
    assert.equal(attestation?.external, theirs)
    const logged = async (linked: Hash): Promise<LoggedRecord> => {
      const { index, ...signed } = await world.client.record(linked)
      return { index, signed, authority: { trustDomain: 'unused' } as never }
    }
    const [result, ...links] = await Promise.all([entry, ...found!.record.links.map((link) => link.entry)].map(logged))
    const check = (section: object) =>
      checkSealedResult(result as LoggedRecord<'attestation-result'>, { ...attestation!, ...section }, links)
    assert.equal((await check({})).claims.status, 'warning')
    await assert.rejects(check({ external: `${theirs} ` }), refused('section_mismatch'))
    // Without the reference values nobody vouches for that Verifier; and what is not good needs nobody to.
    await checkSealedResult(
      result as LoggedRecord<'attestation-result'>,
      attestation!,
      links.filter(({ signed }) => signed.record.type !== 'reference-values'),
    )
  })

  it('appraises each member of a collection by a policy of its own, and the worst of them counts', async () => {
    const json = (value: unknown) => utf8(JSON.stringify(value))
    const wrap = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
    const result = (tier: 'affirming' | 'warning', hardware: number) =>
      signEar(
        {
          issuedAt: START,
          verifier: { developer: 'https://verifier.example', build: '1' },
          nonces: [NONCE],
          appraisals: new Map([
            ['GPU-0', { status: tier, vector: { hardware }, attestedKey: spkiOfJwk(publicJwkOf(workload)) }],
          ]),
        },
        stranger,
      )
    const collection = async (tier: 'affirming' | 'warning', hardware: number) =>
      json({
        __cmwc_t: 'tag:bank.example,2026:payments',
        cpu: [
          `application/eat+jwt; eat_profile="${MEASURED_FILES_PROFILE}"`,
          wrap(await world.evidence({ nonce: NONCE })),
          4,
        ],
        gpu: [`application/eat+jwt; eat_profile="${EAR_PROFILE}"`, wrap(utf8(await result(tier, hardware))), 8],
      })
    const id = 'gpu'
    const match = { hardware: 2 }
    const claims = { match, mismatch: { hardware: 96 } }
    const document = { format: 'ear', maxEvidenceAgeSeconds: 60, resultLifetimeSeconds: 60, claims }
    const attesters = [publicJwkOf(stranger)]
    await publishReferenceValues({ ...world.as(verifier), id, content: json({ format: 'ear', attesters }) })
    await publishPolicy({ ...world.as(verifier), id, content: json(document) })

    const evidence = await collection('affirming', 2)
    const workloadKey = publicJwkOf(workload)
    const { claims: ours, tier, entry } = await appraise({ format: 'cmw', evidence, nonce: NONCE, workloadKey })
    assert.equal(tier, 'affirming')
    assert.deepEqual([...ours.appraisals.keys()], ['cpu', 'gpu'])
    assert.deepEqual(ours.nonces, [NONCE])
    assert.equal(ours.expiresAt, START + 60)
    const { record } = await world.client.record(entry)
    assert.equal(record.links.filter(({ rel }) => rel === 'appraisal-policy').length, 2)
    assert.equal(record.links.filter(({ rel }) => rel === 'reference-values').length, 2)
    assert.ok(record.type === 'attestation-result')
    assert.deepEqual([record.fields.format, record.fields.evidenceDigest], ['cmw', sha256(evidence)])

    const worse = await appraise({
      format: 'cmw',
      evidence: await collection('warning', 32),
      nonce: NONCE,
      policyId: id,
    })
    assert.equal(worse.tier, 'warning')
    const other = { format: 'cmw', evidence, nonce: NONCE, workloadKey: publicJwkOf(auditor) }
    await assert.rejects(appraise(other), { name: 'EvidenceError' })

    // An attester that leaves out what the named policy judges does not get a result without it.
    const strict = { ...document, format: 'tdx', claims: { match: { hardware: 2 }, mismatch: { hardware: 96 } } }
    await publishPolicy({ ...world.as(verifier), id: 'strict', content: json(strict) })
    const around = { format: 'cmw', evidence, nonce: NONCE, policyId: 'strict' }
    await assert.rejects(appraise(around), refused('wrong_format'))
  })

  it('logs a bad result like a good one', async () => {
    writeFileSync(join(world.directory, 'payments'), 'payments 1.4.2 and a backdoor\n')
    const { tier, ear } = await appraise()
    assert.equal(tier, 'contraindicated')
    const found = await world.client.latest('attestation-result', kidOf(verifier), toHex(sha256(utf8(ear))))
    assert.equal(found?.record.fields.tier, 'contraindicated')
  })

  it('neither judges nor logs evidence that proves nothing (bad_evidence_signature)', async () => {
    const before = (await world.client.checkpoint()).size
    const evidence = (await world.evidence()).slice()
    evidence[evidence.length - 10]! ^= 1
    await assert.rejects(appraise({ evidence }), refused('bad_evidence_signature'))
    assert.equal((await world.client.checkpoint()).size, before)
  })

  it('does not count the line break at the end of a file as evidence', async () => {
    const evidence = await world.evidence()
    const { ear } = await appraise({ evidence: concatBytes(evidence, utf8('\n')) })
    const found = await world.client.latest('attestation-result', kidOf(verifier), toHex(sha256(utf8(ear))))
    assert.deepEqual(found?.record.fields.evidenceDigest, sha256(evidence))
  })

  it('judges by the version that the log has last', async () => {
    await publishPolicy({ ...world.as(verifier), id: 'files', content: policyWith({ resultLifetimeSeconds: 60 }) })
    const { claims } = await appraise({ policyId: 'files' })
    assert.equal(claims.expiresAt, START + 60)
  })

  it('judges by the reference values that the policy names, and links no others', async () => {
    await publishReferenceValues({ ...world.as(verifier), id: 'others', content: referenceValues })
    assert.equal((await linksOf((await appraise()).ear)).length, 4)
    await publishPolicy({ ...world.as(verifier), id: 'files', content: policyWith({ referenceValues: ['payments'] }) })
    assert.equal((await linksOf((await appraise()).ear)).length, 3)
    // Of another attester: this one is unknown to them.
    await publishPolicy({ ...world.as(verifier), id: 'files', content: policyWith({ referenceValues: ['others'] }) })
    const { tier, claims } = await appraise()
    assert.equal(tier, 'contraindicated')
    assert.equal(claims.appraisals.get(MEASURED_FILES_FORMAT)?.vector?.['instance-identity'], 97)
  })

  const linksOf = async (ear: string) =>
    (await world.client.latest('attestation-result', kidOf(verifier), toHex(sha256(utf8(ear)))))!.record.links

  const publish = (id: string, content: Uint8Array, more: object = {}) =>
    publishPolicy({ ...world.as(verifier), id, content, ...more })
  const bad: [what: string, code: string, prepare: () => Promise<unknown>, change: Partial<AppraiseAndLogInput>][] = [
    ['a format that it does not read', 'unknown_evidence_format', async () => {}, { format: 'tea-leaves' }],
    ['a policy that it does not have', 'unknown_policy', async () => {}, { policyId: 'other' }],
    ['a choice between two policies', 'ambiguous_policy', () => publish('more', policy), {}],
    [
      'a policy that is not in force yet',
      'not_in_force',
      () => publish('files', policy, { notBefore: START + 9, notAfter: START + 99 }),
      { policyId: 'files' },
    ],
    [
      'to find none in force by itself',
      'unknown_policy',
      () => publish('files', policy, { notBefore: START - 9, notAfter: START }),
      {},
    ],
    [
      'reference values that it does not have',
      'unknown_reference_values',
      () => publish('files', policyWith({ referenceValues: ['missing'] })),
      {},
    ],
    ['a key that is no verifier of this log', 'not_authorized', async () => {}, { key: stranger }],
  ]
  for (const [what, code, prepare, change] of bad) {
    it(`refuses ${what} (${code})`, async () => {
      await prepare()
      await assert.rejects(appraise(change), (error: { code: string }) => error.code === code)
    })
  }

  it('gives no result when the log does not answer', async () => {
    const evidence = await world.evidence()
    await appraise({ evidence })
    await world.stop()
    await assert.rejects(appraise({ evidence }), UnavailableError)
  })

  it('finds the attester unknown after its reference values were replaced', async () => {
    assert.equal((await appraise()).tier, 'affirming')
    await publishReferenceValues({ ...world.as(verifier), id: 'payments', content: referenceValues })
    assert.equal((await appraise({ evidence: await world.evidence({}, attester) })).tier, 'contraindicated')
  })

  it('signs under the last word of the admin on its key', async () => {
    await world.authorize({ key: encodePublicKey(publicJwkOf(verifier)), notAfter: START + 10_000 })
    const { entry } = await appraise()
    const { record } = await world.client.record(entry)
    const [authorization] = (await world.client.authorizations(kidOf(verifier))).toReversed()
    assert.ok(
      record.links.some(
        (link) => link.rel === 'key-authorization' && toHex(link.entry) === toHex(authorization!.entry),
      ),
    )
  })
})
