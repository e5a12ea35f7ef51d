/**
 * `@sigstore/verify`, and what it leaves to whoever uses it (read at v3.1.1). This is the only file that knows the library.
 *
 *   - It compares an entry's signature and payload with the envelope's, and not its certificate.
 *   - A `hashedrekord` it compares with the payload, which is not what a DSSE signature is over. Rekor's second version logs envelopes so, and of
 *     those we have it compare the digest of what was signed.
 *   - Under a checkpoint it does not look whether the log's key was valid at the time.
 *   - It matches the log's URL with each name in a checkpoint as a regular expression, which whoever sent it wrote.
 *   - It reads numbers of any length, and texts in certificates with the high bit of each byte cut off; of several names, the first.
 *   - Neither what the leaf is for, nor its critical extensions. `sigstore.ts` does, and compares the identity.
 *   - What it cannot read ends in an error of any kind.
 *
 * Neither checks: revocation (such a certificate ends before a list would come), name constraints of the CAs, cosignatures of
 * witnesses, whether the log is append-only from one checkpoint to the next, and extKeyUsage of timestamp authorities, which the roots
 * name one by one.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { bundleFromJSON } from '@sigstore/bundle'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { type TrustMaterial, toSignedEntity, toTrustMaterial, VerificationError, Verifier } from '@sigstore/verify'
import { equalBytes, fromBase64, fromUtf8, sha256, toBase64 } from '../../merkle/index.ts'
import {
  type Certificate,
  type CertifiedEnvelope,
  decodePem,
  isJsonObject,
  type Json,
  type LogEntry,
  ProvenanceError,
  parseJson,
  signedBytes,
} from '../../provenance/index.ts'
import { IssuerError, type IssuerErrorCode } from './error.ts'

type Entity = ReturnType<typeof toSignedEntity>

/** Roots that were read. */
export interface Roots {
  readonly material: TrustMaterial
}

const MAX_ROOTS_BYTES = 1 << 20

/** @throws {@link IssuerError} `malformed_roots` */
export function readRoots(bytes: Uint8Array): Roots {
  if (bytes.length > MAX_ROOTS_BYTES) throw new IssuerError('malformed_roots', 'too long')
  let material: TrustMaterial
  try {
    material = toTrustMaterial(TrustedRoot.fromJSON(parseJson(fromUtf8(bytes))))
  } catch (cause) {
    throw new IssuerError('malformed_roots', 'not a trusted_root.json of Sigstore', { cause })
  }
  const { certificateAuthorities, tlogs, timestampAuthorities } = material
  if (certificateAuthorities.length === 0 || tlogs.length + timestampAuthorities.length === 0) {
    throw new IssuerError('malformed_roots', 'without a CA, or anybody who would know the time')
  }
  return { material }
}

/**
 * Everything that a signature says: the envelope's, the certificate's path, its SCT, each log entry, each timestamp.
 *
 * @throws {@link IssuerError} `certificate_not_valid`, `attestation_not_logged`, and those of {@link CODES}; {@link ProvenanceError}
 *   `bad_signature`, `malformed_attestation`
 */
export function verifyCertified(certified: CertifiedEnvelope, leaf: Certificate, { material }: Roots): void {
  const entity = withDigestSigned(
    unlessMalformed(() => toSignedEntity(bundleFromJSON(bundleOf(certified)))),
    certified,
  )
  const { publicKey } = unlessMalformed(() => new X509Certificate(certified.certificate))
  // First, although the library does it too: of a payload that was changed it would say that the log's entry is another's.
  if (!entity.signature.verifySignature(publicKey)) {
    throw new ProvenanceError('bad_signature', 'the envelope is not signed by the certificate that came with it')
  }
  for (const entry of certified.entries) checkCertificate(entry, certified.certificate)

  const times = unlessMalformed(() => timesOf(entity))
  if (times.length === 0) throw new IssuerError('attestation_not_logged', 'no log or authority says when it was signed')
  // Nobody has verified these times yet. Should one be a lie, it is refused below; none can make up for another.
  if (times.some((time) => time < leaf.notBefore || time > leaf.notAfter)) {
    throw new IssuerError('certificate_not_valid', 'not signed within the validity of the certificate')
  }
  const tlogs = material.tlogs.filter(({ validFor: { start, end } }) =>
    times.every((time) => start.getTime() <= time * 1000 && time * 1000 <= end.getTime()),
  )
  const verifier = new Verifier(
    { ...material, tlogs },
    // A CA of a company, as GitHub's for repositories that are private, logs its certificates nowhere. One that the roots have a log for does.
    {
      ctlogThreshold: Math.min(1, material.ctlogs.length),
      tlogThreshold: certified.entries.length,
      timestampThreshold: 1,
    },
  )
  try {
    verifier.verify(entity)
  } catch (cause) {
    const code = cause instanceof VerificationError ? CODES.get(cause.code) : undefined
    if (code === undefined) throw malformed(cause)
    throw new IssuerError(code, (cause as Error).message, { cause })
  }
}

const CODES: ReadonlyMap<VerificationError['code'], IssuerErrorCode> = new Map([
  ['CERTIFICATE_ERROR', 'untrusted_certificate'],
  ['TIMESTAMP_ERROR', 'bad_timestamp'],
  ['TLOG_BODY_ERROR', 'log_entry_mismatch'],
  ['TLOG_ERROR', 'bad_log_entry'],
  ['TLOG_INCLUSION_PROOF_ERROR', 'bad_log_entry'],
  ['TLOG_INCLUSION_PROMISE_ERROR', 'bad_log_entry'],
  ['TLOG_MISSING_INCLUSION_ERROR', 'bad_log_entry'],
] as const)

const HASHED = 'hashedrekord 0.0.2'

/** Of entries of both kinds one would be about something else: then each is compared as the library does, and refused. */
function withDigestSigned(entity: Entity, { entries, envelope }: CertifiedEnvelope): Entity {
  const { signature } = entity
  if (entries.length === 0 || !entries.every(({ kind, version }) => `${kind} ${version}` === HASHED)) return entity
  const digest = sha256(signedBytes(envelope))
  return {
    ...entity,
    signature: {
      compareDigest: (logged) => equalBytes(logged, digest),
      compareSignature: (logged) => signature.compareSignature(logged),
      verifySignature: (key) => signature.verifySignature(key),
      signature: signature.signature,
    },
  }
}

/** POSIX seconds. A time that the log did not sign, beside a proof alone, is whatever the sender wrote there. */
function timesOf({ timestamps }: Entity): number[] {
  return timestamps.flatMap((each) => {
    if (each.$case === 'timestamp-authority') return [each.timestamp.signingTime.getTime() / 1000]
    return each.tlogEntry.inclusionPromise ? [Number(each.tlogEntry.integratedTime)] : []
  })
}

/** @throws {@link IssuerError} `log_entry_mismatch` when the log has another signer, or the entry is of a kind that we do not know */
function checkCertificate({ kind, version, body }: LogEntry, certificate: Uint8Array): void {
  const path = SIGNER_IN_BODY.get(`${kind} ${version}`)
  if (!path) throw new IssuerError('log_entry_mismatch', `an entry of kind ${kind} ${version}`)
  const logged = unlessMalformed(() => {
    const value = path.reduce<Json | undefined>(memberOf, parseJson(fromUtf8(body)))
    const bytes = fromBase64(value as string)
    return path.at(-1) === 'rawBytes' ? bytes : decodePem(fromUtf8(bytes))[0]!
  })
  if (!equalBytes(logged, certificate)) {
    throw new IssuerError('log_entry_mismatch', 'the log entry is about another certificate')
  }
}

/** Where a body has its certificate: PEM in base64, or DER. There is one signature, or the library refuses. */
const SIGNER_IN_BODY: ReadonlyMap<string, readonly string[]> = new Map([
  ['dsse 0.0.1', ['spec', 'signatures', '0', 'verifier']],
  ['dsse 0.0.2', ['spec', 'dsseV002', 'signatures', '0', 'verifier', 'x509Certificate', 'rawBytes']],
  [HASHED, ['spec', 'hashedRekordV002', 'signature', 'verifier', 'x509Certificate', 'rawBytes']],
  ['intoto 0.0.2', ['spec', 'content', 'envelope', 'signatures', '0', 'publicKey']],
])

function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (Array.isArray(value)) return (value as readonly Json[])[Number(name)]
  return isJsonObject(value) ? value[name] : undefined
}

/** The protobuf form of JSON, out of what we read: the library sees no other envelope than we do. */
function bundleOf({ envelope, mediaType, certificate, entries, timestamps }: CertifiedEnvelope) {
  return {
    mediaType,
    verificationMaterial: {
      certificate: { rawBytes: toBase64(certificate) },
      tlogEntries: entries.map((entry) => ({
        logIndex: entry.logIndex,
        logId: { keyId: toBase64(entry.logId) },
        kindVersion: { kind: entry.kind, version: entry.version },
        integratedTime: String(entry.integratedTime),
        canonicalizedBody: toBase64(entry.body),
        ...(entry.promise ? { inclusionPromise: { signedEntryTimestamp: toBase64(entry.promise) } } : {}),
        ...(entry.proof ? { inclusionProof: proofOf(entry.proof) } : {}),
      })),
      timestampVerificationData: {
        rfc3161Timestamps: timestamps.map((each) => ({ signedTimestamp: toBase64(each) })),
      },
    },
    dsseEnvelope: {
      payloadType: envelope.payloadType,
      payload: toBase64(envelope.payload),
      signatures: envelope.signatures.map((each) => ({ sig: toBase64(each) })),
    },
  }
}

function proofOf({ logIndex, hashes, checkpoint }: NonNullable<LogEntry['proof']>) {
  return { logIndex, hashes: hashes.map(toBase64), checkpoint: { envelope: withPlainNames(checkpoint) } }
}

/** Signatures of a note are not signed, and one that we leave out vouches for nothing. */
function withPlainNames(checkpoint: string): string {
  const end = checkpoint.indexOf('\n\n') + 2
  const lines = checkpoint.slice(end).split('\n')
  return checkpoint.slice(0, end) + lines.filter((line) => /^(?:\u2014 [\w.:/-]+ \S+)?$/.test(line)).join('\n')
}

/** For what an attestation is read with: whatever goes wrong there, it is not one. */
export function unlessMalformed<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw malformed(cause)
  }
}

function malformed(cause: unknown): ProvenanceError {
  const why = cause instanceof Error ? cause.message : 'unreadable'
  return new ProvenanceError('malformed_attestation', `what came with it: ${why}`, { cause })
}
