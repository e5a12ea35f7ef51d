/**
 * The audit: of an honest log, of logs that let something in, and of logs that lie.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Database } from '../../clients/auditor/database/duckdb.ts'
import { CHECKS, type CheckId, databasePath, type Finding, replay } from '../../clients/auditor/index.ts'
import { MisbehaviourError } from '../../clients/log-client/index.ts'
import { parseVkey, sha256, signCheckpoint, toHex, utf8 } from '../../merkle/index.ts'
import {
  attestationFacts,
  credentialTag,
  decideIssuance,
  type EarClaims,
  encodePublicKey,
  type FieldsOf,
  intentCommitments,
  type Link,
  type NewRecord,
  parseWorkloadIdentifier,
  type SectionsOf,
  signEar,
  spkiOfJwk,
  workloadFacts,
} from '../../provenance/index.ts'
import {
  encodeCoseSign1,
  jwkThumbprint,
  kidOf,
  type PrivateJwk,
  parseSignedStatement,
  publicJwkOf,
  wrapKeys,
} from '../../statement/index.ts'
import { signForeign } from '../provenance/signers.ts'
import { admin, digestOf, FIELDS, issuer, type Party, stranger, VERIFIER, verifier } from '../provenance/small-log.ts'
import { MadeUpLog, TRUST } from './made-up-log.ts'
import { NOW, policyOf, random, ORIGIN as SERVED_ORIGIN, serveLies, serveLog } from './served-log.ts'

/** The auditor's key, X25519: any 32 bytes are one. */
const auditor: PrivateJwk = {
  kty: 'OKP',
  crv: 'X25519',
  x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo',
  d: 'dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo',
}
const READER = publicJwkOf(auditor)

/** What an honest story is made of, for a test to change one thing. */
interface Story {
  policy: string
  policyNotAfter: number | undefined
  resultExpiresAt: number
  tier: 'affirming' | 'warning'
  earSigner: Party
  earTier: 'affirming' | 'warning'
  subject: string
  unique: Uint8Array | undefined
  decision: Partial<SectionsOf<'credential-provenance'>['decision']>
  ageSeconds: number
  issuanceLinks: (links: Link[]) => Link[]
}

const POLICY = '@id("attested") permit(principal, action, resource) when { context.attestation.tier == "affirming" };'
const HONEST: Story = {
  policy: POLICY,
  policyNotAfter: undefined,
  resultExpiresAt: 407,
  tier: 'affirming',
  earSigner: verifier,
  earTier: 'affirming',
  subject: 'spiffe://bank.example/payments',
  unique: undefined,
  decision: {},
  ageSeconds: 1,
  issuanceLinks: (links) => links,
}

/** Nine records: who may write, what they decide by, a result and a credential issued on it at 108. */
async function tell(log: MadeUpLog, change: Partial<Story> = {}) {
  const story = { ...HONEST, ...change }
  const recipients = [READER]
  await log.add({ type: 'log-policy', fields: FIELDS['log-policy'] }, admin, 100)
  const issuerKey = await log.add({ type: 'key-authorization', fields: FIELDS['key-authorization'] }, admin, 101)
  const verifierKey = await log.add({ type: 'key-authorization', fields: VERIFIER_FIELDS }, admin, 102)
  const issuance = await log.add(issuancePolicy(1, POLICY, story), issuer, 103)
  const appraisal = await log.add({ type: 'appraisal-policy', fields: FIELDS['appraisal-policy'] }, verifier, 104)
  const references = await log.add({ type: 'reference-values', fields: FIELDS['reference-values'] }, verifier, 105)
  const workloadSection = { sbom: [], build: [], compliance: [] }
  const workload = await log.add(
    {
      type: 'workload-provenance',
      fields: FIELDS['workload-provenance'],
      sections: { workload: workloadSection },
      recipients,
    },
    issuer,
    106,
  )

  const workloadKey = stranger.publicJwk
  const keyThumbprint = jwkThumbprint(workloadKey)
  const claims: EarClaims = {
    issuedAt: 107,
    expiresAt: 407,
    verifier: { developer: 'example', build: '1' },
    status: story.earTier,
    appraisals: new Map([
      ['workload', { status: story.earTier, policyIds: ['measured'], attestedKey: spkiOfJwk(workloadKey) }],
    ]),
  }
  const ear = await signEar(claims, story.earSigner.jwk)
  const measurement = FIELDS['workload-provenance'].subject
  const result = await log.add(
    {
      type: 'attestation-result',
      fields: {
        ...FIELDS['attestation-result'],
        resultDigest: sha256(utf8(ear)),
        tier: story.tier,
        expiresAt: story.resultExpiresAt,
      },
      links: [
        { rel: 'appraisal-policy', entry: appraisal },
        { rel: 'reference-values', entry: references },
        { rel: 'key-authorization', entry: verifierKey },
      ],
      sections: { attestation: { result: ear, measurement, keyThumbprint } },
      recipients,
    },
    verifier,
    107,
  )

  const facts = attestationFacts([{ claims, verifier: VERIFIER, measurement: toHex(measurement) }], keyThumbprint, 108)
  const decided = decideIssuance(POLICY, {
    subject: parseWorkloadIdentifier(story.subject),
    attestation: { ...facts, ageSeconds: story.ageSeconds },
    workload: workloadFacts(
      workloadSection,
      { subject: toHex(measurement), subjectKind: 'measurement', publisher: issuer.issuer },
      [toHex(measurement)],
    ),
    credential: { kind: 'wit', lifetimeSeconds: 300 },
  })
  const { errors: _, ...decision } = decided
  const tagKey = new Uint8Array(32).fill(7)
  const credential = { subject: story.subject, trustDomain: 'bank.example', identifier: 'jti-1', keyThumbprint }
  const issued: NewRecord<'credential-provenance'> = {
    type: 'credential-provenance',
    fields: FIELDS['credential-provenance'],
    links: story.issuanceLinks([
      { rel: 'workload-provenance', entry: workload },
      { rel: 'attestation-result', entry: result },
      { rel: 'issuance-policy', entry: issuance },
      { rel: 'key-authorization', entry: issuerKey },
    ]),
    unique: [story.unique ?? credentialTag(tagKey, { kind: 'wit', ...credential })],
    sections: { credential, decision: { ...decision, ...story.decision }, tags: { key: tagKey } },
    recipients,
  }
  const provenance = await log.add(issued, issuer, 108)
  return { issuance, workload, result, provenance, issuerKey, issued }
}

const VERIFIER_FIELDS: FieldsOf<'key-authorization'> = {
  role: 'verifier',
  trustDomain: 'attest.example',
  subject: VERIFIER,
  key: encodePublicKey(verifier.publicJwk),
  notBefore: 0,
}

function issuancePolicy(
  version: number,
  text: string,
  { policy, policyNotAfter }: Pick<Story, 'policy' | 'policyNotAfter'>,
): NewRecord<'issuance-policy'> {
  const fields = { ...FIELDS['issuance-policy'], version, digest: sha256(utf8(text)), content: utf8(policy) }
  return {
    type: 'issuance-policy',
    fields: policyNotAfter === undefined ? fields : { ...fields, notAfter: policyNotAfter },
  }
}

function status(
  { provenance, issuerKey }: Awaited<ReturnType<typeof tell>>,
  to: 'revoked' | 'reinstated',
): NewRecord<'credential-status'> {
  return {
    type: 'credential-status',
    fields: { ...FIELDS['credential-status'], status: to },
    links: [
      { rel: 'credential-provenance', entry: provenance },
      { rel: 'key-authorization', entry: issuerKey },
    ],
  }
}

async function directory(t: Pick<TestContext, 'after'>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'provlog-audit-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function audit(t: Pick<TestContext, 'after'>, log: MadeUpLog, key?: PrivateJwk, stateDir?: string) {
  const dir = stateDir ?? (await directory(t))
  return replay({ client: log, trust: TRUST, stateDir: dir, now: 200, ...(key && { key }) })
}

describe('an audit of an honest log', () => {
  it('finds nothing, and opens what is for the auditor', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    const closed = await audit(t, log)
    assert.deepEqual(closed.findings, [])
    assert.deepEqual([closed.size, closed.records, closed.opened, closed.resumedFrom], [9, 9, 0, 0])
    const opened = await audit(t, log, auditor)
    assert.deepEqual(opened.findings, [])
    assert.equal(opened.opened, 3)
  })

  it('goes on where the last one ended, and says the same about the whole', async (t) => {
    const log = new MadeUpLog()
    const story = await tell(log)
    const dir = await directory(t)
    await audit(t, log, auditor, dir)
    await log.add(status(story, 'revoked'), issuer, 109)
    // Needs what came before: whose key it is, what it links to, which credential ids are taken, and what is sealed in them.
    await log.add({ ...story.issued, unique: [new Uint8Array(16)] }, issuer, 110)

    const second = await audit(t, log, auditor, dir)
    const afresh = await audit(t, log, auditor)
    assert.equal(second.resumedFrom, 9)
    assert.deepEqual({ ...second, resumedFrom: 0 }, afresh)
    assert.deepEqual(checksIn(second.findings), ['duplicate', 'tag-differs'])
    assert.deepEqual((await audit(t, log, auditor, dir)).findings, second.findings)
  })

  it('starts over for another key, and leaves what it opened to its owner alone', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    const dir = await directory(t)
    const secrets = ['spiffe://bank.example/payments', 'jti-1', auditor.d].map((secret) => Buffer.from(secret!))
    const left = async () => {
      const bytes = await readFile(databasePath(dir))
      return secrets.map((secret) => bytes.includes(secret))
    }
    await audit(t, log, undefined, dir)
    assert.deepEqual(await left(), [false, false, false])
    const report = await audit(t, log, auditor, dir)
    assert.deepEqual([report.resumedFrom, report.opened], [0, 3])
    assert.deepEqual(await left(), [true, true, false])
    const modes = [databasePath(dir), dirname(databasePath(dir))].map(async (path) => (await stat(path)).mode & 0o777)
    assert.deepEqual(await Promise.all(modes), [0o600, 0o700])
    // And so is what was opened, when the next one has no key.
    await audit(t, log, undefined, dir)
    assert.deepEqual(await left(), [false, false, false])
  })

  it('blames its own file, and not the log, when it was damaged', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    const dir = await directory(t)
    await audit(t, log, undefined, dir)
    const path = databasePath(dir)
    const sound = await readFile(path)
    const refused = { name: 'EvidenceError', code: 'damaged_audit' }

    const database = await Database.open(path, { readOnly: false })
    await database.run("UPDATE records SET entry = unhex(repeat('00', 32)) WHERE index = 3")
    database.close()
    await assert.rejects(audit(t, log, undefined, dir), refused)
    for (const bytes of [
      sound.subarray(0, 5000),
      sound.map((byte, i) => (i === 12_300 ? byte ^ 1 : byte)),
      utf8('x'),
    ]) {
      await writeFile(path, bytes)
      await assert.rejects(audit(t, log, undefined, dir), refused)
    }
    await rm(path)
    await symlink('/etc/hostname', path)
    await assert.rejects(audit(t, log, undefined, dir), refused)
  })

  it('refuses the directory of another log', async (t) => {
    const served = await serveLog(t)
    const log = new MadeUpLog()
    await tell(log)
    const dir = await directory(t)
    await audit(t, log, undefined, dir)
    await assert.rejects(replay(servedInput(served, dir)), { name: 'EvidenceError', code: 'other_log' })
    assert.equal((await audit(t, log, undefined, dir)).resumedFrom, 9)
  })

  it('finds nothing on a served log, over several bundles', async (t) => {
    const log = await serveLog(t)
    const author = await log.authorize('issuer')
    await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        log.client.registerRecord(policyOf('permit', { policyId: `p${i}` }), author),
      ),
    )
    const progress: string[] = []
    const report = await replay({
      ...servedInput(log, await directory(t)),
      onProgress: ({ phase, done, total }) => void (done === total && progress.push(phase)),
    })
    assert.deepEqual(report.findings, [])
    assert.deepEqual([report.size, report.records], [302, 302])
    assert.deepEqual([...new Set(progress)], ['hashes', 'statements'])
  })
})

/** The general credential is that of the story too: what stands for itself is odd, and says what it has to say. */
async function generalize(
  log: MadeUpLog,
  { provenance }: Awaited<ReturnType<typeof tell>>,
  lie: Partial<SectionsOf<'identity-generalization'>['credential']>,
): Promise<void> {
  const { maxCredentialLifetime: _longest, notAfter: _end, ...fields } = FIELDS['key-authorization']
  const gateway = await log.add({ type: 'key-authorization', fields: { ...fields, role: 'gateway' } }, admin, 109)
  const digest = FIELDS['credential-provenance'].credentialDigest
  const honest = { digest, subject: HONEST.subject, origin: FIELDS['log-policy'].origin, entry: provenance }
  await log.add(
    {
      type: 'identity-generalization',
      fields: { credentialDigest: digest },
      links: [
        { rel: 'credential-provenance', entry: provenance },
        { rel: 'key-authorization', entry: gateway },
      ],
      sections: { credential: { ...honest, ...lie } },
      recipients: [READER],
    },
    issuer,
    110,
  )
}

/** Each: one thing wrong, and all that the audit then finds. */
const FLAWS: Partial<Record<CheckId, (log: MadeUpLog) => Promise<unknown>>> = {
  'statement-erased': async (log) => {
    await tell(log)
    // The last one: nothing links to it.
    log.statements[8] = new Uint8Array()
    return ['statement-erased']
  },
  'erased-by-record': async (log) => {
    await tell(log)
    // The reference values, to which the attestation result links; and the record says so.
    const fields = { scope: 'statement' as const }
    await log.add({ type: 'erasure', fields, links: [{ rel: 'erases', entry: log.entries[5]! }] }, admin, 109)
    log.statements[5] = new Uint8Array()
    return ['erased-by-record', 'erased-by-record']
  },
  'erasure-not-done': async (log) => {
    await tell(log)
    const fields = { scope: 'statement' as const }
    await log.add({ type: 'erasure', fields, links: [{ rel: 'erases', entry: log.entries[8]! }] }, admin, 109)
  },
  'link-erased': async (log) => {
    await tell(log)
    // The reference values, to which the attestation result links.
    log.statements[5] = new Uint8Array()
    return ['link-erased', 'statement-erased']
  },
  'statement-malformed': async (log) => {
    await tell(log)
    log.put(utf8('not a statement'))
  },
  'signature-invalid': async (log) => {
    await tell(log)
    const { sign1 } = parseSignedStatement(log.statements[3]!)
    log.put(encodeCoseSign1({ ...sign1, signature: sign1.signature.map((byte) => byte ^ 1) }))
  },
  'signature-twin': async (log) => {
    await tell(log)
    log.put(log.statements[6]!)
  },
  'foreign-refused': async (log) => {
    await tell(log)
    // By a key that may sign records. This log's policy says nothing of anything else.
    log.put(await signForeign(issuer.key, { header: [[4, utf8(issuer.kid)]], claims: [[6, 109]] }))
  },
  'signer-unauthorized': async (log) => {
    await tell(log)
    await log.add({ type: 'workload-provenance', fields: { subject: digestOf('other') } }, verifier, 109)
  },
  duplicate: async (log) => {
    const { issued } = await tell(log)
    await log.add({ ...issued, unique: [new Uint8Array(16)] }, issuer, 109)
    return ['duplicate', 'tag-differs']
  },
  'chain-broken': async (log) => {
    await tell(log)
    await log.add(issuancePolicy(2, POLICY, HONEST), issuer, 109)
  },
  'back-dated': async (log) => {
    await tell(log)
    await log.add({ type: 'workload-provenance', fields: { subject: digestOf('late') } }, issuer, 480)
    await log.add({ type: 'workload-provenance', fields: { subject: digestOf('early') } }, issuer, 109)
  },
  'status-illegal': async (log) => {
    const story = await tell(log)
    await log.add(status(story, 'revoked'), issuer, 109)
    await log.add(status(story, 'reinstated'), issuer, 110)
    await log.add(status(story, 'revoked'), issuer, 111)
    return ['status-illegal', 'status-illegal']
  },
  'policy-unfit': async (log) => {
    await tell(log, { policyNotAfter: 108 })
    return ['policy-unfit', 'outlives-grounds']
  },
  'policy-text-differs': async (log) => {
    await tell(log, { policy: `${POLICY} ` })
    return ['policy-text-differs', 'decision-differs']
  },
  'wrap-missing': async (log) => {
    await tell(log)
    const [entry] = log.entries
    await log.add(
      {
        type: 'log-policy',
        fields: { ...FIELDS['log-policy'], requireWrapFor: [kidOf(READER)] },
        links: [{ rel: 'previous', entry: entry! }],
      },
      admin,
      109,
    )
    await log.add(
      {
        type: 'workload-provenance',
        fields: { subject: digestOf('unread') },
        sections: { workload: { sbom: [], build: [], compliance: [] } },
      },
      issuer,
      110,
    )
  },
  'seal-broken': async (log) => {
    const { workload } = await tell(log)
    const { record } = await log.record(workload)
    const wrong = await wrapKeys(record.id, new Map([['workload', random(32)]]), READER)
    log.wrapsOf.set(toHex(workload), [wrong])
  },
  'tag-differs': (log) => tell(log, { unique: new Uint8Array(16) }),
  'credential-differs': async (log) => {
    await tell(log, { subject: 'spiffe://elsewhere.example/payments' })
  },
  'generalization-differs': async (log) => {
    const story = await tell(log)
    await generalize(log, story, { digest: digestOf('another credential') })
    return ['generalization-differs']
  },
  'result-differs': async (log) => {
    await tell(log, { tier: 'warning' })
    return ['result-differs', 'decision-differs']
  },
  'result-unfit': async (log) => {
    await tell(log, { resultExpiresAt: 108 })
    return ['result-differs', 'result-unfit']
  },
  'decision-differs': (log) => tell(log, { decision: { reasons: ['another'] } }),
}

describe('an audit finds', () => {
  for (const [check, flaw] of Object.entries(FLAWS) as [CheckId, (log: MadeUpLog) => Promise<unknown>][]) {
    it(`${check}: ${CHECKS[check].meaning.split('.')[0]}`, async (t) => {
      const log = new MadeUpLog()
      const told = await flaw(log)
      const expected: CheckId[] = Array.isArray(told) ? told : [check]
      const { findings } = await audit(t, log, auditor)
      assert.deepEqual(checksIn(findings), expected.toSorted())
      for (const finding of findings) assert.equal(finding.entry, toHex(log.entries[finding.index]!))
    })
  }

  for (const [what, lie, expected] of [
    ['the credential that its gateway says', {}, []],
    ['one on another log, of which nobody here can tell', { origin: 'elsewhere.example', digest: digestOf('x') }, []],
    ['an entry that is no credential', { entry: digestOf('nothing') }, ['generalization-differs']],
    ['another name', { subject: 'spiffe://bank.example/admin' }, ['generalization-differs']],
  ] as const) {
    it(`whether a general credential stands for ${what}`, async (t) => {
      const log = new MadeUpLog()
      await generalize(log, await tell(log), lie)
      assert.deepEqual(checksIn((await audit(t, log, auditor)).findings), [...expected])
    })
  }

  it('a reinstatement of what was not suspended, and none of what was', async (t) => {
    const log = new MadeUpLog()
    const story = await tell(log)
    const suspended = { ...FIELDS['credential-status'], status: 'suspended' as const }
    await log.add({ ...status(story, 'reinstated'), fields: suspended }, issuer, 109)
    await log.add(status(story, 'reinstated'), issuer, 110)
    assert.deepEqual(checksIn((await audit(t, log)).findings), [])
    await log.add(status(story, 'reinstated'), issuer, 111)
    assert.deepEqual(checksIn((await audit(t, log)).findings), ['status-illegal'])
  })

  it('what was let in on something withdrawn, in one bundle with the withdrawal', async (t) => {
    const log = new MadeUpLog()
    const { issuance, issued } = await tell(log)
    const links = [{ rel: 'retracts' as const, entry: issuance }]
    await log.add({ type: 'retraction', fields: { effectiveAt: 105 }, links }, issuer, 109)
    assert.deepEqual(checksIn((await audit(t, log, auditor)).findings), [])
    const fields = { ...issued.fields, credentialDigest: digestOf('later') }
    await log.add({ ...issued, fields, unique: [new Uint8Array(16)] }, issuer, 110)
    const { findings } = await audit(t, log)
    assert.deepEqual(checksIn(findings), ['link-refused'])
    assert.match(findings[0]!.detail, /^link_retracted/)
  })

  it('a credential that was announced as another, where it can read both', async (t) => {
    for (const [identifier, expected] of [
      ['jti-1', []],
      ['jti-2', ['credential-differs']],
    ] as const) {
      const log = new MadeUpLog()
      const { issued } = await tell(log)
      const { credential } = issued.sections!
      const { kind, notBefore, notAfter, attestation } = issued.fields
      const commitments = intentCommitments({ ...credential, kind, identifier })
      const fields = { kind, notBefore, notAfter, attestation, ...commitments }
      const intent = await log.add({ type: 'issuance-intent', fields, links: issued.links! }, issuer, 108)
      // In the place of the one that was not announced.
      log.statements.splice(8, 1)
      log.entries.splice(8, 1)
      const links = [...issued.links!, { rel: 'issuance-intent' as const, entry: intent }]
      await log.add({ ...issued, links }, issuer, 108)
      assert.deepEqual(checksIn((await audit(t, log, auditor)).findings), [...expected])
    }
  })

  it('explains a hole by a record that came after the audit that found it', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    log.statements[8] = new Uint8Array()
    const stateDir = await directory(t)
    const input = { client: log, trust: TRUST, stateDir, now: 1000 }
    assert.deepEqual(checksIn((await replay(input)).findings), ['statement-erased'])
    const erase = async (index: number) => {
      const links = [{ rel: 'erases' as const, entry: log.entries[index]! }]
      await log.add({ type: 'erasure', fields: { scope: 'statement' }, links }, admin, 109)
    }
    await erase(8)
    const { findings } = await replay(input)
    assert.deepEqual(checksIn(findings), ['erased-by-record'])
    assert.equal(findings[0]!.severity, 'info')
    // Of what was read while it was there, nothing is asked.
    await erase(7)
    log.statements[7] = new Uint8Array()
    assert.deepEqual(checksIn((await replay(input)).findings), ['erased-by-record'])
    // Whoever starts now finds it gone, and with it what the credential was issued on.
    const fresh = await replay({ ...input, stateDir: await directory(t) })
    assert.deepEqual(checksIn(fresh.findings), ['erased-by-record', 'erased-by-record'])
  })

  it('misses no wraps for itself of records that came before the policy that demands them', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    const fields = { subject: digestOf('unread') }
    const sections = { workload: { sbom: [], build: [], compliance: [] } }
    await log.add({ type: 'workload-provenance', fields, sections }, issuer, 109)
    const policy = { ...FIELDS['log-policy'], requireWrapFor: [kidOf(READER)] }
    const links = [{ rel: 'previous' as const, entry: log.entries[0]! }]
    await log.add({ type: 'log-policy', fields: policy, links }, admin, 110)
    assert.deepEqual(checksIn((await audit(t, log, auditor)).findings), [])
  })

  it('takes wraps that a record erased for erased, and not for missing', async (t) => {
    const log = new MadeUpLog()
    await FLAWS['wrap-missing']!(log)
    const entry = log.entries.at(-1)!
    await log.add({ type: 'erasure', fields: { scope: 'keys' }, links: [{ rel: 'erases', entry }] }, admin, 119)
    assert.deepEqual(checksIn((await audit(t, log, auditor)).findings), ['erased-by-record'])
  })

  it('does not take an erasure by somebody who may not for an explanation', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    const fields = { scope: 'statement' as const }
    await log.add({ type: 'erasure', fields, links: [{ rel: 'erases', entry: log.entries[8]! }] }, issuer, 109)
    log.statements[8] = new Uint8Array()
    assert.deepEqual(checksIn((await audit(t, log, auditor)).findings), ['signer-unauthorized', 'statement-erased'])
  })

  it('an attestation result that somebody else signed', async (t) => {
    const log = new MadeUpLog()
    await tell(log, { earSigner: stranger })
    const { findings } = await audit(t, log, auditor)
    assert.deepEqual(checksIn(findings), ['result-differs'])
    assert.match(findings[0]!.detail, /^bad_signature/)
  })

  it('a decision that was made on something better than the evidence', async (t) => {
    const log = new MadeUpLog()
    await tell(log, { ageSeconds: 500 })
    assert.deepEqual(checksIn((await audit(t, log, auditor)).findings), ['decision-differs'])
    // Without a key nobody can know.
    assert.deepEqual((await audit(t, log)).findings, [])
  })

  it('a key that signs before it is authorized, in one bundle with its authorization', async (t) => {
    const log = new MadeUpLog()
    await log.add({ type: 'log-policy', fields: FIELDS['log-policy'] }, admin, 100)
    await log.add(issuancePolicy(1, POLICY, HONEST), issuer, 101)
    await log.add({ type: 'key-authorization', fields: FIELDS['key-authorization'] }, admin, 102)
    await log.add({ type: 'workload-provenance', fields: { subject: digestOf('x') } }, issuer, 103)
    const { findings } = await audit(t, log)
    assert.deepEqual(
      findings.map(({ index, check }) => [index, check]),
      [[1, 'signer-unauthorized']],
    )
    assert.match(findings[0]!.detail, /^unknown_key/)
  })
})

describe('an audit of a log that lies', () => {
  it('ends at a statement that is not the one of its entry (entry_mismatch)', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    log.statements[4] = log.statements[3]!
    await assert.rejects(audit(t, log), (error) => {
      assert.ok(error instanceof MisbehaviourError)
      assert.equal(error.code, 'entry_mismatch')
      assert.equal(error.evidence['index'], '4')
      assert.equal(error.evidence['after'], log.note)
      return true
    })
  })

  it('ends at a log that is not in the trust file, or not under that key (untrusted_log)', async (t) => {
    const log = new MadeUpLog()
    await tell(log)
    const input = { client: log, stateDir: await directory(t), now: 200 }
    await assert.rejects(replay({ ...input, trust: { ...TRUST, logs: [] } }), { code: 'untrusted_log' })
  })

  const lies: [what: string, code: string, path: RegExp, lie: (body: Uint8Array) => object][] = [
    ['a wrong entry', 'entry_mismatch', /^tile\/entries\//, (body) => ({ body: body.with(5, body[5]! ^ 1) })],
    ['a truncated entry bundle', 'entry_mismatch', /^tile\/entries\//, (body) => ({ body: body.subarray(1) })],
    ['an entry bundle that is not there', 'not_served', /^tile\/entries\//, () => ({ status: 404 })],
    [
      'a wrong statement',
      'entry_mismatch',
      /^v1\/statements\/000.p\/[2-9]/,
      (body) => ({ body: body.with(60, body[60]! ^ 1) }),
    ],
    [
      'a truncated bundle of statements',
      'not_served',
      /^v1\/statements\/000.p\/[2-9]/,
      (body) => ({ body: body.subarray(0, -1) }),
    ],
    ['statements that are not there', 'not_served', /^v1\/statements\/000.p\/[2-9]/, () => ({ status: 410 })],
  ]
  for (const [what, code, pattern, lie] of lies) {
    it(`ends at ${what} (${code})`, async (t) => {
      const log = await serveLog(t)
      await log.authorize('issuer')
      const url = await serveLies(t, log.url, (path, { body }) => (pattern.test(path) ? lie(body) : undefined))
      await assert.rejects(replay({ ...servedInput(log, await directory(t)), client: log.clientAt(url) }), {
        code,
        name: 'EvidenceError',
      })
    })
  }

  it('says unavailable, and keeps what it has, when the log goes away', async (t) => {
    const log = await serveLog(t)
    await log.authorize('issuer')
    const dir = await directory(t)
    await replay(servedInput(log, dir))
    await log.authorize('verifier')
    const url = await serveLies(t, log.url, (path) => (path.startsWith('v1/') ? { status: 500 } : undefined))
    await assert.rejects(replay({ ...servedInput(log, dir), client: log.clientAt(url) }), { name: 'UnavailableError' })
    assert.equal((await replay(servedInput(log, dir))).resumedFrom, 2)
  })

  it('refuses a history that is not the one audited before (checkpoint_fork, checkpoint_rollback)', async (t) => {
    const log = await serveLog(t)
    await log.authorize('issuer')
    const dir = await directory(t)
    const { size } = await replay(servedInput(log, dir))
    const cases = [
      [size, 'checkpoint_fork'],
      [size - 1, 'checkpoint_rollback'],
    ] as const
    for (const [claimed, code] of cases) {
      const note = signCheckpoint({ origin: SERVED_ORIGIN, size: claimed, root: random(32) }, [log.noteSigner])
      const url = await serveLies(t, log.url, (path) => (path === 'checkpoint' ? { body: utf8(note) } : undefined))
      await assert.rejects(replay({ ...servedInput(log, dir), client: log.clientAt(url) }), { code })
    }
  })
})

function servedInput({ client, vkey }: Awaited<ReturnType<typeof serveLog>>, stateDir: string) {
  const trust = { ...TRUST, logs: [{ origin: SERVED_ORIGIN, vkey, verifier: parseVkey(vkey) }] }
  return { client, trust, stateDir, now: NOW }
}

function checksIn(findings: readonly Finding[]): CheckId[] {
  return findings.map(({ check }) => check).toSorted()
}
