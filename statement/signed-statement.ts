/**
 * A Signed Statement (RFC 9943 §6): somebody (`iss`) says something (the payload, opaque here) about something (`sub`).
 *
 *     as submitted    18([ protected, {receipts, wraps, …}, payload, signature ])
 *     statement       18([ protected, {},                   payload, signature ])      what is registered
 *     entry           SHA-256(statement)                                               what the tree holds
 *     leaf            SHA-256(0x00 ‖ entry)
 *
 * What is in the unprotected header is read and left behind: it is nobody's word. Everything in the envelope that could be
 * encoded in two ways is refused in all but one, so one signature has one statement, up to the twin that ECDSA allows
 * ({@link statementIdentity}).
 *
 * @module
 */
import { concatBytes, equalBytes } from '../merkle/bytes.ts'
import { type Hash, sha256 } from '../merkle/hash.ts'
import {
  asArray,
  asBytes,
  asInt,
  asMap,
  asText,
  asUint,
  type CborMap,
  CborTag,
  type CborValue,
  encodeCbor,
} from './cbor.ts'
import { headLength } from './cbor-write.ts'
import type { PublicJwk } from './cose-key.ts'
import {
  type CoseSign1,
  contentToVerify,
  decodeCoseSign1,
  encodeCoseSign1,
  kidText,
  LABEL,
  notSignedBy,
  type Sign1Context,
  type Sign1Limits,
  signSign1,
  sigStructure,
} from './cose-sign1.ts'
import { readingAs, StatementError } from './error.ts'
import type { SigningKey, VerificationKey } from './signature.ts'

/** What the protected header says. */
export interface StatementHeader {
  /** COSE algorithm identifier. */
  readonly alg: number
  /** See `kidText`. Absent only beside `x5chain` or `x5t`. */
  readonly kid?: string
  /** Of the payload, or of what the payload is the hash of. A number is a CoAP content format. */
  readonly contentType?: string | number
  /** The payload is this hash of the content (RFC 9995): a COSE algorithm identifier, and of the length that it says. */
  readonly payloadHashAlg?: number
  /** Where the hashed content may be had. Nobody has looked. */
  readonly payloadLocation?: string
  readonly typ?: string | number
  /** CWT `iss`: who says it. */
  readonly issuer: string
  /** CWT `sub`: about what. */
  readonly subject: string
  /** CWT `iat`, POSIX seconds. The issuer's word. */
  readonly issuedAt?: number
  /** DER certificates, leaf first, validated by nobody yet. Unprotected ones are here only when `x5t` names their leaf. */
  readonly x5chain?: readonly Uint8Array[]
  /** SHA-256 of the leaf: the certificate that signed, named in the protected header. Always that of `x5chain`, if both are there. */
  readonly x5t?: Uint8Array
}

/** A statement that is well formed; nobody has checked its signature. */
export interface SignedStatement {
  /** With the unprotected header emptied: what is registered. */
  readonly bytes: Uint8Array
  /** SHA-256 of `bytes`. */
  readonly entry: Hash
  readonly header: StatementHeader
  readonly payload: Uint8Array
  readonly sign1: CoseSign1
  /** As received. */
  readonly unprotected: CborMap
}

declare const verified: unique symbol

/** A statement whose signature is by `signer`. Only {@link verifySignedStatement} makes one, by its {@link SignatureCheck}. */
export type VerifiedStatement = SignedStatement & {
  readonly [verified]: true
  readonly signer: { readonly kid: string; readonly jwk: PublicJwk }
}

/**
 * Reads a Signed Statement and checks what RFC 9943 demands of its headers.
 *
 * @param limits - also `entry`: SHA-256 of `bytes`, for whoever has it already
 * @throws {@link StatementError} `malformed_cbor`, `too_large`, `malformed_cose`, `malformed_statement`, `missing_payload`,
 *   `unsupported_algorithm` for an `x5t` by another hash than SHA-256
 */
export function parseSignedStatement(
  bytes: Uint8Array,
  limits: Sign1Limits & { readonly entry?: Hash } = {},
): SignedStatement {
  const sign1 = decodeCoseSign1(bytes, limits)
  const { payload, unprotected } = sign1
  // RFC 9943 lets the payload be detached; then a log could not give it to an auditor.
  if (payload === null) throw new StatementError('missing_payload', 'a statement must carry its payload')
  const header = readingAs('malformed_statement', () => readHeader(sign1, payload))
  // The envelope has one form, so a statement that came without unprotected headers is already what is registered.
  const statement = unprotected.size > 0 ? registeredBytes(sign1) : limits.views ? bytes : new Uint8Array(bytes)
  const known = unprotected.size > 0 ? undefined : limits.entry
  return { bytes: statement, entry: known ?? sha256(statement), header, payload, sign1, unprotected }
}

/** What is registered of any COSE_Sign1, statement or not: the message with its unprotected header emptied. Its SHA-256 is the entry. */
export function registeredBytes(sign1: CoseSign1): Uint8Array {
  return encodeCoseSign1({ ...sign1, unprotected: new Map() })
}

/** The statement with these unprotected headers, and no others: for whoever has it parsed. */
export function withUnprotected({ bytes, sign1 }: SignedStatement, unprotected: CborMap): Uint8Array {
  const before = lengthBefore(sign1)
  return concatBytes(bytes.subarray(0, before), encodeCbor(unprotected), bytes.subarray(before + 1))
}

/** Of 18([ protected, {}, payload, signature ]) what stands before the one byte of the empty header. */
export function lengthBefore({ protectedBytes }: CoseSign1): number {
  return 2 + headLength(protectedBytes.length) + protectedBytes.length
}

/**
 * Checks the signature.
 *
 * Which key is right for the issuer that the statement names is for the caller to know: the header's `kid` is only a hint.
 *
 * @param processed - labels besides our own that `crit` may name, because the caller acted on them
 * @throws {@link StatementError} `bad_signature`, `algorithm_mismatch`, `unsupported_algorithm`, `unknown_critical_header`
 */
export async function verifySignedStatement(
  statement: SignedStatement,
  key: VerificationKey,
  context: Pick<Sign1Context, 'processed'> = {},
): Promise<VerifiedStatement> {
  const check = new SignatureCheck(statement, key, context)
  const { protectedBytes, signature } = statement.sign1
  return check.concluded(await key.verify(sigStructure(protectedBytes, statement.payload), signature))
}

/**
 * The two halves of {@link verifySignedStatement}, for whoever has many signatures checked together, elsewhere: what is to be checked
 * before the signature, and what comes of it.
 */
export class SignatureCheck {
  readonly statement: SignedStatement
  readonly key: Pick<VerificationKey, 'algorithm' | 'kid' | 'jwk'>

  /** @throws {@link StatementError} `algorithm_mismatch`, `unsupported_algorithm`, `unknown_critical_header` */
  constructor(
    statement: SignedStatement,
    key: Pick<VerificationKey, 'algorithm' | 'kid' | 'jwk'>,
    { processed }: Pick<Sign1Context, 'processed'> = {},
  ) {
    contentToVerify(statement.sign1, key, {
      processed: processed ? [...HASH_ENVELOPE, ...processed] : HASH_ENVELOPE,
    })
    this.statement = statement
    this.key = key
  }

  /**
   * The statement, verified.
   *
   * @param valid whether `sign1.signature` is one by `key` over the `sigStructure` of the statement
   * @throws {@link StatementError} `bad_signature`
   */
  concluded(valid: boolean): VerifiedStatement {
    if (!valid) throw notSignedBy(this.key)
    // Named and not spread: for each statement that is registered, and spreading an object of several shapes takes 3 µs.
    const { bytes, entry, header, payload, sign1, unprotected } = this.statement
    const signer = { kid: this.key.kid, jwk: this.key.jwk }
    return { bytes, entry, header, payload, sign1, unprotected, signer } as VerifiedStatement
  }
}

export interface StatementContent {
  readonly issuer: string
  readonly subject: string
  /** POSIX seconds. */
  readonly issuedAt: number
  readonly contentType: string
  readonly typ?: string
  readonly payload: Uint8Array
}

/** Signs a statement: deterministic header, ES256 or Ed25519 by the key. */
export async function signStatement(content: StatementContent, key: SigningKey): Promise<SignedStatement> {
  const { issuer, subject, issuedAt, contentType, typ, payload } = content
  const claims = new Map<number, CborValue>([
    [CWT.iss, issuer],
    [CWT.sub, subject],
    [CWT.iat, issuedAt],
  ])
  const protectedHeader = new Map<number, CborValue>([
    [LABEL.contentType, contentType],
    [LABEL.cwtClaims, claims],
  ])
  if (typ !== undefined) protectedHeader.set(LABEL.typ, typ)
  // Through the reader, so that we never emit what we would refuse.
  return parseSignedStatement(encodeCoseSign1(await signSign1({ protectedHeader, payload }, key)), {
    maxBytes: Number.POSITIVE_INFINITY,
  })
}

/**
 * SHA-256 of what was signed. Two statements with one identity say the same under the same key and differ in the signature
 * alone: ECDSA lets anybody make the second out of the first, and lets the signer make any number.
 */
export function statementIdentity({ sign1, payload }: SignedStatement): Hash {
  return sha256(sigStructure(sign1.protectedBytes, payload))
}

/** CWT claims (RFC 8392 §4). */
export const CWT = { iss: 1, sub: 2, aud: 3, exp: 4, nbf: 5, iat: 6, cti: 7 } as const

/** A time claim: an integer, or one under tag 1, which RFC 8392 forbids and much of the field writes. */
export function asTime(value: CborValue | undefined, title: string): number {
  return asUint(value instanceof CborTag && value.tag === 1 ? value.value : value, title)
}

function readHeader({ protectedHeader, unprotected }: CoseSign1, payload: Uint8Array): StatementHeader {
  const claims = asMap(protectedHeader.get(LABEL.cwtClaims), 'the CWT claims of a statement')
  const issuer = asText(claims.get(CWT.iss), 'the issuer of a statement')
  const subject = asText(claims.get(CWT.sub), 'the subject of a statement')
  if (issuer.length === 0 || issuer.length > 8192) throw malformed('an issuer of 1 to 8192 characters')
  const iat = claims.get(CWT.iat)
  const kid = protectedHeader.get(LABEL.kid)
  const typ = protectedHeader.get(LABEL.typ)
  // Assigned and not spread: for each statement that is read, and most lack most of this.
  const header: Writable<StatementHeader> = { alg: asInt(protectedHeader.get(LABEL.alg), 'alg'), issuer, subject }
  readCertificates(header, protectedHeader, unprotected)
  const certified = header.x5chain !== undefined || header.x5t !== undefined
  if (kid === undefined && !certified) throw malformed('a kid, or a certificate')
  // What a certificate vouches for has to be an absolute URI.
  if (certified && !/^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$/.test(issuer))
    throw malformed('a URI as issuer beside a certificate')
  if (kid !== undefined) header.kid = kidText(asBytes(kid, 'kid'))
  readContent(header, protectedHeader, unprotected, payload.length)
  if (typ !== undefined) header.typ = asType(typ, 'typ')
  if (iat !== undefined) header.issuedAt = asTime(iat, 'iat')
  return header
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Label 3; or, when the payload is a hash (RFC 9995 §3), labels 258 to 260, and then label 3 nowhere. */
function readContent(
  header: Writable<StatementHeader>,
  protectedHeader: CborMap,
  unprotected: CborMap,
  length: number,
): void {
  const { contentType, payloadHashAlg, preimageContentType, payloadLocation } = LABEL
  for (const label of HASH_ENVELOPE) if (unprotected.has(label)) throw malformed(`header ${label} protected`)
  const alg = protectedHeader.get(payloadHashAlg)
  const type = protectedHeader.get(alg === undefined ? contentType : preimageContentType)
  if (type !== undefined) header.contentType = asType(type, 'the content type')
  if (alg === undefined) {
    // Without the hash they speak of nothing, and a reader who acted on them would take the payload for another content.
    for (const label of HASH_ENVELOPE) if (protectedHeader.has(label)) throw malformed(`no header ${label} without 258`)
    return
  }
  if (protectedHeader.has(contentType) || unprotected.has(contentType)) {
    throw malformed('no content type of its own beside a payload hash')
  }
  const hash = asInt(alg, 'the payload hash algorithm')
  const wanted = HASH_LENGTHS.get(hash)
  if (wanted === undefined) throw new StatementError('unsupported_algorithm', `a payload hash by algorithm ${hash}`)
  if (length !== wanted) throw malformed(`a payload of ${wanted} bytes, which is what its hash has`)
  const location = protectedHeader.get(payloadLocation)
  header.payloadHashAlg = hash
  if (location !== undefined) header.payloadLocation = asText(location, 'the payload location')
}

function asType(value: CborValue, title: string): string | number {
  return typeof value === 'string' ? value : asUint(value, title)
}

/** The protected chain; or an unprotected one whose leaf the protected `x5t` names (RFC 9360 §2). */
function readCertificates(header: Writable<StatementHeader>, protectedHeader: CborMap, unprotected: CborMap): void {
  const { x5chain, x5t } = LABEL
  const named = protectedHeader.has(x5t) ? readThumbprint(protectedHeader.get(x5t)!) : undefined
  // Without a protected x5t, an unprotected chain is what anybody put there.
  const holder = protectedHeader.has(x5chain) ? protectedHeader : named ? unprotected : undefined
  const certificates = holder?.has(x5chain) ? readChain(holder.get(x5chain)!) : undefined
  if (certificates && named && !equalBytes(sha256(certificates[0]!), named)) {
    throw malformed('the certificate that x5t names')
  }
  if (certificates) header.x5chain = certificates
  if (named) header.x5t = named
}

/** COSE_CertHash. Others than SHA-256 nobody here could compare with a certificate. */
function readThumbprint(value: CborValue): Uint8Array {
  const [alg, hash] = asArray(value, 'x5t', 2)
  if (alg !== SHA_256) throw new StatementError('unsupported_algorithm', 'an x5t by another hash than SHA-256')
  return asBytes(hash, 'the hash of x5t', 32)
}

/** COSE_X509: one certificate, or an array of two or more. */
function readChain(value: CborValue): readonly Uint8Array[] {
  if (value instanceof Uint8Array) return [value]
  const chain = asArray(value, 'x5chain').map((certificate) => asBytes(certificate, 'a certificate'))
  if (chain.length < 2) throw malformed('a chain of one certificate as that certificate')
  return chain
}

/** The labels of RFC 9995, which are read and checked here, so `crit` may name them. */
const HASH_ENVELOPE = [LABEL.payloadHashAlg, LABEL.preimageContentType, LABEL.payloadLocation] as const

/** COSE hash algorithm identifiers (RFC 9054). */
const SHA_256 = -16
/**
 * Bytes of a payload hash: SHA-256, SHA-512/256, SHA-384, SHA-512. SHA-1 and truncated SHA-256 are left out: their collisions are
 * within reach, and one statement would then be about two contents. So is whatever is not registered.
 */
const HASH_LENGTHS: ReadonlyMap<number, number> = new Map([
  [SHA_256, 32],
  [-17, 32],
  [-43, 48],
  [-44, 64],
])

function malformed(wanted: string): StatementError {
  return new StatementError('malformed_statement', `a statement must have ${wanted}`)
}
