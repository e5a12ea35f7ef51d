/**
 * What a bundle proves by itself, from the pinned key of the log down:
 *
 *   vkey (TRUST.json) ──signs──▶ checkpoint ──root──▶ every statement's inclusion path
 *                                                        │
 *   entry 0 … the log's policy in force  ◀───────────────┤  receipt keys, admin keys
 *   key-authorizations  ◀──signed by admin keys──────────┤  who may sign what, at which index
 *   all other records   ◀──signed by authorized keys─────┘  checked as the log checked them
 *
 * Each function takes what the one before it returned. Nothing in the bundle is used before something above it in this
 * drawing vouches for it. What was found before under the same checkpoint, a {@link KnownTree} may know.
 *
 * @module
 */
import { equalBytes, toHex } from '../../merkle/bytes.ts'
import { openCheckpoint, type VerifiedCheckpoint } from '../../merkle/checkpoint.ts'
import { hashLeaf } from '../../merkle/hash.ts'
import { checkInclusion } from '../../merkle/inclusion.ts'
import type { VerificationJwk } from '../../statement/cose-key.ts'
import { StatementError } from '../../statement/error.ts'
import { verificationKeyOf } from '../../statement/key-ring.ts'
import { parseReceipt, type Receipt, verifyReceiptHead } from '../../statement/receipt.ts'
import type { VerificationKey } from '../../statement/signature.ts'
import { type SignedStatement, verifySignedStatement } from '../../statement/signed-statement.ts'
import { ProvenanceError } from '../error.ts'
import {
  type AnyRecordOf,
  type Link,
  type ProvenanceRecord,
  type RecordStatement,
  recordStatementOf,
} from '../record.ts'
import { Authorities, type Authorization, foundingKey } from '../rules/authorities.ts'
import { checkRecord } from '../rules/check-record.ts'
import type { LinkRelation, RecordType } from '../rules/link-rules.ts'
import { type LinkTarget, linkTargetOf } from '../rules/record-context.ts'
import type { Bundle } from './bundle.ts'
import type { KnownTree, ReadStatement } from './evidence-memory.ts'
import type { Trust } from './trust.ts'

/** A statement whose path leads to the checkpoint. Nobody has checked who signed it. */
export interface IncludedStatement {
  readonly statement: SignedStatement
  readonly record: ProvenanceRecord
  readonly receipt: Receipt
  readonly index: number
}

/** A record that is on the log and may be there. */
export interface LoggedRecord<T extends RecordType = RecordType> {
  readonly index: number
  readonly signed: RecordStatement<T>
  /** Under what it was signed; of the log's own records, `admin`. */
  readonly authority: Authorization | 'admin'
}

/** How far the clocks of a log and of those who sign may be apart, in seconds: what log servers allow at admission. */
const MAX_CLOCK_SKEW = 300

/**
 * The checkpoint of a bundle, signed by one of the keys that are pinned for its log: several while a log changes its key.
 *
 * @throws `untrusted_log`, `checkpoint_rollback`, and those of `openCheckpoint`
 */
export function openBundleCheckpoint(bundle: Bundle, trust: Trust): VerifiedCheckpoint {
  const logs = trust.logs.filter(({ origin }) => origin === bundle.origin)
  if (logs.length === 0) throw new ProvenanceError('untrusted_log', `${bundle.origin} is not a log that you trust`)
  const verifiers = logs.map(({ verifier }) => verifier)
  const checkpoint = openCheckpoint(bundle.checkpoint, { origin: bundle.origin, verifiers })
  const minimum = Math.max(0, ...logs.map(({ minimumSize }) => minimumSize ?? 0))
  if (checkpoint.size < minimum) {
    throw new ProvenanceError('checkpoint_rollback', `${checkpoint.size} leaves, where ${minimum} were seen before`)
  }
  return checkpoint
}

/**
 * Recomputes the root of the checkpoint from every statement in the bundle.
 *
 * @throws `missing_receipt`, `wrong_tree_size`, `root_mismatch`, `unexpected_record` for one statement twice, and those of
 *   reading statements, records and receipts
 */
export function checkAllIncluded(bundle: Bundle, known: KnownTree): readonly IncludedStatement[] {
  const indexes = new Set<number>()
  return bundle.statements.map((bytes) => {
    const included = known.included(bytes, (read) => checkIncluded(read, known.checkpoint))
    const { index } = included
    if (indexes.has(index)) throw new ProvenanceError('unexpected_record', `entry ${index} is there twice`)
    indexes.add(index)
    return included
  })
}

function checkIncluded(
  { statement, record, receipts }: ReadStatement & { readonly receipts: readonly Uint8Array[] },
  checkpoint: VerifiedCheckpoint,
): IncludedStatement {
  const receipt = receiptOf(receipts, checkpoint)
  const { index, size, proof } = receipt.inclusion[0]!
  checkInclusion({ index, size, proof, leafHash: hashLeaf(statement.entry) }, checkpoint.root)
  return { statement, record, receipt, index }
}

/** The receipt by which this log put the statement into the tree of this checkpoint. Those of other logs are passed over. */
function receiptOf(receipts: readonly Uint8Array[], { origin, size }: VerifiedCheckpoint): Receipt {
  const own = receipts.map(readReceipt).filter((receipt) => receipt?.origin === origin) as Receipt[]
  if (own.length === 0) throw new ProvenanceError('missing_receipt', `a statement without a receipt of ${origin}`)
  const receipt = own.find((each) => each.inclusion.length === 1 && each.inclusion[0]!.size === size)
  if (!receipt || receipt.treeSize !== size) {
    throw new StatementError('wrong_tree_size', `a receipt that is not for the ${size} leaves of the checkpoint`)
  }
  return receipt
}

function readReceipt(bytes: Uint8Array): Receipt | undefined {
  try {
    return parseReceipt(bytes)
  } catch (error) {
    if (error instanceof StatementError && error.code === 'unsupported_vds') return undefined
    throw error
  }
}

/**
 * Follows the log's own records from entry 0: its policy, and the keys it authorized. Only what the bundle brings along is
 * known, so a key that the log replaced later than the records at hand may still look good; the log itself knew better when
 * it admitted them.
 *
 * The keys that vouch for the checkpoint are pinned; whether they may still sign is the log's to say. A checkpoint is signed under the
 * policy in force at its size, so one that includes the retirement of the only key it is signed by is the work of whoever stole that key.
 *
 * @throws `unexpected_record` without entry 0, `untrusted_log` when the policy in force names none of the keys that signed the
 *   checkpoint, and the codes of `checkRecord`
 */
export async function openAuthorities(included: readonly IncludedStatement[], known: KnownTree): Promise<OwnRecords> {
  const ours = included
    .filter(({ record: { type } }) => type === 'log-policy' || type === 'key-authorization')
    .toSorted((a, b) => a.index - b.index)
  const open = () => openOwn(ours, known.checkpoint)
  // A retraction, when it is checked, changes what the authorities say: then they are of this bundle alone.
  return included.some(({ record: { type } }) => type === 'retraction') ? open() : known.own(ours, open)
}

/** The log's own records, and who may sign what by them. */
export interface OwnRecords {
  readonly authorities: Authorities
  readonly records: readonly LoggedRecord[]
}

async function openOwn(
  ours: readonly IncludedStatement[],
  checkpoint: Pick<VerifiedCheckpoint, 'origin' | 'signedBy'>,
): Promise<OwnRecords> {
  const authorities = new Authorities()
  const targets = new Map<string, LinkTarget>()
  const records: LoggedRecord[] = []
  for (const { statement, record, index } of ours) {
    const kid = statement.header.kid!
    const isFirst = records.length === 0
    if (isFirst && (index !== 0 || record.type !== 'log-policy')) {
      throw new ProvenanceError('unexpected_record', "the bundle does not begin with the log's entry 0")
    }
    const jwk = isFirst ? record.type === 'log-policy' && foundingKey(record, kid) : authorities.keyOf(kid)
    if (!jwk) throw new ProvenanceError('unknown_key', `the log's own record at ${index} is signed by ${kid}`)
    const signed = await signedRecord({ statement, record }, jwk)
    // No clock: the dates of these records and the time of the tree are both the log's word.
    const context = { authorities, targets, index, now: Number.POSITIVE_INFINITY, maxClockSkew: MAX_CLOCK_SKEW }
    // The policies are one chain; of a key that took another's place it is enough to know the key.
    const authority = checkRecord(record.type === 'log-policy' ? signed : withKnownLinks(signed, targets), context)
    authorities.apply(index, signed)
    targets.set(toHex(signed.entry), linkTargetOf(index, signed))
    records.push({ index, signed, authority })
  }
  const { fields } = authorities.policy()
  if (fields.origin !== checkpoint.origin || !checkpoint.signedBy.some((vkey) => fields.vkeys.includes(vkey))) {
    throw new ProvenanceError(
      'untrusted_log',
      'the log policy in force names none of the keys that signed the checkpoint',
    )
  }
  return { authorities, records }
}

/**
 * Checks the log's signature on every receipt: by the keys of its policy, over the size and root of the checkpoint.
 *
 * @returns when the log signed the tree, by its clock: the earliest, should receipts differ
 * @throws `unknown_key`, and those of `verifyReceipt`
 */
export async function checkReceipts(
  included: readonly IncludedStatement[],
  authorities: Authorities,
  known: KnownTree,
): Promise<{ signedAt: number }> {
  let signedAt = Number.POSITIVE_INFINITY
  for (const each of included) {
    const found = known.receipt(each, authorities, () => checkReceipt(each, authorities, known))
    signedAt = Math.min(signedAt, typeof found === 'number' ? found : await found)
  }
  return { signedAt }
}

/** All of them are for the tree of the checkpoint, to which their paths lead, and which is signed under the policy in force at its size. */
async function checkReceipt(
  { receipt }: IncludedStatement,
  authorities: Authorities,
  known: KnownTree,
): Promise<number> {
  const { receiptKeys, receiptKids, fields } = authorities.policy()
  const jwk = receiptKeys[receiptKids.indexOf(receipt.kid ?? '')]
  if (!jwk) throw new ProvenanceError('unknown_key', `a receipt signed by ${receipt.kid}, which the log does not use`)
  const key = await verificationKeyOf(jwk)
  return known.head(receipt, key, async () => {
    const head = await verifyReceiptHead(receipt, known.checkpoint.root, key, { origin: fields.origin })
    return head.issuedAt
  })
}

/**
 * Checks the signature, the signer's authority and the links of everything else in the bundle, as the log did.
 *
 * A link to the version before may lead out of the bundle: history is not needed to judge what was decided by this version.
 *
 * @param own - the log's own records, as checked before
 * @param now - POSIX seconds, when the log signed the tree: nothing in it can be dated much later
 * @throws `unknown_key`, `bad_signature`, and the codes of `checkRecord`
 */
export async function checkRecords(
  included: readonly IncludedStatement[],
  authorities: Authorities,
  own: readonly LoggedRecord[],
  now: number,
  known: KnownTree,
): Promise<readonly LoggedRecord[]> {
  const [first, ...rest] = included.filter(({ index }) => !own.some((logged) => logged.index === index))
  const begin: Grounds = { records: own, targets: targetsOf(own) }
  if (!first) return own
  const context = { authorities, now, known }
  // What it rests on says nothing of it, and so is the same for every credential that rests on the same: as long as all of it was there before,
  // and nothing in it withdraws something.
  const isLast = rest.every(({ index, record }) => index < first.index && record.type !== 'retraction')
  if (!isLast) return (await checkMore(begin, [first, ...rest], context)).records
  const grounds = await known.grounds({ of: rest, authorities, now }, () => checkMore(begin, rest, context))
  return (await checkMore(grounds, [first], context)).records
}

/** Records that others rest on, checked. */
export interface Grounds {
  readonly records: readonly LoggedRecord[]
  /** By entry in lower-case hex. */
  readonly targets: ReadonlyMap<string, LinkTarget>
}

async function checkMore(
  before: Grounds,
  included: readonly IncludedStatement[],
  { authorities, now, known }: { readonly authorities: Authorities; readonly now: number; readonly known: KnownTree },
): Promise<Grounds> {
  const others: { index: number; signed: RecordStatement }[] = []
  for (const each of included) {
    const found = known.record(each, authorities, () => checkSignature(each, authorities))
    others.push({ index: each.index, signed: found instanceof Promise ? await found : found })
  }
  const targets = new Map(before.targets)
  for (const { index, signed } of others) targets.set(toHex(signed.entry), linkTargetOf(index, signed))
  // In the order of the log: what was withdrawn before a record, that record must not rest on.
  const checked = others
    .toSorted((a, b) => a.index - b.index)
    .map(({ index, signed }): LoggedRecord => {
      const context = { authorities, targets, index, now, maxClockSkew: MAX_CLOCK_SKEW }
      const authority = checkRecord(withKnownLinks(signed, targets), context)
      authorities.retract(index, signed)
      return { index, signed, authority }
    })
  return { records: [...before.records, ...checked], targets }
}

function targetsOf(records: readonly Pick<LoggedRecord, 'index' | 'signed'>[]): Map<string, LinkTarget> {
  return new Map(records.map(({ index, signed }) => [toHex(signed.entry), linkTargetOf(index, signed)]))
}

async function checkSignature(
  { statement, record }: IncludedStatement,
  authorities: Authorities,
): Promise<RecordStatement> {
  const kid = statement.header.kid!
  const jwk = authorities.keyOf(kid)
  if (!jwk) throw new ProvenanceError('unknown_key', `the ${record.type} is signed by ${kid}, authorized for nothing`)
  return signedRecord({ statement, record }, jwk)
}

/** The signature on a statement that was read once and is in one tree after another. By identity of both: neither changes. */
const signedBy = new WeakMap<SignedStatement, { readonly key: VerificationKey; readonly signed: RecordStatement }>()

async function signedRecord({ statement, record }: ReadStatement, jwk: VerificationJwk): Promise<RecordStatement> {
  const key = await verificationKeyOf(jwk)
  const before = signedBy.get(statement)
  if (before?.key === key) return before.signed
  const signed = recordStatementOf(await verifySignedStatement(statement, key), record)
  signedBy.set(statement, { key, signed })
  return signed
}

/** Without links to earlier versions that did not come along. */
function withKnownLinks(signed: RecordStatement, targets: ReadonlyMap<string, LinkTarget>): RecordStatement {
  const isKnown = ({ rel, entry }: Link) => rel !== 'previous' || targets.has(toHex(entry))
  if (signed.record.links.every(isKnown)) return signed
  const links = signed.record.links.filter(isKnown)
  return { ...signed, record: { ...signed.record, links } as ProvenanceRecord }
}

/** The records that `from` links to by `rel`, in the order of its links. They were checked to be there and of that type. */
export function linked<T extends RecordType & LinkRelation>(
  records: readonly LoggedRecord[],
  from: LoggedRecord,
  rel: T,
): readonly LoggedRecord<T>[] {
  const found: LoggedRecord<T>[] = []
  for (const link of from.signed.record.links) {
    if (link.rel !== rel) continue
    for (const each of records) if (equalBytes(each.signed.entry, link.entry)) found.push(each as LoggedRecord<T>)
  }
  return found
}

/** The record of a logged statement, by its type; undefined when it is of another. */
export function recordIf<T extends RecordType>(logged: LoggedRecord | undefined, type: T): AnyRecordOf<T> | undefined {
  return logged?.signed.record.type === type ? (logged.signed.record as AnyRecordOf<T>) : undefined
}
