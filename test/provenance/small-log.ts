/**
 * A log of nine honest records, small enough to know by heart, for tests that change one thing in it:
 *
 *     0  log-policy               by the admin
 *     1  key-authorization        issuer    bank.example, valid [0, 10000), credentials of an hour at most
 *     2  key-authorization        verifier  attest.example
 *     3  issuance-policy          by the issuer
 *     4  appraisal-policy         by the verifier
 *     5  reference-values         by the verifier
 *     6  workload-provenance      by the issuer
 *     7  attestation-result       by the verifier
 *     8  credential-provenance    by the issuer
 *
 * Record i is dated 100 + i. Keys and "random" bytes are made from small numbers, so any two of these logs are equal.
 *
 * @module
 */
import { ed25519PublicKey } from '#ed25519'
import { createNoteSigner, sha256, toBase64url, toHex, utf8 } from '../../merkle/index.ts'
import {
  type Author,
  Authorities,
  buildRecordStatement,
  encodePublicKey,
  type FieldsOf,
  type Link,
  type LinkTarget,
  linkTargetOf,
  type NewRecord,
  type RecordContext,
  type RecordStatement,
  type RecordType,
  recordStatementOf,
  type SectionsOf,
} from '../../provenance/index.ts'
import {
  importSigningKey,
  importVerificationKey,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  type SigningKey,
  verifySignedStatement,
} from '../../statement/index.ts'

export const ORIGIN = 'log.example'
export const ISSUER = 'spiffe://bank.example/issuer'
export const VERIFIER = 'spiffe://attest.example/verifier'

/** Somebody who signs. */
export interface Party {
  readonly issuer: string
  readonly jwk: PrivateJwk
  readonly publicJwk: PublicJwk
  readonly key: SigningKey
  readonly kid: string
}

export async function createParty(number: number, issuer: string): Promise<Party> {
  const seed = new Uint8Array(32).fill(number)
  const jwk: PrivateJwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    x: toBase64url(ed25519PublicKey(seed)),
    d: toBase64url(seed),
  }
  const key = await importSigningKey(jwk)
  return { issuer, jwk, publicJwk: publicJwkOf(jwk), key, kid: key.kid }
}

export const admin = await createParty(1, ORIGIN)
export const issuer = await createParty(2, ISSUER)
export const verifier = await createParty(3, VERIFIER)
export const stranger = await createParty(4, 'spiffe://bank.example/stranger')
export const auditor = await createParty(12, 'spiffe://bank.example/auditor')

/** SHA-256 of a text. */
export function digestOf(text: string): Uint8Array {
  return sha256(utf8(text))
}

/** Different bytes at each call, and the same ones for the same `stream`. */
export function notRandom(stream: string): (length: number) => Uint8Array {
  let drawn = 0
  return (length) => digestOf(`${stream} ${++drawn}`).slice(0, length)
}

let streams = 0
export function author(party: Party, now: number, stream = `unnamed ${++streams}`): Author {
  return { key: party.key, issuer: party.issuer, now, random: notRandom(stream) }
}

/** Signs a record and reads it back. */
export async function signRecord<T extends RecordType>(record: NewRecord<T>, by: Author): Promise<RecordStatement<T>> {
  const { statement } = await buildRecordStatement(record, by)
  const key = await importVerificationKey(by.key.publicJwk)
  return recordStatementOf(await verifySignedStatement(statement, key)) as RecordStatement<T>
}

/** Honest contents of each type, apart from what names other records. */
export const FIELDS: { readonly [T in RecordType]: FieldsOf<T> } = {
  'log-policy': {
    origin: ORIGIN,
    vkeys: [createNoteSigner(ORIGIN, new Uint8Array(32).fill(5)).vkey],
    receiptKeys: [encodePublicKey((await createParty(6, ORIGIN)).publicJwk)],
    adminKeys: [encodePublicKey(admin.publicJwk)],
    maxStatementBytes: 65_536,
  },
  'key-authorization': {
    role: 'issuer',
    trustDomain: 'bank.example',
    subject: ISSUER,
    key: encodePublicKey(issuer.publicJwk),
    notBefore: 0,
    notAfter: 10_000,
    maxCredentialLifetime: 3600,
  },
  'issuance-policy': {
    policyId: 'payments',
    version: 1,
    mediaType: 'text/cedar',
    digest: digestOf('permit(principal, action, resource);'),
    content: utf8('permit(principal, action, resource);'),
    notBefore: 0,
  },
  'appraisal-policy': {
    policyId: 'measured',
    version: 1,
    mediaType: 'application/json',
    digest: digestOf('{}'),
    notBefore: 0,
    notAfter: 10_000,
  },
  'reference-values': {
    policyId: 'release',
    version: 1,
    mediaType: 'application/json',
    digest: digestOf('[]'),
    notBefore: 0,
  },
  'workload-provenance': { subject: digestOf('image'), subjectKind: 'measurement' },
  'attestation-result': {
    resultDigest: digestOf('ear'),
    evidenceDigest: digestOf('evidence'),
    format: 'measured-files',
    tier: 'affirming',
    issuedAt: 107,
    expiresAt: 407,
  },
  'credential-provenance': {
    kind: 'wit',
    credentialDigest: digestOf('credential'),
    notBefore: 108,
    notAfter: 408,
    delivery: 'file',
    attestation: 'attested',
  },
  'issuance-intent': {
    kind: 'wit',
    notBefore: 108,
    notAfter: 408,
    attestation: 'attested',
    identifierCommitment: digestOf('jti'),
    subjectCommitment: digestOf('sub'),
    keyCommitment: digestOf('key'),
  },
  'issuance-denied': { reason: 'policy_denied' },
  'credential-status': {
    credentialDigest: digestOf('credential'),
    status: 'revoked',
    effectiveAt: 108,
    reasonCode: 'keyCompromise',
  },
  'identity-generalization': { credentialDigest: digestOf('credential') },
  retraction: { effectiveAt: 150, reasonCode: 'keyCompromise' },
  erasure: { scope: 'keys', reasonCode: 'retention' },
  'audit-report': {
    from: 0,
    size: 9,
    root: digestOf('root'),
    verdict: 'passed',
    counts: { error: 0, warning: 0, info: 2 },
    findings: digestOf('findings'),
    settled: digestOf(''),
    catalogue: digestOf('catalogue'),
    auditedAt: 150,
  },
}

const decision: SectionsOf<'credential-provenance'>['decision'] = {
  engine: 'cedar',
  engineVersion: '4.13.0',
  policyDigest: digestOf('permit(principal, action, resource);'),
  contextDigest: digestOf('{"tier":"affirming"}'),
  context: '{"tier":"affirming"}',
  decision: 'allow',
  reasons: ['policy0'],
}

/** Honest sealed contents, every optional part of them there. */
export const SECTIONS: { readonly [T in RecordType]: SectionsOf<T> } = {
  'log-policy': {},
  'key-authorization': {},
  'issuance-policy': { policy: { content: utf8('permit(principal, action, resource);') } },
  'appraisal-policy': { policy: { content: utf8('{}') } },
  'reference-values': { policy: { content: utf8('[]') } },
  'workload-provenance': {
    workload: {
      name: 'payments-api',
      sbom: [
        {
          format: 'CycloneDX',
          specVersion: '1.6',
          digest: digestOf('bom'),
          serialNumber: 'urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79',
          components: ['pkg:npm/fastify@5.12.8', 'pkg:npm/level@10.0.0'],
          vulnerabilities: [{ id: 'CVE-2026-1', state: 'not_affected' }, { id: 'CVE-2026-2' }],
        },
      ],
      build: [
        {
          predicateType: 'https://slsa.dev/provenance/v1',
          builderId: 'https://builder.example/1',
          digest: digestOf('slsa'),
          verified: false,
        },
      ],
      compliance: [
        { test: 'cis-docker', result: 'pass', tool: 'docker-bench', digest: digestOf('report'), verified: false },
      ],
      vendor: { name: 'Example Software', id: 'EX-1', saas: 'payments.example' },
    },
  },
  'attestation-result': {
    attestation: {
      // Sealed, so it may be what it is: a token.
      result: 'eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjF9.c2ln',
      measurement: digestOf('image'),
      keyThumbprint: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
      nonce: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    },
  },
  'credential-provenance': {
    credential: {
      subject: 'spiffe://bank.example/payments/api',
      trustDomain: 'bank.example',
      identifier: '7b1f',
      keyThumbprint: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
      audiences: ['shop.example'],
      bootstrap: { kind: 'platform-token', digest: digestOf('token') },
      attributes: new Map([['environment', 'production']]),
    },
    decision,
    attestation: {
      components: [{ label: 'payments', result: digestOf('result'), tier: 'affirming', keyAttested: true }],
      measuredScope: 'the image and its arguments',
      agent: { measurement: digestOf('agent') },
      platformBinding: { freshness: 'AF_L2', fidelity: 'CF_L1', stickiness: 'CS_L3', tcb: 'TCB_L4' },
    },
    detail: { text: 'the machines of this site\nhave no TPM' },
    tags: { key: new Uint8Array(32).fill(7) },
  },
  'issuance-intent': { credential: { subject: 'spiffe://bank.example/payments/api' }, decision },
  'issuance-denied': {
    credential: {
      subject: 'spiffe://bank.example/payments/api',
      kind: 'wit',
      keyThumbprint: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
    },
    decision: { ...decision, decision: 'deny', reasons: [] },
    detail: { text: 'nothing in the policy permits it' },
  },
  'identity-generalization': {
    credential: {
      digest: digestOf('internal credential'),
      subject: 'spiffe://bank.example/payments/api',
      origin: ORIGIN,
      entry: digestOf('internal record'),
      rule: 'egress-partners',
    },
  },
  retraction: { detail: { text: 'A hole in the firmware.\nSee the advisory.' } },
  'credential-status': { detail: { text: 'Stolen.\nSee the report.' } },
  erasure: { detail: { text: 'Asked for by the data subject.' } },
  'audit-report': {},
}

/** A log in memory: what each of its records is checked against. */
export class SmallLog {
  readonly authorities = new Authorities()
  readonly targets = new Map<string, LinkTarget>()
  readonly records: RecordStatement[] = []

  /** Puts a record at the end, unchecked. */
  append<T extends RecordType>(record: RecordStatement<T>): Uint8Array {
    const anyRecord = record as RecordStatement
    const index = this.records.push(anyRecord) - 1
    this.authorities.apply(index, anyRecord)
    this.targets.set(toHex(record.entry), linkTargetOf(index, anyRecord))
    return record.entry
  }

  /** What the record at the end asking for admission at `now` is checked against. */
  context(now: number): RecordContext {
    const { authorities, targets, records } = this
    return { authorities, targets, now, maxClockSkew: 5, treeSize: records.length, wrapRecipients: [] }
  }

  link(rel: Link['rel'], index: number): Link {
    return { rel, entry: this.records[index]!.entry }
  }
}

/** The links of an honest record that follows in {@link createSmallLog}'s log. */
export function honestLinks(log: SmallLog, type: RecordType): readonly Link[] {
  if (type === 'attestation-result') {
    return [log.link('appraisal-policy', 4), log.link('reference-values', 5), log.link('key-authorization', 2)]
  }
  if (type === 'credential-provenance' || type === 'issuance-denied' || type === 'issuance-intent') {
    return [
      log.link('workload-provenance', 6),
      log.link('attestation-result', 7),
      log.link('issuance-policy', 3),
      log.link('key-authorization', 1),
    ]
  }
  if (type === 'credential-status') return [log.link('credential-provenance', 8), log.link('key-authorization', 1)]
  if (type === 'identity-generalization') {
    return [log.link('credential-provenance', 8), log.link('key-authorization', log.records.length - 1)]
  }
  if (type === 'retraction') return [log.link('retracts', 3)]
  if (type === 'erasure') return [log.link('erases', 8)]
  if (type === 'audit-report') return [log.link('key-authorization', log.records.length - 1)]
  return []
}

/** The honest record of `type`, changed as `change` says. */
export function newRecord<T extends RecordType>(
  log: SmallLog,
  type: T,
  change: Partial<NewRecord<T>> = {},
): NewRecord<T> {
  return { type, fields: FIELDS[type], links: honestLinks(log, type), sections: SECTIONS[type], ...change }
}

/** Who signs records of `type` in this log. */
export function signerOf(type: RecordType): Party {
  if (type === 'log-policy' || type === 'key-authorization') return admin
  if (type === 'appraisal-policy' || type === 'reference-values' || type === 'attestation-result') return verifier
  return type === 'audit-report' ? auditor : issuer
}

/** The nine records above, or the first `length` of them. Each call gives a log of its own, with the same entries. */
export async function createSmallLog(length = 9): Promise<SmallLog> {
  const log = new SmallLog()
  const add = async <T extends RecordType>(type: T, change: Partial<NewRecord<T>> = {}) => {
    if (log.records.length < length) {
      const index = log.records.length
      log.append(await signRecord(newRecord(log, type, change), author(signerOf(type), 100 + index, `record ${index}`)))
    }
  }
  await add('log-policy')
  await add('key-authorization')
  await add('key-authorization', {
    fields: {
      role: 'verifier',
      trustDomain: 'attest.example',
      subject: VERIFIER,
      key: encodePublicKey(verifier.publicJwk),
      notBefore: 0,
    },
  })
  await add('issuance-policy')
  await add('appraisal-policy')
  await add('reference-values')
  await add('workload-provenance')
  await add('attestation-result')
  await add('credential-provenance')
  return log
}
