/**
 * TRUST.json: what a relying party or an auditor decided to believe, before any evidence arrived.
 *
 *   {
 *     "logs": [{ "origin": "log.example/prov", "vkey": "log.example/prov+33d7b496+AeHTu4Q3…", "url": "https://log.example" }],
 *     "witnessPolicy": "witness w1 w1.example+…\nquorum w1\n",
 *     "trustDomains": { "bank.example": { "keys": [ …the domain's SPIFFE bundle… ] } },
 *     "credentials": { "bank.example": { "tokenProfile": "wit-svid", "maximumLifetime": 86400 } },
 *     "issuers": ["spiffe://bank.example/issuer"],
 *     "verifiers": ["spiffe://bank.example/verifier"],
 *     "minimumTier": "affirming",
 *     "maximumCheckpointAge": 86400,
 *     "ownTrustDomain": "shop.example"
 *   }
 *
 * Nothing in a credential or a bundle names its own trust: every question of "who says so" ends in this file. It is read
 * strictly, because a misspelt member that is skipped is a restriction that silently is not there.
 *
 * @module
 */
import { fromBase64, fromUtf8 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { type NoteVerifier, parseVkey } from '../../merkle/note.ts'
import { parseWitnessPolicy, type WitnessPolicy } from '../../merkle/witness-policy.ts'
import { jwkThumbprint, type VerificationJwk } from '../../statement/cose-key.ts'
import { parseVerificationJwk } from '../../statement/verification-jwk.ts'
import { TIERS, type Tier } from '../attestation/tier.ts'
import { type Certificate, parseCertificate } from '../certificates/certificate.ts'
import type { TrustDomainAnchors } from '../credential.ts'
import { type CredentialRules, TOKEN_PROFILES } from '../credential-rules.ts'
import { ProvenanceError } from '../error.ts'
import { parseTrustDomain, parseWorkloadIdentifier } from '../identifier.ts'
import { isJsonObject, type Json, JsonNumber, type JsonObject, parseJson } from '../json.ts'

export interface TrustedLog {
  readonly origin: string
  readonly vkey: string
  readonly verifier: NoteVerifier
  readonly url?: string
  /** A checkpoint of fewer leaves is a rollback, whoever signed it. */
  readonly minimumSize?: number
}

/** The trust of one party. Lists may be empty, and then nothing of that kind is trusted. */
export interface Trust {
  readonly logs: readonly TrustedLog[]
  readonly witnessPolicy?: WitnessPolicy
  readonly trustDomains: ReadonlyMap<string, TrustDomainAnchors>
  /** Workload identifiers of Credential Issuers and of Verifiers (RATS), compared whole. */
  readonly issuers: ReadonlySet<string>
  readonly verifiers: ReadonlySet<string>
  /** The worst attestation result that is still good enough. */
  readonly minimumTier: Tier
  /** Seconds between the log's signature on its tree and the moment asked about. */
  readonly maximumCheckpointAge?: number
  /** Refuses a credential also for what was withdrawn only after it was issued. */
  readonly strictRetractions?: boolean
  /** The trust domain of whoever verifies: a credential that says for which domains it is meant must name it. */
  readonly ownTrustDomain?: string
}

/** The shape of the file, for those who write one. */
export interface TrustDocument {
  readonly logs: readonly { origin: string; vkey: string; url?: string; minimumSize?: number }[]
  readonly witnessPolicy?: string
  readonly trustDomains: Readonly<Record<string, SpiffeBundle>>
  readonly credentials?: Readonly<Record<string, CredentialRules>>
  readonly issuers: readonly string[]
  readonly verifiers: readonly string[]
  readonly minimumTier: Tier
  readonly maximumCheckpointAge?: number
  readonly strictRetractions?: boolean
  readonly ownTrustDomain?: string
}

/** A SPIFFE bundle document: a JWK Set with two more members. Bundles do not name their trust domain; the configuration does. */
export interface SpiffeBundle {
  readonly keys: readonly object[]
  readonly spiffe_sequence?: number
  readonly spiffe_refresh_hint?: number
}

/**
 * Reads TRUST.json.
 *
 * @throws {@link ProvenanceError} `malformed_trust`; the message begins with the path of the member at fault
 */
export function parseTrust(jsonText: string): Trust {
  const document = at('$', () => parseJson(jsonText))
  const members = readMembers(document, '$', {
    required: ['logs', 'trustDomains', 'issuers', 'verifiers', 'minimumTier'],
    optional: ['witnessPolicy', 'maximumCheckpointAge', 'credentials', 'strictRetractions', 'ownTrustDomain'],
  })
  const { witnessPolicy, maximumCheckpointAge, strictRetractions, ownTrustDomain } = members
  if (strictRetractions !== undefined && typeof strictRetractions !== 'boolean') {
    throw refuse('$.strictRetractions', 'is neither true nor false')
  }
  const logs = list(members['logs'], '$.logs').map((log, i) => parseLog(log, `$.logs[${i}]`))
  if (new Set(logs.map(({ vkey }) => vkey)).size !== logs.length) throw refuse('$.logs', 'one key is listed twice')

  const rules = parseRules(members['credentials'], object(members['trustDomains'], '$.trustDomains'))
  const trustDomains = new Map<string, TrustDomainAnchors>()
  for (const [name, bundle] of Object.entries(object(members['trustDomains'], '$.trustDomains'))) {
    const path = `$.trustDomains[${JSON.stringify(name)}]`
    at(path, () => parseTrustDomain(name))
    const own = rules.get(name)
    trustDomains.set(name, { ...parseBundle(bundle, name, path), ...(own && { rules: own }) })
  }
  const minimumTier = TIERS.find((tier) => tier === members['minimumTier'])
  if (!minimumTier) throw refuse('$.minimumTier', `not one of ${TIERS.join(', ')}`)
  return {
    logs,
    trustDomains,
    issuers: identifiers(members['issuers'], '$.issuers'),
    verifiers: identifiers(members['verifiers'], '$.verifiers'),
    minimumTier,
    ...(witnessPolicy === undefined
      ? {}
      : { witnessPolicy: at('$.witnessPolicy', () => parseWitnessPolicy(text(witnessPolicy, '$.witnessPolicy'))) }),
    ...(maximumCheckpointAge === undefined
      ? {}
      : { maximumCheckpointAge: count(maximumCheckpointAge, '$.maximumCheckpointAge') }),
    ...(strictRetractions !== undefined && { strictRetractions }),
    ...(ownTrustDomain === undefined
      ? {}
      : { ownTrustDomain: at('$.ownTrustDomain', () => parseTrustDomain(text(ownTrustDomain, '$.ownTrustDomain'))) }),
  }
}

/** Reads the bytes of TRUST.json. @throws as {@link parseTrust} */
export function decodeTrust(bytes: Uint8Array): Trust {
  return parseTrust(at('$', () => fromUtf8(bytes)))
}

/**
 * Reads the bundle of one trust domain (SPIFFE Trust Domain and Bundle §4). A key for a `use` that we do not know, or of a
 * kind that we cannot verify with, is left out as the standard has it, and so is a member that we do not know: the document is
 * not ours, and that trusts less, never more. An empty list of keys trusts nobody, which is how a trust domain revokes all of them (§4.1.3).
 */
export function parseBundle(bundle: Json | undefined, trustDomain: string, path = '$'): TrustDomainAnchors {
  const { keys, spiffe_sequence, spiffe_refresh_hint } = object(bundle, path)
  // 64 bits or more (§4.1.1). Who may replace a bundle by which is for whoever fetches them.
  const sequence = spiffe_sequence === undefined ? undefined : wholeNumber(spiffe_sequence, `${path}.spiffe_sequence`)
  if (spiffe_refresh_hint !== undefined) count(spiffe_refresh_hint, `${path}.spiffe_refresh_hint`)
  const tokenKeys = new Map<string, VerificationJwk>()
  const certificates: Certificate[] = []
  list(keys, `${path}.keys`).forEach((value, i) => {
    const here = `${path}.keys[${i}]`
    const entry = object(value, here)
    if (entry['use'] === 'wit-svid') {
      const kid = text(entry['kid'], `${here}.kid`)
      if (tokenKeys.has(kid)) throw refuse(`${here}.kid`, 'is the kid of another key too')
      const jwk = supportedKey(entry, here)
      if (jwk) tokenKeys.set(kid, jwk)
    } else if (entry['use'] === 'x509-svid') {
      const certificate = parseAnchor(entry, here)
      if (certificate.publicJwk) certificates.push(certificate)
    } else if (entry['use'] === 'jwt-svid') {
      // Not used here, and not a bundle without it (JWT-SVID §6.1).
      text(entry['kid'], `${here}.kid`)
    }
  })
  return { trustDomain, tokenKeys, certificates, ...(sequence !== undefined && { sequence }) }
}

function parseAnchor(entry: JsonObject, path: string): Certificate {
  const [der, ...more] = list(entry['x5c'], `${path}.x5c`)
  if (der === undefined || more.length > 0) throw refuse(`${path}.x5c`, 'must have exactly one certificate')
  const certificate = at(`${path}.x5c[0]`, () => parseCertificate(fromBase64(text(der, `${path}.x5c[0]`))))
  // Two keys in one entry: whoever reads the other one trusts somebody else.
  const jwk = supportedKey(entry, path)
  const [named, certified] = [jwk, certificate.publicJwk].map((key) => key && jwkThumbprint(key))
  if (named !== certified) throw refuse(path, 'the certificate is for another key')
  return certificate
}

/** By trust domain. Rules for one that is not there are a misspelt name, and the domain meant would go without. */
function parseRules(value: Json | undefined, trustDomains: JsonObject): ReadonlyMap<string, CredentialRules> {
  const rules = new Map<string, CredentialRules>()
  for (const [name, given] of Object.entries(object(value ?? {}, '$.credentials'))) {
    const path = `$.credentials[${JSON.stringify(name)}]`
    if (trustDomains[name] === undefined) throw refuse(path, 'is no trust domain of this file')
    const { tokenProfile, maximumLifetime } = readMembers(given, path, {
      required: [],
      optional: ['tokenProfile', 'maximumLifetime'],
    })
    const profile = TOKEN_PROFILES.find((known) => known === tokenProfile)
    if (tokenProfile !== undefined && !profile) {
      throw refuse(`${path}.tokenProfile`, `is not one of ${TOKEN_PROFILES.join(', ')}`)
    }
    rules.set(name, {
      ...(profile && { tokenProfile: profile }),
      ...(maximumLifetime === undefined ? {} : { maximumLifetime: count(maximumLifetime, `${path}.maximumLifetime`) }),
    })
  }
  return rules
}

/** The JWK of an entry, or undefined when it is of a kind that we do not use; unsound keys are refused. */
function supportedKey(entry: JsonObject, path: string): VerificationJwk | undefined {
  return at(path, () => {
    try {
      return parseVerificationJwk(entry)
    } catch (error) {
      if (error instanceof EvidenceError && error.code === 'unsupported_key') return undefined
      throw error
    }
  })
}

function parseLog(value: Json, path: string): TrustedLog {
  const { origin, vkey, url, minimumSize } = readMembers(value, path, {
    required: ['origin', 'vkey'],
    optional: ['url', 'minimumSize'],
  })
  const verifier = at(`${path}.vkey`, () => parseVkey(text(vkey, `${path}.vkey`)))
  if (verifier.name !== origin) throw refuse(`${path}.vkey`, `is of ${verifier.name}, not of the origin`)
  return {
    origin: verifier.name,
    vkey: text(vkey, path),
    verifier,
    ...(url === undefined ? {} : { url: text(url, `${path}.url`) }),
    ...(minimumSize === undefined ? {} : { minimumSize: count(minimumSize, `${path}.minimumSize`) }),
  }
}

function identifiers(value: Json | undefined, path: string): ReadonlySet<string> {
  const uris = list(value, path).map(
    (item, i) => at(`${path}[${i}]`, () => parseWorkloadIdentifier(text(item, `${path}[${i}]`))).uri,
  )
  return new Set(uris)
}

interface Members {
  readonly required: readonly string[]
  readonly optional: readonly string[]
}

function readMembers(
  value: Json | undefined,
  path: string,
  { required, optional }: Members,
): Record<string, Json | undefined> {
  const members = object(value, path)
  for (const name of Object.keys(members)) {
    if (!required.includes(name) && !optional.includes(name)) throw refuse(`${path}.${name}`, 'is not known')
  }
  for (const name of required) if (members[name] === undefined) throw refuse(`${path}.${name}`, 'is missing')
  return { ...members }
}

function object(value: Json | undefined, path: string): JsonObject {
  if (!isJsonObject(value)) throw refuse(path, 'is not an object')
  return value
}

function list(value: Json | undefined, path: string): readonly Json[] {
  if (!Array.isArray(value)) throw refuse(path, 'is not a list')
  return value
}

function text(value: Json | undefined, path: string): string {
  if (typeof value !== 'string') throw refuse(path, 'is not text')
  return value
}

function count(value: Json | undefined, path: string): number {
  if (typeof value !== 'number' || value < 0) throw refuse(path, 'is not a whole number')
  return value
}

function wholeNumber(value: Json, path: string): bigint {
  const past = value instanceof JsonNumber && /^[0-9]{1,40}$/.test(value.literal)
  return BigInt(past ? value.literal : count(value, path))
}

/** Whatever is wrong below, the person who wrote the file is told where. */
function at<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof EvidenceError) || error.code === 'malformed_trust') throw error
    throw new ProvenanceError('malformed_trust', `${path}: ${error.message}`, { cause: error })
  }
}

function refuse(path: string, why: string): ProvenanceError {
  return new ProvenanceError('malformed_trust', `${path} ${why}`)
}
