/**
 * The private keys of a log, and which of them sign.
 *
 * ```
 *   DIR/checkpoint.jwk              Ed25519 ─┐ the founding keys: config.json and entry 0 name them
 *   DIR/receipt.jwk                 P-256   ─┘
 *   DIR/keys/checkpoint-<id>.jwk    Ed25519 ─┐ those of later rotations; id as in the vkey
 *   DIR/keys/receipt-<kid>.jwk      P-256   ─┘
 * ```
 *
 * That a file is here says nothing. Who signs the tree of size n is said by the log itself: the log-policy in force at n, which is the
 * last one with an index below n. Checkpoints are signed by every vkey in it whose key is here, tree heads by the first of its receipt
 * keys that is here. So whoever replays the log knows whose signatures to expect, and no file on this machine can change it.
 *
 * A policy may name a key that is nowhere here, say one kept offline for the day on which ours is stolen: it signs nothing yet, and
 * clients can pin it already.
 *
 * @module
 */
import { createECDH, createPrivateKey, type JsonWebKey, sign } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ed25519PublicKey } from '#ed25519'
import { importSigningKey, type SigningKey } from '#signature'
import { equalBytes, fromBase64url, toBase64url, utf8 } from '../../merkle/bytes.ts'
import { assert, EvidenceError } from '../../merkle/error.ts'
import { createNoteSigner, type NoteSigner, parseVkey } from '../../merkle/note.ts'
import { formatKeyId } from '../../merkle/note-key.ts'
import { decodePublicKey } from '../../provenance/records/field-types.ts'
import type { FieldsOf } from '../../provenance/records/index.ts'
import { kidOf, type PrivateJwk, type PublicJwk, parsePrivateJwk, publicJwkOf } from '../../statement/cose-key.ts'
import { withLowS } from '../../statement/ecdsa-malleability.ts'
import { type LogConfig, paths, readJson, readLogConfig } from '../storage/directory.ts'
import { isCode, syncDirectory, writeFileDurably } from '../storage/guard.ts'
import { LogError } from '../types.ts'

/** What a log-policy says of keys. */
export type NamedKeys = Pick<FieldsOf<'log-policy'>, 'origin' | 'vkeys' | 'receiptKeys'>

/** Who signs what is said of a tree. */
export interface Signers {
  /** In the order of the policy; at least one. */
  readonly checkpointKeys: readonly NoteSigner[]
  readonly receiptKey: SigningKey
}

/** The keys that a log has in memory. They come from files when a policy names them, and stay: a retired one just signs no more. */
export class SigningKeys {
  readonly #dataDir: string
  readonly #founding: LogConfig
  /** By vkey. */
  readonly #checkpointKeys = new Map<string, NoteSigner>()
  /** By kid. */
  readonly #receiptKeys = new Map<string, SigningKey>()

  /** None yet. */
  constructor(dataDir: string, founding: LogConfig) {
    this.#dataDir = dataDir
    this.#founding = founding
  }

  /**
   * Reads the files of those named keys that are not in memory and have one.
   *
   * @throws {@link LogError} `malformed_config`: a file that is no key, or another than its name says
   */
  async load(named: NamedKeys): Promise<void> {
    for (const vkey of named.vkeys) {
      if (this.#checkpointKeys.has(vkey)) continue
      const signer = await readCheckpointKey(checkpointPath(this.#dataDir, vkey, this.#founding), this.#founding.origin)
      if (signer && signer.key.vkey !== vkey) throw malformed(signer.path, `is not the key of ${vkey}`)
      if (signer) this.#checkpointKeys.set(vkey, signer.key)
    }
    for (const kid of kidsOf(named)) {
      if (this.#receiptKeys.has(kid)) continue
      const signer = await readReceiptKey(receiptPath(this.#dataDir, kid, this.#founding))
      if (signer && signer.key.kid !== kid) throw malformed(signer.path, `is not the key ${kid}`)
      if (signer) this.#receiptKeys.set(kid, signer.key)
    }
  }

  /**
   * Who signs a tree under this policy, of the keys in memory.
   *
   * @throws {@link LogError} `signing_key_missing`: nobody could sign checkpoints, or nobody receipts
   */
  signersOf(named: NamedKeys): Signers {
    const checkpointKeys = named.vkeys.flatMap((vkey) => this.#checkpointKeys.get(vkey) ?? [])
    const [receiptKey] = kidsOf(named).flatMap((kid) => this.#receiptKeys.get(kid) ?? [])
    if (checkpointKeys.length === 0) throw this.#missing('checkpoint', named.vkeys)
    if (!receiptKey) throw this.#missing('receipt', kidsOf(named))
    return { checkpointKeys, receiptKey }
  }

  /** Whether the receipt key of this name is in memory, signing or not. */
  hasReceiptKey(kid: string): boolean {
    return this.#receiptKeys.has(kid)
  }

  #missing(kind: string, names: readonly string[]): LogError {
    return new LogError(
      'signing_key_missing',
      `none of the ${kind} keys that the log policy names has its private key here: ${names.join(', ')}`,
    )
  }
}

/** The public halves of keys that were just made. */
export interface NewKeys {
  readonly vkey?: string
  readonly receiptKey?: PublicJwk
}

/**
 * Makes keys for the next log-policy to name, in `DIR/keys`, durably. Until one does, they sign nothing; when one does, a running
 * server finds them.
 *
 * @param random - so many unpredictable bytes
 * @throws {@link LogError} `log_missing`, `malformed_config`
 */
export async function createSigningKeys(
  dataDir: string,
  wanted: { readonly checkpoint: boolean; readonly receipt: boolean },
  random: (length: number) => Uint8Array,
): Promise<NewKeys> {
  const founding = await readLogConfig(dataDir)
  const made: { vkey?: string; receiptKey?: PublicJwk } = {}
  await mkdir(paths(dataDir).keys, { recursive: true, mode: 0o700 })
  await syncDirectory(dataDir)
  if (wanted.checkpoint) {
    const jwk = newEd25519Key(random)
    made.vkey = createNoteSigner(founding.origin, fromBase64url(jwk.d)).vkey
    await writeFileDurably(checkpointPath(dataDir, made.vkey, founding), jsonBytes(jwk))
  }
  if (wanted.receipt) {
    const jwk = newP256Key(random)
    made.receiptKey = publicJwkOf(jwk)
    await writeFileDurably(receiptPath(dataDir, kidOf(made.receiptKey), founding), jsonBytes(jwk))
  }
  return made
}

/** The names of all keys that are in `dataDir`, whether a policy names them or not. */
export interface HeldKeys {
  readonly origin: string
  readonly vkeys: readonly string[]
  readonly kids: readonly string[]
}

/** @throws {@link LogError} `log_missing`, `malformed_config` */
export async function heldKeys(dataDir: string): Promise<HeldKeys> {
  const { origin } = await readLogConfig(dataDir)
  const at = paths(dataDir)
  const names = await readdir(at.keys).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
    return [] as string[]
  })
  const named = (prefix: string) =>
    names.filter((name) => name.startsWith(prefix) && name.endsWith('.jwk')).map((name) => join(at.keys, name))
  const signers = [at.checkpointKey, ...named('checkpoint-')].map((path) => readCheckpointKey(path, origin))
  const receiptKeys = [at.receiptKey, ...named('receipt-')].map(readReceiptKey)
  return {
    origin,
    vkeys: (await Promise.all(signers)).flatMap((signer) => signer?.key.vkey ?? []),
    kids: (await Promise.all(receiptKeys)).flatMap((key) => key?.key.kid ?? []),
  }
}

function checkpointPath(dataDir: string, vkey: string, founding: LogConfig): string {
  if (vkey === founding.vkey) return paths(dataDir).checkpointKey
  // Ids have 32 bits. A new key with the id of another is not written over it, and a file is only good for the very vkey asked for.
  return join(paths(dataDir).keys, `checkpoint-${formatKeyId(parseVkey(vkey).keyId)}.jwk`)
}

function receiptPath(dataDir: string, kid: string, founding: LogConfig): string {
  return kid === founding.kid ? paths(dataDir).receiptKey : join(paths(dataDir).keys, `receipt-${kid}.jwk`)
}

function kidsOf({ receiptKeys }: NamedKeys): string[] {
  return receiptKeys.map((key) => kidOf(decodePublicKey(key)))
}

async function readCheckpointKey(path: string, origin: string) {
  const jwk = await readKey(path)
  if (!jwk) return undefined
  if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519') throw malformed(path, 'is no Ed25519 key')
  // Nothing is signed with its public half, and a file that is damaged there may soon be where it matters.
  if (!equalBytes(ed25519PublicKey(fromBase64url(jwk.d)), fromBase64url(jwk.x))) {
    throw malformed(path, 'holds the halves of two keys')
  }
  return { path, key: createNoteSigner(origin, fromBase64url(jwk.d)) }
}

async function readReceiptKey(path: string) {
  const jwk = await readKey(path)
  if (!jwk) return undefined
  if (jwk.kty !== 'EC' || jwk.crv !== 'P-256') throw malformed(path, 'is no P-256 key')
  return { path, key: await importBlockingKey(jwk) }
}

/** Undefined when there is no such file. */
async function readKey(path: string): Promise<PrivateJwk | undefined> {
  const value = await readJson(path)
  if (value === undefined) return undefined
  try {
    return parsePrivateJwk(value)
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause
    throw malformed(path, cause.message, cause)
  }
}

function malformed(path: string, why: string, cause?: unknown): LogError {
  return new LogError('malformed_config', `${path} ${why}`, { cause })
}

/**
 * An ES256 key that signs where it is called. One signature a batch takes 0.1 ms of the main thread; the way through the thread pool and
 * back takes 3 ms under load, behind all that the event loop has to do, and the disk idles meanwhile.
 */
export async function importBlockingKey(jwk: PrivateJwk): Promise<SigningKey> {
  const key = await importSigningKey(jwk)
  assert(key.algorithm === 'ES256', 'tree heads are signed with ES256')
  const object = {
    key: createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363' as const,
  }
  return { ...key, sign: async (data) => withLowS(new Uint8Array(sign('sha256', data, object))) }
}

/** A P-256 key from our own randomness, so that a test can make the same log twice. */
export function newP256Key(random: (length: number) => Uint8Array): PrivateJwk {
  const ecdh = createECDH('prime256v1')
  const d = random(32)
  // Refuses 0 and whatever is not below the order of the group: once in 2³² times, and then the command fails and is run again.
  ecdh.setPrivateKey(d)
  const point = new Uint8Array(ecdh.getPublicKey())
  const [x, y] = [point.subarray(1, 33), point.subarray(33)]
  return { kty: 'EC', crv: 'P-256', x: toBase64url(x), y: toBase64url(y), d: toBase64url(d) }
}

export function newEd25519Key(random: (length: number) => Uint8Array): PrivateJwk {
  const seed = random(32)
  return { kty: 'OKP', crv: 'Ed25519', x: toBase64url(ed25519PublicKey(seed)), d: toBase64url(seed) }
}

export function jsonBytes(value: object): Uint8Array {
  return utf8(`${JSON.stringify(value, undefined, 2)}\n`)
}
