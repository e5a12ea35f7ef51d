/**
 * What must be true of a log whatever happens, held against all that was ever seen of it.
 *
 * The model keeps a list of its own: each entry that was published, at its index. It is filled from the stored statements, never from what the server
 * computed of them, and only ever grows; so a root that agrees with it is that of a tree which contains every tree before it.
 *
 * | invariant | here |
 * |---|---|
 * | no acknowledged entry is lost, moved, or its index used again | {@link Model.acknowledged}, {@link Model.compareStored} |
 * | no two trees of one size are shown; no size shrinks; each contains those before | {@link Model.published} |
 * | nothing is signed again that was signed and stored | {@link Model.signing} |
 * | nothing is said or shown before it is durable, and the guard knows | {@link Model.published}, {@link Model.acknowledged} |
 * | an entry, an identity and a unique key are there once | {@link Model.published} |
 *
 * @module
 */
import { checkedValue } from '../../log-server/storage/checksum.ts'
import { unpack } from '../../log-server/storage/stored-values.ts'
import type { Candidate, LogReader } from '../../log-server/types.ts'
import {
  appendLeaves,
  type CompactRange,
  equalBytes,
  formatCheckpoint,
  type Hash,
  hashLeaf,
  impliedRoot,
  rangeRoot,
  sha256,
  toHex,
} from '../../merkle/index.ts'
import { asBytes, asMap, asUint, decodeCbor } from '../../statement/cbor.ts'
import { parseReceipt, type VerificationKey, verifyReceipt } from '../../statement/index.ts'
import { nameOf, type SimulatedDisk } from './disk.ts'
import type { Faults } from './faults.ts'
import type { Base } from './foundation.ts'
import type { SimulatedFile } from './guard-file.ts'

/** What the model looks at. */
interface Surroundings {
  readonly disk: SimulatedDisk
  readonly file: SimulatedFile
  readonly faults: Faults
  readonly origin: string
  readonly receiptKey: VerificationKey
  /** Sees what clients and readers see, and nothing of the disk. */
  readonly blind: boolean
  /** What there was to begin with. */
  readonly base: Base
  /** What clients know of entries, by {@link nameOf}. */
  readonly known: ReadonlyMap<string, Pick<Candidate, 'uniqueKeys' | 'identity' | 'excludedBy'>>
}

interface Tree {
  readonly size: number
  /** Hex. */
  readonly root: string
}

export class Model {
  /** The first thing that was not as it must be. */
  violation: string | undefined
  readonly ledger: Hash[]
  /** Of each entry in the ledger, by {@link nameOf}. */
  readonly index: Map<string, number>
  /** Of each size that was published, in hex. */
  readonly roots: Map<number, string>
  readonly #world: Surroundings
  #range: CompactRange
  /** Sizes whose signature was found good. */
  readonly #verified = new Set<number>()
  /** By identity and unique key. */
  readonly #holders = new Map<string, number>()
  #issuedAt = 0

  constructor(world: Surroundings) {
    this.#world = world
    const { entries, range } = world.base
    this.ledger = [...entries]
    this.index = new Map(entries.map((entry, index) => [nameOf(entry), index]))
    this.roots = new Map([[entries.length, toHex(rangeRoot(range))]])
    this.#range = range
  }

  get size(): number {
    return this.ledger.length
  }

  fail(what: string): void {
    this.violation ??= what
  }

  /** Looks at what the log shows now. */
  published(reader: Pick<LogReader, 'treeHead' | 'checkpoint'>): void {
    const head = reader.treeHead()
    const root = toHex(head.root)
    const before = this.roots.get(head.size)
    if (head.size < this.size) {
      this.fail(`a tree of ${head.size} is shown after one of ${this.size}`)
      return
    }
    if (before !== undefined && before !== root) {
      this.fail(`two trees of size ${head.size} were shown`)
      return
    }
    if (before !== undefined) return
    const checkpoint = reader.checkpoint()
    if (!checkpoint.startsWith(formatCheckpoint({ origin: this.#world.origin, size: head.size, root: head.root })))
      this.fail('checkpoint and tree head are of two trees')
    if (head.issuedAt < this.#issuedAt) this.fail('a larger tree is older')
    this.#issuedAt = head.issuedAt

    for (const entry of this.#stored(this.size, head.size)) this.#extend(entry)
    if (toHex(rangeRoot(this.#range)) !== root)
      this.fail(`the statements do not lead to the root shown for ${head.size}`)
    this.roots.set(head.size, root)
    this.#checkDurable(head.size, 'shown')
  }

  /** Somebody was told that `entry` is at `index`. */
  acknowledged(entry: Hash, index: number, receipt: Uint8Array | undefined): void {
    // Whoever has no receipt takes it on trust, and indexes that flipped can be wrong.
    if (!receipt && this.#isDamaged) return
    const there = this.ledger[index]
    if (!there) {
      this.fail(`entry ${index} is acknowledged, and ${this.size} are published`)
      return
    }
    if (!equalBytes(there, entry)) {
      this.fail(`index ${index} is given to a second entry`)
      return
    }
    this.#checkDurable(index + 1, 'acknowledged')
    if (receipt) this.checkReceipt(entry, index, receipt)
  }

  /** As the holder of a receipt does it, and besides: of a tree that was shown. */
  checkReceipt(entry: Hash, index: number, bytes: Uint8Array): void {
    const receipt = parseReceipt(bytes)
    const [claim] = receipt.inclusion
    const root = claim && toHex(impliedRoot({ ...claim, leafHash: hashLeaf(entry) }))
    if (claim?.index !== index || receipt.treeSize !== claim.size) {
      this.fail(`a receipt for ${index} is of another entry`)
      return
    }
    if (root !== this.roots.get(claim.size)) {
      // Made of a damaged tile: its holder refuses it.
      if (!this.#isDamaged) this.fail(`a receipt is of a tree of ${claim.size} that was never shown`)
      return
    }
    // One of a batch, of one batch in eight: opening the log verifies more of them, and signing is not what is asked about here.
    if (claim.size % 8 > 0 || this.#verified.has(claim.size)) return
    this.#verified.add(claim.size)
    const { receiptKey, origin } = this.#world
    verifyReceipt(receipt, entry, receiptKey, { origin }).catch((error: unknown) =>
      this.fail(`a receipt is refused: ${String(error)}`),
    )
  }

  /** Somebody was told that entry `index` is in the way of theirs. */
  refused(candidate: Candidate, index: number): void {
    if (this.#isDamaged) return
    const holder = this.ledger[index]
    if (!holder) {
      this.fail(`entry ${index} is named as an original, and ${this.size} are published`)
      return
    }
    this.#checkDurable(index + 1, 'named')
    const wanted = [nameOf(candidate.identity), ...candidate.uniqueKeys, ...(candidate.excludedBy ?? [])]
    if (!wanted.some((key) => this.#holders.get(key) === index))
      this.fail(`entry ${index} is named as an original, and is none`)
  }

  /** A checkpoint is about to be signed. */
  signing(text: string): void {
    const [, sizeLine, root = ''] = text.split('\n')
    const size = Number(sizeLine)
    const hex = Buffer.from(root, 'base64').toString('hex')
    if (size <= this.size && this.roots.get(size) !== hex)
      this.fail(`a tree of ${size} is signed after one of ${this.size}`)
    if (this.#world.blind) return
    for (const stored of [headOf(this.#world.disk), markOf(this.#world.file.durable)]) {
      if (this.#world.faults.world === 'honest' && stored && stored.size >= size)
        this.fail(`a tree of ${size} is signed over one of ${stored.size} that was signed and stored`)
    }
  }

  /** All that was ever published is stored, where it was. */
  compareStored(): void {
    if (this.#world.faults.world === 'torn') return
    let index = 0
    for (const entry of this.#stored(0, this.size)) {
      if (!equalBytes(entry, this.ledger[index]!)) this.fail(`entry ${index} is another one now`)
      index++
    }
  }

  /** What the stored statements are the entries of, `from` being the first of a commit. A bit may have flipped since it was written. */
  *#stored(from: number, until: number): Generator<Hash> {
    const { disk } = this.#world
    for (let index = from; index < until; ) {
      const stored = disk.memory.get(statementsKey(index))
      const row = stored && disk.asWritten(stored)
      if (!row) {
        this.fail(`statement ${index} is not stored`)
        return
      }
      const entries = entriesOf(row)
      yield* entries
      index += entries.length
    }
  }

  #extend(entry: Hash): void {
    const index = this.ledger.length
    const name = nameOf(entry)
    const twin = this.index.get(name)
    if (twin !== undefined) this.fail(`entry ${index} is entry ${twin} once more`)
    this.ledger.push(entry)
    this.index.set(name, index)
    this.#range = appendLeaves(this.#range, hashLeaf(entry))
    const known = this.#world.known.get(name)
    if (!known) {
      this.fail(`entry ${index} was never sent`)
      return
    }
    for (const key of known.excludedBy ?? []) {
      if (this.#holders.has(key)) this.fail(`entry ${index} is there in spite of entry ${this.#holders.get(key)}`)
    }
    for (const key of [nameOf(known.identity), ...known.uniqueKeys]) {
      const holder = this.#holders.get(key)
      if (holder !== undefined) this.fail(`entry ${index} takes what entry ${holder} has`)
      this.#holders.set(key, index)
    }
  }

  /** What is stored is not what was written. */
  get #isDamaged(): boolean {
    const { world } = this.#world.faults
    return world === 'rot' || world === 'torn'
  }

  /** In a world where disks keep their word. */
  #checkDurable(size: number, what: string): void {
    const { disk, file, faults, blind } = this.#world
    if (blind || faults.world === 'lost writes' || faults.world === 'rot') return
    const head = headOf(disk)
    if (!head || head.size < size) this.fail(`size ${size} is ${what}, and durable are ${head?.size}`)
    if (faults.world === 'lost guard') return
    const mark = markOf(file.durable)
    if (!mark || mark.size < size) this.fail(`size ${size} is ${what}, and the guard knows of ${mark?.size}`)
  }
}

const HEAD = 'khead'

const entriesOfRows = new WeakMap<Uint8Array, readonly Hash[]>()

/** Of packed statements. Rows are never written into, and most of them are in many disks. */
function entriesOf(row: Uint8Array): readonly Hash[] {
  const entries = entriesOfRows.get(row) ?? [...unpack(row)].map(sha256)
  entriesOfRows.set(row, entries)
  return entries
}

/** What the durable database says was signed. */
export function headOf({ durable }: Pick<SimulatedDisk, 'durable'>): Tree | undefined {
  const stored = durable.get(HEAD)
  const value = stored && checkedValue(Buffer.from(HEAD), stored)
  if (!value) return undefined
  try {
    const map = asMap(decodeCbor(value), 'a tree head')
    return { size: asUint(map.get('size'), 'size'), root: toHex(asBytes(map.get('root'), 'root')) }
  } catch {
    return undefined // a bit of it flipped
  }
}

/** What a guard file says, read by its text alone. */
export function markOf(file: Uint8Array): Tree | undefined {
  const text = Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString('latin1')
  let newest: (Tree & { number: number }) | undefined
  for (const [, number, size, root] of text.matchAll(/provlog-guard\/1 (\d+) (\d+) ([0-9a-f]{64})/g)) {
    if (!newest || Number(number) > newest.number) newest = { number: Number(number), size: Number(size), root: root! }
  }
  return newest
}

function statementsKey(index: number): string {
  const key = Buffer.alloc(7)
  key[0] = 's'.charCodeAt(0)
  key.writeUIntBE(index, 1, 6)
  return key.toString('latin1')
}
