/**
 * Unpredictable bytes. To ask the system's generator costs as much for sixteen of them as for thousands, and a record takes a handful of draws: so
 * it is asked for many at a time, as `crypto.randomUUID` does.
 *
 * @module
 */
import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 4096

/** Draws so many bytes, each of them once: what was handed out is no longer in the pool. */
export function pooledRandom(): (length: number) => Uint8Array {
  const pool = new Uint8Array(POOL_BYTES)
  let at = POOL_BYTES
  return (length) => {
    if (length > POOL_BYTES) return randomFillSync(new Uint8Array(length))
    if (at + length > POOL_BYTES) {
      randomFillSync(pool)
      at = 0
    }
    const drawn = pool.slice(at, at + length)
    pool.fill(0, at, at + length)
    at += length
    return drawn
  }
}
