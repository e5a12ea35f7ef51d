/**
 * By the commands themselves, on a log that asks who calls: each party does its part with the rights that are meant for it, by a WIT and
 * its key, and nobody else's; and the audit lines say who it was.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { signCompactJws } from '../../provenance/index.ts'
import { line } from '../../scripts/line.ts'
import { kidOf, parsePrivateJwk, publicJwkOf } from '../../statement/index.ts'
import { TestCommand } from '../clients/test-io.ts'
import { readLines, type WrittenLine } from '../log-server/access/guarded-log.ts'

const TD = 'bank.example'
const NAME = 'urn:example:log'
const cli = new TestCommand()
let log: readonly string[] = []
let stop = async () => 0
const privateKey = (name: string) => parsePrivateJwk(JSON.parse(readFileSync(cli.path(`${name}.jwk`), 'utf8')))

/** What proves that somebody of the trust domain calls. */
const by = (who: string) => ['--wit', `@${who}.wit`, '--wit-key', `@${who}-door.jwk`, '--wit-audience', NAME]
/** The flags of somebody who signs and calls. */
const as = (who: string) => [...log, '--key', `@${who}.jwk`, ...by(who)]

const RIGHTS = {
  issuer: ['append:issuer', 'read'],
  verifier: ['append:verifier', 'read'],
  auditor: ['audit'],
  till: ['read:general'],
}

before(async () => {
  for (const key of ['authority', 'issuer', 'verifier', 'attester', 'workload', 'signing'])
    await cli.json('keygen', '--alg', 'ES256', '--out', `@${key}.jwk`)
  await cli.json('keygen', '--alg', 'X25519', '--out', '@auditor.jwk')
  const authority = privateKey('authority')
  const kid = kidOf(publicJwkOf(authority))
  for (const who of [...Object.keys(RIGHTS), 'stranger']) {
    await cli.json('keygen', '--alg', 'ES256', '--out', `@${who}-door.jwk`)
    const jwk = { ...publicJwkOf(privateKey(`${who}-door`)), alg: 'ES256' }
    const claims = { sub: `spiffe://${TD}/${who}`, exp: Math.floor(Date.now() / 1000) + 3600, cnf: { jwk } }
    const wit = await signCompactJws({ typ: 'wit+jwt', kid }, JSON.stringify(claims), authority)
    writeFileSync(cli.path(`${who}.wit`), wit)
  }

  const created = await cli.json('log', 'init', '--data', '@log', '--origin', 'log.bank.example/door')
  const anchors = { keys: [{ ...publicJwkOf(authority), use: 'wit-svid', kid, alg: 'ES256' }] }
  writeFileSync(cli.path('log/bank.json'), JSON.stringify(anchors))
  const config = JSON.parse(readFileSync(cli.path('log/config.json'), 'utf8')) as object
  const access = {
    trustDomains: { [TD]: { bundle: 'bank.json' } },
    audience: [NAME],
    rules: Object.entries(RIGHTS).map(([who, may]) => ({ who: [`spiffe://${TD}/${who}`], may })),
    admin: { listen: { host: '127.0.0.1', port: 0 } },
    audit: { file: 'audit.jsonl' },
  }
  writeFileSync(cli.path('log/config.json'), JSON.stringify({ ...config, server: { access } }))
  const serving = await cli.start('log', 'serve', '--data', '@log', '--listen', '127.0.0.1:0')
  stop = serving.stop
  const vkey = ['--vkey', String(serving.first['vkey'])]
  log = ['--log', String(serving.first['url']), ...vkey]
  const admin = ['--log', String(serving.first['adminUrl']), ...vkey, '--admin-key', String(created['adminKey'])]
  for (const [role, ...more] of [
    ['issuer', '--key', '@issuer.pub.jwk'],
    ['verifier', '--key', '@verifier.pub.jwk'],
    ['auditor', '--key', '@signing.pub.jwk', '--encryption-key', '@auditor.pub.jwk'],
  ] as const) {
    const party = ['--role', role, '--trust-domain', TD, '--id', `spiffe://${TD}/${role}`, ...more]
    await cli.json('log', 'authorize', ...admin, ...party)
  }
  mkdirSync(cli.path('app'))
  writeFileSync(cli.path('app/server.js'), 'console.log("payments")\n')
  const sbom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    components: [{ type: 'library', name: 'a', purl: 'pkg:npm/a@1' }],
  }
  writeFileSync(cli.path('sbom.json'), JSON.stringify(sbom))
  await cli.json(...line`attester reference --key @attester.pub.jwk --name payments --dir @app --out @reference.json`)
})
after(async () => {
  await stop()
  cli.remove()
})

const lines = () => readLines(readFileSync(cli.path('log/audit.jsonl'), 'utf8'))

describe('a log that asks who calls', () => {
  it('serves a credential’s whole story to those whose part it is', async () => {
    const policies = ['docs/examples/appraisal-policy.json', 'docs/examples/issuance-policy.cedar'] as const
    await cli.json(...line`verifier publish-reference-values ${as('verifier')} --id provlog-server @reference.json`)
    await cli.json('verifier', 'publish-policy', ...as('verifier'), '--id', 'files', policies[0])
    await cli.json('issuer', 'publish-policy', ...as('issuer'), '--id', 'workloads', policies[1])
    await cli.json(
      ...line`attester measure --key @attester.jwk --workload-key @workload.pub.jwk --dir @app --out @evidence`,
    )
    const evidence = ['--format', 'measured-files', '--evidence', '@evidence', '--recipient', '@auditor.pub.jwk']
    await cli.json('verifier', 'appraise', ...as('verifier'), ...evidence, '--result', '@result.ear')
    await cli.json('issuer', 'anchor', '--key', '@issuer.jwk', '--trust-domain', TD, '--out', '@domain')
    const credential = [
      '--subject',
      `spiffe://${TD}/payments`,
      '--workload-key',
      '@workload.pub.jwk',
      '--result',
      '@result.ear',
    ]
    const more = ['--sbom', '@sbom.json', '--recipient', '@auditor.pub.jwk', '--out', '@out']
    await cli.json('issuer', 'issue', ...as('issuer'), '--policy', 'workloads', ...credential, ...more)

    const parties = [
      '--issuer',
      `spiffe://${TD}/issuer`,
      '--verifier',
      `spiffe://${TD}/verifier`,
      '--minimum-tier',
      'none',
    ]
    await cli.json('trust', ...log, '--domain', `${TD}=@domain/spiffe-bundle.json`, ...parties, '--out', '@TRUST.json')
    // Of its own trust domain, whoever reads the general view is shown it.
    const shown = ['--bundle', '@out/bundle.provlog', '--trust', '@TRUST.json', ...log.slice(0, 2), ...by('till')]
    const { exit, out, err } = await cli.run('verify', '@out/credential.jwt', ...shown, '--json')
    assert.equal(exit, 0, out + err)

    const audit = await cli.run(
      ...line`audit run ${log.slice(0, 2)} --trust @TRUST.json --state @state --key @auditor.jwk ${by('auditor')}
        --json`,
    )
    assert.equal(audit.exit, 0, audit.out + audit.err)
    const { opened, findings } = JSON.parse(audit.out) as { opened: number; findings: readonly unknown[] }
    assert.deepEqual(findings, [])
    // What was wrapped for it, it was shown.
    assert.equal(opened, 3)
  })

  const refused: readonly (readonly [what: string, ...words: string[]])[] = [
    [
      'an issuer’s policy by a Verifier’s hand',
      'issuer publish-policy --id x docs/examples/issuance-policy.cedar',
      'verifier',
      'issuer',
    ],
    [
      'an issuer’s policy by an auditor’s',
      'issuer publish-policy --id x docs/examples/issuance-policy.cedar',
      'auditor',
      'issuer',
    ],
    ['a replay by the issuer', 'audit run --trust @TRUST.json --state @other', 'issuer', ''],
    [
      'anything by a stranger',
      'issuer publish-policy --id x docs/examples/issuance-policy.cedar',
      'stranger',
      'issuer',
    ],
  ]
  for (const [what, words = '', who = '', key = ''] of refused) {
    it(`refuses ${what} (access_denied)`, async () => {
      const signing = key === '' ? [] : ['--key', `@${key}.jwk`]
      const { exit, err } = await cli.run(
        ...line`${words.split(' ')} ${key === '' ? log.slice(0, 2) : log} ${signing} ${by(who)}`,
      )
      assert.equal(exit, 1, err)
      assert.match(err, /access_denied/)
      let denied: WrittenLine | undefined
      // Of a refusal nobody waits for the line.
      for (let turn = 0; turn < 1000 && denied?.who !== `spiffe://${TD}/${who}`; turn++) {
        await new Promise(setImmediate)
        denied = lines().findLast(({ code }) => code === 'access_denied')
      }
      assert.equal(denied?.who, `spiffe://${TD}/${who}`)
    })
  }

  it('has written down who appended each entry, and no token', () => {
    const appended = lines().filter(({ index, indexes }) => index !== undefined || indexes !== undefined)
    assert.ok(appended.length >= 8)
    for (const { who, listener, operation } of appended) {
      if (listener === 'admin') assert.equal(who, null)
      else assert.ok(who === `spiffe://${TD}/issuer` || who === `spiffe://${TD}/verifier`, operation ?? '')
    }
    const text = readFileSync(cli.path('log/audit.jsonl'), 'utf8')
    assert.doesNotMatch(text, /eyJ/)
    for (const who of Object.keys(RIGHTS)) {
      const [, payload = ''] = readFileSync(cli.path(`${who}.wit`), 'utf8').split('.')
      assert.ok(!text.includes(payload))
    }
  })
})
