/**
 * The five-minute path of the README, by the commands themselves, against a log that they started.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { line } from '../../scripts/line.ts'
import { TestCommand } from '../clients/test-io.ts'

const TD = 'bank.example'
const WORKLOAD = `spiffe://${TD}/payments`
const cli = new TestCommand()
let log = ''
let vkey = ''
let stop = async () => 0

/** A copy of a file with one byte changed. */
function changeByte(name: string, at: number): string {
  const bytes = readFileSync(cli.path(name))
  const position = at < 0 ? bytes.length + at : at
  bytes.writeUInt8((bytes[position] ?? 0) ^ 0x01, position)
  writeFileSync(cli.path('changed'), bytes)
  return '@changed'
}

before(async () => {
  for (const name of ['issuer', 'verifier', 'attester', 'workload']) {
    await cli.json('keygen', '--alg', 'ES256', '--out', `@${name}.jwk`)
  }
  await cli.json('keygen', '--alg', 'X25519', '--out', '@auditor.jwk')
  await cli.json('keygen', '--alg', 'Ed25519', '--out', '@auditor-signing.jwk')

  const created = await cli.json('log', 'init', '--data', '@log', '--origin', 'log.bank.example/test')
  const serving = await cli.start('log', 'serve', '--data', '@log', '--listen', '127.0.0.1:0')
  log = String(serving.first['url'])
  vkey = String(serving.first['vkey'])
  stop = serving.stop
  assert.equal(vkey, created['vkey'])

  const admin = ['--log', log, '--admin-key', String(created['adminKey']), '--trust-domain', TD]
  await cli.json(...line`log authorize ${admin} --role issuer --id spiffe://${TD}/issuer --key @issuer.pub.jwk`)
  await cli.json(...line`log authorize ${admin} --role verifier --id spiffe://${TD}/verifier --key @verifier.pub.jwk`)
  await cli.json(
    ...line`log authorize ${admin} --role auditor --id spiffe://${TD}/auditor --key @auditor-signing.pub.jwk
      --encryption-key @auditor.pub.jwk`,
  )

  mkdirSync(cli.path('app'))
  writeFileSync(cli.path('app/server.js'), 'console.log("payments")\n')
  const sbom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    components: [{ type: 'library', name: 'fastify', version: '5.0.0', purl: 'pkg:npm/fastify@5.0.0' }],
  }
  writeFileSync(cli.path('sbom.json'), JSON.stringify(sbom))

  const verifier = ['--log', log, '--vkey', vkey, '--key', '@verifier.jwk']
  await cli.json(...line`attester reference --key @attester.pub.jwk --name payments --dir @app --out @reference.json`)
  await cli.json('verifier', 'publish-reference-values', ...verifier, '--id', 'provlog-server', '@reference.json')
  await cli.json(...line`verifier publish-policy ${verifier} --id measured-files docs/examples/appraisal-policy.json`)
  await cli.json(
    ...line`issuer publish-policy --log ${log} --vkey ${vkey} --key @issuer.jwk --id workloads
      docs/examples/issuance-policy.cedar`,
  )
  await cli.json(
    ...line`attester measure --key @attester.jwk --workload-key @workload.pub.jwk --dir @app --out @evidence.jwt`,
  )
  await cli.json(
    ...line`verifier appraise ${verifier} --format measured-files --evidence @evidence.jwt --result @result.ear
      --recipient @auditor.pub.jwk`,
  )
})
after(async () => {
  assert.equal(await stop(), 0)
  const { exit, out } = await cli.run('log', 'fsck', '--data', '@log')
  assert.equal(exit, 0, out)
  cli.remove()
})

const issue = (kind: string, out: string, ...more: readonly string[]) =>
  cli.json(
    ...line`issuer issue --log ${log} --vkey ${vkey} --key @issuer.jwk --policy workloads --subject ${WORKLOAD}
      --workload-key @workload.pub.jwk --result @result.ear --sbom @sbom.json --kind ${kind}
      --recipient @auditor.pub.jwk --out ${out} ${more}`,
  )

const verify = (credential: string, bundle: string, ...more: readonly string[]) =>
  cli.run('verify', credential, '--bundle', bundle, '--trust', '@TRUST.json', '--json', ...more)

describe('the commands, by hand', () => {
  before(async () => {
    await cli.json('issuer', 'anchor', '--key', '@issuer.jwk', '--trust-domain', TD, '--out', '@domain')
    await issue('wit', '@wit')
    await issue('wic', '@wic', '--anchor', '@domain/anchor.pem')
    await cli.json(
      ...line`trust --log ${log} --vkey ${vkey} --domain ${TD}=@domain/spiffe-bundle.json
        --issuer spiffe://${TD}/issuer --verifier spiffe://${TD}/verifier --out @TRUST.json`,
    )
  })

  it('keep private files private', () => {
    for (const file of ['issuer.jwk', 'wit/credential.jwt', 'log/admin.jwk']) {
      assert.equal(statSync(cli.path(file)).mode & 0o077, 0, file)
    }
  })

  for (const [kind, credential] of [
    ['wit', '@wit/credential.jwt'],
    ['wic', '@wic/credential.pem'],
  ] as const) {
    it(`verify a ${kind} offline`, async () => {
      const { exit, out } = await verify(credential, `@${kind}/bundle.provlog`)
      assert.equal(exit, 0, out)
    })

    it(`verify a ${kind} against the log, with the auditor’s key`, async () => {
      const { exit, out } = await verify(credential, `@${kind}/bundle.provlog`, '--log', log, '--open', '@auditor.jwk')
      assert.equal(exit, 0, out)
    })

    it(`refuse a ${kind} with one byte changed`, async () => {
      const { exit, out } = await verify(changeByte(credential.slice(1), -40), `@${kind}/bundle.provlog`)
      assert.equal(exit, 1, out)
      assert.match(out, /"outcome":"failed","code":"[a-z_]+"|"code":"[a-z_]+"/)
    })

    it(`refuse the bundle of a ${kind} with one byte changed, wherever it is`, async () => {
      const { length } = readFileSync(cli.path(`${kind}/bundle.provlog`))
      for (let i = 0; i < 24; i++) {
        const at = Math.floor((i * length) / 24)
        const { exit } = await verify(credential, changeByte(`${kind}/bundle.provlog`, at))
        assert.equal(exit, 1, `byte ${at} of ${length}`)
      }
    })
  }

  it('refuse a trust file that pins another log key', async () => {
    const text = readFileSync(cli.path('TRUST.json'), 'utf8')
    writeFileSync(
      cli.path('other.json'),
      text.replace(/"vkey": "([^"]+)"/, (all) => all.replace(/.(?="$)/, (char) => (char === 'A' ? 'B' : 'A'))),
    )
    const { exit, out } = await cli.run(
      ...line`verify @wit/credential.jwt --bundle @wit/bundle.provlog --trust @other.json --json`,
    )
    assert.equal(exit, 1, out)
  })

  it('make a certificate that openssl reads and accepts under its anchor', (t) => {
    if (spawnSync('openssl', ['version']).status !== 0) return t.skip('SKIPPED: no openssl on this machine')
    const text = spawnSync('openssl', ['x509', '-noout', '-text', '-in', cli.path('wic/credential.pem')], {
      encoding: 'utf8',
    })
    assert.match(text.stdout, /URI:spiffe:\/\/bank\.example\/payments/)
    const verdict = spawnSync(
      'openssl',
      ['verify', '-x509_strict', '-CAfile', cli.path('domain/anchor.pem'), cli.path('wic/credential.pem')],
      { encoding: 'utf8' },
    )
    assert.equal(verdict.status, 0, verdict.stderr)
  })

  it('revoke a credential, which only a look at the log shows', async () => {
    const { digest } = await issue('wit', '@revoked')
    await cli.json(
      ...line`issuer status --log ${log} --vkey ${vkey} --key @issuer.jwk ${String(digest)} --status revoked`,
    )
    assert.equal((await verify('@revoked/credential.jwt', '@revoked/bundle.provlog')).exit, 0)
    const online = await verify('@revoked/credential.jwt', '@revoked/bundle.provlog', '--log', log)
    assert.equal(online.exit, 1)
    assert.match(online.out, /credential_revoked/)
  })

  it('deny a workload whose files are not those of the reference values', async () => {
    mkdirSync(cli.path('evil'), { recursive: true })
    writeFileSync(cli.path('evil/server.js'), 'console.log("stolen")\n')
    await cli.json(
      ...line`attester measure --key @attester.jwk --workload-key @workload.pub.jwk --dir @evil --out @evil.jwt`,
    )
    const result = await cli.json(
      ...line`verifier appraise --log ${log} --vkey ${vkey} --key @verifier.jwk --format measured-files
        --evidence @evil.jwt --result @evil.ear`,
    )
    assert.notEqual(result['tier'], 'affirming')
    const { exit, out } = await cli.run(
      ...line`issuer issue --log ${log} --vkey ${vkey} --key @issuer.jwk --policy workloads --subject ${WORKLOAD}
        --workload-key @workload.pub.jwk --result @evil.ear --sbom @sbom.json --out @none --json`,
    )
    assert.equal(exit, 1)
    assert.match(out, /issuance_denied/)
  })

  it('audit the whole log with the auditor’s key and find nothing', async () => {
    const report = await cli.json(...line`audit run --log ${log} --trust @TRUST.json --state @audit --key @auditor.jwk`)
    assert.deepEqual(report['findings'], [])
    assert.ok(Number(report['opened']) > 0)
  })

  it('check a serving log through its tiles', async () => {
    const { exit, out } = await cli.run('log', 'fsck', '--log', log, '--vkey', vkey)
    assert.equal(exit, 0, out)
  })

  it('tell usage errors with exit code 2 and the usage line', async () => {
    const wrong = await cli.run('keygen', '--alg', 'RSA', '--out', '@x.jwk')
    assert.equal(wrong.exit, 2)
    assert.match(wrong.err, /usage: provlog keygen/)
    assert.equal((await cli.run('nonsense')).exit, 2)
    assert.equal((await cli.run('verify', '@missing', '--bundle', '@x', '--trust', '@TRUST.json')).exit, 2)
  })

  it('tell a log that does not answer with exit code 3, and one that has no such entry with 4', async () => {
    const nobody = await cli.run('proof', '--log', 'http://127.0.0.1:9', '--vkey', vkey, '0'.repeat(64))
    assert.equal(nobody.exit, 3, nobody.err)
    const nothing = await cli.run('proof', '--log', log, '--vkey', vkey, '0'.repeat(64))
    assert.equal(nothing.exit, 4, nothing.err)
  })
})

describe('the keys of a log are changed while it serves', () => {
  let next = ''
  const pinning = async (out: string, ...vkeys: readonly string[]) => {
    const words = vkeys.flatMap((each) => ['--vkey', each])
    const domain = ['--domain', `${TD}=@domain/spiffe-bundle.json`]
    const parties = ['--issuer', `spiffe://${TD}/issuer`, '--verifier', `spiffe://${TD}/verifier`]
    await cli.json('trust', '--log', log, ...words, ...domain, ...parties, '--out', out)
  }
  /** What the command made of it: exit code, and the code of the first failure where there is one. */
  const judged = async (trust: string, bundle: string, ...more: readonly string[]) => {
    const words = ['verify', '@wit/credential.jwt', '--bundle', bundle, '--trust', trust, '--json', ...more]
    const { exit, out } = await cli.run(...words)
    const report = JSON.parse(out) as { code?: string; checks?: { outcome: string; code?: string }[] }
    return [exit, report.code ?? report.checks?.find(({ outcome }) => outcome === 'failed')?.code]
  }
  const rotate = (step: string, ...more: readonly string[]) =>
    cli.json('log', 'rotate', '--data', '@log', '--log', log, '--admin-key', '@log/admin.jwk', step, ...more)
  const fetchBundle = async (out: string) => {
    const digest = createHash('sha256')
      .update(readFileSync(cli.path('wit/credential.jwt'), 'utf8').trim())
      .digest('hex')
    const answer = await fetch(`${log}/v1/provenance/${digest}`)
    assert.equal(answer.status, 200)
    writeFileSync(cli.path(out), new Uint8Array(await answer.arrayBuffer()))
  }
  const bundles = { before: '@wit/bundle.provlog', during: '@during.provlog', after: '@after.provlog' }

  it('begun: an idle log shows both signatures at once, to whoever pins either key', async () => {
    assert.equal(
      (await cli.run('log', 'rotate', '--data', '@log', '--log', log, '--admin-key', '@log/admin.jwk')).exit,
      2,
    )
    const begun = await rotate('--begin')
    next = String((begun['vkeys'] as string[])[0])
    assert.notEqual(next, vkey)
    assert.deepEqual(begun['vkeys'], [next, vkey])
    assert.deepEqual(begun['signedBy'], [next, vkey])
    const note = await (await fetch(`${log}/checkpoint`)).text()
    assert.equal(note.split('\n\n')[1]?.trim().split('\n').length, 2)

    await fetchBundle('during.provlog')
    await pinning('@old.json', vkey)
    await pinning('@both.json', vkey, next)
    await pinning('@new.json', next)
    for (const trust of ['@old.json', '@both.json', '@new.json']) {
      assert.deepEqual(await judged(trust, bundles.during, '--log', log), [0, undefined], trust)
    }
    assert.deepEqual(await judged('@new.json', bundles.before), [1, 'unknown_signer'])
    assert.deepEqual(await judged('@both.json', bundles.before, '--log', log), [0, undefined])
  })

  it('is not begun twice', async () => {
    const again = [
      'log',
      'rotate',
      '--data',
      '@log',
      '--log',
      log,
      '--admin-key',
      '@log/admin.jwk',
      '--begin',
      '--json',
    ]
    const { exit, out } = await cli.run(...again)
    assert.equal(exit, 1)
    assert.equal(JSON.parse(out)['code'], 'rotation_under_way')
  })

  it('lets an audit that pins both go on from before', async () => {
    const audit = ['audit', 'run', '--log', log, '--state', '@audit-rotation', '--trust']
    assert.deepEqual((await cli.json(...audit, '@old.json'))['findings'], [])
    assert.deepEqual((await cli.json(...audit, '@both.json'))['findings'], [])
  })

  it('finished: the new key signs alone, and old bundles stay good for whoever still pins the old one', async () => {
    const finished = await rotate('--finish')
    assert.deepEqual(finished['vkeys'], [next])
    assert.deepEqual(finished['signedBy'], [next])
    assert.equal(
      (await cli.run('log', 'rotate', '--data', '@log', '--log', log, '--admin-key', '@log/admin.jwk', '--finish'))
        .exit,
      1,
    )

    await fetchBundle('after.provlog')
    const expected: readonly (readonly [string, string, readonly (number | string | undefined)[]])[] = [
      ['@old.json', bundles.before, [0, undefined]],
      ['@old.json', bundles.during, [0, undefined]],
      ['@old.json', bundles.after, [1, 'unknown_signer']],
      ['@both.json', bundles.before, [0, undefined]],
      ['@both.json', bundles.during, [0, undefined]],
      ['@both.json', bundles.after, [0, undefined]],
      ['@new.json', bundles.before, [1, 'unknown_signer']],
      ['@new.json', bundles.during, [0, undefined]],
      ['@new.json', bundles.after, [0, undefined]],
    ]
    for (const [trust, bundle, outcome] of expected) {
      assert.deepEqual(await judged(trust, bundle), outcome, `${trust} ${bundle}`)
    }
    // Asked for its present checkpoint, the log has none by the old key.
    assert.deepEqual(await judged('@old.json', bundles.before, '--log', log), [1, 'unknown_signer'])
    assert.deepEqual(await judged('@both.json', bundles.before, '--log', log), [0, undefined])
    assert.deepEqual(await judged('@new.json', bundles.during, '--log', log), [0, undefined])
  })

  it('leaves everything working for those who know the new key, or believe the log about it', async () => {
    const audit = ['audit', 'run', '--log', log, '--state', '@audit-rotation', '--trust']
    assert.deepEqual((await cli.json(...audit, '@new.json'))['findings'], [])
    for (const pins of [['--vkey', next], ['--vkey', vkey, '--vkey', next], []]) {
      const { exit, out, err } = await cli.run('log', 'fsck', '--log', log, ...pins)
      assert.equal(exit, 0, out + err)
    }
    assert.equal((await cli.run('log', 'fsck', '--log', log, '--vkey', vkey)).exit, 1)
    await issue('wit', '@wit-after', '--vkey', next)
    await restart()
  })

  it('is possible from another machine than the log’s, where the admin’s key is', async () => {
    const made = await cli.json('log', 'rotate', '--data', '@log', '--make')
    const vkeys = [next, String(made['vkey'])]
    writeFileSync(cli.path('receipt.pub.jwk'), JSON.stringify(made['receiptKey']))
    const elsewhere = ['log', 'rotate', '--log', log, '--admin-key', '@log/admin.jwk']
    const words = [...elsewhere, '--begin', '--new-receipt-key', '@receipt.pub.jwk', '--new-vkey', vkeys[1]!]
    assert.equal((await cli.run(...words)).exit, 2, 'pinned to nothing')
    assert.deepEqual((await cli.json(...words, '--vkey', next))['signedBy'], vkeys.toReversed())
    const finished = await cli.json(...elsewhere, '--finish', ...vkeys.flatMap((each) => ['--vkey', each]))
    assert.deepEqual(finished['vkeys'], [vkeys[1]])
    next = vkeys[1]!
    await restart()
  })

  it('says so when the log does not have the key that it was told of (new_key_does_not_sign)', async () => {
    await cli.json('log', 'init', '--data', '@other-log', '--origin', 'log.bank.example/test')
    const stranger = await cli.json('log', 'rotate', '--data', '@other-log', '--make')
    writeFileSync(cli.path('stranger.pub.jwk'), JSON.stringify(stranger['receiptKey']))
    const words = ['log', 'rotate', '--log', log, '--vkey', next, '--admin-key', '@log/admin.jwk', '--json', '--begin']
    for (const key of [
      ['--checkpoint', '--new-vkey', String(stranger['vkey']), '--keep', String(stranger['vkey'])],
      ['--receipt', '--new-receipt-key', '@stranger.pub.jwk'],
    ]) {
      const { exit, out } = await cli.run(...words, ...key)
      assert.deepEqual([exit, JSON.parse(out)['code']], [1, 'new_key_does_not_sign'])
    }
    const checkpoint = await (await fetch(`${log}/checkpoint`)).text()
    assert.equal(checkpoint.split('\n\n')[1]?.trim().split('\n').length, 1)
    await restart()
  })

  async function restart(): Promise<void> {
    assert.equal(await stop(), 0)
    const serving = await cli.start('log', 'serve', '--data', '@log', '--listen', '127.0.0.1:0')
    assert.equal(serving.first['vkey'], next)
    stop = serving.stop
    log = String(serving.first['url'])
  }
})
