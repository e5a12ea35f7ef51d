/**
 * A disk that is full, and has room again: a file system in memory of a few MiB, and a file on it that takes what is left but a little.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadOn } from './kills.ts'
import { checkLoudEnd, type Sites } from './site.ts'

/** Why nothing can be mounted, when it cannot. */
export function mountMissing(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'])
  return status === 0 ? undefined : `no file system may be mounted here: ${error?.message ?? String(stderr).trim()}`
}

export async function fillDisk(sites: Sites): Promise<void> {
  const disk = join(sites.scratch, `disk-${sites.random.below(2 ** 31)}`)
  await mkdir(disk)
  run('mount', '-t', 'tmpfs', '-o', 'size=8m', 'none', disk)
  try {
    const site = await sites.site(disk)
    const served = await sites.serve(site)
    const { bavail, bsize } = await statfs(disk)
    const ballast = join(disk, 'ballast')
    await writeFile(ballast, new Uint8Array(bavail * bsize - 4096 * (1 + sites.random.below(100))))

    const load = loadOn(sites, site, served)
    const end = await served.child.end(120_000)
    await load.end()
    served.client.close()
    checkLoudEnd(end, served.child)

    // Nobody made room. It comes up or says why not, and spoils nothing.
    const hopeful = await sites.children.take()
    const started = await hopeful.serve(site.dataDir)
    if ('url' in started) await hopeful.kill()
    else checkLoudEnd(started, hopeful)

    await rm(ballast)
    await sites.check(site)
  } finally {
    run('umount', '-l', disk)
  }
}

function run(program: string, ...words: string[]): void {
  const { status, stderr } = spawnSync(program, words)
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${String(stderr).trim()}`)
}
