/**
 * A server that is taken away: killed, asked to stop, or halted, under load and while it comes up.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Load } from './load.ts'
import type { Served, Site, Sites } from './site.ts'
import { Violation } from './violation.ts'

export async function killUnderLoad(sites: Sites, rounds: number): Promise<void> {
  const site = await sites.site()
  let served = await sites.serve(site)
  for (let round = 0; round < rounds; round++) {
    const load = loadOn(sites, site, served)
    await load.reached(5 + sites.random.below(120))
    // At no particular moment of a commit, which takes a few milliseconds.
    await delay(sites.random.below(12))
    sites.report.kills++
    await served.child.kill()
    await load.end()
    served.client.close()
    served = await sites.serve(site)
    await sites.checkServed(site, served)
  }
  await sites.stop(served)
  await sites.fsck(site)
  await sites.discard(site)
}

/** The crash of a recovery of a crash, some times over. */
export async function killWhileOpening(sites: Sites, times: number): Promise<void> {
  const site = await sites.site()
  for (let i = 0; i < times; i++) {
    const child = await sites.children.take()
    sites.children.prepare()
    const serving = child.serve(site.dataDir)
    await delay(sites.random.below(40))
    sites.report.kills++
    await child.kill()
    await serving
  }
  await sites.check(site)
  await sites.discard(site)
}

export async function terminateUnderLoad(sites: Sites): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served)
  await load.reached(20 + sites.random.below(60))
  await sites.stop(served)
  await load.end()
  await sites.check(site)
  await sites.discard(site)
}

/** Halted, continued, and halted again and killed. Meanwhile nobody else gets the log. */
export async function haltUnderLoad(sites: Sites): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served)
  await load.reached(20)
  served.child.signal('SIGSTOP')
  const second = await sites.children.take()
  const started = await second.serve(site.dataDir)
  if ('url' in started) throw new Violation('I2', 'a second server came up on the directory of one that is halted')
  served.child.signal('SIGCONT')
  await load.reached(load.result.acknowledged + 20)
  served.child.signal('SIGSTOP')
  sites.report.kills++
  await served.child.kill()
  await load.end()
  served.client.close()
  await sites.check(site)
  await sites.discard(site)
}

export function loadOn(sites: Sites, site: Site, { client }: Served, writers?: number): Load {
  const { random, writer } = sites
  return new Load(client, { random, writer, ledger: site.ledger, ...(writers !== undefined && { writers }) })
}
