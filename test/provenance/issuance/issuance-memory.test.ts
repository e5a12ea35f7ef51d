// What is remembered of a decision is what the engine would say again.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { cedar } from '#cedar'
import { parseWorkloadIdentifier } from '../../../provenance/identifier.ts'
import { type JsonObject, loadCedar } from '../../../provenance/index.ts'
import { readsOf, tellingPart } from '../../../provenance/issuance/issuance-memory.ts'
import { decideIssuance, type IssuanceRequest, reevaluate } from '../../../provenance/issuance/issuance-policy.ts'
import { workloadFacts } from '../../../provenance/issuance/workload-facts.ts'

before(() => loadCedar())

const subjects = ['spiffe://bank.example/payments', 'spiffe://bank.example/cards', 'wimse://shop.example/payments'].map(
  parseWorkloadIdentifier,
)
const nothing = workloadFacts(undefined, { subject: 'ab'.repeat(32), publisher: 'y' }, [])

// Few values, so that requests that differ in one often meet; and numbers on both sides of those that policies name.
const number = fc.constantFrom(-3, 0, 1, 2, 3, 4, 5)
const texts = fc.subarray(['a', 'b', 'c']).map((some) => some.toSorted())
const tier = fc.constantFrom('affirming' as const, 'warning' as const, 'none' as const)
const claims = fc.record({ executables: number, hardware: number }, { requiredKeys: [] })
const request: fc.Arbitrary<IssuanceRequest> = fc.record({
  subject: fc.constantFrom(...subjects),
  attestation: fc.record({
    results: number,
    tier,
    claims: claims as fc.Arbitrary<Record<string, number>>,
    ageSeconds: number,
    keyAttested: fc.boolean(),
    verifiers: texts,
    policies: texts,
    measurements: texts,
  }),
  workload: fc
    .record(
      { measured: fc.boolean(), components: texts, tools: texts, vendor: fc.constantFrom('a', 'b') },
      {
        requiredKeys: ['measured', 'components', 'tools'],
      },
    )
    .map((some) => ({ ...nothing, ...some })),
  credential: fc.record({
    kind: fc.constantFrom('wit' as const, 'wic' as const),
    lifetimeSeconds: number,
    audience: texts,
  }),
})

const long = fc.oneof(
  fc
    .constantFrom('attestation.ageSeconds', 'attestation.results', 'credential.lifetimeSeconds')
    .map((m) => `context.${m}`),
  number.map((n) => (n < 0 ? `(${n})` : String(n))),
  fc
    .tuple(fc.constantFrom('attestation.ageSeconds', 'attestation.results'), number)
    .map(([m, n]) => `(context.${m} + (${n}))`),
)
const setTerm = fc.oneof(
  fc.constantFrom('workload.components', 'workload.tools', 'attestation.policies').map((m) => `context.${m}`),
  fc.constantFrom('["a"]', '["a", "b"]'),
)
const question = fc.oneof(
  fc.tuple(long, fc.constantFrom('<', '<=', '>', '>=', '==', '!='), long).map((parts) => parts.join(' ')),
  fc
    .tuple(fc.constantFrom('executables', 'hardware'), fc.constantFrom('<', '>='), number)
    .map(
      ([name, how, n]) =>
        `(context.attestation.claims has ${name} && context.attestation.claims.${name} ${how} (${n}))`,
    ),
  fc.constantFrom('executables', 'hardware').map((name) => `context.attestation.claims has ${name}`),
  fc.constantFrom('context.workload has vendor', '(context.workload has vendor && context.workload.vendor like "a*")'),
  fc.tuple(setTerm, fc.constantFrom('containsAll', 'containsAny'), setTerm).map(([a, how, b]) => `${a}.${how}(${b})`),
  fc.constantFrom('context == context', 'context.attestation.claims == context.attestation.claims'),
  fc.constantFrom(
    'context.attestation.keyAttested',
    'context.workload.measured',
    'context.attestation.tier == "affirming"',
  ),
  fc.constantFrom('principal.path == "/payments"', 'principal in TrustDomain::"bank.example"'),
  fc.tuple(long, long, long).map(([a, b, c]) => `(if context.workload.measured then ${a} else ${b}) < ${c}`),
  fc
    .tuple(long, setTerm)
    .map(([n, s]) => `{ n: ${n}, s: ${s} } == { n: context.attestation.results, s: context.workload.tools }`),
)
const policyText = fc
  .array(
    fc.tuple(
      fc.constantFrom('permit', 'forbid'),
      fc.constantFrom('when', 'unless'),
      fc.array(question, { minLength: 1, maxLength: 3 }),
    ),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .map((policies) =>
    policies
      .map(([effect, how, asked]) => `${effect}(principal, action, resource) ${how} { ${asked.join(' && ')} };`)
      .join('\n'),
  )

describe('decideIssuance', () => {
  it('gives the same trace as the engine does anew, whatever it decided before', () => {
    let policies = 0
    fc.assert(
      fc.property(policyText, fc.array(request, { minLength: 8, maxLength: 30 }), (policy, requests) => {
        for (const each of [...requests, ...requests]) {
          let decided: ReturnType<typeof decideIssuance>
          try {
            decided = decideIssuance(policy, each)
          } catch (error) {
            // The validator finds some of these to be always false, or of no type.
            assert.equal((error as { code?: string }).code, 'invalid_policy')
            return
          }
          assert.deepEqual(decided, reevaluate(policy, each.subject, decided.context))
        }
        policies++
      }),
      { numRuns: 300 },
    )
    assert.ok(policies > 100, `${policies} policies were valid`)
  })

  it('refuses a context that is against the schema, also where the policy would not look at it', () => {
    const policy = 'permit(principal, action, resource) when { context.attestation.keyAttested };'
    const [honest] = fc.sample(request, { numRuns: 1, seed: 1 })
    const decide = (ageSeconds: unknown) => {
      const attestation = { ...honest!.attestation, ageSeconds } as IssuanceRequest['attestation']
      return decideIssuance(policy, { ...honest!, attestation })
    }
    decide(1)
    assert.deepEqual(decide(2).decision, decide(1).decision)
    for (const wrong of ['1', true, [1], { a: 1 }, null]) {
      assert.throws(() => decide(wrong), { code: 'invalid_policy_context' })
    }
  })
})

describe('what a policy tells apart', () => {
  const conditionsOf = (text: string) => {
    const parts = cedar().policySetTextToParts(text)
    assert.ok(parts.type === 'success')
    return parts.policies.flatMap((policy) => {
      const json = cedar().policyToJson(policy)
      assert.ok(json.type === 'success')
      return json.json.conditions.map(({ body }) => body)
    })
  }
  const when = (condition: string) =>
    readsOf(conditionsOf(`permit(principal, action, resource) when { ${condition} };`))
  const at = (ageSeconds: number): JsonObject => ({ attestation: { ageSeconds, claims: {} }, workload: {} })

  it('is on which side of its numbers an age is, by the example policy', () => {
    const example = readFileSync(new URL('../../../docs/examples/issuance-policy.cedar', import.meta.url), 'utf8')
    const reads = readsOf(conditionsOf(example))
    const part = (age: number) => tellingPart(reads, at(age))
    assert.equal(part(0), part(899))
    assert.equal(part(901), part(10_000))
    assert.equal(new Set([part(899), part(900), part(901)]).size, 3)
  })

  it('is the whole of what is compared with anything else', () => {
    const readers = [
      'context.attestation.ageSeconds == 3',
      'context.attestation.ageSeconds < context.attestation.results',
      'context.attestation.ageSeconds + 1 < 3',
      '[1, 2].contains(context.attestation.ageSeconds)',
      'context.attestation == context.attestation',
      'context == context',
      '(if context.workload.measured then context else context).attestation.ageSeconds < 3',
      '{ m: context.attestation }.m.ageSeconds < 3',
    ]
    for (const condition of readers) {
      const reads = when(condition)
      assert.notEqual(tellingPart(reads, at(100)), tellingPart(reads, at(101)), condition)
    }
  })

  it('is nothing of what is not named, but its shape', () => {
    const reads = when('context.attestation.keyAttested')
    assert.equal(tellingPart(reads, at(1)), tellingPart(reads, at(2)))
    const shapes: JsonObject[] = [
      at(1),
      { ...at(1), workload: { a: 1 } },
      { ...at(1), workload: { a: ['x'] } },
      { ...at(1), workload: { a: ['x', 1] } },
      { ...at(1), workload: { a: [] } },
      { ...at(1), workload: { 'a":i,"b': 1 } },
      { ...at(1), workload: { a: 1, b: 1 } },
    ]
    assert.equal(new Set(shapes.map((shape) => tellingPart(reads, shape))).size, shapes.length)
  })

  it('takes no member of a prototype for one of the context', () => {
    const reads = readsOf([{ '.': { left: { Var: 'context' }, attr: 'constructor' } }])
    assert.equal(tellingPart(reads, {}), tellingPart(reads, {}))
  })
})
