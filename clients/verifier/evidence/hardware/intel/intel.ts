/**
 * Intel SGX and TDX: quotes, verified as "Intel TDX DCAP" and "Intel SGX DCAP" describe it.
 *
 *     body ◄─ AK ◄─ hash in the QE's report ◄─ PCK of the platform ◄─ PCK CA ◄─ Intel SGX Root CA
 *                   └─ QE is Intel's, by QE Identity       └─ the platform's TCB, by TCB Info
 *
 * Which enclave a report is of says nothing about who wrote it: a host may run a quoting enclave of its own on a genuine platform, and PCK
 * would certify its report as well. So QE has to be Intel's, which its MRSIGNER tells even where QE Identity was not given.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { equalBytes, toBase64url, toHex } from '../../../../../merkle/index.ts'
import { malformedEvidence, VerifierError } from '../../../error.ts'
import type { EvidenceFormat } from '../../format.ts'
import { chainFrom, checkChain, type Finding } from '../chain.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware-format.ts'
import { hasBit, isZero, type Layout, unsigned } from '../layout.ts'
import { INTEL_ROOTS } from '../roots.ts'
import type { VendorCertificate } from '../vendor-certificate.ts'
import { isForPlatform, platformOf } from './pck.ts'
import {
  bindingOfKey,
  decodeSgxQuote,
  decodeTdxQuote,
  type Quote,
  SGX_BODY,
  type SgxBody,
  TD_15_BODY,
  type TdBody,
  trimQuote,
} from './quote.ts'
import { enclaveIdentity, readIntelCollateral, tcbInfoFor } from './tcb-documents.ts'
import {
  enclaveLevel,
  findingsOf,
  isIntelModule,
  type Judged,
  moduleLevel,
  platformLevel,
  worst,
} from './tcb-status.ts'

/** Intel's quoting enclaves: MRSIGNER and ISVPRODID, as in every QE Identity that Intel has published. */
const QUOTING_ENCLAVES = {
  QE: { mrsigner: '8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff', isvprodid: 1 },
  TD_QE: { mrsigner: 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5', isvprodid: 2 },
}

/** ATTRIBUTES.FLAGS of an enclave (SDM volume 3, Table 36-3). */
const DEBUG = 1

function readSgx(bytes: Uint8Array, context: ReaderContext): HardwareFacts {
  const quote = decodeSgxQuote(bytes)
  const { body } = quote
  return {
    ...verifyQuote(quote, 'QE', context),
    measurements: hexOf(body, SGX_VALUES),
    versions: { isvSvn: unsigned(body.ISVSVN), configSvn: unsigned(body.CONFIGSVN) },
    debug: hasBit(body.ATTRIBUTES, DEBUG),
    chosen: { report_data: body.REPORTDATA },
  }
}

/** Also for evidence that has a quote inside. */
export function readTdx(bytes: Uint8Array, context: ReaderContext): HardwareFacts {
  const quote = decodeTdxQuote(bytes)
  const { body } = quote
  if (!isIntelModule(body)) throw new VerifierError('bad_evidence_signature', 'the TDX module is not Intel’s')
  return {
    ...verifyQuote(quote, 'TD_QE', context, body),
    measurements: hexOf(body, TDX_VALUES),
    versions: {},
    // "TD Under Debug": any of these bits and the TD is not to be trusted (TDX Module Base specification, ATTRIBUTES).
    debug: body.TDATTRIBUTES[0] !== 0,
    chosen: { report_data: body.REPORTDATA },
  }
}

/** All but what the body says. */
function verifyQuote(
  quote: Quote<SgxBody | TdBody>,
  enclave: keyof typeof QUOTING_ENCLAVES,
  { collateral: given, roots, at }: ReaderContext,
  td?: TdBody,
): Pick<HardwareFacts, 'platform' | 'tcb' | 'root' | 'findings'> {
  const collateral = readIntelCollateral(given)
  const context = { roots, at, revocationLists: collateral.revocationLists }
  const chain = chainOf(quote, given.certificates)
  const findings = checkChain(chain, context)
  const [pck] = chain
  const platform = platformOf(pck!)
  checkSignatures(quote, pck!.publicKey)
  checkQuotingEnclave(quote.qe, enclave)

  const levels: Judged[] = []
  const judge = (what: string, level: Judged) => {
    levels.push(level)
    findings.push(...findingsOf(what, level))
  }
  const unknown = (why: string): Finding => ({ case: 'unknownTcb', why })

  const identity = enclaveIdentity(enclave, collateral, context)
  if (identity) {
    findings.push(...identity.findings)
    judge('the quoting enclave', enclaveLevel(identity.document, quote.qe))
  } else findings.push(unknown(`no identity of ${enclave} was given`))

  const info = tcbInfoFor(td ? 'TDX' : 'SGX', platform, collateral, context)
  if (info) {
    findings.push(...info.findings)
    judge('the platform', platformLevel(info.document, platform, td))
    const module = td && moduleLevel(info.document, td)
    if (module === 'unknown') findings.push(unknown('Intel lists no TDX module of this version'))
    else if (module) judge('the TDX module', module)
  } else findings.push(unknown(`no TCB info for FMSPC ${platform.fmspc} was given`))

  return {
    platform: { model: platform.fmspc, id: platform.ppid },
    ...(levels.length > 0 ? { tcb: worst(levels) } : {}),
    root: chain.at(-1)!.fingerprint,
    findings,
  }
}

/** The platform's certificate and those above it: all in the quote, or all given. A platform has a key for each TCB, by which its own is found. */
function chainOf(
  { certificates, qeReport, qeSignature }: Quote<unknown>,
  given: readonly VendorCertificate[],
): VendorCertificate[] {
  if (certificates[0]) return chainFrom(certificates[0], certificates)
  const candidates = given.filter(isForPlatform)
  const pck = candidates.find(({ publicKey }) => holds(qeReport, qeSignature, publicKey)) ?? candidates[0]
  if (!pck) throw new VerifierError('missing_collateral', 'no PCK certificate is in the quote, or was given')
  return chainFrom(pck, given)
}

function checkSignatures(quote: Quote<unknown>, pck: KeyObject): void {
  const { signed, signature, attestationKey, qe, qeReport, qeSignature } = quote
  if (!holds(qeReport, qeSignature, pck)) throw refuse('the QE report is not signed by the platform’s key')
  const hash = createHash('sha256').update(bindingOfKey(quote)).digest()
  if (!equalBytes(qe.REPORTDATA.subarray(0, 32), hash) || !isZero(qe.REPORTDATA.subarray(32))) {
    throw refuse('the QE report is about another attestation key')
  }
  if (!holds(signed, signature, importPoint(attestationKey))) {
    throw refuse('the quote is not signed by the attestation key')
  }
}

function checkQuotingEnclave({ MRSIGNER, ISVPRODID, ATTRIBUTES }: SgxBody, name: keyof typeof QUOTING_ENCLAVES): void {
  const { mrsigner, isvprodid } = QUOTING_ENCLAVES[name]
  if (toHex(MRSIGNER) !== mrsigner || unsigned(ISVPRODID) !== isvprodid || hasBit(ATTRIBUTES, DEBUG)) {
    throw refuse(`the quoting enclave is not Intel’s ${name}`)
  }
}

function holds(content: Uint8Array, signature: Uint8Array, key: KeyObject): boolean {
  return (
    key.asymmetricKeyDetails?.namedCurve === 'prime256v1' &&
    verify('sha256', content, { key, dsaEncoding: 'ieee-p1363' }, signature)
  )
}

function importPoint(point: Uint8Array): KeyObject {
  const [x, y] = [toBase64url(point.subarray(0, 32)), toBase64url(point.subarray(32))]
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
  } catch (cause) {
    throw malformedEvidence('the attestation key is no point of P-256', cause)
  }
}

function refuse(why: string): VerifierError {
  return new VerifierError('bad_evidence_signature', why)
}

function hexOf(body: Readonly<Record<string, Uint8Array | undefined>>, names: ReadonlyMap<string, number>) {
  return Object.fromEntries(
    [...names.keys()].flatMap((name) => {
      const value = body[name]
      return value ? [[name, toHex(value)]] : []
    }),
  )
}

function lengths(layout: Layout, names: readonly string[]): ReadonlyMap<string, number> {
  return new Map(names.map((name) => [name, layout[name]![1]]))
}

const SGX_VALUES = lengths(SGX_BODY, [
  'MRENCLAVE',
  'MRSIGNER',
  'ISVPRODID',
  'ISVEXTPRODID',
  'ISVFAMILYID',
  'CONFIGID',
  'ATTRIBUTES',
  'MISCSELECT',
])

export const TDX_VALUES = lengths(TD_15_BODY, [
  'MRTD',
  'RTMR0',
  'RTMR1',
  'RTMR2',
  'RTMR3',
  'MRCONFIGID',
  'MROWNER',
  'MROWNERCONFIG',
  'MRSERVICETD',
  'MRSEAM',
  'TDATTRIBUTES',
  'XFAM',
])

const shared = {
  roots: INTEL_ROOTS,
  keyBindings: [
    'report_data=sha512(nonce|spki)',
    'report_data=sha384(nonce|spki)',
    'report_data=sha256(nonce|spki)',
    'report_data=sha256(spki)',
    'report_data=nonce',
  ],
  padded: true,
  cases: ['debug', 'revoked', 'outdatedTcb', 'unhardened', 'unknownTcb', 'uncheckedRevocation', 'expiredCollateral'],
  ofFile: trimQuote,
} as const

export const sgx: EvidenceFormat = hardwareFormat({
  ...shared,
  name: 'sgx',
  references: {
    values: SGX_VALUES,
    identifying: ['MRENCLAVE', 'MRSIGNER'],
    software: ['isvSvn', 'configSvn'],
    platform: [],
  },
  read: readSgx,
})

export const tdx: EvidenceFormat = hardwareFormat({
  ...shared,
  name: 'tdx',
  references: { values: TDX_VALUES, identifying: ['MRTD'], software: [], platform: [] },
  read: readTdx,
})
