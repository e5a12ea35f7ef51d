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
import {
  decodePublicKey,
  isRecordStatement,
  type ProvenanceRecord,
  recordOfStatement,
  recordTyp,
} from '../../provenance/index.ts'
import {
  algorithmOfKey,
  kidOf,
  layoutOf,
  type PublicJwk,
  parseSignedStatement,
  SignatureCheck,
  type SignedStatement,
  type VerifiedStatement,
} from '../../statement/index.ts'
import { authorizesSomebody } from './recorded.ts'
import { type Job, SignatureThreads, type Verdicts } from './signature-threads.ts'
import { type Flaw, flawOf } from './statements.ts'

/** A bundle whose turn has not come yet. */
export interface BundleAhead {
  readonly jobs: readonly Job[]
  readonly verdicts: Verdicts
  /** SHA-256 of each statement; undefined where the log has none. */
  readonly entries: readonly (Hash | undefined)[]
}

/** What is in the bytes for an entry. */
export interface ReadStatement {
  /** Absent with a reason in `flaw`. */
  readonly statement?: SignedStatement
  /** Absent too of a statement that is no record of ours. */
  readonly record?: ProvenanceRecord
  /** Why it is no statement, or no record; or that its signature does not hold. */
  readonly flaw?: Flaw
  /** Of a record whose key was known ahead of time. */
  readonly verified?: VerifiedStatement
  /** `statementIdentity`, where it was worked out already. */
  readonly identity?: Hash
}

/** Keys that were said to be somebody's, and by nobody who may. */
const MAX_DECLARED = 65_536
/** Statements in which somebody is said to have a key. */
const DECLARING: readonly string[] = [recordTyp('log-policy'), recordTyp('key-authorization')]

export class StatementReader {
  readonly #known: (kid: string) => PublicJwk | undefined
  readonly #keep: boolean
  readonly #threads = new SignatureThreads()
  readonly #declared = new Map<string, PublicJwk>()

  /**
   * @param known - the key that the log authorized, or once authorized, under a name
   * @param keep - what is read lives longer than the bundle that it came in, all of which a view of a part would hold on to
   */
  constructor(known: (kid: string) => PublicJwk | undefined, { keep = false }: { keep?: boolean } = {}) {
    this.#known = known
    this.#keep = keep
  }

  async ahead(statements: readonly Uint8Array[]): Promise<BundleAhead> {
    const jobs = statements.map((bytes) => this.#jobOf(bytes))
    const verdicts = await this.#threads.check(jobs)
    const entries = statements.map(({ length }, place) => (length === 0 ? undefined : verdicts.entryAt(place)))
    return { jobs, verdicts, entries }
  }

  /** What is at a place of a bundle. */
  read({ jobs, verdicts, entries }: BundleAhead, place: number): ReadStatement {
    const entry = entries[place]
    if (entry === undefined) return { flaw: ['statement-erased', 'the log has no bytes for it'] }
    const { bytes, signed } = jobs[place]!
    try {
      const read = this.#readOne(bytes, entry)
      const valid = verdicts.validAt(place)
      if (signed === undefined || valid === undefined || !read.statement || !read.record) return read
      return { ...read, identity: verdicts.identityAt(place), ...verifiedBy(read.statement, signed, valid) }
    } catch (error) {
      return { flaw: refused(error) }
    }
  }

  close(): void {
    this.#threads.close()
  }

  #jobOf(bytes: Uint8Array): Job {
    const layout = layoutOf(bytes)
    if (layout?.kid === undefined) return { bytes }
    const { kid, typ = '' } = layout
    if (DECLARING.includes(typ)) this.#declare(bytes)
    const jwk = this.#known(kid) ?? this.#declared.get(kid)
    return jwk === undefined ? { bytes } : { bytes, signed: { layout, kid, jwk } }
  }

  #readOne(bytes: Uint8Array, entry: Hash): ReadStatement {
    const read = this.#parse(bytes, entry, !this.#keep)
    const lives = read.record !== undefined && authorizesSomebody(read.record.type)
    return lives && !this.#keep ? this.#parse(bytes, entry.slice(), false) : read
  }

  #parse(bytes: Uint8Array, entry: Hash, views: boolean): ReadStatement {
    const statement = parseSignedStatement(bytes, { views, entry })
    if (statement.unprotected.size > 0) {
      const why = 'its encoding is not the canonical one, or its unprotected header is not empty'
      return { flaw: ['statement-malformed', why] }
    }
    if (!isRecordStatement(statement)) return { statement }
    return { statement, record: recordOfStatement(statement) }
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

/** What comes of the signature, where it was checked with the key that the statement names. */
function verifiedBy(
  statement: SignedStatement,
  { kid, jwk }: NonNullable<Job['signed']>,
  valid: boolean,
): Pick<ReadStatement, 'flaw' | 'verified'> {
  if (statement.header.kid !== kid) return {}
  try {
    return { verified: new SignatureCheck(statement, { algorithm: algorithmOfKey(jwk), kid, jwk }).concluded(valid) }
  } catch (error) {
    return { flaw: refused(error) }
  }
}

function refused(error: unknown): Flaw {
  if (!(error instanceof EvidenceError)) throw error
  return [flawOf(error, 'statement-malformed'), `${error.code}: ${error.message}`]
}
