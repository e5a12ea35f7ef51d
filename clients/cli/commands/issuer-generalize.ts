/** `issuer generalize`: an egress gateway issues a general credential in the place of one inside. @module */
import { toHex } from '../../../merkle/index.ts'
import { resultOfFile } from '../../../provenance/index.ts'
import { deliverToDirectory } from '../../delivery/index.ts'
import { generalize } from '../../issuer/index.ts'
import { anchorFor } from '../anchor-file.ts'
import { type Command, Exit } from '../command.ts'
import { readPrivateKey, readPublicKey, readSignerKey } from '../key-files.ts'
import { logClient, readTrust, signer, signerFlags } from '../log-access.ts'

export const issuerGeneralize: Command = {
  name: 'issuer generalize',
  summary: 'issue a general credential in the place of one inside, and log, sealed, for whom it stands',
  positionals: { CREDENTIAL: 'the credential inside: a token, or a certificate in PEM or DER' },
  flags: {
    ...signerFlags,
    bundle: { value: 'F', about: 'the bundle of the credential inside', required: true },
    trust: { value: 'TRUST.json', about: 'what you trust about credentials inside', required: true },
    policy: { value: 'POLICY_ID', about: 'the issuance policy to decide by', required: true },
    subject: { value: 'URI', about: 'the general workload identifier', required: true },
    'workload-key': { value: 'PUB.jwk', about: 'the public key of the general credential', required: true },
    'gateway-key': { value: 'KEY.jwk', about: 'says what stands for what; --key unless it is another' },
    result: { value: 'R.ear', about: 'an attestation result about the gateway', repeated: true },
    unattested: { value: 'CODE', about: 'without --result, where the policy takes that: why there is none' },
    rule: { value: 'TEXT', about: 'by which of your rules: sealed' },
    kind: { value: 'wit|wic', about: 'a Workload Identity Token or an X.509 certificate', default: 'wit' },
    anchor: {
      value: 'ANCHOR.pem',
      about: 'for wic: the certificate to issue under, and those above it; made beside KEY.jwk when left out',
    },
    lifetime: { value: 'SECONDS', about: 'of the credential; an hour when left out, or what the issuer may at most' },
    recipient: { value: 'PUB.jwk', about: 'who may cross: learn for whom it stands', repeated: true },
    out: { value: 'DIR', about: 'where credential.jwt or credential.pem and bundle.provlog go', required: true },
  },

  async run(args, io) {
    const client = await logClient(args, io)
    const { key } = await signer(args, io)
    const kind = args.choice('kind', ['wit', 'wic'])
    const subject = args.text('subject')
    const anchor = kind === 'wic' ? await anchorFor(args, io, key, subject) : undefined
    const [lifetime, rule, gatewayKey] = [args.count('lifetime'), args.optional('rule'), args.optional('gateway-key')]
    const unattested = args.optional('unattested')
    const issued = await generalize({
      client,
      key,
      ...(gatewayKey !== undefined && { gatewayKey: await readPrivateKey(io, gatewayKey) }),
      internal: {
        credential: await io.readFile(args.positionals[0] ?? ''),
        bundle: await io.readFile(args.text('bundle')),
      },
      trust: await readTrust(io, args.text('trust')),
      policyId: args.text('policy'),
      subject,
      workloadKey: await readSignerKey(io, args.text('workload-key')),
      results: await Promise.all(args.all('result').map(async (path) => resultOfFile(await io.readFile(path)))),
      kind,
      ...(unattested !== undefined && { unattested: { reasonCode: unattested } }),
      usage: 'outbound',
      ...(rule !== undefined && { rule }),
      ...(anchor && { anchor: anchor.der, above: anchor.above }),
      ...(lifetime !== undefined && { lifetime }),
      recipients: await Promise.all(args.all('recipient').map((path) => readPublicKey(io, path))),
      now: io.now(),
      random: io.random,
    })
    const { text, bundle: bytes } = issued
    const options = { random: io.random, closed: 'unchangeable' } as const
    const { credential, bundle } = await deliverToDirectory(args.text('out'), { kind, text, bundle: bytes }, options)
    const { entry, index } = issued.generalization
    const result = {
      kind,
      digest: toHex(issued.digest),
      entry: toHex(issued.entry),
      index: issued.index,
      generalization: { entry: toHex(entry), index },
      credential,
      bundle,
    }
    io.out(
      args.has('json')
        ? JSON.stringify(result)
        : `issued ${credential} and ${bundle}: entries ${issued.index}, ${index}`,
    )
    return Exit.ok
  },
}
