/**
 * What an issuer withdraws of its own: an issuance policy that let too much through, or its key.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { publishRetraction, type Withdrawal } from '../log-client/retract.ts'
import { authorizedIssuer, type Party } from './author.ts'

export interface RetractInput extends Party, Withdrawal {
  readonly client: Pick<LogClient, 'authorizations' | 'registerRecord'>
}

/** @throws IssuerError `not_authorized`; and as {@link publishRetraction} */
export async function retract(input: RetractInput): Promise<{ entry: Hash; index: number }> {
  const { author } = await authorizedIssuer(input)
  return publishRetraction(input.client, author, input)
}
