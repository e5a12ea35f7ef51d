import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decode as cbor2, cdeDecodeOptions } from 'cbor2'
import { decode as cborg } from 'cborg'
import { toHex } from '../../merkle/bytes.ts'
import { CborTag, type CborValue, decodeCbor, encodeCbor, tagged } from '../../statement/cbor.ts'

/** A generator with a seed, so that a failure can be repeated: mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const random = randomOf(20261122)
const below = (n: number) => Math.floor(random() * n)
const pick = <T>(from: readonly T[]): T => from[below(from.length)]!

const integers = [0, 1, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]
const texts = ['', 'a', 'alg', '__proto__', 'é水𐅑', 'x'.repeat(30), 'y'.repeat(300)]

function someValue(levels: number): CborValue {
  const kind = below(levels > 0 ? 9 : 6)
  if (kind === 0) return pick(integers)
  if (kind === 1) return -1 - pick(integers.slice(0, -1))
  if (kind === 2) return pick(texts)
  if (kind === 3) return new Uint8Array(below(40)).fill(below(256))
  if (kind === 4) return pick([true, false, null])
  if (kind === 5) return below(1000)
  if (kind === 6) return Array.from({ length: below(6) }, () => someValue(levels - 1))
  if (kind === 7) return tagged(18, someValue(levels - 1))
  const key = () => (random() < 0.5 ? pick(texts) : below(2000) - 1000)
  return new Map(Array.from({ length: below(6) }, () => [key(), someValue(levels - 1)]))
}

/** A few bytes changed, dropped, doubled or put in. */
function mutated(bytes: Uint8Array): Uint8Array {
  const list = [...bytes]
  for (let count = 1 + below(3); count > 0; count--) {
    const at = below(list.length)
    const kind = below(5)
    if (kind === 0) list[at] = below(256)
    if (kind === 1) list[at] = (list[at] ?? 0) ^ (1 << below(8))
    if (kind === 2) list.splice(at, 1)
    if (kind === 3) list.splice(at, 0, below(256))
    if (kind === 4) list.splice(at, 0, ...list.slice(at, at + 1 + below(4)))
  }
  return Uint8Array.from(list)
}

const accepts = (decode: () => unknown): boolean => {
  try {
    decode()
    return true
  } catch {
    return false
  }
}
const hasTag = (value: CborValue): boolean =>
  value instanceof CborTag ||
  (Array.isArray(value) && value.some(hasTag)) ||
  (value instanceof Map && [...value.values()].some(hasTag))

describe('decodeCbor beside other strict decoders', () => {
  it('accepts nothing that cbor2 (CDE) or cborg (strict) refuses, and re-encodes what it accepts to the same bytes', () => {
    const counts = { accepted: 0, refused: 0 }
    for (let round = 0; round < 6000; round++) {
      const valid = encodeCbor(someValue(4))
      const bytes = round % 4 === 0 ? valid : mutated(valid)
      let value: CborValue
      try {
        value = decodeCbor(bytes, { tags: [18] })
      } catch (error) {
        // Nothing but our own refusals comes out, whatever goes in.
        assert.ok(['malformed_cbor', 'too_large'].includes((error as { code: string }).code), toHex(bytes))
        counts.refused++
        continue
      }
      counts.accepted++
      assert.equal(toHex(encodeCbor(value)), toHex(bytes))
      assert.ok(
        accepts(() => cbor2(bytes, { ...cdeDecodeOptions, rejectDuplicateKeys: true })),
        toHex(bytes),
      )
      // cborg has no tags without a decoder for each.
      if (!hasTag(value)) {
        assert.ok(
          accepts(() => cborg(bytes, { strict: true, useMaps: true, rejectDuplicateMapKeys: true })),
          toHex(bytes),
        )
      }
    }
    assert.ok(counts.accepted > 1500 && counts.refused > 1500, JSON.stringify(counts))
  })
})
