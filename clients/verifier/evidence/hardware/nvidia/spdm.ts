/**
 * What an NVIDIA device signs: an SPDM 1.1 request for measurements, as it received it, and its response (DMTF DSP0274 1.1.1 §10.11).
 *
 *     GET_MEASUREMENTS  11 e0 01 ff  nonce (32)  slot                        37 bytes
 *     MEASUREMENTS      11 60 …      blocks, length, [index, 1, size, type, size, value]…,
 *                                    nonce (32), opaque length, opaque data, signature (96)
 *
 * Numbers are little-endian. The signature is over everything before it, ECDSA P-384 with SHA-384, r ‖ s. Opaque data are NVIDIA's: a list of
 * [type (2), length (2), value].
 *
 * @module
 */
import { malformedEvidence } from '../../../error.ts'
import { ByteReader, isZero } from '../layout.ts'

export interface SpdmReport {
  /** Of the request: what whoever asked chose. */
  readonly nonce: Uint8Array
  /** By their index, from 1. */
  readonly measurements: ReadonlyMap<number, Uint8Array>
  /** By their type. */
  readonly opaque: ReadonlyMap<number, Uint8Array>
  readonly signed: Uint8Array
  readonly signature: Uint8Array
}

const VERSION = 0x11
const GET_MEASUREMENTS = 0xe0
const MEASUREMENTS = 0x60
const SIGNATURE_BYTES = 96
/** Drivers round the length up and leave zeros. */
const MAX_PADDING = 3
/** DSP0274 §10.11.1, DMTFSpecMeasurementValueSize: of the hashes that SPDM 1.1 has. */
const MEASUREMENT_SIZES = [32, 48, 64]

/** @throws {@link VerifierError} `malformed_evidence` */
export function decodeSpdmReport(bytes: Uint8Array): SpdmReport {
  const reader = new ByteReader(bytes)
  const [version, code, attributes, operation] = reader.take(4, 'the request')
  if (version !== VERSION || code !== GET_MEASUREMENTS)
    throw malformedEvidence('not a request of SPDM 1.1 for measurements')
  // Bit 0 asks for a signature; ff is for all measurements.
  if (attributes !== 1 || operation !== 0xff)
    throw malformedEvidence('a request for less than all measurements, signed')
  const nonce = reader.take(32, 'the nonce')
  reader.take(1, 'the slot')

  const [answering, answer] = reader.take(4, 'the response')
  if (answering !== VERSION || answer !== MEASUREMENTS)
    throw malformedEvidence('not a response of SPDM 1.1 with measurements')
  const blocks = reader.number(1, 'the number of blocks')
  const [low, middle, high] = reader.take(3, 'the length of the record') as Uint8Array & [number, number, number]
  const record = reader.take(low + middle * 0x100 + high * 0x1_0000, 'the measurements')
  reader.take(32, 'the nonce of the response')
  const opaque = reader.take(reader.number(2, 'the length of the opaque data'), 'the opaque data')
  const signed = bytes.subarray(0, reader.at)
  const signature = reader.take(SIGNATURE_BYTES, 'the signature')
  const padding = reader.rest()
  if (padding.length > MAX_PADDING || !isZero(padding)) throw malformedEvidence('bytes after the signature')
  return { nonce, measurements: readBlocks(record, blocks), opaque: readOpaque(opaque), signed, signature }
}

function readBlocks(record: Uint8Array, count: number): Map<number, Uint8Array> {
  const reader = new ByteReader(record)
  const blocks = new Map<number, Uint8Array>()
  for (let i = 0; i < count; i++) {
    const index = reader.number(1, 'a block')
    // Table 53: bit 0 is the format of DMTF, and no other is defined.
    if (reader.number(1, 'a block') !== 1) throw malformedEvidence(`block ${index} is not of the format of DMTF`)
    const size = reader.number(2, 'a block')
    reader.take(1, 'a block')
    const value = reader.take(reader.number(2, 'a block'), `block ${index}`)
    if (size !== value.length + 3 || !MEASUREMENT_SIZES.includes(value.length)) {
      throw malformedEvidence(`block ${index} has ${value.length} bytes`)
    }
    if (index === 0 || blocks.has(index)) throw malformedEvidence(`a second block ${index}, or one without an index`)
    blocks.set(index, value)
  }
  reader.end('the measurements')
  return blocks
}

function readOpaque(bytes: Uint8Array): Map<number, Uint8Array> {
  const reader = new ByteReader(bytes)
  const fields = new Map<number, Uint8Array>()
  while (reader.at < bytes.length) {
    const type = reader.number(2, 'an opaque field')
    const value = reader.take(reader.number(2, 'an opaque field'), `opaque field ${type}`)
    if (fields.has(type)) throw malformedEvidence(`a second opaque field ${type}`)
    fields.set(type, value)
  }
  return fields
}
