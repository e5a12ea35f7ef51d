// What becomes of credentials and of what they rest on: denials, withdrawals, migrations, and gateways with their chains.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  deny,
  type Generalized,
  generalize,
  type Issued,
  migrateCredential,
  publishIssuancePolicy,
  retract,
  setCredentialStatus,
  spiffeBundle,
} from '../../clients/issuer/index.ts'
import { verifyChain, verifyOffline, verifyOnline } from '../../clients/relying-party/index.ts'
import { retract as retractAsVerifier } from '../../clients/verifier/index.ts'
import { type Hash, toHex, utf8 } from '../../merkle/index.ts'
import {
  encodePublicKey,
  type ProvenanceRecord,
  parseTrust,
  recordOfStatement,
  type TrustDocument,
} from '../../provenance/index.ts'
import { kidOf, type PrivateJwk, parseSignedStatement, publicJwkOf } from '../../statement/index.ts'
import { newKey } from '../provenance/world.ts'
import {
  auditor,
  createWorld,
  ISSUER,
  issuer,
  ORIGIN,
  START,
  SUBJECT,
  stranger,
  TD,
  VERIFIER,
  verifier,
  type World,
} from './issuer-world.ts'

const GATEWAY = `spiffe://${TD}/gateway`
const GENERAL = `spiffe://${TD}/partners`
const gateway = newKey()
const outbound = newKey()

async function lastRecord(world: World): Promise<ProvenanceRecord> {
  const at = (await world.client.checkpoint()).size - 1
  const bundle = await world.client.statementBundle(Math.floor(at / 256), (at % 256) + 1)
  return recordOfStatement(parseSignedStatement(bundle.at(-1)!))
}
const hasCode = (code: string) => (error: { code?: string; message?: string }) => {
  assert.equal(error.code, code, error.message)
  return true
}
function trustOf(world: World, change: Partial<TrustDocument> = {}) {
  const document: TrustDocument = {
    logs: [{ origin: ORIGIN, vkey: world.vkey }],
    trustDomains: { [TD]: spiffeBundle({ anchors: [], witKeys: [publicJwkOf(issuer), publicJwkOf(gateway)] }) },
    issuers: [ISSUER, GATEWAY],
    verifiers: [VERIFIER],
    minimumTier: 'affirming',
    ...change,
  }
  return parseTrust(JSON.stringify(document))
}
const latest = async (world: World, type: 'reference-values' | 'issuance-policy', key: PrivateJwk, id: string) =>
  (await world.client.latest(type, kidOf(key), id))!.entry

describe('deny', () => {
  let world: World
  before(async () => {
    world = await createWorld({ published: false })
  })
  after(() => world.close())

  it('logs what was refused by somebody else than the policy, and seals for whom', async () => {
    await deny({
      ...world.as(issuer),
      reason: 'rate_limited',
      detail: '100 a minute',
      subject: SUBJECT,
      kind: 'wit',
      workloadKey: publicJwkOf(outbound),
    })
    const record = await lastRecord(world)
    assert.deepEqual([record.type, { ...record.fields }], ['issuance-denied', { reason: 'rate_limited' }])
    assert.deepEqual(
      record.sealed?.sections.map(({ label }) => label),
      ['credential', 'detail'],
    )
    assert.ok(!JSON.stringify(record).includes('payments'))
  })

  it('takes a subject that would go into no record, and says nothing of it', async () => {
    const asked = { subject: 'two\nlines', kind: 'wit' as const, workloadKey: publicJwkOf(outbound) }
    await deny({ ...world.as(issuer), reason: 'malformed_request', ...asked })
    assert.equal((await lastRecord(world)).sealed, undefined)
    await assert.rejects(deny({ ...world.as(stranger), reason: 'x' }), hasCode('not_authorized'))
    await assert.rejects(deny({ ...world.as(issuer), reason: 'x'.repeat(65) }), hasCode('malformed_record'))
  })
})

describe('what an issuer and a Verifier withdraw', () => {
  let world: World
  let earlier: Issued
  before(async () => {
    world = await createWorld()
    earlier = await world.issue()
  })
  after(() => world.close())
  const check = (change: Partial<TrustDocument> = {}, at = world.clock.now) =>
    verifyOnline({ ...earlier, client: world.client, trust: trustOf(world, change), at })

  it('is refused to who does not own it', async () => {
    const target = await latest(world, 'reference-values', verifier, 'payments')
    await assert.rejects(retract({ ...world.as(issuer), target }), hasCode('link_not_own'))
    await assert.rejects(retractAsVerifier({ ...world.as(issuer), target }), hasCode('not_authorized'))
  })

  it('keeps the issuer from issuing on reference values that are gone, and says so on the log', async () => {
    const results = [await world.result()]
    world.clock.now += 10
    const target = await latest(world, 'reference-values', verifier, 'payments')
    const found = await retractAsVerifier({ ...world.as(verifier), target, reasonCode: 'cve-2026-1' })
    await assert.rejects(retractAsVerifier({ ...world.as(verifier), target }), hasCode('already_retracted'))
    await assert.rejects(world.issue({ results }), hasCode('link_retracted'))
    const record = await lastRecord(world)
    assert.deepEqual([record.type, { ...record.fields }], ['issuance-denied', { reason: 'link_retracted' }])
    assert.ok(record.links.some(({ rel }) => rel === 'attestation-result'))
    assert.ok(found.index > earlier.index)
  })

  it('is told to a relying party of what was issued before, and refused by a strict one', async () => {
    const report = await check()
    assert.deepEqual([report.ok, report.mode], [true, 'run-time'])
    assert.match(report.checks.find(({ id }) => id === 'status-current')!.detail, /withdrawn since: reference-values/)
    const strict = await check({ strictRetractions: true })
    assert.deepEqual(
      strict.checks.filter(({ outcome }) => outcome === 'failed').map(({ id, code }) => [id, code]),
      [['status-current', 'grounds_retracted']],
    )
    const { bundle, credential } = earlier
    const offline = await verifyOffline({ bundle, credential, trust: trustOf(world), at: world.clock.now })
    assert.deepEqual([offline.ok, offline.mode], [true, 'offline'])
  })

  it('refuses the credential to everybody when it is withdrawn as of the issuance', async () => {
    const target = await latest(world, 'reference-values', verifier, 'payments')
    await retractAsVerifier({ ...world.as(verifier), target, effectiveAt: START })
    assert.equal((await check()).ok, false)
  })
})

describe('a policy for confidential workloads', () => {
  it('is published as such, and nothing is issued by it without attestation (not_attested)', async (t) => {
    const world = await createWorld()
    t.after(() => world.close())
    const content = utf8('@id("any") permit (principal, action, resource);')
    const policy = { ...world.as(issuer), id: 'secret', content }
    const first = await publishIssuancePolicy(policy)
    const second = await publishIssuancePolicy({ ...policy, confidential: true })
    assert.deepEqual([first.version, second.version, second.unchanged], [1, 2, false])
    assert.equal((await publishIssuancePolicy({ ...policy, confidential: true })).unchanged, true)
    await assert.rejects(world.issue({ policyId: 'secret', results: [] }), hasCode('not_attested'))
    const { entry } = await world.issue({ policyId: 'secret' })
    const { record } = await world.client.record(entry)
    assert.equal(record.type === 'credential-provenance' && record.fields.confidential, true)
    await assert.rejects(world.issue({ confidential: true, results: [] }), hasCode('not_attested'))
  })
})

describe('a migration', () => {
  let world: World
  let issued: Issued
  before(async () => {
    world = await createWorld()
    issued = await world.issue()
  })
  after(() => world.close())

  it('keeps a credential whose workload is attested elsewhere as it was, and verify says so', async () => {
    world.clock.now += 60
    const { index } = await migrateCredential({
      ...world.as(issuer),
      credential: issued.credential,
      results: [await world.result()],
    })
    const record = await lastRecord(world)
    assert.equal(record.type === 'credential-status' && record.fields.status, 'migrated')
    const report = await verifyOnline({ ...issued, client: world.client, trust: trustOf(world), at: world.clock.now })
    assert.ok(report.ok, JSON.stringify(report.checks, null, 1))
    assert.match(report.checks.find(({ id }) => id === 'status-current')!.detail, /^migrated since/)
    assert.ok(index > issued.index)
  })

  it('happens as often as the workload moves', async () => {
    for (const results of [[await world.result()], [await world.result({ nonce: 'once more' })]]) {
      world.clock.now += 60
      await migrateCredential({ ...world.as(issuer), credential: issued.credential, results })
    }
    const report = await verifyOnline({ ...issued, client: world.client, trust: trustOf(world), at: world.clock.now })
    assert.ok(report.ok, JSON.stringify(report.checks, null, 1))
  })

  it('is none without attestation there (claims_changed), or without the results that it says (link_missing)', async () => {
    const migrate = (results: Parameters<typeof migrateCredential>[0]['results']) =>
      migrateCredential({ ...world.as(issuer), credential: issued.credential, results })
    await assert.rejects(migrate([]), hasCode('claims_changed'))
    const bare = { ...world.as(issuer), credentialDigest: issued.digest, status: 'migrated' as const }
    await assert.rejects(setCredentialStatus(bare), hasCode('link_missing'))
  })

  it('is none to other software (claims_changed), nor of another workload (key_not_attested)', async () => {
    const credential = issued.credential
    const other = await world.result({ workload: stranger })
    await assert.rejects(
      migrateCredential({ ...world.as(issuer), credential, results: [other] }),
      hasCode('key_not_attested'),
    )
    writeFileSync(join(world.directory, 'payments'), 'payments 1.4.3, patched by somebody\n')
    const changed = await world.result()
    await assert.rejects(
      migrateCredential({ ...world.as(issuer), credential, results: [changed] }),
      hasCode('claims_changed'),
    )
  })

  it('is none of what the log does not know (unknown_credential)', async () => {
    const { credential } = await (await createWorldOnce()).issue()
    const results = [await world.result()]
    await assert.rejects(migrateCredential({ ...world.as(issuer), credential, results }), hasCode('unknown_credential'))
  })

  let another: World | undefined
  async function createWorldOnce(): Promise<World> {
    another ??= await createWorld()
    return another
  }
  after(() => another?.close())
})

describe('a gateway', () => {
  let world: World
  let inside: Issued
  let general: Generalized
  const everything = utf8('@id("general") permit (principal, action, resource);')

  before(async () => {
    world = await createWorld()
    const key = encodePublicKey(publicJwkOf(gateway))
    await world.authorize({ role: 'issuer', subject: GATEWAY, key })
    await world.authorize({ role: 'gateway', subject: GATEWAY, key })
    await publishIssuancePolicy({ ...world.as(gateway), id: 'egress', content: everything })
    inside = await world.issue()
    general = await generalize(request())
  })
  after(() => world.close())

  const request = (change: Partial<Parameters<typeof generalize>[0]> = {}) => ({
    ...world.as(gateway),
    policyId: 'egress',
    subject: GENERAL,
    workloadKey: publicJwkOf(outbound),
    results: [],
    unattested: { reasonCode: 'gateway' },
    kind: 'wit' as const,
    internal: inside,
    trust: trustOf(world),
    rule: 'egress-partners',
    recipients: [publicJwkOf(auditor)],
    ...change,
  })
  const lenient = () => trustOf(world, { minimumTier: 'none' })
  const link = (issued: Issued, openWith?: PrivateJwk) => ({
    credential: issued.credential,
    bundle: issued.bundle,
    trust: lenient(),
    at: world.clock.now,
    ...(openWith && { openWith }),
  })

  it('issues a general credential that says outside whose word it is, and not for whom it stands', async () => {
    const report = await verifyOffline(link(general))
    assert.ok(report.ok, JSON.stringify(report.checks, null, 1))
    assert.equal(report.credential?.subject, GENERAL)
    assert.deepEqual(report.standsFor, { by: GATEWAY, entry: toHex(general.generalization.entry) })
    const outside = Buffer.from(general.bundle)
    for (const secret of [Buffer.from(SUBJECT), Buffer.from(inside.digest), Buffer.from(inside.entry)]) {
      assert.ok(!outside.includes(secret), 'nothing in the bundle leads inside')
    }
  })

  it('lets whoever holds the key cross', async () => {
    const { standsFor } = await verifyOffline(link(general, auditor))
    assert.equal(standsFor?.internal?.subject, SUBJECT)
    assert.deepEqual(standsFor.internal.digest, inside.digest)
    assert.deepEqual(standsFor.internal.entry, inside.entry)
    assert.equal(standsFor.internal.rule, 'egress-partners')
  })

  it('makes a chain with the original, which holds for who can open it and is the gateway’s word for others', async () => {
    const open = await verifyChain([link(general, auditor), link(inside)])
    assert.ok(open.ok, JSON.stringify(open.checks))
    assert.deepEqual(
      open.checks.map(({ outcome }) => outcome),
      ['passed', 'passed', 'passed'],
    )
    const closed = await verifyChain([link(general), link(inside)])
    assert.deepEqual([closed.ok, closed.checks.at(-1)?.outcome], [true, 'not-checked'])
  })

  it('makes no chain with another credential, in the other order, or with nobody (chain_broken)', async () => {
    const other = await world.issue()
    const chains = [[link(general, auditor), link(other)], [link(inside), link(general)], []]
    for (const chain of chains) {
      const report = await verifyChain(chain)
      assert.equal(report.ok, false)
      assert.ok(report.checks.some(({ code }) => code === 'chain_broken'))
    }
  })

  it('makes no chain when one of the two was revoked since', async () => {
    const victim = await world.issue()
    const shown = await generalize(request({ internal: victim }))
    await setCredentialStatus({ ...world.as(issuer), credentialDigest: victim.digest, status: 'revoked' })
    const { client } = world
    const chain = [
      { ...link(shown), client },
      { ...link(victim), client },
    ]
    assert.equal((await verifyChain(chain)).ok, false)
    assert.equal((await verifyChain([link(shown), link(victim)])).ok, true, 'offline nobody can know')
  })

  it('stands for nobody whose credential does not hold, and leaves a trace of it (internal_refused)', async () => {
    const trust = trustOf(world, { issuers: [] })
    await assert.rejects(generalize(request({ trust })), hasCode('internal_refused'))
    const record = await lastRecord(world)
    assert.deepEqual([record.type, { ...record.fields }], ['issuance-denied', { reason: 'internal_refused' }])
    await assert.rejects(
      generalize(request({ internal: { ...inside, bundle: general.bundle } })),
      hasCode('internal_refused'),
    )
  })

  it('is one that the log authorized as such (not_authorized), and says it once of a credential', async () => {
    await assert.rejects(generalize(request({ ...world.as(issuer), policyId: 'workloads' })), hasCode('not_authorized'))
    const { record } = await world.client.record(general.generalization.entry)
    assert.equal(record.type, 'identity-generalization')
    assert.deepEqual(
      record.links.map(({ rel }) => rel),
      ['credential-provenance', 'key-authorization'],
    )
    assert.ok(!record.links.some(({ entry }: { entry: Hash }) => toHex(entry) === toHex(inside.entry)))
  })
})
