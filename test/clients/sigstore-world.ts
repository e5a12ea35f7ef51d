/**
 * A Sigstore of the test's own: CA, certificate log, transparency log and timestamp authority, played by Sigstore's own mock of them.
 *
 * The mock's CA certificates begin when they are made, by the clock of the machine. So do the times here.
 *
 * @module
 */
import { createHash, type KeyObject, sign } from 'node:crypto'
import { initializeCA, initializeCTLog, initializeTLog, initializeTSA } from '@sigstore/mock'
import { utf8 } from '../../merkle/index.ts'
import { signedBytes } from '../../provenance/workload/dsse.ts'
import { newKeyPair } from '../key-pairs.ts'

export const BUILDER = 'https://github.com/acme/payments/.github/workflows/release.yml@refs/tags/v1'
export const PROVIDER = 'https://token.actions.githubusercontent.com'

const PAYLOAD_TYPE = 'application/vnd.in-toto+json'
const URL = 'https://rekor.acme.example'

export interface Certified {
  readonly certificate: Uint8Array
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

export interface LoggedEntry {
  logIndex: string
  logId: { keyId: string }
  kindVersion: { kind: string; version: string }
  integratedTime: string
  canonicalizedBody: string
  inclusionPromise?: { signedEntryTimestamp: string }
  inclusionProof?: Json & { checkpoint: { envelope: string } }
}

/** As Rekor's API has it. */
interface RekorEntry {
  body: string
  integratedTime: number
  logID: string
  logIndex: number
  verification: {
    inclusionProof: { checkpoint: string; logIndex: number; rootHash: string; treeSize: number }
    signedEntryTimestamp: string
  }
}

type Json = Record<string, unknown>
export type Sigstore = Awaited<ReturnType<typeof createSigstore>>

export async function createSigstore() {
  const start = Math.floor(Date.now() / 1000)
  const at = (seconds: number) => new Date((start + seconds) * 1000)
  const [caKey, ctKey, tlogKey, tsaKey] = [pair(), pair(), pair(), pair()]
  const ctlog = await initializeCTLog(ctKey, at(60))
  const ca = await initializeCA(caKey, ctlog, at(60))
  const unlogged = await initializeCA(caKey, undefined, at(60))
  const tsa = await initializeTSA(tsaKey, at(90))

  /** Signs with a certificate that begins at 60 and ends at 660. */
  async function attest(statement: object, { identity = BUILDER, provider = PROVIDER, sct = true } = {}) {
    const key = pair()
    const certificate = await (sct ? ca : unlogged).issueCertificate({
      publicKey: key.publicKey.export({ type: 'spki', format: 'der' }),
      subjectAltName: identity,
      extensions: [
        { oid: '1.3.6.1.4.1.57264.1.1', value: provider, legacy: true },
        { oid: '1.3.6.1.4.1.57264.1.8', value: provider },
      ],
    })
    const payload = utf8(JSON.stringify(statement))
    const signature = sign('sha256', signedBytes({ payloadType: PAYLOAD_TYPE, payload }), key.privateKey)
    return { certificate: new Uint8Array(certificate as Buffer), payload, signature } satisfies Certified
  }

  /** The log takes whatever it is told: `body` may be about anything. */
  async function log(body: { kind: string; apiVersion: string }, seconds = 90): Promise<LoggedEntry> {
    const tlog = await initializeTLog(URL, tlogKey, at(seconds))
    const [entry] = Object.values((await tlog.log(body)) as Record<string, RekorEntry>)
    const { inclusionProof: proof, signedEntryTimestamp } = entry!.verification
    return {
      logIndex: String(entry!.logIndex),
      logId: { keyId: base64(Buffer.from(entry!.logID, 'hex')) },
      kindVersion: { kind: body.kind, version: body.apiVersion },
      integratedTime: String(entry!.integratedTime),
      canonicalizedBody: entry!.body,
      inclusionPromise: { signedEntryTimestamp: signedEntryTimestamp },
      inclusionProof: {
        logIndex: String(proof.logIndex),
        treeSize: String(proof.treeSize),
        rootHash: base64(Buffer.from(proof.rootHash, 'hex')),
        hashes: [],
        checkpoint: { envelope: proof.checkpoint },
      },
    }
  }

  async function timestamp(signature: Uint8Array): Promise<string> {
    const response = await tsa.timestamp({
      artifactHash: createHash('sha256').update(signature).digest(),
      hashAlgorithmOID: '2.16.840.1.101.3.4.2.1',
      nonce: 1,
      policyOID: '1.3.6.1.4.1.57264.2',
    })
    return base64(response as Buffer)
  }

  const validFor = { start: at(-1).toISOString() }
  const logOf = (key: KeyObject, baseUrl: string) => {
    const rawBytes = key.export({ type: 'spki', format: 'der' })
    return {
      baseUrl,
      hashAlgorithm: 'SHA2_256',
      publicKey: { rawBytes: base64(rawBytes), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
      logId: { keyId: base64(createHash('sha256').update(rawBytes).digest()) },
    }
  }
  const chain = (...certificates: ArrayBufferView[]) => ({
    certificates: certificates.map((each) => ({ rawBytes: base64(each as Buffer) })),
  })
  /** `trusted_root.json` */
  const roots = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [logOf(tlogKey.publicKey, URL)],
    certificateAuthorities: [{ uri: 'https://ca.example', certChain: chain(ca.rootCertificate), validFor }],
    ctlogs: [logOf(ctKey.publicKey, 'https://ct.example')],
    timestampAuthorities: [
      { uri: 'https://tsa.example', certChain: chain(tsa.intCertificate, tsa.rootCertificate), validFor },
    ],
  }
  return { attest, log, timestamp, roots }
}

/** As Rekor writes it for a DSSE envelope: `dsse` of v1 and of v2, and `intoto` before. */
export function entryBody(
  kind: 'dsse 0.0.1' | 'dsse 0.0.2' | 'intoto 0.0.2' | 'hashedrekord 0.0.1' | 'hashedrekord 0.0.2',
  { certificate, payload, signature }: Certified,
) {
  const digest = createHash('sha256').update(payload).digest()
  const hash = { algorithm: 'sha256', value: digest.toString('hex') }
  const signer = base64(utf8(pemOf(certificate)))
  const specs: Record<typeof kind, Json> = {
    'dsse 0.0.1': { payloadHash: hash, signatures: [{ signature: base64(signature), verifier: signer }] },
    'dsse 0.0.2': {
      dsseV002: {
        payloadHash: { algorithm: 'SHA2_256', digest: base64(digest) },
        signatures: [
          {
            content: base64(signature),
            verifier: { keyDetails: 'PKIX_ECDSA_P256_SHA_256', x509Certificate: { rawBytes: base64(certificate) } },
          },
        ],
      },
    },
    'intoto 0.0.2': {
      content: {
        envelope: {
          payloadType: PAYLOAD_TYPE,
          signatures: [{ publicKey: signer, sig: base64(utf8(base64(signature))) }],
        },
        payloadHash: hash,
      },
    },
    'hashedrekord 0.0.1': {
      data: { hash },
      signature: { content: base64(signature), publicKey: { content: signer } },
    },
    'hashedrekord 0.0.2': {
      hashedRekordV002: {
        data: {
          algorithm: 'SHA2_256',
          digest: base64(
            createHash('sha256')
              .update(signedBytes({ payloadType: PAYLOAD_TYPE, payload }))
              .digest(),
          ),
        },
        signature: {
          content: base64(signature),
          verifier: { keyDetails: 'PKIX_ECDSA_P256_SHA_256', x509Certificate: { rawBytes: base64(certificate) } },
        },
      },
    },
  }
  const [name, apiVersion] = kind.split(' ') as [string, string]
  return { kind: name, apiVersion, spec: specs[kind] }
}

export function envelopeOf({ payload, signature }: Certified, more: Json = {}) {
  return {
    payloadType: PAYLOAD_TYPE,
    payload: base64(payload),
    signatures: [{ keyid: '', sig: base64(signature), ...more }],
  }
}

const MEDIA_TYPES = {
  '0.1': 'application/vnd.dev.sigstore.bundle+json;version=0.1',
  '0.2': 'application/vnd.dev.sigstore.bundle+json;version=0.2',
  '0.3': 'application/vnd.dev.sigstore.bundle.v0.3+json',
}

export function bundleOf(
  certified: Certified,
  tlogEntries: readonly LoggedEntry[],
  { version = '0.3', timestamps = [] }: { version?: keyof typeof MEDIA_TYPES; timestamps?: readonly string[] } = {},
) {
  const certificate = { rawBytes: base64(certified.certificate) }
  return {
    mediaType: MEDIA_TYPES[version],
    verificationMaterial: {
      ...(version === '0.3' ? { certificate } : { x509CertificateChain: { certificates: [certificate] } }),
      tlogEntries,
      timestampVerificationData: { rfc3161Timestamps: timestamps.map((signedTimestamp) => ({ signedTimestamp })) },
    },
    dsseEnvelope: envelopeOf(certified),
  }
}

export function pemOf(certificate: Uint8Array): string {
  const lines = base64(certificate).match(/.{1,64}/g)!
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function pair() {
  return newKeyPair('ec', { namedCurve: 'P-256' })
}
