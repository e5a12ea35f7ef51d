/**
 * The certificate and key that the server speaks TLS with, judged before anybody connects, and exchanged for others without a restart.
 *
 * A server with a pair that does not belong together would fail each handshake, which its operator hears of last. So such a pair keeps
 * it from starting; and later, when only one of the two files has been renewed yet, from taking it.
 *
 * @module
 */
import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions, type Server } from 'node:tls'
import { LogError } from '../types.ts'
import { type Report, WatchedFiles } from './watched-files.ts'

/** Paths of PEM files. */
export interface TlsFiles {
  /** The server's certificate, and after it those between it and the anchor. */
  readonly cert: string
  /** Its private key, without a passphrase. */
  readonly key: string
}

/** What `https.createServer` takes. */
export interface TlsSettings
  extends Pick<SecureContextOptions, 'cert' | 'key' | 'minVersion' | 'ca' | 'secureOptions'> {
  readonly cert: string
  readonly key: string
  readonly minVersion: 'TLSv1.2'
  readonly secureOptions: number
  /** From the connection to the end of the handshake, in milliseconds. */
  readonly handshakeTimeout: number
  /** Whether clients are asked for a certificate. The handshake never judges it: `access/peer.ts` does. */
  readonly requestCert: boolean
  readonly rejectUnauthorized: false
}

export interface ServerTlsOptions {
  /** Whether clients are asked for certificates. */
  readonly requestCert?: boolean
  readonly report?: Report
}

type Pair = Pick<TlsSettings, 'cert' | 'key'>

// Node waits two minutes. Until the handshake ends no other timeout of ours runs, and what a peer owes is a few hundred bytes; and
// a server that closes waits for these connections, within its deadline.
const HANDSHAKE_TIMEOUT = 10_000

/** The TLS of a server for as long as it runs. */
export class ServerTls {
  readonly #pair: WatchedFiles<Pair>
  readonly #requestCert: boolean
  readonly #servers: Server[] = []

  private constructor(pair: WatchedFiles<Pair>, requestCert: boolean) {
    this.#pair = pair
    this.#requestCert = requestCert
  }

  /** @throws {@link LogError} `malformed_config`, naming the file and never quoting it */
  static async open(
    files: TlsFiles,
    { requestCert = false, report = () => {} }: ServerTlsOptions = {},
  ): Promise<ServerTls> {
    const read = ([cert, key]: readonly Uint8Array[]) => readPair(files, cert!, key!)
    try {
      return new ServerTls(await WatchedFiles.open([files.cert, files.key], read, report), requestCert)
    } catch (cause) {
      if (cause instanceof LogError) throw cause
      const path = (cause as NodeJS.ErrnoException).path
      throw new LogError('malformed_config', `${path ?? `${files.cert} or ${files.key}`} cannot be read`, { cause })
    }
  }

  get settings(): TlsSettings {
    return settingsOf(this.#pair.current, this.#requestCert)
  }

  /** Has this server, made with the settings, speak by what is in force from now on. */
  serve(server: Server): void {
    this.#servers.push(server)
  }

  /**
   * Looks at the files. Connections that are there keep what they have, and so do handshakes under way; each that begins later has all of the
   * new: nobody finds half of it.
   */
  async refresh(): Promise<void> {
    if (!(await this.#pair.refresh())) return
    for (const server of this.#servers) server.setSecureContext(this.settings)
  }
}

/**
 * A client is asked for a certificate without being told of which authorities (RFC 8446 §4.2.4 leaves that open): whom we trust is nobody's
 * business who only connects. And OpenSSL is not told either. Given anchors it would judge what it must not judge here (`access/peer.ts`),
 * verify each path a second time, and in TLS 1.2 hang up on a bad signature instead of letting us say so.
 */
function settingsOf(pair: Pair, requestCert: boolean): TlsSettings {
  return {
    ...pair,
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    requestCert,
    rejectUnauthorized: false,
    ...(requestCert && { ca: [] }),
    // Renegotiation may show another certificate in the middle of a connection, and costs a server more than its client. A session that
    // is resumed comes with the client's certificate alone, without those above it: OpenSSL would know the peer, and nobody could
    // verify it. Without tickets there are none, because Node keeps no sessions of its own.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (requestCert ? constants.SSL_OP_NO_TICKET : 0),
  }
}

/** @throws {@link LogError} `malformed_config`, naming the file and never quoting it */
function readPair(files: TlsFiles, certBytes: Uint8Array, keyBytes: Uint8Array): Pair {
  const [cert, key] = [certBytes, keyBytes].map((bytes) => Buffer.from(bytes).toString('utf8')) as [string, string]
  // A file that is being written. OpenSSL takes the certificates that are there already for all of the chain.
  if (cert.split('-----BEGIN ').length !== cert.split('-----END ').length) {
    throw new LogError('malformed_config', `${files.cert} is cut short`)
  }
  const leaf = parse(files.cert, 'a PEM certificate', () => new X509Certificate(cert))
  const privateKey: KeyObject = parse(files.key, 'a PEM private key without a passphrase', () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new LogError('malformed_config', `${files.key} is not the key of the first certificate in ${files.cert}`)
  }
  // The rest of the chain, and what OpenSSL's security level asks: a key too short, a digest too weak.
  parse(files.cert, 'a chain that TLS can use', () => createSecureContext(settingsOf({ cert, key }, false)))
  return { cert, key }
}

/** Without a cause: what OpenSSL says may quote what it read, which may be a key. */
function parse<T>(path: string, what: string, read: () => T): T {
  try {
    return read()
  } catch {
    throw new LogError('malformed_config', `${path} is not ${what}`)
  }
}
