/** `issuer anchor`: what others pin to believe this issuer: an X.509 anchor and a SPIFFE bundle. @module */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseTrustDomain } from '../../../provenance/index.ts'
import { publicJwkOf } from '../../../statement/index.ts'
import { createAnchor, spiffeBundle } from '../../issuer/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import { readPrivateKey } from '../key-files.ts'

export const issuerAnchor: Command = {
  name: 'issuer anchor',
  summary: 'make the trust anchor and the SPIFFE bundle of an issuer’s trust domain',
  flags: {
    key: { value: 'KEY.jwk', about: 'the issuer’s private key', required: true },
    'trust-domain': { value: 'TD', about: 'the trust domain it issues for', required: true },
    out: {
      value: 'DIR',
      about: 'where anchor.pem and spiffe-bundle.json go; neither may be there yet',
      required: true,
    },
  },

  async run(args, io) {
    const key = await readPrivateKey(io, args.text('key'))
    const trustDomain = parseTrustDomain(args.text('trust-domain'))
    const { der, pem } = await createAnchor({ key, trustDomain, now: io.now(), random: io.random })
    const bundle = spiffeBundle({ anchors: [der], witKeys: [publicJwkOf(key)] })

    const anchorPath = join(args.text('out'), 'anchor.pem')
    const bundlePath = join(args.text('out'), 'spiffe-bundle.json')
    // What others have pinned is not replaced by the way.
    for (const each of [anchorPath, bundlePath]) if (existsSync(each)) throw new UsageError(`${each} is there already`)
    await io.writeFile(anchorPath, pem, { created: true })
    await io.writeFile(bundlePath, `${JSON.stringify(bundle, null, 2)}\n`, { created: true })
    const result = { anchor: anchorPath, spiffeBundle: bundlePath }
    io.out(args.has('json') ? JSON.stringify(result) : `${anchorPath} and ${bundlePath}`)
    return Exit.ok
  },
}
