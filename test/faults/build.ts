/**
 * The server child as one file of JavaScript, made once a run: a process starts in a fraction of the time that compiling takes each time.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'

/** For what is CommonJS in there. */
const REQUIRE = "import { createRequire as _of } from 'node:module'; globalThis.require = _of(import.meta.url);"

/**
 * @param root - of the checkout whose server it is
 * @param name - of the file, which lies where that checkout's dependencies are found
 */
export async function buildChild(root: string, name: string): Promise<string> {
  const directory = resolve(root, '.cache/faults')
  mkdirSync(directory, { recursive: true })
  const outfile = join(directory, `${name}.mjs`)
  await build({
    entryPoints: [resolve(root, 'test/faults/server-child.ts')],
    outfile,
    bundle: true,
    // Those that bring files of their own along. All others in one file load in a third of the time.
    external: ['level', 'classic-level', '@duckdb/*', '@cedar-policy/*', '@fastify/swagger-ui', 'koffi'],
    banner: { js: REQUIRE },
    platform: 'node',
    format: 'esm',
    target: 'node20',
    conditions: ['provlog-source'],
    logLevel: 'error',
  })
  return outfile
}
