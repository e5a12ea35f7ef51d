/**
 * Whoever issues certificates to workloads, and one such authority that every machine has: the `openssl` command.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execute } from './program.ts'

/** A workload's certificate with those above it, and its key: paths of PEM files. */
export interface Identity {
  readonly id: string
  readonly cert: string
  readonly key: string
}

export interface Authority {
  readonly name: string
  readonly trustDomain: string
  /** Path: a SPIFFE bundle, or anchors in PEM. */
  readonly bundle: string
  /** @param path - of the identifier, which begins with a slash */
  issue(path: string): Promise<Identity>
  close(): Promise<void>
}

export interface LeafChange {
  /** In the place of the one identifier: `URI:…, DNS:…`. */
  readonly names?: string
  readonly purposes?: string
}

export interface OpensslAuthority extends Authority {
  issue(path: string, change?: LeafChange): Promise<Identity>
}

/** Runs a program that must end well, and returns what it said. */
export async function run(command: string, args: readonly string[], options: { env?: Record<string, string> } = {}) {
  const { failure, stdout } = await execute({ command, args, timeout: 60, ...options })
  if (failure !== undefined) throw new Error(`${command} ${args.slice(0, 3).join(' ')}: ${failure}`)
  return stdout
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** @param trustDomain - whose authority it says it is; anybody can make one that says so */
export async function opensslAuthority(
  directory: string,
  trustDomain: string,
  name = 'openssl',
): Promise<OpensslAuthority> {
  const at = (file: string) => join(directory, file)
  await mkdir(directory, { recursive: true })
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
  await run('openssl', [
    ...['req', '-x509', ...EC, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2'],
    ...['-subj', `/O=${trustDomain}/CN=authority`],
    ...[...extensions, `subjectAltName=URI:spiffe://${trustDomain}`].flatMap((each) => ['-addext', each]),
  ])
  let made = 0

  async function issue(path: string, { names, purposes = 'serverAuth,clientAuth' }: LeafChange = {}) {
    const id = `spiffe://${trustDomain}${path}`
    const file = at(`leaf-${made++}`)
    await run('openssl', ['req', ...EC, '-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', '/CN=workload'])
    await writeFile(
      `${file}.ext`,
      [
        'basicConstraints=critical,CA:FALSE',
        'keyUsage=critical,digitalSignature',
        `extendedKeyUsage=${purposes}`,
        `subjectAltName=${names ?? `URI:${id}`}`,
      ].join('\n'),
    )
    // Not from a file of serial numbers, which two that are issued at once would both write.
    const serial = ['-set_serial', `0x${randomBytes(15).toString('hex')}`]
    const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), ...serial]
    const wanted = ['-in', `${file}.csr`, '-extfile', `${file}.ext`, '-days', '1', '-out', `${file}.pem`]
    await run('openssl', ['x509', '-req', ...signer, ...wanted])
    return { id, cert: `${file}.pem`, key: `${file}.key` }
  }

  return { name, trustDomain, bundle: at('ca.pem'), issue, close: async () => {} }
}
