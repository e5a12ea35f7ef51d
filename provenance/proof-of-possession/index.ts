/**
 * Proof of possession: whether whoever presents a credential has its key. See README.md.
 *
 * @module
 */
export {
  type AnchorsByTrustDomain,
  type AuthenticatedRequest,
  authenticateRequest,
  authenticateResponse,
} from './authenticate.ts'
export { checkContentDigest } from './content-digest.ts'
export {
  type Audience,
  CLOCK_SKEW,
  MAX_PROOF_LIFETIME,
  type ProofBounds,
  type ProofExpectations,
} from './expectations.ts'
export { type FieldLine, fieldLinesOf, type HttpRequest, type HttpResponse } from './http-message.ts'
export {
  type NewRequestSignature,
  type NewSignature,
  signHttpRequest,
  signHttpResponse,
  type VerifiedRequestSignature,
  verifyHttpRequest,
  verifyHttpResponse,
} from './http-signature.ts'
export {
  checkPeerCertificate,
  checkPossession,
  checkProofWay,
  type Possession,
  type Presentation,
  type ProofWay,
  type RequestExpectations,
  verifyRequestProof,
  witOfRequest,
} from './possession.ts'
export { type ProofSigner, proofKeyOf } from './proof-key.ts'
export { MemoryReplayCache, type ProofUse, type ReplayCache, type ReplayCacheLimits } from './replay-cache.ts'
export { SIGNATURE_LABEL, SIGNATURE_TAG } from './signature-input.ts'
export { type NewWpt, signWpt, verifyWpt, WPT_TYP, type WptContext } from './wpt.ts'
