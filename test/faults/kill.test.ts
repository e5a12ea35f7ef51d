/**
 * SIGKILL under load: whatever was acknowledged is there afterwards, at the same place, and every old receipt still verifies.
 *
 * A real server process, killed at a different moment of its commit cycle each round. `PROVLOG_KILLS` sets the rounds.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { generateKey } from '../../clients/cli/key-files.ts'
import { LogClient } from '../../clients/log-client/index.ts'
import { fsckData, initLog } from '../../log-server/index.ts'
import { sha256, toHex } from '../../merkle/index.ts'
import { buildRecordStatement, encodePublicKey } from '../../provenance/index.ts'
import { importSigningKey, parsePrivateJwk, parseReceipt, publicJwkOf, verifyReceipt } from '../../statement/index.ts'

const KILLS = Number(process.env['PROVLOG_KILLS'] ?? 4)
const WRITERS = 16
const ORIGIN = 'log.example/kill'
const ISSUER = 'spiffe://bank.example/issuer'
const directory = mkdtempSync(join(tmpdir(), 'provlog-kill-'))
const now = () => Math.floor(Date.now() / 1000)
const random = (length: number) => new Uint8Array(randomBytes(length))

interface Acknowledged {
  readonly entry: Uint8Array
  readonly index: number
  readonly receipt: Uint8Array
}

after(() => rmSync(directory, { recursive: true, force: true }))

describe('a server that is killed', () => {
  it(`keeps every acknowledged entry, ${KILLS} times over`, { timeout: 240_000 }, async (t) => {
    const dataDir = join(directory, 'log')
    const { vkey, adminKey } = await initLog({ dataDir, origin: ORIGIN, now, random })
    const pinned = { origin: ORIGIN, vkey }
    const issuerKey = generateKey('ES256')
    const acknowledged: Acknowledged[] = []
    let serial = 0

    for (let round = 0; round <= KILLS; round++) {
      const server = await serve(dataDir)
      // Without waiting between tries: once the server is dead it stays dead.
      const client = new LogClient({ url: server.url, pinned, clock: now, sleep: () => Promise.resolve() })
      if (round === 0) await authorize(client, adminKey, issuerKey)
      await checkAll(client, acknowledged)
      if (round === KILLS) {
        client.close()
        await ended(server.process, 'SIGTERM')
        break
      }

      // The kill comes after a number of acknowledgements that differs from round to round, while others are in flight.
      const until = acknowledged.length + 23 + 17 * round
      let dead = false
      const write = async () => {
        while (!dead) {
          const statement = await policyStatement(issuerKey, `policy-${serial++}`)
          try {
            const { entry, index, receipt } = await client.register(statement)
            acknowledged.push({ entry, index, receipt })
          } catch (error) {
            if (!dead) throw error
            return
          }
          if (acknowledged.length >= until && !dead) {
            dead = true
            server.process.kill('SIGKILL')
          }
        }
      }
      await Promise.all(Array.from({ length: WRITERS }, write))
      await ended(server.process)
      client.close()
    }

    const report = await fsckData(dataDir)
    assert.deepEqual(report.findings, [])
    assert.equal(new Set(acknowledged.map(({ index }) => index)).size, acknowledged.length, 'an index was reused')
    t.diagnostic(`${KILLS} kills, ${acknowledged.length} acknowledged, ${report.size} entries, none lost`)
  })
})

async function serve(dataDir: string): Promise<{ process: ChildProcess; url: string }> {
  const command = ['--conditions=provlog-source', '--import', 'tsx', 'clients/cli/bin.ts', 'log', 'serve']
  const child = spawn(process.execPath, [...command, '--data', dataDir, '--listen', '127.0.0.1:0', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    return { process: child, url: JSON.parse(line).url }
  }
  throw new Error('the server ended before it answered')
}

function ended(child: ChildProcess, signal?: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  if (signal !== undefined) child.kill(signal)
  return gone
}

async function authorize(client: LogClient, adminKey: string, issuer: ReturnType<typeof generateKey>): Promise<void> {
  const admin = await importSigningKey(parsePrivateJwk(JSON.parse(readFileSync(adminKey, 'utf8'))))
  await client.registerRecord(
    {
      type: 'key-authorization',
      fields: {
        role: 'issuer',
        trustDomain: 'bank.example',
        subject: ISSUER,
        key: encodePublicKey(publicJwkOf(issuer)),
        notBefore: now(),
      },
    },
    { key: admin, issuer: ORIGIN, now: now(), random },
  )
}

async function policyStatement(key: ReturnType<typeof generateKey>, policyId: string): Promise<Uint8Array> {
  const { statement } = await buildRecordStatement(
    {
      type: 'issuance-policy',
      fields: { policyId, version: 1, mediaType: 'text/plain', digest: sha256(random(8)), notBefore: now() },
    },
    { key: await importSigningKey(key), issuer: ISSUER, now: now(), random },
  )
  return statement.bytes
}

/** Every entry is where it was said to be, and the receipt given then verifies now under the log's key. */
async function checkAll(client: LogClient, acknowledged: readonly Acknowledged[]): Promise<void> {
  const { receiptKeys } = await client.policy()
  for (const { entry, index, receipt } of acknowledged) {
    const parsed = parseReceipt(receipt)
    const key = receiptKeys.get(parsed.kid ?? '')
    assert.ok(key, 'the receipt names a key of the log')
    await verifyReceipt(parsed, entry, key, { origin: ORIGIN })
    assert.equal((await client.statement(entry)).index, index, toHex(entry))
  }
}
