// Evidence that holds was made by Azure: test/vectors/evidence.test.ts has it. Here is what anybody can make.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { evidenceFormat } from '../../../clients/verifier/evidence/formats.ts'
import { VerifierError } from '../../../clients/verifier/index.ts'
import { utf8 } from '../../../merkle/index.ts'

const examined = async (format: string, evidence: unknown) =>
  evidenceFormat(format).examine(utf8(JSON.stringify(evidence)), { references: [], now: 1_760_000_000, collateral: [] })

/** A report as the paravisor keeps it, with zeros where the processor's would be. */
function hcl(change: Readonly<Record<number, number>> = {}): string {
  const data = utf8('{"keys":[]}')
  const bytes = new Uint8Array(2600)
  bytes.set(utf8('HCLA'))
  bytes.set([2], 0x4c8)
  bytes.set([1], 0x4cc)
  bytes.set([data.length], 0x4d0)
  bytes.set(data, 0x4d4)
  for (const [at, value] of Object.entries(change)) bytes[Number(at)] = value
  return Buffer.from(bytes).toString('base64')
}
const tpm_quote = { message: 'ff544347', signature: '00', pcrs: Array.from({ length: 24 }, () => '00'.repeat(32)) }

describe('evidence of Azure’s machines that nobody signed', () => {
  const refused: [what: string, code: string, format: string, evidence: unknown][] = [
    ['no processor’s report', 'malformed_evidence', 'az-snp-vtpm', { version: 1, hcl_report: hcl(), tpm_quote }],
    ['no report of the paravisor', 'malformed_evidence', 'az-snp-vtpm', { version: 1, tpm_quote }],
    ['no magic', 'malformed_evidence', 'az-snp-vtpm', { hcl_report: hcl({ 0: 0 }), tpm_quote }],
    ['a report of another kind', 'malformed_evidence', 'az-snp-vtpm', { hcl_report: hcl({ 1224: 4 }), tpm_quote }],
    ['another hash', 'malformed_evidence', 'az-snp-vtpm', { hcl_report: hcl({ 1228: 2 }), tpm_quote }],
    ['data past the end', 'malformed_evidence', 'az-snp-vtpm', { hcl_report: hcl({ 1235: 1 }), tpm_quote }],
    ['data longer than they say', 'malformed_evidence', 'az-snp-vtpm', { hcl_report: hcl({ 2599: 1 }), tpm_quote }],
    ['no quote of the TDX module', 'malformed_evidence', 'az-tdx-vtpm', { hcl_report: hcl({ 1224: 4 }), tpm_quote }],
    ['a member that is not there', 'malformed_evidence', 'az-snp-vtpm', { hcl_report: hcl(), tpm_quote, ak: 'AAAA' }],
    ['twenty PCRs', 'malformed_evidence', 'az-snp-vtpm', { hcl_report: hcl(), tpm_quote: { ...tpm_quote, pcrs: [] } }],
    ['a generation to come', 'malformed_evidence', 'az-snp-vtpm', { version: 3, hcl_report: hcl(), tpm_quote }],
    ['bytes past 255', 'malformed_evidence', 'az-snp-vtpm', { report: [256], quote: tpm_quote }],
  ]
  for (const [what, code, format, evidence] of refused) {
    it(`with ${what} is refused (${code})`, async () => {
      await assert.rejects(examined(format, evidence), { name: 'EvidenceError', code })
    })
  }

  it('cannot be an old quote beside a new report: only what the quote holds answers a challenge', () => {
    for (const format of ['az-snp-vtpm', 'az-tdx-vtpm']) {
      const fields = evidenceFormat(format).keyBindings.map((binding) => binding.split('=')[0])
      assert.deepEqual([...new Set(fields)], ['extra_data'])
    }
  })

  it('is refused with a code, whatever it is made of', async () => {
    const part = fc.oneof(fc.string(), fc.array(fc.nat(300), { maxLength: 50 }), fc.constant(hcl()), fc.jsonValue())
    const document = fc.record(
      { version: fc.nat(3), hcl_report: part, vcek: part, td_quote: part, tpm_quote: fc.constant(tpm_quote) },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(document, async (evidence) => {
        for (const format of ['az-snp-vtpm', 'az-tdx-vtpm']) {
          await assert.rejects(examined(format, evidence), (error) => error instanceof VerifierError)
        }
      }),
      { numRuns: 300 },
    )
  })
})
