/**
 * `npm run bench`: each figure of ours beside the bound it is held to, measured interleaved in one run.
 *
 * Absolute figures drift by a factor of two between minutes on a shared machine; the ratios are what is quoted.
 * `--quick` makes every measurement short, `--json` prints one object a line; names choose some of them. `soak`, `audit-memory` and
 * `replay-million` take long, and are run only by their names; the first and the last with `--entries` of fewer.
 *
 * @module
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { benchAppend } from './append.ts'
import { benchAuditMemory } from './audit-memory.ts'
import { benchQuestions } from './audit-questions.ts'
import { benchBatch } from './batch.ts'
import { benchIssue } from './issue.ts'
import { benchMutualTls } from './mtls.ts'
import { benchOverload } from './overload.ts'
import { benchReplay, benchReplayMillion } from './replay.ts'
import type { BenchOptions, BenchResult } from './result.ts'
import { benchSoak } from './soak.ts'
import { benchTiles } from './tiles.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    entries: { type: 'string' },
  },
})
const entries = values.entries === undefined ? undefined : Number(values.entries)
if (entries !== undefined && !(Number.isSafeInteger(entries) && entries > 0)) throw new Error('--entries is a number')
const options: BenchOptions = { quick: values.quick, ...(entries !== undefined && { entries }) }

const USUAL = {
  append: benchAppend,
  batch: benchBatch,
  issue: benchIssue,
  replay: benchReplay,
  questions: benchQuestions,
  tiles: benchTiles,
  mtls: benchMutualTls,
  overload: benchOverload,
}
type Bench = (options: BenchOptions) => Promise<BenchResult[]> | AsyncIterable<BenchResult>
const BY_NAME: Readonly<Record<string, Bench>> = {
  ...USUAL,
  'replay-million': benchReplayMillion,
  'audit-memory': ({ quick }) => benchAuditMemory({ entries: quick ? 20_000 : 1_000_000 }),
  soak: ({ quick }) => benchSoak({ entries: quick ? 100_000 : (options.entries ?? 10_000_000) }),
}
const names = positionals.length > 0 ? positionals : Object.keys(USUAL)
for (const name of names) if (!Object.hasOwn(BY_NAME, name)) throw new Error(`there is no bench ${name}`)

const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}`
if (!values.json) {
  console.log(machine)
  console.log(`${'measured'.padEnd(66)} ${'ours'.padStart(12)} ${'bound'.padStart(12)}  ratio  must  goal`)
}
for (const name of names) for await (const result of await BY_NAME[name]!(options)) print(result)

function print(result: BenchResult): void {
  if (values.json) {
    console.log(JSON.stringify({ ...result, machine }))
    return
  }
  const figures = [result.ours, result.bound].map((figure) => `${rounded(figure)} ${result.unit}`.padStart(12))
  const verdict = result.must === undefined || result.ratio >= result.must ? '' : '  below must'
  console.log(
    `${result.name.padEnd(66)} ${figures.join(' ')}  ${result.ratio.toFixed(2).padStart(5)}  ` +
      `${result.must?.toFixed(2) ?? '    '}  ${result.goal?.toFixed(2) ?? ''}${verdict}`,
  )
  if (result.notes !== undefined) console.log(`  ${result.notes}`)
}

function rounded(figure: number): string {
  return figure >= 10_000
    ? `${Math.round(figure / 1000)}k`
    : figure >= 100
      ? `${Math.round(figure)}`
      : figure.toFixed(1)
}
