/**
 * The Verifier's side of the log: what it judges by goes in first, then each result, linked to exactly that.
 *
 *     reference-values ◄─┐
 *     appraisal-policy ◄─┼─ attestation-result    digest, tier and times in clear; the result itself sealed
 *     key-authorization ◄┘
 *
 * @module
 */
import { assert } from '../../merkle/error.ts'
import { type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import {
  type Author,
  type Authorization,
  buildEarClaims,
  EAR_TYP,
  type EarClaims,
  signCompactJws,
  type Tier,
} from '../../provenance/index.ts'
import { type PrivateJwk, type PublicJwk, signingKeyOf } from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { type PublishedVersion, publishVersion, type VersionedType } from '../log-client/policy-version.ts'
import { parseAppraisalPolicy } from './appraisal-policy.ts'
import { appraise } from './appraise.ts'
import { together } from './composite.ts'
import { type ChosenPolicy, choosePolicy, chooseReferenceValues, JSON_MEDIA_TYPE, type Owner } from './criteria.ts'
import { VerifierError } from './error.ts'
import type { EvidenceFormat } from './evidence/format.ts'
import { COLLECTION, readSubmission } from './evidence/submission.ts'
import { parseReferenceValues } from './reference-values.ts'

/** What this role asks of a log. */
export type VerifierLog = Pick<LogClient, 'authorizations' | 'latest' | 'latestAll' | 'registerRecord'>

export interface PublishInput {
  readonly client: VerifierLog
  /** The Verifier's key. */
  readonly key: PrivateJwk
  /** The name under which later versions follow this one. */
  readonly id: string
  /** The exact bytes of the file. */
  readonly content: Uint8Array
  /** `application/json` unless said otherwise; only that is read here. */
  readonly mediaType?: string
  /** POSIX seconds. From `now` unless said otherwise. */
  readonly notBefore?: number
  /** POSIX seconds. */
  readonly notAfter?: number
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface AppraiseAndLogInput {
  readonly client: VerifierLog
  /** The Verifier's key. */
  readonly key: PrivateJwk
  /** The name of the evidence format: `measured-files`, `aws-nitro`, …; `cmw` for a collection of several. */
  readonly format: string
  /** A file of evidence. Its digest on the log is that of the evidence itself: of a token, without a line break at its end. */
  readonly evidence: Uint8Array
  /** May be left out while this Verifier has exactly one appraisal policy of the format. */
  readonly policyId?: string
  /** The challenge that the evidence must answer. */
  readonly nonce?: string
  /** Files that evidence from hardware is verified with: certificates, revocation lists, the vendor's documents. */
  readonly collateral?: readonly Uint8Array[]
  /** Whose key the evidence must be about. */
  readonly workloadKey?: PublicJwk
  /** Who may open the sealed result. Those for whom the log requires a wrap must be among them. */
  readonly recipients?: readonly PublicJwk[]
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface LoggedAppraisal {
  /** The signed attestation result: a compact JWS. */
  readonly ear: string
  readonly claims: EarClaims
  readonly tier: Tier
  readonly entry: Hash
  readonly index: number
}

/** @throws {@link VerifierError} `not_authorized`, `malformed_policy`, `lenient_policy`, `unsupported_claim`, … */
export async function publishPolicy(input: PublishInput): Promise<PublishedVersion> {
  // A policy that cannot be applied must not become the one in force. Those of other engines are not ours to read.
  if ((input.mediaType ?? JSON_MEDIA_TYPE) === JSON_MEDIA_TYPE) parseAppraisalPolicy(input.content)
  return publish('appraisal-policy', input)
}

/** @throws {@link VerifierError} `not_authorized`, `malformed_reference_values` */
export async function publishReferenceValues(input: PublishInput): Promise<PublishedVersion> {
  if ((input.mediaType ?? JSON_MEDIA_TYPE) === JSON_MEDIA_TYPE) parseReferenceValues(input.content)
  return publish('reference-values', input)
}

/**
 * Appraises by the versions that the log has, signs the result, logs it, and returns it once the log has it.
 *
 * Bad software gets a bad result, and that is logged like a good one. Evidence that proves nothing is refused and not logged.
 *
 * @throws {@link VerifierError} as `appraise`; `not_authorized`, `unknown_policy`, `ambiguous_policy`, `unknown_reference_values`
 * @throws VersionError when a version that the log has cannot be decided by
 * @throws UnavailableError when the log does not answer: no result is given that is not on the log
 */
export async function appraiseAndLog(input: AppraiseAndLogInput): Promise<LoggedAppraisal> {
  const { client, key, nonce, now } = input
  const { author, authorization } = await authorOf(input)
  const submission = readSubmission(input.evidence, input.format)
  const owner = { client, kid: author.key.kid, now }
  const collateral = [...(input.collateral ?? []), ...submission.collateral]
  const judged = await Promise.all(
    submission.pieces.map(async (piece) => {
      const chosen = await chooseFor(owner, piece.format, input.policyId, submission.pieces.length > 1)
      const references = await chooseReferenceValues(owner, chosen.policy)
      const appraisal = await appraise({
        evidence: piece.evidence,
        policyId: chosen.logged.record.fields.policyId,
        policy: chosen.policy,
        referenceValues: references.map(({ values }) => values),
        now,
        collateral,
        ...(nonce === undefined ? {} : { nonce }),
        ...(input.workloadKey ? { workloadKey: input.workloadKey } : {}),
      })
      return { ...piece, appraisal, chosen, references }
    }),
  )
  const [first, ...others] = judged
  assert(first, 'a submission of nothing')
  checkPolicyUsed(input.policyId, judged)
  const { claims, tier, measurement, keyThumbprint } = together(first, others)
  // Of a collection the record has the digest of all of it.
  const external = submission.format === COLLECTION ? undefined : first.format.resultIn?.(first.evidence)
  const ear = await signCompactJws({ typ: EAR_TYP, kid: author.key.kid }, buildEarClaims(claims), key)

  const { encryptionKey } = authorization
  const { entry, index } = await client.registerRecord(
    {
      type: 'attestation-result',
      fields: {
        resultDigest: sha256(utf8(ear)),
        evidenceDigest: sha256(submission.evidence),
        format: submission.format,
        tier,
        issuedAt: now,
        expiresAt: claims.expiresAt!,
      },
      links: [
        ...linksTo(
          'appraisal-policy',
          judged.map(({ chosen }) => chosen.logged.entry),
        ),
        ...linksTo(
          'reference-values',
          judged.flatMap(({ references }) => references.map(({ logged }) => logged.entry)),
        ),
        { rel: 'key-authorization', entry: authorization.entry },
      ],
      sections: {
        attestation: {
          result: ear,
          measurement,
          ...(keyThumbprint === undefined ? {} : { keyThumbprint }),
          ...(nonce === undefined ? {} : { nonce: utf8(nonce) }),
          ...(external === undefined ? {} : { external }),
        },
      },
      recipients: [...(encryptionKey ? [encryptionKey] : []), ...(input.recipients ?? [])],
    },
    author,
  )
  return { ear, claims, tier, entry, index }
}

/** The policy that was named, for the pieces that it is for; the others of a collection have one of their own. */
async function chooseFor(
  owner: Owner,
  format: EvidenceFormat,
  policyId: string | undefined,
  isOneOfSeveral: boolean,
): Promise<ChosenPolicy> {
  try {
    return await choosePolicy(owner, format, policyId)
  } catch (error) {
    if (!isOneOfSeveral || !(error instanceof VerifierError && error.code === 'wrong_format')) throw error
    return choosePolicy(owner, format, undefined)
  }
}

/** What is in a collection its sender chose: leaving out all that the named policy is for must not be a way around it. */
function checkPolicyUsed(policyId: string | undefined, judged: readonly { readonly chosen: ChosenPolicy }[]): void {
  if (policyId === undefined || judged.some(({ chosen }) => chosen.logged.record.fields.policyId === policyId)) return
  throw new VerifierError('wrong_format', `the policy ${JSON.stringify(policyId)} is for none of the evidence`)
}

/** One link for each, however many pieces it was for. */
function linksTo<R extends 'appraisal-policy' | 'reference-values'>(rel: R, entries: readonly Hash[]) {
  return [...new Map(entries.map((entry) => [toHex(entry), entry])).values()].map((entry) => ({ rel, entry }))
}

/** Somebody who signs as a Verifier. */
export interface Signer {
  readonly client: Pick<LogClient, 'authorizations'>
  readonly key: PrivateJwk
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

/** Who we are on this log: the last word of its admin on our key. @throws {@link VerifierError} `not_authorized` */
export async function authorOf({ client, key: jwk, now, random }: Signer): Promise<{
  author: Author
  authorization: Authorization
}> {
  const key = await signingKeyOf(jwk)
  const authorization = (await client.authorizations(key.kid)).findLast(({ role }) => role === 'verifier')
  if (!authorization) throw new VerifierError('not_authorized', `this log has not authorized ${key.kid} as a verifier`)
  return { author: { key, issuer: authorization.subject, now, random }, authorization }
}

async function publish(type: VersionedType, input: PublishInput): Promise<PublishedVersion> {
  const { client, id, content, mediaType = JSON_MEDIA_TYPE, notBefore = input.now, notAfter } = input
  const { author } = await authorOf(input)
  return publishVersion(client, author, {
    type,
    id,
    content,
    mediaType,
    notBefore,
    ...(notAfter === undefined ? {} : { notAfter }),
  })
}
