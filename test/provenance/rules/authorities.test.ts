import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Authorities, encodePublicKey, foundingKey, type NewRecord, type RecordOf } from '../../../provenance/index.ts'
import {
  admin,
  author,
  createParty,
  createSmallLog,
  FIELDS,
  ISSUER,
  issuer,
  newRecord,
  signRecord,
  stranger,
  VERIFIER,
  verifier,
} from '../small-log.ts'

const log = await createSmallLog()

/** A log in which the issuer's authorization (at 1) is replaced (at 9) by one that ends at 500. */
async function replacedLog() {
  const longer = await createSmallLog()
  longer.append(
    await grant({ links: [longer.link('previous', 1)], fields: { ...FIELDS['key-authorization'], notAfter: 500 } }),
  )
  return longer
}

function grant(change: Partial<NewRecord<'key-authorization'>>) {
  return signRecord(newRecord(log, 'key-authorization', change), author(admin, 109))
}

describe('Authorities', () => {
  it('know what the log policy says', () => {
    const { entry, index, fields, adminKeys, receiptKeys } = log.authorities.policy()
    assert.deepEqual(entry, log.records[0]!.entry)
    assert.equal(index, 0)
    assert.equal(fields.origin, 'log.example')
    assert.deepEqual(
      adminKeys.map(({ x }) => x),
      [admin.publicJwk.x],
    )
    assert.equal(receiptKeys.length, 1)
  })

  it('know who the admin was at each index', async () => {
    const longer = await createSmallLog()
    const fields = { ...FIELDS['log-policy'], adminKeys: [encodePublicKey(stranger.publicJwk)] }
    const next = newRecord(longer, 'log-policy', { fields, links: [longer.link('previous', 0)] })
    longer.append(await signRecord(next, author(admin, 109)))
    const { authorities } = longer
    const admins = [0, 1, 9, 10].map((index) => authorities.policyAt(index)?.adminKids)
    assert.deepEqual(admins, [undefined, [admin.kid], [admin.kid], [stranger.kid]])
    assert.equal(authorities.policy().index, 9)
    // Its older records are still there to be verified.
    assert.equal(authorities.keyOf(admin.kid)?.x, admin.publicJwk.x)
  })

  it('know nobody before the first record', () => {
    const nobody = new Authorities()
    assert.equal(nobody.hasPolicy, false)
    assert.equal(nobody.keyOf(admin.kid), undefined)
    assert.deepEqual(nobody.authorizations(issuer.kid), [])
    assert.throws(() => nobody.policy(), { code: 'not_a_successor' })
  })

  it('give the key to verify with, of admins and of whoever was ever authorized', () => {
    for (const party of [admin, issuer, verifier]) assert.equal(log.authorities.keyOf(party.kid)?.x, party.publicJwk.x)
    assert.equal(log.authorities.keyOf(stranger.kid), undefined)
  })

  it('say what each key is authorized for', () => {
    const [mine, ...rest] = log.authorities.authorizations(issuer.kid)
    assert.deepEqual(rest, [])
    const { key, entry, ...facts } = mine!
    assert.equal(key.x, issuer.publicJwk.x)
    assert.deepEqual(entry, log.records[1]!.entry)
    assert.deepEqual(facts, {
      kid: issuer.kid,
      role: 'issuer',
      trustDomain: 'bank.example',
      subject: ISSUER,
      notBefore: 0,
      notAfter: 10_000,
      maxCredentialLifetime: 3600,
      index: 1,
    })
    assert.deepEqual(
      Array.from(log.authorities.all(), ({ subject }) => subject),
      [ISSUER, VERIFIER],
    )
  })

  it('do not share a maximum that nobody stated', () => {
    const [theirs] = log.authorities.authorizations(verifier.kid)
    assert.equal(Object.hasOwn(theirs!, 'notAfter'), false)
    assert.equal(Object.hasOwn(theirs!, 'encryptionKey'), false)
  })

  it('hold a key to its role and to its dates: from notBefore until just before notAfter', () => {
    const { authorities } = log
    assert.equal(authorities.authorizedAt(issuer.kid, 'issuer', 0)?.index, 1)
    assert.equal(authorities.authorizedAt(issuer.kid, 'issuer', 9_999)?.index, 1)
    assert.equal(authorities.authorizedAt(issuer.kid, 'issuer', 10_000), undefined)
    assert.equal(authorities.authorizedAt(issuer.kid, 'issuer', -1), undefined)
    assert.equal(authorities.authorizedAt(issuer.kid, 'verifier', 5), undefined)
    assert.equal(authorities.authorizedAt(verifier.kid, 'verifier', 10 ** 12)?.index, 2)
    assert.equal(authorities.authorizedAt(stranger.kid, 'issuer', 5), undefined)
  })

  it('answer for each index of the log as it was there', async () => {
    const { authorities } = await replacedLog()
    const at = (date: number, index?: number) => authorities.authorizedAt(issuer.kid, 'issuer', date, index)?.index
    assert.equal(at(600, 1), undefined)
    assert.equal(at(600, 2), 1)
    // The record that replaces is itself signed while the replaced one is in force.
    assert.equal(at(600, 9), 1)
    assert.equal(at(600, 10), undefined)
    assert.equal(at(499, 10), 9)
    assert.equal(at(600), undefined)
    assert.deepEqual(
      authorities.authorizations(issuer.kid).map(({ index }) => index),
      [1, 9],
    )
  })

  it('let a second authorization stand beside the first when it does not replace it', async () => {
    const longer = await createSmallLog()
    longer.append(await grant({ fields: { ...FIELDS['key-authorization'], role: 'vendor', notAfter: 500 } }))
    assert.equal(longer.authorities.authorizedAt(issuer.kid, 'issuer', 600)?.index, 1)
    assert.equal(longer.authorities.authorizedAt(issuer.kid, 'vendor', 400)?.index, 9)
  })

  it('let a new key take the place of an old one', async () => {
    const heir = await createParty(20, ISSUER)
    const longer = await createSmallLog()
    const fields = { ...FIELDS['key-authorization'], key: encodePublicKey(heir.publicJwk) }
    longer.append(await grant({ fields, links: [longer.link('previous', 1)] }))
    assert.equal(longer.authorities.authorizedAt(issuer.kid, 'issuer', 5), undefined)
    assert.equal(longer.authorities.authorizedAt(heir.kid, 'issuer', 5)?.subject, ISSUER)
  })

  it('do not bring a replaced authorization back to life when it is replaced again', async () => {
    const longer = await replacedLog()
    longer.append(
      await grant({ links: [longer.link('previous', 1)], fields: { ...FIELDS['key-authorization'], notAfter: 400 } }),
    )
    assert.equal(longer.authorities.authorizedAt(issuer.kid, 'issuer', 600, 10), undefined)
  })

  it('are the same for whoever replays the same log', async () => {
    const replayed = new Authorities()
    for (const [index, record] of log.records.entries()) replayed.apply(index, record)
    assert.deepEqual([...replayed.all()], [...log.authorities.all()])
    assert.deepEqual(replayed.policy(), log.authorities.policy())
  })

  it('take a record out of order for a bug of ours', () => {
    const replayed = new Authorities()
    replayed.apply(3, log.records[3]!)
    assert.throws(() => replayed.apply(3, log.records[3]!), /invariant/)
    assert.throws(() => replayed.apply(2, log.records[2]!), /invariant/)
  })
})

describe('foundingKey', () => {
  const policy = log.records[0]!.record as RecordOf<'log-policy'>

  it('is one of the admin keys that the first policy names itself', () => {
    assert.equal(foundingKey(policy, admin.kid)?.x, admin.publicJwk.x)
    assert.equal(foundingKey(policy, stranger.kid), undefined)
  })
})
