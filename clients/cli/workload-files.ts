/**
 * How commands are told what a workload is made of: one set of flags for whoever issues and for whoever publishes.
 *
 * @module
 */
import { fromHex } from '../../merkle/index.ts'
import type { WorkloadFiles } from '../issuer/index.ts'
import { type Arguments, type Flag, UsageError } from './command.ts'
import type { Io } from './io.ts'
import { readSignerKey } from './key-files.ts'

export const workloadFlags: Readonly<Record<string, Flag>> = {
  sbom: { value: 'BOM', about: 'the workload’s bill of materials: CycloneDX or SPDX, alone or in an attestation' },
  build: { value: 'FILE', about: 'build attestations (in-toto, SLSA, VSA; DSSE, Sigstore bundle)', repeated: true },
  compliance: { value: 'FILE', about: 'results of compliance tests (in-toto, or a plain list)', repeated: true },
  'attestation-key': {
    value: 'PUB',
    about: 'a key (JWK or PEM) whose signature attestations must have; without any they are recorded as unverified',
    repeated: true,
  },
  'attestation-roots': {
    value: 'FILE',
    about: 'Sigstore’s trusted_root.json, by which attestations with certificates must verify',
  },
  'attestation-identity': {
    value: 'NAME',
    about: 'with it: whom each certificate must name, a URI or an e-mail address',
  },
  'attestation-issuer': { value: 'URL', about: 'and on the word of which OpenID provider' },
  vendor: { value: 'NAME', about: 'who supplies the workload' },
  'vendor-id': { value: 'ID', about: 'the vendor’s identifier' },
  saas: { value: 'NAME', about: 'the service as which the vendor offers it' },
}

/** @throws {@link UsageError} */
export async function readWorkloadFiles(args: Arguments, io: Io): Promise<WorkloadFiles> {
  const [sbom, name, id, saas] = ['sbom', 'vendor', 'vendor-id', 'saas'].map((flag) => args.optional(flag))
  if (name === undefined && (id !== undefined || saas !== undefined)) {
    throw new UsageError('--vendor-id and --saas are of a --vendor')
  }
  const read = (flag: string) => Promise.all(args.all(flag).map((path) => io.readFile(path)))
  const roots = await readRoots(args, io)
  return {
    ...(roots ? { attestationRoots: roots } : {}),
    ...(sbom === undefined ? {} : { sbom: await io.readFile(sbom) }),
    builds: await read('build'),
    compliance: await read('compliance'),
    attestationKeys: await Promise.all(args.all('attestation-key').map((path) => readSignerKey(io, path))),
    ...(name === undefined
      ? {}
      : { vendor: { name, ...(id === undefined ? {} : { id }), ...(saas === undefined ? {} : { saas }) } }),
  }
}

/** A certificate of anybody is worth nothing, and a name that no roots stand for neither. @throws {@link UsageError} */
async function readRoots(args: Arguments, io: Io): Promise<WorkloadFiles['attestationRoots']> {
  const [path, subject, issuer] = ['roots', 'identity', 'issuer'].map((name) => args.optional(`attestation-${name}`))
  if (path === undefined && subject === undefined && issuer === undefined) return undefined
  if (path === undefined || !subject || !issuer) {
    throw new UsageError('--attestation-roots, --attestation-identity and --attestation-issuer are given together')
  }
  return { roots: await io.readFile(path), identity: { subject, issuer } }
}

/** A SHA-256 value as registries and tools print it, with `sha256:` or without. @throws {@link UsageError} */
export function imageDigest(text: string): Uint8Array {
  const hex = /^(?:sha256:)?([0-9a-f]{64})$/.exec(text)?.[1]
  if (hex === undefined) throw new UsageError('--image is a SHA-256 value: 64 hex digits, with or without "sha256:"')
  return fromHex(hex)
}
