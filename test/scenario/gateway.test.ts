/**
 * By the commands themselves: a credential that names the log, a workload that moves, a gateway with its chain, a denial, a withdrawal; and
 * what a relying party and an auditor say after each.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { line } from '../../scripts/line.ts'
import { TestCommand } from '../clients/test-io.ts'

const TD = 'bank.example'
const cli = new TestCommand()

let at: readonly string[] = []
let admin: readonly string[] = []
let url = ''
let stop = async () => 0
const as = (who: string) => [...at, '--key', `@${who}.jwk`]

/** The codes of the checks that failed, and the report. */
async function verify(...words: readonly string[]) {
  const { exit, out } = await cli.run('verify', ...words, '--trust', '@TRUST.json', '--json')
  const report = JSON.parse(out) as {
    ok: boolean
    mode?: string
    checks: { id: string; code?: string; detail: string }[]
  }
  assert.equal(exit, report.ok ? 0 : 1)
  return { ...report, codes: report.checks.flatMap(({ id, code }) => (code === undefined ? [] : [`${id}: ${code}`])) }
}

before(async () => {
  for (const who of ['issuer', 'verifier', 'attester', 'workload', 'gateway', 'outbound', 'signing'])
    await cli.json('keygen', '--alg', 'ES256', '--out', `@${who}.jwk`)
  await cli.json(...line`keygen --alg X25519 --out @auditor.jwk`)
  const created = await cli.json(...line`log init --data @log --origin log.bank.example/test`)
  const serving = await cli.start(...line`log serve --data @log --listen 127.0.0.1:0`)
  stop = serving.stop
  url = String(serving.first['url'])
  at = ['--log', url, '--vkey', String(serving.first['vkey'])]
  admin = [...at, '--admin-key', String(created['adminKey'])]
  for (const [role, who] of line`issuer:issuer verifier:verifier issuer:gateway gateway:gateway`.map((pair) =>
    pair.split(':'),
  )) {
    const key = ['--id', `spiffe://${TD}/${who}`, '--key', `@${who}.pub.jwk`]
    await cli.json('log', 'authorize', ...admin, '--trust-domain', TD, '--role', role!, ...key)
  }
  mkdirSync(cli.path('app'))
  writeFileSync(cli.path('app/server.js'), 'console.log("payments")\n')
  writeFileSync(cli.path('egress.cedar'), '@id("egress") permit (principal, action, resource);\n')
  const sbom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    components: [{ type: 'library', name: 'a', purl: 'pkg:npm/a@1' }],
  }
  writeFileSync(cli.path('sbom.json'), JSON.stringify(sbom))
  await cli.json(...line`attester reference --key @attester.pub.jwk --name payments --dir @app --out @reference.json`)
  await cli.json('verifier', 'publish-reference-values', ...as('verifier'), '--id', 'provlog-server', '@reference.json')
  await cli.json(...line`verifier publish-policy ${as('verifier')} --id files docs/examples/appraisal-policy.json`)
  await cli.json(...line`issuer publish-policy ${as('issuer')} --id workloads docs/examples/issuance-policy.cedar`)
  await cli.json('issuer', 'publish-policy', ...as('gateway'), '--id', 'egress', '@egress.cedar')
  for (const who of ['issuer', 'gateway'])
    await cli.json('issuer', 'anchor', '--key', `@${who}.jwk`, '--trust-domain', TD, '--out', `@${who}-domain`)
  const keysOf = (who: string) => JSON.parse(readFileSync(cli.path(`${who}-domain/spiffe-bundle.json`), 'utf8')).keys
  writeFileSync(cli.path('domain.json'), JSON.stringify({ keys: [...keysOf('issuer'), ...keysOf('gateway')] }))
  const trusted = ['--domain', `${TD}=@domain.json`, '--verifier', `spiffe://${TD}/verifier`, '--minimum-tier', 'none']
  const issuers = ['issuer', 'gateway'].flatMap((who) => ['--issuer', `spiffe://${TD}/${who}`])
  await cli.json('trust', ...at, ...trusted, ...issuers, '--out', '@TRUST.json')
})
after(async () => {
  await stop()
  cli.remove()
})

async function attest(): Promise<void> {
  await cli.json(
    ...line`attester measure --key @attester.jwk --workload-key @workload.pub.jwk --dir @app --out @evidence`,
  )
  const files = line`--format measured-files --evidence @evidence --result @result.ear --recipient @auditor.pub.jwk`
  await cli.json('verifier', 'appraise', ...as('verifier'), ...files)
}
const issue = (...more: readonly string[]) =>
  cli.run(
    ...line`issuer issue ${as('issuer')} --policy workloads --subject spiffe://${TD}/payments
      --workload-key @workload.pub.jwk --result @result.ear --sbom @sbom.json --recipient @auditor.pub.jwk
      ${more} --json`,
  )

describe('the commands about what becomes of credentials', () => {
  it('issue one that names the log, and keep it when the workload moves', async () => {
    await attest()
    assert.equal((await issue('--embed', '--confidential', '--out', '@inside')).exit, 0)
    const inside = ['@inside/credential.jwt', '--bundle', '@inside/bundle.provlog']
    const report = await verify(...inside)
    assert.deepEqual([report.ok, report.mode, report.codes], [true, 'offline', []])
    assert.match(report.checks.find(({ id }) => id === 'binding')!.detail, /^announced by entry/)
    await attest()
    await cli.json('issuer', 'migrate', '@inside/credential.jwt', ...as('issuer'), '--result', '@result.ear')
    const online = await verify(...inside, '--log', url)
    assert.deepEqual([online.ok, online.mode], [true, 'run-time'])
    assert.match(online.checks.find(({ id }) => id === 'status-current')!.detail, /^migrated since/)
  })

  it('issue one that says whom it is for, and show whoever has the key what was sealed', async () => {
    const said = ['--audience', 'partner.example', '--attribute', 'environment=production', '--attribute', 'note=a=b']
    const agent = { measurement: '05'.repeat(32) }
    const attested = { measuredScope: 'the image', agent, platformBinding: { freshness: 'AF_L2', tcb: 'TCB_L4' } }
    writeFileSync(cli.path('attested.json'), JSON.stringify(attested))
    writeFileSync(cli.path('scope.json'), '{"measuredScope":"the image"}')
    writeFileSync(cli.path('misspelt.json'), '{"platformBinding":{"tcp":"TCB_L4"}}')
    said.push('--delivery', 'agent', '--attested', '@attested.json')
    assert.equal((await issue(...said, '--usage', 'outbound', '--pop', 'wpt', '--out', '@outward')).exit, 0)
    const files = ['@outward/credential.jwt', '--bundle', '@outward/bundle.provlog']
    const { out } = await cli.run('verify', ...files, '--trust', '@TRUST.json', '--open', '@auditor.jwk', '--json')
    const { ok, opened, checks } = JSON.parse(out)
    assert.equal(ok, true)
    assert.deepEqual(opened.credential.audiences, ['partner.example'])
    assert.deepEqual(opened.credential.attributes, { environment: 'production', note: 'a=b' })
    assert.match(opened.decision.contextDigest, /^[0-9a-f]{64}$/)
    assert.match(opened.decision.context, /"audience":\["partner.example"\]/)
    assert.match(checks.find(({ id }: { id: string }) => id === 'proof-way').detail, /demands wpt/)
    for (const wrong of [
      ['--attribute', '=x'],
      ['--usage', 'sideways'],
      ['--unattested', 'no-attester'],
      ['--delivery', 'agent'],
      ['--delivery', 'agent', '--attested', '@scope.json'],
      ['--attested', '@misspelt.json'],
      ['--unattested-detail', 'no TPM here'],
      ['--pop', 'none'],
    ]) {
      assert.equal((await issue(...wrong, '--out', '@wrong')).exit, 2)
    }
    assert.equal((await issue('--audience', 'not a domain', '--out', '@wrong')).exit, 1)
  })

  it('generalize it, and verify the chain: by the word of the gateway, or opened', async () => {
    const general = [
      '--policy',
      'egress',
      '--subject',
      `spiffe://${TD}/partners`,
      '--workload-key',
      '@outbound.pub.jwk',
    ]
    const inside = ['@inside/credential.jwt', '--bundle', '@inside/bundle.provlog', '--trust', '@TRUST.json']
    const out = line`--unattested gateway --recipient @auditor.pub.jwk --rule partners --out @outside`
    await cli.json('issuer', 'generalize', ...inside, ...as('gateway'), ...general, ...out)
    const outside = ['@outside/credential.jwt', '--bundle', '@outside/bundle.provlog']
    const original = line`--original @inside/credential.jwt --original-bundle @inside/bundle.provlog`
    assert.equal((await verify(...outside)).ok, true)
    for (const open of [[], ['--open', '@auditor.jwk']]) {
      const chain = await verify(...outside, ...original, ...open)
      assert.deepEqual([chain.ok, chain.codes], [true, []])
    }
    const twice = line`--original @outside/credential.jwt --original-bundle @outside/bundle.provlog`
    assert.deepEqual((await verify(...outside, ...twice, '--open', '@auditor.jwk')).codes, ['original: chain_broken'])
    const { exit } = await cli.run(...line`verify ${outside} --original @inside/credential.jwt --trust @TRUST.json`)
    assert.equal(exit, 2)
  })

  it('log a denial, withdraw reference values, and issue nothing on them any more', async () => {
    const asked = [
      '--subject',
      `spiffe://${TD}/payments`,
      '--workload-key',
      '@workload.pub.jwk',
      '--detail',
      'too often',
    ]
    await cli.json('issuer', 'deny', ...as('issuer'), '--reason', 'rate_limited', ...asked)
    assert.equal(
      (await cli.run('issuer', 'deny', ...as('issuer'), '--reason', 'x', '--subject', 'spiffe://a/b')).exit,
      2,
    )
    const published = await cli.json(
      ...line`verifier publish-reference-values ${as('verifier')} --id provlog-server @reference.json`,
    )
    const entry = String(published['entry'])
    const { exit, err } = await cli.run('issuer', 'retract', entry, ...as('issuer'))
    assert.equal(exit, 1, err)
    // In a later second than the credential was issued in.
    cli.skew += 5
    await cli.json('verifier', 'retract', entry, ...as('verifier'), '--reason', 'cve')
    assert.equal((await issue('--out', '@never')).exit, 1)
    const inside = ['@inside/credential.jwt', '--bundle', '@inside/bundle.provlog']
    const told = await verify(...inside, '--log', url)
    assert.equal(told.ok, true)
    assert.match(
      told.checks.find(({ id }) => id === 'status-current')!.detail,
      /withdrawn since: reference-values provlog-server .*: cve/,
    )
    await cli.json('verifier', 'retract', entry, ...as('verifier'), '--from', '2020-01-01T00:00:00Z')
    assert.deepEqual((await verify(...inside, '--log', url)).codes, ['status-current: grounds_retracted'])
  })

  it('withdraw a key by the admin, who may withdraw nothing else', async () => {
    const policy = await cli.json(
      ...line`verifier publish-policy ${as('verifier')} --id files docs/examples/appraisal-policy.json`,
    )
    assert.equal((await cli.run('log', 'retract', String(policy['entry']), ...admin)).exit, 1)
    const given = [
      '--trust-domain',
      TD,
      '--role',
      'vendor',
      '--id',
      `spiffe://${TD}/vendor`,
      '--key',
      '@signing.pub.jwk',
    ]
    const vendor = await cli.json('log', 'authorize', ...admin, ...given)
    await cli.json('log', 'retract', String(vendor['entry']), ...admin, '--reason', 'keyCompromise')
  })

  it('leave a log that an auditor has nothing to say against', async () => {
    const { exit, out, err } = await cli.run(
      ...line`audit run --log ${url} --trust @TRUST.json --state @audit --key @auditor.jwk --json`,
    )
    assert.equal(exit, 0, `${out}\n${err}`)
  })
})
