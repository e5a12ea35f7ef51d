/**
 * What may become of bytes on a disk: one bit is another one, the end is gone, a sector holds zeros.
 *
 * @module
 */
export type Damage =
  | { readonly kind: 'flip'; readonly bit: number }
  /** Nothing is left from byte `length` on. */
  | { readonly kind: 'cut'; readonly length: number }
  | { readonly kind: 'zeros'; readonly from: number; readonly until: number }

export const DAMAGE_KINDS = ['flip', 'cut', 'zeros'] as const

/** Of the disk, and of its file system. */
const SECTORS = [512, 4096]

export function damaged(bytes: Uint8Array, damage: Damage): Uint8Array {
  if (damage.kind === 'cut') return new Uint8Array(bytes.subarray(0, damage.length))
  const copy = new Uint8Array(bytes)
  if (damage.kind === 'zeros') copy.fill(0, damage.from, damage.until)
  else copy[damage.bit >> 3]! ^= 1 << (damage.bit & 7)
  return copy
}

/** All of one kind that may become of `bytes`: how many, and each by its number. */
export function damagesOf(bytes: Uint8Array, kind: Damage['kind']): { count: number; at(n: number): Damage } {
  if (kind === 'flip') return { count: bytes.length * 8, at: (bit) => ({ kind, bit }) }
  if (kind === 'cut') return { count: bytes.length, at: (length) => ({ kind, length }) }
  const sectors = zeroable(bytes)
  return { count: sectors.length, at: (n) => ({ kind, ...sectors[n]! }) }
}

/** Sectors that do not hold zeros already. */
function zeroable(bytes: Uint8Array): { from: number; until: number }[] {
  const found: { from: number; until: number }[] = []
  for (const sector of SECTORS) {
    for (let from = 0; from < bytes.length; from += sector) {
      const until = Math.min(from + sector, bytes.length)
      if (bytes.subarray(from, until).some((byte) => byte !== 0)) found.push({ from, until })
    }
  }
  return found
}
