/**
 * A real log on the loopback interface, an issuer, a verifier and an attester that know each other, and a directory that is
 * the workload. The clock is a variable.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type IssueRequest, issue, publishIssuancePolicy } from '../../clients/issuer/index.ts'
import { LogClient } from '../../clients/log-client/index.ts'
import {
  appraiseAndLog,
  formatReferenceValues,
  MEASURED_FILES_FORMAT,
  measureFiles,
  publishPolicy,
  publishReferenceValues,
  signEvidence,
} from '../../clients/verifier/index.ts'
import { initLog, startServer } from '../../log-server/index.ts'
import { utf8 } from '../../merkle/index.ts'
import { type Author, encodePublicKey, type FieldsOf } from '../../provenance/index.ts'
import { importSigningKey, parsePrivateJwk, publicJwkOf } from '../../statement/index.ts'
import { createParty, notRandom } from '../provenance/small-log.ts'
import { ES256_JWK, OTHER_ES256_JWK, X25519_JWK } from '../statement/fixtures.ts'

export const ORIGIN = 'log.example'
export const TD = 'bank.example'
export const ISSUER = `spiffe://${TD}/issuer`
export const VERIFIER = `spiffe://${TD}/verifier`
export const SUBJECT = `spiffe://${TD}/payments`
export const START = 1_760_000_000

export const issuer = ES256_JWK
export const workload = OTHER_ES256_JWK
/** Opens what the issuer and the verifier seal. */
export const auditor = X25519_JWK
export const verifier = (await createParty(21, VERIFIER)).jwk
export const attester = (await createParty(22, 'attester')).jwk
export const stranger = (await createParty(23, `spiffe://${TD}/stranger`)).jwk

export const SBOM = utf8(
  JSON.stringify({
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    components: [{ type: 'library', name: 'fastify', version: '5.0.0', purl: 'pkg:npm/fastify@5.0.0' }],
  }),
)

export interface World {
  readonly client: LogClient
  readonly vkey: string
  /** Moves with the server's. */
  clock: { now: number }
  readonly directory: string
  readonly random: (length: number) => Uint8Array
  /** What every call of a role has in common. */
  as(key: typeof issuer): { client: LogClient; key: typeof issuer; now: number; random: (length: number) => Uint8Array }
  authorize(fields: Partial<FieldsOf<'key-authorization'>> & { key: Uint8Array }): Promise<void>
  evidence(change?: { nonce?: string; workload?: typeof workload }, key?: typeof attester): Promise<Uint8Array>
  /** A logged result about the directory as it is. */
  result(change?: Parameters<World['evidence']>[0]): Promise<string>
  issue(change?: Partial<IssueRequest>): ReturnType<typeof issue>
  /** Stops answering. */
  stop(): Promise<void>
  close(): Promise<void>
}

export const example = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../docs/examples/${name}`, import.meta.url)))

/** A log that has the two authorizations, and with `published` the policies and reference values too. */
export async function createWorld({ published = true } = {}): Promise<World> {
  const root = mkdtempSync(join(tmpdir(), 'provlog-issuer-'))
  const dataDir = join(root, 'log')
  const directory = join(root, 'workload')
  mkdirSync(directory)
  writeFileSync(join(directory, 'payments'), 'payments 1.4.2\n')
  const clock = { now: START }
  const now = () => clock.now
  const random = notRandom(root)
  const { vkey, adminKey } = await initLog({ dataDir, origin: ORIGIN, now, random })
  const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, now })
  const client = new LogClient({ url: server.url, pinned: { origin: ORIGIN, vkey }, clock: now, sleep: async () => {} })
  const admin = await importSigningKey(parsePrivateJwk(JSON.parse(readFileSync(adminKey, 'utf8'))))

  let running = true
  const world: World = {
    client,
    vkey,
    clock,
    directory,
    random,
    as: (key) => ({ client, key, now: clock.now, random }),
    async authorize(fields) {
      const author: Author = { key: admin, issuer: ORIGIN, now: clock.now, random }
      const defaults = { role: 'verifier' as const, trustDomain: TD, subject: VERIFIER, notBefore: START }
      await client.registerRecord({ type: 'key-authorization', fields: { ...defaults, ...fields } }, author)
    },
    async evidence({ nonce, workload: workloadKey = workload } = {}, key = attester) {
      const measurements = await measureFiles(directory)
      const content = { measurements, workloadKey: publicJwkOf(workloadKey), now: clock.now }
      return utf8(await signEvidence({ ...content, ...(nonce === undefined ? {} : { nonce }) }, key))
    },
    async result(change) {
      const evidence = await world.evidence(change)
      return (await appraiseAndLog({ ...world.as(verifier), format: MEASURED_FILES_FORMAT, evidence })).ear
    },
    issue: async (change = {}) =>
      issue({
        ...world.as(issuer),
        policyId: 'workloads',
        subject: SUBJECT,
        workloadKey: publicJwkOf(workload),
        results: change.results ?? [await world.result()],
        ...(change.workloadProvenance ? {} : { sbom: SBOM }),
        kind: 'wit',
        recipients: [publicJwkOf(auditor)],
        ...change,
      }),
    async stop() {
      if (running) await server.close()
      running = false
    },
    async close() {
      await world.stop()
      client.close()
      rmSync(root, { recursive: true })
    },
  }

  await world.authorize({
    role: 'issuer',
    subject: ISSUER,
    key: encodePublicKey(publicJwkOf(issuer)),
    maxCredentialLifetime: 7200,
  })
  await world.authorize({ key: encodePublicKey(publicJwkOf(verifier)) })
  if (!published) return world

  const measurements = await measureFiles(directory)
  const reference = formatReferenceValues({
    format: MEASURED_FILES_FORMAT,
    attesters: [publicJwkOf(attester)],
    measurements: [{ name: 'payments', version: '1.4.2', ...measurements }],
  })
  await publishReferenceValues({ ...world.as(verifier), id: 'payments', content: utf8(reference) })
  await publishPolicy({ ...world.as(verifier), id: 'files', content: example('appraisal-policy.json') })
  await publishIssuancePolicy({ ...world.as(issuer), id: 'workloads', content: example('issuance-policy.cedar') })
  return world
}
