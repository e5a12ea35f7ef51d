/**
 * An egress gateway (WIMSE architecture): inside, workloads have names that nobody outside needs to know. The gateway looks at the credential
 * of the one that wants out, and issues a credential for a general identity in its place.
 *
 *     internal credential ──verified──► policy, on the general identity ──► general credential ──► outside
 *                                                                              │ credential-provenance
 *     internal record  ◄┄┄┄┄┄┄┄┄┄┄┄┄ sealed ┄┄┄┄┄┄┄┄┄┄┄┄┄ identity-generalization ┘
 *
 * The gateway is a party with two roles on the log: it issues, as `issuer`, and says what stands for what, as `gateway`. The general
 * credential leaves only when both are on the log. Outside everybody sees that it is general; whoever is given the key can cross.
 *
 * @module
 */
import { fromHex, type Hash } from '../../merkle/index.ts'
import { type Authorization, type Trust, type VerificationReport, verifyCredential } from '../../provenance/index.ts'
import { type PrivateJwk, signingKeyOf } from '../../statement/index.ts'
import { authorizedIssuer } from './author.ts'
import { logRefusal } from './denial.ts'
import { IssuerError } from './error.ts'
import { issue } from './issue.ts'
import type { Issued, IssueRequest } from './request.ts'

export interface GeneralizeRequest extends IssueRequest {
  /** The credential of the workload inside, and its bundle. That whoever shows it has its key is for the gateway to check before. */
  readonly internal: { readonly credential: Uint8Array; readonly bundle: Uint8Array }
  /** What the gateway believes about credentials inside. */
  readonly trust: Trust
  /** Signs what stands for what; the issuing key unless said otherwise. */
  readonly gatewayKey?: PrivateJwk
  /** By which rule: sealed. */
  readonly rule?: string
}

export interface Generalized extends Issued {
  readonly generalization: { readonly entry: Hash; readonly index: number }
}

/**
 * Validates the internal credential, decides, and issues the general one for `subject`.
 *
 * @throws {@link IssuerError} `internal_refused`, with the checks that failed; `not_authorized`; and as {@link issue}
 */
export async function generalize(request: GeneralizeRequest): Promise<Generalized> {
  const { client, internal, trust, now, random } = request
  const key = await signingKeyOf(request.gatewayKey ?? request.key)
  const gateway = await authorizedGateway(request, key.kid)
  const report = await verifyCredential({ ...internal, trust, at: now })
  const inside = await insideOf(report, request)

  const issued = await issue(request)
  const { encryptionKey } = gateway
  const { entry, index } = await client.registerRecord(
    {
      type: 'identity-generalization',
      fields: { credentialDigest: issued.digest },
      links: [
        { rel: 'credential-provenance', entry: issued.entry },
        { rel: 'key-authorization', entry: gateway.entry },
      ],
      sections: { credential: { ...inside, ...(request.rule !== undefined && { rule: request.rule }) } },
      recipients: [...(request.recipients ?? []), ...(encryptionKey ? [encryptionKey] : [])],
    },
    { key, issuer: gateway.subject, now, random },
  )
  return { ...issued, bundle: await client.bundle(issued.digest), generalization: { entry, index } }
}

async function authorizedGateway({ client, now }: GeneralizeRequest, kid: string): Promise<Authorization> {
  const found = (await client.authorizations(kid)).findLast(({ role }) => role === 'gateway')
  if (!found || now < found.notBefore || now >= (found.notAfter ?? Number.POSITIVE_INFINITY)) {
    throw new IssuerError('not_authorized', `this log has not authorized ${kid} as a gateway, or not for now`)
  }
  return found
}

/** What stands behind the general credential; a refused one leaves a trace as every request does. */
async function insideOf({ ok, credential, log, checks }: VerificationReport, request: GeneralizeRequest) {
  if (ok && credential && log) {
    const { digest, subject } = credential
    return { digest: fromHex(digest), subject, origin: log.origin, entry: fromHex(log.entry) }
  }
  const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ id, code }) => `${id} (${code})`)
  const refusal = new IssuerError('internal_refused', `the credential inside: ${failed.join(', ') || 'incomplete'}`)
  const party = await authorizedIssuer(request)
  const { encryptionKey } = party.authorization
  const recipients = [...(request.recipients ?? []), ...(encryptionKey ? [encryptionKey] : [])]
  await logRefusal(request.client, party, { links: [], recipients }, request, refusal)
  throw refusal
}
