/**
 * Tokens of Microsoft Azure Attestation: a JWT about a confidential virtual machine or an enclave, whose evidence that service looked at.
 *
 *     sevsnpvm, tdxvm, sgx    claims of the processor, `x-ms-runtime`: what its report data is the hash of
 *     azurevm                 the same in `x-ms-isolation-tee`, below those of the virtual TPM; what the client sent along is in `x-ms-runtime`
 *
 * Claims: https://learn.microsoft.com/azure/attestation/claim-sets, and the TDX EAT profile there. Anybody may have an instance of the service, with
 * a policy of his own, and instances may share keys: so a token matches no reference values that do not name its issuer.
 *
 * @module
 */
import { fromBase64, fromBase64url, fromHex, fromUtf8, sha256, toHex, utf8 } from '../../../../merkle/index.ts'
import { isJsonObject, type Json, type JsonObject } from '../../../../provenance/index.ts'
import { malformedEvidence, readingEvidence } from '../../error.ts'
import type { Finding } from '../hardware/chain.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware/hardware-format.ts'
import { isDisabled, text, times, verifyToken } from './token.ts'
import { verifierKeys } from './verifier-keys.ts'

/** An instance, in any of Azure's clouds. */
const ISSUER = /^https:\/\/[a-z0-9.-]{1,200}\.attest\.azure\.(net|us|cn)$/
const COMPLIANT = 'azure-compliant-'

/** Claims in hexadecimal by the name that the vendor's evidence has them under: [claim, bytes]. */
const VALUES = {
  sevsnpvm: {
    MEASUREMENT: ['x-ms-sevsnpvm-launchmeasurement', 48],
    HOST_DATA: ['x-ms-sevsnpvm-hostdata', 32],
    ID_KEY_DIGEST: ['x-ms-sevsnpvm-idkeydigest', 48],
    AUTHOR_KEY_DIGEST: ['x-ms-sevsnpvm-authorkeydigest', 48],
    FAMILY_ID: ['x-ms-sevsnpvm-familyId', 16],
    IMAGE_ID: ['x-ms-sevsnpvm-imageId', 16],
  },
  tdxvm: {
    MRTD: ['tdx_mrtd', 48],
    RTMR0: ['tdx_rtmr0', 48],
    RTMR1: ['tdx_rtmr1', 48],
    RTMR2: ['tdx_rtmr2', 48],
    RTMR3: ['tdx_rtmr3', 48],
    MRCONFIGID: ['tdx_mrconfigid', 48],
    MROWNER: ['tdx_mrowner', 48],
    MROWNERCONFIG: ['tdx_mrownerconfig', 48],
    MRSEAM: ['tdx_mrseam', 48],
    TDATTRIBUTES: ['tdx_td_attributes', 8],
    XFAM: ['tdx_xfam', 8],
  },
  sgx: { MRENCLAVE: ['x-ms-sgx-mrenclave', 32], MRSIGNER: ['x-ms-sgx-mrsigner', 32] },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly [claim: string, bytes: number]>>>>
type Kind = keyof typeof VALUES

const NUMBERS: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  sevsnpvm: {
    guestSvn: 'x-ms-sevsnpvm-guestsvn',
    bootloader: 'x-ms-sevsnpvm-bootloader-svn',
    tee: 'x-ms-sevsnpvm-tee-svn',
    snp: 'x-ms-sevsnpvm-snpfw-svn',
    microcode: 'x-ms-sevsnpvm-microcode-svn',
  },
  tdxvm: {},
  sgx: { isvSvn: 'x-ms-sgx-svn', configSvn: 'x-ms-sgx-config-svn', isvProdId: 'x-ms-sgx-product-id' },
}
const REPORT_DATA: Readonly<Record<Kind, string>> = {
  sevsnpvm: 'x-ms-sevsnpvm-reportdata',
  tdxvm: 'tdx_report_data',
  sgx: 'x-ms-sgx-report-data',
}

async function readToken(
  evidence: Uint8Array,
  { collateral, attesters, at }: ReaderContext,
): Promise<ReadonlyMap<string, HardwareFacts>> {
  const token = readingEvidence(() => fromUtf8(evidence))
  const { claims, key } = await verifyToken(token, verifierKeys(attesters, collateral.documents))
  const issuer = text(claims, 'iss')
  if (!ISSUER.test(issuer)) throw malformedEvidence('iss is no instance of Azure Attestation')
  const tee = claims['x-ms-attestation-type'] === 'azurevm' ? claims['x-ms-isolation-tee'] : claims
  if (!isJsonObject(tee)) throw malformedEvidence('a machine without a processor that vouches for it')
  const kind = (Object.keys(VALUES) as Kind[]).find((known) => known === tee['x-ms-attestation-type'])
  if (!kind) throw malformedEvidence(`x-ms-attestation-type is none of: ${Object.keys(VALUES).join(', ')}`)
  const { issuedAt, findings } = times(claims, at)
  const runtime = isJsonObject(tee['x-ms-runtime']) ? tee['x-ms-runtime'] : {}
  const machine = isJsonObject(runtime['vm-configuration']) ? runtime['vm-configuration'] : {}
  const facts: HardwareFacts = {
    measurements: {
      ...Object.assign(
        {},
        ...Object.entries(VALUES[kind]).map(([name, [claim, bytes]]) => hexOf(name, tee[claim], bytes)),
      ),
      ...vmplOf(tee['x-ms-sevsnpvm-vmpl']),
      ...flag('SECURE_BOOT', machine['secure-boot']),
      ...flag('AZURE_COMPLIANT', isCompliant(tee['x-ms-compliance-status'])),
      ISSUER: toHex(sha256(utf8(issuer))),
      ...policyOf(claims['x-ms-policy-hash']),
    },
    mustBeNamed: ['ISSUER'],
    versions: versionsOf(kind, tee),
    platform: { model: kind, ...(typeof machine['vmUniqueId'] === 'string' ? { id: machine['vmUniqueId'] } : {}) },
    debug: debugOf(kind, tee),
    issuedAt,
    chosen: {
      client_nonce: clientNonce(claims['x-ms-runtime']),
      report_data: bytesOfHex(tee[REPORT_DATA[kind]]),
      user_data: bytesOfHex(runtime['user-data']),
    },
    root: key.thumbprint,
    ...(key.isBelieved ? {} : { unknownVerifier: true as const }),
    ...(kind === 'sevsnpvm' ? {} : { isTcbJudged: true as const }),
    findings: [...findings, ...tcbOf(kind, tee['attester_tcb_status'])],
  }
  return new Map([[kind, facts]])
}

/** Of SEV-SNP nobody says it, and minimums in the reference values decide; of SGX the service does not pass on what Intel says. */
function tcbOf(kind: Kind, status: Json | undefined): Finding[] {
  if (kind === 'sevsnpvm') return []
  const why = `attester_tcb_status is ${JSON.stringify(status ?? null).slice(0, 100)}`
  switch (status) {
    case 'UpToDate':
      return []
    case 'Revoked':
      return [{ case: 'revoked', why }]
    case 'OutOfDate':
      return [{ case: 'outdatedTcb', why }]
    case 'OutOfDateConfigurationNeeded':
      return [
        { case: 'outdatedTcb', why },
        { case: 'unhardened', why },
      ]
    case 'SWHardeningNeeded':
    case 'ConfigurationNeeded':
    case 'ConfigurationAndSWHardeningNeeded':
      return [{ case: 'unhardened', why }]
    default:
      return [{ case: 'unknownTcb', why }]
  }
}

/** Debugging is off where the token says so, and on where it does not. */
function debugOf(kind: Kind, tee: JsonObject): boolean {
  if (kind === 'tdxvm') return !isDisabled(tee['dbgstat']) || tee['tdx_td_attributes_debug'] !== false
  return tee[kind === 'sgx' ? 'x-ms-sgx-is-debuggable' : 'x-ms-sevsnpvm-is-debuggable'] !== false
}

function versionsOf(kind: Kind, tee: JsonObject): Record<string, number> {
  return Object.fromEntries(
    Object.entries(NUMBERS[kind]).flatMap(([name, claim]) => {
      const value = tee[claim]
      if (value === undefined) return []
      if (typeof value !== 'number' || value < 0) throw malformedEvidence(`${claim} is no number`)
      return [[name, value]]
    }),
  )
}

/** What the client had the guest's agent put into the quote of the virtual TPM; base64, by the name `nonce`. */
function clientNonce(runtime: Json | undefined): Uint8Array | undefined {
  const payload = isJsonObject(runtime) ? runtime['client-payload'] : undefined
  const nonce = isJsonObject(payload) ? payload['nonce'] : undefined
  if (nonce === undefined) return undefined
  if (typeof nonce !== 'string') throw malformedEvidence('the client’s nonce is not text')
  return readingEvidence(() => fromBase64(nonce))
}

/** BASE64URL(SHA-256(…)) of the policy that the instance applied. */
function policyOf(hash: Json | undefined): Record<string, string> {
  if (typeof hash !== 'string') return {}
  const digest = readingEvidence(() => fromBase64url(hash))
  if (digest.length !== 32) throw malformedEvidence('x-ms-policy-hash is no SHA-256')
  return { POLICY_HASH: toHex(digest) }
}

function hexOf(name: string, value: Json | undefined, bytes: number): Record<string, string> {
  const found = bytesOfHex(value)
  if (!found) return {}
  if (found.length !== bytes) throw malformedEvidence(`${name} of ${found.length} bytes`)
  return { [name]: toHex(found) }
}

function bytesOfHex(value: Json | undefined): Uint8Array | undefined {
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw malformedEvidence('a value that is not hexadecimal')
  return readingEvidence(() => fromHex(value.toLowerCase()))
}

function isCompliant(status: Json | undefined): boolean {
  return typeof status === 'string' && status.startsWith(COMPLIANT)
}

/** As it stands in a report: four bytes, little-endian. */
function vmplOf(level: Json | undefined): Record<string, string> {
  return typeof level === 'number' && level >= 0 && level < 4 ? { VMPL: `0${level}000000` } : {}
}

function flag(name: string, value: Json | undefined): Record<string, string> {
  return typeof value === 'boolean' ? { [name]: value ? '01' : '00' } : {}
}

export const azureAttestation = hardwareFormat({
  name: 'azure-attestation',
  roots: [],
  attesters: true,
  references: {
    values: new Map<string, number>([
      ...Object.values(VALUES).flatMap((values) =>
        Object.entries(values).map(([name, [, bytes]]): [string, number] => [name, bytes]),
      ),
      ...['ISSUER', 'POLICY_HASH'].map((name): [string, number] => [name, 32]),
      ...['SECURE_BOOT', 'AZURE_COMPLIANT'].map((name): [string, number] => [name, 1]),
      ['VMPL', 4],
    ]),
    identifying: ['MEASUREMENT', 'ID_KEY_DIGEST', 'HOST_DATA', 'MRTD', 'MRENCLAVE', 'MRSIGNER'],
    software: ['guestSvn', 'isvSvn', 'configSvn', 'isvProdId'],
    platform: ['bootloader', 'tee', 'snp', 'microcode'],
  },
  // The claim `nonce` is of whoever sent the evidence to the service, and says nothing of how old that was.
  keyBindings: [
    'client_nonce=sha256(nonce|spki)',
    'client_nonce=sha256(spki)',
    'client_nonce=nonce',
    'report_data=sha512(nonce|spki)',
    'report_data=sha256(nonce|spki)',
    'report_data=sha256(spki)',
    'user_data=sha256(nonce|spki)',
    'user_data=sha256(spki)',
  ],
  padded: true,
  cases: ['unknownAttester', 'debug', 'revoked', 'outdatedTcb', 'unhardened', 'unknownTcb'],
  ofFile: (file) => utf8(readingEvidence(() => fromUtf8(file)).trim()),
  read: readToken,
})
