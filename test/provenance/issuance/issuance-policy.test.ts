import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fromHex, toHex, utf8 } from '../../../merkle/bytes.ts'
import { sha256 } from '../../../merkle/hash.ts'
import { parseWorkloadIdentifier } from '../../../provenance/identifier.ts'
import {
  checkPolicyText,
  decideIssuance,
  type IssuanceRequest,
  reevaluate,
} from '../../../provenance/issuance/issuance-policy.ts'
import { ISSUANCE_SCHEMA } from '../../../provenance/issuance/issuance-schema.ts'
import { workloadFacts } from '../../../provenance/issuance/workload-facts.ts'
import { canonicalJson, type Json } from '../../../provenance/json.ts'

const example = (name: string) => readFileSync(new URL(`../../../docs/examples/${name}`, import.meta.url), 'utf8')
const policy = example('issuance-policy.cedar')

const subject = parseWorkloadIdentifier('spiffe://bank.example/payments')
const honest: IssuanceRequest = {
  subject,
  attestation: {
    results: 1,
    tier: 'affirming',
    claims: { executables: 2, hardware: 2 },
    ageSeconds: 30,
    keyAttested: true,
    verifiers: ['spiffe://bank.example/verifier'],
    policies: ['baseline'],
    measurements: ['ab'.repeat(32)],
  },
  workload: workloadFacts(
    {
      sbom: [
        {
          format: 'CycloneDX',
          specVersion: '1.6',
          digest: new Uint8Array(32),
          components: ['pkg:npm/express@5.0.0'],
          subjects: [fromHex('ab'.repeat(32))],
        },
      ],
      build: [],
      compliance: [{ test: 'cis-docker', result: 'pass', verified: false }],
    },
    { subject: 'ab'.repeat(32), subjectKind: 'measurement', publisher: 'spiffe://bank.example/issuer' },
    ['ab'.repeat(32)],
  ),
  credential: { kind: 'wit', lifetimeSeconds: 3600 },
}

describe('the example policy', () => {
  it('is valid against the schema', () => checkPolicyText(policy))

  it('allows an attested workload, and says by which policy', () => {
    const decision = decideIssuance(policy, honest)
    assert.equal(decision.decision, 'allow')
    assert.deepEqual(decision.reasons, ['attested-payment-workloads'])
    assert.deepEqual(decision.errors, [])
    assert.equal(decision.engineVersion, '4.13.0')
    assert.equal(toHex(decision.policyDigest), toHex(sha256(utf8(policy))))
    assert.equal(toHex(decision.contextDigest), toHex(sha256(utf8(decision.context))))
  })

  // Each is the honest request changed in exactly one place.
  const { attestation, workload, credential } = honest
  const denied: [what: string, reasons: string[], change: Partial<IssuanceRequest>][] = [
    ['a warning', [], { attestation: { ...attestation, tier: 'warning' } }],
    ['executables that are not approved', [], { attestation: { ...attestation, claims: { executables: 32 } } }],
    ['no claim about executables', [], { attestation: { ...attestation, claims: { hardware: 2 } } }],
    ['evidence that is 15 minutes and a second old', [], { attestation: { ...attestation, ageSeconds: 901 } }],
    ['a key that is not attested', [], { attestation: { ...attestation, keyAttested: false } }],
    ['something else than what was measured', [], { workload: { ...workload, measured: false } }],
    ['no bill of materials', [], { workload: { ...workload, sbomFormats: [] } }],
    ['a lifetime of more than an hour', [], { credential: { ...credential, lifetimeSeconds: 3601 } }],
    ['another trust domain', [], { subject: parseWorkloadIdentifier('spiffe://evil.example/payments') }],
    [
      'a forbidden component',
      ['no-compromised-components'],
      { workload: { ...workload, components: ['pkg:npm/event-stream@3.3.6'] } },
    ],
    [
      'a forbidden package of any version',
      ['no-compromised-components'],
      { workload: { ...workload, packages: ['pkg:npm/flatmap-stream'] } },
    ],
    ['a failed compliance test', ['no-failed-compliance-tests'], { workload: { ...workload, failed: ['cis-docker'] } }],
  ]
  for (const [what, reasons, change] of denied) {
    it(`denies ${what}`, () => {
      const decision = decideIssuance(policy, { ...honest, ...change })
      assert.deepEqual([decision.decision, decision.reasons], ['deny', reasons])
    })
  }
})

describe('decideIssuance', () => {
  it('has one context text for one request, whatever the order of sets', () => {
    const audience = ['b.example', 'a.example', 'b.example']
    const decision = decideIssuance(policy, { ...honest, credential: { ...honest.credential, audience } })
    assert.match(decision.context, /"audience":\["a.example","b.example"\]/)
  })

  it('comes to the same decision again from the recorded context', () => {
    const first = decideIssuance(policy, honest)
    assert.deepEqual(reevaluate(policy, subject, first.context), first)
  })

  it('decides by the text that it is given, however many it has seen before', () => {
    const texts = Array.from(
      { length: 70 },
      (_, i) => `permit(principal, action, resource) when { context.credential.lifetimeSeconds <= ${i} };`,
    )
    const request = { ...honest, credential: { ...honest.credential, lifetimeSeconds: 35 } }
    for (const round of [1, 2]) {
      for (const [i, text] of texts.entries()) {
        assert.equal(
          decideIssuance(text, request).decision,
          i >= 35 ? 'allow' : 'deny',
          `policy ${i} in round ${round}`,
        )
      }
    }
  })

  it('denies when a policy fails to evaluate, although Cedar would skip it', () => {
    const decision = decideIssuance(
      `@id("everybody") permit(principal, action, resource);
       @id("overflow") forbid(principal, action, resource) when { context.credential.lifetimeSeconds * 9223372036854775807 > 0 };`,
      honest,
    )
    assert.equal(decision.decision, 'deny')
    assert.match(decision.errors.join(), /^overflow: .*overflow/)
  })

  it('names policies without @id by their place', () => {
    const text = Array.from(
      { length: 12 },
      (_, i) => `permit(principal, action, resource) when { context.attestation.ageSeconds == ${i} };`,
    )
    const request = { ...honest, attestation: { ...honest.attestation, ageSeconds: 10 } }
    assert.deepEqual(decideIssuance(text.join('\n'), request).reasons, ['policy10'])
  })
})

describe('checkPolicyText', () => {
  const refused: [what: string, text: string][] = [
    ['something else than Cedar', 'allow = true'],
    ['nothing', ''],
    ['only a comment', '// later'],
    ['a fact that does not exist', 'permit(principal, action, resource) when { context.attestation.firmware == 3 };'],
    ['a comparison of two types', 'permit(principal, action, resource) when { context.attestation.tier == 2 };'],
    [
      'an optional fact that was not asked for',
      'permit(principal, action, resource) when { context.attestation.claims.hardware == 2 };',
    ],
    ['an action that does not exist', 'permit(principal, action == Action::"revoke", resource);'],
    ['a template', 'permit(principal == ?principal, action, resource);'],
    [
      'two policies of one name',
      '@id("a") permit(principal, action, resource); @id("a") forbid(principal, action, resource);',
    ],
    ['a text of a megabyte', `//${' '.repeat(1 << 20)}\npermit(principal, action, resource);`],
  ]
  for (const [what, text] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => checkPolicyText(text), { code: 'invalid_policy' }))
  }
})

describe('reevaluate', () => {
  const context = JSON.parse(decideIssuance(policy, honest).context) as { [name: string]: Json }
  const refused: [what: string, text: string][] = [
    ['a context that is not canonical', `${canonicalJson(context)} `],
    ['a context with a duplicate member', canonicalJson(context).replace('{', '{"attestation":1,')],
    ['a context with something more', canonicalJson({ ...context, more: 1 })],
    ['a context with something less', canonicalJson({ ...context, workload: {} })],
    ['a context with a float', canonicalJson(context).replace('"ageSeconds":30', '"ageSeconds":30.5')],
    ['a context with null', canonicalJson({ ...context, credential: null })],
    ['a list', '[]'],
  ]
  for (const [what, text] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => reevaluate(policy, subject, text),
        ({ code }: { code: string }) => ['invalid_policy_context', 'malformed_json'].includes(code),
      )
    })
  }
})

describe('provlog.cedarschema', () => {
  it('is the schema in the code', () => assert.equal(example('provlog.cedarschema'), ISSUANCE_SCHEMA))
})

describe('the portable engine', () => {
  it('decides as the native one does', async () => {
    const portable = await import('../../../provenance/issuance/cedar.ts')
    const native = await import('../../../provenance/issuance/cedar.node.ts')
    const wasm = new URL('../../../node_modules/@cedar-policy/cedar-wasm/web/cedar_wasm_bg.wasm', import.meta.url)
    assert.throws(() => portable.cedar(), /loadCedar/)
    await portable.loadCedar(readFileSync(wasm))
    const decide = (engine: typeof portable) => {
      assert.equal(engine.cedar().preparseSchema('s', ISSUANCE_SCHEMA).type, 'success')
      assert.equal(engine.cedar().preparsePolicySet('p', { staticPolicies: policy }).type, 'success')
      return engine.cedar().statefulIsAuthorized({
        principal: { type: 'Workload', id: subject.uri },
        action: { type: 'Action', id: 'issue' },
        resource: { type: 'TrustDomain', id: subject.trustDomain },
        context: JSON.parse(decideIssuance(policy, honest).context),
        preparsedSchemaName: 's',
        preparsedPolicySetId: 'p',
        entities: [
          {
            uid: { type: 'Workload', id: subject.uri },
            attrs: { scheme: 'spiffe', trustDomain: 'bank.example', path: '/payments' },
            parents: [{ type: 'TrustDomain', id: 'bank.example' }],
          },
        ],
      })
    }
    assert.deepEqual(decide(portable), decide(native))
    assert.equal(portable.cedar().getCedarVersion(), native.cedar().getCedarVersion())
  })
})
