/**
 * Structured fields (RFC 9651), as far as signatures and digests of messages need them: dictionaries of items and inner lists.
 *
 *     Signature-Input: wimse=("@method" "@request-target");created=1785155797;nonce="abcd1111"
 *     Signature:       wimse=:zSK+kx5E…:
 *
 * What two readers could understand in two ways is refused, although the RFC settles it: a second member or parameter of one
 * name (the last one counts, and some count the first), base64 that is not canonical, and numbers that are no integers
 * (`created=1.0` becomes 1 in a language with one kind of number, and would then be signed as another text). Libraries take
 * all three, which is why none is used here. Dates and display strings do not occur. White space is read as generously as
 * the RFC has it: what is signed is the canonical text of what was read.
 *
 * @module
 */
import { fromBase64, toBase64 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { ProvenanceError } from '../error.ts'

/** A token of RFC 9651 §3.3.4: as against a string, written without quotes. */
export class Token {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** A plain `number` is an integer of at most 15 digits. */
export type BareItem = number | string | boolean | Uint8Array | Token
/** In the order in which they were written. */
export type Parameters = ReadonlyMap<string, BareItem>

export interface Item {
  readonly value: BareItem
  readonly parameters: Parameters
}

export interface InnerList {
  readonly items: readonly Item[]
  readonly parameters: Parameters
}

export type Dictionary = ReadonlyMap<string, Item | InnerList>

/** Longest field that we read, in characters: some hundred covered components. */
export const MAX_STRUCTURED_FIELD = 16 * 1024

const SPACES = / */y
const OPTIONAL_WHITE_SPACE = /[ \t]*/y
const KEY = /[a-z*][a-z0-9_.*-]*/y
const INTEGER = /-?[0-9]{1,15}(?![0-9.])/y
const STRING = /"((?:[ !#-[\]-~]|\\["\\])*)"/y
const TOKEN = /[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*/y
const BYTES = /:([A-Za-z0-9+/=]*):/y
const BOOLEAN = /\?([01])/y

/**
 * Reads a dictionary (RFC 9651 §4.2.2).
 *
 * @throws {@link ProvenanceError} `malformed_structured_field`, with the offset
 */
export function parseDictionary(text: string): Dictionary {
  if (text.length > MAX_STRUCTURED_FIELD) throw new ProvenanceError('malformed_structured_field', 'too long')
  let at = 0

  function refuse(why: string): ProvenanceError {
    return new ProvenanceError('malformed_structured_field', `${why} at offset ${at}`)
  }
  function match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found) at += found[0].length
    return found
  }
  function take(character: string): boolean {
    if (text[at] !== character) return false
    at++
    return true
  }
  function readKey(): string {
    const key = match(KEY)
    if (!key) throw refuse('no key')
    return key[0]
  }
  function readBytes(base64: string): Uint8Array {
    try {
      return fromBase64(base64)
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      throw refuse('bytes that are not canonical base64')
    }
  }
  function readBareItem(): BareItem {
    const string = match(STRING)
    if (string) return string[1]!.replaceAll(/\\(.)/g, '$1')
    const integer = match(INTEGER)
    if (integer) return Number(integer[0])
    const bytes = match(BYTES)
    if (bytes) return readBytes(bytes[1]!)
    const boolean = match(BOOLEAN)
    if (boolean) return boolean[1] === '1'
    const token = match(TOKEN)
    if (token) return new Token(token[0])
    throw refuse('not a string, an integer, bytes, a boolean or a token')
  }
  function readParameters(): Parameters {
    const parameters = new Map<string, BareItem>()
    while (take(';')) {
      match(SPACES)
      const key = readKey()
      if (parameters.has(key)) throw refuse(`a second parameter ${key}`)
      parameters.set(key, take('=') ? readBareItem() : true)
    }
    return parameters
  }
  function readItem(): Item {
    return { value: readBareItem(), parameters: readParameters() }
  }
  function readInnerList(): InnerList {
    const items: Item[] = []
    for (;;) {
      const spaced = match(SPACES)![0] !== ''
      if (take(')')) return { items, parameters: readParameters() }
      if (items.length > 0 && !spaced) throw refuse('no space between two items')
      items.push(readItem())
    }
  }

  const dictionary = new Map<string, Item | InnerList>()
  match(SPACES)
  while (at < text.length) {
    const key = readKey()
    if (dictionary.has(key)) throw refuse(`a second member ${key}`)
    if (!take('=')) dictionary.set(key, { value: true, parameters: readParameters() })
    else if (take('(')) dictionary.set(key, readInnerList())
    else dictionary.set(key, readItem())
    match(OPTIONAL_WHITE_SPACE)
    if (at === text.length) break
    if (!take(',')) throw refuse('no ","')
    match(OPTIONAL_WHITE_SPACE)
    if (at === text.length) throw refuse('nothing behind ","')
  }
  return dictionary
}

/** The one text of a dictionary (RFC 9651 §4.1.2). */
export function serializeDictionary(dictionary: Dictionary): string {
  const members = [...dictionary].map(([key, member]) => {
    if ('items' in member) return `${key}=${serializeInnerList(member)}`
    return member.value === true ? `${key}${serializeParameters(member.parameters)}` : `${key}=${serializeItem(member)}`
  })
  return members.join(', ')
}

/** The one text of an inner list: what `@signature-params` stands for (RFC 9421 §2.3). */
export function serializeInnerList({ items, parameters }: InnerList): string {
  return `(${items.map(serializeItem).join(' ')})${serializeParameters(parameters)}`
}

/** The one text of an item: what names a component in a signature base. */
export function serializeItem({ value, parameters }: Item): string {
  return `${serializeBareItem(value)}${serializeParameters(parameters)}`
}

function serializeParameters(parameters: Parameters): string {
  return [...parameters]
    .map(([key, value]) => (value === true ? `;${key}` : `;${key}=${serializeBareItem(value)}`))
    .join('')
}

/** @throws {@link ProvenanceError} `malformed_structured_field` for what has no text: a string outside of ASCII, a large number. */
function serializeBareItem(value: BareItem): string {
  if (typeof value === 'boolean') return value ? '?1' : '?0'
  if (value instanceof Uint8Array) return `:${toBase64(value)}:`
  if (value instanceof Token) return value.text
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || Math.abs(value) > 999_999_999_999_999) {
      throw new ProvenanceError('malformed_structured_field', `${value} is no integer of 15 digits`)
    }
    return String(value)
  }
  if (!/^[ -~]*$/.test(value)) throw new ProvenanceError('malformed_structured_field', 'a string outside of ASCII')
  return `"${value.replaceAll(/["\\]/g, '\\$&')}"`
}
