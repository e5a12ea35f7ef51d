/**
 * The key that proofs are made with: the one that the WIT names, and no other.
 *
 * @module
 */
import { importSigningKey, type SigningKey } from '#signature'
import { utf8 } from '../../merkle/bytes.ts'
import { jwkThumbprint, type PrivateJwk } from '../../statement/cose-key.ts'
import { parseCredential } from '../credential.ts'
import { ProvenanceError } from '../error.ts'

export interface ProofKey {
  /** As the WIT writes it: a proof must say the same. */
  readonly alg: string
  readonly signer: SigningKey
}

/**
 * @param wit - compact
 * @param key - the private half of the key that it names
 * @throws {@link ProvenanceError} as `parseCredential`, and `wrong_proof_key`
 */
export async function proofKeyOf(wit: string, key: PrivateJwk | SigningKey): Promise<ProofKey> {
  const { kind, publicJwk, keyThumbprint } = parseCredential(utf8(wit))
  if (kind !== 'wit')
    throw new ProvenanceError('malformed_credential', 'a certificate: possession of its key is for TLS')
  const signer = 'sign' in key ? key : await importSigningKey(key)
  if (jwkThumbprint(signer.publicJwk) !== keyThumbprint) {
    throw new ProvenanceError('wrong_proof_key', 'the WIT names another key')
  }
  return { alg: publicJwk.alg!, signer }
}
