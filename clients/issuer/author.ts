/**
 * Who this issuer is on the log: the last word of the log's admin on its key.
 *
 * @module
 */
import type { Author, Authorization } from '../../provenance/index.ts'
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
export async function authorizedIssuer({ client, key: jwk, now, random }: Party): Promise<AuthorizedParty> {
  const key = await signingKeyOf(jwk)
  const authorization = (await client.authorizations(key.kid)).findLast(({ role }) => role === 'issuer')
  if (!authorization) throw new IssuerError('not_authorized', `this log has not authorized ${key.kid} as an issuer`)
  const { subject, notBefore, notAfter } = authorization
  if (now < notBefore || (notAfter !== undefined && now >= notAfter)) {
    throw new IssuerError('not_authorized', `the authorization of ${subject} is not valid at ${now}`)
  }
  return { author: { key, issuer: subject, now, random }, authorization }
}
