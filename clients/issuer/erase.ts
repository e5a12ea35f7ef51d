/**
 * Giving up what was sealed: the log destroys the wraps, and nobody who did not unwrap before can open the record again.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { authorizedIssuer, type Party } from './author.ts'

export interface EraseKeysInput extends Party {
  readonly client: Pick<LogClient, 'authorizations' | 'registerRecord'>
  /** Of a statement of this issuer, under whichever of its keys. */
  readonly entry: Hash
  /** Everybody can read it. */
  readonly reasonCode?: string
}

/** @throws `IssuerError` `not_authorized`; `RefusedError` `link_not_own`, `not_erasable`, `link_dangling` */
export async function eraseKeys(input: EraseKeysInput): Promise<{ entry: Hash; index: number }> {
  const { client, entry: erased, reasonCode } = input
  const { author } = await authorizedIssuer(input)
  const fields = { scope: 'keys' as const, ...(reasonCode !== undefined && { reasonCode }) }
  const links = [{ rel: 'erases' as const, entry: erased }]
  const { entry, index } = await client.registerRecord({ type: 'erasure', fields, links }, author)
  return { entry, index }
}
