/**
 * NVIDIA GPUs and NVSwitches in confidential computing: SPDM measurement reports. Two forms are read:
 *
 *     [{ "arch": "HOPPER", "certificate": "<base64 of PEM>", "evidence": "<base64>", "nonce": "<hex>" }, …]    as NVIDIA's SDK collects it
 *     the report itself, or its hexadecimal text, with the certificates as collateral                          as NVML gives it
 *
 *     report ◄─ FMC, made by the device as it started ◄─ BROM, of this device ◄─ Provisioner ICA ◄─ Identity ◄─ NVIDIA Device Identity CA
 *
 * The device has no clock: what makes a report fresh is its nonce, and so the nonce is also what can name a workload's key. NVIDIA signs reference
 * measurements for each driver and VBIOS as RIM documents (XML); they are not read here, and their values go into our reference values.
 *
 * @module
 */
import { verify } from 'node:crypto'
import { Type } from 'typebox'
import { equalBytes, fromBase64, fromHex, fromUtf8, toHex, utf8 } from '../../../../../merkle/index.ts'
import { DerReader, readDer, TAG } from '../../../../../provenance/certificates/der.ts'
import { readDocument } from '../../../document.ts'
import { malformedEvidence, readingEvidence, VerifierError } from '../../../error.ts'
import { chainFrom, checkChain } from '../chain.ts'
import { type Collateral, readPem } from '../collateral.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware-format.ts'
import { NVIDIA_ROOTS } from '../roots.ts'
import type { VendorCertificate } from '../vendor-certificate.ts'
import { decodeSpdmReport, type SpdmReport } from './spdm.ts'

type Kind = 'gpu' | 'switch'

/** Opaque fields by type, as far as their meaning is known: name, and how many bytes the value may have. */
const OPAQUE: ReadonlyMap<number, string> = new Map([
  [3, 'DRIVER_VERSION'],
  [4, 'GPU_INFO'],
  [5, 'SKU'],
  [6, 'VBIOS_VERSION'],
  [11, 'NVDEC0_STATUS'],
  [13, 'CPRINFO'],
  [14, 'BOARD_ID'],
  [15, 'CHIP_SKU'],
  [16, 'CHIP_SKU_MOD'],
  [17, 'PROJECT'],
  [18, 'PROJECT_SKU'],
  [19, 'PROJECT_SKU_MOD'],
  [20, 'FWID'],
  [21, 'PROTECTED_PCIE_STATUS'],
])
const FWID = 20

const MAX_DEVICES = 64
const MAX_MEASUREMENTS = 255

const Base64 = Type.String({ minLength: 4, maxLength: 200_000 })
const Document = Type.Array(
  // What else the SDK adds, such as a UUID, nobody signed.
  Type.Object({
    arch: Type.Optional(Type.String({ maxLength: 64 })),
    certificate: Base64,
    evidence: Base64,
    nonce: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{64}$' })),
  }),
  { minItems: 1, maxItems: MAX_DEVICES },
)

interface Device {
  readonly report: Uint8Array
  readonly certificates: readonly VendorCertificate[]
}

function devicesIn(evidence: Uint8Array, { certificates }: Collateral): Device[] {
  // A report begins with the version of SPDM, 11h, which no text does.
  if (evidence[0] === 0x11) return [{ report: evidence, certificates }]
  const text = readingEvidence(() => fromUtf8(evidence)).trim()
  if (!text.startsWith('[')) {
    const hex = text.toLowerCase()
    if (!/^([0-9a-f]{2})+$/.test(hex))
      throw malformedEvidence('neither a report, nor its hexadecimal text, nor the list of NVIDIA’s SDK')
    return [{ report: fromHex(hex), certificates }]
  }
  return readDocument(Document, text, 'malformed_evidence').map((device) => {
    const [report, pem] = readingEvidence(() => [fromBase64(device.evidence), fromBase64(device.certificate)] as const)
    const own = readingEvidence(() => readPem(fromUtf8(pem)))
    if (device.nonce !== undefined && device.nonce.toLowerCase() !== toHex(report.subarray(4, 36))) {
      throw malformedEvidence('a nonce beside the report that is not in it')
    }
    return { report, certificates: [...own.certificates, ...certificates] }
  })
}

function readDevice(kind: Kind, { report: bytes, certificates }: Device, context: ReaderContext): HardwareFacts {
  const report = decodeSpdmReport(bytes)
  const leaf = signerOf(report, certificates)
  const chain = chainFrom(leaf, certificates)
  const findings = checkChain(chain, {
    roots: context.roots,
    at: context.at,
    revocationLists: context.collateral.revocationLists,
    // The device made the leaf itself, and cannot sign lists. What NVIDIA issued can be put on hold.
    isListed: (place) => place > 0,
  })
  const device = chain[1]!
  const model = device.commonName ?? device.name
  if (model.startsWith('LS') !== (kind === 'switch')) {
    throw new VerifierError('wrong_format', `${model} is ${kind === 'gpu' ? 'a switch and no GPU' : 'no switch'}`)
  }
  checkFirmwareId(report, leaf)
  return {
    measurements: {
      ...Object.fromEntries([...report.measurements].map(([index, value]) => [`measurement:${index}`, toHex(value)])),
      ...opaqueValues(report, kind),
    },
    versions: {},
    // NVIDIA's `ueid` is this number in decimal.
    platform: { model, id: leaf.serial },
    chosen: { nonce: report.nonce },
    root: chain.at(-1)!.fingerprint,
    findings,
  }
}

/** @throws {@link VerifierError} `missing_collateral`, `bad_evidence_signature` */
function signerOf({ signed, signature }: SpdmReport, certificates: readonly VendorCertificate[]): VendorCertificate {
  const candidates = certificates.filter(
    ({ authority, publicKey }) => !authority && publicKey.asymmetricKeyDetails?.namedCurve === 'secp384r1',
  )
  if (candidates.length === 0) {
    throw new VerifierError('missing_collateral', 'no certificate of a device was given')
  }
  const signer = candidates.find(({ publicKey }) =>
    verify('sha384', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature),
  )
  if (!signer) throw new VerifierError('bad_evidence_signature', 'not signed by a device whose certificate was given')
  return signer
}

/** DICE composite device id (TCG), which NVIDIA's leaf certificates carry: the key is of a device that runs this firmware. */
const DICE_FWID = '2.23.133.5.4.1'

/** @throws {@link VerifierError} `wrong_collateral` where the certificate is for other firmware than the report is from */
function checkFirmwareId({ opaque }: SpdmReport, { extensions }: VendorCertificate): void {
  const [reported, extension] = [opaque.get(FWID), extensions.get(DICE_FWID)]
  if (!reported || !extension) return
  const certified = readingEvidence(() => {
    const id = new DerReader(readDer(extension, TAG.sequence).content)
    id.next(TAG.integer)
    id.next(TAG.sequence)
    const firmware = id.sequence()
    firmware.next(TAG.oid)
    return firmware.next(TAG.octetString).content
  })
  if (!equalBytes(certified, reported)) {
    throw new VerifierError('wrong_collateral', 'the certificate is for other firmware than the report is from')
  }
}

function opaqueValues({ opaque }: SpdmReport, kind: Kind): Record<string, string> {
  const entries = [...opaque].flatMap(([type, value]): [string, string][] => {
    const name = OPAQUE.get(type)
    if (name === undefined || value.length === 0) return []
    if (name === 'DRIVER_VERSION') return [[name, toHex(withoutZeros(value))]]
    if (name === 'VBIOS_VERSION' && kind === 'gpu') return [[name, toHex(utf8(vbiosVersion(value)))]]
    return [[name, toHex(value)]]
  })
  return Object.fromEntries(entries.filter(([, hex]) => hex !== ''))
}

/** Texts end with a zero. */
function withoutZeros(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1)
}

/** As NVIDIA writes it, `96.00.9F.00.01`: four bytes, the last first, and the fifth. */
function vbiosVersion(bytes: Uint8Array): string {
  if (bytes.length < 5) throw malformedEvidence('a VBIOS version of less than five bytes')
  return [bytes[3]!, bytes[2]!, bytes[1]!, bytes[0]!, bytes[4]!]
    .map((byte) => byte.toString(16).padStart(2, '0').toUpperCase())
    .join('.')
}

const MEASUREMENTS = Array.from({ length: MAX_MEASUREMENTS }, (_, i) => `measurement:${i + 1}`)
const ANY_LENGTH = Array.from({ length: 64 }, (_, i) => i + 1)

const VALUES = new Map<string, number | readonly number[]>([
  ...MEASUREMENTS.map((name): [string, readonly number[]] => [name, [32, 48, 64]]),
  ...[...OPAQUE.values()].map((name): [string, readonly number[]] => [name, ANY_LENGTH]),
])

function nvidia(kind: Kind) {
  return hardwareFormat({
    name: `nvidia-${kind}`,
    roots: NVIDIA_ROOTS,
    // It says what the device runs. What else has access to the machine around it, and to the bus, it does not know.
    claims: ['instance-identity', 'configuration', 'executables', 'hardware'],
    references: { values: VALUES, identifying: MEASUREMENTS, software: [], platform: [] },
    keyBindings: ['nonce=sha256(nonce|spki)', 'nonce=sha256(spki)', 'nonce=nonce', 'nonce=hex(nonce)'],
    padded: false,
    cases: ['revoked', 'uncheckedRevocation', 'expiredCollateral'],
    read(evidence, context) {
      const devices = devicesIn(evidence, context.collateral)
      const name = kind === 'gpu' ? 'GPU' : 'SWITCH'
      const facts = devices.map((device) => readDevice(kind, device, context))
      return facts.length === 1 ? facts[0]! : new Map(facts.map((each, i) => [`${name}-${i}`, each]))
    },
  })
}

export const nvidiaGpu = nvidia('gpu')
export const nvidiaSwitch = nvidia('switch')
