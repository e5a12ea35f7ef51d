/**
 * Evidence of Oak’s machines, endorsements of its releases and their entries in Rekor, as project-oak/oak keeps them: `../shared/vectors/domain/oak`.
 *
 * Of Genoa and Turin the processors' certificates are not among them: there the layers are verified, and the report is not.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Examination } from '../../clients/verifier/evidence/format.ts'
import { evidenceFormat } from '../../clients/verifier/evidence/formats.ts'
import { readCollateral, readPublicKey } from '../../clients/verifier/evidence/hardware/collateral.ts'
import { verifyLayers } from '../../clients/verifier/evidence/hardware/oak/dice.ts'
import { decodeEndorsements } from '../../clients/verifier/evidence/hardware/oak/endorsements.ts'
import { readEvents } from '../../clients/verifier/evidence/hardware/oak/events.ts'
import { decodeOakEvidence } from '../../clients/verifier/evidence/hardware/oak/evidence.ts'
import { decodeMessage, textIn } from '../../clients/verifier/evidence/hardware/oak/protobuf.ts'
import { verifyEndorsement } from '../../clients/verifier/evidence/hardware/oak/statement.ts'
import { parseReferenceValues, VerifierError } from '../../clients/verifier/index.ts'
import { equalBytes, sha256, utf8 } from '../../merkle/index.ts'
import { readTextVector, readVector, vectorsMissing } from './shared-vectors.ts'

const skip = vectorsMissing
const refused = (code: string) => ({ name: 'EvidenceError', code })
const seconds = (instant: string) => Date.parse(instant) / 1000
const file = (name: string) => readVector(`domain/oak/${name}`)

/** While the endorsements of the release were valid. */
const AT = '2025-08-15T00:00:00Z'
const REKOR = 'c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d'

const amd = () => ['milan', 'genoa', 'turin'].map((line) => readVector(`domain/sev-snp/${line}_ask_ark_asvk.pem`))
const release = () => file('milan_oc_release_endorsements.binarypb')
const milan = () => [...amd(), release(), file('rekor_public_key.pem')]

function examine(evidence: Uint8Array, collateral: readonly Uint8Array[], change: Partial<Examination> = {}) {
  return evidenceFormat('oak').examine(evidence, { references: [], collateral, now: seconds(AT), ...change })
}

const measurementsOf = ({ detail }: Awaited<ReturnType<typeof examine>>) =>
  detail['measurements'] as Record<string, string>

describe('oak: evidence of AMD SEV-SNP', { skip }, () => {
  const evidence = () => file('milan_oc_release_evidence.binarypb')

  it('Milan’s, of a release, holds with its endorsements, each in Rekor', async () => {
    const found = await examine(evidence(), milan())
    assert.deepEqual(found.cases, ['mismatch', 'unknownTcb', 'undated', 'uncheckedRevocation'])
    const measured = measurementsOf(found)
    assert.match(measured['SYSTEM_IMAGE']!, /^06a6ead2/)
    for (const name of ['FIRMWARE', 'KERNEL', 'INIT_RAM_FS', 'SYSTEM_IMAGE'])
      assert.equal(measured[`log:${name}`], REKOR)
    assert.ok(found.workloadKey)
  })

  it('matches who endorsed it, in which log, and on which firmware', async () => {
    const values = {
      'endorser:FIRMWARE': '98fc8ad40908f6c079c5d1677b85f261acdf08262c73f448f04bd4e9a090c8bb',
      'endorser:KERNEL': 'aafd4d5a1b4788e2ad9fbb0ccb692ce79cc9744092d20e8ad1d5a6179be69d8d',
      'endorser:INIT_RAM_FS': '8546b89738fb6ed07874d30de1a6b307920e706b18c35e3c1e10362125d628c6',
      'endorser:SYSTEM_IMAGE': 'a19ea774ef20e7be6efaa323a59ff4511ae15233f132faccf0b62fadfcbd7ac6',
      'log:FIRMWARE': REKOR,
      'log:KERNEL': REKOR,
      'log:INIT_RAM_FS': REKOR,
      'log:SYSTEM_IMAGE': REKOR,
      KERNEL_CMDLINE: '8d63a12b1f742213f7f0925c96095a78f35cf94a4c91bc27919e44aacac9161d',
      CONTAINER: 'f2f9cfe4b90c0c2c287667920b760f847b6ee03f3dcf6feda8419c603f7b0953',
    }
    // The least firmware is what the project's own reference values ask for.
    const platforms = [{ model: 'Milan', minimum: { bootloader: 3, snp: 20, microcode: 209 } }]
    const document = { format: 'oak', measurements: [{ name: 'release', values }], platforms }
    const references = [parseReferenceValues(utf8(JSON.stringify(document)))]
    const { cases } = await examine(evidence(), milan(), { references })
    assert.deepEqual(cases, ['match', 'undated', 'uncheckedRevocation'])
    // Not without the log's key, nor with the key of another: nothing then says that it is in the log.
    for (const keys of [[], [file('pes-endorser_public_key.pem')]]) {
      const unlogged = await examine(evidence(), [...amd(), release(), ...keys], { references })
      assert.deepEqual(unlogged.cases, ['mismatch', 'undated', 'uncheckedRevocation'])
    }
  })

  it('its endorsements have expired three months later, and it says so', async () => {
    const { cases } = await examine(evidence(), milan(), { now: seconds('2025-09-10T00:00:00Z') })
    assert.ok(cases.includes('expiredCollateral'))
  })

  it('Milan’s, of a staging build on the same chip, holds with its certificate, and not with the endorsements of the release', async () => {
    const staging = file('milan_oc_staging_evidence.binarypb')
    const [vcek] = decodeEndorsements(release()).platformCertificates
    const { cases, workloadKey } = await examine(staging, [...amd(), vcek!])
    assert.deepEqual(cases, ['mismatch', 'unknownTcb', 'undated', 'uncheckedRevocation'])
    assert.ok(workloadKey)
    await assert.rejects(examine(staging, milan()), refused('wrong_collateral'))
  })

  for (const line of ['genoa', 'turin']) {
    it(`${line}’s: layers, events and the report’s data hold; without the chip’s certificate it is refused`, async () => {
      const bytes = file(`${line}_oc_evidence.binarypb`)
      const decoded = decodeOakEvidence(bytes)
      const { signingKey } = verifyLayers(decoded, decoded.rootKey!)
      assert.ok(signingKey)
      assert.ok(equalBytes(decoded.report.subarray(0x50, 0x70), sha256(decoded.rootKey!)))
      assert.deepEqual(readEvents(decoded.events).mustBeNamed, [])
      await assert.rejects(examine(bytes, amd()), refused('missing_collateral'))
      await assert.rejects(examine(bytes, milan()), refused('wrong_collateral'))
    })
  }

  it('with any byte changed it is refused, or says the same', async () => {
    const honest = measurementsOf(await examine(evidence(), milan()))
    for (let at = 0; at < evidence().length; at += 37) {
      const changed = evidence()
      changed[at]! ^= 4
      try {
        assert.deepEqual(measurementsOf(await examine(changed, milan())), honest, `byte ${at}`)
      } catch (error) {
        assert.ok(error instanceof VerifierError, `byte ${at}`)
      }
    }
  })

  it('with any byte of the endorsements changed they are refused, or say no more', async () => {
    const honest = measurementsOf(await examine(evidence(), milan()))
    for (let at = 0; at < release().length; at += 401) {
      const changed = release()
      changed[at]! ^= 4
      try {
        const found = measurementsOf(await examine(evidence(), [...amd(), changed, file('rekor_public_key.pem')]))
        for (const [name, value] of Object.entries(found)) assert.equal(value, honest[name], `byte ${at}: ${name}`)
      } catch (error) {
        assert.ok(error instanceof VerifierError, `byte ${at}`)
      }
    }
  })
})

describe('oak: evidence of Intel TDX', { skip }, () => {
  const evidence = () => file('tdx_oc_evidence.binarypb')

  it('holds: its event log leads to RTMR2', async () => {
    const found = await examine(evidence(), [])
    assert.deepEqual(found.cases, ['mismatch', 'undated', 'uncheckedRevocation', 'unknownTcb'])
    assert.match(measurementsOf(found)['SYSTEM_IMAGE']!, /^aa5390a5/)
    assert.ok(measurementsOf(found)['MRTD'])
    assert.ok(found.workloadKey)
  })

  it('with another event, or events in another order, it is refused', async () => {
    const bytes = evidence()
    // Somewhere in the last event.
    bytes[bytes.length - 20]! ^= 1
    await assert.rejects(examine(bytes, []), refused('measurement_mismatch'))
  })
})

describe('oak: endorsements by themselves', { skip }, () => {
  const statement = () => file('endorsement.json')
  const signature = () => file('endorsement.json.sig')
  const logEntry = () => file('logentry.json')
  const keys = (...names: readonly string[]) => readCollateral(names.map(file)).keys
  const both = () => keys('endorser_public_key.pem', 'rekor_public_key.pem')
  const at = seconds('2024-09-20T00:00:00Z')

  it('the one of an orchestrator is signed, and in Rekor', () => {
    const signed = { statement: statement(), signature: signature(), logEntry: logEntry() }
    const found = verifyEndorsement(signed, both(), at)
    assert.match(found!.digest, /^18c34d8c/)
    assert.equal(found!.log, REKOR)
    assert.equal(found!.claims.length, 2)
    assert.deepEqual(found!.findings, [])
    for (const time of ['2024-02-28T09:00:00Z', '2025-02-28T00:00:00Z']) {
      assert.equal(verifyEndorsement(signed, both(), seconds(time))!.findings[0]?.case, 'expiredCollateral')
    }
  })

  it('changed anywhere it is refused; or, in what nobody signs of the entry, it says no more', () => {
    const signed = { statement: statement(), signature: signature(), logEntry: logEntry() }
    const honest = verifyEndorsement(signed, both(), at)!
    for (const part of ['statement', 'signature', 'logEntry'] as const) {
      for (let i = 0; i < signed[part].length; i += 7) {
        const changed = signed[part].slice()
        changed[i]! ^= 1
        try {
          const found = verifyEndorsement({ ...signed, [part]: changed }, both(), at)!
          assert.equal(part, 'logEntry', `${part} ${i}`)
          assert.deepEqual({ ...found, log: found.log ?? honest.log }, honest, `${part} ${i}`)
        } catch (error) {
          assert.ok(error instanceof VerifierError, `${part} ${i}`)
        }
      }
    }
  })

  it('the one that was sent to the Public Endorsement Service is signed, and says nothing under another key', () => {
    const signed = { statement: file('pes-endorsement.json'), signature: file('pes-endorser_signature.sig') }
    const now = seconds('2026-06-01T00:00:00Z')
    const found = verifyEndorsement(signed, keys('pes-endorser_public_key.pem'), now)
    assert.equal(found?.claims.length, 3)
    assert.deepEqual(found?.findings, [])
    assert.equal(verifyEndorsement(signed, both(), now), undefined)
  })

  it('its receipt and the service’s certificate are read', () => {
    const receipt = textIn(decodeMessage(file('pes-tlog_receipt.binarypb')), 1)
    assert.equal(
      `entry_id: "${receipt}"`,
      readTextVector('domain/oak/pes-tlog_receipt.textproto').trim().split('\n').at(-1),
    )
    const [certificate] = readCollateral([file('pes-pes_root_cert.der')]).certificates
    assert.match(certificate!.name, /Standalone CA/)
  })

  it('the reference values of a staging build have the key of an endorser', () => {
    const text = readTextVector('domain/oak/milan_oc_staging_reference_values.textproto')
    const [, raw] = /raw: "((?:[^"\\]|\\.)*)"/.exec(text)!
    const named: Record<string, string> = { n: '\n', r: '\r', t: '\t' }
    const unescaped = raw!.replace(/\\([0-7]{3}|.)/g, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (named[code] ?? code),
    )
    const key = readPublicKey(new Uint8Array(Buffer.from(unescaped, 'latin1')))
    assert.equal(key.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  })
})
