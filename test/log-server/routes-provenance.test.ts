// The bundle of a credential, and the lookups by signer: complete, of one tree, and bounded.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { type Door, OPEN } from '../../log-server/access/door.ts'
import { grantsOf, type Right } from '../../log-server/access/rights.ts'
import { RequestError } from '../../log-server/problem.ts'
import { collectBundle, collectBundles } from '../../log-server/reading/collect.ts'
import { Snapshot } from '../../log-server/reading/snapshot.ts'
import { Stories } from '../../log-server/routes/stories.ts'
import { equalBytes, fromHex, openCheckpoint, parseVkey, toHex } from '../../merkle/index.ts'
import {
  bundleIn,
  decodeBundle,
  decodeBundleSet,
  encodeBundle,
  encodePublicKey,
  type Link,
  MAX_BUNDLED_BYTES,
  MAX_BUNDLES,
} from '../../provenance/index.ts'
import { KnownTree } from '../../provenance/verification/evidence-memory.ts'
import {
  checkAllIncluded,
  checkReceipts,
  checkRecords,
  openAuthorities,
} from '../../provenance/verification/log-evidence.ts'
import {
  asArray,
  asBytes,
  attachWraps,
  decodeCbor,
  decodeProblem,
  encodeCbor,
  encodeCborSequence,
  importVerificationKey,
  parseReceipt,
  parseTransparentStatement,
  receiptsBeside,
  type SignedStatement,
  verifyReceipt,
  wrapKeys,
} from '../../statement/index.ts'
import { digestOf, FIELDS, ORIGIN } from '../provenance/small-log.ts'
import { assertRefused, issuer, JSON_PROBLEM, type ServedLog, serveLog, verifier } from './served-log.ts'

let world: ServedLog
before(async () => {
  world = await serveLog()
})
after(() => world.close())

const digest = toHex(digestOf('credential'))
const statusFields = FIELDS['credential-status']

async function register(
  built: Promise<{ statement: SignedStatement; submission: Uint8Array }>,
): Promise<SignedStatement> {
  const { statement, submission } = await built
  const answer = await world.post(submission)
  assert.equal(answer.statusCode, 201, answer.rawPayload.toString('latin1'))
  return statement
}

/** The statements of a bundle or a list, each with its receipt verified, at which size. */
async function verified(transparent: readonly Uint8Array[]): Promise<{ statement: SignedStatement; size: number }[]> {
  const key = await importVerificationKey(world.log.authorities.policy().receiptKeys[0]!)
  return Promise.all(
    transparent.map(async (bytes) => {
      const { statement, receipts } = parseTransparentStatement(bytes)
      assert.equal(receipts.length, 1)
      const receipt = parseReceipt(receipts[0]!)
      await verifyReceipt(receipt, statement.entry, key, { origin: ORIGIN })
      return { statement, size: receipt.treeSize! }
    }),
  )
}

async function fetchBundle(hex = digest) {
  const answer = await world.get(`/v1/provenance/${hex}`)
  assert.equal(answer.statusCode, 200, answer.payload)
  assert.equal(answer.headers['content-type'], 'application/vnd.provlog.bundle+cbor')
  assert.equal(answer.headers['cache-control'], 'no-store')
  const bundle = decodeBundle(new Uint8Array(answer.rawPayload))
  return { bundle, statements: await verified(bundle.statements) }
}

async function fetchList(path: string): Promise<SignedStatement[]> {
  const answer = await world.get(path)
  assert.equal(answer.statusCode, 200, answer.payload)
  assert.equal(answer.headers['content-type'], 'application/cbor')
  const list = asArray(decodeCbor(new Uint8Array(answer.rawPayload), { maxBytes: 2 ** 24 }), 'list')
  return (await verified(list.map((item) => asBytes(item, 'item')))).map(({ statement }) => statement)
}

function entriesOf(statements: readonly { statement: SignedStatement }[]): string[] {
  return statements.map(({ statement }) => toHex(statement.entry))
}

describe('GET /v1/provenance/{digest}', () => {
  it('has the record first, then all that it rests on, down to the log’s own policy', async () => {
    const { bundle, statements } = await fetchBundle()
    assert.equal(toHex(bundle.credentialDigest), digest)
    assert.equal(entriesOf(statements)[0], toHex(world.statements[8]!.entry))
    assert.deepEqual(entriesOf(statements).sort(), world.statements.map(({ entry }) => toHex(entry)).sort())
  })

  it('proves every statement in the tree of its one checkpoint', async () => {
    const { bundle, statements } = await fetchBundle()
    const { origin, vkey } = world.log
    const { size } = openCheckpoint(bundle.checkpoint, { origin, verifiers: [parseVkey(vkey)] })
    for (const each of statements) assert.equal(each.size, size)
  })

  it('stays of one tree while the log grows under it', async () => {
    const { reader, authorities } = world.log
    // Between any two reads of the answer, somebody else registers something.
    let grown = 0
    const growing = {
      treeHead: () => reader.treeHead(),
      checkpoint: () => reader.checkpoint(),
      inclusionProofs: (indexes: readonly number[], size: number) => reader.inclusionProofs(indexes, size),
      byUnique: (key: string) => reader.byUnique(key),
      locate: (entry: Uint8Array) => reader.locate(entry),
      statuses: (hex: string, limit?: number) => reader.statuses(hex, limit),
      wraps: (entry: Uint8Array) => reader.wraps(entry),
      certificates: (entry: Uint8Array) => reader.certificates(entry),
      entryAt: (index: number) => reader.entryAt(index),
      async statement(index: number) {
        await register(
          world.build('issuance-policy', { fields: { ...FIELDS['issuance-policy'], policyId: `g${grown++}` } }),
        )
        return reader.statement(index)
      },
    }
    const before = reader.treeHead().size
    const bundle = await collectBundle(fromHex(digest), { log: growing, authorities })
    assert.ok(reader.treeHead().size > before + 5)
    for (const { size } of await verified(bundle.statements)) assert.equal(size, before)
  })

  it('brings every status of the credential, and the wraps of what is sealed', async () => {
    const { statement } = await world.build('credential-status')
    const wrap = await wrapKeys(
      digestOf('id').slice(0, 16),
      new Map([['detail', digestOf('cek')]]),
      world.admin.publicJwk,
    )
    await register(Promise.resolve({ statement, submission: attachWraps(statement.bytes, [wrap]) }))
    const second = await register(
      world.build('credential-status', { fields: { ...statusFields, status: 'reinstated' } }),
    )

    const { bundle, statements } = await fetchBundle()
    const entries = entriesOf(statements)
    assert.ok(entries.includes(toHex(statement.entry)) && entries.includes(toHex(second.entry)))
    assert.deepEqual(Array.from(bundle.wraps), [[toHex(statement.entry), [wrap]]])
  })

  it('leaves out no status, however many there are: the first may be the revocation', async () => {
    const entries = Array.from({ length: 20 }, async () =>
      toHex((await register(world.build('credential-status'))).entry),
    )
    const registered = await Promise.all(entries)
    const brought = new Set(entriesOf((await fetchBundle()).statements))
    assert.ok(registered.every((entry) => brought.has(entry)))
  })

  it('brings the newer authorizations of a signer, which say whether its key was taken away', async () => {
    const key = encodePublicKey(verifier.publicJwk)
    const fields = { ...FIELDS['key-authorization'], subject: verifier.issuer, trustDomain: 'attest.example', key }
    const newer = await register(
      world.build('key-authorization', {
        fields: { ...fields, role: 'verifier', notAfter: 20_000 },
        links: [world.link('previous', 2)],
      }),
    )
    assert.ok(entriesOf((await fetchBundle()).statements).includes(toHex(newer.entry)))
  })

  it('brings the log’s policies from the first to the one in force', async () => {
    const fields = world.log.authorities.policy().fields
    const newer = await register(
      world.build('log-policy', {
        fields: { ...fields, maxStatementBytes: fields.maxStatementBytes - 1 },
        links: [{ rel: 'previous', entry: world.statements[0]!.entry }],
      }),
    )
    const entries = entriesOf((await fetchBundle()).statements)
    assert.ok(entries.includes(toHex(newer.entry)) && entries.includes(toHex(world.statements[0]!.entry)))
  })

  it('holds up before a relying party who knows nothing else of the log', async () => {
    const { bundle } = await fetchBundle()
    const { origin, vkey } = world.log
    const verifier = parseVkey(vkey)
    const checkpoint = openCheckpoint(bundle.checkpoint, { origin, verifiers: [verifier] })
    const tree = new KnownTree(checkpoint)
    const included = checkAllIncluded(bundle, tree)
    const own = await openAuthorities(included, tree)
    const { signedAt } = await checkReceipts(included, own.authorities, tree)
    const records = await checkRecords(included, own.authorities, own.records, signedAt, tree)
    assert.equal(records.length, bundle.statements.length)
  })

  it('refuses more statements than a bundle may carry (bundle_too_large)', async () => {
    // Sixteen results, each under a policy and eight sets of reference values of its own: 16 × 10 and the rest.
    const link = async (rel: Link['rel'], built: ReturnType<ServedLog['build']>): Promise<Link> => ({
      rel,
      entry: (await register(built)).entry,
    })
    const [authorization] = world.log.authorities.inForce(verifier.kid)
    const key = { rel: 'key-authorization', entry: authorization!.entry } as const
    const results = await Promise.all(
      Array.from({ length: 16 }, async (_, i) => {
        const appraisal = { ...FIELDS['appraisal-policy'], policyId: `a${i}` }
        const criteria = await Promise.all([
          link('appraisal-policy', world.build('appraisal-policy', { fields: appraisal })),
          ...Array.from({ length: 8 }, (_, j) => {
            const values = { ...FIELDS['reference-values'], policyId: `r${i}.${j}` }
            return link('reference-values', world.build('reference-values', { fields: values }))
          }),
        ])
        const fields = { ...FIELDS['attestation-result'], resultDigest: digestOf(`result ${i}`) }
        return link('attestation-result', world.build('attestation-result', { fields, links: [key, ...criteria] }))
      }),
    )
    const fields = { ...FIELDS['credential-provenance'], credentialDigest: digestOf('composite') }
    const links = [
      world.link('workload-provenance', 6),
      world.link('issuance-policy', 3),
      world.link('key-authorization', 1),
      ...results,
    ]
    await register(world.build('credential-provenance', { fields, links }))
    const many = Array.from({ length: 120 }, () => register(world.build('credential-status')))
    await Promise.all(many)
    for (const digest of [digestOf('composite'), digestOf('credential')])
      assertRefused(await world.get(`/v1/provenance/${toHex(digest)}`), {
        status: 422,
        code: 'bundle_too_large',
        type: JSON_PROBLEM,
      })
  })

  it('knows no other credential (not_found), and no other name (invalid_locator)', async () => {
    const unknown = toHex(digestOf('another'))
    assertRefused(await world.get(`/v1/provenance/${unknown}`), { status: 404, code: 'not_found', type: JSON_PROBLEM })
    for (const name of ['x', unknown.toUpperCase(), `${unknown}0`, `0.8`]) {
      assertRefused(await world.get(`/v1/provenance/${name}`), {
        status: 400,
        code: 'invalid_locator',
        type: JSON_PROBLEM,
      })
    }
  })
})

describe('POST /v1/entries, for whoever accepts a bundle set', () => {
  const SET = 'application/vnd.provlog.bundles+cbor'
  const post = (submissions: readonly Uint8Array[]) =>
    world.app.inject({
      method: 'POST',
      url: '/v1/entries',
      headers: { 'content-type': 'application/cbor-seq', accept: `${SET}, application/cbor-seq` },
      payload: Buffer.from(encodeCborSequence(submissions)),
    })
  const recordOf = async (name: string) => {
    const links = [
      world.link('workload-provenance', 6),
      world.link('attestation-result', 7),
      world.link('issuance-policy', 3),
      world.link('key-authorization', 1),
    ]
    const fields = { ...FIELDS['credential-provenance'], credentialDigest: digestOf(name) }
    return (await world.build('credential-provenance', { fields, links })).statement
  }
  const policyOf = async (policyId: string) =>
    (await world.build('issuance-policy', { fields: { ...FIELDS['issuance-policy'], policyId } })).statement
  const visitBy = (...rights: readonly Right[]): Door => ({
    ...OPEN,
    nameOf: () => 'somebody',
    visitOf: () => ({ caller: { by: 'none' as const }, grants: grantsOf(...rights) }),
  })
  const tell = async (index: number, door: Door) => {
    const { reader: log, authorities } = world.log
    return new Stories({ log, authorities, door }).registered([index], {} as FastifyRequest)
  }

  it('is the bundle of each credential, the receipt of all else, and why the rest was refused', async () => {
    const [record, other] = [await recordOf('told'), await policyOf('told')]
    const forged = (await policyOf('forged')).bytes.slice()
    forged[forged.length - 1]! ^= 1
    const { size } = world.log.reader.treeHead()
    const answer = await post([forged, record.bytes, other.bytes])
    assert.equal(answer.statusCode, 200, answer.payload)
    assert.equal(answer.headers['content-type'], SET)
    assert.equal(answer.headers['cache-control'], 'no-store')
    const set = decodeBundleSet(new Uint8Array(answer.rawPayload))
    const [refused, places, alone, ...more] = set.bundles
    assert.deepEqual(more, [])
    assert.ok(refused instanceof Uint8Array)
    assert.ok(places && !(places instanceof Uint8Array) && alone && !(alone instanceof Uint8Array))
    assert.equal(decodeProblem(refused).code, 'bad_signature')
    const digest = digestOf('told')
    assert.deepEqual(
      decodeBundle(encodeBundle(bundleIn(set, places, digest))),
      (await fetchBundle(toHex(digest))).bundle,
    )
    assert.equal(alone.length, 1)
    const [receipt] = receiptsBeside(other, set.statements[alone[0]!]!.statement)!
    assert.equal(parseReceipt(receipt!).inclusion[0]!.index, size + 1)
  })

  it('is receipts for more statements than a set may be about', async () => {
    const { bytes } = await policyOf('many')
    const answer = await post(Array.from({ length: MAX_BUNDLES + 1 }, () => bytes))
    assert.equal(answer.headers['content-type'], 'application/cbor-seq')
  })

  it('tells nothing to whoever may not read, and of a credential outside of the view its record alone', async () => {
    const { size: index } = world.log.reader.treeHead()
    assert.equal((await post([(await recordOf('inside')).bytes])).statusCode, 200)
    assert.equal(await tell(index, visitBy('append:issuer')), undefined)
    assert.deepEqual((await tell(index, visitBy('append:issuer', 'read:general')))!.bundles, [[0]])
    assert.ok(((await tell(index, visitBy('append:issuer', 'read')))!.bundles[0] as number[]).length > 1)
  })
})

describe('POST /v1/provenance', () => {
  const ask = (payload: Uint8Array, type = 'application/cbor') =>
    world.app.inject({
      method: 'POST',
      url: '/v1/provenance',
      headers: { 'content-type': type },
      payload: Buffer.from(payload),
    })
  const askFor = async (digests: readonly Uint8Array[]) => {
    const answer = await ask(encodeCbor(digests))
    assert.equal(answer.statusCode, 200, answer.payload)
    assert.equal(answer.headers['content-type'], 'application/vnd.provlog.bundles+cbor')
    assert.equal(answer.headers['cache-control'], 'no-store')
    return decodeBundleSet(new Uint8Array(answer.rawPayload))
  }
  const digests = ['first', 'second'].map(digestOf)
  before(async () => {
    for (const [i, credentialDigest] of digests.entries()) {
      const links = [
        world.link('workload-provenance', 6),
        world.link('attestation-result', 7),
        world.link('issuance-policy', 3),
        world.link('key-authorization', 1),
      ]
      const fields = { ...FIELDS['credential-provenance'], credentialDigest }
      const { statement } = await world.build('credential-provenance', { fields, links })
      const wrap = await wrapKeys(
        digestOf('id').slice(0, 16),
        new Map([['decision', digestOf(`key ${i}`)]]),
        world.admin.publicJwk,
      )
      await register(Promise.resolve({ statement, submission: attachWraps(statement.bytes, [wrap]) }))
    }
  })

  it('is for each credential the bundle that it has alone, and what they share is there once', async () => {
    const set = await askFor(digests)
    for (const [i, places] of set.bundles.entries()) {
      assert.ok(!(places instanceof Uint8Array))
      const bundle = bundleIn(set, places, digests[i]!)
      assert.deepEqual(decodeBundle(encodeBundle(bundle)), (await fetchBundle(toHex(digests[i]!))).bundle)
    }
    assert.equal(set.statements.length, new Set(set.statements.map(({ entry }) => toHex(entry))).size)
    const together = set.bundles.reduce((sum, { length }) => sum + length, 0)
    assert.ok(set.statements.length < together)
  })

  it('says of each that has none why, and gives the others theirs', async () => {
    const { bundles } = await askFor([digestOf('another'), digests[0]!, digestOf('composite'), digests[0]!])
    const codes = bundles.map((each) => (each instanceof Uint8Array ? decodeProblem(each).code : 'found'))
    assert.deepEqual(codes, ['not_found', 'found', 'bundle_too_large', 'found'])
  })

  it('leaves out what has no room beside the others (bundle_too_large)', async () => {
    const { reader: log, authorities } = world.log
    const alone = await collectBundles([digests[0]!], { log, authorities }, MAX_BUNDLED_BYTES)
    const bytes = alone.statements.reduce((sum, { statement }) => sum + statement.length, 0)
    const none = await collectBundles(digests, { log, authorities }, bytes / 2)
    assert.deepEqual(
      none.bundles.map((each) => each instanceof RequestError && each.code),
      ['bundle_too_large', 'bundle_too_large'],
    )
    assert.deepEqual(none.statements, [])
  })

  const refused: readonly [what: string, body: Uint8Array, status: number, code: string][] = [
    ['nothing', new Uint8Array(), 400, 'malformed_cbor'],
    ['no digest', encodeCbor([]), 400, 'malformed_request'],
    ['a digest by itself', encodeCbor(digestOf('first')), 400, 'malformed_cbor'],
    ['a digest in hex', encodeCbor([digest]), 400, 'malformed_cbor'],
    ['a digest cut short', encodeCbor([digestOf('first').slice(1)]), 400, 'malformed_cbor'],
    ['what goes on after the end', Uint8Array.of(...encodeCbor(digests), 0), 400, 'malformed_cbor'],
    ['more than 250', encodeCbor(Array(251).fill(digests[0])), 413, 'too_large'],
    ['a small array of many', encodeCbor(Array(8000).fill(null)), 400, 'malformed_cbor'],
    ['a large body', new Uint8Array(100_000), 413, 'too_large'],
  ]
  for (const [what, body, status, code] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      assertRefused(await ask(body), { status, code, type: JSON_PROBLEM })
    })
  }

  it('takes no other type (unsupported_media_type)', async () => {
    for (const type of ['application/cose', 'application/json', 'application/cbor-seq']) {
      assertRefused(await ask(encodeCbor(digests), type), {
        status: 415,
        code: 'unsupported_media_type',
        type: JSON_PROBLEM,
      })
    }
  })
})

describe('GET /v1/latest/{type}/{kid}/{id}', () => {
  it('is the newest of its series', async () => {
    const fields = { ...FIELDS['issuance-policy'], policyId: 'latest/with a slash & ümlaut' }
    const path = `/v1/latest/issuance-policy/${issuer.kid}/${encodeURIComponent(fields.policyId)}`
    assertRefused(await world.get(path), { status: 404, code: 'not_found', type: JSON_PROBLEM })
    for (const version of [1, 2]) {
      const { entry } = await register(world.build('issuance-policy', { fields: { ...fields, version } }))
      const answer = await world.get(path, { accept: 'application/scitt-statement+cose' })
      assert.equal(answer.headers['content-type'], 'application/scitt-statement+cose')
      const [found] = await verified([new Uint8Array(answer.rawPayload)])
      assert.ok(equalBytes(found!.statement.entry, entry))
    }
  })

  it('does not reach the series of another signer through the id', async () => {
    const path = `/v1/latest/issuance-policy/${verifier.kid}/${encodeURIComponent(`../${issuer.kid}/payments`)}`
    assertRefused(await world.get(path), { status: 404, code: 'not_found', type: JSON_PROBLEM })
  })

  const kid = issuer.kid
  const refused: readonly (readonly [path: string, status: number, code: string])[] = [
    [`nothing/${kid}/x`, 400, 'invalid_locator'],
    [`constructor/${kid}/x`, 400, 'invalid_locator'],
    [`Issuance-Policy/${kid}/x`, 400, 'invalid_locator'],
    [`issuance-policy/${kid}x/x`, 400, 'invalid_locator'],
    ['issuance-policy/x/x', 400, 'invalid_locator'],
    [`issuance-policy/${kid}/${'x'.repeat(257)}`, 400, 'invalid_locator'],
    [`issuance-policy/${kid}/`, 400, 'invalid_locator'],
    [`issuance-policy/${kid}/x/y`, 404, 'not_found'],
    [`issuance-policy/${kid}/%00`, 404, 'not_found'],
    [`issuance-policy/${'x'.repeat(2000)}/x`, 414, 'uri_too_long'],
  ]
  for (const [path, status, code] of refused) {
    it(`refuses ${path.slice(0, 80)} (${code})`, async () => {
      assertRefused(await world.get(`/v1/latest/${path}`), { status, code, type: JSON_PROBLEM })
    })
  }
})

describe('GET /v1/latest/{type}/{kid}', () => {
  it('is the newest of each series of that signer, and nobody else’s', async () => {
    const small = await fetchList(`/v1/latest/workload-provenance/${issuer.kid}`)
    assert.deepEqual(
      small.map(({ entry }) => entry),
      [world.statements[6]!.entry],
    )
    assert.deepEqual(await fetchList(`/v1/latest/workload-provenance/${verifier.kid}`), [])
  })

  it('is at most a hundred', async () => {
    assert.equal((await fetchList(`/v1/latest/reference-values/${verifier.kid}`)).length, 100)
  })
})

describe('GET /v1/authorizations/{kid}', () => {
  it('is every authorization of the key, oldest first, and none for a key that has none', async () => {
    const found = await fetchList(`/v1/authorizations/${verifier.kid}`)
    assert.equal(found.length, 2)
    assert.ok(equalBytes(found[0]!.entry, world.statements[2]!.entry))
    assert.deepEqual(await fetchList(`/v1/authorizations/${world.admin.kid}`), [])
    assertRefused(await world.get('/v1/authorizations/x'), { status: 400, code: 'invalid_locator', type: JSON_PROBLEM })
  })
})

describe('Snapshot', () => {
  it('knows an index from none', () => {
    const snapshot = new Snapshot(world.log.reader)
    const { size } = snapshot.head
    assert.deepEqual(
      [snapshot.has(undefined), snapshot.has(0), snapshot.has(size - 1), snapshot.has(size)],
      [false, true, true, false],
    )
  })
})
