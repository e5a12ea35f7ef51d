/**
 * Compact JWS (RFC 7515): three base64url parts, `header.payload.signature`.
 *
 * Only what tokens here need: signatures by the algorithms of `statement/algorithm.ts`, the key given by the caller. `none`, MACs and
 * keys that the token itself brings along (`jwk`, `jku`, `x5c`) do not exist for this file. Signatures go through `#signature`, so that they are as
 * strict as those of statements, and JSON through `json.ts`, so that no member can be read in two ways.
 *
 * @module
 */
import type { SigningKey, VerificationKey } from '#signature'
import { fromBase64url, fromUtf8, toBase64url, utf8 } from '../merkle/bytes.ts'
import { EvidenceError } from '../merkle/error.ts'
import { JOSE_ALGORITHMS, type VerificationAlgorithm } from '../statement/algorithm.ts'
import type { PrivateJwk, VerificationJwk } from '../statement/cose-key.ts'
import { signingKeyOf, verificationKeyOf } from '../statement/key-ring.ts'
import { algorithmsOf } from '../statement/verification-jwk.ts'
import { ProvenanceError } from './error.ts'
import { canonicalJson, isJsonObject, type JsonObject, parseJson } from './json.ts'

/** What a compact JWS says. Nobody has checked the signature. */
export interface UnverifiedJws {
  readonly header: JsonObject
  /** Exactly as signed. */
  readonly payload: string
  readonly algorithm: VerificationAlgorithm
  readonly signingInput: Uint8Array
  /** Of a length that the algorithm can have. */
  readonly signature: Uint8Array
}

/** Longest compact JWS that we read, in characters. An EAR may carry the evidence that it is about. */
export const MAX_JWS_LENGTH = 1 << 20

/**
 * Takes a compact JWS apart without trusting it: to learn which key it names, and whom it is about.
 *
 * @throws {@link ProvenanceError} `malformed_jws`, `malformed_json`, `unsupported_algorithm`, `unknown_critical_extension`
 */
export function decodeCompactJws(compact: string): UnverifiedJws {
  if (compact.length > MAX_JWS_LENGTH) throw new ProvenanceError('malformed_jws', 'too long')
  const parts = compact.split('.')
  if (parts.length !== 3) throw new ProvenanceError('malformed_jws', `${parts.length} parts where a compact JWS has 3`)
  let bytes: Uint8Array[]
  let texts: string[]
  try {
    bytes = parts.map(fromBase64url)
    texts = bytes.slice(0, 2).map(fromUtf8)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new ProvenanceError('malformed_jws', `a part is ${cause.message}`, { cause })
  }

  const header = parseJson(texts[0]!)
  if (!isJsonObject(header)) throw new ProvenanceError('malformed_jws', 'the header is not an object')
  const { alg } = header
  const algorithm = typeof alg === 'string' ? JOSE_ALGORITHMS.get(alg) : undefined
  if (!algorithm) {
    throw new ProvenanceError('unsupported_algorithm', `alg ${JSON.stringify(alg)} is no signature that is taken`)
  }
  if (header['crit'] !== undefined) throw new ProvenanceError('unknown_critical_extension', 'the header has "crit"')
  if (!hasPossibleLength(bytes[2]!, algorithm)) {
    throw new ProvenanceError('malformed_jws', `a signature of ${bytes[2]!.length} bytes, by ${algorithm}`)
  }
  return {
    header,
    payload: texts[1]!,
    algorithm,
    signingInput: utf8(compact.slice(0, compact.lastIndexOf('.'))),
    signature: bytes[2]!,
  }
}

/**
 * Checks a compact JWS under a key that the caller chose, and returns what it says.
 *
 * @param expect.typ - the `typ` values that are allowed; `undefined` among them allows its absence (RFC 8725 §3.11)
 * @throws {@link ProvenanceError} as {@link decodeCompactJws}, and `bad_signature`
 */
export async function verifyCompactJws(
  compact: string,
  key: VerificationJwk | VerificationKey,
  expect: { readonly typ: readonly (string | undefined)[] },
): Promise<UnverifiedJws> {
  return verifyJws(decodeCompactJws(compact), key, expect)
}

/** As {@link verifyCompactJws}, of one that was taken apart already. */
export async function verifyJws(
  jws: UnverifiedJws,
  key: VerificationJwk | VerificationKey,
  expect: { readonly typ: readonly (string | undefined)[] },
): Promise<UnverifiedJws> {
  const { typ } = jws.header
  if (!expect.typ.some((allowed) => allowed === typ)) {
    throw new ProvenanceError('malformed_jws', `typ ${JSON.stringify(typ)} where ${expect.typ.join(' or ')} belongs`)
  }
  // A signature is never tried by another algorithm than the key is for: the key decides, and the header must agree.
  const agreed = ('verify' in key ? [key.algorithm] : algorithmsOf(key)).includes(jws.algorithm)
  const verifier = agreed && ('verify' in key ? key : await verificationKeyOf(key, jws.algorithm))
  if (!verifier || !(await verifier.verify(jws.signingInput, jws.signature))) {
    throw new ProvenanceError('bad_signature', 'not signed by the key it should be signed by')
  }
  return jws
}

/** Signs `payload`, a JSON text, under `{ alg, ...header }`. Ed25519 goes by its JOSE name of RFC 8037, `EdDSA`. */
export async function signCompactJws(
  header: JsonObject,
  payload: string,
  key: PrivateJwk | SigningKey,
): Promise<string> {
  const signer = 'sign' in key ? key : await signingKeyOf(key)
  const alg = signer.algorithm === 'ES256' ? 'ES256' : 'EdDSA'
  const input = `${toBase64url(utf8(canonicalJson({ ...header, alg })))}.${toBase64url(utf8(payload))}`
  return `${input}.${toBase64url(await signer.sign(utf8(input)))}`
}

/** RSA's length is that of its key, which is not known yet. */
function hasPossibleLength({ length }: Uint8Array, algorithm: VerificationAlgorithm): boolean {
  if (algorithm.startsWith('ES')) return length === { ES256: 64, ES384: 96, ES512: 132 }[algorithm as 'ES256']
  return algorithm === 'Ed25519' ? length === 64 : length >= 256 && length <= 1024
}
