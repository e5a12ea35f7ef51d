/**
 * Registering many statements at a time: `POST v1/entries`, a CBOR sequence (RFC 8742) of statements for one of receipts and refusals.
 *
 * Not part of SCRAPI. A log that has no such path gets its statements one after another, with the same outcome.
 *
 * @module
 */
import { UnavailableError } from '../../merkle/index.ts'
import { asBytes, decodeCbor, decodeProblem, encodeCborSequence, splitCborSequence } from '../../statement/index.ts'
import { AnswerError, RefusedError } from './error.ts'
import type { FetchAnswer, Fetcher } from './fetcher.ts'
import { patiently, postStatement, type Sleep } from './register.ts'

/** In one request. A log of ours takes 1000, and 4 MiB. */
const MAX_STATEMENTS = 250
const MAX_BYTES = 2 * 1024 * 1024
/** A path of 54 hashes, a signature, and a header that names the log. */
const MAX_RECEIPT_BYTES = 8192

/**
 * Sends statements in this order, and returns for each its receipt, unverified, or why there is none: a `RefusedError`, or an
 * `UnavailableError` when this one was not taken for now.
 *
 * @throws `RefusedError` for a log that refuses them as a whole; `UnavailableError` after the last attempt; `AnswerError` `malformed_answer`
 */
export async function postStatements(
  statements: readonly Uint8Array[],
  fetcher: Fetcher,
  sleep: Sleep,
): Promise<(Uint8Array | Error)[]> {
  const outcomes: (Uint8Array | Error)[] = []
  for (const batch of batchesOf(statements)) {
    // One has no use for it, and one that is too large for a batch may still be small enough for the log.
    outcomes.push(
      ...(batch.length > 1 ? await postBatch(batch, fetcher, sleep) : await postEach(batch, fetcher, sleep)),
    )
  }
  return outcomes
}

function* batchesOf(statements: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = []
  let bytes = 0
  for (const statement of statements) {
    if (batch.length === MAX_STATEMENTS || (batch.length > 0 && bytes + statement.length > MAX_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(statement)
    bytes += statement.length
  }
  if (batch.length > 0) yield batch
}

async function postBatch(
  batch: readonly Uint8Array[],
  fetcher: Fetcher,
  sleep: Sleep,
): Promise<(Uint8Array | Error)[]> {
  try {
    return await patiently(sleep, async () => {
      const answer = await fetcher.fetch({
        method: 'POST',
        path: 'v1/entries',
        accept: 'application/cbor-seq, application/concise-problem-details+cbor',
        contentType: 'application/cbor-seq',
        body: encodeCborSequence(batch),
        maxBytes: batch.length * MAX_RECEIPT_BYTES,
      })
      return outcomesIn(answer, batch.length)
    })
  } catch (error) {
    if (error instanceof RefusedError && NO_SUCH_PATH.includes(error.status)) return postEach(batch, fetcher, sleep)
    throw error
  }
}

const NO_SUCH_PATH: readonly number[] = [404, 405]

async function postEach(batch: readonly Uint8Array[], fetcher: Fetcher, sleep: Sleep): Promise<(Uint8Array | Error)[]> {
  const outcomes: (Uint8Array | Error)[] = []
  for (const statement of batch) {
    try {
      outcomes.push(await postStatement(statement, fetcher, sleep))
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      outcomes.push(error)
    }
  }
  return outcomes
}

function outcomesIn({ status, body }: FetchAnswer, count: number): (Uint8Array | Error)[] {
  if (status !== 200) throw new AnswerError('malformed_answer', `v1/entries: HTTP ${status}`)
  const items = splitCborSequence(body, count)
  if (items.length !== count) {
    throw new AnswerError('malformed_answer', `${items.length} answers for ${count} statements`)
  }
  return items.map(outcomeIn)
}

/** A byte string is a receipt, and a map is why there is none. */
function outcomeIn(item: Uint8Array): Uint8Array | Error {
  if (item[0]! >> 5 === BYTE_STRING) return asBytes(decodeCbor(item, { maxBytes: 2 * MAX_RECEIPT_BYTES }), 'a receipt')
  const { title, detail, code, status = 400 } = decodeProblem(item)
  if (status >= 500) return new UnavailableError(`${title}: ${detail}`)
  return new RefusedError({ status, code: code ?? `http_${status}`, title, detail })
}

const BYTE_STRING = 2
