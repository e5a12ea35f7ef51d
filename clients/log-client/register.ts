/**
 * Registering a statement, as SCRAPI has it: POST it, perhaps wait, get a receipt.
 *
 * Sending the same statement again is harmless (the log answers with a receipt for the same entry), so everything that might
 * have been lost on the way is simply sent again, a bounded number of times.
 *
 * @module
 */
import { UnavailableError } from '../../merkle/index.ts'
import { AnswerError } from './error.ts'
import { type FetchAnswer, type Fetcher, parseRetryAfter } from './fetcher.ts'

export type Sleep = (milliseconds: number) => Promise<void>

const ATTEMPTS = 6
const FIRST_WAIT = 250
const LONGEST_WAIT = 30_000
/** How often an asynchronous log is asked whether it is done. */
const POLLS = 60
const MAX_RECEIPT_BYTES = 65_536

/**
 * Sends a statement and returns the receipt, unverified.
 *
 * @throws `RefusedError` with the log's own code; `UnavailableError` after the last attempt; `AnswerError` `malformed_answer`
 */
export function postStatement(statement: Uint8Array, fetcher: Fetcher, sleep: Sleep): Promise<Uint8Array> {
  return patiently(sleep, async () => {
    const answer = await fetcher.fetch({
      method: 'POST',
      path: 'entries',
      accept: 'application/cose, application/concise-problem-details+cbor',
      contentType: 'application/cose',
      body: statement,
      maxBytes: MAX_RECEIPT_BYTES,
    })
    return answer.status === 303 ? await poll(answer, fetcher, sleep) : receiptIn(answer, [200, 201])
  })
}

/** `attempt`, and again after a while for as long as it throws `UnavailableError`, a bounded number of times. */
export async function patiently<T>(sleep: Sleep, attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof UnavailableError) || count === ATTEMPTS) throw error
      const wanted = error.retryAfter === undefined ? FIRST_WAIT * 2 ** (count - 1) : error.retryAfter * 1000
      await sleep(Math.min(wanted, LONGEST_WAIT))
    }
  }
}

/** 303, then 302 for as long as the log is working on it, then 200. */
async function poll(first: FetchAnswer, fetcher: Fetcher, sleep: Sleep): Promise<Uint8Array> {
  let answer = first
  for (let i = 0; i < POLLS; i++) {
    await sleep(Math.min((parseRetryAfter(answer.headers) ?? 1) * 1000, LONGEST_WAIT))
    const path = entryPath(answer.headers.location)
    answer = await fetcher.fetch({ path, accept: 'application/cose', maxBytes: MAX_RECEIPT_BYTES })
    if (answer.status !== 302) return receiptIn(answer, [200])
  }
  throw new UnavailableError(`the log is still working on the statement after ${POLLS} polls`)
}

/** Where to ask, as a path of this log. A location elsewhere is not followed: it would make us fetch whatever the answer names. */
function entryPath(location: string | undefined): string {
  const id = /(?:^|\/)entries\/([A-Za-z0-9._-]{1,128})$/.exec(location ?? '')?.[1]
  if (id === undefined)
    throw new AnswerError('malformed_answer', 'a redirect to something that is no entry of this log')
  return `entries/${id}`
}

function receiptIn({ status, body }: FetchAnswer, expected: readonly number[]): Uint8Array {
  if (!expected.includes(status)) throw new AnswerError('malformed_answer', `entries: HTTP ${status}`)
  return body
}
