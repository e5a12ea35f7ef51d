/**
 * What the entries up to some index have led to: who may sign, what links can lead to, what may not be said twice.
 *
 * It grows by one {@link Recorded} per entry, and the whole of it is nothing but those: an audit that goes on tomorrow reads them
 * from its file (`state.ts`) instead of from the log.
 *
 * @module
 */
import { assert, toHex } from '../../merkle/index.ts'
import {
  Authorities,
  type Authorization,
  foundingKey,
  type LinkTarget,
  linkTargetOf,
  type ProvenanceRecord,
  type RecordStatement,
  type RecordType,
  recordOfStatement,
  recordStatementOf,
  seriesOf,
  uniqueKeys,
} from '../../provenance/index.ts'
import {
  importVerificationKey,
  type PublicJwk,
  parseSignedStatement,
  type SignedStatement,
  statementIdentity,
  type VerificationKey,
  verifySignedStatement,
} from '../../statement/index.ts'

/** What is kept of an entry. Everything in it is clear on the log. */
export interface Recorded {
  /** Lower-case hex. */
  readonly entry: string
  /** Of the content without its signature, lower-case hex: {@link statementIdentity}. */
  readonly identity: string
  /** The log no longer has the statement. */
  readonly erased?: true
  /** Undefined for what could not be read as a record, which nothing can link to. */
  readonly target?: LinkTarget
  readonly unique: readonly string[]
  /** `type/kid/id` */
  readonly series?: string
  /** Credential digest and its new status. */
  readonly status?: readonly [credential: string, status: string]
  /** When a policy or an attestation result holds: from, and until just before (`null`: for good). POSIX seconds. */
  readonly period?: readonly [from: number, until: number | null]
  /** What the record erased: entry in hex, and what of it. */
  readonly erases?: readonly [entry: string, scope: 'keys' | 'statement']
  /** Of a record that authorizes somebody. */
  readonly statement?: Uint8Array
}

export class History {
  readonly authorities = new Authorities()
  readonly targets = new Map<string, LinkTarget>()
  /** Entries without a statement, lower-case hex. */
  readonly erased = new Set<string>()
  /** By erased entry: which record did it. */
  readonly erasures = new Map<string, { readonly index: number; readonly scope: 'keys' | 'statement' }>()
  /** Entries below this were read in an earlier run. */
  restored = 0
  /** Index that holds each unique key, and each content. */
  readonly #holders = new Map<string, number>()
  /** The latest entry of each series. */
  readonly #latest = new Map<string, string>()
  readonly #statuses = new Map<string, string>()
  readonly #suspended = new Set<string>()
  readonly #periods = new Map<string, NonNullable<Recorded['period']>>()
  readonly #keys = new Map<string, Promise<VerificationKey>>()
  #latestDate = 0

  /** The key that a statement names, if the log authorized it before; for the very first, if the policy in it names it. */
  async keyOf(statement: SignedStatement): Promise<VerificationKey | undefined> {
    const { kid = '' } = statement.header
    const known = this.#keys.get(kid)
    if (known !== undefined && this.authorities.keyOf(kid) !== undefined) return known
    const jwk = this.authorities.hasPolicy ? this.authorities.keyOf(kid) : foundingKeyIn(statement, kid)
    if (jwk === undefined) return undefined
    const key = importVerificationKey(jwk)
    this.#keys.set(kid, key)
    return key
  }

  /** The index that holds one of `keys` already. */
  holderOf(key: string): number | undefined {
    return this.#holders.get(key)
  }

  latestOf(series: string): string | undefined {
    return this.#latest.get(series)
  }

  statusOf(credential: string): string | undefined {
    return this.#statuses.get(credential)
  }

  /** Nothing but a reinstatement ends a suspension. */
  isSuspended(credential: string): boolean {
    return this.#suspended.has(credential)
  }

  /** Whether a policy or attestation result holds at a date; undefined when `entry` is neither. */
  holdsAt(entry: string, at: number): boolean | undefined {
    const period = this.#periods.get(entry)
    return period && at >= period[0] && (period[1] === null || at < period[1])
  }

  /** Under whose authority a record that may be on the log was signed. */
  authorityOver({ statement: { signer } }: RecordStatement, index: number): Authorization | 'admin' {
    return this.authorities.inForce(signer.kid, index).at(-1) ?? 'admin'
  }

  /** The latest date that any record so far gives, POSIX seconds. */
  get latestDate(): number {
    return this.#latestDate
  }

  /** Takes in the entry at `index`. `record` is what to apply, when it authorizes somebody and may. */
  apply(index: number, recorded: Recorded, record: RecordStatement | undefined): void {
    const { entry, identity, target, unique, series, status, period, erases } = recorded
    if (recorded.erased) {
      this.erased.add(entry)
      this.targets.set(entry, { index, type: 'erased', issuedAt: 0, signer: '' })
    }
    // The one that took the statement says more than one that took the wraps.
    if (erases && this.erasures.get(erases[0])?.scope !== 'statement') {
      this.erasures.set(erases[0], { index, scope: erases[1] })
    }
    if (target !== undefined) {
      this.targets.set(entry, target)
      this.#latestDate = Math.max(this.#latestDate, target.issuedAt)
    }
    // The first holder keeps it: the second one is the finding.
    for (const key of [identity, ...unique]) if (!this.#holders.has(key)) this.#holders.set(key, index)
    if (period !== undefined) this.#periods.set(entry, period)
    if (series !== undefined) this.#latest.set(series, entry)
    if (status !== undefined && this.#statuses.get(status[0]) !== 'revoked') this.#statuses.set(status[0], status[1])
    if (status?.[1] === 'suspended') this.#suspended.add(status[0])
    if (status?.[1] === 'reinstated') this.#suspended.delete(status[0])
    if (record !== undefined) this.authorities.apply(index, record)
  }

  /** As {@link apply}, for an entry that was audited in an earlier run. A file of ours is only a file: its signature is checked again. */
  async restore(index: number, recorded: Recorded): Promise<void> {
    this.restored = index + 1
    if (recorded.statement === undefined) return this.apply(index, recorded, undefined)
    const statement = parseSignedStatement(recorded.statement)
    const key = await this.keyOf(statement)
    assert(key, `the audit state has no key for entry ${index}: delete it and audit from the start`)
    this.apply(index, recorded, recordStatementOf(await verifySignedStatement(statement, key)))
  }
}

/** Types that change who may sign, and on what. */
export function authorizesSomebody(type: RecordType): boolean {
  return type === 'log-policy' || type === 'key-authorization' || type === 'retraction'
}

/**
 * What to keep of a record. One that may not be on the log is still there to be linked to, and still holds what it named; but
 * it authorizes nobody, is the latest of nothing and changes no status.
 */
export function recordedOf(index: number, r: RecordStatement, permitted: boolean): Recorded {
  const { record, statement, entry } = r
  const { kid } = statement.signer
  const period = periodOf(record)
  const kept: Recorded = {
    entry: toHex(entry),
    identity: toHex(statementIdentity(statement)),
    target: linkTargetOf(index, r),
    unique: uniqueKeys(record, kid),
    ...(period && { period }),
  }
  if (!permitted) return kept
  const series = seriesName(record, kid)
  return {
    ...kept,
    ...(series !== undefined && { series }),
    ...(record.type === 'credential-status' && {
      status: [toHex(record.fields.credentialDigest), record.fields.status],
    }),
    ...(record.type === 'erasure' && { erases: [toHex(record.links[0]!.entry), record.fields.scope] }),
    ...(authorizesSomebody(record.type) && { statement: statement.bytes }),
  }
}

/** `type/kid/id`, for types of which there is a latest. */
export function seriesName(record: ProvenanceRecord, signerKid: string): string | undefined {
  const series = seriesOf(record, signerKid)
  return series && `${series.type}/${series.kid}/${series.id}`
}

function periodOf(record: ProvenanceRecord): Recorded['period'] {
  switch (record.type) {
    case 'attestation-result':
      return [record.fields.issuedAt, record.fields.expiresAt]
    case 'issuance-policy':
      return [record.fields.notBefore, record.fields.notAfter ?? null]
    default:
      return undefined
  }
}

function foundingKeyIn(statement: SignedStatement, kid: string): PublicJwk | undefined {
  const record = recordOfStatement(statement)
  return record.type === 'log-policy' ? foundingKey(record, kid) : undefined
}
