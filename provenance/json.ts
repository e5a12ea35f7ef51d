/**
 * Strict JSON: what a signature covers must mean the same to everybody who reads it.
 *
 * `JSON.parse` keeps the last of two members of one name, where other readers keep the first, and turns `1.6e9` into the
 * integer 1600000000, so that nobody sees that a time was written as a float. Here duplicate members, lone surrogates and
 * nesting past {@link MAX_JSON_DEPTH} are refused, and a number that is not written as a safe integer stays the text it was.
 *
 * @module
 */
import { ProvenanceError } from './error.ts'

/** A number written with a fraction or an exponent, or past ±(2⁵³ − 1): kept as written, and no integer. */
export class JsonNumber {
  readonly literal: string
  constructor(literal: string) {
    this.literal = literal
  }
}

/** Objects have no prototype: `__proto__` is a member like any other. A plain `number` is a safe integer. */
export type Json = null | boolean | number | string | JsonNumber | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}

export const MAX_JSON_DEPTH = 32

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
/** Texts that are what stands between the quotes: most are. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/**
 * Parses one JSON text (RFC 8259), duplicates refused as I-JSON (RFC 7493) has it.
 *
 * @throws {@link ProvenanceError} `malformed_json`, with the offset
 */
export function parseJson(text: string): Json {
  let at = 0

  function refuse(why: string): ProvenanceError {
    return new ProvenanceError('malformed_json', `${why} at offset ${at}`)
  }
  function skipSpace(): void {
    for (let code = text.charCodeAt(at); code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09; ) {
      code = text.charCodeAt(++at)
    }
  }
  function take(token: string): boolean {
    if (!text.startsWith(token, at)) return false
    at += token.length
    return true
  }
  function readString(): string {
    if (text[at] !== '"') throw refuse('not a string')
    const close = text.indexOf('"', at + 1)
    const plain = text.slice(at + 1, Math.max(close, at + 1))
    if (close > at && PLAIN.test(plain)) {
      at = close + 1
      return plain
    }
    let end = at + 1
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
    let value: string
    try {
      // Escapes and control characters are as strict as they should be in the built-in parser.
      value = JSON.parse(text.slice(at, end + 1)) as string
    } catch {
      throw refuse('not a string')
    }
    at = end + 1
    if (/\p{Surrogate}/u.test(value)) throw refuse('half of a surrogate pair')
    return value
  }
  function readObject(depth: number): JsonObject {
    const object = Object.create(null) as Record<string, Json>
    skipSpace()
    if (take('}')) return object
    for (;;) {
      skipSpace()
      const name = readString()
      if (name in object) throw refuse(`a second member ${JSON.stringify(name)}`)
      skipSpace()
      if (!take(':')) throw refuse('no ":"')
      object[name] = readValue(depth + 1)
      if (take('}')) return object
      if (!take(',')) throw refuse('no "," or "}"')
    }
  }
  function readArray(depth: number): Json[] {
    const array: Json[] = []
    skipSpace()
    if (take(']')) return array
    for (;;) {
      array.push(readValue(depth + 1))
      if (take(']')) return array
      if (!take(',')) throw refuse('no "," or "]"')
    }
  }
  function readNumber(): number | JsonNumber {
    NUMBER.lastIndex = at
    const found = NUMBER.exec(text)
    if (!found) throw refuse('not a value')
    const [literal, fraction, exponent] = found
    at += literal.length
    const value = Number(literal)
    const plain = fraction === undefined && exponent === undefined && Number.isSafeInteger(value) && literal !== '-0'
    return plain ? value : new JsonNumber(literal)
  }
  function readValue(depth: number): Json {
    if (depth > MAX_JSON_DEPTH) throw refuse(`nested deeper than ${MAX_JSON_DEPTH}`)
    skipSpace()
    let value: Json
    if (take('{')) value = readObject(depth)
    else if (take('[')) value = readArray(depth)
    else if (text[at] === '"') value = readString()
    else if (take('true')) value = true
    else if (take('false')) value = false
    else if (take('null')) value = null
    else value = readNumber()
    skipSpace()
    return value
  }

  const value = readValue(0)
  if (at !== text.length) throw refuse('more text')
  return value
}

/** Whether a value is an object, as against an array, a number kept as text, or a scalar. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
}

/**
 * The one text of a value: members in code-unit order, no white space (RFC 8785, for values without floats).
 * What is hashed or compared later must be written by this.
 */
export function canonicalJson(value: Json): string {
  if (value instanceof JsonNumber) throw new ProvenanceError('malformed_json', `${value.literal} is not an integer`)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name]!)}`).join(',')}}`
}
