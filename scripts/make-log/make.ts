/**
 * A whole made log: chapters told by as many processes as there are processors, and put on the log in order by this one.
 *
 * @module
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckId } from '../../clients/auditor/index.ts'
import type { Log } from '../../log-server/log.ts'
import { type RecordOf, recordOfStatement } from '../../provenance/index.ts'
import { parseSignedStatement } from '../../statement/index.ts'
import { randomOf } from './cast.ts'
import { Chapter, type MadeEntry } from './chapter.ts'
import { FAULTS } from './faults.ts'
import { CHAPTER_ENTRIES, CHAPTERS_PER_EPOCH, chapterStart } from './roots.ts'
import { Teller, type TellerInput } from './tell.ts'
import { beginLog, openMadeLog, put, writeAuditorFiles } from './write.ts'

export interface MakeLogOptions {
  readonly dataDir: string
  /** Without the planted ones. */
  readonly entries: number
  readonly seed: string
  readonly faults: boolean
  /** Of the sealed records of a chapter, every so manieth has a wrap for the auditor; 0 for none. Wraps take most of the time. */
  readonly wrapEvery: number
  /** Processes that tell chapters; 0 to tell them here. */
  readonly jobs: number
  readonly onProgress?: (done: number, total: number) => void
}

/** Something that was planted, and where: entries [from, to). */
export interface Planted {
  readonly check: CheckId
  readonly from: number
  readonly to: number
  readonly also: readonly CheckId[]
}

export interface MadeLog {
  readonly origin: string
  readonly vkey: string
  readonly size: number
  /** Long after everything on it has ended: what an audit may take for now. */
  readonly now: number
  readonly planted: readonly Planted[]
}

/** Makes a log in an empty directory. Beside its own files: `TRUST.json`, `auditor.jwk` and, of what was planted, `faults.json`. */
export async function makeLog(options: MakeLogOptions): Promise<MadeLog> {
  const { dataDir, seed, entries, wrapEvery, onProgress = () => {} } = options
  const begun = await beginLog(dataDir, seed)
  const input: TellerInput = { ...begun, documents: billsOfMaterials(), wrapEvery }
  const teller = await Teller.create(input)
  const chapters = Math.ceil((entries - 1) / CHAPTER_ENTRIES)
  const end = chapterStart(chapters + CHAPTERS_PER_EPOCH)
  const log = await openMadeLog(dataDir, () => end)
  try {
    const lengthOf = (number: number) => Math.min(CHAPTER_ENTRIES, entries - 1 - number * CHAPTER_ENTRIES)
    for await (const chapter of told(input, teller, chapters, lengthOf, options.jobs)) {
      await put(log, chapter, teller.cast)
      onProgress(log.sequencer.size, entries)
    }
    const planted = options.faults ? await plant(log, teller, chapters, wrapEvery) : []
    await writeAuditorFiles(dataDir, begun, teller.cast)
    if (options.faults) await writeFile(join(dataDir, 'faults.json'), `${JSON.stringify(planted, null, 2)}\n`)
    return { origin: begun.origin, vkey: begun.vkey, size: log.sequencer.size, now: end + 10 * 86_400, planted }
  } finally {
    await log.close()
  }
}

/** One of each, after all that is honest. */
async function plant(log: Log, teller: Teller, chapters: number, wrapEvery: number): Promise<Planted[]> {
  const { roots } = await teller.roots.at(Math.floor(Math.max(0, chapters - 1) / CHAPTERS_PER_EPOCH), 0)
  const random = randomOf(`${teller.cast.seed} faults`)
  const chapter = new Chapter(teller.cast, { random, now: chapterStart(chapters), wrapEvery: wrapEvery && 1 })
  const first = (await log.reader.entryAt(0))!
  const { record } = { record: recordOfStatement(parseSignedStatement((await log.reader.statement(0))!)) }
  const logPolicy = { entry: first, fields: (record as RecordOf<'log-policy'>).fields }
  const planted: Planted[] = []
  for (const [check, fault] of Object.entries(FAULTS)) {
    const from = log.sequencer.size
    await fault.tell({ chapter, roots, workload: roots.workloads[0]!, logPolicy })
    // One by one: some are about what is on the log already.
    for (const entry of chapter.entries.splice(0)) await put(log, [entry], teller.cast)
    planted.push({ check: check as CheckId, from, to: log.sequencer.size, also: fault.also ?? [] })
  }
  return planted
}

/** The chapters in order, some of them told ahead. */
async function* told(
  input: TellerInput,
  teller: Teller,
  chapters: number,
  lengthOf: (number: number) => number,
  jobs: number,
): AsyncGenerator<readonly MadeEntry[]> {
  if (jobs === 0) {
    for (let number = 0; number < chapters; number++) yield teller.tell(number, lengthOf(number))
    return
  }
  const workers = Array.from({ length: Math.min(jobs, chapters) }, () => new TellingProcess(input))
  try {
    const ahead: Promise<readonly MadeEntry[]>[] = []
    let asked = 0
    const ask = () => {
      if (asked < chapters) ahead.push(workers[asked % workers.length]!.tell(asked, lengthOf(asked)))
      asked++
    }
    while (asked < 2 * workers.length) ask()
    for (let next = ahead.shift(); next; next = ahead.shift()) {
      yield await next
      ask()
    }
  } finally {
    for (const worker of workers) worker.end()
  }
}

/** This file again, in another process: it is asked for chapters and answers in order. */
class TellingProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<never>
  #turn: Promise<unknown>

  constructor(input: TellerInput) {
    this.#child = fork(new URL(import.meta.url), [TELLS], { serialization: 'advanced' })
    this.#child.send(input)
    this.#turn = Promise.resolve()
    this.#ended = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`a process that tells chapters ended with ${code}`)
    })
    this.#ended.catch(() => {})
  }

  tell(number: number, length: number): Promise<readonly MadeEntry[]> {
    const answer = this.#turn.then(async () => {
      this.#child.send({ number, length })
      const [entries] = await Promise.race([once(this.#child, 'message'), this.#ended])
      return entries as readonly MadeEntry[]
    })
    this.#turn = answer.catch(() => {})
    return answer
  }

  end(): void {
    this.#child.kill()
  }
}

const TELLS = '--tells'

/** The first message is the input, and comes before there is a teller: those after it wait. */
function answer(): void {
  let teller: Promise<Teller> | undefined
  process.on('message', (message: TellerInput | { readonly number: number; readonly length: number }) => {
    if (!('number' in message)) teller = Teller.create(message)
    else void teller!.then(async (ready) => process.send!(await ready.tell(message.number, message.length)))
  })
  process.on('disconnect', () => process.exit())
}

/** What this package and each of its dependencies are made of, as npm tells it. */
function billsOfMaterials(): object[] {
  const args = ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only']
  const whole = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', maxBuffer: 64 << 20 })) as Bill
  const { bomFormat, specVersion, components, dependencies } = whole
  const needs = new Map(dependencies.map(({ ref, dependsOn = [] }) => [ref, dependsOn]))
  const own = dependencies[0]?.dependsOn ?? []
  // Without the document's own name and date, which npm draws anew each time.
  return [own, ...own.map((each) => [each])].map((roots) => {
    const reached = new Set(roots)
    for (const ref of reached) for (const next of needs.get(ref) ?? []) reached.add(next)
    return { bomFormat, specVersion, version: 1, components: components.filter((each) => reached.has(each['bom-ref'])) }
  })
}

interface Bill {
  readonly bomFormat: string
  readonly specVersion: string
  readonly components: readonly { readonly 'bom-ref': string }[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[]
}

if (process.argv[2] === TELLS && process.send) answer()
