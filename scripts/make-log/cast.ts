/**
 * Who writes on a made log, out of a seed: the same keys and the same "random" bytes each time.
 *
 * @module
 */
import { createCipheriv, createECDH } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'
import { ed25519PublicKey } from '#ed25519'
import { sha256, toBase64url, utf8 } from '../../merkle/index.ts'
import {
  importSigningKey,
  kidOf,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  type SigningKey,
} from '../../statement/index.ts'

export type Random = (length: number) => Uint8Array

/** Somebody who signs. */
export interface Party {
  /** Workload identifier, or the log's origin. */
  readonly issuer: string
  readonly trustDomain: string
  readonly jwk: PrivateJwk
  readonly publicJwk: PublicJwk
  readonly key: SigningKey
  readonly kid: string
}

export interface Cast {
  readonly seed: string
  readonly origin: string
  readonly admin: Party
  /** One for each trust domain with workloads. */
  readonly issuers: readonly Party[]
  readonly verifiers: readonly Party[]
  readonly vendor: Party
  readonly auditor: Party
  /** Opens what is sealed. */
  readonly auditorEncryption: PrivateJwk
}

/** What a worker needs to have the same cast. */
export interface CastInput {
  readonly seed: string
  readonly origin: string
  /** ES256, as `initLog` makes it. */
  readonly adminJwk: PrivateJwk
}

export async function createCast({ seed, origin, adminJwk }: CastInput): Promise<Cast> {
  const party = async (issuer: string): Promise<Party> => {
    const secret = randomOf(`${seed} key of ${issuer}`)(32)
    const jwk: PrivateJwk = {
      kty: 'OKP',
      crv: 'Ed25519',
      x: toBase64url(ed25519PublicKey(secret)),
      d: toBase64url(secret),
    }
    return partyOf(issuer, jwk, await importSigningKey(jwk))
  }
  return {
    seed,
    origin,
    admin: partyOf(origin, adminJwk, deterministicKey(adminJwk)),
    issuers: await Promise.all(['bank', 'shop', 'cloud'].map((name) => party(`spiffe://${name}.example/issuer`))),
    verifiers: await Promise.all(['attest', 'silicon'].map((name) => party(`spiffe://${name}.example/verifier`))),
    vendor: await party('spiffe://vendor.example/releases'),
    auditor: await party('spiffe://audit.example/auditor'),
    auditorEncryption: p256KeyOf(randomOf(`${seed} encryption`)),
  }
}

/** The bytes of a cipher under the hash of `name`: nobody would notice that they are not random, and they are always the same. */
export function randomOf(name: string): Random {
  const cipher = createCipheriv('aes-256-ctr', sha256(utf8(name)), new Uint8Array(16))
  return (length) => new Uint8Array(cipher.update(new Uint8Array(length)))
}

/** A number below `bound`. */
export function pick(random: Random, bound: number): number {
  return new DataView(random(4).buffer).getUint32(0) % bound
}

/** A P-256 key. */
export function p256KeyOf(random: Random): PrivateJwk {
  const ecdh = createECDH('prime256v1')
  const d = random(32)
  ecdh.setPrivateKey(d)
  const point = new Uint8Array(ecdh.getPublicKey())
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map(toBase64url)
  return { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: toBase64url(d) }
}

function partyOf(issuer: string, jwk: PrivateJwk, key: SigningKey): Party {
  const trustDomain = /^\w+:\/\/([^/]+)/.exec(issuer)?.[1] ?? issuer
  return { issuer, trustDomain, jwk, publicJwk: publicJwkOf(jwk), key, kid: key.kid }
}

/** RFC 6979: OpenSSL draws a number for each signature, and the entries of two runs would differ. For the few records of the admin. */
function deterministicKey(jwk: PrivateJwk): SigningKey {
  const publicJwk = publicJwkOf(jwk)
  const secret = new Uint8Array(Buffer.from(jwk.d, 'base64url'))
  return { kid: kidOf(publicJwk), algorithm: 'ES256', publicJwk, sign: async (data) => p256.sign(data, secret) }
}
