/**
 * The Cedar engine on Node: the native half of the `#cedar` import condition.
 *
 * The engine is 4 MB of WebAssembly and takes a tenth of a second to compile, so it is loaded when the first policy is
 * looked at and not when somebody imports this folder to read a receipt.
 *
 * The V8 of Node 20 ends the process when it throws away optimized code that had the engine's WebAssembly inlined ("unreachable code" in
 * `Deoptimizer::TranslatedValueForWasmReturnKind`): once in some ten thousand decisions, whatever the policy. So there it must not
 * inline it, which costs nothing that can be measured.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import type { Cedar } from './cedar.ts'

export type { Cedar } from './cedar.ts'

const ENGINE = '@cedar-policy/cedar-wasm/nodejs'
const require = createRequire(import.meta.url)
let engine: Cedar | undefined

/** As in `cedar.ts`. */
export function cedar(): Cedar {
  engine ??= loadEngine()
  return engine
}

function loadEngine(): Cedar {
  if (process.versions.v8.startsWith('11.')) setFlagsFromString('--no-turbo-inline-js-wasm-calls')
  return require(ENGINE) as Cedar
}

/** As in `cedar.ts`; here the next call gets a new one. */
export function discardCedar(): void {
  engine = undefined
  delete require.cache[require.resolve(ENGINE)]
}

/** As in `cedar.ts`: here nothing needs to be awaited. */
export async function loadCedar(_source?: URL | BufferSource): Promise<void> {
  cedar()
}
