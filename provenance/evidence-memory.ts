/**
 * What was found true of evidence before, for whoever verifies many credentials.
 *
 * The bundles of one issuer have nearly everything in common: a hundred of one tree are a hundred different records on the same policies,
 * keys and log records, under one signed head. Whether these hold is a question about bytes, one checkpoint and one trust; asked again, it
 * has the same answer.
 *
 *     trust ─ checkpoint (the whole note) ─ statement (the whole bytes) ─ its place, its receipt, its signature
 *                                         └ the log's own records       ─ who may sign what
 *
 * Only what passed is remembered, by everything that it was found from and compared whole: what differs in one byte is new. What depends on
 * the credential or on the moment asked about is never remembered: which of all this is in the bundle, dates, status, withdrawals.
 *
 * @module
 */
import { equalBytes } from '../merkle/bytes.ts'
import type { VerifiedCheckpoint } from '../merkle/checkpoint.ts'
import type { Authorities } from './authorities.ts'
import type { IncludedStatement, OwnRecords } from './log-evidence.ts'
import type { RecordStatement } from './record.ts'
import type { Trust } from './trust.ts'

/** Trees at most: bundles that are verified together are of one or two. */
const MAX_TREES = 4
/** Statements of one tree at most. */
const MAX_STATEMENTS = 4096
/** Sets of the log's own records at most, under one tree. */
const MAX_OWN = 16

/** Of one party: under another trust the same bytes prove something else. */
export class EvidenceMemory {
  readonly trust: Trust
  readonly #trees: { readonly origin: string; readonly note: string; readonly known: KnownTree }[] = []

  constructor(trust: Trust) {
    this.trust = trust
  }

  /** What is known of the tree of this note, once `open` has found that the note holds. @throws what `open` throws */
  tree(origin: string, note: string, open: () => VerifiedCheckpoint): KnownTree {
    const before = this.#trees.find((each) => each.note === note && each.origin === origin)
    if (before) return before.known
    const known = new KnownTree(open())
    if (this.#trees.length === MAX_TREES) this.#trees.shift()
    this.#trees.push({ origin, note, known })
    return known
  }
}

/** What was found under one checkpoint. A new one knows nothing yet. */
export class KnownTree {
  readonly checkpoint: VerifiedCheckpoint
  /** By their last bytes, which are those of a signature. */
  readonly #statements = new Map<string, { readonly bytes: Uint8Array; readonly included: IncludedStatement }>()
  readonly #own: { readonly of: readonly IncludedStatement[]; readonly found: Promise<OwnRecords> }[] = []
  readonly #receipts = new WeakMap<IncludedStatement, Under<number>>()
  readonly #records = new WeakMap<IncludedStatement, Under<RecordStatement>>()

  constructor(checkpoint: VerifiedCheckpoint) {
    this.checkpoint = checkpoint
  }

  /** The statement in these bytes, which is in the tree. The same object for the same bytes. @throws what `check` throws */
  included(bytes: Uint8Array, check: (bytes: Uint8Array) => IncludedStatement): IncludedStatement {
    const name = String.fromCharCode(...bytes.subarray(-16))
    const before = this.#statements.get(name)
    if (before && equalBytes(before.bytes, bytes)) return before.included
    // A copy, as what it was found from must not change: the bytes are the caller's.
    const own = new Uint8Array(bytes)
    const included = check(own)
    if (this.#statements.size < MAX_STATEMENTS) this.#statements.set(name, { bytes: own, included })
    return included
  }

  /** The log's own records among what is {@link included}, and what they lead to. @throws what `check` throws */
  async own(of: readonly IncludedStatement[], check: () => Promise<OwnRecords>): Promise<OwnRecords> {
    const before = this.#own.find((each) => each.of.length === of.length && each.of.every((one, i) => one === of[i]))
    if (before) return before.found
    // While it is found out, too: those who verify many do so at once.
    const entry = { of, found: check() }
    if (this.#own.length === MAX_OWN) this.#own.shift()
    this.#own.push(entry)
    entry.found.catch(() => {
      const at = this.#own.indexOf(entry)
      if (at >= 0) this.#own.splice(at, 1)
    })
    return entry.found
  }

  /** When the log signed the receipt of a statement, by one of its keys. @throws what `check` throws */
  async receipt(of: IncludedStatement, authorities: Authorities, check: () => Promise<number>): Promise<number> {
    return rememberedUnder(this.#receipts, of, authorities, check)
  }

  /** The record of a statement, whose signature is by the key that it names. @throws what `check` throws */
  async record(
    of: IncludedStatement,
    authorities: Authorities,
    check: () => Promise<RecordStatement>,
  ): Promise<RecordStatement> {
    return rememberedUnder(this.#records, of, authorities, check)
  }
}

/** A verdict, and whose keys it was reached by. */
interface Under<T> {
  readonly authorities: Authorities
  readonly verdict: Promise<T>
}

async function rememberedUnder<T>(
  memory: WeakMap<IncludedStatement, Under<T>>,
  of: IncludedStatement,
  authorities: Authorities,
  check: () => Promise<T>,
): Promise<T> {
  const before = memory.get(of)
  if (before?.authorities === authorities) return before.verdict
  const found = { authorities, verdict: check() }
  memory.set(of, found)
  found.verdict.catch(() => memory.get(of) === found && memory.delete(of))
  return found.verdict
}
