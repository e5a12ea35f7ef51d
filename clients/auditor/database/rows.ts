/**
 * What an entry becomes in the database.
 *
 * A record that may not be on the log is among `records` and nowhere else: what it says does not count, and that it is there is a finding.
 *
 * @module
 */
import { type Hash, toHex } from '../../../merkle/index.ts'
import {
  decodePublicKey,
  type EarClaims,
  isJsonObject,
  type Json,
  JsonNumber,
  type ProvenanceRecord,
  packageOf,
  parsePurl,
  tierOfCode,
  type WorkloadDescription,
} from '../../../provenance/index.ts'
import { kidOf } from '../../../statement/index.ts'
import type { AuditedEntry } from '../audited-entry.ts'
import type { Finding } from '../checks.ts'
import type { Cell, Row } from './cells.ts'
import type { TableName } from './schema.ts'
import { versionKey } from './version-key.ts'

/** Where rows go. */
export type Sink = (table: TableName, row: Row) => void

/** The index of an entry of the log, in lower-case hex; undefined when it has none. */
export type Locate = (entry: string) => number | undefined

/** Leaves of one result's annotated evidence at most: what a Verifier says is as long as it likes, up to a hundred kilobytes. */
const MAX_FACTS = 512
/** Other bytes each time: nobody asks which credentials have them in common. */
const LEFT_OUT: ReadonlySet<string> = new Set(['chosen', 'collateral'])

export function addEntry(audited: AuditedEntry, memory: string, locate: Locate, sink: Sink): void {
  const { index, recorded, state, statement, record, opened } = audited
  sink('records', [
    index,
    Buffer.from(recorded.entry, 'hex'),
    recorded.identity === '' ? null : Buffer.from(recorded.identity, 'hex'),
    state,
    record?.type ?? null,
    statement?.header.issuer ?? null,
    statement?.header.kid ?? null,
    statement?.header.issuedAt ?? null,
    record?.id ?? null,
    record ? record.sealed !== undefined : null,
    record ? opened !== undefined : null,
    memory,
  ])
  if (record === undefined) return
  for (const { rel, entry } of record.links) {
    const target = locate(toHex(entry))
    sink('links', [index, rel, target ?? null, target === undefined ? entry : null])
  }
  if (state === 'record') addRecord(audited, record, locate, sink)
}

export function addFinding(
  table: 'findings' | 'observations',
  { check, severity, index, detail, about }: Finding,
  sink: Sink,
): void {
  sink(table, [index, check, severity, detail, about === undefined ? null : Buffer.from(about, 'hex')])
}

function addRecord({ index, opened }: AuditedEntry, record: ProvenanceRecord, locate: Locate, sink: Sink): void {
  const sections = opened?.sections ?? {}
  const linked = (relation: string): number | null => {
    const link = record.links.find(({ rel }) => rel === relation)
    return (link && locate(toHex(link.entry))) ?? null
  }
  switch (record.type) {
    case 'key-authorization': {
      const { role, trustDomain, subject, key, encryptionKey, notBefore, notAfter, maxCredentialLifetime } =
        record.fields
      const encryption = encryptionKey ? kidOf(decodePublicKey(encryptionKey)) : null
      const kid = kidOf(decodePublicKey(key))
      const ends = [notBefore, notAfter ?? null, maxCredentialLifetime ?? null]
      sink('authorizations', [index, role, trustDomain, subject, kid, encryption, ...ends])
      break
    }
    case 'issuance-policy':
    case 'appraisal-policy':
    case 'reference-values': {
      const { policyId, version, mediaType, digest, notBefore, notAfter } = record.fields
      const confidential = 'confidential' in record.fields ? (record.fields.confidential ?? false) : null
      const row = [index, record.type, policyId, version, mediaType, digest, notBefore, notAfter ?? null, confidential]
      sink('policies', row)
      break
    }
    case 'workload-provenance':
      addWorkload(index, record.fields, sections.workload, sink)
      break
    case 'attestation-result': {
      const { format, tier, issuedAt, expiresAt, resultDigest, evidenceDigest } = record.fields
      const { measurement = null, keyThumbprint = null } = sections.attestation ?? {}
      const row = [index, format, tier, issuedAt, expiresAt, resultDigest, evidenceDigest, measurement, keyThumbprint]
      sink('results', row)
      if (opened?.claims) addClaims(index, opened.claims, sink)
      break
    }
    case 'credential-provenance': {
      const { fields } = record
      const { credential, decision } = sections
      sink('credentials', [
        index,
        fields.credentialDigest,
        fields.kind,
        fields.notBefore,
        fields.notAfter,
        fields.delivery,
        fields.attestation,
        fields.unattestedReason ?? null,
        fields.components ?? null,
        fields.confidential ?? false,
        fields.usage ?? null,
        fields.pop ?? null,
        credential?.subject ?? null,
        credential?.trustDomain ?? null,
        credential?.identifier ?? null,
        credential?.keyThumbprint ?? null,
        decision ? `${decision.engine} ${decision.engineVersion}: ${decision.reasons.join(', ')}` : null,
      ])
      for (const [name, value] of credential?.attributes ?? []) sink('attributes', [index, name, value])
      break
    }
    case 'issuance-denied': {
      // The section of a request has other members than that of a credential.
      const asked = sections.credential as { subject: string; kind?: string } | undefined
      sink('denials', [index, record.fields.reason, asked?.subject ?? null, asked?.kind ?? null])
      break
    }
    case 'credential-status': {
      const { status, effectiveAt, reasonCode, successor } = record.fields
      const of = linked('credential-provenance')
      sink('statuses', [index, of, status, effectiveAt, reasonCode ?? null, successor ?? null])
      break
    }
    case 'retraction':
      sink('retractions', [index, linked('retracts'), record.fields.effectiveAt, record.fields.reasonCode ?? null])
      break
    case 'identity-generalization': {
      const inner = sections.credential as { digest: Hash; subject: string; origin: string; entry: Hash } | undefined
      const { digest = null, subject = null, origin = null, entry = null } = inner ?? {}
      sink('generalizations', [index, linked('credential-provenance'), digest, subject, origin, entry])
      break
    }
    case 'erasure':
      sink('erasures', [index, linked('erases'), record.fields.scope, record.fields.reasonCode ?? null])
      break
    case 'audit-report': {
      const { from, size, root, verdict, counts, findings, settled, catalogue, auditedAt } = record.fields
      const { openedWith = null, opened: sections = null } = record.fields
      const { error, warning, info } = counts
      const found = [verdict, error, warning, info, findings, settled, catalogue]
      sink('audit_reports', [index, from, size, root, ...found, auditedAt, openedWith, sections])
      break
    }
    case 'log-policy':
    case 'issuance-intent':
      break
  }
}

function addWorkload(
  index: number,
  { subject, subjectKind }: { readonly subject: Uint8Array; readonly subjectKind?: string },
  workload: WorkloadDescription | undefined,
  sink: Sink,
): void {
  const { name = null, vendor } = workload ?? {}
  const formats = workload ? [...new Set(workload.sbom.map(({ format }) => format))].join(',') : null
  const of = [vendor?.name ?? null, vendor?.id ?? null, vendor?.saas ?? null]
  sink('workloads', [index, subject, subjectKind ?? null, name, ...of, formats])
  for (const { components, others = [], cpes = [], vulnerabilities = [] } of workload?.sbom ?? []) {
    for (const cpe of cpes) sink('cpes', [index, cpe])
    for (const { id, state = null } of vulnerabilities) sink('vulnerabilities', [index, id, state])
    for (const purl of components) sink('components', [index, ...componentOf(purl)])
    for (const other of others) {
      const { version = null } = other
      sink('components', [
        index,
        null,
        other.name,
        version,
        version === null ? null : (versionKey(version) ?? null),
        null,
      ])
    }
  }
  for (const build of workload?.build ?? []) {
    const { builderId = null, buildType = null, predicateType, digest, verified, verification } = build
    sink('builds', [index, builderId, buildType, predicateType, digest, verified, verification?.result ?? null])
  }
  for (const { test, result, verified, tool = null } of workload?.compliance ?? []) {
    sink('compliance', [index, test, result, verified, tool])
  }
}

/** Parts of purls that were read before: bills of materials have the same packages, again and again. */
const components = new Map<string, Row>()
const MAX_KEPT_COMPONENTS = 65536

function componentOf(purl: string): Row {
  const known = components.get(purl)
  if (known) return known
  const { type, name, version } = parsePurl(purl)
  const key = version === undefined ? null : (versionKey(version, type) ?? null)
  const row = [packageOf(purl), name, version ?? null, key, purl]
  if (components.size >= MAX_KEPT_COMPONENTS) components.clear()
  components.set(purl, row)
  return row
}

function addClaims(index: number, { appraisals }: EarClaims, sink: Sink): void {
  for (const [part, { vector = {}, annotatedEvidence = {}, policyClaims = {} }] of appraisals) {
    for (const [claim, code] of Object.entries(vector)) sink('claims', [index, part, claim, code, tierOfCode(code)])
    let left = MAX_FACTS
    const add = (name: string, value: Cell): void => {
      if (left-- <= 0) return
      const text = String(value)
      sink('facts', [index, part, name, text, versionKey(text) ?? null])
    }
    addFacts('', annotatedEvidence, add)
    addFacts('', policyClaims, add)
  }
}

/** Members of objects by path, elements of lists under the path of the list. JSON that was read is not deep. */
function addFacts(path: string, value: Json, add: (name: string, value: Cell) => void): void {
  if (Array.isArray(value)) {
    for (const each of value as readonly Json[]) addFacts(path, each, add)
  } else if (isJsonObject(value)) {
    for (const [name, each] of Object.entries(value)) {
      if (path === '' && LEFT_OUT.has(name)) continue
      addFacts(path === '' ? name : `${path}.${name}`, each as Json, add)
    }
  } else if (value !== null) {
    add(path, textIn(path, value instanceof JsonNumber ? value.literal : String(value as string | number | boolean)))
  }
}

/** NVIDIA's driver and VBIOS versions are measurements, and so bytes in hex; to people they are text. */
function textIn(path: string, value: string): string {
  if (!/\.(DRIVER|VBIOS)_VERSION$/.test(path) || !/^([0-9a-f]{2})+$/.test(value)) return value
  const text = Buffer.from(value, 'hex').toString('latin1')
  return /^[ -~]+$/.test(text) ? text : value
}
