/**
 * The issuer as a small service: credentials for the workloads of its configuration, renewed before they expire, each issuance on the log.
 *
 * ```
 *   configured results ──► Holding ──► issue.ts ──► the log
 *   (files, read anew)       │  ▲
 *                            │  └── a workload submits results and its key, and asks again later    (local-api.ts, by uid)
 *                            └────► a directory (delivery/), or who asks and may
 * ```
 *
 * It decides nothing: who may ask for what is configuration, whether it is issued is the policy's to say, in `issue.ts`. All it keeps is
 * in memory; what it starts again with is its configuration.
 *
 * @module
 */
import { concatBytes, EvidenceError, sha256, UnavailableError, utf8 } from '../../../merkle/index.ts'
import { type Bootstrap, decodeCompactJws, isJsonObject, parseJson } from '../../../provenance/index.ts'
import { jwkThumbprint, type PrivateJwk, type PublicJwk } from '../../../statement/index.ts'
import { type DeliveryFiles, deliverToDirectory } from '../../delivery/index.ts'
import { deny } from '../denial.ts'
import { issue } from '../issue.ts'
import type { Issued, IssueRequest, IssuerLog } from '../request.ts'
import { ServiceError } from './error.ts'
import { Holding, type Timer } from './holding.ts'
import { RequestRate, Turnstile } from './limits.ts'
import type { ServiceLog } from './log-lines.ts'

/** A workload that may have credentials. */
export interface ServedWorkload {
  readonly subject: string
  readonly kind: 'wit' | 'wic'
  readonly policyId: string
  /** Seconds. */
  readonly lifetime?: number
  /** DER; for `wic`. */
  readonly anchor?: Uint8Array
  readonly verifiers?: readonly string[]
  readonly recipients?: readonly PublicJwk[]
  readonly attributes?: Readonly<Record<string, string>>
  /** Why it may come without results, where its policy takes that. */
  readonly unattested?: NonNullable<IssueRequest['unattested']>
  /** Read anew for each credential. @throws `UnavailableError` */
  readonly sbom?: () => Promise<Uint8Array>
  /** Users that may ask for it over the local API. */
  readonly uids: readonly number[]
  /** Those users are an agent's, which hands the credential on to the workload. */
  readonly agent?: boolean
  /** What the service renews by itself. Absent: the workload submits its results and its key. */
  readonly configured?: {
    readonly workloadKey: PublicJwk
    /** Read anew for each credential. @throws `UnavailableError` */
    readonly results: () => Promise<readonly string[]>
  }
  /** Where a configured one is delivered to; absent: it is asked for over the local API. */
  readonly directory?: string
}

export interface ServiceOptions {
  readonly client: IssuerLog
  readonly key: PrivateJwk
  readonly workloads: readonly ServedWorkload[]
  /** JSON of the SPIFFE bundle that goes with each credential. */
  readonly trustBundle: string
  /** POSIX seconds. */
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  readonly timer: Timer
  readonly log: ServiceLog
  readonly files?: DeliveryFiles
}

/** What a workload submits. */
export interface Submission {
  readonly subject: string
  readonly workloadKey: PublicJwk
  /** Compact JWS. */
  readonly results: readonly string[]
  /** Where the credential goes from the workload's own hands: the last hop is what the record names. */
  readonly delivery?: 'local-api' | 'env'
}

/** Which credential is asked for: the only one there is, where nothing is said. */
export interface Wanted {
  readonly subject?: string
  /** RFC 7638 thumbprint. */
  readonly keyThumbprint?: string
}

export interface IdentityState {
  readonly subject: string
  readonly kind: 'wit' | 'wic'
  /** `submit`: the workload has to bring results before there can be another. */
  readonly state: 'issued' | 'waiting' | 'submit'
  /** RFC 7638 thumbprint. */
  readonly key?: string
  /** POSIX seconds. */
  readonly notAfter?: number
  readonly renewAt?: number
}

/** Instances of one workload, each with a key of its own. */
const MAX_KEYS = 64
const AT_A_TIME = 4
const MAX_WAITING = 64

export interface Held {
  readonly workload: ServedWorkload
  readonly keyThumbprint: string
  readonly submission: Submission | undefined
  readonly holding: Holding
}

export class IssuerService {
  /** Rejects when something happened that the service cannot go on after; stays pending otherwise. */
  readonly failed: Promise<never>
  readonly trustBundle: string

  readonly #options: ServiceOptions
  readonly #held = new Set<Held>()
  readonly #rate: RequestRate
  readonly #turnstile = new Turnstile({ width: AT_A_TIME, queue: MAX_WAITING })
  #fail: (error: unknown) => void = () => {}
  #stopping = false

  constructor(options: ServiceOptions) {
    this.#options = options
    this.trustBundle = options.trustBundle
    this.#rate = new RequestRate(options.now)
    this.failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    // Whoever runs the service looks at it when it ends; until then it is nobody's unhandled rejection.
    this.failed.catch(() => {})
  }

  /** Begins with the configured workloads. */
  start(): void {
    for (const workload of this.#options.workloads) {
      if (!workload.configured) continue
      const held = this.#hold(workload, workload.configured.workloadKey, undefined)
      this.#held.add(held)
      held.holding.start()
    }
  }

  /** Why it is not ready: every configured workload has a valid credential, or one of them has not. */
  notReady(): string | undefined {
    if (this.#stopping) return 'shutting_down'
    const waiting = [...this.#held].some(({ submission, holding }) => !submission && !holding.issued)
    return waiting ? 'not_issued' : undefined
  }

  /** The workloads that a user may have credentials for. */
  allowed(uid: number): readonly ServedWorkload[] {
    return this.#options.workloads.filter(({ uids }) => uids.includes(uid))
  }

  /** What a user may have, and how far each is. */
  states(uid: number): readonly IdentityState[] {
    return this.allowed(uid).flatMap((workload): IdentityState[] => {
      const { subject, kind } = workload
      const held = [...this.#held].filter((each) => each.workload === workload)
      if (held.length === 0) return [{ subject, kind, state: workload.configured ? 'waiting' : 'submit' }]
      return held.map(({ keyThumbprint: key, holding }) => {
        const { issued, renewAt, exhausted } = holding
        const state = exhausted ? 'submit' : issued ? 'issued' : 'waiting'
        return { subject, kind, state, key, ...(issued && { notAfter: issued.notAfter, renewAt }) }
      })
    })
  }

  /**
   * What is held for a user.
   *
   * @throws {@link ServiceError} `peer_not_allowed`, `not_issued`, `ambiguous`, `too_many_requests`
   */
  async find(uid: number, { subject, keyThumbprint }: Wanted): Promise<Held> {
    const allowed = await this.#allowed(uid, subject)
    const found = [...this.#held].filter(
      (held) =>
        allowed.includes(held.workload) && (keyThumbprint === undefined || held.keyThumbprint === keyThumbprint),
    )
    if (found.length > 1) throw new ServiceError('ambiguous', 'several credentials: name the subject, and the key')
    if (!found[0]) throw new ServiceError('not_issued', 'nothing was issued: submit results and a key')
    return found[0]
  }

  /**
   * Issues for a workload that submits what it was attested by; from then on its credential is renewed while these results hold.
   * The same submission again is answered with the same credential, until it is time for another.
   *
   * @throws {@link ServiceError} `peer_not_allowed`, `too_many_keys`, `too_many_requests`, `shutting_down`; as `issue`
   */
  async submit(uid: number, submission: Submission): Promise<Held> {
    if (this.#stopping) throw new ServiceError('shutting_down', 'the issuer is about to end', { retryAfter: 5 })
    const [workload] = await this.#allowed(uid, submission.subject)
    if (!workload || workload.configured) throw new ServiceError('peer_not_allowed', 'this one is renewed from files')
    this.#rate.take(uid)

    const keyThumbprint = jwkThumbprint(submission.workloadKey)
    const before = [...this.#held].find((held) => held.workload === workload && held.keyThumbprint === keyThumbprint)
    if (before && this.#isFresh(before, submission)) return before
    if (!before) this.#makeRoom(workload)
    const held = this.#hold(workload, submission.workloadKey, submission)
    await held.holding.first()
    // Two of the same key may have come at once, and the service may have been told to end meanwhile.
    const replaced = [...this.#held].find((each) => each.workload === workload && each.keyThumbprint === keyThumbprint)
    this.#held.add(held)
    if (replaced) {
      this.#held.delete(replaced)
      // Whoever waits for another one than that finds this one.
      await replaced.holding.stop()
    }
    if (this.#stopping) await held.holding.stop()
    return held
  }

  /** Ends what waits, and resolves when every issuance under way has its end. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all([...this.#held].map(({ holding }) => holding.stop()))
  }

  /** A refusal here is the configuration's, so nobody but us can say so on the log. */
  async #allowed(uid: number, subject: string | undefined): Promise<readonly ServedWorkload[]> {
    const allowed = this.allowed(uid).filter((workload) => subject === undefined || workload.subject === subject)
    if (allowed.length > 0) return allowed
    this.#rate.take(uid)
    await this.#logDenial(uid, subject)
    throw new ServiceError('peer_not_allowed', `user ${uid} may not have it`)
  }

  async #logDenial(uid: number, subject = 'any'): Promise<void> {
    const { client, key, now, random, log, workloads } = this.#options
    const recipients = workloads[0]?.recipients ?? []
    log({ level: 'warn', event: 'denied', uid, code: 'peer_not_allowed' })
    try {
      const party = { client, key, now: now(), random, recipients }
      // Sealed: what is asked for may be anything, and is long only in the request.
      const detail = `user ${uid} asked for ${subject.slice(0, 2048)}`
      await this.#turnstile.run(() => deny({ ...party, reason: 'peer_not_allowed', detail }))
    } catch (error) {
      if (!(error instanceof EvidenceError || error instanceof UnavailableError)) throw error
      const code = error instanceof EvidenceError ? error.code : 'unavailable'
      log({ level: 'error', event: 'denial_not_logged', uid, code, message: error.message })
    }
  }

  #isFresh({ submission, holding }: Held, again: Submission): boolean {
    return (
      holding.issued !== undefined &&
      this.#options.now() < holding.renewAt &&
      submission?.delivery === again.delivery &&
      again.results.length === submission?.results.length &&
      again.results.every((result) => submission.results.includes(result))
    )
  }

  /** Forgets the instances whose credentials have run out. @throws {@link ServiceError} `too_many_keys` */
  #makeRoom(workload: ServedWorkload): void {
    const ours = [...this.#held].filter((held) => held.workload === workload)
    for (const held of ours) {
      if (held.holding.issued) continue
      this.#held.delete(held)
      void held.holding.stop()
    }
    if (ours.filter((held) => this.#held.has(held)).length >= MAX_KEYS) {
      throw new ServiceError('too_many_keys', `${MAX_KEYS} keys have credentials of ${workload.subject} already`)
    }
  }

  #hold(workload: ServedWorkload, workloadKey: PublicJwk, submission: Submission | undefined): Held {
    const { now, random, timer, log, trustBundle, files } = this.#options
    const { subject, kind, directory } = workload
    const results = submission ? async () => submission.results : workload.configured!.results
    const holding = new Holding({
      subject,
      issue: () => this.#turnstile.run(async () => this.#issue(workload, workloadKey, await results(), submission)),
      ...(directory !== undefined && {
        deliver: async ({ text, bundle }: Issued) => {
          const options = { random, ...(files && { files }) }
          await deliverToDirectory(directory, { kind, text, bundle, trustBundle }, options)
        },
      }),
      ...(submission && { worthTryingUntil: () => Math.min(...submission.results.map(expiryOf)) }),
      retryRefusals: submission === undefined,
      now,
      random,
      timer,
      log,
      onFatal: this.#fail,
    })
    return { workload, keyThumbprint: jwkThumbprint(workloadKey), submission, holding }
  }

  async #issue(
    workload: ServedWorkload,
    workloadKey: PublicJwk,
    results: readonly string[],
    submission: Submission | undefined,
  ): Promise<Issued> {
    const { client, key, now, random } = this.#options
    const { uids: _, agent, configured: __, directory, sbom, ...request } = workload
    const delivery = directory !== undefined ? 'file' : agent ? 'agent' : (submission?.delivery ?? 'local-api')
    const bootstrap = bootstrapOf(results, agent)
    return issue({
      ...request,
      client,
      key,
      workloadKey,
      results,
      ...(sbom && { sbom: await sbom() }),
      delivery,
      ...(bootstrap && { bootstrap }),
      now: now(),
      random,
    } satisfies IssueRequest)
  }
}

/** What the workload showed in place of a credential: the results, in the order in which they were given. */
function bootstrapOf(results: readonly string[], agent: boolean | undefined): Bootstrap | undefined {
  if (results.length === 0) return agent ? { kind: 'agent' } : undefined
  const digest = sha256(concatBytes(...results.map(utf8)))
  return { kind: agent ? 'agent' : 'attestation', digest }
}

/** When a result ends, as it says itself: only to know when asking again is in vain. */
function expiryOf(result: string): number {
  try {
    const claims = parseJson(decodeCompactJws(result).payload)
    const expiry = isJsonObject(claims) ? claims['exp'] : undefined
    return typeof expiry === 'number' ? expiry : Number.POSITIVE_INFINITY
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return Number.POSITIVE_INFINITY
  }
}
