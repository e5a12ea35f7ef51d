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
  const reader = new JsonReader(text)
  const value = reader.value(0)
  reader.end()
  return value
}

/** A class and not functions in one another, of which each text would have made its own. */
class JsonReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  value(depth: number): Json {
    if (depth > MAX_JSON_DEPTH) throw this.#refuse(`nested deeper than ${MAX_JSON_DEPTH}`)
    this.#skipSpace()
    const value = this.#read(depth)
    this.#skipSpace()
    return value
  }

  end(): void {
    if (this.#at !== this.#text.length) throw this.#refuse('more text')
  }

  #read(depth: number): Json {
    if (this.#take('{')) return this.#object(depth)
    if (this.#take('[')) return this.#array(depth)
    if (this.#text[this.#at] === '"') return this.#string()
    if (this.#take('true')) return true
    if (this.#take('false')) return false
    if (this.#take('null')) return null
    return this.#number()
  }

  #object(depth: number): JsonObject {
    const object = Object.create(null) as Record<string, Json>
    this.#skipSpace()
    if (this.#take('}')) return object
    for (;;) {
      this.#skipSpace()
      const name = this.#string()
      if (name in object) throw this.#refuse(`a second member ${JSON.stringify(name)}`)
      this.#skipSpace()
      if (!this.#take(':')) throw this.#refuse('no ":"')
      object[name] = this.value(depth + 1)
      if (this.#take('}')) return object
      if (!this.#take(',')) throw this.#refuse('no "," or "}"')
    }
  }

  #array(depth: number): Json[] {
    const array: Json[] = []
    this.#skipSpace()
    if (this.#take(']')) return array
    for (;;) {
      array.push(this.value(depth + 1))
      if (this.#take(']')) return array
      if (!this.#take(',')) throw this.#refuse('no "," or "]"')
    }
  }

  #string(): string {
    const text = this.#text
    const at = this.#at
    if (text[at] !== '"') throw this.#refuse('not a string')
    const close = text.indexOf('"', at + 1)
    const plain = text.slice(at + 1, Math.max(close, at + 1))
    if (close > at && PLAIN.test(plain)) {
      this.#at = close + 1
      return plain
    }
    let end = at + 1
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
    let value: string
    try {
      // Escapes and control characters are as strict as they should be in the built-in parser.
      value = JSON.parse(text.slice(at, end + 1)) as string
    } catch {
      throw this.#refuse('not a string')
    }
    this.#at = end + 1
    if (/\p{Surrogate}/u.test(value)) throw this.#refuse('half of a surrogate pair')
    return value
  }

  #number(): number | JsonNumber {
    NUMBER.lastIndex = this.#at
    const found = NUMBER.exec(this.#text)
    if (!found) throw this.#refuse('not a value')
    const [literal, fraction, exponent] = found
    this.#at += literal.length
    const value = Number(literal)
    const plain = fraction === undefined && exponent === undefined && Number.isSafeInteger(value) && literal !== '-0'
    return plain ? value : new JsonNumber(literal)
  }

  #skipSpace(): void {
    const text = this.#text
    let code = text.charCodeAt(this.#at)
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) code = text.charCodeAt(++this.#at)
  }

  #take(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false
    this.#at += token.length
    return true
  }

  #refuse(why: string): ProvenanceError {
    return new ProvenanceError('malformed_json', `${why} at offset ${this.#at}`)
  }
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
  if (typeof value === 'string') return quoted(value)
  if (value instanceof JsonNumber) throw new ProvenanceError('malformed_json', `${value.literal} is not an integer`)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  let members = ''
  for (const name of Object.keys(value).sort()) {
    members += `${members === '' ? '' : ','}${quoted(name)}:${canonicalJson(value[name]!)}`
  }
  return `{${members}}`
}

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}
