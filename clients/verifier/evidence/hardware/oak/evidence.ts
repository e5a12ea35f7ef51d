/**
 * What Oak's evidence is made of: `oak.attestation.v1.Evidence` and the messages in it (project-oak/oak, `proto/attestation/evidence.proto`,
 * `eventlog.proto`, `verification.proto`). Only read here; nothing is verified.
 *
 *     Evidence  1 root layer           1 platform, 2 the processor's report, 3 the root's key (COSE_Key)
 *               2 layers               1 a certificate: CWT, COSE_Sign1
 *               3 application keys     certificates: 1 encryption, 2 signing, 3 group encryption, 4 group signing
 *               4 event log            2 events, as they were serialized when they were measured
 *               5 the event log without what is confidential
 *               7 user data            COSE_Sign1
 *
 * @module
 */
import { allBytes, bytesIn, decodeMessage, type Message, messageIn, numberIn } from './protobuf.ts'

export interface OakEvidence {
  readonly platform: 'snp' | 'tdx' | 'none'
  readonly report: Uint8Array
  /** COSE_Key; absent where layers have no certificates. */
  readonly rootKey?: Uint8Array
  /** Certificates, the first layer's first. */
  readonly layers: readonly Uint8Array[]
  /** Certificates by the names in {@link APPLICATION_KEYS}. */
  readonly applicationKeys: ReadonlyMap<ApplicationKey, Uint8Array>
  /** At least one. */
  readonly events: readonly Uint8Array[]
  /** Whether `events` are those without what is confidential: certificates name them apart. */
  readonly isTransparent: boolean
  readonly userData?: Uint8Array
}

const APPLICATION_KEYS = { encryption: 1, signing: 2, groupEncryption: 3, groupSigning: 4 } as const
export type ApplicationKey = keyof typeof APPLICATION_KEYS

/** TeePlatform. */
const PLATFORMS = { 1: 'snp', 2: 'tdx', 3: 'none' } as const

/** As many layers as an event log has events. Oak Containers have three, and the deepest known four. */
export const MAX_LAYERS = 16

/** Throws an ordinary error that says why. */
export function decodeOakEvidence(bytes: Uint8Array): OakEvidence {
  const evidence = decodeMessage(bytes)
  const root = messageIn(evidence, 1)
  const platform = root && PLATFORMS[numberIn(root, 1) as keyof typeof PLATFORMS]
  const report = root && bytesIn(root, 2)
  if (!platform || !report) throw new Error('no root layer with a platform and its report')
  const rootKey = bytesIn(root, 3)
  const userData = bytesIn(evidence, 7)
  const own = eventsOf(messageIn(evidence, 4))
  const events = own.length > 0 ? own : eventsOf(messageIn(evidence, 5))
  if (events.length === 0) throw new Error('no event log')
  const layers = allBytes(evidence, 2).map((layer) => {
    const certificate = bytesIn(decodeMessage(layer), 1)
    if (!certificate) throw new Error('a layer without a certificate')
    return certificate
  })
  if (Math.max(layers.length, events.length) > MAX_LAYERS) throw new Error(`more than ${MAX_LAYERS} layers`)
  return {
    platform,
    report,
    ...(rootKey ? { rootKey } : {}),
    layers,
    applicationKeys: keysOf(messageIn(evidence, 3)),
    events,
    isTransparent: own.length === 0,
    ...(userData ? { userData } : {}),
  }
}

function eventsOf(log: Message | undefined): readonly Uint8Array[] {
  return log ? allBytes(log, 2) : []
}

function keysOf(keys: Message | undefined): Map<ApplicationKey, Uint8Array> {
  const found = new Map<ApplicationKey, Uint8Array>()
  for (const [name, number] of Object.entries(APPLICATION_KEYS) as [ApplicationKey, number][]) {
    const certificate = keys && bytesIn(keys, number)
    if (certificate) found.set(name, certificate)
  }
  return found
}
