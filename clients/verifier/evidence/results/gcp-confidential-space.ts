/**
 * Attestation tokens of Google Cloud's Confidential Space: a JWT about a container in a confidential virtual machine.
 *
 * Google's Verifier looked at the machine (vTPM, SEV or TDX) and says which container runs there. Its keys are published as a JWK Set; claims:
 * https://cloud.google.com/confidential-computing/confidential-space/docs/reference/token-claims.
 *
 * @module
 */
import { fromUtf8, sha256, toHex, utf8 } from '../../../../merkle/index.ts'
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../../../provenance/index.ts'
import { malformedEvidence, readingEvidence } from '../../error.ts'
import type { Finding } from '../hardware/chain.ts'
import { type HardwareFacts, hardwareFormat, type ReaderContext } from '../hardware/hardware-format.ts'
import { bytesOf, isDisabled, text, times, verifyToken } from './token.ts'
import { verifierKeys } from './verifier-keys.ts'

const ISSUER = 'https://confidentialcomputing.googleapis.com'
const SOFTWARE = 'CONFIDENTIAL_SPACE'

async function readToken(
  evidence: Uint8Array,
  { collateral, attesters, at }: ReaderContext,
): Promise<ReadonlyMap<string, HardwareFacts>> {
  const token = readingEvidence(() => fromUtf8(evidence))
  const { claims, key } = await verifyToken(token, verifierKeys(attesters, collateral.documents))
  if (claims['iss'] !== ISSUER) throw malformedEvidence(`iss is not ${ISSUER}`)
  if (claims['swname'] !== SOFTWARE)
    throw malformedEvidence(`swname is not ${SOFTWARE}: the machine runs something else`)
  const submods = object(claims, 'submods')
  const container = object(submods, 'container')
  const debug = !isDisabled(claims['dbgstat']) || claims['secboot'] !== true
  const { issuedAt, findings } = times(claims, at)
  const nonce = nonceOf(claims['eat_nonce'])
  const instance = isJsonObject(submods['gce']) ? submods['gce']['instance_id'] : undefined
  const facts: HardwareFacts = {
    measurements: {
      ...digestOf('IMAGE_DIGEST', container['image_digest']),
      ...digestOf('IMAGE_ID', container['image_id']),
      // What an operator may have changed of the image: by one digest each.
      ARGS: jsonDigest(container['args']),
      ENV: jsonDigest(container['env']),
    },
    versions: versionsOf(claims['swversion']),
    platform: { model: text(claims, 'hwmodel'), ...(typeof instance === 'string' ? { id: instance } : {}) },
    debug,
    issuedAt,
    chosen: { eat_nonce: nonce },
    root: key.thumbprint,
    ...(key.isBelieved ? {} : { unknownVerifier: true as const }),
    findings: [...findings, ...supportOf(submods['confidential_space'], debug)],
  }
  return new Map([['confidential_space', facts]])
}

/** The first, where there are several: what is to name a workload's key has to come first. */
function nonceOf(value: Json | undefined): Uint8Array | undefined {
  const first = Array.isArray(value) ? (value as readonly Json[])[0] : value
  if (first === undefined) return undefined
  if (typeof first !== 'string') throw malformedEvidence('eat_nonce is not text')
  return bytesOf(first)
}

function digestOf(name: string, value: Json | undefined): Record<string, string> {
  if (value === undefined) return {}
  const [, hex] = typeof value === 'string' ? (/^sha256:([0-9a-f]{64})$/.exec(value) ?? []) : []
  if (hex === undefined) throw malformedEvidence(`${name} is no SHA-256`)
  return { [name]: hex }
}

function jsonDigest(value: Json | undefined): string {
  return toHex(sha256(utf8(readingEvidence(() => canonicalJson(value ?? null)))))
}

/** `["250301"]`: the date of the image of Confidential Space. */
function versionsOf(value: Json | undefined): Record<string, number> {
  const [first] = Array.isArray(value) ? (value as readonly Json[]) : []
  return typeof first === 'string' && /^[0-9]{1,9}$/.test(first) ? { swversion: Number(first) } : {}
}

/** What Google still keeps up to date. Images for debugging are never supported, and are told by that. */
function supportOf(space: Json | undefined, debug: boolean): Finding[] {
  if (debug) return []
  const said = isJsonObject(space) ? space['support_attributes'] : undefined
  if (!Array.isArray(said)) return [{ case: 'unknownTcb', why: 'no support_attributes' }]
  return said.includes('STABLE')
    ? []
    : [{ case: 'outdatedTcb', why: `support_attributes: ${said.join(' ').slice(0, 100)}` }]
}

function object(claims: JsonObject, name: string): JsonObject {
  const value = claims[name]
  if (!isJsonObject(value)) throw malformedEvidence(`${name} is no object`)
  return value
}

export const gcpConfidentialSpace = hardwareFormat({
  name: 'gcp-confidential-space',
  roots: [],
  attesters: true,
  references: {
    values: new Map(['IMAGE_DIGEST', 'IMAGE_ID', 'ARGS', 'ENV'].map((name) => [name, 32])),
    identifying: ['IMAGE_DIGEST', 'IMAGE_ID'],
    software: ['swversion'],
    platform: [],
  },
  keyBindings: ['eat_nonce=sha256(nonce|spki)', 'eat_nonce=sha256(spki)', 'eat_nonce=nonce', 'eat_nonce=hex(nonce)'],
  padded: false,
  cases: ['unknownAttester', 'debug', 'outdatedTcb', 'unknownTcb'],
  ofFile: (file) => utf8(readingEvidence(() => fromUtf8(file)).trim()),
  read: readToken,
})
