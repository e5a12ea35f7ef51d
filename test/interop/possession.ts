/**
 * Proof of possession before a program in Python: it judges what we sign, and we judge what it signs.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toBase64, utf8 } from '../../merkle/index.ts'
import {
  authenticateRequest,
  type FieldLine,
  type HttpRequest,
  MemoryReplayCache,
  signHttpRequest,
  signHttpResponse,
} from '../../provenance/index.ts'
import { parsePrivateJwk } from '../../statement/index.ts'
import { newKeyPair } from '../key-pairs.ts'
import { issueWitFor, nonce, trustDomains } from '../provenance/proof-of-possession/caller.ts'
import { type Part, runChecks } from './program.ts'
import { environment, missingPython } from './python.ts'

const ORIGIN = 'https://rp.example'
const TARGET = '/pay?x=%20y'
const NOW = Math.floor(Date.now() / 1000)
const TIMES = { created: NOW, expires: NOW + 60 }

export async function runPossession({ fixture, report }: Part): Promise<void> {
  const why = await missingPython()
  if (why !== undefined) return report.skip('possession: http-message-signatures', why)
  const python = await report.step('possession: installs http-message-signatures at its pinned version', () =>
    environment('possession'),
  )
  if (python === undefined) return
  const path = join(fixture.directory, 'possession.json')
  const [messages, unsigned] = [await ourMessages(), await requestsForThem()]
  await writeFile(path, JSON.stringify({ messages, unsigned }))
  const args = [join('test/interop/python', 'possession.py'), path]
  await runChecks(report, 'possession', { command: python, args, env: { PYTHONDONTWRITEBYTECODE: '1' } })
  await report.step(
    'possession: our verifier takes what http-message-signatures signs, and not when it is changed',
    () => judge(join(fixture.directory, 'possession-theirs.json')),
  )
}

interface Signer {
  readonly algorithm: 'ES256' | 'ES384' | 'EdDSA'
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const signers: readonly Signer[] = [
  { algorithm: 'ES256', ...newKeyPair('ec', { namedCurve: 'P-256' }) },
  { algorithm: 'EdDSA', ...newKeyPair('ed25519') },
  { algorithm: 'ES384', ...newKeyPair('ec', { namedCurve: 'P-384' }) },
]

function witOf({ publicKey, algorithm }: Signer): Promise<string> {
  return issueWitFor({ ...publicKey.export({ format: 'jwk' }), alg: algorithm }, { exp: NOW + 3600 })
}

async function ourMessages(): Promise<object[]> {
  const messages: object[] = []
  for (const signer of signers.filter(({ algorithm }) => algorithm !== 'ES384')) {
    const { algorithm, privateKey, publicKey } = signer
    const key = parsePrivateJwk(privateKey.export({ format: 'jwk' }))
    const wit = await witOf(signer)
    const told = { algorithm, publicKey: publicKey.export({ format: 'pem', type: 'spki' }) }
    const content = utf8('{"pay":1}')
    const given: FieldLine[] = [['Content-Type', 'application/json']]
    const unsigned = { method: 'POST', target: TARGET, fields: given, content }
    const about = { wit, audience: `${ORIGIN}/pay`, nonce: nonce(), signResponse: true, ...TIMES }
    const fields = [...given, ...(await signHttpRequest(unsigned, about, key))]
    const request = { ...unsigned, fields, content: toBase64(content) }
    messages.push({ ...told, ...request, name: `a request signed by ${algorithm}` })

    const answer = { status: 200, fields: given, content }
    const own = { wit, nonce: nonce(), ...TIMES }
    const sent = { request: { ...unsigned, fields }, requestNonce: about.nonce }
    const added = await signHttpResponse(answer, sent, own, key)
    const response = { ...answer, fields: [...given, ...added], content: toBase64(content), request }
    messages.push({ ...told, ...response, name: `a response signed by ${algorithm}` })
  }
  return messages
}

async function requestsForThem(): Promise<object[]> {
  return Promise.all(
    signers.map(async (signer) => ({
      algorithm: signer.algorithm,
      privateKey: signer.privateKey.export({ format: 'pem', type: 'pkcs8' }),
      method: 'GET',
      target: TARGET,
      fields: [['Workload-Identity-Token', await witOf(signer)]],
      parameters: {
        ...TIMES,
        nonce: nonce(),
        tag: 'wimse-workload-to-workload',
        'wimse-aud': `${ORIGIN}/pay`,
      },
    })),
  )
}

async function judge(path: string): Promise<void> {
  const requests = JSON.parse(await readFile(path, 'utf8')) as (HttpRequest & Pick<Signer, 'algorithm'>)[]
  if (requests.length !== signers.length) throw new Error(`${requests.length} requests`)
  for (const { algorithm, method, target, fields } of requests) {
    const verdict = (request: HttpRequest): Promise<string> =>
      authenticateRequest(request, trustDomains, {
        at: NOW,
        audience: { origins: [ORIGIN] },
        replay: new MemoryReplayCache(),
      }).then(
        ({ possession }) => possession.ways.join(),
        (error: unknown) => String(error),
      )
    const taken = await verdict({ method, target, fields })
    if (taken !== 'httpsig') throw new Error(`by ${algorithm}: ${taken}`)
    if ((await verdict({ method: 'PUT', target, fields })) === taken) throw new Error(`by ${algorithm}, changed: taken`)
  }
}
