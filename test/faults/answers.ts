/**
 * A client that is gone before its answer comes, and asks again.
 *
 * @module
 */
import { loadOn } from './kills.ts'
import type { Sites } from './site.ts'

export async function loseAnswers(sites: Sites): Promise<void> {
  const site = await sites.site()
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served)
  for (let i = 0; i < 12; i++) {
    const statement = await sites.writer.statement()
    await served.client.abandon(statement)
    // At once, while the first is under way, and by several: one index for all of them.
    if (i % 2 === 0) await Promise.all(Array.from({ length: 3 }, () => served.client.register([statement])))
  }
  await load.reached(10)
  await load.stop()
  await sites.checkServed(site, served)
  await sites.stop(served)
  await sites.check(site)
  await sites.discard(site)
}
