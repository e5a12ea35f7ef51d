/**
 * step-ca: an online certificate authority with an intermediate, asked for certificates over HTTP as `step ca certificate` does.
 *
 * It is built from the Go module proxy: a minute and a half of processor time, once.
 *
 * @module
 */
import { createHash, randomUUID, sign } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { newKeyPair } from '../key-pairs.ts'
import { type Authority, run } from './authority.ts'
import { eventually, freePort, spawnQuiet, stop } from './daemon.ts'
import { missingGo } from './go.ts'
import { CACHE, execute } from './program.ts'
import type { Report } from './report.ts'

const MODULE = 'github.com/smallstep/certificates'
const VERSION = 'v0.30.2'
const FOLDER = resolve(CACHE, `step-ca-${VERSION}`)
const BIN = join(FOLDER, 'bin', 'step-ca')
export const STEP_CA = `step-ca ${VERSION}`

/** Seconds. Measured: 50 s on two idle cores. */
const BUILD_BOUND = 300

/** Builds it where that is missing; why it cannot be used here, otherwise. */
export async function missingStepCa(report: Report): Promise<string | undefined> {
  if (existsSync(BIN)) return undefined
  const why = await missingGo()
  if (why !== undefined) return why
  const built = await report.step(`${STEP_CA} builds from its module`, buildStepCa)
  return built === undefined ? 'it does not build here' : undefined
}

async function buildStepCa(): Promise<true> {
  const making = `${FOLDER}-making`
  await rm(making, { recursive: true, force: true })
  await mkdir(join(making, 'bin'), { recursive: true })
  await writeFile(join(making, 'go.mod'), 'module provlog.example/step-ca\n\ngo 1.25.0\n')
  const env = { GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', CGO_ENABLED: '0' }
  const program = `${MODULE}/cmd/step-ca`
  for (const args of [
    ['get', '-tool', `${program}@${VERSION}`],
    ['build', '-trimpath', '-ldflags', '-s -w', '-o', 'bin/', program],
  ]) {
    const { failure } = await execute({ command: 'go', args, cwd: making, env, timeout: BUILD_BOUND })
    if (failure !== undefined) throw new Error(failure)
  }
  await rename(making, FOLDER)
  return true
}

export async function startStepCa(trustDomain: string): Promise<Authority> {
  const directory = await mkdtemp(join(tmpdir(), 'step-ca-'))
  const at = (file: string) => join(directory, file)
  const port = await freePort()
  const provisioner = newKeyPair('ec', { namedCurve: 'P-256' })
  const jwk = { ...provisioner.publicKey.export({ format: 'jwk' }), kid: 'interop', alg: 'ES256', use: 'sig' }
  await makeAuthorities(at, trustDomain)
  const config = {
    root: at('root.pem'),
    crt: at('intermediate.pem'),
    key: at('intermediate.key'),
    address: `127.0.0.1:${port}`,
    dnsNames: ['127.0.0.1', 'localhost'],
    logger: { format: 'text' },
    authority: { provisioners: [{ type: 'JWK', name: 'interop', key: jwk, encryptedKey: '' }] },
  }
  await writeFile(at('ca.json'), JSON.stringify(config))
  const child = spawnQuiet(BIN, [at('ca.json')])
  async function close(): Promise<void> {
    await stop(child)
    await rm(directory, { recursive: true, force: true })
  }
  const ca = await readFile(at('root.pem'), 'utf8')
  const ask = (path: string, body?: object) => request(port, ca, path, body)
  try {
    await eventually('step-ca answers', () => ask('/health'))
  } catch (error) {
    await close()
    throw error
  }

  /** What `step ca token` makes: who signs it says which names the certificate may have. */
  function token(subject: string, id: string): string {
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: 'interop',
      aud: `https://127.0.0.1:${port}/1.0/sign`,
      sub: subject,
      sans: [id],
      ...{ iat: now, nbf: now, exp: now + 60, jti: randomUUID() },
    }
    const parts = [{ alg: 'ES256', kid: 'interop', typ: 'JWT' }, claims]
    const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    const key = { key: provisioner.privateKey, dsaEncoding: 'ieee-p1363' } as const
    return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
  }

  return {
    name: STEP_CA,
    trustDomain,
    bundle: at('root.pem'),
    async issue(path) {
      const id = `spiffe://${trustDomain}${path}`
      const file = at(`leaf-${createHash('sha256').update(path).digest('hex').slice(0, 8)}`)
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${file}.key`]
      const names = ['-subj', '/CN=workload', '-addext', `subjectAltName=URI:${id}`]
      await run('openssl', ['req', ...key, '-out', `${file}.csr`, ...names])
      const csr = await readFile(`${file}.csr`, 'utf8')
      const { certChain } = (await ask('/1.0/sign', { csr, ott: token('workload', id) })) as { certChain: string[] }
      await writeFile(`${file}.pem`, certChain.join(''))
      return { id, cert: `${file}.pem`, key: `${file}.key` }
    },
    close,
  }
}

/** A root that signs an intermediate, which is what step-ca has the key of. */
async function makeAuthorities(at: (file: string) => string, trustDomain: string): Promise<void> {
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const usage = 'keyUsage=critical,keyCertSign,cRLSign'
  const root = ['-keyout', at('root.key'), '-out', at('root.pem'), '-subj', `/O=${trustDomain}/CN=root`]
  await run('openssl', ['req', '-x509', ...ec, ...root, '-days', '2', '-addext', usage])
  const subject = ['-subj', `/O=${trustDomain}/CN=intermediate`]
  await run('openssl', ['req', ...ec, '-keyout', at('intermediate.key'), '-out', at('intermediate.csr'), ...subject])
  await writeFile(at('intermediate.ext'), `basicConstraints=critical,CA:TRUE,pathlen:0\n${usage}\n`)
  await run('openssl', [
    ...['x509', '-req', '-in', at('intermediate.csr'), '-CA', at('root.pem'), '-CAkey', at('root.key')],
    ...['-CAcreateserial', '-days', '2', '-extfile', at('intermediate.ext'), '-out', at('intermediate.pem')],
  ])
}

function request(port: number, ca: string, path: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST'
    const headers = { 'content-type': 'application/json' }
    const sent = https.request({ host: '127.0.0.1', port, path, method, ca, headers, timeout: 10_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        if (response.statusCode === 200 || response.statusCode === 201) resolve(JSON.parse(text))
        else reject(new Error(`step-ca: ${response.statusCode} ${text}`))
      })
    })
    sent.on('timeout', () => sent.destroy(new Error('step-ca does not answer')))
    sent.on('error', reject)
    sent.end(body && JSON.stringify(body))
  })
}
