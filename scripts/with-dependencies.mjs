/**
 * Runs a script of this repository on a machine where nothing was installed before.
 *
 *   node scripts/with-dependencies.mjs [--build] scripts/name.ts [arguments]
 *
 * Installs the locked dependencies when they are missing or belong to another lock file, then runs the script:
 * from its TypeScript source, or with --build from the compiled output that also ships.
 * The one file here that is plain JavaScript, because it must run before there is a compiler.
 *
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`provlog needs Node 20.19 or newer; this is ${process.versions.node}.`)
  process.exit(2)
}

process.chdir(root)

const args = process.argv.slice(2)
const build = args[0] === '--build' && args.shift() !== undefined
const script = args.shift()
if (script === undefined) throw new Error('usage: with-dependencies.mjs [--build] SCRIPT.ts [arguments]')

installWhatIsMissing()
if (build) {
  run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'])
  // In this process, so that a signal to it reaches the script itself; package.json says `exec` for the same reason.
  const compiled = `${root}dist/${script.replace(/\.ts$/, '.js')}`
  process.argv = [process.execPath, compiled, ...args]
  await import(pathToFileURL(compiled).href)
} else {
  const child = spawn(process.execPath, ['--conditions=provlog-source', '--import', 'tsx', script, ...args], {
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('close', (code) => {
    process.exitCode = code ?? 1
  })
}

/**
 * The marker holds the digest of the lock file it was installed from, so that a changed lock installs again.
 *
 * `npm install --no-save` and not `npm ci`: the latter refuses a lock file in which optional packages of other platforms
 * are missing, as they are when the registry it was written from does not carry them. What is locked is installed as locked.
 */
function installWhatIsMissing() {
  const marker = 'node_modules/.installed-lock'
  const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex')
  if (existsSync(marker) && readFileSync(marker, 'utf8') === lock) return
  console.error('Installing the locked dependencies …')
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
  writeFileSync(marker, lock)
}

/** Runs a step whose output is not the script's: it goes to stderr. */
function run(command, commandArgs) {
  const { status, error } = spawnSync(command, commandArgs, { stdio: ['ignore', 2, 2] })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}
