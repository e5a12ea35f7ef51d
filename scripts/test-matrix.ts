/**
 * `npm run test:matrix`: the tests on every Node that is supported, each binary taken from the npm registry.
 *
 * The packages `node-<platform>-<arch>` carry the binary itself; the package `node` would need an install script.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'

const versions = process.argv.length > 2 ? process.argv.slice(2) : ['20', '22', '24']

const outcomes = versions.map((version) => {
  const node = nodeBinary(version)
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  console.log(`\n== Node ${stdout.trim()}`)
  const { status } = spawnSync(node, ['--conditions=provlog-source', '--import', 'tsx', 'scripts/test.ts'], {
    stdio: 'inherit',
  })
  return { node: stdout.trim(), ok: status === 0 }
})

console.log()
for (const { node, ok } of outcomes) console.log(`${ok ? 'ok    ' : 'FAILED'}  Node ${node}`)
process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1

function nodeBinary(version: string): string {
  const folder = `.cache/node-${version}`
  const name = `node-${process.platform}-${process.arch}`
  const binary = `${folder}/node_modules/${name}/bin/node`
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    const args = ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
    const { status } = spawnSync('npm', [...args, `${name}@${version}`], { stdio: 'inherit' })
    if (status !== 0) throw new Error(`could not install ${name}@${version}`)
  }
  return binary
}
