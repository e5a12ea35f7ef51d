import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../merkle/index.ts'
import { seriesOf, statusKey, uniqueKeys } from '../../../provenance/index.ts'
import { admin, author, createSmallLog, FIELDS, issuer, newRecord, signRecord, verifier } from '../small-log.ts'

const log = await createSmallLog()
const tag = new Uint8Array(16).fill(0xab)
const provenance = await signRecord(newRecord(log, 'credential-provenance', { unique: [tag] }), author(issuer, 200))
const status = await signRecord(newRecord(log, 'credential-status'), author(issuer, 200))
const digest = toHex(FIELDS['credential-provenance'].credentialDigest)

describe('uniqueKeys', () => {
  it('are the id, the credential whoever signs, and the tags of this signer', () => {
    const { record } = provenance
    assert.deepEqual(uniqueKeys(record, issuer.kid), [
      `record:${toHex(record.id)}`,
      `credential:${digest}`,
      `unique:${issuer.kid}:${'ab'.repeat(16)}`,
    ])
    const theirs = uniqueKeys(record, verifier.kid)
    assert.equal(theirs[1], `credential:${digest}`)
    assert.notEqual(theirs[2], `unique:${issuer.kid}:${'ab'.repeat(16)}`)
  })

  it('let a credential have any number of statuses', () => {
    assert.deepEqual(uniqueKeys(status.record, issuer.kid), [`record:${toHex(status.record.id)}`])
  })
})

describe('seriesOf', () => {
  it('names what the latest of is asked for', () => {
    const series = log.records.map(({ record, statement }) => seriesOf(record, statement.signer.kid))
    assert.deepEqual(series, [
      { type: 'log-policy', kid: admin.kid, id: 'log.example' },
      // By the key that is authorized, which did not sign.
      { type: 'key-authorization', kid: issuer.kid, id: issuer.kid },
      { type: 'key-authorization', kid: verifier.kid, id: verifier.kid },
      { type: 'issuance-policy', kid: issuer.kid, id: 'payments' },
      { type: 'appraisal-policy', kid: verifier.kid, id: 'measured' },
      { type: 'reference-values', kid: verifier.kid, id: 'release' },
      { type: 'workload-provenance', kid: issuer.kid, id: toHex(FIELDS['workload-provenance'].subject) },
      { type: 'attestation-result', kid: verifier.kid, id: toHex(FIELDS['attestation-result'].resultDigest) },
      undefined,
    ])
  })
})

describe('statusKey', () => {
  it('is the digest of the credential, of a credential-status alone', () => {
    assert.equal(statusKey(status.record), digest)
    for (const { record } of log.records) assert.equal(statusKey(record), undefined)
  })
})
