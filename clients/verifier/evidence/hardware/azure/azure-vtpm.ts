/**
 * Azure's confidential virtual machines: a virtual TPM that a paravisor runs, inside of the confidential machine and below its operating system.
 *
 *     processor's report ── report data = SHA-256 ──► runtime data { "keys": [ AK of the vTPM, … ], "vm-configuration", "user-data" }
 *                                                          AK ── signs ──► quote of the vTPM: PCRs, extraData
 *
 * So the processor vouches for the paravisor, and the paravisor's TPM for what was booted on it. Evidence is JSON, as the attesters of Confidential
 * Containers collect it, in its three generations: binary values are hexadecimal, base64 or lists of bytes.
 *
 *     az-snp-vtpm   { "version": 1, "hcl_report": …, "tpm_quote": { "message", "signature", "pcrs": [24 of SHA-256] }, "vcek": … }
 *     az-tdx-vtpm   { "version": 1, "hcl_report": …, "tpm_quote": …, "td_quote": … }
 *
 * The layout of the report that the paravisor keeps in the TPM's NV memory: Microsoft, "Azure confidential VMs guest attestation design", and
 * OpenHCL's `openhcl_attestation_protocol`.
 *
 * @module
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { Type } from 'typebox'
import {
  concatBytes,
  equalBytes,
  fromBase64url,
  fromHex,
  fromUtf8,
  sha256,
  toHex,
} from '../../../../../merkle/index.ts'
import { isJsonObject, type Json, type JsonObject, parseJson } from '../../../../../provenance/index.ts'
import { readDocument } from '../../../document.ts'
import { malformedEvidence, readingEvidence, VerifierError } from '../../../error.ts'
import { joinCollateral, readCollateral } from '../collateral.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware-format.ts'
import { readTdx, TDX_VALUES, tdx } from '../intel/intel.ts'
import { fieldsOf, isZero, unsigned } from '../layout.ts'
import { AMD_ROOTS, INTEL_ROOTS } from '../roots.ts'
import { isSoundRsa } from '../rsa-key.ts'
import { readSnpReport, SNP_VALUES } from '../sev-snp.ts'
import { checkPcrDigest, checkTpmSignature, decodeTpmQuote, PCRS } from '../tpm/quote.ts'

/** At most so long as the longest part, a TDX quote with its chain. */
const Bytes = Type.Union([
  Type.String({ minLength: 2, maxLength: 40_000 }),
  Type.Array(Type.Integer({ minimum: 0, maximum: 255 }), { minItems: 1, maxItems: 16_384 }),
])
const Quote = Type.Object(
  { message: Bytes, signature: Bytes, pcrs: Type.Array(Bytes, { minItems: PCRS, maxItems: PCRS }) },
  { additionalProperties: false },
)
const Document = Type.Object(
  {
    version: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 })),
    tpm_quote: Type.Optional(Quote),
    hcl_report: Type.Optional(Bytes),
    vcek: Type.Optional(Bytes),
    td_quote: Type.Optional(Bytes),
    // The first generation, of SEV-SNP alone.
    quote: Type.Optional(Quote),
    report: Type.Optional(Bytes),
  },
  { additionalProperties: false },
)

const HEADER_BYTES = 0x20
/** As large as a report of SEV-SNP, which is the larger one. */
const REPORT_BYTES = 0x4a0
const HCL = {
  MAGIC: [0x00, 4],
  REPORT: [HEADER_BYTES, REPORT_BYTES],
  REPORT_TYPE: [0x4c8, 4],
  HASH_TYPE: [0x4cc, 4],
  DATA_SIZE: [0x4d0, 4],
} as const
const DATA_AT = 0x4d4
const SHA_256 = 1
const MAX_HCL_BYTES = 16 * 1024
const AK = 'HCLAkPub'

type Kind = 'snp' | 'tdx'
const REPORT_TYPES: Readonly<Record<Kind, number>> = { snp: 2, tdx: 4 }

function readEvidence(kind: Kind, evidence: Uint8Array, context: ReaderContext): HardwareFacts {
  const document = readDocument(Document, evidence, 'malformed_evidence')
  const hcl = bytesOf(document.hcl_report ?? document.report, 'base64')
  const { report, data } = readHcl(kind, hcl)
  const processor = kind === 'snp' ? snpFacts(report, document.vcek, context) : tdxFacts(document.td_quote, context)
  const { report_data: named } = processor.chosen
  // The paravisor's data, and nothing else that the processor was asked to sign.
  if (!named || !equalBytes(named, concatBytes(sha256(data), new Uint8Array(named.length - 32)))) {
    throw new VerifierError('measurement_mismatch', 'the processor’s report is not about these runtime data')
  }

  const runtime = readingEvidence(() => parseJson(fromUtf8(data)))
  if (!isJsonObject(runtime)) throw malformedEvidence('the runtime data are no object')
  const quoted = document.tpm_quote ?? document.quote
  if (!quoted) throw malformedEvidence('no quote of the TPM')
  const message = bytesOf(quoted.message, 'hex')
  const quote = decodeTpmQuote(message)
  const hash = checkTpmSignature(message, withHeader(bytesOf(quoted.signature, 'hex')), akOf(runtime))
  const values = new Map(quoted.pcrs.map((pcr, i) => [i, pcrOf(pcr)]))
  checkPcrDigest(quote, hash, { sha256: values })
  return {
    ...processor,
    measurements: {
      ...processor.measurements,
      ...Object.fromEntries(quote.selection.map(({ pcr }) => [`sha256:${pcr}`, toHex(values.get(pcr)!)])),
      ...secureBoot(runtime),
    },
    chosen: { extra_data: quote.extraData, user_data: userData(runtime) },
  }
}

function readHcl(kind: Kind, hcl: Uint8Array): { readonly report: Uint8Array; readonly data: Uint8Array } {
  if (hcl.length > MAX_HCL_BYTES) throw malformedEvidence(`a report of ${hcl.length} bytes`)
  const fields = fieldsOf(hcl, HCL)
  if (toHex(fields.MAGIC) !== '48434c41') throw malformedEvidence('not a report of the paravisor: HCLA is missing')
  if (unsigned(fields.REPORT_TYPE) !== REPORT_TYPES[kind])
    throw malformedEvidence('a report of another kind of processor')
  if (unsigned(fields.HASH_TYPE) !== SHA_256) throw malformedEvidence('runtime data by another hash than SHA-256')
  const end = DATA_AT + unsigned(fields.DATA_SIZE)
  // NV memory has a fixed size: zeros follow.
  if (end > hcl.length || !isZero(hcl.subarray(end)))
    throw malformedEvidence('runtime data of another length than they say')
  return { report: fields.REPORT, data: hcl.subarray(DATA_AT, end) }
}

function snpFacts(report: Uint8Array, vcek: string | number[] | undefined, context: ReaderContext): HardwareFacts {
  const own = vcek === undefined ? [] : [readCollateral([certificateBytes(vcek)])]
  const facts = readSnpReport(report, { ...context, collateral: joinCollateral(...own, context.collateral) })
  // Code at another level is the guest's own, and could name any key.
  if (facts.measurements['VMPL'] !== '00000000') throw malformedEvidence('a report that the paravisor did not ask for')
  return facts
}

function tdxFacts(quote: string | number[] | undefined, context: ReaderContext): HardwareFacts {
  return readTdx(tdx.ofFile(bytesOf(quote, 'base64')), context)
}

function akOf(runtime: JsonObject): KeyObject {
  const keys = Array.isArray(runtime['keys']) ? (runtime['keys'] as readonly Json[]) : []
  const [ak, ...more] = keys.filter((key): key is JsonObject => isJsonObject(key) && key['kid'] === AK)
  if (!ak || more.length > 0 || ak['kty'] !== 'RSA')
    throw malformedEvidence(`the runtime data do not have one key ${AK}`)
  const { n, e } = ak
  if (typeof n !== 'string' || typeof e !== 'string') throw malformedEvidence('an attestation key without numbers')
  const key = readingEvidence(() => createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' }))
  if (!isSoundRsa(key)) throw malformedEvidence('an attestation key that is weak')
  return key
}

/** The first generations have the number alone: RSASSA with SHA-256, as this TPM signs. */
function withHeader(signature: Uint8Array): Uint8Array {
  return signature.length === 256 ? concatBytes(fromHex('0014000b0100'), signature) : signature
}

function pcrOf(value: string | number[]): Uint8Array {
  const pcr = bytesOf(value, 'hex')
  if (pcr.length !== 32) throw malformedEvidence(`a PCR of ${pcr.length} bytes`)
  return pcr
}

/** What the paravisor says of the machine that it runs. */
function secureBoot(runtime: JsonObject): Record<string, string> {
  const configuration = runtime['vm-configuration']
  const on = isJsonObject(configuration) ? configuration['secure-boot'] : undefined
  return typeof on === 'boolean' ? { SECURE_BOOT: on ? '01' : '00' } : {}
}

function userData(runtime: JsonObject): Uint8Array | undefined {
  const text = runtime['user-data']
  return typeof text === 'string' && text !== '' ? bytesOf(text, 'hex') : undefined
}

/** PEM in the first generation, base64 of DER later. */
function certificateBytes(value: string | number[]): Uint8Array {
  if (typeof value === 'string' && value.startsWith('-----')) return new TextEncoder().encode(value)
  return bytesOf(value, 'base64')
}

/** Base64 of either alphabet, with or without padding: generations differ. */
function bytesOf(value: string | readonly number[] | undefined, encoding: 'hex' | 'base64'): Uint8Array {
  if (value === undefined) throw malformedEvidence('a part is missing')
  if (typeof value !== 'string') return Uint8Array.from(value)
  return readingEvidence(() =>
    encoding === 'hex'
      ? fromHex(value.toLowerCase())
      : fromBase64url(
          value
            .replace(/={0,2}$/, '')
            .replaceAll('+', '-')
            .replaceAll('/', '_'),
        ),
  )
}

const PCR_NAMES = Array.from({ length: PCRS }, (_, pcr) => `sha256:${pcr}`)
const VTPM_VALUES: readonly (readonly [string, number])[] = [
  ...PCR_NAMES.map((name): [string, number] => [name, 32]),
  ['SECURE_BOOT', 1],
]

const shared = {
  // By the quote alone. User data are in the processor's report, which would be fresh beside a quote of PCRs from before the machine was changed:
  // its AK, and so what ties the two, stays the same from boot to boot.
  keyBindings: [
    'extra_data=sha256(nonce|spki)',
    'extra_data=sha384(nonce|spki)',
    'extra_data=sha512(nonce|spki)',
    'extra_data=sha256(spki)',
    'extra_data=nonce',
  ],
  padded: true,
} as const

export const azSnpVtpm = hardwareFormat({
  ...shared,
  name: 'az-snp-vtpm',
  roots: [...AMD_ROOTS.keys()],
  references: {
    values: new Map([...SNP_VALUES, ...VTPM_VALUES]),
    // PCRs are the word of the paravisor: without saying which one it is, whoever starts a guest could say them.
    identifying: ['MEASUREMENT', 'ID_KEY_DIGEST'],
    software: ['guestSvn'],
    platform: ['fmc', 'bootloader', 'tee', 'snp', 'microcode'],
  },
  cases: ['debug', 'revoked', 'outdatedTcb', 'unknownTcb', 'uncheckedRevocation', 'expiredCollateral'],
  read: (evidence, context) => readEvidence('snp', evidence, context),
})

export const azTdxVtpm = hardwareFormat({
  ...shared,
  name: 'az-tdx-vtpm',
  roots: INTEL_ROOTS,
  references: {
    values: new Map([...TDX_VALUES, ...VTPM_VALUES]),
    identifying: ['MRTD'],
    software: [],
    platform: [],
  },
  cases: ['debug', 'revoked', 'outdatedTcb', 'unhardened', 'unknownTcb', 'uncheckedRevocation', 'expiredCollateral'],
  read: (evidence, context) => readEvidence('tdx', evidence, context),
})
