/**
 * Protocol buffers that are nearly right: a field twice, missing, in another order, under another number or wire type, at any depth, with the lengths
 * around it made right again.
 *
 * @module
 */
import { concatBytes } from '../../merkle/bytes.ts'
import { bytesMutator, type Mutator } from './mutate.ts'
import type { Random } from './random.ts'

export function varint(value: number): Uint8Array {
  const bytes = [value & 0x7f]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1]! |= 0x80
    bytes.push(rest % 128)
  }
  return Uint8Array.from(bytes)
}

export const numberField = (field: number, value: number): Uint8Array => concatBytes(varint(field * 8), varint(value))
export const bytesField = (field: number, ...contents: readonly Uint8Array[]): Uint8Array => {
  const content = concatBytes(...contents)
  return concatBytes(varint(field * 8 + 2), varint(content.length), content)
}

interface Field {
  readonly whole: Uint8Array
  readonly number: number
  /** Of a field with a length. */
  readonly content?: Uint8Array
}

/** Undefined for what is no message of numbers and lengths. */
function fieldsOf(input: Uint8Array): Field[] | undefined {
  const fields: Field[] = []
  for (let at = 0; at < input.length; ) {
    const start = at
    const next = () => {
      let value = 0
      for (let scale = 1; scale < 2 ** 42; scale *= 128) {
        const byte = input[at++]
        if (byte === undefined) return undefined
        value += (byte & 0x7f) * scale
        if (byte < 0x80) return value
      }
      return undefined
    }
    const tag = next()
    const value = next()
    if (tag === undefined || value === undefined || (tag & 7) % 2 === 1 || (tag & 7) > 2) return undefined
    if ((tag & 7) === 2) at += value
    if (at > input.length) return undefined
    const whole = input.subarray(start, at)
    fields.push({ whole, number: tag >> 3, ...((tag & 7) === 2 ? { content: input.subarray(at - value, at) } : {}) })
  }
  return fields.length > 0 ? fields : undefined
}

export const protobufMutator: Mutator = (input, random, others) => {
  const fields = fieldsOf(input)
  if (!fields || random.chance(0.1)) return bytesMutator(input, random, others)
  const pieces = fields.map(({ whole }) => whole)
  const at = random.below(fields.length)
  const { number, content, whole } = fields[at]!
  if (content && random.chance(0.6)) {
    pieces[at] = bytesField(number, protobufMutator(content, random, others))
  } else pieces.splice(at, 1, ...changed(whole, number, content, random))
  return concatBytes(...pieces)
}

function changed(whole: Uint8Array, number: number, content: Uint8Array | undefined, random: Random): Uint8Array[] {
  const kind = random.below(6)
  if (kind === 0) return []
  if (kind === 1) return [whole, whole]
  if (kind === 2)
    return content ? [bytesField(1 + random.below(12), content)] : [numberField(1 + random.below(12), random.below(8))]
  if (kind === 3) return [numberField(number, random.pick([0, 1, 2, 3, 2 ** 31, 2 ** 40]))]
  if (kind === 4) return [concatBytes(varint(number * 8 + random.below(8)), random.bytes(9)), whole]
  return [bytesField(number, random.bytes(random.below(40)))]
}
