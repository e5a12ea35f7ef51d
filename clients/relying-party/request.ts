/**
 * A request that came with a credential: who sends it, with proof, and why anybody believes that.
 *
 * @module
 */
import { utf8 } from '../../merkle/index.ts'
import {
  type HttpRequest,
  type RequestExpectations,
  type VerificationReport,
  witOfRequest,
} from '../../provenance/index.ts'
import { type OfflineInput, type OnlineInput, verifyOffline, verifyOnline } from './verify.ts'

export interface RequestInput
  extends Omit<OfflineInput, 'credential' | 'presented'>,
    Omit<RequestExpectations, 'at'>,
    Partial<Pick<OnlineInput, 'client'>> {
  /** As it arrived: every header field line, and the content before it was decoded. */
  readonly request: HttpRequest
}

/**
 * Verifies the credential of a request, the proof that its sender has the key, and the provenance in one report: offline, or
 * with a look at the log when `client` is given.
 *
 * @param input.bundle - of the credential: from the caller, from a cache, or from the log
 * @throws ProvenanceError `credential_missing`, `credential_as_bearer`, `duplicate_field`, `malformed_message`: there is then no one
 *   credential to report about; UnavailableError when the log, or the cache of proofs, cannot tell; MisbehaviourError
 */
export async function verifyRequest(input: RequestInput): Promise<VerificationReport> {
  const { bundle, trust, at, openWith, client, ...presented } = input
  const common = {
    credential: utf8(witOfRequest(input.request)),
    bundle,
    trust,
    at,
    presented,
    ...(openWith && { openWith }),
  }
  return client === undefined ? verifyOffline(common) : verifyOnline({ ...common, client })
}
