/**
 * The audit of a log that registers statements of others: each judged by the policy that was in force at its place.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { replay } from '../../clients/auditor/index.ts'
import { type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import { encodePublicKey, type ForeignRules } from '../../provenance/index.ts'
import { encodeCoseSign1, parseSignedStatement, withOtherS } from '../../statement/index.ts'
import {
  AT,
  certify,
  createAuthority,
  type Headers,
  type Holder,
  signForeign,
  signingKeyOf,
} from '../provenance/signers.ts'
import { admin, FIELDS, issuer as vendor } from '../provenance/small-log.ts'
import { MadeUpLog, TRUST } from './made-up-log.ts'

const root = await createAuthority('root')
const otherRoot = await createAuthority('other root')
const signer = await certify('signer', { issuer: root })
const other = await certify('signer', { issuer: otherRoot })
const key = await signingKeyOf(signer)

const rules = (...anchors: Holder[]): ForeignRules => ({
  keys: [encodePublicKey(vendor.publicJwk)],
  anchors: anchors.map(({ der }) => der),
})

const byKid = (change: Headers = {}) => signForeign(vendor.key, { header: [[4, utf8(vendor.kid)]], ...change })
const byChain = async (holder: Holder, payload = 'said') =>
  signForeign(await signingKeyOf(holder), { header: [[33, holder.der]], payload: utf8(payload) })
const byThumbprint = () => signForeign(key, { header: [[34, [-16, sha256(signer.der)]]] })

/** The next version of the policy. */
async function govern(log: MadeUpLog, foreign: ForeignRules | undefined): Promise<Hash> {
  const previous = governed.get(log)
  const links = previous ? [{ rel: 'previous' as const, entry: previous }] : []
  const fields = { ...FIELDS['log-policy'], ...(foreign && { foreign }) }
  const entry = await log.add({ type: 'log-policy', fields, links }, admin, AT)
  governed.set(log, entry)
  return entry
}
const governed = new WeakMap<MadeUpLog, Hash>()

async function audit(t: TestContext, log: MadeUpLog, stateDir?: string) {
  const dir = stateDir ?? (await mkdtemp(join(tmpdir(), 'provlog-audit-')))
  if (stateDir === undefined) t.after(() => rm(dir, { recursive: true }))
  // Long after every certificate here has ended.
  const report = await replay({ client: log, trust: TRUST, stateDir: dir, now: AT + 10 ** 8 })
  const found = report.findings.map(({ index, check, detail }) => `${index} ${check} ${detail.split(':')[0]}`)
  return { ...report, found }
}

describe('an audit of a log that registers statements of others', () => {
  it('finds nothing where each was let in by the policy before it, whatever came later', async (t) => {
    const log = new MadeUpLog()
    await govern(log, rules(root))
    log.put(await byKid())
    log.put(await byChain(signer))
    const entry = log.put(await byThumbprint())
    log.certificatesOf.set(toHex(entry), [signer.der])
    await govern(log, rules(otherRoot))
    log.put(await byChain(other))
    await govern(log, undefined)
    const report = await audit(t, log)
    assert.deepEqual([report.found, report.records, report.foreign], [[], 3, 4])
  })

  it('judges each by the version in force at its place: the same signer before, between and after', async (t) => {
    const log = new MadeUpLog()
    await govern(log, undefined)
    log.put(await byChain(signer, 'one'))
    await govern(log, rules(root))
    log.put(await byChain(signer, 'two'))
    log.put(await byChain(other, 'three'))
    await govern(log, { ...rules(otherRoot), issuers: ['did:example:vendor'] })
    log.put(await byChain(signer, 'four'))
    log.put(await byChain(other, 'five'))
    log.put(await byKid({ claims: [[1, 'did:example:other']] }))
    const { found } = await audit(t, log)
    assert.deepEqual(found, [
      '1 foreign-refused unsupported_content_type',
      '4 foreign-refused unknown_anchor',
      '6 foreign-refused unknown_anchor',
      '8 foreign-refused issuer_mismatch',
    ])
  })

  it('comes to the same whether it is one audit or goes on from an earlier one', async (t) => {
    const log = new MadeUpLog()
    const dir = await mkdtemp(join(tmpdir(), 'provlog-audit-'))
    t.after(() => rm(dir, { recursive: true }))
    await govern(log, rules(root))
    log.put(await byChain(signer, 'one'))
    await audit(t, log, dir)
    log.put(await byChain(signer, 'two'))
    log.put(await byChain(other, 'three'))
    const { resumedFrom, ...rest } = await audit(t, log, dir)
    const { resumedFrom: _start, ...afresh } = await audit(t, log)
    assert.equal(resumedFrom, 2)
    assert.deepEqual(rest, afresh)
    assert.deepEqual([rest.foreign, rest.found], [2, ['3 foreign-refused unknown_anchor']])
  })

  it('finds a forged signature, a twin, and certificates that the log does not show or shows others of', async (t) => {
    const log = new MadeUpLog()
    await govern(log, rules(root, otherRoot))
    const honest = parseSignedStatement(await byChain(signer))
    log.put(honest.bytes)
    const { sign1 } = honest
    log.put(encodeCoseSign1({ ...sign1, signature: sign1.signature.map((byte) => byte ^ 1) }))
    log.put(encodeCoseSign1({ ...sign1, signature: withOtherS(sign1.signature) }))
    log.put(await byThumbprint())
    const swapped = log.put(await signForeign(key, { header: [[34, [-16, sha256(signer.der)]]], payload: utf8('x') }))
    log.certificatesOf.set(toHex(swapped), [(await certify('signer', { issuer: otherRoot, keys: signer.keys })).der])
    const { found } = await audit(t, log)
    assert.deepEqual(found, [
      '2 signature-invalid bad_signature',
      '3 signature-twin the same content is entry 1',
      '4 foreign-refused certificate_missing',
      '5 foreign-refused certificate_missing',
    ])
  })

  it('sees whose a statement was when its signer, whom the log authorized for records too, erases what belongs to it', async (t) => {
    const log = new MadeUpLog()
    await govern(log, rules(root))
    const authorization = { ...FIELDS['key-authorization'], notAfter: AT + 10 ** 9 }
    await log.add({ type: 'key-authorization', fields: authorization }, admin, AT)
    const own = log.put(await byKid())
    const others = log.put(await byChain(signer))
    const erase = (entry: Hash) =>
      log.add({ type: 'erasure', fields: { scope: 'keys' }, links: [{ rel: 'erases', entry }] }, vendor, AT)
    await erase(own)
    await erase(others)
    assert.deepEqual((await audit(t, log)).found, ['5 link-refused link_not_own'])
  })
})
