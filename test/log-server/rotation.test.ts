/**
 * A log changes its keys: whose signatures stand on what, after every step, every restart and every crash.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Admission } from '../../log-server/admission/admission.ts'
import { buildApp } from '../../log-server/app.ts'
import { initLog, type NewLog } from '../../log-server/init.ts'
import { type Log, openLog } from '../../log-server/log.ts'
import { fsckData } from '../../log-server/recovery/fsck.ts'
import { createSigningKeys, heldKeys, type NewKeys } from '../../log-server/sequencing/signing-keys.ts'
import { paths, readLogConfig } from '../../log-server/storage/directory.ts'
import { createNoteSigner, openCheckpoint, parseNote, parseVkey, signCheckpoint, toHex } from '../../merkle/index.ts'
import { type Author, buildRecordStatement, encodePublicKey, type FieldsOf } from '../../provenance/index.ts'
import {
  decodeCbor,
  decodeCoseKeySet,
  encodeCbor,
  importSigningKey,
  importVerificationKey,
  jwkOfCoseKey,
  kidOf,
  parsePrivateJwk,
  parseReceipt,
  parseSignedStatement,
  publicJwkOf,
  verifyReceipt,
} from '../../statement/index.ts'
import { StoredValues } from './stored-values.ts'
import { NOW, notRandom, ORIGIN } from './test-log.ts'

type Policy = FieldsOf<'log-policy'>

const now = () => NOW
const random = notRandom('rotation')
const both = { checkpoint: true, receipt: true }

/** A log in a directory of its own, its admin, and what became of each policy. */
let dataDir: string
let created: NewLog
let admin: Author
let log: Log

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'provlog-rotation-'))
  created = await initLog({ dataDir, origin: ORIGIN, now, random })
  const key = await importSigningKey(parsePrivateJwk(JSON.parse(await readFile(created.adminKey, 'utf8'))))
  admin = { key, issuer: ORIGIN, now: NOW, random }
  log = await openLog({ dataDir, now })
})

afterEach(async () => {
  await log.close()
  await rm(dataDir, { recursive: true })
})

async function policyStatement(change: (fields: Policy) => Policy): Promise<Uint8Array> {
  const { entry, fields } = log.authorities.policy()
  const links = [{ rel: 'previous' as const, entry }]
  const { statement } = await buildRecordStatement({ type: 'log-policy', fields: change(fields), links }, admin)
  return statement.bytes
}

const admit = (statement: Uint8Array) => new Admission({ log, now }).admit(statement)
const publish = async (change: (fields: Policy) => Policy) => admit(await policyStatement(change))

const begin = (made: NewKeys) => (fields: Policy) => ({
  ...fields,
  vkeys: [...(made.vkey === undefined ? [] : [made.vkey]), ...fields.vkeys],
  receiptKeys: [...(made.receiptKey ? [encodePublicKey(made.receiptKey)] : []), ...fields.receiptKeys],
})
const finish = (fields: Policy): Policy => ({
  ...fields,
  vkeys: fields.vkeys.slice(0, 1),
  receiptKeys: fields.receiptKeys.slice(0, 1),
})

/** Some record that is no policy: it authorizes a key nobody uses. */
async function admitOther(seed: string) {
  const key = await importSigningKey(parsePrivateJwk(await jwkOf(seed)))
  const fields = {
    role: 'vendor',
    trustDomain: 'bank.example',
    subject: 'spiffe://bank.example/vendor',
    notBefore: 0,
  } as const
  const record = { type: 'key-authorization', fields: { ...fields, key: encodePublicKey(key.publicJwk) } } as const
  return admit((await buildRecordStatement(record, admin)).statement.bytes)
}

async function jwkOf(seed: string) {
  const { newP256Key } = await import('../../log-server/sequencing/signing-keys.ts')
  return newP256Key(notRandom(seed))
}

async function reopen(): Promise<void> {
  await log.close()
  log = await openLog({ dataDir, now })
}

/** Closes, asks fsck, and opens again. */
async function assertSound(): Promise<void> {
  await log.close()
  assert.deepEqual((await fsckData(dataDir)).findings, [])
  log = await openLog({ dataDir, now })
}

/** Names of those whose lines are on the newest checkpoint, all of them good, and of who signed the newest tree head. */
async function signers(): Promise<{ vkeys: readonly string[]; kid: string }> {
  const note = log.reader.checkpoint()
  const { fields, receiptKeys, receiptKids } = log.authorities.policy()
  const { signedBy, size } = openCheckpoint(note, { origin: ORIGIN, verifiers: fields.vkeys.map(parseVkey) })
  assert.equal(parseNote(note).signatures.length, signedBy.length)
  const receipt = parseReceipt(await log.reader.receipt(size - 1))
  const key = receiptKeys[receiptKids.indexOf(receipt.kid!)]
  assert.ok(key, 'a receipt key of the policy in force')
  await verifyReceipt(receipt, (await log.reader.entryAt(size - 1))!, await importVerificationKey(key), {
    origin: ORIGIN,
  })
  return { vkeys: signedBy, kid: receipt.kid! }
}

describe('a rotation', () => {
  it('shows on the checkpoint of each policy itself: both signatures, then the new one, after restarts too', async () => {
    const old = { vkey: created.vkey, kid: created.kid }
    assert.deepEqual(await signers(), { vkeys: [old.vkey], kid: old.kid })

    const made = await createSigningKeys(dataDir, both, random)
    const kid = kidOf(made.receiptKey!)
    await assertSound()
    assert.deepEqual(await signers(), { vkeys: [old.vkey], kid: old.kid })

    const begun = await publish(begin(made))
    assert.deepEqual(await signers(), { vkeys: [made.vkey, old.vkey], kid })
    assert.equal(parseReceipt(begun.receipt).kid, kid)
    assert.deepEqual([log.vkey, log.kid], [made.vkey, kid])
    await assertSound()
    await admitOther('during')
    assert.deepEqual(await signers(), { vkeys: [made.vkey, old.vkey], kid })

    await publish(finish)
    assert.deepEqual(await signers(), { vkeys: [made.vkey], kid })
    await assertSound()
    await admitOther('after')
    assert.deepEqual(await signers(), { vkeys: [made.vkey], kid })
    await assertSound()
    assert.deepEqual(await readLogConfig(dataDir), { format: 2, origin: ORIGIN, ...old })
  })

  it('is possible again, and of one kind of key alone', async () => {
    for (const kinds of [{ checkpoint: true, receipt: false }, { checkpoint: false, receipt: true }, both]) {
      const before = await signers()
      const made = await createSigningKeys(dataDir, kinds, random)
      await publish(begin(made))
      await publish(finish)
      const after = await signers()
      assert.equal(after.vkeys[0] === before.vkeys[0], !kinds.checkpoint)
      assert.equal(after.kid === before.kid, !kinds.receipt)
    }
    await assertSound()
  })

  it('takes effect between two entries: what comes after the policy is signed under it', async () => {
    const made = await createSigningKeys(dataDir, both, random)
    const policy = await policyStatement(begin(made))
    const all = await Promise.all([admitOther('one'), admit(policy), admitOther('two'), admitOther('three')])
    const begunAt = all[1].index
    for (const { receipt } of all) {
      const { kid, treeSize } = parseReceipt(receipt)
      assert.equal(kid, treeSize! > begunAt ? kidOf(made.receiptKey!) : created.kid)
    }
  })

  it('keeps private keys to itself', async () => {
    await createSigningKeys(dataDir, both, random)
    const names = await readdir(paths(dataDir).keys)
    assert.equal(names.length, 2)
    assert.equal((await stat(paths(dataDir).keys)).mode & 0o777, 0o700)
    for (const name of names) assert.equal((await stat(join(paths(dataDir).keys, name))).mode & 0o777, 0o600)
  })

  it('leaves every receipt key to be found that ever signed, those in use first', async () => {
    const made = await createSigningKeys(dataDir, both, random)
    await publish(begin(made))
    await publish(finish)
    const app = buildApp({ log, now })
    const kids = [kidOf(made.receiptKey!), created.kid]
    const set = await app.inject('/.well-known/scitt-keys')
    assert.deepEqual(decodeCoseKeySet(new Uint8Array(set.rawPayload)).map(kidOf), kids)
    assert.equal(set.headers['cache-control'], 'public, max-age=60')
    for (const kid of kids) {
      const one = await app.inject(`/.well-known/scitt-keys/${kid}`)
      assert.equal(kidOf(jwkOfCoseKey(decodeCbor(new Uint8Array(one.rawPayload)))), kid)
      assert.equal(one.headers['cache-control'], 'public, max-age=31536000, immutable')
    }
    await app.close()
  })
})

describe('a crash in the middle of a rotation', () => {
  it('after the new keys, before the policy, leaves a log that signs as before', async () => {
    await createSigningKeys(dataDir, both, random)
    // And half a file of a second attempt.
    await writeFile(join(paths(dataDir).keys, 'checkpoint-00000000.jwk.new'), '{"kty":')
    await assertSound()
    await admitOther('other')
    assert.deepEqual(await signers(), { vkeys: [created.vkey], kid: created.kid })
    assert.equal((await heldKeys(dataDir)).vkeys.length, 2)
  })

  for (const [step, count] of [
    ['begin', 2],
    ['finish', 1],
  ] as const) {
    it(`after the policy of --${step} was committed, before the guard knows, leaves a log that signs under it`, async () => {
      const made = await createSigningKeys(dataDir, both, random)
      if (step === 'finish') await publish(begin(made))
      const guard = await readFile(paths(dataDir).guard)
      await publish(step === 'begin' ? begin(made) : finish)
      const checkpoint = log.reader.checkpoint()
      await log.close()
      await writeFile(paths(dataDir).guard, guard)

      log = await openLog({ dataDir, now })
      assert.equal(log.reader.checkpoint(), checkpoint)
      assert.equal((await signers()).vkeys.length, count)
      await admitOther('other')
      assert.equal((await signers()).vkeys.length, count)
      await assertSound()
    })
  }

  it('goes on to a receipt key that the policy puts first, when that one comes only later', async () => {
    const made = await createSigningKeys(dataDir, { checkpoint: false, receipt: true }, random)
    const kid = kidOf(made.receiptKey!)
    const path = join(paths(dataDir).keys, `receipt-${kid}.jwk`)
    await rename(path, `${path}.elsewhere`)
    await publish(begin(made))
    assert.equal((await signers()).kid, created.kid)
    await rename(`${path}.elsewhere`, path)
    await assertSound()
    await admitOther('after the key came')
    assert.equal((await signers()).kid, kid)
    await assertSound()
  })
})

describe('a log policy is refused', () => {
  it('when nobody here could sign checkpoints under it, or receipts (signing_key_missing)', async () => {
    const elsewhere = createNoteSigner(ORIGIN, random(32)).vkey
    const receiptKey = encodePublicKey(publicJwkOf(await jwkOf('elsewhere')))
    const before = log.reader.checkpoint()
    for (const change of [{ vkeys: [elsewhere] }, { receiptKeys: [receiptKey] }]) {
      await assert.rejects(
        publish((fields) => ({ ...fields, ...change })),
        { code: 'signing_key_missing' },
      )
    }
    assert.equal(log.reader.checkpoint(), before)
    await admitOther('other')
    await assertSound()
  })

  it('when the file of its key holds another (malformed_config), and the log goes on', async () => {
    const [one, two] = [await createSigningKeys(dataDir, both, random), await createSigningKeys(dataDir, both, random)]
    const file = ({ vkey }: NewKeys) => join(paths(dataDir).keys, `checkpoint-${vkey!.split('+')[1]}.jwk`)
    await rename(file(two), file(one))
    await assert.rejects(publish(begin(one)), { code: 'malformed_config' })
    await admitOther('other')
    await rename(file(one), file(two))
    await assertSound()
  })

  it('but not for naming a further key that is elsewhere, which signs nothing', async () => {
    const elsewhere = createNoteSigner(ORIGIN, random(32)).vkey
    await publish((fields) => ({ ...fields, vkeys: [elsewhere, ...fields.vkeys] }))
    assert.deepEqual(await signers(), { vkeys: [created.vkey], kid: created.kid })
    assert.equal(log.vkey, created.vkey)
    await assertSound()
    await admitOther('other')
    assert.deepEqual((await signers()).vkeys, [created.vkey])
  })
})

describe('a log does not open', () => {
  it('without a key file that signed its newest tree (signing_key_missing)', async () => {
    const made = await createSigningKeys(dataDir, both, random)
    await publish(begin(made))
    await log.close()
    const names = await readdir(paths(dataDir).keys)
    for (const path of [paths(dataDir).checkpointKey, ...names.map((name) => join(paths(dataDir).keys, name))]) {
      await rename(path, `${path}.away`)
      await assert.rejects(openLog({ dataDir, now }), { code: 'signing_key_missing' }, path)
      await rename(`${path}.away`, path)
    }
    log = await openLog({ dataDir, now })
  })

  it('with another key in the file of one that signs (malformed_config)', async () => {
    const made = await createSigningKeys(dataDir, both, random)
    await publish(begin(made))
    await log.close()
    const path = join(paths(dataDir).keys, `receipt-${kidOf(made.receiptKey!)}.jwk`)
    const before = await readFile(path)
    for (const content of [
      await readFile(paths(dataDir).receiptKey),
      await readFile(paths(dataDir).checkpointKey),
      '{',
    ]) {
      await writeFile(path, content)
      await assert.rejects(openLog({ dataDir, now }), { code: 'malformed_config' })
    }
    await writeFile(path, before)
    log = await openLog({ dataDir, now })
  })

  it('under a configuration that names other founding keys than entry 0 (malformed_config)', async () => {
    const made = await createSigningKeys(dataDir, both, random)
    await publish(begin(made))
    await log.close()
    const config = JSON.parse(await readFile(paths(dataDir).config, 'utf8'))
    for (const change of [{ vkey: made.vkey }, { kid: kidOf(made.receiptKey!) }, { origin: 'log.example/other' }]) {
      await writeFile(paths(dataDir).config, JSON.stringify({ ...config, ...change }))
      await assert.rejects(openLog({ dataDir, now }), { code: 'malformed_config' })
      assert.equal((await fsckData(dataDir)).sound, false)
    }
    await writeFile(paths(dataDir).config, JSON.stringify(config))
    log = await openLog({ dataDir, now })
  })

  it('when its checkpoint is signed by a key that was retired, alone or beside the right one (log_damaged)', async () => {
    const seed = Buffer.from(JSON.parse(await readFile(paths(dataDir).checkpointKey, 'utf8')).d, 'base64url')
    const old = createNoteSigner(ORIGIN, new Uint8Array(seed))
    await publish(begin(await createSigningKeys(dataDir, both, random)))
    await publish(finish)
    const { size, root } = log.reader.treeHead()
    const byOld = signCheckpoint({ origin: ORIGIN, size, root }, [old])
    const [, oldLine] = byOld.split('\n\n')
    const note = log.reader.checkpoint()
    await log.close()
    for (const forged of [byOld, note + oldLine]) {
      const copy = await mkdtemp(join(tmpdir(), 'provlog-rotation-copy-'))
      await cp(dataDir, copy, { recursive: true })
      await replaceCheckpoint(copy, forged)
      await assert.rejects(openLog({ dataDir: copy, now }), { code: 'log_damaged' })
      assert.ok((await fsckData(copy)).findings.some(({ code }) => code === 'bad_signature'))
      await rm(copy, { recursive: true })
    }
    log = await openLog({ dataDir, now })
  })
})

describe('a retired key', () => {
  it('is needed no more: its file may go', async () => {
    await publish(begin(await createSigningKeys(dataDir, both, random)))
    await publish(finish)
    for (const path of [paths(dataDir).checkpointKey, paths(dataDir).receiptKey]) await unlink(path)
    await assertSound()
    await admitOther('other')
    assert.equal((await signers()).vkeys.length, 1)
  })

  it('can come back, when a policy names it again', async () => {
    await publish(begin(await createSigningKeys(dataDir, both, random)))
    await publish(finish)
    await reopen()
    await publish((fields) => ({ ...fields, vkeys: [created.vkey] }))
    assert.deepEqual((await signers()).vkeys, [created.vkey])
    await assertSound()
  })

  it('still verifies the receipts that it signed', async () => {
    const before = await admitOther('before')
    await publish(begin(await createSigningKeys(dataDir, both, random)))
    await publish(finish)
    const receipt = parseReceipt(before.receipt)
    const key = await importVerificationKey(log.authorities.receiptKeys().get(receipt.kid!)!)
    const { bytes, entry } = parseSignedStatement((await log.reader.statement(before.index))!)
    assert.ok(bytes.length > 0)
    assert.equal(toHex(entry), toHex(before.entry))
    assert.equal((await verifyReceipt(receipt, entry, key, { origin: ORIGIN })).index, before.index)
  })
})

/** Puts another note where the store keeps the newest checkpoint. */
async function replaceCheckpoint(directory: string, note: string): Promise<void> {
  const db = await StoredValues.open(directory)
  const key = new TextEncoder().encode('khead')
  const stored = decodeCbor(await db.get(key)) as ReadonlyMap<string, never>
  await db.put(key, encodeCbor(new Map([...stored, ['checkpoint', note as never]])))
  await db.close()
}
