/**
 * Who may sign what, at each point of the log's own history.
 *
 *     index   record                                  from then on
 *       0     log-policy, by admin key A              A is the admin
 *       1     key-authorization: K1, issuer, 0–1000   K1 may sign issuer records dated 0 to 999
 *       9     key-authorization: K1, issuer, 0–500    K1 may sign issuer records dated 0 to 499
 *             previous → 1                            (what lies between 1 and 9 stays as it was)
 *      12     retraction of 9, effective at 400       K1 may sign no more, and what it signed from 400 on does not stand
 *
 * Nothing here comes from configuration: the log server at admission and an auditor years later build it from the same
 * records in the same order, so they cannot come to different answers.
 *
 * @module
 */
import { toHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import type { Hash } from '../../merkle/hash.ts'
import { kidOf, type PublicJwk } from '../../statement/cose-key.ts'
import { ProvenanceError } from '../error.ts'
import type { RecordOf, RecordStatement } from '../record.ts'
import { decodePublicKey } from '../records/field-types.ts'
import type { FieldsOf } from '../records/index.ts'
import { type ForeignPolicy, readForeignPolicy } from './foreign-policy.ts'
import type { Role } from './link-rules.ts'
import { type Retraction, Retractions, retractionOf } from './retraction.ts'

/** What a `key-authorization` says, and where it stands. */
export interface Authorization {
  /** Of `key`. */
  readonly kid: string
  readonly role: Role
  readonly trustDomain: string
  /** Whose key it is: a workload identifier in `trustDomain`. */
  readonly subject: string
  readonly key: PublicJwk
  /** POSIX seconds; valid from `notBefore` until just before `notAfter`. */
  readonly notBefore: number
  readonly notAfter?: number
  readonly encryptionKey?: PublicJwk
  /** Seconds. */
  readonly maxCredentialLifetime?: number
  /** Of the `key-authorization`. */
  readonly entry: Hash
  readonly index: number
}

/** The `log-policy` in force. */
export interface PolicyInForce {
  readonly entry: Hash
  readonly index: number
  readonly fields: FieldsOf<'log-policy'>
  readonly adminKeys: readonly PublicJwk[]
  /** Their names, in the same order. */
  readonly adminKids: readonly string[]
  readonly receiptKeys: readonly PublicJwk[]
  /** Their names, in the same order. */
  readonly receiptKids: readonly string[]
  /** What `fields.foreign` says. */
  readonly foreign?: ForeignPolicy
}

/** The state that the `log-policy` and `key-authorization` records of a log have led to. */
export class Authorities {
  readonly #policies: PolicyInForce[] = []
  readonly #adminKeys = new Map<string, PublicJwk>()
  readonly #byKid = new Map<string, Authorization[]>()
  readonly #byEntry = new Map<string, Authorization>()
  /** By whose they are: names of all keys that sealed sections were ever to be opened with. */
  readonly #encryptionKids = new Map<string, Set<string>>()
  readonly #retractions = new Retractions()
  #criteriaRetracted = false
  /** Index of the record that took an authorization's place. */
  readonly #replacedAt = new Map<Authorization, number>()
  #lastIndex = -1
  #version = 0

  /**
   * Takes in the record at `index`. Records that authorize nobody are ignored. Indexes must grow; whether the record may be
   * on the log at all is to be checked before (`checkRecord`).
   */
  apply(index: number, r: RecordStatement): void {
    const { record, entry } = r
    assert(index > this.#lastIndex, 'records are applied in the order of the log')
    this.#lastIndex = index
    this.#version++
    if (record.type === 'retraction') this.retract(index, r)
    if (record.type === 'log-policy') this.#applyPolicy(index, entry, record)
    if (record.type === 'key-authorization') this.#applyAuthorization(index, entry, record)
  }

  /**
   * The policy in force after the last record applied.
   *
   * @throws {@link ProvenanceError} `not_a_successor` before entry 0
   */
  policy(): PolicyInForce {
    const policy = this.policyAt(Number.POSITIVE_INFINITY)
    if (!policy) throw new ProvenanceError('not_a_successor', 'a log begins with its log-policy')
    return policy
  }

  /** Another whenever somebody may say something else than before: an answer is good for as long as this stays the same. */
  get version(): number {
    return this.#version
  }

  /** False until entry 0 is applied. */
  get hasPolicy(): boolean {
    return this.#policies.length > 0
  }

  /** Every version so far, oldest first. */
  get policies(): readonly PolicyInForce[] {
    return this.#policies
  }

  /** The policy that a record at position `index` is under: the last one before it. Entry 0 is under none. */
  policyAt(index: number): PolicyInForce | undefined {
    return this.#policies.findLast((each) => each.index < index)
  }

  /** Receipt keys of every policy so far, by kid; those of the one in force first, in its order. A retired key still verifies what it signed. */
  receiptKeys(): ReadonlyMap<string, PublicJwk> {
    const newestFirst = this.#policies.toReversed()
    return new Map(
      newestFirst.flatMap(({ receiptKids, receiptKeys }) => receiptKids.map((kid, i) => [kid, receiptKeys[i]!])),
    )
  }

  /** The key to verify a statement of this `kid` with: of whoever was ever an admin or authorized. It may sign nothing by now. */
  keyOf(kid: string): PublicJwk | undefined {
    return this.#adminKeys.get(kid) ?? this.#byKid.get(kid)?.[0]?.key
  }

  /** Every authorization that this key ever had, replaced ones included, in the order of the log. */
  authorizations(kid: string): readonly Authorization[] {
    return this.#byKid.get(kid) ?? []
  }

  /**
   * Names of the keys with which this workload receives the keys of sealed sections, by every authorization that it ever had: what was sealed
   * for a key that was replaced since is still for whom it was.
   */
  encryptionKeysOf(subject: string): ReadonlySet<string> {
    return this.#encryptionKids.get(subject) ?? NO_KEYS
  }

  /**
   * The authorization under which this key may sign a record of `role`, dated `at`, at position `index` (at the end of the
   * log when not said): logged before it, not yet replaced there, and valid at that date. The latest, of several.
   */
  authorizedAt(
    kid: string,
    role: Role,
    at: number,
    index: number = Number.POSITIVE_INFINITY,
  ): Authorization | undefined {
    return this.inForce(kid, index).findLast((each) => each.role === role && isValidAt(each, at))
  }

  /** The key's authorizations at position `index`, whatever their role and dates, in the order of the log. */
  inForce(kid: string, index: number = Number.POSITIVE_INFINITY): Authorization[] {
    return this.authorizations(kid).filter((each) => this.isInForce(each, index))
  }

  /** Whether it is logged before position `index`, and not yet replaced there. */
  isInForce(authorization: Authorization, index: number = Number.POSITIVE_INFINITY): boolean {
    return authorization.index < index && (this.#replacedAt.get(authorization) ?? Number.POSITIVE_INFINITY) >= index
  }

  /**
   * Takes in a `retraction`. Unlike {@link apply} in any order: a bundle has some of them, behind what they withdraw. That of one
   * authorization is that of the key: of every one that it had for this role by then, but not of one that the admin gives it afterwards.
   */
  retract(index: number, r: RecordStatement): void {
    this.#version++
    const retraction = retractionOf(index, r)
    if (!retraction) return
    const named = this.authorizationIn(retraction.target)
    const siblings = named
      ? this.authorizations(named.kid).filter((each) => each.role === named.role && each.index < index)
      : []
    this.#retractions.add(
      retraction,
      siblings.map((each) => each.entry),
    )
    if (!named) this.#criteriaRetracted = true
  }

  /** What withdraws this authorization or policy, at position `index`: of several, what is in effect first. */
  retractionOf(target: Hash, index?: number): Retraction | undefined {
    return this.#retractions.of(target, index)
  }

  /** Whether nothing was ever withdrawn. */
  get nothingRetracted(): boolean {
    return this.#retractions.isEmpty
  }

  /** Whether anything but keys was ever withdrawn: only then it matters what an attestation result was judged by. */
  get criteriaRetracted(): boolean {
    return this.#criteriaRetracted
  }

  /** What the `key-authorization` in this entry authorizes, replaced or not. */
  authorizationIn(entry: Hash): Authorization | undefined {
    return this.#byEntry.get(toHex(entry))
  }

  all(): Iterable<Authorization> {
    return this.#byEntry.values()
  }

  #applyPolicy(index: number, entry: Hash, { fields }: RecordOf<'log-policy'>): void {
    const adminKeys = fields.adminKeys.map(decodePublicKey)
    const receiptKeys = fields.receiptKeys.map(decodePublicKey)
    const adminKids = adminKeys.map(kidOf)
    const foreign = fields.foreign && { foreign: readForeignPolicy(fields.foreign) }
    const receiptKids = receiptKeys.map(kidOf)
    this.#policies.push({ entry, index, fields, adminKeys, adminKids, receiptKeys, receiptKids, ...foreign })
    for (const [i, kid] of adminKids.entries()) this.#adminKeys.set(kid, adminKeys[i]!)
  }

  #applyAuthorization(index: number, entry: Hash, { fields, links }: RecordOf<'key-authorization'>): void {
    const authorization = authorizationOf(index, entry, fields)
    const { kid, subject, encryptionKey } = authorization
    this.#byKid.set(kid, [...this.authorizations(kid), authorization])
    if (encryptionKey) {
      const kids = this.#encryptionKids.get(subject) ?? new Set()
      this.#encryptionKids.set(subject, kids.add(kidOf(encryptionKey)))
    }
    this.#byEntry.set(toHex(entry), authorization)
    for (const link of links) {
      const previous = this.#byEntry.get(toHex(link.entry))
      if (link.rel === 'previous' && previous && !this.#replacedAt.has(previous)) this.#replacedAt.set(previous, index)
    }
  }
}

const NO_KEYS: ReadonlySet<string> = new Set()

/** What the record in entry `entry` at `index` authorizes. */
export function authorizationOf(index: number, entry: Hash, fields: FieldsOf<'key-authorization'>): Authorization {
  const { key, encryptionKey, ...rest } = fields
  const jwk = decodePublicKey(key)
  return {
    ...rest,
    kid: kidOf(jwk),
    key: jwk,
    ...(encryptionKey && { encryptionKey: decodePublicKey(encryptionKey) }),
    entry,
    index,
  }
}

/** Whether `at` lies in the key's validity. */
export function isValidAt({ notBefore, notAfter }: Authorization, at: number): boolean {
  return at >= notBefore && (notAfter === undefined || at < notAfter)
}

/**
 * The key that a log's entry 0 must be signed with: one of the admin keys that it names itself. Whoever relies on it must
 * know from elsewhere that this log's entry 0 is this one.
 */
export function foundingKey({ fields }: RecordOf<'log-policy'>, kid: string): PublicJwk | undefined {
  return fields.adminKeys.map(decodePublicKey).find((key) => kidOf(key) === kid)
}
