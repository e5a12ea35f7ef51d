/**
 * A served log changes its keys: what its clients get, by which keys they pinned; and what whoever stole a retired one can do.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { replay } from '../../clients/auditor/index.ts'
import {
  checkNoneUnderWay,
  LogClient,
  memoryInProcess,
  publishLogPolicy,
  withNewKeys,
  withoutOldKeys,
} from '../../clients/log-client/index.ts'
import { createSigningKeys } from '../../log-server/sequencing/signing-keys.ts'
import { createNoteSigner, parseVkey, readInclusionProof, signCheckpoint, toHex } from '../../merkle/index.ts'
import {
  attachReceipts,
  buildReceipt,
  importSigningKey,
  kidOf,
  parsePrivateJwk,
  parseReceipt,
  signTreeHead,
} from '../../statement/index.ts'
import { TRUST } from './made-up-log.ts'
import { NOW, ORIGIN, policyOf, random, type ServedLog, serveLies, serveLog } from './served-log.ts'
import { TestCommand } from './test-io.ts'

const both = { checkpoint: true, receipt: true }

/** Makes new keys and lets them sign beside the old ones. Returns their public names, and a client that pins both vkeys. */
async function begin(log: ServedLog) {
  const made = await createSigningKeys(join(log.scratch, 'log'), both, random)
  const vkey = made.vkey!
  await publishLogPolicy(log.client, log.admin, (policy) => withNewKeys(policy, made))
  return { vkey, kid: kidOf(made.receiptKey!), client: pinning(log, log.vkey, vkey) }
}

const finish = (log: ServedLog, client: LogClient) =>
  publishLogPolicy(client, log.admin, (policy) => withoutOldKeys(policy, both, []))

const pinning = (log: ServedLog, ...vkeys: readonly string[]) =>
  log.clientAt(log.url, { pinned: { origin: ORIGIN, vkey: vkeys } })

/** Whose signatures a new client sees, or why it sees nothing. */
async function outcome(t: TestContext, log: ServedLog, vkeys: readonly string[]): Promise<readonly string[] | string> {
  const client =
    vkeys.length > 0 ? pinning(log, ...vkeys) : new LogClient({ url: log.url, clock: () => NOW, sleep: async () => {} })
  t.after(() => client.close())
  try {
    // What needs the receipts and the policies too, and not the checkpoint alone.
    assert.equal((await client.policy()).fields.origin, ORIGIN)
    return (await client.checkpoint()).signedBy
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('a client of a log that changes its keys', () => {
  it('gets, by what it pinned', async (t) => {
    const log = await serveLog(t)
    const old = log.vkey
    const elsewhere = createNoteSigner(ORIGIN, random(32)).vkey
    const seen = async (next: string) => ({
      old: await outcome(t, log, [old]),
      new: await outcome(t, log, [next]),
      both: await outcome(t, log, [old, next]),
      nothing: await outcome(t, log, []),
    })

    assert.deepEqual(await seen(elsewhere), { old: [old], new: 'unknown_signer', both: [old], nothing: [old] })
    const { vkey, client } = await begin(log)
    assert.deepEqual(await seen(vkey), { old: [old], new: [vkey], both: [vkey, old], nothing: [vkey, old] })
    await finish(log, client)
    assert.deepEqual(await seen(vkey), { old: 'unknown_signer', new: [vkey], both: [vkey], nothing: [vkey] })
  })

  it('goes on through both steps when it pins both keys, and takes the receipts of each', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    const before = await log.client.registerRecord(policyOf('permit (1)'), issuer)
    const { client, kid } = await begin(log)
    const during = await client.registerRecord(policyOf('permit (2)', { policyId: 'during' }), issuer)
    await finish(log, client)
    const after = await client.registerRecord(policyOf('permit (3)', { policyId: 'after' }), issuer)
    const kids = [before, during, after].map(({ receipt }) => parseReceipt(receipt).kid)
    const [old] = kids
    assert.notEqual(old, kid)
    assert.deepEqual(kids, [old, kid, kid])
  })

  it('takes an old transparent statement when it pins the new key alone', async (t) => {
    const log = await serveLog(t)
    const { statement, receipt, entry } = await logged(log)
    const { client, vkey } = await begin(log)
    await finish(log, client)
    const transparent = attachReceipts(statement, [receipt])
    const url = await serveLies(t, log.url, (path) => answerStatement(path, entry, transparent))
    const reader = log.clientAt(url, { pinned: { origin: ORIGIN, vkey } })
    assert.equal((await reader.statement(entry)).index, parseReceipt(receipt).inclusion[0]!.index)
  })

  it('keeps its memory of the old key’s checkpoints as long as that key is pinned (unknown_signer)', async (t) => {
    const log = await serveLog(t)
    const remembered = memoryInProcess()
    await log.clientAt(log.url, { remembered }).checkpoint()
    const { client, vkey } = await begin(log)
    await finish(log, client)
    const onlyNew = { pinned: { origin: ORIGIN, vkey }, remembered }
    await assert.rejects(log.clientAt(log.url, onlyNew).checkpoint(), { code: 'unknown_signer' })
    // Held against the one before, once, the new checkpoint takes its place.
    await log.clientAt(log.url, { pinned: { origin: ORIGIN, vkey: [log.vkey, vkey] }, remembered }).checkpoint()
    await log.clientAt(log.url, onlyNew).checkpoint()
  })

  it('notices the new receipt key by itself, however long ago it learned of the log', async (t) => {
    const log = await serveLog(t)
    const issuer = await log.authorize('issuer')
    await log.client.policy()
    const { vkey, kid } = await begin(log)
    const { receipt } = await log.client.registerRecord(policyOf('permit'), issuer)
    assert.equal(parseReceipt(receipt).kid, kid)
    assert.equal((await log.client.policy()).fields.vkeys[0], vkey)
  })
})

describe('whoever stole a retired key', () => {
  it('signs no receipt that is taken, for a tree after its retirement (unknown_receipt_key)', async (t) => {
    const log = await serveLog(t)
    const { statement, entry, index } = await logged(log)
    const stolen = parsePrivateJwk(JSON.parse(await readFile(join(log.scratch, 'log', 'receipt.jwk'), 'utf8')))
    const { client, vkey } = await begin(log)
    await finish(log, client)

    const { size, root } = await client.checkpoint()
    const head = await signTreeHead({ origin: ORIGIN, size, root, issuedAt: NOW }, await importSigningKey(stolen))
    const forged = buildReceipt(head, { index, proof: await readInclusionProof(index, size, client.tiles) })
    const transparent = attachReceipts(statement, [forged])
    const url = await serveLies(t, log.url, (path) => answerStatement(path, entry, transparent))
    const reader = log.clientAt(url, { pinned: { origin: ORIGIN, vkey } })
    await assert.rejects(reader.statement(entry), { code: 'unknown_receipt_key' })
  })

  it('signs no checkpoint that an audit or fsck takes for the log’s, for a tree after its retirement (wrong_signer)', async (t) => {
    const log = await serveLog(t)
    const { client, vkey } = await begin(log)
    await finish(log, client)
    const { size, root } = await client.checkpoint()
    const byOld = new TextEncoder().encode(signCheckpoint({ origin: ORIGIN, size, root }, [log.noteSigner]))
    const url = await serveLies(t, log.url, (path) => (path === 'checkpoint' ? { body: byOld } : undefined))
    const vkeys = [log.vkey, vkey]
    const trust = { ...TRUST, logs: vkeys.map((each) => ({ origin: ORIGIN, vkey: each, verifier: parseVkey(each) })) }
    const input = { trust, now: NOW }
    const lied = log.clientAt(url, { pinned: { origin: ORIGIN, vkey: vkeys } })
    await assert.rejects(replay({ ...input, client: lied, stateDir: join(log.scratch, 'lied') }), {
      code: 'wrong_signer',
    })
    assert.deepEqual((await replay({ ...input, client, stateDir: join(log.scratch, 'honest') })).findings, [])

    const cli = new TestCommand()
    t.after(() => cli.remove())
    const fsck = (at: string) =>
      cli.run('log', 'fsck', '--log', at, ...vkeys.flatMap((each) => ['--vkey', each]), '--json')
    const { exit, out } = await fsck(url)
    assert.deepEqual([exit, JSON.parse(out)['code']], [5, 'wrong_signer'])
    assert.equal((await fsck(log.url)).exit, 0)
  })
})

describe('the steps of a rotation', () => {
  it('leave keys alone that are named for another reason, when told so', async (t) => {
    const log = await serveLog(t)
    const offline = createNoteSigner(ORIGIN, random(32)).vkey
    await publishLogPolicy(log.client, log.admin, (policy) => ({ ...policy, vkeys: [...policy.vkeys, offline] }))
    const { fields } = await log.client.policy()
    assert.throws(() => checkNoneUnderWay(fields, both, []), { code: 'rotation_under_way' })
    checkNoneUnderWay(fields, both, [offline])
    checkNoneUnderWay(fields, { checkpoint: false, receipt: true }, [])
    const { vkey, client } = await begin(log)
    const begun = (await client.policy()).fields
    assert.deepEqual(begun.vkeys, [vkey, log.vkey, offline])
    assert.deepEqual(withoutOldKeys(begun, both, [offline]).vkeys, [vkey, offline])
    assert.equal(withoutOldKeys(begun, both, [offline]).receiptKeys.length, 1)
    assert.deepEqual(withoutOldKeys(begun, { checkpoint: false, receipt: true }, []).vkeys, begun.vkeys)
    assert.throws(() => withoutOldKeys(fields, both, [offline]), { code: 'no_rotation_under_way' })
  })
})

/** A statement on the log with the receipt that it got. */
async function logged(log: ServedLog) {
  const { entry, index, receipt } = await log.client.registerRecord(policyOf('permit'), await log.authorize('issuer'))
  const { statement } = await log.client.statement(entry)
  return { statement: statement.bytes, entry, index, receipt }
}

function answerStatement(path: string, entry: Uint8Array, body: Uint8Array) {
  return path === `entries/${toHex(entry)}/statement` ? { body } : undefined
}
