/**
 * `log repair` that does not come to its end: killed before each of its storage operations, or that fails, several times in a row perhaps.
 *
 * What it mends is mended whole or not at all, nothing else is another byte, and the next one makes of it what the first was to.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { equalBytes, toHex } from '../../merkle/index.ts'
import { StoredValues } from '../log-server/stored-values.ts'
import { checkLoudEnd, describeEnd, type Site, type Sites } from './site.ts'
import { callsIn, type Fault, nameOf, type Operation, operationsOf, Strace } from './strace.ts'
import { Violation } from './violation.ts'

/** Under which something is made again. */
const DERIVED = 'ehdiua'
/** Of each that there are. */
const DAMAGED_EACH = 3
const CYCLE = 'repair'

/** A fault at one operation of a repair. */
export interface RepairPoint {
  readonly operation: Operation
  readonly fault: Fault
}

export const nameRepair = ({ operation, fault }: RepairPoint): string => `${fault} ${nameOf(operation)}`

type Values = ReadonlyMap<string, Uint8Array>

/** Every fault that there is in a repair. */
export async function repairPoints(sites: Sites): Promise<RepairPoint[]> {
  const site = await sites.site()
  await damage(site)
  const output = `${site.dataDir}.strace`
  const child = await sites.children.take({ oneThread: true })
  const strace = await Strace.trace(child.pid, output)
  child.order({ command: 'log repair', words: ['--data', site.dataDir, '--json'] })
  const answer = await child.answer()
  if (answer.code !== 0) throw new Error(`a damaged log is not repaired: it ended ${describeEnd(answer, child)}`)
  const operations = operationsOf(callsIn(await strace.end(), site.dataDir)).filter(({ reads }) => !reads)
  await rm(output)
  await sites.discard(site)
  const points = operations.flatMap((operation) => {
    const faults: Fault[] = operation.call.startsWith('unlink') ? ['KILL', 'EIO'] : ['KILL', 'EIO', 'ENOSPC']
    return faults.map((fault) => ({ operation, fault }))
  })
  sites.report.possible(CYCLE, points.map(nameRepair))
  return points
}

/** One repair after another runs into a fault, on what the one before left; then one that is let be. */
export async function failRepairs(sites: Sites, points: readonly RepairPoint[]): Promise<void> {
  const site = await sites.site()
  const { sound, damaged } = await damage(site)
  for (const point of points) {
    await interrupt(sites, site, sound, point)
    const left = await valuesOf(site)
    if (!isSame(left, sound) && !isSame(left, damaged)) {
      throw new Violation(
        'I1',
        `after ${nameRepair(point)} a repair left what was there neither before it nor after it`,
      )
    }
  }
  for (const mends of [!isSame(await valuesOf(site), sound), false]) {
    const child = await sites.children.take()
    sites.children.prepare()
    child.order({ command: 'log repair', words: ['--data', site.dataDir, '--json'] })
    const answer = await child.answer()
    if (answer.code !== 0) throw new Violation('I8', `the next repair ended ${describeEnd(answer, child)}`)
    const mended = Object.keys(answer.said['mended'] as object).length
    if (mended > 0 !== mends)
      throw new Violation('I8', `a repair mended ${mended} kinds of values, of ${mends ? 'some' : 'none'}`)
    if (!isSame(await valuesOf(site), sound))
      throw new Violation('I1', 'a repaired log is not what it was, to the byte')
  }
  await sites.check(site)
  await sites.discard(site)
}

async function interrupt(sites: Sites, site: Site, sound: Values, { operation, fault }: RepairPoint): Promise<void> {
  const output = `${site.dataDir}.strace`
  const child = await sites.children.take({ oneThread: true })
  const path = `${site.dataDir}/${operation.path}`
  const strace = await Strace.inject(child.pid, output, { operation, fault, path })
  child.order({ command: 'log repair', words: ['--data', site.dataDir, '--json'] })
  const answer = await child.answer()
  const injected = (await strace.end()).split('(INJECTED)').length - 1
  await rm(output)
  if (fault === 'KILL') {
    if (answer.signal === 'SIGKILL') {
      sites.report.kills++
      sites.report.covered(CYCLE, nameRepair({ operation, fault }))
    } else if (answer.code !== 0) throw new Violation('I8', `a repair ended ${describeEnd(answer, child)}`)
    return
  }
  sites.report.injectedErrors += injected
  if (injected > 0) sites.report.covered(CYCLE, nameRepair({ operation, fault }))
  if (answer.code !== 0) return checkLoudEnd(answer, child)
  // LevelDB lives without having removed what it does not need; and after 0 all must be mended.
  if (!isSame(await valuesOf(site), sound)) {
    throw new Violation('I8', `a repair ended with 0 after ${nameRepair({ operation, fault })}, and mended nothing`)
  }
}

/** Flips bits of what can be made again. Returns all that is stored, before and after. */
async function damage(site: Site): Promise<{ sound: Values; damaged: Values }> {
  const sound = await valuesOf(site)
  const db = await StoredValues.open(site.dataDir)
  for (const letter of DERIVED) {
    const names = [...sound.keys()].filter((name) => name.startsWith(toHex(Buffer.from(letter))))
    for (const name of names.slice(0, DAMAGED_EACH)) {
      const value = sound.get(name)!.slice()
      value[0]! ^= 1
      await db.level.put(Buffer.from(name, 'hex'), value)
    }
  }
  await db.close()
  return { sound, damaged: await valuesOf(site) }
}

/** By keys in hex, as stored. */
async function valuesOf(site: Site): Promise<Values> {
  const values = new Map<string, Uint8Array>()
  const db = await StoredValues.open(site.dataDir)
  for await (const [key, value] of db.level.iterator()) values.set(toHex(key), new Uint8Array(value))
  await db.close()
  return values
}

function isSame(a: Values, b: Values): boolean {
  if (a.size !== b.size) return false
  for (const [name, value] of a) {
    const other = b.get(name)
    if (!other || !equalBytes(value, other)) return false
  }
  return true
}
