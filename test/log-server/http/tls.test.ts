// The server over TLS: who may start with what, and that whoever cannot speak it learns nothing and holds nobody up.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import tls from 'node:tls'
import { createFetcher, LogClient } from '../../../clients/log-client/index.ts'
import { serverConfig } from '../../../log-server/config.ts'
import { ServerTls } from '../../../log-server/http/tls.ts'
import { initLog } from '../../../log-server/init.ts'
import { type RunningServer, startServer } from '../../../log-server/main.ts'
import { TestCommand } from '../../clients/test-io.ts'
import { notRandom, ORIGIN } from '../../provenance/small-log.ts'
import { type CertificateFiles, writeCertificates } from '../certificates.ts'

let dir: string
let files: CertificateFiles
let server: RunningServer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provlog-tls-'))
  files = await writeCertificates(dir)
  const dataDir = join(dir, 'log')
  await initLog({ dataDir, origin: ORIGIN, now: () => 100, random: notRandom('tls') })
  server = await startServer({ dataDir, listen: { host: 'localhost', port: 0 }, tls: files.tls, now: () => 200 })
})
after(async () => {
  await server.close()
  await rm(dir, { recursive: true })
})

const port = () => Number(new URL(server.url).port)
const ca = () => readFileSync(files.ca, 'utf8')

/** All that comes back for `bytes` on a plain socket, until the server hangs up. */
async function plain(bytes: string): Promise<string> {
  const socket = connect(port(), 'localhost')
  socket.on('error', () => {})
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

/** The protocol that a handshake ends in, or the code of why it does not. */
function handshake(options: tls.ConnectionOptions): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = tls.connect({ port: port(), host: 'localhost', ca: ca(), ...options }, () => {
      resolve(socket.getProtocol())
      socket.destroy()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}

describe('a log over TLS', () => {
  it('says where it is by the name that its certificate is for', () => {
    assert.match(server.url, /^https:\/\/localhost:\d+$/)
  })

  it('answers a client that trusts its anchor', async () => {
    const pinned = { origin: server.origin, vkey: server.vkey }
    const client = new LogClient({ url: server.url, pinned, clock: () => 200, tls: { ca: ca() } })
    assert.equal((await client.checkpoint()).size, 1)
    client.close()
  })

  it('is not believed without the anchor, at once (untrusted_certificate)', async () => {
    const fetcher = createFetcher({ url: server.url })
    await assert.rejects(fetcher.fetch({ path: 'checkpoint', maxBytes: 1000 }), { code: 'untrusted_certificate' })
    fetcher.close()
  })

  it('is not believed under a name that is not on its certificate (untrusted_certificate)', async () => {
    const fetcher = createFetcher({ url: `https://127.0.0.1:${port()}`, tls: { ca: ca() } })
    await assert.rejects(fetcher.fetch({ path: 'checkpoint', maxBytes: 1000 }), { code: 'untrusted_certificate' })
    fetcher.close()
  })

  it('speaks TLS 1.2 and 1.3 and nothing older', async () => {
    assert.equal(await handshake({ maxVersion: 'TLSv1.3' }), 'TLSv1.3')
    assert.equal(await handshake({ maxVersion: 'TLSv1.2' }), 'TLSv1.2')
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
    assert.match(String(await handshake(old)), /PROTOCOL_VERSION/)
  })

  it('says nothing to who does not speak it, and goes on', async () => {
    assert.equal(await plain('GET /checkpoint HTTP/1.1\r\nHost: x\r\n\r\n'), '')
    // At most an alert.
    assert.doesNotMatch(await plain('\x16\x03\x01\x00\x04hello'), /HTTP|code/)
    assert.equal(await handshake({}), 'TLSv1.3')
  })
})

describe('startServer', () => {
  it('bounds a handshake, by less than it waits for when it closes', async () => {
    const { handshakeTimeout, minVersion } = (await ServerTls.open(files.tls)).settings
    assert.ok(handshakeTimeout > 0 && handshakeTimeout < 15_000)
    assert.equal(minVersion, 'TLSv1.2')
  })

  const refused: readonly (readonly [what: string, make: () => { cert: string; key: string }])[] = [
    ['a certificate that is not there', () => ({ ...files.tls, cert: join(dir, 'nothing') })],
    ['a key that is not there', () => ({ ...files.tls, key: join(dir, 'nothing') })],
    ['a key for a certificate', () => ({ ...files.tls, cert: files.tls.key })],
    ['a certificate for a key', () => ({ ...files.tls, key: files.tls.cert })],
    ['a key of another certificate', () => ({ ...files.tls, cert: files.ca })],
    ['a chain that ends in rubbish', () => ({ ...files.tls, cert: rubbish() })],
  ]
  const rubbish = () => {
    const path = join(dir, 'rubbish.pem')
    writeFileSync(
      path,
      `${readFileSync(files.tls.cert, 'utf8')}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    )
    return path
  }
  for (const [what, make] of refused) {
    it(`refuses ${what}, without quoting it (malformed_config)`, async () => {
      await assert.rejects(ServerTls.open(make()), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'malformed_config')
        assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /BEGIN|MI[IG]/)
        return true
      })
    })
  }

  it('listens to other machines without being told twice, once it has TLS', async () => {
    const dataDir = join(dir, 'config')
    mkdirSync(dataDir)
    const listen = { host: '0.0.0.0', port: 8787 }
    writeFileSync(join(dataDir, 'config.json'), JSON.stringify({ server: { listen, tls: { cert: 'c', key: '/k' } } }))
    const config = await serverConfig(dataDir)
    assert.deepEqual(config.listen, listen)
    // What the file names is beside the file.
    assert.deepEqual(config.tls, { cert: join(dataDir, 'c'), key: '/k' })
    assert.deepEqual((await serverConfig(dataDir, { tls: files.tls })).tls, files.tls)
    writeFileSync(join(dataDir, 'config.json'), JSON.stringify({ server: { tls: { cert: 'c' } } }))
    await assert.rejects(serverConfig(dataDir), { code: 'malformed_config' })
  })
})

describe('a certificate that is renewed', () => {
  /** The serial number of what a new connection is shown. */
  const served = () =>
    new Promise<string>((resolve, reject) => {
      const socket = tls.connect({ port: port(), host: 'localhost', ca: ca() }, () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
      socket.on('error', reject)
    })
  const put = (path: string, from: string) => writeFileSync(path, readFileSync(from))

  it('is served without a restart, once both files belong together, and not before', async () => {
    mkdirSync(join(dir, 'renewed'))
    const [old, renewed] = [await served(), await writeCertificates(join(dir, 'renewed'))]
    const oldKey = readFileSync(files.tls.key)
    put(files.tls.key, renewed.tls.key)
    await server.reload()
    assert.equal(await served(), old)
    writeFileSync(files.tls.cert, readFileSync(renewed.tls.cert, 'utf8').slice(0, -50))
    await server.reload()
    assert.equal(await served(), old)
    writeFileSync(files.tls.key, oldKey)
    put(files.tls.cert, renewed.tls.cert)
    await server.reload()
    assert.equal(await served(), old)
    put(files.tls.key, renewed.tls.key)
    put(files.ca, renewed.ca)
    await server.reload()
    assert.notEqual(await served(), old)
  })
})

describe('the command', () => {
  it('serves by flags, and its clients trust by --ca', async () => {
    const cli = new TestCommand()
    try {
      await cli.json('log', 'init', '--data', '@log', '--origin', ORIGIN)
      const half = await cli.run('log', 'serve', '--data', '@log', '--tls-cert', files.tls.cert)
      assert.equal(half.exit, 2)
      const tlsFlags = ['--tls-cert', files.tls.cert, '--tls-key', files.tls.key]
      const serving = await cli.start('log', 'serve', '--data', '@log', '--listen', 'localhost:0', ...tlsFlags)
      const { url, vkey } = serving.first as { url: string; vkey: string }
      assert.match(url, /^https:\/\/localhost:/)
      const fsck = ['log', 'fsck', '--log', url, '--vkey', vkey]
      assert.equal((await cli.json(...fsck, '--ca', files.ca))['size'], 1)
      const unknown = await cli.run(...fsck)
      assert.equal(unknown.exit, 1)
      assert.match(unknown.err, /untrusted_certificate/)
      assert.equal(await serving.stop(), 0)
    } finally {
      cli.remove()
    }
  })
})
