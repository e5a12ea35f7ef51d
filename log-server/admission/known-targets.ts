/**
 * What links lead to, as far as it was looked up of late. One issuer's records are made on the same few, so for most of them nothing has to
 * be looked up.
 *
 * What is on the log stays as it is: its place, its type, its date and its signer. Where more is asked of a target, it is not kept here.
 *
 * @module
 */
import { equalBytes, toHex } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import type { Link, RecordStatement } from '../../provenance/record.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import type { LinkTarget } from '../../provenance/rules/record-context.ts'
import { entryName } from '../names.ts'
import { Newest } from '../newest.ts'

/** What links lead to, as far as it mattered when it was looked up. */
export interface Targets {
  readonly targets: Pick<ReadonlyMap<string, LinkTarget>, 'get'>
  readonly criteriaRetracted: boolean
}

const MAX_KNOWN = 4096

export class KnownTargets {
  readonly #authorities: Pick<Authorities, 'criteriaRetracted'>
  /** By {@link entryName}. */
  readonly #targets = new Newest<LinkTarget>(MAX_KNOWN)
  /** What was found last: the next record is nearly always made on the same. */
  #last: (Targets & { readonly links: readonly Link[] }) | undefined

  constructor(authorities: Pick<Authorities, 'criteriaRetracted'>) {
    this.#authorities = authorities
  }

  /** All that the record links to, if all of it is known. */
  of({ record: { links } }: RecordStatement): Targets | undefined {
    const { criteriaRetracted } = this.#authorities
    const last = this.#last
    if (last && last.criteriaRetracted === criteriaRetracted && leadToTheSame(last.links, links)) return last
    const targets = new Map<string, LinkTarget>()
    for (const { entry } of links) {
      const target = this.#targets.get(entryName(entry))
      if (!target || hasContent(target.type, this.#authorities)) return undefined
      targets.set(toHex(entry), target)
    }
    const kept = links.map(({ rel, entry }) => ({ rel, entry: entry.slice() }))
    this.#last = { links: kept, criteriaRetracted, targets }
    return this.#last
  }

  add(entry: Hash, target: LinkTarget): void {
    if (!hasContent(target.type, this.#authorities)) this.#targets.set(entryName(entry), target)
  }
}

/** Of which targets more is asked than where they are: of one credential in many, and of results only once criteria were ever withdrawn. */
export function hasContent(type: string, { criteriaRetracted }: Pick<Authorities, 'criteriaRetracted'>): boolean {
  if (type === 'credential-provenance' || type === 'issuance-intent') return true
  return type === 'attestation-result' && criteriaRetracted
}

function leadToTheSame(one: readonly Link[], other: readonly Link[]): boolean {
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (!equalBytes(one[i]!.entry, other[i]!.entry)) return false
  return true
}
