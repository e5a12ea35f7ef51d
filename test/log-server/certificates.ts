/**
 * A certificate authority for tests, and certificates of it for servers on this machine.
 *
 * @module
 */
import 'reflect-metadata'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const YEAR = 365 * 86_400_000

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly ca: string
  /** What the server starts with: a chain of two certificates for localhost, and the key of the first. */
  readonly tls: { readonly cert: string; readonly key: string }
}

/** Writes `ca.pem`, `chain.pem` and `key.pem` to `directory`; returns their paths. */
export async function writeCertificates(directory: string): Promise<CertificateFiles> {
  const keys = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const [caKeys, serverKeys] = [await keys(), await keys()]
  const validity = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + YEAR) }
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: 'CN=test authority',
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })
  const server = await X509CertificateGenerator.create({
    ...validity,
    subject: 'CN=test log',
    issuer: ca.subject,
    publicKey: serverKeys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }])],
  })
  const key = PemConverter.encode(await crypto.subtle.exportKey('pkcs8', serverKeys.privateKey), 'PRIVATE KEY')
  const files = { ca: 'ca.pem', cert: 'chain.pem', key: 'key.pem' }
  const texts = { ca: ca.toString('pem'), cert: `${server.toString('pem')}\n${ca.toString('pem')}\n`, key }
  const write = (name: keyof typeof files): string => {
    const path = join(directory, files[name])
    writeFileSync(path, texts[name])
    return path
  }
  return { ca: write('ca'), tls: { cert: write('cert'), key: write('key') } }
}
