/**
 * One flipped bit, in everything that a log has on its disk: fsck finds it, and nobody is shown what it made as if it were true.
 *
 * Above LevelDB a value is changed as if it had been stored so: LevelDB's checksums know nothing of it. Beneath it the files are. `PROVLOG_FLIPS` says how
 * many flips of each kind; `all` takes every bit of what is small.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { serialize } from 'node:v8'
import { paths } from '../../log-server/directory.ts'
import { fsckData } from '../../log-server/fsck.ts'
import { openLog } from '../../log-server/log.ts'
import { AT } from '../provenance/signers.ts'
import { notRandom } from '../provenance/small-log.ts'
import { type FlippedLog, flippedLog, judgeAll, type Keys, keysOf, publicKeysOf, SCRATCH } from './flipped-log.ts'
import { StoredValues } from './stored-values.ts'

const EACH =
  process.env['PROVLOG_FLIPS'] === 'all' ? Number.POSITIVE_INFINITY : Number(process.env['PROVLOG_FLIPS'] ?? 2)
/** Bits of the largest thing of which every one is tried when all are wanted. */
const SMALL = 4096 * 8

const KINDS: Readonly<Record<string, string>> = {
  'k head': 'the signed tree head and checkpoint',
  'k erased': 'the mark of the newest erasure',
  'k swept': 'the mark of the newest one carried out',
  s: 'statements',
  e: 'entry bundles',
  h: 'hash tiles',
  d: 'names of entries',
  i: 'identities',
  u: 'unique keys',
  r: 'series',
  c: 'statuses of a credential',
  a: 'authority statements',
  w: 'wraps',
  x: 'certificates',
  p: 'widths',
  g: 'erasure notes',
}

interface Counts {
  flips: number
  found: number
  refused: number
  shown: number
}

let log: FlippedLog
let keys: Keys
/** A file from which a child has `log` and `keys`. */
let described: string
before(async () => {
  log = await flippedLog(260)
  const opened = await openLog({ dataDir: log.dataDir, now: () => AT })
  const publicKeys = publicKeysOf(opened)
  await opened.close()
  keys = await keysOf(publicKeys)
  described = `${log.dataDir}.log`
  const { origin, size, answers } = log
  await writeFile(described, serialize({ log: { origin, size, answers }, publicKeys }))
})
after(async () => {
  await rm(described)
  await log.remove()
})

describe('a flipped bit', () => {
  it('is in none of what these tests begin with', async () => {
    assert.deepEqual((await fsckData(log.dataDir)).findings, [])
    const db = await StoredValues.open(log.dataDir)
    const found = new Set<string>()
    for await (const key of db.level.keys()) found.add(kindOf(key))
    await db.close()
    assert.deepEqual([...found].filter((kind) => kind !== 'k sweep').sort(), Object.keys(KINDS).sort())
  })

  for (const [kind, what] of Object.entries(KINDS)) {
    it(`in ${what}, key or value, is found by fsck, and no value that has one is shown as true`, async (t) => {
      await flipAll(t, kind, what)
    })
  }

  it('in the guard, the configuration or a key is found by fsck, and the log does not open where it needs that file', async (t) => {
    const kept = await readdir(paths(log.dataDir).keys)
    const files = [
      'guard',
      'config.json',
      'checkpoint.jwk',
      'receipt.jwk',
      'admin.jwk',
      ...kept.map((name) => join('keys', name)),
    ]
    for (const file of files) {
      const counts = none()
      const path = join(log.dataDir, file)
      const bytes = await readFile(path)
      for (const bit of bitsOf(bytes.length, file)) {
        await writeFile(path, flipped(bytes, bit))
        counts.flips++
        if (await isFound(log.dataDir)) counts.found++
        else assert.fail(`bit ${bit} of ${file} is not found`)
        const opened = await openLog({ dataDir: log.dataDir, now: () => AT }).catch(() => undefined)
        if (!opened) counts.refused++
        await opened?.close()
      }
      await writeFile(path, bytes)
      tell(t, file, counts)
      if (!/admin|keys/.test(file)) assert.equal(counts.refused, counts.flips, file)
    }
  })

  it('in a file of LevelDB is found by fsck, and what it made is not shown as true', async (t) => {
    const store = paths(log.dataDir).store
    const files = (await readdir(store)).filter((name) => !/^LO(?:CK|G)/.test(name))
    for (const file of files) {
      const counts = none()
      let absent = 0
      const bytes = await readFile(join(store, file))
      for (const bit of bitsOf(bytes.length, file, 4)) {
        const copy = await mkdtemp(join(SCRATCH, 'provlog-flip-'))
        await cp(log.dataDir, copy, { recursive: true })
        await writeFile(join(copy, 'store', file), flipped(bytes, bit))
        counts.flips++
        if (await isFound(copy)) counts.found++
        else assert.fail(`bit ${bit} of ${file} is not found`)
        // Reading it as a server would: fsck has had LevelDB put it in order, perhaps, so once more.
        await rm(copy, { recursive: true })
        await cp(log.dataDir, copy, { recursive: true })
        await writeFile(join(copy, 'store', file), flipped(bytes, bit))
        absent += await serveElsewhere(copy, counts)
        await rm(copy, { recursive: true })
      }
      tell(t, file, counts, `, ${absent} answers that something is not there`)
      assert.equal(counts.shown, 0, `${file}: something false was shown as true`)
    }
  })
})

/** Of one kind of value. */
async function flipAll(t: TestContext, kind: string, what: string): Promise<void> {
  const db = await StoredValues.open(log.dataDir)
  const all: { key: Uint8Array; value: Uint8Array }[] = []
  for await (const [key, value] of db.level.iterator()) {
    if (kindOf(key) === kind) all.push({ key: new Uint8Array(key), value: new Uint8Array(value) })
  }
  await db.close()
  const [counts, keyCounts] = [none(), none()]
  for (const { key, value } of sample(all, kind)) {
    for (const bit of bitsOf(value.length, kind + all.length, Math.ceil(EACH / Math.min(all.length, EACH)))) {
      await change(key, flipped(value, bit))
      counts.flips++
      if (await isFound(log.dataDir)) counts.found++
      else assert.fail(`bit ${bit} of a value of ${kind} is not found`)
      assert.equal(await serve(log.dataDir, counts), 0, `bit ${bit} of a value of ${kind} makes something not be there`)
      await change(key, value)
    }
    for (const bit of bitsOf(key.length, `key of ${kind}`, 2)) {
      await rename(key, flipped(key, bit), value)
      keyCounts.flips++
      if (await isFound(log.dataDir)) keyCounts.found++
      else assert.fail(`bit ${bit} of a key of ${kind} is not found`)
      await rename(flipped(key, bit), key, value)
    }
  }
  tell(t, what, counts)
  tell(t, `keys of ${what}`, keyCounts)
  assert.equal(counts.shown, 0, 'something false was shown as true')
  assert.deepEqual((await fsckData(log.dataDir)).findings, [])
}

async function change(key: Uint8Array, value: Uint8Array): Promise<void> {
  const db = await StoredValues.open(log.dataDir)
  await db.level.put(key, value)
  await db.close()
}

async function rename(from: Uint8Array, to: Uint8Array, value: Uint8Array): Promise<void> {
  const db = await StoredValues.open(log.dataDir)
  await db.level.batch([
    { type: 'del', key: from },
    { type: 'put', key: to, value },
  ])
  await db.close()
}

async function isFound(dataDir: string): Promise<boolean> {
  try {
    return (await fsckData(dataDir)).findings.length > 0
  } catch (error) {
    // config.json is not read any further than that.
    assert.equal((error as { code?: string }).code, 'malformed_config')
    return true
  }
}

/** Asks for everything. Returns how many answers say that something is not there which is. */
async function serve(dataDir: string, counts: Counts): Promise<number> {
  const opened = await openLog({ dataDir, now: () => AT }).catch(() => undefined)
  if (!opened) {
    counts.refused++
    return 0
  }
  try {
    const { shown, absent } = await judgeAll(opened, log, keys)
    counts.shown += shown
    return absent
  } finally {
    await opened.close()
  }
}

/** As {@link serve}, in a process of its own: of a table that is not as it was written LevelDB may end the process. */
async function serveElsewhere(dataDir: string, counts: Counts): Promise<number> {
  const child = ['--conditions=provlog-source', '--import', 'tsx', 'test/log-server/flip-child.ts']
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...child, described, dataDir], {
    encoding: 'utf8',
  })
  assert.ok(status === 0 || signal === 'SIGABRT', stderr)
  const { shown, absent } =
    status === 0 ? (JSON.parse(stdout) as { shown?: number; absent: number }) : { shown: undefined, absent: 0 }
  if (shown === undefined) counts.refused++
  counts.shown += shown ?? 0
  return absent
}

const none = (): Counts => ({ flips: 0, found: 0, refused: 0, shown: 0 })

function tell(t: TestContext, what: string, { flips, found, refused, shown }: Counts, more = ''): void {
  t.diagnostic(`${what}: ${flips} bits flipped, ${found} found, ${refused} not opened, ${shown} shown as true${more}`)
}

function kindOf(key: Uint8Array): string {
  return key[0] === 'k'.charCodeAt(0) ? `k ${Buffer.from(key.subarray(1)).toString()}` : String.fromCharCode(key[0]!)
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

/** Every bit, or `count` of them by `seed`; the first and the last among them. */
function bitsOf(bytes: number, seed: string, count = EACH): number[] {
  const bits = bytes * 8
  if (bits === 0) return []
  if (!Number.isFinite(EACH) && bits <= SMALL) return Array.from({ length: bits }, (_, bit) => bit)
  const wanted = Math.min(bits, Number.isFinite(EACH) ? count : SMALL)
  const random = notRandom(`bits of ${seed}`)
  const chosen = new Set([0, bits - 1].slice(0, wanted))
  while (chosen.size < wanted) chosen.add(new DataView(random(4).buffer).getUint32(0) % bits)
  return [...chosen]
}

/** The first, the last and some between, up to {@link EACH}. */
function sample<T>(all: readonly T[], _seed: string): readonly T[] {
  if (all.length <= EACH) return all
  return Array.from({ length: EACH }, (_, i) => all[Math.round((i * (all.length - 1)) / Math.max(1, EACH - 1))]!)
}
