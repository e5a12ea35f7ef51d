/**
 * What a Verifier withdraws of its own: reference values for software with a hole, a policy that was too lenient, its key.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { publishRetraction, type Withdrawal } from '../log-client/retract.ts'
import { authorOf, type Signer } from './log.ts'

export interface RetractInput extends Signer, Withdrawal {
  readonly client: Pick<LogClient, 'authorizations' | 'registerRecord'>
}

/** @throws VerifierError `not_authorized`; and as {@link publishRetraction} */
export async function retract(input: RetractInput): Promise<{ entry: Hash; index: number }> {
  const { author } = await authorOf(input)
  return publishRetraction(input.client, author, input)
}
