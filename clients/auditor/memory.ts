/**
 * What the next audit must know of an entry, as one column of its row has it: JSON, without what other columns say. Each letter of it is written,
 * packed and read again for every entry, and of hashes nothing can be packed: the database is a sixth smaller for it.
 *
 * ```
 *   in full                             in the column
 *   record:<id>  credential:<digest>    not in it: they are made again of the record's id, and of what a link to it leads to
 *   unique:<kid>:<tag>                  :<tag>
 *   <type>/<kid>/<id>                   //<id>
 * ```
 *
 * @module
 */
import { fromBase64, toBase64, toHex } from '../../merkle/index.ts'
import { type LinkTarget, type RecordType, recordKey } from '../../provenance/index.ts'
import type { AuditedEntry } from './audited-entry.ts'
import type { Recorded } from './recorded.ts'

/** The columns of `records` that it is made again of. */
export type MemoryRow = [
  index: number,
  entry: Uint8Array,
  identity: Uint8Array | null,
  type: RecordType | null,
  issuedAt: number,
  signer: string,
  id: Uint8Array | null,
  memory: string,
]

type Memory = Omit<Recorded, 'entry' | 'identity' | 'statement' | 'target'> & {
  /** Of a record without its type, date and signer. */
  readonly target?: Partial<LinkTarget>
  readonly statement?: string
}

export function formatMemory({ recorded, record }: Pick<AuditedEntry, 'recorded' | 'record'>): string {
  const { entry: _entry, identity: _identity, statement, target, unique, series, ...rest } = recorded
  const own = record && target && ownPartOf(target)
  const tags = own ? unique.slice(madeAgain(record.id, own).length) : unique
  return JSON.stringify({
    unique: own ? tags.map((tag) => shortened(tag, `unique:${target.signer}:`, ':')) : tags,
    ...rest,
    ...(series !== undefined && { series: own ? shortened(series, `${record.type}/${target.signer}/`, '//') : series }),
    ...(target && { target: own ?? target }),
    ...(statement && { statement: toBase64(statement) }),
  } satisfies Memory)
}

export function parseMemory(row: MemoryRow): Recorded {
  const [index, entry, identity, type, issuedAt, signer, id, memory] = row
  const { statement, target, unique, series, ...rest } = JSON.parse(memory) as Memory
  const common = type === null ? {} : { type, issuedAt, signer }
  const known = id === null ? [] : madeAgain(id, target)
  return {
    entry: toHex(entry),
    identity: identity === null ? '' : toHex(identity),
    unique: [...known, ...unique.map((tag) => lengthened(tag, `unique:${signer}:`, ':'))],
    ...rest,
    ...(series !== undefined && { series: lengthened(series, `${type}/${signer}/`, '//') }),
    ...(target && { target: { index, ...common, ...target } as LinkTarget }),
    ...(statement !== undefined && { statement: fromBase64(statement) }),
  }
}

/** The first of its unique names, as `uniqueKeys` has them. */
function madeAgain(id: Uint8Array, target: Partial<LinkTarget> | undefined): string[] {
  const digest = target?.credentialDigest
  return digest === undefined ? [recordKey(id)] : [recordKey(id), `credential:${digest}`]
}

/** Without the beginning that it has in common with its row. In full no name begins with `mark`. */
function shortened(name: string, beginning: string, mark: string): string {
  return name.startsWith(beginning) ? mark + name.slice(beginning.length) : name
}

function lengthened(name: string, beginning: string, mark: string): string {
  return name.startsWith(mark) ? beginning + name.slice(mark.length) : name
}

function ownPartOf({ index: _index, type: _type, issuedAt: _issuedAt, signer: _signer, ...own }: LinkTarget) {
  return own
}
