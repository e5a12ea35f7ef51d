/**
 * A log over TLS in a temporary directory, and people who may write to it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKey } from '../../clients/cli/key-files.ts'
import { createFetcher, type FetchAnswer, type Fetcher, LogClient } from '../../clients/log-client/index.ts'
import { initLog, startServer } from '../../log-server/index.ts'
import { createNoteSigner, fromBase64url, type NoteSigner, sha256, utf8 } from '../../merkle/index.ts'
import { type Author, buildRecordStatement, encodePublicKey } from '../../provenance/index.ts'
import {
  importSigningKey,
  type PrivateJwk,
  parsePrivateJwk,
  publicJwkOf,
  type SignedStatement,
} from '../../statement/index.ts'
import { writeCertificates } from '../log-server/certificates.ts'

const ORIGIN = 'log.example/interop'
const TRUST_DOMAIN = 'bank.example'

export const now = (): number => Math.floor(Date.now() / 1000)
export const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length))

export interface Writer {
  readonly author: Author
  readonly algorithm: 'ES256' | 'Ed25519'
}

export interface InteropLog {
  readonly directory: string
  readonly url: string
  readonly origin: string
  readonly vkey: string
  /** PEM of the anchor that the server's certificate is of. */
  readonly ca: string
  readonly client: LogClient
  readonly admin: Author
  /** Path of the admin's private key. */
  readonly adminKey: string
  /** Path of the log itself. */
  readonly dataDir: string
  /** With the log's own checkpoint key: for what only a dishonest log would sign. */
  readonly signer: NoteSigner
  readonly writers: readonly Writer[]
  get(path: string, accept?: string): Promise<FetchAnswer>
  /** A statement that the log will take, not registered yet. */
  build(writer: Writer): Promise<SignedStatement>
  /** Registers statements until the tree has `size` leaves. */
  grow(size: number): Promise<void>
  close(): Promise<void>
}

export async function startLog(): Promise<InteropLog> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-interop-'))
  try {
    return await serve(directory)
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

async function serve(directory: string): Promise<InteropLog> {
  const dataDir = join(directory, 'log')
  const { vkey, adminKey } = await initLog({ dataDir, origin: ORIGIN, now, random })
  const { ca, tls } = await writeCertificates(directory)
  const server = await startServer({ dataDir, listen: { host: 'localhost', port: 0 }, tls })
  const anchors = { ca: await readFile(ca, 'utf8') }
  const client = new LogClient({ url: server.url, pinned: { origin: ORIGIN, vkey }, clock: now, tls: anchors })
  const fetcher: Fetcher = createFetcher({ url: server.url, tls: anchors })

  const jwkAt = async (path: string) => parsePrivateJwk(JSON.parse(await readFile(path, 'utf8')))
  const admin = await authorOf(await jwkAt(adminKey), ORIGIN)
  const writers = [
    await authorize(client, admin, 'ES256', `spiffe://${TRUST_DOMAIN}/issuer/es256`),
    await authorize(client, admin, 'Ed25519', `spiffe://${TRUST_DOMAIN}/issuer/ed25519`),
  ]
  const [writer] = writers

  let made = 0
  const build = async ({ author }: Writer): Promise<SignedStatement> => {
    const content = utf8(`permit ${made}`)
    const { statement } = await buildRecordStatement(
      {
        type: 'issuance-policy',
        fields: {
          policyId: `policy-${made++}`,
          version: 1,
          mediaType: 'text/plain',
          digest: sha256(content),
          notBefore: now() - 100,
          content,
        },
      },
      author,
    )
    return statement
  }
  const get: InteropLog['get'] = (path, accept = '*/*') => fetcher.fetch({ path, accept, maxBytes: 2 ** 20 })

  return {
    directory,
    url: server.url,
    origin: ORIGIN,
    vkey,
    ca,
    client,
    admin,
    adminKey,
    dataDir,
    signer: createNoteSigner(ORIGIN, fromBase64url((await jwkAt(join(dataDir, 'checkpoint.jwk'))).d)),
    writers,
    get,
    build,
    async grow(size) {
      const missing = size - (await client.checkpoint()).size
      const statements = await Promise.all(Array.from({ length: Math.max(0, missing) }, () => build(writer!)))
      for (const answer of await client.registerAll(statements.map(({ bytes }) => bytes))) {
        if (answer instanceof Error) throw answer
      }
    },
    async close() {
      client.close()
      fetcher.close()
      await server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export async function authorOf(jwk: PrivateJwk, issuer: string): Promise<Author> {
  return { key: await importSigningKey(jwk), issuer, now: now(), random }
}

export async function authorize(
  client: LogClient,
  admin: Author,
  algorithm: Writer['algorithm'],
  subject: string,
): Promise<Writer> {
  const jwk = generateKey(algorithm)
  await client.registerRecord(
    {
      type: 'key-authorization',
      fields: {
        role: 'issuer',
        trustDomain: TRUST_DOMAIN,
        subject,
        key: encodePublicKey(publicJwkOf(jwk)),
        notBefore: now() - 1000,
      },
    },
    admin,
  )
  return { author: await authorOf(jwk, subject), algorithm }
}
