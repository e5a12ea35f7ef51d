/**
 * `log policy` and `submit`: a log that comes to register statements of others, by the commands themselves.
 *
 * @module
 */
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { logPolicy } from '../../clients/cli/commands/log-policy.ts'
import { toBase64, utf8 } from '../../merkle/index.ts'
import { decodeRecord, isRecordStatement, recordOfStatement } from '../../provenance/index.ts'
import { line } from '../../scripts/line.ts'
import {
  asArray,
  asBytes,
  decodeCbor,
  importSigningKey,
  parsePrivateJwk,
  parseTransparentStatement,
} from '../../statement/index.ts'
import { TestCommand } from '../clients/test-io.ts'
import { certify, createAuthority, signForeign, signingKeyOf } from '../provenance/signers.ts'

// A log that is served goes by the clock of the machine.
const now = Math.floor(Date.now() / 1000)
const validity = { notBefore: now - 3600, notAfter: now + 3600 }
const root = await createAuthority('root', validity)
const signer = await certify('signer', { ...validity, issuer: root })

const cli = new TestCommand()
let reader: readonly string[] = []
let admin: readonly string[] = []
let stop = async () => 0

const signed = async (said: string): Promise<string> => {
  const jwk = parsePrivateJwk(JSON.parse(readFileSync(cli.path('vendor.jwk'), 'utf8')))
  const bytes = await signForeign(await importSigningKey(jwk), {
    header: [[4, utf8('release-key')]],
    claims: [[6, now]],
    payload: utf8(said),
  })
  writeFileSync(cli.path(`${said}.cose`), bytes)
  return `@${said}.cose`
}
const certified = async (said: string): Promise<string> => {
  const bytes = await signForeign(await signingKeyOf(signer), {
    header: [[33, signer.der]],
    claims: [[6, now]],
    payload: utf8(said),
  })
  writeFileSync(cli.path(`${said}.cose`), bytes)
  return `@${said}.cose`
}

before(async () => {
  const created = await cli.json('log', 'init', '--data', '@log', '--origin', 'log.example/policy')
  const serving = await cli.start('log', 'serve', '--data', '@log', '--listen', '127.0.0.1:0')
  stop = serving.stop
  reader = ['--log', String(serving.first['url']), '--vkey', String(serving.first['vkey'])]
  admin = [...reader, '--admin-key', String(created['adminKey'])]
  await cli.json('keygen', '--alg', 'ES256', '--out', '@vendor.jwk')
  const pub = JSON.parse(readFileSync(cli.path('vendor.pub.jwk'), 'utf8'))
  writeFileSync(cli.path('vendor.pub.jwk'), JSON.stringify({ ...pub, kid: 'release-key' }))
  const pem = `-----BEGIN CERTIFICATE-----\n${toBase64(root.der)}\n-----END CERTIFICATE-----\n`
  writeFileSync(cli.path('root.pem'), pem)
})
after(async () => {
  await stop()
  cli.remove()
})

const show = (...words: string[]) => cli.json('log', 'policy', ...reader, ...words)

describe('provlog log policy', () => {
  it('shows that a new log registers records alone, and so it does', async () => {
    const policy = await show()
    assert.deepEqual([policy['index'], policy['origin'], policy['foreign']], [0, 'log.example/policy', undefined])
    assert.match((await cli.run('log', 'policy', ...reader)).out, /registers provenance records, and nothing else/)
    const refused = await cli.run('submit', ...reader, await signed('early'))
    assert.equal(refused.exit, 1)
    assert.match(refused.err, /unsupported_content_type/)
  })

  it('publishes what is registered from now on, by flags; then submit registers it', async () => {
    const published = await cli.json(
      ...['log', 'policy', ...admin, '--signer', '@vendor.pub.jwk', '--anchor', '@root.pem'],
      ...['--content-type', 'text/plain', '--issuer', 'did:example:vendor'],
    )
    assert.equal(published['index'], 1)
    const { index } = await cli.json('submit', ...reader, await signed('registered'), '--receipt', '@receipt.cose')
    assert.equal(index, 2)
    assert.equal((await cli.json('submit', ...reader, await certified('certified')))['index'], 3)
    const again = await cli.json('submit', ...reader, '@registered.cose')
    assert.equal(again['index'], 2)
  })

  it('submits several in few requests, and says which were refused', async () => {
    const foreign = await certified('one of several')
    const { out } = await cli.run('submit', ...reader, foreign, '@registered.cose')
    assert.match(out, /^entry 4: .*one of several\.cose\nentry 2: /)
    writeFileSync(cli.path('garbage.cose'), 'garbage')
    const mixed = await cli.run('submit', '--json', ...reader, '@garbage.cose', foreign)
    assert.equal(mixed.exit, 1)
    assert.match(mixed.err, /garbage\.cose.*malformed_cbor/)
    assert.deepEqual(
      mixed.out
        .trim()
        .split('\n')
        .map((line) => [JSON.parse(line).code, JSON.parse(line).index]),
      [
        ['malformed_cbor', undefined],
        [undefined, 4],
      ],
    )
    assert.equal((await cli.run('submit', ...reader, foreign, foreign, '--receipt', '@no.cose')).exit, 2)
  })

  it('shows the version that an entry is under', async () => {
    assert.equal((await show('--at', '1'))['foreign'], undefined)
    assert.equal((await show('--at', '0'))['index'], 0)
    const { foreign } = await show('--at', '2')
    const { keys, anchors, contentTypes } = foreign as { keys: { kid: string }[]; anchors: string[]; contentTypes: [] }
    assert.deepEqual([keys.map(({ kid }) => kid), anchors.length, contentTypes], [['release-key'], 1, ['text/plain']])
    const beyond = await cli.run('log', 'policy', ...reader, '--at', '99')
    assert.equal(beyond.exit, 2)
  })

  it('reads what it prints: the same again changes nothing, and what was edited is what comes', async () => {
    const { foreign, index } = await show()
    writeFileSync(cli.path('foreign.json'), JSON.stringify(foreign))
    assert.equal((await cli.json('log', 'policy', ...admin, '--foreign', '@foreign.json'))['index'], index)
    writeFileSync(cli.path('foreign.json'), JSON.stringify(await show()))
    assert.equal((await cli.json('log', 'policy', ...admin, '--foreign', '@foreign.json'))['index'], index)
    const { anchors: _withdrawn, ...rest } = foreign as { anchors: string[] }
    writeFileSync(cli.path('foreign.json'), JSON.stringify(rest))
    await cli.json('log', 'policy', ...admin, '--foreign', '@foreign.json', '--max-statement-bytes', '9000')
    const after = await show()
    assert.deepEqual([after['foreign'], after['maxStatementBytes']], [rest, 9000])
    assert.match((await cli.run('submit', ...reader, await certified('late'))).err, /unknown_anchor/)
  })

  it('takes it all back', async () => {
    await cli.json('log', 'policy', ...admin, '--records-only')
    assert.equal((await show())['foreign'], undefined)
    assert.match((await cli.run('submit', ...reader, await signed('too-late'))).err, /unsupported_content_type/)
    // What was registered stays.
    assert.equal((await cli.json('submit', ...reader, '@registered.cose'))['index'], 2)
  })

  it('finds the log sound afterwards, and every version where anybody can read it', async () => {
    const answer = await fetch(`${reader[1]}/v1/policies`)
    assert.equal(answer.headers.get('content-type'), 'application/cbor')
    const versions = asArray(decodeCbor(new Uint8Array(await answer.arrayBuffer())), 'the policies').map((item) => {
      const { statement, receipts } = parseTransparentStatement(asBytes(item, 'a policy'))
      assert.ok(isRecordStatement(statement) && receipts.length === 1)
      return (
        decodeRecord('log-policy', statement.payload).fields.foreign !== undefined && recordOfStatement(statement).type
      )
    })
    assert.deepEqual(versions, [false, 'log-policy', 'log-policy', false])
    assert.equal((await cli.run('log', 'fsck', ...reader)).exit, 0)
  })

  it('has the flags that docs/registration.md names', () => {
    const text = readFileSync('docs/registration.md', 'utf8')
    const commands = [...text.matchAll(/^provlog log policy (?:.*\\\n)*.*$/gm)].map(([found]) =>
      found.replace(/#.*$/gm, ''),
    )
    assert.equal(commands.length, 5)
    for (const [flag, name] of commands.join(' ').matchAll(/--([a-z-]+)/g))
      assert.ok(name! in logPolicy.flags, `${flag} is no flag of log policy`)
  })

  it('says what is wrong with the words', async () => {
    for (const words of [
      ['--anchor', '@root.pem'],
      ['--admin-key', '@vendor.jwk'],
      ['--admin-key', '@vendor.jwk', '--records-only', '--anchor', '@root.pem'],
      ['--at', '-1'],
    ])
      assert.equal((await cli.run('log', 'policy', ...reader, ...words)).exit, 2, words.join(' '))
    writeFileSync(cli.path('wrong.json'), '{"signers": []}')
    assert.equal((await cli.run('log', 'policy', ...admin, '--foreign', '@wrong.json')).exit, 2)
    const nobody = await cli.run('log', 'policy', ...admin, '--content-type', 'text/plain')
    assert.match(nobody.err, /malformed_record/)
    const stranger = await cli.run(...line`log policy ${reader} --admin-key @vendor.jwk --max-statement-bytes 1`)
    assert.match(stranger.err, /unknown_key/)
  })
})
