import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromHex } from '../../../merkle/bytes.ts'
import type { WorkloadDescription } from '../../../provenance/index.ts'
import { workloadFacts } from '../../../provenance/issuance/workload-facts.ts'

const SUBJECT = 'aa'.repeat(32)
const digest = new Uint8Array(32)
const record = { subject: SUBJECT, subjectKind: 'measurement', publisher: 'spiffe://bank.example/issuer' }
const bill = { format: 'CycloneDX', specVersion: '1.6', digest, components: [] }
const empty: WorkloadDescription = { sbom: [], build: [], compliance: [] }

describe('workloadFacts', () => {
  const provenance = { predicateType: 'https://slsa.dev/provenance/v1', digest }
  const summary = { predicateType: 'https://slsa.dev/verification_summary/v1', digest, verified: true, signer: 'k2' }
  const description: WorkloadDescription = {
    sbom: [
      { ...bill, components: ['pkg:npm/b@1', 'pkg:npm/a@1'], others: [{ name: 'x', version: '1' }, { name: 'y' }] },
      { ...bill, format: 'SPDX', components: ['pkg:npm/a@2?os=x', 'pkg:npm/a@1'], cpes: ['cpe:/a:x:x'], signer: 'k1' },
    ],
    build: [
      {
        ...provenance,
        verified: true,
        signer: 'k1',
        builderId: 'https://builder.example',
        buildType: 'https://type.example',
        materials: [{ uri: 'git+https://src.example', digests: new Map([['sha1', 'ab']]) }],
      },
      {
        ...provenance,
        verified: false,
        builderId: 'https://claimed.example',
        materials: [{ digests: new Map([['sha1', 'cd']]) }],
      },
      {
        ...summary,
        builderId: 'https://v.example',
        verification: { result: 'PASSED', levels: ['SLSA_BUILD_LEVEL_3'] },
      },
      {
        ...summary,
        builderId: 'https://w.example',
        verification: { result: 'FAILED', levels: ['SLSA_BUILD_LEVEL_4'] },
      },
      {
        ...summary,
        verified: false,
        builderId: 'https://u.example',
        verification: { result: 'PASSED', levels: ['MADE_UP'] },
      },
    ],
    compliance: [
      { test: 'cis', result: 'pass', verified: true, tool: 'bench' },
      { test: 'stig', result: 'skipped', verified: false },
    ],
    vendor: { name: 'ACME', id: '7', saas: 'payments' },
  }

  it('gathers sets, sorted; keeps what nobody verified apart; counts as failed what did not pass', () => {
    assert.deepEqual(workloadFacts(description, record, [SUBJECT]), {
      measured: true,
      publisher: 'spiffe://bank.example/issuer',
      sbomFormats: ['CycloneDX', 'SPDX'],
      sbomVerified: false,
      components: ['pkg:npm/a@1', 'pkg:npm/a@2?os=x', 'pkg:npm/b@1'],
      releases: ['pkg:npm/a@1', 'pkg:npm/a@2', 'pkg:npm/b@1'],
      packages: ['pkg:npm/a', 'pkg:npm/b'],
      others: ['x@1', 'y'],
      cpes: ['cpe:/a:x:x'],
      builders: ['https://builder.example'],
      unverifiedBuilders: ['https://claimed.example'],
      buildTypes: ['https://type.example'],
      buildSigners: ['k1', 'k2'],
      buildIdentities: [],
      materials: ['git+https://src.example', 'sha1:ab'],
      slsaLevels: ['SLSA_BUILD_LEVEL_3'],
      summaryVerifiers: ['https://v.example'],
      summaryFailures: ['https://w.example'],
      passed: ['cis'],
      failed: ['stig'],
      complianceVerified: false,
      tools: ['bench'],
      vendor: 'ACME',
      vendorId: '7',
      saas: 'payments',
    })
  })

  it('is measured only if every measurement is of this subject, and there is one', () => {
    for (const measurements of [[], ['bb'], [SUBJECT, 'bb']]) {
      assert.equal(workloadFacts(undefined, record, measurements).measured, false)
    }
  })

  const [same, other] = [fromHex(SUBJECT), fromHex('bb'.repeat(32))]
  const matches: [
    what: string,
    expected: boolean | undefined,
    sbom: (readonly Uint8Array[] | undefined)[],
    kind?: string,
  ][] = [
    ['without a bill of materials', undefined, []],
    ['where a document does not say what it is about', undefined, [undefined]],
    ['where one of two does not say', undefined, [[same], []]],
    ['where it says so', true, [[other, same]]],
    ['of an image', true, [[same]], 'image'],
    ['where it is about something else', false, [[other]]],
    ['where one of two is about something else', false, [[same], [other]]],
    ['where one is about something else and another does not say', false, [[other], undefined]],
    ['where the subject is a key', undefined, [[same]], 'key'],
    ['where the subject is the document itself', undefined, [[other]], 'sbom'],
  ]
  for (const [what, expected, subjects, subjectKind = 'measurement'] of matches) {
    it(`says ${expected ?? 'nothing'} about the subject ${what}`, () => {
      const sbom = subjects.map((each) => ({ ...bill, ...(each ? { subjects: each } : {}) }))
      const facts = workloadFacts({ ...empty, sbom }, { ...record, subjectKind }, [SUBJECT])
      assert.equal(facts.sbomSubjectMatches, expected)
      assert.equal('sbomSubjectMatches' in facts, expected !== undefined)
    })
  }
})
