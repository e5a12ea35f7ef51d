/**
 * A database on a simulated disk: what `Store` stands on, and what a crash leaves of it.
 *
 * ```
 *   write ─► in flight ─► in memory, and in the log file ─► durable
 *               │               │                             │
 *   kill        some of them    stay                          stay       opening again makes durable what it finds, as LevelDB does
 *   power cut   some of them    as many of them as it likes   stay       a prefix: nothing survives what it came after
 * ```
 *
 * A batch is there whole or not at all, but in a `torn` world. Reads see one state; an iterator that of the moment when it was made.
 *
 * @module
 */
import type { Database, DatabaseBatch, DatabaseRange, Rows } from '../../log-server/storage/database.ts'
import { type Faults, ioError } from './faults.ts'
import type { Scheduler } from './scheduler.ts'

/** Keys as latin1, whose order is that of their bytes. */
export type Image = Map<string, Uint8Array>

type Change = readonly [key: string, value: Uint8Array | undefined]

interface Write {
  readonly changes: readonly Change[]
  readonly sync: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** In the log file, and perhaps nowhere else yet. */
interface Logged {
  readonly changes: readonly Change[]
  /** Nothing will ever bring it to the disk. */
  readonly lost: boolean
}

const ROWS_AT_ONCE = 8

export class SimulatedDisk {
  readonly #scheduler: Scheduler
  readonly #faults: Faults
  /** What no power cut can take. */
  #durable: Image
  /** What came after it, in order; the first of them is not durable. */
  #logged: Logged[] = []
  /** What the open database shows. */
  #memory: Image
  #inFlight: Write[] = []
  readonly #unflipped = new WeakMap<Uint8Array, Uint8Array>()

  constructor(scheduler: Scheduler, faults: Faults, image: Image) {
    this.#scheduler = scheduler
    this.#faults = faults
    this.#durable = new Map(image)
    this.#memory = new Map(image)
  }

  get durable(): ReadonlyMap<string, Uint8Array> {
    return this.#durable
  }

  /** As reads see it. */
  get memory(): ReadonlyMap<string, Uint8Array> {
    return this.#memory
  }

  /** What a process would find that opened it now. */
  found(): Image {
    const image = new Map(this.#durable)
    for (const { changes } of this.#logged) apply(changes, image)
    return image
  }

  /** What is found is written anew, but in a world where the disk only says so. */
  open(): Database {
    this.#memory = this.found()
    if (this.#faults.world !== 'lost writes') {
      this.#durable = new Map(this.#memory)
      this.#logged = []
    }
    return this.#database()
  }

  /** The process ended. What it had under way may have happened, in order. */
  kill(): void {
    const { random } = this.#scheduler
    for (const { changes } of this.#inFlight.splice(0)) {
      if (random.chance(0.5)) break
      this.#logged.push({ changes, lost: false })
    }
  }

  /** The machine went down. */
  cutPower(): void {
    this.kill()
    const { random } = this.#scheduler
    for (const { changes, lost } of this.#logged.splice(0)) {
      if (!lost && random.chance(0.5)) {
        apply(changes, this.#durable)
        continue
      }
      if (this.#faults.world === 'torn') apply(changes.slice(0, random.below(changes.length)), this.#durable)
      break
    }
  }

  /** Somebody put another database there. */
  replace(image: ReadonlyMap<string, Uint8Array>): void {
    this.#durable = new Map(image)
    this.#logged = []
  }

  /** A bit flips in what is stored under a key. */
  flip(key: string, bit: number): void {
    for (const image of [this.#durable, this.#memory]) {
      const stored = image.get(key)
      if (!stored) continue
      // A copy: a Buffer's slice would share, with all the worlds that began with it.
      const value = new Uint8Array(stored)
      value[bit >> 3]! ^= 1 << (bit & 7)
      image.set(key, value)
      this.#unflipped.set(value, this.asWritten(stored))
    }
  }

  /** What a value was that is stored, before bits of it flipped. Values are the same objects in all images, backups too. */
  asWritten(stored: Uint8Array): Uint8Array {
    return this.#unflipped.get(stored) ?? stored
  }

  #database(): Database {
    return {
      getMany: (keys) => this.#getMany(keys),
      batch: () => this.#batch(),
      iterator: (range) => this.#rows(range, (key, value) => [bytesOf(key), value]),
      keys: (range) => this.#rows(range, bytesOf),
      values: (range) => this.#rows(range, (_, value) => value),
      put: (key, value, { sync }) => {
        const change: Change = [nameOf(key), new Uint8Array(value)]
        return this.#write([change], sync)
      },
      compactRange: () => this.#task('compacted', () => undefined),
      close: async () => undefined,
    }
  }

  #batch(): DatabaseBatch {
    const changes: Change[] = []
    return {
      put: (key, value) => changes.push([nameOf(key), new Uint8Array(value)]),
      del: (key) => changes.push([nameOf(key), undefined]),
      write: ({ sync }) => this.#write(changes, sync),
    }
  }

  #getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const names = keys.map(nameOf)
    const read = () => names.map((name) => this.#memory.get(name))
    // The thread that reads may be as early or as late as it likes.
    const early = this.#scheduler.random.chance(0.5) ? read() : undefined
    return this.#task(`read ${names.length}`, () => early ?? read())
  }

  #rows<T>({ gte, lt, lte, reverse, limit }: DatabaseRange, row: (key: string, value: Uint8Array) => T): Rows<T> {
    const [from, below, last] = [nameOf(gte), lt && nameOf(lt), lte && nameOf(lte)]
    const isInside = (key: string) =>
      key >= from && (below === undefined || key < below) && (last === undefined || key <= last)
    const keys = [...this.#memory.keys()].filter(isInside).sort()
    if (reverse) keys.reverse()
    const rows = keys.slice(0, limit).map((key) => row(key, this.#memory.get(key)!))
    const task = (part: T[]) => this.#task(`rows ${part.length}`, () => part)
    return {
      all: () => task(rows),
      async *[Symbol.asyncIterator]() {
        for (let at = 0; at === 0 || at < rows.length; at += ROWS_AT_ONCE)
          yield* await task(rows.slice(at, at + ROWS_AT_ONCE))
      },
    }
  }

  #task<T>(what: string, result: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#scheduler.later(what, () => {
        if (this.#faults.read()) reject(ioError('read'))
        else resolve(result())
      })
    })
  }

  #write(changes: readonly Change[], sync: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#inFlight.push({ changes, sync, resolve, reject })
      // One after another, as LevelDB has it.
      this.#scheduler.later(`write ${changes.length}`, () => this.#writeNext())
    })
  }

  #writeNext(): void {
    const { changes, sync, resolve, reject } = this.#inFlight.shift()!
    const end = this.#faults.write()
    this.#scheduler.note(`  ${end}`)
    // LevelDB shows nothing that it could not sync, but what is in its log file is there when it is opened again.
    if (end !== 'refused') this.#logged.push({ changes, lost: end === 'dropped' || end === 'lie' })
    if (end === 'done' || end === 'lie') apply(changes, this.#memory)
    if (sync && (end === 'done' || end === 'kept')) this.#sync()
    // Written is not answered: the process may end between the two.
    this.#scheduler.later('written', () => (end === 'done' || end === 'lie' ? resolve() : reject(ioError('fdatasync'))))
  }

  /** All that can be brought to the disk is there. */
  #sync(): void {
    const stuck = this.#logged.findIndex(({ lost }) => lost)
    for (const { changes } of this.#logged.splice(0, stuck < 0 ? this.#logged.length : stuck))
      apply(changes, this.#durable)
  }
}

function apply(changes: readonly Change[], image: Image): void {
  for (const [key, value] of changes) {
    if (value) image.set(key, value)
    else image.delete(key)
  }
}

export function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

function bytesOf(name: string): Uint8Array {
  return Buffer.from(name, 'latin1')
}
