/**
 * Prometheus' own programs: whether a scrape of a real server is one, and whether the alert rules say what they are meant to say.
 *
 * promtool is built from the Go module proxy, once: 100 s of processor time, and 59 MB kept.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { FORMATS } from '../../log-server/metrics/registry.ts'
import { scrapedText } from '../log-server/metrics/scraped.ts'
import { missingGo } from './go.ts'
import { CACHE, execute, runChecks } from './program.ts'
import { environment, missingPython } from './python.ts'
import type { Report } from './report.ts'

const MODULE = 'github.com/prometheus/prometheus'
/** The newest that Go 1.25 builds: Prometheus 3.11.3. */
const VERSION = 'v0.311.3'
const FOLDER = resolve(CACHE, `promtool-${VERSION}`)
const BIN = join(FOLDER, 'bin', 'promtool')
/** Seconds: two minutes on two idle cores. */
const BUILD_BOUND = 900

const RULES = 'docs/operations/alerts.yml'
const TESTS = 'docs/operations/alerts.test.yml'
const DASHBOARD = 'docs/operations/dashboard.json'

export async function runPrometheus({ report }: { readonly report: Report }): Promise<void> {
  await runPromtool(report)
  await runPython(report)
}

/** The reference reader of either format: promtool has no opinion on OpenMetrics. */
async function runPython(report: Report): Promise<void> {
  const why = await missingPython()
  if (why !== undefined) return report.skip('prometheus_client: a scrape in either format', why)
  const python = await report.step('python: installs prometheus_client at its pinned version', () =>
    environment('prometheus'),
  )
  if (python === undefined) return
  const directory = await mkdtemp(join(tmpdir(), 'interop-prometheus-'))
  for (const [format, accept] of Object.entries(FORMATS)) {
    const path = join(directory, format)
    await writeFile(path, await scrapedText(accept))
    const program = 'test/interop/python/prometheus_text.py'
    await runChecks(report, 'prometheus_client', { command: python, args: [program, format, path] })
  }
  await rm(directory, { recursive: true })
}

async function runPromtool(report: Report): Promise<void> {
  if (!existsSync(BIN)) {
    const why = await missingGo()
    if (why !== undefined) return report.skip('promtool: a scrape, the alert rules and their tests', why)
    if ((await report.step('promtool builds from its module', build)) === undefined) return
  }
  const directory = await mkdtemp(join(tmpdir(), 'interop-prometheus-'))
  try {
    await report.step('promtool check metrics: finds nothing to say about a scrape', async () => {
      const path = join(directory, 'scrape')
      await writeFile(path, await scrapedText())
      // It reads standard input and nothing else.
      await said(['sh', '-c', '"$0" check metrics < "$1"', BIN, path])
    })
    await report.step('promtool check rules: takes the alert rules, with every lint', () =>
      said([BIN, 'check', 'rules', '--lint=all', '--lint-fatal', RULES]),
    )
    await report.step(
      'promtool test rules: each alert is raised by what it is for, and none by a log that is well',
      () => said([BIN, 'test', 'rules', TESTS]),
    )
    await report.step('promtool test rules: refuses a rule whose threshold was changed', async () => {
      const rules = await readFile(RULES, 'utf8')
      await writeFile(join(directory, 'alerts.yml'), rules.replace('_wait_seconds > 2', '_wait_seconds > 200'))
      await writeFile(join(directory, 'alerts.test.yml'), await readFile(TESTS, 'utf8'))
      const { failure } = await execute({ command: BIN, args: ['test', 'rules', join(directory, 'alerts.test.yml')] })
      if (failure === undefined) throw new Error('it passed')
    })
    await report.step('promtool check rules: reads every query of the dashboard', async () => {
      const path = join(directory, 'dashboard.yml')
      await writeFile(path, queriesOf(await readFile(DASHBOARD, 'utf8')))
      await said([BIN, 'check', 'rules', path])
    })
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function build(): Promise<true> {
  const making = `${FOLDER}-making`
  await rm(making, { recursive: true, force: true })
  await mkdir(join(making, 'bin'), { recursive: true })
  await writeFile(join(making, 'go.mod'), 'module provlog.example/promtool\n\ngo 1.25.0\n')
  const env = { GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', CGO_ENABLED: '0' }
  const program = `${MODULE}/cmd/promtool`
  for (const args of [
    ['get', '-tool', `${program}@${VERSION}`],
    // Without the clouds that Prometheus can find its targets in.
    ['build', '-trimpath', '-tags', 'remove_all_sd', '-ldflags', '-s -w', '-o', 'bin/', program],
  ]) {
    const { failure } = await execute({ command: 'go', args, cwd: making, env, timeout: BUILD_BOUND })
    if (failure !== undefined) throw new Error(failure)
  }
  await rename(making, FOLDER)
  return true
}

/** What it says, when it ends well. */
async function said([command, ...args]: readonly [string, ...string[]]): Promise<string> {
  const { failure, stdout, stderr } = await execute({ command, args })
  if (failure !== undefined) throw new Error(`${stdout}${failure}`)
  return stdout + stderr
}

/** The queries as rules that record, with the variables of Grafana filled in. */
function queriesOf(dashboard: string): string {
  const { panels } = JSON.parse(dashboard) as { panels: { targets?: { expr: string }[] }[] }
  const rules = panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }, i) => ({ record: `query:${i}`, expr: expr.replaceAll('$__rate_interval', '5m') }))
  // YAML is a superset of JSON.
  return JSON.stringify({ groups: [{ name: 'dashboard', rules }] })
}
