/** `trust`: writes a TRUST.json out of its parts. @module */
import { fromUtf8 } from '../../../merkle/index.ts'
import { parseTrust } from '../../../provenance/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import { readJson } from '../key-files.ts'

export const trust: Command = {
  name: 'trust',
  summary: 'write a trust file: what a relying party or an auditor pins',
  flags: {
    log: { value: 'URL', about: 'the log', required: true },
    vkey: {
      value: 'VKEY',
      about: 'its verifier key, as `log init` printed it; the old and the new one while it changes',
      required: true,
      repeated: true,
    },
    domain: { value: 'TD=BUNDLE.json', about: 'a trust domain and its SPIFFE bundle', required: true, repeated: true },
    issuer: { value: 'URI', about: 'an accepted credential issuer', required: true, repeated: true },
    verifier: { value: 'URI', about: 'an accepted Verifier', required: true, repeated: true },
    'minimum-tier': { value: 'TIER', about: 'the worst attestation accepted', default: 'affirming' },
    'witness-policy': { value: 'FILE', about: 'the witnesses a checkpoint must carry (C2SP tlog-policy)' },
    'strict-retractions': { about: 'refuse also what rests on something that was withdrawn after the issuance' },
    own: { value: 'TD', about: 'your own trust domain: credentials that are meant for others only are refused' },
    out: { value: 'TRUST.json', about: 'where it goes', required: true },
  },

  async run(args, io) {
    const url = args.text('log')
    const witnessPolicy = args.optional('witness-policy')
    const own = args.optional('own')
    const trustDomains: Record<string, unknown> = {}
    for (const pair of args.all('domain')) {
      const at = pair.indexOf('=')
      if (at < 1) throw new UsageError('--domain is TD=BUNDLE.json')
      trustDomains[pair.slice(0, at)] = await readJson(io, pair.slice(at + 1))
    }
    const text = JSON.stringify(
      {
        logs: args.all('vkey').map((vkey) => ({ origin: vkey.slice(0, vkey.indexOf('+')), vkey, url })),
        ...(witnessPolicy === undefined ? {} : { witnessPolicy: fromUtf8(await io.readFile(witnessPolicy)) }),
        trustDomains,
        issuers: args.all('issuer'),
        verifiers: args.all('verifier'),
        minimumTier: args.text('minimum-tier'),
        ...(args.has('strict-retractions') && { strictRetractions: true }),
        ...(own !== undefined && { ownTrustDomain: own }),
      },
      null,
      2,
    )
    // A file that would be refused later is refused now.
    parseTrust(text)
    await io.writeFile(args.text('out'), `${text}\n`)
    io.out(
      args.has('json')
        ? JSON.stringify({ trust: args.text('out') })
        : `${args.text('out')}: ${args.all('domain').length} trust domain(s)`,
    )
    return Exit.ok
  },
}
