/**
 * `npm run make-log -- --data DIR --entries N [--faults] [--seed S] [--wrap-every N] [--jobs N]`: a log as it may look after weeks of use,
 * past admission, the same for the same seed: but entry 0, whose signature is drawn. `provlog log serve --data DIR` serves it.
 *
 * @module
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { makeLog } from './make-log/make.ts'

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    entries: { type: 'string', default: '10000' },
    seed: { type: 'string', default: 'provlog' },
    faults: { type: 'boolean', default: false },
    'wrap-every': { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(availableParallelism()) },
  },
})
const number = (name: 'entries' | 'wrap-every' | 'jobs', min: number): number => {
  const value = Number(values[name])
  if (!Number.isSafeInteger(value) || value < min) throw new Error(`--${name} is a whole number of at least ${min}`)
  return value
}
if (values.data === undefined) throw new Error('--data DIR is missing')

const started = performance.now()
const { planted, ...made } = await makeLog({
  dataDir: values.data,
  entries: number('entries', 100),
  seed: values.seed,
  faults: values.faults,
  wrapEvery: number('wrap-every', 0),
  jobs: number('jobs', 0),
  onProgress: (done, total) => {
    const rate = Math.round((done * 1000) / (performance.now() - started))
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${done} of ${total} entries  ${rate}/s`)
  },
})
if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K')
console.log(JSON.stringify({ ...made, planted: planted.length }))
