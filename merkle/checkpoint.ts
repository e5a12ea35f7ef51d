/**
 * Checkpoints, c2sp.org/tlog-checkpoint: what a log signs about its tree. A signed note whose text is
 *
 * ```
 *   example.com/behind-the-sofa                        origin: which log
 *   20852163                                           how many leaves
 *   CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=       the root hash
 * ```
 *
 * and perhaps further lines that only the log understands. Ours never writes any: the newer cosignatures do not cover them.
 *
 * @module
 */
import { equalBytes, fromBase64, fromUtf8, toBase64 } from './bytes.ts'
import { parseDecimal } from './decimal.ts'
import { assert, MerkleError } from './error.ts'
import { EMPTY_ROOT, HASH_LENGTH, type Hash } from './hash.ts'
import { type NoteSigner, type NoteVerifier, openNote, parseNote, signNote } from './note.ts'
import { formatVkey, isNoteText } from './note-key.ts'
import { type Cosignature, checkQuorum, type WitnessPolicy } from './witness-policy.ts'

/** Text longer than this is no checkpoint. */
export const MAX_CHECKPOINT_LENGTH = 0x10000

/** What a checkpoint's text says. Nobody vouches for it. */
export interface Checkpoint {
  /** Names the log; usually its key has the same name. One line, not empty. */
  readonly origin: string
  /** Number of leaves, 0 to 2⁵³ − 1. */
  readonly size: number
  /** Root hash of the tree of `size` leaves. */
  readonly root: Hash
  /** Further lines, none empty. Signed by the log; what they mean is the log's own affair. */
  readonly extensions: readonly string[]
}

declare const isVerified: unique symbol

/**
 * A checkpoint that the log signed, and as many witnesses as the policy asks for. {@link openCheckpoint} alone makes one, so
 * that what wants a verified checkpoint cannot be given another.
 */
export type VerifiedCheckpoint = Checkpoint & {
  readonly [isVerified]: true
  /** The note it came in, verbatim: what to keep as evidence. */
  readonly note: string
  /** Vkeys of the log's keys that signed it, in the order of the note; at least one. */
  readonly signedBy: readonly string[]
  /** Those of the policy's witnesses, each checked, in the order of the note. Empty without a policy. */
  readonly cosignatures: readonly Cosignature[]
}

/** A log as its readers know it. */
export interface LogIdentity {
  readonly origin: string
  /** Keys that may sign for the log. One is enough. */
  readonly verifiers: readonly NoteVerifier[]
}

/**
 * Opens a checkpoint of a known log: signatures first, then what they sign, then the witnesses.
 *
 * Says nothing of time: a checkpoint stays true for ever and does not show that there is no later one.
 *
 * @throws {@link MerkleError} `malformed_note`, `unknown_signer`, `bad_signature`, `malformed_checkpoint`, `wrong_origin`,
 *   `root_mismatch` (an empty tree under another root than the empty one), `quorum_not_met`
 */
export function openCheckpoint(
  note: string | Uint8Array,
  log: LogIdentity,
  policy?: WitnessPolicy,
): VerifiedCheckpoint {
  const parsed = parseNote(note)
  const { text, verified } = openNote(parsed, log.verifiers)
  const checkpoint = parseCheckpoint(text)
  const { origin, size, root } = checkpoint
  if (origin !== log.origin) throw new MerkleError('wrong_origin', `a checkpoint of ${origin}, not of ${log.origin}`)
  if (size === 0 && !equalBytes(root, EMPTY_ROOT)) {
    throw new MerkleError('root_mismatch', 'an empty tree under another root than the empty one')
  }
  const cosignatures = policy ? checkQuorum(policy, parsed) : []
  const verbatim = typeof note === 'string' ? note : fromUtf8(note)
  const signedBy = verified.map(({ verifier: { name, type, publicKey } }) => formatVkey(name, type, publicKey))
  const opened: Omit<VerifiedCheckpoint, typeof isVerified> = { ...checkpoint, note: verbatim, signedBy, cosignatures }
  return opened as VerifiedCheckpoint
}

/** The signed checkpoint of a tree, a note. */
export function signCheckpoint(head: Omit<Checkpoint, 'extensions'>, signers: readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(head), signers)
}

/** The text of a checkpoint, to its last line feed. */
export function formatCheckpoint(
  checkpoint: Omit<Checkpoint, 'extensions'> & { readonly extensions?: readonly string[] },
): string {
  const { origin, size, root, extensions = [] } = checkpoint
  assert(Number.isSafeInteger(size) && size >= 0, `tree size ${size}`)
  assert(root.length === HASH_LENGTH, 'a root hash')
  const text = [origin, String(size), toBase64(root), ...extensions].map((line) => `${line}\n`).join('')
  assert(
    isNoteText(text) && text.split('\n').length === 4 + extensions.length,
    'lines of a checkpoint are single lines',
  )
  assert(origin !== '' && !extensions.includes(''), 'lines of a checkpoint are not empty')
  return text
}

/**
 * @throws {@link MerkleError} `malformed_checkpoint`: an empty line or one missing, a size that is not canonical decimal or past 2⁵³ − 1, a root
 *   that is not 32 bytes of base64
 */
export function parseCheckpoint(text: string): Checkpoint {
  if (text.length > MAX_CHECKPOINT_LENGTH) throw malformed(`longer than ${MAX_CHECKPOINT_LENGTH}`)
  const [origin, decimal, base64, ...extensions] = text.split('\n')
  if (!isNoteText(text) || extensions.pop() !== '') throw malformed('not lines of text')
  if (!origin || !decimal || !base64 || extensions.includes('')) throw malformed('an empty line')
  const size = parseDecimal(decimal)
  if (size === undefined) throw malformed('the second line is not a tree size')
  return { origin, size, root: parseRoot(base64), extensions }
}

function parseRoot(base64: string): Hash {
  let root: Uint8Array | undefined
  try {
    root = fromBase64(base64)
  } catch (cause) {
    throw malformed('the third line is not base64', cause)
  }
  if (root.length !== HASH_LENGTH) throw malformed(`a root of ${root.length} bytes`)
  return root
}

function malformed(why: string, cause?: unknown): MerkleError {
  return new MerkleError('malformed_checkpoint', `not a checkpoint: ${why}`, { cause })
}
