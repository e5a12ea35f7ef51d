/**
 * The SPIFFE bundle of a trust domain (SPIFFE Trust Domain and Bundle §4): what `trustDomains` of TRUST.json has for it.
 *
 * @module
 */
import { toBase64 } from '../../merkle/index.ts'
import { parseCertificate, type TrustDocument } from '../../provenance/index.ts'
import { kidOf, type PublicJwk, publicJwkOf, type VerificationJwk } from '../../statement/index.ts'
import { IssuerError } from './error.ts'

export type SpiffeBundle = TrustDocument['trustDomains'][string]

export interface SpiffeBundleInput {
  /** DER of the anchors for certificates. */
  readonly anchors?: readonly Uint8Array[]
  /** Keys of the issuers of tokens. */
  readonly witKeys?: readonly PublicJwk[]
  /** Grows with every change of the bundle. */
  readonly sequence?: number
}

/** @throws {@link IssuerError} `unsupported_key` for an anchor whose key nobody here can verify with */
export function spiffeBundle({ anchors = [], witKeys = [], sequence = 1 }: SpiffeBundleInput): SpiffeBundle {
  return {
    keys: [
      ...anchors.map((der) => {
        const { publicJwk } = parseCertificate(der)
        if (!publicJwk) throw new IssuerError('unsupported_key', "the anchor's key is of no kind that we verify with")
        return { use: 'x509-svid', ...withoutAlg(publicJwk), x5c: [toBase64(der)] }
      }),
      ...witKeys.map((key) => ({ use: 'wit-svid', kid: kidOf(key), ...withoutAlg(key) })),
    ],
    spiffe_sequence: sequence,
    spiffe_refresh_hint: 300,
  }
}

function withoutAlg(jwk: VerificationJwk): object {
  const { alg: _alg, ...key } = publicJwkOf(jwk)
  return key
}
