/**
 * `npm run docs`: makes new examples of every format, the page that shows them, and the pages of errors and of audit checks. `npm run docs -- errors`
 * leaves the examples as they are: those have new keys each time.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditChecksPage } from './docs/audit-checks.ts'
import { describedApi, errorsPage } from './docs/errors.ts'
import { makeExamples } from './docs/examples.ts'
import { EXAMPLES_FOLDER, type ExampleName, formatsPage } from './docs/formats.ts'

writeFileSync('docs/errors.md', errorsPage(await describedApi()))
writeFileSync('docs/audit-checks.md', auditChecksPage())
console.log('docs/errors.md, docs/audit-checks.md')

if (!process.argv.includes('errors')) {
  const examples = await makeExamples()
  mkdirSync(EXAMPLES_FOLDER, { recursive: true })
  for (const [name, bytes] of examples) writeFileSync(join(EXAMPLES_FOLDER, name), bytes)
  writeFileSync(
    'docs/formats.md',
    formatsPage((name: ExampleName) => examples.get(name) ?? new Uint8Array()),
  )
  console.log(`docs/formats.md and ${examples.size} examples`)
}
