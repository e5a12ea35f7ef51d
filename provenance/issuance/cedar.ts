/**
 * The Cedar engine where there is no Node: the portable half of the `#cedar` import condition.
 *
 * @module
 */
import type * as wasm from '@cedar-policy/cedar-wasm/web'
import { assert } from '../../merkle/error.ts'

/** The few calls of the engine that we make. */
export type Cedar = Pick<
  typeof wasm,
  | 'getCedarLangVersion'
  | 'getCedarVersion'
  | 'policySetTextToParts'
  | 'policyToJson'
  | 'preparsePolicySet'
  | 'preparseSchema'
  | 'statefulIsAuthorized'
  | 'validate'
>

let engine: Cedar | undefined
let isBroken = false

/** The engine. {@link loadCedar} must have finished. */
export function cedar(): Cedar {
  assert(!isBroken, 'the Cedar engine broke off at an earlier policy: load the page again')
  assert(engine, 'loadCedar() comes before the first policy')
  return engine
}

/** After it broke off in the middle of a call. Its script keeps the one instance, so here there is no other until it is loaded again. */
export function discardCedar(): void {
  isBroken = true
}

/**
 * Fetches and compiles the engine, once.
 *
 * @param source - where it is, or the bytes themselves; beside the package's own script when not said
 */
export async function loadCedar(source?: URL | BufferSource): Promise<void> {
  if (engine) return
  const module = await import('@cedar-policy/cedar-wasm/web')
  // The initializer is the package's default export, which its type declarations leave out.
  const { default: initialize } = module as unknown as { default: (options?: object) => Promise<unknown> }
  await (source === undefined ? initialize() : initialize({ module_or_path: source }))
  engine = module
}
