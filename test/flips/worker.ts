/**
 * Does damage to a log, and asks `fsck` and then a reader of the log about it: a process of its own, which LevelDB may end.
 *
 *     worker.ts FILE DIR       what was served before and the log as it is killed, by `v8.serialize`; a directory of its own to work in
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize } from 'node:v8'
import { type Log, openLog, openOver } from '../../log-server/log.ts'
import { fsckData, fsckStore } from '../../log-server/recovery/fsck.ts'
import { SigningKeys } from '../../log-server/sequencing/signing-keys.ts'
import type { Database } from '../../log-server/storage/database.ts'
import { paths, readLogConfig } from '../../log-server/storage/directory.ts'
import { Guard } from '../../log-server/storage/guard.ts'
import { type Change, Overlay } from '../../log-server/storage/overlay.ts'
import { Store } from '../../log-server/storage/store.ts'
import { judgeAll, keysOf, type PublicKeys, type Served, taken } from '../log-server/flipped-log.ts'
import { NOW } from '../log-server/served-log.ts'
import { StoredValues } from '../log-server/stored-values.ts'
import { AT } from '../provenance/signers.ts'
import { damaged } from './damage.ts'
import type { Piece } from './plan.ts'

export interface Described {
  readonly log: Served
  readonly publicKeys: PublicKeys
  readonly refused: readonly Uint8Array[]
  /** Never opened: each file is damaged in a copy of it. */
  readonly dataDir: string
}

export interface Outcome {
  readonly found: boolean
  /** Why it did not open. */
  readonly refused?: string
  readonly shown: number
  readonly absent: number
  /** What was there already, or was refused, and is taken now. */
  readonly taken?: number
}

/** Said before the step that it names is made, so that whoever hears nothing more knows where it ended. */
export type Said = { readonly step: 'fsck' | 'serve'; readonly found?: boolean } | { readonly outcome: Outcome }

const [file, directory] = process.argv.slice(2) as [string, string]
const { log, publicKeys, refused, dataDir } = deserialize(readFileSync(file)) as Described
const keys = await keysOf(publicKeys)
const [opened, copy] = [join(directory, 'opened'), join(directory, 'copy')]
await cp(dataDir, opened, { recursive: true })
// So that LevelDB's log is in a table, and each time that it is opened the same is there.
const values = await StoredValues.open(opened)
const config = await readLogConfig(opened)

process.on('message', (piece: Piece) => {
  const made = piece.place.in === 'file' ? inFile(piece) : inStore(piece)
  made.then(
    (outcome) => say({ outcome }),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit())
process.send!('ready')

function say(said: Said): void {
  process.send!(said)
}

/** As if it had been stored so. */
async function inStore({ place, damage }: Piece): Promise<Outcome> {
  const key = Buffer.from(place.name, 'hex')
  const changed = damaged(place.bytes, damage)
  const changes: Change[] = [[key, changed]]
  if (place.in === 'key')
    changes.splice(0, 1, [key, undefined], [changed, new Uint8Array((await values.level.get(key))!)])
  const storeOf = () => Store.over(new Overlay(values.level as unknown as Database, changes), config)
  say({ step: 'fsck' })
  const { findings } = await fsckStore(storeOf(), config, paths(opened).guard)
  const guard = await Guard.open(paths(opened).guard)
  const parts = { store: storeOf(), guard, config, keys: new SigningKeys(opened, config), dataDir: opened }
  return judged(findings.length > 0, () => openOver({ ...parts, now: () => AT, fatal: () => {} }))
}

async function inFile({ place, damage }: Piece): Promise<Outcome> {
  await copyWith(place.name, damaged(place.bytes, damage))
  say({ step: 'fsck' })
  const found = await isFound()
  // fsck has had LevelDB put it in order, perhaps.
  await copyWith(place.name, damaged(place.bytes, damage))
  const outcome = await judged(found, () => openLog({ dataDir: copy, now: () => AT, fatal: () => {} }))
  if (outcome.refused !== undefined) return outcome
  await copyWith(place.name, damaged(place.bytes, damage))
  return { ...outcome, taken: await appended() }
}

/** By the copy, once it is not frozen any more. */
async function appended(): Promise<number> {
  await rm(paths(copy).frozen, { force: true })
  const log = await openLog({ dataDir: copy, now: () => NOW, fatal: () => {} })
  try {
    return await taken(log, refused)
  } finally {
    await log.close()
  }
}

async function copyWith(name: string, bytes: Uint8Array): Promise<void> {
  await rm(copy, { recursive: true, force: true })
  await cp(dataDir, copy, { recursive: true })
  await writeFile(join(copy, name), bytes)
  assert.equal((await readFile(join(copy, name))).length, bytes.length)
}

async function isFound(): Promise<boolean> {
  try {
    return (await fsckData(copy)).findings.length > 0
  } catch (error) {
    // config.json is not read any further than that.
    if ((error as { code?: string }).code === 'malformed_config') return true
    throw error
  }
}

/** Asks for everything. */
async function judged(found: boolean, open: () => Promise<Log>): Promise<Outcome> {
  say({ step: 'serve', found })
  let served: Log
  try {
    served = await open()
  } catch (error) {
    const { code } = error as { code?: unknown }
    // Nobody is told what to do by an error that has no name.
    if (typeof code !== 'string') throw error
    return { found, refused: code, shown: 0, absent: 0 }
  }
  try {
    return { found, ...(await judgeAll(served, log, keys)) }
  } finally {
    await served.close()
  }
}
