/**
 * A log of any length as an audit leaves it, without the log: what its database is filled with, entry by entry, for measuring that and
 * the questions. Nothing is signed, and the same numbers always give the same entries.
 *
 *     1 of 200   what a workload is made of: 200 packages of 4000, each in one of 12 versions
 *     then in turns: an attestation result with claims and facts, and a credential issued on it; every tenth time a new status
 *
 * @module
 */

import type { AuditedEntry } from '../clients/auditor/audited-entry.ts'
import { sha256, toHex, utf8 } from '../merkle/index.ts'
import type { EarClaims, LinkRelation, ProvenanceRecord, RecordType, Vulnerability } from '../provenance/index.ts'
import { encodePublicKey, VULNERABILITY_STATES } from '../provenance/index.ts'
import type { SignedStatement } from '../statement/index.ts'

export const START = 1_760_000_000
const ISSUER = 'spiffe://bank.example/issuer'
const VERIFIER = 'spiffe://attest.example/verifier'
export const ISSUER_KID = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs'
export const VERIFIER_KID = 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'
const KEY = encodePublicKey({
  kty: 'OKP',
  crv: 'Ed25519',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
})
const POLICY_VERSIONS = 10
const SETTLED = 3 + 3 * POLICY_VERSIONS
const COMPONENTS = 200

export function digestOf(text: string): Uint8Array {
  return sha256(utf8(text))
}

/** Digest of the statement at an index. */
export function entryAt(index: number): Uint8Array {
  return digestOf(`entry ${index}`)
}

/** The entry at `index`; those it links to are lower. */
export function auditedEntry(index: number): AuditedEntry {
  if (index === 0) return of(index, 'log-policy', logPolicy, [])
  if (index < 3) return of(index, 'key-authorization', keyAuthorization(index), [])
  if (index < SETTLED) return policyAt(index)
  const place = index - SETTLED
  if (place % 200 === 0) return workloadAt(index)
  if (place % 20 === 19) return statusAt(index)
  return place % 2 === 1 ? resultAt(index) : credentialAt(index)
}

const logPolicy = {
  origin: 'bench.example/audit',
  vkeys: ['bench.example/audit+00000000+AQ=='],
  receiptKeys: [KEY],
  adminKeys: [KEY],
  maxStatementBytes: 1 << 20,
}

function keyAuthorization(index: number) {
  const [role, trustDomain, subject] =
    index === 1 ? ['issuer', 'bank.example', ISSUER] : ['verifier', 'attest.example', VERIFIER]
  return { role, trustDomain, subject, key: KEY, notBefore: START - 1000 }
}

const POLICY_TYPES = ['issuance-policy', 'appraisal-policy', 'reference-values'] as const

function policyAt(index: number): AuditedEntry {
  const type = POLICY_TYPES[index % 3]!
  const version = 1 + Math.floor((index - 3) / 3)
  const fields = {
    policyId: `main-${type}`,
    version,
    mediaType: 'text/plain',
    digest: digestOf(`${type} ${version}`),
    notBefore: START + version * 1000,
    notAfter: START + version * 1_000_000,
  }
  return of(index, type, fields, [])
}

/** The latest version of a policy, of those that an entry may know. */
function policyFor(type: (typeof POLICY_TYPES)[number], index: number): number {
  const version = Math.floor(index / 7) % POLICY_VERSIONS
  const first = 3 + 3 * version
  return [first, first + 1, first + 2].find((each) => POLICY_TYPES[each % 3] === type)!
}

function workloadAt(index: number): AuditedEntry {
  const number = Math.floor(index / 200)
  const components = Array.from({ length: COMPONENTS }, (_, i) => {
    const name = (number * 37 + i * 19) % 4000
    return `pkg:npm/package-${name}@${1 + ((number + i) % 3)}.${(number + i) % 4}.0`
  })
  const workload = {
    name: `service-${number % 500}`,
    vendor: { name: `Vendor ${number % 50}` },
    sbom: [
      {
        format: 'CycloneDX',
        specVersion: '1.6',
        digest: digestOf(`sbom ${number}`),
        components,
        others: [{ name: 'package-37', version: '0.9' }],
        cpes: [`cpe:2.3:a:vendor-${number % 50}:product:1.0:*:*:*:*:*:*:*`],
        vulnerabilities: [vulnerabilityOf(number)],
      },
    ],
    build: [
      {
        predicateType: 'https://slsa.dev/provenance/v1',
        digest: digestOf(`build ${number}`),
        verified: true,
        builderId: `https://builder.example/${number % 20}`,
      },
    ],
    compliance: ['cis', 'fips', 'stig'].map((test, i) => ({
      test,
      result: (number + i) % 9 === 0 ? 'fail' : 'pass',
      verified: true,
    })),
  }
  const fields = { subject: digestOf(`image ${number}`), subjectKind: 'measurement' }
  return of(index, 'workload-provenance', fields, [], { sections: { workload } })
}

/** One in seven without a state. */
function vulnerabilityOf(number: number): Vulnerability {
  const state = VULNERABILITY_STATES[number % 7]
  return { id: `CVE-2026-${number % 5}`, ...(state && { state }) }
}

function resultAt(index: number): AuditedEntry {
  const number = Math.floor((index - SETTLED) / 200)
  const warning = index % 50 === 2
  const fields = {
    resultDigest: digestOf(`result ${index}`),
    evidenceDigest: digestOf(`evidence ${index}`),
    format: 'sev-snp',
    tier: warning ? 'warning' : 'affirming',
    issuedAt: START + index,
    expiresAt: START + index + 600,
  }
  const attestation = { result: 'x.y.z', measurement: digestOf(`image ${number}`), keyThumbprint: keyOf(index + 1) }
  const claims = {
    issuedAt: START + index,
    verifier: { developer: 'https://verifier.example', build: '1' },
    appraisals: new Map([
      [
        'cpu',
        {
          status: 'affirming',
          vector: { 'instance-identity': 2, hardware: warning ? 32 : 2, executables: 3, configuration: 2 },
          annotatedEvidence: {
            versions: { bootloader: 4, tee: 0, snp: 8 + (index % 16), microcode: 200 + (index % 40) },
            platform: { model: 'Milan', id: toHex(digestOf(`chip ${index % 3000}`).subarray(0, 8)) },
            debug: false,
            matched: `release ${index % 12}`,
          },
        },
      ],
    ]),
  } as unknown as EarClaims
  const links: [LinkRelation, number][] = [
    ['appraisal-policy', policyFor('appraisal-policy', index)],
    ['reference-values', policyFor('reference-values', index)],
    ['key-authorization', 2],
  ]
  return of(index, 'attestation-result', fields, links, { sections: { attestation }, claims })
}

function credentialAt(index: number): AuditedEntry {
  const attested = (index - SETTLED) % 20 !== 0
  const fields = {
    kind: index % 4 === 0 ? 'wic' : 'wit',
    credentialDigest: digestOf(`credential ${index}`),
    notBefore: START + index,
    notAfter: START + index + (index % 1000 === 1 ? 604_800 : 86_400),
    delivery: index % 100 === 1 ? 'env' : 'file',
    attestation: attested ? 'attested' : 'none',
    ...(!attested && { unattestedReason: 'no-attester' }),
  }
  const number = Math.floor((index - SETTLED) / 200)
  const links: [LinkRelation, number][] = [
    ['workload-provenance', SETTLED + number * 200],
    ...(attested ? ([['attestation-result', index - 1]] as [LinkRelation, number][]) : []),
    ['issuance-policy', policyFor('issuance-policy', index)],
    ['key-authorization', 1],
  ]
  const credential = {
    subject: `spiffe://bank.example/service-${number % 500}`,
    trustDomain: 'bank.example',
    identifier: toHex(digestOf(`jti ${index}`).subarray(0, 16)),
    keyThumbprint: keyOf(index),
    attributes: new Map([['requester', `spiffe://bank.example/agent-${index % 700}`]]),
  }
  const decision = { engine: 'cedar', engineVersion: '4.13.0', reasons: ['attested'] }
  return of(index, 'credential-provenance', fields, links, { sections: { credential, decision } as never })
}

/** One key of a thousand is used twice. */
function keyOf(index: number): string {
  return toHex(digestOf(`key ${index % 1000 === 500 ? index - 100 : index}`))
}

function statusAt(index: number): AuditedEntry {
  const credential = index - 1
  const fields = {
    credentialDigest: digestOf(`credential ${credential}`),
    status: (['revoked', 'suspended', 'superseded'] as const)[index % 3]!,
    effectiveAt: START + index + 100,
    reasonCode: 'keyCompromise',
  }
  return of(index, 'credential-status', fields, [
    ['credential-provenance', credential],
    ['key-authorization', 1],
  ])
}

function of(
  index: number,
  type: RecordType,
  fields: object,
  links: readonly (readonly [LinkRelation, number])[],
  opened?: object,
): AuditedEntry {
  const entry = entryAt(index)
  const byVerifier = type === 'attestation-result' || type === 'appraisal-policy' || type === 'reference-values'
  const record = {
    type,
    id: entry.subarray(0, 16),
    links: links.map(([rel, target]) => ({ rel, entry: entryAt(target) })),
    tags: [],
    unique: [],
    fields,
    ...(opened && { sealed: {} }),
  } as unknown as ProvenanceRecord
  const header = {
    issuer: byVerifier ? VERIFIER : ISSUER,
    kid: byVerifier ? VERIFIER_KID : ISSUER_KID,
    issuedAt: START + index,
  }
  const hex = toHex(entry)
  return {
    index,
    recorded: {
      entry: hex,
      identity: hex,
      target: { index, type, issuedAt: header.issuedAt, signer: header.kid },
      unique: [`id:${hex.slice(0, 32)}`],
    },
    state: 'record',
    statement: { header } as SignedStatement,
    record,
    ...(opened && { opened: opened as NonNullable<AuditedEntry['opened']> }),
  }
}
