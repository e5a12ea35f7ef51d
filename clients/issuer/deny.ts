/**
 * A request that was refused before there was anything to judge leaves its trace too.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { authorizedIssuer, type Party } from './author.ts'

export interface LogDenialInput extends Party {
  readonly client: Pick<LogClient, 'authorizations' | 'registerRecord'>
  /** A stable code. Everybody can read it, so it names nobody. */
  readonly reason: string
}

/** @throws `IssuerError` `not_authorized`; `UnavailableError` */
export async function logDeniedRequest(input: LogDenialInput): Promise<{ entry: Hash; index: number }> {
  const { author, authorization } = await authorizedIssuer(input)
  const { entry, index } = await input.client.registerRecord(
    {
      type: 'issuance-denied',
      fields: { reason: input.reason },
      links: [{ rel: 'key-authorization', entry: authorization.entry }],
    },
    author,
  )
  return { entry, index }
}
