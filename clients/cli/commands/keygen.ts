/** `keygen`: a new private key, and its public half beside it. @module */

import { existsSync } from 'node:fs'
import { kidOf, publicJwkOf } from '../../../statement/index.ts'
import { type Command, Exit, UsageError } from '../command.ts'
import { generateKey, KEY_ALGORITHMS } from '../key-files.ts'

export const keygen: Command = {
  name: 'keygen',
  summary: 'create a signing key (ES256, Ed25519) or a decryption key (X25519)',
  flags: {
    alg: { value: 'ES256|Ed25519|X25519', about: 'what the key is for', required: true },
    out: {
      value: 'KEY.jwk',
      about: 'where the private JWK goes, mode 0600; KEY.pub.jwk beside it; neither may be there yet',
      required: true,
    },
  },

  async run(args, io) {
    const privateJwk = generateKey(args.choice('alg', KEY_ALGORITHMS))
    const publicJwk = publicJwkOf(privateJwk)
    const path = args.text('out')
    const publicPath = `${path.replace(/\.jwk$/, '')}.pub.jwk`

    // Whoever has lost a key to another of its name cannot have it back.
    for (const each of [path, publicPath]) if (existsSync(each)) throw new UsageError(`${each} is there already`)
    await io.writeFile(path, `${JSON.stringify(privateJwk)}\n`, { secret: true, created: true })
    await io.writeFile(publicPath, `${JSON.stringify(publicJwk)}\n`, { created: true })
    const kid = kidOf(publicJwk)
    io.out(
      args.has('json')
        ? JSON.stringify({ key: path, publicKey: publicPath, kid })
        : `${path} and ${publicPath}, kid ${kid}`,
    )
    return Exit.ok
  },
}
