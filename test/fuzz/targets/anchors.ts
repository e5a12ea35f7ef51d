/**
 * What a server reads of a trust domain from files that others write and replace: its bundle, and its revocation lists.
 *
 * @module
 */
// Before the library: it resolves its parts through reflection.
import 'reflect-metadata'
import { X509Crl } from '@peculiar/x509'
import { fromUtf8, utf8 } from '../../../merkle/index.ts'
import { parseRevocationLists, type RevocationList, readTrustBundle } from '../../../provenance/index.ts'
import { authority, certify, extension, pem, pemBlock, revocationList } from '../../certificates/authority.ts'
import { demand, type Target } from '../engine.ts'
import { bytesMutator, jsonMutator, type Mutator, textMutator } from '../mutate.ts'
import { derMutator, pemMutator } from '../mutate-der.ts'
import { example } from './statement.ts'

const root = await certify('root', { extensions: authority() })
const lists = [
  await revocationList(root),
  await revocationList(root, { entries: ['01', '7f', '00ff'].map((serial) => ({ serial })) }),
  await revocationList(root, { extensions: [extension('2.5.29.28', '3000')] }),
]

export function anchorTargets(): readonly Target[] {
  return [revocationListTarget, trustBundle].map((target) => target as Target)
}

const revocationListTarget: Target<RevocationList[]> = {
  name: 'revocation-list',
  seeds: [...lists, utf8(lists.map((list) => pemBlock('X509 CRL', list)).join(''))],
  mutators: [
    (input, random, others) => (input[0] === 0x30 ? derMutator : textMutator(['-----']))(input, random, others),
    bytesMutator,
  ],
  maxBytes: 64 * 1024,
  codes: ['malformed_crl'],
  read: parseRevocationLists,
  check(value, input) {
    if (input[0] === 0x30) checkList(value[0]!, input)
    return `${value.length} ${value[0]?.scheme?.kind} ${(value[0]?.revoked.size ?? 0) > 0} ${value[0]?.unprocessed.length}`
  },
}

/** A certificate that is revoked to another reader is revoked to us, and the list ends no later. */
function checkList({ revoked, thisUpdate, nextUpdate }: RevocationList, der: Uint8Array): void {
  const theirs = new X509Crl(der as Uint8Array<ArrayBuffer>)
  demand(theirs.thisUpdate.getTime() === thisUpdate * 1000, `begins ${theirs.thisUpdate.toISOString()} to another`)
  demand(theirs.nextUpdate?.getTime() === nextUpdate * 1000, `ends ${theirs.nextUpdate?.toISOString()} to another`)
  const ours = new Set([...revoked].map((serial) => BigInt(`0x${serial}`)))
  for (const { serialNumber } of theirs.entries) {
    demand(ours.has(BigInt(`0x${serialNumber}`)), `${serialNumber} is revoked to another`)
  }
  demand(theirs.entries.length >= ours.size, 'revokes more than another reads')
}

type Anchors = Awaited<ReturnType<typeof readTrustBundle>>

/** The bundle of the example, and PEM. */
const bundles = Object.values(
  (JSON.parse(fromUtf8(example('TRUST.json'))) as { trustDomains: Record<string, unknown> }).trustDomains,
).map((bundle) => utf8(JSON.stringify(bundle)))

const byForm: Mutator = (input, random, others) => (input[0] === 0x2d ? pemMutator : jsonMutator)(input, random, others)

const trustBundle: Target<Anchors> = {
  name: 'trust-bundle',
  seeds: [...bundles, utf8('{"spiffe_sequence":7,"spiffe_refresh_hint":60,"keys":[]}'), utf8(pem(root))],
  mutators: [byForm, byForm, textMutator(['-----BEGIN CERTIFICATE-----', '-----END'])],
  maxBytes: 64 * 1024,
  // Each anchor's own signature is checked, and 64 KiB may hold a hundred. Read at the start and when the file was replaced.
  timeLimit: 50,
  codes: ['malformed_trust'],
  read: (input) => readTrustBundle(input, 'bank.example'),
  check({ trustDomain, certificates, tokenKeys, sequence }) {
    demand(trustDomain === 'bank.example', 'a bundle names its own trust domain')
    demand(
      certificates.every(({ publicJwk }) => publicJwk),
      'an anchor without a key',
    )
    return `${Math.min(2, certificates.length)} ${Math.min(2, tokenKeys.size)} ${sequence !== undefined}`
  },
}
