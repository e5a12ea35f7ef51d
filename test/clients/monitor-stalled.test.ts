/**
 * What a monitor says of a real log server that stops appending: its disk fills up and has room again, the process is stopped and goes on, and
 * whoever appends regularly does not.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { replay } from '../../clients/auditor/index.ts'
import { createFetcher, LogClient, RefusedError } from '../../clients/log-client/index.ts'
import { type FollowedLog, followLog, type Outcome } from '../../clients/monitor/index.ts'
import { initLog } from '../../log-server/index.ts'
import { parseVkey, UnavailableError } from '../../merkle/index.ts'
import { encodePublicKey } from '../../provenance/index.ts'
import { importSigningKey, parsePrivateJwk } from '../../statement/index.ts'
import { newKey, random } from './served-log.ts'

const ORIGIN = 'log.example/stalled'
const STALLED_AFTER = 600
const directory = mkdtempSync(join(tmpdir(), 'provlog-stalled-'))
const mounted = join(directory, 'mounted')
const clock = () => Math.floor(Date.now() / 1000)

/** A file system of its own for the server, which can be full without anybody else's being so. */
const IN_ITS_OWN = ['--map-root-user', '--mount', 'sh', '-c']
const mounts =
  spawnSync('unshare', [...IN_ITS_OWN, `mkdir -p ${mounted} && mount -t tmpfs -o size=8m tmpfs ${mounted}`]).status ===
  0
const skip = mounts
  ? false
  : 'SKIPPED: nobody may mount a file system of his own here (unshare --map-root-user --mount)'

describe('a log that stops appending', { skip, timeout: 240_000 }, () => {
  let server: ChildProcess
  let client: LogClient
  let followed: FollowedLog
  let admin: Awaited<ReturnType<typeof importSigningKey>>
  /** Seconds that the monitor has waited more than the clock says. */
  let later = 0
  const inServer = (name: string) => join('/proc', String(server.pid), 'root', mounted, name)

  before(async () => {
    const { vkey, adminKey } = await initLog({ dataDir: join(directory, 'log'), origin: ORIGIN, now: clock, random })
    admin = await importSigningKey(parsePrivateJwk(JSON.parse(await readFile(adminKey, 'utf8'))))
    const serve = ['--conditions=provlog-source', '--import', 'tsx', 'clients/cli/bin.ts', 'log', 'serve']
    const script = `mount -t tmpfs -o size=96m tmpfs ${mounted} && cp -r ${directory}/log/. ${mounted} && exec "$@"`
    const command = [process.execPath, ...serve, '--data', mounted, '--listen', '127.0.0.1:0', '--json']
    server = spawn('unshare', [...IN_ITS_OWN, script, 'sh', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: server.stdout! })
    const url: string = JSON.parse((await lines[Symbol.asyncIterator]().next()).value).url
    // Not so long as a command waits, for a process that is stopped does not answer at all.
    const fetcher = createFetcher({ url, timeout: 5000 })
    client = new LogClient({ url, pinned: { origin: ORIGIN, vkey }, clock, fetcher, sleep: async () => {} })
    const stateDir = join(directory, 'monitor')
    const logs = [{ origin: ORIGIN, vkey, verifier: parseVkey(vkey) }]
    const nobody = { trustDomains: new Map(), issuers: new Set<string>(), verifiers: new Set<string>() }
    const trust = { logs, ...nobody, minimumTier: 'affirming' as const }
    const audit = () => replay({ client, trust, stateDir, now: clock() })
    followed = { origin: ORIGIN, directory: stateDir, client, audit, seen: async () => [] }
  })
  after(async () => {
    client?.close()
    server?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })

  const round = (heartbeat?: number): Promise<Outcome> => {
    const rules = { stalledAfter: STALLED_AFTER, ...(heartbeat !== undefined && { heartbeat }) }
    return followLog(followed, { watch: [], channels: [], now: () => clock() + later, ...rules })
  }
  const kinds = ({ alerts }: Outcome) => alerts.map(({ kind }) => kind)

  async function append(subject: string): Promise<number> {
    const key = encodePublicKey((await importSigningKey(newKey())).publicJwk)
    const fields = { role: 'vendor' as const, trustDomain: 'vendor.example', subject, key, notBefore: clock() }
    const author = { key: admin, issuer: ORIGIN, now: clock(), random }
    return (await client.registerRecord({ type: 'key-authorization', fields }, author)).index
  }

  async function until(ready: boolean): Promise<void> {
    while (((await client.notReady()) === undefined) !== ready) await wait(100)
  }

  it('is well while it appends, and while nobody does', async () => {
    assert.equal(await append('spiffe://vendor.example/one'), 1)
    assert.deepEqual(kinds(await round()), [])
    later += 10 * STALLED_AFTER
    const { sight, alerts, known } = await round()
    assert.deepEqual([sight, alerts, known.troubles, known.size], ['audited', [], {}, 2])
  })

  it('because its disk is full is told of once that lasts, by its own reason, though it answers readers', async () => {
    const filler = await open(inServer('filler'), 'w')
    const megabyte = new Uint8Array(2 ** 20)
    for (let room = true; room; )
      room = await filler.write(megabyte).then(
        () => true,
        () => false,
      )
    await filler.close()
    await until(false)
    await assert.rejects(
      append('spiffe://vendor.example/two'),
      (error) => error instanceof UnavailableError || error instanceof RefusedError,
    )

    const first = await round()
    assert.deepEqual([first.sight, kinds(first)], ['audited', []])
    later += STALLED_AFTER
    const lasting = await round()
    assert.deepEqual(kinds(lasting), ['log-stalled'])
    assert.match(lasting.alerts[0]!.summary, /disk_full/)
    assert.deepEqual(kinds(await round()), [])

    await rm(inServer('filler'))
    await until(true)
    assert.equal(await append('spiffe://vendor.example/three'), 2)
    const { known, alerts } = await round()
    assert.deepEqual([known.size, known.troubles, alerts], [3, {}, []])
  })

  it('because its process is stopped is told of as a log that is away, and no more once it goes on', async () => {
    server.kill('SIGSTOP')
    const first = await round()
    assert.deepEqual([first.sight, kinds(first)], ['unreachable', []])
    assert.match(first.unavailable[0]!, /no complete answer/)
    later += STALLED_AFTER
    assert.deepEqual(kinds(await round()), ['log-unreachable'])
    server.kill('SIGCONT')
    await until(true)
    const { sight, known } = await round()
    assert.deepEqual([sight, known.troubles], ['audited', {}])
  })

  it('because nobody appends is told of where somebody was to, until there is an entry', async () => {
    assert.deepEqual(kinds(await round(900)), [])
    later += 900
    const late = await round(900)
    assert.deepEqual([kinds(late), late.alerts[0]!.details['code']], [['log-stalled'], 'no_heartbeat'])
    await append('spiffe://vendor.example/four')
    assert.deepEqual((await round(900)).known.troubles, {})
  })
})
