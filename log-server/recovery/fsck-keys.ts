/**
 * Whether the files of the private keys hold the keys that they are named after, public half and private half of the same.
 *
 * That one is not here is no finding: the admin's belongs elsewhere, and a copy of a log may have none. Whether a log can sign is asked when it is opened.
 *
 * @module
 */
import { createECDH } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ed25519PublicKey } from '#ed25519'
import { equalBytes, fromBase64url } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { createNoteSigner } from '../../merkle/note.ts'
import { formatKeyId } from '../../merkle/note-key.ts'
import { kidOf, type PrivateJwk, parsePrivateJwk, publicJwkOf } from '../../statement/cose-key.ts'
import { type LogConfig, paths, readJson } from '../storage/directory.ts'
import { isCode } from '../storage/guard.ts'
import type { FsckFinding } from './fsck.ts'

export async function checkKeyFiles(dataDir: string, config: LogConfig): Promise<FsckFinding[]> {
  const at = paths(dataDir)
  const names = await readdir(at.keys).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error
    return [] as string[]
  })
  const later = names.filter((name) => name.endsWith('.jwk')).map((name) => join(at.keys, name))
  const findings: FsckFinding[] = []
  for (const path of [at.checkpointKey, at.receiptKey, at.adminKey, ...later]) {
    const detail = await complaintAbout(path, config)
    // Of a key nothing is quoted, its public half neither: it may be the private one that got there.
    if (detail !== undefined) findings.push({ code: 'key_damaged', detail: `${basename(path)} ${detail}` })
  }
  return findings
}

async function complaintAbout(path: string, config: LogConfig): Promise<string | undefined> {
  try {
    const value = await readJson(path)
    if (value === undefined) return undefined
    const jwk = parsePrivateJwk(value)
    if (!isPair(jwk)) return 'holds the halves of two keys'
    return isNamed(jwk, basename(path), config) ? undefined : 'holds another key than the log has under that name'
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    return 'holds no private key'
  }
}

function isPair(jwk: PrivateJwk): boolean {
  const d = fromBase64url(jwk.d)
  if (jwk.kty === 'OKP') return jwk.crv === 'Ed25519' && equalBytes(ed25519PublicKey(d), fromBase64url(jwk.x))
  const ecdh = createECDH('prime256v1')
  try {
    ecdh.setPrivateKey(d)
  } catch {
    return false
  }
  const point = new Uint8Array(ecdh.getPublicKey())
  return equalBytes(point.subarray(1, 33), fromBase64url(jwk.x)) && equalBytes(point.subarray(33), fromBase64url(jwk.y))
}

/** Of the admin's key the log says which those are; it has changed hands, perhaps, and signs nothing here. */
function isNamed(jwk: PrivateJwk, name: string, { origin, vkey, kid }: LogConfig): boolean {
  if (name === 'admin.jwk') return jwk.kty === 'EC'
  if (name === 'receipt.jwk') return kidOf(publicJwkOf(jwk)) === kid
  if (name.startsWith('receipt-')) return name === `receipt-${kidOf(publicJwkOf(jwk))}.jwk`
  if (jwk.kty !== 'OKP') return false
  const signer = createNoteSigner(origin, fromBase64url(jwk.d))
  return name === 'checkpoint.jwk' ? signer.vkey === vkey : name === `checkpoint-${formatKeyId(signer.keyId)}.jwk`
}
