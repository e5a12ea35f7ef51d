/**
 * The whole story, on a served log: a workload of bank.example that is a guest on an AMD processor and a GPU, a relying party of
 * partner.example that it talks to, and everything that becomes of its credential. What the relying party answers is asserted before and
 * after each event: every check by name, those that passed, those that failed and those that were not made.
 *
 *     attest ─► issue (--embed) ─► present, with proof ─► denied ─► a weak part ─► gateway, chain ─► revoked ─► firmware withdrawn ─► audit
 *
 * The tests tell it in order, and each goes on from where the one before left off.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Cell, crossCheck, Questions, readLedger, readSighting, replay } from '../../clients/auditor/index.ts'
import {
  type Generalized,
  generalize,
  IssuanceDenied,
  type Issued,
  type IssueRequest,
  issue,
  issueWit,
  setCredentialStatus,
} from '../../clients/issuer/index.ts'
import {
  decisionRecord,
  type OfflineInput,
  parseDecisionRecord,
  verifyChain,
  verifyOffline,
  verifyOnline,
  verifyRequest,
} from '../../clients/relying-party/index.ts'
import { type LoggedAppraisal, retract } from '../../clients/verifier/index.ts'
import { fromUtf8, toHex, utf8 } from '../../merkle/index.ts'
import {
  type FieldsOf,
  type HttpRequest,
  MemoryReplayCache,
  parseCredential,
  signWpt,
  type Trust,
  type VerificationReport,
} from '../../provenance/index.ts'
import { kidOf, type PrivateJwk, publicJwkOf } from '../../statement/index.ts'
import { ES256_JWK } from '../statement/fixtures.ts'
import {
  auditorKey,
  BANK_ISSUER,
  createTwoDomains,
  GATEWAY,
  keys,
  newKey,
  ORIGIN,
  START,
  VERIFIER,
  type World,
} from './two-domains.ts'

const PAYMENTS = 'spiffe://bank.example/payments'
const GENERAL = 'spiffe://bank.example/partners'
const LEDGER = 'spiffe://partner.example/ledger'
const RELYING_PARTY = 'https://ledger.partner.example'

const POLICY = `
@id("composite")
permit (principal in TrustDomain::"bank.example", action == Action::"issue", resource)
when {
  context.attestation.results == 2 &&
  context.attestation.tier == "affirming" &&
  context.attestation.keyAttested &&
  context.attestation.verifiers == ["${VERIFIER}"]
};
@id("trial")
permit (principal == Workload::"spiffe://bank.example/trial", action == Action::"issue", resource)
when { context.attestation.keyAttested && context.attestation.tier != "contraindicated" };
@id("no-stolen-wallets")
forbid (principal, action == Action::"issue", resource)
when { context.workload.components.contains("pkg:npm/event-stream@3.3.6") };
@id("no-third-parties")
forbid (principal, action == Action::"issue", resource)
unless { ["bank.example", "partner.example"].containsAll(context.credential.audience) };`
const EGRESS = `
@id("partners")
permit (principal == Workload::"${GENERAL}", action == Action::"issue", resource)
when { context.attestation.tier == "affirming" && context.attestation.keyAttested };`

const bomOf = (...purls: readonly string[]) => {
  const components = purls.map((purl) => ({ type: 'library', name: purl, purl }))
  return utf8(JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, components }))
}

/** What a record can say besides: how the credential is used and reaches its workload, where that runs, and what else was known. */
const TOLD = {
  pop: 'wpt',
  confidential: true,
  usage: 'outbound',
  delivery: 'agent',
  audiences: ['partner.example'],
  bootstrap: { kind: 'attestation' },
  attributes: { environment: 'production' },
  attested: {
    measuredScope: 'the image and its arguments',
    agent: { measurement: new Uint8Array(32).fill(5) },
    platformBinding: { freshness: 'AF_L2', fidelity: 'CF_L1', stickiness: 'CS_L3', tcb: 'TCB_L4' },
  },
} as const

/** What cannot be answered by a file alone, for somebody without witnesses and without the auditor's key. */
const OPENED = ['sealed-credential', 'sealed-uniqueness', 'sealed-results', 'sealed-decision']
const SEALED = ['sealed-credential', 'sealed-audience', ...OPENED.slice(1)]
const FROM_A_FILE = ['possession', 'witnesses', 'consistency', 'proof-way', 'status-current', 'stands-for', ...SEALED]
const without = (...ids: readonly string[]) => FROM_A_FILE.filter((id) => !ids.includes(id))
const ONLINE = without('consistency', 'status-current')

/** The whole answer: what is neither refused nor left open has passed. */
function assertAnswer(
  report: VerificationReport,
  { refused = {}, open }: { readonly refused?: Readonly<Record<string, string>>; readonly open: readonly string[] },
): void {
  const failed = report.checks.flatMap(({ id, code, outcome }) => (outcome === 'failed' ? [[id, code]] : []))
  // One credential alone is of an issuer that shows a result about itself: asked for where that one is.
  const left = report.checks.filter(({ id }) => id !== 'issuer-attestation')
  const notChecked = left.flatMap(({ id, outcome }) => (outcome === 'not-checked' ? [id] : []))
  const said = report.checks.map(({ id, outcome, detail }) => `${id} ${outcome}: ${detail}`).join('\n')
  assert.deepEqual(Object.fromEntries(failed), refused, said)
  assert.deepEqual(notChecked, open, said)
  assert.equal(report.ok, Object.keys(refused).length === 0, said)
}
const tiersOf = (results: readonly LoggedAppraisal[]) => results.map(({ tier }) => tier)
const detailOf = ({ checks }: VerificationReport, wanted: string) => checks.find(({ id }) => id === wanted)!.detail

describe('the whole story of two trust domains', () => {
  const payments = newKey()
  const ledger = newKey()
  const trial = newKey()
  /** The key that the quote of the gateway's TPM names. */
  const outbound = ES256_JWK
  const seen = new MemoryReplayCache()
  const decisions: string[] = []

  let world: World
  /** About the host of issuer and gateway. */
  let host: LoggedAppraisal
  let results: LoggedAppraisal[]
  let paying: Issued
  let weak: Issued
  let general: Generalized

  before(async () => {
    world = await createTwoDomains({ bank: POLICY, egress: EGRESS })
  })
  after(() => world.close())

  const issueFor = (subject: string, workloadKey: PrivateJwk, change: Partial<IssueRequest> = {}) =>
    issue({
      ...world.as(keys.bank),
      ...{ policyId: 'payments', subject, workloadKey: publicJwkOf(workloadKey), kind: 'wit', verifiers: [VERIFIER] },
      results: results.map(({ ear }) => ear),
      sbom: bomOf('pkg:npm/fastify@5.0.0'),
      ...change,
    })
  const fileOf = ({ credential, bundle }: Issued, trust = world.trust()): OfflineInput => ({
    ...{ credential, bundle, trust },
    at: world.clock.now,
  })
  const askedOffline = (issued: Issued, trust?: Trust) => verifyOffline(fileOf(issued, trust))
  const askedOnline = (issued: Issued, trust?: Trust) =>
    verifyOnline({ ...fileOf(issued, trust), client: world.newClient() })
  const strict = () => world.trust({ strictRetractions: true })

  /** The workload calls the relying party, with a proof for this request. */
  async function call(issued: Issued, key: PrivateJwk, jti = toHex(world.as(key).random(16))): Promise<HttpRequest> {
    const wit = fromUtf8(issued.credential)
    const audience = `${RELYING_PARTY}/transfers`
    const wpt = await signWpt({ wit, audience, expiresAt: world.clock.now + 60, jti }, key)
    const fields: [string, string][] = [
      ['Workload-Identity-Token', wit],
      ['Workload-Proof-Token', wpt],
    ]
    return { method: 'GET', target: '/transfers', fields }
  }
  const takes = (request: HttpRequest, { bundle }: Issued, client = world.newClient()) =>
    verifyRequest({
      ...{ request, bundle, trust: world.trust(), at: world.clock.now, replay: seen, client },
      audience: { origins: [RELYING_PARTY] },
    })

  it('begins with evidence of processor and GPU, both bound to the key of the workload', async () => {
    host = await world.attestHost(outbound)
    results = await world.attest(payments)
    assert.deepEqual(tiersOf(results), ['affirming', 'affirming'])
    await assert.rejects(issueFor(PAYMENTS, newKey()), { code: 'key_not_attested' })
  })

  it('a credential that the log knows nothing of is refused, whoever signed it', async () => {
    paying = await issueFor(PAYMENTS, payments, { embed: true, ...TOLD, issuerAttestation: host.entry })
    const claims = {
      subject: PAYMENTS,
      workloadJwk: publicJwkOf(payments),
      issuer: BANK_ISSUER,
      jti: 'an-unlogged-token-0000',
    }
    const times = { issuedAt: START, expiresAt: START + 600 }
    const unlogged = utf8(await issueWit({ ...claims, ...times }, keys.bank))
    const report = await verifyOffline({ ...fileOf(paying), credential: unlogged })
    assert.equal(report.checks.find(({ outcome }) => outcome === 'failed')?.code, 'credential_mismatch')
    assert.equal(report.ok, false)
    // Nor does the other domain's issuer speak for this one.
    const forged = utf8(await issueWit({ ...claims, ...times }, keys.partner))
    const other = await verifyOffline({ ...fileOf(paying), credential: forged })
    assert.equal(other.checks.find(({ id }) => id === 'signature')?.code, 'unknown_anchor')
  })

  it('the one that was issued names the log, is named by it, and holds at the other domain', async () => {
    const { logReference } = parseCredential(paying.credential)
    assert.deepEqual([logReference?.log, logReference?.entry], [ORIGIN, paying.intent?.entry])
    const offline = await askedOffline(paying)
    assertAnswer(offline, { open: FROM_A_FILE })
    assert.match(detailOf(offline, 'binding'), /announced by entry/)
    assert.match(detailOf(offline, 'attestation'), /^2 results, affirming/)
    assert.match(detailOf(offline, 'issuer-attestation'), /^affirming by .*; that it is about the issuer/)
    assert.equal(offline.mode, 'offline')
    const online = await askedOnline(paying)
    assertAnswer(online, { open: ONLINE })
    assert.equal(online.mode, 'run-time')
    assertAnswer(await askedOnline(paying, world.trust({ verifiers: [] })), {
      refused: {
        verifiers: 'untrusted_verifier',
        'issuer-attestation': 'untrusted_verifier',
        policies: 'untrusted_verifier',
      },
      open: ONLINE,
    })
  })

  it('whoever presents it proves to have its key, once, and in the way that the record demands', async () => {
    const request = await call(paying, payments)
    const report = await takes(request, paying)
    assertAnswer(report, { open: ONLINE.filter((id) => id !== 'possession' && id !== 'proof-way') })
    assert.deepEqual(report.possession?.ways, ['wpt'])
    decisions.push(decisionRecord(report, world.clock.now))
    const again = await takes(request, paying)
    assert.equal(again.checks.find(({ id }) => id === 'possession')?.code, 'proof_replayed')
    const stolen = await takes(await call(paying, payments).then((honest) => ({ ...honest, target: '/other' })), paying)
    assert.equal(stolen.checks.find(({ id }) => id === 'possession')?.code, 'wrong_audience')
  })

  it('the record says what it was told, in clear and sealed for the auditor', async () => {
    const { record } = await world.client.record(paying.entry)
    assert.equal(record.type, 'credential-provenance')
    const { pop, confidential, usage, delivery, components } = record.fields as FieldsOf<'credential-provenance'>
    assert.deepEqual([pop, confidential, usage, delivery, components], ['wpt', true, 'outbound', 'agent', 2])
    assert.ok(record.links.some(({ rel, entry }) => rel === 'issuer-attestation' && toHex(entry) === toHex(host.entry)))
    const { credential, attestation, decision } = await world.open<'credential-provenance'>(paying.entry)
    assert.deepEqual(credential?.audiences, TOLD.audiences)
    assert.deepEqual({ ...credential?.bootstrap }, TOLD.bootstrap)
    assert.deepEqual(credential?.attributes, new Map(Object.entries(TOLD.attributes)))
    const { components: parts, agent, measuredScope, platformBinding } = attestation!
    assert.deepEqual(
      parts.map(({ label }) => label),
      ['sev-snp', 'nvidia-gpu'],
    )
    assert.ok(parts.every(({ keyAttested }) => keyAttested))
    assert.deepEqual({ ...agent }, TOLD.attested.agent)
    assert.deepEqual(
      [measuredScope, { ...platformBinding }],
      [TOLD.attested.measuredScope, TOLD.attested.platformBinding],
    )
    assert.match(decision!.context, /"audience":\["partner.example"\]/)
  })

  it('a credential for a domain that the policy does not name is denied: the decision sees the audience', async () => {
    const asked = issueFor(PAYMENTS, payments, { audiences: ['partner.example', 'elsewhere.example'] })
    await assert.rejects(asked, { code: 'issuance_denied', reasons: ['no-third-parties'] })
  })

  it('a release with a known theft in it is denied, which is on the log and changes nothing for the one before', async () => {
    assertAnswer(await askedOnline(paying), { open: ONLINE })
    let denied: IssuanceDenied | undefined
    await issueFor(PAYMENTS, payments, { sbom: bomOf('pkg:npm/event-stream@3.3.6') }).catch((error) => {
      denied = error
    })
    assert.ok(denied instanceof IssuanceDenied)
    assert.deepEqual(denied.reasons, ['no-stolen-wallets'])
    const { record } = await world.client.record(denied.entry)
    assert.deepEqual([record.type, { ...record.fields }], ['issuance-denied', { reason: 'policy_denied' }])
    const { credential, decision } = await world.open<'issuance-denied'>(denied.entry)
    assert.deepEqual([credential?.subject, decision?.decision], [PAYMENTS, 'deny'])
    assertAnswer(await askedOnline(paying), { open: ONLINE })
  })

  it('the weakest part of a composite governs: for the policy, and for who verifies', async () => {
    const before = results
    results = await world.attest(payments, { driver: '550.54.15' })
    assert.deepEqual(tiersOf(results), ['affirming', 'warning'])
    await assert.rejects(issueFor(PAYMENTS, payments), { code: 'issuance_denied' })
    results = await world.attest(trial, { driver: '550.54.15' })
    weak = await issueFor('spiffe://bank.example/trial', trial)
    assert.equal(weak.tier, 'warning')
    results = before
    assertAnswer(await askedOffline(weak), { refused: { attestation: 'tier_too_low' }, open: FROM_A_FILE })
    assertAnswer(await askedOffline(weak, world.trust({ minimumTier: 'warning' })), { open: FROM_A_FILE })
  })

  it('a revocation reaches whoever asks the log, and nobody who does not', async () => {
    const lenient = world.trust({ minimumTier: 'warning' })
    assertAnswer(await askedOnline(weak, lenient), { open: ONLINE })
    world.clock.now += 60
    await setCredentialStatus({
      ...world.as(keys.bank),
      ...{ credentialDigest: weak.digest, status: 'revoked', reasonCode: 'cessationOfOperation' },
    })
    const online = await askedOnline(weak, lenient)
    assertAnswer(online, { refused: { 'status-current': 'credential_revoked' }, open: ONLINE })
    assert.match(detailOf(online, 'status-current'), /cessationOfOperation/)
    const offline = await askedOffline(weak, lenient)
    assertAnswer(offline, { open: FROM_A_FILE })
    assert.match(detailOf(offline, 'status-current'), /^offline/)
    // A new bundle says so too.
    const bundle = await world.client.bundle(weak.digest)
    assertAnswer(await askedOffline({ ...weak, bundle }, lenient), {
      refused: { status: 'credential_revoked' },
      open: FROM_A_FILE,
    })
    assertAnswer(await askedOnline(paying), { open: ONLINE })
  })

  it('the gateway lets it out under a general name, and who is outside learns no more', async () => {
    const request = {
      ...{ ...world.as(keys.gateway), policyId: 'egress', subject: GENERAL, workloadKey: publicJwkOf(outbound) },
      ...{ results: [host.ear], verifiers: [VERIFIER], kind: 'wit' as const, rule: 'to partners' },
      trust: world.trust(),
    }
    await assert.rejects(generalize({ ...request, internal: weak }), { code: 'internal_refused' })
    general = await generalize({ ...request, internal: paying })
    const report = await askedOnline(general)
    assertAnswer(report, { open: ONLINE.filter((id) => id !== 'stands-for') })
    assert.deepEqual(report.standsFor, { by: GATEWAY, entry: toHex(general.generalization.entry) })
    const shown = await takes(await call(general, outbound), general)
    assertAnswer(shown, { open: ONLINE.filter((id) => id !== 'stands-for' && id !== 'possession') })
    for (const secret of [utf8(PAYMENTS), paying.digest, paying.entry]) {
      assert.ok(!Buffer.from(general.bundle).includes(Buffer.from(secret)), 'nothing in the bundle leads inside')
    }
  })

  const chainOf = (opened: boolean, trust = world.trust()) => {
    const client = world.newClient()
    const link = { trust, at: world.clock.now, client, ...(opened && { openWith: auditorKey }) }
    return verifyChain([general, paying].map(({ credential, bundle }) => ({ ...link, credential, bundle })))
  }
  const outcomes = ({ checks }: Awaited<ReturnType<typeof verifyChain>>) => checks.map(({ outcome }) => outcome)

  it('inbound, the chain of gateway and original holds: by the gateway’s word, and with the key by proof', async () => {
    const closed = await chainOf(false)
    assert.deepEqual([closed.ok, ...outcomes(closed)], [true, 'passed', 'passed', 'not-checked'])
    assertAnswer(closed.credentials[1]!, { open: ONLINE })
    const opened = await chainOf(true)
    assert.deepEqual([opened.ok, ...outcomes(opened)], [true, 'passed', 'passed', 'passed'])
    for (const { checks } of opened.credentials) {
      assert.ok(checks.every(({ id, outcome }) => !OPENED.includes(id) || outcome === 'passed'))
    }
    // In the other order it is another story.
    const reversed = await verifyChain([fileOf(paying), fileOf(general)])
    assert.deepEqual([reversed.ok, ...outcomes(reversed)], [false, 'passed', 'failed', 'not-checked'])
  })

  it('the other domain’s credential is verified by the same rules, on its own issuer’s word', async () => {
    results = await world.attest(ledger)
    const issued = await issueFor(LEDGER, ledger, { ...world.as(keys.partner), policyId: 'ledgers' })
    assertAnswer(await askedOnline(issued), { open: ONLINE })
    const { trustDomains } = world.trust()
    const bankOnly: Trust = {
      ...world.trust(),
      trustDomains: new Map([['bank.example', trustDomains.get('bank.example')!]]),
    }
    const stranger = await askedOnline(issued, bankOnly)
    assert.equal(stranger.checks.find(({ id }) => id === 'signature')?.code, 'unknown_trust_domain')
    assert.equal(stranger.ok, false)
    await assert.rejects(issueFor(PAYMENTS, ledger, { ...world.as(keys.partner), policyId: 'ledgers' }), {
      code: 'wrong_trust_domain',
    })
  })

  it('firmware whose reference value is withdrawn takes with it what was issued on it, and says why', async () => {
    assertAnswer(await askedOnline(paying, strict()), { open: ONLINE })
    assert.equal((await chainOf(false, strict())).ok, true)
    world.clock.now += 60
    const fresh = await world.attest(payments)
    const guests = (await world.client.latest('reference-values', kidOf(publicJwkOf(keys.verifier)), 'guests'))!
    await retract({ ...world.as(keys.verifier), target: guests.entry, reasonCode: 'firmware-hole', detail: 'snp 8' })

    const told = await askedOnline(paying)
    assertAnswer(told, { open: ONLINE })
    assert.match(detailOf(told, 'status-current'), /withdrawn since: reference-values guests .*firmware-hole/)
    const refused = await askedOnline(paying, strict())
    assertAnswer(refused, { refused: { 'status-current': 'grounds_retracted' }, open: ONLINE })
    assert.match(detailOf(refused, 'status-current'), /reference-values guests: from .*firmware-hole/)
    assertAnswer(await askedOffline(paying, strict()), { open: FROM_A_FILE })
    const chain = await chainOf(false, strict())
    assert.deepEqual([chain.ok, ...outcomes(chain)], [false, 'failed', 'not-checked', 'not-checked'])
    // The gateway's host is another machine.
    assertAnswer(await askedOnline(general, strict()), { open: ONLINE.filter((id) => id !== 'stands-for') })

    // Nothing new rests on it, and what was refused is on the log.
    await assert.rejects(issueFor(PAYMENTS, payments, { results: fresh.map(({ ear }) => ear) }), {
      code: 'link_retracted',
    })
    await assert.rejects(world.attest(payments), { code: 'link_retracted' })
  })

  it('with newer firmware it is issued to again, and a strict relying party takes that', async () => {
    world.clock.now += 60
    await world.publishGuests(10)
    results = await world.attest(payments)
    assert.deepEqual(tiersOf(results), ['warning', 'affirming'])
    await assert.rejects(issueFor(PAYMENTS, payments), { code: 'issuance_denied' })
    results = await world.attest(payments, { snp: 10 })
    const renewed = await issueFor(PAYMENTS, payments, { embed: true })
    assertAnswer(await askedOnline(renewed, strict()), { open: ONLINE })
    await setCredentialStatus({
      ...world.as(keys.bank),
      ...{ credentialDigest: paying.digest, status: 'superseded', successor: renewed.digest },
    })
    assertAnswer(await askedOnline(paying, strict()), {
      refused: { 'status-current': 'grounds_retracted' },
      open: ONLINE,
    })
    assert.match(detailOf(await askedOnline(paying), 'status-current'), /^superseded since/)
  })

  it('the auditor replays all of it, finds nothing wrong, and crosses from the general name to the one inside', async () => {
    const report = await replay({
      ...{ client: world.newClient(), trust: world.trust(), stateDir: world.stateDir },
      ...{ now: world.clock.now, key: auditorKey },
    })
    assert.deepEqual(report.findings, [])
    assert.equal(report.records, report.size)
    assert.ok(report.opened > 20)
    const { credential } = await world.open<'identity-generalization'>(general.generalization.entry)
    assert.equal(credential?.subject, PAYMENTS)
    assert.deepEqual([credential.digest, credential.entry], [paying.digest, paying.entry])
    const { standsFor } = await verifyOffline({ ...fileOf(general), openWith: auditorKey })
    assert.equal(standsFor?.internal?.subject, PAYMENTS)
    // What the relying party wrote down leads to the same entry.
    const decision = parseDecisionRecord(decisions[0]!)
    assert.deepEqual([decision.outcome, decision.credential], ['accepted', toHex(paying.digest)])
    assert.equal(decision.log?.entry, toHex(paying.entry))
  })

  it('and asks of what it left behind: who is on the old firmware, on what was withdrawn, and for whom a general name stands', async () => {
    const questions = await Questions.open(world.stateDir)
    const ask = async (id: string, given: Record<string, string> = {}) => {
      const { columns, rows } = await questions.ask(id, new Map(Object.entries(given)), world.clock.now)
      const all: Record<string, Cell>[] = []
      for await (const row of rows) all.push(Object.fromEntries(columns.map((name, i) => [name, row[i]!])))
      return all
    }
    const named = (rows: readonly Record<string, Cell>[]) =>
      rows.map(({ credential }) => toHex(credential as Uint8Array))
    try {
      const own = await ask('credentials-of', { subject: PAYMENTS })
      assert.ok(named(own).includes(toHex(paying.digest)) && own.length > 1)
      const old = await ask('by-firmware', { name: 'versions.snp', versions: '<10' })
      assert.ok(named(old).includes(toHex(paying.digest)))
      const renewed = named(own).at(-1)!
      assert.ok(!named(old).includes(renewed))
      assert.ok(named(await ask('by-firmware', { name: 'versions.snp', versions: '10' })).includes(renewed))
      const withdrawn = await ask('on-retracted')
      const reason = withdrawn.find(({ credential }) => toHex(credential as Uint8Array) === toHex(paying.digest))
      assert.deepEqual([reason?.['relation'], reason?.['reason_code']], ['reference-values', 'firmware-hole'])
      assert.ok(!named(withdrawn).includes(renewed))
      const [inside] = await ask('stands-for', { credential: toHex(general.digest) })
      assert.deepEqual(
        [inside?.['inner_subject'], toHex(inside?.['inner_entry'] as Uint8Array)],
        [PAYMENTS, toHex(paying.entry)],
      )
      const [status] = (await ask('status-history', { credential: toHex(paying.digest) })).slice(-1)
      assert.equal(status?.['status'], 'superseded')
      assert.deepEqual(await ask('findings'), [])

      // A second source: what the bank says that it issued, by digest, by name, and as files.
      const [logged] = await questions.rows('SELECT identifier, kind FROM credentials WHERE digest = unhex($digest)', {
        digest: toHex(paying.digest),
      })
      const ledger = ['digest,jti', `${toHex(general.digest)},`, `,${String(logged![0])}`, ',never-logged'].join('\n')
      const sightings = [...readLedger(utf8(ledger)), readSighting('file', paying.credential)]
      const { seen, unlogged } = await crossCheck(sightings, questions)
      assert.deepEqual([seen, unlogged], [4, [{ where: 'line 4', identifier: 'never-logged' }]])
    } finally {
      questions.close()
    }
  })
})
