import assert from 'node:assert/strict'
import { createHash, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { parseReferenceValues } from '../../../clients/verifier/index.ts'
import { concatBytes, sha256, toBase64, toHex, utf8 } from '../../../merkle/index.ts'
import { spkiOfJwk } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { newKeyPair } from '../../key-pairs.ts'
import { ES256_JWK } from '../../statement/fixtures.ts'
import { refusesWhatIsHostile } from './hostile.ts'

const NOW = 1_760_000_000
const ISSUER = 'https://sharedeus2.eus2.attest.azure.net'
const format = evidenceFormat('azure-attestation')
const keys = newKeyPair('rsa', { modulusLength: 2048 })
const workloadKey = publicJwkOf(ES256_JWK)
const bound = sha256(concatBytes(utf8('challenge'), spkiOfJwk(workloadKey)))
const hex = (byte: number, length: number) => Buffer.alloc(length, byte).toString('hex')

// As the examples of the service's documentation have them.
const processor = {
  'x-ms-attestation-type': 'sevsnpvm',
  'x-ms-compliance-status': 'azure-compliant-cvm',
  'x-ms-runtime': {
    keys: [],
    'user-data': `${toHex(bound)}${'00'.repeat(32)}`.toUpperCase(),
    'vm-configuration': {
      'secure-boot': true,
      'tpm-enabled': true,
      vmUniqueId: 'A80B7FE7-5B93-4027-9971-6CCEE468C2B3',
    },
  },
  'x-ms-sevsnpvm-authorkeydigest': hex(0, 48),
  'x-ms-sevsnpvm-bootloader-svn': 2,
  'x-ms-sevsnpvm-familyId': hex(1, 16),
  'x-ms-sevsnpvm-guestsvn': 2,
  'x-ms-sevsnpvm-hostdata': hex(0, 32),
  'x-ms-sevsnpvm-idkeydigest': hex(5, 48),
  'x-ms-sevsnpvm-imageId': hex(2, 16),
  'x-ms-sevsnpvm-is-debuggable': false,
  'x-ms-sevsnpvm-launchmeasurement': hex(0xad, 48),
  'x-ms-sevsnpvm-microcode-svn': 93,
  'x-ms-sevsnpvm-reportdata': hex(7, 64),
  'x-ms-sevsnpvm-snpfw-svn': 6,
  'x-ms-sevsnpvm-tee-svn': 0,
  'x-ms-sevsnpvm-vmpl': 0,
}
const common = {
  ...{ iss: ISSUER, iat: NOW - 10, nbf: NOW - 10, exp: NOW + 3600, jti: 'x' },
  'x-ms-policy-hash': createHash('sha256').update('policy').digest('base64url'),
  'x-ms-ver': '1.0',
}
const machine = {
  ...common,
  'x-ms-attestation-type': 'azurevm',
  'x-ms-isolation-tee': processor,
  'x-ms-runtime': { 'client-payload': { nonce: toBase64(bound) }, keys: [] },
}
const td = {
  ...common,
  attester_tcb_status: 'UpToDate',
  dbgstat: 'disabled',
  tdx_mrtd: hex(0x5b, 48),
  tdx_td_attributes: hex(0, 8),
  tdx_td_attributes_debug: false,
  tdx_report_data: hex(9, 64),
  'x-ms-attestation-type': 'tdxvm',
  'x-ms-compliance-status': 'azure-compliant-cvm',
}
const enclave = {
  ...common,
  'x-ms-attestation-type': 'sgx',
  'x-ms-sgx-is-debuggable': false,
  'x-ms-sgx-mrenclave': hex(3, 32),
  'x-ms-sgx-mrsigner': hex(4, 32),
  'x-ms-sgx-product-id': 1,
  'x-ms-sgx-svn': 3,
}

function token(claims: object): Uint8Array {
  const header = { alg: 'RS256', jku: `${ISSUER}/certs`, kid: 'k', typ: 'JWT' }
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return utf8(`${input}.${sign('sha256', utf8(input), keys.privateKey).toString('base64url')}`)
}

const issuer = toHex(sha256(utf8(ISSUER)))
const reference = (values: object, more: object = {}) =>
  parseReferenceValues(
    utf8(
      JSON.stringify({
        format: 'azure-attestation',
        attesters: [keys.publicKey.export({ format: 'jwk' })],
        measurements: [{ name: 'app', values }],
        platforms: [{ model: 'sevsnpvm', minimum: { snp: 6, microcode: 93 } }, { model: 'tdxvm' }, { model: 'sgx' }],
        ...more,
      }),
    ),
  )
const references = [
  reference({ ISSUER: issuer, MEASUREMENT: hex(0xad, 48), VMPL: '00000000', SECURE_BOOT: '01', AZURE_COMPLIANT: '01' }),
  reference({ ISSUER: issuer, MRTD: hex(0x5b, 48) }),
  reference({ ISSUER: issuer, MRENCLAVE: hex(3, 32) }),
]
const examination: Examination = { references, now: NOW, collateral: [], nonce: 'challenge', workloadKey }
const examined = (claims: object, change: Partial<Examination> = {}) =>
  format.examine(token(claims), { ...examination, ...change })
/** Without a key to be bound to. */
const alone = { keyBinding: 'client_nonce=nonce', workloadKey: undefined } as unknown as Partial<Examination>

describe('azure-attestation: tokens about machines and enclaves', () => {
  it('one of a machine names what was launched, and the workload’s key by what the client sent', async () => {
    const { cases, workloadKey: key, parts } = await examined(machine)
    assert.deepEqual(cases, ['match'])
    assert.deepEqual(key, workloadKey)
    const { measurements, versions } = parts!.get('sevsnpvm')!.detail as Record<string, Record<string, unknown>>
    assert.equal(measurements!['POLICY_HASH'], createHash('sha256').update('policy').digest('hex'))
    assert.deepEqual(versions, { guestSvn: 2, bootloader: 2, tee: 0, snp: 6, microcode: 93 })
  })

  it('one of the processor alone names it in user data or report data', async () => {
    const claims = { ...common, ...processor }
    assert.ok((await examined(claims, { keyBinding: 'user_data=sha256(nonce|spki)' })).workloadKey)
    const named = { ...claims, 'x-ms-sevsnpvm-reportdata': `${toHex(bound)}${hex(0, 32)}` }
    assert.ok((await examined(named, { keyBinding: 'report_data=sha256(nonce|spki)' })).workloadKey)
    const asked = { keyBinding: 'report_data=sha256(nonce|spki)' }
    await assert.rejects(examined(claims, asked), { code: 'key_not_bound' })
  })

  for (const [what, cases, claims] of [
    ['a trust domain', ['match'], td],
    ['a trust domain that may be debugged', ['match', 'debug'], { ...td, tdx_td_attributes_debug: true }],
    ['a trust domain of which nobody says it', ['match', 'debug'], { ...td, dbgstat: undefined }],
    ['a trust domain on old firmware', ['match', 'outdatedTcb'], { ...td, attester_tcb_status: 'OutOfDate' }],
    [
      'a trust domain on firmware with a weakness',
      ['match', 'unhardened'],
      { ...td, attester_tcb_status: 'SWHardeningNeeded' },
    ],
    ['a trust domain on revoked firmware', ['match', 'revoked'], { ...td, attester_tcb_status: 'Revoked' }],
    ['an enclave', ['match', 'unknownTcb'], enclave],
    [
      'an enclave that may be debugged',
      ['match', 'debug', 'unknownTcb'],
      { ...enclave, 'x-ms-sgx-is-debuggable': true },
    ],
    ['another machine', ['mismatch'], { ...td, tdx_mrtd: hex(1, 48) }],
    ['an instance of somebody else', ['mismatch'], { ...td, iss: 'https://mine.eus.attest.azure.net' }],
    ['an end that is past', ['match', 'stale'], { ...td, exp: NOW }],
  ] as [string, string[], object][]) {
    it(`${what} is ${cases.join(', ')}`, async () => {
      assert.deepEqual((await examined(claims, alone)).cases, cases)
    })
  }

  it('no reference values match that do not name the issuer', async () => {
    const unnamed = [reference({ MRTD: hex(0x5b, 48) })]
    assert.deepEqual((await examined(td, { ...alone, references: unnamed })).cases, ['mismatch'])
  })

  it('firmware below what reference values ask for is old', async () => {
    const claims = { ...machine, 'x-ms-isolation-tee': { ...processor, 'x-ms-sevsnpvm-snpfw-svn': 5 } }
    assert.deepEqual((await examined(claims)).cases, ['match', 'outdatedTcb'])
  })

  for (const [what, code, claims] of [
    ['a machine that no processor vouches for', 'malformed_evidence', { ...machine, 'x-ms-isolation-tee': undefined }],
    ['a TPM', 'malformed_evidence', { ...common, 'x-ms-attestation-type': 'tpm' }],
    ['another issuer', 'malformed_evidence', { ...td, iss: 'https://attest.azure.net.example.com' }],
    ['a measurement that is too short', 'malformed_evidence', { ...td, tdx_mrtd: '00' }],
    ['a measurement that is a number', 'malformed_evidence', { ...td, tdx_mrtd: 1 }],
    ['a policy that is no digest', 'malformed_evidence', { ...td, 'x-ms-policy-hash': 'AAAA' }],
    [
      'another nonce of the client',
      'key_not_bound',
      { ...machine, 'x-ms-runtime': { 'client-payload': { nonce: 'AAAA' } } },
    ],
    ['a nonce in the request alone', 'key_not_bound', { ...machine, 'x-ms-runtime': {}, nonce: toBase64(bound) }],
    ['a time to come', 'evidence_from_future', { ...machine, nbf: NOW + 100 }],
  ] as [string, string, object][]) {
    it(`refuses ${what} (${code})`, async () => {
      await assert.rejects(examined(claims), { name: 'EvidenceError', code })
    })
  }
})

describe('hostile tokens of Azure Attestation', () => {
  const evidence = token(machine)
  refusesWhatIsHostile(() => ({ format, evidence, examination }))
})
