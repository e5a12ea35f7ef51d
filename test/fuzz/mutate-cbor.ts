/**
 * CBOR that is nearly right: items exchanged, heads written too long, lengths that lie. Also inside of byte strings that hold CBOR,
 * as the protected header of COSE is, with the lengths around made to fit again.
 *
 * @module
 */
import { concatBytes } from '../../merkle/bytes.ts'
import { bytesMutator, type Mutator } from './mutate.ts'
import type { Random } from './random.ts'

interface Node {
  major: number
  argument: number
  /** Bytes of the argument: 0 (in the head itself), 1, 2, 4 or 8; undefined for the shortest. */
  width: number | undefined
  /** Of a string. */
  content?: Uint8Array
  /** Of an array, a map (key, value, …), a tag, or a byte string that holds CBOR. */
  children?: Node[]
  /** Written as it is. */
  raw?: Uint8Array
}

export const cborMutator: Mutator = (input, random, others) => {
  const reader = { bytes: input, at: 0 }
  const root = readItem(reader, 0)
  if (!root) return bytesMutator(input, random, others)
  const all: Node[] = []
  collect(root, all)
  const node = random.pick(all)
  const kind = random.below(11)
  if (kind === 0) node.raw = random.pick(ITEMS)
  else if (kind === 1) node.raw = write(random.pick(all))
  else if (kind === 2) node.width = random.pick([1, 2, 4, 8])
  else if (kind === 3) node.argument = Math.max(0, node.argument + random.pick([-1, 1, 2, 255]))
  else if (kind === 4) node.major = random.below(8)
  else if (kind === 5) node.raw = concatBytes(random.pick(PREFIXES), write(node))
  else if (kind === 6 && node.content) {
    node.content = bytesMutator(node.content, random, others)
    node.argument = node.content.length
  } else if (node.children && node.children.length > 0 && kind >= 7) editChildren(node, node.children, random, kind)
  else node.raw = random.pick(ITEMS)
  return concatBytes(write(root), input.subarray(reader.at))
}

/** A child, or in a map a pair, dropped, doubled, moved, or put in. */
function editChildren(node: Node, children: Node[], random: Random, kind: number): void {
  const step = node.major === 5 ? 2 : 1
  const at = step * random.below(children.length / step)
  if (kind === 7) children.splice(at, step)
  else if (kind === 8) children.splice(at, 0, ...children.slice(at, at + step))
  else if (kind === 9) {
    const moved = children.splice(at, step)
    children.splice(step * random.below(children.length / step + 1), 0, ...moved)
  } else children.splice(at, 0, ...Array.from({ length: step }, () => rawNode(random.pick(ITEMS))))
  if (node.major === 4) node.argument = children.length
  if (node.major === 5) node.argument = children.length / 2
}

const rawNode = (raw: Uint8Array): Node => ({ major: 0, argument: 0, width: undefined, raw })

const hex = (texts: readonly string[]) => texts.map((text) => Uint8Array.from(Buffer.from(text, 'hex')))

/** Each refused by somebody, or read by some as another. */
const ITEMS = hex([
  ...['00', '17', '1818', '1817', '18ff', '19ffff', '1900ff', '1affffffff', '1b001fffffffffffff', '1b0020000000000000'],
  ...[
    '1bffffffffffffffff',
    '20',
    '26',
    '27',
    '28',
    '3812',
    '3b001ffffffffffffe',
    '3b001fffffffffffff',
    '3bffffffffffffffff',
  ],
  ...[
    '40',
    '4100',
    '41a0',
    '43a10126',
    '5f4100ff',
    '5803010203',
    '60',
    '6161',
    '63efbbbf',
    '62c328',
    '63eda080',
    '64f0808080',
  ],
  ...[
    '61ff',
    '7f6161ff',
    '80',
    '8100',
    '9f00ff',
    '9fff',
    '9b0020000000000000',
    '9bffffffffffffffff',
    'a0',
    'a10000',
    'a1f600',
  ],
  ...[
    'a200000000',
    'a201020102',
    'a220000000',
    'bf0000ff',
    'bfff',
    'c000',
    'c100',
    'c11a63b0cd00',
    'c1fb41d8ec3340000000',
  ],
  ...[
    'c1c100',
    'c1 20'.replace(' ', ''),
    'c11b0000084595161401',
    'c24100',
    'c249010000000000000000',
    'c349010000000000000000',
  ],
  ...[
    'd28440a0f640',
    'd818 41a0'.replace(' ', ''),
    'd9d9f700',
    'd81c80',
    'd81d00',
    'd9010280',
    'e0',
    'f0',
    'f4',
    'f5',
    'f6',
    'f7',
  ],
  ...[
    'f800',
    'f818',
    'f820',
    'f8ff',
    'f90000',
    'f93c00',
    'f97e00',
    'f9fc00',
    'fa3f800000',
    'fb3ff0000000000000',
    'fc',
    'ff',
  ],
  ...['1c', '1f', '3f', '5c', 'dc', 'df', ''],
])
const PREFIXES = hex(['81', 'a100', 'd2', 'c1', 'd83d', 'd9d9f7', '9f', '5818', '8181818181818181'])

function readItem(reader: { bytes: Uint8Array; at: number }, depth: number): Node | undefined {
  const { bytes } = reader
  const first = bytes[reader.at]
  if (first === undefined || depth > 40) return undefined
  const major = first >> 5
  const info = first & 0x1f
  if (info > 27 || (major === 7 && info > 23)) return undefined
  const width = info < 24 ? 0 : 2 ** (info - 24)
  let argument = info
  if (width > 0) {
    argument = 0
    for (let i = 1; i <= width; i++) argument = argument * 256 + (bytes[reader.at + i] ?? 0)
  }
  reader.at += 1 + width
  const node: Node = { major, argument, width: undefined }
  if (major === 2 || major === 3) {
    if (argument > bytes.length - reader.at) return undefined
    const content = bytes.subarray(reader.at, reader.at + argument)
    reader.at += argument
    const inner = { bytes: content, at: 0 }
    const child = major === 2 && content.length > 1 ? readItem(inner, depth + 1) : undefined
    // Random bytes are often CBOR of one small item: only what has parts counts as CBOR inside.
    if (child?.children && inner.at === content.length) node.children = [child]
    else node.content = content
  } else if (major >= 4 && major <= 6) {
    const count = major === 6 ? 1 : major === 5 ? 2 * argument : argument
    if (count > bytes.length - reader.at) return undefined
    node.children = []
    for (let i = 0; i < count; i++) {
      const child = readItem(reader, depth + 1)
      if (!child) return undefined
      node.children.push(child)
    }
  }
  return node
}

function collect(node: Node, into: Node[]): void {
  into.push(node)
  for (const child of node.children ?? []) collect(child, into)
}

function write(node: Node): Uint8Array {
  if (node.raw) return node.raw
  const body = node.content ?? concatBytes(...(node.children ?? []).map(write))
  // A byte string that holds CBOR is as long as what it holds, unless its length is what was changed.
  const argument = node.major === 2 && node.children ? body.length : node.argument
  return concatBytes(head(node.major, argument, node.width), body)
}

function head(major: number, argument: number, width?: number): Uint8Array {
  const shortest = argument < 24 ? 0 : argument < 2 ** 8 ? 1 : argument < 2 ** 16 ? 2 : argument < 2 ** 32 ? 4 : 8
  const chosen = Math.max(width ?? shortest, shortest)
  if (chosen === 0) return Uint8Array.of((major << 5) | argument)
  const bytes = new Uint8Array(1 + chosen)
  bytes[0] = (major << 5) | (24 + Math.log2(chosen))
  let rest = argument
  for (let i = chosen; i > 0; i--) {
    bytes[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return bytes
}
