/**
 * LevelDB's tables: what it has sorted and will not change any more (`000009.ldb`).
 *
 * ```
 *   blocks: bytes ‖ u8 compression ‖ u32 checksum       data, filter, their index, the index of what is neither
 *   48 bytes: where the last two are ‖ zeros ‖ a number that all tables end with
 * ```
 *
 * Little-endian; the checksum is a masked CRC-32C of bytes and compression (github.com/google/leveldb, doc/table_format.md; our own words and code).
 *
 * @module
 */
import type { FileHandle } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { crc32c } from '../checksum.ts'
import { isZero, unmask } from './record-log.ts'
import { Varints } from './varints.ts'

const FOOTER_BYTES = 48
const TRAILER_BYTES = 5
const MAGIC = 0xdb4775248b80fb57n

interface BlockHandle {
  readonly offset: number
  readonly length: number
}

/** Is told how many bytes were read since it was asked last, and waits for as long as it likes; false when no more is to be read. */
export type Paced = (bytes: number) => Promise<boolean>

const goOn: Paced = () => Promise.resolve(true)
const PACE_BYTES = 256 * 1024
/** 0.2 ms of checksums. */
const RUN_BYTES = 64 * 1024

/** What is wrong with a table; as far as it was read. */
export async function checkTable(file: FileHandle, paced: Paced = goOn): Promise<string | undefined> {
  const table = await readFooter(file)
  if (typeof table === 'string') return table
  const { size, index, metaindex } = table
  // Each begins where another one ends, so that there is no byte of which nothing is known.
  const blocks = [
    ...(await handlesIn(file, size, index)),
    ...(await handlesIn(file, size, metaindex)),
    metaindex,
    index,
  ]
  let at = 0
  let told = 0
  for (const run of runs(blocks.sort((a, b) => a.offset - b.offset))) {
    if (run[0]!.offset !== at) return `nothing says what is at byte ${at}`
    const damaged = await damagedIn(file, size, run)
    if (damaged) return notAsWritten(damaged)
    at = endOf(run.at(-1)!)
    await nextTurn()
    if (at - told < PACE_BYTES) continue
    if (!(await paced(at - told))) return undefined
    told = at
  }
  if (!(await paced(size - told))) return undefined
  return at === size - FOOTER_BYTES ? undefined : `nothing says what is at byte ${at}`
}

/** As {@link checkTable}, of all that finding, or not finding, a key goes through that begins with one of these letters. */
export async function checkLookups(
  file: FileHandle,
  letters: readonly number[],
  paced: Paced = goOn,
): Promise<string | undefined> {
  const table = await readFooter(file)
  if (typeof table === 'string') return table
  const { size, index, metaindex } = table
  for (const block of [index, metaindex, ...(await handlesIn(file, size, metaindex))]) {
    if (!(await readBlock(file, size, block))) return notAsWritten(block)
  }
  const blocks = await blocksWith(file, table, letters)
  for (const run of runs(blocks)) {
    const damaged = await damagedIn(file, size, run)
    if (damaged) return notAsWritten(damaged)
    if (!(await paced(endOf(run.at(-1)!) - run[0]!.offset))) return undefined
  }
  return undefined
}

/** How much of a table {@link checkLookups} reads besides what finds its blocks; none of one that is damaged there, which it finds. */
export async function lookupBytes(file: FileHandle, letters: readonly number[]): Promise<number> {
  const table = await readFooter(file)
  if (typeof table === 'string') return 0
  const blocks = await blocksWith(file, table, letters)
  return blocks.reduce((sum, { length }) => sum + length, 0)
}

async function blocksWith(
  file: FileHandle,
  { size, index }: Footer,
  letters: readonly number[],
): Promise<readonly BlockHandle[]> {
  // A name in the index is no less than any key in its block, and less than those of the next one.
  let from = 0
  const blocks: BlockHandle[] = []
  for (const block of await handlesIn(file, size, index)) {
    if (letters.some((letter) => from <= letter && letter <= block.letter)) blocks.push(block)
    from = block.letter
  }
  return blocks
}

/** Of blocks that stand one behind the other, as many as are read at once. */
function* runs(blocks: readonly BlockHandle[]): Generator<readonly BlockHandle[]> {
  let run: BlockHandle[] = []
  for (const block of blocks) {
    const last = run.at(-1)
    const follows = last && endOf(last) === block.offset
    if (last && !(follows && block.offset - run[0]!.offset < RUN_BYTES)) {
      yield run
      run = []
    }
    run.push(block)
  }
  if (run.length > 0) yield run
}

/** The first block of a run that is not there, or whose checksum is not its own. */
async function damagedIn(
  file: FileHandle,
  size: number,
  run: readonly BlockHandle[],
): Promise<BlockHandle | undefined> {
  const { offset } = run[0]!
  // However long it says that it is.
  const end = Math.min(endOf(run.at(-1)!), size - FOOTER_BYTES)
  const bytes = await readAt(file, offset, Math.max(0, end - offset))
  return run.find((block) => !soundBlock(bytes.subarray(block.offset - offset), block.length))
}

const endOf = ({ offset, length }: BlockHandle): number => offset + length + TRAILER_BYTES

interface Footer {
  /** Of the file. */
  readonly size: number
  readonly metaindex: BlockHandle
  readonly index: BlockHandle
}

/** Or what is wrong with it. */
async function readFooter(file: FileHandle): Promise<Footer | string> {
  const { size } = await file.stat()
  if (size < FOOTER_BYTES) return `${size} bytes are no table`
  const footer = await readAt(file, size - FOOTER_BYTES, FOOTER_BYTES)
  if (footer.length < FOOTER_BYTES || footer.readBigUInt64LE(40) !== MAGIC) return 'it does not end as a table does'
  const numbers = new Varints(footer.subarray(0, 40))
  const [metaindex, index] = [handleOf(numbers), handleOf(numbers)]
  if (!metaindex || !index || !isZero(footer.subarray(numbers.at, 40))) return 'its footer cannot be read'
  return { size, metaindex, index }
}

const notAsWritten = ({ offset }: BlockHandle): string => `the block at byte ${offset} is not as it was written`

interface NamedBlock extends BlockHandle {
  /** Of the first byte of its name in the index. */
  readonly letter: number
}

/** Where the blocks are that an index names; none when it is damaged, which is found when it is looked at itself. */
async function handlesIn(file: FileHandle, size: number, index: BlockHandle): Promise<NamedBlock[]> {
  const block = await readBlock(file, size, index)
  if (!block || block.length < 4) return []
  // Behind the entries: where some of them begin, and how many those are.
  const entries = block.subarray(0, Math.max(0, block.length - 4 - 4 * block.readUInt32LE(block.length - 4)))
  const found: NamedBlock[] = []
  let letter = 0
  // One reader for all: of a large table there are thousands, and each opening reads them.
  const numbers = new Varints(entries)
  while (!numbers.atEnd) {
    const [shared, unshared, length] = [numbers.next(), numbers.next(), numbers.next()]
    if (shared === undefined || unshared === undefined || length === undefined) return found
    const name = numbers.at
    if (shared === 0) letter = entries[name] ?? 0
    numbers.moveTo(name + unshared)
    const handle = handleOf(numbers)
    if (handle) found.push({ offset: handle.offset, length: handle.length, letter })
    numbers.moveTo(name + unshared + length)
  }
  return found
}

function handleOf(numbers: Varints): BlockHandle | undefined {
  const [offset, length] = [numbers.next(), numbers.next()]
  return offset === undefined || length === undefined ? undefined : { offset, length }
}

/** Undefined when it is not there, or its checksum is not its own. */
async function readBlock(file: FileHandle, size: number, { offset, length }: BlockHandle): Promise<Buffer | undefined> {
  if (offset + length + TRAILER_BYTES > size - FOOTER_BYTES) return undefined
  return soundBlock(await readAt(file, offset, length + TRAILER_BYTES), length)
}

/** What of `bytes` is a block of so many bytes, before its trailer. */
function soundBlock(bytes: Buffer, length: number): Buffer | undefined {
  if (bytes.length < length + TRAILER_BYTES) return undefined
  const checksum = unmask(bytes.readUInt32LE(length + 1))
  return crc32c(bytes.subarray(0, length + 1)) === checksum ? bytes.subarray(0, length) : undefined
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  const { bytesRead } = await file.read(bytes, 0, length, position)
  return bytes.subarray(0, bytesRead)
}
