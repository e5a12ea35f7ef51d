/**
 * AMD SEV-SNP: the attestation report of the secure processor, as the firmware gives it: 1184 bytes.
 *
 *     report ◄─ VCEK ◄─ ASK  ◄─ ARK       a key of this chip at this TCB
 *            ◄─ VLEK ◄─ ASVK ◄─ ARK       a key that AMD gave to a cloud provider for this TCB
 *
 * AMD publication 56860 ("SEV Secure Nested Paging Firmware ABI Specification") §7.3, Table 23, for the report; publication 57230
 * ("VCEK Certificate and KDS Interface Specification") §3.1, Table 8, for the certificate's extensions. Certificates and revocation
 * lists are collateral.
 *
 * A key is derived from the TCB, so a certificate is for the report when its TCB is the reported one, and its chip is the report's. AMD
 * says nowhere which TCB is good: reference values do, by `platforms[].minimum`.
 *
 * @module
 */
import { verify } from 'node:crypto'
import { concatBytes, equalBytes, fromUtf8, toHex } from '../../../../merkle/index.ts'
import { derSmallUnsigned, readDer } from '../../../../provenance/certificates/der.ts'
import { malformedCollateral, malformedEvidence, VerifierError } from '../../error.ts'
import { chainFrom, checkChain } from './chain.ts'
import { joinCollateral } from './collateral.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from './hardware-format.ts'
import { checkZero, type Fields, fieldsOf, hasBit, isZero, unsigned } from './layout.ts'
import { AMD_ROOTS } from './roots.ts'
import { readCertificateTable } from './snp-certificate-table.ts'
import type { VendorCertificate } from './vendor-certificate.ts'

const REPORT_BYTES = 0x4a0

/** Table 23: [offset, bytes]. */
const REPORT = {
  VERSION: [0x00, 4],
  GUEST_SVN: [0x04, 4],
  POLICY: [0x08, 8],
  FAMILY_ID: [0x10, 16],
  IMAGE_ID: [0x20, 16],
  VMPL: [0x30, 4],
  SIGNATURE_ALGO: [0x34, 4],
  CURRENT_TCB: [0x38, 8],
  PLATFORM_INFO: [0x40, 8],
  KEY_FLAGS: [0x48, 4],
  RESERVED_4C: [0x4c, 4],
  REPORT_DATA: [0x50, 64],
  MEASUREMENT: [0x90, 48],
  HOST_DATA: [0xc0, 32],
  ID_KEY_DIGEST: [0xe0, 48],
  AUTHOR_KEY_DIGEST: [0x110, 48],
  REPORT_ID: [0x140, 32],
  REPORT_ID_MA: [0x160, 32],
  REPORTED_TCB: [0x180, 8],
  CPUID: [0x188, 3],
  RESERVED_18B: [0x18b, 21],
  CHIP_ID: [0x1a0, 64],
  COMMITTED_TCB: [0x1e0, 8],
  CURRENT_VERSION: [0x1e8, 3],
  RESERVED_1EB: [0x1eb, 1],
  COMMITTED_VERSION: [0x1ec, 3],
  RESERVED_1EF: [0x1ef, 1],
  LAUNCH_TCB: [0x1f0, 8],
  MITIGATIONS: [0x1f8, 16],
  RESERVED_208: [0x208, 152],
  SIGNED: [0x00, 0x2a0],
  // §7.3, "Signature": two numbers of 72 bytes, little-endian, of which a P-384 signature uses 48.
  SIGNATURE_R: [0x2a0, 48],
  RESERVED_R: [0x2d0, 24],
  SIGNATURE_S: [0x2e8, 48],
  RESERVED_S: [0x318, 24],
  RESERVED_330: [0x330, 368],
} as const

/** Table 9, POLICY. */
const POLICY = { reservedOne: 17, debug: 19 }

/** §2.2, Table 3: which byte of a TCB_VERSION is what. */
const TCB_LAYOUTS = {
  Milan: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Genoa: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Turin: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 },
} as const
type Model = keyof typeof TCB_LAYOUTS
type TcbName = 'fmc' | 'bootloader' | 'tee' | 'snp' | 'microcode'

/** Publication 57230 Table 8, below 1.3.6.1.4.1.3704.1. Those of reserved bytes are left out: they are in no layout. */
const OID = {
  productName: '1.3.6.1.4.1.3704.1.2',
  bootloader: '1.3.6.1.4.1.3704.1.3.1',
  tee: '1.3.6.1.4.1.3704.1.3.2',
  snp: '1.3.6.1.4.1.3704.1.3.3',
  microcode: '1.3.6.1.4.1.3704.1.3.8',
  fmc: '1.3.6.1.4.1.3704.1.3.9',
  hardwareId: '1.3.6.1.4.1.3704.1.4',
}

/** CPUID family 19h models 00h–0Fh and 10h–1Fh, A0h–AFh; family 1Ah models 00h–1Fh. */
const CPUID_MODELS: readonly (readonly [family: number, first: number, last: number, model: Model])[] = [
  [0x19, 0x00, 0x0f, 'Milan'],
  [0x19, 0x10, 0x1f, 'Genoa'],
  [0x19, 0xa0, 0xaf, 'Genoa'],
  [0x1a, 0x00, 0x1f, 'Turin'],
]

/** Also for evidence that has a report inside. */
export function readSnpReport(bytes: Uint8Array, { collateral, roots, at }: ReaderContext): HardwareFacts {
  const report = decodeReport(bytes)
  const endorsement = endorsementFor(report, collateral.certificates)
  const { certificate, model } = endorsement
  const chain = chainFrom(certificate, collateral.certificates)
  const { revocationLists } = collateral
  // ARK's lists are the only ones. Keys of chips are not revoked: they are of a TCB, and a minimum rules that out.
  const findings = checkChain(chain, { roots, at, revocationLists, isListed: (place) => place > 0 })
  const root = chain.at(-1)!.fingerprint
  // Whose line of processors a root is for is known of AMD's own: one line's root does not speak for another.
  if ((AMD_ROOTS.get(root) ?? model) !== model) throw wrong(`a certificate for ${model} under the root of another line`)
  checkSignature(report, certificate)

  return {
    measurements: Object.fromEntries([...SNP_VALUES.keys()].map((name) => [name, toHex(report[name as keyof Report])])),
    versions: { guestSvn: unsigned(report.GUEST_SVN), ...tcbOf(report.REPORTED_TCB, model) },
    platform: { model, ...(endorsement.chip ? { id: toHex(endorsement.chip) } : {}) },
    debug: hasBit(report.POLICY, POLICY.debug),
    chosen: { report_data: report.REPORT_DATA },
    root,
    findings,
  }
}

/** A report, and certificates that the host keeps, if it gave them along. */
function readReportOfHost(evidence: Uint8Array, context: ReaderContext): HardwareFacts {
  if (evidence.length <= REPORT_BYTES) return readSnpReport(evidence, context)
  const ofHost = readCertificateTable(evidence.subarray(REPORT_BYTES))
  const collateral = joinCollateral(ofHost, context.collateral)
  return readSnpReport(evidence.subarray(0, REPORT_BYTES), { ...context, collateral })
}

type Report = Fields<typeof REPORT>

function decodeReport(bytes: Uint8Array): Report {
  if (bytes.length !== REPORT_BYTES) throw malformedEvidence(`${bytes.length} bytes, and not ${REPORT_BYTES}`)
  const report = fieldsOf(bytes, REPORT)
  const version = unsigned(report.VERSION)
  // What is new with 4 are values of fields that 3 has.
  if (version < 2 || version > 5) throw malformedEvidence(`a report of version ${version}`)
  if (unsigned(report.SIGNATURE_ALGO) !== 1) throw malformedEvidence('not signed by ECDSA P-384 with SHA-384')
  if (unsigned(report.KEY_FLAGS) >= 32) throw malformedEvidence('bits 31:5 of KEY_FLAGS must be zero')
  if (!hasBit(report.POLICY, POLICY.reservedOne)) throw malformedEvidence('bit 17 of POLICY must be one')
  const { RESERVED_4C, RESERVED_18B, RESERVED_1EB, RESERVED_1EF, RESERVED_208, RESERVED_R, RESERVED_S, RESERVED_330 } =
    report
  checkZero({
    RESERVED_4C,
    RESERVED_18B,
    RESERVED_1EB,
    RESERVED_1EF,
    RESERVED_208,
    RESERVED_R,
    RESERVED_S,
    RESERVED_330,
    // New with versions 3 and 5.
    ...(version < 3 ? { CPUID: report.CPUID } : {}),
    ...(version < 5 ? { MITIGATIONS: report.MITIGATIONS } : {}),
  })
  return report
}

interface Endorsement {
  readonly certificate: VendorCertificate
  readonly model: Model
  /** Absent for a VLEK under a masked CHIP_ID. */
  readonly chip?: Uint8Array
}

/**
 * The certificate given that is for this report. It is looked for by what it says; whether its key made the signature comes later.
 *
 * @throws {@link VerifierError} `missing_collateral`, `wrong_collateral`
 */
function endorsementFor(report: Report, given: readonly VendorCertificate[]): Endorsement {
  const candidates = given.filter(({ extensions }) => extensions.has(OID.microcode))
  let reason: VerifierError | undefined
  for (const certificate of candidates) {
    try {
      return endorsement(report, certificate)
    } catch (error) {
      if (!(error instanceof VerifierError)) throw error
      reason ??= error
    }
  }
  throw reason ?? new VerifierError('missing_collateral', 'neither a VCEK nor a VLEK certificate was given')
}

function endorsement(report: Report, certificate: VendorCertificate): Endorsement {
  const { extensions } = certificate
  const model = modelOf(extensions.get(OID.productName))
  const fromCpuid = modelOfCpuid(report.CPUID)
  if (fromCpuid && fromCpuid !== model) throw wrong(`a certificate for ${model}, and the report is from ${fromCpuid}`)

  const tcb = tcbOf(report.REPORTED_TCB, model)
  for (const [name, level] of Object.entries(tcb) as [TcbName, number][]) {
    const endorsed = numberIn(extensions.get(OID[name]))
    if (endorsed !== level) throw wrong(`a certificate for ${name} ${endorsed}, and the report is of ${level}`)
  }

  // KEY_FLAGS bits 4:2: 0 is the VCEK, 1 the VLEK. Only a VCEK's certificate names a chip.
  const signer = (unsigned(report.KEY_FLAGS) >> 2) & 7
  const hardwareId = extensions.get(OID.hardwareId)
  if (signer > 1) throw malformedEvidence('a report that is not signed')
  if ((signer === 0) !== (hardwareId !== undefined)) {
    throw wrong(`a certificate of a ${hardwareId ? 'VCEK' : 'VLEK'}, and a report by the other key`)
  }
  // Hosts may mask the chip's identity, with zeros. Turin's has 8 bytes.
  if (isZero(report.CHIP_ID)) return { certificate, model, ...(hardwareId ? { chip: hardwareId } : {}) }
  if (hardwareId) {
    const chip = report.CHIP_ID.subarray(0, hardwareId.length)
    if (!equalBytes(chip, hardwareId) || !isZero(report.CHIP_ID.subarray(hardwareId.length))) {
      throw wrong('a certificate of another chip')
    }
    return { certificate, model, chip: hardwareId }
  }
  return { certificate, model, chip: report.CHIP_ID }
}

function checkSignature(report: Report, { publicKey }: VendorCertificate): void {
  const signature = concatBytes(report.SIGNATURE_R.toReversed(), report.SIGNATURE_S.toReversed())
  if (
    publicKey.asymmetricKeyDetails?.namedCurve !== 'secp384r1' ||
    !verify('sha384', report.SIGNED, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)
  ) {
    throw new VerifierError('bad_evidence_signature', 'not signed by the key that was certified')
  }
}

/** Every byte of a TCB_VERSION that has a name. @throws {@link VerifierError} `wrong_collateral` when another is in use */
function tcbOf(version: Uint8Array, model: Model): Readonly<Record<TcbName, number>> {
  const layout = Object.entries(TCB_LAYOUTS[model])
  version.forEach((byte, i) => {
    if (byte !== 0 && !layout.some(([, at]) => at === i)) throw wrong(`the report’s TCB is not as that of ${model}`)
  })
  return Object.fromEntries(layout.map(([name, at]) => [name, version[at]!])) as Record<TcbName, number>
}

/** `Milan-B0` is Milan. */
function modelOf(productName: Uint8Array | undefined): Model {
  const name = productName ? ia5(productName).replace(/-.*$/, '') : 'none'
  const model = (Object.keys(TCB_LAYOUTS) as Model[]).find((known) => known === name)
  if (!model) throw wrong(`a certificate for ${JSON.stringify(name)}`)
  return model
}

/** Undefined where the report does not say, or names a processor that is newer than this table. */
function modelOfCpuid([family, model]: Uint8Array): Model | undefined {
  return CPUID_MODELS.find(([f, first, last]) => f === family && model! >= first && model! <= last)?.[3]
}

function ia5(value: Uint8Array): string {
  return readExtension(() => fromUtf8(readDer(value, 0x16).content))
}

function numberIn(value: Uint8Array | undefined): number | undefined {
  return value && readExtension(() => derSmallUnsigned(readDer(value)))
}

function readExtension<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw malformedCollateral('an extension of a VCEK or VLEK certificate', cause)
  }
}

function wrong(why: string): VerifierError {
  return new VerifierError('wrong_collateral', why)
}

/** What reference values may name: who launched what, and under which policy. */
export const SNP_VALUES = new Map(
  (
    [
      'MEASUREMENT',
      'HOST_DATA',
      'ID_KEY_DIGEST',
      'AUTHOR_KEY_DIGEST',
      'FAMILY_ID',
      'IMAGE_ID',
      'POLICY',
      'VMPL',
      'PLATFORM_INFO',
    ] as const
  ).map((name) => [name as string, REPORT[name][1] as number]),
)

export const sevSnp = hardwareFormat({
  name: 'sev-snp',
  roots: [...AMD_ROOTS.keys()],
  references: {
    values: SNP_VALUES,
    identifying: ['MEASUREMENT'],
    software: ['guestSvn'],
    platform: ['fmc', 'bootloader', 'tee', 'snp', 'microcode'],
  },
  keyBindings: [
    'report_data=sha512(nonce|spki)',
    'report_data=sha384(nonce|spki)',
    'report_data=sha256(nonce|spki)',
    'report_data=sha256(spki)',
    'report_data=nonce',
  ],
  padded: true,
  cases: ['debug', 'revoked', 'outdatedTcb', 'unknownTcb', 'uncheckedRevocation', 'expiredCollateral'],
  read: readReportOfHost,
})
