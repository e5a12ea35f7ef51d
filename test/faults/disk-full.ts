/**
 * A disk that is full, and has room again: a small file system in memory, and a file on it that takes what is left but a little.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { within } from './child.ts'
import { loadOn } from './kills.ts'
import { checkLoudEnd, type Site, type Sites } from './site.ts'
import { Violation } from './violation.ts'

/** For a server that looks at its disk every two seconds, and two cores that others have, in milliseconds. */
const PATIENCE = 60_000

/** Why nothing can be mounted, when it cannot. */
export function mountMissing(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'])
  return status === 0 ? undefined : `no file system may be mounted here: ${error?.message ?? String(stderr).trim()}`
}

export function fillDisk(sites: Sites): Promise<void> {
  return withDisk(sites, '64m', async (disk) => {
    const site = await sites.site(disk)
    await nearlyFull(sites, site, disk)
    await full(sites, site, disk)
    await sites.check(site)
    await sites.discard(site)
  })
}

/** @param size - as `mount` takes it */
export async function withDisk(sites: Sites, size: string, use: (disk: string) => Promise<void>): Promise<void> {
  const disk = join(sites.scratch, `disk-${sites.random.below(2 ** 31)}`)
  await mkdir(disk)
  run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'none', disk)
  try {
    await use(disk)
  } finally {
    run('umount', '-l', disk)
  }
}

/** It says so before it happens, and goes on by itself when there is room. */
async function nearlyFull(sites: Sites, site: Site, disk: string): Promise<void> {
  const served = await sites.serve(site)
  const load = loadOn(sites, site, served, 2)
  await load.reached(10)
  // It wants a twentieth: two writers do not use the rest up before it looks.
  const ballast = await fill(disk, 3 * 1024 * 1024)
  await within(PATIENCE, load.reached(1, 'unavailable'))
  await load.stop()
  if (load.result.unavailable === 0) throw new Violation('I8', 'nobody was told that the disk is nearly full')
  await rm(ballast)
  const deadline = performance.now() + PATIENCE
  while ((await served.client.register([await sites.writer.statement()])) !== 'acknowledged') {
    if (performance.now() > deadline) throw new Violation('I10', 'there is room again, and nothing is appended')
    await delay(200)
  }
  await sites.stop(served)
}

/** Told not to look, it writes until the disk says no. */
async function full(sites: Sites, site: Site, disk: string): Promise<void> {
  const config = join(site.dataDir, 'config.json')
  const said = await readFile(config, 'utf8')
  await writeFile(config, JSON.stringify({ ...JSON.parse(said), server: { readiness: { minFreeBytes: 0 } } }))
  const served = await sites.serve(site)
  const ballast = await fill(disk, 4096 * (1 + sites.random.below(100)))
  const load = loadOn(sites, site, served)
  const end = await served.child.end(PATIENCE)
  await load.end()
  served.client.close()
  checkLoudEnd(end, served.child)

  // Nobody made room. It comes up or says why not, and spoils nothing.
  const hopeful = await sites.children.take()
  const started = await hopeful.serve(site.dataDir)
  if ('url' in started) await hopeful.kill()
  else checkLoudEnd(started, hopeful)
  await rm(ballast)
  await writeFile(config, said)
}

/** A file that takes all but so many bytes. */
async function fill(disk: string, but: number): Promise<string> {
  const { bavail, bsize } = await statfs(disk)
  const ballast = join(disk, 'ballast')
  await writeFile(ballast, new Uint8Array(Math.max(0, bavail * bsize - but)))
  return ballast
}

function run(program: string, ...words: string[]): void {
  const { status, stderr } = spawnSync(program, words)
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${String(stderr).trim()}`)
}
