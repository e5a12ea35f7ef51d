/**
 * What somebody else can make of a file of evidence, knowing the log's key and nobody's word: what its signatures prove, and what is a report.
 *
 * ```
 *   two roots signed for one size                                                 proven
 *   a root signed for 700, and hashes by which the signed tree of 900 begins
 *   with another tree of 700 (`prefix`, `proof`)                                  proven: hashes cannot be found for both
 *   a checkpoint, and a bundle that was not shown or did not lead to it           reported: answers to requests are not signed
 *   a larger checkpoint, and a smaller one that came after it                     reported: nobody signed in which order
 * ```
 *
 * @module
 */
import {
  checkConsistency,
  EvidenceError,
  equalBytes,
  fromHex,
  fromUtf8,
  HASH_LENGTH,
  type Hash,
  MAX_NOTE_BYTES,
  openCheckpoint,
  type VerifiedCheckpoint,
} from '../../merkle/index.ts'
import { isJsonObject, type JsonObject, parseJson, type Trust } from '../../provenance/index.ts'
import { MISBEHAVIOUR_CODES, type MisbehaviourCode } from './error.ts'

/** Why evidence proves nothing. Codes are API. */
export type MisbehaviourEvidenceErrorCode =
  | 'malformed_evidence' // not a file of evidence
  | 'untrusted_log' //      about a log that the trust file does not have
  | 'no_contradiction' //   what is signed agrees with itself

export class MisbehaviourEvidenceError extends EvidenceError<MisbehaviourEvidenceErrorCode> {}

export interface EvidenceVerdict {
  readonly origin: string
  readonly code: MisbehaviourCode
  /** `proven`: by signatures of the log alone. `reported`: what is signed holds, and the rest is the word of whoever wrote the file. */
  readonly verdict: 'proven' | 'reported'
  /** What was checked and holds. */
  readonly holds: readonly string[]
  /** What nobody can check. */
  readonly reported: readonly string[]
}

/** Longest file, in bytes: two notes and the rest. */
export const MAX_EVIDENCE_BYTES = 4 * MAX_NOTE_BYTES
const MAX_PROOF = 128

/**
 * Checks a file of evidence.
 *
 * @throws {@link MisbehaviourEvidenceError}; MerkleError of `openCheckpoint`: a note that is not the log's
 */
export function checkEvidence(file: Uint8Array, trust: Pick<Trust, 'logs'>): EvidenceVerdict {
  const evidence = readEvidence(file)
  const { origin } = evidence
  const verifiers = trust.logs.flatMap((log) => (log.origin === origin ? [log.verifier] : []))
  if (verifiers.length === 0)
    throw new MisbehaviourEvidenceError('untrusted_log', `${origin} is no log of the trust file`)
  const open = (name: 'before' | 'after') => {
    const note = evidence.text(name)
    return note === undefined ? undefined : openCheckpoint(note, { origin, verifiers })
  }
  const [before, after] = [open('before'), open('after')]
  if (!after) throw malformed('after is missing: the checkpoint that the log is held to')
  const signed = [before, after].flatMap((each) =>
    each ? [`the log’s key signed a tree of ${each.size} entries`] : [],
  )
  return { origin, code: evidence.code, ...judge(evidence, before, after, signed) }
}

interface Evidence {
  readonly code: MisbehaviourCode
  readonly origin: string
  text(name: string): string | undefined
}

type Judged = Pick<EvidenceVerdict, 'verdict' | 'holds' | 'reported'>

function judge(
  evidence: Evidence,
  before: VerifiedCheckpoint | undefined,
  after: VerifiedCheckpoint,
  holds: readonly string[],
): Judged {
  switch (evidence.code) {
    case 'checkpoint_fork':
      return before ? judgeFork(evidence, before, after, holds) : reported(holds, 'that a receipt is for another tree')
    case 'checkpoint_rollback':
      if (!before) throw malformed('before is missing: the larger checkpoint')
      if (after.size >= before.size) throw agrees('the second checkpoint is not smaller than the first')
      return reported(holds, 'that the smaller one was shown after the larger one')
    case 'entry_mismatch': {
      const [expected, got] = [evidence.text('expected'), evidence.text('got')]
      if (expected !== undefined && expected === got) throw agrees('what was served is what was expected')
      return reported(holds, 'that the log served something else than leads to the root')
    }
    case 'not_served':
      return reported(holds, 'that the log did not show what is in the tree')
    case 'not_included':
      return reported(holds, 'that the log gave a place in the tree where something else is')
    case 'wrong_signer':
      return reported(holds, 'that the log policy in force there, which is in the tree, does not name this key')
  }
}

function judgeFork(
  evidence: Evidence,
  before: VerifiedCheckpoint,
  after: VerifiedCheckpoint,
  holds: readonly string[],
): Judged {
  if (before.size === after.size) {
    if (equalBytes(before.root, after.root)) throw agrees('both checkpoints are of one root')
    return { verdict: 'proven', holds: [...holds, 'of one size, under two roots'], reported: [] }
  }
  if (before.size > after.size) throw malformed('before is the larger one')
  const [prefix, proof] = [evidence.text('prefix'), evidence.text('proof')]
  if (prefix === undefined || proof === undefined) {
    return reported(holds, 'that the log shows no tiles in which the first is a prefix of the second')
  }
  const root = hashIn(prefix)
  if (equalBytes(root, before.root)) throw agrees('the second tree begins with the first')
  const hashes = proof.split(' ').filter(Boolean)
  if (hashes.length > MAX_PROOF) throw malformed('a proof that is too long')
  const claim = { size1: before.size, root1: root, size2: after.size, root2: after.root, proof: hashes.map(hashIn) }
  checkConsistency(claim)
  return {
    verdict: 'proven',
    holds: [...holds, `the tree of ${after.size} begins with another tree of ${before.size} than was signed`],
    reported: [],
  }
}

function reported(holds: readonly string[], what: string): Judged {
  return { verdict: 'reported', holds, reported: [what] }
}

function readEvidence(file: Uint8Array): Evidence {
  if (file.length > MAX_EVIDENCE_BYTES) throw malformed(`longer than ${MAX_EVIDENCE_BYTES} bytes`)
  let members: JsonObject
  try {
    const value = parseJson(fromUtf8(file))
    if (!isJsonObject(value)) throw malformed('not an object')
    members = value
  } catch (cause) {
    if (cause instanceof MisbehaviourEvidenceError || !(cause instanceof EvidenceError)) throw cause
    throw new MisbehaviourEvidenceError('malformed_evidence', 'not JSON', { cause })
  }
  const text = (name: string): string | undefined => {
    const value = Object.hasOwn(members, name) ? members[name] : undefined
    if (value !== undefined && typeof value !== 'string') throw malformed(`${name} is not text`)
    return value
  }
  const code = MISBEHAVIOUR_CODES.find((known) => known === text('code'))
  const origin = text('origin')
  if (code === undefined || origin === undefined) throw malformed('code and origin are missing, or of another kind')
  return { code, origin, text }
}

function hashIn(text: string): Hash {
  if (!/^[0-9a-f]*$/.test(text) || text.length !== 2 * HASH_LENGTH) throw malformed('a hash that is none')
  return fromHex(text)
}

function malformed(why: string): MisbehaviourEvidenceError {
  return new MisbehaviourEvidenceError('malformed_evidence', why)
}

function agrees(why: string): MisbehaviourEvidenceError {
  return new MisbehaviourEvidenceError('no_contradiction', why)
}
