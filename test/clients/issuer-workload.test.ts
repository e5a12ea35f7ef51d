import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  createAnchor,
  IssuanceDenied,
  type IssueRequest,
  publishIssuancePolicy,
  publishWorkload,
  spiffeBundle,
} from '../../clients/issuer/index.ts'
import { toBase64, toHex, utf8 } from '../../merkle/index.ts'
import {
  encodePublicKey,
  openSections,
  parseTrust,
  type RecordStatement,
  recordOfStatement,
  verifyCredential,
} from '../../provenance/index.ts'
import { TEST_RESULT } from '../../provenance/workload/compliance.ts'
import { signedBytes } from '../../provenance/workload/dsse.ts'
import { importSigningKey, kidOf, parseSignedStatement, publicJwkOf, unwrapKeys } from '../../statement/index.ts'
import { createParty } from '../provenance/small-log.ts'
import {
  auditor,
  createWorld,
  example,
  ISSUER,
  issuer,
  ORIGIN,
  START,
  TD,
  VERIFIER,
  type World,
} from './issuer-world.ts'
import { BUILDER, bundleOf, createSigstore, entryBody, PROVIDER } from './sigstore-world.ts'

const builder = (await createParty(31, 'builder')).jwk
const vendor = (await createParty(32, 'spiffe://vendor.example/releases')).jwk
const OTHER = 'cd'.repeat(32)

let world: World
let measurement: string

before(async () => {
  world = await createWorld()
  await publishIssuancePolicy({ ...world.as(issuer), id: 'made-of', content: example('workload-policy.cedar') })
  const plain = await world.issue({ results: [await world.result()] })
  measurement = toHex((await provenanceOf(plain.entry)).record.fields.subject)
})
after(() => world.close())

const text = (value: object) => utf8(JSON.stringify(value))

async function attest(
  predicateType: string,
  predicate: object,
  subject = measurement,
  algorithm = 'sha256',
): Promise<Uint8Array> {
  const payload = text({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'payments', digest: { [algorithm]: subject } }],
    predicateType,
    predicate,
  })
  const payloadType = 'application/vnd.in-toto+json'
  const sig = toBase64(await (await importSigningKey(builder)).sign(signedBytes({ payloadType, payload })))
  return text({ payloadType, payload: toBase64(payload), signatures: [{ sig }] })
}

/** @param subject - empty: it does not say what it is about */
function bill(components: number, subject = measurement, more: object[] = []): Uint8Array {
  const hashes = subject === '' ? [] : [{ alg: 'SHA-256', content: subject }]
  const listed = Array.from({ length: components }, (_, i) => ({
    type: 'library',
    name: `package-${i}`,
    purl: `pkg:npm/%40a-scope-of-some-length/package-${i}@${i}.2.${i % 7}`,
  }))
  return text({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    metadata: { component: { type: 'application', name: 'payments', hashes } },
    components: [...listed, ...more],
  })
}

const provenance = (subject?: string) =>
  attest(
    'https://slsa.dev/provenance/v1',
    {
      buildDefinition: {
        buildType: 'https://builder.example/make',
        resolvedDependencies: [{ uri: 'git+https://src.example' }],
      },
      runDetails: { builder: { id: 'https://builder.example/release' } },
    },
    subject,
  )

/** The same, signed by a certificate. */
async function certifiedProvenance(roots: 'ours' | 'others' = 'ours') {
  const [ours, others] = [await createSigstore(), await createSigstore()]
  const { payload } = JSON.parse(new TextDecoder().decode(await provenance()))
  const signed = await ours.attest(JSON.parse(Buffer.from(payload, 'base64').toString()))
  const build = text(bundleOf(signed, [await ours.log(entryBody('dsse 0.0.1', signed))]))
  const trusted = text((roots === 'ours' ? ours : others).roots)
  return { builds: [build], attestationRoots: { roots: trusted, identity: { subject: BUILDER, issuer: PROVIDER } } }
}

const tests = (result = 'PASSED', more: object = {}) =>
  attest(TEST_RESULT, { result, passedTests: ['cis-docker-4.1', 'cis-docker-4.6'], ...more })

async function issue(change: Partial<IssueRequest> = {}) {
  return world.issue({
    policyId: 'made-of',
    sbom: bill(3),
    builds: [await provenance()],
    compliance: [await tests()],
    attestationKeys: [publicJwkOf(builder)],
    ...change,
  })
}

async function provenanceOf(entry: Uint8Array) {
  const { record } = await world.client.record(entry)
  const link = record.links.find(({ rel }) => rel === 'workload-provenance')!
  return (await world.client.record(link.entry)) as RecordStatement<'workload-provenance'>
}

async function opened<T extends 'workload-provenance' | 'credential-provenance'>(found: RecordStatement<T>) {
  const [wrap] = await world.client.wraps(found.entry)
  const { keys } = await unwrapKeys(wrap!, auditor)
  return openSections<T>(found as Parameters<typeof openSections<T>>[0], keys)
}

describe('issuing by what a workload is made of', () => {
  it('takes a bill of materials, a build, tests and a vendor, and seals what they say', async () => {
    const { entry } = await issue({ vendor: { name: 'ACME', id: '7', saas: 'payments' } })
    const found = await provenanceOf(entry)
    assert.deepEqual(
      [toHex(found.record.fields.subject), found.record.fields.subjectKind],
      [measurement, 'measurement'],
    )
    const { workload } = await opened(found)
    assert.deepEqual(workload?.vendor, { name: 'ACME', id: '7', saas: 'payments' })
    assert.deepEqual(
      workload?.build.map(({ builderId, verified, signer }) => [builderId, verified, signer]),
      [['https://builder.example/release', true, kidOf(publicJwkOf(builder))]],
    )
    assert.equal(workload?.compliance.length, 2)
    assert.deepEqual(
      workload?.sbom.map(({ subjects }) => subjects?.map(toHex)),
      [[measurement]],
    )
  })

  it('takes a build that a certificate signed, by the roots of its CA, and seals whom that names', async () => {
    const { entry } = await issue(await certifiedProvenance())
    const { workload } = await opened(await provenanceOf(entry))
    assert.deepEqual(
      workload?.build.map(({ builderId, verified, signer, identity }) => [builderId, verified, signer, identity]),
      [['https://builder.example/release', true, undefined, { subject: BUILDER, issuer: PROVIDER }]],
    )
  })

  it('decides over two thousand components in a record of a few thousand bytes', async () => {
    const { entry, credential, bundle } = await issue({ sbom: bill(2000) })
    const found = (await world.client.record(entry)) as RecordStatement<'credential-provenance'>
    const { decision } = await opened(found)
    assert.ok(decision!.context.length < 4096, `${decision!.context.length} characters`)
    assert.ok(found.statement.bytes.length < 16 * 1024, `${found.statement.bytes.length} bytes`)
    assert.equal((await opened(await provenanceOf(entry))).workload?.sbom[0]?.components.length, 2000)

    // Whoever has the key makes the decision again, out of the two thousand.
    const anchor = await createAnchor({ ...world.as(issuer), trustDomain: TD })
    const trust = parseTrust(
      JSON.stringify({
        logs: [{ origin: ORIGIN, vkey: world.vkey }],
        trustDomains: { [TD]: spiffeBundle({ anchors: [anchor.der], witKeys: [publicJwkOf(issuer)] }) },
        issuers: [ISSUER],
        verifiers: [VERIFIER],
        minimumTier: 'affirming',
      }),
    )
    const report = await verifyCredential({ credential, bundle, trust, at: START, openWith: auditor })
    assert.ok(report.ok)
    assert.equal(report.checks.find(({ id }) => id === 'sealed-decision')?.outcome, 'passed')
  })

  it('has room for four thousand components, and says when there is none (too_large)', async () => {
    const short = (count: number) =>
      text({
        bomFormat: 'CycloneDX',
        specVersion: '1.6',
        metadata: { component: { type: 'application', name: 'p', hashes: [{ alg: 'SHA-256', content: measurement }] } },
        components: Array.from({ length: count }, (_, i) => ({
          type: 'library',
          name: 'p',
          purl: `pkg:npm/package-of-thirty-characters-${1000 + i}@1.22.3`,
        })),
      })
    await issue({ sbom: short(4000) })
    await assert.rejects(issue({ sbom: short(8000) }), { code: 'too_large' })
  })

  const denied: [what: string, reasons: string[], change: () => Promise<Partial<IssueRequest>>][] = [
    [
      'one bad package among two thousand',
      ['no-compromised-components'],
      async () => ({
        sbom: bill(2000, measurement, [
          { type: 'library', name: 'x', purl: 'pkg:NPM/event-stream@3.3.6?download_url=x' },
        ]),
      }),
    ],
    [
      'a component without a package URL by its CPE name',
      ['no-compromised-components'],
      async () => ({
        sbom: bill(1, measurement, [{ type: 'library', name: 'xz', cpe: 'cpe:2.3:a:Tukaani:XZ:5.6.0:*:*:*:*:*:*:*' }]),
      }),
    ],
    ['a bill of materials about something else', [], async () => ({ sbom: bill(3, OTHER) })],
    ['a bill of materials that does not say what it is about', [], async () => ({ sbom: bill(3, '') })],
    ['a builder that nobody verified', [], async () => ({ attestationKeys: [] })],
    ['no build', [], async () => ({ builds: [] })],
    [
      'a test that failed',
      [],
      async () => ({ compliance: [await tests('FAILED', { failedTests: ['cis-docker-5'] })] }),
    ],
    [
      'tests that somebody says have passed',
      [],
      async () => ({
        compliance: [
          text({
            results: ['cis-docker-4.1', 'cis-docker-4.6'].map((test) => ({ test, result: 'pass' })),
          }),
        ],
      }),
    ],
    [
      'a verification summary that failed',
      ['no-failed-verification-summaries'],
      async () => ({
        builds: [
          await provenance(),
          await attest('https://slsa.dev/verification_summary/v1', {
            verifier: { id: 'https://v.example' },
            verificationResult: 'FAILED',
          }),
        ],
      }),
    ],
  ]
  for (const [what, reasons, change] of denied) {
    it(`denies ${what}`, async () => {
      const denial = await issue(await change()).catch((error: unknown) => error)
      assert.ok(denial instanceof IssuanceDenied, String(denial))
      assert.deepEqual(denial.reasons, reasons)
    })
  }

  const refused: [what: string, code: string, change: () => Promise<Partial<IssueRequest>>][] = [
    ['a build of something else', 'subject_mismatch', async () => ({ builds: [await provenance(OTHER)] })],
    [
      'tests of something else',
      'subject_mismatch',
      async () => ({ compliance: [await attest(TEST_RESULT, { result: 'PASSED' }, OTHER)] }),
    ],
    [
      'tests of something that is known by another algorithm',
      'subject_mismatch',
      async () => ({ compliance: [await attest(TEST_RESULT, { result: 'PASSED' }, OTHER + OTHER, 'sha512')] }),
    ],
    [
      'a list of tests of something else',
      'subject_mismatch',
      async () => ({ compliance: [text({ subject: { sha256: OTHER }, results: [{ test: 'a', result: 'pass' }] })] }),
    ],
    ['a build of nothing that was measured', 'subject_unknown', async () => ({ results: [] })],
    ['a build signed by somebody else', 'bad_signature', async () => ({ attestationKeys: [publicJwkOf(vendor)] })],
    ['a build by a certificate of another CA', 'untrusted_certificate', () => certifiedProvenance('others')],
    ['what is no attestation', 'malformed_attestation', async () => ({ builds: [utf8('hello')] })],
    ['what is no list of results', 'malformed_compliance', async () => ({ compliance: [text({ results: 1 })] })],
  ]
  for (const [what, code, change] of refused) {
    it(`refuses ${what} (${code}), and issues nothing`, async () => {
      const results = [await world.result()]
      const before = (await world.client.checkpoint()).size
      await assert.rejects(issue({ results, ...(await change()) }), { code })
      const { size } = await world.client.checkpoint()
      assert.equal(size, before + 1)
      const [last] = await world.client
        .statementBundle(Math.floor(before / 256), size % 256)
        .then((all) => all.slice(-1))
      const { type, fields } = recordOfStatement(parseSignedStatement(last!))
      assert.deepEqual([type, fields], ['issuance-denied', { reason: code }])
    })
  }
})

describe('a vendor', () => {
  const publish = (change: Partial<Parameters<typeof publishWorkload>[0]> = {}) =>
    publishWorkload({
      ...world.as(vendor),
      image: Buffer.from(measurement, 'hex'),
      sbom: bill(5),
      vendor: { name: 'Vendor', saas: 'ledger' },
      recipients: [publicJwkOf(auditor)],
      ...change,
    })

  it('is nobody before the log’s admin says so (not_authorized)', async () => {
    await assert.rejects(publish(), { code: 'not_authorized' })
  })

  it('publishes what a workload is made of, and an issuer decides by it, knowing whose word it is', async () => {
    await world.authorize({
      role: 'vendor',
      trustDomain: 'vendor.example',
      subject: 'spiffe://vendor.example/releases',
      key: encodePublicKey(publicJwkOf(vendor)),
    })
    const published = await publish()
    assert.deepEqual([published.subject, published.components], [measurement, 5])
    const issued = await world.issue({
      policyId: 'made-of',
      workloadProvenance: published.entry,
      openWith: auditor,
      results: [await world.result()],
    })
    assert.equal(toHex((await provenanceOf(issued.entry)).entry), toHex(published.entry))
    const found = (await world.client.record(issued.entry)) as RecordStatement<'credential-provenance'>
    const { decision } = await opened(found)
    assert.deepEqual(decision?.reasons, ['vendor-appliances'])
    assert.match(decision!.context, /"publisher":"spiffe:\/\/vendor.example\/releases"/)
  })

  it('links a later version to the one before', async () => {
    const [first, second] = [await publish({ sbom: bill(6) }), await publish({ sbom: bill(7) })]
    const { record } = await world.client.record(second.entry)
    assert.deepEqual(record.links, [{ rel: 'previous', entry: first.entry }])
  })

  it('cannot lend its word to another subject (subject_mismatch)', async () => {
    await assert.rejects(publish({ builds: [await provenance(OTHER)] }), { code: 'subject_mismatch' })
  })
})
