/**
 * DER that is nearly right: elements exchanged, dropped and doubled, lengths written longer than they need be, at any depth.
 *
 * @module
 */
import { concatBytes, toBase64 } from '../../merkle/bytes.ts'
import { bytesMutator, type Mutator } from './mutate.ts'

interface Element {
  tag: number
  /** Extra zero bytes before the length: BER allows them. */
  padding: number
  content?: Uint8Array
  children?: Element[]
  /** What stands before the children of a BIT STRING. */
  lead: Uint8Array
  raw?: Uint8Array
}

export const derMutator: Mutator = (input, random, others) => {
  const roots = readAll(input, 0)
  if (!roots || roots.length === 0) return bytesMutator(input, random, others)
  const all: Element[] = []
  for (const root of roots) collect(root, all)
  const element = random.pick(all)
  const kind = random.below(8)
  if (kind === 0) element.raw = random.pick(ELEMENTS)
  else if (kind === 1) element.raw = write(random.pick(all))
  else if (kind === 2) element.padding = 1 + random.below(4)
  else if (kind === 3)
    element.tag = random.pick([element.tag ^ 0x20, 0x02, 0x04, 0x05, 0x0c, 0x30, 0x31, 0xa0, 0x86, 0x1f])
  else if (kind === 4 && element.content) element.content = bytesMutator(element.content, random, others)
  else if (kind === 5) element.raw = concatBytes(write(element), write(random.pick(all)))
  else if (kind === 6) element.raw = new Uint8Array()
  else if (element.children && element.children.length > 1) element.children.reverse()
  else element.raw = concatBytes(write(element), Uint8Array.of(0))
  return concatBytes(...roots.map(write))
}

/** PEM: the DER inside of the first block changed, and sometimes only the text around it. */
export const pemMutator: Mutator = (input, random, others) => {
  const text = new TextDecoder().decode(input)
  const block = /-----BEGIN CERTIFICATE-----\n([^-]*)-----END/.exec(text)
  if (!block || random.chance(0.2)) return bytesMutator(input, random, others)
  const der = new Uint8Array(Buffer.from(block[1]!, 'base64'))
  const lines = toBase64(derMutator(der, random, [der])).replaceAll(/(.{64})/g, '$1\n')
  return new TextEncoder().encode(text.replace(block[1]!, () => `${lines}\n`))
}

const ELEMENTS = [
  ...[
    '0500',
    '0101ff',
    '010101',
    '010100',
    '020100',
    '02020080',
    '0202ff80',
    '02020001',
    '020180',
    '0200',
    '0300',
    '030100',
  ],
  ...[
    '03020780',
    '03020880',
    '0302 00ff'.replace(' ', ''),
    '0400',
    '0600',
    '060180',
    '06032a8001',
    '06092a8648ce3d04030280',
    '3000',
  ],
  ...[
    '30800000',
    '3081',
    '308100',
    '3082000100',
    '3100',
    '170d3230303233303030303030305a',
    '180f32303230303233303030303030305a',
  ],
  ...[
    '170b3236303130313030305a',
    '18133230323630313031303030303030 2e355a'.replace(' ', ''),
    '0c00',
    '8600',
    '86017f',
    'a000',
    '1f8100',
    '0000',
  ],
].map((text) => Uint8Array.from(Buffer.from(text, 'hex')))

function readAll(bytes: Uint8Array, depth: number): Element[] | undefined {
  const elements: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!
    const first = bytes[at + 1]
    if (first === undefined || depth > 20) return undefined
    let start = at + 2
    let length = first
    if (first >= 0x80) {
      const digits = first & 0x7f
      if (digits === 0 || digits > 3) return undefined
      length = 0
      for (let i = 0; i < digits; i++) length = length * 256 + (bytes[start + i] ?? 0)
      start += digits
    }
    const content = bytes.subarray(start, start + length)
    if (content.length < length) return undefined
    elements.push(element(tag, content, depth))
    at = start + length
  }
  return elements
}

function element(tag: number, content: Uint8Array, depth: number): Element {
  const lead = tag === 0x03 ? content.subarray(0, 1) : new Uint8Array()
  const body = content.subarray(lead.length)
  const nested = (tag & 0x20) !== 0 || ((tag === 0x03 || tag === 0x04) && body[0] === 0x30)
  const children = nested ? readAll(body, depth + 1) : undefined
  return children ? { tag, padding: 0, children, lead } : { tag, padding: 0, content, lead: new Uint8Array() }
}

function collect(node: Element, into: Element[]): void {
  into.push(node)
  for (const child of node.children ?? []) collect(child, into)
}

function write(node: Element): Uint8Array {
  if (node.raw) return node.raw
  const body = concatBytes(node.lead, node.content ?? concatBytes(...(node.children ?? []).map(write)))
  const digits: number[] = []
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
  if (body.length < 0x80 && node.padding === 0) return concatBytes(Uint8Array.of(node.tag, body.length), body)
  const padded = [...Array.from({ length: node.padding }, () => 0), ...digits]
  return concatBytes(Uint8Array.of(node.tag, 0x80 | padded.length, ...padded), body)
}
