/**
 * The next version of the log's own policy: what its admin changes about the log, on the log.
 *
 *     entry 0 ◄──previous── version 2 ◄──previous── version 3      each signed by an admin of the one before
 *
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import type { Hash } from '../../merkle/index.ts'
import type { Author, FieldsOf } from '../../provenance/index.ts'
import type { LogClient } from './client.ts'

export interface PublishedLogPolicy {
  readonly entry: Hash
  readonly index: number
  /** What is in force now. */
  readonly fields: FieldsOf<'log-policy'>
  /** The policy in force said the same already, and nothing was added. */
  readonly unchanged: boolean
  /** Of this version; absent when nothing was added. */
  readonly receipt?: Uint8Array
}

/**
 * Logs what `change` makes of the policy in force. Of two admins who do so at once, the log takes one and refuses the other
 * with `not_a_successor`: who wrote it must look at what is in force now before saying it again, so nothing here retries.
 *
 * @throws what reading the policy in force throws; `RefusedError` with the log's own code
 */
export async function publishLogPolicy(
  client: Pick<LogClient, 'policy' | 'registerRecord'>,
  admin: Omit<Author, 'issuer'>,
  change: (inForce: FieldsOf<'log-policy'>) => FieldsOf<'log-policy'>,
): Promise<PublishedLogPolicy> {
  const inForce = await client.policy()
  const fields = change(inForce.fields)
  if (isDeepStrictEqual(fields, inForce.fields)) {
    return { entry: inForce.entry, index: inForce.index, fields, unchanged: true }
  }
  const { entry, index, receipt } = await client.registerRecord(
    { type: 'log-policy', fields, links: [{ rel: 'previous', entry: inForce.entry }] },
    { ...admin, issuer: inForce.fields.origin },
  )
  return { entry, index, fields, unchanged: false, receipt }
}
