/**
 * Certificate revocation lists (RFC 5280 §5): complete ones, signed by the very issuer of the certificates that they are about.
 *
 *   CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signature }
 *   TBSCertList     ::= SEQUENCE { version, signature, issuer, thisUpdate, nextUpdate, revokedCertificates, [0] crlExtensions }
 *
 * Lists that leave something out, or are about the certificates of somebody else, say so by a critical extension: delta lists, partitions,
 * indirect lists. None is processed here, and a list that has one is no list. Nothing is fetched: whoever wants revocation
 * brings the lists, and of an issuer without one nobody can say that its certificates stand.
 *
 * @module
 */
import { equalBytes, fromUtf8, toHex } from '../../merkle/bytes.ts'
import { ProvenanceError } from '../error.ts'
import { type Certificate, decodePem } from './certificate.ts'
import { readExtension } from './certificate-extensions.ts'
import { algorithmIdentifier, checkEcdsaSignature, schemeOfIdentifier } from './certificate-key.ts'
import { isSignedBy, type SignedDer } from './certificate-path.ts'
import { DerReader, derBytesOfBits, derSerial, derSmallUnsigned, derTime, readDer, TAG } from './der.ts'
import { checkName } from './general-name.ts'

/** What a list says. Nobody has checked the signature. */
export interface RevocationList extends SignedDer {
  /** DER, compared as bytes. */
  readonly issuer: Uint8Array
  /** Of the issuer's key, in hex. */
  readonly authorityKeyId?: string
  /** POSIX seconds, both inclusive. */
  readonly thisUpdate: number
  readonly nextUpdate: number
  /** Serial numbers as certificates have them. */
  readonly revoked: ReadonlySet<string>
  /** OIDs of the extensions, of the list or of an entry, that change what it means. */
  readonly unprocessed: readonly string[]
}

/** Some 200 000 entries: reading them takes a quarter of a second, in which nobody is answered. */
export const MAX_REVOCATION_LIST_BYTES = 8 * 1024 * 1024

/** Reads a file of one list in DER, or of one or more in PEM. @throws {@link ProvenanceError} `malformed_crl` */
export function parseRevocationLists(file: Uint8Array): RevocationList[] {
  if (file.length > MAX_REVOCATION_LIST_BYTES) throw refuse(`more than ${MAX_REVOCATION_LIST_BYTES} bytes`)
  try {
    return (file[0] === TAG.sequence ? [file] : decodePem(fromUtf8(file), 'X509 CRL')).map(parseList)
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || cause.code === 'malformed_crl') throw cause
    throw new ProvenanceError('malformed_crl', `revocation list: ${cause.message}`, { cause })
  }
}

/**
 * Checks that no certificate of a path, the anchor aside, is on the list of its issuer, and that there is such a list for each.
 *
 * @param path - the leaf first, the anchor last, as it was found: every link is verified
 * @returns POSIX seconds: until when these lists can be relied upon
 * @throws {@link ProvenanceError} `certificate_revoked`, `crl_missing`, `crl_bad_signature`, `crl_wrong_usage`, `crl_unsupported`,
 *   `crl_not_yet_valid`, `crl_expired`
 */
export async function checkNotRevoked(
  path: readonly Certificate[],
  lists: readonly RevocationList[],
  at: number,
): Promise<number> {
  let until = Number.POSITIVE_INFINITY
  for (const [i, certificate] of path.slice(0, -1).entries()) {
    const current = await currentLists(path[i + 1]!, lists, at)
    if (current.some(({ revoked }) => revoked.has(certificate.serial))) {
      throw new ProvenanceError('certificate_revoked', `serial number ${certificate.serial}`)
    }
    until = Math.min(until, Math.max(...current.map(({ nextUpdate }) => nextUpdate)))
  }
  return until
}

/** Those of `issuer` that hold now, at least one. A list that was replaced may lie beside its successor. */
async function currentLists(
  issuer: Certificate,
  lists: readonly RevocationList[],
  at: number,
): Promise<RevocationList[]> {
  const current: RevocationList[] = []
  let reason = new ProvenanceError('crl_missing', 'no revocation list by the issuer of a certificate')
  for (const list of lists) {
    if (!equalBytes(list.issuer, issuer.subject)) continue
    if (list.authorityKeyId && issuer.subjectKeyId && list.authorityKeyId !== issuer.subjectKeyId) continue
    try {
      await checkList(list, issuer, at)
      current.push(list)
    } catch (error) {
      if (!(error instanceof ProvenanceError)) throw error
      // What another authority of this name signed says nothing about this one.
      if (reason.code === 'crl_missing' || reason.code === 'crl_bad_signature') reason = error
    }
  }
  if (current.length === 0) throw reason
  return current
}

async function checkList(list: RevocationList, issuer: Certificate, at: number): Promise<void> {
  if (!issuer.publicJwk || !(await isSignedBy(list, issuer.publicJwk))) {
    throw new ProvenanceError('crl_bad_signature', 'a revocation list that its issuer did not sign')
  }
  if (!issuer.keyUsage?.has('cRLSign')) {
    throw new ProvenanceError('crl_wrong_usage', 'the issuer of a revocation list lacks cRLSign')
  }
  if (list.unprocessed.length > 0) {
    throw new ProvenanceError('crl_unsupported', `a revocation list with ${list.unprocessed.join(', ')}`)
  }
  if (!(at >= list.thisUpdate)) throw new ProvenanceError('crl_not_yet_valid', 'a revocation list of the future')
  if (!(at <= list.nextUpdate)) throw new ProvenanceError('crl_expired', 'a revocation list that was to be replaced')
}

function parseList(der: Uint8Array): RevocationList {
  const outer = new DerReader(readDer(der, TAG.sequence).content)
  const tbs = outer.next(TAG.sequence)
  const algorithm = algorithmIdentifier(outer.next(TAG.sequence))
  const signature = derBytesOfBits(outer.next(TAG.bitString))
  outer.end()

  const body = new DerReader(tbs.content)
  if (derSmallUnsigned(body.next(TAG.integer)) !== 1) throw refuse('not of version 2')
  // RFC 5280 §5.1.1.2: outside of the signature and inside of it, the same algorithm.
  if (!equalBytes(body.next(TAG.sequence).whole, algorithm.whole)) throw refuse('two signature algorithms')
  const issuer = checkName(body.next(TAG.sequence))
  const thisUpdate = derTime(body.next())
  const next = body.optional(TAG.utcTime) ?? body.optional(TAG.generalizedTime)
  // §5.1.2.5. Without an end a list could be kept from its successors for good.
  if (!next) throw refuse('no nextUpdate')
  const unprocessed = new Set<string>()
  const revoked = revokedOf(body.optional(TAG.sequence)?.content, unprocessed)
  const keyId = readListExtensions(body.optional(0xa0)?.content, unprocessed)
  body.end()

  const scheme = schemeOfIdentifier(algorithm.whole)
  if (scheme?.kind === 'ECDSA') checkEcdsaSignature(signature)
  return {
    tbs: tbs.whole,
    ...(scheme && { scheme }),
    signature,
    issuer,
    ...(keyId !== undefined && { authorityKeyId: keyId }),
    thisUpdate,
    nextUpdate: derTime(next),
    revoked,
    unprocessed: [...unprocessed],
  }
}

function revokedOf(content: Uint8Array | undefined, unprocessed: Set<string>): Set<string> {
  const revoked = new Set<string>()
  if (!content) return revoked
  for (const list = new DerReader(content); !list.done; ) {
    const entry = list.sequence()
    // Also one whose date of revocation is still to come, or whose reason is that it is not revoked any more: that is for delta lists.
    revoked.add(derSerial(entry.next(TAG.integer)))
    derTime(entry.next())
    const extensions = entry.optional(TAG.sequence)
    entry.end()
    if (!extensions) continue
    for (const reader = new DerReader(extensions.content); !reader.done; ) {
      const { oid, critical } = readExtension(reader.sequence())
      // certificateIssuer: this entry, and those after it, are about another authority's certificates (§5.3.3).
      if (critical || oid === '2.5.29.29') unprocessed.add(oid)
    }
  }
  return revoked
}

/** @returns the authority's key identifier */
function readListExtensions(wrapper: Uint8Array | undefined, unprocessed: Set<string>): string | undefined {
  let keyId: string | undefined
  const seen = new Set<string>()
  for (const list = new DerReader(wrapper ? readDer(wrapper, TAG.sequence).content : new Uint8Array()); !list.done; ) {
    const { oid, critical, value } = readExtension(list.sequence())
    if (seen.has(oid)) throw refuse(`two extensions ${oid}`)
    seen.add(oid)
    // authorityKeyIdentifier, of which the key's identifier is all that a CRL needs (§5.2.1).
    if (oid === '2.5.29.35') {
      const id = new DerReader(readDer(value, TAG.sequence).content).optional(0x80)
      if (id) keyId = toHex(id.content)
    } else if (critical || PARTIAL.includes(oid)) unprocessed.add(oid)
  }
  return keyId
}

/** deltaCRLIndicator, issuingDistributionPoint: must be critical (§5.2.4, §5.2.5), and mean the same where an authority forgot that. */
const PARTIAL = ['2.5.29.27', '2.5.29.28']

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_crl', `revocation list: ${why}`)
}
