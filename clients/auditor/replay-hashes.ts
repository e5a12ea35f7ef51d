/**
 * The tree again, from its entries: what shows that a log's checkpoint covers what the log serves, all of it, and nothing else.
 *
 * Eight requests are always under way, and one bundle of 256 entries is hashed, of a large log in a thread, while the next ones travel. A bundle becomes a
 * single hash (level 8 of the tree) as soon as it is there, whatever the order of arrival; those are appended in order:
 *
 * ```
 *   bundle 0 ──256 leaves──▶ ■ ┐
 *   bundle 1 ──────────────▶ ■ ├─ compact range ──▶ root == checkpoint's?
 *   bundle 2, 17 entries ──▶ ∴ ┘   (leaf by leaf where a bundle is partial)
 * ```
 *
 * @module
 */
import {
  appendLeaves,
  appendSubtree,
  type CompactRange,
  EMPTY_RANGE,
  EvidenceError,
  equalBytes,
  formatEntriesPath,
  HASH_LENGTH,
  hashEntryBundle,
  MerkleError,
  rangeRoot,
  readCompactRange,
  TILE_WIDTH,
  type TileReader,
  tileWidth,
  toHex,
  type VerifiedCheckpoint,
} from '../../merkle/index.ts'
import { AnswerError, MisbehaviourError, RefusedError } from '../log-client/index.ts'
import { HashThread, rootOfBundle } from './hash-thread.ts'

/** Where entries come from. */
export interface EntrySource {
  /** `tile/entries/…`, raw; in `into`, if there is room and the source knows how. */
  entryBundle(index: number, width: number, into?: Uint8Array): Promise<Uint8Array>
  readonly tiles: TileReader
}

export interface ReplayHashesOptions {
  /** A part of the tree that was replayed before; the whole of it otherwise. */
  readonly from?: CompactRange
  /** Every bundle read, in any order, before the root is known to be right. The bytes are written over afterwards. */
  readonly onBundle?: (index: number, bytes: Uint8Array, width: number) => void
  /** What is appended for each bundle, in order: one hash for a whole one, packed leaf hashes otherwise. */
  readonly onHashes?: (index: number, hashes: Uint8Array, whole: boolean) => void
  /** The tree after each bundle, in order. */
  readonly onRange?: (range: CompactRange) => void
  readonly onProgress?: (done: number, total: number) => void
}

const BUNDLE_LEVEL = 8
/** As many as the log client has connections. */
const IN_FLIGHT = 8
/** Bundles that wait for the thread, of each connection: while it hashes some, others travel. */
const HASHING = 8
/** Bundles that take longer to hash than a thread takes to start. */
const WORTH_A_THREAD = 512

/**
 * Recomputes the root of `checkpoint` from its entries.
 *
 * @returns the tree of that size, to go on from
 * @throws `MisbehaviourError` `entry_mismatch`, `not_served`; `UnavailableError`
 */
export async function replayHashes(
  source: EntrySource,
  checkpoint: VerifiedCheckpoint,
  { from = EMPTY_RANGE, onBundle, onHashes, onRange, onProgress }: ReplayHashesOptions = {},
): Promise<CompactRange> {
  const end = Math.ceil(checkpoint.size / TILE_WIDTH)
  const first = Math.floor(from.size / TILE_WIDTH)
  let range = from
  let appended = first
  let asked = first
  /** Bundles hashed and waiting for one before them: a level-8 hash each, or packed leaf hashes. */
  const waiting = new Map<number, Uint8Array>()
  const thread = end - first >= WORTH_A_THREAD ? new HashThread(IN_FLIGHT * (HASHING + 1)) : undefined

  const worker = async (): Promise<void> => {
    /** Of those that this worker fetched, in order. */
    const hashing: Promise<void>[] = []
    while (asked < end) {
      const index = asked++
      try {
        const width = tileWidth(0, index, checkpoint.size)
        const room = thread?.room()
        const bytes = await readBundle(source, checkpoint, index, width, room)
        onBundle?.(index, bytes, width)
        const hashed = hashOne(index, bytes, width, room)
        if (hashed) hashing.push(hashed)
        if (hashing.length === HASHING) await hashing.shift()
      } catch (error) {
        // The others stop after what they have under way.
        asked = end
        throw error
      }
    }
    for (const hashed of hashing) await hashed
  }

  /** Waits for no thread: the next bundle is fetched meanwhile. */
  const hashOne = (index: number, bytes: Uint8Array, width: number, room?: Uint8Array): Promise<void> | undefined => {
    const take = (root?: Uint8Array): void => {
      // What is no bundle is hashed here again, to say what is wrong with it.
      waiting.set(index, root ?? hashBundle(bytes, index, width, from.size, checkpoint))
      if (room) thread?.release(room)
      appendReady()
    }
    const whole = width === TILE_WIDTH && index * TILE_WIDTH >= from.size
    if (!thread || !room || !whole) {
      take()
      return undefined
    }
    const hashed = thread.rootOf(bytes, room).then(take)
    // It is told in its turn.
    hashed.catch(() => {})
    return hashed
  }

  const appendReady = (): void => {
    for (let hashes = waiting.get(appended); hashes !== undefined; hashes = waiting.get(appended)) {
      waiting.delete(appended++)
      const whole = range.size % TILE_WIDTH === 0 && range.size + TILE_WIDTH <= checkpoint.size
      onHashes?.(appended - 1, hashes, whole)
      range = whole ? appendSubtree(range, BUNDLE_LEVEL, hashes) : appendLeaves(range, hashes)
      onRange?.(range)
    }
    onProgress?.(range.size, checkpoint.size)
  }

  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  } finally {
    thread?.close()
  }
  if (!equalBytes(rangeRoot(range), checkpoint.root)) throw await mismatch(source, checkpoint, range)
  return range
}

/** One hash for a full bundle of new entries, packed leaf hashes otherwise; entries below `from` are left out. */
function hashBundle(
  bytes: Uint8Array,
  index: number,
  width: number,
  from: number,
  checkpoint: VerifiedCheckpoint,
): Uint8Array {
  const known = Math.max(0, from - index * TILE_WIDTH)
  try {
    if (width === TILE_WIDTH && known === 0) return rootOfBundle(bytes)
    return hashEntryBundle(bytes, width).subarray(known * HASH_LENGTH)
  } catch (cause) {
    if (!(cause instanceof MerkleError)) throw cause
    throw misbehaviour('entry_mismatch', `bundle ${index} is not ${width} entries`, checkpoint, index, cause)
  }
}

/** @throws `MisbehaviourError` `not_served`; `UnavailableError` */
export async function readBundle(
  source: Pick<EntrySource, 'entryBundle'>,
  checkpoint: VerifiedCheckpoint,
  index: number,
  width: number,
  into?: Uint8Array,
): Promise<Uint8Array> {
  try {
    return await source.entryBundle(index, width, into)
  } catch (cause) {
    // Unreachable is no verdict. Reached and not shown is: the checkpoint says that it is there.
    if (!(cause instanceof RefusedError) && !(cause instanceof AnswerError)) throw cause
    if (cause instanceof RefusedError && cause.isAboutUs) throw cause
    throw misbehaviour(
      'not_served',
      `the log does not show bundle ${index}: ${cause.message}`,
      checkpoint,
      index,
      cause,
    )
  }
}

/** Says which bundle is wrong, where the log's own tiles lead to the signed root and so can tell. */
async function mismatch(
  source: EntrySource,
  checkpoint: VerifiedCheckpoint,
  computed: CompactRange,
): Promise<MisbehaviourError> {
  let where = 'and so do not its tiles'
  try {
    const tiles = await readCompactRange(checkpoint.size, source.tiles)
    if (equalBytes(rangeRoot(tiles), checkpoint.root)) where = 'though its tiles do'
  } catch (error) {
    if (!(error instanceof EvidenceError) && !(error instanceof RefusedError)) throw error
  }
  return new MisbehaviourError(
    'entry_mismatch',
    `the ${checkpoint.size} entries that the log serves do not lead to the root it signed, ${where}`,
    {
      origin: checkpoint.origin,
      after: checkpoint.note,
      expected: toHex(checkpoint.root),
      got: toHex(rangeRoot(computed)),
    },
  )
}

function misbehaviour(
  code: 'entry_mismatch' | 'not_served',
  message: string,
  { origin, note }: VerifiedCheckpoint,
  index: number,
  cause: Error,
): MisbehaviourError {
  const evidence = { origin, after: note, path: formatEntriesPath(index, TILE_WIDTH), reason: cause.message }
  return new MisbehaviourError(code, message, evidence, { cause })
}
