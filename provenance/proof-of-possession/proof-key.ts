/**
 * The key that proofs are made with: the one that the WIT names, and no other.
 *
 * @module
 */
import { importSigningKey } from '#signature'
import { utf8 } from '../../merkle/bytes.ts'
import { jwkThumbprint, type PrivateJwk, type VerificationJwk } from '../../statement/cose-key.ts'
import { parseCredential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'

/**
 * What signs proofs: a `SigningKey`, or whatever keeps the key of a workload and signs by the algorithm that its WIT says (a key that
 * does not leave its TEE, a key of an algorithm that we verify only). ECDSA signatures are r ‖ s.
 */
export interface ProofSigner {
  readonly publicJwk: VerificationJwk
  sign(data: Uint8Array): Promise<Uint8Array>
}

export interface ProofKey {
  /** As the WIT writes it: a proof must say the same. */
  readonly alg: string
  readonly signer: ProofSigner
}

/**
 * @param wit - compact
 * @param key - the private half of the key that it names
 * @throws {@link ProvenanceError} as `parseCredential`, and `wrong_proof_key`
 */
export async function proofKeyOf(wit: string, key: PrivateJwk | ProofSigner): Promise<ProofKey> {
  const { kind, publicJwk, keyThumbprint } = parseCredential(utf8(wit))
  if (kind !== 'wit')
    throw new ProvenanceError('malformed_credential', 'a certificate: possession of its key is for TLS')
  const signer = 'sign' in key ? key : await importSigningKey(key)
  if (jwkThumbprint(signer.publicJwk) !== keyThumbprint) {
    throw new ProvenanceError('wrong_proof_key', 'the WIT names another key')
  }
  return { alg: publicJwk.alg!, signer }
}
