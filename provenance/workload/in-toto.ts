/**
 * in-toto Statements (attestation framework v0.1 and v1): somebody says something, the predicate, about things named by their digests.
 *
 *     { "_type": "https://in-toto.io/Statement/v1",
 *       "subject": [{ "name": "payments", "digest": { "sha256": "…" } }],
 *       "predicateType": "https://slsa.dev/provenance/v1", "predicate": { … } }
 *
 * @module
 */
import { ProvenanceError } from '../error.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'

export interface InTotoStatement {
  /** SHA-256 values of the subjects, lower-case hex. A subject known by other algorithms alone cannot be compared, and is not here. */
  readonly subjects: readonly string[]
  readonly predicateType: string
  readonly predicate: JsonObject
}

/** Subjects of one statement at most: a release of everything is still some hundreds of files. */
const MAX_SUBJECTS = 4096

const TYPES: ReadonlySet<Json | undefined> = new Set([
  'https://in-toto.io/Statement/v0.1',
  'https://in-toto.io/Statement/v1',
])

/** @throws {@link ProvenanceError} `malformed_attestation` */
export function readStatement(document: Json): InTotoStatement {
  if (!isJsonObject(document)) throw refuse('not an object')
  const { _type: type, subject, predicateType, predicate } = document
  if (!TYPES.has(type)) throw refuse('not an in-toto Statement v0.1 or v1')
  if (!Array.isArray(subject) || subject.length === 0 || subject.length > MAX_SUBJECTS) {
    throw refuse(`not 1 to ${MAX_SUBJECTS} subjects`)
  }
  if (predicate !== undefined && !isJsonObject(predicate)) throw refuse('the predicate is not an object')
  return {
    subjects: [...new Set(subject.flatMap((each: Json) => sha256Of(each)))].sort(),
    predicateType: text(predicateType, 'predicateType', 256),
    predicate: predicate ?? (Object.create(null) as JsonObject),
  }
}

function sha256Of(subject: Json): string[] {
  const digest = isJsonObject(subject) ? subject['digest'] : undefined
  if (!isJsonObject(digest) || Object.keys(digest).length === 0) throw refuse('a subject without a digest')
  const { sha256 } = digest
  if (sha256 === undefined) return []
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) throw refuse('a SHA-256 value that is none')
  return [sha256]
}

/** A text of 1 to `max` characters on one line. @throws {@link ProvenanceError} `malformed_attestation` */
export function text(value: Json | undefined, title: string, max = 1024): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > max || /\p{Cc}/u.test(value)) {
    throw refuse(`${title} is not a text of 1 to ${max} characters`)
  }
  return value
}

export function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_attestation', why)
}
