/**
 * Protocol buffers (https://protobuf.dev/programming-guides/encoding): a message is fields one after another, each under its number.
 *
 *     08 02              field 1, a number (wire type 0): 2
 *     12 03 61 62 63     field 2, of a length (wire type 2): "abc", bytes or a message
 *
 * Fields that nothing here asks for are passed over, as the format demands of its readers: whoever wrote them may be newer. Where readers are free
 * to differ, this one refuses: a field that is there once by its definition and comes twice (some take the last, some merge), a field of another
 * wire type than its definition has (some drop it), groups, which no one has written for years.
 *
 * @module
 */
import { fromUtf8 } from '../../../../../merkle/index.ts'

/** The fields of one message by number, in the order of the bytes. */
export type Message = ReadonlyMap<number, readonly Field[]>
type Field = bigint | Uint8Array | 'fixed'

/** In one message. The largest of those read here, an attachment with a measurement for each number of processors, has some tens. */
const MAX_FIELDS = 1024

/** Throws an ordinary error that says why; callers know whether they read evidence or collateral. */
export function decodeMessage(bytes: Uint8Array): Message {
  const message = new Map<number, Field[]>()
  let at = 0
  let count = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('a message that ends in a number')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (value >> 64n !== 0n) break
        return value
      }
    }
    throw new Error('a number of more than 64 bits')
  }
  const take = (length: bigint): Uint8Array => {
    if (length > BigInt(bytes.length - at)) throw new Error('a field that is longer than its message')
    const piece = bytes.subarray(at, at + Number(length))
    at += piece.length
    return piece
  }

  while (at < bytes.length) {
    if (++count > MAX_FIELDS) throw new Error(`more than ${MAX_FIELDS} fields`)
    const tag = varint()
    const number = Number(tag >> 3n)
    if (number < 1 || tag >> 32n !== 0n) throw new Error('a field without a number')
    const field = readField(Number(tag & 7n), varint, take)
    const fields = message.get(number)
    if (fields) fields.push(field)
    else message.set(number, [field])
  }
  return message
}

function readField(wireType: number, varint: () => bigint, take: (length: bigint) => Uint8Array): Field {
  switch (wireType) {
    case 0:
      return varint()
    case 1:
      take(8n)
      return 'fixed'
    case 2:
      return take(varint())
    case 5:
      take(4n)
      return 'fixed'
    default:
      throw new Error(`a field of wire type ${wireType}`)
  }
}

/** All of a repeated field: bytes. */
export function allBytes(message: Message, number: number): readonly Uint8Array[] {
  return (message.get(number) ?? []).map((field) => {
    if (!(field instanceof Uint8Array)) throw new Error(`field ${number} has no length`)
    return field
  })
}

/** A field that may be left out: to readers that is the same as empty. */
export function bytesIn(message: Message, number: number): Uint8Array | undefined {
  const [field, ...more] = allBytes(message, number)
  if (more.length > 0) throw new Error(`field ${number} comes ${more.length + 1} times`)
  return field && field.length > 0 ? field : undefined
}

export function textIn(message: Message, number: number): string | undefined {
  const bytes = bytesIn(message, number)
  return bytes && fromUtf8(bytes)
}

/** Unlike bytes, an empty message is there. */
export function messageIn(message: Message, number: number): Message | undefined {
  return message.has(number) ? decodeMessage(bytesIn(message, number) ?? new Uint8Array()) : undefined
}

/** A number or enumeration; 0 where it is left out. */
export function numberIn(message: Message, number: number): number {
  const [field, ...more] = message.get(number) ?? [0n]
  if (more.length > 0) throw new Error(`field ${number} comes ${more.length + 1} times`)
  if (typeof field !== 'bigint') throw new Error(`field ${number} is no number`)
  if (field > 0xffff_ffffn) throw new Error(`field ${number} is ${field}`)
  return Number(field)
}
