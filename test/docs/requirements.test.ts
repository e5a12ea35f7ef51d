/**
 * The page of requirements leads where it says: every number once, every file there, and every test in its file by the name it has.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { it } from 'node:test'

const PAGE = readFileSync('docs/requirements.md', 'utf8')
const rows = PAGE.split('\n').flatMap((line) => {
  const cells = /^\| *([0-9]+) *\|(.*)\|$/.exec(line)
  return cells ? [{ number: Number(cells[1]), cells: cells[2]!.split(' | ').map((cell) => cell.trim()) }] : []
})
const paths = (cell: string) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, path]) => path!)

it('every requirement has one row, in order, with code and tests', () => {
  assert.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: 47 }, (_, i) => i + 1),
  )
  for (const { number, cells } of rows) {
    const [asked, code, tests] = cells
    assert.equal(cells.length, 4, `row ${number}`)
    assert.ok(asked && paths(code!).length > 0 && paths(tests!).length > 0, `row ${number}`)
  }
})

it('every path that it names is there', () => {
  const named = new Set(Array.from(PAGE.matchAll(/`([\w./-]+\.ts)`|\]\(([^)]+)\)/g), ([, a, b]) => a ?? `docs/${b}`))
  assert.ok(named.size > 60)
  for (const path of named) assert.ok(existsSync(path), path)
})

it('every test that it names is in its file', () => {
  for (const { number, cells } of rows) {
    // `file`: “title” “title” `file`: “title”
    const files = cells[2]!.matchAll(/`([^`]+)`:((?: “[^”]+”)+)/g)
    const found = Array.from(files, ([, path, titles]) => {
      const text = readFileSync(path!, 'utf8')
      for (const [, title] of titles!.matchAll(/“([^”]+)”/g)) {
        assert.ok(text.includes(title!), `row ${number}: ${title} is not in ${path}`)
      }
      return path
    })
    assert.deepEqual(found, paths(cells[2]!), `row ${number}: a file without a test`)
  }
})
