/**
 * A vendor, or an issuer ahead of time, says what a workload is made of: a workload-provenance record, sealed for whoever issues by it.
 *
 * @module
 */
import type { Hash } from '../../merkle/index.ts'
import { kidOf, type PrivateJwk, type PublicJwk } from '../../statement/index.ts'
import type { LogClient } from '../log-client/index.ts'
import { authorizedAs } from './author.ts'
import type { WorkloadFiles } from './describe-workload.ts'
import { logProvenance } from './workload.ts'

export interface PublishWorkloadInput extends WorkloadFiles {
  readonly client: Pick<LogClient, 'authorizations' | 'latest' | 'record' | 'registerRecord' | 'wraps'>
  /** Of a vendor or an issuer. */
  readonly key: PrivateJwk
  /** SHA-256 of the image, or the measurement of it: what the record is about. */
  readonly image: Hash
  readonly recipients: readonly PublicJwk[]
  /** POSIX seconds. */
  readonly now: number
  readonly random: (length: number) => Uint8Array
}

export interface PublishedWorkload {
  readonly entry: Hash
  readonly index: number
  /** Lower-case hex. */
  readonly subject: string
  /** Package URLs, of all bills of materials. */
  readonly components: number
  readonly builds: number
  readonly compliance: number
}

/** @throws IssuerError `not_authorized`, and as `describeWorkload`; RefusedError when the log turns the record down */
export async function publishWorkload(input: PublishWorkloadInput): Promise<PublishedWorkload> {
  const { author, authorization } = await authorizedAs(['vendor', 'issuer'], input)
  const own = authorization.encryptionKey
  const recipients = new Map([...(own ? [own] : []), ...input.recipients].map((key) => [kidOf(key), key]))
  const logged = await logProvenance({ ...input, author, measurements: [], recipients: [...recipients.values()] })
  const { sbom = [], build = [], compliance = [] } = logged.description ?? {}
  return {
    entry: logged.entry,
    index: logged.index,
    subject: logged.record.subject,
    components: sbom.reduce((sum, { components }) => sum + components.length, 0),
    builds: build.length,
    compliance: compliance.length,
  }
}
