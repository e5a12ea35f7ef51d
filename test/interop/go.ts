/**
 * The programs in Go: our own over other people's modules, and Tessera's fsck as it is.
 *
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { InteropLog } from './log.ts'
import { CACHE, execute, type Part, runChecks } from './program.ts'
import type { Report } from './report.ts'
import { rotate } from './rotate.ts'

const SOURCES = 'test/interop/go'
/** As `go.mod` says. */
const NEEDED = [1, 25] as const
const FSCK = 'github.com/transparency-dev/tessera/cmd/fsck'
// It exits with 0 in either case: what it found is only in what it says.
const FSCK_SOUND = /Successfully fsck'd log with size \d+/
const FSCK_FAILED = /fsck failed: /

/** The folder of the built programs, or undefined when there is no Go for them, which is then said. */
export async function buildGo(report: Report, skipped: string): Promise<string | undefined> {
  const why = await missingGo()
  if (why !== undefined) {
    report.skip(skipped, why)
    return undefined
  }
  const bin = resolve(CACHE, 'bin')
  await mkdir(bin, { recursive: true })
  return report.step('go: builds from the pinned modules', async () => {
    // The toolchain that is here: none is downloaded. go.sum pins every byte, and nothing may change it.
    const env = { GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly', CGO_ENABLED: '0' }
    const args = ['build', '-o', `${bin}/`, '.', FSCK]
    const { failure } = await execute({ command: 'go', args, cwd: SOURCES, env, timeout: 400 })
    if (failure !== undefined) throw new Error(failure)
    return bin
  })
}

export async function runGo({ log, fixture, report }: Part): Promise<void> {
  const bin = await buildGo(report, 'go: sumdb, Tessera, torchwood, formats, merkle, go-cose')
  if (bin === undefined) return

  const env = { SSL_CERT_FILE: log.ca }
  await runChecks(report, 'go', { command: join(bin, 'interop'), args: [fixture.path], env })

  await report.step('go tessera: fsck finds every entry and tile to be what the checkpoint says', async () => {
    const said = await fsck(bin, log, log.vkey)
    if (!FSCK_SOUND.test(said)) throw new Error(said)
  })
  await report.step('go tessera: fsck refuses the log under another key', async () => {
    const said = await fsck(bin, log, fixture.strangerVkey)
    if (!FSCK_FAILED.test(said)) throw new Error(`it was accepted: ${said}`)
  })
}

/** The last part: afterwards the log has other keys than the fixture says. */
export async function runRotation({ log, fixture, report }: Part): Promise<void> {
  const bin = await buildGo(report, 'rotation of the log’s keys, as Go sees it')
  if (bin === undefined) return
  const rotated = await report.step('rotation: the log changes its keys while it serves', () => rotate(log, fixture))
  if (rotated === undefined) return
  const env = { SSL_CERT_FILE: log.ca }
  await runChecks(report, 'go', { command: join(bin, 'interop'), args: [rotated.path, 'rotation'], env })
  await report.step('go tessera: fsck finds the log sound under its new key', async () => {
    const said = await fsck(bin, log, rotated.newVkey)
    if (!FSCK_SOUND.test(said)) throw new Error(said)
  })
}

async function fsck(bin: string, log: InteropLog, vkey: string): Promise<string> {
  const key = join(log.directory, 'fsck.vkey')
  await writeFile(key, vkey)
  const args = [`--storage_url=${log.url}/`, `--public_key=${key}`, `--origin=${log.origin}`, '--N=2', '--ui=false']
  const env = { SSL_CERT_FILE: log.ca }
  const { failure, stderr } = await execute({ command: join(bin, 'fsck'), args, env, timeout: 60 })
  if (failure !== undefined) throw new Error(failure)
  return stderr
}

/** Why nothing in Go can be built here. */
export async function missingGo(): Promise<string | undefined> {
  const version = await goVersion()
  const [major, minor] = version ?? [0, 0]
  if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) return undefined
  const found = version === undefined ? 'there is no Go here' : `this is Go ${version.join('.')}`
  return `needs Go ${NEEDED.join('.')}: ${found}`
}

async function goVersion(): Promise<readonly [number, number] | undefined> {
  const { stdout } = await execute({ command: 'go', args: ['env', 'GOVERSION'], env: { GOTOOLCHAIN: 'local' } })
  const match = /^go(\d+)\.(\d+)/.exec(stdout)
  return match === null ? undefined : [Number(match[1]), Number(match[2])]
}
