/**
 * Credentials that nobody logged, each with a bundle about it: what a delivery carries is all that these tests are about.
 *
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Delivery } from '../../../clients/delivery/index.ts'
import { issueWit } from '../../../clients/issuer/index.ts'
import { utf8 } from '../../../merkle/index.ts'
import { encodeBundle, parseCredential } from '../../../provenance/index.ts'
import { type PrivateJwk, parsePrivateJwk, publicJwkOf } from '../../../statement/index.ts'
import { newKeyPair } from '../../key-pairs.ts'
import { ES256_JWK } from '../../statement/fixtures.ts'

export const NOW = 1_800_000_000
export const SUBJECT = 'spiffe://bank.example/payments'

export function newKey(): PrivateJwk {
  return parsePrivateJwk(newKeyPair('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))
}

export function scratch(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'provlog-delivery-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** The `number`th credential for `key`, valid for an hour from NOW, with the key. */
export async function deliveryOf(number: number, key: PrivateJwk = newKey()): Promise<Delivery & { key: PrivateJwk }> {
  const text = await issueWit(
    {
      subject: SUBJECT,
      workloadJwk: publicJwkOf(key),
      jti: `${number}`.padStart(32, '0'),
      issuedAt: NOW,
      expiresAt: NOW + 3600,
    },
    ES256_JWK,
  )
  const bundle = encodeBundle({
    origin: 'log.example',
    checkpoint: 'made up\n',
    statements: [utf8(`statement ${number}`)],
    wraps: new Map(),
    credentialDigest: parseCredential(utf8(text)).digest,
  })
  return { kind: 'wit', text, bundle, trustBundle: `{"spiffe_sequence":${number}}`, key }
}
