/**
 * `/v1/statements/<n>`: up to 256 statements in a row, each after its length, as the log serves them for replay.
 *
 * ```
 *   00 00 01 a3  d2 84 …     00 00 02 10  d2 84 …
 * ```
 *
 * A length of zero stands for a statement that the log no longer keeps.
 *
 * @module
 */
import { AnswerError } from './error.ts'

const LENGTH_BYTES = 4

/**
 * The statements, as views of `bytes`.
 *
 * @throws `AnswerError` `malformed_answer` unless the bytes are exactly `count` statements
 */
export function decodeStatementBundle(bytes: Uint8Array, count: number): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const statements: Uint8Array[] = []
  let at = 0
  while (statements.length < count) {
    const start = at + LENGTH_BYTES
    if (start > bytes.length) throw malformed(bytes, count)
    at = start + view.getUint32(start - LENGTH_BYTES)
    if (at > bytes.length) throw malformed(bytes, count)
    statements.push(bytes.subarray(start, at))
  }
  if (at !== bytes.length) throw malformed(bytes, count)
  return statements
}

function malformed(bytes: Uint8Array, count: number): AnswerError {
  return new AnswerError('malformed_answer', `${bytes.length} bytes are not a bundle of ${count} statements`)
}
