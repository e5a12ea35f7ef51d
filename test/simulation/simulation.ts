/**
 * One seed: a log in a world of its own, from its first opening to the last answer.
 *
 * ```
 *   one thing after another, picked by the seed:
 *     a pending read, write, turn        somebody sends, or reads                the clock moves
 *     SIGKILL · power cut · SIGTERM      a backup is taken, and put back later   a bit flips
 *   then the faults end: everybody gets an answer, and all that was ever acknowledged is where it was said to be
 * ```
 *
 * After each step the {@link Model} looks. The first thing that is not as it must be ends the seed.
 *
 * @module
 */

import { openOver } from '../../log-server/log.ts'
import { Guard } from '../../log-server/storage/guard.ts'
import { Store } from '../../log-server/storage/store.ts'
import { Random } from '../fuzz/random.ts'
import { Clients, type ServedLog } from './clients.ts'
import { type Image, SimulatedDisk } from './disk.ts'
import { Faults, type World } from './faults.ts'
import { EPOCH, type Foundation, ORIGIN, SimulatedKeys } from './foundation.ts'
import { SimulatedFile } from './guard-file.ts'
import { headOf, Model, markOf } from './model.ts'
import type { Mutant } from './mutants.ts'
import { readSomething } from './readers.ts'
import { inCharge, Scheduler } from './scheduler.ts'

/** What became of a seed. */
export interface Outcome {
  readonly seed: number
  readonly violation?: string
  /** Of the trace: the same for the same seed. */
  readonly digest: string
  readonly steps: number
  readonly trace: readonly string[]
  /** How often what happened. */
  readonly counts: Readonly<Record<string, number>>
}

/** From its start until it ends. */
interface Process {
  log?: ServedLog
  /** It called `fatal`. */
  stopped: boolean
  closing: boolean
  /** What happened to it from outside, so many times. */
  age: number
}

type Action = readonly [weight: number, happen: () => void]

/** Of a simulation. */
export interface Options {
  readonly mutant?: Mutant
  /** The model compares what is seen with what was seen, and not with what is on the disk: a defect shows only by what it leads to. */
  readonly blind?: boolean
}

export async function simulate(seed: number, foundation: Foundation, options: Options = {}): Promise<Outcome> {
  return new Simulation(seed, foundation, options).run()
}

class Simulation {
  readonly #foundation: Foundation
  readonly #mutant: Mutant
  readonly #seed: number
  readonly #random: Random
  readonly #scheduler: Scheduler
  readonly #faults: Faults
  readonly #disk: SimulatedDisk
  readonly #file: SimulatedFile
  readonly #clients: Clients
  readonly #model: Model
  readonly #limits
  /** How often something that is pending happens, rather than something new. */
  readonly #haste: number
  /** Of what happens from outside: each seed leaves some of it out. */
  readonly #weights: readonly number[]
  /** Troubles come together. */
  readonly #troubles: boolean
  #process: Process | undefined
  #now = EPOCH
  readonly #backups: Image[] = []
  /** What was there before an older one was put in its place. */
  #newest: Image | undefined
  /** The log refuses to open, and is right to: nothing more will come of this. */
  #isOver = false

  constructor(seed: number, foundation: Foundation, { mutant = {}, blind = false }: Options) {
    this.#seed = seed
    this.#foundation = foundation
    this.#mutant = mutant
    this.#random = new Random(seed, 'world')
    this.#scheduler = inCharge(new Scheduler(seed))
    this.#faults = new Faults(new Random(seed, 'faults'))
    // Where tiles fill up there is more to go wrong; where there are none, seeds are quick.
    const base = this.#random.pick([foundation.bases[0]!, ...foundation.bases])
    this.#disk = new SimulatedDisk(this.#scheduler, this.#faults, base.image)
    this.#file = new SimulatedFile(this.#scheduler, this.#faults, base.guard)
    this.#clients = new Clients(seed, foundation, this.#scheduler)
    const { receiptKey } = foundation
    const world = { disk: this.#disk, file: this.#file, faults: this.#faults, known: this.#clients.known }
    this.#model = new Model({ ...world, base, blind, origin: ORIGIN, receiptKey })
    this.#limits = {
      batchEntries: this.#random.pick([1, 2, 3, 8, 1024]),
      queueEntries: this.#random.pick([8, 12, 8192]),
    }
    this.#haste = this.#random.pick([0.6, 0.8, 0.9, 0.95])
    this.#troubles = this.#random.chance(0.5)
    this.#weights = Array.from({ length: 8 }, () => this.#random.pick([0, 0.5, 1, 1]))
    this.#scheduler.note(
      `seed ${seed}: ${this.#faults.world}, from ${base.entries.length}, ${JSON.stringify(this.#limits)}`,
    )
  }

  async run(): Promise<Outcome> {
    const undo = this.#mutant.patch?.()
    try {
      for (let left = 20 + this.#random.below(60); left > 0 && !this.#hasEnded; ) {
        if (this.#scheduler.busy && this.#random.chance(this.#haste)) await this.#scheduler.step()
        else {
          left--
          this.#happen()
          await this.#scheduler.settle()
        }
        this.#look()
      }
      await this.#rest()
    } finally {
      undo?.()
    }
    const { violation } = this.#model
    const { trace, steps, counts } = this.#scheduler
    if (violation !== undefined) this.#scheduler.note(`VIOLATION ${violation}`)
    const digest = this.#scheduler.digest()
    return {
      seed: this.#seed,
      ...(violation !== undefined && { violation }),
      digest,
      steps,
      trace,
      counts,
    }
  }

  get #hasEnded(): boolean {
    return this.#isOver || this.#model.violation !== undefined
  }

  #happen(): void {
    const actions = this.#process ? this.#whileRunning(this.#process) : this.#whileDown()
    let at = this.#random.next() * actions.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, happen] of actions) {
      at -= weight
      if (at >= 0) continue
      happen()
      return
    }
  }

  #whileRunning(process: Process): Action[] {
    const [kill, power, term, backup, clock, rot, read] = this.#weights as [number, ...number[]] as number[]
    // The second of two crashes in a row meets what only the first leaves.
    const often = this.#troubles && process.age++ < 4 ? 3 : 0.5
    const actions: Action[] = [
      [kill! * often, () => this.#end('killed')],
      [power! * often, () => this.#end('power cut')],
      [backup! * 0.4, () => this.#backUp()],
      [clock! * 0.5, () => this.#moveClock()],
      [this.#faults.world === 'rot' ? rot! * 0.5 : 0, () => this.#flip()],
    ]
    const { log } = process
    if (!log) return [...actions, [2, () => undefined]]
    const served = { log, hasStopped: () => process.stopped }
    return [
      ...actions,
      [process.closing ? 0 : term! * 0.3, () => this.#terminate(process, log)],
      [6, () => this.#clients.submit(served, this.#model)],
      [1, () => this.#clients.ask(served, this.#model)],
      [read! * 3, () => readSomething(served, this.#model, this.#clients, this.#random, () => this.#mayFail)],
    ]
  }

  #whileDown(): Action[] {
    const { world } = this.#faults
    const mayRestore = this.#backups.length > 0 && world !== 'lost guard'
    return [
      [3, () => this.#start()],
      [mayRestore ? 1 : 0, () => this.#restore()],
      [world === 'rot' ? 1 : 0, () => this.#flip()],
    ]
  }

  #start(): void {
    this.#scheduler.count('started')
    this.#faults.count = 0
    const process: Process = { stopped: false, closing: false, age: 0 }
    this.#process = process
    const { database = same, guardFile = same, store = same, guard = same, open = openOver } = this.#mutant
    const fatal = (error: unknown) => {
      this.#scheduler.count('stopped')
      this.#scheduler.note(`fatal: ${String(error)}`)
      process.stopped = true
      if (!this.#mayFail) this.#model.fail(`the log stops for no reason: ${String(error)}`)
    }
    const begin = async () =>
      open({
        config: this.#foundation.config,
        keys: new SimulatedKeys(this.#foundation, (text) => this.#model.signing(text)),
        store: store(Store.over(database(this.#disk.open()))),
        guard: guard(await Guard.over(guardFile(this.#file.open()), 'guard')),
        dataDir: 'simulated',
        now: () => this.#now,
        limits: this.#limits,
        fatal,
      })
    begin().then(
      (log) => this.#opened(process, log),
      (error: unknown) => this.#refusedToOpen(error),
    )
  }

  #opened(process: Process, log: ServedLog): void {
    this.#scheduler.note(`open, at ${log.sequencer.size}`)
    process.log = log
    this.#newest = undefined
    this.#model.published(log.reader)
    this.#model.compareStored()
    this.#clients.ask({ log, hasStopped: () => process.stopped }, this.#model)
  }

  /** Which is right when it is behind what was signed, or what was stored has changed; or when a read or a write failed. */
  #refusedToOpen(error: unknown): void {
    const code = (error as { code?: string }).code ?? 'EIO'
    this.#scheduler.count(`refused: ${code}`)
    this.#scheduler.note(`refused: ${String(error)}`)
    const { world, count } = this.#faults
    this.#end('exited')
    const [head, mark] = [headOf(this.#disk), markOf(this.#file.shown)]
    const isBehind = head !== undefined && mark !== undefined && head.size < mark.size
    if (code === 'log_behind_guard' && isBehind && this.#newest) {
      // The operator does as the message says.
      this.#disk.replace(this.#newest)
      this.#newest = undefined
    } else if (isRefusalOf[world](code)) {
      this.#isOver = true
    } else if (count === 0 || code !== 'EIO') {
      this.#model.fail(`the log refuses to open, and nothing is wrong: ${String(error)}`)
    }
  }

  #end(how: 'killed' | 'power cut' | 'exited' | 'closed'): void {
    this.#scheduler.count(how)
    this.#scheduler.note(how)
    this.#process = undefined
    this.#scheduler.forget()
    this.#clients.hangUp()
    if (how === 'power cut') {
      this.#disk.cutPower()
      this.#file.cutPower()
    } else {
      this.#disk.kill()
      this.#file.kill()
    }
  }

  #terminate(process: Process, log: ServedLog): void {
    this.#scheduler.note('SIGTERM')
    process.closing = true
    log.close().then(
      () => {
        if (this.#clients.unheard > 0) this.#model.fail('the log is closed, and somebody who was let in has no answer')
        this.#end('closed')
      },
      (error: unknown) => this.#model.fail(`the log cannot be closed: ${String(error)}`),
    )
  }

  #backUp(): void {
    this.#scheduler.note('backup')
    this.#backups.push(new Map(this.#disk.durable))
  }

  #restore(): void {
    this.#scheduler.count('restored')
    this.#scheduler.note('an older copy is put there')
    this.#newest ??= new Map(this.#disk.found())
    this.#disk.replace(this.#random.pick(this.#backups))
  }

  #moveClock(): void {
    const seconds = this.#random.pick([1, 1, 60, 86_400, -1, -86_400])
    this.#scheduler.note(`clock ${seconds}`)
    this.#now += seconds
  }

  #flip(): void {
    this.#scheduler.count('flipped')
    if (this.#random.chance(0.1)) {
      this.#file.flip(this.#random.below(2 * 4096 * 8))
      return
    }
    const letter = this.#random.pick(ROT)
    const keys = [...this.#disk.durable.keys()].filter((key) => key.startsWith(letter)).sort()
    const key = this.#random.pick(keys)
    const bits = 8 * (this.#disk.durable.get(key ?? '')?.length ?? 0)
    if (bits === 0) return
    this.#scheduler.note(`a bit of ${letter} flips`)
    this.#disk.flip(key!, this.#random.below(bits))
  }

  /** The disk gave cause for an error, in this process. */
  get #mayFail(): boolean {
    return this.#faults.count > 0 || this.#faults.world === 'rot' || this.#faults.world === 'torn'
  }

  #look(): void {
    const process = this.#process
    if (!process?.log) return
    this.#model.published(process.log.reader)
    // `fatal` ends the process; for a moment it may go on, and acknowledges nothing.
    if (process.stopped && this.#random.chance(0.2)) this.#end('exited')
  }

  /** The faults have an end: whoever waits gets an answer, and then everything is looked at once more. */
  async #rest(): Promise<void> {
    this.#faults.calm()
    this.#scheduler.note('calm')
    for (let round = 0; !this.#hasEnded && (this.#clients.waiting > 0 || !this.#process?.log || round === 0); round++) {
      if (round === 100) {
        this.#model.fail('after a hundred rounds of calm somebody has no answer')
        return
      }
      if (!this.#process) this.#start()
      while (this.#scheduler.busy && !this.#hasEnded) {
        await this.#scheduler.step()
        this.#look()
      }
      const process = this.#process
      if (!process?.log || this.#hasEnded) continue
      if (process.closing || process.stopped) {
        // Over what is damaged it may stop as often as it is started.
        this.#isOver = process.stopped && isRefusalOf[this.#faults.world]('log_damaged')
        this.#end('killed')
        continue
      }
      if (this.#clients.unheard > 0) {
        this.#model.fail('nothing is under way, and somebody has no answer')
        return
      }
      this.#clients.ask({ log: process.log, hasStopped: () => process.stopped }, this.#model)
    }
    if (this.#hasEnded) return
    this.#clients.checkRefused(this.#model)
    this.#end('power cut')
    this.#start()
    while (this.#scheduler.busy && !this.#hasEnded) await this.#scheduler.step()
    if (!this.#hasEnded && !this.#process?.log) this.#model.fail('the log neither opens nor refuses to')
    this.#scheduler.count('entries', this.#model.size)
  }
}

/** The letters of what may rot. What is read when a log is opened comes more often. */
const ROT = 'kkksssseehhhppddiuag'.split('')

/** What a log may refuse to open for, and be right. */
const isRefusalOf: Readonly<Record<World, (code: string) => boolean>> = {
  honest: () => false,
  'lost writes': (code) => code === 'log_behind_guard',
  'lost guard': (code) => code === 'guard_damaged',
  torn: () => true,
  rot: () => true,
}

const same = <T>(part: T): T => part
