// What of one trust domain's credentials a reader of another one is shown, and that the rest is to them as if it were not there.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { LightMyRequestResponse } from 'fastify'
import { equalBytes, toHex } from '../../../merkle/index.ts'
import {
  decodeBundle,
  decodeBundleSet,
  encodePublicKey,
  type NewRecord,
  RECORD_CONTENT_TYPE,
  type RecordType,
  recordOfStatement,
} from '../../../provenance/index.ts'
import { decodeProblem, encodeCbor, parseTransparentStatement, type SignedStatement } from '../../../statement/index.ts'
import { createParty, digestOf, FIELDS, ISSUER, issuer, type Party, SECTIONS } from '../../provenance/small-log.ts'
import { type ServedLog, serveLog } from '../served-log.ts'
import { type Guarded, guard, may } from './guarded-log.ts'

const INSIDE = digestOf('credential')
const [GENERAL, OUTBOUND, PARTNERS, ERASED, NOWHERE] = [
  'general',
  'outbound',
  'of the partner',
  'erased',
  'nowhere',
].map(digestOf) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array]

const ALL = 'spiffe://bank.example/auditor'
const OWN = 'spiffe://bank.example/payments'
const PARTNER = 'spiffe://shop.example/till'

let world: ServedLog
let guarded: Guarded
let generalization: SignedStatement

async function add<T extends RecordType>(type: T, change: Partial<NewRecord<T>>, by?: Party): Promise<number> {
  const { statement, submission } = await world.build(type, change, by, 120)
  assert.equal((await world.post(submission)).statusCode, 201)
  ;(world.statements as SignedStatement[]).push(statement)
  return world.statements.length - 1
}

const authorize = (role: 'issuer' | 'gateway', trustDomain: string, subject: string, party: Party) =>
  add('key-authorization', {
    fields: { role, trustDomain, subject, key: encodePublicKey(party.publicJwk), notBefore: 0 },
  })

before(async () => {
  world = await serveLog()
  const { link } = world
  const grounds = (authorization: number) => [
    link('workload-provenance', 6),
    link('attestation-result', 7),
    link('issuance-policy', 3),
    link('key-authorization', authorization),
  ]
  const fields = FIELDS['credential-provenance']
  const general = await add('credential-provenance', { fields: { ...fields, credentialDigest: GENERAL } })
  const gateway = await createParty(11, ISSUER)
  const authorization = await authorize('gateway', 'bank.example', ISSUER, gateway)
  const said = await add(
    'identity-generalization',
    {
      fields: { credentialDigest: GENERAL },
      links: [link('credential-provenance', general), link('key-authorization', authorization)],
      sections: {
        credential: {
          digest: INSIDE,
          subject: 'spiffe://bank.example/payments',
          origin: 'log.example',
          entry: world.statements[8]!.entry,
        },
      },
    },
    gateway,
  )
  generalization = world.statements[said]!
  await add('credential-provenance', { fields: { ...fields, credentialDigest: OUTBOUND, usage: 'outbound' } })
  // The partner's own issuer, which signs with the bank's key: a key may be authorized for two trust domains.
  const theirs = await authorize('issuer', 'shop.example', 'spiffe://shop.example/issuer', issuer)
  const asPartner = { ...issuer, issuer: 'spiffe://shop.example/issuer' }
  const policy = await add('issuance-policy', {}, asPartner)
  await add(
    'credential-provenance',
    {
      fields: { ...fields, credentialDigest: PARTNERS },
      links: [...grounds(theirs).filter(({ rel }) => rel !== 'issuance-policy'), link('issuance-policy', policy)],
      sections: {
        ...SECTIONS['credential-provenance'],
      },
    },
    asPartner,
  )
  const erased = await add('credential-provenance', { fields: { ...fields, credentialDigest: ERASED } })
  await add(
    'erasure',
    { fields: { scope: 'statement', reasonCode: 'court-order' }, links: [link('erases', erased)] },
    world.admin,
  )

  guarded = guard(world, [
    may(ALL, 'read'),
    { trustDomain: 'bank.example', may: ['read:general'] },
    { trustDomain: 'shop.example', may: ['read:general'] },
    may('anonymous', 'read:general'),
  ])
})
after(() => world.close())

function ask(peer: string | undefined, digest: Uint8Array): Promise<LightMyRequestResponse> {
  guarded.peer = peer
  return guarded.app.inject({ url: `/v1/provenance/${toHex(digest)}` })
}

describe('the general view', () => {
  const shown: readonly [who: string, peer: string | undefined, digests: Readonly<Record<string, number>>][] = [
    ['whoever reads all', ALL, { inside: 200, general: 200, outbound: 200, partners: 200, erased: 410 }],
    [
      'a reader of the same trust domain',
      OWN,
      { inside: 200, general: 200, outbound: 200, partners: 404, erased: 404 },
    ],
    ['a reader of another', PARTNER, { inside: 404, general: 200, outbound: 200, partners: 200, erased: 404 }],
    ['whoever nobody knows', undefined, { inside: 404, general: 200, outbound: 200, partners: 404, erased: 404 }],
  ]
  const digests = { inside: INSIDE, general: GENERAL, outbound: OUTBOUND, partners: PARTNERS, erased: ERASED }
  for (const [who, peer, expected] of shown) {
    it(`shows ${who} ${JSON.stringify(expected)}`, async () => {
      const found: Record<string, number> = {}
      for (const [name, digest] of Object.entries(digests)) found[name] = (await ask(peer, digest)).statusCode
      assert.deepEqual(found, expected)
    })
  }

  it('says of what it hides, to the byte, what it says of what is nowhere', async () => {
    const said = ({
      statusCode,
      headers: { date: _date, 'x-request-id': _id, ...headers },
      rawPayload,
    }: LightMyRequestResponse) => ({
      statusCode,
      headers,
      text: rawPayload.toString('latin1'),
    })
    const nowhere = said(await ask(PARTNER, NOWHERE))
    for (const digest of [INSIDE, ERASED]) assert.deepEqual(said(await ask(PARTNER, digest)), nowhere)
  })

  it('is the same when several are asked for at once', async () => {
    guarded.peer = PARTNER
    const answer = await guarded.app.inject({
      method: 'POST',
      url: '/v1/provenance',
      headers: { 'content-type': 'application/cbor' },
      payload: Buffer.from(encodeCbor([NOWHERE, INSIDE, GENERAL, ERASED, OUTBOUND])),
    })
    assert.equal(answer.statusCode, 200)
    const { bundles, statements } = decodeBundleSet(new Uint8Array(answer.rawPayload))
    const [nowhere, inside, general, erased, outbound] = bundles
    assert.ok(nowhere instanceof Uint8Array && inside instanceof Uint8Array && erased instanceof Uint8Array)
    assert.equal(decodeProblem(nowhere).code, 'not_found')
    assert.ok(equalBytes(nowhere, inside) && equalBytes(nowhere, erased))
    assert.ok(Array.isArray(general) && Array.isArray(outbound))
    // Nor is anything of the others in what the bundles share.
    const entries = statements.map(({ entry }) => toHex(entry))
    assert.ok(!entries.includes(toHex(world.statements[8]!.entry)))
  })

  it('has in the bundle of a general credential nothing of the one behind it', async () => {
    const bytes = new Uint8Array((await ask(PARTNER, GENERAL)).rawPayload)
    const records = decodeBundle(bytes).statements.map((each) => parseTransparentStatement(each).statement)
    assert.ok(records.some(({ entry }) => equalBytes(entry, generalization.entry)))
    const inside = world.statements[8]!
    for (const statement of records) {
      assert.equal(statement.header.contentType, RECORD_CONTENT_TYPE)
      assert.ok(!equalBytes(statement.entry, inside.entry))
      assert.ok(!recordOfStatement(statement).links.some(({ entry }) => equalBytes(entry, inside.entry)))
    }
    for (const secret of [INSIDE, inside.entry]) {
      assert.ok(!Buffer.from(bytes).includes(Buffer.from(secret)))
      assert.ok(!Buffer.from(bytes).includes(toHex(secret)))
    }
    assert.ok(!Buffer.from(bytes).includes('spiffe://bank.example/payments'))
  })

  it('is all that there is: no statement, series, wraps or replay beside it', async () => {
    guarded.peer = PARTNER
    const entry = toHex(world.statements[8]!.entry)
    for (const url of [
      `/entries/${entry}/statement`,
      '/entries/0.8/statement',
      '/v1/statements/000.p/9',
      `/v1/latest/issuance-policy/${issuer.kid}`,
      `/v1/entries/${entry}/wraps`,
    ]) {
      assert.equal((await guarded.app.inject({ url })).statusCode, 403, url)
    }
  })
})
