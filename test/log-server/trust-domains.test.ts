// Anchors by trust domain: read from files, read again when those change, and who comes in by them.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import tls, { type TLSSocket } from 'node:tls'
import { Peers } from '../../log-server/access/peer.ts'
import { type TrustDomainFiles, TrustDomains } from '../../log-server/access/trust-domains.ts'
import type { FileNotice, Report } from '../../log-server/http/watched-files.ts'
import { toBase64 } from '../../merkle/bytes.ts'
import { AT, certify, type Holder, keyPem, pem, revocationList, SUBJECT, workload } from '../certificates/authority.ts'

const directory = mkdtempSync(join(tmpdir(), 'provlog-trust-'))
after(() => rmSync(directory, { recursive: true }))

let files = 0
/** Writes a file of its own; returns its path. */
function write(content: string | Uint8Array, path = join(directory, `file-${files++}`)): string {
  writeFileSync(path, content)
  return path
}

const root = await certify('root')
const next = await certify('next root')
const leafOf = (issuer: Holder) => certify('leaf', { issuer, extensions: workload() })

const { x, y } = await crypto.subtle.exportKey('jwk', root.keys.publicKey)
const bundleOf = (sequence: number | undefined, ...anchors: readonly Holder[]): Promise<string> =>
  Promise.all(
    anchors.map(async ({ keys, der }) => {
      const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', keys.publicKey)
      return { use: 'x509-svid', kty, crv, x, y, x5c: [toBase64(der)] }
    }),
  ).then((keys) => JSON.stringify({ keys, ...(sequence !== undefined && { spiffe_sequence: sequence }) }))

const load = (domains: Record<string, TrustDomainFiles>, report?: Report) =>
  TrustDomains.load(new Map(Object.entries(domains)), report)
const serialsOf = (trust: TrustDomains, name = 'bank.example') =>
  trust.anchorsOf(name)?.certificates.map(({ serial }) => serial)

describe('TrustDomains', () => {
  it('has the anchors of each trust domain and of no other', async () => {
    const trust = await load({
      'bank.example': { bundle: write(await bundleOf(1, root)), maxLifetime: 60 },
      'partner.example': { bundle: write(pem(next)), profile: 'wimse' },
    })
    assert.deepEqual(serialsOf(trust), [root.serial])
    assert.deepEqual(serialsOf(trust, 'partner.example'), [next.serial])
    for (const name of ['other.example', '__proto__', 'constructor', '', 'BANK.example']) {
      assert.equal(trust.anchorsOf(name), undefined)
    }
    assert.deepEqual(trust.anchorsOf('bank.example')?.rules, { tokenProfile: 'wit-svid', maximumLifetime: 60 })
    assert.equal(trust.anchorsOf('partner.example')?.scheme, 'wimse')
  })

  const refused: readonly (readonly [what: string, file: () => string | Promise<string>])[] = [
    ['a bundle that is not there', () => join(directory, 'nothing')],
    ['an empty bundle', () => write('')],
    ['a bundle that is not JSON', () => write('{"keys": [')],
    ['a bundle of something else', () => write('[]')],
    [
      'an anchor of another key than it says',
      async () =>
        write(
          JSON.stringify({ keys: [{ use: 'x509-svid', kty: 'EC', crv: 'P-256', x, y, x5c: [toBase64(next.der)] }] }),
        ),
    ],
    ['a private key', async () => write(await keyPem(root))],
    ['a bundle of two megabytes', () => write(' '.repeat(2 ** 21))],
  ]
  for (const [what, file] of refused) {
    it(`does not load ${what} (malformed_config)`, async () => {
      await assert.rejects(load({ 'bank.example': { bundle: await file() } }), {
        code: 'malformed_config',
      })
    })
  }

  it('does not load a name that is no trust domain (malformed_config)', async () => {
    for (const name of ['Bank.example', 'spiffe://bank.example', '', '*']) {
      await assert.rejects(load({ [name]: { bundle: write(pem(root)) } }), { code: 'malformed_config' })
    }
  })

  /** A bundle, and what was said about it. */
  async function loaded(first: string) {
    const notices: FileNotice[] = []
    const bundle = write(first)
    const trust = await load({ 'bank.example': { bundle } }, (notice) => notices.push(notice))
    const reload = async (text: string) => {
      write(text, bundle)
      return trust.reload()
    }
    return { trust, notices, reload }
  }

  it('takes the next bundle, and says so', async () => {
    const { trust, notices, reload } = await loaded(await bundleOf(7, root))
    const before = trust.generation
    assert.equal(await reload(await bundleOf(8, root, next)), true)
    assert.deepEqual(serialsOf(trust), [root.serial, next.serial])
    assert.notEqual(trust.generation, before)
    assert.deepEqual(
      notices.map(({ event }) => event),
      ['reloaded'],
    )
    assert.equal(await trust.reload(), false)
    assert.equal(notices.length, 1)
  })

  const kept: readonly (readonly [what: string, next: () => string | Promise<string>, reason: RegExp])[] = [
    ['a lower sequence', () => bundleOf(6, next), /spiffe_sequence 6, after 7/],
    ['no sequence after one', () => bundleOf(undefined, next), /spiffe_sequence is missing, after 7/],
    ['a file cut short', async () => (await bundleOf(8, next)).slice(0, -9), /not a|malformed|offset/],
    ['an empty file', () => '', /offset 0/],
  ]
  for (const [what, then, reason] of kept) {
    it(`keeps what it has at ${what}, says so once, and takes what comes after`, async () => {
      const { trust, notices, reload } = await loaded(await bundleOf(7, root))
      assert.equal(await reload(await then()), false)
      assert.equal(await trust.reload(), false)
      assert.deepEqual(serialsOf(trust), [root.serial])
      assert.equal(trust.generation, 0)
      assert.deepEqual(
        notices.map(({ event }) => event),
        ['kept'],
      )
      assert.match(notices[0]?.reason ?? '', reason)
      assert.equal(await reload(await bundleOf(9, next)), true)
      assert.deepEqual(serialsOf(trust), [next.serial])
    })
  }

  it('trusts nobody after an empty bundle of a higher sequence', async () => {
    const { trust, reload } = await loaded(await bundleOf(7, root))
    assert.equal(await reload(await bundleOf(8)), true)
    assert.deepEqual(serialsOf(trust), [])
  })

  it('keeps a revocation list when an older one comes', async () => {
    const crl = write(await revocationList(root, { thisUpdate: AT }))
    const notices: FileNotice[] = []
    const domain = { bundle: write(pem(root)), crls: [crl] }
    const trust = await load({ 'bank.example': domain }, (notice) => notices.push(notice))
    write(await revocationList(root, { thisUpdate: AT - 1 }), crl)
    assert.equal(await trust.reload(), false)
    assert.match(notices[0]?.reason ?? '', /older/)
    assert.deepEqual(
      trust.anchorsOf('bank.example')?.revocationLists?.map(({ thisUpdate }) => thisUpdate),
      [AT],
    )
  })
})

/** Both ends of a connection between a server and a client with this certificate. */
async function connection(
  holder: Holder | undefined,
  ...between: Holder[]
): Promise<{ socket: TLSSocket; end: () => void }> {
  const server = tls.createServer({
    cert: pem(await leafOf(root)),
    key: await keyPem(await leafOf(root)),
    requestCert: true,
    rejectUnauthorized: false,
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<TLSSocket>((resolve) => server.once('secureConnection', resolve))
  const client = tls.connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...(holder && { cert: pem(holder, ...between), key: await keyPem(holder) }),
  })
  client.on('error', () => {})
  const socket = await accepted
  socket.on('error', () => {})
  const end = () => {
    client.destroy()
    server.close()
  }
  return { socket, end }
}

describe('Peers', () => {
  it('know who is there, ask once, and ask again when the anchors change', async () => {
    const bundle = write(await bundleOf(1, root))
    const trust = await load({ 'bank.example': { bundle } })
    const peers = new Peers({ trust, required: true, now: () => AT })
    const leaf = await leafOf(root)
    const { socket, end } = await connection(leaf)
    try {
      const first = peers.of(socket)
      assert.ok(first instanceof Promise)
      assert.equal(peers.of(socket), first)
      const { identifier, trustDomain, chain } = (await first)!
      assert.deepEqual([identifier, trustDomain], [SUBJECT, 'bank.example'])
      assert.deepEqual(
        chain.map((der) => toBase64(der)),
        [toBase64(leaf.der)],
      )
      // Known by now: no promise, no work.
      assert.equal(peers.of(socket), await first)

      write(await bundleOf(2, next), bundle)
      await trust.reload()
      await assert.rejects(async () => peers.of(socket), { code: 'unknown_anchor' })
    } finally {
      end()
    }
  })

  it('refuse a connection whose certificate has ended since (credential_expired)', async () => {
    let now = AT
    const trust = await load({ 'bank.example': { bundle: write(pem(root)) } })
    const peers = new Peers({ trust, required: true, now: () => now })
    const middle = await certify('intermediate', { issuer: root, notAfter: AT + 5 })
    const { socket, end } = await connection(await leafOf(middle), middle)
    try {
      assert.equal((await peers.of(socket))?.notAfter, AT + 5)
      now = AT + 5
      assert.equal((await peers.of(socket))?.identifier, SUBJECT)
      now = AT + 6
      await assert.rejects(async () => peers.of(socket), { code: 'credential_expired' })
    } finally {
      end()
    }
  })

  it('judge a resumed session by what it brings, which is less than was shown at first (unknown_anchor)', async () => {
    const trust = await load({ 'bank.example': { bundle: write(pem(root)) } })
    const middle = await certify('intermediate', { issuer: root })
    const holder = await leafOf(middle)
    const pair = { cert: pem(holder, middle), key: await keyPem(holder) }
    // One that keeps sessions, as ours do not.
    const server = tls.createServer({ ...pair, requestCert: true, rejectUnauthorized: false })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const options = { port, host: '127.0.0.1', maxVersion: 'TLSv1.2', rejectUnauthorized: false, ...pair } as const
    const meet = async (session?: Buffer) => {
      const accepted = new Promise<TLSSocket>((resolve) => server.once('secureConnection', resolve))
      const client = tls.connect({ ...options, ...(session && { session }) })
      const given = session ?? (await new Promise<Buffer>((resolve) => client.once('session', resolve)))
      return { socket: await accepted, given, client }
    }
    const first = await meet()
    const second = await meet(first.given)
    try {
      assert.deepEqual(
        [first, second].map(({ socket }) => socket.isSessionReused()),
        [false, true],
      )
      const peers = new Peers({ trust, required: true, now: () => AT })
      assert.equal((await peers.of(first.socket))?.identifier, SUBJECT)
      await assert.rejects(async () => peers.of(second.socket), { code: 'unknown_anchor' })
    } finally {
      for (const { client } of [first, second]) client.destroy()
      server.close()
    }
  })

  it('refuse who shows nothing (credential_missing), where that is not allowed', async () => {
    const trust = await load({ 'bank.example': { bundle: write(pem(root)) } })
    const { socket, end } = await connection(undefined)
    try {
      const now = () => AT
      await assert.rejects(async () => new Peers({ trust, required: true, now }).of(socket), {
        code: 'credential_missing',
      })
      assert.equal(await new Peers({ trust, required: false, now }).of(socket), undefined)
    } finally {
      end()
    }
  })
})
