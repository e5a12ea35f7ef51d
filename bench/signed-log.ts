/**
 * A log that an issuer may write on, and records of that issuer for it: what the bench of verified appends posts.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { generateKey } from '../clients/cli/key-files.ts'
import { Admission } from '../log-server/admission/admission.ts'
import { initLog } from '../log-server/init.ts'
import { type Log, openLog } from '../log-server/log.ts'
import { sha256, utf8 } from '../merkle/index.ts'
import {
  buildRecordStatement,
  encodePublicKey,
  type Link,
  type NewRecord,
  type RecordType,
} from '../provenance/index.ts'
import { importSigningKey, parsePrivateJwk, type SignedStatement, type SigningKey } from '../statement/index.ts'

const ISSUER = 'spiffe://bank.example/issuer'
const VERIFIER = 'spiffe://attest.example/verifier'

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length))
export const now = (): number => Math.floor(Date.now() / 1000)

export type BenchAlgorithm = 'ES256' | 'Ed25519'

export interface SignedLog {
  readonly log: Log
  /** An issuance policy of a few words: nothing sealed, no links. */
  policy(): Promise<SignedStatement>
  /** What the log is for, a `credential-provenance`: four links, two sealed sections. */
  provenance(): Promise<SignedStatement>
}

/** A new log in `dataDir` with all that the records link to. Issuer and verifier sign with `algorithm`. */
export async function createSignedLog(dataDir: string, algorithm: BenchAlgorithm): Promise<SignedLog> {
  const origin = 'bench.example/signed'
  const { adminKey } = await initLog({ dataDir, origin, now, random })
  const log = await openLog({ dataDir, now })
  const admission = new Admission({ log, now })
  const admin = await importSigningKey(parsePrivateJwk(JSON.parse(await readFile(adminKey, 'utf8'))))
  const [issuer, verifier] = [await newKey(algorithm), await newKey(algorithm)]

  const build = async <T extends RecordType>(record: NewRecord<T>, key: SigningKey, name: string) =>
    (await buildRecordStatement(record, { key, issuer: name, now: now(), random })).statement
  const register = async <T extends RecordType>(record: NewRecord<T>, key: SigningKey, name: string): Promise<Link> => {
    const statement = await build(record, key, name)
    await admission.admit(statement.bytes)
    return { rel: record.type as Link['rel'], entry: statement.entry }
  }
  const authorize = (role: 'issuer' | 'verifier', subject: string, trustDomain: string, { publicJwk }: SigningKey) => {
    const fields = { role, trustDomain, subject, key: encodePublicKey(publicJwk), notBefore: 0 }
    return register({ type: 'key-authorization', fields }, admin, origin)
  }

  const issuerKey = await authorize('issuer', ISSUER, 'bank.example', issuer)
  const verifierKey = await authorize('verifier', VERIFIER, 'attest.example', verifier)
  const links = [
    await register(
      {
        type: 'workload-provenance',
        fields: { subject: random(32), subjectKind: 'measurement' },
        sections: { workload: { name: 'payments-api', sbom: [], build: [], compliance: [] } },
      },
      issuer,
      ISSUER,
    ),
    await register(await attestationResult(), verifier, VERIFIER),
    await register(policyRecord('payments'), issuer, ISSUER),
    issuerKey,
  ]

  async function attestationResult(): Promise<NewRecord<'attestation-result'>> {
    const judgedBy = [
      await register({ ...document('measured'), type: 'appraisal-policy' }, verifier, VERIFIER),
      await register({ ...document('release'), type: 'reference-values' }, verifier, VERIFIER),
      verifierKey,
    ]
    return {
      type: 'attestation-result',
      links: judgedBy,
      fields: {
        resultDigest: random(32),
        evidenceDigest: random(32),
        format: 'measured-files',
        tier: 'affirming',
        issuedAt: now(),
        expiresAt: now() + 3600,
      },
      sections: {
        attestation: {
          result: 'eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjF9.c2ln',
          measurement: random(32),
          keyThumbprint: THUMBPRINT,
          nonce: random(8),
        },
      },
    }
  }

  return {
    log,
    policy: () => build(policyRecord(`policy ${toText(random(8))}`), issuer, ISSUER),
    provenance: () =>
      build(
        {
          type: 'credential-provenance',
          links,
          fields: {
            kind: 'wit',
            credentialDigest: random(32),
            notBefore: now(),
            notAfter: now() + 300,
            delivery: 'file',
            attestation: 'attested',
          },
          sections: {
            credential: {
              subject: 'spiffe://bank.example/payments/api',
              trustDomain: 'bank.example',
              identifier: toText(random(16)),
              keyThumbprint: THUMBPRINT,
              attributes: new Map([['environment', 'production']]),
            },
            decision: {
              engine: 'cedar',
              engineVersion: '4.13.0',
              policyDigest: random(32),
              contextDigest: random(32),
              context: '{"tier":"affirming"}',
              decision: 'allow',
              reasons: ['policy0'],
            },
          },
        },
        issuer,
        ISSUER,
      ),
  }
}

const THUMBPRINT = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'
const CEDAR = 'permit(principal, action, resource);'

function document(policyId: string) {
  return {
    fields: {
      policyId,
      version: 1,
      mediaType: 'text/cedar',
      digest: sha256(utf8(CEDAR)),
      content: utf8(CEDAR),
      notBefore: 0,
    },
  }
}

function policyRecord(policyId: string): NewRecord<'issuance-policy'> {
  return { ...document(policyId), type: 'issuance-policy' }
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function newKey(algorithm: BenchAlgorithm): Promise<SigningKey> {
  return importSigningKey(generateKey(algorithm))
}
