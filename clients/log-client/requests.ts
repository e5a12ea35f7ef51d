/**
 * Questions to a log whose answer is a body: which statuses mean what, and how long each kind of answer may be.
 *
 * @module
 */
import { concatBytes } from '../../merkle/index.ts'
import { asArray, asBytes, decodeCbor } from '../../statement/index.ts'
import { AnswerError, RefusedError } from './error.ts'
import { BrokenAnswerError, type Fetcher } from './fetcher.ts'

/** Bytes at most, by kind of answer. */
export const MAX_BYTES = {
  statement: 4 * 1024 * 1024,
  provenance: 8 * 1024 * 1024,
  list: 64 * 1024 * 1024,
  statements: 256 * 1024 * 1024,
  /** 256 entries of at most 65 535 bytes; ours have 32. */
  entries: 256 * (2 + 0xffff),
} as const

/** Parts of one answer: of a bundle at its largest, 8 MiB each. */
const ATTEMPTS = 32

export class Requests {
  readonly #fetcher: Fetcher

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher
  }

  /** The body of a 200. @throws what {@link Fetcher.fetch} throws; `AnswerError` `malformed_answer` for a redirect */
  async get(path: string, maxBytes: number, into?: Uint8Array): Promise<Uint8Array> {
    const { status, body } = await this.#fetcher.fetch({ path, maxBytes, ...(into && { into }) })
    if (status !== 200) throw new AnswerError('malformed_answer', `${path}: HTTP ${status}`)
    return body
  }

  /**
   * As {@link get}, for what is long: where an answer breaks off, the rest of it is asked for, as long as more of it comes each time. If it
   * has changed meanwhile, the log sends the whole again.
   */
  async getResumed(path: string, maxBytes: number, into?: Uint8Array): Promise<Uint8Array> {
    let begun = { received: new Uint8Array(0) as Uint8Array, etag: '' }
    for (let attempt = 1; ; attempt++) {
      const { received, etag } = begun
      const after = received.length > 0 && { after: { length: received.length, etag } }
      try {
        // The first time alone: what came of it may be there.
        const room = into && attempt === 1 && { into }
        const { status, headers, body } = await this.#fetcher.fetch({ path, maxBytes, ...after, ...room })
        if (status === 200) return body
        const rest = headers['content-range']?.startsWith(`bytes ${received.length}-`)
        if (status !== 206 || !after || !rest || received.length + body.length > maxBytes) {
          throw new AnswerError('malformed_answer', `${path}: HTTP ${status}`)
        }
        return concatBytes(received, body)
      } catch (error) {
        if (!(error instanceof BrokenAnswerError) || error.received.length === 0 || attempt === ATTEMPTS) throw error
        begun = error.whole ? error : { etag, received: concatBytes(received, error.received) }
      }
    }
  }

  /** As {@link get}; undefined for a 404. */
  async find(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    try {
      return await this.get(path, maxBytes)
    } catch (error) {
      if (error instanceof RefusedError && error.status === 404) return undefined
      throw error
    }
  }

  /** A CBOR array of byte strings; empty for a 404. */
  async list(path: string): Promise<Uint8Array[]> {
    const bytes = await this.find(path, MAX_BYTES.list)
    return bytes === undefined ? [] : readByteStrings(bytes, path)
  }
}

/** @throws `StatementError` `malformed_cbor` */
export function readByteStrings(bytes: Uint8Array, title: string): Uint8Array[] {
  return asArray(decodeCbor(bytes, { maxBytes: MAX_BYTES.list }), title).map((item) => asBytes(item, title))
}
