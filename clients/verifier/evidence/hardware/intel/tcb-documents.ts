/**
 * What Intel says of its platforms and enclaves, signed: TCB Info and QE Identity of the Provisioning Certification Service, version 4 of
 * its API. As files they are the service's answers, or the one JSON object that Intel's quote verification library calls collateral:
 *
 *     {"tcbInfo":{…},"signature":"<hex>"}              the signature is over the inner text as it stands
 *     {"enclaveIdentity":{…},"signature":"<hex>"}
 *     { "tcb_info": "{…}", "tcb_info_signature": "<hex>", "tcb_info_issuer_chain": "-----BEGIN…", "qe_identity": …,
 *       "pck_crl": "<hex>", "root_ca_crl": "<hex>", "pck_crl_issuer_chain": "-----BEGIN…", … }
 *
 * They are signed by "Intel SGX TCB Signing", which the root certifies. A platform's own key must not do: it is under the same root, and whoever
 * broke into a platform could otherwise say that it is up to date.
 *
 * @module
 */
import { verify } from 'node:crypto'
import { type Static, type TSchema, Type } from 'typebox'
import { fromHex, utf8 } from '../../../../../merkle/index.ts'
import { readDocument } from '../../../document.ts'
import { VerifierError } from '../../../error.ts'
import { type ChainContext, checkChain, type Finding, outside } from '../chain.ts'
import { type Collateral, joinCollateral, readCollateral } from '../collateral.ts'

const STATUSES = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
] as const
/** From the best to the worst. */
export const TCB_STATUSES: readonly TcbStatus[] = STATUSES
export type TcbStatus = (typeof STATUSES)[number]

const Svn = Type.Integer({ minimum: 0, maximum: 0xffff })
const Hex = (bytes: number) => Type.String({ pattern: `^[0-9A-Fa-f]{${2 * bytes}}$` })
const Instant = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$' })
const Components = Type.Array(Type.Object({ svn: Type.Integer({ minimum: 0, maximum: 255 }) }), {
  minItems: 16,
  maxItems: 16,
})
const judged = {
  tcbDate: Instant,
  tcbStatus: Type.Enum([...STATUSES]),
  advisoryIDs: Type.Optional(Type.Array(Type.String(), { maxItems: 256 })),
}
const EnclaveLevels = Type.Array(Type.Object({ tcb: Type.Object({ isvsvn: Svn }), ...judged }), { maxItems: 64 })
const Module = { mrsigner: Hex(48), attributes: Hex(8), attributesMask: Hex(8) }
const dated = { issueDate: Instant, nextUpdate: Instant, tcbEvaluationDataNumber: Type.Integer({ minimum: 0 }) }

const TcbInfo = Type.Object({
  id: Type.Enum(['SGX', 'TDX']),
  version: Type.Literal(3),
  ...dated,
  fmspc: Hex(6),
  pceId: Hex(2),
  tcbType: Type.Literal(0),
  tdxModule: Type.Optional(Type.Object(Module)),
  tdxModuleIdentities: Type.Optional(
    Type.Array(Type.Object({ id: Type.String(), ...Module, tcbLevels: EnclaveLevels }), { maxItems: 64 }),
  ),
  tcbLevels: Type.Array(
    Type.Object({
      tcb: Type.Object({
        sgxtcbcomponents: Components,
        pcesvn: Svn,
        tdxtcbcomponents: Type.Optional(Components),
      }),
      ...judged,
    }),
    { maxItems: 256 },
  ),
})
export type TcbInfo = Static<typeof TcbInfo>

const EnclaveIdentity = Type.Object({
  id: Type.Enum(['QE', 'TD_QE']),
  version: Type.Literal(2),
  ...dated,
  miscselect: Hex(4),
  miscselectMask: Hex(4),
  attributes: Hex(16),
  attributesMask: Hex(16),
  mrsigner: Hex(32),
  isvprodid: Svn,
  tcbLevels: EnclaveLevels,
})
export type EnclaveIdentity = Static<typeof EnclaveIdentity>

const Combined = Type.Object({
  pck_crl_issuer_chain: Type.Optional(Type.String()),
  root_ca_crl: Type.Optional(Type.String()),
  pck_crl: Type.Optional(Type.String()),
  tcb_info_issuer_chain: Type.Optional(Type.String()),
  tcb_info: Type.String(),
  tcb_info_signature: Hex(64),
  qe_identity_issuer_chain: Type.Optional(Type.String()),
  qe_identity: Type.String(),
  qe_identity_signature: Hex(64),
})

const SIGNER = 'Intel SGX TCB Signing'

interface Signed {
  readonly kind: 'tcbInfo' | 'enclaveIdentity'
  readonly text: string
  readonly signature: Uint8Array
}

export interface IntelCollateral extends Collateral {
  readonly signed: readonly Signed[]
}

/** Takes Intel's documents apart. @throws {@link VerifierError} `malformed_collateral` */
export function readIntelCollateral(collateral: Collateral): IntelCollateral {
  const signed: Signed[] = []
  const more: Uint8Array[] = []
  for (const text of collateral.documents) {
    const answer = /^\s*\{"(tcbInfo|enclaveIdentity)":(\{.*\}),"signature":"([0-9A-Fa-f]{128})"\}\s*$/s.exec(text)
    if (answer) {
      const [, kind, inner, signature] = answer
      signed.push({ kind: kind as Signed['kind'], text: inner!, signature: fromHex(signature!.toLowerCase()) })
      continue
    }
    const all = readDocument(Combined, text, 'malformed_collateral')
    signed.push(
      { kind: 'tcbInfo', text: all.tcb_info, signature: fromHex(all.tcb_info_signature.toLowerCase()) },
      { kind: 'enclaveIdentity', text: all.qe_identity, signature: fromHex(all.qe_identity_signature.toLowerCase()) },
    )
    for (const pem of [all.pck_crl_issuer_chain, all.tcb_info_issuer_chain, all.qe_identity_issuer_chain]) {
      if (pem) more.push(utf8(pem))
    }
    for (const list of [all.root_ca_crl, all.pck_crl]) if (list) more.push(bytesOfList(list))
  }
  return { ...joinCollateral(collateral, readCollateral(more)), signed }
}

/** DER as hex, or PEM. */
function bytesOfList(text: string): Uint8Array {
  return /^([0-9A-Fa-f]{2})+$/.test(text) ? fromHex(text.toLowerCase()) : utf8(text)
}

/** A document that is signed by Intel, and what is the matter with it nevertheless. */
export interface Vouched<T> {
  readonly document: T
  readonly findings: readonly Finding[]
}

/** The TCB Info for a platform; undefined when none was given. @throws {@link VerifierError} as {@link vouched} */
export function tcbInfoFor(
  id: TcbInfo['id'],
  { fmspc, pceId }: { readonly fmspc: string; readonly pceId: string },
  collateral: IntelCollateral,
  context: ChainContext,
): Vouched<TcbInfo> | undefined {
  const isFor = (info: TcbInfo) =>
    info.id === id && info.fmspc.toLowerCase() === fmspc && info.pceId.toLowerCase() === pceId
  return vouched('tcbInfo', TcbInfo, isFor, collateral, context)
}

/** @throws {@link VerifierError} as {@link vouched} */
export function enclaveIdentity(
  id: EnclaveIdentity['id'],
  collateral: IntelCollateral,
  context: ChainContext,
): Vouched<EnclaveIdentity> | undefined {
  return vouched('enclaveIdentity', EnclaveIdentity, (identity) => identity.id === id, collateral, context)
}

/**
 * Of the documents that are about the thing, the last that was issued.
 *
 * @throws {@link VerifierError} `malformed_collateral`; `wrong_collateral` for a document that Intel did not sign, `missing_collateral`
 *   without the certificate to see that with; those of `checkChain`
 */
function vouched<S extends TSchema>(
  kind: Signed['kind'],
  schema: S,
  isAbout: (document: Static<S>) => boolean,
  collateral: IntelCollateral,
  context: ChainContext,
): Vouched<Static<S>> | undefined {
  const about = collateral.signed
    .filter((signed) => signed.kind === kind)
    .map((signed) => ({ signed, document: readDocument(schema, signed.text, 'malformed_collateral') }))
    .filter(({ document }) => isAbout(document))
    .map((found) => ({ ...found, dates: found.document as { issueDate: string; nextUpdate: string } }))
    .sort((a, b) => (a.dates.issueDate < b.dates.issueDate ? 1 : -1))
  const [latest] = about
  if (!latest) return undefined

  const findings = checkSigner(latest.signed, collateral, context)
  const [from, to] = [latest.dates.issueDate, latest.dates.nextUpdate].map((instant) => Date.parse(instant) / 1000)
  if (!(context.at >= from! && context.at <= to!)) findings.push(outside(kind, from!, to!))
  return { document: latest.document, findings }
}

function checkSigner({ kind, text, signature }: Signed, collateral: IntelCollateral, context: ChainContext): Finding[] {
  const signers = collateral.certificates.filter(({ commonName }) => commonName === SIGNER)
  if (signers.length === 0) throw new VerifierError('missing_collateral', `no certificate of ${SIGNER}`)
  const signer = signers.find(({ publicKey: key }) =>
    verify('sha256', utf8(text), { key, dsaEncoding: 'ieee-p1363' }, signature),
  )
  if (!signer) throw new VerifierError('wrong_collateral', `${kind} is not signed by ${SIGNER}`)
  // By the root itself, and no other CA under it.
  const root = collateral.certificates.find((candidate) => signer.isSignedBy(candidate))
  if (!root) throw new VerifierError('missing_collateral', `the issuer of ${SIGNER}`)
  return checkChain([signer, root], context)
}
