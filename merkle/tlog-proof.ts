/**
 * Proof files, c2sp.org/tlog-proof: that an entry is in a log, in one text that needs no network to check.
 *
 * ```
 *   c2sp.org/tlog-proof@v1
 *   extra dGVzdCBkYXRh                                  optional; vouched for by nobody
 *   index 73894
 *   gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=        the inclusion proof, lowest sibling first
 *   B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
 *
 *   example.com/fancylog                                the checkpoint, verbatim, with its signatures
 *   109482
 *   …
 * ```
 *
 * @module
 */
import { fromBase64, fromUtf8, toBase64 } from './bytes.ts'
import { type LogIdentity, openCheckpoint, type VerifiedCheckpoint } from './checkpoint.ts'
import { parseDecimal } from './decimal.ts'
import { assert, MerkleError } from './error.ts'
import { HASH_LENGTH, type Hash } from './hash.ts'
import { checkInclusion } from './inclusion.ts'
import { MAX_NOTE_BYTES } from './note.ts'
import type { WitnessPolicy } from './witness-policy.ts'

const HEADER = 'c2sp.org/tlog-proof@v1'
/** No tree is higher. */
const MAX_PROOF_HASHES = 63
const MAX_EXTRA_LENGTH = 0x100000

/** A proof as it reads. Nobody has checked it. */
export interface TlogProof {
  /** Whatever the maker of the file wanted to add. Not authenticated: never decide anything by it. */
  readonly extra?: Uint8Array | undefined
  /** Where the entry is, counted from 0. */
  readonly index: number
  readonly proof: readonly Hash[]
  /** The signed note. */
  readonly checkpoint: string
}

/**
 * Checks that the entry with this leaf hash is in `log`: opens the checkpoint, with the witnesses that `policy` asks for, then
 * climbs the proof to its root.
 *
 * @throws {@link MerkleError} what `openCheckpoint` and `checkInclusion` throw
 */
export function checkTlogProof(
  { index, proof, checkpoint }: TlogProof,
  leafHash: Hash,
  log: LogIdentity,
  policy?: WitnessPolicy,
): VerifiedCheckpoint {
  const opened = openCheckpoint(checkpoint, log, policy)
  checkInclusion({ index, size: opened.size, leafHash, proof }, opened.root)
  return opened
}

/** The text of a proof file. By custom its name ends in `.tlog-proof`. */
export function formatTlogProof({ extra, index, proof, checkpoint }: TlogProof): string {
  assert(Number.isSafeInteger(index) && index >= 0, `leaf index ${index}`)
  assert(proof.length <= MAX_PROOF_HASHES && proof.every((hash) => hash.length === HASH_LENGTH), 'hashes of a proof')
  const lines = [HEADER, ...(extra ? [`extra ${toBase64(extra)}`] : []), `index ${index}`, ...proof.map(toBase64)]
  return `${lines.join('\n')}\n\n${checkpoint}`
}

/**
 * Takes a proof file apart. The checkpoint is left as it is, for {@link checkTlogProof}.
 *
 * @throws {@link MerkleError} `malformed_proof`
 */
export function parseTlogProof(file: string | Uint8Array): TlogProof {
  if (file.length > MAX_EXTRA_LENGTH + MAX_NOTE_BYTES) throw malformed('too long')
  const text = typeof file === 'string' ? file : decodeText(file)
  const end = text.indexOf('\n\n')
  if (end < 0) throw malformed('no empty line before the checkpoint')
  const [header, ...lines] = text.slice(0, end).split('\n')
  if (header !== HEADER) throw malformed('the first line is not that of a proof')

  const extra = lines[0]?.startsWith('extra ') ? decodeBase64(lines.shift()!.slice('extra '.length)) : undefined
  const indexLine = lines.shift()
  const index = indexLine?.startsWith('index ') ? parseDecimal(indexLine.slice('index '.length)) : undefined
  if (index === undefined) throw malformed('no index')
  if (lines.length > MAX_PROOF_HASHES) throw malformed(`${lines.length} hashes`)
  const proof = lines.map((line) => {
    const hash = decodeBase64(line)
    if (hash.length !== HASH_LENGTH) throw malformed(`a hash of ${hash.length} bytes`)
    return hash
  })
  return { ...(extra && { extra }), index, proof, checkpoint: text.slice(end + 2) }
}

function decodeBase64(text: string): Uint8Array {
  try {
    return fromBase64(text)
  } catch (cause) {
    throw malformed('a line that is not base64', cause)
  }
}

function decodeText(file: Uint8Array): string {
  try {
    return fromUtf8(file)
  } catch (cause) {
    throw malformed('not UTF-8', cause)
  }
}

function malformed(why: string, cause?: unknown): MerkleError {
  return new MerkleError('malformed_proof', `not a proof file: ${why}`, { cause })
}
