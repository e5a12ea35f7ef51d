/**
 * The guard's file on a simulated disk: what the kernel shows, and what is on the disk.
 *
 * A write lies within one sector and is there whole or not at all. One that fails may be shown all the same until the power goes.
 *
 * @module
 */
import type { GuardFile } from '../../log-server/storage/guard.ts'
import { type Faults, ioError } from './faults.ts'
import type { Scheduler } from './scheduler.ts'

interface Write {
  readonly bytes: Uint8Array
  readonly position: number
}

export class SimulatedFile {
  readonly #scheduler: Scheduler
  readonly #faults: Faults
  #shown: Uint8Array
  #durable: Uint8Array
  #inFlight: Write[] = []

  constructor(scheduler: Scheduler, faults: Faults, bytes: Uint8Array) {
    this.#scheduler = scheduler
    this.#faults = faults
    this.#shown = bytes.slice()
    this.#durable = bytes.slice()
  }

  get durable(): Uint8Array {
    return this.#durable
  }

  get shown(): Uint8Array {
    return this.#shown
  }

  open(): GuardFile {
    return {
      read: (bytes, offset, length, position) =>
        this.#task('read guard', () => {
          if (this.#faults.read()) throw ioError('read')
          const part = this.#shown.subarray(position, position + length)
          bytes.set(part, offset)
          return { bytesRead: part.length }
        }),
      write: (bytes, offset, length, position) => {
        const write = { bytes: bytes.slice(offset, offset + length), position }
        this.#inFlight.push(write)
        return this.#task('write guard', () => this.#write(write)).then((failed) =>
          // Written is not answered.
          this.#task('guard written', () => {
            if (failed) throw ioError('write')
            return { bytesWritten: length }
          }),
        )
      },
      datasync: async () => undefined,
      close: async () => undefined,
    }
  }

  /** The process ended. */
  kill(): void {
    for (const write of this.#inFlight.splice(0)) if (this.#scheduler.random.chance(0.5)) this.#put(write, true)
  }

  /** The machine went down. */
  cutPower(): void {
    this.kill()
    this.#shown = this.#durable.slice()
  }

  flip(bit: number): void {
    for (const bytes of [this.#shown, this.#durable]) bytes[bit >> 3]! ^= 1 << (bit & 7)
  }

  /** Whether it failed. */
  #write(write: Write): boolean {
    this.#inFlight = this.#inFlight.filter((other) => other !== write)
    const end = this.#faults.guardWrite()
    this.#scheduler.note(`  ${end}`)
    if (end !== 'refused') this.#put(write, end === 'done' || end === 'kept')
    return end !== 'done' && end !== 'lie'
  }

  #put({ bytes, position }: Write, durably: boolean): void {
    this.#shown.set(bytes, position)
    if (durably) this.#durable.set(bytes, position)
  }

  #task<T>(what: string, result: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#scheduler.later(what, () => {
        try {
          resolve(result())
        } catch (error) {
          reject(error)
        }
      })
    })
  }
}
