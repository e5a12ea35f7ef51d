/**
 * Two trust domains that write to one served log, a Verifier that both believe, and an auditor. The clock is a variable.
 *
 *     bank.example      issuer, egress gateway      attest.example     Verifier
 *     partner.example   issuer, relying parties     audit.example      auditor, for whom everything is sealed
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publishIssuancePolicy, spiffeBundle } from '../../clients/issuer/index.ts'
import { LogClient } from '../../clients/log-client/index.ts'
import { appraiseAndLog, publishPolicy, publishReferenceValues } from '../../clients/verifier/index.ts'
import { initLog, startServer } from '../../log-server/index.ts'
import { type Hash, utf8 } from '../../merkle/index.ts'
import {
  encodePublicKey,
  openSections,
  parseTrust,
  type RecordType,
  type Role,
  type SectionsOf,
  type Trust,
  type TrustDocument,
} from '../../provenance/index.ts'
import {
  importSigningKey,
  kidOf,
  type PrivateJwk,
  parsePrivateJwk,
  publicJwkOf,
  unwrapKeys,
  wrapRecipientKid,
} from '../../statement/index.ts'
import { newKeyPair } from '../key-pairs.ts'
import { notRandom } from '../provenance/small-log.ts'
import { X25519_JWK } from '../statement/fixtures.ts'
import { type Asked, createGpu, createProcessor } from './forged-devices.ts'

export const ORIGIN = 'log.bank.example/2026'
export const START = 1_760_000_000
export const BANK_ISSUER = 'spiffe://bank.example/issuer'
export const GATEWAY = 'spiffe://bank.example/egress'
export const PARTNER_ISSUER = 'spiffe://partner.example/issuer'
export const VERIFIER = 'spiffe://attest.example/verifier'

/** ES256: what tokens of SPIFFE trust domains may be signed with. */
export function newKey(): PrivateJwk {
  return parsePrivateJwk(newKeyPair('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))
}

export const keys = {
  bank: newKey(),
  gateway: newKey(),
  partner: newKey(),
  verifier: newKey(),
  auditor: newKey(),
}
/** Opens what is sealed. */
export const auditorKey = X25519_JWK

const random = notRandom('two domains')

/** What was measured of guests: the version of the reference values asks for firmware that is at least `snp`. */
export const guestReferences = (snp: number) => ({
  format: 'sev-snp',
  measurements: [{ name: 'payments', version: '2.0', values: { MEASUREMENT: 'aa'.repeat(48) } }],
  platforms: [{ model: 'Milan', minimum: { bootloader: 3, tee: 0, snp, microcode: 115 } }],
})
const gpuReferences = {
  format: 'nvidia-gpu',
  measurements: [
    {
      name: 'GH100',
      version: '550.90.07',
      values: { 'measurement:1': '01'.repeat(48), DRIVER_VERSION: Buffer.from('550.90.07').toString('hex') },
    },
  ],
  platforms: [{ model: 'GH100 A01 GSP BROM' }],
}
const quote = new URL('../fixtures/tpm/quote-ecc.json', import.meta.url)
const tpm = JSON.parse(readFileSync(quote, 'utf8')) as { ak: string; pcrs: { sha256: Record<string, string> } }
const hostReferences = {
  format: 'tpm2',
  measurements: [{ name: 'egress host', values: { 'sha256:0': tpm.pcrs.sha256['0'] } }],
  platforms: [{ ids: [createHash('sha256').update(Buffer.from(tpm.ak, 'base64')).digest('hex')] }],
}
const appraisalPolicy = (format: string, change: object = {}) => ({
  ...{ format, maxEvidenceAgeSeconds: 300, resultLifetimeSeconds: 3600 },
  claims: { match: { 'instance-identity': 2, executables: 3, hardware: 2 }, mismatch: { executables: 33 } },
  ...change,
})

export type World = Awaited<ReturnType<typeof createTwoDomains>>

/** Everybody is authorized, and what will be judged by is published. */
export async function createTwoDomains(policies: { readonly bank: string; readonly egress: string }) {
  const root = mkdtempSync(join(tmpdir(), 'provlog-story-'))
  const dataDir = join(root, 'log')
  const clock = { now: START }
  const now = () => clock.now
  const { vkey, adminKey } = await initLog({ dataDir, origin: ORIGIN, now, random })
  const server = await startServer({ dataDir, listen: { host: '127.0.0.1', port: 0 }, now })
  const newClient = () =>
    new LogClient({ url: server.url, pinned: { origin: ORIGIN, vkey }, clock: now, sleep: async () => {} })
  const client = newClient()
  const admin = await importSigningKey(parsePrivateJwk(JSON.parse(readFileSync(adminKey, 'utf8'))))
  const recipients = [publicJwkOf(auditorKey)]
  const as = (key: PrivateJwk) => ({ client, key, now: clock.now, random, recipients })
  const json = (value: unknown) => utf8(JSON.stringify(value))

  const parties: [role: Role, subject: string, key: PrivateJwk][] = [
    ['issuer', BANK_ISSUER, keys.bank],
    ['issuer', GATEWAY, keys.gateway],
    ['gateway', GATEWAY, keys.gateway],
    ['issuer', PARTNER_ISSUER, keys.partner],
    ['verifier', VERIFIER, keys.verifier],
    ['auditor', 'spiffe://audit.example/auditor', keys.auditor],
  ]
  for (const [role, subject, key] of parties) {
    const trustDomain = subject.split('/')[2]!
    const fields = { role, trustDomain, subject, key: encodePublicKey(publicJwkOf(key)), notBefore: START }
    const author = { key: admin, issuer: ORIGIN, now: clock.now, random }
    await client.registerRecord({ type: 'key-authorization', fields }, author)
  }

  const devices = { processor: createProcessor(START), gpu: createGpu(START) }
  const publishGuests = (snp: number) =>
    publishReferenceValues({ ...as(keys.verifier), id: 'guests', content: json(guestReferences(snp)) })
  await publishGuests(8)
  await publishReferenceValues({ ...as(keys.verifier), id: 'gpus', content: json(gpuReferences) })
  await publishReferenceValues({ ...as(keys.verifier), id: 'hosts', content: json(hostReferences) })
  const criteria = {
    guests: appraisalPolicy('sev-snp', { roots: [devices.processor.root] }),
    gpus: appraisalPolicy('nvidia-gpu', { roots: [devices.gpu.root] }),
    hosts: appraisalPolicy('tpm2', {
      claims: { match: { 'instance-identity': 2, executables: 3 }, mismatch: { executables: 33 } },
    }),
  }
  for (const [id, policy] of Object.entries(criteria)) {
    await publishPolicy({ ...as(keys.verifier), id, content: json(policy) })
  }
  await publishIssuancePolicy({ ...as(keys.bank), id: 'payments', content: utf8(policies.bank) })
  await publishIssuancePolicy({ ...as(keys.gateway), id: 'egress', content: utf8(policies.egress) })
  const ofPartner = policies.bank.replaceAll('bank.example', 'partner.example')
  await publishIssuancePolicy({ ...as(keys.partner), id: 'ledgers', content: utf8(ofPartner) })

  const appraise = (format: string, asked: Asked, evidence: Uint8Array, collateral: readonly Uint8Array[] = []) =>
    appraiseAndLog({ ...as(keys.verifier), ...asked, format, evidence, collateral })
  let challenges = 0

  return {
    client,
    clock,
    as,
    publishGuests,
    /** A look at the log by somebody who has seen nothing of it before. */
    newClient,
    /** Results about a workload on the machine: of its processor, and of its GPU. */
    async attest(workloadKey: PrivateJwk, { snp = 8, driver = '550.90.07', launch = 0xaa } = {}) {
      const asked = { workloadKey: publicJwkOf(workloadKey), nonce: `challenge ${++challenges}` }
      const cpu = devices.processor.report(asked, { snp, launch })
      const gpu = devices.gpu.report(asked, { driver })
      return Promise.all([
        appraise('sev-snp', asked, cpu.evidence, cpu.collateral),
        appraise('nvidia-gpu', asked, gpu.evidence, gpu.collateral),
      ])
    },
    /** A result about the gateway's host: the quote of a TPM, about the key that its fixture names. */
    attestHost: (workloadKey: PrivateJwk) =>
      appraise(
        'tpm2',
        { workloadKey: publicJwkOf(workloadKey), nonce: 'challenge' },
        utf8(readFileSync(quote, 'utf8').trim()),
      ),
    /** What a relying party pins: both domains, and the one Verifier. */
    trust(change: Partial<TrustDocument> = {}): Trust {
      const ofTokens = (...signers: readonly PrivateJwk[]) => spiffeBundle({ witKeys: signers.map(publicJwkOf) })
      return parseTrust(
        JSON.stringify({
          logs: [{ origin: ORIGIN, vkey }],
          trustDomains: {
            'bank.example': ofTokens(keys.bank, keys.gateway),
            'partner.example': ofTokens(keys.partner),
          },
          issuers: [BANK_ISSUER, GATEWAY, PARTNER_ISSUER],
          verifiers: [VERIFIER],
          minimumTier: 'affirming',
          maximumCheckpointAge: 3600,
          ...change,
        }),
      )
    },
    /** What an auditor can read of a record. */
    async open<T extends RecordType>(entry: Hash): Promise<Partial<SectionsOf<T>>> {
      const { record, statement } = await client.record(entry)
      const wraps = await client.wraps(entry)
      const wrap = wraps.find((each) => wrapRecipientKid(each) === kidOf(publicJwkOf(auditorKey)))
      const { keys: opening } = await unwrapKeys(wrap!, auditorKey)
      return (await openSections({ statement, record }, opening)) as Partial<SectionsOf<T>>
    },
    stateDir: join(root, 'audit'),
    async close() {
      client.close()
      await server.close()
      rmSync(root, { recursive: true })
    },
  }
}
