/**
 * provlog/clients/issuer: attestation results in; a credential and the logged, provable story of why it was issued out.
 *
 * @module
 */

export type { PublishedVersion } from '../log-client/policy-version.ts'
export { type DenyInput, deny } from './denial.ts'
export type { WorkloadFiles } from './describe-workload.ts'
export { type EraseKeysInput, eraseKeys } from './erase.ts'
export { IssuanceDenied, IssuerError, type IssuerErrorCode } from './error.ts'
export { type Generalized, type GeneralizeRequest, generalize } from './generalize.ts'
export { issue } from './issue.ts'
export { type IssuingLogOptions, issuingLog } from './issuing-log.ts'
export { type MigrateInput, migrateCredential } from './migrate.ts'
export { type PublishIssuancePolicyInput, publishIssuancePolicy } from './publish-policy.ts'
export { type PublishedWorkload, type PublishWorkloadInput, publishWorkload } from './publish-workload.ts'
export type { Issued, IssueRequest, IssuerLog } from './request.ts'
export { type RetractInput, retract } from './retract.ts'
export * from './service/index.ts'
export type { AttestationRoots } from './sigstore.ts'
export { type SpiffeBundle, type SpiffeBundleInput, spiffeBundle } from './spiffe-bundle.ts'
export { type CredentialStatus, type SetCredentialStatusInput, setCredentialStatus } from './status.ts'
export { issueWit, type WitRequest } from './wit.ts'
export {
  type Anchor,
  type AnchorRequest,
  type CertificateRequest,
  createAnchor,
  encodePem,
  issueCertificate,
} from './x509.ts'
