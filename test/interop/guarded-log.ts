/**
 * A log with a door: it asks who comes, by certificates of the trust domains that it is given.
 *
 * It is filled, and statements for others to register are signed, before the door is there: what is looked at is who may come in, and by
 * which programs.
 *
 * @module
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LogClient } from '../../clients/log-client/index.ts'
import { initLog, type RunningServer, startServer } from '../../log-server/index.ts'
import { sha256, utf8 } from '../../merkle/index.ts'
import { buildRecordStatement } from '../../provenance/index.ts'
import { parsePrivateJwk } from '../../statement/index.ts'
import type { Identity } from './authority.ts'
import { authorize, authorOf, now, random } from './log.ts'

const ORIGIN = 'log.bank.example/interop'

export interface GuardedLogOptions {
  readonly directory: string
  /** Of a trust domain of `bundles`, and for the name localhost too. */
  readonly server: Identity
  /** Paths of bundles, by trust domain. */
  readonly bundles: Readonly<Record<string, string>>
  readonly rules: readonly object[]
  /** How many statements to sign, that the issuer rule may send. */
  readonly statements: number
}

export interface GuardedLog {
  readonly url: string
  readonly origin: string
  readonly vkey: string
  /** Path of a statement that nobody registered yet. */
  spare(): string
  /** Has the server look at its files now. */
  reload(): Promise<void>
  /** What was written down of who came. */
  audit(): Promise<Readonly<Record<string, unknown>>[]>
  close(): Promise<void>
}

export async function startGuardedLog(options: GuardedLogOptions): Promise<GuardedLog> {
  const { directory, server: identity, bundles, rules } = options
  const dataDir = join(directory, 'log')
  const { adminKey } = await initLog({ dataDir, origin: ORIGIN, now, random })
  const open = await startServer({ dataDir, listen: { host: 'localhost', port: 0 } })
  const spares: string[] = []
  try {
    spares.push(...(await signStatements(open, adminKey, join(directory, 'spares'), options.statements)))
  } finally {
    await open.close()
  }

  const path = join(dataDir, 'config.json')
  const config = JSON.parse(await readFile(path, 'utf8')) as object
  const trustDomains = Object.fromEntries(Object.entries(bundles).map(([name, bundle]) => [name, { bundle }]))
  const access = { trustDomains, rules, audit: { file: 'audit.jsonl' } }
  const section = { listen: { host: 'localhost', port: 0 }, tls: { cert: identity.cert, key: identity.key }, access }
  await writeFile(path, JSON.stringify({ ...config, server: section }))
  const server = await startServer({ dataDir })
  return {
    url: server.url,
    origin: ORIGIN,
    vkey: server.vkey,
    spare() {
      const spare = spares.pop()
      if (spare === undefined) throw new Error('no statement is left: sign more')
      return spare
    },
    reload: () => server.reload(),
    async audit() {
      const lines = (await readFile(join(dataDir, 'audit.jsonl'), 'utf8')).split('\n').filter((line) => line !== '')
      return lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    },
    close: () => server.close(),
  }
}

async function signStatements(server: RunningServer, adminKey: string, directory: string, count: number) {
  const client = new LogClient({ url: server.url, pinned: { origin: ORIGIN, vkey: server.vkey }, clock: now })
  try {
    const admin = await authorOf(parsePrivateJwk(JSON.parse(await readFile(adminKey, 'utf8'))), ORIGIN)
    const { author } = await authorize(client, admin, 'ES256', 'spiffe://bank.example/issuer')
    await mkdir(directory)
    const spares: string[] = []
    for (let i = 0; i < count; i++) {
      const content = utf8(`permit ${i}`)
      const fields = { policyId: `policy-${i}`, version: 1, mediaType: 'text/plain', digest: sha256(content), content }
      const record = { type: 'issuance-policy', fields: { ...fields, notBefore: now() - 100 } } as const
      const { statement } = await buildRecordStatement(record, author)
      spares.push(join(directory, `${i}.cose`))
      await writeFile(spares.at(-1)!, statement.bytes)
    }
    return spares
  } finally {
    client.close()
  }
}
