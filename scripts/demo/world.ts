/**
 * The demo's cast: a log in a temporary folder, and the keys of everybody who uses it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKey } from '../../clients/cli/key-files.ts'
import { LogClient } from '../../clients/log-client/index.ts'
import { initLog, type RunningServer, startServer } from '../../log-server/index.ts'
import { createNoteSigner, fromBase64url, type NoteSigner } from '../../merkle/index.ts'
import { type PrivateJwk, type PublicJwk, parsePrivateJwk, publicJwkOf } from '../../statement/index.ts'

export const TRUST_DOMAIN = 'bank.example'
export const ISSUER = `spiffe://${TRUST_DOMAIN}/issuer`
export const VERIFIER = `spiffe://${TRUST_DOMAIN}/verifier`
export const AUDITOR = `spiffe://${TRUST_DOMAIN}/auditor`
export const WORKLOAD = `spiffe://${TRUST_DOMAIN}/provlog/log-server`

export interface Actor {
  readonly private: PrivateJwk
  readonly public: PublicJwk
}

export interface World {
  readonly directory: string
  readonly server: RunningServer
  /** Pinned to the log's key. */
  readonly client: LogClient
  readonly adminKey: string
  readonly issuer: Actor
  readonly verifier: Actor
  readonly attester: Actor
  readonly workload: Actor
  readonly auditor: Actor
  /** With which the auditor opens sealed sections. */
  readonly auditorEncryption: Actor
  readonly files: {
    readonly trust: string
    readonly credential: string
    readonly bundle: string
    readonly state: string
  }
  /** The log's own checkpoint key, as a dishonest operator could use it. */
  readonly logSigner: () => Promise<NoteSigner>
  readonly now: () => number
  readonly random: (length: number) => Uint8Array
  close(options: { keepFiles: boolean }): Promise<void>
}

export async function createWorld(): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-demo-'))
  const now = () => Math.floor(Date.now() / 1000)
  const random = (length: number) => new Uint8Array(randomBytes(length))
  const dataDir = join(directory, 'log')
  const created = await initLog({ dataDir, origin: 'log.bank.example/demo', now, random })
  const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 } })
  const client = new LogClient({
    url: server.url,
    pinned: { origin: created.origin, vkey: created.vkey },
    clock: now,
  })
  return {
    directory,
    server,
    client,
    adminKey: created.adminKey,
    issuer: actor('ES256'),
    verifier: actor('ES256'),
    attester: actor('Ed25519'),
    workload: actor('ES256'),
    auditor: actor('ES256'),
    auditorEncryption: actor('X25519'),
    files: {
      trust: join(directory, 'TRUST.json'),
      credential: join(directory, 'credential.jwt'),
      bundle: join(directory, 'bundle.provlog'),
      state: join(directory, 'audit'),
    },
    logSigner: async () => {
      const { d } = parsePrivateJwk(JSON.parse(await readFile(join(dataDir, 'checkpoint.jwk'), 'utf8')))
      return createNoteSigner(created.origin, fromBase64url(d))
    },
    now,
    random,
    close: async ({ keepFiles }) => {
      client.close()
      await server.close()
      if (!keepFiles) await rm(directory, { recursive: true, force: true })
    },
  }
}

function actor(algorithm: 'ES256' | 'Ed25519' | 'X25519'): Actor {
  const privateJwk = generateKey(algorithm)
  return { private: privateJwk, public: publicJwkOf(privateJwk) }
}
