/**
 * The story that the demo tells: how a credential comes to be, and how everybody can know why.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { Questions, replay } from '../../clients/auditor/index.ts'
import { createAnchor, type Issued, issue, publishIssuancePolicy, spiffeBundle } from '../../clients/issuer/index.ts'
import { verifyOffline } from '../../clients/relying-party/index.ts'
import {
  appraiseAndLog,
  formatReferenceValues,
  MEASURED_FILES_FORMAT,
  measureFiles,
  publishPolicy,
  publishReferenceValues,
  signEvidence,
} from '../../clients/verifier/index.ts'
import { toHex, utf8 } from '../../merkle/index.ts'
import { encodePublicKey, parseTrust, type Trust } from '../../provenance/index.ts'
import { importSigningKey, parsePrivateJwk } from '../../statement/index.ts'
import type { Teller } from './teller.ts'
import { AUDITOR, ISSUER, TRUST_DOMAIN, VERIFIER, WORKLOAD, type World } from './world.ts'

/** What the attacks need of the story. */
export interface Told {
  readonly issued: Issued
  readonly certificate: Issued
  readonly trust: Trust
}

// Below the repository's root, where the script that starts this one stands. Of one folder: a list of all that is built is longer than a statement may be.
const BUILT = 'dist/log-server'
const EXAMPLES = 'docs/examples'
const LIFETIME = 3600

export async function story(world: World, tell: Teller): Promise<Told> {
  const { client, issuer, verifier, attester, workload, auditorEncryption, random } = world

  tell.step('log', 'A log starts; its policy is its first entry', {
    origin: world.server.origin,
    url: world.server.url,
    vkey: world.server.vkey,
  })

  await authorizeWriters(world)
  tell.step('authorize', 'The log admin authorises an issuer, a Verifier and an auditor, on the log', {
    issuer: ISSUER,
    verifier: VERIFIER,
    auditor: `${AUDITOR} (may open sealed sections)`,
  })

  const measurements = await measureFiles(BUILT)
  const common = { client, now: world.now(), random }
  const referenceValues = utf8(
    formatReferenceValues({
      format: MEASURED_FILES_FORMAT,
      attesters: [attester.public],
      measurements: [{ name: 'provlog-log-server', ...measurements }],
    }),
  )
  const cedar = new Uint8Array(await readFile(`${EXAMPLES}/issuance-policy.cedar`))
  const appraisalPolicy = new Uint8Array(await readFile(`${EXAMPLES}/appraisal-policy.json`))
  const byVerifier = { ...common, key: verifier.private }
  const reference = await publishReferenceValues({ ...byVerifier, id: 'provlog-server', content: referenceValues })
  const appraisal = await publishPolicy({ ...byVerifier, id: 'measured-files', content: appraisalPolicy })
  const issuance = await publishIssuancePolicy({ ...common, key: issuer.private, id: 'workloads', content: cedar })
  tell.step('policies', 'Verifier and issuer publish what they will judge by', {
    'reference values': `entry ${reference.index}: ${measurements.files.length} files, root ${measurements.root.slice(0, 16)}…`,
    'appraisal policy': `entry ${appraisal.index}`,
    'issuance policy': `entry ${issuance.index}: Cedar, ${cedar.length} bytes`,
  })

  const evidence = await signEvidence(
    { measurements: await measureFiles(BUILT), workloadKey: workload.public, now: world.now() },
    attester.private,
  )
  const result = await appraiseAndLog({
    client,
    key: verifier.private,
    format: 'measured-files',
    evidence: utf8(evidence),
    policyId: 'measured-files',
    recipients: [auditorEncryption.public],
    now: world.now(),
    random,
  })
  tell.step('attest', 'The workload is measured, and the Verifier appraises the evidence', {
    evidence: `signed measurements of ${measurements.files.length} built files (software-rooted)`,
    result: `${result.tier}, entry ${result.index}`,
  })

  const sbom = npmSbom()
  const anchor = await createAnchor({ key: issuer.private, trustDomain: TRUST_DOMAIN, now: world.now(), random })
  const request = {
    client,
    key: issuer.private,
    policyId: 'workloads',
    subject: WORKLOAD,
    workloadKey: workload.public,
    results: [result.ear],
    sbom,
    lifetime: LIFETIME,
    delivery: 'file',
    recipients: [auditorEncryption.public],
    now: world.now(),
    random,
  } as const
  const issued = await issue({ ...request, kind: 'wit' })
  const certificate = await issue({ ...request, kind: 'wic', anchor: anchor.der })
  await writeFile(world.files.credential, issued.text, { mode: 0o600 })
  await writeFile(world.files.bundle, issued.bundle)
  tell.step('issue', 'The issuer decides by the Cedar policy and issues a token and a certificate', {
    subject: WORKLOAD,
    'bill of materials': `CycloneDX by npm sbom, ${sbom.length} bytes`,
    token: `${issued.text.length} characters, SHA-256 ${toHex(issued.digest).slice(0, 16)}…`,
    certificate: `serial ${certificate.identifier}`,
  })
  tell.step(
    'log-why',
    'Why is sealed into one record each, and is in the log before the credential leaves the issuer',
    {
      'record of token': `entry ${issued.index}, ${toHex(issued.entry).slice(0, 16)}…`,
      'record of cert': `entry ${certificate.index}, ${toHex(certificate.entry).slice(0, 16)}…`,
      bundle: `${issued.bundle.length} bytes: everything the record links to, with receipts`,
    },
  )

  const trust = trustText(world, anchor.der)
  await writeFile(world.files.trust, trust)
  const told: Told = { issued, certificate, trust: parseTrust(trust) }
  const report = await verifyOffline({
    credential: utf8(issued.text),
    bundle: issued.bundle,
    trust: told.trust,
    at: world.now(),
  })
  if (!report.ok) throw new Error(`the relying party refused: ${JSON.stringify(report.checks)}`)
  const count = (outcome: string) => report.checks.filter((check) => check.outcome === outcome).length
  tell.step('verify', 'A relying party verifies the credential offline, with only its trust file', {
    passed: count('passed'),
    'not checked': `${count('not-checked')} (${report.checks
      .filter(({ outcome }) => outcome === 'not-checked')
      .map(({ id }) => id)
      .join(', ')})`,
  })

  const audit = await replay({
    client,
    trust: told.trust,
    stateDir: world.files.state,
    key: auditorEncryption.private,
    now: world.now(),
  })
  if (audit.findings.length > 0) throw new Error(`the audit found: ${JSON.stringify(audit.findings)}`)
  tell.step('audit', 'The auditor replays the whole log and opens what is sealed', {
    entries: audit.size,
    'records opened': audit.opened,
    findings: audit.findings.length,
  })

  const questions = await Questions.open(world.files.state)
  const asked = new Map([
    ['package', 'pkg:npm/fastify'],
    ['versions', '<6'],
  ])
  let affected = 0
  for await (const _ of (await questions.ask('by-component', asked, world.now())).rows) affected++
  const { size } = questions.completeness
  questions.close()
  if (affected === 0) throw new Error('the auditor does not find the credential of a workload that has fastify in it')
  tell.step('ask', 'The auditor asks which live credentials are of workloads with fastify below 6 in them', {
    affected,
    'complete up to': `${size} entries`,
  })
  return told
}

async function authorizeWriters(world: World): Promise<void> {
  const admin = parsePrivateJwk(JSON.parse(await readFile(world.adminKey, 'utf8')))
  const author = {
    key: await importSigningKey(admin),
    issuer: world.server.origin,
    now: world.now(),
    random: world.random,
  }
  const grants = [
    { role: 'issuer', subject: ISSUER, key: world.issuer.public },
    { role: 'verifier', subject: VERIFIER, key: world.verifier.public },
    { role: 'auditor', subject: AUDITOR, key: world.auditor.public, encryptionKey: world.auditorEncryption.public },
  ] as const
  for (const { role, subject, key, ...rest } of grants) {
    await world.client.registerRecord(
      {
        type: 'key-authorization',
        fields: {
          role,
          trustDomain: TRUST_DOMAIN,
          subject,
          key: encodePublicKey(key),
          notBefore: world.now(),
          ...('encryptionKey' in rest ? { encryptionKey: encodePublicKey(rest.encryptionKey) } : {}),
        },
      },
      author,
    )
  }
}

/** What npm says this repository is made of. */
function npmSbom(): Uint8Array {
  const { stdout, status, stderr } = spawnSync('npm', ['sbom', '--sbom-format=cyclonedx', '--omit=dev'])
  if (status !== 0) throw new Error(`npm sbom failed: ${stderr.toString()}`)
  return new Uint8Array(stdout)
}

function trustText(world: World, anchor: Uint8Array): string {
  return `${JSON.stringify(
    {
      logs: [{ origin: world.server.origin, vkey: world.server.vkey, url: world.server.url }],
      trustDomains: { [TRUST_DOMAIN]: spiffeBundle({ anchors: [anchor], witKeys: [world.issuer.public] }) },
      issuers: [ISSUER],
      verifiers: [VERIFIER],
      minimumTier: 'affirming',
    },
    null,
    2,
  )}\n`
}
