/**
 * A real log in a temporary directory, with its application over it, for tests that ask it things over HTTP.
 *
 *     0  log-policy           by the admin that `initLog` made
 *     1  key-authorization    issuer    bank.example
 *     2  key-authorization    verifier  attest.example
 *     3  issuance-policy      4  appraisal-policy      5  reference-values
 *     6  workload-provenance  7  attestation-result    8  credential-provenance
 *
 * The contents are those of `../provenance/small-log.ts`, but that statuses suspend: nothing could follow a revocation. The clock stands still at {@link NOW}.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { type AppOptions, buildApp } from '../../log-server/app.ts'
import { initLog } from '../../log-server/init.ts'
import { type Log, openLog } from '../../log-server/log.ts'
import { type ProblemCode, REGISTRATION_PROBLEMS } from '../../log-server/problem.ts'
import { equalBytes } from '../../merkle/index.ts'
import {
  buildRecordStatement,
  encodePublicKey,
  type Link,
  type NewRecord,
  type RecordType,
} from '../../provenance/index.ts'
import {
  attachWraps,
  decodeProblem,
  importSigningKey,
  parsePrivateJwk,
  parseSignedStatement,
  publicJwkOf,
  type SignedStatement,
} from '../../statement/index.ts'
import {
  author,
  FIELDS,
  issuer,
  notRandom,
  ORIGIN,
  type Party,
  SECTIONS,
  signerOf,
  VERIFIER,
  verifier,
} from '../provenance/small-log.ts'

/** Later than the nine records, which are dated 100 to 108. */
export const NOW = 200

export interface ServedLog {
  readonly dataDir: string
  readonly log: Log
  readonly app: FastifyInstance
  readonly admin: Party
  /** By index. */
  readonly statements: readonly SignedStatement[]
  /** Builds the honest record of `type`, changed as `change` says, signed by whoever signs such records or by `by`. */
  build<T extends RecordType>(type: T, change?: Partial<NewRecord<T>>, by?: Party, issuedAt?: number): Promise<Built>
  post(body: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<LightMyRequestResponse>
  get(url: string, headers?: Readonly<Record<string, string>>): Promise<LightMyRequestResponse>
  readonly link: (rel: Link['rel'], index: number) => Link
  close(): Promise<void>
}

export interface Built {
  readonly statement: SignedStatement
  /** With its wraps attached: what a client posts. */
  readonly submission: Uint8Array
}

/** A log with the first `length` of the nine records, `log-policy` included. */
export async function serveLog(length = 9, options: Partial<AppOptions> = {}): Promise<ServedLog> {
  const dataDir = await mkdtemp(join(tmpdir(), 'provlog-routes-'))
  const random = notRandom(`served log ${++served}`)
  const created = await initLog({ dataDir, origin: ORIGIN, now: () => 100, random })
  const log = await openLog({ dataDir, now: () => NOW })
  const app = buildApp({ log, now: () => NOW, ...options })
  const jwk = parsePrivateJwk(JSON.parse(await readFile(created.adminKey, 'utf8')))
  const key = await importSigningKey(jwk)
  const admin: Party = { issuer: ORIGIN, jwk, publicJwk: publicJwkOf(jwk), key, kid: key.kid }

  const statements: SignedStatement[] = []
  const world: ServedLog = {
    dataDir,
    log,
    app,
    admin,
    statements,
    async build(type, change = {}, by, issuedAt = 110) {
      const party = by ?? (signerOf(type).issuer === ORIGIN ? admin : signerOf(type))
      const record = {
        type,
        fields: HONEST_FIELDS[type],
        links: linksOf(type, world),
        sections: SECTIONS[type],
        ...change,
      }
      const { statement, wraps } = await buildRecordStatement(record, author(party, issuedAt))
      return { statement, submission: attachWraps(statement.bytes, wraps) }
    },
    async post(body, headers = {}) {
      const answer = await app.inject({
        method: 'POST',
        url: '/entries',
        headers: { 'content-type': 'application/cose', ...headers },
        payload: Buffer.from(body),
      })
      // Whatever a test is about: what registration may refuse with is a list that people read.
      if (answer.statusCode >= 400) {
        const { code } = problemIn(answer)
        assert.ok(REGISTRATION_PROBLEMS.includes(code as ProblemCode), `${code} is not among what registration refuses`)
      }
      return answer
    },
    get: (url, headers = {}) => app.inject({ method: 'GET', url, headers }),
    link: (rel, index) => ({ rel, entry: statements[index]!.entry }),
    async close() {
      await app.close()
      await log.close()
      await rm(dataDir, { recursive: true })
    },
  }
  const entry0 = await log.reader.statement(0)
  assert.ok(entry0)
  statements.push(parseSignedStatement(entry0))
  for (const [i, [type, change]] of HONEST.entries()) {
    if (i + 1 >= length) break
    const { statement, submission } = await world.build(type, change, undefined, 101 + i)
    const answer = await world.post(submission)
    assert.equal(answer.statusCode, 201, answer.rawPayload.toString('latin1'))
    statements.push(statement)
  }
  return world
}

let served = 0

const HONEST: readonly (readonly [RecordType, Partial<NewRecord<RecordType>>])[] = [
  ['key-authorization', {}],
  [
    'key-authorization',
    {
      fields: {
        role: 'verifier',
        trustDomain: 'attest.example',
        subject: VERIFIER,
        key: encodePublicKey(verifier.publicJwk),
        notBefore: 0,
      },
    },
  ],
  ['issuance-policy', {}],
  ['appraisal-policy', {}],
  ['reference-values', {}],
  ['workload-provenance', {}],
  ['attestation-result', {}],
  ['credential-provenance', {}],
]

const HONEST_FIELDS: typeof FIELDS = {
  ...FIELDS,
  'credential-status': { ...FIELDS['credential-status'], status: 'suspended' },
}

function linksOf(type: RecordType, { link }: ServedLog): readonly Link[] {
  if (type === 'attestation-result') {
    return [link('appraisal-policy', 4), link('reference-values', 5), link('key-authorization', 2)]
  }
  if (type === 'credential-provenance' || type === 'issuance-denied' || type === 'issuance-intent') {
    return [
      link('workload-provenance', 6),
      link('attestation-result', 7),
      link('issuance-policy', 3),
      link('key-authorization', 1),
    ]
  }
  if (type === 'credential-status') return [link('credential-provenance', 8), link('key-authorization', 1)]
  if (type === 'erasure') return [link('erases', 8)]
  return []
}

export { issuer, verifier }

export const CBOR_PROBLEM = 'application/concise-problem-details+cbor'
export const JSON_PROBLEM = 'application/problem+json'

/** What a refusal must be: status, code, and the form that it comes in. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly type?: string
}

export function assertRefused(answer: LightMyRequestResponse, { status, code, type = CBOR_PROBLEM }: Refusal): void {
  const found = { status: answer.statusCode, code: problemIn(answer).code, type: answer.headers['content-type'] }
  assert.deepEqual(found, { status, code, type })
  assert.equal(answer.headers['cache-control'], 'no-store')
}

export function problemIn(answer: LightMyRequestResponse): {
  title: string
  detail: string
  code?: string
  status?: number
} {
  const bytes = new Uint8Array(answer.rawPayload)
  return answer.headers['content-type'] === CBOR_PROBLEM ? decodeProblem(bytes) : answer.json()
}

/** Runs `attempt`, which must be refused, and checks that the log is the same to the byte afterwards. */
export async function assertUnchanged(world: ServedLog, attempt: () => Promise<void>): Promise<void> {
  const before = world.log.reader.treeHead()
  await attempt()
  const after = world.log.reader.treeHead()
  assert.equal(after.size, before.size)
  assert.ok(equalBytes(after.root, before.root))
  assert.equal(world.log.sequencer.waiting, 0)
}
