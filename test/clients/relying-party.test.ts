/**
 * The relying party, offline and with a look at the log; and what a log that lies to it gets.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { issue, publishIssuancePolicy, setCredentialStatus, spiffeBundle } from '../../clients/issuer/index.ts'
import { MisbehaviourError, memoryInProcess } from '../../clients/log-client/index.ts'
import { verifyOffline, verifyOnline, verifyRequest } from '../../clients/relying-party/index.ts'
import { signCheckpoint, utf8 } from '../../merkle/index.ts'
import { MemoryReplayCache, parseTrust, signWpt, type VerificationReport } from '../../provenance/index.ts'
import { importSigningKey, publicJwkOf } from '../../statement/index.ts'
import { type Lie, NOW, newKey, ORIGIN, random, serveLies, serveLog } from './served-log.ts'

const ISSUER = 'spiffe://bank.example/issuer'

/** A served log, and a token that was issued on it. */
async function issueOne(t: Pick<TestContext, 'after'>) {
  const log = await serveLog(t)
  const key = newKey()
  const workload = newKey()
  await log.authorize('issuer', ISSUER, { key: await importSigningKey(key) })
  const common = { client: log.client, key, now: NOW, random }
  const policy = utf8('@id("all") permit(principal, action, resource);')
  await publishIssuancePolicy({ ...common, id: 'workloads', content: policy })
  const issued = await issue({
    ...common,
    policyId: 'workloads',
    subject: 'spiffe://bank.example/payments',
    workloadKey: publicJwkOf(workload),
    results: [],
    unattested: { reasonCode: 'test' },
    kind: 'wit',
  })
  const trust = parseTrust(
    JSON.stringify({
      logs: [{ origin: ORIGIN, vkey: log.vkey, url: log.url }],
      trustDomains: { 'bank.example': spiffeBundle({ anchors: [], witKeys: [publicJwkOf(key)] }) },
      issuers: [ISSUER],
      verifiers: [],
      minimumTier: 'none',
    }),
  )
  const input = { credential: utf8(issued.text), bundle: issued.bundle, trust, at: NOW }
  const revoke = () =>
    setCredentialStatus({ ...common, credentialDigest: issued.digest, status: 'revoked', effectiveAt: NOW })
  /** A client that meets `lie` in front of the log. */
  const meeting = async (lie: Lie) => log.clientAt(await serveLies(t, log.url, lie), { remembered: memoryInProcess() })
  return { log, input, issued, workload, revoke, meeting }
}

const outcomeOf = ({ checks }: VerificationReport, id: string) => checks.find((check) => check.id === id)?.outcome

describe('a relying party', () => {
  it('verifies offline, and says what that leaves open', async (t) => {
    const { input } = await issueOne(t)
    const report = await verifyOffline(input)
    assert.equal(report.ok, true)
    assert.equal(outcomeOf(report, 'consistency'), 'not-checked')
    assert.equal(outcomeOf(report, 'status-current'), 'not-checked')
  })

  it('verifies online that the log only grew and nothing happened since', async (t) => {
    const { log, input } = await issueOne(t)
    await log.authorize('verifier')
    const report = await verifyOnline({ ...input, client: log.client })
    assert.equal(report.ok, true)
    assert.equal(outcomeOf(report, 'consistency'), 'passed')
    assert.equal(outcomeOf(report, 'status-current'), 'passed')
  })

  it('takes a proof of possession with a look at the log, once', async (t) => {
    const { log, input, issued, workload } = await issueOne(t)
    const wit = issued.text.trim()
    const jti = 'a jti of sufficient length'
    const wpt = await signWpt({ wit, audience: 'rp', expiresAt: NOW + 60, jti }, workload)
    const fields = [['Workload-Identity-Token', wit] as const, ['Workload-Proof-Token', wpt] as const]
    const { bundle, trust, at } = input
    const request = { method: 'GET', target: '/', fields }
    const replay = new MemoryReplayCache()
    const asked = { request, bundle, trust, at, client: log.client, audience: { aliases: ['rp'] }, replay }
    const report = await verifyRequest(asked)
    assert.equal(report.ok, true, JSON.stringify(report.checks))
    assert.equal(outcomeOf(report, 'possession'), 'passed')
    assert.equal(outcomeOf(report, 'status-current'), 'passed')
    assert.equal(outcomeOf(await verifyRequest(asked), 'possession'), 'failed')
  })

  it('learns of a revocation online alone', async (t) => {
    const { log, input, revoke } = await issueOne(t)
    await revoke()
    assert.equal((await verifyOffline(input)).ok, true)
    const report = await verifyOnline({ ...input, client: log.client })
    assert.equal(report.ok, false)
    assert.equal(report.checks.find(({ outcome }) => outcome === 'failed')?.code, 'credential_revoked')
  })

  it('refuses files that it cannot read without asking anybody', async (t) => {
    const { log, input } = await issueOne(t)
    log.client.close()
    const client = log.clientAt('http://127.0.0.1:1')
    for (const change of [{ credential: utf8('x') }, { bundle: utf8('x') }]) {
      assert.equal((await verifyOnline({ ...input, ...change, client })).ok, false)
    }
  })

  it('says unavailable when the log does not answer, and never a verdict', async (t) => {
    const { log, input } = await issueOne(t)
    await assert.rejects(verifyOnline({ ...input, client: log.clientAt('http://127.0.0.1:1') }), {
      name: 'UnavailableError',
    })
  })

  it('catches a log that went back behind the bundle (checkpoint_rollback)', async (t) => {
    const { log, input, meeting } = await issueOne(t)
    const note = signCheckpoint({ origin: ORIGIN, size: 1, root: random(32) }, [log.noteSigner])
    const client = await meeting((path) => (path === 'checkpoint' ? { body: utf8(note) } : undefined))
    await assert.rejects(verifyOnline({ ...input, client }), { code: 'checkpoint_rollback' })
  })

  it('catches a log that shows others another history (checkpoint_fork)', async (t) => {
    const { log, input, meeting } = await issueOne(t)
    const note = signCheckpoint({ origin: ORIGIN, size: 500, root: random(32) }, [log.noteSigner])
    const client = await meeting((path) => (path === 'checkpoint' ? { body: utf8(note) } : undefined))
    await assert.rejects(verifyOnline({ ...input, client }), { code: 'checkpoint_fork' })
  })

  it('catches a log that disowns what it proved, or answers as of before (not_served)', async (t) => {
    const { log, input, issued, revoke, meeting } = await issueOne(t)
    await revoke()
    const lies: Lie[] = [
      (path) => (path.startsWith('v1/provenance/') ? { status: 404 } : undefined),
      // The bundle of before the revocation, as a true statement about a smaller tree.
      (path) => (path.startsWith('v1/provenance/') ? { body: issued.bundle } : undefined),
    ]
    for (const lie of lies) {
      await assert.rejects(verifyOnline({ ...input, client: await meeting(lie) }), (error) => {
        assert.ok(error instanceof MisbehaviourError)
        assert.equal(error.code, 'not_served')
        assert.ok(error.evidence['before']?.startsWith(ORIGIN))
        return true
      })
    }
    assert.ok(log)
  })
})
