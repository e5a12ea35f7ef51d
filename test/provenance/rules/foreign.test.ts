/**
 * Statements that are no records of ours, each refused for one thing that was changed in an honest one.
 *
 * @module
 */
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BasicConstraintsExtension, Extension, KeyUsageFlags } from '@peculiar/x509'
import { fromBase64url, sha256, utf8 } from '../../../merkle/index.ts'
import {
  checkForeign,
  decodeRecord,
  encodePublicKey,
  encodeRecord,
  type FieldsOf,
  type ForeignContext,
  type ForeignRules,
  foreignSigner,
  PathCache,
  parseCertificate,
  RECORD_CONTENT_TYPE,
  recheckForeign,
} from '../../../provenance/index.ts'
import { type CborValue, coseKeyOf, encodeCbor, kidOf, parseSignedStatement } from '../../../statement/index.ts'
import {
  AT,
  authority,
  certify,
  createAuthority,
  type Edits,
  type Headers,
  policyWith,
  purposes,
  signForeign,
  signingKeyOf,
  usage,
} from '../signers.ts'
import { FIELDS, stranger, issuer as vendor } from '../small-log.ts'

const root = await createAuthority('root')
const otherRoot = await createAuthority('other root')
const middle = await createAuthority('intermediate', { issuer: root })
const signer = await certify('signer', { issuer: middle })
const key = await signingKeyOf(signer)
const kid = kidOf(key.publicJwk)

const byKey: ForeignRules = { keys: [encodePublicKey(vendor.publicJwk)] }
const byChain: ForeignRules = { anchors: [root.der] }
const chain = [signer.der, middle.der]

const check = (bytes: Uint8Array, rules: ForeignRules | undefined, context: Partial<ForeignContext> = {}) =>
  checkForeign(parseSignedStatement(bytes), { policy: policyWith(rules), now: AT, maxClockSkew: 300, ...context })

const kidHeader = (name: string | Uint8Array): NonNullable<Headers['header']> => [
  [4, typeof name === 'string' ? utf8(name) : name],
]
const signedByKid = (change: Headers = {}) =>
  signForeign(vendor.key, { ...change, header: [[4, utf8(vendor.kid)], ...(change.header ?? [])] })
/** With a protected chain. */
const signedByChain = (certificates: CborValue = chain, change: Headers = {}, by = key) =>
  signForeign(by, { ...change, header: [[33, certificates], ...(change.header ?? [])] })

describe('a foreign statement signed by kid', () => {
  it('is let in when the policy has the key', async () => {
    const { statement, signer: name, path, beside } = await check(await signedByKid(), byKey)
    assert.equal(statement.signer.kid, vendor.kid)
    assert.deepEqual([name, path, beside], [vendor.kid, [], []])
  })

  it('may name its key by the raw thumbprint, or by the kid that the COSE_Key has of its own', async () => {
    await check(await signForeign(vendor.key, { header: kidHeader(fromBase64url(vendor.kid)) }), byKey)
    const named = { keys: [encodeCbor(coseKeyOf(vendor.publicJwk, 'release-key-1'))] }
    const statement = await signForeign(vendor.key, { header: kidHeader('release-key-1') })
    const { signer: name, statement: verified } = await check(statement, named)
    assert.deepEqual([name, verified.signer.kid], ['release-key-1', vendor.kid])
    await check(await signedByKid(), named)
  })

  it('reads both spellings of the algorithm, and iat under tag 1 or without', async () => {
    for (const alg of [-8, -19]) await check(await signedByKid({ header: [[1, alg]] }), byKey)
    await check(await signedByKid({ claims: [[6, undefined]] }), byKey)
  })

  const rules = { ...byKey, contentTypes: ['text/plain'], issuers: ['did:example:vendor'] }
  it('is let in on the terms of the policy: content type and issuer', async () => {
    await check(await signedByKid(), rules)
    const hash = [
      [3, undefined],
      [258, -16],
      [259, 'text/plain'],
    ] as const
    await check(await signedByKid({ header: hash, payload: new Uint8Array(32) }), rules)
  })

  const refused: [what: string, code: string, statement: Promise<Uint8Array>, rules?: ForeignRules][] = [
    ['another content type', 'unsupported_content_type', signedByKid({ header: [[3, 'text/html']] })],
    [
      'the same content type in other letters',
      'unsupported_content_type',
      signedByKid({ header: [[3, 'Text/Plain']] }),
    ],
    ['no content type', 'unsupported_content_type', signedByKid({ header: [[3, undefined]] })],
    ['a content type that is a number', 'unsupported_content_type', signedByKid({ header: [[3, 0]] })],
    ['another issuer', 'issuer_mismatch', signedByKid({ claims: [[1, 'did:example:other']] })],
    ['another key', 'unknown_key', signForeign(stranger.key, { header: kidHeader(stranger.kid) })],
    [
      'another key under the name of one',
      'bad_signature',
      signForeign(stranger.key, { header: kidHeader(vendor.kid) }),
    ],
    ['a key that the policy has no keys for', 'unknown_key', signedByKid(), { ...byChain }],
    ['a date in the future', 'issued_in_future', signedByKid({ claims: [[6, AT + 301]] })],
    ['an algorithm that we do not have', 'unsupported_algorithm', signedByKid({ header: [[1, -47]] })],
    ['RSA without PSS', 'unsupported_algorithm', signedByKid({ header: [[1, -257]] })],
    ['an algorithm of another curve', 'algorithm_mismatch', signedByKid({ header: [[1, -35]] })],
    ['the algorithm of another key', 'algorithm_mismatch', signedByKid({ header: [[1, -9]] })],
    ['more bytes than the log takes', 'too_large', signedByKid({ payload: new Uint8Array(65_536) })],
    [
      'a critical header that we do not know',
      'unknown_critical_header',
      signedByKid({
        header: [
          [2, ['x']],
          ['x', 1],
        ],
      }),
    ],
    [
      'the content type of records',
      'unsupported_content_type',
      signedByKid({ header: [[3, RECORD_CONTENT_TYPE]] }),
      byKey,
    ],
    [
      'the content type of records in other letters',
      'unsupported_content_type',
      signedByKid({ header: [[3, 'Application/VND.provlog.record+cbor']] }),
      byKey,
    ],
    [
      'the typ of a record',
      'unsupported_content_type',
      signedByKid({ header: [[16, 'application/vnd.provlog.log-policy+cose']] }),
      byKey,
    ],
    [
      'the hash of a record in place of the record',
      'unsupported_content_type',
      signedByKid({
        header: [
          [3, undefined],
          [258, -16],
          [259, RECORD_CONTENT_TYPE],
        ],
        payload: new Uint8Array(32),
      }),
      byKey,
    ],
  ]
  for (const [what, code, statement, under = rules] of refused) {
    it(`is refused with ${what} (${code})`, async () => assert.rejects(check(await statement, under), { code }))
  }

  it('is refused by a policy that says nothing of such statements, and before there is a policy', async () => {
    await assert.rejects(check(await signedByKid(), undefined), { code: 'unsupported_content_type' })
    await assert.rejects(check(await signedByKid(), byKey, { policy: undefined }), { code: 'unsupported_content_type' })
  })
})

describe('a foreign statement signed under a certificate', () => {
  it('is let in when the protected chain leads to an anchor, and is found by the key of the leaf', async () => {
    const { signer: name, path, beside } = await check(await signedByChain(), byChain)
    assert.deepEqual([name, path.length, beside], [kid, 3, []])
  })

  it('may bring the anchor too, its intermediates in any order, or nothing but a leaf of the anchor', async () => {
    await check(await signedByChain([signer.der, root.der, middle.der]), byChain)
    const direct = await certify('direct', { issuer: root })
    await check(await signedByChain(direct.der, {}, await signingKeyOf(direct)), byChain)
    await check(await signedByChain(signer.der), { anchors: [otherRoot.der, middle.der] })
  })

  it('may name the leaf by x5t and bring the chain unprotected, which is then what to keep beside it', async () => {
    const header = [[34, [-16, sha256(signer.der)]]] as const
    const junk = otherRoot.der
    const bytes = await signForeign(key, { header, unprotected: new Map([[33, [...chain, junk]]]) })
    const { beside, statement } = await check(bytes, byChain)
    assert.deepEqual(beside, chain)

    // As an auditor has it: without the unprotected header, and with what was kept.
    const registered = parseSignedStatement(statement.bytes)
    assert.equal(registered.header.x5chain, undefined)
    const context = { onLog: true, now: AT + 10 ** 8, certificates: beside }
    assert.equal((await check(statement.bytes, byChain, context)).signer, kid)
    assert.equal(foreignSigner(registered, beside), kid)
    await assert.rejects(check(statement.bytes, byChain, { onLog: true }), { code: 'certificate_missing' })
    // Another certificate of the same key, by a CA that the policy trusts as well: not the one that was named.
    const twin = await certify('signer', { issuer: root, keys: signer.keys })
    const swapped = check(statement.bytes, byChain, { onLog: true, certificates: [twin.der] })
    await assert.rejects(swapped, { code: 'certificate_missing' })
  })

  it('may make its certificates critical', async () => {
    const header = [
      [2, [33, 34]],
      [34, [-16, sha256(signer.der)]],
    ] as const
    await check(await signedByChain(chain, { header }), byChain)
  })

  it('is not read by its kid, whatever that is', async () => {
    const both = { ...byKey, ...byChain }
    const { signer: name } = await check(await signedByChain(chain, { header: kidHeader(vendor.kid) }), both)
    assert.equal(name, kid)
    const wrong = signedByChain(chain, { header: kidHeader(vendor.kid) }, vendor.key)
    await assert.rejects(check(await wrong, both), { code: 'algorithm_mismatch' })
  })

  /** A leaf with one thing changed, under the root. */
  const leafWith = async (edits: Edits) => {
    const leaf = await certify('leaf', { issuer: root, ...edits })
    return { leaf, bytes: await signedByChain(leaf.der, {}, await signingKeyOf(leaf)) }
  }
  const digital = usage(KeyUsageFlags.digitalSignature)
  const POLICY_MAPPINGS = new Extension('2.5.29.33', true, new Uint8Array([0x30, 0]))
  const certificates: [what: string, code: string | undefined, edits: Edits][] = [
    ['is not valid any more', 'credential_expired', { notAfter: AT - 1 }],
    ['is not valid yet', 'credential_not_yet_valid', { notBefore: AT + 1 }],
    ['may issue others', 'certificate_is_ca', { extensions: authority() }],
    [
      'may sign certificates',
      'certificate_is_ca',
      { extensions: [usage(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign)] },
    ],
    ['has CA:TRUE', 'certificate_is_ca', { extensions: [new BasicConstraintsExtension(true), digital] }],
    ['is for key agreement', 'certificate_wrong_usage', { extensions: [usage(KeyUsageFlags.keyAgreement)] }],
    ['is for TLS alone', 'certificate_wrong_usage', { extensions: [digital, purposes('1.3.6.1.5.5.7.3.1')] }],
    ['is for time stamping alone', 'certificate_wrong_usage', { extensions: [purposes('1.3.6.1.5.5.7.3.8')] }],
    ['has a critical extension that we do not know', 'unknown_critical_extension', { extensions: [POLICY_MAPPINGS] }],
    ['is of another CA', 'unknown_anchor', { issuer: otherRoot }],
    ['is of a CA that only has the name', 'bad_signature', { issuer: { ...otherRoot, name: 'root' } }],
    ['is its own issuer', 'unknown_anchor', { issuer: undefined }],
    // And what does not hurt.
    ['has no keyUsage', undefined, { extensions: [] }],
    ['is for signing code', undefined, { extensions: [digital, purposes('1.3.6.1.5.5.7.3.3')] }],
    [
      'is for signing code, and for TLS too',
      undefined,
      { extensions: [purposes('1.3.6.1.5.5.7.3.3', '1.3.6.1.5.5.7.3.2')] },
    ],
    ['has an Ed25519 key', undefined, { kind: 'Ed25519' }],
  ]
  for (const [what, code, edits] of certificates) {
    it(`${code ? `is refused (${code})` : 'is let in'} when its certificate ${what}`, async () => {
      const { bytes } = await leafWith(edits)
      if (code === undefined) await check(bytes, byChain)
      else await assert.rejects(check(bytes, byChain), { code })
    })
  }

  it('may be signed by ES384 or PS256, and under an RSA intermediate', async () => {
    for (const [kind, alg, parameters] of [
      ['ES384', -35, { name: 'ECDSA', hash: 'SHA-384' }],
      ['RSA_PSS', -37, { name: 'RSA-PSS', saltLength: 32 }],
    ] as const) {
      const leaf = await certify('leaf', { issuer: root, kind })
      const sign = async (data: Uint8Array) =>
        new Uint8Array(await crypto.subtle.sign(parameters, leaf.keys.privateKey, data as BufferSource))
      const by = { ...key, sign }
      const { signer: name } = await check(await signedByChain(leaf.der, { header: [[1, alg]] }, by), byChain)
      assert.equal(name, kidOf(parseCertificate(leaf.der).publicJwk!))
      // The same certificate, and the name of an algorithm that its key is not for.
      await assert.rejects(check(await signedByChain(leaf.der, { header: [[1, -7]] }, by), byChain), {
        code: 'algorithm_mismatch',
      })
      await assert.rejects(check(await signedByChain(leaf.der, { header: [[1, alg]] }), byChain), {
        code: 'bad_signature',
      })
    }
    const rsaCa = await createAuthority('rsa ca', { issuer: root, kind: 'RSA' })
    const leaf = await certify('leaf', { issuer: rsaCa })
    await check(await signedByChain([leaf.der, rsaCa.der], {}, await signingKeyOf(leaf)), byChain)
  })

  it('is refused when the chain is longer than its authorities or we allow', async () => {
    const strict = await createAuthority('strict root', { extensions: authority(0) })
    const below = await createAuthority('below', { issuer: strict })
    const leaf = await certify('leaf', { issuer: below })
    const statement = await signedByChain([leaf.der, below.der], {}, await signingKeyOf(leaf))
    const code = 'certificate_path_too_long'
    await assert.rejects(check(statement, { anchors: [strict.der] }), { code })
    const five = await signedByChain([signer.der, middle.der, middle.der, middle.der, otherRoot.der])
    await assert.rejects(check(five, byChain), { code })
  })

  it('is refused before any of a thousand certificates is read', async () => {
    const many = Array.from({ length: 1000 }, (_, i) => Uint8Array.of(0x30, i >> 8, i))
    await assert.rejects(check(await signedByChain([signer.der, ...many]), byChain), {
      code: 'certificate_path_too_long',
    })
  })

  it('is given up when its certificates name one another in too many ways', async () => {
    // Everybody is called the same, so each may have issued each: the honest search would try them all against every anchor.
    const names = await Promise.all(Array.from({ length: 15 }, () => createAuthority('same')))
    const tricks = await Promise.all([0, 1, 2].map((i) => createAuthority('same', { issuer: names[i]! })))
    const leaf = await certify('leaf', { issuer: { ...tricks[0]!, name: 'same' } })
    const statement = await signedByChain([leaf.der, ...tricks.map(({ der }) => der)], {}, await signingKeyOf(leaf))
    const anchors = names.slice(3).map(({ der }) => der)
    const started = process.cpuUsage()
    await assert.rejects(check(statement, { anchors }), { name: 'EvidenceError' })
    const { user, system } = process.cpuUsage(started)
    assert.ok((user + system) / 1000 < 100, `${(user + system) / 1000} ms of processor time`)
  })

  it('is judged at registration and at its iat; of one on the log, the first cannot be known', async () => {
    const { leaf } = await leafWith({ notBefore: AT - 100, notAfter: AT + 100 })
    const dated = async (iat: number | undefined) =>
      signedByChain(leaf.der, { claims: [[6, iat]] }, await signingKeyOf(leaf))
    await assert.rejects(check(await dated(AT - 101), byChain), { code: 'credential_not_yet_valid' })
    await assert.rejects(check(await dated(AT), byChain, { now: AT + 101 }), { code: 'credential_expired' })
    await assert.rejects(check(await dated(undefined), byChain, { now: AT + 101 }), { code: 'credential_expired' })
    const later = { now: AT + 10 ** 6, onLog: true }
    await check(await dated(AT), byChain, later)
    await check(await dated(undefined), byChain, later)
    await assert.rejects(check(await dated(AT - 101), byChain, later), { code: 'credential_not_yet_valid' })
    await assert.rejects(check(await dated(AT + 101), byChain, later), { code: 'credential_expired' })
  })

  it('is judged by a path that was found before as if it were looked for again', async () => {
    const paths = new PathCache()
    const { leaf } = await leafWith({ notAfter: AT + 100 })
    const by = await signingKeyOf(leaf)
    const statement = await signedByChain(leaf.der, {}, by)
    await check(statement, byChain, { paths })
    const again = await check(await signedByChain(leaf.der, { payload: utf8('more') }, by), byChain, { paths })
    assert.equal(again.path.length, 2)
    await assert.rejects(check(statement, byChain, { paths, now: AT + 101 }), { code: 'credential_expired' })
    await assert.rejects(check(await signedByChain(leaf.der), byChain, { paths }), { code: 'bad_signature' })
    // Another policy, another path; and a chain that is not the same is not known.
    const policy = { ...policyWith({ anchors: [otherRoot.der] }), entry: sha256(utf8('another')) }
    await assert.rejects(check(statement, undefined, { paths, policy }), { code: 'unknown_anchor' })
    const other = await leafWith({ issuer: otherRoot })
    await assert.rejects(check(other.bytes, byChain, { paths }), { code: 'unknown_anchor' })
  })

  it('needs one of the purposes that the policy names, on every level that names any', async () => {
    const wanted = '1.3.6.1.4.1.99999.1'
    const rules = { ...byChain, purposes: [wanted] }
    const leafOf = async (...oids: string[]) =>
      (await leafWith({ extensions: oids.length > 0 ? [purposes(...oids)] : [] })).bytes
    await check(await leafOf(wanted, '1.3.6.1.5.5.7.3.1'), rules)
    for (const statement of [leafOf('1.3.6.1.5.5.7.3.3'), leafOf(), leafOf('2.5.29.37.0')]) {
      await assert.rejects(check(await statement, rules), { code: 'certificate_wrong_usage' })
    }
    const under = async (...oids: string[]) => {
      const ca = await createAuthority('ca', { issuer: root, extensions: [...authority(), purposes(...oids)] })
      const leaf = await certify('leaf', { issuer: ca, extensions: [purposes(wanted)] })
      return signedByChain([leaf.der, ca.der], {}, await signingKeyOf(leaf))
    }
    await check(await under(wanted), rules)
    await check(await under('2.5.29.37.0'), rules)
    await assert.rejects(check(await under('1.3.6.1.5.5.7.3.3'), rules), { code: 'certificate_wrong_usage' })
  })

  const refused: [what: string, code: string, statement: Promise<Uint8Array>, rules?: ForeignRules][] = [
    ['no anchors in the policy', 'unknown_anchor', signedByChain(), byKey],
    ['no certificate of the intermediate', 'unknown_anchor', signedByChain(signer.der)],
    ['the signature of another key', 'bad_signature', otherKey().then((by) => signedByChain(chain, {}, by))],
    ['a certificate that is none', 'malformed_der', signedByChain(utf8('a certificate'))],
    ['x5t alone', 'certificate_missing', signForeign(key, { header: [[34, [-16, sha256(signer.der)]]] })],
  ]
  for (const [what, code, statement, rules = byChain] of refused) {
    it(`is refused with ${what} (${code})`, async () => assert.rejects(check(await statement, rules), { code }))
  }
})

async function otherKey() {
  return signingKeyOf(await certify('other'))
}

describe('any bit of a foreign statement that is turned', () => {
  const unprotected = new Map<number, CborValue>([[33, chain]])
  for (const [how, statement] of [
    ['signed by kid', signedByKid()],
    ['with a protected chain', signedByChain()],
    ['with an unprotected chain', signForeign(key, { header: [[34, [-16, sha256(signer.der)]]], unprotected })],
  ] as const) {
    it(`makes it refused for a reason, or leaves it what it was (${how})`, async () => {
      const bytes = await statement
      const { entry } = parseSignedStatement(bytes)
      const twins: string[] = []
      for (let at = 0; at < bytes.length; at += 3) {
        const changed = bytes.slice()
        changed[at]! ^= 1 << (at % 8)
        try {
          const { statement: verified } = await check(changed, { ...byKey, ...byChain })
          assert.deepEqual(verified.entry, entry, `bit ${at % 8} of byte ${at}`)
          twins.push(String(at))
        } catch (error) {
          assert.equal((error as Error).name, 'EvidenceError', String(error))
        }
      }
      // What is not signed and not kept: bits of a certificate that no check reads.
      if (how !== 'with an unprotected chain') assert.deepEqual(twins, [])
    })
  }
})

describe('recheckForeign, under a policy that came since', () => {
  const cases: [what: string, code: string | undefined, rules: ForeignRules | undefined, maxBytes?: number][] = [
    ['says the same', undefined, { ...byKey, ...byChain }],
    [
      'allows more',
      undefined,
      { keys: [...byKey.keys!, encodePublicKey(stranger.publicJwk)], anchors: [otherRoot.der, root.der] },
    ],
    ['registers nothing foreign', 'unsupported_content_type', undefined],
    ['takes another content type', 'unsupported_content_type', { ...byKey, ...byChain, contentTypes: ['text/html'] }],
    ['takes another issuer', 'issuer_mismatch', { ...byKey, ...byChain, issuers: ['did:example:other'] }],
    ['takes smaller statements', 'too_large', { ...byKey, ...byChain }, 64],
  ]
  for (const [what, code, rules, maxBytes] of cases) {
    it(`${code ? `refuses (${code})` : 'lets in'} what waits when it ${what}`, async () => {
      for (const bytes of [await signedByKid(), await signedByChain()]) {
        const found = await check(bytes, { ...byKey, ...byChain })
        const recheck = () => recheckForeign(found, policyWith(rules, maxBytes))
        if (code === undefined) recheck()
        else assert.throws(recheck, { code })
      }
    })
  }

  it('refuses what a withdrawn key or anchor vouched for, and a purpose that is wanted no more', async () => {
    const byVendor = await check(await signedByKid(), byKey)
    const strangers = { keys: [encodePublicKey(stranger.publicJwk)] }
    assert.throws(() => recheckForeign(byVendor, policyWith(strangers)), { code: 'unknown_key' })
    // Somebody else's key under the name that the statement goes by.
    const renamed = { keys: [encodeCbor(coseKeyOf(stranger.publicJwk, vendor.kid))] }
    assert.throws(() => recheckForeign(byVendor, policyWith(renamed)), { code: 'unknown_key' })

    const bySigner = await check(await signedByChain(), byChain)
    const withdrawn = policyWith({ anchors: [otherRoot.der] })
    assert.throws(() => recheckForeign(bySigner, withdrawn), { code: 'unknown_anchor' })
    const narrowed = policyWith({ ...byChain, purposes: ['1.3.6.1.5.5.7.3.3'] })
    assert.throws(() => recheckForeign(bySigner, narrowed), { code: 'certificate_wrong_usage' })
  })

  it('refuses, as an auditor would, a chain that a withdrawn anchor makes too long', async () => {
    const unrelated = await Promise.all(['a', 'b'].map((name) => createAuthority(name)))
    const long = [...chain, ...[...unrelated, otherRoot].map(({ der }) => der)]
    const bytes = await signForeign(key, { header: [[33, long]] })
    const found = await check(bytes, { anchors: [root.der, otherRoot.der] })
    await assert.rejects(check(bytes, byChain), { code: 'certificate_path_too_long' })
    assert.throws(() => recheckForeign(found, policyWith(byChain)), { code: 'certificate_path_too_long' })
  })
})

describe('the foreign field of a log-policy', () => {
  const policy = (foreign: FieldsOf<'log-policy'>['foreign']) => {
    const fields: FieldsOf<'log-policy'> = { ...FIELDS['log-policy'], ...(foreign && { foreign }) }
    const id = new Uint8Array(16)
    return encodeRecord({ type: 'log-policy', id, links: [], tags: [], unique: [], fields })
  }

  it('is read back as it was written, and left out where there is none', () => {
    const foreign = { ...byKey, ...byChain, contentTypes: ['a/b'], issuers: ['x:y'], purposes: ['1.2.3'] }
    assert.deepEqual(decodeRecord('log-policy', policy(foreign)).fields.foreign, foreign)
    assert.equal('foreign' in decodeRecord('log-policy', policy(undefined)).fields, false)
  })

  const refused: [what: string, foreign: Promise<ForeignRules>][] = [
    ['nobody who may sign', Promise.resolve({ contentTypes: ['a/b'] })],
    ['an empty list', Promise.resolve({ ...byKey, contentTypes: [] })],
    ['purposes of no anchors', Promise.resolve({ ...byKey, purposes: ['1.2.3'] })],
    ['a purpose that is no OID', Promise.resolve({ ...byChain, purposes: ['codeSigning'] })],
    ['an anchor that is no certificate', Promise.resolve({ anchors: [utf8('root')] })],
    ['an anchor that may issue nothing', Promise.resolve({ anchors: [signer.der] })],
    [
      'an RSA anchor of 1024 bits',
      createAuthority('rsa', { kind: 'RSA_1024' }).then(({ der }) => ({ anchors: [der] })),
    ],
    ['a key for encryption', Promise.resolve({ keys: [encodeCbor(new Map([[1, 1]]))] })],
    ['one key twice', Promise.resolve({ keys: [byKey.keys![0]!, byKey.keys![0]!] })],
    [
      'a key that calls itself as another one is called',
      Promise.resolve({ keys: [byKey.keys![0]!, encodeCbor(coseKeyOf(stranger.publicJwk, vendor.kid))] }),
    ],
  ]
  for (const [what, foreign] of refused) {
    it(`is refused with ${what}`, async () => {
      const rules = await foreign
      assert.throws(() => policy(rules), { code: 'malformed_record' })
    })
  }
})
