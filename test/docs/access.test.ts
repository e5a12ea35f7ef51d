// docs/access.md is true: its configuration is one that the server takes, and its tables are those of the code.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { RIGHTS } from '../../log-server/access/rights.ts'
import { serverConfig } from '../../log-server/config.ts'

const page = readFileSync('docs/access.md', 'utf8')
const blocks = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text = '']) => text)
/** First cells of the table under this head. */
const column = (head: string) =>
  page
    .slice(page.indexOf(head))
    .split('\n\n')[0]!
    .split('\n')
    .slice(2)
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name))

it('the configuration that it shows is one', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'provlog-docs-access-'))
  await writeFile(join(dir, 'config.json'), blocks[0]!)
  const { access } = await serverConfig(dir)
  await rm(dir, { recursive: true })
  assert.equal(access?.rules.length, 6)
  const members = Object.keys((JSON.parse(blocks[0]!) as { server: { access: object } }).server.access)
  assert.deepEqual(new Set(column('| member | what |')), new Set([...members, 'limits']))
})

it('its rights are those that there are', () => {
  assert.deepEqual(column('| right | lets |'), [
    ...RIGHTS.filter((right) => right.startsWith('append')),
    ...RIGHTS.filter((right) => !right.startsWith('append')),
  ])
})

it('its audit lines have members that it explains', () => {
  const explained = new Set(column('| member | what |\n|---|---|\n| `at`'))
  for (const line of blocks[1]!.trim().split('\n')) {
    for (const member of Object.keys(JSON.parse(line) as object))
      assert.ok(member === 'type' || explained.has(member), member)
  }
})
