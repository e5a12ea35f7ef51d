/**
 * A log in memory that holds whatever a test puts there, admissible or not, under a tree and a checkpoint that are sound: what an
 * auditor meets when a log server let something in.
 *
 * @module
 */
import type { AuditLog } from '../../clients/auditor/index.ts'
import {
  appendLeaves,
  concatBytes,
  createNoteSigner,
  EMPTY_RANGE,
  encodeEntryBundle,
  HASH_LENGTH,
  type Hash,
  hashLeaf,
  hashPairs,
  openCheckpoint,
  parseVkey,
  rangeRoot,
  sha256,
  signCheckpoint,
  TILE_WIDTH,
  type TileId,
  toHex,
  type VerifiedCheckpoint,
} from '../../merkle/index.ts'
import {
  buildRecordStatement,
  type NewRecord,
  type RecordType,
  recordStatementOf,
  type Trust,
} from '../../provenance/index.ts'
import {
  importVerificationKey,
  type PublicJwk,
  parseSignedStatement,
  verifySignedStatement,
} from '../../statement/index.ts'
import { author, ORIGIN, type Party } from '../provenance/small-log.ts'

const signer = createNoteSigner(ORIGIN, new Uint8Array(32).fill(5))

/** Trusts the made-up log and nobody else. */
export const TRUST: Trust = {
  logs: [{ origin: ORIGIN, vkey: signer.vkey, verifier: parseVkey(signer.vkey) }],
  trustDomains: new Map(),
  issuers: new Set(),
  verifiers: new Set(),
  minimumTier: 'affirming',
}

export class MadeUpLog implements AuditLog {
  /** What is served for each entry. */
  readonly statements: Uint8Array[] = []
  readonly entries: Uint8Array[] = []
  readonly certificatesOf = new Map<string, Uint8Array[]>()
  readonly wrapsOf = new Map<string, Uint8Array[]>()
  readonly #keys = new Map<string, PublicJwk>()

  /** Signs a record and puts it at the end, whatever it says. Returns its entry. */
  async add<T extends RecordType>(record: NewRecord<T>, party: Party, now: number): Promise<Hash> {
    const built = await buildRecordStatement(record, author(party, now))
    this.#keys.set(party.kid, party.publicJwk)
    this.wrapsOf.set(toHex(built.statement.entry), built.wraps)
    return this.put(built.statement.bytes)
  }

  put(statement: Uint8Array): Hash {
    this.statements.push(statement)
    this.entries.push(sha256(statement))
    return this.entries.at(-1)!
  }

  get size(): number {
    return this.entries.length
  }

  get note(): string {
    const range = appendLeaves(EMPTY_RANGE, this.#packed(0, 0, this.size))
    return signCheckpoint({ origin: ORIGIN, size: this.size, root: rangeRoot(range) }, [signer])
  }

  async checkpoint(): Promise<VerifiedCheckpoint> {
    return openCheckpoint(this.note, { origin: ORIGIN, verifiers: [parseVkey(signer.vkey)] })
  }

  async acceptCheckpoint(note: string): Promise<VerifiedCheckpoint> {
    return openCheckpoint(note, { origin: ORIGIN, verifiers: [parseVkey(signer.vkey)] })
  }

  async origin(): Promise<string> {
    return ORIGIN
  }

  async vkeys(): Promise<string[]> {
    return [signer.vkey]
  }

  async entryBundle(index: number, width: number): Promise<Uint8Array> {
    return encodeEntryBundle(this.entries.slice(index * TILE_WIDTH, index * TILE_WIDTH + width))
  }

  async packedStatements(index: number, width: number): Promise<Uint8Array> {
    const statements = this.statements.slice(index * TILE_WIDTH, index * TILE_WIDTH + width)
    return concatBytes(...statements.flatMap((each) => [lengthOf(each), each]))
  }

  readonly tiles = {
    readTiles: async (tiles: readonly TileId[]) =>
      tiles.map(({ level, index, width }) => this.#packed(level, index * TILE_WIDTH, index * TILE_WIDTH + width)),
  }

  async record(entry: Hash) {
    const index = this.entries.findIndex((each) => toHex(each) === toHex(entry))
    const statement = parseSignedStatement(this.statements[index]!)
    const key = await importVerificationKey(this.#keys.get(statement.header.kid!)!)
    return { ...recordStatementOf(await verifySignedStatement(statement, key)), index }
  }

  async certificates(entry: Hash): Promise<Uint8Array[]> {
    return this.certificatesOf.get(toHex(entry)) ?? []
  }

  async wraps(entry: Hash): Promise<Uint8Array[]> {
    return this.wrapsOf.get(toHex(entry)) ?? []
  }

  /** Hashes [start, end) of a tile level. */
  #packed(level: number, start: number, end: number): Uint8Array {
    const span = TILE_WIDTH ** level
    const leaves = this.entries.slice(start * span, end * span)
    let row: Uint8Array = new Uint8Array(leaves.length * HASH_LENGTH)
    for (const [i, entry] of leaves.entries()) row.set(hashLeaf(entry), i * HASH_LENGTH)
    for (let i = 0; i < 8 * level; i++) row = hashPairs(row)
    return row
  }
}

function lengthOf({ length }: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, length)
  return bytes
}
