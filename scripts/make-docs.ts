/**
 * `npm run docs`: makes new examples of every format and the page that shows them.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeExamples } from './docs/examples.ts'
import { EXAMPLES_FOLDER, type ExampleName, formatsPage } from './docs/formats.ts'

const examples = await makeExamples()
mkdirSync(EXAMPLES_FOLDER, { recursive: true })
for (const [name, bytes] of examples) writeFileSync(join(EXAMPLES_FOLDER, name), bytes)
writeFileSync(
  'docs/formats.md',
  formatsPage((name: ExampleName) => examples.get(name) ?? new Uint8Array()),
)
console.log(`docs/formats.md and ${examples.size} examples`)
