/**
 * Checks somebody's answer with nothing but its directory and a trust file.
 *
 * What is shown: that every row is about a statement which is on the log, at that index, under the checkpoint that the answer names; and who
 * signed it, by the authority that the log gave them. What is not, and stays the auditor's word: that the other columns say what is in the statement,
 * as far as it is sealed; and that there are no other rows. The latter anybody can find out who replays the log to that checkpoint.
 *
 * @module
 */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import {
  checkTlogProof,
  EvidenceError,
  fromHex,
  fromUtf8,
  hashLeaf,
  MerkleError,
  openCheckpoint,
  parseTlogProof,
  toHex,
  type VerifiedCheckpoint,
} from '../../../merkle/index.ts'
import {
  Authorities,
  foundingKey,
  isRecordStatement,
  issuedAtOf,
  type RecordStatement,
  recordOfStatement,
  recordStatementOf,
  signersOf,
  type Trust,
} from '../../../provenance/index.ts'
import { importVerificationKey, parseSignedStatement, verifySignedStatement } from '../../../statement/index.ts'
import { AuditError } from '../error.ts'
import { type AnswerFile, MAX_ANSWER_BYTES, parseAnswer, subjectOf } from './answer-file.ts'

export interface ProvenRow {
  readonly index: number
  /** Lower-case hex. */
  readonly entry: string
  /** Who signed the statement, authorized by the log. Absent where the log has no statement any more, or it is no record. */
  readonly signer?: string
  /** Record type; `foreign`; or `absent`, where the statement did not come along: an erased one cannot. */
  readonly type: string
}

export interface VerifiedAnswer {
  readonly answer: AnswerFile
  readonly checkpoint: VerifiedCheckpoint
  readonly rows: readonly ProvenRow[]
}

/** More than any statement or proof has. */
const MAX_FILE_BYTES = 2 * 1024 * 1024

/** @throws `AuditError` `malformed_answer_file`, `untrusted_answer`; `EvidenceError` for a proof, statement or signature that does not hold */
export async function verifyAnswer(directory: string, trust: Trust): Promise<VerifiedAnswer> {
  const answer = parseAnswer(fromUtf8(await read(join(directory, 'answer.json'), MAX_ANSWER_BYTES)))
  const checkpoint = checkCheckpoint(answer, trust)
  const authorities = await readAuthorities(directory, answer, checkpoint, trust)
  const rows: ProvenRow[] = []
  for (const row of answer.rows) {
    const { index, entry } = subjectOf(answer.columns, row)
    const bytes = await readProven(directory, index, entry, checkpoint, trust)
    rows.push({ index, entry, ...(await signedBy(bytes, index, entry, authorities)) })
  }
  return { answer, checkpoint, rows }
}

function checkCheckpoint({ complete }: AnswerFile, trust: Trust): VerifiedCheckpoint {
  const log = logOf(complete.origin, trust)
  const checkpoint = openCheckpoint(complete.note, log, trust.witnessPolicy)
  if (checkpoint.size !== complete.size || toHex(checkpoint.root) !== complete.root) {
    throw new AuditError('malformed_answer_file', 'its checkpoint is another than it says that it is complete up to')
  }
  const minimum = Math.max(
    0,
    ...trust.logs.filter(({ origin }) => origin === log.origin).map((each) => each.minimumSize ?? 0),
  )
  if (checkpoint.size < minimum) {
    throw new AuditError(
      'untrusted_answer',
      `complete up to ${checkpoint.size} entries, and the log had ${minimum} before`,
    )
  }
  return checkpoint
}

function logOf(origin: string, trust: Trust) {
  const logs = trust.logs.filter((log) => log.origin === origin)
  if (logs.length === 0) throw new AuditError('untrusted_answer', `${origin} is not a log that you trust`)
  return { origin, verifiers: logs.map(({ verifier }) => verifier) }
}

/** The statement of a row, proven to be at its place; empty where the log has none any more. */
async function readProven(
  directory: string,
  index: number,
  entry: string,
  checkpoint: VerifiedCheckpoint,
  trust: Trust,
): Promise<Uint8Array> {
  const proof = parseTlogProof(await read(join(directory, 'entries', `${index}.tlog-proof`), MAX_FILE_BYTES))
  if (proof.index !== index)
    throw new MerkleError('malformed_proof', `a proof for entry ${proof.index} in the place of ${index}`)
  const opened = checkTlogProof(proof, hashLeaf(fromHex(entry)), logOf(checkpoint.origin, trust), trust.witnessPolicy)
  // Otherwise some rows were of one state of the log and some of another, and "none others" would be of neither.
  if (opened.size !== checkpoint.size || toHex(opened.root) !== toHex(checkpoint.root)) {
    throw new MerkleError('root_mismatch', `the proof of entry ${index} leads to another checkpoint than the answer's`)
  }
  return read(join(directory, 'entries', `${index}.cose`), MAX_FILE_BYTES, true)
}

/** Who may sign, from the log's own records, each of which must be proven and signed by an admin of the policy before it. */
async function readAuthorities(
  directory: string,
  { authorities: indexes }: AnswerFile,
  checkpoint: VerifiedCheckpoint,
  trust: Trust,
): Promise<Authorities> {
  const authorities = new Authorities()
  let previous = -1
  for (const index of indexes) {
    if (index <= previous) throw new AuditError('malformed_answer_file', 'its authorities are not in order')
    previous = index
    const bytes = await read(join(directory, 'entries', `${index}.cose`), MAX_FILE_BYTES)
    const statement = parseSignedStatement(bytes)
    await readProven(directory, index, toHex(statement.entry), checkpoint, trust)
    const { kid = '' } = statement.header
    const record = recordOfStatement(statement)
    // The log's own first word about itself; that it is this log's is what the pinned key says.
    const key =
      index === 0 && record.type === 'log-policy'
        ? foundingKey(record, kid)
        : authorities.policyAt(index)?.adminKids.includes(kid) && authorities.keyOf(kid)
    if (!key) throw new AuditError('untrusted_answer', `entry ${index} is not signed by an admin of the log`)
    const verified = await verifySignedStatement(statement, await importVerificationKey(key))
    authorities.apply(index, recordStatementOf(verified))
  }
  return authorities
}

async function signedBy(
  bytes: Uint8Array,
  index: number,
  entry: string,
  authorities: Authorities,
): Promise<Omit<ProvenRow, 'index' | 'entry'>> {
  if (bytes.length === 0) return { type: 'absent' }
  const statement = parseSignedStatement(bytes)
  if (toHex(statement.entry) !== entry) {
    throw new AuditError('malformed_answer_file', `${index}.cose is not the statement of entry ${entry}`)
  }
  // By whom such a statement may be registered is for the log's policy to say, and what it says for who relies on it.
  if (!isRecordStatement(statement)) return { type: 'foreign' }
  const { kid = '' } = statement.header
  const key = authorities.keyOf(kid) ?? (index === 0 ? foundingKeyIn(statement) : undefined)
  if (key === undefined) throw new AuditError('untrusted_answer', `nothing says that ${kid} may sign entry ${index}`)
  const signed = recordStatementOf(await verifySignedStatement(statement, await importVerificationKey(key)))
  if (!maySign(signed, index, authorities)) {
    throw new AuditError(
      'untrusted_answer',
      `${kid} was not authorized to sign a ${signed.record.type} at entry ${index}`,
    )
  }
  return { type: signed.record.type, signer: statement.header.issuer }
}

function foundingKeyIn(statement: Parameters<typeof recordOfStatement>[0]) {
  const record = recordOfStatement(statement)
  return record.type === 'log-policy' ? foundingKey(record, statement.header.kid ?? '') : undefined
}

function maySign(signed: RecordStatement, index: number, authorities: Authorities): boolean {
  const { kid } = signed.statement.signer
  const at = issuedAtOf(signed)
  return signersOf(signed.record.type).some((role) =>
    role === 'admin'
      ? index === 0 || (authorities.policyAt(index)?.adminKids.includes(kid) ?? false)
      : authorities.authorizedAt(kid, role, at, index) !== undefined,
  )
}

/** A file, of at most so many bytes; with `optional`, empty where there is none. */
async function read(path: string, max: number, optional = false): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      if (size > max) throw new AuditError('malformed_answer_file', `${path} has more than ${max} bytes`)
      return new Uint8Array(await file.readFile())
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof EvidenceError) throw cause
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    if (missing && optional) return new Uint8Array()
    throw new AuditError('malformed_answer_file', `${path} cannot be read`, { cause })
  }
}
