/**
 * The logs that seeds begin with: their keys, their disks, and what is in them.
 *
 * All keys are Ed25519, receipts' too: ES256 signs differently each time, and the same seed would not lead to the same bytes. For the same reason
 * nothing here comes from a real directory. The founding statement is a real one, made and admitted as `initLog` does it.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ed25519Sign } from '#ed25519'
import { importVerificationKey } from '#signature'
import { candidateOf } from '../../log-server/admission/candidate.ts'
import { createSequencer } from '../../log-server/log.ts'
import { StoredLog } from '../../log-server/reading/reader.ts'
import { Edge } from '../../log-server/sequencing/edge.ts'
import { Publication } from '../../log-server/sequencing/publisher.ts'
import { newEd25519Key, type Signers, SigningKeys } from '../../log-server/sequencing/signing-keys.ts'
import { type LogConfig, NEWEST_FORMAT } from '../../log-server/storage/directory.ts'
import { Guard } from '../../log-server/storage/guard.ts'
import { Store } from '../../log-server/storage/store.ts'
import type { Candidate } from '../../log-server/types.ts'
import {
  appendLeaves,
  type CompactRange,
  concatBytes,
  createNoteSigner,
  EMPTY_RANGE,
  EMPTY_ROOT,
  fromBase64url,
  fromUtf8,
  type Hash,
  hashLeaf,
  sha256,
  utf8,
} from '../../merkle/index.ts'
import { recordStatementOf } from '../../provenance/record.ts'
import { buildRecordStatement } from '../../provenance/record-statement.ts'
import { encodePublicKey } from '../../provenance/records/field-types.ts'
import {
  kidOf,
  publicJwkOf,
  type SigningKey,
  type VerificationKey,
  verifySignedStatement,
} from '../../statement/index.ts'
import { Random } from '../fuzz/random.ts'
import { type Image, SimulatedDisk } from './disk.ts'
import { Faults } from './faults.ts'
import { SimulatedFile } from './guard-file.ts'
import { inCharge, Scheduler } from './scheduler.ts'

export const ORIGIN = 'log.example/simulated'
export const EPOCH = 1_800_000_000
/** The founding statement alone; and just below one and two full tiles. */
const SIZES = [1, 250, 509]

/** A log at rest. */
export interface Base {
  readonly image: Image
  readonly guard: Uint8Array
  readonly entries: readonly Hash[]
  readonly range: CompactRange
}

export interface Foundation {
  readonly config: LogConfig
  readonly receiptKey: VerificationKey
  readonly signers: Signers
  readonly bases: readonly Base[]
  /** Statements that say who may write: real ones, since opening reads them. */
  readonly authorizations: readonly Candidate[]
}

/** The keys of a simulated log. Which of them sign is the log's to say; here there are no others. */
export class SimulatedKeys extends SigningKeys {
  readonly #signers: Signers

  /** @param signing called with what is about to be signed as a checkpoint */
  constructor({ config, signers }: Pick<Foundation, 'config' | 'signers'>, signing: (text: string) => void) {
    super('', config)
    const checkpointKeys = signers.checkpointKeys.map((key) => ({
      ...key,
      sign: (text: Uint8Array) => {
        signing(fromUtf8(text))
        return key.sign(text)
      },
    }))
    this.#signers = { ...signers, checkpointKeys }
  }

  override async load(): Promise<void> {}

  override signersOf(): Signers {
    return this.#signers
  }

  override hasReceiptKey(kid: string): boolean {
    return kid === this.#signers.receiptKey.kid
  }
}

/** The same each time. Turns must have been taken over. */
export async function layFoundation(): Promise<Foundation> {
  const random = new Random(0, 'foundation')
  const bytes = (length: number) => random.bytes(length)
  const [checkpointJwk, receiptJwk, adminJwk] = [newEd25519Key(bytes), newEd25519Key(bytes), newEd25519Key(bytes)]
  const checkpointKey = createNoteSigner(ORIGIN, fromBase64url(checkpointJwk.d))
  const [receiptKey, adminKey] = [receiptJwk, adminJwk].map(signingKeyOf) as [SigningKey, SigningKey]
  const signers = { checkpointKeys: [checkpointKey], receiptKey }
  const config = { format: NEWEST_FORMAT, origin: ORIGIN, vkey: checkpointKey.vkey, kid: receiptKey.kid }

  const author = { key: adminKey, issuer: ORIGIN, now: EPOCH, random: bytes }
  const fields = {
    origin: ORIGIN,
    vkeys: [checkpointKey.vkey],
    receiptKeys: [encodePublicKey(receiptKey.publicJwk)],
    adminKeys: [encodePublicKey(adminKey.publicJwk)],
    maxStatementBytes: 256 * 1024,
  }
  const founding = await admitted(
    (await buildRecordStatement({ type: 'log-policy', fields }, author)).statement,
    adminKey,
  )
  const authorizations: Candidate[] = []
  for (let i = 0; i < 3; i++) {
    const subject = `spiffe://bank.example/issuer-${i}`
    const key = encodePublicKey(publicJwkOf(newEd25519Key(bytes)))
    const said = { role: 'issuer', trustDomain: 'bank.example', subject, key, notBefore: EPOCH } as const
    const { statement } = await buildRecordStatement({ type: 'key-authorization', fields: said }, author)
    authorizations.push(await admitted(statement, adminKey))
  }
  const verifier = await importVerificationKey(receiptKey.publicJwk)
  return { config, signers, receiptKey: verifier, bases: await build({ config, signers }, founding), authorizations }
}

function signingKeyOf(jwk: ReturnType<typeof newEd25519Key>): SigningKey {
  const publicJwk = publicJwkOf(jwk)
  const seed = fromBase64url(jwk.d)
  return { kid: kidOf(publicJwk), algorithm: 'Ed25519', publicJwk, sign: async (data) => ed25519Sign(seed, data) }
}

async function admitted(
  statement: Awaited<ReturnType<typeof buildRecordStatement>>['statement'],
  { publicJwk }: SigningKey,
): Promise<Candidate> {
  return candidateOf(
    recordStatementOf(await verifySignedStatement(statement, await importVerificationKey(publicJwk))),
    [],
  )
}

/** One log that grows, and a picture of its disk at each of the sizes. */
async function build(keys: Pick<Foundation, 'config' | 'signers'>, founding: Candidate): Promise<Base[]> {
  const scheduler = inCharge(new Scheduler(0))
  const faults = new Faults(new Random(0))
  faults.calm()
  const disk = new SimulatedDisk(scheduler, faults, new Map())
  const file = new SimulatedFile(scheduler, faults, await emptyGuard())
  const [edge, publication, store] = [new Edge(), new Publication(undefined), Store.over(disk.open())]
  const guard = await finish(scheduler, Guard.over(file.open(), 'guard'))
  const fatal = (error: unknown) => {
    throw error
  }
  const sequencer = createSequencer({
    ...{ origin: ORIGIN, store, guard, edge, publication, reader: new StoredLog(store, edge, publication), fatal },
    ...{ keys: new SimulatedKeys(keys, () => undefined), now: () => EPOCH },
  })
  await finish(scheduler, sequencer.append(founding))
  const bases: Base[] = []
  const entries = [founding.entry]
  for (const size of SIZES) {
    const bodies = Array.from({ length: size - sequencer.size }, (_, i) => utf8(`base ${sequencer.size + i}`))
    await finish(scheduler, sequencer.appendRawAll(bodies))
    entries.push(...bodies.map(sha256))
    const range = appendLeaves(EMPTY_RANGE, concatBytes(...entries.map(hashLeaf)))
    bases.push({ image: new Map(disk.durable), guard: file.durable.slice(), entries: [...entries], range })
  }
  return bases
}

/** Lets things happen until `promise` has come to something. */
async function finish<T>(scheduler: Scheduler, promise: Promise<T>): Promise<T> {
  let done = false
  const ended = promise.finally(() => {
    done = true
  })
  ended.catch(() => undefined)
  for (await scheduler.settle(); !done; ) await scheduler.step()
  return ended
}

/** As `initLog` leaves it. */
async function emptyGuard(): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), 'provlog-simulation-'))
  try {
    await Guard.create(join(directory, 'guard'), { size: 0, root: EMPTY_ROOT })
    return new Uint8Array(readFileSync(join(directory, 'guard')))
  } finally {
    rmSync(directory, { recursive: true })
  }
}
