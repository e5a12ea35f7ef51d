/**
 * Secrets that are distinctive: planted wherever one could come in, and looked for wherever one could come out.
 *
 * A leak need not be whole, nor as it was: what is looked for is every run of sixteen characters of a secret, as it was planted, in hex, in
 * both alphabets of base64 at each of the three places where base64 may begin, and percent-encoded.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { type PrivateJwk, parsePrivateJwk } from '../../statement/index.ts'
import { newKeyPair } from '../key-pairs.ts'

const RUN = 16

export class Canaries {
  /** Which secret each run is of. */
  readonly #runs = new Map<string, string>()
  #made = 0

  get count(): number {
    return this.#made
  }

  /** Looked for from now on. */
  plant(name: string, secret: string | Uint8Array): void {
    this.#made++
    const bytes = Buffer.from(secret)
    const forms = [bytes.toString('latin1'), bytes.toString('hex'), encodeURIComponent(bytes.toString('latin1'))]
    for (const skipped of [0, 1, 2]) {
      const cut = bytes.subarray(skipped)
      // Without the last group, which the neighbours of the secret have a part in.
      const base64 = cut.toString('base64').replace(/=+$/, '').slice(0, -4)
      forms.push(base64, base64.replaceAll('+', '-').replaceAll('/', '_'))
    }
    for (const form of forms) {
      for (let at = 0; at + RUN <= form.length; at++) {
        const run = form.slice(at, at + RUN)
        // What any token begins with is nobody's secret.
        if (!COMMON.some((common) => common.includes(run))) this.#runs.set(run, name)
      }
    }
  }

  /** Opaque: a password, a cookie, an access token. */
  text(name: string): string {
    const secret = createHash('sha512').update(`canary ${name}`).digest('base64url').slice(0, 43)
    this.plant(name, secret)
    return secret
  }

  /** A token signed by nobody. */
  token(name: string, header: object = { alg: 'ES256', typ: 'wit+jwt' }): string {
    const claims = { sub: `spiffe://bank.example/${this.text(`${name}, its subject`)}`, exp: 4_000_000_000 }
    const parts = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    const token = `${parts.join('.')}.${createHash('sha512').update(name).digest('base64url')}`
    this.plant(name, token.slice(parts[0]!.length + 1))
    return token
  }

  /** A key to sign with. */
  key(name: string): PrivateJwk {
    const key = parsePrivateJwk(newKeyPair('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))
    this.plant(name, key.d)
    this.plant(`${name}, as bytes`, Buffer.from(key.d, 'base64url'))
    return key
  }

  pem(name: string): string {
    const pem = newKeyPair('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' })
    // Its beginning says which curve it is on.
    this.plant(name, String(pem).split('\n')[2]!)
    return String(pem)
  }

  /** The names of the secrets of which something stands in `place`. */
  in(place: string | Uint8Array): string[] {
    const text = typeof place === 'string' ? place : Buffer.from(place).toString('latin1')
    const found = new Set<string>()
    for (let at = 0; at + RUN <= text.length; at++) {
      const name = this.#runs.get(text.slice(at, at + RUN))
      if (name !== undefined) found.add(name)
    }
    return [...found]
  }
}

const COMMON: readonly string[] = [
  { alg: 'ES256', typ: 'wit+jwt' },
  { alg: 'ES256', typ: 'wpt+jwt' },
  { sub: 'spiffe://bank.example/' },
  { exp: 4_000_000_000 },
]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .concat(
    Buffer.from('"spiffe://bank.example/').toString('base64url'),
    'spiffe://bank.example/',
    'spiffe%3A%2F%2Fbank.example%2F',
    Buffer.from('spiffe://bank.example/').toString('hex'),
  )

/** Everything that came out, by where it did. */
export class Outlets {
  readonly #all: { readonly where: string; readonly what: string | Uint8Array }[] = []
  #length = 0

  add(where: string, what: string | Uint8Array): void {
    this.#all.push({ where, what })
    this.#length += what.length
  }

  /** Characters and bytes. */
  get length(): number {
    return this.#length
  }

  from(where: string): string {
    return this.#all
      .filter((each) => each.where.startsWith(where))
      .map(({ what }) => (typeof what === 'string' ? what : Buffer.from(what).toString('latin1')))
      .join('\n')
  }

  leaks(canaries: Canaries): { readonly where: string; readonly secrets: readonly string[]; readonly text: string }[] {
    return this.#all.flatMap(({ where, what }) => {
      const secrets = canaries.in(what)
      const text = typeof what === 'string' ? what : Buffer.from(what).toString('latin1')
      return secrets.length > 0 ? [{ where, secrets, text: text.slice(0, 600) }] : []
    })
  }
}
