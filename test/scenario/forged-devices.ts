/**
 * A confidential machine as a test can have one: a guest on an AMD processor, with an NVIDIA GPU beside it. Both vendors are made up, and
 * appraisal policies must name their roots; the evidence is what the real ones' firmware writes, byte by byte.
 *
 * @module
 */
import { createHash, sign } from 'node:crypto'
import { concatBytes, utf8 } from '../../merkle/index.ts'
import { spkiOfJwk } from '../../provenance/index.ts'
import type { PublicJwk } from '../../statement/index.ts'
import {
  authorityExtensions,
  basicConstraints,
  certificate,
  der,
  type Extension,
  ecKeys,
  integer,
  type Keys,
  keyUsage,
  octets,
  oid,
  pem,
  revocationList,
  rsaKeys,
  seq,
  sha256Hex,
} from '../clients/evidence/forge.ts'

const DAY = 86_400

/** What evidence must answer. */
export interface Asked {
  readonly workloadKey: PublicJwk
  readonly nonce: string
}

/** Files for `verifier appraise`. */
export interface Evidence {
  readonly evidence: Uint8Array
  readonly collateral: readonly Uint8Array[]
}

const little = (value: number, bytes: number) =>
  Uint8Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256)
const hashed = (algorithm: 'sha256' | 'sha512', { nonce, workloadKey }: Asked) =>
  new Uint8Array(
    createHash(algorithm)
      .update(concatBytes(utf8(nonce), spkiOfJwk(workloadKey)))
      .digest(),
  )
const rawSignature = (bytes: Uint8Array, { privateKey }: Keys) =>
  new Uint8Array(sign('sha384', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' }))

/** A processor of AMD's Milan line, whose security firmware is at `snp`. */
export function createProcessor(now: number) {
  const keys = { ARK: rsaKeys(), ASK: rsaKeys(), VCEK: ecKeys('P-384') }
  const chip = new Uint8Array(64).fill(7)
  const issued = (subject: keyof typeof keys, issuer: 'ARK' | 'ASK', extensions: readonly Extension[], serial = 1) =>
    certificate({
      ...{ subject, issuer, serial, extensions, notBefore: now - DAY, notAfter: now + DAY },
      publicKey: keys[subject].publicKey,
      signer: { key: keys[issuer].privateKey, algorithm: 'PS384' },
    })
  const ark = issued('ARK', 'ARK', authorityExtensions)
  const ask = issued('ASK', 'ARK', authorityExtensions, 77)
  const crl = revocationList({
    ...{ issuer: 'ARK', thisUpdate: now - DAY, nextUpdate: now + DAY, serials: [] },
    signer: { key: keys.ARK.privateKey, algorithm: 'PS384' },
  })
  // Publication 57230, Table 8: for each level of firmware the vendor certifies the chip anew.
  const vcekOf = (snp: number) =>
    issued('VCEK', 'ASK', [
      { id: '1.3.6.1.4.1.3704.1.2', value: der(0x16, utf8('Milan-B0')) },
      ...[3, 0, snp, 115].map((level, i) => ({
        id: `1.3.6.1.4.1.3704.1.3.${[1, 2, 3, 8][i]}`,
        value: integer(level),
      })),
      { id: '1.3.6.1.4.1.3704.1.4', value: chip },
    ])
  return {
    root: sha256Hex(ark),
    /** An attestation report of a guest that launched as `launch`, version 2. It answers what it was asked, or says what it is told to. */
    report(
      asked: Asked | Uint8Array,
      { snp, launch, vmpl = 0 }: { snp: number; launch: number; vmpl?: number },
    ): Evidence {
      const evidence = new Uint8Array(0x4a0)
      const set = (offset: number, value: Iterable<number>) => evidence.set([...value], offset)
      set(0x00, little(2, 4))
      set(0x08, [0x1f, 0x00, 0x03])
      set(0x30, [vmpl])
      set(0x34, [1])
      set(0x50, asked instanceof Uint8Array ? asked : hashed('sha512', asked))
      set(0x90, new Uint8Array(48).fill(launch))
      set(0x180, [3, 0, 0, 0, 0, 0, snp, 115])
      set(0x1a0, chip)
      const signature = rawSignature(evidence.subarray(0, 0x2a0), keys.VCEK)
      set(0x2a0, signature.slice(0, 48).reverse())
      set(0x2e8, signature.slice(48).reverse())
      return { evidence, collateral: [vcekOf(snp), ask, ark, crl] }
    },
  }
}

/** A GPU of NVIDIA's, certified by five certificates. */
export function createGpu(now: number) {
  const names = [
    'NVIDIA Device Identity CA',
    'NVIDIA GH100 Identity',
    'NVIDIA GH100 Provisioner ICA 1',
    'GH100 A01 GSP BROM',
    'GH100 A01 GSP FMC LF',
  ]
  const keys = names.map(() => ecKeys('P-384'))
  const firmware = new Uint8Array(48).fill(0xf1)
  const signerOf = (i: number) => ({ key: keys[i]!.privateKey, algorithm: 'ES384' as const })
  const firmwareId = seq(integer(1), seq(), seq(oid('2.16.840.1.101.3.4.2.2'), octets(firmware)))
  const chain = names.map((subject, i) =>
    certificate({
      ...{ subject, issuer: names[Math.max(0, i - 1)]!, serial: 10 + i, notBefore: now - DAY, notAfter: now + DAY },
      publicKey: keys[i]!.publicKey,
      extensions:
        i < 4
          ? [basicConstraints(true), keyUsage(0x06)]
          : [keyUsage(0x80), { id: '2.23.133.5.4.1', value: firmwareId }],
      signer: signerOf(Math.max(0, i - 1)),
    }),
  )
  const lists = names.slice(0, 3).map((issuer, i) =>
    revocationList({
      ...{ issuer, thisUpdate: now - DAY, nextUpdate: now + DAY, serials: [], signer: signerOf(i) },
    }),
  )
  const field = (type: number, value: Uint8Array) => concatBytes(little(type, 2), little(value.length, 2), value)
  return {
    root: sha256Hex(chain[0]!),
    /** The answer to an SPDM request for measurements, with the request before it. */
    report(asked: Asked, { driver }: { readonly driver: string }): Evidence {
      const measured = new Uint8Array(48).fill(1)
      const record = concatBytes(Uint8Array.of(1, 1), little(51, 2), Uint8Array.of(1), little(48, 2), measured)
      const opaque = concatBytes(
        field(3, utf8(`${driver}\0`)),
        field(6, Uint8Array.of(0, 0x9f, 0, 0x96, 1, 0, 0, 0)),
        field(20, firmware),
      )
      const signed = concatBytes(
        Uint8Array.of(0x11, 0xe0, 1, 0xff),
        hashed('sha256', asked),
        Uint8Array.of(0, 0x11, 0x60, 0, 0, 1),
        little(record.length, 3),
        record,
        new Uint8Array(32).fill(9),
        little(opaque.length, 2),
        opaque,
      )
      const certificates = chain.toReversed().map((each) => pem('CERTIFICATE', each))
      return {
        evidence: concatBytes(signed, rawSignature(signed, keys[4]!)),
        collateral: [utf8(certificates.join('')), ...lists],
      }
    },
  }
}
