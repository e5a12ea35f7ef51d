/**
 * What a caller may do: the rules of the configuration, over whole identifiers.
 *
 *     the rules that name the identifier
 *   + the rules for its trust domain, where a rule says that it is for all of one
 *   + what anonymous callers may: whoever is known could as well have come unknown
 *
 * A path is nothing without its trust domain, and nothing is a pattern (mutual-tls §3.2.1, §5). Whom no rule names may nothing.
 *
 * @module
 */
import type { Authorities } from '../../provenance/rules/authorities.ts'
import type { SignedStatement } from '../../statement/signed-statement.ts'
import { RequestError } from '../problem.ts'
import type { Caller } from './caller.ts'
import { ANONYMOUS, type RuleConfig } from './config.ts'
import { ADMIN_TYPES, type Grants, grantsOf, maySend, type Need, type Right, typeOf } from './rights.ts'

export class Rules {
  /** All three are whole: what a caller may is in one of them. */
  readonly #byIdentifier = new Map<string, Grants>()
  readonly #byTrustDomain = new Map<string, Grants>()
  readonly #anonymous: Grants
  readonly #recipientKeys = new Map<string, Set<string>>()

  /** @param trustDomainOf - of an identifier that a rule names */
  constructor(rules: readonly RuleConfig[], trustDomainOf: (identifier: string) => string) {
    const rightsOf = (applies: (rule: RuleConfig) => boolean): Right[] =>
      rules.filter(applies).flatMap(({ may }) => may)
    const anonymous = rightsOf(({ who }) => who.includes(ANONYMOUS))
    this.#anonymous = grantsOf(...anonymous)

    for (const domain of new Set(rules.flatMap(({ trustDomain = [] }) => trustDomain))) {
      const shared = rightsOf(({ trustDomain }) => trustDomain === domain)
      this.#byTrustDomain.set(domain, grantsOf(...anonymous, ...shared))
    }
    // One pass, and not one for each: there may be thousands of both.
    const own = new Map<string, Right[]>()
    for (const { who, may, recipientKeys } of rules) {
      for (const uri of who) {
        if (uri === ANONYMOUS) continue
        own.set(uri, [...(own.get(uri) ?? []), ...may])
        const keys = this.#recipientKeys.get(uri) ?? new Set()
        this.#recipientKeys.set(uri, new Set([...keys, ...recipientKeys]))
      }
    }
    for (const [uri, rights] of own) {
      const shared = rightsOf(({ trustDomain }) => trustDomain === trustDomainOf(uri))
      this.#byIdentifier.set(uri, grantsOf(...anonymous, ...shared, ...rights))
    }
  }

  /** Everything that `caller` may do. */
  grantsOf({ identifier, trustDomain }: Pick<Caller, 'identifier' | 'trustDomain'>): Grants {
    if (identifier === undefined || trustDomain === undefined) return this.#anonymous
    return this.#byIdentifier.get(identifier) ?? this.#byTrustDomain.get(trustDomain) ?? this.#anonymous
  }

  get anonymous(): Grants {
    return this.#anonymous
  }

  /** Keys that the configuration says are this workload's to receive the keys of sealed sections with. */
  recipientKeysOf(identifier: string): ReadonlySet<string> {
    return this.#recipientKeys.get(identifier) ?? NO_KEYS
  }
}

const NO_KEYS: ReadonlySet<string> = new Set()

/**
 * One answer, in one set of words, before anything is looked up: whoever may not ask learns nothing of what there is.
 *
 * @throws {@link RequestError} `access_denied`
 */
export function demand(grants: Grants, need: Need): void {
  if (!grants.has(need)) throw denied()
}

/**
 * Checks that a statement may be sent by somebody with these grants, here.
 *
 * @param adminHere - whether those who say who may write are served at this address
 * @throws {@link RequestError} `access_denied`
 */
export function checkMaySend(grants: Grants, statement: SignedStatement, adminHere: boolean): void {
  const type = typeOf(statement)
  if (!maySend(grants, type)) throw denied()
  if (!adminHere && type !== undefined && type !== 'foreign' && ADMIN_TYPES.has(type)) throw denied()
}

/** Which wraps a caller is shown: those for its own keys, as the log has them by key-authorization, or the configuration. */
export function isRecipient(
  { identifier }: Caller,
  kid: string,
  { authorities, rules }: { readonly authorities: Pick<Authorities, 'encryptionKeysOf'>; readonly rules: Rules },
): boolean {
  if (identifier === undefined) return false
  return authorities.encryptionKeysOf(identifier).has(kid) || rules.recipientKeysOf(identifier).has(kid)
}

function denied(): RequestError {
  return new RequestError('access_denied', 'whoever calls may not do this here')
}
