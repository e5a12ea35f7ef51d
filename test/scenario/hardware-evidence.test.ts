/**
 * From a quote of a TPM to a credential, by the commands: the evidence names the workload's key, and so does all that follows from it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { publicJwkOf } from '../../statement/index.ts'
import { TestCommand } from '../clients/test-io.ts'
import { ES256_JWK } from '../statement/fixtures.ts'

const TD = 'bank.example'
const EVIDENCE = 'test/fixtures/tpm/quote-ecc.json'
const cli = new TestCommand()
const write = (name: string, value: unknown) => writeFileSync(cli.path(name), JSON.stringify(value))
let url = ''
let onLog: readonly string[] = []
let stop = async () => 0

const asVerifier = () => [...onLog, '--key', '@verifier.jwk']
const appraise = (...more: readonly string[]) =>
  cli.run(
    ...['verifier', 'appraise', ...asVerifier(), '--format', 'tpm2', '--evidence', EVIDENCE, '--json'],
    ...['--nonce', 'challenge', '--workload-key', '@workload.pub.jwk', ...more],
  )

before(async () => {
  for (const name of ['issuer', 'verifier', 'other']) {
    await cli.json('keygen', '--alg', 'ES256', '--out', `@${name}.jwk`)
  }
  const { kty, crv, x, y } = publicJwkOf(ES256_JWK) as unknown as Record<string, string>
  write('workload.pub.jwk', { kty, crv, x, y })

  const created = await cli.json('log', 'init', '--data', '@log', '--origin', 'log.bank.example/tpm')
  const serving = await cli.start('log', 'serve', '--data', '@log', '--listen', '127.0.0.1:0')
  stop = serving.stop
  url = String(serving.first['url'])
  onLog = ['--log', url, '--vkey', String(serving.first['vkey'])]
  for (const role of ['issuer', 'verifier']) {
    await cli.json(
      ...['log', 'authorize', '--log', url, '--admin-key', String(created['adminKey']), '--trust-domain', TD],
      ...['--role', role, '--id', `spiffe://${TD}/${role}`, '--key', `@${role}.pub.jwk`],
    )
  }

  const { ak, pcrs } = JSON.parse(readFileSync(EVIDENCE, 'utf8'))
  write('reference.json', {
    format: 'tpm2',
    measurements: [{ name: 'payments host', values: { 'sha256:0': pcrs.sha256['0'], 'sha256:4': pcrs.sha256['4'] } }],
    platforms: [{ ids: [createHash('sha256').update(Buffer.from(ak, 'base64')).digest('hex')] }],
  })
  write('policy.json', {
    format: 'tpm2',
    maxEvidenceAgeSeconds: 300,
    resultLifetimeSeconds: 3600,
    claims: { match: { 'instance-identity': 2, executables: 3 }, mismatch: { executables: 96 } },
  })
  write('sbom.json', {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    components: [{ type: 'library', name: 'fastify', version: '5.0.0', purl: 'pkg:npm/fastify@5.0.0' }],
  })
  await cli.json('verifier', 'publish-reference-values', ...asVerifier(), '--id', 'hosts', '@reference.json')
  await cli.json('verifier', 'publish-policy', ...asVerifier(), '--id', 'hosts', '@policy.json')
  await cli.json(
    ...['issuer', 'publish-policy', ...onLog, '--key', '@issuer.jwk', '--id', 'workloads'],
    'docs/examples/issuance-policy.cedar',
  )
})
after(async () => {
  assert.equal(await stop(), 0)
  cli.remove()
})

describe('a TPM’s quote, by the commands', () => {
  it('is appraised, and a credential is issued for the key that it names, and for no other', async () => {
    const { exit, out, err } = await appraise('--result', '@result.ear')
    assert.equal(exit, 0, err)
    assert.equal(JSON.parse(out).tier, 'affirming')
    const issue = (key: string) =>
      cli.run(
        ...['issuer', 'issue', ...onLog, '--key', '@issuer.jwk', '--policy', 'workloads', '--json'],
        ...['--subject', `spiffe://${TD}/payments`, '--workload-key', key, '--result', '@result.ear'],
        ...['--sbom', '@sbom.json', '--kind', 'wit', '--out', '@wit'],
      )
    const other = await issue('@other.pub.jwk')
    assert.equal(other.exit, 1, other.err)
    const issued = await issue('@workload.pub.jwk')
    assert.equal(issued.exit, 0, issued.err)
  })

  const wrong: [what: string, code: string, words: readonly string[]][] = [
    ['another workload key', 'key_not_bound', ['--workload-key', '@other.pub.jwk']],
    ['another challenge', 'key_not_bound', ['--nonce', 'another!']],
    ['collateral that is none', 'malformed_collateral', ['--collateral', 'README.md']],
    ['a format that does not exist', 'unknown_evidence_format', ['--format', 'tpm3']],
    ['a format that it is not', 'unknown_policy', ['--format', 'sev-snp']],
  ]
  for (const [what, code, words] of wrong) {
    it(`is refused with ${what} (${code})`, async () => {
      const { exit, out, err } = await appraise(...words)
      assert.equal(exit, 1, out)
      assert.match(`${out}${err}`, new RegExp(code))
    })
  }

  it('is listed among the formats', async () => {
    const { out } = await cli.run('verifier', 'appraise', '--help')
    assert.match(out, /measured-files, aws-nitro, sev-snp, tdx, sgx, tpm2, psa, cca/)
  })
})
