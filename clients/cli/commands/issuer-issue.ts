/** `issuer issue`: decides by the logged policy, issues, logs why, and writes credential and bundle. @module */
import { fromHex, toHex } from '../../../merkle/index.ts'
import { type PlatformBinding, resultOfFile } from '../../../provenance/index.ts'
import { deliverToDirectory } from '../../delivery/index.ts'
import { type IssueRequest, issue } from '../../issuer/index.ts'
import { anchorFor } from '../anchor-file.ts'
import { type Arguments, type Command, Exit, UsageError } from '../command.ts'
import { readJson, readPrivateKey, readPublicKey, readSignerKey } from '../key-files.ts'
import { logClient, signer, signerFlags } from '../log-access.ts'
import { imageDigest, readWorkloadFiles, workloadFlags } from '../workload-files.ts'

export const issuerIssue: Command = {
  name: 'issuer issue',
  summary: 'issue a credential to an attested workload, and log why',
  flags: {
    ...signerFlags,
    policy: { value: 'POLICY_ID', about: 'the issuance policy to decide by', required: true },
    subject: { value: 'URI', about: 'the workload identifier', required: true },
    'workload-key': { value: 'PUB.jwk', about: 'the workload’s public key', required: true },
    result: {
      value: 'R.ear',
      about: 'an attestation result; several for a composite workload',
      repeated: true,
    },
    unattested: { value: 'CODE', about: 'in the place of --result, where the policy takes that: why there is none' },
    'unattested-detail': { value: 'TEXT', about: 'with --unattested: the same at length, sealed' },
    ...workloadFlags,
    image: {
      value: 'DIGEST',
      about: 'SHA-256 of the image that these files are about, where that is not what is measured',
    },
    'workload-provenance': { value: 'ENTRY', about: 'an earlier workload-provenance record to link instead' },
    kind: { value: 'wit|wic', about: 'a Workload Identity Token or an X.509 certificate', default: 'wit' },
    anchor: {
      value: 'ANCHOR.pem',
      about: 'for wic: the certificate to issue under, and those above it; made beside KEY.jwk when left out',
    },
    lifetime: { value: 'SECONDS', about: 'of the credential; an hour when left out, or what the issuer may at most' },
    verifier: { value: 'URI', about: 'a Verifier of another trust domain whose results are accepted', repeated: true },
    open: { value: 'KEY.jwk', about: 'with --workload-provenance: opens what is sealed in it' },
    recipient: { value: 'PUB.jwk', about: 'who may open the sealed record', repeated: true },
    delivery: {
      value: 'file|env|direct|agent',
      about: 'how the credential will reach the workload from DIR: the record says so',
      default: 'file',
    },
    embed: { about: 'announce it on the log first, and put a reference to that entry into the credential' },
    audience: {
      value: 'TRUST_DOMAIN',
      about: 'whom it is meant for: the policy sees it, the record seals it',
      repeated: true,
    },
    usage: { value: 'inbound|outbound|internal', about: 'of several credentials of one workload, which this is' },
    pop: { value: 'wpt|httpsig|mtls', about: 'how its holder must prove possession of the key: the record demands it' },
    attribute: { value: 'NAME=VALUE', about: 'what an audit may want to know later, sealed', repeated: true },
    attested: {
      value: 'F.json',
      about: 'measuredScope, agent and platformBinding of what is attested, sealed; --delivery agent demands its agent',
    },
    confidential: { about: 'a confidential workload: never without attestation; the record says so' },
    out: { value: 'DIR', about: 'where credential.jwt or credential.pem and bundle.provlog go', required: true },
  },

  async run(args, io) {
    const client = await logClient(args, io)
    const { key } = await signer(args, io)
    const kind = args.choice('kind', ['wit', 'wic'])
    const subject = args.text('subject')
    const anchor = kind === 'wic' ? await anchorFor(args, io, key, subject) : undefined
    const image = args.optional('image')
    const provenance = args.optional('workload-provenance')
    const lifetime = args.count('lifetime')
    const audiences = args.all('audience')
    const attributes = args.all('attribute').map(attributeOf)
    const openPath = args.optional('open')
    const unattested = unattestedOf(args)
    const attestedPath = args.optional('attested')
    const attested = attestedPath === undefined ? undefined : attestedOf(await readJson(io, attestedPath))
    const delivery = args.choice('delivery', ['file', 'env', 'direct', 'agent'])
    if (attested && unattested) throw new UsageError('--attested, and --unattested')
    if (delivery === 'agent' && !attested?.agent) {
      throw new UsageError('--delivery agent goes with --attested, with the measurement of the agent')
    }

    const issued = await issue({
      client,
      key,
      policyId: args.text('policy'),
      subject,
      workloadKey: await readSignerKey(io, args.text('workload-key')),
      results: await Promise.all(args.all('result').map(async (path) => resultOfFile(await io.readFile(path)))),
      ...(unattested && { unattested }),
      ...(attested && { attested }),
      ...(await readWorkloadFiles(args, io)),
      ...(image === undefined ? {} : { image: imageDigest(image) }),
      ...(provenance === undefined ? {} : { workloadProvenance: fromHex(provenance) }),
      kind,
      ...(anchor === undefined ? {} : { anchor: anchor.der, above: anchor.above }),
      ...(lifetime === undefined ? {} : { lifetime }),
      ...(openPath === undefined ? {} : { openWith: await readPrivateKey(io, openPath) }),
      verifiers: args.all('verifier'),
      embed: args.has('embed'),
      confidential: args.has('confidential'),
      ...(audiences.length > 0 && { audiences }),
      ...(attributes.length > 0 && { attributes: Object.fromEntries(attributes) }),
      ...(args.optional('usage') !== undefined && { usage: args.choice('usage', ['inbound', 'outbound', 'internal']) }),
      ...(args.optional('pop') !== undefined && { pop: args.choice('pop', ['wpt', 'httpsig', 'mtls']) }),
      delivery,
      recipients: await Promise.all(args.all('recipient').map((path) => readPublicKey(io, path))),
      now: io.now(),
      random: io.random,
    })

    const { text, bundle: bytes } = issued
    const options = { random: io.random, closed: 'unchangeable' } as const
    const { credential, bundle } = await deliverToDirectory(args.text('out'), { kind, text, bundle: bytes }, options)

    const result = {
      kind,
      digest: toHex(issued.digest),
      entry: toHex(issued.entry),
      index: issued.index,
      credential,
      bundle,
      ...(anchor === undefined ? {} : { anchor: anchor.path }),
    }
    io.out(
      args.has('json')
        ? JSON.stringify(result)
        : `issued ${credential} and ${bundle}: entry ${result.index} ${result.entry}`,
    )
    return Exit.ok
  },
}

/** Why there is no result: one of the two, and never both. */
function unattestedOf(args: Arguments): IssueRequest['unattested'] {
  const [reasonCode, detail] = [args.optional('unattested'), args.optional('unattested-detail')]
  if ((reasonCode === undefined) === (args.all('result').length === 0)) {
    throw new UsageError('--result, or --unattested with the reason why there is none')
  }
  if (reasonCode === undefined && detail !== undefined)
    throw new UsageError('--unattested-detail goes with --unattested')
  return reasonCode === undefined ? undefined : { reasonCode, ...(detail !== undefined && { detail }) }
}

const BINDING = {
  freshness: /^AF_L[012]$/,
  fidelity: /^CF_L[012]$/,
  stickiness: /^CS_L[123]$/,
  tcb: /^TCB_L[1234]$/,
}

/** As in a record, with the measurement in hex. A misspelt member would silently not be said. */
function attestedOf(file: unknown): NonNullable<IssueRequest['attested']> {
  const { measuredScope, agent, platformBinding } = members(file, ['measuredScope', 'agent', 'platformBinding'])
  if (measuredScope !== undefined && (typeof measuredScope !== 'string' || measuredScope === '')) {
    throw new UsageError('--attested: measuredScope is no text')
  }
  const measurement = agent === undefined ? undefined : members(agent, ['measurement'])['measurement']
  if (agent !== undefined && (typeof measurement !== 'string' || !/^[0-9a-f]{64}$/.test(measurement))) {
    throw new UsageError('--attested: agent has no measurement, of 32 bytes in lower-case hex')
  }
  const binding = platformBinding === undefined ? undefined : members(platformBinding, Object.keys(BINDING))
  for (const [name, code] of Object.entries(BINDING)) {
    const said = binding?.[name]
    if (said !== undefined && !(typeof said === 'string' && code.test(said))) {
      throw new UsageError(`--attested: ${name} is no code of platformBinding`)
    }
  }
  return {
    ...(measuredScope !== undefined && { measuredScope }),
    ...(typeof measurement === 'string' && { agent: { measurement: fromHex(measurement) } }),
    ...(binding && { platformBinding: binding as PlatformBinding }),
  }
}

function members(value: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UsageError('--attested: no object')
  const stranger = Object.keys(value).find((name) => !names.includes(name))
  if (stranger !== undefined) throw new UsageError(`--attested: ${JSON.stringify(stranger)} means nothing`)
  return { ...value }
}

function attributeOf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError('--attribute is NAME=VALUE')
  return [text.slice(0, at), text.slice(at + 1)]
}
