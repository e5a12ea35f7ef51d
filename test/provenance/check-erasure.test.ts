/** Who may erase what. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../merkle/index.ts'
import { checkRecord, type LinkTarget, type NewRecord, type RecordContext } from '../../provenance/index.ts'
import {
  admin,
  author,
  createParty,
  createSmallLog,
  FIELDS,
  ISSUER,
  issuer,
  newRecord,
  type Party,
  signRecord,
  stranger,
  verifier,
} from './small-log.ts'

const log = await createSmallLog()
const NOW = 200

async function check(
  index: number,
  scope: 'keys' | 'statement',
  by: Party,
  { target = {}, ...change }: Partial<RecordContext> & { target?: Partial<LinkTarget> } = {},
): Promise<unknown> {
  const { entry } = log.records[index]!
  const record: NewRecord<'erasure'> = {
    ...newRecord(log, 'erasure'),
    fields: { scope },
    links: [{ rel: 'erases', entry }],
  }
  const targets = new Map([...log.targets, [toHex(entry), { ...log.targets.get(toHex(entry))!, ...target }]])
  return checkRecord(await signRecord(record, author(by, NOW)), { ...log.context(NOW), targets, ...change })
}

describe('an erasure', () => {
  it('of the keys to what somebody sealed is theirs to make, under any of their keys', async () => {
    for (const index of [3, 6, 8])
      assert.equal(((await check(index, 'keys', issuer)) as { kid: string }).kid, issuer.kid)
  })

  it('of keys and of statements is the admin’s to make, whoever signed them', async () => {
    for (const index of [3, 4, 5, 6, 7, 8]) {
      for (const scope of ['keys', 'statement'] as const) assert.equal(await check(index, scope, admin), 'admin')
    }
    assert.equal(await check(8, 'statement', admin, { target: { type: 'foreign' } }), 'admin')
  })

  const refused: readonly (readonly [string, string, number, 'keys' | 'statement', Party])[] = [
    ['of a statement by its issuer', 'role_not_authorized', 8, 'statement', issuer],
    ['of the keys of another party', 'link_not_own', 7, 'keys', issuer],
    ['by a Verifier', 'role_not_authorized', 7, 'keys', verifier],
    ['by a stranger', 'unknown_key', 8, 'keys', stranger],
    ['of the log’s policy', 'not_erasable', 0, 'statement', admin],
    ['of an authorization', 'not_erasable', 1, 'statement', admin],
    ['of an authorization, though it seals nothing', 'not_erasable', 1, 'keys', admin],
  ]
  for (const [what, code, index, scope, by] of refused) {
    it(`${what} is refused (${code})`, () => assert.rejects(check(index, scope, by), { code }))
  }

  it('of an erasure is refused (not_erasable)', () =>
    assert.rejects(check(8, 'statement', admin, { target: { type: 'erasure' } }), { code: 'not_erasable' }))

  it('by a former key of the admin is refused (unknown_key)', async () => {
    const former = await createParty(31, admin.issuer)
    await assert.rejects(check(8, 'statement', former), { code: 'unknown_key' })
  })

  it('is believed by an auditor who finds nothing at its target, for what was there is gone', async () => {
    const target = { type: 'erased' as const, signer: '' }
    assert.equal(await check(8, 'statement', admin, { target, index: 9 }), 'admin')
    assert.equal(((await check(8, 'keys', issuer, { target, index: 9 })) as { subject: string }).subject, ISSUER)
  })

  it('leaves what links to its target without a leg to stand on (link_erased)', async () => {
    const entry = toHex(log.records[3]!.entry)
    const targets = new Map([...log.targets, [entry, { ...log.targets.get(entry)!, type: 'erased' as const }]])
    const record = await signRecord(
      { ...newRecord(log, 'credential-provenance'), fields: FIELDS['credential-provenance'] },
      author(issuer, NOW),
    )
    assert.throws(() => checkRecord(record, { ...log.context(NOW), targets }), { code: 'link_erased' })
  })

  it('excuses what links to its target from nothing else', async () => {
    const entry = toHex(log.records[3]!.entry)
    const targets = new Map([...log.targets, [entry, { ...log.targets.get(entry)!, type: 'erased' as const }]])
    const honest = newRecord(log, 'credential-provenance')
    const { notBefore } = FIELDS['credential-provenance']
    const nowhere = new Uint8Array(32)
    const others: readonly (readonly [string, typeof honest])[] = [
      ['malformed_record', { ...honest, fields: { ...honest.fields, notAfter: notBefore } }],
      ['link_dangling', { ...honest, links: [...honest.links!, { rel: 'attestation-result', entry: nowhere }] }],
    ]
    for (const [code, change] of others) {
      const record = await signRecord(change, author(issuer, NOW))
      assert.throws(() => checkRecord(record, { ...log.context(NOW), targets }), { code })
    }
  })
})
