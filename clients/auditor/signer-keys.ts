/**
 * The keys that the log authorized, ready to verify with.
 *
 * @module
 */
import { type Authorities, foundingKey, recordOfStatement } from '../../provenance/index.ts'
import {
  importVerificationKey,
  type PublicJwk,
  type SignedStatement,
  type VerificationKey,
} from '../../statement/index.ts'

export class SignerKeys {
  readonly authorities: Authorities
  readonly #imported = new Map<string, Promise<VerificationKey>>()

  constructor(authorities: Authorities) {
    this.authorities = authorities
  }

  /** The key that a statement names, if the log authorized it before; for the very first, if the policy in it names it. */
  async of(statement: SignedStatement): Promise<VerificationKey | undefined> {
    const { kid = '' } = statement.header
    const known = this.#imported.get(kid)
    if (known !== undefined && this.authorities.keyOf(kid) !== undefined) return known
    const jwk = this.authorities.hasPolicy ? this.authorities.keyOf(kid) : foundingKeyIn(statement, kid)
    if (jwk === undefined) return undefined
    const key = importVerificationKey(jwk)
    this.#imported.set(kid, key)
    return key
  }
}

function foundingKeyIn(statement: SignedStatement, kid: string): PublicJwk | undefined {
  const record = recordOfStatement(statement)
  return record.type === 'log-policy' ? foundingKey(record, kid) : undefined
}
