/**
 * What goes wrong in one seed, and how often.
 *
 * Each seed draws its own mixture, so that some of them are nearly quiet and what remains shows: a crash in a log that nothing else disturbs goes
 * further than one among a hundred other faults.
 *
 * @module
 */
import type { Random } from '../fuzz/random.ts'

/**
 * What kind of world a seed is.
 *
 * - `honest`: the disk does what a disk promises. It may lose what was not synced, refuse, or fail; then it says so.
 * - `lost writes`: the database's disk says that it wrote and did not; a power cut shows.
 * - `lost guard`: the same of the guard file. (Of both at once nothing on one machine can tell.)
 * - `torn`: a write that a power cut interrupts is there in part, which LevelDB's checksums rule out.
 * - `rot`: bits flip in what is stored.
 */
export type World = 'honest' | 'lost writes' | 'lost guard' | 'torn' | 'rot'

/**
 * How a write ends. The last three are told apart by a power cut only.
 *
 * - `refused`: it fails, and nothing was written
 * - `kept`: it fails, and all of it was written
 * - `dropped`: it fails; the kernel has it in memory, calls it clean, and will never write it
 * - `lie`: it succeeds, and never reaches the disk
 */
export type WriteEnd = 'done' | 'refused' | 'kept' | 'dropped' | 'lie'

export class Faults {
  readonly world: World
  /** Since the process began. While there were none, it has no reason to stop. */
  count = 0
  readonly #random: Random
  #writes: number
  #guardWrites: number
  #reads: number
  #calm = false

  constructor(random: Random) {
    this.#random = random
    this.world = random.chance(0.7) ? 'honest' : random.pick(['lost writes', 'lost guard', 'torn', 'rot'] as const)
    this.#writes = random.pick([0, 0, 0.01, 0.05])
    this.#guardWrites = random.pick([0, 0, 0.01, 0.05])
    this.#reads = random.pick([0, 0, 0.002, 0.02])
  }

  /** From here on nothing fails. */
  calm(): void {
    this.#calm = true
  }

  write(): WriteEnd {
    return this.#end(this.#writes, this.world === 'lost writes')
  }

  guardWrite(): WriteEnd {
    return this.#end(this.#guardWrites, this.world === 'lost guard')
  }

  /** Whether a read fails. */
  read(): boolean {
    if (this.#calm || !this.#random.chance(this.#reads)) return false
    this.count++
    return true
  }

  #end(probability: number, lies: boolean): WriteEnd {
    if (this.#calm) return 'done'
    if (lies && this.#random.chance(0.2)) return 'lie'
    if (!this.#random.chance(probability)) return 'done'
    this.count++
    return this.#random.pick(['refused', 'kept', 'dropped'] as const)
  }
}

/** As Linux says it. */
export function ioError(what: string): Error {
  return Object.assign(new Error(`EIO: i/o error, ${what}`), { code: 'EIO' })
}
