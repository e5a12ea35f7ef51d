/**
 * A log in a temporary directory whose disk can be made to fail, and which can re-verify itself whole.
 *
 * It is put together as `openLog` does it, with a {@link Disk} between sequencer and store.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { candidateOf } from '../../log-server/admission/candidate.ts'
import { initLog, type NewLog } from '../../log-server/init.ts'
import { createSequencer, openStored, paths, readLogConfig } from '../../log-server/log.ts'
import type { StoredLog } from '../../log-server/reading/reader.ts'
import type { Edge } from '../../log-server/sequencing/edge.ts'
import type { SequencedBatch, Sequencer } from '../../log-server/sequencing/sequencer.ts'
import { SigningKeys } from '../../log-server/sequencing/signing-keys.ts'
import { Guard } from '../../log-server/storage/guard.ts'
import { type Holders, Store } from '../../log-server/storage/store.ts'
import type { Candidate, SequencerLimits, StatementBundle } from '../../log-server/types.ts'
import {
  appendLeaves,
  checkConsistency,
  checkInclusion,
  concatBytes,
  decodeEntryBundle,
  EMPTY_RANGE,
  equalBytes,
  type Hash,
  hashEntryBundle,
  hashLeaf,
  openCheckpoint,
  parseVkey,
  rangeRoot,
  sha256,
  splitHashes,
  TILE_WIDTH,
  tilesOfSize,
  tileWidth,
} from '../../merkle/index.ts'
import { readRoot } from '../../merkle/tile-tree.ts'
import { RECORD_CONTENT_TYPE, recordStatementOf } from '../../provenance/record.ts'
import { buildRecordStatement } from '../../provenance/record-statement.ts'
import {
  importSigningKey,
  importVerificationKey,
  parsePrivateJwk,
  parseReceipt,
  parseSignedStatement,
  publicJwkOf,
  type SigningKey,
  signStatement,
  type VerificationKey,
  verifyReceipt,
  verifySignedStatement,
} from '../../statement/index.ts'

export const ORIGIN = 'log.example/test'
export const NOW = 1_800_000_000

/** Bytes that look random and are the same in every run. */
export function notRandom(seed: string): (length: number) => Uint8Array {
  let count = 0
  return (length) => {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 32) {
      bytes.set(sha256(new TextEncoder().encode(`${seed} ${count++}`)).subarray(0, length - at), at)
    }
    return bytes
  }
}

/** What stands between the sequencer and the disk. Holds or breaks the next operation of a kind, and writes down the order. */
export class Disk {
  /** `lookup`, `commit n` when it is durable, `guard n` when it is durable; n is the size. Tests add their own. */
  readonly events: string[] = []
  /** Entries that the store has answered about. */
  lookedUp = 0
  /** What becomes of an answer on its way: an index that was damaged. */
  misread: (holders: Holders) => Holders = (holders) => holders
  readonly #gates = new Map<string, { fail: Error | undefined; arrived: () => void; open: Promise<void> }>()

  /** The next operation of this kind fails; as a real disk, without saying what it did. */
  breakNext(kind: 'lookup' | 'commit' | 'guard'): void {
    this.#gates.set(kind, { fail: new Error(`EIO in ${kind}`), arrived: () => undefined, open: Promise.resolve() })
  }

  /** The next operation of this kind waits until `release` is called, and then fails if it is to; `arrived` resolves when it waits. */
  holdNext(kind: 'lookup' | 'commit' | 'guard', fail?: Error): { arrived: Promise<void>; release: () => void } {
    let release = () => {}
    const open = new Promise<void>((resolve) => {
      release = resolve
    })
    const arrived = new Promise<void>((resolve) => {
      this.#gates.set(kind, { fail, arrived: resolve, open })
    })
    return { arrived, release }
  }

  async pass(kind: string): Promise<void> {
    const gate = this.#gates.get(kind)
    this.#gates.delete(kind)
    if (!gate) return
    gate.arrived()
    await gate.open
    if (gate.fail) throw gate.fail
  }
}

export class TestLog {
  readonly created: NewLog
  readonly dataDir: string
  disk = new Disk()
  /** What `fatal` was called with. */
  fatal: unknown[] = []
  /** What an observer was told, and the milliseconds of its clock, which stands still. */
  observed: SequencedBatch[] = []
  milliseconds = 0
  sequencer!: Sequencer
  reader!: StoredLog
  edge!: Edge
  #close: () => Promise<void> = async () => undefined
  #receiptKey!: VerificationKey
  /** Every checkpoint that was ever seen: each later one must be consistent with all of them. */
  readonly #seen: { size: number; root: Hash }[] = []

  private constructor(dataDir: string, created: NewLog) {
    this.dataDir = dataDir
    this.created = created
  }

  static async create(limits: Partial<SequencerLimits> = {}): Promise<TestLog> {
    const dataDir = await mkdtemp(join(tmpdir(), 'provlog-test-'))
    const created = await initLog({ dataDir, origin: ORIGIN, now: () => NOW, random: notRandom('test log') })
    const log = new TestLog(dataDir, created)
    await log.open(limits)
    return log
  }

  async open(limits: Partial<SequencerLimits> = {}): Promise<void> {
    const config = await readLogConfig(this.dataDir)
    const receiptJwk = parsePrivateJwk(JSON.parse(await readFile(paths(this.dataDir).receiptKey, 'utf8')))
    this.#receiptKey = await importVerificationKey(publicJwkOf(receiptJwk))
    const store = await Store.open(paths(this.dataDir).store)
    const guard = await Guard.open(paths(this.dataDir).guard)
    const { edge, publication, reader, signed, authorities } = await openStored(store, config)
    const keys = new SigningKeys(this.dataDir, config)
    const policy = authorities.policy().fields
    await keys.load(policy)
    if (signed.head.size > guard.last.size) await guard.write(signed.head)

    this.disk = new Disk()
    this.fatal = []
    const { disk } = this
    this.reader = reader
    this.edge = edge
    this.sequencer = createSequencer({
      store: {
        async holders(entries) {
          await disk.pass('lookup')
          const holders = await store.holders(entries)
          disk.lookedUp += entries.length
          return holders.map(disk.misread)
        },
        async commit(batch) {
          await disk.pass('commit')
          await store.commit(batch)
          disk.events.push(`commit ${batch.signed.head.size}`)
        },
      },
      guard: {
        async write(mark) {
          await disk.pass('guard')
          await guard.write(mark)
          disk.events.push(`guard ${mark.size}`)
        },
      },
      edge,
      publication,
      reader,
      origin: ORIGIN,
      keys,
      policy,
      limits,
      now: () => NOW,
      fatal: (error) => this.fatal.push(error),
      observer: { sequenced: (batch) => this.observed.push(batch) },
      milliseconds: () => this.milliseconds,
    })
    this.#close = async () => {
      await this.sequencer.drain()
      await store.close()
      await guard.close()
    }
  }

  async close(): Promise<void> {
    await this.#close()
    this.#close = async () => undefined
  }

  async reopen(limits: Partial<SequencerLimits> = {}): Promise<void> {
    await this.close()
    await this.open(limits)
  }

  /** A copy of the closed or idle log's directory, as a backup program would make it. */
  async copy(): Promise<string> {
    const copy = await mkdtemp(join(tmpdir(), 'provlog-test-copy-'))
    await cp(this.dataDir, copy, { recursive: true })
    return copy
  }

  async remove(): Promise<void> {
    await this.close()
    await rm(this.dataDir, { recursive: true })
  }

  /** Appends `count` raw entries in one go. */
  appendRaw(count: number, caller?: string): Promise<number[]> {
    const from = rawCount
    rawCount += count
    return Promise.all(Array.from({ length: count }, (_, i) => this.sequencer.appendRaw(rawBody(from + i), caller)))
  }

  /** As {@link appendRaw}, while a commit is held: resolves when the next batch will have all of them. */
  async queueRaw(count: number, caller?: string): Promise<{ appended: Promise<number[]> }> {
    const end = this.disk.lookedUp + count
    const appended = this.appendRaw(count, caller)
    while (this.disk.lookedUp < end) await nextTurn()
    await nextTurn()
    return { appended }
  }

  /** Re-verifies everything that a reader can see. Proofs of all entries up to 600, and of some of a longer log. */
  async checkLog(size: number): Promise<void> {
    const { reader } = this
    const { vkey, origin } = this.created
    const head = reader.treeHead()
    const checkpoint = openCheckpoint(reader.checkpoint(), { origin, verifiers: [parseVkey(vkey)] })
    assert.equal(checkpoint.size, size)
    assert.equal(head.size, size)
    assert.deepEqual(checkpoint.root, head.root)

    // From statements to root, through what replaying clients read.
    let range = EMPTY_RANGE
    const entries: Uint8Array[] = []
    for (let n = 0; n * TILE_WIDTH < size; n++) {
      const width = tileWidth(0, n, size)
      const bundle = await reader.entryBundle(n, width)
      const statements = splitStatements(await whole(await reader.statementBundle(n, width)))
      assert.ok(bundle)
      const decoded = decodeEntryBundle(bundle, width)
      assert.equal(statements.length, width)
      for (const [i, statement] of statements.entries()) assert.ok(equalBytes(sha256(statement), decoded[i]!))
      entries.push(...decoded)
      range = appendLeaves(range, hashEntryBundle(bundle, width))
    }
    assert.deepEqual(rangeRoot(range), head.root)

    // Every tile that a checkpoint of this size implies, and none beyond it.
    for (const tile of tilesOfSize(size)) {
      const bytes = await reader.tile(tile)
      assert.ok(bytes, `tile ${tile.level}/${tile.index}`)
      assert.equal(splitHashes(bytes).length, tile.width)
      if (tile.width < TILE_WIDTH) assert.equal(await reader.tile({ ...tile, width: tile.width + 1 }), undefined)
    }
    assert.deepEqual(await readRoot(size, reader), head.root)

    for (const earlier of this.#seen) {
      const proof = await reader.consistencyProof(earlier.size, size)
      checkConsistency({ size1: earlier.size, root1: earlier.root, size2: size, root2: head.root, proof })
    }
    this.#seen.push({ size, root: head.root })

    for (const index of sample(size)) {
      const entry = entries[index]!
      assert.deepEqual(await reader.entryAt(index), entry)
      const meta = await reader.locate(entry)
      assert.equal(meta?.index, index)
      const statement = await reader.statement(index)
      assert.ok(statement && equalBytes(sha256(statement), entry))
      const proof = await reader.inclusionProof(index, size)
      checkInclusion({ index, size, leafHash: hashLeaf(entry), proof }, head.root)
      await this.checkReceipt(await reader.receipt(index), entry, index)
    }
    for (const lookup of [reader.entryAt(size), reader.statement(size), reader.meta(size)]) {
      assert.equal(await lookup, undefined)
    }
  }

  /** Verifies a receipt as its holder would. Returns the tree size that it is for. */
  async checkReceipt(receipt: Uint8Array, entry: Hash, index: number): Promise<number> {
    const verified = await verifyReceipt(parseReceipt(receipt), entry, this.#receiptKey, { origin: ORIGIN })
    assert.equal(verified.index, index)
    return verified.size
  }
}

function sample(size: number): number[] {
  if (size <= 600) return Array.from({ length: size }, (_, i) => i)
  return [0, 1, 254, 255, 256, 257, Math.floor(size / 2), size - 257, size - 256, size - 255, size - 2, size - 1]
}

async function whole(bundle: StatementBundle | undefined): Promise<Uint8Array> {
  assert.ok(bundle)
  const all: Uint8Array[] = []
  for await (const piece of bundle.read(0, bundle.length)) all.push(piece)
  assert.equal(concatBytes(...all).length, bundle.length)
  return concatBytes(...all)
}

function splitStatements(bundle: Uint8Array): Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength)
  const statements: Uint8Array[] = []
  for (let at = 0; at < bundle.length; ) {
    const end = at + 4 + view.getUint32(at)
    statements.push(bundle.subarray(at + 4, end))
    at = end
  }
  return statements
}

let rawCount = 0

/** The n-th of the entries of {@link TestLog.appendRaw}. */
export function rawBody(n: number): Uint8Array {
  return new TextEncoder().encode(`raw entry ${n}`)
}

const random = notRandom('candidates')
const d = new Uint8Array(32).fill(7)

/** The P-256 key that signs test candidates: any key will do, since admission is not part of these tests. */
export async function testKey(): Promise<SigningKey> {
  const { createECDH } = await import('node:crypto')
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'))
  return importSigningKey({ kty: 'EC', crv: 'P-256', x: x!, y: y!, d: Buffer.from(d).toString('base64url') })
}

/** An issuance policy of the series `id`, as admission would hand it on. */
export async function policyCandidate(id: string, wraps: readonly Uint8Array[] = []): Promise<Candidate> {
  const key = await testKey()
  const { statement } = await buildRecordStatement(
    {
      type: 'issuance-policy',
      fields: { policyId: id, version: 1, mediaType: 'text/plain', digest: random(32), notBefore: NOW },
    },
    { key, issuer: 'spiffe://bank.example/issuer', now: NOW, random },
  )
  const verified = await verifySignedStatement(statement, await importVerificationKey(key.publicJwk))
  return candidateOf(recordStatementOf(verified), wraps)
}

/** The same content as `candidate`, signed once more: ECDSA signs differently each time. */
export async function signedAgain(candidate: Candidate): Promise<Candidate> {
  const key = await testKey()
  const { header, payload } = parseSignedStatement(candidate.statement)
  const { issuer, subject } = header
  const said = { contentType: RECORD_CONTENT_TYPE, typ: String(header.typ), payload }
  const statement = await signStatement({ issuer, subject, issuedAt: candidate.issuedAt, ...said }, key)
  const verified = await verifySignedStatement(statement, await importVerificationKey(key.publicJwk))
  return candidateOf(recordStatementOf(verified), [])
}
