/**
 * Two of one log: two processes on one directory, and a directory that was copied and put back.
 *
 * @module
 */
import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fsckData } from '../../log-server/index.ts'
import { serveFrom } from './child.ts'
import { loadOn } from './kills.ts'
import { checkLoudEnd, describeEnd, type Site, type Sites } from './site.ts'
import { Violation } from './violation.ts'

/** Of the command line: the log would contradict itself. */
const MISBEHAVED = 5

export async function twoProcesses(sites: Sites): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served)
  await load.reached(10)
  for (let i = 0; i < 2; i++) {
    const second = await sites.children.take()
    const started = await second.serve(site.dataDir)
    if ('url' in started) throw new Violation('I2', 'two servers came up on one directory')
    checkLoudEnd(started, second)
    if (!second.complaint.includes('log_locked')) throw new Violation('I8', describeEnd(started, second))
  }
  const checked = await fsckData(site.dataDir).catch((error: { code?: string }) => error.code)
  if (checked !== 'log_locked') throw new Violation('I2', 'fsck opened the database of a server that runs')
  await load.reached(load.result.acknowledged + 10)
  await load.stop()
  await sites.checkServed(site, served)
  await sites.stop(served)
  await sites.check(site)
  await sites.discard(site)
}

/** A database that is older than the guard is refused, as is one without a guard, until the newer one is back. */
export async function restoreOldCopy(sites: Sites): Promise<void> {
  const site = await sites.site()
  const old = await sites.copyOf(site, `${site.dataDir}-old`)
  await serveSome(sites, site)
  const [store, guard] = [join(site.dataDir, 'store'), join(site.dataDir, 'guard')]
  await rename(store, `${store}-newer`)
  await cp(join(old.dataDir, 'store'), store, { recursive: true })
  await expectRefusal(sites, site, 'log_behind_guard', 'bring back the newer one')
  await rename(guard, `${guard}-newer`)
  await expectRefusal(sites, site, 'guard_missing', 'bring back the guard')
  // An older guard is no better: it is what somebody would copy along with the store, one by one.
  await rm(store, { recursive: true })
  await rename(`${store}-newer`, store)
  await rename(`${guard}-newer`, guard)
  await sites.check(site)

  await checkWholeCopy(sites, site, old)
  await sites.discard(old)
  await sites.discard(site)
}

/** Guard and all: no server can tell. Everybody who kept something can. */
async function checkWholeCopy(sites: Sites, site: Site, old: Site): Promise<void> {
  const served = await sites.serve({ dataDir: old.dataDir, ledger: site.ledger })
  const seen = await served.client.look().catch((error: unknown) => error)
  if (!(seen instanceof Violation && seen.invariant === 'I3')) {
    throw new Violation('I3', 'a client was shown an older tree than before, and did not see that')
  }
  await sites.stop(served)
}

async function serveSome(sites: Sites, site: Site): Promise<void> {
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served)
  await load.reached(20)
  await load.stop()
  await sites.stop(served)
}

/** By the command itself, started as anybody would. */
async function expectRefusal({ report }: Sites, { dataDir }: Site, code: string, advice: string): Promise<void> {
  const child = serveFrom('.', dataDir)
  const started = await child.started(dataDir)
  report.ran(`refused with ${code}`)
  if ('url' in started) {
    await child.kill()
    throw new Violation('I2', `a log came up that had to be refused with ${code}`)
  }
  checkLoudEnd(started, child)
  if (started.code !== MISBEHAVED || !child.complaint.includes(code) || !child.complaint.includes(advice)) {
    throw new Violation('I8', `it was to be refused with ${code} and advice, and ended ${describeEnd(started, child)}`)
  }
}
