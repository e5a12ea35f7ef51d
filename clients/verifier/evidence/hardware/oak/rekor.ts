/**
 * An entry of Rekor, version 1, as its API answers: that a signature over an artifact was published, when, and in which log.
 *
 *     { "<tree id><leaf hash>": { "body": "<base64>", "integratedTime", "logID", "logIndex",
 *         "verification": { "signedEntryTimestamp", "inclusionProof": { "hashes", "logIndex", "treeSize", "rootHash", "checkpoint" } } } }
 *     body    { "kind": "rekord" | "hashedrekord", "spec": { "data": { "hash" }, "signature": { "content", "publicKey" } } }
 *
 * The log's key signs twice: the entry (a promise, over its canonical JSON), and the checkpoint of a tree that it is in (a signed note). `logID` is the
 * SHA-256 of that key, so that reference values can name the log by it.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { type Static, Type } from 'typebox'
import {
  checkInclusion,
  equalBytes,
  fromBase64,
  fromHex,
  hashLeaf,
  parseCheckpoint,
  parseNote,
  sha256,
  toHex,
  utf8,
} from '../../../../../merkle/index.ts'
import { canonicalJson } from '../../../../../provenance/index.ts'
import { readDocument } from '../../../document.ts'
import { malformedCollateral, VerifierError } from '../../../error.ts'
import { readCollateral } from '../collateral.ts'
import { isSignedBy } from './ecdsa.ts'

const MAX_ENTRY_BYTES = 64 * 1024

const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Index = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Entry = Type.Object({
  body: Type.String(),
  integratedTime: Index,
  logID: Hash,
  logIndex: Index,
  verification: Type.Object({
    signedEntryTimestamp: Type.String(),
    inclusionProof: Type.Optional(
      Type.Object({
        hashes: Type.Array(Hash, { maxItems: 64 }),
        logIndex: Index,
        treeSize: Index,
        rootHash: Hash,
        checkpoint: Type.String(),
      }),
    ),
  }),
})
const Answer = Type.Record(Type.String(), Entry)
const Body = Type.Object({
  kind: Type.Enum(['rekord', 'hashedrekord']),
  spec: Type.Object({
    data: Type.Object({ hash: Type.Object({ algorithm: Type.Literal('sha256'), value: Hash }) }),
    signature: Type.Object({ content: Type.String(), publicKey: Type.Object({ content: Type.String() }) }),
  }),
})

/** An entry that reads as one. Nobody has checked that the log has it. */
export interface LogEntry {
  readonly logId: string
  /** Whose signature was published, as the entry says. */
  readonly endorserKey: KeyObject
  readonly leafHash: Uint8Array
  readonly entry: Static<typeof Entry>
  readonly body: Static<typeof Body>
}

/** @throws {@link VerifierError} `malformed_collateral` */
export function readLogEntry(bytes: Uint8Array): LogEntry {
  if (bytes.length > MAX_ENTRY_BYTES) throw malformedCollateral(`an entry of ${bytes.length} bytes`)
  const [[uuid, entry] = [], ...more] = Object.entries(readDocument(Answer, bytes, 'malformed_collateral'))
  if (uuid === undefined || !entry || more.length > 0) throw malformedCollateral('not one entry of a log')
  const content = reading(() => fromBase64(entry.body))
  const body = readDocument(Body, content, 'malformed_collateral')
  const { keys } = readCollateral([reading(() => fromBase64(body.spec.signature.publicKey.content))])
  const [endorserKey, ...others] = keys
  if (!endorserKey || others.length > 0) throw malformedCollateral('an entry that does not have one key')
  const leafHash = hashLeaf(content)
  // Under the id of one of the log's trees, or none.
  if (!/^([0-9a-f]{16})?[0-9a-f]{64}$/.test(uuid) || !uuid.endsWith(toHex(leafHash)))
    throw malformedCollateral('an entry under the name of another')
  return { logId: entry.logID, endorserKey, leafHash, entry, body }
}

/**
 * That the log has the signature of the entry's endorser over `artifact`.
 *
 * @throws {@link VerifierError} `wrong_collateral`
 */
export function verifyLogEntry(
  { endorserKey, leafHash, entry, body }: LogEntry,
  artifact: Uint8Array,
  key: KeyObject,
): void {
  const { hash } = body.spec.data
  if (hash.value !== toHex(sha256(artifact))) throw wrong('the log’s entry is about something else')
  const signature = reading(() => fromBase64(body.spec.signature.content))
  if (!isSignedBy(endorserKey, artifact, signature)) throw wrong('the log’s entry has no signature of its endorser')
  const { integratedTime, logID, logIndex, verification } = entry
  const promised = utf8(canonicalJson({ body: entry.body, integratedTime, logID, logIndex }))
  const timestamp = reading(() => fromBase64(verification.signedEntryTimestamp))
  if (!isSignedBy(key, promised, timestamp)) throw wrong('the entry is not signed by the log that it names')
  const { inclusionProof } = verification
  if (inclusionProof) checkProof(inclusionProof, leafHash, key)
}

type Proof = NonNullable<Static<typeof Entry>['verification']['inclusionProof']>

function checkProof(
  { hashes, logIndex, treeSize, rootHash, checkpoint }: Proof,
  leafHash: Uint8Array,
  key: KeyObject,
): void {
  try {
    const root = fromHex(rootHash)
    checkInclusion({ index: logIndex, size: treeSize, leafHash, proof: hashes.map(fromHex) }, root)
    const { text, signatures } = parseNote(checkpoint)
    const head = parseCheckpoint(text)
    if (head.size !== treeSize || !equalBytes(head.root, root)) throw new Error('a checkpoint of another tree')
    if (!signatures.some(({ signature }) => isSignedBy(key, utf8(text), signature))) {
      throw new Error('a checkpoint that the log did not sign')
    }
  } catch (cause) {
    throw new VerifierError('wrong_collateral', `the entry is not in the log: ${(cause as Error).message}`, { cause })
  }
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw malformedCollateral('an entry of a log', cause)
  }
}

function wrong(why: string): VerifierError {
  return new VerifierError('wrong_collateral', why)
}
