/**
 * A workload with a WIT and its key, and the recipient whom it calls: honest requests, to be changed in one place.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { signCompactJws } from '../../../provenance/jws.ts'
import {
  authenticateRequest,
  type FieldLine,
  type HttpRequest,
  MemoryReplayCache,
  type NewWpt,
  type RequestExpectations,
  signHttpRequest,
  signWpt,
} from '../../../provenance/proof-of-possession/index.ts'
import { kidOf, type PrivateJwk, parsePrivateJwk, publicJwkOf } from '../../../statement/cose-key.ts'
import { newKeyPair } from '../../key-pairs.ts'

export const AT = 1_800_000_000
export const ORIGIN = 'https://log.bank.example'
export const SUBJECT = 'spiffe://bank.example/payments'

export function newKey(curve: 'P-256' | 'Ed25519' = 'P-256'): PrivateJwk {
  const { privateKey } = curve === 'P-256' ? newKeyPair('ec', { namedCurve: curve }) : newKeyPair('ed25519')
  return parsePrivateJwk(privateKey.export({ format: 'jwk' }))
}

const issuer = newKey()
export const trustDomains = new Map([
  [
    'bank.example',
    {
      trustDomain: 'bank.example',
      tokenKeys: new Map([[kidOf(publicJwkOf(issuer)), publicJwkOf(issuer)]]),
      certificates: [],
      // By WIMSE's profile, so that proofs are made by EdDSA too.
      rules: { tokenProfile: 'wimse' as const },
    },
  ],
])

let count = 0
/** Never the same twice. */
export const nonce = (): string => `nonce-of-sufficient-length-${count++}`

/** A WIT for `key`. */
export function issueWit(key: PrivateJwk, claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return issueWitFor({ ...publicJwkOf(key), alg: key.crv === 'P-256' ? 'ES256' : 'EdDSA' }, claims)
}

/** A WIT for a public key of any kind, with its `alg`. */
export function issueWitFor(jwk: object, claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const payload = JSON.stringify({ sub: SUBJECT, exp: AT + 3600, cnf: { jwk }, ...claims })
  return signCompactJws({ typ: 'wit+jwt', kid: kidOf(publicJwkOf(issuer)) }, payload, issuer)
}

export const TARGET = '/entries?wait=1'
export const AUDIENCE = `${ORIGIN}/entries`

/** What the recipient expects, with a memory of its own. */
export function expectations(change: Partial<RequestExpectations> = {}): RequestExpectations {
  return { at: AT, audience: { origins: [ORIGIN] }, replay: new MemoryReplayCache(), ...change }
}

export interface Caller {
  readonly key: PrivateJwk
  readonly wit: string
}

export async function newCaller(curve: 'P-256' | 'Ed25519' = 'P-256'): Promise<Caller> {
  const key = newKey(curve)
  return { key, wit: await issueWit(key) }
}

export async function withWpt(
  { wit, key }: Caller,
  { fields = [], ...change }: Partial<NewWpt> & { fields?: readonly FieldLine[] } = {},
): Promise<HttpRequest> {
  const wpt = await signWpt({ wit, audience: AUDIENCE, expiresAt: AT + 60, jti: nonce(), ...change }, key)
  return {
    method: 'POST',
    target: TARGET,
    fields: [...fields, ['Workload-Identity-Token', wit], ['Workload-Proof-Token', wpt]],
  }
}

export async function signed(
  { wit, key }: Caller,
  { fields = [], content = new Uint8Array() }: { fields?: readonly FieldLine[]; content?: Uint8Array } = {},
): Promise<HttpRequest> {
  const request = { method: 'POST', target: TARGET, fields, content }
  const times = { created: AT, expires: AT + 60 }
  const added = await signHttpRequest(request, { wit, audience: AUDIENCE, nonce: nonce(), ...times }, key)
  return { ...request, fields: [...fields, ...added] }
}

/** `request` with the field `name` changed, or left out. */
export function changed(
  request: HttpRequest,
  name: string,
  change: (value: string) => string | undefined,
): HttpRequest {
  const fields = request.fields.flatMap(([own, value]): FieldLine[] => {
    if (own.toLowerCase() !== name.toLowerCase()) return [[own, value]]
    const other = change(value)
    return other === undefined ? [] : [[own, other]]
  })
  return { ...request, fields }
}

export function added(request: HttpRequest, ...fields: readonly FieldLine[]): HttpRequest {
  return { ...request, fields: [...request.fields, ...fields] }
}

export function fieldOf(request: HttpRequest, name: string): string {
  return request.fields.find(([own]) => own.toLowerCase() === name.toLowerCase())![1]
}

/** One attack: a request with one thing wrong, and the code that it is refused with. */
export type Attack = readonly [
  what: string,
  code: string,
  request: () => Promise<HttpRequest> | HttpRequest,
  change?: Partial<RequestExpectations>,
]

/** Refused for exactly this reason; and what is refused takes no room in the memory of proofs. */
export function refuseEach(attacks: readonly Attack[]): void {
  for (const [what, code, request, change] of attacks) {
    it(`${what} (${code})`, async () => {
      const memory = new MemoryReplayCache()
      const attack = authenticateRequest(await request(), trustDomains, expectations({ replay: memory, ...change }))
      await assert.rejects(attack, { name: 'EvidenceError', code })
      assert.equal(memory.size, 0)
    })
  }
}
