/**
 * The anchor that an issuer's certificates chain to, as a file beside its key.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { fromBase64, fromUtf8 } from '../../merkle/index.ts'
import { parseWorkloadIdentifier } from '../../provenance/index.ts'
import type { PrivateJwk } from '../../statement/index.ts'
import { createAnchor } from '../issuer/index.ts'
import { type Arguments, UsageError } from './command.ts'
import type { Io } from './io.ts'

export interface AnchorFile {
  readonly path: string
  readonly der: Uint8Array
}

/** `--anchor`, or `KEY.anchor.pem` beside `--key`, made when it is not there yet. */
export async function anchorFor(args: Arguments, io: Io, key: PrivateJwk, subject: string): Promise<AnchorFile> {
  const given = args.optional('anchor')
  const path = given ?? `${args.text('key').replace(/\.jwk$/, '')}.anchor.pem`
  if (given !== undefined || existsSync(path)) return { path, der: derOfPem(fromUtf8(await io.readFile(path)), path) }

  const { trustDomain } = parseWorkloadIdentifier(subject)
  const { der, pem } = await createAnchor({ key, trustDomain, now: io.now(), random: io.random })
  await io.writeFile(path, pem)
  io.err(`made the anchor ${path} for ${trustDomain}`)
  return { path, der }
}

function derOfPem(pem: string, path: string): Uint8Array {
  const match = /^\s*-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/.exec(pem)
  if (match === null) throw new UsageError(`${path} does not hold exactly one PEM certificate`)
  return fromBase64((match[1] ?? '').replace(/\s/g, ''))
}
