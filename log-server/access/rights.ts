/**
 * What a caller can be allowed, and what that comes to.
 *
 *     audit ──► read ──► read:general ──► receipt          admin ──► read
 *       └─────► wraps                        ▲
 *     append:any ──► append:<role> ──► append┘             append:foreign ──► append
 *     metrics, which admin has as well
 *
 * The door is in front of the log and takes nothing from it: whoever may append here still has to sign with a key that the log
 * knows, and a right to read opens nothing that is sealed.
 *
 * @module
 */

import { isRecordStatement, recordTyp } from '../../provenance/record.ts'
import { RECORD_TYPES, type RecordType, type Role, signersOf } from '../../provenance/rules/link-rules.ts'
import type { SignedStatement } from '../../statement/signed-statement.ts'

/** What a rule may allow. `append:<role>` is for the types of record that such a role signs. */
export const RIGHTS = [
  'append:issuer',
  'append:verifier',
  'append:vendor',
  'append:gateway',
  'append:auditor',
  'append:foreign',
  'append:any',
  'read:general',
  'read',
  'wraps',
  'audit',
  'metrics',
  'admin',
] as const
export type Right = (typeof RIGHTS)[number]

/** What a route may ask for: a right, or what several of them come to. */
export type Need =
  | 'anyone' //        nothing: who asks does not matter
  | 'append' //        to register some type of statement; which, is asked of each statement
  | 'receipt' //       what became of a registration, and proof of it: for all who append or read
  | Exclude<Right, `append:${string}`>

/** Everything that a caller may do. */
export type Grants = ReadonlySet<Right | Need>

const EXPANSIONS: Readonly<Record<Right, readonly (Right | Need)[]>> = {
  'append:issuer': ['append', 'receipt'],
  'append:verifier': ['append', 'receipt'],
  'append:vendor': ['append', 'receipt'],
  'append:gateway': ['append', 'receipt'],
  'append:auditor': ['append', 'receipt'],
  'append:foreign': ['append', 'receipt'],
  // Not what the admin of the log signs: who may change who may write is said by name.
  'append:any': [
    'append:issuer',
    'append:verifier',
    'append:vendor',
    'append:gateway',
    'append:auditor',
    'append:foreign',
    'append',
    'receipt',
  ],
  'read:general': ['receipt'],
  read: ['read:general', 'receipt'],
  wraps: [],
  audit: ['wraps', 'read', 'read:general', 'receipt'],
  metrics: [],
  admin: ['append', 'read', 'read:general', 'receipt', 'metrics'],
}

/** All that `rights` come to. */
export function grantsOf(...rights: readonly Right[]): Grants {
  return new Set<Right | Need>(['anyone', ...rights, ...rights.flatMap((right) => EXPANSIONS[right])])
}

export const EVERYTHING: Grants = grantsOf(...RIGHTS)

/** The types of record by which it is decided who may write. Registered where the admin is served. */
export const ADMIN_TYPES: ReadonlySet<RecordType> = new Set<RecordType>(['log-policy', 'key-authorization'])

/** Which type of record a statement says it carries; `foreign` for none of ours, undefined for one that nobody knows. */
export function typeOf(statement: SignedStatement): RecordType | 'foreign' | undefined {
  if (!isRecordStatement(statement)) return 'foreign'
  return typeof statement.header.typ === 'string' ? TYPES.get(statement.header.typ) : undefined
}

const TYPES: ReadonlyMap<string, RecordType> = new Map(RECORD_TYPES.map((type) => [recordTyp(type), type]))

/**
 * Whether a statement of this type may be sent. By its type, which is what the caller says and admission checks next: a statement
 * that lies about it is registered as nothing.
 */
export function maySend(grants: Grants, type: RecordType | 'foreign' | undefined): boolean {
  // Of no type that the log has: admission says so, and nothing of it is registered.
  if (type === undefined) return grants.has('append')
  if (type === 'foreign') return grants.has('append:foreign')
  return SENDERS.get(type)!.some((right) => grants.has(right))
}

/** A record may be sent by whoever may send what one of its signers signs. */
const SENDERS: ReadonlyMap<RecordType, readonly Right[]> = new Map(
  RECORD_TYPES.map((type) => [type, signersOf(type).map(senderOf)]),
)

function senderOf(signer: 'admin' | Role): Right {
  return signer === 'admin' ? 'admin' : (`append:${signer}` as Right)
}
