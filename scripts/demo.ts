/**
 * `npm run demo`: the main job, end to end, on real input and a real log, told step by step.
 *
 * The workload is provlog's own server: its bill of materials is what `npm sbom` prints for this repository, its
 * measurement is of the built files that this very process runs from.
 *
 *   --json   one line a step, and a last line {"ok":true,"log":{"url","origin","vkey","size"},…}
 *   --keep   leave the log serving until SIGTERM, and say where
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { attacks } from './demo/attacks.ts'
import { story } from './demo/story.ts'
import { teller } from './demo/teller.ts'
import { createWorld } from './demo/world.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
})

const tell = teller(values.json)
const startedAt = performance.now()
const world = await createWorld()
try {
  const told = await story(world, tell)
  await attacks(world, told, tell)

  const { size } = await world.client.checkpoint()
  const { url, origin, vkey } = world.server
  tell.end({
    ok: true,
    log: { url, origin, vkey, size },
    ...(values.keep && { files: world.files }),
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
  })
  if (values.keep) {
    tell.note(`The log serves at ${url} until this process is ended; its files are in ${world.directory}.`)
    await new Promise<void>((resolve) => {
      process.once('SIGINT', () => resolve())
      process.once('SIGTERM', () => resolve())
    })
  }
} finally {
  await world.close({ keepFiles: values.keep })
}
