/**
 * What was withdrawn, and from when on it must not be relied on.
 *
 *     index   record                                      from then on
 *       4     reference-values, version 1
 *      20     attestation-result on them, dated 200       stands while nothing below says otherwise
 *      30     retraction of 4, effective at 150           whatever was decided on version 1 at 150 or later does not stand;
 *                                                         nothing more may rest on it, whatever date it gives itself
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import { issuedAtOf, type RecordStatement } from '../record.ts'

export interface Retraction {
  /** Of what is withdrawn. */
  readonly target: Hash
  /** POSIX seconds. */
  readonly effectiveAt: number
  /** When its signer says that it was signed. */
  readonly issuedAt: number
  readonly reasonCode?: string
  /** Of the `retraction`. */
  readonly entry: Hash
  readonly index: number
}

/** What a `retraction` record says; undefined for a record of another type. */
export function retractionOf(index: number, r: RecordStatement): Retraction | undefined {
  const { record, entry } = r
  const [link] = record.links
  if (record.type !== 'retraction' || !link) return undefined
  return { target: link.entry, issuedAt: issuedAtOf(r), ...record.fields, entry, index }
}

/**
 * Whether something that is dated `at`, and came to the log after the retraction, may still rest on what was withdrawn. The date is its
 * signer's word, so once a retraction is in effect it counts for nothing.
 */
export function forbids({ effectiveAt, issuedAt }: Retraction, at: number): boolean {
  return at >= effectiveAt || effectiveAt <= issuedAt
}

/** The retractions of a log by what they withdraw. */
export class Retractions {
  readonly #byTarget = new Map<string, readonly Retraction[]>()

  /** Takes in one, also as the retraction of `siblings`: other entries that stand for the same thing. */
  add(retraction: Retraction, siblings: readonly Hash[] = []): void {
    for (const target of new Set([retraction.target, ...siblings].map(toHex))) {
      this.#byTarget.set(target, [...(this.#byTarget.get(target) ?? []), retraction])
    }
  }

  get isEmpty(): boolean {
    return this.#byTarget.size === 0
  }

  /** Of those before position `index`, the one that is in effect first. */
  of(target: Hash, index = Number.POSITIVE_INFINITY): Retraction | undefined {
    if (this.isEmpty) return undefined
    const known = this.#byTarget.get(toHex(target))?.filter((each) => each.index < index) ?? []
    return known.reduce<Retraction | undefined>(
      (first, each) => (first && first.effectiveAt <= each.effectiveAt ? first : each),
      undefined,
    )
  }
}
