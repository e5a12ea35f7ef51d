/** What a log takes as the report of an auditor. What the report says of the entries, a replay checks. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkRecord,
  encodePublicKey,
  type FieldsOf,
  type RecordContext,
  type RecordStatement,
  type Role,
} from '../../provenance/index.ts'
import {
  admin,
  auditor,
  author,
  createSmallLog,
  FIELDS,
  issuer,
  type Party,
  type SmallLog,
  signRecord,
} from './small-log.ts'

const NOW = 200

/** The small log, and one more key on it: entry 9. */
async function logWith(party: Party, role: Role): Promise<SmallLog> {
  const log = await createSmallLog()
  const key = encodePublicKey(party.publicJwk)
  const fields = { role, trustDomain: 'bank.example', subject: party.issuer, key, notBefore: 0 }
  log.append(await signRecord({ type: 'key-authorization', fields }, author(admin, NOW)))
  return log
}
const log = await logWith(auditor, 'auditor')

function report(
  fields: Partial<FieldsOf<'audit-report'>> = {},
  { by = auditor, on = log, previous }: { by?: Party; on?: SmallLog; previous?: Uint8Array } = {},
): Promise<RecordStatement<'audit-report'>> {
  const all = { ...FIELDS['audit-report'], ...fields }
  const links = [on.link('key-authorization', 9), ...(previous ? [{ rel: 'previous' as const, entry: previous }] : [])]
  return signRecord({ type: 'audit-report', fields: all, links }, author(by, NOW))
}
const context = (change: Partial<RecordContext> = {}): RecordContext => ({ ...log.context(NOW), ...change })

describe('an audit report', () => {
  it('is an auditor’s to make, on all that is there and no more', async () => {
    const authority = checkRecord(await report({ size: 10 }), context())
    assert.equal((authority as { kid: string }).kid, auditor.kid)
    checkRecord(await report({ size: 10 }), context({ index: 10 }))
  })

  it('of the issuer, or of the admin, is none (role_not_authorized)', async () => {
    for (const by of [issuer, admin]) {
      const record = await report({}, { by })
      assert.throws(() => checkRecord(record, context()), { code: 'role_not_authorized' })
    }
  })

  it('is nothing that others than auditors may sign, and an auditor signs nothing else (role_not_authorized)', async () => {
    const vendor = await logWith(issuer, 'vendor')
    const record = await report({}, { by: issuer })
    assert.throws(() => checkRecord(record, vendor.context(NOW)), { code: 'role_not_authorized' })
    const policy = await signRecord(
      { type: 'issuance-policy', fields: FIELDS['issuance-policy'] },
      author(auditor, NOW),
    )
    assert.throws(() => checkRecord(policy, context()), { code: 'role_not_authorized' })
  })

  const warned = { error: 0, warning: 1, info: 0 }
  const refused: [what: string, code: string, fields: Partial<FieldsOf<'audit-report'>>, Partial<RecordContext>?][] = [
    ['on more entries than the log has', 'audit_out_of_range', { size: 11 }],
    ['on an entry after it, where it is on the log', 'audit_out_of_range', { size: 11 }, { index: 10 }],
    ['from behind its end', 'audit_out_of_range', { from: 10, size: 9 }],
    ['from somewhere, on no report before', 'link_missing', { from: 3 }],
    ['that passed, with a warning', 'malformed_record', { counts: warned }],
    ['that refused, with nothing', 'malformed_record', { verdict: 'refused' }],
    ['signed before the audit began', 'malformed_record', { auditedAt: NOW + 6 }],
    ['that opened records without a key', 'malformed_record', { opened: 1 }],
    ['that does not say how many a key opened', 'malformed_record', { openedWith: auditor.kid }],
  ]
  it('on any entry is refused where nobody says how many there are (audit_out_of_range)', async () => {
    const { treeSize: _unsaid, ...rest } = context()
    const record = await report()
    assert.throws(() => checkRecord(record, rest), { code: 'audit_out_of_range' })
  })

  for (const [what, code, fields, change] of refused) {
    it(`${what} is refused (${code})`, async () => {
      const record = await report(fields)
      assert.throws(() => checkRecord(record, context(change)), { code })
    })
  }

  it('follows a report of the same party and of nobody else (link_not_own)', async () => {
    const longer = await logWith(auditor, 'auditor')
    const key = encodePublicKey(issuer.publicJwk)
    const subject = 'spiffe://bank.example/other-auditor'
    const fields = { role: 'auditor' as const, trustDomain: 'bank.example', subject, key, notBefore: 0 }
    const other = { ...issuer, issuer: subject }
    longer.append(await signRecord({ type: 'key-authorization', fields }, author(admin, NOW)))
    const own = longer.append(await report({}, { on: longer }))
    const links = [longer.link('key-authorization', 10)]
    const others = longer.append(
      await signRecord({ type: 'audit-report', fields: FIELDS['audit-report'], links }, author(other, NOW)),
    )
    const on = longer.context(NOW)
    checkRecord(await report({ from: 9, size: 12 }, { on: longer, previous: own }), on)
    const stolen = await report({ from: 9, size: 12 }, { on: longer, previous: others })
    assert.throws(() => checkRecord(stolen, on), { code: 'link_not_own' })
  })
})
