import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toBase64 } from '../../../merkle/bytes.ts'
import { parseTrust } from '../../../provenance/verification/trust.ts'
import { publicJwkOf } from '../../../statement/cose-key.ts'
import { anchorCertificate, buildWorld, KEYS, newKey } from '../world.ts'

const { trustDocument: honest } = await buildWorld()
const bank = honest.trustDomains['bank.example']!
const read = (change: object) => parseTrust(JSON.stringify({ ...honest, ...change }))
const withKeys = (...keys: object[]) => ({ trustDomains: { 'bank.example': { keys } } })
const x5c = [toBase64(await anchorCertificate())]
const anchor = { ...publicJwkOf(KEYS.anchor), use: 'x509-svid' }
const token = { ...publicJwkOf(newKey()), use: 'wit-svid', kid: 'k1' }

describe('parseTrust', () => {
  it('reads logs, anchors by trust domain, parties and limits', () => {
    const trust = read({ maximumCheckpointAge: 60 })
    assert.equal(trust.logs[0]?.verifier.name, trust.logs[0]?.origin)
    assert.equal(trust.trustDomains.get('bank.example')?.certificates.length, 1)
    assert.equal(trust.trustDomains.get('bank.example')?.tokenKeys.size, 1)
    assert.deepEqual([trust.minimumTier, trust.maximumCheckpointAge], ['affirming', 60])
    assert.ok(trust.issuers.has('spiffe://bank.example/issuer'))
  })

  it('leaves out keys for other uses and of other kinds, which trusts less', () => {
    const ed448 = { kty: 'OKP', crv: 'Ed448', x: 'AA', use: 'wit-svid', kid: 'k2' }
    const trust = read(withKeys(token, { ...token, use: 'jwt-svid' }, { ...token, use: 'new-svid' }, ed448))
    assert.deepEqual([...trust.trustDomains.get('bank.example')!.tokenKeys.keys()], ['k1'])
  })

  it('takes what a bundle has of members and keys that it does not know, of numbers past 2⁵³, and no keys', () => {
    const bundle = `{"keys":[],"spiffe_sequence":18446744073709551615,"x-own":1}`
    const text = JSON.stringify({ ...honest, trustDomains: {} }).replace(
      '"trustDomains":{}',
      `"trustDomains":{"a.example":${bundle}}`,
    )
    const { trustDomains } = parseTrust(text)
    const { certificates, tokenKeys } = trustDomains.get('a.example')!
    assert.deepEqual([certificates.length, tokenKeys.size], [0, 0])
  })

  it('reads what credentials of a trust domain must hold to', () => {
    const credentials = { 'bank.example': { tokenProfile: 'wimse', maximumLifetime: 60 } }
    assert.deepEqual(read({ credentials }).trustDomains.get('bank.example')?.rules, credentials['bank.example'])
    assert.equal(read({}).trustDomains.get('bank.example')?.rules, undefined)
  })

  it('reads which trust domain is one’s own', () => {
    assert.equal(read({ ownTrustDomain: 'shop.example' }).ownTrustDomain, 'shop.example')
    assert.equal(read({}).ownTrustDomain, undefined)
  })

  const log = honest.logs[0]!
  const rules = (value: object) => ({ credentials: { 'bank.example': value } })
  const refused: [what: string, path: RegExp, change: object][] = [
    ['an unknown member', /^\$\.minimumTeir is not known/, { minimumTeir: 'affirming' }],
    ['a missing member', /^\$\.issuers is missing/, { issuers: undefined }],
    [
      'a bundle without a list of keys',
      /bank\.example"\]\.keys is not a list/,
      { trustDomains: { 'bank.example': {} } },
    ],
    [
      'an identifier in the place of one’s own trust domain',
      /^\$\.ownTrustDomain: /,
      { ownTrustDomain: 'spiffe://bank.example/api' },
    ],
    ['an own trust domain that is no text', /^\$\.ownTrustDomain is not text/, { ownTrustDomain: ['bank.example'] }],
    ['an own trust domain that is empty', /^\$\.ownTrustDomain: /, { ownTrustDomain: '' }],
    ['an unknown tier', /^\$\.minimumTier/, { minimumTier: 'good' }],
    ['a log without key', /^\$\.logs\[0\]\.vkey is missing/, { logs: [{ origin: 'a' }] }],
    ['a malformed key', /^\$\.logs\[0\]\.vkey/, { logs: [{ ...log, vkey: 'a+b+c' }] }],
    ['a key of another origin', /^\$\.logs\[0\]\.vkey is of/, { logs: [{ ...log, origin: 'other.example' }] }],
    ['an unknown member of a log', /^\$\.logs\[0\]\.minSize/, { logs: [{ ...log, minSize: 1 }] }],
    ['one log twice', /^\$\.logs one key/, { logs: [log, log] }],
    ['a trust domain that is none', /^\$\.trustDomains\["Bank"\]/, { trustDomains: { Bank: bank } }],
    ['an issuer that is no identifier', /^\$\.issuers\[0\]/, { issuers: ['bank.example/issuer'] }],
    ['a verifier that is a trust domain', /^\$\.verifiers\[0\]/, { verifiers: ['spiffe://bank.example'] }],
    ['rules for no trust domain of the file', /^\$\.credentials\["shop/, { credentials: { 'shop.example': {} } }],
    ['rules that nobody knows', /maxLifetime is not known/, rules({ maxLifetime: 1 })],
    ['another profile', /tokenProfile is not one of/, rules({ tokenProfile: 'WIT-SVID' })],
    ['a lifetime as text', /maximumLifetime is not a whole/, rules({ maximumLifetime: '1h' })],
    [
      'a sequence that is no whole number',
      /spiffe_sequence/,
      { trustDomains: { a: { keys: [], spiffe_sequence: 1.5 } } },
    ],
    ['a hint that is negative', /refresh_hint/, { trustDomains: { a: { keys: [], spiffe_refresh_hint: -1 } } }],
    ['a key of JWT-SVIDs without kid', /keys\[0\]\.kid/, withKeys({ ...token, use: 'jwt-svid', kid: undefined })],
    ['a symmetric key', /keys\[0\].*"k"/, withKeys({ kty: 'oct', k: 'AA', use: 'wit-svid', kid: 'k' })],
    ['an age that is no number', /^\$\.maximumCheckpointAge/, { maximumCheckpointAge: '60' }],
    ['an age that is no integer', /^\$\.maximumCheckpointAge/, { maximumCheckpointAge: 0.5 }],
    ['a malformed witness policy', /^\$\.witnessPolicy/, { witnessPolicy: 'quorum nobody' }],
    ['a token key without kid', /keys\[0\]\.kid is not text/, withKeys({ ...token, kid: undefined })],
    ['two token keys of one kid', /keys\[1\]\.kid/, withKeys(token, { ...token })],
    ['a private key', /keys\[0\].*"d"/, withKeys({ ...token, d: 'AA' })],
    ['a weak key', /keys\[0\]/, withKeys({ ...token, x: 'A'.repeat(43), y: 'A'.repeat(43) })],
    ['an anchor without certificate', /keys\[0\]\.x5c is not a list/, withKeys(anchor)],
    [
      'an anchor with two certificates',
      /keys\[0\]\.x5c must have exactly one/,
      withKeys({ ...anchor, x5c: [...x5c, ...x5c] }),
    ],
    ['an anchor that is no certificate', /keys\[0\]\.x5c\[0\]/, withKeys({ ...anchor, x5c: ['AAAA'] })],
    [
      'an anchor with the certificate of another key',
      /keys\[0\] the certificate/,
      withKeys({ ...anchor, ...publicJwkOf(newKey()), x5c }),
    ],
  ]
  for (const [what, path, change] of refused) {
    it(`refuses ${what}, and says where`, () => {
      assert.throws(() => read(change), { code: 'malformed_trust', message: path })
    })
  }

  it('refuses what is not JSON, and a duplicate member', () => {
    const twice = JSON.stringify(honest).replace('{', '{"minimumTier":"contraindicated",')
    for (const text of ['', '[]', 'null', twice]) assert.throws(() => parseTrust(text), { code: 'malformed_trust' })
  })
})
