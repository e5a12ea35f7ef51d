/**
 * What an audit leaves behind so that the next one goes on from there:
 *
 * ```
 *   DIR/entries.jsonl   one line per entry (Recorded), appended to
 *   DIR/state.json      how far, which tree, what was found; replaced whole, and last
 * ```
 *
 * `state.json` says how many bytes of `entries.jsonl` are its own: lines after a crash are cut off. Nothing secret is written, opened
 * sections least of all.
 *
 * @module
 */
import { mkdir, open, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import {
  appendLeaves,
  assert,
  type CompactRange,
  EMPTY_RANGE,
  fromBase64,
  fromHex,
  fromUtf8,
  HASH_LENGTH,
  hashLeaf,
  toBase64,
  toHex,
  utf8,
} from '../../merkle/index.ts'
import { writeFileWhole } from '../log-client/index.ts'
import type { Finding } from './checks.ts'
import type { Recorded } from './recorded.ts'

/** An audit up to some entry. */
export interface AuditedSoFar {
  readonly origin: string
  /** The checkpoint that proved it: of this size or more. Undefined before the first. */
  readonly note?: string
  readonly range: CompactRange
  /** kid of the key with which sealed sections were opened; without, they were not. */
  readonly openedWith?: string
  readonly records: number
  readonly foreign: number
  readonly opened: number
  readonly findings: readonly Finding[]
}

/** Of the files, and of what is checked: an older audit starts over. */
const VERSION = 2

/** Nothing audited yet. */
export function startOf(origin: string, openedWith: string | undefined): AuditedSoFar {
  return {
    origin,
    range: EMPTY_RANGE,
    records: 0,
    foreign: 0,
    opened: 0,
    findings: [],
    ...(openedWith === undefined ? {} : { openedWith }),
  }
}

/** The two files. One audit at a time. */
export class AuditState {
  readonly #directory: string
  #bytes = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  /** What was audited before and its entries in order; undefined for an empty directory, or one of another log or key. */
  async load(origin: string, openedWith: string | undefined): Promise<[AuditedSoFar, Recorded[]] | undefined> {
    const text = await readIfThere(this.#path('state.json'))
    if (text === undefined) return undefined
    const { v, bytes, range, ...rest } = JSON.parse(fromUtf8(text))
    if (v !== VERSION || rest.origin !== origin || rest.openedWith !== openedWith) return undefined

    const lines = (await readIfThere(this.#path('entries.jsonl'))) ?? new Uint8Array()
    assert(lines.length >= bytes, `${this.#path('entries.jsonl')} is shorter than state.json says: delete both`)
    this.#bytes = bytes
    const recorded = fromUtf8(lines.subarray(0, bytes)).split('\n').slice(0, -1).map(parseLine)
    assert(
      recorded.length === range.size,
      `${this.#path('entries.jsonl')} has ${recorded.length} lines, not ${range.size}`,
    )
    // Otherwise a bit that flipped here would make the next audit say that the log does not lead to the root it signed.
    const leaves = new Uint8Array(recorded.length * HASH_LENGTH)
    for (const [index, { entry }] of recorded.entries()) leaves.set(hashLeaf(fromHex(entry)), index * HASH_LENGTH)
    const audited = appendLeaves(EMPTY_RANGE, leaves)
    assert(
      audited.hashes.map(toHex).join() === range.hashes.join(),
      `${this.#path('entries.jsonl')} and state.json are not of one tree: delete both`,
    )
    return [{ ...rest, range: audited }, recorded]
  }

  /** Records that the audit has come as far as `audited`; `added` are the entries since the last call. */
  async save(audited: AuditedSoFar, added: readonly Recorded[]): Promise<void> {
    const { range, ...rest } = audited
    const lines = utf8(added.map((recorded) => `${formatLine(recorded)}\n`).join(''))
    await mkdir(this.#directory, { recursive: true })
    const file = await open(this.#path('entries.jsonl'), 'a')
    try {
      // What a run that crashed had written after its last state.
      await truncate(this.#path('entries.jsonl'), this.#bytes)
      await file.writeFile(lines)
      await file.sync()
    } finally {
      await file.close()
    }
    this.#bytes += lines.length
    const state = {
      v: VERSION,
      ...rest,
      bytes: this.#bytes,
      range: { size: range.size, hashes: range.hashes.map(toHex) },
    }
    await writeFileWhole(this.#path('state.json'), `${JSON.stringify(state)}\n`)
  }

  #path(name: string): string {
    return join(this.#directory, name)
  }
}

function formatLine({ statement, ...rest }: Recorded): string {
  return JSON.stringify(statement === undefined ? rest : { ...rest, statement: toBase64(statement) })
}

function parseLine(line: string): Recorded {
  const { statement, ...rest } = JSON.parse(line)
  return statement === undefined ? rest : { ...rest, statement: fromBase64(statement) }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
