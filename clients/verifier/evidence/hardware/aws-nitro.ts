/**
 * AWS Nitro Enclaves: the attestation document of the Nitro Secure Module.
 *
 *     [ protected { 1: −35 }, {}, payload, signature ]      a COSE_Sign1, mostly without its tag, ES384
 *     payload = { module_id, digest: "SHA384", timestamp (ms), pcrs { 0…31: 48 bytes },
 *                 certificate, cabundle [root, …, issuer], public_key?, user_data?, nonce? }
 *
 * As in "Attestation document specification" of the AWS Nitro Enclaves NSM API (docs/attestation_process.md). The payload is a map of
 * definite length in documents until 2025, and of indefinite length in many since; around it the encoding is the one that
 * `statement/cbor.ts` reads.
 *
 * The certificate lives for three hours. Whoever appraises a document later finds `expiredCollateral`. In debug mode the PCRs are
 * zeros ("Nitro Enclaves User Guide", debug mode), which is how it is told.
 *
 * @module
 */
import { toHex } from '../../../../merkle/index.ts'
import { decodeLooseCbor } from '../../../../provenance/attestation/loose-cbor.ts'
import { asArray, asBytes, asMap, asText, asUint, type CborMap, type CborValue } from '../../../../statement/cbor.ts'
import { readingEvidence, VerifierError } from '../../error.ts'
import { checkChain } from './chain.ts'
import { type CoseSign1, decodeCoseSign1 } from './cose-sign1.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from './hardware-format.ts'
import { AWS_NITRO_ROOTS } from './roots.ts'
import { readVendorCertificate } from './vendor-certificate.ts'

/** PCRs of the image: all of it, kernel and ramdisk, applications. Those of the parent instance differ by where it runs. */
const IMAGE_PCRS = ['PCR0', 'PCR1', 'PCR2']

/** The head of tag 18. */
const COSE_SIGN1_TAG = 0xd2

const PCR_BYTES = 48
const MAX_PCR = 31
/** "cabundle"; the specification has no bound, AWS sends four. */
const MAX_BUNDLE = 5

/** "Attestation document specification", sizes of user_data, nonce and public_key. */
const MAX_CHOSEN_BYTES = 1024

function readDocument(bytes: Uint8Array, { roots, at }: ReaderContext): HardwareFacts {
  const { document, claims } = readingEvidence(() => decode(bytes))
  const certificates = readingEvidence(() =>
    [claims.certificate, ...claims.bundle.toReversed()].map((der) => readVendorCertificate(der)),
  )
  const [leaf] = certificates
  // The certificates above the leaf name revocation lists, which the specification (§3.2.3) does not have checked.
  const findings = checkChain(certificates, { roots, at, revocationLists: [], isListed: () => false })
  if (!document.isSignedBy(leaf!.publicKey)) {
    throw new VerifierError('bad_evidence_signature', 'not signed by the certificate in the document')
  }

  const { pcrs, moduleId, timestamp, chosen, nonce } = claims
  return {
    measurements: Object.fromEntries(pcrs.map(([number, value]) => [`PCR${number}`, toHex(value)])),
    versions: {},
    platform: { model: 'Nitro', id: moduleId },
    debug: pcrs.some(([number, value]) => IMAGE_PCRS.includes(`PCR${number}`) && value.every((byte) => byte === 0)),
    issuedAt: Math.floor(timestamp / 1000),
    ...(nonce ? { nonce } : {}),
    chosen,
    root: certificates.at(-1)!.fingerprint,
    findings,
  }
}

interface Claims {
  readonly moduleId: string
  /** Milliseconds. */
  readonly timestamp: number
  readonly pcrs: readonly (readonly [number: number, value: Uint8Array])[]
  readonly certificate: Uint8Array
  /** The root first. */
  readonly bundle: readonly Uint8Array[]
  readonly chosen: Readonly<Record<'public_key' | 'user_data', Uint8Array | undefined>>
  readonly nonce: Uint8Array | undefined
}

function decode(bytes: Uint8Array): { document: CoseSign1; claims: Claims } {
  // "Either tagged or untagged depending on the context" (§3.1): the module leaves the tag out, tools between may add it.
  const document = decodeCoseSign1(bytes, bytes[0] === COSE_SIGN1_TAG)
  if (document.algorithm !== -35) throw new Error('alg is not ES384')
  // Whatever is no member of the types below is refused by them.
  return { document, claims: claimsOf(asMap(decodeLooseCbor(document.payload) as CborValue, 'payload')) }
}

const MEMBERS = new Set([
  'module_id',
  'digest',
  'timestamp',
  'pcrs',
  'certificate',
  'cabundle',
  'public_key',
  'user_data',
  'nonce',
])

function claimsOf(payload: CborMap): Claims {
  for (const name of payload.keys()) if (!MEMBERS.has(String(name))) throw new Error(`${name} in the payload`)
  if (payload.get('digest') !== 'SHA384') throw new Error('digest is not SHA384')
  const moduleId = asText(payload.get('module_id'), 'module_id')
  const timestamp = asUint(payload.get('timestamp'), 'timestamp')
  if (moduleId === '' || moduleId.length > 256 || timestamp === 0) throw new Error('module_id or timestamp')

  const pcrs = [...asMap(payload.get('pcrs'), 'pcrs')].map(([number, value]) => {
    if (typeof number !== 'number' || number < 0 || number > MAX_PCR) throw new Error(`PCR ${number}`)
    return [number, asBytes(value, `PCR ${number}`, PCR_BYTES)] as const
  })
  for (const number of [0, 1, 2]) if (!pcrs.some(([n]) => n === number)) throw new Error(`PCR ${number} is missing`)
  const bundle = asArray(payload.get('cabundle'), 'cabundle').map((der) => asBytes(der, 'cabundle'))
  if (bundle.length === 0 || bundle.length > MAX_BUNDLE) throw new Error(`${bundle.length} certificates in cabundle`)
  return {
    moduleId,
    timestamp,
    pcrs,
    certificate: asBytes(payload.get('certificate'), 'certificate'),
    bundle,
    chosen: { public_key: optional(payload, 'public_key'), user_data: optional(payload, 'user_data') },
    nonce: optional(payload, 'nonce'),
  }
}

function optional(payload: CborMap, name: string): Uint8Array | undefined {
  const value = payload.get(name) ?? null
  if (value === null) return undefined
  const bytes = asBytes(value, name)
  if (bytes.length > MAX_CHOSEN_BYTES) throw new Error(`${name} is longer than ${MAX_CHOSEN_BYTES} bytes`)
  return bytes
}

export const awsNitro = hardwareFormat({
  name: 'aws-nitro',
  roots: AWS_NITRO_ROOTS,
  references: {
    values: new Map(Array.from({ length: MAX_PCR + 1 }, (_, i) => [`PCR${i}`, PCR_BYTES])),
    identifying: IMAGE_PCRS,
    software: [],
    platform: [],
  },
  keyBindings: ['public_key=spki', 'user_data=spki', 'user_data=sha256(spki)', 'user_data=sha512(nonce|spki)'],
  padded: false,
  cases: ['debug', 'expiredCollateral'],
  read: readDocument,
})
