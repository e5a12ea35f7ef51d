/**
 * The end of a log: its last checkpoint stays its last, for good.
 *
 * ```
 *   DIR/frozen   {"size": 1234, "root": "<hex>", "at": 1800000000, "checksum": 123456789}
 * ```
 *
 * The checksum is the CRC-32C of the others, as they stand there: what no signature tells a disk may have changed. A file without one is of an older version.
 *
 * A frozen log is served as ever, restarts included, says `log_frozen` on `/readyz`, and answers who appends with 410 `log_frozen`; but a statement that it has
 * already, with its receipt. There is no way back: somebody may have been told that nothing follows. What follows is another log, of another origin, and
 * clients get to know it as they got to know this one.
 *
 * @module
 */
import { equalBytes, fromHex, toHex, utf8 } from '../../merkle/bytes.ts'
import type { Hash } from '../../merkle/hash.ts'
import type { Sequencer } from '../sequencing/sequencer.ts'
import { jsonBytes } from '../sequencing/signing-keys.ts'
import { crc32c } from '../storage/checksum.ts'
import { paths, readJson } from '../storage/directory.ts'
import { writeFileDurably } from '../storage/guard.ts'
import { LogError } from '../types.ts'

/** What a log was frozen at. */
export interface Frozen {
  readonly size: number
  readonly root: Hash
  /** POSIX seconds. */
  readonly at: number
}

/** Undefined while the log goes on. @throws {@link LogError} `malformed_config` */
export async function readFrozen(dataDir: string): Promise<Frozen | undefined> {
  const path = paths(dataDir).frozen
  const value = await readJson(path)
  if (value === undefined) return undefined
  const { size, root, at, checksum, ...others } = (value ?? {}) as Partial<Record<string, unknown>>
  const isCount = (number: unknown): number is number => Number.isSafeInteger(number) && (number as number) >= 0
  if (
    !isCount(size) ||
    !isCount(at) ||
    typeof root !== 'string' ||
    !/^[0-9a-f]{64}$/.test(root) ||
    (checksum !== undefined && checksum !== checksumOf({ size, root, at })) ||
    Object.keys(others).length > 0
  ) {
    throw new LogError('malformed_config', `${path} does not say what the log was frozen at`)
  }
  return { size, root: fromHex(root), at }
}

function checksumOf({ size, root, at }: { size: number; root: string; at: number }): number {
  return crc32c(utf8(`${size} ${root} ${at}`))
}

/** A log that was frozen and has something else now was not: nothing may be said in its name. @throws {@link LogError} `log_damaged` */
export function checkFrozen(frozen: Frozen, head: { readonly size: number; readonly root: Hash }): void {
  if (frozen.size === head.size && equalBytes(frozen.root, head.root)) return
  throw new LogError(
    'log_damaged',
    `the log was frozen at size ${frozen.size}, and has another tree, of size ${head.size}`,
  )
}

/** Freezes an open log. Whoever was accepted before gets an answer. The same again changes nothing. */
export async function freezeLog(
  dataDir: string,
  log: { readonly sequencer: Pick<Sequencer, 'freeze' | 'size' | 'root'> },
  now: number,
): Promise<Frozen> {
  await log.sequencer.freeze()
  const before = await readFrozen(dataDir)
  if (before) return before
  const { size, root } = log.sequencer
  const said = { size, root: toHex(root), at: now }
  await writeFileDurably(paths(dataDir).frozen, jsonBytes({ ...said, checksum: checksumOf(said) }), 0o644)
  return { size, root, at: now }
}
