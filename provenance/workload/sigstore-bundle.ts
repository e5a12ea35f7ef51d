/**
 * What comes along with an attestation that a certificate signed: the certificate, and what shows when it signed.
 *
 *     Sigstore bundle v0.1–0.3 ── verificationMaterial: certificate, entries of a transparency log, timestamps
 *     DSSE with "cert" ────────── the certificate alone, as the older generators of SLSA provenance wrote it
 *
 * Reading judges nothing. It bounds what whoever verifies will work through, and it is the one reading: verifiers are given what was read,
 * not the document, so that they cannot find another envelope in it than the one whose statement is recorded.
 *
 * @module
 */
import { decodePem } from '../certificates/certificate.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { bytes, type DsseEnvelope } from './dsse.ts'
import { refuse } from './in-toto.ts'

/** An attestation with a certificate. Nobody has checked anything. */
export interface CertifiedEnvelope {
  readonly envelope: DsseEnvelope
  /** Of the bundle; absent where there is none. */
  readonly mediaType?: string
  /** DER: who signed. Certificates that came beside it are passed over, because roots are from the verifier. */
  readonly certificate: Uint8Array
  readonly entries: readonly LogEntry[]
  /** RFC 3161 TimeStampResp, each. */
  readonly timestamps: readonly Uint8Array[]
}

/** `TransparencyLogEntry`: what a Rekor log says that it has. */
export interface LogEntry {
  readonly logId: Uint8Array
  readonly kind: string
  readonly version: string
  /** Decimal. */
  readonly logIndex: string
  /** POSIX seconds; 0 where the log does not say. */
  readonly integratedTime: number
  /** JSON: what was signed, and by whom. */
  readonly body: Uint8Array
  /** The log's signature over all of the above. */
  readonly promise?: Uint8Array
  readonly proof?: InclusionProof
}

export interface InclusionProof {
  readonly logIndex: string
  readonly hashes: readonly Uint8Array[]
  /** A signed note. */
  readonly checkpoint: string
}

/** Of what a verifier parses again, some of it with arithmetic on numbers of any length. */
const MAX_ENTRIES = 8
const MAX_TIMESTAMPS = 8
const MAX_HASHES = 64
const MAX_CERTIFICATE_BYTES = 16 << 10
const MAX_TIMESTAMP_BYTES = 64 << 10
const MAX_CHECKPOINT_LENGTH = 8 << 10

const EMPTY: JsonObject = {}

/** `…sigstore.bundle+json;version=0.1`, `…;version=0.2`, `….bundle.v0.3+json`: each has its envelope in the same place. */
const BUNDLE = /^application\/vnd\.dev\.sigstore\.bundle(?:\+json;version=0\.[123]|\.v0\.3\+json)$/

export function isSigstoreBundle({ mediaType }: JsonObject): boolean {
  return typeof mediaType === 'string' && mediaType.startsWith('application/vnd.dev.sigstore.bundle')
}

export function envelopeOf({ mediaType, dsseEnvelope }: JsonObject): JsonObject {
  if (!BUNDLE.test(mediaType as string)) throw refuse('a Sigstore bundle of another version than 0.1 to 0.3')
  if (!isJsonObject(dsseEnvelope))
    throw refuse('a Sigstore bundle without an envelope: it signs bytes, and states nothing')
  return dsseEnvelope
}

/** The certificate and its evidence; undefined for what a key signed. @throws {@link ProvenanceError} `malformed_attestation` */
export function readCertified(document: JsonObject, envelope: DsseEnvelope): CertifiedEnvelope | undefined {
  if (isSigstoreBundle(document)) {
    const material = objectOf(document['verificationMaterial'], 'verificationMaterial')
    const certificate = leafOf(material)
    return certificate && { envelope, certificate: bounded(certificate), ...bundled(document, material) }
  }
  const { signatures } = document
  const pems = listOf(signatures, 'signatures', 16).flatMap((each) => (isJsonObject(each) ? (each['cert'] ?? []) : []))
  const [pem] = pems
  if (pem === undefined || pem === '') return undefined
  if (typeof pem !== 'string' || pem.length > 2 * MAX_CERTIFICATE_BYTES || pems.length > 1) {
    throw refuse('not one certificate')
  }
  return { envelope, certificate: bounded(ofPem(pem)), entries: [], timestamps: [] }
}

function leafOf({ certificate, x509CertificateChain, publicKey }: JsonObject): Uint8Array | undefined {
  if ([certificate, x509CertificateChain, publicKey].filter(isThere).length !== 1) {
    throw refuse('not one of certificate, x509CertificateChain and publicKey')
  }
  if (isThere(publicKey)) return undefined
  const leaf = certificate ?? listOf(objectOf(x509CertificateChain, 'the chain')['certificates'], 'certificates', 16)[0]
  return bytes(objectOf(leaf, 'a certificate')['rawBytes'], 'rawBytes')
}

function ofPem(pem: string): Uint8Array {
  try {
    return decodePem(pem)[0]!
  } catch (cause) {
    if (!(cause instanceof ProvenanceError)) throw cause
    throw new ProvenanceError('malformed_attestation', cause.message, { cause })
  }
}

function bounded(certificate: Uint8Array): Uint8Array {
  if (certificate.length > MAX_CERTIFICATE_BYTES) throw refuse('a certificate that is too long')
  return certificate
}

function bundled({ mediaType }: JsonObject, { tlogEntries, timestampVerificationData }: JsonObject) {
  const { rfc3161Timestamps } = objectOf(timestampVerificationData ?? EMPTY, 'timestampVerificationData')
  return {
    mediaType: mediaType as string,
    entries: listOf(tlogEntries, 'tlogEntries', MAX_ENTRIES).map(entryOf),
    timestamps: listOf(rfc3161Timestamps, 'rfc3161Timestamps', MAX_TIMESTAMPS).map((each) => {
      const timestamp = bytes(objectOf(each, 'a timestamp')['signedTimestamp'], 'signedTimestamp')
      if (timestamp.length > MAX_TIMESTAMP_BYTES) throw refuse('a timestamp that is too long')
      return timestamp
    }),
  }
}

function entryOf(value: Json): LogEntry {
  const entry = objectOf(value, 'a log entry')
  const { kind, version } = objectOf(entry['kindVersion'], 'kindVersion')
  const { inclusionPromise: promise, inclusionProof: proof } = entry
  return {
    logId: bytes(objectOf(entry['logId'], 'logId')['keyId'], 'keyId'),
    kind: word(kind, 'kind'),
    version: word(version, 'version'),
    logIndex: decimal(entry['logIndex']),
    integratedTime: Number(decimal(entry['integratedTime'])),
    body: bytes(entry['canonicalizedBody'], 'canonicalizedBody'),
    ...(isThere(promise) && {
      promise: bytes(objectOf(promise, 'a promise')['signedEntryTimestamp'], 'signedEntryTimestamp'),
    }),
    ...(isThere(proof) && proofOf(objectOf(proof, 'a proof'))),
  }
}

/** Without a checkpoint, as v0.1 allows, a proof leads to a root that nobody signed: it is none. */
function proofOf({ logIndex, hashes, checkpoint }: JsonObject): { proof?: InclusionProof } {
  if (!isThere(checkpoint)) return {}
  const { envelope } = objectOf(checkpoint, 'a checkpoint')
  if (typeof envelope !== 'string' || envelope.length > MAX_CHECKPOINT_LENGTH) throw refuse('no checkpoint')
  return {
    proof: {
      logIndex: decimal(logIndex),
      hashes: listOf(hashes, 'hashes', MAX_HASHES).map((each) => {
        const hash = bytes(each, 'a hash')
        if (hash.length !== 32) throw refuse('a hash of another length than SHA-256 has')
        return hash
      }),
      checkpoint: envelope,
    },
  }
}

/** In the protobuf form of JSON a member that is null is not there, and bundles that are about have such members. */
function isThere(value: Json | undefined): boolean {
  return value !== undefined && value !== null
}

/** That form has 64-bit integers as texts, takes them as numbers, and leaves out what is 0. */
function decimal(value: Json | undefined): string {
  const text = typeof value === 'number' ? String(value) : (value ?? '0')
  if (typeof text !== 'string' || !/^(?:0|[1-9][0-9]{0,14})$/.test(text)) {
    throw refuse('an index or a time that is none')
  }
  return text
}

function word(value: Json | undefined, title: string): string {
  if (typeof value !== 'string' || !/^[a-z0-9.]{1,32}$/.test(value)) throw refuse(`${title} is not a word`)
  return value
}

function objectOf(value: Json | undefined, title: string): JsonObject {
  if (!isJsonObject(value)) throw refuse(`${title} is not an object`)
  return value
}

function listOf(value: Json | undefined, title: string, max: number): readonly Json[] {
  if (!isThere(value)) return []
  if (!Array.isArray(value) || value.length > max) throw refuse(`${title} is not a list of at most ${max}`)
  return value as readonly Json[]
}
