/**
 * Erasing keys and statements: what goes, what stays, and that it is one with the record that says so.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { candidateOf } from '../../log-server/admission/candidate.ts'
import { openLog, paths } from '../../log-server/log.ts'
import { fsckData } from '../../log-server/recovery/fsck.ts'
import { encodeErasure, Sweep } from '../../log-server/storage/erased.ts'
import { Store } from '../../log-server/storage/store.ts'
import type { Candidate } from '../../log-server/types.ts'
import { concatBytes, decodeEntryBundle, equalBytes, type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import { decodeBundle, recordStatementOf } from '../../provenance/index.ts'
import { buildRecordStatement } from '../../provenance/record-statement.ts'
import {
  asArray,
  decodeCbor,
  importVerificationKey,
  parseReceipt,
  publicJwkOf,
  verifyReceipt,
  verifySignedStatement,
} from '../../statement/index.ts'
import { digestOf, SECTIONS } from '../provenance/small-log.ts'
import { X25519_JWK } from '../statement/fixtures.ts'
import {
  assertRefused,
  type Built,
  CBOR_PROBLEM,
  issuer,
  JSON_PROBLEM,
  NOW,
  type ServedLog,
  serveLog,
} from './served-log.ts'
import { StoredValues } from './stored-values.ts'
import { notRandom, ORIGIN, policyCandidate, TestLog, testKey } from './test-log.ts'

type Scope = 'keys' | 'statement'

async function erase(world: ServedLog, entry: Hash, scope: Scope, by = world.admin): Promise<Built> {
  const built = await world.build('erasure', { fields: { scope }, links: [{ rel: 'erases', entry }] }, by, 120)
  const answer = await world.post(built.submission)
  assert.equal(answer.statusCode, 201, answer.rawPayload.toString('latin1'))
  return built
}

async function withWorld(body: (world: ServedLog) => Promise<void>): Promise<void> {
  const world = await serveLog()
  try {
    await body(world)
  } finally {
    await world.close()
  }
}

/** A workload-provenance record whose section is wrapped for somebody: entry 9. */
async function logSealed(world: ServedLog): Promise<Built> {
  const sealed = await world.build('workload-provenance', {
    fields: { subject: digestOf('another image'), subjectKind: 'measurement' },
    sections: SECTIONS['workload-provenance'],
    recipients: [publicJwkOf(X25519_JWK)],
  })
  assert.equal((await world.post(sealed.submission)).statusCode, 201)
  return sealed
}

async function wrapsAt(world: ServedLog, entry: Hash): Promise<number> {
  const answer = await world.get(`/v1/entries/${toHex(entry)}/wraps`)
  return asArray(decodeCbor(new Uint8Array(answer.rawPayload)), 'wraps').length
}

/** Names of the store's files that hold `bytes`. */
async function filesWith(dataDir: string, bytes: Uint8Array): Promise<string[]> {
  const store = paths(dataDir).store
  const found: string[] = []
  for (const name of await readdir(store))
    if ((await readFile(join(store, name))).includes(Buffer.from(bytes))) found.push(name)
  return found
}

function statementsIn(bundle: Uint8Array): Uint8Array[] {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength)
  const statements: Uint8Array[] = []
  for (let at = 0; at < bundle.length; at += 4 + statements.at(-1)!.length) {
    statements.push(bundle.subarray(at + 4, at + 4 + view.getUint32(at)))
  }
  return statements
}

describe('erasing keys', () => {
  it('takes the wraps and leaves the statement', () =>
    withWorld(async (world) => {
      const { statement } = await logSealed(world)
      assert.equal(await wrapsAt(world, statement.entry), 1)
      await erase(world, statement.entry, 'keys', issuer)
      assert.equal(await wrapsAt(world, statement.entry), 0)
      assert.equal((await world.get(`/entries/${toHex(statement.entry)}/statement`)).statusCode, 200)
    }))

  it('is final: the same statement posted with its wraps again brings nothing back', () =>
    withWorld(async (world) => {
      const { statement, submission } = await logSealed(world)
      await erase(world, statement.entry, 'keys')
      assert.equal((await world.post(submission)).statusCode, 201)
      assert.equal(await wrapsAt(world, statement.entry), 0)
    }))
})

describe('erasing a statement', () => {
  it('leaves a hole in the bundle, 410 where it stood, and everything else as it was', () =>
    withWorld(async (world) => {
      const { statement, submission } = await logSealed(world)
      const hex = toHex(statement.entry)
      await erase(world, statement.entry, 'statement')

      for (const [path, type] of [
        [`/entries/${hex}/statement`, CBOR_PROBLEM],
        ['/entries/0.9/statement', CBOR_PROBLEM],
        [
          `/v1/latest/workload-provenance/${world.statements[6]!.header.kid}/${toHex(digestOf('another image'))}`,
          JSON_PROBLEM,
        ],
      ] as const) {
        assertRefused(await world.get(path), { status: 410, code: 'statement_erased', type })
      }
      // The rest of the list is there.
      const all = await world.get(`/v1/latest/workload-provenance/${world.statements[6]!.header.kid}`)
      assert.equal(asArray(decodeCbor(new Uint8Array(all.rawPayload)), 'all').length, 1)

      const bundle = statementsIn(new Uint8Array((await world.get('/v1/statements/000.p/11')).rawPayload))
      const entries = decodeEntryBundle(new Uint8Array((await world.get('/tile/entries/000.p/11')).rawPayload), 11)
      assert.equal(bundle[9]!.length, 0)
      for (const [i, entry] of entries.entries()) if (i !== 9) assert.deepEqual(sha256(bundle[i]!), entry)
      assert.deepEqual(entries[9], statement.entry)

      // A width that was published before the erasure has the hole too, and its length is known.
      const earlier = await world.get('/v1/statements/000.p/10')
      assert.equal(
        earlier.rawPayload.length,
        statementsIn(new Uint8Array(earlier.rawPayload)).reduce((n, s) => n + 4 + s.length, 0),
      )

      const receipt = parseReceipt(new Uint8Array((await world.get(`/entries/${hex}`)).rawPayload))
      const key = await importVerificationKey(world.log.authorities.policy().receiptKeys[0]!)
      assert.equal((await verifyReceipt(receipt, statement.entry, key, { origin: world.log.origin })).index, 9)

      // Posted again it is what it was: an entry of this log, whose statement is gone.
      assert.equal((await world.post(submission)).statusCode, 201)
      assert.equal((await world.get(`/entries/${hex}/statement`)).statusCode, 410)
    }))

  it('leaves bundles of other credentials whole, and answers 410 rather than a story with a gap', () =>
    withWorld(async (world) => {
      const digest = toHex(digestOf('credential'))
      const { statement } = await logSealed(world)
      await erase(world, statement.entry, 'statement')
      const answer = await world.get(`/v1/provenance/${digest}`)
      assert.ok(decodeBundle(new Uint8Array(answer.rawPayload)).statements.length >= 8)
      await erase(world, world.statements[3]!.entry, 'statement')
      assertRefused(await world.get(`/v1/provenance/${digest}`), {
        status: 410,
        code: 'statement_erased',
        type: JSON_PROBLEM,
      })
    }))

  it('survives opening again, and fsck finds nothing', () =>
    withWorld(async (world) => {
      for (const index of [3, 8]) await erase(world, world.statements[index]!.entry, 'statement')
      const { root } = world.log.reader.treeHead()
      await world.log.close()
      assert.deepEqual((await fsckData(world.dataDir)).findings, [])
      const again = await openLog({ dataDir: world.dataDir, now: () => NOW })
      assert.ok(equalBytes(again.reader.treeHead().root, root))
      await assert.rejects(again.reader.statement(3), { code: 'statement_erased', index: 3 })
      await again.close()
    }))

  it('is done once however often it is asked for, in one batch or in several', () =>
    withWorld(async (world) => {
      const { entry } = world.statements[6]!
      const twice = await Promise.all(
        [1, 2].map(() =>
          world.build(
            'erasure',
            { fields: { scope: 'statement' }, links: [{ rel: 'erases', entry }] },
            world.admin,
            120,
          ),
        ),
      )
      const more = await world.build(
        'erasure',
        { fields: { scope: 'statement' }, links: [world.link('erases', 7)] },
        world.admin,
        120,
      )
      const answers = await Promise.all([...twice, more].map(({ submission }) => world.post(submission)))
      for (const { statusCode } of answers) assert.equal(statusCode, 201)
      await erase(world, entry, 'keys')
      await world.log.close()
      assert.deepEqual((await fsckData(world.dataDir)).findings, [])
      const again = await openLog({ dataDir: world.dataDir, now: () => NOW })
      for (const index of [6, 7]) await assert.rejects(again.reader.statement(index), { code: 'statement_erased' })
      await again.close()
    }))

  it('is not for the signer, and not of what says who may write', () =>
    withWorld(async (world) => {
      for (const [index, by, status, code] of [
        [8, issuer, 403, 'role_not_authorized'],
        [0, world.admin, 403, 'not_erasable'],
        [1, world.admin, 403, 'not_erasable'],
      ] as const) {
        const { submission } = await world.build(
          'erasure',
          { fields: { scope: 'statement' }, links: [world.link('erases', index)] },
          by,
          120,
        )
        assertRefused(await world.post(submission), { status, code })
      }
    }))
})

describe('the files of the store', () => {
  it('hold no byte of it once the sweep is through, though both versions were in one write buffer', () =>
    withWorld(async (world) => {
      const { statement } = await logSealed(world)
      const tail = statement.bytes.slice(-60)
      assert.equal((await filesWith(world.dataDir, tail)).length, 1)
      await erase(world, statement.entry, 'statement')
      await world.log.close()
      assert.deepEqual(await filesWith(world.dataDir, tail), [])
      // What was beside it is there still.
      assert.equal((await filesWith(world.dataDir, world.statements[8]!.bytes.slice(-60))).length, 1)
    }))

  it('are swept on start where a crash came before', async () => {
    const log = await TestLog.create()
    try {
      const candidate = await policyCandidate('a', [new Uint8Array(40).fill(77)])
      await log.sequencer.append(candidate)
      await log.close()
      // What the commit of an erasure writes, and nothing after it: as a process leaves it that dies right then.
      const db = await StoredValues.open(log.dataDir)
      await db.put(key('s', 1), new Uint8Array(4))
      await db.put(key('g', 1), encodeErasure({ entry: candidate.entry, by: 2, scope: 'statement' }))
      await db.del(concatBytes(utf8('w'), candidate.entry))
      await db.put(utf8('kerased'), key('', 2))
      await db.close()
      assert.notDeepEqual(await filesWith(log.dataDir, candidate.statement.slice(-60)), [])
      const again = await Store.open(paths(log.dataDir).store)
      await again.sweep()
      await again.swept()
      await again.close()
      assert.deepEqual(await filesWith(log.dataDir, candidate.statement.slice(-60)), [])
      assert.deepEqual(await filesWith(log.dataDir, new Uint8Array(40).fill(77)), [])
    } finally {
      await log.remove()
    }
  })
})

describe('sweeps', () => {
  it('take together what was erased while one was under way, in few ranges and no key left out', async () => {
    const ranges: [first: Buffer, last: Buffer][] = []
    const notes: string[] = []
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const db = {
      async compactRange(first: Uint8Array, last: Uint8Array) {
        ranges.push([Buffer.from(first), Buffer.from(last)])
        await held
      },
      async put(key: Uint8Array, value: Uint8Array) {
        if (Buffer.from(key).toString() === 'swept') notes.push(Buffer.from(value).toString())
      },
    }
    const sweep = new Sweep(db, { touch: utf8('touch'), swept: utf8('swept') })
    sweep.start([utf8('w')], utf8('first'))
    const random = notRandom('sweeps')
    const keys = Array.from({ length: 3000 }, (_, i) => concatBytes(utf8(i % 3 === 0 ? 's' : 'w'), random(32)))
    for (const [i, key] of keys.entries()) sweep.start([key], utf8(`note ${i}`))
    let through = false
    const done = sweep.done().then(() => {
      through = true
    })
    assert.equal(through, false)
    goOn()
    await done
    assert.deepEqual(notes, ['first', 'note 2999'])
    const [, , ...second] = ranges
    assert.ok(second.length <= 65, `${second.length} ranges`)
    for (const key of keys)
      assert.ok(second.some(([a, b]) => Buffer.compare(a, key) <= 0 && Buffer.compare(key, b) <= 0))
    assert.ok(second.every(([a, b]) => a[0] === b[0]))
    sweep.start([], utf8('later'))
    await sweep.done()
    assert.deepEqual(notes.slice(2), ['later'])
  })

  it('that failed let nothing more be written', async () => {
    const db = { compactRange: () => Promise.reject(new Error('EIO')), put: async () => undefined }
    const sweep = new Sweep(db, { touch: utf8('touch'), swept: utf8('swept') })
    sweep.start([utf8('w')], utf8('note'))
    sweep.check()
    await sweep.done()
    assert.throws(() => sweep.check(), /EIO/)
  })
})

describe('a crash around an erasure', () => {
  it('before the commit leaves the statement and no record; after it, the record and no statement', async () => {
    const log = await TestLog.create()
    try {
      const candidate = await policyCandidate('a', [Uint8Array.of(1, 2, 3)])
      await log.sequencer.append(candidate)

      log.disk.breakNext('commit')
      const erasure = await erasureOf(candidate.entry, 'statement')
      const lost = assert.rejects(log.sequencer.append(erasure), { code: 'log_stopped' })
      await lost
      await log.reopen()
      assert.equal(log.sequencer.size, 2)
      assert.deepEqual(await log.reader.statement(1), candidate.statement)
      assert.equal((await log.reader.wraps(candidate.entry)).length, 1)

      log.disk.breakNext('guard')
      await assert.rejects(log.sequencer.append(erasure), { code: 'log_stopped' })
      await log.reopen()
      assert.equal(log.sequencer.size, 3)
      assert.equal((await log.reader.locate(erasure.entry))?.index, 2)
      await assert.rejects(log.reader.statement(1), { code: 'statement_erased' })
      assert.equal((await log.reader.wraps(candidate.entry)).length, 0)
      await log.close()
      assert.deepEqual((await fsckData(log.dataDir)).findings, [])
    } finally {
      await log.remove()
    }
  })
})

describe('a bundle that is being read while something in it is erased', () => {
  it('is the bundle of before, or a broken answer: never a mixture', async () => {
    const log = await TestLog.create()
    try {
      const candidate = await policyCandidate('a')
      await log.sequencer.append(candidate)
      const [before, late] = [await log.reader.statementBundle(0, 2), await log.reader.statementBundle(0, 2)]
      const reading = before!.read(0, before!.length)[Symbol.asyncIterator]()
      const first = await reading.next()
      await log.sequencer.append(await erasureOf(candidate.entry, 'statement'))
      let length = first.value.length
      for (let next = await reading.next(); !next.done; next = await reading.next()) length += next.value.length
      assert.equal(length, before!.length)
      await assert.rejects(late!.read(0, late!.length)[Symbol.asyncIterator]().next(), { name: 'UnavailableError' })
      await assert.rejects(late!.readInto!(new Uint8Array(late!.length)), { name: 'UnavailableError' })

      const after = await log.reader.statementBundle(0, 2)
      assert.equal(after!.length, before!.length - candidate.statement.length)
      assert.notEqual(toHex(after!.digest), toHex(before!.digest))
    } finally {
      await log.remove()
    }
  })
})

describe('a bundle that is asked for while something in it is being erased', () => {
  it('has the length of what it then holds', async (t) =>
    withWorld(async (world) => {
      let goOn = () => {}
      const erased = new Promise<void>((resolve) => {
        goOn = resolve
      })
      // The holes are looked up when the erasure is through, whatever was looked up before.
      const { mock } = t.mock.method(Store.prototype, 'hasErasures', async function (this: Store) {
        await erased
        mock.restore()
        return this.hasErasures()
      })
      const asked = world.log.reader.statementBundle(0, 9)
      await erase(world, world.statements[6]!.entry, 'statement')
      goOn()
      const bundle = await asked
      assert.ok(bundle)
      const pieces: Uint8Array[] = []
      for await (const piece of bundle.read(0, bundle.length)) pieces.push(piece)
      assert.equal(statementsIn(concatBytes(...pieces))[6]?.length, 0)
    }))
})

describe('fsck of a log with erasures', () => {
  it('finds a hole that no record explains, and an erasure that was not carried out', async () => {
    const log = await TestLog.create()
    try {
      const [one, two] = [await policyCandidate('a'), await policyCandidate('b')]
      for (const candidate of [one, two]) await log.sequencer.append(candidate)
      await log.close()
      const store = await Store.open(paths(log.dataDir).store)
      // The record of another erasure than the one that is carried out.
      const erasure = await erasureOf(one.entry, 'statement')
      await commitTo(store, { ...erasure, erases: { entry: two.entry, scope: 'statement' } })
      const codes = (await fsckData(log.dataDir)).findings.map(({ code, index }) => `${code} ${index ?? ''}`)
      assert.ok(codes.includes('hole_unexplained 2'), codes.join())
      assert.ok(codes.includes('erasure_incomplete 1'), codes.join())
    } finally {
      await log.remove()
    }
  })
})

/** A key of the store: a letter and 48 bits. */
function key(letter: string, index: number): Uint8Array {
  return concatBytes(utf8(letter), Uint8Array.of(0, 0, 0, 0, 0, index))
}

const random = notRandom('erasures')

async function erasureOf(entry: Hash, scope: Scope): Promise<Candidate> {
  const key = await testKey()
  const { statement } = await buildRecordStatement(
    { type: 'erasure', fields: { scope }, links: [{ rel: 'erases', entry }] },
    { key, issuer: ORIGIN, now: NOW, random },
  )
  const verified = await verifySignedStatement(statement, await importVerificationKey(key.publicJwk))
  return candidateOf(recordStatementOf(verified), [])
}

/** Commits a candidate at the end of the store, under a tree head that nobody will ask about, and closes it. */
async function commitTo(store: Store, candidate: Candidate): Promise<void> {
  const signed = (await store.signed())!
  const [first, root] = [signed.head.size, signed.head.root]
  const head = { ...signed.head, size: first + 1, root }
  await store.commit({ first, entries: [candidate], tiles: [], bundles: [], signed: { ...signed, head } })
  await store.close()
}
