/**
 * A run of entries in the order of their dates, signed and ready to be put on a log.
 *
 * @module
 */
import { indexedBy } from '../../log-server/admission/candidate.ts'
import type { Candidate } from '../../log-server/index.ts'
import type { Hash } from '../../merkle/index.ts'
import { buildRecordStatement, type NewRecord, type RecordOf, type RecordType } from '../../provenance/index.ts'
import { type PublicJwk, publicJwkOf } from '../../statement/index.ts'
import type { Cast, Party, Random } from './cast.ts'

/** An entry, and all that a log indexes of it. Plain data: it goes from process to process. */
export type MadeEntry = Omit<Candidate, 'record' | 'recheck'>

/** Seconds between two records. */
export const STEP = 2

export class Chapter {
  readonly entries: MadeEntry[] = []
  readonly cast: Cast
  readonly random: Random
  /** POSIX seconds: the date of the next record. */
  now: number
  /** Of sealed records, every so manieth has a wrap for the auditor; 0 for none. */
  wrapEvery: number
  #sealed = 0

  constructor(cast: Cast, options: { random: Random; now: number; wrapEvery: number }) {
    this.cast = cast
    this.random = options.random
    this.now = options.now
    this.wrapEvery = options.wrapEvery
  }

  /** Signs a record, whatever it says, and puts it at the end. */
  async add<T extends RecordType>(
    record: NewRecord<T>,
    party: Party,
    change: Partial<MadeEntry> & { readonly at?: number } = {},
  ): Promise<Hash> {
    const made = await this.sign(record, party, change.at)
    const { at: _at, ...index } = change
    this.entries.push({ ...made, ...index })
    this.now += STEP
    return made.entry
  }

  /** The same, without putting it anywhere. */
  async sign<T extends RecordType>(record: NewRecord<T>, party: Party, at = this.now): Promise<MadeEntry> {
    const recipients = record.recipients ?? (record.sections ? this.#recipients() : [])
    const author = { key: party.key, issuer: party.issuer, now: at, random: this.random }
    const built = await buildRecordStatement({ ...record, recipients }, author)
    return madeOf(built.statement, built.record as RecordOf<RecordType>, party, built.wraps)
  }

  #recipients(): PublicJwk[] {
    if (this.wrapEvery === 0 || this.#sealed++ % this.wrapEvery !== 0) return []
    return [publicJwkOf(this.cast.auditorEncryption)]
  }
}

export function madeOf(
  statement: Awaited<ReturnType<typeof buildRecordStatement>>['statement'],
  record: RecordOf<RecordType>,
  { kid }: Pick<Party, 'kid'>,
  wraps: readonly Uint8Array[],
): MadeEntry {
  const { bytes, entry, header } = statement
  const indexed = indexedBy(statement, record as Parameters<typeof indexedBy>[1], kid)
  return { ...indexed, statement: bytes, entry, wraps, issuedAt: header.issuedAt ?? 0, signer: kid }
}
