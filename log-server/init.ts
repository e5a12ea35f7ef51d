/**
 * A new log: its keys, its guard, and entry 0, the statement that says whose log it is and whom it obeys.
 *
 * `config.json` is written last. A directory without one is not a log, whatever else was left in it.
 *
 * @module
 */
import { mkdir, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { importSigningKey, importVerificationKey } from '#signature'
import { fromBase64url } from '../merkle/bytes.ts'
import { EMPTY_ROOT } from '../merkle/hash.ts'
import { createNoteSigner } from '../merkle/note.ts'
import { recordStatementOf } from '../provenance/record.ts'
import { buildRecordStatement } from '../provenance/record-statement.ts'
import { encodePublicKey } from '../provenance/records/field-types.ts'
import { kidOf, publicJwkOf } from '../statement/cose-key.ts'
import { verifySignedStatement } from '../statement/signed-statement.ts'
import { candidateOf } from './admission/candidate.ts'
import { closeAll, createSequencer } from './log.ts'
import { StoredLog } from './reading/reader.ts'
import { Edge } from './sequencing/edge.ts'
import { Publication } from './sequencing/publisher.ts'
import { jsonBytes, newEd25519Key, newP256Key, SigningKeys } from './sequencing/signing-keys.ts'
import { NEWEST_FORMAT, paths } from './storage/directory.ts'
import { Guard, isCode, syncDirectory, writeFileDurably } from './storage/guard.ts'
import { Store } from './storage/store.ts'
import { type Clock, LogError } from './types.ts'

export interface InitOptions {
  /** Made when it is not there; must be empty. */
  readonly dataDir: string
  /** Of the checkpoints; a URL without scheme, by custom. Never changes. */
  readonly origin: string
  readonly now: Clock
  /** So many unpredictable bytes. */
  readonly random: (length: number) => Uint8Array
  /** Default 256 KiB. */
  readonly maxStatementBytes?: number
}

/** What to pin, and where the key of the first admin is. */
export interface NewLog {
  readonly origin: string
  readonly vkey: string
  /** Of the receipt key. */
  readonly kid: string
  /** Path of the admin's private key, mode 0600. */
  readonly adminKey: string
}

const MAX_STATEMENT_BYTES = 256 * 1024

/** @throws {@link LogError} `log_exists` when there is anything in the directory; what `origin` is refused for as a key name */
export async function initLog({
  dataDir,
  origin,
  now,
  random,
  maxStatementBytes = MAX_STATEMENT_BYTES,
}: InitOptions): Promise<NewLog> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  if ((await readdir(dataDir)).length > 0) {
    throw new LogError('log_exists', `${dataDir} is not empty: a log, or what an interrupted init left there`)
  }
  const at = paths(dataDir)
  const checkpointJwk = newEd25519Key(random)
  const { vkey } = createNoteSigner(origin, fromBase64url(checkpointJwk.d))
  const receiptJwk = newP256Key(random)
  const adminJwk = newP256Key(random)
  await writeFileDurably(at.checkpointKey, jsonBytes(checkpointJwk))
  await writeFileDurably(at.receiptKey, jsonBytes(receiptJwk))
  await writeFileDurably(at.adminKey, jsonBytes(adminJwk))
  await Guard.create(at.guard, { size: 0, root: EMPTY_ROOT })

  const adminKey = await importSigningKey(adminJwk)
  const fields = {
    origin,
    vkeys: [vkey],
    receiptKeys: [encodePublicKey(publicJwkOf(receiptJwk))],
    adminKeys: [encodePublicKey(publicJwkOf(adminJwk))],
    maxStatementBytes,
  }
  const config = { format: NEWEST_FORMAT, origin, vkey, kid: kidOf(publicJwkOf(receiptJwk)) }
  const keys = new SigningKeys(dataDir, config)
  await keys.load(fields)
  const { statement } = await buildRecordStatement(
    { type: 'log-policy', fields },
    { key: adminKey, issuer: origin, now: now(), random },
  )
  const verified = await verifySignedStatement(statement, await importVerificationKey(adminKey.publicJwk))

  const store = await Store.open(at.store, { create: true })
  const guard = await Guard.open(at.guard)
  const [edge, publication] = [new Edge(), new Publication(undefined)]
  const reader = new StoredLog(store, edge, publication)
  let failure: unknown
  const fatal = (error: unknown) => {
    failure = error
  }
  const sequencer = createSequencer({ origin, store, guard, edge, publication, reader, keys, now, fatal })
  try {
    await sequencer.append(candidateOf(recordStatementOf(verified), []))
  } catch (error) {
    throw failure ?? error
  } finally {
    await closeAll(sequencer, store, guard)
  }

  await writeFileDurably(at.config, jsonBytes(config), 0o644)
  await syncDirectory(dirname(dataDir)).catch((error: unknown) => {
    // The directory above may belong to somebody else; its entry for ours is then theirs to keep.
    if (!isCode(error, 'EACCES')) throw error
  })
  return { origin, vkey, kid: config.kid, adminKey: at.adminKey }
}
