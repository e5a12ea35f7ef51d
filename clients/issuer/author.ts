/**
 * Who this issuer is on the log: the last word of the log's admin on its key.
 *
 * @module
 */
import type { Author, Authorization, Role } from '../../provenance/index.ts'
import { type PrivateJwk, signingKeyOf } from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { IssuerError } from './error.ts'

export interface Party {
  readonly client: Pick<LogClient, 'authorizations'>
  /** The Credential Issuer's key. */
  readonly key: PrivateJwk
  /** POSIX seconds. */
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface AuthorizedParty {
  readonly author: Author
  readonly authorization: Authorization
}

/** @throws {@link IssuerError} `not_authorized` */
export function authorizedIssuer(party: Party): Promise<AuthorizedParty> {
  return authorizedAs(['issuer'], party)
}

/** As one of these roles. @throws {@link IssuerError} `not_authorized` */
export async function authorizedAs(
  roles: readonly Role[],
  { client, key: jwk, now, random }: Party,
): Promise<AuthorizedParty> {
  const key = await signingKeyOf(jwk)
  const authorization = (await client.authorizations(key.kid)).findLast(({ role }) => roles.includes(role))
  if (!authorization) {
    throw new IssuerError('not_authorized', `this log has not authorized ${key.kid} as ${roles.join(' or ')}`)
  }
  const { subject, notBefore, notAfter } = authorization
  if (now < notBefore || (notAfter !== undefined && now >= notAfter)) {
    throw new IssuerError('not_authorized', `the authorization of ${subject} is not valid at ${now}`)
  }
  return { author: { key, issuer: subject, now, random }, authorization }
}
