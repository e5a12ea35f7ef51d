/**
 * Held against a second source: what somebody else says was issued, of which the log has no record.
 *
 * A log shows that what is on it is right and that nothing was taken away. It cannot show what was never put on it. Only a source that does
 * not come from the log can: an issuer's own ledger, the database of a CA, certificates that were seen somewhere. And that can show only what
 * is in that source.
 *
 * @module
 */
import { fromUtf8, toHex } from '../../merkle/index.ts'
import { parseCredential } from '../../provenance/index.ts'
import { AuditError } from './error.ts'
import type { Questions } from './questions/ask.ts'

/** One credential of the second source. */
export interface Sighting {
  /** Where in the source: a line, a file. */
  readonly where: string
  /** SHA-256 of the credential, lower-case hex. */
  readonly digest?: string
  /** `jti`, or the serial number in lower-case hex: where there is no digest. */
  readonly identifier?: string
}

export interface CrossCheck {
  readonly seen: number
  /** Of those seen, the ones that the log has no record of; in the order of the source. */
  readonly unlogged: readonly Sighting[]
}

/** Said with every report. */
export const CROSS_CHECK_WORDS =
  'A log cannot show what was never put on it: only a second source such as this one can, and only what is in it.'

export const MAX_LEDGER_BYTES = 256 * 1024 * 1024
const IDENTIFIERS: ReadonlySet<string> = new Set(['identifier', 'serial', 'serial_number', 'jti'])

/**
 * A ledger: CSV with a header line, of whose columns one is `digest` (SHA-256 in hex), or else `serial`, `jti` or `identifier`.
 *
 * @throws `AuditError` `malformed_ledger`
 */
export function readLedger(bytes: Uint8Array): Sighting[] {
  const lines = parseCsv(fromUtf8(bytes))
  const names = (lines.shift()?.cells ?? []).map((name) => name.trim().toLowerCase())
  const digest = names.indexOf('digest')
  const identifier = names.findIndex((name) => IDENTIFIERS.has(name))
  if (digest < 0 && identifier < 0) {
    throw new AuditError('malformed_ledger', 'its first line must name a column digest, serial, jti or identifier')
  }
  const isSerial = names[identifier]?.startsWith('serial') === true
  return lines.map(({ cells, line }) => {
    const where = `line ${line}`
    const text = cells[digest]?.trim().toLowerCase() ?? ''
    if (text !== '') {
      if (!/^[0-9a-f]{64}$/.test(text))
        throw new AuditError('malformed_ledger', `${where} has no SHA-256 in hex as its digest`)
      return { where, digest: text }
    }
    const named = cells[identifier]?.trim() ?? ''
    if (named === '') throw new AuditError('malformed_ledger', `${where} names no credential`)
    return { where, identifier: isSerial ? serialOf(named, where) : named }
  })
}

/** A certificate or token, as a file has it. @throws `AuditError` `malformed_ledger` */
export function readSighting(name: string, bytes: Uint8Array): Sighting {
  try {
    return { where: name, digest: toHex(parseCredential(bytes).digest) }
  } catch (cause) {
    throw new AuditError('malformed_ledger', `${name} is no credential`, { cause })
  }
}

/** @throws `AuditError` `serials_unknown` */
export async function crossCheck(
  sightings: readonly Sighting[],
  questions: Pick<Questions, 'rows'>,
): Promise<CrossCheck> {
  const byIdentifier = sightings.some(({ digest }) => digest === undefined)
  const known = new Set<string>()
  const [[sealed] = []] = await questions.rows('SELECT count(*) FROM credentials WHERE identifier IS NULL')
  if (byIdentifier && sealed !== 0) {
    throw new AuditError(
      'serials_unknown',
      `serial numbers of ${Number(sealed)} credentials are sealed: audit with a key that opens them, or give digests`,
    )
  }
  for (const [digest, kind, identifier] of await questions.rows('SELECT digest, kind, identifier FROM credentials')) {
    known.add(toHex(digest as Uint8Array))
    if (!byIdentifier) continue
    const name = identifier as string
    known.add(`identifier ${name}`)
    if (kind === 'wic') known.add(`identifier ${withoutZeros(name)}`)
  }
  const unlogged = sightings.filter(({ digest, identifier }) => !known.has(digest ?? `identifier ${identifier}`))
  return { seen: sightings.length, unlogged }
}

/** Hex as openssl, browsers and databases write it: with colons or zeros before it, or without. */
function serialOf(text: string, where: string): string {
  const hex = text.replaceAll(':', '').replace(/^0x/i, '').toLowerCase()
  if (!/^[0-9a-f]{1,64}$/.test(hex)) throw new AuditError('malformed_ledger', `${where} has no serial number in hex`)
  return withoutZeros(hex)
}

function withoutZeros(hex: string): string {
  return hex.replace(/^0+(?=.)/, '')
}

/** RFC 4180. Empty lines are passed over. */
function parseCsv(text: string): { cells: string[]; line: number }[] {
  const rows: { cells: string[]; line: number }[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y
  let cells: string[] = []
  let line = 1
  let start = 1
  for (let at = text.startsWith('\ufeff') ? 1 : 0; at < text.length; at = field.lastIndex) {
    field.lastIndex = at
    const match = field.exec(text)
    if (!match) throw new AuditError('malformed_ledger', `line ${line} is not CSV (RFC 4180)`)
    const [whole, quoted, plain = '', end] = match
    cells.push(quoted?.replaceAll('""', '"') ?? plain)
    line += whole.split('\n').length - 1
    if (end === ',') continue
    if (cells.length > 1 || cells[0] !== '') rows.push({ cells, line: start })
    cells = []
    start = line
  }
  if (cells.length > 0) rows.push({ cells: [...cells, ''], line: start })
  return rows
}
