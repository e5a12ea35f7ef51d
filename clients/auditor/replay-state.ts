/**
 * How far a replay without a database has come: one file, written whole.
 *
 *     DIR/signatures.json    DIR/hashes.json      by what was asked
 *
 * It is no more trustworthy than who can write it: signatures are checked again when it is read, and its tree must lead to the next root. Its
 * checksum is against a disk that errs, which must not look like a log that lies.
 *
 * @module
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CompactRange, EMPTY_RANGE, fromHex, sha256, toHex, utf8 } from '../../merkle/index.ts'
import { writeFileWhole } from '../log-client/index.ts'
import type { Finding } from './checks.ts'
import { AuditError } from './error.ts'

/** A statement by which it was decided who may sign what comes after it. */
export interface KeptStatement {
  readonly index: number
  /** Base64. */
  readonly statement: string
  /** Whether it may be on the log, and so changed anything. */
  readonly permitted: boolean
}

export interface ReplayedSoFar {
  readonly origin: string
  /** The checkpoint that proved it: of this size or more. Undefined before the first. */
  readonly note?: string
  readonly range: CompactRange
  readonly records: number
  readonly foreign: number
  readonly findings: readonly Finding[]
  readonly kept: readonly KeptStatement[]
  /** Entries whose statements were erased, in lower-case hex, and the index of the record that did it. */
  readonly erasures: readonly (readonly [entry: string, by: number])[]
}

export type ReplayKind = 'hashes' | 'signatures'

const VERSION = 1

/** @throws `AuditError` `other_log`, `other_version`, `damaged_audit` */
export async function loadReplayed(directory: string, kind: ReplayKind, origin: string): Promise<ReplayedSoFar> {
  const path = pathOf(directory, kind)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return { origin, range: EMPTY_RANGE, records: 0, foreign: 0, findings: [], kept: [], erasures: [] }
  }
  const { version, replayed } = parse(text, path)
  if (version !== VERSION) throw new AuditError('other_version', `${path} is of version ${String(version)}`)
  if (replayed.origin !== origin) {
    throw new AuditError('other_log', `${directory} holds a replay of ${replayed.origin}, and this is ${origin}`)
  }
  const { size, hashes } = replayed.range
  return { ...replayed, range: { size, hashes: hashes.map(fromHex) } }
}

export async function saveReplayed(directory: string, kind: ReplayKind, replayed: ReplayedSoFar): Promise<void> {
  await mkdir(directory, { recursive: true })
  const { size, hashes } = replayed.range
  const written: Written = { ...replayed, range: { size, hashes: hashes.map(toHex) } }
  await writeFileWhole(pathOf(directory, kind), format(written))
}

type Written = Omit<ReplayedSoFar, 'range'> & { readonly range: { size: number; hashes: readonly string[] } }

function pathOf(directory: string, kind: ReplayKind): string {
  return join(directory, `${kind}.json`)
}

function format(replayed: Written): string {
  const text = JSON.stringify(replayed)
  return `{"version":${VERSION},"sha256":"${checksum(text)}","replayed":${text}}\n`
}

function parse(text: string, path: string): { version: unknown; replayed: Written } {
  try {
    const { version, sha256, replayed } = JSON.parse(text) as Record<string, unknown>
    if (version !== VERSION || sha256 === checksum(JSON.stringify(replayed))) {
      return { version, replayed: replayed as Written }
    }
  } catch {
    // What is no JSON is as damaged as what has another checksum.
  }
  throw new AuditError('damaged_audit', `${path} is not as it was written: delete it and replay from the start`)
}

function checksum(text: string): string {
  return toHex(sha256(utf8(text)))
}
