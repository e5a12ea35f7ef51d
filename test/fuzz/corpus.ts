/**
 * The inputs that are kept: edge cases written by hand, one input for each thing a reader can say, and everything that ever failed.
 *
 *     corpus/<target>/<what it is>       written by hand
 *     corpus/<target>/new-<digest>       kept by `--grow`
 *     corpus/<target>/failed-<digest>    failed once, smallest form: stays for good
 *
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { sha256, toHex } from '../../merkle/index.ts'

const FOLDER = fileURLToPath(new URL('corpus/', import.meta.url))

/** Most inputs that `--grow` keeps for one target, and the longest. */
export const MAX_GROWN = 16
export const MAX_GROWN_BYTES = 2048

/** In the order of their names, so that a seed means the same everywhere. */
export function readCorpus(target: string): Uint8Array[] {
  return namesIn(target).map((name) => new Uint8Array(readFileSync(`${FOLDER}${target}/${name}`)))
}

/** How many more inputs may be kept for `target`. */
export function roomToGrow(target: string): number {
  return Math.max(0, MAX_GROWN - namesIn(target).filter((name) => name.startsWith('new-')).length)
}

/** Writes `input`, and returns where. */
export function keep(target: string, kind: 'new' | 'failed', input: Uint8Array): string {
  mkdirSync(`${FOLDER}${target}`, { recursive: true })
  const path = `${FOLDER}${target}/${kind}-${toHex(sha256(input)).slice(0, 16)}`
  writeFileSync(path, input)
  return path
}

function namesIn(target: string): string[] {
  try {
    return readdirSync(`${FOLDER}${target}`).sort()
  } catch {
    return []
  }
}
