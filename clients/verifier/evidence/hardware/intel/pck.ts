/**
 * The PCK certificate: which platform it is for, and at which TCB.
 *
 * "Intel SGX PCK Certificate and Certificate Revocation List Profile Specification" §1.3.5: one extension, a sequence of pairs of OID and
 * value, below 1.2.840.113741.1.13.1.
 *
 * @module
 */
import { toHex } from '../../../../../merkle/index.ts'
import {
  type DerElement,
  DerReader,
  derOid,
  derSmallUnsigned,
  readDer,
  TAG,
} from '../../../../../provenance/certificates/der.ts'
import { malformedEvidence, VerifierError } from '../../../error.ts'
import type { VendorCertificate } from '../vendor-certificate.ts'

export interface PckPlatform {
  /** Family, model, stepping, platform type and custom SKU; 6 bytes, lower-case hex. */
  readonly fmspc: string
  readonly pceId: string
  /** Of this one platform, encrypted or not; lower-case hex. */
  readonly ppid: string
  /** Sixteen of them. */
  readonly components: readonly number[]
  readonly pceSvn: number
}

const SGX = '1.2.840.113741.1.13.1'
const OID = { ppid: `${SGX}.1`, tcb: `${SGX}.2`, pceId: `${SGX}.3`, fmspc: `${SGX}.4` }
const PCE_SVN = 17
const COMPONENTS = 16

export function isForPlatform({ extensions }: VendorCertificate): boolean {
  return extensions.has(SGX)
}

/** @throws {@link VerifierError} `bad_certificate_chain` for a certificate that is for no platform */
export function platformOf({ extensions, name }: VendorCertificate): PckPlatform {
  const extension = extensions.get(SGX)
  if (!extension) throw new VerifierError('bad_certificate_chain', `${name} is not for a platform`)
  try {
    const members = pairs(readDer(extension, TAG.sequence))
    const tcb = pairs(member(members, OID.tcb))
    const number = (index: number) => derSmallUnsigned(member(tcb, `${OID.tcb}.${index}`))
    return {
      fmspc: octets(member(members, OID.fmspc), 6),
      pceId: octets(member(members, OID.pceId), 2),
      ppid: octets(member(members, OID.ppid), 16),
      components: Array.from({ length: COMPONENTS }, (_, i) => number(i + 1)),
      pceSvn: number(PCE_SVN),
    }
  } catch (cause) {
    throw malformedEvidence(`the SGX extension of ${name}`, cause)
  }
}

function pairs(sequence: DerElement): ReadonlyMap<string, DerElement> {
  const found = new Map<string, DerElement>()
  const list = new DerReader(readDer(sequence.whole, TAG.sequence).content)
  while (!list.done) {
    const pair = list.sequence()
    const oid = derOid(pair.next(TAG.oid))
    if (found.has(oid)) throw new Error(`${oid} twice`)
    found.set(oid, pair.next())
    pair.end()
  }
  return found
}

function member(members: ReadonlyMap<string, DerElement>, oid: string): DerElement {
  const element = members.get(oid)
  if (!element) throw new Error(`${oid} is missing`)
  return element
}

function octets(element: DerElement, length: number): string {
  if (element.tag !== TAG.octetString || element.content.length !== length) throw new Error(`not ${length} bytes`)
  return toHex(element.content)
}
