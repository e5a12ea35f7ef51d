/**
 * Issuance decisions in Cedar: rules and facts in, a decision with its reasons out, the same one for ever.
 *
 *   policy text ──┐                       ┌─ decision, reasons
 *                 ├─ Cedar, deny unless ──┤
 *   context ──────┘  something permits    └─ digests of both, for the record
 *
 * The context is JSON in its canonical form, cut down to what the policy can tell apart (`issuance-context.ts`). It is sealed in the
 * record, so an auditor who has the published policy text can run {@link reevaluate} years later and must come to the same decision.
 *
 * @module
 */
import { cedar, discardCedar } from '#cedar'
import { utf8 } from '../../merkle/bytes.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import { ProvenanceError } from '../error.ts'
import type { WorkloadIdentifier } from '../identifier.ts'
import { canonicalJson, isJsonObject, type JsonObject, parseJson } from '../json.ts'
import { canonicalPurl } from '../workload/purl.ts'
import { collectTexts, reduceContext } from './issuance-context.ts'
import type { AttestationFacts } from './issuance-facts.ts'
import { Decisions, type Reads, readsOf, tellingPart } from './issuance-memory.ts'
import { ISSUANCE_SCHEMA } from './issuance-schema.ts'
import type { WorkloadFacts } from './workload-facts.ts'

/** What somebody asks for, and what is known about them. */
export interface IssuanceRequest {
  readonly subject: WorkloadIdentifier
  readonly attestation: AttestationFacts
  readonly workload: WorkloadFacts
  readonly credential: {
    readonly kind: 'wit' | 'wic'
    readonly lifetimeSeconds: number
    /** Trust domains; empty when not restricted. */
    readonly audience?: readonly string[]
  }
}

/** A decision and all that is needed to make it again. */
export interface IssuanceDecision {
  readonly decision: 'allow' | 'deny'
  /** The `@id` of the policies that decided, sorted. Empty when nothing permitted: that denies. */
  readonly reasons: readonly string[]
  /** Policies that failed to evaluate, with the engine's words. Any makes the decision `deny`. */
  readonly errors: readonly string[]
  readonly engine: 'cedar'
  readonly engineVersion: string
  /** SHA-256 of the policy text. */
  readonly policyDigest: Hash
  /** Canonical JSON. */
  readonly context: string
  /** SHA-256 of `context`. */
  readonly contextDigest: Hash
}

/** Longest policy text, in characters. */
export const MAX_POLICY_LENGTH = 256 * 1024

/** The media type under which issuance policies are published. */
export const CEDAR_MEDIA_TYPE = 'application/vnd.cedar-policy'

/**
 * Checks that a policy text is Cedar and valid against the schema: before publishing it, since a log never forgets. And that it writes
 * package URLs as bills of materials do here: one in another spelling would match nothing, and forbid nothing.
 *
 * @throws {@link ProvenanceError} `invalid_policy`
 */
export function checkPolicyText(text: string): void {
  const { texts } = withEngine(() => compile(text))
  for (const each of texts) {
    if (!/^pkg:/i.test(each)) continue
    const canonical = spellingOf(each)
    if (canonical !== each)
      throw invalid(`${JSON.stringify(each)} names no package: ${canonical ?? 'not a package URL'}`)
  }
}

function spellingOf(purl: string): string | undefined {
  try {
    return canonicalPurl(purl)
  } catch (error) {
    if (error instanceof ProvenanceError) return undefined
    throw error
  }
}

/**
 * Decides a request. Denies unless a policy permits, no policy forbids, and every policy could be evaluated: Cedar itself
 * skips a policy that fails, which would let a failing `forbid` permit.
 *
 * @throws {@link ProvenanceError} `invalid_policy`, `invalid_policy_context`
 */
export function decideIssuance(policyText: string, request: IssuanceRequest): IssuanceDecision {
  const { kind, lifetimeSeconds, audience = [] } = request.credential
  const facts = {
    attestation: { ...request.attestation, claims: { ...request.attestation.claims } },
    workload: { ...request.workload },
    credential: { kind, lifetimeSeconds, audience: [...new Set(audience)].sort() },
  }
  const { subject } = request
  const context = contextFor(policyText, subject, facts)
  const text = canonicalJson(context)
  return withEngine(() => {
    const { decisions, reads } = compile(policyText)
    const { uri, scheme, trustDomain, path } = subject
    const key = `${JSON.stringify([uri, scheme, trustDomain, path])}\n${tellingPart(reads, context)}`
    const made = decisions.of(key, () => evaluate(policyText, subject, text))
    // What was decided on is this context, whatever the policy saw of it.
    return {
      ...made,
      reasons: [...made.reasons],
      errors: [...made.errors],
      context: text,
      contextDigest: sha256(utf8(text)),
    }
  })
}

/**
 * As much of `facts` as a decision of this policy for this subject is made on.
 *
 * @throws {@link ProvenanceError} `invalid_policy`
 */
export function contextFor(policyText: string, subject: WorkloadIdentifier, facts: JsonObject): JsonObject {
  const { scheme, trustDomain, path } = subject
  const { texts } = withEngine(() => compile(policyText))
  return reduceContext(facts, new Set([...texts, scheme, trustDomain, path]))
}

/**
 * Makes a recorded decision again.
 *
 * @param context - canonical JSON, as {@link IssuanceDecision.context}
 * @throws {@link ProvenanceError} `invalid_policy`, `invalid_policy_context`
 */
export function reevaluate(policyText: string, subject: WorkloadIdentifier, context: string): IssuanceDecision {
  return withEngine(() => evaluate(policyText, subject, context))
}

function evaluate(policyText: string, subject: WorkloadIdentifier, context: string): IssuanceDecision {
  const { slot, digest } = compile(policyText)
  const answer = cedar().statefulIsAuthorized({
    principal: { type: 'Workload', id: subject.uri },
    action: { type: 'Action', id: 'issue' },
    resource: { type: 'TrustDomain', id: subject.trustDomain },
    context: parseContext(context) as Parameters<ReturnType<typeof cedar>['statefulIsAuthorized']>[0]['context'],
    preparsedSchemaName: SCHEMA_NAME,
    validateRequest: true,
    preparsedPolicySetId: slot,
    entities: entitiesOf(subject),
  })
  if (answer.type === 'failure') {
    throw new ProvenanceError('invalid_policy_context', answer.errors.map(({ message }) => message).join('; '))
  }
  const { decision, diagnostics } = answer.response
  const errors = diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`).sort()
  return {
    decision: errors.length === 0 ? decision : 'deny',
    // The engine gives them in the order of a hash table.
    reasons: [...diagnostics.reason].sort(),
    errors,
    engine: 'cedar',
    engineVersion: cedar().getCedarVersion(),
    policyDigest: digest,
    context,
    contextDigest: sha256(utf8(context)),
  }
}

function parseContext(context: string): JsonObject {
  const value = parseJson(context)
  // Another text of the same value would be another digest: only one of them was decided on.
  if (!isJsonObject(value) || canonicalJson(value) !== context) {
    throw new ProvenanceError('invalid_policy_context', 'not the canonical JSON of an object')
  }
  return value
}

type Entities = Parameters<ReturnType<typeof cedar>['statefulIsAuthorized']>[0]['entities']

function entitiesOf({ uri, scheme, trustDomain, path }: WorkloadIdentifier): Entities {
  const domain = { type: 'TrustDomain', id: trustDomain }
  return [
    { uid: { type: 'Workload', id: uri }, attrs: { scheme, trustDomain, path }, parents: [domain] },
    { uid: domain, attrs: {}, parents: [] },
  ]
}

interface Compiled {
  /** The name under which the engine keeps the parsed set. */
  readonly slot: string
  readonly digest: Hash
  /** Every text in it: all that it could compare with a text of the context. */
  readonly texts: ReadonlySet<string>
  /** What of a context it can tell apart. */
  readonly reads: Reads
  readonly decisions: Decisions<IssuanceDecision>
}

const SCHEMA_NAME = 'provlog'

/**
 * Parsed policy sets stay in the engine, which never drops one but lets us replace it: so there are 32 places, taken in
 * turn.
 * Parsing costs 1 ms, a decision without it 0.4 ms. By text, not by digest: a hit should not cost a hash.
 */
const SLOTS = 32
const compiled = new Map<string, Compiled>()
let hasSchema = false

function compile(text: string): Compiled {
  const known = compiled.get(text)
  if (known) return known
  if (text.length > MAX_POLICY_LENGTH) throw invalid('longer than a policy may be')
  if (!hasSchema) checkAnswer(cedar().preparseSchema(SCHEMA_NAME, ISSUANCE_SCHEMA))
  hasSchema = true

  const { staticPolicies, texts, conditions } = namedPolicies(text)
  const validation = cedar().validate({ schema: ISSUANCE_SCHEMA, policies: { staticPolicies } })
  checkAnswer(validation)
  if (validation.type === 'success' && validation.validationErrors.length > 0) {
    throw invalid(validation.validationErrors.map(({ policyId, error }) => `${policyId}: ${error.message}`).join('; '))
  }
  const [oldest] = compiled
  const slot = oldest && compiled.size === SLOTS ? oldest[1].slot : `slot ${compiled.size}`
  checkAnswer(cedar().preparsePolicySet(slot, { staticPolicies }))
  if (oldest && compiled.size === SLOTS) compiled.delete(oldest[0])
  const reads = readsOf(conditions)
  const entry = { slot, digest: sha256(utf8(text)), texts, reads, decisions: new Decisions<IssuanceDecision>() }
  compiled.set(text, entry)
  return entry
}

/** The policies of a text by `@id`. Those without one get the engine's own names: policy0, policy1, … as they stand. */
function namedPolicies(text: string): {
  staticPolicies: Record<string, string>
  texts: ReadonlySet<string>
  conditions: readonly unknown[]
} {
  const parts = cedar().policySetTextToParts(text)
  checkAnswer(parts)
  if (parts.type !== 'success') throw invalid('not Cedar')
  if (parts.policy_templates.length > 0) throw invalid('has templates, and nobody to fill them in')
  if (parts.policies.length === 0) throw invalid('has no policies: it would deny everything for ever')
  // The engine hands the parts back sorted by name: policy0, policy1, policy10, policy2, …
  const names = parts.policies.map((_, i) => `policy${i}`).sort()
  const policies: Record<string, string> = Object.create(null)
  const texts = new Set<string>()
  const conditions: unknown[] = []
  parts.policies.forEach((policy, i) => {
    const json = cedar().policyToJson(policy)
    checkAnswer(json)
    if (json.type === 'success') {
      collectTexts([json.json.principal, json.json.resource, json.json.conditions], texts)
      conditions.push(...json.json.conditions.map(({ body }) => body))
    }
    const id = (json.type === 'success' && json.json.annotations?.['id']) || names[i]!
    if (id in policies) throw invalid(`two policies are called ${JSON.stringify(id)}`)
    policies[id] = policy
  })
  return { staticPolicies: policies, texts, conditions }
}

/**
 * The engine recurses into a policy, and whoever writes one can nest it deeper than its stack is. It then breaks off where it
 * stands, and would fail at every policy that follows, whoever's it is: so it is thrown away, with all that it had parsed.
 */
function withEngine<T>(run: () => T): T {
  try {
    return run()
  } catch (cause) {
    if (!(cause instanceof Error && OUT_OF_STACK.includes(cause.name))) throw cause
    discardCedar()
    compiled.clear()
    hasSchema = false
    throw new ProvenanceError('invalid_policy', 'more than the engine can follow: nested too deeply', { cause })
  }
}

/** V8 and JavaScriptCore; Firefox; the engine's own stack, inside of its memory. */
const OUT_OF_STACK = ['RangeError', 'InternalError', 'RuntimeError']

type Answer =
  | { readonly type: 'success' }
  | { readonly type: 'failure'; readonly errors: readonly { message: string }[] }

function checkAnswer(answer: Answer): void {
  if (answer.type === 'failure') throw invalid(answer.errors.map(({ message }) => message).join('; '))
}

function invalid(why: string): ProvenanceError {
  return new ProvenanceError('invalid_policy', why)
}
