/**
 * Certificate revocation lists (RFC 5280 §5), as far as hardware vendors use them: complete lists, signed by the issuer of the
 * certificates that they are about.
 *
 * @module
 */
import { constants, type KeyObject, verify } from 'node:crypto'
import { equalBytes } from '../../../../merkle/index.ts'
import {
  DerReader,
  derBoolean,
  derBytesOfBits,
  derOid,
  derSerial,
  derSmallUnsigned,
  derTime,
  readDer,
  TAG,
} from '../../../../provenance/certificates/der.ts'
import { CRL_SIGN, signatureAlgorithm, type VendorCertificate } from './vendor-certificate.ts'

export interface RevocationList {
  readonly issuer: Uint8Array
  /** POSIX seconds. */
  readonly thisUpdate: number
  readonly nextUpdate: number
  /** Serial numbers, lower-case hex. */
  readonly revoked: ReadonlySet<string>
  isSignedBy(issuer: VendorCertificate): boolean
}

/** CRL number and authority key identifier say nothing that changes what a list means. */
const HARMLESS = new Set(['2.5.29.20', '2.5.29.35'])

/** Throws as `readVendorCertificate` does. */
export function readRevocationList(der: Uint8Array): RevocationList {
  const outer = new DerReader(readDer(der, TAG.sequence).content)
  const signed = outer.next(TAG.sequence)
  const algorithm = outer.next(TAG.sequence).whole
  const signature = derBytesOfBits(outer.next(TAG.bitString))
  outer.end()

  const body = new DerReader(signed.content)
  if (derSmallUnsigned(body.next(TAG.integer)) !== 1) throw new Error('not an X.509 CRL version 2')
  if (!equalBytes(body.next(TAG.sequence).whole, algorithm)) throw new Error('two signature algorithms')
  const issuer = body.next(TAG.sequence).whole
  const thisUpdate = derTime(body.next())
  // Optional by RFC 5280 §5.1.2.5 and demanded by its profile: a list without it would be current for ever.
  const nextUpdate = derTime(body.next())
  const entries = body.optional(TAG.sequence)
  const extensions = body.optional(0xa0)
  body.end()

  // §5.2: delta lists, indirect lists and lists of some reasons only are marked by critical extensions, and mean less than they seem to.
  if (extensions) checkExtensions(new DerReader(readDer(extensions.content, TAG.sequence).content))
  return {
    issuer,
    thisUpdate,
    nextUpdate,
    revoked: readEntries(new DerReader(entries?.content ?? new Uint8Array())),
    isSignedBy: (authority) =>
      (authority.keyUsage?.has(CRL_SIGN) ?? true) &&
      equalBytes(authority.subject, issuer) &&
      signatureHolds(signed.whole, algorithm, signature, authority.publicKey),
  }
}

function readEntries(entries: DerReader): Set<string> {
  const revoked = new Set<string>()
  while (!entries.done) {
    const entry = entries.sequence()
    revoked.add(derSerial(entry.next(TAG.integer)))
    derTime(entry.next())
    const about = entry.optional(TAG.sequence)
    // §5.3: a reason may stand there. Nothing that is critical, such as that the certificate is somebody else's, is understood.
    if (about) checkExtensions(new DerReader(about.content))
    entry.end()
  }
  return revoked
}

function checkExtensions(list: DerReader): void {
  while (!list.done) {
    const extension = list.sequence()
    const oid = derOid(extension.next(TAG.oid))
    const flag = extension.optional(TAG.boolean)
    extension.next(TAG.octetString)
    extension.end()
    if (flag && derBoolean(flag) && !HARMLESS.has(oid)) throw new Error(`a critical CRL extension ${oid}`)
  }
}

function signatureHolds(signed: Uint8Array, algorithm: Uint8Array, signature: Uint8Array, key: KeyObject): boolean {
  const found = signatureAlgorithm(algorithm)
  if (!found) return false
  const { hash, scheme } = found
  try {
    if (scheme !== 'rsa-pss') return verify(hash, signed, key, signature)
    return verify(hash, signed, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }, signature)
  } catch {
    return false // a key of another kind than the signature
  }
}
