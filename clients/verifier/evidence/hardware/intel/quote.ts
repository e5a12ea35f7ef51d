/**
 * Quotes of Intel's quoting enclaves, as bytes: what is signed by whom. Nothing is verified here.
 *
 *     header │ body │ signature by AK │ AK │ QE report │ signature by PCK │ QE data │ PCK chain
 *     └─── signed ──┘                   └──── hashed into the report ─────────┘
 *
 * Version 3 for SGX: "Intel SGX ECDSA QuoteLibReference DCAP API", Appendix A.4. Versions 4 and 5 for both: "Intel TDX DCAP Quoting
 * Library API", Appendix A.3. Version 4 wraps what is behind AK in certification data of type 6; version 5 has a descriptor in front of
 * the body.
 *
 * @module
 */
import { concatBytes, fromUtf8, toHex } from '../../../../../merkle/index.ts'
import { malformedEvidence } from '../../../error.ts'
import { readPem } from '../collateral.ts'
import { ByteReader, checkZero, type Fields, fieldsOf, unsigned } from '../layout.ts'
import type { VendorCertificate } from '../vendor-certificate.ts'

/** A.3.1 and A.4.1: [offset, bytes]. */
const HEADER = {
  version: [0, 2],
  keyType: [2, 2],
  teeType: [4, 4],
  // In version 3: QE SVN and PCE SVN.
  reserved: [8, 4],
  vendor: [12, 16],
} as const
const HEADER_BYTES = 48

/** ECDSA with P-256, the one kind of attestation key that Intel's quoting enclaves have. */
const ECDSA_P256 = 2
const INTEL_QE = '939a7233f79c4ca9940a0db3957f0607'

/** Intel SDM volume 3, "REPORT" (Table 36-21); of QE and application alike. */
export const SGX_BODY = {
  CPUSVN: [0, 16],
  MISCSELECT: [16, 4],
  RESERVED_20: [20, 12],
  ISVEXTPRODID: [32, 16],
  ATTRIBUTES: [48, 16],
  MRENCLAVE: [64, 32],
  RESERVED_96: [96, 32],
  MRSIGNER: [128, 32],
  RESERVED_160: [160, 32],
  CONFIGID: [192, 64],
  ISVPRODID: [256, 2],
  ISVSVN: [258, 2],
  CONFIGSVN: [260, 2],
  RESERVED_262: [262, 42],
  ISVFAMILYID: [304, 16],
  REPORTDATA: [320, 64],
} as const
export type SgxBody = Fields<typeof SGX_BODY>
export const SGX_BODY_BYTES = 384

/** "TD Quote Body" (A.3.2); for TDX 1.5 with two fields more. */
export const TD_BODY = {
  TEE_TCB_SVN: [0, 16],
  MRSEAM: [16, 48],
  MRSIGNERSEAM: [64, 48],
  SEAMATTRIBUTES: [112, 8],
  TDATTRIBUTES: [120, 8],
  XFAM: [128, 8],
  MRTD: [136, 48],
  MRCONFIGID: [184, 48],
  MROWNER: [232, 48],
  MROWNERCONFIG: [280, 48],
  RTMR0: [328, 48],
  RTMR1: [376, 48],
  RTMR2: [424, 48],
  RTMR3: [472, 48],
  REPORTDATA: [520, 64],
} as const
export const TD_15_BODY = { ...TD_BODY, TEE_TCB_SVN_2: [584, 16], MRSERVICETD: [600, 48] } as const
export type TdBody = Fields<typeof TD_BODY> & Partial<Fields<typeof TD_15_BODY>>

/** Bytes by the type that version 5 gives; type 1 is SGX. */
const TD_BODY_BYTES = { td10: 584, td15: 648 }

/** A.4.11: PCK certificate chain, PEM, the leaf first. */
const PCK_CHAIN = 5
/** A.4.9: which platform it is, in clear or encrypted to Intel. Its certificate says the same, and has to be fetched. */
const PLATFORM_IDS: readonly number[] = [1, 2, 3]
/** A.3.10: the QE report and all behind it. */
const QE_REPORT = 6

/** What vouches for the body. */
export interface Quote<Body> {
  readonly body: Body
  /** Header and body: what AK signed. */
  readonly signed: Uint8Array
  /** r ‖ s */
  readonly signature: Uint8Array
  /** x ‖ y on P-256. */
  readonly attestationKey: Uint8Array
  readonly qe: SgxBody
  /** What PCK signed. */
  readonly qeReport: Uint8Array
  readonly qeSignature: Uint8Array
  readonly qeData: Uint8Array
  /** The leaf first, where there are any: some quoting enclaves name the platform alone. */
  readonly certificates: readonly VendorCertificate[]
}

/** @throws {@link VerifierError} `malformed_evidence` */
export function decodeSgxQuote(bytes: Uint8Array): Quote<SgxBody> {
  return decodeQuote(bytes, 'sgx', (body) => sgxBody(body))
}

/** @throws {@link VerifierError} `malformed_evidence` */
export function decodeTdxQuote(bytes: Uint8Array): Quote<TdBody> {
  return decodeQuote(bytes, 'tdx', (body) =>
    body.length === TD_BODY_BYTES.td15 ? fieldsOf(body, TD_15_BODY) : fieldsOf(body, TD_BODY),
  )
}

/**
 * A quote without what comes after it, as the zeros of the buffer it was returned in: nobody signed that, and so it is nowhere recorded. What is
 * no quote comes back as it is.
 */
export function trimQuote(file: Uint8Array): Uint8Array {
  try {
    return file.subarray(0, frameOf(file).end)
  } catch {
    return file
  }
}

type Tee = 'sgx' | 'tdx'

interface Frame {
  readonly version: number
  readonly tee: Tee
  readonly bodyAt: number
  readonly bodyBytes: number
  readonly end: number
}

function frameOf(bytes: Uint8Array): Frame {
  const header = fieldsOf(bytes, HEADER)
  const version = unsigned(header.version)
  const teeType = unsigned(header.teeType)
  if (version < 3 || version > 5) throw malformedEvidence(`a quote of version ${version}`)
  if (teeType !== 0 && !(teeType === 0x81 && version > 3)) throw malformedEvidence(`TEE type ${teeType.toString(16)}`)
  const tee = teeType === 0 ? 'sgx' : 'tdx'

  const reader = new ByteReader(bytes)
  reader.take(HEADER_BYTES, 'the header')
  let bodyBytes = tee === 'sgx' ? SGX_BODY_BYTES : TD_BODY_BYTES.td10
  if (version === 5) {
    const type = reader.number(2, 'the body type')
    const size = reader.number(4, 'the body size')
    bodyBytes = [0, SGX_BODY_BYTES, TD_BODY_BYTES.td10, TD_BODY_BYTES.td15][type] ?? 0
    if (size !== bodyBytes || (type === 1) !== (tee === 'sgx'))
      throw malformedEvidence(`a body of type ${type} and ${size} bytes`)
  }
  const bodyAt = reader.at
  reader.take(bodyBytes, 'the body')
  reader.take(reader.number(4, 'the signature length'), 'the signature')
  return { version, tee, bodyAt, bodyBytes, end: reader.at }
}

function decodeQuote<Body>(bytes: Uint8Array, wanted: Tee, bodyOf: (body: Uint8Array) => Body): Quote<Body> {
  const { version, tee, bodyAt, bodyBytes, end } = frameOf(bytes)
  if (tee !== wanted) throw malformedEvidence(`a quote of ${tee}`)
  if (end !== bytes.length) throw malformedEvidence('bytes after the signature')
  const { keyType, vendor, reserved } = fieldsOf(bytes, HEADER)
  if (unsigned(keyType) !== ECDSA_P256) throw malformedEvidence(`attestation key type ${unsigned(keyType)}`)
  if (toHex(vendor) !== INTEL_QE) throw malformedEvidence('a quoting enclave of another vendor')
  if (version > 3) checkZero({ reserved })

  const bodyEnd = bodyAt + bodyBytes
  const reader = new ByteReader(bytes.subarray(bodyEnd + 4))
  const signature = reader.take(64, 'the signature')
  const attestationKey = reader.take(64, 'the attestation key')
  const endorsed = version === 3 ? reader : new ByteReader(certificationData(reader, QE_REPORT).data)
  const qeReport = endorsed.take(SGX_BODY_BYTES, 'the QE report')
  const qeSignature = endorsed.take(64, 'the QE report’s signature')
  const qeData = endorsed.take(endorsed.number(2, 'the QE data’s length'), 'the QE data')
  const certificates = pckCertificates(certificationData(endorsed, PCK_CHAIN, ...PLATFORM_IDS))
  endorsed.end('the certification data')
  reader.end('the certification data')

  return {
    body: bodyOf(bytes.subarray(bodyAt, bodyEnd)),
    signed: bytes.subarray(0, bodyEnd),
    signature,
    attestationKey,
    qe: sgxBody(qeReport),
    qeReport,
    qeSignature,
    qeData,
    certificates,
  }
}

interface CertificationData {
  readonly type: number
  readonly data: Uint8Array
}

function certificationData(reader: ByteReader, ...wanted: readonly number[]): CertificationData {
  const type = reader.number(2, 'the certification data’s type')
  if (!wanted.includes(type)) throw malformedEvidence(`certification data of type ${type} in the place of ${wanted[0]}`)
  return { type, data: reader.take(reader.number(4, 'the certification data’s length'), 'the certification data') }
}

function pckCertificates({ type, data: text }: CertificationData): readonly VendorCertificate[] {
  if (type !== PCK_CHAIN) return []
  // A C string, for some quoting libraries.
  const end = text.at(-1) === 0 ? text.length - 1 : text.length
  try {
    const pem = fromUtf8(text.subarray(0, end))
    if (/^[\r\n]*(-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----[\r\n]*)+$/.test(pem)) {
      return readPem(pem).certificates
    }
  } catch (cause) {
    throw malformedEvidence('a PCK certificate chain that cannot be read', cause)
  }
  throw malformedEvidence('no PCK certificate chain')
}

function sgxBody(bytes: Uint8Array): SgxBody {
  const body = fieldsOf(bytes, SGX_BODY)
  const { RESERVED_20, RESERVED_96, RESERVED_160, RESERVED_262 } = body
  checkZero({ RESERVED_20, RESERVED_96, RESERVED_160, RESERVED_262 })
  return body
}

/** What QE hashes into its report: A.4.4, "REPORTDATA". */
export function bindingOfKey({ attestationKey, qeData }: Quote<unknown>): Uint8Array {
  return concatBytes(attestationKey, qeData)
}
