/** `docs/delivery.md`, done as it says: its blocks of shell, line by line, against a log of its own. */
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'
import { line } from '../../scripts/line.ts'
import { TestCommand } from '../clients/test-io.ts'
import { shell } from './run-page.ts'

const page = readFileSync('docs/delivery.md', 'utf8')
const blocks = [...page.matchAll(/<!-- run -->\n```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block)

describe('docs/delivery.md', () => {
  it('can be copied into a shell', async (t) => {
    assert.equal(blocks.length, 3)
    const command = new TestCommand()
    t.after(() => command.remove())
    const { url, vkey, stop } = await theFiveMinutes(command)
    t.after(stop)

    const root = resolve('.')
    const run = `--conditions=provlog-source --import ${root}/node_modules/tsx/dist/loader.mjs ${root}/clients/cli/bin.ts`
    writeFileSync(command.path('provlog'), `#!/bin/sh\nexec ${process.execPath} ${run} "$@"\n`, { mode: 0o755 })
    const script = `
PATH="$PWD:$PATH"
LOG=${url} TD=bank.example VKEY='${vkey}'
I="--log $LOG --vkey $VKEY --key keys/issuer.jwk"
${blocks.join('\n')}`
    const { code, out } = await shell(['-e', '-o', 'pipefail', '-c', script], command.directory)
    assert.equal(code, 0, out)

    assert.equal(statSync(command.path('identity')).mode & 0o777, 0o700)
    assert.match(out, /warning: credentials in environment variables are deprecated/)
    assert.match(out, /"state":"issued"/)
    const log = readFileSync(command.path('issuer.log'), 'utf8')
    assert.deepEqual(
      ['listening', 'issued', 'stopping', 'stopped'].filter((event) => !log.includes(`"event":"${event}"`)),
      [],
      log,
    )
    for (const text of [out, log]) assert.equal(/eyJ|BEGIN/.test(text), false, text)
    assert.ok(statSync(command.path('ledger/current/credential.jwt')).size > 0)
  })
})

/** As README has them, up to TRUST.json. */
async function theFiveMinutes(
  command: TestCommand,
): Promise<{ url: string; vkey: string; stop: () => Promise<unknown> }> {
  for (const who of ['issuer', 'verifier', 'attester', 'workload']) {
    await command.json('keygen', '--alg', 'ES256', '--out', `@keys/${who}.jwk`)
  }
  await command.json('keygen', '--alg', 'X25519', '--out', '@keys/auditor.jwk')
  const { vkey } = await command.json('log', 'init', '--data', '@log', '--origin', 'log.bank.example/2026')
  const server = await command.start('log', 'serve', '--data', '@log', '--listen', '127.0.0.1:0')
  const { url } = server.first as { url: string }
  const log = ['--log', url, '--vkey', String(vkey)]
  for (const role of ['issuer', 'verifier']) {
    const who = ['--role', role, '--id', `spiffe://bank.example/${role}`, '--key', `@keys/${role}.pub.jwk`]
    await command.json(...line`log authorize ${log} --admin-key @log/admin.jwk --trust-domain bank.example ${who}`)
  }
  const measured = ['--dir', 'merkle']
  const reference = ['--key', '@keys/attester.pub.jwk', '--name', 'payments', ...measured, '--out', '@reference.json']
  await command.json('attester', 'reference', ...reference)
  const [V, I] = [
    [...log, '--key', '@keys/verifier.jwk'],
    [...log, '--key', '@keys/issuer.jwk'],
  ]
  await command.json('verifier', 'publish-reference-values', ...V, '--id', 'payments', '@reference.json')
  await command.json(...line`verifier publish-policy ${V} --id measured-files docs/examples/appraisal-policy.json`)
  await command.json('issuer', 'publish-policy', ...I, '--id', 'workloads', 'docs/examples/issuance-policy.cedar')
  const keys = ['--key', '@keys/attester.jwk', '--workload-key', '@keys/workload.pub.jwk']
  await command.json('attester', 'measure', ...keys, ...measured, '--out', '@evidence.jwt')
  const evidence = ['--format', 'measured-files', '--evidence', '@evidence.jwt', '--result', '@result.ear']
  await command.json('verifier', 'appraise', ...V, ...evidence, '--recipient', '@keys/auditor.pub.jwk')
  const components = [{ type: 'library', name: 'fastify', version: '5.0.0', purl: 'pkg:npm/fastify@5.0.0' }]
  writeFileSync(command.path('sbom.json'), JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', components }))
  const anchor = ['--key', '@keys/issuer.jwk', '--trust-domain', 'bank.example', '--out', '@domain']
  await command.json('issuer', 'anchor', ...anchor)
  const trusted = ['--domain', 'bank.example=@domain/spiffe-bundle.json', '--issuer', 'spiffe://bank.example/issuer']
  await command.json(...line`trust ${log} ${trusted} --verifier spiffe://bank.example/verifier --out @TRUST.json`)
  return { url, vkey: String(vkey), stop: server.stop }
}
