/**
 * A client of one running server: what it is answered goes into the ledger, and an answer that no healthy or failing log may give is a
 * violation.
 *
 * @module
 */
import {
  decodeEntryBundle,
  formatEntriesPath,
  formatTileIndex,
  fromUtf8,
  type Hash,
  TILE_WIDTH,
} from '../../merkle/index.ts'
import {
  asBytes,
  decodeCbor,
  decodeProblem,
  encodeCborSequence,
  parseSignedStatement,
  splitCborSequence,
} from '../../statement/index.ts'
import type { Ledger, Whole } from './ledger.ts'
import { type Answer, Connections } from './request.ts'
import { Violation } from './violation.ts'

/** What became of some statements. */
export type Outcome = 'acknowledged' | 'unavailable' | 'broken'

export class Client {
  readonly #connections: Connections
  readonly #ledger: Ledger

  constructor(url: string, ledger: Ledger, sockets = 64) {
    this.#connections = new Connections(url, sockets)
    this.#ledger = ledger
  }

  close(): void {
    this.#connections.close()
  }

  /** One statement, or several in one request. */
  async register(statements: readonly Uint8Array[]): Promise<Outcome> {
    const entries = statements.map((statement) => parseSignedStatement(statement).entry)
    for (const [i, entry] of entries.entries()) this.#ledger.sent(entry, statements[i]!)
    const single = statements.length === 1
    const answer = await this.#connections.ask(single ? questionOf(statements[0]!) : batchOf(statements))
    if (!answer) return 'broken'
    if (answer.status === 503) return this.#unavailable(answer)
    if (answer.status !== (single ? 201 : 200)) {
      // Logged before, by somebody who did not hear of it.
      if (!(single && answer.status === 200)) throw wrongAnswer('a registration', answer)
    }
    const receipts = single ? [answer.body] : splitCborSequence(answer.body, entries.length).map(receiptIn)
    if (receipts.length !== entries.length) {
      throw new Violation('I8', `${receipts.length} answers for ${entries.length} statements`)
    }
    for (const [i, receipt] of receipts.entries()) if (receipt) await this.#ledger.keep(entries[i]!, receipt)
    return receipts.includes(undefined) ? 'unavailable' : 'acknowledged'
  }

  /** Registers a statement that may be refused. @returns the code of the refusal */
  async attempt(statement: Uint8Array): Promise<string | undefined> {
    const answer = await this.#connections.ask(questionOf(statement))
    if (!answer) throw new Violation('I8', 'no answer from a log at rest')
    if (answer.status >= 400 && answer.status < 500) return decodeProblem(answer.body).code ?? 'no code'
    if (answer.status !== 201) throw wrongAnswer('a registration', answer)
    await this.#ledger.keep(parseSignedStatement(statement).entry, answer.body)
    return undefined
  }

  /** Sends a statement and does not wait for what becomes of it. */
  async abandon(statement: Uint8Array): Promise<void> {
    this.#ledger.sent(parseSignedStatement(statement).entry, statement)
    await this.#connections.abandon(questionOf(statement))
  }

  /** The newest checkpoint's size; undefined when there was no answer. */
  async look(): Promise<number | undefined> {
    const { newest } = this.#ledger
    const answer = await this.#connections.ask({ path: 'checkpoint' })
    if (!answer || (answer.status === 503 && this.#unavailable(answer))) return undefined
    if (answer.status !== 200) throw wrongAnswer('the checkpoint', answer)
    return this.#ledger.see(fromUtf8(answer.body), newest)
  }

  /** A receipt of something that was acknowledged before, made now. */
  async lookUp(entry: Hash): Promise<void> {
    const answer = await this.#connections.ask({ path: `entries/${Buffer.from(entry).toString('hex')}` })
    if (!answer || (answer.status === 503 && this.#unavailable(answer))) return
    if (answer.status !== 200) throw wrongAnswer('an acknowledged entry', answer, 'I1')
    await this.#ledger.keep(entry, answer.body)
  }

  /** All that the log has. */
  async whole(): Promise<Whole> {
    const checkpoint = fromUtf8((await this.#must('checkpoint')).body)
    const size = Number(checkpoint.split('\n')[1])
    const entries: Hash[] = []
    for (let n = 0; n * TILE_WIDTH < size; n++) {
      const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH)
      const { body } = await this.#must(formatEntriesPath(n, width))
      entries.push(...decodeEntryBundle(body, width))
      // The statements themselves are there, too.
      await this.#must(`v1/statements/${formatTileIndex(n, width)}`)
    }
    return { checkpoint, entries }
  }

  async #must(path: string): Promise<Answer> {
    const answer = await this.#connections.ask({ path })
    if (answer?.status === 200) return answer
    throw answer ? wrongAnswer(path, answer) : new Violation('I8', `${path}: no answer from a log at rest`)
  }

  /** @throws {@link Violation} I8 when it does not say when to come back */
  #unavailable(answer: Answer): Outcome {
    if (answer.headers['retry-after'] === undefined) throw wrongAnswer('503 without Retry-After', answer)
    return 'unavailable'
  }
}

function questionOf(body: Uint8Array) {
  return { path: 'entries', contentType: 'application/cose', body }
}

function batchOf(statements: readonly Uint8Array[]) {
  return { path: 'v1/entries', contentType: 'application/cbor-seq', body: encodeCborSequence(statements) }
}

/** A byte string is a receipt, and a map is why there is none: here nothing but that the log is going down. */
function receiptIn(item: Uint8Array): Uint8Array | undefined {
  if (item[0]! >> 5 === 2) return asBytes(decodeCbor(item, { maxBytes: 65_536 }), 'a receipt')
  const { title, detail, status = 0 } = decodeProblem(item)
  if (status === 503) return undefined
  throw new Violation('I8', `a statement that is good was refused with ${status} ${title}: ${detail}`)
}

function wrongAnswer(what: string, { status, body }: Answer, invariant: 'I1' | 'I8' = 'I8'): Violation {
  return new Violation(invariant, `${what}: HTTP ${status} ${Buffer.from(body).toString('latin1').slice(0, 300)}`)
}
