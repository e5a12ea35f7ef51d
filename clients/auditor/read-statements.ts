/**
 * Statements as they come from the log: read, and their signatures checked ahead of time, a bundle or two before anybody asks who may sign.
 *
 * By which key? A kid is the thumbprint of a key, so it is enough that somebody said which key that is: the log's authorizations so far, or
 * one in a record that was read and not judged yet. Whether it was authorized at that place is asked when the statement is judged.
 *
 * @module
 */
import { EvidenceError, type Hash, sha256 } from '../../merkle/index.ts'
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
import { SignatureThreads } from './signature-threads.ts'
import { type Flaw, flawOf } from './statements.ts'

/** What is in the bytes for an entry. */
export interface ReadStatement {
  /** SHA-256 of the bytes; undefined where the log has none. */
  readonly entry: Hash | undefined
  /** Absent with a reason in `flaw`. */
  readonly statement?: SignedStatement
  /** Absent too of a statement that is no record of ours. */
  readonly record?: ProvenanceRecord
  /** Why it is no statement, or no record; or that its signature does not hold. */
  flaw?: Flaw
  /** Of a record whose key was known ahead of time. */
  verified?: VerifiedStatement
  /** `statementIdentity`, with `verified`. */
  identity?: Hash
}

/** Keys that were said to be somebody's, and by nobody who may. */
const MAX_DECLARED = 65_536

export class StatementReader {
  readonly #known: (kid: string) => PublicJwk | undefined
  readonly #threads = new SignatureThreads()
  readonly #declared = new Map<string, PublicJwk>()

  /** @param known - the key that the log authorized, or once authorized, under a name */
  constructor(known: (kid: string) => PublicJwk | undefined) {
    this.#known = known
  }

  /** Reads them at once; `done` when their signatures are checked. */
  read(statements: readonly Uint8Array[]): { readonly read: readonly ReadStatement[]; readonly done: Promise<void> } {
    const read = statements.map(readStatement)
    for (const { record } of read) if (record) this.#declare(record)
    return { read, done: this.#verify(read) }
  }

  close(): void {
    this.#threads.close()
  }

  async #verify(read: readonly ReadStatement[]): Promise<void> {
    const checks: {
      each: ReadStatement
      check: SignatureCheck
      kid: string
      jwk: PublicJwk
      statement: SignedStatement
    }[] = []
    for (const each of read) {
      const { statement, record } = each
      const kid = statement?.header.kid ?? ''
      const jwk = this.#known(kid) ?? this.#declared.get(kid)
      if (!statement || !record || !jwk) continue
      try {
        const check = new SignatureCheck(statement, { algorithm: algorithmOfKey(jwk), kid, jwk })
        checks.push({ each, check, kid, jwk, statement })
      } catch (error) {
        each.flaw = refused(error)
      }
    }
    const verdicts = await this.#threads.verify(checks)
    for (const [i, { each, check }] of checks.entries()) {
      const { valid, identity } = verdicts[i]!
      try {
        each.verified = check.concluded(valid)
        each.identity = identity
      } catch (error) {
        each.flaw = refused(error)
      }
    }
  }

  #declare(record: ProvenanceRecord): void {
    if (record.type !== 'key-authorization' && record.type !== 'log-policy') return
    if (this.#declared.size >= MAX_DECLARED) this.#declared.clear()
    const keys = record.type === 'log-policy' ? record.fields.adminKeys : [record.fields.key]
    for (const jwk of keys.map(decodePublicKey)) this.#declared.set(kidOf(jwk), jwk)
  }
}

function readStatement(bytes: Uint8Array): ReadStatement {
  if (bytes.length === 0) return { entry: undefined, flaw: ['statement-erased', 'the log has no bytes for it'] }
  try {
    const statement = parseSignedStatement(bytes)
    if (statement.unprotected.size > 0) {
      const why = 'its encoding is not the canonical one, or its unprotected header is not empty'
      return { entry: sha256(bytes), flaw: ['statement-malformed', why] }
    }
    return readRecord(statement)
  } catch (error) {
    return { entry: sha256(bytes), flaw: refused(error) }
  }
}

/** An envelope without unprotected headers has one form, so its entry is that of the bytes. */
function readRecord(statement: SignedStatement): ReadStatement {
  const { entry } = statement
  if (!isRecordStatement(statement)) return { entry, statement }
  try {
    return { entry, statement, record: recordOfStatement(statement) }
  } catch (error) {
    return { entry, flaw: refused(error) }
  }
}

function refused(error: unknown): Flaw {
  if (!(error instanceof EvidenceError)) throw error
  return [flawOf(error, 'statement-malformed'), `${error.code}: ${error.message}`]
}
