/**
 * The definitions of RFC 9162 §2.1, transcribed as recursion: slow, obviously right, and sharing no code with what is tested
 * but SHA-256 (which others' vectors check).
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Hash } from '../../merkle/hash.ts'

const H = (...parts: Uint8Array[]) => new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest())

/** The largest power of two smaller than n. */
const split = (n: number): number => {
  let k = 1
  while (2 * k < n) k *= 2
  return k
}

export const leafOf = (entry: Uint8Array): Hash => H(Uint8Array.of(0), entry)

/** MTH of §2.1.1, from leaf hashes. */
export function mth(d: readonly Hash[]): Hash {
  if (d.length === 0) return H()
  if (d.length === 1) return d[0]!
  const k = split(d.length)
  return H(Uint8Array.of(1), mth(d.slice(0, k)), mth(d.slice(k)))
}

/** PATH of §2.1.3.1. */
export function path(m: number, d: readonly Hash[]): Hash[] {
  if (d.length === 1) return []
  const k = split(d.length)
  return m < k ? [...path(m, d.slice(0, k)), mth(d.slice(k))] : [...path(m - k, d.slice(k)), mth(d.slice(0, k))]
}

/** PROOF of §2.1.4.1. */
export function proof(m: number, d: readonly Hash[]): Hash[] {
  return subproof(m, d, true)
}

function subproof(m: number, d: readonly Hash[], known: boolean): Hash[] {
  if (m === d.length) return known ? [] : [mth(d)]
  const k = split(d.length)
  return m <= k
    ? [...subproof(m, d.slice(0, k), known), mth(d.slice(k))]
    : [...subproof(m - k, d.slice(k), false), mth(d.slice(0, k))]
}

/** Leaves 0 to count − 1, each different. */
export const leavesOf = (count: number): Hash[] =>
  Array.from({ length: count }, (_, i) => leafOf(new TextEncoder().encode(`leaf ${i}`)))

/** A NodeLookup over an array of leaf hashes. */
export const lookupIn = (leaves: readonly Hash[]) => (level: number, index: number) =>
  mth(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level))
