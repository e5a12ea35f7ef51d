import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as jose from 'jose'
import {
  attestedJwk,
  buildEarClaims,
  parseEarClaims,
  signEar,
  verifyEar,
} from '../../../provenance/attestation/attestation-result.ts'
import {
  type Appraisal,
  EAR_PROFILE,
  type EarClaims,
  tierOfResult,
  VERAISON_PROFILE,
} from '../../../provenance/attestation/ear-claims.ts'
import { type Tier, tierOfCode, tierOfVector, worstTier } from '../../../provenance/attestation/tier.ts'
import { spkiOfJwk } from '../../../provenance/certificates/certificate-key.ts'
import { signCompactJws } from '../../../provenance/jws.ts'
import { jwkThumbprint, publicJwkOf } from '../../../statement/cose-key.ts'
import { newKey } from '../world.ts'

const key = newKey()
const honest = {
  eat_profile: EAR_PROFILE,
  iat: 1_800_000_000,
  exp: 1_800_000_300,
  ear_verifier_id: { developer: 'https://verifier.example', build: '1.0' },
  ear_status: 'warning',
  eat_nonce: 'MTIzNDU2Nzg',
  submods: {
    cpu: { ear_status: 'affirming', ear_trustworthiness_vector: { hardware: 2 }, ear_appraisal_policy_ids: ['a', 'b'] },
    gpu: { ear_status: 'warning', ear_trustworthiness_vector: { hardware: 32, executables: 2 } },
  },
}
const read = (change: object) => parseEarClaims(JSON.stringify({ ...honest, ...change }))

describe('tiers', () => {
  it('follow the table of AR4SI §2.3.2 for every code', () => {
    const expected = (code: number): Tier => {
      if (code >= -1 && code <= 1) return 'none'
      if ((code >= 2 && code <= 31) || (code <= -2 && code >= -32)) return 'affirming'
      if ((code >= 32 && code <= 95) || (code <= -33 && code >= -96)) return 'warning'
      return 'contraindicated'
    }
    for (let code = -128; code <= 127; code++) assert.equal(tierOfCode(code), expected(code), `code ${code}`)
  })

  it('are as bad as the worst claim; claims that are not made take no part, claims that failed do', () => {
    assert.equal(tierOfVector({ hardware: 2, executables: 2 }), 'affirming')
    assert.equal(tierOfVector({ hardware: 2, executables: 0 }), 'affirming')
    assert.equal(tierOfVector({ hardware: 2, executables: -1 }), 'none')
    assert.equal(tierOfVector({ hardware: 2, executables: 33, configuration: 96 }), 'contraindicated')
    assert.equal(tierOfVector({ hardware: 0 }), 'none')
    assert.equal(tierOfVector({}), 'none')
    assert.equal(worstTier([]), 'none')
  })
})

describe('buildEarClaims', () => {
  it('leaves out no part, whatever an attester called it', () => {
    const claims = read({ submods: { cpu: honest.submods.gpu } })
    const appraisals = new Map([...claims.appraisals, ['__proto__', claims.appraisals.get('cpu')!] as const])
    const labels = [...parseEarClaims(buildEarClaims({ ...claims, appraisals })).appraisals.keys()]
    assert.deepEqual(labels.sort(), ['__proto__', 'cpu'])
  })
})

describe('parseEarClaims', () => {
  it('reads the claims of the draft', () => {
    const claims = read({})
    assert.equal(tierOfResult(claims), 'warning')
    assert.deepEqual(claims.appraisals.get('cpu')?.policyIds, ['a', 'b'])
    assert.deepEqual(claims.nonces, ['MTIzNDU2Nzg'])
  })

  it('takes the worst part for the whole, when the whole says nothing', () => {
    assert.equal(tierOfResult(read({ ear_status: undefined })), 'warning')
  })

  const submod = (part: object) => ({ submods: { cpu: { ear_status: 'affirming', ...part } }, ear_status: undefined })
  const refused: [what: string, code: string, change: object][] = [
    ['another profile', 'unsupported_profile', { eat_profile: 'tag:github.com,2022:veraison/ear' }],
    ['a profile in whose words it is not', 'malformed_result', { eat_profile: VERAISON_PROFILE }],
    ['a second status in the words of another dialect', 'malformed_result', { 'ear.status': 'affirming' }],
    ['no profile', 'unsupported_profile', { eat_profile: undefined }],
    ['no time', 'malformed_result', { iat: undefined }],
    ['a time as text', 'malformed_result', { iat: '1800000000' }],
    ['a negative time', 'malformed_result', { iat: -1 }],
    ['an end before the beginning', 'malformed_result', { exp: 1_799_999_999 }],
    ['a nonce of 7 bytes', 'malformed_result', { eat_nonce: '1234567' }],
    ['a nonce of 89 bytes among others', 'malformed_result', { eat_nonce: ['12345678', 'n'.repeat(89)] }],
    ['no verifier', 'malformed_result', { ear_verifier_id: undefined }],
    ['a verifier without build', 'malformed_result', { ear_verifier_id: { developer: 'x' } }],
    ['no submodules', 'malformed_result', { submods: {} }],
    ['submodules as a list', 'malformed_result', { submods: [] }],
    ['a submodule without status', 'malformed_result', submod({ ear_status: undefined })],
    ['a status as a number', 'malformed_result', submod({ ear_status: 2 })],
    ['an unknown claim in a vector', 'malformed_result', submod({ ear_trustworthiness_vector: { firmware: 2 } })],
    ['a code past a byte', 'malformed_result', submod({ ear_trustworthiness_vector: { hardware: 128 } })],
    ['an empty vector', 'malformed_result', submod({ ear_trustworthiness_vector: {} })],
    ['one policy id where a list belongs', 'malformed_result', submod({ ear_appraisal_policy_ids: 'a' })],
    ['a key attestation without key', 'malformed_result', submod({ ear_veraison_key_attestation: {} })],
    [
      'a status better than its claims',
      'inconsistent_result',
      submod({ ear_trustworthiness_vector: { hardware: 32 } }),
    ],
    [
      'a status better than a claim that could not be made',
      'inconsistent_result',
      submod({ ear_trustworthiness_vector: { hardware: -1 } }),
    ],
    ['an overall status better than a part', 'inconsistent_result', { ear_status: 'affirming' }],
  ]
  for (const [what, code, change] of refused) {
    it(`refuses ${what} (${code})`, () => assert.throws(() => read(change), { code }))
  }

  it('takes a status worse than its claims: a Verifier may know more', () => {
    assert.equal(
      tierOfResult(read(submod({ ear_status: 'contraindicated', ear_trustworthiness_vector: { hardware: 2 } }))),
      'contraindicated',
    )
  })

  it('refuses a time written as a float, which JSON.parse would not show', () => {
    for (const literal of ['1.8e9', '1800000000.0', '18000000000e-1']) {
      const text = JSON.stringify(honest).replace('"iat":1800000000', `"iat":${literal}`)
      assert.equal(JSON.parse(text).iat, 1_800_000_000)
      assert.throws(() => parseEarClaims(text), { code: 'malformed_result' })
    }
  })

  it('refuses a second status', () => {
    const text = JSON.stringify(honest).replace(
      '"ear_status":"warning"',
      '"ear_status":"warning","ear_status":"affirming"',
    )
    assert.throws(() => parseEarClaims(text), { code: 'malformed_json' })
  })
})

describe('signEar and verifyEar', () => {
  const appraisal: Appraisal = {
    status: 'affirming',
    vector: { executables: 2 },
    policyIds: ['baseline'],
    attestedKey: spkiOfJwk(publicJwkOf(key)),
    annotatedEvidence: { root: 'ab' },
  }
  const claims: EarClaims = {
    issuedAt: 1,
    expiresAt: 2,
    verifier: { developer: 'd', build: 'b' },
    status: 'affirming',
    nonces: ['the first', 'the second'],
    rawEvidence: new Uint8Array([1, 2, 3]),
    appraisals: new Map([['payments', appraisal]]),
  }

  for (const type of ['P-256', 'Ed25519'] as const) {
    it(`give back what was signed with ${type}, and jose agrees`, async () => {
      const signer = newKey(type)
      const compact = await signEar(claims, signer)
      const read = await verifyEar(compact, publicJwkOf(signer))
      assert.equal(buildEarClaims(read), buildEarClaims(claims))
      const jwk = (await jose.importJWK(
        { ...publicJwkOf(signer) },
        type === 'P-256' ? 'ES256' : 'EdDSA',
      )) as jose.CryptoKey
      const { payload } = await jose.jwtVerify(compact, jwk, { typ: 'eat+jwt', currentDate: new Date(1000) })
      assert.equal(payload['eat_profile'], EAR_PROFILE)
    })
  }

  it('carry the key that the evidence attests', async () => {
    const read = await verifyEar(await signEar(claims, key), publicJwkOf(key))
    assert.equal(jwkThumbprint(attestedJwk(read.appraisals.get('payments')!)!), jwkThumbprint(publicJwkOf(key)))
  })

  it('do not sign something better than its claims', async () => {
    const better = { ...claims, appraisals: new Map([['payments', { ...appraisal, vector: { executables: 33 } }]]) }
    await assert.rejects(async () => signEar(better, key), { code: 'inconsistent_result' })
  })

  it('refuse another key, another algorithm and another type', async () => {
    const compact = await signEar(claims, key)
    await assert.rejects(verifyEar(compact, publicJwkOf(newKey())), { code: 'bad_signature' })
    await assert.rejects(verifyEar(compact, publicJwkOf(newKey('Ed25519'))), { code: 'bad_signature' })
    const wit = await signCompactJws({ typ: 'wit+jwt' }, buildEarClaims(claims), key)
    await assert.rejects(verifyEar(wit, publicJwkOf(key)), { code: 'malformed_jws' })
  })
})
