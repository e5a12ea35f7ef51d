/**
 * Collateral: what it takes besides the evidence to judge it. Files in whatever form vendors serve them, told apart by their content:
 *
 *     PEM     certificates and CRLs, any number in one file
 *     DER     one certificate or one CRL
 *     JSON    a document of a vendor, for the format that knows it
 *
 * Nothing here is believed. A certificate is worth what its chain says, a list or a document what its signature says.
 *
 * @module
 */
import { fromBase64, fromUtf8 } from '../../../../merkle/index.ts'
import { DerReader, readDer, TAG } from '../../../../provenance/der.ts'
import { VerifierError } from '../../error.ts'
import { type RevocationList, readRevocationList } from './revocation.ts'
import { readVendorCertificate, type VendorCertificate } from './vendor-certificate.ts'

export interface Collateral {
  readonly certificates: readonly VendorCertificate[]
  readonly revocationLists: readonly RevocationList[]
  /** Texts that begin as a JSON object does. */
  readonly documents: readonly string[]
}

const MAX_FILES = 32
const MAX_FILE_BYTES = 1024 * 1024
/** In all files together. A signature check for each pair of them is what they could cost. */
const MAX_OBJECTS = 64

/** @throws {@link VerifierError} `malformed_collateral` */
export function readCollateral(files: readonly Uint8Array[]): Collateral {
  if (files.length > MAX_FILES) throw refuse(`more than ${MAX_FILES} files`)
  const objects = files.flatMap((file, i) => {
    if (file.length > MAX_FILE_BYTES) throw refuse(`file ${i + 1} is longer than ${MAX_FILE_BYTES} bytes`)
    try {
      return readFile(file)
    } catch (cause) {
      throw refuse(`file ${i + 1}: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
    }
  })
  return collect(objects)
}

/** The certificates and lists of a PEM text, as those in quotes and in vendors' documents. Throws as the readers do. */
export function readPem(text: string): Collateral {
  return collect(pemObjects(text))
}

export function joinCollateral(...parts: readonly Collateral[]): Collateral {
  return {
    certificates: parts.flatMap(({ certificates }) => certificates),
    revocationLists: parts.flatMap(({ revocationLists }) => revocationLists),
    documents: parts.flatMap(({ documents }) => documents),
  }
}

type CollateralObject = VendorCertificate | RevocationList | string

function readFile(file: Uint8Array): CollateralObject[] {
  // 30 80…83: a SEQUENCE of more than 127 bytes, which no text begins with.
  if (file[0] === TAG.sequence && (file[1] ?? 0) >= 0x80) return [readDerObject(file)]
  const text = fromUtf8(file)
  if (/^\s*\{/.test(text)) return [text]
  return pemObjects(text)
}

function pemObjects(text: string): CollateralObject[] {
  const blocks = [...text.matchAll(/-----BEGIN (CERTIFICATE|X509 CRL)-----([A-Za-z0-9+/=\r\n]+)-----END \1-----/g)]
  if (blocks.length === 0 || blocks.length !== text.split('-----BEGIN ').length - 1) {
    throw new Error('neither PEM of certificates and CRLs, nor DER, nor JSON')
  }
  if (blocks.length > MAX_OBJECTS) throw new Error(`more than ${MAX_OBJECTS} objects`)
  return blocks.map(([, , body]) => readDerObject(fromBase64(body!.replaceAll(/[\r\n]/g, ''))))
}

/** A certificate's signed part begins with its version in [0], a list's with an INTEGER. */
function readDerObject(der: Uint8Array): VendorCertificate | RevocationList {
  const signed = new DerReader(readDer(der, TAG.sequence).content).next(TAG.sequence)
  return signed.content[0] === 0xa0 ? readVendorCertificate(der) : readRevocationList(der)
}

function collect(objects: readonly CollateralObject[]): Collateral {
  if (objects.length > MAX_OBJECTS) throw refuse(`more than ${MAX_OBJECTS} objects`)
  const all = { certificates: [], revocationLists: [], documents: [] } as {
    certificates: VendorCertificate[]
    revocationLists: RevocationList[]
    documents: string[]
  }
  for (const object of objects) {
    if (typeof object === 'string') all.documents.push(object)
    else if ('revoked' in object) all.revocationLists.push(object)
    else all.certificates.push(object)
  }
  return all
}

function refuse(why: string, cause?: unknown): VerifierError {
  return new VerifierError('malformed_collateral', why, { cause })
}
