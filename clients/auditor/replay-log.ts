/**
 * A replay without a database: the tree alone, or every signature too. What an auditor runs who wants to know soon whether a log is as it
 * signed; what records say is for the audit (`replay.ts`), which walks the same way.
 *
 * @module
 */
import { toHex, UnavailableError, type VerifiedCheckpoint } from '../../merkle/index.ts'
import type { Trust } from '../../provenance/index.ts'
import { checkSigner } from '../log-client/index.ts'
import type { Finding } from './checks.ts'
import { StatementReader } from './read-statements.ts'
import type { AuditProgress } from './replay.ts'
import { replayHashes } from './replay-hashes.ts'
import { loadReplayed, type ReplayedSoFar, type ReplayKind, saveReplayed } from './replay-state.ts'
import { Signers } from './signers.ts'
import { checkTrusted, newestCheckpoint, type ReplayLog, Walk } from './walk.ts'

export interface ReplayLogInput {
  readonly client: ReplayLog
  /** The log must be one of these. */
  readonly trust: Trust
  /** Where it is kept how far the replay has come, one directory per log; an audit may be in it too. */
  readonly stateDir: string
  readonly kind: ReplayKind
  /** POSIX seconds. */
  readonly now: number
  readonly onProgress?: (progress: AuditProgress) => void
  /** Entries after which it is written down how far it came. */
  readonly saveEvery?: number
}

export interface ReplayReport {
  readonly origin: string
  readonly kind: ReplayKind
  /** Entries of the checkpoint that everything was held against. */
  readonly size: number
  /** Lower-case hex. */
  readonly root: string
  /** Entries that an earlier replay had seen to. */
  readonly resumedFrom: number
  /** Signed by keys that the log knows; 0 of a replay of hashes, as the next. */
  readonly records: number
  /** Statements that are no records, and that the log's policy lets in. */
  readonly foreign: number
  /** Of all entries up to `size`, in the order of the log. */
  readonly findings: readonly Finding[]
  /** What nobody has looked at. */
  readonly notChecked: readonly string[]
}

const SAVE_EVERY = 65_536

const SAID = [
  'what records say, and whether it was said before',
  'what records link to, but for those that say who may sign',
  'whether an erasure was for its signer to ask for',
  'what is sealed',
]
const NOT_CHECKED: Readonly<Record<ReplayKind, readonly string[]>> = {
  hashes: ['statements: whether they are what their entries are the hashes of', 'who signed them', ...SAID],
  signatures: SAID,
}

/**
 * Replays a log up to its newest checkpoint, from where the last replay of this kind in `stateDir` ended.
 *
 * @throws as `replay`
 */
export async function replayLog(input: ReplayLogInput): Promise<ReplayReport> {
  const { client, trust, stateDir, kind } = input
  await checkTrusted(client, trust)
  const before = await loadReplayed(stateDir, kind, await client.origin())
  const checkpoint = await newestCheckpoint(client, before.note)
  const replayed = await (kind === 'hashes' ? replayTree : replaySignatures)(input, checkpoint, before)
  return {
    origin: before.origin,
    kind,
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    resumedFrom: before.range.size,
    records: replayed.records,
    foreign: replayed.foreign,
    findings: replayed.findings,
    notChecked: NOT_CHECKED[kind],
  }
}

/** Nothing is kept of one that did not come to its end: a tree that was not proven is worth nothing. */
async function replayTree(
  { client, stateDir, kind, onProgress = () => {} }: ReplayLogInput,
  checkpoint: VerifiedCheckpoint,
  before: ReplayedSoFar,
): Promise<ReplayedSoFar> {
  const range = await replayHashes(client, checkpoint, {
    from: before.range,
    onProgress: (done, total) => onProgress({ phase: 'hashes', done, total }),
  })
  const replayed = { ...before, note: checkpoint.note, range }
  await saveReplayed(stateDir, kind, replayed)
  return replayed
}

async function replaySignatures(
  { client, now, stateDir, kind, onProgress = () => {}, saveEvery = SAVE_EVERY }: ReplayLogInput,
  checkpoint: VerifiedCheckpoint,
  before: ReplayedSoFar,
): Promise<ReplayedSoFar> {
  const signers = new Signers({ now, certificates: (entry) => client.certificates(entry) })
  await signers.restore(before)

  let { range } = before
  let saved = range.size
  /** The tree is proven, and nobody is in the middle of a bundle, of which a part would be counted again. */
  let whole = false
  const save = () => saveReplayed(stateDir, kind, { ...before, ...signers.soFar, note: checkpoint.note, range })
  const reader = new StatementReader((kid) => signers.authorities.keyOf(kid), { keep: true })
  try {
    if (checkpoint.size > range.size) reader.start()
    const walk = await Walk.begin(client, checkpoint, range, (done, total) =>
      onProgress({ phase: 'hashes', done, total }),
    )
    whole = true
    for await (const bundle of walk.bundles(reader)) {
      whole = false
      await signers.take(bundle, reader)
      range = bundle.append(range)
      whole = true
      reader.release(bundle.checked)
      onProgress({ phase: 'signatures', done: range.size, total: checkpoint.size })
      if (range.size - saved < saveEvery) continue
      await save()
      saved = range.size
    }
  } catch (error) {
    if (whole && error instanceof UnavailableError) await save()
    throw error
  } finally {
    reader.close()
  }
  checkSigner(checkpoint, signers.authorities.policyAt(checkpoint.size))
  await save()
  return { ...before, ...signers.soFar, findings: signers.concluded() }
}
