/**
 * From a quote of a TPM to a credential, by the commands: the evidence names the workload's key, and so does all that follows from it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { signEar, spkiOfJwk } from '../../provenance/index.ts'
import { publicJwkOf } from '../../statement/index.ts'
import { TestCommand } from '../clients/test-io.ts'
import { ES256_JWK, OTHER_ES256_JWK } from '../statement/fixtures.ts'

const TD = 'bank.example'
const EVIDENCE = 'test/fixtures/tpm/quote-ecc.json'
const cli = new TestCommand()
const write = (name: string, value: unknown) => writeFileSync(cli.path(name), JSON.stringify(value))
let url = ''
let onLog: readonly string[] = []
let stop = async () => 0

const asVerifier = () => [...onLog, '--key', '@verifier.jwk']
const appraise = (more: Readonly<Record<string, string>> = {}) => {
  const flags = { format: 'tpm2', evidence: EVIDENCE, nonce: 'challenge', 'workload-key': '@workload.pub.jwk', ...more }
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  return cli.run('verifier', 'appraise', ...asVerifier(), ...words, '--json')
}

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
    const { exit, out, err } = await appraise({ result: '@result.ear' })
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

  it('goes with the result of another Verifier about the GPU beside it: one credential for one key, by the worse of the two', async () => {
    const gpu = (status: 'affirming' | 'contraindicated', executables: number) =>
      signEar(
        {
          issuedAt: Math.floor(Date.now() / 1000) - 5,
          verifier: { developer: 'https://verifier.example', build: '1' },
          appraisals: new Map([
            ['gpu0', { status, vector: { executables, hardware: 2 }, attestedKey: spkiOfJwk(publicJwkOf(ES256_JWK)) }],
          ]),
        },
        OTHER_ES256_JWK,
      )
    const theirs = publicJwkOf(OTHER_ES256_JWK)
    write('theirs.jwk', { ...theirs, kid: 'x', use: 'sig' })
    write('theirs-reference.json', { format: 'ear', attesters: [theirs] })
    write('theirs-policy.json', {
      format: 'ear',
      maxEvidenceAgeSeconds: 300,
      resultLifetimeSeconds: 3600,
      claims: { match: { executables: 2, hardware: 2 }, mismatch: { executables: 96 } },
    })
    await cli.json('verifier', 'publish-reference-values', ...asVerifier(), '--id', 'gpu', '@theirs-reference.json')
    await cli.json('verifier', 'publish-policy', ...asVerifier(), '--id', 'gpu', '@theirs-policy.json')
    // Of two things that were measured not both can be what one bill of materials is about.
    writeFileSync(
      cli.path('composite.cedar'),
      `permit (principal, action == Action::"issue", resource)
       when { context.attestation.tier == "affirming" && context.attestation.keyAttested && context.attestation.results == 2 };`,
    )
    await cli.json(
      ...['issuer', 'publish-policy', ...onLog, '--key', '@issuer.jwk', '--id', 'composite', '@composite.cedar'],
    )
    const vouch = async (result: string, out: string) => {
      writeFileSync(cli.path('gpu.jwt'), `${result}\n`)
      return cli.json(
        ...['verifier', 'appraise', ...asVerifier(), '--format', 'ear', '--evidence', '@gpu.jwt'],
        ...['--collateral', '@theirs.jwk', '--workload-key', '@workload.pub.jwk', '--result', out],
      )
    }
    const issue = (result: string) =>
      cli.run(
        ...['issuer', 'issue', ...onLog, '--key', '@issuer.jwk', '--policy', 'composite', '--json'],
        ...['--subject', `spiffe://${TD}/payments`, '--workload-key', '@workload.pub.jwk', '--kind', 'wit'],
        ...['--result', '@result.ear', '--result', result, '--sbom', '@sbom.json', '--out', '@composite'],
      )
    assert.equal((await vouch(await gpu('affirming', 2), '@gpu.ear'))['tier'], 'affirming')
    const issued = await issue('@gpu.ear')
    assert.equal(issued.exit, 0, issued.err)
    assert.equal((await vouch(await gpu('contraindicated', 96), '@bad.ear'))['tier'], 'contraindicated')
    assert.equal((await issue('@bad.ear')).exit, 1)
  })

  const wrong: [what: string, code: string, flags: Readonly<Record<string, string>>][] = [
    ['another workload key', 'key_not_bound', { 'workload-key': '@other.pub.jwk' }],
    ['another challenge', 'key_not_bound', { nonce: 'another!' }],
    ['collateral that is none', 'malformed_collateral', { collateral: 'README.md' }],
    ['a format that does not exist', 'unknown_evidence_format', { format: 'tpm3' }],
    ['a format that it is not', 'unknown_policy', { format: 'sev-snp' }],
  ]
  for (const [what, code, flags] of wrong) {
    it(`is refused with ${what} (${code})`, async () => {
      const { exit, out, err } = await appraise(flags)
      assert.equal(exit, 1, out)
      assert.match(`${out}${err}`, new RegExp(code))
    })
  }

  it('is listed among the formats', async () => {
    const { out } = await cli.run('verifier', 'appraise', '--help')
    assert.match(out, /measured-files, aws-nitro, sev-snp, tdx, sgx, tpm2, psa, cca/)
  })
})
