/**
 * CBOR for a person to read: diagnostic notation (RFC 8949 §8), with the byte strings that hold CBOR opened.
 *
 *     18([<< {1: -7, 4: h'4a6b…'} >>, {}, h'a3…' /1.2 kB/, h'9f…'])
 *
 * @module
 */
import { fromUtf8, toHex } from '../../merkle/index.ts'
import { CborTag, type CborValue, decodeCbor } from '../../statement/index.ts'

const LONGEST_SHOWN = 40
const WIDTH = 112

/** `bytes` in diagnostic notation, indented; long byte strings are cut, and say so. */
export function diagnose(bytes: Uint8Array): string {
  return print(decodeCbor(bytes, { maxBytes: 1 << 24, sortedKeys: false, tags: [1, 18] }), 0)
}

function print(value: CborValue, indent: number): string {
  if (value instanceof Uint8Array) return printBytes(value, indent)
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof CborTag) return `${value.tag}(${print(value.value, indent)})`
  if (value instanceof Map) {
    return wrapped(
      '{',
      [...value].map(([key, item]) => `${print(key, 0)}: ${print(item, indent + 2)}`),
      '}',
      indent,
    )
  }
  if (Array.isArray(value))
    return wrapped(
      '[',
      value.map((item) => print(item, indent + 2)),
      ']',
      indent,
    )
  return `${value as boolean | number | bigint | null}`
}

function wrapped(open: string, items: readonly string[], close: string, indent: number): string {
  const line = `${open}${items.join(', ')}${close}`
  if (!line.includes('\n') && indent + line.length <= WIDTH) return line
  const margin = ' '.repeat(indent + 2)
  return `${open}\n${items.map((item) => margin + item).join(',\n')}\n${' '.repeat(indent)}${close}`
}

function printBytes(bytes: Uint8Array, indent: number): string {
  const inner = opened(bytes)
  if (inner !== undefined) return `<< ${print(inner, indent)} >>`
  if (bytes.length <= LONGEST_SHOWN) {
    const text = printable(bytes)
    return text === undefined ? `h'${toHex(bytes)}'` : `'${text}'`
  }
  return `h'${toHex(bytes.subarray(0, 16))}…' /${bytes.length} bytes/`
}

/** The map, array or tag in a byte string. Integers are left alone: half of all bytes are one. */
function opened(bytes: Uint8Array): CborValue | undefined {
  if (bytes.length < 2) return undefined
  try {
    const value = decodeCbor(bytes, { maxBytes: 1 << 24, sortedKeys: false, tags: [1, 18] })
    return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) ? value : undefined
  } catch {
    return undefined
  }
}

function printable(bytes: Uint8Array): string | undefined {
  try {
    const text = fromUtf8(bytes)
    return /^[\x20-\x7e]{4,}$/.test(text) ? text.replaceAll("'", "\\'") : undefined
  } catch {
    return undefined
  }
}
