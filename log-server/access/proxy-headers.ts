/**
 * What a proxy says about whose TLS connection it ended: Envoy's `X-Forwarded-Client-Cert` and `Client-Cert` of RFC 9440.
 *
 *     X-Forwarded-Client-Cert: By=spiffe://bank.example/edge;Hash=468e…;URI=spiffe://bank.example/issuer
 *     Client-Cert: :MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6…:
 *     Client-Cert-Chain: :MIIB5jCCAYugAwIBAgIBFjAKBggqhkjOPQQDAjBW…:, :MIIC…:
 *
 * A header is text that somebody wrote; whether that one may be believed is for `caller.ts`. Here it has one reading or none. An attacker
 * behind a proxy would end a quotation early in the subject of a certificate of their own, send an element of their own for the
 * proxy to append to, or a second name for a reader who takes the first.
 *
 * @module
 */
import { fromBase64 } from '../../merkle/bytes.ts'
import { EvidenceError } from '../../merkle/error.ts'
import { decodePem } from '../../provenance/certificates/certificate.ts'
import { ProvenanceError } from '../../provenance/error.ts'
import type { Fields } from '../../provenance/proof-of-possession/http-message.ts'
import type { ProxyHeader } from './config.ts'

/** What the header says: the certificate, leaf first, where it is there; or an identifier alone. */
export type Forwarded =
  | { readonly chain: readonly Uint8Array[]; readonly uri?: string }
  | { readonly uri: string; readonly chain?: undefined }

/** Names in which proxies of many kinds pass on who connected. Only two are ever read; all of them are somebody's claim. */
export const IDENTITY_HEADERS: ReadonlySet<string> = new Set([
  'client-cert',
  'client-cert-chain',
  'ssl-client-cert',
  'x-amzn-mtls-clientcert',
  'x-amzn-mtls-clientcert-leaf',
  'x-client-cert',
  'x-forwarded-client-cert',
  'x-forwarded-tls-client-cert',
  'x-forwarded-tls-client-cert-info',
  'x-spiffe-id',
  'x-ssl-cert',
  'x-ssl-client-cert',
  'x-workload-identity',
])

const MAX_INTERMEDIATES = 3

/**
 * What the header of that name says; undefined when it is not there, for the proxy's client showed no certificate.
 *
 * @throws {@link ProvenanceError} `malformed_message`, `malformed_structured_field`, `malformed_credential`
 */
export function readForwarded(fields: Fields, header: ProxyHeader): Forwarded | undefined {
  const value = fields.get(header)
  if (header === 'x-forwarded-client-cert') return value === undefined ? undefined : readXfcc(value)
  const rest = fields.get('client-cert-chain')
  if (value === undefined) {
    if (rest !== undefined) throw refuse('Client-Cert-Chain without Client-Cert')
    return undefined
  }
  const chain = [readByteSequence(value), ...(rest === undefined ? [] : rest.split(/ *, */).map(readByteSequence))]
  if (chain.length > 1 + MAX_INTERMEDIATES)
    throw refuse(`more than ${MAX_INTERMEDIATES} certificates in Client-Cert-Chain`)
  return { chain }
}

/** RFC 8941 §3.3.5, and nothing after it: RFC 9440 §2.2 defines no parameters. */
function readByteSequence(text: string): Uint8Array {
  const base64 = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(text)?.[1]
  if (base64 === undefined) throw malformed('Client-Cert is not one byte sequence')
  try {
    return fromBase64(base64)
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    throw malformed('Client-Cert is not base64')
  }
}

/**
 * One element: of several, the first ones are whatever the client of the proxy sent, and which of them the proxy added depends on how it is
 * set up. Envoy makes one of it when told to (`SANITIZE_SET`).
 */
function readXfcc(value: string): Forwarded {
  const pairs = readPairs(value)
  const all = (key: string) => pairs.filter((pair) => pair.key === key).map((pair) => pair.value)
  const uris = all('uri')
  const certificates = all('cert')
  if (uris.length > 1 || certificates.length > 1)
    throw refuse('X-Forwarded-Client-Cert names several, and only one connected')
  const [uri, certificate] = [uris[0], certificates[0]]
  if (certificate === undefined) {
    if (uri === undefined || uri === '') throw refuse('X-Forwarded-Client-Cert without a URI name')
    return { uri }
  }
  const chain = pemIn(certificate)
  if (chain.length !== 1) throw refuse('Cert is not one certificate')
  const [rest] = all('chain')
  return { chain: rest === undefined ? chain : withoutLeaf(chain[0]!, pemIn(rest)), ...(uri !== undefined && { uri }) }
}

/** Envoy's `Chain` begins with the certificate that `Cert` is. */
function withoutLeaf(leaf: Uint8Array, chain: readonly Uint8Array[]): Uint8Array[] {
  const rest = chain.filter((each) => Buffer.compare(each, leaf) !== 0)
  if (rest.length > MAX_INTERMEDIATES) throw refuse(`more than ${MAX_INTERMEDIATES} certificates in Chain`)
  return [leaf, ...rest]
}

const PAIR = /([A-Za-z]{1,16})=(?:"((?:[^"\\]|\\.)*)"|([^",;=\\ \t]*))(;|$)/y

/** `key=value` after `key=value`, to the end: what the grammar does not read is not there for us to guess at. */
function readPairs(text: string): { key: string; value: string }[] {
  const pairs: { key: string; value: string }[] = []
  PAIR.lastIndex = 0
  let end = ';'
  while (end === ';') {
    const found = PAIR.exec(text)
    if (!found) throw refuse('X-Forwarded-Client-Cert is not one element of key=value pairs')
    const [, key, quoted, plain] = found
    // A quoted pair stays as it is but in what may have none: a name with a backslash in it is no identifier.
    pairs.push({ key: key!.toLowerCase(), value: quoted ?? plain! })
    end = found[4]!
  }
  return pairs
}

function pemIn(encoded: string): Uint8Array[] {
  let pem: string
  try {
    pem = decodeURIComponent(encoded)
  } catch {
    throw refuse('Cert or Chain is not percent-encoded')
  }
  return decodePem(pem)
}

function refuse(why: string): ProvenanceError {
  return new ProvenanceError('malformed_message', why)
}

function malformed(why: string): ProvenanceError {
  return new ProvenanceError('malformed_structured_field', why)
}
