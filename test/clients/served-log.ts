/**
 * A real log on a real port, somebody who may write to it, and a liar to put in front of it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type FetchAnswer, LogClient, type LogClientOptions } from '../../clients/log-client/index.ts'
import { initLog } from '../../log-server/init.ts'
import { startServer } from '../../log-server/main.ts'
import { createNoteSigner, fromBase64url, type NoteSigner, sha256, utf8 } from '../../merkle/index.ts'
import { type Author, encodePublicKey, type NewRecord, type Role } from '../../provenance/index.ts'
import { importSigningKey, type PrivateJwk, parsePrivateJwk, type SigningKey } from '../../statement/index.ts'
import { newKeyPair } from '../key-pairs.ts'

export const NOW = 1_800_000_000
export const ORIGIN = 'log.example/test'
export const ISSUER = 'spiffe://bank.example/issuer'
export const random = (length: number) => new Uint8Array(randomBytes(length))
const clock = () => NOW

export interface ServedLog {
  readonly url: string
  readonly vkey: string
  readonly client: LogClient
  /** The log's admin. */
  readonly admin: Author
  /** The log's own checkpoint key: for tests in which the operator is the attacker. */
  readonly noteSigner: NoteSigner
  /** Directory that goes away with the test. */
  readonly scratch: string
  /** A pinned client, of this log or of whoever answers at `url` in its place. */
  clientAt(url: string, options?: Partial<LogClientOptions>): LogClient
  /** Somebody whom the admin has just authorized. */
  authorize(
    role: Role,
    subject?: string,
    options?: { notBefore?: number; notAfter?: number; key?: SigningKey },
  ): Promise<Author & { readonly entry: Uint8Array }>
}

/** Starts a log that ends with the test. */
export async function serveLog(t: Pick<TestContext, 'after'>): Promise<ServedLog> {
  const scratch = await mkdtemp(join(tmpdir(), 'provlog-client-'))
  const dataDir = join(scratch, 'log')
  const { vkey, adminKey } = await initLog({ dataDir, origin: ORIGIN, now: clock, random })
  const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, now: clock })
  const clients: LogClient[] = []

  const clientAt: ServedLog['clientAt'] = (url, options) => {
    const client = new LogClient({ url, pinned: { origin: ORIGIN, vkey }, clock, sleep: async () => {}, ...options })
    clients.push(client)
    return client
  }
  t.after(async () => {
    for (const client of clients) client.close()
    await server.close()
    await rm(scratch, { recursive: true })
  })

  const client = clientAt(server.url)
  const adminJwk = parsePrivateJwk(JSON.parse(await readFile(adminKey, 'utf8')))
  const admin = authorOf(await importSigningKey(adminJwk), ORIGIN)
  return {
    url: server.url,
    vkey,
    client,
    admin,
    noteSigner: createNoteSigner(ORIGIN, await readSeed(dataDir)),
    scratch,
    clientAt,
    async authorize(role, subject = ISSUER, { notBefore = NOW - 1000, notAfter, key: given } = {}) {
      const key = given ?? (await importSigningKey(newKey()))
      const { entry } = await client.registerRecord(
        {
          type: 'key-authorization',
          fields: {
            role,
            trustDomain: 'bank.example',
            subject,
            key: encodePublicKey(key.publicJwk),
            notBefore,
            ...(notAfter === undefined ? {} : { notAfter }),
          },
        },
        admin,
      )
      return { ...authorOf(key, subject), entry }
    },
  }
}

/** An issuance policy, by default the first version of `payments`. */
export function policyOf(
  text: string,
  fields: Partial<NewRecord<'issuance-policy'>['fields']> = {},
): NewRecord<'issuance-policy'> {
  const content = utf8(text)
  return {
    type: 'issuance-policy',
    fields: {
      policyId: 'payments',
      version: 1,
      mediaType: 'text/plain',
      digest: sha256(content),
      notBefore: NOW - 100,
      content,
      ...fields,
    },
  }
}

export function newKey(): PrivateJwk {
  const { privateKey } = newKeyPair('ec', { namedCurve: 'P-256' })
  return parsePrivateJwk(privateKey.export({ format: 'jwk' }))
}

async function readSeed(dataDir: string): Promise<Uint8Array> {
  const { d } = parsePrivateJwk(JSON.parse(await readFile(join(dataDir, 'checkpoint.jwk'), 'utf8')))
  return fromBase64url(d)
}

/** What a liar does with an honest answer: another one, or `undefined` to pass it on. */
export type Lie = (path: string, honest: FetchAnswer) => Partial<FetchAnswer> | undefined

/** A server in front of `url` that answers as it does, except where it lies. */
export async function serveLies(t: Pick<TestContext, 'after'>, url: string, lie: Lie): Promise<string> {
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Uint8Array[] = []
      for await (const chunk of request) chunks.push(chunk)
      const method = request.method ?? 'GET'
      const type = request.headers['content-type']
      const answer = await fetch(url + request.url, {
        method,
        redirect: 'manual',
        ...(type === undefined ? {} : { headers: { 'content-type': type } }),
        ...(method === 'GET' ? {} : { body: Buffer.concat(chunks) }),
      })
      const honest: FetchAnswer = {
        status: answer.status,
        headers: { 'content-type': answer.headers.get('content-type') ?? '' },
        body: new Uint8Array(await answer.arrayBuffer()),
      }
      const { status, headers, body } = { ...honest, ...lie((request.url ?? '').slice(1), honest) }
      response.writeHead(status, headers).end(body)
    })()
  })
  return listen(t, server)
}

/** Listens on a port of its own until the end of the test. */
export async function listen(t: Pick<TestContext, 'after'>, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function authorOf(key: SigningKey, issuer: string): Author {
  return { key, issuer, now: NOW, random }
}
