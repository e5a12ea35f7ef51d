/**
 * Attestation results as CWTs (RFC 8392): a COSE_Sign1 over the claims of `ear-claims.ts`, which have numbers for names.
 *
 *     61(18([ { 1: alg }, { 4: kid }, << { 265: profile, 6: iat, 1004: { 0: …, 1: … }, 266: { label: { 1000: 2, … } } } >>, signature ]))
 *
 * Both tags may be missing. Verifiers write CBOR in any encoding, which is their signature's to protect.
 *
 * @module
 */
import { fromUtf8, toBase64url } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { COSE_ALGORITHMS, type VerificationAlgorithm } from '../../statement/algorithm.ts'
import { sigStructure } from '../../statement/cose-sign1.ts'
import { ProvenanceError } from '../error.ts'
import type { Json, JsonObject } from '../json.ts'
import { type Dialect, dialectOf } from './ear-claims.ts'
import { decodeLooseCbor, type LooseCbor, type LooseMap, LooseTag } from './loose-cbor.ts'
import { CLAIMS } from './tier.ts'

/** What a CWT says. Nobody has checked the signature. */
export interface UnverifiedEarCwt {
  readonly algorithm: VerificationAlgorithm
  readonly kid?: string
  readonly signed: Uint8Array
  readonly signature: Uint8Array
  /** The claims by the names that they have in JSON. @throws ProvenanceError `unsupported_profile`, `malformed_result` */
  readonly claims: () => Json
}

export const MAX_CWT_BYTES = 1 << 20

const COSE_SIGN1 = 18
const CWT = 61

/** @throws {@link ProvenanceError} `malformed_result`, `unsupported_algorithm`, `unknown_critical_extension` */
export function decodeEarCwt(bytes: Uint8Array): UnverifiedEarCwt {
  if (bytes.length > MAX_CWT_BYTES) throw refuse('too long')
  const parts = untagged(decode(bytes), [CWT, COSE_SIGN1])
  if (!Array.isArray(parts) || parts.length !== 4) throw refuse('not a COSE_Sign1')
  const [protectedBytes, unprotected, payload, signature] = parts as readonly LooseCbor[]
  if (
    !(protectedBytes instanceof Uint8Array) ||
    !(unprotected instanceof Map) ||
    !(payload instanceof Uint8Array) ||
    !(signature instanceof Uint8Array)
  ) {
    throw refuse('not a COSE_Sign1')
  }
  const header = protectedBytes.length === 0 ? new Map() : decode(protectedBytes)
  if (!(header instanceof Map)) throw refuse('the protected header is not a map')
  // RFC 9052 §3.1: `crit` names what a reader has to understand.
  if (header.has(2) || unprotected.has(2)) {
    throw new ProvenanceError('unknown_critical_extension', 'the header has "crit"')
  }
  // §3: one label stands in one of the two.
  if ([...unprotected.keys()].some((label) => header.has(label))) throw refuse('a label in both headers')
  const algorithm = COSE_ALGORITHMS.get(header.get(1))
  if (!algorithm) throw new ProvenanceError('unsupported_algorithm', `alg ${String(header.get(1)).slice(0, 64)}`)
  const kid = header.get(4) ?? unprotected.get(4)
  return {
    algorithm,
    ...(kid instanceof Uint8Array ? { kid: textOf(kid) } : {}),
    signed: sigStructure(protectedBytes, payload),
    signature,
    claims: () => claimsOf(payload),
  }
}

/** Names of RFC 9711 §4 and RFC 8392 §4, the same in all dialects. */
const CWT_NAMES: ReadonlyMap<number, string> = new Map([
  [265, 'eat_profile'],
  [1, 'iss'],
  [2, 'sub'],
  [3, 'aud'],
  [4, 'exp'],
  [5, 'nbf'],
  [6, 'iat'],
  [7, 'jti'],
  [10, 'eat_nonce'],
  [266, 'submods'],
])

/** draft-ietf-rats-ear-03 §5; those before it use the same numbers. */
const EAR_NAMES: readonly (readonly [label: number, name: keyof Dialect])[] = [
  [1000, 'status'],
  [1001, 'vector'],
  [1002, 'rawEvidence'],
  [1003, 'policies'],
  [1004, 'verifier'],
  [-70000, 'annotatedEvidence'],
  [-70001, 'policyClaims'],
  [-70002, 'keyAttestation'],
]

const VERIFIER = new Map([
  [0, 'developer'],
  [1, 'build'],
])

/** draft-ietf-rats-ar4si-09 §2.3.2 */
const TIERS: ReadonlyMap<unknown, string> = new Map([
  [0, 'none'],
  [2, 'affirming'],
  [32, 'warning'],
  [96, 'contraindicated'],
])

function claimsOf(payload: Uint8Array): Json {
  const map = untagged(decode(payload), [CWT])
  if (!(map instanceof Map)) throw refuse('the claims are not a map')
  const names = dialectOf(map.get(265))
  const labels = new Map([
    ...CWT_NAMES,
    ...EAR_NAMES.flatMap(([label, name]): [number, string][] => (names[name] ? [[label, names[name]]] : [])),
  ])
  const nonces = (value: LooseCbor): Json =>
    Array.isArray(value) ? value.map(nonces) : value instanceof Uint8Array ? textOf(value) : refusedNonce()
  const meanings: ReadonlyMap<string, (value: LooseCbor) => Json> = new Map<string, (value: LooseCbor) => Json>([
    [names.status, (value) => TIERS.get(value) ?? null],
    [names.vector, (value) => named(value, new Map(CLAIMS.map((claim, i) => [i, claim])))],
    [names.verifier, (value) => named(value, VERIFIER)],
    ['eat_nonce', nonces],
    ['submods', (value): Json => submodules(value, (part) => named(part, labels, meanings))],
  ])
  return named(map, labels, meanings)
}

function submodules(value: LooseCbor, read: (part: LooseCbor) => Json): Json {
  if (!(value instanceof Map)) throw refuse('submods is not a map')
  const parts: Record<string, Json> = Object.create(null)
  for (const [label, part] of value as LooseMap) {
    if (typeof label !== 'string') throw refuse('a submodule without a name')
    parts[label] = read(part)
  }
  return parts
}

/** A map with numbers for names. A text that is one of these names would be a second way of saying it. */
function named(
  value: LooseCbor,
  names: ReadonlyMap<number, string>,
  meanings: ReadonlyMap<string, (value: LooseCbor) => Json> = new Map(),
): JsonObject {
  if (!(value instanceof Map)) throw refuse('not a map where one belongs')
  const object: Record<string, Json> = Object.create(null)
  for (const [label, inner] of value as LooseMap) {
    if (typeof label === 'string' && [...names.values()].includes(label)) throw refuse(`${label} spelt out`)
    const name = typeof label === 'string' ? label : (names.get(label) ?? `#${label}`)
    if (name in object) throw refuse(`${name} twice`)
    object[name] = (meanings.get(name) ?? jsonOf)(inner)
  }
  return object
}

/** As annotated evidence would be in JSON: bytes in base64url, tags left out. */
function jsonOf(value: LooseCbor): Json {
  if (value instanceof Uint8Array) return toBase64url(value)
  if (value instanceof LooseTag) return jsonOf(value.value)
  if (value instanceof Map) {
    const object: Record<string, Json> = Object.create(null)
    for (const [label, inner] of value as LooseMap) {
      const name = String(label)
      if (name in object) throw refuse(`${name} as a number and as a text`)
      object[name] = jsonOf(inner)
    }
    return object
  }
  if (Array.isArray(value)) return (value as readonly LooseCbor[]).map(jsonOf)
  return value as Json
}

function untagged(value: LooseCbor, tags: readonly number[]): LooseCbor {
  let inner = value
  for (const tag of tags) if (inner instanceof LooseTag && inner.tag === tag) inner = inner.value
  return inner
}

/** Bytes that are text as that text, so that it can be compared with a challenge; others in base64url. */
function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes)
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return toBase64url(bytes)
  }
}

function decode(bytes: Uint8Array): LooseCbor {
  try {
    return decodeLooseCbor(bytes)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new ProvenanceError('malformed_result', cause.message, { cause })
  }
}

function refusedNonce(): never {
  throw refuse('eat_nonce is not bytes')
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_result', why)
}
