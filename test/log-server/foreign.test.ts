// Statements that are no records, asked of a real log over HTTP: let in by its policy, refused, and stopped while they wait.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Admission } from '../../log-server/admission/admission.ts'
import { fsckData } from '../../log-server/recovery/fsck.ts'
import { BusyError, type Candidate } from '../../log-server/types.ts'
import { sha256, toHex, utf8 } from '../../merkle/index.ts'
import { encodePublicKey, type ForeignRules } from '../../provenance/index.ts'
import {
  attachWraps,
  decodeCbor,
  decodeProblem,
  encodeCborSequence,
  encodeCoseSign1,
  importVerificationKey,
  kidOf,
  parseReceipt,
  parseSignedStatement,
  parseTransparentStatement,
  splitCborSequence,
  verifyReceipt,
  verifySignedStatement,
  withOtherS,
  wrapKeys,
} from '../../statement/index.ts'
import { AT, certify, createAuthority, type Headers, signForeign, signingKeyOf } from '../provenance/signers.ts'
import { issuer, ORIGIN, stranger, issuer as vendor } from '../provenance/small-log.ts'
import { assertRefused, assertUnchanged, type ServedLog, serveLog } from './served-log.ts'
import { StoredValues } from './stored-values.ts'

const root = await createAuthority('root')
const middle = await createAuthority('intermediate', { issuer: root })
const signer = await certify('signer', { issuer: middle })
const key = await signingKeyOf(signer)
const thumbprint = [34, [-16, sha256(signer.der)]] as const

const RULES: ForeignRules = { keys: [encodePublicKey(vendor.publicJwk)], anchors: [root.der] }
const byKid = (said: string, change: Headers = {}) =>
  signForeign(vendor.key, { header: [[4, utf8(vendor.kid)]], payload: utf8(said), ...change })
const byChain = (said: string) => signForeign(key, { header: [[33, [signer.der, middle.der]]], payload: utf8(said) })
/** With the chain, and something that has no business there, in the unprotected header. */
const byThumbprint = (said: string) =>
  signForeign(key, {
    header: [thumbprint],
    unprotected: new Map([[33, [signer.der, middle.der, root.der]]]),
    payload: utf8(said),
  })

/** Puts the next version of the log's policy on it. */
async function govern(world: ServedLog, foreign: ForeignRules | undefined): Promise<void> {
  const { entry, fields } = world.log.authorities.policy()
  const { foreign: _before, ...rest } = fields
  const { submission } = await world.build(
    'log-policy',
    { fields: { ...rest, ...(foreign && { foreign }) }, links: [{ rel: 'previous', entry }] },
    world.admin,
  )
  assert.equal((await world.post(submission)).statusCode, 201)
}

describe('a log whose policy registers statements of others', () => {
  let world: ServedLog
  before(async () => {
    world = await serveLog(2, { now: () => AT })
    await govern(world, RULES)
  })
  after(() => world.close())

  for (const [how, statement, signedBy] of [
    ['a kid', byKid('a'), vendor.kid],
    ['a protected chain', byChain('b'), kidOf(key.publicJwk)],
    ['x5t and an unprotected chain', byThumbprint('c'), kidOf(key.publicJwk)],
  ] as const) {
    it(`takes one signed by ${how}, and answers with a receipt that verifies; the same again gets the same`, async () => {
      const bytes = await statement
      const { entry } = parseSignedStatement(bytes)
      const answer = await world.post(bytes)
      assert.equal(answer.statusCode, 201, answer.body)
      const [jwk] = world.log.authorities.policy().receiptKeys
      const receipt = parseReceipt(new Uint8Array(answer.rawPayload))
      await verifyReceipt(receipt, entry, await importVerificationKey(jwk!), { origin: ORIGIN })
      const meta = await world.log.reader.locate(entry)
      assert.deepEqual([meta?.type, meta?.signer, meta?.issuedAt], ['foreign', signedBy, AT])
      await assertUnchanged(world, async () => assert.equal((await world.post(bytes)).statusCode, 201))
    })
  }

  it('gives back a Transparent Statement that verifies by itself, the unprotected chain included', async () => {
    const bytes = await byThumbprint('transparent')
    await world.post(bytes)
    const { entry } = parseSignedStatement(bytes)
    const answer = await world.get(`/entries/${toHex(entry)}/statement`)
    const { statement, receipts } = parseTransparentStatement(new Uint8Array(answer.rawPayload))
    assert.equal(receipts.length, 1)
    assert.deepEqual(statement.entry, entry)
    // What led to the anchor, and not the anchor: that one is in the policy.
    assert.deepEqual(statement.header.x5chain, [signer.der, middle.der])
    await verifySignedStatement(statement, await importVerificationKey(key.publicJwk))

    const other = await byKid('transparent')
    await world.post(other)
    const plain = await world.get(`/entries/${toHex(parseSignedStatement(other).entry)}/statement`)
    assert.deepEqual([...parseSignedStatement(new Uint8Array(plain.rawPayload)).unprotected.keys()], [394])
  })

  it('refuses the same content under a second signature', async () => {
    const bytes = await byChain('twice')
    await world.post(bytes)
    const { sign1 } = parseSignedStatement(bytes)
    const twin = encodeCoseSign1({ ...sign1, signature: withOtherS(sign1.signature) })
    await assertUnchanged(world, async () =>
      assertRefused(await world.post(twin), { status: 409, code: 'conflict_signature' }),
    )
  })

  it('refuses whoever its policy does not name, an issuer that it authorized for records among them', async () => {
    const named = await signForeign(stranger.key, { header: [[4, utf8(stranger.kid)]] })
    const selfMade = await certify('signer')
    const selfSigned = await signForeign(await signingKeyOf(selfMade), { header: [[33, selfMade.der]] })
    await assertUnchanged(world, async () => {
      assertRefused(await world.post(named), { status: 403, code: 'unknown_key' })
      assertRefused(await world.post(selfSigned), { status: 400, code: 'unknown_anchor' })
      assertRefused(await world.post(await signForeign(key, { header: [thumbprint] })), {
        status: 400,
        code: 'certificate_missing',
      })
    })
    const anchorsAlone = await serveLog(2, { now: () => AT })
    try {
      await govern(anchorsAlone, { anchors: [root.der] })
      assert.ok(anchorsAlone.log.authorities.keyOf(issuer.kid))
      assertRefused(await anchorsAlone.post(await byKid('by an issuer')), { status: 403, code: 'unknown_key' })
    } finally {
      await anchorsAlone.close()
    }
  })

  it('refuses wraps beside it, and more certificates than the log keeps', async () => {
    const bytes = await byKid('wrapped')
    const wrap = await wrapKeys(new Uint8Array(16), new Map([['x', new Uint8Array(32)]]), world.admin.publicJwk)
    assertRefused(await world.post(attachWraps(bytes, [wrap])), { status: 400, code: 'malformed_wrap' })
    const { sequencer, reader, authorities, keys } = world.log
    const tight = new Admission({
      log: { sequencer, reader, authorities, keys },
      now: () => AT,
      limits: { maxWrapBytes: 100 },
    })
    await assert.rejects(tight.admit(await byThumbprint('large')), { code: 'too_large' })
  })

  it('still takes records, and does not let them link to what is none', async () => {
    const bytes = await byKid('target')
    await world.post(bytes)
    const { entry } = parseSignedStatement(bytes)
    const { submission } = await world.build('issuance-policy', { links: [{ rel: 'previous', entry }] })
    const late = await world.post(submission)
    assertRefused(late, { status: 403, code: 'outside_key_validity' })
  })

  it('is what its own check finds it to be: nothing wrong', async () => {
    const { policies } = world.log.authorities
    assert.equal(policies.length, 2)
    await world.log.close()
    assert.deepEqual((await fsckData(world.dataDir)).findings, [])

    const db = await StoredValues.open(world.dataDir)
    const [kept] = await db.level.keys({ gte: utf8('x'), lt: utf8('y'), limit: 1 }).all()
    assert.ok(kept)
    await db.del(kept)
    await db.put(Uint8Array.of('x'.charCodeAt(0), ...new Uint8Array(32)), new Uint8Array())
    await db.close()
    const { findings } = await fsckData(world.dataDir)
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['index_mismatch', 'index_mismatch', 'stray_value'],
    )
  })
})

describe('a policy that changes while statements wait for their index', () => {
  it('stops those whose key or anchor it withdraws', async () => {
    const world = await serveLog(1, { now: () => AT })
    try {
      await govern(world, RULES)
      const { reader, authorities, keys } = world.log
      const waiting: Candidate[] = []
      const sequencer = {
        async append(candidate: Candidate): Promise<never> {
          waiting.push(candidate)
          throw new BusyError('queue_full', 'only to see what was to be appended')
        },
        appendAll: world.log.sequencer.appendAll.bind(world.log.sequencer),
        size: world.log.sequencer.size,
      }
      const admission = new Admission({ log: { sequencer, reader, authorities, keys }, now: () => AT })
      for (const statement of [byKid('x'), byChain('x'), byThumbprint('x')])
        await assert.rejects(admission.admit(await statement), { code: 'queue_full' })
      for (const { recheck } of waiting) recheck?.()

      await govern(world, { keys: RULES.keys! })
      waiting[0]!.recheck!()
      assert.throws(waiting[1]!.recheck!, { code: 'unknown_anchor' })
      assert.throws(waiting[2]!.recheck!, { code: 'unknown_anchor' })
      await govern(world, undefined)
      for (const { recheck } of waiting) assert.throws(recheck!, { code: 'unsupported_content_type' })
    } finally {
      await world.close()
    }
  })

  it('holds for what follows it in one request, and for nothing before it', async () => {
    const world = await serveLog(1, { now: () => AT })
    try {
      const { entry, fields } = world.log.authorities.policy()
      const links = [{ rel: 'previous' as const, entry }]
      const policy = await world.build('log-policy', { fields: { ...fields, foreign: RULES }, links }, world.admin)
      const statements = [await byKid('before'), policy.submission, await byChain('after'), await byThumbprint('after')]
      const answer = await world.app.inject({
        method: 'POST',
        url: '/v1/entries',
        headers: { 'content-type': 'application/cbor-seq' },
        payload: Buffer.from(encodeCborSequence(statements)),
      })
      assert.equal(answer.statusCode, 200)
      const codes = splitCborSequence(new Uint8Array(answer.rawPayload), 4).map((item) => {
        const outcome = decodeCbor(item, { sortedKeys: false })
        return outcome instanceof Map ? decodeProblem(item).code : 'registered'
      })
      assert.deepEqual(codes, ['unsupported_content_type', 'registered', 'registered', 'registered'])
    } finally {
      await world.close()
    }
  })

  it('keeps out every statement that gets its index after it, however they raced', async () => {
    const world = await serveLog(1, { now: () => AT })
    try {
      await govern(world, RULES)
      const posts = Array.from({ length: 20 }, (_, i) => byKid(`raced ${i}`).then((bytes) => world.post(bytes)))
      const withdrawn = govern(world, undefined)
      const answers = await Promise.all(posts)
      await withdrawn
      const last = world.log.authorities.policy().index
      for (let index = last + 1; index < world.log.reader.treeHead().size; index++)
        assert.fail(`entry ${index} came after the policy that registers nothing of the kind`)
      for (const answer of answers)
        if (answer.statusCode !== 201) assertRefused(answer, { status: 400, code: 'unsupported_content_type' })
    } finally {
      await world.close()
    }
  })
})
