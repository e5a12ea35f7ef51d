/**
 * Statements as they come from the log. Ahead of their turn they are hashed and their signatures checked (`signature-threads.ts`), a bundle or
 * two before anybody asks who may sign; in their turn they are read.
 *
 * By which key? A kid is the thumbprint of a key, so it is enough that somebody said which key that is: the log's authorizations so far, or
 * one in a record that came and was not judged yet. Whether it was authorized at that place is asked when the statement is judged.
 *
 * @module
 */
import { EvidenceError, type Hash } from '../../merkle/index.ts'
import { decodePublicKey, isRecordStatement, type ProvenanceRecord, recordOfStatement } from '../../provenance/index.ts'
import {
  algorithmOfKey,
  kidOf,
  type PublicJwk,
  parseSignedStatement,
  SignatureCheck,
  type SignedStatement,
  type VerifiedStatement,
} from '../../statement/index.ts'
import { authorizesSomebody } from './recorded.ts'
import { type CheckedBundle, SignatureThreads } from './signature-threads.ts'
import { type Flaw, flawOf } from './verification.ts'

/** What is in the bytes for an entry. */
export interface ReadStatement {
  /** Absent with a reason in `flaw`. */
  readonly statement?: SignedStatement
  /** Why it is no statement, or no record; or that its signature does not hold. */
  readonly flaw?: Flaw
  /** Of one whose key was known ahead of time. */
  readonly verified?: VerifiedStatement
}

/** With what it says. */
export interface ReadRecord extends ReadStatement {
  /** Absent too of a statement that is no record of ours. */
  readonly record?: ProvenanceRecord
  /** `statementIdentity`, where it was worked out already. */
  readonly identity?: Hash
}

export interface StatementReaderOptions {
  /** What is read lives longer than the bundle that it came in, all of which a view of a part would hold on to. */
  readonly keep?: boolean
  /** Whether the threads are to say the identity of each statement. */
  readonly identities?: boolean
}

/** As many as are under way. */
const MAX_SPARE = 8
/** Keys that were said to be somebody's, and by nobody who may. */
const MAX_DECLARED = 65_536

export class StatementReader {
  readonly #known: (kid: string) => PublicJwk | undefined
  readonly #keep: boolean
  readonly #identities: boolean
  readonly #threads: SignatureThreads
  readonly #declared = new Map<string, PublicJwk>()
  /** Shared memory of bundles that nobody reads any more, the smallest first. */
  readonly #spare: Uint8Array[] = []

  /** @param known - the key that the log authorized, or once authorized, under a name */
  constructor(
    known: (kid: string) => PublicJwk | undefined,
    { keep = false, identities = false }: StatementReaderOptions = {},
  ) {
    this.#known = known
    this.#keep = keep
    this.#identities = identities
    this.#threads = new SignatureThreads({
      identities,
      keysFor: (kids, declaring) => {
        for (const bytes of declaring) this.#declare(bytes)
        return kids.map((kid) => this.#keyOf(kid)).filter((key) => key !== undefined)
      },
    })
  }

  /** Where the next bundle may go, of which nobody knows how long it is. */
  room(): Uint8Array | undefined {
    return this.#spare.pop()
  }

  /** A bundle of which nobody reads anything any more. The collector does not count shared memory, so the next bundles go there. */
  release({ bytes }: CheckedBundle): void {
    // Otherwise it is not shared.
    if (this.#keep) this.#giveOut(bytes)
  }

  /** Has the threads begin while there is nothing for them yet. */
  start(): void {
    this.#threads.start()
  }

  /** A bundle of `count` statements, which are read as views unless they are kept: then what comes back has memory of its own. */
  async ahead(bundle: Uint8Array, count: number): Promise<CheckedBundle> {
    const checked = await this.#threads.check(inSharedMemory(bundle), count)
    if (this.#keep) return checked
    const own = checked.inMemoryOfItsOwn()
    this.#giveOut(checked.bytes)
    return own
  }

  /** The record at a place of a bundle. */
  read(bundle: CheckedBundle, place: number): ReadRecord {
    const read = this.signed(bundle, place)
    const { statement } = read
    if (statement === undefined || !isRecordStatement(statement)) return read
    try {
      const record = recordOfStatement(statement)
      const asked = bundle.validAt(place) !== undefined && this.#identities
      const identity = asked && { identity: bundle.identityAt(place) }
      const lives = authorizesSomebody(record.type) && !this.#keep
      if (!lives) return { ...read, record, ...identity }
      // Another record, of bytes of its own.
      const own = this.#signed(bundle, place, false)
      return { ...own, record: recordOfStatement(own.statement!), ...identity }
    } catch (error) {
      return { flaw: refused(error) }
    }
  }

  /** The statement at a place of a bundle, whatever it says. */
  signed(bundle: CheckedBundle, place: number): ReadStatement {
    return this.#signed(bundle, place, !this.#keep)
  }

  close(): void {
    this.#threads.close()
  }

  #giveOut(bytes: Uint8Array): void {
    this.#spare.push(new Uint8Array(bytes.buffer))
    this.#spare.sort((a, b) => a.length - b.length)
    if (this.#spare.length > MAX_SPARE) this.#spare.shift()
  }

  #signed(bundle: CheckedBundle, place: number, views: boolean): ReadStatement {
    const entry = bundle.entryAt(place)
    if (entry === undefined) return { flaw: ['statement-erased', 'the log has no bytes for it'] }
    try {
      const statement = parseSignedStatement(bundle.statementAt(place), { views, entry: views ? entry : entry.slice() })
      if (statement.unprotected.size > 0) {
        const why = 'its encoding is not the canonical one, or its unprotected header is not empty'
        return { flaw: ['statement-malformed', why] }
      }
      const valid = bundle.validAt(place)
      return valid === undefined ? { statement } : { statement, ...this.#verifiedBy(statement, valid) }
    } catch (error) {
      return { flaw: refused(error) }
    }
  }

  /** What comes of the signature, where it was checked with the key that the statement names. */
  #verifiedBy(statement: SignedStatement, valid: boolean): Pick<ReadStatement, 'flaw' | 'verified'> {
    const { kid = '' } = statement.header
    const jwk = this.#keyOf(kid)
    if (jwk === undefined) return {}
    try {
      return { verified: new SignatureCheck(statement, { algorithm: algorithmOfKey(jwk), kid, jwk }).concluded(valid) }
    } catch (error) {
      return { flaw: refused(error) }
    }
  }

  #keyOf(kid: string): PublicJwk | undefined {
    return this.#known(kid) ?? this.#declared.get(kid)
  }

  #declare(bytes: Uint8Array): void {
    let record: ProvenanceRecord
    try {
      record = recordOfStatement(parseSignedStatement(bytes))
    } catch (error) {
      // Whatever is wrong with it is told in its turn.
      if (error instanceof EvidenceError) return
      throw error
    }
    if (record.type !== 'key-authorization' && record.type !== 'log-policy') return
    if (this.#declared.size >= MAX_DECLARED) this.#declared.clear()
    const keys = record.type === 'log-policy' ? record.fields.adminKeys : [record.fields.key]
    for (const jwk of keys.map(decodePublicKey)) this.#declared.set(kidOf(jwk), jwk)
  }
}

/** Where it is already, if there was room for it. The others of a log are hardly longer, and have room where it goes. */
function inSharedMemory(bundle: Uint8Array): Uint8Array {
  if (bundle.buffer instanceof SharedArrayBuffer) return bundle
  const shared = new Uint8Array(new SharedArrayBuffer(Math.ceil(bundle.length * 1.125)), 0, bundle.length)
  shared.set(bundle)
  return shared
}

function refused(error: unknown): Flaw {
  if (!(error instanceof EvidenceError)) throw error
  return [flawOf(error, 'statement-malformed'), `${error.code}: ${error.message}`]
}
