import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  isErasable,
  isRecordType,
  isRetractable,
  LINK_RULES,
  linkRule,
  linkTargetType,
  MAX_LINKS,
  RECORD_TYPES,
  RECORDS,
} from '../../../provenance/index.ts'
import { LINK_RELATIONS, signersOf } from '../../../provenance/rules/link-rules.ts'

describe('the link table', () => {
  it('has a row for each record type, in one order with the definitions', () => {
    assert.deepEqual(Object.keys(RECORDS), [...RECORD_TYPES])
    for (const type of RECORD_TYPES) {
      assert.equal(RECORDS[type].type, type)
      assert.equal(RECORDS[type].signers, LINK_RULES[type].signers)
      assert.equal(RECORDS[type].links, LINK_RULES[type].links)
    }
  })

  it('names in each relation the type of the record that it leads to', () => {
    for (const type of RECORD_TYPES) {
      for (const rel of LINK_RELATIONS) {
        const target = linkTargetType(type, rel)
        const several = rel === 'erases' || rel === 'retracts'
        if (linkRule(type, rel) && !several) assert.ok(target && RECORD_TYPES.includes(target))
      }
      for (const rel of Object.keys(LINK_RULES[type].links)) assert.ok((LINK_RELATIONS as string[]).includes(rel))
    }
    assert.equal(linkTargetType('reference-values', 'previous'), 'reference-values')
    assert.equal(linkTargetType('credential-status', 'credential-provenance'), 'credential-provenance')
  })

  it('keeps from erasure what a replay judges by, and what one found, and nothing else', () => {
    const kept = RECORD_TYPES.filter((type) => !isErasable(type))
    assert.deepEqual(kept, ['log-policy', 'key-authorization', 'retraction', 'erasure', 'audit-report'])
    assert.equal(linkTargetType('erasure', 'erases'), undefined)
  })

  it('lets be withdrawn what is relied on again and again, and nothing else', () => {
    const retractable = RECORD_TYPES.filter((type) => isRetractable(type))
    assert.deepEqual(retractable, ['key-authorization', 'issuance-policy', 'appraisal-policy', 'reference-values'])
  })

  it('never allows more links than a record holds', () => {
    for (const type of RECORD_TYPES) {
      const most = Object.values(LINK_RULES[type].links).reduce((sum, { max }) => sum + max, 0)
      assert.ok(most <= MAX_LINKS)
    }
  })

  it('leaves what the log obeys to its admin, and nothing else', () => {
    const byAdmin = RECORD_TYPES.filter((type) => signersOf(type).includes('admin'))
    assert.deepEqual(byAdmin, ['log-policy', 'key-authorization', 'retraction', 'erasure'])
    const [policy, key, retraction, erasure] = byAdmin.map(signersOf)
    assert.deepEqual([policy, key, erasure], [['admin'], ['admin'], ['admin', 'issuer']])
    assert.deepEqual(retraction, ['admin', 'issuer', 'verifier'])
  })

  it('binds whatever is signed under a role and not only published to a key-authorization', () => {
    for (const type of [
      'attestation-result',
      'credential-provenance',
      'issuance-intent',
      'issuance-denied',
      'credential-status',
      'identity-generalization',
      'audit-report',
    ] as const) {
      assert.deepEqual(linkRule(type, 'key-authorization'), { min: 1, max: 1 })
    }
  })

  it('does not mistake the names that every JavaScript object has for types or relations', () => {
    assert.equal(isRecordType('constructor'), false)
    assert.equal(isRecordType('credential-provenance'), true)
    assert.equal(linkRule('log-policy', 'toString'), undefined)
  })
})
