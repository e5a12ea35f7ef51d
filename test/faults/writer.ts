/**
 * Somebody who may write to a log, and signed statements of theirs: policies, the smallest records there are.
 *
 * @module
 */
import { sha256, utf8 } from '../../merkle/index.ts'
import { type Author, buildRecordStatement } from '../../provenance/index.ts'

export class Writer {
  readonly #author: Author
  #count = 0

  constructor(author: Author) {
    this.#author = author
  }

  /** @param shift - seconds by which the writer's clock is off */
  async statement(shift = 0): Promise<Uint8Array> {
    const now = this.#author.now + shift
    const policyId = `policy-${this.#count++}`
    const { statement } = await buildRecordStatement(
      {
        type: 'issuance-policy',
        fields: {
          ...{ policyId, version: 1, mediaType: 'text/plain', digest: sha256(utf8(policyId)) },
          notBefore: now,
        },
      },
      { ...this.#author, now },
    )
    return statement.bytes
  }

  statements(count: number): Promise<Uint8Array[]> {
    return Promise.all(Array.from({ length: count }, () => this.statement()))
  }
}
