/**
 * What a log can prove, once there is a view of its tree: its own policies, who it authorized, and that a record is in it, signed
 * by somebody who might sign it.
 *
 * ```
 *   view ──▶ log policies (entry 0 and on) ──▶ receipt keys ──▶ statements
 *                     └──▶ admin keys ──▶ key authorizations ──▶ signers of records
 * ```
 *
 * Nothing to the right is used before what is to the left of it holds.
 *
 * @module
 */
import { equalBytes, type Hash, toHex } from '../../merkle/index.ts'
import {
  Authorities,
  decodePublicKey,
  type FieldsOf,
  type RecordStatement,
  type RecordType,
  recordOfStatement,
  recordStatementOf,
  seriesOf,
} from '../../provenance/index.ts'
import { isValidAt } from '../../provenance/rules/authorities.ts'
import { signersOf } from '../../provenance/rules/link-rules.ts'
import {
  kidOf,
  parseReceipt,
  parseSignedStatement,
  parseTransparentStatement,
  type SignedStatement,
  type VerificationJwk,
  type VerifiedReceipt,
  type VerifiedTreeHead,
  verificationKeyOf,
  verifySignedStatement,
} from '../../statement/index.ts'
import { AnswerError } from './error.ts'
import { bindToView, checkGrowth, checkReceipt, proveIncluded } from './inclusion.ts'
import type { LogView } from './log-view.ts'
import { type LogPolicy, policyInForce, readPolicyFields, verifyPolicy } from './policy.ts'
import { MAX_BYTES, type Requests } from './requests.ts'
import { decodeStatementBundle } from './statement-bundle.ts'
import type { HttpTileReader } from './tile-reader.ts'

/** A statement that is in the log at `index`, under a verified checkpoint. Its signer was *not* checked. */
export interface LoggedStatement {
  readonly statement: SignedStatement
  readonly index: number
  readonly receipt: Uint8Array
}

/** A record in the log whose signer the log admin had authorized, at that place and date, to sign such records. */
export type LoggedRecord<T extends RecordType = RecordType> = RecordStatement<T> & { readonly index: number }

const MAX_POLICY_VERSIONS = 256

export class ProvenLog {
  readonly view: LogView
  readonly #requests: Requests
  readonly #tiles: HttpTileReader
  #policies: Promise<readonly LogPolicy[]> | undefined

  constructor(view: LogView, requests: Requests, tiles: HttpTileReader) {
    this.view = view
    this.#requests = requests
    this.#tiles = tiles
  }

  /**
   * The versions of the log policy that we know, oldest first; all that there are, when asked the first time.
   *
   * @throws `AnswerError` `wrong_record`, `not_authorized`; `MisbehaviourError` `not_included`
   */
  policies(): Promise<readonly LogPolicy[]> {
    this.#policies ??= this.#readPolicies().catch((error: unknown) => {
      this.#policies = undefined
      throw error
    })
    return this.#policies
  }

  /** As {@link policies}, after asking the log for later ones. */
  async newestPolicies(): Promise<readonly LogPolicy[]> {
    const followed = await this.#follow(await this.policies())
    // Somebody else may have asked at the same time and heard of more.
    if (followed.length > (await this.policies()).length) this.#policies = Promise.resolve(followed)
    return this.policies()
  }

  /** A receipt may be signed by a key of a policy that is newer than what we know: then we look once more. */
  async checkReceipt(receipt: Uint8Array, entry: Hash): Promise<VerifiedReceipt> {
    return this.#byPolicies((policies) => checkReceipt(receipt, entry, this.view.origin, policies))
  }

  /** That the log grew from a tree that is known, by a consistency receipt. */
  async checkGrowth(
    receipt: Uint8Array,
    from: { readonly size: number; readonly root: Hash },
  ): Promise<VerifiedTreeHead> {
    return this.#byPolicies((policies) => checkGrowth(receipt, from, this.view.origin, policies))
  }

  async #byPolicies<T>(check: (policies: readonly LogPolicy[]) => Promise<T>): Promise<T> {
    try {
      return await check(await this.policies())
    } catch (error) {
      if (!(error instanceof AnswerError) || error.code !== 'unknown_receipt_key') throw error
      return check(await this.newestPolicies())
    }
  }

  /** The statement in a Transparent Statement, once its receipt holds and the tree of the receipt is the one we know. */
  async readLogged(bytes: Uint8Array): Promise<LoggedStatement> {
    const { statement, receipt } = readTransparent(bytes)
    const verified = await this.checkReceipt(receipt, statement.entry)
    await bindToView(verified, receipt, statement.entry, this.view, this.#tiles)
    return { statement, index: verified.index, receipt }
  }

  /** The records in Transparent Statements. @throws as {@link checkSigner}, {@link readLogged} */
  async readRecords(all: readonly Uint8Array[]): Promise<LoggedRecord[]> {
    // Usually all of one signer, of whom the log is asked once.
    const known = new Map<string, Promise<Authorities>>()
    return Promise.all(all.map(async (bytes) => this.checkSigner(await this.readLogged(bytes), known)))
  }

  /** By an admin in force there, or under an authorization for that type of record, in force there and valid at its date. */
  async checkSigner(
    logged: LoggedStatement,
    known: Map<string, Promise<Authorities>> = new Map(),
  ): Promise<LoggedRecord> {
    const { statement, index } = logged
    const record = recordOfStatement(statement)
    const { kid = '', issuer, issuedAt = 0 } = statement.header
    const roles: readonly string[] = signersOf(record.type)
    // Some of what admins sign is for others to sign too: then it is whoever the key says.
    if (roles.includes('admin') && (roles.length === 1 || issuer === this.view.origin)) return this.#checkAdmin(logged)

    const authorities = known.get(kid) ?? this.authoritiesOf(kid)
    known.set(kid, authorities)
    const inForce = (await authorities).inForce(kid, index)
    const authorization = inForce.find(
      (each) => roles.includes(each.role) && each.subject === issuer && isValidAt(each, issuedAt),
    )
    if (authorization === undefined) {
      throw new AnswerError(
        'not_authorized',
        `entry ${index}: ${kid} was not authorized to sign a ${record.type} as ${issuer}`,
      )
    }
    return { ...(await verifyRecord(statement, authorization.key)), index }
  }

  /** The log's policies and what they authorize `kid` for, in the order of the log: so that later ones replace earlier ones. */
  async authoritiesOf(kid: string): Promise<Authorities> {
    const path = `v1/authorizations/${encodeURIComponent(kid)}`
    const answers = await this.#requests.list(path)
    const found = await Promise.all(answers.map(async (bytes) => this.#checkAdmin(await this.readLogged(bytes))))
    for (const record of found) checkSeries(path, record, 'key-authorization', kid)
    const policies = (await this.policies()).map(({ statement, index }) => ({ ...statement, index }))
    const authorities = new Authorities()
    for (const record of [...policies, ...found].sort((a, b) => a.index - b.index))
      authorities.apply(record.index, record)
    return authorities
  }

  async #checkAdmin({ statement, index }: LoggedStatement): Promise<LoggedRecord> {
    const { kid = '', issuer } = statement.header
    let policy = policyInForce(await this.policies(), index)
    if (!policy?.adminKeys.has(kid)) {
      // Perhaps an admin that we have not heard of yet.
      policy = policyInForce(await this.newestPolicies(), index)
    }
    const admin = policy?.adminKeys.get(kid)
    if (admin === undefined || issuer !== policy?.fields.origin) {
      throw new AnswerError('not_authorized', `entry ${index}: ${kid} was no admin of this log`)
    }
    return { ...(await verifyRecord(statement, admin.jwk)), index }
  }

  async #readPolicies(): Promise<readonly LogPolicy[]> {
    const view = this.view
    const first = await readFirstStatement(this.#requests)
    await proveIncluded(first.entry, 0, await view.current(), this.#tiles)
    const founding = await verifyPolicy(first, 0, undefined)
    const { origin } = founding.fields
    if (origin !== view.origin) {
      throw new AnswerError('wrong_record', `the first entry is the policy of ${origin}, not of ${view.origin}`)
    }
    return this.#follow([founding])
  }

  /** The versions known, and those after them. */
  async #follow(known: readonly LogPolicy[]): Promise<readonly LogPolicy[]> {
    const policies = [...known]
    // An admin of the newest version may have signed one more.
    for (let more = await this.#laterPolicies(known.at(-1)!); more.length > 0; ) {
      for (const { statement, index } of more) policies.push(await verifyPolicy(statement, index, policies.at(-1)))
      more = await this.#laterPolicies(policies.at(-1)!)
    }
    return policies
  }

  /**
   * The version that the log shows as the newest by an admin of `known`, and those between the two, oldest first. Empty when
   * `known` is the newest.
   */
  async #laterPolicies(known: LogPolicy): Promise<LoggedStatement[]> {
    for (const kid of known.adminKeys.keys()) {
      const bytes = await findPolicyBy(kid, known.fields.origin, this.#requests)
      if (bytes === undefined) continue
      const chain: LoggedStatement[] = []
      for (let next = await this.#readByTiles(bytes); next.index > known.index; ) {
        chain.unshift(next)
        if (chain.length > MAX_POLICY_VERSIONS)
          throw new AnswerError('wrong_record', 'a chain of log policies without end')
        const previous = recordOfStatement(next.statement).links.find(({ rel }) => rel === 'previous')
        if (previous === undefined || equalBytes(previous.entry, known.entry)) break
        const path = `entries/${toHex(previous.entry)}/statement`
        next = await this.#readByTiles(await this.#requests.get(path, MAX_BYTES.statement))
      }
      if (chain.length > 0) return chain
    }
    return []
  }

  /** As {@link readLogged}, before the receipt keys are known: the receipt is only a hint where to look in the tiles. */
  async #readByTiles(bytes: Uint8Array): Promise<LoggedStatement> {
    const { statement, receipt } = readTransparent(bytes)
    const index = parseReceipt(receipt).inclusion[0]?.index ?? 0
    let checkpoint = await this.view.current()
    if (index >= checkpoint.size) checkpoint = await this.view.refresh()
    await proveIncluded(statement.entry, index, checkpoint, this.#tiles)
    return { statement, index, receipt }
  }
}

/** Entry 0, unproven. */
export async function readFirstStatement(requests: Requests): Promise<SignedStatement> {
  const [bytes] = decodeStatementBundle(await requests.get('v1/statements/000.p/1', MAX_BYTES.statement), 1)
  return parseSignedStatement(bytes!)
}

/**
 * What the log calls its newest policy, unproven: followed from entry 0 by its admins as {@link ProvenLog} does, which proves it once
 * there is a checkpoint key to begin with.
 */
export async function readNewestPolicy(requests: Requests): Promise<FieldsOf<'log-policy'>> {
  let [newest, at] = [readPolicyFields(await readFirstStatement(requests)), 0]
  for (let versions = 0; versions < MAX_POLICY_VERSIONS; versions++) {
    const before = at
    for (const kid of newest.adminKeys.map((key) => kidOf(decodePublicKey(key)))) {
      const bytes = await findPolicyBy(kid, newest.origin, requests)
      const { statement, receipt } = bytes === undefined ? {} : readTransparent(bytes)
      const index = receipt && parseReceipt(receipt).inclusion[0]?.index
      if (statement === undefined || index === undefined || index <= at) continue
      newest = readPolicyFields(statement)
      at = index
    }
    if (at === before) break
  }
  return newest
}

function findPolicyBy(adminKid: string, origin: string, requests: Requests): Promise<Uint8Array | undefined> {
  return requests.find(`v1/latest/log-policy/${adminKid}/${encodeURIComponent(origin)}`, MAX_BYTES.statement)
}

/** @throws `AnswerError` `wrong_record` unless it is of that series */
export function checkSeries(path: string, logged: LoggedRecord, type: RecordType, kid: string, id?: string): void {
  const series = seriesOf(logged.record, logged.statement.signer.kid)
  if (series?.type === type && series.kid === kid && (id === undefined || series.id === id)) return
  throw new AnswerError(
    'wrong_record',
    `${path}: the answer is a ${logged.record.type}, entry ${logged.index}, of another series`,
  )
}

function readTransparent(bytes: Uint8Array): { statement: SignedStatement; receipt: Uint8Array } {
  const { statement, receipts } = parseTransparentStatement(bytes, { maxBytes: MAX_BYTES.statement })
  const [receipt] = receipts
  if (receipt === undefined) throw new AnswerError('malformed_answer', 'a statement without a receipt')
  return { statement, receipt }
}

async function verifyRecord(statement: SignedStatement, key: VerificationJwk): Promise<RecordStatement> {
  return recordStatementOf(await verifySignedStatement(statement, await verificationKeyOf(key)))
}
