/**
 * The credential itself: named first, announced on the log where it is to name that entry, then signed.
 *
 * @module
 */
import { fromUtf8, toBase64url, toHex, utf8 } from '../../merkle/index.ts'
import {
  type Credential,
  intentCommitments,
  type Link,
  LOG_REFERENCE_CLAIM,
  type LogReference,
  logReferenceClaim,
  parseCredential,
} from '../../provenance/index.ts'
import { jwkThumbprint, type PublicJwk } from '../../statement/index.ts'
import type { AuthorizedParty } from './author.ts'
import { traceOf } from './denial.ts'
import type { Grounds } from './grounds.ts'
import type { IssueRequest } from './request.ts'
import { issueWit } from './wit.ts'
import { encodePem, issueCertificate, serialNumber } from './x509.ts'

export interface SignedCredential {
  readonly credential: Credential
  /** Where it was announced, if it was. */
  readonly intent?: LogReference & { readonly index: number }
}

/**
 * Signs what was decided, and with `embed` logs the intent before.
 *
 * @throws IssuerError `anchor_mismatch`, `anchor_expired`, `lifetime_too_long`; RefusedError; UnavailableError
 */
export async function signCredential(
  request: IssueRequest,
  party: AuthorizedParty,
  grounds: Grounds,
  trail: { readonly links: readonly Link[]; readonly recipients: readonly PublicJwk[] },
): Promise<SignedCredential> {
  const { key, kind, anchor, above = [], workloadKey, now, random } = request
  const { subject, notAfter } = grounds
  const name = random(16)
  const serial = serialNumber(name)
  const identifier = kind === 'wic' ? toHex(serial) : toBase64url(name)
  const intent = request.embed ? await announce(request, party, grounds, trail, identifier) : undefined
  if (kind === 'wic' && anchor) {
    const reference = intent && { logReference: intent }
    const certified = { subject: subject.uri, workloadJwk: workloadKey, serial, notBefore: now, notAfter, ...reference }
    const der = await issueCertificate({ anchor, above, key, ...certified })
    // With the certificates between it and what relying parties have.
    const file = [der, ...[anchor, ...above].slice(0, -1)].map(encodePem).join('')
    return { credential: parseCredential(utf8(file)), ...(intent && { intent }) }
  }
  const extraClaims = intent && { extraClaims: { [LOG_REFERENCE_CLAIM]: logReferenceClaim(intent) } }
  const token = { subject: subject.uri, workloadJwk: workloadKey, issuer: party.author.issuer, jti: identifier }
  const compact = await issueWit({ ...token, issuedAt: now, expiresAt: notAfter, ...extraClaims }, key)
  return { credential: parseCredential(utf8(compact)), ...(intent && { intent }) }
}

/** What to write to a file: the compact JWS, or PEM of the certificate and those that came with it. */
export function credentialText({ kind, bytes, intermediates = [] }: Credential): string {
  if (kind === 'wit') return fromUtf8(bytes)
  return [bytes, ...intermediates.map(({ der }) => der)].map(encodePem).join('')
}

async function announce(
  { client, kind, workloadKey, now }: IssueRequest,
  { author }: AuthorizedParty,
  { subject: { uri: subject }, notAfter, results, decision }: Grounds,
  { links, recipients }: { readonly links: readonly Link[]; readonly recipients: readonly PublicJwk[] },
  identifier: string,
): Promise<LogReference & { readonly index: number }> {
  const { entry, index } = await client.registerRecord(
    {
      type: 'issuance-intent',
      fields: {
        kind,
        notBefore: now,
        notAfter,
        attestation: results.length > 0 ? 'attested' : 'none',
        ...intentCommitments({ kind, identifier, subject, keyThumbprint: jwkThumbprint(workloadKey) }),
      },
      links,
      sections: { credential: { subject }, decision: traceOf(decision) },
      recipients,
    },
    author,
  )
  return { log: await client.origin(), entry, index }
}
