/**
 * The auditor's database, as data: every table with its columns and what is in them. `docs/audit-database.md` is made of this.
 *
 * A row stands for one statement on the log, whose place there is its `index`; what a record names several of has a row each. No
 * table has an index (in the sense of databases): columns are read whole, which for a million entries takes some hundredths of a
 * second, and an index would cost memory for every entry that is written.
 *
 * Times are POSIX seconds. Digests are bytes: `lower(hex(entry))` shows one as it is written elsewhere.
 *
 * @module
 */
import { sha256, toHex, utf8 } from '../../../merkle/index.ts'
import { CLAIMS, LINK_RELATIONS, RECORD_TYPES, ROLES, TIERS, VULNERABILITY_STATES } from '../../../provenance/index.ts'
import { CHECKED, CHECKS, SEVERITIES } from '../checks.ts'
import { type Column, sqlTypeOf } from './cells.ts'

interface DescribedColumn extends Column {
  readonly about: string
  /** Known only where the auditor's key opened the section that it is in. */
  readonly opened?: true
}

export interface Table {
  readonly about: string
  readonly columns: readonly DescribedColumn[]
}

const index = { name: 'index', type: 'integer', about: 'Its place on the log.' } as const
const of = (name: string, about: string) => ({ name, type: 'integer', about }) as const
const opened = true as const

const finding = [
  index,
  { name: 'check_id', type: Object.keys(CHECKS), about: '' },
  { name: 'severity', type: SEVERITIES, about: '' },
  { name: 'detail', type: 'text', about: '' },
  { name: 'about', type: 'bytes', about: 'The other entry that it is about.' },
] as const

export const TABLES = {
  audit: {
    about: 'One row: how far the audit has come. It is written in the transaction that writes the rows.',
    columns: [
      { name: 'version', type: 'text', about: 'Of these tables, and of what is checked.' },
      { name: 'origin', type: 'text', about: 'Of the log.' },
      {
        name: 'opened_with',
        type: 'text',
        about: 'The kid of the key that opened sealed sections; NULL where none did.',
      },
      { name: 'size', type: 'integer', about: 'Entries that are in these tables: all those below this index.' },
      { name: 'note', type: 'text', about: 'The signed checkpoint whose tree those entries are in.' },
      {
        name: 'range',
        type: 'text',
        about: 'The compact range of those entries: hashes in hex, by which the next audit goes on.',
      },
      { name: 'records', type: 'integer', about: 'Records among them.' },
      { name: 'foreign_statements', type: 'integer', about: 'Statements that are no records.' },
      { name: 'opened', type: 'integer', about: 'Records of which a section was opened.' },
    ],
  },
  checkpoints: {
    about: 'Every checkpoint up to which an audit came to its end. Answers are complete up to the last of them.',
    columns: [
      { name: 'size', type: 'integer', about: 'Entries under it.' },
      { name: 'root', type: 'bytes', about: 'Root hash: recomputed from the entries.' },
      { name: 'note', type: 'text', about: 'As the log signed it.' },
      {
        name: 'audited_at',
        type: 'integer',
        about: 'When the audit that ended there was begun, by the auditor’s clock.',
      },
    ],
  },
  records: {
    about: 'Every entry of the log, whatever it is.',
    columns: [
      index,
      { name: 'entry', type: 'bytes', about: 'SHA-256 of the statement: what the tree holds.' },
      { name: 'identity', type: 'bytes', about: 'SHA-256 of the statement without its signature.' },
      {
        name: 'state',
        type: ['record', 'refused', 'foreign', 'erased', 'unreadable'],
        about:
          '`record`: it may be on the log. `refused`: it may not; the finding says why, and it has no row in any table below. `foreign`: no record of ours. `erased`: the log has no bytes for it. `unreadable`: no statement, or not signed by the key that it names.',
      },
      { name: 'type', type: RECORD_TYPES, about: 'Of a record.' },
      { name: 'issuer', type: 'text', about: 'Who says that it signed: `iss`.' },
      { name: 'kid', type: 'text', about: 'The key that signed.' },
      { name: 'issued_at', type: 'integer', about: 'When it says that it was signed: `iat`.' },
      { name: 'record_id', type: 'bytes', about: '16 random bytes.' },
      { name: 'sealed', type: 'flag', about: 'Whether it has sealed sections.' },
      { name: 'opened', type: 'flag', about: 'Whether the auditor’s key opened one of them.' },
      {
        name: 'memory',
        type: 'text',
        about: 'What the next audit must know of it, in JSON. Not for questions; may change.',
      },
    ],
  },
  links: {
    about: 'What each record names as its grounds: earlier statements.',
    columns: [
      of('record', 'The record that links.'),
      { name: 'relation', type: LINK_RELATIONS, about: 'What the statement linked to is to it.' },
      { name: 'target', type: 'integer', about: 'Index of the statement linked to; NULL where the log has none.' },
      { name: 'entry', type: 'bytes', about: 'Where the log has none: what the record names.' },
    ],
  },
  authorizations: {
    about: 'Whom the log’s admin let sign what: `key-authorization`.',
    columns: [
      index,
      { name: 'role', type: ROLES, about: '' },
      { name: 'trust_domain', type: 'text', about: '' },
      { name: 'subject', type: 'text', about: 'Whose key it is.' },
      { name: 'kid', type: 'text', about: 'RFC 9679 thumbprint of the key.' },
      { name: 'encryption_kid', type: 'text', about: 'Of the key that it receives the keys of sealed sections with.' },
      { name: 'not_before', type: 'integer', about: '' },
      { name: 'not_after', type: 'integer', about: 'The first second at which it no longer holds; NULL: for good.' },
      { name: 'max_credential_lifetime', type: 'integer', about: 'Seconds.' },
    ],
  },
  policies: {
    about: 'What decisions are made by: issuance policies, appraisal policies, reference values.',
    columns: [
      index,
      { name: 'type', type: ['issuance-policy', 'appraisal-policy', 'reference-values'], about: '' },
      { name: 'policy_id', type: 'text', about: 'As its signer calls it.' },
      { name: 'version', type: 'integer', about: '' },
      { name: 'media_type', type: 'text', about: '' },
      { name: 'digest', type: 'bytes', about: 'SHA-256 of the text.' },
      { name: 'not_before', type: 'integer', about: '' },
      { name: 'not_after', type: 'integer', about: 'NULL: for good.' },
      { name: 'confidential', type: 'flag', about: 'Whether it is for confidential workloads only.' },
    ],
  },
  workloads: {
    about: 'What workloads are made of: `workload-provenance`.',
    columns: [
      index,
      { name: 'subject', type: 'bytes', about: 'SHA-256 of the image, or its measurement.' },
      { name: 'subject_kind', type: 'text', about: '' },
      { name: 'name', type: 'text', about: '', opened },
      { name: 'vendor', type: 'text', about: '', opened },
      { name: 'vendor_id', type: 'text', about: '', opened },
      { name: 'saas', type: 'text', about: 'The service as which the vendor offers it.', opened },
      {
        name: 'sbom_formats',
        type: 'text',
        about: 'Formats of its bills of materials, in order and with commas.',
        opened,
      },
    ],
  },
  components: {
    about: 'What is in the bills of materials of a workload.',
    columns: [
      of('workload', 'The `workload-provenance` record.'),
      {
        name: 'package',
        type: 'text',
        about: 'Package URL without version, qualifiers and subpath; NULL where it has no package URL.',
        opened,
      },
      { name: 'name', type: 'text', about: 'Its last part; or the bare name.', opened },
      { name: 'version', type: 'text', about: '', opened },
      {
        name: 'version_key',
        type: 'text',
        about: 'By which versions are compared; NULL for one that has no order.',
        opened,
      },
      { name: 'purl', type: 'text', about: 'The whole of it.', opened },
    ],
  },
  cpes: {
    about:
      'The names by which vulnerability databases know what is in a workload (CPE), as its bills of materials have them.',
    columns: [of('workload', 'The `workload-provenance` record.'), { name: 'cpe', type: 'text', about: '', opened }],
  },
  vulnerabilities: {
    about: 'What the bills of materials of a workload say of known vulnerabilities in it (VEX).',
    columns: [
      of('workload', 'The `workload-provenance` record.'),
      { name: 'vulnerability', type: 'text', about: 'Its name: CVE, GHSA, …', opened },
      {
        name: 'state',
        type: VULNERABILITY_STATES,
        about: 'As CycloneDX has it; NULL where nobody analysed it.',
        opened,
      },
    ],
  },
  builds: {
    about: 'How a workload was built.',
    columns: [
      of('workload', 'The `workload-provenance` record.'),
      { name: 'builder_id', type: 'text', about: '', opened },
      { name: 'build_type', type: 'text', about: '', opened },
      { name: 'predicate_type', type: 'text', about: '', opened },
      { name: 'digest', type: 'bytes', about: 'SHA-256 of the attestation.', opened },
      { name: 'verified', type: 'flag', about: 'Whether the record’s author checked a signature.', opened },
      { name: 'verification', type: 'text', about: 'Of a verification summary: PASSED or FAILED.', opened },
    ],
  },
  compliance: {
    about: 'Tests that a workload was put to.',
    columns: [
      of('workload', 'The `workload-provenance` record.'),
      { name: 'test', type: 'text', about: '', opened },
      { name: 'result', type: 'text', about: 'As the tool calls it; only `pass` is passed.', opened },
      { name: 'verified', type: 'flag', about: 'Whether the author checked who ran it.', opened },
      { name: 'tool', type: 'text', about: '', opened },
    ],
  },
  results: {
    about: 'What Verifiers found: `attestation-result`.',
    columns: [
      index,
      { name: 'format', type: 'text', about: 'Of the Evidence.' },
      { name: 'tier', type: TIERS, about: '' },
      { name: 'issued_at', type: 'integer', about: '' },
      { name: 'expires_at', type: 'integer', about: '' },
      { name: 'result_digest', type: 'bytes', about: '' },
      { name: 'evidence_digest', type: 'bytes', about: '' },
      { name: 'measurement', type: 'bytes', about: 'What identifies the measured software.', opened },
      {
        name: 'key_thumbprint',
        type: 'text',
        about: 'RFC 7638, of the workload’s key as the Evidence has it.',
        opened,
      },
    ],
  },
  claims: {
    about: 'The trustworthiness claims of a result (AR4SI). Only of results whose sealed text was verified.',
    columns: [
      of('result', 'The `attestation-result` record.'),
      { name: 'part', type: 'text', about: 'Submodule.', opened },
      { name: 'claim', type: CLAIMS, about: '', opened },
      { name: 'code', type: 'integer', about: '-128 to 127.', opened },
      { name: 'tier', type: TIERS, about: 'That the code stands for.', opened },
    ],
  },
  facts: {
    about:
      'What the Evidence said, as the Verifier read it: firmware and TCB versions, chips, measurements; not what the workload chose itself, nor digests of collateral. Only of results whose sealed text was verified.',
    columns: [
      of('result', 'The `attestation-result` record.'),
      { name: 'part', type: 'text', about: 'Submodule.', opened },
      {
        name: 'name',
        type: 'text',
        about: 'As `versions.microcode`, `platform.id`, `tcb.status`, `measurements.MEASUREMENT`.',
        opened,
      },
      { name: 'value', type: 'text', about: '', opened },
      { name: 'version_key', type: 'text', about: 'As in `components`.', opened },
    ],
  },
  credentials: {
    about: 'Why each credential was issued: `credential-provenance`.',
    columns: [
      index,
      { name: 'digest', type: 'bytes', about: 'SHA-256 of the credential.' },
      { name: 'kind', type: ['wit', 'wic'], about: 'Token or certificate.' },
      { name: 'not_before', type: 'integer', about: '' },
      { name: 'not_after', type: 'integer', about: '' },
      { name: 'delivery', type: ['file', 'env', 'local-api', 'direct', 'agent'], about: '' },
      { name: 'attestation', type: ['attested', 'none'], about: '' },
      { name: 'unattested_reason', type: 'text', about: '' },
      { name: 'components', type: 'integer', about: 'Attested parts.' },
      { name: 'confidential', type: 'flag', about: '' },
      { name: 'usage', type: 'text', about: '' },
      { name: 'pop', type: 'text', about: '' },
      { name: 'subject', type: 'text', about: 'Whose it is.', opened },
      { name: 'trust_domain', type: 'text', about: '', opened },
      { name: 'identifier', type: 'text', about: '`jti`, or the serial number in hex.', opened },
      { name: 'key_thumbprint', type: 'text', about: 'RFC 7638, of the workload’s key.', opened },
      { name: 'decision', type: 'text', about: 'Engine, and the policies that determined the decision.', opened },
    ],
  },
  attributes: {
    about: 'What else was known when a credential was issued: requester, trigger, environment, role, location.',
    columns: [
      of('credential', 'The `credential-provenance` record.'),
      { name: 'name', type: 'text', about: '', opened },
      { name: 'value', type: 'text', about: '', opened },
    ],
  },
  denials: {
    about: 'Credentials that were asked for and not issued.',
    columns: [
      index,
      { name: 'reason', type: 'text', about: '' },
      { name: 'subject', type: 'text', about: 'As it was asked: nobody checked it.', opened },
      { name: 'kind', type: 'text', about: '', opened },
    ],
  },
  statuses: {
    about:
      'What became of credentials: `credential-status`. `status_intervals` says from when until when each one counts.',
    columns: [
      index,
      of('credential', 'The `credential-provenance` record.'),
      { name: 'status', type: ['suspended', 'revoked', 'reinstated', 'superseded', 'migrated'], about: '' },
      { name: 'effective_at', type: 'integer', about: '' },
      { name: 'reason_code', type: 'text', about: '' },
      { name: 'successor', type: 'bytes', about: 'Digest of the credential that takes its place.' },
    ],
  },
  retractions: {
    about: 'Keys, policies and reference values that were withdrawn.',
    columns: [
      index,
      of('target', 'What was withdrawn.'),
      { name: 'effective_at', type: 'integer', about: 'From when on nobody may rely on it.' },
      { name: 'reason_code', type: 'text', about: '' },
    ],
  },
  generalizations: {
    about: 'General credentials that gateways show in the place of others.',
    columns: [
      index,
      of('credential', 'The record of the general credential.'),
      { name: 'inner_digest', type: 'bytes', about: 'The credential that it stands for.', opened },
      { name: 'inner_subject', type: 'text', about: '', opened },
      { name: 'inner_origin', type: 'text', about: 'The log that has its record.', opened },
      { name: 'inner_entry', type: 'bytes', about: 'That record.', opened },
    ],
  },
  erasures: {
    about: 'What was destroyed, and by which record.',
    columns: [
      index,
      of('target', 'The statement that was erased, or whose keys were.'),
      { name: 'scope', type: ['keys', 'statement'], about: '' },
      { name: 'reason_code', type: 'text', about: '' },
    ],
  },
  audit_reports: {
    about: 'What auditors reported, of all entries below a size.',
    columns: [
      index,
      { name: 'from_index', type: 'integer', about: 'Entries below it were in the report before.' },
      { name: 'size', type: 'integer', about: 'Entries that it is about.' },
      { name: 'root', type: 'bytes', about: 'Root of the tree of that size, as the report has it.' },
      { name: 'verdict', type: ['passed', 'refused'], about: '' },
      { name: 'errors', type: 'integer', about: '' },
      { name: 'warnings', type: 'integer', about: '' },
      { name: 'infos', type: 'integer', about: '' },
      { name: 'findings', type: 'bytes', about: 'Digest of all findings.' },
      { name: 'settled', type: 'bytes', about: 'Digest of those that follow from the entries alone.' },
      { name: 'catalogue', type: 'bytes', about: 'Names what was looked for.' },
      { name: 'audited_at', type: 'integer', about: 'When that audit was begun, by its auditor’s clock.' },
      {
        name: 'opened_with',
        type: 'text',
        about: 'The kid of the key that opened sealed sections; NULL where none did.',
      },
      { name: 'opened', type: 'integer', about: 'Records of which that key opened a section.' },
    ],
  },
  findings: {
    about: 'What is wrong, by the catalogue of checks: what the last audit that came to its end said of all entries.',
    columns: finding,
  },
  observations: {
    about:
      'What was found at each entry, before what later records explain and what nothing came of. The next audit goes on from it; ask `findings`.',
    columns: finding,
  },
} as const satisfies Readonly<Record<string, Table>>

export type TableName = keyof typeof TABLES

/** What is worked out of the tables whenever somebody asks. */
export const VIEWS: Readonly<Record<string, { readonly about: string; readonly sql: string }>> = {
  status_intervals: {
    about:
      'From when until when a status counts: until the next one that is effective, or for good (NULL). Nothing follows a revocation. Of two that are effective at once, the later on the log counts.',
    sql: `VIEW status_intervals AS
  WITH revoked AS (SELECT credential, min(effective_at) AS since FROM statuses WHERE status = 'revoked' GROUP BY credential)
  SELECT s.index, s.credential, s.status, s.effective_at AS since,
         CASE WHEN s.status = 'revoked' THEN NULL
              ELSE lead(s.effective_at) OVER (PARTITION BY s.credential ORDER BY s.effective_at, s.index) END AS until,
         s.reason_code
  FROM statuses s LEFT JOIN revoked r USING (credential)
  WHERE r.since IS NULL OR s.effective_at < r.since OR (s.effective_at = r.since AND s.status = 'revoked')`,
  },
  live: {
    about:
      '`live(t)`: credentials that hold at a time, and are neither revoked nor suspended then. A superseded credential is live: it is as good as its successor until it ends.',
    sql: `MACRO live(t) AS TABLE
  SELECT c.* FROM credentials c
  WHERE c.not_before <= t AND t < c.not_after
    AND c.index NOT IN (
      SELECT credential FROM status_intervals
      WHERE credential IS NOT NULL AND status IN ('revoked', 'suspended') AND since <= t AND (until IS NULL OR t < until))`,
  },
  grounds: {
    about:
      'What a record rests on, over one step or two: `record`, `relation`, `target`. Of its attestation results: their appraisal policies, reference values and, as `verifier-key`, the keys of their Verifiers.',
    sql: `VIEW grounds AS
  SELECT record, relation::VARCHAR AS relation, target FROM links
  UNION ALL
  SELECT l.record, CASE WHEN m.relation = 'key-authorization' THEN 'verifier-key' ELSE m.relation::VARCHAR END, m.target
  FROM links l JOIN links m ON m.record = l.target
  WHERE l.relation = 'attestation-result'`,
  },
  identities: {
    about: 'Every workload identifier that somebody signed under or was issued a credential for, and as what.',
    sql: `VIEW identities AS
  SELECT subject, role::VARCHAR AS role, trust_domain, min(index) AS first, max(index) AS last, count(*) AS records
  FROM authorizations GROUP BY ALL
  UNION ALL
  SELECT subject, 'workload', trust_domain, min(index), max(index), count(*)
  FROM credentials WHERE subject IS NOT NULL GROUP BY ALL`,
  },
}

/** The statements that make an empty database. */
export function schemaSql(): string {
  const tables = Object.entries(TABLES).map(
    ([name, { columns }]) =>
      `CREATE TABLE ${name} (${columns.map((each) => `"${each.name}" ${sqlTypeOf(each.type)}`).join(', ')})`,
  )
  return [...tables, ...Object.values(VIEWS).map(({ sql }) => `CREATE ${sql}`)].join(';\n')
}

/** What is in `records.memory`. */
const MEMORY = 'without what other columns have, and names without type and signer'

/** A database of another version is made again from the log. Any change above makes another. */
export const SCHEMA_VERSION = `${CHECKED}-${toHex(sha256(utf8(`${schemaSql()};${MEMORY}`))).slice(0, 16)}`
