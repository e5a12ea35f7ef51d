/**
 * What a workload is made of, as far as the issuer knows: a workload-provenance record, new or one that is on the log.
 *
 * @module
 */
import { type Hash, toHex } from '../../merkle/index.ts'
import {
  type Author,
  openSections,
  type ProvenanceRecordFacts,
  type RecordStatement,
  type WorkloadDescription,
} from '../../provenance/index.ts'
import {
  kidOf,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  unwrapKeys,
  wrapRecipientKid,
} from '../../statement/index.ts'
import { type LogClient, RefusedError } from '../log-client/index.ts'
import { describeWorkload, type KnownBy, type WorkloadFiles } from './describe-workload.ts'
import { IssuerError } from './error.ts'

export interface WorkloadInput extends WorkloadFiles, KnownBy {
  readonly client: Pick<LogClient, 'latest' | 'record' | 'registerRecord' | 'wraps'>
  readonly author: Author
  /** The entry of an earlier record. */
  readonly workloadProvenance?: Hash
  readonly openWith?: PrivateJwk
  readonly recipients: readonly PublicJwk[]
}

export interface WorkloadProvenance {
  readonly entry: Hash
  /** What everybody sees of the record. */
  readonly record: ProvenanceRecordFacts
  readonly description?: WorkloadDescription
}

/**
 * Finds the record that was named, or logs a new one.
 *
 * @throws {@link IssuerError} `two_provenances`, `unknown_provenance`, `provenance_sealed`, and as {@link describeWorkload}
 */
export async function workloadProvenance(input: WorkloadInput): Promise<WorkloadProvenance> {
  const { workloadProvenance: entry } = input
  if (!entry) return logProvenance(input)
  const { sbom, builds = [], compliance = [], vendor, image } = input
  if (sbom || vendor || image || builds.length > 0 || compliance.length > 0) {
    throw new IssuerError('two_provenances', 'a record, and files for another one: name one of them')
  }
  return findProvenance(entry, input)
}

async function findProvenance(entry: Hash, { client, openWith }: WorkloadInput): Promise<WorkloadProvenance> {
  const found = await findRecord(client, entry)
  const { record } = found
  if (record.type !== 'workload-provenance') {
    throw new IssuerError('unknown_provenance', `${toHex(entry)} is a ${record.type}, not a workload-provenance`)
  }
  const { subject, subjectKind } = record.fields
  const facts = {
    subject: toHex(subject),
    ...(subjectKind === undefined ? {} : { subjectKind }),
    publisher: found.statement.header.issuer,
  }
  if (!record.sealed) return { entry, record: facts }

  // Without its content we would decide on less than what an auditor sees, and the decision could not be made again.
  const wraps = openWith ? await client.wraps(entry) : []
  const wrap = wraps.find((each) => openWith && wrapRecipientKid(each) === kidOf(publicJwkOf(openWith)))
  if (!openWith || !wrap) throw new IssuerError('provenance_sealed', `${toHex(entry)} is not sealed for a key of ours`)
  const { keys } = await unwrapKeys(wrap, openWith)
  const { workload } = await openSections({ statement: found.statement, record }, keys)
  return { entry, record: facts, ...(workload ? { description: workload } : {}) }
}

async function findRecord(client: WorkloadInput['client'], entry: Hash): Promise<RecordStatement> {
  try {
    return await client.record(entry)
  } catch (error) {
    if (!(error instanceof RefusedError) || error.status !== 404) throw error
    throw new IssuerError('unknown_provenance', `this log has no entry ${toHex(entry)}`, { cause: error })
  }
}

/** Logs what the files say; or finds that the last record of this subject said as much, when there is nothing to say. */
export async function logProvenance(
  input: Omit<WorkloadInput, 'openWith' | 'workloadProvenance'>,
): Promise<WorkloadProvenance & { readonly index: number }> {
  const { client, author, recipients } = input
  const { subject, subjectKind, description } = await describeWorkload(input, input)
  const record = { subject: toHex(subject), subjectKind, publisher: author.issuer }

  const previous = await client.latest('workload-provenance', author.key.kid, record.subject)
  // Nothing new to say, and nothing that we said before and cannot read now.
  if (!description && previous && !previous.record.sealed && previous.record.fields.subjectKind === subjectKind) {
    return { entry: previous.entry, index: previous.index, record }
  }
  const { entry, index } = await client.registerRecord(
    {
      type: 'workload-provenance',
      fields: { subject, subjectKind },
      links: previous ? [{ rel: 'previous', entry: previous.entry }] : [],
      ...(description ? { sections: { workload: description }, recipients } : {}),
    },
    author,
  )
  return { entry, index, record, ...(description ? { description } : {}) }
}
