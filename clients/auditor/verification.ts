/**
 * What a statement is worth by itself at its place: signed by a key that the log authorized at some time, or let in by its policy as a
 * statement that is no record; or what is wrong with it.
 *
 * That the signature holds is mostly known by then (`read-statements.ts`). Whether such a signer may sign such a record here is asked afterwards.
 *
 * @module
 */
import { EvidenceError, type Hash } from '../../merkle/index.ts'
import { checkForeign, type ForeignStatement, isRecordStatement, PathCache } from '../../provenance/index.ts'
import {
  type SignedStatement,
  StatementError,
  type VerifiedStatement,
  verifySignedStatement,
} from '../../statement/index.ts'
import { MAX_CLOCK_SKEW } from './check-clear.ts'
import type { CheckId } from './checks.ts'
import type { ReadStatement } from './read-statements.ts'
import type { SignerKeys } from './signer-keys.ts'

/** What is wrong with a statement by itself. */
export type Flaw = readonly [check: CheckId, detail: string]

export interface Verified {
  /** Of a record: the key was found by the kid that the header names, and a kid is a thumbprint. */
  readonly statement?: VerifiedStatement
  readonly foreign?: ForeignStatement
  readonly flaw?: Flaw
}

/** The certificates that a log keeps beside an entry, leaf first. None of them is believed before it is checked. */
export type CertificateSource = (entry: Hash) => Promise<readonly Uint8Array[]>

export interface VerificationOptions {
  readonly keys: SignerKeys
  /** POSIX seconds. */
  readonly now: number
  readonly certificates: CertificateSource
}

export class Verification {
  readonly #options: VerificationOptions
  readonly #paths = new PathCache()

  constructor(options: VerificationOptions) {
    this.#options = options
  }

  async of({ statement, flaw, verified }: ReadStatement, index: number): Promise<Verified> {
    if (statement === undefined) return flaw === undefined ? {} : { flaw }
    const isRecord = isRecordStatement(statement)
    try {
      if (!isRecord) return { foreign: await this.#checkForeign(statement, index) }
      const { keys } = this.#options
      const { kid = '' } = statement.header
      // A signature that holds says nothing of who may sign here.
      const { authorities } = keys
      const key = authorities.hasPolicy ? authorities.keyOf(kid) : await keys.of(statement)
      if (key === undefined) return { flaw: ['signer-unauthorized', `unknown_key: ${kid} is not authorized`] }
      if (flaw) return { flaw }
      return { statement: verified ?? (await verifySignedStatement(statement, (await keys.of(statement))!)) }
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      const flaw = flawOf(error, isRecord ? 'statement-malformed' : 'foreign-refused')
      return { flaw: [flaw, `${error.code}: ${error.message}`] }
    }
  }

  async #checkForeign(statement: SignedStatement, index: number): Promise<ForeignStatement> {
    const { keys, now, certificates } = this.#options
    const policy = keys.authorities.policyAt(index)
    const { x5chain, x5t } = statement.header
    // A chain that came unprotected is not in the entry; x5t says whether what the log shows is the right one.
    const beside = x5t && !x5chain && policy?.foreign && { certificates: await certificates(statement.entry) }
    const context = { policy, now, maxClockSkew: MAX_CLOCK_SKEW, onLog: true, paths: this.#paths }
    return checkForeign(statement, { ...context, ...beside })
  }
}

/** What a statement that was refused is. */
export function flawOf(error: EvidenceError, otherwise: CheckId): CheckId {
  if (error instanceof StatementError && error.code === 'bad_signature') return 'signature-invalid'
  return error.code === 'token_in_clear' ? 'token-in-clear' : otherwise
}
