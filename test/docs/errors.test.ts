/**
 * The page of errors is what the code says: no code without a meaning, none that is gone, and no path with other statuses.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { problemTable } from '../../log-server/problem.ts'
import { describedApi, errorsPage, meanings } from '../../scripts/docs/errors.ts'

it('every code is declared with its meaning, and has a row', () => {
  const said = meanings()
  const rows = problemTable().map(({ code }) => code)
  assert.deepEqual(new Set(said.keys()), new Set<string>(rows))
  for (const [code, texts] of said) assert.ok(texts.length > 0 && texts.every((text) => text.length > 3), code)
})

it('every code that a client of ours may say has its meaning and a row', () => {
  const page = readFileSync('docs/errors.md', 'utf8')
  const files = readdirSync('clients', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('error.ts'),
  )
  assert.ok(files.length >= 7)
  for (const file of files) {
    const declared = [
      ...readFileSync(join('clients', file), 'utf8').matchAll(/^ {2}\| '([a-z0-9_]+)'(?: \/\/ +(.+))?$/gm),
    ]
    assert.ok(declared.length > 3, file)
    for (const [, code, meaning] of declared) {
      assert.ok(meaning !== undefined && page.includes(meaning) && page.includes(`| \`${code}\` |`), `${file} ${code}`)
    }
  }
})

it('docs/errors.md is what `npm run docs -- errors` makes of the code', async () => {
  assert.equal(readFileSync('docs/errors.md', 'utf8'), errorsPage(await describedApi()))
})
