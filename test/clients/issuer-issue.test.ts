import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  createAnchor,
  IssuanceDenied,
  type Issued,
  type IssueRequest,
  type IssuerLog,
  publishIssuancePolicy,
  setCredentialStatus,
  spiffeBundle,
} from '../../clients/issuer/index.ts'
import { publishPolicy, publishReferenceValues } from '../../clients/verifier/index.ts'
import { equalBytes, type Hash, sha256, UnavailableError, utf8 } from '../../merkle/index.ts'
import {
  type Author,
  buildEarClaims,
  decodeBundle,
  EAR_TYP,
  type EarClaims,
  encodePublicKey,
  LOG_REFERENCE_OID,
  openSections,
  parseCredential,
  parseTrust,
  type RecordStatement,
  recordOfStatement,
  signCompactJws,
  type Tier,
  verifyCredential,
} from '../../provenance/index.ts'
import {
  type EcPublicJwk,
  importSigningKey,
  jwkThumbprint,
  kidOf,
  type PrivateJwk,
  parseSignedStatement,
  publicJwkOf,
  unwrapKeys,
} from '../../statement/index.ts'
import { authority, certify, uris } from '../certificates/authority.ts'
import { createParty, notRandom } from '../provenance/small-log.ts'
import {
  auditor,
  createWorld,
  example,
  ISSUER,
  issuer,
  ORIGIN,
  SBOM,
  START,
  SUBJECT,
  stranger,
  TD,
  VERIFIER,
  verifier,
  type World,
  workload,
} from './issuer-world.ts'

const HOUR = 3600
const anchor = await createAnchor({ key: issuer, trustDomain: TD, now: START, random: notRandom('anchor') })

let world: World
before(async () => {
  world = await createWorld()
})
after(() => world.close())

const trust = () =>
  parseTrust(
    JSON.stringify({
      logs: [{ origin: ORIGIN, vkey: world.vkey }],
      trustDomains: { [TD]: spiffeBundle({ anchors: [anchor.der], witKeys: [publicJwkOf(issuer)] }) },
      issuers: [ISSUER],
      verifiers: [VERIFIER],
      minimumTier: 'affirming',
    }),
  )
const verify = ({ credential, bundle }: Pick<Issued, 'credential' | 'bundle'>, openWith?: PrivateJwk) =>
  verifyCredential({ credential, bundle, trust: trust(), at: START, ...(openWith ? { openWith } : {}) })

const size = async () => (await world.client.checkpoint()).size
const lastRecord = async () => {
  const at = (await size()) - 1
  const bundle = await world.client.statementBundle(Math.floor(at / 256), (at % 256) + 1)
  return recordOfStatement(parseSignedStatement(bundle.at(-1)!))
}
const hasCode = (code: string) => (error: { code?: string; message?: string }) => {
  assert.equal(error.code, code, error.message)
  return true
}

describe('issue, with a reference to the log in the credential', () => {
  for (const kind of ['wit', 'wic'] as const) {
    it(`announces a ${kind} by an intent, which it names, and both directions hold`, async () => {
      const issued = await world.issue({ kind, anchor: anchor.der, embed: true })
      const { logReference } = parseCredential(issued.credential)
      assert.deepEqual(logReference, { log: ORIGIN, ...issued.intent })
      assert.ok(issued.intent!.index < issued.index)
      const report = await verify(issued, auditor)
      assert.ok(report.ok, JSON.stringify(report.checks, null, 1))
      const binding = report.checks.find(({ id }) => id === 'binding')
      assert.match(binding!.detail, /^announced by entry/)
      const { record } = await world.client.record(issued.entry)
      assert.ok(
        record.links.some(({ rel, entry }) => rel === 'issuance-intent' && equalBytes(entry, issued.intent!.entry)),
      )
    })
  }

  it('is a certificate that OpenSSL and we take for what it is besides', async (t) => {
    const issued = await world.issue({ kind: 'wic', anchor: anchor.der, embed: true })
    const directory = mkdtempSync(join(tmpdir(), 'provlog-embed-'))
    t.after(() => rmSync(directory, { recursive: true }))
    writeFileSync(join(directory, 'anchor.pem'), anchor.pem)
    writeFileSync(join(directory, 'credential.pem'), issued.text)
    const run = (...words: string[]) => execFileSync('openssl', words, { cwd: directory, encoding: 'utf8' })
    const shown = run('x509', '-in', 'credential.pem', '-noout', '-text')
    assert.match(shown, new RegExp(`${LOG_REFERENCE_OID.replaceAll('.', '\\.')}: \\n`))
    assert.match(run('verify', '-CAfile', 'anchor.pem', '-attime', String(START + 1), 'credential.pem'), /OK/)
  })
})

describe('issue, under an intermediate', () => {
  it('hands out the certificates between, names the leaf alone, and ends when the first of them does', async () => {
    const [start, end] = [START - 3600, START + 40 * 86_400]
    const root = await certify('authority', { kind: 'P-384', notBefore: start, notAfter: START + 3000 })
    const { kty, crv, x, y } = publicJwkOf(issuer) as EcPublicJwk
    const es256 = { name: 'ECDSA', namedCurve: 'P-256' }
    const publicKey = await crypto.subtle.importKey('jwk', { kty, crv, x, y }, es256, true, ['verify'])
    const middle = await certify('intermediate', {
      issuer: root,
      keys: { publicKey, privateKey: publicKey },
      notBefore: start,
      notAfter: end,
      extensions: authority(0, uris(`spiffe://${TD}`)),
    })
    const request = { kind: 'wic', anchor: middle.der, above: [root.der] } as const
    const issued = await world.issue({ ...request, lifetime: 3000 })
    const { digest, intermediates } = parseCredential(utf8(issued.text))
    assert.deepEqual([intermediates?.length, digest], [1, sha256(issued.credential)])
    assert.ok(equalBytes(issued.digest, digest))
    await assert.rejects(world.issue({ ...request, lifetime: 3001 }), hasCode('lifetime_too_long'))
  })
})

describe('issue', () => {
  for (const kind of ['wit', 'wic'] as const) {
    it(`issues a ${kind} whose story holds, for everybody and for an auditor with a key`, async () => {
      const issued = await world.issue({ kind, anchor: anchor.der, attributes: { environment: 'test' } })
      assert.equal(issued.tier, 'affirming')
      const credential = parseCredential(utf8(issued.text))
      assert.deepEqual(credential.bytes, issued.credential)
      assert.equal(credential.subject.uri, SUBJECT)
      assert.equal(credential.keyThumbprint, jwkThumbprint(publicJwkOf(workload)))
      assert.deepEqual([issued.notBefore, issued.notAfter], [START, START + HOUR])

      const report = await verify(issued, auditor)
      assert.ok(report.ok, JSON.stringify(report.checks, null, 1))
      assert.deepEqual(report.opened?.credential?.attributes, new Map([['environment', 'test']]))
      assert.equal(report.opened?.decision?.decision, 'allow')
      assert.deepEqual(report.opened?.decision?.reasons, ['attested-payment-workloads'])
      const skipped = report.checks.filter(({ outcome }) => outcome === 'not-checked').map(({ id }) => id)
      for (const id of ['sealed-credential', 'sealed-uniqueness', 'sealed-decision'])
        assert.ok(!skipped.includes(id), id)
    })
  }

  it('gives every credential a name of its own', async () => {
    const results = [await world.result()]
    const [a, b] = [await world.issue({ results }), await world.issue({ results })]
    assert.notEqual(a.identifier, b.identifier)
    assert.equal(Buffer.from(a.identifier, 'base64url').length, 16)
  })

  it('takes one result given twice for one', async () => {
    const result = await world.result()
    const { entry } = await world.issue({ results: [result, result] })
    const { record } = await world.client.record(entry)
    assert.equal(record.links.filter(({ rel }) => rel === 'attestation-result').length, 1)
  })

  it('issues for an hour, for less on request, and never for longer than the log admin allows (lifetime_too_long)', async () => {
    const results = [await world.result()]
    assert.equal((await world.issue({ results, lifetime: 60 })).notAfter, START + 60)
    await assert.rejects(world.issue({ results, lifetime: 7201 }), hasCode('lifetime_too_long'))
  })

  it('links an earlier workload-provenance record, if it can read what it decides on (provenance_sealed)', async () => {
    const first = await world.issue()
    const { record } = await world.client.record(first.entry)
    const { entry } = record.links.find(({ rel }) => rel === 'workload-provenance')!
    const second = await world.issue({ workloadProvenance: entry, openWith: auditor })
    assert.deepEqual(
      (await world.client.record(second.entry)).record.links.find(({ rel }) => rel === 'workload-provenance')?.entry,
      entry,
    )
    assert.ok((await verify(second, auditor)).ok)
    await assert.rejects(world.issue({ workloadProvenance: entry }), hasCode('provenance_sealed'))
    await assert.rejects(world.issue({ workloadProvenance: entry, openWith: stranger }), hasCode('provenance_sealed'))
    await assert.rejects(world.issue({ workloadProvenance: entry, sbom: SBOM }), hasCode('two_provenances'))
  })

  for (const [what, entry] of [
    ['an entry that is not on the log', async () => sha256(utf8('nothing'))],
    [
      'an entry of another type',
      async () => (await world.client.latest('issuance-policy', kidOf(issuer), 'workloads'))!.entry,
    ],
  ] as const) {
    it(`refuses ${what} as workload provenance (unknown_provenance)`, async () => {
      await assert.rejects(world.issue({ workloadProvenance: await entry() }), hasCode('unknown_provenance'))
    })
  }

  const early: [what: string, code: string, change: Partial<IssueRequest>][] = [
    ['a key that is no issuer of this log', 'not_authorized', { key: stranger }],
    ["a verifier's key", 'not_authorized', { key: verifier }],
    ['a date before the authorization', 'not_authorized', { now: START - 1 }],
    ['a subject of another trust domain', 'wrong_trust_domain', { subject: 'spiffe://shop.example/payments' }],
    ['a subject that is no workload identifier', 'malformed_identifier', { subject: 'payments' }],
    ['a policy that it does not have', 'unknown_policy', { policyId: 'other' }],
    ['a certificate without an anchor', 'anchor_required', { kind: 'wic' }],
    ['a bill of materials that is none', 'unsupported_sbom', { sbom: utf8('{}') }],
  ]
  for (const [what, code, change] of early) {
    it(`refuses ${what} (${code}), and issues nothing; who may issue leaves a trace of it`, async () => {
      const results = [await world.result()]
      const before = await size()
      await assert.rejects(world.issue({ results, ...change }), hasCode(code))
      if (code === 'not_authorized') {
        assert.equal(await size(), before)
        return
      }
      const record = await lastRecord()
      assert.equal(record.type, 'issuance-denied')
      assert.deepEqual({ ...record.fields }, { reason: code })
      assert.deepEqual(record.sealed?.sections.map(({ label }) => label).includes('detail'), true)
    })
  }

  it('refuses an anchor of another trust domain (anchor_mismatch)', async () => {
    const other = await createAnchor({
      key: issuer,
      trustDomain: 'shop.example',
      now: START,
      random: notRandom('other'),
    })
    await assert.rejects(world.issue({ kind: 'wic', anchor: other.der }), hasCode('anchor_mismatch'))
  })

  it('refuses an anchor that has ended (anchor_expired)', async () => {
    const old = await createAnchor({
      key: issuer,
      trustDomain: TD,
      now: START - 400 * 86_400,
      years: 1,
      random: notRandom('old'),
    })
    await assert.rejects(world.issue({ kind: 'wic', anchor: old.der }), hasCode('anchor_expired'))
  })

  it('refuses a policy that is not in force (not_in_force)', async () => {
    const policy = { id: 'later', content: example('issuance-policy.cedar'), notBefore: START + 1 }
    await publishIssuancePolicy({ ...world.as(issuer), ...policy })
    await assert.rejects(world.issue({ policyId: 'later' }), hasCode('not_in_force'))
  })
})

describe('a denial', () => {
  it('is on the log with the reasons sealed, and carries no credential (issuance_denied)', async () => {
    const sbom = utf8(new TextDecoder().decode(SBOM).replace('fastify@5.0.0', 'flatmap-stream@0.1.1'))
    const denied = await world.issue({ sbom }).catch((error: unknown) => error)
    assert.ok(denied instanceof IssuanceDenied)
    assert.equal(denied.code, 'issuance_denied')
    assert.deepEqual(denied.reasons, ['no-compromised-components'])

    const found = await world.client.record(denied.entry)
    assert.equal(found.record.type, 'issuance-denied')
    assert.deepEqual(found.record.fields, { reason: 'policy_denied' })
    const [wrap] = await world.client.wraps(denied.entry)
    const { keys } = await unwrapKeys(wrap!, auditor)
    const { decision } = await openSections(found as RecordStatement<'issuance-denied'>, keys)
    assert.equal(decision?.decision, 'deny')
    assert.deepEqual(decision?.reasons, ['no-compromised-components'])
  })

  it('is what the weakest of several results leads to', async () => {
    const good = await world.result()
    const path = join(world.directory, 'payments')
    writeFileSync(path, 'payments 1.4.2 and a backdoor\n')
    const bad = await world.result()
    writeFileSync(path, 'payments 1.4.2\n')
    await world.issue({ results: [good] })
    await assert.rejects(world.issue({ results: [good, bad] }), hasCode('issuance_denied'))
  })

  it('is what no result at all leads to, unless the policy takes that', async () => {
    await assert.rejects(world.issue({ results: [] }), hasCode('issuance_denied'))
    const content = utf8('@id("anybody") permit (principal, action, resource);')
    await publishIssuancePolicy({ ...world.as(issuer), id: 'anybody', content })
    const detail = 'the machines of this site have no TPM'
    const unattested = { reasonCode: 'no-attester', detail }
    const issued = await world.issue({ results: [], policyId: 'anybody', unattested })
    const { record } = await world.client.record(issued.entry)
    assert.equal(record.type === 'credential-provenance' && record.fields.attestation, 'none')
    assert.equal(issued.tier, 'none')

    const { credential, bundle } = issued
    const lenient = { ...trust(), minimumTier: 'none' as const }
    const report = await verifyCredential({ credential, bundle, trust: lenient, at: START, openWith: auditor })
    assert.equal(report.ok, true)
    const attestation = report.checks.find(({ id }) => id === 'attestation')
    assert.equal(attestation?.detail, '0 results, none (no-attester); you demand none')
    assert.equal(report.opened?.unattestedBecause, detail)
    assert.ok(!Buffer.from(bundle).includes(detail), 'the details are sealed')
  })

  it('on no result and without a reason is refused, and so is a reason that is empty (reason_missing)', async () => {
    const request = { results: [], policyId: 'anybody' }
    await assert.rejects(world.issue(request), hasCode('reason_missing'))
    await assert.rejects(world.issue({ ...request, unattested: { reasonCode: '' } }), hasCode('reason_missing'))
  })

  it('follows from a lifetime that the policy does not take', async () => {
    await assert.rejects(world.issue({ lifetime: 7200 }), hasCode('issuance_denied'))
  })
})

describe('attestation results', async () => {
  const claimsOf = (change: Partial<EarClaims> = {}, tier: Tier = 'affirming'): EarClaims => ({
    issuedAt: START,
    expiresAt: START + HOUR,
    verifier: { developer: 'https://provlog.example', build: 'test' },
    appraisals: new Map([['it', { status: tier, ...(tier === 'affirming' ? { vector: { executables: 2 } } : {}) }]]),
    ...change,
  })
  const signed = (claims: EarClaims, key = verifier, kid = kidOf(key)) =>
    signCompactJws({ typ: EAR_TYP, kid }, buildEarClaims(claims), key)

  /** Logs a record about `ear`, whatever it is, as the verifier may. */
  async function logResult(
    ear: string,
    change: Partial<{ tier: Tier; expiresAt: number }> = {},
    key = verifier,
  ): Promise<string> {
    const { client, random } = world
    const [authorization] = (await client.authorizations(kidOf(key))).toReversed()
    const author: Author = { key: await importSigningKey(key), issuer: authorization!.subject, now: START, random }
    const own = key === abroad ? kidOf(abroad) : kidOf(verifier)
    const latest = async (type: 'appraisal-policy' | 'reference-values', id: string) => ({
      rel: type,
      entry: (await client.latest(type, own, id))!.entry,
    })
    const fields = {
      resultDigest: sha256(utf8(ear)),
      evidenceDigest: sha256(utf8('evidence')),
      format: 'test',
      tier: 'affirming' as const,
      issuedAt: START,
      expiresAt: START + HOUR,
      ...change,
    }
    const links = [
      await latest('appraisal-policy', 'files'),
      await latest('reference-values', 'payments'),
      { rel: 'key-authorization' as const, entry: authorization!.entry },
    ]
    await client.registerRecord({ type: 'attestation-result', fields, links }, author)
    return ear
  }

  const ABROAD = 'spiffe://attest.example/verifier'
  const { jwk: abroad } = await createParty(31, ABROAD)
  before(async () => {
    const key = encodePublicKey(publicJwkOf(abroad))
    await world.authorize({ trustDomain: 'attest.example', subject: ABROAD, key })
    const values = example('reference-values.example.json')
    await publishPolicy({ ...world.as(abroad), id: 'files', content: example('appraisal-policy.json') })
    await publishReferenceValues({ ...world.as(abroad), id: 'payments', content: values })
  })
  const ended = async () => {
    const { jwk } = await createParty(32, VERIFIER)
    await world.authorize({ key: encodePublicKey(publicJwkOf(jwk)) })
    const ear = await logResult(await signed(claimsOf(), jwk), {}, jwk)
    await world.authorize({ key: encodePublicKey(publicJwkOf(jwk)), notBefore: START - 9, notAfter: START })
    return ear
  }

  const bad: [what: string, code: string, result: () => Promise<string>][] = [
    ['what is no token', 'malformed_result', async () => 'affirming, I promise'],
    [
      'a token that names no key',
      'malformed_result',
      () => signCompactJws({ typ: EAR_TYP }, buildEarClaims(claimsOf()), verifier),
    ],
    [
      'a token that is no EAR',
      'malformed_result',
      async () => logResult(await signCompactJws({ typ: EAR_TYP, kid: kidOf(verifier) }, '{}', verifier)),
    ],
    ['a key that is not a key', 'malformed_result', () => signed(claimsOf(), verifier, '../../checkpoint')],
    ['a result that its verifier has not logged', 'unknown_result', () => signed(claimsOf())],
    ['a verifier that this log does not know', 'verifier_not_authorized', () => signed(claimsOf(), stranger)],
    [
      'a verifier of another trust domain',
      'verifier_not_authorized',
      async () => logResult(await signed(claimsOf(), abroad), {}, abroad),
    ],
    ['a verifier whose authorization has ended', 'verifier_not_authorized', ended],
    ['our own word', 'verifier_is_issuer', () => signed(claimsOf(), issuer)],
    [
      'a result that somebody else signed',
      'bad_result_signature',
      async () => logResult(await signed(claimsOf(), stranger, kidOf(verifier))),
    ],
    [
      'a result from the future',
      'expired_result',
      async () => logResult(await signed(claimsOf({ issuedAt: START + 1 }))),
    ],
    [
      'a result without an end',
      'expired_result',
      async () => {
        const { expiresAt: _expiresAt, ...endless } = claimsOf()
        return logResult(await signed(endless))
      },
    ],
    [
      'a better tier on the log than in the result',
      'result_record_mismatch',
      async () => logResult(await signed(claimsOf({}, 'warning'))),
    ],
    [
      'another end on the log than in the result',
      'result_record_mismatch',
      async () => logResult(await signed(claimsOf()), { expiresAt: START + 2 * HOUR }),
    ],
    ["another workload's key", 'key_not_attested', () => world.result({ workload: stranger })],
  ]
  for (const [what, code, result] of bad) {
    it(`are refused: ${what} (${code}), which leaves a trace in the log`, async () => {
      const results = [await world.result(), await result()]
      const before = await size()
      await assert.rejects(world.issue({ results }), hasCode(code))
      assert.equal(await size(), before + 1)
      const record = await lastRecord()
      assert.deepEqual([record.type, record.fields], ['issuance-denied', { reason: code }])
    })
  }

  it('are refused at their end, and not a second before (expired_result)', async () => {
    const world = await createWorld()
    try {
      const results = [await world.result()]
      const content = utf8('permit (principal, action, resource);')
      await publishIssuancePolicy({ ...world.as(issuer), id: 'any age', content })
      world.clock.now = START + HOUR - 1
      await world.issue({ results, policyId: 'any age' })
      world.clock.now = START + HOUR
      await assert.rejects(world.issue({ results, policyId: 'any age' }), hasCode('expired_result'))
    } finally {
      await world.close()
    }
  })

  it('are refused when there are more than a record can link (too_many_results)', async () => {
    const results = Array.from({ length: 17 }, (_, i) => `result ${i}`)
    await assert.rejects(world.issue({ results }), hasCode('too_many_results'))
  })

  it('are accepted from a verifier of another trust domain that was named', async () => {
    const ear = await logResult(await signed(claimsOf(), abroad), {}, abroad)
    const content = utf8('permit (principal, action, resource) when { context.attestation.tier == "affirming" };')
    await publishIssuancePolicy({ ...world.as(issuer), id: 'tier', content })
    const issued = await world.issue({ results: [ear], verifiers: [ABROAD], policyId: 'tier' })
    assert.equal(issued.tier, 'affirming')
  })
})

describe('when the log fails', () => {
  const failing = (change: Partial<IssuerLog>): IssuerLog => {
    const { client } = world
    return {
      authorizations: (kid) => client.authorizations(kid),
      bundle: (digest) => client.bundle(digest),
      latest: (type, kid, id) => client.latest(type, kid, id),
      origin: () => client.origin(),
      policy: () => client.policy(),
      record: (entry) => client.record(entry),
      registerRecord: (record, author) => client.registerRecord(record, author),
      story: (digest) => client.story(digest),
      wraps: (entry) => client.wraps(entry),
      ...change,
    }
  }
  const unavailable = async (): Promise<never> => {
    throw new UnavailableError('no answer')
  }

  it('no credential is given out that the log has not acknowledged', async () => {
    const results = [await world.result()]
    let signed: Hash | undefined
    const client = failing({
      registerRecord: (record, author) => {
        if (record.type !== 'credential-provenance') return world.client.registerRecord(record, author)
        signed = (record.fields as { credentialDigest: Hash }).credentialDigest
        return unavailable()
      },
    })
    await assert.rejects(world.issue({ client, results } as Partial<IssueRequest>), UnavailableError)
    assert.ok(signed, 'the credential existed, and stayed inside')
    await assert.rejects(world.client.bundle(signed), { status: 404 })
  })

  for (const call of ['authorizations', 'latest', 'story', 'policy'] as const) {
    it(`nothing is issued: no answer to ${call}`, async () => {
      const results = [await world.result()]
      await assert.rejects(world.issue({ client: failing({ [call]: unavailable }), results }), UnavailableError)
    })
  }

  it('a credential whose bundle would not verify is withheld (self_check_failed)', async () => {
    const other = await world.issue()
    const client = failing({ story: async () => decodeBundle(other.bundle) })
    await assert.rejects(world.issue({ client }), hasCode('self_check_failed'))
  })

  it('nothing is issued by a log that is gone', async () => {
    const gone = await createWorld()
    try {
      const results = [await gone.result()]
      await gone.stop()
      await assert.rejects(gone.issue({ results }), UnavailableError)
    } finally {
      await gone.close()
    }
  })
})

describe('setCredentialStatus', () => {
  const set = (
    credentialDigest: Hash,
    status: Parameters<typeof setCredentialStatus>[0]['status'],
    more: object = {},
  ) => setCredentialStatus({ ...world.as(issuer), credentialDigest, status, ...more })
  const statusCheck = async ({ credential, digest }: Issued) => {
    const { checks } = await verify({ credential, bundle: await world.client.bundle(digest) })
    const { outcome, code } = checks.find(({ id }) => id === 'status')!
    return code ?? outcome
  }

  it('suspends, reinstates and revokes, and relying parties see it', async () => {
    const issued = await world.issue()
    await set(issued.digest, 'suspended')
    assert.equal(await statusCheck(issued), 'credential_suspended')
    await set(issued.digest, 'reinstated')
    assert.equal(await statusCheck(issued), 'passed')
    const detail = { detail: 'the laptop was left in a taxi', recipients: [publicJwkOf(auditor)] }
    const { entry } = await set(issued.digest, 'revoked', {
      reasonCode: 'keyCompromise',
      effectiveAt: START - 60,
      ...detail,
    })
    assert.equal(await statusCheck(issued), 'credential_revoked')

    const { record } = await world.client.record(entry)
    assert.deepEqual(record.fields, {
      credentialDigest: issued.digest,
      status: 'revoked',
      effectiveAt: START - 60,
      reasonCode: 'keyCompromise',
    })
    assert.equal((await world.client.wraps(entry)).length, 1)
  })

  it('keeps a suspended credential suspended when it is superseded, until it is reinstated', async () => {
    const issued = await world.issue()
    await set(issued.digest, 'suspended')
    await set(issued.digest, 'superseded')
    assert.equal(await statusCheck(issued), 'credential_suspended')
    await set(issued.digest, 'reinstated')
    assert.equal(await statusCheck(issued), 'passed')
    await assert.rejects(set(issued.digest, 'reinstated'), hasCode('illegal_status'))
  })

  it('never takes a revocation back, and reinstates only what is suspended (illegal_status)', async () => {
    const { digest } = await world.issue()
    await assert.rejects(set(digest, 'reinstated'), hasCode('illegal_status'))
    await set(digest, 'revoked')
    for (const status of ['reinstated', 'suspended', 'superseded'] as const) {
      await assert.rejects(set(digest, status), hasCode('illegal_status'))
    }
  })

  it('knows only credentials of this log (unknown_credential)', async () => {
    await assert.rejects(set(sha256(utf8('none')), 'revoked'), hasCode('unknown_credential'))
  })

  it('is not for others (not_authorized, link_not_own)', async () => {
    const { digest } = await world.issue()
    await assert.rejects(set(digest, 'revoked', { key: stranger }), hasCode('not_authorized'))
    const { jwk } = await createParty(33, `spiffe://${TD}/other-issuer`)
    const subject = `spiffe://${TD}/other-issuer`
    await world.authorize({ role: 'issuer', subject, key: encodePublicKey(publicJwkOf(jwk)) })
    await assert.rejects(set(digest, 'revoked', { key: jwk }), hasCode('link_not_own'))
  })
})

describe('publishIssuancePolicy', () => {
  const publish = (text: string, key = issuer) =>
    publishIssuancePolicy({ ...world.as(key), id: 'new', content: utf8(text) })

  it('publishes what parses and fits the schema of issuance (invalid_policy)', async () => {
    const before = await size()
    for (const text of [
      'permit all',
      '',
      'permit (principal, action, resource) when { context.attestation.teir == "affirming" };',
    ]) {
      await assert.rejects(publish(text), hasCode('invalid_policy'))
    }
    assert.equal(await size(), before)
    assert.equal((await publish('permit (principal, action, resource);')).version, 1)
  })

  it('is not for strangers (not_authorized)', async () => {
    await assert.rejects(publish('permit (principal, action, resource);', stranger), hasCode('not_authorized'))
  })
})
