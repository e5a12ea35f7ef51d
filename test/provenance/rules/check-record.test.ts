/** What may be on a log. Each refusal is of an honest record of `small-log.ts`, changed in exactly one place. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../merkle/index.ts'
import {
  checkRecord,
  encodePublicKey,
  type LinkRelation,
  type LinkTarget,
  type NewRecord,
  RECORD_TYPES,
  type RecordContext,
  type RecordStatement,
  type RecordType,
  type Role,
} from '../../../provenance/index.ts'
import { kidOf } from '../../../statement/index.ts'
import {
  admin,
  author,
  createParty,
  createSmallLog,
  digestOf,
  FIELDS,
  honestLinks,
  ISSUER,
  issuer,
  newRecord,
  ORIGIN,
  type Party,
  type SmallLog,
  signerOf,
  signRecord,
  stranger,
  verifier,
} from '../small-log.ts'

const log = await createSmallLog()
const NOW = 200

/** Signs the honest record of `type`, as changed, at {@link NOW} unless said otherwise. */
function sign<T extends RecordType>(
  type: T,
  change: Partial<NewRecord<T>> = {},
  { by = signerOf(type), at = NOW, on = log }: { by?: Party; at?: number; on?: SmallLog } = {},
): Promise<RecordStatement<T>> {
  return signRecord(newRecord(on, type, change), author(by, at))
}

const context = (change: Partial<RecordContext> = {}): RecordContext => ({ ...log.context(NOW), ...change })

/** The honest links of `type` without those of `rel`, and with `links` after them. */
function relink(type: RecordType, rel: LinkRelation, ...links: NewRecord<RecordType>['links'] & object) {
  return { links: [...newRecord(log, type).links!.filter((link) => link.rel !== rel), ...links] }
}

/** What the links of the small log lead to, one target of it changed. */
function retarget(index: number, change: Partial<LinkTarget>): Partial<RecordContext> {
  const entry = toHex(log.records[index]!.entry)
  return { targets: new Map([...log.targets, [entry, { ...log.targets.get(entry)!, ...change }]]) }
}

/** A log in which one more key is authorized. */
async function withKey(party: Party, role: Role, change: Partial<(typeof FIELDS)['key-authorization']> = {}) {
  const longer = await createSmallLog()
  const { maxCredentialLifetime: _longest, notAfter: _end, ...fields } = FIELDS['key-authorization']
  longer.append(
    await sign('key-authorization', {
      fields: { ...fields, role, subject: party.issuer, key: encodePublicKey(party.publicJwk), ...change },
    }),
  )
  return longer
}

describe('checkRecord', () => {
  it('accepts each record of the small log at its index, and says by which authority', async () => {
    for (const [index, record] of log.records.entries()) {
      // `log.authorities` know later records too; what counts is the index.
      const authority = checkRecord(record, context({ index }))
      const { type } = record.record
      if (signerOf(type) === admin) assert.equal(authority, 'admin')
      else assert.equal((authority as { kid: string }).kid, signerOf(type).kid)
    }
  })

  it('accepts an honest record of every type that follows, at admission', async () => {
    const gateway = await withKey(issuer, 'gateway')
    for (const type of RECORD_TYPES) {
      if (type === 'audit-report') continue
      const change = type === 'log-policy' ? { links: [log.link('previous', 0)] } : {}
      checkRecord(await sign(type, change, { on: gateway }), gateway.context(NOW))
    }
  })

  it('accepts a credential issued on no attestation that says so', async () => {
    const fields = {
      ...FIELDS['credential-provenance'],
      attestation: 'none' as const,
      unattestedReason: 'no-attester',
    }
    checkRecord(
      await sign('credential-provenance', { fields, ...relink('credential-provenance', 'attestation-result') }),
      context(),
    )
  })

  it('accepts a composite of 16 attestation results, and refuses 17 (link_too_many)', async () => {
    const longer = await createSmallLog()
    const links = relink('credential-provenance', 'attestation-result').links
    for (let i = 0; i < 17; i++) {
      longer.append(await sign('attestation-result'))
      links.push(longer.link('attestation-result', longer.records.length - 1))
      if (i === 15) checkRecord(await sign('credential-provenance', { links: [...links] }), longer.context(NOW))
    }
    const tooMany = await sign('credential-provenance', { links })
    assert.throws(() => checkRecord(tooMany, longer.context(NOW)), { code: 'link_too_many' })
  })

  it('accepts workload provenance from a vendor', async () => {
    const vendor = await createParty(9, 'spiffe://bank.example/vendor')
    const longer = await withKey(vendor, 'vendor')
    checkRecord(await sign('workload-provenance', {}, { by: vendor }), longer.context(NOW))
  })

  it('accepts the next version from another key of the same party', async () => {
    const newKey = await createParty(10, ISSUER)
    const longer = await withKey(newKey, 'issuer')
    const links = [log.link('previous', 3)]
    checkRecord(await sign('issuance-policy', { links }, { by: newKey }), longer.context(NOW))
  })

  it('repeats for an auditor what admission decided, after the key has been replaced and has expired', async () => {
    const longer = await createSmallLog()
    const fields = { ...FIELDS['key-authorization'], notAfter: 105 }
    longer.append(await sign('key-authorization', { fields, links: [longer.link('previous', 1)] }))
    const record = longer.records[8]!
    checkRecord(record, { ...longer.context(1_000_000), index: 8 })
    assert.throws(() => checkRecord(record, { ...longer.context(NOW), index: 10 }), { code: 'outside_key_validity' })
  })

  it('does not ask an auditor for wraps, which are not in the log', async () => {
    const kid = kidOf(stranger.publicJwk)
    const strict = await createSmallLog()
    strict.append(
      await sign('log-policy', {
        fields: { ...FIELDS['log-policy'], requireWrapFor: [kid] },
        links: [strict.link('previous', 0)],
      }),
    )
    const sealed = await sign('workload-provenance')
    const admission = strict.context(NOW)
    checkRecord(sealed, { ...admission, index: 10 })
    checkRecord(sealed, { ...admission, wrapRecipients: [verifier.kid, kid] })
    assert.throws(() => checkRecord(sealed, { ...admission, wrapRecipients: [verifier.kid] }), {
      code: 'wrap_required',
    })
    const { wrapRecipients: _not, ...silent } = admission
    assert.throws(() => checkRecord(sealed, silent), { code: 'wrap_required' })
    checkRecord(await sign('issuance-denied', { sections: {} }), silent)
  })
})

describe('checkRecord, of records signed by a party,', () => {
  const result = () => log.link('attestation-result', 7)
  const refused: [what: string, code: string, lie: () => Promise<[RecordStatement, Partial<RecordContext>?]>][] = [
    [
      'a date after now and the clocks',
      'issued_in_future',
      async () => [await sign('issuance-policy', {}, { at: NOW + 6 })],
    ],
    ['a key that nobody authorized', 'unknown_key', async () => [await sign('issuance-policy', {}, { by: stranger })]],
    ['a verifier who issues', 'role_not_authorized', async () => [await sign('issuance-policy', {}, { by: verifier })]],
    [
      'an issuer who appraises',
      'role_not_authorized',
      async () => [await sign('appraisal-policy', {}, { by: issuer })],
    ],
    ['an admin who issues', 'role_not_authorized', async () => [await sign('issuance-policy', {}, { by: admin })]],
    [
      'an auditor who says what workloads are made of',
      'role_not_authorized',
      async () => {
        const { authorities } = await withKey(stranger, 'auditor')
        return [await sign('workload-provenance', {}, { by: stranger }), { authorities }]
      },
    ],
    [
      'a date before the key is valid',
      'outside_key_validity',
      async () => {
        const { authorities } = await withKey(stranger, 'issuer', { notBefore: NOW + 1 })
        return [await sign('issuance-policy', {}, { by: stranger }), { authorities }]
      },
    ],
    [
      'a date at which the key ends',
      'outside_key_validity',
      async () => [await sign('issuance-policy', {}, { at: 10_000 }), { now: 10_000 }],
    ],
    [
      'a date back in the validity of a key that has ended',
      'outside_key_validity',
      async () => [await sign('issuance-policy', {}, { at: 9_999 }), { now: 10_005 }],
    ],
    [
      'a key that is authorized only later in the log',
      'outside_key_validity',
      async () => [log.records[3]!, { index: 1 }],
    ],
    [
      'another identifier than the one the key is authorized for',
      'issuer_mismatch',
      async () => [await sign('issuance-policy', {}, { by: { ...issuer, issuer: stranger.issuer } })],
    ],
    [
      "another party's key-authorization",
      'wrong_authorization',
      async () => [
        await sign(
          'attestation-result',
          relink('attestation-result', 'key-authorization', log.link('key-authorization', 1)),
        ),
      ],
    ],
    [
      'no workload provenance',
      'link_missing',
      async () => [await sign('credential-provenance', relink('credential-provenance', 'workload-provenance'))],
    ],
    [
      'no issuance policy',
      'link_missing',
      async () => [await sign('credential-provenance', relink('credential-provenance', 'issuance-policy'))],
    ],
    [
      'no key-authorization',
      'link_missing',
      async () => [await sign('credential-provenance', relink('credential-provenance', 'key-authorization'))],
    ],
    [
      'no attestation result, where there should be one',
      'link_missing',
      async () => [await sign('credential-provenance', relink('credential-provenance', 'attestation-result'))],
    ],
    [
      'no reference values',
      'link_missing',
      async () => [await sign('attestation-result', relink('attestation-result', 'reference-values'))],
    ],
    [
      'an attestation result, where there should be none',
      'link_too_many',
      async () => [
        await sign('credential-provenance', { fields: { ...FIELDS['credential-provenance'], attestation: 'none' } }),
      ],
    ],
    [
      'two issuance policies',
      'link_too_many',
      async () => [
        await sign('credential-provenance', {
          links: [
            ...newRecord(log, 'credential-provenance').links!,
            { rel: 'issuance-policy', entry: digestOf('two') },
          ],
        }),
      ],
    ],
    [
      'a relation that the type does not have',
      'link_too_many',
      async () => [await sign('issuance-policy', { links: [result()] })],
    ],
    [
      'a link to what is not on the log',
      'link_dangling',
      async () => [await sign('issuance-policy', { links: [{ rel: 'previous', entry: digestOf('nothing') }] })],
    ],
    [
      'a link to a record of another type',
      'link_wrong_type',
      async () => [
        await sign(
          'credential-provenance',
          relink('credential-provenance', 'issuance-policy', { ...log.link('previous', 4), rel: 'issuance-policy' }),
        ),
      ],
    ],
    [
      'a previous version of another type',
      'link_wrong_type',
      async () => [await sign('appraisal-policy', { links: [log.link('previous', 5)] })],
    ],
    [
      'a link to a record of a later date',
      'link_later_than_record',
      async () => [await sign('credential-provenance'), retarget(7, { issuedAt: NOW + 6 })],
    ],
    [
      'a link to a record at a later index',
      'link_later_than_record',
      async () => [log.records[8]!, { index: 8, ...retarget(7, { index: 9 }) }],
    ],
    [
      'a link to a record at its own index',
      'link_later_than_record',
      async () => [log.records[8]!, { index: 8, ...retarget(7, { index: 8 }) }],
    ],
    [
      "a new version of another party's policy",
      'link_not_own',
      async () => {
        const other = await withKey(stranger, 'issuer')
        const links = [log.link('previous', 3)]
        return [await sign('issuance-policy', { links }, { by: stranger }), { authorities: other.authorities }]
      },
    ],
    [
      "the status of another party's credential",
      'link_not_own',
      async () => {
        const other = await withKey(stranger, 'issuer')
        const links = [log.link('credential-provenance', 8), other.link('key-authorization', 9)]
        const { authorities, targets } = other
        return [await sign('credential-status', { links }, { by: stranger }), { authorities, targets }]
      },
    ],
    [
      "another credential's status, through a record of one's own",
      'status_mismatch',
      async () => [
        await sign('credential-status', {
          fields: { ...FIELDS['credential-status'], credentialDigest: digestOf("somebody else's") },
        }),
      ],
    ],
    [
      'a policy whose period is empty',
      'malformed_record',
      async () => [
        await sign('issuance-policy', { fields: { ...FIELDS['issuance-policy'], notBefore: 5, notAfter: 5 } }),
      ],
    ],
    [
      'an appraisal policy whose period is empty',
      'malformed_record',
      async () => [await sign('appraisal-policy', { fields: { ...FIELDS['appraisal-policy'], notBefore: 10_000 } })],
    ],
    [
      'reference values whose period ends before it begins',
      'malformed_record',
      async () => [
        await sign('reference-values', { fields: { ...FIELDS['reference-values'], notBefore: 5, notAfter: 4 } }),
      ],
    ],
    [
      'a result that expires when it is issued',
      'malformed_record',
      async () => [await sign('attestation-result', { fields: { ...FIELDS['attestation-result'], expiresAt: 107 } })],
    ],
    [
      'a credential that ends when it begins',
      'malformed_record',
      async () => [
        await sign('credential-provenance', { fields: { ...FIELDS['credential-provenance'], notAfter: 108 } }),
      ],
    ],
    [
      'a credential that lives longer than its issuer may make it',
      'lifetime_too_long',
      async () => [
        await sign('credential-provenance', { fields: { ...FIELDS['credential-provenance'], notAfter: 108 + 3601 } }),
      ],
    ],
    [
      'a confidential workload without attestation',
      'not_attested',
      async () => [
        await sign('credential-provenance', {
          fields: { ...FIELDS['credential-provenance'], attestation: 'none', confidential: true },
          ...relink('credential-provenance', 'attestation-result'),
        }),
      ],
    ],
    [
      'a credential issued on no attestation that does not say why',
      'reason_missing',
      async () => [
        await sign('credential-provenance', {
          fields: { ...FIELDS['credential-provenance'], attestation: 'none' },
          ...relink('credential-provenance', 'attestation-result'),
        }),
      ],
    ],
    [
      'an attested credential with an excuse for being unattested',
      'malformed_record',
      async () => [
        await sign('credential-provenance', {
          fields: { ...FIELDS['credential-provenance'], unattestedReason: 'no-attester' },
        }),
      ],
    ],
    [
      'parts that were attested by no result',
      'link_missing',
      async () => [
        await sign('credential-provenance', {
          fields: { ...FIELDS['credential-provenance'], attestation: 'none', components: 1 },
          ...relink('credential-provenance', 'attestation-result'),
        }),
      ],
    ],
    [
      'an issuer who attests its own subject',
      'issuer_is_verifier',
      async () => [await sign('credential-provenance'), retarget(7, { signer: issuer.kid })],
    ],
  ]
  for (const [what, code, lie] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      const [record, change] = await lie()
      assert.throws(() => checkRecord(record, context(change)), { code })
    })
  }

  it('accepts a clock within the allowance, and the longest lifetime', async () => {
    checkRecord(await sign('issuance-policy', {}, { at: NOW + 5 }), context())
    checkRecord(await sign('issuance-policy', {}, { at: 9_999 }), context({ now: 10_004 }))
    checkRecord(await sign('credential-provenance'), context(retarget(7, { issuedAt: NOW + 5 })))
    const fields = { ...FIELDS['credential-provenance'], notAfter: 108 + 3600 }
    checkRecord(await sign('credential-provenance', { fields }), context())
  })

  it('takes a status for a target of unknown digest as one for another credential (status_mismatch)', async () => {
    const entry = toHex(log.records[8]!.entry)
    const { credentialDigest: _unknown, ...target } = log.targets.get(entry)!
    const targets = new Map([...log.targets, [entry, target]])
    const status = await sign('credential-status')
    checkRecord(status, context())
    assert.throws(() => checkRecord(status, context({ targets })), { code: 'status_mismatch' })
  })
})

describe('checkRecord, of records signed by the admin,', () => {
  const policy = FIELDS['log-policy']
  const grant = FIELDS['key-authorization']
  const refused: [what: string, code: string, lie: () => Promise<[RecordStatement, Partial<RecordContext>?]>][] = [
    [
      'a key authorized by a stranger',
      'unknown_key',
      async () => [await sign('key-authorization', {}, { by: { ...stranger, issuer: ORIGIN } })],
    ],
    [
      'a key authorized by an issuer',
      'role_not_authorized',
      async () => [await sign('key-authorization', {}, { by: { ...issuer, issuer: ORIGIN } })],
    ],
    [
      'an admin who signs for another log',
      'issuer_mismatch',
      async () => [await sign('key-authorization', {}, { by: { ...admin, issuer: 'other.example' } })],
    ],
    [
      'a subject outside of its trust domain',
      'trust_domain_mismatch',
      async () => [await sign('key-authorization', { fields: { ...grant, trustDomain: 'other.example' } })],
    ],
    [
      'a subject in a sub-domain of its trust domain',
      'trust_domain_mismatch',
      async () => [
        await sign('key-authorization', { fields: { ...grant, subject: 'spiffe://a.bank.example/issuer' } }),
      ],
    ],
    [
      'a key that ends when it begins',
      'malformed_record',
      async () => [await sign('key-authorization', { fields: { ...grant, notBefore: 10_000 } })],
    ],
    [
      'a key that takes the place of one replaced before',
      'not_a_successor',
      async () => {
        const longer = await createSmallLog()
        longer.append(await sign('key-authorization', { links: [longer.link('previous', 1)] }))
        const again = await sign('key-authorization', { links: [longer.link('previous', 1)] })
        return [again, { authorities: longer.authorities, targets: longer.targets }]
      },
    ],
    ['a policy without the one before it', 'link_missing', async () => [await sign('log-policy')]],
    [
      'a policy of another origin',
      'wrong_origin',
      async () => [
        await sign('log-policy', { fields: { ...policy, origin: 'other.example' }, links: [log.link('previous', 0)] }),
      ],
    ],
    [
      'a policy that follows one no longer in force',
      'not_a_successor',
      async () => {
        const longer = await createSmallLog()
        longer.append(await sign('log-policy', { links: [longer.link('previous', 0)] }))
        const fork = await sign('log-policy', { links: [longer.link('previous', 0)] })
        return [fork, { authorities: longer.authorities, targets: longer.targets }]
      },
    ],
    [
      'a policy signed by an admin of the next, not of the previous one',
      'unknown_key',
      async () => {
        const fields = { ...policy, adminKeys: [encodePublicKey(stranger.publicJwk)] }
        const by = { ...stranger, issuer: ORIGIN }
        return [await sign('log-policy', { fields, links: [log.link('previous', 0)] }, { by })]
      },
    ],
  ]
  for (const [what, code, lie] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      const [record, change] = await lie()
      assert.throws(() => checkRecord(record, context(change)), { code })
    })
  }

  it('hands the log to new admins: the old ones may sign no more', async () => {
    const heir = { ...stranger, issuer: ORIGIN }
    const longer = await createSmallLog()
    const fields = { ...policy, adminKeys: [encodePublicKey(heir.publicJwk)] }
    const handover = await sign('log-policy', { fields, links: [longer.link('previous', 0)] })
    checkRecord(handover, longer.context(NOW))
    longer.append(handover)
    checkRecord(await sign('key-authorization', {}, { by: heir }), longer.context(NOW))
    const late = await sign('key-authorization')
    assert.throws(() => checkRecord(late, longer.context(NOW)), { code: 'role_not_authorized' })
  })
})

describe('checkRecord, of the first record,', () => {
  it('accepts a policy signed by an admin key of its own', async () => {
    const empty = await createSmallLog(0)
    const founding = await sign('log-policy')
    assert.equal(checkRecord(founding, empty.context(NOW)), 'admin')
    assert.equal(checkRecord(founding, { ...empty.context(NOW), index: 0 }), 'admin')
  })

  const refused: [what: string, code: string, lie: () => Promise<[RecordStatement, number?]>][] = [
    [
      'a policy signed by another key',
      'unknown_key',
      async () => [await sign('log-policy', {}, { by: { ...stranger, issuer: ORIGIN } })],
    ],
    [
      'a policy in another name',
      'issuer_mismatch',
      async () => [await sign('log-policy', {}, { by: { ...admin, issuer: 'other.example' } })],
    ],
    ['anything that is no policy', 'not_a_successor', async () => [await sign('key-authorization')]],
    ['a policy that is not at index 0', 'not_a_successor', async () => [await sign('log-policy'), 1]],
    [
      'a policy that follows another',
      'link_dangling',
      async () => [await sign('log-policy', { links: [log.link('previous', 0)] })],
    ],
  ]
  for (const [what, code, lie] of refused) {
    it(`refuses ${what} (${code})`, async () => {
      const empty = await createSmallLog(0)
      const [record, index] = await lie()
      const change = index === undefined ? {} : { index }
      assert.throws(() => checkRecord(record, { ...empty.context(NOW), ...change }), { code })
    })
  }
})

describe('checkRecord, of what was withdrawn', () => {
  /** The small log with the retraction of its record at `index`, effective at `effectiveAt` and dated 150. */
  async function retracted(index: number, effectiveAt: number, by: Party = signerOf('retraction'), at = 150) {
    const longer = await createSmallLog()
    const fields = { effectiveAt }
    const record = await sign('retraction', { fields, links: [longer.link('retracts', index)] }, { by, at })
    checkRecord(record, longer.context(at))
    longer.append(record)
    return longer
  }
  const [ISSUER_KEY, VERIFIER_KEY, POLICY, APPRAISAL, VALUES] = [1, 2, 3, 4, 5]

  const resting: [what: string, index: number, by: Party, type: RecordType, code: string][] = [
    ['a credential by a policy', POLICY, issuer, 'credential-provenance', 'link_retracted'],
    ['an intent by a policy', POLICY, issuer, 'issuance-intent', 'link_retracted'],
    ['a result by a policy', APPRAISAL, verifier, 'attestation-result', 'link_retracted'],
    ['a result by reference values', VALUES, verifier, 'attestation-result', 'link_retracted'],
    ['a credential on a result by a policy', APPRAISAL, verifier, 'credential-provenance', 'link_retracted'],
    ['a credential on a result by reference values', VALUES, verifier, 'credential-provenance', 'link_retracted'],
    ["a credential on a result under a Verifier's key", VERIFIER_KEY, admin, 'credential-provenance', 'link_retracted'],
    ["a credential under the issuer's key", ISSUER_KEY, admin, 'credential-provenance', 'key_retracted'],
    ['a denial under a key', ISSUER_KEY, issuer, 'issuance-denied', 'key_retracted'],
    ['a policy under a key', VERIFIER_KEY, verifier, 'appraisal-policy', 'key_retracted'],
  ]
  for (const [what, index, by, type, code] of resting) {
    it(`refuses ${what} that was withdrawn, whatever date it gives itself (${code})`, async () => {
      const longer = await retracted(index, 140, by)
      for (const at of [109, 140, 200]) {
        const record = await sign(type, {}, { at, on: longer })
        assert.throws(() => checkRecord(record, longer.context(NOW)), { code }, `at admission, dated ${at}`)
        assert.throws(() => checkRecord(record, { ...longer.context(NOW), index: 10 }), { code }, `dated ${at}`)
        // Where it stood before the retraction came, it may be.
        checkRecord(record, { ...longer.context(NOW), index: 9 })
      }
    })
  }

  it('withdraws from a time to come on: until then it may be relied on, and then not by an earlier date either', async () => {
    const longer = await retracted(POLICY, 180)
    const record = await sign('credential-provenance', {}, { at: 179, on: longer })
    checkRecord(record, longer.context(179))
    checkRecord(record, { ...longer.context(NOW), index: 10 })
    assert.throws(() => checkRecord(record, longer.context(186)), { code: 'link_retracted' })
    const late = await sign('credential-provenance', {}, { at: 180, on: longer })
    assert.throws(() => checkRecord(late, longer.context(180)), { code: 'link_retracted' })
  })

  it('lets a denial name what was withdrawn, and a new version follow it', async () => {
    const longer = await retracted(POLICY, 140)
    checkRecord(await sign('issuance-denied', {}, { on: longer }), longer.context(NOW))
    const next = await sign('issuance-policy', { links: [longer.link('previous', POLICY)] }, { on: longer })
    checkRecord(next, longer.context(NOW))
  })

  it('withdraws the key, under every authorization that it had; one that is given afterwards counts', async () => {
    const longer = await createSmallLog()
    const again = await sign('key-authorization', { links: [longer.link('previous', ISSUER_KEY)] }, { on: longer })
    longer.append(again)
    const links = [longer.link('retracts', ISSUER_KEY)]
    longer.append(await sign('retraction', { fields: { effectiveAt: 140 }, links }, { by: admin, on: longer }))
    const under = (index: number) =>
      sign(
        'credential-provenance',
        {
          links: [
            ...honestLinks(longer, 'credential-provenance').filter(({ rel }) => rel !== 'key-authorization'),
            longer.link('key-authorization', index),
          ],
        },
        { on: longer },
      )
    const sibling = await under(9)
    assert.throws(() => checkRecord(sibling, longer.context(NOW)), { code: 'key_retracted' })
    longer.append(await sign('key-authorization', { links: [longer.link('previous', 9)] }, { on: longer }))
    checkRecord(await under(11), longer.context(NOW))
  })

  it('counts the earliest of several, and takes none that says less (already_retracted)', async () => {
    const longer = await retracted(POLICY, 140)
    const more = (effectiveAt: number) =>
      sign('retraction', { fields: { effectiveAt }, links: [longer.link('retracts', POLICY)] })
    for (const effectiveAt of [140, 141]) {
      const record = await more(effectiveAt)
      assert.throws(() => checkRecord(record, longer.context(NOW)), { code: 'already_retracted' })
    }
    const earlier = await more(120)
    checkRecord(earlier, longer.context(NOW))
    longer.append(earlier)
    assert.equal(longer.authorities.retractionOf(longer.records[POLICY]!.entry)?.effectiveAt, 120)
    assert.equal(longer.authorities.retractionOf(longer.records[POLICY]!.entry, 10)?.effectiveAt, 140)
  })

  const refused: [what: string, code: string, by: Party, index: number][] = [
    ['a policy of another party', 'link_not_own', issuer, APPRAISAL],
    ["another party's key", 'link_not_own', issuer, VERIFIER_KEY],
    ["a party's policy, by the admin of the log", 'link_not_own', admin, POLICY],
    ['the log policy', 'not_retractable', admin, 0],
    ['a result', 'not_retractable', verifier, 7],
    ['a credential, which has a status', 'not_retractable', issuer, 8],
    ['what it may not know', 'unknown_key', stranger, POLICY],
  ]
  for (const [what, code, by, index] of refused) {
    it(`refuses the withdrawal of ${what} (${code})`, async () => {
      const record = await sign('retraction', { links: [log.link('retracts', index)] }, { by })
      assert.throws(() => checkRecord(record, context()), { code })
    })
  }

  it('refuses a withdrawal by a key that was withdrawn itself (key_retracted)', async () => {
    const longer = await retracted(ISSUER_KEY, 140, issuer)
    const record = await sign('retraction', {}, { on: longer })
    assert.throws(() => checkRecord(record, longer.context(NOW)), { code: 'key_retracted' })
  })
})

describe('checkRecord, of an announced credential', () => {
  async function announced() {
    const longer = await createSmallLog()
    longer.append(await sign('issuance-intent', {}, { at: 108 }))
    return longer
  }
  const after = (longer: SmallLog, change: Partial<NewRecord<'credential-provenance'>> = {}, by?: Party) =>
    sign(
      'credential-provenance',
      {
        links: [...honestLinks(longer, 'credential-provenance'), longer.link('issuance-intent', 9)],
        ...change,
      },
      { on: longer, ...(by && { by }) },
    )
  const fields = FIELDS['credential-provenance']

  it('accepts the credential that was announced', async () => {
    const longer = await announced()
    checkRecord(await after(longer), longer.context(NOW))
  })

  const lies: [what: string, fields: Partial<typeof fields>][] = [
    ['kind', { kind: 'wic' }],
    ['beginning', { notBefore: 109 }],
    ['end', { notAfter: 409 }],
  ]
  for (const [what, lie] of lies) {
    it(`refuses one of another ${what} (intent_mismatch)`, async () => {
      const longer = await announced()
      const record = await after(longer, { fields: { ...fields, ...lie } })
      assert.throws(() => checkRecord(record, longer.context(NOW)), { code: 'intent_mismatch' })
    })
  }

  it('refuses one on other grounds (intent_mismatch)', async () => {
    const longer = await announced()
    longer.append(await sign('attestation-result', {}, { at: 107 }))
    const links = [
      ...honestLinks(longer, 'credential-provenance').filter(({ rel }) => rel !== 'attestation-result'),
      longer.link('attestation-result', 10),
      longer.link('issuance-intent', 9),
    ]
    const record = await after(longer, { links })
    assert.throws(() => checkRecord(record, longer.context(NOW)), { code: 'intent_mismatch' })
  })

  it('refuses one whose intent nobody looked at: what is not known does not match (intent_mismatch)', async () => {
    const longer = await announced()
    const [entry, target] = [...longer.targets].at(-1)!
    const { intent: _intent, ...unread } = target
    const targets = new Map([...longer.targets, [entry, unread]])
    const record = await after(longer)
    assert.throws(() => checkRecord(record, { ...longer.context(NOW), targets }), { code: 'intent_mismatch' })
  })

  it('refuses the intent of another issuer (link_not_own)', async () => {
    const other = await createParty(11, 'spiffe://bank.example/other')
    const longer = await announced()
    longer.append(
      await sign('key-authorization', {
        fields: { ...FIELDS['key-authorization'], subject: other.issuer, key: encodePublicKey(other.publicJwk) },
      }),
    )
    const links = [
      ...honestLinks(longer, 'credential-provenance').filter(({ rel }) => rel !== 'key-authorization'),
      longer.link('key-authorization', 10),
      longer.link('issuance-intent', 9),
    ]
    const record = await after(longer, { links }, other)
    assert.throws(() => checkRecord(record, longer.context(NOW)), { code: 'link_not_own' })
  })
})

describe('checkRecord, of what became of a credential', () => {
  const status = (
    value: 'reinstated' | 'migrated' | 'superseded',
    change = {},
    links: NewRecord<RecordType>['links'] = [],
  ) =>
    sign('credential-status', {
      fields: { credentialDigest: digestOf('credential'), status: value, effectiveAt: 150, ...change },
      links: [...honestLinks(log, 'credential-status'), ...links],
    })

  it('reinstates a suspended credential only, where that is known (illegal_status)', async () => {
    const record = await status('reinstated')
    checkRecord(record, context(retarget(8, { suspended: true })))
    assert.throws(() => checkRecord(record, context(retarget(8, { suspended: false }))), { code: 'illegal_status' })
    checkRecord(record, context())
  })

  it('migrates on attestation there, and to no other credential (link_missing, illegal_status, link_too_many)', async () => {
    const results = [log.link('attestation-result', 7)]
    checkRecord(await status('migrated', {}, results), context())
    const bare = await status('migrated')
    assert.throws(() => checkRecord(bare, context()), { code: 'link_missing' })
    const successor = await status('migrated', { successor: digestOf('next') }, results)
    assert.throws(() => checkRecord(successor, context()), { code: 'illegal_status' })
    const superseded = await status('superseded', {}, results)
    assert.throws(() => checkRecord(superseded, context()), { code: 'link_too_many' })
  })

  it('generalizes a credential of its own gateway only, and names it (role_not_authorized, link_not_own, status_mismatch)', async () => {
    const longer = await withKey(issuer, 'gateway')
    checkRecord(await sign('identity-generalization', {}, { on: longer }), longer.context(NOW))
    const bare = await sign('identity-generalization', {
      links: [log.link('credential-provenance', 8), log.link('key-authorization', 1)],
    })
    assert.throws(() => checkRecord(bare, context()), { code: 'role_not_authorized' })
    const other = await createParty(11, 'spiffe://bank.example/gateway')
    const foreign = await withKey(other, 'gateway')
    const record = await sign('identity-generalization', {}, { on: foreign, by: other })
    assert.throws(() => checkRecord(record, foreign.context(NOW)), { code: 'link_not_own' })
    const lie = await sign(
      'identity-generalization',
      { fields: { credentialDigest: digestOf('another') } },
      { on: longer },
    )
    assert.throws(() => checkRecord(lie, longer.context(NOW)), { code: 'status_mismatch' })
  })
})
