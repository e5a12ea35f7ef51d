/**
 * The door: what every request passes before anything is looked up for it, and what is written down when it leaves.
 *
 * ```
 *   headers ─► who calls ─► may they, by what the route needs ─► body, as it was signed ─► the route ─► answer ─► audit line
 *                 │               │                                                         │
 *                 └─ refused ─────┴─ access_denied: the same for what is there and for      └─ an append: each statement by its
 *                                    what is not                                               type; answered once it is written down
 * ```
 *
 * A log without `access` in its configuration has {@link OPEN}, and no hook at all.
 *
 * @module
 */

import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toHex } from '../../merkle/bytes.ts'
import { assert } from '../../merkle/error.ts'
import { checkContentDigest } from '../../provenance/proof-of-possession/content-digest.ts'
import type { Authorities } from '../../provenance/rules/authorities.ts'
import { wrapRecipientKid } from '../../statement/wrap.ts'
import type { Sender } from '../admission/admission.ts'
import type { Admitted } from '../admission/admission-batch.ts'
import { isLoopback } from '../config.ts'
import { type Operation, operationOf } from '../http/openapi.ts'
import { idOfProxy, REQUEST_ID } from '../http/request-id.ts'
import { type ProblemCode, problemOf, RequestError } from '../problem.ts'
import { BusyError, type Clock } from '../types.ts'
import { type Appended, type AuditLine, rangesOf } from './audit-line.ts'
import type { AuditLog } from './audit-log.ts'
import { checkMaySend, demand, isRecipient, type Rules } from './authorize.ts'
import type { Caller, Callers, Identified } from './caller.ts'
import { limitRequest } from './limit-request.ts'
import { type Limits, networkOf } from './limits.ts'
import { EVERYTHING, type Grants, grantsOf } from './rights.ts'

/** Who sent a request, and what they may do. */
export interface Visit {
  readonly caller: Caller
  readonly grants: Grants
}

export interface Door {
  /** To be called before any route is registered. */
  attachTo(app: FastifyInstance): void
  visitOf(request: FastifyRequest): Visit
  /** Who shares with whom what there is only so much of: the identifier, or the address of whoever has none. */
  nameOf(request: FastifyRequest): string
  /** And what each statement of the request is shown to, once it is parsed: throws for one that this caller may not send. */
  senderOf(request: FastifyRequest): Sender
  /** Resolves when it is written down who brought a statement; to be called before that is answered. @throws {@link BusyError} `audit_unavailable` */
  recordAppend(request: FastifyRequest, status: number, admitted: Admitted): Promise<void>
  /** Likewise for a batch, whole. */
  recordAppends(request: FastifyRequest, outcomes: readonly (Admitted | Error)[]): Promise<void>
  /** For a registration that was not waited for: what became of it. Never rejects. */
  followAppend(request: FastifyRequest, entry: string, registration: Promise<Admitted>): Promise<void>
  /**
   * For a request that comes to no hook, because its target cannot be read: it passes the door all the same, and leaves its line. Resolves to what
   * it is to be refused with, `error` where nothing else comes first; never rejects.
   */
  refuseUnrouted(request: FastifyRequest, reply: FastifyReply, error: Error): Promise<Error>
  /** Those of the wraps of a record by `signer` (kid) that whoever asks may see. */
  wrapsFor(request: FastifyRequest, wraps: readonly Uint8Array[], signer: string): readonly Uint8Array[]
}

const SOMEBODY: Visit = { caller: { by: 'none' }, grants: EVERYTHING }

/** Everybody may everything, and nothing is written down. */
export const OPEN: Door = {
  attachTo: () => {},
  visitOf: () => SOMEBODY,
  nameOf: addressOf,
  senderOf: (request) => ({ caller: addressOf(request) }),
  recordAppend: async () => {},
  recordAppends: async () => {},
  followAppend: async () => {},
  refuseUnrouted: async (_request, _reply, error) => error,
  wrapsFor: (_request, wraps) => wraps,
}

/** Of the admin listener in clear text: whoever is on this machine. */
export const LOCAL_ADMIN: Grants = grantsOf('admin')

export interface GuardedDoorOptions {
  readonly callers: Pick<Callers<Socket>, 'identify'>
  readonly rules: Rules
  readonly authorities: Pick<Authorities, 'authorizations' | 'encryptionKeysOf'>
  readonly audit: AuditLog
  readonly now: Clock
  /** How much each caller may take; whoever could not be known counts by address. */
  readonly limits?: Limits
  /** The address for admins: it is for them whatever a route needs, and there is nothing for anybody else. */
  readonly admin?: 'by-rules' | 'local'
  /** Whether there is such an address, and this is not it. */
  readonly adminElsewhere?: boolean
}

interface GuardedVisit extends Visit {
  readonly identified: Identified
  /** Undefined for no path of ours, or no method of it. */
  readonly operation: Operation | undefined
  code: ProblemCode | undefined
  /** What was appended, also where its line could not be written. */
  appended: Appended | undefined
  isRecorded: boolean
}

/** Where a request keeps its visit. In a weak map, each would be the garbage collector's work. */
const VISIT = Symbol('visit')
type Visited = FastifyRequest & { [VISIT]?: GuardedVisit }

/**
 * What is done for each request on a connection that is kept is done without promises, spreads and functions of its own: they were a half of
 * what it cost.
 */
export class GuardedDoor implements Door {
  readonly #options: GuardedDoorOptions

  constructor(options: GuardedDoorOptions) {
    this.#options = options
  }

  attachTo(app: FastifyInstance): void {
    app.decorateRequest(VISIT)
    app.addHook('onRequest', (request, reply, done) => this.#enter(request, reply, done))
    // The body has been read, whole, and nothing has been done with it.
    app.addHook('preValidation', (request, _reply, done) => {
      const { contentToCheck } = this.visitOf(request).identified
      if (contentToCheck) checkContent(request, contentToCheck.digest).then(() => done(), done)
      else done()
    })
    app.addHook('onError', (request, _reply, error, done) => {
      const visit = (request as Visited)[VISIT]
      if (visit) visit.code = problemOf(error, request.id).code
      done()
    })
    // And not when the answer has gone, which it never does to whoever hangs up before.
    app.addHook('onSend', (request, reply, payload, done) => {
      const visit = (request as Visited)[VISIT]
      if (visit) {
        this.#keepFromCaches(visit, reply)
        this.#leave(visit, request.id, reply.statusCode)
      }
      done(null, payload)
    })
  }

  visitOf(request: FastifyRequest): GuardedVisit {
    const visit = (request as Visited)[VISIT]
    assert(visit, 'a request that has come to its route came through the door')
    return visit
  }

  #enter(request: FastifyRequest, reply: FastifyReply, done: (refusal?: Error) => void): void {
    const { audit } = this.#options
    const identified = this.#identify(request)
    // Whoever comes faster than it can be written down waits: what is in memory is bounded.
    if (audit.isFull)
      audit
        .written()
        .then(() => identified)
        .then((who) => this.#admit(request, reply, who, done), done)
    else if (identified instanceof Promise) identified.then((who) => this.#admit(request, reply, who, done), done)
    else this.#admit(request, reply, identified, done)
  }

  #identify({ raw }: FastifyRequest): Identified | Promise<Identified> {
    const { method, url = '', rawHeaders, socket } = raw
    return this.#options.callers.identify({ method: method!, target: url, rawHeaders, socket })
  }

  #admit(request: FastifyRequest, reply: FastifyReply, identified: Identified, done: (refusal?: Error) => void): void {
    let refusal: unknown
    try {
      this.#judge(request, reply, identified)
    } catch (error) {
      refusal = error
    }
    done(refusal as Error | undefined)
  }

  /** @throws whatever the request is refused with */
  #judge(request: FastifyRequest, reply: FastifyReply, identified: Identified): void {
    const { rules, admin, audit, limits } = this.#options
    const { caller, refusal } = identified
    if (identified.peerRefused) reply.header('connection', 'close')
    const grants = refusal ? NOTHING : admin === 'local' ? LOCAL_ADMIN : rules.grantsOf(caller)
    const operation = operationOf(request)
    ;(request as Visited)[VISIT] = {
      caller,
      grants,
      identified,
      operation,
      code: undefined,
      appended: undefined,
      isRecorded: false,
    }
    const id = caller.via === undefined ? undefined : idOfProxy(request.headers[REQUEST_ID])
    if (id !== undefined) {
      request.id = id
      reply.header(REQUEST_ID, id)
    }
    // Before it is refused: what is refused is paid for as well.
    if (limits) limitRequest(limits, request, reply, refusal ? undefined : caller)
    if (refusal) throw refusal
    if (admin === 'local') refusePages(request.headers)
    const need = operation?.access
    // No such path, or no such method on it: that is said in the API's description.
    if (need === undefined || need === 'anyone') return
    // Who scrapes there needs no more than that.
    demand(grants, admin && need !== 'metrics' ? 'admin' : need)
    if (need === 'append' && audit.failing)
      throw new BusyError('audit_unavailable', 'who does this cannot be written down now')
  }

  /** What not everybody may read no shared cache may keep: it would answer whoever asks next. */
  #keepFromCaches({ operation }: GuardedVisit, reply: FastifyReply): void {
    if (operation === undefined || this.#options.rules.anonymous.has(operation.access)) return
    const caching = reply.getHeader('cache-control')
    if (typeof caching === 'string' && caching.startsWith('public')) {
      reply.header('cache-control', caching.replace('public', 'private'))
    }
  }

  nameOf(request: FastifyRequest): string {
    return this.visitOf(request).caller.identifier ?? addressOf(request)
  }

  senderOf(request: FastifyRequest): Sender {
    const { grants } = this.visitOf(request)
    const adminHere = !this.#options.adminElsewhere
    return { caller: this.nameOf(request), permit: (statement) => checkMaySend(grants, statement, adminHere) }
  }

  recordAppend(request: FastifyRequest, status: number, admitted: Admitted): Promise<void> {
    return this.#record(request, status, aboutAppended(admitted))
  }

  recordAppends(request: FastifyRequest, outcomes: readonly (Admitted | Error)[]): Promise<void> {
    const indexes: number[] = []
    const refused = new Map<string, number>()
    for (const outcome of outcomes) {
      if (!(outcome instanceof Error)) {
        indexes.push(outcome.index)
        continue
      }
      const { code } = problemOf(outcome, request.id)
      refused.set(code, (refused.get(code) ?? 0) + 1)
    }
    return this.#record(request, 200, {
      ...(indexes.length > 0 && { indexes: rangesOf(indexes) }),
      ...(refused.size > 0 && { refused: Object.fromEntries(refused) }),
    })
  }

  #record(request: FastifyRequest, status: number, appended: Appended): Promise<void> {
    const visit = this.visitOf(request)
    visit.appended = appended
    return this.#options.audit.record(this.#line(visit, request.id, status)).then(() => {
      visit.isRecorded = true
    })
  }

  async followAppend(request: FastifyRequest, entry: string, registration: Promise<Admitted>): Promise<void> {
    const { audit } = this.#options
    // The moment and the status are those of the end, of a request that was answered before.
    const outcome = await registration.then(
      (admitted) => ({ status: 201, code: undefined, appended: aboutAppended(admitted) }),
      (error: unknown) => ({ ...problemOf(error, request.id), appended: { entry } }),
    )
    audit.note(this.#line({ ...this.visitOf(request), ...outcome }, request.id, outcome.status))
  }

  async refuseUnrouted(request: FastifyRequest, reply: FastifyReply, error: Error): Promise<Error> {
    const { audit } = this.#options
    let refusal = error
    try {
      if (audit.isFull) await audit.written()
      this.#judge(request, reply, await this.#identify(request))
    } catch (earlier) {
      refusal = earlier as Error
    }
    const visit = (request as Visited)[VISIT]
    if (visit) {
      const { code, status } = problemOf(refusal, request.id)
      visit.code = code
      this.#leave(visit, request.id, status)
    }
    return refusal
  }

  wrapsFor(request: FastifyRequest, wraps: readonly Uint8Array[], signer: string): readonly Uint8Array[] {
    const { caller, grants } = this.visitOf(request)
    const { authorities } = this.#options
    const { identifier } = caller
    if (identifier === undefined) return []
    // Whoever signed the record made them all, or had them made.
    if (authorities.authorizations(signer).some(({ subject }) => subject === identifier)) return wraps
    if (!grants.has('wraps')) return []
    return wraps.filter((wrap) => isRecipient(caller, wrapRecipientKid(wrap) ?? '', this.#options))
  }

  /** A line for all whom we know, for whoever was refused for not being known, and for whoever claimed to be somebody. */
  #leave(visit: GuardedVisit, request: string, status: number): void {
    if (visit.isRecorded) return
    const { caller, identified, appended } = visit
    const isNobody = caller.by === 'none' && caller.asserted === undefined && caller.via === undefined
    if (isNobody && !identified.refusal && !appended) return
    this.#options.audit.note(this.#line(visit, request, status))
  }

  #line({ caller, operation, code, appended }: GuardedVisit, request: string, status: number): AuditLine {
    const { now, admin } = this.#options
    return {
      at: now(),
      request,
      caller,
      operation: operation?.operationId ?? null,
      listener: admin && 'admin',
      status,
      code,
      appended,
    }
  }
}

const NOTHING: Grants = grantsOf()

/**
 * Whoever is on this machine is not whatever page somebody on it looks at: one elsewhere, or one that has a name of its own made to mean this
 * address.
 *
 * @throws {@link RequestError} `access_denied`
 */
function refusePages({ host = '', origin, 'sec-fetch-site': site }: FastifyRequest['headers']): void {
  const name = host.replace(/:\d{1,5}$/, '').replace(/^\[(.*)\]$/, '$1')
  const isElsewhere = site !== undefined && site !== 'same-origin' && site !== 'none'
  if (origin !== undefined || isElsewhere || !isLoopback(name)) {
    throw new RequestError('access_denied', 'this address is for programs of this machine')
  }
}

/** @throws ProvenanceError `content_digest_missing`, `content_digest_mismatch`; {@link RequestError} `malformed_request` */
async function checkContent(
  { body, headers }: Pick<FastifyRequest, 'body' | 'headers'>,
  digest: string | undefined,
): Promise<void> {
  if (body instanceof Uint8Array) return checkContentDigest(digest, body)
  const { 'content-length': length, 'transfer-encoding': coding } = headers
  if ((length !== undefined && length !== '0') || coding !== undefined) {
    throw new RequestError('malformed_request', 'content that was signed, on a path that reads none')
  }
  await checkContentDigest(digest, new Uint8Array())
}

function addressOf({ raw }: Pick<FastifyRequest, 'raw'>): string {
  return networkOf(raw.socket.remoteAddress ?? '')
}

function aboutAppended({ index, entry, duplicate }: Admitted): Appended {
  return { index, entry: toHex(entry), ...(duplicate && { duplicate }) }
}
