/**
 * What of the credentials on this log is for whoever reads the general view alone (`read:general`): what leaves a trust domain.
 *
 *     a credential that stands for one inside        an identity-generalization says so (WIMSE architecture, egress)
 *     a credential for use towards the outside       its record says `usage: outbound`
 *     a credential of the reader's own trust domain  issued under its authorization
 *
 * Every other is, to such a reader, not on this log: the answer is the one that a digest gets which nobody has. A story never leads from
 * one credential to another, and which one is behind a general one is sealed, so what is shown needs no cutting.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { type ProvenanceRecord, recordOfStatement } from '../../provenance/record.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { parseSignedStatement } from '../../statement/signed-statement.ts'
import { type EntryMeta, LogError, type LogReader } from '../types.ts'
import type { Visit } from './door.ts'

export interface GeneralView {
  /** Of the reader, validated; none where nobody knows who reads. */
  readonly trustDomain: string | undefined
}

/** Undefined for whoever reads all there is. */
export function viewOf({ caller, grants }: Visit): GeneralView | undefined {
  return grants.has('read') ? undefined : { trustDomain: caller.trustDomain }
}

/** Where a credential is on the log. */
export interface RecordedCredential {
  /** Index of its `credential-provenance`. */
  readonly root: number
  /** Indexes of what was said of it since. */
  readonly statuses: readonly number[]
}

/** Whether a credential is in the view. */
export async function isInView(
  { trustDomain }: GeneralView,
  { root, statuses }: RecordedCredential,
  {
    log,
    authorities,
  }: { readonly log: Pick<LogReader, 'meta' | 'statement'>; readonly authorities: Pick<Authorities, 'authorizations'> },
): Promise<boolean> {
  const metas: readonly (EntryMeta | undefined)[] = await Promise.all(statuses.map((index) => log.meta(index)))
  if (metas.some((meta) => meta?.type === 'identity-generalization')) return true
  const record = await readRecord(root, log)
  if (record?.type !== 'credential-provenance') return false
  if (record.fields.usage === 'outbound') return true
  if (trustDomain === undefined) return false
  // Under which authorization it was issued: a key may have several, for several trust domains.
  const signer = (await log.meta(root))?.signer ?? ''
  const issued = authorities
    .authorizations(signer)
    .find(({ entry }) => record.links.some((link) => link.rel === 'key-authorization' && equalBytes(link.entry, entry)))
  return issued?.trustDomain === trustDomain
}

/** Undefined where it was erased: then nothing says any more that it is for others. */
async function readRecord(index: number, log: Pick<LogReader, 'statement'>): Promise<ProvenanceRecord | undefined> {
  try {
    const bytes = await log.statement(index)
    return bytes && recordOfStatement(parseSignedStatement(bytes, { maxBytes: bytes.length }))
  } catch (error) {
    if (error instanceof LogError && error.code === 'statement_erased') return undefined
    throw error
  }
}
