import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Appraisal, EarClaims } from '../../../provenance/attestation/ear-claims.ts'
import { spkiOfJwk } from '../../../provenance/certificates/certificate-key.ts'
import { type AppraisedResult, attestationFacts } from '../../../provenance/issuance/issuance-facts.ts'
import { jwkThumbprint, publicJwkOf } from '../../../statement/cose-key.ts'
import { newKey } from '../world.ts'

const key = publicJwkOf(newKey())
const attestedKey = spkiOfJwk(key)

function result(verifier: string, issuedAt: number, ...appraisals: Appraisal[]): AppraisedResult {
  const claims: EarClaims = {
    issuedAt,
    verifier: { developer: 'd', build: 'b' },
    appraisals: new Map(appraisals.map((appraisal, i) => [`part ${i}`, appraisal])),
  }
  return { claims, verifier, measurement: verifier.toUpperCase() }
}

const good = result('a', 100, {
  status: 'affirming',
  vector: { hardware: 2, executables: 2 },
  policyIds: ['p'],
  attestedKey,
})
const fair = result('b', 90, { status: 'warning', vector: { hardware: 33, executables: 3 }, policyIds: ['q', 'p'] })

describe('attestationFacts', () => {
  it('lets the weakest of several results govern, in whichever order they come', () => {
    const facts = attestationFacts([good, fair], jwkThumbprint(key), 110)
    assert.deepEqual(facts, {
      results: 2,
      tier: 'warning',
      claims: { hardware: 33, executables: 3 },
      ageSeconds: 20,
      keyAttested: false,
      verifiers: ['a', 'b'],
      policies: ['p', 'q'],
      measurements: ['A', 'B'],
    })
    assert.deepEqual(attestationFacts([fair, good], jwkThumbprint(key), 110), facts)
  })

  it('has a key attested only if every result binds that very key', () => {
    assert.equal(attestationFacts([good], jwkThumbprint(key), 100).keyAttested, true)
    assert.equal(attestationFacts([good], jwkThumbprint(publicJwkOf(newKey())), 100).keyAttested, false)
    assert.equal(attestationFacts([], jwkThumbprint(key), 100).keyAttested, false)
  })

  it('keeps one code for two of one tier: the larger one, and of ±n the positive', () => {
    const of = (...codes: number[]) =>
      attestationFacts(
        codes.map((hardware) => result('a', 1, { status: 'contraindicated', vector: { hardware } })),
        '',
        1,
      ).claims['hardware']
    assert.deepEqual([of(2, -20), of(-20, 2), of(32, -40), of(5, -5), of(-5, 5)], [-20, -20, -40, 5, 5])
    assert.deepEqual([of(2, 0), of(2, -1), of(33, 97), of(-1, 33)], [0, -1, 97, -1])
  })

  it('says of nothing that it is nothing', () => {
    const { tier, results, ageSeconds } = attestationFacts([], '', 5)
    assert.deepEqual([tier, results, ageSeconds], ['none', 0, 0])
  })
})
