/**
 * A question, as data: what it asks, what it must be told, and the SQL that answers it.
 *
 * What somebody gives as an argument is read by its kind and bound by name. It never becomes a part of the SQL.
 *
 * @module
 */
import { EvidenceError, fromHex } from '../../../merkle/index.ts'
import { canonicalPurl, packageOf, parsePurl } from '../../../provenance/index.ts'
import type { Cell } from '../database/cells.ts'
import { versionKey } from '../database/version-key.ts'
import { AuditError } from '../error.ts'

/**
 * What an argument is. `time`: POSIX seconds or an instant. `statement`: an index, or an entry in hex. `credential`: the same of its
 * record, or the digest of the credential. `package`: a package URL, of which version and qualifiers do not count. `versions`: a range.
 */
export type ArgumentKind =
  | 'text'
  | 'count'
  | 'integer'
  | 'time'
  | 'digest'
  | 'statement'
  | 'credential'
  | 'package'
  | 'versions'
  | readonly string[]

export interface Argument {
  readonly kind: ArgumentKind
  readonly about: string
  /** Where it is not given. `now`: the auditor's clock. Absent: it must be given. Null: the question goes without. */
  readonly default?: string | number | null
}

export interface Question {
  readonly id: string
  readonly asks: string
  readonly arguments: Readonly<Record<string, Argument>>
  /** Its first columns are `index` and `entry`: of the statement that a row is about. */
  readonly sql: string
  /** Whether it is about what was sealed: then what could not be opened is not in the answer. */
  readonly sealed: boolean
}

/** Values to bind; the statements among them are still to be looked up: of one that is not there, nothing would be the answer to everything. */
export interface Bound {
  readonly parameters: Readonly<Record<string, Cell>>
  readonly lookUp: readonly {
    readonly name: string
    readonly kind: 'statement' | 'credential'
    /** By digest or entry, or by index. */
    readonly wanted: Uint8Array | number
  }[]
}

/** Longest argument, in characters. */
const MAX_ARGUMENT = 2048

/**
 * Reads the arguments of a question.
 *
 * @param given - by name
 * @param now - POSIX seconds
 * @throws `AuditError` `bad_argument`
 */
export function bindArguments(question: Question, given: ReadonlyMap<string, string>, now: number): Bound {
  for (const name of given.keys()) {
    if (!Object.hasOwn(question.arguments, name)) {
      const known = Object.keys(question.arguments).join(', ') || 'none'
      throw refuse(`${question.id} takes no ${JSON.stringify(name.slice(0, 64))}; it takes: ${known}`)
    }
  }
  const parameters: Record<string, Cell> = {}
  const lookUp: Bound['lookUp'][number][] = []
  // How its versions are read depends on what kind of package it is.
  const named = given.get('package')
  const type = named === undefined ? undefined : readPackage('package', named).type
  for (const [name, argument] of Object.entries(question.arguments)) {
    const text = given.get(name)
    if (text === undefined && argument.default === undefined)
      throw refuse(`${question.id} needs ${name}: ${argument.about}`)
    if (text !== undefined && text.length > MAX_ARGUMENT)
      throw refuse(`${name} has more than ${MAX_ARGUMENT} characters`)
    const value = text ?? (argument.default === 'now' ? String(now) : argument.default)
    const { kind } = argument
    if (kind === 'versions') Object.assign(parameters, range(name, String(value), type))
    else if ((kind === 'statement' || kind === 'credential') && typeof value === 'string') {
      lookUp.push({ name, kind, wanted: isDigest(value) ? fromHex(value) : (read(name, kind, value) as number) })
    } else parameters[name] = value === null || value === undefined ? null : read(name, kind, String(value))
  }
  return { parameters, lookUp }
}

/** SQL that holds where the version in `alias.value` or `alias.version` is in the range bound for `versions`. One without an order is in every range. */
export function inRange(alias: string, text: string): string {
  return `CASE WHEN $versions_exact IS NOT NULL THEN ${alias}.${text} = $versions_exact OR ${alias}.version_key = $versions_low::VARCHAR
       WHEN ${alias}.version_key IS NULL THEN true
       ELSE ($versions_low::VARCHAR IS NULL OR ${alias}.version_key > $versions_low::VARCHAR OR ($versions_low_in AND ${alias}.version_key = $versions_low::VARCHAR))
        AND ($versions_high::VARCHAR IS NULL OR ${alias}.version_key < $versions_high::VARCHAR OR ($versions_high_in AND ${alias}.version_key = $versions_high::VARCHAR)) END`
}

function read(name: string, kind: Exclude<ArgumentKind, 'versions'>, text: string): Cell {
  if (typeof kind === 'object') {
    if (!kind.includes(text)) throw refuse(`${name} is one of ${kind.join(', ')}`)
    return text
  }
  switch (kind) {
    case 'text':
      return text
    case 'count':
      if (!/^(0|[1-9][0-9]{0,14})$/.test(text)) throw refuse(`${name} is a whole number`)
      return Number(text)
    case 'integer':
      if (!/^-?(0|[1-9][0-9]{0,14})$/.test(text)) throw refuse(`${name} is a whole number`)
      return Number(text)
    case 'time':
      return time(name, text)
    case 'digest':
      if (!isDigest(text)) throw refuse(`${name} is 64 digits of lower-case hex`)
      return fromHex(text)
    case 'package':
      return readPackage(name, text).package
    default:
      if (!/^(0|[1-9][0-9]{0,14})$/.test(text)) throw refuse(`${name} is an index, or 64 digits of lower-case hex`)
      return Number(text)
  }
}

function readPackage(name: string, text: string): { readonly package: string; readonly type: string } {
  try {
    return { package: packageOf(canonicalPurl(text)), type: parsePurl(text).type }
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw refuse(`${name} is a package URL such as pkg:npm/%40scope/name`, cause)
  }
}

function time(name: string, text: string): number {
  if (/^[0-9]{1,12}$/.test(text)) return Number(text)
  const milliseconds = /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(milliseconds)) throw refuse(`${name} is POSIX seconds or an instant such as 2026-11-22T08:00:00Z`)
  return Math.floor(milliseconds / 1000)
}

/** `^1`, `~1`, `!=1`, `*`, `1.x`, `1 || 2`, `[1,2)`, `1>`. Within a version `~` and `^` have a meaning. */
const FOREIGN_RANGE = /^[\^~!*|[(]|[<>=|*\])]|\.[xX](?:\.|$)/

/**
 * `<4.17.21`, `>=1.2 <2`, `=1.0.0`, `1.0.0`: at most one end on each side.
 *
 * @throws `AuditError` `bad_argument`
 */
function range(name: string, text: string, type: string | undefined): Record<string, Cell> {
  let exact: string | null = null
  let low: string | null = null
  let high: string | null = null
  let [lowIn, highIn] = [false, false]
  for (const part of text.split(/[\s,]+/).filter(Boolean)) {
    const [, operator = '=', version = ''] = /^(<=|>=|<|>|=)?([^<>=].*)$/.exec(part) ?? []
    if (version === '') throw refuse(`${name} is a range, as <4.17.21`)
    // Of other tools' ranges: taken for the name of a version, they would have the answer that nobody has it.
    if (FOREIGN_RANGE.test(version)) throw refuse(`${name}: ${part.slice(0, 64)} is no range here, as >=1.2 <2 is`)
    const key = versionKey(version, type)
    if (key === undefined && operator !== '=') throw refuse(`${name}: ${version.slice(0, 64)} has no order`)
    const onLow = operator.startsWith('>') || operator === '='
    if (exact !== null || (onLow ? low : high) !== null || (operator === '=' && (low ?? high) !== null)) {
      throw refuse(`${name} has one end on each side, as >=1.2 <2`)
    }
    if (operator === '=') exact = version
    if (onLow) [low, lowIn] = [key ?? null, operator !== '>']
    else [high, highIn] = [key!, operator === '<=']
  }
  if (exact === null && low === null && high === null) throw refuse(`${name} is a range, as <4.17.21`)
  return {
    [`${name}_exact`]: exact,
    [`${name}_low`]: low,
    [`${name}_low_in`]: lowIn,
    [`${name}_high`]: high,
    [`${name}_high_in`]: highIn,
  }
}

function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

function refuse(message: string, cause?: unknown): AuditError {
  return new AuditError('bad_argument', message, { cause })
}
