/**
 * What a host appends to an SEV-SNP report: certificates and lists that it keeps for its guests (AMD publication 56421, "SEV-ES Guest-Hypervisor
 * Communication Block Standardization", SNP Extended Guest Request).
 *
 *     report │ GUID offset length │ GUID offset length │ … │ zeros │ VCEK │ ASK │ ARK
 *            └─ offsets are from here
 *
 * The host is nobody whose word counts: it is collateral like any other, and as in a quote what is missing there may be given.
 *
 * @module
 */
import { toHex } from '../../../../merkle/index.ts'
import { malformedEvidence } from '../../error.ts'
import { type Collateral, readCollateral } from './collateral.ts'
import { ByteReader, fieldsOf, isZero, unsigned } from './layout.ts'

const ENTRY_BYTES = 24
const ENTRY = { GUID: [0, 16], OFFSET: [16, 4], LENGTH: [20, 4] } as const
/** The publication names six things, and hosts add their own. */
const MAX_ENTRIES = 32

/** Others are for whoever knows them: clouds put endorsements of their firmware there. */
const CERTIFICATES: ReadonlyMap<string, string> = new Map([
  ['63da758de6644564adc5f4b93be8accd', 'VCEK'],
  ['a8074bc2a25a483eaae639c045a0b8a1', 'VLEK'],
  ['4ab7b379bbac4fe4a02f05aef327c782', 'ASK or ASVK'],
  ['c0b406a4a803495297433fb6014cd0ae', 'ARK'],
  ['92f81bc358114d3d97ffd19f88dc67ea', 'CRL'],
])

/**
 * @param table - all that follows the report
 * @throws VerifierError `malformed_evidence`; `malformed_collateral` for what is in the table
 */
export function readCertificateTable(table: Uint8Array): Collateral {
  const reader = new ByteReader(table)
  const files: Uint8Array[] = []
  for (let entries = 0; ; entries++) {
    if (entries === MAX_ENTRIES) throw malformedEvidence(`more than ${MAX_ENTRIES} certificates after the report`)
    const entry = reader.take(ENTRY_BYTES, 'the table of certificates after the report')
    if (isZero(entry)) return readCollateral(files)
    const { GUID, OFFSET, LENGTH } = fieldsOf(entry, ENTRY)
    const [start, length] = [unsigned(OFFSET), unsigned(LENGTH)]
    if (start + length > table.length) throw malformedEvidence('a certificate past the end of what follows the report')
    if (CERTIFICATES.has(toHex(GUID))) files.push(table.subarray(start, start + length))
  }
}
