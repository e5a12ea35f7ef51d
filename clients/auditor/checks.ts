/**
 * What an audit can find, as data: what it means, where that is laid down, and what to do about it.
 *
 * A finding is about one entry of a log that did not lie: the tree is as signed, and something in it should not be there. A log
 * that lies is a `MisbehaviourError`, and ends the audit.
 *
 * @module
 */

/** `error`: something that must not be on a log. `warning`: somebody should be asked about it. `info`: explained by the log itself. */
export type Severity = 'error' | 'warning' | 'info'

export interface CheckDescription {
  readonly severity: Severity
  readonly meaning: string
  /** Where the rule stands. */
  readonly spec: string
  readonly whatToDo: string
}

const ADMISSION = 'The log let in what its own rules refuse: ask its operator when and by which version.'
const ISSUER = 'Ask the Credential Issuer; until then treat its credential as unexplained.'

/** Ids are API: they may be added, never renamed or reused. */
export const CHECKS = {
  // The statement
  'statement-erased': {
    severity: 'warning',
    meaning:
      'The log no longer keeps the statement of this entry, and no record on it says why; that the entry existed is still proven.',
    spec: 'design: entry and statement',
    whatToDo: 'Ask the operator. If it was erased after the checkpoint of this audit, the next one finds the record.',
  },
  'link-erased': {
    severity: 'warning',
    meaning: 'A record links to an entry whose statement the log no longer keeps: nobody can say what it was.',
    spec: 'design: entry and statement',
    whatToDo: 'As for the erased statement. What rests on it is unexplained from now on.',
  },
  'erased-by-record': {
    severity: 'info',
    meaning: 'A statement, or the wraps that opened it, was erased, and the record that did it is on the log.',
    spec: 'design: erasure records',
    whatToDo: 'Nothing. The record says under which rule, and what its signer sealed for you why.',
  },
  'erasure-not-done': {
    severity: 'warning',
    meaning: 'A record erased a statement, and whoever answers for the log shows it still.',
    spec: 'design: erasure records',
    whatToDo: 'Caches may, for a day. After that ask the operator: somebody was promised that it is gone.',
  },
  'statement-malformed': {
    severity: 'error',
    meaning: 'The entry is not the hash of a Signed Statement, or the record in it cannot be read.',
    spec: 'RFC 9943 §6; RFC 8949 §4.2.1',
    whatToDo: ADMISSION,
  },
  'signature-invalid': {
    severity: 'error',
    meaning: 'The statement is not signed by the key that it names.',
    spec: 'RFC 9052 §4.4',
    whatToDo: ADMISSION,
  },
  'signature-twin': {
    severity: 'error',
    meaning: 'The same content is on the log twice, under two signatures: one was made from the other.',
    spec: 'design: exact idempotency',
    whatToDo: ADMISSION,
  },
  'foreign-refused': {
    severity: 'error',
    meaning:
      'The statement is no record, and the log policy in force at its place does not let it in: its content, its issuer, or who signed it. The detail starts with the code.',
    spec: 'RFC 9943 §5.1.2 (replaying the registration policy)',
    whatToDo: ADMISSION,
  },
  // The record
  'record-refused': {
    severity: 'error',
    meaning:
      'The record may not be on this log: its signer was not authorized for it, or its links do not hold. The detail starts with the code.',
    spec: 'RFC 9943 §5.1.2 (replaying the registration policy)',
    whatToDo: ADMISSION,
  },
  duplicate: {
    severity: 'error',
    meaning: 'A record id, a credential digest, or a serial number or jti of one issuer, a second time.',
    spec: 'RFC 5280 §4.1.2.2 (serial numbers); RFC 7519 §4.1.7 (jti)',
    whatToDo:
      'Two records of one credential give two reasons for it. Ask the issuer which one holds, and the operator how both got in.',
  },
  'chain-broken': {
    severity: 'error',
    meaning: 'A new version of a policy does not follow the latest one.',
    spec: 'design: supersession is linear',
    whatToDo:
      'The signer may have published from two places. Until it is settled, which version is in force depends on whom one asks.',
  },
  'back-dated': {
    severity: 'warning',
    meaning: 'The record says that it was signed before entries that came earlier.',
    spec: 'RFC 9943 §6 (iat is the signer’s word)',
    whatToDo: 'Some delay is normal. A policy dated before the issuance it governs, and logged after it, is not.',
  },
  'status-illegal': {
    severity: 'error',
    meaning: 'A credential was given a status after it was revoked, or reinstated without having been suspended.',
    spec: 'RFC 5280 §5.3.1 (only a hold can be lifted)',
    whatToDo: 'A revoked credential stays revoked. Ask its issuer what was meant.',
  },
  'policy-unfit': {
    severity: 'error',
    meaning: 'A credential was issued by a policy that was not in force at the time, or is for confidential workloads.',
    spec: 'domain §2.6, 10',
    whatToDo: ISSUER,
  },
  'policy-text-differs': {
    severity: 'error',
    meaning: 'The text of a policy is not the one of its digest.',
    spec: 'FIPS 180-4',
    whatToDo: 'Believe the digest. Decisions made by this policy cannot be replayed.',
  },
  // What is sealed (with a key)
  'wrap-missing': {
    severity: 'warning',
    meaning: 'The log’s policy demands a wrap for this auditor, and the log has none for the record.',
    spec: 'design: a registration policy can require a wrap',
    whatToDo: 'No record erased it: ask the operator.',
  },
  'seal-broken': {
    severity: 'error',
    meaning: 'The key that was handed to the auditor does not open what the record committed to.',
    spec: 'design: sealing commits to the key',
    whatToDo: 'Somebody gave you another key than the record was sealed with. Ask the signer for the right one.',
  },
  'tag-differs': {
    severity: 'error',
    meaning: 'The tag by which the log keeps serial numbers and jti unique is not the one of this credential.',
    spec: 'domain §2.2',
    whatToDo: `The issuer can use one identifier twice unseen. ${ISSUER}`,
  },
  'credential-differs': {
    severity: 'error',
    meaning: 'The sealed description of the credential contradicts itself or its issuer’s authorization.',
    spec: 'domain §2.6, 3 to 7',
    whatToDo: ISSUER,
  },
  'generalization-differs': {
    severity: 'error',
    meaning: 'A gateway sealed another credential than the one whose record it names, or names no such record.',
    spec: 'domain §1, 41: an egress gateway is explicit and auditable',
    whatToDo: 'Nobody can tell for whom the general credential stands. Ask the gateway.',
  },
  'result-differs': {
    severity: 'error',
    meaning: 'The sealed attestation result is not the Verifier’s, or says something else than the clear record.',
    spec: 'draft-ietf-rats-ear-03; draft-ietf-rats-ar4si-09 §2.3.2',
    whatToDo: 'Relying parties decided by the clear tier. Ask the Verifier, and re-examine what was issued on it.',
  },
  'result-unfit': {
    severity: 'error',
    meaning:
      'A credential was issued on an attestation result that did not hold then, or is about another key or workload.',
    spec: 'domain §2.6, 9',
    whatToDo: ISSUER,
  },
  'decision-differs': {
    severity: 'error',
    meaning:
      'The issuance decision, made again, comes out otherwise; or what it was made on is not what the evidence gives.',
    spec: 'Cedar: the same policies and request always give the same decision',
    whatToDo: ISSUER,
  },
} as const satisfies Readonly<Record<string, CheckDescription>>

export type CheckId = keyof typeof CHECKS

export interface Finding {
  readonly check: CheckId
  readonly severity: Severity
  readonly index: number
  /** Lower-case hex. */
  readonly entry: string
  readonly detail: string
  /** The other entry that it is about, if there is one. */
  readonly about?: string
}
