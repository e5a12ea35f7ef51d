/**
 * A log whose disk is gone goes on from an older backup and what a mirror has of the rest: `log restore --catch-up`.
 *
 *     0–10   in the backup; 9 loses its keys later, and 10 its statement        11 a sealed record    12 a status    13 a log-policy    14 a foreign statement
 *     then raw entries past a full tile, and the two erasures
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { backupLog, buildApp, fsckData, openLog } from '../../log-server/index.ts'
import { checkConsistency, type Hash, toHex } from '../../merkle/index.ts'
import { line } from '../../scripts/line.ts'
import { parseReceipt, verifyReceipt } from '../../statement/index.ts'
import {
  fill,
  judgeAll,
  type Keys,
  keysOf,
  pathsOf,
  publicKeysOf,
  readAll,
  type Served,
} from '../log-server/flipped-log.ts'
import { NOW, type ServedLog, serveLog } from '../log-server/served-log.ts'
import { AT } from '../provenance/signers.ts'
import { ORIGIN } from '../provenance/small-log.ts'
import { TestCommand } from './test-io.ts'

type Opened = Awaited<ReturnType<typeof openLog>>

const RAW = 300
/** Records whose sections are sealed for nobody but who has their keys: the status, and the two erasures. */
const NEVER_HAD = 3
const command = new TestCommand()
let last = 0
const fresh = () => command.path(`dir-${++last}`)

let world: ServedLog
let keys: Keys
/** Of the log when its disk was lost. */
let lost: Served
/** The old directory, of which the guard is left, and the keys. */
let old: string
/** What there was, for a second server. */
let copy: string
const backups = { early: '', halfway: '' }
const servers: Server[] = []

before(async () => {
  let clock = NOW
  world = await serveLog(9, { now: () => clock })
  const backup = async () => {
    const out = fresh()
    await backupLog({ dataDir: world.dataDir, out, now: NOW, rows: world.log.rows() })
    return out
  }
  backups.early = await backup()
  await fill(
    world,
    RAW,
    (at) => {
      clock = at
    },
    async () => {
      backups.halfway = await backup()
    },
  )
  keys = await keysOf(publicKeysOf(world.log))
  const { size } = world.log.reader.treeHead()
  lost = { origin: ORIGIN, size, answers: await readAll(world.log, await pathsOf(world.log)) }
  await world.log.close()
  ;[old, copy] = [fresh(), fresh()]
  await cp(world.dataDir, copy, { recursive: true })
  await cp(world.dataDir, old, { recursive: true })
  await rm(join(old, 'store'), { recursive: true })
})
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
after(async () => {
  await world.app.close()
  await rm(world.dataDir, { recursive: true })
  command.remove()
})

/** Files by their paths, as a mirror has them that somebody filled from the log. */
async function mirror(change: (files: Map<string, Uint8Array>) => void = () => {}): Promise<string> {
  const files = new Map(
    [...lost.answers].filter(([, { status }]) => status === 200).map(([path, { body }]) => [path, body]),
  )
  change(files)
  const server = createServer((request, response) => {
    const body = files.get(request.url ?? '')
    response.writeHead(body ? 200 : 404)
    response.end(body)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function restore(backup: string, url: string, ...more: string[]) {
  const data = fresh()
  const words = [
    'log',
    'restore',
    '--from',
    backup,
    '--data',
    data,
    '--keys',
    old,
    '--catch-up',
    url,
    ...more,
    '--json',
  ]
  const answer = await command.run(...words)
  return { data, ...answer, said: answer.out === '' ? {} : (JSON.parse(answer.out) as Record<string, unknown>) }
}

async function refuses(exit: number, code: string, restored: ReturnType<typeof restore>): Promise<void> {
  const { data, said, ...answer } = await restored
  assert.deepEqual([answer.exit, said['code']], [exit, code], answer.err)
  assert.deepEqual(await readdir(data).catch(() => []), [])
}

/** That it is the log that was lost, to every reader and every receipt, and goes on. */
async function isTheSame(data: string, absent: number): Promise<void> {
  assert.deepEqual((await fsckData(data)).findings, [])
  const log = await openLog({ dataDir: data, now: () => AT })
  try {
    assert.deepEqual(await judgeAll(log, lost, keys), { shown: 0, absent })
    await keepsReceipts(log)
    assert.equal(await log.sequencer.appendRaw(new TextEncoder().encode('goes on')), lost.size)
    const { size, root } = log.reader.treeHead()
    assert.equal(size, lost.size + 1)
    const proof = await log.reader.consistencyProof(lost.size, size)
    checkConsistency({ size1: lost.size, root1: rootOf(), size2: size, root2: root, proof })
    await keepsReceipts(log)
  } finally {
    await log.close()
  }
  assert.deepEqual((await fsckData(data)).findings, [])
}

/** Each that was given out is about an entry that is where it was. */
async function keepsReceipts({ reader }: Opened): Promise<void> {
  let kept = 0
  for (const [path, { body, status }] of lost.answers) {
    const [, hex] = /^\/entries\/([0-9a-f]{64})$/.exec(path) ?? []
    if (hex === undefined || status !== 200) continue
    const entry = new Uint8Array(Buffer.from(hex, 'hex'))
    const receipt = parseReceipt(body)
    await verifyReceipt(receipt, entry, keys.receiptKey, { origin: ORIGIN })
    assert.equal(toHex((await reader.entryAt(receipt.inclusion[0]!.index))!), hex)
    kept++
  }
  assert.ok(kept >= 15)
}

function rootOf(): Hash {
  const checkpoint = Buffer.from(lost.answers.get('/checkpoint')!.body).toString()
  return new Uint8Array(Buffer.from(checkpoint.split('\n')[2]!, 'base64'))
}

describe('a log that is restored from a backup older than what it published', () => {
  it('is refused without what came after (backup_outdated)', async () => {
    const answer = await command.run(
      ...line`log restore --from ${backups.halfway} --data ${fresh()} --old ${old} --keys ${old} --json`,
    )
    assert.equal(answer.exit, 5)
    assert.equal(JSON.parse(answer.out).code, 'backup_outdated')
  })

  it('goes on from what a second server has, wraps and certificates included, and is the same log', async () => {
    const other = await openLog({ dataDir: copy, now: () => AT })
    const app = buildApp({ log: other, now: () => AT })
    await app.listen({ port: 0, host: '127.0.0.1' })
    try {
      const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
      const { data, said, exit, err } = await restore(backups.halfway, url, '--old', old)
      assert.equal(exit, 0, err)
      assert.deepEqual(said['caughtUp'], { from: url, before: 11, withoutWraps: NEVER_HAD })
      assert.deepEqual([said['size'], said['root']], [lost.size, toHex(rootOf())])
      await isTheSame(data, 0)
    } finally {
      await app.close()
      await other.close()
    }
  })

  it('goes on from the files of a mirror, and what was erased since is erased', async () => {
    const url = await mirror()
    const { data, said, exit, err } = await restore(backups.halfway, url, '--checkpoint-url', `${url}checkpoint`)
    assert.equal(exit, 0, err)
    assert.deepEqual(said['caughtUp'], { from: url, before: 11, withoutWraps: NEVER_HAD })
    await isTheSame(data, 0)
    const log = await openLog({ dataDir: data, now: () => AT })
    await assert.rejects(log.reader.statement(10), { code: 'statement_erased' })
    assert.equal((await log.reader.wraps((await log.reader.entryAt(9))!)).length, 0)
    assert.equal((await log.reader.wraps((await log.reader.entryAt(11))!)).length, 1)
    await log.close()
  })

  it('goes on without the wraps that a mirror does not have, and says of how many records', async () => {
    const url = await mirror((files) => {
      for (const path of files.keys()) if (path.endsWith('/wraps')) files.delete(path)
    })
    const { data, said, exit, err } = await restore(backups.halfway, url, '--old', old)
    assert.equal(exit, 0, err)
    assert.deepEqual(said['caughtUp'], { from: url, before: 11, withoutWraps: NEVER_HAD + 1 })
    await isTheSame(data, 1)
  })

  it('needs somebody else to say that nothing is newer than the mirror (usage)', async () => {
    const { exit } = await restore(backups.halfway, await mirror())
    assert.equal(exit, 2)
  })
})

describe('what a mirror has', () => {
  const bundle = (files: Map<string, Uint8Array>, n: number) =>
    [...files.keys()].filter((path) => path.startsWith('/v1/statements/'))[n]!
  const edit = (files: Map<string, Uint8Array>, path: string, change: (bytes: Uint8Array) => Uint8Array) => {
    files.set(path, change(files.get(path)!.slice()))
  }
  const flip = (bytes: Uint8Array, at: number) => {
    bytes[at]! ^= 1
    return bytes
  }
  const lies: [what: string, exit: number, code: string, change: (files: Map<string, Uint8Array>) => void][] = [
    [
      'another statement',
      1,
      'copy_mismatch',
      (files) => edit(files, bundle(files, 0), (bytes) => flip(bytes, bytes.length - 1)),
    ],
    [
      'another statement at its end',
      1,
      'copy_mismatch',
      (files) => edit(files, bundle(files, 1), (bytes) => flip(bytes, 6)),
    ],
    [
      'a bundle that is cut short',
      1,
      'malformed_answer',
      (files) => edit(files, bundle(files, 1), (bytes) => bytes.subarray(0, -1)),
    ],
    ['an empty bundle', 1, 'malformed_answer', (files) => edit(files, bundle(files, 0), () => new Uint8Array(0))],
    ['no bundle', 4, 'http_404', (files) => files.delete(bundle(files, 1))],
    [
      'another checkpoint',
      1,
      'bad_signature',
      (files) => edit(files, '/checkpoint', (bytes) => flip(bytes, ORIGIN.length + 1)),
    ],
    ['no checkpoint', 4, 'http_404', (files) => files.delete('/checkpoint')],
    [
      'wraps that are none',
      1,
      'copy_mismatch',
      (files) => {
        for (const path of files.keys())
          if (path.endsWith('/wraps') && files.get(path)!.length > 1) files.set(path, Uint8Array.of(0x81, 0x41, 0))
      },
    ],
    [
      'no certificates of a statement that names its signer by them',
      1,
      'copy_incomplete',
      (files) => {
        for (const path of files.keys()) if (path.endsWith('/statement')) files.delete(path)
      },
    ],
  ]
  for (const [what, exit, code, change] of lies) {
    it(`is not gone on from where it is ${what} (${code}), and leaves nothing behind`, async () => {
      await refuses(exit, code, restore(backups.halfway, await mirror(change), '--old', old))
    })
  }

  it('is not gone on from where it is behind the guard (backup_outdated)', async () => {
    // The mirror stopped when the backup was made.
    const log = await openLog({ dataDir: await restoredAlone(), now: () => AT })
    const behind = await readAll(log, await pathsOf(log))
    await log.close()
    const url = await mirror((files) => {
      files.clear()
      for (const [path, { body }] of behind) files.set(path, body)
    })
    await refuses(5, 'backup_outdated', restore(backups.early, url, '--old', old))
  })

  it('is not enough where something was erased that the backup never had (copy_incomplete)', async () => {
    await refuses(1, 'copy_incomplete', restore(backups.early, await mirror(), '--old', old))
  })
})

async function restoredAlone(): Promise<string> {
  const data = fresh()
  await mkdir(data)
  const answer = await command.run(
    ...line`log restore --from ${backups.halfway} --data ${data} --keys ${old} --unchecked`,
  )
  assert.equal(answer.exit, 0, answer.err)
  return data
}
