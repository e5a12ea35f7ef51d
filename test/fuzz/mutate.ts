/**
 * Inputs that are nearly right. Random bytes never get past the first line of a parser; what has one thing wrong does.
 *
 * @module
 */
import { concatBytes, utf8 } from '../../merkle/bytes.ts'
import type { Random } from './random.ts'

/** Makes another input out of `input`. `others` are inputs of the same target, to take pieces from. */
export type Mutator = (input: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array

/** `input` with `[start, end)` replaced. */
export function splice(input: Uint8Array, start: number, end: number, insert: Uint8Array): Uint8Array {
  return concatBytes(input.subarray(0, start), insert, input.subarray(end))
}

function range(length: number, random: Random, longest = 64): [start: number, end: number] {
  const start = random.below(length + 1)
  return [start, Math.min(length, start + random.below(random.chance(0.1) ? length + 1 : longest))]
}

/** A few bytes changed, dropped, doubled, put in, or taken from another input. */
export const bytesMutator: Mutator = (input, random, others) => {
  const [start, end] = range(input.length, random)
  const kind = random.below(9)
  if (kind === 0) return splice(input, start, start + 1, random.bytes(1))
  if (kind === 1) return splice(input, start, end, new Uint8Array())
  if (kind === 2) return splice(input, end, end, input.subarray(start, end))
  if (kind === 3) return splice(input, start, start, random.bytes(1 + random.below(8)))
  if (kind === 4) return input.slice(0, start)
  if (kind === 5) return splice(input, start, Math.min(input.length, start + 8), random.pick(EDGES))
  if (kind === 6) {
    const other = random.pick(others)
    const [from, to] = range(other.length, random)
    return splice(input, start, end, other.subarray(from, to))
  }
  if (kind === 7) {
    const other = random.pick(others)
    return concatBytes(input.subarray(0, start), other.subarray(random.below(other.length + 1)))
  }
  const copy = input.slice()
  if (copy.length > 0) copy[random.below(copy.length)]! ^= 1 << random.below(8)
  return copy
}

const EDGES = [
  [0x00],
  [0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff],
  [0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
].map((bytes) => Uint8Array.from(bytes))

/** A piece of the input over and over, up to `maxBytes`: what finds out the parser that is quadratic. */
export function amplifier(maxBytes: number): Mutator {
  return (input, random) => {
    const [start, end] = range(input.length, random, 24)
    const piece = input.subarray(start, end)
    if (piece.length === 0) return input
    const room = random.chance(0.5) ? maxBytes : random.below(maxBytes)
    const times = Math.max(0, Math.floor((room - input.length) / piece.length))
    const grown = new Uint8Array(piece.length * times)
    for (let i = 0; i < times; i++) grown.set(piece, i * piece.length)
    return splice(input, end, end, grown)
  }
}

/** Lines dropped, doubled and exchanged; numbers changed; `words` and what text parsers stumble over put in. */
export function textMutator(words: readonly string[] = []): Mutator {
  const insertions = [...words, ...ODD_TEXT]
  return (input, random) => {
    const text = new TextDecoder('latin1').decode(input)
    const lines = text.split('\n')
    const at = random.below(lines.length)
    const kind = random.below(7)
    if (kind === 0) lines.splice(at, 1)
    else if (kind === 1) lines.splice(at, 0, lines[random.below(lines.length)]!)
    else if (kind === 2) lines.splice(at, 1, lines[random.below(lines.length)]!)
    else if (kind === 3) return utf8Of(replaceOne(text, /[0-9]+/g, random, (found) => numberLike(found, random)))
    else if (kind === 4) return utf8Of(replaceOne(text, /[A-Za-z]+/g, random, () => random.pick(insertions)))
    else {
      const line = lines[at]!
      const column = random.chance(0.4) ? line.length : random.below(line.length + 1)
      lines[at] = line.slice(0, column) + latin1(random.pick(insertions)) + line.slice(column)
    }
    return utf8Of(lines.join('\n'))
  }
}

// Text goes through Latin-1 here, so that what is no UTF-8 stays what it is.
const latin1 = (text: string): string => String.fromCharCode(...utf8(text))
const utf8Of = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0))

/** One of the places where `pattern` matches, chosen, replaced. */
function replaceOne(text: string, pattern: RegExp, random: Random, by: (found: string) => string): string {
  const found = [...text.matchAll(pattern)]
  if (found.length === 0) return text
  const { 0: match, index } = random.pick(found)
  return text.slice(0, index) + latin1(by(match)) + text.slice(index + match.length)
}

export function numberLike(found: string, random: Random): string {
  return random.pick([
    ...['0', '-1', '-0', '+1', '00', '1.0', '1e3', '255', '256', '65536', '4294967296', '0x10', 'NaN', '1_0', '٣'],
    ...['9007199254740991', '9007199254740992', '18446744073709551616', '9'.repeat(400)],
    `0${found}`,
    `${found}0`,
    String(Number(found) + 1),
  ])
}

const ODD_TEXT = [
  ...['', ' ', '  ', '\t', '\r', '\n', '\n\n', '\r\n', '\0', '\v', '\f', '\x1b', '\x7f', '\u0085', '\u00a0', '\u2028'],
  ...[
    '\ufeff',
    '\u200b',
    'e\u0301',
    '\u00e9',
    '😀',
    '—',
    '-',
    '+',
    '=',
    '==',
    '/',
    '\\',
    '%',
    '%00',
    '%2e%2e',
    '..',
    '.',
  ],
  ...['#', '"', "'", ',', ':', ';', '{', '}', '[', ']', '(', ')', '&', '<', '>', '_', '~', '\uffff', '__proto__'],
  ...['constructor', 'toString', 'A', 'a', 'AA==', 'x'.repeat(300)],
]

/** JSON: a value replaced, removed, moved or doubled, and what only shows in the text: a second member, a float, an escape. */
export const jsonMutator: Mutator = (input, random, others) => {
  let value: unknown
  const text = new TextDecoder().decode(input)
  try {
    value = JSON.parse(text)
  } catch {
    return textMutator()(input, random, others)
  }
  const kind = random.below(6)
  if (kind === 0) return utf8(replaceOneText(text, /-?[0-9]+/g, random, (found) => numberLike(found, random)))
  // A member that is there twice, with another value or the same.
  if (kind === 1) {
    return utf8(replaceOneText(text, /"[^"\\]*":/g, random, (found) => `${found}${random.pick(JSON_VALUES)},${found}`))
  }
  // One character of a text as an escape: the same text, and other bytes.
  if (kind === 2) {
    const escaped = (found: string) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
    return utf8(replaceOneText(text, /[A-Za-z]/g, random, escaped))
  }
  const places: [holder: Record<string, unknown>, key: string][] = []
  collect(value, places, 0)
  if (places.length === 0) return utf8(random.pick(JSON_VALUES))
  const [holder, key] = random.pick(places)
  if (kind === 3) {
    if (Array.isArray(holder)) holder.splice(Number(key), 1)
    else delete holder[key]
  } else if (kind === 4) {
    const [from, name] = random.pick(places)
    holder[key] = structuredClone(from[name])
  } else {
    const marker = 'a value that stands here for another'
    holder[key] = marker
    return utf8(JSON.stringify(value).replace(JSON.stringify(marker), () => random.pick(JSON_VALUES)))
  }
  return utf8(JSON.stringify(value))
}

function replaceOneText(text: string, pattern: RegExp, random: Random, by: (found: string) => string): string {
  const found = [...text.matchAll(pattern)]
  if (found.length === 0) return text
  const { 0: match, index } = random.pick(found)
  return text.slice(0, index) + by(match) + text.slice(index + match.length)
}

function collect(value: unknown, places: [Record<string, unknown>, string][], depth: number): void {
  if (typeof value !== 'object' || value === null || depth > 100) return
  const holder = value as Record<string, unknown>
  for (const key of Object.keys(holder)) {
    places.push([holder, key])
    collect(holder[key], places, depth + 1)
  }
}

const JSON_VALUES = [
  ...['null', 'true', 'false', '0', '-1', '1.5', '1e2', '-0', '1e999', '9007199254740993', '""', '"x"', '[]', '{}'],
  ...['"\\ud800"', '"\\u0000"', '"\\ufeff"', '[[]]', '{"":{}}', '{"__proto__":{}}', '{"constructor":1}', '[null]'],
  ...['"__proto__"', '"\\n"', `${'['.repeat(40)}${']'.repeat(40)}`, `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
  `"${'x'.repeat(5000)}"`,
]

/** A compact JWS: its header or its claims changed inside of their base64url. */
export const jwsMutator: Mutator = (input, random, others) => {
  const parts = new TextDecoder().decode(input).split('.')
  const at = random.below(parts.length)
  const inner = new Uint8Array(Buffer.from(parts[at]!, 'base64url'))
  const changed = at < 2 ? jsonMutator(inner, random, []) : bytesMutator(inner, random, others)
  parts[at] = Buffer.from(changed).toString('base64url')
  return utf8(parts.join('.'))
}
