/**
 * A page of the documentation, done as it says in an empty folder: each block of shell that is marked to be run, and what the page shows of its
 * output.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const BLOCK = /<!-- run -->\n```sh\n([\s\S]*?)```(?:\n\n```text\n([\s\S]*?)```)?/g

/** Why pages cannot be run on this machine, or false. */
const missing = ['openssl', 'curl', 'bash'].filter((program) => spawnSync(program, ['--version']).error)
export const skip = missing.length > 0 && `there is no ${missing.join(', no ')} on this machine`

/** Runs all blocks in one shell, in a folder that is empty but for what `prepare` puts there. The page's port, 8787, is a free one. */
export async function runPage(path: string, atLeast: number, prepare = (_folder: string) => {}): Promise<void> {
  const page = readFileSync(path, 'utf8')
  const blocks = [...page.matchAll(BLOCK)].map(([, script = '', shown]) => ({ script, shown }))
  assert.ok(blocks.length >= atLeast)
  const directory = mkdtempSync(join(tmpdir(), 'provlog-page-'))
  try {
    const port = await freePort()
    const bin = join(directory, 'bin')
    const folder = join(directory, 'empty')
    for (const made of [bin, folder]) mkdirSync(made)
    prepare(folder)
    const root = resolve('.')
    const run = `--conditions=provlog-source --import ${root}/node_modules/tsx/dist/loader.mjs ${root}/clients/cli/bin.ts`
    writeFileSync(join(bin, 'provlog'), `#!/bin/sh\nexec ${process.execPath} ${run} "$@"\n`, { mode: 0o755 })

    // Whatever ends the script ends the server too.
    const script = [
      `PATH="${bin}:$PATH"`,
      'exec 2>&1',
      `trap 'status=$?; kill $(jobs -p) 2> /dev/null; wait; exit $status' EXIT`,
      ...blocks.map(({ script: block }, i) => `${block}\nprintf '\\n<<<end of block ${i}>>>\\n'`),
    ].join('\n')
    const { code, out } = await shell(['-c', script.replaceAll('8787', String(port))], folder)
    const said = out.replaceAll(String(port), '8787').split(/\n<<<end of block \d+>>>\n/)
    assert.equal(code, 0, out)
    for (const [i, { script: block, shown }] of blocks.entries()) {
      if (shown !== undefined)
        assert.match(`${said[i]!.trim()}\n`, patternOf(shown.trim()), `after\n${block}\nthere was\n${said[i]}`)
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Of what is shown, `…` stands for anything, on a line of its own for any lines. */
function patternOf(shown: string): RegExp {
  const lines = shown.split('\n').map((line) => {
    // Each turn takes a line, never nothing: what does not match is found out before long.
    if (line === '…') return '(?:[^\\n]*\\n)*?'
    const parts = line.split('…').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    return `${parts.join('[^\\n]*')}\\n`
  })
  return new RegExp(`^${lines.join('')}$`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost')
  await new Promise((done) => server.once('listening', done))
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  return port
}

/** Runs bash, and returns all that it says. */
export async function shell(args: readonly string[], cwd: string): Promise<{ code: number | null; out: string }> {
  const child = spawn('bash', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: 300_000 })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      out += chunk
    })
  }
  const code = await new Promise<number | null>((done) => child.once('close', done))
  return { code, out }
}
