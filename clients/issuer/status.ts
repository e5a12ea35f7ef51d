/**
 * What becomes of a credential after it was issued: suspended, revoked, reinstated, superseded, migrated.
 *
 * @module
 */
import { equalBytes, type Hash, toHex } from '../../merkle/index.ts'
import { decodeBundle, type FieldsOf, type ProvenanceRecord, recordOfStatement } from '../../provenance/index.ts'
import { type PublicJwk, parseTransparentStatement } from '../../statement/index.ts'
import { type LogClient, RefusedError } from '../log-client/index.ts'
import { authorizedIssuer, type Party } from './author.ts'
import { IssuerError } from './error.ts'

export type CredentialStatus = FieldsOf<'credential-status'>['status']

export interface SetCredentialStatusInput extends Party {
  readonly client: Pick<LogClient, 'authorizations' | 'bundle' | 'registerRecord'>
  /** SHA-256 of the credential. */
  readonly credentialDigest: Hash
  readonly status: CredentialStatus
  /** POSIX seconds; may be in the past. `now` unless said otherwise. */
  readonly effectiveAt?: number
  /** As RFC 5280 §5.3.1 names them: `keyCompromise`, … */
  readonly reasonCode?: string
  /** Digest of the credential that takes its place. */
  readonly successor?: Hash
  /** Of attestation results about the workload where it is now: when it is `migrated`, and `migrate.ts` says when it may be. */
  readonly results?: readonly Hash[]
  /** For whoever may open it. */
  readonly detail?: string
  readonly recipients?: readonly PublicJwk[]
}

/**
 * Logs a change of status.
 *
 * @throws {@link IssuerError} `unknown_credential`, `illegal_status`, `not_authorized`
 */
export async function setCredentialStatus(input: SetCredentialStatusInput): Promise<{ entry: Hash; index: number }> {
  const {
    client,
    credentialDigest,
    status,
    now,
    effectiveAt = now,
    reasonCode,
    successor,
    detail,
    results = [],
  } = input
  const { author, authorization } = await authorizedIssuer(input)
  const { provenance, records } = await findCredential(client, credentialDigest)
  const statuses = records.filter((each) => each.type === 'credential-status')
  if (status !== 'revoked' && statuses.some((each) => each.fields.status === 'revoked')) {
    throw new IssuerError('illegal_status', 'a revoked credential stays revoked')
  }
  // Superseding or migrating a suspended credential does not end the suspension, so what counts is the last of these two.
  const held = statuses
    .map(({ fields }) => fields.status)
    .findLast((each) => each === 'suspended' || each === 'reinstated')
  if (status === 'reinstated' && held !== 'suspended') {
    throw new IssuerError('illegal_status', 'only a suspended credential can be reinstated')
  }

  const { encryptionKey } = authorization
  const { entry, index } = await client.registerRecord(
    {
      type: 'credential-status',
      fields: {
        credentialDigest,
        status,
        effectiveAt,
        ...(reasonCode === undefined ? {} : { reasonCode }),
        ...(successor === undefined ? {} : { successor }),
      },
      links: [
        { rel: 'credential-provenance', entry: provenance },
        { rel: 'key-authorization', entry: authorization.entry },
        ...results.map((entry) => ({ rel: 'attestation-result' as const, entry })),
      ],
      ...(detail === undefined ? {} : { sections: { detail: { text: detail } } }),
      recipients: [...(encryptionKey ? [encryptionKey] : []), ...(input.recipients ?? [])],
    },
    author,
  )
  return { entry, index }
}

/**
 * The record of a credential and all that its bundle has beside it; statuses in the order of the log; and the results that it was issued on. As the log says: it checks both links itself
 * when the new record arrives, so a wrong answer here can only make it refuse.
 */
export async function findCredential(
  client: Pick<LogClient, 'bundle'>,
  digest: Hash,
): Promise<{
  provenance: Hash
  records: readonly ProvenanceRecord[]
  results: readonly FieldsOf<'attestation-result'>[]
}> {
  let encoded: Uint8Array
  try {
    encoded = await client.bundle(digest)
  } catch (error) {
    if (!(error instanceof RefusedError) || error.status !== 404) throw error
    throw new IssuerError('unknown_credential', `this log has no credential ${toHex(digest)}`, { cause: error })
  }
  const statements = decodeBundle(encoded).statements.map(
    (bytes) => parseTransparentStatement(bytes, { maxBytes: bytes.length }).statement,
  )
  const records = statements.map(recordOfStatement)
  const [record] = records
  if (record?.type !== 'credential-provenance' || !equalBytes(record.fields.credentialDigest, digest)) {
    throw new IssuerError('unknown_credential', `the log answers about another credential than ${toHex(digest)}`)
  }
  // Others came later, by a migration, or are about the issuer.
  const about = new Set(record.links.flatMap(({ rel, entry }) => (rel === 'attestation-result' ? [toHex(entry)] : [])))
  const results = records.flatMap((each, i) =>
    each.type === 'attestation-result' && about.has(toHex(statements[i]!.entry)) ? [each.fields] : [],
  )
  return { provenance: statements[0]!.entry, records, results }
}
