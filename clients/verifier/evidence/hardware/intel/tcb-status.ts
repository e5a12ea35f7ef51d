/**
 * How good a platform is by Intel's documents: the algorithm that the Provisioning Certification Service describes at "Get TCB Info" and
 * "Get Quoting Enclave Identity".
 *
 * TCB levels are listed from the newest to the oldest. The first that a platform reaches in every component is its level.
 *
 * @module
 */
import { fromHex, toHex } from '../../../../../merkle/index.ts'
import { VerifierError } from '../../../error.ts'
import type { Finding } from '../chain.ts'
import type { HardwareFacts } from '../hardware-format.ts'
import { isZero, unsigned } from '../layout.ts'
import type { PckPlatform } from './pck.ts'
import type { SgxBody, TdBody } from './quote.ts'
import { type EnclaveIdentity, TCB_STATUSES, type TcbInfo, type TcbStatus } from './tcb-documents.ts'

/** A level that was reached. */
export interface Judged {
  readonly tcbStatus: TcbStatus
  /** When Intel found out what makes older levels bad. */
  readonly tcbDate: string
  readonly advisoryIDs?: readonly string[]
}

/** What a platform that reaches none of the levels listed is. */
const BELOW_ALL: Judged = { tcbStatus: 'OutOfDate', tcbDate: '', advisoryIDs: [] }

/** @param td - of a TDX quote; its module counts too */
export function platformLevel(info: TcbInfo, platform: PckPlatform, td?: TdBody): Judged {
  const teeSvn = td?.TEE_TCB_SVN
  const level = info.tcbLevels.find(
    ({ tcb }) =>
      reaches(platform.components, tcb.sgxtcbcomponents) &&
      platform.pceSvn >= tcb.pcesvn &&
      // From TDX 1.5 on the first two are of the module, which has levels of its own.
      (!teeSvn || reaches(teeSvn, tcb.tdxtcbcomponents ?? [], teeSvn[1] === 0 ? 0 : 2)),
  )
  return level ?? BELOW_ALL
}

/**
 * The level of the TDX module; undefined where the platform's level is also the module's.
 *
 * @throws {@link VerifierError} `bad_evidence_signature` for a module that Intel did not sign
 */
export function moduleLevel(info: TcbInfo, td: TdBody): Judged | 'unknown' | undefined {
  const [svn = 0, version = 0] = td.TEE_TCB_SVN
  const id = `TDX_${version.toString(16).padStart(2, '0').toUpperCase()}`
  const identity = info.tdxModuleIdentities?.find((candidate) => candidate.id === id)
  const module = version === 0 ? info.tdxModule : identity
  if (!module) return 'unknown'
  const masked = mask(td.SEAMATTRIBUTES, module.attributesMask)
  if (toHex(td.MRSIGNERSEAM) !== module.mrsigner.toLowerCase() || masked !== module.attributes.toLowerCase()) {
    throw new VerifierError('bad_evidence_signature', `the TDX module is not ${id}`)
  }
  if (version === 0) return undefined
  return identity?.tcbLevels.find(({ tcb }) => svn >= tcb.isvsvn) ?? BELOW_ALL
}

/** @throws {@link VerifierError} `bad_evidence_signature` for another enclave */
export function enclaveLevel(identity: EnclaveIdentity, qe: SgxBody): Judged {
  const same =
    toHex(qe.MRSIGNER) === identity.mrsigner.toLowerCase() &&
    unsigned(qe.ISVPRODID) === identity.isvprodid &&
    // PCS gives it as a big-endian number and the report as a little-endian one.
    mask(qe.MISCSELECT.toReversed(), identity.miscselectMask) === identity.miscselect.toLowerCase() &&
    mask(qe.ATTRIBUTES, identity.attributesMask) === identity.attributes.toLowerCase()
  if (!same) throw new VerifierError('bad_evidence_signature', `the quoting enclave is not Intel’s ${identity.id}`)
  return identity.tcbLevels.find(({ tcb }) => unsigned(qe.ISVSVN) >= tcb.isvsvn) ?? BELOW_ALL
}

/** The worst of some levels, as one. */
export function worst(levels: readonly Judged[]): Required<HardwareFacts>['tcb'] {
  const status = TCB_STATUSES[Math.max(...levels.map(({ tcbStatus }) => TCB_STATUSES.indexOf(tcbStatus)))]!
  const [date] = levels.map(({ tcbDate }) => tcbDate).sort()
  const advisories = [...new Set(levels.flatMap(({ advisoryIDs = [] }) => advisoryIDs))].sort()
  return { status, ...(date ? { date } : {}), ...(advisories.length > 0 ? { advisories } : {}) }
}

/** What a policy is asked about a level. */
export function findingsOf(what: string, { tcbStatus, tcbDate }: Judged): Finding[] {
  const why =
    tcbDate === '' ? `${what} is below all levels that Intel lists` : `${what} is ${tcbStatus} since ${tcbDate}`
  if (tcbStatus === 'UpToDate') return []
  if (tcbStatus === 'Revoked') return [{ case: 'revoked', why }]
  const findings: Finding[] = []
  if (tcbStatus.startsWith('OutOfDate')) findings.push({ case: 'outdatedTcb', why })
  if (tcbStatus !== 'OutOfDate') findings.push({ case: 'unhardened', why })
  return findings
}

function reaches(own: ArrayLike<number>, level: readonly { readonly svn: number }[], from = 0): boolean {
  return level.length === 16 && level.every(({ svn }, i) => i < from || (own[i] ?? 0) >= svn)
}

/** `bytes` and `maskHex`, bit by bit, as lower-case hex. */
function mask(bytes: Uint8Array, maskHex: string): string {
  const bits = fromHex(maskHex.toLowerCase())
  return toHex(bytes.map((byte, i) => byte & bits[i]!))
}

/** What is known of Intel's enclaves without any document; see `intel.ts`. */
export function isIntelModule({ MRSIGNERSEAM, SEAMATTRIBUTES }: TdBody): boolean {
  return isZero(MRSIGNERSEAM) && isZero(SEAMATTRIBUTES)
}
