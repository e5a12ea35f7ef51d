import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { newKeyPair } from '../../key-pairs.ts'
import { ES256_JWK } from '../../statement/fixtures.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const IMAGE = 'ab'.repeat(32)
const format = evidenceFormat('gcp-confidential-space')
const keys = newKeyPair('rsa', { modulusLength: 2048 })
const workloadKey = publicJwkOf(ES256_JWK)
const bound = createHash('sha256')
  .update(concatBytes(utf8('challenge'), spkiOfJwk(workloadKey)))
  .digest('hex')

const claims = {
  iss: 'https://confidentialcomputing.googleapis.com',
  iat: NOW - 10,
  nbf: NOW - 10,
  exp: NOW + 3600,
  eat_nonce: [bound, 'another'],
  secboot: true,
  hwmodel: 'GCP_INTEL_TDX',
  swname: 'CONFIDENTIAL_SPACE',
  swversion: ['250301'],
  dbgstat: 'disabled-since-boot',
  submods: {
    confidential_space: { support_attributes: ['LATEST', 'STABLE', 'USABLE'] },
    container: { image_digest: `sha256:${IMAGE}`, args: ['/app'], env: { A: 'b' } },
    gce: { instance_id: '1' },
  },
}

function token(change: object = {}): Uint8Array {
  const parts = [
    { alg: 'RS256', typ: 'JWT' },
    { ...claims, ...change },
  ]
  const input = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return utf8(`${input}.${sign('sha256', utf8(input), keys.privateKey).toString('base64url')}`)
}

const reference = (values: object) =>
  parseReferenceValues(
    utf8(
      JSON.stringify({
        format: 'gcp-confidential-space',
        attesters: [keys.publicKey.export({ format: 'jwk' })],
        measurements: [{ name: 'app', values }],
      }),
    ),
  )
const digest = (text: string) => createHash('sha256').update(text).digest('hex')
const examination: Examination = {
  references: [reference({ IMAGE_DIGEST: IMAGE, ARGS: digest('["/app"]'), ENV: digest('{"A":"b"}') })],
  now: NOW,
  collateral: [],
  nonce: 'challenge',
  workloadKey,
}
const examined = (evidence: Uint8Array) => format.examine(evidence, examination)

describe('a token of Confidential Space', () => {
  it('names image, arguments and environment, and the workload’s key by the first nonce', async () => {
    const found = await examined(token())
    assert.deepEqual(found.cases, ['match'])
    assert.deepEqual(found.workloadKey, workloadKey)
    assert.deepEqual((await examined(format.ofFile(concatBytes(token(), utf8('\n'))))).cases, ['match'])
  })

  const container = { image_digest: `sha256:${IMAGE}`, args: ['/app', '--debug'], env: { A: 'b' } }
  for (const [what, cases, change] of [
    ['other arguments', ['mismatch'], { submods: { ...claims.submods, container } }],
    ['no word of debugging', ['match', 'debug'], { dbgstat: undefined }],
    ['no word of support', ['match', 'unknownTcb'], { submods: { container: claims.submods.container } }],
    ['an end that is past', ['match', 'stale'], { exp: NOW }],
  ] as const) {
    it(`with ${what} is ${cases.join(', ')}`, async () =>
      assert.deepEqual((await examined(token(change))).cases, cases))
  }

  for (const [what, code, change] of [
    ['another nonce', 'key_not_bound', { eat_nonce: 'another' }],
    ['no nonce', 'key_not_bound', { eat_nonce: undefined }],
    ['a nonce that is a number', 'malformed_evidence', { eat_nonce: 1 }],
    ['no image', 'malformed_evidence', { submods: {} }],
    ['no end', 'malformed_evidence', { exp: undefined }],
    ['a time to come', 'evidence_from_future', { nbf: NOW + 100 }],
  ] as const) {
    it(`with ${what} is refused (${code})`, async () => {
      await assert.rejects(examined(token(change)), { name: 'EvidenceError', code })
    })
  }
})

describe('hostile tokens of Confidential Space', () => {
  const evidence = token()
  refusesWhatIsHostile(() => ({ format, evidence, examination }))
})
