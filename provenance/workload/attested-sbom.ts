/**
 * A bill of materials as a file of any kind that is read: the document itself, or one as the predicate of an in-toto attestation.
 *
 * @module
 */
import { fromHex, fromUtf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import type { VerificationJwk } from '../../statement/cose-key.ts'
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type JsonObject, parseJson } from '../json.ts'
import { type CertifiedVerifier, isAttestation, MAX_ATTESTATION_BYTES, readAttestations } from './attestation.ts'
import { readSbom, readSbomDocument, type Sbom, sbomOf } from './sbom.ts'
import type { SignerIdentity } from './signer-identity.ts'
import { MAX_SUBJECTS } from './subject-digest.ts'

export interface AttestedSbom extends Sbom {
  /** `kid` of the key that signed it, if one that was given did. */
  readonly signer?: string
  /** Whom its certificate names, if that was verified. */
  readonly identity?: SignerIdentity
}

/**
 * Reads a file. What an attestation is about is what its subjects are, whatever the document inside says: that alone is signed for.
 *
 * @param keys - whose signatures count, and `verifyCertified`, as of `readAttestations`. A document by itself has none, and needs none.
 * @throws {@link ProvenanceError} `malformed_sbom`, `unsupported_sbom`, `malformed_attestation`, `bad_signature`
 */
export async function readAttestedSbom(
  bytes: Uint8Array,
  keys: readonly VerificationJwk[],
  verifyCertified?: CertifiedVerifier,
): Promise<AttestedSbom> {
  if (!isAttestedFile(bytes)) return readSbom(bytes)
  const [attestation, ...more] = await readAttestations(bytes, keys, verifyCertified)
  if (!attestation || more.length > 0) throw new ProvenanceError('malformed_sbom', 'several attestations in one file')
  const { statement, signer, identity } = attestation
  const subjects = statement.subjects.slice(0, MAX_SUBJECTS + 1)
  if (subjects.length > MAX_SUBJECTS) {
    throw new ProvenanceError('malformed_sbom', `about more than ${MAX_SUBJECTS} things`)
  }
  const sbom = sbomOf(readSbomDocument(documentIn(statement.predicate)), bytes)
  return {
    ...sbom,
    subjects: subjects.map(fromHex),
    ...(signer === undefined ? {} : { signer }),
    ...(identity ? { identity } : {}),
  }
}

/** What the predicate is, or what cosign once put into it together with the time. */
function documentIn(predicate: JsonObject): JsonObject {
  const { Data: data, Timestamp: _, ...rest } = predicate
  return isJsonObject(data) && Object.keys(rest).length === 0 ? data : predicate
}

/** Bills of materials are large, and parsed once: the members that make an attestation are looked for before. */
function isAttestedFile(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_ATTESTATION_BYTES) return false
  try {
    const text = fromUtf8(bytes)
    if (!/"(?:_type|payloadType|dsseEnvelope)"/.test(text)) return false
    return isAttestation(parseJson(text))
  } catch (error) {
    if (error instanceof EvidenceError) return false
    throw error
  }
}
