/**
 * What others say of the layers that evidence measured: `oak.attestation.v1.Endorsements` (project-oak/oak, `proto/attestation/endorsement.proto`).
 *
 *     1 Restricted Kernel or 2 Containers:  1 root { 1 VCEK, 2 stage 0 } · kernel { … } · …       as it was
 *     8 platform · 9 firmware · 10 events:  Variant { 1 UUID, 2 the message that it stands for }   as it is
 *
 * Each is about what is measured in its place. What a verified one adds is who signed it, in which log that is, and what is claimed, under
 * `endorser:KERNEL`, `log:KERNEL` and `claims:KERNEL`: reference values name those whom they believe, and need not name each build.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { toHex } from '../../../../../merkle/index.ts'
import { malformedCollateral, VerifierError } from '../../../error.ts'
import type { Finding } from '../chain.ts'
import { allBytes, bytesIn, decodeMessage, type Message, messageIn, numberIn, textIn } from './protobuf.ts'
import { claimsDigest, type Endorsement, type SignedEndorsement, verifyEndorsement } from './statement.ts'

/** What can be endorsed. The firmware is what the processor measured. */
const ENDORSED = [
  ...['FIRMWARE', 'KERNEL', 'KERNEL_CMDLINE', 'INIT_RAM_FS', 'MEMORY_MAP', 'ACPI', 'SYSTEM_IMAGE'],
  ...['CONTAINER', 'CONTAINER_CONFIG', 'APPLICATION', 'APPLICATION_CONFIG'],
] as const
export const ENDORSEMENT_VALUES = ENDORSED.flatMap((name) =>
  ['endorser', 'log', 'claims'].map((what) => `${what}:${name}`),
)

/** Numbers of fields by what they endorse. */
type Places = Readonly<Record<string, number>>
const KERNEL: Places = { KERNEL: 1, KERNEL_CMDLINE: 2, INIT_RAM_FS: 3, MEMORY_MAP: 4, ACPI: 5 }
const SYSTEM: Places = { SYSTEM_IMAGE: 1 }
const CONTAINER: Places = { CONTAINER: 1, CONTAINER_CONFIG: 2 }
const APPLICATION: Places = { APPLICATION: 1, APPLICATION_CONFIG: 2 }

const PLATFORM_ID = '5a12d00f48a04224bff4975c7657438f'
/** By the UUID of the message. What has another is about layers that nothing here knows. */
const VARIANTS: Readonly<Record<string, Places>> = {
  de4a0d5560ea4dc6abd109ed744f80ea: { FIRMWARE: 1 },
  '89511d655d354601900b1e6dbaf842b6': KERNEL,
  '4722655d963d4fc98443f14571dd32a2': SYSTEM,
  '7297a51fa05d49a1afdb64cdee07862d': CONTAINER,
  e84ed714669d430aa60f8a651e5a5503: APPLICATION,
}

const LEGACY_KERNEL: Places = { KERNEL: 1, KERNEL_CMDLINE: 2, INIT_RAM_FS: 4, MEMORY_MAP: 5, ACPI: 6 }
const LEGACY: readonly (readonly [field: number, layers: readonly (readonly [field: number, places: Places])[]])[] = [
  [1, [[1, { FIRMWARE: 2 }], [2, LEGACY_KERNEL], [3, APPLICATION]]],
  [2, [[1, { FIRMWARE: 2 }], [2, LEGACY_KERNEL], [3, SYSTEM], [4, CONTAINER]]],
  [3, [[1, { FIRMWARE: 2 }]]],
] // biome-ignore format: a table

export interface OakEndorsements {
  /** The VCEK, DER. */
  readonly platformCertificates: readonly Uint8Array[]
  /** With what each is about. */
  readonly signed: readonly (readonly [name: string, endorsement: SignedEndorsement])[]
}

/** @throws {@link VerifierError} `malformed_collateral` */
export function decodeEndorsements(bytes: Uint8Array): OakEndorsements {
  return reading(() => {
    const endorsements = decodeMessage(bytes)
    const variants = [9, 10].flatMap((field) => allBytes(endorsements, field)).map(decodeMessage)
    const platform = messageIn(endorsements, 8)
    const current = variants.flatMap((variant) => signedIn(variant, VARIANTS[idOf(variant)] ?? {}, readSigned))
    const legacy = legacyIn(endorsements)
    return {
      platformCertificates: [
        ...(platform && idOf(platform) === PLATFORM_ID ? certificateIn(messageIn(platform, 2)) : []),
        ...legacy.platformCertificates,
      ],
      // Where both are there they are the same, in the form of before for readers of before.
      signed: current.length > 0 ? current : legacy.signed,
    }
  })
}

function legacyIn(endorsements: Message): OakEndorsements {
  const all: OakEndorsements[] = LEGACY.map(([field, layers]) => {
    const message = messageIn(endorsements, field)
    const root = message && messageIn(message, 1)
    const signed = layers.flatMap(([number, places]) => {
      const layer = message && bytesIn(message, number)
      return layer ? placesIn(decodeMessage(layer), places, readTransparentRelease) : []
    })
    return { platformCertificates: certificateIn(root), signed }
  })
  return {
    platformCertificates: all.flatMap(({ platformCertificates }) => platformCertificates),
    signed: all.flatMap(({ signed }) => signed),
  }
}

type Reader = (message: Message) => SignedEndorsement | undefined

function signedIn(variant: Message, places: Places, read: Reader): [string, SignedEndorsement][] {
  const value = bytesIn(variant, 2)
  return value ? placesIn(decodeMessage(value), places, read) : []
}

function placesIn(layer: Message, places: Places, read: Reader): [string, SignedEndorsement][] {
  return Object.entries(places).flatMap(([name, number]): [string, SignedEndorsement][] => {
    const message = messageIn(layer, number)
    const signed = message && read(message)
    return signed ? [[name, signed]] : []
  })
}

function idOf(variant: Message): string {
  return toHex(bytesIn(variant, 1) ?? new Uint8Array())
}

function certificateIn(message: Message | undefined): Uint8Array[] {
  const certificate = message && bytesIn(message, 1)
  return certificate ? [certificate] : []
}

/** SignedEndorsement; undefined where nothing is in it. */
function readSigned(message: Message): SignedEndorsement | undefined {
  const endorsement = messageIn(message, 1)
  if (!endorsement) return undefined
  if (numberIn(endorsement, 1) !== 1) throw new Error('an endorsement that is no in-toto statement')
  const signature = messageIn(message, 2)
  return parts(
    bytesIn(endorsement, 2),
    signature && bytesIn(signature, 2),
    bytesIn(endorsement, 3),
    bytesIn(message, 3),
  )
}

/** TransparentReleaseEndorsement. */
function readTransparentRelease(message: Message): SignedEndorsement | undefined {
  if (message.size === 0) return undefined
  return parts(bytesIn(message, 1), bytesIn(message, 2), bytesIn(message, 4), bytesIn(message, 3))
}

function parts(
  statement: Uint8Array | undefined,
  signature: Uint8Array | undefined,
  subject: Uint8Array | undefined,
  logEntry: Uint8Array | undefined,
): SignedEndorsement {
  if (!statement || !signature) throw new Error('an endorsement without a signature')
  return { statement, signature, ...(subject ? { subject } : {}), ...(logEntry ? { logEntry } : {}) }
}

/**
 * Values that the endorsements of what was measured add. One that is about something else than was measured in its place is refused.
 *
 * @param measured - lower-case hex by name; FIRMWARE is what the processor measured
 * @throws {@link VerifierError} those of {@link verifyEndorsement}
 */
export function endorsedValues(
  { signed }: OakEndorsements,
  measured: Readonly<Record<string, string>>,
  keys: readonly KeyObject[],
  at: number,
): { readonly values: Readonly<Record<string, string>>; readonly findings: readonly Finding[] } {
  const values: Record<string, string> = {}
  const findings: Finding[] = []
  for (const [name, each] of signed) {
    const endorsement = verifyEndorsement(each, keys, at)
    if (!endorsement) continue
    // A regular expression, of whoever signed it, over whatever was started: it is not run. Reference values name the line itself.
    if (name === 'KERNEL_CMDLINE' && endorsement.subject) continue
    findings.push(...endorsement.findings)
    if (!reading(() => isAbout(endorsement, name, measured))) {
      throw new VerifierError('wrong_collateral', `an endorsement of another ${name} than was measured`)
    }
    if (`endorser:${name}` in values) throw malformedCollateral(`two endorsements of ${name}`)
    values[`endorser:${name}`] = endorsement.endorser
    values[`claims:${name}`] = claimsDigest(endorsement.claims)
    if (endorsement.log !== undefined) values[`log:${name}`] = endorsement.log
  }
  return { values, findings }
}

const CLAIMS = 'https://github.com/project-oak/oak/blob/main/docs/tr/claim/'
const FIRMWARE_CLAIM = `${CLAIMS}10271.md`
const KERNEL_CLAIM = `${CLAIMS}98982.md`

/**
 * Whether it is of what was measured. Of firmware and kernels the processor and the firmware measure parts, and what the endorsement is of is a list of
 * those (`attachment.proto`), if by its claims it is one.
 */
function isAbout(
  { digest, subject, claims }: Endorsement,
  name: string,
  measured: Readonly<Record<string, string>>,
): boolean {
  if (name === 'FIRMWARE' && subject && claims.includes(FIRMWARE_CLAIM)) {
    const attachment = decodeMessage(subject)
    const configurations = allBytes(attachment, 1).map((entry) => messageIn(decodeMessage(entry), 2))
    const known = [...configurations, messageIn(attachment, 3)].map((digests) => hexIn(digests, SHA2_384))
    return measured['FIRMWARE'] !== undefined && known.includes(measured['FIRMWARE'])
  }
  if (name === 'KERNEL' && subject && claims.includes(KERNEL_CLAIM)) {
    const attachment = decodeMessage(subject)
    const [image, setup] = [1, 2].map((part) => hexIn(messageIn(attachment, part), SHA2_256))
    return image !== undefined && image === measured['KERNEL'] && setup === measured['KERNEL_SETUP_DATA']
  }
  return measured[name] === digest
}

/** Fields of `oak.HexDigest`: codes of multicodec. */
const SHA2_256 = 18
const SHA2_384 = 32

function hexIn(digests: Message | undefined, algorithm: number): string | undefined {
  return digests && textIn(digests, algorithm)
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw malformedCollateral(`endorsements: ${why}`, cause)
  }
}
