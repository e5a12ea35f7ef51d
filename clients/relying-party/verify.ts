/**
 * Verifying a credential with nothing but files, or with a look at the log as well.
 *
 * @module
 */
import { EvidenceError, toHex, type VerifiedCheckpoint } from '../../merkle/index.ts'
import {
  type Bundle,
  decodeBundle,
  type Presentation,
  parseCredential,
  type Trust,
  type VerificationReport,
  verifyCredential,
} from '../../provenance/index.ts'
import type { PrivateJwk } from '../../statement/index.ts'
import { type LogClient, MisbehaviourError, RefusedError } from '../log-client/index.ts'

export interface OfflineInput {
  /** Compact JWS, PEM or DER: the bytes of the file. */
  readonly credential: Uint8Array
  /** `.provlog` */
  readonly bundle: Uint8Array
  readonly trust: Trust
  /** POSIX seconds: judge as of then. */
  readonly at: number
  /** Opens sealed sections that were wrapped for this key, and checks what they say. */
  readonly openWith?: PrivateJwk
  /** How it was presented: a request, or a connection. What proves possession, and is not in any file. */
  readonly presented?: Presentation
}

export interface OnlineInput extends OfflineInput {
  /** Pinned to a log of `trust`. */
  readonly client: Pick<LogClient, 'acceptCheckpoint' | 'bundle' | 'checkpoint' | 'consistencyProof'>
}

/** Never throws for bad evidence: a check of the report has failed, or could not be made. */
export function verifyOffline(input: OfflineInput): Promise<VerificationReport> {
  const { credential, bundle, trust, at, openWith, presented } = input
  return verifyCredential({
    credential,
    bundle,
    trust,
    at,
    ...(openWith && { openWith }),
    ...(presented && { presented }),
  })
}

/**
 * As {@link verifyOffline}, with the log's word of now: its newest checkpoint, proof that it grew from the bundle's, and a new
 * bundle with the latest status of the credential.
 *
 * @throws `UnavailableError` when the log cannot be reached; `MisbehaviourError` when it contradicts what it signed before,
 *   `not_served` when it no longer shows what it once proved
 */
export async function verifyOnline({ client, ...input }: OnlineInput): Promise<VerificationReport> {
  const old = await readClaims(client, input)
  // What cannot be read, or is not this log's, is refused without its help.
  if (old === undefined) return verifyOffline(input)

  // Consistent with the bundle's checkpoint, which the client has taken in: a smaller one is a rollback.
  const newest = await client.checkpoint()
  const bundle = await newBundle(client, old)
  if (bundle === undefined) {
    const report = await verifyOffline(input)
    if (!report.ok) return report
    throw withheld('the log no longer shows the record that it once proved', old, newest)
  }
  const checkpoint = await client.acceptCheckpoint(decodeBundle(bundle).checkpoint)
  if (checkpoint.size < newest.size) throw withheld('the log answered with a bundle of an earlier state', old, newest)
  const consistencyProof = await client.consistencyProof(old.checkpoint.size, checkpoint.size)
  return verifyCredential({ ...input, fresh: { checkpoint: checkpoint.note, consistencyProof, bundle } })
}

interface Claims {
  readonly digest: Uint8Array
  readonly checkpoint: VerifiedCheckpoint
}

/** What to ask the log about; undefined when the files are not good enough to ask. */
async function readClaims(client: OnlineInput['client'], input: OfflineInput): Promise<Claims | undefined> {
  let digest: Uint8Array
  let bundle: Bundle
  try {
    digest = parseCredential(input.credential).digest
    bundle = decodeBundle(input.bundle)
    return { digest, checkpoint: await client.acceptCheckpoint(bundle.checkpoint) }
  } catch (error) {
    // A fork is not a flaw of the files.
    if (!(error instanceof EvidenceError) || error instanceof MisbehaviourError) throw error
    return undefined
  }
}

async function newBundle(client: OnlineInput['client'], { digest }: Claims): Promise<Uint8Array | undefined> {
  try {
    return await client.bundle(digest)
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return undefined
    throw error
  }
}

function withheld(message: string, { digest, checkpoint }: Claims, newest: VerifiedCheckpoint): MisbehaviourError {
  const evidence = { origin: newest.origin, before: checkpoint.note, after: newest.note, credential: toHex(digest) }
  return new MisbehaviourError('not_served', message, evidence)
}
