/**
 * The server before the last change of its code, the one of now, and back again, on one directory.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { serveFrom } from './child.ts'
import { Client } from './client.ts'
import { loadOn } from './kills.ts'
import { checkLoudEnd, type Served, type Site, type Sites } from './site.ts'

/** Why there is no older server, when there is none. */
export function historyMissing(): string | undefined {
  return commitBefore() === undefined ? 'there is no history here to take an older server from' : undefined
}

export async function upgradeAndBack(sites: Sites): Promise<void> {
  const older = checkOut(commitBefore()!)
  const site = await sites.site()
  for (const root of [older, undefined, older]) {
    const served = root === undefined ? await sites.serve(site) : await serveWith(sites, site, root)
    if (!served) break
    const load = loadOn(sites, site, served)
    await load.reached(20)
    sites.report.kills++
    await served.child.kill()
    await load.end()
    served.client.close()
  }
  await sites.check(site)
  await sites.discard(site)
}

/** Undefined where an older server says that it cannot read what a newer one wrote. It must say so, and leave it as it is. */
async function serveWith(sites: Sites, site: Site, root: string): Promise<Served | undefined> {
  const child = serveFrom(root, site.dataDir)
  const started = await child.started(site.dataDir)
  if ('url' in started) return { child, url: started.url, client: new Client(started.url, site.ledger) }
  checkLoudEnd(started, child)
  sites.report.ran('older server refused newer data')
  return undefined
}

/** The last but one that changed the server. */
function commitBefore(): string | undefined {
  const { status, stdout } = spawnSync('git', ['log', '-2', '--format=%H', '--', 'log-server', 'statement', 'merkle'])
  const commits = status === 0 ? String(stdout).trim().split('\n') : []
  return commits[1]
}

/** Below this checkout, so that it finds the same dependencies. */
function checkOut(commit: string): string {
  const directory = resolve('.cache/faults/older', commit)
  if (existsSync(directory)) return directory
  // Those of the changes before.
  rmSync(resolve(directory, '..'), { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const archive = spawnSync('git', ['archive', '--format=tar', commit], { maxBuffer: 2 ** 30 })
  const { status } = spawnSync('tar', ['-x', '-C', directory], { input: archive.stdout })
  if (status !== 0) throw new Error(`${commit} cannot be checked out`)
  return directory
}
