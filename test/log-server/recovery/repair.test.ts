/**
 * What repair mends is, to the byte, what was there before; and of what it does not mend, nothing is changed. `PROVLOG_FLIPS=all` flips more bits.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openLog } from '../../../log-server/log.ts'
import { fsckData } from '../../../log-server/recovery/fsck.ts'
import { type Repaired, repairLog } from '../../../log-server/recovery/repair.ts'
import { checkedValue } from '../../../log-server/storage/checksum.ts'
import { paths } from '../../../log-server/storage/directory.ts'
import { decodeErasure } from '../../../log-server/storage/erased.ts'
import { readInteger } from '../../../log-server/storage/stored-values.ts'
import { AT } from '../../provenance/signers.ts'
import { type FlippedLog, flippedLog, SCRATCH } from '../flipped-log.ts'
import { StoredValues } from '../stored-values.ts'

/** Every bit of a letter, and not one. */
const EVERY = process.env['PROVLOG_FLIPS'] === 'all'

type Values = ReadonlyMap<string, Uint8Array>

let log: FlippedLog
/** By keys in hex, as stored, before anything was flipped. */
let all: Values
/** The entry whose statement was erased: index and digest. */
let erased: { index: number; entry: string }

before(async () => {
  log = await flippedLog(260)
  all = await valuesOf(log.dataDir)
  for (const [name, value] of all) {
    const key = bytesOf(name)
    if (letterOf(name) !== 'g') continue
    const { scope, entry } = decodeErasure(checkedValue(key, value)!)
    if (scope === 'statement') erased = { index: readInteger(key, 1), entry: Buffer.from(entry).toString('hex') }
  }
})
after(() => log.remove())

describe('a log in which nothing is wrong', () => {
  it('is left as it is', async () => {
    const { sound, found, mended } = await repairLog({ dataDir: log.dataDir })
    assert.deepEqual({ sound, found, mended }, { sound: true, found: [], mended: {} })
    assert.deepEqual(await valuesOf(log.dataDir), all)
  })
})

describe('what follows from the statements', () => {
  for (const letter of 'ehdiurca') {
    it(`under ${letter} is made again where it is damaged, or under another key, or gone`, async () => {
      const names = namesUnder(letter)
      const derivable = names.filter(isDerivable)
      assert.ok(derivable.length > 0)
      for (const name of some(derivable)) {
        const [key, value] = [bytesOf(name), all.get(name)!]
        for (const bit of [0, value.length * 8 - 1]) await mends([[name, flip(value, bit)]])
        await mends([[name, undefined]])
        // Of the letter, and of what is behind it.
        const bits = [...(EVERY ? [0, 1, 2, 3, 4, 5, 6, 7] : [4]), key.length * 8 - 1]
        const others = bits.map((bit) => hex(flip(key, bit))).filter((other) => !all.has(other))
        for (const other of others) {
          await mends([
            [name, undefined],
            [other, value],
          ])
        }
      }
    })
  }

  it('is made again in one go, whatever is damaged of it; and as before, nothing in a dry run', async () => {
    const changes = 'ehiurca'
      .split('')
      .map((letter) => namesUnder(letter).filter(isDerivable).at(-1)!)
      .map((name) => [name, flip(all.get(name)!, 3)] as const)
    await change(changes)
    const damaged = await valuesOf(log.dataDir)
    const would = await repairLog({ dataDir: log.dataDir, dryRun: true })
    assert.ok(would.sound && would.found.length >= changes.length)
    assert.deepEqual(await valuesOf(log.dataDir), damaged)
    const done = await repairLog({ dataDir: log.dataDir })
    assert.deepEqual(done, would)
    assert.equal(
      Object.values(done.mended).reduce((sum, count) => sum + count),
      changes.length,
    )
    await isAsBefore()
  })

  it('is not made again where only what was erased said it', async () => {
    for (const letter of 'diur') {
      const names = namesUnder(letter).filter((name) => !isDerivable(name))
      assert.ok(names.length > 0, letter)
      for (const name of some(names)) await refuses([[name, flip(all.get(name)!, 5)]])
    }
  })

  it('is not made of a statement that nothing says was ever verified', async () => {
    const [name] = namesUnder('i').filter(isDerivable)
    const index = readInteger(all.get(name!)!, 0)
    const entry = namesUnder('d').find((other) => readInteger(all.get(other)!, 0) === index)!
    await refuses([
      [name!, undefined],
      [entry, undefined],
    ])
  })
})

describe('what follows from nothing', () => {
  for (const kind of ['s', 'w', 'x', 'p', 'g', 'k head', 'k erased', 'k swept']) {
    it(`(${kind}) is not mended, and nothing is changed`, async () => {
      const letter = kind[0]!
      const names = namesUnder(letter).filter(
        (name) => letter !== 'k' || bytesOf(name).toString() === kind.replace(' ', ''),
      )
      assert.ok(names.length > 0)
      for (const name of some(names)) {
        const [key, value] = [bytesOf(name), all.get(name)!]
        await refuses([[name, flip(value, 40)]])
        for (const bit of [1, key.length * 8 - 1])
          await refuses([
            [name, undefined],
            [hex(flip(key, bit)), value],
          ])
      }
    })
  }

  it('keeps what could be mended beside it from being mended', async () => {
    const [tile, wraps] = [namesUnder('h')[0]!, namesUnder('w')[0]!]
    const { left } = await refuses([
      [tile, flip(all.get(tile)!, 9)],
      [wraps, flip(all.get(wraps)!, 9)],
    ])
    assert.deepEqual(new Set(left.map(({ code }) => code)), new Set(['value_damaged']))
  })

  it('may be all that is left where no key of ours is', async () => {
    await refuses([[hex(Buffer.from('Wwhatever')), new Uint8Array(8)]])
    const tile = namesUnder('h')[0]!
    await refuses([
      [tile, undefined],
      [hex(Buffer.from('Wwhatever')), flip(all.get(tile)!, 0)],
    ])
  })

  it('is what a guard, a key and a file of LevelDB hold', async () => {
    const tile = namesUnder('h')[0]!
    const copy = await mkdtemp(join(SCRATCH, 'provlog-repair-'))
    try {
      await change([[tile, flip(all.get(tile)!, 9)]])
      const store = paths(log.dataDir).store
      const table = (await readdir(store)).filter((name) => name.endsWith('.ldb')).sort()[0]!
      for (const file of ['guard', 'checkpoint.jwk', join('store', table)]) {
        await rm(copy, { recursive: true })
        await cp(log.dataDir, copy, { recursive: true })
        const bytes = await readFile(join(copy, file))
        await writeFile(join(copy, file), flip(bytes, 100))
        const before = await valuesOf(copy).catch(() => undefined)
        const { sound, mended } = await repairLog({ dataDir: copy })
        assert.deepEqual({ sound, mended }, { sound: false, mended: {} }, file)
        assert.deepEqual(await valuesOf(copy).catch(() => undefined), before, file)
      }
    } finally {
      await rm(copy, { recursive: true })
      await restore([tile])
    }
  })

  it('is not looked at while somebody has the log', async () => {
    const opened = await openLog({ dataDir: log.dataDir, now: () => AT })
    try {
      await assert.rejects(repairLog({ dataDir: log.dataDir }), { code: 'log_locked' })
    } finally {
      await opened.close()
    }
  })
})

type Changes = readonly (readonly [name: string, value: Uint8Array | undefined])[]

async function mends(changes: Changes): Promise<void> {
  await change(changes)
  const told = changes.map(([name]) => name).join()
  const { sound, found, left } = await repairLog({ dataDir: log.dataDir })
  assert.ok(sound, `${told}: ${JSON.stringify(left)}`)
  assert.ok(found.length > 0, told)
  await isAsBefore()
}

async function refuses(changes: Changes): Promise<Repaired> {
  await change(changes)
  const damaged = await valuesOf(log.dataDir)
  const report = await repairLog({ dataDir: log.dataDir })
  assert.ok(!report.sound && report.left.length > 0, changes.map(([name]) => name).join())
  assert.deepEqual(report.mended, {})
  assert.deepEqual(await valuesOf(log.dataDir), damaged)
  await restore(changes.map(([name]) => name))
  return report
}

async function isAsBefore(): Promise<void> {
  assert.deepEqual(await valuesOf(log.dataDir), all)
  assert.deepEqual((await fsckData(log.dataDir)).findings, [])
}

function restore(names: readonly string[]): Promise<void> {
  return change(names.map((name) => [name, all.get(name)]))
}

async function change(changes: Changes): Promise<void> {
  const { level } = await StoredValues.open(log.dataDir)
  try {
    await level.batch(
      changes.map(([name, value]) =>
        value ? { type: 'put', key: bytesOf(name), value } : { type: 'del', key: bytesOf(name) },
      ),
    )
  } finally {
    await level.close()
  }
}

async function valuesOf(dataDir: string): Promise<Values> {
  const db = await StoredValues.open(dataDir)
  const values = new Map<string, Uint8Array>()
  for await (const [key, value] of db.level.iterator()) values.set(hex(key), new Uint8Array(value))
  await db.close()
  return values
}

/** Whether it does not lead to the statement that was erased, and is of no series that may have been its. */
function isDerivable(name: string): boolean {
  const letter = letterOf(name)
  if ('eh'.includes(letter)) return true
  const key = bytesOf(name)
  if (letter === 'd') return key.subarray(1).toString('hex') !== erased.entry
  const index = readInteger('ca'.includes(letter) ? key.subarray(-6) : all.get(name)!, 0)
  if (letter === 'r' && key.toString().startsWith('rworkload-provenance/')) return index > erased.index
  return index !== erased.index
}

const namesUnder = (letter: string): string[] => [...all.keys()].filter((name) => letterOf(name) === letter)
const letterOf = (name: string): string => String.fromCharCode(Number.parseInt(name.slice(0, 2), 16))
const bytesOf = (name: string): Buffer => Buffer.from(name, 'hex')
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The first and the last. */
const some = <T>(values: readonly T[]): readonly T[] => (values.length <= 2 ? values : [values[0]!, values.at(-1)!])

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[Math.min(bit >> 3, bytes.length - 1)]! ^= 1 << (bit & 7)
  return copy
}
