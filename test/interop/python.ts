/**
 * The programs in Python, each in a virtual environment of the peers it needs.
 *
 * @module
 */
import { createHash, createPublicKey } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  importVerificationKey,
  parsePublicJwk,
  parseReceipt,
  parseSignedStatement,
  type VerificationKey,
  verifyGenericReceipt,
  verifySignedStatement,
} from '../../statement/index.ts'
import type { FixtureFiles } from './fixture.ts'
import type { InteropLog } from './log.ts'
import { CACHE, execute, type Part, runChecks } from './program.ts'
import type { Report } from './report.ts'

export const SOURCES = 'test/interop/python'
const NEEDED = [3, 11] as const
/** Names a Python that can import a pyscitt which is not on the registry. */
const PYSCITT = 'PROVLOG_INTEROP_PYSCITT'

export async function runPython({ log, fixture, report }: Part): Promise<void> {
  const why = await missingPython()
  if (why !== undefined) {
    report.skip('python: scitt-cose, python-cwt, CDDL, SCRAPI over HTTP, pyscitt', why)
    return
  }
  const run = (python: string, script: string) => ({
    command: python,
    args: [join(SOURCES, script), fixture.path],
    env: { PYTHONDONTWRITEBYTECODE: '1' },
  })

  const cose = await report.step('python: installs scitt-cose, python-cwt, zcbor at their pinned versions', () =>
    environment('cose'),
  )
  if (cose !== undefined) {
    await runChecks(report, 'python', run(cose, 'cose.py'))
    await report.step('python scitt-cose: our verifier takes its receipts, and refuses the damaged ones', () =>
      judgePeer(join(fixture.directory, 'peer.json')),
    )
    await runChecks(report, 'http', run(cose, 'scrapi.py'))
  }

  await fuzz(log, fixture, report)

  const pyscitt = await report.step('python: installs pyscitt 0.10.1, the newest of the registry', () =>
    environment('pyscitt'),
  )
  if (pyscitt !== undefined) await runChecks(report, 'pyscitt 0.10.1', run(pyscitt, 'pyscitt_client.py'))

  const other = process.env[PYSCITT]
  if (other === undefined) {
    const why = `not on the registry; ${PYSCITT}=PYTHON runs it, from a Python that can import it`
    report.skip('pyscitt of its main branch (303 flow)', why)
  } else {
    await runChecks(report, 'pyscitt, not of the registry:', run(other, 'pyscitt_client.py'))
  }
}

/** What the log says of its own API, taken at its word. A few hundred requests: the fuzzing proper is ours. */
async function fuzz(log: InteropLog, fixture: FixtureFiles, report: Report): Promise<void> {
  const python = await report.step('python: installs schemathesis at its pinned version', () =>
    environment('schemathesis'),
  )
  if (python === undefined) return
  await report.step('schemathesis: every GET answers as /openapi.json says', async () => {
    const about = [`${log.url}/openapi.json`, '--tls-verify', log.ca, '--include-method', 'GET']
    const bounds = ['--phases', 'coverage,fuzzing', '--max-examples', '4', '--max-time', '15', '--workers', '1']
    // What a schema cannot say (an index is below the size) is refused with 400, and that is right.
    const checks = ['--exclude-checks', 'positive_data_acceptance']
    const args = ['run', ...about, ...bounds, ...checks, '--generation-deterministic', '--no-color']
    // There it may leave what it likes.
    const cwd = fixture.directory
    const { failure, stdout } = await execute({ command: join(python, '..', 'st'), args, cwd, timeout: 90 })
    if (failure !== undefined) throw new Error(`${failure}\n${stdout.slice(-3000)}`)
    if (!/\b[1-9]\d* generated, \d+ passed\b/.test(stdout)) throw new Error(`it tried nothing:\n${stdout.slice(-1000)}`)
  })
}

/** The Python of a virtual environment that has what `<name>.txt` lists: made when it is not there, or of another list. */
export async function environment(name: string): Promise<string> {
  const version = (await pythonVersion()) ?? []
  const list = join(SOURCES, `${name}.txt`)
  const key = createHash('sha256')
    .update(await readFile(list))
    .update(version.join('.'))
    .digest('hex')
  const directory = resolve(CACHE, `python-${name}`)
  const python = join(directory, 'bin', 'python')
  const marker = join(directory, 'installed')
  if (existsSync(marker) && (await readFile(marker, 'utf8')) === key) return python

  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', list]
  for (const step of [
    { command: 'python3', args: ['-m', 'venv', directory] },
    { command: python, args: pip },
  ]) {
    const { failure } = await execute({ ...step, timeout: 300 })
    if (failure !== undefined) throw new Error(failure)
  }
  await writeFile(marker, key)
  return python
}

/** Why nothing in Python can run here. */
export async function missingPython(): Promise<string | undefined> {
  const version = await pythonVersion()
  const found = version === undefined ? 'there is no Python here' : `this is Python ${version.join('.')}`
  const [major, minor] = version ?? [0, 0]
  const enough = major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
  return enough ? undefined : `needs Python ${NEEDED.join('.')}: ${found}`
}

interface PeerReceipt {
  readonly valid: boolean
  readonly statement: string
  readonly receipt: string
  readonly publicKey: string
}

/** Receipts that a peer made, before the verifier that every relying party uses for logs that are not ours. */
async function judgePeer(path: string): Promise<void> {
  const made = JSON.parse(await readFile(path, 'utf8')) as PeerReceipt[]
  if (!made.some(({ valid }) => valid) || !made.some(({ valid }) => !valid)) throw new Error('nothing to judge')
  for (const { valid, statement, receipt, publicKey } of made) {
    const key = await pemKey(publicKey)
    const { entry } = await verifySignedStatement(parseSignedStatement(await readFile(statement)), key)
    const verdict = await verifyGenericReceipt(parseReceipt(await readFile(receipt)), entry, key).then(
      () => true,
      (error: unknown) => String(error),
    )
    if ((verdict === true) !== valid) throw new Error(`${receipt}: ${verdict}`)
  }
}

async function pemKey(path: string): Promise<VerificationKey> {
  return importVerificationKey(parsePublicJwk(createPublicKey(await readFile(path)).export({ format: 'jwk' })))
}

async function pythonVersion(): Promise<readonly [number, number] | undefined> {
  const { stdout } = await execute({ command: 'python3', args: ['--version'] })
  const match = /^Python (\d+)\.(\d+)/.exec(stdout)
  return match === null ? undefined : [Number(match[1]), Number(match[2])]
}
