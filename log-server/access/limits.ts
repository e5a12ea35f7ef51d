/**
 * How much one caller may take: requests and bytes in a time, and requests at one time. Token buckets; full, each holds its burst.
 *
 *     who                          a bucket for
 *     known (mTLS, WIT + proof)    the whole identifier; what `limits` says of it, or `default`
 *     nobody in particular         the address, of IPv6 the /64, which is one customer's; what is said of `anonymous`, or `default`
 *
 * What is remembered is bounded, and no flood takes an honest caller's bucket away. A bucket that is full again says nothing and may go; where there
 * is no such, newcomers of the same kind (a trust domain; unknown addresses) share one bucket, and all others keep their own:
 *
 *     named in the configuration   ──► a bucket of its own, always
 *     of trust domain a            ──► [ ■ ■ ■ ■ … ] full? ──► one that newcomers of a share
 *     of trust domain b            ──► [ ■ ■       ]
 *     unknown addresses            ──► [ ■ ■ ■ ■ … ] full? ──► one that newcomers share
 *
 * @module
 */
import { isIPv6 } from 'node:net'
import { RequestError } from '../problem.ts'

/** What is left out is not limited, but for `concurrent`. */
export interface RateLimit {
  readonly requestsPerSecond?: number
  /** Requests that may come at once after a pause; those of two seconds, and at least one, when not said. */
  readonly burst?: number
  /** In both directions. A request is let in while there is any left, and what it takes beyond is waited for by the next. */
  readonly bytesPerSecond?: number
  /** Requests under way; {@link DEFAULT_CONCURRENT} when not said. */
  readonly concurrent?: number
}

/** More than the connections of any client of ours. */
export const DEFAULT_CONCURRENT = 128

/** Whom a request counts for: whoever was validated, or the address that it came from. */
export type Counted =
  | { readonly identifier: string; readonly trustDomain: string }
  | { readonly address: string | undefined }

/** One request under way. */
export interface Pass {
  /** To be called once, at its end. @param bytes - what it took, in both directions */
  leave(bytes: number): void
}

export interface LimitsOptions {
  /** By identifier; `default` and `anonymous` are for those that are not named. */
  readonly limits: ReadonlyMap<string, RateLimit>
  /** Seconds, of a clock that nobody sets. */
  readonly now: () => number
  /** How many trust domains there are. */
  readonly trustDomains: number
  /** Buckets at most, besides those of callers that are named. */
  readonly maxBuckets?: number
}

interface Bucket {
  readonly limit: RateLimit
  requests: number
  bytes: number
  /** When the two were as they are. */
  at: number
  running: number
}

/** Of one kind of callers, the one that came last at the end. */
interface Group {
  readonly buckets: Map<string, Bucket>
  shared?: Bucket
}

/** Some 20 MB. */
const MAX_BUCKETS = 131_072

export class Limits {
  readonly #limits: ReadonlyMap<string, RateLimit>
  readonly #now: () => number
  readonly #maxOfGroup: number
  readonly #named = new Map<string, Bucket>()
  readonly #groups = new Map<string, Group>()

  constructor({ limits, now, trustDomains, maxBuckets = MAX_BUCKETS }: LimitsOptions) {
    this.#limits = limits
    this.#now = now
    this.#maxOfGroup = Math.max(1, Math.floor(maxBuckets / (trustDomains + 1)))
  }

  /** How many buckets are remembered. */
  get size(): number {
    return Array.from(this.#groups.values()).reduce((sum, { buckets }) => sum + buckets.size, this.#named.size)
  }

  /**
   * Lets a request in.
   *
   * @throws {@link RequestError} `too_many_requests`, saying after how many seconds one would be let in
   */
  enter(counted: Counted): Pass {
    const bucket = this.#bucketOf(counted)
    if (!bucket) return UNLIMITED
    const { limit } = bucket
    const now = this.#now()
    refill(bucket, now)
    const wait = Math.max(
      limit.requestsPerSecond === undefined ? 0 : (1 - bucket.requests) / limit.requestsPerSecond,
      limit.bytesPerSecond === undefined ? 0 : -bucket.bytes / limit.bytesPerSecond,
    )
    if (wait > 0) throw tooMany('more requests, or bytes, than one caller may have', wait)
    if (bucket.running >= (limit.concurrent ?? DEFAULT_CONCURRENT)) {
      throw tooMany('more requests at one time than one caller may have', 0)
    }
    bucket.requests--
    bucket.running++
    let left = false
    return {
      leave: (bytes) => {
        if (left) return
        left = true
        bucket.running--
        bucket.bytes -= bytes
      },
    }
  }

  /** Undefined for whoever is not limited. */
  #bucketOf(counted: Counted): Bucket | undefined {
    const [name, group] =
      'identifier' in counted
        ? [counted.identifier, counted.trustDomain]
        : [networkOf(counted.address ?? ''), ANONYMOUS]
    const own = group === ANONYMOUS ? undefined : this.#limits.get(name)
    if (own) return getOrAdd(this.#named, name, () => this.#newBucket(own))
    const limit = (group === ANONYMOUS ? this.#limits.get(ANONYMOUS) : undefined) ?? this.#limits.get('default')
    if (!limit) return undefined

    const kind = getOrAdd<Group>(this.#groups, group, () => ({ buckets: new Map() }))
    const { buckets } = kind
    const known = buckets.get(name)
    if (!known && !this.#makeRoom(buckets)) {
      kind.shared ??= this.#newBucket(limit)
      return kind.shared
    }
    const bucket = known ?? this.#newBucket(limit)
    // To the end: at the beginning are those that have been silent for longest.
    if (known) buckets.delete(name)
    buckets.set(name, bucket)
    return bucket
  }

  /** Whether there is room for one more. Only buckets that say nothing are forgotten for it. */
  #makeRoom(buckets: Map<string, Bucket>): boolean {
    if (buckets.size < this.#maxOfGroup) return true
    const now = this.#now()
    let looked = 0
    for (const [name, bucket] of buckets) {
      refill(bucket, now)
      if (bucket.running === 0 && isFull(bucket)) {
        buckets.delete(name)
        return true
      }
      if (++looked === LOOKED_AT) return false
      // With a request of many minutes on it, it must not stand before those that have long been silent.
      if (bucket.running > 0) {
        buckets.delete(name)
        buckets.set(name, bucket)
      }
    }
    return false
  }

  #newBucket(limit: RateLimit): Bucket {
    return { limit, requests: burstOf(limit), bytes: limit.bytesPerSecond ?? 0, at: this.#now(), running: 0 }
  }
}

const ANONYMOUS = 'anonymous'
const LOOKED_AT = 4
const UNLIMITED: Pass = { leave: () => {} }

function burstOf({ requestsPerSecond = Number.POSITIVE_INFINITY, burst }: RateLimit): number {
  return burst ?? Math.max(1, 2 * requestsPerSecond)
}

function refill(bucket: Bucket, now: number): void {
  const { limit, at } = bucket
  const passed = Math.max(0, now - at)
  const { requestsPerSecond = 0, bytesPerSecond = 0 } = limit
  bucket.requests = Math.min(burstOf(limit), bucket.requests + passed * requestsPerSecond)
  bucket.bytes = Math.min(bytesPerSecond, bucket.bytes + passed * bytesPerSecond)
  bucket.at = now
}

function isFull({ limit, requests, bytes }: Bucket): boolean {
  const isRested = limit.requestsPerSecond === undefined || requests >= burstOf(limit)
  return isRested && (limit.bytesPerSecond === undefined || bytes >= limit.bytesPerSecond)
}

function tooMany(why: string, seconds: number): RequestError {
  return new RequestError('too_many_requests', why, { retryAfter: Math.max(1, Math.ceil(seconds)) })
}

/**
 * Whom an address stands for: itself, or the first 64 bits of it in IPv6, since whoever has one of those has all of them
 * (RFC 6177). An IPv4 address in IPv6 notation, which a socket for both shows, is the IPv4 address.
 */
export function networkOf(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(plain)) return plain
  const [head, tail] = plain.split('::') as [string, string?]
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const before = groups(head)
  // An IPv4 address at its end is two groups; neither is among the first four, unless everything before them is.
  const after = groups((tail ?? '').replace(/\d+\.\d+\.\d+\.\d+$/, '0:0'))
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const all = [...before, ...new Array<string>(Math.max(0, zeros)).fill('0'), ...after]
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

function getOrAdd<T>(map: Map<string, T>, name: string, make: () => T): T {
  const found = map.get(name)
  if (found !== undefined) return found
  const made = make()
  map.set(name, made)
  return made
}
