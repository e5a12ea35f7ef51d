/**
 * What must not come twice, or not under two names, and is sealed: kept as names that only the auditor's key makes, because the files of an
 * audit must tell nobody else what was in a record.
 *
 *     nonce/<tag>          a challenge that evidence answered, to one Verifier
 *     key/<tag>            a workload's key
 *     key/<tag>/<tag>      the same, and whose it is said to be
 *
 * @module
 */
import { createHmac } from 'node:crypto'
import { deriveTagKey } from '../../provenance/index.ts'
import type { PrivateJwk } from '../../statement/index.ts'

export class Marks {
  readonly #key: Uint8Array

  constructor(auditor: PrivateJwk) {
    this.#key = deriveTagKey(auditor)
  }

  nonce(verifier: string, nonce: Uint8Array): string {
    return `nonce/${this.#tag('nonce', verifier, Buffer.from(nonce).toString('hex'))}`
  }

  key(thumbprint: string): string {
    return `key/${this.#tag('key', thumbprint)}`
  }

  holder(thumbprint: string, subject: string): string {
    return `${this.key(thumbprint)}/${this.#tag('holder', thumbprint, subject)}`
  }

  #tag(...values: readonly string[]): string {
    return createHmac('sha256', this.#key).update(JSON.stringify(values)).digest('base64url').slice(0, 22)
  }
}
