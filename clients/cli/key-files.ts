/**
 * Keys on disk: one JWK a file. Private ones are created with mode 0600.
 *
 * @module
 */
import { generateKeyPairSync } from 'node:crypto'
import { EvidenceError } from '../../merkle/error.ts'
import { fromBase64, fromUtf8 } from '../../merkle/index.ts'
import { jwkOfSpki } from '../../provenance/index.ts'
import {
  type PrivateJwk,
  type PublicJwk,
  parsePrivateJwk,
  parsePublicJwk,
  parseVerificationJwk,
  type VerificationJwk,
} from '../../statement/index.ts'
import { UsageError } from './command.ts'
import type { Io } from './io.ts'

export const KEY_ALGORITHMS = ['ES256', 'Ed25519', 'X25519'] as const
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number]

const TYPES = { ES256: 'ec', Ed25519: 'ed25519', X25519: 'x25519' } as const

/** A new private key. X25519 keys decrypt; the others sign. */
export function generateKey(algorithm: KeyAlgorithm): PrivateJwk {
  const generate = generateKeyPairSync as (type: string, options: object) => { readonly privateKey: unknown }
  // Not exported afterwards: Node 20 can stop for good in that, while the collector takes what made the pair.
  const { privateKey } = generate(TYPES[algorithm], { namedCurve: 'P-256', privateKeyEncoding: { format: 'jwk' } })
  return parsePrivateJwk(privateKey)
}

/** @throws {@link UsageError} when the file is not a private JWK that we accept. */
export async function readPrivateKey(io: Io, path: string): Promise<PrivateJwk> {
  return readJwk(io, path, parsePrivateJwk)
}

/** To open with: X25519 or P-256. @throws {@link UsageError} for a key that could not open anything */
export async function readDecryptionKey(io: Io, path: string): Promise<PrivateJwk> {
  const key = await readPrivateKey(io, path)
  if (key.crv === 'Ed25519') throw new UsageError(`${path} is not a key for this use: Ed25519 signs, and opens nothing`)
  return key
}

/**
 * Accepts only a public JWK: a private key handed over by mistake should not travel further.
 *
 * @throws {@link UsageError}
 */
export async function readPublicKey(io: Io, path: string): Promise<PublicJwk> {
  return readJwk(io, path, parsePublicJwk)
}

/**
 * A key that others sign with, as their tools write it: a JWK, or a SubjectPublicKeyInfo in PEM.
 *
 * @throws {@link UsageError}
 */
export async function readSignerKey(io: Io, path: string): Promise<VerificationJwk> {
  const text = fromUtf8(await io.readFile(path)).trim()
  const pem = /^-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]{1,4096})-----END PUBLIC KEY-----$/.exec(text)?.[1]
  if (pem === undefined) return readJwk(io, path, parseVerificationJwk)
  try {
    const jwk = jwkOfSpki(fromBase64(pem.replaceAll(/[\r\n]/g, '')))
    if (jwk) return jwk
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
  }
  throw new UsageError(`${path} is not a key of a kind that is used here`)
}

async function readJwk<T>(io: Io, path: string, parse: (value: unknown) => T): Promise<T> {
  const value = await readJson(io, path)
  try {
    return parse(value)
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    throw new UsageError(`${path} is not a key for this use: ${error.message}`)
  }
}

/** @throws {@link UsageError} when the file is not JSON. */
export async function readJson(io: Io, path: string): Promise<unknown> {
  try {
    return JSON.parse(fromUtf8(await io.readFile(path)))
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${path} is not JSON`)
  }
}
