/**
 * The Cedar engine on Node: the native half of the `#cedar` import condition.
 *
 * The engine is 4 MB of WebAssembly and takes a tenth of a second to compile, so it is loaded when the first policy is
 * looked at and not when somebody imports this folder to read a receipt.
 *
 * @module
 */
import { createRequire } from 'node:module'
import type { Cedar } from './cedar.ts'

export type { Cedar } from './cedar.ts'

let engine: Cedar | undefined

/** As in `cedar.ts`. */
export function cedar(): Cedar {
  engine ??= createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs') as Cedar
  return engine
}

/** As in `cedar.ts`: here nothing needs to be awaited. */
export async function loadCedar(_source?: URL | BufferSource): Promise<void> {
  cedar()
}
