/**
 * Gathers what one credential's story needs, out of the log and into a bundle.
 *
 *     credential-provenance ──links──► results, policies, workload, authorizations      followed until nothing new turns up
 *     credential-status …              of the same credential, as far as logged; and for whom it stands in
 *     retraction …                     of any policy, reference values or key among these
 *     key-authorization …              of every key that signed one of these
 *     log-policy …                     the one in force, and those it replaced
 *
 * All of it at one tree head. `previous` links are followed from the log's own policies alone, whose keys hand over from one
 * version to the next; what an issuer's policy said three versions ago is history, and history is the auditor's to replay.
 *
 * @module
 */
import { toHex } from '../merkle/bytes.ts'
import { assert, EvidenceError } from '../merkle/error.ts'
import type { Hash } from '../merkle/hash.ts'
import type { Authorities } from '../provenance/authorities.ts'
import { type Bundle, MAX_BUNDLE_BYTES, MAX_BUNDLE_STATEMENTS } from '../provenance/bundle.ts'
import { type Link, type ProvenanceRecord, recordOfStatement } from '../provenance/record.ts'
import { parseSignedStatement, type SignedStatement } from '../statement/signed-statement.ts'
import { attachReceipts } from '../statement/transparent-statement.ts'
import { RequestError } from './problem.ts'
import { Snapshot, type SnapshotSource } from './snapshot.ts'
import type { LogReader } from './types.ts'

export interface BundleSource {
  readonly log: SnapshotSource & Pick<LogReader, 'byUnique' | 'locate' | 'statuses' | 'wraps'>
  readonly authorities: Pick<Authorities, 'authorizations' | 'policy' | 'retractionOf'>
}

/**
 * The bundle of the credential with this digest.
 *
 * @throws {@link RequestError} `not_found`, `bundle_too_large`
 */
export async function collectBundle(credentialDigest: Hash, { log, authorities }: BundleSource): Promise<Bundle> {
  const snapshot = new Snapshot(log)
  const policy = authorities.policy().index

  const hex = toHex(credentialDigest)
  const root = await log.byUnique(`credential:${hex}`)
  if (!snapshot.has(root)) throw new RequestError('not_found', 'this log records no credential with that digest')

  const found = new Map<number, Found>()
  // All of them or no bundle: one that left out the oldest could leave out the revocation.
  const wanted = [root, ...(await log.statuses(hex, MAX_BUNDLE_STATEMENTS)), policy]
  // The list grows while it is read: what an entry links to is wanted too.
  for (const index of wanted) {
    if (!snapshot.has(index) || found.has(index)) continue
    if (found.size === MAX_BUNDLE_STATEMENTS) throw tooLarge(`more than ${MAX_BUNDLE_STATEMENTS} statements`)
    const entry = readStored(await snapshot.statement(index))
    found.set(index, entry)

    // The one that is in effect first: what others of the same add would be told by it already.
    const retraction = authorities.retractionOf(entry.statement.entry)
    if (retraction) wanted.push(retraction.index)
    const signer = authorities.authorizations(entry.statement.header.kid ?? '')
    wanted.push(...signer.map((authorization) => authorization.index))
    const targets = await Promise.all(followed(entry.record).map((link) => log.locate(link.entry)))
    wanted.push(...targets.flatMap((target) => (target ? [target.index] : [])))
  }
  const [statements, wraps] = await Promise.all([proveAll(found, snapshot), wrapsOf(found, log)])
  const { origin } = snapshot.head
  const bundle = { credentialDigest, origin, checkpoint: snapshot.checkpoint, statements, wraps }
  if (bytesOf(bundle) > MAX_BUNDLE_BYTES) throw tooLarge(`more than ${MAX_BUNDLE_BYTES} bytes`)
  return bundle
}

interface Found {
  readonly statement: SignedStatement
  readonly record: ProvenanceRecord
}

/** A statement that this log has admitted once. That it does not read any more is our fault, not the reader's. */
function readStored(bytes: Uint8Array): Found {
  try {
    const statement = parseSignedStatement(bytes)
    return { statement, record: recordOfStatement(statement) }
  } catch (cause) {
    assert(!(cause instanceof EvidenceError), `a stored statement is refused: ${String(cause)}`)
    throw cause
  }
}

function followed({ type, links }: ProvenanceRecord): readonly Link[] {
  return type === 'log-policy' ? links : links.filter(({ rel }) => rel !== 'previous')
}

async function proveAll(found: ReadonlyMap<number, Found>, snapshot: Snapshot): Promise<Uint8Array[]> {
  const receipts = await snapshot.receipts([...found.keys()])
  return Array.from(found.values(), ({ statement }, i) => attachReceipts(statement.bytes, [receipts[i]!]))
}

async function wrapsOf(
  found: ReadonlyMap<number, Found>,
  log: Pick<LogReader, 'wraps'>,
): Promise<Map<string, readonly Uint8Array[]>> {
  const sealed = Array.from(found.values()).filter(({ record }) => record.sealed)
  const all = await Promise.all(
    sealed.map(async ({ statement }) => [toHex(statement.entry), await log.wraps(statement.entry)] as const),
  )
  return new Map(all.filter(([, wraps]) => wraps.length > 0))
}

/** At least as many as it encodes to: CBOR puts up to nine bytes before each item, and an entry in hex before the wraps of each. */
function bytesOf({ checkpoint, statements, wraps }: Bundle): number {
  const items = [...statements, ...Array.from(wraps.values()).flat()]
  return items.reduce((sum, { length }) => sum + length + 9, 4096 + 80 * wraps.size + checkpoint.length)
}

function tooLarge(what: string): RequestError {
  return new RequestError('bundle_too_large', `the story of this credential takes ${what}: read its entries one by one`)
}
