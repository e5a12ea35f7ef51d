/**
 * The log, for an issuer of many credentials: what does not change from one to the next is asked for once in a while, and what is to be
 * logged travels together.
 *
 * ```
 *   issue ─┐  authorizations, policies, results: as they were at most a few seconds ago
 *   issue ─┼─ workload-provenance: what was said of this workload already is not said again
 *   issue ─┘  records, for receipts and bundles ─► queue ─► one request for all that arrived while the last was on its way
 * ```
 *
 * Every answer is verified when it comes, as it would be for one credential. What it costs: a new version of a policy, or a key that was
 * taken back from a Verifier, is heard of up to `maxAge` seconds later. A key taken back from this issuer the log itself refuses at once.
 *
 * @module
 */
import { type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import {
  type Author,
  buildRecordStatement,
  encodeBundle,
  type NewRecord,
  type ProvenanceRecord,
  type RecordType,
  type WorkloadDescription,
} from '../../provenance/index.ts'
import { kidOf, withWraps } from '../../statement/index.ts'
import {
  type Clock,
  type LogClient,
  RefusedError,
  type RegisteredRecord,
  type Submission,
} from '../log-client/index.ts'
import type { IssuerLog } from './request.ts'

export interface IssuingLogOptions {
  readonly client: LogClient
  /** POSIX seconds. */
  readonly clock: Clock
  /** For how many seconds an answer of the log is good enough. 10 unless said otherwise. */
  readonly maxAge?: number
}

/** A view of the log that many calls of `issue` share. */
export function issuingLog({ client, clock, maxAge = 10 }: IssuingLogOptions): IssuerLog {
  const answers = new Answers(clock, maxAge)
  const building = new Set<Promise<unknown>>()
  const registrations = new Together(
    (statements: readonly Submission[]) => client.registerAll(statements),
    // Those who got their credentials in one answer ask for the next ones together too: what of it is nearly ready need not wait for the answer to the rest.
    () => Promise.allSettled(building),
  )
  const stories = new Together((digests: readonly Hash[]) => client.stories(digests))
  const provenances = new Map<string, Promise<RegisteredRecord<'workload-provenance'>>>()

  async function register<T extends RecordType>(content: NewRecord<T>, author: Author): Promise<RegisteredRecord<T>> {
    const built = buildRecordStatement(content, author)
    building.add(built)
    const { statement, record, wraps, keys } = await built.finally(() => building.delete(built))
    try {
      return {
        ...(await registrations.ask({
          bytes: withWraps(statement, wraps),
          statement,
          // Which is what its issuer asks for next.
          credential: credentialOf(record as ProvenanceRecord),
        })),
        statement,
        record,
        keys,
      }
    } catch (error) {
      // Perhaps for what has changed since we looked: a policy was replaced, a record erased.
      if (error instanceof RefusedError) {
        answers.forget()
        provenances.clear()
      }
      throw error
    }
  }

  function registerProvenance(content: NewRecord<'workload-provenance'>, author: Author) {
    const name = nameOf(content, author)
    const known = provenances.get(name)
    if (known) return known
    const registered = register(content, author)
    keep(provenances, name, registered, MAX_PROVENANCES)
    registered.catch(() => provenances.delete(name))
    return registered
  }

  return {
    authorizations: (kid) => answers.of(`authorizations ${kid}`, () => client.authorizations(kid)),
    latest: (type, kid, id) => answers.of(`latest ${type} ${kid} ${id}`, () => client.latest(type, kid, id)),
    origin: () => client.origin(),
    policy: () => answers.of('policy', () => client.policy()),
    bundle: async (digest) => encodeBundle(await stories.ask(digest)),
    story: (digest) => stories.ask(digest),
    record: (entry) => client.record(entry),
    wraps: (entry) => client.wraps(entry),
    registerRecord<T extends RecordType>(content: NewRecord<T>, author: Author): Promise<RegisteredRecord<T>> {
      return content.type === 'workload-provenance'
        ? (registerProvenance(content as NewRecord<'workload-provenance'>, author) as Promise<RegisteredRecord<T>>)
        : register(content, author)
    },
  }
}

function credentialOf(record: ProvenanceRecord): Hash | undefined {
  return record.type === 'credential-provenance' ? record.fields.credentialDigest : undefined
}

/** Answers by question, each asked once at a time. */
class Answers {
  readonly #clock: Clock
  readonly #maxAge: number
  readonly #known = new Map<string, { readonly at: number; readonly answer: Promise<unknown> }>()

  constructor(clock: Clock, maxAge: number) {
    this.#clock = clock
    this.#maxAge = maxAge
  }

  of<T>(question: string, ask: () => Promise<T>): Promise<T> {
    const now = this.#clock()
    const known = this.#known.get(question)
    if (known && now - known.at < this.#maxAge) return known.answer as Promise<T>
    const answer = ask()
    keep(this.#known, question, { at: now, answer }, MAX_ANSWERS)
    // Nor is it remembered that there was no answer, or nothing yet.
    const drop = () => {
      if (this.#known.get(question)?.answer === answer) this.#known.delete(question)
    }
    answer.then((found) => found === undefined && drop(), drop)
    return answer
  }

  forget(): void {
    this.#known.clear()
  }
}

/** Asks what arrived while the last request was on its way, in one request: each alone when the log is quicker than the issuer. */
class Together<Q, A> {
  readonly #askAll: (questions: readonly Q[]) => Promise<(A | Error)[]>
  readonly #gather: () => Promise<unknown>
  #waiting: Waiting<Q, A>[] = []
  #running = false

  /**
   * @param askAll - the answers in the order of the questions
   * @param gather - comes back, soon, when what is about to be asked was asked
   */
  constructor(
    askAll: (questions: readonly Q[]) => Promise<(A | Error)[]>,
    gather: () => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.#askAll = askAll
    this.#gather = gather
  }

  ask(question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject })
      if (this.#running) return
      this.#running = true
      // Not at once: what is asked in the same turn goes together.
      setImmediate(() => void this.#run())
    })
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#waiting.length < MAX_TOGETHER) await this.#gather()
      const batch = this.#waiting.splice(0, MAX_TOGETHER)
      try {
        const answers = await this.#askAll(batch.map(({ question }) => question))
        for (const [i, { resolve, reject }] of batch.entries()) {
          const answer = answers[i]!
          if (answer instanceof Error) reject(answer)
          else resolve(answer)
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#running = false
  }
}

interface Waiting<Q, A> {
  readonly question: Q
  readonly resolve: (answer: A) => void
  readonly reject: (error: unknown) => void
}

/** What the record says, to whom, and who says it; not to which version before it links, nor its random id. */
function nameOf({ fields, sections, recipients = [] }: NewRecord<'workload-provenance'>, { key }: Author): string {
  const description = sections?.workload
  return digestOf([key.kid, fields, description ? contentOf(description) : null, recipients.map(kidOf)])
}

/** By identity: of files that say the same there is one description (`describe-workload.ts`), which nobody changes. */
const contents = new WeakMap<WorkloadDescription, string>()

function contentOf(description: WorkloadDescription): string {
  const known = contents.get(description)
  if (known) return known
  const digest = digestOf(description)
  contents.set(description, digest)
  return digest
}

function digestOf(said: unknown): string {
  const text = JSON.stringify(said, (_, value: unknown) => {
    if (value instanceof Uint8Array) return toHex(value)
    // Which JSON would have as {}, whatever is in it.
    return value instanceof Map ? [...value] : value
  })
  return toHex(sha256(utf8(text)))
}

/** The oldest goes. */
function keep<V>(map: Map<string, V>, key: string, value: V, max: number): void {
  if (map.size >= max && !map.has(key)) map.delete(map.keys().next().value!)
  map.set(key, value)
}

const MAX_ANSWERS = 10_000
const MAX_PROVENANCES = 10_000
const MAX_TOGETHER = 250
