/**
 * Damage to everything that a log has on its disk, one after the other: `fsck` must find each, and no reader be shown as true what it made.
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { serialize } from 'node:v8'
import { flippedLog, SCRATCH } from '../log-server/flipped-log.ts'
import type { Damage } from './damage.ts'
import { type Place, placesOf } from './places.ts'
import { type Piece, plan, type Wanted } from './plan.ts'
import type { Described, Outcome, Said } from './worker.ts'

export interface Counts {
  done: number
  /** By fsck. */
  found: number
  /** The log did not open, by code. */
  refused: Map<string, number>
  /** LevelDB ended the process that read it. */
  ended: number
  /** Answers that a reader took for true and that were not. */
  shown: number
  /** Answers that something is not there which is, or that leave some of it out. */
  absent: number
}

export interface Violation {
  readonly piece: Piece
  readonly why: string
}

export interface Result {
  readonly planned: number
  /** By what was damaged, and how. */
  readonly counts: ReadonlyMap<string, Counts>
  readonly violations: readonly Violation[]
}

export interface RunOptions extends Wanted {
  readonly jobs: number
  /** What is damaged, by its name; everything, when not given. */
  readonly only?: string | undefined
  /** By `performance.now()`; pieces that are begun are ended. */
  readonly deadline?: number
  readonly say?: (line: string) => void
}

export async function runFlips({ jobs, only, deadline, say, ...wanted }: RunOptions): Promise<Result> {
  const log = await flippedLog(260)
  const directory = await mkdtemp(join(SCRATCH, 'provlog-flip-'))
  const workers: Worker[] = []
  try {
    const { origin, size, answers, publicKeys, refused, dataDir } = log
    const described: Described = { log: { origin, size, answers }, publicKeys, refused, dataDir }
    const file = join(directory, 'log')
    await writeFile(file, serialize(described))
    const opened = join(directory, 'opened')
    await cp(dataDir, opened, { recursive: true })
    const pieces = plan(chosen(await placesOf(opened, dataDir), only), wanted)
    const [counts, violations] = [new Map<string, Counts>(), [] as Violation[]]
    let [next, done] = [0, 0]
    const work = async (n: number) => {
      const worker = new Worker(file, join(directory, String(n)))
      workers.push(worker)
      while (
        next < pieces.length &&
        violations.length < 20 &&
        performance.now() < (deadline ?? Number.POSITIVE_INFINITY)
      ) {
        const piece = pieces[next++]!
        const outcome = await worker.judge(piece)
        count(counts, piece, outcome)
        const why = complaint(piece, outcome)
        if (why !== undefined) {
          violations.push({ piece, why })
          say?.(`${nameOf(piece)}: ${why}`)
        }
        if ('endedIn' in outcome) say?.(`${nameOf(piece)}: ${outcome.how}`)
        if (++done % 1000 === 0) say?.(`${done} of ${pieces.length}`)
      }
    }
    await Promise.all(Array.from({ length: jobs }, (_, n) => work(n)))
    return { planned: pieces.length, counts, violations }
  } finally {
    await Promise.all(workers.map((worker) => worker.close()))
    await rm(directory, { recursive: true })
    await log.remove()
  }
}

/** Of what was damaged, one each. */
export function lines(counts: Result['counts']): string[] {
  return [...counts].map(([what, { done, found, refused, ended, shown, absent }]) => {
    const codes = [...refused].map(([code, times]) => `, not opened ${times} (${code})`).join('')
    const dead = ended > 0 ? `, ended by LevelDB ${ended}` : ''
    return `${what}: ${done}, found ${found}${codes}${dead}, shown as true ${shown}, left out ${absent}`
  })
}

/** As somebody would look for it again. */
export function nameOf({ what, place, damage }: Piece): string {
  return `${what}, ${place.in} ${place.name}, ${place.bytes.length} bytes: ${JSON.stringify(damage)}`
}

function chosen(places: Map<string, Place[]>, only: string | undefined): Map<string, Place[]> {
  return only === undefined ? places : new Map([...places].filter(([what]) => what.includes(only)))
}

type Judged = Outcome | { readonly endedIn: 'fsck' | 'serve'; readonly found?: boolean; readonly how: string }

function count(counts: Map<string, Counts>, { what, damage }: Piece, outcome: Judged): void {
  const name = `${what}, ${TOLD[damage.kind]}`
  const of = counts.get(name) ?? { done: 0, found: 0, refused: new Map(), ended: 0, shown: 0, absent: 0 }
  counts.set(name, of)
  of.done++
  if (outcome.found) of.found++
  if ('endedIn' in outcome) {
    of.ended++
    return
  }
  of.shown += outcome.shown
  of.absent += outcome.absent
  const { refused } = outcome
  if (refused !== undefined) of.refused.set(refused, (of.refused.get(refused) ?? 0) + 1)
}

const TOLD: Readonly<Record<Damage['kind'], string>> = { flip: 'a bit', cut: 'cut short', zeros: 'a sector of zeros' }

/** To open a log. */
const NEEDED = /^(?:guard|frozen|config\.json|checkpoint\.jwk|receipt\.jwk|store\/(?:CURRENT|MANIFEST.*))$/

function complaint({ place }: Piece, outcome: Judged): string | undefined {
  if ('endedIn' in outcome && outcome.endedIn === 'fsck') return `ended fsck (${outcome.how})`
  if (!outcome.found) return 'fsck does not find it'
  if ('endedIn' in outcome) return outcome.how.startsWith('SIGABRT') ? undefined : `ended the server (${outcome.how})`
  if (NEEDED.test(place.name) && outcome.refused === undefined) return 'the log opens with it'
  if (outcome.shown > 0) return `${outcome.shown} answers that are false were taken for true`
  if (place.in === 'value' && outcome.absent > 0) return `${outcome.absent} answers leave out what is there`
  if (outcome.taken) return `${outcome.taken} entries are taken that are there already, or excluded by what is`
  return undefined
}

/** A process that judges, and another when it has ended. */
class Worker {
  readonly #file: string
  readonly #directory: string
  #child: ChildProcess | undefined
  #stderr = ''

  constructor(file: string, directory: string) {
    this.#file = file
    this.#directory = directory
  }

  async judge(piece: Piece): Promise<Judged> {
    const child = await this.#ready()
    return new Promise((resolve) => {
      let last: Extract<Said, { step: unknown }> = { step: 'fsck' }
      const onExit = (code: number | null, signal: string | null) => {
        this.#child = undefined
        const how = `${signal ?? `exit code ${code}`}: ${this.#stderr.slice(-2000)}`
        resolve({ endedIn: last.step, how, ...(last.found !== undefined && { found: last.found }) })
      }
      const onMessage = (said: Said) => {
        if ('step' in said) {
          last = said
          return
        }
        child.off('exit', onExit)
        child.off('message', onMessage)
        resolve(said.outcome)
      }
      child.on('message', onMessage)
      child.once('exit', onExit)
      child.send(piece)
    })
  }

  async close(): Promise<void> {
    const child = this.#child
    if (!child) return
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
  }

  async #ready(): Promise<ChildProcess> {
    if (this.#child) return this.#child
    await rm(this.#directory, { recursive: true, force: true })
    const child = fork(fileURLToPath(new URL('worker.ts', import.meta.url)), [this.#file, this.#directory], {
      execArgv: ['--conditions=provlog-source', '--import', 'tsx'],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#stderr = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000)
    })
    const [message] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as [unknown]
    if (message !== 'ready') throw new Error(`the worker did not come up: ${this.#stderr}`)
    this.#child = child
    return child
  }
}
