/**
 * Backups that do not come to their end: killed, left by their server, on a disk that is full or fails. And the one after them.
 *
 * A directory with a manifest is a backup, however its command ended, and must then have all that was acknowledged before it began. One without
 * must be refused.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { lstat, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer, Child, ChildOptions } from './child.ts'
import { withDisk } from './disk-full.ts'
import { loadOn } from './kills.ts'
import type { Ledger } from './ledger.ts'
import { checkLoudEnd, describeEnd, type Served, type Site, type Sites } from './site.ts'
import { callsIn, type Fault, nameOf, type Operation, operationsOf, Strace } from './strace.ts'
import { Violation } from './violation.ts'

/** Of the command line. */
const [REFUSED, UNAVAILABLE, MISBEHAVED] = [1, 3, 5]
const FAULTS: readonly Fault[] = ['KILL', 'EIO', 'ENOSPC']

/** A backup, and what a client knew when it began. */
interface Attempt {
  readonly child: Child
  readonly site: Site
  readonly out: string
  readonly ledger: Ledger
  /** For what is made of it. */
  readonly directory: string
}

export async function interruptBackups(sites: Sites, rounds: number): Promise<void> {
  const site = await sites.site()
  let served = await sites.serve(site)
  for (let round = 0; round < rounds; round++) {
    const load = loadOn(sites, site, served)
    await load.reached(10 + sites.random.below(20))
    const killed = await begin(sites, site)
    await delay(sites.random.below(60))
    sites.report.kills++
    await killed.child.kill()
    await judge(sites, killed)

    const left = await begin(sites, site)
    await delay(sites.random.below(60))
    sites.report.kills++
    await served.child.kill()
    await load.end()
    served.client.close()
    if ((await judge(sites, left)).code === 0) sites.report.ran('backups that were done before their server was killed')

    // The socket of the server that was killed is there, and nobody listens.
    if (!(await lstat(join(site.dataDir, 'control'))).isSocket()) throw new Error('a killed server removed its socket')
    await expectWhole(sites, await begin(sites, site), false)
    served = await sites.serve(site)
    await sites.checkServed(site, served)
  }
  await backUpAndStop(sites, site, served)
}

export async function failBackups(sites: Sites, times: number): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served, 2)
  await load.reached(5)
  const operations = await operationsOfBackup(sites, site)
  const output = `${site.dataDir}.strace`
  for (let i = 0; i < times; i++) {
    const operation = sites.random.pick(operations)
    const fault = sites.random.pick(FAULTS)
    let strace: Strace | undefined
    const attempt = await begin(sites, site, async (child, out) => {
      strace = await Strace.inject(child.pid, output, { operation, fault, path: join(out, operation.path) })
    })
    const { code, signal } = await judge(sites, attempt)
    const injected = (await strace!.end()).split('(INJECTED)').length - 1
    if (signal === 'SIGKILL') sites.report.kills++
    else if (injected > 0 && code === 0) {
      throw new Violation('I8', `a backup ended with 0 after ${fault} of ${nameOf(operation)}`)
    } else sites.report.injectedErrors += injected
  }
  await rm(output)
  await load.stop()
  await backUpAndStop(sites, site, served)
}

export async function fillBackupDisk(sites: Sites): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served, 2)
  await load.reached(5)
  // Less than the log that all runs begin with takes.
  await withDisk(sites, `${4 * (1 + sites.random.below(24))}k`, async (disk) => {
    await judge(sites, await begin(sites, site, undefined, disk))
  })
  await load.stop()
  await backUpAndStop(sites, site, served)
}

/** One under load, which the log outgrows, and one when it is down; and the log is what it was. */
async function backUpAndStop(sites: Sites, site: Site, served: Served): Promise<void> {
  const load = loadOn(sites, site, served)
  await load.reached(10)
  const early = await begin(sites, site)
  await early.child.ended
  await load.reached(load.result.acknowledged + 10)
  await load.stop()
  await expectRefusal(sites, early, { code: 'backup_outdated', exit: MISBEHAVED }, ['--old', site.dataDir])
  await expectWhole(sites, early, true)

  const { checkpoint } = await served.client.whole()
  await sites.stop(served)
  const last = await begin(sites, site)
  const kept = join(last.directory, 'kept-checkpoint')
  await writeFile(kept, checkpoint)
  await expectWhole(sites, last, false, ['--old', site.dataDir, '--checkpoint', kept])
  await sites.check(site)
  await sites.discard(site)
}

/** @param set - sets a fault for what the command does */
async function begin(
  sites: Sites,
  site: Site,
  set?: (child: Child, out: string) => Promise<void>,
  disk?: string,
): Promise<Attempt> {
  const directory = await mkdtemp(`${site.dataDir}-backup-`)
  const out = join(disk ?? directory, 'backup')
  // One thread has all storage operations in one order.
  const options: ChildOptions | undefined = set && { oneThread: true }
  const child = await sites.children.take(options)
  sites.children.prepare()
  await set?.(child, out)
  const ledger = site.ledger.clone()
  child.order({ command: 'log backup', words: ['--data', site.dataDir, '--out', out, '--json'] })
  return { child, site, out, ledger, directory }
}

/** Of a backup that was interrupted, or not in time. @throws {@link Violation} */
async function judge(sites: Sites, attempt: Attempt): Promise<Answer> {
  const { child, out, directory } = attempt
  const answer = await child.answer()
  if (answer.signal === null && answer.code !== 0) {
    checkLoudEnd(answer, child)
    if (answer.code !== UNAVAILABLE) throw new Violation('I8', `a backup ended ${describeEnd(answer, child)}`)
  }
  if (existsSync(join(out, 'manifest.json'))) {
    await checkRestored(sites, attempt, ['--unchecked'])
    return answer
  }
  if (answer.code === 0) throw new Violation('I8', `${out} was said to be a backup, and has no manifest`)
  await expectRefusal(sites, attempt, { code: 'backup_incomplete', exit: REFUSED }, ['--unchecked'])
  await rm(directory, { recursive: true })
  return answer
}

/** @param through - it was made through a server */
async function expectWhole(sites: Sites, attempt: Attempt, through: boolean, asked = ['--unchecked']): Promise<void> {
  const answer = await attempt.child.answer()
  if (answer.code !== 0) {
    throw new Violation('I8', `no backup can be made: it ended ${describeEnd(answer, attempt.child)}`)
  }
  if (answer.said['served'] !== through) throw new Error(`made through a server: it is to be ${through}`)
  await checkRestored(sites, attempt, asked)
}

/** A log that is made of it has what was acknowledged before it began, and goes on. */
async function checkRestored(sites: Sites, attempt: Attempt, asked: readonly string[]): Promise<void> {
  const { dataDir, child, answer } = await restore(sites, attempt, [...asked, '--keys', attempt.site.dataDir])
  if (answer.code !== 0)
    throw new Violation('I8', `a backup cannot be restored: it ended ${describeEnd(answer, child)}`)
  await sites.check({ dataDir, ledger: attempt.ledger })
  sites.report.ran('backups restored')
  await rm(attempt.directory, { recursive: true })
}

async function expectRefusal(
  sites: Sites,
  attempt: Attempt,
  { code, exit }: { code: string; exit: number },
  asked: readonly string[],
): Promise<void> {
  const { dataDir, child, answer } = await restore(sites, attempt, asked)
  if (answer.code !== exit || answer.said['code'] !== code) {
    throw new Violation('I8', `a restore was to be refused with ${code}, and ended ${describeEnd(answer, child)}`)
  }
  if (existsSync(join(dataDir, 'config.json'))) throw new Violation('I8', `${dataDir} was refused, and is a log`)
  sites.report.ran(`refused with ${code}`)
}

async function restore(sites: Sites, { out, directory }: Attempt, asked: readonly string[]) {
  const dataDir = join(directory, 'restored')
  const child = await sites.children.take()
  sites.children.prepare()
  child.order({ command: 'log restore', words: ['--from', out, '--data', dataDir, ...asked, '--json'] })
  return { dataDir, child, answer: await child.answer() }
}

/** All that changes something, in a backup that is let be. */
async function operationsOfBackup(sites: Sites, site: Site): Promise<Operation[]> {
  const output = `${site.dataDir}.strace`
  let strace: Strace | undefined
  const attempt = await begin(sites, site, async (child) => {
    strace = await Strace.trace(child.pid, output)
  })
  await attempt.child.ended
  const operations = operationsOf(callsIn(await strace!.end(), attempt.out)).filter(({ reads }) => !reads)
  if (operations.length === 0) throw new Error('a backup without storage operations')
  await expectWhole(sites, attempt, true)
  await rm(output)
  return operations
}
