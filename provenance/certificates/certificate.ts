/**
 * X.509 certificates (RFC 5280 §4.1), read from DER into what path checking looks at.
 *
 *   Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }
 *
 * Reading judges nothing: `certificate-path.ts` does. In particular a certificate with a kind of key or a signature algorithm that we
 * do not support is read (and then cannot be verified), and every critical extension that we do not process is listed. Keys are read in
 * `certificate-key.ts`, extensions in `certificate-extensions.ts`.
 *
 * @module
 */
import { equalBytes, fromBase64 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import type { SignatureScheme } from '../../statement/algorithm.ts'
import type { VerificationJwk } from '../../statement/cose-key.ts'
import { ProvenanceError } from '../error.ts'
import { type Extensions, readExtensions } from './certificate-extensions.ts'
import { algorithmIdentifier, checkEcdsaSignature, jwkOfSpki, schemeOfIdentifier } from './certificate-key.ts'
import { checkUnread, DerReader, derBytesOfBits, derSerial, derSmallUnsigned, derTime, readDer, TAG } from './der.ts'
import { checkName } from './general-name.ts'

/** What a certificate says. Nobody has checked the signature. */
export interface Certificate extends Extensions {
  readonly der: Uint8Array
  /** The signed part, as it stands. */
  readonly tbs: Uint8Array
  /** Lower-case hex, no padding. */
  readonly serial: string
  /** Names as DER: they are compared as bytes. */
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  /** POSIX seconds, both inclusive (RFC 5280 §4.1.2.5). */
  readonly notBefore: number
  readonly notAfter: number
  /** Absent when the key is of another kind than EC on P-256, P-384 or P-521, RSA, and Ed25519. */
  readonly publicJwk?: VerificationJwk
  /** Absent when it is of another kind, or by a hash that collides: MD5, SHA-1. */
  readonly scheme?: SignatureScheme
  /** As it stands: of ECDSA, DER. */
  readonly signature: Uint8Array
}

/** Longest certificate that we read. */
const MAX_CERTIFICATE_BYTES = 64 * 1024
const MAX_SERIAL_BYTES = 20

/**
 * Reads one certificate.
 *
 * @throws {@link ProvenanceError} `malformed_der`, `malformed_credential`
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE_BYTES) throw refuse('too long')
  const outer = new DerReader(readDer(der, TAG.sequence).content)
  const tbs = outer.next(TAG.sequence)
  const outerAlgorithm = algorithmIdentifier(outer.next(TAG.sequence))
  const signature = derBytesOfBits(outer.next(TAG.bitString))
  outer.end()

  const body = new DerReader(tbs.content)
  const version = body.optional(0xa0)
  if (!version || derSmallUnsigned(readDer(version.content)) !== 2) throw refuse('not X.509 version 3')
  const serial = derSerial(body.next(TAG.integer))
  // RFC 5280 §4.1.2.2. It names the certificate on a log, where nobody else would take a longer one.
  if (serial.length > 2 * MAX_SERIAL_BYTES) throw refuse('a serial number of more than 20 bytes')
  // RFC 5280 §4.1.1.2: outside of the signature and inside of it, the same algorithm.
  if (!equalBytes(body.next(TAG.sequence).whole, outerAlgorithm.whole)) throw refuse('two signature algorithms')
  const issuer = checkName(body.next(TAG.sequence))
  const validity = body.sequence()
  const [notBefore, notAfter] = [derTime(validity.next()), derTime(validity.next())]
  validity.end()
  const subject = checkName(body.next(TAG.sequence))
  const publicJwk = jwkOfSpki(body.next(TAG.sequence).whole)
  // issuerUniqueID and subjectUniqueID: BIT STRINGs that nobody uses.
  for (const tag of [0x81, 0x82]) {
    const unique = body.optional(tag)
    if (unique) checkUnread({ ...unique, tag: TAG.bitString })
  }
  const extensions = body.optional(0xa3)
  body.end()

  const scheme = schemeOfIdentifier(outerAlgorithm.whole)
  if (scheme?.kind === 'ECDSA') checkEcdsaSignature(signature)
  return {
    der,
    tbs: tbs.whole,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    ...(publicJwk ? { publicJwk } : {}),
    ...(scheme ? { scheme } : {}),
    signature,
    ...readExtensions(extensions),
  }
}

/**
 * The certificates of a PEM file, in order; text around them is allowed, other kinds of objects are not.
 *
 * @param wanted - of what the blocks must be, where that is not certificates
 * @throws {@link ProvenanceError} `malformed_credential`
 */
export function decodePem(text: string, wanted = 'CERTIFICATE'): Uint8Array[] {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n?-----END \1-----/g)]
  if (blocks.length === 0 || blocks.length !== text.split('-----BEGIN ').length - 1) throw refuse('not PEM')
  return blocks.map(([, label, body]) => {
    // A private key beside the certificate means that a whole key file was handed over. Say so, do not read it.
    if (label !== wanted) throw refuse(`a PEM block of ${label}`)
    try {
      return fromBase64(body!.replaceAll(/[\r\n]/g, ''))
    } catch (cause) {
      throw refuse('a PEM block that is not base64', cause)
    }
  })
}

function refuse(why: string, cause?: unknown): ProvenanceError {
  const options = cause instanceof EvidenceError ? { cause } : undefined
  return new ProvenanceError('malformed_credential', `certificate: ${why}`, options)
}
