/**
 * Opens a LevelDB. The only importer of `level`.
 *
 * Its own `repair` is never called: a damaged database is refused, and so is one whose logs LevelDB would replay but for a part (`files.ts`).
 *
 * @module
 */
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { Level } from 'level'
import { LogError } from '../../types.ts'
import type { Database } from '../database.ts'
import { checkBeforeOpening, checkOpenTables } from './files.ts'

/** At one time: it takes no less. What is not there is not looked for in tables (`key-filter.ts`). */
export const OPEN_FILES = 74

/**
 * @param create - whether there must be none yet, rather than one
 * @throws {@link LogError} `log_locked` (one process at a time), `log_missing`, `log_exists`, `log_damaged`
 */
export async function openLevel(location: string, create: boolean): Promise<Database> {
  // First: a Level opens by itself, and has read its logs before anybody asks.
  const [damage] = await checkBeforeOpening(location)
  if (damage) throw new LogError('log_damaged', `${join(location, damage.file)}: ${damage.detail}`)
  const db = new Level<Uint8Array, Uint8Array>(location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    createIfMissing: create,
    errorIfExists: create,
    // Hashes and ciphertext do not compress.
    compression: false,
    // It is in memory, twice while it is written out, and then a table, of which a dozen may wait to be merged; and it is what opening replays after a
    // crash, 0.2 s of processor time. With 64 MiB that is 0.5 s, memory is 80 MB more and twice that at its height, and appends cost a tenth less.
    writeBufferSize: 16 * 1024 * 1024,
    // LevelDB views its open tables in memory, and those that it merges wholly: they count as memory of the process, though the kernel may drop them.
    // Few small ones are as much in a small log as in a large one. Smaller still, and there are so many that LevelDB's lists of them cost something.
    maxFileSize: 4 * 1024 * 1024,
    maxOpenFiles: OPEN_FILES,
  })
  const checkKeys: Database['checkKeys'] = async (letters, paced) => {
    const found = await checkOpenTables(location, paced, letters)
    return found && `${join(location, found.file)}: ${found.detail}`
  }
  try {
    await db.open()
  } catch (cause) {
    throw openFailure(cause, location)
  }
  // On Node a Level is a ClassicLevel, which can be told to compact; its type says only what browsers have too.
  return Object.assign(db as Level<Uint8Array, Uint8Array> & Database, { letGo, checkKeys })
}

/**
 * Each value has an array of its own, outside of the heap. Left to the collector, they have it look through all of the heap for every ten megabytes
 * that are read, which takes longer than to read them. Who transfers an array to a port that is closed has it no more, and nor has anybody else.
 */
function letGo(values: readonly Uint8Array[]): void {
  const own = values.filter(({ byteLength, buffer }) => byteLength === buffer.byteLength)
  nowhere.postMessage(
    undefined,
    own.map(({ buffer }) => buffer as ArrayBuffer),
  )
}

const { port1: nowhere } = new MessageChannel()
nowhere.close()

function openFailure(error: unknown, location: string): Error {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = (cause as { code?: string } | undefined)?.code
  if (code === 'LEVEL_LOCKED') {
    return new LogError('log_locked', `${location} is in use by another process`, { cause })
  }
  const message = cause instanceof Error ? cause.message : String(cause)
  if (/does not exist|exists \(error_if_exists/.test(message)) {
    return new LogError(message.includes('does not exist') ? 'log_missing' : 'log_exists', message, { cause })
  }
  if (code === 'LEVEL_CORRUPTION') return new LogError('log_damaged', message, { cause })
  return cause instanceof Error ? cause : new Error(message)
}
