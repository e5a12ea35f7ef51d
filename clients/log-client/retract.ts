/**
 * Withdrawing something from a time on, by a record on the log. Whose it must be is the log's to check.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import type { Author } from '../../provenance/index.ts'
import type { PublicJwk } from '../../statement/index.ts'
import type { LogClient } from './client.ts'

export interface Withdrawal {
  /** The entry of a key-authorization, an issuance policy, an appraisal policy, or reference values: of one version. */
  readonly target: Hash
  /** POSIX seconds: from when on nothing may rest on it. May be in the past. `now` unless said otherwise. */
  readonly effectiveAt?: number
  /** Read by everybody; of keys as RFC 5280 §5.3.1 names them. */
  readonly reasonCode?: string
  /** For whoever may open it. */
  readonly detail?: string
  readonly recipients?: readonly PublicJwk[]
}

/** @throws RefusedError `link_not_own`, `not_retractable`, `already_retracted`, `link_dangling`; UnavailableError */
export async function publishRetraction(
  client: Pick<LogClient, 'registerRecord'>,
  author: Author,
  { target, effectiveAt = author.now, reasonCode, detail, recipients = [] }: Withdrawal,
): Promise<{ entry: Hash; index: number }> {
  const { entry, index } = await client.registerRecord(
    {
      type: 'retraction',
      fields: { effectiveAt, ...(reasonCode !== undefined && { reasonCode }) },
      links: [{ rel: 'retracts', entry: target }],
      ...(detail !== undefined && { sections: { detail: { text: detail } }, recipients }),
    },
    author,
  )
  return { entry, index }
}
