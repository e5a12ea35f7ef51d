/**
 * Evidence that real hardware made, as other projects collected it: `../shared/vectors/domain`. Each is appraised at the time that it
 * was made, under the vendors' own roots.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject, sign } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Examination } from '../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../clients/verifier/evidence/formats.ts'
import { chainFrom, checkChain } from '../../clients/verifier/evidence/hardware/chain.ts'
import { readCollateral } from '../../clients/verifier/evidence/hardware/collateral.ts'
import { AMD_ROOTS } from '../../clients/verifier/evidence/hardware/roots.ts'
import { replayEventLog } from '../../clients/verifier/evidence/hardware/tpm/event-log.ts'
import { parseReferenceValues } from '../../clients/verifier/index.ts'
import { fromBase64, fromHex, sha256, toHex, utf8 } from '../../merkle/index.ts'
import { spkiOfJwk } from '../../provenance/index.ts'
import { newKeyPair } from '../key-pairs.ts'
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

describe('sev-snp: reports of AMD processors', { skip }, () => {
  const at = '2024-01-01T00:00:00Z'
  const certificates = (...names: readonly string[]) => names.map((name) => readVector(`domain/sev-snp/${name}`))
  const fromHexFile = (name: string) => fromHex(readTextVector(`domain/sev-snp/${name}`).trim().toLowerCase())
  const MILAN = 'milan_ask_ark_asvk.pem'
  // No revocation lists and no reference values here, and reports have no clock.
  const LITTLE_KNOWN = ['mismatch', 'unknownTcb', 'undated', 'uncheckedRevocation']

  it('trustee’s holds under its VCEK', async () => {
    const evidence = readVector('domain/sev-snp/trustee-test-report.bin')
    const collateral = certificates('trustee-test-vcek.der', MILAN)
    const { cases, detail } = await examine('sev-snp', evidence, at, { collateral })
    assert.deepEqual(cases, LITTLE_KNOWN)
    assert.deepEqual(detail['versions'], { guestSvn: 4, bootloader: 3, tee: 0, snp: 8, microcode: 115 })
  })

  it('virtee’s holds under its VCEK, and not under trustee’s', async () => {
    const evidence = fromHexFile('virtee-report_milan.hex')
    const collateral = certificates('virtee-vcek_milan.der', 'virtee-milan-ask.pem', 'virtee-milan-ark.pem')
    assert.deepEqual((await examine('sev-snp', evidence, at, { collateral })).cases, LITTLE_KNOWN)
    const others = certificates('trustee-test-vcek.der', MILAN)
    await assert.rejects(examine('sev-snp', evidence, at, { collateral: others }), refused('wrong_collateral'))
  })

  it('go-sev-guest’s holds, and is of a guest that may be debugged', async () => {
    const evidence = readVector('domain/sev-snp/go-sev-guest-attestation.bin')
    const collateral = certificates('go-sev-guest-vcek.testcer', 'go-sev-guest-milan.testcer')
    const { cases } = await examine('sev-snp', evidence, at, { collateral })
    assert.deepEqual(cases, ['mismatch', 'unknownTcb', 'debug', 'undated', 'uncheckedRevocation'])
  })

  it('a certificate of Turin is for no report of Milan, and its chain is read', async () => {
    const evidence = readVector('domain/sev-snp/trustee-test-report.bin')
    const collateral = certificates('virtee-vcek_turin.der', 'turin_ask_ark_asvk.pem')
    await assert.rejects(examine('sev-snp', evidence, at, { collateral }), refused('wrong_collateral'))
    const [vcek] = readCollateral(certificates('virtee-vcek_turin.der')).certificates
    const chain = chainFrom(vcek!, readCollateral(certificates('turin_ask_ark_asvk.pem')).certificates)
    const context = { roots: [...AMD_ROOTS.keys()], at: seconds('2025-01-01T00:00:00Z'), revocationLists: [] }
    assert.deepEqual(checkChain(chain, { ...context, isListed: () => false }), [])
    assert.equal(AMD_ROOTS.get(chain.at(-1)!.fingerprint), 'Turin')
  })

  it('a chain of another line of processors does not help', async () => {
    const evidence = readVector('domain/sev-snp/trustee-test-report.bin')
    const collateral = certificates('trustee-test-vcek.der', 'genoa_ask_ark_asvk.pem')
    await assert.rejects(examine('sev-snp', evidence, at, { collateral }), refused('missing_collateral'))
  })

  // The report is in the first page of what the paravisor stores in the virtual TPM, after a header of 32 bytes.
  const azure: [name: string, report: () => Uint8Array, vcek: () => Uint8Array][] = [
    [
      'hcl-report.bin',
      () => readVector('domain/az-snp-vtpm/hcl-report.bin'),
      () => readVector('domain/az-snp-vtpm/vcek.pem'),
    ],
    ['evidence-v0.json', () => Uint8Array.from(json('v0').report), () => utf8(json('v0').vcek)],
    ['evidence-v1.json', () => loose(json('v1').hcl_report), () => loose(json('v1').vcek)],
    ['evidence-v2.json', () => loose(json('v2').hcl_report), () => loose(json('v2').vcek)],
  ]
  const loose = (text: string) => new Uint8Array(Buffer.from(text, 'base64'))
  function json(version: string) {
    return JSON.parse(readTextVector(`domain/az-snp-vtpm/evidence-${version}.json`))
  }
  for (const [name, report, vcek] of azure) {
    it(`Azure’s holds: ${name}`, async () => {
      const evidence = report().subarray(32, 32 + 1184)
      const collateral = [vcek(), ...certificates(MILAN, 'genoa_ask_ark_asvk.pem')]
      assert.deepEqual((await examine('sev-snp', evidence, '2026-01-01T00:00:00Z', { collateral })).cases, LITTLE_KNOWN)
    })
  }

  it('with another byte anywhere that is signed they are refused', async () => {
    const collateral = certificates('trustee-test-vcek.der', MILAN)
    for (const at of [0x04, 0x0a, 0x50, 0x90, 0x140, 0x29f]) {
      const evidence = readVector('domain/sev-snp/trustee-test-report.bin')
      evidence[at]! ^= 1
      await assert.rejects(examine('sev-snp', evidence, '2024-01-01T00:00:00Z', { collateral }), {
        name: 'EvidenceError',
      })
    }
  })
})

describe('tdx and sgx: quotes of Intel’s quoting enclaves', { skip }, () => {
  const quoted = (format: string, name: string, at: string, collateral: readonly Uint8Array[] = []) => {
    const evidence = evidenceFormat(format).ofFile(readVector(`domain/${name}`))
    return examine(format, evidence, at, { collateral })
  }
  // Neither collateral nor reference values, and quotes have no clock.
  const LITTLE_KNOWN = ['mismatch', 'undated', 'uncheckedRevocation', 'unknownTcb']

  it('dcap-qvl’s quote of a TD is up to date while its collateral is current', async () => {
    const collateral = [readVector('domain/tdx/dcap-qvl-tdx_quote_collateral.json')]
    const { cases, detail } = await quoted('tdx', 'tdx/dcap-qvl-tdx_quote', '2025-06-25T00:00:00Z', collateral)
    assert.deepEqual(cases, ['mismatch', 'undated'])
    assert.deepEqual(detail['tcb'], { status: 'UpToDate', date: '2024-03-13T00:00:00Z' })
    const later = await quoted('tdx', 'tdx/dcap-qvl-tdx_quote', '2025-08-25T00:00:00Z', collateral)
    assert.deepEqual(later.cases, ['mismatch', 'undated', 'expiredCollateral'])
  })

  it('dcap-qvl’s quote of an enclave needs configuration and hardening, for the two advisories that it expects', async () => {
    const collateral = [readVector('domain/sgx/dcap-qvl-sgx_quote_collateral.json')]
    const { cases, detail } = await quoted('sgx', 'sgx/dcap-qvl-sgx_quote', '2025-06-25T00:00:00Z', collateral)
    assert.deepEqual(cases, ['mismatch', 'undated', 'unhardened'])
    assert.deepEqual(detail['tcb'], {
      status: 'ConfigurationAndSWHardeningNeeded',
      date: '2024-03-13T00:00:00Z',
      advisories: ['INTEL-SA-00289', 'INTEL-SA-00615'],
    })
  })

  const others: [name: string, format: string, cases: readonly string[]][] = [
    ['tdx/go-tdx-guest-cos-113-tdx-quote.dat', 'tdx', LITTLE_KNOWN],
    ['tdx/go-tdx-guest-quote_v5_sample.dat', 'tdx', LITTLE_KNOWN],
    ['tdx/trustee-tdx_quote_4.dat', 'tdx', ['mismatch', 'debug', ...LITTLE_KNOWN.slice(1)]],
    ['tdx/trustee-tdx_quote_5.dat', 'tdx', LITTLE_KNOWN],
    ['tdx/trustee-tdx_quote_6.dat', 'tdx', LITTLE_KNOWN],
    ['az-tdx-vtpm/td-quote.bin', 'tdx', LITTLE_KNOWN],
    ['sgx/trustee-occlum_quote.dat', 'sgx', ['mismatch', 'debug', ...LITTLE_KNOWN.slice(1)]],
  ]
  for (const [name, format, expected] of others) {
    it(`${name} holds`, async () => {
      assert.deepEqual((await quoted(format, name, '2026-02-01T00:00:00Z')).cases, expected)
    })
  }

  it('what trustee reads in a quote is what we read', async () => {
    const expected = JSON.parse(readTextVector('domain/tdx/trustee-parse_tdx_claims_expected.json')).quote.body
    const quotes = ['4', '5', '6'].map((n) => quoted('tdx', `tdx/trustee-tdx_quote_${n}.dat`, '2026-02-01T00:00:00Z'))
    const found = (await Promise.all(quotes))
      .map(({ detail }) => detail as { measurements: Record<string, string>; chosen: Record<string, string> })
      .find(({ measurements }) => measurements['MRTD'] === expected.mr_td)
    assert.ok(found)
    const { measurements, chosen } = found
    assert.equal(chosen['report_data'], expected.report_data)
    for (const [ours, theirs] of [
      ['RTMR0', 'rtmr_0'],
      ['RTMR1', 'rtmr_1'],
      ['RTMR2', 'rtmr_2'],
      ['RTMR3', 'rtmr_3'],
      ['MRSEAM', 'mr_seam'],
      ['MRCONFIGID', 'mr_config_id'],
      ['MROWNER', 'mr_owner'],
      ['XFAM', 'xfam'],
      ['TDATTRIBUTES', 'td_attributes'],
    ] as const) {
      assert.equal(measurements[ours], expected[theirs], ours)
    }
  })

  // The signer of documents, and what it signed for others: Intel has one key for all of them.
  const signers = () => {
    const all = JSON.parse(readTextVector('domain/tdx/dcap-qvl-tdx_quote_collateral.json'))
    return utf8(all.tcb_info_issuer_chain)
  }
  // Compared by hand: PCE SVN of the first is 11 where the newest level wants 13; the others reach every number of theirs.
  const documented: [quote: string, at: string, status: string, documents: readonly string[]][] = [
    [
      'trustee-tdx_quote_6.dat',
      '2025-11-01T00:00:00Z',
      'OutOfDate',
      ['trustee-tcbInfo.json', 'trustee-enclaveIdentity.json'],
    ],
    [
      'trustee-tdx_quote_4.dat',
      '2023-07-01T00:00:00Z',
      'UpToDate',
      ['go-tdx-guest-sample_tcbInfo_response', 'go-tdx-guest-sample_qeIdentity_response'],
    ],
    [
      'go-tdx-guest-quote_v5_sample.dat',
      '2026-02-15T00:00:00Z',
      'UpToDate',
      ['go-tdx-guest-sample_tcbinfo_response_v5'],
    ],
  ]
  for (const [quote, at, status, documents] of documented) {
    it(`${quote} is ${status} by the documents of its time`, async () => {
      const collateral = [signers(), ...documents.map((name) => readVector(`domain/tdx/${name}`))]
      const { detail } = await quoted('tdx', `tdx/${quote}`, at, collateral)
      assert.equal((detail['tcb'] as { status: string }).status, status)
    })
  }

  it('with another byte anywhere that is signed they are refused', async () => {
    for (const place of [30, 48, 130, 400, 631, 700, 800, 1300, 2000, 4500]) {
      const evidence = tdxQuote().slice()
      evidence[place]! ^= 1
      await assert.rejects(examine('tdx', evidence, '2025-06-25T00:00:00Z'), { name: 'EvidenceError' }, `byte ${place}`)
    }
  })
  const tdxQuote = () => evidenceFormat('tdx').ofFile(readVector('domain/tdx/dcap-qvl-tdx_quote'))
})

describe('tpm2: quotes of virtual TPMs, and event logs', { skip }, () => {
  interface Quoted {
    readonly message: string | readonly number[]
    readonly signature: string | readonly number[]
    readonly pcrs: readonly (string | readonly number[])[]
  }
  const bytesOf = (value: string | readonly number[], encoding: 'hex' | 'base64') =>
    typeof value === 'string' ? Buffer.from(value, encoding) : Buffer.from(value)

  /** In our form. All of these are RSASSA with SHA-256 over all PCRs of SHA-256; Azure's have the bare signature. */
  function evidenceOf({ message, signature, pcrs }: Quoted, ak: KeyObject, encoding: 'hex' | 'base64'): Uint8Array {
    const bare = bytesOf(signature, encoding).length === 256
    return utf8(
      JSON.stringify({
        quote: bytesOf(message, encoding).toString('base64'),
        signature: Buffer.concat([
          Buffer.from(bare ? '0014000b0100' : '', 'hex'),
          bytesOf(signature, encoding),
        ]).toString('base64'),
        ak: ak.export({ format: 'der', type: 'spki' }).toString('base64'),
        pcrs: { sha256: Object.fromEntries(pcrs.map((value, i) => [i, bytesOf(value, 'hex').toString('hex')])) },
      }),
    )
  }

  /** The paravisor tells the keys of the TPM in JSON, which the report of the processor vouches for. */
  function akOf(report: Uint8Array): KeyObject {
    const text = Buffer.from(report).toString('latin1')
    const json = text.slice(text.indexOf('{"keys"')).replace(/\0+$/, '')
    const { keys } = JSON.parse(json)
    const { kty, n, e } = keys.find(({ kid }: { kid: string }) => kid === 'HCLAkPub')
    return createPublicKey({ key: { kty, n, e }, format: 'jwk' })
  }

  const azure = [
    'az-snp-vtpm/evidence-v0',
    'az-snp-vtpm/evidence-v1',
    'az-snp-vtpm/evidence-v2',
    'az-tdx-vtpm/evidence-v0',
    'az-tdx-vtpm/evidence-v1',
  ]
  for (const name of azure) {
    it(`${name} holds, and does not with another PCR`, async () => {
      const all = JSON.parse(readTextVector(`domain/${name}.json`))
      const report =
        typeof (all.hcl_report ?? all.report) === 'string'
          ? Buffer.from(all.hcl_report, 'base64')
          : (all.report ?? all.hcl_report)
      const quoted: Quoted = all.tpm_quote ?? all.quote
      const ak = akOf(Uint8Array.from(report))
      const { cases, detail } = await examine('tpm2', evidenceOf(quoted, ak, 'hex'), '2026-01-01T00:00:00Z')
      assert.deepEqual(cases, ['unknownAttester', 'undated'])
      assert.equal(Object.keys(detail['measurements'] as object).length, 25)
      const wrong = evidenceOf({ ...quoted, pcrs: quoted.pcrs.with(3, '00'.repeat(32)) }, ak, 'hex')
      await assert.rejects(examine('tpm2', wrong, '2026-01-01T00:00:00Z'), refused('measurement_mismatch'))
    })
  }

  it('trustee’s holds, as it is and in our form', async () => {
    const theirs = readVector('domain/tpm/trustee-tpm_evidence.json')
    const { ak_public, tpm_quote } = JSON.parse(readTextVector('domain/tpm/trustee-tpm_evidence.json'))
    const ak = createPublicKey({ key: Buffer.from(ak_public, 'base64'), format: 'der', type: 'spki' })
    for (const evidence of [theirs, evidenceOf(tpm_quote, ak, 'base64')]) {
      const { cases } = await examine('tpm2', evidence, '2026-01-01T00:00:00Z')
      assert.deepEqual(cases, ['unknownAttester', 'undated'])
    }
  })

  for (const name of ['cos-101-amd-sev', 'rhel8-uefi', 'ubuntu-2404-amd-sevsnp']) {
    it(`the event log ${name} is replayed in every bank`, () => {
      const replayed = replayEventLog(readVector(`domain/tpm/eventlog-${name}.bin`))
      assert.deepEqual([...replayed.keys()], ['sha1', 'sha256', 'sha384'])
      for (const pcrs of replayed.values()) assert.ok(pcrs.size >= 8, `${pcrs.size} PCRs`)
    })
  }

  it('the event log of Debian 10 is one of TPM 1.2, and refused', () => {
    assert.throws(() => replayEventLog(readVector('domain/tpm/eventlog-debian-10.bin')), refused('malformed_evidence'))
  })
})

describe('psa and cca: tokens of Veraison and trustee', { skip }, () => {
  const at = '2026-01-01T00:00:00Z'
  const arm = (name: string) => readVector(`domain/arm-cca/${name}`)
  const trustAnchor = (name: string) => utf8(JSON.stringify(JSON.parse(Buffer.from(arm(name)).toString())[0].pkey))
  const LITTLE_KNOWN = ['unknownAttester', 'undated']

  it('the PSA token of Veraison holds, and says what Veraison’s claims say', async () => {
    const collateral = [readVector('domain/veraison/services-keys-ec.p256.jwk')]
    const evidence = readVector('domain/veraison/services-psa.good.cbor')
    const { cases, detail } = await examine('psa', evidence, at, { collateral })
    assert.deepEqual(cases, LITTLE_KNOWN)
    const claims = JSON.parse(readTextVector('domain/veraison/services-claims-psa.good.json'))
    const measurements = detail['measurements'] as Record<string, string>
    const hexOf = (base64: string) => Buffer.from(base64, 'base64').toString('hex')
    assert.equal(measurements['IMPLEMENTATION_ID'], hexOf(claims['psa-implementation-id']))
    claims['psa-software-components'].forEach((component: Record<string, string>, i: number) => {
      assert.equal(measurements[`component:${i}`], hexOf(component['measurement-value']!))
      assert.equal(measurements[`signer:${i}`], hexOf(component['signer-id']!))
    })
    const other = { collateral: [arm('rust-ccatoken-pkey.json')] }
    await assert.rejects(examine('psa', evidence, at, other), refused('bad_evidence_signature'))
  })

  const tokens: [token: string, key: () => Uint8Array][] = [
    ['trustee-cca-example-token', () => arm('trustee-cpak-pub.json')],
    ['rust-ccatoken-cca-token-01', () => arm('rust-ccatoken-cpak.json')],
    ['rust-ccatoken-cca-token-02', () => trustAnchor('rust-ccatoken-ta-02-ok.json')],
    ['rust-ccatoken-cca-token-draft-ffm-00', () => arm('rust-ccatoken-cpak.json')],
  ]
  for (const [token, key] of tokens) {
    it(`${token} holds: the platform’s signature, the realm’s, and what ties them`, async () => {
      assert.deepEqual((await examine('cca', arm(`${token}.cbor`), at, { collateral: [key()] })).cases, LITTLE_KNOWN)
    })
  }

  it('a trust anchor that is no key, and one of another platform, are refused', async () => {
    const evidence = arm('rust-ccatoken-cca-token-02.cbor')
    const bad = { collateral: [trustAnchor('rust-ccatoken-ta-02-bad.json')] }
    await assert.rejects(examine('cca', evidence, at, bad), refused('malformed_collateral'))
    const other = { collateral: [arm('trustee-cpak-pub.json')] }
    await assert.rejects(examine('cca', evidence, at, other), refused('bad_evidence_signature'))
  })

  it('a token whose platform vouches for no realm key is refused', async () => {
    const collateral = [arm('trustee-cpak-pub.json')]
    const token = examine('cca', arm('rust-ccatoken-bug-33-repro.cbor'), at, { collateral })
    await assert.rejects(token, refused('bad_evidence_signature'))
  })
})

describe('nvidia-gpu and nvidia-switch: reports of NVIDIA’s devices', { skip }, () => {
  const at = '2026-01-01T00:00:00Z'
  const nvidia = (name: string) => readVector(`domain/nvidia/${name}`)
  // No lists here, and no challenge was given.
  const LITTLE_KNOWN = ['mismatch', 'undated', 'uncheckedRevocation']

  for (const [format, name, driver, vbios] of [
    ['nvidia-gpu', 'sdk-hopper_evidence', '590.12', '96.00.A5.00.01'],
    // On hold by OCSP: its signature and chain hold, and without a list its status is what is not known.
    ['nvidia-gpu', 'sdk-hopper_evidence_cert_hold', '570.86.10', '96.00.AF.00.01'],
    ['nvidia-switch', 'sdk-switch_evidence_ls10', undefined, '96.10.55.00.01'],
  ] as const) {
    it(`${name} holds, in the form of NVIDIA’s SDK`, async () => {
      const { cases, detail } = await examine(format, nvidia(`${name}.json`), at)
      assert.deepEqual(cases, LITTLE_KNOWN)
      const measured = detail['measurements'] as Record<string, string>
      assert.equal(measured['DRIVER_VERSION'], driver && toHex(utf8(driver)))
      assert.equal(measured['VBIOS_VERSION'], toHex(utf8(vbios)))
      const text = Buffer.from(nvidia(`${name}.json`)).toString()
      const flipped = (before: string, old: string) => before + (old === 'A' ? 'B' : 'A')
      const changed = utf8(text.replace(/("evidence": ?".{600})(.)/, (_all, before, old) => flipped(before, old)))
      await assert.rejects(examine(format, changed, at), { name: 'EvidenceError' })
      const other = format === 'nvidia-gpu' ? 'nvidia-switch' : 'nvidia-gpu'
      await assert.rejects(examine(other, nvidia(`${name}.json`), at), refused('wrong_format'))
    })
  }

  const reports: [report: string, chain: string][] = [
    ['sdk-hopperAttestationReport', 'sdk-hopperCertChain'],
    ['sdk-hopperAttestationReportExpired', 'sdk-hopperCertChainExpired'],
    ['trustee-hopperAttestationReport', 'trustee-hopper_cert_chain_case1'],
    ['trustee-hopper_coco_report1', 'trustee-hopper_coco_certs1'],
  ]
  for (const [report, chain] of reports) {
    it(`${report} holds under its chain, and under no other`, async () => {
      const evidence = nvidia(`${report}.txt`)
      const { cases } = await examine('nvidia-gpu', evidence, at, { collateral: [nvidia(`${chain}.txt`)] })
      assert.deepEqual(cases, LITTLE_KNOWN)
      const others = { collateral: [nvidia(`${reports.find(([name]) => name !== report)![1]}.txt`)] }
      await assert.rejects(examine('nvidia-gpu', evidence, at, others), refused('bad_evidence_signature'))
    })
  }

  it('says what NVIDIA’s parser says', async () => {
    const collateral = [nvidia('sdk-hopperCertChain.txt')]
    const { detail } = await examine('nvidia-gpu', nvidia('sdk-hopperAttestationReport.txt'), at, { collateral })
    const measured = detail['measurements'] as Record<string, string>
    const { MeasurementRecord } = JSON.parse(readTextVector('domain/nvidia/sdk-spdm_parsed_output.json'))
    const blocks = Object.entries<{ DMTFSpecMeasurementValue: string }>(MeasurementRecord.MeasurementBlocks)
    assert.equal(blocks.length, 64)
    for (const [index, block] of blocks) {
      assert.equal(`0x${measured[`measurement:${index}`]}`, block.DMTFSpecMeasurementValue, index)
    }
  })

  it('says what Trustee says of it', async () => {
    const collateral = [nvidia('trustee-hopper_cert_chain_case1.txt')]
    const { detail } = await examine('nvidia-gpu', nvidia('trustee-hopperAttestationReport.txt'), at, { collateral })
    const theirs = JSON.parse(readTextVector('domain/nvidia/trustee-hopperAttestationReport-claims.txt'))
    const measured = detail['measurements'] as Record<string, string>
    for (const [index, value] of Object.entries(theirs.measurements))
      assert.equal(measured[`measurement:${index}`], value)
    assert.equal(measured['BOARD_ID'], theirs.config.board_id)
    assert.equal(measured['FWID'], theirs.config.fwid)
    assert.equal(Buffer.from(measured['VBIOS_VERSION']!, 'hex').toString().toLowerCase(), theirs.config.vbios_version)
    assert.equal(Buffer.from(measured['DRIVER_VERSION']!, 'hex').toString(), theirs.config.driver_version)
  })

  for (const [n, what] of [
    [2, 'the root alone'],
    [3, 'a chain without the provisioner'],
    [4, 'a chain without the device'],
  ] as const) {
    it(`${what} is not enough`, async () => {
      const collateral = [nvidia(`trustee-hopper_cert_chain_case${n}.txt`)]
      const evidence = nvidia('trustee-hopperAttestationReport.txt')
      await assert.rejects(examine('nvidia-gpu', evidence, at, { collateral }), refused('missing_collateral'))
    })
  }

  it('with another byte anywhere that is signed they are refused', async () => {
    const collateral = [nvidia('sdk-hopperCertChain.txt')]
    const honest = fromHex(readTextVector('domain/nvidia/sdk-hopperAttestationReport.txt').trim())
    for (const place of [4, 36, 38, 60, 1000, 3570, 3600, 3800]) {
      const evidence = honest.with(place, honest[place]! ^ 1)
      await assert.rejects(
        examine('nvidia-gpu', evidence, at, { collateral }),
        { name: 'EvidenceError' },
        `byte ${place}`,
      )
    }
  })
})

describe('nvidia-nras: bundles of NVIDIA’s service', { skip }, () => {
  const keys = newKeyPair('ec', { namedCurve: 'P-384' })
  const ours = utf8(JSON.stringify(keys.publicKey.export({ format: 'jwk' })))
  const sign384 = (claims: string) => {
    const input = `${Buffer.from('{"alg":"ES384"}').toString('base64url')}.${Buffer.from(claims).toString('base64url')}`
    const signature = sign('sha384', utf8(input), { key: keys.privateKey, dsaEncoding: 'ieee-p1363' })
    return `${input}.${signature.toString('base64url')}`
  }
  const claimsIn = (token: string) => Buffer.from(token.split('.')[1]!, 'base64url').toString()
  type Bundle = [[string, string], Record<string, string>]

  for (const [name, label, at] of [
    ['sdk-hopperClaimsv3_detached_eat', 'GPU-0', '2025-06-11T00:31:00Z'],
    ['sdk-switch_detached_eat', 'SWITCH-0', '2025-06-28T23:58:00Z'],
  ] as const) {
    const file = () => readVector(`domain/nvidia/${name}.json`)

    it(`${name} is not signed with a key of ours`, async () => {
      const collateral = [ours]
      await assert.rejects(examine('nvidia-nras', file(), at, { collateral }), refused('bad_evidence_signature'))
      await assert.rejects(examine('nvidia-nras', file(), at), refused('missing_collateral'))
    })

    it(`${name} holds: its digest as it is, its claims under a signature whose key we have`, async () => {
      const [[kind, main], parts] = JSON.parse(Buffer.from(file()).toString()) as Bundle
      const overall = JSON.parse(claimsIn(main))
      const digest = (token: string) => toHex(sha256(utf8(token)))
      assert.equal(overall.submods[label][1][1], digest(parts[label]!))
      const part = sign384(claimsIn(parts[label]!))
      const again = sign384(JSON.stringify({ ...overall, submods: { [label]: ['DIGEST', ['SHA-256', digest(part)]] } }))
      const bundle = utf8(JSON.stringify([[kind, again], { [label]: part }]))
      const { cases, detail, parts: found } = await examine('nvidia-nras', bundle, at, { collateral: [ours] })
      assert.deepEqual(cases, ['unknownAttester'], JSON.stringify(detail))
      const platform = found?.get(label)?.detail['platform'] as Record<string, string>
      assert.equal(platform['id'], JSON.parse(claimsIn(parts[label]!)).ueid)
      await assert.rejects(
        examine('nvidia-nras', bundle, '2025-01-01T00:00:00Z', { collateral: [ours] }),
        refused('evidence_from_future'),
      )
    })
  }
})

describe('az-snp-vtpm and az-tdx-vtpm: evidence of Azure’s machines', { skip }, () => {
  const at = '2026-01-01T00:00:00Z'
  const chains = ['milan', 'genoa'].map((line) => readVector(`domain/sev-snp/${line}_ask_ark_asvk.pem`))
  const SNP = ['mismatch', 'unknownTcb', 'undated', 'uncheckedRevocation']
  const TDX = ['mismatch', 'undated', 'uncheckedRevocation', 'unknownTcb']

  for (const [format, name, cases] of [
    ['az-snp-vtpm', 'evidence-v0', SNP],
    ['az-snp-vtpm', 'evidence-v1', SNP],
    ['az-snp-vtpm', 'evidence-v2', SNP],
    ['az-tdx-vtpm', 'evidence-v0', TDX],
    ['az-tdx-vtpm', 'evidence-v1', TDX],
  ] as const) {
    const collateral = format === 'az-snp-vtpm' ? chains : []
    const all = () => JSON.parse(readTextVector(`domain/${format}/${name}.json`))
    const examined = (evidence: unknown) => examine(format, utf8(JSON.stringify(evidence)), at, { collateral })

    it(`${format} ${name} holds, from the processor to the PCRs`, async () => {
      const { cases: found, detail } = await examined(all())
      assert.deepEqual([...found].sort(), [...cases].sort())
      const measured = detail['measurements'] as Record<string, string>
      assert.equal(measured['SECURE_BOOT'], '01')
      assert.equal(Object.keys(measured).filter((each) => each.startsWith('sha256:')).length, 24)
    })

    it(`${format} ${name} is refused with another PCR, other runtime data, another signature, of another kind`, async () => {
      const evidence = all()
      const quoteName = evidence.tpm_quote ? 'tpm_quote' : 'quote'
      const quote = evidence[quoteName]
      const other = typeof quote.pcrs[0] === 'string' ? '00'.repeat(32) : Array(32).fill(0)
      const changed = (part: object) => examined({ ...evidence, [quoteName]: { ...quote, ...part } })
      await assert.rejects(changed({ pcrs: quote.pcrs.with(3, other) }), refused('measurement_mismatch'))
      await assert.rejects(changed({ pcrs: quote.pcrs.slice(1) }), refused('malformed_evidence'))
      await assert.rejects(changed({ signature: quote.message }), { name: 'EvidenceError' })

      const hclName = evidence.hcl_report ? 'hcl_report' : 'report'
      const hcl = Buffer.from(evidence[hclName], 'base64')
      for (const [place, code] of [
        [0, 'malformed_evidence'],
        [0x4c8, 'malformed_evidence'],
        [0x4d1, 'malformed_evidence'],
        [0x500, 'measurement_mismatch'],
      ] as const) {
        const wrong = Uint8Array.from(hcl).with(place, hcl[place]! ^ 1)
        await assert.rejects(
          examined({ ...evidence, [hclName]: [...wrong] }),
          { name: 'EvidenceError', code },
          `${place}`,
        )
      }
      const kind = format === 'az-snp-vtpm' ? 'az-tdx-vtpm' : 'az-snp-vtpm'
      await assert.rejects(examine(kind, utf8(JSON.stringify(evidence)), at), refused('malformed_evidence'))
    })
  }
})

describe('gcp-confidential-space: claims of Google’s Verifier, signed by us', { skip }, () => {
  const keys = newKeyPair('rsa', { modulusLength: 2048 })
  const jwk = keys.publicKey.export({ format: 'jwk' })
  const IMAGE = '313b8a83d3c8bfc9abcffee4f538424473e2705383a7e46f16d159faf0e5ef34'
  const references = [
    parseReferenceValues(
      utf8(
        JSON.stringify({
          format: 'gcp-confidential-space',
          attesters: [jwk],
          measurements: [{ name: 'echo', values: { IMAGE_DIGEST: IMAGE }, minimum: { swversion: 250_301 } }],
          platforms: [{ model: 'GCP_AMD_SEV' }],
        }),
      ),
    ),
  ]
  const tokenOf = (claims: unknown) => {
    const input = ['{"alg":"RS256","typ":"JWT"}', JSON.stringify(claims)]
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.')
    return utf8(`${input}.${sign('sha256', utf8(input), keys.privateKey).toString('base64url')}`)
  }
  const claimsOf = (name: string) => JSON.parse(readTextVector(`domain/gcp-confidential-space/${name}.json`))
  const judged = (claims: object, change: Partial<Examination> = {}) =>
    examine('gcp-confidential-space', tokenOf(claims), '2025-07-01T18:00:00Z', { references, ...change })

  it('good ones match, and answer their challenge', async () => {
    const claims = claimsOf('claims')
    const nonce: string = claims.eat_nonce
    const { cases, parts } = await judged(claims, { nonce, keyBinding: 'eat_nonce=hex(nonce)' })
    assert.deepEqual(cases, ['match'])
    assert.equal(parts?.get('confidential_space')?.nonce, nonce)
  })

  it('those of a machine that may be debugged, of expired tokens, of other images and of images without support are told apart', async () => {
    assert.deepEqual((await judged(claimsOf('debug_claims'))).cases, ['match', 'debug'])
    assert.ok((await judged(claimsOf('expired_claims'))).cases.includes('stale'))
    const claims = claimsOf('claims')
    const { container } = claims.submods
    const other = { ...claims.submods, container: { ...container, image_digest: `sha256:${'00'.repeat(32)}` } }
    assert.deepEqual((await judged({ ...claims, submods: other })).cases, ['mismatch'])
    const old = { ...claims.submods, confidential_space: { support_attributes: ['USABLE'] } }
    assert.deepEqual((await judged({ ...claims, submods: old })).cases, ['match', 'outdatedTcb'])
    assert.deepEqual((await judged({ ...claims, swversion: ['240101'] })).cases, ['mismatch'])
    assert.deepEqual((await judged({ ...claims, hwmodel: 'GCP_SHIELDED_VM' })).cases, ['mismatch', 'unknownPlatform'])
  })

  it('one that lives for long is as old as it is: its own end is not what counts', async () => {
    const claims = claimsOf('long_lived_claims')
    const { issuedAt, parts } = await judged(claims)
    assert.equal(issuedAt ?? parts?.get('confidential_space')?.issuedAt, claims.iat)
  })

  it('of another issuer, of other software, or not signed by whom they should be, they are refused', async () => {
    const claims = claimsOf('claims')
    await assert.rejects(judged({ ...claims, iss: 'https://example.com' }), refused('malformed_evidence'))
    await assert.rejects(judged({ ...claims, swname: 'GCE' }), refused('malformed_evidence'))
    await assert.rejects(
      judged({ ...claims, submods: { container: { image_digest: 'latest' } } }),
      refused('malformed_evidence'),
    )
    await assert.rejects(judged(claims, { references: [] }), refused('missing_collateral'))
    const stranger = newKeyPair('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
    const others = { references: [], collateral: [utf8(JSON.stringify({ keys: [stranger] }))] }
    await assert.rejects(judged(claims, others), refused('bad_evidence_signature'))
    const unnamed = { references: [], collateral: [utf8(JSON.stringify(jwk))] }
    assert.deepEqual((await judged(claims, unnamed)).cases, ['unknownAttester'])
  })
})
