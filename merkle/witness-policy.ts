/**
 * Witness policies, c2sp.org/tlog-policy: which logs to believe, and which witnesses must have seen a checkpoint first.
 *
 * ```
 *   log     example.com/log+33d7b496+AeHTu4Q3…
 *   witness w1  w1.example+8d66cf3f+BNq…   https://w1.example
 *   witness w2  w2.example+…
 *   witness us  us.example+…
 *   group   others  1  w1 w2        any, all, or how many
 *   group   both    all  us others  groups are members like witnesses
 *   quorum  both                    or `none`
 * ```
 *
 * A name can be used once it is defined, and be a member once; so a policy is a forest that can be evaluated line by line.
 *
 * @module
 */
import { fromUtf8, toHex, utf8 } from './bytes.ts'
import { cosignatureTime } from './cosignature.ts'
import { parseDecimal } from './decimal.ts'
import { type EvidenceError, MerkleError } from './error.ts'
import { openNote, parseNote, parseVkey, type UnverifiedNote } from './note.ts'
import { NoteKeyType, type NoteVerifier } from './note-key.ts'

/** Text longer than this is no policy: room for thousands of witnesses, where the standard asks for 32. */
export const MAX_POLICY_BYTES = 0x100000

export interface PolicyLog {
  /** By its name, which is the log's origin. */
  readonly verifier: NoteVerifier
  readonly url: string | undefined
}

export interface PolicyWitness {
  /** What the policy calls it. Not the name of its key. */
  readonly name: string
  readonly verifier: NoteVerifier
  readonly url: string | undefined
}

export interface PolicyGroup {
  readonly name: string
  /** How many of the members must be satisfied: 1 to all of them. */
  readonly threshold: number
  /** Names of witnesses and groups defined before. */
  readonly members: readonly string[]
}

/** A policy as parsed. {@link checkQuorum} evaluates it. */
export interface WitnessPolicy {
  readonly logs: readonly PolicyLog[]
  readonly witnesses: readonly PolicyWitness[]
  /** In the order of definition: members come before groups. */
  readonly groups: readonly PolicyGroup[]
  /** A witness or group; undefined for `quorum none`, which every checkpoint meets. */
  readonly quorum: string | undefined
}

/** A witness's cosignature that was checked. */
export interface Cosignature {
  /** The witness's name in the policy. */
  readonly witness: string
  /** When it says that it cosigned, POSIX seconds. */
  readonly cosignedAt: number
}

/**
 * Checks that the quorum of `policy` cosigned, and returns all cosignatures by its witnesses, in the order of the note. That a *log* signed is another
 * question: `openCheckpoint` asks both.
 *
 * @throws {@link MerkleError} `quorum_not_met`, `bad_signature` (by one of the witnesses, needed or not), `malformed_note`
 */
export function checkQuorum(policy: WitnessPolicy, note: UnverifiedNote | string): Cosignature[] {
  const parsed = typeof note === 'string' ? parseNote(note) : note
  const cosignatures = openCosignatures(policy, parsed)

  const satisfied = new Set(cosignatures.map(({ witness }) => witness))
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => satisfied.has(member)).length >= threshold) satisfied.add(name)
  }
  if (policy.quorum !== undefined && !satisfied.has(policy.quorum)) {
    const seen = [...new Set(cosignatures.map(({ witness }) => witness))].join(', ') || 'nobody'
    throw new MerkleError('quorum_not_met', `${policy.quorum} is not satisfied: cosigned by ${seen}`)
  }
  return cosignatures
}

/** What `openCheckpoint` needs to know of a log that the policy lists. @throws {@link MerkleError} `wrong_origin` when it lists no such log. */
export function policyLog(policy: WitnessPolicy, origin: string): { origin: string; verifiers: NoteVerifier[] } {
  const verifiers = policy.logs.map((log) => log.verifier).filter((verifier) => verifier.name === origin)
  if (verifiers.length === 0) throw new MerkleError('wrong_origin', `the policy lists no log ${origin}`)
  return { origin, verifiers }
}

/**
 * Parses a policy. Strict: what cannot be understood whole is refused, for a rule that we skip may be the one that mattered.
 *
 * @throws {@link MerkleError} `malformed_policy`, `malformed_vkey`, `unsupported_key`
 */
export function parseWitnessPolicy(policy: string | Uint8Array): WitnessPolicy {
  const logs: PolicyLog[] = []
  const witnesses: PolicyWitness[] = []
  const groups: PolicyGroup[] = []
  let quorum: string | undefined
  let hasQuorum = false
  const defined = new Set<string>()
  const members = new Set<string>()
  const logKeys = new Set<string>()
  const witnessKeys = new Set<string>()

  const define = (name: string) => {
    if (name === 'none' || defined.has(name)) throw malformed(`the name ${name} is taken`)
    defined.add(name)
  }
  const addKey = (vkey: string, listed: Set<string>): NoteVerifier => {
    const verifier = parseVkey(vkey)
    const key = toHex(verifier.publicKey)
    // One key under two names would be counted twice.
    if (listed.has(key)) throw malformed(`the key of ${verifier.name} is listed twice`)
    listed.add(key)
    return verifier
  }

  for (const [keyword, ...fields] of splitLines(policy)) {
    const [first, second, third] = fields
    if (keyword === 'log' && first !== undefined && fields.length <= 2) {
      logs.push({ verifier: addKey(first, logKeys), url: second })
    } else if (keyword === 'witness' && first !== undefined && second !== undefined && fields.length <= 3) {
      define(first)
      const verifier = addKey(second, witnessKeys)
      // A signature that is not a cosignature states neither a time nor that the tree only grew.
      if (verifier.type !== NoteKeyType.cosignature) throw malformed(`the key of ${first} is not a cosignature key`)
      witnesses.push({ name: first, verifier, url: third })
    } else if (keyword === 'group' && first !== undefined && second !== undefined && third !== undefined) {
      const names = fields.slice(2)
      for (const name of names) {
        if (!defined.has(name)) throw malformed(`${name} is not defined before ${first}`)
        if (members.has(name)) throw malformed(`${name} is a member twice`)
        members.add(name)
      }
      define(first)
      groups.push({ name: first, threshold: parseThreshold(second, names.length), members: names })
    } else if (keyword === 'quorum' && first !== undefined && fields.length === 1) {
      if (hasQuorum) throw malformed('two quorum lines')
      if (first !== 'none' && !defined.has(first)) throw malformed(`${first} is not defined before the quorum`)
      hasQuorum = true
      quorum = first === 'none' ? undefined : first
    } else {
      // Not quoted: another file may have been meant, of keys.
      throw malformed('a line that starts with none of its words')
    }
  }
  if (!hasQuorum) throw malformed('no quorum line')
  return { logs, witnesses, groups, quorum }
}

function openCosignatures(policy: WitnessPolicy, note: UnverifiedNote): Cosignature[] {
  const verifiers = policy.witnesses.map(({ verifier }) => verifier)
  try {
    return openNote(note, verifiers).verified.map(({ verifier, signature }) => ({
      witness: policy.witnesses[verifiers.indexOf(verifier)]!.name,
      cosignedAt: cosignatureTime(signature)!,
    }))
  } catch (error) {
    // No cosignature at all: enough for `quorum none`, and the caller's to say otherwise.
    if ((error as EvidenceError).code === 'unknown_signer') return []
    throw error
  }
}

function parseThreshold(text: string, members: number): number {
  const threshold = text === 'any' ? 1 : text === 'all' ? members : parseDecimal(text)
  if (threshold === undefined || threshold < 1 || threshold > members) throw malformed(`${text} of ${members} members`)
  return threshold
}

/** The fields of each line that is neither blank nor a comment. The format is of bytes; fields here must be UTF-8, comments need not. */
function splitLines(policy: string | Uint8Array): string[][] {
  const bytes = typeof policy === 'string' ? utf8(policy) : policy
  if (bytes.length > MAX_POLICY_BYTES) throw malformed(`longer than ${MAX_POLICY_BYTES} bytes`)
  for (const byte of bytes) {
    if ((byte < 0x20 && byte !== 0x09 && byte !== 0x0a) || byte === 0x7f) throw malformed('control characters')
  }
  const lines: string[][] = []
  for (let start = 0; start < bytes.length; ) {
    const feed = bytes.indexOf(0x0a, start)
    const end = feed < 0 ? bytes.length : feed
    // A megabyte of blank lines is a million of them: nothing is made for one.
    let content = start
    while (content < end && (bytes[content] === 0x20 || bytes[content] === 0x09)) content++
    start = end + 1
    if (content === end || bytes[content] === 0x23 /* # */) continue
    lines.push(
      decodeLine(bytes.subarray(content, end))
        .split(/[ \t]+/)
        .filter((field) => field !== ''),
    )
  }
  return lines
}

function decodeLine(line: Uint8Array): string {
  try {
    return fromUtf8(line)
  } catch (cause) {
    throw malformed('a line that is not UTF-8', cause)
  }
}

function malformed(why: string, cause?: unknown): MerkleError {
  return new MerkleError('malformed_policy', `not a witness policy: ${why}`, { cause })
}
