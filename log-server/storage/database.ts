/**
 * The database that a store is kept in, as far as it is one.
 *
 * @module
 */
import type { Sweepable } from './erased.ts'

/** What the store asks of a database. LevelDB is one; a simulated disk is another. Values handed out are never written again. */
export interface Database extends Sweepable {
  /** Bytes in files, between two keys. Not of every database, as {@link getProperty}. */
  approximateSize?(start: Uint8Array, end: Uint8Array): Promise<number>
  getProperty?(name: string): string
  getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  batch(): DatabaseBatch
  iterator(range: DatabaseRange): Rows<[key: Uint8Array, value: Uint8Array]>
  keys(range: DatabaseRange): Rows<Uint8Array>
  values(range: DatabaseRange): Rows<Uint8Array>
  /** Takes back at once the memory of values that it gave to nobody else. Not of every database. */
  letGo?(values: readonly Uint8Array[]): void
  /** What is wrong with that by which keys are found that begin with these letters, as far as `paced` lets it read. Not of every database. */
  checkKeys?(letters: readonly number[], paced: (bytes: number) => Promise<boolean>): Promise<string | undefined>
  close(): Promise<void>
}

/** Puts and deletions that happen together or not at all, in this order. What was put may be written over once `put` has returned. */
export interface DatabaseBatch {
  put(key: Uint8Array, value: Uint8Array): unknown
  del(key: Uint8Array): unknown
  /** Resolves when all of it, and all that was written before, is on the disk. */
  write(options: { sync: true }): Promise<void>
}

/** Of one state of the database, in the order of keys as bytes. */
export interface Rows<T> extends AsyncIterable<T> {
  all(): Promise<T[]>
}

export interface DatabaseRange {
  readonly gte: Uint8Array
  readonly lt?: Uint8Array
  readonly lte?: Uint8Array
  readonly reverse?: boolean
  readonly limit?: number
  readonly highWaterMarkBytes?: number
}
