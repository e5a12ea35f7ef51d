/**
 * Results of NVIDIA's Remote Attestation Service (NRAS): a detached EAT bundle about GPUs or NVSwitches.
 *
 * NRAS compares a device's report with NVIDIA's reference measurements (RIM) and says what came of it in claims of its own, not of AR4SI. They become
 * facts as other evidence gives them: what NRAS found wanting is not passed on as measured, so that it matches nothing. Which drivers and devices are
 * good stands in the reference values.
 *
 * Claims: https://docs.nvidia.com/attestation, "NRAS: Claims Guide", of versions 2 and 3.
 *
 * @module
 */
import { toHex, utf8 } from '../../../../merkle/index.ts'
import { isJsonObject, type Json, type JsonObject } from '../../../../provenance/index.ts'
import { malformedEvidence } from '../../error.ts'
import type { Finding } from '../hardware/chain.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware/hardware-format.ts'
import { verifyDetachedEat } from './detached-eat.ts'
import { bytesOf, isDisabled, text, times } from './token.ts'
import { verifierKeys } from './verifier-keys.ts'

async function readBundle(
  evidence: Uint8Array,
  { collateral, attesters, at }: ReaderContext,
): Promise<ReadonlyMap<string, HardwareFacts>> {
  const keys = verifierKeys(attesters, collateral.documents)
  const { overall, parts, signers } = await verifyDetachedEat(evidence, keys)
  const nonce = text(overall, 'eat_nonce')
  const verdict = overall['x-nvidia-overall-att-result']
  if (typeof verdict !== 'boolean') throw malformedEvidence('no x-nvidia-overall-att-result')
  const whole = {
    issuedAt: times(overall, at).issuedAt,
    root: signers.map(({ thumbprint }) => thumbprint).join(' '),
    ...(signers.every(({ isBelieved }) => isBelieved) ? {} : { unknownVerifier: true as const }),
    chosen: { eat_nonce: bytesOf(nonce) },
  }
  return new Map(
    [...parts].map(([label, claims]) => {
      if (text(claims, 'eat_nonce') !== nonce || claims['iss'] !== overall['iss']) {
        throw malformedEvidence(`${label} is about another request, or by another service`)
      }
      const { facts, findings } = factsOf(claims)
      const denied = verdict ? [] : [wanting('the service does not take the whole for good')]
      const all = [...findings, ...times(overall, at).findings, ...times(claims, at).findings, ...denied]
      const isWanting = all.some((finding) => finding.case === 'mismatch')
      return [label, { ...whole, ...facts, measurements: isWanting ? {} : facts.measurements, findings: all }]
    }),
  )
}

function factsOf(claims: JsonObject): {
  readonly facts: Pick<HardwareFacts, 'measurements' | 'versions' | 'platform' | 'debug'>
  readonly findings: readonly Finding[]
} {
  const versions = [
    ['DRIVER_VERSION', claims['x-nvidia-gpu-driver-version']],
    ['VBIOS_VERSION', claims['x-nvidia-gpu-vbios-version'] ?? claims['x-nvidia-switch-bios-version']],
  ].filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '')
  const failed = Object.entries(claims).filter(([name, value]) => name.startsWith('x-nvidia-') && value === false)
  const warning = claims['x-nvidia-attestation-warning'] ?? null
  const { ueid } = claims
  return {
    facts: {
      measurements: Object.fromEntries(versions.map(([name, value]) => [name, toHex(utf8(value))])),
      versions: {},
      platform: {
        model: text(claims, 'hwmodel'),
        ...(typeof ueid === 'string' ? { id: ueid } : {}),
      },
      // RFC 9711 §4.2.9: all but `enabled` begin so. Secure boot that is off leaves as much open.
      debug: !isDisabled(claims['dbgstat']) || claims['secboot'] !== true,
    },
    findings: [
      ...(claims['measres'] === 'success' ? [] : [wanting(`measres is ${JSON.stringify(claims['measres'] ?? null)}`)]),
      ...failed.map(([name]) => wanting(`${name} is false`)),
      ...(warning === null ? [] : [{ case: 'unhardened' as const, why: JSON.stringify(warning).slice(0, 500) }]),
      ...Object.entries(claims).flatMap(([name, value]) => certificateFindings(name, value)),
    ],
  }
}

/** What the service says of a chain of certificates (version 3): of the device's, and of those that sign reference measurements. */
function certificateFindings(name: string, value: Json): Finding[] {
  if (!name.endsWith('-cert-chain') || !isJsonObject(value)) return []
  const [status, ocsp] = [value['x-nvidia-cert-status'], value['x-nvidia-cert-ocsp-status']]
  const reason = value['x-nvidia-cert-revocation-reason'] ?? null
  const why = `${name}: ${JSON.stringify([status ?? null, ocsp ?? null, reason])}`.slice(0, 500)
  return [
    ...(status === 'valid' ? [] : [{ case: 'expiredCollateral' as const, why }]),
    // On hold is revoked until it is taken back (RFC 5280 §5.3.1).
    ...(ocsp === 'revoked' || reason !== null ? [{ case: 'revoked' as const, why }] : []),
    ...(ocsp === 'good' || ocsp === 'revoked' ? [] : [{ case: 'uncheckedRevocation' as const, why }]),
  ]
}

function wanting(why: string): Finding {
  return { case: 'mismatch', why }
}

const NAMES = ['DRIVER_VERSION', 'VBIOS_VERSION']
const ANY_LENGTH = Array.from({ length: 64 }, (_, i) => i + 1)

export const nvidiaNras = hardwareFormat({
  name: 'nvidia-nras',
  roots: [],
  attesters: true,
  claims: ['instance-identity', 'configuration', 'executables', 'hardware'],
  references: {
    values: new Map(NAMES.map((name) => [name, ANY_LENGTH])),
    identifying: NAMES,
    software: [],
    platform: [],
  },
  keyBindings: ['eat_nonce=sha256(nonce|spki)', 'eat_nonce=sha256(spki)', 'eat_nonce=hex(nonce)', 'eat_nonce=nonce'],
  padded: false,
  cases: ['unknownAttester', 'debug', 'revoked', 'unhardened', 'uncheckedRevocation', 'expiredCollateral'],
  read: readBundle,
})
