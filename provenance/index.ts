/**
 * provlog/provenance: what a record says, who may say it, and whether a credential's story holds.
 *
 * @module
 */

export { loadCedar } from '#cedar'
export {
  attestedJwk,
  buildEarClaims,
  EAR_TYP,
  kidOfResult,
  parseEarClaims,
  resultBytes,
  resultOfFile,
  type SignedResult,
  signEar,
  verifyEar,
} from './attestation/attestation-result.ts'
export {
  type Appraisal,
  EAR_PROFILE,
  EAR_PROFILES,
  type EarClaims,
  type EarProfile,
  isNonce,
  TRUSTEE_PROFILE,
  tierOfResult,
  VERAISON_PROFILE,
} from './attestation/ear-claims.ts'
export {
  CLAIMS,
  type Claim,
  isAtLeast,
  TIERS,
  type Tier,
  type TrustVector,
  tierOfCode,
  tierOfVector,
  worstTier,
} from './attestation/tier.ts'
export { type Certificate, decodePem, parseCertificate } from './certificates/certificate.ts'
export { jwkOfSpki, spkiOfJwk } from './certificates/certificate-key.ts'
export {
  chainOf,
  type LinkedCertificate,
  type Peer,
  type PeerTrust,
  verifyPeer,
} from './certificates/peer-certificate.ts'
export { checkNotRevoked, parseRevocationLists, type RevocationList } from './certificates/revocation-list.ts'
export { checkServerName } from './certificates/server-name.ts'
export { checkCertificatePath, type TlsRole } from './certificates/workload-certificate.ts'
export { type Credential, parseCredential, type TrustDomainAnchors, verifyCredentialSignature } from './credential.ts'
export { type CredentialRules, TOKEN_PROFILES, type TokenProfile } from './credential-rules.ts'
export { ProvenanceError, type ProvenanceErrorCode } from './error.ts'
export { parseTrustDomain, parseWorkloadIdentifier, type WorkloadIdentifier } from './identifier.ts'
export {
  type AppraisedResult,
  type AttestationFacts,
  attestationFacts,
  type Component,
  componentsOf,
} from './issuance/issuance-facts.ts'
export {
  CEDAR_MEDIA_TYPE,
  checkPolicyText,
  contextFor,
  decideIssuance,
  type IssuanceDecision,
  type IssuanceRequest,
  reevaluate,
} from './issuance/issuance-policy.ts'
export { ISSUANCE_SCHEMA } from './issuance/issuance-schema.ts'
export { type ProvenanceRecordFacts, type WorkloadFacts, workloadFacts } from './issuance/workload-facts.ts'
export { canonicalJson, isJsonObject, type Json, JsonNumber, type JsonObject, parseJson } from './json.ts'
export { decodeCompactJws, MAX_JWS_LENGTH, signCompactJws, type UnverifiedJws, verifyCompactJws } from './jws.ts'
export {
  type Announced,
  checkCommitments,
  encodeLogReference,
  intentCommitments,
  LOG_REFERENCE_CLAIM,
  LOG_REFERENCE_OID,
  type LogReference,
  logReferenceClaim,
} from './log-reference.ts'
export * from './proof-of-possession/index.ts'
export {
  type AnyRecordOf,
  decodeRecord,
  encodeRecord,
  isRecordStatement,
  issuedAtOf,
  type Link,
  MAX_LINKS,
  type ProvenanceRecord,
  RECORD_CONTENT_TYPE,
  type RecordOf,
  type RecordStatement,
  recordOfStatement,
  recordStatementOf,
  recordSubject,
  recordTyp,
  recordTypeOf,
} from './record.ts'
export {
  type Author,
  type BuiltRecord,
  buildRecordStatement,
  type NewRecord,
  openSections,
} from './record-statement.ts'
export type { Bootstrap, PlatformBinding } from './records/credential-provenance.ts'
export type { DecisionTrace } from './records/decision.ts'
export { SECTION_LABELS, type SectionLabel } from './records/define-record.ts'
export { decodePublicKey, encodePublicKey } from './records/field-types.ts'
export { type FieldsOf, RECORDS, type SectionsOf } from './records/index.ts'
export { MAX_DOCUMENT_BYTES } from './records/policy-document.ts'
export type { WorkloadDescription } from './records/workload-provenance.ts'
export { escapeControls, type RedactedError, redact, redactError, redactSecrets, redactValue } from './redact.ts'
export {
  Authorities,
  type Authorization,
  authorizationOf,
  foundingKey,
  type PolicyInForce,
} from './rules/authorities.ts'
export { checkAuthority, type SignerClaim, type SignerContext } from './rules/check-authority.ts'
export { checkRecord } from './rules/check-record.ts'
export {
  checkForeign,
  type ForeignContext,
  type ForeignStatement,
  foreignSigner,
  PathCache,
  recheckForeign,
} from './rules/foreign.ts'
export { type ForeignPolicy, type ForeignRules, ownKidOf, readForeignPolicy } from './rules/foreign-policy.ts'
export {
  isErasable,
  isRecordType,
  isRetractable,
  LINK_RELATIONS,
  LINK_RULES,
  type LinkRelation,
  type LinkRule,
  linkRule,
  linkTargetType,
  RECORD_TYPES,
  type RecordType,
  ROLES,
  type Role,
  signersOf,
} from './rules/link-rules.ts'
export { contentOf, type LinkTarget, linkTargetOf, type RecordContext } from './rules/record-context.ts'
export { recordKey, type Series, seriesOf, statusKey, uniqueKeys } from './rules/record-keys.ts'
export type { Retraction } from './rules/retraction.ts'
export { credentialTag, deriveTagKey, TAG_KEY_LENGTH, uniqueTag } from './tags.ts'
export {
  BUNDLE_MEDIA_TYPE,
  type Bundle,
  decodeBundle,
  encodeBundle,
  MAX_BUNDLE_BYTES,
  MAX_BUNDLE_STATEMENTS,
} from './verification/bundle.ts'
export {
  BUNDLE_SET_MEDIA_TYPE,
  type BundledStatement,
  type BundleSet,
  bundleIn,
  decodeBundleSet,
  encodeBundleSet,
  MAX_BUNDLE_SET_BYTES,
  MAX_BUNDLED_BYTES,
  MAX_BUNDLES,
} from './verification/bundle-set.ts'
export { EvidenceMemory, type ReadStatement } from './verification/evidence-memory.ts'
export { decodeTrust, parseTrust, type Trust, type TrustDocument, type TrustedLog } from './verification/trust.ts'
export { readTrustBundle } from './verification/trust-bundle.ts'
export {
  type Check,
  type CheckOutcome,
  TITLES as CHECK_TITLES,
  type VerificationInput,
  type VerificationReport,
  verifyCredential,
} from './verification/verify-credential.ts'
export {
  type Attestation,
  type CertifiedVerifier,
  isAttestation,
  readAttestations,
} from './workload/attestation.ts'
export { type AttestedSbom, readAttestedSbom } from './workload/attested-sbom.ts'
export { type Build, readBuild } from './workload/build.ts'
export {
  type ComplianceReport,
  type ComplianceResult,
  readComplianceList,
  readTestResult,
} from './workload/compliance.ts'
export { type ComponentIndex, MAX_COMPONENTS, type OtherComponent } from './workload/component-index.ts'
export { signedBytes } from './workload/dsse.ts'
export { canonicalPurl, formatPurl, type Purl, packageOf, parsePurl, releaseOf } from './workload/purl.ts'
export { readSbom, readSbomDocument, type Sbom, type SbomContent, sbomOf } from './workload/sbom.ts'
export { type SignerIdentity, signerIdentity } from './workload/signer-identity.ts'
export { type CertifiedEnvelope, type LogEntry, readCertified } from './workload/sigstore-bundle.ts'
export { VULNERABILITY_STATES, type Vulnerability, type VulnerabilityState } from './workload/vulnerabilities.ts'
