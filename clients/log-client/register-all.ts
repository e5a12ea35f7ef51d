/**
 * Registering many statements at a time: `POST v1/entries`, a CBOR sequence (RFC 8742) of statements for one of receipts and refusals; or, for
 * records of credentials, for the bundles of these, which are asked for next anyway.
 *
 * Not part of SCRAPI. A log that has no such path gets its statements one after another, with the same outcome; and one that answers with receipts
 * alone, as to whoever may not read, is asked for bundles by whoever wants them.
 *
 * @module
 */
import { type Hash, UnavailableError } from '../../merkle/index.ts'
import {
  BUNDLE_SET_MEDIA_TYPE,
  type Bundle,
  bundleIn,
  decodeBundleSet,
  MAX_BUNDLE_SET_BYTES,
} from '../../provenance/index.ts'
import {
  asBytes,
  decodeCbor,
  decodeProblem,
  encodeCborSequence,
  receiptsBeside,
  type SignedStatement,
  splitCborSequence,
} from '../../statement/index.ts'
import { AnswerError, RefusedError } from './error.ts'
import type { Fetcher } from './fetcher.ts'
import { patiently, postStatement, type Sleep } from './register.ts'

/** In one request. A log of ours takes 1000, and 4 MiB. */
const MAX_STATEMENTS = 250
const MAX_BYTES = 2 * 1024 * 1024
/** A path of 54 hashes, a signature, and a header that names the log. */
const MAX_RECEIPT_BYTES = 8192

/** A statement with what travels beside it. */
export interface Submission {
  readonly bytes: Uint8Array
  /** As whoever made it has it, and need not read it again. */
  readonly statement: SignedStatement
  /** SHA-256 of the credential that it is the record of, where its bundle is wanted too. */
  readonly credential?: Hash | undefined
}

/** What a log answered, unverified. */
export interface Taken {
  readonly receipt: Uint8Array
  /** What the log has of the credential, at the tree of the receipt; absent also where it was wanted, when the log did not tell. */
  readonly story?: Bundle
}

/**
 * Sends statements in this order, and returns for each its receipt, unverified, or why there is none: a `RefusedError`, or an
 * `UnavailableError` when this one was not taken for now.
 *
 * @throws `RefusedError` for a log that refuses them as a whole; `UnavailableError` after the last attempt; `AnswerError` `malformed_answer`
 */
export async function postStatements(
  statements: readonly (Uint8Array | Submission)[],
  fetcher: Fetcher,
  sleep: Sleep,
): Promise<(Taken | Error)[]> {
  const outcomes: (Taken | Error)[] = []
  for (const batch of batchesOf(statements)) {
    // One has no use for it but to be told more, and one that is too large for a batch may still be small enough for the log.
    const together = batch.length > 1 || (toBeTold(batch) && bytesOf(batch[0]!).length <= MAX_BYTES)
    outcomes.push(...(together ? await postBatch(batch, fetcher, sleep) : await postEach(batch, fetcher, sleep)))
  }
  return outcomes
}

type Sent = Uint8Array | Submission

function bytesOf(sent: Sent): Uint8Array {
  return sent instanceof Uint8Array ? sent : sent.bytes
}

/** Those whose bundles may be asked for along with them: undefined where nobody wants one. */
function toBeTold(batch: readonly Sent[]): readonly Submission[] | undefined {
  const submissions = batch.filter((each): each is Submission => !(each instanceof Uint8Array))
  const isWanted = submissions.some(({ credential }) => credential !== undefined)
  return isWanted && submissions.length === batch.length ? submissions : undefined
}

function* batchesOf(statements: readonly Sent[]): Generator<Sent[]> {
  let batch: Sent[] = []
  let bytes = 0
  for (const statement of statements) {
    const { length } = bytesOf(statement)
    if (batch.length === MAX_STATEMENTS || (batch.length > 0 && bytes + length > MAX_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(statement)
    bytes += length
  }
  if (batch.length > 0) yield batch
}

async function postBatch(batch: readonly Sent[], fetcher: Fetcher, sleep: Sleep): Promise<(Taken | Error)[]> {
  const told = toBeTold(batch)
  try {
    return await patiently(sleep, async () => {
      const answer = await fetcher.fetch({
        method: 'POST',
        path: 'v1/entries',
        accept: `${told ? `${BUNDLE_SET_MEDIA_TYPE}, ` : ''}${SEQUENCE}, application/concise-problem-details+cbor`,
        contentType: SEQUENCE,
        body: encodeCborSequence(batch.map(bytesOf)),
        maxBytes: told ? MAX_BUNDLE_SET_BYTES : batch.length * MAX_RECEIPT_BYTES,
      })
      if (answer.status !== 200) throw new AnswerError('malformed_answer', `v1/entries: HTTP ${answer.status}`)
      return told && answer.headers['content-type'] === BUNDLE_SET_MEDIA_TYPE
        ? storiesIn(answer.body, told)
        : outcomesIn(answer.body, batch.length)
    })
  } catch (error) {
    if (error instanceof RefusedError && NO_SUCH_PATH.includes(error.status)) return postEach(batch, fetcher, sleep)
    throw error
  }
}

const SEQUENCE = 'application/cbor-seq'
const NO_SUCH_PATH: readonly number[] = [404, 405]

async function postEach(batch: readonly Sent[], fetcher: Fetcher, sleep: Sleep): Promise<(Taken | Error)[]> {
  const outcomes: (Taken | Error)[] = []
  for (const sent of batch) {
    try {
      outcomes.push({ receipt: await postStatement(bytesOf(sent), fetcher, sleep) })
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error
      outcomes.push(error)
    }
  }
  return outcomes
}

function outcomesIn(body: Uint8Array, count: number): (Taken | Error)[] {
  const items = splitCborSequence(body, count)
  checkCount(items.length, count)
  return items.map(outcomeIn)
}

/** A byte string is a receipt, and a map is why there is none. */
function outcomeIn(item: Uint8Array): Taken | Error {
  if (item[0]! >> 5 !== BYTE_STRING) return refusalIn(item)
  return { receipt: asBytes(decodeCbor(item, { maxBytes: 2 * MAX_RECEIPT_BYTES }), 'a receipt') }
}

const BYTE_STRING = 2

/** A bundle set, in which each statement has its receipt beside it. */
function storiesIn(body: Uint8Array, batch: readonly Submission[]): (Taken | Error)[] {
  const set = decodeBundleSet(body)
  checkCount(set.bundles.length, batch.length)
  return set.bundles.map((places, i) => {
    if (places instanceof Uint8Array) return refusalIn(places)
    const { statement, credential } = batch[i]!
    const receipts = receiptsBeside(statement, set.statements[places[0]!]!.statement)
    if (receipts?.length !== 1) {
      return new AnswerError('malformed_answer', 'something else than the statement that was sent and its receipt')
    }
    const [receipt] = receipts as [Uint8Array]
    // No bundle is of its record alone: so a log says that of this credential it does not tell, or not now.
    return credential && places.length > 1 ? { receipt, story: bundleIn(set, places, credential) } : { receipt }
  })
}

function refusalIn(item: Uint8Array): RefusedError | UnavailableError {
  const { title, detail, code, status = 400 } = decodeProblem(item)
  if (status >= 500) return new UnavailableError(`${title}: ${detail}`)
  return new RefusedError({ status, code: code ?? `http_${status}`, title, detail })
}

function checkCount(answers: number, count: number): void {
  if (answers !== count) throw new AnswerError('malformed_answer', `${answers} answers for ${count} statements`)
}
