/**
 * Statements of this log that were taken apart lately: the policies, keys and results that one story after another rests on.
 *
 * @module
 */
import { equalBytes } from '../../merkle/bytes.ts'
import { assert, EvidenceError } from '../../merkle/error.ts'
import { isRecordStatement, type ProvenanceRecord, recordOfStatement } from '../../provenance/record.ts'
import { parseSignedStatement, type SignedStatement } from '../../statement/signed-statement.ts'

export interface KnownStatement {
  readonly statement: SignedStatement
  /** Undefined in what is no record. */
  readonly record: ProvenanceRecord | undefined
}

/** Of at most 4 KiB each, of which most have one or two. */
const MAX_KNOWN = 2048
const MAX_BYTES = 4096

export class KnownStatements {
  /** By index, the oldest first. */
  readonly #known = new Map<number, KnownStatement>()

  /**
   * What is in the statement at `index`.
   *
   * @param bytes - as they are stored now: what was erased is not there to be asked about
   */
  read(index: number, bytes: Uint8Array): KnownStatement {
    const before = this.#known.get(index)
    if (before && equalBytes(before.statement.bytes, bytes)) return before
    const read = readStored(bytes)
    if (bytes.length > MAX_BYTES) return read
    if (this.#known.size === MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(index, read)
    return read
  }
}

/** A statement that this log has admitted once. That it does not read any more is our fault, not the reader's. */
function readStored(bytes: Uint8Array): KnownStatement {
  try {
    const statement = parseSignedStatement(bytes)
    return { statement, record: isRecordStatement(statement) ? recordOfStatement(statement) : undefined }
  } catch (cause) {
    assert(!(cause instanceof EvidenceError), `a stored statement is refused: ${String(cause)}`)
    throw cause
  }
}
