/**
 * Why a credential was issued: the record that this log is for. One per issuance, found by the digest of the credential.
 *
 * In clear is what everybody judges by and nobody is named by. What says whose credential it is, where it runs and what it proved there
 * is sealed: for the auditor, or piece by piece for a relying party.
 *
 * @module
 */

import { TIERS } from '../attestation/tier.ts'
import { bool, bytes, dictionary, type Infer, list, map, oneOf, text, uint } from '../schema.ts'
import { decision } from './decision.ts'
import { defineRecord } from './define-record.ts'
import { digest, time, trustDomain, workloadIdentifier } from './field-types.ts'

/** What a workload showed to get its first credential, before it had one to show. */
const bootstrap = map({
  required: { kind: oneOf('attestation', 'platform-token', 'join-token', 'certificate', 'agent') },
  optional: {
    /** SHA-256 of exactly that. Not of a join token that can be guessed. */
    digest,
  },
})
export type Bootstrap = Infer<typeof bootstrap>

/** How tightly a workload is bound to its platform, in the codes of the WIMSE proposal (twi-wimse PR #36). */
const platformBinding = map({
  required: {},
  optional: {
    freshness: oneOf('AF_L0', 'AF_L1', 'AF_L2'),
    fidelity: oneOf('CF_L0', 'CF_L1', 'CF_L2'),
    stickiness: oneOf('CS_L1', 'CS_L2', 'CS_L3'),
    tcb: oneOf('TCB_L1', 'TCB_L2', 'TCB_L3', 'TCB_L4'),
  },
})
export type PlatformBinding = Infer<typeof platformBinding>

/** One attested part of a workload. */
const component = map({
  required: {
    /** What its Verifier calls it: the label of a submodule. */
    label: text(),
    /** The entry of the attestation result. */
    result: digest,
    tier: oneOf(...TIERS),
    /** Whether the Evidence hashes the workload's key: `key_attestation`. */
    keyAttested: bool(),
  },
})

export const credentialProvenance = defineRecord({
  type: 'credential-provenance',
  fields: {
    required: {
      /** Workload Identity Token, or Workload Identity Certificate. */
      kind: oneOf('wit', 'wic'),
      /** SHA-256 of its exact bytes: compact JWS in ASCII, or DER. It has a signature's entropy, so nobody can guess it. */
      credentialDigest: digest,
      notBefore: time,
      notAfter: time,
      /** How it reached the workload. */
      delivery: oneOf('file', 'env', 'local-api', 'direct', 'agent'),
      /** `none` says openly that it was issued without an attestation result. */
      attestation: oneOf('attested', 'none'),
    },
    optional: {
      /** Where `attestation` is `none`, and then always: a code that says why, as `no-attester` or `legacy-platform`. */
      unattestedReason: text({ max: 64 }),
      /** How many parts were attested, in all results together: a composite workload has several, and the weakest governs. */
      components: uint({ min: 1, max: 256 }),
      /** A confidential workload: never without attestation, nor by the Verifier itself. */
      confidential: bool(),
      /** Of several credentials of one workload, which: towards whom it is shown. */
      usage: oneOf('inbound', 'outbound', 'internal'),
      /** How its holder must prove possession of the key. */
      pop: oneOf('wpt', 'httpsig', 'mtls'),
    },
  },
  sections: {
    required: {
      credential: map({
        required: {
          /** Whose it is, in `trustDomain`. */
          subject: workloadIdentifier,
          trustDomain,
          /** `jti`, or the serial number in lower-case hex. */
          identifier: text({ max: 512 }),
          /** RFC 7638 thumbprint of the workload's key. */
          keyThumbprint: text(),
        },
        optional: {
          /** Trust domains that it is meant for. */
          audiences: list(trustDomain, { min: 1, max: 64 }),
          bootstrap,
          /** What else was known: service, environment, role, requester, trigger. */
          attributes: dictionary(text({ max: 1024 }), { max: 64 }),
        },
      }),
      decision,
    },
    optional: {
      /** What was attested, part by part, and where it runs. */
      attestation: map({
        required: { components: list(component, { min: 1, max: 256 }) },
        optional: {
          /** What of the workload is attested: its code and configuration, and no more than this. */
          measuredScope: text({ max: 1024 }),
          /** Absent: the workload attested itself. An agent that did it for the workload was measured too. */
          agent: map({ required: { measurement: digest } }),
          platformBinding,
        },
      }),
      /** Of an issuance on no attestation: why, at length. */
      detail: map({ required: { text: text({ max: 4096, lines: true }) } }),
      /** The issuer's tag key, for the auditor who wants to recompute `unique`. */
      tags: map({ required: { key: bytes(32) } }),
    },
  },
})
