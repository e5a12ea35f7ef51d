/**
 * What the sequencer costs over the storage it stands on: batches of 256 entries of 1 KiB, against LevelDB writing the same
 * bytes as one value a batch, synced.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { initLog } from '../log-server/init.ts'
import { openLog } from '../log-server/log.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'

const BATCH = 256
const ENTRY_BYTES = 1024

export async function benchStorage({ quick }: BenchOptions): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const now = () => Math.floor(Date.now() / 1000)
  const dataDir = join(directory, 'log')
  await initLog({ dataDir, origin: 'bench.example/storage', now, random: (n) => new Uint8Array(randomBytes(n)) })
  const log = await openLog({ dataDir, now })
  const db = new Level<number, Uint8Array>(join(directory, 'bare'), {
    keyEncoding: 'json',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: 16 * 1024 * 1024,
  })
  await db.open()
  try {
    const entry = randomBytes(ENTRY_BYTES)
    let count = 0
    const next = () => {
      entry.writeUInt32BE(count++, 0)
      return new Uint8Array(entry)
    }
    const packed = new Uint8Array(randomBytes(BATCH * ENTRY_BYTES))
    let batches = 0

    const [rounds, perRound] = quick ? [1, 8] : [7, 48]
    const ours = () =>
      rate(perRound, async () => {
        await Promise.all(Array.from({ length: BATCH }, () => log.sequencer.appendRaw(next())))
      })
    const bare = () => rate(perRound, () => db.batch([{ type: 'put', key: batches++, value: packed }], { sync: true }))
    await ours()
    await bare()

    const pairs: [number, number][] = []
    for (let round = 0; round < rounds; round++) pairs.push([await ours(), await bare()])
    return [
      {
        name: 'batches of 256 through the sequencer / packed LevelDB',
        ours: median(pairs.map(([a]) => a)),
        bound: median(pairs.map(([, b]) => b)),
        unit: '/s',
        ratio: median(pairs.map(([a, b]) => a / b)),
      },
    ]
  } finally {
    await log.close()
    await db.close()
    await rm(directory, { recursive: true })
  }
}

/** Entries a second. */
async function rate(batches: number, write: () => Promise<void>): Promise<number> {
  const started = performance.now()
  for (let i = 0; i < batches; i++) await write()
  return (batches * BATCH * 1000) / (performance.now() - started)
}
