/**
 * Secrets in every file, flag, address and answer that commands and the issuer's service are given, and then a look at what they say on
 * standard error and in `--json`, and at the lines of the service.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import {
  formatLogLine,
  kernelPeerUid,
  parseServiceConfig,
  runIssuer,
  serveLocally,
} from '../../clients/issuer/index.ts'
import { toHex } from '../../merkle/index.ts'
import { publicJwkOf } from '../../statement/index.ts'
import { createServiceWorld } from '../clients/delivery/service-world.ts'
import { createWorld, SUBJECT, workload } from '../clients/issuer-world.ts'
import { TestCommand } from '../clients/test-io.ts'
import { issueWit, newKey } from '../provenance/proof-of-possession/caller.ts'
import { notRandom } from '../provenance/small-log.ts'
import { Canaries, Outlets } from './canaries.ts'

const canaries = new Canaries()
const outlets = new Outlets()
const cli = new TestCommand()
after(() => cli.remove())

/** An answerer that throws everything back that it is sent, in all the places that a client may quote. */
const echo = createServer((incoming, response) => {
  const said = `${incoming.rawHeaders.join(' ')}\n${incoming.url}`
  const problem = { title: said, detail: said, code: said.slice(0, 200), status: 400 }
  response.writeHead(incoming.url?.includes('503') ? 503 : 400, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify(problem))
})
let url = ''
before(async () => {
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`
})
after(() => echo.close())

async function run(...words: readonly string[]): Promise<number> {
  const { exit, out, err } = await cli.run(...words)
  outlets.add(`stderr of ${words[0]} ${words[1]}`, err)
  if (exit !== 0) outlets.add(`stdout of ${words[0]} ${words[1]}`, out)
  return exit
}

describe('commands', () => {
  it('repeat nothing of a file that is not what it should be', async () => {
    const key = canaries.key('a key')
    const files: Readonly<Record<string, string>> = {
      'private.jwk': JSON.stringify(key),
      'broken.jwk': JSON.stringify(key).slice(0, -1),
      'odd.jwk': JSON.stringify({ ...key, kty: 'oct', k: canaries.text('a shared key') }),
      'key.pem': canaries.pem('PEM'),
      token: canaries.token('a token'),
      'token.json': JSON.stringify({ access_token: canaries.token('in JSON'), password: canaries.text('a password') }),
      text: canaries.text('text'),
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(cli.path(name), text)
    const log = ['--log', url, '--vkey', 'log.example+00000000+AAAA']
    for (const name of Object.keys(files)) {
      const file = `@${name}`
      const refused = [
        ['submit', file, '--log', url],
        ['verify', file, '--bundle', file, '--trust', file],
        ['verify', '@token', '--bundle', file, '--trust', 'docs/examples/formats/TRUST.json'],
        ['verify', 'docs/examples/formats/credential.jwt', '--bundle', 'docs/examples/formats/bundle.provlog', '--trust', 'docs/examples/formats/TRUST.json', '--open', file, '--request', file, '--audience', url],
        ['workload', 'prove', `${url}/x`, '--credential', file, '--key', file],
        ['workload', 'prove', `${url}/x`, '--credential', '@token', '--key', '@private.jwk', '--header', `authorization:${files['token']}`],
        ['proof', '0.0', ...log, '--wit', file, '--wit-key', '@private.jwk'],
        ['proof', '0.0', ...log, '--wit', '@token', '--wit-key', file],
        ['proof', '0.0', ...log, '--witness-policy', file],
        ['proof', '0.0', ...log, '--ca', file],
        ['issuer', 'serve', '--config', file],
        ['issuer', 'publish-policy', ...log, '--key', file, '--id', 'p', file],
        ['log', 'authorize', ...log, '--admin-key', file, '--trust-domain', 'a.example', '--role', 'issuer', '--id', 'spiffe://a.example/i', '--key', file],
        ['attester', 'measure', '--key', file, '--workload-key', file, '--dir', cli.directory, '--out', '@out'],
        ['log', 'serve', '--data', file],
        ['log', 'serve', '--data', cli.directory, '--tls-cert', file, '--tls-key', file],
        ['trust', ...log, '--domain', `a.example=${file}`, '--out', '@out'],
      ] // biome-ignore format: a table
      for (const words of refused)
        for (const json of [[], ['--json']]) assert.notEqual(await run(...words, ...json), 0, words.join(' '))
    }
  })

  it('repeat no password of an address, and no token that the log repeats to them', async () => {
    const key = newKey()
    const wit = await issueWit(key, { exp: Math.floor(Date.now() / 1000) + 600 })
    canaries.plant('our token', wit.split('.').slice(1).join('.'))
    writeFileSync(cli.path('wit'), wit)
    writeFileSync(cli.path('wit.jwk'), JSON.stringify(key))
    const password = () => canaries.text('a password of an address')
    for (const address of [
      `http://user:${password()}@127.0.0.1:1/`,
      `https://${password()}@log.example/`,
      `https://log.example/?token=${password()}`,
      `https://log.example/#${password()}`,
      `ftp://user:${password()}@log.example/`,
      `http://user:${password()}@[`,
    ]) {
      assert.notEqual(await run('proof', '0.0', '--log', address), 0)
    }
    for (const path of ['', '/503']) {
      for (const proof of ['wpt', 'httpsig']) {
        const words = [
          'proof',
          '0.0',
          '--log',
          `${url}${path}`,
          '--wit',
          '@wit',
          '--wit-key',
          '@wit.jwk',
          '--wit-proof',
          proof,
        ]
        for (const json of [[], ['--json']]) assert.notEqual(await run(...words, ...json), 0)
      }
    }
    assert.match(outlets.from('stderr of proof'), /\[redacted\]/)
    for (const line of outlets.from('stderr of proof').split('\n'))
      assert.doesNotMatch(line, /^\/?(?:checkpoint|entries|503)/, 'a line is forged')
  })

  it('crash without showing what they had in their hands', async () => {
    const [token, secret] = [canaries.token('in a crash'), canaries.text('on an error')]
    const preload = cli.path('preload.mjs')
    writeFileSync(
      preload,
      `import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
crypto.generateKeyPairSync = () => {
  const cause = Object.assign(new SyntaxError('Unexpected token in ' + ${JSON.stringify(token)}), { input: ${JSON.stringify(secret)} })
  throw Object.assign(new Error('authorization: ' + ${JSON.stringify(secret)}, { cause }), { options: { key: ${JSON.stringify(secret)} } })
}
syncBuiltinESMExports()`,
    )
    const words = [
      '--conditions=provlog-source',
      '--import',
      'tsx',
      '--import',
      preload,
      'clients/cli/bin.ts',
      'keygen',
      '--alg',
      'ES256',
      '--out',
      cli.path('new.jwk'),
    ]
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const [code] = await once(child, 'close')
    outlets.add('crash', said)
    assert.equal(code, 1)
    assert.match(said, /"provlog keygen failed: this is a bug"[\s\S]*"SyntaxError"/)
  })
})

describe('the issuer’s service', () => {
  it('repeats nothing of what it is asked, submitted, and told by its files', async () => {
    const world = await createWorld()
    const uid = process.geteuid!()
    const live = await createServiceWorld(
      () => [
        { uids: [uid], unattested: { reasonCode: 'no-attester' } },
        {
          subject: `${SUBJECT}/files`,
          configured: {
            workloadKey: publicJwkOf(workload),
            results: async () => [canaries.token('a result in a file', { alg: 'ES256', typ: 'eat+jwt' })],
          },
        },
      ],
      world,
    )
    chmodSync(cli.directory, 0o711)
    const socketPath = cli.path('issuer.sock')
    const api = await serveLocally({
      path: socketPath,
      service: live.service,
      peerUid: await kernelPeerUid(),
      onFatal: () => {},
    })
    const ask = async (path: string, headers: Record<string, string> = {}, body?: string): Promise<void> => {
      const asking = request({
        socketPath,
        path,
        method: body === undefined ? 'GET' : 'POST',
        headers: { 'provlog-workload': 'true', ...headers },
      })
      asking.end(body)
      const [answer] = (await once(asking, 'response')) as [import('node:http').IncomingMessage]
      let text = `${answer.statusCode} ${answer.rawHeaders.join(' ')}\n`
      for await (const chunk of answer) text += String(chunk)
      outlets.add('answer of the service', text)
    }
    const json = { 'content-type': 'application/json' }
    const text = () => canaries.text('asked of the service')
    const token = () => canaries.token('submitted to the service', { alg: 'ES256', typ: 'eat+jwt' })
    for (const path of ['/v1/credential', '/v1/identities', '/v1/trust-bundle', '/healthz', '/none']) {
      for (const each of [
        path,
        `${path}?subject=${text()}`,
        `${path}?key=${text()}`,
        `${path}?${text()}=1`,
        `${path}/${token()}`,
      ]) {
        await ask(each, { authorization: `Bearer ${text()}`, 'if-none-match': text(), prefer: text(), cookie: token() })
      }
    }
    const key = publicJwkOf(workload)
    for (const body of [
      text(),
      token(),
      `{"results":["${token()}"`,
      JSON.stringify({
        subject: SUBJECT,
        workloadKey: canaries.key('a private key that was sent'),
        results: [token()],
      }),
      JSON.stringify({ subject: SUBJECT, workloadKey: key, results: [token(), text()] }),
      JSON.stringify({ subject: `spiffe://a.example/${text()}`, workloadKey: key, results: [token()] }),
      JSON.stringify({ subject: SUBJECT, workloadKey: key, results: [token()], [text()]: text() }),
    ]) {
      // biome-ignore format: a table
      await ask('/v1/credential', json, body)
      await ask('/v1/credential', { ...json, 'content-type': text() }, body)
    }
    live.service.start()
    await live.heard('renewal_refused')
    await Promise.all([live.service.stop(), api.close()])
    for (const line of live.lines) outlets.add('line of the service', formatLogLine(line, world.clock.now))
    await world.close()
    assert.ok(live.lines.length > 2 && outlets.from('answer of the service').length > 5000)
  })

  it('and nothing of a configuration that it cannot use', async () => {
    const base = {
      log: { url: 'https://log.example', vkeys: ['log.example+00000000+AAAA'] },
      key: 'service.jwk',
      policy: 'p',
      socket: 's.sock',
      workloads: [{ subject: SUBJECT, uids: [1] }],
    }
    const key = JSON.stringify(canaries.key('the key of the service'))
    const keys = [key, key.slice(1), canaries.pem('the key in PEM'), canaries.token('a token for a key')]
    const configs = [
      JSON.stringify({ ...base, key: canaries.text('a path that is a secret') }),
      JSON.stringify({ ...base, misspelt: canaries.text('the value of a member') }),
      JSON.stringify({ ...base, password: canaries.text('a password') }),
      `{"key":"${canaries.text('a broken file')}`,
      JSON.stringify({
        ...base,
        log: { ...base.log, url: `https://user:${canaries.text('in its URL')}@log.example/` },
      }),
      ...keys.map(() => JSON.stringify(base)),
    ]
    for (const [i, text] of configs.entries()) {
      writeFileSync(cli.path('service.jwk'), keys[i % keys.length]!, { mode: 0o600 })
      writeFileSync(cli.path('service.json'), text)
      for (const json of [[], ['--json']]) {
        // One that starts would not end.
        const attempt = async () => {
          const config = parseServiceConfig(text)
          await runIssuer({
            config,
            directory: cli.directory,
            readFile: async () => new Uint8Array(),
            now: () => 0,
            random: notRandom('service'),
            sleep: async () => {},
            write: (line) => outlets.add('line of the service', line),
          }).then((issuer) => issuer.stop())
        }
        const failed = await attempt().then(
          () => false,
          () => true,
        )
        if (failed) await run('issuer', 'serve', '--config', '@service.json', ...json)
      }
    }
  })
})

it('none of it has come out', () => {
  assert.ok(canaries.count > 150 && outlets.length > 30_000, `${canaries.count} ${outlets.length}`)
  assert.equal(toHex(new Uint8Array(1)), '00')
  assert.deepEqual(outlets.leaks(canaries).slice(0, 5), [])
})
