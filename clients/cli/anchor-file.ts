/**
 * The anchor that an issuer's certificates chain to, as a file beside its key.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { fromUtf8 } from '../../merkle/index.ts'
import { decodePem, parseWorkloadIdentifier } from '../../provenance/index.ts'
import type { PrivateJwk } from '../../statement/index.ts'
import { createAnchor } from '../issuer/index.ts'
import { type Arguments, UsageError } from './command.ts'
import type { Io } from './io.ts'

export interface AnchorFile {
  readonly path: string
  readonly der: Uint8Array
  /** Those above it, in order, when the file has more than one certificate. */
  readonly above: readonly Uint8Array[]
}

/** `--anchor`, or `KEY.anchor.pem` beside `--key`, made when it is not there yet. */
export async function anchorFor(args: Arguments, io: Io, key: PrivateJwk, subject: string): Promise<AnchorFile> {
  const given = args.optional('anchor')
  const path = given ?? `${args.text('key').replace(/\.jwk$/, '')}.anchor.pem`
  if (given !== undefined || existsSync(path)) return { path, ...chainOfPem(fromUtf8(await io.readFile(path)), path) }

  const { trustDomain } = parseWorkloadIdentifier(subject)
  const { der, pem } = await createAnchor({ key, trustDomain, now: io.now(), random: io.random })
  await io.writeFile(path, pem)
  io.err(`made the anchor ${path} for ${trustDomain}`)
  return { path, der, above: [] }
}

/** The issuer's certificate first, and each under the next. */
function chainOfPem(pem: string, path: string): { der: Uint8Array; above: readonly Uint8Array[] } {
  try {
    const [der, ...above] = decodePem(pem)
    return { der: der!, above }
  } catch {
    throw new UsageError(`${path} does not hold PEM certificates and nothing else`)
  }
}
