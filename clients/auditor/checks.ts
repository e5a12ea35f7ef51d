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

/** What it takes to find it. `key`: sealed sections, opened with the auditor's key. `end`: the whole log, and the time. */
export type CheckNeeds = 'statement' | 'history' | 'key' | 'end'

export interface CheckDescription {
  readonly severity: Severity
  readonly needs: CheckNeeds
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
    needs: 'statement',
    meaning:
      'The log no longer keeps the statement of this entry, and no record on it says why; that the entry existed is still proven.',
    spec: 'design: entry and statement',
    whatToDo: 'Ask the operator. If it was erased after the checkpoint of this audit, the next one finds the record.',
  },
  'link-erased': {
    severity: 'warning',
    needs: 'history',
    meaning: 'A record links to an entry whose statement the log no longer keeps: nobody can say what it was.',
    spec: 'design: entry and statement',
    whatToDo: 'As for the erased statement. What rests on it is unexplained from now on.',
  },
  'erased-by-record': {
    severity: 'info',
    needs: 'end',
    meaning: 'A statement, or the wraps that opened it, was erased, and the record that did it is on the log.',
    spec: 'design: erasure records',
    whatToDo: 'Nothing. The record says under which rule, and what its signer sealed for you why.',
  },
  'erasure-not-done': {
    severity: 'warning',
    needs: 'history',
    meaning: 'A record erased a statement, and whoever answers for the log shows it still.',
    spec: 'design: erasure records',
    whatToDo: 'Caches may, for a day. After that ask the operator: somebody was promised that it is gone.',
  },
  'statement-malformed': {
    severity: 'error',
    needs: 'statement',
    meaning: 'The entry is not the hash of a Signed Statement, or the record in it cannot be read.',
    spec: 'RFC 9943 §6; RFC 8949 §4.2.1',
    whatToDo: ADMISSION,
  },
  'token-in-clear': {
    severity: 'error',
    needs: 'statement',
    meaning:
      'A clear field has something in it that is shaped like a token: a credential, a proof, an attestation result.',
    spec: 'WIMSE architecture: audit trails; domain §1, 39',
    whatToDo: `Treat it as disclosed. ${ADMISSION}`,
  },
  'signature-invalid': {
    severity: 'error',
    needs: 'statement',
    meaning: 'The statement is not signed by the key that it names.',
    spec: 'RFC 9052 §4.4',
    whatToDo: ADMISSION,
  },
  'signature-twin': {
    severity: 'error',
    needs: 'history',
    meaning: 'The same content is on the log twice, under two signatures: one was made from the other.',
    spec: 'design: exact idempotency',
    whatToDo: ADMISSION,
  },
  'foreign-refused': {
    severity: 'error',
    needs: 'history',
    meaning:
      'The statement is no record, and the log policy in force at its place does not let it in: its content, its issuer, or who signed it. The detail starts with the code.',
    spec: 'RFC 9943 §5.1.2 (replaying the registration policy)',
    whatToDo: ADMISSION,
  },
  // The record
  'record-refused': {
    severity: 'error',
    needs: 'history',
    meaning:
      'What the record says is not what one of its type may say on this log. The detail starts with the code by which a log refuses it.',
    spec: 'RFC 9943 §5.1.2 (replaying the registration policy)',
    whatToDo: ADMISSION,
  },
  'signer-unauthorized': {
    severity: 'error',
    needs: 'history',
    meaning:
      'At its place in the log and at its date, nobody had authorized the signer of the record to sign it. The detail starts with the code.',
    spec: 'RFC 9943 §5.1.2; domain §2.7',
    whatToDo: ADMISSION,
  },
  'link-refused': {
    severity: 'error',
    needs: 'history',
    meaning:
      'A link of the record is missing, or leads to nothing, to a record of another type, to a later one, to what is another party’s, or to what was withdrawn before.',
    spec: 'design: link rules; domain §2.7',
    whatToDo: ADMISSION,
  },
  'date-in-future': {
    severity: 'error',
    needs: 'statement',
    meaning: 'The record is dated later than now, by more than clocks differ.',
    spec: 'RFC 8392 §3.1.6 (iat)',
    whatToDo: 'Look at your own clock first. Then ask its signer, and the operator how it got in.',
  },
  'lifetime-exceeds': {
    severity: 'error',
    needs: 'history',
    meaning: 'A credential lives longer than the log allows the credentials of its issuer.',
    spec: 'WIMSE S2S §5 (suitable lifetimes); domain §1, 34',
    whatToDo: ADMISSION,
  },
  'outlives-grounds': {
    severity: 'warning',
    needs: 'history',
    meaning:
      'A credential ends after the authorization of its issuer’s key, or after the policy that it was issued by.',
    spec: 'draft-ietf-wimse-workload-creds §9; domain §2.7',
    whatToDo: 'Ask the Credential Issuer which of the two dates was meant.',
  },
  duplicate: {
    severity: 'error',
    needs: 'history',
    meaning: 'A record id, a credential digest, an intent, or a serial number or jti of one issuer, a second time.',
    spec: 'RFC 5280 §4.1.2.2 (serial numbers); RFC 7519 §4.1.7 (jti)',
    whatToDo:
      'Two records of one credential give two reasons for it. Ask the issuer which one holds, and the operator how both got in.',
  },
  'chain-broken': {
    severity: 'error',
    needs: 'history',
    meaning: 'A new version of a policy, or the next report of an auditor, does not follow the latest one.',
    spec: 'design: supersession is linear',
    whatToDo:
      'The signer may have published from two places. Until it is settled, which version is in force depends on whom one asks.',
  },
  'policy-gap': {
    severity: 'warning',
    needs: 'history',
    meaning: 'Between the end of a version of a policy and the beginning of the next one, none held.',
    spec: 'domain §2.7: supersession without gap',
    whatToDo:
      'Ask its author. What was issued in between names a version that was not in force, and is found for itself.',
  },
  'policy-overlap': {
    severity: 'warning',
    needs: 'history',
    meaning:
      'A new version of a policy begins before the end that the version before it gives itself, or before its beginning.',
    spec: 'domain §2.7: supersession without overlap',
    whatToDo: 'Ask its author which of the two holds in the time that both claim.',
  },
  'policy-superseded': {
    severity: 'warning',
    needs: 'history',
    meaning: 'A credential was issued by a version of a policy after the next version had begun.',
    spec: 'TWI: the issuance policy in effect; domain §1, 2',
    whatToDo: `An issuer that had not heard of it for minutes may not hear of a withdrawal either. ${ISSUER}`,
  },
  'criteria-unfit': {
    severity: 'error',
    needs: 'history',
    meaning:
      'An attestation result was given by an appraisal policy or reference values that did not hold at the time.',
    spec: 'RFC 9334 §8.5; domain §2.7',
    whatToDo: 'Ask the Verifier, and re-examine what was issued on the result.',
  },
  'back-dated': {
    severity: 'warning',
    needs: 'history',
    meaning: 'The record says that it was signed before entries that came earlier.',
    spec: 'RFC 9943 §6 (iat is the signer’s word)',
    whatToDo: 'Some delay is normal. A policy dated before the issuance it governs, and logged after it, is not.',
  },
  'status-illegal': {
    severity: 'error',
    needs: 'history',
    meaning: 'A credential was given a status after it was revoked, or reinstated without having been suspended.',
    spec: 'RFC 5280 §5.3.1 (only a hold can be lifted)',
    whatToDo: 'A revoked credential stays revoked. Ask its issuer what was meant.',
  },
  'policy-unfit': {
    severity: 'error',
    needs: 'history',
    meaning: 'A credential was issued by a policy that was not in force at the time, or is for confidential workloads.',
    spec: 'domain §2.6, 10',
    whatToDo: ISSUER,
  },
  'policy-text-differs': {
    severity: 'error',
    needs: 'statement',
    meaning: 'The text of a policy is not the one of its digest.',
    spec: 'FIPS 180-4',
    whatToDo: 'Believe the digest. Decisions made by this policy cannot be replayed.',
  },
  // What is sealed (with a key)
  'wrap-missing': {
    severity: 'warning',
    needs: 'key',
    meaning: 'The log’s policy demands a wrap for this auditor, and the log has none for the record.',
    spec: 'design: a registration policy can require a wrap',
    whatToDo: 'No record erased it: ask the operator.',
  },
  'seal-broken': {
    severity: 'error',
    needs: 'key',
    meaning: 'The key that was handed to the auditor does not open what the record committed to.',
    spec: 'design: sealing commits to the key',
    whatToDo: 'Somebody gave you another key than the record was sealed with. Ask the signer for the right one.',
  },
  'tag-differs': {
    severity: 'error',
    needs: 'key',
    meaning: 'The tag by which the log keeps serial numbers and jti unique is not the one of this credential.',
    spec: 'domain §2.2',
    whatToDo: `The issuer can use one identifier twice unseen. ${ISSUER}`,
  },
  'credential-differs': {
    severity: 'error',
    needs: 'key',
    meaning: 'The sealed description of the credential contradicts itself or its issuer’s authorization.',
    spec: 'domain §2.6, 3 to 7',
    whatToDo: ISSUER,
  },
  'generalization-differs': {
    severity: 'error',
    needs: 'key',
    meaning: 'A gateway sealed another credential than the one whose record it names, or names no such record.',
    spec: 'domain §1, 41: an egress gateway is explicit and auditable',
    whatToDo: 'Nobody can tell for whom the general credential stands. Ask the gateway.',
  },
  'result-differs': {
    severity: 'error',
    needs: 'key',
    meaning: 'The sealed attestation result is not the Verifier’s, or says something else than the clear record.',
    spec: 'draft-ietf-rats-ear-03; draft-ietf-rats-ar4si-09 §2.3.2',
    whatToDo: 'Relying parties decided by the clear tier. Ask the Verifier, and re-examine what was issued on it.',
  },
  'result-unfit': {
    severity: 'error',
    needs: 'history',
    meaning:
      'A credential was issued on an attestation result that did not hold then, or, as a key shows, is about another key.',
    spec: 'domain §2.6, 9',
    whatToDo: ISSUER,
  },
  'result-overused': {
    severity: 'warning',
    needs: 'history',
    meaning: 'Hundreds of credentials were issued on one attestation result.',
    spec: 'domain §2.7',
    whatToDo: 'Ask the Credential Issuer how it knows that the workload is still what was attested.',
  },
  'components-differ': {
    severity: 'error',
    needs: 'key',
    meaning:
      'Of a composite workload a part is left out, or said to be better than its attestation result: not every part was appraised as the record says.',
    spec: 'RFC 9711 (submods); domain §1, 14',
    whatToDo: ISSUER,
  },
  'nonce-reused': {
    severity: 'warning',
    needs: 'key',
    meaning: 'Two attestation results of one Verifier, given at different times, answer the same challenge.',
    spec: 'RFC 9334 §10.3 (nonces); RFC 9711 §4.1',
    whatToDo: 'The evidence may have been replayed. Ask the Verifier where its challenges come from.',
  },
  'key-shared': {
    severity: 'warning',
    needs: 'key',
    meaning: 'One key is the key of credentials for two workload identifiers.',
    spec: 'draft-ietf-wimse-mutual-tls §5: private keys are not shared',
    whatToDo: 'Ask the Credential Issuer. Whoever has the key is both.',
  },
  'sbom-differs': {
    severity: 'warning',
    needs: 'key',
    meaning:
      'The bill of materials is about another software than its record, or that record about another software than was measured.',
    spec: 'TWI: workload provenance; domain §1, 10',
    whatToDo: 'What is known of the components is known of something else. Ask who published the provenance.',
  },
  'decision-differs': {
    severity: 'error',
    needs: 'key',
    meaning:
      'The decision to issue, to announce or to deny, made again, comes out otherwise; or what it was made on is not what the evidence gives.',
    spec: 'Cedar: the same policies and request always give the same decision',
    whatToDo: ISSUER,
  },
  // What nobody came back to
  'result-orphaned': {
    severity: 'warning',
    needs: 'end',
    meaning: 'An attestation result ended, and no credential, no denial and nothing else was logged on it.',
    spec: 'domain §2.7: orphans',
    whatToDo: 'A credential may have been issued on it that was not logged. Ask the Verifier for whom it was.',
  },
  'intent-orphaned': {
    severity: 'warning',
    needs: 'end',
    meaning: 'A credential was announced, its time is over, and the record of it was never logged.',
    spec: 'after RFC 6962 §3.1 (precertificates); domain §2.7: orphans',
    whatToDo: 'Treat it as issued: it may be in use, and names this log. Ask the Credential Issuer.',
  },
  // What others found
  'audit-report-differs': {
    severity: 'error',
    needs: 'end',
    meaning:
      'An auditor’s report names another root than the tree of that size has; or other findings, of those that follow from the entries alone, than this audit has by the same catalogue; or does not go on where the report before it ended.',
    spec: 'design: audit reports; RFC 9162 §2.1',
    whatToDo:
      'Compare with its auditor. With another root: ask for the checkpoint that it was held to, signed by the log. If it verifies, the log showed two trees.',
  },
} as const satisfies Readonly<Record<string, CheckDescription>>

export type CheckId = keyof typeof CHECKS

/** Another number whenever a check finds something else than before under the same id. */
export const CHECKED = 3

/** Severities from the worst. */
export const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info']

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
