/**
 * Collateral: what it takes besides the evidence to judge it. Files in whatever form vendors serve them, told apart by their content:
 *
 *     PEM     certificates, CRLs and public keys, any number in one file; percent-encoded, as Intel's service has it in a header field
 *     DER     one certificate or one CRL
 *     JSON    a document of a vendor, for the format that knows it
 *     else    a message of a vendor, for a format that says it has such
 *
 * Nothing here is believed. A certificate is worth what its chain says, a list or a document what its signature says.
 *
 * @module
 */
import { createPublicKey, KeyObject } from 'node:crypto'
import { equalBytes, fromBase64, fromUtf8 } from '../../../../merkle/index.ts'
import { DerReader, readDer, TAG } from '../../../../provenance/certificates/der.ts'
import { malformedCollateral } from '../../error.ts'
import { type RevocationList, readRevocationList } from './revocation.ts'
import { readVendorCertificate, type VendorCertificate } from './vendor-certificate.ts'

export interface Collateral {
  readonly certificates: readonly VendorCertificate[]
  readonly revocationLists: readonly RevocationList[]
  /** Texts that begin as a JSON object does. */
  readonly documents: readonly string[]
  /** Of whoever signs documents and messages: worth what reference values say of them. */
  readonly keys: readonly KeyObject[]
  /** What is neither text nor DER. */
  readonly messages: readonly Uint8Array[]
}

const MAX_FILES = 32
const MAX_FILE_BYTES = 1024 * 1024
/** In all files together. A signature check for each pair of them is what they could cost. */
const MAX_OBJECTS = 64

/**
 * @param hasMessages - whether the format knows files that are neither text nor DER
 * @throws {@link VerifierError} `malformed_collateral`
 */
export function readCollateral(files: readonly Uint8Array[], hasMessages = false): Collateral {
  if (files.length > MAX_FILES) throw malformedCollateral(`more than ${MAX_FILES} files`)
  const objects = files.flatMap((file, i) => {
    if (file.length > MAX_FILE_BYTES) throw malformedCollateral(`file ${i + 1} is longer than ${MAX_FILE_BYTES} bytes`)
    try {
      return readFile(file, hasMessages)
    } catch (cause) {
      throw malformedCollateral(`file ${i + 1}: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
    }
  })
  return collect(objects)
}

/** The certificates and lists of a PEM text, as those in quotes and in vendors' documents. Throws as the readers do. */
export function readPem(text: string): Collateral {
  return collect(pemObjects(text, 'CERTIFICATE|X509 CRL'))
}

export function joinCollateral(...parts: readonly Collateral[]): Collateral {
  return {
    certificates: parts.flatMap(({ certificates }) => certificates),
    revocationLists: parts.flatMap(({ revocationLists }) => revocationLists),
    documents: parts.flatMap(({ documents }) => documents),
    keys: parts.flatMap(({ keys }) => keys),
    messages: parts.flatMap(({ messages }) => messages),
  }
}

type CollateralObject = VendorCertificate | RevocationList | string | KeyObject | Uint8Array

function readFile(file: Uint8Array, hasMessages: boolean): CollateralObject[] {
  // 30 80…83: a SEQUENCE of more than 127 bytes, which no text begins with.
  if (file[0] === TAG.sequence && (file[1] ?? 0) >= 0x80) return [readDerObject(file)]
  const text = hasMessages ? textOf(file) : fromUtf8(file)
  if (text === undefined) return [file]
  if (/^\s*\{/.test(text)) return [text]
  return pemObjects(
    text.startsWith('-----BEGIN%20') ? decodeURIComponent(text) : text,
    'CERTIFICATE|X509 CRL|PUBLIC KEY',
  )
}

/** Undefined for what is no text of the kinds that are read here. Messages may hold such texts, after bytes that say what they are. */
function textOf(file: Uint8Array): string | undefined {
  try {
    const text = fromUtf8(file)
    return /^\s*\{|-----BEGIN /.test(text) ? text : undefined
  } catch {
    return undefined
  }
}

function pemObjects(text: string, kinds: string): CollateralObject[] {
  const blocks = [
    ...text.matchAll(new RegExp(`-----BEGIN (${kinds})-----([A-Za-z0-9+/=\\r\\n]+)-----END \\1-----`, 'g')),
  ]
  if (blocks.length === 0 || blocks.length !== text.split('-----BEGIN ').length - 1) {
    throw new Error('neither PEM of certificates, CRLs and public keys, nor DER, nor JSON')
  }
  if (blocks.length > MAX_OBJECTS) throw new Error(`more than ${MAX_OBJECTS} objects`)
  return blocks.map(([, kind, body]) => {
    const der = fromBase64(body!.replaceAll(/[\r\n]/g, ''))
    return kind === 'PUBLIC KEY' ? readPublicKey(der) : readDerObject(der)
  })
}

/** SubjectPublicKeyInfo, in its one encoding: keys are known by the digest of it. */
export function readPublicKey(der: Uint8Array): KeyObject {
  const key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
  if (!equalBytes(der, key.export({ format: 'der', type: 'spki' }))) throw new Error('a key in another encoding')
  return key
}

/** A certificate's signed part begins with its version in [0], a list's with an INTEGER. */
function readDerObject(der: Uint8Array): VendorCertificate | RevocationList {
  const signed = new DerReader(readDer(der, TAG.sequence).content).next(TAG.sequence)
  return signed.content[0] === 0xa0 ? readVendorCertificate(der) : readRevocationList(der)
}

function collect(objects: readonly CollateralObject[]): Collateral {
  if (objects.length > MAX_OBJECTS) throw malformedCollateral(`more than ${MAX_OBJECTS} objects`)
  const all = { certificates: [], revocationLists: [], documents: [], keys: [], messages: [] } as {
    certificates: VendorCertificate[]
    revocationLists: RevocationList[]
    documents: string[]
    keys: KeyObject[]
    messages: Uint8Array[]
  }
  for (const object of objects) {
    if (typeof object === 'string') all.documents.push(object)
    else if (object instanceof Uint8Array) all.messages.push(object)
    else if (object instanceof KeyObject) all.keys.push(object)
    else if ('revoked' in object) all.revocationLists.push(object)
    else all.certificates.push(object)
  }
  return all
}
