/**
 * The table of records: who signs each type, and what each must and may link to.
 *
 * A link names an earlier entry by digest and says what it is to this record. The relation is the type of the record
 * that it must lead to. Only `previous` leads to the version before, of the record's own type; `erases` to any statement but those
 * that say who may write, and other erasures; `retracts` to a key-authorization or to what decisions are made by; and `issuer-attestation`
 * to the attestation result of the issuer itself. So the links of a
 * `credential-provenance` record answer "why was this credential issued" completely, or the log refuses it:
 *
 *     credential-provenance ─┬─ workload-provenance   what the workload is made of
 *                            ├─ attestation-result ─┬─ appraisal-policy    the criteria the Verifier applied
 *                            │                      ├─ reference-values
 *                            │                      └─ key-authorization   who the Verifier is
 *                            ├─ issuance-policy       the rules of the Credential Issuer, in the version in effect
 *                            ├─ key-authorization     who the Credential Issuer is
 *                            └─ issuance-intent       the same, logged before, when the credential names it
 *
 * What the fields of each type are stands in `records/`; that the rules are kept is `check-record.ts`'s business.
 *
 * @module
 */

/** What a `key-authorization` authorizes a key for. */
export const ROLES = ['issuer', 'verifier', 'auditor', 'gateway', 'vendor'] as const
export type Role = (typeof ROLES)[number]

/** How many links of one relation a record has. */
export interface LinkRule {
  readonly min: number
  readonly max: number
  /** The record linked to must be signed by the same party, under whichever of its keys. */
  readonly own?: true
}

const one: LinkRule = { min: 1, max: 1 }
const optional: LinkRule = { min: 0, max: 1 }
const several: LinkRule = { min: 1, max: 8 }
const any: LinkRule = { min: 0, max: 16 }
/** The version before, or what is being changed: somebody else's is none of the signer's business. */
const ownPrevious: LinkRule = { ...optional, own: true }
const ownOne: LinkRule = { ...one, own: true }

/** What an issuance is decided on. */
const grounds = {
  'workload-provenance': one,
  'attestation-result': any,
  'issuance-policy': one,
  'key-authorization': one,
} as const satisfies Readonly<Record<string, LinkRule>>

export const LINK_RULES = {
  // The log's own records. Entry 0 is a `log-policy` and has no previous; every later one has.
  'log-policy': { signers: ['admin'], links: { previous: optional } },
  'key-authorization': { signers: ['admin'], links: { previous: optional } },

  // What decisions are made by.
  'issuance-policy': { signers: ['issuer'], links: { previous: ownPrevious } },
  'appraisal-policy': { signers: ['verifier'], links: { previous: ownPrevious } },
  'reference-values': { signers: ['verifier'], links: { previous: ownPrevious } },

  // What they are made on.
  'workload-provenance': { signers: ['issuer', 'vendor'], links: { previous: ownPrevious } },
  'attestation-result': {
    signers: ['verifier'],
    // Several policies where the evidence is of several kinds, each appraised by its own.
    links: { 'appraisal-policy': several, 'reference-values': several, 'key-authorization': one },
  },

  // The decisions. At least one attestation-result, unless the record says in clear that there is none.
  'issuance-intent': { signers: ['issuer'], links: grounds },
  'credential-provenance': {
    signers: ['issuer'],
    links: { ...grounds, 'issuance-intent': ownPrevious, 'issuer-attestation': optional },
  },
  'issuance-denied': {
    signers: ['issuer'],
    links: {
      'workload-provenance': optional,
      'attestation-result': any,
      'issuance-policy': optional,
      'key-authorization': one,
    },
  },
  'credential-status': {
    signers: ['issuer'],
    links: { 'credential-provenance': ownOne, 'attestation-result': any, 'key-authorization': one },
  },

  // What a gateway shows outside in the place of somebody inside, whose name is sealed.
  'identity-generalization': {
    signers: ['gateway'],
    links: { 'credential-provenance': ownOne, 'key-authorization': one },
  },

  // What was withdrawn. Whose it must be is `check-record.ts`'s to say: the key of a party is authorized by the admin.
  retraction: { signers: ['admin', 'issuer', 'verifier'], links: { retracts: one } },

  // What was destroyed. An issuer's own; the admin's is not asked whose it was.
  erasure: { signers: ['admin', 'issuer'], links: { erases: ownOne } },

  // What somebody found who replayed all of it.
  'audit-report': { signers: ['auditor'], links: { previous: ownPrevious, 'key-authorization': one } },
} as const satisfies Readonly<
  Record<string, { signers: readonly ('admin' | Role)[]; links: Readonly<Record<string, LinkRule>> }>
>

export type RecordType = keyof typeof LINK_RULES
export const RECORD_TYPES = Object.keys(LINK_RULES) as readonly RecordType[]

export type LinkRelation = { [T in RecordType]: keyof (typeof LINK_RULES)[T]['links'] }[RecordType]
export const LINK_RELATIONS: readonly LinkRelation[] = [
  'previous',
  'erases',
  'retracts',
  'issuer-attestation',
  ...RECORD_TYPES.filter((type) => RECORD_TYPES.some((from) => linkRule(from, type) !== undefined)),
] as readonly LinkRelation[]

/** How many links of relation `rel` a record of type `from` has; undefined when it must have none. */
export function linkRule(from: RecordType, rel: string): LinkRule | undefined {
  const links: Readonly<Record<string, LinkRule>> = LINK_RULES[from].links
  return Object.hasOwn(links, rel) ? links[rel] : undefined
}

const RELATIONS = new Map(RECORD_TYPES.map((type) => [type, Object.keys(LINK_RULES[type].links) as LinkRelation[]]))

/** The relations of the links that a record of type `from` has. */
export function linkRelationsOf(from: RecordType): readonly LinkRelation[] {
  return RELATIONS.get(from)!
}

/** The type of the record that a link must lead to; undefined where it may be of several: {@link isErasable}, {@link isRetractable}. */
export function linkTargetType(from: RecordType, rel: LinkRelation): RecordType | undefined {
  if (rel === 'erases' || rel === 'retracts') return undefined
  if (rel === 'issuer-attestation') return 'attestation-result'
  return rel === 'previous' ? from : rel
}

/**
 * Whether a statement of this type may be erased. Not those by which the log is judged: without the records that say who may write, on
 * what, nobody could replay it, and one that erases an erasure would make it unexplained. What an auditor found is no operator's to destroy.
 */
export function isErasable(type: string): boolean {
  return !UNERASABLE.has(type)
}

const UNERASABLE: ReadonlySet<string> = new Set<RecordType>([
  'log-policy',
  'key-authorization',
  'retraction',
  'erasure',
  'audit-report',
])

/** Whether a record of this type can be withdrawn from a time on: what others rely on again and again. */
export function isRetractable(type: string): boolean {
  return (
    type === 'key-authorization' ||
    type === 'issuance-policy' ||
    type === 'appraisal-policy' ||
    type === 'reference-values'
  )
}

/** Who may sign a record of this type. */
export function signersOf(type: RecordType): readonly ('admin' | Role)[] {
  return LINK_RULES[type].signers
}

export function isRecordType(text: string): text is RecordType {
  return Object.hasOwn(LINK_RULES, text)
}
