import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { fromHex } from '../../../merkle/bytes.ts'
import { parseWorkloadIdentifier } from '../../../provenance/identifier.ts'
import { canonicalJson, type JsonObject, loadCedar } from '../../../provenance/index.ts'
import {
  contextFor,
  decideIssuance,
  type IssuanceRequest,
  reevaluate,
} from '../../../provenance/issuance/issuance-policy.ts'
import { type WorkloadFacts, workloadFacts } from '../../../provenance/issuance/workload-facts.ts'

before(() => loadCedar())

const subject = parseWorkloadIdentifier('spiffe://bank.example/payments')
const attestation = {
  results: 1,
  tier: 'affirming' as const,
  claims: {},
  ageSeconds: 1,
  keyAttested: true,
  verifiers: ['x'],
  policies: [],
  measurements: [],
}
const nothing = workloadFacts(undefined, { subject: 'ab'.repeat(32), publisher: 'y' }, [])

function factsWith(workload: Partial<WorkloadFacts>): JsonObject {
  const credential = { kind: 'wit', lifetimeSeconds: 60, audience: [] }
  return { attestation: { ...attestation }, workload: { ...nothing, ...workload }, credential }
}

// A small world, so that sets often meet: texts that policies name, texts that are elsewhere in the context, and others.
const TEXTS = ['a', 'b', 'c', 'd', 'e', 'f', 'x', 'y', 'spiffe', '/payments']
const LONG = ['components', 'releases', 'packages', 'others', 'cpes', 'materials'] as const
const set = fc.subarray(TEXTS).map((texts) => texts.toSorted())
const literal = fc.constantFrom('a', 'b', 'c').map((text) => JSON.stringify(text))

/** Every way in which Cedar asks a set of texts anything. */
const setTerm = fc.oneof(
  fc.constantFrom(...LONG, 'tools').map((name) => `context.workload.${name}`),
  fc.array(literal, { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
)
const text = fc.oneof(
  literal,
  fc.constantFrom('context.workload.publisher', 'principal.path', 'principal.scheme', 'context.attestation.tier'),
)
const question = fc.oneof(
  fc.tuple(setTerm, text).map(([of, what]) => `${of}.contains(${what})`),
  fc.tuple(setTerm, fc.constantFrom('containsAll', 'containsAny'), setTerm).map(([a, how, b]) => `${a}.${how}(${b})`),
  fc.tuple(setTerm, setTerm).map(([a, b]) => `${a} == ${b}`),
  fc.tuple(setTerm, setTerm, setTerm).map(([a, b, c]) => `[${a}, ${b}].contains(${c})`),
  fc.tuple(setTerm, setTerm, setTerm, setTerm).map(([a, b, c, d]) => `{ m: ${a}, n: ${b} } == { m: ${c}, n: ${d} }`),
  fc
    .tuple(text, setTerm, setTerm, setTerm)
    .map(([what, a, b, c]) => `(if context.workload.tools.contains(${what}) then ${a} else ${b}).containsAll(${c})`),
)
// The validator refuses an empty literal set, whose members would have no type.
const typed = question.filter((asked) => !asked.includes('[]'))
const condition = fc
  .array(fc.tuple(fc.boolean(), typed), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map(([not, asked]) => (not ? `!(${asked})` : asked)).join(' && '))

describe('contextFor', () => {
  it('leads every policy to the decision that the whole context would', () => {
    const sets = fc.record({ ...Object.fromEntries(LONG.map((name) => [name, set])), tools: set })
    fc.assert(
      fc.property(fc.array(condition, { minLength: 1, maxLength: 3 }), sets, (conditions, workload) => {
        const policy = conditions.map((each) => `permit(principal, action, resource) when { ${each} };`).join('\n')
        const whole = factsWith(workload)
        const [all, some] = [whole, contextFor(policy, subject, whole)].map((facts) =>
          reevaluate(policy, subject, canonicalJson(facts)),
        )
        assert.deepEqual([some!.decision, some!.reasons, some!.errors], [all!.decision, all!.reasons, all!.errors])
        const again = contextFor(policy, subject, contextFor(policy, subject, whole))
        assert.deepEqual(again, contextFor(policy, subject, whole))
      }),
      { numRuns: 400 },
    )
  })

  // Ten thousand packages and a list of those that are allowed: the case in which leaving members out would let something through.
  const purls = Array.from({ length: 8000 }, (_, i) => `pkg:npm/package-${i}@1.${i}.0`)
  const bill = { format: 'SPDX', specVersion: '2.3', digest: new Uint8Array(32), components: purls }
  const digest = fromHex('ab'.repeat(32))
  const large = workloadFacts(
    { sbom: [{ ...bill, subjects: [digest] }], build: [], compliance: [] },
    { subject: 'ab'.repeat(32), subjectKind: 'image', publisher: 'spiffe://bank.example/issuer' },
    [],
  )
  const request: IssuanceRequest = {
    subject,
    attestation,
    workload: large,
    credential: { kind: 'wit', lifetimeSeconds: 60 },
  }
  const decide = (condition: string) =>
    decideIssuance(`permit(principal, action, resource) when { ${condition} };`, request)

  it('keeps a few members of eight thousand, and an allow list as strict as it was', () => {
    const listed = (count: number) => JSON.stringify(purls.slice(0, count))
    const allowed = (count: number) => decide(`${listed(count)}.containsAll(context.workload.components)`)
    assert.equal(allowed(3).decision, 'deny')
    assert.ok(allowed(3).context.length < 2000, `${allowed(3).context.length} characters`)
    const few = workloadFacts(
      { sbom: [{ ...bill, components: purls.slice(0, 3) }], build: [], compliance: [] },
      { subject: 'ab'.repeat(32), publisher: 'y' },
      [],
    )
    const policy = `permit(principal, action, resource) when { ${listed(3)}.containsAll(context.workload.components) };`
    assert.equal(decideIssuance(policy, { ...request, workload: few }).decision, 'allow')
  })

  it('finds one in eight thousand by version, and by package', () => {
    const has = (member: string, purl: string) => decide(`context.workload.${member}.contains("${purl}")`).decision
    assert.equal(has('components', 'pkg:npm/package-7654@1.7654.0'), 'allow')
    assert.equal(has('packages', 'pkg:npm/package-7654'), 'allow')
    assert.equal(has('components', 'pkg:npm/package-7654@1.7655.0'), 'deny')
    assert.equal(has('packages', 'pkg:npm/package-8000'), 'deny')
  })
})
