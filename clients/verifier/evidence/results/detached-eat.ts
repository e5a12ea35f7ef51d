/**
 * Detached EAT bundles (RFC 9711 §5) as NVIDIA's attestation service makes them: one token about the whole, and for each part a token that the first
 * one has the digest of.
 *
 *     [ ["JWT", overall], { "GPU-0": JWT, … } ]          overall.submods = { "GPU-0": ["DIGEST", ["SHA-256", "<hex>"]], … }
 *
 * Each part is named by both, its digest holds, and it is signed itself. A part that is there and not named was added by somebody else; one that is
 * named and not there was left out.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { fromUtf8 } from '../../../../merkle/index.ts'
import { isJsonObject, type Json, type JsonObject, parseJson } from '../../../../provenance/index.ts'
import { malformedEvidence, readingEvidence, VerifierError } from '../../error.ts'
import { verifyToken } from './token.ts'
import type { VerifierKey } from './verifier-keys.ts'

export interface DetachedEat {
  readonly overall: JsonObject
  /** By label; at least one. */
  readonly parts: ReadonlyMap<string, JsonObject>
  /** Who signed, each once. */
  readonly signers: readonly VerifierKey[]
}

const MAX_PARTS = 64

/** The names that RFC 9711 takes from the registry of hash algorithms for CoAP and the like. */
const HASHES: ReadonlyMap<unknown, string> = new Map([
  ['SHA-256', 'sha256'],
  ['SHA-384', 'sha384'],
  ['SHA-512', 'sha512'],
])

/** @throws {@link VerifierError} `malformed_evidence`, `measurement_mismatch`, `missing_collateral`, `bad_evidence_signature` */
export async function verifyDetachedEat(evidence: Uint8Array, keys: readonly VerifierKey[]): Promise<DetachedEat> {
  const bundle = readingEvidence(() => parseJson(fromUtf8(evidence)))
  if (!Array.isArray(bundle) || bundle.length !== 2 || !isJsonObject(bundle[1])) {
    throw malformedEvidence('not [["JWT", token], { label: token }]')
  }
  const [main, detached] = bundle as [Json, JsonObject]
  const first = await verifyToken(tokenIn(main), keys)
  const named = first.claims['submods']
  if (!isJsonObject(named)) throw malformedEvidence('the overall token names no submodules')
  const labels = Object.keys(named)
  if (labels.length === 0 || labels.length > MAX_PARTS) throw malformedEvidence(`${labels.length} submodules`)
  const stranger = Object.keys(detached).find((label) => !labels.includes(label))
  if (stranger !== undefined)
    throw malformedEvidence(`${JSON.stringify(stranger)} is a submodule that the overall token does not name`)

  const signers = new Map([[first.key.thumbprint, first.key]])
  const parts = new Map<string, JsonObject>()
  for (const label of labels) {
    const value = detached[label]
    if (value === undefined) throw malformedEvidence(`the submodule ${JSON.stringify(label)} is missing`)
    const token = tokenIn(value)
    checkDigest(token, named[label], label)
    const { claims, key } = await verifyToken(token, keys)
    parts.set(label, claims)
    signers.set(key.thumbprint, key)
  }
  return { overall: first.claims, parts, signers: [...signers.values()] }
}

/** A token by itself, or said to be a JWT. */
function tokenIn(value: Json): string {
  const token = Array.isArray(value) && value.length === 2 && value[0] === 'JWT' ? (value[1] as Json) : value
  if (typeof token !== 'string') throw malformedEvidence('a token that is no JWT')
  return token
}

function checkDigest(token: string, said: Json | undefined, label: string): void {
  const [kind, digest, ...more] = Array.isArray(said) ? (said as readonly Json[]) : []
  const [name, hex] = Array.isArray(digest) && digest.length === 2 ? (digest as readonly Json[]) : []
  const hash = HASHES.get(name)
  if (kind !== 'DIGEST' || more.length > 0 || !hash || typeof hex !== 'string') {
    throw malformedEvidence(`the submodule ${JSON.stringify(label)} is not named by a digest`)
  }
  if (createHash(hash).update(token).digest('hex') !== hex.toLowerCase()) {
    throw new VerifierError('measurement_mismatch', `the submodule ${JSON.stringify(label)} has another digest`)
  }
}
