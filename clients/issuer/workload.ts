/**
 * What a workload is made of, as far as the issuer knows: a workload-provenance record, new or one that is on the log.
 *
 * @module
 */
import { fromHex, type Hash, sha256, toHex, utf8 } from '../../merkle/index.ts'
import {
  type Author,
  openSections,
  type RecordStatement,
  readSbom,
  type SectionsOf,
  type WorkloadDescription,
} from '../../provenance/index.ts'
import {
  jwkThumbprint,
  kidOf,
  type PrivateJwk,
  type PublicJwk,
  publicJwkOf,
  unwrapKeys,
  wrapRecipientKid,
} from '../../statement/index.ts'
import { type LogClient, RefusedError } from '../log-client/index.ts'
import { IssuerError } from './error.ts'

export interface WorkloadInput {
  readonly client: Pick<LogClient, 'latest' | 'record' | 'registerRecord' | 'wraps'>
  readonly author: Author
  readonly workloadKey: PublicJwk
  /** What the Verifiers measured, lower-case hex; empty without results that say. */
  readonly measurements: readonly string[]
  readonly sbom?: Uint8Array
  /** The entry of an earlier record. */
  readonly workloadProvenance?: Hash
  readonly openWith?: PrivateJwk
  readonly recipients: readonly PublicJwk[]
}

export interface WorkloadProvenance {
  readonly entry: Hash
  /** What it is about, lower-case hex. */
  readonly subject: string
  readonly description?: WorkloadDescription
}

/**
 * Finds the record that was named, or logs a new one.
 *
 * @throws {@link IssuerError} `two_provenances`, `unknown_provenance`, `provenance_sealed`; ProvenanceError `malformed_sbom`
 */
export async function workloadProvenance(input: WorkloadInput): Promise<WorkloadProvenance> {
  const { workloadProvenance: entry } = input
  if (entry && input.sbom)
    throw new IssuerError('two_provenances', 'a record and a bill of materials: name one of them')
  return entry ? findProvenance(entry, input) : logProvenance(input)
}

async function findProvenance(entry: Hash, { client, openWith }: WorkloadInput): Promise<WorkloadProvenance> {
  const found = await findRecord(client, entry)
  const { record } = found
  if (record.type !== 'workload-provenance') {
    throw new IssuerError('unknown_provenance', `${toHex(entry)} is a ${record.type}, not a workload-provenance`)
  }
  const subject = toHex(record.fields.subject)
  if (!record.sealed) return { entry, subject }

  // Without its content we would decide on less than what an auditor sees, and the decision could not be made again.
  const wraps = openWith ? await client.wraps(entry) : []
  const wrap = wraps.find((each) => openWith && wrapRecipientKid(each) === kidOf(publicJwkOf(openWith)))
  if (!openWith || !wrap) throw new IssuerError('provenance_sealed', `${toHex(entry)} is not sealed for a key of ours`)
  const { keys } = await unwrapKeys(wrap, openWith)
  const { workload } = await openSections({ statement: found.statement, record }, keys)
  return { entry, subject, ...(workload ? { description: workload } : {}) }
}

async function findRecord(client: WorkloadInput['client'], entry: Hash): Promise<RecordStatement> {
  try {
    return await client.record(entry)
  } catch (error) {
    if (!(error instanceof RefusedError) || error.status !== 404) throw error
    throw new IssuerError('unknown_provenance', `this log has no entry ${toHex(entry)}`, { cause: error })
  }
}

async function logProvenance(input: WorkloadInput): Promise<WorkloadProvenance> {
  const { client, author, sbom, recipients } = input
  const { digest, kind } = subjectOf(input)
  const subject = toHex(digest)
  const workload: SectionsOf<'workload-provenance'>['workload'] = sbom && {
    sbom: [readSbom(sbom)],
    build: [],
    compliance: [],
  }

  const previous = await client.latest('workload-provenance', author.key.kid, subject)
  // Nothing new to say, and nothing that we said before and cannot read now.
  if (!workload && previous && !previous.record.sealed) return { entry: previous.entry, subject }
  const { entry } = await client.registerRecord(
    {
      type: 'workload-provenance',
      fields: { subject: digest, subjectKind: kind },
      links: previous ? [{ rel: 'previous', entry: previous.entry }] : [],
      ...(workload ? { sections: { workload }, recipients } : {}),
    },
    author,
  )
  return { entry, subject, ...(workload ? { description: workload } : {}) }
}

/** What is measured, so that result and provenance are about one thing; else the best name there is that nobody can guess. */
function subjectOf({ measurements, sbom, workloadKey }: WorkloadInput): { digest: Hash; kind: string } {
  const [measurement] = measurements
  if (measurement !== undefined) return { digest: fromHex(measurement), kind: 'measurement' }
  if (sbom) return { digest: sha256(sbom), kind: 'sbom' }
  return { digest: sha256(utf8(jwkThumbprint(workloadKey))), kind: 'key' }
}
