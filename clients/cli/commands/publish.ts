/**
 * `verifier publish-policy`, `verifier publish-reference-values` and `issuer publish-policy`: what will be judged by goes on the log first.
 *
 * @module
 */
import { toHex } from '../../../merkle/index.ts'
import { publishIssuancePolicy } from '../../issuer/index.ts'
import { publishPolicy, publishReferenceValues } from '../../verifier/index.ts'
import { type Arguments, type Command, Exit } from '../command.ts'
import type { Io } from '../io.ts'
import { logClient, signer, signerFlags } from '../log-access.ts'

const flags = {
  ...signerFlags,
  id: { value: 'ID', about: 'the name under which later versions follow', required: true },
  'not-before': { value: 'T', about: 'in force from then; default now' },
  'not-after': { value: 'T', about: 'in force until then; default until replaced' },
} as const

/** What the three have in common, read from the command line. */
async function publication(args: Arguments, io: Io) {
  const notBefore = args.time('not-before')
  const notAfter = args.time('not-after')
  return {
    client: await logClient(args, io),
    key: (await signer(args, io)).key,
    id: args.text('id'),
    content: await io.readFile(args.positionals[0] ?? ''),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(notAfter === undefined ? {} : { notAfter }),
    now: io.now(),
    random: io.random,
  }
}

interface Published {
  readonly entry: Uint8Array
  readonly index: number
  readonly version: number
  readonly unchanged: boolean
}

function tell(published: Published, args: Arguments, io: Io): Exit {
  const { index, version, unchanged } = published
  const entry = toHex(published.entry)
  if (args.has('json')) io.out(JSON.stringify({ entry, index, version, unchanged }))
  else io.out(`${args.text('id')} version ${version}: ${unchanged ? 'unchanged, ' : ''}entry ${index} ${entry}`)
  return Exit.ok
}

export const verifierPublishPolicy: Command = {
  name: 'verifier publish-policy',
  summary: 'log an appraisal policy',
  positionals: { FILE: 'the policy, in JSON (docs/examples/appraisal-policy.json)' },
  flags,
  run: async (args, io) => tell(await publishPolicy(await publication(args, io)), args, io),
}

export const verifierPublishReferenceValues: Command = {
  name: 'verifier publish-reference-values',
  summary: 'log the values that evidence is compared with',
  positionals: { FILE: 'the values, in JSON, as attester reference writes them' },
  flags,
  run: async (args, io) => tell(await publishReferenceValues(await publication(args, io)), args, io),
}

export const issuerPublishPolicy: Command = {
  name: 'issuer publish-policy',
  summary: 'log an issuance policy, in Cedar',
  positionals: { 'FILE.cedar': 'the policy (docs/examples/issuance-policy.cedar)' },
  flags: {
    ...flags,
    confidential: { about: 'for confidential workloads: nothing is issued by it without attestation' },
  },
  async run(args, io) {
    const confidential = args.has('confidential')
    return tell(await publishIssuancePolicy({ ...(await publication(args, io)), confidential }), args, io)
  },
}
