/**
 * JWE (RFC 7516) by the one algorithm that wraps use, ECDH-ES+A256KW with A256GCM, for one recipient: where there is no Node, the portable
 * half of the `#jwe` import condition.
 *
 * The only importer of jose in this folder. The ephemeral key and the IV come from the platform's random source.
 *
 * @module
 */
import { flattenedDecrypt, GeneralEncrypt, type GeneralJWE, importJWK, type JWEHeaderParameters } from 'jose'
import type { PrivateJwk, PublicJwk } from './cose-key.ts'
import { StatementError } from './error.ts'

export const KEY_AGREEMENT = 'ECDH-ES+A256KW'
export const CONTENT_ENCRYPTION = 'A256GCM'

/** A General JWE of one recipient who is named. What else is in it is for {@link decryptJwe} to check. */
export interface Jwe extends GeneralJWE {
  readonly recipients: [
    { readonly header: JWEHeaderParameters & { readonly kid: string }; readonly encrypted_key?: string },
  ]
}

/** What a JWE says of itself: the type under its tag, the recipient's name beside it. */
export interface JweNames {
  readonly typ: string
  readonly kid: string
}

/**
 * Encrypts for the holder of a P-256 or X25519 key.
 *
 * @throws {@link StatementError} `unsupported_key` for a key that only signs
 */
export async function encryptJwe(plaintext: Uint8Array, recipient: PublicJwk, { typ, kid }: JweNames): Promise<Jwe> {
  const jwe = await new GeneralEncrypt(plaintext)
    .setProtectedHeader({ enc: CONTENT_ENCRYPTION, typ })
    .addRecipient(await importRecipient(recipient))
    .setUnprotectedHeader({ alg: KEY_AGREEMENT, kid })
    .encrypt()
  return jwe as Jwe
}

/**
 * Decrypts what was encrypted for this key, by these algorithms and no others.
 *
 * @throws {@link StatementError} `unsupported_key`; and as the cause of `malformed_wrap` and `wrong_recipient` what jose says
 */
export async function decryptJwe(
  { recipients, ...shared }: Jwe,
  recipient: PrivateJwk,
): Promise<{ plaintext: Uint8Array; typ: unknown }> {
  // By the flattened form, of one recipient: the general one does not say what was wrong.
  const { plaintext, protectedHeader } = await flattenedDecrypt(
    { ...shared, ...recipients[0] },
    await importRecipient(recipient),
    {
      // Without these lists the sender would choose, among algorithms with known attacks, and among compressions of zeros.
      keyManagementAlgorithms: [KEY_AGREEMENT],
      contentEncryptionAlgorithms: [CONTENT_ENCRYPTION],
      maxDecompressedLength: 0,
    },
  ).catch((cause: { code?: string }) => {
    if (cause.code === 'ERR_JWE_DECRYPTION_FAILED') {
      throw new StatementError('wrong_recipient', 'a wrap that this key does not open', { cause })
    }
    throw new StatementError('malformed_wrap', 'a JWE of another kind', { cause })
  })
  return { plaintext, typ: protectedHeader?.['typ'] }
}

async function importRecipient(jwk: PublicJwk | PrivateJwk) {
  checkRecipient(jwk)
  return importJWK({ ...jwk, alg: KEY_AGREEMENT }, KEY_AGREEMENT)
}

/** @throws {@link StatementError} `unsupported_key` */
export function checkRecipient(jwk: PublicJwk | PrivateJwk): void {
  if (jwk.crv === 'Ed25519' || jwk.alg === 'ES256' || jwk.alg === 'ESP256') {
    throw new StatementError('unsupported_key', 'this key is for signatures: wraps are for X25519 and P-256 keys')
  }
}
