import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sha256, utf8 } from '../../merkle/index.ts'
import { type JsonObject, parseJson } from '../../provenance/json.ts'
import { readComplianceList, readTestResult, TEST_RESULT } from '../../provenance/workload/compliance.ts'

const DIGEST = 'ab'.repeat(32)
const list = (document: object) =>
  readComplianceList(parseJson(JSON.stringify(document)), utf8(JSON.stringify(document)))
const attested = (predicate: object, signer?: string) =>
  readTestResult({
    statement: {
      subjects: [DIGEST],
      predicateType: TEST_RESULT,
      predicate: parseJson(JSON.stringify(predicate)) as JsonObject,
    },
    digest: sha256(utf8('file')),
    ...(signer === undefined ? {} : { signer }),
  })

describe('a plain list of results', () => {
  it('has a tool for all or for each, and nobody’s signature', () => {
    const document = {
      subject: { sha256: DIGEST },
      tool: 'kube-bench 0.10',
      results: [
        { test: 'cis-1', result: 'pass' },
        { test: 'cis-2', result: 'skipped', tool: 'by hand' },
      ],
    }
    const digest = sha256(utf8(JSON.stringify(document)))
    assert.deepEqual(list(document), {
      subjects: [DIGEST],
      results: [
        { test: 'cis-1', result: 'pass', tool: 'kube-bench 0.10', digest, verified: false },
        { test: 'cis-2', result: 'skipped', tool: 'by hand', digest, verified: false },
      ],
    })
  })

  const refused: [what: string, document: object][] = [
    ['no results', { results: [] }],
    ['a misspelt member', { results: [{ test: 'a', result: 'pass' }], subjects: [] }],
    ['a result without a test', { results: [{ result: 'pass' }] }],
    ['a result of two lines', { results: [{ test: 'a', result: 'pass\nfail' }] }],
    ['a subject that is no digest', { subject: { sha256: 'x' }, results: [{ test: 'a', result: 'pass' }] }],
    ['more results than a record has room for', { results: Array(1025).fill({ test: 'a', result: 'pass' }) }],
    ['a list', []],
  ]
  for (const [what, document] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => list(document), { code: 'malformed_compliance' }))
  }
})

describe('an in-toto test result', () => {
  it('gives each test its result', () => {
    const configuration = [{ name: 'bench.yaml', digest: { sha256: DIGEST } }]
    const { results } = attested(
      { result: 'FAILED', configuration, passedTests: ['a'], warnedTests: ['b'], failedTests: ['c'] },
      'k',
    )
    assert.deepEqual(
      results.map(({ test, result, tool, verified }) => [test, result, tool, verified]),
      [
        ['a', 'pass', 'bench.yaml', true],
        ['b', 'warn', 'bench.yaml', true],
        ['c', 'fail', 'bench.yaml', true],
      ],
    )
  })

  it('without lists is one result, and so is a verdict that the lists do not explain', () => {
    assert.deepEqual(
      attested({ result: 'PASSED' }).results.map(({ test, result }) => [test, result]),
      [['all tests', 'pass']],
    )
    const worse = attested({ result: 'FAILED', configuration: [{ uri: 'u' }], passedTests: ['a'] }).results
    assert.deepEqual(
      worse.map(({ test, result }) => [test, result]),
      [
        ['a', 'pass'],
        ['u', 'fail'],
      ],
    )
  })

  const refused: [what: string, predicate: object][] = [
    ['another verdict', { result: 'pass' }],
    ['a pass with tests that failed', { result: 'PASSED', failedTests: ['a'] }],
    ['tests that are no list', { result: 'PASSED', passedTests: 'a' }],
  ]
  for (const [what, predicate] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => attested(predicate), { code: 'malformed_compliance' }))
  }
})
