/**
 * Evidence that real hardware made, as other projects collected it: `../shared/vectors/domain`. Each is appraised at the time that it
 * was made, under the vendors' own roots.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Examination } from '../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../clients/verifier/evidence/formats.ts'
import { fromBase64, toHex } from '../../merkle/index.ts'
import { spkiOfJwk } from '../../provenance/index.ts'
import { readTextVector, readVector, vectorsMissing } from './shared-vectors.ts'

const skip = vectorsMissing
const refused = (code: string) => ({ name: 'EvidenceError', code })
const seconds = (instant: string) => Date.parse(instant) / 1000

function examine(format: string, evidence: Uint8Array, at: string, change: Partial<Examination> = {}) {
  return evidenceFormat(format).examine(evidence, { references: [], collateral: [], now: seconds(at), ...change })
}

describe('aws-nitro: documents of AWS', { skip }, () => {
  const valid = () => readVector('domain/aws-nitro/evervault-valid-attestation-doc.bin')
  const base64 = () => fromBase64(readTextVector('domain/aws-nitro/evervault-valid-attestation-doc-base64').trim())
  const debug = () => readVector('domain/aws-nitro/evervault-debug-mode-attestation-doc.bin')

  it('the valid one holds when it was made', async () => {
    const { cases, issuedAt, detail } = await examine('aws-nitro', valid(), '2022-10-13T09:00:00Z')
    assert.deepEqual(cases, ['mismatch'])
    assert.equal(issuedAt, seconds('2022-10-13T08:58:02Z'))
    assert.match((detail['measurements'] as Record<string, string>)['PCR0']!, /^f4d48b81/)
    assert.equal(detail['debug'], false)
  })

  it('it has expired three hours later', async () => {
    const { cases } = await examine('aws-nitro', valid(), '2022-10-13T12:30:00Z')
    assert.deepEqual(cases, ['mismatch', 'expiredCollateral'])
  })

  it('the ones with PCRs of zeros are of debug mode, with everything else in order', async () => {
    assert.deepEqual((await examine('aws-nitro', debug(), '2022-10-12T14:00:00Z')).cases, ['mismatch', 'debug'])
    assert.deepEqual((await examine('aws-nitro', base64(), '2023-09-18T15:10:00Z')).cases, ['mismatch', 'debug'])
  })

  it('one names a P-256 key in its user data, and another has a secret where a key might be', async () => {
    const at = '2023-09-18T15:10:00Z'
    const { workloadKey } = await examine('aws-nitro', base64(), at, { keyBinding: 'user_data=spki' })
    assert.match(toHex(spkiOfJwk(workloadKey!)), /^3059301306072a8648ce3d0201.*042afc52/)
    assert.equal((await examine('aws-nitro', debug(), '2022-10-12T14:00:00Z')).workloadKey, undefined)
  })

  it('with another signature it is refused', async () => {
    const changed = valid()
    changed[changed.length - 1]! ^= 1
    await assert.rejects(examine('aws-nitro', changed, '2022-10-13T09:00:00Z'), refused('bad_evidence_signature'))
  })
})
