/**
 * `npm run docs`: makes new examples of every format, the page that shows them, and the pages of errors, of audit checks and of the auditor's database. `npm run docs -- errors`
 * leaves the examples as they are: those have new keys each time.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditChecksPage } from './docs/audit-checks.ts'
import { auditDatabasePage } from './docs/audit-database.ts'
import { describedApi, errorsPage } from './docs/errors.ts'
import { makeExamples } from './docs/examples.ts'
import { EXAMPLES_FOLDER, type ExampleName, formatsPage } from './docs/formats.ts'

writeFileSync('docs/errors.md', errorsPage(await describedApi()))
writeFileSync('docs/audit-checks.md', auditChecksPage())
writeFileSync('docs/audit-database.md', auditDatabasePage())
console.log('docs/errors.md, docs/audit-checks.md, docs/audit-database.md')

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
