/**
 * Oak's layers (DICE): each was measured by the one before it, which also made its key and certified both.
 *
 *     report ─ SHA-256 ─► root's key ──signs──► layer 0 { key, event } ──signs──► layer 1 … ──signs──► application keys { key, event }
 *
 * Certificates are CWTs (RFC 8392) with claims of Oak's own (project-oak/oak, `oak_dice/src/cert.rs`); an event is the SHA-256 of what the event log
 * has in its place. Layers destroy the key that they were given before they start the next one, so that what was started last cannot have written
 * what is said about it.
 *
 * @module
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { equalBytes, sha256, toBase64url, utf8 } from '../../../../../merkle/index.ts'
import { asArray, asBytes, asMap, type CborMap } from '../../../../../statement/cbor.ts'
import { readingEvidence, VerifierError } from '../../../error.ts'
import { type CoseSign1, decodeCoseSign1, decodeLoosely, KEY_HINTS } from '../cose-sign1.ts'
import type { OakEvidence } from './evidence.ts'

const CLAIM = { publicKey: -4670552, event: -4670573, transparentEvent: -4670575 }
const SHA2_256 = -4670572

/** `kid`, which is the same text in all of them. */
const IGNORED = { unprotected: [KEY_HINTS.kid] }

/**
 * What is signed besides, so that no signature is one for something else. Software from before that has none of it, and cannot be told apart. Not so user
 * data: what others may choose is never to be read as a certificate, nor a certificate as what they chose.
 */
const PURPOSE = {
  layer: [utf8('oak-dice-layer-v1'), new Uint8Array()],
  application: [utf8('oak-application-keys-v1'), new Uint8Array()],
  userData: [utf8('oak-user-data-v1')],
}

/** What the layers vouch for, each certificate verified with the key of the one before it. */
export interface Vouched {
  /** Of the application, for signatures. Absent where evidence has none, or it is in a form of somebody's own. */
  readonly signingKey?: KeyObject
  /** What the last layer signed for the application. */
  readonly userData?: Uint8Array
}

interface Certificate {
  readonly claims: CborMap
  readonly token: CoseSign1
}

/** @throws VerifierError `malformed_evidence`, `bad_evidence_signature`, `measurement_mismatch` where the event log is not what was certified */
export function verifyLayers(evidence: OakEvidence, rootKey: Uint8Array): Vouched {
  const { events, layers, applicationKeys, userData } = evidence
  const claim = evidence.isTransparent ? CLAIM.transparentEvent : CLAIM.event
  let issuer = readingEvidence(() => importCoseKey(rootKey))
  const certified = layers.map((bytes, i) => {
    const { token, claims } = readingEvidence(() => decodeCertificate(bytes))
    checkSigned(token, issuer, PURPOSE.layer, `layer ${i}`)
    issuer = readingEvidence(() => importCoseKey(asBytes(claims.get(CLAIM.publicKey), 'key')))
    return readingEvidence(() => eventIn(claims, claim, `layer ${i}`))
  })

  const last: Uint8Array[] = []
  let signingKey: KeyObject | undefined
  for (const [name, bytes] of applicationKeys) {
    const { token, claims } = readingEvidence(() => decodeCertificate(bytes))
    checkSigned(token, issuer, PURPOSE.application, `the ${name} key`)
    if (claims.has(claim)) last.push(readingEvidence(() => eventIn(claims, claim, `the ${name} key`)))
    const key = claims.get(CLAIM.publicKey)
    if (name === 'signing' && key !== undefined) {
      signingKey = readingEvidence(() => importCoseKey(asBytes(key, 'key')))
    }
  }
  // Restricted Kernel: what was measured last has no key of its own to certify, and is named beside the application's keys.
  if (last[0] && events.length === layers.length + 1) certified.push(last[0])
  checkEvents(events, certified, last)
  return { ...(signingKey ? { signingKey } : {}), ...(userData ? { userData: signedData(userData, issuer) } : {}) }
}

/** One event for each certificate, no more and no fewer: what is in the log and in no certificate was written by anybody. */
function checkEvents(
  events: readonly Uint8Array[],
  certified: readonly Uint8Array[],
  last: readonly Uint8Array[],
): void {
  if (events.length !== certified.length) {
    throw mismatch(`${events.length} events, and certificates for ${certified.length}`)
  }
  events.forEach((event, i) => {
    if (!equalBytes(sha256(event), certified[i]!)) throw mismatch(`event ${i} is not the one that was certified`)
  })
  if (last.some((digest) => !equalBytes(digest, certified.at(-1)!))) {
    throw mismatch('the application’s keys were certified for another event than the last')
  }
}

function signedData(bytes: Uint8Array, key: KeyObject): Uint8Array {
  const token = readingEvidence(() => decodeCoseSign1(bytes, false, IGNORED))
  checkSigned(token, key, PURPOSE.userData, 'the user data')
  return token.payload
}

function decodeCertificate(bytes: Uint8Array): Certificate {
  const token = decodeCoseSign1(bytes, false, IGNORED)
  return { token, claims: asMap(decodeLoosely(token.payload), 'claims') }
}

function eventIn(claims: CborMap, claim: number, whose: string): Uint8Array {
  const digests = asMap(claims.get(claim), `event of ${whose}`)
  return asBytes(digests.get(SHA2_256), `event of ${whose}`, 32)
}

function checkSigned(token: CoseSign1, key: KeyObject, purposes: readonly Uint8Array[], what: string): void {
  if (!purposes.some((purpose) => token.isSignedBy(key, purpose))) {
    throw new VerifierError('bad_evidence_signature', `the certificate of ${what} is not by the layer before it`)
  }
}

/** COSE_Key (RFC 9052 §7) of P-256, for ES256 and for verifying. Throws an ordinary error, or OpenSSL's for what is no point. */
function importCoseKey(bytes: Uint8Array): KeyObject {
  const key = asMap(decodeLoosely(bytes), 'COSE_Key')
  const isForVerifying = asArray(key.get(4), 'key_ops').includes(2)
  if (key.get(1) !== 2 || key.get(3) !== -7 || key.get(-1) !== 1 || !isForVerifying)
    throw new Error('a key of another kind')
  const [x, y] = [asBytes(key.get(-2), 'x', 32), asBytes(key.get(-3), 'y', 32)]
  return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: toBase64url(x), y: toBase64url(y) }, format: 'jwk' })
}

function mismatch(why: string): VerifierError {
  return new VerifierError('measurement_mismatch', why)
}
