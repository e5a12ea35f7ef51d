// What a log does with what was withdrawn, announced, or became of a credential: at admission, in bundles, and after a restart.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openLog } from '../../log-server/log.ts'
import { fsckData } from '../../log-server/recovery/fsck.ts'
import { toBase64url, toHex } from '../../merkle/index.ts'
import { decodeBundle, type NewRecord, recordOfStatement } from '../../provenance/index.ts'
import {
  decodeCbor,
  decodeProblem,
  encodeCborSequence,
  parseTransparentStatement,
  type SignedStatement,
  splitCborSequence,
} from '../../statement/index.ts'
import { digestOf, FIELDS } from '../provenance/small-log.ts'
import { type Built, NOW, problemIn, type ServedLog, serveLog, verifier } from './served-log.ts'

let world: ServedLog
before(async () => {
  world = await serveLog()
})
after(() => world.close())

async function register({ statement, submission }: Built): Promise<SignedStatement> {
  const answer = await world.post(submission)
  assert.equal(answer.statusCode, 201, answer.rawPayload.toString('latin1'))
  return statement
}
async function refused({ submission }: Built): Promise<string | undefined> {
  return problemIn(await world.post(submission)).code
}
/** What each of one request is refused for, if it is. */
async function registerAll(built: readonly Built[]): Promise<(string | undefined)[]> {
  const payload = Buffer.from(encodeCborSequence(built.map(({ submission }) => submission)))
  const headers = { 'content-type': 'application/cbor-seq' }
  const answer = await world.app.inject({ method: 'POST', url: '/v1/entries', headers, payload })
  return splitCborSequence(new Uint8Array(answer.rawPayload), built.length).map((item) =>
    decodeCbor(item) instanceof Map ? decodeProblem(item).code : undefined,
  )
}
const credential = (name: string, change: Partial<NewRecord<'credential-provenance'>> = {}) =>
  world.build('credential-provenance', {
    fields: { ...FIELDS['credential-provenance'], credentialDigest: digestOf(name) },
    ...change,
  })
async function typesIn(name: string): Promise<string[]> {
  const answer = await world.get(`/v1/provenance/${toHex(digestOf(name))}`)
  const { statements } = decodeBundle(new Uint8Array(answer.rawPayload))
  return statements.map((bytes) => recordOfStatement(parseTransparentStatement(bytes).statement).type)
}

describe('a log on which something is announced', () => {
  it('takes the credential of an intent once, and no other (duplicate_intent, intent_mismatch)', async () => {
    const intent = await register(await world.build('issuance-intent'))
    const links = [...(await linksOf()), { rel: 'issuance-intent' as const, entry: intent.entry }]
    const fields = { ...FIELDS['credential-provenance'], credentialDigest: digestOf('longer'), notAfter: 500 }
    assert.equal(await refused(await credential('longer', { fields, links })), 'intent_mismatch')
    await register(await credential('announced', { links }))
    assert.equal(await refused(await credential('again', { links })), 'duplicate_intent')
    assert.ok((await typesIn('announced')).includes('issuance-intent'))
  })
})

async function linksOf() {
  const { statement } = await world.build('credential-provenance')
  return recordOfStatement(statement).links
}

describe('a log on which a status is asked for', () => {
  it('reinstates what is suspended, and nothing else (illegal_status)', async () => {
    const status = (value: 'reinstated' | 'suspended') =>
      world.build('credential-status', { fields: { ...FIELDS['credential-status'], status: value } })
    assert.equal(await refused(await status('reinstated')), 'illegal_status')
    await register(await status('suspended'))
    await register(await status('reinstated'))
    assert.equal(await refused(await status('reinstated')), 'illegal_status')

    // In one request as one after another: what was said just before counts, though it is not on the log yet.
    const together = await Promise.all((['suspended', 'reinstated', 'reinstated'] as const).map(status))
    assert.deepEqual(await registerAll(together), [undefined, undefined, 'illegal_status'])
  })
})

describe('a log on which something was withdrawn', () => {
  it('refuses what would rest on it from then on, and has the withdrawal in the bundle of what does', async () => {
    await register(await credential('before'))
    assert.ok(!(await typesIn('before')).includes('retraction'))
    const links = [world.link('retracts', 5)]
    const retraction = await register(
      await world.build('retraction', { fields: { effectiveAt: 105 }, links }, verifier),
    )
    assert.equal(await refused(await credential('after')), 'link_retracted')
    assert.equal(await refused(await world.build('attestation-result')), 'link_retracted')
    assert.deepEqual((await typesIn('before')).filter((type) => type === 'retraction').length, 1)
    const name = `/v1/latest/retraction/${toBase64url(world.statements[5]!.entry)}/${verifier.kid}`
    const found = parseTransparentStatement(new Uint8Array((await world.get(name)).rawPayload))
    assert.deepEqual(found.statement.entry, retraction.entry)
  })

  it('refuses in one request what comes after the withdrawal in it, and not what comes before', async () => {
    const policy = { ...FIELDS['issuance-policy'], policyId: 'second' }
    const second = await register(await world.build('issuance-policy', { fields: policy }))
    const without = (await linksOf()).filter(({ rel }) => rel !== 'issuance-policy' && rel !== 'attestation-result')
    const links = [...without, { rel: 'issuance-policy' as const, entry: second.entry }]
    const issued = (name: string) =>
      credential(name, {
        fields: {
          ...FIELDS['credential-provenance'],
          attestation: 'none',
          unattestedReason: 'test',
          credentialDigest: digestOf(name),
        },
        links,
      })
    const retracts = [{ rel: 'retracts' as const, entry: second.entry }]
    const all = [
      await issued('earlier'),
      await world.build('retraction', { fields: { effectiveAt: 100 }, links: retracts }),
      await issued('later'),
    ]
    const outcomes = await registerAll(all)
    assert.deepEqual(outcomes, [undefined, undefined, 'link_retracted'])
  })

  it('keeps it as what cannot be erased (not_erasable), knows it after a restart, and is sound', async () => {
    const at = world.log.reader.treeHead().size - 1
    const meta = await world.log.reader.meta(at)
    assert.equal(meta?.type, 'retraction')
    const links = [{ rel: 'erases' as const, entry: meta.entry }]
    const erasure = await world.build('erasure', { fields: { scope: 'statement' }, links }, world.admin)
    assert.equal(await refused(erasure), 'not_erasable')

    const values = world.statements[5]!.entry
    assert.equal(world.log.authorities.retractionOf(values)?.effectiveAt, 105)
    await world.app.close()
    await world.log.close()
    const report = await fsckData(world.dataDir)
    assert.deepEqual(report.findings, [])
    const reopened = await openLog({ dataDir: world.dataDir, now: () => NOW })
    assert.equal(reopened.authorities.retractionOf(values)?.effectiveAt, 105)
    await reopened.close()
  })
})
