/**
 * Results of compliance tests: in-toto test results (v0.1), signed by whoever ran them, or a plain list that the author of the record
 * vouches for:
 *
 *     { "subject": { "sha256": "…" },                  what was tested; may be left out
 *       "tool": "kube-bench 0.10",                     may be left out
 *       "results": [{ "test": "cis-5.2.1", "result": "pass" }, { "test": "cis-5.2.2", "result": "skipped", "tool": "by hand" }] }
 *
 * A result is what the tool calls it. Only `pass` counts as passed: see `workload-facts.ts`.
 *
 * @module
 */
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import type { Attestation } from './attestation.ts'

/** One of `compliance` in the `workload` section. */
export interface ComplianceResult {
  readonly test: string
  readonly result: string
  readonly tool?: string
  /** SHA-256 of what it was read from. */
  readonly digest: Hash
  /** Whether whoever ran the test signed it with a key that the author of the record trusts. */
  readonly verified: boolean
}

export interface ComplianceReport {
  /** SHA-256 of what was tested, lower-case hex; absent when the report does not say, and empty when it says so by other algorithms alone. */
  readonly subjects?: readonly string[]
  readonly results: readonly ComplianceResult[]
}

/** Results in one record at most. */
export const MAX_RESULTS = 1024

export const TEST_RESULT = 'https://in-toto.io/attestation/test-result/v0.1'

/** @throws {@link ProvenanceError} `malformed_compliance` */
export function readTestResult({ statement, digest, signer, identity }: Attestation): ComplianceReport {
  if (statement.predicateType !== TEST_RESULT) throw refuse(`a predicate of type ${statement.predicateType}`)
  const { result, passedTests, warnedTests, failedTests, configuration } = statement.predicate
  const passed = names(passedTests).map((test) => ({ test, result: 'pass' }))
  const warned = names(warnedTests).map((test) => ({ test, result: 'warn' }))
  const failed = names(failedTests).map((test) => ({ test, result: 'fail' }))
  const worst = failed.length > 0 ? 'FAILED' : warned.length > 0 ? 'WARNED' : 'PASSED'
  if (typeof result !== 'string' || !OVERALL.has(result)) throw refuse('result is not PASSED, WARNED or FAILED')
  if (worst === 'FAILED' && result === 'PASSED') throw refuse('PASSED, with tests that failed')

  const tool = toolOf(configuration)
  // The lists are optional. What is said of all tests together is then a result of its own, and so is what the lists do not explain.
  const all = [...passed, ...warned, ...failed]
  if (all.length === 0 || worst !== result) all.push({ test: tool ?? 'all tests', result: OVERALL.get(result)! })
  const common = { ...(tool === undefined ? {} : { tool }), digest, verified: (signer ?? identity) !== undefined }
  return { subjects: statement.subjects, results: bounded(all).map((each) => ({ ...each, ...common })) }
}

const OVERALL: ReadonlyMap<string, string> = new Map([
  ['PASSED', 'pass'],
  ['WARNED', 'warn'],
  ['FAILED', 'fail'],
])

/** @throws {@link ProvenanceError} `malformed_compliance` */
export function readComplianceList(document: Json, bytes: Uint8Array): ComplianceReport {
  if (!isJsonObject(document)) throw refuse('not an object')
  only(document, ['subject', 'tool', 'results'])
  const { subject, tool, results } = document
  if (!Array.isArray(results) || results.length === 0) throw refuse('no results')
  const digest = sha256(bytes)
  return {
    ...(subject !== undefined && { subjects: [subjectOf(subject)] }),
    results: bounded(results as readonly Json[]).map((each) => {
      if (!isJsonObject(each)) throw refuse('a result is not an object')
      only(each, ['test', 'result', 'tool'])
      const by = each['tool'] ?? tool
      return {
        test: text(each['test'], 'test'),
        result: text(each['result'], 'result'),
        ...(by === undefined ? {} : { tool: text(by, 'tool') }),
        digest,
        verified: false,
      }
    }),
  }
}

function subjectOf(subject: Json): string {
  const value = isJsonObject(subject) ? subject['sha256'] : undefined
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) throw refuse('subject.sha256 is not a SHA-256 value')
  return value
}

/** The first of the configurations: a file of the tool, or the tool. */
function toolOf(configuration: Json | undefined): string | undefined {
  const [first] = Array.isArray(configuration) ? (configuration as readonly Json[]) : []
  const named = isJsonObject(first) ? (first['name'] ?? first['uri'] ?? first['downloadLocation']) : undefined
  return named === undefined ? undefined : text(named, 'the name of a configuration')
}

function names(tests: Json | undefined): string[] {
  if (tests === undefined) return []
  if (!Array.isArray(tests)) throw refuse('tests that are no list')
  return tests.map((test: Json) => text(test, 'a test'))
}

function bounded<T>(results: readonly T[]): readonly T[] {
  if (results.length > MAX_RESULTS) throw refuse(`more than ${MAX_RESULTS} results`)
  return results
}

/** A misspelt member would be a claim that nobody reads. */
function only(object: JsonObject, members: readonly string[]): void {
  const stranger = Object.keys(object).find((name) => !members.includes(name))
  if (stranger !== undefined) throw refuse(`has the member ${JSON.stringify(stranger.slice(0, 64))}`)
}

function text(value: Json | undefined, title: string): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > 256 || /\p{Cc}/u.test(value)) {
    throw refuse(`${title} is not a text of 1 to 256 characters`)
  }
  return value
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_compliance', why)
}
