/**
 * Attestations as they come: an in-toto Statement alone, in a DSSE envelope, or in a Sigstore bundle; and who signed it, if that was checked.
 *
 *     Statement v0.1, v1 ─────────────────────────┐
 *     DSSE envelope ──────────── its payload ─────┼──► statement, and a signer where a signature verified under a key that was given
 *     Sigstore bundle v0.1–0.3 ─ its envelope ────┘
 *
 * Keys come from the caller alone. A certificate that an attestation brings along says who signed it only to those who check that
 * certificate, its time of signing and its log: the caller, who has the roots. What is left unchecked is recorded as unverified, whoever
 * the certificate names.
 *
 * @module
 */
import { importVerificationKey, type VerificationKey } from '#signature'
import { fromUtf8, utf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { type Hash, sha256 } from '../../merkle/hash.ts'
import type { VerificationJwk } from '../../statement/cose-key.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject, parseJson } from '../json.ts'
import { type DsseEnvelope, payloadText, readEnvelope, verifyEnvelope } from './dsse.ts'
import { type InTotoStatement, readStatement, refuse } from './in-toto.ts'
import type { SignerIdentity } from './signer-identity.ts'
import { type CertifiedEnvelope, envelopeOf, isSigstoreBundle, readCertified } from './sigstore-bundle.ts'

export interface Attestation {
  readonly statement: InTotoStatement
  /** SHA-256 of the bytes that it came in: one line of a file of several. */
  readonly digest: Hash
  /** `kid` of the key that verified it; absent when nothing was verified, and then nobody vouches for what it says. */
  readonly signer?: string
  /** Whom the certificate that verified it names, instead. */
  readonly identity?: SignerIdentity
}

/** Verifies all that came with a certificate: that, its path, its log, the time, the signature. @throws when something does not hold */
export type CertifiedVerifier = (certified: CertifiedEnvelope) => SignerIdentity

/** Longest file of attestations that we read, in bytes. */
export const MAX_ATTESTATION_BYTES = 16 << 20

/** Attestations in one file: JSON Lines, one a line. */
const MAX_LINES = 64

/** Keys that one call tries. */
const MAX_KEYS = 16

/**
 * Reads a file of attestations.
 *
 * @param keys - whose signatures count
 * @param verifyCertified - by which everything must verify that comes with a certificate. With neither, nothing is verified; with either,
 *   everything must be.
 * @throws {@link ProvenanceError} `malformed_attestation`; `bad_signature` for what none of the keys signed, unsigned statements too; what
 *   `verifyCertified` throws
 */
export async function readAttestations(
  bytes: Uint8Array,
  keys: readonly VerificationJwk[],
  verifyCertified?: CertifiedVerifier,
): Promise<Attestation[]> {
  if (keys.length > MAX_KEYS) throw refuse(`more than ${MAX_KEYS} keys to verify with`)
  const imported = await Promise.all(keys.map((key) => importVerificationKey(key)))
  const attestations: Attestation[] = []
  for (const { document, digest } of documentsOf(bytes)) {
    attestations.push({ ...(await verifyAttestation(document, imported, verifyCertified)), digest })
  }
  return attestations
}

/** Whether a JSON document is an attestation, of whatever kind, as against what one may be about. */
export function isAttestation(document: Json): boolean {
  return (
    isJsonObject(document) &&
    (document['_type'] !== undefined || document['payloadType'] !== undefined || isSigstoreBundle(document))
  )
}

interface Unwrapped {
  readonly statement: InTotoStatement
  readonly envelope?: DsseEnvelope
}

async function verifyAttestation(
  document: Json,
  keys: readonly VerificationKey[],
  verifyCertified: CertifiedVerifier | undefined,
): Promise<Omit<Attestation, 'digest'>> {
  const { statement, envelope } = unwrap(document)
  if (keys.length === 0 && !verifyCertified) return { statement }
  if (!envelope) throw new ProvenanceError('bad_signature', 'a statement without a signature, where it must have one')
  // Not "or by a key": one whose certificate does not hold would otherwise pass for one without.
  const certified = verifyCertified && readCertified(document as JsonObject, envelope)
  if (certified) return { statement, identity: verifyCertified(certified) }
  return { statement, signer: (await verifyEnvelope(envelope, keys)).kid }
}

/** Takes a document apart. Nobody has checked a signature. @throws {@link ProvenanceError} `malformed_attestation` */
export function unwrap(document: Json): Unwrapped {
  if (!isJsonObject(document)) throw refuse('not an object')
  if (!isAttestation(document)) throw refuse('neither an in-toto Statement, nor a DSSE envelope, nor a Sigstore bundle')
  if (document['_type'] !== undefined) return { statement: readStatement(document) }
  const envelope = readEnvelope(isSigstoreBundle(document) ? envelopeOf(document) : document)
  if (envelope.payloadType !== 'application/vnd.in-toto+json') {
    throw refuse(`an envelope around ${JSON.stringify(envelope.payloadType.slice(0, 80))}`)
  }
  return { statement: readStatement(json(payloadText(envelope))), envelope }
}

/** One document, or one a line where every line is one. */
function documentsOf(bytes: Uint8Array): { document: Json; digest: Hash }[] {
  if (bytes.length > MAX_ATTESTATION_BYTES) throw refuse('too long')
  let text: string
  try {
    text = fromUtf8(bytes)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw new ProvenanceError('malformed_attestation', 'not UTF-8', { cause })
  }
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (lines.length < 2 || !lines.every((line) => line.startsWith('{') && line.endsWith('}'))) {
    return [{ document: json(text), digest: sha256(bytes) }]
  }
  if (lines.length > MAX_LINES) throw refuse(`more than ${MAX_LINES} attestations in one file`)
  return lines.map((line) => ({ document: json(line), digest: sha256(utf8(line)) }))
}

function json(text: string): Json {
  try {
    return parseJson(text)
  } catch (cause) {
    if (!(cause instanceof ProvenanceError)) throw cause
    throw new ProvenanceError('malformed_attestation', cause.message, { cause })
  }
}
