// Connections that last: what is shown on one is asked about again, sessions are not resumed, and nothing is renegotiated.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import https from 'node:https'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import type { RunningServer } from '../../log-server/main.ts'
import { pem, pemBlock, revocationList, SUBJECT, workload } from '../certificates/authority.ts'
import { TestCommand } from '../clients/test-io.ts'
import { issue, NOW, opensslVersion, pairOf, removeDirectory, type Shown, serveLog, write } from './world.ts'

const root = await issue('root')
const middle = await issue('issuing', { issuer: root })
const leaf = async (notAfter = NOW + 600): Promise<Shown> => ({
  holder: await issue('leaf', { issuer: middle, extensions: workload(), notAfter }),
  between: [middle],
})

let now = NOW
let server: RunningServer
const bundle = write('bundle.pem', pem(root))
before(async () => {
  const access = {
    clientCertificate: 'optional',
    trustDomains: { 'bank.example': { bundle } },
    rules: [{ who: [SUBJECT], may: ['read'] }],
    audit: { file: write('audit', '') },
  }
  server = (await serveLog('connections', { access, shown: await leaf(), now: () => now })).server
})
after(async () => {
  await server.close()
  removeDirectory()
})

const port = () => Number(new URL(server.url).port)

/** Requests on one connection, of a client with this certificate. */
async function connected(shown: Shown | undefined) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
  const pair = shown && (await pairOf(shown))
  const ask = () =>
    new Promise<{ code: string; reused: boolean; connection: string | undefined }>((resolve, reject) => {
      const request = https.get(`${server.url}/checkpoint`, { agent, rejectUnauthorized: false, ...pair }, (answer) => {
        let text = ''
        answer.on('data', (chunk) => (text += String(chunk)))
        answer.on('end', () => {
          const code = answer.statusCode === 200 ? 'ok' : (JSON.parse(text) as { code: string }).code
          resolve({ code, reused: request.reusedSocket, connection: answer.headers.connection })
        })
      })
      request.on('error', reject)
    })
  return { ask, end: () => agent.destroy() }
}

describe('a connection that is kept', () => {
  it('is refused, and closed, from when the anchor of its peer is withdrawn (unknown_anchor)', async () => {
    const { ask, end } = await connected(await leaf())
    assert.equal((await ask()).code, 'ok')
    write('bundle.pem', pem(await issue('another root')))
    await server.reload()
    assert.deepEqual(await ask(), { code: 'unknown_anchor', reused: true, connection: 'close' })
    write('bundle.pem', pem(root))
    await server.reload()
    assert.deepEqual(await ask(), { code: 'ok', reused: false, connection: 'keep-alive' })
    end()
  })

  it('is refused, and closed, from when its certificate has ended (credential_expired)', async () => {
    const { ask, end } = await connected(await leaf(NOW + 30))
    assert.equal((await ask()).code, 'ok')
    now = NOW + 31
    assert.deepEqual(await ask(), { code: 'credential_expired', reused: true, connection: 'close' })
    now = NOW
    end()
  })

  it('without a certificate is nobody’s, where none is required', async () => {
    const { ask, end } = await connected(undefined)
    assert.equal((await ask()).code, 'access_denied')
    end()
  })
})

// RFC 8446 §4.4.2: whoever reads them should be prepared for any order, and for some that are of no use.
it('what is above a certificate may come in any order, and with one that has nothing to do with it', async () => {
  const lower = await issue('lower', { issuer: middle })
  const holder = await issue('leaf', { issuer: lower, extensions: workload() })
  const { ask, end } = await connected({ holder, between: [await issue('another'), middle, lower] })
  assert.equal((await ask()).code, 'ok')
  end()
})

describe('a session', () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`of ${maxVersion} is not resumed`, async () => {
      const pair = await pairOf(await leaf())
      let session: Buffer | undefined
      for (let i = 0; i < 3; i++) {
        const socket = tls.connect({
          port: port(),
          maxVersion,
          rejectUnauthorized: false,
          ...pair,
          ...(session && { session }),
        })
        socket.on('session', (given: Buffer) => {
          session = given
        })
        await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
        assert.equal(socket.isSessionReused(), false)
        // An answer, behind which a ticket would have come.
        socket.write('GET /checkpoint HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
        let text = ''
        for await (const chunk of socket) text += String(chunk)
        assert.match(text, /^HTTP\/1\.1 200 /)
      }
    })
  }

  it('is not resumed by openssl s_client -reconnect', {
    skip: !opensslVersion && 'there is no openssl here',
  }, async () => {
    const { cert, key } = await pairOf(await leaf())
    const files = [
      '-cert',
      write('c.pem', cert),
      '-cert_chain',
      write('chain.pem', pem(middle)),
      '-key',
      write('c-key.pem', key),
    ]
    // Not awaited by the client: it would keep this thread, and the server on it, from answering.
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port()}`, '-tls1_2', '-reconnect', ...files], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdin.end()
    let text = ''
    for await (const chunk of child.stdout) text += String(chunk)
    assert.equal(text.match(/^New, TLSv1\.2/gm)?.length, 6, text.slice(-500))
    assert.doesNotMatch(text, /^Reused/m)
  })
})

describe('the command', () => {
  it('shows who it is and knows whom it asks, by flags', async () => {
    const pair = await pairOf(await leaf())
    const [cert, key] = [write('flag.pem', pair.cert), write('flag-key.pem', pair.key)]
    const fsck = ['log', 'fsck', '--log', server.url, '--vkey', server.vkey]
    const known = ['--server-id', SUBJECT, '--server-bundle', bundle]
    const shown = ['--client-cert', cert, '--client-key', key]
    const cli = new TestCommand()
    try {
      assert.equal((await cli.json(...fsck, ...known, ...shown))['size'], 1)
      assert.equal((await cli.json(...fsck, ...known, ...shown, '--server-max-lifetime', '86400'))['size'], 1)
      const refused: readonly (readonly [code: string, exit: number, flags: readonly string[]])[] = [
        ['unexpected_peer', 1, ['--server-id', 'spiffe://bank.example/other', '--server-bundle', bundle]],
        ['lifetime_too_long', 1, [...known, '--server-max-lifetime', '60']],
        [
          'crl_not_yet_valid',
          1,
          [...known, '--server-crl', write('other.crl', pemBlock('X509 CRL', await revocationList(middle)))],
        ],
        ['untrusted_certificate', 1, []],
        ['come together', 2, ['--server-id', SUBJECT]],
        ['--server-id', 2, ['--server-max-lifetime', '60']],
      ]
      for (const [code, exit, flags] of refused) {
        const { exit: ended, err } = await cli.run(...fsck, ...shown, ...flags)
        assert.equal(ended, exit, err)
        assert.ok(err.includes(code), err)
      }
    } finally {
      cli.remove()
    }
  })
})

describe('renegotiation', () => {
  it('is refused', async () => {
    const socket = tls.connect({
      port: port(),
      maxVersion: 'TLSv1.2',
      rejectUnauthorized: false,
      ...(await pairOf(await leaf())),
    })
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    const failed = await new Promise<Error | null>((resolve) => {
      socket.on('error', resolve)
      socket.renegotiate({}, resolve)
    })
    assert.match(String(failed), /renegotiation/i)
    socket.destroy()
  })
})
