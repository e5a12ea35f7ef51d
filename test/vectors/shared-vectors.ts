/**
 * Other people's test data, kept beside the checkout and not in it. Where it is absent, the tests that
 * need it skip and say so.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = process.env['PROVLOG_VECTORS'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url))

/** `false` where the vectors are; otherwise the reason to pass as a test's `skip`. */
export const vectorsMissing: string | false = existsSync(folder) ? false : `SKIPPED: no test vectors at ${folder}`

export function vectorPath(path: string): string {
  return `${folder}/${path}`
}

export function readVector(path: string): Uint8Array {
  return new Uint8Array(readFileSync(vectorPath(path)))
}

export function readTextVector(path: string): string {
  return readFileSync(vectorPath(path), 'utf8')
}
