/**
 * The local API: HTTP/1.1 over a Unix socket, by which an issuer on the same machine gives workloads their credentials. What both ends say:
 *
 * | request | answers |
 * |---|---|
 * | `GET /v1/credential?subject=URI&key=THUMBPRINT` | 200 {@link CredentialAnswer} with an `ETag`; 304 for `If-None-Match`, at once or, with `Prefer: wait=SECONDS` (RFC 7240), as soon as there is another or the time is up |
 * | `POST /v1/credential` {@link SubmissionBody} | 200 {@link CredentialAnswer} |
 * | `GET /v1/identities` | 200 `{"identities": [{subject, kind, state, notAfter?, renewAt?}]}`: what the asking user may have |
 * | `GET /v1/trust-bundle` | 200 the SPIFFE bundle of the trust domain |
 * | `GET /healthz`, `GET /readyz` | 200, or 503 with the reason |
 *
 * Every request under `/v1` carries `Provlog-Workload: true`, which no program sends that was talked into fetching a URL. Who asks is the user
 * that the kernel says is at the other end. Refusals are `application/problem+json` with a `code`. Credential, bundle and trust bundle come in one
 * answer, so that they always belong together; there is nothing to cache (`no-store`), the `ETag` is the digest of the credential.
 *
 * It does what the SPIFFE Workload API does, for tokens and certificates with a bundle each, and is not it: that is gRPC, has the issuer
 * make the key, and knows no bundles of provenance.
 *
 * @module
 */
import { EvidenceError } from '../../merkle/error.ts'
import { fromBase64, fromUtf8 } from '../../merkle/index.ts'
import { isJsonObject, type Json, type JsonObject, MAX_BUNDLE_BYTES, parseJson } from '../../provenance/index.ts'
import { DeliveryError } from './error.ts'

export const API_HEADER = 'provlog-workload'
export const PATHS = {
  credential: '/v1/credential',
  identities: '/v1/identities',
  trustBundle: '/v1/trust-bundle',
  health: '/healthz',
  ready: '/readyz',
} as const

/** Seconds that an answer may be waited for. */
export const LONGEST_WAIT = 60
/** Sixteen results of 30 KiB, and a key. */
export const MAX_SUBMISSION_BYTES = 512 * 1024
/** A bundle in base64, and what is around it. */
export const MAX_ANSWER_BYTES = Math.ceil(MAX_BUNDLE_BYTES / 3) * 4 + 512 * 1024

export interface CredentialAnswer {
  readonly subject: string
  readonly kind: 'wit' | 'wic'
  /** Compact JWS, or PEM. */
  readonly credential: string
  /** `.provlog` in base64. */
  readonly bundle: string
  /** SPIFFE bundle. */
  readonly trustBundle: JsonObject
  /** RFC 7638 thumbprint of the key that it is for. */
  readonly key: string
  /** POSIX seconds. */
  readonly notBefore: number
  readonly notAfter: number
  /** When there will be another one; with `submit`, it takes new results and the workload has to bring them. */
  readonly renewAt: number
  readonly renewal: 'automatic' | 'submit'
}

export interface SubmissionBody {
  readonly subject: string
  /** Public JWK. */
  readonly workloadKey: object
  /** Attestation results, compact JWS. */
  readonly results: readonly string[]
  /** `env` when the workload is going to hand it on by environment variables. */
  readonly delivery?: 'local-api' | 'env'
}

/** Reads an answer of 200. @throws {@link DeliveryError} `malformed_answer` */
export function readCredentialAnswer(body: Uint8Array): CredentialAnswer & { readonly bundleBytes: Uint8Array } {
  const answer = parseAnswer(body)
  const { subject, kind, credential, bundle, trustBundle, key, notBefore, notAfter, renewAt, renewal } = answer
  if (
    typeof subject !== 'string' ||
    (kind !== 'wit' && kind !== 'wic') ||
    typeof credential !== 'string' ||
    typeof bundle !== 'string' ||
    !isJsonObject(trustBundle) ||
    typeof key !== 'string' ||
    (renewal !== 'automatic' && renewal !== 'submit')
  ) {
    throw new DeliveryError('malformed_answer', 'not a credential with its bundle')
  }
  const [from, to, renewed] = [notBefore, notAfter, renewAt].map((time) => {
    if (typeof time !== 'number' || time < 0) throw new DeliveryError('malformed_answer', 'a time that is none')
    return time
  }) as [number, number, number]
  return {
    subject,
    kind,
    credential,
    bundle,
    bundleBytes: decodeBase64(bundle),
    trustBundle,
    key,
    notBefore: from,
    notAfter: to,
    renewAt: renewed,
    renewal,
  }
}

/** @throws {@link DeliveryError} `malformed_answer` */
export function parseAnswer(body: Uint8Array): JsonObject {
  let value: Json
  try {
    value = parseJson(fromUtf8(body))
  } catch (cause) {
    if (!(cause instanceof EvidenceError || cause instanceof TypeError)) throw cause
    throw new DeliveryError('malformed_answer', 'not JSON', { cause })
  }
  if (!isJsonObject(value)) throw new DeliveryError('malformed_answer', 'not an object')
  return value
}

function decodeBase64(text: string): Uint8Array {
  try {
    return fromBase64(text)
  } catch (cause) {
    throw new DeliveryError('malformed_answer', 'a bundle that is not base64', { cause })
  }
}
