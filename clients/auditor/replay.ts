/**
 * The audit: first the tree, from its entries; then every statement, as if it asked for admission again; and with a key, what is
 * sealed in it.
 *
 * ```
 *   phase 1   tile/entries ──hash──▶ root of the checkpoint            all of it, and nothing else
 *   phase 2   v1/statements ──SHA-256──▶ entry ──▶ signature ──▶ may it be here? ──▶ said before? ──▶ sealed
 * ```
 *
 * What is wrong with a record is a finding. A log that shows something else than it signed is a `MisbehaviourError`.
 *
 * @module
 */
import { appendLeaves, concatBytes, hashLeaf, TILE_WIDTH, toHex, UnavailableError } from '../../merkle/index.ts'
import type { Trust } from '../../provenance/index.ts'
import { kidOf, type PrivateJwk, publicJwkOf } from '../../statement/index.ts'
import { checkSigner } from '../log-client/index.ts'
import type { Finding } from './checks.ts'
import { conclude } from './conclude.ts'
import { History } from './history.ts'
import { StatementReader } from './read-statements.ts'
import { SealedReader } from './sealed.ts'
import { type AuditedSoFar, AuditState } from './state.ts'
import { StatementAudit } from './statements.ts'
import { type AuditLog, checkTrusted, newestCheckpoint, Walk } from './walk.ts'

export interface AuditProgress {
  readonly phase: 'hashes' | 'signatures' | 'statements'
  /** Entries. */
  readonly done: number
  readonly total: number
}

export interface ReplayInput {
  readonly client: AuditLog
  /** The log must be one of these. */
  readonly trust: Trust
  /** Where the audit is kept, one directory per log. */
  readonly stateDir: string
  /** POSIX seconds. */
  readonly now: number
  /** Opens what was wrapped for it. */
  readonly key?: PrivateJwk
  readonly onProgress?: (progress: AuditProgress) => void
  /** Entries after which the audit is made durable, so that a crash costs no more of it than that. */
  readonly saveEvery?: number
}

export interface AuditReport {
  readonly origin: string
  /** Entries of the checkpoint that everything was held against. */
  readonly size: number
  /** Lower-case hex. */
  readonly root: string
  /** Entries that an earlier audit had seen to. */
  readonly resumedFrom: number
  readonly records: number
  /** Statements that are no records, and that the log's policy lets in. */
  readonly foreign: number
  /** Records of which at least one sealed section was opened. */
  readonly opened: number
  /** Of all entries up to `size`, those of earlier audits included; in the order of the log. */
  readonly findings: readonly Finding[]
}

/**
 * Audits a log up to its newest checkpoint, from where the last audit in `stateDir` ended.
 *
 * @throws `MisbehaviourError` `checkpoint_fork`, `checkpoint_rollback`, `entry_mismatch`, `not_served`, `wrong_signer`; `AnswerError` `untrusted_log`;
 *   `UnavailableError`: what was audited until then is kept
 */
export async function replay(input: ReplayInput): Promise<AuditReport> {
  const { client, stateDir, key, saveEvery } = input
  await checkTrusted(client, input.trust)
  const state = await AuditState.open(stateDir, await client.origin(), key && kidOf(publicJwkOf(key)), saveEvery)
  try {
    return await replayFrom(state, input)
  } catch (error) {
    if (error instanceof UnavailableError) await state.save()
    throw error
  } finally {
    state.close()
  }
}

async function replayFrom(state: AuditState, input: ReplayInput): Promise<AuditReport> {
  const { client, now, key, onProgress = () => {} } = input
  const { before } = state

  const checkpoint = await newestCheckpoint(client, before.note)
  const history = new History(state.scratch)
  let restored = 0
  for await (const each of state.restore()) await history.restore(restored++, each)
  const sealed = key && new SealedReader(client, key)
  const audit = new StatementAudit({
    history,
    now,
    certificates: (entry) => client.certificates(entry),
    ...(sealed && { sealed }),
  })

  let audited: AuditedSoFar = before
  const found = [...before.findings]
  const reader = new StatementReader((kid) => history.authorities.keyOf(kid), {
    keep: sealed !== undefined,
    identities: true,
  })
  const together = sealed ? TILE_WIDTH : READ_TOGETHER
  try {
    if (checkpoint.size > before.range.size) reader.start()
    const walk = await Walk.begin(client, checkpoint, before.range, (done, total) =>
      onProgress({ phase: 'hashes', done, total }),
    )
    for await (const bundle of walk.bundles(reader)) {
      const { entries, known, checked } = bundle
      let at = known
      try {
        for (; at < entries.length; at += together) {
          const logged = entries.slice(at, at + together).map((entry, i) => {
            return { index: bundle.first + at + i, entry, read: reader.read(checked, at + i) }
          })
          const { entries: added, findings, records, foreign, opened } = await audit.take(logged)
          await state.add(added, findings, (entry) => history.targets.get(entry)?.index)
          found.push(...findings)
          audited = {
            ...audited,
            records: audited.records + records,
            foreign: audited.foreign + foreign,
            opened: audited.opened + opened,
          }
        }
      } catch (error) {
        // What was judged of this bundle is kept: the next audit begins in the middle of it.
        const range = appendLeaves(audited.range, concatBytes(...entries.slice(known, at).map(hashLeaf)))
        await state.reached({ ...audited, note: checkpoint.note, range, findings: found })
        throw error
      }
      audited = { ...audited, note: checkpoint.note, range: bundle.append(audited.range), findings: found }
      onProgress({ phase: 'statements', done: audited.range.size, total: checkpoint.size })
      await state.reached(audited)
      reader.release(checked)
    }
  } finally {
    reader.close()
  }
  checkSigner(checkpoint, history.authorities.policyAt(checkpoint.size))
  const findings = conclude(audited.findings, history, now)
  await state.finish(checkpoint, now, findings)
  return {
    origin: before.origin,
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    resumedFrom: before.range.size,
    records: audited.records,
    foreign: audited.foreign,
    opened: audited.opened,
    findings,
  }
}

/** Statements read and judged at a time: what is read lives for as long as the collector would otherwise take to move it. */
const READ_TOGETHER = 32
