/** `verifier appraise`: evidence in, a signed and logged attestation result out. @module */
import { toHex } from '../../../merkle/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { appraiseAndLog, EVIDENCE_FORMATS } from '../../verifier/index.ts'
import { type Command, Exit } from '../command.ts'
import { readPublicKey } from '../key-files.ts'
import { logClient, signer, signerFlags } from '../log-access.ts'

export const verifierAppraise: Command = {
  name: 'verifier appraise',
  summary: 'appraise evidence by the logged policy, and log the result',
  flags: {
    ...signerFlags,
    format: {
      value: 'FORMAT',
      about: `the evidence format: ${EVIDENCE_FORMATS.join(', ')}; cmw for a collection of several`,
      required: true,
    },
    evidence: {
      value: 'F',
      about: 'the evidence; by itself, or in a conceptual message wrapper (CMW)',
      required: true,
    },
    collateral: {
      value: 'F',
      about:
        'certificates, revocation lists, TCB documents, endorsements that evidence is verified with; keys (JWK, JWKS, PEM)',
      repeated: true,
    },
    'workload-key': { value: 'PUB.jwk', about: 'whose key the evidence must be about; where it holds a digest of it' },
    policy: {
      value: 'POLICY_ID',
      about: 'the appraisal policy; may be left out while there is only one of the format',
    },
    nonce: { value: 'TEXT', about: 'the challenge that the evidence must answer, of 8 to 88 bytes' },
    result: { value: 'OUT.ear', about: 'where the attestation result goes; stdout without it' },
    recipient: { value: 'PUB.jwk', about: 'who may open the sealed result', repeated: true },
  },

  async run(args, io) {
    const policyId = args.optional('policy')
    const nonce = args.optional('nonce')
    const workloadKey = args.optional('workload-key')
    const { ear, tier, entry, index } = await appraiseAndLog({
      client: await logClient(args, io),
      key: (await signer(args, io)).key,
      format: args.text('format'),
      evidence: await io.readFile(args.text('evidence')),
      ...(policyId === undefined ? {} : { policyId }),
      ...(nonce === undefined ? {} : { nonce }),
      collateral: await Promise.all(args.all('collateral').map((path) => io.readFile(path))),
      ...(workloadKey === undefined ? {} : { workloadKey: publicJwkOf(await readPublicKey(io, workloadKey)) }),
      recipients: await Promise.all(args.all('recipient').map((path) => readPublicKey(io, path))),
      now: io.now(),
      random: io.random,
    })
    const path = args.optional('result')
    if (path !== undefined) await io.writeFile(path, `${ear}\n`)
    if (args.has('json')) io.out(JSON.stringify({ tier, entry: toHex(entry), index, result: path ?? ear }))
    else io.out(`${tier}: entry ${index} ${toHex(entry)}${path === undefined ? `\n${ear}` : `, ${path}`}`)
    return Exit.ok
  },
}
