/**
 * What lies where in the directory of a log.
 *
 * ```
 *   DIR/config.json       {"format":2,"origin","vkey","kid"}: public, written last by init; without it there is no log
 *   DIR/checkpoint.jwk    Ed25519, signs checkpoints          ─┐
 *   DIR/receipt.jwk       P-256, signs tree heads (receipts)   ├ mode 0600
 *   DIR/admin.jwk         P-256, the first admin               ─┘ not needed to serve: keep it elsewhere
 *   DIR/keys/             later checkpoint and receipt keys (signing-keys.ts), mode 0600 too
 *   DIR/guard             what was signed last (guard.ts)
 *   DIR/frozen            {"size","root","at","checksum"}: nothing is appended any more (freeze.ts)
 *   DIR/control           the socket of the server that has the log open (control.ts), mode 0600
 *   DIR/store/            LevelDB (store.ts), one process at a time
 * ```
 *
 * `config.json` says what the log was *founded* with, as entry 0 does, and never changes: opening compares the two. Which keys sign now
 * is on the log alone, so there is no second place that could say otherwise.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromUtf8 } from '../../merkle/bytes.ts'
import { LogError } from '../types.ts'
import { isCode } from './guard.ts'

export function paths(dataDir: string) {
  const file = (name: string) => join(dataDir, name)
  return {
    config: file('config.json'),
    checkpointKey: file('checkpoint.jwk'),
    receiptKey: file('receipt.jwk'),
    adminKey: file('admin.jwk'),
    keys: file('keys'),
    guard: file('guard'),
    frozen: file('frozen'),
    control: file('control'),
    store: file('store'),
  }
}

/**
 * How the values in `store/` are written. 1 has no checksums, but where LevelDB has them; such a log is served as it is, and a backup of it restores as 2.
 * Whatever is newer than {@link NEWEST_FORMAT} is refused: nothing here knows what it would break.
 */
export type DataFormat = 1 | 2

export const NEWEST_FORMAT: DataFormat = 2

/** What is public about a log and never changes, `config.json`. */
export interface LogConfig {
  readonly format: DataFormat
  readonly origin: string
  /** Of the checkpoint key that it was founded with. */
  readonly vkey: string
  /** Of the receipt key that it was founded with. */
  readonly kid: string
}

/** @throws {@link LogError} `log_missing`, `malformed_config` */
export async function readLogConfig(dataDir: string): Promise<LogConfig> {
  const path = paths(dataDir).config
  const value = await readJson(path)
  if (value === undefined) throw new LogError('log_missing', `there is no log in ${dataDir}: ${path} is missing`)
  return parseLogConfig(value, path)
}

/** @throws {@link LogError} `malformed_config` */
export function parseLogConfig(value: unknown, path: string): LogConfig {
  const { format, origin, vkey, kid, server: _, ...others } = (value ?? {}) as Partial<Record<string, unknown>>
  if (typeof format === 'number' && Number.isSafeInteger(format) && format > NEWEST_FORMAT) {
    throw new LogError(
      'malformed_config',
      `${path} is of a log of format ${format}, made by a newer version than this one, which knows formats 1 to ${NEWEST_FORMAT}: use the newer one`,
    )
  }
  if (
    (format !== 1 && format !== 2) ||
    typeof origin !== 'string' ||
    typeof vkey !== 'string' ||
    typeof kid !== 'string'
  ) {
    throw new LogError('malformed_config', `${path} is not the configuration of a log, format 1 or 2`)
  }
  // A member whose name was mistyped, or damaged, would be one that is not there: `server` says who may come in.
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw new LogError('malformed_config', `${path} has a member ${JSON.stringify(unknown).slice(0, 64)}`)
  return { format, origin, vkey, kid }
}

/** What a file of ours says; undefined when there is none. @throws {@link LogError} `malformed_config` */
export async function readJson(path: string): Promise<unknown> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (cause) {
    if (!isCode(cause, 'ENOENT')) throw cause
    return undefined
  }
  try {
    return JSON.parse(fromUtf8(bytes))
  } catch {
    // Without a cause: the parser's message quotes the file, which may be a key.
    throw new LogError('malformed_config', `${path} is not JSON`)
  }
}
