/**
 * Which credentials that hold at a time were issued on something that one would not issue on now.
 *
 * @module
 */
import { CLAIMS, ROLES, TIERS, VULNERABILITY_STATES } from '../../../provenance/index.ts'
import { type Argument, inRange, type Question } from './question.ts'

const at: Argument = { kind: 'time', about: 'credentials that hold then', default: 'now' }
const versions: Argument = {
  kind: 'versions',
  about: 'a range, as "<4.17.21" or ">=1.2 <2"; what has no order is in every range',
}
const from: Argument = { kind: 'time', about: 'signed then or later', default: 0 }
const until: Argument = { kind: 'time', about: 'and before then', default: 999_999_999_999 }

/** What every answer about credentials begins with. */
const CREDENTIAL = 'c.index, r.entry, c.digest AS credential, c.subject, c.not_after'
const LIVE = 'FROM live($at) c JOIN records r ON r.index = c.index'
const RESULT = "JOIN links l ON l.record = c.index AND l.relation = 'attestation-result'"
const WORKLOAD = "JOIN links l ON l.record = c.index AND l.relation = 'workload-provenance'"

const byPolicy = (relation: string) =>
  `SELECT DISTINCT ${CREDENTIAL}, p.policy_id, p.version, p.index AS policy ${LIVE}
   JOIN grounds g ON g.record = c.index AND g.relation = '${relation}' JOIN policies p ON p.index = g.target
   WHERE p.policy_id = $policy AND ($up_to::BIGINT IS NULL OR p.version <= $up_to) ORDER BY c.index, p.index`
const policyArguments = {
  policy: { kind: 'text', about: 'its id, as its signer calls it' },
  up_to: { kind: 'count', about: 'versions up to this one; any without', default: null },
  at,
} as const

export const LIVE_QUESTIONS: readonly Question[] = [
  {
    id: 'live',
    asks: 'Which credentials hold?',
    arguments: { at },
    sealed: false,
    sql: `SELECT ${CREDENTIAL}, c.kind, c.attestation ${LIVE} ORDER BY c.index`,
  },
  {
    id: 'by-firmware',
    asks: 'Which live credentials were issued on a firmware, TCB or security version in this range?',
    arguments: {
      name: {
        kind: 'text',
        about: 'as the Verifier names it: versions.microcode, versions.snp, tcb.date; `facts` has all names',
      },
      versions,
      at,
    },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, f.part, f.value, f.result ${LIVE} ${RESULT} JOIN facts f ON f.result = l.target
      WHERE f.name = $name AND ${inRange('f', 'value')} ORDER BY c.index, f.part, f.value, f.result`,
  },
  {
    id: 'by-gpu',
    asks: 'Which live credentials were issued on a GPU with a driver or VBIOS in this range?',
    arguments: { what: { kind: ['DRIVER', 'VBIOS'], about: '' }, versions, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, f.part, f.value, f.result ${LIVE} ${RESULT} JOIN facts f ON f.result = l.target
      WHERE f.name = 'measurements.' || $what || '_VERSION' AND ${inRange('f', 'value')} ORDER BY c.index, f.part, f.value, f.result`,
  },
  {
    id: 'by-platform',
    asks: 'Which live credentials were issued on this chip or machine?',
    arguments: { id: { kind: 'text', about: 'chip id, as its vendor’s evidence has it' }, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, f.part, f.result ${LIVE} ${RESULT} JOIN facts f ON f.result = l.target
      WHERE f.name = 'platform.id' AND f.value = $id ORDER BY c.index, f.part, f.result`,
  },
  {
    id: 'by-fact',
    asks: 'Which live credentials were issued on Evidence that said this?',
    arguments: { name: { kind: 'text', about: 'path of it' }, value: { kind: 'text', about: '' }, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, f.part, f.result ${LIVE} ${RESULT} JOIN facts f ON f.result = l.target
      WHERE f.name = $name AND f.value = $value ORDER BY c.index, f.part, f.result`,
  },
  {
    id: 'by-appraisal-policy',
    asks: 'Which live credentials rest on this appraisal policy of a Verifier?',
    arguments: policyArguments,
    sealed: false,
    sql: byPolicy('appraisal-policy'),
  },
  {
    id: 'by-reference-values',
    asks: 'Which live credentials rest on these reference values?',
    arguments: policyArguments,
    sealed: false,
    sql: byPolicy('reference-values'),
  },
  {
    id: 'by-issuance-policy',
    asks: 'Which live credentials were issued by this issuance policy?',
    arguments: policyArguments,
    sealed: false,
    sql: byPolicy('issuance-policy'),
  },
  {
    id: 'on-retracted',
    asks: 'Which live credentials rest on reference values, a policy or a key that was withdrawn, before or after?',
    arguments: { at },
    sealed: false,
    sql: `SELECT DISTINCT ${CREDENTIAL}, g.relation, g.target, t.effective_at, t.reason_code, t.index AS retraction,
        r.issued_at >= t.effective_at AS issued_since ${LIVE}
      JOIN grounds g ON g.record = c.index JOIN retractions t ON t.target = g.target ORDER BY c.index, g.target, t.index`,
  },
  {
    id: 'by-verifier-key',
    asks: 'Which live credentials rest on attestation results that this key signed in this time?',
    arguments: { kid: { kind: 'text', about: 'thumbprint of the Verifier’s key' }, from, until, at },
    sealed: false,
    sql: `SELECT DISTINCT ${CREDENTIAL}, l.target AS result, s.issued_at AS result_issued_at ${LIVE} ${RESULT} JOIN records s ON s.index = l.target
      WHERE s.kid = $kid AND s.issued_at >= $from AND s.issued_at < $until ORDER BY c.index, l.target`,
  },
  {
    id: 'by-issuer-key',
    asks: 'Which live credentials were issued under this key in this time?',
    arguments: { kid: { kind: 'text', about: 'thumbprint of the key that signed their records' }, from, until, at },
    sealed: false,
    sql: `SELECT ${CREDENTIAL}, r.issued_at ${LIVE} WHERE r.kid = $kid AND r.issued_at >= $from AND r.issued_at < $until ORDER BY c.index`,
  },
  {
    id: 'by-authority',
    asks: 'Which live credentials were issued by this party, or on its word?',
    arguments: { role: { kind: ROLES, about: '' }, id: { kind: 'text', about: 'its workload identifier' }, at },
    sealed: false,
    sql: `SELECT DISTINCT ${CREDENTIAL}, g.relation, a.kid ${LIVE} JOIN grounds g ON g.record = c.index
      JOIN authorizations a ON a.index = g.target WHERE a.role = $role AND a.subject = $id ORDER BY c.index, g.relation, a.kid`,
  },
  {
    id: 'by-component',
    asks: 'Which live credentials are of workloads that have this package in a version of this range?',
    arguments: { package: { kind: 'package', about: 'as pkg:npm/lodash' }, versions, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, k.purl, k.version_key IS NOT NULL AS ordered, k.workload ${LIVE} ${WORKLOAD} JOIN components k ON k.workload = l.target
      WHERE k.package = $package AND ${inRange('k', 'version')} ORDER BY c.index, k.purl`,
  },
  {
    id: 'by-component-name',
    asks: 'Which live credentials are of workloads that have something of this name in a version of this range, with a package URL or without?',
    arguments: { name: { kind: 'text', about: 'the last part of a package’s name, or a bare name' }, versions, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, k.name, k.version, k.purl, k.version_key IS NOT NULL AS ordered, k.workload ${LIVE} ${WORKLOAD} JOIN components k ON k.workload = l.target
      WHERE k.name = $name AND ${inRange('k', 'version')} ORDER BY c.index, k.purl, k.version`,
  },
  {
    id: 'by-cpe',
    asks: 'Which live credentials are of workloads that have something with a CPE that begins so?',
    arguments: { cpe: { kind: 'text', about: 'as cpe:2.3:a:openssl:openssl:3.0' }, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, k.cpe, k.workload ${LIVE} ${WORKLOAD} JOIN cpes k ON k.workload = l.target
      WHERE starts_with(k.cpe, $cpe) ORDER BY c.index, k.cpe`,
  },
  {
    id: 'by-vulnerability',
    asks: 'Which live credentials are of workloads that have this vulnerability, as they say themselves or do not rule out?',
    arguments: {
      vulnerability: { kind: 'text', about: 'its name, as CVE-2021-44228; capitals do not matter' },
      state: {
        kind: VULNERABILITY_STATES,
        about:
          'what the bill of materials says (VEX); when not given, all that do not say it is not affected, resolved or a false positive',
        default: null,
      },
      at,
    },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, v.vulnerability, v.state, v.workload ${LIVE} ${WORKLOAD} JOIN vulnerabilities v ON v.workload = l.target
      WHERE upper(v.vulnerability) = upper($vulnerability) AND CASE WHEN $state::VARCHAR IS NOT NULL THEN v.state::VARCHAR = $state
        ELSE v.state IS NULL OR v.state IN ('exploitable', 'in_triage') END ORDER BY c.index, v.vulnerability, v.state, v.workload`,
  },
  {
    id: 'by-builder',
    asks: 'Which live credentials are of workloads that this builder built?',
    arguments: { builder: { kind: 'text', about: 'SLSA builder.id' }, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, b.verified, b.workload ${LIVE} ${WORKLOAD} JOIN builds b ON b.workload = l.target
      WHERE b.builder_id = $builder ORDER BY c.index, b.verified, b.workload`,
  },
  {
    id: 'by-vendor',
    asks: 'Which live credentials are of workloads of this vendor?',
    arguments: { vendor: { kind: 'text', about: 'name or id' }, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, w.name, w.saas, w.index AS workload ${LIVE} ${WORKLOAD} JOIN workloads w ON w.index = l.target
      WHERE w.vendor = $vendor OR w.vendor_id = $vendor ORDER BY c.index, w.index`,
  },
  {
    id: 'test-failed',
    asks: 'Which live credentials are of workloads that failed this compliance test?',
    arguments: { test: { kind: 'text', about: 'its id' }, at },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, t.result, t.verified, t.workload ${LIVE} ${WORKLOAD} JOIN compliance t ON t.workload = l.target
      WHERE t.test = $test AND t.result <> 'pass' ORDER BY c.index, t.result, t.verified, t.workload`,
  },
  {
    id: 'test-absent',
    asks: 'Which live credentials are of workloads that nobody says passed this compliance test? `known` tells whether the auditor could read what they were put to.',
    arguments: { test: { kind: 'text', about: 'its id' }, at },
    sealed: true,
    sql: `SELECT ${CREDENTIAL}, w.opened AS known, l.target AS workload ${LIVE} ${WORKLOAD} JOIN records w ON w.index = l.target
      WHERE NOT EXISTS (FROM compliance t WHERE t.workload = l.target AND t.test = $test AND t.result = 'pass') ORDER BY c.index`,
  },
  {
    id: 'by-tier',
    asks: 'Which live credentials were issued on an attestation result of this tier?',
    arguments: { tier: { kind: TIERS, about: '' }, at },
    sealed: false,
    sql: `SELECT DISTINCT ${CREDENTIAL}, s.format, s.index AS result ${LIVE} ${RESULT} JOIN results s ON s.index = l.target
      WHERE s.tier = $tier ORDER BY c.index, s.index`,
  },
  {
    id: 'by-claim',
    asks: 'Which live credentials were issued on a result with this trustworthiness claim (AR4SI)?',
    arguments: {
      claim: { kind: CLAIMS, about: '' },
      code: { kind: 'integer', about: '-128 to 127, as 32, 36, 96' },
      at,
    },
    sealed: true,
    sql: `SELECT DISTINCT ${CREDENTIAL}, k.part, k.tier, k.result ${LIVE} ${RESULT} JOIN claims k ON k.result = l.target
      WHERE k.claim = $claim AND k.code = $code ORDER BY c.index, k.part, k.result`,
  },
  {
    id: 'unattested',
    asks: 'Which live credentials were issued without attestation, and why?',
    arguments: { at },
    sealed: false,
    sql: `SELECT ${CREDENTIAL}, c.unattested_reason ${LIVE} WHERE c.attestation = 'none' ORDER BY c.index`,
  },
  {
    id: 'delivered-by',
    asks: 'Which live credentials reached their workloads in this way?',
    arguments: { delivery: { kind: ['file', 'env', 'local-api', 'direct', 'agent'], about: '' }, at },
    sealed: false,
    sql: `SELECT ${CREDENTIAL}, c.kind ${LIVE} WHERE c.delivery = $delivery ORDER BY c.index`,
  },
  {
    id: 'lifetime',
    asks: 'Which live credentials hold for longer than this?',
    arguments: { longer_than: { kind: 'count', about: 'seconds' }, at },
    sealed: false,
    sql: `SELECT ${CREDENTIAL}, c.not_after - c.not_before AS seconds ${LIVE} WHERE c.not_after - c.not_before > $longer_than ORDER BY c.index`,
  },
]
