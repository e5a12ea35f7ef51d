/**
 * TPM 2.0 quotes: the PCRs of a machine, signed by an attestation key (AK) of its TPM. There is no file format for them, so this is ours, of what
 * every tool has:
 *
 *     { "quote": "<base64>",      TPMS_ATTEST                     tpm2_quote --message
 *       "signature": "<base64>",  TPMT_SIGNATURE                  tpm2_quote --signature
 *       "ak": "<base64>",         SubjectPublicKeyInfo, DER       tpm2_readpublic --format der
 *       "pcrs": { "sha256": { "0": "<hex>", … } },                every PCR that is quoted
 *       "eventLog": "<base64>" }  crypto-agile log, if there is one
 *
 * or the evidence of a TPM that Confidential Containers write, all 24 PCRs of SHA-256:
 *
 *     { "ak_public": "<base64>", "tpm_quote": { "message": "<base64>", "signature": "<base64>", "pcrs": ["<hex>", …] } }
 *
 * An AK says of itself that it is in a TPM. That it is, and in whose, somebody has to have found out: whoever enrolled the machine and lists the
 * SHA-256 of its AK under `platforms[].ids` in the reference values; or the CA of a certificate for the AK, given as collateral, whose root the
 * policy names. Otherwise the attester is unknown.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { type Static, Type } from 'typebox'
import { equalBytes, fromBase64, fromHex, toHex } from '../../../../../merkle/index.ts'
import { readDocument } from '../../../document.ts'
import { malformedEvidence, VerifierError } from '../../../error.ts'
import type { EvidenceFormat } from '../../format.ts'
import { chainFrom, checkChain } from '../chain.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware-format.ts'
import { isSoundRsa } from '../rsa-key.ts'
import { replayEventLog } from './event-log.ts'
import {
  checkPcrDigest,
  checkTpmSignature,
  decodeTpmQuote,
  HASHES,
  PCRS,
  type PcrBank,
  type PcrValues,
} from './quote.ts'

/** TCG PC Client Platform Firmware Profile §3.3.4 */
const FIRMWARE_PCRS = 8

const Base64 = Type.String({ minLength: 4, maxLength: 400_000 })
const Pcrs = Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 128 })))

const Document = Type.Object(
  {
    quote: Base64,
    signature: Base64,
    ak: Base64,
    pcrs: Type.Object({ sha1: Pcrs, sha256: Pcrs, sha384: Pcrs, sha512: Pcrs }, { additionalProperties: false }),
    eventLog: Type.Optional(Base64),
  },
  { additionalProperties: false },
)
type Document = Static<typeof Document>

const OfConfidentialContainers = Type.Object(
  {
    ak_public: Base64,
    tpm_quote: Type.Object(
      {
        message: Base64,
        signature: Base64,
        pcrs: Type.Array(Type.String({ maxLength: 64 }), { minItems: PCRS, maxItems: PCRS }),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)

function readTpm(evidence: Uint8Array, context: ReaderContext): HardwareFacts {
  const document = inOurForm(
    readDocument(Type.Union([Document, OfConfidentialContainers]), evidence, 'malformed_evidence'),
  )
  const [message, signature, ak] = [document.quote, document.signature, document.ak].map(bytesOf) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  const key = importAk(ak)
  const quote = decodeTpmQuote(message)
  const hash = checkTpmSignature(message, signature, key)
  const pcrs = readPcrs(document.pcrs)
  checkPcrDigest(quote, hash, pcrs)
  const quoted = quote.selection.map(({ bank, pcr }) => ({ bank, pcr, value: pcrs[bank]!.get(pcr)! }))
  if (document.eventLog !== undefined) checkReplay(bytesOf(document.eventLog), quoted)

  return {
    measurements: Object.fromEntries([
      // Nobody should still rely on SHA-1: its PCRs are verified, because the digest is over them too, and not given.
      ...quoted.flatMap(({ bank, pcr, value }) => (bank === 'sha1' ? [] : [[`${bank}:${pcr}`, toHex(value)]])),
      ['firmwareVersion', toHex(quote.firmwareVersion)],
    ]),
    versions: {},
    platform: { model: 'TPM 2.0', id: createHash('sha256').update(ak).digest('hex') },
    chosen: { extra_data: quote.extraData },
    ...certified(ak, context),
  }
}

function inOurForm(document: Document | Static<typeof OfConfidentialContainers>): Document {
  if (!('tpm_quote' in document)) return document
  const { message, signature, pcrs } = document.tpm_quote
  const sha256 = Object.fromEntries(pcrs.map((hex, pcr) => [pcr, hex]))
  return { quote: message, signature, ak: document.ak_public, pcrs: { sha256 } }
}

/** Who vouches for the AK. */
function certified(
  ak: Uint8Array,
  context: ReaderContext,
): Pick<HardwareFacts, 'root' | 'findings' | 'needsEnrolment'> {
  const { certificates, revocationLists } = context.collateral
  const certificate = certificates.find(({ publicKey }) =>
    equalBytes(new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })), ak),
  )
  if (!certificate) return { root: 'none', findings: [], needsEnrolment: true }
  const chain = chainFrom(certificate, certificates)
  return {
    root: chain.at(-1)!.fingerprint,
    findings: checkChain(chain, { roots: context.roots, at: context.at, revocationLists }),
  }
}

function importAk(spki: Uint8Array): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  } catch (cause) {
    throw malformedEvidence('the attestation key cannot be read', cause)
  }
  const { namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && !isSoundRsa(key)) throw malformedEvidence('an attestation key that is weak')
  const sound = key.asymmetricKeyType === 'rsa' || ['prime256v1', 'secp384r1'].includes(namedCurve)
  const canonical = new Uint8Array(key.export({ format: 'der', type: 'spki' }))
  // Its digest is a name: one key must not have two.
  if (!sound || !equalBytes(canonical, spki)) throw malformedEvidence('an attestation key of another kind or encoding')
  return key
}

function readPcrs(banks: { readonly [B in PcrBank]?: Readonly<Record<string, string>> | undefined }): PcrValues {
  return Object.fromEntries(
    HASHES.flatMap(({ name, bytes }) => {
      const values = banks[name]
      return values ? [[name, new Map(Object.entries(values).map(([pcr, hex]) => readPcr(pcr, hex, bytes)))]] : []
    }),
  )
}

function readPcr(pcr: string, hex: string, bytes: number): [number, Uint8Array] {
  if (!/^(0|[1-9][0-9]?)$/.test(pcr) || Number(pcr) >= PCRS || !/^[0-9a-f]*$/.test(hex) || hex.length !== 2 * bytes) {
    throw malformedEvidence(`PCR ${pcr}`)
  }
  return [Number(pcr), fromHex(hex)]
}

/** @throws {@link VerifierError} `measurement_mismatch` where the log leads to other PCRs than the quoted ones */
function checkReplay(log: Uint8Array, quoted: readonly { bank: PcrBank; pcr: number; value: Uint8Array }[]): void {
  const replayed = replayEventLog(log)
  for (const { bank, pcr, value } of quoted) {
    const pcrs = replayed.get(bank)
    // Values of SHA-1 are not given: whether the log has that bank too says nothing.
    if (!pcrs && bank === 'sha1') continue
    // Firmware logs all of the first eight PCRs: without an event they are as they started. Others have logs of their own too.
    const result = pcrs?.get(pcr) ?? (pcr < FIRMWARE_PCRS ? new Uint8Array(value.length) : value)
    if (!equalBytes(result, value)) {
      throw new VerifierError('measurement_mismatch', `the event log does not lead to PCR ${pcr} in ${bank}`)
    }
  }
}

function bytesOf(base64: string): Uint8Array {
  try {
    return fromBase64(base64)
  } catch (cause) {
    throw malformedEvidence('not base64', cause)
  }
}

const BANKS = HASHES.filter(({ name }) => name !== 'sha1')

const VALUES = new Map([
  ...BANKS.flatMap(({ name, bytes }) =>
    Array.from({ length: PCRS }, (_, pcr): [string, number] => [`${name}:${pcr}`, bytes]),
  ),
  ['firmwareVersion', 8],
])

export const tpm2: EvidenceFormat = hardwareFormat({
  name: 'tpm2',
  // TPMs are certified by their makers and clouds. Which of them are believed about which machines is for a policy.
  roots: [],
  // A TPM knows what it was told while a machine booted, not who can look into its memory or how sound its processor is.
  claims: ['instance-identity', 'configuration', 'executables'],
  references: {
    values: VALUES,
    identifying: [...VALUES.keys()].filter((name) => name !== 'firmwareVersion'),
    software: [],
    platform: [],
  },
  keyBindings: [
    'extra_data=sha256(nonce|spki)',
    'extra_data=sha384(nonce|spki)',
    'extra_data=sha512(nonce|spki)',
    'extra_data=sha256(spki)',
    'extra_data=nonce',
  ],
  padded: false,
  cases: ['unknownAttester', 'revoked', 'uncheckedRevocation', 'expiredCollateral'],
  read: readTpm,
})
