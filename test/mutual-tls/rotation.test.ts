// Certificates of both ends and the anchors of their trust domain are exchanged three times, while requests go on: none of them fails.
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { renameSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import tls from 'node:tls'
import { createFetcher, type Fetcher } from '../../clients/log-client/index.ts'
import type { RunningServer } from '../../log-server/main.ts'
import { toBase64 } from '../../merkle/bytes.ts'
import { type Holder, SUBJECT, uris, workload } from '../certificates/authority.ts'
import { issue, NOW, pairOf, removeDirectory, serveLog, write } from './world.ts'

const READER = 'spiffe://bank.example/reader'
/** Requests of each client between two steps. */
const STRETCH = 3
after(removeDirectory)

let sequence = 0
/** A SPIFFE bundle, each later than the one before. */
async function bundleOf(...anchors: readonly Holder[]): Promise<string> {
  const keys = anchors.map(async ({ keys, der }) => {
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', keys.publicKey)
    return { use: 'x509-svid', kty, crv, x, y, x5c: [toBase64(der)] }
  })
  return JSON.stringify({ keys: await Promise.all(keys), spiffe_sequence: ++sequence })
}

/** Whole, or as it was: whoever begins while a half of it is there has none to go on with. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

const serverOf = async (issuer: Holder) => ({
  holder: await issue(`server under ${issuer.name}`, { issuer, extensions: workload() }),
  between: [],
})
const readerOf = async (issuer: Holder) =>
  pairOf({
    holder: await issue(`reader under ${issuer.name}`, { issuer, extensions: workload(uris(READER)) }),
    between: [],
  })

/** Keeps asking until it is told to stop. */
class Client {
  readonly #next: () => Fetcher
  readonly #failures: string[]
  #stopped = false
  #answered = 0
  readonly done: Promise<void>

  /** @param next - the fetcher of the next request: one for all, or one for each, which is a handshake for each */
  constructor(next: () => Fetcher, failures: string[]) {
    this.#next = next
    this.#failures = failures
    this.done = this.#run()
  }

  get answered(): number {
    return this.#answered
  }

  stop(): Promise<void> {
    this.#stopped = true
    return this.done
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#next().fetch({ path: 'checkpoint', maxBytes: 10_000 })
      } catch (error) {
        this.#failures.push(`${String((error as { code?: unknown }).code)}: ${String(error)}`)
      }
      this.#answered++
    }
  }
}

describe('three rotations under load', () => {
  it('fail no honest request', async (test) => {
    let anchor = await issue('anchor 0')
    const ofServer = write('trust-of-server.json', await bundleOf(anchor))
    const ofClients = write('trust-of-clients.json', await bundleOf(anchor))
    const reader = { cert: write('reader.pem', ''), key: write('reader-key.pem', '') }
    const put = (files: typeof reader, which: 'cert' | 'key', pair: typeof reader) =>
      writeFileSync(files[which], pair[which])
    const first = await readerOf(anchor)
    put(reader, 'cert', first)
    put(reader, 'key', first)

    const access = {
      clientCertificate: 'required',
      trustDomains: { 'bank.example': { bundle: ofServer } },
      rules: [{ who: [READER], may: ['read'] }],
      audit: { file: write('audit.jsonl', '') },
    }
    const told: string[] = []
    const logger = { level: 'info', stream: { write: (line: string) => void told.push(line) } }
    const { server, tls: ofLog } = await serveLog('rotation', { access, shown: await serverOf(anchor), logger })
    test.after(() => server.close())
    // Of the clients: moved on instead of waited for.
    let now = NOW
    const fromFiles = async () => ({
      cert: await readFile(reader.cert, 'utf8'),
      key: await readFile(reader.key, 'utf8'),
    })
    // Whoever begins while only one file is there has none to go on with.
    let whole = first
    const fetcher = (certificate = fromFiles) =>
      createFetcher({
        url: server.url,
        sockets: 4,
        now: () => now,
        tls: {
          certificate,
          server: { identifier: SUBJECT, bundle: () => readFile(ofClients) },
        },
      })
    const failures: string[] = []
    const kept = [fetcher(), fetcher()]
    const opened: Fetcher[] = []
    const fresh = () => {
      opened.at(-8)?.close()
      opened.push(fetcher(async () => whole))
      return opened.at(-1)!
    }
    test.after(() => {
      for (const each of [...kept, ...opened]) each.close()
    })
    const clients = [
      ...kept.flatMap((one) => Array.from({ length: 4 }, () => new Client(() => one, failures))),
      ...Array.from({ length: 4 }, () => new Client(fresh, failures)),
    ]
    /** Until each client has had some answers more. */
    async function stretch(): Promise<void> {
      const before = clients.map(({ answered }) => answered)
      while (clients.some(({ answered }, i) => answered < before[i]! + STRETCH)) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    /** Whoever looks at files from time to time does it now. */
    async function everybodyLooks(): Promise<void> {
      await server.reload()
      now += 5
      await stretch()
    }

    await stretch()
    for (let round = 1; round <= 3; round++) {
      const next = await issue(`anchor ${round}`)
      // Both anchors, then certificates of the next, file by file, then the next anchor alone.
      for (const file of [ofServer, ofClients]) replace(file, await bundleOf(anchor, next))
      await everybodyLooks()
      const [log, client] = [await pairOf(await serverOf(next)), await readerOf(next)]
      for (const half of ['key', 'cert'] as const) {
        put(ofLog, half, log)
        await everybodyLooks()
      }
      for (const half of ['cert', 'key'] as const) {
        put(reader, half, client)
        await everybodyLooks()
      }
      whole = client
      await stretch()
      for (const file of [ofServer, ofClients]) replace(file, await bundleOf(next))
      await everybodyLooks()
      // A bundle that is being written.
      writeFileSync(ofServer, '{"keys": [')
      await everybodyLooks()
      writeFileSync(ofServer, await bundleOf(next))
      anchor = next
    }
    await Promise.all(clients.map((client) => client.stop()))
    assert.deepEqual(failures, [])
    assert.equal(await issuerServed(server), 'anchor 3')
    // Each round: two bundles, and a pair; and of the halves of a pair and of a bundle why they were not taken.
    assert.ok(told.filter((line) => line.includes('are in force')).length >= 9, told.join(''))
    assert.ok(told.filter((line) => line.includes('is kept')).length >= 6, told.join(''))
    assert.doesNotMatch(told.join(''), /BEGIN|"x5c"/)
  })
})

/** Who issued what a new connection is shown. */
function issuerServed({ url }: RunningServer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { port: Number(new URL(url).port), host: '127.0.0.1', rejectUnauthorized: false },
      () => {
        resolve(String(socket.getPeerCertificate().issuer.CN))
        socket.destroy()
      },
    )
    socket.on('error', reject)
  })
}
