/**
 * The documents that decisions are made by (issuance policies, appraisal policies, reference values), as series of versions:
 *
 *     version 1 ◄──previous── version 2 ◄──previous── version 3      one series per signer and id
 *
 * What was in force when is then a question to the log, and no version can slip in between two others afterwards.
 *
 * @module
 */
import { EvidenceError, equalBytes, type Hash, sha256 } from '../../merkle/index.ts'
import type { Author, FieldsOf } from '../../provenance/index.ts'
import type { LogClient, LoggedRecord } from './client.ts'

export type VersionedType = 'issuance-policy' | 'appraisal-policy' | 'reference-values'

export interface NewVersion {
  readonly type: VersionedType
  /** The name of the series. */
  readonly id: string
  /** The exact bytes, published in clear. */
  readonly content: Uint8Array
  readonly mediaType: string
  /** POSIX seconds. */
  readonly notBefore: number
  /** POSIX seconds; valid until just before. */
  readonly notAfter?: number
  /** Of an issuance policy: for confidential workloads. */
  readonly confidential?: boolean
}

export interface PublishedVersion {
  readonly entry: Hash
  readonly index: number
  /** Counted from 1. */
  readonly version: number
  /** SHA-256 of the content. */
  readonly digest: Hash
  /** The latest version on the log says the same already, and nothing was added. */
  readonly unchanged: boolean
}

/** Logs the next version of a series, unless the latest one says the same and holds as long. */
export async function publishVersion(
  client: Pick<LogClient, 'latest' | 'registerRecord'>,
  author: Author,
  { type, id, content, mediaType, notBefore, notAfter, confidential = false }: NewVersion,
): Promise<PublishedVersion> {
  const digest = sha256(content)
  const previous = await client.latest(type, author.key.kid, id)
  if (previous) {
    const { fields } = previous.record
    const isConfidential = 'confidential' in fields && fields.confidential === true
    const same = equalBytes(fields.digest, digest) && fields.mediaType === mediaType && isConfidential === confidential
    if (same && fields.notBefore <= notBefore && fields.notAfter === notAfter) {
      return { entry: previous.entry, index: previous.index, version: fields.version, digest, unchanged: true }
    }
  }

  const version = (previous?.record.fields.version ?? 0) + 1
  const fields: FieldsOf<VersionedType> = {
    policyId: id,
    version,
    mediaType,
    digest,
    content,
    notBefore,
    ...(notAfter === undefined ? {} : { notAfter }),
    ...(confidential && { confidential }),
  }
  const links = previous ? [{ rel: 'previous' as const, entry: previous.entry }] : []
  const { entry, index } = await client.registerRecord({ type, fields, links }, author)
  return { entry, index, version, digest, unchanged: false }
}

/** Why a logged version cannot be decided by. Codes are API. */
export type VersionErrorCode =
  | 'not_in_force' //    not valid yet, or no longer
  | 'content_missing' // logged by digest alone, or sealed
  | 'digest_mismatch' // the content is not what its digest says

export class VersionError extends EvidenceError<VersionErrorCode> {}

/**
 * The bytes to decide by, if the version is in force.
 *
 * @throws {@link VersionError}
 */
export function contentInForce({ record }: LoggedRecord<VersionedType>, now: number): Uint8Array {
  const { policyId, version, digest, content, notBefore, notAfter } = record.fields
  const title = `version ${version} of ${record.type} ${JSON.stringify(policyId)}`
  if (now < notBefore) throw new VersionError('not_in_force', `${title} is not in force before ${notBefore}`)
  if (notAfter !== undefined && now >= notAfter) throw new VersionError('not_in_force', `${title} ended at ${notAfter}`)
  if (!content) throw new VersionError('content_missing', `${title} is on the log without its text`)
  if (!equalBytes(sha256(content), digest))
    throw new VersionError('digest_mismatch', `the text of ${title} is another one`)
  return content
}
