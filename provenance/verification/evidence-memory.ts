/**
 * What was found true of evidence before, for whoever verifies many credentials.
 *
 * The bundles of one issuer have nearly everything in common: a hundred of one tree are a hundred different records on the same policies,
 * keys and log records, under one signed head. Whether these hold is a question about bytes, one checkpoint and one trust; asked again, it
 * has the same answer.
 *
 *     trust ─ checkpoint (the whole note) ─ statement (the whole bytes) ─ its place, its receipt
 *           │                             ├ the signature on its receipts ─ of the tree head, once for all of them
 *           │                             ├ the log's own records         ─ who may sign what
 *           │                             └ what a record rests on        ─ that it may be there
 *           └ statement (without receipts) ─ what is in it, and by which key it is signed: the same in every tree
 *
 * Only what passed is remembered, by everything that it was found from and compared whole: what differs in one byte is new. What depends on
 * the credential or on the moment asked about is never remembered: which of all this is in the bundle, dates, status, withdrawals.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import type { VerifiedCheckpoint } from '../../merkle/checkpoint.ts'
import type { Receipt } from '../../statement/receipt.ts'
import type { VerificationKey } from '../../statement/signature.ts'
import type { SignedStatement } from '../../statement/signed-statement.ts'
import { parseTransparentStatement, receiptsBeside } from '../../statement/transparent-statement.ts'
import { type ProvenanceRecord, type RecordStatement, recordOfStatement } from '../record.ts'
import type { Authorities } from '../rules/authorities.ts'
import type { Grounds, IncludedStatement, OwnRecords } from './log-evidence.ts'
import type { Trust } from './trust.ts'

/** Trees at most: bundles that are verified together are of one or two. */
const MAX_TREES = 4
/** Statements of one tree at most, and of all. */
const MAX_STATEMENTS = 4096
const MAX_READ = 2048
/** Sets of the log's own records at most, under one tree; and of the records that others rest on. */
const MAX_OWN = 16
const MAX_GROUNDS = 256

/** What is in a statement. */
export interface ReadStatement {
  readonly statement: SignedStatement
  readonly record: ProvenanceRecord
}

/** Of one party: under another trust the same bytes prove something else. */
export class EvidenceMemory {
  readonly trust: Trust
  readonly #read = new ReadStatements()
  readonly #trees: { readonly origin: string; readonly note: string; readonly known: KnownTree }[] = []

  constructor(trust: Trust) {
    this.trust = trust
  }

  /** What is known of the tree of this note, once `open` has found that the note holds. @throws what `open` throws */
  tree(origin: string, note: string, open: () => VerifiedCheckpoint): KnownTree {
    const before = this.#trees.find((each) => each.note === note && each.origin === origin)
    if (before) return before.known
    const known = new KnownTree(open(), this.#read)
    if (this.#trees.length === MAX_TREES) this.#trees.shift()
    this.#trees.push({ origin, note, known })
    return known
  }

  /** What whoever made a statement need not read again: `record` was decoded from its bytes. */
  keep(read: ReadStatement): void {
    this.#read.keep(read)
  }
}

/** By their last bytes, which are those of a signature. */
class ReadStatements {
  readonly #known = new Map<string, ReadStatement>()

  /** What is in the statement of these bytes, and the receipts beside it. @throws what reading it throws */
  read(bytes: Uint8Array): ReadStatement & { readonly receipts: readonly Uint8Array[] } {
    const name = endOf(bytes)
    const before = this.#known.get(name)
    const beside = before && receiptsBeside(before.statement, bytes)
    if (before && beside) {
      // What is asked for again stays.
      this.#known.delete(name)
      this.#known.set(name, before)
      return { statement: before.statement, record: before.record, receipts: beside }
    }
    const { statement, receipts } = parseTransparentStatement(bytes, { maxBytes: Number.POSITIVE_INFINITY })
    const read = { statement, record: recordOfStatement(statement) }
    this.keep(read)
    return { ...read, receipts }
  }

  keep(read: ReadStatement): void {
    if (this.#known.size >= MAX_READ) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(endOf(read.statement.bytes), read)
  }
}

/** What was found under one checkpoint. A new one knows nothing yet. */
export class KnownTree {
  readonly checkpoint: VerifiedCheckpoint
  readonly #read: Pick<ReadStatements, 'read'>
  readonly #statements = new Map<string, { readonly bytes: Uint8Array; readonly included: IncludedStatement }>()
  readonly #heads: { readonly receipt: Receipt; readonly key: VerificationKey; readonly found: Promise<number> }[] = []
  readonly #own: { readonly of: readonly IncludedStatement[]; readonly found: Promise<OwnRecords> }[] = []
  readonly #receipts = new WeakMap<IncludedStatement, Under<number>>()
  readonly #records = new WeakMap<IncludedStatement, Under<RecordStatement>>()
  readonly #grounds: (Asked & { readonly found: Promise<Grounds> })[] = []

  constructor(checkpoint: VerifiedCheckpoint, read: Pick<ReadStatements, 'read'> = new ReadStatements()) {
    this.checkpoint = checkpoint
    this.#read = read
  }

  /**
   * The statement in these bytes, which is in the tree. The same object for the same bytes.
   *
   * @param bytes - nobody writes to them any more
   * @throws what reading it and `check` throw
   */
  included(
    bytes: Uint8Array,
    check: (read: ReadStatement & { readonly receipts: readonly Uint8Array[] }) => IncludedStatement,
  ): IncludedStatement {
    const name = endOf(bytes)
    const before = this.#statements.get(name)
    if (before && (before.bytes === bytes || equalBytes(before.bytes, bytes))) return before.included
    const included = check(this.#read.read(bytes))
    if (this.#statements.size < MAX_STATEMENTS) this.#statements.set(name, { bytes, included })
    return included
  }

  /** The log's own records among what is {@link included}, and what they lead to. @throws what `check` throws */
  own(of: readonly IncludedStatement[], check: () => Promise<OwnRecords>): Promise<OwnRecords> {
    const before = this.#own.find((each) => isSame(each.of, of))
    if (before) return before.found
    return remember(this.#own, MAX_OWN, { of, found: check() })
  }

  /** When the log signed the head that a receipt carries, by that key. All receipts of one tree carry the same. @throws what `check` throws */
  async head(receipt: Receipt, key: VerificationKey, check: () => Promise<number>): Promise<number> {
    const { protectedBytes, signature } = receipt.sign1
    const before = this.#heads.find(
      (each) =>
        each.key === key &&
        equalBytes(each.receipt.sign1.signature, signature) &&
        equalBytes(each.receipt.sign1.protectedBytes, protectedBytes),
    )
    if (before) return before.found
    return remember(this.#heads, MAX_OWN, { receipt, key, found: check() })
  }

  /** When the log signed the receipt of a statement, by one of its keys. @throws what `check` throws */
  receipt(of: IncludedStatement, authorities: Authorities, check: () => Promise<number>): number | Promise<number> {
    return rememberedUnder(this.#receipts, of, authorities, check)
  }

  /** The record of a statement, whose signature is by the key that it names. @throws what `check` throws */
  record(
    of: IncludedStatement,
    authorities: Authorities,
    check: () => Promise<RecordStatement>,
  ): RecordStatement | Promise<RecordStatement> {
    return rememberedUnder(this.#records, of, authorities, check)
  }

  /** What is found of records by themselves, which are those that another one rests on. @throws what `check` throws */
  grounds(asked: Asked, check: () => Promise<Grounds>): Promise<Grounds> {
    const { of, authorities, now } = asked
    const before = this.#grounds.find(
      (each) => each.authorities === authorities && each.now === now && isSame(each.of, of),
    )
    if (before) return before.found
    return remember(this.#grounds, MAX_GROUNDS, { ...asked, found: check() })
  }
}

/** A verdict, and whose keys it was reached by. */
interface Under<T> {
  readonly authorities: Authorities
  readonly verdict: T
}

/** At once where it is known: this is asked for each statement of each bundle. */
function rememberedUnder<T>(
  memory: WeakMap<IncludedStatement, Under<T>>,
  of: IncludedStatement,
  authorities: Authorities,
  check: () => Promise<T>,
): T | Promise<T> {
  const before = memory.get(of)
  if (before?.authorities === authorities) return before.verdict
  return check().then((verdict) => {
    memory.set(of, { authorities, verdict })
    return verdict
  })
}

/** Of which records, under whose keys, and when the log signed the tree. */
interface Asked {
  readonly of: readonly IncludedStatement[]
  readonly authorities: Authorities
  readonly now: number
}

function isSame(a: readonly IncludedStatement[], b: readonly IncludedStatement[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i])
}

/** While it is found out, too: those who verify many do so at once. Nor is it kept that something did not hold. */
function remember<T, E extends { readonly found: Promise<T> }>(list: E[], max: number, entry: E): Promise<T> {
  if (list.length === max) list.shift()
  list.push(entry)
  entry.found.catch(() => {
    const at = list.indexOf(entry)
    if (at >= 0) list.splice(at, 1)
  })
  return entry.found
}

function endOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(-16))
}
