/**
 * What a log-policy says of statements that are no records of ours: a few lists, each of which narrows what is registered.
 *
 *     "foreign": { ? "contentTypes": [+ tstr]     exact media types of the payload; absent: any, or none named
 *                  ? "issuers":      [+ tstr]     exact `iss` claims; absent: any
 *                  ? "keys":         [+ bstr]     COSE_Keys that may sign by kid
 *                  ? "anchors":      [+ bstr]     DER certificates to which x5chain or x5t must lead
 *                  ? "purposes":     [+ tstr] }   OIDs, of which the signer's extKeyUsage must have one
 *
 * All of it is data, so the policy that was in force at any index can be read off the log and applied by anybody. A language of
 * rules was refused: it would have to be evaluated alike for ever, by everybody.
 *
 * @module
 */
import { asMap, decodeCbor } from '../../statement/cbor.ts'
import { kidOf, type PublicJwk } from '../../statement/cose-key.ts'
import { kidText } from '../../statement/cose-sign1.ts'
import { type Certificate, parseCertificate } from '../certificates/certificate.ts'
import { ProvenanceError } from '../error.ts'
import { decodePublicKey, signingKey } from '../records/field-types.ts'
import { bytes, type Infer, list, map, refine, text } from '../schema.ts'

/** A certificate that may issue others, of a kind that we can verify with. Whether it is valid is asked when it is used. */
const anchor = refine(bytes({ max: 16_384 }), (der) => {
  const { publicJwk, basicConstraints, keyUsage, unprocessed } = parseCertificate(der)
  if (!publicJwk) throw new ProvenanceError('unsupported_key', 'an anchor with a key of another kind')
  if (!basicConstraints?.ca || !keyUsage?.has('keyCertSign')) {
    throw new ProvenanceError(
      'certificate_not_ca',
      'an anchor that may issue nothing: it needs CA:TRUE and keyCertSign',
    )
  }
  if (unprocessed.length > 0) throw new ProvenanceError('unknown_critical_extension', unprocessed.join(', '))
})

const oid = refine(text({ max: 128 }), (value) => {
  if (!/^[0-2](?:\.(?:0|[1-9][0-9]*))+$/.test(value)) throw new ProvenanceError('malformed_record', 'not an OID')
})

const rules = map({
  required: {},
  optional: {
    contentTypes: list(text(), { min: 1, max: 64 }),
    issuers: list(text({ max: 8192 }), { min: 1, max: 64 }),
    keys: list(signingKey, { min: 1, max: 64 }),
    anchors: list(anchor, { min: 1, max: 16 }),
    purposes: list(oid, { min: 1, max: 16 }),
  },
})

/** As the record has it. */
export type ForeignRules = Infer<typeof rules>

/** The field of the record. Refused: rules under which nobody may sign, and two keys of one name. */
export const foreignRules = refine(rules, (value) => {
  if (!value.keys && !value.anchors) throw new ProvenanceError('malformed_record', 'neither keys nor anchors')
  if (value.purposes && !value.anchors) throw new ProvenanceError('malformed_record', 'purposes without anchors')
  readForeignPolicy(value)
})

/** The rules, ready to be applied. */
export interface ForeignPolicy extends Pick<ForeignRules, 'contentTypes' | 'issuers' | 'purposes'> {
  /** By the kids that a statement may name them with: the thumbprint, and the `kid` that the COSE_Key has of its own. */
  readonly keys: ReadonlyMap<string, PublicJwk>
  readonly anchors: readonly Certificate[]
}

/** @throws {@link ProvenanceError} `malformed_record` when two keys answer to one kid */
export function readForeignPolicy({ keys = [], anchors = [], ...rest }: ForeignRules): ForeignPolicy {
  const byKid = new Map<string, PublicJwk>()
  for (const key of keys) {
    const jwk = decodePublicKey(key)
    for (const kid of new Set([kidOf(jwk), ownKidOf(key) ?? kidOf(jwk)])) {
      // Whose signature would it be?
      if (byKid.has(kid)) throw new ProvenanceError('malformed_record', `two keys are called ${JSON.stringify(kid)}`)
      byKid.set(kid, jwk)
    }
  }
  return { ...rest, keys: byKid, anchors: anchors.map(parseCertificate) }
}

/** The `kid` that an encoded COSE_Key has of its own, as a statement's header would be read. */
export function ownKidOf(coseKey: Uint8Array): string | undefined {
  const kid = asMap(decodeCbor(coseKey), 'a COSE_Key').get(KID)
  return kid instanceof Uint8Array ? kidText(kid) : undefined
}

/** RFC 9052 §7.1. */
const KID = 2
