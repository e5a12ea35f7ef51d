/**
 * Keys and signatures inside of certificates: SubjectPublicKeyInfo and AlgorithmIdentifier (RFC 5280 §4.1.1.2, §4.1.2.7).
 *
 *   SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }
 *   AlgorithmIdentifier  ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }
 *
 * Identifiers are compared as whole DER: their parameters are part of what must match (RFC 4055, RFC 5480, RFC 5758, RFC 8410). What
 * is not listed is no algorithm of ours, MD5 and SHA-1 above all.
 *
 * @module
 */
import { concatBytes, fromBase64url, fromHex, toBase64url, toHex } from '../../merkle/bytes.ts'
import { HASH_LENGTH, type HashName, type SignatureScheme } from '../../statement/algorithm.ts'
import type { VerificationJwk } from '../../statement/cose-key.ts'
import { COORDINATE_LENGTH, type Curve } from '../../statement/point.ts'
import { algorithmsOf, parseVerificationJwk, signatureLength } from '../../statement/verification-jwk.ts'
import { ProvenanceError } from '../error.ts'
import {
  checkUnread,
  type DerElement,
  DerReader,
  derBytesOfBits,
  derOid,
  derSmallUnsigned,
  derUnsigned,
  readDer,
  TAG,
} from './der.ts'

/**
 * The key of a SubjectPublicKeyInfo, or undefined when it is of a kind that we do not use.
 *
 * @throws {@link ProvenanceError} `malformed_der`; StatementError `weak_key`
 */
export function jwkOfSpki(spki: Uint8Array): VerificationJwk | undefined {
  const reader = new DerReader(readDer(spki, TAG.sequence).content)
  const algorithm = toHex(algorithmIdentifier(reader.next(TAG.sequence)).whole)
  const key = derBytesOfBits(reader.next(TAG.bitString))
  reader.end()
  const curve = (Object.keys(EC_KEYS) as Curve[]).find((name) => EC_KEYS[name] === algorithm)
  if (curve) return jwkOfPoint(curve, key)
  if (algorithm === RSA_KEY) return jwkOfRsaKey(key)
  if (algorithm === ED25519 && key.length === 32) {
    return parseVerificationJwk({ kty: 'OKP', crv: 'Ed25519', x: toBase64url(key) })
  }
  return undefined
}

/** The SubjectPublicKeyInfo of a key that signs: what an Attestation Result carries as `akpub`. @throws StatementError `unsupported_key` */
export function spkiOfJwk(jwk: VerificationJwk): Uint8Array {
  algorithmsOf(jwk)
  const [identifier, key] = keyBits(jwk)
  return der(TAG.sequence, fromHex(identifier), der(TAG.bitString, Uint8Array.of(0), key))
}

/** How an AlgorithmIdentifier says that something is signed, or undefined when that is not among what we take. */
export function schemeOfIdentifier(identifier: Uint8Array): SignatureScheme | undefined {
  const known = SIGNATURES.get(toHex(identifier))
  if (known) return known
  const reader = new DerReader(readDer(identifier, TAG.sequence).content)
  if (derOid(reader.next(TAG.oid)) !== RSASSA_PSS || reader.done) return undefined
  return pssOf(reader.sequence())
}

/** An AlgorithmIdentifier as it stands, of an algorithm that may be unknown here: a name and its parameters, if any. */
export function algorithmIdentifier(element: DerElement): DerElement {
  const reader = new DerReader(element.content)
  derOid(reader.next(TAG.oid))
  if (!reader.done) checkUnread(reader.next())
  reader.end()
  return element
}

/** @throws {@link ProvenanceError} `malformed_der`, when it is not SEQUENCE { r, s } of sizes that a curve of ours has */
export function checkEcdsaSignature(signature: Uint8Array): void {
  if (rawEcdsaSignature(signature, COORDINATE_LENGTH['P-521'])) return
  throw new ProvenanceError('malformed_credential', 'certificate: a signature with numbers past 528 bits')
}

/**
 * The signature of a certificate in the form that verification takes: r ‖ s for ECDSA, which X.509 has in DER.
 *
 * @returns undefined when its numbers are too long for the curve of the key, so that it cannot be a signature by it
 */
export function rawSignature(
  signature: Uint8Array,
  { kind }: SignatureScheme,
  jwk: VerificationJwk,
): Uint8Array | undefined {
  return kind === 'ECDSA' ? rawEcdsaSignature(signature, signatureLength(jwk) / 2) : signature
}

function rawEcdsaSignature(signature: Uint8Array, width: number): Uint8Array | undefined {
  const reader = new DerReader(readDer(signature, TAG.sequence).content)
  const [r, s] = [derUnsigned(reader.next(TAG.integer)), derUnsigned(reader.next(TAG.integer))]
  reader.end()
  if (r.length > width || s.length > width) return undefined
  const raw = new Uint8Array(2 * width)
  raw.set(r, width - r.length)
  raw.set(s, 2 * width - s.length)
  return raw
}

/** Uncompressed points alone: RFC 5480 §2.2 has compression optional, and nobody issues such certificates. */
function jwkOfPoint(crv: Curve, key: Uint8Array): VerificationJwk | undefined {
  const length = COORDINATE_LENGTH[crv]
  if (key[0] !== 4 || key.length !== 1 + 2 * length) return undefined
  const [x, y] = [toBase64url(key.subarray(1, 1 + length)), toBase64url(key.subarray(1 + length))]
  return parseVerificationJwk({ kty: 'EC', crv, x, y })
}

/** RFC 8017 §A.1.1. */
function jwkOfRsaKey(key: Uint8Array): VerificationJwk {
  const reader = new DerReader(readDer(key, TAG.sequence).content)
  const [n, e] = [reader.next(TAG.integer), reader.next(TAG.integer)].map((number) => toBase64url(derUnsigned(number)))
  reader.end()
  return parseVerificationJwk({ kty: 'RSA', n, e })
}

/** The AlgorithmIdentifier, in hex, and the key. */
function keyBits(jwk: VerificationJwk): readonly [identifier: string, key: Uint8Array] {
  if (jwk.kty === 'OKP') return [ED25519, fromBase64url(jwk.x)]
  if (jwk.kty === 'EC') {
    return [EC_KEYS[jwk.crv], concatBytes(Uint8Array.of(4), fromBase64url(jwk.x), fromBase64url(jwk.y))]
  }
  const [n, e] = [jwk.n, jwk.e].map((text) => {
    const number = fromBase64url(text)
    return der(TAG.integer, number[0]! < 0x80 ? number : concatBytes(Uint8Array.of(0), number))
  })
  return [RSA_KEY, der(TAG.sequence, n!, e!)]
}

function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts)
  const { length } = content
  if (length < 0x80) return concatBytes(Uint8Array.of(tag, length), content)
  if (length < 0x100) return concatBytes(Uint8Array.of(tag, 0x81, length), content)
  return concatBytes(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), content)
}

/**
 * RSASSA-PSS-params (RFC 4055 §3.1) with one hash for content and mask. The defaults, which are SHA-1, are what nobody may use, so
 * hash, mask and salt must all be there; the trailer is its default, and DER leaves it out.
 */
function pssOf(parameters: DerReader): SignatureScheme | undefined {
  const [hash, mask, salt] = [0xa0, 0xa1, 0xa2].map((tag) => parameters.optional(tag)?.content)
  if (!hash || !mask || !salt || !parameters.done) return undefined
  const name = PSS_HASHES.get(toHex(hash))
  const saltLength = derSmallUnsigned(readDer(salt))
  const generator = new DerReader(readDer(mask, TAG.sequence).content)
  if (derOid(generator.next(TAG.oid)) !== MGF1 || generator.done) return undefined
  const masked = PSS_HASHES.get(toHex(generator.next().whole))
  generator.end()
  // A salt shorter than the hash is a weaker scheme; a longer one is what OpenSSL makes unless told otherwise.
  if (name === undefined || masked !== name || saltLength < HASH_LENGTH[name] || saltLength > 1024) return undefined
  return { kind: 'RSA-PSS', hash: name, saltLength }
}

const RSASSA_PSS = '1.2.840.113549.1.1.10'
const MGF1 = '1.2.840.113549.1.1.8'

const ED25519 = '300506032b6570'
const RSA_KEY = '300d06092a864886f70d0101010500'
const EC_KEYS: Record<Curve, string> = {
  'P-256': '301306072a8648ce3d020106082a8648ce3d030107',
  'P-384': '301006072a8648ce3d020106052b81040022',
  'P-521': '301006072a8648ce3d020106052b81040023',
}

/** By the last byte of `ecdsa-with-SHA…`, of `sha…WithRSAEncryption`, and of `id-sha…`. */
const HASHES: readonly (readonly [hash: HashName, ecdsa: string, rsa: string, hash: string])[] = [
  ['SHA-256', '02', '0b', '01'],
  ['SHA-384', '03', '0c', '02'],
  ['SHA-512', '04', '0d', '03'],
]

/** RFC 4055 §5 has the parameters of RSA be NULL, and takes them absent. */
const SIGNATURES: ReadonlyMap<string, SignatureScheme> = new Map<string, SignatureScheme>([
  [ED25519, { kind: 'Ed25519' }],
  ...HASHES.flatMap(([hash, ecdsa, rsa]): [string, SignatureScheme][] => [
    [`300a06082a8648ce3d0403${ecdsa}`, { kind: 'ECDSA', hash }],
    [`300d06092a864886f70d0101${rsa}0500`, { kind: 'RSASSA-PKCS1-v1_5', hash }],
    [`300b06092a864886f70d0101${rsa}`, { kind: 'RSASSA-PKCS1-v1_5', hash }],
  ]),
])

/** Likewise (§2.1). */
const PSS_HASHES: ReadonlyMap<string, HashName> = new Map(
  HASHES.flatMap(([hash, , , id]): [string, HashName][] => [
    [`300d06096086480165030402${id}0500`, hash],
    [`300b06096086480165030402${id}`, hash],
  ]),
)
