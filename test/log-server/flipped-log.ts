/**
 * A log that has a value of every kind, and what a reader is told of it: for tests that change one bit at a time.
 *
 *     0–8   the nine records    9–11   sealed ones, of which 9 loses its keys and 10 its statement    12  a status    13  a log-policy with foreign rules
 *     14    a foreign statement with certificates beside it    then raw entries, past a full tile, the two erasures, a revocation, another issuance-policy, and three raw ones
 *
 * @module
 */
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../log-server/app.ts'
import { type Log, openLog } from '../../log-server/log.ts'
import { freezeLog } from '../../log-server/recovery/freeze.ts'
import { createSigningKeys } from '../../log-server/sequencing/signing-keys.ts'
import {
  appendLeaves,
  decodeEntryBundle,
  EMPTY_RANGE,
  equalBytes,
  formatTileIndex,
  type Hash,
  hashLeaf,
  openCheckpoint,
  parseVkey,
  rangeRoot,
  sha256,
  splitHashes,
  TILE_WIDTH,
  tilesOfSize,
  tileWidth,
  toHex,
} from '../../merkle/index.ts'
import { decodeBundle, encodePublicKey } from '../../provenance/index.ts'
import {
  importVerificationKey,
  type PublicJwk,
  parseReceipt,
  parseTransparentStatement,
  publicJwkOf,
  type VerificationKey,
  verifyReceipt,
} from '../../statement/index.ts'
import { AT, certify, createAuthority, signForeign, signingKeyOf } from '../provenance/signers.ts'
import { digestOf, FIELDS, issuer, notRandom, ORIGIN, SECTIONS } from '../provenance/small-log.ts'
import { X25519_JWK } from '../statement/fixtures.ts'
import { type Built, NOW, type ServedLog, serveLog } from './served-log.ts'

/** In memory, where there is such a place: each flip opens the log several times, and nothing here is about what a disk has synced. */
export const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** What a log served before anything in it was changed. */
export interface Served {
  readonly origin: string
  readonly size: number
  /** By the path that was asked for. */
  readonly answers: ReadonlyMap<string, Answer>
}

export interface FlippedLog extends Served {
  /** As SIGKILL would leave it: LevelDB's log has something in it, and is not in a table before somebody opens it. */
  readonly dataDir: string
  readonly publicKeys: PublicKeys
  /** What is there already, or must not be there because of what is: the log never takes it. */
  readonly refused: readonly Uint8Array[]
  remove(): Promise<void>
}

export interface Answer {
  readonly status: number
  readonly body: Uint8Array
}

/** @param raw - how many entries that are no records */
export async function flippedLog(raw: number): Promise<FlippedLog> {
  let clock = NOW
  const world = await serveLog(9, { now: () => clock })
  await fill(world, raw, (at) => {
    clock = at
  })
  const made = await createSigningKeys(world.dataDir, { checkpoint: true, receipt: true }, notRandom('later keys'))
  assert.ok(made.vkey)
  const dataDir = await mkdtemp(join(SCRATCH, 'provlog-flips-'))
  await world.log.close()
  await world.app.close()

  const between = await openLog({ dataDir: world.dataDir, now: () => NOW })
  const refused = await appendLast(world, between)
  await between.close()
  // Each opening puts what there is into a table.
  const log = await openLog({ dataDir: world.dataDir, now: () => AT })
  for (const said of ['one', 'two', 'three']) await log.sequencer.appendRaw(new TextEncoder().encode(`${said} more`))
  await freezeLog(world.dataDir, log, AT)
  const { size } = log.reader.treeHead()
  // Reading so much makes LevelDB merge its tables into one.
  await cp(world.dataDir, dataDir, { recursive: true })
  const answers = await readAll(log, await pathsOf(log))
  const publicKeys = publicKeysOf(log)
  await log.close()
  await rm(world.dataDir, { recursive: true })
  for (const [path, { status }] of answers)
    assert.ok(status === 200 || status === 410 || status === 404, `${status} ${path}`)
  return { dataDir, origin: ORIGIN, size, answers, publicKeys, refused, remove: () => rm(dataDir, { recursive: true }) }
}

/** @param halfway - called when all that will be erased is there, and nothing is yet */
export async function fill(
  world: ServedLog,
  raw: number,
  setClock: (at: number) => void,
  halfway: () => Promise<void> = async () => {},
): Promise<void> {
  const post = async (body: Uint8Array) => {
    const answer = await world.post(body)
    assert.equal(answer.statusCode, 201, answer.rawPayload.toString('latin1'))
  }
  const sealed: Hash[] = []
  for (const of of ['one', 'two', 'three']) {
    const built = await world.build('workload-provenance', {
      fields: { subject: digestOf(of), subjectKind: 'measurement' },
      sections: SECTIONS['workload-provenance'],
      recipients: [publicJwkOf(X25519_JWK)],
    })
    sealed.push(built.statement.entry)
    await post(built.submission)
    if (sealed.length === 2) await halfway()
  }
  await post((await world.build('credential-status')).submission)
  // Certificates are of their own time.
  setClock(AT)
  const root = await createAuthority('root')
  const signer = await certify('signer', { issuer: root })
  const { entry, fields } = world.log.authorities.policy()
  const foreign = { keys: [encodePublicKey(issuer.publicJwk)], anchors: [root.der] }
  const links = [{ rel: 'previous' as const, entry }]
  await post((await world.build('log-policy', { fields: { ...fields, foreign }, links }, world.admin)).submission)
  await post(
    await signForeign(await signingKeyOf(signer), {
      header: [[34, [-16, sha256(signer.der)]]],
      unprotected: new Map([[33, [signer.der, root.der]]]),
      payload: new Uint8Array(3),
    }),
  )
  setClock(NOW)
  for (let i = 0; i < raw; i += 100) {
    const bodies = Array.from({ length: Math.min(100, raw - i) }, (_, at) => new TextEncoder().encode(`raw ${i + at}`))
    await world.log.sequencer.appendRawAll(bodies)
  }
  for (const [i, scope] of (['keys', 'statement'] as const).entries()) {
    const links = [{ rel: 'erases' as const, entry: sealed[i]! }]
    await post((await world.build('erasure', { fields: { scope }, links }, world.admin, 120)).submission)
  }
}

/**
 * A revocation; and a newer policy, so that of one series there is a newest, in another table than the one before.
 *
 * @returns what is refused from then on
 */
async function appendLast(world: ServedLog, log: Log): Promise<Uint8Array[]> {
  const app = buildApp({ log, now: () => NOW })
  const post = async ({ submission }: Built) => (await submit(app, submission)).statusCode
  const revoked = await world.build('credential-status', { fields: { ...REVOCATION, status: 'revoked' } })
  const policy = await world.build('issuance-policy', {
    fields: { ...FIELDS['issuance-policy'], version: 2 },
    links: [world.link('previous', 3)],
  })
  assert.equal(await post(revoked), 201)
  assert.equal(await post(policy), 201)
  const resumed = await world.build('credential-status', { fields: { ...REVOCATION, status: 'reinstated' } })
  const again = await world.build('credential-provenance', {}, undefined, 120)
  for (const built of [resumed, again]) assert.equal(await post(built), 409)
  await app.close()
  return [revoked, policy, resumed, again].map(({ submission }) => submission)
}

const REVOCATION = FIELDS['credential-status']

function submit(app: FastifyInstance, submission: Uint8Array) {
  const headers = { 'content-type': 'application/cose' }
  return app.inject({ method: 'POST', url: '/entries', headers, payload: Buffer.from(submission) })
}

/** How many of `submissions` the log takes; none where it ends before it has answered. */
export async function taken(log: Log, submissions: readonly Uint8Array[]): Promise<number> {
  // When their signers may sign.
  const app = buildApp({ log, now: () => NOW })
  const { size } = log.reader.treeHead()
  for (const submission of submissions) await submit(app, submission)
  await app.close()
  return log.reader.treeHead().size - size
}

/** All that is served of the records and the tree. */
export async function pathsOf({ reader }: Pick<Log, 'reader'>): Promise<string[]> {
  const { size } = reader.treeHead()
  const paths = ['/checkpoint', '/v1/policies']
  for (const { level, index, width } of tilesOfSize(size)) {
    const place = formatTileIndex(index, width)
    paths.push(`/tile/${level}/${place}`)
    if (level === 0) paths.push(`/tile/entries/${place}`, `/v1/statements/${place}`)
  }
  for (const index of [...Array(15).keys(), size - 7, size - 6, size - 5, size - 4].filter((index) => index < size)) {
    const entry = await reader.entryAt(index)
    const id = toHex(entry!)
    paths.push(`/entries/${id}`, `/entries/0.${index}/statement`, `/entries/${id}/statement`, `/v1/entries/${id}/wraps`)
    const meta = await reader.locate(entry!)
    if (meta?.type === 'issuance-policy')
      paths.push(`/v1/latest/issuance-policy/${meta.signer}/${FIELDS['issuance-policy'].policyId}`)
    if (meta?.type === 'credential-provenance') paths.push(`/v1/provenance/${toHex(digestOfCredential)}`)
  }
  return paths
}

const digestOfCredential = digestOf('credential')

export async function readAll(log: Log, paths: Iterable<string>): Promise<Map<string, Answer>> {
  const app = buildApp({ log, now: () => AT })
  const answers = new Map<string, Answer>()
  for (const url of paths) {
    const answer = await app
      .inject({ method: 'GET', url })
      .catch((error: unknown) => error as { readonly code?: string })
    // Broken off in the middle of what could not be read.
    if (!('rawPayload' in answer)) assert.equal(answer.code, 'LIGHT_ECONNRESET')
    else answers.set(url, { status: answer.statusCode, body: new Uint8Array(answer.rawPayload) })
  }
  await app.close()
  return answers
}

/** What becomes of an answer: the same as ever, or refused by server or reader; not all of what is there; or false, and taken for true. */
export type Verdict = 'good' | 'absent' | 'false'

/** What a reader makes of `answer` who knows the log's keys and an older, true checkpoint. */
export async function verdictOf(path: string, answer: Answer, log: Served, keys: Keys): Promise<Verdict> {
  const before = log.answers.get(path)!
  if (answer.status >= 500) return 'good'
  if (answer.status === 404 && before.status !== 404) return 'absent'
  if (answer.status !== before.status) return 'false'
  if (equalBytes(answer.body, before.body) || answer.status !== 200) return 'good'
  try {
    return await verdictOfBody(path, answer.body, log, keys)
  } catch {
    return 'good'
  }
}

/** What is served of a log, judged: how many answers are false, and how many leave out what is there. */
export async function judgeAll(served: Log, log: Served, keys: Keys): Promise<{ shown: number; absent: number }> {
  const counts = { good: 0, absent: 0, false: 0 }
  for (const [path, answer] of await readAll(served, log.answers.keys())) {
    counts[await verdictOf(path, answer, log, keys)]++
  }
  return { shown: counts.false, absent: counts.absent }
}

export interface Keys {
  readonly vkey: string
  readonly receiptKey: VerificationKey
}

async function verdictOfBody(
  path: string,
  body: Uint8Array,
  log: Served,
  { vkey, receiptKey }: Keys,
): Promise<Verdict> {
  const falseIf = (is: boolean): Verdict => (is ? 'false' : 'good')
  const pinned = { origin: log.origin, verifiers: [parseVkey(vkey)] }
  const { root, size } = openCheckpoint(bodyAt(log, '/checkpoint'), pinned)
  if (path === '/checkpoint') {
    const opened = openCheckpoint(body, pinned)
    return falseIf(opened.size !== size || !equalBytes(opened.root, root))
  }
  if (path.startsWith('/tile/entries/')) {
    const hashes = entriesIn(body).map(hashLeaf)
    const tile = new Uint8Array(Buffer.concat(hashes))
    return falseIf(leadsTo(root, log, path.replace('/tile/entries/', '/tile/0/'), tile))
  }
  if (path.startsWith('/tile/')) return falseIf(leadsTo(root, log, path, body))
  if (path.startsWith('/v1/statements/')) {
    const entries = entriesIn(bodyAt(log, path.replace('/v1/statements/', '/tile/entries/')))
    const statements = statementsIn(body)
    return falseIf(statements.every((each, i) => each.length === 0 || equalBytes(sha256(each), entries[i]!)))
  }
  // A wrap that is not one of those there were does not open: it is authenticated, and the CEK is committed to.
  if (path.endsWith('/wraps')) return body.length < bodyAt(log, path).length ? 'absent' : 'good'
  if (path.startsWith('/v1/provenance/')) {
    const { statements } = decodeBundle(body)
    for (const each of statements) {
      const { statement, receipts } = parseTransparentStatement(each)
      await verifyReceipt(parseReceipt(receipts[0]!), statement.entry, receiptKey, { origin: log.origin })
    }
    return statements.length < decodeBundle(bodyAt(log, path)).statements.length ? 'absent' : 'good'
  }
  const entry = entryIn(path, log)
  if (/^\/entries\/[0-9a-f]+$/.test(path)) {
    await verifyReceipt(parseReceipt(body), entry!, receiptKey, { origin: log.origin })
    return 'good' // another form of what it proved before
  }
  const { statement, receipts } = parseTransparentStatement(body)
  await verifyReceipt(parseReceipt(receipts[0]!), statement.entry, receiptKey, { origin: log.origin })
  const { statement: before } = parseTransparentStatement(bodyAt(log, path))
  // Who asked for the newest of a series, and for no entry in particular, does not see that it is another one.
  if (!equalBytes(statement.entry, before.entry)) return entry === undefined ? 'false' : 'good'
  return (statement.header.x5chain ?? []).length < (before.header.x5chain ?? []).length ? 'absent' : 'good'
}

const bodyAt = (log: Served, path: string): Uint8Array => log.answers.get(path)!.body

function entryIn(path: string, log: Served): Hash | undefined {
  const [, hex, index] = /\/entries\/(?:([0-9a-f]{64})|0\.(\d+))/.exec(path) ?? []
  if (hex !== undefined) return new Uint8Array(Buffer.from(hex, 'hex'))
  if (index === undefined) return undefined
  const n = Math.floor(Number(index) / TILE_WIDTH)
  const bundle = bodyAt(log, `/tile/entries/${formatTileIndex(n, tileWidth(0, n, log.size))}`)
  return entriesIn(bundle)[Number(index) % TILE_WIDTH]
}

const entriesIn = (bundle: Uint8Array): readonly Hash[] => decodeEntryBundle(bundle, bundle.length / 34)

function statementsIn(bundle: Uint8Array): Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength)
  const statements: Uint8Array[] = []
  for (let at = 0; at < bundle.length; ) {
    const end = at + 4 + view.getUint32(at)
    if (end > bundle.length) throw new Error('cut short')
    statements.push(bundle.subarray(at + 4, end))
    at = end
  }
  return statements
}

/** Whether the tiles lead to `root`, on every level, with the one at `path` replaced. */
function leadsTo(root: Hash, log: Served, path: string, body: Uint8Array): boolean {
  const levels = new Map<number, Uint8Array[]>()
  for (const { level, index, width } of tilesOfSize(log.size)) {
    const name = `/tile/${level}/${formatTileIndex(index, width)}`
    levels.set(level, [...(levels.get(level) ?? []), name === path ? body : bodyAt(log, name)])
  }
  const rootOf = (tiles: readonly Uint8Array[]) =>
    rangeRoot(appendLeaves(EMPTY_RANGE, new Uint8Array(Buffer.concat(tiles))))
  const above = splitHashes(new Uint8Array(Buffer.concat(levels.get(1) ?? [])))
  const tiles = levels.get(0)!
  return equalBytes(rootOf(tiles), root) && above.every((hash, i) => equalBytes(hash, rootOf([tiles[i]!])))
}

/** What another process needs to have {@link Keys}. */
export type PublicKeys = Pick<Keys, 'vkey'> & { readonly receiptKey: PublicJwk }

export function publicKeysOf(log: Log): PublicKeys {
  return { vkey: log.vkey, receiptKey: log.authorities.policy().receiptKeys[0]! }
}

export async function keysOf({ vkey, receiptKey }: PublicKeys): Promise<Keys> {
  return { vkey, receiptKey: await importVerificationKey(receiptKey) }
}
