// docs/operations.md is done as it says; and it, the alert rules and the dashboard speak of numbers that a running server has, by labels that they have.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { NOT_READY } from '../../log-server/http/readiness.ts'
import { scrapedSamples } from '../log-server/metrics/scraped.ts'
import { runPage, skip } from './run-page.ts'

const page = readFileSync('docs/operations.md', 'utf8')
const rules = readFileSync('docs/operations/alerts.yml', 'utf8')
const dashboard = JSON.parse(readFileSync('docs/operations/dashboard.json', 'utf8')) as {
  readonly templating: { readonly list: readonly { readonly query?: string | { readonly query: string } }[] }
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[]
}

/** What Prometheus adds, and the metric that it makes of every scrape. */
const ADDED = new Set(['job', 'instance', 'le'])
const MADE = new Set(['up'])

/** By name of the sample, what each label has been seen to be. */
let seen: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>
before(async () => {
  seen = await scrapedSamples()
})

const alerts = rules
  .split(/^ {6}- alert: /m)
  .slice(1)
  .map((rule) => {
    const expr = /^ {8}expr: (>-\n(?: {10}.*\n)+|.*\n)/m.exec(rule)?.[1] ?? ''
    return { name: rule.slice(0, rule.indexOf('\n')), expr: expr.replace('>-', ''), rule }
  })

/** Every selector in `expr`, and every name that it groups by. */
function check(expr: string, where: string): void {
  const selectors = [...expr.matchAll(/\b([a-z][a-z0-9_]*)(?:\{([^}]*)\})?(?=\s*(?:\[|[)\s+*/<>=,-]|$))/g)].filter(
    ([, name]) => /^(?:provlog|process|nodejs)_|^up$/.test(name!),
  )
  assert.ok(selectors.length > 0, `${where}: ${expr}`)
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names]) =>
    names!.split(',').map((name) => name.trim()),
  )
  const known = new Set<string>(ADDED)
  for (const [, name, matchers = ''] of selectors) {
    if (MADE.has(name!)) continue
    const labels = seen.get(name!)
    assert.ok(labels, `${where}: no server has ${name}`)
    for (const label of labels.keys()) known.add(label)
    for (const [, label, , value] of matchers.matchAll(/([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)) {
      if (ADDED.has(label!)) continue
      assert.ok(labels.has(label!), `${where}: ${name} has no label ${label}`)
      for (const each of value!.split('|'))
        assert.ok(labels.get(label!)!.has(each), `${where}: ${name} has no ${label}="${each}"`)
    }
  }
  for (const name of grouped) assert.ok(known.has(name), `${where}: grouped by ${name}, which is no label there`)
}

describe('docs/operations.md', () => {
  it('runs in an empty folder, and shows what it says', { skip }, () => runPage('docs/operations.md', 4))

  it('names every number of a server, and no other', () => {
    const table = page.slice(page.indexOf('| metric | labels | is |'), page.indexOf('[operations/alerts.yml]'))
    const rows = table.split('\n').slice(2)
    const named = new Map(
      rows.flatMap((row) => {
        const [, names = '', labels = ''] = row.split('|')
        const inTicks = (cell: string) => [...cell.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name!)
        return inTicks(names).map((name) => [name, inTicks(labels)] as const)
      }),
    )
    const families = new Map<string, Set<string>>()
    for (const [name, labels] of seen) {
      const family = name.replace(/_(?:bucket|sum|count)$/, '')
      if (!family.startsWith('provlog_')) continue
      families.set(family, new Set([...labels.keys()].filter((label) => label !== 'le')))
    }
    assert.deepEqual([...named.keys()].sort(), [...families.keys()].sort())
    for (const [name, labels] of named) {
      // Several in one row share the row's labels, as far as they have any.
      for (const label of families.get(name)!) assert.ok(labels.includes(label), `${name} has ${label}`)
    }
  })

  it('says of every reason not to be ready when it holds', () => {
    for (const reason of NOT_READY) assert.match(page, new RegExp(`^\\| \`${reason}\` \\|`, 'm'))
  })

  it('says of every code that a log refuses to open with what is to be done', () => {
    const declared = readFileSync('log-server/types.ts', 'utf8')
    const codes = [...declared.matchAll(/^ {2}\| '([a-z_]+)' \/\/ +open[:,]/gm)].map(([, code]) => code!)
    assert.ok(codes.length >= 8, codes.join())
    const table = page.slice(page.indexOf('| line | means | do |'))
    for (const code of codes) assert.match(table, new RegExp(`^\\| \`${code}\` \\|`, 'm'), code)
  })

  it('has a paragraph for each alarm, and no other', () => {
    const paragraphs = [...page.matchAll(/^### (Provlog\w+)\n(?=\S)/gm)].map(([, name]) => name)
    assert.deepEqual(
      paragraphs,
      alerts.map(({ name }) => name),
    )
  })
})

describe('the alert rules', () => {
  it('are about numbers that a server has, by labels that they have', () => {
    assert.ok(alerts.length > 15)
    for (const { name, expr } of alerts) check(expr, name)
  })

  it('say who is to look, and what at', () => {
    for (const { name, rule } of alerts) {
      assert.match(rule, /labels: \{ severity: (?:page|ticket) \}/, name)
      assert.match(rule, /summary: '.*\{\{ \$labels\.instance \}\}.*'/, name)
    }
  })

  it('have each a unit test', () => {
    const tests = readFileSync('docs/operations/alerts.test.yml', 'utf8')
    for (const { name } of alerts) assert.match(tests, new RegExp(`alertname(?:: |=")${name}\\b`), name)
  })
})

describe('the dashboard', () => {
  it('is about numbers that a server has, by labels that they have', () => {
    const targets = dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [title, expr] as const),
    )
    assert.ok(targets.length > 30)
    for (const [title, expr] of targets) check(forTests(expr), title)
    for (const { expr } of dashboard.annotations.list) check(forTests(expr), 'annotations')
    const variables = dashboard.templating.list.flatMap(({ query }) => (typeof query === 'object' ? [query.query] : []))
    assert.equal(variables.length, 2)
    for (const query of variables) check(query, 'variables')
  })
})

/** Grafana's variables are of labels that Prometheus adds. */
function forTests(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m')
}
