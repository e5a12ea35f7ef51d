/**
 * What is counted of the log itself: how entries come to be durable, how large it is, and whether it takes more.
 *
 * ```
 *   admission ──► queue ──► sign ──► commit (fsync) ──► guard (fsync) ──► publish        provlog_append_seconds
 *   └ provlog_admission_seconds      └────────── provlog_batch_stage_seconds ──────┘     is from queue to publish
 *                  └ provlog_queue_seconds
 * ```
 *
 * Durations of batches are observed once a batch, and those of entries for each entry: a percentile of the one is of batches, of the other of
 * entries. docs/operations.md has the list.
 *
 * @module
 */
import type { AdmissionObserver } from '../admission/admission.ts'
import { NOT_READY, type NotReady, type Storage } from '../http/readiness.ts'
import type { Scrub } from '../recovery/scrub.ts'
import type { SequencedBatch, Sequencer, SequencerObserver } from '../sequencing/sequencer.ts'
import type { StoreObserver, StoreSizes } from '../storage/store.ts'
import type { LogReader } from '../types.ts'
import type { Counter, Histogram, Registry } from './registry.ts'

/** Seconds: from an fsync of a fast disk to what clients give up at. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const ENTRIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

const STAGES = ['sign', 'commit', 'guard', 'publish'] as const
const ADMISSION_STAGES = ['signature', 'rules'] as const

export class LogMetrics implements SequencerObserver, StoreObserver, AdmissionObserver {
  readonly #entries: Counter
  readonly #bytes: Counter
  readonly #batchEntries: Histogram
  readonly #appended: Histogram
  readonly #queued: Histogram
  readonly #synced: Histogram
  readonly #stages: Readonly<Record<(typeof STAGES)[number], Histogram>>
  readonly #admission: Readonly<Record<(typeof ADMISSION_STAGES)[number], Histogram>>

  constructor(registry: Registry) {
    this.#entries = registry.counter('provlog_entries_total', 'Entries that were given an index since the start.')
    this.#bytes = registry.counter(
      'provlog_entry_bytes_total',
      'Bytes of these, with the wraps and certificates beside them.',
    )
    this.#batchEntries = registry.histogram(
      'provlog_batch_entries',
      'Entries of a commit; its count is that of commits.',
      ENTRIES,
    )
    this.#appended = registry.histogram(
      'provlog_append_seconds',
      'Of an entry, from the queue until it is durable, published and answered.',
      SECONDS,
    )
    this.#queued = registry.histogram('provlog_queue_seconds', 'Of an entry, in the queue.', SECONDS)
    const stage = registry.histograms(
      'provlog_batch_stage_seconds',
      'Of a batch, in each step of its commit.',
      SECONDS,
      {
        stage: new Set(STAGES),
      },
    )
    this.#stages = { sign: stage('sign'), commit: stage('commit'), guard: stage('guard'), publish: stage('publish') }
    this.#synced = registry.histogram(
      'provlog_store_sync_seconds',
      'Of a batch, its write to the database and the fsync of that: a part of the stage commit.',
      SECONDS,
    )
    const admission = registry.histograms(
      'provlog_admission_seconds',
      'Of a statement, or of a piece of a batch of them, before the queue: until its signature is checked, and until it may be on the log.',
      SECONDS,
      { stage: new Set(ADMISSION_STAGES) },
    )
    this.#admission = { signature: admission('signature'), rules: admission('rules') }
  }

  sequenced({ queuedAt, bytes, takenAt, signedAt, committedAt, guardedAt, answeredAt }: SequencedBatch): void {
    this.#entries.add(queuedAt.length)
    this.#bytes.add(bytes)
    this.#batchEntries.observe(queuedAt.length)
    for (const at of queuedAt) {
      this.#queued.observe((takenAt - at) / 1000)
      this.#appended.observe((answeredAt - at) / 1000)
    }
    this.#stages.sign.observe((signedAt - takenAt) / 1000)
    this.#stages.commit.observe((committedAt - signedAt) / 1000)
    this.#stages.guard.observe((guardedAt - committedAt) / 1000)
    this.#stages.publish.observe((answeredAt - guardedAt) / 1000)
  }

  synced(milliseconds: number): void {
    this.#synced.observe(milliseconds / 1000)
  }

  admitted(stage: (typeof ADMISSION_STAGES)[number], milliseconds: number): void {
    this.#admission[stage].observe(milliseconds / 1000)
  }
}

/** What is asked when somebody scrapes. */
export interface LogSources {
  readonly reader: Pick<LogReader, 'treeHead'>
  readonly sequencer: Pick<Sequencer, 'waiting' | 'waitingBytes' | 'longestWait'>
  readonly scrub: Pick<Scrub, 'state'>
  readonly storeSizes: () => Promise<StoreSizes>
  readonly storage: Pick<Storage, 'space' | 'floorBytes'>
  readonly notReady: () => NotReady | undefined
}

export function registerLogGauges(
  registry: Registry,
  { reader, sequencer, scrub, storeSizes, storage, notReady }: LogSources,
): void {
  const startedAt = Date.now() / 1000 - process.uptime()
  // One look for all that a scrape asks of it.
  let looking: Promise<StoreSizes> | undefined
  function sizes(): Promise<StoreSizes> {
    looking ??= storeSizes().finally(() => {
      looking = undefined
    })
    return looking
  }
  registry.gauge('provlog_tree_size', 'Leaves of the published tree.', () => reader.treeHead().size)
  registry.gauge(
    'provlog_checkpoint_timestamp_seconds',
    'When the newest checkpoint was signed. A log that nobody writes to signs none.',
    () => reader.treeHead().issuedAt,
  )
  registry.gauge('provlog_queue_entries', 'Entries that wait for an answer.', () => sequencer.waiting)
  registry.gauge('provlog_queue_bytes', 'Bytes of these.', () => sequencer.waitingBytes)
  registry.gauge(
    'provlog_queue_longest_wait_seconds',
    'For how long whoever waits longest has waited: a disk that hangs shows here first.',
    () => sequencer.longestWait / 1000,
  )
  registry.gauge('provlog_ready', 'Whether a statement sent now would be registered, as /readyz says.', () =>
    notReady() === undefined ? 1 : 0,
  )
  registry.gauge(
    'provlog_not_ready',
    'Why not: 1 for the reason that holds.',
    () => {
      const reason = notReady()
      return NOT_READY.map((each) => [[each], each === reason ? 1 : 0] as const)
    },
    ['reason'],
  )
  registry.gauge(
    'provlog_disk_free_bytes',
    'Free on the file system of the log, for its user.',
    () => storage.space?.freeBytes,
  )
  registry.gauge('provlog_disk_bytes', 'Size of that file system.', () => storage.space?.totalBytes)
  registry.gauge('provlog_disk_floor_bytes', 'Below this much free nothing is appended.', () => storage.floorBytes)
  registry.gauge(
    'provlog_store_bytes',
    'In the files of the database, by what it is: what was written lately is in memory and its journal, and not counted.',
    async () => Object.entries((await sizes()).bytes).map(([kind, bytes]) => [[kind], bytes] as const),
    ['kind'],
  )
  registry.gauge(
    'provlog_store_level0_files',
    'Tables that wait for compaction: at 8 of them the database slows writes down, and at 12 it stops them.',
    async () => (await sizes()).level0Files,
  )
  registry.gauge(
    'provlog_store_memory_bytes',
    'Of the database: what was written lately and its caches.',
    async () => (await sizes()).memoryBytes,
  )
  registry.readCounter(
    'provlog_scrub_checked_total',
    'Entries that the scrub has looked at and found to be right, of all passes.',
    () => scrub.state.checked,
  )
  registry.readCounter(
    'provlog_scrub_table_bytes_total',
    'Bytes of the database’s tables that the scrub has looked at and found to be right, of all passes.',
    () => scrub.state.tableBytes,
  )
  registry.readCounter('provlog_scrub_passes_total', 'Passes of the scrub that ended.', () => scrub.state.passes)
  registry.gauge('provlog_scrub_position', 'Entries of the pass under way.', () => scrub.state.position)
  registry.gauge(
    'provlog_scrub_last_pass_timestamp_seconds',
    'When the last pass ended; the start of the process before the first.',
    () => scrub.state.lastPassEndedAt ?? startedAt,
  )
}
