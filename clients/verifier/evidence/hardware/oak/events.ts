/**
 * Oak's event log: what each layer measured of the next one before it started it (`eventlog.proto`, `verification.proto`).
 *
 *     Event  1 tag, 2 google.protobuf.Any: 1 type, 2 the measurements
 *
 *     Oak Containers           Stage0Measurements · SystemLayerData · ContainerLayerData
 *     Oak Restricted Kernel    Stage0Measurements · ApplicationLayerData
 *
 * Who measured is told by the place in the log and by nothing in an event: software that was started last could write an event of any type.
 * So measurements get names in these sequences alone. In any other there are only `event:0`, `event:1`, … — the digests of the events, which are
 * there in any case — and each of them has to be in the reference values.
 *
 * @module
 */
import { sha256, toHex, utf8 } from '../../../../../merkle/index.ts'
import { MAX_LAYERS } from './evidence.ts'
import { bytesIn, decodeMessage, type Message, messageIn, textIn } from './protobuf.ts'

export interface Measured {
  /** Lower-case hex. */
  readonly measurements: Readonly<Record<string, string>>
  /** What reference values must name, since nothing else says what it is. */
  readonly mustBeNamed: readonly string[]
  /** Uncompressed points of P-256, as the layer that made the keys wrote them into the log. */
  readonly keys: { readonly signing?: Uint8Array; readonly sessionBinding?: Uint8Array }
}

type Layer = (data: Message) => Readonly<Record<string, Uint8Array | undefined>>

const kernel: Layer = (data) => ({
  KERNEL_SETUP_DATA: bytesIn(data, 1),
  KERNEL: bytesIn(data, 2),
  INIT_RAM_FS: bytesIn(data, 3),
  MEMORY_MAP: bytesIn(data, 4),
  ACPI: bytesIn(data, 5),
})

/** Each type's measurements; the deprecated types first, where there are two. */
const LAYERS: Readonly<Record<string, Layer>> = {
  // An empty command line is one, too.
  Stage0Measurements: (data) => ({ ...kernel(data), KERNEL_CMDLINE: sha256(utf8(textIn(data, 6) ?? '')) }),
  Stage0TransparentMeasurements: (data) => ({ ...kernel(data), KERNEL_CMDLINE: bytesIn(data, 6) }),
  Stage1Measurements: (data) => ({ SYSTEM_IMAGE: digestIn(data, 1) }),
  SystemLayerData: (data) => ({ SYSTEM_IMAGE: digestIn(data, 1) }),
  OrchestratorMeasurements: (data) => ({ CONTAINER: digestIn(data, 1), CONTAINER_CONFIG: digestIn(data, 2) }),
  ContainerLayerData: (data) => ({ CONTAINER: digestIn(data, 1), CONTAINER_CONFIG: digestIn(data, 2) }),
  ApplicationLayerData: (data) => ({ APPLICATION: digestIn(data, 1), APPLICATION_CONFIG: digestIn(data, 2) }),
}

const STAGE_0 = ['Stage0Measurements', 'Stage0TransparentMeasurements']
const SEQUENCES: readonly (readonly (readonly string[])[])[] = [
  [STAGE_0, ['Stage1Measurements', 'SystemLayerData'], ['OrchestratorMeasurements', 'ContainerLayerData']],
  [STAGE_0, ['ApplicationLayerData']],
]

const TYPE = 'type.googleapis.com/oak.attestation.v1.'

/** All that {@link readEvents} may give a name to. */
export const EVENT_VALUES = [
  ...['KERNEL', 'KERNEL_SETUP_DATA', 'KERNEL_CMDLINE', 'INIT_RAM_FS', 'MEMORY_MAP', 'ACPI', 'SYSTEM_IMAGE'],
  ...['CONTAINER', 'CONTAINER_CONFIG', 'APPLICATION', 'APPLICATION_CONFIG'],
  ...Array.from({ length: MAX_LAYERS }, (_, i) => `event:${i}`),
]

/** Throws an ordinary error that says why. */
export function readEvents(events: readonly Uint8Array[]): Measured {
  const digests = Object.fromEntries(events.map((event, i) => [`event:${i}`, toHex(sha256(event))]))
  const types = events.map(typeOf)
  const isKnown = SEQUENCES.some(
    (sequence) => sequence.length === types.length && sequence.every((known, i) => known.includes(types[i] ?? '')),
  )
  if (!isKnown) return { measurements: digests, mustBeNamed: Object.keys(digests), keys: {} }

  const measurements: Record<string, string> = { ...digests }
  let keys: Measured['keys'] = {}
  events.forEach((event, i) => {
    const type = types[i]!
    const data = decodeMessage(bytesIn(anyIn(event)!, 2) ?? new Uint8Array())
    for (const [name, digest] of Object.entries(LAYERS[type]!(data))) {
      if (!digest) continue
      if (digest.length !== 32) throw new Error(`${name} is no SHA-256`)
      measurements[name] = toHex(digest)
    }
    if (type === 'ContainerLayerData') keys = keysIn(data)
  })
  return { measurements, mustBeNamed: [], keys }
}

/** Undefined for what is no event of Oak's: it has its digest, and no name. */
function typeOf(event: Uint8Array): string | undefined {
  try {
    const any = anyIn(event)
    const url = any && textIn(any, 1)
    return url?.startsWith(TYPE) ? url.slice(TYPE.length) : undefined
  } catch {
    return undefined
  }
}

function anyIn(event: Uint8Array): Message | undefined {
  return messageIn(decodeMessage(event), 2)
}

/** oak.RawDigest: fields are codes of multicodec, 18 is SHA-256. */
function digestIn(data: Message, number: number): Uint8Array | undefined {
  const digest = messageIn(data, number)
  return digest && bytesIn(digest, 18)
}

function keysIn(data: Message): Measured['keys'] {
  const [signing, sessionBinding] = [bytesIn(data, 4), bytesIn(data, 5)]
  return { ...(signing ? { signing } : {}), ...(sessionBinding ? { sessionBinding } : {}) }
}
