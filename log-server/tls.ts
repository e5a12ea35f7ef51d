/**
 * The certificate and key that the server speaks TLS with: read once at the start, and judged before anybody connects.
 *
 * A server that started with a pair that does not belong together would fail each handshake, which its operator hears of last.
 *
 * @module
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { LogError } from './types.ts'

/** Paths of PEM files. */
export interface TlsFiles {
  /** The server's certificate, and after it those between it and the anchor. */
  readonly cert: string
  /** Its private key, without a passphrase. */
  readonly key: string
}

/** What `https.createServer` takes. */
export interface TlsSettings extends Pick<SecureContextOptions, 'cert' | 'key' | 'minVersion'> {
  readonly cert: string
  readonly key: string
  readonly minVersion: 'TLSv1.2'
  /** From the connection to the end of the handshake, in milliseconds. */
  readonly handshakeTimeout: number
}

// Node waits two minutes. Until the handshake ends no other timeout of ours runs, and what a peer owes is a few hundred bytes; and
// a server that closes waits for these connections, within its deadline.
const HANDSHAKE_TIMEOUT = 10_000

/** @throws {@link LogError} `malformed_config`, naming the file and never quoting it */
export async function readTls(files: TlsFiles): Promise<TlsSettings> {
  const [cert, key] = [await readPem(files.cert), await readPem(files.key)]
  const leaf = parse(files.cert, 'a PEM certificate', () => new X509Certificate(cert))
  const privateKey: KeyObject = parse(files.key, 'a PEM private key without a passphrase', () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new LogError('malformed_config', `${files.key} is not the key of the first certificate in ${files.cert}`)
  }
  const settings = { cert, key, minVersion: 'TLSv1.2', handshakeTimeout: HANDSHAKE_TIMEOUT } as const
  // The rest of the chain, and what OpenSSL's security level asks: a key too short, a digest too weak.
  parse(files.cert, 'a chain that TLS can use', () => createSecureContext(settings))
  return settings
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new LogError('malformed_config', `${path} cannot be read`, { cause })
  }
}

/** Without a cause: what OpenSSL says may quote what it read, which may be a key. */
function parse<T>(path: string, what: string, read: () => T): T {
  try {
    return read()
  } catch {
    throw new LogError('malformed_config', `${path} is not ${what}`)
  }
}
