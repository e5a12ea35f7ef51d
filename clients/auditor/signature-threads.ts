/**
 * Bundles of statements, read, hashed and their signatures checked in threads of their own, while the main thread fetches the next ones and judges
 * those before.
 *
 * ```
 *   main thread                                             thread
 *   bundle as it came ───────────────────────────────────▶  entry and header of each
 *   which keys are these?  ◀── names, and statements that say whose keys are whose
 *   keys  ───────────────────────────────────────────────▶  signature of each
 *   entries, outcomes  ◀──────────────────────────────────
 * ```
 *
 * The bundle is in memory that both have. Handed over and back instead, half a megabyte each time, it made the collector look through all that the main
 * thread has every dozen bundles, for it counts what arrays have outside of the heap: that took 14 µs a statement.
 *
 * Node's own way, one call of `crypto.verify` for each signature, costs the main thread 20 µs a statement besides the check (measured), and
 * its thread pool is the one that files and names are looked up in. To sort out here which key each statement needs and to copy it into a
 * job cost 15. So what the main thread does is by the bundle.
 *
 * That a signature holds is a fact about bytes: who may sign is asked afterwards, in the order of the log. What an audit has to read of a
 * statement is read there again: records that were read ahead lay in the way of the collector, which took longer than all the reading.
 *
 * This file is both sides: the thread runs it too.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads'
import { importVerificationKey, type VerificationKey } from '#signature'
import { HASH_LENGTH, type Hash, sha256Into } from '../../merkle/hash.ts'
import { RECORD_CONTENT_TYPE, recordTyp, recordTypeOf } from '../../provenance/record-type.ts'
import type { SignerClaim } from '../../provenance/rules/check-authority.ts'
import type { PublicJwk } from '../../statement/cose-key.ts'
import { SIGNATURE1 } from '../../statement/cose-sign1.ts'
import { layoutOf, type Sign1Layout } from '../../statement/sign1-layout.ts'
import { decodeStatementBundle } from '../log-client/statement-bundle.ts'
import { startThread } from './thread.ts'

/** What the header of a record says of its signer, but for the date. */
export type SignerName = Omit<SignerClaim, 'issuedAt'>

/** What a thread says of a bundle; but for `entryBundle`, each array has one item, or 32 bytes, for a place. */
interface Checked {
  /** SHA-256 of the bytes of each, and zeros where there are none, as an entry bundle. */
  readonly entryBundle: Uint8Array
  readonly outcomes: Uint8Array
  /** `statementIdentity`, where the signature was checked; empty unless wanted. */
  readonly identities: Uint8Array
  /** Places in `names`, from 1 on; 0 of what is no record, or has an unusual form. */
  readonly signers: Uint16Array
  readonly dates: Float64Array
  readonly names: readonly SignerName[]
}

/** Of what is no statement, or has an unusual form, or is signed by a key that nobody knows or by one for another algorithm. */
const UNASKED = 0
const VALID = 1
const INVALID = 2

/** A bundle, and what the threads say of it. */
export class CheckedBundle {
  readonly bytes: Uint8Array
  readonly #checked: Checked
  /** Made when one is asked for: of most bundles, a replay of signatures asks for none. */
  #statements: readonly Uint8Array[] | undefined

  constructor(bytes: Uint8Array, checked: Checked) {
    this.bytes = bytes
    this.#checked = checked
  }

  get count(): number {
    return this.#checked.outcomes.length
  }

  /**
   * A copy in memory that is not shared, of which the collector counts every byte and lets go in time: shared memory it does not count, and a million
   * entries of it stayed, two gigabytes.
   */
  inMemoryOfItsOwn(): CheckedBundle {
    return new CheckedBundle(this.bytes.slice(), this.#checked)
  }

  /** SHA-256 of the bytes of each, and zeros where the log has none. */
  get entryBundle(): Uint8Array {
    return this.#checked.entryBundle
  }

  /** Empty where the log has none. */
  statementAt(place: number): Uint8Array {
    this.#statements ??= decodeStatementBundle(this.bytes, this.count)
    return this.#statements[place]!
  }

  /** SHA-256 of the bytes; undefined where the log has none. */
  entryAt(place: number): Hash | undefined {
    if (this.statementAt(place).length === 0) return undefined
    const at = entryStart(place)
    return this.#checked.entryBundle.subarray(at, at + HASH_LENGTH)
  }

  /** Whether the signature holds; undefined where that was not asked. */
  validAt(place: number): boolean | undefined {
    const outcome = this.#checked.outcomes[place]
    return outcome === UNASKED ? undefined : outcome === VALID
  }

  /** `statementIdentity`, where the signature was checked and the threads were to say it. */
  identityAt(place: number): Hash {
    return this.#checked.identities.subarray(place * HASH_LENGTH, (place + 1) * HASH_LENGTH)
  }

  /** By whom the record says that it is; undefined of what is no record, or has an unusual form. In one bundle the same object for the same signer. */
  signerAt(place: number): SignerName | undefined {
    return this.#checked.names[this.#checked.signers[place]! - 1]
  }

  /** POSIX seconds, of a record: when it was signed, in the word of its signer. */
  dateAt(place: number): number {
    return this.#checked.dates[place]!
  }
}

const ENTRY_STRIDE = 2 + HASH_LENGTH

function entryStart(place: number): number {
  return place * ENTRY_STRIDE + 2
}

/** Which of `kids` are known. `declaring` are statements, judged by nobody, that say whose keys are whose. */
export type KeysFor = (kids: readonly string[], declaring: readonly Uint8Array[]) => readonly PublicJwk[]

interface Asked {
  readonly id: number
  readonly bundle: Uint8Array
  readonly count: number
  readonly identities: boolean
}

type Request = Asked | { readonly id: number; readonly keys: readonly PublicJwk[] }

type Reply =
  | { readonly id: number; readonly kids: readonly string[]; readonly declaring: readonly Uint8Array[] }
  | { readonly id: number; readonly checked: Checked }
  /** The check itself failed, which no signature can bring about. */
  | { readonly id: number; readonly failure: string }

export interface SignatureThreadsOptions {
  readonly keysFor: KeysFor
  readonly identities: boolean
  readonly count?: number
}

/** Started when first needed, or before; and until {@link close}. */
export class SignatureThreads {
  readonly #threads: Thread[]

  constructor({ count = availableParallelism(), ...options }: SignatureThreadsOptions) {
    this.#threads = Array.from({ length: count }, () => new Thread(options))
  }

  /** For whoever knows that there will be something to check, and has something else to do meanwhile. */
  start(): void {
    for (const thread of this.#threads) thread.start()
  }

  /**
   * Rejects when it cannot be found out, and then nothing is known of any.
   *
   * @param bundle - `count` statements, each after its length, in shared memory that nobody writes to meanwhile
   */
  check(bundle: Uint8Array, count: number): Promise<CheckedBundle> {
    const [least] = this.#threads.toSorted((a, b) => a.waiting - b.waiting)
    return least!.check(bundle, count)
  }

  close(): void {
    for (const thread of this.#threads) thread.close()
  }
}

class Thread {
  readonly #options: Omit<SignatureThreadsOptions, 'count'>
  #worker: Worker | undefined
  #closed = false
  #next = 0
  readonly #waiting = new Map<number, { resolve: (checked: Checked) => void; reject: (error: Error) => void }>()

  constructor(options: Omit<SignatureThreadsOptions, 'count'>) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }

  async check(bundle: Uint8Array, count: number): Promise<CheckedBundle> {
    const checked = await new Promise<Checked>((resolve, reject) => {
      if (this.#closed) return reject(new Error('the audit has ended'))
      const id = this.#next++
      this.#waiting.set(id, { resolve, reject })
      this.start()
      this.#send({ id, bundle, count, identities: this.#options.identities })
    })
    return new CheckedBundle(bundle, checked)
  }

  start(): void {
    this.#worker ??= this.#begun()
  }

  close(): void {
    this.#closed = true
    void this.#worker?.terminate()
  }

  #send(request: Request): void {
    this.#worker!.postMessage(request)
  }

  #begun(): Worker {
    const worker = startThread(import.meta.url, THREAD)
    worker.on('message', (reply: Reply) => {
      const { id } = reply
      if ('kids' in reply) return this.#send({ id, keys: this.#options.keysFor(reply.kids, reply.declaring) })
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if ('checked' in reply) waiting?.resolve(reply.checked)
      else waiting?.reject(new Error(`a signature could not be checked: ${reply.failure}`))
    })
    worker.on('error', (error) => this.#fail(error))
    worker.on('exit', (code) => this.#fail(new Error(`a thread that checks signatures ended with ${code}`)))
    return worker
  }

  /** Nothing it was asked is answered yes. */
  #fail(error: Error): void {
    this.#worker = undefined
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

const THREAD = 'provlog auditor: signatures'

// The thread's side.

/** Statements in which somebody is said to have a key. */
const DECLARING: ReadonlySet<string> = new Set([recordTyp('log-policy'), recordTyp('key-authorization')])
const MAX_IMPORTED = 4096
const EMPTY_BYTES = 0x40

class Checker {
  readonly #ask: (reply: Reply & { readonly kids: unknown }) => Promise<readonly PublicJwk[]>
  readonly #keys = new Map<string, VerificationKey>()
  /** For what was signed, of one statement after another. */
  #content = new Uint8Array(8192)

  constructor(ask: (reply: Reply & { readonly kids: unknown }) => Promise<readonly PublicJwk[]>) {
    this.#ask = ask
  }

  async check({ id, bundle, count, identities }: Asked): Promise<Checked> {
    const statements = decodeStatementBundle(bundle, count)
    const layouts = statements.map(layoutOf)
    await this.#learnKeys(id, statements, layouts)

    const checked = {
      entryBundle: new Uint8Array(count * ENTRY_STRIDE),
      outcomes: new Uint8Array(count),
      identities: new Uint8Array(identities ? count * HASH_LENGTH : 0),
      signers: new Uint16Array(count),
      dates: new Float64Array(count),
    }
    const names = new Names()
    for (const [place, bytes] of statements.entries()) {
      checked.entryBundle[place * ENTRY_STRIDE + 1] = HASH_LENGTH
      if (bytes.length > 0) sha256Into(bytes, checked.entryBundle, entryStart(place))
      const layout = layouts[place]
      if (layout === undefined) continue
      checked.signers[place] = names.of(layout)
      checked.dates[place] = layout.issuedAt
      const key = this.#keys.get(layout.kid)
      if (key?.algorithm !== layout.algorithm) continue
      const content = this.#contentOf(bytes, layout)
      const signature = bytes.subarray(layout.signature)
      const valid = key.holds ? key.holds(content, signature) : await key.verify(content, signature)
      checked.outcomes[place] = valid ? VALID : INVALID
      if (identities) sha256Into(content, checked.identities, place * HASH_LENGTH)
    }
    return { ...checked, names: names.all }
  }

  /** Asks for those that it lacks; and says what the statements declare, for these and for others. */
  async #learnKeys(
    id: number,
    statements: readonly Uint8Array[],
    layouts: readonly (Sign1Layout | undefined)[],
  ): Promise<void> {
    const kids = new Set<string>()
    const declaring: Uint8Array[] = []
    for (const [place, layout] of layouts.entries()) {
      if (layout === undefined) continue
      if (!this.#keys.has(layout.kid)) kids.add(layout.kid)
      if (DECLARING.has(layout.typ)) declaring.push(statements[place]!.slice())
    }
    if (kids.size === 0 && declaring.length === 0) return
    if (this.#keys.size + kids.size > MAX_IMPORTED) this.#keys.clear()
    for (const jwk of await this.#ask({ id, kids: [...kids], declaring })) {
      const key = await importVerificationKey(jwk)
      this.#keys.set(key.kid, key)
    }
  }

  /**
   * What was signed: the same bytes in the same order, but for the unprotected header, in whose place stands the external data, which is empty too,
   * and for the beginning.
   */
  #contentOf(bytes: Uint8Array, { start, unprotected, end }: Sign1Layout): Uint8Array {
    const length = SIGNATURE1.length + end - start
    if (length > this.#content.length) this.#content = new Uint8Array(2 * length)
    const content = this.#content.subarray(0, length)
    content.set(SIGNATURE1)
    content.set(bytes.subarray(start, end), SIGNATURE1.length)
    content[SIGNATURE1.length + unprotected - start] = EMPTY_BYTES
    return content
  }
}

class Names {
  readonly all: SignerName[] = []
  readonly #places = new Map<string, number>()

  /** 0 of what is no record. */
  of({ contentType, typ, kid, issuer }: Sign1Layout): number {
    if (contentType !== RECORD_CONTENT_TYPE) return 0
    const name = `${typ} ${kid} ${issuer}`
    const known = this.#places.get(name)
    if (known !== undefined) return known
    const type = recordTypeOf(typ)
    const place = type === undefined ? 0 : this.all.push({ type, kid, issuer })
    this.#places.set(name, place)
    return place
  }
}

if (!isMainThread && workerData === THREAD) {
  const asked = new Map<number, (keys: readonly PublicJwk[]) => void>()
  const send = (reply: Reply) => parentPort?.postMessage(reply)
  const checker = new Checker(
    (question) =>
      new Promise((resolve) => {
        asked.set(question.id, resolve)
        send(question)
      }),
  )
  parentPort?.on('message', (request: Request) => {
    const { id } = request
    if ('keys' in request) {
      asked.get(id)?.(request.keys)
      asked.delete(id)
      return
    }
    checker.check(request).then(
      (checked) => send({ id, checked }),
      (error: unknown) => send({ id, failure: String(error) }),
    )
  })
}
