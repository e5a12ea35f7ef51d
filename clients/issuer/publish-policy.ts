/**
 * The rules of a Credential Issuer, logged before they are decided by.
 *
 * @module
 */
import { fromUtf8 } from '../../merkle/index.ts'
import { CEDAR_MEDIA_TYPE, checkPolicyText } from '../../provenance/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { type PublishedVersion, publishVersion } from '../log-client/policy-version.ts'
import { authorizedIssuer, type Party } from './author.ts'

export interface PublishIssuancePolicyInput extends Party {
  readonly client: Pick<LogClient, 'authorizations' | 'latest' | 'registerRecord'>
  /** The name under which later versions follow this one. */
  readonly id: string
  /** The exact bytes of the file: Cedar policies. */
  readonly content: Uint8Array
  /** POSIX seconds. From `now` unless said otherwise. */
  readonly notBefore?: number
  /** POSIX seconds. */
  readonly notAfter?: number
  /** For confidential workloads: nothing is issued by it without attestation, and every record says so. */
  readonly confidential?: boolean
}

/**
 * Checks the policies against the schema of issuance, and logs them as the next version.
 *
 * @throws ProvenanceError `invalid_policy`; IssuerError `not_authorized`
 */
export async function publishIssuancePolicy(input: PublishIssuancePolicyInput): Promise<PublishedVersion> {
  const { client, id, content, now, notBefore = now, notAfter, confidential = false } = input
  // A misspelt attribute would deny everything, or fail to forbid: it must not become the policy in force.
  checkPolicyText(fromUtf8(content))
  const { author } = await authorizedIssuer(input)
  return publishVersion(client, author, {
    type: 'issuance-policy',
    id,
    content,
    mediaType: CEDAR_MEDIA_TYPE,
    notBefore,
    ...(notAfter === undefined ? {} : { notAfter }),
    confidential,
  })
}
