/**
 * Credentials issued and logged, beside what their signatures alone would cost.
 *
 * Each credential is a WIT for a workload that was attested, decided on by Cedar, recorded with three sealed sections and a wrap for an
 * auditor, and handed out with a receipt and a bundle that were verified. Five signatures are its own: the credential and the record are
 * made; the record is checked by the log, and credential and record by the issuer as by a relying party. The bound makes and checks just
 * these, on all cores. Those of results and tree heads are not among them: workloads renew on one result, and a batch has one head.
 * Nor is what a wrap costs beside the two signatures that are made: a key agreement for each recipient (RFC 7518 §4.6 wants an ephemeral key
 * for each), some 80 µs.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importSigningKey, importVerificationKey } from '#signature'
import { generateKey } from '../clients/cli/key-files.ts'
import { type IssuerLog, issue, issueWit, issuingLog, publishIssuancePolicy } from '../clients/issuer/index.ts'
import { LogClient, pooledRandom } from '../clients/log-client/index.ts'
import {
  appraiseAndLog,
  formatReferenceValues,
  MEASURED_FILES_FORMAT,
  measureFiles,
  publishPolicy,
  publishReferenceValues,
  signEvidence,
} from '../clients/verifier/index.ts'
import { initLog } from '../log-server/index.ts'
import { toHex, utf8 } from '../merkle/index.ts'
import {
  attestationFacts,
  decideIssuance,
  encodePublicKey,
  loadCedar,
  parseWorkloadIdentifier,
  type Role,
  verifyEar,
  workloadFacts,
} from '../provenance/index.ts'
import { jwkThumbprint, type PrivateJwk, parsePrivateJwk, publicJwkOf } from '../statement/index.ts'
import { type BenchOptions, type BenchResult, median } from './result.ts'
import { ServerProcess } from './server-process.ts'
import { now } from './signed-log.ts'

const ORIGIN = 'bench.example/issue'
const TD = 'bank.example'
/** Renewed in turn: each has its own key and its own attestation result. */
const WORKLOADS = 16
const AT_ONCE = 32
const LIFETIME = 300

export async function benchIssue({ quick }: BenchOptions): Promise<BenchResult[]> {
  const directory = await mkdtemp(join(tmpdir(), 'provlog-bench-'))
  const world = await createWorld(directory)
  try {
    const [rounds, perRound] = quick ? [1, 64] : [5, 1000]
    // Until it is compiled, which takes some thousands: all of it is used for each.
    await world.issueMany(quick ? 32 : 3000, AT_ONCE)
    const pairs: Measured[] = []
    for (let round = 0; round < rounds; round++) {
      const before = await world.processorTime()
      const ours = await rate(perRound, () => world.issueMany(perRound, AT_ONCE))
      const after = await world.processorTime()
      const bound = await signatureRate(perRound)
      const signatures = (await world.processorTime()).issuer - after.issuer
      const [issuer, log] = [after.issuer - before.issuer, after.log - before.log]
      pairs.push({ ours, bound, each: [issuer, log, signatures].map((time) => (1000 * time) / perRound) })
    }
    const [issuer, log, signatures] = [0, 1, 2].map((i) => median(pairs.map(({ each }) => each[i]!)))
    const latencies = quick ? 16 : 200
    const logged = await medianLatency(latencies, () => world.issueMany(1, 1))
    const unlogged = await medianLatency(latencies, () => world.issueUnlogged())
    return [
      {
        name: 'credentials issued and logged / their five signatures',
        ours: median(pairs.map(({ ours }) => ours)),
        bound: median(pairs.map(({ bound }) => bound)),
        unit: '/s',
        ratio: median(pairs.map(({ ours, bound }) => ours / bound)),
        must: 0.5,
      },
      {
        // Says something on a machine that others work on, too.
        name: 'processor time of a credential, of its five signatures / in all',
        ours: signatures!,
        bound: issuer! + log!,
        unit: 'µs',
        ratio: median(pairs.map(({ each: [issuer, log, signatures] }) => signatures! / (issuer! + log!))),
        notes: `the issuer ${Math.round(issuer!)} µs, the log ${Math.round(log!)} µs`,
      },
      {
        name: 'p50 of one credential, without a log / logged, alone on the machine',
        ours: unlogged,
        bound: logged,
        unit: 'ms',
        ratio: unlogged / logged,
      },
    ]
  } finally {
    await world.close()
    await rm(directory, { recursive: true })
  }
}

interface Measured {
  /** Credentials a second. */
  readonly ours: number
  readonly bound: number
  /** Microseconds of processor time for each credential: the issuer, the log, and the signatures alone. */
  readonly each: readonly number[]
}

interface World {
  /** Issues so many credentials, `atOnce` at a time. */
  issueMany(count: number, atOnce: number): Promise<void>
  /** What an issuer does that has no log: judge the result, decide, sign. */
  issueUnlogged(): Promise<void>
  /** Used so far, by all threads of either process: milliseconds. */
  processorTime(): Promise<{ readonly issuer: number; readonly log: number }>
  close(): Promise<void>
}

async function createWorld(directory: string): Promise<World> {
  const random = pooledRandom()
  const dataDir = join(directory, 'log')
  const { vkey, adminKey } = await initLog({ dataDir, origin: ORIGIN, now, random })
  const server = await ServerProcess.start(dataDir)
  const client = new LogClient({ url: server.url, pinned: { origin: ORIGIN, vkey }, clock: now })
  const log: IssuerLog = issuingLog({ client, clock: now })
  const admin = await importSigningKey(parsePrivateJwk(JSON.parse(await readFile(adminKey, 'utf8'))))
  const [issuer, verifier, attester] = [generateKey('ES256'), generateKey('ES256'), generateKey('ES256')]
  const recipients = [publicJwkOf(generateKey('X25519'))]
  const as = (key: PrivateJwk) => ({ client, key, now: now(), random })

  const authorize = (role: Role, name: string, key: PrivateJwk) => {
    const fields = { role, trustDomain: TD, subject: `spiffe://${TD}/${name}`, key: encodePublicKey(publicJwkOf(key)) }
    const record = { type: 'key-authorization' as const, fields: { ...fields, notBefore: now() } }
    return client.registerRecord(record, { key: admin, issuer: ORIGIN, now: now(), random })
  }
  await authorize('issuer', 'issuer', issuer)
  await authorize('verifier', 'verifier', verifier)

  const files = join(directory, 'workload')
  await mkdir(files)
  await writeFile(join(files, 'payments'), 'payments 1.4.2\n')
  const measurements = await measureFiles(files)
  const reference = formatReferenceValues({
    format: MEASURED_FILES_FORMAT,
    attesters: [publicJwkOf(attester)],
    measurements: [{ name: 'payments', version: '1.4.2', ...measurements }],
  })
  const example = async (name: string) => new Uint8Array(await readFile(`docs/examples/${name}`))
  const policy = await example('issuance-policy.cedar')
  await publishReferenceValues({ ...as(verifier), id: 'payments', content: utf8(reference) })
  await publishPolicy({ ...as(verifier), id: 'files', content: await example('appraisal-policy.json') })
  await publishIssuancePolicy({ ...as(issuer), id: 'workloads', content: policy })

  const workloads = await Promise.all(
    Array.from({ length: WORKLOADS }, async (_, i) => {
      const workloadKey = publicJwkOf(generateKey('ES256'))
      const evidence = utf8(await signEvidence({ measurements, workloadKey, now: now() }, attester))
      const { ear } = await appraiseAndLog({ ...as(verifier), format: MEASURED_FILES_FORMAT, evidence, recipients })
      return { subject: `spiffe://${TD}/payments/${i}`, workloadKey, results: [ear] }
    }),
  )
  let next = 0
  const nextWorkload = () => workloads[next++ % WORKLOADS]!
  const sbom = utf8(JSON.stringify(SBOM))
  await loadCedar()

  return {
    async issueMany(count, atOnce) {
      let left = count
      const request = { client: log, policyId: 'workloads', kind: 'wit' as const, lifetime: LIFETIME, sbom, recipients }
      const worker = async () => {
        while (left-- > 0) await issue({ ...as(issuer), ...request, ...nextWorkload() })
      }
      await Promise.all(Array.from({ length: atOnce }, worker))
    },
    async issueUnlogged() {
      const { subject: uri, workloadKey, results } = nextWorkload()
      const subject = parseWorkloadIdentifier(uri)
      const claims = await verifyEar(results[0]!, publicJwkOf(verifier))
      const attestation = attestationFacts([{ claims, verifier: 'v' }], jwkThumbprint(workloadKey), now())
      const credential = { kind: 'wit' as const, lifetimeSeconds: LIFETIME }
      const workload = workloadFacts(undefined, { subject: '', publisher: 'i' }, [])
      decideIssuance(new TextDecoder().decode(policy), { subject, attestation, workload, credential })
      const jti = toHex(random(16))
      await issueWit({ subject: uri, workloadJwk: workloadKey, jti, issuedAt: now(), expiresAt: now() + 300 }, issuer)
    },
    async processorTime() {
      const log = await server.cpuMilliseconds()
      const { user, system } = process.cpuUsage()
      return { issuer: (user + system) / 1000, log }
    },
    async close() {
      client.close()
      await server.close()
    },
  }
}

/** Two signatures made and three checked for each credential, in the thread pool, and always work for it. */
async function signatureRate(count: number): Promise<number> {
  const jwk = generateKey('ES256')
  const [signer, verifier] = [await importSigningKey(jwk), await importVerificationKey(publicJwkOf(jwk))]
  const data = new Uint8Array(randomBytes(1024))
  const signature = await signer.sign(data)
  return rate(count, () =>
    Promise.all(
      Array.from({ length: count }, () => [
        ...[1, 2].map(() => signer.sign(data)),
        ...[1, 2, 3].map(() => verifier.verify(data, signature)),
      ]).flat(),
    ),
  )
}

async function rate(count: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return (count * 1000) / (performance.now() - started)
}

/** Milliseconds. */
async function medianLatency(count: number, work: () => Promise<void>): Promise<number> {
  const latencies: number[] = []
  for (let i = 0; i < count; i++) {
    const started = performance.now()
    await work()
    latencies.push(performance.now() - started)
  }
  return median(latencies)
}

const SBOM = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  components: [{ type: 'library', name: 'fastify', version: '5.12.8', purl: 'pkg:npm/fastify@5.12.8' }],
}
