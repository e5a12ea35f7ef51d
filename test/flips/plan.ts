/**
 * Which damage is done to which place: all there is, or so much of each kind out of a seed.
 *
 * @module
 */
import { notRandom } from '../provenance/small-log.ts'
import { DAMAGE_KINDS, type Damage, damaged, damagesOf } from './damage.ts'
import type { Place } from './places.ts'

export interface Piece {
  readonly what: string
  readonly place: Place
  readonly damage: Damage
}

export interface Wanted {
  /** Of what is of one kind, so many bits, and an eighth as many cuts and zeroed sectors; or all of what has fewer. */
  readonly each: number
  readonly seed: number
}

/** In an order by which each kind has had its share whenever one stops. */
export function plan(places: ReadonlyMap<string, readonly Place[]>, { each, seed }: Wanted): Piece[] {
  const all = [...places].flatMap(([what, list]) => DAMAGE_KINDS.map((kind) => share(what, list, kind, { each, seed })))
  const pieces: Piece[] = []
  for (let i = 0; all.some((list) => i < list.length); i++) for (const list of all) if (list[i]) pieces.push(list[i]!)
  return pieces
}

function share(what: string, list: readonly Place[], kind: Damage['kind'], { each, seed }: Wanted): Piece[] {
  // A key that is shorter is another one, which flipped bits make as well.
  if (kind !== 'flip' && list[0]?.in === 'key') return []
  let total = 0
  const kinds = list.map((place) => {
    const damages = damagesOf(place.bytes, kind)
    const from = total
    total += damages.count
    return { place, damages, from }
  })
  const pieces: Piece[] = []
  for (const n of drawn(total, kind === 'flip' ? each : Math.ceil(each / 8), `${seed} ${what} ${kind}`)) {
    const { place, damages, from } = kinds.findLast((one) => one.from <= n)!
    const damage = damages.at(n - from)
    if (!isNothing(place, damage)) pieces.push({ what, place, damage })
  }
  return pieces
}

/** Different ones, in any order; the first and the last among them. */
function drawn(limit: number, count: number, seed: string): Iterable<number> {
  if (count >= limit) return Array.from({ length: limit }, (_, i) => i)
  const random = notRandom(seed)
  const chosen = new Set([0, limit - 1].slice(0, count))
  while (chosen.size < count) {
    const bytes = random(8)
    chosen.add(Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) % BigInt(limit)))
  }
  return chosen
}

/** The line end of a JSON file says nothing. */
function isNothing({ name, bytes }: Place, damage: Damage): boolean {
  if (damage.kind !== 'cut' || !/\.(?:json|jwk)$|^frozen$/.test(name)) return false
  return Buffer.from(damaged(bytes, damage)).toString().trim() === Buffer.from(bytes).toString().trim()
}
