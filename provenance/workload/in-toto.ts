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
  const { name, digest } = isJsonObject(subject) ? subject : {}
  if (name !== undefined && typeof name !== 'string') throw refuse('the name of a subject is not a text')
  if (!isJsonObject(digest) || Object.keys(digest).length === 0) throw refuse('a subject without a digest')
  for (const [algorithm, value] of Object.entries(digest)) checkDigest(algorithm, value)
  const { sha256 } = digest
  return sha256 === undefined ? [] : [sha256 as string]
}

/** Of each algorithm that the specification has (`digest_set.md`), as others check it: one that is none would make them refuse the whole. */
function checkDigest(algorithm: string, value: Json): void {
  const bytes = DIGEST_BYTES.get(algorithm)
  if (typeof value !== 'string' || value === '') throw refuse('a digest that is not a text')
  if (bytes && !(bytes.includes(value.length / 2) && /^[0-9a-f]+$/.test(value))) {
    throw refuse(`a digest ${JSON.stringify(algorithm)} that is none`)
  }
}

/** Git names its objects by SHA-1 or SHA-256. */
const DIGEST_BYTES: ReadonlyMap<string, readonly number[]> = new Map([
  ['md5', [16]],
  ['sha1', [20]],
  ...['gitBlob', 'gitCommit', 'gitTag', 'gitTree'].map((name): [string, number[]] => [name, [20, 32]]),
  ...['sha', 'sha512_', 'sha3_'].flatMap((name) =>
    [224, 256].map((bits): [string, number[]] => [name + bits, [bits / 8]]),
  ),
  ...['sha', 'sha3_'].flatMap((name) => [384, 512].map((bits): [string, number[]] => [name + bits, [bits / 8]])),
])

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
