/**
 * Backups, restored or not, frozen logs and status: by the commands, of logs that are served and of those that are not.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createConnection } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fsckData, openLog, paths } from '../../log-server/index.ts'
import { sha256, toHex, utf8 } from '../../merkle/index.ts'
import { line } from '../../scripts/line.ts'
import { TestCommand } from './test-io.ts'

const OLD = 'test/fixtures/log-format-1'
const now = () => Math.floor(Date.now() / 1000)
const command = new TestCommand()
let last = 0
const fresh = () => command.path(`dir-${++last}`)

before(async () => {
  await cp(OLD, command.path('log'), { recursive: true })
})
after(() => command.remove())

/** Appends to a stopped log. Returns its checkpoint. */
async function append(dataDir: string, said: string): Promise<string> {
  const log = await openLog({ dataDir, now })
  try {
    await log.sequencer.appendRaw(utf8(said))
    return log.reader.checkpoint()
  } finally {
    await log.close()
  }
}

async function backupOf(dataDir: string, ...more: string[]): Promise<string> {
  const out = fresh()
  await command.json('log', 'backup', '--data', dataDir, '--out', out, ...more)
  return out
}

async function refused(exit: number, code: string, ...words: string[]): Promise<string> {
  const answer = await command.run(...words, '--json')
  assert.equal(answer.exit, exit, answer.err)
  assert.equal(JSON.parse(answer.out).code, code)
  return answer.err
}

describe('a backup of a stopped log', () => {
  it('restores as a log that is sound, of the newest format, with wraps and without what was erased', async () => {
    const backup = await backupOf(command.path('log'))
    const data = fresh()
    const restored = await command.json(...line`log restore --from ${backup} --data ${data} --unchecked --keys ${OLD}`)
    assert.equal(restored['size'], 114)
    assert.deepEqual((await fsckData(data)).findings, [])
    assert.equal(JSON.parse(await readFile(paths(data).config, 'utf8')).format, 2)
    const log = await openLog({ dataDir: data, now })
    const entry = async (index: number) => (await log.reader.entryAt(index))!
    assert.equal((await log.reader.wraps(await entry(9))).length, 0)
    assert.equal((await log.reader.wraps(await entry(11))).length, 1)
    await assert.rejects(log.reader.statement(10), { code: 'statement_erased' })
    assert.equal(await log.sequencer.appendRaw(utf8('more')), 114)
    await log.close()
    assert.deepEqual((await fsckData(data)).findings, [])
  })

  it('has no private key unless that is asked for, and never the admin’s', async () => {
    const names = async (directory: string) =>
      (await readdir(directory, { recursive: true })).filter((name) => name.endsWith('.jwk'))
    assert.deepEqual(await names(await backupOf(command.path('log'))), [])
    const backup = await backupOf(command.path('log'), '--with-keys')
    assert.deepEqual((await names(backup)).sort(), ['keys/checkpoint.jwk', 'keys/receipt.jwk'])
    const data = fresh()
    await command.json('log', 'restore', '--from', backup, '--data', data, '--unchecked')
    await append(data, 'by its own keys')
  })

  it('is not written over anything (log_exists), and neither is a restored log', async () => {
    const backup = await backupOf(command.path('log'))
    await refused(1, 'log_exists', 'log', 'backup', '--data', command.path('log'), '--out', backup)
    await refused(1, 'log_exists', 'log', 'restore', '--from', backup, '--data', command.path('log'), '--unchecked')
    assert.deepEqual((await fsckData(command.path('log'))).findings, [])
  })

  it('is not made of a log that is damaged (log_damaged)', async () => {
    const data = fresh()
    await cp(OLD, data, { recursive: true })
    const table = join(data, 'store', '000021.ldb')
    const bytes = await readFile(table)
    const at = bytes.indexOf('raw entry 50')
    bytes[at]! ^= 1
    await writeFile(table, bytes)
    const out = fresh()
    await refused(5, 'log_damaged', 'log', 'backup', '--data', data, '--out', out)
    await refused(1, 'backup_incomplete', 'log', 'restore', '--from', out, '--data', fresh(), '--unchecked')
  })
})

describe('what is no whole backup', () => {
  const damages: [what: string, code: string, damage: (backup: string) => Promise<unknown>][] = [
    ['without a manifest', 'backup_incomplete', (backup) => rm(join(backup, 'manifest.json'))],
    ['without its records', 'backup_incomplete', (backup) => rm(join(backup, 'records-000000'))],
    [
      'whose records are cut short',
      'backup_incomplete',
      (backup) => change(backup, 'records-000000', (bytes) => bytes.subarray(0, -1)),
    ],
    [
      'whose records go on',
      'backup_damaged',
      (backup) => change(backup, 'records-000000', (bytes) => Buffer.concat([bytes, Buffer.of(0)])),
    ],
    ['with another bit', 'backup_damaged', (backup) => change(backup, 'records-000000', (bytes) => flip(bytes, 5000))],
    ['with another checkpoint', 'backup_damaged', (backup) => change(backup, 'checkpoint', (bytes) => flip(bytes, 0))],
    ['with a file too many', 'backup_damaged', (backup) => writeFile(join(backup, 'records-000001'), '')],
    ['with a manifest that is an array', 'backup_damaged', (backup) => writeFile(join(backup, 'manifest.json'), '[]')],
    ['with a manifest that is no JSON', 'malformed_config', (backup) => writeFile(join(backup, 'manifest.json'), '{')],
    ['of a newer version', 'backup_damaged', (backup) => manifest(backup, (said) => ({ ...said, backup: 2 }))],
    ['that names a file elsewhere', 'backup_damaged', (backup) => names(backup, '../../etc/passwd')],
    ['that names a prototype', 'backup_damaged', (backup) => names(backup, 'constructor')],
    ['of a size that is none', 'backup_damaged', (backup) => manifest(backup, (said) => ({ ...said, size: -1 }))],
    ['of another size than it has', 'backup_damaged', (backup) => manifest(backup, (said) => ({ ...said, size: 113 }))],
    [
      'of another root than it has',
      'backup_damaged',
      (backup) => manifest(backup, (said) => ({ ...said, root: '00'.repeat(32) })),
    ],
  ]
  for (const [what, code, damage] of damages) {
    it(`is refused: one ${what} (${code}), and leaves nothing behind`, async () => {
      const backup = await backupOf(command.path('log'))
      await damage(backup)
      const data = fresh()
      await refused(1, code, 'log', 'restore', '--from', backup, '--data', data, '--unchecked')
      assert.deepEqual(await readdir(data).catch(() => []), [])
    })
  }
})

describe('a restore', () => {
  let backup: string
  let data: string
  let newer: string
  before(async () => {
    data = fresh()
    await cp(OLD, data, { recursive: true })
    backup = await backupOf(data)
    newer = await append(data, 'after the backup')
  })
  const restore = (...more: string[]) => ['log', 'restore', '--from', backup, '--data', fresh(), ...more]

  it('has to ask somebody, or to say that it does not', async () => {
    await refused(2, 'usage', ...restore())
  })

  it('refuses to fork a log whose guard, checkpoint or witness knows more, and says what to do (exit 5)', async () => {
    const kept = command.path('newer')
    await writeFile(kept, newer)
    const served = await serveNote(newer)
    try {
      for (const flags of [
        ['--old', data],
        ['--checkpoint', kept],
        ['--checkpoint-url', `${served.url}/checkpoint`],
        ['--witness', served.url],
      ]) {
        const said = await refused(5, 'backup_outdated', ...restore(...flags))
        assert.match(said, /a new log with an origin of its own/)
      }
    } finally {
      served.close()
    }
  })

  it('refuses one that knows another tree of a size that the backup has (log_forked)', async () => {
    const other = fresh()
    await cp(OLD, other, { recursive: true })
    const fork = command.path('fork')
    await writeFile(fork, await append(other, 'a history of its own'))
    const late = await backupOf(data)
    await refused(5, 'log_forked', 'log', 'restore', '--from', late, '--data', fresh(), '--checkpoint', fork)
    await refused(5, 'log_forked', 'log', 'restore', '--from', late, '--data', fresh(), '--old', other)
  })

  it('takes what is as old as the backup, or older, from all of them', async () => {
    const old = command.path('old')
    await writeFile(old, await readFile(join(backup, 'checkpoint')))
    const late = await backupOf(data)
    const served = await serveNote(newer)
    try {
      const flags = [
        '--checkpoint',
        old,
        '--checkpoint-url',
        `${served.url}/checkpoint`,
        '--witness',
        served.url,
        '--old',
        data,
      ]
      const restored = await command.json('log', 'restore', '--from', late, '--data', fresh(), ...flags)
      assert.deepEqual(
        (restored['asked'] as { size: number }[]).map(({ size }) => size),
        [115, 114, 115, 115],
      )
    } finally {
      served.close()
    }
  })

  it('takes a witness that never saw the log for one that knows nothing, and one that does not answer for no answer (exit 3)', async () => {
    const served = await serveNote(undefined)
    const restored = await command.json(...restore('--witness', served.url))
    assert.deepEqual(restored['asked'], [{ from: served.url }])
    served.close()
    await refused(3, 'unavailable', ...restore('--witness', served.url))
    await refused(3, 'unavailable', ...restore('--checkpoint-url', `${served.url}/checkpoint`))
  })

  it('believes no checkpoint that another key signed, or that is none', async () => {
    for (const [said, code] of [
      [newer.replace(/\n— .*/s, '\n— log.example+x AAAAAAAA\n'), 'malformed_note'],
      ['', 'malformed_note'],
    ] as const) {
      const path = command.path('forged')
      await writeFile(path, said)
      await refused(1, code, ...restore('--checkpoint', path))
    }
    await refused(2, 'usage', ...restore('--checkpoint-url', 'file:///etc/passwd'))
  })

  it('asks a guard that can be read, or none', async () => {
    const broken = fresh()
    await mkdir(broken)
    await refused(5, 'guard_missing', ...restore('--old', broken))
    await writeFile(join(broken, 'guard'), new Uint8Array(10))
    await refused(5, 'guard_damaged', ...restore('--old', broken))
  })
})

describe('a log that is served', () => {
  it('is backed up, told about and frozen by commands beside it, and stays frozen', async () => {
    const data = command.path('served')
    await command.json('log', 'init', '--data', data, '--origin', 'log.example/served')
    await command.json('keygen', '--alg', 'ES256', '--out', '@issuer.jwk')
    const server = await command.start('log', 'serve', '--data', data, '--listen', '127.0.0.1:0')
    const { url, vkey } = server.first as { url: string; vkey: string }
    const authorize = (log: string, id: string) =>
      command.run(
        ...[
          'log',
          'authorize',
          '--log',
          log,
          '--vkey',
          vkey,
          '--admin-key',
          join(data, 'admin.jwk'),
          '--role',
          'issuer',
        ],
        ...[
          '--trust-domain',
          'bank.example',
          '--id',
          `spiffe://bank.example/${id}`,
          '--key',
          '@issuer.pub.jwk',
          '--json',
        ],
      )
    assert.equal((await authorize(url, 'a')).exit, 0)

    assert.equal((await stat(paths(data).control)).mode & 0o777, 0o600)
    const backup = await backupOf(data)
    const before = await command.json('log', 'status', '--data', data)
    assert.deepEqual([before['served'], before['size'], before['frozen']], [true, 2, false])
    assert.equal(typeof (before['scrub'] as { checked: number }).checked, 'number')
    const restored = await command.json(
      ...line`log restore --from ${backup} --data ${fresh()} --checkpoint-url ${url}/checkpoint`,
    )
    assert.equal(restored['size'], 2)

    await refused(2, 'usage', 'log', 'freeze', '--data', data)
    const frozen = await command.json('log', 'freeze', '--data', data, '--for-good')
    assert.deepEqual(await command.json('log', 'freeze', '--data', data, '--for-good'), frozen)
    assert.equal(frozen['size'], 2)
    const refusal = await authorize(url, 'b')
    assert.equal(refusal.exit, 1)
    assert.equal(JSON.parse(refusal.out).code, 'log_frozen')
    const ready = await fetch(`${url}/readyz`)
    assert.deepEqual([ready.status, ((await ready.json()) as { reason: string }).reason], [503, 'log_frozen'])
    assert.equal((await fetch(`${url}/checkpoint`)).status, 200)
    assert.equal(await server.stop(), 0)
    assert.deepEqual((await fsckData(data)).findings, [])

    const again = await command.start('log', 'serve', '--data', data, '--listen', '127.0.0.1:0')
    assert.equal(JSON.parse((await authorize(again.first['url'] as string, 'c')).out).code, 'log_frozen')
    await again.stop()
    const after = await command.json('log', 'status', '--data', data)
    assert.deepEqual([after['served'], after['size'], after['frozen']], [false, 2, true])
    const thawed = fresh()
    await command.json(
      ...line`log restore --from ${await backupOf(data)} --data ${thawed} --old ${data} --keys ${data}`,
    )
    assert.equal((await command.json('log', 'status', '--data', thawed))['frozen'], true)
  })

  it('answers whoever asks nonsense at its socket, and goes on', async () => {
    const data = fresh()
    await command.json('log', 'init', '--data', data, '--origin', 'log.example/asked')
    const server = await command.start('log', 'serve', '--data', data, '--listen', '127.0.0.1:0')
    try {
      await askNonsense(paths(data).control)
      assert.equal((await command.json('log', 'status', '--data', data))['served'], true)
    } finally {
      await server.stop()
    }
  })
})

async function askNonsense(path: string): Promise<void> {
  for (const said of ['\n', '{}\n', 'null\n', '{"do":"__proto__"}\n', '[[[\n', '\xff\n', 'x'.repeat(100_000)]) {
    const socket = createConnection(path)
    socket.on('error', () => {})
    socket.write(said)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of socket) chunks.push(chunk as Buffer)
    } catch (error) {
      // It reads no further than a request may be long.
      assert.equal((error as { code?: string }).code, 'ECONNRESET')
    }
    const answer = Buffer.concat(chunks).toString()
    if (answer !== '') assert.equal(JSON.parse(answer).ok, false, said.slice(0, 20))
  }
}

async function change(backup: string, name: string, how: (bytes: Buffer) => Uint8Array): Promise<void> {
  await writeFile(join(backup, name), how(await readFile(join(backup, name))))
}

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 1
  return bytes
}

type Said = Record<string, unknown> & { files: Record<string, unknown> }

function manifest(backup: string, how: (said: Said) => unknown): Promise<void> {
  return change(backup, 'manifest.json', (bytes) => Buffer.from(JSON.stringify(how(JSON.parse(bytes.toString())))))
}

function names(backup: string, name: string): Promise<void> {
  return manifest(backup, (said) => ({
    ...said,
    files: { ...said.files, [name]: { bytes: 0, sha256: '00'.repeat(32) } },
  }))
}

/** A server of one note, as a log and as a witness has it; of none, when not given. */
async function serveNote(note: string | undefined): Promise<{ url: string; close(): void }> {
  const origin = (await readFile(join(OLD, 'config.json'), 'utf8')).match(/"origin": "([^"]+)"/)![1]!
  const known = ['/checkpoint', `/${toHex(sha256(utf8(origin)))}/checkpoint`]
  const server = createServer((request, response) => {
    const found = note !== undefined && known.includes(request.url ?? '')
    response.writeHead(found ? 200 : 404).end(found ? note : undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
