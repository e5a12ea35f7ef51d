/**
 * Delivery by file: one directory for one workload, in which a credential, its bundle and its key change together.
 *
 * ```
 *   DIR/                                 0700
 *     current -> v-6f1d…                 the one thing that is replaced, by rename(2): a reader follows it once
 *     v-6f1d…/  credential.jwt           or credential.pem; every file 0600
 *               bundle.provlog
 *               trust-bundle.json        SPIFFE bundle of the workload's own trust domain, when it was given
 *               key.jwk                  the workload's private key, when it was made here
 *     v-02ac…/                           the version before, for who followed `current` a moment ago
 *     credential.jwt -> current/credential.jwt, …      for programs that want one path and read one file
 * ```
 *
 * Whoever reads two files by the last kind of path may see one of either version: `current` is to be resolved once, as `workload/` does.
 * Kubernetes projects its volumes in the same way (`..data`). One writer at a time; what a killed one left is swept by the next.
 *
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EvidenceError, UnavailableError } from '../../merkle/error.ts'
import { toHex, utf8 } from '../../merkle/index.ts'
import type { PrivateJwk } from '../../statement/index.ts'
import {
  type Closed,
  checkDirectory,
  type DeliveryFiles,
  diskFiles,
  inspect,
  listDirectory,
  readLink,
} from './files.ts'

export const CURRENT = 'current'
export const FILE_NAMES = {
  wit: 'credential.jwt',
  wic: 'credential.pem',
  bundle: 'bundle.provlog',
  trustBundle: 'trust-bundle.json',
  key: 'key.jwk',
} as const
const VERSION = /^v-[0-9a-f]{16}$/
const LINK_BEING_MADE = /^\.link-[0-9a-f]{16}$/

/** What a workload is given. */
export interface Delivery {
  readonly kind: 'wit' | 'wic'
  /** The compact JWS, or PEM. */
  readonly text: string
  /** `.provlog` */
  readonly bundle: Uint8Array
  /** JSON of a SPIFFE bundle. */
  readonly trustBundle?: string
  /** Only where whoever delivers has made it. */
  readonly key?: PrivateJwk
}

export interface DirectoryOptions {
  readonly random: (length: number) => Uint8Array
  /** `private` unless said otherwise: others may then not even list it. A directory that is made is private in any case. */
  readonly closed?: Closed
  readonly files?: DeliveryFiles
}

/** Where files were put: paths that stay the same from one version to the next. */
export interface DeliveredPaths {
  readonly credential: string
  readonly bundle: string
}

/** The name of a version, if `target` is one: a link that leads anywhere else is not followed. */
export function isVersion(target: string): boolean {
  return VERSION.test(target)
}

/**
 * Puts `delivery` into `directory`, whole: whenever this process ends, readers find the version before or this one.
 *
 * @throws DeliveryError `wrong_file_type`, `wrong_owner`, `not_private`; `UnavailableError` when the disk does not take it
 */
export async function deliverToDirectory(
  directory: string,
  delivery: Delivery,
  options: DirectoryOptions,
): Promise<DeliveredPaths> {
  try {
    if (!(await inspect(directory))) {
      await mkdir(dirname(directory), { recursive: true })
      await (options.files ?? diskFiles).makeDirectory(directory)
    }
    await checkDirectory(directory, options.closed ?? 'private')
    await replaceCurrent(directory, delivery, options)
  } catch (cause) {
    if (cause instanceof EvidenceError) throw cause
    throw new UnavailableError(
      `cannot write to ${directory}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    )
  }
  return {
    credential: join(directory, FILE_NAMES[delivery.kind]),
    bundle: join(directory, FILE_NAMES.bundle),
  }
}

async function replaceCurrent(
  directory: string,
  delivery: Delivery,
  { random, files = diskFiles }: DirectoryOptions,
): Promise<void> {
  const before = await readLink(join(directory, CURRENT))
  await sweep(directory, [before], files)

  const contents = contentsOf(delivery)
  const version = `v-${toHex(random(8))}`
  await files.makeDirectory(join(directory, version))
  for (const [name, bytes] of contents) await files.writeNew(join(directory, version, name), bytes)
  await files.syncDirectory(join(directory, version))

  const link = linkMaker(directory, files, random)
  // A version that is not durable must not be what a crash leaves `current` leading to, and so with its own name.
  await files.syncDirectory(directory)
  await link(CURRENT, version)
  await files.syncDirectory(directory)

  await linkNames(directory, contents, link, files)
  await sweep(directory, [before, version], files)
}

function contentsOf({ kind, text, bundle, trustBundle, key }: Delivery): ReadonlyMap<string, Uint8Array> {
  return new Map<string, Uint8Array>([
    [FILE_NAMES[kind], utf8(text)],
    [FILE_NAMES.bundle, bundle],
    ...(trustBundle === undefined ? [] : [[FILE_NAMES.trustBundle, utf8(trustBundle)] as const]),
    ...(key === undefined ? [] : [[FILE_NAMES.key, utf8(JSON.stringify(key))] as const]),
  ])
}

/** Makes links as they have to be made: under a name that nobody looks at, and renamed over the one that was there. */
function linkMaker(directory: string, files: DeliveryFiles, random: DirectoryOptions['random']) {
  return async (name: string, target: string): Promise<void> => {
    const temporary = join(directory, `.link-${toHex(random(8))}`)
    await files.makeLink(target, temporary)
    await files.rename(temporary, join(directory, name))
  }
}

/** The names beside `current`: made once, and taken away when the kind of credential has changed. */
async function linkNames(
  directory: string,
  contents: ReadonlyMap<string, Uint8Array>,
  link: (name: string, target: string) => Promise<void>,
  files: DeliveryFiles,
): Promise<void> {
  for (const name of Object.values(FILE_NAMES)) {
    const [there, wanted] = [await readLink(join(directory, name)), `${CURRENT}/${name}`]
    if (contents.has(name) && there !== wanted) await link(name, wanted)
    if (!contents.has(name) && there === wanted) await files.remove(join(directory, name))
  }
}

/** Removes versions and links that a delivery left, but for those that lead somewhere still. */
async function sweep(directory: string, kept: readonly (string | undefined)[], files: DeliveryFiles): Promise<void> {
  for (const name of await listDirectory(directory)) {
    if (LINK_BEING_MADE.test(name) || (VERSION.test(name) && !kept.includes(name))) {
      await files.remove(join(directory, name))
    }
  }
}
