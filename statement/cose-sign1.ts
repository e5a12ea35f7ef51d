/**
 * COSE_Sign1 (RFC 9052 §4.2): a payload and two headers, of which one is signed.
 *
 *     18([ protected: bstr, unprotected: map, payload: bstr / nil, signature: bstr ])
 *              │                                  │
 *              └──────────┐        ┌──────────────┘
 *     signed:  ["Signature1", protected, external_aad, payload]          the Sig_structure, §4.4
 *
 * The protected header is kept and hashed as it came: most COSE in the field has its keys in another order than ours, so
 * it is read loosely in that one respect and never re-encoded. The envelope must be exactly as we would write it.
 *
 * @module
 */
import { concatBytes, equalBytes, toBase64url, utf8 } from '../merkle/bytes.ts'
import { COSE_ALGORITHMS, type SigningAlgorithm, type VerificationAlgorithm } from './algorithm.ts'
import { asArray, asBytes, asInt, asMap, type CborKey, type CborMap, CborTag, encodeCbor } from './cbor.ts'
import { type CborLimits, DEFAULT_LIMITS, readCbor, textOf } from './cbor-read.ts'
import { headLength, MAJOR, writeHead } from './cbor-write.ts'
import { StatementError } from './error.ts'
import type { SigningKey, VerificationKey } from './signature.ts'

/** Header labels (IANA "COSE Header Parameters"). */
export const LABEL = {
  alg: 1,
  crit: 2,
  contentType: 3,
  kid: 4,
  cwtClaims: 15,
  typ: 16,
  x5chain: 33,
  x5t: 34,
  payloadHashAlg: 258,
  preimageContentType: 259,
  payloadLocation: 260,
  receipts: 394,
  vds: 395,
  vdp: 396,
} as const

/** A COSE_Sign1 whose signature nobody has checked yet. */
export interface CoseSign1 {
  /** As received: what the signature covers. */
  readonly protectedBytes: Uint8Array
  readonly protectedHeader: CborMap
  /** Anybody on the way may have changed it. */
  readonly unprotected: CborMap
  /** `null` when it is detached. */
  readonly payload: Uint8Array | null
  readonly signature: Uint8Array
}

/** How a message is read. */
export interface Sign1Limits {
  readonly maxBytes?: number
  /** What is read may hold on to the input, which nobody writes to any more; otherwise it has copies. */
  readonly views?: boolean
}

/**
 * Reads a tagged COSE_Sign1.
 *
 * @throws {@link StatementError} `malformed_cbor`, `too_large`, `malformed_cose`
 */
export function decodeCoseSign1(bytes: Uint8Array, { maxBytes, views = false }: Sign1Limits = {}): CoseSign1 {
  const message = readCbor(bytes, views ? ENVELOPE_VIEWS : ENVELOPE, maxBytes)
  if (!(message instanceof CborTag)) throw new StatementError('malformed_cose', 'a COSE_Sign1 must have tag 18')
  const [protectedBytes, unprotected, payload, signature] = asArray(message.value, 'a COSE_Sign1', 4)
  const sign1 = {
    protectedBytes: asBytes(protectedBytes, 'a protected header'),
    protectedHeader: decodeProtectedHeader(asBytes(protectedBytes, 'a protected header'), views),
    unprotected: asMap(unprotected, 'an unprotected header'),
    payload: payload === null ? null : asBytes(payload, 'a payload'),
    signature: asBytes(signature, 'a signature'),
  }
  checkHeaders(sign1.protectedHeader, sign1.unprotected)
  return sign1
}

/** The tagged message; the unprotected header is sorted, everything else is as it was. */
export function encodeCoseSign1({ protectedBytes, unprotected, payload, signature }: CoseSign1): Uint8Array {
  return encodeCbor(new CborTag(SIGN1_TAG, [protectedBytes, unprotected, payload, signature]))
}

/** The bytes that are signed: the Sig_structure of RFC 9052 §4.4. */
export function sigStructure(
  protectedBytes: Uint8Array,
  payload: Uint8Array,
  externalAad: Uint8Array = EMPTY,
): Uint8Array {
  const bytes = new Uint8Array(sigStructureLength(protectedBytes, payload, externalAad))
  writeSigStructure(bytes, 0, protectedBytes, payload, externalAad)
  return bytes
}

/** Bytes of the {@link sigStructure} of this. */
export function sigStructureLength(protectedBytes: Uint8Array, payload: Uint8Array, externalAad = EMPTY): number {
  return SIGNATURE1.length + itemLength(signedForm(protectedBytes)) + itemLength(externalAad) + itemLength(payload)
}

/** Writes the {@link sigStructure} at `at`, where there must be room for it, and returns where it ends. */
export function writeSigStructure(
  bytes: Uint8Array,
  at: number,
  protectedBytes: Uint8Array,
  payload: Uint8Array,
  externalAad = EMPTY,
): number {
  bytes.set(SIGNATURE1, at)
  const afterHeader = writeBytes(bytes, at + SIGNATURE1.length, signedForm(protectedBytes))
  return writeBytes(bytes, writeBytes(bytes, afterHeader, externalAad), payload)
}

/** An empty header may be sent as h'' or as h'A0', and is signed as h'' either way (§3, §4.4). */
function signedForm(protectedBytes: Uint8Array): Uint8Array {
  return protectedBytes.length === 1 && protectedBytes[0] === EMPTY_MAP ? EMPTY : protectedBytes
}

function itemLength({ length }: Uint8Array): number {
  return headLength(length) + length
}

function writeBytes(bytes: Uint8Array, at: number, value: Uint8Array): number {
  const start = writeHead(bytes, at, MAJOR.bytes, value.length)
  bytes.set(value, start)
  return start + value.length
}

/** What to sign. `alg` and `kid` are those of the key and need not be named. */
export interface Sign1Content {
  readonly protectedHeader: CborMap
  readonly unprotected?: CborMap
  readonly payload: Uint8Array
  /** Sign the payload and leave it out. */
  readonly detached?: boolean
}

/** Signs `content`: `alg` and `kid` go into the protected header. */
export async function signSign1(content: Sign1Content, key: SigningKey): Promise<CoseSign1> {
  const { payload, detached, unprotected = new Map() } = content
  const protectedHeader = new Map(content.protectedHeader)
  protectedHeader.set(LABEL.alg, EMITTED_ALGORITHM[key.algorithm]).set(LABEL.kid, utf8(key.kid))
  const protectedBytes = encodeCbor(protectedHeader)
  const signature = await key.sign(sigStructure(protectedBytes, payload))
  return { protectedBytes, protectedHeader, unprotected, payload: detached ? null : payload, signature }
}

/** What the verification of a signature depends on, besides message and key. */
export interface Sign1Context {
  /** The content, when it is detached; when it is attached too, the two must be equal. */
  readonly payload?: Uint8Array | undefined
  readonly externalAad?: Uint8Array | undefined
  /** Labels that the caller has processed, so that `crit` may name them too: of certificates that were validated, say. */
  readonly processed?: readonly CborKey[]
}

/**
 * Resolves when `sign1` is signed by `key`, every critical header is one we process, and the algorithm is the key's.
 *
 * @throws {@link StatementError} `unknown_critical_header`, `unsupported_algorithm`, `algorithm_mismatch`, `missing_payload`,
 *   `malformed_cose`, `bad_signature`
 */
export async function verifySign1(sign1: CoseSign1, key: VerificationKey, context: Sign1Context = {}): Promise<void> {
  const content = contentToVerify(sign1, key, context)
  const signed = sigStructure(sign1.protectedBytes, content, context.externalAad)
  if (!(await key.verify(signed, sign1.signature))) throw notSignedBy(key)
}

/**
 * The content whose signature is to be checked, when everything else holds: all of {@link verifySign1} but the signature.
 *
 * @throws {@link StatementError} `unknown_critical_header`, `unsupported_algorithm`, `algorithm_mismatch`, `missing_payload`,
 *   `malformed_cose`, `bad_signature` when the content is not the one expected
 */
export function contentToVerify(
  sign1: CoseSign1,
  key: Pick<VerificationKey, 'algorithm'>,
  { payload, processed = [] }: Sign1Context,
): Uint8Array {
  checkCritical(sign1.protectedHeader, processed)
  const algorithm = algorithmOf(sign1.protectedHeader)
  if (algorithm !== key.algorithm) {
    throw new StatementError('algorithm_mismatch', `signed as ${algorithm}, and the key is for ${key.algorithm}`)
  }
  const content = sign1.payload ?? payload
  if (!content) throw new StatementError('missing_payload', 'the payload is detached and was not supplied')
  if (payload && !equalBytes(content, payload)) {
    throw new StatementError('bad_signature', 'the payload attached is another one than the payload expected')
  }
  return content
}

export function notSignedBy({ kid }: Pick<VerificationKey, 'kid'>): StatementError {
  return new StatementError('bad_signature', `not a signature by key ${kid}`)
}

/**
 * The algorithm that a protected header names.
 *
 * @throws {@link StatementError} `malformed_cose` without one, `unsupported_algorithm`
 */
export function algorithmOf(protectedHeader: CborMap): VerificationAlgorithm {
  const alg = protectedHeader.get(LABEL.alg)
  // RFC 9052 lets `alg` be unprotected, and an attacker then chooses it. Nothing in SCITT does so.
  if (alg === undefined) throw new StatementError('malformed_cose', 'no algorithm in the protected header')
  const id = typeof alg === 'string' ? alg : asInt(alg, 'alg')
  const algorithm = COSE_ALGORITHMS.get(id)
  if (!algorithm) throw new StatementError('unsupported_algorithm', `algorithm ${id}`)
  return algorithm
}

/**
 * A `kid` header as text: the ASCII bytes themselves where they are printable, and base64url where they are not, so that a raw
 * 32-byte thumbprint and its text name the same key.
 */
export function kidText(kid: Uint8Array): string {
  for (let i = 0; i < kid.length; i++) if (kid[i]! <= 0x20 || kid[i]! >= 0x7f) return toBase64url(kid)
  return textOf(kid, 0, kid.length)
}

const SIGN1_TAG = 18
const EMPTY: Uint8Array = new Uint8Array()
const EMPTY_MAP = 0xa0
/** The Sig_structure up to its protected header: an array of four, of which the first is the context. */
export const SIGNATURE1 = concatBytes(Uint8Array.of(0x84, 0x6a), utf8('Signature1'))
/** A header is tens of items; real ones that carry certificate chains and attestation reports stay below a hundred. */
const MAX_HEADER_ITEMS = 4096
const ENVELOPE: CborLimits = { ...DEFAULT_LIMITS, maxItems: MAX_HEADER_ITEMS, tags: [SIGN1_TAG], sortedKeys: false }
const ENVELOPE_VIEWS: CborLimits = { ...ENVELOPE, views: true }
/** Tag 1 is common around `iat`, wrong as it is (RFC 8392 §2 wants the plain number). */
const HEADER: CborLimits = { ...ENVELOPE, tags: [1] }
const HEADER_VIEWS: CborLimits = { ...HEADER, views: true }

const EMITTED_ALGORITHM: Record<SigningAlgorithm, number> = { ES256: -7, Ed25519: -8 }

/**
 * What is processed of any message: alg, crit itself, content type, kid, CWT claims, typ. What else `crit` may name depends on what
 * the message is: the three of a hash envelope in a statement, vds in a receipt, certificates where a path was built from them.
 */
const ALWAYS_PROCESSED: readonly CborKey[] = [1, 2, 3, 4, 15, 16]

function decodeProtectedHeader(bytes: Uint8Array, views: boolean): CborMap {
  if (bytes.length === 0) return new Map()
  return asMap(readCbor(bytes, views ? HEADER_VIEWS : HEADER), 'a protected header')
}

/** RFC 9052 §3 and §3.1: no label in both headers, `crit` protected, and every label in it present. */
function checkHeaders(protectedHeader: CborMap, unprotected: CborMap): void {
  for (const label of unprotected.keys()) {
    if (protectedHeader.has(label)) throw new StatementError('malformed_cose', `header ${label} is in both headers`)
  }
  if (unprotected.has(LABEL.crit)) throw new StatementError('malformed_cose', 'crit must be protected')
  const critical = protectedHeader.get(LABEL.crit)
  if (critical === undefined) return
  const labels = asArray(critical, 'crit')
  if (labels.length === 0) throw new StatementError('malformed_cose', 'crit must not be empty')
  for (const label of labels) {
    if (typeof label !== 'number' && typeof label !== 'string')
      throw new StatementError('malformed_cose', 'crit has no label')
    if (!protectedHeader.has(label))
      throw new StatementError('malformed_cose', `crit names ${label}, which is not there`)
  }
}

function checkCritical(protectedHeader: CborMap, processed: readonly CborKey[]): void {
  const critical = protectedHeader.get(LABEL.crit) as readonly CborKey[] | undefined
  if (critical === undefined) return
  const unknown = critical.find((label) => !ALWAYS_PROCESSED.includes(label) && !processed.includes(label))
  if (unknown !== undefined) throw new StatementError('unknown_critical_header', `critical header ${unknown}`)
}
