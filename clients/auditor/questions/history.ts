/**
 * What happened: to one credential, under one name, or because of one statement.
 *
 * @module
 */
import type { Argument, Question } from './question.ts'

const from: Argument = { kind: 'time', about: 'dated then or later', default: 0 }
const until: Argument = { kind: 'time', about: 'and before then', default: 999_999_999_999 }
const credential: Argument = { kind: 'credential', about: 'its digest, or index or entry of its record' }

/** The clear and opened words of one credential, as rows. */
const said = (name: string) => `SELECT c.index, v.name, v.value FROM credentials c, LATERAL (VALUES
    ('subject', c.subject), ('kind', c.kind::VARCHAR), ('delivery', c.delivery::VARCHAR), ('attestation', c.attestation::VARCHAR),
    ('lifetime', (c.not_after - c.not_before)::VARCHAR), ('key', c.key_thumbprint), ('usage', c.usage), ('pop', c.pop),
    ('confidential', c.confidential::VARCHAR), ('unattested reason', c.unattested_reason), ('decision', c.decision)) v(name, value)
  WHERE c.index = $${name}`

export const HISTORY_QUESTIONS: readonly Question[] = [
  {
    id: 'credentials-of',
    asks: 'Which credentials did this identifier ever get, and on what was each issued that the one before was not?',
    arguments: { subject: { kind: 'text', about: 'workload identifier' } },
    sealed: true,
    sql: `WITH own AS (SELECT c.*, lag(c.index) OVER (ORDER BY c.index) AS previous FROM credentials c WHERE c.subject = $subject),
        g AS (SELECT record, relation, list(target ORDER BY target) AS targets FROM grounds
          WHERE record IN (SELECT index FROM own) AND target IS NOT NULL GROUP BY record, relation),
        changed AS (
          SELECT index, string_agg(relation, ', ' ORDER BY relation) AS relations FROM (
            SELECT o.index, g.relation FROM own o JOIN g ON g.record = o.index
              LEFT JOIN g p ON p.record = o.previous AND p.relation = g.relation
              WHERE o.previous IS NOT NULL AND g.targets IS DISTINCT FROM p.targets
            UNION SELECT o.index, p.relation FROM own o JOIN g p ON p.record = o.previous
              LEFT JOIN g ON g.record = o.index AND g.relation = p.relation WHERE g.relation IS NULL)
          GROUP BY index)
      SELECT o.index, r.entry, o.digest AS credential, o.kind, r.issued_at, o.not_after, o.previous, k.relations AS changed
      FROM own o JOIN records r ON r.index = o.index LEFT JOIN changed k ON k.index = o.index ORDER BY o.index`,
  },
  {
    id: 'diff',
    asks: 'What is different in what two credentials say and rest on?',
    arguments: { first: credential, second: credential },
    sealed: true,
    sql: `WITH a AS (${said('first')}), b AS (${said('second')}),
        ga AS (SELECT DISTINCT relation, target FROM grounds WHERE record = $first),
        gb AS (SELECT DISTINCT relation, target FROM grounds WHERE record = $second),
        rows AS (
          SELECT $second::BIGINT AS index, a.name AS what, a.value AS first, b.value AS second
          FROM a JOIN b ON a.name = b.name WHERE a.value IS DISTINCT FROM b.value
          UNION ALL SELECT target, relation, 'rests on it', NULL FROM ga WHERE (relation, target) NOT IN (FROM gb)
          UNION ALL SELECT target, relation, NULL, 'rests on it' FROM gb WHERE (relation, target) NOT IN (FROM ga))
      SELECT d.index, r.entry, d.what, d.first, d.second, coalesce(p.policy_id || ' ' || p.version, s.tier::VARCHAR, w.name, t.subject) AS about
      FROM rows d JOIN records r ON r.index = d.index LEFT JOIN policies p ON p.index = d.index LEFT JOIN results s ON s.index = d.index
        LEFT JOIN workloads w ON w.index = d.index LEFT JOIN authorizations t ON t.index = d.index
      ORDER BY d.what, d.index, d.first, d.second`,
  },
  {
    id: 'status-history',
    asks: 'What became of this credential, and from when until when did each status count?',
    arguments: { credential },
    sealed: false,
    sql: `SELECT s.index, r.entry, s.status, i.since, i.until, s.reason_code, s.successor, i.index IS NOT NULL AS counts FROM statuses s
      JOIN records r ON r.index = s.index LEFT JOIN status_intervals i ON i.index = s.index WHERE s.credential = $credential ORDER BY s.index`,
  },
  {
    id: 'identities-of',
    asks: 'Which identifiers did a workload with this measurement ever have?',
    arguments: { measurement: { kind: 'digest', about: 'what identifies the measured software' } },
    sealed: true,
    sql: `SELECT c.index, r.entry, c.digest AS credential, c.subject, r.issued_at, s.index AS result FROM results s
      JOIN links l ON l.target = s.index AND l.relation = 'attestation-result' JOIN credentials c ON c.index = l.record
      JOIN records r ON r.index = c.index WHERE s.measurement = $measurement ORDER BY c.index, s.index`,
  },
  {
    id: 'by-attribute',
    asks: 'Which credentials were issued with this attribute: everything that a requester or an agent obtained?',
    arguments: {
      name: { kind: 'text', about: '', default: 'requester' },
      value: { kind: 'text', about: '' },
    },
    sealed: true,
    sql: `SELECT c.index, r.entry, c.digest AS credential, c.subject, r.issued_at, c.not_after FROM attributes a
      JOIN credentials c ON c.index = a.credential JOIN records r ON r.index = c.index WHERE a.name = $name AND a.value = $value ORDER BY c.index`,
  },
  {
    id: 'shared-keys',
    asks: 'Which credentials are for a key that another identifier has too?',
    arguments: {},
    sealed: true,
    sql: `SELECT c.index, r.entry, c.digest AS credential, c.subject, c.key_thumbprint, k.subjects FROM
      (SELECT key_thumbprint, count(DISTINCT subject) AS subjects FROM credentials WHERE key_thumbprint IS NOT NULL GROUP BY key_thumbprint HAVING count(DISTINCT subject) > 1) k
      JOIN credentials c ON c.key_thumbprint = k.key_thumbprint JOIN records r ON r.index = c.index ORDER BY c.key_thumbprint, c.index`,
  },
  {
    id: 'same-key',
    asks: 'Which credentials are for this key?',
    arguments: { key: { kind: 'text', about: 'RFC 7638 thumbprint' } },
    sealed: true,
    sql: `SELECT c.index, r.entry, c.digest AS credential, c.subject, r.issued_at, c.not_after FROM credentials c
      JOIN records r ON r.index = c.index WHERE c.key_thumbprint = $key ORDER BY c.index`,
  },
  {
    id: 'reused-keys',
    asks: 'Which credentials are for a key that an earlier credential was for?',
    arguments: {},
    sealed: true,
    sql: `SELECT c.index, r.entry, c.digest AS credential, c.subject, c.key_thumbprint, k.first FROM
      (SELECT key_thumbprint, min(index) AS first FROM credentials WHERE key_thumbprint IS NOT NULL GROUP BY key_thumbprint HAVING count(*) > 1) k
      JOIN credentials c ON c.key_thumbprint = k.key_thumbprint AND c.index > k.first JOIN records r ON r.index = c.index ORDER BY c.key_thumbprint, c.index`,
  },
  {
    id: 'lapsed-policy',
    asks: 'Which credentials were issued while their issuance policy was not in force: not yet, no longer, or withdrawn?',
    arguments: {},
    sealed: false,
    sql: `SELECT DISTINCT c.index, r.entry, c.digest AS credential, r.issued_at, p.policy_id, p.version, p.index AS policy,
        CASE WHEN r.issued_at < p.not_before THEN 'not yet' WHEN r.issued_at >= p.not_after THEN 'no longer' ELSE 'withdrawn' END AS why
      FROM credentials c JOIN records r ON r.index = c.index JOIN links l ON l.record = c.index AND l.relation = 'issuance-policy'
        JOIN policies p ON p.index = l.target LEFT JOIN (SELECT target, min(effective_at) AS since FROM retractions GROUP BY target) t ON t.target = p.index
      WHERE r.issued_at < p.not_before OR r.issued_at >= p.not_after OR r.issued_at >= t.since ORDER BY c.index`,
  },
  {
    id: 'blast-radius',
    asks: 'What rests on this statement, directly or through others?',
    arguments: { statement: { kind: 'statement', about: 'its index, or its entry in hex' } },
    sealed: false,
    sql: `WITH RECURSIVE reached(index) AS (
        SELECT $statement::BIGINT UNION SELECT l.record FROM reached JOIN links l ON l.target = reached.index)
      SELECT r.index, r.entry, r.type, r.issuer, r.issued_at, c.digest AS credential, c.subject, c.not_after
      FROM reached x JOIN records r ON r.index = x.index LEFT JOIN credentials c ON c.index = r.index
      WHERE r.index <> $statement ORDER BY r.index`,
  },
  {
    id: 'stands-for',
    asks: 'For whom does this general credential of a gateway stand?',
    arguments: { credential },
    sealed: true,
    sql: `SELECT g.index, r.entry, g.inner_subject, g.inner_digest, g.inner_origin, g.inner_entry FROM generalizations g
      JOIN records r ON r.index = g.index WHERE g.credential = $credential ORDER BY g.index`,
  },
  {
    id: 'denied',
    asks: 'What was asked for in this time and not issued?',
    arguments: { from, until },
    sealed: true,
    sql: `SELECT d.index, r.entry, d.reason, d.subject, r.issuer, r.issued_at FROM denials d JOIN records r ON r.index = d.index
      WHERE r.issued_at >= $from AND r.issued_at < $until ORDER BY d.index`,
  },
  {
    id: 'retractions',
    asks: 'What was withdrawn, and from when on?',
    arguments: {},
    sealed: false,
    sql: `SELECT t.index, r.entry, t.target, w.type, coalesce(p.policy_id || ' ' || p.version, a.subject) AS what, t.effective_at, t.reason_code FROM retractions t
      JOIN records r ON r.index = t.index LEFT JOIN records w ON w.index = t.target LEFT JOIN policies p ON p.index = t.target
      LEFT JOIN authorizations a ON a.index = t.target ORDER BY t.index`,
  },
  {
    id: 'audits',
    asks: 'Up to which entry did whom report an audit, when, and with what verdict?',
    arguments: { size: { kind: 'count', about: 'that was about at least so many entries', default: 0 } },
    sealed: false,
    sql: `SELECT a.index, r.entry, r.issuer, a.audited_at, a.from_index, a.size, a.root, a.verdict, a.errors, a.warnings, a.opened_with, a.opened,
        EXISTS (SELECT 1 FROM findings f WHERE f.index = a.index AND f.check_id = 'audit-report-differs') AS differs
      FROM audit_reports a JOIN records r ON r.index = a.index WHERE a.size >= $size ORDER BY a.index`,
  },
  {
    id: 'findings',
    asks: 'What is wrong on this log?',
    arguments: { check: { kind: 'text', about: 'of this check alone', default: null } },
    sealed: false,
    sql: `SELECT f.index, r.entry, f.check_id AS "check", f.severity, f.detail, f.about FROM findings f JOIN records r ON r.index = f.index
      WHERE $check::VARCHAR IS NULL OR f.check_id::VARCHAR = $check ORDER BY f.index, f.check_id, f.detail`,
  },
]
