// X509-SVIDs and bundles of SPIRE, made by it on this machine (test/fixtures/spire), at the moment when they were good.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parseCredential, readTrustBundle, verifyCredentialSignature } from '../../provenance/index.ts'

const read = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/spire/${name}`, import.meta.url)))
const { at } = JSON.parse(Buffer.from(read('at.json')).toString()) as { at: number }
const svids = { before: parseCredential(read('before.svid.pem')), after: parseCredential(read('after.svid.pem')) }
const bundle = (name: string, trustDomain = 'bank.example') => readTrustBundle(read(`${name}.bundle.json`), trustDomain)
const verify = async (svid: 'before' | 'after', by: string, moment = at) =>
  verifyCredentialSignature(svids[svid], await bundle(by), moment)
const refused = (code: string) => ({ name: 'EvidenceError', code })

describe('an X509-SVID of SPIRE', () => {
  it('is of the workload that its one URI name says, for an hour', () => {
    const { kind, subject, notBefore = 0, notAfter } = svids.before
    assert.equal(kind, 'wic')
    assert.equal(subject.uri, 'spiffe://bank.example/payments')
    assert.ok(notAfter - notBefore <= 3610)
  })

  it('holds by the bundle of its authority, and by one with the next authority beside it', async () => {
    await verify('before', 'before')
    await verify('before', 'between')
    await verify('after', 'between')
    await verify('after', 'after')
  })

  it('does not hold before its authority is in the bundle, nor after that was taken out', async () => {
    await assert.rejects(verify('after', 'before'), refused('unknown_anchor'))
    await assert.rejects(verify('before', 'after'), refused('unknown_anchor'))
  })

  it('does not hold when it is over, nor as one of another trust domain', async () => {
    await assert.rejects(verify('after', 'after', at + 3600), refused('credential_expired'))
    await assert.rejects(
      verifyCredentialSignature(svids.before, await bundle('before', 'partner.example'), at),
      refused('trust_domain_mismatch'),
    )
  })
})

it('bundles of SPIRE are numbered, and have an anchor for each authority', async () => {
  const bundles = await Promise.all(['before', 'between', 'after'].map((name) => bundle(name)))
  assert.deepEqual(
    bundles.map(({ certificates }) => certificates.length),
    [1, 2, 1],
  )
  const sequences = bundles.map(({ sequence }) => sequence!)
  assert.deepEqual(
    sequences,
    sequences.toSorted((a, b) => Number(a - b)),
  )
  assert.equal(new Set(sequences).size, 3)
})
