// A workload proves who it is, by the command and curl, to a relying party on a socket; and a request that was written down is judged
// by `verify` afterwards.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { parseDecisionRecord, verifyRequest } from '../../clients/relying-party/index.ts'
import { toHex } from '../../merkle/index.ts'
import { fieldLinesOf, type HttpRequest, MemoryReplayCache } from '../../provenance/index.ts'
import { publicJwkOf } from '../../statement/index.ts'
import { TestCommand } from '../clients/test-io.ts'
import { AT, buildWorld, issueWic } from '../provenance/world.ts'

const curlMissing = spawnSync('curl', ['--version']).status === 0 ? false : 'SKIPPED: there is no curl here'
const cli = new TestCommand()
const world = await buildWorld()
const replay = new MemoryReplayCache()
let url = ''

async function requestOf(incoming: IncomingMessage): Promise<HttpRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return {
    method: incoming.method!,
    target: incoming.url!,
    fields: fieldLinesOf(incoming.rawHeaders),
    content: new Uint8Array(Buffer.concat(chunks)),
  }
}

// A relying party as it would be written: 204 for whoever proves who he is, 400 with the codes for everybody else (never 401).
const bundle = await world.encoded()
const server = createServer((incoming, response) => {
  void (async () => {
    const common = { bundle, trust: world.trust, at: AT, replay, audience: { origins: [url] } }
    const codes = await verifyRequest({ request: await requestOf(incoming), ...common }).then(
      ({ ok, checks }) => (ok ? [] : checks.flatMap(({ code }) => (code === undefined ? [] : [code]))),
      (error: { code: string }) => [error.code],
    )
    response.writeHead(codes.length === 0 ? 204 : 400).end(codes.join())
  })()
})

before(async () => {
  // The world is of another day than today.
  cli.skew = AT - Math.floor(Date.now() / 1000)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  writeFileSync(cli.path('credential.jwt'), world.credential)
  writeFileSync(cli.path('workload.jwk'), JSON.stringify(world.keys.workload))
  writeFileSync(cli.path('bundle.provlog'), bundle)
  writeFileSync(cli.path('TRUST.json'), JSON.stringify(world.trustDocument))
  writeFileSync(cli.path('body.json'), '{"pay":1}')
})
after(() => {
  server.close()
  server.closeAllConnections()
  cli.remove()
})

const prove = (...words: readonly string[]) =>
  cli.run('workload', 'prove', ...words, '--credential', '@credential.jwt', '--key', '@workload.jwk')
const verify = (...words: readonly string[]) =>
  cli.run('verify', '@credential.jwt', '--bundle', '@bundle.provlog', '--trust', '@TRUST.json', ...words)

/** Sends the lines that were printed, and returns status and body. */
async function curl(headers: string, ...words: readonly string[]): Promise<string> {
  writeFileSync(cli.path('headers'), `${headers}\n`)
  const args = ['--silent', '--write-out', '%{http_code} ', '--header', `@${cli.path('headers')}`, ...words]
  const { stdout } = await promisify(execFile)('curl', args)
  return stdout.trim()
}

describe('workload prove, and curl', { skip: curlMissing }, () => {
  it('a proof token lets its workload in, once', async () => {
    const { out, exit } = await prove(`${url}/pay?x=1`, '--header', 'Authorization: Bearer abc')
    assert.equal(exit, 0)
    assert.equal(await curl(out, `${url}/pay?x=1`), '204')
    assert.match(await curl(out, `${url}/pay?x=1`), /proof_replayed.*400|400.*proof_replayed/)
  })

  it('a signature covers what is sent', async () => {
    const words = ['--by', 'httpsig', '--method', 'POST', '--body', '@body.json', '--sign-response']
    const { out } = await prove(`${url}/pay`, ...words, '--header', 'Content-Type: application/json')
    const post = ['--data-binary', `@${cli.path('body.json')}`, `${url}/pay`]
    assert.match(await curl(out, '--data-binary', '{"pay":9}', `${url}/pay`), /content_digest_mismatch/)
    assert.match(await curl(out, '--header', 'Txn-Token: x', ...post), /component_not_covered/)
    assert.match(await curl(out, ...post.slice(0, 2), `${url}/other`), /bad_signature/)
    assert.equal(await curl(out, ...post), '204')
  })

  it('without proof, or as a bearer, a WIT lets nobody in', async () => {
    const wit = readFileSync(cli.path('credential.jwt'), 'utf8').trim()
    assert.match(await curl(`Workload-Identity-Token: ${wit}`, url), /proof_missing/)
    assert.match(await curl(`Authorization: Bearer ${wit}`, url), /credential_as_bearer/)
  })
})

describe('verify of what was presented', () => {
  const origin = 'https://rp.example'
  const written = async (...words: readonly string[]): Promise<void> => {
    const { out } = await prove(`${origin}/pay`, ...words)
    writeFileSync(
      cli.path('request'),
      `GET /pay HTTP/1.1\r\nHost: rp.example\r\n${out.replaceAll('\n', '\r\n')}\r\n\r\n`,
    )
  }

  it('judges a request that was written down, and writes down what it decided', async () => {
    for (const by of ['wpt', 'httpsig']) {
      await written('--by', by)
      const words = ['--request', '@request', '--audience', `${origin}/`, '--decision', '@decision']
      const { exit, out } = await verify(...words)
      assert.equal(exit, 0, out)
      assert.match(out, new RegExp(`passed +Whoever presents the credential has its key: by ${by}; nobody looked`))
      const decision = parseDecisionRecord(readFileSync(cli.path('decision'), 'utf8').trim())
      assert.equal(decision.credential, toHex(world.digest))
      assert.deepEqual([decision.outcome, decision.possession], ['accepted', [by]])

      const { exit: refused, err } = await verify('--request', '@request', '--audience', 'https://other.example')
      assert.equal(refused, 1)
      assert.match(err, /wrong_audience/)
    }
  })

  it('judges a proof token alone, by its whole audience', async () => {
    const made = await prove(`${origin}/pay`, '--json')
    const { fields } = JSON.parse(made.out) as { fields: [string, string][] }
    writeFileSync(cli.path('proof'), `${fields.find(([name]) => name === 'Workload-Proof-Token')![1]}\n`)
    assert.equal((await verify('--proof', '@proof', '--audience', `${origin}/pay`)).exit, 0)
    assert.match((await verify('--proof', '@proof', '--audience', origin)).err, /wrong_audience/)
    cli.skew += 200
    assert.match((await verify('--proof', '@proof', '--audience', `${origin}/pay`)).err, /proof_expired/)
    cli.skew -= 200
  })

  it('judges the certificate of a connection', async () => {
    const certified = await buildWorld({ kind: 'wic' })
    writeFileSync(cli.path('credential.pem'), certified.credential)
    writeFileSync(cli.path('wic.provlog'), await certified.encoded())
    writeFileSync(cli.path('WIC-TRUST.json'), JSON.stringify(certified.trustDocument))
    writeFileSync(cli.path('other.pem'), await issueWic(publicJwkOf(certified.keys.stranger)))
    const words = ['verify', '@credential.pem', '--bundle', '@wic.provlog', '--trust', '@WIC-TRUST.json', '--peer']
    const { exit, out } = await cli.run(...words, '@credential.pem')
    assert.equal(exit, 0, out)
    assert.match(out, /passed +Whoever presents the credential has its key: by mtls/)
    assert.match((await cli.run(...words, '@other.pem')).err, /peer_certificate_mismatch/)
  })

  it('asks for what is missing (usage)', async () => {
    await written()
    const calls = [
      ['--request', '@request'],
      ['--proof', '@request'],
      ['--request', '@request', '--proof', '@request', '--audience', 'x'],
      ['--request', '@missing', '--audience', 'x'],
    ]
    for (const words of calls) assert.equal((await verify(...words)).exit, 2)
    for (const words of [['x'], [`${origin}/a#b`], [origin, '--header', 'x'], [origin, '--by', 'x']]) {
      assert.equal((await prove(...words)).exit, 2)
    }
  })

  it('says no to a key that is not the credential’s', async () => {
    writeFileSync(cli.path('stranger.jwk'), JSON.stringify(world.keys.stranger))
    const words = [origin, '--credential', '@credential.jwt', '--key', '@stranger.jwk']
    const { exit, err } = await cli.run('workload', 'prove', ...words)
    assert.equal(exit, 1)
    assert.match(err, /wrong_proof_key/)
  })
})
