/**
 * Hashes as keys of maps in memory.
 *
 * @module
 */
import { shortLatin1 } from '../merkle/bytes.ts'
import type { Hash } from '../merkle/hash.ts'

/** A string for each hash: a character a byte, because hex takes five times as long. It never leaves the process. */
export function entryName(hash: Hash): string {
  return shortLatin1(hash)
}
